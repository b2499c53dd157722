/* The roll-up of the unmerged tail, and of a window of the whole store. See rollup_tail.h. */
#include <pthread.h>

#include "lib/store/rollup_cache.h"
#include "lib/store/rollup_int.h"
#include "lib/store/rollup_join.h"
#include "lib/store/rollup_tail.h"

#define MEMORY_SHARE 10
#define SPANS_LEAST ((size_t)4096)
/* Beyond this many parts a part is one trace, which must fit as it is. */
#define PARTS_MAX ((uint32_t)1 << 16)

typedef struct taken_segment {
    uint64_t id;
    size_t blocks; /* of spans, from its beginning */
} taken_segment;

struct mw_rollup_tail {
    mw_store *store;
    pthread_mutex_t lock;
    mw_rollup_join join;
    bool begun;              /* join is there */
    bool too_large;          /* until a segment is merged: not kept, computed at a question */
    taken_segment *segments; /* what is in it, in the order of the index */
    size_t segment_count, segment_capacity;
    size_t spans_max;
    mw_rollup_cache cache;
};

static size_t spans_allowed(void)
{
    size_t limit = mw_memory_limit(), fits = limit / MEMORY_SHARE / sizeof(mw_join_node);
    if (limit == 0 || fits > MW_TAIL_SPANS_MAX)
        return MW_TAIL_SPANS_MAX;
    return fits < SPANS_LEAST ? SPANS_LEAST : fits;
}

mw_err mw_rollup_tail_new(mw_store *store, mw_rollup_tail **out)
{
    mw_rollup_tail *tail = mw_calloc(MW_MEM_ROLLUP, 1, sizeof *tail);
    if (!tail)
        return MW_E_NOMEM;
    tail->store = store;
    tail->spans_max = spans_allowed();
    pthread_mutex_init(&tail->lock, NULL);
    *out = tail;
    return MW_OK;
}

static void begin_anew(mw_rollup_tail *tail)
{
    mw_rollup_join_fini(&tail->join);
    tail->begun = tail->too_large = false;
    tail->segment_count = 0;
}

void mw_rollup_tail_free(mw_rollup_tail *tail)
{
    if (!tail)
        return;
    begin_anew(tail);
    mw_rollup_cache_fini(&tail->cache);
    mw_free(MW_MEM_ROLLUP, tail->segments);
    pthread_mutex_destroy(&tail->lock);
    mw_free(MW_MEM_ROLLUP, tail);
}

void mw_rollup_tail_limit(mw_rollup_tail *tail, size_t spans_max)
{
    pthread_mutex_lock(&tail->lock);
    begin_anew(tail);
    tail->spans_max = spans_max;
    pthread_mutex_unlock(&tail->lock);
}

/* ---- in step --------------------------------------------------------------------------------- */

static bool is_tail(const mw_index_block *block)
{
    return !block->segment->footer && mw_block_holds(block, MW_SIGNAL_TRACES);
}

/* The entry of a segment, new or old; NULL without memory. */
static taken_segment *taken_of(mw_rollup_tail *tail, uint64_t id)
{
    for (size_t i = tail->segment_count; i-- > 0;)
        if (tail->segments[i].id == id)
            return &tail->segments[i];
    if (tail->segment_count == tail->segment_capacity) {
        size_t capacity = tail->segment_capacity * 2 + 8;
        taken_segment *segments =
            mw_realloc(MW_MEM_ROLLUP, tail->segments, capacity * sizeof *segments);
        if (!segments)
            return NULL;
        tail->segments = segments;
        tail->segment_capacity = capacity;
    }
    tail->segments[tail->segment_count] = (taken_segment){.id = id};
    return &tail->segments[tail->segment_count++];
}

/* Is a segment that was taken in no longer one of the log's? Both stand in the order of the index. */
static bool has_lost_one(const mw_rollup_tail *tail, mw_store_view *view)
{
    size_t found = 0;
    for (size_t i = 0; i < mw_view_count(view) && found < tail->segment_count; i++) {
        const mw_index_block *block = mw_view_block(view, i);
        if (is_tail(block) && block->segment->header.id == tail->segments[found].id)
            found++;
    }
    return found < tail->segment_count;
}

