/* The whole room over real sockets, HTTP/1: requests, refusals, order, replies from other
 * threads, clients that vanish, time-outs, drain. HTTP/2 and gRPC: test_net_http2.c. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <zlib.h>

#include "tests/unit/lib-net/net_fixture.h"

typedef struct answer {
    unsigned status;
    char head[4096];
    char *body; /* malloc'ed, terminated */
    size_t body_len;
} answer;

static size_t number_after(const char *head, const char *name)
{
    const char *at = strcasestr(head, name);
    return at ? strtoul(at + strlen(name), NULL, 10) : 0;
}

/* Reads exactly one response. */
static answer read_answer(int fd, bool with_body)
{
    answer a = {.status = 0};
    size_t len = 0;
    while (len < 4 || memcmp(a.head + len - 4, "\r\n\r\n", 4) != 0) {
        if (len == sizeof a.head - 1 || recv(fd, a.head + len, 1, 0) != 1)
            break;
        len++;
    }
    a.head[len] = '\0';
    if (len > 12)
        a.status = (unsigned)strtoul(a.head + 9, NULL, 10);
    a.body_len = with_body ? number_after(a.head, "content-length: ") : 0;
    a.body = calloc(1, a.body_len + 1);
    assert_non_null(a.body);
    size_t got = 0;
    while (got < a.body_len) {
        ssize_t n = recv(fd, a.body + got, a.body_len - got, 0);
        assert_true(n > 0);
        got += (size_t)n;
    }
    return a;
}

static void expect(int fd, unsigned status, const char *in_head, const char *body)
{
    answer a = read_answer(fd, true);
    if (a.status != status)
        print_error("expected %u, got: %s%s\n", status, a.head, a.body);
    assert_int_equal(a.status, status);
    if (in_head && !strcasestr(a.head, in_head))
        fail_msg("no \"%s\" in %s", in_head, a.head);
    if (body && !strstr(a.body, body))
        fail_msg("no \"%s\" in %s", body, a.body);
    free(a.body);
}

/* One request on a fresh connection. */
static void once(mw_port port, const char *request, unsigned status, const char *in_head,
                 const char *body)
{
    int fd = dial(port);
    send_text(fd, request);
    expect(fd, status, in_head, body);
    close(fd);
}

#define GET(path) "GET " path " HTTP/1.1\r\nHost: a\r\n\r\n"
#define POST(path, headers, body) "POST " path " HTTP/1.1\r\nHost: a\r\n" headers "\r\n" body

static void test_requests(void **state)
{
    (void)state;
    once(MW_PORT_WEB, GET("/hello/bob"), 200, "content-type: text/plain\r\n",
         "hello bob from 127.0.0.1 local=0 uid=-1 v1");
    once(MW_PORT_WEB, GET("/hello/b%20b"), 200, "\r\ndate: ", "hello b b from");
    once(MW_PORT_HTTP, POST("/v1/traces", "Content-Length: 5\r\n", "bytes"), 200, NULL, "bytes");
    once(MW_PORT_HTTP, POST("/v1/traces", "Content-Length: 0\r\n", ""), 200,
         "content-length: 0\r\n", "");
    once(MW_PORT_HTTP,
         POST("/v1/traces", "Transfer-Encoding: chunked\r\n",
              "3;x=y\r\nabc\r\n4\r\ndefg\r\n0\r\nT: v\r\n\r\n"),
         200, "content-length: 7", "abcdefg");
    once(MW_PORT_HTTP, POST("/v1/traces/", "Content-Length: 1\r\n", "x"), 200, NULL, "x");
    once(MW_PORT_WEB, "GET http://other:1/hello/x HTTP/1.1\r\nHost: a\r\n\r\n", 200, NULL,
         "hello x");
    int fd = dial(MW_PORT_WEB);
    send_text(fd, "HEAD /hello/bob HTTP/1.1\r\nHost: a\r\n\r\n");
    answer a = read_answer(fd, false);
    assert_int_equal(a.status, 200);
    assert_true(number_after(a.head, "content-length: ") > 10);
    free(a.body);
    send_text(fd, "GET /hello/ten HTTP/1.0\r\n\r\n");
    expect(fd, 200, "connection: close", "hello ten");
    assert_true(closes(fd));
    close(fd);
}

