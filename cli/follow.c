/* Lists that are followed: rows as they come, until Ctrl-C.
 *
 * Ctrl-C is the way to end it and no failure: exit 0, between two lines. A daemon that goes away is
 * waited for; it is told where we were, so that nothing is lost or seen twice. One thread.
 */
#include <signal.h>
#include <time.h>
#include <unistd.h>

#include "cli/cli_int.h"
#include "cli/event_reader.h"
#include "lib/base/clock.h"

#define LINE_MAX_BYTES ((size_t)128 << 20)
/* Until the daemon has said when to come back; and what is believed of that. */
#define RETRY_MS 1000
#define RETRY_MIN_MS 100
#define RETRY_MAX_MS 60000

typedef struct following {
    mw_cli *cli;
    const char *noun;
    const mw_followed *followed;
    mw_client *client;
    mw_event_reader reader;
    bool lost;  /* and said so */
    bool ended; /* for good, with `status` */
    int status;
} following;

/* ---- Ctrl-C -------------------------------------------------------------------------------- */

static volatile sig_atomic_t printing, stopped;

static void on_interrupt(int number)
{
    (void)number;
    stopped = 1;
    if (!printing)
        _exit(MW_EXIT_DONE);
}

static void watch_interrupt(void)
{
    struct sigaction action = {.sa_handler = on_interrupt};
    sigaction(SIGINT, &action, NULL);
}

/* It leaves whole. */
static int print_whole(const mw_buffer *line)
{
    printing = 1;
    int status = mw_print(line);
    printing = 0;
    if (stopped)
        _exit(status);
    return status;
}

/* ---- events -------------------------------------------------------------------------------- */

static bool end_with(following *work, int status)
{
    work->ended = true;
    work->status = status;
    return false;
}

static bool take_record(following *work, mw_slice data)
{
    const mw_followed *followed = work->followed;
    mw_buffer line;
    json_t *item = work->cli->json ? NULL : mw_parse_answer(data);
    if (item && followed->keep) {
        followed->keep(followed->ctx, item);
        return true;
    }
    mw_buffer_init(&line, MW_MEM_BASE, LINE_MAX_BYTES);
    if (work->cli->json)
        mw_buffer_append_slice(&line, data);
    else if (item)
        followed->row(work->cli, item, &line);
    mw_buffer_append_byte(&line, '\n');
    int status = print_whole(&line);
    json_decref(item);
    mw_buffer_fini(&line);
    return status ? end_with(work, status) : true;
}

/* All that there is has been told. */
static bool take_place(following *work)
{
    const mw_followed *followed = work->followed;
    mw_buffer shown;
    if (!followed->draw || work->cli->json)
        return true;
    mw_buffer_init(&shown, MW_MEM_BASE, LINE_MAX_BYTES);
    followed->draw(followed->ctx, work->cli, &shown);
    int status = print_whole(&shown);
    mw_buffer_fini(&shown);
    return status ? end_with(work, status) : true;
}

static bool take_problem(following *work, mw_slice data)
{
    char why[512] = "", hint[512] = "";
    json_t *root = mw_parse_answer(data);
    const json_t *error = json_object_get(root, "error");
    mw_slice message = mw_text(error, "message"), advice = mw_text(error, "hint");
    mw_slice_to_cstr(mw_slice_first(message, sizeof why - 1), why, sizeof why);
    mw_slice_to_cstr(mw_slice_first(advice, sizeof hint - 1), hint, sizeof hint);
    json_decref(root);
    return end_with(work, mw_complain(MW_EXIT_FAILED, work->noun, why, hint));
}

static void tell_warning(const following *work, mw_slice data)
{
    char what[512] = "";
    json_t *root = mw_parse_answer(data);
    mw_slice message = mw_text(root, "message");
    mw_slice_to_cstr(mw_slice_first(message, sizeof what - 1), what, sizeof what);
    json_decref(root);
    mw_complain(MW_EXIT_DONE, work->noun, what, "");
}

