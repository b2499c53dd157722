/* lib/state: second looks at decisions. See state.h for the rules of all questions.
 *
 * A decision that is not SKIPPED is unsettled for a while: telemetry may come later than the alarm.
 * What a look found is kept beside the decision when the telemetry differed, appended and never
 * changed, with all it was worked out from, so that it can be replayed like the decision itself.
 */
#ifndef MW_STATE_LOOKS_H
#define MW_STATE_LOOKS_H

#include "lib/state/state.h"

/* A decision that may be looked at again: what that takes, without the rest of the alarm. */
typedef struct mw_unsettled_row {
    uint64_t alarm_seq;
    uint64_t seen; /* stands for the telemetry that was seen last */
    mw_slice alarm_id, service, title;
    int64_t started_ns;
} mw_unsettled_row;

/* The alarm is looked at again first at due_ns. The alarm exists. */
MW_MUST_USE mw_err mw_state_unsettled_insert(mw_state_tx *tx, uint64_t alarm_seq, int64_t due_ns,
                                             uint64_t seen);
/* Those that are due by now_ns and have as many looks as each other (*looks), in order of their
 * alarms; `limit` at most. *waiting: some are unsettled, due or not. */
MW_MUST_USE mw_err mw_state_unsettled_due(mw_state_tx *tx, int64_t now_ns, size_t limit,
                                          mw_arena *arena, mw_unsettled_row **rows, size_t *count,
                                          unsigned *looks, bool *waiting);
/* Other telemetry was seen. */
MW_MUST_USE mw_err mw_state_unsettled_seen(mw_state_tx *tx, unsigned looks, uint64_t alarm_seq,
                                           uint64_t seen);
/* All of so many looks up to that alarm were looked at: the next look is due gap_ns behind, and
 * there is none behind that. */
MW_MUST_USE mw_err mw_state_unsettled_done(mw_state_tx *tx, unsigned looks, uint64_t last_seq,
                                           int64_t gap_ns);

typedef struct mw_look_row {
    mw_slice alarm_id;
    int64_t time_ns;
    mw_slice look;   /* docs/CODES.md's table */
    mw_slice own_id; /* the investigation that the alarm was in, with `others` more alarms */
    uint64_t others;
    bool in_hand;     /* a person's: nothing was moved */
    mw_slice into_id; /* empty = null */
    /* what the decision would be by then */
    mw_slice verdict, reason_code, reason;
    double score, threshold;
    bool scored;
    uint64_t as_of;
    mw_slice detail_json;
} mw_look_row;

MW_MUST_USE mw_err mw_state_look_insert(mw_state_tx *tx, const mw_look_row *row);
/* Oldest first. */
MW_MUST_USE mw_err mw_state_looks(mw_state_tx *tx, mw_slice alarm_id, mw_arena *arena,
                                  mw_look_row **rows, size_t *count);
/* Alarms that belong to the investigation. */
MW_MUST_USE mw_err mw_state_members_count(mw_state_tx *tx, mw_slice investigation_id,
                                          uint64_t *count);

#endif
