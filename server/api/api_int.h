/* What the nouns of the API share. Private to this folder.
 *
 * A noun is a function mw_err run(mw_api_call *): it writes the body to call->json and returns
 * MW_OK, or returns an error with call->detail filled as far as it has something to say; what was
 * written is dropped then and the error's own body goes out. The call and all text it refers to
 * live in the request's arena until the reply; `arena` is for the answers of questions.
 */
#ifndef MW_SERVER_API_API_INT_H
#define MW_SERVER_API_API_INT_H

#include <jansson.h>

#include "lib/base/json_writer.h"
#include "server/api/shape_span.h"
#include "server/server_int.h"
#include "server/space_of.h"

/* DESIGN 4.2: lists take --limit (100, to 1000). */
#define MW_API_LIMIT_DEFAULT 100
#define MW_API_LIMIT_MAX 1000
/* Largest answer: a trace of some hundred thousand spans. It exists twice for a moment, so it is
 * kept well below the default memory_limit. */
#define MW_API_ANSWER_MAX ((size_t)64 << 20)
/* What a question may take, waiting included: the command line waits 30 s. */
#define MW_API_QUESTION_NS (25 * MW_NS_PER_S)
/* A client that has hung up and waited this long has gone; a few close their sending side and
 * wait. */
#define MW_API_HUNG_UP_NS (2 * MW_NS_PER_S)
/* Rows and unpacked spans behind one answer. */
#define MW_API_ARENA_MAX ((size_t)256 << 20)

/* A pattern whose budget (item_search.c) is spent: said by lists and to followers. */
#define MW_API_PATTERN_GIVEN_UP "the pattern takes too long on these records and was given up"
#define MW_API_PATTERN_HINT                                                                        \
    "take repeats within repeats out of it, or let it see fewer records with text, service, "      \
    "since or until"

/* What an answer may tell beside its body. */
#define MW_API_HEADERS_MAX 7

typedef struct mw_api_call {
    mw_job job;
    mw_server *server;
    mw_request *request;
    const struct mw_api_entry *entry;
    /* Of a question about telemetry: the space it is asked of, held until the answer is put
     * together, or for as long as a follower follows (who takes it, and leaves NULL). */
    mw_space *space;
    /* Of any other: the space of its token, empty without one. What lies in another is not told. */
    char bound[MW_TOKEN_SPACE_SIZE];
    mw_arena arena;
    mw_buffer text;
    mw_json json;
    mw_detail detail;
    unsigned status;      /* of success; 200 unless run changes it */
    int64_t received_ns;  /* monotonic */
    size_t damaged;       /* blocks that its view leaves out */
    uint64_t unread;      /* segments whose figures are not in the answer */
    uint64_t damage_seen; /* the counter of damaged blocks when it was last run again */
    mw_header headers[MW_API_HEADERS_MAX]; /* of the answer, beside its own */
    size_t header_count;
    /* Set by a run that answers with a stream: called behind it, the last to touch the call. MW_OK:
     * the request is taken. */
    mw_err (*begin)(struct mw_api_call *call);
    struct mw_follower *follower;
} mw_api_call;

typedef struct mw_api_entry {
    const char *method, *path;
    mw_scope scope;
    size_t max_body;
    mw_err (*run)(mw_api_call *call);
    const char *what; /* "trace": names the thing that was not found */
    bool scans;       /* reads telemetry of a space, which may take long */
    const char *summary;
    bool paged;                 /* reads its parameters with mw_api_page_read */
    const char *const *filters; /* beside those of a page; NULL = none */
} mw_api_entry;

/* limit, cursor, since, until. */
typedef struct mw_api_page {
    uint64_t since_ns, until_ns; /* 0 = unbounded */
    size_t limit;
    mw_slice cursor;
} mw_api_page;

/* Reads the page parameters and refuses any parameter that is neither one of them nor of `filters`
 * (NULL-terminated; NULL = none), or that is given twice. MW_E_INVALID with the field named,
 * MW_E_NOMEM. */
MW_MUST_USE mw_err mw_api_page_read(mw_api_call *call, const char *const *filters,
                                    mw_api_page *out);
/* since and until alone (0 = not given), for a route whose `filters` name all that it takes. As
 * above. */
MW_MUST_USE mw_err mw_api_window_read(mw_api_call *call, uint64_t *since_ns, uint64_t *until_ns);
/* The value of a filter that page_read has allowed; data NULL when absent. An empty one is
 * MW_E_INVALID: it would match everything. MW_E_NOMEM. */
