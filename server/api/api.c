/* The route table of the API, and the way of a request through the pool and back. */
#include "server/api/api.h"
#include "lib/base/counter.h"
#include "server/api/api_int.h"

/* A name, a list of addresses and, of a generic source, its mapping. */
#define WEBHOOK_BODY_MAX 32768
#define TOKEN_BODY_MAX 16384
#define SPACE_BODY_MAX 1024
/* A few short members and a comment. */
#define CHANGE_BODY_MAX 16384
/* An id and a text of 4 KiB, each byte escaped to six. */
#define ACT_BODY_MAX ((size_t)32 << 10)
/* The same with ten thousand ids. */
#define SPLIT_BODY_MAX ((size_t)512 << 10)
/* Some hundred thousand calls. */
#define TOPOLOGY_BODY_MAX ((size_t)8 << 20)
/* {"grace_s":86400}, {"investigate":true}, {}. */
#define VERB_BODY_MAX 1024

static mw_err index_show(mw_api_call *call);

static const mw_api_entry entries[] = {
    {"GET", "/api/v1", MW_SCOPE_READ, 0, index_show, "index", false, "this list", false, NULL},
    {"GET", "/api/v1/traces", MW_SCOPE_READ, 0, mw_api_trace_list, "traces", true,
     "traces, newest first by start", true, mw_api_list_filters},
    {"GET", "/api/v1/traces/{id}", MW_SCOPE_READ, 0, mw_api_trace_show, "trace", true,
     "one trace with its spans and log records", false, mw_api_trace_filters},
    {"GET", "/api/v1/traces/{id}/tree", MW_SCOPE_READ, 0, mw_api_trace_tree, "trace", true,
     "one trace as a tree in few rows: repeats folded, the critical path marked", false,
     mw_api_tree_filters},
    {"GET", "/api/v1/spans", MW_SCOPE_READ, 0, mw_api_span_list, "spans", true,
     "spans by what they carry, newest first by start", true, mw_api_span_filters},
    {"GET", "/api/v1/sessions", MW_SCOPE_READ, 0, mw_api_session_list, "sessions", true,
     "sessions, newest first by last seen", true, mw_api_session_filters},
    {"GET", "/api/v1/sessions/{id}", MW_SCOPE_READ, 0, mw_api_session_show, "session", true,
     "one session with its traces", false, NULL},
    {"GET", "/api/v1/sessions/{id}/turns", MW_SCOPE_READ, 0, mw_api_session_turns, "session", true,
     "one session as its conversation: a turn a trace, newest first", true, NULL},
    {"GET", "/api/v1/agents", MW_SCOPE_READ, 0, mw_api_agent_list, "agents", true,
     "agents and what they did in a window", false, mw_api_window_names},
    {"GET", "/api/v1/agents/{name}", MW_SCOPE_READ, 0, mw_api_agent_show, "agent", true,
     "one agent in a window", false, mw_api_window_names},
    {"GET", "/api/v1/logs", MW_SCOPE_READ, 0, mw_api_log_list, "logs", true,
     "log records and events, newest first", true, mw_api_log_filters},
    {"GET", "/api/v1/metrics", MW_SCOPE_READ, 0, mw_api_metric_list, "metrics", true,
     "metrics by name", true, mw_api_metric_filters},
    {"GET", "/api/v1/metrics/{name}", MW_SCOPE_READ, 0, mw_api_metric_show, "metric", true,
     "the newest points of one metric, by series", true, mw_api_point_filters},
    {"GET", "/api/v1/topology", MW_SCOPE_READ, 0, mw_api_topology_show, "topology", true,
     "services and the calls between them in a window", false, mw_api_window_names},
    {"GET", "/api/v1/services", MW_SCOPE_READ, 0, mw_api_service_list, "services", true,
     "rate, errors and duration of services in a window", false, mw_api_service_filters},
    {"GET", "/api/v1/services/{name}", MW_SCOPE_READ, 0, mw_api_service_show, "service", true,
     "one service with its operations, callers and callees", false, mw_api_window_names},
    {"GET", "/api/v1/alarms", MW_SCOPE_READ, 0, mw_api_alarm_list, "alarms", false,
     "alarms with their decisions, newest first by start", true, NULL},
    {"GET", "/api/v1/alarms/{id}", MW_SCOPE_READ, 0, mw_api_alarm_show, "alarm", false,
     "one alarm with its decision", false, NULL},
    {"GET", "/api/v1/alarms/{id}/replay", MW_SCOPE_READ, 0, mw_api_alarm_replay, "alarm", false,
     "its decision again, from what it stored, and its telemetry from the store", false, NULL},
    {"POST", "/api/v1/alarms/{id}/link", MW_SCOPE_OPERATE, ACT_BODY_MAX, mw_api_alarm_link, "alarm",
     false, "moves it to {\"investigation_id\"}; every act takes \"text\", why", false, NULL},
    {"POST", "/api/v1/alarms/{id}/unlink", MW_SCOPE_OPERATE, ACT_BODY_MAX, mw_api_alarm_unlink,
     "alarm", false, "takes it out of its incident into one of its own", false, NULL},
    {"POST", "/api/v1/alarms/{id}/proceed", MW_SCOPE_OPERATE, ACT_BODY_MAX, mw_api_alarm_proceed,
     "alarm", false, "gives it an investigation", false, NULL},
    {"POST", "/api/v1/alarms/{id}/skip", MW_SCOPE_OPERATE, ACT_BODY_MAX, mw_api_alarm_skip, "alarm",
     false, "sets it aside", false, NULL},
    {"POST", "/api/v1/investigations/{id}/merge", MW_SCOPE_OPERATE, ACT_BODY_MAX,
     mw_api_investigation_merge, "investigation", false,
     "moves its alarms to {\"into\"} and ends it", false, NULL},
    {"POST", "/api/v1/investigations/{id}/split", MW_SCOPE_OPERATE, SPLIT_BODY_MAX,
     mw_api_investigation_split, "investigation", false,
     "moves {\"alarms\": [id, ...]} to a new one", false, NULL},
    {"POST", "/api/v1/investigations/{id}/claim", MW_SCOPE_OPERATE, ACT_BODY_MAX,
     mw_api_investigation_claim, "investigation", false, "says whose it is", false, NULL},
    {"POST", "/api/v1/investigations/{id}/comment", MW_SCOPE_OPERATE, ACT_BODY_MAX,
     mw_api_investigation_comment, "investigation", false, "puts {\"text\"} into its journal",
     false, NULL},
    {"POST", "/api/v1/investigations/{id}/close", MW_SCOPE_OPERATE, ACT_BODY_MAX,
     mw_api_investigation_close, "investigation", false, "ends the incident", false, NULL},
    {"POST", "/api/v1/topology", MW_SCOPE_OPERATE, TOPOLOGY_BODY_MAX, mw_api_topology_import,
     "topology", false, "calls that telemetry does not show, from {\"edges\": [[caller, callee]]}",
     false, NULL},
    {"GET", "/api/v1/investigations", MW_SCOPE_READ, 0, mw_api_investigation_list, "investigations",
     false, "investigations, newest first by creation", true, mw_api_investigation_filters},
    {"GET", "/api/v1/investigations/{id}", MW_SCOPE_READ, 0, mw_api_investigation_show,
     "investigation", false, "one investigation: alarms, journal, root cause, gaps", false, NULL},
    {"POST", "/api/v1/investigations", MW_SCOPE_OPERATE, CHANGE_BODY_MAX,
     mw_api_investigation_create, "investigation", false,
     "starts one by hand from {\"service\", \"at\", \"title\"}", false, NULL},
    {"POST", "/api/v1/investigations/{id}/cancel", MW_SCOPE_OPERATE, CHANGE_BODY_MAX,
     mw_api_investigation_cancel, "investigation", false, "stops one that has not ended", false,
     NULL},
    {"GET", "/api/v1/investigations/{id}/plan", MW_SCOPE_READ, 0, mw_api_plan_show, "plan", false,
     "the newest plan of an investigation", false, NULL},
    {"POST", "/api/v1/investigations/{id}/plan/approve", MW_SCOPE_OPERATE, CHANGE_BODY_MAX,
     mw_api_plan_approve, "plan", false,
     "approves it from {\"plan_hash\", \"comment\"}: the hash that was read", false, NULL},
    {"POST", "/api/v1/investigations/{id}/plan/reject", MW_SCOPE_OPERATE, CHANGE_BODY_MAX,
     mw_api_plan_reject, "plan", false, "rejects it, likewise", false, NULL},
    {"GET", "/api/v1/deployments", MW_SCOPE_READ, 0, mw_api_deployment_list, "deployments", false,
     "recorded deployments, newest first", true, mw_api_deployment_filters},
    {"GET", "/api/v1/deployments/{id}", MW_SCOPE_READ, 0, mw_api_deployment_show, "deployment",
     false, "one deployment, and the version before it", false, NULL},
    {"POST", "/api/v1/deployments", MW_SCOPE_OPERATE, CHANGE_BODY_MAX, mw_api_deployment_record,
     "deployment", false,
     "records one from {\"service\", \"version\", \"region\", \"time\", \"commit\"}", false, NULL},
    {"GET", "/api/v1/webhooks", MW_SCOPE_READ, 0, mw_api_webhook_list, "webhooks", false,
     "doors for alarms, without their secrets", true, NULL},
    {"POST", "/api/v1/webhooks", MW_SCOPE_OPERATE, WEBHOOK_BODY_MAX, mw_api_webhook_create,
     "webhook", false,
     "makes a door for alarms from {\"name\", \"source\"}; its secret is shown this once", false,
     NULL},
    {"GET", "/api/v1/webhooks/{id}", MW_SCOPE_READ, 0, mw_api_webhook_show, "webhook", false,
     "one door, without its secret", false, NULL},
    {"POST", "/api/v1/webhooks/{id}/rotate", MW_SCOPE_OPERATE, VERB_BODY_MAX, mw_api_webhook_rotate,
     "webhook", false, "a new secret, shown this once; the old one lasts {\"grace_s\"} (0)", false,
     NULL},
    {"POST", "/api/v1/webhooks/{id}/enable", MW_SCOPE_OPERATE, VERB_BODY_MAX, mw_api_webhook_enable,
     "webhook", false, "opens a door again", false, NULL},
    {"POST", "/api/v1/webhooks/{id}/disable", MW_SCOPE_OPERATE, VERB_BODY_MAX,
     mw_api_webhook_disable, "webhook", false, "closes a door; it answers like an unknown one",
     false, NULL},
    {"POST", "/api/v1/webhooks/{id}/test", MW_SCOPE_OPERATE, VERB_BODY_MAX, mw_api_webhook_test,
     "webhook", false,
     "a test alarm through signature and schema; {\"investigate\": true} makes it a real one",
     false, NULL},
    {"DELETE", "/api/v1/webhooks/{id}", MW_SCOPE_OPERATE, 0, mw_api_webhook_delete, "webhook",
     false, "removes a door; its alarms stay", false, NULL},
    {"GET", "/api/v1/tokens", MW_SCOPE_READ, 0, mw_api_token_list, "tokens", false,
     "tokens, newest first, without their values", true, NULL},
    {"POST", "/api/v1/tokens", MW_SCOPE_ADMINISTER, TOKEN_BODY_MAX, mw_api_token_create, "token",
     false, "makes a token from {\"name\", \"scopes\"}; its value is shown this once", false, NULL},
    {"GET", "/api/v1/tokens/{id}", MW_SCOPE_READ, 0, mw_api_token_show, "token", false,
     "one token, without its value", false, NULL},
    {"POST", "/api/v1/tokens/{id}/rotate", MW_SCOPE_ADMINISTER, VERB_BODY_MAX, mw_api_token_rotate,
     "token", false, "a new value, shown this once; the old one is dead at once", false, NULL},
    {"DELETE", "/api/v1/tokens/{id}", MW_SCOPE_ADMINISTER, 0, mw_api_token_revoke, "token", false,
     "revokes a token, for ever", false, NULL},
    {"GET", "/api/v1/spaces", MW_SCOPE_READ, 0, mw_api_space_list, "spaces", false,
     "separate stores of telemetry, with what they hold", false, NULL},
    {"POST", "/api/v1/spaces", MW_SCOPE_ADMINISTER, SPACE_BODY_MAX, mw_api_space_create, "space",
     false, "makes a space from {\"name\"}", false, NULL},
    {"DELETE", "/api/v1/spaces/{name}", MW_SCOPE_ADMINISTER, 0, mw_api_space_delete, "space", false,
     "deletes a space and all it holds", false, NULL},
    {"POST", "/api/v1/spaces/{name}/token-access", MW_SCOPE_ADMINISTER, SPACE_BODY_MAX,
     mw_api_space_token_access, "space", false,
     "{\"enabled\"}: may tokens of this space read and operate", false, NULL},
    {"GET", "/api/v1/audit", MW_SCOPE_READ, 0, mw_api_audit_list, "audit records", false,
     "who changed what, newest first", true, NULL},
    {"GET", "/api/v1/senders", MW_SCOPE_READ, 0, mw_api_sender_list, "senders", false,
     "who has sent telemetry, what was understood of it, and who was refused", false, NULL},
    {"GET", "/api/v1/status", MW_SCOPE_READ, 0, mw_api_status, "status", false,
     "what the daemon holds and does", false, NULL},
};
#define ENTRY_COUNT (sizeof entries / sizeof entries[0])
_Static_assert(ENTRY_COUNT <= MW_API_ROUTES_MAX, "raise MW_API_ROUTES_MAX");