static void test_unix_socket(void **state)
{
    (void)state;
    char text[64];
    snprintf(text, sizeof text, "hello x from unix local=1 uid=%d v1", (int)getuid());
    once(MW_PORT_SOCKET, GET("/hello/x"), 200, NULL, text);
    assert_string_equal(mw_net_endpoint(fx.net, MW_PORT_SOCKET), fx.socket_path);
}

/* Byte by byte, the parser and the protocol's recognition see every cut. */
static void test_slow_bytes(void **state)
{
    (void)state;
    const char request[] = POST("/v1/traces", "Content-Length: 3\r\n", "abc");
    int fd = dial(MW_PORT_HTTP);
    for (size_t i = 0; i < sizeof request - 1; i++) {
        send_bytes(fd, (mw_slice){request + i, 1});
        nap_ms(1);
    }
    expect(fd, 200, NULL, "abc");
    close(fd);
}

static void test_refusals(void **state)
{
    (void)state;
    once(MW_PORT_GRPC, POST("/v1/traces", "Content-Length: 1\r\n", "x"), 404, NULL,
         mw_net_endpoint(fx.net, MW_PORT_HTTP));
    once(MW_PORT_HTTP, GET("/v1/traces"), 405, "allow: POST\r\n", NULL);
    once(MW_PORT_HTTP, POST("/v1/Traces", "Content-Length: 1\r\n", "x"), 404, NULL,
         "did you mean /v1/traces");
    once(MW_PORT_HTTP, POST("/v1/traces", "Content-Encoding: br\r\nContent-Length: 1\r\n", "x"),
         415, "accept-encoding: gzip", NULL);
    once(MW_PORT_HTTP,
         POST("/v1/traces", "Content-Encoding: gzip, gzip\r\nContent-Length: 1\r\n", "x"), 415,
         NULL, NULL);
    once(MW_PORT_GRPC, POST(EXPORT_PATH, "Content-Type: application/grpc\r\n", ""), 415, NULL,
         "HTTP/2");
    once(MW_PORT_HTTP, POST("/v1/traces", "Content-Type: application/grpc-web\r\n", ""), 415, NULL,
         "gRPC-Web");
    once(MW_PORT_WEB, POST("/held", "x-deny: 1\r\nContent-Length: 1\r\n", "x"), 403,
         "retry-after: 2\r\n", "denied");
    once(MW_PORT_WEB, GET("/hello/a%00b"), 400, NULL, "percent escape");
    once(MW_PORT_WEB, "GET /hello/x#y HTTP/1.1\r\nHost: a\r\n\r\n", 400, "connection: close", NULL);
    once(MW_PORT_WEB, "GET /hello/x HTTP/1.1\r\n\r\n", 400, "connection: close", "Host");
    once(MW_PORT_WEB, "GET /hello/x HTTP/3.0\r\nHost: a\r\n\r\n", 505, NULL, NULL);
    once(MW_PORT_WEB, "GET /hello/x HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\nbody", 413,
         NULL, NULL);
    assert_true(mw_counter_value(MW_COUNT_NET_REFUSED_ROUTE) >= 5);
    assert_true(mw_counter_value(MW_COUNT_NET_REFUSED_ACCESS) >= 1);
    assert_int_equal(held_now(), 0);
}

/* A refused request with a body that is short leaves the connection usable. */
static void test_usable_after_refusal(void **state)
{
    (void)state;
    int fd = dial(MW_PORT_HTTP);
    send_text(fd, POST("/nowhere", "Content-Length: 5\r\n", "12345"));
    expect(fd, 404, NULL, NULL);
    send_text(fd, POST("/v1/traces", "x-deny: 1\r\nTransfer-Encoding: chunked\r\n",
                       "3\r\nabc\r\n0\r\n\r\n"));
    expect(fd, 403, NULL, NULL);
    send_text(fd, POST("/v1/traces", "Content-Encoding: gzip\r\nContent-Length: 3\r\n", "abc"));
    expect(fd, 400, NULL, "gzip");
    send_text(fd, POST("/v1/traces", "Content-Length: 2\r\n", "ok"));
    expect(fd, 200, NULL, "ok");
    close(fd);
}

