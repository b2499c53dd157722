/* The trace summary, as lists of traces and sessions show it. */
#include "server/api/api_int.h"

void mw_shape_trace_head(mw_json *json, const mw_trace_summary *trace, bool counts)
{
    mw_json_key(json, MW_SLICE("trace_id"));
    mw_json_hex(json, trace->trace_id, sizeof trace->trace_id);
    mw_json_kv_or_null(json, "root_name", trace->root_name);
    mw_json_kv_or_null(json, "service", trace->service);
    mw_json_key(json, MW_SLICE("session_ids"));
    mw_json_array_begin(json);
    for (size_t i = 0; i < trace->session_count; i++)
        mw_json_string(json, trace->session_ids[i]);
    mw_json_array_end(json);
    mw_json_kv_time(json, "start", trace->start_ns);
    mw_json_kv_double(json, "duration_ms", mw_duration_ms(trace->start_ns, trace->end_ns));
    mw_json_kv_u64(json, counts ? "spans" : "span_count", trace->spans);
    mw_json_kv_u64(json, counts ? "logs" : "log_count", trace->logs);
    mw_json_kv_u64(json, "errors", trace->errors);
    mw_json_kv_u64(json, "model_calls", trace->model_calls);
    mw_json_kv_u64(json, "tool_calls", trace->tool_calls);
    mw_json_kv_i64(json, "input_tokens", trace->input_tokens);
    mw_json_kv_i64(json, "output_tokens", trace->output_tokens);
}

void mw_shape_trace_summary(mw_json *json, const mw_trace_summary *trace)
{
    mw_json_object_begin(json);
    mw_shape_trace_head(json, trace, true);
    mw_json_object_end(json);
}
