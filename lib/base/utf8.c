/* UTF-8: validation (hot: every string of every request), and making text safe to show. */
#include "lib/base/utf8.h"

/* RFC 3629 table 3-7 as ranges: lead byte -> length and bounds of the second byte. */
size_t mw_utf8_next(mw_slice text, uint32_t *code)
{
    const unsigned char *at = (const unsigned char *)text.data;
    if (text.len == 0)
        return 0;
    unsigned char lead = at[0];
    size_t len = lead < 0x80 ? 1 : lead < 0xc2 ? 0 : lead < 0xe0 ? 2 : lead < 0xf0 ? 3 : 4;
    if (len == 0 || lead > 0xf4 || len > text.len)
        return 0;
    uint32_t value = len == 1 ? lead : lead & (0x7fu >> len);
    unsigned char low = lead == 0xe0 ? 0xa0 : lead == 0xf0 ? 0x90 : 0x80;
    unsigned char high = lead == 0xed ? 0x9f : lead == 0xf4 ? 0x8f : 0xbf;
    for (size_t i = 1; i < len; i++) {
        if (at[i] < low || at[i] > high)
            return 0;
        low = 0x80;
        high = 0xbf;
        value = value << 6 | (at[i] & 0x3fu);
    }
    if (code)
        *code = value;
    return len;
}

/* Where the ASCII that begins at `i` ends, or up to seven bytes before: nearly all telemetry text
 * is nothing else. The last word overlaps the one before it: no byte is looked at alone. */
static size_t skip_ascii(mw_slice text, size_t i)
{
    const uint64_t high = UINT64_C(0x8080808080808080);
    uint64_t word;
    if (text.len < sizeof word)
        return i;
    for (; text.len - i >= sizeof word; i += sizeof word) {
        memcpy(&word, text.data + i, sizeof word);
        if (word & high)
            return i;
    }
    memcpy(&word, text.data + text.len - sizeof word, sizeof word);
    return word & high ? i : text.len;
}

bool mw_utf8_valid(mw_slice text)
{
    size_t i = 0;
    while (i < text.len) {
        i = skip_ascii(text, i);
        if (i < text.len) {
            if (!((unsigned char)text.data[i] & 0x80)) {
                i++;
                continue;
            }
            size_t len = mw_utf8_next((mw_slice){text.data + i, text.len - i}, NULL);
            if (len == 0)
                return false;
            i += len;
        }
    }
    return true;
}

/* Controls and the characters that reorder or hide text (Unicode Bidi_Control, zero width). */
static bool must_escape(uint32_t code, bool keep_newlines)
{
    if (keep_newlines && (code == '\n' || code == '\t'))
        return false;
    if (code < 0x20 || (code >= 0x7f && code < 0xa0))
        return true;
    return code == 0x061c || (code >= 0x200b && code <= 0x200f) ||
           (code >= 0x2028 && code <= 0x202e) || (code >= 0x2060 && code <= 0x2069) ||
           code == 0xfeff || (code >= 0xe0000 && code <= 0xe007f);
}

void mw_utf8_append_visible(mw_buffer *out, mw_slice text, bool keep_newlines)
{
    for (size_t i = 0; i < text.len;) {
        uint32_t code;
        size_t len = mw_utf8_next(mw_slice_from(text, i), &code);
        if (len == 0) {
            mw_buffer_append(out, "\xef\xbf\xbd", 3);
            i++;
            continue;
        }
        if (!must_escape(code, keep_newlines))
            mw_buffer_append(out, text.data + i, len);
        else if (code < 0x100)
            mw_buffer_appendf(out, "\\x%02x", code);
        else
            mw_buffer_appendf(out, "\\u{%x}", code);
        i += len;
    }
}

typedef struct code_range {
    uint32_t first, last;
} code_range;

/* Below the ideographs: angle brackets, and what is drawn as a picture (East Asian Width W). */
static const code_range wide_signs[] = {
    {0x1100, 0x115f}, {0x231a, 0x231b}, {0x2329, 0x232a}, {0x23e9, 0x23ec}, {0x23f0, 0x23f0},
    {0x23f3, 0x23f3}, {0x25fd, 0x25fe}, {0x2614, 0x2615}, {0x2630, 0x2637}, {0x2648, 0x2653},
    {0x267f, 0x267f}, {0x268a, 0x268f}, {0x2693, 0x2693}, {0x26a1, 0x26a1}, {0x26aa, 0x26ab},
    {0x26bd, 0x26be}, {0x26c4, 0x26c5}, {0x26ce, 0x26ce}, {0x26d4, 0x26d4}, {0x26ea, 0x26ea},
    {0x26f2, 0x26f3}, {0x26f5, 0x26f5}, {0x26fa, 0x26fa}, {0x26fd, 0x26fd}, {0x2705, 0x2705},
    {0x270a, 0x270b}, {0x2728, 0x2728}, {0x274c, 0x274c}, {0x274e, 0x274e}, {0x2753, 0x2755},
    {0x2757, 0x2757}, {0x2795, 0x2797}, {0x27b0, 0x27b0}, {0x27bf, 0x27bf}, {0x2b1b, 0x2b1c},
    {0x2b50, 0x2b50}, {0x2b55, 0x2b55},
};

static bool is_wide_sign(uint32_t code)
{
    for (size_t i = 0; i < sizeof wide_signs / sizeof wide_signs[0]; i++)
        if (code <= wide_signs[i].last)
            return code >= wide_signs[i].first;
    return false;
}

/* Width by range: the C library's wcwidth depends on the locale, which we never set. What is rare
 * and not sure counts as wide: a line that is too short is still a line. */
static size_t columns_of(uint32_t code)
{
    if (code < 0x0300)
        return 1;
    if ((code >= 0x0300 && code <= 0x036f) || (code >= 0x1ab0 && code <= 0x1aff) ||
        (code >= 0x20d0 && code <= 0x20ff) || (code >= 0xfe00 && code <= 0xfe0f) ||
        (code >= 0xfe20 && code <= 0xfe2f))
        return 0;
    if ((code >= 0x2e80 && code <= 0xa4cf) || (code >= 0xa960 && code <= 0xa97c) ||
        (code >= 0xac00 && code <= 0xd7a3) || (code >= 0xf900 && code <= 0xfaff) ||
        (code >= 0xfe10 && code <= 0xfe19) || (code >= 0xfe30 && code <= 0xfe6f) ||
        (code >= 0xff00 && code <= 0xff60) || (code >= 0xffe0 && code <= 0xffe6) ||
        (code >= 0x16fe0 && code <= 0x1b2ff) || (code >= 0x1d300 && code <= 0x1d37f) ||
        (code >= 0x1f000 && code <= 0x1faff) || (code >= 0x20000 && code <= 0x3fffd))
        return 2;
    return code < 0x2e80 && is_wide_sign(code) ? 2 : 1;
}

size_t mw_utf8_columns(mw_slice text)
{
    size_t columns = 0;
    for (size_t i = 0; i < text.len;) {
        uint32_t code;
        size_t len = mw_utf8_next(mw_slice_from(text, i), &code);
        columns += len ? columns_of(code) : 1;
        i += len ? len : 1;
    }
    return columns;
}
