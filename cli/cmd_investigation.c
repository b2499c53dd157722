/* investigation list, and investigation show: header, alarms, root cause, gaps, plan, journal. */
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

static void render_journal(const json_t *journal, mw_buffer *out)
{
    char time[MW_CELL_SIZE];
    if (json_array_size(journal))
        mw_buffer_appendf(out, "\njournal\n");
    for (size_t i = 0; i < json_array_size(journal); i++) {
        const json_t *record = json_array_get(journal, i);
        mw_instant_text(record, "time", time);
        mw_buffer_appendf(out, "  %s ", time);
        mw_visible(out, mw_text(record, "type"));
        mw_buffer_append_byte(out, ' ');
        mw_visible(out, mw_text(record, "text"));
        mw_buffer_append_byte(out, '\n');
        render_evidence(json_object_get(record, "evidence"), 4, out);
    }
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
        render_evidence(json_object_get(reason, "evidence"), 7, out);
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

static void render_step(const json_t *step, mw_buffer *out)
{
    mw_buffer_appendf(out, "    - ");
    mw_visible(out, mw_text(step, "title"));
    mw_buffer_append_byte(out, '\n');
    static const char *const parts[] = {"command", "expected", "rollback"};
    for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++) {
        mw_slice text = mw_text(step, parts[i]);
        if (!text.len)
            continue;
        mw_buffer_appendf(out, "      %-9s ", parts[i]);
        mw_visible(out, text);
        mw_buffer_append_byte(out, '\n');
    }
}

static void render_plan(const json_t *plan, mw_buffer *out)
{
    const json_t *phases = json_object_get(plan, "phases");
    if (!json_is_object(plan))
        return;
    mw_buffer_appendf(out, "\nplan ");
    mw_visible(out, mw_text(plan, "status"));
    mw_buffer_append_byte(out, ' ');
    mw_visible(out, mw_text(plan, "plan_hash"));
    mw_buffer_append_byte(out, '\n');
    for (size_t i = 0; i < json_array_size(phases); i++) {
        const json_t *phase = json_array_get(phases, i);
        const json_t *steps = json_object_get(phase, "steps");
        mw_buffer_appendf(out, "  ");
        mw_visible(out, mw_text(phase, "name"));
        mw_buffer_append_byte(out, '\n');
        for (size_t s = 0; s < json_array_size(steps); s++)
            render_step(json_array_get(steps, s), out);
    }
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
    mw_field(out, "priority", mw_text(root, "priority"));
    mw_instant_text(root, "created_at", from);
    mw_field(out, "created", mw_slice_of(from));
    mw_instant_text(root, "closed_at", from);
    mw_field(out, "closed", mw_slice_of(from));
    mw_instant_text(window, "start", from);
    mw_instant_text(window, "end", to);
    if (from[0])
        mw_buffer_appendf(out, "  %-13s %s to %s\n", "window", from, to);
}

static void render_show(mw_cli *cli, json_t *root, mw_buffer *out)
{
    const json_t *alarms = json_object_get(root, "alarms");
    render_head(root, out);
    if (json_array_size(alarms)) {
        mw_buffer_appendf(out, "\nalarms\n");
        mw_alarm_table(cli, alarms, out);
    }
    render_cause(json_object_get(root, "root_cause"), out);
    render_plan(json_object_get(root, "plan"), out);
    render_journal(json_object_get(root, "journal"), out);
}

int mw_cmd_investigation_show(mw_cli *cli)
{
    return mw_show_id(cli, "investigations", render_show);
}
