/* GET /api/v1/topology, /api/v1/services and /api/v1/services/{name}: a window's roll-ups.
 *
 * Without since and until the window is the newest 30 minutes that hold spans, since data may be
 * years old. Pool threads.
 */
#include "server/api/api_int.h"

#define MINUTE_NS (60 * (uint64_t)MW_NS_PER_S)
/* What an investigation looks at, too. */
#define WINDOW_NS (30 * MINUTE_NS)
/* Spans that claim to start later than this from now do not move the window: a clock is wrong. */
#define AHEAD_NS (10 * MINUTE_NS)

const char *const mw_api_window_names[] = {"since", "until", NULL};
const char *const mw_api_service_filters[] = {"since", "until", "operations", "minutes", NULL};

/* ---- the window ------------------------------------------------------------------------------ */

/* The end of the newest minute that holds spans; of the present one when there is none. */
static mw_err newest_end(mw_api_call *call, uint64_t *end_ns)
{
    uint64_t now_ns = (uint64_t)mw_clock_wall_ns(call->server->clock), minute_ns;
    const mw_store_stop stop = mw_api_stop(call);
    mw_err err = mw_store_newest_minute(mw_api_store(call), now_ns + AHEAD_NS, &stop, &minute_ns);
    if (err == MW_E_NOT_FOUND) {
        minute_ns = now_ns - now_ns % MINUTE_NS;
        err = MW_OK;
    }
    if (!err)
        *end_ns = minute_ns + MINUTE_NS;
    return err;
}

mw_err mw_api_figures_window(mw_api_call *call, uint64_t *since_ns, uint64_t *until_ns)
{
    mw_err err = mw_api_window_read(call, since_ns, until_ns);
    if (!err && !*since_ns && !*until_ns)
        err = newest_end(call, until_ns);
    if (!err && !*since_ns)
        *since_ns = *until_ns > WINDOW_NS ? *until_ns - WINDOW_NS : 1;
    return err;
}

/* "window":{...},"as_of":...,"left_out":...: what the figures are of. */
static void write_window(mw_json *json, uint64_t since_ns, uint64_t until_ns, uint64_t as_of,
                         uint64_t left_out)
{
    mw_json_key(json, MW_SLICE("window"));
    mw_json_object_begin(json);
    mw_json_kv_time(json, "start", since_ns);
    mw_json_kv_time(json, "end", until_ns);
    mw_json_object_end(json);
    mw_json_kv_u64(json, "as_of", as_of);
    mw_json_kv_u64(json, "left_out", left_out);
}

static void write_ms(mw_json *json, const char *key, const mw_red *red, uint64_t ns)
{
    if (red->count)
        mw_json_kv_double(json, key, (double)ns / 1e6);
    else
        mw_json_kv_null(json, key);
}

static void write_latency(mw_json *json, const mw_red *red)
{
    write_ms(json, "mean_ms", red, red->mean_ns);
    write_ms(json, "p50_ms", red, red->p50_ns);
    write_ms(json, "p90_ms", red, red->p90_ns);
    write_ms(json, "p99_ms", red, red->p99_ns);
}

/* `count` is the first member's name: "spans", "calls". */
static void write_red(mw_json *json, const char *count, const mw_red *red)
{
    mw_json_kv_u64(json, count, red->count);
    mw_json_kv_u64(json, "errors", red->errors);
    if (red->count)
        mw_json_kv_double(json, "error_rate", (double)red->errors / (double)red->count);
    else
        mw_json_kv_null(json, "error_rate");
    write_latency(json, red);
}

static void write_minutes(mw_json *json, const mw_red *minutes, uint64_t since_ns,
                          uint64_t until_ns)
{
    mw_json_key(json, MW_SLICE("minutes"));
    mw_json_array_begin(json);
    for (uint64_t at = since_ns, i = 0; at < until_ns; at += MINUTE_NS, i++) {
        mw_json_object_begin(json);
        mw_json_kv_time(json, "time", at);
        write_red(json, "spans", &minutes[i]);
        mw_json_object_end(json);
    }
    mw_json_array_end(json);
}

static void write_entry(mw_json *json, const mw_red *entry)
{
    mw_json_key(json, MW_SLICE("entry"));
    mw_json_object_begin(json);
    write_red(json, "calls", entry);
    mw_json_object_end(json);
}

/* The members of a service or an operation; of a list they may have minutes. */
static void write_row(mw_json *json, const mw_red_row *row, const mw_red_list *list)
{
    if (row->operation.len)
        mw_json_kv(json, "operation", row->operation);
    else
        mw_json_kv_or_null(json, "service", row->service);
    write_red(json, "spans", &row->red);
    write_entry(json, &row->entry);
    if (list && row->minutes)
        write_minutes(json, row->minutes, list->since_ns, list->until_ns);
}

static void write_edge(mw_json *json, const mw_graph_edge *edge)
{
    mw_json_object_begin(json);
    mw_json_kv(json, "caller", edge->caller);
    mw_json_kv(json, "callee", edge->callee);
    write_red(json, "calls", &edge->red);
    mw_json_key(json, MW_SLICE("wire"));
    mw_json_object_begin(json);
    mw_json_kv_u64(json, "calls", edge->wire.count);
    write_latency(json, &edge->wire);
    mw_json_object_end(json);
    mw_json_object_end(json);
}

/* ---- topology -------------------------------------------------------------------------------- */

