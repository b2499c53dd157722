/* HTTP/1 parser: good and bad heads and bodies, each in one piece, byte by byte and cut in two at
 * every place; the outcome must not depend on the cut. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "lib/net/exchange_int.h"
#include "lib/net/http1_int.h"

typedef struct outcome {
    mw_buffer log;
    unsigned status; /* of the refusal; 0 = none */
} outcome;

static void record_head(outcome *out, const mw_http1_head *head)
{
    mw_buffer_appendf(&out->log, "[%.*s %.*s 1.%u host=%.*s n=%zu%s%s%s",
                      MW_SLICE_FMT(head->method), MW_SLICE_FMT(head->target), head->minor,
                      MW_SLICE_FMT(head->host), head->header_count, head->chunked ? " chunked" : "",
                      head->keep_alive ? " keep" : "", head->expect_continue ? " expect" : "");
    for (size_t i = 0; i < head->header_count; i++)
        mw_buffer_appendf(&out->log, " %.*s=%.*s", MW_SLICE_FMT(head->headers[i].name),
                          MW_SLICE_FMT(head->headers[i].value));
    mw_buffer_append_slice(&out->log, MW_SLICE("]"));
}

static void feed(mw_http1 *parser, mw_slice in, outcome *out)
{
    while (out->status == 0) {
        mw_slice part;
        mw_http1_head head;
        mw_arena arena;
        switch (mw_http1_next(parser, &in, &part)) {
        case MW_HTTP1_MORE: assert_int_equal(in.len, 0); return;
        case MW_HTTP1_HEAD:
            mw_arena_init(&arena, MW_MEM_NET, 0);
            if (mw_http1_parse_head(parser, part, &arena, &head))
                record_head(out, &head);
            else
                out->status = parser->status;
            mw_arena_reset(&arena);
            break;
        case MW_HTTP1_DATA: mw_buffer_append_slice(&out->log, part); break;
        case MW_HTTP1_END: mw_buffer_append_slice(&out->log, MW_SLICE("|")); break;
        case MW_HTTP1_BAD: out->status = parser->status; break;
        }
    }
}

/* A fresh heap copy of each piece: the sanitizers see a slice that outlives its input. */
static void feed_copy(mw_http1 *parser, mw_slice in, outcome *out)
{
    char *copy = malloc(in.len ? in.len : 1);
    assert_non_null(copy);
    if (in.len)
        memcpy(copy, in.data, in.len);
    feed(parser, (mw_slice){copy, in.len}, out);
    free(copy);
}

static void parse_cut(mw_slice text, size_t first, size_t step, outcome *out)
{
    mw_http1 parser;
    mw_http1_init(&parser);
    *out = (outcome){.status = 0};
    mw_buffer_init(&out->log, MW_MEM_NET, 1 << 20);
    feed_copy(&parser, mw_slice_first(text, first), out);
    for (size_t at = first; at < text.len && out->status == 0; at += step)
        feed_copy(&parser, mw_slice_first(mw_slice_from(text, at), step), out);
    mw_http1_fini(&parser);
}

static void check_same(mw_slice text, const outcome *whole, size_t first, size_t step)
{
    outcome cut;
    parse_cut(text, first, step, &cut);
    assert_int_equal(cut.status, whole->status);
    assert_true(mw_slice_equal(mw_buffer_slice(&cut.log), mw_buffer_slice(&whole->log)));
    mw_buffer_fini(&cut.log);
}

static void check(mw_slice text, unsigned status, const char *log)
{
    outcome whole;
    parse_cut(text, text.len, 1, &whole);
    mw_buffer_append_byte(&whole.log, '\0');
    if (whole.status != status || (log && strcmp(whole.log.data, log) != 0))
        print_error("input: %.*s\nstatus %u log %s\nexpected %u %s\n", MW_SLICE_FMT(text),
                    whole.status, whole.log.data, status, log ? log : "-");
    assert_int_equal(whole.status, status);
    if (log)
        assert_string_equal(whole.log.data, log);
    whole.log.len--;
    check_same(text, &whole, 0, 1);
    for (size_t first = 1; first < text.len && text.len < 2000; first++)
        check_same(text, &whole, first, text.len);
    mw_buffer_fini(&whole.log);
}

typedef struct row {
    const char *text;
    unsigned status;
    const char *log; /* NULL = not looked at */
} row;

