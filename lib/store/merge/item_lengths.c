/* Lengths of items. See item_lengths.h. */
#include <lz4.h>

#include "lib/store/format/hot_layout.h"
#include "lib/store/merge/item_lengths.h"
#include "lib/store/segment/pread_all.h"

/* Resources, scopes and heads for which there is room at the first try. */
#define CONTEXTS_AT_FIRST 256u

/* The first `len` bytes of an lz4 block. MW_E_CORRUPT. */
static mw_err unpack_front(mw_block_reader *reader, const mw_block_header *header, uint32_t len)
{
    if (!mw_block_reader_room(&reader->raw, &reader->raw_size, len))
        return MW_E_NOMEM;
    int got = LZ4_decompress_safe_partial(reader->stored, reader->raw, (int)header->items_stored,
                                          (int)len, (int)len);
    return got >= 0 && (uint32_t)got == len ? MW_OK : MW_E_CORRUPT;
}

/* Bytes in front of the lengths: counts, and the table of contexts. */
static uint64_t lengths_offset(const char *front)
{
    uint64_t contexts = (uint64_t)mw_get_u32(front) + mw_get_u32(front + 4) + mw_get_u32(front + 8);
    return MW_ITEMS_PREFIX + contexts * MW_ITEMS_CONTEXT;
}

static mw_err unpack_tables(mw_block_reader *reader, const mw_block_header *header, uint32_t *out)
{
    uint64_t column = 4 * (uint64_t)header->item_count;
    uint64_t len = MW_ITEMS_PREFIX + CONTEXTS_AT_FIRST * MW_ITEMS_CONTEXT + column;
    if (header->items_raw < MW_ITEMS_PREFIX)
        return MW_E_CORRUPT;
    len = len < header->items_raw ? len : header->items_raw;
    mw_err err = unpack_front(reader, header, (uint32_t)len);
    if (err != MW_OK)
        return err;
    uint64_t needed = lengths_offset(reader->raw) + column;
    if (needed > header->items_raw)
        return MW_E_CORRUPT;
    if (needed > len)
        err = unpack_front(reader, header, (uint32_t)needed);
    for (uint32_t row = 0; err == MW_OK && row < header->item_count; row++)
        out[row] = mw_get_u32(reader->raw + needed - column + 4 * (uint64_t)row);
    return err;
}

static mw_err walk_lengths(mw_store_view *view, const mw_index_block *block, uint32_t *out)
{
    mw_items_walk walk;
    mw_hot hot;
    mw_err err = mw_view_hot(view, block, &hot);
    if (err == MW_OK)
        err = mw_view_items(view, block, &hot, &walk);
    if (err != MW_OK)
        return err;
    for (uint32_t row = 0; row < block->header.item_count; row++)
        out[row] = mw_items_walk_item_length(&walk, row);
    mw_items_walk_end(&walk);
    return MW_OK;
}

mw_err mw_item_lengths(mw_store_view *view, const mw_index_block *block, uint32_t *out)
{
    const mw_block_header *header = &block->header;
    mw_block_reader *reader = &view->items_reader;
    if (header->items_codec != MW_CODEC_LZ4)
        return walk_lengths(view, block, out);
    if (!mw_block_reader_room(&reader->stored, &reader->stored_size, header->items_stored))
        return MW_E_NOMEM;
    mw_err err = mw_pread_all(block->segment->fd, reader->stored, header->items_stored,
                              block->offset + MW_BLOCK_HEADER_SIZE + header->hot_stored);
    return err == MW_OK ? unpack_tables(reader, header, out) : err;
}
