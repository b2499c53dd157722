/* webhook create, webhook list. */
#include "cli/cli_int.h"

static const mw_column columns[] = {
    {"CREATED", 0}, {"ID", MW_COLUMN_ID}, {"NAME", MW_COLUMN_SHRINK},
    {"SOURCE", 0},  {"ENABLED", 0},       {"URL", MW_COLUMN_SHRINK},
};

static void add_row(mw_cli *cli, mw_table *table, const json_t *item)
{
    char text[MW_CELL_SIZE];
    bool enabled = json_is_true(json_object_get(item, "enabled"));
    mw_time_text(cli, item, "created_at", text);
    mw_table_cell(table, mw_slice_of(text));
    mw_table_cell(table, mw_text(item, "id"));
    mw_table_cell(table, mw_text(item, "name"));
    mw_table_cell(table, mw_text(item, "source"));
    mw_table_cell(table, enabled ? MW_SLICE("yes") : MW_SLICE("no"));
    mw_table_cell(table, mw_text(item, "url"));
}

static void render_list(mw_cli *cli, json_t *root, mw_buffer *out)
{
    mw_item_table(cli, columns, sizeof columns / sizeof columns[0], json_object_get(root, "items"),
                  add_row, out);
}

int mw_cmd_webhook_list(mw_cli *cli)
{
    return mw_list(cli, "webhooks", "webhooks", render_list);
}

static int print_created(const mw_cli *cli, const mw_answer *answer)
{
    mw_buffer text;
    if (cli->json)
        return mw_print(&answer->body);
    mw_buffer_init(&text, MW_MEM_BASE, 65536);
    mw_buffer_appendf(&text, "webhook ");
    mw_visible(&text, mw_text(answer->root, "id"));
    mw_buffer_append_byte(&text, '\n');
    mw_field(&text, "name", mw_text(answer->root, "name"));
    mw_field(&text, "source", mw_text(answer->root, "source"));
    mw_field(&text, "url", mw_text(answer->root, "url"));
    mw_field(&text, "secret", mw_text(answer->root, "secret"));
    int status = mw_print(&text);
    mw_buffer_fini(&text);
    if (!status)
        fprintf(stderr, "midwatch: keep the secret now; it is not shown again\n");
    return status;
}

int mw_cmd_webhook_create(mw_cli *cli)
{
    mw_answer answer;
    if (!cli->name || !cli->source)
        return mw_complain(MW_EXIT_USAGE, "webhook create",
                           cli->name ? "--source is missing" : "--name is missing",
                           "for example --name pager --source devops-agent");
    json_t *body = json_pack("{s:s, s:s}", "name", cli->name, "source", cli->source);
    int status = mw_client_post(cli, "/api/v1/webhooks", body, "webhook create", &answer);
    if (!status)
        status = print_created(cli, &answer);
    mw_answer_free(&answer);
    return status;
}
