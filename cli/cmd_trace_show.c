/* trace show: the tree of a trace, with bars along its time, failures and log records in place.
 *
 * What is folded and what is left out was decided by the daemon (/api/v1/traces/{id}/tree), so that
 * an answer is short however long the trace is; here rows become lines.
 */
#include "cli/cli_int.h"

/* Deeper spans are not moved further right; a number says how deep they are. */
#define INDENT_MAX 16
/* What is left of a name or of the first line of a log's body when the width has no end. */
#define NAME_COLUMNS 120
/* Of a bar; a twentieth of the trace's time is one of its columns. */
#define BAR_COLUMNS 20
/* Contributors to the critical path that the head names, and what is left of a name. */
#define TOP_MAX 3
#define TOP_COLUMNS 40

static const mw_column columns[] = {
    {"SPAN", MW_COLUMN_SHRINK | MW_COLUMN_LEAST(44)},
    {"TIMELINE", MW_COLUMN_DROP(1)},
    {"KIND", MW_COLUMN_DROP(3)},
    {"SERVICE", MW_COLUMN_SHRINK | MW_COLUMN_DROP(4)},
    {"START", MW_COLUMN_RIGHT | MW_COLUMN_DROP(2)},
    {"DURATION", MW_COLUMN_RIGHT},
    {"STATUS", MW_COLUMN_MOST(8)}, /* of a record: its severity; folded: how many failed */
    {"TOKENS IN", MW_COLUMN_RIGHT},
    {"OUT", MW_COLUMN_RIGHT},
    {"MODEL", MW_COLUMN_SHRINK | MW_COLUMN_DROP(5)},
    {"ID", 0},
};

typedef enum line_kind { LINE_ROW, LINE_FAILED, LINE_MORE } line_kind;

typedef struct line {
    line_kind kind;
    const json_t *item; /* the row, the failed span, what is hidden */
    size_t depth;
    bool more; /* a line of the same parent follows */
} line;

typedef struct listing {
    mw_cli *cli;
    line *lines;
    size_t count;
    bool *open; /* by depth */
    int64_t start_ns, end_ns;
    mw_table table;
} listing;

static bool is_log(const json_t *row)
{
    return mw_slice_equal(mw_text(row, "type"), MW_SLICE("log"));
}

static bool has_hidden(const json_t *counts)
{
    return mw_integer(counts, "spans") || mw_integer(counts, "logs");
}

/* ---- from rows to lines --------------------------------------------------------------------- */

static void add_line(listing *out, line_kind kind, const json_t *item, size_t depth)
{
    out->lines[out->count++] = (line){kind, item, depth, false};
}

/* A failed span alone says what it says once: its id is in its own row. */
static void add_failed(listing *out, const json_t *row, size_t depth)
{
    const json_t *failed = json_object_get(row, "failed");
    bool folded = mw_integer(row, "count") > 1;
    for (size_t i = 0; i < json_array_size(failed); i++) {
        const json_t *span = json_array_get(failed, i);
        if (folded || !mw_is_null(span, "status_message"))
            add_line(out, LINE_FAILED, span, depth);
    }
}

/* What is hidden beneath the rows that end here, the deepest first. `hidden` is by depth. */
static void close_rows(listing *out, const json_t **hidden, size_t from, size_t to)
{
    for (; from > to; from--)
        if (hidden[from - 1] && has_hidden(hidden[from - 1]))
            add_line(out, LINE_MORE, hidden[from - 1], from);
}

static void make_lines(listing *out, const json_t *root)
{
    const json_t *rows = json_object_get(root, "rows"), *top = json_object_get(root, "hidden");
    size_t count = json_array_size(rows), open = 0;
    const json_t **hidden = mw_calloc_or_die(MW_MEM_BASE, count + 1, sizeof(const json_t *));
    /* A row has at most three failed spans and one line for what is hidden. */
    out->lines = mw_calloc_or_die(MW_MEM_BASE, count * 5 + 1, sizeof *out->lines);
    for (size_t i = 0; i < count; i++) {
        const json_t *row = json_array_get(rows, i);
        size_t depth = (size_t)mw_integer(row, "depth");
        /* The tree's rows come with their parents before them. */
        depth = depth <= open ? depth : open;
        close_rows(out, hidden, open, depth);
        hidden[depth] = json_object_get(row, "hidden");
        open = depth + 1;
        add_line(out, LINE_ROW, row, depth);
        add_failed(out, row, depth + 1);
    }
    close_rows(out, hidden, open, 0);
    if (has_hidden(top))
        add_line(out, LINE_MORE, top, 0);
    mw_free(MW_MEM_BASE, (void *)hidden);
}

