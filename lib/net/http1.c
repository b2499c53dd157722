/* The HTTP/1.1 request parser. See http1_int.h.
 *
 * A head that lies complete in the input is handed on where it lies; only one that came in pieces
 * is put together in `line`. The arena copy made by mw_http1_parse_head is the one the request
 * keeps: names are lowered in it, values are slices of it.
 */
#include "lib/net/http1_int.h"
#include "lib/net/net_int.h"

enum {
    STATE_START,      /* before a request line */
    STATE_START_LF,   /* one empty line before it is forgiven (RFC 9112 2.2) */
    STATE_LINES,      /* inside the head */
    STATE_HEAD,       /* HEAD was returned, mw_http1_parse_head is due */
    STATE_LENGTH,     /* body with Content-Length */
    STATE_SIZE,       /* chunk size digits */
    STATE_SIZE_BLANK, /* blanks that only an extension may follow */
    STATE_EXTENSION,
    STATE_SIZE_LF,
    STATE_CHUNK,
    STATE_CHUNK_CR,
    STATE_CHUNK_LF,
    STATE_TRAILERS,
    STATE_END, /* END is due */
    STATE_BAD
};

/* RFC 9110 5.6.2: one bit a token character, for 0-127. */
static bool is_token_byte(unsigned char c)
{
    static const uint64_t low = 0x3ff6cfa00000000;
    static const uint64_t high = 0x57ffffffc7fffffe;
    return c < 128 && ((c < 64 ? low >> c : high >> (c - 64)) & 1) != 0;
}

static bool is_token(mw_slice text)
{
    for (size_t i = 0; i < text.len; i++)
        if (!is_token_byte((unsigned char)text.data[i]))
            return false;
    return text.len > 0;
}

/* Visible characters, blanks, tabs and bytes above 0x7f (obs-text). */
static bool is_field_byte(unsigned char c)
{
    return (c >= 0x20 && c != 0x7f) || c == '\t';
}

static mw_http1_step bad(mw_http1 *http1, unsigned status, const char *reason)
{
    http1->state = STATE_BAD;
    http1->status = status;
    http1->reason = reason;
    return MW_HTTP1_BAD;
}

/* The same for functions that answer yes or no. */
static bool refuse(mw_http1 *http1, unsigned status, const char *reason)
{
    (void)bad(http1, status, reason);
    return false;
}

void mw_http1_init(mw_http1 *http1)
{
    *http1 = (mw_http1){.state = STATE_START};
    mw_buffer_init(&http1->line, MW_MEM_NET, MW_NET_HEAD_MAX);
}

void mw_http1_fini(mw_http1 *http1)
{
    mw_buffer_fini(&http1->line);
}

bool mw_http1_idle(const mw_http1 *http1)
{
    return http1->state == STATE_START;
}

static void advance(mw_slice *in, size_t n)
{
    MW_ASSERT(n <= in->len);
    in->data += n;
    in->len -= n;
}

/* ---- the head -------------------------------------------------------------------------------- */

/* Looks for the empty line; *end is the length of the head then. Only the first
 * MW_NET_HEAD_MAX bytes count, so that a refusal does not depend on how the bytes came. */
static mw_http1_step scan_head(mw_http1 *http1, mw_slice text, size_t *end)
{
    mw_slice window = mw_slice_first(text, MW_NET_HEAD_MAX);
    while (http1->scanned < window.len) {
        size_t lf =
            http1->scanned + mw_slice_find_byte(mw_slice_from(window, http1->scanned), '\n');
        http1->scanned = lf < window.len ? lf + 1 : window.len;
        if (lf == window.len)
            break;
        if (lf == http1->line_start || window.data[lf - 1] != '\r')
            return bad(http1, 400, "A line of the head does not end with CR LF.");
        if (lf - http1->line_start == 1) {
            *end = lf + 1;
            return MW_HTTP1_HEAD;
        }
        http1->line_start = lf + 1;
    }
    if (window.len == MW_NET_HEAD_MAX)
        return bad(http1, 431, "Request line and headers are larger than 32 KiB.");
    return MW_HTTP1_MORE;
}

