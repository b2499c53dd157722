/* The items of a request in fields, for the log: what item_fields.h draws under "In the log".
 *
 * Runs on the thread that appends, while it encodes the block; all memory is MW_MEM_INGEST and is
 * gone when it returns. field_writer.h makes the same of rows that come in any order, for merges.
 */
#ifndef MW_STORE_FIELDS_ENCODE_H
#define MW_STORE_FIELDS_ENCODE_H

#include "lib/store/format/chunk.h"
#include "lib/store/format/item_fields.h"

/* Fewer items have little that repeats; what is needed to find it would cost more. */
#define MW_LOG_FIELDS_ITEMS_MIN 32u
/* Plain chunks beyond a piece are packed while they are laid out; they stay as they are. */
#define MW_LOG_FIELDS_BYTES_MAX MW_PIECE_SIZE

/* `plain`: length of the items' chunk as it would be without. */
static inline bool mw_fields_encode_wanted(const mw_store_batch *batch, uint64_t plain)
{
    return batch->item_count >= MW_LOG_FIELDS_ITEMS_MIN && plain <= MW_LOG_FIELDS_BYTES_MAX;
}

/* Adds the items' chunk behind *to, and notes codec and lengths in the header; `hot` are the
 * block's columns. *done is false, and nothing has changed, where little repeats. MW_E_NOMEM. */
MW_MUST_USE mw_err mw_fields_encode(const mw_store_batch *batch, const mw_hot *hot,
                                    mw_block_buffer *to, mw_block_header *header, bool *done);

#endif
