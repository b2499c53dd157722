/* GET /api/v1/agents and /{name}: what agents did in a window. Pool threads. */
#include "server/api/api_int.h"

static void write_agent(mw_json *json, const mw_agent_summary *agent, bool sessions_known)
{
    mw_json_kv(json, "agent", agent->name);
    mw_json_key(json, MW_SLICE("services"));
    mw_json_array_begin(json);
    for (size_t i = 0; i < agent->service_count; i++)
        mw_json_string(json, agent->services[i]);
    mw_json_array_end(json);
    if (sessions_known)
        mw_json_kv_u64(json, "sessions", agent->sessions);
    else
        mw_json_kv_null(json, "sessions");
    mw_json_kv_u64(json, "traces", agent->traces);
    mw_json_kv_u64(json, "spans", agent->spans);
    mw_json_kv_u64(json, "errors", agent->errors);
    mw_json_kv_u64(json, "own_spans", agent->own_spans);
    mw_json_kv_u64(json, "own_errors", agent->own_errors);
    mw_json_kv_u64(json, "model_calls", agent->model_calls);
    mw_json_kv_u64(json, "tool_calls", agent->tool_calls);
    mw_json_kv_i64(json, "input_tokens", agent->input_tokens);
    mw_json_kv_i64(json, "output_tokens", agent->output_tokens);
    mw_json_kv_time(json, "first_seen", agent->first_seen_ns);
    mw_json_kv_time(json, "last_seen", agent->last_seen_ns);
}

static void write_window(mw_json *json, const mw_agent_query *query, uint64_t left_out)
{
    mw_json_key(json, MW_SLICE("window"));
    mw_json_object_begin(json);
    mw_json_kv_time(json, "start", query->since_ns);
    mw_json_kv_time(json, "end", query->until_ns);
    mw_json_object_end(json);
    mw_json_kv_u64(json, "left_out", left_out);
}

static mw_err ask(mw_api_call *call, mw_agent_query *query, mw_agent_list *list)
{
    mw_store_view *view;
    mw_err err = mw_api_figures_window(call, &query->since_ns, &query->until_ns);
    if (!err && !query->until_ns)
        query->until_ns = (uint64_t)mw_clock_wall_ns(call->server->clock);
    if (!err)
        err = mw_api_view_open(call, &view);
    if (err)
        return err;
    err = mw_store_agent_list(view, query, &call->arena, list);
    mw_store_view_close(view);
    return err;
}

mw_err mw_api_agent_list(mw_api_call *call)
{
    mw_json *json = &call->json;
    mw_agent_query query = {.name = MW_SLICE_NONE};
    mw_agent_list list;
    mw_err err = ask(call, &query, &list);
    if (err)
        return err;
    mw_json_object_begin(json);
    write_window(json, &query, list.left_out);
    mw_json_key(json, MW_SLICE("items"));
    mw_json_array_begin(json);
    for (size_t i = 0; i < list.count; i++) {
        mw_json_object_begin(json);
        write_agent(json, &list.items[i], list.sessions_known);
        mw_json_object_end(json);
    }
    mw_api_items_end(call);
    mw_api_list_close(call, MW_SLICE_NONE, (int64_t)list.count);
    return MW_OK;
}

mw_err mw_api_agent_show(mw_api_call *call)
{
    mw_agent_query query = {.name = call->request->params[0]};
    mw_agent_list list;
    mw_err err = ask(call, &query, &list);
    if (err)
        return err;
    if (list.count == 0)
        return mw_detail_set(&call->detail, MW_E_NOT_FOUND, "name",
                             "list them, or give another window with since and until",
                             "no agent of that name in this window");
    mw_json_object_begin(&call->json);
    write_window(&call->json, &query, 0);
    write_agent(&call->json, &list.items[0], list.sessions_known);
    mw_api_warnings(call);
    mw_json_object_end(&call->json);
    return MW_OK;
}
