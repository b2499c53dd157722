/* The plan of a merge: the place of every row of one signal in the output.
 *
 * Pure: columns in, places out. Blocks are added in the order of commits; a row's number is its
 * position in that order. Spans go by the first start of their trace, then by trace, then in order
 * of commit; points by series, time and start; log records stay as they are. Spans of the same
 * trace and span id, and points of the same series, time and start, are kept once: the first in
 * the order of commits, which has the lowest (sequence, index), since blocks of merged segments
 * hold the rows of a trace or series in that order, too. Spans that an earlier segment holds
 * (mw_merge_plan_earlier) are not kept at all.
 *
 * Rows are numbered by trace or series, counted, and put in place by counting: a sort of the traces
 * (not of the rows) is all that compares times. Weighed: qsort over rows, which is 20 times as
 * slow for a million.
 * MW_MEM_MERGE, the set of traces MW_MEM_QUERY; 20 bytes a row, 64 to 100 a trace or series. One
 * thread.
 */
#ifndef MW_STORE_MERGE_PLAN_H
#define MW_STORE_MERGE_PLAN_H

#include "lib/store/format/block.h"
#include "lib/store/format/number_sort.h"
#include "lib/store/format/trace_set.h"

#define MW_PLAN_REMOVED UINT32_MAX
/* The last trace to have a number of its own. */
#define MW_PLAN_ROWS_MAX ((size_t)1 << 30)

typedef struct mw_plan_block {
    uint32_t first_row, rows;
    uint32_t least, most; /* the places of its rows lie in between; least > most: none is kept */
} mw_plan_block;

/* A block to be written: rows [first, first + rows) of the output. */
typedef struct mw_plan_output {
    uint32_t first, rows;
    uint64_t bytes; /* of its items */
} mw_plan_output;

/* A removed row, and what was kept instead: another row, or an earlier span by the number that
 * mw_merge_plan_earlier gave it. */
typedef struct mw_plan_repeat {
    uint32_t removed, kept;
    bool kept_earlier;
} mw_plan_repeat;

typedef struct mw_plan_earlier {
    uint32_t trace;
    uint64_t span_id;
} mw_plan_earlier;

typedef struct mw_merge_plan {
    mw_signal signal;
    uint32_t row_count, kept;
    size_t row_capacity;
    uint32_t *places;  /* by row; before _finish: the number of its trace or series */
    uint32_t *lengths; /* by row: bytes of its item */
    uint64_t *ids;     /* by row: span id (as in memory), or time; NULL for log records */
    uint64_t *starts;  /* by row, points alone */
    mw_plan_block *blocks;
    size_t block_count, block_capacity;
    /* Traces or series: */
    mw_trace_set traces;
    uint32_t *series_slots; /* 1 + number */
    size_t series_capacity; /* slots, a power of two; half of them at most are taken */
    uint64_t *group_keys;   /* by number: first start, or the series */
    uint32_t *group_rows;   /* by number: rows, after _finish those kept */
    size_t group_count, group_capacity;
    uint32_t *group_order; /* after _finish: the numbers as they stand in the output */
    mw_plan_earlier *earlier;
    size_t earlier_count, earlier_capacity;
    /* After _finish: */
    mw_plan_output *outputs;
    size_t output_count, output_capacity;
    mw_plan_repeat *repeats; /* by removed row, ascending, after _finish */
    size_t repeat_count, repeat_capacity;
    /* per block and group, reused */
    uint32_t *number_of;
    size_t number_capacity;
    mw_sort_scratch sort;
} mw_merge_plan;

/* `rows`: of all blocks that will be added, at most MW_PLAN_ROWS_MAX. MW_E_NOMEM: _fini is due all
 * the same. */
MW_MUST_USE mw_err mw_merge_plan_init(mw_merge_plan *plan, mw_signal signal, size_t rows,
                                      uint64_t seed);
void mw_merge_plan_fini(mw_merge_plan *plan);

/* Where the lengths of the next block's items go, before it is added: `rows` of them. */
uint32_t *mw_merge_plan_lengths(mw_merge_plan *plan);
/* The next block's columns. MW_E_NOMEM. */
MW_MUST_USE mw_err mw_merge_plan_add(mw_merge_plan *plan, const mw_hot *hot);
/* A span of plan->traces that an earlier segment holds; their numbers count from 0. MW_E_NOMEM. */
MW_MUST_USE mw_err mw_merge_plan_earlier(mw_merge_plan *plan, uint32_t trace, uint64_t span_id);
/* All blocks and earlier spans were added. MW_E_NOMEM. */
MW_MUST_USE mw_err mw_merge_plan_finish(mw_merge_plan *plan);

#endif