/* Which lines have a sister behind them; from the back. */
static void find_sisters(listing *out)
{
    size_t deepest = 0;
    for (size_t i = 0; i < out->count; i++)
        deepest = out->lines[i].depth > deepest ? out->lines[i].depth : deepest;
    out->open = mw_calloc_or_die(MW_MEM_BASE, deepest + 1, sizeof *out->open);
    size_t last = 0;
    for (size_t i = out->count; i-- > 0;) {
        line *at = &out->lines[i];
        for (; last > at->depth; last--)
            out->open[last] = false;
        last = at->depth;
        at->more = out->open[at->depth];
        out->open[at->depth] = true;
    }
}

/* ---- cells ---------------------------------------------------------------------------------- */

static void append_indent(const listing *all, const line *at, mw_buffer *out)
{
    for (size_t depth = 1; depth <= at->depth && depth <= INDENT_MAX; depth++) {
        bool own = depth == at->depth;
        mw_buffer_appendf(out, "%s",
                          own                ? at->more ? "\u251c " : "\u2514 "
                          : all->open[depth] ? "\u2502 "
                                             : "  ");
    }
    if (at->depth > INDENT_MAX)
        mw_buffer_appendf(out, "(+%zu) ", at->depth - INDENT_MAX);
}

/* How many there are, and how they did. */
static void append_repeats(const json_t *row, mw_buffer *out)
{
    char least[MW_CELL_SIZE], most[MW_CELL_SIZE];
    long long count = mw_integer(row, "count"), errors = mw_integer(row, "errors");
    mw_duration_text(mw_number(row, "shortest_ms"), least, sizeof least);
    mw_duration_text(mw_number(row, "longest_ms"), most, sizeof most);
    mw_buffer_appendf(out, ": %lld ok, %lld error%s, %s to %s", count - errors, errors,
                      errors == 1 ? "" : "s", least, most);
}

static void append_name(const json_t *row, mw_buffer *out)
{
    long long count = mw_integer(row, "count");
    if (mw_number(row, "critical_ms") > 0)
        mw_buffer_appendf(out, "*");
    if (count > 1)
        mw_buffer_appendf(out, "\u00d7%lld ", count);
    mw_append_cut(out, mw_text(row, "name"), NAME_COLUMNS);
    mw_slice note = mw_text(row, "note");
    if (count > 1)
        append_repeats(row, out);
    if (mw_slice_equal(note, MW_SLICE("orphan")))
        mw_buffer_appendf(out, " (parent not stored)");
    else if (note.len)
        mw_buffer_appendf(out, " (its own ancestor)");
}

/* Event name and first line of the body. */
static void append_log(const json_t *row, mw_buffer *out)
{
    long long count = mw_integer(row, "count");
    mw_slice event = mw_text(row, "event_name"), text = mw_text(row, "text");
    mw_buffer_appendf(out, "- ");
    if (count > 1)
        mw_buffer_appendf(out, "\u00d7%lld ", count);
    mw_append_cut(out, event, NAME_COLUMNS);
    mw_buffer_appendf(out, event.len && text.len ? " " : "");
    mw_append_cut(out, mw_slice_first(text, mw_slice_find_byte(text, '\n')), NAME_COLUMNS);
}

static void append_counts(const json_t *counts, mw_buffer *out)
{
    long long spans = mw_integer(counts, "spans"), logs = mw_integer(counts, "logs"),
              errors = mw_integer(counts, "errors");
    mw_buffer_appendf(out, "\u2026 ");
    if (spans)
        mw_buffer_appendf(out, "%lld more span%s", spans, spans == 1 ? "" : "s");
    if (logs)
        mw_buffer_appendf(out, "%s%lld more log%s", spans ? ", " : "", logs, logs == 1 ? "" : "s");
    if (errors)
        mw_buffer_appendf(out, " (%lld error%s)", errors, errors == 1 ? "" : "s");
}

static void name_cell(listing *all, const line *at)
{
    mw_buffer text;
    mw_buffer_init(&text, MW_MEM_BASE, (size_t)1 << 20);
    append_indent(all, at, &text);
    if (at->kind == LINE_MORE) {
        append_counts(at->item, &text);
    } else if (at->kind == LINE_FAILED) {
        mw_slice message = mw_text(at->item, "status_message");
        mw_buffer_appendf(&text, message.len ? "! " : "! without a message");
        mw_append_cut(&text, message, NAME_COLUMNS);
    } else if (is_log(at->item)) {
        append_log(at->item, &text);
    } else {
        append_name(at->item, &text);
    }
    mw_table_cell(&all->table, mw_buffer_slice(&text));
    mw_buffer_fini(&text);
}

