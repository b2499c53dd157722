/* Route table: what is found, and what each miss says. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "lib/net/router_int.h"

#define EXPORT "/opentelemetry.proto.collector.trace.v1.TraceService/Export"
#define WEB (MW_PORT_WEB | MW_PORT_SOCKET)

static void handler(void *ctx, mw_request *request)
{
    (void)ctx, (void)request;
}

static const mw_route table[] = {
    {MW_PORT_GRPC, "POST", EXPORT, true, 100, handler, NULL, 0, false},
    {MW_PORT_HTTP, "POST", "/v1/traces", false, 100, handler, NULL, 1, false},
    {MW_PORT_HTTP, "POST", "/v1/logs", false, 100, handler, NULL, 2, false},
    {WEB, "GET", "/", false, 0, handler, NULL, 3, false},
    {WEB, "GET", "/api/v1/alarms/{id}", false, 0, handler, NULL, 4, false},
    {WEB, "GET", "/api/v1/alarms/summary", false, 0, handler, NULL, 5, false},
    {WEB, "DELETE", "/api/v1/alarms/{id}", false, 0, handler, NULL, 6, false},
    {WEB, "GET", "/api/v1/investigations/{id}/journal/{record}", false, 0, handler, NULL, 7, false},
    {MW_PORT_SOCKET, "POST", "/api/v1/tokens", false, 10, handler, NULL, 8, false},
};

static mw_router router;

static int set_up(void **state)
{
    (void)state;
    mw_router_init(&router, table, sizeof table / sizeof *table);
    mw_router_endpoint(&router, MW_PORT_GRPC, "127.0.0.1:4317");
    mw_router_endpoint(&router, MW_PORT_HTTP, "127.0.0.1:4318");
    mw_router_endpoint(&router, MW_PORT_WEB, "127.0.0.1:4319");
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    mw_router_fini(&router);
    return 0;
}

static mw_route_query query(mw_port port, bool grpc, const char *method, const char *path)
{
    return (mw_route_query){port, grpc, mw_slice_of(method), mw_slice_of(path), false};
}

typedef struct row {
    mw_port port;
    bool grpc;
    const char *method, *path;
    mw_route_result result;
    int tag; /* of the route; -1 = none */
    const char *words;
} row;

