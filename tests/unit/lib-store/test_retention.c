/* Retention: which segments go by age and by size, and which clock is believed. */
#include "lib/store/merge/retention.h"
#include "tests/check.h"

#define DAY_NS (24 * 3600 * MW_NS_PER_S)
#define NOW ((uint64_t)100 * (uint64_t)DAY_NS)
#define ALL 6

/* A segment a day, 10 bytes each, the oldest 5 days old, the last one of now. */
static void make_days(mw_retention_segment segments[ALL])
{
    for (size_t i = 0; i < ALL; i++)
        segments[i] =
            (mw_retention_segment){NOW - (ALL - 1 - i) * (uint64_t)DAY_NS, 10, .merged = true};
}

static size_t choose(const mw_retention_segment segments[ALL], int64_t age_ns, uint64_t size_bytes,
                     bool goes[ALL])
{
    mw_retention_limits limits = {.age_ns = age_ns, .size_bytes = size_bytes};
    size_t said = mw_retention_choose(segments, ALL, &limits, NOW, goes);
    size_t counted = 0;
    for (size_t i = 0; i < ALL; i++)
        counted += goes[i];
    assert_int_equal(said, counted);
    return said;
}

static void test_no_limits(void **state)
{
    (void)state;
    mw_retention_segment segments[ALL];
    bool goes[ALL];
    make_days(segments);
    assert_int_equal(choose(segments, 0, 0, goes), 0);
    assert_int_equal(mw_retention_choose(
                         NULL, 0, &(mw_retention_limits){.age_ns = 1, .size_bytes = 1}, NOW, NULL),
                     0);
}

static void test_age(void **state)
{
    (void)state;
    mw_retention_segment segments[ALL];
    bool goes[ALL];
    make_days(segments);
    /* Just as old as the age stays. */
    assert_int_equal(choose(segments, 3 * DAY_NS, 0, goes), 2);
    assert_true(goes[0] && goes[1] && !goes[2]);
    assert_int_equal(choose(segments, 3 * DAY_NS - 1, 0, goes), 3);
    assert_int_equal(choose(segments, 1, 0, goes), 5);
    assert_false(goes[5]);
    /* What came from ahead of now, before the clock was set right, has no age. */
    segments[5].arrival_max_ns = UINT64_MAX;
    assert_int_equal(choose(segments, 1, 0, goes), 5);
    assert_false(goes[5]);
    /* An age longer than time itself. */
    assert_int_equal(choose(segments, INT64_MAX, 0, goes), 0);
}

static void test_size(void **state)
{
    (void)state;
    mw_retention_segment segments[ALL];
    bool goes[ALL];
    make_days(segments);
    assert_int_equal(choose(segments, 0, 60, goes), 0);
    assert_int_equal(choose(segments, 0, 59, goes), 1);
    assert_true(goes[0]);
    assert_int_equal(choose(segments, 0, 30, goes), 3);
    assert_true(goes[0] && goes[1] && goes[2]);
    assert_int_equal(choose(segments, 0, 1, goes), ALL);
}

static void test_size_counts_what_age_took(void **state)
{
    (void)state;
    mw_retention_segment segments[ALL];
    bool goes[ALL];
    make_days(segments);
    assert_int_equal(choose(segments, 3 * DAY_NS, 40, goes), 2);
    assert_int_equal(choose(segments, 3 * DAY_NS, 39, goes), 3);
    assert_true(goes[2] && !goes[3]);
}

static void test_log_stays(void **state)
{
    (void)state;
    mw_retention_segment segments[ALL];
    bool goes[ALL];
    make_days(segments);
    segments[0].merged = segments[5].merged = false;
    assert_int_equal(choose(segments, 1, 0, goes), 4);
    assert_true(!goes[0] && !goes[5]);
    /* Its bytes count: merged ones make room for it as far as there are any. */
    segments[5].bytes = 100;
    assert_int_equal(choose(segments, 0, 145, goes), 1);
    assert_true(!goes[0] && goes[1]);
    assert_int_equal(choose(segments, 0, 50, goes), 4);
    assert_true(!goes[0] && !goes[5]);
}

/* What waits to be merged goes by size, in its turn, once it is complete. */
static void test_log_goes_by_size(void **state)
{
    (void)state;
    mw_retention_segment segments[ALL];
    bool goes[ALL];
    make_days(segments);
    for (size_t i = 2; i < ALL; i++)
        segments[i].merged = false;
    for (size_t i = 2; i < ALL - 1; i++)
        segments[i].left = true;
    assert_int_equal(choose(segments, 1, 0, goes), 2);
    assert_int_equal(choose(segments, 0, 35, goes), 3);
    assert_true(goes[0] && goes[1] && goes[2] && !goes[3]);
    assert_int_equal(choose(segments, 0, 1, goes), 5);
    assert_false(goes[5]);
}

