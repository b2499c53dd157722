/* The whole room over real sockets, HTTP/2 and gRPC, against a hand-driven nghttp2 client. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <nghttp2/nghttp2.h>
#include <zlib.h>

#include "tests/unit/lib-net/h2_client.h"

static call *grpc(const char *path, mw_slice body)
{
    return ask_and_wait(&(ask){.path = path, .type = "application/grpc", .body = body});
}

/* ---- calls ----------------------------------------------------------------------------------- */

static void expect_success(const call *one, mw_slice message)
{
    assert_int_equal(one->status, 200);
    assert_int_equal(one->grpc, 0);
    assert_string_equal(one->type, "application/grpc");
    assert_int_equal(one->heads, 2); /* head and trailers */
    assert_true(one->ended);
    assert_int_equal(one->in_len, 5 + message.len);
    assert_int_equal(one->in[0], 0);
    assert_int_equal((unsigned char)one->in[3] << 8 | (unsigned char)one->in[4], message.len);
    assert_memory_equal(one->in + 5, message.data, message.len);
}

/* Trailers alone. */
static void expect_error(const call *one, int code, const char *words)
{
    if (one->grpc != code)
        print_error("grpc-status %d (%s), expected %d\n", one->grpc, one->message, code);
    assert_int_equal(one->status, 200);
    assert_int_equal(one->grpc, code);
    assert_int_equal(one->heads, 1);
    assert_true(one->ended);
    assert_int_equal(one->in_len, 0);
    if (words && !strstr(one->message, words))
        fail_msg("no \"%s\" in \"%s\"", words, one->message);
}

static void test_unary(void **state)
{
    (void)state;
    open_client(MW_PORT_GRPC);
    expect_success(grpc(EXPORT_PATH, MW_SLICE("\0\0\0\0\5hello")), MW_SLICE("hello"));
    expect_success(grpc(EXPORT_PATH, MW_SLICE("\0\0\0\0\0")), MW_SLICE(""));
    call *one = ask_and_wait(&(ask){.path = EXPORT_PATH,
                                    .type = "application/grpc+proto",
                                    .name = "grpc-timeout",
                                    .value = "1500m",
                                    .body = MW_SLICE("\0\0\0\0\1x")});
    expect_success(one, MW_SLICE("x"));
    assert_int_equal(atomic_load(&fx.deadline_ns), 1500 * MW_NS_PER_MS);
    one = grpc("/test.Failing/Call", MW_SLICE("\0\0\0\0\0"));
    expect_error(one, 3, "b%C3%A4d %25");
    assert_string_equal(one->details, "CAM");
    close_client();
}

/* What the server announced: a 10 MB export is not held up by windows, nor a gateway's calls by the
 * number of streams. */
static void test_announced(void **state)
{
    (void)state;
    open_client(MW_PORT_GRPC);
    expect_success(grpc(EXPORT_PATH, MW_SLICE("\0\0\0\0\1x")), MW_SLICE("x"));
    nghttp2_session *s = c->session;
    assert_true(nghttp2_session_get_remote_settings(s, NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE) >
                10000000);
    assert_true(nghttp2_session_get_remote_window_size(s) > 10000000);
    assert_true(nghttp2_session_get_remote_settings(s, NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS) >=
                100);
    close_client();
}

/* The message of a real client, compressed as it sent it. */
static void test_capture(void **state)
{
    (void)state;
    char body[2048];
    FILE *file = fopen("tests/data/otlp-captures/logs-basic-grpc-gzip.bin", "rb");
    assert_non_null(file);
    size_t len = fread(body, 1, sizeof body, file);
    fclose(file);
    open_client(MW_PORT_GRPC);
    ask a = {.path = EXPORT_PATH,
             .type = "application/grpc",
             .name = "grpc-encoding",
             .value = "gzip",
             .body = {body, len}};
    call *one = ask_and_wait(&a);
    assert_int_equal(one->grpc, 0);
    assert_int_equal(one->in_len, 5 + 642);
    a.body.len--; /* the prefix no longer describes what follows */
    expect_error(ask_and_wait(&a), MW_RPC_INVALID_ARGUMENT, NULL);
    a.body.len++;
    body[len - 6] ^= 1; /* CRC */
    expect_error(ask_and_wait(&a), MW_RPC_INTERNAL, "gzip");
    close_client();
}

typedef struct row {
    mw_port port;
    const char *path, *type, *name, *value;
    mw_slice body;
    int code;
    const char *words;
} row;

