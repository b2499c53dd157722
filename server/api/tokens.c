/* /api/v1/tokens and the switch of a space. A token's value is in the answer of a create and a
 * rotate, and nowhere else. Each change and its audit row are one transaction, and the table
 * that loops ask is read again before the answer goes out. Pool threads. */
#include "server/api/api.h"
#include "server/api/api_int.h"
#include "server/api/change.h"
#include "server/api/short_list.h"

/* Facts: security 3. A token that only sends telemetry may last for ever, or for ten years. */
#define DAYS_MAX 60
#define INGEST_DAYS_MAX 3650
#define DAY_NS (24 * 3600 * MW_NS_PER_S)

typedef struct change_job {
    mw_api_change_job base; /* first: the job is found by its address */
    mw_token_row row;
    char token[MW_TOKEN_LEN + 1];
    uint8_t digest[MW_TOKEN_DIGEST_SIZE];
    bool on;
} change_job;

/* ---- shape --------------------------------------------------------------------------------- */

static const char *state_of(const mw_token_row *row, int64_t now_ns)
{
    if (row->revoked_ns)
        return "revoked";
    return row->expires_ns && now_ns >= row->expires_ns ? "expired" : "active";
}

static void write_row(mw_api_call *call, const mw_token_row *row)
{
    mw_json *json = &call->json;
    mw_json_kv(json, "id", row->id);
    mw_json_kv(json, "name", row->name);
    mw_json_kv(json, "space", row->space);
    mw_api_list_member(json, "scopes", row->scopes);
    mw_json_kv(json, "state", mw_slice_of(state_of(row, mw_clock_wall_ns(call->server->clock))));
    mw_api_list_member(json, "allowed_addresses", row->allowed_addresses);
    mw_json_kv_time(json, "created_at", (uint64_t)row->created_ns);
    mw_json_kv_time(json, "rotated_at", (uint64_t)row->rotated_ns);
    mw_json_kv_time(json, "expires_at", (uint64_t)row->expires_ns);
    mw_json_kv_time(json, "revoked_at", (uint64_t)row->revoked_ns);
}

/* ---- list, show ---------------------------------------------------------------------------- */

/* Another space's tokens are not there for a token. */
static bool is_visible(const mw_api_call *call, const mw_token_row *row)
{
    return !call->bound[0] || mw_slice_equal(row->space, mw_slice_of(call->bound));
}

static mw_err write_page(mw_api_call *call, const mw_token_row *rows, size_t count,
                         const mw_api_page *page)
{
    mw_api_short_list list = mw_api_short_list_begin(call, page);
    for (size_t i = count; i-- > 0;) {
        if (!is_visible(call, &rows[i]) ||
            !mw_api_short_list_shows(&list, rows[i].id, rows[i].created_ns))
            continue;
        mw_json_object_begin(&call->json);
        write_row(call, &rows[i]);
        mw_json_object_end(&call->json);
    }
    return mw_api_short_list_end(&list);
}

mw_err mw_api_token_list(mw_api_call *call)
{
    mw_api_page page;
    mw_state_tx *tx;
    mw_token_row *rows = NULL;
    size_t count = 0;
    mw_err err = mw_api_page_read(call, NULL, &page);
    if (!err)
        err = mw_state_read_begin(call->server->state, &tx);
    if (err)
        return err;
    err = mw_state_token_all(tx, &call->arena, &rows, &count);
    mw_state_read_end(tx);
    return err ? err : write_page(call, rows, count, &page);
}

static mw_err read_token(mw_api_call *call, mw_token_row *out)
{
    mw_state_tx *tx;
    mw_err err = mw_state_read_begin(call->server->state, &tx);
    if (err)
        return err;
    err = mw_state_token_get(tx, call->request->params[0], &call->arena, out);
    mw_state_read_end(tx);
    if (err || is_visible(call, out))
        return err;
    mw_gate_note_outside(&call->server->gate, call->request);
    return MW_E_NOT_FOUND;
}

mw_err mw_api_token_show(mw_api_call *call)
{
    mw_token_row row;
    mw_err err = mw_api_no_parameters(call);
    if (!err)
        err = read_token(call, &row);
    if (err)
        return err;
    mw_json_object_begin(&call->json);
    write_row(call, &row);
    mw_json_object_end(&call->json);
    return MW_OK;
}

/* ---- changes ------------------------------------------------------------------------------- */

static const change_job *job_of(const mw_api_change_job *job)
{
    return (const change_job *)(const void *)job;
}

/* Followers find out as well: what a token began ends with it. A table that cannot be read again
 * lets no token in until it can (tokens.h), so a revocation holds either way. */
