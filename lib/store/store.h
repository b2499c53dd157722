/* lib/store: telemetry. This header is the room's only door: batches in, typed questions out.
 *
 * The segment is the log (DESIGN 5): a batch becomes one self-describing, checksummed, compressed
 * block; the writer thread appends the blocks of many requests, syncs once, publishes them to the
 * in-memory index and then completes them. No query sees an unsynced block. Questions are asked of
 * a view, a consistent snapshot that names the commit sequence it saw.
 * Nothing of SQL, of HTTP or of JSON in here: it must fit other engines later.
 */
#ifndef MW_STORE_STORE_H
#define MW_STORE_STORE_H

#include "lib/base/arena.h"
#include "lib/base/clock.h"
#include "lib/base/id.h"
#include "lib/store/stats.h"

typedef struct mw_store mw_store;

/* ---- life ---------------------------------------------------------------------------------- */

/* Space on the disk that is kept by others, and given up when merging needs it to begin: it frees
 * more than that, and `release` is told. */
typedef struct mw_store_reserve {
    uint64_t bytes;             /* 0 = there is none */
    bool (*release)(void *ctx); /* the keeper's thread: true when there was something to give */
    void *ctx;
} mw_store_reserve;

typedef struct mw_store_config {
    const char *directory; /* created with mode 0700 when absent */
    const mw_clock *clock;
    size_t queue_budget_bytes; /* encoded blocks waiting for the writer */
    size_t segment_max_bytes;  /* a segment of the log is left at this size */
    int64_t merge_after_ns;    /* or when its first commit is this old; 0 = MW_STORE_MERGE_AFTER */
    bool merge;                /* in the background; else the log only grows (tests) */
    int64_t retention_age_ns;  /* 0 = for ever */
    uint64_t retention_bytes;  /* of all segments, once merged; 0 = as the disk allows */
    mw_store_reserve reserve;
} mw_store_config;

/* Defaults for the two sizes: a queue that holds one maximal request beside small ones, and a
 * segment small enough that reading it again takes well under a second. */
#define MW_STORE_QUEUE_DEFAULT ((size_t)96 << 20)
#define MW_STORE_SEGMENT_DEFAULT ((size_t)64 << 20)
#define MW_STORE_MERGE_AFTER (300 * MW_NS_PER_S)

/* Recovers (reads what the segments hold, drops a torn tail, sets aside files that are no segments
 * of this store) and starts the writer thread. MW_E_IO, MW_E_NO_SPACE, MW_E_UNSUPPORTED (a
 * segment of another version of the format), MW_E_NOMEM, MW_E_CONFLICT (another process has the
 * directory open); detail names the file. Blocking; call before the ports open. */
MW_MUST_USE mw_err mw_store_open(const mw_store_config *config, mw_store **out, mw_detail *detail);
/* Finishes what was appended, joins the writer, frees. Views must be closed. */
void mw_store_close(mw_store *store);

/* Brings the store to rest: leaves the current segment of the log and merges all there is. For
 * tests, benchmarks and tools; blocks until done. MW_E_TIMEOUT after `timeout_ns`, MW_E_IO,
 * MW_E_NO_SPACE, MW_E_NOMEM. */
MW_MUST_USE mw_err mw_store_merge_all(mw_store *store, int64_t timeout_ns);

/* Verification of every block of a directory (`midwatch check`), also beside a daemon: calls
 * `report` for each damaged block or segment, for each segment of another version, and with notes.
 * What counts at the end of the log is what is known to have been durable, by its blocks or by the
 * catalogue; what lies behind is a write under way or one that a crash cut off. MW_OK when all is
 * whole, MW_E_CORRUPT when damage was reported, MW_E_IO, MW_E_NOMEM, MW_E_NOT_FOUND (no such
 * directory). `report` and `out` may be NULL. */
typedef struct mw_store_damage {
    const char *file;
    uint64_t offset;
    const char *what; /* what is lost, in words */
    bool note;        /* worth knowing, and no damage: nothing is lost by it */
} mw_store_damage;
typedef struct mw_store_verified {
    uint64_t blocks, spans, logs, points; /* whole ones */
} mw_store_verified;
MW_MUST_USE mw_err mw_store_verify(const char *directory,
                                   void (*report)(void *ctx, const mw_store_damage *damage),
                                   void *ctx, mw_store_verified *out);
/* Does the catalogue know of segments that are not there, or not as long as they were, now or at an
 * earlier start? Files that vanished show nowhere else. MW_OK, MW_E_CORRUPT when damage was
 * reported, MW_E_NOT_FOUND (no catalogue, of which it reports a note if there are segments),
 * MW_E_IO, MW_E_NOMEM. */
MW_MUST_USE mw_err mw_store_verify_catalogue(
    const char *directory, void (*report)(void *ctx, const mw_store_damage *damage), void *ctx);
/* Makes again what is derived: the catalogue, and footers that are damaged; removes segments that
 * another one replaced. Takes the directory's lock: MW_E_CONFLICT while a daemon has it. Reports
 * what it did with `report` (NULL: not): a file, and what became of it. MW_OK, MW_E_IO,
 * MW_E_NO_SPACE, MW_E_NOMEM, MW_E_NOT_FOUND (no such directory). A kill leaves a directory that a
 * start takes, and that can be rebuilt again. */
