/* webhook create, list, show, rotate, enable, disable, delete, test. What a vendor does is in
 * webhook_send.c. */
#include <unistd.h>

#include "cli/cli_int.h"
#include "lib/base/io.h"

/* As the daemon takes. */
#define MAPPING_MAX 8192

static const mw_column columns[] = {
    {"CREATED", 0}, {"ID", MW_COLUMN_ID}, {"NAME", MW_COLUMN_SHRINK}, {"SOURCE", 0},
    {"AUTH", 0},    {"ENABLED", 0},       {"URL", MW_COLUMN_SHRINK},
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
    mw_table_cell(table, mw_text(item, "auth"));
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

/* ---- one ----------------------------------------------------------------------------------- */

static void render_one(mw_cli *cli, json_t *root, mw_buffer *out)
{
    const json_t *mapping = json_object_get(root, "mapping");
    bool enabled = json_is_true(json_object_get(root, "enabled"));
    mw_buffer_appendf(out, "webhook ");
    mw_visible(out, mw_text(root, "id"));
    mw_buffer_append_byte(out, '\n');
    mw_field(out, "name", mw_text(root, "name"));
    mw_field(out, "source", mw_text(root, "source"));
    mw_field(out, "auth", mw_text(root, "auth"));
    mw_field(out, "url", mw_text(root, "url"));
    mw_field(out, "enabled", enabled ? MW_SLICE("yes") : MW_SLICE("no"));
    mw_field_list(out, "allowed", json_object_get(root, "allowed_addresses"));
    if (!mw_is_null(root, "rate_limit"))
        mw_buffer_appendf(out, "  %-13s %lld a minute\n", "rate limit",
                          (long long)mw_integer(root, "rate_limit"));
    mw_field_time(cli, root, "created", "created_at", out);
    mw_field_time(cli, root, "rotated", "rotated_at", out);
    mw_field_time(cli, root, "old secret", "previous_valid_until", out);
    char *text = json_is_object(mapping) ? json_dumps(mapping, JSON_COMPACT) : NULL;
    if (text)
        mw_field(out, "mapping", mw_slice_of(text));
    free(text);
}

int mw_cmd_webhook_show(mw_cli *cli)
{
    return mw_show_id(cli, "webhooks", render_one);
}

/* The answer of a change: as it is, or as one webhook, and the secret when there is one. */
static int print_changed(mw_cli *cli, const mw_answer *answer)
{
    mw_buffer text;
    mw_slice secret = mw_text(answer->root, "secret");
    if (cli->json)
        return mw_print(&answer->body);
    mw_buffer_init(&text, MW_MEM_BASE, 65536);
    render_one(cli, answer->root, &text);
    if (secret.len)
        mw_field(&text, "secret", secret);
    int status = mw_print(&text);
    mw_buffer_fini(&text);
    if (!status && secret.len)
        fprintf(stderr, "midwatch: keep the secret now; it is not shown again\n");
    return status;
}

/* ---- create -------------------------------------------------------------------------------- */

static int read_mapping(const mw_cli *cli, json_t *body)
{
    json_error_t error;
    char *text, why[256];
    size_t len;
    if (!cli->mapping)
        return MW_EXIT_DONE;
    mw_err err = mw_io_read_file(cli->mapping, MAPPING_MAX, &text, &len);
    if (err)
        return mw_complain(MW_EXIT_USAGE, cli->mapping, mw_err_text(err),
                           "--mapping takes a JSON file of at most 8 KiB");
    json_t *mapping = json_loadb(text, len, JSON_REJECT_DUPLICATES, &error);
    mw_free(MW_MEM_BASE, text);
    if (!mapping) {
        snprintf(why, sizeof why, "not JSON (line %d, column %d)", error.line, error.column);
        return mw_complain(MW_EXIT_USAGE, cli->mapping, why, "see docs/WEBHOOKS.md");
    }
    json_object_set_new(body, "mapping", mapping);
    return MW_EXIT_DONE;
}

static int read_rate(const mw_cli *cli, json_t *body)
{
    uint64_t rate;
    if (!cli->rate_limit)
        return MW_EXIT_DONE;
    if (mw_slice_u64(mw_slice_of(cli->rate_limit), &rate) != MW_OK || rate > INT64_MAX)
        return mw_complain(MW_EXIT_USAGE, "--rate-limit", "not a number",
                           "deliveries a minute, for example 600");
    json_object_set_new(body, "rate_limit", json_integer((json_int_t)rate));
    return MW_EXIT_DONE;
}

int mw_cmd_webhook_create(mw_cli *cli)
{
    mw_answer answer;
    if (!cli->name || !cli->source)
        return mw_complain(MW_EXIT_USAGE, "webhook create",
                           cli->name ? "--source is missing" : "--name is missing",
                           "for example --name pager --source devops-agent");
    json_t *body = json_pack("{s:s, s:s}", "name", cli->name, "source", cli->source);
    int status = read_mapping(cli, body);
    if (!status)
        status = read_rate(cli, body);
    if (status) {
        json_decref(body);
        return status;
    }
    if (cli->auth)
        json_object_set_new(body, "auth", json_string(cli->auth));
    if (cli->allow)
        json_object_set_new(body, "allowed_addresses", mw_parts_array(cli->allow));
    status = mw_client_post(cli, "/api/v1/webhooks", body, "webhook create", &answer);
    if (!status)
        status = print_changed(cli, &answer);
    mw_answer_free(&answer);
    return status;
}

/* ---- verbs --------------------------------------------------------------------------------- */

static int change(mw_cli *cli, const char *verb, json_t *body)
{
    mw_answer answer;
    int status = mw_client_verb(cli, "webhooks", verb, body, &answer);
    if (!status)
        status = print_changed(cli, &answer);
    mw_answer_free(&answer);
    return status;
}

int mw_cmd_webhook_rotate(mw_cli *cli)
{
    int64_t grace_s = cli->grace ? mw_duration_in(cli->grace, 1) : 0;
    if (grace_s < 0)
        return mw_complain(MW_EXIT_USAGE, "--grace", "not a duration", "for example 30m or 24h");
    return change(cli, "/rotate", json_pack("{s:I}", "grace_s", (json_int_t)grace_s));
}

int mw_cmd_webhook_enable(mw_cli *cli)
{
    return change(cli, "/enable", NULL);
}

int mw_cmd_webhook_disable(mw_cli *cli)
{
    return change(cli, "/disable", NULL);
}

/* A sender that is still set up loses its alarms from then on. */
static bool confirmed(const mw_cli *cli)
{
    char line[16];
    if (cli->yes)
        return true;
    if (!isatty(STDIN_FILENO))
        return false;
    fprintf(stderr, "Alarms sent to it will be refused. Delete it? yes or no: ");
    return fgets(line, sizeof line, stdin) && strcmp(line, "yes\n") == 0;
}

static int print_line(const mw_cli *cli, const mw_answer *answer, const char *what)
{
    mw_buffer text;
    if (cli->json)
        return mw_print(&answer->body);
    mw_buffer_init(&text, MW_MEM_BASE, 65536);
    mw_buffer_appendf(&text, "webhook ");
    mw_visible(&text, mw_text(answer->root, "name"));
    mw_buffer_appendf(&text, " %s\n", what);
    int status = mw_print(&text);
    mw_buffer_fini(&text);
    return status;
}

int mw_cmd_webhook_delete(mw_cli *cli)
{
    mw_answer answer;
    if (!confirmed(cli))
        return mw_complain(MW_EXIT_USAGE, "webhook delete", "it was not confirmed",
                           "answer yes when asked, or give --yes");
    int status = mw_client_verb(cli, "webhooks", "", NULL, &answer);
    if (!status)
        status = print_line(cli, &answer, "is deleted");
    mw_answer_free(&answer);
    return status;
}

static void render_trial(const json_t *root, mw_buffer *out)
{
    mw_slice alarm = mw_text(root, "alarm_id");
    mw_buffer_appendf(out, "webhook ");
    mw_visible(out, mw_text(root, "name"));
    mw_buffer_appendf(out, " took the test alarm%s\n",
                      alarm.len ? "; it is a real one now" : "; nothing is stored");
    if (alarm.len)
        mw_field(out, "alarm", alarm);
    mw_field(out, "incident", mw_text(root, "incident_id"));
    mw_field(out, "action", mw_text(root, "action"));
    mw_field(out, "priority", mw_text(root, "priority"));
    mw_field(out, "title", mw_text(root, "title"));
}

int mw_cmd_webhook_test(mw_cli *cli)
{
    mw_answer answer;
    mw_buffer text;
    int status = mw_client_verb(cli, "webhooks", "/test",
                                json_pack("{s:b}", "investigate", cli->investigate), &answer);
    mw_buffer_init(&text, MW_MEM_BASE, 65536);
    if (!status && !cli->json)
        render_trial(answer.root, &text);
    if (!status)
        status = mw_print(cli->json ? &answer.body : &text);
    mw_buffer_fini(&text);
    mw_answer_free(&answer);
    return status;
}
