/* Robust comparisons: medians, spreads, rank sums and shares against values worked out by hand. */
#include <math.h>

#include "tests/check.h"
#include "triage/evidence/statistics.h"

static void assert_near(double found, double expected)
{
    if (fabs(found - expected) > 1e-6 * (1 + fabs(expected)))
        fail_msg("%.9g is not %.9g", found, expected);
}

static void test_median_and_spread(void **unused)
{
    (void)unused;
    const double odd[] = {1, 2, 4, 8, 100}, even[] = {1, 2, 4, 8};
    assert_near(mw_median(odd, 5), 4);
    assert_near(mw_median(even, 4), 3);
    assert_near(mw_median(odd, 0), 0);
    assert_near(mw_median(odd, 1), 1);
    assert_near(mw_spread(odd, 5, 4), 1.4826 * 3);    /* distances 0 2 3 4 96 */
    assert_near(mw_spread(even, 4, 3), 1.4826 * 1.5); /* 1 1 2 5 */
    assert_near(mw_spread(odd, 1, 1), 0);
    assert_near(mw_spread(odd, 0, 0), 0);
}

static mw_sample *group(mw_sample *out, const double *values, const uint64_t *times, size_t count)
{
    for (size_t i = 0; i < count; i++)
        out[i] = (mw_sample){7, values[i], times[i]};
    mw_samples_sort(out, count);
    return out;
}

static void test_split(void **unused)
{
    (void)unused;
    const double values[] = {1, 1, 2, 3, 2, 10, 12, 11, 10};
    const uint64_t times[] = {1, 2, 3, 4, 5, 6, 7, 8, 9};
    mw_sample samples[9];
    double scratch[9];
    mw_split split = mw_split_at(group(samples, values, times, 9), 9, 6, scratch);
    assert_int_equal(split.before, 5);
    assert_int_equal(split.after, 4);
    assert_near(split.median_before, 2);
    assert_near(split.median_after, 10.5);
    assert_near(split.spread, 1.4826);
    assert_near(split.z, 10 / sqrt(5 * 4 * 10 / 12.0)); /* all of those after are larger */
    split = mw_split_at(samples, 9, 100, scratch);
    assert_int_equal(split.after, 0);
    split = mw_split_at(samples, 9, 0, scratch);
    assert_int_equal(split.before, 0);
}

static void test_ties_are_no_change(void **unused)
{
    (void)unused;
    const double values[] = {5, 5, 5, 5, 5, 5};
    const uint64_t times[] = {1, 2, 3, 4, 5, 6};
    mw_sample samples[6];
    double scratch[6];
    mw_split split = mw_split_at(group(samples, values, times, 6), 6, 4, scratch);
    assert_near(split.z, 0);
    assert_near(split.median_after, 5);
    assert_near(split.spread, 0);
}

static void test_groups_are_sorted_apart(void **unused)
{
    (void)unused;
    mw_sample samples[] = {{2, 1, 1}, {1, 9, 2}, {2, 0, 3}, {1, 3, 4}};
    mw_samples_sort(samples, 4);
    assert_int_equal(samples[0].key, 1);
    assert_near(samples[0].value, 3);
    assert_int_equal(samples[2].key, 2);
    assert_near(samples[2].value, 0);
}

static void test_share_change(void **unused)
{
    (void)unused;
    assert_near(mw_share_change(5, 10, 10, 20), 0);
    assert_near(mw_share_change(0, 0, 1, 2), 0);
    assert_near(mw_share_change(0, 10, 0, 10), 0);
    assert_near(mw_share_change(10, 10, 10, 10), 0);
    assert_near(mw_share_change(0, 10, 10, 10), sqrt(2 * 20 * log(2)));
    assert_near(mw_share_change(10, 10, 0, 10), -sqrt(2 * 20 * log(2)));
    assert_true(mw_share_change(1, 100, 20, 100) > 3.5);
    assert_true(mw_share_change(5, 100, 7, 100) < 2);
    assert_near(mw_share_change(12, 10, 3, 3), 0); /* more than all is all */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_median_and_spread),  cmocka_unit_test(test_split),
        cmocka_unit_test(test_ties_are_no_change), cmocka_unit_test(test_groups_are_sorted_apart),
        cmocka_unit_test(test_share_change),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