/* Where in the trace's time: what is on the critical path full, the rest light. */
static void bar_cell(listing *all, int64_t from_ns, int64_t to_ns, const char *mark)
{
    char text[BAR_COLUMNS * 3 + 1] = "";
    double whole = (double)(all->end_ns - all->start_ns);
    double from = whole > 0 ? (double)(from_ns - all->start_ns) / whole : 0;
    double to = whole > 0 ? (double)(to_ns - all->start_ns) / whole : 1;
    size_t first = from <= 0 ? 0 : (size_t)(from * BAR_COLUMNS);
    size_t last = to >= 1 ? BAR_COLUMNS : to <= 0 ? 0 : (size_t)(to * BAR_COLUMNS + 0.999);
    size_t used = 0;
    first = first < BAR_COLUMNS ? first : BAR_COLUMNS - 1;
    last = last > first ? last : first + 1;
    for (size_t i = 0; i < last; i++)
        used += (size_t)snprintf(text + used, sizeof text - used, "%s", i < first ? " " : mark);
    mw_table_cell(&all->table, mw_slice_of(text));
}

/* How long after the trace's start. */
static void offset_cell(listing *all, int64_t at_ns)
{
    char text[MW_CELL_SIZE];
    mw_duration_text((double)(at_ns - all->start_ns) / 1e6, text + 1, sizeof text - 1);
    text[0] = '+';
    mw_table_cell(&all->table, mw_slice_of(text[1] == '-' ? text + 1 : text));
}

static void token_cell(mw_table *table, const json_t *row, const char *key)
{
    if (mw_is_null(row, key))
        mw_table_cell(table, MW_SLICE_NONE);
    else
        mw_table_cellf(table, "%lld", (long long)mw_integer(row, key));
}

static void status_cell(mw_table *table, const json_t *row)
{
    long long errors = mw_integer(row, "errors");
    if (!errors)
        mw_table_cell(table, MW_SLICE("ok"));
    else if (mw_integer(row, "count") == 1)
        mw_table_cell(table, MW_SLICE("ERROR"));
    else
        mw_table_cellf(table, "%lld ERR", errors);
    if (errors)
        mw_table_style(table, MW_STYLE_RED);
}

static void add_span(listing *all, const line *at)
{
    char text[MW_CELL_SIZE];
    const json_t *row = at->item;
    mw_table *table = &all->table;
    bool critical = mw_number(row, "critical_ms") > 0;
    name_cell(all, at);
    if (mw_integer(row, "errors"))
        mw_table_style(table, MW_STYLE_RED);
    bar_cell(all, mw_integer(row, "start_unix_nano"), mw_integer(row, "end_unix_nano"),
             critical ? "\u2588" : "\u2591");
    mw_table_cell(table, mw_text(row, "operation_kind"));
    mw_table_cell(table, mw_text(row, "service"));
    offset_cell(all, mw_integer(row, "start_unix_nano"));
    mw_taken_text(all->cli, row, text);
    mw_table_cell(table, mw_slice_of(text));
    status_cell(table, row);
    token_cell(table, row, "input_tokens");
    token_cell(table, row, "output_tokens");
    mw_table_cell(table, mw_text(row, "model"));
    mw_table_cell(table, mw_integer(row, "count") > 1 ? MW_SLICE_NONE : mw_text(row, "span_id"));
}

static void empty_cells(mw_table *table, int count)
{
    for (int i = 0; i < count; i++)
        mw_table_cell(table, MW_SLICE_NONE);
}

static void add_log(listing *all, const line *at)
{
    int64_t time_ns = mw_integer(at->item, "time_unix_nano");
    name_cell(all, at);
    bar_cell(all, time_ns, time_ns, "\u00b7");
    mw_table_cell(&all->table, MW_SLICE("log"));
    mw_table_cell(&all->table, mw_text(at->item, "service"));
    offset_cell(all, time_ns);
    empty_cells(&all->table, 1);
    mw_severity_cell(&all->table, at->item);
    empty_cells(&all->table, 4); /* tokens, model, id */
}

static void add_other(listing *all, const line *at)
{
    name_cell(all, at);
    if (at->kind == LINE_FAILED)
        mw_table_style(&all->table, MW_STYLE_RED);
    empty_cells(&all->table, 9);
    mw_table_cell(&all->table, mw_text(at->item, "span_id"));
}

