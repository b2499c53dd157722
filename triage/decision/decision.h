/* The decision: a pure function from what is known to a verdict (DESIGN 4.4, promise 4).
 *
 * Values in, a value out: no clock, no store, no randomness, so that a stored input replayed gives
 * the same verdict bit for bit. What is known of each incident that may fit was gathered before, as
 * facts (candidates.h): how near its services are, whether the trouble behind both is the same, how
 * far apart in time. Here they are weighed. docs/decision.md tells it to a person.
 *
 * A score is the sum of parts, each a weight times how much of it there is, from one table. Neither
 * part can carry a link alone but the same service, and a cause that is known to be another one
 * prevents any.
 */
#ifndef MW_TRIAGE_DECISION_H
#define MW_TRIAGE_DECISION_H

#include "lib/base/slice.h"
#include "triage/decision/topology.h"

typedef enum mw_verdict { MW_VERDICT_PROCEED, MW_VERDICT_LINKED, MW_VERDICT_SKIPPED } mw_verdict;
const char *mw_verdict_name(mw_verdict verdict);

/* The closed table of reasons: NAME, code in JSON, verdict, what it means. */
#define MW_REASONS(X)                                                                              \
    X(NEW_INCIDENT, "new_incident", PROCEED, "no open incident is near it")                        \
    X(NOT_ALIKE, "not_alike", PROCEED, "open incidents are near, but none enough")                 \
    X(OTHER_CAUSE, "other_cause", PROCEED, "the telemetry behind it differs from the incident's")  \
    X(OTHER_REGION, "other_region", PROCEED, "the incident that would fit is in another region")   \
    X(SAME_SERVICE, "same_service", LINKED, "an open incident has alarms of the same service")     \
    X(CALL_PATH, "call_path", LINKED, "its service calls one of the incident's, or is called")     \
    X(SHARED_DEPENDENCY, "shared_dependency", LINKED, "both call the service that is in trouble")  \
    X(SHARED_RESOURCE, "shared_resource", LINKED, "both name the same resource")                   \
    X(DUPLICATE, "duplicate", SKIPPED, "its incident is open already")                             \
    X(UNKNOWN_INCIDENT, "unknown_incident", SKIPPED,                                               \
      "an update or closing of none that was opened")                                              \
    X(BY_PERSON_LINKED, "linked_by_person", LINKED, "a person linked it")                          \
    X(BY_PERSON_PROCEED, "proceeded_by_person", PROCEED, "a person made it an investigation")      \
    X(BY_PERSON_SKIPPED, "skipped_by_person", SKIPPED, "a person set it aside")                    \
    X(MERGED, "merged", LINKED, "its incident was found to be another's and joined it")            \
    X(BY_PERSON_MERGED, "merged_by_person", LINKED, "a person merged its incident into another")   \
    X(BY_PERSON_SPLIT, "split_by_person", LINKED, "a person moved it to an incident of its own")

typedef enum mw_reason_code {
#define MW_REASON_ENUM(name, code, verdict, text) MW_REASON_##name,
    MW_REASONS(MW_REASON_ENUM)
#undef MW_REASON_ENUM
        MW_REASON_COUNT
} mw_reason_code;
const char *mw_reason_code_name(mw_reason_code code);
mw_verdict mw_reason_verdict(mw_reason_code code);

/* What the telemetry behind the alarm and behind the incident says of their causes. */
typedef enum mw_cause {
    MW_CAUSE_UNKNOWN,    /* too little telemetry of one */
    MW_CAUSE_SAME,       /* the same suspect */
    MW_CAUSE_RELATED,    /* the suspect of one is behind that of the other, and began with it */
    MW_CAUSE_TOGETHER,   /* other suspects, which began at the same time */
    MW_CAUSE_OTHER,      /* other suspects, which began at another time */
    MW_CAUSE_UNAFFECTED, /* the incident's is known, the alarm's service shows no change */
    MW_CAUSE_QUIET,      /* the incident's own services showed no change */
    MW_CAUSE_COUNT
} mw_cause;
const char *mw_cause_name(mw_cause cause);

