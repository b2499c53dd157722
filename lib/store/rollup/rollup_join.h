/* A roll-up out of blocks: their spans put together by trace, with those of earlier ones.
 *
 * Spans stay known, so that what later blocks bring of the same traces finds them: that is how the
 * tail is kept in step. Who holds it bounds how many are known, and begins a new one when they are
 * too many; of traces that are new to it earlier spans are looked for. One thread at a time;
 * MW_MEM_ROLLUP, the sets of traces MW_MEM_QUERY.
 */
#ifndef MW_STORE_ROLLUP_JOIN_H
#define MW_STORE_ROLLUP_JOIN_H

#include "lib/store/rollup/rollup_rows.h"
#include "lib/store/rollup/trace_earlier.h"

typedef struct mw_join_node {
    mw_rollup_span span;
    uint32_t next; /* of the trace, in the order of arrival */
} mw_join_node;

typedef struct mw_join_trace {
    uint32_t head, tail;
    bool touched; /* has spans that are not counted yet */
} mw_join_trace;

typedef struct mw_rollup_join {
    uint64_t seed;
    mw_rollup *rollup; /* what was counted since the last clearing */
    mw_trace_set traces;
    mw_join_trace *trace_nodes; /* by number of the trace */
    size_t trace_capacity;
    mw_join_node **chunks;
    size_t chunk_count, chunk_capacity;
    size_t span_count;
    size_t earlier_left; /* earlier spans that may still be added until the next settling */
    uint64_t left_out;   /* those beyond: calls to and from them are not counted */
    /* since the last settling */
    mw_trace_set fresh;      /* traces that were not known before */
    uint32_t *fresh_numbers; /* their numbers in `traces` */
    size_t fresh_capacity;
    uint32_t *touched;
    size_t touched_count, touched_capacity;
    /* of a block, of a trace; reused */
    mw_rollup_rows rows;
    uint32_t *numbers;
    size_t number_capacity;
    mw_rollup_span *spans;
    size_t spans_capacity;
    uint32_t *nodes;
    size_t node_capacity;
} mw_rollup_join;

/* `seed` is the store's secret. MW_E_NOMEM. */
MW_MUST_USE mw_err mw_rollup_join_init(mw_rollup_join *join, uint64_t seed);
void mw_rollup_join_fini(mw_rollup_join *join); /* also after a failed init, and twice */

/* The block's spans are new. MW_E_NOMEM, MW_E_LIMIT (2^32 spans): begin anew. */
MW_MUST_USE mw_err mw_rollup_join_block(mw_rollup_join *join, const mw_hot *hot);
/* Earlier spans of traces that came since the last settling, in this order, so that of repeats
 * the first copy counts: those in merged segments (`arrival_ns` is that of the earliest of the
 * blocks), then those of earlier blocks, block by block; mw_rollup_join_wants tells by its index
 * entry whether a block may have some. Errors as above, and mw_each_earlier_block's. */
MW_MUST_USE mw_err mw_rollup_join_merged(mw_rollup_join *join, mw_store_view *view,
                                         uint64_t arrival_ns);
/* How many of them there is memory for, before each settling. */
void mw_rollup_join_bound(mw_rollup_join *join, size_t spans);
bool mw_rollup_join_wants(const mw_rollup_join *join, const mw_index_block *block);
MW_MUST_USE mw_err mw_rollup_join_earlier(mw_rollup_join *join, const mw_hot *hot);
/* Bytes that its spans, their traces and what was counted take (also after a failed init), and how
 * much more so many spans would. */
size_t mw_rollup_join_bytes(const mw_rollup_join *join);
size_t mw_rollup_join_growth(const mw_rollup_join *join, size_t spans);
/* Counts what is new. MW_E_NOMEM. */
MW_MUST_USE mw_err mw_rollup_join_settle(mw_rollup_join *join);

#endif
