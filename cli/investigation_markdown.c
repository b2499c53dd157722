/* An investigation as a Markdown document, for a ticket or a review.
 *
 * What telemetry and alarms say is somebody's text: each character that Markdown or HTML would take
 * for its own is escaped, and a line never becomes two. Pure.
 */
#include "cli/cli_int.h"

static void plain(mw_buffer *out, mw_slice text)
{
    static const char special[] = "\\`*_{}[]()<>#+-!|&~";
    mw_buffer shown;
    mw_buffer_init(&shown, MW_MEM_BASE, (size_t)1 << 20);
    mw_visible(&shown, text);
    mw_slice visible = mw_buffer_slice(&shown);
    for (size_t i = 0; i < visible.len; i++) {
        char c = visible.data[i];
        if (c && memchr(special, c, sizeof special - 1))
            mw_buffer_append_byte(out, '\\');
        mw_buffer_append_byte(out, c);
    }
    mw_buffer_fini(&shown);
}

/* Between back quotes nothing is escaped: one more of them than the text has. */
static void code(mw_buffer *out, mw_slice text)
{
    size_t longest = 0, run = 0;
    for (size_t i = 0; i < text.len; i++) {
        run = text.data[i] == '`' ? run + 1 : 0;
        longest = run > longest ? run : longest;
    }
    for (size_t i = 0; i <= longest; i++)
        mw_buffer_append_byte(out, '`');
    if (longest)
        mw_buffer_append_byte(out, ' ');
    mw_visible(out, text);
    if (longest)
        mw_buffer_append_byte(out, ' ');
    for (size_t i = 0; i <= longest; i++)
        mw_buffer_append_byte(out, '`');
}

static void field(mw_buffer *out, const char *name, mw_slice text)
{
    if (!text.len)
        return;
    mw_buffer_appendf(out, "- %s: ", name);
    plain(out, text);
    mw_buffer_append_byte(out, '\n');
}

static void evidence(mw_buffer *out, const json_t *list)
{
    for (size_t i = 0; i < json_array_size(list); i++) {
        const json_t *item = json_array_get(list, i);
        mw_buffer_appendf(out, "    - ");
        plain(out, mw_text(item, "text"));
        if (mw_text(item, "query").len) {
            mw_buffer_appendf(out, " ");
            code(out, mw_text(item, "query"));
        }
        mw_buffer_append_byte(out, '\n');
    }
}

static void candidate(mw_buffer *out, const json_t *item, size_t rank)
{
    const json_t *reasons = json_object_get(item, "reasons");
    mw_buffer_appendf(out, "%zu. **", rank);
    plain(out, mw_text(item, "service"));
    mw_buffer_appendf(out, "** (");
    plain(out, mw_text(item, "kind"));
    mw_buffer_appendf(out, ", score %.3f)\n", mw_number(item, "score"));
    for (size_t i = 0; i < json_array_size(reasons); i++) {
        const json_t *reason = json_array_get(reasons, i);
        mw_buffer_appendf(out, "   - ");
        plain(out, mw_text(reason, "text"));
        mw_buffer_append_byte(out, '\n');
        evidence(out, json_object_get(reason, "evidence"));
    }
}

static void texts(mw_buffer *out, const char *title, const json_t *list)
{
    if (json_array_size(list))
        mw_buffer_appendf(out, "\n## %s\n\n", title);
    for (size_t i = 0; i < json_array_size(list); i++) {
        const json_t *item = json_array_get(list, i);
        mw_slice label = mw_text(item, "code");
        if (!label.len)
            label = mw_text(item, "service");
        mw_buffer_appendf(out, "- ");
        plain(out, label);
        mw_buffer_appendf(out, label.len ? ": " : "");
        plain(out, mw_text(item, "text"));
        mw_buffer_append_byte(out, '\n');
    }
}

static void cause(mw_buffer *out, const json_t *root_cause)
{
    const json_t *candidates = json_object_get(root_cause, "candidates");
    char onset[MW_CELL_SIZE];
    if (!json_is_object(root_cause))
        return;
    mw_buffer_appendf(out, "\n## Root cause\n\n");
    plain(out, mw_text(root_cause, "summary"));
    mw_buffer_appendf(out, "\n\n");
    field(out, "verdict", mw_text(root_cause, "verdict"));
    mw_buffer_appendf(out, "- confidence: %.2f\n", mw_number(root_cause, "confidence"));
    mw_instant_text(root_cause, "onset", onset);
    field(out, "onset", mw_slice_of(onset));
    if (json_array_size(candidates))
        mw_buffer_appendf(out, "\n## Candidates\n\n");
    for (size_t i = 0; i < json_array_size(candidates); i++)
        candidate(out, json_array_get(candidates, i), i + 1);
    texts(out, "Ruled out", json_object_get(root_cause, "ruled_out"));
    texts(out, "Gaps", json_object_get(root_cause, "gaps"));
}