MW_MUST_USE mw_err mw_store_rebuild(const char *directory,
                                    void (*report)(void *ctx, const mw_store_damage *done),
                                    void *ctx, mw_detail *detail);

/* ---- batches in ---------------------------------------------------------------------------- */

/* What a batch, and so a block, holds. Stored as a byte and part of the digest: only ever
 * append. */
typedef enum mw_signal {
    MW_SIGNAL_TRACES = 1,
    MW_SIGNAL_METRICS = 2,
    MW_SIGNAL_LOGS = 3,
    MW_SIGNAL_END
} mw_signal;
/* "traces", "metrics", "logs": as OTLP's paths and our counters name them. */
const char *mw_signal_name(mw_signal signal);

/* facts/semconv.md 6.6, named as DESIGN 4.3 shows them. Stored as a byte: only ever append. */
typedef enum mw_operation_kind {
    MW_OP_OTHER,
    MW_OP_AGENT,
    MW_OP_WORKFLOW,
    MW_OP_MODEL,
    MW_OP_EMBEDDING,
    MW_OP_TOOL,
    MW_OP_RETRIEVAL,
    MW_OP_MEMORY,
    MW_OP_GUARDRAIL,
    MW_OP_EVAL,
    MW_OP_HTTP,
    MW_OP_RPC,
    MW_OP_DB,
    MW_OP_MESSAGING,
    MW_OP_COUNT
} mw_operation_kind;
/* "agent", "model", ... */
const char *mw_operation_kind_name(mw_operation_kind kind);

#define MW_TOKENS_UNKNOWN (-1)

enum {
    MW_ITEM_BAD_UTF8 = 1,  /* kept as sent, shown with U+FFFD; the same bit for all signals */
    MW_SPAN_EXCEPTION = 2, /* has an event named "exception" */
    MW_POINT_INT = 2,      /* gauge, sum: sent as_int; else as_double */
    MW_POINT_MONOTONIC = 4,
    MW_POINT_NO_VALUE = 8 /* DataPointFlags NO_RECORDED_VALUE: the series went away */
};

/* Hot columns of one span: what triage and lists ask first. Also the form in which questions
 * return spans; then the slices live in the arena of the question. The same holds for the rows of
 * the other signals. */
typedef struct mw_span_row {
    uint8_t trace_id[MW_TRACE_ID_SIZE];
    uint8_t span_id[MW_SPAN_ID_SIZE];
    uint8_t parent_span_id[MW_SPAN_ID_SIZE]; /* zero = root */
    uint64_t start_ns, end_ns;               /* event time as sent */
    uint8_t kind;                            /* SpanKind, 255 for numbers beyond */
    uint8_t status;                          /* 0 UNSET, 1 OK, 2 ERROR, 255 beyond */
    uint8_t operation_kind;                  /* mw_operation_kind */
    uint8_t flags;                           /* MW_ITEM_*, MW_SPAN_* */
    int64_t input_tokens, output_tokens;     /* MW_TOKENS_UNKNOWN */
    mw_slice name, service, peer_service, session_id, agent, user, model; /* empty = unknown */
    mw_slice status_message;
    mw_slice origin; /* see mw_origin_member */
} mw_span_row;

typedef struct mw_log_row {
    uint8_t trace_id[MW_TRACE_ID_SIZE]; /* zero = not associated */
    uint8_t span_id[MW_SPAN_ID_SIZE];
    uint64_t time_ns; /* event time: time_unix_nano, else observed, else receipt */
    uint8_t severity; /* SeverityNumber, 0 = not given, 255 for numbers beyond 24 */
    uint8_t flags;    /* MW_ITEM_* */
    mw_slice service, session_id, agent, event_name; /* empty = unknown */
    mw_slice origin;
} mw_log_row;

typedef struct mw_point_row {
    /* Identity of the series: a hash, keyed with the store's secret, of resource, scope, name,
     * unit, kind, temporality, monotonic and the attributes in any order. A point is (series,
     * time, start). Never 0. */
    uint64_t series;
    uint64_t time_ns;    /* never 0 */
    uint64_t start_ns;   /* 0 = unknown */
    double value;        /* gauge, sum: the value; histograms and summary: the sum, NaN without */
    uint64_t count;      /* histograms, summary; 0 otherwise */
    uint8_t kind;        /* mw_metric_kind (proto/scan.h) */
    uint8_t temporality; /* 0 none, 1 delta, 2 cumulative, 255 beyond */
    uint8_t flags;       /* MW_ITEM_*, MW_POINT_* */
    mw_slice name, unit, service, session_id; /* empty = unknown */
    mw_slice origin;
} mw_point_row;

/* `origin`: the AWS request headers that came with the export, one "name=value" a line in this
 * order, absent ones left out; empty when there was none. */
typedef enum mw_origin {
    MW_ORIGIN_LOG_GROUP,        /* x-aws-log-group */
    MW_ORIGIN_LOG_STREAM,       /* x-aws-log-stream */
    MW_ORIGIN_METRIC_NAMESPACE, /* x-aws-metric-namespace */
    MW_ORIGIN_COUNT
} mw_origin;
/* The header's name. */
const char *mw_origin_name(mw_origin member);
/* Its value in `origin`; empty when absent. A slice of `origin`. */
mw_slice mw_origin_member(mw_slice origin, mw_origin member);

