/* Windows of telemetry for decisions: the store's minutes and the imported calls, made into a
 * topology once and kept for the alarms that follow.
 *
 * Keyed by the alarm's minute. A window is as of a commit sequence; when the store has gone on, it
 * is made again as soon as it is older than a hundred times what making it took, at most a second
 * (DESIGN 5): making windows costs one hundredth of the time at most, and on a small store the
 * telemetry that was just committed is seen. Owned by the decision loop; a window may be used on
 * another thread while the loop waits for it.
 */
#ifndef MW_TRIAGE_TOPOLOGY_CACHE_H
#define MW_TRIAGE_TOPOLOGY_CACHE_H

#include "lib/base/clock.h"
#include "lib/state/incidents.h"
#include "triage/decision/topology.h"

/* Alarms come in order of time but for stragglers and bursts of history. */
#define MW_WINDOWS_MAX 16
/* Cells of 40 bytes: half a million, edges of a thousand services in thirty minutes. */
#define MW_WINDOW_BYTES_MAX ((size_t)32 << 20)

typedef struct mw_window {
    uint32_t minute;
    bool made, read; /* read false: telemetry could not be read, imported calls alone */
    mw_topology *topology;
    uint64_t as_of, left_out;
    int64_t made_mono_ns, took_ns;
    uint64_t used; /* when last, by the cache's count */
    mw_arena arena;
} mw_window;

typedef struct mw_topology_cache {
    mw_store *store;
    mw_state *state;
    const mw_clock *clock;
    mw_window windows[MW_WINDOWS_MAX];
    uint64_t uses;
    uint64_t pinned_from; /* windows used since are not given up */
} mw_topology_cache;

void mw_topology_cache_init(mw_topology_cache *cache, mw_store *store, mw_state *state,
                            const mw_clock *clock);
void mw_topology_cache_fini(mw_topology_cache *cache);
/* What is got from here on stays until the next call. */
void mw_topology_cache_pin(mw_topology_cache *cache);
/* The window of an alarm's minute; NULL when all are pinned. Telemetry that cannot be read is no
 * error. MW_E_NOMEM, MW_E_IO (of state). */
MW_MUST_USE mw_err mw_topology_cache_get(mw_topology_cache *cache, int64_t time_ns,
                                         mw_window **out);
/* Imported calls have changed: all is made again. The cache's owner. */
void mw_topology_cache_forget(mw_topology_cache *cache);

/* One window by itself, in the arena. Errors as above. Any thread. */
MW_MUST_USE mw_err mw_window_make(mw_store *store, mw_state *state, int64_t time_ns,
                                  mw_window *out);

#endif
