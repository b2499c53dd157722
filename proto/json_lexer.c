/* JSON tokens over a slice. RFC 8259; pure, allocates nothing. */
#include <errno.h>
#include <math.h>

#include "lib/base/utf8.h"
#include "proto/json_int.h"

/* Longest number that is read: 17 digits carry a double, but writers may print up to 309 before
 * the point (1e308 without exponent). */
#define NUMBER_MAX 400

static mw_json_token bad(mw_json_lexer *lexer, const char *problem)
{
    lexer->problem = problem;
    return (mw_json_token){.type = MW_JSON_BAD};
}

/* ---- strings ------------------------------------------------------------------------------- */

static bool hex4(mw_slice text, uint32_t *code)
{
    *code = 0;
    if (text.len < 4)
        return false;
    for (size_t i = 0; i < 4; i++) {
        char c = text.data[i];
        uint32_t digit = c >= '0' && c <= '9'   ? (uint32_t)(c - '0')
                         : c >= 'a' && c <= 'f' ? (uint32_t)(c - 'a') + 10
                         : c >= 'A' && c <= 'F' ? (uint32_t)(c - 'A') + 10
                                                : 16;
        if (digit == 16)
            return false;
        *code = *code << 4 | digit;
    }
    return true;
}

/* Length of the escape at text (which begins with a backslash) and its code point; 0 when it is
 * none. A surrogate counts only as a pair. */
static size_t read_escape(mw_slice text, uint32_t *code)
{
    static const char from[] = "\"\\/bfnrt";
    static const char to[] = "\"\\/\b\f\n\r\t";
    uint32_t low;
    if (text.len < 2)
        return 0;
    const char *plain = text.data[1] ? strchr(from, text.data[1]) : NULL;
    if (plain) {
        *code = (unsigned char)to[plain - from];
        return 2;
    }
    if (text.data[1] != 'u' || !hex4(mw_slice_from(text, 2), code))
        return 0;
    if (*code < 0xd800 || *code > 0xdfff)
        return 6;
    if (*code > 0xdbff || text.len < 12 || text.data[6] != '\\' || text.data[7] != 'u' ||
        !hex4(mw_slice_from(text, 8), &low) || low < 0xdc00 || low > 0xdfff)
        return 0;
    *code = 0x10000 + ((*code - 0xd800) << 10) + (low - 0xdc00);
    return 12;
}

static mw_json_token read_string(mw_json_lexer *lexer)
{
    mw_slice text = mw_slice_from(lexer->text, lexer->at + 1);
    mw_json_token token = {.type = MW_JSON_STRING};
    size_t i = 0;
    while (i < text.len && text.data[i] != '"') {
        uint32_t code;
        size_t len = 1;
        if ((unsigned char)text.data[i] < 0x20)
            return bad(lexer, "a control character inside a string; write it as \\u00XX");
        if (text.data[i] == '\\') {
            token.has_escapes = true;
            len = read_escape(mw_slice_from(text, i), &code);
            if (len == 0)
                return bad(lexer, "a bad escape or a lone surrogate in a string");
        }
        i += len;
    }
    if (i == text.len)
        return bad(lexer, "a string that does not end");
    token.text = mw_slice_first(text, i);
    if (!mw_utf8_valid(token.text))
        return bad(lexer, "a string that is not UTF-8");
    lexer->at += i + 2;
    return token;
}

static void append_utf8(mw_buffer *out, uint32_t code)
{
    if (code < 0x80) {
        mw_buffer_append_byte(out, (char)code);
        return;
    }
    unsigned extra = code < 0x800 ? 1 : code < 0x10000 ? 2 : 3;
    static const unsigned char lead[] = {0, 0xc0, 0xe0, 0xf0};
    mw_buffer_append_byte(out, (char)(lead[extra] | code >> (6 * extra)));
    while (extra--)
        mw_buffer_append_byte(out, (char)(0x80 | (code >> (6 * extra) & 0x3f)));
}

void mw_json_unescape(mw_slice raw, mw_buffer *out)
{
    while (raw.len) {
        size_t run = mw_slice_find_byte(raw, '\\');
        mw_buffer_append(out, raw.data, run);
        raw = mw_slice_from(raw, run);
        if (raw.len == 0)
            return;
        uint32_t code;
        size_t len = read_escape(raw, &code);
        MW_ASSERT(len != 0); /* the lexer has checked it */
        append_utf8(out, code);
        raw = mw_slice_from(raw, len);
    }
}

/* ---- numbers ------------------------------------------------------------------------------- */

static size_t digits_at(mw_slice text, size_t at)
{
    size_t n = 0;
    while (at + n < text.len && text.data[at + n] >= '0' && text.data[at + n] <= '9')
        n++;
    return n;
}

typedef struct number_parts {
    bool negative;
    mw_slice whole, fraction;
    int64_t exponent;
    size_t len;
} number_parts;

/* Beyond any number that fits: more only says "too large" or "too small". */
#define EXPONENT_CLAMP 100000

