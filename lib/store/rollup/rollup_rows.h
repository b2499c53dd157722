/* Spans for a roll-up out of a block's columns: texts are looked up once a block, not once a row.
 *
 * Belongs to one thread and one table; MW_MEM_ROLLUP. Used by the tail and by the merger.
 */
#ifndef MW_STORE_ROLLUP_ROWS_H
#define MW_STORE_ROLLUP_ROWS_H

#include "lib/store/format/block.h"
#include "lib/store/rollup/rollup.h"

typedef struct mw_rollup_rows {
    mw_rollup *rollup;
    const mw_hot *hot;
    uint32_t *numbers; /* by reference: 1 + the table's number, 0 = not yet asked for */
    size_t capacity;
} mw_rollup_rows;

void mw_rollup_rows_init(mw_rollup_rows *rows, mw_rollup *rollup);
void mw_rollup_rows_fini(mw_rollup_rows *rows);
/* Rows of this block of spans come next; `hot` stays where it is until the next begin.
 * MW_E_NOMEM. */
MW_MUST_USE mw_err mw_rollup_rows_begin(mw_rollup_rows *rows, const mw_hot *hot);
/* One row; `earlier` is the caller's to set, false here. MW_E_NOMEM. */
MW_MUST_USE mw_err mw_rollup_rows_span(mw_rollup_rows *rows, uint32_t row, mw_rollup_span *out);

#endif
