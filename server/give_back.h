/* What malloc keeps for the next rush goes back to the system when the rush is over.
 *
 * Request bodies and blocks come and go on many threads, and each thread's heap keeps its pages for
 * the next ones: right under load (lib/base/memory.c), and tens of MiB that nobody uses afterwards.
 * So the main thread looks now and then, and when little arrives has those pages returned. That
 * walks every heap's free blocks under its lock, for milliseconds: hence not under load, and not
 * again before there is more to give.
 */
#ifndef MW_SERVER_GIVE_BACK_H
#define MW_SERVER_GIVE_BACK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Less than this between two looks is quiet: 200 KiB a second at a look every five. */
#define MW_GIVE_BACK_QUIET_BYTES ((uint64_t)1 << 20)
/* Less than this is not worth the walk. */
#define MW_GIVE_BACK_WORTH_BYTES ((size_t)4 << 20)

typedef struct mw_give_back {
    uint64_t received; /* bytes from the network at the last look */
    size_t idle_bytes; /* what stayed, resident and unused, after the last time */
} mw_give_back;

/* True when it is time: little came since the last look, and `idle_bytes` (resident, but not in use
 * by anybody) is worth it. Pure. */
bool mw_give_back_due(mw_give_back *state, uint64_t received, size_t idle_bytes);
/* Looks, and gives back when that is due. Main thread. */
void mw_give_back_look(mw_give_back *state, uint64_t received);

#endif
