/* session list, and session show as the turns of a conversation. */
#include "cli/cli_int.h"
#include "lib/base/utf8.h"

/* What of a turn's question or answer is shown: a long text is read in its trace. */
#define TEXT_LINES 12
/* Where a text begins; a line is wrapped at the terminal's width, else here. */
#define MARGIN 11
#define WIDTH_OF_FILES 100
/* A prefix of 12 digits is unique in any real store. */
#define TRACE_DIGITS 12

static const mw_column columns[] = {
    {"LAST SEEN", 0},
    {"SESSION", MW_COLUMN_LATE | MW_COLUMN_LEAST(24)}, /* cut short no name to `session show` */
    {"AGENT", MW_COLUMN_SHRINK | MW_COLUMN_DROP(3)},
    {"TRACES", MW_COLUMN_RIGHT | MW_COLUMN_DROP(2)},
    {"SPANS", MW_COLUMN_RIGHT},
    {"LOGS", MW_COLUMN_RIGHT | MW_COLUMN_DROP(1)},
    {"ERRORS", MW_COLUMN_RIGHT},
    {"MODEL", MW_COLUMN_RIGHT | MW_COLUMN_DROP(4)},
    {"TOOL", MW_COLUMN_RIGHT | MW_COLUMN_DROP(5)},
    {"TOKENS IN", MW_COLUMN_RIGHT},
    {"OUT", MW_COLUMN_RIGHT},
    {"DURATION", MW_COLUMN_RIGHT},
    {"USER", MW_COLUMN_SHRINK | MW_COLUMN_DROP(6)},
};

static void add_row(mw_cli *cli, mw_table *table, const json_t *item)
{
    char text[MW_CELL_SIZE];
    mw_time_text(cli, item, "last_seen", text);
    mw_table_cell(table, mw_slice_of(text));
    mw_table_cell(table, mw_text(item, "session_id"));
    mw_table_cell(table, mw_text(item, "agent"));
    mw_table_cellf(table, "%lld", (long long)mw_integer(item, "traces"));
    mw_table_cellf(table, "%lld", (long long)mw_integer(item, "spans"));
    mw_table_cellf(table, "%lld", (long long)mw_integer(item, "logs"));
    mw_table_cellf(table, "%lld", (long long)mw_integer(item, "errors"));
    if (mw_integer(item, "errors"))
        mw_table_style(table, MW_STYLE_RED);
    mw_usage_cells(table, item);
    mw_duration_text(mw_number(item, "duration_ms"), text, sizeof text);
    mw_table_cell(table, mw_slice_of(text));
    mw_table_cell(table, mw_text(item, "user"));
}

static void render_list(mw_cli *cli, json_t *root, mw_buffer *out)
{
    mw_item_table(cli, columns, sizeof columns / sizeof columns[0], json_object_get(root, "items"),
                  add_row, out);
}

int mw_cmd_session_list(mw_cli *cli)
{
    return cli->watch ? mw_watch_sessions(cli, render_list)
                      : mw_list(cli, "sessions", "sessions", render_list);
}

/* A session that only log records speak of has no traces to list. The id stands in the command
 * as a shell takes it; one with characters that no terminal shows is left to the reader. */
static void name_logs(mw_slice id, mw_buffer *out)
{
    mw_buffer visible;
    mw_buffer_init(&visible, MW_MEM_BASE, (size_t)16 << 20);
    mw_visible(&visible, id);
    bool shown = mw_slice_equal(mw_buffer_slice(&visible), id);
    mw_buffer_fini(&visible);
    mw_buffer_appendf(out, "no traces; its log records: midwatch log list --session ");
    if (!shown)
        mw_buffer_appendf(out, "ID");
    else
        mw_shell_word(out, id);
    mw_buffer_append_byte(out, '\n');
}

