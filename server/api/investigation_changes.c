/* POST /api/v1/investigations (by hand) and /{id}/cancel. */
#include "lib/state/plans.h"
#include "server/api/change.h"

#define NAME_MAX_BYTES 256
#define TITLE_MAX_BYTES 1000

typedef struct create_job {
    mw_api_change_job base;
    mw_investigation_row row;
    char id[MW_ID_TEXT_SIZE];
} create_job;

typedef struct cancel_job {
    mw_api_change_job base;
    mw_slice id;
} cancel_job;

/* ---- create --------------------------------------------------------------------------------- */

static mw_err insert(mw_state_tx *tx, const mw_api_change_job *job)
{
    const create_job *create = (const create_job *)(const void *)job;
    return mw_state_investigation_insert(tx, &create->row);
}

static mw_err title_of(mw_api_call *call, mw_slice service, mw_slice *title)
{
    if (title->data)
        return MW_OK;
    char *text = mw_arena_printf(&call->arena, "%.*s, asked by hand", MW_SLICE_FMT(service));
    if (!text)
        return MW_E_NOMEM;
    *title = mw_slice_of(text);
    return MW_OK;
}

static mw_err read_body(mw_api_call *call, const json_t *root, mw_investigation_row *row)
{
    int64_t now_ns = mw_clock_wall_ns(call->server->clock), at_ns = now_ns;
    mw_slice at;
    const mw_api_member members[] = {
        {"service", true, NAME_MAX_BYTES, &row->service},
        {"at", false, NAME_MAX_BYTES, &at},
        {"title", false, TITLE_MAX_BYTES, &row->title},
    };
    mw_err err = mw_api_members(call, root, members, sizeof members / sizeof members[0],
                                "for example {\"service\":\"checkout\",\"at\":\"15m\"}");
    if (err)
        return err;
    if (at.data && (mw_time_point_parse(at, now_ns, &at_ns) || at_ns < 0))
        return mw_detail_set(&call->detail, MW_E_INVALID, "at",
                             "RFC 3339, unix nanoseconds, or an age: 15m", "not a time");
    mw_investigation_window(at_ns, &row->window_start_ns, &row->window_end_ns);
    row->created_ns = now_ns;
    return title_of(call, row->service, &row->title);
}

static mw_err create_from(mw_api_call *call, json_t *root)
{
    create_job *create = mw_arena_zalloc(&call->arena, 1, sizeof *create);
    if (!create)
        return MW_E_NOMEM;
    mw_err err = read_body(call, root, &create->row);
    if (err)
        return err;
    mw_id_new(create->id);
    create->row.id = mw_slice_of(create->id);
    create->row.space = MW_DEFAULT_SPACE;
    create->row.status = MW_SLICE("PENDING_START");
    create->row.incident_state = MW_SLICE("open");
    err = mw_api_audit(call, "investigation.create", create->row.id, create->row.service,
                       &create->base.audit);
    if (err)
        return err;
    create->base.change = insert;
    err = mw_api_commit(call, &create->base, sizeof *create);
    if (err)
        return err;
    mw_triage_wake_runs(call->server->triage);
    call->status = 201;
    return mw_api_investigation_tell(call, create->row.id);
}

mw_err mw_api_investigation_create(mw_api_call *call)
{
    return mw_api_change(call, create_from);
}

/* ---- cancel --------------------------------------------------------------------------------- */

static mw_err end_run(mw_state_tx *tx, const mw_api_change_job *job)
{
    const cancel_job *cancel = (const cancel_job *)(const void *)job;
    return mw_state_investigation_cancel(tx, cancel->id);
}

static mw_err find(mw_api_call *call, mw_slice *id)
{
    mw_state_tx *tx;
    mw_investigation_row row;
    mw_slice prefix;
    mw_err err = mw_api_hex_id(call, call->request->params[0], &prefix);
    if (!err)
        err = mw_state_read_begin(call->server->state, &tx);
    if (err)
        return err;
    err = mw_state_investigation_get(tx, prefix, &call->arena, &row);
    mw_state_read_end(tx);
    if (!err)
        *id = row.id;
    return err;
}

static mw_err cancel_from(mw_api_call *call, json_t *root)
{
    cancel_job *cancel = mw_arena_zalloc(&call->arena, 1, sizeof *cancel);
    if (!cancel)
        return MW_E_NOMEM;
    mw_err err = mw_api_members(call, root, NULL, 0, "send {}");
    if (!err)
        err = find(call, &cancel->id);
    if (!err)
        err = mw_api_audit(call, "investigation.cancel", cancel->id, MW_SLICE(""),
                           &cancel->base.audit);
    if (err)
        return err;
    cancel->base.change = end_run;
    err = mw_api_commit(call, &cancel->base, sizeof *cancel);
    if (err == MW_E_CONFLICT)
        return mw_detail_set(&call->detail, err, "id",
                             "midwatch investigation show tells its status",
                             "the investigation has ended already");
    return err ? err : mw_api_investigation_tell(call, cancel->id);
}

mw_err mw_api_investigation_cancel(mw_api_call *call)
{
    return mw_api_change(call, cancel_from);
}
