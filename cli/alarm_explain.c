/* alarm explain: why an alarm was linked, skipped or made an investigation, for a person at night.
 *
 * Everything on the page is in the alarm's own answer: nothing is worked out again here. The order
 * is that of questions: what happened, why, what else could it have been, what did the telemetry
 * say, what changed since, and what to type when it is wrong.
 */
#include "cli/cli_int.h"

typedef struct word_row {
    const char *code, *text;
} word_row;

static const word_row relation_words[] = {
    {"same_service", "the same service as an alarm of it"},
    {"caller", "a service of the incident calls it"},
    {"callee", "it calls a service of the incident"},
    {"shared", "both call the same service, as does"},
    {"resource", "both name the same resource"},
    {"none", "no call between the two is known"},
};

static const word_row cause_words[] = {
    {"same", "the trouble of both ends at the same service"},
    {"related", "the trouble of one ends behind that of the other"},
    {"together", "trouble at other places, which began together"},
    {"other", "begun at another time than the incident's trouble, at another place"},
    {"unaffected", "its own service shows no change, the incident's trouble ends"},
    {"quiet", "the incident's services showed no change"},
    {"unknown", "too little telemetry to tell"},
};

static const word_row region_words[] = {
    {"same", "the same region"},
    {"other", "another region"},
    {"unknown", "a region is not known"},
};

static const char *words_of(const word_row *rows, size_t count, mw_slice code)
{
    for (size_t i = 0; i < count; i++)
        if (mw_slice_equal(code, mw_slice_of(rows[i].code)))
            return rows[i].text;
    return "";
}
#define WORDS(rows, code) words_of(rows, sizeof(rows) / sizeof(rows)[0], code)

static void line(mw_buffer *out, const char *text)
{
    mw_buffer_appendf(out, "%s\n", text);
}

/* ---- the verdict ----------------------------------------------------------------------------- */

static void render_head(const json_t *root, mw_buffer *out)
{
    char text[MW_CELL_SIZE];
    mw_instant_text(root, "started_at", text);
    mw_buffer_appendf(out, "alarm ");
    mw_visible(out, mw_text(root, "alarm_id"));
    mw_buffer_append_byte(out, '\n');
    mw_field(out, "title", mw_text(root, "title"));
    mw_field(out, "service", mw_text(root, "service"));
    mw_field(out, "region", mw_text(root, "region"));
    mw_field(out, "started", mw_slice_of(text));
    mw_alarm_claim(root, out);
}

static void render_verdict(const json_t *decision, mw_buffer *out)
{
    mw_slice verdict = mw_text(decision, "verdict");
    mw_slice investigation = mw_text(decision, "investigation_id");
    mw_buffer_append_byte(out, '\n');
    mw_visible(out, verdict);
    if (mw_slice_equal(verdict, MW_SLICE("PROCEED")))
        mw_buffer_appendf(out, ": it has an investigation of its own");
    else if (mw_slice_equal(verdict, MW_SLICE("LINKED")))
        mw_buffer_appendf(out, ": it belongs to an incident that was open already");
    else
        mw_buffer_appendf(out, ": nothing was started for it");
    if (investigation.len) {
        mw_buffer_appendf(out, ", ");
        mw_visible(out, investigation);
    }
    mw_buffer_appendf(out, ".\nBecause: ");
    mw_visible(out, mw_text(decision, "reason"));
    mw_buffer_appendf(out, " [");
    mw_visible(out, mw_text(decision, "reason_code"));
    mw_buffer_appendf(out, "].\n");
}

/* ---- parts ----------------------------------------------------------------------------------- */

static void away_text(const json_t *candidate, char *out, size_t size)
{
    char text[MW_CELL_SIZE];
    mw_duration_text((double)mw_integer(candidate, "apart_ns") / 1e6, text, sizeof text);
    snprintf(out, size, "%s from its nearest alarm", text);
}

static void part_row(mw_table *table, const json_t *parts, const char *part, const char *why,
                     mw_slice of)
{
    char text[256];
    double worth = mw_number(parts, part);
    mw_table_cell(table, mw_slice_of(part));
    mw_table_cellf(table, "%+.3f", worth);
    mw_table_style(table, worth < 0 ? MW_STYLE_RED : MW_STYLE_NONE);
    int len = snprintf(text, sizeof text, "%s%s%.*s", why, of.len ? ": " : "", MW_SLICE_FMT(of));
    mw_table_cell(table, mw_slice_first(mw_slice_of(text), len > 0 ? (size_t)len : 0));
}