#define GRPC "application/grpc"
static const row rows[] = {
    {MW_PORT_GRPC, "/no.Such/Method", GRPC, 0, 0, MW_SLICE_INIT("\0\0\0\0\0"), 12, "Unknown gRPC"},
    {MW_PORT_HTTP, EXPORT_PATH, GRPC, 0, 0, MW_SLICE_INIT("\0\0\0\0\0"), 12, "OTLP/gRPC port"},
    {MW_PORT_HTTP, "/v1/traces", GRPC, 0, 0, MW_SLICE_INIT("\0\0\0\0\0"), 12, "plain HTTP"},
    {MW_PORT_GRPC, EXPORT_PATH, GRPC, "x-deny", "1", MW_SLICE_INIT("\0\0\0\0\0"), 7, "denied"},
    {MW_PORT_GRPC, EXPORT_PATH, GRPC, 0, 0, MW_SLICE_INIT("\7\0\0\0\1x"), 13, "flag"},
    {MW_PORT_GRPC, EXPORT_PATH, GRPC, 0, 0, MW_SLICE_INIT("\1\0\0\0\1x"), 13, "grpc-encoding"},
    {MW_PORT_GRPC, EXPORT_PATH, GRPC, "grpc-encoding", "identity", MW_SLICE_INIT("\1\0\0\0\1x"), 13,
     "grpc-encoding"},
    {MW_PORT_GRPC, EXPORT_PATH, GRPC, 0, 0, MW_SLICE_INIT("\0\0\0\0\2x"), 3, "ended"},
    {MW_PORT_GRPC, EXPORT_PATH, GRPC, 0, 0, MW_SLICE_INIT(""), 3, "ended"},
    {MW_PORT_GRPC, EXPORT_PATH, GRPC, 0, 0, MW_SLICE_INIT("\0\0\0\0\1xy"), 13, "one message"},
    {MW_PORT_GRPC, EXPORT_PATH, GRPC, 0, 0, MW_SLICE_INIT("\0\0\0\0\0\0\0\0\0\0"), 13,
     "one message"},
    {MW_PORT_GRPC, EXPORT_PATH, GRPC, "grpc-timeout", "soon", MW_SLICE_INIT("\0\0\0\0\0"), 3,
     "grpc-timeout"},
    {MW_PORT_GRPC, EXPORT_PATH, GRPC, 0, 0, MW_SLICE_INIT("\0\0\x10\0\1x"), 8, "larger"},
};

static void test_bad_calls(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        const row *r = &rows[i];
        open_client(r->port);
        ask a = {
            .path = r->path, .type = r->type, .name = r->name, .value = r->value, .body = r->body};
        expect_error(ask_and_wait(&a), r->code, r->words);
        close_client();
    }
}

/* The answer comes as soon as the prefix is seen; the client is told to stop sending. */
static void test_announced_too_large(void **state)
{
    (void)state;
    open_client(MW_PORT_GRPC);
    ask a = {.path = EXPORT_PATH,
             .type = GRPC,
             .body = MW_SLICE("\0\377\377\377\377"),
             .keep_open = true};
    call *one = ask_and_wait(&a);
    expect_error(one, 8, "larger");
    assert_int_equal(one->error, NGHTTP2_NO_ERROR);
    a.name = "grpc-encoding";
    a.value = "snappy";
    one = ask_and_wait(&a);
    expect_error(one, 12, "grpc-encoding");
    assert_string_equal(one->accept, "identity,gzip");
    expect_success(grpc(EXPORT_PATH, MW_SLICE("\0\0\0\0\1y")), MW_SLICE("y"));
    close_client();
}

static void test_gzip_bomb(void **state)
{
    (void)state;
    static char body[1 << 15];
    char *zeros = calloc(1, BODY_LIMIT + 1);
    z_stream z = {0};
    assert_non_null(zeros);
    assert_int_equal(deflateInit2(&z, 9, Z_DEFLATED, 31, 8, Z_DEFAULT_STRATEGY), Z_OK);
    z.next_in = (Bytef *)zeros;
    z.avail_in = BODY_LIMIT + 1;
    z.next_out = (Bytef *)body + 5;
    z.avail_out = sizeof body - 5;
    assert_int_equal(deflate(&z, Z_FINISH), Z_STREAM_END);
    size_t len = z.total_out;
    deflateEnd(&z);
    free(zeros);
    memcpy(body, (char[]){1, 0, 0, (char)(len >> 8), (char)(len & 255)}, 5);
    open_client(MW_PORT_GRPC);
    ask a = {.path = EXPORT_PATH,
             .type = GRPC,
             .name = "grpc-encoding",
             .value = "gzip",
             .body = {body, len + 5}};
    expect_error(ask_and_wait(&a), 8, "decompressed");
    close_client();
}

