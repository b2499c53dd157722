/* topology show, service list, service show: what goes through services, and between them. */
#include "cli/cli_int.h"

static const mw_column edge_columns[] = {
    {"CALLER", MW_COLUMN_SHRINK | MW_COLUMN_LEAST(12)},
    {"CALLEE", MW_COLUMN_SHRINK | MW_COLUMN_LEAST(12)},
    {"CALLS", MW_COLUMN_RIGHT},
    {"ERRORS", MW_COLUMN_RIGHT | MW_COLUMN_DROP(1)},
    {"FAILED", MW_COLUMN_RIGHT},
    {"P50", MW_COLUMN_RIGHT},
    {"P90", MW_COLUMN_RIGHT | MW_COLUMN_DROP(2)},
    {"P99", MW_COLUMN_RIGHT},
    {"WIRE P50", MW_COLUMN_RIGHT | MW_COLUMN_DROP(4)},
    {"WIRE P99", MW_COLUMN_RIGHT | MW_COLUMN_DROP(3)},
};

/* Of services: CALLS to FAILED and the latencies are of what enters, the last two of all spans. */
static const mw_column service_columns[] = {
    {"SERVICE", MW_COLUMN_LATE | MW_COLUMN_LEAST(24)}, /* cut short no name to `service show` */
    {"CALLS", MW_COLUMN_RIGHT},
    {"ERRORS", MW_COLUMN_RIGHT | MW_COLUMN_DROP(1)},
    {"FAILED", MW_COLUMN_RIGHT},
    {"P50", MW_COLUMN_RIGHT},
    {"P90", MW_COLUMN_RIGHT | MW_COLUMN_DROP(2)},
    {"P99", MW_COLUMN_RIGHT},
    {"SPANS", MW_COLUMN_RIGHT | MW_COLUMN_DROP(4)},
    {"FAILED SPANS", MW_COLUMN_RIGHT | MW_COLUMN_DROP(3)},
};

static const mw_column operation_columns[] = {
    {"OPERATION", MW_COLUMN_SHRINK | MW_COLUMN_LEAST(20)},
    {"SPANS", MW_COLUMN_RIGHT},
    {"ERRORS", MW_COLUMN_RIGHT | MW_COLUMN_DROP(1)},
    {"FAILED", MW_COLUMN_RIGHT},
    {"P50", MW_COLUMN_RIGHT},
    {"P90", MW_COLUMN_RIGHT | MW_COLUMN_DROP(2)},
    {"P99", MW_COLUMN_RIGHT},
    {"ENTERS", MW_COLUMN_RIGHT | MW_COLUMN_DROP(3)},
};

/* ---- cells ----------------------------------------------------------------------------------- */

static void count_cell(mw_table *table, const json_t *object, const char *key)
{
    mw_table_cellf(table, "%lld", (long long)mw_integer(object, key));
}

/* Errors in percent; empty where there was nothing that could fail. */
static void rate_cell(mw_table *table, const json_t *object)
{
    double percent = 100 * mw_number(object, "error_rate");
    if (mw_is_null(object, "error_rate"))
        mw_table_cell(table, MW_SLICE_NONE);
    else
        mw_table_cellf(table, percent > 0 && percent < 0.1 ? "<0.1%%" : "%.1f%%", percent);
    if (percent > 0)
        mw_table_style(table, MW_STYLE_RED);
}

static void ms_cell(mw_table *table, const json_t *object, const char *key)
{
    char text[MW_CELL_SIZE] = "";
    if (!mw_is_null(object, key))
        mw_duration_text(mw_number(object, key), text, sizeof text);
    mw_table_cell(table, mw_slice_of(text));
}

static void latency_cells(mw_table *table, const json_t *object)
{
    ms_cell(table, object, "p50_ms");
    ms_cell(table, object, "p90_ms");
    ms_cell(table, object, "p99_ms");
}

/* What the figures are of: they are a window's, and nobody need have asked for one. */
static void append_window(const json_t *root, mw_buffer *out)
{
    char start[MW_CELL_SIZE], end[MW_CELL_SIZE];
    const json_t *window = json_object_get(root, "window");
    mw_instant_text(window, "start", start);
    mw_instant_text(window, "end", end);
    mw_buffer_appendf(out, "%s to %s\n\n", start, end);
}

/* ---- edges ----------------------------------------------------------------------------------- */

/* Worst share of errors first, then the most calls, then by name as they came. */
static int worst_first(const void *left, const void *right)
{
    const json_t *a = *(json_t *const *)left, *b = *(json_t *const *)right;
    double x = mw_number(a, "error_rate"), y = mw_number(b, "error_rate");
    int64_t m = mw_integer(a, "calls"), n = mw_integer(b, "calls");
    if (x != y)
        return x > y ? -1 : 1;
    if (m != n)
        return m > n ? -1 : 1;
    int order = mw_slice_compare(mw_text(a, "caller"), mw_text(b, "caller"));
    return order ? order : mw_slice_compare(mw_text(a, "callee"), mw_text(b, "callee"));
}

