/* The decision: a pure function from what is known to a verdict (DESIGN 4.4, promise 4).
 *
 * Values in, a value out: no clock, no store, no randomness, so that a stored input replayed
 * gives the same verdict bit for bit. In this step it knows the rules of an incident's own life
 * (duplicate, unknown incident) and otherwise proceeds; scoring against open incidents joins it
 * here with the alarm line.
 */
#ifndef MW_TRIAGE_DECISION_H
#define MW_TRIAGE_DECISION_H

#include "lib/base/slice.h"

typedef enum mw_verdict { MW_VERDICT_PROCEED, MW_VERDICT_LINKED, MW_VERDICT_SKIPPED } mw_verdict;
const char *mw_verdict_name(mw_verdict verdict);

typedef enum mw_reason_code {
    MW_REASON_NEW_INCIDENT,     /* PROCEED: nothing known that it could belong to */
    MW_REASON_DUPLICATE,        /* SKIPPED: its incident is open already */
    MW_REASON_UNKNOWN_INCIDENT, /* SKIPPED: an update or closing of an incident never opened */
    MW_REASON_COUNT
} mw_reason_code;
const char *mw_reason_code_name(mw_reason_code code);

typedef struct mw_decision_input {
    mw_slice action; /* created, updated, resolved, closed */
    mw_slice incident_id;
    bool incident_known;             /* an earlier alarm of this incident that is not SKIPPED */
    bool incident_unresolved;        /* and it was neither resolved nor closed */
    mw_slice known_investigation_id; /* of that alarm; empty when none */
} mw_decision_input;

typedef struct mw_decision {
    mw_verdict verdict;
    mw_reason_code reason_code;
    char reason[256];          /* one sentence for a person */
    mw_slice investigation_id; /* LINKED: the one joined; SKIPPED: the one that swallowed it */
} mw_decision;

void mw_decide(const mw_decision_input *input, mw_decision *out);

#endif
