/* A merge under way, as its parts see it. The keeper's thread alone. */
#ifndef MW_STORE_MERGE_INT_H
#define MW_STORE_MERGE_INT_H

#include "lib/store/block_filter.h"
#include "lib/store/block_pack.h"
#include "lib/store/merge.h"
#include "lib/store/merge_file.h"
#include "lib/store/merge_plan.h"
#include "lib/store/rollup_rows.h"
#include "lib/store/segment_footer.h"

/* Spans of earlier segments that one merge takes into account, 18 MiB. A trace that goes on for
 * hours has all it had before read again at each merge: beyond this many, repeats of the others
 * stay (answers drop them), and edges to them are not counted. */
#define MW_MERGE_EARLIER_MAX ((size_t)1 << 18)
/* Repeats of one merge whose bytes are compared, 4 MiB; of those beyond only the lengths are. */
#define MW_MERGE_COMPARED_MAX ((size_t)1 << 16)

/* A span of an earlier segment whose trace the merge holds. */
typedef struct mw_merge_earlier_span {
    uint32_t trace;
    mw_rollup_span span;
    uint64_t columns; /* hash of them: mw_span_columns */
} mw_merge_earlier_span;

typedef struct mw_merging {
    const mw_merge_job *job;
    mw_merge_result *result;
    const mw_index_block **blocks; /* the inputs', in order of commit; MW_MEM_MERGE */
    size_t block_count;
    uint64_t first_seq, last_seq, arrival_min_ns, arrival_max_ns;
    size_t group_max;
    mw_merge_file file;
    mw_footer_writer *footer;
    mw_filter_writer *filter;
    uint64_t *starts; /* of each block of the output: mw_index_start_max; MW_MEM_MERGE */
    size_t start_count, start_capacity;
    mw_rollup *rollup;
    mw_rollup_rows rollup_rows;
    mw_merge_earlier_span *earlier; /* by trace; MW_MEM_MERGE */
    size_t earlier_count, earlier_capacity;
} mw_merging;

/* Reads columns or items of an input; damage is noted as the segment's. Errors as mw_view_hot. */
MW_MUST_USE mw_err mw_merge_hot(mw_merging *merging, const mw_index_block *block, mw_hot *out);
MW_MUST_USE mw_err mw_merge_items(mw_merging *merging, const mw_index_block *block,
                                  const mw_hot *hot, mw_items_walk *walk);
MW_MUST_USE mw_err mw_merge_note(mw_merging *merging, const mw_index_block *block, mw_err err);

/* A hash of all columns of a span that its sender determines. */
uint64_t mw_span_columns(const mw_hot *hot, uint32_t row);

/* merge_spans.c: spans of the plan's traces that earlier segments hold. MW_E_NOMEM, MW_E_IO,
 * MW_E_CORRUPT (noted), MW_E_TIMEOUT. */
MW_MUST_USE mw_err mw_merge_find_earlier(mw_merging *merging, mw_merge_plan *plan);

/* Traces, whole, to the roll-up: spans come in the order of the output. */
typedef struct mw_merge_traces {
    mw_merging *merging;
    const mw_merge_plan *plan;
    size_t order;  /* in plan->group_order: the trace that comes */
    uint32_t have; /* of its spans */
    size_t earlier;
    mw_rollup_span *spans;
    size_t capacity;
} mw_merge_traces;
void mw_merge_traces_init(mw_merge_traces *traces, mw_merging *merging, const mw_merge_plan *plan);
void mw_merge_traces_fini(mw_merge_traces *traces);
/* The columns of the next block of the output. MW_E_NOMEM. */
MW_MUST_USE mw_err mw_merge_traces_block(mw_merge_traces *traces, const mw_hot *hot);

/* merge_compare.c: counts the plan's repeats, and those whose content differs from what was kept:
 * the bytes of their items; where an earlier segment holds what was kept, its columns.
 * `inputs` are the plan's blocks. Errors as mw_view_items. */
MW_MUST_USE mw_err mw_merge_compare(mw_merging *merging, const mw_merge_plan *plan,
                                    const mw_index_block *const *inputs);

/* merge_copy.c: writes all blocks of the plan. Errors as mw_merge_run. */
MW_MUST_USE mw_err mw_merge_copy(mw_merging *merging, const mw_merge_plan *plan,
                                 const mw_index_block *const *inputs);

#endif
