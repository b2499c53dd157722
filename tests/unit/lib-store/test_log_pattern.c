/* Patterns in bodies: what compiles, long strings in steps, limits, giving up, memory. */
#include "tests/otlp_writer.h"
#include "tests/unit/lib-store/store_test.h"

#include "lib/store/query/log_pattern.h"

static mw_log_pattern *compile(const char *text)
{
    mw_log_pattern *pattern;
    assert_int_equal(mw_log_pattern_new(mw_slice_of(text), &pattern, NULL), MW_OK);
    return pattern;
}

static mw_err search_body(const char *pattern_text, mw_slice body, bool (*stop)(void *ctx),
                          void *ctx, mw_pattern_verdict *verdict)
{
    otlp_writer value = {0}, record = {0};
    mw_log_pattern *pattern = compile(pattern_text);
    put_bytes(&value, 1, body.data, body.len);
    put_text(&record, 3, "needle of the severity");
    put_bytes(&record, 5, value.data, value.len);
    mw_err err =
        mw_log_pattern_search(pattern, mw_slice_bytes(record.data, record.len), stop, ctx, verdict);
    mw_log_pattern_free(pattern);
    free(value.data), free(record.data);
    return err;
}

static mw_pattern_verdict verdict_of(const char *pattern, mw_slice body)
{
    mw_pattern_verdict verdict;
    assert_int_equal(search_body(pattern, body, NULL, NULL, &verdict), MW_OK);
    return verdict;
}

static void test_syntax(void **state)
{
    static const struct {
        const char *pattern, *says;
    } rows[] = {{"ab(", "offset 3"}, {"a{2,1}", "out of order"},
                {"\\C", "disabled"}, {"[[:nope:]]", "unknown POSIX"},
                {"\xff", "UTF-8"},   {"(?<=a*)b", "lookbehind"}};
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        mw_detail detail = {.field = ""};
        assert_int_equal(mw_log_pattern_check(mw_slice_of(rows[i].pattern), &detail), MW_E_SYNTAX);
        assert_string_equal(detail.field, "pattern");
        if (!strstr(detail.message, rows[i].says))
            fail_msg("%s: %s", rows[i].pattern, detail.message);
        assert_int_equal(mw_log_pattern_check(mw_slice_of(rows[i].pattern), NULL), MW_E_SYNTAX);
    }
    assert_int_equal(mw_log_pattern_check(MW_SLICE("a\0b"), NULL), MW_OK);
    static char text[MW_LOG_PATTERN_MAX + 1];
    mw_detail detail = {.field = ""};
    memset(text, 'a', sizeof text);
    assert_int_equal(mw_log_pattern_check(mw_slice_bytes(text, MW_LOG_PATTERN_MAX), NULL), MW_OK);
    assert_int_equal(mw_log_pattern_check(mw_slice_bytes(text, sizeof text), &detail), MW_E_SYNTAX);
    assert_string_equal(detail.message,
                        "1025 bytes long: longer than the 1024 that a pattern may have");
    assert_int_equal(mw_memory_component_used(MW_MEM_QUERY), 0);
}

static void test_bodies(void **state)
{
    (void)state;
    assert_int_equal(verdict_of("needle", MW_SLICE("hay")), MW_PATTERN_ABSENT);
    assert_int_equal(verdict_of("^$", MW_SLICE("")), MW_PATTERN_FOUND);
    assert_int_equal(verdict_of("a\\x00b", MW_SLICE("xa\0by")), MW_PATTERN_FOUND);
    assert_int_equal(verdict_of("b.c", MW_SLICE("\xff\xfe"
                                                "b\xc3\xa4"
                                                "c\xc3")),
                     MW_PATTERN_FOUND);
    assert_int_equal(verdict_of("b.c", MW_SLICE("b\xff"
                                                "c")),
                     MW_PATTERN_ABSENT);
    assert_int_equal(verdict_of("A", MW_SLICE("a")), MW_PATTERN_ABSENT);
    assert_int_equal(verdict_of("\\p{Lu}", MW_SLICE("\xc3\x84")), MW_PATTERN_FOUND);
}

