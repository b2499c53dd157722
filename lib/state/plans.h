/* Plans of investigations and the life of a run. Part of the room's door, beside state.h, whose
 * rules on memory and errors hold here.
 *
 * A plan is its text and the hash of it. A run that makes another plan leaves the one before
 * SUPERSEDED; one that makes the same again leaves it as a person has judged it.
 */
#ifndef MW_STATE_PLANS_H
#define MW_STATE_PLANS_H

#include "lib/state/state.h"

typedef struct mw_plan_row {
    mw_slice hash;                 /* 64 hex */
    mw_slice status;               /* PROPOSED, APPROVED, REJECTED, SUPERSEDED */
    mw_slice phases_json;          /* JSON array: what the hash is of */
    mw_slice judged_by;            /* who approved or rejected it; empty = nobody */
    mw_slice comment;              /* of that person; empty = none */
    int64_t created_ns, judged_ns; /* judged 0 = not */
} mw_plan_row;

/* The newest plan of the investigation from now on, unless it is already (same hash). */
MW_MUST_USE mw_err mw_state_plan_put(mw_state_tx *tx, mw_slice investigation_id, mw_slice hash,
                                     mw_slice phases_json, int64_t now_ns);
/* A run that has no plan to propose leaves the one before SUPERSEDED. */
MW_MUST_USE mw_err mw_state_plan_supersede(mw_state_tx *tx, mw_slice investigation_id);
/* The newest. MW_E_NOT_FOUND when there is none. */
MW_MUST_USE mw_err mw_state_plan_get(mw_state_tx *tx, mw_slice investigation_id, mw_arena *arena,
                                     mw_plan_row *out);
/* Approves or rejects the newest plan, by a person. MW_E_CONFLICT when its hash is another one, or
 * it is not PROPOSED any more; MW_E_NOT_FOUND when there is none. */
typedef struct mw_plan_judgement {
    mw_slice hash;   /* that the person has read */
    mw_slice status; /* APPROVED, REJECTED */
    mw_slice judged_by, comment;
    int64_t now_ns;
} mw_plan_judgement;
MW_MUST_USE mw_err mw_state_plan_judge(mw_state_tx *tx, mw_slice investigation_id,
                                       const mw_plan_judgement *judgement);

/* ---- runs ------------------------------------------------------------------------------------ */

/* MW_E_CONFLICT unless it is PENDING_START or IN_PROGRESS. A run notices at its next step. */
MW_MUST_USE mw_err mw_state_investigation_cancel(mw_state_tx *tx, mw_slice id);
/* As _update for the run that has it IN_PROGRESS; MW_E_CONFLICT when somebody took it away. */
MW_MUST_USE mw_err mw_state_investigation_finish(mw_state_tx *tx, const mw_investigation_row *row);
/* A record of the run that has it IN_PROGRESS; MW_E_CONFLICT when somebody took it away. */
MW_MUST_USE mw_err mw_state_journal_step(mw_state_tx *tx, mw_slice investigation_id,
                                         const mw_journal_row *row);

#endif
