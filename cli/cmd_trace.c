/* trace list, and trace show as a tree of spans. */
#include "cli/cli_int.h"
#include "cli/tree.h"

/* Deeper spans are not moved further right; a number says how deep they are. */
#define INDENT_MAX 16

static const mw_column list_columns[] = {
    {"START", 0},
    {"TRACE", MW_COLUMN_ID},
    {"ROOT", MW_COLUMN_SHRINK},
    {"SERVICE", MW_COLUMN_SHRINK},
    {"DURATION", MW_COLUMN_RIGHT},
    {"SPANS", MW_COLUMN_RIGHT},
    {"ERRORS", MW_COLUMN_RIGHT},
    {"TOKENS IN", MW_COLUMN_RIGHT},
    {"OUT", MW_COLUMN_RIGHT},
    {"SESSION", MW_COLUMN_SHRINK},
};

static const mw_column span_columns[] = {
    {"SPAN", MW_COLUMN_SHRINK},     {"KIND", 0},
    {"SERVICE", MW_COLUMN_SHRINK},  {"START", MW_COLUMN_RIGHT},
    {"DURATION", MW_COLUMN_RIGHT},  {"STATUS", 0},
    {"TOKENS IN", MW_COLUMN_RIGHT}, {"OUT", MW_COLUMN_RIGHT},
    {"MODEL", MW_COLUMN_SHRINK},    {"ID", 0},
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
    mw_duration_text(mw_number(item, "duration_ms"), text, sizeof text);
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
    mw_table table;
    mw_table_init(&table, list_columns, sizeof list_columns / sizeof list_columns[0]);
    for (size_t i = 0; i < json_array_size(items); i++)
        add_list_row(cli, &table, json_array_get(items, i));
    mw_table_print(&table, cli->width, cli->color, 0, out);
    mw_table_fini(&table);
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

static void name_cell(mw_table *table, mw_slice name, size_t depth)
{
    mw_buffer text;
    mw_buffer_init(&text, MW_MEM_BASE, (size_t)64 << 20);
    for (size_t i = 0; i < depth && i < INDENT_MAX; i++)
        mw_buffer_append(&text, "  ", 2);
    if (depth > INDENT_MAX)
        mw_buffer_appendf(&text, "(+%zu) ", depth - INDENT_MAX);
    mw_buffer_append_slice(&text, name);
    mw_table_cell(table, mw_buffer_slice(&text));
    mw_buffer_fini(&text);
}

static void token_cell(mw_table *table, const json_t *span, const char *key)
{
    if (mw_is_null(span, key))
        mw_table_cell(table, MW_SLICE_NONE);
    else
        mw_table_cellf(table, "%lld", (long long)mw_integer(span, key));
}

static void add_span_row(mw_table *table, const json_t *span, size_t depth, int64_t start_ns)
{
    char text[MW_CELL_SIZE];
    mw_slice status = mw_text(span, "status");
    bool error = mw_slice_equal(status, MW_SLICE("ERROR"));
    name_cell(table, mw_text(span, "name"), depth);
    if (error)
        mw_table_style(table, MW_STYLE_RED);
    mw_table_cell(table, mw_text(span, "operation_kind"));
    mw_table_cell(table, mw_text(span, "service"));
    mw_duration_text((double)(mw_integer(span, "start_unix_nano") - start_ns) / 1e6, text + 1,
                     sizeof text - 1);
    text[0] = '+';
    mw_table_cell(table, mw_slice_of(text[1] == '-' ? text + 1 : text));
    mw_duration_text(mw_number(span, "duration_ms"), text, sizeof text);
    mw_table_cell(table, mw_slice_of(text));
    mw_table_cell(table, status);
    if (error)
        mw_table_style(table, MW_STYLE_RED);
    token_cell(table, span, "input_tokens");
    token_cell(table, span, "output_tokens");
    mw_table_cell(table, mw_text(span, "model"));
    mw_table_cell(table, mw_text(span, "span_id"));
}

static void render_spans(mw_cli *cli, const json_t *spans, int64_t start_ns, mw_buffer *out)
{
    mw_table table;
    size_t count = json_array_size(spans);
    mw_tree_node *nodes = mw_calloc_or_die(MW_MEM_BASE, count + 1, sizeof *nodes);
    size_t *order = mw_calloc_or_die(MW_MEM_BASE, count + 1, sizeof *order);
    for (size_t i = 0; i < count; i++) {
        const json_t *span = json_array_get(spans, i);
        nodes[i] = (mw_tree_node){mw_text(span, "span_id"), mw_text(span, "parent_span_id"), 0};
    }
    mw_tree_order(nodes, count, order);
    mw_table_init(&table, span_columns, sizeof span_columns / sizeof span_columns[0]);
    for (size_t i = 0; i < count; i++)
        add_span_row(&table, json_array_get(spans, order[i]), nodes[order[i]].depth, start_ns);
    mw_table_print(&table, cli->width, cli->color, 0, out);
    mw_table_fini(&table);
    mw_free(MW_MEM_BASE, nodes);
    mw_free(MW_MEM_BASE, order);
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
    mw_duration_text(mw_number(root, "duration_ms"), text, sizeof text);
    mw_buffer_appendf(out, "  %-13s %s (%s)\n", "start", start, text);
    mw_buffer_appendf(out, "  %-13s %lld spans, %lld logs, %lld errors\n", "holds",
                      (long long)mw_integer(root, "span_count"),
                      (long long)mw_integer(root, "log_count"),
                      (long long)mw_integer(root, "errors"));
    mw_buffer_appendf(out, "  %-13s %lld in, %lld out\n\n", "tokens",
                      (long long)mw_integer(root, "input_tokens"),
                      (long long)mw_integer(root, "output_tokens"));
    const json_t *spans = json_object_get(root, "spans");
    render_spans(cli, spans, mw_integer(root, "start_unix_nano"), out);
    render_errors(spans, out);
}

int mw_cmd_trace_show(mw_cli *cli)
{
    return mw_show_id(cli, "traces", render_show);
}