/* Wherever a match stands in a long string, and the string's ends. */
static void test_long_strings(void **state)
{
    size_t len = 3 * MW_LOG_PATTERN_REACH + 777;
    char *body = malloc(len);
    (void)state;
    for (size_t i = 0; i < len; i++)
        body[i] = (char)(i % 2 ? '\xa4' : '\xc3'); /* every step begins inside a character */
    const mw_slice text = mw_slice_bytes(body, len);
    for (size_t at = 0; at + 8 < len; at += 3499) {
        memcpy(body + at - at % 2, "[needle]", 8);
        assert_int_equal(verdict_of("\\[needle\\]", text), MW_PATTERN_FOUND);
        assert_int_equal(verdict_of("^\\[needle", text),
                         at < 2 ? MW_PATTERN_FOUND : MW_PATTERN_ABSENT);
        assert_int_equal(verdict_of("needle\\]$", text), MW_PATTERN_ABSENT);
        for (size_t i = at - at % 2; i < at - at % 2 + 8; i++)
            body[i] = (char)(i % 2 ? '\xa4' : '\xc3');
    }
    memset(body, 'x', len);
    memcpy(body + 5000, "from", 4);
    memcpy(body + 5000 + MW_LOG_PATTERN_REACH - MW_LOG_PATTERN_STEP - 10, "to", 2);
    assert_int_equal(verdict_of("from.*to", text), MW_PATTERN_FOUND);
    assert_int_equal(verdict_of("x$", text), MW_PATTERN_FOUND);
    assert_int_equal(verdict_of("from$", text), MW_PATTERN_ABSENT);
    assert_int_equal(verdict_of("(?<=x{200})from", text), MW_PATTERN_FOUND);
    free(body);
}

/* Exponential, or deep: undecided soon, and what else the body holds is still found. */
static void test_limits(void **state)
{
    size_t len = 20000;
    char *body = malloc(len);
    (void)state;
    memset(body, 'a', len);
    const mw_slice text = mw_slice_bytes(body, len);
    assert_int_equal(verdict_of("(a+)+[BD]", text), MW_PATTERN_UNDECIDED);
    assert_int_equal(verdict_of("(?:a|aa)+[BD]", text), MW_PATTERN_UNDECIDED);
    assert_int_equal(verdict_of("(a(?1)b|c)", text), MW_PATTERN_UNDECIDED);
    assert_int_equal(verdict_of("(*LIMIT_MATCH=4000000000)(a+)+[BD]", text), MW_PATTERN_UNDECIDED);
    assert_int_equal(verdict_of("(*NO_JIT)(a+)+[BD]", text), MW_PATTERN_UNDECIDED);
    assert_int_equal(verdict_of("(*NO_JIT)(a(?1)b|c)", text), MW_PATTERN_UNDECIDED);
    memcpy(body + 19000, "xaaB", 4);
    assert_int_equal(verdict_of("x(a+)+[BD]", text), MW_PATTERN_FOUND);
    free(body);
}

static bool at_the_nth(void *ctx)
{
    unsigned *left = ctx;
    return --*left == 0;
}

/* A long search asks often whether it is still wanted; what it takes between is bounded. */
static void test_stops(void **state)
{
    size_t len = (size_t)1 << 20;
    char *body = malloc(len);
    unsigned left = 12;
    mw_pattern_verdict verdict;
    (void)state;
    memset(body, 'a', len);
    assert_int_equal(search_body("(?=[a-z]*+1)|(?=[a-z]*+2)", mw_slice_bytes(body, len), at_the_nth,
                                 &left, &verdict),
                     MW_E_TIMEOUT);
    assert_int_equal(left, 0);
    free(body);
}

static void test_no_memory(void **state)
{
    mw_log_pattern *pattern;
    mw_pattern_verdict verdict;
    mw_err err = MW_E_NOMEM;
    size_t failed = 0;
    (void)state;
    for (uint64_t at = 1; err != MW_OK || at < 20; at++) {
        mw_memory_fail_at(at);
        err = mw_log_pattern_new(MW_SLICE("(*NO_JIT)(a|b)+c"), &pattern, NULL);
        if (err == MW_OK) {
            err = mw_log_pattern_search(pattern,
                                        MW_SLICE("\x2a\x06\x0a\x04"
                                                 "abac"),
                                        NULL, NULL, &verdict);
            mw_log_pattern_free(pattern);
        }
        mw_memory_fail_at(0);
        assert_true(err == MW_OK || err == MW_E_NOMEM);
        failed += err == MW_E_NOMEM;
        assert_int_equal(mw_memory_component_used(MW_MEM_QUERY), 0);
    }
    assert_true(failed > 4);
    assert_int_equal(verdict, MW_PATTERN_FOUND);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_syntax),       cmocka_unit_test(test_bodies),
        cmocka_unit_test(test_long_strings), cmocka_unit_test(test_limits),
        cmocka_unit_test(test_stops),        cmocka_unit_test(test_no_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
