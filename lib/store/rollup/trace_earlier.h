/* Spans of given traces that earlier segments hold: what repeats and edges across segments need.
 *
 * Looks at merged segments whose latest arrival is at most MW_EARLIER_NS before `arrival_ns`
 * (DESIGN 5: callers and callees come in different requests, minutes apart at most). Of these the
 * directories of traces say which blocks to read; each of those is read once. One thread: the
 * view's; MW_MEM_MERGE.
 */
#ifndef MW_STORE_TRACE_EARLIER_H
#define MW_STORE_TRACE_EARLIER_H

#include "lib/store/segment/block_set.h"
#include "lib/store/store_int.h"

#define MW_EARLIER_NS (20 * 60 * (uint64_t)MW_NS_PER_S)

/* Is the block one of those: merged, of spans, recent enough, with a lowest sequence below
 * `before_seq`? */
bool mw_block_is_earlier(const mw_index_block *block, uint64_t arrival_ns, uint64_t before_seq);

/* Of the view's merged blocks with a lowest sequence below `before_seq`, calls for each that
 * holds a trace of `traces`: numbers[t] is the number in the set of the block's trace t, or
 * MW_EARLIER_NOT_WANTED. The columns and numbers are valid during the call, in which the view
 * must not be read. MW_E_NOMEM, MW_E_IO, MW_E_CORRUPT, MW_E_TIMEOUT (the view's stop), or what
 * the callback returned. */
#define MW_EARLIER_NOT_WANTED UINT32_MAX
MW_MUST_USE mw_err mw_each_earlier_block(
    mw_store_view *view, const mw_trace_set *traces, uint64_t arrival_ns, uint64_t before_seq,
    mw_err (*block)(void *ctx, const mw_hot *hot, const uint32_t *numbers), void *ctx);
/* The same row by row: `trace` is the trace's number in the set. */
MW_MUST_USE mw_err mw_each_earlier_span(
    mw_store_view *view, const mw_trace_set *traces, uint64_t arrival_ns, uint64_t before_seq,
    mw_err (*span)(void *ctx, uint32_t trace, const mw_hot *hot, uint32_t row), void *ctx);

#endif
