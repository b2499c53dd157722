/* Which traces may be as long, or use as many tokens, as is asked: by the columns alone.
 *
 * A trace lasts no longer than from its first start to its latest end, and uses no more tokens than
 * its agents and calls of models together, copies included. Adding that up costs one pass over the
 * columns; joining all traces to learn it costs ten times as much. One thread: the view's;
 * MW_MEM_QUERY.
 */
#ifndef MW_STORE_TRACE_BOUNDS_H
#define MW_STORE_TRACE_BOUNDS_H

#include "lib/store/format/trace_set.h"
#include "lib/store/store_int.h"

/* Is there a lower bound to look for? */
bool mw_trace_bounds_asked(const mw_list_filter *filter);
/* Adds the traces that may reach tokens_min, or where that is 0 duration_min_ns, and perhaps
 * others; spans that end before since_ns are left out. The sums take the view's budget: of more
 * traces they are made in parts, with a pass each. MW_E_LIMIT when the set exceeds max_bytes;
 * MW_E_NOMEM, MW_E_IO, MW_E_CORRUPT. */
MW_MUST_USE mw_err mw_trace_bounds_collect(mw_store_view *view, const mw_list_filter *filter,
                                           uint64_t since_ns, size_t max_bytes, mw_trace_set *set);

#endif
