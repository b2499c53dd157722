/* Whole rows of an answer: columns and items of chosen rows, each block read once.
 *
 * Resources, scopes and metric heads are copied to the arena of the question once a block, however
 * many rows name them.
 */
#ifndef MW_STORE_ROW_FETCH_H
#define MW_STORE_ROW_FETCH_H

#include "lib/store/store_int.h"

typedef mw_item_place mw_row_place;

typedef struct mw_fetched_row {
    const mw_hot *hot; /* valid during the call, as all texts of the row */
    uint32_t row;
    mw_slice bytes; /* the item; in the arena, as what follows */
    uint32_t oversized;
    mw_store_context resource, scope;
    mw_store_context head; /* of the metric; empty but for points */
} mw_fetched_row;

/* Calls `take` for each place (none stands twice), `at` its position in `places`; blocks in order
 * of commit. The view must not be read during a call. MW_E_NOMEM, MW_E_IO, MW_E_CORRUPT, or what
 * the callback returned, which ends it. */
MW_MUST_USE mw_err mw_rows_fetch(mw_store_view *view, const mw_row_place *places, size_t count,
                                 mw_arena *arena,
                                 mw_err (*take)(void *ctx, size_t at, const mw_fetched_row *row),
                                 void *ctx);
/* The same without reading items: bytes and contexts are empty. */
MW_MUST_USE mw_err mw_rows_columns(mw_store_view *view, const mw_row_place *places, size_t count,
                                   mw_err (*take)(void *ctx, size_t at, const mw_fetched_row *row),
                                   void *ctx);

/* All of a span but its place in a trace; session_id is its own. MW_E_NOMEM. */
MW_MUST_USE mw_err mw_fetched_span(const mw_fetched_row *fetched, mw_arena *arena,
                                   mw_trace_span *out);

#endif
