/* Storms of alarms with known truth, decided one by one as they arrive.
 *
 * A seed makes a random graph of services, an hour of traffic through it (spans with errors and
 * durations, a request at a time), one to three faults, the alarms of what each breaks, and noise.
 * What is decided is compared with what is true: two alarms belong together when one fault made
 * them. Printed beside it: what grouping by service, by title, and by region and time alone would
 * say.
 *
 *     test_storm [SEEDS [FIRST]]      20 seeds by default; `make soak` runs 200
 *
 * None of the numbers here comes from those of the decision: rates, delays, sizes and shares are
 * drawn from wide ranges. Each decision is also written, read back and taken again: the text must
 * be the same.
 */
#include <stdlib.h>
#include <string.h>

#include "tests/check.h"
#include "triage/decision/candidates.h"
#include "triage/decision/decision_json.h"

#define SERVICES_MAX 40
#define EDGES_MAX 160
#define MINUTES 90
#define QUARTERS 4
#define ALARMS_MAX 400
#define FAULTS_MAX 3
#define START_MINUTE UINT32_C(29558000)
#define NS INT64_C(1000000000)
#define MINUTE_NS (60 * NS)

/* ---- chance ---------------------------------------------------------------------------------- */

static uint64_t chance_state;

static uint64_t chance(void)
{
    uint64_t z = chance_state += UINT64_C(0x9e3779b97f4a7c15);
    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return z ^ (z >> 31);
}

static double unit(void)
{
    return (double)(chance() >> 11) / 9007199254740992.0;
}

static double between(double from, double to)
{
    return from + unit() * (to - from);
}

static int pick(int from, int to) /* both inclusive */
{
    return from + (int)(chance() % (uint64_t)(to - from + 1));
}

static bool happens(double share)
{
    return unit() < share;
}

/* Around 1, with a tail to the right, as durations have. */
static double spread(double width)
{
    double sum = 0.0;
    for (int i = 0; i < 6; i++)
        sum += unit() - 0.5;
    double x = sum * width;
    return x > 0 ? 1.0 + x + x * x : 1.0 / (1.0 - x);
}

/* ---- the world ------------------------------------------------------------------------------- */

typedef struct cell {
    uint64_t calls, errors;
    double ms;
} cell;

typedef struct service {
    char name[24];
    int level;
    double ms, width, error_rate;
} service;

typedef struct link {
    int caller, callee;
    double share;
} link;

typedef struct fault {
    int service;
    double from_s, to_s;
    double errors, slower_ms;
    int entry;
} fault;

typedef struct alarm {
    double at_s, arrives_s;
    int service, fault; /* fault: its truth; noise and others have numbers of their own */
    char title[64], region[16];
    /* answers */
    int group;
} alarm;

static struct {
    service services[SERVICES_MAX];
    int service_count, entry_count;
    link links[EDGES_MAX];
    int link_count;
    fault faults[FAULTS_MAX];
    int fault_count;
    alarm alarms[ALARMS_MAX];
    int alarm_count, truths;
    double rate;      /* requests a minute and entry */
    double passes_on; /* share of failed calls that fail their caller */
    cell entries[SERVICES_MAX][MINUTES][QUARTERS];
    cell calls[EDGES_MAX][MINUTES][QUARTERS];
} world;

static void make_graph(void)
{
    int levels = pick(3, 7), n = 0;
    world.entry_count = pick(1, 3);
    for (int level = 0; level < levels; level++) {
        int count = level == 0 ? world.entry_count : pick(1, 6);
        for (int i = 0; i < count && n < SERVICES_MAX; i++, n++) {
            service *s = &world.services[n];
            *s = (service){.level = level,
                           .ms = between(1.0, 30.0),
                           .width = between(0.2, 0.9),
                           .error_rate = happens(0.6) ? 0.0 : between(0.0, 0.01)};
            snprintf(s->name, sizeof s->name, "%c%d-svc", 'a' + (int)(chance() % 26), n);
        }
    }
    world.service_count = n;
}

static void add_link(int caller, int callee)
{
    for (int i = 0; i < world.link_count; i++)
        if (world.links[i].caller == caller && world.links[i].callee == callee)
            return;
    if (world.link_count < EDGES_MAX)
        world.links[world.link_count++] = (link){caller, callee, between(0.25, 1.0)};
}

/* Each service below the entries is called from the level above it, some from others too. */
static void make_links(void)
{
    for (int i = world.entry_count; i < world.service_count; i++) {
        int level = world.services[i].level, tries = pick(1, 3);
        for (int k = 0; k < tries; k++) {
            int caller = pick(0, world.service_count - 1);
            int above = world.services[caller].level;
            if (above == level - 1 || (above < level && k > 0 && happens(0.3)))
                add_link(caller, i);
        }
        for (int caller = 0; caller < i; caller++)
            if (world.services[caller].level == level - 1) {
                add_link(caller, i);
                break;
            }
    }
}

