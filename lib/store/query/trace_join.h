/* The join of one trace: from its span rows, in any order, to what is derived from all of them.
 *
 * Pure: rows in, numbers and indices out; no text, no files. A session is a 64-bit key here, and
 * who needs its text follows the owning span's source (block, row). The input may hold repeats,
 * spans whose parent never came, and cycles: every step is a loop over arrays, and the whole is
 * O(n log n) for the two sorts.
 *
 * Rules (DESIGN 4.3, facts semconv 6.4 and 6.8):
 *   repeats     of one span id: the lowest commit sequence wins, then the earlier row
 *   depth       a span without parent has 0; one whose parent is not there has 1, for it has at
 *               least one ancestor; so has the earliest span of a cycle, where the cycle is cut
 *   root-most   lowest depth, then earliest start, then lowest span id
 *   session     own, else of the nearest ancestor that has one, else of the root-most span that
 *               has one; a log record's: own, else its span's, else as the last rule
 *   agent       own, else of the nearest ancestor of kind agent that names one
 *   tokens      of leaf model spans: kind model, no descendant of kind model. Where a model above
 *               speaks of the same call and says no less of either count, its counts, which become
 *               the leaf's. A trace without any leaf counts its outermost agent span that reports
 *               tokens
 */
#ifndef MW_STORE_TRACE_JOIN_H
#define MW_STORE_TRACE_JOIN_H

#include "lib/store/store.h"

#define MW_JOIN_NONE UINT32_MAX

typedef struct mw_join_span {
    uint64_t span_id, parent_id; /* 0 = no parent */
    uint64_t start_ns, end_ns;
    uint64_t seq;
    int64_t input_tokens, output_tokens; /* negative = unknown */
    uint64_t session;                    /* mw_text_key of its own session id, 0 = none */
    uint32_t block, row;                 /* where its text and item are */
    uint32_t next;                       /* the gathering's own */
    uint8_t operation_kind, status;
    bool has_agent, has_user;
    uint32_t met; /* conditions of the question that it meets (span_match.h); 0 without any */
} mw_join_span;

/* Log records of a trace that name the same span (0 = none) and no session of their own: their
 * session is what the span's is, so that nothing else of them is needed. */
typedef struct mw_join_log {
    uint64_t span_id;
    uint64_t first_ns, last_ns;
    uint32_t count;
    uint32_t next; /* the gathering's own */
} mw_join_log;

/* Result and workspace; reused from trace to trace. Valid until the next run. */
typedef struct mw_join {
    mw_join_span **spans; /* the caller's array: distinct, by span id */
    size_t count;
    uint32_t root;    /* the root-most */
    uint32_t *parent; /* index, MW_JOIN_NONE for roots, orphans, where a cycle is cut */
    uint32_t *depth;
    uint32_t *session_owner; /* whose own session the span resolves to; MW_JOIN_NONE */
    uint32_t *agent_owner;   /* whose own agent */
    uint32_t *sessions;      /* one owner for each distinct session, root-most first */
    size_t session_count;
    uint64_t start_ns, end_ns; /* of all spans; the end never before the start */
    uint64_t errors, model_calls, tool_calls;
    uint32_t met; /* by any of its spans */
    int64_t input_tokens, output_tokens;
    /* Of the gathering, when it was asked for them; mw_join_run sets them to none. */
    uint64_t log_count;          /* log records that carry the trace's id */
    const mw_join_log *log_runs; /* those whose session is inherited; one span may have several */
    size_t log_run_count;
    /* workspace */
    uint32_t *order, *first_child, *next_sibling, *inherited;
    uint8_t *marks;
    uint32_t *memory;
    size_t capacity;
} mw_join;

void mw_join_init(mw_join *join);
void mw_join_fini(mw_join *join);
/* Sorts and shortens `spans` (at least one, all of one trace), and gives leaf models the tokens of
 * their call; a second run changes nothing more. MW_E_NOMEM, MW_E_LIMIT (2^32). */
MW_MUST_USE mw_err mw_join_run(mw_join *join, mw_join_span **spans, size_t count);
/* The span whose own session a log record with this span id (0 = none) resolves to: its span's,
 * else the trace's root-most. MW_JOIN_NONE when the trace has no session. */
uint32_t mw_join_log_owner(const mw_join *join, uint64_t span_id);
/* Is this span a call of a model (a tool) of its own? Two instrumentations, or the two ends, often
 * speak of one call, one span below the other: the innermost of models counts, which has the
 * tokens, and the outermost of tools, which the agent asked for. */
bool mw_join_is_model_call(const mw_join *join, size_t at);
bool mw_join_is_tool_call(const mw_join *join, size_t at);
/* Do this span's tokens belong to the totals? */
bool mw_join_counts_tokens(const mw_join *join, size_t at);
/* Is span a nearer the root than b? */
bool mw_join_before(const mw_join *join, uint32_t a, uint32_t b);
/* *total += tokens, unknown ignored; stays at the maximum instead of wrapping. */
void mw_tokens_add(int64_t *total, int64_t tokens);

#endif
