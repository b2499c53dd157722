/* Provider "metric change points": series that left their range.
 *
 * Two things are told. For series of processor, memory and the like: how many spreads what came
 * after the onset is away from what was before; the units say what is no change at all. For
 * services that report how often they are asked, how long they take and how many fail (without
 * spans): the time, or the failures, that each adds to one request of the service that the alarm
 * speaks of, less what those add that it calls. So a service that is asked once in a while cannot
 * be the cause of what all requests suffer. Pure; runs on a pool thread.
 */
#include <math.h>

#include "triage/evidence/provider_int.h"

/* Below, a median and a spread are guesses. */
#define POINTS_MIN 8
/* Before the onset at least four of these. */
#define POINTS_BEFORE_MIN 4
/* As far as the onset is not known from spans: the look-back and one period of 5 minutes. */
#define COARSE_AFTER (25 * 60 * (uint64_t)MW_NS_PER_S)
/* Five spreads. */
#define STRENGTH_MIN 5.0
#define SHOWN 48

/* ---- what a metric is of --------------------------------------------------------------------- */

static bool contains_any(mw_slice text, const char *const *words, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (mw_slice_contains(text, mw_slice_of(words[i])))
            return true;
    return false;
}
#define HAS(text, ...)                                                                             \
    contains_any(text, (const char *const[]){__VA_ARGS__},                                         \
                 sizeof((const char *const[]){__VA_ARGS__}) / sizeof(const char *))

/* By the words that the semantic conventions, CloudWatch and Prometheus use. Figures of a node are
 * of all that run there. */
static mw_metric_class class_of(mw_slice name)
{
    if (HAS(name, "node"))
        return MW_CLASS_OTHER;
    if (HAS(name, "cpu", "CPU"))
        return MW_CLASS_CPU;
    if (HAS(name, "memory", "Memory", "heap"))
        return MW_CLASS_MEMORY;
    if (HAS(name, "latency", "Latency", "duration", "Duration", "response_time"))
        return MW_CLASS_LATENCY;
    if (HAS(name, "availability", "Availability", "success"))
        return MW_CLASS_SUCCESS;
    if (HAS(name, "error", "Error", "fault", "Fault", "fail"))
        return MW_CLASS_ERRORS;
    if (HAS(name, "request", "Request", "calls", "invocations", "Invocations"))
        return MW_CLASS_TRAFFIC;
    return MW_CLASS_OTHER;
}

/* What a series may move by without meaning anything, in its unit. */
static double room_of(mw_metric_class class_of_it, double median)
{
    double room = 0.05 * fabs(median);
    if (class_of_it == MW_CLASS_CPU || class_of_it == MW_CLASS_MEMORY)
        return room + 1e-9;
    return 0.1 * fabs(median) + 1e-9;
}

/* ---- change points --------------------------------------------------------------------------- */

static mw_slice query_of(mw_context *context, mw_slice metric, mw_slice service)
{
    char since[MW_TIME_TEXT_SIZE];
    mw_slice name = mw_shell_quoted(context->arena, metric);
    mw_slice word = mw_shell_quoted(context->arena, service);
    mw_time_format(context->since_ns, since);
    return mw_sentence(context->arena, "midwatch metric show %.*s --service %.*s --since %s",
                       MW_SLICE_FMT(name), MW_SLICE_FMT(word), since);
}

static mw_err add_metric(mw_context *context, const mw_series_fact *series, mw_finding *finding)
{
    mw_evidence evidence = {.kind = "metric",
                            .text = finding->text,
                            .service = series->service,
                            .start_ns = finding->first_ns,
                            .end_ns = context->until_ns,
                            .metric = series->name,
                            .query = query_of(context, series->name, series->service)};
    if (!finding->text.data)
        return MW_E_NOMEM;
    finding->evidence = mw_evidence_new(context->arena, &evidence);
    return mw_findings_add(context->findings, finding);
}

typedef struct point_split {
    size_t before, after;
    double median, spread, extreme;
} point_split;