static void test_smuggling(void **state)
{
    (void)state;
    static const char *const requests[] = {
        POST("/v1/traces", "Content-Length: 3\r\nTransfer-Encoding: chunked\r\n", "0\r\n\r\n"),
        POST("/v1/traces", "Content-Length: 3\r\nContent-Length: 4\r\n", "abcd"),
        POST("/v1/traces", "Transfer-Encoding: xchunked\r\n", "0\r\n\r\n"),
        "POST /v1/traces HTTP/1.1\nHost: a\n\n",
        POST("/v1/traces", "Content-Length: 1\r\nX: a\r\n b\r\n", "x"),
    };
    for (size_t i = 0; i < sizeof requests / sizeof *requests; i++) {
        int fd = dial(MW_PORT_HTTP);
        send_text(fd, requests[i]);
        send_text(fd, GET("/second")); /* must never be answered */
        expect(fd, 400, "connection: close", NULL);
        assert_int_equal(recv(fd, &(char){0}, 1, 0), 0);
        close(fd);
    }
}

static void test_too_large(void **state)
{
    (void)state;
    /* Content-Length tells: the answer comes though no byte of the body was sent. */
    once(MW_PORT_HTTP, POST("/v1/traces", "Content-Length: 1048577\r\n", ""), 413, NULL, NULL);
    once(MW_PORT_HTTP, POST("/v1/traces", "Content-Length: 99999999999\r\n", ""), 413,
         "connection: close", NULL);
    /* Exactly the limit is taken, one more is not. */
    char *body = malloc(BODY_LIMIT + 1);
    assert_non_null(body);
    memset(body, 'x', BODY_LIMIT + 1);
    for (size_t extra = 0; extra < 2; extra++) {
        char head[64];
        int fd = dial(MW_PORT_HTTP);
        send_text(fd, "POST /v1/traces HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n");
        snprintf(head, sizeof head, "%zx\r\n", BODY_LIMIT + extra);
        send_text(fd, head);
        send_bytes(fd, (mw_slice){body, BODY_LIMIT + extra});
        send_text(fd, "\r\n0\r\n\r\n");
        answer a = read_answer(fd, true);
        assert_int_equal(a.status, extra ? 413 : 200);
        if (!extra)
            assert_int_equal(a.body_len, BODY_LIMIT);
        free(a.body);
        close(fd);
    }
    free(body);
}

/* A client that sends without end reads its 413, not a reset. */
static void test_answer_survives_flood(void **state)
{
    (void)state;
    static char block[1 << 16];
    int fd = dial(MW_PORT_HTTP);
    send_text(fd, POST("/v1/traces", "Content-Length: 4000000\r\n", ""));
    for (int i = 0; i < 60; i++)
        send_bytes(fd, (mw_slice){block, sizeof block});
    expect(fd, 413, "connection: close", NULL);
    assert_true(closes(fd));
    close(fd);
}

static size_t gzip_text(const char *text, size_t len, char *out, size_t size)
{
    z_stream z = {0};
    assert_int_equal(deflateInit2(&z, 6, Z_DEFLATED, 31, 8, Z_DEFAULT_STRATEGY), Z_OK);
    z.next_in = (Bytef *)(uintptr_t)text;
    z.avail_in = (uInt)len;
    z.next_out = (Bytef *)out;
    z.avail_out = (uInt)size;
    assert_int_equal(deflate(&z, Z_FINISH), Z_STREAM_END);
    deflateEnd(&z);
    return size - z.avail_out;
}

static void post_gzip(const char *coding, mw_slice body, unsigned status, const char *text)
{
    char head[256];
    int fd = dial(MW_PORT_HTTP);
    snprintf(head, sizeof head,
             POST("/v1/traces", "Content-Encoding: %s\r\nContent-Length: %zu\r\n", ""), coding,
             body.len);
    send_text(fd, head);
    send_bytes(fd, body);
    expect(fd, status, NULL, text);
    close(fd);
}

