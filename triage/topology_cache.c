/* Windows for decisions, kept. See topology_cache.h. */
#include "triage/topology_cache.h"

#include "lib/base/log.h"

#define MINUTE_NS (60 * MW_NS_PER_S)
#define AGE_OF_COST 100
#define AGE_MAX_NS MW_NS_PER_S
/* The minutes of an alarm at the ends of time stay numbers. */
#define MINUTE_MAX ((int64_t)UINT32_MAX - 1)

void mw_topology_cache_init(mw_topology_cache *cache, mw_store *store, mw_state *state,
                            const mw_clock *clock)
{
    *cache = (mw_topology_cache){.store = store, .state = state, .clock = clock};
    for (size_t i = 0; i < MW_WINDOWS_MAX; i++)
        mw_arena_init(&cache->windows[i].arena, MW_MEM_QUERY, MW_WINDOW_BYTES_MAX);
}

void mw_topology_cache_forget(mw_topology_cache *cache)
{
    for (size_t i = 0; i < MW_WINDOWS_MAX; i++) {
        cache->windows[i].made = false;
        mw_arena_reset(&cache->windows[i].arena);
    }
}

void mw_topology_cache_fini(mw_topology_cache *cache)
{
    mw_topology_cache_forget(cache);
}

void mw_topology_cache_pin(mw_topology_cache *cache)
{
    cache->pinned_from = cache->uses + 1;
}

static uint32_t minute_of(int64_t time_ns)
{
    int64_t minute = time_ns > 0 ? time_ns / MINUTE_NS : 0;
    return (uint32_t)(minute < MINUTE_MAX ? minute : MINUTE_MAX);
}

/* ---- one window ------------------------------------------------------------------------------ */

static mw_err read_edges(mw_state *state, mw_arena *arena, mw_call_edge **out, size_t *count)
{
    mw_edge_row *rows = NULL;
    mw_state_tx *tx;
    mw_err err = mw_state_read_begin(state, &tx);
    if (err != MW_OK)
        return err;
    err = mw_state_edges(tx, arena, &rows, count);
    mw_state_read_end(tx);
    if (err != MW_OK)
        return err;
    *out = mw_arena_zalloc(arena, *count + 1, sizeof **out);
    if (!*out)
        return MW_E_NOMEM;
    for (size_t i = 0; i < *count; i++)
        (*out)[i] = (mw_call_edge){rows[i].caller, rows[i].callee};
    return MW_OK;
}

static mw_err make(mw_store *store, mw_state *state, uint32_t minute, mw_window *out)
{
    mw_minutes minutes = {.as_of = 0};
    mw_call_edge *edges = NULL;
    size_t edge_count = 0;
    uint32_t before = minute < MW_TOPOLOGY_MINUTES - 1 ? minute : MW_TOPOLOGY_MINUTES - 1;
    mw_arena_reset(&out->arena);
    mw_err err = read_edges(state, &out->arena, &edges, &edge_count);
    if (err != MW_OK)
        return err;
    err = mw_store_minutes(store, (uint64_t)(minute - before) * MINUTE_NS,
                           ((uint64_t)minute + 1) * MINUTE_NS, NULL, &out->arena, &minutes);
    out->read = err == MW_OK;
    if (err != MW_OK)
        MW_LOG(MW_LOG_WARN, "triage", "telemetry of a decision could not be read", MW_KV_ERR(err));
    out->minute = minute;
    out->as_of = minutes.as_of;
    out->left_out = minutes.left_out;
    return mw_topology_build(out->read ? &minutes : NULL, edges, edge_count, minute, &out->arena,
                             &out->topology);
}

mw_err mw_window_make(mw_store *store, mw_state *state, int64_t time_ns, mw_window *out)
{
    return make(store, state, minute_of(time_ns), out);
}

/* ---- the cache ------------------------------------------------------------------------------- */

static mw_err commit_seq(mw_store *store, uint64_t *seq)
{
    mw_store_view *view;
    mw_err err = mw_store_view_open(store, &view);
    if (err != MW_OK)
        return err;
    *seq = mw_store_view_seq(view);
    mw_store_view_close(view);
    return MW_OK;
}

/* The window of the minute, or the one to make it in: a free one, else the one used longest ago
 * that is not pinned. */
static mw_window *find(mw_topology_cache *cache, uint32_t minute)
{
    mw_window *best = NULL;
    for (size_t i = 0; i < MW_WINDOWS_MAX; i++) {
        mw_window *window = &cache->windows[i];
        if (window->made && window->minute == minute)
            return window;
        if (window->made && window->used >= cache->pinned_from)
            continue;
        if (!best || (best->made && (!window->made || window->used < best->used)))
            best = window;
    }
    return best;
}

static bool is_good(const mw_topology_cache *cache, const mw_window *window, uint32_t minute,
                    uint64_t seq)
{
    if (!window->made || window->minute != minute)
        return false;
    if (window->used >= cache->pinned_from || window->as_of == seq)
        return true;
    int64_t limit =
        window->took_ns < AGE_MAX_NS / AGE_OF_COST ? window->took_ns * AGE_OF_COST : AGE_MAX_NS;
    return mw_clock_mono_ns(cache->clock) - window->made_mono_ns < limit;
}

mw_err mw_topology_cache_get(mw_topology_cache *cache, int64_t time_ns, mw_window **out)
{
    uint32_t minute = minute_of(time_ns);
    uint64_t seq = 0;
    mw_window *window = find(cache, minute);
    *out = window;
    if (!window)
        return MW_OK;
    mw_err err = commit_seq(cache->store, &seq);
    if (err != MW_OK)
        return err;
    if (!is_good(cache, window, minute, seq)) {
        int64_t begun = mw_clock_mono_ns(cache->clock);
        window->made = false;
        err = make(cache->store, cache->state, minute, window);
        if (err != MW_OK)
            return err;
        window->made_mono_ns = mw_clock_mono_ns(cache->clock);
        window->took_ns = window->made_mono_ns - begun;
        window->made = true;
    }
    window->used = ++cache->uses;
    return MW_OK;
}
