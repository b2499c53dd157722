/* Pairs of slices, each once: a hash table of positions over a list. Contract: export_int.h.
 *
 * On the network loop's thread. List and table grow by realloc and not in the request's arena: an
 * arena keeps every smaller copy until the end, which would double the largest of them.
 */
#include <xxhash.h>

#include "collector/export_int.h"

#define SLOTS_FIRST 16

static uint64_t hash_of(const mw_store_context *item, uint64_t seed)
{
    uint64_t hash = XXH3_64bits_withSeed(item->bytes.data, item->bytes.len, seed);
    return XXH3_64bits_withSeed(item->schema_url.data, item->schema_url.len, hash);
}

/* The slot that holds `item`, or the free one where it belongs. */
static uint32_t *find_slot(const mw_distinct *set, const mw_store_context *item, uint64_t seed)
{
    size_t mask = set->slot_count - 1;
    for (size_t at = hash_of(item, seed) & mask;; at = (at + 1) & mask) {
        uint32_t *slot = &set->slots[at];
        if (*slot == 0)
            return slot;
        const mw_store_context *held = &set->items[*slot - 1];
        if (mw_slice_equal(held->bytes, item->bytes) &&
            mw_slice_equal(held->schema_url, item->schema_url))
            return slot;
    }
}

static mw_err grow(mw_distinct *set, uint64_t seed)
{
    size_t slots = set->slot_count ? set->slot_count * 2 : SLOTS_FIRST;
    size_t capacity = slots / 2;
    mw_store_context *items = mw_realloc(MW_MEM_INGEST, set->items, capacity * sizeof *set->items);
    if (!items)
        return MW_E_NOMEM;
    set->items = items;
    set->capacity = capacity;
    uint32_t *table = mw_calloc(MW_MEM_INGEST, slots, sizeof *table);
    if (!table)
        return MW_E_NOMEM;
    mw_free(MW_MEM_INGEST, set->slots);
    set->slots = table;
    set->slot_count = slots;
    for (size_t i = 0; i < set->count; i++)
        *find_slot(set, &set->items[i], seed) = (uint32_t)i + 1;
    return MW_OK;
}

mw_err mw_distinct_add(mw_distinct *set, const mw_store_context *item, uint64_t seed,
                       mw_arena *copy_into, uint32_t *index)
{
    if (set->count * 2 >= set->slot_count && grow(set, seed) != MW_OK)
        return MW_E_NOMEM;
    uint32_t *slot = find_slot(set, item, seed);
    if (*slot == 0) {
        mw_store_context kept = *item;
        if (copy_into)
            kept.bytes = mw_arena_copy(copy_into, item->bytes);
        if (copy_into && !kept.bytes.data)
            return MW_E_NOMEM;
        set->items[set->count++] = kept;
        *slot = (uint32_t)set->count;
    }
    *index = *slot - 1;
    return MW_OK;
}

void mw_distinct_fini(mw_distinct *set)
{
    mw_free(MW_MEM_INGEST, set->items);
    mw_free(MW_MEM_INGEST, set->slots);
    *set = (mw_distinct){0};
}
