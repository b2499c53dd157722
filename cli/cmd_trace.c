/* trace list, and trace show as a tree of spans with their log records. */
#include "cli/cli_int.h"
#include "cli/tree.h"

/* Deeper spans are not moved further right; a number says how deep they are. */
#define INDENT_MAX 16

/* What is left of a name or of the first line of a log's body when the width has no end. */
#define NAME_COLUMNS 120

static const mw_column list_columns[] = {
    {"START", 0},
    {"TRACE", MW_COLUMN_ID},
    {"ROOT", MW_COLUMN_SHRINK | MW_COLUMN_DROP(1)},
    {"SERVICE", MW_COLUMN_SHRINK | MW_COLUMN_DROP(2)},
    {"DURATION", MW_COLUMN_RIGHT},
    {"SPANS", MW_COLUMN_RIGHT},
    {"ERRORS", MW_COLUMN_RIGHT},
    {"TOKENS IN", MW_COLUMN_RIGHT},
    {"OUT", MW_COLUMN_RIGHT},
    {"SESSION", MW_COLUMN_SHRINK | MW_COLUMN_DROP(3)},
};

static const mw_column span_columns[] = {
    {"SPAN", MW_COLUMN_SHRINK | MW_COLUMN_LEAST(16)},
    {"KIND", MW_COLUMN_DROP(2)},
    {"SERVICE", MW_COLUMN_SHRINK | MW_COLUMN_DROP(3)},
    {"START", MW_COLUMN_RIGHT | MW_COLUMN_DROP(1)},
    {"DURATION", MW_COLUMN_RIGHT},
    {"STATUS", MW_COLUMN_MOST(8)}, /* of a record: its severity */
    {"TOKENS IN", MW_COLUMN_RIGHT},
    {"OUT", MW_COLUMN_RIGHT},
    {"MODEL", MW_COLUMN_SHRINK | MW_COLUMN_DROP(4)},
    {"ID", 0},
};

static void add_list_row(mw_cli *cli, mw_table *table, const json_t *item)
{
    char text[MW_CELL_SIZE];
    const json_t *sessions = json_object_get(item, "session_ids");
    const json_t *first = json_array_get(sessions, 0);
    mw_time_text(cli, item, "start", text);
    mw_table_cell(table, mw_slice_of(text));
    mw_table_cell(table, mw_text(item, "trace_id"));
    mw_table_cell(table, mw_text(item, "root_name"));
    mw_table_cell(table, mw_text(item, "service"));
    mw_taken_text(cli, item, text);
    mw_table_cell(table, mw_slice_of(text));
    mw_table_cellf(table, "%lld", (long long)mw_integer(item, "spans"));
    mw_table_cellf(table, "%lld", (long long)mw_integer(item, "errors"));
    if (mw_integer(item, "errors"))
        mw_table_style(table, MW_STYLE_RED);
    mw_table_cellf(table, "%lld", (long long)mw_integer(item, "input_tokens"));
    mw_table_cellf(table, "%lld", (long long)mw_integer(item, "output_tokens"));
    if (json_array_size(sessions) > 1)
        mw_table_cellf(table, "%zu sessions", json_array_size(sessions));
    else
        mw_table_cell(table, mw_slice_bytes(json_string_value(first), json_string_length(first)));
}

void mw_trace_table(mw_cli *cli, const json_t *items, mw_buffer *out)
{
    mw_item_table(cli, list_columns, sizeof list_columns / sizeof list_columns[0], items,
                  add_list_row, out);
}

static void render_list(mw_cli *cli, json_t *root, mw_buffer *out)
{
    mw_trace_table(cli, json_object_get(root, "items"), out);
}

int mw_cmd_trace_list(mw_cli *cli)
{
    return mw_list(cli, "traces", "traces", render_list);
}

/* ---- show ---------------------------------------------------------------------------------- */

/* A row of the tree: a span, or a log record beneath its span. Both arrays come by time, and so
 * do the rows of one parent. */
typedef struct tree {
    const json_t **rows;
    mw_tree_node *nodes;
    size_t *order;
    size_t count;
} tree;

static bool is_log(const json_t *row)
{
    return json_object_get(row, "severity") != NULL;
}

