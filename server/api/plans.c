/* GET /api/v1/investigations/{id}/plan, and POST below it: /approve and /reject.
 *
 * A judgement names the hash of the plan that its person has read; when the plan is another by now
 * it is refused. Nothing is executed (DESIGN, promise 6). */
#include "lib/state/plans.h"
#include "server/api/change.h"

#define COMMENT_MAX_BYTES 2000
#define HASH_MAX_BYTES 64
/* Of a name in a message, which has room for 256 bytes. */
#define WHO_SHOWN 120

typedef struct judge_job {
    mw_api_change_job base;
    mw_slice investigation_id;
    mw_plan_judgement judgement;
} judge_job;

void mw_shape_plan(mw_json *json, const mw_plan_row *row)
{
    mw_json_object_begin(json);
    mw_json_kv(json, "plan_hash", row->hash);
    mw_json_kv(json, "status", row->status);
    mw_json_kv_time(json, "created_at", (uint64_t)row->created_ns);
    mw_json_kv_or_null(json, "judged_by", row->judged_by);
    mw_json_kv_time(json, "judged_at", (uint64_t)row->judged_ns);
    mw_json_kv_or_null(json, "comment", row->comment);
    mw_api_raw(json, "phases", row->phases_json, "[]");
    mw_json_object_end(json);
}

static mw_err whole_id(mw_api_call *call, mw_state_tx *tx, mw_slice *id)
{
    mw_investigation_row row;
    mw_slice prefix = MW_SLICE_NONE;
    mw_err err = mw_api_hex_id(call, call->request->params[0], &prefix);
    if (!err)
        err = mw_state_investigation_get(tx, prefix, &call->arena, &row);
    if (err == MW_E_NOT_FOUND)
        return mw_detail_set(&call->detail, err, "id", "midwatch investigation list",
                             "no investigation has that id");
    if (!err)
        *id = row.id;
    return err;
}

static mw_err show_in(mw_api_call *call, mw_state_tx *tx)
{
    mw_plan_row row;
    mw_slice id = MW_SLICE_NONE;
    mw_err err = whole_id(call, tx, &id);
    if (!err)
        err = mw_state_plan_get(tx, id, &call->arena, &row);
    if (err == MW_E_NOT_FOUND && !call->detail.message[0])
        return mw_detail_set(&call->detail, err, "id", "",
                             "the investigation has no plan: it has not ended, or found no cause");
    if (!err)
        mw_shape_plan(&call->json, &row);
    return err;
}

static mw_err show(mw_api_call *call)
{
    mw_state_tx *tx;
    mw_err err = mw_state_read_begin(call->server->state, &tx);
    if (err)
        return err;
    err = show_in(call, tx);
    mw_state_read_end(tx);
    return err;
}

mw_err mw_api_plan_show(mw_api_call *call)
{
    mw_err err = mw_api_no_parameters(call);
    return err ? err : show(call);
}

/* ---- judgement ------------------------------------------------------------------------------ */

static mw_err judge_plan(mw_state_tx *tx, const mw_api_change_job *job)
{
    const judge_job *judge = (const judge_job *)(const void *)job;
    return mw_state_plan_judge(tx, judge->investigation_id, &judge->judgement);
}

static mw_err read_id(mw_api_call *call, mw_slice *id)
{
    mw_state_tx *tx;
    mw_err err = mw_state_read_begin(call->server->state, &tx);
    if (err)
        return err;
    err = whole_id(call, tx, id);
    mw_state_read_end(tx);
    return err;
}

static mw_err read_newest(mw_api_call *call, mw_slice id, mw_plan_row *row)
{
    mw_state_tx *tx;
    mw_err err = mw_state_read_begin(call->server->state, &tx);
    if (err)
        return err;
    err = mw_state_plan_get(tx, id, &call->arena, row);
    mw_state_read_end(tx);
    return err;
}

/* Reading again helps who has read another plan, and nobody else. */
static mw_err say_why(mw_api_call *call, const judge_job *judge)
{
    char when[MW_TIME_TEXT_SIZE];
    mw_plan_row row;
    mw_err err = read_newest(call, judge->investigation_id, &row);
    if (err)
        return err;
    if (mw_slice_equal(row.status, MW_SLICE("SUPERSEDED")))
        return mw_detail_set(&call->detail, MW_E_CONFLICT, "plan_hash", "see midwatch plan show",
                             "the plan is SUPERSEDED: a later run proposes none");
    if (!mw_slice_equal(row.hash, judge->judgement.hash) || !row.judged_ns)
        return mw_detail_set(&call->detail, MW_E_CONFLICT, "plan_hash",
                             "read it again with midwatch plan show, and give the hash shown there",
                             "the plan has changed since that hash was read");
    mw_time_format((uint64_t)row.judged_ns, when);
    return mw_detail_set(&call->detail, MW_E_CONFLICT, "plan_hash",
                         "a plan is judged once; midwatch plan show has the comment",
                         "the plan is %.*s already, by %.*s at %s", MW_SLICE_FMT(row.status),
                         MW_SLICE_FMT(mw_slice_first(row.judged_by, WHO_SHOWN)), when);
}

/* Refused, too, is worth a record: somebody wanted to approve what was not there any more. */
static mw_err refuse(mw_api_call *call, judge_job *judge)
{
    judge->base.audit.outcome = MW_SLICE("failed");
    judge->base.change = NULL;
    mw_err err = mw_api_commit(call, &judge->base, sizeof *judge);
    return err ? err : say_why(call, judge);
}

static mw_err submit(mw_api_call *call, judge_job *judge)
{
    bool approves = mw_slice_equal(judge->judgement.status, MW_SLICE("APPROVED"));
    mw_err err = mw_api_audit(call, approves ? "plan.approve" : "plan.reject",
                              judge->investigation_id, judge->judgement.hash, &judge->base.audit);
    if (err)
        return err;
    judge->judgement.judged_by = judge->base.audit.principal;
    judge->judgement.now_ns = judge->base.audit.time_ns;
    judge->base.change = judge_plan;
    err = mw_api_commit(call, &judge->base, sizeof *judge);
    if (err == MW_E_CONFLICT)
        return refuse(call, judge);
    if (err == MW_E_NOT_FOUND)
        return mw_detail_set(&call->detail, err, "id", "", "the investigation has no plan");
    return err ? err : show(call);
}

static mw_err judge_from(mw_api_call *call, const json_t *root, mw_slice status)
{
    judge_job *judge = mw_arena_zalloc(&call->arena, 1, sizeof *judge);
    if (!judge)
        return MW_E_NOMEM;
    judge->judgement.status = status;
    const mw_api_member members[] = {
        {"plan_hash", true, HASH_MAX_BYTES, &judge->judgement.hash},
        {"comment", false, COMMENT_MAX_BYTES, &judge->judgement.comment},
    };
    mw_err err = mw_api_members(call, root, members, sizeof members / sizeof members[0],
                                "for example {\"plan_hash\":\"...\"}");
    if (!err)
        err = read_id(call, &judge->investigation_id);
    return err ? err : submit(call, judge);
}

static mw_err approve_from(mw_api_call *call, json_t *root)
{
    return judge_from(call, root, MW_SLICE("APPROVED"));
}

static mw_err reject_from(mw_api_call *call, json_t *root)
{
    return judge_from(call, root, MW_SLICE("REJECTED"));
}

mw_err mw_api_plan_approve(mw_api_call *call)
{
    return mw_api_change(call, approve_from);
}

mw_err mw_api_plan_reject(mw_api_call *call)
{
    return mw_api_change(call, reject_from);
}
