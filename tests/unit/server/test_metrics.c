/* /metrics: every line is of the text format, every metric has one head, labels are escaped. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "lib/base/counter.h"
#include "server/metrics.h"

static void test_labels(void **state)
{
    (void)state;
    static const struct {
        mw_slice in;
        const char *out;
    } cases[] = {{MW_SLICE_INIT("plain"), "plain"},
                 {MW_SLICE_INIT("a\"b\\c\nd"), "a\\\"b\\\\c\\nd"},
                 {MW_SLICE_INIT("x\r\x1b\x7f"), "x\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd"},
                 {MW_SLICE_INIT("bad\xff"), "bad\xef\xbf\xbd"},
                 {MW_SLICE_INIT("\xc3\xa9"), "\xc3\xa9"}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        mw_buffer out;
        mw_buffer_init(&out, MW_MEM_BASE, 4096);
        mw_metrics_append_label(&out, cases[i].in);
        assert_true(mw_slice_equal(mw_buffer_slice(&out), mw_slice_of(cases[i].out)));
        mw_buffer_fini(&out);
    }
}

static bool is_name(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_';
}

/* name, optional {labels}, blank, number. */
static void check_sample(mw_slice line, mw_slice family)
{
    size_t name = 0;
    while (name < line.len && is_name(line.data[name]))
        name++;
    assert_true(mw_slice_equal(mw_slice_first(line, name), family));
    mw_slice rest = mw_slice_from(line, name);
    if (rest.len && rest.data[0] == '{')
        rest = mw_slice_from(rest, mw_slice_find_byte(rest, '}') + 1);
    assert_true(rest.len > 1 && rest.data[0] == ' ');
    for (size_t i = 1; i < rest.len; i++)
        assert_true((rest.data[i] >= '0' && rest.data[i] <= '9') || rest.data[i] == '.');
}

static void test_every_line(void **state)
{
    (void)state;
    mw_gauges gauges = {.uptime_seconds = 1.5, .stored_spans = 7, .lost_spans = 3, .ready = true};
    mw_buffer out;
    mw_slice line, family = MW_SLICE_NONE;
    mw_slice seen[256];
    size_t families = 0, samples = 0;
    mw_buffer_init(&out, MW_MEM_BASE, MW_METRICS_MAX_BYTES);
    mw_metrics_render(&out, &gauges);
    assert_int_equal(out.err, MW_OK);
    assert_int_equal(out.data[out.len - 1], '\n');
    mw_slice rest = mw_buffer_slice(&out);
    while (mw_slice_split(&rest, '\n', &line)) {
        if (mw_slice_starts(line, MW_SLICE("# TYPE ")))
            continue;
        if (mw_slice_starts(line, MW_SLICE("# HELP "))) {
            mw_slice words = mw_slice_from(line, 7);
            assert_true(mw_slice_split(&words, ' ', &family));
            assert_true(words.len > 0); /* a help text */
            for (size_t i = 0; i < families; i++)
                assert_false(mw_slice_equal(seen[i], family));
            seen[families++] = family;
            continue;
        }
        if (!line.len)
            continue;
        check_sample(line, family);
        samples++;
    }
    assert_true(samples > MW_COUNTER_TABLE_SIZE);
    assert_true(mw_slice_contains(mw_buffer_slice(&out), MW_SLICE("\nmidwatch_stored_spans 7\n")));
    assert_true(mw_slice_contains(mw_buffer_slice(&out), MW_SLICE("\nmidwatch_lost_spans 3\n")));
    assert_true(mw_slice_contains(mw_buffer_slice(&out), MW_SLICE("\nmidwatch_ready 1\n")));
    mw_buffer_fini(&out);
}

static void test_counters_show(void **state)
{
    (void)state;
    mw_gauges gauges = {.uptime_seconds = 0};
    mw_buffer out;
    mw_buffer_init(&out, MW_MEM_BASE, MW_METRICS_MAX_BYTES);
    mw_count(MW_COUNT_SPANS_REFUSED_DEPTH, 41);
    mw_metrics_render(&out, &gauges);
    assert_true(mw_slice_contains(
        mw_buffer_slice(&out),
        MW_SLICE("midwatch_items_refused_total{signal=\"traces\",reason=\"depth\"} 41\n")));
    mw_buffer_fini(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_labels),
        cmocka_unit_test(test_every_line),
        cmocka_unit_test(test_counters_show),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
