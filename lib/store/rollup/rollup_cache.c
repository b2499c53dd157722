/* Roll-ups of merged segments. See rollup_cache.h. */
#include "lib/store/rollup/rollup_cache.h"
#include "lib/base/log.h"
#include "lib/store/rollup/rollup_int.h"
#include "lib/store/segment/segment_footer.h"
#include "lib/store/segment/tail_share.h"

#define MEMORY_SHARE 32

/* ---- under the lock -------------------------------------------------------------------------- */

static void drop_bytes(mw_rollup_blob *bytes)
{
    if (bytes && --bytes->users == 0)
        mw_free(MW_MEM_ROLLUP, bytes);
}

static void forget(mw_rollup_cache *cache, mw_rollup_cached *item)
{
    if (!item->bytes)
        return;
    mw_share_note(MW_SHARE_CACHES, item->bytes->len, 0);
    cache->bytes -= item->bytes->len;
    drop_bytes(item->bytes);
    item->bytes = NULL;
}

void mw_rollup_cache_init(mw_rollup_cache *cache)
{
    memset(cache, 0, sizeof *cache);
    pthread_mutex_init(&cache->lock, NULL);
}

void mw_rollup_cache_fini(mw_rollup_cache *cache)
{
    for (size_t i = 0; i < cache->count; i++)
        forget(cache, &cache->items[i]);
    mw_free(MW_MEM_ROLLUP, cache->items);
    pthread_mutex_destroy(&cache->lock);
}

static size_t bytes_max(void)
{
    size_t share = mw_memory_ceiling() / MEMORY_SHARE;
    return share < MW_ROLLUP_CACHE_MAX ? share : MW_ROLLUP_CACHE_MAX;
}

