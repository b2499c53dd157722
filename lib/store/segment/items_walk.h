/* Walks the item chunk of a block from front to back, without ever holding the whole of it.
 *
 * A chunk is as large as the largest request, more than the share of memory that a question may
 * take; an answer needs a few rows of it. So the chunk is checked and unpacked piece by piece, the
 * tables in front are kept (MW_MEM_QUERY), and of what follows only the parts that are asked for
 * are copied, to where the caller wants them. Parts are asked for in their order in the chunk. Only
 * a chunk that is no longer than a piece, or was written before there were pieces, is unpacked as a
 * whole. A chunk in fields is unpacked as it is in the file, its dictionary and tokens; of its
 * items only those that are asked for are put together. One thread at a time.
 */
#ifndef MW_STORE_ITEMS_WALK_H
#define MW_STORE_ITEMS_WALK_H

#include "lib/store/format/item_fields.h"
#include "lib/store/segment/block_reader.h"

typedef struct mw_items_walk {
    mw_block_reader *reader; /* whose buffers hold the present piece, packed and unpacked */
    int fd;
    uint64_t next, end; /* in the file: the next piece, the end of the last */
    uint32_t packed;    /* bytes of the unpacked chunk that lie in pieces still to come */
    mw_slice window;    /* of the present piece, what was not taken yet */
    bool in_fields;
    mw_fields fields;            /* of a chunk in fields */
    unsigned char *own_tables;   /* of any other */
    const unsigned char *tables; /* without the three counts */
    uint32_t count, resources, scopes, metrics;
    const unsigned char *lengths, *resource_refs, *scope_refs;
    const unsigned char *metric_refs; /* metrics' blocks alone; else NULL */
    size_t part;                      /* the next: contexts, then items */
} mw_items_walk;

/* Checks the whole chunk against its checksum and its tables against each other. MW_E_CORRUPT,
 * MW_E_IO, MW_E_NOMEM; nothing is to be freed then. The reader must outlive the walk and serve
 * nothing else meanwhile. `hot` are the block's columns, which must outlive it too: items in fields
 * do not repeat what they say. */
MW_MUST_USE mw_err mw_items_walk_begin(mw_items_walk *walk, mw_block_reader *reader, int fd,
                                       uint64_t offset, const mw_block_header *header,
                                       const mw_hot *hot);
void mw_items_walk_end(mw_items_walk *walk);

/* Contexts are resources, scopes, then metric heads. */
size_t mw_items_walk_contexts(const mw_items_walk *walk);
uint32_t mw_items_walk_message_length(const mw_items_walk *walk, size_t context);
uint32_t mw_items_walk_url_length(const mw_items_walk *walk, size_t context);
uint32_t mw_items_walk_item_length(const mw_items_walk *walk, uint32_t row);

/* Copies a context (message, then URL) or an item to `out`, which has room for its length. None
 * that was read or passed over may be asked for. MW_E_CORRUPT, MW_E_IO, MW_E_NOMEM. */
MW_MUST_USE mw_err mw_items_walk_context(mw_items_walk *walk, size_t context, char *out);
MW_MUST_USE mw_err mw_items_walk_item(mw_items_walk *walk, uint32_t row, char *out);

/* The item where it lies, without a copy, valid until the walk's next use; data is NULL when it
 * does not lie there as a whole: _item then. Rows as there. */
mw_slice mw_items_walk_peek(mw_items_walk *walk, uint32_t row);

static inline uint32_t mw_items_walk_resource(const mw_items_walk *walk, uint32_t row)
{
    return mw_get_u32(walk->resource_refs + 4 * (size_t)row);
}

static inline uint32_t mw_items_walk_scope(const mw_items_walk *walk, uint32_t row)
{
    return mw_get_u32(walk->scope_refs + 4 * (size_t)row);
}

static inline uint32_t mw_items_walk_metric(const mw_items_walk *walk, uint32_t row)
{
    return mw_get_u32(walk->metric_refs + 4 * (size_t)row);
}

#endif
