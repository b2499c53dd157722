/* Slices: comparison, cutting, whole-text integers. Pure. */
#include "lib/base/slice.h"

mw_slice mw_slice_of(const char *c_string)
{
    return c_string ? (mw_slice){c_string, strlen(c_string)} : MW_SLICE_NONE;
}

mw_slice mw_slice_bytes(const void *data, size_t len)
{
    return (mw_slice){data, len};
}

bool mw_slice_equal(mw_slice a, mw_slice b)
{
    return a.len == b.len && (a.len == 0 || memcmp(a.data, b.data, a.len) == 0);
}

static char lower(char c)
{
    return c >= 'A' && c <= 'Z' ? (char)(c + ('a' - 'A')) : c;
}

bool mw_slice_equal_nocase(mw_slice a, mw_slice b)
{
    if (a.len != b.len)
        return false;
    for (size_t i = 0; i < a.len; i++)
        if (lower(a.data[i]) != lower(b.data[i]))
            return false;
    return true;
}

bool mw_slice_starts(mw_slice text, mw_slice prefix)
{
    return text.len >= prefix.len && mw_slice_equal(mw_slice_first(text, prefix.len), prefix);
}

bool mw_slice_ends(mw_slice text, mw_slice suffix)
{
    return text.len >= suffix.len &&
           mw_slice_equal(mw_slice_from(text, text.len - suffix.len), suffix);
}

int mw_slice_compare(mw_slice a, mw_slice b)
{
    size_t shorter = a.len < b.len ? a.len : b.len;
    int order = shorter ? memcmp(a.data, b.data, shorter) : 0;
    if (order != 0)
        return order < 0 ? -1 : 1;
    return (a.len > b.len) - (a.len < b.len);
}

mw_slice mw_slice_from(mw_slice text, size_t offset)
{
    if (offset >= text.len)
        return (mw_slice){text.data ? text.data + text.len : NULL, 0};
    return (mw_slice){text.data + offset, text.len - offset};
}

mw_slice mw_slice_first(mw_slice text, size_t len)
{
    return (mw_slice){text.data, len < text.len ? len : text.len};
}

mw_slice mw_slice_trim(mw_slice text)
{
    while (text.len && (text.data[0] == ' ' || text.data[0] == '\t'))
        text = mw_slice_from(text, 1);
    while (text.len && (text.data[text.len - 1] == ' ' || text.data[text.len - 1] == '\t'))
        text.len--;
    return text;
}

size_t mw_slice_find_byte(mw_slice text, char byte)
{
    const char *at = text.len ? memchr(text.data, byte, text.len) : NULL;
    return at ? (size_t)(at - text.data) : text.len;
}

bool mw_slice_contains(mw_slice text, mw_slice needle)
{
    if (needle.len == 0)
        return true;
    return text.len >= needle.len && memmem(text.data, text.len, needle.data, needle.len) != NULL;
}

bool mw_slice_split(mw_slice *rest, char separator, mw_slice *head)
{
    if (rest->len == 0)
        return false;
    size_t at = mw_slice_find_byte(*rest, separator);
    *head = mw_slice_first(*rest, at);
    *rest = mw_slice_from(*rest, at + 1);
    return true;
}

mw_err mw_slice_u64(mw_slice text, uint64_t *out)
{
    uint64_t value = 0;
    if (text.len == 0)
        return MW_E_SYNTAX;
    for (size_t i = 0; i < text.len; i++) {
        if (text.data[i] < '0' || text.data[i] > '9')
            return MW_E_SYNTAX;
        if (__builtin_mul_overflow(value, 10u, &value) ||
            __builtin_add_overflow(value, (uint64_t)(text.data[i] - '0'), &value))
            return MW_E_LIMIT;
    }
    *out = value;
    return MW_OK;
}

mw_err mw_slice_i64(mw_slice text, int64_t *out)
{
    bool negative = text.len > 0 && text.data[0] == '-';
    uint64_t magnitude;
    mw_err err = mw_slice_u64(negative ? mw_slice_from(text, 1) : text, &magnitude);
    if (err != MW_OK)
        return err;
    if (magnitude > (uint64_t)INT64_MAX + (negative ? 1u : 0u))
        return MW_E_LIMIT;
    /* Through unsigned arithmetic: INT64_MIN has no positive twin. */
    *out = (int64_t)(negative ? 0 - magnitude : magnitude);
    return MW_OK;
}

bool mw_slice_to_cstr(mw_slice text, char *out, size_t size)
{
    MW_ASSERT(size > 0);
    size_t len = text.len < size - 1 ? text.len : size - 1;
    if (len)
        memcpy(out, text.data, len);
    out[len] = '\0';
    return len == text.len && mw_slice_find_byte(text, '\0') == text.len;
}
