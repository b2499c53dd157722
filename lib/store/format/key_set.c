/* A set of hashes. See key_set.h. */
#include "lib/store/format/key_set.h"

#define AT_FIRST 128u

void mw_key_set_init(mw_key_set *set, size_t max_bytes)
{
    *set = (mw_key_set){.max_bytes = max_bytes};
}

void mw_key_set_fini(mw_key_set *set)
{
    mw_free(MW_MEM_QUERY, set->slots);
    *set = (mw_key_set){.max_bytes = set->max_bytes};
}

void mw_key_set_clear(mw_key_set *set)
{
    if (set->capacity)
        memset(set->slots, 0, set->capacity * sizeof *set->slots);
    set->count = 0;
    set->has_zero = false;
}

static size_t slot_of(const mw_key_set *set, uint64_t key)
{
    size_t slot = key & (set->capacity - 1);
    while (set->slots[slot] && set->slots[slot] != key)
        slot = (slot + 1) & (set->capacity - 1);
    return slot;
}

static mw_err grow(mw_key_set *set)
{
    mw_key_set larger = *set;
    larger.capacity = set->capacity ? set->capacity * 2 : AT_FIRST;
    if (larger.capacity * sizeof *set->slots > set->max_bytes)
        return MW_E_LIMIT;
    larger.slots = mw_calloc(MW_MEM_QUERY, larger.capacity, sizeof *larger.slots);
    if (!larger.slots)
        return MW_E_NOMEM;
    for (size_t i = 0; i < set->capacity; i++)
        if (set->slots[i])
            larger.slots[slot_of(&larger, set->slots[i])] = set->slots[i];
    mw_free(MW_MEM_QUERY, set->slots);
    *set = larger;
    return MW_OK;
}

mw_err mw_key_set_add(mw_key_set *set, uint64_t key, bool *added)
{
    *added = false;
    if (mw_key_set_has(set, key))
        return MW_OK;
    if (key == 0) {
        set->has_zero = true;
        set->count++;
        *added = true;
        return MW_OK;
    }
    if (set->count * 2 >= set->capacity) {
        mw_err err = grow(set);
        if (err != MW_OK)
            return err;
    }
    set->slots[slot_of(set, key)] = key;
    set->count++;
    *added = true;
    return MW_OK;
}

bool mw_key_set_has(const mw_key_set *set, uint64_t key)
{
    if (key == 0)
        return set->has_zero;
    return set->capacity > 0 && set->slots[slot_of(set, key)] == key;
}