MW_MUST_USE mw_err mw_api_filter(mw_api_call *call, const char *name, mw_slice *out);
/* The same for figures; without bounds the newest 30 minutes that hold spans. */
MW_MUST_USE mw_err mw_api_figures_window(mw_api_call *call, uint64_t *since_ns, uint64_t *until_ns);
/* Is it asked for a pattern? Looks at the query alone, which need not be good. */
bool mw_api_asks_pattern(const mw_api_call *call);
/* A filter that is "true" or "false"; false when absent. MW_E_INVALID, MW_E_NOMEM. */
MW_MUST_USE mw_err mw_api_switch(mw_api_call *call, const char *name, bool *out);
/* A filter in milliseconds, as nanoseconds; 0 when absent. MW_E_INVALID, MW_E_NOMEM. */
MW_MUST_USE mw_err mw_api_milliseconds(mw_api_call *call, const char *name, uint64_t *ns);
/* duration_min_ms and duration_max_ms; 0 = not asked for. MW_E_INVALID, MW_E_NOMEM. */
MW_MUST_USE mw_err mw_api_durations(mw_api_call *call, uint64_t *min_ns, uint64_t *max_ns);
/* The filters of mw_api_list_filters; their texts live as long as the request. As above. */
MW_MUST_USE mw_err mw_api_list_filter(mw_api_call *call, mw_list_filter *out);
/* The values of "attribute", KEY=VALUE each, at most MW_ATTRIBUTE_QUERIES_MAX; they live as long as
 * the request. MW_E_INVALID, MW_E_NOMEM. */
MW_MUST_USE mw_err mw_api_attributes(mw_api_call *call, const mw_attribute_query **out,
                                     size_t *count);
/* The store of the call's space. */
static inline mw_store *mw_api_store(const mw_api_call *call)
{
    return mw_space_store(call->space);
}
/* A request without parameters that changes something: reads its body, one JSON value, and hands it
 * to `change`. MW_E_UNSUPPORTED (content-type), MW_E_INVALID, or what `change` returns. */
MW_MUST_USE mw_err mw_api_change(mw_api_call *call,
                                 mw_err (*change)(mw_api_call *call, json_t *root));
/* Who changes something, for its audit row; in the call's arena. MW_E_DENIED (the token has been
 * revoked since), MW_E_NOMEM. */
MW_MUST_USE mw_err mw_api_principal(mw_api_call *call, const mw_principal **out);
/* Members of a request's object. Refuses every one that is not in `names` (NULL-terminated), naming
 * it. MW_E_INVALID. */
MW_MUST_USE mw_err mw_api_members_check(mw_api_call *call, const json_t *root,
                                        const char *const *names, const char *example);
/* A string; data NULL when absent or null, which `required` refuses. Points into the tree.
 * MW_E_INVALID. */
MW_MUST_USE mw_err mw_api_member_text(mw_api_call *call, const json_t *root, const char *name,
                                      bool required, mw_slice *out);
/* A whole number of least to most; `otherwise` when absent or null. MW_E_INVALID. */
typedef struct mw_api_bounds {
    int64_t least, most, otherwise;
} mw_api_bounds;
MW_MUST_USE mw_err mw_api_member_number(mw_api_call *call, const json_t *root, const char *name,
                                        mw_api_bounds bounds, int64_t *out);
/* false when absent. MW_E_INVALID. */
MW_MUST_USE mw_err mw_api_member_switch(mw_api_call *call, const json_t *root, const char *name,
                                        bool *out);
/* An array of strings, or one with commas, joined with ", "; in the call's arena. Empty when
 * absent. MW_E_INVALID, MW_E_NOMEM. */
MW_MUST_USE mw_err mw_api_member_list(mw_api_call *call, const json_t *root, const char *name,
                                      mw_slice *out);
/* The way back: an array of the parts between commas. */
void mw_api_list_member(mw_json *json, const char *name, mw_slice list);
/* A view whose questions end (MW_E_TIMEOUT) when the call's time is up or nobody waits for its
 * answer any more. It leaves out what is known to be damaged; a call whose question finds more is
 * run again. MW_E_NOMEM. */
MW_MUST_USE mw_err mw_api_view_open(mw_api_call *call, mw_store_view **out);
/* The same limits, for questions that open a view of their own; valid as long as the call. */
mw_store_stop mw_api_stop(mw_api_call *call);
/* Of a call, as the stop of a view: is its time up, or does nobody wait for it? */
bool mw_api_is_over(void *call);
/* Refuses every parameter: for routes that take none. */
MW_MUST_USE mw_err mw_api_no_parameters(mw_api_call *call);
/* `text` of the path, checked: hex digits of at least MW_ID_PREFIX_MIN. MW_E_INVALID. */
MW_MUST_USE mw_err mw_api_hex_id(mw_api_call *call, mw_slice text, mw_slice *id);
/* Refuses all but the entry's filters: for routes without pages. Errors as page_read. */
MW_MUST_USE mw_err mw_api_check_filters(mw_api_call *call);
/* A header of the answer, when it is one of success. The value is copied. MW_E_NOMEM. */
MW_MUST_USE mw_err mw_api_header(mw_api_call *call, mw_slice name, mw_slice value);
MW_MUST_USE mw_err mw_api_header_u64(mw_api_call *call, mw_slice name, uint64_t value);

