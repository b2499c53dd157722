/* AWS request headers into the rows' origin: order, bounds, what is left out and said. */
#include "collector/origin.h"
#include "lib/base/counter.h"
#include "tests/check.h"

static mw_request request;
static mw_slice warning;

static mw_slice origin_of(const mw_header *headers, size_t count)
{
    request.headers = headers;
    request.header_count = count;
    warning = MW_SLICE("untouched");
    mw_slice origin = MW_SLICE("untouched");
    assert_int_equal(mw_origin_read(&request, &origin, &warning), MW_OK);
    return origin;
}

#define HEADER(name_, value_)                                                                      \
    {                                                                                              \
        MW_SLICE_INIT(name_), MW_SLICE_INIT(value_)                                                \
    }
#define ORIGIN(...)                                                                                \
    origin_of((const mw_header[]){__VA_ARGS__},                                                    \
              sizeof((const mw_header[]){__VA_ARGS__}) / sizeof(mw_header))

static void test_order(void **state)
{
    (void)state;
    mw_slice origin =
        ORIGIN(HEADER("x-aws-metric-namespace", "My App/agents"),
               HEADER("content-type", "application/x-protobuf"),
               HEADER("x-aws-log-stream", "runtime-logs"),
               HEADER("x-aws-log-group", "/aws/bedrock-agentcore/runtimes/a-DEFAULT"));
    assert_slice(origin, "x-aws-log-group=/aws/bedrock-agentcore/runtimes/a-DEFAULT\n"
                         "x-aws-log-stream=runtime-logs\n"
                         "x-aws-metric-namespace=My App/agents");
    assert_int_equal(warning.len, 0);
    assert_slice(mw_origin_member(origin, MW_ORIGIN_LOG_STREAM), "runtime-logs");
    assert_slice(mw_origin_member(origin, MW_ORIGIN_METRIC_NAMESPACE), "My App/agents");
}

static void test_none(void **state)
{
    (void)state;
    assert_int_equal(origin_of(NULL, 0).len, 0);
    assert_int_equal(warning.len, 0);
    assert_int_equal(ORIGIN(HEADER("x-aws-log-group", "")).len, 0);
    assert_int_equal(warning.len, 0);
}

/* One bad header costs itself alone: line ends and escapes cannot get in. */
static void test_left_out(void **state)
{
    (void)state;
    char long_enough[MW_ORIGIN_VALUE_MAX + 1];
    memset(long_enough, 'x', sizeof long_enough);
    mw_header rows[2] = {HEADER("x-aws-log-group", ""), HEADER("x-aws-log-stream", "s")};
    const mw_slice bad[] = {MW_SLICE("a\nb"),
                            MW_SLICE("a\tb"),
                            MW_SLICE("\x1b[31m"),
                            MW_SLICE("caf\xc3\xa9"),
                            MW_SLICE("\x7f"),
                            MW_SLICE("a\0b"),
                            {long_enough, MW_ORIGIN_VALUE_MAX + 1}};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        uint64_t before = mw_counter_value(MW_COUNT_EXPORT_HEADERS_IGNORED);
        rows[0].value = bad[i];
        assert_slice(origin_of(rows, 2), "x-aws-log-stream=s");
        assert_slice(warning,
                     "header left out: x-aws-log-group (sent twice, over 512 bytes, or not "
                     "printable ASCII)");
        assert_int_equal(mw_counter_value(MW_COUNT_EXPORT_HEADERS_IGNORED), before + 1);
    }
    rows[0].value = (mw_slice){long_enough, MW_ORIGIN_VALUE_MAX};
    assert_int_equal(origin_of(rows, 2).len, 16 + MW_ORIGIN_VALUE_MAX + 1 + 18);
    assert_int_equal(warning.len, 0);
    rows[0] = (mw_header)HEADER("x-aws-log-stream", "other");
    assert_int_equal(origin_of(rows, 2).len, 0);
    assert_true(mw_slice_contains(warning, MW_SLICE("x-aws-log-stream")));
}

/* All three at their longest fit. */
static void test_longest(void **state)
{
    (void)state;
    char text[MW_ORIGIN_VALUE_MAX];
    memset(text, '~', sizeof text);
    mw_slice value = {text, sizeof text};
    const mw_header rows[] = {{MW_SLICE("x-aws-log-group"), value},
                              {MW_SLICE("x-aws-log-stream"), value},
                              {MW_SLICE("x-aws-metric-namespace"), value}};
    mw_slice origin = origin_of(rows, 3);
    for (int i = 0; i < MW_ORIGIN_COUNT; i++)
        assert_int_equal(mw_origin_member(origin, (mw_origin)i).len, MW_ORIGIN_VALUE_MAX);
}

/* Without memory the request fails, and is not kept without its origin. */
static void test_no_memory(void **state)
{
    (void)state;
    const mw_header row = HEADER("x-aws-log-group", "g");
    mw_slice origin;
    mw_err err = MW_E_NOMEM;
    request.headers = &row;
    request.header_count = 1;
    for (uint64_t n = 1; err != MW_OK; n++) {
        mw_arena_reset(&request.arena);
        mw_memory_fail_at(n);
        err = mw_origin_read(&request, &origin, &warning);
        mw_memory_fail_at(0);
        assert_true(n > 1 || err == MW_E_NOMEM);
        assert_true(err == MW_E_NOMEM || origin.len > 0);
        assert_true(n < 10);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_order),     cmocka_unit_test(test_none),
        cmocka_unit_test(test_left_out),  cmocka_unit_test(test_longest),
        cmocka_unit_test(test_no_memory),
    };
    mw_arena_init(&request.arena, MW_MEM_NET, 0);
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    mw_arena_reset(&request.arena);
    return failed;
}
