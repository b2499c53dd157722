/* import: OTLP/JSON from files, through the same port that exporters use. */
#include <errno.h>
#include <unistd.h>

#include "cli/otlp_sender.h"
#include "cli/request_reader.h"
#include "lib/base/clock.h"

/* How often a terminal is told how far we are. */
#define PROGRESS_NS (200 * MW_NS_PER_MS)

typedef struct importing {
    mw_cli *cli;
    mw_otlp_sender *sender;
    const char *name;  /* of the present file */
    uint64_t requests; /* taken, all or a part of each */
    uint64_t refused;
    uint64_t bytes;
    uint64_t rejected; /* items of requests that were taken */
    bool progress;     /* stderr is a terminal */
    int64_t told_ns;
} importing;

/* ---- words --------------------------------------------------------------------------------- */

static void clear_progress(importing *work)
{
    if (work->progress && work->told_ns)
        fprintf(stderr, "\r\x1b[K");
    work->told_ns = 0;
}

static void tell_progress(importing *work)
{
    int64_t now = mw_clock_mono_ns(mw_clock_system());
    if (!work->progress || (work->told_ns && now - work->told_ns < PROGRESS_NS))
        return;
    fprintf(stderr, "\r\x1b[Kimporting: %llu requests, %.1f MiB",
            (unsigned long long)work->requests, (double)work->bytes / (1 << 20));
    work->told_ns = now;
}

/* "midwatch: traces.jsonl: line 7: resourceSpans[0]...: why" */
static void complain(importing *work, size_t line, const char *field, const char *why)
{
    mw_buffer where;
    clear_progress(work);
    /* Some messages begin with it. */
    if (mw_slice_starts(mw_slice_of(why), mw_slice_of(field)))
        field = "";
    mw_buffer_init(&where, MW_MEM_BASE, 65536);
    mw_buffer_appendf(&where, "%s: line %zu%s%s", work->name, line, field[0] ? ": " : "", field);
    mw_buffer_append_byte(&where, '\0');
    mw_complain(MW_EXIT_FAILED, where.err ? work->name : where.data, why, "");
    mw_buffer_fini(&where);
}

/* ---- one request --------------------------------------------------------------------------- */

static void judge(importing *work, size_t line, const mw_sent *sent)
{
    char why[1200];
    if (sent->status) {
        complain(work, line, sent->field, sent->message);
    } else if (sent->rejected) {
        work->rejected += sent->rejected;
        complain(work, line, "", sent->message);
    } else if (sent->message[0]) {
        snprintf(why, sizeof why, "taken with a warning: %s", sent->message);
        complain(work, line, "", why);
    }
}

/* A request of several signals goes to each one's path: what is of another is passed over there. */
static int send_request(importing *work, size_t line, mw_slice text)
{
    unsigned signals = mw_request_signals(text);
    bool refused = false;
    mw_sent sent;
    if (!signals) {
        work->refused++;
        complain(work, line, "",
                 "no object with resourceSpans, resourceLogs or resourceMetrics: not OTLP/JSON");
        return MW_EXIT_DONE;
    }
    for (unsigned signal = MW_SENDS_TRACES; signal <= MW_SENDS_METRICS; signal <<= 1) {
        if (!(signals & signal))
            continue;
        int status = mw_otlp_send(work->sender, signal, text, &sent);
        if (status == MW_EXIT_UNREACHABLE) {
            if (sent.message[0])
                complain(work, line, sent.field, sent.message);
            return status;
        }
        judge(work, line, &sent);
        if (status == MW_EXIT_DENIED)
            return status;
        refused |= status != MW_EXIT_DONE;
    }
    work->refused += refused;
    work->requests += !refused;
    work->bytes += text.len;
    tell_progress(work);
    return MW_EXIT_DONE;
}

/* ---- files --------------------------------------------------------------------------------- */

static int read_requests(importing *work, mw_request_reader *reader)
{
    for (;;) {
        mw_slice text;
        int status = MW_EXIT_DONE;
        switch (mw_request_reader_next(reader, &text)) {
        case MW_READ_END: return MW_EXIT_DONE;
        case MW_READ_REQUEST: status = send_request(work, reader->line, text); break;
        case MW_READ_TOO_LONG:
            work->refused++;
            complain(work, reader->line, "",
                     "longer than the 64 MiB that a request may have; export smaller batches");
            break;
        case MW_READ_BROKEN:
            work->refused++;
            complain(work, reader->next_line, "", reader->problem);
            if (work->requests)
                fprintf(stderr, "midwatch: the lines before it were sent; import the file again "
                                "once it is whole: what was taken is recognised (log records for "
                                "an hour)\n");
            return MW_EXIT_FAILED;
        }
        if (status) {
            fprintf(stderr, "midwatch: stopped at line %zu; all before it was sent\n",
                    reader->line);
            return status;
        }
    }
}

static int import_file(importing *work, const char *path)
{
    mw_request_reader reader;
    work->name = strcmp(path, "-") == 0 ? "standard input" : path;
    if (!mw_request_reader_open(&reader, path))
        return mw_complain(MW_EXIT_FAILED, path, strerror(errno), "");
    int status = read_requests(work, &reader);
    clear_progress(work);
    mw_request_reader_close(&reader);
    return status;
}

static int tell_result(const importing *work)
{
    mw_buffer line;
    if (!work->cli->json) {
        fprintf(stderr, "midwatch: %llu requests taken by %s", (unsigned long long)work->requests,
                mw_otlp_sender_url(work->sender));
        if (work->refused)
            fprintf(stderr, ", %llu refused", (unsigned long long)work->refused);
        if (work->rejected)
            fprintf(stderr, ", %llu items of others refused", (unsigned long long)work->rejected);
        fprintf(stderr, "\n");
        return MW_EXIT_DONE;
    }
    mw_buffer_init(&line, MW_MEM_BASE, 1024);
    mw_buffer_appendf(
        &line, "{\"requests\":%llu,\"bytes\":%llu,\"refused\":%llu,\"items_refused\":%llu}\n",
        (unsigned long long)work->requests, (unsigned long long)work->bytes,
        (unsigned long long)work->refused, (unsigned long long)work->rejected);
    int status = mw_print(&line);
    mw_buffer_fini(&line);
    return status;
}

int mw_cmd_import(mw_cli *cli)
{
    importing work = {.cli = cli, .progress = isatty(STDERR_FILENO) == 1};
    int status = mw_otlp_sender_open(cli, &work.sender);
    if (status)
        return status;
    for (size_t i = 0; i < cli->arg_count; i++) {
        int result = import_file(&work, cli->args[i]);
        status = result ? result : status;
        /* Nobody there, or not allowed: the next file fares no better. */
        if (result == MW_EXIT_UNREACHABLE || result == MW_EXIT_DENIED)
            break;
    }
    int told = tell_result(&work);
    status = status ? status : told;
    mw_otlp_sender_close(work.sender);
    return status || !(work.refused || work.rejected) ? status : MW_EXIT_FAILED;
}
