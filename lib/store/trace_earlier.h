/* Spans of given traces that earlier segments hold: what repeats and edges across segments need.
 *
 * Looks at merged segments whose latest arrival is at most MW_EARLIER_NS before `arrival_ns`
 * (DESIGN 5: callers and callees come in different requests, minutes apart at most). Of these the
 * directories of traces say which blocks to read; each of those is read once. One thread: the view's;
 * MW_MEM_MERGE.
 */
#ifndef MW_STORE_TRACE_EARLIER_H
#define MW_STORE_TRACE_EARLIER_H

#include "lib/store/block_set.h"
#include "lib/store/store_int.h"

#define MW_EARLIER_NS (20 * 60 * (uint64_t)MW_NS_PER_S)

/* Is the block one of those: merged, of spans, recent enough, with a lowest sequence below
 * `before_seq`? */
bool mw_block_is_earlier(const mw_index_block *block, uint64_t arrival_ns, uint64_t before_seq);

/* Calls for each row of a trace of `traces`, from the view's merged blocks with a lowest sequence
 * below `before_seq`; the hot columns are valid during the call, in which the view must not be read.
 * `trace` is the trace's number in the set. MW_E_NOMEM, MW_E_IO, MW_E_CORRUPT, MW_E_TIMEOUT (the
 * view's stop), or what the callback returned. */
MW_MUST_USE mw_err mw_each_earlier_span(
    mw_store_view *view, const mw_trace_set *traces, uint64_t arrival_ns, uint64_t before_seq,
    mw_err (*span)(void *ctx, uint32_t trace, const mw_hot *hot, uint32_t row), void *ctx);

#endif
