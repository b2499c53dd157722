/* lib/access: how often, by key. For what must not be done without end: failed credentials of an
 * address, questions of a token, deliveries to an endpoint.
 *
 * Each key has one number, the time at which it will have paid for all it did (generic cell rate
 * algorithm): a take costs 1 / rate, and is refused when more than `burst` of them are unpaid. A
 * fixed number of keys is remembered, in sets of eight; whoever has paid most makes room, so that
 * many addresses cost each other's memory and never ours. Keys are hashed with a random seed, so
 * that nobody can choose who shares a set. Any thread; one mutex, held for a look at one set.
 */
#ifndef MW_ACCESS_LIMITER_H
#define MW_ACCESS_LIMITER_H

#include "lib/base/clock.h"
#include "lib/base/memory.h"

typedef struct mw_rate {
    int64_t interval_ns; /* what one costs */
    unsigned burst;      /* that may come at once */
} mw_rate;

/* 10 a minute and address (facts: security 3): ten at once, then one in six seconds. */
#define MW_RATE_FAILURES ((mw_rate){6 * MW_NS_PER_S, 10})
/* 60 a second and token, 120 at once (facts: security 3). */
#define MW_RATE_TOKEN ((mw_rate){MW_NS_PER_S / 60, 120})

typedef struct mw_limiter mw_limiter;

/* Aborts without memory (start-up). */
mw_limiter *mw_limiter_new(size_t keys);
void mw_limiter_free(mw_limiter *limiter);
/* True, and counted, when the key may. Else *retry_after_s says when, in whole seconds, at least
 * 1. `now_ns` is monotonic. */
MW_MUST_USE bool mw_limiter_take(mw_limiter *limiter, mw_slice key, mw_rate rate, int64_t now_ns,
                                 unsigned *retry_after_s);
/* The key that stands for a peer: its IPv4 address, or the first 64 bits of an IPv6 one, since a
 * single host has as many of those as it likes. Returns a slice of `out` or of `peer`. */
mw_slice mw_limiter_address(mw_slice peer, uint8_t out[16]);

#endif
