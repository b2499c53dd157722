/* Totals of sessions: what the spans and log records that resolve to each add up to, over many
 * traces.
 *
 * Fed with joined traces, and with the log records that have a session of their own, whatever their
 * trace; a fixed set of sessions, found by key. MW_MEM_QUERY.
 */
#ifndef MW_STORE_SESSION_TOTAL_H
#define MW_STORE_SESSION_TOTAL_H

#include "lib/store/query/trace_summary.h"

/* The root-most span that has something, and whose text it is; behind all spans the earliest log
 * record that has it. */
typedef struct mw_session_pick {
    bool found;
    uint32_t depth;
    uint64_t start_ns, span_id;
    uint32_t block, row;
} mw_session_pick;

typedef struct mw_session_total {
    uint64_t key;
    mw_session_summary summary; /* texts empty until fetched */
    uint32_t met;               /* conditions that its spans meet (span_match.h) */
    uint64_t last_trace;        /* serial of the trace that was counted last */
    mw_session_pick id, agent, user;
} mw_session_total;

typedef struct mw_session_totals {
    mw_session_total *items; /* ascending by key */
    size_t count;
    uint64_t trace_serial;
} mw_session_totals;

/* `keys` ascending and distinct. MW_E_NOMEM. */
MW_MUST_USE mw_err mw_session_totals_init(mw_session_totals *totals, const uint64_t *keys,
                                          size_t count);
void mw_session_totals_fini(mw_session_totals *totals);
/* NULL when the key is not of the set. */
mw_session_total *mw_session_totals_find(mw_session_totals *totals, uint64_t key);
/* Adds one trace, joined with its runs of logs; true when one of its spans resolves to one of the
 * sessions. */
bool mw_session_totals_add(mw_session_totals *totals, const mw_join *join);
/* Adds the log records with a session of their own. MW_E_NOMEM, MW_E_IO, MW_E_CORRUPT. */
MW_MUST_USE mw_err mw_session_totals_add_logs(mw_store_view *view, mw_session_totals *totals);
/* Requests id, agent and user of `total` into its own summary. MW_E_NOMEM. */
MW_MUST_USE mw_err mw_session_total_request(mw_session_total *total, mw_text_requests *requests);

#endif
