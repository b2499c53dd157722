/* A roll-up out of blocks: their spans put together by trace, with those of earlier segments.
 *
 * Spans stay known, so that what later blocks bring of the same traces finds them: that is how the
 * tail is kept in step. Memory is bounded; more spans than fit are taken in parts of the traces, by a
 * hash of their id, each with a pass of its own over the blocks. One thread at a time; MW_MEM_ROLLUP,
 * the sets of traces MW_MEM_QUERY.
 */
#ifndef MW_STORE_ROLLUP_JOIN_H
#define MW_STORE_ROLLUP_JOIN_H

#include "lib/store/rollup_rows.h"
#include "lib/store/trace_earlier.h"

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
    uint32_t part, parts; /* a power of two */
    size_t spans_max;
    mw_rollup *rollup;
    mw_trace_set traces;
    mw_join_trace *trace_nodes; /* by number of the trace */
    size_t trace_capacity;
    mw_join_node **chunks;
    size_t chunk_count, chunk_capacity;
    size_t span_count;
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
MW_MUST_USE mw_err mw_rollup_join_init(mw_rollup_join *join, uint64_t seed, size_t spans_max);
void mw_rollup_join_fini(mw_rollup_join *join); /* also after a failed init, and twice */

/* The block's spans are new. MW_E_LIMIT (more spans than fit), MW_E_NOMEM: begin anew. */
MW_MUST_USE mw_err mw_rollup_join_block(mw_rollup_join *join, const mw_hot *hot);
/* Looks for earlier spans of traces that came since the last time, and counts what is new.
 * `arrival_ns` is that of the earliest of the blocks. Errors as _block, mw_each_earlier_block. */
MW_MUST_USE mw_err mw_rollup_join_settle(mw_rollup_join *join, mw_store_view *view,
                                         uint64_t arrival_ns);
size_t mw_rollup_join_bytes(const mw_rollup_join *join);

#endif
