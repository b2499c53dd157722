/* Evidence providers: each looks at one kind of telemetry and says what changed and what it could
 * not examine.
 *
 * A provider is a pure question to tables that were read before: no SQL, no sockets, no journal. It
 * adds to the findings, whose memory is the investigation's arena, and says one sentence for the
 * journal. To add one, write its file and list it in investigation.c. Runs on a pool thread.
 */
#ifndef MW_TRIAGE_PROVIDER_INT_H
#define MW_TRIAGE_PROVIDER_INT_H

#include "lib/base/clock.h"
#include "lib/state/deployments.h"
#include "lib/state/incidents.h"
#include "lib/state/state.h"
#include "lib/store/store.h"
#include "triage/evidence/findings.h"
#include "triage/evidence/log_table.h"
#include "triage/evidence/point_table.h"
#include "triage/evidence/read_plan.h"
#include "triage/evidence/span_table.h"
#include "triage/evidence/statistics.h"

typedef struct mw_context {
    mw_arena *arena;
    mw_store_view *view;
    mw_slice entry;         /* the service that the alarm, or a person, speaks of */
    const mw_slice *begins; /* where paths begin: of all alarms and of the person; entries.h */
    size_t begin_count;
    bool says_latency, says_errors; /* so do words of the alarms' titles */
    uint64_t at_ns;                 /* when the first alarm fired */
    uint64_t since_ns, until_ns;    /* the window */
    mw_read_plan plan;              /* what of it is read */
    mw_span_table spans;
    mw_point_table points;
    mw_log_table logs;
    const mw_edge_row *imported; /* calls that somebody knows of */
    size_t imported_count;
    const mw_deployment_row *deployments; /* of the window and an hour before, newest first */
    size_t deployment_count;
    uint64_t onset_ns; /* 0 = not known yet */
    mw_findings *findings;
    mw_slice said; /* by the provider that ran last: one sentence for the journal */
} mw_context;

typedef struct mw_provider {
    const char *name;
    /* MW_E_NOMEM, MW_E_IO, MW_E_CORRUPT, MW_E_TIMEOUT: the provider is given up with a gap. */
    mw_err (*collect)(mw_context *context);
} mw_provider;

extern const mw_provider mw_provider_call_edges;     /* call_edges.c */
extern const mw_provider mw_provider_missing_calls;  /* missing_calls.c */
extern const mw_provider mw_provider_red_change;     /* red_change.c */
extern const mw_provider mw_provider_error_origin;   /* error_origin.c */
extern const mw_provider mw_provider_log_templates;  /* log_templates.c */
extern const mw_provider mw_provider_metric_changes; /* metric_changes.c */
extern const mw_provider mw_provider_version_change; /* version_change.c */
extern const mw_provider mw_provider_deployments;    /* deployment_near.c */

/* ---- moments that may be the onset ----------------------------------------------------------- */

/* An alarm that asks a minute's figures twice fires within 150 s; earlier moments are looked at as
 * well, but are trusted less (thresholds.h). */
#define MW_MOMENTS_MAX 96
typedef struct mw_moment {
    uint64_t at_ns;
    double trust; /* what strengths are multiplied by */
} mw_moment;
size_t mw_moments(const mw_context *context, mw_moment out[MW_MOMENTS_MAX]);

/* ---- what several share ---------------------------------------------------------------------- */

/* What is sure stands in thresholds.h. */
enum { MW_BEFORE_MIN = 5, MW_AFTER_MIN = 3 }; /* below, a median says nothing */
/* Half a millisecond and a tenth of the median: clocks and schedulers are no better. */
double mw_latency_effect(const mw_split *split);
/* For the end of a sentence that counts spans: " (of a sample of one trace in 40)", or nothing. */
mw_slice mw_sample_words(const mw_context *context);
/* "12.3 ms", "1.25 s". */
mw_slice mw_ms_text(mw_arena *arena, double ms);

#endif
