/* Evidence providers: each looks at one kind of telemetry and says what it found and what it could
 * not examine.
 *
 * A provider is a pure question to a view: no SQL, no sockets, no journal. It adds to the findings
 * it is given, whose memory is the investigation's arena. To add one, write its file and list it
 * in investigation.c. Runs on a pool thread.
 */
#ifndef MW_TRIAGE_PROVIDER_INT_H
#define MW_TRIAGE_PROVIDER_INT_H

#include "lib/base/clock.h"
#include "lib/state/state.h"
#include "lib/store/store.h"

/* The closed table of gaps: NAME, code in JSON. */
#define MW_GAPS(X)                                                                                 \
    X(NO_SERVICE, "no_service")                   /* the alarm names none */                       \
    X(NO_TELEMETRY, "no_telemetry")               /* nothing of the service in the window */       \
    X(NO_ERRORS, "no_errors")                     /* spans, but none that failed */                \
    X(RANKING_UNAVAILABLE, "ranking_unavailable") /* causes are not ranked by this version */      \
    X(PROVIDER_FAILED, "provider_failed")         /* telemetry could not be read */                \
    X(TELEMETRY_DAMAGED, "telemetry_damaged")     /* stored blocks were left out */                \
    X(TIME_LIMIT, "time_limit")                   /* the run was cut short */

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

/* DESIGN 4.3's evidence. Empty ids are left out of `ref`. */
typedef struct mw_evidence {
    const char *kind; /* "span", "trace", ... */
    mw_slice text, service;
    uint64_t start_ns, end_ns;
    mw_slice trace_id, span_id; /* hex */
    mw_slice query;             /* the midwatch command that shows it */
} mw_evidence;

/* Evidence per provider that a journal record holds: enough to judge, little enough to read. */
#define MW_EVIDENCE_MAX 20
/* A provider names at most its own few gaps. */
#define MW_GAPS_MAX 16

typedef struct mw_findings {
    mw_arena *arena;
    mw_evidence evidence[MW_EVIDENCE_MAX];
    size_t evidence_count;
    mw_gap gaps[MW_GAPS_MAX];
    size_t gap_count;
    mw_slice text; /* one sentence for the journal; empty = nothing to say */
} mw_findings;

typedef struct mw_question {
    const mw_investigation_row *investigation;
    const mw_alarm_row *alarms; /* members, oldest first */
    size_t alarm_count;
    const mw_clock *clock;
    int64_t deadline_mono_ns;
} mw_question;

typedef struct mw_provider {
    const char *name;
    /* MW_E_NOMEM, MW_E_IO, MW_E_CORRUPT: the investigation fails with a gap. */
    mw_err (*collect)(mw_store_view *view, const mw_question *question, mw_findings *out);
} mw_provider;

/* For providers. The text is formatted into the arena; MW_E_NOMEM. */
MW_MUST_USE mw_err mw_findings_gap(mw_findings *findings, mw_gap_code code, const char *format, ...)
    MW_PRINTF(3, 4);

extern const mw_provider mw_provider_error_spans; /* error_spans.c */

#endif