static const row rows[] = {
    {MW_PORT_GRPC, true, "POST", EXPORT, MW_ROUTE_FOUND, 0, NULL},
    {MW_PORT_HTTP, false, "POST", "/v1/traces", MW_ROUTE_FOUND, 1, NULL},
    {MW_PORT_HTTP, false, "POST", "/v1/traces/", MW_ROUTE_FOUND, 1, NULL},
    {MW_PORT_WEB, false, "GET", "/", MW_ROUTE_FOUND, 3, NULL},
    {MW_PORT_WEB, false, "HEAD", "/", MW_ROUTE_FOUND, 3, NULL},
    {MW_PORT_WEB, false, "GET", "/api/v1/alarms/abc", MW_ROUTE_FOUND, 4, NULL},
    {MW_PORT_WEB, false, "GET", "/api/v1/alarms/summary", MW_ROUTE_FOUND, 5, NULL},
    {MW_PORT_WEB, false, "DELETE", "/api/v1/alarms/summary", MW_ROUTE_FOUND, 6, NULL},
    {MW_PORT_SOCKET, false, "GET", "/api/v1/investigations/a/journal/b/", MW_ROUTE_FOUND, 7, NULL},
    {MW_PORT_HTTP, false, "GET", "/v1/traces", MW_ROUTE_METHOD, 1, "Allow"},
    {MW_PORT_HTTP, false, "post", "/v1/traces", MW_ROUTE_METHOD, 1, "Allow"},
    {MW_PORT_GRPC, false, "POST", EXPORT, MW_ROUTE_WANTS_GRPC, 0, "application/grpc"},
    {MW_PORT_HTTP, true, "POST", "/v1/traces", MW_ROUTE_WANTS_HTTP, 1, "plain HTTP"},
    {MW_PORT_GRPC, false, "POST", "/v1/traces", MW_ROUTE_OTHER_PORT, 1, "http://127.0.0.1:4318."},
    {MW_PORT_WEB, false, "POST", "/v1/traces", MW_ROUTE_OTHER_PORT, 1, "http://127.0.0.1:4318."},
    {MW_PORT_HTTP, true, "POST", EXPORT, MW_ROUTE_OTHER_PORT, 0,
     "gRPC port: send it to 127.0.0.1:4317."},
    {MW_PORT_HTTP, false, "GET", "/api/v1/alarms/x", MW_ROUTE_OTHER_PORT, 4,
     "http://127.0.0.1:4319."},
    {MW_PORT_WEB, false, "POST", "/api/v1/tokens", MW_ROUTE_OTHER_PORT, 8, "does not serve"},
    {MW_PORT_HTTP, false, "POST", "/v1/Traces", MW_ROUTE_SIMILAR, 1, "did you mean /v1/traces?"},
    {MW_PORT_HTTP, false, "POST", "//v1/traces", MW_ROUTE_SIMILAR, 1, "did you mean /v1/traces?"},
    {MW_PORT_HTTP, false, "POST", "/v1//traces", MW_ROUTE_SIMILAR, 1, "did you mean /v1/traces?"},
    {MW_PORT_HTTP, false, "POST", "/", MW_ROUTE_OTHER_PORT, 3,
     "need the full path: http://127.0.0.1:4318/v1/traces;"},
    {MW_PORT_HTTP, false, "GET", "/", MW_ROUTE_OTHER_PORT, 3,
     "people use the web port: http://127.0.0.1:4319."},
    {MW_PORT_GRPC, false, "POST", "/", MW_ROUTE_OTHER_PORT, 3,
     "OTLP over HTTP goes to http://127.0.0.1:4318"},
    {MW_PORT_HTTP, false, "POST", "/v1/traces/v1/traces", MW_ROUTE_NONE, -1,
     "nothing before it. If the exporter appends the path by itself, its endpoint "
     "(OTEL_EXPORTER_OTLP_ENDPOINT) is http://127.0.0.1:4318."},
    {MW_PORT_HTTP, false, "POST", "/otlp/v1/logs", MW_ROUTE_NONE, -1, "/v1/logs is served here"},
    {MW_PORT_HTTP, false, "GET", "/api/v1/nothing", MW_ROUTE_NONE, -1,
     "below /api is served on the web port: http://127.0.0.1:4319."},
    {MW_PORT_WEB, false, "POST", "/v1/nothing", MW_ROUTE_NONE, -1,
     "below /v1 is served on the OTLP/HTTP port: http://127.0.0.1:4318."},
    {MW_PORT_WEB, false, "POST", "/x/v1/logs", MW_ROUTE_NONE, -1, "No such path; the web port"},
    {MW_PORT_GRPC, false, "POST", "/v1/nothing", MW_ROUTE_NONE, -1,
     "OTLP over HTTP goes to http://127.0.0.1:4318, all else to the web port: "
     "http://127.0.0.1:4319."},
    {MW_PORT_HTTP, false, "POST", "/v1/trace", MW_ROUTE_NONE, -1, "serves /v1/traces, /v1/logs."},
    {MW_PORT_HTTP, false, "POST", "/v1/traces//", MW_ROUTE_NONE, -1, "No such path"},
    {MW_PORT_GRPC, true, "POST", "/x.Y/Z", MW_ROUTE_NONE, -1, "Unknown gRPC service"},
    {MW_PORT_WEB, false, "GET", "/api/v1/alarms//", MW_ROUTE_NONE, -1, "No such path"},
    {MW_PORT_WEB, false, "GET", "/api/v1/alarms/a/b", MW_ROUTE_NONE, -1, "No such path"},
    {MW_PORT_WEB, false, "GET", "/api/v1/investigations/a/journal/", MW_ROUTE_NONE, -1, "No such"},
    {MW_PORT_HTTP, false, "GET", "", MW_ROUTE_NONE, -1, "No such path"},
};

