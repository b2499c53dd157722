/* investigation list, show (as a page, or a document), create, cancel. */
#include "cli/cli_int.h"

static const mw_column columns[] = {
    {"CREATED", 0},
    {"INVESTIGATION", MW_COLUMN_ID},
    {"STATUS", 0},
    {"INCIDENT", MW_COLUMN_DROP(1)},
    {"PRIORITY", MW_COLUMN_DROP(2)},
    {"ALARMS", MW_COLUMN_RIGHT},
    {"TITLE", MW_COLUMN_SHRINK},
    {"CAUSE", MW_COLUMN_SHRINK | MW_COLUMN_DROP(3)},
};

static void add_row(mw_cli *cli, mw_table *table, const json_t *item)
{
    char text[MW_CELL_SIZE];
    const json_t *cause = json_object_get(item, "root_cause");
    mw_time_text(cli, item, "created_at", text);
    mw_table_cell(table, mw_slice_of(text));
    mw_table_cell(table, mw_text(item, "investigation_id"));
    mw_table_cell(table, mw_text(item, "status"));
    mw_table_cell(table, mw_text(item, "incident_state"));
    mw_table_cell(table, mw_text(item, "priority"));
    mw_table_cellf(table, "%zu", json_array_size(json_object_get(item, "alarms")));
    mw_table_cell(table, mw_text(item, "title"));
    mw_slice summary = mw_text(cause, "summary");
    mw_table_cell(table, summary.len ? summary : mw_text(cause, "verdict"));
}

static void render_list(mw_cli *cli, json_t *root, mw_buffer *out)
{
    mw_item_table(cli, columns, sizeof columns / sizeof columns[0], json_object_get(root, "items"),
                  add_row, out);
}

int mw_cmd_investigation_list(mw_cli *cli)
{
    return mw_list(cli, "investigations", "investigations", render_list);
}

/* ---- show ---------------------------------------------------------------------------------- */

static void indent(mw_buffer *out, size_t count)
{
    for (size_t i = 0; i < count; i++)
        mw_buffer_append_byte(out, ' ');
}

/* A line of evidence, and the command that shows it. */
static void render_evidence(const json_t *list, size_t blanks, mw_buffer *out)
{
    for (size_t i = 0; i < json_array_size(list); i++) {
        const json_t *item = json_array_get(list, i);
        indent(out, blanks);
        mw_buffer_appendf(out, "- ");
        /* Reasons may cite evidence by its id alone. */
        if (json_is_string(item))
            mw_visible(out, mw_slice_bytes(json_string_value(item), json_string_length(item)));
        mw_slice kind = mw_text(item, "kind");
        if (kind.len) {
            mw_buffer_append_byte(out, '[');
            mw_visible(out, kind);
            mw_buffer_appendf(out, "] ");
        }
        mw_visible(out, mw_text(item, "text"));
        mw_buffer_append_byte(out, '\n');
        mw_slice query = mw_text(item, "query");
        if (query.len) {
            indent(out, blanks + 2);
            mw_buffer_appendf(out, "$ ");
            mw_visible(out, query);
            mw_buffer_append_byte(out, '\n');
        }
    }
}

/* What was done, a line each: evidence stands with the reasons that it carries. */
static void render_journal(const json_t *journal, mw_buffer *out)
{
    char time[MW_CELL_SIZE];
    if (json_array_size(journal))
        mw_buffer_appendf(out, "\njournal\n");
    for (size_t i = 0; i < json_array_size(journal); i++) {
        const json_t *record = json_array_get(journal, i);
        size_t evidence = json_array_size(json_object_get(record, "evidence"));
        mw_instant_text(record, "time", time);
        mw_buffer_appendf(out, "  %s ", time);
        mw_visible(out, mw_text(record, "type"));
        mw_buffer_append_byte(out, ' ');
        mw_visible(out, mw_text(record, "text"));
        if (evidence)
            mw_buffer_appendf(out, " [%zu]", evidence);
        mw_buffer_append_byte(out, '\n');
    }
}