/* Everything is on every port; what is not gRPC is answered as plain HTTP. */
static void test_plain_http(void **state)
{
    (void)state;
    open_client(MW_PORT_WEB);
    call *one = ask_and_wait(&(ask){.method = "GET", .path = "/hello/bob"});
    assert_int_equal(one->status, 200);
    assert_string_equal(one->in, "hello bob from 127.0.0.1 local=0 uid=-1 v2");
    one = ask_and_wait(&(ask){.method = "HEAD", .path = "/hello/bob"});
    assert_int_equal(one->status, 200);
    assert_int_equal(one->in_len, 0);
    one = ask_and_wait(&(ask){.method = "GET", .path = "/nowhere"});
    assert_int_equal(one->status, 404);
    one = ask_and_wait(&(ask){.path = "/hello/bob"});
    assert_int_equal(one->status, 405);
    one = ask_and_wait(&(ask){.method = "GET", .path = "/hello/a%00"});
    assert_int_equal(one->status, 400);
    one = ask_and_wait(&(ask){.method = "GET", .path = "/given"});
    assert_int_equal(one->in_len, BIG_SIZE);
    one = ask_and_wait(&(ask){.method = "GET", .path = "/big"});
    assert_int_equal(one->in_len, BIG_SIZE);
    for (size_t i = 0; i < BIG_SIZE; i++)
        if (one->in[i] != (char)('a' + i % 23))
            fail_msg("byte %zu differs", i);
    one = ask_and_wait(&(ask){.method = "GET", .path = "/hello/x", .name = "host", .value = "b"});
    assert_int_equal(one->status, 400);
    close_client();
    open_client(MW_PORT_GRPC);
    one = ask_and_wait(
        &(ask){.path = EXPORT_PATH, .type = "application/grpc-web+proto", .body = MW_SLICE("x")});
    assert_int_equal(one->status, 415);
    one = ask_and_wait(
        &(ask){.path = EXPORT_PATH, .type = "application/json", .body = MW_SLICE("{}")});
    assert_int_equal(one->status, 415);
    close_client();
    open_client(MW_PORT_HTTP);
    one = ask_and_wait(&(ask){.path = "/v1/traces", .body = MW_SLICE("over h2")});
    assert_string_equal(one->in, "over h2");
    close_client();
}

/* 10 MB in one window of 1 MiB a stream would not fit the route; near its limit it does. */
static void test_large_body(void **state)
{
    (void)state;
    char *body = malloc(BODY_LIMIT + 5);
    assert_non_null(body);
    memset(body, 'x', BODY_LIMIT + 5);
    memcpy(body, "\0\0\x10\0\0", 5);
    open_client(MW_PORT_GRPC);
    call *one = grpc(EXPORT_PATH, (mw_slice){body, BODY_LIMIT + 5});
    assert_int_equal(one->grpc, 0);
    assert_int_equal(one->in_len, BODY_LIMIT + 5);
    assert_memory_equal(one->in + 5, body + 5, BODY_LIMIT);
    close_client();
    free(body);
}

static void test_parallel_streams(void **state)
{
    (void)state;
    static char bodies[64][16];
    open_client(MW_PORT_GRPC);
    for (int i = 0; i < 64; i++) {
        memcpy(bodies[i], "\0\0\0\0\2", 5);
        snprintf(bodies[i] + 5, 11, "%02d", i % 100);
        send_call(&(ask){.path = "/test.Held/Call", .type = GRPC, .body = {bodies[i], 7}});
    }
    WAIT_UNTIL(held_now() == 64);
    assert_int_equal(mw_net_in_flight(fx.net), 64);
    release_held();
    for (size_t i = 0; i < 64; i++) {
        RUN_UNTIL(c->calls[i].closed);
        expect_success(&c->calls[i], (mw_slice){bodies[i] + 5, 2});
    }
    WAIT_UNTIL(mw_net_in_flight(fx.net) == 0);
    close_client();
}

