/* Storms of alarms with known truth (storm.h), decided one by one as they arrive. Printed beside
 * what is decided: what grouping by service, by title, and by region and time alone would say; and
 * what becomes of it when telemetry comes late, decided once and looked at again.
 *
 *     test_storm [SEEDS [FIRST]]      20 seeds by default; `make soak` runs 200
 *
 * Each decision is also written, read back and taken again: the text must be the same.
 */
#include "tests/unit/triage/storm.h"

/* Seconds after a decision at which it is looked at again, as triage_int.h has them. */
static const double looks_s[] = {15.0, 120.0};
#define LOOKS ((int)(sizeof looks_s / sizeof looks_s[0]))

static double late_s; /* how long spans take to arrive; 0: the telemetry is ahead of the alarm */
static bool verbose;
static int next_group;
static int looked[MW_LOOK_COUNT];

/* ---- deciding -------------------------------------------------------------------------------- */

static void check_replay(const mw_decision_record *record, const mw_decision *decision,
                         mw_arena *arena)
{
    mw_slice text, again_text;
    mw_decision again;
    mw_decision_record *read = mw_arena_zalloc(arena, 1, sizeof *read);
    assert_int_equal(mw_decision_write(record, decision, arena, &text), MW_OK);
    assert_int_equal(mw_decision_read(text, arena, read), MW_OK);
    mw_decide(&read->input, &again);
    assert_int_equal(mw_decision_write(read, &again, arena, &again_text), MW_OK);
    assert_true(mw_slice_equal(text, again_text));
    assert_int_equal(again.verdict, decision->verdict);
    assert_string_equal(again.reason, decision->reason);
    assert_true(mw_slice_equal(again.investigation_id, decision->investigation_id));
}

static void group_text(int group, char out[MW_ID_TEXT_SIZE])
{
    snprintf(out, MW_ID_TEXT_SIZE, "%032d", group);
}

static int group_number(mw_slice text)
{
    char copy[MW_ID_TEXT_SIZE];
    assert_true(mw_slice_to_cstr(text, copy, sizeof copy));
    return (int)strtol(copy, NULL, 10);
}

static void make_member(const alarm *a, mw_member_suspect *suspects, mw_member *out)
{
    *out = (mw_member){.service = mw_slice_of(world.services[a->service].name),
                       .region = mw_slice_of(a->region),
                       .title = mw_slice_of(a->title),
                       .started_ns = (int64_t)START_MINUTE * MINUTE_NS + (int64_t)(a->at_s * 1e9),
                       .suspects = suspects,
                       .known = a->seen.known};
    for (size_t i = 0; i < a->seen.suspect_count; i++)
        if (a->seen.newest[i])
            suspects[out->suspect_count++] =
                (mw_member_suspect){a->seen.suspects[i].service, a->seen.suspects[i].change.onset};
}

/* The group in memory is made again from its alarms, as the engine does from state. How many. */
static size_t refresh(mw_candidates *set, int group, const alarm *without)
{
    char id[MW_ID_TEXT_SIZE];
    size_t count = 0;
    group_text(group, id);
    mw_candidates_remove(set, mw_slice_of(id));
    for (int i = 0; i < world.alarm_count; i++) {
        const alarm *a = &world.alarms[i];
        mw_member_suspect suspects[MW_SUSPECTS_MAX];
        mw_member member;
        if (!a->decided || a->repeat || a->group != group || a == without)
            continue;
        make_member(a, suspects, &member);
        assert_int_equal(mw_candidates_add(set, mw_slice_of(id), &member), MW_OK);
        count++;
    }
    return count;
}

static void join_groups(mw_candidates *set, int from, int into)
{
    for (int i = 0; i < world.alarm_count; i++)
        if (world.alarms[i].decided && world.alarms[i].group == from)
            world.alarms[i].group = into;
    refresh(set, from, NULL);
    refresh(set, into, NULL);
}

/* One alarm before mw_decide: what is seen, and what is near. */
typedef struct asked {
    mw_arena arena;
    mw_topology *topology;
    const mw_standing *standing;
    mw_decision_record *record;
    mw_member member;
    mw_member_suspect suspects[MW_SUSPECTS_MAX];
    mw_decision decision;
} asked;

static void see(asked *q, const alarm *a, double upto_s)
{
    uint32_t node;
    mw_arena_init(&q->arena, MW_MEM_STATE, 0);
    q->record = mw_arena_zalloc(&q->arena, 1, sizeof *q->record);
    q->topology = topology_at(a->at_s, upto_s, &q->arena);
    q->standing = NULL;
    if (mw_topology_find(q->topology, mw_slice_of(world.services[a->service].name), &node))
        q->standing = mw_topology_standing(q->topology, node);
    q->record->seen.read = true;
    mw_telemetry_see(q->topology, q->standing, &q->record->seen);
}