/* ---- the index ----------------------------------------------------------------------------- */

static void write_names(mw_json *json, const char *const *names)
{
    for (; names && *names; names++)
        mw_json_string(json, mw_slice_of(*names));
}

static void write_entry(mw_json *json, const mw_api_entry *entry)
{
    mw_json_object_begin(json);
    mw_json_kv(json, "method", mw_slice_of(entry->method));
    mw_json_kv(json, "path", mw_slice_of(entry->path));
    mw_json_kv(json, "what", mw_slice_of(entry->summary));
    mw_json_key(json, MW_SLICE("parameters"));
    mw_json_array_begin(json);
    write_names(json, entry->paged ? mw_api_page_names : NULL);
    write_names(json, entry->filters);
    if (entry->scans)
        mw_json_string(json, MW_SLICE(MW_SPACE_PARAMETER));
    mw_json_array_end(json);
    mw_json_object_end(json);
}

/* GET /api/v1: the table itself, for people who ask what there is. */
static mw_err index_show(mw_api_call *call)
{
    mw_err err = mw_api_no_parameters(call);
    if (err)
        return err;
    mw_json_object_begin(&call->json);
    mw_json_key(&call->json, MW_SLICE("routes"));
    mw_json_array_begin(&call->json);
    for (size_t i = 0; i < ENTRY_COUNT; i++)
        write_entry(&call->json, &entries[i]);
    mw_json_array_end(&call->json);
    mw_json_object_end(&call->json);
    return MW_OK;
}

