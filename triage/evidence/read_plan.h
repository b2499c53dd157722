/* What of a window is read: all of it, or as much as an answer in seconds allows.
 *
 * Decided by the counts of the store's index and of its roll-ups, before anything is read. A window
 * below the bounds is read as a whole. Of a larger one, what the alarm can have to do with
 * (suspects.h); and where that is too much as well, moments spread over the window (window.h), so
 * that whole traces are seen and each stretch of time has its share. What is left out is told in
 * the findings. Pure but for the index; one thread.
 */
#ifndef MW_TRIAGE_READ_PLAN_H
#define MW_TRIAGE_READ_PLAN_H

#include "lib/store/window.h"
#include "triage/evidence/findings.h"

/* Up to here all spans are read: 1.5 s on one slow core. */
#define MW_READ_SPANS_WHOLE ((uint64_t)2 << 20)
/* Beyond, about as many: blocks are read whole, so that as many again are unpacked for them. */
#define MW_READ_SPANS ((uint64_t)3 << 18)
/* Of suspects that are seldom asked, spans lie far apart: up to so many are unpacked for them, in
 * as many seconds as they have times 0.2 millionths. */
#define MW_READ_SPANS_UNPACKED ((uint64_t)6 << 20)
/* A moment in each, so that an onset is told to it. */
#define MW_READ_PERIOD_NS (5 * (uint64_t)MW_NS_PER_S)
/* Log records with their texts: the same second. */
#define MW_READ_LOGS ((uint64_t)1 << 19)
/* Data points, by columns alone. */
#define MW_READ_POINTS ((uint64_t)2 << 20)
/* Metrics may be reported every five minutes only, and a dozen points make a baseline; longer, and
 * the hour of the day begins to count. Where there are too many points they come often, and less
 * time will do. */
#define MW_READ_POINTS_BEFORE_NS (4 * 3600 * (uint64_t)MW_NS_PER_S)
#define MW_READ_POINTS_BEFORE_MIN_NS (900 * (uint64_t)MW_NS_PER_S)

struct mw_suspects;

typedef struct mw_read_plan {
    mw_store_window spans, resources, logs, points;
    mw_store_window_rows span_count, log_count, point_count; /* of what the window holds */
} mw_read_plan;

/* Is there more than is read as a whole? Then suspects are worth looking for. */
bool mw_read_plan_is_large(const mw_store_view *view, uint64_t since_ns, uint64_t until_ns);
/* `suspects` has no services where all are; their names must outlive the plan. */
mw_read_plan mw_read_plan_make(const mw_store_view *view, uint64_t since_ns, uint64_t until_ns,
                               const struct mw_suspects *suspects);
/* Gaps for what the plan leaves out of log records and points; of spans the table knows better.
 * MW_E_NOMEM. */
MW_MUST_USE mw_err mw_read_plan_tell(const mw_read_plan *plan, mw_findings *findings);

#endif
