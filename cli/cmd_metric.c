/* metric list, and metric show: the newest point of each series. */
#include "cli/cli_int.h"

/* Of attributes in a table without bounds; --json has all of them. */
#define ATTRIBUTE_COLUMNS 160

static const mw_column list_columns[] = {
    {"METRIC", MW_COLUMN_LATE | MW_COLUMN_LEAST(24)}, /* cut short it is no name to `metric show` */
    {"KIND", MW_COLUMN_SHRINK | MW_COLUMN_LEAST(11) | MW_COLUMN_DROP(1)},
    {"UNIT", MW_COLUMN_SHRINK | MW_COLUMN_DROP(3)},
    {"SERIES", MW_COLUMN_RIGHT},
    {"POINTS", MW_COLUMN_RIGHT},
    {"LAST SEEN", MW_COLUMN_DROP(2)},
    {"SERVICES", MW_COLUMN_SHRINK | MW_COLUMN_DROP(4)},
};

/* Columns that a table of series begins with; KIND stands in it when the kinds differ. */
enum { LEADING_COLUMNS = 2 };
static const mw_column kind_column = {"KIND", MW_COLUMN_SHRINK | MW_COLUMN_LEAST(11)};

/* Gauges and sums. */
static const mw_column value_columns[] = {
    {"SERVICE", MW_COLUMN_SHRINK | MW_COLUMN_DROP(1)},
    {"ATTRIBUTES", MW_COLUMN_SHRINK | MW_COLUMN_LEAST(16)},
    {"NEWEST", MW_COLUMN_DROP(2)},
    {"VALUE", MW_COLUMN_RIGHT},
    {"POINTS", MW_COLUMN_RIGHT | MW_COLUMN_DROP(3)},
};

/* Histograms and summaries. No percentiles: a client sends buckets, and what lies inside one
 * nobody knows. */
static const mw_column spread_columns[] = {
    {"SERVICE", MW_COLUMN_SHRINK | MW_COLUMN_DROP(1)},
    {"ATTRIBUTES", MW_COLUMN_SHRINK | MW_COLUMN_LEAST(16)},
    {"NEWEST", MW_COLUMN_DROP(2)},
    {"COUNT", MW_COLUMN_RIGHT},
    {"SUM", MW_COLUMN_RIGHT},
    {"MIN", MW_COLUMN_RIGHT},
    {"MAX", MW_COLUMN_RIGHT},
    {"POINTS", MW_COLUMN_RIGHT | MW_COLUMN_DROP(3)},
};

/* ---- list ---------------------------------------------------------------------------------- */

/* "a, b, c" of an array of texts. */
static void join_cell(mw_table *table, const json_t *texts)
{
    mw_buffer text;
    mw_buffer_init(&text, MW_MEM_BASE, (size_t)16 << 20);
    for (size_t i = 0; i < json_array_size(texts); i++) {
        const json_t *item = json_array_get(texts, i);
        mw_buffer_appendf(&text, i ? ", " : "");
        mw_buffer_append(&text, json_string_value(item), json_string_length(item));
    }
    mw_table_cell(table, mw_buffer_slice(&text));
    mw_buffer_fini(&text);
}

static void add_list_row(mw_cli *cli, mw_table *table, const json_t *item)
{
    char text[MW_CELL_SIZE];
    mw_table_cell(table, mw_text(item, "name"));
    mw_table_cell(table, mw_text(item, "kind"));
    mw_table_cell(table, mw_text(item, "unit"));
    mw_table_cellf(table, "%lld", (long long)mw_integer(item, "series"));
    mw_table_cellf(table, "%lld", (long long)mw_integer(item, "points"));
    mw_time_text(cli, item, "last_seen", text);
    mw_table_cell(table, mw_slice_of(text));
    join_cell(table, json_object_get(item, "services"));
}

static void render_list(mw_cli *cli, json_t *root, mw_buffer *out)
{
    mw_item_table(cli, list_columns, sizeof list_columns / sizeof list_columns[0],
                  json_object_get(root, "items"), add_list_row, out);
}

int mw_cmd_metric_list(mw_cli *cli)
{
    return mw_list(cli, "metrics", "metrics", render_list);
}

/* ---- show ---------------------------------------------------------------------------------- */

static bool is_spread(const json_t *series)
{
    const json_t *newest = json_array_get(json_object_get(series, "points"), 0);
    return json_object_get(newest, "count") != NULL;
}