static void render_tree(mw_cli *cli, const json_t *root, mw_buffer *out)
{
    listing all = {.cli = cli, .start_ns = mw_integer(root, "start_unix_nano")};
    all.end_ns = all.start_ns + (int64_t)(mw_number(root, "duration_ms") * 1e6);
    make_lines(&all, root);
    find_sisters(&all);
    mw_table_init(&all.table, columns, sizeof columns / sizeof columns[0]);
    for (size_t i = 0; i < all.count; i++) {
        const line *at = &all.lines[i];
        all.open[at->depth] = at->more;
        if (at->kind != LINE_ROW)
            add_other(&all, at);
        else if (is_log(at->item))
            add_log(&all, at);
        else
            add_span(&all, at);
    }
    mw_table_print(&all.table, cli->width, cli->color, 0, out);
    mw_table_fini(&all.table);
    mw_free(MW_MEM_BASE, all.lines);
    mw_free(MW_MEM_BASE, all.open);
}

/* ---- the head ------------------------------------------------------------------------------- */

/* What most of the trace's time went into, each by itself, without what it waited for. */
static void render_critical(const json_t *root, mw_buffer *out)
{
    const json_t *top = json_object_get(root, "critical_top");
    double whole = mw_number(root, "duration_ms");
    size_t count = whole > 0 ? json_array_size(top) : 0;
    count = count < TOP_MAX ? count : TOP_MAX;
    for (size_t i = 0; i < count; i++) {
        const json_t *share = json_array_get(top, i);
        long long alike = mw_integer(share, "count");
        char text[MW_CELL_SIZE];
        mw_buffer name;
        double own = mw_number(share, "critical_ms");
        mw_buffer_init(&name, MW_MEM_BASE, (size_t)1 << 20);
        mw_visible(&name, mw_slice_first(mw_text(share, "name"), TOP_COLUMNS * 4));
        mw_duration_text(own, text, sizeof text);
        mw_buffer_appendf(out, i ? ", " : "  %-13s ", "critical");
        if (alike > 1)
            mw_buffer_appendf(out, "\u00d7%lld ", alike);
        mw_append_cut(out, mw_buffer_slice(&name), TOP_COLUMNS);
        mw_buffer_appendf(out, " %s (%.0f %%)", text, own / whole * 100);
        mw_buffer_fini(&name);
    }
    if (count)
        mw_buffer_append_byte(out, '\n');
}

static void render_head(mw_cli *cli, const json_t *root, mw_buffer *out)
{
    char text[MW_CELL_SIZE], start[MW_CELL_SIZE];
    size_t i;
    json_t *session;
    mw_buffer_appendf(out, "trace ");
    mw_visible(out, mw_text(root, "trace_id"));
    mw_buffer_append_byte(out, '\n');
    mw_field(out, "root", mw_text(root, "root_name"));
    mw_field(out, "service", mw_text(root, "service"));
    json_array_foreach(json_object_get(root, "session_ids"), i, session)
        mw_field(out, i ? "" : "session",
                 mw_slice_bytes(json_string_value(session), json_string_length(session)));
    mw_instant_text(root, "start", start);
    mw_taken_text(cli, root, text);
    mw_buffer_appendf(out, "  %-13s %s (%s)\n", "start", start, text);
    mw_buffer_appendf(out, "  %-13s %lld spans, %lld logs, %lld errors\n", "holds",
                      (long long)mw_integer(root, "span_count"),
                      (long long)mw_integer(root, "log_count"),
                      (long long)mw_integer(root, "errors"));
    mw_field_usage(out, root);
    render_critical(root, out);
    mw_buffer_append_byte(out, '\n');
}

static void render_missing(const json_t *root, mw_buffer *out)
{
    long long logs = mw_integer(root, "logs_left_out");
    if (!logs)
        return;
    mw_buffer_appendf(out,
                      "\n%lld log records are not shown here; list them with\n"
                      "  midwatch log list --trace ",
                      logs);
    mw_visible(out, mw_text(root, "trace_id"));
    mw_buffer_append_byte(out, '\n');
}

static void render_show(mw_cli *cli, json_t *root, mw_buffer *out)
{
    render_head(cli, root, out);
    render_tree(cli, root, out);
    render_missing(root, out);
}

/* --json is the trace with everything that was sent, unless the tree is asked for. */
int mw_cmd_trace_show(mw_cli *cli)
{
    bool whole = cli->json || mw_wants_otlp(cli);
    bool tree = !whole || cli->rows || cli->unfold;
    return mw_show_part(cli, "traces", tree ? "/tree" : "", render_show);
}