static void add_edge(mw_table *table, const json_t *edge)
{
    const json_t *wire = json_object_get(edge, "wire");
    mw_table_cell(table, mw_text(edge, "caller"));
    mw_table_cell(table, mw_text(edge, "callee"));
    count_cell(table, edge, "calls");
    count_cell(table, edge, "errors");
    rate_cell(table, edge);
    latency_cells(table, edge);
    ms_cell(table, wire, "p50_ms");
    ms_cell(table, wire, "p99_ms");
}

/* Of one or two arrays of edges. */
static void append_edges(mw_cli *cli, const json_t *first, const json_t *second, mw_buffer *out)
{
    mw_table table;
    size_t count = 0, all = json_array_size(first) + json_array_size(second);
    const json_t **edges = mw_calloc_or_die(MW_MEM_BASE, all + 1, sizeof *edges);
    for (size_t i = 0; i < json_array_size(first); i++)
        edges[count++] = json_array_get(first, i);
    for (size_t i = 0; i < json_array_size(second); i++)
        edges[count++] = json_array_get(second, i);
    if (count > 1)
        qsort(edges, count, sizeof *edges, worst_first);
    mw_table_init(&table, edge_columns, sizeof edge_columns / sizeof edge_columns[0]);
    for (size_t i = 0; i < count; i++)
        add_edge(&table, edges[i]);
    mw_table_print(&table, cli->width, cli->color, 0, out);
    mw_table_fini(&table);
    mw_free(MW_MEM_BASE, (void *)edges);
}

static void render_topology(mw_cli *cli, json_t *root, mw_buffer *out)
{
    const json_t *edges = json_object_get(root, "edges");
    append_window(root, out);
    if (json_array_size(edges))
        append_edges(cli, edges, NULL, out);
    else
        mw_buffer_appendf(out, "no calls between services in this window; services: %zu\n",
                          json_array_size(json_object_get(root, "services")));
}

int mw_cmd_topology_show(mw_cli *cli)
{
    mw_buffer path;
    mw_buffer_init(&path, MW_MEM_BASE, MW_CLI_PATH_MAX * 2);
    mw_list_path(cli, "topology", &path);
    mw_buffer_append_byte(&path, '\0');
    int status = path.err ? mw_complain(MW_EXIT_USAGE, "topology", "a time is too long", "")
                          : mw_show(cli, path.data, render_topology);
    mw_buffer_fini(&path);
    return status;
}

/* ---- services -------------------------------------------------------------------------------- */

static void add_service(mw_cli *cli, mw_table *table, const json_t *item)
{
    (void)cli;
    const json_t *entry = json_object_get(item, "entry");
    mw_slice name = mw_text(item, "service");
    mw_table_cell(table, name.len ? name : MW_SLICE("(unknown)"));
    count_cell(table, entry, "calls");
    count_cell(table, entry, "errors");
    rate_cell(table, entry);
    latency_cells(table, entry);
    count_cell(table, item, "spans");
    count_cell(table, item, "errors");
}

static void render_services(mw_cli *cli, json_t *root, mw_buffer *out)
{
    append_window(root, out);
    mw_item_table(cli, service_columns, sizeof service_columns / sizeof service_columns[0],
                  json_object_get(root, "items"), add_service, out);
}

int mw_cmd_service_list(mw_cli *cli)
{
    return mw_list(cli, "services", "services", render_services);
}

static void add_operation(mw_cli *cli, mw_table *table, const json_t *item)
{
    (void)cli;
    mw_table_cell(table, mw_text(item, "operation"));
    count_cell(table, item, "spans");
    count_cell(table, item, "errors");
    rate_cell(table, item);
    latency_cells(table, item);
    count_cell(table, json_object_get(item, "entry"), "calls");
}

static void render_service(mw_cli *cli, json_t *root, mw_buffer *out)
{
    const json_t *operations = json_object_get(root, "operations");
    const json_t *callers = json_object_get(root, "callers");
    const json_t *callees = json_object_get(root, "callees");
    mw_buffer_appendf(out, "service ");
    mw_visible(out, mw_text(root, "service"));
    mw_buffer_appendf(out, ", ");
    append_window(root, out);
    if (json_array_size(operations))
        mw_item_table(cli, operation_columns,
                      sizeof operation_columns / sizeof operation_columns[0], operations,
                      add_operation, out);
    else
        mw_buffer_appendf(out, "no spans of its own in this window\n");
    if (json_array_size(callers) + json_array_size(callees) == 0)
        return;
    mw_buffer_append_byte(out, '\n');
    append_edges(cli, callers, callees, out);
}

int mw_cmd_service_show(mw_cli *cli)
{
    return mw_show_id(cli, "services", render_service);
}
