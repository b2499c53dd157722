/* Which segments are merged: each rule by itself, then what comes of long runs. */
#include "tests/unit/lib-store/store_test.h"

#include "lib/store/merge/merge_policy.h"

#define MINUTE ((uint64_t)60 * MW_NS_PER_S)

static const mw_policy_limits usual = {
    .items_max = 1u << 20,
    .bytes_max = (uint64_t)256 << 20,
    .merge_after_ns = 5 * MINUTE,
    .now_ns = 1000 * MINUTE,
};

/* Of the log, arrived so many minutes ago. */
static mw_policy_segment log_of(uint64_t items, uint64_t mebibytes, uint64_t minutes)
{
    return (mw_policy_segment){.items = items,
                               .bytes = mebibytes << 20,
                               .arrival_min_ns = usual.now_ns - minutes * MINUTE,
                               .arrival_max_ns = usual.now_ns - minutes * MINUTE};
}

static mw_policy_segment merged_of(uint64_t items, uint64_t minutes)
{
    mw_policy_segment segment = log_of(items, 0, minutes);
    segment.merged = true;
    segment.bytes = items * 50;
    return segment;
}

static void assert_choice(const mw_policy_segment *segments, size_t count, size_t first,
                          size_t taken)
{
    mw_policy_choice choice = mw_merge_policy(segments, count, &usual);
    assert_int_equal(choice.count, taken);
    if (taken)
        assert_int_equal(choice.first, first);
}

static void test_log_by_size(void **state)
{
    mw_policy_segment segments[6] = {{.items = 0}};
    (void)state;
    assert_choice(segments, 0, 0, 0);
    for (size_t i = 0; i < 6; i++)
        segments[i] = log_of(400000, 60, 1);
    segments[5].current = true;
    assert_choice(segments, 2, 0, 0); /* more may come */
    assert_choice(segments, 3, 0, 2); /* a third one does not fit */
    assert_choice(segments, 6, 0, 2);
    for (size_t i = 0; i < 6; i++)
        segments[i] = log_of(1000, 64, 1);
    assert_choice(segments, 3, 0, 0);
    assert_choice(segments, 4, 0, 4); /* exactly full */
    assert_choice(segments, 5, 0, 4);
    segments[0].bytes = (uint64_t)300 << 20; /* larger than all that fits: alone */
    assert_choice(segments, 1, 0, 1);
    assert_choice(segments, 2, 0, 1);
}

static void test_log_by_age(void **state)
{
    mw_policy_segment segments[4];
    (void)state;
    for (size_t i = 0; i < 4; i++)
        segments[i] = log_of(10, 1, 4 - i);
    segments[3].current = true;
    assert_choice(segments, 4, 0, 0);
    segments[0] = log_of(10, 1, 5);
    assert_choice(segments, 4, 0, 3);                   /* with what lies beside it */
    segments[0].arrival_min_ns = usual.now_ns + MINUTE; /* the clock was set back */
    assert_choice(segments, 4, 0, 0);
    mw_policy_limits all = usual;
    all.all = true;
    assert_int_equal(mw_merge_policy(segments, 4, &all).count, 3);
    assert_true(mw_merge_policy_leave(&segments[3], &all));
    assert_false(mw_merge_policy_leave(&segments[3], &usual));
    segments[3] = log_of(10, 1, 5);
    assert_true(mw_merge_policy_leave(&segments[3], &usual));
    segments[3].items = 0;
    assert_false(mw_merge_policy_leave(&segments[3], &usual));
    assert_false(mw_merge_policy_leave(&segments[3], &all));
}

/* Damage and merged segments part what lies beside them. */
static void test_neighbours(void **state)
{
    mw_policy_segment segments[6];
    (void)state;
    for (size_t i = 0; i < 6; i++)
        segments[i] = log_of(10, 1, 10);
    segments[1].aside = true;
    assert_choice(segments, 6, 0, 1);
    segments[0] = merged_of(10, 10);
    assert_choice(segments, 6, 2, 4);
    segments[0].aside = true;
    segments[3] = merged_of(500000, 10);
    assert_choice(segments, 6, 2, 1);
    segments[2].aside = true;
    assert_choice(segments, 6, 4, 2);
    segments[4].current = segments[5].aside = true;
    assert_choice(segments, 6, 0, 0);
}

