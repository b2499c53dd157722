/* triage: decisions and investigations. The room's door for webhook/ and server/.
 *
 * No sockets, no SQL; time comes from the clock given. Decisions are taken one at a time per
 * space in the order in which alarms were committed; those left undecided by a crash are taken up
 * at start, and so are investigations that were running. Work runs on the pool.
 */
#ifndef MW_TRIAGE_TRIAGE_H
#define MW_TRIAGE_TRIAGE_H

#include "lib/base/clock.h"
#include "lib/base/pool.h"
#include "lib/state/state.h"
#include "lib/store/store.h"

typedef struct mw_triage mw_triage;

typedef struct mw_triage_config {
    mw_store *store;
    mw_state *state;
    mw_pool *pool;
    const mw_clock *clock;
} mw_triage_config;

/* Takes up what a former run left. MW_E_NOMEM, MW_E_IO. */
MW_MUST_USE mw_err mw_triage_start(const mw_triage_config *config, mw_triage **out);
/* An alarm was committed: wakes the engine. Any thread, does not block. */
void mw_triage_wake(mw_triage *triage);
/* An investigation may be PENDING_START. Any thread, does not block. */
void mw_triage_wake_runs(mw_triage *triage);
/* What an investigation of that moment looks at. Pure. */
void mw_investigation_window(int64_t at_ns, int64_t *start_ns, int64_t *end_ns);
/* Alarms and investigations under way now. */
size_t mw_triage_active(mw_triage *triage);
/* Waits until what runs has been committed (undecided alarms stay for the next start), frees. */
void mw_triage_stop(mw_triage *triage);

#endif