/* What shows a reason; of evidence in the same words the command alone. */
static void render_proof(const json_t *reason, mw_buffer *out)
{
    const json_t *list = json_object_get(reason, "evidence");
    const json_t *only = json_array_size(list) == 1 ? json_array_get(list, 0) : NULL;
    if (!only || !mw_slice_equal(mw_text(only, "text"), mw_text(reason, "text"))) {
        render_evidence(list, 7, out);
        return;
    }
    indent(out, 7);
    mw_buffer_appendf(out, "$ ");
    mw_visible(out, mw_text(only, "query"));
    mw_buffer_append_byte(out, '\n');
}

static void render_candidate(const json_t *candidate, size_t rank, mw_buffer *out)
{
    const json_t *reasons = json_object_get(candidate, "reasons");
    mw_buffer_appendf(out, "  %zu. ", rank);
    mw_visible(out, mw_text(candidate, "service"));
    mw_buffer_appendf(out, " (");
    mw_visible(out, mw_text(candidate, "kind"));
    mw_buffer_appendf(out, ", score %.3f)\n", mw_number(candidate, "score"));
    for (size_t i = 0; i < json_array_size(reasons); i++) {
        const json_t *reason = json_array_get(reasons, i);
        mw_buffer_appendf(out, "     ");
        mw_visible(out, mw_text(reason, "text"));
        mw_buffer_append_byte(out, '\n');
        render_proof(reason, out);
    }
}

/* Things that are objects with a text, or plain texts. */
static void render_texts(const char *title, const json_t *list, mw_buffer *out)
{
    if (json_array_size(list))
        mw_buffer_appendf(out, "\n%s\n", title);
    for (size_t i = 0; i < json_array_size(list); i++) {
        const json_t *item = json_array_get(list, i);
        mw_slice label = mw_text(item, "code");
        if (!label.len)
            label = mw_text(item, "service");
        mw_buffer_appendf(out, "  - ");
        if (json_is_string(item))
            mw_visible(out, mw_slice_bytes(json_string_value(item), json_string_length(item)));
        mw_visible(out, label);
        if (label.len)
            mw_buffer_appendf(out, ": ");
        mw_visible(out, mw_text(item, "text"));
        mw_buffer_append_byte(out, '\n');
    }
}

static void render_cause(const json_t *cause, mw_buffer *out)
{
    const json_t *candidates = json_object_get(cause, "candidates");
    char onset[MW_CELL_SIZE];
    if (!json_is_object(cause))
        return;
    mw_buffer_appendf(out, "\nroot cause ");
    mw_visible(out, mw_text(cause, "verdict"));
    if (!mw_is_null(cause, "confidence"))
        mw_buffer_appendf(out, " (confidence %.2f)", mw_number(cause, "confidence"));
    mw_buffer_append_byte(out, '\n');
    mw_field(out, "summary", mw_text(cause, "summary"));
    mw_instant_text(cause, "onset", onset);
    mw_field(out, "onset", mw_slice_of(onset));
    for (size_t i = 0; i < json_array_size(candidates); i++)
        render_candidate(json_array_get(candidates, i), i + 1, out);
    render_texts("ruled out", json_object_get(cause, "ruled_out"), out);
    render_texts("gaps", json_object_get(cause, "gaps"), out);
}

/* What would be done first, and where the whole is. */
static void render_plan(const json_t *root, mw_buffer *out)
{
    static const char *const names[] = {"prepare", "pre-validate", "apply", "post-validate"};
    const json_t *plan = json_object_get(root, "plan");
    const json_t *phases = json_object_get(plan, "phases");
    if (!json_is_object(plan))
        return;
    mw_buffer_appendf(out, "\nplan ");
    mw_visible(out, mw_text(plan, "status"));
    mw_buffer_append_byte(out, '\n');
    for (size_t i = 0; i < json_array_size(phases) && i < sizeof names / sizeof names[0]; i++) {
        const json_t *steps = json_object_get(json_array_get(phases, i), "steps");
        for (size_t s = 0; s < json_array_size(steps); s++)
            mw_field(out, s ? "" : names[i], mw_text(json_array_get(steps, s), "title"));
    }
    mw_buffer_appendf(out, "  $ midwatch plan show ");
    mw_visible(out, mw_slice_first(mw_text(root, "investigation_id"), 12));
    mw_buffer_append_byte(out, '\n');
}