/* The common case copies nothing here: a head that is whole is handed on inside the input. */
static mw_http1_step gather_head(mw_http1 *http1, mw_slice *in, mw_slice *out)
{
    bool pieces = http1->line.len > 0;
    mw_slice text = *in;
    size_t before = http1->line.len;
    if (pieces) {
        mw_buffer_append_slice(&http1->line, mw_slice_first(*in, MW_NET_HEAD_MAX - before));
        text = mw_buffer_slice(&http1->line);
    }
    size_t end = 0;
    mw_http1_step step = http1->line.err ? MW_HTTP1_MORE : scan_head(http1, text, &end);
    if (step == MW_HTTP1_HEAD) {
        advance(in, end - before);
        *out = mw_slice_first(text, end);
        http1->state = STATE_HEAD;
    } else if (step == MW_HTTP1_MORE) {
        if (!pieces)
            mw_buffer_append_slice(&http1->line, *in);
        advance(in, in->len);
        if (http1->line.err)
            return bad(http1, 503, "The server is short of memory; try again.");
    }
    return step;
}

static mw_http1_step start(mw_http1 *http1, mw_slice *in)
{
    char byte = in->data[0];
    if (http1->state == STATE_START_LF && byte != '\n')
        return bad(http1, 400, "A line of the head does not end with CR LF.");
    if (http1->state == STATE_START && byte == '\r') {
        http1->state = STATE_START_LF;
        advance(in, 1);
        return MW_HTTP1_MORE;
    }
    if (http1->state == STATE_START_LF)
        advance(in, 1);
    else if (!is_token_byte((unsigned char)byte))
        return bad(http1, 400, "This is not an HTTP request.");
    http1->state = STATE_LINES;
    http1->scanned = http1->line_start = 0;
    http1->extensions = http1->trailers = 0;
    return MW_HTTP1_MORE;
}

static bool parse_version(mw_http1 *http1, mw_slice text, mw_http1_head *head)
{
    if (mw_slice_equal(text, MW_SLICE("HTTP/1.1")))
        head->minor = 1;
    else if (mw_slice_equal(text, MW_SLICE("HTTP/1.0")))
        head->minor = 0;
    else if (text.len == 8 && mw_slice_starts(text, MW_SLICE("HTTP/")) && text.data[6] == '.')
        return refuse(http1, 505, "Only HTTP/1.1, HTTP/1.0 and HTTP/2 are spoken here.");
    else
        return refuse(http1, 400, "The request line is malformed.");
    return true;
}

static bool parse_request_line(mw_http1 *http1, mw_slice line, mw_http1_head *head)
{
    size_t first = mw_slice_find_byte(line, ' ');
    head->method = mw_slice_first(line, first);
    mw_slice rest = mw_slice_from(line, first + 1);
    size_t second = mw_slice_find_byte(rest, ' ');
    head->target = mw_slice_first(rest, second);
    if (first >= line.len || second >= rest.len || !is_token(head->method) || head->target.len == 0)
        return refuse(http1, 400, "The request line is malformed.");
    return parse_version(http1, mw_slice_from(rest, second + 1), head);
}

static void lower_name(char *name, size_t len)
{
    for (size_t i = 0; i < len; i++)
        if (name[i] >= 'A' && name[i] <= 'Z')
            name[i] = (char)(name[i] | 0x20);
}

static bool parse_field(mw_http1 *http1, mw_slice line, mw_header *header)
{
    size_t colon = mw_slice_find_byte(line, ':');
    header->name = mw_slice_first(line, colon);
    header->value = mw_slice_trim(mw_slice_from(line, colon + 1));
    if (colon == line.len || !is_token(header->name))
        return refuse(http1, 400, "A header line is malformed.");
    for (size_t i = 0; i < header->value.len; i++)
        if (!is_field_byte((unsigned char)header->value.data[i]))
            return refuse(http1, 400, "A header value holds a control character.");
    return true;
}

