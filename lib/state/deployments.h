/* Deployments that people and pipelines have recorded: what changed, where, when. Part of the
 * room's door, beside state.h, whose rules on memory and errors hold here.
 */
#ifndef MW_STATE_DEPLOYMENTS_H
#define MW_STATE_DEPLOYMENTS_H

#include "lib/state/state.h"

typedef struct mw_deployment_row {
    mw_slice id; /* 32 hex */
    mw_slice space, service, version;
    mw_slice region, commit;   /* empty = null */
    mw_slice principal;        /* who recorded it */
    int64_t time_ns;           /* when it was deployed (event time) */
    int64_t recorded_ns;       /* when we heard of it */
    mw_slice previous_version; /* of that service and region, before it; set by questions alone:
                                 * empty = none was recorded */
} mw_deployment_row;

MW_MUST_USE mw_err mw_state_deployment_insert(mw_state_tx *tx, const mw_deployment_row *row);
MW_MUST_USE mw_err mw_state_deployment_get(mw_state_tx *tx, mw_slice id_prefix, mw_arena *arena,
                                           mw_deployment_row *out);
/* By time. `service` empty = all. */
MW_MUST_USE mw_err mw_state_deployment_list(mw_state_tx *tx, const mw_state_page *page,
                                            mw_slice service, mw_arena *arena,
                                            mw_deployment_row **rows, size_t *count,
                                            mw_slice *next_cursor, uint64_t *total);
/* All of a space whose time lies within, both included, newest first; at most `limit`. */
MW_MUST_USE mw_err mw_state_deployment_between(mw_state_tx *tx, mw_slice space, int64_t since_ns,
                                               int64_t until_ns, size_t limit, mw_arena *arena,
                                               mw_deployment_row **rows, size_t *count);

#endif