static mw_err take_block(mw_rollup_tail *tail, mw_store_view *view, const mw_index_block *block,
                         uint64_t *arrival_ns)
{
    mw_hot hot;
    mw_err err = mw_view_hot(view, block, &hot);
    if (err == MW_OK)
        err = mw_rollup_join_block(&tail->join, &hot);
    if (block->header.arrival_ns < *arrival_ns)
        *arrival_ns = block->header.arrival_ns;
    return err;
}

/* Takes in blocks until there are none left or `spans` have come. */
static mw_err take_in(mw_rollup_tail *tail, mw_store_view *view, size_t spans)
{
    const mw_segment *segment = NULL;
    taken_segment *taken = NULL;
    uint64_t arrival_ns = UINT64_MAX;
    size_t seen = 0, came = 0;
    mw_err err = MW_OK;

    for (size_t i = 0; err == MW_OK && i < mw_view_count(view) && came < spans; i++) {
        const mw_index_block *block = mw_view_block(view, i);
        if (!is_tail(block))
            continue;
        if (block->segment != segment) {
            segment = block->segment;
            taken = taken_of(tail, segment->header.id);
            seen = 0;
        }
        if (!taken)
            return MW_E_NOMEM;
        if (seen++ < taken->blocks)
            continue;
        taken->blocks++;
        came += block->header.item_count;
        err = take_block(tail, view, block, &arrival_ns);
    }
    return err == MW_OK && came ? mw_rollup_join_settle(&tail->join, view, arrival_ns) : err;
}

/* Which segments the log has is noted also while it is too large, so that it is seen to shrink. */
static mw_err note_segments(mw_rollup_tail *tail, mw_store_view *view)
{
    for (size_t i = 0; i < mw_view_count(view); i++) {
        const mw_index_block *block = mw_view_block(view, i);
        if (is_tail(block) && !taken_of(tail, block->segment->header.id))
            return MW_E_NOMEM;
    }
    return MW_OK;
}

static mw_err bring_up_to(mw_rollup_tail *tail, mw_store_view *view, size_t spans)
{
    mw_err err = MW_OK;
    if (has_lost_one(tail, view))
        begin_anew(tail);
    if (tail->too_large)
        return MW_OK;
    if (!tail->begun) {
        err = mw_rollup_join_init(&tail->join, tail->store->key_seed, tail->spans_max);
        tail->begun = err == MW_OK;
    }
    if (err == MW_OK)
        err = take_in(tail, view, spans);
    if (err == MW_OK)
        return MW_OK;
    begin_anew(tail);
    if (err != MW_E_LIMIT)
        return err;
    tail->too_large = true;
    return note_segments(tail, view);
}

mw_err mw_rollup_tail_update(mw_rollup_tail *tail)
{
    mw_store_view *view;
    pthread_mutex_lock(&tail->lock);
    mw_err err = mw_store_view_open(tail->store, &view);
    if (err == MW_OK) {
        mw_store_view_tolerate(view);
        err = bring_up_to(tail, view, MW_TAIL_STEP);
        mw_store_view_close(view);
    }
    pthread_mutex_unlock(&tail->lock);
    return err;
}

/* ---- too large to be kept ---------------------------------------------------------------------- */

static mw_err join_tail(mw_rollup_join *join, mw_store_view *view)
{
    uint64_t arrival_ns = UINT64_MAX;
    mw_err err = MW_OK;
    for (size_t i = 0; err == MW_OK && i < mw_view_count(view); i++) {
        const mw_index_block *block = mw_view_block(view, i);
        mw_hot hot;
        if (!is_tail(block))
            continue;
        err = mw_view_hot(view, block, &hot);
        if (err == MW_OK)
            err = mw_rollup_join_block(join, &hot);
        if (block->header.arrival_ns < arrival_ns)
            arrival_ns = block->header.arrival_ns;
    }
    return err == MW_OK ? mw_rollup_join_settle(join, view, arrival_ns) : err;
}

static mw_err add_part(const mw_rollup_tail *tail, mw_store_view *view, uint32_t part,
                       uint32_t parts, mw_rollup *into)
{
    mw_rollup_join join;
    size_t spans_max = parts < PARTS_MAX ? tail->spans_max : SIZE_MAX;
    mw_err err = mw_rollup_join_init(&join, tail->store->key_seed, spans_max);
    join.part = part;
    join.parts = parts;
    if (err == MW_OK)
        err = join_tail(&join, view);
    if (err == MW_OK)
        err = mw_rollup_add(join.rollup, 0, 0, into);
    mw_rollup_join_fini(&join);
    return err;
}

