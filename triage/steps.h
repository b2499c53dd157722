/* What changes an incident inside a transaction: joining, moving, merging, and the journal that
 * says so. Used by decisions (engine.c) and by people's verbs (verbs.c). On the state writer's
 * thread.
 */
#ifndef MW_TRIAGE_STEPS_H
#define MW_TRIAGE_STEPS_H

#include "lib/state/incidents.h"
#include "triage/decision/candidates.h"
#include "triage/triage_int.h"

typedef struct mw_steps {
    mw_triage *triage;
    mw_state_tx *tx;
    mw_arena *arena;
    mw_slice who; /* "midwatch" or a principal */
    int64_t now_ns;
} mw_steps;

/* What an alarm's investigation reads: the look-back before it, a little behind it. */
void mw_steps_window(int64_t started_ns, int64_t *start_ns, int64_t *end_ns);

/* Text of a person or a sender is data: it is written as it is and escaped where it is shown. */
MW_MUST_USE mw_err mw_steps_journal(mw_steps *steps, mw_slice investigation_id, const char *type,
                                    mw_slice text);
/* A new investigation around an alarm; `id` gets its name. */
MW_MUST_USE mw_err mw_steps_open(mw_steps *steps, const mw_alarm_row *alarm,
                                 char id[MW_ID_TEXT_SIZE]);
/* The alarm is a member: the window grows, and what has ended runs again; a repeat of what is known
 * within the window changes nothing. *changed (may be NULL): did it? */
MW_MUST_USE mw_err mw_steps_join(mw_steps *steps, const mw_alarm_row *alarm,
                                 mw_slice investigation_id, bool repeat, bool *changed);
/* The alarm's decision becomes another one. */
MW_MUST_USE mw_err mw_steps_change(mw_steps *steps, mw_slice alarm_id, mw_reason_code code,
                                   mw_slice reason, mw_slice investigation_id);
/* All members of `from` go to `into`, and `from` ends. Both journals say so. */
MW_MUST_USE mw_err mw_steps_merge(mw_steps *steps, mw_slice from, mw_slice into,
                                  mw_reason_code code, mw_slice why);
/* Closed when all its members are. */
MW_MUST_USE mw_err mw_steps_settle(mw_steps *steps, mw_slice investigation_id);

/* The open incidents in memory: made again in full when they may be wrong; one of them after its
 * members changed. */
MW_MUST_USE mw_err mw_steps_load(mw_steps *steps);
MW_MUST_USE mw_err mw_steps_refresh(mw_steps *steps, mw_slice investigation_id);
/* The same, as if that alarm were not of it. */
MW_MUST_USE mw_err mw_steps_refresh_without(mw_steps *steps, mw_slice investigation_id,
                                            mw_slice alarm_id);
/* The open incidents, made again if they may be wrong. */
MW_MUST_USE mw_err mw_steps_ready(mw_steps *steps);
/* An alarm and what its telemetry said, as a member. The arrays live in the arena. */
MW_MUST_USE mw_err mw_steps_member(mw_arena *arena, const mw_telemetry_seen *seen,
                                   mw_slice resources_json, mw_member *out);

#endif