static size_t place_of(const mw_rollup_cache *cache, uint64_t segment)
{
    size_t low = 0, high = cache->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (cache->items[middle].segment < segment)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static mw_rollup_cached *find(mw_rollup_cache *cache, uint64_t segment)
{
    size_t at = place_of(cache, segment);
    return at < cache->count && cache->items[at].segment == segment ? &cache->items[at] : NULL;
}

/* The segment's place in the cache, new or old; NULL without memory. */
static mw_rollup_cached *item_of(mw_rollup_cache *cache, uint64_t segment)
{
    size_t at = place_of(cache, segment);
    if (at < cache->count && cache->items[at].segment == segment)
        return &cache->items[at];
    if (cache->count == cache->capacity) {
        size_t capacity = cache->capacity + cache->capacity / 2 + 16;
        mw_rollup_cached *items = mw_realloc(MW_MEM_ROLLUP, cache->items, capacity * sizeof *items);
        if (!items)
            return NULL;
        cache->items = items;
        cache->capacity = capacity;
    }
    memmove(&cache->items[at + 1], &cache->items[at], (cache->count - at) * sizeof *cache->items);
    cache->items[at] = (mw_rollup_cached){.segment = segment};
    cache->count++;
    return &cache->items[at];
}

/* What was used longest ago; NULL when nothing is held. */
static mw_rollup_cached *oldest_of(const mw_rollup_cache *cache)
{
    mw_rollup_cached *oldest = NULL;
    for (size_t i = 0; i < cache->count; i++) {
        mw_rollup_cached *item = &cache->items[i];
        if (item->bytes && (!oldest || item->used < oldest->used))
            oldest = item;
    }
    return oldest;
}

/* Room for `len` more bytes, but for a single larger piece. */
static void make_room(mw_rollup_cache *cache, size_t len)
{
    size_t most = bytes_max();
    while (cache->bytes + len > most ||
           !mw_share_admits(MW_SHARE_CACHES, cache->bytes + len, len, most)) {
        mw_rollup_cached *oldest = oldest_of(cache);
        if (!oldest)
            return;
        forget(cache, oldest);
    }
}

/* A copy of the item, whose bytes are used until they are released. */
static void use(mw_rollup_cache *cache, mw_rollup_cached *item, mw_rollup_cached *out)
{
    item->used = item->seen = ++cache->uses;
    if (item->bytes)
        item->bytes->users++;
    *out = *item;
}

/* Segments that are in no view any more, replaced or retired: not seen since `begin`. */
static void sweep(mw_rollup_cache *cache, uint64_t begin)
{
    size_t kept = 0;
    for (size_t i = 0; i < cache->count; i++) {
        if (cache->items[i].seen > begin)
            cache->items[kept++] = cache->items[i];
        else
            forget(cache, &cache->items[i]);
    }
    cache->count = kept;
}

/* ---- one segment ----------------------------------------------------------------------------- */

/* What the cache knows of it, without its bytes; false: nothing. */
static bool peek(mw_rollup_cache *cache, uint64_t segment, mw_rollup_cached *out)
{
    pthread_mutex_lock(&cache->lock);
    mw_rollup_cached *item = find(cache, segment);
    if (item) {
        item->seen = ++cache->uses;
        *out = *item;
    }
    pthread_mutex_unlock(&cache->lock);
    return item != NULL;
}

static void release(mw_rollup_cache *cache, mw_rollup_blob *bytes)
{
    pthread_mutex_lock(&cache->lock);
    drop_bytes(bytes);
    pthread_mutex_unlock(&cache->lock);
}

/* From the file. Damage is an empty item. */
static mw_err load(const mw_segment *segment, mw_rollup_cached *out)
{
    char *data = NULL;
    size_t len = 0;
    *out = (mw_rollup_cached){.segment = segment->header.id};
    mw_err err = mw_footer_rollups(segment->footer, segment->fd, &data, &len);
    if (err == MW_OK)
        err = mw_rollup_range_read((mw_slice){data, len}, UINT32_MAX, &out->range);
    if (err == MW_OK && len) {
        out->bytes = mw_alloc(MW_MEM_ROLLUP, sizeof *out->bytes + len);
        if (out->bytes) {
            out->bytes->users = 1;
            out->bytes->len = len;
            memcpy(out->bytes->data, data, len);
        } else {
            err = MW_E_NOMEM;
        }
    }
    mw_free(MW_MEM_QUERY, data);
    if (err != MW_E_CORRUPT && err != MW_E_IO)
        return err;
    MW_LOG(MW_LOG_ERROR, "store", "the roll-ups of a segment cannot be read",
           MW_KV_STR("file", segment->path), MW_KV_ERR(err));
    out->range = (mw_rollup_range){.empty = true};
    out->damaged = true;
    return MW_OK;
}

static bool is_whole(const mw_rollup_cached *item)
{
    return item && (item->bytes || item->range.empty);
}

/* What was loaded goes into the cache, unless another thread was faster. */
static mw_err keep(mw_rollup_cache *cache, const mw_rollup_cached *loaded, mw_rollup_cached *out)
{
    mw_err err = MW_OK;
    pthread_mutex_lock(&cache->lock);
    mw_rollup_cached *item = item_of(cache, loaded->segment);
    if (!item) {
        err = MW_E_NOMEM;
        drop_bytes(loaded->bytes);
    } else if (item->used && is_whole(item)) {
        drop_bytes(loaded->bytes);
    } else {
        if (loaded->bytes) {
            make_room(cache, loaded->bytes->len);
            cache->bytes += loaded->bytes->len;
            mw_share_note(MW_SHARE_CACHES, 0, loaded->bytes->len);
        }
        *item = *loaded;
    }
    if (item)
        use(cache, item, out);
    pthread_mutex_unlock(&cache->lock);
    return err;
}

/* The item of a segment with its bytes, to be released. */
static mw_err take(mw_rollup_cache *cache, const mw_segment *segment, mw_rollup_cached *out)
{
    mw_rollup_cached loaded;
    pthread_mutex_lock(&cache->lock);
    mw_rollup_cached *item = find(cache, segment->header.id);
    bool whole = is_whole(item);
    if (whole)
        use(cache, item, out);
    pthread_mutex_unlock(&cache->lock);
    if (whole)
        return MW_OK;
    mw_err err = load(segment, &loaded);
    return err == MW_OK ? keep(cache, &loaded, out) : err;
}

static mw_slice bytes_of(const mw_rollup_cached *item)
{
    return item->bytes ? (mw_slice){item->bytes->data, item->bytes->len} : MW_SLICE_NONE;
}

static bool meets(const mw_rollup_range *range, uint64_t since_ns, uint64_t until_ns)
{
    return !range->empty && range->last >= since_ns / MW_MINUTE_NS &&
           (until_ns == 0 || range->first * MW_MINUTE_NS < until_ns);
}

static mw_err add_segment(mw_rollup_cache *cache, const mw_segment *segment, uint64_t since_ns,
                          uint64_t until_ns, mw_rollup *into)
{
    mw_rollup_cached item;
    mw_err err = MW_OK;
    if (peek(cache, segment->header.id, &item) && !meets(&item.range, since_ns, until_ns)) {
        into->unread += item.damaged;
        return MW_OK;
    }
    err = take(cache, segment, &item);
    if (err != MW_OK)
        return err;
    into->unread += item.damaged;
    if (meets(&item.range, since_ns, until_ns))
        err = mw_rollup_read(bytes_of(&item), since_ns, until_ns, into);
    release(cache, item.bytes);
    return err;
}

/* ---- a view ---------------------------------------------------------------------------------- */

/* The next merged segment of the view's blocks from *at on; NULL at the end. A segment's blocks
 * stand together. */
static const mw_segment *next_merged(mw_store_view *view, size_t *at)
{
    size_t count = mw_view_count(view);
    while (*at < count) {
        const mw_segment *segment = mw_view_block(view, *at)->segment;
        while (*at < count && mw_view_block(view, *at)->segment == segment)
            ++*at;
        if (segment->footer)
            return segment;
    }
    return NULL;
}

static bool is_stopped(const mw_store_view *view)
{
    return view->stop && view->stop(view->stop_ctx);
}

mw_err mw_rollup_cache_add(mw_rollup_cache *cache, mw_store_view *view, uint64_t since_ns,
                           uint64_t until_ns, mw_rollup *into)
{
    const mw_segment *segment;
    mw_err err = MW_OK;
    pthread_mutex_lock(&cache->lock);
    uint64_t begin = cache->uses;
    pthread_mutex_unlock(&cache->lock);
    for (size_t at = 0; err == MW_OK && (segment = next_merged(view, &at));)
        err =
            is_stopped(view) ? MW_E_TIMEOUT : add_segment(cache, segment, since_ns, until_ns, into);
    if (err != MW_OK)
        return err;
    pthread_mutex_lock(&cache->lock);
    sweep(cache, begin);
    pthread_mutex_unlock(&cache->lock);
    return MW_OK;
}

static mw_err newest_of(mw_rollup_cache *cache, const mw_segment *segment, uint32_t limit,
                        uint32_t *minute, bool *found)
{
    mw_rollup_cached item;
    mw_rollup_range range;
    /* Nothing newer than what was found is in most of them. */
    if (peek(cache, segment->header.id, &item) &&
        (item.range.empty || (*found && item.range.last <= *minute)))
        return MW_OK;
    mw_err err = take(cache, segment, &item);
    if (err != MW_OK)
        return err;
    err = mw_rollup_range_read(bytes_of(&item), limit, &range);
    release(cache, item.bytes);
    if (err == MW_OK && range.has_newest && (!*found || range.newest > *minute)) {
        *minute = range.newest;
        *found = true;
    }
    return err;
}

mw_err mw_rollup_cache_newest(mw_rollup_cache *cache, mw_store_view *view, uint32_t limit,
                              uint32_t *minute, bool *found)
{
    const mw_segment *segment;
    mw_err err = MW_OK;
    *found = false;
    for (size_t at = 0; err == MW_OK && (segment = next_merged(view, &at));)
        err = is_stopped(view) ? MW_E_TIMEOUT : newest_of(cache, segment, limit, minute, found);
    return err;
}