static void test_rows(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        mw_arena arena;
        mw_route_query q = query(rows[i].port, rows[i].grpc, rows[i].method, rows[i].path);
        mw_route_match match = mw_router_find(&router, &q);
        mw_arena_init(&arena, MW_MEM_NET, 0);
        mw_slice words = mw_router_explain(&router, &q, &match, &arena);
        if (match.result != rows[i].result)
            print_error("%s %s\n", rows[i].method, rows[i].path);
        assert_int_equal(match.result, rows[i].result);
        assert_int_equal(match.route ? match.route->tag : -1, rows[i].tag);
        if (rows[i].words && !mw_slice_contains(words, mw_slice_of(rows[i].words)))
            fail_msg("\"%.*s\" does not hold \"%s\"", MW_SLICE_FMT(words), rows[i].words);
        mw_arena_reset(&arena);
    }
}

static void test_params(void **state)
{
    (void)state;
    mw_route_query q = query(MW_PORT_WEB, false, "GET", "/api/v1/investigations/a%20b/journal/c");
    mw_route_match match = mw_router_find(&router, &q);
    assert_int_equal(match.param_count, 2);
    assert_true(mw_slice_equal(match.params[0], MW_SLICE("a%20b")));
    assert_true(mw_slice_equal(match.params[1], MW_SLICE("c")));
}

static void test_decode(void **state)
{
    (void)state;
    static const struct {
        const char *raw;
        mw_err err;
        const char *text;
    } cases[] = {
        {"abc", MW_OK, "abc"},         {"a%20b%C3%A4", MW_OK, "a b\xc3\xa4"},
        {"%41", MW_OK, "A"},           {"a+b", MW_OK, "a+b"},
        {"a%2Fb", MW_OK, "a/b"},       {"a%2fb", MW_OK, "a/b"},
        {"a%00b", MW_E_INVALID, NULL}, {"%", MW_E_SYNTAX, NULL},
        {"%4", MW_E_SYNTAX, NULL},     {"%4g", MW_E_SYNTAX, NULL},
        {"a%", MW_E_SYNTAX, NULL},     {"%252F", MW_OK, "%2F"},
    };
    mw_arena arena;
    mw_arena_init(&arena, MW_MEM_NET, 0);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        mw_slice out;
        assert_int_equal(mw_router_decode(&arena, mw_slice_of(cases[i].raw), false, &out),
                         cases[i].err);
        if (cases[i].text)
            assert_true(mw_slice_equal(out, mw_slice_of(cases[i].text)));
    }
    mw_slice counted;
    assert_int_equal(mw_router_decode(&arena, MW_SLICE("a%00b%00"), true, &counted), MW_OK);
    assert_true(mw_slice_equal(counted, MW_SLICE("a\0b\0")));
    mw_arena_reset(&arena);
}

static void test_allow(void **state)
{
    (void)state;
    mw_arena arena;
    mw_arena_init(&arena, MW_MEM_NET, 0);
    mw_route_query q = query(MW_PORT_WEB, false, "PUT", "/api/v1/alarms/x");
    assert_true(
        mw_slice_equal(mw_router_allow(&router, &q, &arena), MW_SLICE("GET, HEAD, DELETE")));
    q = query(MW_PORT_HTTP, false, "GET", "/v1/traces");
    assert_true(mw_slice_equal(mw_router_allow(&router, &q, &arena), MW_SLICE("POST")));
    mw_arena_reset(&arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rows),
        cmocka_unit_test(test_params),
        cmocka_unit_test(test_decode),
        cmocka_unit_test(test_allow),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
