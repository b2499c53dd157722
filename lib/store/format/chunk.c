/* Chunks to packed bytes and back. See chunk.h; the codecs are drawn in segment_format.h. */
#include <lz4.h>

#include "lib/store/format/chunk.h"

/* ---- packing --------------------------------------------------------------------------------- */

/* Columns beyond this get room for half of their length at first, not for the worst case: they
 * pack to less, and the rare chunk that does not fit is packed twice. */
#define ROOM_IN_FULL MW_PIECE_SIZE

size_t mw_chunk_room(uint32_t raw_len)
{
    return raw_len > ROOM_IN_FULL ? raw_len / 2 : (size_t)LZ4_compressBound((int)raw_len);
}

bool mw_block_buffer_reserve(mw_block_buffer *to, size_t room)
{
    size_t wanted = to->used + room;
    if (wanted <= to->capacity)
        return true;
    /* A block that grows by pieces is not moved for each of them. */
    if (to->capacity)
        wanted += to->used / 4;
    unsigned char *grown = mw_realloc(MW_MEM_INGEST, to->data, wanted);
    if (!grown)
        return false;
    to->data = grown;
    to->capacity = wanted;
    return true;
}

/* How soon lz4 gives up looking for more: of 1 to 8 the first that saves most of the time there is
 * to save. The log is packed again within minutes. docs/PERFORMANCE.md has the figures. */
#define LZ4_ACCELERATION 3
/* Of what is in fields equal ones are gone: what lz4 finds is short, and many such matches cost
 * more than their bytes are worth for as long. */
#define FIELDS_ACCELERATION 64

/* Length of `raw` packed into `room` bytes at `at`; 0 when it does not fit or does not shrink. */
static uint32_t pack(const unsigned char *raw, size_t len, unsigned char *at, size_t room,
                     int acceleration)
{
    int packed =
        LZ4_compress_fast((const char *)raw, (char *)at, (int)len, (int)room, acceleration);
    return packed > 0 && (size_t)packed < len ? (uint32_t)packed : 0;
}

static mw_err pack_whole(mw_block_buffer *to, const unsigned char *raw, uint32_t len,
                         int acceleration, uint32_t *stored, uint8_t *codec)
{
    uint32_t packed = 0;
    for (size_t room = mw_chunk_room(len); !packed; room = len) {
        if (!mw_block_buffer_reserve(to, room))
            return MW_E_NOMEM;
        packed = pack(raw, len, to->data + to->used, room, acceleration);
        if (room >= len)
            break;
    }
    if (!packed)
        memcpy(to->data + to->used, raw, len);
    *stored = packed ? packed : len;
    *codec = packed ? MW_CODEC_LZ4 : MW_CODEC_PLAIN;
    to->used += *stored;
    return MW_OK;
}

mw_err mw_chunk_pack(mw_block_buffer *to, const unsigned char *raw, uint32_t len, uint32_t *stored,
                     uint8_t *codec)
{
    return pack_whole(to, raw, len, LZ4_ACCELERATION, stored, codec);
}

mw_err mw_chunk_pack_fields(mw_block_buffer *to, const unsigned char *raw, uint32_t len,
                            uint32_t *stored, uint8_t *codec)
{
    return pack_whole(to, raw, len, FIELDS_ACCELERATION, stored, codec);
}

/* ---- pieces ---------------------------------------------------------------------------------- */

void mw_chunk_begin(mw_chunk_writer *writer, mw_block_buffer *to, uint32_t raw_len)
{
    *writer = (mw_chunk_writer){.to = to, .from = to->used, .raw_len = raw_len};
    size_t size = raw_len < MW_PIECE_SIZE ? raw_len : MW_PIECE_SIZE;
    writer->piece = mw_alloc(MW_MEM_INGEST, size);
    if (writer->piece)
        writer->size = size;
    else
        writer->err = MW_E_NOMEM;
}

