/* Every allocation of a conversation fails in turn, for HTTP/1 and HTTP/2, without sockets: no
 * crash, no leak, at most one answer a request, and once memory is back all is well. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "lib/net/exchange_int.h"
#include "lib/net/http1_session_int.h"
#include "lib/net/http2_int.h"

static mw_exchange *replies;
static unsigned handled;

static void post(void *ctx, mw_exchange *exchange)
{
    (void)ctx;
    exchange->next_reply = replies;
    replies = exchange;
}

static void echo(void *ctx, mw_request *request)
{
    (void)ctx;
    handled++;
    mw_response response = {.status = 200, .content_type = MW_SLICE("text/plain")};
    response.body = mw_arena_copy(&request->arena, request->body);
    mw_request_reply(request, &response);
}

static const mw_route routes[] = {
    {MW_PORT_GRPC, "POST", "/s/m", true, 4096, echo, NULL, 0, false},
    {MW_PORT_GRPC, "POST", "/p/{id}", false, 4096, echo, NULL, 0, false},
    {MW_PORT_GRPC, "GET", "/", false, 0, echo, NULL, 0, false},
};

typedef struct conversation {
    mw_front front;
    mw_wire wire;
    char out[1 << 16];
    size_t out_len;
} conversation;

static conversation t;

static void begin(void)
{
    memset(&t, 0, sizeof t);
    t.front.config.clock = mw_clock_system();
    mw_router_init(&t.front.router, routes, sizeof routes / sizeof *routes);
    t.front.http2 = mw_http2_setup_new();
    assert_non_null(t.front.http2);
    mw_wire_init(&t.wire, &t.front, MW_PORT_GRPC);
    t.wire.post = post;
    replies = NULL;
    handled = 0;
}

static void end(void)
{
    mw_memory_fail_at(0);
    while (replies) {
        mw_exchange *next = replies->next_reply;
        assert_false(mw_exchange_replied(replies));
        replies = next;
    }
    mw_wire_fini(&t.wire);
    mw_http2_setup_free(t.front.http2);
    mw_router_fini(&t.front.router);
    assert_int_equal(atomic_load(&t.front.in_flight), 0);
    assert_int_equal(atomic_load(&t.front.handed), 0);
    assert_int_equal(mw_memory_component_used(MW_MEM_NET), 0);
    assert_int_equal(mw_memory_component_used(MW_MEM_NGHTTP2), 0);
    assert_int_equal(mw_memory_component_used(MW_MEM_CODEC), 0);
}

static void collect(void)
{
    struct iovec piece;
    while (mw_out_queue_peek(&t.wire.out, &piece, 1) == 1) {
        assert_true(t.out_len + piece.iov_len <= sizeof t.out);
        memcpy(t.out + t.out_len, piece.iov_base, piece.iov_len);
        t.out_len += piece.iov_len;
        mw_out_queue_consume(&t.wire.out, piece.iov_len);
    }
    mw_wire_flushed(&t.wire);
}

static size_t answers(void)
{
    size_t count = 0;
    for (size_t i = 0; i + 9 <= t.out_len; i++)
        count += memcmp(t.out + i, "HTTP/1.1 ", 9) == 0;
    return count;
}

static void talk_http1(mw_slice in)
{
    mw_http1_session session;
    mw_http1_session_init(&session, &t.wire);
    for (size_t step = 20; in.len > 0 && !t.wire.finished && !t.wire.out.failed;) {
        mw_slice part = mw_slice_first(in, step);
        mw_slice rest = mw_http1_session_receive(&session, part);
        in = mw_slice_from(in, part.len - rest.len);
        while (replies) {
            mw_exchange *next = replies->next_reply;
            if (mw_exchange_replied(replies))
                mw_http1_session_reply(&session, session.current);
            replies = next;
        }
        collect();
    }
    mw_http1_session_fini(&session);
}

static void test_http1(void **state)
{
    (void)state;
    const mw_slice in = MW_SLICE(
        "GET / HTTP/1.1\r\nHost: a\r\n\r\n"
        "POST /p/a%20b HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
        "5\r\nhello\r\n0\r\nTrailer: v\r\n\r\n"
        "GET /nowhere HTTP/1.1\r\nHost: a\r\n\r\n"
        "POST /p/x HTTP/1.1\r\nHost: a\r\nContent-Encoding: gzip\r\nContent-Length: 25\r\n\r\n"
        "\x1f\x8b\x08\0\0\0\0\0\x02\x03\xcb\x48\xcd\xc9\xc9\x07\0\x86\xa6\x10\x36\x05\0\0\0");
    for (uint64_t n = 1; n < 1000; n++) {
        begin();
        mw_memory_fail_at(n);
        talk_http1(in);
        size_t count = answers();
        bool whole = count == 4 && handled == 3 && strstr(t.out, "hello");
        assert_true(count <= 4);
        end();
        if (whole && n > 20) {
            /* The last runs are those in which nothing failed. */
            assert_null(strstr(t.out, " 503 "));
            return;
        }
    }
    fail_msg("the conversation never succeeded");
}

static void talk_http2(mw_slice in)
{
    mw_http2_session *session = mw_http2_session_new(&t.wire);
    if (!session)
        return;
    assert_int_equal(mw_http2_session_receive(session, MW_SLICE(MW_HTTP2_PREFACE)).len, 0);
    for (size_t at = 0; at < in.len && !t.wire.broken && !t.wire.finished; at += 50) {
        mw_slice rest =
            mw_http2_session_receive(session, mw_slice_first(mw_slice_from(in, at), 50));
        assert_int_equal(rest.len, 0);
        while (replies) {
            mw_exchange *reply = replies;
            replies = reply->next_reply;
            if (mw_exchange_replied(reply))
                mw_http2_session_reply(session, reply);
        }
        mw_http2_session_pump(session);
        collect();
    }
    mw_http2_session_free(session);
}

/* The fuzzer's seeds are conversations of every kind; two bytes in front are for the fuzzer. */
static void torture_seed(const char *path)
{
    static char in[1 << 14];
    FILE *file = fopen(path, "rb");
    assert_non_null(file);
    size_t len = fread(in, 1, sizeof in, file);
    fclose(file);
    begin();
    talk_http2((mw_slice){in + 2, len - 2});
    unsigned wanted = handled;
    size_t wanted_out = t.out_len;
    assert_true(wanted > 0);
    end();
    for (uint64_t n = 1; n < 3000; n++) {
        begin();
        mw_memory_fail_at(n);
        talk_http2((mw_slice){in + 2, len - 2});
        bool whole = handled == wanted && t.out_len == wanted_out && !t.wire.broken;
        assert_true(handled <= wanted);
        end();
        if (whole && n > 100)
            return;
    }
    fail_msg("%s never succeeded", path);
}

static void test_http2(void **state)
{
    (void)state;
    torture_seed("tests/fuzz/corpus/http2/grpc");
    torture_seed("tests/fuzz/corpus/http2/grpc_gzip");
    torture_seed("tests/fuzz/corpus/http2/http");
    torture_seed("tests/fuzz/corpus/http2/trailers");
    torture_seed("tests/fuzz/corpus/http2/reset");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_http1),
        cmocka_unit_test(test_http2),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
