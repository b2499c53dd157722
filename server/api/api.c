/* The route table of the API, and the way of a request through the pool and back. */
#include "server/api/api.h"
#include "server/api/api_int.h"

/* What a waiting call keeps alive beside its body: head, arena, connection. */
#define CALL_COST 8192
/* {"name":...,"source":...}: names are short. */
#define WEBHOOK_BODY_MAX 16384

static const mw_api_entry entries[] = {
    {"GET", "/api/v1/traces", MW_SCOPE_READ, 0, mw_api_trace_list, "traces"},
    {"GET", "/api/v1/traces/{id}", MW_SCOPE_READ, 0, mw_api_trace_show, "trace"},
    {"GET", "/api/v1/sessions", MW_SCOPE_READ, 0, mw_api_session_list, "sessions"},
    {"GET", "/api/v1/sessions/{id}", MW_SCOPE_READ, 0, mw_api_session_show, "session"},
    {"GET", "/api/v1/alarms", MW_SCOPE_READ, 0, mw_api_alarm_list, "alarms"},
    {"GET", "/api/v1/alarms/{id}", MW_SCOPE_READ, 0, mw_api_alarm_show, "alarm"},
    {"GET", "/api/v1/investigations", MW_SCOPE_READ, 0, mw_api_investigation_list,
     "investigations"},
    {"GET", "/api/v1/investigations/{id}", MW_SCOPE_READ, 0, mw_api_investigation_show,
     "investigation"},
    {"GET", "/api/v1/webhooks", MW_SCOPE_READ, 0, mw_api_webhook_list, "webhooks"},
    {"POST", "/api/v1/webhooks", MW_SCOPE_OPERATE, WEBHOOK_BODY_MAX, mw_api_webhook_create,
     "webhook"},
    {"GET", "/api/v1/audit", MW_SCOPE_READ, 0, mw_api_audit_list, "audit records"},
    {"GET", "/api/v1/status", MW_SCOPE_READ, 0, mw_api_status, "status"},
};
#define ENTRY_COUNT (sizeof entries / sizeof entries[0])
_Static_assert(ENTRY_COUNT <= MW_API_ROUTES_MAX, "raise MW_API_ROUTES_MAX");

/* ---- parameters ---------------------------------------------------------------------------- */

static mw_err refuse_unknown(mw_api_call *call, mw_slice unknown, const char *hint)
{
    char name[sizeof call->detail.field];
    mw_slice_to_cstr(mw_slice_first(unknown, sizeof name - 1), name, sizeof name);
    return mw_detail_set(&call->detail, MW_E_INVALID, name, hint,
                         "there is no parameter of that name");
}

mw_err mw_api_no_parameters(mw_api_call *call)
{
    mw_slice unknown = MW_SLICE_NONE;
    if (mw_request_query_known(call->request, NULL, 0, &unknown))
        return MW_OK;
    return refuse_unknown(call, unknown, "this path takes none");
}

static mw_err read_limit(mw_api_call *call, size_t *limit)
{
    mw_slice text = mw_request_query(call->request, MW_SLICE("limit"));
    uint64_t value = MW_API_LIMIT_DEFAULT;
    if (text.data && (mw_slice_u64(text, &value) || value < 1 || value > MW_API_LIMIT_MAX))
        return mw_detail_set(&call->detail, MW_E_INVALID, "limit", "use 1 to 1000",
                             "not a number from 1 to %d", MW_API_LIMIT_MAX);
    *limit = (size_t)value;
    return MW_OK;
}

static mw_err read_time(mw_api_call *call, const char *name, uint64_t *out)
{
    mw_slice text = mw_request_query(call->request, mw_slice_of(name));
    int64_t ns = 0;
    if (!text.data)
        return MW_OK;
    if (mw_time_point_parse(text, mw_clock_wall_ns(call->server->clock), &ns) || ns < 0)
        return mw_detail_set(&call->detail, MW_E_INVALID, name,
                             "for example 2026-03-14T09:26:53Z, unix nanoseconds, or an age "
                             "such as 1h",
                             "not a point in time");
    /* 0 means unbounded; the first nanosecond of 1970 is as good. */
    *out = ns ? (uint64_t)ns : 1;
    return MW_OK;
}