static point_split split_series(const mw_context *context, const mw_series_fact *series,
                                uint64_t at_ns, double *scratch)
{
    point_split out = {.before = 0};
    const mw_point_fact *points = &context->points.points[series->first];
    for (size_t i = 0; i < series->count; i++)
        if (points[i].time_ns < at_ns)
            scratch[out.before++] = points[i].value;
    out.after = series->count - out.before;
    mw_doubles_sort(scratch, out.before);
    out.median = mw_median(scratch, out.before);
    out.spread = mw_spread(scratch, out.before, out.median);
    out.extreme = out.median;
    for (size_t i = 0; i < series->count; i++)
        if (points[i].time_ns >= at_ns &&
            fabs(points[i].value - out.median) > fabs(out.extreme - out.median))
            out.extreme = points[i].value;
    return out;
}

static bool is_silent(const mw_context *context, mw_slice service)
{
    for (size_t i = 0; i < context->spans.service_count; i++)
        if (mw_slice_equal(context->spans.services[i], service))
            return false;
    return context->spans.count > 0;
}

static mw_err look_at_series(mw_context *context, const mw_series_fact *series, uint64_t at_ns,
                             double *scratch)
{
    mw_metric_class kind = class_of(series->name);
    if (kind != MW_CLASS_CPU && kind != MW_CLASS_MEMORY)
        return MW_OK;
    point_split split = split_series(context, series, at_ns, scratch);
    if (split.before < POINTS_BEFORE_MIN || !split.after)
        return MW_OK;
    double z = (split.extreme - split.median) / (split.spread + room_of(kind, split.median));
    if (z < STRENGTH_MIN)
        return MW_OK;
    mw_slice name = mw_shown(context->arena, series->name, 80);
    mw_slice whose = mw_shown(context->arena, series->service, 80);
    mw_slice unit = mw_shown(context->arena, series->unit, 16);
    mw_finding finding = {.kind = MW_FOUND_METRIC,
                          .class_of = kind,
                          .service = series->service,
                          .other = series->name,
                          .silent = is_silent(context, series->service),
                          .before = split.median,
                          .after = split.extreme,
                          .strength = z,
                          .first_ns = at_ns,
                          .text =
                              mw_sentence(context->arena, "%.*s of %.*s is %.4g %.*s, %.4g before",
                                          MW_SLICE_FMT(name), MW_SLICE_FMT(whose), split.extreme,
                                          MW_SLICE_FMT(unit), split.median)};
    return add_metric(context, series, &finding);
}

/* ---- what each adds to a request ------------------------------------------------------------- */

typedef struct reporter {
    mw_slice service;
    const mw_series_fact *latency, *success, *requests;
} reporter;

typedef struct added {
    double by, strength, before, after;
} added;

/* The mean, if there are several: percentiles do not add up. */
static void note_series(reporter *one, const mw_series_fact *series)
{
    mw_metric_class kind = class_of(series->name);
    bool mean = HAS(series->name, "avg", "mean", "Average", "average");
    if (kind == MW_CLASS_LATENCY && (!one->latency || mean))
        one->latency = series;
    if (kind == MW_CLASS_SUCCESS && !one->success)
        one->success = series;
    if (kind == MW_CLASS_TRAFFIC && !one->requests)
        one->requests = series;
}

static double value_at(const mw_context *context, const mw_series_fact *series, uint64_t time_ns,
                       double otherwise)
{
    const mw_point_fact *points = &context->points.points[series->first];
    size_t low = 0, high = series->count;
    while (low < high) {
        size_t middle = (low + high) / 2;
        if (points[middle].time_ns < time_ns)
            low = middle + 1;
        else
            high = middle;
    }
    return low < series->count && points[low].time_ns == time_ns ? points[low].value : otherwise;
}

/* A share, or percent of it. */
static double failing(const mw_series_fact *series, double value)
{
    bool percent = mw_slice_equal(series->unit, MW_SLICE("%"));
    return percent ? (100 - value) / 100 : 1 - value;
}

