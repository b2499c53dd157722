/* log list. */
#include "cli/cli_int.h"

/* Of a body in a table without bounds; --json has all of it. */
#define BODY_COLUMNS 240

static const mw_column columns[] = {
    {"TIME", 0},
    {"SEVERITY", MW_COLUMN_MOST(8)},
    {"FAULT", MW_COLUMN_DROP(4)}, /* whose: user, system, throttle */
    {"SERVICE", MW_COLUMN_SHRINK | MW_COLUMN_DROP(1)},
    {"BODY", MW_COLUMN_SHRINK | MW_COLUMN_LEAST(24) | MW_COLUMN_LAST},
    {"SESSION", MW_COLUMN_SHRINK | MW_COLUMN_DROP(3)},
    {"TRACE", MW_COLUMN_ID | MW_COLUMN_DROP(2)},
};

void mw_log_line(const json_t *log, size_t width, mw_buffer *out)
{
    const json_t *body = json_object_get(log, "body");
    mw_slice event = mw_text(log, "event_name");
    mw_buffer_append_slice(out, event);
    if (event.len && !json_is_null(body))
        mw_buffer_append_byte(out, ' ');
    if (!json_is_null(body))
        mw_value_text(body, width, out);
    const json_t *oversized = json_object_get(log, "oversized_bytes");
    if (json_is_integer(oversized))
        mw_buffer_appendf(out, "%s(%.1f MiB, not shown)", event.len ? " " : "",
                          (double)json_integer_value(oversized) / (1 << 20));
}

void mw_severity_cell(mw_table *table, const json_t *log)
{
    char text[MW_CELL_SIZE];
    int64_t severity = mw_integer(log, "severity");
    mw_severity_text(severity, text);
    mw_slice shown = text[0] ? mw_slice_of(text) : mw_text(log, "severity_text");
    mw_table_cell(table, mw_slice_first(shown, MW_CELL_SIZE));
    mw_table_style(table, mw_severity_style(severity));
}

static void add_row(mw_cli *cli, mw_table *table, const json_t *log)
{
    char text[MW_CELL_SIZE];
    mw_buffer line;
    mw_time_text(cli, log, "time", text);
    mw_table_cell(table, mw_slice_of(text));
    mw_severity_cell(table, log);
    mw_table_cell(table, mw_text(log, "error_class"));
    mw_table_cell(table, mw_text(log, "service"));
    mw_buffer_init(&line, MW_MEM_BASE, (size_t)96 << 20);
    mw_log_line(log, BODY_COLUMNS, &line);
    mw_table_cell(table, mw_buffer_slice(&line));
    mw_buffer_fini(&line);
    mw_table_cell(table, mw_text(log, "session_id"));
    mw_table_cell(table, mw_text(log, "trace_id"));
}

static void render_list(mw_cli *cli, json_t *root, mw_buffer *out)
{
    mw_item_table(cli, columns, sizeof columns / sizeof columns[0], json_object_get(root, "items"),
                  add_row, out);
}

/* ---- followed ------------------------------------------------------------------------------ */

/* Widths cannot wait for what is still to come. */
#define TIME_WIDTH 20
#define SEVERITY_WIDTH 8
#define SERVICE_WIDTH 16
/* With less of the body than this the service is left out. */
#define BODY_MIN 24

static void append_severity(const mw_cli *cli, const json_t *log, mw_buffer *out)
{
    static const char *const codes[] = {"", "\x1b[31m", "\x1b[33m", "\x1b[32m"};
    char text[MW_CELL_SIZE];
    int64_t severity = mw_integer(log, "severity");
    mw_style style = cli->color ? mw_severity_style(severity) : MW_STYLE_NONE;
    mw_severity_text(severity, text);
    mw_buffer_appendf(out, "%s", codes[style]);
    mw_append_padded(out, text[0] ? mw_slice_of(text) : mw_text(log, "severity_text"),
                     SEVERITY_WIDTH);
    mw_buffer_appendf(out, "%s", style ? "\x1b[0m" : "");
}

/* Time, severity, service where there is room for it, body: one line, as wide as the terminal or as
 * a table without bounds. */
static void render_row(mw_cli *cli, const json_t *log, mw_buffer *out)
{
    const size_t service = SERVICE_WIDTH + 2;
    size_t before = TIME_WIDTH + 2 + SEVERITY_WIDTH + 2;
    bool narrow = cli->width && cli->width < before + service + BODY_MIN;
    char time[MW_CELL_SIZE];
    mw_buffer body, shown;
    mw_instant_text(log, "time", time);
    mw_append_padded(out, mw_slice_of(time), TIME_WIDTH);
    append_severity(cli, log, out);
    if (!narrow)
        mw_append_padded(out, mw_text(log, "service"), SERVICE_WIDTH);
    before += narrow ? 0 : service;
    mw_buffer_init(&body, MW_MEM_BASE, (size_t)96 << 20);
    mw_buffer_init(&shown, MW_MEM_BASE, (size_t)96 << 20);
    mw_log_line(log, BODY_COLUMNS, &body);
    mw_visible(&shown, mw_buffer_slice(&body));
    size_t room = cli->width > before ? cli->width - before : 1;
    mw_append_cut(out, mw_buffer_slice(&shown), cli->width ? room : BODY_COLUMNS);
    while (out->len && out->data[out->len - 1] == ' ')
        out->len--;
    mw_buffer_fini(&body);
    mw_buffer_fini(&shown);
}

int mw_cmd_log_list(mw_cli *cli)
{
    const mw_followed followed = {.noun = "logs", .row = render_row};
    if (cli->follow)
        return mw_follow(cli, &followed);
    return mw_list(cli, "logs", "log records", render_list);
}