static void render_head(const json_t *root, mw_buffer *out)
{
    char text[MW_CELL_SIZE], first[MW_CELL_SIZE], last[MW_CELL_SIZE];
    mw_buffer_appendf(out, "session ");
    mw_visible(out, mw_text(root, "session_id"));
    mw_buffer_append_byte(out, '\n');
    mw_field(out, "agent", mw_text(root, "agent"));
    mw_field(out, "user", mw_text(root, "user"));
    mw_instant_text(root, "first_seen", first);
    mw_instant_text(root, "last_seen", last);
    mw_duration_text(mw_number(root, "duration_ms"), text, sizeof text);
    mw_buffer_appendf(out, "  %-13s %s to %s (%s)\n", "seen", first, last, text);
    mw_buffer_appendf(out, "  %-13s %lld traces, %lld spans, %lld logs, %lld errors\n", "holds",
                      (long long)mw_integer(root, "traces"), (long long)mw_integer(root, "spans"),
                      (long long)mw_integer(root, "logs"), (long long)mw_integer(root, "errors"));
    mw_field_usage(out, root);
}

/* ---- turns ---------------------------------------------------------------------------------- */

static void red(const mw_cli *cli, mw_buffer *out, bool on)
{
    if (cli->color)
        mw_buffer_appendf(out, on ? "\x1b[31m" : "\x1b[0m");
}

/* "  title    " once, then as many blanks. */
static void append_margin(mw_buffer *out, mw_slice title)
{
    size_t used = 2;
    mw_buffer_appendf(out, "  ");
    if (title.len) {
        mw_append_cut(out, title, MARGIN - 4);
        mw_buffer_append_byte(out, ':');
        size_t wide = mw_utf8_columns(title);
        used += (wide < MARGIN - 4 ? wide : MARGIN - 4) + 1;
    }
    for (; used < MARGIN; used++)
        mw_buffer_append_byte(out, ' ');
}

static void append_line(mw_buffer *out, mw_slice title, mw_slice line)
{
    append_margin(out, title);
    mw_buffer_append_slice(out, line);
    while (out->len && out->data[out->len - 1] == ' ')
        out->len--;
    mw_buffer_append_byte(out, '\n');
}

/* A text in lines of the terminal, its own line ends kept. */
static void append_text(const mw_cli *cli, mw_slice title, mw_slice text, bool cut, mw_buffer *out)
{
    size_t width = cli->width ? cli->width : WIDTH_OF_FILES, lines = 0;
    mw_buffer visible;
    mw_slice rest, line;
    if (!text.len)
        return;
    width = width > MARGIN + 20 ? width - MARGIN : 20;
    mw_buffer_init(&visible, MW_MEM_BASE, (size_t)1 << 20);
    mw_utf8_append_visible(&visible, text, true);
    rest = mw_buffer_slice(&visible);
    for (; lines < TEXT_LINES && mw_slice_split(&rest, '\n', &line);) {
        do {
            size_t len = mw_fitting(line, width);
            append_line(out, lines++ ? MW_SLICE_NONE : title, mw_slice_first(line, len));
            line = mw_slice_from(line, len);
        } while (line.len && lines < TEXT_LINES);
    }
    if (rest.len || line.len || cut)
        append_line(out, MW_SLICE_NONE, MW_SLICE("\u2026"));
    mw_buffer_fini(&visible);
}

/* "tools:  search \u00d73 (1 error), fetch". */
static void append_names(const mw_cli *cli, const char *title, const json_t *names, mw_buffer *out)
{
    mw_buffer line;
    mw_buffer_init(&line, MW_MEM_BASE, (size_t)1 << 20);
    for (size_t i = 0; i < json_array_size(names); i++) {
        const json_t *item = json_array_get(names, i);
        long long calls = mw_integer(item, "calls"), errors = mw_integer(item, "errors");
        mw_buffer_appendf(&line, i ? ", " : "");
        mw_append_cut(&line, mw_text(item, "name"), 60);
        if (calls > 1)
            mw_buffer_appendf(&line, " \u00d7%lld", calls);
        if (errors)
            mw_buffer_appendf(&line, " (%lld error%s)", errors, errors == 1 ? "" : "s");
    }
    /* Names have no line ends of their own. */
    for (size_t i = 0; i < line.len; i++)
        if (line.data[i] == '\n')
            line.data[i] = ' ';
    append_text(cli, mw_slice_of(title), mw_buffer_slice(&line), false, out);
    mw_buffer_fini(&line);
}

