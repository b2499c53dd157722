/* Distinct strings of bytes. See byte_table.h. */
#define XXH_INLINE_ALL /* most strings are short: the call would cost as much as the hash */
#include <xxhash.h>

#include "lib/base/error.h"
#include "lib/store/format/byte_table.h"

#define BYTES_MAX ((size_t)1 << 30)

static uint32_t slot_mask(const mw_byte_table *table)
{
    return table->capacity * 2 - 1;
}

static void place(mw_byte_table *table, uint32_t hash, uint32_t number)
{
    uint32_t mask = slot_mask(table), slot = hash & mask;
    while (table->slots[slot])
        slot = (slot + 1) & mask;
    table->slots[slot] = number + 1;
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
    if (!slots)
        return MW_E_NOMEM;
    mw_free(MW_MEM_MERGE, table->slots);
    table->slots = slots;
    table->capacity = capacity;
    for (uint32_t i = 0; i < table->count; i++)
        place(table, table->hashes[i], i);
    return MW_OK;
}

static mw_err grow_bytes(mw_byte_table *table, size_t more)
{
    size_t need = table->used + more;
    if (need > BYTES_MAX)
        return MW_E_LIMIT;
    if (need < table->room * 2)
        need = table->room * 2;
    unsigned char *bytes = mw_realloc(MW_MEM_MERGE, table->bytes, need);
    if (!bytes)
        return MW_E_NOMEM;
    table->bytes = bytes;
    table->room = need;
    return MW_OK;
}

mw_err mw_byte_table_init(mw_byte_table *table, uint32_t capacity, size_t room)
{
    MW_ASSERT(capacity > 0 && (capacity & (capacity - 1)) == 0);
    table->entries = mw_alloc(MW_MEM_MERGE, capacity * sizeof *table->entries);
    table->hashes = mw_alloc(MW_MEM_MERGE, capacity * sizeof *table->hashes);
    table->slots = mw_calloc(MW_MEM_MERGE, (size_t)capacity * 2, sizeof *table->slots);
    table->bytes = mw_alloc(MW_MEM_MERGE, room);
    table->capacity = capacity;
    table->room = room;
    return table->entries && table->hashes && table->slots && table->bytes ? MW_OK : MW_E_NOMEM;
}

void mw_byte_table_fini(mw_byte_table *table)
{
    mw_free(MW_MEM_MERGE, table->entries);
    mw_free(MW_MEM_MERGE, table->hashes);
    mw_free(MW_MEM_MERGE, table->slots);
    mw_free(MW_MEM_MERGE, table->bytes);
    memset(table, 0, sizeof *table);
}

void mw_byte_table_clear(mw_byte_table *table)
{
    if (table->count)
        memset(table->slots, 0, slot_mask(table) * sizeof *table->slots + sizeof *table->slots);
    table->count = 0;
    table->used = 0;
}

size_t mw_byte_table_size(const mw_byte_table *table)
{
    return table->room + table->capacity * (sizeof *table->entries + sizeof *table->hashes +
                                            2 * sizeof *table->slots);
}

static mw_err append(mw_byte_table *table, mw_slice bytes, uint32_t hash, uint32_t *number)
{
    mw_err err = MW_OK;
    if (table->count == table->capacity)
        err = grow_entries(table);
    if (err == MW_OK && bytes.len > table->room - table->used)
        err = grow_bytes(table, bytes.len);
    if (err != MW_OK)
        return err;
    if (bytes.len)
        memcpy(table->bytes + table->used, bytes.data, bytes.len);
    table->entries[table->count] = (mw_byte_entry){(uint32_t)table->used, (uint32_t)bytes.len};
    table->hashes[table->count] = hash;
    table->used += bytes.len;
    *number = table->count++;
    return MW_OK;
}

mw_err mw_byte_table_put(mw_byte_table *table, mw_slice bytes, uint32_t *number)
{
    uint64_t seed = (uint64_t)(uintptr_t)table;
    uint32_t hash = (uint32_t)XXH3_64bits_withSeed(bytes.data, bytes.len, seed);
    uint32_t mask = slot_mask(table);

    for (uint32_t slot = hash & mask; table->slots[slot]; slot = (slot + 1) & mask) {
        uint32_t at = table->slots[slot] - 1;
        const mw_byte_entry *entry = &table->entries[at];
        if (table->hashes[at] == hash && entry->len == bytes.len &&
            (!bytes.len || memcmp(table->bytes + entry->at, bytes.data, bytes.len) == 0)) {
            *number = at;
            return MW_OK;
        }
    }
    mw_err err = append(table, bytes, hash, number);
    if (err == MW_OK)
        place(table, hash, *number);
    return err;
}

mw_err mw_byte_table_add(mw_byte_table *table, mw_slice bytes, uint32_t *number)
{
    uint64_t seed = (uint64_t)(uintptr_t)table;
    uint32_t hash = (uint32_t)XXH3_64bits_withSeed(bytes.data, bytes.len, seed);
    return append(table, bytes, hash, number);
}
