/* What people do to alarms and incidents; triage replay; topology import. */
#include "cli/cli_int.h"

/* A file of calls: some hundred thousand. */
#define TOPOLOGY_FILE_MAX ((size_t)8 << 20)

/* ---- acts ------------------------------------------------------------------------------------ */

static int print_acted(const mw_cli *cli, const mw_answer *answer, const char *what)
{
    mw_buffer text;
    mw_slice alarm = mw_text(answer->root, "alarm_id");
    mw_slice investigation = mw_text(answer->root, "investigation_id");
    if (cli->json)
        return mw_print(&answer->body);
    mw_buffer_init(&text, MW_MEM_BASE, 65536);
    if (alarm.len) {
        mw_buffer_appendf(&text, "alarm ");
        mw_visible(&text, alarm);
        mw_buffer_appendf(&text, " %s%s", what, investigation.len ? "; investigation " : "");
        mw_visible(&text, investigation);
    } else {
        mw_buffer_appendf(&text, "investigation ");
        mw_visible(&text, investigation);
        mw_buffer_appendf(&text, " %s", what);
    }
    mw_buffer_append_byte(&text, '\n');
    int status = mw_print(&text);
    mw_buffer_fini(&text);
    return status;
}

/* Posts to /api/v1/NOUN/args[0]PART; takes the body. */
static int act(mw_cli *cli, const char *noun, const char *part, json_t *body, const char *what)
{
    mw_answer answer;
    mw_buffer path;
    if (body && cli->why)
        json_object_set_new(body, "text", json_string(cli->why));
    if (body && cli->version_seen)
        json_object_set_new(body, "version", json_string(cli->version_seen));
    mw_buffer_init(&path, MW_MEM_BASE, MW_CLI_PATH_MAX * 2);
    mw_show_path(cli, noun, part, &path);
    mw_buffer_append_byte(&path, '\0');
    if (path.err) {
        mw_buffer_fini(&path);
        json_decref(body);
        return mw_complain(MW_EXIT_USAGE, noun, "the id is too long", "");
    }
    int status = mw_client_post(cli, path.data, body, noun, &answer);
    mw_buffer_fini(&path);
    if (!status)
        status = print_acted(cli, &answer, what);
    mw_answer_free(&answer);
    return status;
}

int mw_cmd_alarm_link(mw_cli *cli)
{
    return act(cli, "alarms", "/link", json_pack("{s:s}", "investigation_id", cli->args[1]),
               "is linked");
}

int mw_cmd_alarm_unlink(mw_cli *cli)
{
    return act(cli, "alarms", "/unlink", json_object(), "has an investigation of its own");
}

int mw_cmd_alarm_proceed(mw_cli *cli)
{
    return act(cli, "alarms", "/proceed", json_object(), "has an investigation of its own");
}

int mw_cmd_alarm_skip(mw_cli *cli)
{
    return act(cli, "alarms", "/skip", json_object(), "is set aside");
}

int mw_cmd_investigation_merge(mw_cli *cli)
{
    return act(cli, "investigations", "/merge", json_pack("{s:s}", "into", cli->args[1]),
               "has the alarms of both");
}

int mw_cmd_investigation_split(mw_cli *cli)
{
    json_t *body = json_object(), *alarms = json_array();
    for (size_t i = 1; i < cli->arg_count; i++)
        json_array_append_new(alarms, json_string(cli->args[i]));
    json_object_set_new(body, "alarms", alarms);
    return act(cli, "investigations", "/split", body, "has them now");
}

int mw_cmd_investigation_claim(mw_cli *cli)
{
    return act(cli, "investigations", "/claim", json_object(), "is yours");
}

int mw_cmd_investigation_close(mw_cli *cli)
{
    return act(cli, "investigations", "/close", json_object(), "is closed");
}

/* The words are one text. */
int mw_cmd_investigation_comment(mw_cli *cli)
{
    mw_buffer text;
    mw_buffer_init(&text, MW_MEM_BASE, 65536);
    for (size_t i = 1; i < cli->arg_count; i++)
        mw_buffer_appendf(&text, "%s%s", i > 1 ? " " : "", cli->args[i]);
    mw_buffer_append_byte(&text, '\0');
    json_t *body = text.err ? NULL : json_pack("{s:s}", "text", text.data);
    int status = act(cli, "investigations", "/comment", body, "has it in its journal");
    mw_buffer_fini(&text);
    return status;
}

/* ---- triage replay --------------------------------------------------------------------------- */

typedef struct tally {
    size_t decisions, differences, drifts;
    mw_buffer lines;
} tally;

static void add_replayed(mw_slice id, const json_t *root, tally *count)
{
    const json_t *drifts = json_object_get(root, "drifts");
    bool same = json_is_true(json_object_get(root, "same"));
    count->decisions++;
    count->differences += !same;
    count->drifts += json_array_size(drifts) > 0;
    if (!same) {
        mw_visible(&count->lines, id);
        mw_buffer_appendf(&count->lines, " DIFFERS: ");
        mw_visible(&count->lines, mw_text(root, "difference"));
        mw_buffer_append_byte(&count->lines, '\n');
    }
    for (size_t i = 0; i < json_array_size(drifts); i++) {
        const json_t *drift = json_array_get(drifts, i);
        mw_visible(&count->lines, id);
        mw_buffer_appendf(&count->lines, " telemetry between commits %lld and %lld: ",
                          (long long)mw_integer(root, "as_of_then"),
                          (long long)mw_integer(root, "as_of_now"));
        mw_visible(&count->lines,
                   mw_slice_bytes(json_string_value(drift), json_string_length(drift)));
        mw_buffer_append_byte(&count->lines, '\n');
    }
}

