/* Streaming JSON output. */
#include <math.h>

#include "lib/base/clock.h"
#include "lib/base/id.h"
#include "lib/base/json_writer.h"
#include "lib/base/utf8.h"

/* 2^53: beyond it a reader with doubles loses digits, so the value travels as text. */
#define EXACT_MAX (INT64_C(1) << 53)

void mw_json_init(mw_json *json, mw_buffer *out)
{
    memset(json, 0, sizeof *json);
    json->out = out;
}

/* Called before every value and key: writes the comma that separates it from its elder. */
static void begin_value(mw_json *json)
{
    if (json->after_key) {
        json->after_key = false;
        return;
    }
    if (json->need_comma[json->depth])
        mw_buffer_append_byte(json->out, ',');
    json->need_comma[json->depth] = true;
}

static void open_level(mw_json *json, char bracket)
{
    begin_value(json);
    mw_buffer_append_byte(json->out, bracket);
    MW_ASSERT(json->depth + 1 < MW_JSON_DEPTH_MAX);
    json->need_comma[++json->depth] = false;
}

static void close_level(mw_json *json, char bracket)
{
    MW_ASSERT(json->depth > 0 && !json->after_key);
    json->depth--;
    mw_buffer_append_byte(json->out, bracket);
}

void mw_json_object_begin(mw_json *json)
{
    open_level(json, '{');
}

void mw_json_object_end(mw_json *json)
{
    close_level(json, '}');
}

void mw_json_array_begin(mw_json *json)
{
    open_level(json, '[');
}

void mw_json_array_end(mw_json *json)
{
    close_level(json, ']');
}

/* Characters that are written as escapes: those that mean something in HTML, those that a terminal
 * acts on (C1, and what turns the direction of text around it), and line ends of JavaScript. */
static bool must_escape(uint32_t code)
{
    if (code < 0x80)
        return code < 0x20 || code == '<' || code == '>' || code == '&' || code == 0x7f;
    return code < 0xa0 || code == 0x61c || code == 0x200e || code == 0x200f ||
           (code >= 0x2028 && code <= 0x202e) || (code >= 0x2066 && code <= 0x2069);
}

/* None of them lies beyond the first plane. By hand, because text that is full of "<" is common,
 * and printf costs ten times as much. */
static void append_code(mw_buffer *out, uint32_t code)
{
    static const char digits[] = "0123456789abcdef";
    char text[6] = {'\\', 'u'};
    MW_ASSERT(code <= 0xffff);
    for (unsigned i = 0; i < 4; i++)
        text[2 + i] = digits[code >> (12 - 4 * i) & 15];
    mw_buffer_append(out, text, sizeof text);
}

static void append_escaped(mw_buffer *out, uint32_t code, const char *bytes, size_t len)
{
    switch (code) {
    case '"': mw_buffer_append(out, "\\\"", 2); return;
    case '\\': mw_buffer_append(out, "\\\\", 2); return;
    case '\n': mw_buffer_append(out, "\\n", 2); return;
    case '\r': mw_buffer_append(out, "\\r", 2); return;
    case '\t': mw_buffer_append(out, "\\t", 2); return;
    default: break;
    }
    if (must_escape(code))
        append_code(out, code);
    else
        mw_buffer_append(out, bytes, len);
}

static bool is_plain_ascii(char c)
{
    return c >= 0x20 && c < 0x7f && c != '"' && c != '\\' && c != '<' && c != '>' && c != '&';
}

static void append_quoted(mw_buffer *out, mw_slice text)
{
    mw_buffer_append_byte(out, '"');
    for (size_t i = 0; i < text.len;) {
        size_t run = i;
        while (run < text.len && is_plain_ascii(text.data[run]))
            run++;
        mw_buffer_append(out, text.data + i, run - i);
        i = run;
        if (i == text.len)
            break;
        uint32_t code;
        size_t len = mw_utf8_next(mw_slice_from(text, i), &code);
        if (len == 0)
            mw_buffer_append(out, "\xef\xbf\xbd", 3);
        else
            append_escaped(out, code, text.data + i, len);
        i += len ? len : 1;
    }
    mw_buffer_append_byte(out, '"');
}

void mw_json_key(mw_json *json, mw_slice key)
{
    MW_ASSERT(!json->after_key);
    begin_value(json);
    append_quoted(json->out, key);
    mw_buffer_append_byte(json->out, ':');
    json->after_key = true;
}

void mw_json_string(mw_json *json, mw_slice text)
{
    begin_value(json);
    append_quoted(json->out, text);
}

void mw_json_i64(mw_json *json, int64_t value)
{
    begin_value(json);
    bool exact = value <= EXACT_MAX && value >= -EXACT_MAX;
    mw_buffer_appendf(json->out, exact ? "%lld" : "\"%lld\"", (long long)value);
}

void mw_json_u64(mw_json *json, uint64_t value)
{
    begin_value(json);
    bool exact = value <= (uint64_t)EXACT_MAX;
    mw_buffer_appendf(json->out, exact ? "%llu" : "\"%llu\"", (unsigned long long)value);
}

