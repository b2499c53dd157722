/* Windows for decisions, kept. See topology_cache.h. */
#include "triage/topology_cache.h"

#include "lib/base/log.h"

#define MINUTE_NS (60 * MW_NS_PER_S)
#define AGE_OF_COST 100
#define AGE_MAX_NS MW_NS_PER_S
/* Made ahead of their time: windows that take so long that an alarm should not wait for them. */
#define WARM_COST_NS (MW_NS_PER_S / 1000)
/* Alarms of a minute come close together; and the present is looked at as long as an alarm may
 * still be linked to the one before it. */
#define WARM_ASKED_NS (10 * MW_NS_PER_S)
#define WARM_LIVE_NS (INT64_C(20) * 60 * MW_NS_PER_S)
/* An alarm of the present is stamped a few minutes ago, or by a clock a little ahead. */
#define LIVE_MINUTES 5
/* The next minute's window is made so long before it begins. */
#define AHEAD_NS (2 * MW_NS_PER_S)
/* The minutes of an alarm at the ends of time stay numbers. */
#define MINUTE_MAX ((int64_t)UINT32_MAX - 1)

void mw_topology_cache_init(mw_topology_cache *cache, mw_store *store, mw_state *state,
                            const mw_clock *clock)
{
    *cache = (mw_topology_cache){.store = store, .state = state, .clock = clock};
    if (pthread_mutex_init(&cache->lock, NULL) != 0)
        mw_bug(__FILE__, __LINE__, "pthread initialisation failed");
}

/* Lock held. */
static void drop(mw_window *window)
{
    if (!window || --window->references)
        return;
    mw_arena_reset(&window->arena);
    mw_free(MW_MEM_QUERY, window);
}

void mw_topology_cache_release(mw_topology_cache *cache, mw_window *window)
{
    pthread_mutex_lock(&cache->lock);
    drop(window);
    pthread_mutex_unlock(&cache->lock);
}

void mw_topology_cache_forget(mw_topology_cache *cache)
{
    pthread_mutex_lock(&cache->lock);
    cache->imports++;
    for (size_t i = 0; i < MW_WINDOWS_MAX; i++) {
        drop(cache->slots[i].window);
        cache->slots[i] = (mw_window_slot){.window = NULL};
    }
    pthread_mutex_unlock(&cache->lock);
}

void mw_topology_cache_fini(mw_topology_cache *cache)
{
    mw_topology_cache_forget(cache);
    pthread_mutex_destroy(&cache->lock);
}

uint32_t mw_window_minute(int64_t time_ns)
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
    return make(store, state, mw_window_minute(time_ns), out);
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

static int64_t limit_of(const mw_window *window)
{
    return window->took_ns < AGE_MAX_NS / AGE_OF_COST ? window->took_ns * AGE_OF_COST : AGE_MAX_NS;
}

static bool is_good(const mw_topology_cache *cache, const mw_window *window, uint64_t seq)
{
    return window->as_of == seq ||
           mw_clock_mono_ns(cache->clock) - window->made_mono_ns < limit_of(window);
}

/* Lock held. The slot of the minute; NULL when there is none. */
static mw_window_slot *slot_of(mw_topology_cache *cache, uint32_t minute)
{
    for (size_t i = 0; i < MW_WINDOWS_MAX; i++)
        if (cache->slots[i].window && cache->slots[i].window->minute == minute)
            return &cache->slots[i];
    return NULL;
}

/* Lock held. Alarms of the present keep its windows warm; those of history do not. */
static void note_asked(mw_topology_cache *cache, mw_window_slot *slot, uint32_t minute)
{
    uint32_t now = mw_window_minute(mw_clock_wall_ns(cache->clock));
    int64_t mono = mw_clock_mono_ns(cache->clock);
    slot->used = ++cache->uses;
    slot->asked_mono_ns = mono;
    if (minute <= now + 1 && now <= minute + LIVE_MINUTES)
        cache->live_until = mono + WARM_LIVE_NS;
}

mw_window *mw_topology_cache_find(mw_topology_cache *cache, int64_t time_ns)
{
    uint64_t seq = 0;
    uint32_t minute = mw_window_minute(time_ns);
    mw_window *found = NULL;
    if (commit_seq(cache->store, &seq) != MW_OK)
        return NULL;
    pthread_mutex_lock(&cache->lock);
    mw_window_slot *slot = slot_of(cache, minute);
    if (slot && is_good(cache, slot->window, seq)) {
        note_asked(cache, slot, minute);
        found = slot->window;
        found->references++;
    }
    pthread_mutex_unlock(&cache->lock);
    return found;
}

/* Lock held. In place of the same minute's, else in a free place, else of the one that was used
 * longest ago. */
static mw_window_slot *put(mw_topology_cache *cache, mw_window *window)
{
    mw_window_slot *slot = slot_of(cache, window->minute);
    for (size_t i = 0; !slot && i < MW_WINDOWS_MAX; i++)
        if (!cache->slots[i].window)
            slot = &cache->slots[i];
    if (!slot) {
        slot = &cache->slots[0];
        for (size_t i = 1; i < MW_WINDOWS_MAX; i++)
            if (cache->slots[i].used < slot->used)
                slot = &cache->slots[i];
    }
    if (!slot->window || slot->window->minute != window->minute)
        slot->asked_mono_ns = INT64_MIN / 2;
    drop(slot->window);
    slot->window = window;
    slot->used = ++cache->uses;
    window->references++;
    return slot;
}