static void step(mw_buffer *out, const json_t *item, size_t number)
{
    mw_buffer_appendf(out, "%zu. ", number);
    plain(out, mw_text(item, "title"));
    mw_buffer_append_byte(out, '\n');
    if (mw_text(item, "command").len) {
        mw_buffer_appendf(out, "   - command: ");
        code(out, mw_text(item, "command"));
        mw_buffer_append_byte(out, '\n');
    }
    static const char *const parts[] = {"expected", "rollback", "evidence"};
    for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++) {
        if (!mw_text(item, parts[i]).len)
            continue;
        mw_buffer_appendf(out, "   - %s: ", parts[i]);
        plain(out, mw_text(item, parts[i]));
        mw_buffer_append_byte(out, '\n');
    }
}

static void plan(mw_buffer *out, const json_t *item)
{
    const json_t *phases = json_object_get(item, "phases");
    if (!json_is_object(item))
        return;
    mw_buffer_appendf(out, "\n## Plan\n\n");
    field(out, "status", mw_text(item, "status"));
    mw_buffer_appendf(out, "- hash: ");
    code(out, mw_text(item, "plan_hash"));
    mw_buffer_append_byte(out, '\n');
    field(out, "judged by", mw_text(item, "judged_by"));
    field(out, "comment", mw_text(item, "comment"));
    for (size_t i = 0; i < json_array_size(phases); i++) {
        const json_t *phase = json_array_get(phases, i);
        const json_t *steps = json_object_get(phase, "steps");
        mw_buffer_appendf(out, "\n### ");
        plain(out, mw_text(phase, "name"));
        mw_buffer_appendf(out, "\n\n");
        for (size_t s = 0; s < json_array_size(steps); s++)
            step(out, json_array_get(steps, s), s + 1);
    }
}

static void timeline(mw_buffer *out, const json_t *root)
{
    const json_t *alarms = json_object_get(root, "alarms");
    const json_t *journal = json_object_get(root, "journal");
    char time[MW_CELL_SIZE];
    if (json_array_size(alarms))
        mw_buffer_appendf(out, "\n## Alarms\n\n");
    for (size_t i = 0; i < json_array_size(alarms); i++) {
        const json_t *alarm = json_array_get(alarms, i);
        mw_instant_text(alarm, "started_at", time);
        mw_buffer_appendf(out, "- %s ", time);
        plain(out, mw_text(alarm, "service"));
        mw_buffer_appendf(out, ": ");
        plain(out, mw_text(alarm, "title"));
        mw_buffer_append_byte(out, '\n');
    }
    if (json_array_size(journal))
        mw_buffer_appendf(out, "\n## Journal\n\n");
    for (size_t i = 0; i < json_array_size(journal); i++) {
        const json_t *record = json_array_get(journal, i);
        mw_instant_text(record, "time", time);
        mw_buffer_appendf(out, "- %s ", time);
        plain(out, mw_text(record, "type"));
        mw_buffer_appendf(out, ": ");
        plain(out, mw_text(record, "text"));
        mw_buffer_append_byte(out, '\n');
    }
}

void mw_render_markdown(mw_cli *cli, json_t *root, mw_buffer *out)
{
    char time[MW_CELL_SIZE];
    (void)cli;
    mw_buffer_appendf(out, "# ");
    plain(out, mw_text(root, "title"));
    mw_buffer_appendf(out, "\n\n");
    field(out, "investigation", mw_text(root, "investigation_id"));
    field(out, "status", mw_text(root, "status"));
    field(out, "incident", mw_text(root, "incident_state"));
    field(out, "priority", mw_text(root, "priority"));
    mw_instant_text(root, "created_at", time);
    field(out, "created", mw_slice_of(time));
    cause(out, json_object_get(root, "root_cause"));
    plan(out, json_object_get(root, "plan"));
    timeline(out, root);
}