static void test_gzip(void **state)
{
    (void)state;
    static char packed[1 << 16];
    char *zeros = calloc(1, BODY_LIMIT + 1);
    assert_non_null(zeros);
    size_t len = gzip_text("zipped text", 11, packed, sizeof packed);
    post_gzip("gzip", (mw_slice){packed, len}, 200, "zipped text");
    post_gzip("GZip", (mw_slice){packed, len}, 200, "zipped text");
    post_gzip("identity", MW_SLICE("plain"), 200, "plain");
    post_gzip("gzip", (mw_slice){packed, len - 1}, 400, "gzip");
    packed[len] = 'x';
    post_gzip("gzip", (mw_slice){packed, len + 1}, 400, "gzip");
    packed[len - 6] ^= 1;
    post_gzip("gzip", (mw_slice){packed, len}, 400, "gzip");
    len = gzip_text(zeros, BODY_LIMIT, packed, sizeof packed);
    post_gzip("gzip", (mw_slice){packed, len}, 200, NULL);
    len = gzip_text(zeros, BODY_LIMIT + 1, packed, sizeof packed);
    post_gzip("gzip", (mw_slice){packed, len}, 413, "decompressed");
    free(zeros);
}

static void test_expect(void **state)
{
    (void)state;
    int fd = dial(MW_PORT_HTTP);
    send_text(fd, POST("/v1/traces", "Expect: 100-continue\r\nContent-Length: 4\r\n", ""));
    expect(fd, 100, NULL, NULL);
    send_text(fd, "body");
    expect(fd, 200, NULL, "body");
    send_text(fd, POST("/v1/traces", "Expect: 100-continue\r\nContent-Length: 2000000\r\n", ""));
    expect(fd, 413, "connection: close", NULL);
    assert_true(closes(fd));
    close(fd);
    once(MW_PORT_HTTP, POST("/v1/traces", "Expect: wonders\r\nContent-Length: 4\r\n", "body"), 417,
         NULL, NULL);
}

static void test_pipelining(void **state)
{
    (void)state;
    int fd = dial(MW_PORT_WEB);
    send_text(fd, GET("/hello/1") POST("/held", "Content-Length: 3\r\n", "two") GET("/hello/3")
                      GET("/nowhere") GET("/hello/5"));
    expect(fd, 200, NULL, "hello 1");
    WAIT_UNTIL(held_now() == 1);
    struct pollfd early = {.fd = fd, .events = POLLIN};
    assert_int_equal(poll(&early, 1, 50), 0); /* the third waits for the second */
    assert_int_equal(mw_net_in_flight(fx.net), 1);
    release_held();
    expect(fd, 200, NULL, "two");
    expect(fd, 200, NULL, "hello 3");
    expect(fd, 404, NULL, NULL);
    expect(fd, 200, NULL, "hello 5");
    WAIT_UNTIL(mw_net_in_flight(fx.net) == 0);
    close(fd);
}

/* More requests than one read takes, all at once. */
static void test_many_pipelined(void **state)
{
    (void)state;
    const size_t count = 8000;
    const char request[] = GET("/hello/n");
    size_t len = sizeof request - 1;
    char *all = malloc(count * len);
    assert_non_null(all);
    for (size_t i = 0; i < count; i++)
        memcpy(all + i * len, request, len);
    int fd = dial(MW_PORT_WEB);
    for (size_t at = 0; at < count; at += 1000) { /* both sides' socket buffers are finite */
        send_bytes(fd, (mw_slice){all + at * len, 1000 * len});
        for (size_t i = 0; i < 1000; i++)
            expect(fd, 200, NULL, "hello n");
    }
    free(all);
    close(fd);
}

/* A half-closed client still gets the answers to all it sent. */
static void test_half_close(void **state)
{
    (void)state;
    int fd = dial(MW_PORT_WEB);
    send_text(fd, POST("/held", "Content-Length: 1\r\n", "x") GET("/hello/late"));
    shutdown(fd, SHUT_WR);
    WAIT_UNTIL(held_now() == 1);
    WAIT_UNTIL(held_client(0) == MW_CLIENT_HUNG_UP);
    release_held();
    expect(fd, 200, NULL, "x");
    expect(fd, 200, NULL, "hello late");
    assert_true(closes(fd));
    close(fd);
}

