/* HTTP/1.1 responses to bytes, the date, and what both protocols need of a request target. */
#include <stdarg.h>
#include <time.h>

#include "lib/net/http1_int.h"

typedef struct mw_status_row {
    unsigned status;
    const char *text;
} mw_status_row;

static const mw_status_row status_rows[] = {
    {200, "OK"},
    {201, "Created"},
    {202, "Accepted"},
    {204, "No Content"},
    {206, "Partial Content"},
    {301, "Moved Permanently"},
    {302, "Found"},
    {303, "See Other"},
    {304, "Not Modified"},
    {307, "Temporary Redirect"},
    {308, "Permanent Redirect"},
    {400, "Bad Request"},
    {401, "Unauthorized"},
    {403, "Forbidden"},
    {404, "Not Found"},
    {405, "Method Not Allowed"},
    {406, "Not Acceptable"},
    {408, "Request Timeout"},
    {409, "Conflict"},
    {410, "Gone"},
    {411, "Length Required"},
    {412, "Precondition Failed"},
    {413, "Content Too Large"},
    {414, "URI Too Long"},
    {415, "Unsupported Media Type"},
    {416, "Range Not Satisfiable"},
    {417, "Expectation Failed"},
    {422, "Unprocessable Content"},
    {425, "Too Early"},
    {426, "Upgrade Required"},
    {428, "Precondition Required"},
    {429, "Too Many Requests"},
    {431, "Request Header Fields Too Large"},
    {500, "Internal Server Error"},
    {501, "Not Implemented"},
    {502, "Bad Gateway"},
    {503, "Service Unavailable"},
    {504, "Gateway Timeout"},
    {505, "HTTP Version Not Supported"},
    {507, "Insufficient Storage"},
};

const char *mw_http_status_text(unsigned status)
{
    for (size_t i = 0; i < sizeof status_rows / sizeof *status_rows; i++)
        if (status_rows[i].status == status)
            return status_rows[i].text;
    return "Status";
}

mw_slice mw_http_date_now(mw_http_date *date, int64_t wall_ns)
{
    /* Not strftime: its names follow the locale. */
    static const char days[] = "SunMonTueWedThuFriSat";
    static const char months[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
    time_t second = (time_t)(wall_ns / MW_NS_PER_S);
    if (date->second != second || date->text[0] == '\0') {
        struct tm tm;
        gmtime_r(&second, &tm);
        /* The remainders tell the compiler what gmtime_r guarantees: that the fields fit. */
        snprintf(date->text, sizeof date->text, "%.3s, %02u %.3s %04u %02u:%02u:%02u GMT",
                 days + 3 * tm.tm_wday, (unsigned)tm.tm_mday % 100u, months + 3 * tm.tm_mon,
                 (unsigned)(tm.tm_year + 1900) % 10000u, (unsigned)tm.tm_hour % 100u,
                 (unsigned)tm.tm_min % 100u, (unsigned)tm.tm_sec % 100u);
        date->second = second;
    }
    return (mw_slice){date->text, MW_HTTP_DATE_SIZE - 1};
}

static void append_header(mw_out_queue *out, mw_slice name, mw_slice value)
{
    mw_out_queue_append(out, name);
    mw_out_queue_append(out, MW_SLICE(": "));
    mw_out_queue_append(out, value);
    mw_out_queue_append(out, MW_SLICE("\r\n"));
}

static MW_PRINTF(2, 3) void append_line(mw_out_queue *out, const char *format, ...)
{
    char line[96];
    va_list args;
    va_start(args, format);
    int len = vsnprintf(line, sizeof line, format, args);
    va_end(args);
    MW_ASSERT(len > 0 && (size_t)len < sizeof line);
    mw_out_queue_append(out, (mw_slice){line, (size_t)len});
}

void mw_http1_write_head(mw_out_queue *out, const mw_http1_answer *answer)
{
    const mw_response *response = answer->response;
    if (response->status == 200)
        mw_out_queue_append(out, MW_SLICE("HTTP/1.1 200 OK\r\n"));
    else
        append_line(out, "HTTP/1.1 %u %s\r\n", response->status,
                    mw_http_status_text(response->status));
    if (answer->date.len)
        append_header(out, MW_SLICE("date"), answer->date);
    if (response->content_type.len)
        append_header(out, MW_SLICE("content-type"), response->content_type);
    for (size_t i = 0; i < response->header_count; i++)
        append_header(out, response->headers[i].name, response->headers[i].value);
    /* 204 and 304 have no body and, for 204, must not claim a length (RFC 9110 8.6). */
    bool bodyless = response->status == 204 || response->status == 304;
    if (!bodyless && answer->framing == MW_HTTP1_CHUNKED)
        mw_out_queue_append(out, MW_SLICE("transfer-encoding: chunked\r\n"));
    else if (!bodyless && answer->framing == MW_HTTP1_LENGTH)
        append_line(out, "content-length: %zu\r\n", response->body.len);
    if (answer->close)
        mw_out_queue_append(out, MW_SLICE("connection: close\r\n"));
    mw_out_queue_append(out, MW_SLICE("\r\n"));
}

void mw_http1_write_chunk_size(mw_out_queue *out, size_t len)
{
    append_line(out, "%zx\r\n", len);
}

/* ---- targets --------------------------------------------------------------------------------- */

static bool target_bytes_ok(mw_slice target)
{
    for (size_t i = 0; i < target.len; i++) {
        unsigned char c = (unsigned char)target.data[i];
        if (c < 0x21 || c > 0x7e || c == '#')
            return false;
    }
    return target.len > 0;
}

/* "http://host/path": the part behind the scheme; data NULL when it has none. */
static mw_slice absolute_part(mw_slice target)
{
    const mw_slice schemes[] = {MW_SLICE_INIT("http://"), MW_SLICE_INIT("https://")};
    for (size_t i = 0; i < 2; i++)
        if (mw_slice_equal_nocase(mw_slice_first(target, schemes[i].len), schemes[i]))
            return mw_slice_from(target, schemes[i].len);
    return MW_SLICE_NONE;
}

bool mw_request_set_target(mw_request *request, mw_slice target)
{
    request->target = target;
    if (!target_bytes_ok(target))
        return false;
    mw_slice local = target;
    mw_slice absolute = absolute_part(target);
    if (absolute.data) {
        size_t end = 0;
        while (end < absolute.len && absolute.data[end] != '/' && absolute.data[end] != '?')
            end++;
        request->authority = mw_slice_first(absolute, end);
        local = mw_slice_from(absolute, end);
        if (request->authority.len == 0)
            return false;
    }
    size_t question = mw_slice_find_byte(local, '?');
    request->path = mw_slice_first(local, question);
    request->query = mw_slice_from(local, question + 1);
    if (absolute.data && request->path.len == 0)
        request->path = MW_SLICE("/");
    bool asterisk = mw_slice_equal(target, MW_SLICE("*")) &&
                    mw_slice_equal(request->method, MW_SLICE("OPTIONS"));
    return asterisk || mw_slice_starts(request->path, MW_SLICE("/"));
}
