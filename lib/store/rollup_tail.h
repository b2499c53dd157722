/* The roll-up of what is not merged yet: kept in step with the commits, a block at a time.
 *
 * Belongs to the store; a mutex guards it. The keeper brings it up to date at least once a second,
 * a question before it reads. When segments are merged it begins anew with what is left.
 */
#ifndef MW_STORE_ROLLUP_TAIL_H
#define MW_STORE_ROLLUP_TAIL_H

#include "lib/store/rollup.h"
#include "lib/store/store_int.h"

typedef struct mw_rollup_tail mw_rollup_tail;

MW_MUST_USE mw_err mw_rollup_tail_new(mw_store *store, mw_rollup_tail **out); /* MW_E_NOMEM */
void mw_rollup_tail_free(mw_rollup_tail *tail);
/* Takes in what the newest commits brought. MW_E_NOMEM, MW_E_IO, MW_E_CORRUPT. Any thread. */
MW_MUST_USE mw_err mw_rollup_tail_update(mw_rollup_tail *tail);
/* The roll-ups of [since, until) of the whole store, tail and merged segments, as of *as_of, added
 * to `into`. Any thread. */
MW_MUST_USE mw_err mw_rollup_window(mw_store *store, uint64_t since_ns, uint64_t until_ns,
                                    mw_rollup *into, uint64_t *as_of);

#endif
