/* Gathering: the rows of whole traces out of all blocks, joined, one trace after the other.
 *
 * The common part of all questions that need derived values. Memory is bounded by the view's
 * query budget: when the traces do not fit, they are taken in parts by a hash of their id, each
 * part with a pass of its own over the blocks. A part that turns out too large is split.
 */
#ifndef MW_STORE_GATHER_H
#define MW_STORE_GATHER_H

#include "lib/store/store_int.h"
#include "lib/store/trace_join.h"
#include "lib/store/trace_set.h"

/* Spans of one trace that lists and sessions look at, in order of commit: 20 MiB of rows. Agents'
 * traces have 10 to 10,000; without a bound one hostile trace would make every list fail. */
#define MW_GATHER_TRACE_SPANS_MAX ((uint32_t)1 << 18)

typedef struct mw_gather_question {
    const mw_trace_set *wanted; /* NULL = every trace */
    uint32_t trace_spans_max;   /* 0 = only memory bounds it */
    /* Told of the own session ids that the gathered spans hold, before the traces that hold them;
     * the same one more than once. May be NULL. */
    mw_err (*session)(void *ctx, uint64_t key, mw_slice session_id);
    /* Each trace once, in no order; the join is valid during the call. The view must not be read
     * meanwhile. An error ends the gathering. */
    mw_err (*trace)(void *ctx, const uint8_t *trace_id, const mw_join *join);
    void *ctx;
} mw_gather_question;

/* MW_E_NOMEM, MW_E_IO, MW_E_CORRUPT, or what a callback returned. */
MW_MUST_USE mw_err mw_gather(mw_store_view *view, const mw_gather_question *question);

/* The same for the traces that reach `edge_ns` or later: each of them whole, and perhaps others.
 * question->wanted is ignored. */
MW_MUST_USE mw_err mw_gather_since(mw_store_view *view, const mw_gather_question *question,
                                   uint64_t edge_ns);

/* Adds to `set` the traces with a span that ends (or, clocks being what they are, starts) at or
 * after `from_ns`. MW_E_LIMIT when the set exceeds max_bytes; as above. */
MW_MUST_USE mw_err mw_collect_since(mw_store_view *view, uint64_t from_ns, size_t max_bytes,
                                    mw_trace_set *set);
/* ... with a span whose own session is one of the ascending keys. */
MW_MUST_USE mw_err mw_collect_sessions(mw_store_view *view, const uint64_t *keys, size_t count,
                                       mw_trace_set *set);

/* Is a block perhaps of interest: do two ascending runs share a value? */
bool mw_keys_meet(const uint64_t *a, size_t a_count, const uint64_t *b, size_t b_count);

#endif
