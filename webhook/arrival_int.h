/* An arrival: a delivery that was let in and understood, on its way into the state. Private to the
 * room. Written by the loop (or a test), committed on the state writer's thread; text is in the
 * arena of who made it.
 */
#ifndef MW_WEBHOOK_ARRIVAL_INT_H
#define MW_WEBHOOK_ARRIVAL_INT_H

#include "lib/base/id.h"
#include "lib/state/webhooks.h"
#include "triage/triage.h"
#include "webhook/source.h"

typedef struct mw_arrival {
    mw_slice webhook_id, space, body;
    const mw_webhook_source *source;
    unsigned auth;
    uint8_t replay_key[32];
    char delivery_id[MW_ID_TEXT_SIZE];
    mw_alarm_events events;
    int64_t received_ns;
    mw_arena *arena;
    mw_triage *triage;
    size_t alarms, changes, repeats; /* what the commit made of the events */
    mw_alarm_row *rows;              /* the alarms */
    mw_outcome *outcomes;
    bool decided; /* and their verdicts, which are committed with them */
} mw_arrival;

/* The id of the delivery. With a signature it is derived from it, so that a replay is answered with
 * the id of the first; without one the same bytes may mean something new, and it is random.
 * MW_E_NOMEM (OpenSSL). */
MW_MUST_USE mw_err mw_arrival_name(mw_arrival *arrival);
/* All events of it, in a job of the state. MW_E_CONFLICT: it was here before, and nothing is
 * changed. Else errors of the state. */
MW_MUST_USE mw_err mw_arrival_commit(mw_arrival *arrival, mw_state_tx *tx);
/* Once it is committed: counts, and lets triage go on. Any thread, does not block. */
void mw_arrival_committed(const mw_arrival *arrival);

#endif
