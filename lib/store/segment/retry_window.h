/* The retry window: digests of the requests that were acknowledged lately (DESIGN 4.6).
 *
 * A client that got no answer sends the same bytes again. A request whose digest is in here is
 * acknowledged and counted, and not stored a second time. Digests live in the blocks, so that the
 * window is filled again at start; it reaches back one hour or MW_RETRY_DIGESTS_MAX requests,
 * whichever is less, and less still when memory is short: then a repeat is stored, and its spans
 * are told apart at read. Belongs to the writer's thread (before it starts: recovery).
 *
 *     ring   | digest, arrival | ...   oldest at head, FIFO: arrivals only grow
 *     slots  open addressing over the digest's first bytes: position in the ring + 1, 0 = free
 *
 * Weighed: one entry of a general hash table costs about 100 bytes, this one 32.
 */
#ifndef MW_STORE_RETRY_WINDOW_H
#define MW_STORE_RETRY_WINDOW_H

#include <stdbool.h>
#include <stdint.h>

#include "lib/base/clock.h"

#define MW_RETRY_WINDOW_NS (3600 * MW_NS_PER_S)
/* 64 MiB of window at the most: 580 requests a second for an hour. */
#define MW_RETRY_DIGESTS_MAX ((size_t)1 << 21)

typedef struct mw_retry_entry {
    uint8_t digest[16];
    uint64_t arrival_ns;
} mw_retry_entry;

typedef struct mw_retry_window {
    mw_retry_entry *ring;
    uint32_t *slots;
    size_t capacity; /* of the ring, a power of two; slots are twice as many */
    size_t head, count;
    size_t max; /* MW_RETRY_DIGESTS_MAX; tests make it small */
} mw_retry_window;

void mw_retry_window_init(mw_retry_window *window);
void mw_retry_window_fini(mw_retry_window *window);
/* True when the digest arrived within the window before now_ns. A zero digest never did. */
bool mw_retry_window_has(mw_retry_window *window, const uint8_t digest[16], uint64_t now_ns);
/* Remembers it; a zero digest, one that is held already, or one for which there is no memory is
 * left out. True when it was added. */
bool mw_retry_window_add(mw_retry_window *window, const uint8_t digest[16], uint64_t arrival_ns);
/* Takes back the newest `count` additions: their write failed. */
void mw_retry_window_undo(mw_retry_window *window, size_t count);

#endif
