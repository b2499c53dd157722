/* export: what is stored, as OTLP/JSON lines, a page of the API a line. */
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>
#include <zlib.h>

#include "cli/cli_int.h"
#include "cli/otlp_sender.h"
#include "lib/base/clock.h"
#include "lib/base/io.h"

#define PROGRESS_NS (200 * MW_NS_PER_MS)
/* A path holds a metric's name, each byte of it as three. */
#define PATH_MAX_BYTES ((size_t)32 << 10)
#define NAME_MAX_BYTES ((size_t)64 << 20)
#define LIMIT_MAX 1000
/* A daemon that is busy is asked again this often, a second between. */
#define BUSY_TRIES 30

typedef struct exporting {
    mw_cli *cli;
    gzFile file;
    char temporary[MW_CLI_PATH_MAX]; /* becomes the file once it is whole; empty = none */
    int fd;                          /* the same file, for its sync */
    uint64_t counts[3];              /* spans, records, points */
    uint64_t left_out, damaged, lost, bytes;
    bool progress;
    int64_t told_ns;
} exporting;

typedef struct exported_signal {
    unsigned bit;
    const char *name, *items;
} exported_signal;

static const exported_signal signals[] = {{MW_SENDS_TRACES, "traces", "spans"},
                                          {MW_SENDS_LOGS, "logs", "log records"},
                                          {MW_SENDS_METRICS, "metrics", "points"}};
#define SIGNAL_COUNT (sizeof signals / sizeof signals[0])

/* ---- the file ------------------------------------------------------------------------------ */

static bool ends_with_gz(const char *path)
{
    return mw_slice_ends(mw_slice_of(path), MW_SLICE(".gz"));
}

/* An export that was kept is not written over by accident; an empty file (mktemp) is nothing. */
static bool is_taken(const mw_cli *cli)
{
    struct stat about;
    return cli->output && !cli->force && stat(cli->output, &about) == 0 && S_ISREG(about.st_mode) &&
           about.st_size > 0;
}

/* What is no plain file (a pipe, /dev/null) is written to as it is. */
static bool is_special(const char *path)
{
    struct stat about;
    return stat(path, &about) == 0 && !S_ISREG(about.st_mode);
}

