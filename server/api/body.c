/* The body of a request that changes something: one JSON object. Pool threads. */
#include "server/api/api_int.h"

static mw_err check_type(mw_api_call *call)
{
    mw_slice type = mw_request_header(call->request, MW_SLICE("content-type"), NULL);
    type = mw_slice_trim(mw_slice_first(type, mw_slice_find_byte(type, ';')));
    if (mw_slice_equal_nocase(type, MW_JSON_TYPE))
        return MW_OK;
    return mw_detail_set(&call->detail, MW_E_UNSUPPORTED, "content-type", "send application/json",
                         "the body's type is not JSON");
}

static mw_err read_body(mw_api_call *call, json_t **root)
{
    json_error_t error;
    mw_err err = check_type(call);
    if (err)
        return err;
    *root = json_loadb(call->request->body.data, call->request->body.len, JSON_REJECT_DUPLICATES,
                       &error);
    if (*root)
        return MW_OK;
    return mw_detail_set(&call->detail, MW_E_INVALID, "body", "send one JSON object",
                         "not JSON: %s", error.text);
}

mw_err mw_api_change(mw_api_call *call, mw_err (*change)(mw_api_call *call, json_t *root))
{
    json_t *root = NULL;
    mw_err err = mw_api_no_parameters(call);
    if (!err)
        err = read_body(call, &root);
    if (!err)
        err = change(call, root);
    json_decref(root);
    return err;
}