static void test_reset(void **state)
{
    (void)state;
    open_client(MW_PORT_GRPC);
    /* while the body comes */
    call *half = send_call(&(ask){
        .path = EXPORT_PATH, .type = GRPC, .body = MW_SLICE("\0\0\0\0\5he"), .keep_open = true});
    step(20);
    assert_int_equal(nghttp2_submit_rst_stream(c->session, 0, half->id, NGHTTP2_CANCEL), 0);
    /* while the handler has it */
    call *held = send_call(
        &(ask){.path = "/test.Held/Call", .type = GRPC, .body = MW_SLICE("\0\0\0\0\2hi")});
    WAIT_UNTIL(held_now() == 1);
    assert_int_equal(nghttp2_submit_rst_stream(c->session, 0, held->id, NGHTTP2_CANCEL), 0);
    /* the connection goes on, before and after the late reply */
    expect_success(grpc(EXPORT_PATH, MW_SLICE("\0\0\0\0\1a")), MW_SLICE("a"));
    release_held();
    WAIT_UNTIL(mw_net_in_flight(fx.net) == 0);
    expect_success(grpc(EXPORT_PATH, MW_SLICE("\0\0\0\0\1b")), MW_SLICE("b"));
    assert_int_equal(held->status, -1);
    close_client();
}

static void test_client_gone(void **state)
{
    (void)state;
    for (int way = 0; way < 2; way++) {
        open_client(MW_PORT_GRPC);
        for (int i = 0; i < 8; i++)
            send_call(
                &(ask){.path = "/test.Held/Call", .type = GRPC, .body = MW_SLICE("\0\0\0\0\2hi")});
        send_call(&(ask){
            .path = EXPORT_PATH, .type = GRPC, .body = MW_SLICE("\0\0\0"), .keep_open = true});
        WAIT_UNTIL(held_now() == 8);
        if (way)
            reset_by_client(dup(c->fd));
        shutdown(c->fd, SHUT_RDWR);
        close_client();
        WAIT_UNTIL(mw_net_connections(fx.net) == 0);
        assert_int_equal(mw_net_in_flight(fx.net), 8);
        release_held();
        WAIT_UNTIL(mw_net_in_flight(fx.net) == 0);
    }
}

static void *drain_long(void *arg)
{
    (void)arg;
    mw_net_drain(fx.net, PATIENCE_MS);
    return NULL;
}

static void test_drain(void **state)
{
    (void)state;
    pthread_t thread;
    open_client(MW_PORT_GRPC);
    call *held = send_call(
        &(ask){.path = "/test.Held/Call", .type = GRPC, .body = MW_SLICE("\0\0\0\0\2hi")});
    WAIT_UNTIL(held_now() == 1);
    assert_int_equal(pthread_create(&thread, NULL, drain_long, NULL), 0);
    RUN_UNTIL(c->goaways == 1);
    RUN_UNTIL(c->goaways == 2);
    assert_int_equal(c->goaway_error, NGHTTP2_NO_ERROR);
    assert_false(held->closed);
    release_held();
    RUN_UNTIL(held->closed);
    expect_success(held, MW_SLICE("hi"));
    assert_int_equal(pthread_join(thread, NULL), 0);
    assert_int_equal(mw_net_connections(fx.net), 0);
    close_client();
}

/* ---- floods ---------------------------------------------------------------------------------- */

/* The server tells the flooder off and closes; others are not touched. */
static void expect_told_off(void)
{
    run_to_end();
    assert_true(c->goaways >= 1);
    assert_int_not_equal(c->goaway_error, NGHTTP2_NO_ERROR);
    close_client();
    open_client(MW_PORT_GRPC);
    expect_success(grpc(EXPORT_PATH, MW_SLICE("\0\0\0\0\1z")), MW_SLICE("z"));
    close_client();
}

static void test_rapid_reset(void **state)
{
    (void)state;
    open_client(MW_PORT_GRPC);
    for (int i = 0; i < 2000; i++) {
        call *one = send_call(&(ask){.path = EXPORT_PATH, .type = GRPC, .keep_open = true});
        nghttp2_submit_rst_stream(c->session, 0, one->id, NGHTTP2_CANCEL);
        flush_client();
    }
    expect_told_off();
}

static void test_ping_flood(void **state)
{
    (void)state;
    static char pings[3000][17];
    open_client(MW_PORT_GRPC);
    step(50);
    for (size_t i = 0; i < 3000; i++)
        memcpy(pings[i], "\0\0\10\6\0\0\0\0\0pingpong", 17);
    send_bytes(c->fd, (mw_slice){pings[0], sizeof pings});
    expect_told_off();
}

static void test_settings_flood(void **state)
{
    (void)state;
    static char frames[3000][9];
    open_client(MW_PORT_GRPC);
    step(50);
    for (size_t i = 0; i < 3000; i++)
        memcpy(frames[i], "\0\0\0\4\0\0\0\0\0", 9);
    send_bytes(c->fd, (mw_slice){frames[0], sizeof frames});
    expect_told_off();
}

