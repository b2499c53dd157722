/* audit list. */
#include "cli/cli_int.h"

static const mw_column columns[] = {
    {"TIME", 0},    {"WHO", MW_COLUMN_SHRINK}, {"FROM", MW_COLUMN_SHRINK},   {"ACTION", 0},
    {"OUTCOME", 0}, {"SUBJECT", MW_COLUMN_ID}, {"DETAIL", MW_COLUMN_SHRINK},
};

static void add_row(mw_cli *cli, mw_table *table, const json_t *item)
{
    static const char *const keys[] = {"principal", "source_address", "action",
                                       "outcome",   "subject",        "detail"};
    char text[MW_CELL_SIZE];
    mw_time_text(cli, item, "time", text);
    mw_table_cell(table, mw_slice_of(text));
    for (size_t k = 0; k < sizeof keys / sizeof keys[0]; k++)
        mw_table_cell(table, mw_text(item, keys[k]));
}

static void render_list(mw_cli *cli, json_t *root, mw_buffer *out)
{
    mw_item_table(cli, columns, sizeof columns / sizeof columns[0], json_object_get(root, "items"),
                  add_row, out);
}

int mw_cmd_audit_list(mw_cli *cli)
{
    return mw_list(cli, "audit", "audit records", render_list);
}
