/* The best few of many open incidents: who is passed over unmet would not have been among them. */
#include <string.h>

#include "tests/check.h"
#include "triage/decision/candidates.h"

enum { SERVICES = 60, INCIDENTS = 1200, PART = 100, ALARMS = 300 };

#define MINUTE UINT32_C(29558000)
#define MINUTE_NS (INT64_C(60) * 1000000000)

static uint64_t seed = 7;
static char names[SERVICES][16];
static mw_arena arena;

static uint64_t chance(uint64_t below)
{
    seed = seed * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (seed >> 33) % below;
}

/* Chains with some calls across, of which one in eight has got worse. */
static mw_topology *make_topology(void)
{
    mw_topology *topology;
    mw_minutes minutes = {.name_count = SERVICES};
    minutes.names = mw_arena_zalloc(&arena, SERVICES, sizeof *minutes.names);
    minutes.cells = mw_arena_zalloc(&arena, (size_t)SERVICES * 3 * 30, sizeof *minutes.cells);
    for (uint32_t i = 0; i < SERVICES; i++) {
        snprintf(names[i], sizeof names[i], "service-%02u", (unsigned)i);
        minutes.names[i] = mw_slice_of(names[i]);
    }
    for (uint32_t i = 0; i < SERVICES * 3; i++) {
        bool worse = chance(8) == 0, entry = i % 3 == 2;
        for (uint32_t m = 0; m < 30; m++)
            minutes.cells[minutes.cell_count++] =
                (mw_minute_cell){.caller = entry ? MW_MINUTES_ENTRY : i / 3,
                                 .callee = (i / 3 + (entry ? 0 : 1 + i % 3 * 6)) % SERVICES,
                                 .minute = MINUTE - 29 + m,
                                 .calls = 50 + chance(50),
                                 .errors = worse && m > 24 + i % 3 ? 30 : 0,
                                 .mean_us = 5000};
    }
    assert_int_equal(mw_topology_build(&minutes, NULL, 0, MINUTE, &arena, &topology), MW_OK);
    return topology;
}

static mw_member make_member(mw_topology *topology, mw_member_suspect *suspects, uint32_t *node)
{
    static const char *const regions[] = {"us-east-1", "us-east-1", "eu-west-1", ""};
    static mw_slice resources[] = {MW_SLICE_INIT("table/orders")};
    const mw_suspect *newest[MW_SUSPECTS_MAX];
    *node = (uint32_t)chance(SERVICES);
    const mw_standing *standing = mw_topology_standing(topology, *node);
    bool told = chance(3) > 0;
    mw_member member = {.service = mw_slice_of(names[*node]),
                        .region = mw_slice_of(regions[chance(4)]),
                        .title = chance(2) ? MW_SLICE("slow") : MW_SLICE("failing"),
                        .started_ns = MINUTE * MINUTE_NS - (int64_t)chance(30) * MINUTE_NS +
                                      (int64_t)chance(60000000),
                        .resources = resources,
                        .resource_count = chance(4) == 0,
                        .suspects = suspects,
                        .known = told && standing->known};
    member.suspect_count = told ? mw_topology_newest(standing, newest) : 0;
    for (size_t i = 0; i < member.suspect_count; i++)
        suspects[i] =
            (mw_member_suspect){mw_topology_name(topology, newest[i]->node), newest[i]->onset};
    return member;
}

static void fill(mw_topology *topology, mw_candidates *all, mw_candidates **parts)
{
    mw_member_suspect suspects[MW_SUSPECTS_MAX];
    char id[MW_ID_TEXT_SIZE];
    uint32_t node;
    for (uint32_t i = 0; i < 3 * INCIDENTS; i++) {
        mw_member member = make_member(topology, suspects, &node);
        snprintf(id, sizeof id, "%032u", (unsigned)(i % INCIDENTS));
        assert_int_equal(mw_candidates_add(all, mw_slice_of(id), &member), MW_OK);
        mw_candidates *part = parts[i % INCIDENTS / PART];
        assert_int_equal(mw_candidates_add(part, mw_slice_of(id), &member), MW_OK);
    }
}

static int by_rank(const void *left, const void *right)
{
    return mw_candidate_compare(left, right);
}

static void check_one(mw_topology *topology, mw_candidates *all, mw_candidates **parts)
{
    mw_candidate best[MW_CANDIDATES_MAX], each[INCIDENTS / PART * MW_CANDIDATES_MAX];
    mw_member_suspect suspects[MW_SUSPECTS_MAX];
    uint32_t node;
    size_t count = 0;
    mw_member alarm = make_member(topology, suspects, &node);
    const mw_standing *standing = mw_topology_standing(topology, node);
    size_t found = mw_candidates_find(all, &alarm, topology, standing, best, MW_CANDIDATES_MAX);
    for (size_t i = 0; i < INCIDENTS / PART; i++)
        count += mw_candidates_find(parts[i], &alarm, topology, standing, each + count,
                                    MW_CANDIDATES_MAX);
    qsort(each, count, sizeof *each, by_rank);
    assert_int_equal(found, count < MW_CANDIDATES_MAX ? count : MW_CANDIDATES_MAX);
    for (size_t i = 0; i < found; i++) {
        assert_int_equal(mw_candidate_compare(&best[i], &each[i]), 0);
        assert_true(mw_slice_equal(best[i].investigation_id, each[i].investigation_id));
        assert_int_equal(best[i].relation, each[i].relation);
        assert_int_equal(best[i].distance, each[i].distance);
        assert_true(mw_slice_equal(best[i].service, each[i].service));
    }
}

/* A hundred incidents are all met; of twelve hundred many are not, and the answer is the same. */
static void test_best_of_many(void **state)
{
    (void)state;
    mw_candidates *all = mw_candidates_new(), *parts[INCIDENTS / PART];
    mw_arena_init(&arena, MW_MEM_STATE, 0);
    mw_topology *topology = make_topology();
    for (size_t i = 0; i < INCIDENTS / PART; i++)
        parts[i] = mw_candidates_new();
    fill(topology, all, parts);
    for (int i = 0; i < ALARMS; i++)
        check_one(topology, all, parts);
    for (size_t i = 0; i < INCIDENTS / PART; i++)
        mw_candidates_free(parts[i]);
    mw_candidates_free(all);
    mw_arena_reset(&arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_best_of_many)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