/* HEADERS without END_HEADERS, then CONTINUATION without end. */
static void test_continuation_flood(void **state)
{
    (void)state;
    open_client(MW_PORT_GRPC);
    step(50);
    send_bytes(c->fd, MW_SLICE("\0\0\1\1\0\0\0\0\1\x82"));
    for (int i = 0; i < 50; i++)
        send_bytes(c->fd, MW_SLICE("\0\0\0\x09\0\0\0\0\1"));
    expect_told_off();
}

static void test_many_headers(void **state)
{
    (void)state;
    static char value[2000];
    static char names[300][8];
    nghttp2_nv fields[304] = {pair(":method", "GET"), pair(":scheme", "http"),
                              pair(":authority", "a"), pair(":path", "/hello/x")};
    open_client(MW_PORT_WEB);
    for (size_t i = 0; i < 300; i++) {
        snprintf(names[i], sizeof names[i], "x-%zu", i);
        fields[4 + i] = pair(names[i], "v");
    }
    call *one = &c->calls[c->count++];
    *one = (call){.status = -1, .grpc = -1};
    nghttp2_submit_request(c->session, NULL, fields, 304, NULL, one);
    RUN_UNTIL(one->closed);
    assert_int_equal(one->status, 431);
    /* Few but large; the client's own table keeps them out of the way of each other. */
    memset(value, 'v', sizeof value - 1);
    for (size_t i = 0; i < 20; i++)
        fields[4 + i] = pair(names[i], value);
    one = &c->calls[c->count++];
    *one = (call){.status = -1, .grpc = -1};
    nghttp2_submit_request(c->session, NULL, fields, 24, NULL, one);
    RUN_UNTIL(one->closed);
    assert_int_equal(one->status, 431);
    call *after = ask_and_wait(&(ask){.method = "GET", .path = "/hello/x"});
    assert_int_equal(after->status, 200);
    close_client();
}

/* ---- time-outs ------------------------------------------------------------------------------- */

static void test_slow_stream(void **state)
{
    (void)state;
    uint64_t before = mw_counter_value(MW_COUNT_REQUESTS_GRPC);
    open_client(MW_PORT_GRPC);
    call *one = send_call(&(ask){
        .path = EXPORT_PATH, .type = GRPC, .body = MW_SLICE("\0\0\0\0\5he"), .keep_open = true});
    WAIT_UNTIL(mw_counter_value(MW_COUNT_REQUESTS_GRPC) > before);
    step(100);
    push_clock(6);
    RUN_UNTIL(one->closed);
    expect_error(one, MW_RPC_DEADLINE_EXCEEDED, "slow");
    expect_success(grpc(EXPORT_PATH, MW_SLICE("\0\0\0\0\1a")), MW_SLICE("a"));
    close_client();
}

/* A client that opens no window cannot hold an answer for ever. */
static void test_zero_window(void **state)
{
    (void)state;
    open_client(MW_PORT_WEB);
    const nghttp2_settings_entry none[] = {{NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, 0}};
    assert_int_equal(nghttp2_submit_settings(c->session, 0, none, 1), 0);
    call *one = send_call(&(ask){.method = "GET", .path = "/hello/x"});
    RUN_UNTIL(one->status == 200); /* HEADERS are not held back */
    assert_false(one->closed);
    push_clock(31);
    RUN_UNTIL(one->closed);
    assert_int_equal(one->error, NGHTTP2_CANCEL);
    close_client();
}

static void test_idle(void **state)
{
    (void)state;
    open_client(MW_PORT_GRPC);
    expect_success(grpc(EXPORT_PATH, MW_SLICE("\0\0\0\0\1a")), MW_SLICE("a"));
    slow_clock();
    push_clock(299);
    nap_ms(1200);
    expect_success(grpc(EXPORT_PATH, MW_SLICE("\0\0\0\0\1b")), MW_SLICE("b"));
    real_clock();
    push_clock(301);
    run_to_end();
    assert_int_equal(c->raw_goaways, 2);
    assert_int_equal(c->goaway_error, NGHTTP2_NO_ERROR);
    close_client();
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_unary),
        TEST(test_announced),
        TEST(test_capture),
        TEST(test_bad_calls),
        TEST(test_announced_too_large),
        TEST(test_gzip_bomb),
        TEST(test_plain_http),
        TEST(test_large_body),
        TEST(test_parallel_streams),
        TEST(test_reset),
        TEST(test_client_gone),
        TEST(test_drain),
        TEST(test_rapid_reset),
        TEST(test_ping_flood),
        TEST(test_settings_flood),
        TEST(test_continuation_flood),
        TEST(test_many_headers),
        TEST(test_slow_stream),
        TEST(test_zero_window),
        TEST(test_idle),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