static void test_client_gone(void **state)
{
    (void)state;
    for (int way = 0; way < 2; way++) {
        int fds[8];
        for (int i = 0; i < 8; i++) {
            fds[i] = dial(MW_PORT_WEB);
            send_text(fds[i], POST("/held", "Content-Length: 4\r\n", "body"));
        }
        WAIT_UNTIL(held_now() == 8);
        for (size_t i = 0; i < 8; i++)
            assert_int_equal(held_client(i), MW_CLIENT_WAITS);
        for (int i = 0; i < 8; i++)
            way ? reset_by_client(fds[i]) : close(fds[i]);
        for (size_t i = 0; i < 8; i++)
            WAIT_UNTIL(held_client(i) == (way ? MW_CLIENT_GONE : MW_CLIENT_HUNG_UP));
        if (way)
            WAIT_UNTIL(mw_net_connections(fx.net) == 0);
        assert_int_equal(mw_net_in_flight(fx.net), 8); /* the handlers still own them */
        release_held();
        WAIT_UNTIL(mw_net_in_flight(fx.net) == 0);
        WAIT_UNTIL(mw_net_connections(fx.net) == 0);
    }
    int fd = dial(MW_PORT_WEB); /* gone in the middle of a body */
    send_text(fd, POST("/held", "Content-Length: 400\r\n", "part"));
    nap_ms(20);
    close(fd);
    WAIT_UNTIL(mw_net_connections(fx.net) == 0);
    assert_int_equal(held_now(), 0);
}

static void test_big_answer(void **state)
{
    (void)state;
    int fd = dial(MW_PORT_WEB);
    send_text(fd, GET("/big") GET("/hello/after"));
    nap_ms(100); /* the server's socket buffer fills: it has to wait for us */
    answer a = read_answer(fd, true);
    assert_int_equal(a.body_len, BIG_SIZE);
    for (size_t i = 0; i < a.body_len; i++)
        if (a.body[i] != (char)('a' + i % 23))
            fail_msg("byte %zu differs", i);
    free(a.body);
    expect(fd, 200, NULL, "hello after");
    close(fd);
}

static void test_header_injection(void **state)
{
    (void)state;
    int fd = dial(MW_PORT_WEB);
    send_text(fd, GET("/injecting"));
    answer a = read_answer(fd, true);
    assert_null(strstr(a.head, "\nx-evil"));
    assert_non_null(strstr(a.head, "x-note: a  x-evil: b\r\n"));
    free(a.body);
    close(fd);
}

static void test_tls_hello(void **state)
{
    (void)state;
    uint64_t before = mw_counter_value(MW_COUNT_NET_REFUSED_TLS);
    int fd = dial(MW_PORT_HTTP);
    send_bytes(fd, MW_SLICE("\x16\x03\x01\x02\x00\x01"));
    assert_true(closes(fd));
    assert_int_equal(mw_counter_value(MW_COUNT_NET_REFUSED_TLS), before + 1);
    close(fd);
}

/* Until the server has read and looked at that many more bytes than `before`. */
static void wait_read(uint64_t before, size_t bytes)
{
    WAIT_UNTIL(mw_counter_value(MW_COUNT_NET_BYTES_IN) >= before + bytes);
    nap_ms(30);
}

static void test_timeouts(void **state)
{
    (void)state;
    static const char half_head[] = "GET /hello/x HTTP/1.1\r\nHo";
    static const char half_body[] = POST("/held", "Content-Length: 4000\r\n", "part");
    static const char half_preface[] = "PRI * HT";
    uint64_t before = mw_counter_value(MW_COUNT_NET_BYTES_IN);
    int silent = dial(MW_PORT_WEB);
    int head = dial(MW_PORT_WEB);
    int body = dial(MW_PORT_WEB);
    int kept = dial(MW_PORT_WEB);
    int preface = dial(MW_PORT_WEB);
    send_text(head, half_head);
    send_text(body, half_body);
    send_text(preface, half_preface);
    send_text(kept, GET("/hello/x"));
    expect(kept, 200, NULL, NULL);
    wait_read(before, sizeof half_head + sizeof half_body + sizeof half_preface - 3 +
                          strlen(GET("/hello/x")));
    WAIT_UNTIL(mw_net_connections(fx.net) == 5);
    push_clock(6);
    expect(body, 408, "connection: close", NULL);
    push_clock(5);
    assert_true(closes(silent));
    assert_true(closes(preface));
    expect(head, 408, "connection: close", NULL);
    assert_true(closes(head));
    send_text(kept, GET("/hello/x")); /* 11 s are nothing between requests */
    expect(kept, 200, NULL, NULL);
    WAIT_UNTIL(mw_net_in_flight(fx.net) == 0); /* its answer is written, its rest begins */
    push_clock(301);
    assert_true(closes(kept));
    close(silent), close(head), close(body), close(kept), close(preface);
    WAIT_UNTIL(mw_net_connections(fx.net) == 0);
}

