/* Making and changing webhooks: POST /api/v1/webhooks, rotate, enable, disable, test, DELETE. Each
 * change and its audit row are one transaction; the endpoint table is read again before the answer.
 * A secret is in the answer of a create and a rotate, and nowhere else. Pool threads. */
#include "server/api/api_int.h"
#include "server/api/change.h"

typedef struct change_job {
    mw_api_change_job base; /* first: the job is found by its address */
    mw_webhook_row row;
} change_job;

static const mw_webhook_row *row_of(const mw_api_change_job *job)
{
    return &((const change_job *)(const void *)job)->row;
}

/* The change exists from here on; when the table cannot be read again it is served late. A secret
 * must reach the person now, so that is no failure of the request. */
static mw_err commit(mw_api_call *call, change_job *change, const char *action)
{
    mw_err err = mw_api_audit(call, action, change->row.id, change->row.name, &change->base.audit);
    if (err)
        return err;
    err = mw_api_commit(call, &change->base, sizeof *change);
    if (err)
        return err;
    err = mw_webhooks_reload(call->server->webhooks);
    if (err)
        MW_LOG(MW_LOG_ERROR, "api", "a change of a webhook is not served yet",
               MW_KV("webhook", change->row.id), MW_KV_ERR(err));
    return MW_OK;
}

static change_job *new_change(mw_api_call *call,
                              mw_err (*change)(mw_state_tx *tx, const mw_api_change_job *job))
{
    change_job *job = mw_arena_zalloc(&call->arena, 1, sizeof *job);
    if (job)
        job->base.change = change;
    return job;
}

static mw_err answer(mw_api_call *call, const mw_webhook_row *row, bool with_secret)
{
    char base[MW_ADDRESS_LIST_SIZE];
    if (!mw_server_base_url(call->server, base, sizeof base))
        return MW_E_CLOSED;
    mw_json_object_begin(&call->json);
    mw_shape_webhook(call, row, base);
    if (with_secret)
        mw_json_kv(&call->json, "secret", row->secret);
    mw_json_object_end(&call->json);
    return MW_OK;
}

/* ---- create -------------------------------------------------------------------------------- */

static mw_err insert(mw_state_tx *tx, const mw_api_change_job *job)
{
    return mw_state_webhook_insert(tx, row_of(job));
}

static mw_err dump_mapping(mw_api_call *call, const json_t *root, mw_slice *out)
{
    const json_t *value = json_object_get(root, "mapping");
    *out = MW_SLICE("");
    if (!value || json_is_null(value))
        return MW_OK;
    char *text = json_dumps(value, JSON_COMPACT | JSON_ENCODE_ANY);
    *out = text ? mw_arena_copy(&call->arena, mw_slice_of(text)) : MW_SLICE_NONE;
    free(text);
    return out->data ? MW_OK : MW_E_NOMEM;
}

static mw_err read_wish(mw_api_call *call, const json_t *root, mw_webhook_wish *out)
{
    static const char *const names[] = {"name",       "source",  "auth", "allowed_addresses",
                                        "rate_limit", "mapping", NULL};
    const mw_api_bounds rates = {0, MW_WEBHOOK_RATE_MAX, 0};
    int64_t rate = 0;
    *out = (mw_webhook_wish){.space = MW_DEFAULT_SPACE};
    mw_err err = mw_api_members_check(
        call, root, names, "for example {\"name\":\"pager\",\"source\":\"devops-agent\"}");
    if (!err)
        err = mw_api_member_text(call, root, "name", true, &out->name);
    if (!err)
        err = mw_api_member_text(call, root, "source", true, &out->source);
    if (!err)
        err = mw_api_member_text(call, root, "auth", false, &out->auth);
    if (!err)
        err = mw_api_member_list(call, root, "allowed_addresses", &out->allowed_addresses);
    if (!err)
        err = mw_api_member_number(call, root, "rate_limit", rates, &rate);
    if (!err)
        err = dump_mapping(call, root, &out->mapping_json);
    out->rate_limit = (uint64_t)rate;
    return err;
}

static mw_err create_from(mw_api_call *call, json_t *root)
{
    mw_webhook_wish wish;
    change_job *create = new_change(call, insert);
    if (!create)
        return MW_E_NOMEM;
    mw_err err = read_wish(call, root, &wish);
    if (!err)
        err = mw_webhook_new(&wish, mw_clock_wall_ns(call->server->clock), &call->arena,
                             &create->row, &call->detail);
    if (!err)
        err = commit(call, create, "webhook.create");
    if (err == MW_E_LIMIT)
        err = mw_detail_set(&call->detail, MW_E_CONFLICT, "",
                            "delete one with midwatch webhook delete",
                            "there are %d webhooks, which is all there may be", MW_WEBHOOKS_MAX);
    if (err)
        return err;
    call->status = 201;
    err = answer(call, &create->row, true);
    mw_api_webhook_wipe(&create->row);
    return err;
}

mw_err mw_api_webhook_create(mw_api_call *call)
{
    return mw_api_change(call, create_from);
}

/* ---- rotate -------------------------------------------------------------------------------- */

static mw_err rotate(mw_state_tx *tx, const mw_api_change_job *job)
{
    return mw_state_webhook_rotate(tx, row_of(job));
}

