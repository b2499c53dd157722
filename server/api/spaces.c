/* GET and POST /api/v1/spaces, DELETE /api/v1/spaces/{name}. The switch of a space is in
 * tokens.c. Changes come through the unix socket alone (api.c): a token is of one space, and what
 * others keep is not there for it. */
#include <jansson.h>

#include "server/api/api_int.h"
#include "server/api/change.h"
#include "server/ballast.h"

/* ---- shape ----------------------------------------------------------------------------------- */

/* Spaces whose tokens may read and operate, beside where they are written. */
typedef struct shape {
    mw_json *json;
    mw_slice *on;
    size_t on_count;
} shape;

static bool is_on(const shape *to, mw_slice name)
{
    for (size_t i = 0; i < to->on_count; i++)
        if (mw_slice_equal(to->on[i], name))
            return true;
    return false;
}

static mw_err prepare(mw_api_call *call, shape *out)
{
    mw_state_tx *tx;
    *out = (shape){.json = &call->json};
    mw_err err = mw_state_read_begin(call->server->state, &tx);
    if (err)
        return err;
    err = mw_state_token_access_all(tx, &call->arena, &out->on, &out->on_count);
    mw_state_read_end(tx);
    return err;
}

static void write_space(void *ctx, const char *name, mw_store *store)
{
    const shape *to = ctx;
    mw_json *json = to->json;
    mw_store_stats stats;
    mw_store_stats_read(store, &stats);
    mw_json_object_begin(json);
    mw_json_kv(json, "name", mw_slice_of(name));
    mw_json_kv_u64(json, "spans", stats.spans);
    mw_json_kv_u64(json, "logs", stats.logs);
    mw_json_kv_u64(json, "points", stats.points);
    mw_json_kv_u64(json, "segments", stats.segments);
    mw_json_kv_u64(json, "blocks", stats.blocks);
    mw_json_kv_u64(json, "bytes", stats.bytes);
    mw_json_kv_u64(json, "commit_seq", stats.commit_seq);
    mw_json_kv_u64(json, "queue_bytes", stats.queue_bytes);
    if (stats.oldest_arrival_ns)
        mw_json_kv_time(json, "oldest_arrival", stats.oldest_arrival_ns);
    else
        mw_json_kv_null(json, "oldest_arrival");
    mw_json_kv_bool(json, "writable", stats.writable);
    mw_json_kv_or_null(json, "last_error",
                       stats.last_error ? mw_slice_of(mw_err_text(stats.last_error))
                                        : MW_SLICE_NONE);
    mw_json_kv_bool(json, "token_access", is_on(to, mw_slice_of(name)));
    mw_json_object_end(json);
}

typedef struct shown {
    shape to;
    mw_slice name;
} shown;

static void write_if_named(void *ctx, const char *name, mw_store *store)
{
    shown *one = ctx;
    if (mw_slice_equal(one->name, mw_slice_of(name)))
        write_space(&one->to, name, store);
}

/* There are at most MW_SPACES_MAX, so a list has no pages. For a token there is one space. */
mw_err mw_api_space_list(mw_api_call *call)
{
    mw_space_totals totals;
    shown list;
    const char *bound = call->bound;
    mw_err err = mw_api_no_parameters(call);
    if (!err)
        err = prepare(call, &list.to);
    if (err)
        return err;
    list.name = mw_slice_of(bound);
    mw_space_totals_read(call->server, &totals);
    mw_api_list_begin(call);
    if (bound[0])
        mw_spaces_each(call->server->spaces, write_if_named, &list);
    else
        mw_spaces_each(call->server->spaces, write_space, &list.to);
    mw_api_list_end(call, MW_SLICE_NONE, bound[0] ? 1 : (int64_t)totals.spaces);
    return MW_OK;
}

/* ---- audit ----------------------------------------------------------------------------------- */

/* Tokens of a former space of this name. */
static mw_err forget(mw_state_tx *tx, const mw_api_change_job *job)
{
    return mw_state_token_forget_space(tx, job->audit.subject);
}

static mw_err submit_note(mw_api_call *call, const char *action, const char *outcome, mw_slice name,
                          mw_err (*change)(mw_state_tx *tx, const mw_api_change_job *job))
{
    mw_api_change_job *note = mw_arena_zalloc(&call->arena, 1, sizeof *note);
    if (!note)
        return MW_E_NOMEM;
    mw_err err = mw_api_audit(call, action, name, MW_SLICE(""), &note->audit);
    if (err)
        return err;
    note->audit.outcome = mw_slice_of(outcome);
    note->audit.space = name;
    note->change = change;
    return mw_api_commit(call, note, sizeof *note);
}