static void test_small_merged(void **state)
{
    mw_policy_segment segments[20];
    (void)state;
    for (size_t i = 0; i < 20; i++)
        segments[i] = merged_of(20, 100 - i);
    assert_choice(segments, 7, 0, 0);
    assert_choice(segments, 8, 0, 8);
    segments[0] = merged_of(5000, 100); /* another size */
    assert_choice(segments, 8, 0, 0);
    assert_choice(segments, 9, 1, 8);
    segments[4] = merged_of(300000, 96); /* large enough */
    assert_choice(segments, 12, 0, 0);
    assert_choice(segments, 13, 5, 8);
    segments[8].aside = true;
    assert_choice(segments, 16, 0, 0);
    segments[8] = log_of(1, 1, 1);
    segments[8].current = true;
    assert_choice(segments, 16, 0, 0);
    assert_choice(segments, 17, 9, 8);
    /* Long items make a segment large, too. */
    for (size_t i = 0; i < 8; i++) {
        segments[i] = merged_of(20, 100 - i);
        segments[i].bytes = (uint64_t)40 << 20;
    }
    assert_choice(segments, 8, 0, 0);
}

/* Sizes that alternate are taken together at the larger one's level. */
static void test_mixed_sizes(void **state)
{
    mw_policy_segment segments[8];
    (void)state;
    for (size_t i = 0; i < 8; i++)
        segments[i] = merged_of(i % 2 ? 20 : 110, 100 - i);
    assert_choice(segments, 8, 0, 8);
    /* Not for a few small ones beside a large one, which would be written again each time. */
    segments[3] = merged_of(3000, 97);
    assert_choice(segments, 8, 0, 0);
}

/* Nothing is put together with what came more than a day before. */
static void test_span_of_arrivals(void **state)
{
    mw_policy_segment segments[16];
    mw_policy_limits later = usual;
    (void)state;
    later.now_ns = 100000 * MINUTE;
    for (size_t i = 0; i < 16; i++) {
        segments[i] = merged_of(20, 0);
        segments[i].arrival_min_ns = segments[i].arrival_max_ns = i * 300 * MINUTE;
    }
    assert_int_equal(mw_merge_policy(segments, 16, &later).count, 0);
    for (size_t i = 0; i < 16; i++)
        segments[i].arrival_min_ns = segments[i].arrival_max_ns = i * 200 * MINUTE;
    mw_policy_choice choice = mw_merge_policy(segments, 16, &later);
    assert_int_equal(choice.first, 0);
    assert_int_equal(choice.count, 8);
}

/* ---- a disk that is nearly full -------------------------------------------------------------- */

static mw_policy_limits tight_of(uint64_t mebibytes)
{
    mw_policy_limits limits = usual;
    limits.tight = true;
    limits.room = mebibytes << 20;
    limits.packed_per_mille = 400;
    return limits;
}

/* Alone, however young, and only what ought to fit: half of what it is (0.4 and a quarter). */
static void test_tight_log(void **state)
{
    mw_policy_segment segments[6];
    (void)state;
    assert_in_range(mw_merge_policy_needs((uint64_t)40 << 20, 0, 400), (uint64_t)20 << 20,
                    ((uint64_t)20 << 20) + 2 * MW_MERGE_OVERHEAD);
    assert_in_range(mw_merge_policy_needs(0, (uint64_t)40 << 20, 400), (uint64_t)50 << 20,
                    ((uint64_t)50 << 20) + 2 * MW_MERGE_OVERHEAD);
    for (size_t i = 0; i < 6; i++)
        segments[i] = log_of(400, 60 - 10 * i, 1);
    segments[5].current = true;
    mw_policy_limits limits = tight_of(200);
    mw_policy_choice choice = mw_merge_policy(segments, 6, &limits);
    assert_true(choice.first == 0 && choice.count == 1);
    limits = tight_of(21); /* 60 and 50 need more; 40 fits */
    choice = mw_merge_policy(segments, 6, &limits);
    assert_true(choice.first == 2 && choice.count == 1);
    segments[2].aside = true;
    choice = mw_merge_policy(segments, 6, &limits);
    assert_true(choice.first == 3 && choice.count == 1);
    limits = tight_of(9);
    assert_int_equal(mw_merge_policy(segments, 6, &limits).count, 0);
    limits.all = true; /* whoever asks: it would fail */
    assert_int_equal(mw_merge_policy(segments, 6, &limits).count, 0);
}

/* The newest is left when it is a good part of the room, and can be merged then. */
static void test_tight_leaves(void **state)
{
    (void)state;
    mw_policy_segment current = log_of(400, 10, 1);
    current.current = true;
    mw_policy_limits limits = tight_of(41);
    assert_false(mw_merge_policy_leave(&current, &limits));
    limits = tight_of(40);
    assert_true(mw_merge_policy_leave(&current, &limits));
    limits = tight_of(5);
    assert_false(mw_merge_policy_leave(&current, &limits));
    current.bytes = MW_MERGE_TIGHT_LEAST - 1;
    limits = tight_of(1);
    assert_false(mw_merge_policy_leave(&current, &limits));
    current.bytes++;
    assert_true(mw_merge_policy_leave(&current, &limits));
    limits.tight = false;
    assert_false(mw_merge_policy_leave(&current, &limits));
    current.items = 0;
    assert_false(mw_merge_policy_leave(&current, &limits));
}