static int open_target(exporting *work, const char *path)
{
    int len = snprintf(work->temporary, sizeof work->temporary, "%s.part", path);
    if (len < 0 || (size_t)len >= sizeof work->temporary) {
        work->temporary[0] = '\0';
        errno = ENAMETOOLONG;
        return -1;
    }
    if (is_special(path)) {
        work->temporary[0] = '\0';
        return mw_io_current()->open(path, O_WRONLY | O_CLOEXEC, 0);
    }
    /* Telemetry holds prompts: for its owner alone. */
    return mw_io_current()->open(work->temporary, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
}

static int open_output(exporting *work)
{
    const char *path = work->cli->output;
    work->fd = path ? open_target(work, path) : dup(STDOUT_FILENO);
    int fd = work->fd < 0 ? -1 : dup(work->fd);
    /* "T": as it comes, not compressed. */
    work->file = fd < 0 ? NULL : gzdopen(fd, path && ends_with_gz(path) ? "wb3" : "wbT");
    if (work->file)
        return MW_EXIT_DONE;
    return mw_complain(MW_EXIT_FAILED, path ? path : "standard output", strerror(errno), "");
}

static int write_failed(const exporting *work)
{
    int code = Z_ERRNO;
    const char *words = work->file ? gzerror(work->file, &code) : "";
    const char *path = work->cli->output;
    return mw_complain(MW_EXIT_FAILED, path ? path : "standard output",
                       code == Z_ERRNO ? strerror(errno) : words, "");
}

static int close_output(exporting *work, int status)
{
    const char *path = work->cli->output;
    gzFile file = work->file;
    bool plain = work->temporary[0] != '\0';
    work->file = NULL;
    if (file && gzclose(file) != Z_OK && !status)
        status = write_failed(work);
    if (!status && plain && mw_io_current()->fdatasync(work->fd) != 0)
        status = write_failed(work);
    if (!status && plain && mw_io_current()->rename(work->temporary, path) != 0)
        status = write_failed(work);
    if (status && plain)
        mw_io_current()->unlink(work->temporary);
    if (work->fd >= 0)
        close(work->fd);
    return status;
}

/* The body ends with its line's end. */
static int write_page(exporting *work, mw_slice body)
{
    for (size_t at = 0; at < body.len;) {
        mw_slice piece = mw_slice_first(mw_slice_from(body, at), (size_t)1 << 20);
        int n = gzwrite(work->file, piece.data, (unsigned)piece.len);
        if (n <= 0)
            return write_failed(work);
        at += (size_t)n;
    }
    work->bytes += body.len;
    return MW_EXIT_DONE;
}

/* ---- pages --------------------------------------------------------------------------------- */

static void clear_progress(exporting *work)
{
    if (work->progress && work->told_ns)
        fprintf(stderr, "\r\x1b[K");
    work->told_ns = 0;
}

static void tell_progress(exporting *work)
{
    int64_t now = mw_clock_mono_ns(mw_clock_system());
    if (!work->progress || (work->told_ns && now - work->told_ns < PROGRESS_NS))
        return;
    fprintf(stderr, "\r\x1b[Kexporting: %llu spans, %llu log records, %llu points, %.1f MiB",
            (unsigned long long)work->counts[0], (unsigned long long)work->counts[1],
            (unsigned long long)work->counts[2], (double)work->bytes / (1 << 20));
    work->told_ns = now;
}

/* Asks again while the daemon is busy. */
static int fetch(mw_cli *cli, const char *path, mw_answer *answer)
{
    for (int tries = 0;; tries++) {
        const struct timespec second = {1, 0};
        int status = mw_client_fetch(cli, path, answer);
        if (status || answer->status != 503 || tries == BUSY_TRIES)
            return status;
        mw_answer_free(answer);
        nanosleep(&second, NULL);
    }
}

/* A page of /api/v1/NOUN, or of /api/v1/NOUN/NAME; name.data NULL = of the list. The answer is to
 * be freed. */
static int fetch_page(mw_cli *cli, const char *noun, mw_slice name, mw_answer *answer)
{
    mw_buffer path;
    mw_buffer_init(&path, MW_MEM_BASE, PATH_MAX_BYTES);
    memset(answer, 0, sizeof *answer);
    if (name.data)
        mw_named_path(cli, noun, name, &path);
    else
        mw_list_path(cli, noun, &path);
    mw_buffer_append_byte(&path, '\0');
    int status = path.err ? mw_complain(MW_EXIT_FAILED, noun, "a name is too long to be asked for",
                                        "it is not in the export")
                          : fetch(cli, path.data, answer);
    mw_buffer_fini(&path);
    return status;
}

static int take_page(exporting *work, size_t signal, const mw_answer *answer)
{
    int status = MW_EXIT_DONE;
    if (answer->items)
        status = write_page(work, mw_buffer_slice(&answer->body));
    work->counts[signal] += answer->items;
    work->left_out += answer->left_out;
    if (answer->damaged > work->damaged)
        work->damaged = answer->damaged;
    if (answer->lost > work->lost)
        work->lost = answer->lost;
    tell_progress(work);
    return status;
}

/* All pages of one list, or of one metric. Items may be large: a page that fits no answer is asked
 * for with half as many, once. */
static int export_pages(exporting *work, size_t signal, const char *noun, mw_slice name)
{
    char cursor[MW_CLI_CURSOR_SIZE] = "", limit[16];
    mw_cli *cli = work->cli;
    unsigned items = LIMIT_MAX;
    for (;;) {
        mw_answer answer;
        snprintf(limit, sizeof limit, "%u", items);
        cli->limit = limit;
        cli->cursor = cursor[0] ? cursor : NULL;
        cli->format = "otlp";
        int status = fetch_page(cli, noun, name, &answer);
        bool halve = !status && answer.status == 413 && items > 1;
        if (!status && !halve && mw_exit_of_status(answer.status)) {
            clear_progress(work);
            status = mw_fetch_complain(cli, &answer);
        } else if (!status && !halve) {
            status = take_page(work, signal, &answer);
            memcpy(cursor, answer.next_cursor, sizeof cursor);
        }
        mw_answer_free(&answer);
        items = halve ? items / 2 : LIMIT_MAX;
        if (status || (!halve && !cursor[0]))
            return status;
    }
}

/* ---- metrics ------------------------------------------------------------------------------- */

/* The names on a page of the list, each with all its points. `last` is the name before: a name has
 * a row for each kind and unit, one beside the other. */
static int export_names(exporting *work, const json_t *items, mw_buffer *last)
{
    int status = MW_EXIT_DONE;
    for (size_t i = 0; i < json_array_size(items) && !status; i++) {
        mw_slice name = mw_text(json_array_get(items, i), "name");
        if (last->len && mw_slice_equal(mw_slice_first(mw_buffer_slice(last), last->len - 1), name))
            continue;
        mw_buffer_clear(last);
        mw_buffer_append_slice(last, name);
        mw_buffer_append_byte(last, '\0');
        if (last->err)
            return mw_complain(MW_EXIT_FAILED, "metrics", mw_err_text(last->err), "");
        status =
            export_pages(work, 2, "metrics", mw_slice_first(mw_buffer_slice(last), last->len - 1));
    }
    return status;
}

static int export_metrics(exporting *work)
{
    char cursor[MW_CLI_PATH_MAX * 4] = "";
    mw_cli *cli = work->cli;
    mw_buffer last;
    int status = MW_EXIT_DONE;
    mw_buffer_init(&last, MW_MEM_BASE, NAME_MAX_BYTES);
    do {
        mw_answer answer;
        cli->limit = "1000";
        cli->cursor = cursor[0] ? cursor : NULL;
        cli->format = NULL;
        status = fetch_page(cli, "metrics", MW_SLICE_NONE, &answer);
        if (!status && mw_exit_of_status(answer.status)) {
            clear_progress(work);
            status = mw_fetch_complain(cli, &answer);
        }
        json_t *root = status ? NULL : mw_parse_answer(mw_buffer_slice(&answer.body));
        mw_slice next = mw_text(root, "next_cursor");
        if (!status && !mw_slice_to_cstr(next, cursor, sizeof cursor))
            status = mw_complain(MW_EXIT_FAILED, "metrics", "a cursor is too long", "");
        mw_answer_free(&answer);
        if (!status)
            status = export_names(work, json_object_get(root, "items"), &last);
        json_decref(root);
    } while (!status && cursor[0]);
    mw_buffer_fini(&last);
    return status;
}

/* ---- the command --------------------------------------------------------------------------- */

static int chosen_signals(const mw_cli *cli, unsigned *out)
{
    *out = cli->signal ? 0 : MW_SENDS_TRACES | MW_SENDS_LOGS | MW_SENDS_METRICS;
    for (size_t i = 0; cli->signal && i < SIGNAL_COUNT; i++)
        if (strcmp(cli->signal, signals[i].name) == 0)
            *out = signals[i].bit;
    if (*out)
        return MW_EXIT_DONE;
    return mw_complain(MW_EXIT_USAGE, cli->signal, "no such signal",
                       "--signal takes traces, logs or metrics");
}

/* An age means the same instant on every page. The API refuses what is no time. Sixteen digits and
 * more are nanoseconds. */
static void fix_instant(const char **option, int64_t now_ns, char *out, size_t size)
{
    int64_t ns;
    if (!*option || mw_time_point_parse(mw_slice_of(*option), now_ns, &ns) != MW_OK || ns <= 0)
        return;
    snprintf(out, size, "%016lld", (long long)ns);
    *option = out;
}

static void tell_result(const exporting *work, unsigned chosen)
{
    const char *separator = "midwatch: exported ";
    for (size_t i = 0; i < SIGNAL_COUNT; i++) {
        if (!(chosen & signals[i].bit))
            continue;
        fprintf(stderr, "%s%llu %s", separator, (unsigned long long)work->counts[i],
                signals[i].items);
        separator = ", ";
    }
    fprintf(stderr, "\n");
    const mw_answer lost = {
        .left_out = work->left_out, .damaged = work->damaged, .lost = work->lost};
    mw_tell_otlp(&lost, false);
}

int mw_cmd_export(mw_cli *cli)
{
    exporting work = {.cli = cli, .fd = -1, .progress = isatty(STDERR_FILENO) == 1};
    char since[24], until[24];
    unsigned chosen;
    int status = chosen_signals(cli, &chosen);
    if (status)
        return status;
    fix_instant(&cli->since, cli->now_ns, since, sizeof since);
    fix_instant(&cli->until, cli->now_ns, until, sizeof until);
    if (is_taken(cli))
        return mw_complain(MW_EXIT_CONFLICT, cli->output, "the file is there already",
                           "choose another name, or give --force");
    status = open_output(&work);
    if (!status && chosen & MW_SENDS_TRACES)
        status = export_pages(&work, 0, "spans", MW_SLICE_NONE);
    if (!status && chosen & MW_SENDS_LOGS)
        status = export_pages(&work, 1, "logs", MW_SLICE_NONE);
    if (!status && chosen & MW_SENDS_METRICS)
        status = export_metrics(&work);
    clear_progress(&work);
    status = close_output(&work, status);
    if (status)
        return status;
    tell_result(&work, chosen);
    /* What is missing was told; a script is to hear of it too. A recorded loss is another thing: it
     * may be of a time that nobody asked for, and no repetition brings more. */
    return work.left_out || work.damaged ? MW_EXIT_FAILED : MW_EXIT_DONE;
}
