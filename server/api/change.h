/* What requests that change something share: the members of their body, and their audit record. */
#ifndef MW_SERVER_API_CHANGE_H
#define MW_SERVER_API_CHANGE_H

#include "server/api/api_int.h"

/* A member of a body, a string. */
typedef struct mw_api_member {
    const char *name;
    bool required;
    size_t max_bytes;
    mw_slice *out; /* of the parsed body; data NULL when absent */
} mw_api_member;

/* `example` is the hint when the body is no object or has another member. MW_E_INVALID names the
 * member: unknown, missing, empty, not a string, too long. */
MW_MUST_USE mw_err mw_api_members(mw_api_call *call, const json_t *root,
                                  const mw_api_member *members, size_t count, const char *example);
/* The record of who does it, to something of the space default; texts live as long as the call.
 * MW_E_NOMEM, MW_E_DENIED. */
MW_MUST_USE mw_err mw_api_audit(mw_api_call *call, const char *action, mw_slice subject,
                                mw_slice detail, mw_audit_row *out);
/* A change of the state and the record of who made it, one transaction. The first member of each
 * noun's own job, which lives in the call's arena. */
typedef struct mw_api_change_job {
    mw_state_job job; /* first: the job is found by its address */
    mw_err (*change)(mw_state_tx *tx, const struct mw_api_change_job *job); /* NULL = none */
    mw_audit_row audit;
} mw_api_change_job;

/* Waits until both are written: `change`, then the record, which is filled by now (mw_api_audit).
 * `size` is that of the noun's job. Errors of `change`, mw_state_audit_insert and
 * mw_state_submit_wait. */
MW_MUST_USE mw_err mw_api_commit(mw_api_call *call, mw_api_change_job *job, size_t size);

#endif