/* What waits counts at what merging will make of it; in full it may be an eighth too much. */
static void test_log_counts_packed(void **state)
{
    (void)state;
    mw_retention_segment segments[ALL];
    mw_retention_limits limits = {.size_bytes = 100, .packed_per_mille = 400};
    bool goes[ALL];
    make_days(segments);
    for (size_t i = 0; i < ALL; i++)
        segments[i].bytes = 20;
    segments[4].merged = segments[5].merged = false;
    segments[4].left = true;
    /* 80, and 20 and 12 of the log, which will be 8 and 4.8. */
    segments[4].bytes = 12;
    assert_int_equal(mw_retention_choose(segments, ALL, &limits, NOW, goes), 0);
    limits.packed_per_mille = 0;
    assert_int_equal(mw_retention_choose(segments, ALL, &limits, NOW, goes), 1);
    limits.packed_per_mille = 1000;
    assert_int_equal(mw_retention_choose(segments, ALL, &limits, NOW, goes), 1);
    limits.packed_per_mille = 400;
    segments[4].bytes = 13; /* 93.2 as counted, 113 in full */
    assert_int_equal(mw_retention_choose(segments, ALL, &limits, NOW, goes), 1);
    assert_true(goes[0]);
    limits.packed_per_mille = 700;
    segments[4].bytes = 10; /* 101, 110 */
    assert_int_equal(mw_retention_choose(segments, ALL, &limits, NOW, goes), 1);
    segments[4].bytes = 8; /* 99.6, 108 */
    assert_int_equal(mw_retention_choose(segments, ALL, &limits, NOW, goes), 0);
    /* With damage it is never merged. */
    segments[4].merged = true;
    assert_int_equal(mw_retention_choose(segments, ALL, &limits, NOW, goes), 1);
    limits.packed_per_mille = 1;
    limits.size_bytes = UINT64_MAX;
    segments[5].bytes = UINT64_MAX / 4;
    assert_int_equal(mw_retention_choose(segments, ALL, &limits, NOW, goes), 0);
}

static void test_presses(void **state)
{
    (void)state;
    mw_retention_limits limits = {.size_bytes = 0};
    assert_false(mw_retention_presses(&limits, UINT64_MAX));
    limits.size_bytes = 80;
    assert_false(mw_retention_presses(&limits, 85));
    assert_true(mw_retention_presses(&limits, 86));
    limits.size_bytes = UINT64_MAX;
    assert_false(mw_retention_presses(&limits, UINT64_MAX));
    limits.size_bytes = 80;
    assert_int_equal(mw_retention_less(&limits, 30).size_bytes, 50);
    assert_int_equal(mw_retention_less(&limits, 80).size_bytes, 1);
    limits.size_bytes = 0;
    assert_int_equal(mw_retention_less(&limits, 30).size_bytes, 0);
}

static void test_parts_of_the_size(void **state)
{
    (void)state;
    const uint64_t mib = 1 << 20, least = MW_RETENTION_SEGMENT_LEAST;
    mw_retention_limits limits = {.age_ns = 0};
    assert_int_equal(mw_retention_merge_max(&limits, 256 * mib), 256 * mib);
    assert_int_equal(mw_retention_segment_max(&limits, 64 * mib), 64 * mib);
    limits.size_bytes = 4096 * mib;
    assert_int_equal(mw_retention_merge_max(&limits, 256 * mib), 256 * mib);
    limits.size_bytes = 80 * mib;
    assert_int_equal(mw_retention_merge_max(&limits, 256 * mib), 20 * mib);
    assert_int_equal(mw_retention_segment_max(&limits, 64 * mib), 10 * mib);
    limits.size_bytes = 1;
    assert_int_equal(mw_retention_merge_max(&limits, 256 * mib), least);
    assert_int_equal(mw_retention_segment_max(&limits, 64 * mib), least);
    assert_int_equal(mw_retention_segment_max(&limits, least / 2), least / 2);
}

/* ---- stamps ---------------------------------------------------------------------------------- */