/* The whole tail in parts; *out is the caller's. */
static mw_err compute(const mw_rollup_tail *tail, mw_store_view *view, mw_rollup **out)
{
    uint64_t spans = 0;
    uint32_t parts = 2;
    mw_err err = MW_E_LIMIT;

    for (size_t i = 0; i < mw_view_count(view); i++)
        spans += is_tail(mw_view_block(view, i)) ? mw_view_block(view, i)->header.item_count : 0;
    while (parts < PARTS_MAX && spans / parts > tail->spans_max / 2)
        parts *= 2;
    *out = NULL;
    for (; err == MW_E_LIMIT && parts <= PARTS_MAX; parts *= 2) {
        mw_rollup_free(*out);
        *out = NULL;
        err = mw_rollup_new(out);
        for (uint32_t part = 0; err == MW_OK && part < parts; part++)
            err = add_part(tail, view, part, parts, *out);
    }
    return err;
}

/* ---- windows ----------------------------------------------------------------------------------- */

static mw_err add_tail(mw_rollup_tail *tail, mw_store_view *view, uint64_t since_ns,
                       uint64_t until_ns, mw_rollup *into)
{
    mw_rollup *whole;
    mw_err err = bring_up_to(tail, view, SIZE_MAX);
    if (err != MW_OK)
        return err;
    if (!tail->too_large)
        return mw_rollup_add(tail->join.rollup, since_ns, until_ns, into);
    err = compute(tail, view, &whole);
    if (err == MW_OK)
        err = mw_rollup_add(whole, since_ns, until_ns, into);
    mw_rollup_free(whole);
    return err;
}

mw_err mw_rollup_window(mw_store *store, uint64_t since_ns, uint64_t until_ns, mw_rollup *into,
                        uint64_t *as_of)
{
    mw_rollup_tail *tail = store->tail;
    mw_store_view *view;
    pthread_mutex_lock(&tail->lock);
    /* Opened under the lock: the tail is never ahead of it. */
    mw_err err = mw_store_view_open(store, &view);
    if (err == MW_OK) {
        mw_store_view_tolerate(view);
        *as_of = mw_store_view_seq(view);
        err = add_tail(tail, view, since_ns, until_ns, into);
        if (err == MW_OK)
            err = mw_rollup_cache_add(&tail->cache, view, since_ns, until_ns, into);
        mw_store_view_close(view);
    }
    pthread_mutex_unlock(&tail->lock);
    return err;
}

/* ---- the newest minute ------------------------------------------------------------------------- */

static void newest_of_table(const mw_rollup *rollup, uint32_t limit, uint32_t *minute, bool *found)
{
    for (uint32_t i = 0; i < rollup->cell_count; i++) {
        const mw_rollup_key *key = &rollup->cells[i].key;
        if (key->kind == MW_ROLLUP_CALL || key->minute > limit ||
            (*found && key->minute <= *minute))
            continue;
        *minute = key->minute;
        *found = true;
    }
}

static mw_err newest_of_tail(mw_rollup_tail *tail, mw_store_view *view, uint32_t limit,
                             uint32_t *minute, bool *found)
{
    mw_rollup *whole = NULL;
    mw_err err = bring_up_to(tail, view, SIZE_MAX);
    if (err == MW_OK && tail->too_large)
        err = compute(tail, view, &whole);
    if (err == MW_OK)
        newest_of_table(whole ? whole : tail->join.rollup, limit, minute, found);
    mw_rollup_free(whole);
    return err;
}

mw_err mw_store_newest_minute(mw_store *store, uint64_t limit_ns, uint64_t *minute_ns)
{
    mw_rollup_tail *tail = store->tail;
    mw_store_view *view;
    uint32_t limit = (uint32_t)(limit_ns / MW_MINUTE_NS), minute = 0;
    bool found = false;

    pthread_mutex_lock(&tail->lock);
    mw_err err = mw_store_view_open(store, &view);
    if (err == MW_OK) {
        mw_store_view_tolerate(view);
        err = mw_rollup_cache_newest(&tail->cache, view, limit, &minute, &found);
        if (err == MW_OK)
            err = newest_of_tail(tail, view, limit, &minute, &found);
        mw_store_view_close(view);
    }
    pthread_mutex_unlock(&tail->lock);
    if (err == MW_OK && !found)
        return MW_E_NOT_FOUND;
    *minute_ns = minute * MW_MINUTE_NS;
    return err;
}
