/* Merging: segments of the log, and small merged ones, become one merged segment.
 *
 * Spans are ordered by the first start of their trace, then by trace, repeats removed; points by
 * series, time and start, repeats removed; log records stay in the order of their commits. The
 * columns of all inputs give every row its place first (merge_plan.h); then the items are copied in
 * groups of output blocks that fit the budget, each with a pass over the input blocks that hold
 * rows of it: what is nearly in order is read once, whatever the order memory stays bounded.
 *
 * The result is written under a temporary name in pieces of at most 1 MiB, each synced, so that
 * no acknowledgement waits behind a large sync; its header comes last; then it gets its name, is
 * published in one step, and only then what it replaces is removed. A start removes what a merged
 * segment says that it replaced (a kill between the two). A damaged input block ends the merge of
 * its segment, which stays as it is, logged and left aside until the next start.
 */
#ifndef MW_STORE_MERGE_H
#define MW_STORE_MERGE_H

#include "lib/store/store_int.h"

/* What one merge takes: items, and bytes of the inputs' files. Bounds the plan's memory (about
 * 40 bytes an item) and how long a merge takes. */
#define MW_MERGE_ITEMS_MAX ((size_t)1 << 20)
#define MW_MERGE_INPUT_MAX ((uint64_t)256 << 20)
/* Bytes of items copied at a time, of which two thirds are memory; less where the memory limit is
 * small (a fifth of its ceiling). Requests overlap in time: with half of it, most were unpacked
 * twice. */
#define MW_MERGE_GROUP_MAX ((size_t)96 << 20)
/* Bytes of the log that wait to be merged; beyond it appends are refused as busy, and answers wait
 * (collector: mw_request_defer). */
#define MW_MERGE_BACKLOG_MAX ((uint64_t)1 << 30)
/* A sync of a merge covers at most this much. */
#define MW_MERGE_PIECE ((size_t)1 << 20)

/* `conflicting`: of the repeats, those with other content than the one that was kept. Content is
 * the bytes of the item; where an earlier segment holds the kept one, its columns, so that no item
 * of that segment need be read. */
typedef struct mw_merge_result {
    uint64_t items_in, items_out, repeats, conflicting;
    uint64_t bytes_in, bytes_out;
    bool needed; /* nothing is left of the inputs, but they say where one that stays ends: they may
                  * not be removed */
    mw_segment *damaged; /* after MW_E_CORRUPT or MW_E_IO: what could not be read, if that was it;
                          * pinned by the view */
} mw_merge_result;

/* Merges `inputs` (complete: nobody appends to them; in order of their sequences) into segment
 * `header.id`, with what is in view, written and named, not yet published. *out is the new segment
 * with its entries and footer, one reference; NULL when nothing is left (inputs without items, or
 * repeats of earlier segments alone). The view's stop is set. MW_E_NOMEM, MW_E_LIMIT,
 * MW_E_NO_SPACE, MW_E_IO, MW_E_CORRUPT (result->damaged), MW_E_TIMEOUT (asked to stop). Nothing is
 * left behind on an error. */
typedef struct mw_merge_job {
    mw_store *store;
    mw_store_view *view; /* sees the inputs, and the segments before them (repeats, edges) */
    mw_segment **inputs;
    size_t input_count;
    uint64_t id;
    bool (*stop)(void *ctx); /* asked before each block; NULL = never */
    void *stop_ctx;
} mw_merge_job;
MW_MUST_USE mw_err mw_merge_run(const mw_merge_job *job, mw_merge_result *result, mw_segment **out);

#endif
