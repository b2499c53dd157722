/* Lengths of items. See item_lengths.h. */
#include <lz4.h>

#include "lib/store/format/hot_layout.h"
#include "lib/store/merge/item_lengths.h"
#include "lib/store/segment/pread_all.h"

/* Resources, scopes and heads for which there is room at the first try. */
#define CONTEXTS_AT_FIRST 256u

/* The first `stored` bytes of the chunk, as they lie in the file. */
static mw_err read_front(mw_block_reader *reader, const mw_index_block *block, uint32_t stored)
{
    if (!mw_block_reader_room(&reader->stored, &reader->stored_size, stored))
        return MW_E_NOMEM;
    return mw_pread_all(block->segment->fd, reader->stored, stored,
                        block->offset + MW_BLOCK_HEADER_SIZE + block->header.hot_stored);
}

/* The first `len` bytes of an lz4 block, of which `stored` bytes are here. MW_E_CORRUPT. */
static mw_err unpack_front(mw_block_reader *reader, uint32_t stored, uint32_t len)
{
    if (!mw_block_reader_room(&reader->raw, &reader->raw_size, len))
        return MW_E_NOMEM;
    int got =
        LZ4_decompress_safe_partial(reader->stored, reader->raw, (int)stored, (int)len, (int)len);
    return got >= 0 && (uint32_t)got == len ? MW_OK : MW_E_CORRUPT;
}

/* Bytes in front of the lengths: counts, and the table of contexts. */
static uint64_t lengths_offset(const char *front)
{
    uint64_t contexts = (uint64_t)mw_get_u32(front) + mw_get_u32(front + 4) + mw_get_u32(front + 8);
    return MW_ITEMS_PREFIX + contexts * MW_ITEMS_CONTEXT;
}

static void take_lengths(const char *from, uint32_t count, uint32_t *out)
{
    for (uint32_t row = 0; row < count; row++)
        out[row] = mw_get_u32(from + 4 * (uint64_t)row);
}

/* In fields the log says the lengths first of all: where lz4 found nothing among them they are as
 * long, and a byte longer for each 255. Should these not do, the chunk is read. */
static mw_err read_lengths(mw_block_reader *reader, const mw_index_block *block, uint32_t *out)
{
    const mw_block_header *header = &block->header;
    uint64_t column = 4 * (uint64_t)header->item_count, front = column + column / 255 + 16;
    uint32_t stored = header->items_stored;
    if (header->items_raw < column)
        return MW_E_CORRUPT;
    if (front < stored)
        stored = (uint32_t)front;
    mw_err err = read_front(reader, block, stored);
    if (err == MW_OK)
        err = unpack_front(reader, stored, (uint32_t)column);
    if (err == MW_E_CORRUPT && stored < header->items_stored) {
        stored = header->items_stored;
        err = read_front(reader, block, stored);
        if (err == MW_OK)
            err = unpack_front(reader, stored, (uint32_t)column);
    }
    if (err == MW_OK)
        take_lengths(reader->raw, header->item_count, out);
    return err;
}

static mw_err unpack_tables(mw_block_reader *reader, const mw_block_header *header, uint32_t *out)
{
    uint64_t column = 4 * (uint64_t)header->item_count;
    uint64_t len = MW_ITEMS_PREFIX + CONTEXTS_AT_FIRST * MW_ITEMS_CONTEXT + column;
    if (header->items_raw < MW_ITEMS_PREFIX)
        return MW_E_CORRUPT;
    len = len < header->items_raw ? len : header->items_raw;
    mw_err err = unpack_front(reader, header->items_stored, (uint32_t)len);
    if (err != MW_OK)
        return err;
    uint64_t needed = lengths_offset(reader->raw) + column;
    if (needed > header->items_raw)
        return MW_E_CORRUPT;
    if (needed > len)
        err = unpack_front(reader, header->items_stored, (uint32_t)needed);
    if (err == MW_OK)
        take_lengths(reader->raw + needed - column, header->item_count, out);
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
    if (header->items_codec == MW_CODEC_LOG_FIELDS)
        return read_lengths(reader, block, out);
    if (header->items_codec != MW_CODEC_LZ4)
        return walk_lengths(view, block, out);
    mw_err err = read_front(reader, block, header->items_stored);
    return err == MW_OK ? unpack_tables(reader, header, out) : err;
}