/* A body that is slow but moves is not cut off. */
static void test_steady_body(void **state)
{
    (void)state;
    static char block[2048];
    int fd = dial(MW_PORT_HTTP);
    memset(block, 'x', sizeof block);
    send_text(fd, POST("/v1/traces", "Content-Length: 8192\r\n", ""));
    for (int i = 0; i < 3; i++) {
        uint64_t before = mw_counter_value(MW_COUNT_NET_BYTES_IN);
        send_bytes(fd, (mw_slice){block, sizeof block});
        wait_read(before, sizeof block);
        push_clock(5);
        nap_ms(1100); /* a sweep */
    }
    send_bytes(fd, (mw_slice){block, sizeof block});
    expect(fd, 200, NULL, NULL);
    close(fd);
}

static void test_write_stall(void **state)
{
    (void)state;
    int fd = dial(MW_PORT_WEB);
    uint64_t before = mw_counter_value(MW_COUNT_NET_BYTES_OUT);
    send_text(fd, GET("/big"));
    WAIT_UNTIL(mw_counter_value(MW_COUNT_NET_BYTES_OUT) > before);
    nap_ms(200);
    assert_int_equal(mw_net_connections(fx.net), 1);
    push_clock(31);
    WAIT_UNTIL(mw_net_connections(fx.net) == 0);
    close(fd);
}

/* An answer that was given counts where it was put together until it is written, and no more of it
 * than it has. */
static void test_given_answer(void **state)
{
    (void)state;
    int fd = dial(MW_PORT_WEB);
    send_text(fd, GET("/given"));
    answer a = read_answer(fd, true);
    assert_int_equal(a.body_len, BIG_SIZE);
    free(a.body);
    WAIT_UNTIL(mw_memory_component_used(MW_MEM_QUERY) == 0);
    send_text(fd, "HEAD /given HTTP/1.1\r\nHost: x\r\n\r\n");
    WAIT_UNTIL(mw_memory_component_used(MW_MEM_QUERY) == 0);
    close(fd);
    fd = dial(MW_PORT_WEB);
    assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &(int){4096}, sizeof(int)), 0);
    send_text(fd, GET("/given"));
    WAIT_UNTIL(mw_memory_component_used(MW_MEM_QUERY) >= BIG_SIZE);
    /* While it is put together the buffer is larger. */
    WAIT_UNTIL(mw_memory_component_used(MW_MEM_QUERY) < BIG_SIZE + BIG_SIZE / 16);
    nap_ms(50);
    assert_true(mw_memory_component_used(MW_MEM_QUERY) >= BIG_SIZE);
    assert_true(mw_memory_component_used(MW_MEM_NET) < BIG_SIZE / 4);
    close(fd);
    WAIT_UNTIL(mw_memory_component_used(MW_MEM_QUERY) == 0);
}

static void test_memory_short(void **state)
{
    (void)state;
    uint64_t before = mw_counter_value(MW_COUNT_NET_WAITED_BODY);
    void *hog = mw_alloc(MW_MEM_BASE, (size_t)16 << 20);
    mw_memory_init(mw_memory_used() + ((size_t)5 << 20));
    mw_memory_reserve((size_t)4 << 20); /* below the ceiling 1 MiB is left, less than an eighth */
    mw_memory_reservation_use(true);
    void *taken = mw_alloc(MW_MEM_BASE, 100);
    mw_memory_reservation_use(false);
    int fd = dial(MW_PORT_HTTP);
    send_text(fd, POST("/v1/traces", "Content-Length: 4\r\n", "body"));
    WAIT_UNTIL(mw_counter_value(MW_COUNT_NET_WAITED_BODY) == before + 1);
    push_clock(4);
    expect(fd, 503, "retry-after: 1\r\n", "memory");
    close(fd);
    mw_memory_reservation_end();
    mw_free(MW_MEM_BASE, taken);
    mw_memory_init(0);
    mw_free(MW_MEM_BASE, hog);
    once(MW_PORT_HTTP, POST("/v1/traces", "Content-Length: 4\r\n", "body"), 200, NULL, "body");
}

