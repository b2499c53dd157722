/* From answers to text: members, times, durations, and the frame of every command that shows. */
#include <errno.h>
#include <unistd.h>

#include "cli/cli_int.h"
#include "lib/base/clock.h"
#include "lib/base/utf8.h"

#define TEXT_MAX ((size_t)512 << 20)
/* Beyond this an age says less than a date. */
#define AGE_MAX_NS (30 * 24 * INT64_C(3600) * MW_NS_PER_S)

mw_slice mw_text(const json_t *object, const char *key)
{
    const json_t *value = json_object_get(object, key);
    if (!json_is_string(value))
        return MW_SLICE_NONE;
    return (mw_slice){json_string_value(value), json_string_length(value)};
}

int64_t mw_integer(const json_t *object, const char *key)
{
    const json_t *value = json_object_get(object, key);
    int64_t number = 0;
    if (json_is_integer(value))
        return json_integer_value(value);
    /* Beyond 2^53 the API sends text. */
    if (json_is_string(value) && mw_slice_i64(mw_text(object, key), &number) == MW_OK)
        return number;
    return 0;
}

double mw_number(const json_t *object, const char *key)
{
    return json_number_value(json_object_get(object, key));
}

bool mw_is_null(const json_t *object, const char *key)
{
    const json_t *value = json_object_get(object, key);
    return !value || json_is_null(value);
}

void mw_duration_text(double ms, char *out, size_t size)
{
    double positive = ms < 0 ? -ms : ms;
    const char *sign = ms < 0 ? "-" : "";
    if (positive < 10)
        snprintf(out, size, "%s%.2fms", sign, positive);
    else if (positive < 999.5)
        snprintf(out, size, "%s%.0fms", sign, positive);
    else if (positive < 59995)
        snprintf(out, size, "%s%.2fs", sign, positive / 1e3);
    else if (positive < 3600e3 - 500)
        snprintf(out, size, "%s%lldm%02llds", sign, (long long)((positive + 500) / 60e3),
                 (long long)((positive + 500) / 1e3) % 60);
    else
        snprintf(out, size, "%s%lldh%02lldm", sign, (long long)((positive + 500) / 3600e3),
                 (long long)((positive + 500) / 60e3) % 60);
}

void mw_instant_text(const json_t *object, const char *key, char out[MW_CELL_SIZE])
{
    /* "2026-03-14T09:26:53" of the nanosecond form. */
    mw_slice text = mw_slice_first(mw_text(object, key), 19);
    if (text.len == 0)
        out[0] = '\0';
    else
        snprintf(out, MW_CELL_SIZE, "%.*sZ", MW_SLICE_FMT(text));
}

static bool age_text(int64_t age_ns, char out[MW_CELL_SIZE])
{
    int64_t seconds = age_ns / MW_NS_PER_S;
    if (age_ns < 0 || age_ns >= AGE_MAX_NS)
        return false;
    if (seconds < 60)
        snprintf(out, MW_CELL_SIZE, "%llds ago", (long long)seconds);
    else if (seconds < 3600)
        snprintf(out, MW_CELL_SIZE, "%lldm ago", (long long)(seconds / 60));
    else if (seconds < 2 * 86400)
        snprintf(out, MW_CELL_SIZE, "%lldh ago", (long long)(seconds / 3600));
    else
        snprintf(out, MW_CELL_SIZE, "%lldd ago", (long long)(seconds / 86400));
    return true;
}

void mw_time_text(const mw_cli *cli, const json_t *object, const char *key, char out[MW_CELL_SIZE])
{
    char name[64];
    snprintf(name, sizeof name, "%s_unix_nano", key);
    int64_t at = mw_integer(object, name);
    if (cli->terminal && at > 0 && age_text(cli->now_ns - at, out))
        return;
    mw_instant_text(object, key, out);
}

void mw_visible(mw_buffer *out, mw_slice text)
{
    mw_utf8_append_visible(out, text, false);
}

void mw_field(mw_buffer *out, const char *title, mw_slice text)
{
    if (!text.len)
        return;
    mw_buffer_appendf(out, "  %-13s ", title);
    mw_visible(out, text);
    mw_buffer_append_byte(out, '\n');
}

