/* What the peer may do with stream numbers, frame by frame. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <nghttp2/nghttp2.h>

#include "lib/net/http2_guard_int.h"

enum { OPEN = NGHTTP2_FLAG_NONE, END = NGHTTP2_FLAG_END_STREAM };

static uint32_t headers(mw_http2_guard *guard, int32_t stream, uint8_t flags)
{
    return mw_http2_guard_frame(guard, NGHTTP2_HEADERS, flags, stream);
}

static uint32_t data(mw_http2_guard *guard, int32_t stream, uint8_t flags)
{
    return mw_http2_guard_frame(guard, NGHTTP2_DATA, flags, stream);
}

static uint32_t reset(mw_http2_guard *guard, int32_t stream)
{
    return mw_http2_guard_frame(guard, NGHTTP2_RST_STREAM, OPEN, stream);
}

static void test_requests_in_order(void **state)
{
    (void)state;
    mw_http2_guard guard = {0};
    for (int32_t stream = 1; stream < 4001; stream += 2) {
        assert_int_equal(headers(&guard, stream, OPEN), NGHTTP2_NO_ERROR);
        assert_int_equal(data(&guard, stream, OPEN), NGHTTP2_NO_ERROR);
        /* Trailers. */
        assert_int_equal(headers(&guard, stream, END), NGHTTP2_NO_ERROR);
    }
}

static void test_nothing_follows_the_end(void **state)
{
    (void)state;
    mw_http2_guard guard = {0};
    assert_int_equal(headers(&guard, 1, END), NGHTTP2_NO_ERROR);
    assert_int_equal(headers(&guard, 1, END), NGHTTP2_STREAM_CLOSED);
    assert_int_equal(headers(&guard, 3, OPEN), NGHTTP2_NO_ERROR);
    assert_int_equal(data(&guard, 3, END), NGHTTP2_NO_ERROR);
    assert_int_equal(headers(&guard, 3, OPEN), NGHTTP2_STREAM_CLOSED);
    assert_int_equal(headers(&guard, 5, OPEN), NGHTTP2_NO_ERROR);
    assert_int_equal(reset(&guard, 5), NGHTTP2_NO_ERROR);
    assert_int_equal(headers(&guard, 5, END), NGHTTP2_STREAM_CLOSED);
    assert_int_equal(headers(&guard, 7, END), NGHTTP2_NO_ERROR);
}

static void test_only_the_newest_ends_are_known(void **state)
{
    (void)state;
    mw_http2_guard guard = {0};
    int32_t last = 2 * (int32_t)MW_HTTP2_GUARD_ENDED + 1;
    for (int32_t stream = 1; stream <= last; stream += 2)
        assert_int_equal(headers(&guard, stream, END), NGHTTP2_NO_ERROR);
    /* Forgotten: dropped by nghttp2, as trailers of a stream that we had reset would be. */
    assert_int_equal(headers(&guard, 1, END), NGHTTP2_NO_ERROR);
    assert_int_equal(headers(&guard, 5, END), NGHTTP2_STREAM_CLOSED);
    /* The same stream again and again pushes no other out. */
    for (unsigned i = 0; i < 3 * MW_HTTP2_GUARD_ENDED; i++)
        assert_int_equal(reset(&guard, last), NGHTTP2_NO_ERROR);
    assert_int_equal(headers(&guard, 5, END), NGHTTP2_STREAM_CLOSED);
}

static void test_numbers_passed_over(void **state)
{
    (void)state;
    mw_http2_guard guard = {0};
    assert_int_equal(headers(&guard, 5, OPEN), NGHTTP2_NO_ERROR);
    assert_int_equal(headers(&guard, 1, OPEN), NGHTTP2_PROTOCOL_ERROR);
    assert_int_equal(headers(&guard, 3, OPEN), NGHTTP2_PROTOCOL_ERROR);
    assert_int_equal(headers(&guard, 5, END), NGHTTP2_NO_ERROR);
    assert_int_equal(headers(&guard, 7, OPEN), NGHTTP2_NO_ERROR);
    assert_int_equal(headers(&guard, 11, OPEN), NGHTTP2_NO_ERROR);
    assert_int_equal(headers(&guard, 9, OPEN), NGHTTP2_PROTOCOL_ERROR);
    assert_int_equal(headers(&guard, 7, END), NGHTTP2_NO_ERROR);
}

static void test_frames_that_are_not_judged_here(void **state)
{
    (void)state;
    mw_http2_guard guard = {0};
    assert_int_equal(mw_http2_guard_frame(&guard, NGHTTP2_PRIORITY, OPEN, 0),
                     NGHTTP2_PROTOCOL_ERROR);
    assert_int_equal(mw_http2_guard_frame(&guard, NGHTTP2_PRIORITY, OPEN, 9), NGHTTP2_NO_ERROR);
    assert_int_equal(mw_http2_guard_frame(&guard, NGHTTP2_PING, 0xff, 0), NGHTTP2_NO_ERROR);
    /* Unknown type with what would be END_STREAM elsewhere. */
    assert_int_equal(mw_http2_guard_frame(&guard, 0x16, END, 1), NGHTTP2_NO_ERROR);
    assert_int_equal(headers(&guard, 0, OPEN), NGHTTP2_NO_ERROR);
    assert_int_equal(headers(&guard, 2, OPEN), NGHTTP2_NO_ERROR);
    assert_int_equal(headers(&guard, 1, OPEN), NGHTTP2_NO_ERROR);
    assert_int_equal(headers(&guard, INT32_MAX, OPEN), NGHTTP2_NO_ERROR);
    assert_int_equal(headers(&guard, INT32_MAX - 2, OPEN), NGHTTP2_PROTOCOL_ERROR);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_requests_in_order),
        cmocka_unit_test(test_nothing_follows_the_end),
        cmocka_unit_test(test_only_the_newest_ends_are_known),
        cmocka_unit_test(test_numbers_passed_over),
        cmocka_unit_test(test_frames_that_are_not_judged_here),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
