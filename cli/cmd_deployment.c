/* deployment record, list, show. */
#include "cli/cli_int.h"

static const mw_column columns[] = {
    {"TIME", 0},
    {"DEPLOYMENT", MW_COLUMN_ID},
    {"SERVICE", MW_COLUMN_SHRINK},
    {"VERSION", MW_COLUMN_SHRINK},
    {"BEFORE", MW_COLUMN_SHRINK | MW_COLUMN_DROP(2)},
    {"REGION", MW_COLUMN_DROP(3)},
    {"COMMIT", MW_COLUMN_SHRINK | MW_COLUMN_DROP(1)},
};

static void add_row(mw_cli *cli, mw_table *table, const json_t *item)
{
    static const char *const texts[] = {"deployment_id",    "service", "version",
                                        "previous_version", "region",  "commit"};
    char time[MW_CELL_SIZE];
    mw_time_text(cli, item, "time", time);
    mw_table_cell(table, mw_slice_of(time));
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++)
        mw_table_cell(table, mw_text(item, texts[i]));
}

static void render_list(mw_cli *cli, json_t *root, mw_buffer *out)
{
    mw_item_table(cli, columns, sizeof columns / sizeof columns[0], json_object_get(root, "items"),
                  add_row, out);
}

int mw_cmd_deployment_list(mw_cli *cli)
{
    return mw_list(cli, "deployments", "deployments", render_list);
}

static void render_show(mw_cli *cli, json_t *root, mw_buffer *out)
{
    (void)cli;
    char time[MW_CELL_SIZE];
    mw_buffer_appendf(out, "deployment ");
    mw_visible(out, mw_text(root, "deployment_id"));
    mw_buffer_append_byte(out, '\n');
    mw_field(out, "service", mw_text(root, "service"));
    mw_field(out, "version", mw_text(root, "version"));
    mw_field(out, "before", mw_text(root, "previous_version"));
    mw_field(out, "region", mw_text(root, "region"));
    mw_field(out, "commit", mw_text(root, "commit"));
    mw_instant_text(root, "time", time);
    mw_field(out, "time", mw_slice_of(time));
    mw_field(out, "recorded by", mw_text(root, "recorded_by"));
}

int mw_cmd_deployment_show(mw_cli *cli)
{
    return mw_show_id(cli, "deployments", render_show);
}

static int add_text(json_t *body, const char *name, const char *text)
{
    return text ? json_object_set_new(body, name, json_string(text)) : 0;
}

int mw_cmd_deployment_record(mw_cli *cli)
{
    if (!cli->service || !cli->version)
        return mw_complain(MW_EXIT_USAGE, "deployment record",
                           cli->service ? "--version is missing" : "--service is missing",
                           "for example --service checkout --version 1.4.2");
    json_t *body = json_object();
    if (add_text(body, "service", cli->service) || add_text(body, "version", cli->version) ||
        add_text(body, "region", cli->region) || add_text(body, "time", cli->time) ||
        add_text(body, "commit", cli->commit)) {
        json_decref(body);
        body = NULL; /* no UTF-8: told by the client */
    }
    return mw_show_change(cli, "/api/v1/deployments", body, "deployment record", render_show);
}