int mw_print(const mw_buffer *text)
{
    if (text->err)
        return mw_complain(MW_EXIT_FAILED, "the output", mw_err_text(text->err),
                           "ask for less with --limit, or use --json");
    for (size_t done = 0; done < text->len;) {
        ssize_t n = write(STDOUT_FILENO, text->data + done, text->len - done);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return mw_complain(MW_EXIT_FAILED, "cannot write", strerror(errno), "");
        done += (size_t)n;
    }
    return MW_EXIT_DONE;
}

static int print_body(mw_answer *answer)
{
    if (answer->body.len && answer->body.data[answer->body.len - 1] != '\n')
        mw_buffer_append_byte(&answer->body, '\n');
    return mw_print(&answer->body);
}

static int render_answer(mw_cli *cli, mw_answer *answer,
                         void (*render)(mw_cli *, json_t *, mw_buffer *))
{
    mw_buffer text;
    mw_buffer_init(&text, MW_MEM_BASE, TEXT_MAX);
    render(cli, answer->root, &text);
    int status = mw_print(&text);
    mw_buffer_fini(&text);
    return status;
}

int mw_show(mw_cli *cli, const char *path, void (*render)(mw_cli *, json_t *, mw_buffer *))
{
    mw_answer answer;
    int status = mw_client_call(cli, path, NULL, &answer);
    if (!status)
        status = cli->json ? print_body(&answer) : render_answer(cli, &answer, render);
    mw_answer_free(&answer);
    return status;
}

int mw_show_id(mw_cli *cli, const char *noun, void (*render)(mw_cli *, json_t *, mw_buffer *))
{
    mw_buffer path;
    mw_buffer_init(&path, MW_MEM_BASE, MW_CLI_PATH_MAX * 2);
    mw_show_path(cli, noun, &path);
    mw_buffer_append_byte(&path, '\0');
    int status = path.err ? mw_complain(MW_EXIT_USAGE, noun, "the id is too long", "")
                          : mw_show(cli, path.data, render);
    mw_buffer_fini(&path);
    return status;
}

/* Where an empty list may come from: its bounds, or that nothing ever came in. */
static void tell_empty(const mw_cli *cli, const char *what)
{
    bool bounded = cli->since || cli->until || cli->cursor || cli->status;
    fprintf(stderr, "midwatch: no %s%s\n", what, bounded ? " within these bounds" : " stored yet");
}

static void tell_more(const json_t *root)
{
    mw_buffer cursor;
    mw_slice next = mw_text(root, "next_cursor");
    if (!next.len)
        return;
    mw_buffer_init(&cursor, MW_MEM_BASE, 65536);
    mw_visible(&cursor, next);
    fprintf(stderr, "midwatch: there are more; go on with --cursor %.*s\n",
            MW_SLICE_FMT(mw_buffer_slice(&cursor)));
    mw_buffer_fini(&cursor);
}

int mw_list(mw_cli *cli, const char *noun, const char *what,
            void (*render)(mw_cli *, json_t *, mw_buffer *))
{
    mw_answer answer;
    mw_buffer path;
    mw_buffer_init(&path, MW_MEM_BASE, MW_CLI_PATH_MAX * 4);
    mw_list_path(cli, noun, &path);
    mw_buffer_append_byte(&path, '\0');
    int status = path.err ? mw_complain(MW_EXIT_USAGE, noun, "an option's value is too long", "")
                          : MW_EXIT_DONE;
    if (status) {
        mw_buffer_fini(&path);
        return status;
    }
    status = mw_client_call(cli, path.data, NULL, &answer);
    if (!status && json_array_size(json_object_get(answer.root, "items")) == 0)
        tell_empty(cli, what);
    if (!status && cli->json) {
        status = print_body(&answer);
    } else if (!status && json_array_size(json_object_get(answer.root, "items"))) {
        status = render_answer(cli, &answer, render);
        tell_more(answer.root);
    }
    mw_answer_free(&answer);
    mw_buffer_fini(&path);
    return status;
}