static mw_err commit(mw_api_call *call, change_job *change, const char *action, mw_slice subject)
{
    mw_err err = mw_api_audit(call, action, subject, change->row.name, &change->base.audit);
    if (err)
        return err;
    change->base.audit.space = change->row.space;
    err = mw_api_commit(call, &change->base, sizeof *change);
    if (err)
        return err;
    err = mw_tokens_reload(call->server->tokens);
    mw_api_end_followers(call->server);
    if (err)
        MW_LOG(MW_LOG_ERROR, "api", "a change of tokens is not in force yet", MW_KV_ERR(err));
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

static mw_err make_value(mw_api_call *call, change_job *change)
{
    mw_token_new(MW_TOKEN_PREFIX, change->token);
    mw_err err = mw_tokens_digest(call->server->tokens, mw_slice_of(change->token), change->digest);
    change->row.digest = mw_slice_bytes(change->digest, sizeof change->digest);
    return err;
}

/* "token_access" of the token's space: a token that reads is of no use while it is off. */
static mw_err read_access(mw_api_call *call, mw_slice space, bool *on)
{
    mw_state_tx *tx;
    mw_slice *spaces;
    size_t count;
    *on = false;
    mw_err err = mw_state_read_begin(call->server->state, &tx);
    if (err)
        return err;
    err = mw_state_token_access_all(tx, &call->arena, &spaces, &count);
    mw_state_read_end(tx);
    for (size_t i = 0; !err && i < count; i++)
        *on |= mw_slice_equal(spaces[i], space);
    return err;
}

static mw_err answer_with_value(mw_api_call *call, change_job *change)
{
    bool on = false;
    mw_err err = read_access(call, change->row.space, &on);
    if (!err) {
        mw_json_object_begin(&call->json);
        write_row(call, &change->row);
        mw_json_kv(&call->json, "token", mw_slice_of(change->token));
        mw_json_kv_bool(&call->json, "token_access", on);
        mw_json_object_end(&call->json);
    }
    explicit_bzero(change->token, sizeof change->token);
    return err;
}

/* ---- create -------------------------------------------------------------------------------- */

static mw_err insert(mw_state_tx *tx, const mw_api_change_job *job)
{
    return mw_state_token_insert(tx, &job_of(job)->row);
}

static mw_err read_scopes(mw_api_call *call, const json_t *root, unsigned *scopes)
{
    mw_slice text;
    mw_err err = mw_api_member_list(call, root, "scopes", &text);
    if (err)
        return err;
    if (mw_token_scopes_parse(text, scopes) == MW_OK)
        return MW_OK;
    return mw_detail_set(&call->detail, MW_E_INVALID, "scopes",
                         "one or more of ingest, read, operate", "no such scopes");
}

static mw_err read_days(mw_api_call *call, const json_t *root, unsigned scopes, mw_token_row *row)
{
    bool ingest_only = scopes == MW_TOKEN_INGEST;
    const mw_api_bounds bounds = {1, ingest_only ? INGEST_DAYS_MAX : DAYS_MAX, 0};
    int64_t days = 0;
    mw_err err = mw_api_member_number(call, root, "expires_in_days", bounds, &days);
    if (!err && days == 0 && !ingest_only)
        err =
            mw_detail_set(&call->detail, MW_E_INVALID, "expires_in_days",
                          "a whole number of 1 to 60", "missing: a token that may read has an end");
    if (err)
        return err;
    row->days = (uint64_t)days;
    row->expires_ns = days ? row->created_ns + days * DAY_NS : 0;
    return MW_OK;
}

static mw_err read_addresses(mw_api_call *call, const json_t *root, mw_slice *out)
{
    mw_address_list list;
    mw_err err = mw_api_member_list(call, root, "allowed_addresses", out);
    if (!err)
        err = mw_address_list_parse(*out, "allowed_addresses", &call->arena, &list, &call->detail);
    return err == MW_E_LIMIT ? MW_E_INVALID : err;
}

static mw_err check_space(mw_api_call *call, mw_slice name)
{
    mw_space *space = NULL;
    mw_err err = mw_space_of_question(call->server, call->request, name, &space, &call->detail);
    mw_space_release(space);
    return err;
}

static mw_err read_row(mw_api_call *call, const json_t *root, mw_token_row *row)
{
    static const char *const names[] = {
        "name", "scopes", "space", "expires_in_days", "allowed_addresses", NULL};
    unsigned scopes = 0;
    char *text = mw_arena_alloc(&call->arena, MW_TOKEN_SCOPES_SIZE);
    if (!text)
        return MW_E_NOMEM;
    mw_err err = mw_api_members_check(
        call, root, names,
        "for example {\"name\":\"grafana\",\"scopes\":[\"read\"],\"expires_in_days\":30}");
    if (!err)
        err = mw_api_member_text(call, root, "name", true, &row->name);
    if (!err && !mw_webhook_is_name(row->name))
        err =
            mw_detail_set(&call->detail, MW_E_INVALID, "name", "", "1 to 64 printable characters");
    if (!err)
        err = read_scopes(call, root, &scopes);
    if (!err)
        err = read_days(call, root, scopes, row);
    if (!err)
        err = mw_api_member_text(call, root, "space", false, &row->space);
    if (!err)
        err = read_addresses(call, root, &row->allowed_addresses);
    if (err)
        return err;
    mw_token_scopes_format(scopes, text);
    row->scopes = mw_slice_of(text);
    row->space = row->space.data ? row->space : MW_DEFAULT_SPACE;
    return check_space(call, row->space);
}

static mw_err create_from(mw_api_call *call, json_t *root)
{
    char *id = mw_arena_alloc(&call->arena, MW_ID_TEXT_SIZE);
    change_job *create = new_change(call, insert);
    if (!create || !id)
        return MW_E_NOMEM;
    mw_id_new(id);
    create->row.id = mw_slice_of(id);
    create->row.created_ns = mw_clock_wall_ns(call->server->clock);
    mw_err err = read_row(call, root, &create->row);
    if (!err)
        err = make_value(call, create);
    if (!err)
        err = commit(call, create, "token.create", create->row.id);
    if (err == MW_E_LIMIT)
        err = mw_detail_set(
            &call->detail, MW_E_CONFLICT, "space", "revoke one with midwatch token revoke",
            "the space has %d tokens, which is all it may have", MW_TOKENS_OF_SPACE_MAX);
    if (err)
        return err;
    call->status = 201;
    return answer_with_value(call, create);
}

mw_err mw_api_token_create(mw_api_call *call)
{
    return mw_api_change(call, create_from);
}

/* ---- rotate, revoke ------------------------------------------------------------------------ */

static mw_err rotate(mw_state_tx *tx, const mw_api_change_job *job)
{
    return mw_state_token_rotate(tx, &job_of(job)->row);
}

static mw_err revoke(mw_state_tx *tx, const mw_api_change_job *job)
{
    const mw_token_row *row = &job_of(job)->row;
    return mw_state_token_revoke(tx, row->id, row->revoked_ns);
}

static mw_err is_revoked(mw_api_call *call)
{
    return mw_detail_set(&call->detail, MW_E_CONFLICT, "id", "make another one",
                         "this token is revoked, for ever");
}

/* Name, scopes, addresses and the number of days stay; the days begin again. */
static mw_err rotate_from(mw_api_call *call, json_t *root)
{
    static const char *const names[] = {NULL};
    change_job *change = new_change(call, rotate);
    if (!change)
        return MW_E_NOMEM;
    mw_err err = mw_api_members_check(call, root, names, "send {}");
    if (!err)
        err = read_token(call, &change->row);
    if (!err)
        err = make_value(call, change);
    if (err)
        return err;
    mw_token_row *row = &change->row;
    row->rotated_ns = mw_clock_wall_ns(call->server->clock);
    row->expires_ns = row->days ? row->rotated_ns + (int64_t)row->days * DAY_NS : 0;
    err = commit(call, change, "token.rotate", row->id);
    if (err == MW_E_CONFLICT)
        return is_revoked(call);
    return err ? err : answer_with_value(call, change);
}

mw_err mw_api_token_rotate(mw_api_call *call)
{
    return mw_api_change(call, rotate_from);
}

mw_err mw_api_token_revoke(mw_api_call *call)
{
    change_job *change = new_change(call, revoke);
    mw_err err = change ? mw_api_no_parameters(call) : MW_E_NOMEM;
    if (!err)
        err = read_token(call, &change->row);
    if (err)
        return err;
    int64_t before_ns = change->row.revoked_ns;
    change->row.revoked_ns = mw_clock_wall_ns(call->server->clock);
    err = before_ns ? MW_E_CONFLICT : commit(call, change, "token.revoke", change->row.id);
    if (err == MW_E_CONFLICT)
        return is_revoked(call);
    if (err)
        return err;
    mw_json_object_begin(&call->json);
    write_row(call, &change->row);
    mw_json_object_end(&call->json);
    return MW_OK;
}

/* ---- the switch ---------------------------------------------------------------------------- */

static mw_err set_access(mw_state_tx *tx, const mw_api_change_job *job)
{
    const change_job *change = job_of(job);
    return mw_state_token_access_set(tx, change->row.space, change->on, job->audit.time_ns);
}

static mw_err access_from(mw_api_call *call, json_t *root)
{
    static const char *const names[] = {"enabled", NULL};
    const char *example = "for example {\"enabled\":true}";
    change_job *change = new_change(call, set_access);
    if (!change)
        return MW_E_NOMEM;
    change->row.space = call->request->params[0];
    mw_err err = mw_api_members_check(call, root, names, example);
    if (!err && !json_object_get(root, "enabled"))
        err = mw_detail_set(&call->detail, MW_E_INVALID, "enabled", example, "missing");
    if (!err)
        err = mw_api_member_switch(call, root, "enabled", &change->on);
    if (!err)
        err = check_space(call, change->row.space);
    if (!err)
        err = commit(call, change, change->on ? "space.token_access_on" : "space.token_access_off",
                     change->row.space);
    if (err)
        return err;
    mw_json_object_begin(&call->json);
    mw_json_kv(&call->json, "name", change->row.space);
    mw_json_kv_bool(&call->json, "token_access", change->on);
    mw_json_object_end(&call->json);
    return MW_OK;
}

mw_err mw_api_space_token_access(mw_api_call *call)
{
    return mw_api_change(call, access_from);
}
