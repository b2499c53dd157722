/* Roll-ups of merged segments. See rollup_cache.h. */
#include "lib/store/rollup_cache.h"
#include "lib/base/log.h"
#include "lib/store/rollup_int.h"
#include "lib/store/segment_footer.h"

#define MEMORY_SHARE 32

void mw_rollup_cache_fini(mw_rollup_cache *cache)
{
    for (size_t i = 0; i < cache->count; i++)
        mw_free(MW_MEM_ROLLUP, cache->items[i].data);
    mw_free(MW_MEM_ROLLUP, cache->items);
    memset(cache, 0, sizeof *cache);
}

static size_t bytes_max(void)
{
    size_t limit = mw_memory_limit();
    return limit && limit / MEMORY_SHARE < MW_ROLLUP_CACHE_MAX ? limit / MEMORY_SHARE
                                                               : MW_ROLLUP_CACHE_MAX;
}

static void forget(mw_rollup_cache *cache, mw_rollup_cached *item)
{
    cache->bytes -= item->len;
    mw_free(MW_MEM_ROLLUP, item->data);
    item->data = NULL;
    item->len = 0;
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

/* The segment's place in the cache, new or old. */
static mw_err item_of(mw_rollup_cache *cache, uint64_t segment, mw_rollup_cached **out)
{
    size_t at = place_of(cache, segment);
    if (at == cache->count || cache->items[at].segment != segment) {
        if (cache->count == cache->capacity) {
            size_t capacity = cache->capacity + cache->capacity / 2 + 16;
            mw_rollup_cached *items =
                mw_realloc(MW_MEM_ROLLUP, cache->items, capacity * sizeof *items);
            if (!items)
                return MW_E_NOMEM;
            cache->items = items;
            cache->capacity = capacity;
        }
        memmove(&cache->items[at + 1], &cache->items[at],
                (cache->count - at) * sizeof *cache->items);
        cache->items[at] = (mw_rollup_cached){.segment = segment};
        cache->count++;
    }
    *out = &cache->items[at];
    (*out)->used = ++cache->uses;
    (*out)->live = true;
    return MW_OK;
}

/* What was used longest ago; NULL when nothing is held. */
static mw_rollup_cached *oldest_of(const mw_rollup_cache *cache)
{
    mw_rollup_cached *oldest = NULL;
    for (size_t i = 0; i < cache->count; i++) {
        mw_rollup_cached *item = &cache->items[i];
        if (item->data && (!oldest || item->used < oldest->used))
            oldest = item;
    }
    return oldest;
}

/* Room for `len` more bytes, but for a single larger piece. */
static void make_room(mw_rollup_cache *cache, size_t len)
{
    while (cache->bytes + len > bytes_max()) {
        mw_rollup_cached *oldest = oldest_of(cache);
        if (!oldest)
            return;
        forget(cache, oldest);
    }
}

static mw_err load(mw_rollup_cache *cache, const mw_segment *segment, mw_rollup_cached *item)
{
    char *data = NULL;
    size_t len = 0;
    mw_err err = mw_footer_rollups(segment->footer, segment->fd, &data, &len);
    if (err == MW_OK && len) {
        make_room(cache, len);
        item->data = mw_alloc(MW_MEM_ROLLUP, len);
        if (item->data) {
            memcpy(item->data, data, len);
            item->len = len;
            cache->bytes += len;
        } else {
            err = MW_E_NOMEM;
        }
    }
    if (err == MW_OK)
        err = mw_rollup_range_read((mw_slice){data, len}, UINT32_MAX, &item->range);
    mw_free(MW_MEM_QUERY, data);
    if (err != MW_OK && item->data)
        forget(cache, item);
    if (err != MW_E_CORRUPT && err != MW_E_IO)
        return err;
    MW_LOG(MW_LOG_ERROR, "store", "the roll-ups of a segment cannot be read",
           MW_KV_STR("file", segment->path), MW_KV_ERR(err));
    item->range = (mw_rollup_range){.empty = true};
    item->damaged = true;
    return MW_OK;
}

/* The item of a segment, loaded; an item that was only just made does not stay without a range. */
static mw_err loaded(mw_rollup_cache *cache, const mw_segment *segment, mw_rollup_cached **out)
{
    size_t before = cache->count;
    mw_err err = item_of(cache, segment->header.id, out);
    if (err != MW_OK)
        return err;
    bool made = cache->count > before;
    if (!made && ((*out)->data || (*out)->range.empty))
        return MW_OK;
    err = load(cache, segment, *out);
    if (err != MW_OK && made) {
        size_t at = (size_t)(*out - cache->items);
        cache->count--;
        memmove(*out, *out + 1, (cache->count - at) * sizeof *cache->items);
    }
    return err;
}

static const mw_rollup_cached *known(const mw_rollup_cache *cache, uint64_t segment)
{
    size_t at = place_of(cache, segment);
    return at < cache->count && cache->items[at].segment == segment ? &cache->items[at] : NULL;
}

static bool meets(const mw_rollup_range *range, uint64_t since_ns, uint64_t until_ns)
{
    return !range->empty && range->last >= since_ns / MW_MINUTE_NS &&
           (until_ns == 0 || range->first * MW_MINUTE_NS < until_ns);
}

static mw_err add_segment(mw_rollup_cache *cache, const mw_segment *segment, uint64_t since_ns,
                          uint64_t until_ns, mw_rollup *into)
{
    mw_rollup_cached *item;
    const mw_rollup_cached *old = known(cache, segment->header.id);
    if (old && !meets(&old->range, since_ns, until_ns)) {
        cache->items[old - cache->items].live = true;
        into->unread += old->damaged;
        return MW_OK;
    }
    mw_err err = loaded(cache, segment, &item);
    if (err != MW_OK)
        return err;
    into->unread += item->damaged;
    if (!meets(&item->range, since_ns, until_ns))
        return MW_OK;
    return mw_rollup_read((mw_slice){item->data, item->len}, since_ns, until_ns, into);
}

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

/* Segments that are in no view any more: replaced or retired. */
static void sweep(mw_rollup_cache *cache)
{
    size_t kept = 0;
    for (size_t i = 0; i < cache->count; i++) {
        if (cache->items[i].live)
            cache->items[kept++] = cache->items[i];
        else
            forget(cache, &cache->items[i]);
    }
    cache->count = kept;
}

mw_err mw_rollup_cache_add(mw_rollup_cache *cache, mw_store_view *view, uint64_t since_ns,
                           uint64_t until_ns, mw_rollup *into)
{
    const mw_segment *segment;
    mw_err err = MW_OK;
    for (size_t i = 0; i < cache->count; i++)
        cache->items[i].live = false;
    for (size_t at = 0; err == MW_OK && (segment = next_merged(view, &at));)
        err = add_segment(cache, segment, since_ns, until_ns, into);
    if (err == MW_OK)
        sweep(cache);
    return err;
}

mw_err mw_rollup_cache_newest(mw_rollup_cache *cache, mw_store_view *view, uint32_t limit,
                              uint32_t *minute, bool *found)
{
    const mw_segment *segment;
    mw_err err = MW_OK;
    *found = false;
    for (size_t at = 0; err == MW_OK && (segment = next_merged(view, &at));) {
        const mw_rollup_cached *old = known(cache, segment->header.id);
        mw_rollup_cached *item;
        mw_rollup_range range = {.has_newest = false};
        /* Nothing newer than what was found is in most of them. */
        if (old && (old->range.empty || (*found && old->range.last <= *minute)))
            continue;
        err = loaded(cache, segment, &item);
        if (err == MW_OK)
            err = mw_rollup_range_read((mw_slice){item->data, item->len}, limit, &range);
        if (err == MW_OK && range.has_newest && (!*found || range.newest > *minute)) {
            *minute = range.newest;
            *found = true;
        }
    }
    return err;
}
