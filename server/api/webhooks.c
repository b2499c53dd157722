/* GET /api/v1/webhooks and one of them: never with a secret. What changes them is in
 * webhook_change.c. */
#include "server/api/api_int.h"
#include "server/api/short_list.h"

void mw_shape_webhook(mw_api_call *call, const mw_webhook_row *row, const char *base)
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
    mw_json_kv(json, "auth", row->auth);
    mw_api_list_member(json, "allowed_addresses", row->allowed_addresses);
    if (row->rate_limit)
        mw_json_kv_u64(json, "rate_limit", row->rate_limit);
    else
        mw_json_kv_null(json, "rate_limit");
    mw_api_raw(json, "mapping", row->mapping_json, "null");
    mw_json_kv_time(json, "created_at", (uint64_t)row->created_ns);
    mw_json_kv_time(json, "rotated_at", (uint64_t)row->rotated_ns);
    bool in_grace = row->previous_until_ns > mw_clock_wall_ns(call->server->clock);
    mw_json_kv_time(json, "previous_valid_until", in_grace ? (uint64_t)row->previous_until_ns : 0);
}

void mw_api_webhook_wipe(const mw_webhook_row *row)
{
    if (row->secret.len)
        explicit_bzero((char *)(uintptr_t)row->secret.data, row->secret.len);
    if (row->previous_secret.len)
        explicit_bzero((char *)(uintptr_t)row->previous_secret.data, row->previous_secret.len);
}

static mw_err write_page(mw_api_call *call, const mw_webhook_row *rows, size_t count,
                         const mw_api_page *page)
{
    char base[MW_ADDRESS_LIST_SIZE];
    if (!mw_server_base_url(call->server, base, sizeof base))
        return MW_E_CLOSED;
    mw_api_short_list list = mw_api_short_list_begin(call, page);
    for (size_t i = count; i-- > 0;) {
        if (!mw_api_short_list_shows(&list, rows[i].id, rows[i].created_ns))
            continue;
        mw_json_object_begin(&call->json);
        mw_shape_webhook(call, &rows[i], base);
        mw_json_object_end(&call->json);
    }
    return mw_api_short_list_end(&list);
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
        mw_api_webhook_wipe(&rows[i]);
    return err;
}

mw_err mw_api_webhook_read(mw_api_call *call, mw_webhook_row *out)
{
    mw_state_tx *tx;
    mw_err err = mw_state_read_begin(call->server->state, &tx);
    if (err)
        return err;
    err = mw_state_webhook_get(tx, call->request->params[0], &call->arena, out);
    mw_state_read_end(tx);
    return err;
}

mw_err mw_api_webhook_show(mw_api_call *call)
{
    char base[MW_ADDRESS_LIST_SIZE];
    mw_webhook_row row;
    mw_err err = mw_api_no_parameters(call);
    if (!err)
        err = mw_api_webhook_read(call, &row);
    if (err)
        return err;
    mw_api_webhook_wipe(&row);
    if (!mw_server_base_url(call->server, base, sizeof base))
        return MW_E_CLOSED;
    mw_json_object_begin(&call->json);
    mw_shape_webhook(call, &row, base);
    mw_json_object_end(&call->json);
    return MW_OK;
}