/* The longest JSON number at the front of text; false when there is none. */
static bool split_number(mw_slice text, number_parts *out)
{
    *out = (number_parts){.negative = text.len && text.data[0] == '-'};
    size_t at = out->negative;
    size_t n = digits_at(text, at);
    if (n == 0 || (n > 1 && text.data[at] == '0'))
        return false;
    out->whole = mw_slice_first(mw_slice_from(text, at), n);
    at += n;
    if (at < text.len && text.data[at] == '.') {
        n = digits_at(text, at + 1);
        if (n == 0)
            return false;
        out->fraction = mw_slice_first(mw_slice_from(text, at + 1), n);
        at += n + 1;
    }
    if (at < text.len && (text.data[at] == 'e' || text.data[at] == 'E')) {
        at++;
        bool minus = at < text.len && text.data[at] == '-';
        at += minus || (at < text.len && text.data[at] == '+');
        n = digits_at(text, at);
        if (n == 0)
            return false;
        uint64_t value = EXPONENT_CLAMP;
        if (mw_slice_u64(mw_slice_first(mw_slice_from(text, at), n), &value) != MW_OK ||
            value > EXPONENT_CLAMP)
            value = EXPONENT_CLAMP;
        out->exponent = minus ? -(int64_t)value : (int64_t)value;
        at += n;
    }
    out->len = at;
    return true;
}

static mw_json_token read_number(mw_json_lexer *lexer)
{
    number_parts parts;
    mw_slice text = mw_slice_from(lexer->text, lexer->at);
    if (!split_number(text, &parts))
        return bad(lexer, "a malformed number");
    lexer->at += parts.len;
    return (mw_json_token){.type = MW_JSON_NUMBER, .text = mw_slice_first(text, parts.len)};
}

static char digit_of(const number_parts *parts, size_t i)
{
    return i < parts->whole.len ? parts->whole.data[i] : parts->fraction.data[i - parts->whole.len];
}

mw_err mw_json_whole(mw_slice text, bool *negative, uint64_t *magnitude)
{
    number_parts parts;
    if (!split_number(text, &parts) || parts.len != text.len)
        return MW_E_SYNTAX;
    size_t count = parts.whole.len + parts.fraction.len;
    int64_t exponent = parts.exponent - (int64_t)parts.fraction.len;
    while (count && digit_of(&parts, count - 1) == '0') { /* 12.00 is 12; 1200e-2 too */
        count--;
        exponent++;
    }
    *negative = parts.negative;
    *magnitude = 0;
    if (count == 0)
        return MW_OK;
    if (exponent < 0)
        return MW_E_INVALID;
    for (size_t i = 0; i < count; i++)
        if (__builtin_mul_overflow(*magnitude, 10u, magnitude) ||
            __builtin_add_overflow(*magnitude, (uint64_t)(digit_of(&parts, i) - '0'), magnitude))
            return MW_E_LIMIT;
    for (; exponent > 0; exponent--)
        if (__builtin_mul_overflow(*magnitude, 10u, magnitude))
            return MW_E_LIMIT;
    return MW_OK;
}

mw_err mw_json_real(mw_slice text, double *value)
{
    number_parts parts;
    char copy[NUMBER_MAX + 1];
    if (!split_number(text, &parts) || parts.len != text.len)
        return MW_E_SYNTAX;
    if (!mw_slice_to_cstr(text, copy, sizeof copy))
        return MW_E_LIMIT;
    *value = strtod(copy, NULL);
    return isinf(*value) ? MW_E_LIMIT : MW_OK;
}

/* ---- tokens -------------------------------------------------------------------------------- */

static mw_json_token read_literal(mw_json_lexer *lexer)
{
    static const struct {
        mw_slice text;
        mw_json_token_type type;
    } words[] = {{MW_SLICE_INIT("true"), MW_JSON_TRUE},
                 {MW_SLICE_INIT("false"), MW_JSON_FALSE},
                 {MW_SLICE_INIT("null"), MW_JSON_NULL}};
    mw_slice rest = mw_slice_from(lexer->text, lexer->at);
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++) {
        if (!mw_slice_starts(rest, words[i].text))
            continue;
        lexer->at += words[i].text.len;
        return (mw_json_token){.type = words[i].type};
    }
    return bad(lexer, "not a JSON value (NaN and Infinity are written as strings)");
}

mw_json_token mw_json_next(mw_json_lexer *lexer)
{
    mw_slice text = lexer->text;
    while (lexer->at < text.len && (text.data[lexer->at] == ' ' || text.data[lexer->at] == '\n' ||
                                    text.data[lexer->at] == '\t' || text.data[lexer->at] == '\r'))
        lexer->at++;
    if (lexer->at == text.len)
        return (mw_json_token){.type = MW_JSON_END};
    static const char marks[] = "{}[]:,";
    static const mw_json_token_type types[] = {MW_JSON_OBJECT_BEGIN, MW_JSON_OBJECT_END,
                                               MW_JSON_ARRAY_BEGIN,  MW_JSON_ARRAY_END,
                                               MW_JSON_COLON,        MW_JSON_COMMA};
    char c = text.data[lexer->at];
    const char *mark = c ? strchr(marks, c) : NULL;
    if (mark) {
        lexer->at++;
        return (mw_json_token){.type = types[mark - marks]};
    }
    if (c == '"')
        return read_string(lexer);
    if (c == '-' || (c >= '0' && c <= '9'))
        return read_number(lexer);
    return read_literal(lexer);
}
