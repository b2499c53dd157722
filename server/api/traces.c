/* GET /api/v1/traces and /{id}. */
#include "lib/base/trace_id.h"
#include "server/api/api_int.h"
#include "server/api/otlp_answer.h"
#include "server/api/shape_span.h"

const char *const mw_api_trace_filters[] = {"format", NULL};

mw_err mw_api_trace_list(mw_api_call *call)
{
    mw_api_page page;
    mw_store_view *view;
    mw_trace_list list = {.items = NULL};
    mw_list_filter filter;
    mw_err err = mw_api_page_read(call, mw_api_list_filters, &page);
    if (!err)
        err = mw_api_list_filter(call, &filter);
    if (!err)
        err = mw_api_view_open(call, &view);
    if (err)
        return err;
    mw_store_page bounds = {page.since_ns, page.until_ns, page.limit, page.cursor};
    err = mw_store_trace_list_where(view, &bounds, &filter, &call->arena, &list);
    mw_store_view_close(view);
    if (err)
        return mw_api_cursor_error(call, err);
    mw_api_list_begin(call);
    for (size_t i = 0; i < list.count; i++)
        mw_shape_trace_summary(&call->json, &list.items[i]);
    mw_api_list_end(call, list.next_cursor, -1);
    return MW_OK;
}

/* Logs that do not fit beside the spans, in the answer or in memory, are null: log_count says how
 * many there are, and the list of logs has pages. Without spans there is nothing to show, so those
 * are not given up. */
static mw_err write_logs(mw_api_call *call, mw_store_view *view,
                         const uint8_t trace_id[MW_TRACE_ID_SIZE])
{
    mw_json before = call->json;
    size_t len = call->text.len;
    mw_err err = mw_api_logs_of_trace(call, view, trace_id);
    if (err != MW_E_LIMIT && err != MW_E_NOMEM)
        return err;
    call->json = before;
    call->text.len = len;
    call->text.err = MW_OK;
    mw_json_kv_null(&call->json, "logs");
    return call->text.err;
}

static mw_err write_trace(mw_api_call *call, mw_store_view *view, const mw_trace *trace)
{
    mw_json *json = &call->json;
    mw_span_writer writer;
    mw_err err = MW_OK;
    mw_span_writer_init(&writer, json);
    mw_json_object_begin(json);
    mw_shape_trace_head(json, &trace->summary, false);
    mw_json_key(json, MW_SLICE("spans"));
    mw_json_array_begin(json);
    for (size_t i = 0; i < trace->span_count && !err; i++)
        err = mw_span_write(&writer, &trace->spans[i]);
    mw_span_writer_fini(&writer);
    if (err)
        return err;
    mw_json_array_end(json);
    err = write_logs(call, view, trace->summary.trace_id);
    if (err)
        return err;
    mw_api_warnings(call);
    mw_json_object_end(json);
    return MW_OK;
}

/* Its spans alone: log records are a request of their own (/logs?trace=). Of mw_otlp_source. */
static mw_err read_otlp(mw_api_call *call, mw_store_view *view, const mw_store_page *bounds,
                        const void *query, mw_otlp_answer *answer)
{
    mw_trace trace = {.spans = NULL};
    (void)bounds;
    mw_err err = mw_store_trace_read(view, query, &call->arena, &trace);
    if (!err)
        err = mw_otlp_answer_init(answer, call, MW_JSON_TRACES, trace.span_count);
    if (err)
        return err;
    for (size_t i = 0; i < trace.span_count; i++)
        mw_otlp_answer_span(answer, &trace.spans[i]);
    return MW_OK;
}

static mw_err show_otlp(mw_api_call *call, mw_store_view *view,
                        const uint8_t trace_id[MW_TRACE_ID_SIZE])
{
    const mw_otlp_source source = {.read = read_otlp, .query = trace_id, .indivisible = true};
    const mw_store_page all = {.limit = 1, .cursor = MW_SLICE_NONE};
    size_t smaller;
    return mw_otlp_page(call, view, &all, &source, &smaller);
}

/* The slices of the answer live in the arena, but the view pins what they were read from. */
static mw_err show_json(mw_api_call *call, mw_store_view *view,
                        const uint8_t trace_id[MW_TRACE_ID_SIZE])
{
    mw_trace trace = {.spans = NULL};
    mw_err err = mw_store_trace_read(view, trace_id, &call->arena, &trace);
    return err ? err : write_trace(call, view, &trace);
}

mw_err mw_api_trace_show(mw_api_call *call)
{
    bool otlp;
    mw_slice id;
    char digits[MW_ID_TEXT_SIZE];
    uint8_t trace_id[MW_TRACE_ID_SIZE];
    mw_store_view *view;
    mw_err err = mw_api_check_filters(call);
    if (!err)
        err = mw_api_format(call, &otlp);
    if (!err)
        err = mw_api_hex_id(call, mw_trace_id_digits(call->request->params[0], digits), &id);
    if (!err)
        err = mw_api_view_open(call, &view);
    if (err)
        return err;
    err = mw_store_trace_find(view, id, trace_id);
    if (!err)
        err = otlp ? show_otlp(call, view, trace_id) : show_json(call, view, trace_id);
    mw_store_view_close(view);
    return err;
}
