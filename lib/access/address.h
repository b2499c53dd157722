/* lib/access: lists of addresses that may knock (CIDR). Pure; any thread.
 *
 * A list is text, separated by commas: "192.0.2.0/24, 2001:db8::/32, 198.51.100.7". It is read
 * strictly: no leading zeros, no octal or hexadecimal numbers, no zone ids, no bits set behind the
 * prefix. An IPv4 address in IPv6 form (::ffff:a.b.c.d) is the IPv4 address, in the list and of a
 * peer. A prefix of 0 lets everybody in and looks like a limit: it is refused, an empty list says
 * the same.
 */
#ifndef MW_ACCESS_ADDRESS_H
#define MW_ACCESS_ADDRESS_H

#include "lib/base/arena.h"

/* Entries of one list: more is a firewall's work. */
#define MW_ADDRESS_LIST_MAX 64
/* Of its text: as many of the longest entries with a comma and a blank each. */
#define MW_ADDRESS_LIST_TEXT_MAX 4096

typedef struct mw_address {
    uint8_t bytes[16]; /* IPv4: the first four */
    bool v6;
} mw_address;

typedef struct mw_address_range {
    mw_address base;
    unsigned bits; /* of the prefix: 1 to 32, or to 128 */
} mw_address_range;

typedef struct mw_address_list {
    const mw_address_range *ranges;
    size_t count; /* 0 = everybody */
} mw_address_list;

/* One textual address, as in a list or from a socket. MW_E_SYNTAX. */
MW_MUST_USE mw_err mw_address_read(mw_slice text, mw_address *out);
/* "address" or "address/bits". MW_E_SYNTAX, MW_E_INVALID (bits of the host, prefix 0). */
MW_MUST_USE mw_err mw_address_range_parse(mw_slice text, mw_address_range *out);
/* The whole list, ranges in the arena. MW_E_INVALID or MW_E_LIMIT with a detail that names `field`
 * and the entry; MW_E_NOMEM. */
MW_MUST_USE mw_err mw_address_list_parse(mw_slice text, const char *field, mw_arena *arena,
                                         mw_address_list *out, mw_detail *detail);
bool mw_address_in_range(const mw_address *address, const mw_address_range *range);
/* `peer` as net writes it. An empty list holds everybody; text that is no address ("unix") is in
 * no list but the empty one. */
bool mw_address_list_holds(const mw_address_list *list, mw_slice peer);

#endif
