/* GET /api/v1/investigations and /{id}. Lists show the whole shape too: every listed field is
 * always present (DESIGN 4.3). */
#include "lib/state/incidents.h"
#include "lib/state/plans.h"
#include "server/api/api_int.h"

static void write_head(mw_json *json, const mw_investigation_row *row)
{
    mw_json_kv(json, "investigation_id", row->id);
    mw_json_kv(json, "space", row->space);
    mw_json_kv_or_null(json, "title", row->title);
    mw_json_kv(json, "status", row->status);
    mw_json_kv(json, "incident_state", row->incident_state);
    mw_json_kv_time(json, "closed_at", (uint64_t)row->closed_ns);
    mw_json_kv_or_null(json, "priority", row->priority);
    mw_json_kv_or_null(json, "service", row->service);
    mw_json_kv_time(json, "created_at", (uint64_t)row->created_ns);
    mw_json_key(json, MW_SLICE("window"));
    mw_json_object_begin(json);
    mw_json_kv_time(json, "start", (uint64_t)row->window_start_ns);
    mw_json_kv_time(json, "end", (uint64_t)row->window_end_ns);
    mw_json_object_end(json);
}

/* What the incident is about, whose it is, and what became of it. */
static mw_err write_incident(mw_json *json, mw_state_tx *tx, mw_slice id, mw_arena *arena,
                             mw_incident_row *row)
{
    mw_err err = mw_state_incident_get(tx, id, arena, row);
    if (err)
        return err;
    mw_json_kv_or_null(json, "center", row->center);
    mw_json_kv_or_null(json, "owner", row->owner);
    mw_json_kv_or_null(json, "merged_into", row->merged_into);
    return MW_OK;
}

static mw_err write_alarms(mw_json *json, mw_state_tx *tx, mw_slice id, mw_arena *arena,
                           const mw_incident_row *incident)
{
    char version[MW_VERSION_SIZE];
    mw_alarm_row *rows = NULL;
    size_t count = 0;
    mw_err err = mw_state_alarm_of_investigation(tx, id, arena, &rows, &count);
    if (err)
        return err;
    mw_version_of_incident(incident, rows, count, version);
    mw_json_kv(json, "version", mw_slice_of(version));
    mw_json_key(json, MW_SLICE("alarms"));
    mw_json_array_begin(json);
    for (size_t i = 0; i < count && !err; i++)
        err = mw_shape_alarm(json, tx, &rows[i], arena);
    if (!err)
        mw_json_array_end(json);
    return err;
}

static mw_err write_journal(mw_json *json, mw_state_tx *tx, mw_slice id, mw_arena *arena)
{
    mw_journal_row *rows = NULL;
    size_t count = 0;
    mw_err err = mw_state_journal_list(tx, id, arena, &rows, &count);
    if (err)
        return err;
    mw_json_key(json, MW_SLICE("journal"));
    mw_json_array_begin(json);
    for (size_t i = 0; i < count; i++) {
        mw_json_object_begin(json);
        mw_json_kv(json, "record_id", rows[i].record_id);
        mw_json_kv_time(json, "time", (uint64_t)rows[i].time_ns);
        mw_json_kv(json, "type", rows[i].type);
        mw_json_kv(json, "text", rows[i].text);
        mw_api_raw(json, "evidence", rows[i].evidence_json, "[]");
        mw_json_object_end(json);
    }
    mw_json_array_end(json);
    return MW_OK;
}

static mw_err write_plan(mw_json *json, mw_state_tx *tx, mw_slice id, mw_arena *arena)
{
    mw_plan_row plan;
    mw_err err = mw_state_plan_get(tx, id, arena, &plan);
    if (err && err != MW_E_NOT_FOUND)
        return err;
    mw_json_key(json, MW_SLICE("plan"));
    if (err)
        mw_json_null(json);
    else
        mw_shape_plan(json, &plan);
    return MW_OK;
}

static mw_err write_investigation(mw_api_call *call, mw_state_tx *tx,
                                  const mw_investigation_row *row)
{
    mw_json *json = &call->json;
    mw_json_object_begin(json);
    write_head(json, row);
    mw_incident_row incident;
    mw_err err = write_incident(json, tx, row->id, &call->arena, &incident);
    if (!err)
        err = write_alarms(json, tx, row->id, &call->arena, &incident);
    if (!err)
        err = write_journal(json, tx, row->id, &call->arena);
    if (err)
        return err;
    mw_api_raw(json, "root_cause", row->root_cause_json, "null");
    err = write_plan(json, tx, row->id, &call->arena);
    if (!err)
        mw_json_object_end(json);
    return err;
}

static mw_err list_in(mw_api_call *call, mw_state_tx *tx, const mw_state_page *page,
                      mw_slice status)
{
    mw_investigation_row *rows = NULL;
    size_t count = 0;
    uint64_t total = 0;
    mw_slice next = MW_SLICE_NONE;
    mw_err err =
        mw_state_investigation_list(tx, page, status, &call->arena, &rows, &count, &next, &total);
    if (err)
        return mw_api_cursor_error(call, err);
    mw_api_list_begin(call);
    for (size_t i = 0; i < count && !err; i++)
        err = write_investigation(call, tx, &rows[i]);
    if (!err)
        mw_api_list_end(call, next, (int64_t)total);
    return err;
}

static mw_err read_status(mw_api_call *call, mw_slice *status)
{
    static const char *const names[] = {
        "PENDING_TRIAGE", "PENDING_START", "IN_PROGRESS", "PENDING_CUSTOMER_APPROVAL",
        "COMPLETED",      "FAILED",        "TIMED_OUT",   "CANCELED"};
    mw_err err = mw_api_filter(call, "status", status);
    if (err || !status->data)
        return err;
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        if (mw_slice_equal(*status, mw_slice_of(names[i])))
            return MW_OK;
    return mw_detail_set(&call->detail, MW_E_INVALID, "status",
                         "PENDING_TRIAGE, PENDING_START, IN_PROGRESS, PENDING_CUSTOMER_APPROVAL, "
                         "COMPLETED, FAILED, TIMED_OUT or CANCELED",
                         "no such status");
}

const char *const mw_api_investigation_filters[] = {"status", NULL};

mw_err mw_api_investigation_list(mw_api_call *call)
{
    mw_api_page page;
    mw_slice status;
    mw_state_tx *tx;
    mw_err err = mw_api_page_read(call, mw_api_investigation_filters, &page);
    if (!err)
        err = read_status(call, &status);
    if (!err)
        err = mw_state_read_begin(call->server->state, &tx);
    if (err)
        return err;
    mw_state_page bounds = {page.since_ns, page.until_ns, page.limit, page.cursor};
    err = list_in(call, tx, &bounds, status);
    mw_state_read_end(tx);
    return err;
}

mw_err mw_api_investigation_tell(mw_api_call *call, mw_slice id)
{
    mw_state_tx *tx;
    mw_investigation_row row;
    mw_err err = mw_state_read_begin(call->server->state, &tx);
    if (err)
        return err;
    err = mw_state_investigation_get(tx, id, &call->arena, &row);
    if (!err)
        err = write_investigation(call, tx, &row);
    mw_state_read_end(tx);
    return err;
}

mw_err mw_api_investigation_show(mw_api_call *call)
{
    mw_slice id;
    mw_err err = mw_api_no_parameters(call);
    if (!err)
        err = mw_api_hex_id(call, call->request->params[0], &id);
    return err ? err : mw_api_investigation_tell(call, id);
}