/* What comes with a row: the item itself, and where it stood. */
typedef struct mw_store_item {
    mw_slice bytes;    /* the OTLP Span, LogRecord or data point message as received */
    uint32_t resource; /* index in the batch's tables */
    uint32_t scope;
    uint32_t metric; /* METRICS: index in batch.metrics; else 0 */
} mw_store_item;

/* `oversized`, here and below: in answers, the length of what was left out because it is longer
 * than mw_store_shown_max(); 0 when nothing was. */
typedef struct mw_store_context {
    mw_slice bytes; /* OTLP Resource or InstrumentationScope message; may be empty */
    mw_slice schema_url;
    uint32_t oversized;
} mw_store_context;

typedef struct mw_store_batch {
    uint8_t digest[16]; /* DESIGN 4.6; zero = not computed */
    mw_signal signal;
    const mw_store_context *resources;
    size_t resource_count;
    const mw_store_context *scopes;
    size_t scope_count;
    const mw_slice *metrics; /* METRICS: heads, as mw_metric_write_head makes them */
    size_t metric_count;
    const mw_store_item *items;
    union { /* item_count rows of the signal, rows[i] with items[i] */
        const mw_span_row *spans;
        const mw_point_row *points;
        const mw_log_row *logs;
    } rows;
    size_t item_count;
} mw_store_batch;

/* The secret under which the sender's requests are hashed into mw_store_batch.digest, so that
 * nobody can make two requests that look like one. Made with the store, kept in its directory;
 * lives as long as the store. */
#define MW_DIGEST_KEY_SIZE 192
const uint8_t *mw_store_digest_key(const mw_store *store);

/* Called once, on the writer's thread, after the sync that covers the batch (MW_OK, with its
 * commit sequence; 0 for a repeat of a request acknowledged within the retry window, DESIGN 4.6:
 * it is durable, and nothing more was stored) or after the failure (MW_E_IO, MW_E_NO_SPACE,
 * MW_E_NOMEM, MW_E_BUSY: retryable). Must not block. */
typedef void (*mw_store_done)(void *ctx, mw_err err, uint64_t commit_seq);

/* How full the writer's queue is, in percent of its budget: at 100 an append is refused with
 * MW_E_BUSY. Any thread, cheap. */
unsigned mw_store_backlog(mw_store *store);
/* Encodes and compresses on the caller's thread (any), then queues; nothing of the batch is
 * needed after the return. An empty batch is a bug. MW_E_BUSY (queue budget; what is
 * free on a full disk is a merge's, which frees more), MW_E_NOMEM, MW_E_LIMIT (a block over 256 MiB
 * unpacked), MW_E_NO_SPACE or MW_E_IO (the disk refused less than a second ago), MW_E_CLOSED:
 * `done` is not called then. `done` may be NULL. */
MW_MUST_USE mw_err mw_store_append(mw_store *store, const mw_store_batch *batch, mw_store_done done,
                                   void *ctx);

/* Called on the writer's thread when a group of commits has been published and answered: a view
 * opened from now on sees them. `commit_seq` is the newest, `signals` has the bit 1 << mw_signal
 * of each signal that the group held. Must not block. */
typedef void (*mw_store_listener)(void *ctx, uint64_t commit_seq, unsigned signals);
#define MW_STORE_LISTENERS_MAX 4
/* Before the first append; `ctx` outlives the store. There is room for MW_STORE_LISTENERS_MAX. */
void mw_store_listen(mw_store *store, mw_store_listener listener, void *ctx);

/* ---- questions ----------------------------------------------------------------------------- */

/* A consistent snapshot; cheap (a reference). Any thread; one view is used by one thread. Open it,
 * ask, close it: it pins the segments. */
typedef struct mw_store_view mw_store_view;
MW_MUST_USE mw_err mw_store_view_open(mw_store *store, mw_store_view **out); /* MW_E_NOMEM */
void mw_store_view_close(mw_store_view *view);
/* Questions of the view end with MW_E_TIMEOUT once `stop` returns true; it is asked before each
 * block that is read, on the asking thread. */
void mw_store_view_stop(mw_store_view *view, bool (*stop)(void *ctx), void *ctx);
/* From here on the view leaves out the blocks that are known to be damaged, as if they were not
 * stored. True when more are known than at the call before: a question that ended with
 * MW_E_CORRUPT or MW_E_IO is worth asking again, from its beginning. Not while a question runs. */
bool mw_store_view_tolerate(mw_store_view *view);
/* How many blocks it leaves out, of all signals. */
size_t mw_store_view_left_out(const mw_store_view *view);
/* The newest commit sequence the view sees; 0 when empty. */
uint64_t mw_store_view_seq(const mw_store_view *view);

/* Lists: newest first; since inclusive, until exclusive, on the field named at the question;
 * 0 = unbounded. `cursor` is next_cursor of the page before, empty for the first. */
typedef struct mw_store_page {
    uint64_t since_ns, until_ns;
    size_t limit; /* 1 to 1000 */
    mw_slice cursor;
} mw_store_page;

