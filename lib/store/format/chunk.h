/* Chunks packed, into a block that grows. Unpacking is mw_chunk_unpack (block.h).
 *
 * The largest request is what memory has to be kept for, so its items are never laid out as a
 * whole: a chunk beyond MW_PIECE_SIZE is packed piece by piece while it is written. Smaller ones
 * become a single lz4 block. All memory is MW_MEM_INGEST.
 */
#ifndef MW_STORE_CHUNK_H
#define MW_STORE_CHUNK_H

#include "lib/store/format/block.h"

/* The block as it grows; starts zeroed, `data` is the caller's to free. */
typedef struct mw_block_buffer {
    unsigned char *data;
    size_t used, capacity;
} mw_block_buffer;

/* Makes sure that `room` bytes fit behind `used`. False without memory. */
MW_MUST_USE bool mw_block_buffer_reserve(mw_block_buffer *to, size_t room);
/* What packing a chunk of that length will ask for at first. */
size_t mw_chunk_room(uint32_t raw_len);

/* Adds a chunk as one lz4 block; what does not shrink stays as it is. MW_E_NOMEM. */
MW_MUST_USE mw_err mw_chunk_pack(mw_block_buffer *to, const unsigned char *raw, uint32_t len,
                                 uint32_t *stored, uint8_t *codec);

/* The same of items in fields, in which less repeats. */
MW_MUST_USE mw_err mw_chunk_pack_fields(mw_block_buffer *to, const unsigned char *raw, uint32_t len,
                                        uint32_t *stored, uint8_t *codec);

/* Adds a chunk of `raw_len` bytes that come one after the other. Errors stick until _end, which
 * frees what _begin made, must be called in any case, and says what the header needs. */
typedef struct mw_chunk_writer {
    mw_block_buffer *to;
    size_t from; /* where the chunk begins in *to */
    uint32_t raw_len, written;
    unsigned char *piece;
    size_t used, size;
    mw_err err;
} mw_chunk_writer;

void mw_chunk_begin(mw_chunk_writer *writer, mw_block_buffer *to, uint32_t raw_len);
/* Across the end of a piece; what the inline functions below do not do. */
void mw_chunk_put_over(mw_chunk_writer *writer, const void *bytes, size_t len);
/* MW_E_NOMEM. Exactly raw_len bytes were put. */
MW_MUST_USE mw_err mw_chunk_end(mw_chunk_writer *writer, uint32_t *stored, uint8_t *codec);

static inline void mw_chunk_put(mw_chunk_writer *writer, const void *bytes, size_t len)
{
    if (len >= writer->size - writer->used) {
        mw_chunk_put_over(writer, bytes, len);
    } else if (len) {
        memcpy(writer->piece + writer->used, bytes, len);
        writer->used += len;
    }
}

static inline void mw_chunk_put_u32(mw_chunk_writer *writer, uint32_t value)
{
    unsigned char bytes[sizeof value];
    mw_put_u32(bytes, value);
    mw_chunk_put(writer, bytes, sizeof bytes);
}

/* Behind the items' chunk, which begins at `from` and is the last in *to: pads it, and notes its
 * checksum. MW_E_NOMEM. */
MW_MUST_USE mw_err mw_chunk_pad_items(mw_block_buffer *to, size_t from, mw_block_header *header);

#endif