static bool list_has(mw_slice list, mw_slice token)
{
    mw_slice item;
    while (mw_slice_split(&list, ',', &item))
        if (mw_slice_equal_nocase(mw_slice_trim(item), token))
            return true;
    return false;
}

/* A repeated Content-Length is refused even when both say the same: RFC 9112 6.3 allows it, and
 * no honest client needs more. */
static bool use_length(mw_http1 *http1, mw_http1_head *head, mw_slice value)
{
    mw_err err = mw_slice_u64(value, &head->length);
    if (head->has_length || err == MW_E_SYNTAX)
        return refuse(http1, 400, "Content-Length is not one decimal number.");
    if (err != MW_OK || head->length > INT64_MAX)
        return refuse(http1, 413, "Content-Length is beyond every limit.");
    head->has_length = true;
    return true;
}

static bool use_transfer_encoding(mw_http1 *http1, mw_http1_head *head, mw_slice value)
{
    if (head->minor == 0 || head->chunked || !mw_slice_equal_nocase(value, MW_SLICE("chunked")))
        return refuse(http1, 400, "The only Transfer-Encoding understood is chunked, once.");
    head->chunked = true;
    return true;
}

/* The few headers that framing depends on. */
static bool use_field(mw_http1 *http1, mw_http1_head *head, const mw_header *header)
{
    mw_slice name = header->name;
    mw_slice value = header->value;
    if (mw_slice_equal(name, MW_SLICE("host"))) {
        if (head->host.data)
            return refuse(http1, 400, "More than one Host header.");
        head->host = value;
    } else if (mw_slice_equal(name, MW_SLICE("content-length"))) {
        return use_length(http1, head, value);
    } else if (mw_slice_equal(name, MW_SLICE("transfer-encoding"))) {
        return use_transfer_encoding(http1, head, value);
    } else if (mw_slice_equal(name, MW_SLICE("connection"))) {
        head->keep_alive = head->keep_alive && !list_has(value, MW_SLICE("close"));
    } else if (mw_slice_equal(name, MW_SLICE("expect"))) {
        if (!mw_slice_equal_nocase(value, MW_SLICE("100-continue")))
            return refuse(http1, 417, "The only Expect understood is 100-continue.");
        head->expect_continue = head->minor == 1;
    }
    return true;
}

/* Takes one line off the front; the caller knows that every LF follows a CR. */
static mw_slice take_line(mw_slice *rest)
{
    size_t lf = mw_slice_find_byte(*rest, '\n');
    mw_slice line = mw_slice_first(*rest, lf - 1);
    advance(rest, lf + 1);
    return line;
}

static size_t count_lines(mw_slice text)
{
    size_t count = 0;
    mw_slice line;
    while (mw_slice_split(&text, '\n', &line))
        count++;
    return count;
}

static bool parse_fields(mw_http1 *http1, mw_slice rest, mw_arena *arena, mw_http1_head *head)
{
    size_t count = count_lines(rest) - 1; /* the empty line */
    if (count > MW_NET_HEADERS_MAX)
        return refuse(http1, 431, "More than 128 headers.");
    mw_header *headers = mw_arena_alloc(arena, (count + 1) * sizeof *headers);
    if (!headers)
        return bad(http1, 503, "The server is short of memory; try again."), false;
    for (size_t i = 0; i < count; i++) {
        if (!parse_field(http1, take_line(&rest), &headers[i]))
            return false;
        /* The text is the arena's own copy, made by our caller. */
        lower_name((char *)(uintptr_t)headers[i].name.data, headers[i].name.len);
        if (!use_field(http1, head, &headers[i]))
            return false;
    }
    head->headers = headers;
    head->header_count = count;
    return true;
}

