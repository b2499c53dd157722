/* space list, space create, space delete. */
#include <unistd.h>

#include "cli/cli_int.h"

static const mw_column columns[] = {
    {"NAME", MW_COLUMN_SHRINK},
    {"SPANS", MW_COLUMN_RIGHT},
    {"LOGS", MW_COLUMN_RIGHT},
    {"POINTS", MW_COLUMN_RIGHT},
    {"BYTES", MW_COLUMN_RIGHT},
    {"OLDEST", 0},
    {"WRITABLE", 0},
};

static void add_row(mw_cli *cli, mw_table *table, const json_t *item)
{
    static const char *const numbers[] = {"spans", "logs", "points", "bytes"};
    char text[MW_CELL_SIZE];
    bool writable = json_is_true(json_object_get(item, "writable"));
    mw_table_cell(table, mw_text(item, "name"));
    for (size_t k = 0; k < sizeof numbers / sizeof numbers[0]; k++)
        mw_table_cellf(table, "%lld", (long long)mw_integer(item, numbers[k]));
    mw_time_text(cli, item, "oldest_arrival", text);
    mw_table_cell(table, mw_slice_of(text));
    mw_table_cell(table, writable ? MW_SLICE("yes") : mw_text(item, "last_error"));
    if (!writable)
        mw_table_style(table, MW_STYLE_RED);
}

static void render_list(mw_cli *cli, json_t *root, mw_buffer *out)
{
    mw_item_table(cli, columns, sizeof columns / sizeof columns[0], json_object_get(root, "items"),
                  add_row, out);
}

int mw_cmd_space_list(mw_cli *cli)
{
    return mw_list(cli, "spaces", "spaces", render_list);
}

/* One line, or the answer itself. */
static int print_done(const mw_cli *cli, const mw_answer *answer, const char *what)
{
    mw_buffer text;
    if (cli->json)
        return mw_print(&answer->body);
    mw_buffer_init(&text, MW_MEM_BASE, 65536);
    mw_buffer_appendf(&text, "space ");
    mw_visible(&text, mw_text(answer->root, "name"));
    mw_buffer_appendf(&text, " %s\n", what);
    int status = mw_print(&text);
    mw_buffer_fini(&text);
    return status;
}

int mw_cmd_space_create(mw_cli *cli)
{
    mw_answer answer;
    json_t *body = json_pack("{s:s}", "name", cli->args[0]);
    int status = mw_client_post(cli, "/api/v1/spaces", body, "space create", &answer);
    if (!status)
        status = print_done(cli, &answer, "is there; exporters name it in x-midwatch-space");
    mw_answer_free(&answer);
    return status;
}

/* What is deleted is gone: a person says the name twice, a script says --yes. */
static bool confirmed(const mw_cli *cli)
{
    char line[256];
    if (cli->yes)
        return true;
    if (!isatty(STDIN_FILENO))
        return false;
    fprintf(stderr, "All telemetry of this space will be gone. Its name again: ");
    if (!fgets(line, sizeof line, stdin))
        return false;
    line[strcspn(line, "\n")] = '\0';
    return strcmp(line, cli->args[0]) == 0;
}

int mw_cmd_space_delete(mw_cli *cli)
{
    mw_answer answer;
    mw_buffer path;
    if (!confirmed(cli))
        return mw_complain(MW_EXIT_USAGE, "space delete", "the name was not confirmed",
                           "type it again when asked, or give --yes");
    mw_buffer_init(&path, MW_MEM_BASE, MW_CLI_PATH_MAX * 2);
    mw_show_path(cli, "spaces", "", &path);
    mw_buffer_append_byte(&path, '\0');
    if (path.err) {
        mw_buffer_fini(&path);
        return mw_complain(MW_EXIT_USAGE, "space delete", "the name is too long", "");
    }
    int status = mw_client_delete(cli, path.data, &answer);
    mw_buffer_fini(&path);
    if (!status)
        status = print_done(cli, &answer, "is deleted");
    mw_answer_free(&answer);
    return status;
}