#define HEAD "POST /v1/traces HTTP/1.1\r\nHost: a\r\n"
#define CHUNKED HEAD "Transfer-Encoding: chunked\r\n\r\n"
#define CHUNKED_LOG "[POST /v1/traces 1.1 host=a n=2 chunked keep host=a transfer-encoding=chunked]"

static const row good[] = {
    {"GET / HTTP/1.1\r\nHost: a\r\n\r\n", 0, "[GET / 1.1 host=a n=1 keep host=a]|"},
    {"\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n", 0, "[GET / 1.1 host=a n=1 keep host=a]|"},
    {"GET / HTTP/1.0\r\n\r\n", 0, "[GET / 1.0 host= n=0]|"},
    {"GET / HTTP/1.1\r\nHOST:a\r\nX-Y: \t b c\t \r\n\r\n", 0,
     "[GET / 1.1 host=a n=2 keep host=a x-y=b c]|"},
    {"GET / HTTP/1.1\r\nHost: a\r\nConnection: x, Close\r\n\r\n", 0,
     "[GET / 1.1 host=a n=2 host=a connection=x, Close]|"},
    {"GET / HTTP/1.1\r\nHost:\r\nX:\r\n\r\n", 0, "[GET / 1.1 host= n=2 keep host= x=]|"},
    {"GET http://b:1/x?y HTTP/1.1\r\nHost: a\r\n\r\n", 0,
     "[GET http://b:1/x?y 1.1 host=a n=1 keep host=a]|"},
    {HEAD "Content-Length: 3\r\n\r\nabcGET / HTTP/1.1\r\nHost: a\r\n\r\n", 0,
     "[POST /v1/traces 1.1 host=a n=2 keep host=a content-length=3]abc|"
     "[GET / 1.1 host=a n=1 keep host=a]|"},
    {HEAD "Content-Length: 0\r\n\r\n", 0,
     "[POST /v1/traces 1.1 host=a n=2 keep host=a content-length=0]|"},
    {HEAD "Content-Length: 2\r\nExpect: 100-Continue\r\n\r\nok", 0,
     "[POST /v1/traces 1.1 host=a n=3 keep expect host=a content-length=2 "
     "expect=100-Continue]ok|"},
    {CHUNKED "3\r\nabc\r\n00A\r\n0123456789\r\n0\r\n\r\n", 0, CHUNKED_LOG "abc0123456789|"},
    {CHUNKED "3;x=\"y\"\r\nabc\r\n1 ;q\r\nd\r\n0;z\r\nTrailer: v\r\nOther: w\r\n\r\n", 0,
     CHUNKED_LOG "abcd|"},
    {CHUNKED "0\r\n\r\nGET / HTTP/1.0\r\n\r\n", 0, CHUNKED_LOG "|[GET / 1.0 host= n=0]|"},
    {HEAD "Transfer-Encoding: Chunked\r\n\r\n0\r\n\r\n", 0, NULL},
    {HEAD "Content-Len", 0, ""},
};

