/* Headers of segments and blocks: fields to bytes and back, with their checksums.
 *
 * Pure functions over caller's memory; any thread. The tables are in segment_format.h.
 */
#include <xxhash.h>

#include "lib/store/format/hot_layout.h"
#include "lib/store/format/zstd_frame.h"

uint64_t mw_place_seed(const mw_block_place *place)
{
    unsigned char bytes[16];
    mw_put_u64(bytes, place->segment_id);
    mw_put_u64(bytes + 8, place->offset);
    return XXH3_64bits_withSeed(bytes, sizeof bytes, place->salt);
}

static bool chunk_sane(uint8_t codec, uint64_t stored, uint64_t raw)
{
    uint64_t pieces = (raw + MW_PIECE_SIZE - 1) / MW_PIECE_SIZE;

    /* Compressed is never longer than plain: the encoder keeps the shorter one. */
    switch (codec) {
    case MW_CODEC_PLAIN: return stored == raw;
    case MW_CODEC_LZ4: return stored <= raw && raw <= stored * MW_LZ4_RATIO_MAX;
    case MW_CODEC_LOG_FIELDS:
        return stored <= raw && raw <= stored * MW_LZ4_RATIO_MAX && raw <= MW_ZSTD_RAW_MAX;
    case MW_CODEC_PIECES:
        return pieces > 1 && stored <= raw + 4 * pieces && raw <= stored * MW_LZ4_RATIO_MAX;
    case MW_CODEC_PLANES:
    case MW_CODEC_FIELDS: return stored > 0 && stored <= raw && raw <= MW_ZSTD_RAW_MAX;
    default: return false;
    }
}

/* What a reader may rely on before it allocates or reads anything. */
static bool block_header_sane(const mw_block_header *header)
{
    const mw_hot_layout *layout = mw_hot_layout_of(header->signal);
    uint64_t raw = (uint64_t)header->hot_raw + header->items_raw;
    uint64_t count = header->item_count;

    if (!layout || count == 0 || raw > MW_BLOCK_RAW_MAX)
        return false;
    /* In fields an item has references of one byte, and a token. */
    uint64_t least = mw_codec_in_fields(header->items_codec) ? 3 : mw_items_fixed(header->signal);
    if (count * (mw_hot_fixed(layout, header->many_commits) + 2u * layout->ref_count) >
            header->hot_raw ||
        count * least > header->items_raw)
        return false;
    return chunk_sane(header->hot_codec, header->hot_stored, header->hot_raw) &&
           header->hot_codec != MW_CODEC_PIECES && !mw_codec_in_fields(header->hot_codec) &&
           header->items_codec != MW_CODEC_PLANES &&
           chunk_sane(header->items_codec, header->items_stored, header->items_raw);
}

void mw_segment_header_write(const mw_segment_header *header,
                             unsigned char out[MW_SEGMENT_HEADER_SIZE])
{
    memcpy(out, MW_SEGMENT_MAGIC, 8);
    mw_put_u16(out + 8, MW_SEGMENT_VERSION);
    mw_put_u16(out + 10, (uint16_t)header->kind);
    mw_put_u32(out + 12, MW_SEGMENT_HEADER_SIZE);
    mw_put_u64(out + 16, header->id);
    mw_put_u64(out + 24, header->created_ns);
    mw_put_u64(out + 32, header->predecessor_id);
    mw_put_u64(out + 40, header->predecessor_end);
    mw_put_u64(out + 48, header->durable_end);
    mw_put_u64(out + 56, header->first_seq);
    mw_put_u64(out + 64, header->salt);
    mw_put_u64(out + 72, XXH3_64bits_withSeed(out, 72, header->id));
}

