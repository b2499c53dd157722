/* Bodies and audit records of changes. See change.h. Runs on a desk thread. */
#include "server/api/change.h"

static const mw_api_member *find(const mw_api_member *members, size_t count, const char *name)
{
    for (size_t i = 0; i < count; i++)
        if (strcmp(members[i].name, name) == 0)
            return &members[i];
    return NULL;
}

static mw_err read_member(mw_api_call *call, const mw_api_member *member, const json_t *value)
{
    *member->out = MW_SLICE_NONE;
    if (!value || json_is_null(value))
        return !member->required ? MW_OK
                                 : mw_detail_set(&call->detail, MW_E_INVALID, member->name,
                                                 "give it as a JSON string", "missing");
    if (!json_is_string(value))
        return mw_detail_set(&call->detail, MW_E_INVALID, member->name, "give it as a JSON string",
                             "not a string");
    size_t len = json_string_length(value);
    if (len == 0 || len > member->max_bytes)
        return mw_detail_set(&call->detail, MW_E_INVALID, member->name, "",
                             "must have 1 to %zu bytes", member->max_bytes);
    *member->out = mw_slice_bytes(json_string_value(value), len);
    return MW_OK;
}

mw_err mw_api_members(mw_api_call *call, const json_t *root, const mw_api_member *members,
                      size_t count, const char *example)
{
    const char *key;
    json_t *value;
    mw_err err = MW_OK;
    if (!json_is_object(root))
        return mw_detail_set(&call->detail, MW_E_INVALID, "body", example, "not a JSON object");
    json_object_foreach((json_t *)(uintptr_t)root, key, value)
    {
        if (!find(members, count, key))
            return mw_detail_set(&call->detail, MW_E_INVALID, "body", example, "unknown member %s",
                                 key);
    }
    for (size_t i = 0; err == MW_OK && i < count; i++)
        err = read_member(call, &members[i], json_object_get(root, members[i].name));
    return err;
}

mw_err mw_api_audit(mw_api_call *call, const char *action, mw_slice subject, mw_slice detail,
                    mw_audit_row *out)
{
    const mw_principal *who;
    mw_err err = mw_api_principal(call, &who);
    if (err)
        return err;
    *out = (mw_audit_row){
        .time_ns = mw_clock_wall_ns(call->server->clock),
        .principal = mw_slice_of(who->name),
        .source_address = mw_slice_of(call->request->peer->address),
        .action = mw_slice_of(action),
        .subject = subject,
        .outcome = MW_SLICE("ok"),
        .detail = detail.data ? detail : MW_SLICE(""),
        .space = MW_DEFAULT_SPACE,
    };
    return MW_OK;
}

static mw_err run(mw_state_job *job, mw_state_tx *tx)
{
    const mw_api_change_job *change = (mw_api_change_job *)(void *)job;
    mw_err err = change->change ? change->change(tx, change) : MW_OK;
    return err ? err : mw_state_audit_insert(tx, &change->audit);
}

mw_err mw_api_commit(mw_api_call *call, mw_api_change_job *job, size_t size)
{
    job->job.run = run;
    job->job.item.cost_bytes = size + call->request->body.len;
    return mw_state_submit_wait(call->server->state, &job->job);
}