static const row bad[] = {
    /* smuggling: facts bad inputs 20, security 43 */
    {HEAD "Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n", 400, ""},
    {HEAD "Transfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\n", 400, ""},
    {HEAD "Content-Length: 3\r\nContent-Length: 4\r\n\r\nabcd", 400, ""},
    {HEAD "Content-Length: 3, 4\r\n\r\nabcd", 400, ""},
    {HEAD "Content-Length: -1\r\n\r\n", 400, ""},
    {HEAD "Content-Length: +1\r\n\r\n", 400, ""},
    {HEAD "Content-Length: 0x1\r\n\r\n", 400, ""},
    {HEAD "Content-Length:\r\n\r\n", 400, ""},
    {HEAD "Content-Length: 99999999999999999999999\r\n\r\n", 413, ""},
    {HEAD "Content-Length: 9223372036854775808\r\n\r\n", 413, ""},
    {HEAD "Transfer-Encoding: xchunked\r\n\r\n", 400, ""},
    {HEAD "Transfer-Encoding: gzip, chunked\r\n\r\n", 400, ""},
    {HEAD "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n", 400, ""},
    {"POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n", 400, ""},
    {"GET / HTTP/1.1\nHost: a\r\n\r\n", 400, ""},
    {"GET / HTTP/1.1\r\nHost: a\n\n", 400, ""},
    {"GET / HTTP/1.1\r\nHost: a\r\n X: folded\r\n\r\n", 400, ""},
    {"GET / HTTP/1.1\r\nHost: a\r\n\tfolded\r\n\r\n", 400, ""},
    {"GET / HTTP/1.1\r\nHost : a\r\n\r\n", 400, ""},
    {"GET / HTTP/1.1\r\nHost: a\r\nX\x01: b\r\n\r\n", 400, ""},
    {"GET / HTTP/1.1\r\nHost: a\r\nX: b\x01\r\n\r\n", 400, ""},
    {"GET / HTTP/1.1\r\nHost: a\r\nX: b\rc\r\n\r\n", 400, ""},
    {"GET / HTTP/1.1\r\nHost: a\r\n: b\r\n\r\n", 400, ""},
    {"GET / HTTP/1.1\r\nHost: a\r\nno colon\r\n\r\n", 400, ""},
    {"GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n", 400, ""},
    {"GET / HTTP/1.1\r\n\r\n", 400, ""},
    {"GET  / HTTP/1.1\r\nHost: a\r\n\r\n", 400, ""},
    {"GET / HTTP/1.1 \r\nHost: a\r\n\r\n", 400, ""},
    {"GET /\r\nHost: a\r\n\r\n", 400, ""},
    {"GET / HTTP/2.0\r\nHost: a\r\n\r\n", 505, ""},
    {"GET / http/1.1\r\nHost: a\r\n\r\n", 400, ""},
    {"G\xc3T / HTTP/1.1\r\nHost: a\r\n\r\n", 400, ""},
    {"\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n", 400, ""},
    {"\rGET / HTTP/1.1\r\nHost: a\r\n\r\n", 400, ""},
    {"\x16\x03\x01\x02", 400, ""},
    {HEAD "Expect: something\r\n\r\n", 417, ""},
    /* chunks */
    {CHUNKED "\r\n", 400, CHUNKED_LOG},
    {CHUNKED "g\r\n", 400, CHUNKED_LOG},
    {CHUNKED "-1\r\n", 400, CHUNKED_LOG},
    {CHUNKED "0x1\r\n", 400, CHUNKED_LOG},
    {CHUNKED "3\nabc", 400, CHUNKED_LOG},
    {CHUNKED "3 \r\nabc\r\n", 400, CHUNKED_LOG},
    {CHUNKED "3;a\x01\r\nabc\r\n", 400, CHUNKED_LOG},
    {CHUNKED "3;a\rx\r\nabc\r\n", 400, CHUNKED_LOG},
    {CHUNKED "3\r\nabcd\r\n", 400, CHUNKED_LOG "abc"},
    {CHUNKED "3\r\nabc\n0\r\n\r\n", 400, CHUNKED_LOG "abc"},
    {CHUNKED "1000000000000000\r\n", 413, CHUNKED_LOG},
    {CHUNKED "0\r\nbad trailer\r\n\r\n", 400, CHUNKED_LOG},
    {CHUNKED "0\r\nX: y\n\r\n", 400, CHUNKED_LOG},
};

static void test_good(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof good / sizeof *good; i++)
        check(mw_slice_of(good[i].text), good[i].status, good[i].log);
}

static void test_bad(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        check(mw_slice_of(bad[i].text), bad[i].status, bad[i].log);
}

static void test_nul(void **state)
{
    (void)state;
    check(MW_SLICE("GET / HTTP/1.1\r\nHost: a\r\nX: b\0c\r\n\r\n"), 400, "");
    check(MW_SLICE("GET / HTTP/1.1\r\nHost: a\r\nX\0: b\r\n\r\n"), 400, "");
}

/* A head of exactly `total` bytes. */
static void check_size(size_t total, unsigned status)
{
    static char text[MW_NET_HEAD_MAX + 64];
    const char front[] = "GET / HTTP/1.1\r\nHost: a\r\nX: ";
    memset(text, 'v', sizeof text);
    memcpy(text, front, sizeof front - 1);
    memcpy(text + total - 4, "\r\n\r\n", 4);
    check((mw_slice){text, total}, status, NULL);
}

static void test_head_bounds(void **state)
{
    (void)state;
    check_size(MW_NET_HEAD_MAX, 0);
    check_size(MW_NET_HEAD_MAX + 1, 431);
    mw_buffer text;
    for (size_t extra = 0; extra < 2; extra++) {
        mw_buffer_init(&text, MW_MEM_NET, 1 << 20);
        mw_buffer_appendf(&text, "GET / HTTP/1.1\r\nHost: a\r\n");
        for (size_t i = 1; i < MW_NET_HEADERS_MAX + extra; i++)
            mw_buffer_appendf(&text, "x-%zu: y\r\n", i);
        mw_buffer_appendf(&text, "\r\n");
        check(mw_buffer_slice(&text), extra ? 431 : 0, NULL);
        mw_buffer_fini(&text);
    }
}

