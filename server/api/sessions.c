/* GET /api/v1/sessions and /{id}. */
#include "server/api/api_int.h"
#include "server/api/follower.h"
#include "server/api/session_follower.h"

/* ---- follow -------------------------------------------------------------------------------- */

/* Where the client was, else with the newest. */
static mw_err read_place(mw_api_call *call, mw_session_following *following)
{
    mw_store_view *view;
    mw_slice last = mw_sse_last_event_id(call->request);
    following->resumes = last.len > 0;
    if (!following->resumes)
        return MW_OK;
    mw_err err = mw_api_view_open(call, &view);
    if (err)
        return err;
    uint64_t seq = mw_store_view_seq(view);
    mw_store_view_close(view);
    if (mw_slice_u64(last, &following->after) == MW_OK && following->after <= seq)
        return MW_OK;
    return mw_detail_set(&call->detail, MW_E_INVALID, "Last-Event-ID",
                         "leave the header out to begin with the newest",
                         "not the id of an event of this store");
}

static mw_err follow_sessions(mw_api_call *call, const mw_api_page *page,
                              const mw_list_filter *filter)
{
    static const char *const pages[] = {"cursor", "until", NULL};
    mw_session_following following = {
        .filter = *filter, .since_ns = page->since_ns, .limit = page->limit};
    mw_err err = mw_follower_refuse(call, pages);
    if (!err)
        err = read_place(call, &following);
    return err ? err : mw_session_follower_prepare(call, &following);
}

/* ---- list and show ------------------------------------------------------------------------- */

mw_err mw_api_session_list(mw_api_call *call)
{
    mw_api_page page;
    mw_store_view *view;
    mw_session_list list = {.items = NULL};
    mw_list_filter filter;
    bool follow = false;
    mw_err err = mw_api_page_read(call, mw_api_session_filters, &page);
    if (!err)
        err = mw_api_list_filter(call, &filter);
    if (!err)
        err = mw_api_switch(call, "follow", &follow);
    if (!err && follow)
        return follow_sessions(call, &page, &filter);
    if (!err)
        err = mw_api_view_open(call, &view);
    if (err)
        return err;
    mw_store_page bounds = {page.since_ns, page.until_ns, page.limit, page.cursor};
    err = mw_store_session_list_where(view, &bounds, &filter, &call->arena, &list);
    mw_store_view_close(view);
    if (err)
        return mw_api_cursor_error(call, err);
    mw_api_list_begin(call);
    for (size_t i = 0; i < list.count; i++) {
        mw_json_object_begin(&call->json);
        mw_shape_session_head(call, &list.items[i]);
        mw_json_object_end(&call->json);
    }
    mw_api_list_end(call, list.next_cursor, -1);
    return MW_OK;
}

mw_err mw_api_session_show(mw_api_call *call)
{
    mw_store_view *view;
    mw_session session = {.traces = NULL};
    mw_err err = mw_api_no_parameters(call);
    if (!err)
        err = mw_api_view_open(call, &view);
    if (err)
        return err;
    err = mw_store_session_read(view, call->request->params[0], &call->arena, &session);
    mw_store_view_close(view);
    if (err)
        return err;
    mw_json_object_begin(&call->json);
    mw_shape_session_head(call, &session.summary);
    mw_json_key(&call->json, MW_SLICE("trace_list"));
    mw_json_array_begin(&call->json);
    for (size_t i = 0; i < session.trace_count; i++)
        mw_shape_trace_summary(&call->json, &session.traces[i]);
    mw_json_array_end(&call->json);
    mw_api_warnings(call);
    mw_json_object_end(&call->json);
    return MW_OK;
}