static int shortest_subnormal(double value)
{
    char text[40];
    int digits = 0;
    do
        snprintf(text, sizeof text, "%.*e", digits++, value);
    while (digits < 17 && strtod(text, NULL) != value);
    return digits;
}

/* How many digits, 1 to 17, read back the same: 17 always do. A number that has 15 at most is found
 * among those of 15, behind which are zeros then (DBL_DIG); but subnormal ones have fewer bits. */
static int shortest(double value)
{
    char text[40];
    int digits = 1;
    if (fpclassify(value) == FP_SUBNORMAL)
        return shortest_subnormal(value);
    snprintf(text, sizeof text, "%.14e", value);
    if (strtod(text, NULL) != value) {
        snprintf(text, sizeof text, "%.15e", value);
        return strtod(text, NULL) == value ? 16 : 17;
    }
    const char *dot = strchr(text, '.');
    for (int i = 1; dot && i <= 14; i++)
        if (dot[i] != '0')
            digits = i + 1;
    return digits;
}

void mw_json_double(mw_json *json, double value)
{
    if (isnan(value) || isinf(value)) {
        mw_json_string(json, isnan(value) ? MW_SLICE("NaN")
                             : value > 0  ? MW_SLICE("Infinity")
                                          : MW_SLICE("-Infinity"));
        return;
    }
    char text[40];
    int digits = shortest(value);
    MW_ASSERT(digits >= 1 && digits <= 17);
    snprintf(text, sizeof text - 2, "%.*g", digits, value);
    size_t len = strlen(text);
    if (!strpbrk(text, ".e")) {
        memcpy(text + len, ".0", 3);
        len += 2;
    }
    begin_value(json);
    mw_buffer_append(json->out, text, len);
}

void mw_json_bool(mw_json *json, bool value)
{
    begin_value(json);
    mw_buffer_append_slice(json->out, value ? MW_SLICE("true") : MW_SLICE("false"));
}

void mw_json_null(mw_json *json)
{
    begin_value(json);
    mw_buffer_append(json->out, "null", 4);
}

void mw_json_bytes_base64(mw_json *json, mw_slice bytes)
{
    begin_value(json);
    mw_buffer_append_byte(json->out, '"');
    /* Whole groups at a time, so that the text needs no second copy of the bytes. */
    char text[4 * 64 + 1];
    for (size_t i = 0; i < bytes.len; i += 3 * 64) {
        mw_slice group = mw_slice_first(mw_slice_from(bytes, i), (size_t)3 * 64);
        mw_base64_encode(group.data, group.len, text);
        mw_buffer_append(json->out, text, strlen(text));
    }
    mw_buffer_append_byte(json->out, '"');
}

void mw_json_hex(mw_json *json, const void *bytes, size_t len)
{
    char text[2 * 64 + 1];
    mw_slice rest = mw_slice_bytes(bytes, len);
    begin_value(json);
    mw_buffer_append_byte(json->out, '"');
    for (; rest.len; rest = mw_slice_from(rest, 64)) {
        mw_slice group = mw_slice_first(rest, 64);
        mw_hex_encode(group.data, group.len, text);
        mw_buffer_append(json->out, text, 2 * group.len);
    }
    mw_buffer_append_byte(json->out, '"');
}

void mw_json_raw(mw_json *json, mw_slice json_text)
{
    begin_value(json);
    mw_buffer_append_slice(json->out, json_text);
}

static void literal_key(mw_json *json, const char *key)
{
    mw_json_key(json, mw_slice_of(key));
}

void mw_json_kv(mw_json *json, const char *key, mw_slice text)
{
    literal_key(json, key);
    mw_json_string(json, text);
}

void mw_json_kv_or_null(mw_json *json, const char *key, mw_slice text)
{
    literal_key(json, key);
    if (text.len)
        mw_json_string(json, text);
    else
        mw_json_null(json);
}

void mw_json_kv_i64(mw_json *json, const char *key, int64_t value)
{
    literal_key(json, key);
    mw_json_i64(json, value);
}

void mw_json_kv_u64(mw_json *json, const char *key, uint64_t value)
{
    literal_key(json, key);
    mw_json_u64(json, value);
}

void mw_json_kv_double(mw_json *json, const char *key, double value)
{
    literal_key(json, key);
    mw_json_double(json, value);
}

void mw_json_kv_bool(mw_json *json, const char *key, bool value)
{
    literal_key(json, key);
    mw_json_bool(json, value);
}

void mw_json_kv_null(mw_json *json, const char *key)
{
    literal_key(json, key);
    mw_json_null(json);
}

void mw_json_kv_time(mw_json *json, const char *key, uint64_t unix_nano)
{
    char name[64];
    int len = snprintf(name, sizeof name, "%s_unix_nano", key);
    MW_ASSERT(len > 0 && (size_t)len < sizeof name);
    if (unix_nano == 0) {
        mw_json_kv_null(json, key);
        mw_json_kv_null(json, name);
        return;
    }
    char text[MW_TIME_TEXT_SIZE];
    mw_time_format(unix_nano, text);
    mw_json_kv(json, key, mw_slice_of(text));
    snprintf(text, sizeof text, "%llu", (unsigned long long)unix_nano);
    mw_json_kv(json, name, mw_slice_of(text));
}