typedef enum mw_region_match {
    MW_REGION_UNKNOWN,
    MW_REGION_SAME,
    MW_REGION_OTHER,
    MW_REGION_COUNT
} mw_region_match;
const char *mw_region_match_name(mw_region_match match);
const char *mw_relation_name(mw_relation relation);

/* DESIGN 4.4, inclusive, either side. */
#define MW_LOOK_BACK_NS (INT64_C(20) * 60 * 1000000000)

/* The facts of one incident that may fit. */
typedef struct mw_candidate {
    mw_slice investigation_id;
    uint64_t apart_ns; /* from its nearest member, at most MW_LOOK_BACK_NS */
    mw_relation relation;
    uint32_t distance; /* calls between the two services */
    mw_slice service;  /* of the incident, that the relation is to */
    mw_cause cause;
    mw_slice cause_service; /* the suspect of the incident that says so; empty = none */
    mw_region_match region;
    bool shared_resource, same_title;
    uint32_t members;
} mw_candidate;

/* More are weighed to find these; the rest is not told. */
#define MW_CANDIDATES_MAX 8

typedef struct mw_decision_input {
    mw_slice action; /* created, updated, resolved, closed */
    mw_slice incident_id;
    bool incident_known;             /* an earlier alarm of this incident that is not SKIPPED */
    bool incident_unresolved;        /* it was not ended, nor its investigation closed */
    mw_slice known_investigation_id; /* of that alarm; empty when none */
    mw_slice service;                /* empty = unknown */
    mw_slice suspect;                /* the newest of the alarm's service; empty = none */
    bool is_suspect;                 /* the alarm's service is where the trouble ends */
    const mw_candidate *candidates;  /* best first (mw_candidate_compare) */
    size_t candidate_count;          /* MW_CANDIDATES_MAX at most */
} mw_decision_input;

typedef struct mw_parts {
    double component, cause, time, region, labels;
} mw_parts;

typedef struct mw_weighed {
    mw_parts parts;
    double score;
    bool fits; /* score at or above the threshold, and no veto */
} mw_weighed;

typedef struct mw_decision {
    mw_verdict verdict;
    mw_reason_code reason_code;
    char reason[512];          /* one sentence for a person */
    mw_slice investigation_id; /* LINKED: the one joined; SKIPPED: the one that swallowed it */
    bool scored;               /* there were candidates */
    double score, threshold;   /* of the best one */
    mw_weighed weighed[MW_CANDIDATES_MAX]; /* of each candidate */
    bool centers;                          /* LINKED: its service is the cause's own */
    size_t joins[MW_CANDIDATES_MAX];       /* other candidates that it shows to be one with it */
    size_t join_count;
    size_t proposes[MW_CANDIDATES_MAX]; /* others that fit too, but may be another's */
    size_t propose_count;
} mw_decision;

void mw_decide(const mw_decision_input *input, mw_decision *out);

/* Weighs one candidate. */
mw_weighed mw_decision_weigh(const mw_candidate *candidate);
/* What the first part is worth. */
double mw_decision_component(mw_relation relation, uint32_t distance);
/* The most that all other parts may add for an alarm with suspects and resources, or without. */
double mw_decision_rest(bool suspects, bool resources);
/* The order of candidates: those that fit first, by score, then the nearer in time, then by id. */
int mw_candidate_compare(const mw_candidate *a, const mw_candidate *b);
/* The same, of two that were weighed. */
int mw_weighed_compare(const mw_candidate *a, const mw_weighed *left, const mw_candidate *b,
                       const mw_weighed *right);

/* The table of weights, for explanations and docs. */
typedef struct mw_weight_row {
    const char *part, *when;
    double weight;
    const char *why;
} mw_weight_row;
extern const mw_weight_row mw_weight_rows[];
extern const size_t mw_weight_row_count;
extern const double mw_decision_threshold;

#endif
