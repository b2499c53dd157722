/* span list. */
#include "cli/cli_int.h"

static const mw_column columns[] = {
    {"START", 0},
    {"SPAN", MW_COLUMN_SHRINK | MW_COLUMN_LEAST(16)},
    {"KIND", MW_COLUMN_DROP(3)},
    {"SERVICE", MW_COLUMN_SHRINK | MW_COLUMN_DROP(2)},
    {"DURATION", MW_COLUMN_RIGHT},
    {"STATUS", MW_COLUMN_MOST(8)},
    {"SESSION", MW_COLUMN_SHRINK | MW_COLUMN_DROP(4)},
    {"TRACE", MW_COLUMN_ID},
    {"ID", MW_COLUMN_DROP(1)},
};

static void add_row(mw_cli *cli, mw_table *table, const json_t *span)
{
    char text[MW_CELL_SIZE];
    mw_slice status = mw_text(span, "status");
    mw_time_text(cli, span, "start", text);
    mw_table_cell(table, mw_slice_of(text));
    mw_table_cell(table, mw_text(span, "name"));
    mw_table_cell(table, mw_text(span, "operation_kind"));
    mw_table_cell(table, mw_text(span, "service"));
    mw_taken_text(cli, span, text);
    mw_table_cell(table, mw_slice_of(text));
    mw_table_cell(table, status);
    if (mw_slice_equal(status, MW_SLICE("ERROR")))
        mw_table_style(table, MW_STYLE_RED);
    mw_table_cell(table, mw_text(span, "session_id"));
    mw_table_cell(table, mw_text(span, "trace_id"));
    mw_table_cell(table, mw_text(span, "span_id"));
}

static void render_list(mw_cli *cli, json_t *root, mw_buffer *out)
{
    mw_item_table(cli, columns, sizeof columns / sizeof columns[0], json_object_get(root, "items"),
                  add_row, out);
}

int mw_cmd_span_list(mw_cli *cli)
{
    return mw_list(cli, "spans", "spans", render_list);
}
