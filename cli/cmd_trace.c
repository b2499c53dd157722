/* trace list. */
#include "cli/cli_int.h"

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
