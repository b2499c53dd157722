/* GET and POST /api/v1/deployments, GET /{id}. */
#include "lib/state/deployments.h"
#include "server/api/change.h"

/* Names of services and regions, versions, image tags and commits are short; these are generous. */
#define NAME_MAX_BYTES 256

typedef struct record_job {
    mw_api_change_job base;
    mw_deployment_row row;
    char id[MW_ID_TEXT_SIZE];
} record_job;

const char *const mw_api_deployment_filters[] = {"service", NULL};

static void write_deployment(mw_json *json, const mw_deployment_row *row)
{
    mw_json_object_begin(json);
    mw_json_kv(json, "deployment_id", row->id);
    mw_json_kv(json, "space", row->space);
    mw_json_kv(json, "service", row->service);
    mw_json_kv(json, "version", row->version);
    mw_json_kv_or_null(json, "previous_version", row->previous_version);
    mw_json_kv_or_null(json, "region", row->region);
    mw_json_kv_or_null(json, "commit", row->commit);
    mw_json_kv_time(json, "time", (uint64_t)row->time_ns);
    mw_json_kv_time(json, "recorded_at", (uint64_t)row->recorded_ns);
    mw_json_kv(json, "recorded_by", row->principal);
    mw_json_object_end(json);
}

static mw_err list_in(mw_api_call *call, mw_state_tx *tx, const mw_state_page *page,
                      mw_slice service)
{
    mw_deployment_row *rows = NULL;
    size_t count = 0;
    uint64_t total = 0;
    mw_slice next = MW_SLICE_NONE;
    mw_err err =
        mw_state_deployment_list(tx, page, service, &call->arena, &rows, &count, &next, &total);
    if (err)
        return mw_api_cursor_error(call, err);
    mw_api_list_begin(call);
    for (size_t i = 0; i < count; i++)
        write_deployment(&call->json, &rows[i]);
    mw_api_list_end(call, next, (int64_t)total);
    return MW_OK;
}

mw_err mw_api_deployment_list(mw_api_call *call)
{
    mw_api_page page;
    mw_slice service;
    mw_state_tx *tx;
    mw_err err = mw_api_page_read(call, mw_api_deployment_filters, &page);
    if (!err)
        err = mw_api_filter(call, "service", &service);
    if (!err)
        err = mw_state_read_begin(call->server->state, &tx);
    if (err)
        return err;
    mw_state_page bounds = {page.since_ns, page.until_ns, page.limit, page.cursor};
    err = list_in(call, tx, &bounds, service);
    mw_state_read_end(tx);
    return err;
}

static mw_err show(mw_api_call *call, mw_slice id)
{
    mw_state_tx *tx;
    mw_deployment_row row;
    mw_err err = mw_state_read_begin(call->server->state, &tx);
    if (err)
        return err;
    err = mw_state_deployment_get(tx, id, &call->arena, &row);
    if (!err)
        write_deployment(&call->json, &row);
    mw_state_read_end(tx);
    return err;
}

mw_err mw_api_deployment_show(mw_api_call *call)
{
    mw_slice id;
    mw_err err = mw_api_no_parameters(call);
    if (!err)
        err = mw_api_hex_id(call, call->request->params[0], &id);
    return err ? err : show(call, id);
}

/* ---- record --------------------------------------------------------------------------------- */

static mw_err insert(mw_state_tx *tx, const mw_api_change_job *job)
{
    const record_job *record = (const record_job *)(const void *)job;
    return mw_state_deployment_insert(tx, &record->row);
}

static mw_err read_body(mw_api_call *call, const json_t *root, record_job *record)
{
    mw_deployment_row *row = &record->row;
    mw_slice time;
    const mw_api_member members[] = {
        {"service", true, NAME_MAX_BYTES, &row->service},
        {"version", true, NAME_MAX_BYTES, &row->version},
        {"region", false, NAME_MAX_BYTES, &row->region},
        {"commit", false, NAME_MAX_BYTES, &row->commit},
        {"time", false, NAME_MAX_BYTES, &time},
    };
    int64_t now_ns = mw_clock_wall_ns(call->server->clock);
    mw_err err = mw_api_members(call, root, members, sizeof members / sizeof members[0],
                                "for example {\"service\":\"checkout\",\"version\":\"1.4.2\"}");
    if (err)
        return err;
    row->time_ns = row->recorded_ns = now_ns;
    if (!time.data)
        return MW_OK;
    if (mw_time_point_parse(time, now_ns, &row->time_ns) || row->time_ns < 0)
        return mw_detail_set(&call->detail, MW_E_INVALID, "time",
                             "RFC 3339, unix nanoseconds, or an age: 15m", "not a time");
    return MW_OK;
}

static mw_err record_from(mw_api_call *call, json_t *root)
{
    record_job *record = mw_arena_zalloc(&call->arena, 1, sizeof *record);
    if (!record)
        return MW_E_NOMEM;
    mw_err err = read_body(call, root, record);
    mw_id_new(record->id);
    record->row.id = mw_slice_of(record->id);
    record->row.space = MW_DEFAULT_SPACE;
    if (!err)
        err = mw_api_audit(call, "deployment.record", record->row.id, record->row.service,
                           &record->base.audit);
    if (err)
        return err;
    record->row.principal = record->base.audit.principal;
    record->base.change = insert;
    err = mw_api_commit(call, &record->base, sizeof *record);
    if (err)
        return err;
    call->status = 201;
    return show(call, record->row.id);
}

mw_err mw_api_deployment_record(mw_api_call *call)
{
    return mw_api_change(call, record_from);
}