static void render_parts(const mw_cli *cli, const json_t *candidate, mw_buffer *out)
{
    static const mw_column columns[] = {
        {"PART", 0}, {"WORTH", MW_COLUMN_RIGHT}, {"BECAUSE", MW_COLUMN_SHRINK}};
    const json_t *parts = json_object_get(candidate, "parts");
    char away[MW_CELL_SIZE + 32];
    bool resource = json_is_true(json_object_get(candidate, "shared_resource"));
    bool title = json_is_true(json_object_get(candidate, "same_title"));
    mw_table table;
    away_text(candidate, away, sizeof away);
    mw_table_init(&table, columns, 3);
    part_row(&table, parts, "component", WORDS(relation_words, mw_text(candidate, "relation")),
             mw_text(candidate, "service"));
    part_row(&table, parts, "cause", WORDS(cause_words, mw_text(candidate, "cause")),
             mw_text(candidate, "cause_service"));
    part_row(&table, parts, "time", away, MW_SLICE_NONE);
    part_row(&table, parts, "region", WORDS(region_words, mw_text(candidate, "region")),
             MW_SLICE_NONE);
    part_row(&table, parts, "labels",
             resource ? "a resource in common"
             : title  ? "the same title"
                      : "nothing in common",
             MW_SLICE_NONE);
    mw_table_print(&table, cli->width, cli->color, 2, out);
    mw_table_fini(&table);
}

static void render_score(const mw_cli *cli, const json_t *decision, mw_buffer *out)
{
    const json_t *candidates = json_object_get(decision, "candidates");
    if (mw_is_null(decision, "score") || !json_array_size(candidates))
        return;
    mw_buffer_appendf(out, "\nThe nearest open incident, ");
    mw_visible(out, mw_text(json_array_get(candidates, 0), "investigation_id"));
    mw_buffer_appendf(out, ", scored %.3f; %.3f is needed:\n\n", mw_number(decision, "score"),
                      mw_number(decision, "threshold"));
    render_parts(cli, json_array_get(candidates, 0), out);
}

/* ---- the others ------------------------------------------------------------------------------ */

static const char *why_not(const json_t *candidate)
{
    if (mw_slice_equal(mw_text(candidate, "cause"), MW_SLICE("other")))
        return "another cause";
    if (json_is_true(json_object_get(candidate, "fits")))
        return "it fits too, but the first fits better";
    if (mw_slice_equal(mw_text(candidate, "region"), MW_SLICE("other")))
        return "another region";
    if (mw_slice_equal(mw_text(candidate, "cause"), MW_SLICE("unaffected")))
        return "its own service shows no change";
    return "too far: too little speaks for it";
}

static void render_others(const mw_cli *cli, const json_t *candidates, mw_buffer *out)
{
    static const mw_column columns[] = {{"INVESTIGATION", MW_COLUMN_ID},
                                        {"SCORE", MW_COLUMN_RIGHT},
                                        {"AWAY", MW_COLUMN_RIGHT},
                                        {"WHY NOT", MW_COLUMN_SHRINK}};
    mw_table table;
    char away[MW_CELL_SIZE];
    if (json_array_size(candidates) < 2)
        return;
    line(out, "\nOther open incidents near it\n");
    mw_table_init(&table, columns, 4);
    for (size_t i = 1; i < json_array_size(candidates); i++) {
        const json_t *candidate = json_array_get(candidates, i);
        mw_duration_text((double)mw_integer(candidate, "apart_ns") / 1e6, away, sizeof away);
        mw_table_cell(&table, mw_text(candidate, "investigation_id"));
        mw_table_cellf(&table, "%.3f", mw_number(candidate, "score"));
        mw_table_cell(&table, mw_slice_of(away));
        mw_table_cell(&table, mw_slice_of(why_not(candidate)));
    }
    mw_table_print(&table, cli->width, cli->color, 2, out);
    mw_table_fini(&table);
}

/* ---- telemetry ------------------------------------------------------------------------------- */

static void render_suspect(const json_t *suspect, mw_buffer *out)
{
    char onset[MW_CELL_SIZE], now[MW_CELL_SIZE], usual[MW_CELL_SIZE];
    mw_slice caller = mw_text(suspect, "caller");
    mw_instant_text(suspect, "onset", onset);
    mw_buffer_appendf(out, "  ");
    mw_visible(out, mw_text(suspect, "service"));
    if (caller.len) {
        mw_buffer_appendf(out, " (as called by ");
        mw_visible(out, caller);
        mw_buffer_append_byte(out, ')');
    }
    if (mw_slice_equal(mw_text(suspect, "change"), MW_SLICE("errors"))) {
        mw_buffer_appendf(
            out, ": %lld of %lld calls failed, %.1f %% (usual %.1f %%)",
            (long long)mw_integer(suspect, "errors"), (long long)mw_integer(suspect, "calls"),
            100 * mw_number(suspect, "error_rate"), 100 * mw_number(suspect, "usual_error_rate"));
    } else {
        mw_duration_text(mw_number(suspect, "mean_ms"), now, sizeof now);
        mw_duration_text(mw_number(suspect, "usual_ms"), usual, sizeof usual);
        mw_buffer_appendf(out, ": %s a call (usual %s)", now, usual);
    }
    mw_buffer_appendf(out, ", since %s%s\n", onset,
                      json_is_true(json_object_get(suspect, "newest")) ? "" : ", an older trouble");
}