static void check_repeat(const char *piece, size_t times, const char *end, unsigned status)
{
    mw_buffer text;
    mw_buffer_init(&text, MW_MEM_NET, 1 << 20);
    mw_buffer_append_slice(&text, MW_SLICE(CHUNKED));
    for (size_t i = 0; i < times; i++)
        mw_buffer_append_slice(&text, mw_slice_of(piece));
    mw_buffer_append_slice(&text, mw_slice_of(end));
    check(mw_buffer_slice(&text), status, NULL);
    mw_buffer_fini(&text);
}

static void test_chunk_bounds(void **state)
{
    (void)state;
    check_repeat("1;0123456789\r\nx\r\n", 1000, "0\r\n\r\n", 0);
    check_repeat("1;0123456789\r\nx\r\n", 2000, "0\r\n\r\n", 400);
    check_repeat("0", MW_HTTP1_CHUNK_LINE_MAX, "1\r\nx\r\n", 413);
    check_repeat("1;", 200, "\r\nx\r\n", 400);
    check_repeat("0\r\n", 1, "X: y\r\n\r\n", 0);
    mw_buffer trailers;
    mw_buffer_init(&trailers, MW_MEM_NET, 1 << 20);
    for (size_t i = 0; i < MW_HTTP1_TRAILERS_MAX / 6; i++)
        mw_buffer_append_slice(&trailers, MW_SLICE("X: yz\r\n"));
    mw_buffer_append(&trailers, "\0", 1);
    check_repeat("0\r\n", 1, trailers.data, 431);
    mw_buffer_fini(&trailers);
}

typedef struct target_row {
    const char *target;
    bool ok;
    const char *path, *query, *authority;
} target_row;

static void test_targets(void **state)
{
    (void)state;
    static const target_row rows[] = {
        {"/a/b?c=d?e", true, "/a/b", "c=d?e", "host"},
        {"/", true, "/", "", "host"},
        {"http://x:80/p?q", true, "/p", "q", "x:80"},
        {"HTTPS://x?q", true, "/", "q", "x"},
        {"http://x", true, "/", "", "x"},
        {"http:///p", false, "", "", ""},
        {"*", false, "", "", ""},
        {"a", false, "", "", ""},
        {"", false, "", "", ""},
        {"host:443", false, "", "", ""},
        {"/a#b", false, "", "", ""},
        {"/a b", false, "", "", ""},
        {"/\xc3\xa4", false, "", "", ""},
        {"/\r", false, "", "", ""},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        mw_request request = {.authority = MW_SLICE("host"), .method = MW_SLICE("GET")};
        assert_int_equal(mw_request_set_target(&request, mw_slice_of(rows[i].target)), rows[i].ok);
        if (!rows[i].ok)
            continue;
        assert_true(mw_slice_equal(request.path, mw_slice_of(rows[i].path)));
        assert_true(mw_slice_equal(request.query, mw_slice_of(rows[i].query)));
        assert_true(mw_slice_equal(request.authority, mw_slice_of(rows[i].authority)));
    }
    mw_request options = {.method = MW_SLICE("OPTIONS")};
    assert_true(mw_request_set_target(&options, MW_SLICE("*")));
}

static void test_writer(void **state)
{
    (void)state;
    mw_http_date date = {.second = 0};
    assert_true(mw_slice_equal(mw_http_date_now(&date, 784111777 * MW_NS_PER_S),
                               MW_SLICE("Sun, 06 Nov 1994 08:49:37 GMT")));
    mw_response response = {
        .status = 404, .content_type = MW_SLICE("text/plain"), .body = MW_SLICE("gone\n")};
    mw_response_header(&response, MW_SLICE("allow"), MW_SLICE("GET"));
    mw_http1_answer answer = {.response = &response, .date = MW_SLICE("D"), .close = true};
    mw_out_queue out;
    struct iovec iov;
    mw_out_queue_init(&out);
    mw_http1_write_head(&out, &answer);
    assert_int_equal(mw_out_queue_peek(&out, &iov, 1), 1);
    mw_slice text = mw_slice_bytes(iov.iov_base, iov.iov_len);
    assert_true(mw_slice_equal(
        text, MW_SLICE("HTTP/1.1 404 Not Found\r\ndate: D\r\ncontent-type: text/plain\r\n"
                       "allow: GET\r\ncontent-length: 5\r\nconnection: close\r\n\r\n")));
    mw_out_queue_consume(&out, out.bytes);
    response = (mw_response){.status = 204};
    answer = (mw_http1_answer){.response = &response};
    mw_http1_write_head(&out, &answer);
    assert_int_equal(mw_out_queue_peek(&out, &iov, 1), 1);
    assert_true(mw_slice_equal(mw_slice_bytes(iov.iov_base, iov.iov_len),
                               MW_SLICE("HTTP/1.1 204 No Content\r\n\r\n")));
    mw_out_queue_fini(&out);
}

