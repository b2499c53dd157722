/* Web pages of other origins: preflights answered by net, headers on actual answers and refusals,
 * and nothing at all for origins that are not allowed. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tests/unit/lib-net/net_fixture.h"

#define GOOD "https://shop.example"
#define COOKIES "https://cookies.example"

static mw_cors allow(void *ctx, const mw_request *request, mw_slice origin)
{
    (void)ctx;
    assert_true(request->port != 0 && request->path.len > 0);
    if (mw_slice_equal(origin, MW_SLICE(COOKIES)))
        return MW_CORS_CREDENTIALS;
    return mw_slice_equal(origin, MW_SLICE(GOOD)) ? MW_CORS_READ : MW_CORS_NONE;
}

static char answer[4096];

/* One request; head and body of the answer. */
static void ask(mw_port port, const char *method, const char *path, const char *headers)
{
    char request[2048];
    size_t len = 0;
    int n =
        snprintf(request, sizeof request,
                 "%s %s HTTP/1.1\r\nHost: a\r\nConnection: close\r\n%s\r\n", method, path, headers);
    assert_true(n > 0 && (size_t)n < sizeof request);
    int fd = dial(port);
    send_text(fd, request);
    for (ssize_t got = 1; got > 0; len += got > 0 ? (size_t)got : 0)
        got = recv(fd, answer + len, sizeof answer - 1 - len, 0);
    answer[len] = '\0';
    close(fd);
}

static void expect(const char *line)
{
    if (!strstr(answer, line))
        fail_msg("no \"%s\" in %s", line, answer);
}

static void expect_no(const char *line)
{
    if (strcasestr(answer, line))
        fail_msg("\"%s\" in %s", line, answer);
}

#define PREFLIGHT(origin)                                                                          \
    "Origin: " origin "\r\nAccess-Control-Request-Method: POST\r\n"                                \
    "Access-Control-Request-Headers: content-type,x-api-key\r\n"

static void test_preflight(void **state)
{
    (void)state;
    int before = atomic_load(&fx.gate_calls);
    ask(MW_PORT_HTTP, "OPTIONS", "/v1/traces", PREFLIGHT(GOOD));
    expect("HTTP/1.1 204 No Content\r\n");
    expect("access-control-allow-origin: " GOOD "\r\n");
    expect("access-control-allow-methods: POST\r\n");
    expect("access-control-allow-headers: content-type,x-api-key\r\n");
    expect("access-control-max-age: 7200\r\n");
    expect("vary: origin");
    expect_no("credentials");
    expect_no("content-length");
    assert_int_equal(atomic_load(&fx.gate_calls), before);
    ask(MW_PORT_WEB, "OPTIONS", "/hello/bob", PREFLIGHT(COOKIES));
    expect("HTTP/1.1 204 ");
    expect("access-control-allow-methods: GET, HEAD\r\n");
    expect("access-control-allow-credentials: true\r\n");
}

static void test_no_preflight(void **state)
{
    (void)state;
    /* Without the question it is a method like any other. */
    ask(MW_PORT_HTTP, "OPTIONS", "/v1/traces", "Origin: " GOOD "\r\n");
    expect("HTTP/1.1 405 ");
    expect("allow: POST\r\n");
    expect("access-control-allow-origin: " GOOD "\r\n");
    const char *const strangers[] = {PREFLIGHT("https://evil.example"), PREFLIGHT("null"),
                                     PREFLIGHT(""), "Access-Control-Request-Method: POST\r\n",
                                     PREFLIGHT(GOOD) "Origin: https://evil.example\r\n"};
    for (size_t i = 0; i < sizeof strangers / sizeof *strangers; i++) {
        ask(MW_PORT_HTTP, "OPTIONS", "/v1/traces", strangers[i]);
        expect("HTTP/1.1 405 ");
        expect("allow: POST\r\n");
        expect_no("access-control");
    }
    ask(MW_PORT_HTTP, "OPTIONS", "/v1/traces", PREFLIGHT("https://evil.example"));
    expect("the option allowed_origins");
    ask(MW_PORT_HTTP, "OPTIONS", "/nothing", PREFLIGHT(GOOD));
    expect("HTTP/1.1 404 ");
    expect("access-control-allow-origin: " GOOD "\r\n");
}

/* What is given back is a list of names, and no more of it than a browser sends. */
static void test_header_names(void **state)
{
    (void)state;
    char headers[1600];
    char names[1200];
    memset(names, 'x', sizeof names);
    names[sizeof names - 1] = '\0';
    const char *const bad[] = {"a: b", "a\"b", "a;b", "\xc3\xa4", names};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        snprintf(headers, sizeof headers,
                 "Origin: " GOOD "\r\nAccess-Control-Request-Method: POST\r\n"
                 "Access-Control-Request-Headers: %s\r\n",
                 bad[i]);
        ask(MW_PORT_HTTP, "OPTIONS", "/v1/traces", headers);
        expect("HTTP/1.1 204 ");
        expect_no("access-control-allow-headers");
    }
}

static void test_actual(void **state)
{
    (void)state;
    ask(MW_PORT_WEB, "GET", "/hello/bob", "Origin: " GOOD "\r\n");
    expect("HTTP/1.1 200 ");
    expect("access-control-allow-origin: " GOOD "\r\n");
    expect("vary: origin\r\n");
    expect("access-control-expose-headers: retry-after\r\n");
    expect_no("credentials");
    ask(MW_PORT_WEB, "GET", "/hello/bob", "Origin: " COOKIES "\r\n");
    expect("access-control-allow-credentials: true\r\n");
    /* Refusals too: the page is to read why. */
    ask(MW_PORT_WEB, "GET", "/hello/bob", "Origin: " GOOD "\r\nX-Deny: 1\r\n");
    expect("HTTP/1.1 403 ");
    expect("access-control-allow-origin: " GOOD "\r\n");
    ask(MW_PORT_WEB, "GET", "/hello/bob", "Origin: https://evil.example\r\n");
    expect("HTTP/1.1 200 "); /* this fixture's gate does not look at Origin */
    expect_no("access-control");
    ask(MW_PORT_WEB, "GET", "/hello/bob", "");
    expect_no("access-control");
    expect_no("vary");
}

static int begin(void **state)
{
    fx_cors = allow;
    return set_up(state);
}

static int begin_without(void **state)
{
    fx_cors = NULL;
    return set_up(state);
}

static void test_not_configured(void **state)
{
    (void)state;
    ask(MW_PORT_HTTP, "OPTIONS", "/v1/traces", PREFLIGHT(GOOD));
    expect("HTTP/1.1 405 ");
    expect_no("access-control");
    ask(MW_PORT_WEB, "GET", "/hello/bob", "Origin: " GOOD "\r\n");
    expect("HTTP/1.1 200 ");
    expect_no("access-control");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_preflight),
        TEST(test_no_preflight),
        TEST(test_header_names),
        TEST(test_actual),
        cmocka_unit_test_setup_teardown(test_not_configured, begin_without, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
