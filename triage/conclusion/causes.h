/* From findings to a ranked cause. A pure function: no telemetry, no clock, no order of arrival.
 *
 * First the kind of fault is recognised, since each kind shows in one signal far better than in the
 * others and averaging them all is worse than the best; then services are ranked by that signal,
 * and those that only suffer are discounted along the calls. docs/investigation.md tells the rules.
 */
#ifndef MW_TRIAGE_CAUSES_H
#define MW_TRIAGE_CAUSES_H

#include "triage/evidence/findings.h"

/* The closed table of kinds: NAME, code in JSON, words for a sentence. */
#define MW_FAULT_KINDS(X)                                                                          \
    X(NETWORK, "network", "calls to it lose time on the way")                                      \
    X(SLOW, "slow", "it is slow itself")                                                           \
    X(CPU, "cpu", "it lacks processor")                                                            \
    X(MEMORY, "memory", "it lacks memory")                                                         \
    X(ERRORS, "errors", "it fails")                                                                \
    X(MISSING, "missing_calls", "from here on work is left out that was always done")              \
    X(TRAFFIC, "traffic", "it is asked far more than before")

typedef enum mw_fault_kind {
#define MW_FAULT_ENUM(name, code, words) MW_FAULT_##name,
    MW_FAULT_KINDS(MW_FAULT_ENUM)
#undef MW_FAULT_ENUM
        MW_FAULT_COUNT
} mw_fault_kind;
const char *mw_fault_kind_name(mw_fault_kind kind);
const char *mw_fault_kind_words(mw_fault_kind kind);

#define MW_FAULT_REASONS_MAX 8
typedef struct mw_ranked_cause {
    mw_slice service;
    double score; /* the first has the highest; comparable within one ranking alone */
    mw_fault_kind kind;
    const mw_finding *reasons[MW_FAULT_REASONS_MAX]; /* the most telling first */
    size_t reason_count;
    const mw_finding *change; /* a deployment, or version, shortly before the onset; NULL = none */
    bool untied;              /* no known call leads to it from a service of the alarms */
} mw_ranked_cause;

typedef struct mw_ruled_out {
    mw_slice service, text;
} mw_ruled_out;

#define MW_CAUSES_MAX 10
#define MW_RULED_OUT_MAX 8
typedef struct mw_causes {
    mw_ranked_cause items[MW_CAUSES_MAX];
    size_t count;
    mw_ruled_out ruled_out[MW_RULED_OUT_MAX];
    size_t ruled_out_count;
    double confidence; /* 0 to 1 */
    bool probable;
    bool entry_leads;  /* from `entry`, known calls lead to the first, which is another */
    uint64_t onset_ns; /* 0 = not known */
} mw_causes;

/* Of all findings, whatever the alarm is of; `entry` is where the trouble was noticed.
 * MW_E_NOMEM. */
MW_MUST_USE mw_err mw_causes_rank(const mw_findings *findings, mw_slice entry, mw_causes *out);

/* The services that an incident's alarms, or a person, name. */
typedef struct mw_alarmed {
    mw_slice entry; /* of the oldest that names one; empty = none does */
    const mw_slice *services;
    size_t count;
} mw_alarmed;

/* alarm_causes.c. What known calls lead to from the alarmed services comes first; the rest is
 * behind it and alone never probable. Without any service all is ranked, and no more than half
 * sure. MW_E_NOMEM. */
MW_MUST_USE mw_err mw_causes_of_alarm(const mw_findings *findings, const mw_alarmed *alarmed,
                                      mw_causes *out);
/* The gap that says so, when nothing is probable and what is wrong is not tied. MW_E_NOMEM. */
MW_MUST_USE mw_err mw_causes_tell_untied(mw_findings *findings, mw_slice entry,
                                         const mw_causes *causes);

#endif
