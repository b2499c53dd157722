/* What of a window is read. See read_plan.h. */
#include "triage/evidence/read_plan.h"

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

static void plan_points(const mw_store_view *view, mw_read_plan *plan)
{
    mw_store_window *points = &plan->points;
    uint64_t window_since = points->since_ns;
    for (uint64_t before = MW_READ_POINTS_BEFORE_NS;; before /= 2) {
        before = before < MW_READ_POINTS_BEFORE_MIN_NS ? 0 : before;
        points->since_ns = window_since > before ? window_since - before : 0;
        plan->point_count = mw_store_window_count(view, points, MW_SIGNAL_METRICS);
        if (plan->point_count.rows <= MW_READ_POINTS || !before)
            break;
    }
    if (plan->point_count.rows > MW_READ_POINTS)
        take_moments(points, plan->point_count.rows, MW_READ_POINTS);
}

mw_read_plan mw_read_plan_make(const mw_store_view *view, uint64_t since_ns, uint64_t until_ns)
{
    const mw_store_window all = {.since_ns = since_ns, .until_ns = until_ns};
    mw_read_plan plan = {.spans = all,
                         .logs = all,
                         .points = all,
                         .span_count = mw_store_window_count(view, &all, MW_SIGNAL_TRACES),
                         .log_count = mw_store_window_count(view, &all, MW_SIGNAL_LOGS)};
    if (plan.span_count.rows > MW_READ_SPANS_WHOLE)
        take_moments(&plan.spans, plan.span_count.rows, MW_READ_SPANS);
    if (plan.log_count.rows > MW_READ_LOGS)
        take_moments(&plan.logs, plan.log_count.with_errors, MW_READ_LOGS);
    plan_points(view, &plan);
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
                           "of %llu log records, one in %.0f of those near an error was looked at",
                           rows, mw_store_window_one_in(&plan->logs));
}

static mw_err tell_points(const mw_read_plan *plan, mw_findings *findings)
{
    uint64_t before = plan->spans.since_ns - plan->points.since_ns;
    if (plan->points.period_ns)
        return mw_findings_gap(findings, MW_GAP_SAMPLED,
                               "of %llu data points in the window, about one in %.0f was looked at",
                               (unsigned long long)plan->point_count.rows,
                               mw_store_window_one_in(&plan->points));
    if (before >= MW_READ_POINTS_BEFORE_NS || !plan->points.since_ns)
        return MW_OK;
    return mw_findings_gap(findings, MW_GAP_SAMPLED,
                           "data points are looked at from %.0f minutes before the window on, "
                           "instead of %.0f: there are too many",
                           (double)before / 6e10, (double)MW_READ_POINTS_BEFORE_NS / 6e10);
}

mw_err mw_read_plan_tell(const mw_read_plan *plan, mw_findings *findings)
{
    mw_err err = tell_logs(plan, findings);
    return err == MW_OK ? tell_points(plan, findings) : err;
}
