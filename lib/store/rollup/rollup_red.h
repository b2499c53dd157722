/* From the cells of a roll-up to figures that a question shows. Pure; one thread. */
#ifndef MW_STORE_ROLLUP_RED_H
#define MW_STORE_ROLLUP_RED_H

#include "lib/store/rollup/rollup_int.h"
#include "lib/store/store.h"

/* Cells added up. */
typedef struct mw_red_sum {
    int64_t row[MW_ROLLUP_ROW];
    int64_t errors, sum_us, wire_us;
} mw_red_sum;

void mw_red_sum_add(mw_red_sum *sum, const mw_rollup *rollup, const mw_rollup_cell *cell);
/* Of durations, of times on the wire. What was taken back of spans that are no longer stored leaves
 * no number below 0. */
mw_red mw_red_of(const mw_red_sum *sum);
mw_red mw_red_of_wire(const mw_red_sum *sum);

/* Indices of the cells: spans before calls, then by left and right text, then by minute, then by
 * kind. MW_MEM_ROLLUP, the caller's. NULL without memory. */
MW_MUST_USE uint32_t *mw_rollup_sorted(const mw_rollup *rollup);

/* The window in whole minutes; until 0 = to the end of the minute of `now_ns`. */
void mw_red_window(uint64_t now_ns, uint64_t *since_ns, uint64_t *until_ns);

#endif
