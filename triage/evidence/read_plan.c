/* What of a window is read. See read_plan.h. */
#include <math.h>

#include "triage/evidence/read_plan.h"
#include "triage/evidence/suspects.h"

/* Less than this is no moment: blocks are read whole. */
#define SHARE_MIN_NS ((uint64_t)MW_NS_PER_S / 200)

/* Moments that hold `most` of `rows`. */
static void take_moments(mw_store_window *window, uint64_t rows, uint64_t most)
{
    double share = rows > most ? (double)most / (double)rows : 1;
    window->period_ns = MW_READ_PERIOD_NS;
    window->share_ns = (uint64_t)(share * (double)MW_READ_PERIOD_NS);
    if (window->share_ns < SHARE_MIN_NS)
        window->share_ns = SHARE_MIN_NS;
}

static void narrow(mw_store_window *window, const mw_suspects *suspects)
{
    window->services = suspects->services;
    window->service_count = suspects->count;
}

/* As many traces as the table can use, and no more blocks than there is time for. Of suspects that
 * nearly everybody is, or that the index does not know, nothing would be gained. */
static void plan_spans(const mw_store_view *view, mw_read_plan *plan, const mw_suspects *suspects)
{
    uint64_t wanted = plan->span_count.rows, unpacked = wanted;
    if (wanted <= MW_READ_SPANS_WHOLE)
        return;
    narrow(&plan->spans, suspects);
    narrow(&plan->resources, suspects);
    if (suspects->count) {
        unpacked = mw_store_window_count(view, &plan->spans, MW_SIGNAL_TRACES).rows;
        wanted = suspects->spans < unpacked ? suspects->spans : unpacked;
    }
    take_moments(&plan->resources, unpacked, MW_READ_SPANS);
    double share = (double)MW_READ_SPANS / (double)(wanted + 1);
    double time = (double)MW_READ_SPANS_UNPACKED / (double)(unpacked + 1);
    if (share < 1 || time < 1)
        take_moments(&plan->spans, (uint64_t)((double)wanted * fmax(1, share / time)),
                     MW_READ_SPANS);
}

static void plan_logs(const mw_store_view *view, mw_read_plan *plan, const mw_suspects *suspects)
{
    if (plan->log_count.rows <= MW_READ_LOGS)
        return;
    narrow(&plan->logs, suspects);
    uint64_t rows = mw_store_window_count(view, &plan->logs, MW_SIGNAL_LOGS).with_errors;
    take_moments(&plan->logs, rows, MW_READ_LOGS);
}

static bool fits_points(const mw_store_view *view, mw_read_plan *plan)
{
    plan->point_count = mw_store_window_count(view, &plan->points, MW_SIGNAL_METRICS);
    return plan->point_count.rows <= MW_READ_POINTS;
}

/* Fewer services first, then less time, then fewer points. */
static void plan_points(const mw_store_view *view, mw_read_plan *plan, const mw_suspects *suspects)
{
    mw_store_window *points = &plan->points;
    uint64_t window_since = points->since_ns, before = MW_READ_POINTS_BEFORE_NS;
    points->since_ns = window_since > before ? window_since - before : 0;
    if (fits_points(view, plan))
        return;
    narrow(points, suspects);
    while (!fits_points(view, plan) && before) {
        before = before / 2 < MW_READ_POINTS_BEFORE_MIN_NS ? 0 : before / 2;
        points->since_ns = window_since > before ? window_since - before : 0;
    }
    if (!before && plan->point_count.rows > MW_READ_POINTS)
        take_moments(points, plan->point_count.rows, MW_READ_POINTS);
}

bool mw_read_plan_is_large(const mw_store_view *view, uint64_t since_ns, uint64_t until_ns)
{
    const mw_store_window all = {.since_ns = since_ns, .until_ns = until_ns};
    mw_store_window more = all;
    more.since_ns = since_ns > MW_READ_POINTS_BEFORE_NS ? since_ns - MW_READ_POINTS_BEFORE_NS : 0;
    return mw_store_window_count(view, &all, MW_SIGNAL_TRACES).rows > MW_READ_SPANS_WHOLE ||
           mw_store_window_count(view, &all, MW_SIGNAL_LOGS).rows > MW_READ_LOGS ||
           mw_store_window_count(view, &more, MW_SIGNAL_METRICS).rows > MW_READ_POINTS;
}

mw_read_plan mw_read_plan_make(const mw_store_view *view, uint64_t since_ns, uint64_t until_ns,
                               const mw_suspects *suspects)
{
    const mw_store_window all = {.since_ns = since_ns, .until_ns = until_ns};
    mw_read_plan plan = {.spans = all,
                         .resources = all,
                         .logs = all,
                         .points = all,
                         .span_count = mw_store_window_count(view, &all, MW_SIGNAL_TRACES),
                         .log_count = mw_store_window_count(view, &all, MW_SIGNAL_LOGS)};
    plan_spans(view, &plan, suspects);
    plan_logs(view, &plan, suspects);
    plan_points(view, &plan, suspects);
    return plan;
}

static mw_err tell_logs(const mw_read_plan *plan, mw_findings *findings)
{
    unsigned long long rows = plan->log_count.rows;
    if (!plan->logs.period_ns)
        return MW_OK;
    if (plan->logs.share_ns == plan->logs.period_ns)
        return mw_findings_gap(findings, MW_GAP_SAMPLED,
                               "of %llu log records, those near an error were looked at", rows);
    return mw_findings_gap(findings, MW_GAP_SAMPLED,
                           "of %llu log records, one in %.3g of those near an error was looked at",
                           rows, mw_store_window_one_in(&plan->logs));
}

static mw_err tell_points(const mw_read_plan *plan, mw_findings *findings)
{
    uint64_t before = plan->spans.since_ns - plan->points.since_ns;
    if (plan->points.period_ns)
        return mw_findings_gap(findings, MW_GAP_SAMPLED,
                               "of %llu data points in the window, about one in %.3g was looked at",
                               (unsigned long long)plan->point_count.rows,
                               mw_store_window_one_in(&plan->points));
    if (before >= MW_READ_POINTS_BEFORE_NS || !plan->points.since_ns)
        return MW_OK;
    return mw_findings_gap(findings, MW_GAP_SAMPLED,
                           "data points are looked at from %.0f minutes before the window on, "
                           "instead of %.0f: there are too many",
                           (double)before / 6e10, (double)MW_READ_POINTS_BEFORE_NS / 6e10);
}

static mw_err tell_suspects(const mw_read_plan *plan, mw_findings *findings)
{
    size_t count = plan->spans.service_count;
    if (!count)
        return MW_OK;
    return mw_findings_gap(
        findings, MW_GAP_SAMPLED,
        "of %llu spans in the window, only traces were looked at in which one of "
        "%zu services has part that calls lead to from the alarm, or that call "
        "those",
        (unsigned long long)plan->span_count.rows, count);
}

mw_err mw_read_plan_tell(const mw_read_plan *plan, mw_findings *findings)
{
    mw_err err = tell_suspects(plan, findings);
    if (err == MW_OK)
        err = tell_logs(plan, findings);
    return err == MW_OK ? tell_points(plan, findings) : err;
}
