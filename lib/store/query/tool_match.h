/* Calls of a wanted tool: by the span's name, and by its attributes where the name says another.
 *
 * Of a merged block its filter tells whether an attribute may name the tool; of a block of the log
 * the items are read. One thread: the view's.
 */
#ifndef MW_STORE_TOOL_MATCH_H
#define MW_STORE_TOOL_MATCH_H

#include "lib/store/query/item_search.h"

/* By a filter that was read (empty: of a block of the log): may an attribute of a span name it? */
bool mw_tool_match_may(mw_slice filter, mw_slice tool);
/* Do the attributes of the row, whose block `search` has entered, name the tool? False for a span
 * that calls none. Rows in ascending order. Errors as mw_item_search_fits. */
MW_MUST_USE mw_err mw_tool_match_row(mw_item_search *search, const mw_hot *hot, uint32_t row,
                                     mw_slice tool, bool *names);

#endif