/* The piece is full, or the last. */
static void end_piece(mw_chunk_writer *writer)
{
    mw_block_buffer *to = writer->to;
    size_t room = (size_t)LZ4_compressBound((int)writer->used);
    if (!mw_block_buffer_reserve(to, 4 + room)) {
        writer->err = MW_E_NOMEM;
        return;
    }
    unsigned char *at = to->data + to->used;
    uint32_t len = pack(writer->piece, writer->used, at + 4, room, LZ4_ACCELERATION);
    if (!len) {
        len = (uint32_t)writer->used;
        memcpy(at + 4, writer->piece, len);
    }
    mw_put_u32(at, len);
    to->used += 4 + (size_t)len;
    writer->written += (uint32_t)writer->used;
    writer->used = 0;
}

void mw_chunk_put_over(mw_chunk_writer *writer, const void *bytes, size_t len)
{
    const unsigned char *at = bytes;
    while (len && !writer->err) {
        size_t room = writer->size - writer->used;
        size_t now = len < room ? len : room;
        MW_ASSERT(now > 0);
        memcpy(writer->piece + writer->used, at, now);
        writer->used += now;
        at += now;
        len -= now;
        if (writer->used == writer->size && writer->raw_len > MW_PIECE_SIZE)
            end_piece(writer);
    }
}

mw_err mw_chunk_end(mw_chunk_writer *writer, uint32_t *stored, uint8_t *codec)
{
    if (!writer->err && writer->raw_len <= MW_PIECE_SIZE) {
        MW_ASSERT(writer->used == writer->raw_len);
        writer->err = mw_chunk_pack(writer->to, writer->piece, writer->raw_len, stored, codec);
    } else if (!writer->err) {
        if (writer->used)
            end_piece(writer);
        MW_ASSERT(writer->err || writer->written == writer->raw_len);
        *stored = (uint32_t)(writer->to->used - writer->from);
        *codec = MW_CODEC_PIECES;
    }
    mw_free(MW_MEM_INGEST, writer->piece);
    return writer->err;
}

/* ---- unpacking ------------------------------------------------------------------------------- */

/* One piece, `raw` bytes when unpacked, off the front of *stored. */
static bool unpack_piece(mw_slice *stored, char *out, uint32_t raw)
{
    if (stored->len < 4)
        return false;
    uint32_t len = mw_get_u32(stored->data);
    *stored = mw_slice_from(*stored, 4);
    if (len > stored->len || len > raw)
        return false;
    if (len == raw)
        memcpy(out, stored->data, raw);
    else if (LZ4_decompress_safe(stored->data, out, (int)len, (int)raw) != (int)raw)
        return false;
    *stored = mw_slice_from(*stored, len);
    return true;
}

static mw_err unpack_pieces(mw_slice stored, char *out, uint32_t raw_len)
{
    for (uint32_t done = 0, now; done < raw_len; done += now) {
        now = raw_len - done < MW_PIECE_SIZE ? raw_len - done : MW_PIECE_SIZE;
        if (!unpack_piece(&stored, out + done, now))
            return MW_E_CORRUPT;
    }
    return stored.len == 0 ? MW_OK : MW_E_CORRUPT;
}

mw_err mw_chunk_unpack(uint8_t codec, mw_slice stored, void *out, uint32_t raw_len)
{
    if (codec == MW_CODEC_PLAIN) {
        if (stored.len != raw_len)
            return MW_E_CORRUPT;
        if (raw_len)
            memcpy(out, stored.data, raw_len);
        return MW_OK;
    }
    if (stored.len > INT32_MAX || raw_len > MW_BLOCK_RAW_MAX)
        return MW_E_CORRUPT;
    if (codec == MW_CODEC_PIECES)
        return unpack_pieces(stored, out, raw_len);
    if (codec != MW_CODEC_LZ4 && codec != MW_CODEC_LOG_FIELDS)
        return MW_E_CORRUPT;
    int got = LZ4_decompress_safe(stored.data, out, (int)stored.len, (int)raw_len);
    return got >= 0 && (uint32_t)got == raw_len ? MW_OK : MW_E_CORRUPT;
}

mw_err mw_chunk_pad_items(mw_block_buffer *to, size_t from, mw_block_header *header)
{
    if (!mw_block_buffer_reserve(to, MW_BLOCK_ALIGN))
        return MW_E_NOMEM;
    uint32_t padded = mw_items_padded(header);
    memset(to->data + to->used, 0, padded - header->items_stored);
    to->used = from + padded;
    header->items_checksum = mw_chunk_checksum(to->data + from, padded);
    return MW_OK;
}
