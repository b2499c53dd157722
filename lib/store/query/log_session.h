/* Which log records belong to a session: those that name it, and those that inherit it.
 *
 * A record without a session of its own has that of its span, else of its trace (trace_join.h).
 * For one wanted session only the traces with a span that carries it matter. They are named first,
 * which is cheap; joined are those whose records come up for a page, for a session may be of any
 * length. In nearly all of them everything belongs to it, so that only the exceptions are kept.
 * Memory is bounded by the view's query budget: when the traces do not fit, the caller takes them
 * share by share.
 */
#ifndef MW_STORE_LOG_SESSION_H
#define MW_STORE_LOG_SESSION_H

#include "lib/store/query/gather.h"

typedef struct mw_log_membership {
    size_t first;   /* of its run in `exceptions` */
    uint32_t count; /* spans that resolve otherwise than the rest */
    bool known;
    bool rest; /* do records of other spans, of unknown ones and of none belong? */
} mw_log_membership;

typedef struct mw_log_members {
    mw_trace_set traces;   /* of the share */
    mw_log_membership *of; /* by the trace's number; MW_MEM_QUERY, as the next */
    uint64_t *exceptions;  /* span ids, a run a trace, ascending */
    size_t count, capacity;
    /* while it is made */
    uint64_t session;
    size_t max_bytes;
} mw_log_members;

/* So many shares are small enough, whatever the budget says. */
#define MW_LOG_SHARES_MAX ((uint32_t)1 << 16)

void mw_log_members_init(mw_log_members *members);
void mw_log_members_fini(mw_log_members *members);
/* Forgets what it held, names the traces. `session` is the text's key, the share is `part` of
 * `parts` (a power of two). MW_E_LIMIT: the share exceeds the budget, more of them are needed.
 * MW_E_NOMEM, MW_E_IO, MW_E_CORRUPT. */
MW_MUST_USE mw_err mw_log_members_find(mw_log_members *members, mw_store_view *view,
                                       uint64_t session, uint32_t part, uint32_t parts);
/* Adds to `needed` the traces of a block of logs that are named but not known yet. MW_E_NOMEM. */
MW_MUST_USE mw_err mw_log_members_need(const mw_log_members *members, const mw_hot *hot,
                                       mw_trace_set *needed);
/* Joins these: from now on they are known. Errors as _find. */
MW_MUST_USE mw_err mw_log_members_learn(mw_log_members *members, mw_store_view *view,
                                        const mw_trace_set *needed);
/* Does a record with these ids (span id 0 = none) and no session of its own belong? The trace, if
 * it is named, is known. */
bool mw_log_members_has(const mw_log_members *members, const uint8_t *trace_id, uint64_t span_id);

#endif
