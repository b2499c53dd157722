/* Distinct strings of bytes, numbered in the order in which they came.
 *
 * Open addressing over 64-bit hashes, the bytes in one growing buffer. What is put in comes from
 * senders, so the hash is seeded with an address: nobody can aim at one slot. Memory is
 * MW_MEM_MERGE. One thread at a time.
 */
#ifndef MW_STORE_BYTE_TABLE_H
#define MW_STORE_BYTE_TABLE_H

#include "lib/base/memory.h"
#include "lib/base/slice.h"

typedef struct mw_byte_entry {
    uint32_t at, len; /* in the buffer */
} mw_byte_entry;

typedef struct mw_byte_table {
    unsigned char *bytes;
    size_t used, room;
    mw_byte_entry *entries;
    uint32_t *hashes; /* of each entry; its low bits choose the slot */
    uint32_t count, capacity;
    uint32_t *slots; /* 1 + number, 0 = free; twice the capacity */
} mw_byte_table;

/* Begins zeroed; `capacity` entries (a power of two) and `room` bytes to begin with. MW_E_NOMEM:
 * still to be finished. */
MW_MUST_USE mw_err mw_byte_table_init(mw_byte_table *table, uint32_t capacity, size_t room);
void mw_byte_table_fini(mw_byte_table *table);
/* Begins anew with the memory that there is. */
void mw_byte_table_clear(mw_byte_table *table);
/* Bytes of memory held. */
size_t mw_byte_table_size(const mw_byte_table *table);

/* The number of `bytes`, which are added if they are new. MW_E_NOMEM; MW_E_LIMIT: the buffer would
 * exceed 1 GiB. */
MW_MUST_USE mw_err mw_byte_table_put(mw_byte_table *table, mw_slice bytes, uint32_t *number);
/* Adds without looking, and nobody need find it. Errors as above. */
MW_MUST_USE mw_err mw_byte_table_add(mw_byte_table *table, mw_slice bytes, uint32_t *number);

static inline mw_slice mw_byte_table_get(const mw_byte_table *table, uint32_t number)
{
    const mw_byte_entry *entry = &table->entries[number];
    return (mw_slice){(const char *)table->bytes + entry->at, entry->len};
}

#endif