static mw_err note(mw_api_call *call, const char *action, const char *outcome, mw_slice name)
{
    return submit_note(call, action, outcome, name, NULL);
}

/* What is gone, or was never there, has no tokens. */
static mw_err forget_tokens(mw_api_call *call, const char *action, mw_slice name)
{
    mw_err err = submit_note(call, action, "ok", name, forget);
    if (!err && mw_tokens_reload(call->server->tokens) != MW_OK)
        MW_LOG(MW_LOG_ERROR, "api", "tokens cannot be read again", MW_KV("space", name));
    return err;
}

/* ---- create ---------------------------------------------------------------------------------- */

static mw_err read_name(mw_api_call *call, const json_t *root, mw_slice *name)
{
    const json_t *value = json_object_get(root, "name");
    if (!json_is_object(root) || json_object_size(root) != 1 || !json_is_string(value))
        return mw_detail_set(&call->detail, MW_E_INVALID, "name", "send {\"name\":\"team-a\"}",
                             "the body is an object with the name of the space and nothing else");
    *name = mw_slice_bytes(json_string_value(value), json_string_length(value));
    return MW_OK;
}

static mw_err create_from(mw_api_call *call, json_t *root)
{
    mw_slice name = MW_SLICE_NONE;
    mw_err err = read_name(call, root, &name);
    if (!err)
        err = mw_spaces_create(call->server->spaces, name, &call->detail);
    if (err)
        return err;
    err = forget_tokens(call, "space.create", name);
    if (err) {
        mw_detail unused;
        if (mw_spaces_delete(call->server->spaces, name, &unused) != MW_OK)
            MW_LOG(MW_LOG_ERROR, "api", "a space was made that the audit does not know",
                   MW_KV("space", name));
        return err;
    }
    shown one = {{.json = &call->json}, name};
    call->status = 201;
    mw_spaces_each(call->server->spaces, write_if_named, &one);
    return MW_OK;
}

mw_err mw_api_space_create(mw_api_call *call)
{
    return mw_api_change(call, create_from);
}

/* ---- delete ---------------------------------------------------------------------------------- */

/* Written down first: afterwards it may be too late. Deleting is how a person makes room, so a full
 * disk must not refuse it: the audit gets the ballast's place, and where that is gone as well, the
 * place that the deletion makes. */
static mw_err note_delete(mw_api_call *call, mw_slice name)
{
    mw_err err = note(call, "space.delete", "ok", name);
    if (err == MW_E_NO_SPACE &&
        mw_ballast_release(&call->server->settings.values, "deleting a space"))
        err = note(call, "space.delete", "ok", name);
    return err;
}

static mw_err delete_noted(mw_api_call *call, mw_slice name)
{
    mw_err noted = note_delete(call, name);
    if (noted && noted != MW_E_NO_SPACE)
        return noted;
    mw_err err = mw_spaces_delete(call->server->spaces, name, &call->detail);
    if (err && !noted && note(call, "space.delete", "failed", name) != MW_OK)
        MW_LOG(MW_LOG_ERROR, "api", "a space was not deleted, and the audit says it was",
               MW_KV("space", name), MW_KV_ERR(err));
    if (!err && forget_tokens(call, "space.tokens_forgotten", name) != MW_OK)
        MW_LOG(MW_LOG_ERROR, "api", "a space was deleted, and its tokens were not",
               MW_KV("space", name));
    if (!err && noted && note(call, "space.delete", "ok", name) != MW_OK)
        MW_LOG(MW_LOG_ERROR, "api", "a space was deleted, and the audit does not know",
               MW_KV("space", name));
    return err;
}

mw_err mw_api_space_delete(mw_api_call *call)
{
    mw_slice name = call->request->params[0];
    mw_space *space = NULL;
    mw_err err = mw_api_no_parameters(call);
    if (err)
        return err;
    err = mw_spaces_get(call->server->spaces, name, &space);
    mw_space_release(space);
    if (err || mw_slice_equal(name, MW_DEFAULT_SPACE))
        return mw_spaces_delete(call->server->spaces, name, &call->detail); /* says why not */
    err = delete_noted(call, name);
    if (err)
        return err;
    mw_json_object_begin(&call->json);
    mw_json_kv(&call->json, "name", name);
    mw_json_kv_bool(&call->json, "deleted", true);
    mw_json_object_end(&call->json);
    return MW_OK;
}