mw_err mw_api_page_read(mw_api_call *call, const char *extra, mw_api_page *out)
{
    mw_slice allowed[5] = {MW_SLICE("limit"), MW_SLICE("cursor"), MW_SLICE("since"),
                           MW_SLICE("until")};
    size_t count = 4;
    if (extra)
        allowed[count++] = mw_slice_of(extra);
    mw_slice unknown = MW_SLICE_NONE;
    *out = (mw_api_page){.cursor = MW_SLICE_NONE};
    if (!mw_request_query_known(call->request, allowed, count, &unknown))
        return refuse_unknown(call, unknown, "lists take limit, cursor, since and until");
    out->cursor = mw_request_query(call->request, MW_SLICE("cursor"));
    mw_err err = read_limit(call, &out->limit);
    if (!err)
        err = read_time(call, "since", &out->since_ns);
    if (!err)
        err = read_time(call, "until", &out->until_ns);
    return err;
}

mw_err mw_api_hex_id(mw_api_call *call, mw_slice *id)
{
    *id = call->request->params[0];
    if (id->len >= MW_ID_PREFIX_MIN && id->len <= MW_ID_TEXT_SIZE - 1 && mw_is_hex(*id))
        return MW_OK;
    return mw_detail_set(&call->detail, MW_E_INVALID, "id",
                         "give the id, or at least its first 6 digits",
                         "an id is 6 to 32 hexadecimal digits");
}

mw_err mw_api_cursor_error(mw_api_call *call, mw_err err)
{
    if (err != MW_E_SYNTAX)
        return err;
    return mw_detail_set(&call->detail, MW_E_INVALID, "cursor",
                         "use next_cursor of the page before, with the same bounds",
                         "not a cursor of this list");
}

/* ---- lists --------------------------------------------------------------------------------- */

void mw_api_list_begin(mw_api_call *call)
{
    mw_json_object_begin(&call->json);
    mw_json_key(&call->json, MW_SLICE("items"));
    mw_json_array_begin(&call->json);
}

void mw_api_list_end(mw_api_call *call, mw_slice next_cursor, int64_t total)
{
    mw_json_array_end(&call->json);
    mw_json_kv_or_null(&call->json, "next_cursor", next_cursor);
    if (total < 0)
        mw_json_kv_null(&call->json, "total");
    else
        mw_json_kv_i64(&call->json, "total", total);
    mw_json_object_end(&call->json);
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
    {MW_E_DENIED, 403, "not_allowed", ""},
    {MW_E_NOT_FOUND, 404, "not_found", "list them to see which there are"},
    {MW_E_AMBIGUOUS, 409, "ambiguous_id", "give more digits of the id"},
    {MW_E_CONFLICT, 409, "conflict", ""},
    {MW_E_LIMIT, 413, "answer_too_large", "ask for less with limit, since or until"},
    {MW_E_UNSUPPORTED, 415, "unsupported_media_type", "send application/json"},
    {MW_E_NOMEM, 503, "out_of_memory", "try again, or raise memory_limit"},
    {MW_E_BUSY, 503, "busy", "try again in a second"},
    {MW_E_CLOSED, 503, "unavailable", "the daemon is shutting down"},
    {MW_E_NO_SPACE, 503, "storage_full", "free space on the disk of the data directory"},
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
    mw_answer_problem(call->request, &problem, &response);
    if (row.status == 503 && response.body.len)
        mw_response_header(&response, MW_SLICE("retry-after"), MW_SLICE("1"));
    mw_request_reply(call->request, &response);
}

/* ---- the way through the pool -------------------------------------------------------------- */

static void run_job(mw_job *job)
{
    mw_api_call *call = (mw_api_call *)job;
    mw_arena_init(&call->arena, MW_MEM_QUERY, MW_API_ARENA_MAX);
    mw_buffer_init(&call->text, MW_MEM_QUERY, MW_API_ANSWER_MAX);
    mw_json_init(&call->json, &call->text);
    call->status = 200;
    mw_err err = call->entry->run(call);
    mw_buffer_append_byte(&call->text, '\n');
    if (!err)
        err = call->text.err;
    mw_response response = {.status = call->status, .content_type = MW_JSON_TYPE};
    mw_response_header(&response, MW_SLICE("cache-control"), MW_SLICE("no-store"));
    if (!err)
        mw_answer_body(call->request, &call->text, &response);
    mw_buffer_fini(&call->text);
    mw_arena_reset(&call->arena);
    /* The reply frees the call with its request: nothing may follow. */
    if (err)
        reply_error(call, err);
    else
        mw_request_reply(call->request, &response);
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
    call->job.run = run_job;
    call->job.item.cost_bytes = CALL_COST + request->body.len;
    mw_err err = mw_pool_submit(server->pool, &call->job);
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
                               .tag = MW_TAG(MW_FAMILY_API, entries[i].scope)};
    return ENTRY_COUNT;
}
