/* A storm of alarms with known truth, for the programs that decide one: a random graph of services,
 * ninety minutes of traffic through it (spans with errors and durations, a request at a time), one
 * or two faults, the alarms of what each breaks, and noise. Two alarms belong together when one
 * fault made them. And the figures: pairs that are right, against other ways of grouping.
 *
 * None of the numbers here comes from those of the decision: rates, delays, sizes and shares are
 * drawn from wide ranges, and alarms fire by what a monitor would see of a service.
 */
#ifndef MW_TESTS_TRIAGE_STORM_H
#define MW_TESTS_TRIAGE_STORM_H

#include <stdlib.h>
#include <string.h>

#include "tests/check.h"
#include "triage/decision/candidates.h"
#include "triage/decision/second_look.h"

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

static inline uint64_t chance(void)
{
    uint64_t z = chance_state += UINT64_C(0x9e3779b97f4a7c15);
    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return z ^ (z >> 31);
}

static inline double unit(void)
{
    return (double)(chance() >> 11) / 9007199254740992.0;
}

static inline double between(double from, double to)
{
    return from + unit() * (to - from);
}

static inline int pick(int from, int to) /* both inclusive */
{
    return from + (int)(chance() % (uint64_t)(to - from + 1));
}

static inline bool happens(double share)
{
    return unit() < share;
}

/* Around 1, with a tail to the right, as durations have. */
static inline double spread(double width)
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
    int incident;       /* the sender's; a report sent again has the same */
    char title[64], region[16];
    /* answers */
    int group;
    bool decided, repeat;
    mw_telemetry_seen seen; /* as of the last look */
} alarm;

/* How often each kind of thing was in the storms that were played. */
typedef struct kinds {
    int depths[8]; /* of faults, in calls below the entry */
    int two, lost, reordered, cause_last, repeats, noise, elsewhere, long_after;
} kinds;

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

static kinds met;

static inline void make_graph(void)
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

static inline void add_link(int caller, int callee)
{
    for (int i = 0; i < world.link_count; i++)
        if (world.links[i].caller == caller && world.links[i].callee == callee)
            return;
    if (world.link_count < EDGES_MAX)
        world.links[world.link_count++] = (link){caller, callee, between(0.25, 1.0)};
}

/* Each service below the entries is called from the level above it, some from others too. */
static inline void make_links(void)
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

static inline bool reaches(int from, int to)
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

static inline void count_into(cell *row, double at_s, bool failed, double ms)
{
    int quarter = (int)(at_s / 15.0) % 4;
    for (int q = quarter; q < QUARTERS; q++) {
        row[q].calls++;
        row[q].errors += failed;
        row[q].ms += ms;
    }
}

/* One call of a service; levels only go down, so that it ends. */
static inline bool serve(int number, double at_s, double *took_ms)
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

static inline void make_traffic(void)
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

static inline int pick_below(int entry, int not_this)
{
    for (int tries = 0; tries < 200; tries++) {
        int number = pick(world.entry_count, world.service_count - 1);
        if (reaches(entry, number) && number != not_this &&
            (not_this < 0 || (!reaches(number, not_this) && !reaches(not_this, number))))
            return number;
    }
    return -1;
}

static inline void add_fault(int number, int entry, double from_s)
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
static inline bool make_faults(void)
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

static inline alarm *add_alarm(int number, int truth, double at_s, const char *region)
{
    if (world.alarm_count == ALARMS_MAX)
        return NULL;
    alarm *a = &world.alarms[world.alarm_count++];
    *a = (alarm){.service = number, .fault = truth, .incident = world.alarm_count, .at_s = at_s};
    a->arrives_s = at_s + (happens(0.3) ? between(0.0, 120.0) : between(0.0, 5.0));
    snprintf(a->region, sizeof a->region, "%s", region);
    snprintf(a->title, sizeof a->title, "%s%s%s", happens(0.7) ? world.services[number].name : "",
             happens(0.5) ? ": " : " ", rules[chance() % 5]);
    return a;
}

/* What monitoring would see of a service: the share of failed calls and the mean, before and
 * during. */
static inline bool is_hit(int number, const fault *f)
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

static inline void alarm_fault(int truth, const fault *f, bool cause_last)
{
    for (int i = 0; i < world.service_count; i++) {
        bool cause = i == f->service;
        if ((!cause && !reaches(i, f->service)) || !is_hit(i, f))
            continue;
        if (happens(0.15)) {
            met.lost++;
            continue;
        }
        met.cause_last += cause && cause_last;
        double after =
            cause ? (cause_last ? between(200, 280) : between(30, 150)) : between(30, 190);
        add_alarm(i, truth, f->from_s + after, "us-east-1");
        while (happens(0.25)) /* another rule of the same service */
            add_alarm(i, truth, f->from_s + after + between(5, 120), "us-east-1");
    }
}