/* Merged ones are put together where that takes half of the room at most. */
static void test_tight_merged(void **state)
{
    mw_policy_segment segments[8];
    (void)state;
    for (size_t i = 0; i < 8; i++) {
        segments[i] = merged_of(20, 100 - i);
        segments[i].bytes = (uint64_t)1 << 17;
    }
    mw_policy_limits limits = tight_of(2);
    assert_int_equal(mw_merge_policy(segments, 8, &limits).count, 8);
    limits.room--;
    assert_int_equal(mw_merge_policy(segments, 8, &limits).count, 0);
}

/* Where the size of all presses, what is complete does not wait for company. */
static void test_closed(void **state)
{
    mw_policy_segment segments[3];
    (void)state;
    for (size_t i = 0; i < 3; i++)
        segments[i] = log_of(10, 1, 1);
    segments[2].current = true;
    mw_policy_limits limits = usual;
    assert_int_equal(mw_merge_policy(segments, 3, &limits).count, 0);
    limits.closed = true;
    assert_int_equal(mw_merge_policy(segments, 3, &limits).count, 2);
    assert_false(mw_merge_policy_leave(&segments[2], &limits));
}

/* A month of slow traffic: how many files stay, how often an item is written. */
static void test_slow_traffic(void **state)
{
    enum { MOST = 20000 };
    static mw_policy_segment segments[MOST];
    size_t count = 0, most = 0;
    uint64_t written = 0, items = 0;
    (void)state;
    for (uint64_t minute = 0; minute < 30 * 24 * 60; minute += 5) {
        mw_policy_limits now = usual;
        now.now_ns = minute * MINUTE;
        segments[count] = merged_of(300, 0);
        segments[count].arrival_min_ns = segments[count].arrival_max_ns = minute * MINUTE;
        count++;
        items += 300;
        for (;;) {
            mw_policy_choice choice = mw_merge_policy(segments, count, &now);
            if (choice.count == 0)
                break;
            mw_policy_segment *to = &segments[choice.first];
            for (size_t i = 1; i < choice.count; i++)
                to->items += to[i].items;
            to->arrival_max_ns = to[choice.count - 1].arrival_max_ns;
            to->bytes = to->items * 50;
            written += to->items;
            assert_true(to->arrival_max_ns - to->arrival_min_ns <= 24 * 60 * MINUTE);
            memmove(to + 1, to + choice.count, (count - choice.first - choice.count) * sizeof *to);
            count -= choice.count - 1;
        }
        most = count > most ? count : most;
    }
    /* 8,640 merges of 300 items each. */
    assert_true(most < 200);
    assert_true(written <= 4 * items);
}

/* Whatever the segments are, a choice keeps the rules. */
static void test_random_choices(void **state)
{
    test_random random = {77};
    mw_policy_segment segments[40];
    unsigned chosen = 0;
    (void)state;
    for (int round = 0; round < 20000; round++) {
        size_t count = random_below(&random, 40);
        for (size_t i = 0; i < count; i++) {
            uint64_t items = UINT64_C(1) << random_below(&random, 20);
            segments[i] = random_below(&random, 4)
                              ? merged_of(items, random_below(&random, 500))
                              : log_of(items, random_below(&random, 70), random_below(&random, 10));
            segments[i].aside = random_below(&random, 12) == 0;
        }
        mw_policy_choice choice = mw_merge_policy(segments, count, &usual);
        if (choice.count == 0)
            continue;
        uint64_t items = 0, bytes = 0;
        chosen++;
        assert_true(choice.first + choice.count <= count);
        for (size_t i = choice.first; i < choice.first + choice.count; i++) {
            assert_false(segments[i].aside || segments[i].current);
            assert_int_equal(segments[i].merged, segments[choice.first].merged);
            assert_true(!segments[i].merged || segments[i].items < usual.items_max / 4);
            items += segments[i].items;
            bytes += segments[i].bytes;
        }
        assert_true(choice.count == 1 || (items <= usual.items_max && bytes <= usual.bytes_max));
        assert_true(!segments[choice.first].merged || choice.count >= MW_MERGE_TIER);
        assert_true(choice.count <= MW_MERGE_SEGMENTS_MAX);
    }
    assert_true(chosen > 1000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_log_by_size),  cmocka_unit_test(test_log_by_age),
        cmocka_unit_test(test_neighbours),   cmocka_unit_test(test_small_merged),
        cmocka_unit_test(test_mixed_sizes),  cmocka_unit_test(test_span_of_arrivals),
        cmocka_unit_test(test_tight_log),    cmocka_unit_test(test_tight_leaves),
        cmocka_unit_test(test_tight_merged), cmocka_unit_test(test_closed),
        cmocka_unit_test(test_slow_traffic), cmocka_unit_test(test_random_choices),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
