/* The item chunk from front to back. See items_walk.h. */
#include "lib/store/segment/items_walk.h"
#include "lib/store/format/hot_layout.h"
#include "lib/store/segment/pread_all.h"

/* ---- pieces ---------------------------------------------------------------------------------- */

static uint32_t next_raw(const mw_items_walk *walk)
{
    return walk->packed < MW_PIECE_SIZE ? walk->packed : MW_PIECE_SIZE;
}

/* The next piece becomes the window; with `pass_over` it is not unpacked, and there is none. */
static mw_err next_piece(mw_items_walk *walk, bool pass_over)
{
    mw_block_reader *reader = walk->reader;
    unsigned char head[4];
    uint32_t raw = next_raw(walk);

    if (raw == 0 || walk->end - walk->next < sizeof head)
        return MW_E_CORRUPT;
    mw_err err = mw_pread_all(walk->fd, head, sizeof head, walk->next);
    if (err != MW_OK)
        return err;
    uint32_t len = mw_get_u32(head);
    if (len > raw || len > walk->end - walk->next - sizeof head)
        return MW_E_CORRUPT;
    if (!pass_over) {
        if (!mw_block_reader_room(&reader->stored, &reader->stored_size, len) ||
            !mw_block_reader_room(&reader->raw, &reader->raw_size, raw))
            return MW_E_NOMEM;
        uint8_t codec = MW_CODEC_LZ4;
        if (len == raw)
            codec = MW_CODEC_PLAIN;
        err = mw_pread_all(walk->fd, reader->stored, len, walk->next + sizeof head);
        if (err == MW_OK)
            err = mw_chunk_unpack(codec, mw_slice_bytes(reader->stored, len), reader->raw, raw);
        walk->window = mw_slice_bytes(reader->raw, raw);
    }
    walk->next += sizeof head + (uint64_t)len;
    walk->packed -= raw;
    return err;
}

/* The next `len` bytes of the unpacked chunk, to `out` unless that is NULL. */
static mw_err take(mw_items_walk *walk, uint64_t len, void *out)
{
    char *to = out;
    while (len) {
        if (walk->window.len == 0) {
            bool pass_over = !to && len >= next_raw(walk);
            uint32_t raw = next_raw(walk);
            mw_err err = next_piece(walk, pass_over);
            if (err != MW_OK)
                return err;
            len -= pass_over ? raw : 0;
            continue;
        }
        size_t now = len < walk->window.len ? (size_t)len : walk->window.len;
        if (to) {
            memcpy(to, walk->window.data, now);
            to += now;
        }
        walk->window = mw_slice_from(walk->window, now);
        len -= now;
    }
    return MW_OK;
}

/* ---- tables ---------------------------------------------------------------------------------- */

size_t mw_items_walk_contexts(const mw_items_walk *walk)
{
    return (size_t)walk->resources + walk->scopes + walk->metrics;
}

uint32_t mw_items_walk_message_length(const mw_items_walk *walk, size_t context)
{
    return mw_get_u32(walk->tables + MW_ITEMS_CONTEXT * context);
}

uint32_t mw_items_walk_url_length(const mw_items_walk *walk, size_t context)
{
    return mw_get_u32(walk->tables + MW_ITEMS_CONTEXT * context + 4);
}

uint32_t mw_items_walk_item_length(const mw_items_walk *walk, uint32_t row)
{
    return mw_get_u32(walk->lengths + 4 * (size_t)row);
}

static uint64_t part_length(const mw_items_walk *walk, size_t part)
{
    size_t contexts = mw_items_walk_contexts(walk);
    if (part >= contexts)
        return mw_items_walk_item_length(walk, (uint32_t)(part - contexts));
    return (uint64_t)mw_items_walk_message_length(walk, part) +
           mw_items_walk_url_length(walk, part);
}

/* Every reference names a context, and the parts make up the chunk's rest: `len` bytes. */
static bool tables_hold(const mw_items_walk *walk, uint64_t len)
{
    size_t heads = (size_t)walk->resources + walk->scopes;
    for (size_t part = 0; part < mw_items_walk_contexts(walk) + walk->count; part++) {
        uint64_t now = part_length(walk, part);
        if (now > len)
            return false;
        len -= now;
    }
    for (size_t i = heads; i < heads + walk->metrics; i++)
        if (mw_items_walk_url_length(walk, i))
            return false;
    for (uint32_t row = 0; row < walk->count; row++)
        if (mw_items_walk_resource(walk, row) >= walk->resources ||
            mw_items_walk_scope(walk, row) >= walk->scopes ||
            (walk->metric_refs && mw_items_walk_metric(walk, row) >= walk->metrics))
            return false;
    return len == 0;
}

static void place_tables(mw_items_walk *walk, const unsigned char *tables, mw_signal signal)
{
    size_t column = 4 * (size_t)walk->count;
    walk->tables = tables;
    walk->lengths = tables + MW_ITEMS_CONTEXT * mw_items_walk_contexts(walk);
    walk->resource_refs = walk->lengths + column;
    walk->scope_refs = walk->resource_refs + column;
    walk->metric_refs = signal == MW_SIGNAL_METRICS ? walk->scope_refs + column : NULL;
}