/* MW_E_SYNTAX of a list is always its cursor: names it. Other errors pass. */
MW_MUST_USE mw_err mw_api_cursor_error(mw_api_call *call, mw_err err);

/* The envelope {"items":[...],"next_cursor":...,"total":...}. total < 0 is null. */
void mw_api_list_begin(mw_api_call *call);
void mw_api_list_end(mw_api_call *call, mw_slice next_cursor, int64_t total);
/* What is said of that many damaged blocks, NUL-terminated. Pure. */
#define MW_DAMAGE_TEXT_SIZE 160
void mw_api_damage_text(size_t blocks, char out[MW_DAMAGE_TEXT_SIZE]);
/* The same of what is gone as a whole. */
void mw_api_losses_text(uint64_t lost, char out[MW_DAMAGE_TEXT_SIZE]);
/* Segments of its space that are known to be gone; 0 of a question about state. */
uint64_t mw_api_lost_segments(const mw_api_call *call);
/* Member "warnings" when there is something to say: [{"code","message"}]. Lists have it by
 * themselves. */
void mw_api_warnings(mw_api_call *call);
/* The same in two steps, for a list with members of its own between them. */
void mw_api_items_end(mw_api_call *call);
void mw_api_list_close(mw_api_call *call, mw_slice next_cursor, int64_t total);
/* A page of items that may be large: `write` asks the store and writes the whole list, *written
 * being the items that the answer had room for. What does not fit an answer, or the memory of a
 * question, is asked for again with fewer: the page has a cursor to go on with, which a refusal has
 * not. Errors as of `write`. */
MW_MUST_USE mw_err mw_api_list_page(mw_api_call *call, const mw_api_page *page,
                                    mw_err (*write)(mw_api_call *call, mw_store_view *view,
                                                    const mw_store_page *bounds, const void *query,
                                                    size_t *written),
                                    mw_store_view *view, const void *query);

/* Forgets what the call has read and written so far. */
void mw_api_try_again(mw_api_call *call);

/* Text that is JSON already (from our own tables); empty becomes `otherwise`. */
void mw_api_raw(mw_json *json, const char *key, mw_slice text, const char *otherwise);
/* What mw_api_page_read takes of every list, NULL-terminated; and the filters of those that have
 * some. The table of routes tells them to callers. */
extern const char *const mw_api_page_names[];
extern const char *const mw_api_log_filters[];
extern const char *const mw_api_span_filters[];
extern const char *const mw_api_list_filters[];
extern const char *const mw_api_session_filters[];
extern const char *const mw_api_metric_filters[];
extern const char *const mw_api_point_filters[];
extern const char *const mw_api_trace_filters[];
extern const char *const mw_api_investigation_filters[];
extern const char *const mw_api_deployment_filters[];
extern const char *const mw_api_tree_filters[];
extern const char *const mw_api_window_names[];
extern const char *const mw_api_service_filters[];

/* Value of a top-level member of an object's text, or an empty slice. Pure; the text is ours and
 * valid, broken text gives an empty slice. */
mw_slice mw_api_json_member(mw_slice object, mw_slice name);