static void decide(asked *q, mw_candidates *set, const alarm *a)
{
    mw_decision_record *record = q->record;
    bool is_suspect = false;
    make_member(a, q->suspects, &q->member);
    for (size_t i = 0; i < q->member.suspect_count; i++)
        is_suspect |= mw_slice_equal(q->suspects[i].service, q->member.service);
    record->input = (mw_decision_input){
        .action = MW_SLICE("created"),
        .service = q->member.service,
        .suspect = q->member.suspect_count ? q->suspects[0].service : MW_SLICE(""),
        .is_suspect = is_suspect,
        .candidates = record->candidates,
        .candidate_count = mw_candidates_find(set, &q->member, q->topology, q->standing,
                                              record->candidates, MW_CANDIDATES_MAX)};
    mw_decide(&record->input, &q->decision);
    check_replay(record, &q->decision, &q->arena);
}

static void tell(const alarm *a, const char *what, const mw_decision *decision)
{
    if (verbose)
        print_message("  %6.1f fault %d %s %s -> %d %s: %s\n", a->at_s / 60.0, a->fault,
                      world.services[a->service].name, a->region, a->group, what, decision->reason);
}

/* A report of an incident that is open is SKIPPED, and its investigation swallows it. */
static bool is_repeat(alarm *a, int at)
{
    for (int i = 0; i < at; i++) {
        if (world.alarms[i].incident != a->incident)
            continue;
        mw_decision_input input = {
            .action = MW_SLICE("created"), .incident_known = true, .incident_unresolved = true};
        mw_decision decision;
        mw_decide(&input, &decision);
        assert_int_equal(decision.reason_code, MW_REASON_DUPLICATE);
        a->repeat = true;
        a->group = world.alarms[i].group;
        return true;
    }
    return false;
}

static void decide_alarm(mw_candidates *set, int at)
{
    alarm *a = &world.alarms[at];
    asked q;
    char id[MW_ID_TEXT_SIZE];
    a->decided = true;
    if (is_repeat(a, at))
        return;
    see(&q, a, late_s > 0.0 ? a->arrives_s - late_s : a->at_s + 15.0);
    a->seen = q.record->seen;
    decide(&q, set, a);
    bool links = q.decision.verdict == MW_VERDICT_LINKED;
    a->group = links ? group_number(q.decision.investigation_id) : ++next_group;
    tell(a, "first", &q.decision);
    group_text(a->group, id);
    assert_int_equal(mw_candidates_add(set, mw_slice_of(id), &q.member), MW_OK);
    int joins[MW_CANDIDATES_MAX];
    for (size_t i = 0; i < q.decision.join_count; i++)
        joins[i] = group_number(q.record->candidates[q.decision.joins[i]].investigation_id);
    for (size_t i = 0; i < q.decision.join_count; i++)
        join_groups(set, joins[i], a->group);
    mw_arena_reset(&q.arena);
}

/* ---- looking again --------------------------------------------------------------------------- */

static void carry_out(mw_candidates *set, alarm *a, const mw_looked *done)
{
    int own = a->group, into = done->into.len ? group_number(done->into) : 0;
    switch (done->look) {
    case MW_LOOK_MERGES: join_groups(set, own, into); return;
    case MW_LOOK_MOVES: a->group = into; break;
    case MW_LOOK_LEAVES: a->group = into = ++next_group; break;
    default: into = 0;
    }
    refresh(set, own, NULL);
    if (into)
        refresh(set, into, NULL);
}

static void look_again(mw_candidates *set, alarm *a, double now_s)
{
    asked q;
    char own[MW_ID_TEXT_SIZE];
    see(&q, a, now_s - late_s);
    if (mw_look_differs(&a->seen, &q.record->seen)) {
        a->seen = q.record->seen;
        size_t others = refresh(set, a->group, a);
        group_text(a->group, own);
        decide(&q, set, a);
        mw_looked done =
            mw_look_conclude(&q.record->input, &q.decision, mw_slice_of(own), others, false);
        looked[done.look]++;
        carry_out(set, a, &done);
        tell(a, mw_look_name(done.look), &q.decision);
    }
    mw_arena_reset(&q.arena);
}

/* Those looks that are due before the next alarm comes, in order of time. */
static void look_until(mw_candidates *set, int *done, double until_s)
{
    for (;;) {
        int best = -1;
        double best_s = until_s;
        for (int i = 0; i < world.alarm_count; i++) {
            const alarm *a = &world.alarms[i];
            if (!a->decided || a->repeat || done[i] == LOOKS ||
                a->arrives_s + looks_s[done[i]] >= best_s)
                continue;
            best = i;
            best_s = a->arrives_s + looks_s[done[i]];
        }
        if (best < 0)
            return;
        done[best]++;
        look_again(set, &world.alarms[best], best_s);
    }
}

/* ---- figures --------------------------------------------------------------------------------- */

typedef struct method {
    const char *name;
    bool (*same)(const alarm *, const alarm *);
    figures all, two;
} method;

static method methods[] = {{.name = "midwatch", .same = by_us},
                           {.name = "by service", .same = by_service},
                           {.name = "by title", .same = by_title},
                           {.name = "by region and time", .same = by_region_and_time}};