static void tell_skipped(const following *work, mw_slice data)
{
    char why[512] = "";
    json_t *root = mw_parse_answer(data);
    mw_slice reason = mw_text(root, "reason");
    mw_slice_to_cstr(mw_slice_first(reason, sizeof why - 1), why, sizeof why);
    json_decref(root);
    mw_complain(MW_EXIT_DONE, work->noun, "some were left out", why);
}

static bool take_event(void *ctx, const mw_event *event)
{
    following *work = ctx;
    if (work->lost)
        fprintf(stderr, "midwatch: connected again, following on\n");
    work->lost = false;
    if (mw_slice_equal(event->name, MW_SLICE("problem")))
        return take_problem(work, event->data);
    if (mw_slice_equal(event->name, MW_SLICE("skipped")))
        tell_skipped(work, event->data);
    else if (mw_slice_equal(event->name, MW_SLICE("warning")))
        tell_warning(work, event->data);
    else if (event->data.len)
        return take_record(work, event->data);
    else
        return take_place(work);
    return true;
}

static bool take_bytes(void *ctx, mw_slice bytes)
{
    following *work = ctx;
    mw_err err = mw_event_reader_feed(&work->reader, bytes, take_event, work);
    if (err && err != MW_E_CLOSED)
        end_with(work, mw_complain(MW_EXIT_FAILED, "the answer", mw_err_text(err), ""));
    return !err;
}

/* ---- connections --------------------------------------------------------------------------- */

static void wait_to_retry(const following *work)
{
    uint32_t ms = work->reader.retry_ms ? work->reader.retry_ms : RETRY_MS;
    ms = ms < RETRY_MIN_MS ? RETRY_MIN_MS : ms > RETRY_MAX_MS ? RETRY_MAX_MS : ms;
    struct timespec pause = {ms / 1000, (long)(ms % 1000) * MW_NS_PER_MS};
    nanosleep(&pause, NULL);
}

/* One connection until its end. Before the first place nothing can be resumed, so a failure is one
 * of the command; a refusal always is, unless the daemon only is not ready. */
static void connect_once(following *work, const char *path)
{
    char last_id[MW_EVENT_ID_MAX + 1] = "";
    mw_answer answer;
    mw_slice last = mw_event_reader_last_id(&work->reader);
    mw_slice_to_cstr(last, last_id, sizeof last_id);
    mw_event_reader_restart(&work->reader);
    const char *why = mw_client_read(work->client, path, last_id, take_bytes, work, &answer);
    bool resumes = mw_event_reader_last_id(&work->reader).len > 0;
    bool waits = answer.status == 0 || answer.status == 200 || answer.status == 503;
    if (work->ended) {
        mw_answer_free(&answer);
        return;
    }
    if (answer.status != 0 && answer.status != 200 && !(waits && resumes))
        end_with(work, mw_client_complain(work->client, work->noun, &answer));
    else if (!resumes)
        end_with(work, mw_client_unreachable(work->client));
    else if (!work->lost)
        mw_complain(MW_EXIT_DONE, "the daemon ended the connection", why, "trying again");
    work->lost = true;
    mw_answer_free(&answer);
}

int mw_follow(mw_cli *cli, const mw_followed *followed)
{
    following work = {.cli = cli, .noun = cli->command->noun, .followed = followed};
    mw_buffer path;
    int status = mw_client_open(cli, &work.client);
    if (status)
        return status;
    mw_buffer_init(&path, MW_MEM_BASE, MW_CLI_PATH_MAX * 4);
    mw_list_path(cli, followed->noun, &path);
    bool narrowed = mw_slice_find_byte(mw_buffer_slice(&path), '?') < path.len;
    mw_buffer_appendf(&path, "%cfollow=true", narrowed ? '&' : '?');
    mw_buffer_append_byte(&path, '\0');
    mw_event_reader_init(&work.reader);
    if (path.err)
        end_with(&work, mw_complain(MW_EXIT_USAGE, work.noun, "an option's value is too long", ""));
    watch_interrupt();
    while (!work.ended) {
        connect_once(&work, path.data);
        if (!work.ended)
            wait_to_retry(&work);
    }
    mw_event_reader_fini(&work.reader);
    mw_buffer_fini(&path);
    mw_client_close(work.client);
    return work.status;
}
