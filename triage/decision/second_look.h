/* What becomes of an alarm whose telemetry came after it (DESIGN 3, promise 4: late evidence may
 * move an alarm, as a journalled step and never a rewrite).
 *
 * An alarm often overtakes the spans that made it fire: exporters batch for seconds. It is decided
 * at once all the same, and looked at again a little later. When by then its telemetry tells of
 * other suspects, mw_decide is asked again, with the incidents as they would be without this alarm,
 * and what it says is compared here with where the alarm is. Pure; any thread.
 *
 * What one alarm alone stands for moves by itself. What others depend on moves only when the
 * telemetry shows the cause, the same or another; everything else is a suggestion to people, and so
 * is all that a person has taken in hand.
 */
#ifndef MW_TRIAGE_SECOND_LOOK_H
#define MW_TRIAGE_SECOND_LOOK_H

#include "triage/decision/decision_json.h"

typedef enum mw_look {
    MW_LOOK_STAYS,    /* where it is is right */
    MW_LOOK_MERGES,   /* its incident and another (`into`) are one */
    MW_LOOK_MOVES,    /* it belongs to another incident, `into` */
    MW_LOOK_LEAVES,   /* it belongs to none that is open: one of its own */
    MW_LOOK_SUGGESTS, /* it may belong to `into`, or (empty) to none: people are asked */
    MW_LOOK_COUNT
} mw_look;
const char *mw_look_name(mw_look look);

typedef struct mw_looked {
    mw_look look;
    mw_slice into;
} mw_looked;

/* Stands for what was seen: the same number for the same suspects begun in the same minutes. Kept
 * in state, so it never changes from one version of the program to the next. */
uint64_t mw_look_print(const mw_telemetry_seen *seen);
/* Other suspects, or the same since another minute: there is something to decide anew. */
bool mw_look_differs(const mw_telemetry_seen *before, const mw_telemetry_seen *now);

/* `again` is the decision on `input`, whose candidates are without the alarm itself. `own`: the
 * incident that it is in, with `others` more alarms. in_hand: a person claimed that incident,
 * judged its plan, or put the alarm where it is. */
mw_looked mw_look_conclude(const mw_decision_input *input, const mw_decision *again, mw_slice own,
                           size_t others, bool in_hand);

#endif