static bool reaches(int from, int to)
{
    bool seen[SERVICES_MAX] = {false};
    seen[from] = true;
    for (int round = 0; round < world.service_count; round++)
        for (int i = 0; i < world.link_count; i++)
            if (seen[world.links[i].caller])
                seen[world.links[i].callee] = true;
    return seen[to];
}

/* ---- traffic --------------------------------------------------------------------------------- */

static void count_into(cell *row, double at_s, bool failed, double ms)
{
    int quarter = (int)(at_s / 15.0) % 4;
    for (int q = quarter; q < QUARTERS; q++) {
        row[q].calls++;
        row[q].errors += failed;
        row[q].ms += ms;
    }
}

/* One call of a service; levels only go down, so that it ends. */
static bool serve(int number, double at_s, double *took_ms)
{
    const service *s = &world.services[number];
    double ms = s->ms * spread(s->width);
    bool failed = happens(s->error_rate);
    for (int i = 0; i < world.fault_count; i++) {
        const fault *f = &world.faults[i];
        if (f->service != number || at_s < f->from_s || at_s >= f->to_s)
            continue;
        failed |= happens(f->errors);
        ms += f->slower_ms * between(0.5, 1.5);
    }
    for (int i = 0; i < world.link_count; i++) {
        double below_ms;
        if (world.links[i].caller != number || !happens(world.links[i].share))
            continue;
        bool below = serve(world.links[i].callee, at_s, &below_ms);
        count_into(world.calls[i][(int)(at_s / 60.0)], at_s, below, below_ms);
        failed |= below && happens(world.passes_on);
        ms += below_ms;
        if (below && happens(0.5)) /* gives up, and does not call the others */
            break;
    }
    count_into(world.entries[number][(int)(at_s / 60.0)], at_s, failed, ms);
    *took_ms = ms;
    return failed;
}

static void make_traffic(void)
{
    memset(world.entries, 0, sizeof world.entries);
    memset(world.calls, 0, sizeof world.calls);
    for (int entry = 0; entry < world.entry_count; entry++)
        for (double at_s = 0.0; at_s < MINUTES * 60.0;) {
            double ms;
            serve(entry, at_s, &ms);
            at_s += 60.0 / world.rate * between(0.1, 1.9);
        }
}

/* ---- faults ---------------------------------------------------------------------------------- */

static int pick_below(int entry, int not_this)
{
    for (int tries = 0; tries < 200; tries++) {
        int number = pick(world.entry_count, world.service_count - 1);
        if (reaches(entry, number) && number != not_this &&
            (not_this < 0 || (!reaches(number, not_this) && !reaches(not_this, number))))
            return number;
    }
    return -1;
}

static void add_fault(int number, int entry, double from_s)
{
    bool fails = happens(0.6);
    world.faults[world.fault_count++] =
        (fault){.service = number,
                .entry = entry,
                .from_s = from_s,
                .to_s = from_s + between(4.0, 20.0) * 60.0,
                .errors = fails ? between(0.35, 1.0) : 0.0,
                .slower_ms = fails ? (happens(0.3) ? between(50, 500) : 0.0) : between(150, 3000)};
}

/* True when there are two at about the same time behind one entry. */
static bool make_faults(void)
{
    int entry = pick(0, world.entry_count - 1), first = pick_below(entry, -1), second = -1;
    double at_s = between(40.0, 50.0) * 60.0;
    bool two = happens(0.45);
    if (first < 0)
        return false;
    add_fault(first, entry, at_s);
    if (two)
        second = pick_below(entry, first);
    if (second >= 0)
        add_fault(second, entry, at_s + between(6.0, 12.0) * 60.0);
    return second >= 0;
}

/* ---- alarms ---------------------------------------------------------------------------------- */

static const char *const rules[] = {"latency above threshold", "5xx rate", "SLO burn",
                                    "errors above 5 %", "p99 too high"};

static alarm *add_alarm(int number, int truth, double at_s, const char *region)
{
    if (world.alarm_count == ALARMS_MAX)
        return NULL;
    alarm *a = &world.alarms[world.alarm_count++];
    *a = (alarm){.service = number, .fault = truth, .at_s = at_s};
    a->arrives_s = at_s + (happens(0.3) ? between(0.0, 120.0) : between(0.0, 5.0));
    snprintf(a->region, sizeof a->region, "%s", region);
    snprintf(a->title, sizeof a->title, "%s%s%s", happens(0.7) ? world.services[number].name : "",
             happens(0.5) ? ": " : " ", rules[chance() % 5]);
    return a;
}