static bool begin_body(mw_http1 *http1, const mw_http1_head *head)
{
    if (head->chunked && head->has_length)
        return refuse(http1, 400, "Both Content-Length and Transfer-Encoding.");
    if (!head->host.data && head->minor == 1)
        return refuse(http1, 400, "The Host header is missing.");
    http1->left = head->length;
    http1->digits = 0;
    http1->line_length = 0;
    http1->state = head->chunked ? STATE_SIZE : head->length ? STATE_LENGTH : STATE_END;
    return true;
}

bool mw_http1_parse_head(mw_http1 *http1, mw_slice text, mw_arena *arena, mw_http1_head *head)
{
    MW_ASSERT(http1->state == STATE_HEAD);
    *head = (mw_http1_head){.keep_alive = true};
    mw_slice rest = mw_arena_copy(arena, text);
    mw_buffer_fini(&http1->line);
    if (!rest.data)
        return bad(http1, 503, "The server is short of memory; try again."), false;
    if (!parse_request_line(http1, take_line(&rest), head) ||
        !parse_fields(http1, rest, arena, head))
        return false;
    head->keep_alive = head->keep_alive && head->minor == 1;
    return begin_body(http1, head);
}

/* ---- the body -------------------------------------------------------------------------------- */

static mw_http1_step take_data(mw_http1 *http1, mw_slice *in, mw_slice *out, int then)
{
    size_t n = in->len < http1->left ? in->len : (size_t)http1->left;
    *out = mw_slice_first(*in, n);
    advance(in, n);
    http1->left -= n;
    if (http1->left == 0)
        http1->state = then;
    return MW_HTTP1_DATA;
}

uint64_t mw_http1_length_left(const mw_http1 *http1)
{
    return http1->state == STATE_LENGTH ? http1->left : 0;
}

void mw_http1_skip(mw_http1 *http1, size_t len)
{
    MW_ASSERT(http1->state == STATE_LENGTH && len <= http1->left);
    http1->left -= len;
    if (http1->left == 0)
        http1->state = STATE_END;
}