/* A single item may be as long as the largest request, and then no answer holds it, nor the memory
 * that questions have: a list would end there for good. So an item, resource, scope or metric head
 * that is longer than this is left out of answers, which say so (`oversized`); its columns are
 * there. At most 4 MiB: a sixteenth of the API's largest answer, of which JSON may need six times
 * as many bytes. Less where the memory limit is small. Any thread. */
#define MW_STORE_SHOWN_MAX ((size_t)4 << 20)
size_t mw_store_shown_max(void);
/* From here on answers of the view leave nothing out for its length, or they do again: for who asks
 * for one item by itself, and takes MW_E_NOMEM for an answer. */
void mw_store_view_whole(mw_store_view *view, bool whole);

/* trace id from a hex prefix of 6 to 32 digits. MW_E_SYNTAX, MW_E_NOT_FOUND, MW_E_AMBIGUOUS,
 * MW_E_IO, MW_E_CORRUPT. Cost: a binary search in each block of the log, a page of the directory in
 * each merged segment, and the columns of the blocks found. */
MW_MUST_USE mw_err mw_store_trace_find(mw_store_view *view, mw_slice hex_prefix,
                                       uint8_t trace_id[MW_TRACE_ID_SIZE]);

/* Where a view has an item; good for that view alone. */
typedef struct mw_item_place {
    uint32_t block, row;
} mw_item_place;

typedef struct mw_trace_span {
    mw_span_row row; /* row.session_id and row.agent: resolved by inheritance (DESIGN 4.3) */
    mw_slice own_session_id; /* as its own attributes say */
    mw_slice bytes;          /* OTLP Span */
    uint32_t oversized;
    uint32_t index; /* in its commit, in the order in which it was sent */
    mw_store_context resource, scope;
    uint64_t commit_seq;
    mw_item_place place;
    /* Of a trace's spans alone: what it adds to the totals, which may be what another span
     * says of the same call (MW_TOKENS_UNKNOWN = nothing); it is a call of a model or tool of its
     * own, not one that another span speaks of too. */
    int64_t counted_input, counted_output;
    bool model_call, tool_call;
    mw_slice tool; /* what a span of kind tool calls, once mw_store_trace_tools has filled it */
} mw_trace_span;

/* Derived, recomputed at each question. */
typedef struct mw_trace_summary {
    uint8_t trace_id[MW_TRACE_ID_SIZE];
    mw_slice root_name, service; /* of the root-most span */
    mw_slice *session_ids;       /* distinct, root-most first */
    size_t session_count;
    uint64_t start_ns, end_ns;
    uint64_t spans, errors, model_calls, tool_calls;
    uint64_t logs;                       /* log records that carry the trace's id */
    int64_t input_tokens, output_tokens; /* leaf model spans; 0 when none */
} mw_trace_summary;

typedef struct mw_trace {
    mw_trace_summary summary;
    mw_trace_span *spans; /* by start, then span id; repeats removed (first acknowledged wins) */
    size_t span_count;
} mw_trace;

/* MW_E_NOT_FOUND (log records alone make no trace), MW_E_NOMEM, MW_E_IO, MW_E_CORRUPT. Cost: the
 * blocks that hold the trace, its log records' among them. */
MW_MUST_USE mw_err mw_store_trace_read(mw_store_view *view,
                                       const uint8_t trace_id[MW_TRACE_ID_SIZE], mw_arena *arena,
                                       mw_trace *out);

/* The same without the items: bytes, resource and scope of the spans are empty. Cost: the columns
 * of those blocks; a hundred thousand spans take some 50 MiB and a tenth of a second. */
MW_MUST_USE mw_err mw_store_trace_outline(mw_store_view *view,
                                          const uint8_t trace_id[MW_TRACE_ID_SIZE], mw_arena *arena,
                                          mw_trace *out);
/* Names the tools of an outline of this view: by what the attributes of spans of kind tool say,
 * else by their names. Of a trace with many whose names alone say nothing of a tool, the
 * attributes of the first 4,096 are read. Cost: the items of the blocks that hold those.
 * MW_E_NOMEM, MW_E_IO, MW_E_CORRUPT. */
MW_MUST_USE mw_err mw_store_trace_tools(mw_store_view *view, mw_trace *outline, mw_arena *arena);
/* The items of some spans of an outline of this view, none named twice: fills what the outline
 * leaves empty. Cost: the items of the blocks that hold them. MW_E_NOMEM, MW_E_IO, MW_E_CORRUPT. */
MW_MUST_USE mw_err mw_store_trace_items(mw_store_view *view, mw_trace_span *const *spans,
                                        size_t count, mw_arena *arena);

/* Attributes that an item, its scope or its resource must have, all of them: a key and its value as
 * text. A string is its own text; an integer, a double or a bool fits when it is written as the API
 * shows it ("5", "5.0", "true"); arrays, lists and bytes equal nothing. Of equal keys in one
 * message the last counts. What is oversized is not searched. */
typedef struct mw_attribute_query {
    mw_slice key, value;
} mw_attribute_query;
#define MW_ATTRIBUTE_QUERIES_MAX 8

/* What a trace or a session of a list must have. Empty and zero fields match all. What is asked of
 * spans is met by some span each (of a session: one that resolves to it), not all by the same one;
 * texts are those of the span itself and compared whole, but for `text`. */
