/* GET /api/v1/spans: spans by what they carry, whatever their trace. */
#include "server/api/api_int.h"
#include "server/api/otlp_answer.h"

const char *const mw_api_span_filters[] = {
    "service",         "session",         "name",      "agent",  "user", "model", "tool", "errors",
    "duration_min_ms", "duration_max_ms", "attribute", "format", NULL};

typedef struct span_question {
    mw_span_filter filter;
    bool otlp;
} span_question;

static mw_err read_filter(mw_api_call *call, mw_span_filter *filter)
{
    const struct {
        const char *name;
        mw_slice *value;
    } texts[] = {{"service", &filter->service}, {"session", &filter->session_id},
                 {"name", &filter->name},       {"agent", &filter->agent},
                 {"user", &filter->user},       {"model", &filter->model},
                 {"tool", &filter->tool}};
    mw_err err = MW_OK;
    for (size_t i = 0; i < sizeof texts / sizeof texts[0] && !err; i++)
        err = mw_api_filter(call, texts[i].name, texts[i].value);
    if (!err)
        err = mw_api_switch(call, "errors", &filter->errors_only);
    if (!err)
        err = mw_api_durations(call, &filter->duration_min_ns, &filter->duration_max_ns);
    if (!err)
        err = mw_api_attributes(call, &filter->attributes, &filter->attribute_count);
    return err;
}

static mw_err write_items(mw_api_call *call, const mw_span_page *page, size_t *written)
{
    mw_span_writer writer;
    mw_err err = MW_OK;
    mw_span_writer_init(&writer, &call->json);
    writer.trace_ids = true;
    mw_api_list_begin(call);
    for (; *written < page->count && !err; *written += !err)
        err = mw_span_write(&writer, &page->items[*written]);
    mw_span_writer_fini(&writer);
    if (!err)
        mw_api_list_end(call, page->next_cursor, -1);
    return err;
}

/* Of mw_otlp_source. */
static mw_err read_otlp(mw_api_call *call, mw_store_view *view, const mw_store_page *bounds,
                        const void *query, mw_otlp_answer *answer)
{
    mw_span_page page = {.items = NULL};
    mw_err err = mw_store_span_list(view, bounds, query, &call->arena, &page);
    if (err)
        return mw_api_cursor_error(call, err);
    err = mw_otlp_answer_init(answer, call, MW_JSON_TRACES, page.count);
    if (err)
        return err;
    for (size_t i = 0; i < page.count; i++)
        mw_otlp_answer_span(answer, &page.items[i]);
    answer->next_cursor = page.next_cursor;
    return MW_OK;
}

/* For mw_api_list_page. */
static mw_err write_page(mw_api_call *call, mw_store_view *view, const mw_store_page *bounds,
                         const void *query, size_t *written)
{
    const span_question *asked = query;
    const mw_otlp_source source = {.read = read_otlp, .query = &asked->filter};
    mw_span_page page = {.items = NULL};
    if (asked->otlp)
        return mw_otlp_page(call, view, bounds, &source, written);
    mw_err err = mw_store_span_list(view, bounds, &asked->filter, &call->arena, &page);
    if (err)
        return mw_api_cursor_error(call, err);
    return write_items(call, &page, written);
}

mw_err mw_api_span_list(mw_api_call *call)
{
    mw_api_page page;
    mw_store_view *view;
    span_question asked = {.otlp = false};
    mw_err err = mw_api_page_read(call, mw_api_span_filters, &page);
    if (!err)
        err = mw_api_format(call, &asked.otlp);
    if (!err)
        err = read_filter(call, &asked.filter);
    if (!err)
        err = mw_api_view_open(call, &view);
    if (err)
        return err;
    err = mw_api_list_page(call, &page, write_page, view, &asked);
    mw_store_view_close(view);
    return err;
}