static void test_connection_limit(void **state)
{
    (void)state;
    int first = dial(MW_PORT_WEB);
    int second = dial(MW_PORT_WEB);
    send_text(first, GET("/hello/1"));
    expect(first, 200, NULL, NULL);
    send_text(second, GET("/hello/2"));
    expect(second, 200, NULL, NULL);
    int third = dial(MW_PORT_WEB);
    assert_true(closes(third));
    close(second);
    WAIT_UNTIL(mw_net_connections(fx.net) == 1);
    once(MW_PORT_WEB, GET("/hello/4"), 200, NULL, NULL);
    close(first), close(third);
}

/* Of 64: an eighth is kept for the web port, which gets half at most; 16 beside them for the
 * socket. */
static void fill(mw_port port, int *sockets, size_t count)
{
    size_t before = mw_net_connections(fx.net);
    for (size_t i = 0; i < count; i++)
        sockets[i] = dial(port);
    WAIT_UNTIL(mw_net_connections(fx.net) == before + count);
}

/* Who sees the refusal finds it counted, and no place taken by it. */
static void expect_full(mw_port port)
{
    size_t connections = mw_net_connections(fx.net);
    uint64_t refused = mw_counter_value(MW_COUNT_NET_REFUSED_MEMORY);
    int fd = dial(port);
    assert_true(closes(fd));
    assert_int_equal(mw_net_connections(fx.net), connections);
    assert_int_equal(mw_counter_value(MW_COUNT_NET_REFUSED_MEMORY), refused + 1);
    close(fd);
}

static void test_connection_shares(void **state)
{
    (void)state;
    int sockets[64 + 16];
    uint64_t before = mw_counter_value(MW_COUNT_NET_REFUSED_MEMORY);
    fill(MW_PORT_HTTP, sockets, 30);
    fill(MW_PORT_GRPC, sockets + 30, 26);
    expect_full(MW_PORT_HTTP);
    expect_full(MW_PORT_GRPC);
    once(MW_PORT_WEB, GET("/hello/web"), 200, NULL, NULL);
    WAIT_UNTIL(mw_net_connections(fx.net) == 56);
    fill(MW_PORT_WEB, sockets + 56, 8);
    expect_full(MW_PORT_WEB);
    assert_int_equal(mw_counter_value(MW_COUNT_NET_REFUSED_MEMORY), before + 3);
    fill(MW_PORT_SOCKET, sockets + 64, 15);
    once(MW_PORT_SOCKET, GET("/hello/socket"), 200, NULL, NULL);
    WAIT_UNTIL(mw_net_connections(fx.net) == 64 + 15);
    fill(MW_PORT_SOCKET, sockets + 64 + 15, 1);
    expect_full(MW_PORT_SOCKET);
    for (size_t i = 0; i < 64 + 16; i++)
        close(sockets[i]);
    WAIT_UNTIL(mw_net_connections(fx.net) == 0);
    /* Beyond its own the socket takes what is free. */
    fill(MW_PORT_WEB, sockets, 32);
    expect_full(MW_PORT_WEB);
    fill(MW_PORT_SOCKET, sockets + 32, 20);
    fill(MW_PORT_HTTP, sockets + 52, 28);
    expect_full(MW_PORT_HTTP);
    expect_full(MW_PORT_SOCKET);
    for (size_t i = 0; i < 64 + 16; i++)
        close(sockets[i]);
    WAIT_UNTIL(mw_net_connections(fx.net) == 0);
}

static int set_up_64(void **state)
{
    (void)state;
    start_server(64);
    return 0;
}

static int set_up_small(void **state)
{
    (void)state;
    start_server(4); /* the web port gets half */
    return 0;
}

static void *drain_long(void *arg)
{
    (void)arg;
    mw_net_drain(fx.net, PATIENCE_MS);
    return NULL;
}

/* Idle connections enough that each loop has one: when all are closed, every loop knows. */
#define IDLE_CONNECTIONS 8

