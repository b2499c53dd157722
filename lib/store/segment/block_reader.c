/* Chunks from a file into memory. See block_reader.h. */
#define XXH_STATIC_LINKING_ONLY /* for a hash state without an allocation */
#include <xxhash.h>

#include "lib/store/format/hot_planes.h"
#include "lib/store/format/item_fields.h"
#include "lib/store/segment/block_reader.h"
#include "lib/store/segment/pread_all.h"

void mw_block_reader_init(mw_block_reader *reader)
{
    memset(reader, 0, sizeof *reader);
}

void mw_block_reader_fini(mw_block_reader *reader)
{
    mw_free(MW_MEM_QUERY, reader->stored);
    mw_free(MW_MEM_QUERY, reader->raw);
    mw_free(MW_MEM_QUERY, reader->plain);
    mw_zstd_fini(&reader->zstd);
    memset(reader, 0, sizeof *reader);
}

/* The content need not survive: free first, so that both never stand at once. */
bool mw_block_reader_room(char **buffer, size_t *size, size_t need)
{
    if (*size >= need && *buffer)
        return true;
    mw_free(MW_MEM_QUERY, *buffer);
    *buffer = mw_alloc(MW_MEM_QUERY, need + need / 4 + 64);
    *size = *buffer ? need + need / 4 + 64 : 0;
    return *buffer != NULL;
}

static mw_err fetch(mw_block_reader *reader, int fd, uint64_t at, uint32_t len, uint64_t checksum)
{
    if (!mw_block_reader_room(&reader->stored, &reader->stored_size, len))
        return MW_E_NOMEM;
    mw_err err = mw_pread_all(fd, reader->stored, len, at);
    if (err == MW_OK && mw_chunk_checksum(reader->stored, len) != checksum)
        err = MW_E_CORRUPT;
    return err;
}

static mw_err unpack_hot(mw_block_reader *reader, const mw_block_header *header,
                         mw_column_set columns)
{
    mw_slice stored = mw_slice_bytes(reader->stored, header->hot_stored);
    if (!mw_block_reader_room(&reader->raw, &reader->raw_size, header->hot_raw))
        return MW_E_NOMEM;
    if (header->hot_codec == MW_CODEC_PLANES)
        return mw_planes_unpack_some(&reader->zstd, header, stored, columns, reader->raw);
    return mw_chunk_unpack(header->hot_codec, stored, reader->raw, header->hot_raw);
}

static mw_err unpack_items(mw_block_reader *reader, const mw_block_header *header)
{
    mw_slice stored = mw_slice_bytes(reader->stored, header->items_stored);
    if (!mw_block_reader_room(&reader->raw, &reader->raw_size, header->items_raw))
        return MW_E_NOMEM;
    if (header->items_codec == MW_CODEC_FIELDS)
        return mw_zstd_unpack(&reader->zstd, stored, reader->raw, header->items_raw);
    return mw_chunk_unpack(header->items_codec, stored, reader->raw, header->items_raw);
}

mw_err mw_read_hot(mw_block_reader *reader, int fd, uint64_t offset, const mw_block_header *header,
                   mw_hot *out)
{
    return mw_read_columns(reader, fd, offset, header, MW_COLUMNS_ALL, out);
}

mw_err mw_read_columns(mw_block_reader *reader, int fd, uint64_t offset,
                       const mw_block_header *header, mw_column_set columns, mw_hot *out)
{
    mw_err err =
        fetch(reader, fd, offset + MW_BLOCK_HEADER_SIZE, header->hot_stored, header->hot_checksum);
    if (err == MW_OK)
        err = unpack_hot(reader, header, columns);
    if (err == MW_OK)
        err =
            mw_hot_decode_some(header, mw_slice_bytes(reader->raw, header->hot_raw), columns, out);
    return err;
}

/* A chunk is as long as the largest request; a start or a question must not need that much. */
mw_err mw_check_items(mw_block_reader *reader, int fd, uint64_t offset,
                      const mw_block_header *header)
{
    XXH3_state_t hash;
    uint64_t at = offset + MW_BLOCK_HEADER_SIZE + header->hot_stored;
    XXH3_INITSTATE(&hash);
    XXH3_64bits_reset(&hash);
    for (uint32_t left = mw_items_padded(header), now; left; left -= now, at += now) {
        now = left < MW_PIECE_SIZE ? left : MW_PIECE_SIZE;
        if (!mw_block_reader_room(&reader->stored, &reader->stored_size, now))
            return MW_E_NOMEM;
        mw_err err = mw_pread_all(fd, reader->stored, now, at);
        if (err != MW_OK)
            return err;
        XXH3_64bits_update(&hash, reader->stored, now);
    }
    return XXH3_64bits_digest(&hash) == header->items_checksum ? MW_OK : MW_E_CORRUPT;
}

mw_err mw_read_items_raw(mw_block_reader *reader, int fd, uint64_t offset,
                         const mw_block_header *header)
{
    mw_err err = fetch(reader, fd, offset + MW_BLOCK_HEADER_SIZE + header->hot_stored,
                       mw_items_padded(header), header->items_checksum);
    return err == MW_OK ? unpack_items(reader, header) : err;
}

/* The chunk in reader->raw, in fields, becomes the plain one. */
static mw_err read_fields(mw_block_reader *reader, const mw_block_header *header, const mw_hot *hot,
                          mw_items *out)
{
    mw_fields fields;
    mw_err err =
        mw_fields_open(header, hot, mw_slice_bytes(reader->raw, header->items_raw), &fields);
    if (err != MW_OK)
        return err;
    size_t len = (size_t)mw_fields_plain_length(&fields);
    if (mw_block_reader_room(&reader->plain, &reader->plain_size, len)) {
        mw_fields_plain(&fields, reader->plain);
        err = mw_items_decode(header, mw_slice_bytes(reader->plain, len), out);
    } else {
        err = MW_E_NOMEM;
    }
    mw_fields_close(&fields);
    return err;
}

mw_err mw_read_items(mw_block_reader *reader, int fd, uint64_t offset,
                     const mw_block_header *header, const mw_hot *hot, mw_items *out)
{
    mw_err err = mw_read_items_raw(reader, fd, offset, header);
    if (err == MW_OK && mw_codec_in_fields(header->items_codec))
        err = read_fields(reader, header, hot, out);
    else if (err == MW_OK)
        err = mw_items_decode(header, mw_slice_bytes(reader->raw, header->items_raw), out);
    return err;
}
