/* Windows of telemetry for decisions: the store's minutes and the imported calls, made into a
 * topology once and kept for the alarms that follow.
 *
 * Keyed by the alarm's minute. A window is as of a commit sequence; when the store has gone on, it
 * is made again as soon as it is older than a hundred times what making it took, at most a second
 * (DESIGN 5), so that on a small store the telemetry that was just committed is seen. While alarms
 * come, windows that take long to make are made ahead of their time (mw_topology_cache_warm): then
 * an alarm finds one and need not wait for it.
 *
 * Windows are made on any thread without the lock, then put into their place; who holds a
 * reference keeps an old one. What they hold grows while they are asked (mw_topology_standing),
 * so only the state writer's thread asks them.
 */
#ifndef MW_TRIAGE_TOPOLOGY_CACHE_H
#define MW_TRIAGE_TOPOLOGY_CACHE_H

#include <pthread.h>

#include "lib/base/clock.h"
#include "lib/state/incidents.h"
#include "triage/decision/topology.h"

/* Alarms come in order of time but for stragglers and bursts of history. */
#define MW_WINDOWS_MAX 16
/* Cells of 40 bytes: half a million, edges of a thousand services in thirty minutes. */
#define MW_WINDOW_BYTES_MAX ((size_t)32 << 20)

typedef struct mw_window {
    uint32_t minute;
    bool read; /* false: telemetry could not be read, imported calls alone */
    mw_topology *topology;
    uint64_t as_of, left_out;
    int64_t made_mono_ns, took_ns;
    uint64_t imports;    /* the cache's count when it was made */
    unsigned references; /* under the cache's lock */
    mw_arena arena;
} mw_window;

typedef struct mw_window_slot {
    mw_window *window;     /* NULL: free */
    uint64_t used;         /* when last, by the cache's count */
    int64_t asked_mono_ns; /* for an alarm */
} mw_window_slot;

typedef struct mw_topology_cache {
    mw_store *store;
    mw_state *state;
    const mw_clock *clock;
    pthread_mutex_t lock; /* of all below */
    mw_window_slot slots[MW_WINDOWS_MAX];
    uint64_t uses;
    uint64_t imports;   /* how often imported calls changed */
    int64_t live_until; /* monotonic: alarms of the present came lately */
} mw_topology_cache;

void mw_topology_cache_init(mw_topology_cache *cache, mw_store *store, mw_state *state,
                            const mw_clock *clock);
void mw_topology_cache_fini(mw_topology_cache *cache);
/* The window of an alarm's minute, if there is one that is new enough; else NULL, and nothing
 * waits. Any thread. */
mw_window *mw_topology_cache_find(mw_topology_cache *cache, int64_t time_ns);
/* The same, made when there is none. Telemetry that cannot be read is no error. MW_E_NOMEM,
 * MW_E_IO (of state). A thread that may wait. */
MW_MUST_USE mw_err mw_topology_cache_get(mw_topology_cache *cache, int64_t time_ns,
                                         mw_window **out);
/* For each that was found or got; NULL does nothing. */
void mw_topology_cache_release(mw_topology_cache *cache, mw_window *window);
/* Windows that a batch of alarms sees, of each minute one; so many may be held while the cache has
 * others in their places. */
#define MW_WINDOWS_HELD_MAX 8
typedef struct mw_windows_held {
    mw_window *items[MW_WINDOWS_HELD_MAX];
    size_t count;
} mw_windows_held;
/* As _get, or the one that is held already; NULL when there is no room for another minute. */
MW_MUST_USE mw_err mw_windows_hold(mw_topology_cache *cache, mw_windows_held *held, int64_t time_ns,
                                   mw_window **out);
void mw_windows_release(mw_topology_cache *cache, mw_windows_held *held);
/* Makes one window again that alarms need soon; when to come again, at most a second: 0 = at once.
 * A thread that may wait. */
int64_t mw_topology_cache_warm(mw_topology_cache *cache);
/* Imported calls have changed: all is made again. Any thread. */
void mw_topology_cache_forget(mw_topology_cache *cache);

/* Of an alarm; windows are of a minute each. */
uint32_t mw_window_minute(int64_t time_ns);
/* One window by itself, in its arena. Errors as above. Any thread. */
MW_MUST_USE mw_err mw_window_make(mw_store *store, mw_state *state, int64_t time_ns,
                                  mw_window *out);

#endif