typedef struct mw_list_filter {
    mw_slice service, agent, user, model;
    /* Of a span of kind tool: its name is X, "execute_tool X", "tools/call X" or "X.tool", or an
     * attribute that names the tool (lib/store/format/tool_name.h) says X. */
    mw_slice tool;
    mw_slice text;                        /* in the name of a span, ASCII case ignored */
    bool errors_only;                     /* some span failed */
    const mw_attribute_query *attributes; /* of a span, its resource or its scope */
    size_t attribute_count;
    uint64_t duration_min_ns, duration_max_ns; /* of the whole; max 0 = unbounded */
    uint64_t tokens_min;                       /* of the whole, input and output */
} mw_list_filter;

typedef struct mw_trace_list {
    mw_trace_summary *items;
    size_t count;
    mw_slice next_cursor; /* empty at the end */
} mw_trace_list;

/* By start. Memory is bounded however much is stored. Cost: wherever the page begins, the columns
 * of the blocks that hold its traces, of some more around them, and a pass over the directory of
 * each merged segment; of all blocks behind the page's beginning, once, when it never is full. Of
 * one trace the first 262,144 spans in the order of the blocks are looked at (lists, sessions, and
 * whose session a log record inherits; trace_read takes all).
 * MW_E_SYNTAX (cursor), MW_E_NOMEM, MW_E_IO, MW_E_CORRUPT. */
MW_MUST_USE mw_err mw_store_trace_list(mw_store_view *view, const mw_store_page *page,
                                       mw_arena *arena, mw_trace_list *out);
/* Those that fit the filter. Cost: as above for the first and newest stretches of blocks. When the
 * page is not full then and hardly any span meets one of the conditions, the rarest that the index
 * tells: the blocks of the traces of those spans, which are found in the columns of all blocks that
 * may have one (errors and services by the index; attributes, agents, users, models, tools and
 * texts of three bytes and more by the filters of merged blocks; of blocks of the log all
 * columns, and for attributes and tools the items). Else the sums over all traces, which merged
 * segments keep once they were asked for (lib/store/segment/trace_pieces.h; without room for
 * that the columns of all blocks, some times), and the blocks of those that may fit, newest
 * first, until the page is full; when many of these do not fit, of those that meet the condition
 * alone. */
MW_MUST_USE mw_err mw_store_trace_list_where(mw_store_view *view, const mw_store_page *page,
                                             const mw_list_filter *filter, mw_arena *arena,
                                             mw_trace_list *out);

/* What resolves to the session: spans, and log records with its id of their own or by inheritance
 * (as in mw_log_query). Either kind alone makes a session; data points make none. */
typedef struct mw_session_summary {
    mw_slice session_id;
    mw_slice agent; /* of the root-most span that has one, else of the earliest such log record */
    mw_slice user;
    uint64_t first_seen_ns, last_seen_ns; /* of spans and log records */
    uint64_t traces, spans, logs, errors, model_calls, tool_calls;
    int64_t input_tokens, output_tokens;
} mw_session_summary;

typedef struct mw_session_list {
    mw_session_summary *items;
    size_t count;
    mw_slice next_cursor;
} mw_session_list;

/* By last_seen. Cost as trace_list, the blocks of log records counted like those of spans: the
 * columns of a stretch of time, then those of all blocks with traces and log records of the
 * sessions that the stretch names, as long as these sessions may be. A page that never is full ends
 * when all sessions that the directories name are known; else it costs all blocks behind its
 * beginning. Of one trace at least the first 262,144 log records without a session of their own are
 * looked at. */
MW_MUST_USE mw_err mw_store_session_list(mw_store_view *view, const mw_store_page *page,
                                         mw_arena *arena, mw_session_list *out);
/* Those that fit the filter: log records meet none of its conditions. Cost as trace_list_where, of
 * sessions in place of traces. */
MW_MUST_USE mw_err mw_store_session_list_where(mw_store_view *view, const mw_store_page *page,
                                               const mw_list_filter *filter, mw_arena *arena,
                                               mw_session_list *out);

/* Those that may have changed behind commit `after`: the sessions of the traces that a span or log
 * record behind it belongs to, and those that it names; of the page since_ns and limit count.
 * *behind: more came since than is looked at one by one, or some of it is merged already;
 * nothing is listed then. Cost: the columns of at most 65,536 rows that came since, then the
 * blocks of all traces of those sessions. Errors as session_list. */
MW_MUST_USE mw_err mw_store_session_changes(mw_store_view *view, uint64_t after,
                                            const mw_store_page *page, const mw_list_filter *filter,
                                            mw_arena *arena, mw_session_list *out, bool *behind);

typedef struct mw_session {
    mw_session_summary summary;
    mw_trace_summary *traces; /* newest first */
    size_t trace_count;
} mw_session;

/* Exact id, else a unique prefix of 6 or more bytes (of ids of up to 4096 bytes). A session that
 * only log records name has no traces. Cost: the blocks that hold its id, and those of its traces.
 * MW_E_NOT_FOUND, MW_E_AMBIGUOUS, MW_E_NOMEM, MW_E_IO, MW_E_CORRUPT. */