static mw_err read_tables(mw_items_walk *walk, const mw_block_header *header)
{
    unsigned char counts[MW_ITEMS_PREFIX];
    bool metrics = header->signal == MW_SIGNAL_METRICS;

    if (header->items_raw < sizeof counts)
        return MW_E_CORRUPT;
    mw_err err = take(walk, sizeof counts, counts);
    if (err != MW_OK)
        return err;
    walk->count = header->item_count;
    walk->resources = mw_get_u32(counts);
    walk->scopes = mw_get_u32(counts + 4);
    walk->metrics = mw_get_u32(counts + 8);
    uint64_t contexts = MW_ITEMS_CONTEXT * (uint64_t)mw_items_walk_contexts(walk);
    uint64_t len = contexts + (uint64_t)walk->count * mw_items_fixed(header->signal);
    if ((walk->metrics && !metrics) || len > header->items_raw - sizeof counts)
        return MW_E_CORRUPT;
    walk->own_tables = mw_alloc(MW_MEM_QUERY, (size_t)len);
    if (!walk->own_tables)
        return MW_E_NOMEM;
    place_tables(walk, walk->own_tables, header->signal);
    err = take(walk, len, walk->own_tables);
    if (err == MW_OK && !tables_hold(walk, header->items_raw - sizeof counts - len))
        err = MW_E_CORRUPT;
    return err;
}

/* ---- the walk -------------------------------------------------------------------------------- */

/* The chunk is the window as a whole. */
static mw_err begin_whole(mw_items_walk *walk, uint64_t offset, const mw_block_header *header)
{
    mw_err err = mw_read_items_raw(walk->reader, walk->fd, offset, header);
    walk->window = mw_slice_bytes(walk->reader->raw, header->items_raw);
    return err == MW_OK ? read_tables(walk, header) : err;
}

/* Its contexts are the window; items are put together when they are asked for. */
static mw_err begin_fields(mw_items_walk *walk, uint64_t offset, const mw_block_header *header,
                           const mw_hot *hot)
{
    mw_fields *fields = &walk->fields;
    mw_err err = mw_read_items_raw(walk->reader, walk->fd, offset, header);
    if (err == MW_OK)
        err = mw_fields_open(header, hot, mw_slice_bytes(walk->reader->raw, header->items_raw),
                             fields);
    if (err != MW_OK)
        return err;
    walk->in_fields = true;
    walk->count = fields->count;
    walk->resources = fields->resources;
    walk->scopes = fields->scopes;
    walk->metrics = fields->metrics;
    walk->window = mw_slice_bytes(fields->contexts, fields->contexts_len);
    place_tables(walk, fields->tables, header->signal);
    return MW_OK;
}

mw_err mw_items_walk_begin(mw_items_walk *walk, mw_block_reader *reader, int fd, uint64_t offset,
                           const mw_block_header *header, const mw_hot *hot)
{
    uint64_t begin = offset + MW_BLOCK_HEADER_SIZE + header->hot_stored;
    mw_err err;

    *walk = (mw_items_walk){
        .reader = reader, .fd = fd, .next = begin, .end = begin + header->items_stored};
    switch (header->items_codec) {
    case MW_CODEC_FIELDS:
    case MW_CODEC_LOG_FIELDS: err = begin_fields(walk, offset, header, hot); break;
    case MW_CODEC_PIECES:
        err = mw_check_items(reader, fd, offset, header);
        walk->packed = header->items_raw;
        if (err == MW_OK)
            err = read_tables(walk, header);
        break;
    default: err = begin_whole(walk, offset, header);
    }
    if (err != MW_OK)
        mw_items_walk_end(walk);
    return err;
}

void mw_items_walk_end(mw_items_walk *walk)
{
    if (walk->in_fields)
        mw_fields_close(&walk->fields);
    else
        mw_free(MW_MEM_QUERY, walk->own_tables);
    walk->own_tables = NULL;
    walk->tables = NULL;
    walk->in_fields = false;
}

static mw_err read_part(mw_items_walk *walk, size_t part, char *out)
{
    uint64_t between = 0;
    MW_ASSERT(part >= walk->part);
    for (; walk->part < part; walk->part++)
        between += part_length(walk, walk->part);
    mw_err err = take(walk, between, NULL);
    if (err == MW_OK)
        err = take(walk, part_length(walk, part), out);
    walk->part = part + 1;
    return err;
}

mw_err mw_items_walk_context(mw_items_walk *walk, size_t context, char *out)
{
    MW_ASSERT(context < mw_items_walk_contexts(walk));
    return read_part(walk, context, out);
}

/* What of the chunk is unpacked and not passed over is the window. */
mw_slice mw_items_walk_peek(mw_items_walk *walk, uint32_t row)
{
    size_t part = mw_items_walk_contexts(walk) + row;
    uint64_t between = 0;
    if (walk->in_fields)
        return MW_SLICE_NONE;
    MW_ASSERT(row < walk->count && part >= walk->part);
    for (size_t i = walk->part; i < part; i++)
        between += part_length(walk, i);
    uint64_t len = part_length(walk, part);
    if (between + len > walk->window.len)
        return MW_SLICE_NONE;
    mw_slice item = mw_slice_bytes(walk->window.data + between, (size_t)len);
    walk->window = mw_slice_from(walk->window, (size_t)(between + len));
    walk->part = part + 1;
    return item;
}

mw_err mw_items_walk_item(mw_items_walk *walk, uint32_t row, char *out)
{
    MW_ASSERT(row < walk->count);
    if (walk->in_fields) {
        MW_ASSERT(mw_items_walk_contexts(walk) + row >= walk->part);
        mw_fields_item(&walk->fields, row, out);
        walk->part = mw_items_walk_contexts(walk) + row + 1;
        return MW_OK;
    }
    return read_part(walk, mw_items_walk_contexts(walk) + row, out);
}