/* ---- errors -------------------------------------------------------------------------------- */

typedef struct error_row {
    mw_err err;
    unsigned status;
    const char *code;
    const char *hint;
} error_row;

static const error_row error_rows[] = {
    {MW_E_INVALID, 400, "invalid_parameter", ""},
    {MW_E_SYNTAX, 400, "invalid_parameter", ""},
    {MW_E_UNAUTHENTICATED, 401, "unauthenticated", ""},
    {MW_E_DENIED, 403, "not_allowed", ""},
    {MW_E_NOT_FOUND, 404, "not_found", "list them to see which there are"},
    {MW_E_AMBIGUOUS, 409, "ambiguous_id", "give more digits of the id"},
    {MW_E_CONFLICT, 409, "conflict", ""},
    {MW_E_LIMIT, 413, "answer_too_large", "ask for less with limit, since or until"},
    {MW_E_UNSUPPORTED, 415, "unsupported_media_type", "send application/json"},
    {MW_E_NOMEM, 503, "out_of_memory", "try again, or raise memory_limit"},
    {MW_E_BUSY, 503, "busy", "try again in a second"},
    {MW_E_TIMEOUT, 504, "timeout", "ask for less with since, until or a filter"},
    {MW_E_CLOSED, 503, "unavailable", "the daemon is shutting down"},
    {MW_E_NO_SPACE, 503, "storage_full",
     "make room on the disk of the data directory, or make it writable"},
};