MW_MUST_USE mw_err mw_store_session_read(mw_store_view *view, mw_slice session_id, mw_arena *arena,
                                         mw_session *out);

/* What agents did: spans resolve to their own agent, else to that of their nearest ancestor of kind
 * agent (DESIGN 4.3). */
#define MW_AGENT_SERVICES_MAX 8
typedef struct mw_agent_summary {
    mw_slice name;
    mw_slice services[MW_AGENT_SERVICES_MAX]; /* of the spans that name it; the first so many */
    size_t service_count;
    uint64_t sessions, traces, spans, errors, model_calls, tool_calls;
    uint64_t own_spans, own_errors; /* of these, those that name it themselves (mw_span_filter) */
    int64_t input_tokens, output_tokens; /* leaf model spans */
    uint64_t first_seen_ns, last_seen_ns;
} mw_agent_summary;

typedef struct mw_agent_query {
    mw_slice name;               /* empty = all */
    uint64_t since_ns, until_ns; /* on the start of spans; until 0 = unbounded */
} mw_agent_query;

typedef struct mw_agent_list {
    mw_agent_summary *items; /* newest first, by last_seen, then name */
    size_t count;            /* 1000 at most */
    uint64_t left_out;       /* spans of agents beyond */
    bool sessions_known;     /* false: too many to be told apart, and not all are counted */
} mw_agent_list;

/* Cost: the columns of the blocks with spans of the window, and of those that hold their traces,
 * joined: about half a microsecond a span. Of one trace the first 262,144 spans. MW_E_NOMEM,
 * MW_E_IO, MW_E_CORRUPT, MW_E_TIMEOUT. */
MW_MUST_USE mw_err mw_store_agent_list(mw_store_view *view, const mw_agent_query *query,
                                       mw_arena *arena, mw_agent_list *out);

/* Spans by their hot columns; empty fields match all. Bounds are on the start time. */
typedef struct mw_span_query {
    mw_slice service;
    bool errors_only;
    uint64_t since_ns, until_ns;
    size_t limit; /* newest first */
} mw_span_query;

typedef struct mw_span_list {
    mw_span_row *items;
    size_t count;
    uint64_t
        matched; /* all that match, also beyond the limit; repeats counted once when within it */
} mw_span_list;

MW_MUST_USE mw_err mw_store_span_search(mw_store_view *view, const mw_span_query *query,
                                        mw_arena *arena, mw_span_list *out);

/* Spans by what they carry, newest first, in pages; bounds of the page are on the start. Copies of
 * one span that start at the same time are listed once; one that starts at another time stands for
 * itself until merging removes it. Cost: of merged blocks those whose filter may have the
 * attributes, of the log all within the bounds, columns first, items last, until the page is full
 * and every other block is older. The index passes over blocks by time, service, session and having
 * errors, filters over merged ones by agent, user, model and tool; a name or a duration that hardly
 * any span has costs the columns of all. */
typedef struct mw_span_filter {
    mw_slice service, session_id, name, agent, user, model; /* own; empty = any */
    mw_slice tool;                                          /* as in mw_list_filter */
    bool errors_only;
    uint64_t duration_min_ns, duration_max_ns; /* max 0 = unbounded */
    const mw_attribute_query *attributes;
    size_t attribute_count;
} mw_span_filter;

typedef struct mw_span_page {
    mw_trace_span *items; /* row.session_id, row.agent: own */
    size_t count;
    mw_slice next_cursor;
} mw_span_page;

/* MW_E_SYNTAX (cursor), MW_E_NOMEM, MW_E_IO, MW_E_CORRUPT. */
MW_MUST_USE mw_err mw_store_span_list(mw_store_view *view, const mw_store_page *page,
                                      const mw_span_filter *filter, mw_arena *arena,
                                      mw_span_page *out);

/* ---- roll-ups ------------------------------------------------------------------------------- */

/* Latency of many spans, from a histogram of MW_LATENCY_BUCKETS (lib/store/rollup/rollup.h): a
 * quantile is the middle of the bucket in which that span lies (the ceil(q * count)-th shortest),
 * and so within 9.1 % of its duration; below 1 us it is 500 ns, beyond 2^32 us just that. */
typedef struct mw_red {
    uint64_t count, errors;
    uint64_t mean_ns, p50_ns, p90_ns, p99_ns; /* 0 when count is 0 */
} mw_red;

/* Rate, errors and duration of a service's operations, by minutes of event time. */
typedef struct mw_red_row {
    mw_slice service;   /* empty = unknown */
    mw_slice operation; /* empty: all of the service; spans without a name are "(unnamed)" */
    mw_red red;         /* all spans */
    mw_red entry;       /* those through which work enters: SERVER, CONSUMER, without a parent */
    mw_red *minutes;    /* red, one a minute of the window when asked for; else NULL */
} mw_red_row;

/* Asked now and then, on the asking thread, whether a question is to end with MW_E_TIMEOUT. */
typedef struct mw_store_stop {
    bool (*ask)(void *ctx); /* NULL = never */
    void *ctx;
} mw_store_stop;