static added added_by(mw_context *context, const reporter *one, const reporter *entry, bool errors,
                      uint64_t at_ns, double *scratch)
{
    const mw_series_fact *series = errors ? one->success : one->latency;
    added out = {.by = 0};
    size_t before = 0, after = 0;
    if (!series || !one->requests || !entry->requests)
        return out;
    const mw_point_fact *points = &context->points.points[series->first];
    for (size_t i = 0; i < series->count; i++) {
        double asked = value_at(context, one->requests, points[i].time_ns, 0);
        double all = value_at(context, entry->requests, points[i].time_ns, 1);
        double each = errors ? failing(series, points[i].value) : points[i].value;
        each = each * asked / (all > 1 ? all : 1);
        if (points[i].time_ns < at_ns) {
            scratch[before++] = each;
        } else {
            out.after += each;
            after++;
        }
    }
    if (before < POINTS_MIN || !after)
        return (added){.by = 0};
    out.after /= (double)after;
    mw_doubles_sort(scratch, before);
    out.before = mw_median(scratch, before);
    out.by = out.after - out.before;
    /* A tenth of a millisecond, or of a thousandth of the requests, is nothing. */
    out.strength = out.by / (mw_spread(scratch, before, out.before) + 0.1 * out.before + 1e-4);
    return out;
}

typedef struct sums {
    mw_context *context;
    reporter *reporters;
    size_t count;
    added *added;
    bool *reachable;
} sums;

static size_t find_reporter(const sums *all, mw_slice service)
{
    for (size_t i = 0; i < all->count; i++)
        if (mw_slice_equal(all->reporters[i].service, service))
            return i;
    return all->count;
}

static void collect_reporters(sums *all)
{
    const mw_point_table *table = &all->context->points;
    for (size_t i = 0; i < table->series_count; i++) { /* by service */
        const mw_series_fact *series = &table->series[i];
        if (!all->count || !mw_slice_equal(all->reporters[all->count - 1].service, series->service))
            all->reporters[all->count++] = (reporter){.service = series->service};
        note_series(&all->reporters[all->count - 1], series);
    }
}

/* Along the calls from the entry; a pass more for each step of depth, bounded by the services. */
static void mark_reachable(sums *all, size_t entry)
{
    const mw_findings *findings = all->context->findings;
    bool changed = true;
    all->reachable[entry] = true;
    for (size_t pass = 0; changed && pass < all->count; pass++) {
        changed = false;
        for (size_t i = 0; i < findings->call_count; i++) {
            size_t from = find_reporter(all, findings->calls[i].caller);
            size_t to = find_reporter(all, findings->calls[i].callee);
            if (findings->calls[i].message || from == all->count || to == all->count ||
                !all->reachable[from] || all->reachable[to])
                continue;
            all->reachable[to] = changed = true;
        }
    }
}

/* Less what its callees add. */
static double net_of(const sums *all, size_t at)
{
    const mw_findings *findings = all->context->findings;
    double left = all->added[at].by, least = findings->thresholds->explained_share * left;
    for (size_t i = 0; i < findings->call_count; i++) {
        if (findings->calls[i].message ||
            !mw_slice_equal(findings->calls[i].caller, all->reporters[at].service))
            continue;
        size_t callee = find_reporter(all, findings->calls[i].callee);
        if (callee < all->count && callee != at && all->added[callee].by > 0)
            left -= all->added[callee].by;
    }
    return left > least ? left : least;
}