static void count_release(void *what)
{
    ++*(int *)what;
}

static void test_out_queue(void **state)
{
    (void)state;
    mw_out_queue out;
    struct iovec iov[8];
    int released = 0;
    char block[3000];
    memset(block, 'b', sizeof block);
    mw_out_queue_init(&out);
    mw_out_queue_append(&out, MW_SLICE("head"));
    mw_out_queue_refer(&out, (mw_slice){block, sizeof block}, count_release, &released);
    mw_out_queue_append(&out, (mw_slice){block, sizeof block});
    mw_out_queue_append(&out, (mw_slice){block, sizeof block});
    assert_int_equal(out.bytes, 4 + 3 * sizeof block);
    assert_int_equal(mw_out_queue_peek(&out, iov, 8), 4);
    assert_int_equal(mw_out_queue_peek(&out, iov, 2), 2);
    assert_ptr_equal(iov[1].iov_base, block);
    mw_out_queue_consume(&out, 4 + sizeof block - 1);
    assert_int_equal(released, 0);
    mw_out_queue_consume(&out, 1);
    assert_int_equal(released, 1);
    mw_out_queue_refer(&out, (mw_slice){block, sizeof block}, count_release, &released);
    mw_out_queue_fini(&out);
    assert_int_equal(released, 2);
    assert_int_equal(mw_memory_component_used(MW_MEM_NET), 0);
}

static void test_query(void **state)
{
    (void)state;
    mw_request request = {.query = MW_SLICE("a=1&&b=x%20y+z%zz&c&a=2&d=%4")};
    mw_slice unknown;
    const mw_slice names[] = {MW_SLICE_INIT("a"), MW_SLICE_INIT("b"), MW_SLICE_INIT("c"),
                              MW_SLICE_INIT("d")};
    mw_arena_init(&request.arena, MW_MEM_NET, 0);
    assert_true(mw_slice_equal(mw_request_query(&request, MW_SLICE("a")), MW_SLICE("1")));
    assert_true(mw_slice_equal(mw_request_query(&request, MW_SLICE("b")), MW_SLICE("x y z%zz")));
    assert_true(mw_slice_equal(mw_request_query(&request, MW_SLICE("d")), MW_SLICE("%4")));
    assert_non_null(mw_request_query(&request, MW_SLICE("c")).data);
    assert_null(mw_request_query(&request, MW_SLICE("e")).data);
    assert_true(mw_request_query_known(&request, names, 4, &unknown));
    assert_false(mw_request_query_known(&request, names, 3, &unknown));
    assert_true(mw_slice_equal(unknown, MW_SLICE("d")));
    mw_arena_reset(&request.arena);
    const mw_header headers[] = {{MW_SLICE_INIT("x"), MW_SLICE_INIT("1")},
                                 {MW_SLICE_INIT("y"), {NULL, 0}},
                                 {MW_SLICE_INIT("x"), MW_SLICE_INIT("2")}};
    size_t count = 9;
    request.headers = headers;
    request.header_count = 3;
    assert_true(mw_slice_equal(mw_request_header(&request, MW_SLICE("x"), &count), MW_SLICE("1")));
    assert_int_equal(count, 2);
    assert_non_null(mw_request_header(&request, MW_SLICE("y"), NULL).data);
    assert_null(mw_request_header(&request, MW_SLICE("z"), &count).data);
    assert_int_equal(count, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_good),         cmocka_unit_test(test_bad),
        cmocka_unit_test(test_nul),          cmocka_unit_test(test_head_bounds),
        cmocka_unit_test(test_chunk_bounds), cmocka_unit_test(test_targets),
        cmocka_unit_test(test_writer),       cmocka_unit_test(test_out_queue),
        cmocka_unit_test(test_query),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