typedef struct mw_red_query {
    uint64_t since_ns, until_ns; /* widened to whole minutes; until 0 = to the end of this one */
    mw_store_stop stop;
    mw_slice service;  /* empty = all */
    bool by_operation; /* a row each, behind that of the service */
    bool by_minute;
} mw_red_query;
/* A day of minutes is the most that one answer shows one by one, and so many of all rows. */
#define MW_RED_MINUTES_MAX 1440
#define MW_RED_CELLS_MAX ((size_t)1 << 20)

typedef struct mw_red_list {
    mw_red_row *items; /* by service, then operation */
    size_t count;
    uint64_t since_ns, until_ns; /* the window in whole minutes */
    uint64_t as_of;              /* commit sequence that it includes */
    uint64_t left_out;           /* spans and calls that roll-ups had no room for (rollup.h), of all
                                  * times */
    uint64_t unread;             /* merged segments whose roll-ups are damaged, and not in it */
} mw_red_list;

/* Cost: the roll-ups of the segments whose minutes meet the window, and what was committed since
 * the last look, a second's below 65 k spans/s. MW_E_LIMIT (by_minute over too long a window),
 * MW_E_NOMEM, MW_E_IO, MW_E_CORRUPT, MW_E_TIMEOUT (the query's stop). */
MW_MUST_USE mw_err mw_store_red(mw_store *store, const mw_red_query *query, mw_arena *arena,
                                mw_red_list *out);

/* The minute (its beginning) of the newest span that starts not after `limit_ns`, which keeps
 * clocks that go wrong out of it. `stop` may be NULL. MW_E_NOT_FOUND, else as mw_store_red. */
MW_MUST_USE mw_err mw_store_newest_minute(mw_store *store, uint64_t limit_ns,
                                          const mw_store_stop *stop, uint64_t *minute_ns);

typedef struct mw_graph_edge {
    mw_slice caller, callee;
    mw_red red;  /* of the callee's spans; of the caller's where the callee has none of its own */
    mw_red wire; /* of calls whose CLIENT and SERVER spans are both there: the difference of their
                  * durations. Has no errors */
} mw_graph_edge;

typedef struct mw_graph {
    mw_graph_edge *edges; /* by caller, then callee */
    size_t edge_count;
    mw_red_row *services; /* without operations; those that only are called have a count of 0 */
    size_t service_count;
    uint64_t since_ns, until_ns, as_of, left_out, unread;
} mw_graph;

/* The call graph of a window (DESIGN 5: what an edge is). `stop` may be NULL. Cost and errors as
 * mw_store_red. */
MW_MUST_USE mw_err mw_store_graph(mw_store *store, uint64_t since_ns, uint64_t until_ns,
                                  const mw_store_stop *stop, mw_arena *arena, mw_graph *out);

/* Log records. Empty and zero fields match all; texts are compared whole. Bounds of the page are
 * on the row's time_ns. */
typedef struct mw_log_query {
    mw_slice service;
    /* Own; else inherited: that of its span, which may itself inherit it; else, also when that span
     * is not known, that of its trace's root-most span that has one (DESIGN 4.3). */
    mw_slice session_id;
    mw_slice agent, event_name; /* own alone */
    mw_slice text; /* in one of the body's strings (at any depth, keys too), ASCII case ignored;
                    * oversized records are not searched */
    mw_slice origin[MW_ORIGIN_COUNT];
    uint8_t trace_id[MW_TRACE_ID_SIZE];
    uint8_t span_id[MW_SPAN_ID_SIZE];
    uint8_t severity_min; /* records without a severity match only 0 */
    const mw_attribute_query *attributes;
    size_t attribute_count;
    /* PCRE2 (lib/store/query/log_pattern.h), searched in the same strings as text; empty = any.
     * MW_E_SYNTAX when it does not compile: mw_log_pattern_check says where and why. */
    mw_slice pattern;
} mw_log_query;

/* Does a pattern compile? MW_E_SYNTAX: `detail` (may be NULL) says where and why. MW_E_NOMEM. Any
 * thread; some microseconds. */
MW_MUST_USE mw_err mw_log_pattern_check(mw_slice pattern, mw_detail *detail);

typedef struct mw_log_record {
    mw_log_row row; /* row.session_id: resolved by inheritance */
    mw_slice bytes; /* OTLP LogRecord */
    uint32_t oversized;
    mw_store_context resource, scope;
    uint64_t commit_seq;
    uint32_t index; /* in its commit: with it the record's place in the order of commits */
} mw_log_record;

typedef struct mw_log_list {
    mw_log_record *items; /* newest first; of the same time, the last committed first */
    size_t count;
    mw_slice next_cursor;
    uint64_t undecided; /* records left out because the pattern took too long on them */
    bool given_up;      /* MW_E_TIMEOUT is for the pattern: it took too long altogether */
} mw_log_list;

/* Log records have no identity: each that was stored is listed. Cost: columns of the newest blocks
 * that may match, until the page is full and every other block is older; with attributes, a text or
 * a pattern also the items of those with a row that passes the other filters. The index passes over
 * blocks by time, service, session, trace, and, for severities from ERROR (17) on, by having any;
 * over merged ones also by attributes and text (block_filter.h); by agent, event name and origin it
 * does not, nor by pattern: a filter that hardly anything fits costs the columns (a pattern: the
 * items) of all blocks within the bounds. Then the items of the page's blocks, and the
 * columns of its records' traces, for sessions that are inherited. A wanted session first costs the
 * columns of the spans' blocks that name it, then those of its traces that have records in the
 * blocks that are looked at; its traces are taken in shares, with a pass over the blocks each, when
 * they exceed the memory of a question. MW_E_SYNTAX (cursor, pattern), MW_E_NOMEM, MW_E_IO,
 * MW_E_CORRUPT. */
