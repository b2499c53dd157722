/* JSON that is text already: members cut out of objects from our own tables, without a tree. */
#include "server/api/api_int.h"

/* Length of the string literal at `at` (a quote), both quotes counted; 0 when it never ends. */
static size_t string_length(mw_slice text, size_t at)
{
    for (size_t i = at + 1; i < text.len; i++) {
        if (text.data[i] == '\\')
            i++;
        else if (text.data[i] == '"')
            return i + 1 - at;
    }
    return 0;
}

static size_t skip_blanks(mw_slice text, size_t at)
{
    while (at < text.len && memchr(" \t\r\n", text.data[at], 4))
        at++;
    return at;
}

/* End of the value at `at`: a comma or bracket of its own level. Nesting is counted, not walked
 * into. */
static size_t value_end(mw_slice text, size_t at)
{
    size_t depth = 0;
    while (at < text.len) {
        char c = text.data[at];
        if (c == '"') {
            size_t len = string_length(text, at);
            if (!len)
                return text.len;
            at += len;
            continue;
        }
        if (depth == 0 && (c == ',' || c == '}' || c == ']'))
            return at;
        if (c == '{' || c == '[')
            depth++;
        else if (c == '}' || c == ']')
            depth--;
        at++;
    }
    return at;
}

mw_slice mw_api_json_member(mw_slice object, mw_slice name)
{
    size_t at = skip_blanks(object, 0);
    if (at == object.len || object.data[at] != '{')
        return MW_SLICE_NONE;
    at = skip_blanks(object, at + 1);
    while (at < object.len && object.data[at] == '"') {
        size_t len = string_length(object, at);
        if (len < 2)
            return MW_SLICE_NONE;
        mw_slice key = {object.data + at + 1, len - 2};
        at = skip_blanks(object, at + len);
        if (at == object.len || object.data[at] != ':')
            return MW_SLICE_NONE;
        size_t start = skip_blanks(object, at + 1);
        size_t end = value_end(object, start);
        if (end == object.len)
            return MW_SLICE_NONE;
        if (mw_slice_equal(key, name))
            return mw_slice_trim(mw_slice_first(mw_slice_from(object, start), end - start));
        at = skip_blanks(object, end + 1);
    }
    return MW_SLICE_NONE;
}

void mw_api_raw(mw_json *json, const char *key, mw_slice text, const char *otherwise)
{
    mw_json_key(json, mw_slice_of(key));
    mw_json_raw(json, text.len ? text : mw_slice_of(otherwise));
}
