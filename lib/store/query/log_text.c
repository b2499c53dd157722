/* Text search in log bodies. See log_text.h. Most records do not hold the needle at all, which
 * their raw bytes tell at once.
 */
#include "lib/store/query/log_text.h"
#include "lib/store/format/body_walk.h"

/* ---- one text -------------------------------------------------------------------------------- */

static unsigned char fold(char c)
{
    unsigned char byte = (unsigned char)c;
    return byte >= 'A' && byte <= 'Z' ? (unsigned char)(byte + ('a' - 'A')) : byte;
}

static bool starts_with(const char *text, mw_slice needle)
{
    for (size_t i = 0; i < needle.len; i++)
        if (fold(text[i]) != fold(needle.data[i]))
            return false;
    return true;
}

bool mw_text_contains(mw_slice text, mw_slice needle)
{
    if (needle.len == 0)
        return true;
    unsigned char first = fold(needle.data[0]);
    for (size_t at = 0; at + needle.len <= text.len; at++)
        if (fold(text.data[at]) == first && starts_with(text.data + at, needle))
            return true;
    return false;
}

/* ---- a record -------------------------------------------------------------------------------- */

static bool value_contains(mw_slice value, mw_slice needle)
{
    mw_body_walk walk;
    mw_slice text;
    mw_body_walk_begin(&walk, value);
    while (mw_body_walk_next(&walk, &text))
        if (mw_text_contains(text, needle))
            return true;
    return false;
}

bool mw_log_body_contains(mw_slice record, mw_slice needle)
{
    mw_slice value;

    if (needle.len == 0)
        return true;
    if (!mw_text_contains(record, needle))
        return false;
    while (mw_record_body(&record, &value))
        if (value_contains(value, needle))
            return true;
    return false;
}