static error_row describe(mw_err err)
{
    for (size_t i = 0; i < sizeof error_rows / sizeof error_rows[0]; i++)
        if (error_rows[i].err == err)
            return error_rows[i];
    return (error_row){err, 500, "internal", "see the daemon's log"};
}

static void reply_error(mw_api_call *call, mw_err err)
{
    error_row row = describe(err);
    const mw_detail *detail = &call->detail;
    const char *message = detail->message;
    char text[128];
    if (!message[0] && (err == MW_E_NOT_FOUND || err == MW_E_AMBIGUOUS)) {
        snprintf(text, sizeof text,
                 err == MW_E_NOT_FOUND ? "no %s has that id" : "more than one %s has that prefix",
                 call->entry->what);
        message = text;
    }
    if (row.status == 500)
        MW_LOG(MW_LOG_ERROR, "api", "a request failed", MW_KV("path", call->request->path),
               MW_KV_ERR(err), MW_KV_STR("detail", detail->message));
    mw_problem problem = {
        row.status, row.code, mw_slice_of(message[0] ? message : mw_err_text(err)),
        mw_slice_of(detail->field), mw_slice_of(detail->hint[0] ? detail->hint : row.hint)};
    mw_response response = {.status = row.status};
    mw_answer_problem(&problem, &response);
    if (row.status == 503 && response.body.len)
        mw_response_header(&response, MW_SLICE("retry-after"), MW_SLICE("1"));
    mw_request_reply(call->request, &response);
}

