/* plan show, approve, reject. Nothing here runs a command: a plan is text for a person. */
#include "cli/cli_int.h"

static void render_part(const json_t *step, const char *part, mw_buffer *out)
{
    mw_slice text = mw_text(step, part);
    if (!text.len)
        return;
    mw_buffer_appendf(out, "       %-9s ", part);
    mw_visible(out, text);
    mw_buffer_append_byte(out, '\n');
}

static void render_step(const json_t *step, size_t number, mw_buffer *out)
{
    static const char *const parts[] = {"command", "expected", "rollback", "evidence"};
    mw_buffer_appendf(out, "    %zu. ", number);
    mw_visible(out, mw_text(step, "title"));
    mw_buffer_append_byte(out, '\n');
    for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++)
        render_part(step, parts[i], out);
}

void mw_render_plan(const json_t *plan, mw_buffer *out)
{
    const json_t *phases = json_object_get(plan, "phases");
    char judged[MW_CELL_SIZE];
    mw_buffer_appendf(out, "plan ");
    mw_visible(out, mw_text(plan, "status"));
    mw_buffer_append_byte(out, '\n');
    mw_field(out, "hash", mw_text(plan, "plan_hash"));
    mw_field(out, "judged by", mw_text(plan, "judged_by"));
    mw_instant_text(plan, "judged_at", judged);
    mw_field(out, "judged", mw_slice_of(judged));
    mw_field(out, "comment", mw_text(plan, "comment"));
    for (size_t i = 0; i < json_array_size(phases); i++) {
        const json_t *phase = json_array_get(phases, i);
        const json_t *steps = json_object_get(phase, "steps");
        mw_buffer_appendf(out, "  ");
        mw_visible(out, mw_text(phase, "name"));
        mw_buffer_append_byte(out, '\n');
        for (size_t s = 0; s < json_array_size(steps); s++)
            render_step(json_array_get(steps, s), s + 1, out);
    }
}

static void render_show(mw_cli *cli, json_t *root, mw_buffer *out)
{
    (void)cli;
    mw_render_plan(root, out);
}

int mw_cmd_plan_show(mw_cli *cli)
{
    return mw_show_part(cli, "investigations", "/plan", render_show);
}

static int judge(mw_cli *cli, const char *verb, const char *what)
{
    mw_buffer path;
    if (!cli->hash)
        return mw_complain(MW_EXIT_USAGE, what, "--hash is missing",
                           "midwatch plan show ID tells the hash of the plan that you read");
    json_t *body = json_pack("{s:s, s:s?}", "plan_hash", cli->hash, "comment", cli->comment);
    mw_buffer_init(&path, MW_MEM_BASE, MW_CLI_PATH_MAX * 4);
    mw_buffer_appendf(&path, "/api/v1/investigations/");
    mw_url_append(&path, cli->args[0]);
    mw_buffer_appendf(&path, "/plan/%s", verb);
    mw_buffer_append_byte(&path, '\0');
    int status;
    if (path.err) {
        json_decref(body);
        status = mw_complain(MW_EXIT_USAGE, what, "the id is too long", "");
    } else {
        status = mw_show_change(cli, path.data, body, what, render_show);
    }
    mw_buffer_fini(&path);
    return status;
}

int mw_cmd_plan_approve(mw_cli *cli)
{
    return judge(cli, "approve", "plan approve");
}

int mw_cmd_plan_reject(mw_cli *cli)
{
    return judge(cli, "reject", "plan reject");
}