static void test_drain(void **state)
{
    (void)state;
    pthread_t thread;
    int idle[IDLE_CONNECTIONS];
    for (size_t i = 0; i < IDLE_CONNECTIONS; i++) {
        idle[i] = dial(MW_PORT_WEB);
        send_text(idle[i], GET("/hello/x"));
        expect(idle[i], 200, NULL, NULL);
    }
    int busy = dial(MW_PORT_WEB);
    send_text(busy, POST("/held", "Content-Length: 4\r\n", "last"));
    WAIT_UNTIL(held_now() == 1);
    assert_int_equal(pthread_create(&thread, NULL, drain_long, NULL), 0);
    for (size_t i = 0; i < IDLE_CONNECTIONS; i++) {
        assert_true(closes(idle[i]));
        close(idle[i]);
    }
    assert_int_equal(mw_net_in_flight(fx.net), 1);
    release_held();
    expect(busy, 200, "connection: close", "last");
    assert_true(closes(busy));
    assert_int_equal(pthread_join(thread, NULL), 0);
    assert_int_equal(mw_net_connections(fx.net), 0);
    close(busy);
}

/* The time is up before the handler answers: the reply comes after the close, and is dropped. */
static void test_drain_cut_short(void **state)
{
    (void)state;
    int fd = dial(MW_PORT_WEB);
    send_text(fd, POST("/held", "Content-Length: 4\r\n", "late"));
    WAIT_UNTIL(held_now() == 1);
    mw_net_drain(fx.net, 50);
    assert_true(closes(fd));
    assert_int_equal(mw_net_connections(fx.net), 0);
    assert_int_equal(mw_net_in_flight(fx.net), 1);
    release_held();
    WAIT_UNTIL(mw_net_in_flight(fx.net) == 0);
    close(fd);
}

static void test_start_errors(void **state)
{
    (void)state;
    mw_detail detail;
    mw_net *net = NULL;
    mw_net_config config = {.grpc_address = "nonsense", .loops = 1};
    assert_int_equal(mw_net_start(&config, &net, &detail), MW_E_INVALID);
    assert_null(net);
    assert_string_equal(detail.field, "grpc");
    config.grpc_address = NULL;
    config.http_address = mw_net_endpoint(fx.net, MW_PORT_HTTP);
    assert_int_equal(mw_net_start(&config, &net, &detail), MW_E_CONFLICT);
    assert_string_equal(detail.field, "http");
    config.http_address = NULL;
    config.socket_path = fx.socket_path;
    assert_int_equal(mw_net_start(&config, &net, &detail), MW_E_CONFLICT);
    once(MW_PORT_SOCKET, GET("/hello/x"), 200, NULL, NULL); /* it was left alone */
}

/* Eight clients at once, each reusing its connection: what the thread sanitizer looks at. */
static void *hammer(void *arg)
{
    (void)arg;
    int fd = dial(MW_PORT_HTTP);
    for (int i = 0; i < 200; i++) {
        char request[256];
        char text[32];
        snprintf(text, sizeof text, "%08d", i);
        snprintf(request, sizeof request, POST("/v1/traces", "Content-Length: 8\r\n", "%s"), text);
        send_text(fd, request);
        expect(fd, 200, NULL, text);
    }
    close(fd);
    return NULL;
}

static void test_parallel(void **state)
{
    (void)state;
    pthread_t threads[8];
    for (int i = 0; i < 8; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, hammer, NULL), 0);
    for (int i = 0; i < 8; i++)
        assert_int_equal(pthread_join(threads[i], NULL), 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_requests),
        TEST(test_unix_socket),
        TEST(test_slow_bytes),
        TEST(test_refusals),
        TEST(test_usable_after_refusal),
        TEST(test_smuggling),
        TEST(test_too_large),
        TEST(test_answer_survives_flood),
        TEST(test_gzip),
        TEST(test_expect),
        TEST(test_pipelining),
        TEST(test_many_pipelined),
        TEST(test_half_close),
        TEST(test_client_gone),
        TEST(test_big_answer),
        TEST(test_header_injection),
        TEST(test_tls_hello),
        TEST(test_timeouts),
        TEST(test_steady_body),
        TEST(test_write_stall),
        TEST(test_memory_short),
        TEST(test_given_answer),
        cmocka_unit_test_setup_teardown(test_connection_limit, set_up_small, tear_down),
        cmocka_unit_test_setup_teardown(test_connection_shares, set_up_64, tear_down),
        TEST(test_drain),
        TEST(test_drain_cut_short),
        TEST(test_start_errors),
        TEST(test_parallel),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