/* ---- spaces --------------------------------------------------------------------------------- */

/* Those that leave out by themselves what is not of call->bound. */
static bool tells_own(const mw_api_call *call)
{
    static mw_err (*const runs[])(mw_api_call *) = {
        index_show,        mw_api_space_list,  mw_api_token_list, mw_api_token_show,
        mw_api_audit_list, mw_api_sender_list, mw_api_status};
    for (size_t i = 0; i < sizeof runs / sizeof runs[0]; i++)
        if (call->entry->run == runs[i])
            return true;
    return false;
}

/* Whether the parameter may stand there, and once, is asked with the others (parameters.c). */
static mw_err enter_space(mw_api_call *call)
{
    mw_slice asked;
    mw_err err = MW_OK;
    if (call->entry->scans) {
        err = mw_api_filter(call, MW_SPACE_PARAMETER, &asked);
        return err ? err
                   : mw_space_of_question(call->server, call->request, asked, &call->space,
                                          &call->detail);
    }
    err = mw_space_bound(call->server, call->request, call->bound, &call->detail);
    if (err || tells_own(call))
        return err;
    return mw_space_of_state(call->server, call->request, call->bound, &call->detail);
}

/* A question that was cut short because its space is deleted was asked of one that is not there. */
static mw_err leave_space(mw_api_call *call, mw_err err)
{
    if (err == MW_E_TIMEOUT && call->space && mw_space_is_closing(call->space))
        err = mw_detail_set(&call->detail, MW_E_NOT_FOUND, MW_SPACE_PARAMETER, "",
                            "the space %s is being deleted", mw_space_name(call->space));
    mw_space_release(call->space);
    call->space = NULL;
    return err;
}

/* ---- the way through the pool -------------------------------------------------------------- */

/* What the call holds is given back first: once the stream has begun, it may be over at any time,
 * and the call with it. */
static void run_stream(mw_api_call *call, mw_err err)
{
    mw_buffer_fini(&call->text);
    mw_arena_reset(&call->arena);
    MW_ASSERT(!err);
    err = call->begin(call);
    if (err)
        reply_error(call, err);
}

/* A question that finds damage is asked again without it. Each time finds one more, so that a disk
 * full of damage ends as an error; time is bounded by mw_api_is_over. */
#define DAMAGE_TRIES 64