static mw_err rotate_from(mw_api_call *call, json_t *root)
{
    static const char *const names[] = {"grace_s", NULL};
    const mw_api_bounds bounds = {0, MW_WEBHOOK_GRACE_MAX_NS / MW_NS_PER_S, 0};
    int64_t grace_s = 0;
    change_job *change = new_change(call, rotate);
    if (!change)
        return MW_E_NOMEM;
    mw_err err = mw_api_members_check(call, root, names, "for example {\"grace_s\":3600}");
    if (!err)
        err = mw_api_member_number(call, root, "grace_s", bounds, &grace_s);
    if (!err)
        err = mw_api_webhook_read(call, &change->row);
    if (err)
        return err;
    err = mw_webhook_renew(&change->row, grace_s * MW_NS_PER_S,
                           mw_clock_wall_ns(call->server->clock), &call->arena);
    if (!err)
        err = commit(call, change, "webhook.rotate");
    if (!err)
        err = answer(call, &change->row, true);
    mw_api_webhook_wipe(&change->row);
    return err;
}

mw_err mw_api_webhook_rotate(mw_api_call *call)
{
    return mw_api_change(call, rotate_from);
}

/* ---- enable, disable, delete --------------------------------------------------------------- */

static mw_err set_enabled(mw_state_tx *tx, const mw_api_change_job *job)
{
    return mw_state_webhook_enable(tx, row_of(job)->id, row_of(job)->enabled);
}

static mw_err remove_row(mw_state_tx *tx, const mw_api_change_job *job)
{
    return mw_state_webhook_delete(tx, row_of(job)->id);
}

static mw_err enable_from(mw_api_call *call, const json_t *root, bool enabled)
{
    static const char *const names[] = {NULL};
    change_job *change = new_change(call, set_enabled);
    if (!change)
        return MW_E_NOMEM;
    mw_err err = mw_api_members_check(call, root, names, "send {}");
    if (!err)
        err = mw_api_webhook_read(call, &change->row);
    if (err)
        return err;
    mw_api_webhook_wipe(&change->row);
    change->row.enabled = enabled;
    err = commit(call, change, enabled ? "webhook.enable" : "webhook.disable");
    return err ? err : answer(call, &change->row, false);
}

static mw_err enable_it(mw_api_call *call, json_t *root)
{
    return enable_from(call, root, true);
}

static mw_err disable_it(mw_api_call *call, json_t *root)
{
    return enable_from(call, root, false);
}

mw_err mw_api_webhook_enable(mw_api_call *call)
{
    return mw_api_change(call, enable_it);
}

mw_err mw_api_webhook_disable(mw_api_call *call)
{
    return mw_api_change(call, disable_it);
}

mw_err mw_api_webhook_delete(mw_api_call *call)
{
    change_job *change = new_change(call, remove_row);
    mw_err err = change ? mw_api_no_parameters(call) : MW_E_NOMEM;
    if (!err)
        err = mw_api_webhook_read(call, &change->row);
    if (err)
        return err;
    mw_api_webhook_wipe(&change->row);
    err = commit(call, change, "webhook.delete");
    if (err)
        return err;
    mw_json_object_begin(&call->json);
    mw_json_kv(&call->json, "id", change->row.id);
    mw_json_kv(&call->json, "name", change->row.name);
    mw_json_kv_bool(&call->json, "deleted", true);
    mw_json_object_end(&call->json);
    return MW_OK;
}

/* ---- test ---------------------------------------------------------------------------------- */

static void write_trial(mw_json *json, const mw_webhook_row *row, const mw_webhook_trial *trial)
{
    mw_json_object_begin(json);
    mw_json_kv(json, "id", row->id);
    mw_json_kv(json, "name", row->name);
    mw_json_kv_bool(json, "accepted", true);
    mw_json_kv_or_null(json, "alarm_id", trial->alarm_id);
    mw_json_kv(json, "incident_id", trial->incident_id);
    mw_json_kv(json, "action", trial->action);
    mw_json_kv(json, "priority", trial->priority);
    mw_json_kv(json, "title", trial->title);
    mw_json_object_end(json);
}

static mw_err test_from(mw_api_call *call, json_t *root)
{
    static const char *const names[] = {"investigate", NULL};
    mw_webhook_trial trial;
    bool investigate = false;
    change_job *noted = new_change(call, NULL);
    if (!noted)
        return MW_E_NOMEM;
    mw_err err = mw_api_members_check(call, root, names, "for example {\"investigate\":true}");
    if (!err)
        err = mw_api_member_switch(call, root, "investigate", &investigate);
    if (!err)
        err = mw_api_webhook_read(call, &noted->row);
    if (err)
        return err;
    mw_api_webhook_wipe(&noted->row);
    if (!noted->row.enabled)
        return mw_detail_set(&call->detail, MW_E_CONFLICT, "id",
                             "open it with midwatch webhook enable", "this webhook is disabled");
    err = commit(call, noted, investigate ? "webhook.test_alarm" : "webhook.test");
    if (!err)
        err = mw_webhook_try(call->server->webhooks, noted->row.id, investigate, &call->arena,
                             &trial, &call->detail);
    if (!err)
        write_trial(&call->json, &noted->row, &trial);
    return err;
}

mw_err mw_api_webhook_test(mw_api_call *call)
{
    return mw_api_change(call, test_from);
}