static int hex_digit(unsigned char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c |= 0x20;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static mw_http1_step chunk_digit(mw_http1 *http1, unsigned char c)
{
    int digit = hex_digit(c);
    if (digit >= 0) {
        /* 15 digits: no overflow, and far beyond any limit. */
        if (++http1->digits > 15)
            return bad(http1, 413, "A chunk is beyond every limit.");
        http1->left = http1->left << 4 | (uint64_t)digit;
        return MW_HTTP1_MORE;
    }
    if (http1->digits == 0)
        return bad(http1, 400, "A chunk size is malformed.");
    if (c == '\r')
        http1->state = STATE_SIZE_LF;
    else if (c == ';')
        http1->state = STATE_EXTENSION;
    else if (c == ' ' || c == '\t')
        http1->state = STATE_SIZE_BLANK;
    else
        return bad(http1, 400, "A chunk size is malformed.");
    return MW_HTTP1_MORE;
}

static mw_http1_step chunk_extension(mw_http1 *http1, unsigned char c)
{
    if (http1->state == STATE_SIZE_BLANK && c != ';' && c != ' ' && c != '\t')
        return bad(http1, 400, "A chunk size is malformed.");
    if (c == '\r')
        http1->state = STATE_SIZE_LF;
    else if (!is_field_byte(c))
        return bad(http1, 400, "A chunk extension holds a control character.");
    else if (c == ';')
        http1->state = STATE_EXTENSION;
    if (++http1->extensions > MW_HTTP1_EXTENSIONS_MAX)
        return bad(http1, 400, "Chunk extensions are too long.");
    return MW_HTTP1_MORE;
}

static mw_http1_step chunk_line_end(mw_http1 *http1, unsigned char c)
{
    if (c != '\n')
        return bad(http1, 400, "A chunk size line does not end with CR LF.");
    http1->state = http1->left ? STATE_CHUNK : STATE_TRAILERS;
    http1->digits = 0;
    http1->line_length = 0;
    return MW_HTTP1_MORE;
}

static mw_http1_step chunk_data_end(mw_http1 *http1, unsigned char c)
{
    if (c != (http1->state == STATE_CHUNK_CR ? '\r' : '\n'))
        return bad(http1, 400, "A chunk is longer than its size says.");
    http1->state = http1->state == STATE_CHUNK_CR ? STATE_CHUNK_LF : STATE_SIZE;
    return MW_HTTP1_MORE;
}

static mw_http1_step trailer_line(mw_http1 *http1)
{
    mw_slice line = mw_buffer_slice(&http1->line);
    mw_header header;
    if (line.len < 2 || line.data[line.len - 2] != '\r')
        return bad(http1, 400, "A trailer line does not end with CR LF.");
    line.len -= 2;
    if (line.len == 0)
        http1->state = STATE_END;
    else if (!parse_field(http1, line, &header))
        return MW_HTTP1_BAD;
    if (http1->state == STATE_END)
        mw_buffer_fini(&http1->line);
    mw_buffer_clear(&http1->line);
    return MW_HTTP1_MORE;
}

/* Trailers are rare and short: byte by byte into a buffer, a line at a time. */
static mw_http1_step trailer_byte(mw_http1 *http1, unsigned char c)
{
    if (++http1->trailers > MW_HTTP1_TRAILERS_MAX)
        return bad(http1, 431, "Trailers are larger than 8 KiB.");
    mw_buffer_append_byte(&http1->line, (char)c);
    if (http1->line.err)
        return bad(http1, 503, "The server is short of memory; try again.");
    return c == '\n' ? trailer_line(http1) : MW_HTTP1_MORE;
}

/* Everything of chunked framing but the data goes byte by byte: a few bytes in many thousand. */
static mw_http1_step frame_byte(mw_http1 *http1, unsigned char c)
{
    if (http1->state <= STATE_EXTENSION && ++http1->line_length > MW_HTTP1_CHUNK_LINE_MAX)
        return bad(http1, 400, "A chunk size line is too long.");
    switch (http1->state) {
    case STATE_SIZE: return chunk_digit(http1, c);
    case STATE_SIZE_BLANK:
    case STATE_EXTENSION: return chunk_extension(http1, c);
    case STATE_SIZE_LF: return chunk_line_end(http1, c);
    case STATE_CHUNK_CR:
    case STATE_CHUNK_LF: return chunk_data_end(http1, c);
    default: MW_ASSERT(http1->state == STATE_TRAILERS); return trailer_byte(http1, c);
    }
}

mw_http1_step mw_http1_next(mw_http1 *http1, mw_slice *in, mw_slice *out)
{
    mw_http1_step step = MW_HTTP1_MORE;
    *out = MW_SLICE_NONE;
    MW_ASSERT(http1->state != STATE_HEAD);
    while (step == MW_HTTP1_MORE) {
        if (http1->state == STATE_BAD)
            return MW_HTTP1_BAD;
        if (http1->state == STATE_END) {
            http1->state = STATE_START;
            return MW_HTTP1_END;
        }
        if (in->len == 0)
            return MW_HTTP1_MORE;
        switch (http1->state) {
        case STATE_START:
        case STATE_START_LF: step = start(http1, in); break;
        case STATE_LINES: step = gather_head(http1, in, out); break;
        case STATE_LENGTH: step = take_data(http1, in, out, STATE_END); break;
        case STATE_CHUNK: step = take_data(http1, in, out, STATE_CHUNK_CR); break;
        default: step = frame_byte(http1, (unsigned char)in->data[0]); advance(in, 1);
        }
    }
    return step;
}