static mw_err run_entry(mw_api_call *call)
{
    mw_err err = call->entry->run(call);
    for (int tries = 0; tries < DAMAGE_TRIES; tries++) {
        if ((err != MW_E_CORRUPT && err != MW_E_IO) || !call->entry->scans || call->begin)
            return err;
        uint64_t known = mw_counter_value(MW_COUNT_STORE_DAMAGED);
        if (tries > 0 && known == call->damage_seen)
            return err;
        call->damage_seen = known;
        mw_api_try_again(call);
        memset(&call->detail, 0, sizeof call->detail);
        err = call->entry->run(call);
    }
    return err;
}

static void run_job(mw_job *job)
{
    mw_api_call *call = (mw_api_call *)job;
    mw_arena_init(&call->arena, MW_MEM_QUERY, MW_API_ARENA_MAX);
    mw_buffer_init(&call->text, MW_MEM_QUERY, MW_API_ANSWER_MAX);
    mw_json_init(&call->json, &call->text);
    call->status = 200;
    mw_err err = mw_api_is_over(call) ? MW_E_TIMEOUT : enter_space(call);
    if (!err)
        err = run_entry(call);
    err = leave_space(call, err);
    if (call->begin) {
        run_stream(call, err);
        return;
    }
    mw_buffer_append_byte(&call->text, '\n');
    if (!err)
        err = call->text.err;
    mw_response response = {.status = call->status, .content_type = MW_JSON_TYPE};
    mw_response_header(&response, MW_SLICE("cache-control"), MW_SLICE("no-store"));
    for (size_t i = 0; i < call->header_count; i++)
        mw_response_header(&response, call->headers[i].name, call->headers[i].value);
    if (!err)
        mw_answer_body(&call->text, &response);
    mw_buffer_fini(&call->text);
    mw_arena_reset(&call->arena);
    /* The reply frees the call with its request: nothing may follow. */
    if (err)
        reply_error(call, err);
    else
        mw_request_reply(call->request, &response);
}

static mw_pool *pool_of(const mw_api_call *call)
{
    if (!call->entry->scans)
        return call->server->desk_pool;
    return mw_api_asks_pattern(call) ? call->server->pattern_pool : call->server->pool;
}

/* On the loop's thread: which entry it was is found by the route's place in the table. */
static void handle(void *ctx, mw_request *request)
{
    mw_server *server = ctx;
    const mw_api_entry *entry = NULL;
    for (size_t i = 0; i < ENTRY_COUNT && !entry; i++)
        if (request->route->path == entries[i].path && request->route->method == entries[i].method)
            entry = &entries[i];
    MW_ASSERT(entry);
    mw_api_call *call = mw_arena_zalloc(&request->arena, 1, sizeof *call);
    if (!call) {
        mw_response response = {.status = 503};
        mw_response_header(&response, MW_SLICE("retry-after"), MW_SLICE("1"));
        mw_request_reply(request, &response);
        return;
    }
    call->server = server;
    call->request = request;
    call->entry = entry;
    call->received_ns = mw_clock_mono_ns(server->clock);
    call->job.run = run_job;
    call->job.item.cost_bytes = MW_API_CALL_COST + request->body.len;
    mw_pool *pool = pool_of(call);
    mw_err err = mw_pool_submit(pool, &call->job);
    if (err == MW_E_BUSY && pool == server->pattern_pool)
        err = mw_detail_set(&call->detail, err, "pattern", "try again in a second",
                            "others with patterns wait already, as many as may");
    if (err)
        reply_error(call, err);
}

size_t mw_api_routes(mw_server *server, mw_route *routes)
{
    for (size_t i = 0; i < ENTRY_COUNT; i++)
        routes[i] = (mw_route){.ports = MW_PORT_WEB | MW_PORT_SOCKET,
                               .method = entries[i].method,
                               .path = entries[i].path,
                               .max_body = entries[i].max_body,
                               .handler = handle,
                               .ctx = server,
                               .tag = MW_TAG(MW_FAMILY_API, entries[i].scope),
                               /* Names in telemetry hold what their senders put there. */
                               .counted_params = entries[i].scans};
    return ENTRY_COUNT;
}
