/* GET and POST /api/v1/webhooks. The secret is in the answer of the POST and nowhere else. */
#include <jansson.h>

#include "server/api/api_int.h"

/* The two members of a create. Slices point into the parsed body. */
typedef struct create_body {
    mw_slice name, source;
} create_body;

typedef struct create_job {
    mw_state_job job;
    mw_webhook_row row;
    mw_audit_row audit;
} create_job;

/* ---- list ---------------------------------------------------------------------------------- */

static void write_row(mw_api_call *call, const mw_webhook_row *row, const char *base)
{
    mw_json *json = &call->json;
    char url[640];
    int len = snprintf(url, sizeof url, "%s/webhooks/%.*s", base, MW_SLICE_FMT(row->id));
    MW_ASSERT(len > 0 && (size_t)len < sizeof url);
    mw_json_kv(json, "id", row->id);
    mw_json_kv(json, "name", row->name);
    mw_json_kv(json, "source", row->source);
    mw_json_kv(json, "url", mw_slice_of(url));
    mw_json_kv(json, "space", row->space);
    mw_json_kv_bool(json, "enabled", row->enabled);
    mw_json_kv_time(json, "created_at", (uint64_t)row->created_ns);
}

static bool within(const mw_webhook_row *row, const mw_api_page *page)
{
    uint64_t created = (uint64_t)row->created_ns;
    return created >= page->since_ns && (!page->until_ns || created < page->until_ns);
}

/* Rows come oldest first and there are few of them, so the page is cut here. The cursor is the id
 * of the last row shown; the next page starts behind it. */
static mw_err write_page(mw_api_call *call, const mw_webhook_row *rows, size_t count,
                         const mw_api_page *page)
{
    char base[MW_ADDRESS_LIST_SIZE];
    size_t shown = 0, total = 0, last = 0;
    bool started = page->cursor.len == 0, more = false;
    if (!mw_server_base_url(call->server, base, sizeof base))
        return MW_E_CLOSED;
    mw_api_list_begin(call);
    for (size_t i = count; i-- > 0;) {
        if (!within(&rows[i], page))
            continue;
        total++;
        if (started && shown < page->limit) {
            mw_json_object_begin(&call->json);
            write_row(call, &rows[i], base);
            mw_json_object_end(&call->json);
            shown++;
            last = i;
        } else if (started) {
            more = true;
        } else {
            started = mw_slice_equal(rows[i].id, page->cursor);
        }
    }
    if (!started)
        return mw_api_cursor_error(call, MW_E_SYNTAX);
    mw_api_list_end(call, more ? rows[last].id : MW_SLICE_NONE, (int64_t)total);
    return MW_OK;
}

mw_err mw_api_webhook_list(mw_api_call *call)
{
    mw_api_page page;
    mw_state_tx *tx;
    mw_webhook_row *rows = NULL;
    size_t count = 0;
    mw_err err = mw_api_page_read(call, NULL, &page);
    if (!err)
        err = mw_state_read_begin(call->server->state, &tx);
    if (err)
        return err;
    err = mw_state_webhook_all(tx, &call->arena, &rows, &count);
    mw_state_read_end(tx);
    if (!err)
        err = write_page(call, rows, count, &page);
    for (size_t i = 0; i < count; i++)
        explicit_bzero((char *)(uintptr_t)rows[i].secret.data, rows[i].secret.len);
    return err;
}

/* ---- create -------------------------------------------------------------------------------- */

static mw_err read_text(mw_api_call *call, json_t *value, const char *field, mw_slice *out)
{
    if (!json_is_string(value))
        return mw_detail_set(&call->detail, MW_E_INVALID, field, "give it as a JSON string",
                             value ? "not a string" : "missing");
    *out = (mw_slice){json_string_value(value), json_string_length(value)};
    return MW_OK;
}

static mw_err read_members(mw_api_call *call, json_t *root, create_body *out)
{
    const char *key;
    json_t *value;
    if (!json_is_object(root))
        return mw_detail_set(&call->detail, MW_E_INVALID, "body",
                             "for example {\"name\":\"pager\",\"source\":\"devops-agent\"}",
                             "not a JSON object");
    json_object_foreach(root, key, value)
    {
        if (strcmp(key, "name") != 0 && strcmp(key, "source") != 0)
            return mw_detail_set(&call->detail, MW_E_INVALID, "body", "it takes name and source",
                                 "unknown member %s", key);
    }
    mw_err err = read_text(call, json_object_get(root, "name"), "name", &out->name);
    if (!err)
        err = read_text(call, json_object_get(root, "source"), "source", &out->source);
    return err;
}

static mw_err run_create(mw_state_job *job, mw_state_tx *tx)
{
    create_job *create = (create_job *)job;
    mw_err err = mw_state_webhook_insert(tx, &create->row);
    if (!err)
        err = mw_state_audit_insert(tx, &create->audit);
    return err;
}

static mw_err commit(mw_api_call *call, create_job *create)
{
    mw_principal *who = mw_arena_zalloc(&call->arena, 1, sizeof *who);
    if (!who)
        return MW_E_NOMEM;
    mw_err err = mw_gate_principal(&call->server->gate, call->request, who);
    if (err)
        return err;
    create->audit = (mw_audit_row){
        .time_ns = create->row.created_ns,
        .principal = mw_slice_of(who->name),
        .source_address = mw_slice_of(call->request->peer->address),
        .action = MW_SLICE("webhook.create"),
        .subject = create->row.id,
        .outcome = MW_SLICE("ok"),
        .detail = create->row.name,
    };
    create->job.run = run_create;
    create->job.item.cost_bytes = sizeof *create + call->request->body.len;
    err = mw_state_submit_wait(call->server->state, &create->job);
    if (err)
        return err;
    err = mw_webhooks_reload(call->server->webhooks);
    /* The endpoint exists; it answers after the next reload or start. The secret must reach the
     * person now, so this is no failure of the request. */
    if (err)
        MW_LOG(MW_LOG_ERROR, "api", "the new webhook is not served yet; send SIGHUP",
               MW_KV("webhook", create->row.id), MW_KV_ERR(err));
    return MW_OK;
}

static mw_err create_from(mw_api_call *call, json_t *root)
{
    create_body body = {.name = MW_SLICE_NONE, .source = MW_SLICE_NONE};
    char base[MW_ADDRESS_LIST_SIZE];
    create_job *create = mw_arena_zalloc(&call->arena, 1, sizeof *create);
    if (!create)
        return MW_E_NOMEM;
    mw_err err = read_members(call, root, &body);
    if (!err)
        err = mw_webhook_new(MW_DEFAULT_SPACE, body.name, body.source,
                             mw_clock_wall_ns(call->server->clock), &call->arena, &create->row,
                             &call->detail);
    if (!err && !mw_server_base_url(call->server, base, sizeof base))
        err = MW_E_CLOSED;
    if (!err)
        err = commit(call, create);
    if (err)
        return err;
    call->status = 201;
    mw_json_object_begin(&call->json);
    write_row(call, &create->row, base);
    mw_json_kv(&call->json, "secret", create->row.secret);
    mw_json_object_end(&call->json);
    explicit_bzero((char *)(uintptr_t)create->row.secret.data, create->row.secret.len);
    return MW_OK;
}

mw_err mw_api_webhook_create(mw_api_call *call)
{
    return mw_api_change(call, create_from);
}
