/* GET /api/v1/audit. */
#include "server/api/api_int.h"

static void write_row(mw_json *json, const mw_audit_row *row)
{
    mw_json_object_begin(json);
    mw_json_kv_time(json, "time", (uint64_t)row->time_ns);
    mw_json_kv_or_null(json, "principal", row->principal);
    mw_json_kv_or_null(json, "source_address", row->source_address);
    mw_json_kv(json, "action", row->action);
    mw_json_kv_or_null(json, "subject", row->subject);
    mw_json_kv(json, "outcome", row->outcome);
    mw_json_kv_or_null(json, "detail", row->detail);
    mw_json_kv_or_null(json, "space", row->space);
    mw_json_object_end(json);
}

mw_err mw_api_audit_list(mw_api_call *call)
{
    mw_api_page page;
    mw_state_tx *tx;
    mw_audit_row *rows = NULL;
    size_t count = 0;
    mw_slice next = MW_SLICE_NONE;
    mw_err err = mw_api_page_read(call, NULL, &page);
    if (!err)
        err = mw_state_read_begin(call->server->state, &tx);
    if (err)
        return err;
    mw_state_page bounds = {page.since_ns, page.until_ns, page.limit, page.cursor};
    err = mw_state_audit_list(tx, &bounds, mw_slice_of(call->bound), &call->arena, &rows, &count,
                              &next);
    mw_state_read_end(tx);
    if (err)
        return mw_api_cursor_error(call, err);
    mw_api_list_begin(call);
    for (size_t i = 0; i < count; i++)
        write_row(&call->json, &rows[i]);
    mw_api_list_end(call, next, -1);
    return MW_OK;
}