MW_MUST_USE mw_err mw_store_log_list(mw_store_view *view, const mw_store_page *page,
                                     const mw_log_query *query, mw_arena *arena, mw_log_list *out);

/* A place in the order of commits: right behind that record. Sequences begin at 1, so zero is
 * before everything; index UINT32_MAX is behind the whole commit. Survives restarts. */
typedef struct mw_log_position {
    uint64_t seq;
    uint32_t index;
} mw_log_position;

typedef struct mw_log_follow {
    mw_log_position after;
    uint64_t since_ns; /* on the row's time_ns, inclusive; 0 = unbounded */
    size_t limit;      /* records */
    size_t max_bytes;  /* of their OTLP bytes; the first one comes whatever it has; 0 = unbounded */
} mw_log_follow;

typedef struct mw_log_tail {
    mw_log_record *items; /* as committed, oldest first; within a commit as sent */
    size_t count;
    mw_log_position position; /* to go on from; never before `after` */
    bool more;                /* the view may hold more behind it; else ask a later view */
    bool given_up;            /* as of a list */
} mw_log_tail;

/* What follows `after` and matches; asked again from `position` on, each record that was stored
 * comes once. A session is matched, and told, by the spans of the view: a record whose span is
 * committed later does not inherit from it. Cost: a search in the index, the columns of at most 64
 * blocks of log records and about 131,072 records, as log_list with what it says of text, then the
 * items of those that hold the answer; with a wanted session first the columns of the spans' blocks
 * that name it, also those that were there before. MW_E_NOMEM, MW_E_IO, MW_E_CORRUPT. */
MW_MUST_USE mw_err mw_store_log_follow(mw_store_view *view, const mw_log_follow *follow,
                                       const mw_log_query *query, mw_arena *arena,
                                       mw_log_tail *out);

/* Metrics. Bounds of the page are on the points' time. Of a point's copies, which may differ in
 * their origin, each is matched for itself. */
typedef struct mw_metric_query {
    mw_slice service, session_id; /* own; empty = any */
    mw_slice origin[MW_ORIGIN_COUNT];
} mw_metric_query;

/* One a name, kind and unit: services may disagree about those. */
typedef struct mw_metric_summary {
    mw_slice name, unit;
    uint8_t kind;
    mw_slice *services; /* distinct, in order */
    size_t service_count;
    uint64_t series, points; /* repeats counted once */
    uint64_t first_ns, last_ns;
} mw_metric_summary;

typedef struct mw_metric_list {
    /* By name, kind, unit; what is longer than 255 (units 63) bytes in an order of its own behind
     * its first so many, so that cursors are bounded. */
    mw_metric_summary *items;
    size_t count;
    mw_slice next_cursor;
} mw_metric_list;

/* Memory is bounded however many series there are: series and repeats are told apart by hash in
 * passes. Cost: the columns of all points' blocks in the window, each page again: once to find the
 * page's names; then of those that hold one of them, once for 2 million series, and once for the
 * points of half a million series that arrived in order of time; twice for each million of other
 * points. A full scan, until segments carry roll-ups. Errors as log_list. */
MW_MUST_USE mw_err mw_store_metric_list(mw_store_view *view, const mw_store_page *page,
                                        const mw_metric_query *query, mw_arena *arena,
                                        mw_metric_list *out);

typedef struct mw_series_point {
    mw_point_row row;
    mw_slice bytes; /* the OTLP data point of row.kind */
    uint32_t oversized;
    uint32_t index; /* in its commit, in the order in which it was sent */
    uint64_t commit_seq;
    /* What it was sent under. Of one series these mean the same, but for the description. */
    mw_slice head; /* OTLP Metric without points: name, unit, description, metadata, kind */
    uint32_t head_oversized;
    mw_store_context resource, scope;
} mw_series_point;

typedef struct mw_series {
    uint64_t series;
    mw_slice head; /* these are of the newest point */
    uint32_t head_oversized;
    mw_store_context resource, scope;
    mw_series_point *points; /* newest first; the first acknowledged copy of each */
    size_t point_count;
} mw_series;

typedef struct mw_metric {
    mw_series *series; /* by service, then by the hash */
    size_t series_count;
    mw_slice next_cursor; /* more points, older ones */
} mw_metric;

/* The newest page->limit points of the metrics of that name, by series. MW_E_NOT_FOUND when no
 * point of that name is stored; none that matches is an empty answer. Errors as log_list. Cost: the
 * columns of the blocks that hold the name, newest first, until the page is full and every other
 * block is older, then the items of the page's. Of equal times the points come by series, then
 * start: a page may end between them. */
MW_MUST_USE mw_err mw_store_metric_read(mw_store_view *view, mw_slice name,
                                        const mw_store_page *page, const mw_metric_query *query,
                                        mw_arena *arena, mw_metric *out);

#endif