mw_err mw_api_topology_show(mw_api_call *call)
{
    mw_json *json = &call->json;
    mw_graph graph;
    const mw_store_stop stop = mw_api_stop(call);
    uint64_t since_ns, until_ns;
    mw_err err = mw_api_figures_window(call, &since_ns, &until_ns);
    if (!err)
        err = mw_store_graph(mw_api_store(call), since_ns, until_ns, &stop, &call->arena, &graph);
    if (err)
        return err;
    mw_json_object_begin(json);
    write_window(json, graph.since_ns, graph.until_ns, graph.as_of, graph.left_out);
    mw_json_key(json, MW_SLICE("services"));
    mw_json_array_begin(json);
    for (size_t i = 0; i < graph.service_count; i++) {
        mw_json_object_begin(json);
        write_row(json, &graph.services[i], NULL);
        mw_json_object_end(json);
    }
    mw_json_array_end(json);
    mw_json_key(json, MW_SLICE("edges"));
    mw_json_array_begin(json);
    for (size_t i = 0; i < graph.edge_count; i++)
        write_edge(json, &graph.edges[i]);
    mw_json_array_end(json);
    call->unread = graph.unread;
    mw_api_warnings(call);
    mw_json_object_end(json);
    return MW_OK;
}

/* ---- services -------------------------------------------------------------------------------- */

/* The operations of the row at *at, which is moved behind them. */
static void write_operations(mw_json *json, const mw_red_list *list, size_t *at)
{
    mw_json_key(json, MW_SLICE("operations"));
    mw_json_array_begin(json);
    for (; *at < list->count && list->items[*at].operation.len; ++*at) {
        mw_json_object_begin(json);
        write_row(json, &list->items[*at], list);
        mw_json_object_end(json);
    }
    mw_json_array_end(json);
}

static void write_service(mw_json *json, const mw_red_list *list, size_t *at, bool operations)
{
    write_row(json, &list->items[(*at)++], list);
    if (operations)
        write_operations(json, list, at);
}

mw_err mw_api_service_list(mw_api_call *call)
{
    mw_json *json = &call->json;
    mw_red_query query = {.stop = mw_api_stop(call)};
    mw_red_list list;
    int64_t total = 0;
    mw_err err = mw_api_figures_window(call, &query.since_ns, &query.until_ns);
    if (!err)
        err = mw_api_switch(call, "operations", &query.by_operation);
    if (!err)
        err = mw_api_switch(call, "minutes", &query.by_minute);
    if (!err)
        err = mw_store_red(mw_api_store(call), &query, &call->arena, &list);
    if (err)
        return err;
    mw_json_object_begin(json);
    write_window(json, list.since_ns, list.until_ns, list.as_of, list.left_out);
    mw_json_key(json, MW_SLICE("items"));
    mw_json_array_begin(json);
    for (size_t at = 0; at < list.count; total++) {
        mw_json_object_begin(json);
        write_service(json, &list, &at, query.by_operation);
        mw_json_object_end(json);
    }
    mw_api_items_end(call);
    call->unread = list.unread;
    mw_api_list_close(call, MW_SLICE_NONE, total);
    return MW_OK;
}

/* Edges with the service at one of their ends. */
static void write_edges(mw_json *json, const char *key, const mw_graph *graph, mw_slice service,
                        bool as_callee)
{
    mw_json_key(json, mw_slice_of(key));
    mw_json_array_begin(json);
    for (size_t i = 0; i < graph->edge_count; i++) {
        const mw_graph_edge *edge = &graph->edges[i];
        if (mw_slice_equal(as_callee ? edge->callee : edge->caller, service))
            write_edge(json, edge);
    }
    mw_json_array_end(json);
}

static const mw_red_row *find_service(const mw_graph *graph, mw_slice service)
{
    for (size_t i = 0; i < graph->service_count; i++)
        if (mw_slice_equal(graph->services[i].service, service))
            return &graph->services[i];
    return NULL;
}

/* Who only is called has no operations, but callers. */
static void write_callee(mw_json *json, const mw_red_row *row)
{
    write_row(json, row, NULL);
    mw_json_key(json, MW_SLICE("operations"));
    mw_json_array_begin(json);
    mw_json_array_end(json);
}

mw_err mw_api_service_show(mw_api_call *call)
{
    mw_json *json = &call->json;
    mw_red_query query = {
        .service = call->request->params[0], .by_operation = true, .stop = mw_api_stop(call)};
    mw_red_list list;
    mw_graph graph;
    size_t at = 0;
    mw_err err = mw_api_figures_window(call, &query.since_ns, &query.until_ns);
    if (!err)
        err = mw_store_red(mw_api_store(call), &query, &call->arena, &list);
    if (!err)
        err = mw_store_graph(mw_api_store(call), query.since_ns, query.until_ns, &query.stop,
                             &call->arena, &graph);
    if (err)
        return err;
    const mw_red_row *known = find_service(&graph, query.service);
    if (!list.count && !known)
        return mw_detail_set(&call->detail, MW_E_NOT_FOUND, "name",
                             "list them, or give another window with since and until",
                             "no service of that name in this window");
    mw_json_object_begin(json);
    write_window(json, list.since_ns, list.until_ns, list.as_of, list.left_out);
    if (list.count)
        write_service(json, &list, &at, true);
    else
        write_callee(json, known);
    write_edges(json, "callers", &graph, query.service, true);
    write_edges(json, "callees", &graph, query.service, false);
    call->unread = list.unread;
    mw_api_warnings(call);
    mw_json_object_end(json);
    return MW_OK;
}
