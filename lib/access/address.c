/* Address lists. See address.h. No state; any thread. */
#include <arpa/inet.h>
#include <string.h>

#include "lib/access/address.h"

/* Longest textual IPv6 address and NUL. */
#define TEXT_SIZE 46
/* Of an entry in a message. */
#define SHOWN 60

static bool only_holds(mw_slice text, const char *characters)
{
    mw_slice allowed = mw_slice_of(characters);
    for (size_t i = 0; i < text.len; i++)
        if (mw_slice_find_byte(allowed, text.data[i]) == allowed.len)
            return false;
    return text.len > 0;
}

static bool is_mapped(const uint8_t bytes[16])
{
    static const uint8_t prefix[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};
    return memcmp(bytes, prefix, sizeof prefix) == 0;
}

/* inet_pton takes four decimal numbers without leading zeros, and eight groups with at most one
 * "::"; zone ids and brackets it takes not. */
mw_err mw_address_read(mw_slice text, mw_address *out)
{
    char copy[TEXT_SIZE];
    memset(out, 0, sizeof *out);
    if (!only_holds(text, "0123456789abcdefABCDEF:.") || !mw_slice_to_cstr(text, copy, sizeof copy))
        return MW_E_SYNTAX;
    out->v6 = mw_slice_find_byte(text, ':') < text.len;
    if (inet_pton(out->v6 ? AF_INET6 : AF_INET, copy, out->bytes) != 1)
        return MW_E_SYNTAX;
    if (out->v6 && is_mapped(out->bytes)) {
        memmove(out->bytes, out->bytes + 12, 4);
        memset(out->bytes + 4, 0, 12);
        out->v6 = false;
    }
    return MW_OK;
}

static bool same_prefix(const uint8_t *a, const uint8_t *b, unsigned bits)
{
    unsigned whole = bits / 8, rest = bits % 8;
    if (memcmp(a, b, whole) != 0)
        return false;
    return rest == 0 || (a[whole] ^ b[whole]) >> (8 - rest) == 0;
}

static bool host_bits_are_zero(const mw_address_range *range)
{
    unsigned width = range->base.v6 ? 128 : 32;
    for (unsigned bit = range->bits; bit < width; bit++)
        if (range->base.bytes[bit / 8] >> (7 - bit % 8) & 1)
            return false;
    return true;
}

/* A prefix length: one to three digits, no leading zero but "0" itself. */
static bool read_bits(mw_slice text, uint64_t *bits)
{
    return text.len >= 1 && text.len <= 3 && (text.len == 1 || text.data[0] != '0') &&
           mw_slice_u64(text, bits) == MW_OK;
}

mw_err mw_address_range_parse(mw_slice text, mw_address_range *out)
{
    size_t slash = mw_slice_find_byte(text, '/');
    mw_slice address = mw_slice_first(text, slash);
    *out = (mw_address_range){.bits = 0};
    if (mw_address_read(address, &out->base) != MW_OK)
        return MW_E_SYNTAX;
    uint64_t width = out->base.v6 ? 128 : 32, bits = width;
    if (slash < text.len && !read_bits(mw_slice_from(text, slash + 1), &bits))
        return MW_E_SYNTAX;
    /* "::ffff:192.0.2.0/120" is 192.0.2.0/24. */
    bool folded = !out->base.v6 && mw_slice_find_byte(address, ':') < address.len;
    if (folded && slash < text.len) {
        if (bits > 128)
            return MW_E_SYNTAX;
        if (bits <= 96)
            return MW_E_INVALID;
        bits -= 96;
    }
    if (bits > width)
        return MW_E_SYNTAX;
    out->bits = (unsigned)bits;
    return bits > 0 && host_bits_are_zero(out) ? MW_OK : MW_E_INVALID;
}

static mw_err refuse(mw_err err, mw_slice entry, const char *field, mw_detail *detail)
{
    mw_slice shown = mw_slice_first(entry, SHOWN);
    if (err == MW_E_INVALID)
        return mw_detail_set(detail, MW_E_INVALID, field,
                             "for one network 192.0.2.0/24; for everybody leave the list empty",
                             "%.*s has bits behind its prefix, or a prefix of 0",
                             MW_SLICE_FMT(shown));
    return mw_detail_set(detail, MW_E_INVALID, field,
                         "for example 192.0.2.0/24, 198.51.100.7, 2001:db8::/32",
                         "%.*s is neither an address nor address/bits", MW_SLICE_FMT(shown));
}

static size_t count_entries(mw_slice text)
{
    size_t count = 1;
    for (size_t i = 0; i < text.len; i++)
        count += text.data[i] == ',';
    return count;
}

mw_err mw_address_list_parse(mw_slice text, const char *field, mw_arena *arena,
                             mw_address_list *out, mw_detail *detail)
{
    mw_slice rest = text, entry;
    *out = (mw_address_list){.count = 0};
    text = rest = mw_slice_trim(text);
    if (!text.len)
        return MW_OK;
    if (text.data[text.len - 1] == ',')
        return refuse(MW_E_SYNTAX, MW_SLICE("what follows the last comma"), field, detail);
    size_t count = count_entries(text), used = 0;
    if (count > MW_ADDRESS_LIST_MAX || text.len > MW_ADDRESS_LIST_TEXT_MAX)
        return mw_detail_set(detail, MW_E_LIMIT, field, "name networks instead of addresses",
                             "more than %d entries", MW_ADDRESS_LIST_MAX);
    mw_address_range *ranges = mw_arena_zalloc(arena, count, sizeof *ranges);
    if (!ranges)
        return MW_E_NOMEM;
    while (mw_slice_split(&rest, ',', &entry)) {
        entry = mw_slice_trim(entry);
        MW_ASSERT(used < count);
        mw_err err = mw_address_range_parse(entry, &ranges[used++]);
        if (err != MW_OK)
            return refuse(err, entry, field, detail);
    }
    *out = (mw_address_list){ranges, used};
    return MW_OK;
}

bool mw_address_in_range(const mw_address *address, const mw_address_range *range)
{
    return address->v6 == range->base.v6 &&
           same_prefix(address->bytes, range->base.bytes, range->bits);
}

bool mw_address_list_holds(const mw_address_list *list, mw_slice peer)
{
    mw_address address;
    if (list->count == 0)
        return true;
    if (mw_address_read(peer, &address) != MW_OK)
        return false;
    for (size_t i = 0; i < list->count; i++)
        if (mw_address_in_range(&address, &list->ranges[i]))
            return true;
    return false;
}