#define METHODS (sizeof methods / sizeof methods[0])
static method late_once = {.name = "late, decided once", .same = by_us};
static method late_again = {.name = "late, looked at again", .same = by_us};

static void add_figures(method *m, bool two)
{
    add_pairs(&m->all, m->same);
    add_groups(&m->all, m->same);
    if (two) {
        add_pairs(&m->two, m->same);
        add_groups(&m->two, m->same);
    }
}

static void print_figures(const method *m)
{
    print_message("%-22s %8.3f %10.3f %24.2f\n", m->name, f1(&m->all), f1(&m->two),
                  m->all.groups / m->all.faults);
}

static void tell_world(uint64_t seed, bool two)
{
    print_message("seed %llu: %d services, %d faults%s\n", (unsigned long long)seed,
                  world.service_count, world.fault_count, two ? ", two behind one entry" : "");
    for (int i = 0; i < world.fault_count; i++)
        print_message("  fault %d: %s from %.1f to %.1f, errors %.2f, slower %.0f ms\n", i,
                      world.services[world.faults[i].service].name, world.faults[i].from_s / 60,
                      world.faults[i].to_s / 60, world.faults[i].errors, world.faults[i].slower_ms);
}

static void play(bool look)
{
    int done[ALARMS_MAX] = {0};
    mw_candidates *set = mw_candidates_new();
    for (int i = 0; i < world.alarm_count; i++)
        world.alarms[i].decided = world.alarms[i].repeat = false;
    for (int i = 0; i < world.alarm_count; i++) {
        if (look)
            look_until(set, done, world.alarms[i].arrives_s);
        decide_alarm(set, i);
    }
    if (look)
        look_until(set, done, 1e9);
    /* Repeats follow the report that they repeat. */
    for (int i = 0; i < world.alarm_count; i++)
        for (int k = 0; k < i && world.alarms[i].repeat; k++)
            if (!world.alarms[k].repeat && world.alarms[k].incident == world.alarms[i].incident)
                world.alarms[i].group = world.alarms[k].group;
    mw_candidates_free(set);
}

static uint64_t seeds = 20, first_seed = 1;

static void run_seed(uint64_t seed)
{
    bool two = make_world(seed);
    if (verbose)
        tell_world(seed, two);
    late_s = 0.0;
    play(false);
    for (size_t i = 0; i < METHODS; i++)
        add_figures(&methods[i], two);
    late_s = between(5.0, 60.0);
    play(false);
    add_figures(&late_once, two);
    play(true);
    add_figures(&late_again, two);
}

static void print_kinds(void)
{
    print_message("faults by depth 1 to 6: %d %d %d %d %d %d; storms with two behind one entry %d\n"
                  "alarms lost %d, out of order %d, the cause's last %d, sent again %d, noise %d, "
                  "elsewhere %d, long after %d\n",
                  met.depths[1], met.depths[2], met.depths[3], met.depths[4], met.depths[5],
                  met.depths[6], met.two, met.lost, met.reordered, met.cause_last, met.repeats,
                  met.noise, met.elsewhere, met.long_after);
}

static void test_storms(void **state)
{
    (void)state;
    for (uint64_t seed = first_seed; seed < first_seed + seeds; seed++) {
        figures before = methods[0].all, *now = &methods[0].all;
        run_seed(seed);
        figures one = {now->together - before.together, now->right - before.right,
                       now->wanted - before.wanted, now->groups - before.groups,
                       now->faults - before.faults};
        if (verbose || f1(&one) < 0.8)
            print_message("seed %llu: F1 %.3f, %d alarms, %.0f faults, %.2f investigations each\n",
                          (unsigned long long)seed, f1(&one), world.alarm_count, one.faults,
                          one.faults > 0 ? one.groups / one.faults : 0.0);
    }
    print_kinds();
    print_message("%llu storms\n%-22s %8s %10s %24s\n", (unsigned long long)seeds, "grouping", "F1",
                  "two faults", "investigations a fault");
    for (size_t i = 0; i < METHODS; i++)
        print_figures(&methods[i]);
    print_figures(&late_once);
    print_figures(&late_again);
    print_message("looks at late telemetry:");
    for (unsigned i = 0; i < MW_LOOK_COUNT; i++)
        print_message(" %s %d", mw_look_name((mw_look)i), looked[i]);
    print_message("\n");
    const method *ours = &methods[0];
    assert_true(f1(&ours->all) >= 0.95);
    assert_true(f1(&ours->two) >= 0.90);
    assert_true(ours->all.groups / ours->all.faults <= 1.15);
    for (size_t i = 1; i < METHODS; i++)
        assert_true(f1(&ours->all) > f1(&methods[i].all));
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_storms)};
    if (argc > 1)
        seeds = strtoull(argv[1], NULL, 10);
    if (argc > 2) {
        first_seed = strtoull(argv[2], NULL, 10);
        verbose = seeds == 1;
    }
    return cmocka_run_group_tests(tests, NULL, NULL);
}
