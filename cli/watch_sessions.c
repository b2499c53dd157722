/* session list --watch: the newest sessions, and each again that is new or changes.
 *
 * A terminal shows the table of the list, drawn again from its upper left corner each time the
 * daemon has told what changed; anything else gets a line a session, with --json the session
 * itself. One thread; what is kept is bounded by --limit.
 */
#include <sys/ioctl.h>
#include <unistd.h>

#include "cli/cli_int.h"
#include "lib/base/clock.h"
#include "lib/base/utf8.h"

/* As the list without --limit; a screen shows fewer. */
#define KEPT_DEFAULT 100
/* To the corner, and nothing below. */
#define CLEAR "\x1b[H\x1b[J"
/* When nobody says how high a terminal is. */
#define HEIGHT_DEFAULT 24
#define SESSION_WIDTH 24
#define AGENT_WIDTH 16

typedef struct watching {
    json_t *items; /* by last_seen, the newest first */
    size_t most;
    void (*render)(mw_cli *cli, json_t *root, mw_buffer *out);
} watching;

/* ---- lines ---------------------------------------------------------------------------------- */

static void append_line(mw_cli *cli, const json_t *item, mw_buffer *out)
{
    char text[MW_CELL_SIZE];
    long long errors = mw_integer(item, "errors");
    mw_instant_text(item, "last_seen", text);
    mw_append_padded(out, mw_slice_of(text), 20);
    mw_append_padded(out, mw_text(item, "session_id"), SESSION_WIDTH);
    mw_append_padded(out, mw_text(item, "agent"), AGENT_WIDTH);
    mw_duration_text(mw_number(item, "duration_ms"), text, sizeof text);
    mw_buffer_appendf(out, "%lld traces, %lld spans, %lld logs, ",
                      (long long)mw_integer(item, "traces"), (long long)mw_integer(item, "spans"),
                      (long long)mw_integer(item, "logs"));
    mw_buffer_appendf(out, cli->color && errors ? "\x1b[31m%lld errors\x1b[0m" : "%lld errors",
                      errors);
    mw_buffer_appendf(out, ", %lld tokens in, %lld out, %s",
                      (long long)mw_integer(item, "input_tokens"),
                      (long long)mw_integer(item, "output_tokens"), text);
}

/* ---- a screen ------------------------------------------------------------------------------- */

/* Times of the API are as long as each other. */
static bool is_older(const json_t *a, const json_t *b)
{
    return mw_slice_compare(mw_text(a, "last_seen"), mw_text(b, "last_seen")) < 0;
}

/* Takes the reference. */
static void keep_session(void *ctx, json_t *item)
{
    watching *kept = ctx;
    size_t at = 0;
    for (size_t i = 0; i < json_array_size(kept->items); i++)
        if (mw_slice_equal(mw_text(json_array_get(kept->items, i), "session_id"),
                           mw_text(item, "session_id"))) {
            json_array_remove(kept->items, i);
            break;
        }
    while (at < json_array_size(kept->items) && is_older(item, json_array_get(kept->items, at)))
        at++;
    json_array_insert_new(kept->items, at, item);
    if (json_array_size(kept->items) > kept->most)
        json_array_remove(kept->items, kept->most);
}

static size_t terminal_height(void)
{
    struct winsize size;
    if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_row > 2)
        return size.ws_row;
    return HEIGHT_DEFAULT;
}

/* As many lines as the screen has, but for the one where the cursor stands. */
static void append_lines(mw_buffer *out, mw_slice text, size_t lines)
{
    mw_slice line;
    while (lines-- > 0 && mw_slice_split(&text, '\n', &line) && (line.len || text.len)) {
        mw_buffer_append_slice(out, line);
        mw_buffer_append_byte(out, '\n');
    }
}

static void draw(void *ctx, mw_cli *cli, mw_buffer *out)
{
    watching *kept = ctx;
    mw_buffer table;
    json_t *root = json_pack("{s:O}", "items", kept->items);
    cli->now_ns = mw_clock_wall_ns(mw_clock_system());
    mw_buffer_init(&table, MW_MEM_BASE, (size_t)64 << 20);
    mw_buffer_appendf(out, CLEAR);
    if (root && json_array_size(kept->items))
        kept->render(cli, root, &table);
    else
        mw_buffer_appendf(&table, "no sessions yet\n");
    append_lines(out, mw_buffer_slice(&table), terminal_height() - 1);
    mw_buffer_fini(&table);
    json_decref(root);
}

int mw_watch_sessions(mw_cli *cli, void (*render)(mw_cli *cli, json_t *root, mw_buffer *out))
{
    const char *term = getenv("TERM");
    bool screen = cli->terminal && !(term && strcmp(term, "dumb") == 0);
    watching kept = {.items = json_array(), .most = KEPT_DEFAULT, .render = render};
    mw_followed followed = {.noun = "sessions", .row = append_line};
    uint64_t limit;
    if (cli->limit && mw_slice_u64(mw_slice_of(cli->limit), &limit) == MW_OK && limit > 0)
        kept.most = (size_t)limit;
    if (screen) {
        followed.keep = keep_session;
        followed.draw = draw;
        followed.ctx = &kept;
    }
    int status = mw_follow(cli, &followed);
    json_decref(kept.items);
    return status;
}
