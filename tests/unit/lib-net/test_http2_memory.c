/* nghttp2's memory is never refused, so sessions are: each has a bound, all have a share. Without
 * sockets. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "lib/net/exchange_int.h"
#include "lib/net/http2_int.h"

#define SESSIONS_MAX 64u

static mw_front front;
static mw_wire wires[SESSIONS_MAX];
static mw_http2_session *sessions[SESSIONS_MAX];

static int set_up(void **state)
{
    (void)state;
    memset(&front, 0, sizeof front);
    memset(sessions, 0, sizeof sessions);
    front.config.clock = mw_clock_system();
    mw_router_init(&front.router, NULL, 0);
    front.http2 = mw_http2_setup_new();
    for (size_t i = 0; i < SESSIONS_MAX; i++)
        mw_wire_init(&wires[i], &front, MW_PORT_GRPC);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    for (size_t i = 0; i < SESSIONS_MAX; i++) {
        mw_http2_session_free(sessions[i]);
        mw_wire_fini(&wires[i]);
    }
    mw_memory_init(0);
    mw_http2_setup_free(front.http2);
    mw_router_fini(&front.router);
    assert_int_equal(mw_memory_component_used(MW_MEM_NGHTTP2), 0);
    assert_int_equal(mw_memory_component_used(MW_MEM_NET), 0);
    return 0;
}

static bool told_to_calm(size_t i)
{
    struct iovec pieces[16];
    int count = mw_out_queue_peek(&wires[i].out, pieces, 16);
    static const char code[] = "\0\0\0\x0b";
    for (int p = 0; p < count; p++)
        if (memmem(pieces[p].iov_base, pieces[p].iov_len, code, 4))
            return true;
    return false;
}

/* As a connection does: what was made is written, and a session that is over is freed. */
static void feed(size_t i, mw_slice bytes)
{
    assert_int_equal(mw_http2_session_receive(sessions[i], bytes).len, 0);
    mw_http2_session_pump(sessions[i]);
    if (wires[i].finished) {
        assert_true(told_to_calm(i));
        mw_http2_session_free(sessions[i]);
        sessions[i] = NULL;
    }
    mw_out_queue_consume(&wires[i].out, wires[i].out.bytes);
}

static void open_session(size_t i)
{
    sessions[i] = mw_http2_session_new(&wires[i]);
    if (!sessions[i])
        return;
    feed(i, MW_SLICE(MW_HTTP2_PREFACE));
    feed(i, MW_SLICE("\0\0\0\4\0\0\0\0\0"));
}

static size_t put_frame(char *out, unsigned char type, unsigned char flags, size_t len)
{
    const unsigned char head[9] = {(unsigned char)(len >> 16),
                                   (unsigned char)(len >> 8),
                                   (unsigned char)len,
                                   type,
                                   flags,
                                   0,
                                   0,
                                   0,
                                   1};
    memcpy(out, head, sizeof head);
    return sizeof head;
}

/* HEADERS of stream 1 that is not complete: one literal whose value has `size` bytes, of which the
 * first part has come. */
static void begin_head(size_t i, size_t size)
{
    static char bytes[1 << 15];
    size_t payload = 8000;
    size_t at = put_frame(bytes, 1, 0, payload);
    size_t end = at + payload;
    memset(bytes + at, 'v', payload);
    memcpy(bytes + at, "\x00\x01x\x7f", 4);
    size -= 127;
    for (at += 4; size >= 128; size >>= 7)
        bytes[at++] = (char)(size | 0x80);
    bytes[at] = (char)size;
    feed(i, (mw_slice){bytes, end});
}

static void test_share(void **state)
{
    (void)state;
    size_t opened = 0;
    mw_memory_init(mw_memory_used() + ((size_t)2 << 20));
    for (; opened < SESSIONS_MAX; opened++) {
        open_session(opened);
        if (!sessions[opened])
            break;
    }
    assert_in_range(opened, 15, SESSIONS_MAX - 1);
    assert_true(mw_memory_component_used(MW_MEM_NGHTTP2) <= MW_HTTP2_SHARE(mw_memory_ceiling()));
    /* What is open may grow a little beyond, and who grows more is ended. */
    for (size_t i = 0; i < opened; i++) {
        begin_head(i, 60000);
        assert_true(mw_memory_component_used(MW_MEM_NGHTTP2) <=
                    opened * MW_HTTP2_SESSION_FAIR + MW_HTTP2_SESSION_MAX);
    }
    size_t ended = 0;
    for (size_t i = 0; i < opened; i++)
        ended += wires[i].finished;
    assert_in_range(ended, 1, opened - 1);
}

/* Alone on a large machine a session has its own bound. */
static void test_session_bound(void **state)
{
    (void)state;
    open_session(0);
    begin_head(0, 60000);
    assert_false(wires[0].finished);
    /* PINGs whose answers the peer does not read: nghttp2's own limit ends it first. */
    open_session(1);
    char *pings = malloc(17 * 2000);
    size_t size = 17 * 2000;
    assert_non_null(pings);
    for (size_t at = 0; at < size; at += 17)
        memcpy(pings + at, "\0\0\x08\x06\0\0\0\0\0pingping", 17);
    feed(1, (mw_slice){pings, size});
    free(pings);
    assert_true(wires[1].finished);
    assert_true(mw_memory_component_used(MW_MEM_NGHTTP2) < 4 * MW_HTTP2_SESSION_MAX);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_share, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_session_bound, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