static mw_err add_reporter(sums *all, size_t at, bool errors, uint64_t at_ns)
{
    mw_context *context = all->context;
    const reporter *one = &all->reporters[at];
    const added *sum = &all->added[at];
    MW_ASSERT(errors ? one->success != NULL : one->latency != NULL);
    mw_slice whose = mw_shown(context->arena, one->service, 80);
    mw_slice entry = mw_shown(context->arena, context->entry, 80);
    mw_finding finding = {
        .kind = MW_FOUND_METRIC,
        .class_of = errors ? MW_CLASS_SUCCESS : MW_CLASS_LATENCY,
        .service = one->service,
        .other = errors ? one->success->name : one->latency->name,
        .before = sum->before,
        .after = sum->after,
        .strength = sum->strength,
        .weight = net_of(all, at),
        .first_ns = at_ns,
        .text =
            errors ? mw_sentence(context->arena,
                                 "%.*s fails %.2f times in a hundred requests of %.*s, %.2f before",
                                 MW_SLICE_FMT(whose), 100 * sum->after, MW_SLICE_FMT(entry),
                                 100 * sum->before)
                   : mw_sentence(context->arena,
                                 "%.*s takes %.2f ms of each request of %.*s, %.2f ms before",
                                 MW_SLICE_FMT(whose), 1000 * sum->after, MW_SLICE_FMT(entry),
                                 1000 * sum->before)};
    return add_metric(context, errors ? one->success : one->latency, &finding);
}

static mw_err look_at_requests(sums *all, uint64_t at_ns, double *scratch)
{
    mw_context *context = all->context;
    size_t entry = find_reporter(all, context->entry);
    mw_err err = MW_OK;
    if (entry == all->count || !all->reporters[entry].requests)
        return MW_OK;
    mark_reachable(all, entry);
    added latency =
        added_by(context, &all->reporters[entry], &all->reporters[entry], false, at_ns, scratch);
    added failures =
        added_by(context, &all->reporters[entry], &all->reporters[entry], true, at_ns, scratch);
    bool errors = context->says_errors != context->says_latency
                      ? context->says_errors
                      : failures.strength > latency.strength;
    for (size_t i = 0; i < all->count; i++)
        if (all->reachable[i])
            all->added[i] = added_by(context, &all->reporters[i], &all->reporters[entry], errors,
                                     at_ns, scratch);
    for (size_t i = 0; err == MW_OK && i < all->count; i++)
        if (all->added[i].by > 0 &&
            all->added[i].strength >= context->findings->thresholds->added_sure)
            err = add_reporter(all, i, errors, at_ns);
    return err;
}

/* ---- the provider ---------------------------------------------------------------------------- */

static mw_err look(mw_context *context, uint64_t at_ns, double *scratch)
{
    const mw_point_table *table = &context->points;
    size_t before = context->findings->count;
    sums all = {.context = context};
    mw_err err = MW_OK;
    for (size_t i = 0; err == MW_OK && i < table->series_count; i++)
        err = look_at_series(context, &table->series[i], at_ns, scratch);
    all.reporters = mw_arena_zalloc(context->arena, table->series_count + 1, sizeof *all.reporters);
    all.added = mw_arena_zalloc(context->arena, table->series_count + 1, sizeof *all.added);
    all.reachable = mw_arena_zalloc(context->arena, table->series_count + 1, sizeof *all.reachable);
    if (!all.reporters || !all.added || !all.reachable)
        return MW_E_NOMEM;
    collect_reporters(&all);
    if (err == MW_OK && !context->spans.count)
        err = look_at_requests(&all, at_ns, scratch);
    if (err == MW_OK)
        context->said = mw_sentence(context->arena, "series that left their range: %zu of %zu",
                                    context->findings->count - before, table->series_count);
    return err;
}

static mw_err collect(mw_context *context)
{
    uint64_t at_ns = context->onset_ns;
    if (!context->points.count)
        return mw_findings_gap(context->findings, MW_GAP_NO_METRICS,
                               "no data point lies in the window or before it");
    if (!at_ns)
        at_ns = context->at_ns > COARSE_AFTER ? context->at_ns - COARSE_AFTER : 0;
    double *scratch = mw_alloc(MW_MEM_QUERY, (context->points.count + 1) * sizeof *scratch);
    mw_err err = scratch ? look(context, at_ns, scratch) : MW_E_NOMEM;
    mw_free(MW_MEM_QUERY, scratch);
    return err;
}

const mw_provider mw_provider_metric_changes = {.name = "metric_changes", .collect = collect};
