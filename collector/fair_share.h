/* Who goes first when not all can: shares of recent bytes by service, then by session.
 *
 * While there is room for everybody nothing is asked; each export only leaves its bytes here. Under
 * pressure (the store's queue or memory beyond a named fraction) an export whose flow has used more
 * than its share has to wait, and those that have used less go through. So one runaway agent
 * cannot starve the rest: it is the one that waits, and is refused when its time is up.
 *
 * Two levels. Where several services send, the share is total / services; a service beyond it
 * waits, its light sessions excepted. Where only one service sends, the same rule holds among its
 * sessions.
 * The verdict ends with the pressure, so that nothing is held back while there is room.
 *
 * Each level is a table of a fixed number of cells; a flow's cell is a keyed hash of its names, so
 * that nobody can aim at another's. Flows that meet in one cell share its fate: with 4096 cells one
 * in 4096 for each heavy flow, and only under pressure. A cell is one atomic word: an epoch and
 * bytes, halved with every epoch that has passed. Weighed: a table that grows with the flows (peers
 * choose the names, so it would need a bound and an eviction), a token bucket for each flow (needs
 * rates that nobody knows), two hashes a flow as in a count-min sketch (rarer collisions, twice the
 * work on every export).
 *
 * Pure: bytes, names and time in, verdict out. Any thread; cells are relaxed atomics, lost updates
 * are not possible (compare and swap), and a verdict may be as old as the last few exports.
 */
#ifndef MW_COLLECTOR_FAIR_SHARE_H
#define MW_COLLECTOR_FAIR_SHARE_H

#include <stdatomic.h>

#include "lib/base/clock.h"
#include "lib/base/slice.h"

#define MW_FAIR_SERVICES 256u
#define MW_FAIR_SESSIONS 4096u
/* "Recent": what was sent counts half after this time, a quarter after twice of it. */
#define MW_FAIR_EPOCH_NS (2 * MW_NS_PER_S)
/* A flow with less than this in recent bytes does not make the others' share smaller. */
#define MW_FAIR_ACTIVE_BYTES UINT64_C(1024)

typedef struct mw_fair_share {
    uint64_t seed;
    atomic_uint_fast64_t services[MW_FAIR_SERVICES];
    atomic_uint_fast64_t sessions[MW_FAIR_SESSIONS];
} mw_fair_share;

typedef struct mw_flow {
    uint32_t service, session; /* cells */
} mw_flow;

/* `seed` is random and secret. */
void mw_fair_share_init(mw_fair_share *fair, uint64_t seed);
/* Empty names are a flow of their own. */
mw_flow mw_fair_share_flow(const mw_fair_share *fair, mw_slice service, mw_slice session);
void mw_fair_share_use(mw_fair_share *fair, mw_flow flow, uint64_t bytes, int64_t now_ns);
/* Under pressure: true when others go first. A flow with recent bytes below the floor never waits.
 * Reads all cells (some microseconds). */
bool mw_fair_share_waits(mw_fair_share *fair, mw_flow flow, uint64_t floor_bytes, int64_t now_ns);

#endif
