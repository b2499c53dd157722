/* Distinct strings of bytes. See byte_table.h. */
#define XXH_INLINE_ALL /* most strings are short: the call would cost as much as the hash */
#include <xxhash.h>

#include "lib/base/error.h"
#include "lib/store/format/byte_table.h"

#define BYTES_MAX ((size_t)1 << 30)

/* Bits for each of the capacity: of eight new strings one at most is looked for in vain. */
#define SEEN_BITS 8u

static size_t seen_words(uint32_t capacity)
{
    return (size_t)capacity * SEEN_BITS / 64 + 1;
}

static uint32_t slot_mask(const mw_byte_table *table)
{
    return table->capacity * 2 - 1;
}

/* A slot has eight bits of the hash above the number, so that strings that only meet are told apart
 * without a look at their bytes. */
#define NUMBER_BITS 24u
#define NUMBERS_MAX ((UINT32_C(1) << NUMBER_BITS) - 1)

static uint32_t slot_value(uint32_t hash, uint32_t number)
{
    return (hash & ~NUMBERS_MAX) | (number + 1);
}

static void place(mw_byte_table *table, uint32_t number)
{
    uint32_t hash = table->hashes[number], mask = slot_mask(table), slot = hash & mask;
    while (table->slots[slot])
        slot = (slot + 1) & mask;
    table->slots[slot] = slot_value(hash, number);
}

static void place_pending(mw_byte_table *table)
{
    if (table->pending)
        place(table, table->pending - 1);
    table->pending = 0;
}

/* The hash's bit: slots go by its low bits. */
static uint64_t seen_at(const mw_byte_table *table, uint32_t hash)
{
    return (uint64_t)hash * (SEEN_BITS * (uint64_t)table->capacity) >> 32;
}

static bool is_seen(const mw_byte_table *table, uint32_t hash)
{
    uint64_t at = seen_at(table, hash);
    return table->seen[at / 64] >> (at % 64) & 1;
}

static void note_seen(mw_byte_table *table, uint32_t hash)
{
    uint64_t at = seen_at(table, hash);
    table->seen[at / 64] |= UINT64_C(1) << (at % 64);
}

static mw_err grow_entries(mw_byte_table *table)
{
    uint32_t capacity = table->capacity * 2;
    mw_byte_entry *entries =
        mw_realloc(MW_MEM_MERGE, table->entries, capacity * sizeof *table->entries);
    if (!entries)
        return MW_E_NOMEM;
    table->entries = entries;
    uint32_t *hashes = mw_realloc(MW_MEM_MERGE, table->hashes, capacity * sizeof *table->hashes);
    if (!hashes)
        return MW_E_NOMEM;
    table->hashes = hashes;
    uint32_t *slots = mw_calloc(MW_MEM_MERGE, (size_t)capacity * 2, sizeof *slots);
    uint64_t *seen = mw_calloc(MW_MEM_MERGE, seen_words(capacity), sizeof *seen);
    if (!slots || !seen) {
        mw_free(MW_MEM_MERGE, slots);
        mw_free(MW_MEM_MERGE, seen);
        return MW_E_NOMEM;
    }
    mw_free(MW_MEM_MERGE, table->slots);
    mw_free(MW_MEM_MERGE, table->seen);
    table->slots = slots;
    table->seen = seen;
    table->capacity = capacity;
    table->pending = 0;
    for (uint32_t i = 0; i < table->count; i++) {
        place(table, i);
        note_seen(table, table->hashes[i]);
    }
    return MW_OK;
}

static mw_err grow_bytes(mw_byte_area *area, size_t more)
{
    size_t need = area->used + more;
    if (need > BYTES_MAX)
        return MW_E_LIMIT;
    if (need < area->room * 2)
        need = area->room * 2;
    unsigned char *bytes = mw_realloc(MW_MEM_MERGE, area->bytes, need);
    if (!bytes)
        return MW_E_NOMEM;
    area->bytes = bytes;
    area->room = need;
    return MW_OK;
}

mw_err mw_byte_table_init(mw_byte_table *table, uint32_t capacity, size_t room)
{
    MW_ASSERT(capacity > 0 && (capacity & (capacity - 1)) == 0);
    table->entries = mw_alloc(MW_MEM_MERGE, capacity * sizeof *table->entries);
    table->hashes = mw_alloc(MW_MEM_MERGE, capacity * sizeof *table->hashes);
    table->slots = mw_calloc(MW_MEM_MERGE, (size_t)capacity * 2, sizeof *table->slots);
    table->seen = mw_calloc(MW_MEM_MERGE, seen_words(capacity), sizeof *table->seen);
    table->area.bytes = mw_alloc(MW_MEM_MERGE, room);
    table->capacity = capacity;
    table->area.room = room;
    table->apart_from = SIZE_MAX;
    bool tables = table->entries && table->hashes && table->slots && table->seen;
    return tables && table->area.bytes ? MW_OK : MW_E_NOMEM;
}

