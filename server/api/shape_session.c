/* What lists, followers and turns show of a session. Declared in api_int.h. Pure. */
#include "server/api/api_int.h"

void mw_shape_session_members(mw_json *json, mw_slice space, const mw_session_summary *session)
{
    mw_json_kv(json, "session_id", session->session_id);
    mw_json_kv(json, "space", space);
    mw_json_kv_or_null(json, "agent", session->agent);
    mw_json_kv_or_null(json, "user", session->user);
    mw_json_kv_time(json, "first_seen", session->first_seen_ns);
    mw_json_kv_time(json, "last_seen", session->last_seen_ns);
    mw_json_kv_u64(json, "traces", session->traces);
    mw_json_kv_u64(json, "spans", session->spans);
    mw_json_kv_u64(json, "logs", session->logs);
    mw_json_kv_u64(json, "errors", session->errors);
    mw_json_kv_u64(json, "model_calls", session->model_calls);
    mw_json_kv_u64(json, "tool_calls", session->tool_calls);
    mw_json_kv_i64(json, "input_tokens", session->input_tokens);
    mw_json_kv_i64(json, "output_tokens", session->output_tokens);
    mw_json_kv_double(json, "duration_ms",
                      mw_duration_ms(session->first_seen_ns, session->last_seen_ns));
}

void mw_shape_session_head(mw_api_call *call, const mw_session_summary *session)
{
    mw_shape_session_members(&call->json, mw_slice_of(mw_space_name(call->space)), session);
}
