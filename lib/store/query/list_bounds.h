/* Which traces or sessions may last as long, or use as many tokens, as is asked: by sums, without a
 * join.
 *
 * A trace lasts no longer than from its first start to its latest end, and uses no more tokens than
 * its agents and calls of models together, copies included; a session no longer, and no more, than
 * all the traces that name it. A trace that lies in one merged segment, whole, has no copies: it
 * lasts just as long, and so at least does a session that is the only one it names. The sums are
 * made of the pieces that segments keep (trace_pieces.h).
 *
 * Candidates come newest first, so that a page is full long before all of them are joined. One
 * thread: the view's; MW_MEM_QUERY.
 */
#ifndef MW_STORE_LIST_BOUNDS_H
#define MW_STORE_LIST_BOUNDS_H

#include "lib/store/format/trace_set.h"
#include "lib/store/query/page.h"

/* Is a duration or a number of tokens asked for? */
bool mw_list_bounds_asked(const mw_list_filter *filter);

typedef struct mw_list_candidate {
    uint64_t newest_ns; /* its place in the list is not before this time */
    uint64_t session;   /* mw_text_key; 0 of a trace */
    mw_trace_id trace;
} mw_list_candidate;

typedef struct mw_list_candidates {
    mw_list_candidate *items; /* the newest first */
    size_t count, capacity;
} mw_list_candidates;

typedef struct mw_list_question {
    mw_store_view *view;
    const mw_list_filter *filter; /* of which bounds are looked at */
    const mw_trace_set *only;     /* these traces, sessions that they name; NULL = all */
    uint64_t since_ns, to_ns;     /* on the time by which the list is ordered, both included */
    bool sessions;                /* of sessions; else of traces */
} mw_list_question;

/* MW_E_LIMIT: they, or what they are found with, exceed the view's budget; MW_E_NOMEM, MW_E_IO,
 * MW_E_CORRUPT, MW_E_TIMEOUT. To be freed in any case. */
MW_MUST_USE mw_err mw_list_bounds_find(const mw_list_question *question, mw_list_candidates *out);
void mw_list_candidates_fini(mw_list_candidates *candidates); /* zeroes are fine */
/* Negative when a stands before b; 0 for the same one alone. */
int mw_list_candidate_compare(const mw_list_candidate *a, const mw_list_candidate *b);

#endif
