/* Filters of the traces of recent merged segments. See trace_filters.h. */
#include "lib/store/segment/trace_filters.h"
#include "lib/base/id.h"
#include "lib/store/segment/segment_footer_int.h"
#include "lib/store/segment/tail_share.h"

#define MEMORY_SHARE 32
#define KEYS_A_WORD 4u
#define WORDS_LEAST 64u

void mw_trace_filters_init(mw_trace_filters *filters)
{
    memset(filters, 0, sizeof *filters);
    mw_random_bytes(&filters->seed, sizeof filters->seed);
    pthread_mutex_init(&filters->lock, NULL);
}

void mw_trace_filters_fini(mw_trace_filters *filters)
{
    for (size_t i = 0; i < filters->count; i++)
        mw_free(MW_MEM_MERGE, filters->items[i].words);
    mw_share_note(MW_SHARE_FILTERS, filters->bytes, 0);
    mw_free(MW_MEM_MERGE, filters->items);
    pthread_mutex_destroy(&filters->lock);
}

static size_t bytes_max(void)
{
    size_t share = mw_memory_ceiling() / MEMORY_SHARE;
    return share < MW_TRACE_FILTERS_MAX ? share : MW_TRACE_FILTERS_MAX;
}

static size_t size_of(const mw_trace_filter *filter)
{
    return sizeof(uint64_t) << (64 - filter->shift);
}

static uint64_t mixed(uint64_t seed, uint64_t key)
{
    uint64_t hash = (key ^ seed) * UINT64_C(0x9e3779b97f4a7c15);
    hash = (hash ^ hash >> 32) * UINT64_C(0xd6e8feb86659fd93);
    return hash ^ hash >> 32;
}

/* The word is chosen by the highest bits, those in it by the lowest 24. */
static uint64_t pattern_of(uint64_t hash)
{
    return UINT64_C(1) << (hash & 63) | UINT64_C(1) << (hash >> 6 & 63) |
           UINT64_C(1) << (hash >> 12 & 63) | UINT64_C(1) << (hash >> 18 & 63);
}

static bool may_hold(const mw_trace_filter *filter, uint64_t hash)
{
    uint64_t pattern = pattern_of(hash);
    return (filter->words[hash >> filter->shift] & pattern) == pattern;
}

static mw_trace_filter *find(mw_trace_filters *filters, uint64_t segment)
{
    for (size_t i = 0; i < filters->count; i++)
        if (filters->items[i].segment == segment)
            return &filters->items[i];
    return NULL;
}

static void forget_oldest(mw_trace_filters *filters)
{
    size_t oldest = 0;
    for (size_t i = 1; i < filters->count; i++)
        if (filters->items[i].used < filters->items[oldest].used)
            oldest = i;
    filters->bytes -= size_of(&filters->items[oldest]);
    mw_share_note(MW_SHARE_FILTERS, size_of(&filters->items[oldest]), 0);
    mw_free(MW_MEM_MERGE, filters->items[oldest].words);
    filters->items[oldest] = filters->items[--filters->count];
}

typedef struct filling {
    mw_trace_filter *filter;
    uint64_t seed;
} filling;

static mw_err add_key(void *ctx, uint64_t key, uint32_t block)
{
    filling *fill = ctx;
    uint64_t hash = mixed(fill->seed, key);
    (void)block;
    fill->filter->words[hash >> fill->filter->shift] |= pattern_of(hash);
    return MW_OK;
}

static bool has_room(const mw_trace_filters *filters, size_t size)
{
    size_t most = bytes_max();
    return filters->bytes + size <= most &&
           mw_share_admits(MW_SHARE_FILTERS, filters->bytes + size, size, most);
}

/* An empty filter for that many keys; NULL without memory. */
static mw_trace_filter *new_filter(mw_trace_filters *filters, uint64_t segment, uint64_t keys)
{
    mw_trace_filter filter = {.segment = segment, .shift = 64 - 6};
    while (filter.shift > 64 - 32 && keys / KEYS_A_WORD > UINT64_C(1) << (64 - filter.shift))
        filter.shift--;
    if (size_of(&filter) > bytes_max() / 2)
        return NULL;
    while (filters->count && !has_room(filters, size_of(&filter)))
        forget_oldest(filters);
    if (!has_room(filters, size_of(&filter)))
        return NULL;
    if (filters->count == filters->capacity) {
        size_t capacity = filters->capacity * 2 + 16;
        mw_trace_filter *items = mw_realloc(MW_MEM_MERGE, filters->items, capacity * sizeof *items);
        if (!items)
            return NULL;
        filters->items = items;
        filters->capacity = capacity;
    }
    filter.words = mw_calloc(MW_MEM_MERGE, 1, size_of(&filter));
    if (!filter.words)
        return NULL;
    filters->bytes += size_of(&filter);
    mw_share_note(MW_SHARE_FILTERS, 0, size_of(&filter));
    filters->items[filters->count] = filter;
    return &filters->items[filters->count++];
}

/* The segment's filter; *out NULL without memory. */
static mw_err filter_of(mw_trace_filters *filters, const mw_segment *segment, mw_trace_filter **out)
{
    const mw_footer *footer = segment->footer;
    *out = find(filters, segment->header.id);
    mw_err err = MW_OK;
    if (!*out) {
        *out =
            new_filter(filters, segment->header.id, footer->directories[MW_KEYS_TRACES].pair_count);
        if (!*out)
            return MW_OK;
        filling fill = {*out, filters->seed};
        err = mw_footer_each_key(footer, segment->fd, MW_KEYS_TRACES, add_key, &fill);
    }
    (*out)->used = ++filters->uses;
    if (err != MW_OK) {
        (*out)->used = 0;
        forget_oldest(filters);
    }
    return err;
}

mw_err mw_trace_filters_narrow(mw_trace_filters *filters, const mw_segment *segment,
                               const uint64_t *keys, size_t count, uint64_t *out, size_t *kept)
{
    mw_trace_filter *filter = NULL;
    mw_err err = MW_OK;
    *kept = 0;
    pthread_mutex_lock(&filters->lock);
    if (count >= MW_TRACE_FILTER_KEYS || find(filters, segment->header.id))
        err = filter_of(filters, segment, &filter);
    for (size_t i = 0; err == MW_OK && i < count; i++)
        if (!filter || may_hold(filter, mixed(filters->seed, keys[i])))
            out[(*kept)++] = keys[i];
    pthread_mutex_unlock(&filters->lock);
    return err;
}
