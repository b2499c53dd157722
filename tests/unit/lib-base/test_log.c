/* The log: one line an event, whatever a peer puts into a value. Also errors and counters. */
#include <unistd.h>

#include "lib/base/counter.h"
#include "lib/base/log.h"
#include "tests/check.h"

static char line[4096];

static void capture(mw_log_format format, mw_slice value)
{
    int ends[2];
    assert_int_equal(pipe(ends), 0);
    mw_log_init(MW_LOG_INFO, format, ends[1]);
    MW_LOG(MW_LOG_WARN, "test", "something happened", MW_KV("value", value), MW_KV_U64("n", 7),
           MW_KV_I64("i", -7), MW_KV_ERR(MW_E_BUSY));
    MW_LOG(MW_LOG_DEBUG, "test", "below the level");
    close(ends[1]);
    ssize_t got = read(ends[0], line, sizeof line - 1);
    assert_true(got > 0);
    line[got] = '\0';
    close(ends[0]);
    mw_log_init(MW_LOG_INFO, MW_LOG_LOGFMT, STDERR_FILENO);
}

static void test_logfmt(void **state)
{
    (void)state;
    capture(MW_LOG_LOGFMT, MW_SLICE("a\nlevel=error \"x\" \x1b[2J\xff"));
    assert_non_null(strstr(line, "level=warn component=test msg=\"something happened\""));
    assert_non_null(strstr(line, "value=\"a\\u000alevel=error \\\"x\\\" \\u001b[2J\xef\xbf\xbd\""));
    assert_non_null(strstr(line, " n=7 i=-7 error=\"queue full\"\n"));
    assert_ptr_equal(strchr(line, '\n'), line + strlen(line) - 1); /* exactly one line */
}

static void test_json(void **state)
{
    (void)state;
    capture(MW_LOG_JSON, MW_SLICE("quote \" and \\"));
    assert_int_equal(line[0], '{');
    assert_non_null(strstr(line, "\"value\":\"quote \\\" and \\\\\",\"n\":7,\"i\":-7"));
    assert_non_null(strstr(line, "}\n"));
}

static void test_long_value_is_cut(void **state)
{
    (void)state;
    static char big[10000];
    memset(big, 'x', sizeof big);
    capture(MW_LOG_LOGFMT, mw_slice_bytes(big, sizeof big));
    assert_true(strlen(line) < 2100);
    assert_int_equal(line[strlen(line) - 1], '\n');
}

static void test_detail(void **state)
{
    (void)state;
    mw_detail detail;
    assert_int_equal(mw_detail_set(&detail, MW_E_INVALID, "f", "h", "bad \n%s", "\x1b"),
                     MW_E_INVALID);
    assert_string_equal(detail.message, "bad ??");
    assert_int_equal(mw_detail_set(NULL, MW_E_INVALID, "f", "h", "x"), MW_E_INVALID);
    for (int i = 0; i < MW_E_COUNT; i++)
        assert_string_not_equal(mw_err_text((mw_err)i), "unknown error");
    assert_string_equal(mw_err_text((mw_err)999), "unknown error");
}

static void test_counters(void **state)
{
    (void)state;
    mw_count(MW_COUNT_SPANS_ACCEPTED, 5);
    mw_count(MW_COUNT_SPANS_ACCEPTED, 2);
    assert_int_equal(mw_counter_value(MW_COUNT_SPANS_ACCEPTED), 7);
    assert_string_equal(mw_counter_describe(MW_COUNT_SPANS_ACCEPTED)->metric,
                        "midwatch_items_accepted_total");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_logfmt),
        cmocka_unit_test(test_json),
        cmocka_unit_test(test_long_value_is_cut),
        cmocka_unit_test(test_detail),
        cmocka_unit_test(test_counters),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
