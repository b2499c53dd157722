/* The codecs "fields" of item chunks: items cut into their top-level protobuf fields, of which
 * equal ones are kept once, and of the columns' values none, then zstd.
 *
 * In the file the chunk is zstd frames, one behind the other; what they unpack to, together, is as
 * long as the block's header says (n items, r resources, c scopes, m metric heads; numbers little
 * endian):
 *
 *   size     what
 *   4, 4, 4  r, c, m (0 but for metrics)
 *   4        k: bytes of all tokens
 *   4        w: 1, 2 or 4, bytes of a reference
 *   8 (r+c+m) length of the message, length of its schema URL (metric heads: 0): resources, then
 *            scopes, then heads
 *   w n x    each item's resource; then of all its scope; then, metrics alone, its metric head
 *            bytes: message and schema URL of each resource, scope and head
 *   k        tokens
 *            dictionary: up to the end
 *
 * An item is the fields, one behind the other, that its tokens name; the tokens of the items follow
 * each other in order. Fields have numbers:
 *
 *   0        no field: the end of the item
 *   1 .. f   fields that the row's columns tell (the table below; f entries for the signal)
 *   f+1 ...  the dictionary's, in its order
 *
 * Tokens, and the length behind one, are varints as in protobuf, of at most 5 bytes:
 *
 *   0        the field that is expected here
 *   1        the next one of the dictionary that no token named yet: as many bytes as the protobuf
 *            field (tag and payload) is long that begins there. Never one of the wire types 3 and
 *            4, groups
 *   2, len   likewise, but `len` bytes (at least 1), whatever they are: from where an item is no
 *            protobuf message
 *   3 + i    field i; of the dictionary only one that was named before
 *
 * What is expected: for each field, the one that followed it last, at first 0; before an item's
 * first field stands field 0. When one is named for the first time by token 1 or 2, then what is
 * expected behind it is what was expected behind the field that was expected in its place. In
 * pseudocode, with next[] all 0 at first:
 *
 *   for each item:
 *       before = 0
 *       do: guess = next[before]
 *           field = the token's
 *           if it was new: next[field] = next[guess]
 *           next[before] = field; before = field
 *       while field is not 0
 *
 * The dictionary's last byte belongs to the last field that tokens named. Fields that the columns
 * tell, as bytes; ids are the column's bytes, numbers are 8 bytes little endian:
 *
 *   traces   1  0a 10, trace id        2  12 08, span id         3  22 08, parent span id
 *            4  39, start              5  41, end
 *   metrics  1  11, start              2  19, time               3  21, value (a double's bits)
 *            4  21, count              5  29, value              6  31, value as a signed
 *                                                                   integer: what is behind the
 *                                                                   point cut off, 0 for a NaN and
 *                                                                   where 64 bits do not hold it
 *   logs     1  09, time               2  4a 10, trace id        3  52 08, span id
 *            4  59, time
 *
 * In the log (codec 5) the chunk is one lz4 block instead of frames, and begins with 4 bytes for
 * each item, its length, as its fields make it; what is drawn above follows. Fields of the
 * dictionary may there be equal: a request is read once, and only what came lately is looked for.
 *
 * Items of a chunk are at most MW_FIELDS_ITEMS_MAX bytes together (8 MiB); it unpacks to at most
 * MW_ZSTD_RAW_MAX (16 MiB).
 */
#ifndef MW_STORE_ITEM_FIELDS_H
#define MW_STORE_ITEM_FIELDS_H

#include "lib/store/format/block.h"

/* A token of a byte can name a field of a MiB: what a block may claim to hold is bounded. Twice
 * what a merged block aims at; longer ones, huge rows, are better read in pieces. */
#define MW_FIELDS_ITEMS_MAX ((uint32_t)8 << 20)

#define MW_FIELDS_PREFIX 20u
enum { MW_TOKEN_EXPECTED = 0, MW_TOKEN_NEW = 1, MW_TOKEN_NEW_BYTES = 2, MW_TOKEN_FIELD = 3 };

/* ---- fields that columns tell ---------------------------------------------------------------- */

#define MW_ROW_FIELDS_MAX 6u

/* Of one row, in the order of the table: field i + 1 ends at ends[i]. */
typedef struct mw_row_fields {
    unsigned char bytes[64];
    uint8_t ends[MW_ROW_FIELDS_MAX + 1];
} mw_row_fields;

/* How many the signal has. */
unsigned mw_row_field_count(mw_signal signal);
void mw_row_fields_make(const mw_hot *hot, uint32_t row, mw_row_fields *out);

/* Field 1 to mw_row_field_count. */
static inline mw_slice mw_row_field(const mw_row_fields *fields, uint32_t field)
{
    unsigned from = field > 1 ? fields->ends[field - 2] : 0;
    return (mw_slice){(const char *)fields->bytes + from, (size_t)fields->ends[field - 1] - from};
}

/* ---- reading --------------------------------------------------------------------------------- */

typedef struct mw_fields_entry {
    uint32_t at, len; /* in the dictionary; of what columns tell, the length alone */
} mw_fields_entry;

/* A chunk, understood: which fields make up each item. Owned: MW_MEM_QUERY. */
typedef struct mw_fields {
    const mw_hot *hot;
    const char *dictionary;
    const char *contexts; /* their bytes */
    unsigned row_fields;
    uint32_t count, resources, scopes, metrics;
    unsigned char *tables; /* as in the plain chunk behind its three counts */
    mw_fields_entry *entries;
    uint32_t entry_count;
    uint32_t *list; /* fields of all items, each item's without its end */
    uint32_t *ends; /* of each item in `list` */
    uint64_t bytes; /* of all items */
    size_t tables_len, contexts_len;
} mw_fields;

/* `raw` (unpacked, header->items_raw bytes) and `hot` must stay until _close. MW_E_CORRUPT,
 * MW_E_NOMEM; nothing is to be closed then. */
MW_MUST_USE mw_err mw_fields_open(const mw_block_header *header, const mw_hot *hot, mw_slice raw,
                                  mw_fields *out);
void mw_fields_close(mw_fields *fields);
static inline uint32_t mw_fields_length(const mw_fields *fields, uint32_t row)
{
    size_t contexts = (size_t)fields->resources + fields->scopes + fields->metrics;
    return mw_get_u32(fields->tables + MW_ITEMS_CONTEXT * contexts + 4 * (size_t)row);
}
/* Puts an item together; `out` has room for its length, which stands in the tables. */
void mw_fields_item(const mw_fields *fields, uint32_t row, char *out);
/* Length of the same chunk, plain; and its bytes. */
uint64_t mw_fields_plain_length(const mw_fields *fields);
void mw_fields_plain(const mw_fields *fields, char *out);

#endif