/* One reference is the caller's. */
static mw_err make_one(mw_topology_cache *cache, uint32_t minute, bool asked, mw_window **out)
{
    int64_t begun = mw_clock_mono_ns(cache->clock);
    mw_window *window = mw_calloc(MW_MEM_QUERY, 1, sizeof *window);
    if (!window)
        return MW_E_NOMEM;
    mw_arena_init(&window->arena, MW_MEM_QUERY, MW_WINDOW_BYTES_MAX);
    window->references = 1;
    pthread_mutex_lock(&cache->lock);
    window->imports = cache->imports;
    pthread_mutex_unlock(&cache->lock);
    mw_err err = make(cache->store, cache->state, minute, window);
    window->made_mono_ns = mw_clock_mono_ns(cache->clock);
    window->took_ns = window->made_mono_ns - begun;
    pthread_mutex_lock(&cache->lock);
    if (err == MW_OK && window->imports == cache->imports) {
        mw_window_slot *slot = put(cache, window);
        if (asked)
            note_asked(cache, slot, minute);
    }
    if (err != MW_OK)
        drop(window);
    pthread_mutex_unlock(&cache->lock);
    *out = err == MW_OK ? window : NULL;
    return err;
}

mw_err mw_topology_cache_get(mw_topology_cache *cache, int64_t time_ns, mw_window **out)
{
    *out = mw_topology_cache_find(cache, time_ns);
    return *out ? MW_OK : make_one(cache, mw_window_minute(time_ns), true, out);
}

mw_err mw_windows_hold(mw_topology_cache *cache, mw_windows_held *held, int64_t time_ns,
                       mw_window **out)
{
    uint32_t minute = mw_window_minute(time_ns);
    *out = NULL;
    for (size_t i = 0; i < held->count && !*out; i++)
        if (held->items[i]->minute == minute)
            *out = held->items[i];
    if (*out || held->count == MW_WINDOWS_HELD_MAX)
        return MW_OK;
    mw_err err = mw_topology_cache_get(cache, time_ns, out);
    if (err == MW_OK)
        held->items[held->count++] = *out;
    return err;
}

void mw_windows_release(mw_topology_cache *cache, mw_windows_held *held)
{
    for (size_t i = 0; i < held->count; i++)
        mw_topology_cache_release(cache, held->items[i]);
    held->count = 0;
}

/* ---- ahead of their time --------------------------------------------------------------------- */

/* Lock held. When the window should be made again; INT64_MAX: nobody needs it. A quarter of its
 * time is left then for whoever makes it. */
static int64_t due_of(const mw_topology_cache *cache, const mw_window_slot *slot, int64_t mono,
                      uint32_t now)
{
    const mw_window *window = slot->window;
    bool live = mono < cache->live_until && window && window->minute == now;
    if (!window || window->took_ns < WARM_COST_NS ||
        (!live && mono - slot->asked_mono_ns > WARM_ASKED_NS))
        return INT64_MAX;
    return window->made_mono_ns + limit_of(window) / 4 * 3;
}

/* Lock held. The minute whose window is due first; the next one's when there is none yet and one of
 * this minute cost much. */
static int64_t first_due(const mw_topology_cache *cache, int64_t mono, uint32_t *minute)
{
    int64_t wall = mw_clock_wall_ns(cache->clock), first = INT64_MAX;
    uint32_t now = mw_window_minute(wall), next = mw_window_minute(wall + AHEAD_NS);
    bool costly = false, ahead = false;
    for (size_t i = 0; i < MW_WINDOWS_MAX; i++) {
        const mw_window_slot *slot = &cache->slots[i];
        int64_t due = due_of(cache, slot, mono, now);
        if (due < first) {
            first = due;
            *minute = slot->window->minute;
        }
        costly |= slot->window && slot->window->took_ns >= WARM_COST_NS &&
                  slot->window->minute + LIVE_MINUTES >= now;
        ahead |= slot->window && slot->window->minute == next;
    }
    if (mono < cache->live_until && costly && !ahead) {
        *minute = next;
        return mono;
    }
    return first;
}

int64_t mw_topology_cache_warm(mw_topology_cache *cache)
{
    uint64_t seq = 0;
    uint32_t minute = 0;
    mw_window *window = NULL;
    int64_t mono = mw_clock_mono_ns(cache->clock);
    bool known = commit_seq(cache->store, &seq) == MW_OK;
    pthread_mutex_lock(&cache->lock);
    int64_t due = first_due(cache, mono, &minute);
    mw_window_slot *slot = slot_of(cache, minute);
    if (known && due <= mono && slot && slot->window->as_of == seq) {
        slot->window->made_mono_ns = mono; /* nothing came: as good as made now */
        due = mono + limit_of(slot->window) / 4 * 3;
    }
    pthread_mutex_unlock(&cache->lock);
    if (!known || due == INT64_MAX || due - mono > MW_NS_PER_S)
        return MW_NS_PER_S;
    if (due > mono)
        return due - mono;
    if (make_one(cache, minute, false, &window) != MW_OK)
        return MW_NS_PER_S;
    mw_topology_cache_release(cache, window);
    return 0;
}