/* What monitoring would see of a service: the share of failed calls and the mean, before and
 * during. */
static bool is_hit(int number, const fault *f)
{
    cell before = {0}, during = {0};
    int from = (int)(f->from_s / 60.0);
    for (int m = from - 15; m < from; m++) {
        const cell *c = &world.entries[number][m][QUARTERS - 1];
        before = (cell){before.calls + c->calls, before.errors + c->errors, before.ms + c->ms};
    }
    for (int m = from + 1; m < from + 4; m++) {
        const cell *c = &world.entries[number][m][QUARTERS - 1];
        during = (cell){during.calls + c->calls, during.errors + c->errors, during.ms + c->ms};
    }
    if (before.calls < 20 || during.calls < 10)
        return false;
    double was = (double)before.errors / (double)before.calls;
    double is = (double)during.errors / (double)during.calls;
    return is > was + 0.08 ||
           during.ms / (double)during.calls > 2.0 * before.ms / (double)before.calls;
}

static void alarm_fault(int truth, const fault *f, bool cause_last)
{
    for (int i = 0; i < world.service_count; i++) {
        bool cause = i == f->service;
        if ((!cause && !reaches(i, f->service)) || !is_hit(i, f) || happens(0.15))
            continue;
        double after =
            cause ? (cause_last ? between(200, 280) : between(30, 150)) : between(30, 190);
        add_alarm(i, truth, f->from_s + after, "us-east-1");
        while (happens(0.25)) /* another rule of the same service */
            add_alarm(i, truth, f->from_s + after + between(5, 120), "us-east-1");
    }
}

static void make_alarms(void)
{
    for (int i = 0; i < world.fault_count; i++)
        alarm_fault(world.truths++, &world.faults[i], happens(0.3));
    /* the same services in another region, whose telemetry goes elsewhere */
    if (happens(0.3)) {
        int truth = world.truths++, end = world.alarm_count;
        for (int i = 0; i < end; i++)
            if (world.alarms[i].fault == 0 && happens(0.6))
                add_alarm(world.alarms[i].service, truth, world.alarms[i].at_s + between(-60, 60),
                          "eu-west-1");
    }
    /* alarms about something else, of services that are well */
    for (int i = pick(0, 4); i > 0; i--) {
        int number = pick(0, world.service_count - 1);
        bool well = true;
        for (int k = 0; k < world.fault_count; k++)
            well &= number != world.faults[k].service && !reaches(number, world.faults[k].service);
        if (well)
            add_alarm(number, world.truths++, between(35, 75) * 60.0, "us-east-1");
    }
    /* the same service long after */
    if (happens(0.3) && world.fault_count)
        add_alarm(world.faults[0].service, world.truths++, world.faults[0].from_s + 27 * 60,
                  "us-east-1");
}

static int by_arrival(const void *left, const void *right)
{
    const alarm *a = left, *b = right;
    return (a->arrives_s > b->arrives_s) - (a->arrives_s < b->arrives_s);
}

static bool make_world(uint64_t seed)
{
    chance_state = seed * UINT64_C(0x2545f4914f6cdd1d) + 1;
    memset(&world, 0, offsetof(__typeof__(world), entries));
    make_graph();
    make_links();
    world.rate = between(12.0, 150.0);
    world.passes_on = between(0.75, 1.0);
    bool two = make_faults();
    make_traffic();
    make_alarms();
    qsort(world.alarms, (size_t)world.alarm_count, sizeof world.alarms[0], by_arrival);
    return two;
}

/* ---- telemetry as the store would tell it -----------------------------------------------------
 * */

static void put_cell(mw_minutes *out, uint32_t caller, uint32_t callee, int minute, const cell *c)
{
    if (!c->calls)
        return;
    out->cells[out->cell_count++] =
        (mw_minute_cell){.caller = caller,
                         .callee = callee,
                         .minute = START_MINUTE + (uint32_t)minute,
                         .calls = c->calls,
                         .errors = c->errors,
                         .mean_us = (uint64_t)(c->ms / (double)c->calls * 1000.0)};
}

