/* token create, list, show, rotate, revoke; space token-access. */
#include "cli/cli_int.h"

static const mw_column columns[] = {
    {"CREATED", 0}, {"ID", MW_COLUMN_ID}, {"NAME", MW_COLUMN_SHRINK}, {"SPACE", 0}, {"SCOPES", 0},
    {"STATE", 0},   {"EXPIRES", 0},
};

static void add_row(mw_cli *cli, mw_table *table, const json_t *item)
{
    char text[MW_CELL_SIZE];
    mw_buffer scopes;
    mw_buffer_init(&scopes, MW_MEM_BASE, 256);
    mw_append_parts(&scopes, json_object_get(item, "scopes"));
    mw_time_text(cli, item, "created_at", text);
    mw_table_cell(table, mw_slice_of(text));
    mw_table_cell(table, mw_text(item, "id"));
    mw_table_cell(table, mw_text(item, "name"));
    mw_table_cell(table, mw_text(item, "space"));
    mw_table_cell(table, mw_buffer_slice(&scopes));
    mw_table_cell(table, mw_text(item, "state"));
    mw_time_text(cli, item, "expires_at", text);
    mw_table_cell(table, mw_is_null(item, "expires_at") ? MW_SLICE("never") : mw_slice_of(text));
    if (!mw_slice_equal(mw_text(item, "state"), MW_SLICE("active")))
        mw_table_style(table, MW_STYLE_YELLOW);
    mw_buffer_fini(&scopes);
}

static void render_list(mw_cli *cli, json_t *root, mw_buffer *out)
{
    mw_item_table(cli, columns, sizeof columns / sizeof columns[0], json_object_get(root, "items"),
                  add_row, out);
}

int mw_cmd_token_list(mw_cli *cli)
{
    return mw_list(cli, "tokens", "tokens", render_list);
}

static void render_one(mw_cli *cli, json_t *root, mw_buffer *out)
{
    mw_buffer_appendf(out, "token ");
    mw_visible(out, mw_text(root, "id"));
    mw_buffer_append_byte(out, '\n');
    mw_field(out, "name", mw_text(root, "name"));
    mw_field(out, "space", mw_text(root, "space"));
    mw_field_list(out, "scopes", json_object_get(root, "scopes"));
    mw_field(out, "state", mw_text(root, "state"));
    mw_field_list(out, "allowed", json_object_get(root, "allowed_addresses"));
    mw_field_time(cli, root, "created", "created_at", out);
    mw_field_time(cli, root, "rotated", "rotated_at", out);
    mw_field_time(cli, root, "expires", "expires_at", out);
    mw_field_time(cli, root, "revoked", "revoked_at", out);
}

int mw_cmd_token_show(mw_cli *cli)
{
    return mw_show_id(cli, "tokens", render_one);
}

static bool reads(const json_t *root)
{
    const json_t *scopes = json_object_get(root, "scopes");
    for (size_t i = 0; i < json_array_size(scopes); i++)
        if (strcmp(json_string_value(json_array_get(scopes, i)), "ingest") != 0)
            return true;
    return false;
}

/* What goes to stderr: neither value nor warning is lost in a pipe. */
static void tell(const json_t *root, mw_slice value)
{
    mw_slice space = mw_text(root, "space");
    if (value.len)
        fprintf(stderr, "midwatch: keep the token now; it is not shown again\n");
    if (value.len && reads(root) && json_is_false(json_object_get(root, "token_access")))
        fprintf(stderr,
                "midwatch: it cannot read or operate yet: access by token is off in this space; "
                "midwatch space token-access on --space %.*s\n",
                MW_SLICE_FMT(space));
}

static int print_changed(mw_cli *cli, const mw_answer *answer)
{
    mw_buffer text;
    mw_slice value = mw_text(answer->root, "token");
    mw_buffer_init(&text, MW_MEM_BASE, 65536);
    render_one(cli, answer->root, &text);
    if (value.len)
        mw_field(&text, "token", value);
    int status = mw_print(cli->json ? &answer->body : &text);
    mw_buffer_fini(&text);
    if (!status)
        tell(answer->root, value);
    return status;
}

static int add_days(const mw_cli *cli, json_t *body)
{
    uint64_t days;
    if (!cli->expires)
        return MW_EXIT_DONE;
    mw_slice text = mw_slice_of(cli->expires);
    if (mw_slice_ends(text, MW_SLICE("d")))
        text.len--;
    if (mw_slice_u64(text, &days) != MW_OK || days > INT64_MAX)
        return mw_complain(MW_EXIT_USAGE, "--expires", "not a number of days",
                           "for example 30 or 30d");
    json_object_set_new(body, "expires_in_days", json_integer((json_int_t)days));
    return MW_EXIT_DONE;
}

int mw_cmd_token_create(mw_cli *cli)
{
    mw_answer answer;
    if (!cli->name || !cli->scope)
        return mw_complain(MW_EXIT_USAGE, "token create",
                           cli->name ? "--scope is missing" : "--name is missing",
                           "for example --name grafana --scope read --expires 30d");
    json_t *body = json_pack("{s:s, s:o}", "name", cli->name, "scopes", mw_parts_array(cli->scope));
    int status = add_days(cli, body);
    if (status) {
        json_decref(body);
        return status;
    }
    if (cli->space)
        json_object_set_new(body, "space", json_string(cli->space));
    if (cli->allow)
        json_object_set_new(body, "allowed_addresses", mw_parts_array(cli->allow));
    status = mw_client_post(cli, "/api/v1/tokens", body, "token create", &answer);
    if (!status)
        status = print_changed(cli, &answer);
    mw_answer_free(&answer);
    return status;
}

int mw_cmd_token_rotate(mw_cli *cli)
{
    mw_answer answer;
    int status = mw_client_verb(cli, "tokens", "/rotate", NULL, &answer);
    if (!status)
        status = print_changed(cli, &answer);
    mw_answer_free(&answer);
    return status;
}

int mw_cmd_token_revoke(mw_cli *cli)
{
    mw_answer answer;
    int status = mw_client_verb(cli, "tokens", "", NULL, &answer);
    if (!status)
        status = print_changed(cli, &answer);
    mw_answer_free(&answer);
    return status;
}

int mw_cmd_space_token_access(mw_cli *cli)
{
    mw_answer answer;
    bool on = strcmp(cli->args[0], "on") == 0;
    if (!on && strcmp(cli->args[0], "off") != 0)
        return mw_complain(MW_EXIT_USAGE, "space token-access", "neither on nor off",
                           "midwatch space token-access on, or off");
    cli->args[0] = cli->space ? cli->space : "default";
    int status =
        mw_client_verb(cli, "spaces", "/token-access", json_pack("{s:b}", "enabled", on), &answer);
    if (!status && cli->json)
        status = mw_print(&answer.body);
    else if (!status)
        printf("tokens of the space %.*s may %s\n", MW_SLICE_FMT(mw_text(answer.root, "name")),
               on ? "read and operate, as their scopes say" : "neither read nor operate");
    mw_answer_free(&answer);
    return status;
}