static void render_telemetry(const json_t *decision, mw_buffer *out)
{
    const json_t *seen = json_object_get(decision, "telemetry");
    const json_t *suspects = json_object_get(seen, "suspects");
    if (!json_is_object(seen))
        return;
    mw_buffer_appendf(out,
                      "\nWhere the trouble behind its service ends (telemetry as of commit %lld)\n",
                      (long long)mw_integer(decision, "as_of"));
    for (size_t i = 0; i < json_array_size(suspects); i++)
        render_suspect(json_array_get(suspects, i), out);
    if (!json_is_true(json_object_get(seen, "read")))
        line(out, "  the telemetry could not be read when the alarm was decided");
    else if (!json_is_true(json_object_get(seen, "known")))
        line(out, "  no spans of its service were there to tell");
    else if (!json_array_size(suspects))
        line(out, "  nowhere: errors and durations were as usual");
}

/* ---- second looks ---------------------------------------------------------------------------- */

static const word_row look_words[] = {
    {"stays", "it stays where it is"},
    {"merges", "its incident and another turned out to be one"},
    {"moves", "it was moved to another incident"},
    {"leaves", "it was given an incident of its own"},
    {"suggests", "people are asked, see the investigation's journal"},
};

static void render_looks(const json_t *looks, mw_buffer *out)
{
    char time[MW_CELL_SIZE];
    for (size_t i = 0; i < json_array_size(looks); i++) {
        const json_t *look = json_array_get(looks, i);
        const json_t *suspects = json_object_get(json_object_get(look, "telemetry"), "suspects");
        mw_instant_text(look, "time", time);
        mw_buffer_appendf(out,
                          "\nLooked at again %s, with telemetry that came after the alarm (as of "
                          "commit %lld): %s\n  ",
                          time, (long long)mw_integer(look, "as_of"),
                          WORDS(look_words, mw_text(look, "look")));
        mw_visible(out, mw_text(look, "reason"));
        mw_buffer_append_byte(out, '\n');
        for (size_t k = 0; k < json_array_size(suspects); k++)
            render_suspect(json_array_get(suspects, k), out);
    }
}

/* ---- history, and what to do ----------------------------------------------------------------- */

static void render_history(const json_t *history, mw_buffer *out)
{
    char time[MW_CELL_SIZE];
    if (json_array_size(history) < 2)
        return;
    line(out, "\nWhat was decided before");
    for (size_t i = 0; i < json_array_size(history); i++) {
        const json_t *step = json_array_get(history, i);
        mw_instant_text(step, "time", time);
        mw_buffer_appendf(out, "  %s ", time);
        mw_visible(out, mw_text(step, "verdict"));
        mw_buffer_append_byte(out, ' ');
        mw_visible(out, mw_text(step, "who"));
        mw_buffer_appendf(out, ": ");
        mw_visible(out, mw_text(step, "reason"));
        mw_buffer_append_byte(out, '\n');
    }
}

static void hint(mw_buffer *out, const char *verb, mw_slice id, const char *rest, const char *what)
{
    mw_buffer_appendf(out, "  midwatch alarm %s %.12s%s  %s\n", verb, id.len ? id.data : "", rest,
                      what);
}

static void render_hints(const json_t *root, const json_t *decision, mw_buffer *out)
{
    mw_slice id = mw_text(root, "alarm_id"), verdict = mw_text(decision, "verdict");
    line(out, "\nIf that is wrong");
    if (mw_slice_equal(verdict, MW_SLICE("LINKED")))
        hint(out, "unlink", id, "", "takes it out, into an investigation of its own");
    if (mw_slice_equal(verdict, MW_SLICE("SKIPPED")))
        hint(out, "proceed", id, "", "gives it an investigation");
    else
        hint(out, "skip", id, "", "sets it aside");
    hint(out, "link", id, " INVESTIGATION", "puts it where it belongs");
}

/* The score, the others and the telemetry are those of the first decision, and the verdict above
 * them may not be. */
static void render_when(const json_t *decision, mw_buffer *out)
{
    bool says =
        !mw_is_null(decision, "score") || json_is_object(json_object_get(decision, "telemetry"));
    if (says && json_array_size(json_object_get(decision, "history")) > 1)
        line(out, "\nWhen it was decided first:");
}

static void render_explain(mw_cli *cli, json_t *root, mw_buffer *out)
{
    const json_t *decision = json_object_get(root, "decision");
    render_head(root, out);
    if (!json_is_object(decision)) {
        line(out, "\nnot decided yet");
        return;
    }
    render_verdict(decision, out);
    render_when(decision, out);
    render_score(cli, decision, out);
    render_others(cli, json_object_get(decision, "candidates"), out);
    render_telemetry(decision, out);
    render_looks(json_object_get(decision, "looks"), out);
    render_history(json_object_get(decision, "history"), out);
    render_hints(root, decision, out);
}

int mw_cmd_alarm_explain(mw_cli *cli)
{
    return mw_show_id(cli, "alarms", render_explain);
}
