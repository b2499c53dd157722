/* The roll-up of what is not merged yet: kept in step with the commits, a block at a time.
 *
 * Belongs to the store; a mutex guards it, which nobody holds for more than bringing it up to date.
 * The keeper does so at least once a second, as far as a bounded amount of work goes
 * (MW_TAIL_STEP), a question in full before it reads. Each
 * segment of the log has a table of its own, which goes when the segment is merged: which are
 * merged is what the question's own snapshot says, so that no span is in both. Tables add up
 * whatever the order (rollup.h), so nothing has to be read again then.
 *
 * Spans are known for as long as memory is given for them (MW_TAIL_SPANS_MAX, MW_TAIL_KNOWN_NS). Of
 * a trace that is new, or new again, earlier ones are looked for: in blocks of the log that were
 * forgotten, by their keys, and in merged segments that arrived up to 20 minutes before
 * (trace_earlier.h).
 */
#ifndef MW_STORE_ROLLUP_TAIL_H
#define MW_STORE_ROLLUP_TAIL_H

#include "lib/store/rollup/rollup.h"
#include "lib/store/store_int.h"

/* 56 bytes each, so 28 MiB; where the memory limit is small, what fits a twentieth of it. A single
 * larger request is known while it is counted. */
#define MW_TAIL_SPANS_MAX ((size_t)1 << 19)
/* The same with all tables and texts, of the tails of all spaces together (tail_share.h); an eighth
 * of a small limit. Beyond, spans are forgotten sooner, and tables take in no cells that are new:
 * what belongs there is told as left out until it is merged. */
#define MW_TAIL_BYTES_MAX ((size_t)64 << 20)
/* Earlier spans that are looked up for what is settled at a time, likewise: only a trace of so many
 * has more. Calls to and from those beyond are told as left out until the merge counts them. */
#define MW_TAIL_EARLIER_MAX MW_TAIL_SPANS_MAX
/* Spans are known for that long: slow traffic need not hold them all the same. */
#define MW_TAIL_KNOWN_NS (20 * 60 * (uint64_t)MW_NS_PER_S)
/* And when nothing came for that long: after a rush the memory is not held for what may never come.
 * Long enough for what is exported once a minute. */
#define MW_TAIL_IDLE_NS (2 * 60 * MW_NS_PER_S)
/* Spans that one call of the keeper takes in: some 20 ms of work a second at most, for a load at
 * which nobody may be asking. Also what is settled at a time. */
#define MW_TAIL_STEP ((size_t)1 << 16)

typedef struct mw_rollup_tail mw_rollup_tail;

MW_MUST_USE mw_err mw_rollup_tail_new(mw_store *store, mw_rollup_tail **out); /* MW_E_NOMEM */
void mw_rollup_tail_free(mw_rollup_tail *tail);                               /* NULL is ignored */
/* Tests: how many spans are known, and taken in by one update; how many earlier ones. */
void mw_rollup_tail_limit(mw_rollup_tail *tail, size_t spans_max, size_t step);
void mw_rollup_tail_limit_earlier(mw_rollup_tail *tail, size_t spans);
/* Takes in what the newest commits brought. MW_E_NOMEM, MW_E_IO, MW_E_CORRUPT, MW_E_TIMEOUT: by
 * `stop` (may be NULL), asked before each block that is read. Any thread. */
MW_MUST_USE mw_err mw_rollup_tail_update(mw_rollup_tail *tail, const mw_store_stop *stop);
/* The roll-ups of [since, until) of the whole store, tail and merged segments, as of *as_of, added
 * to `into`; until 0 = unbounded. Errors as above, and MW_E_TIMEOUT: what was done for the tail
 * until then stays done. Any thread. */
MW_MUST_USE mw_err mw_rollup_window(mw_store *store, uint64_t since_ns, uint64_t until_ns,
                                    const mw_store_stop *stop, mw_rollup *into, uint64_t *as_of);

#endif
