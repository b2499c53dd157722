/* Requests out of files. See request_reader.h. */
#include "cli/request_reader.h"
#include "cli/otlp_sender.h"

#define CHUNK_SIZE ((size_t)256 << 10)

/* ---- the file ------------------------------------------------------------------------------ */

bool mw_request_reader_open(mw_request_reader *reader, const char *path)
{
    memset(reader, 0, sizeof *reader);
    if (!mw_packed_file_open(&reader->file, path))
        return false;
    reader->next_line = 1;
    mw_buffer_init(&reader->text, MW_MEM_BASE, MW_REQUEST_TEXT_MAX);
    mw_buffer_init(&reader->ahead, MW_MEM_BASE, MW_REQUEST_TEXT_MAX);
    reader->chunk = mw_calloc_or_die(MW_MEM_BASE, 1, CHUNK_SIZE);
    return true;
}

void mw_request_reader_close(mw_request_reader *reader)
{
    mw_packed_file_close(&reader->file);
    mw_buffer_fini(&reader->text);
    mw_buffer_fini(&reader->ahead);
    mw_free(MW_MEM_BASE, reader->chunk);
}

/* False at the end, and when the file is broken. */
static bool fill(mw_request_reader *reader)
{
    if (reader->ended || reader->problem)
        return false;
    reader->chunk_at = 0;
    reader->chunk_len = mw_packed_file_read(&reader->file, reader->chunk, CHUNK_SIZE);
    reader->ended = reader->chunk_len == 0;
    if (reader->ended && reader->file.problem[0])
        reader->problem = reader->file.problem;
    return !reader->ended;
}

/* A line without its end. False when there is none any more. A line that is too long is read to its
 * end and dropped: out->err says so. */
static bool read_line(mw_request_reader *reader, mw_buffer *out)
{
    bool any = false;
    for (;;) {
        if (reader->chunk_at == reader->chunk_len && !fill(reader))
            break;
        mw_slice rest = {reader->chunk + reader->chunk_at, reader->chunk_len - reader->chunk_at};
        size_t end = mw_slice_find_byte(rest, '\n');
        mw_buffer_append_slice(out, mw_slice_first(rest, end));
        any = true;
        reader->chunk_at += end;
        if (end == rest.len)
            continue;
        reader->chunk_at++;
        break;
    }
    any = any && !reader->problem;
    reader->next_line += any;
    return any;
}

/* ---- what a text is ------------------------------------------------------------------------ */

static bool is_blank(mw_slice text)
{
    for (size_t i = 0; i < text.len; i++)
        if (!strchr(" \t\r\n", text.data[i]) || !text.data[i])
            return false;
    return true;
}

/* The string that begins at text[at], a quote, ends behind the result. */
static size_t skip_string(mw_slice text, size_t at)
{
    for (at++; at < text.len && text.data[at] != '"'; at++)
        at += text.data[at] == '\\';
    return at < text.len ? at + 1 : text.len;
}

static size_t skip_blanks(mw_slice text, size_t at)
{
    while (at < text.len && text.data[at] && strchr(" \t\r\n", text.data[at]))
        at++;
    return at;
}

static unsigned signal_of(mw_slice key)
{
    static const struct {
        const char *camel, *snake;
        unsigned signal;
    } members[] = {{"resourceSpans", "resource_spans", MW_SENDS_TRACES},
                   {"resourceLogs", "resource_logs", MW_SENDS_LOGS},
                   {"resourceMetrics", "resource_metrics", MW_SENDS_METRICS}};
    for (size_t i = 0; i < sizeof members / sizeof members[0]; i++)
        if (mw_slice_equal(key, mw_slice_of(members[i].camel)) ||
            mw_slice_equal(key, mw_slice_of(members[i].snake)))
            return members[i].signal;
    return 0;
}

typedef struct outline {
    unsigned signals;
    bool whole; /* every bracket is closed, and no string is open */
} outline;

static outline look(mw_slice text)
{
    outline seen = {0, false};
    size_t depth = 0, at = skip_blanks(text, 0);
    if (at == text.len || text.data[at] != '{')
        return seen;
    while (at < text.len) {
        char c = text.data[at];
        if (c == '"') {
            size_t end = skip_string(text, at), colon = skip_blanks(text, end);
            bool is_key = depth == 1 && colon < text.len && text.data[colon] == ':';
            if (is_key)
                seen.signals |= signal_of((mw_slice){text.data + at + 1, end - at - 2});
            at = end;
            continue;
        }
        depth += c == '{' || c == '[';
        if (depth > 0)
            depth -= c == '}' || c == ']';
        at++;
    }
    seen.whole = depth == 0;
    return seen;
}

unsigned mw_request_signals(mw_slice text)
{
    return look(text).signals;
}

/* ---- requests ------------------------------------------------------------------------------ */

/* "\xef\xbb\xbf", which some editors put in front. */
static mw_slice without_mark(mw_slice text)
{
    return mw_slice_starts(text, MW_SLICE("\xef\xbb\xbf")) ? mw_slice_from(text, 3) : text;
}

/* The next line that is not blank, into reader->text. */
static bool next_line(mw_request_reader *reader)
{
    do {
        mw_buffer_clear(&reader->text);
        reader->line = reader->next_line;
        if (reader->has_ahead) {
            mw_buffer line = reader->text;
            reader->text = reader->ahead;
            reader->ahead = line;
            reader->has_ahead = false;
            reader->line = reader->next_line - 1;
        } else if (!read_line(reader, &reader->text)) {
            return false;
        }
    } while (!reader->text.err && is_blank(mw_buffer_slice(&reader->text)));
    return true;
}

/* A first line that is no whole object begins a document, unless the next one begins a request:
 * then it is a line that was cut. */
static void tell_kind(mw_request_reader *reader)
{
    reader->told_kind = true;
    if (reader->text.err || look(without_mark(mw_buffer_slice(&reader->text))).whole)
        return;
    mw_buffer_clear(&reader->ahead);
    reader->has_ahead = read_line(reader, &reader->ahead);
    reader->is_document = !reader->has_ahead || !mw_slice_starts(mw_buffer_slice(&reader->ahead),
                                                                 MW_SLICE("{\"resource"));
}

static void take_rest(mw_request_reader *reader)
{
    if (reader->has_ahead) {
        mw_buffer_append_byte(&reader->text, '\n');
        mw_buffer_append_slice(&reader->text, mw_buffer_slice(&reader->ahead));
        if (reader->ahead.err && !reader->text.err)
            reader->text.err = reader->ahead.err;
        reader->has_ahead = false;
    }
    do
        mw_buffer_append_byte(&reader->text, '\n');
    while (read_line(reader, &reader->text));
}

mw_reading mw_request_reader_next(mw_request_reader *reader, mw_slice *out)
{
    bool more = next_line(reader);
    if (more && !reader->told_kind)
        tell_kind(reader);
    if (more && reader->is_document)
        take_rest(reader);
    if (reader->problem)
        return MW_READ_BROKEN;
    if (!more)
        return MW_READ_END;
    *out = without_mark(mw_buffer_slice(&reader->text));
    return reader->text.err ? MW_READ_TOO_LONG : MW_READ_REQUEST;
}