static void tree_add(tree *rows, const json_t *row)
{
    mw_tree_node node = {MW_SLICE_NONE, mw_text(row, "span_id"), 0};
    if (!is_log(row))
        node = (mw_tree_node){mw_text(row, "span_id"), mw_text(row, "parent_span_id"), 0};
    rows->rows[rows->count] = row;
    rows->nodes[rows->count++] = node;
}

static void tree_init(tree *rows, const json_t *spans, const json_t *logs)
{
    size_t span = 0, log = 0, span_count = json_array_size(spans),
           log_count = json_array_size(logs);
    size_t room = span_count + log_count + 1;
    rows->rows = mw_calloc_or_die(MW_MEM_BASE, room, sizeof(const json_t *));
    rows->nodes = mw_calloc_or_die(MW_MEM_BASE, room, sizeof *rows->nodes);
    rows->order = mw_calloc_or_die(MW_MEM_BASE, room, sizeof *rows->order);
    rows->count = 0;
    while (span < span_count || log < log_count) {
        const json_t *next_span = json_array_get(spans, span),
                     *next_log = json_array_get(logs, log);
        bool take_log = next_log && (!next_span || mw_integer(next_log, "time_unix_nano") <
                                                       mw_integer(next_span, "start_unix_nano"));
        tree_add(rows, take_log ? next_log : next_span);
        log += take_log;
        span += !take_log;
    }
    mw_tree_order(rows->nodes, rows->count, rows->order);
}

static void tree_fini(tree *rows)
{
    mw_free(MW_MEM_BASE, rows->rows);
    mw_free(MW_MEM_BASE, rows->nodes);
    mw_free(MW_MEM_BASE, rows->order);
}

static void name_cell(mw_table *table, mw_slice name, size_t depth, const char *mark)
{
    mw_buffer text;
    mw_buffer_init(&text, MW_MEM_BASE, (size_t)64 << 20);
    for (size_t i = 0; i < depth && i < INDENT_MAX; i++)
        mw_buffer_append(&text, "  ", 2);
    if (depth > INDENT_MAX)
        mw_buffer_appendf(&text, "(+%zu) ", depth - INDENT_MAX);
    mw_buffer_appendf(&text, "%s", mark);
    mw_append_cut(&text, name, NAME_COLUMNS, true);
    mw_table_cell(table, mw_buffer_slice(&text));
    mw_buffer_fini(&text);
}

/* How long after the trace's start. */
static void offset_cell(mw_table *table, int64_t at_ns, int64_t start_ns)
{
    char text[MW_CELL_SIZE];
    mw_duration_text((double)(at_ns - start_ns) / 1e6, text + 1, sizeof text - 1);
    text[0] = '+';
    mw_table_cell(table, mw_slice_of(text[1] == '-' ? text + 1 : text));
}

static void token_cell(mw_table *table, const json_t *span, const char *key)
{
    if (mw_is_null(span, key))
        mw_table_cell(table, MW_SLICE_NONE);
    else
        mw_table_cellf(table, "%lld", (long long)mw_integer(span, key));
}

static void add_span_row(mw_cli *cli, mw_table *table, const json_t *span, size_t depth,
                         int64_t start_ns)
{
    char text[MW_CELL_SIZE];
    mw_slice status = mw_text(span, "status");
    bool error = mw_slice_equal(status, MW_SLICE("ERROR"));
    name_cell(table, mw_text(span, "name"), depth, "");
    if (error)
        mw_table_style(table, MW_STYLE_RED);
    mw_table_cell(table, mw_text(span, "operation_kind"));
    mw_table_cell(table, mw_text(span, "service"));
    offset_cell(table, mw_integer(span, "start_unix_nano"), start_ns);
    mw_taken_text(cli, span, text);
    mw_table_cell(table, mw_slice_of(text));
    mw_table_cell(table, status);
    if (error)
        mw_table_style(table, MW_STYLE_RED);
    token_cell(table, span, "input_tokens");
    token_cell(table, span, "output_tokens");
    mw_table_cell(table, mw_text(span, "model"));
    mw_table_cell(table, mw_text(span, "span_id"));
}

