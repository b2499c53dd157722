/* A set of trace ids. See trace_set.h. */
#include <xxhash.h>

#include "lib/store/format/segment_format.h"
#include "lib/store/format/trace_set.h"

#define AT_FIRST 64u

void mw_trace_set_init(mw_trace_set *set, uint64_t seed)
{
    memset(set, 0, sizeof *set);
    set->seed = seed;
}

void mw_trace_set_fini(mw_trace_set *set)
{
    mw_free(MW_MEM_QUERY, set->ids);
    mw_free(MW_MEM_QUERY, set->slots);
    mw_free(MW_MEM_QUERY, set->keys);
    memset(set, 0, sizeof *set);
}

static size_t mask_of(const mw_trace_set *set)
{
    return set->capacity * 2 - 1;
}

static size_t first_slot(const mw_trace_set *set, const uint8_t *id)
{
    return XXH3_64bits_withSeed(id, MW_TRACE_ID_SIZE, set->seed) & mask_of(set);
}

static size_t first_key_slot(const mw_trace_set *set, uint64_t key)
{
    return XXH3_64bits_withSeed(&key, sizeof key, set->seed) & mask_of(set);
}

/* The place of `id`, or the free place where it would go. */
static size_t slot_of(const mw_trace_set *set, const uint8_t *id)
{
    size_t slot = first_slot(set, id);
    while (set->slots[slot] && memcmp(set->ids[set->slots[slot] - 1], id, MW_TRACE_ID_SIZE) != 0)
        slot = (slot + 1) & mask_of(set);
    return slot;
}

static size_t key_slot_of(const mw_trace_set *set, uint64_t key)
{
    size_t slot = first_key_slot(set, key);
    while (set->keys[slot] && set->keys[slot] != key)
        slot = (slot + 1) & mask_of(set);
    return slot;
}

static void index_id(mw_trace_set *set, size_t slot, uint32_t number)
{
    uint64_t key = mw_trace_key(set->ids[number]);
    set->slots[slot] = number + 1;
    if (key == 0)
        set->has_key_0 = true;
    else
        set->keys[key_slot_of(set, key)] = key;
}

static mw_err grow(mw_trace_set *set)
{
    size_t capacity = set->capacity ? set->capacity * 2 : AT_FIRST;
    if (capacity > (size_t)INT32_MAX)
        return MW_E_LIMIT;
    mw_trace_id *ids = mw_realloc(MW_MEM_QUERY, set->ids, capacity * sizeof *ids);
    if (ids)
        set->ids = ids;
    uint32_t *slots = mw_calloc(MW_MEM_QUERY, capacity * 2, sizeof *slots);
    uint64_t *keys = mw_calloc(MW_MEM_QUERY, capacity * 2, sizeof *keys);
    if (!ids || !slots || !keys) {
        mw_free(MW_MEM_QUERY, slots);
        mw_free(MW_MEM_QUERY, keys);
        return MW_E_NOMEM;
    }
    mw_free(MW_MEM_QUERY, set->slots);
    mw_free(MW_MEM_QUERY, set->keys);
    set->slots = slots;
    set->keys = keys;
    set->capacity = capacity;
    for (uint32_t i = 0; i < set->count; i++)
        index_id(set, slot_of(set, set->ids[i]), i);
    return MW_OK;
}

mw_err mw_trace_set_add(mw_trace_set *set, const uint8_t *id, uint32_t *number)
{
    if (mw_trace_set_find(set, id, number))
        return MW_OK;
    if (set->count == set->capacity) {
        mw_err err = grow(set);
        if (err != MW_OK)
            return err;
    }
    size_t slot = slot_of(set, id);
    *number = (uint32_t)set->count++;
    memcpy(set->ids[*number], id, MW_TRACE_ID_SIZE);
    index_id(set, slot, *number);
    return MW_OK;
}

void mw_trace_set_fetch(const mw_trace_set *set, const uint8_t *id)
{
    if (set->capacity == 0)
        return;
    __builtin_prefetch(&set->slots[first_slot(set, id)], 1);
    __builtin_prefetch(&set->keys[first_key_slot(set, mw_trace_key(id))], 1);
}

bool mw_trace_set_find(const mw_trace_set *set, const uint8_t *id, uint32_t *number)
{
    if (set->capacity == 0)
        return false;
    uint32_t found = set->slots[slot_of(set, id)];
    if (found)
        *number = found - 1;
    return found != 0;
}

bool mw_trace_set_has_key(const mw_trace_set *set, uint64_t key)
{
    if (key == 0 || set->capacity == 0)
        return set->has_key_0;
    return set->keys[key_slot_of(set, key)] == key;
}

size_t mw_trace_set_bytes(const mw_trace_set *set)
{
    return set->capacity * (sizeof *set->ids + 2 * sizeof *set->slots + 2 * sizeof *set->keys);
}
