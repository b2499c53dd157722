/* The list of allowed web origins. See origin.h. No state; any thread. */
#include "lib/access/origin.h"

#define FIELD "allowed_origins"
#define HINT_EXAMPLE "for example https://shop.example or http://localhost:3000"

static bool is_letter_or_digit(char c)
{
    char lower = (char)(c | 0x20);
    return (c >= '0' && c <= '9') || (lower >= 'a' && lower <= 'z');
}

/* Splits "scheme://rest". */
static bool split_scheme(mw_slice origin, mw_slice *scheme, mw_slice *rest)
{
    size_t colon = mw_slice_find_byte(origin, ':');
    *scheme = mw_slice_first(origin, colon);
    *rest = mw_slice_from(origin, colon);
    if (colon == 0 || !mw_slice_starts(*rest, MW_SLICE("://")))
        return false;
    *rest = mw_slice_from(*rest, 3);
    return true;
}

/* Letters, digits and what names, addresses and ports are made of: a slash, a blank or a "*" is a
 * mistake of the person who wrote it. */
static bool is_host_and_port(mw_slice text)
{
    static const mw_slice others = MW_SLICE_INIT("-._:[]");
    for (size_t i = 0; i < text.len; i++)
        if (!is_letter_or_digit(text.data[i]) &&
            mw_slice_find_byte(others, text.data[i]) == others.len)
            return false;
    return text.len > 0 && text.data[0] != ':';
}

static bool has_default_port(mw_slice scheme, mw_slice rest)
{
    return (mw_slice_equal_nocase(scheme, MW_SLICE("http")) &&
            mw_slice_ends(rest, MW_SLICE(":80"))) ||
           (mw_slice_equal_nocase(scheme, MW_SLICE("https")) &&
            mw_slice_ends(rest, MW_SLICE(":443")));
}

static mw_err check_one(mw_slice origin, mw_detail *detail)
{
    mw_slice scheme;
    mw_slice rest;
    mw_slice shown = mw_slice_first(origin, 80);
    if (mw_slice_equal(origin, MW_SLICE("*")))
        return mw_detail_set(detail, MW_E_INVALID, FIELD, "list the origins one by one",
                             "* would let every web page that somebody opens on this machine read "
                             "all telemetry and write to it");
    if (mw_slice_equal_nocase(origin, MW_SLICE("null")))
        return mw_detail_set(detail, MW_E_INVALID, FIELD, "serve the page over http or https",
                             "null is the origin of every file and sandboxed page");
    if (!split_scheme(origin, &scheme, &rest))
        return mw_detail_set(detail, MW_E_INVALID, FIELD, HINT_EXAMPLE, "%.*s has no scheme",
                             MW_SLICE_FMT(shown));
    if (!is_host_and_port(rest))
        return mw_detail_set(detail, MW_E_INVALID, FIELD, HINT_EXAMPLE,
                             "%.*s is more than scheme, host and port, or has a pattern",
                             MW_SLICE_FMT(shown));
    if (has_default_port(scheme, rest))
        return mw_detail_set(detail, MW_E_INVALID, FIELD, "leave the port out, as browsers do",
                             "%.*s names its scheme's own port", MW_SLICE_FMT(shown));
    return MW_OK;
}

mw_err mw_origins_check(mw_slice list, mw_detail *detail)
{
    mw_slice origin;
    mw_err err = MW_OK;
    while (err == MW_OK && mw_slice_split(&list, ',', &origin)) {
        origin = mw_slice_trim(origin);
        if (origin.len)
            err = check_one(origin, detail);
    }
    return err;
}

bool mw_origins_hold(mw_slice list, mw_slice origin)
{
    mw_slice entry;
    while (origin.len && mw_slice_split(&list, ',', &entry))
        if (mw_slice_equal_nocase(mw_slice_trim(entry), origin))
            return true;
    return false;
}