/* What had happened by then; of the alarm's minute what came before the alarm, in quarters. */
static mw_topology *topology_at(double at_s, mw_arena *arena)
{
    int last = (int)(at_s / 60.0), quarter = (int)(at_s / 15.0) % 4;
    mw_minutes minutes = {.name_count = (size_t)world.service_count};
    mw_topology *topology;
    minutes.names = mw_arena_zalloc(arena, SERVICES_MAX, sizeof *minutes.names);
    minutes.cells = mw_arena_zalloc(arena, (EDGES_MAX + SERVICES_MAX) * 31, sizeof *minutes.cells);
    for (int i = 0; i < world.service_count; i++)
        minutes.names[i] = mw_slice_of(world.services[i].name);
    int from = last < 29 ? 0 : last - 29;
    for (int i = 0; i < world.link_count; i++)
        for (int m = from; m <= last; m++)
            put_cell(&minutes, (uint32_t)world.links[i].caller, (uint32_t)world.links[i].callee, m,
                     &world.calls[i][m][m < last ? QUARTERS - 1 : quarter]);
    for (int i = 0; i < world.service_count; i++)
        for (int m = from; m <= last; m++)
            put_cell(&minutes, MW_MINUTES_ENTRY, (uint32_t)i, m,
                     &world.entries[i][m][m < last ? QUARTERS - 1 : quarter]);
    assert_int_equal(
        mw_topology_build(&minutes, NULL, 0, START_MINUTE + (uint32_t)last, arena, &topology),
        MW_OK);
    return topology;
}

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

static void make_member(const alarm *a, const mw_telemetry_seen *seen, mw_member_suspect *suspects,
                        mw_member *out)
{
    *out = (mw_member){.service = mw_slice_of(world.services[a->service].name),
                       .region = mw_slice_of(a->region),
                       .title = mw_slice_of(a->title),
                       .started_ns = (int64_t)START_MINUTE * MINUTE_NS + (int64_t)(a->at_s * 1e9),
                       .suspects = suspects,
                       .known = seen->known};
    for (size_t i = 0; i < seen->suspect_count; i++)
        if (seen->newest[i])
            suspects[out->suspect_count++] =
                (mw_member_suspect){seen->suspects[i].service, seen->suspects[i].change.onset};
}

static bool verbose;

static void tell(const alarm *a, const mw_decision *decision)
{
    print_message("  %6.1f fault %d %s %s -> %d: %s\n", a->at_s / 60.0, a->fault,
                  world.services[a->service].name, a->region, a->group, decision->reason);
}

/* The set in memory is made again from what alarms belong to, as after a merge in state. */
static void join_groups(mw_candidates *set, int from, int into, int until)
{
    char id[MW_ID_TEXT_SIZE];
    group_text(from, id);
    mw_candidates_remove(set, mw_slice_of(id));
    group_text(into, id);
    mw_arena arena;
    mw_arena_init(&arena, MW_MEM_STATE, 0);
    for (int i = 0; i < until; i++) {
        alarm *a = &world.alarms[i];
        if (a->group != from)
            continue;
        uint32_t node;
        mw_telemetry_seen seen = {.read = true};
        mw_member_suspect suspects[MW_SUSPECTS_MAX];
        mw_member member;
        mw_topology *t = topology_at(a->at_s, &arena);
        if (mw_topology_find(t, mw_slice_of(world.services[a->service].name), &node))
            mw_telemetry_see(t, mw_topology_standing(t, node), &seen);
        make_member(a, &seen, suspects, &member);
        assert_int_equal(mw_candidates_add(set, mw_slice_of(id), &member), MW_OK);
        a->group = into;
    }
    mw_arena_reset(&arena);
}

static void decide_alarm(mw_candidates *set, int at)
{
    static int next_group;
    alarm *a = &world.alarms[at];
    mw_arena arena;
    uint32_t node;
    const mw_standing *standing = NULL;
    mw_member_suspect suspects[MW_SUSPECTS_MAX];
    mw_member member;
    mw_decision decision;
    char id[MW_ID_TEXT_SIZE];
    mw_arena_init(&arena, MW_MEM_STATE, 0);
    mw_decision_record *record = mw_arena_zalloc(&arena, 1, sizeof *record);
    mw_topology *topology = topology_at(a->at_s, &arena);
    if (mw_topology_find(topology, mw_slice_of(world.services[a->service].name), &node))
        standing = mw_topology_standing(topology, node);
    record->seen.read = true;
    mw_telemetry_see(topology, standing, &record->seen);
    make_member(a, &record->seen, suspects, &member);
    bool is_suspect = false;
    for (size_t i = 0; i < member.suspect_count; i++)
        is_suspect |= mw_slice_equal(suspects[i].service, member.service);
    record->input = (mw_decision_input){
        .action = MW_SLICE("created"),
        .service = member.service,
        .suspect = member.suspect_count ? suspects[0].service : MW_SLICE(""),
        .is_suspect = is_suspect,
        .candidates = record->candidates,
        .candidate_count = mw_candidates_find(set, &member, topology, standing, record->candidates,
                                              MW_CANDIDATES_MAX)};
    mw_decide(&record->input, &decision);
    check_replay(record, &decision, &arena);
    a->group = decision.verdict == MW_VERDICT_LINKED ? group_number(decision.investigation_id)
                                                     : ++next_group;
    if (verbose)
        tell(a, &decision);
    int joins[MW_CANDIDATES_MAX];
    for (size_t i = 0; i < decision.join_count; i++)
        joins[i] = group_number(record->candidates[decision.joins[i]].investigation_id);
    group_text(a->group, id);
    assert_int_equal(mw_candidates_add(set, mw_slice_of(id), &member), MW_OK);
    for (size_t i = 0; i < decision.join_count; i++)
        join_groups(set, joins[i], a->group, at);
    mw_arena_reset(&arena);
}