/* The first line of the body; its severity stands where a span has its status. */
static void add_log_row(mw_table *table, const json_t *log, size_t depth, int64_t start_ns)
{
    mw_buffer body;
    mw_buffer_init(&body, MW_MEM_BASE, (size_t)96 << 20);
    mw_log_line(log, 0, &body);
    mw_slice line = mw_buffer_slice(&body);
    name_cell(table, mw_slice_first(line, mw_slice_find_byte(line, '\n')), depth, "- ");
    mw_buffer_fini(&body);
    mw_table_cell(table, MW_SLICE("log"));
    mw_table_cell(table, mw_text(log, "service"));
    offset_cell(table, mw_integer(log, "time_unix_nano"), start_ns);
    mw_table_cell(table, MW_SLICE_NONE);
    mw_severity_cell(table, log);
    for (int i = 0; i < 4; i++) /* tokens, model, id */
        mw_table_cell(table, MW_SLICE_NONE);
}

static void render_tree(mw_cli *cli, const json_t *root, mw_buffer *out)
{
    mw_table table;
    tree rows;
    int64_t start_ns = mw_integer(root, "start_unix_nano");
    tree_init(&rows, json_object_get(root, "spans"), json_object_get(root, "logs"));
    mw_table_init(&table, span_columns, sizeof span_columns / sizeof span_columns[0]);
    for (size_t i = 0; i < rows.count; i++) {
        const json_t *row = rows.rows[rows.order[i]];
        size_t depth = rows.nodes[rows.order[i]].depth;
        if (is_log(row))
            add_log_row(&table, row, depth, start_ns);
        else
            add_span_row(cli, &table, row, depth, start_ns);
    }
    mw_table_print(&table, cli->width, cli->color, 0, out);
    mw_table_fini(&table);
    tree_fini(&rows);
}

/* The API leaves them out when they fit no answer. */
static void render_missing_logs(const json_t *root, mw_buffer *out)
{
    if (!json_is_null(json_object_get(root, "logs")))
        return;
    mw_buffer_appendf(out, "\nthe logs are too many to stand here; list them with\n"
                           "  midwatch log list --trace ");
    mw_visible(out, mw_text(root, "trace_id"));
    mw_buffer_append_byte(out, '\n');
}

/* The messages of failed spans, since the table has no room for them. */
static void render_errors(const json_t *spans, mw_buffer *out)
{
    bool any = false;
    for (size_t i = 0; i < json_array_size(spans); i++) {
        const json_t *span = json_array_get(spans, i);
        mw_slice message = mw_text(span, "status_message");
        if (!mw_slice_equal(mw_text(span, "status"), MW_SLICE("ERROR")) || !message.len)
            continue;
        mw_buffer_appendf(out, any ? "  " : "\nerrors:\n  ");
        any = true;
        mw_visible(out, mw_text(span, "span_id"));
        mw_buffer_append_byte(out, ' ');
        mw_visible(out, mw_text(span, "name"));
        mw_buffer_appendf(out, ": ");
        mw_visible(out, message);
        mw_buffer_append_byte(out, '\n');
    }
}

static void render_show(mw_cli *cli, json_t *root, mw_buffer *out)
{
    char text[MW_CELL_SIZE], start[MW_CELL_SIZE];
    size_t i;
    json_t *session;
    mw_buffer_appendf(out, "trace ");
    mw_visible(out, mw_text(root, "trace_id"));
    mw_buffer_append_byte(out, '\n');
    mw_field(out, "root", mw_text(root, "root_name"));
    mw_field(out, "service", mw_text(root, "service"));
    json_array_foreach(json_object_get(root, "session_ids"), i, session)
        mw_field(out, i ? "" : "session",
                 mw_slice_bytes(json_string_value(session), json_string_length(session)));
    mw_instant_text(root, "start", start);
    mw_taken_text(cli, root, text);
    mw_buffer_appendf(out, "  %-13s %s (%s)\n", "start", start, text);
    mw_buffer_appendf(out, "  %-13s %lld spans, %lld logs, %lld errors\n", "holds",
                      (long long)mw_integer(root, "span_count"),
                      (long long)mw_integer(root, "log_count"),
                      (long long)mw_integer(root, "errors"));
    mw_buffer_appendf(out, "  %-13s %lld in, %lld out\n\n", "tokens",
                      (long long)mw_integer(root, "input_tokens"),
                      (long long)mw_integer(root, "output_tokens"));
    render_tree(cli, root, out);
    render_missing_logs(root, out);
    render_errors(json_object_get(root, "spans"), out);
}

int mw_cmd_trace_show(mw_cli *cli)
{
    return mw_show_id(cli, "traces", render_show);
}
