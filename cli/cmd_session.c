/* session list, session show. */
#include "cli/cli_int.h"

static const mw_column columns[] = {
    {"LAST SEEN", 0},
    {"SESSION", 0}, /* whole: a name cut short is no name to `session show` */
    {"AGENT", MW_COLUMN_SHRINK | MW_COLUMN_DROP(3)},
    {"TRACES", MW_COLUMN_RIGHT | MW_COLUMN_DROP(2)},
    {"SPANS", MW_COLUMN_RIGHT},
    {"LOGS", MW_COLUMN_RIGHT | MW_COLUMN_DROP(1)},
    {"ERRORS", MW_COLUMN_RIGHT},
    {"MODEL", MW_COLUMN_RIGHT | MW_COLUMN_DROP(4)},
    {"TOOL", MW_COLUMN_RIGHT | MW_COLUMN_DROP(5)},
    {"TOKENS IN", MW_COLUMN_RIGHT},
    {"OUT", MW_COLUMN_RIGHT},
    {"DURATION", MW_COLUMN_RIGHT},
    {"USER", MW_COLUMN_SHRINK | MW_COLUMN_DROP(6)},
};

static void add_row(mw_cli *cli, mw_table *table, const json_t *item)
{
    static const char *const counts[] = {"model_calls", "tool_calls", "input_tokens",
                                         "output_tokens"};
    char text[MW_CELL_SIZE];
    mw_time_text(cli, item, "last_seen", text);
    mw_table_cell(table, mw_slice_of(text));
    mw_table_cell(table, mw_text(item, "session_id"));
    mw_table_cell(table, mw_text(item, "agent"));
    mw_table_cellf(table, "%lld", (long long)mw_integer(item, "traces"));
    mw_table_cellf(table, "%lld", (long long)mw_integer(item, "spans"));
    mw_table_cellf(table, "%lld", (long long)mw_integer(item, "logs"));
    mw_table_cellf(table, "%lld", (long long)mw_integer(item, "errors"));
    if (mw_integer(item, "errors"))
        mw_table_style(table, MW_STYLE_RED);
    for (size_t i = 0; i < sizeof counts / sizeof counts[0]; i++)
        mw_table_cellf(table, "%lld", (long long)mw_integer(item, counts[i]));
    mw_duration_text(mw_number(item, "duration_ms"), text, sizeof text);
    mw_table_cell(table, mw_slice_of(text));
    mw_table_cell(table, mw_text(item, "user"));
}

static void render_list(mw_cli *cli, json_t *root, mw_buffer *out)
{
    mw_item_table(cli, columns, sizeof columns / sizeof columns[0], json_object_get(root, "items"),
                  add_row, out);
}

int mw_cmd_session_list(mw_cli *cli)
{
    return mw_list(cli, "sessions", "sessions", render_list);
}

/* A session that only log records speak of has no traces to list. The id stands in the command
 * as a shell takes it; one with characters that no terminal shows is left to the reader. */
static void name_logs(mw_slice id, mw_buffer *out)
{
    mw_buffer visible;
    mw_buffer_init(&visible, MW_MEM_BASE, (size_t)16 << 20);
    mw_visible(&visible, id);
    bool shown = mw_slice_equal(mw_buffer_slice(&visible), id);
    mw_buffer_fini(&visible);
    mw_buffer_appendf(out, "no traces; its log records: midwatch log list --session ");
    if (!shown)
        mw_buffer_appendf(out, "ID");
    else
        mw_shell_word(out, id);
    mw_buffer_append_byte(out, '\n');
}

static void render_show(mw_cli *cli, json_t *root, mw_buffer *out)
{
    char text[MW_CELL_SIZE], first[MW_CELL_SIZE], last[MW_CELL_SIZE];
    mw_buffer_appendf(out, "session ");
    mw_visible(out, mw_text(root, "session_id"));
    mw_buffer_append_byte(out, '\n');
    mw_field(out, "agent", mw_text(root, "agent"));
    mw_field(out, "user", mw_text(root, "user"));
    mw_instant_text(root, "first_seen", first);
    mw_instant_text(root, "last_seen", last);
    mw_duration_text(mw_number(root, "duration_ms"), text, sizeof text);
    mw_buffer_appendf(out, "  %-13s %s to %s (%s)\n", "seen", first, last, text);
    mw_buffer_appendf(out, "  %-13s %lld traces, %lld spans, %lld logs, %lld errors\n", "holds",
                      (long long)mw_integer(root, "traces"), (long long)mw_integer(root, "spans"),
                      (long long)mw_integer(root, "logs"), (long long)mw_integer(root, "errors"));
    mw_buffer_appendf(out, "  %-13s %lld model, %lld tool\n", "calls",
                      (long long)mw_integer(root, "model_calls"),
                      (long long)mw_integer(root, "tool_calls"));
    mw_buffer_appendf(out, "  %-13s %lld in, %lld out\n\n", "tokens",
                      (long long)mw_integer(root, "input_tokens"),
                      (long long)mw_integer(root, "output_tokens"));
    if (mw_integer(root, "traces") == 0)
        name_logs(mw_text(root, "session_id"), out);
    else
        mw_trace_table(cli, json_object_get(root, "trace_list"), out);
}

int mw_cmd_session_show(mw_cli *cli)
{
    return mw_show_id(cli, "sessions", render_show);
}