/* ---- figures --------------------------------------------------------------------------------- */

typedef struct figures {
    double together, right, wanted; /* pairs */
    double groups, faults;          /* (fault, group) pairs that have alarms, and faults */
} figures;

static bool same_text(const char *a, const char *b)
{
    return strcmp(a, b) == 0;
}

static bool by_us(const alarm *a, const alarm *b)
{
    return a->group == b->group;
}

static bool by_service(const alarm *a, const alarm *b)
{
    return a->service == b->service;
}

static bool by_title(const alarm *a, const alarm *b)
{
    return same_text(a->title, b->title);
}

static bool by_region_and_time(const alarm *a, const alarm *b)
{
    double apart = a->at_s > b->at_s ? a->at_s - b->at_s : b->at_s - a->at_s;
    return same_text(a->region, b->region) && apart <= 20 * 60;
}

static void add_pairs(figures *f, bool (*same)(const alarm *, const alarm *))
{
    for (int i = 0; i < world.alarm_count; i++)
        for (int k = 0; k < i; k++) {
            bool is = same(&world.alarms[i], &world.alarms[k]);
            bool should = world.alarms[i].fault == world.alarms[k].fault;
            f->together += is;
            f->wanted += should;
            f->right += is && should;
        }
}

/* How many groups each fault's alarms are in. Groups of a relation that is none of equality (time)
 * are told by their first alarm. */
static void add_groups(figures *f, bool (*same)(const alarm *, const alarm *))
{
    for (int truth = 0; truth < world.fault_count; truth++) {
        int first[ALARMS_MAX], count = 0;
        for (int i = 0; i < world.alarm_count; i++) {
            bool known = false;
            if (world.alarms[i].fault != truth)
                continue;
            for (int k = 0; k < count && !known; k++)
                known = same(&world.alarms[i], &world.alarms[first[k]]);
            if (!known)
                first[count++] = i;
        }
        f->groups += count;
        f->faults += count > 0;
    }
}

static double f1(const figures *f)
{
    double all = f->together + f->wanted;
    return all > 0 ? 2.0 * f->right / all : 1.0;
}

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

static void run_seed(uint64_t seed)
{
    bool two = make_world(seed);
    mw_candidates *set = mw_candidates_new();
    if (verbose)
        print_message("seed %llu: %d services, %d faults%s\n", (unsigned long long)seed,
                      world.service_count, world.fault_count, two ? ", two behind one entry" : "");
    for (int i = 0; verbose && i < world.fault_count; i++)
        print_message("  fault %d: %s from %.1f to %.1f, errors %.2f, slower %.0f ms\n", i,
                      world.services[world.faults[i].service].name, world.faults[i].from_s / 60,
                      world.faults[i].to_s / 60, world.faults[i].errors, world.faults[i].slower_ms);
    for (int i = 0; i < world.alarm_count; i++)
        decide_alarm(set, i);
    mw_candidates_free(set);
    for (size_t i = 0; i < METHODS; i++) {
        add_pairs(&methods[i].all, methods[i].same);
        add_groups(&methods[i].all, methods[i].same);
        if (two) {
            add_pairs(&methods[i].two, methods[i].same);
            add_groups(&methods[i].two, methods[i].same);
        }
    }
}

static uint64_t seeds = 20, first_seed = 1;

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
    print_message("%llu storms\n%-20s %8s %10s %24s\n", (unsigned long long)seeds, "grouping", "F1",
                  "two faults", "investigations a fault");
    for (size_t i = 0; i < METHODS; i++)
        print_message("%-20s %8.3f %10.3f %24.2f\n", methods[i].name, f1(&methods[i].all),
                      f1(&methods[i].two), methods[i].all.groups / methods[i].all.faults);
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
