/* Gathering: the rows of whole traces out of all blocks, joined, one trace after the other.
 *
 * The common part of all questions that need derived values. Memory is bounded by the view's
 * query budget: when the traces do not fit, they are taken in parts by a hash of their id, each
 * part with a pass of its own over the blocks. A part that turns out too large is split.
 * Log records come with the trace whose id they carry; a trace without spans is none. Those with a
 * session of their own belong to it whatever their trace is: mw_each_own_session_log.
 */
#ifndef MW_STORE_GATHER_H
#define MW_STORE_GATHER_H

#include "lib/store/query/span_match.h"
#include "lib/store/query/trace_join.h"
#include "lib/store/segment/block_set.h"
#include "lib/store/store_int.h"

/* Spans of one trace that lists and sessions look at, in order of commit: 20 MiB of rows. Agents'
 * traces have 10 to 10,000; without a bound one hostile trace would make every list fail. */
#define MW_GATHER_TRACE_SPANS_MAX ((uint32_t)1 << 18)
/* The same for runs of its log records (mw_join_log), 8 MiB: what comes behind is counted, but
 * inherits no session. */
#define MW_GATHER_TRACE_LOGS_MAX ((uint32_t)1 << 18)

typedef enum mw_gather_logs {
    MW_GATHER_NO_LOGS,
    MW_GATHER_LOG_COUNT, /* join->log_count */
    MW_GATHER_LOG_RUNS   /* join->log_runs too */
} mw_gather_logs;

typedef struct mw_gather_question {
    const mw_trace_set *wanted; /* NULL = every trace */
    uint32_t trace_spans_max;   /* 0 = only memory bounds it */
    mw_gather_logs logs;
    mw_span_match *match; /* conditions that spans are asked; NULL = none */
    /* Tells what a gathered row's span->met shall be, instead of `match`. May be NULL. */
    mw_err (*row)(void *ctx, const mw_hot *hot, uint32_t row, uint32_t *met);
    /* Told of the own session ids that the gathered spans hold, before the traces that hold them;
     * the same one more than once. May be NULL. */
    mw_err (*session)(void *ctx, uint64_t key, mw_slice session_id);
    /* Each trace once, in no order; the join is valid during the call. The view must not be read
     * meanwhile. An error ends the gathering. NULL: only the sessions are wanted, nothing is
     * joined. */
    mw_err (*trace)(void *ctx, const uint8_t *trace_id, const mw_join *join);
    void *ctx;
} mw_gather_question;

/* MW_E_NOMEM, MW_E_IO, MW_E_CORRUPT, or what a callback returned. */
MW_MUST_USE mw_err mw_gather(mw_store_view *view, const mw_gather_question *question);

/* What puts a row into a stretch of time. */
typedef enum mw_gather_time {
    MW_GATHER_STARTS, /* the start of a span */
    MW_GATHER_LATEST  /* the later of its start and end, the time of a record whose session is
                       * inherited */
} mw_gather_time;

/* The same for the traces with a row in the stretch, both ends included: each of them whole, and
 * perhaps others. question->wanted is ignored. */
MW_MUST_USE mw_err mw_gather_between(mw_store_view *view, const mw_gather_question *question,
                                     mw_gather_time time, uint64_t from_ns, uint64_t to_ns);
/* The same for the traces with a span whose own session is one of the ascending keys. */
MW_MUST_USE mw_err mw_gather_sessions(mw_store_view *view, const mw_gather_question *question,
                                      const uint64_t *keys, size_t count);

/* One of `parts` (a power of two) equal shares of all traces, by a hash of the id. */
typedef struct mw_trace_share {
    uint32_t part, parts;
    size_t max_bytes; /* of the set */
} mw_trace_share;

/* Adds to `set` the traces of the share with a span whose own session is one of the ascending keys.
 * MW_E_LIMIT when the set exceeds share->max_bytes; as above. */
MW_MUST_USE mw_err mw_collect_sessions(mw_store_view *view, const uint64_t *keys, size_t count,
                                       const mw_trace_share *share, mw_trace_set *set);

/* Tells the texts of the sessions of the ascending keys that a span or log record has as its own,
 * each perhaps more than once. As above. */
MW_MUST_USE mw_err mw_each_session_text(mw_store_view *view, const uint64_t *keys, size_t count,
                                        mw_err (*text)(void *ctx, uint64_t key,
                                                       mw_slice session_id),
                                        void *ctx);

/* A log record with a session of its own. */
typedef struct mw_own_session_log {
    uint64_t session; /* mw_text_key */
    mw_slice session_id;
    uint64_t time_ns;
    uint32_t block, row;
    bool has_agent;
} mw_own_session_log;

/* Calls for each such record, blocks in order of commit, but for blocks that end before from_ns or
 * begin behind to_ns and (keys not NULL) those without one of the ascending keys: of the others
 * every record. MW_E_NOMEM, MW_E_IO, MW_E_CORRUPT, or what the callback returned, which ends it. */
MW_MUST_USE mw_err mw_each_own_session_log(mw_store_view *view, uint64_t from_ns, uint64_t to_ns,
                                           const uint64_t *keys, size_t count,
                                           mw_err (*log)(void *ctx, const mw_own_session_log *log),
                                           void *ctx);

#endif