static void render_head(const json_t *root, mw_buffer *out)
{
    char from[MW_CELL_SIZE], to[MW_CELL_SIZE];
    const json_t *window = json_object_get(root, "window");
    mw_buffer_appendf(out, "investigation ");
    mw_visible(out, mw_text(root, "investigation_id"));
    mw_buffer_append_byte(out, '\n');
    mw_field(out, "title", mw_text(root, "title"));
    mw_field(out, "status", mw_text(root, "status"));
    mw_field(out, "incident", mw_text(root, "incident_state"));
    mw_field(out, "center", mw_text(root, "center"));
    mw_field(out, "owner", mw_text(root, "owner"));
    mw_field(out, "merged into", mw_text(root, "merged_into"));
    mw_field(out, "priority", mw_text(root, "priority"));
    mw_field(out, "service", mw_text(root, "service"));
    mw_instant_text(root, "created_at", from);
    mw_field(out, "created", mw_slice_of(from));
    mw_instant_text(root, "closed_at", from);
    mw_field(out, "closed", mw_slice_of(from));
    mw_instant_text(window, "start", from);
    mw_instant_text(window, "end", to);
    if (from[0])
        mw_buffer_appendf(out, "  %-13s %s to %s\n", "window", from, to);
}

/* In the order of the questions of somebody who was woken: what is it, how sure is that, what is
 * not known, what to do; then what it rests on. */
static void render_show(mw_cli *cli, json_t *root, mw_buffer *out)
{
    const json_t *alarms = json_object_get(root, "alarms");
    if (cli->markdown) {
        mw_render_markdown(cli, root, out);
        return;
    }
    render_head(root, out);
    render_cause(json_object_get(root, "root_cause"), out);
    render_plan(root, out);
    if (json_array_size(alarms)) {
        mw_buffer_appendf(out, "\nalarms\n");
        mw_alarm_table(cli, alarms, out);
    }
    render_journal(json_object_get(root, "journal"), out);
}

int mw_cmd_investigation_show(mw_cli *cli)
{
    return mw_show_id(cli, "investigations", render_show);
}

/* ---- by hand -------------------------------------------------------------------------------- */

static void render_started(mw_cli *cli, json_t *root, mw_buffer *out)
{
    (void)cli;
    render_head(root, out);
}

int mw_cmd_investigation_create(mw_cli *cli)
{
    if (!cli->service)
        return mw_complain(MW_EXIT_USAGE, "investigation create", "--service is missing",
                           "for example --service checkout --at 15m");
    json_t *body =
        json_pack("{s:s, s:s?, s:s?}", "service", cli->service, "at", cli->at, "title", cli->title);
    return mw_show_change(cli, "/api/v1/investigations", body, "investigation create",
                          render_started);
}

int mw_cmd_investigation_cancel(mw_cli *cli)
{
    mw_buffer path;
    mw_buffer_init(&path, MW_MEM_BASE, MW_CLI_PATH_MAX * 4);
    mw_buffer_appendf(&path, "/api/v1/investigations/");
    mw_url_append(&path, cli->args[0]);
    mw_buffer_appendf(&path, "/cancel");
    mw_buffer_append_byte(&path, '\0');
    int status =
        path.err
            ? mw_complain(MW_EXIT_USAGE, "investigation cancel", "the id is too long", "")
            : mw_show_change(cli, path.data, json_object(), "investigation cancel", render_started);
    mw_buffer_fini(&path);
    return status;
}