static void append_failures(const mw_cli *cli, const json_t *failed, mw_buffer *out)
{
    for (size_t i = 0; i < json_array_size(failed); i++) {
        const json_t *span = json_array_get(failed, i);
        mw_buffer line;
        mw_buffer_init(&line, MW_MEM_BASE, (size_t)1 << 20);
        mw_buffer_append_slice(&line, mw_text(span, "name"));
        mw_buffer_appendf(&line, mw_is_null(span, "status_message") ? " failed" : ": ");
        mw_buffer_append_slice(&line, mw_text(span, "status_message"));
        red(cli, out, true);
        append_text(cli, MW_SLICE("!"), mw_buffer_slice(&line), false, out);
        red(cli, out, false);
        mw_buffer_fini(&line);
    }
}

static void append_turn_head(const mw_cli *cli, const json_t *turn, long long number,
                             mw_buffer *out)
{
    char start[MW_CELL_SIZE], duration[MW_CELL_SIZE];
    long long errors = mw_integer(turn, "errors");
    mw_instant_text(turn, "start", start);
    mw_duration_text(mw_number(turn, "duration_ms"), duration, sizeof duration);
    mw_buffer_appendf(out, "\nturn %lld  %s  %s  trace ", number, start, duration);
    mw_slice trace = mw_text(turn, "trace_id");
    mw_visible(out, mw_slice_first(trace, TRACE_DIGITS));
    mw_buffer_appendf(out, trace.len > TRACE_DIGITS ? "\u2026" : "");
    if (errors) {
        mw_buffer_appendf(out, "  ");
        red(cli, out, true);
        mw_buffer_appendf(out, "%lld error%s", errors, errors == 1 ? "" : "s");
        red(cli, out, false);
    }
    mw_buffer_append_byte(out, '\n');
}

static void append_turn(const mw_cli *cli, const json_t *turn, long long number, mw_buffer *out)
{
    mw_slice agent = mw_text(turn, "agent");
    bool silent = mw_is_null(turn, "asked") && mw_is_null(turn, "answered");
    append_turn_head(cli, turn, number, out);
    if (silent)
        append_text(cli, MW_SLICE("root"), mw_text(turn, "root_name"), false, out);
    append_text(cli, MW_SLICE("user"), mw_text(turn, "asked"),
                json_is_true(json_object_get(turn, "asked_cut")), out);
    append_names(cli, "tools", json_object_get(turn, "tools"), out);
    append_failures(cli, json_object_get(turn, "failed"), out);
    append_text(cli, MW_SLICE("agent"), mw_text(turn, "answered"),
                json_is_true(json_object_get(turn, "answered_cut")), out);
    if (agent.len)
        append_text(cli, MW_SLICE("by"), agent, false, out);
    append_names(cli, "models", json_object_get(turn, "models"), out);
    if (mw_integer(turn, "input_tokens") || mw_integer(turn, "output_tokens"))
        mw_buffer_appendf(out, "  tokens:  %lld in, %lld out\n",
                          (long long)mw_integer(turn, "input_tokens"),
                          (long long)mw_integer(turn, "output_tokens"));
}

/* A page comes newest first; a conversation is read from its beginning. */
static void render_show(mw_cli *cli, json_t *root, mw_buffer *out)
{
    const json_t *turns = json_object_get(root, "items");
    size_t count = json_array_size(turns);
    long long total = mw_integer(root, "total");
    render_head(root, out);
    if (total == 0) {
        mw_buffer_append_byte(out, '\n');
        name_logs(mw_text(root, "session_id"), out);
        return;
    }
    if ((long long)count < total)
        mw_buffer_appendf(out, "  %-13s %zu of %lld turns\n", "shown", count, total);
    for (size_t i = count; i-- > 0;)
        append_turn(cli, json_array_get(turns, i), mw_integer(json_array_get(turns, i), "number"),
                    out);
}

/* --json is the session with its traces, unless a page of its turns is asked for. */
int mw_cmd_session_show(mw_cli *cli)
{
    bool turns = !cli->json || cli->limit || cli->cursor || cli->since || cli->until;
    return mw_show_part(cli, "sessions", turns ? "/turns" : "", render_show);
}
