/* GET /api/v1/metrics and /{name}: the metrics that were sent here. (The daemon's own /metrics is
 * server/metrics.c.) */
#include "proto/scan.h"
#include "server/api/api_int.h"
#include "server/api/otlp_answer.h"
#include "server/api/shape_point.h"

const char *const mw_api_metric_filters[] = {"service", "session", "namespace", NULL};
const char *const mw_api_point_filters[] = {"service", "session", "namespace", "format", NULL};

static mw_err read_query(mw_api_call *call, mw_metric_query *query)
{
    mw_err err = mw_api_filter(call, "service", &query->service);
    if (!err)
        err = mw_api_filter(call, "session", &query->session_id);
    if (!err)
        err = mw_api_filter(call, "namespace", &query->origin[MW_ORIGIN_METRIC_NAMESPACE]);
    return err;
}

/* ---- list ---------------------------------------------------------------------------------- */

typedef struct metric_question {
    mw_store_page bounds;
    mw_metric_query query;
    bool otlp;
} metric_question;

/* What list and show ask for, and a view to ask. */
static mw_err begin(mw_api_call *call, const char *const *filters, metric_question *asked,
                    mw_store_view **view)
{
    mw_api_page page;
    *asked = (metric_question){.otlp = false};
    mw_err err = mw_api_page_read(call, filters, &page);
    if (!err)
        err = mw_api_format(call, &asked->otlp);
    if (!err)
        err = read_query(call, &asked->query);
    if (err)
        return err;
    asked->bounds = (mw_store_page){page.since_ns, page.until_ns, page.limit, page.cursor};
    return mw_api_view_open(call, view);
}

static void write_summary(mw_json *json, const mw_metric_summary *metric)
{
    mw_json_object_begin(json);
    mw_json_kv(json, "name", metric->name);
    mw_json_kv(json, "kind", mw_slice_of(mw_metric_kind_name((mw_metric_kind)metric->kind)));
    mw_json_kv_or_null(json, "unit", metric->unit);
    mw_json_key(json, MW_SLICE("services"));
    mw_json_array_begin(json);
    for (size_t i = 0; i < metric->service_count; i++)
        mw_json_string(json, metric->services[i]);
    mw_json_array_end(json);
    mw_json_kv_u64(json, "series", metric->series);
    mw_json_kv_u64(json, "points", metric->points);
    mw_json_kv_time(json, "first_seen", metric->first_ns);
    mw_json_kv_time(json, "last_seen", metric->last_ns);
    mw_json_object_end(json);
}

mw_err mw_api_metric_list(mw_api_call *call)
{
    metric_question asked;
    mw_store_view *view;
    mw_metric_list list = {.items = NULL};
    mw_err err = begin(call, mw_api_metric_filters, &asked, &view);
    if (err)
        return err;
    err = mw_store_metric_list(view, &asked.bounds, &asked.query, &call->arena, &list);
    mw_store_view_close(view);
    if (err)
        return mw_api_cursor_error(call, err);
    mw_api_list_begin(call);
    for (size_t i = 0; i < list.count; i++)
        write_summary(&call->json, &list.items[i]);
    mw_api_list_end(call, list.next_cursor, -1);
    return MW_OK;
}

/* ---- show ---------------------------------------------------------------------------------- */

static mw_err write_metric(mw_api_call *call, const mw_metric *metric)
{
    mw_json *json = &call->json;
    mw_series_writer writer;
    mw_err err = MW_OK;
    mw_series_writer_init(&writer, json);
    mw_json_object_begin(json);
    mw_json_kv(json, "name", call->request->params[0]);
    mw_json_key(json, MW_SLICE("series"));
    mw_json_array_begin(json);
    for (size_t i = 0; i < metric->series_count && !err; i++)
        if (metric->series[i].point_count)
            err = mw_series_write(&writer, &metric->series[i]);
    mw_series_writer_fini(&writer);
    if (err)
        return err;
    mw_json_array_end(json);
    mw_json_kv_or_null(json, "next_cursor", metric->next_cursor);
    mw_api_warnings(call);
    mw_json_object_end(json);
    return MW_OK;
}

static size_t count_points(const mw_metric *metric)
{
    size_t count = 0;
    for (size_t i = 0; i < metric->series_count; i++)
        count += metric->series[i].point_count;
    return count;
}

static mw_err read_metric(mw_api_call *call, mw_store_view *view, const mw_store_page *bounds,
                          const mw_metric_query *query, mw_metric *out)
{
    *out = (mw_metric){.series = NULL};
    mw_err err =
        mw_store_metric_read(view, call->request->params[0], bounds, query, &call->arena, out);
    if (err == MW_E_NOT_FOUND)
        return mw_detail_set(&call->detail, err, "name",
                             "midwatch metric list shows which there are",
                             "no metric has that name");
    return err ? mw_api_cursor_error(call, err) : MW_OK;
}

/* Of mw_otlp_source. */
static mw_err read_otlp(mw_api_call *call, mw_store_view *view, const mw_store_page *bounds,
                        const void *query, mw_otlp_answer *answer)
{
    mw_metric metric;
    mw_err err = read_metric(call, view, bounds, query, &metric);
    if (!err)
        err = mw_otlp_answer_init(answer, call, MW_JSON_METRICS, count_points(&metric));
    if (err)
        return err;
    for (size_t i = 0; i < metric.series_count; i++)
        for (size_t p = 0; p < metric.series[i].point_count; p++)
            mw_otlp_answer_point(answer, &metric.series[i].points[p]);
    answer->next_cursor = metric.next_cursor;
    return MW_OK;
}

static mw_err show_otlp(mw_api_call *call, mw_store_view *view, const metric_question *asked)
{
    const mw_otlp_source source = {.read = read_otlp, .query = &asked->query};
    size_t smaller;
    return mw_otlp_page(call, view, &asked->bounds, &source, &smaller);
}

static mw_err show_json(mw_api_call *call, mw_store_view *view, const metric_question *asked)
{
    mw_metric metric;
    mw_err err = read_metric(call, view, &asked->bounds, &asked->query, &metric);
    return err ? err : write_metric(call, &metric);
}

mw_err mw_api_metric_show(mw_api_call *call)
{
    metric_question asked;
    mw_store_view *view;
    mw_err err = begin(call, mw_api_point_filters, &asked, &view);
    if (err)
        return err;
    err = asked.otlp ? show_otlp(call, view, &asked) : show_json(call, view, &asked);
    mw_store_view_close(view);
    return err;
}
