/* Pure decisions per CPU second, with 100,000 alarms in the window (DESIGN 6).
 *
 *     build/tests/bench/triage/decide [DECISIONS]
 *
 * 300 services and 900 calls between them, 30 minutes of figures each; 100,000 alarms of 100 open
 * incidents within 40 minutes (and of 2,000, a storm of storms). An alarm is a look for candidates
 * among them and the decision over what was found; making a window of telemetry is timed by
 * itself, since it is made once a minute.
 */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "triage/decision/candidates.h"

#define SERVICES 300
#define EDGES 900
#define MEMBERS 100000
#define MINUTE UINT32_C(29558000)
#define MINUTE_NS (INT64_C(60) * 1000000000)

static uint64_t state = 1;

static uint64_t chance(uint64_t below)
{
    state = state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (state >> 33) % below;
}

static char names[SERVICES][16];
static mw_arena arena;

static double cpu_s(void)
{
    struct timespec now;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static void put_series(mw_minutes *minutes, uint32_t caller, uint32_t callee)
{
    bool worse = chance(20) == 0;
    for (uint32_t m = 0; m < 30; m++)
        minutes->cells[minutes->cell_count++] =
            (mw_minute_cell){.caller = caller,
                             .callee = callee,
                             .minute = MINUTE - 29 + m,
                             .calls = 50 + chance(50),
                             .errors = worse && m > 24 ? 30 : chance(2),
                             .mean_us = 5000 + chance(2000)};
}

static mw_topology *make_topology(void)
{
    mw_topology *topology = NULL;
    mw_minutes minutes = {.name_count = SERVICES};
    minutes.names = mw_arena_zalloc(&arena, SERVICES, sizeof *minutes.names);
    minutes.cells = mw_arena_zalloc(&arena, (size_t)(EDGES + SERVICES) * 30, sizeof *minutes.cells);
    for (uint32_t i = 0; i < SERVICES; i++) {
        snprintf(names[i], sizeof names[i], "service-%03u", (unsigned)i);
        minutes.names[i] = mw_slice_of(names[i]);
    }
    for (uint32_t i = 0; i < EDGES; i++) /* by caller: three each */
        put_series(&minutes, i / 3, (i / 3 + 1 + (uint32_t)chance(40) * (i % 3 + 1)) % SERVICES);
    for (uint32_t i = 0; i < SERVICES; i++)
        put_series(&minutes, MW_MINUTES_ENTRY, i);
    double begun = cpu_s();
    if (mw_topology_build(&minutes, NULL, 0, MINUTE, &arena, &topology) != MW_OK)
        abort();
    for (uint32_t i = 0; i < SERVICES; i++)
        if (!mw_topology_standing(topology, i))
            abort();
    printf("a window of %d services and %d calls: %.2f ms\n", SERVICES, EDGES,
           (cpu_s() - begun) * 1e3);
    return topology;
}

static mw_member make_member(mw_topology *topology, mw_member_suspect *suspects)
{
    uint32_t node = (uint32_t)chance(SERVICES);
    const mw_suspect *newest[MW_SUSPECTS_MAX];
    const mw_standing *standing = mw_topology_standing(topology, node);
    mw_member member = {.service = mw_slice_of(names[node]),
                        .region = MW_SLICE("us-east-1"),
                        .title = MW_SLICE("latency above threshold"),
                        .started_ns = MINUTE * MINUTE_NS - (int64_t)chance(40) * MINUTE_NS +
                                      (int64_t)chance(60000000),
                        .suspects = suspects,
                        .suspect_count = mw_topology_newest(standing, newest),
                        .known = standing->known};
    for (size_t i = 0; i < member.suspect_count; i++)
        suspects[i] =
            (mw_member_suspect){mw_topology_name(topology, newest[i]->node), newest[i]->onset};
    return member;
}

static mw_candidates *fill(mw_topology *topology, uint32_t incidents)
{
    mw_candidates *set = mw_candidates_new();
    mw_member_suspect suspects[MW_SUSPECTS_MAX];
    char id[MW_ID_TEXT_SIZE];
    for (uint32_t i = 0; set && i < MEMBERS; i++) {
        mw_member member = make_member(topology, suspects);
        /* An incident is around a few services. */
        snprintf(id, sizeof id, "%032u", (unsigned)(i % incidents));
        if (i >= 4 * incidents)
            member.service = mw_slice_of(names[(i % incidents) % SERVICES]);
        if (mw_candidates_add(set, mw_slice_of(id), &member) != MW_OK)
            abort();
    }
    return set;
}

static void run(mw_topology *topology, uint32_t incidents, long wanted)
{
    mw_member_suspect suspects[MW_SUSPECTS_MAX];
    mw_candidate candidates[MW_CANDIDATES_MAX];
    size_t verdicts[3] = {0};
    mw_candidates *set = fill(topology, incidents);
    double begun = cpu_s();
    for (long i = 0; i < wanted; i++) {
        uint32_t node;
        mw_decision decision;
        mw_member member = make_member(topology, suspects);
        mw_topology_find(topology, member.service, &node);
        mw_decision_input input = {
            .action = MW_SLICE("created"), .service = member.service, .candidates = candidates};
        input.candidate_count =
            mw_candidates_find(set, &member, topology, mw_topology_standing(topology, node),
                               candidates, MW_CANDIDATES_MAX);
        mw_decide(&input, &decision);
        verdicts[decision.verdict]++;
    }
    double took = cpu_s() - begun;
    printf("%ld decisions (%zu linked, %zu new) beside %d alarms of %zu incidents: %.0f per CPU "
           "second\n",
           wanted, verdicts[MW_VERDICT_LINKED], verdicts[MW_VERDICT_PROCEED], MEMBERS,
           mw_candidates_count(set), (double)wanted / took);
    mw_candidates_free(set);
}

int main(int argc, char **argv)
{
    long wanted = argc > 1 ? strtol(argv[1], NULL, 10) : 50000;
    mw_arena_init(&arena, MW_MEM_STATE, 0);
    mw_topology *topology = make_topology();
    run(topology, 100, wanted);
    run(topology, 2000, wanted / 20);
    mw_arena_reset(&arena);
    return 0;
}
