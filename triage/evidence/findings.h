/* What an investigation has found: changes in telemetry, each with what shows it.
 *
 * Providers write findings, causes.c reads them, and nothing else passes between the two: a finding
 * is a value, told in the same words whoever found it. Memory is the investigation's arena. One
 * thread.
 */
#ifndef MW_TRIAGE_FINDINGS_H
#define MW_TRIAGE_FINDINGS_H

#include "lib/base/arena.h"
#include "lib/base/id.h"
#include "lib/base/slice.h"
#include "triage/evidence/thresholds.h"

/* The closed table of gaps: NAME, code in JSON. docs/investigation.md says what each means. */
#define MW_GAPS(X)                                                                                 \
    X(NO_SERVICE, "no_service")               /* neither alarm nor person names one */             \
    X(NO_TELEMETRY, "no_telemetry")           /* nothing at all in the window */                   \
    X(NO_SPANS, "no_spans")                   /* no spans: no calls, no errors */                  \
    X(NO_LOGS, "no_logs")                     /* no log records */                                 \
    X(NO_METRICS, "no_metrics")               /* no data points */                                 \
    X(NO_TOPOLOGY, "no_topology")             /* who calls whom is not known */                    \
    X(NO_DEPLOYMENTS, "no_deployments")       /* none was ever recorded near the window */         \
    X(NO_STATUS, "no_status")                 /* no span ever says whether it failed */            \
    X(NO_BASELINE, "no_baseline")             /* too little from before the onset */               \
    X(NO_CHANGE, "no_change")                 /* nothing differs from before */                    \
    X(NO_PATH, "no_path")                     /* no call leads to what is wrong */                 \
    X(SERVICE_SILENT, "service_silent")       /* nothing of the alarm's service */                 \
    X(SAMPLED, "sampled")                     /* too much to look at: a share was */               \
    X(PROVIDER_FAILED, "provider_failed")     /* telemetry could not be read */                    \
    X(TELEMETRY_DAMAGED, "telemetry_damaged") /* stored blocks were left out */                    \
    X(TIME_LIMIT, "time_limit")               /* the run was cut short */

typedef enum mw_gap_code {
#define MW_GAP_ENUM(name, code) MW_GAP_##name,
    MW_GAPS(MW_GAP_ENUM)
#undef MW_GAP_ENUM
        MW_GAP_COUNT
} mw_gap_code;
const char *mw_gap_code_name(mw_gap_code code);

typedef struct mw_gap {
    mw_gap_code code;
    mw_slice text;
} mw_gap;

/* DESIGN 4.3's evidence. Empty members are left out of `ref`. */
typedef struct mw_evidence {
    char id[MW_ID_TEXT_SIZE];
    const char *kind; /* "span", "trace", ... */
    mw_slice text, service;
    uint64_t start_ns, end_ns;
    mw_slice trace_id, span_id, metric, caller, callee, operation, deployment_id;
    mw_slice query; /* the midwatch command that shows it */
} mw_evidence;

/* What changed. */
typedef enum mw_finding_kind {
    MW_FOUND_WIRE,       /* calls service -> other take longer between the two */
    MW_FOUND_SELF,       /* the service itself takes longer: `other` is the operation */
    MW_FOUND_ERRORS,     /* spans of operation `other` fail, and nothing below them does */
    MW_FOUND_MISSING,    /* operation `other` makes fewer of its calls */
    MW_FOUND_LOGS,       /* a kind of message is new or surges: `other` is its template */
    MW_FOUND_METRIC,     /* a series left its range: `other` is the metric's name */
    MW_FOUND_VERSION,    /* telemetry names another version: `other` is it */
    MW_FOUND_DEPLOYMENT, /* a deployment was recorded: `other` is its version */
    MW_FOUND_TRAFFIC,    /* the service is asked much more, or much less, than before */
    MW_FOUND_KINDS
} mw_finding_kind;

/* What a metric is of, from its unit and the words of its name. */
typedef enum mw_metric_class {
    MW_CLASS_OTHER,
    MW_CLASS_CPU,
    MW_CLASS_MEMORY,
    MW_CLASS_LATENCY,
    MW_CLASS_ERRORS,  /* more is worse */
    MW_CLASS_SUCCESS, /* less is worse */
    MW_CLASS_TRAFFIC,
    MW_CLASS_COUNT
} mw_metric_class;

typedef struct mw_finding {
    mw_finding_kind kind;
    mw_metric_class class_of; /* METRIC */
    mw_slice service, other;
    bool waits;                  /* SELF: the operation is a call that nobody answers with spans */
    mw_slice peer;               /* and this is the name it gives to whom it calls; empty = none */
    bool silent;                 /* METRIC: others send spans, the service does not */
    double before, after;        /* ms, share, count or the metric's own unit */
    double strength;             /* how far outside of what was usual: a robust z, or its like */
    double weight;               /* how much it matters to the whole: see the provider */
    uint64_t first_ns;           /* when it began; 0 = not known */
    mw_slice text;               /* one sentence for a person */
    const mw_evidence *evidence; /* NULL = none */
} mw_finding;

/* A call graph that findings are judged along. */
typedef struct mw_call {
    mw_slice caller, callee;
    double calls; /* in the window; 0 = known by import alone */
    bool message; /* handed over, not waited for: `caller` sends, `callee` takes */
} mw_call;

#define MW_FINDINGS_MAX 512
#define MW_GAPS_MAX 24
#define MW_CALLS_MAX 4096

typedef struct mw_findings {
    mw_arena *arena;
    const mw_thresholds *thresholds;
    mw_finding items[MW_FINDINGS_MAX];
    size_t count;
    mw_gap gaps[MW_GAPS_MAX];
    size_t gap_count;
    mw_call calls[MW_CALLS_MAX];
    size_t call_count;
} mw_findings;

/* None yet, with the default thresholds; NULL without memory. */
mw_findings *mw_findings_new(mw_arena *arena);
/* Text is formatted into the arena; MW_E_NOMEM. What is beyond the bounds is dropped: providers
 * give their strongest first. */
MW_MUST_USE mw_err mw_findings_gap(mw_findings *findings, mw_gap_code code, const char *format, ...)
    MW_PRINTF(3, 4);
MW_MUST_USE mw_err mw_findings_add(mw_findings *findings, const mw_finding *finding);
/* With a new id, copied; NULL without memory. */
MW_MUST_USE const mw_evidence *mw_evidence_new(mw_arena *arena, const mw_evidence *from);
/* At most `max` bytes of a sender's text for a sentence, whole characters, each NUL a blank. */
mw_slice mw_shown(mw_arena *arena, mw_slice text, size_t max);
/* One word of a command that a person will copy: in quotes where a shell needs them. data NULL
 * without memory. */
mw_slice mw_shell_quoted(mw_arena *arena, mw_slice text);
/* Formats into the arena; data NULL without memory. */
mw_slice mw_sentence(mw_arena *arena, const char *format, ...) MW_PRINTF(2, 3);

#endif
