/* GET /api/v1/spans: spans by what they carry, whatever their trace. */
#include "server/api/api_int.h"

const char *const mw_api_span_filters[] = {"service", "session",         "name",      "agent",
                                           "errors",  "duration_min_ms", "attribute", NULL};

static mw_err read_filter(mw_api_call *call, mw_span_filter *filter)
{
    const struct {
        const char *name;
        mw_slice *value;
    } texts[] = {{"service", &filter->service},
                 {"session", &filter->session_id},
                 {"name", &filter->name},
                 {"agent", &filter->agent}};
    mw_err err = MW_OK;
    for (size_t i = 0; i < sizeof texts / sizeof texts[0] && !err; i++)
        err = mw_api_filter(call, texts[i].name, texts[i].value);
    if (!err)
        err = mw_api_switch(call, "errors", &filter->errors_only);
    if (!err)
        err = mw_api_milliseconds(call, "duration_min_ms", &filter->duration_min_ns);
    if (!err)
        err = mw_api_attributes(call, &filter->attributes, &filter->attribute_count);
    return err;
}

/* For mw_api_list_page. */
static mw_err write_page(mw_api_call *call, mw_store_view *view, const mw_store_page *bounds,
                         const void *filter, size_t *written)
{
    mw_span_page page = {.items = NULL};
    mw_span_writer writer;
    mw_err err = mw_store_span_list(view, bounds, filter, &call->arena, &page);
    if (err)
        return mw_api_cursor_error(call, err);
    mw_span_writer_init(&writer, &call->json);
    writer.trace_ids = true;
    mw_api_list_begin(call);
    for (; *written < page.count && !err; *written += !err)
        err = mw_span_write(&writer, &page.items[*written]);
    mw_span_writer_fini(&writer);
    if (!err)
        mw_api_list_end(call, page.next_cursor, -1);
    return err;
}

mw_err mw_api_span_list(mw_api_call *call)
{
    mw_api_page page;
    mw_store_view *view;
    mw_span_filter filter = {.errors_only = false};
    mw_err err = mw_api_page_read(call, mw_api_span_filters, &page);
    if (!err)
        err = read_filter(call, &filter);
    if (!err)
        err = mw_api_view_open(call, &view);
    if (err)
        return err;
    err = mw_api_list_page(call, &page, write_page, view, &filter);
    mw_store_view_close(view);
    return err;
}