mw_err mw_segment_header_read(const unsigned char in[MW_SEGMENT_HEADER_SIZE],
                              mw_segment_header *header)
{
    uint64_t id = mw_get_u64(in + 16);

    if (memcmp(in, MW_SEGMENT_MAGIC, 8) != 0 || mw_get_u32(in + 12) != MW_SEGMENT_HEADER_SIZE ||
        mw_get_u64(in + 72) != XXH3_64bits_withSeed(in, 72, id))
        return MW_E_CORRUPT;
    uint16_t version = mw_get_u16(in + 8), kind = mw_get_u16(in + 10);
    if (version < MW_SEGMENT_VERSION_LEAST || version > MW_SEGMENT_VERSION ||
        kind > MW_SEGMENT_MERGED)
        return MW_E_UNSUPPORTED;
    header->kind = (mw_segment_kind)kind;
    header->id = id;
    header->created_ns = mw_get_u64(in + 24);
    header->predecessor_id = mw_get_u64(in + 32);
    header->predecessor_end = mw_get_u64(in + 40);
    header->durable_end = mw_get_u64(in + 48);
    header->first_seq = mw_get_u64(in + 56);
    header->salt = mw_get_u64(in + 64);
    if (header->id == 0 || header->predecessor_id >= header->id ||
        header->durable_end < MW_SEGMENT_HEADER_SIZE)
        return MW_E_CORRUPT;
    return MW_OK;
}

void mw_block_header_write(const mw_block_header *header, const mw_block_place *place,
                           unsigned char out[MW_BLOCK_HEADER_SIZE])
{
    memcpy(out, MW_BLOCK_MAGIC, 8);
    mw_put_u32(out + 8, MW_BLOCK_HEADER_SIZE);
    mw_put_u32(out + 12, header->item_count);
    mw_put_u64(out + 16, header->seq);
    mw_put_u64(out + 24, header->synced);
    memcpy(out + 32, header->digest, sizeof header->digest);
    mw_put_u64(out + 48, header->event_min_ns);
    mw_put_u64(out + 56, header->event_max_ns);
    mw_put_u64(out + 64, header->arrival_ns);
    mw_put_u32(out + 72, header->hot_stored);
    mw_put_u32(out + 76, header->hot_raw);
    mw_put_u32(out + 80, header->items_stored);
    mw_put_u32(out + 84, header->items_raw);
    mw_put_u64(out + 88, header->hot_checksum);
    mw_put_u64(out + 96, header->items_checksum);
    mw_put_u32(out + 104, header->error_count);
    memset(out + 108, 0, 12);
    out[108] = (unsigned char)header->signal;
    out[109] = header->hot_codec;
    out[110] = header->items_codec;
    out[111] = header->many_commits;
    mw_put_u64(out + 120, XXH3_64bits_withSeed(out, 120, mw_place_seed(place)));
}

mw_err mw_block_header_read(const unsigned char in[MW_BLOCK_HEADER_SIZE],
                            const mw_block_place *place, mw_block_header *header)
{
    if (memcmp(in, MW_BLOCK_MAGIC, 8) != 0 || mw_get_u32(in + 8) != MW_BLOCK_HEADER_SIZE)
        return MW_E_CORRUPT;
    if (mw_get_u64(in + 120) != XXH3_64bits_withSeed(in, 120, mw_place_seed(place)))
        return MW_E_CORRUPT;
    header->item_count = mw_get_u32(in + 12);
    header->seq = mw_get_u64(in + 16);
    header->synced = mw_get_u64(in + 24);
    memcpy(header->digest, in + 32, sizeof header->digest);
    header->event_min_ns = mw_get_u64(in + 48);
    header->event_max_ns = mw_get_u64(in + 56);
    header->arrival_ns = mw_get_u64(in + 64);
    header->hot_stored = mw_get_u32(in + 72);
    header->hot_raw = mw_get_u32(in + 76);
    header->items_stored = mw_get_u32(in + 80);
    header->items_raw = mw_get_u32(in + 84);
    header->hot_checksum = mw_get_u64(in + 88);
    header->items_checksum = mw_get_u64(in + 96);
    header->error_count = mw_get_u32(in + 104);
    header->signal = (mw_signal)in[108];
    header->hot_codec = in[109];
    header->items_codec = in[110];
    if (in[111] > 1)
        return MW_E_CORRUPT;
    header->many_commits = in[111];
    return block_header_sane(header) ? MW_OK : MW_E_CORRUPT;
}

uint64_t mw_chunk_checksum(const void *bytes, size_t len)
{
    return XXH3_64bits(bytes, len);
}