static inline void make_alarms(void)
{
    for (int i = 0; i < world.fault_count; i++)
        alarm_fault(world.truths++, &world.faults[i], happens(0.3));
    /* the same services in another region, whose telemetry goes elsewhere */
    if (happens(0.3)) {
        int truth = world.truths++, end = world.alarm_count;
        for (int i = 0; i < end; i++)
            if (world.alarms[i].fault == 0 && happens(0.6))
                met.elsewhere +=
                    add_alarm(world.alarms[i].service, truth,
                              world.alarms[i].at_s + between(-60, 60), "eu-west-1") != NULL;
    }
    /* alarms about something else, of services that are well */
    for (int i = pick(0, 4); i > 0; i--) {
        int number = pick(0, world.service_count - 1);
        bool well = true;
        for (int k = 0; k < world.fault_count; k++)
            well &= number != world.faults[k].service && !reaches(number, world.faults[k].service);
        if (well)
            met.noise +=
                add_alarm(number, world.truths++, between(35, 75) * 60.0, "us-east-1") != NULL;
    }
    /* the same service long after */
    if (happens(0.3) && world.fault_count)
        met.long_after += add_alarm(world.faults[0].service, world.truths++,
                                    world.faults[0].from_s + 27 * 60, "us-east-1") != NULL;
}

/* Reports that are sent again while their incident is open. */
static inline void make_repeats(void)
{
    for (int i = 0, end = world.alarm_count; i < end; i++) {
        const alarm *first = &world.alarms[i];
        alarm *again = happens(0.1) ? add_alarm(first->service, first->fault,
                                                first->at_s + between(10, 300), first->region)
                                    : NULL;
        if (!again)
            continue;
        again->incident = first->incident;
        if (again->arrives_s < first->arrives_s + 1.0)
            again->arrives_s = first->arrives_s + 1.0;
        met.repeats++;
    }
}

static inline int by_arrival(const void *left, const void *right)
{
    const alarm *a = left, *b = right;
    return (a->arrives_s > b->arrives_s) - (a->arrives_s < b->arrives_s);
}

static inline bool make_world(uint64_t seed)
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
    make_repeats();
    qsort(world.alarms, (size_t)world.alarm_count, sizeof world.alarms[0], by_arrival);
    for (int i = 0; i < world.fault_count; i++)
        met.depths[world.services[world.faults[i].service].level]++;
    for (int i = 1; i < world.alarm_count; i++)
        met.reordered += world.alarms[i].at_s < world.alarms[i - 1].at_s;
    met.two += two;
    return two;
}

/* ---- telemetry as the store would tell it -----------------------------------------------------
 * */

static inline void put_cell(mw_minutes *out, uint32_t caller, uint32_t callee, int minute,
                            const cell *c)
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

/* The minutes up to `last` of what had happened in so many quarters of a minute. */
static inline void put_series(mw_minutes *out, uint32_t caller, uint32_t callee,
                              cell (*rows)[QUARTERS], int last, int quarters)
{
    for (int m = last < 29 ? 0 : last - 29; m <= last && m * QUARTERS < quarters; m++) {
        int left = quarters - m * QUARTERS;
        put_cell(out, caller, callee, m, &rows[m][left < QUARTERS ? left - 1 : QUARTERS - 1]);
    }
}

/* The window of an alarm's minute, of what had happened `upto_s`, in whole quarters of a minute. */
static inline mw_topology *topology_at(double at_s, double upto_s, mw_arena *arena)
{
    int last = (int)(at_s / 60.0), quarters = (int)(upto_s / 15.0);
    mw_minutes minutes = {.name_count = (size_t)world.service_count};
    mw_topology *topology;
    minutes.names = mw_arena_zalloc(arena, SERVICES_MAX, sizeof *minutes.names);
    minutes.cells = mw_arena_zalloc(arena, (EDGES_MAX + SERVICES_MAX) * 31, sizeof *minutes.cells);
    for (int i = 0; i < world.service_count; i++)
        minutes.names[i] = mw_slice_of(world.services[i].name);
    for (int i = 0; i < world.link_count; i++)
        put_series(&minutes, (uint32_t)world.links[i].caller, (uint32_t)world.links[i].callee,
                   world.calls[i], last, quarters);
    for (int i = 0; i < world.service_count; i++)
        put_series(&minutes, MW_MINUTES_ENTRY, (uint32_t)i, world.entries[i], last, quarters);
    assert_int_equal(
        mw_topology_build(&minutes, NULL, 0, START_MINUTE + (uint32_t)last, arena, &topology),
        MW_OK);
    return topology;
}

/* ---- figures --------------------------------------------------------------------------------- */

typedef struct figures {
    double together, right, wanted; /* pairs */
    double groups, faults;          /* (fault, group) pairs that have alarms, and faults */
} figures;

static inline bool same_text(const char *a, const char *b)
{
    return strcmp(a, b) == 0;
}

static inline bool by_us(const alarm *a, const alarm *b)
{
    return a->group == b->group;
}

static inline bool by_service(const alarm *a, const alarm *b)
{
    return a->service == b->service;
}

static inline bool by_title(const alarm *a, const alarm *b)
{
    return same_text(a->title, b->title);
}

static inline bool by_region_and_time(const alarm *a, const alarm *b)
{
    double apart = a->at_s > b->at_s ? a->at_s - b->at_s : b->at_s - a->at_s;
    return same_text(a->region, b->region) && apart <= 20 * 60;
}

static inline void add_pairs(figures *f, bool (*same)(const alarm *, const alarm *))
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
static inline void add_groups(figures *f, bool (*same)(const alarm *, const alarm *))
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

static inline double f1(const figures *f)
{
    double all = f->together + f->wanted;
    return all > 0 ? 2.0 * f->right / all : 1.0;
}

#endif
