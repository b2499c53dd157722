/* alarm list, alarm show. */
#include "cli/cli_int.h"

static const mw_column columns[] = {
    {"STARTED", 0},
    {"ALARM", MW_COLUMN_ID},
    {"VERDICT", 0},
    {"STATE", MW_COLUMN_DROP(4)},
    {"PRIORITY", MW_COLUMN_DROP(1)},
    {"SERVICE", MW_COLUMN_SHRINK | MW_COLUMN_DROP(2)},
    {"TITLE", MW_COLUMN_SHRINK},
    {"INVESTIGATION", MW_COLUMN_ID},
    {"INCIDENT", MW_COLUMN_SHRINK | MW_COLUMN_DROP(3)},
};

static mw_style verdict_style(mw_slice verdict)
{
    if (mw_slice_equal(verdict, MW_SLICE("PROCEED")))
        return MW_STYLE_RED;
    return mw_slice_equal(verdict, MW_SLICE("LINKED")) ? MW_STYLE_YELLOW : MW_STYLE_NONE;
}

/* "2m ago?": when it came, since what it says of its time cannot be. */
static void add_start(mw_table *table, const json_t *item, const char *text)
{
    char marked[MW_CELL_SIZE + 1];
    snprintf(marked, sizeof marked, "%s%s", text, mw_is_null(item, "claimed_at") ? "" : "?");
    mw_table_cell(table, mw_slice_of(marked));
}

static void add_row(mw_cli *cli, mw_table *table, const json_t *item)
{
    char text[MW_CELL_SIZE];
    const json_t *decision = json_object_get(item, "decision");
    mw_slice verdict = mw_text(decision, "verdict");
    mw_time_text(cli, item, "started_at", text);
    add_start(table, item, text);
    mw_table_cell(table, mw_text(item, "alarm_id"));
    mw_table_cell(table, verdict.len ? verdict : MW_SLICE("undecided"));
    mw_table_style(table, verdict_style(verdict));
    mw_table_cell(table, mw_text(item, "state"));
    mw_table_cell(table, mw_text(item, "priority"));
    mw_table_cell(table, mw_text(item, "service"));
    mw_table_cell(table, mw_text(item, "title"));
    mw_table_cell(table, mw_text(decision, "investigation_id"));
    mw_table_cell(table, mw_text(item, "incident_id"));
}

void mw_alarm_table(mw_cli *cli, const json_t *items, mw_buffer *out)
{
    mw_item_table(cli, columns, sizeof columns / sizeof columns[0], items, add_row, out);
}

static void render_list(mw_cli *cli, json_t *root, mw_buffer *out)
{
    mw_alarm_table(cli, json_object_get(root, "items"), out);
}

int mw_cmd_alarm_list(mw_cli *cli)
{
    return mw_list(cli, "alarms", "alarms", render_list);
}

static void render_decision(const json_t *decision, mw_buffer *out)
{
    if (!json_is_object(decision)) {
        mw_buffer_appendf(out, "\nnot decided yet\n");
        return;
    }
    mw_buffer_appendf(out, "\ndecision ");
    mw_visible(out, mw_text(decision, "verdict"));
    mw_buffer_append_byte(out, '\n');
    mw_field(out, "why", mw_text(decision, "reason"));
    mw_field(out, "code", mw_text(decision, "reason_code"));
    mw_field(out, "investigation", mw_text(decision, "investigation_id"));
    if (!mw_is_null(decision, "score"))
        mw_buffer_appendf(out, "  %-13s %.3f of %.3f needed\n", "score",
                          mw_number(decision, "score"), mw_number(decision, "threshold"));
    mw_buffer_appendf(out, "  %-13s %lld us, as of commit %lld\n", "took",
                      (long long)mw_integer(decision, "decided_in_us"),
                      (long long)mw_integer(decision, "as_of"));
}

static void render_events(const json_t *events, mw_buffer *out)
{
    char text[MW_CELL_SIZE];
    for (size_t i = 0; i < json_array_size(events); i++) {
        const json_t *event = json_array_get(events, i);
        mw_instant_text(event, "time", text);
        mw_buffer_appendf(out, i ? "  " : "\nevents\n  ");
        mw_buffer_appendf(out, "%s ", text);
        mw_visible(out, mw_text(event, "action"));
        mw_buffer_append_byte(out, '\n');
    }
}

void mw_alarm_claim(const json_t *alarm, mw_buffer *out)
{
    char text[MW_CELL_SIZE];
    if (mw_is_null(alarm, "claimed_at"))
        return;
    mw_instant_text(alarm, "claimed_at", text);
    mw_buffer_appendf(out,
                      "  %-13s %s, more than a day after it came: when it came counts instead\n",
                      "odd time", text);
}

static void render_show(mw_cli *cli, json_t *root, mw_buffer *out)
{
    (void)cli;
    char text[MW_CELL_SIZE];
    size_t i;
    json_t *resource;
    mw_buffer_appendf(out, "alarm ");
    mw_visible(out, mw_text(root, "alarm_id"));
    mw_buffer_append_byte(out, '\n');
    mw_field(out, "title", mw_text(root, "title"));
    mw_field(out, "description", mw_text(root, "description"));
    mw_field(out, "state", mw_text(root, "state"));
    mw_field(out, "priority", mw_text(root, "priority"));
    mw_field(out, "service", mw_text(root, "service"));
    mw_field(out, "region", mw_text(root, "region"));
    mw_field(out, "incident", mw_text(root, "incident_id"));
    mw_field(out, "source", mw_text(root, "source"));
    json_array_foreach(json_object_get(root, "resources"), i, resource)
        mw_field(out, i ? "" : "resources",
                 mw_slice_bytes(json_string_value(resource), json_string_length(resource)));
    mw_instant_text(root, "started_at", text);
    mw_field(out, "started", mw_slice_of(text));
    mw_instant_text(root, "received_at", text);
    mw_field(out, "received", mw_slice_of(text));
    mw_alarm_claim(root, out);
    render_decision(json_object_get(root, "decision"), out);
    render_events(json_object_get(root, "events"), out);
}

int mw_cmd_alarm_show(mw_cli *cli)
{
    return mw_show_id(cli, "alarms", render_show);
}