/* A clock that ran slow for a while, between two that were right. */
static void test_slow_stamps(void **state)
{
    (void)state;
    mw_retention_segment segments[ALL];
    bool goes[ALL];
    make_days(segments);
    segments[3].arrival_max_ns -= 60 * (uint64_t)DAY_NS;
    segments[4].arrival_max_ns -= 50 * (uint64_t)DAY_NS;
    assert_int_equal(choose(segments, 10 * DAY_NS, 0, goes), 2);
    mw_retention_settle(segments, ALL, NOW);
    assert_int_equal(choose(segments, 10 * DAY_NS, 0, goes), 0);
    /* No older than what came before them, and no younger. */
    assert_int_equal(segments[3].arrival_max_ns, segments[2].arrival_max_ns);
    assert_int_equal(segments[4].arrival_max_ns, segments[2].arrival_max_ns);
    assert_int_equal(choose(segments, 3 * DAY_NS - 1, 0, goes), 5);
}

/* A clock that ran fast: its own stamps are young, those behind them are as they were. */
static void test_fast_stamps(void **state)
{
    (void)state;
    mw_retention_segment segments[ALL];
    bool goes[ALL];
    make_days(segments);
    segments[1].arrival_max_ns += 400 * (uint64_t)DAY_NS;
    mw_retention_settle(segments, ALL, NOW);
    assert_int_equal(segments[2].arrival_max_ns, NOW - 3 * (uint64_t)DAY_NS);
    assert_int_equal(choose(segments, 2 * DAY_NS, 0, goes), 2);
    assert_true(goes[0] && !goes[1] && goes[2]);
    mw_retention_settle(NULL, 0, NOW);
}

/* ---- clocks ---------------------------------------------------------------------------------- */

#define WALL (20000 * DAY_NS)
#define HOUR_NS (3600 * MW_NS_PER_S)

static void test_steady(void **state)
{
    (void)state;
    mw_retention_clock clock = {.wall_ns = 0};
    for (int64_t at = 0; at < 48 * HOUR_NS; at += HOUR_NS / 2)
        assert_int_equal(mw_retention_now(&clock, WALL + at, 7 + at), WALL + at);
    /* Setting the clock by half an hour is no jump. */
    assert_int_equal(mw_retention_now(&clock, WALL + 49 * HOUR_NS, 7 + 48 * HOUR_NS + HOUR_NS / 2),
                     WALL + 49 * HOUR_NS);
}

static void test_jump_ahead(void **state)
{
    (void)state;
    mw_retention_clock clock = {.wall_ns = 0};
    assert_int_equal(mw_retention_now(&clock, WALL, 0), WALL);
    int64_t jumped = WALL + 1000 * DAY_NS;
    assert_int_equal(mw_retention_now(&clock, jumped + HOUR_NS, HOUR_NS), WALL + HOUR_NS);
    for (int64_t at = HOUR_NS; at < 25 * HOUR_NS; at += HOUR_NS)
        assert_int_equal(mw_retention_now(&clock, jumped + at, at), WALL + at);
    /* A day later it is what everybody goes by. */
    assert_int_equal(mw_retention_now(&clock, jumped + 25 * HOUR_NS, 25 * HOUR_NS),
                     jumped + 25 * HOUR_NS);
    assert_int_equal(mw_retention_now(&clock, jumped + 26 * HOUR_NS, 26 * HOUR_NS),
                     jumped + 26 * HOUR_NS);
}

static void test_two_jumps(void **state)
{
    (void)state;
    mw_retention_clock clock = {.wall_ns = 0};
    assert_int_equal(mw_retention_now(&clock, WALL, 0), WALL);
    assert_int_equal(mw_retention_now(&clock, WALL + 2 * HOUR_NS, 1), WALL + 1);
    int64_t second = 20 * HOUR_NS;
    assert_int_equal(mw_retention_now(&clock, WALL + 7 * HOUR_NS + second, second), WALL + second);
    /* The day begins anew with the second one. */
    assert_int_equal(mw_retention_now(&clock, WALL + 7 * HOUR_NS + 43 * HOUR_NS, 43 * HOUR_NS),
                     WALL + 43 * HOUR_NS);
    assert_int_equal(mw_retention_now(&clock, WALL + 7 * HOUR_NS + 44 * HOUR_NS, 44 * HOUR_NS),
                     WALL + 51 * HOUR_NS);
}

static void test_jump_back(void **state)
{
    (void)state;
    mw_retention_clock clock = {.wall_ns = 0};
    assert_int_equal(mw_retention_now(&clock, WALL, 0), WALL);
    assert_int_equal(mw_retention_now(&clock, WALL - 5 * DAY_NS, HOUR_NS), WALL - 5 * DAY_NS);
    /* Put right again: ahead of the monotonic clock, so not believed at once. */
    assert_int_equal(mw_retention_now(&clock, WALL + 2 * HOUR_NS, 2 * HOUR_NS),
                     WALL - 5 * DAY_NS + HOUR_NS);
    assert_int_equal(mw_retention_now(&clock, WALL + 26 * HOUR_NS, 26 * HOUR_NS),
                     WALL + 26 * HOUR_NS);
}

