/* A merge under way, as its parts see it. The keeper's thread alone. */
#ifndef MW_STORE_MERGE_INT_H
#define MW_STORE_MERGE_INT_H

#include "lib/store/format/block_filter.h"
#include "lib/store/merge/block_pack.h"
#include "lib/store/merge/merge.h"
#include "lib/store/merge/merge_file.h"
#include "lib/store/merge/merge_plan.h"
#include "lib/store/rollup/rollup_rows.h"
#include "lib/store/segment/segment_footer.h"

/* Spans of earlier segments that are in memory at a time, 18 MiB; where more matter they are read
 * for a part of the traces at a time, and of a single trace for a part of them. */
#define MW_MERGE_EARLIER_MAX ((size_t)1 << 18)
/* Repeats of one merge whose bytes are compared, 4 MiB; of those beyond only the lengths are. */
#define MW_MERGE_COMPARED_MAX ((size_t)1 << 16)

/* A span of an earlier segment whose trace the merge holds, and that matters to it. */
typedef struct mw_merge_earlier_span {
    uint32_t trace, number; /* in the order of segments */
    mw_rollup_span span;
} mw_merge_earlier_span;

/* A Bloom filter of the ids and parents of all spans of the merge. MW_MEM_MERGE. */
typedef struct mw_merge_near {
    uint64_t *parents; /* by row, until it is known whether the filter is needed */
    uint64_t *words;   /* NULL = it was not */
    uint64_t seed;     /* random: nobody can make ids that pass */
    unsigned shift;    /* 64 - log2 of how many words */
} mw_merge_near;

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
    /* merge_earlier.c's */
    mw_merge_near near;
    uint64_t *kept_columns; /* mw_span_columns, by the number of mw_merge_plan_earlier */
    size_t kept_capacity;
    uint32_t *earlier_rows;         /* by trace: how many earlier spans matter to it */
    size_t earlier_total;           /* of all traces */
    mw_merge_earlier_span *earlier; /* by trace: those of the traces at hand */
    size_t earlier_count, earlier_capacity;
    size_t earlier_end; /* in plan->group_order: behind the last of these traces */
} mw_merging;

/* merge_inputs.c: reads columns or items of an input; damage is noted as the segment's. Errors as
 * mw_view_hot. */
MW_MUST_USE mw_err mw_merge_hot(mw_merging *merging, const mw_index_block *block, mw_hot *out);
MW_MUST_USE mw_err mw_merge_items(mw_merging *merging, const mw_index_block *block,
                                  const mw_hot *hot, mw_items_walk *walk);
MW_MUST_USE mw_err mw_merge_note(mw_merging *merging, const mw_index_block *block, mw_err err);

/* A hash of all columns of a span that its sender determines. */
uint64_t mw_span_columns(const mw_hot *hot, uint32_t row);

/* merge_earlier.c: spans of the plan's traces that earlier segments hold. First of all room for so
 * many rows; then each block, when the plan has it; then the search. MW_E_NOMEM, MW_E_IO,
 * MW_E_TIMEOUT. */
MW_MUST_USE mw_err mw_merge_near_begin(mw_merging *merging, size_t rows);
void mw_merge_near_add(mw_merging *merging, const mw_merge_plan *plan, const mw_hot *hot);
MW_MUST_USE mw_err mw_merge_find_earlier(mw_merging *merging, mw_merge_plan *plan);
/* Those of the trace at `order` in the output and of as many behind it as fit; the view is read.
 * Errors as above. */
MW_MUST_USE mw_err mw_merge_more_earlier(mw_merging *merging, mw_merge_plan *plan, size_t order);

/* The columns of an earlier span as the roll-up takes them; false without memory. */
MW_MUST_USE bool mw_merge_earlier_row(mw_merging *merging, const mw_hot *hot, uint32_t row,
                                      mw_rollup_span *out);
/* A trace of the plan with more earlier spans than fit, and its own `count` spans, into the
 * roll-up; the view is read. Errors as above. */
bool mw_merge_is_long(const mw_merging *merging, uint32_t trace);
MW_MUST_USE mw_err mw_merge_long_trace(mw_merging *merging, const mw_merge_plan *plan,
                                       uint32_t trace, mw_rollup_span *spans, size_t count);

/* merge_spans.c. Traces, whole, to the roll-up: spans come in the order of the output. */
typedef struct mw_merge_traces {
    mw_merging *merging;
    mw_merge_plan *plan;
    size_t order;  /* in plan->group_order: the trace that comes */
    uint32_t have; /* of its spans */
    mw_rollup_span *spans;
    size_t capacity;
} mw_merge_traces;
void mw_merge_traces_init(mw_merge_traces *traces, mw_merging *merging, mw_merge_plan *plan);
void mw_merge_traces_fini(mw_merge_traces *traces);
/* The columns of the next block of the output. MW_E_NOMEM. */
MW_MUST_USE mw_err mw_merge_traces_block(mw_merge_traces *traces, const mw_hot *hot);

/* merge_compare.c: counts the plan's repeats, and those whose content differs from what was kept:
 * the bytes of their items; where an earlier segment holds what was kept, its columns.
 * `inputs` are the plan's blocks. Errors as mw_view_items. */
MW_MUST_USE mw_err mw_merge_compare(mw_merging *merging, const mw_merge_plan *plan,
                                    const mw_index_block *const *inputs);

/* merge_copy.c: writes all blocks of the plan. Errors as mw_merge_run. */
MW_MUST_USE mw_err mw_merge_copy(mw_merging *merging, mw_merge_plan *plan,
                                 const mw_index_block *const *inputs);

#endif