static int replay_one(mw_cli *cli, mw_slice id, tally *count)
{
    mw_answer answer;
    char path[MW_CLI_PATH_MAX];
    char text[128];
    mw_buffer part;
    if (!mw_slice_to_cstr(id, text, sizeof text))
        return mw_complain(MW_EXIT_USAGE, "triage replay", "the id is too long", "");
    mw_buffer_init(&part, MW_MEM_BASE, sizeof text * 4);
    mw_url_append(&part, text);
    snprintf(path, sizeof path, "/api/v1/alarms/%.*s/replay", MW_SLICE_FMT(mw_buffer_slice(&part)));
    mw_buffer_fini(&part);
    int status = mw_client_call(cli, path, NULL, &answer);
    if (!status)
        add_replayed(id, answer.root, count);
    mw_answer_free(&answer);
    return status;
}

/* A page of alarms; the cursor of the next, or none. */
static int replay_page(mw_cli *cli, tally *count, char cursor[MW_CLI_CURSOR_SIZE])
{
    mw_answer answer = {.root = NULL};
    mw_buffer path;
    mw_buffer_init(&path, MW_MEM_BASE, MW_CLI_PATH_MAX * 4);
    mw_list_path(cli, "alarms", &path);
    mw_buffer_append_byte(&path, '\0');
    int status = path.err ? mw_complain(MW_EXIT_USAGE, "triage replay", "an option is too long", "")
                          : mw_client_call(cli, path.data, NULL, &answer);
    mw_buffer_fini(&path);
    if (status)
        return status;
    const json_t *items = json_object_get(answer.root, "items");
    for (size_t i = 0; !status && i < json_array_size(items); i++) {
        const json_t *item = json_array_get(items, i);
        if (json_is_object(json_object_get(item, "decision")))
            status = replay_one(cli, mw_text(item, "alarm_id"), count);
    }
    if (!mw_slice_to_cstr(mw_text(answer.root, "next_cursor"), cursor, MW_CLI_CURSOR_SIZE))
        cursor[0] = '\0';
    mw_answer_free(&answer);
    return status;
}

static int print_tally(const mw_cli *cli, tally *count)
{
    mw_buffer out;
    mw_buffer_init(&out, MW_MEM_BASE, (size_t)256 << 20);
    if (cli->json) {
        mw_buffer_appendf(&out, "{\"decisions\":%zu,\"differences\":%zu,\"drifted\":%zu}\n",
                          count->decisions, count->differences, count->drifts);
    } else {
        mw_buffer_append_slice(&out, mw_buffer_slice(&count->lines));
        mw_buffer_appendf(&out,
                          "%zu decisions taken again from what they stored: %zu differ; of %zu the "
                          "store tells something else by now\n",
                          count->decisions, count->differences, count->drifts);
    }
    int status = mw_print(&out);
    mw_buffer_fini(&out);
    return status || !count->differences ? status : MW_EXIT_FAILED;
}

int mw_cmd_triage_replay(mw_cli *cli)
{
    tally count = {.decisions = 0};
    char cursor[MW_CLI_CURSOR_SIZE] = "";
    int status = MW_EXIT_DONE;
    mw_buffer_init(&count.lines, MW_MEM_BASE, (size_t)256 << 20);
    if (cli->alarm) {
        status = replay_one(cli, mw_slice_of(cli->alarm), &count);
    } else {
        cli->limit = "1000";
        do {
            cli->cursor = cursor[0] ? cursor : NULL;
            status = replay_page(cli, &count, cursor);
        } while (!status && cursor[0]);
    }
    if (!status)
        status = print_tally(cli, &count);
    mw_buffer_fini(&count.lines);
    return status;
}

/* ---- topology import ------------------------------------------------------------------------- */

int mw_cmd_topology_import(mw_cli *cli)
{
    mw_answer answer;
    json_error_t error;
    json_t *root = json_load_file(cli->args[0], 0, &error);
    if (!root)
        return mw_complain(MW_EXIT_FAILED, cli->args[0], error.text,
                           "it is {\"edges\": [[\"caller\", \"callee\"], ...]}");
    json_t *body = json_pack("{s:O?}", "edges", json_object_get(root, "edges"));
    json_decref(root);
    if (!body || !json_is_array(json_object_get(body, "edges"))) {
        json_decref(body);
        return mw_complain(MW_EXIT_FAILED, cli->args[0], "it has no list \"edges\"",
                           "it is {\"edges\": [[\"caller\", \"callee\"], ...]}");
    }
    int status = mw_client_post(cli, "/api/v1/topology", body, "topology import", &answer);
    if (!status && cli->json)
        status = mw_print(&answer.body);
    else if (!status)
        printf("%lld calls are known beside those that telemetry shows\n",
               (long long)mw_integer(answer.root, "edges"));
    mw_answer_free(&answer);
    return status;
}