/* "key=value, key=value". */
static void attributes_cell(mw_table *table, json_t *attributes)
{
    const char *key;
    json_t *value;
    mw_buffer text, cut;
    mw_buffer_init(&text, MW_MEM_BASE, (size_t)96 << 20);
    mw_buffer_init(&cut, MW_MEM_BASE, 65536);
    json_object_foreach(attributes, key, value)
    {
        mw_buffer_appendf(&text, text.len ? ", " : "");
        mw_buffer_append_slice(&text, mw_slice_of(key));
        mw_buffer_append_byte(&text, '=');
        mw_value_text(value, ATTRIBUTE_COLUMNS, &text);
    }
    mw_append_cut(&cut, mw_buffer_slice(&text), ATTRIBUTE_COLUMNS);
    mw_table_cell(table, mw_buffer_slice(&cut));
    mw_buffer_fini(&text);
    mw_buffer_fini(&cut);
}

/* A number as the API writes it; what is unknown stays empty. */
static void number_cell(mw_table *table, const json_t *point, const char *key)
{
    mw_buffer text;
    mw_buffer_init(&text, MW_MEM_BASE, 1024);
    if (!mw_is_null(point, key))
        mw_value_text(json_object_get(point, key), 0, &text);
    mw_table_cell(table, mw_buffer_slice(&text));
    mw_buffer_fini(&text);
}

static void add_series(mw_cli *cli, mw_table *table, const json_t *series, bool with_kind)
{
    static const char *const numbers[] = {"count", "sum", "min", "max"};
    char text[MW_CELL_SIZE];
    const json_t *points = json_object_get(series, "points"), *newest = json_array_get(points, 0);
    mw_table_cell(table, mw_text(series, "service"));
    attributes_cell(table, json_object_get(series, "attributes"));
    if (with_kind)
        mw_table_cell(table, mw_text(series, "kind"));
    mw_time_text(cli, newest, "time", text);
    mw_table_cell(table, mw_slice_of(text));
    if (is_spread(series))
        for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++)
            number_cell(table, newest, numbers[i]);
    else
        number_cell(table, newest, "value");
    mw_table_cellf(table, "%zu", json_array_size(points));
}

/* True when the series do not agree on a member. */
static bool differs(const json_t *list, const char *key)
{
    mw_slice first = mw_text(json_array_get(list, 0), key);
    for (size_t i = 1; i < json_array_size(list); i++)
        if (!mw_slice_equal(mw_text(json_array_get(list, i), key), first))
            return true;
    return false;
}

/* How many. */
static size_t choose_columns(bool spread, bool with_kind, mw_column out[MW_TABLE_COLUMNS_MAX])
{
    const mw_column *all = spread ? spread_columns : value_columns;
    size_t count = spread ? sizeof spread_columns / sizeof spread_columns[0]
                          : sizeof value_columns / sizeof value_columns[0];
    size_t used = 0;
    for (size_t i = 0; i < count; i++) {
        if (i == LEADING_COLUMNS && with_kind)
            out[used++] = kind_column;
        out[used++] = all[i];
    }
    return used;
}

/* The series of one form; false when there are none. */
static bool render_series(mw_cli *cli, const json_t *list, bool spread, mw_buffer *out)
{
    mw_table table;
    mw_column columns[MW_TABLE_COLUMNS_MAX];
    bool any = false, with_kind = differs(list, "kind");
    mw_table_init(&table, columns, choose_columns(spread, with_kind, columns));
    for (size_t i = 0; i < json_array_size(list); i++) {
        const json_t *series = json_array_get(list, i);
        if (is_spread(series) != spread)
            continue;
        add_series(cli, &table, series, with_kind);
        any = true;
    }
    if (any) {
        mw_buffer_append_byte(out, '\n');
        mw_table_print(&table, cli->width, cli->color, 0, out);
    }
    mw_table_fini(&table);
    return any;
}

/* A member that all series should agree on; the first that says otherwise is told. */
static void shared_field(mw_buffer *out, const char *title, const json_t *list, const char *key)
{
    if (!differs(list, key))
        mw_field(out, title, mw_text(json_array_get(list, 0), key));
    else if (strcmp(key, "kind") == 0)
        mw_field(out, title, MW_SLICE("differs between series, as shown"));
    else
        mw_field(out, title, MW_SLICE("differs between series; --json shows each"));
}

static void render_show(mw_cli *cli, json_t *root, mw_buffer *out)
{
    const json_t *list = json_object_get(root, "series");
    mw_buffer_appendf(out, "metric ");
    mw_visible(out, mw_text(root, "name"));
    mw_buffer_append_byte(out, '\n');
    shared_field(out, "kind", list, "kind");
    shared_field(out, "temporality", list, "temporality");
    shared_field(out, "unit", list, "unit");
    shared_field(out, "description", list, "description");
    shared_field(out, "namespace", list, "metric_namespace");
    bool values = render_series(cli, list, false, out),
         spreads = render_series(cli, list, true, out);
    if (!values && !spreads)
        mw_buffer_appendf(out, "\nno points within these bounds\n");
}

int mw_cmd_metric_show(mw_cli *cli)
{
    return mw_show_id(cli, "metrics", render_show);
}