static void test_there_and_back(void **state)
{
    (void)state;
    mw_retention_clock clock = {.wall_ns = 0};
    assert_int_equal(mw_retention_now(&clock, WALL, 0), WALL);
    assert_int_equal(mw_retention_now(&clock, WALL + 9 * DAY_NS, 1), WALL + 1);
    assert_int_equal(mw_retention_now(&clock, WALL + 2, 2), WALL + 2);
    assert_int_equal(clock.ahead_ns, 0);
    /* Further back than it had jumped: younger than it was, which deletes nothing. */
    assert_int_equal(mw_retention_now(&clock, WALL + 9 * DAY_NS, 3), WALL + 3);
    assert_int_equal(mw_retention_now(&clock, WALL - DAY_NS, 4), WALL - DAY_NS);
    assert_int_equal(clock.ahead_ns, 0);
}

static void test_start(void **state)
{
    (void)state;
    mw_retention_clock clock;
    /* Stopped for a minute: nothing to doubt. */
    mw_retention_clock_start(&clock, 0, WALL, 500);
    assert_int_equal(mw_retention_now(&clock, WALL + 60 * MW_NS_PER_S, 500),
                     WALL + 60 * MW_NS_PER_S);
    /* Booted with a clock ten years off: what is stored is as old as it was. */
    mw_retention_clock_start(&clock, 0, WALL, 500);
    assert_int_equal(mw_retention_now(&clock, WALL + 3650 * DAY_NS, 500), WALL);
    assert_int_equal(mw_retention_now(&clock, WALL + 3651 * DAY_NS, 500 + DAY_NS),
                     WALL + 3651 * DAY_NS);
    /* Nothing stored, or times that no clock shows. */
    mw_retention_clock_start(&clock, 0, 0, 500);
    assert_int_equal(mw_retention_now(&clock, WALL, 500), WALL);
    mw_retention_clock_start(&clock, 0, UINT64_MAX, 500);
    assert_int_equal(mw_retention_now(&clock, WALL, 500), WALL);
    mw_retention_clock_start(&clock, 0, INT64_MAX, 500);
    assert_int_equal(mw_retention_now(&clock, INT64_MIN, INT64_MAX), INT64_MIN);
}

/* A year slow, put right: what came before lives as long as it should, whichever clock it was
 * stamped with, and no longer. The stamp of the slow time is measured as if it had gone on. */
static void test_put_right(void **state)
{
    (void)state;
    mw_retention_clock clock;
    const int64_t age = 30 * DAY_NS, slow = WALL - 365 * DAY_NS;
    mw_retention_segment segment = {.arrival_max_ns = (uint64_t)slow, .bytes = 1, .merged = true};
    const mw_retention_limits limits = {.age_ns = age};
    bool goes;
    mw_retention_clock_start(&clock, age, 0, 500);
    assert_int_equal(mw_retention_now(&clock, slow, 500), slow);
    for (int64_t at = DAY_NS; at <= 31 * DAY_NS; at += DAY_NS) {
        int64_t now = mw_retention_now(&clock, WALL + at, 500 + at);
        mw_retention_choose(&segment, 1, &limits, (uint64_t)now, &goes);
        assert_int_equal(goes, at > age);
    }
    /* The same with a start in between: what is stored is all that tells the time before. */
    mw_retention_clock_start(&clock, age, (uint64_t)slow, 500);
    for (int64_t at = 0; at <= 31 * DAY_NS; at += DAY_NS) {
        int64_t now = mw_retention_now(&clock, WALL + at, 500 + at);
        mw_retention_choose(&segment, 1, &limits, (uint64_t)now, &goes);
        assert_int_equal(goes, at >= age);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_no_limits),
        cmocka_unit_test(test_age),
        cmocka_unit_test(test_size),
        cmocka_unit_test(test_size_counts_what_age_took),
        cmocka_unit_test(test_log_stays),
        cmocka_unit_test(test_steady),
        cmocka_unit_test(test_jump_ahead),
        cmocka_unit_test(test_two_jumps),
        cmocka_unit_test(test_jump_back),
        cmocka_unit_test(test_there_and_back),
        cmocka_unit_test(test_start),
        cmocka_unit_test(test_log_goes_by_size),
        cmocka_unit_test(test_log_counts_packed),
        cmocka_unit_test(test_presses),
        cmocka_unit_test(test_parts_of_the_size),
        cmocka_unit_test(test_slow_stamps),
        cmocka_unit_test(test_fast_stamps),
        cmocka_unit_test(test_put_right),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
