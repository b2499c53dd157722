/* How fast the disk fills, and what ends that first. */
#include "server/disk_use.h"
#include "tests/check.h"

#define HOUR_NS (3600 * MW_NS_PER_S)
#define MIB ((uint64_t)1 << 20)

static void test_pace(void **state)
{
    (void)state;
    mw_pace pace;
    double per_hour = -7;
    mw_pace_init(&pace);
    assert_false(mw_pace_read(&pace, 5, 0, &per_hour));
    mw_pace_note(&pace, 5, 100);
    assert_false(mw_pace_read(&pace, 5 + MW_PACE_MARK_NS - 1, 100, &per_hour));
    assert_true(mw_pace_read(&pace, 5 + MW_PACE_MARK_NS, 160, &per_hour));
    assert_float_equal(per_hour, 3600, 0.01);
    /* Marks between minutes are none. */
    for (int64_t at = 0; at < HOUR_NS / 2; at += 5 * MW_NS_PER_S)
        mw_pace_note(&pace, 5 + at, 100);
    assert_int_equal(pace.count, 30);
    assert_true(mw_pace_read(&pace, 5 + HOUR_NS / 2, 150, &per_hour));
    assert_float_equal(per_hour, 100, 0.01);
    mw_pace_fini(&pace);
}

/* What was more than an hour ago counts no more. */
static void test_pace_forgets(void **state)
{
    (void)state;
    mw_pace pace;
    double per_hour = -7;
    mw_pace_init(&pace);
    for (int64_t minute = 0; minute <= 600; minute++)
        mw_pace_note(&pace, minute * MW_PACE_MARK_NS,
                     minute < 500 ? (uint64_t)minute * MIB : 500 * MIB);
    assert_int_equal(pace.count, MW_PACE_MARKS);
    assert_true(mw_pace_read(&pace, 600 * MW_PACE_MARK_NS, 500 * MIB, &per_hour));
    assert_float_equal(per_hour, 0, 0.01);
    assert_true(mw_pace_read(&pace, 600 * MW_PACE_MARK_NS, 530 * MIB, &per_hour));
    assert_float_equal(per_hour, 30.0 * (double)MIB, 1);
    mw_pace_fini(&pace);
}

static void test_outlook(void **state)
{
    (void)state;
    mw_disk_facts facts = {.free_bytes = 100 * MIB, .now_ns = 50 * (uint64_t)HOUR_NS};
    mw_disk_outlook out = mw_disk_look_ahead(&facts);
    assert_true(out.full_in_s < 0 && out.retention_in_s < 0 && !out.retention_by);
    facts.paced = true; /* and nothing comes */
    assert_true(mw_disk_look_ahead(&facts).full_in_s < 0);
    facts.per_hour = 10.0 * (double)MIB;
    assert_float_equal(mw_disk_look_ahead(&facts).full_in_s, 36000, 0.01);
    /* By size: so much more fits. */
    facts.retention_bytes = 60 * MIB;
    facts.counted_bytes = 40 * MIB;
    out = mw_disk_look_ahead(&facts);
    assert_float_equal(out.retention_in_s, 7200, 0.01);
    assert_string_equal(out.retention_by, "size");
    facts.counted_bytes = 61 * MIB;
    assert_float_equal(mw_disk_look_ahead(&facts).retention_in_s, 0, 0.01);
    facts.counted_bytes = 40 * MIB;
    /* By age, of what is stored; the sooner of the two. */
    facts.retention_ns = 3 * HOUR_NS;
    assert_string_equal(mw_disk_look_ahead(&facts).retention_by, "size");
    facts.oldest_ns = 48 * (uint64_t)HOUR_NS;
    out = mw_disk_look_ahead(&facts);
    assert_string_equal(out.retention_by, "age");
    assert_float_equal(out.retention_in_s, 3600, 0.01);
    facts.oldest_ns = 1;
    out = mw_disk_look_ahead(&facts);
    assert_string_equal(out.retention_by, "age");
    assert_float_equal(out.retention_in_s, 0, 0.01);
    facts.paced = false; /* age needs no pace */
    facts.oldest_ns = 48 * (uint64_t)HOUR_NS;
    assert_string_equal(mw_disk_look_ahead(&facts).retention_by, "age");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_pace),
        cmocka_unit_test(test_pace_forgets),
        cmocka_unit_test(test_outlook),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
