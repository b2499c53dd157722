/* The set of attribute keys a caller wants to see, asked once for every attribute of every span.
 *
 * Open addressing over a table at most a quarter full. The hash takes the length and three words
 * of the key (first, middle, last), because attribute keys share long prefixes
 * ("gen_ai.usage.") and long suffixes ("input_tokens"): two loads alone collide. A peer can
 * choose keys that collide; that costs it one comparison of 32 bits a slot, the table is fixed.
 * A perfect hash was weighed and dropped: it saves no load over this and needs a generator.
 * Built at start, then read-only: any thread. The key strings are borrowed (literals).
 */
#include "lib/base/memory.h"
#include "proto/scan.h"

#define KEYS_MAX 256

typedef struct key_slot {
    uint32_t hash;
    int32_t id; /* -1 = free */
    mw_slice key;
} key_slot;

struct mw_keyset {
    uint32_t mask;
    size_t count;
    key_slot slots[];
};

static uint64_t load64(const char *at)
{
    uint64_t word;
    memcpy(&word, at, sizeof word);
    return word;
}

static uint64_t load32(const char *at)
{
    uint32_t word;
    memcpy(&word, at, sizeof word);
    return word;
}

static uint32_t key_hash(mw_slice key)
{
    const char *at = key.data;
    size_t len = key.len;
    uint64_t first = 0, middle = 0, last = 0;
    if (len >= 8) {
        first = load64(at);
        middle = load64(at + (len - 8) / 2);
        last = load64(at + len - 8);
    } else if (len >= 4) {
        first = load32(at);
        last = load32(at + len - 4);
    } else if (len > 0) {
        first = (uint8_t)at[0];
        middle = (uint8_t)at[len / 2];
        last = (uint8_t)at[len - 1];
    }
    /* Odd constants without structure (digits of the golden ratio and its kin). */
    uint64_t mixed = (first + len) * UINT64_C(0x9e3779b97f4a7c15);
    mixed ^= middle * UINT64_C(0xc2b2ae3d27d4eb4f) ^ (mixed >> 32);
    mixed = (mixed ^ last) * UINT64_C(0x165667b19e3779f9);
    return (uint32_t)(mixed >> 32);
}

static void add_key(mw_keyset *set, mw_slice key, int32_t id)
{
    uint32_t hash = key_hash(key);
    uint32_t at = hash & set->mask;
    while (set->slots[at].id >= 0) {
        MW_ASSERT(!mw_slice_equal(set->slots[at].key, key));
        at = (at + 1) & set->mask;
    }
    set->slots[at] = (key_slot){hash, id, key};
}

mw_keyset *mw_keyset_new(const char *const *keys, size_t count)
{
    MW_ASSERT(count <= KEYS_MAX);
    uint32_t slots = 16;
    while (slots < count * 4)
        slots *= 2;
    mw_keyset *set = mw_alloc_or_die(MW_MEM_INGEST, sizeof *set + slots * sizeof(key_slot));
    set->mask = slots - 1;
    set->count = count;
    for (uint32_t i = 0; i < slots; i++)
        set->slots[i] = (key_slot){0, -1, MW_SLICE_NONE};
    for (size_t i = 0; i < count; i++)
        add_key(set, mw_slice_of(keys[i]), (int32_t)i);
    return set;
}

void mw_keyset_free(mw_keyset *set)
{
    mw_free(MW_MEM_INGEST, set);
}

int mw_keyset_find(const mw_keyset *set, mw_slice key)
{
    uint32_t hash = key_hash(key);
    for (uint32_t at = hash & set->mask;; at = (at + 1) & set->mask) {
        const key_slot *slot = &set->slots[at];
        if (slot->id < 0)
            return -1;
        if (slot->hash == hash && slot->key.len == key.len &&
            memcmp(slot->key.data, key.data, key.len) == 0)
            return slot->id;
    }
}
