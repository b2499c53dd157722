/* The roll-up of what is not merged yet: kept in step with the commits, a block at a time.
 *
 * Belongs to the store; a mutex guards it. The keeper brings it up to date at least once a second,
 * as far as a bounded amount of work goes (MW_TAIL_STEP), a question in full before it reads. When
 * segments are merged it begins anew with what is left: which segments are merged is what the
 * question's own snapshot says, so that no span is in both. A log of more spans than memory is given
 * for (MW_TAIL_SPANS_MAX: merging is far behind) is not kept; a question computes it in parts then.
 * Spans of merged segments that arrived up to 20 minutes before are looked up (trace_earlier.h).
 */
#ifndef MW_STORE_ROLLUP_TAIL_H
#define MW_STORE_ROLLUP_TAIL_H

#include "lib/store/rollup.h"
#include "lib/store/store_int.h"

/* 56 bytes each, so 56 MiB; two and a half segments of the log. Where the memory limit is small, what
 * fits a tenth of it. */
#define MW_TAIL_SPANS_MAX ((size_t)1 << 20)
/* Spans that one call of the keeper takes in: some 20 ms of work a second at most, for a load at
 * which nobody may be asking. */
#define MW_TAIL_STEP ((size_t)1 << 16)

typedef struct mw_rollup_tail mw_rollup_tail;

MW_MUST_USE mw_err mw_rollup_tail_new(mw_store *store, mw_rollup_tail **out); /* MW_E_NOMEM */
void mw_rollup_tail_free(mw_rollup_tail *tail);                               /* NULL is ignored */
/* Tests: how many spans are kept. */
void mw_rollup_tail_limit(mw_rollup_tail *tail, size_t spans_max);
/* Takes in what the newest commits brought. MW_E_NOMEM, MW_E_IO, MW_E_CORRUPT. Any thread. */
MW_MUST_USE mw_err mw_rollup_tail_update(mw_rollup_tail *tail);
/* The roll-ups of [since, until) of the whole store, tail and merged segments, as of *as_of, added
 * to `into`; until 0 = unbounded. Errors as above. Any thread. */
MW_MUST_USE mw_err mw_rollup_window(mw_store *store, uint64_t since_ns, uint64_t until_ns,
                                    mw_rollup *into, uint64_t *as_of);

#endif
