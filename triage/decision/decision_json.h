/* What a decision saw and weighed, as the JSON that state keeps, and back (promise 4).
 *
 *     {"parts": {component, cause, time, region, labels} of the best candidate, or {},
 *      "candidates": [every fact of a candidate, its parts, score and whether it fits],
 *      "telemetry": what was seen of the alarm's service,
 *      "inputs": what else mw_decide was given}
 *
 * Pure. A double is written so that it reads back the same, so that the text of a decision made
 * again from these inputs is the same text.
 */
#ifndef MW_TRIAGE_DECISION_JSON_H
#define MW_TRIAGE_DECISION_JSON_H

#include "lib/base/arena.h"
#include "triage/decision/decision.h"

/* One suspect, as it was seen. */
typedef struct mw_seen_suspect {
    mw_slice service, caller; /* caller empty: its entries */
    mw_change change;
} mw_seen_suspect;

typedef struct mw_telemetry_seen {
    bool read;  /* false: telemetry could not be read */
    bool known; /* of the alarm's service */
    uint64_t as_of, left_out;
    mw_seen_suspect suspects[MW_SUSPECTS_MAX]; /* all, by name; those of now are `newest` */
    bool newest[MW_SUSPECTS_MAX];
    size_t suspect_count;
} mw_telemetry_seen;

typedef struct mw_decision_record {
    mw_decision_input input;
    mw_candidate candidates[MW_CANDIDATES_MAX];
    mw_telemetry_seen seen;
    mw_slice known_alarm_id;
} mw_decision_record;

/* From a standing (NULL: the service is not known). */
void mw_telemetry_see(const mw_topology *topology, const mw_standing *standing,
                      mw_telemetry_seen *out);

/* MW_E_NOMEM, MW_E_LIMIT. */
MW_MUST_USE mw_err mw_decision_write(const mw_decision_record *record, const mw_decision *decision,
                                     mw_arena *arena, mw_slice *out);
/* input.candidates points into the record. MW_E_CORRUPT: not what was written; MW_E_NOMEM. */
MW_MUST_USE mw_err mw_decision_read(mw_slice text, mw_arena *arena, mw_decision_record *out);
/* A JSON array of strings as slices; those that are none are left out. MW_E_NOMEM. */
MW_MUST_USE mw_err mw_texts_read(mw_slice text, mw_arena *arena, mw_slice **out, size_t *count);

#endif
