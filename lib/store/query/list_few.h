/* What is left of a list of traces or sessions when its newest stretches did not fill the page:
 * those that may fit, newest first.
 *
 * A sample of the blocks says how rare the rarest condition is. The traces of one that few spans
 * meet are looked for first, by the columns that tell: when they are hardly any they are all there
 * is to join, else candidates are those that they name. Without such a condition candidates are
 * joined in the order of the list, by what they add up to (list_bounds.h), until none behind them
 * can be on the page; when many of them do not fit, those of traces with a span that meets the
 * rarest condition. One thread: the view's; MW_MEM_QUERY.
 */
#ifndef MW_STORE_LIST_FEW_H
#define MW_STORE_LIST_FEW_H

#include "lib/store/query/list_bounds.h"
#include "lib/store/query/span_match.h"

/* Candidates are joined some at a time: at first so few that the columns of their blocks, of which
 * each may have one of its own, are read once (MW_VIEW_SLOTS); later, when many did not fit,
 * twice as many each time. */
#define MW_CANDIDATES_AT_FIRST 8u
#define MW_CANDIDATES_AT_ONCE 4096u

typedef struct mw_list_few {
    mw_store_view *view;
    mw_span_match *match;
    const mw_top *top; /* what the callbacks offer to */
    bool sessions;     /* of sessions; else of traces */
    uint64_t since_ns, to_ns;
    /* Offers what these traces make up; called once, with all of them, or never. */
    mw_err (*take_set)(void *ctx, const mw_trace_set *set);
    /* Offers the candidates that fit, at most MW_CANDIDATES_AT_ONCE; none comes twice. */
    mw_err (*take)(void *ctx, const mw_list_candidate *items, size_t count);
    void *ctx;
} mw_list_few;

/* *done is false when there are too many to be named: the list goes on as it began. Otherwise all
 * that the page can hold between since_ns and to_ns was offered. MW_E_NOMEM, MW_E_IO, MW_E_CORRUPT,
 * MW_E_TIMEOUT, or what a callback returned. */
MW_MUST_USE mw_err mw_list_few_take(const mw_list_few *few, bool *done);

#endif