/* Nouns. */
mw_err mw_api_trace_list(mw_api_call *call);
mw_err mw_api_trace_show(mw_api_call *call);
mw_err mw_api_trace_tree(mw_api_call *call);
mw_err mw_api_span_list(mw_api_call *call);
mw_err mw_api_session_list(mw_api_call *call);
mw_err mw_api_session_show(mw_api_call *call);
mw_err mw_api_session_turns(mw_api_call *call);
mw_err mw_api_agent_list(mw_api_call *call);
mw_err mw_api_agent_show(mw_api_call *call);
mw_err mw_api_log_list(mw_api_call *call);
mw_err mw_api_metric_list(mw_api_call *call);
mw_err mw_api_metric_show(mw_api_call *call);
mw_err mw_api_topology_show(mw_api_call *call);
mw_err mw_api_service_list(mw_api_call *call);
mw_err mw_api_service_show(mw_api_call *call);
mw_err mw_api_alarm_list(mw_api_call *call);
mw_err mw_api_alarm_show(mw_api_call *call);
mw_err mw_api_alarm_link(mw_api_call *call);
mw_err mw_api_alarm_unlink(mw_api_call *call);
mw_err mw_api_alarm_proceed(mw_api_call *call);
mw_err mw_api_alarm_skip(mw_api_call *call);
mw_err mw_api_alarm_replay(mw_api_call *call);
mw_err mw_api_investigation_merge(mw_api_call *call);
mw_err mw_api_investigation_split(mw_api_call *call);
mw_err mw_api_investigation_claim(mw_api_call *call);
mw_err mw_api_investigation_comment(mw_api_call *call);
mw_err mw_api_investigation_close(mw_api_call *call);
mw_err mw_api_topology_import(mw_api_call *call);
mw_err mw_api_investigation_list(mw_api_call *call);
mw_err mw_api_investigation_show(mw_api_call *call);
mw_err mw_api_investigation_create(mw_api_call *call);
mw_err mw_api_investigation_cancel(mw_api_call *call);
mw_err mw_api_plan_show(mw_api_call *call);
mw_err mw_api_plan_approve(mw_api_call *call);
mw_err mw_api_plan_reject(mw_api_call *call);
mw_err mw_api_deployment_list(mw_api_call *call);
mw_err mw_api_deployment_show(mw_api_call *call);
mw_err mw_api_deployment_record(mw_api_call *call);
mw_err mw_api_webhook_list(mw_api_call *call);
mw_err mw_api_webhook_create(mw_api_call *call);
mw_err mw_api_webhook_show(mw_api_call *call);
mw_err mw_api_webhook_rotate(mw_api_call *call);
mw_err mw_api_webhook_enable(mw_api_call *call);
mw_err mw_api_webhook_disable(mw_api_call *call);
mw_err mw_api_webhook_test(mw_api_call *call);
mw_err mw_api_webhook_delete(mw_api_call *call);
mw_err mw_api_token_list(mw_api_call *call);
mw_err mw_api_token_create(mw_api_call *call);
mw_err mw_api_token_show(mw_api_call *call);
mw_err mw_api_token_rotate(mw_api_call *call);
mw_err mw_api_token_revoke(mw_api_call *call);
mw_err mw_api_space_token_access(mw_api_call *call);
mw_err mw_api_space_list(mw_api_call *call);
mw_err mw_api_space_create(mw_api_call *call);
mw_err mw_api_space_delete(mw_api_call *call);
mw_err mw_api_audit_list(mw_api_call *call);
/* Not of another space than the call's token is. */
bool mw_api_sender_is_own(const mw_api_call *call, const mw_sender_row *row);
mw_err mw_api_sender_list(mw_api_call *call);
mw_err mw_api_status(mw_api_call *call);

/* One webhook by the path's prefix, secrets included, to be wiped. Errors of the state. */
MW_MUST_USE mw_err mw_api_webhook_read(mw_api_call *call, mw_webhook_row *out);
void mw_api_webhook_wipe(const mw_webhook_row *row);
/* The members alone, without secrets. `base` is mw_server_base_url's. */
void mw_shape_webhook(mw_api_call *call, const mw_webhook_row *row, const char *base);

/* Shapes that two nouns share. */
/* The members alone. */
void mw_shape_session_members(mw_json *json, mw_slice space, const mw_session_summary *session);
void mw_shape_session_head(mw_api_call *call, const mw_session_summary *session);
void mw_shape_trace_summary(mw_json *json, const mw_trace_summary *trace);
/* The members alone. counts: "spans" and "logs" are numbers; else the numbers are "span_count" and
 * "log_count", because arrays of those names follow. */
void mw_shape_trace_head(mw_json *json, const mw_trace_summary *trace, bool counts);
/* The member "logs": all records of that trace, oldest first. MW_E_LIMIT when they do not fit the
 * answer (what was written of them is to be taken back), else as mw_store_log_list and
 * mw_record_write. */
MW_MUST_USE mw_err mw_api_logs_of_trace(mw_api_call *call, mw_store_view *view,
                                        const uint8_t trace_id[MW_TRACE_ID_SIZE]);
struct mw_plan_row;
void mw_shape_plan(mw_json *json, const struct mw_plan_row *row);
/* The whole shape of one investigation, by its id or a prefix of it, as the answer. */
MW_MUST_USE mw_err mw_api_investigation_tell(mw_api_call *call, mw_slice id);
MW_MUST_USE mw_err mw_shape_alarm(mw_json *json, mw_state_tx *tx, const mw_alarm_row *row,
                                  mw_arena *arena);

#endif