void mw_byte_table_fini(mw_byte_table *table)
{
    mw_free(MW_MEM_MERGE, table->entries);
    mw_free(MW_MEM_MERGE, table->hashes);
    mw_free(MW_MEM_MERGE, table->slots);
    mw_free(MW_MEM_MERGE, table->seen);
    mw_free(MW_MEM_MERGE, table->area.bytes);
    mw_free(MW_MEM_MERGE, table->apart.bytes);
    memset(table, 0, sizeof *table);
}

void mw_byte_table_clear(mw_byte_table *table)
{
    if (table->count) {
        memset(table->slots, 0, 2 * (size_t)table->capacity * sizeof *table->slots);
        memset(table->seen, 0, seen_words(table->capacity) * sizeof *table->seen);
    }
    table->count = 0;
    table->pending = 0;
    table->area.used = 0;
    table->apart.used = 0;
}

size_t mw_byte_table_size(const mw_byte_table *table)
{
    return table->area.room + table->apart.room +
           seen_words(table->capacity) * sizeof *table->seen +
           table->capacity *
               (sizeof *table->entries + sizeof *table->hashes + 2 * sizeof *table->slots);
}

static mw_err append(mw_byte_table *table, mw_slice bytes, uint32_t hash, uint32_t *number)
{
    mw_byte_area *area = bytes.len < table->apart_from ? &table->area : &table->apart;
    mw_err err = table->count < NUMBERS_MAX ? MW_OK : MW_E_LIMIT;
    if (err == MW_OK && table->count == table->capacity)
        err = grow_entries(table);
    if (err == MW_OK && bytes.len > area->room - area->used)
        err = grow_bytes(area, bytes.len);
    if (err != MW_OK)
        return err;
    if (bytes.len)
        memcpy(area->bytes + area->used, bytes.data, bytes.len);
    table->entries[table->count] = (mw_byte_entry){(uint32_t)area->used, (uint32_t)bytes.len};
    table->hashes[table->count] = hash;
    area->used += bytes.len;
    *number = table->count++;
    return MW_OK;
}

/* Most are short: a call would cost more than comparing. */
static bool same(mw_slice a, mw_slice b)
{
    uint64_t x, y;
    if (a.len != b.len)
        return false;
    if (a.len < sizeof x)
        return memcmp(a.data, b.data, a.len) == 0;
    for (size_t i = 0; i + sizeof x <= a.len; i += sizeof x) {
        memcpy(&x, a.data + i, sizeof x);
        memcpy(&y, b.data + i, sizeof y);
        if (x != y)
            return false;
    }
    memcpy(&x, a.data + a.len - sizeof x, sizeof x);
    memcpy(&y, b.data + b.len - sizeof y, sizeof y);
    return x == y;
}

static bool find(const mw_byte_table *table, mw_slice bytes, uint32_t hash, uint32_t *number)
{
    uint32_t mask = slot_mask(table);
    for (uint32_t slot = hash & mask; table->slots[slot]; slot = (slot + 1) & mask) {
        uint32_t value = table->slots[slot];
        *number = (value & NUMBERS_MAX) - 1;
        if (value == slot_value(hash, *number) && same(mw_byte_table_get(table, *number), bytes))
            return true;
    }
    return false;
}

mw_err mw_byte_table_put(mw_byte_table *table, mw_slice bytes, uint32_t *number)
{
    uint64_t seed = (uint64_t)(uintptr_t)table;
    uint32_t hash = (uint32_t)XXH3_64bits_withSeed(bytes.data, bytes.len, seed);

    place_pending(table);
    if (is_seen(table, hash) && find(table, bytes, hash, number))
        return MW_OK;
    mw_err err = append(table, bytes, hash, number);
    if (err != MW_OK)
        return err;
    note_seen(table, hash);
    __builtin_prefetch(&table->slots[hash & slot_mask(table)], 1);
    table->pending = *number + 1;
    return MW_OK;
}

mw_err mw_byte_table_add(mw_byte_table *table, mw_slice bytes, uint32_t *number)
{
    uint64_t seed = (uint64_t)(uintptr_t)table;
    uint32_t hash = (uint32_t)XXH3_64bits_withSeed(bytes.data, bytes.len, seed);
    return append(table, bytes, hash, number);
}
