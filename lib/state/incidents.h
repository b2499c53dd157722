/* lib/state: the life of incidents beyond their runs. See state.h for the rules of all questions.
 *
 * A decision's row says what holds now; from the first change on its steps say all that ever held,
 * the first decision included. Steps are appended and never changed.
 */
#ifndef MW_STATE_INCIDENTS_H
#define MW_STATE_INCIDENTS_H

#include "lib/state/state.h"

/* The oldest alarms without a decision behind `after_seq`, in order of commit; `limit` at most. */
MW_MUST_USE mw_err mw_state_alarms_undecided(mw_state_tx *tx, uint64_t after_seq, size_t limit,
                                             mw_arena *arena, mw_alarm_row **rows, size_t *count);
/* Decided alarms by the order of their commit, behind `after_seq`, whose started_at lies in [since,
 * until); until 0 = unbounded. */
MW_MUST_USE mw_err mw_state_alarms_decided(mw_state_tx *tx, uint64_t after_seq, int64_t since_ns,
                                           int64_t until_ns, size_t limit, mw_arena *arena,
                                           mw_alarm_row **rows, size_t *count);

/* ---- steps of a decision ------------------------------------------------------------------- */

typedef struct mw_decision_step {
    int64_t time_ns;
    mw_slice verdict, reason_code, reason;
    mw_slice investigation_id; /* empty = null */
    mw_slice who;              /* "midwatch", or the person's principal */
} mw_decision_step;

/* The decision becomes what the step says; what it was before is kept as the first step. The
 * alarm counts among its incident's members unless it is SKIPPED now. MW_E_NOT_FOUND: undecided. */
MW_MUST_USE mw_err mw_state_decision_change(mw_state_tx *tx, mw_slice alarm_id,
                                            const mw_decision_step *step);
/* Oldest first; none when the decision was never changed. */
MW_MUST_USE mw_err mw_state_decision_steps(mw_state_tx *tx, mw_slice alarm_id, mw_arena *arena,
                                           mw_decision_step **rows, size_t *count);

/* ---- incidents ----------------------------------------------------------------------------- */

typedef struct mw_incident_row {
    bool open;
    mw_slice status;
    mw_slice center;      /* the service that the trouble seems to end at; empty = not known */
    mw_slice owner;       /* who claimed it; empty = nobody */
    mw_slice merged_into; /* empty = it was not */
} mw_incident_row;

MW_MUST_USE mw_err mw_state_incident_get(mw_state_tx *tx, mw_slice investigation_id,
                                         mw_arena *arena, mw_incident_row *out);
/* An alarm joined, or left: the window grows to [start, end], the more urgent priority counts, and
 * what had ended runs again (PENDING_START). MW_E_NOT_FOUND. repeat_ns is the time of an alarm of
 * a service that the incident knows already, else 0: within the window, and not more urgent, it
 * brings nothing that a run would not have seen, and changes nothing: *changed (may be NULL). */
MW_MUST_USE mw_err mw_state_investigation_join(mw_state_tx *tx, mw_slice investigation_id,
                                               int64_t start_ns, int64_t end_ns, mw_slice priority,
                                               int64_t repeat_ns, bool *changed);
/* `title` empty = as it is. */
MW_MUST_USE mw_err mw_state_investigation_center(mw_state_tx *tx, mw_slice investigation_id,
                                                 mw_slice service, mw_slice title);
MW_MUST_USE mw_err mw_state_investigation_claim_by(mw_state_tx *tx, mw_slice investigation_id,
                                                   mw_slice owner);
/* Ends the incident, whatever its members are. `merged_into` empty = a person closed it. A run that
 * has not begun is not begun any more: CANCELED. MW_E_NOT_FOUND. */
MW_MUST_USE mw_err mw_state_investigation_end(mw_state_tx *tx, mw_slice investigation_id,
                                              mw_slice merged_into, int64_t now_ns);

/* Every alarm that an open incident holds, in order of commit, with the details of its decision,
 * or of the last look at it (looks.h). The slices are valid during the call. An error of `take`
 * ends it and is returned. investigation_id empty = of all. */
typedef struct mw_open_member {
    mw_slice investigation_id, alarm_id, service, region, title, resources_json, detail_json;
    int64_t started_ns;
} mw_open_member;
MW_MUST_USE mw_err mw_state_open_members(mw_state_tx *tx, mw_slice investigation_id,
                                         mw_err (*take)(void *ctx, const mw_open_member *member),
                                         void *ctx);

/* ---- imported calls ------------------------------------------------------------------------ */

typedef struct mw_edge_row {
    mw_slice caller, callee;
} mw_edge_row;

/* All of them give way to these; no two may be alike (MW_E_CONFLICT). */
MW_MUST_USE mw_err mw_state_edges_replace(mw_state_tx *tx, const mw_edge_row *rows, size_t count);
/* By caller, then callee. */
MW_MUST_USE mw_err mw_state_edges(mw_state_tx *tx, mw_arena *arena, mw_edge_row **rows,
                                  size_t *count);

#endif
