/* Distinct strings of bytes, numbered in the order in which they came.
 *
 * Open addressing over hashes, the bytes in one growing buffer. Most strings are new, and their
 * slot is in no cache: a bitmap that is small enough for one says so, and the slot is fetched while
 * the next string comes, and filled then. On request long strings lie in a buffer of their own:
 * they mostly come but once, and between short ones, which are compared again and again, they would
 * push these out of the cache. What is put in comes from senders, so the hash is seeded with an
 * address: nobody can aim at one slot. Memory is MW_MEM_MERGE. One thread at a time.
 */
#ifndef MW_STORE_BYTE_TABLE_H
#define MW_STORE_BYTE_TABLE_H

#include "lib/base/memory.h"
#include "lib/base/slice.h"

typedef struct mw_byte_entry {
    uint32_t at, len; /* in its buffer */
} mw_byte_entry;

typedef struct mw_byte_area {
    unsigned char *bytes;
    size_t used, room;
} mw_byte_area;

typedef struct mw_byte_table {
    mw_byte_area area;  /* all strings in their order, but for long ones */
    mw_byte_area apart; /* those of apart_from bytes and more, likewise */
    size_t apart_from;
    mw_byte_entry *entries;
    uint32_t *hashes; /* of each entry; its low bits choose the slot */
    uint32_t count, capacity;
    uint32_t *slots;  /* 1 + number, and bits of the hash; 0 = free; twice the capacity */
    uint64_t *seen;   /* a bit by the high bits of the hash: some string has it; 8 for each of the
                      * capacity */
    uint32_t pending; /* 1 + number of the one that is in no slot yet; 0 = none */
} mw_byte_table;

/* Begins zeroed; `capacity` entries (a power of two) and `room` bytes to begin with; no string is
 * long until `apart_from` is set, while the table is empty. MW_E_NOMEM: still to be finished. */
MW_MUST_USE mw_err mw_byte_table_init(mw_byte_table *table, uint32_t capacity, size_t room);
void mw_byte_table_fini(mw_byte_table *table);
/* Begins anew with the memory that there is. */
void mw_byte_table_clear(mw_byte_table *table);
/* Bytes of memory held. */
size_t mw_byte_table_size(const mw_byte_table *table);

/* Bytes of all strings. */
static inline size_t mw_byte_table_used(const mw_byte_table *table)
{
    return table->area.used + table->apart.used;
}

/* The number of `bytes`, which are added if they are new. MW_E_NOMEM; MW_E_LIMIT: a buffer would
 * exceed 1 GiB, or there are 2^24 strings. */
MW_MUST_USE mw_err mw_byte_table_put(mw_byte_table *table, mw_slice bytes, uint32_t *number);
/* Adds without looking, and nobody need find it. Errors as above. */
MW_MUST_USE mw_err mw_byte_table_add(mw_byte_table *table, mw_slice bytes, uint32_t *number);

/* The string behind an entry, which stays the same while the table is not cleared. */
static inline mw_slice mw_byte_table_at(const mw_byte_table *table, mw_byte_entry entry)
{
    const mw_byte_area *area = entry.len < table->apart_from ? &table->area : &table->apart;
    return (mw_slice){(const char *)area->bytes + entry.at, entry.len};
}

static inline mw_slice mw_byte_table_get(const mw_byte_table *table, uint32_t number)
{
    return mw_byte_table_at(table, table->entries[number]);
}

#endif
