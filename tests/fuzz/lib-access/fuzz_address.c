/* Address lists against inet_pton and a second comparison, bit by bit. Input: a list, a line
 * feed, a peer. */
#include <arpa/inet.h>
#include <string.h>

#include "lib/access/address.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(bool condition)
{
    if (!condition)
        abort();
}

/* As 16 bytes, IPv4 in its mapped form. */
static bool reference_address(mw_slice text, uint8_t out[16])
{
    char copy[64];
    static const uint8_t prefix[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};
    if (text.len >= sizeof copy || memchr(text.data ? text.data : "", '\0', text.len))
        return false;
    if (text.len)
        memcpy(copy, text.data, text.len);
    copy[text.len] = '\0';
    memcpy(out, prefix, sizeof prefix);
    return inet_pton(AF_INET, copy, out + 12) == 1 || inet_pton(AF_INET6, copy, out) == 1;
}

static bool bit(const uint8_t *bytes, unsigned at)
{
    return bytes[at / 8] >> (7 - at % 8) & 1;
}

/* One entry of a list that was accepted. */
static bool reference_holds(mw_slice entry, const uint8_t peer[16])
{
    uint8_t base[16];
    size_t slash = mw_slice_find_byte(entry, '/');
    mw_slice address = mw_slice_first(entry, slash);
    uint64_t bits = 128;
    check(reference_address(address, base));
    bool four = mw_slice_find_byte(address, ':') == address.len;
    if (slash < entry.len) {
        check(mw_slice_u64(mw_slice_from(entry, slash + 1), &bits) == MW_OK);
        bits += four ? 96 : 0;
    }
    check(bits >= 1 && bits <= 128);
    for (unsigned at = (unsigned)bits; at < 128; at++)
        check(!bit(base, at));
    for (unsigned at = 0; at < bits; at++)
        if (bit(base, at) != bit(peer, at))
            return false;
    /* A short prefix of IPv6 zeros would hold the mapped addresses: those are IPv4. */
    static const uint8_t prefix[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};
    bool base_four = memcmp(base, prefix, 12) == 0, peer_four = memcmp(peer, prefix, 12) == 0;
    return base_four == peer_four;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    mw_slice all = mw_slice_bytes(data, size);
    size_t cut = mw_slice_find_byte(all, '\n');
    mw_slice text = mw_slice_first(all, cut), peer = mw_slice_from(all, cut + 1), entry;
    mw_arena arena;
    mw_address_list list;
    mw_detail detail = {0};
    uint8_t bytes[16];
    mw_address address;
    mw_arena_init(&arena, MW_MEM_BASE, 0);
    mw_err err = mw_address_list_parse(text, "allow", &arena, &list, &detail);
    bool known = reference_address(peer, bytes);
    check((mw_address_read(peer, &address) == MW_OK) == known);
    if (err == MW_OK && list.count > 0) {
        bool expected = false;
        mw_slice rest = mw_slice_trim(text);
        while (mw_slice_split(&rest, ',', &entry))
            expected |= reference_holds(mw_slice_trim(entry), bytes) && known;
        check(mw_address_list_holds(&list, peer) == expected);
    } else if (err != MW_OK) {
        check((err == MW_E_INVALID || err == MW_E_LIMIT) && detail.message[0]);
    }
    mw_arena_reset(&arena);
    return 0;
}
