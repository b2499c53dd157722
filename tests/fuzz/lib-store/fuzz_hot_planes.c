/* Fuzz target: bytes as a hot chunk that is packed by planes, and bytes as planes.
 *
 * Input: a byte (signal in its low bits; bit 6: rows of many commits; bit 7: which of the two), a
 * byte (rows - 1), then the unpacked chunk; as planes its first byte is the flag, and what follows
 * is put into a frame. Oracle: nothing reads out of bounds (sanitizers); a chunk that decodes comes
 * back byte by byte, and each of a few columns; planes that decode do so as well.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "lib/store/format/hot_planes.h"

#define CHECK(condition)                                                                           \
    do {                                                                                           \
        if (!(condition))                                                                          \
            abort();                                                                               \
    } while (0)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static mw_zstd zstd;

/* A few of the columns are what they are among all of them. */
static void check_some(const mw_block_header *header, const mw_hot *all, mw_slice stored,
                       mw_column_set set)
{
    unsigned char *out = malloc(header->hot_raw);
    size_t rows = all->count;
    mw_hot some;
    CHECK(mw_planes_unpack_some(&zstd, header, stored, set, out) == MW_OK);
    CHECK(mw_hot_decode_some(header, mw_slice_bytes(out, header->hot_raw), set, &some) == MW_OK);
    for (unsigned c = 0; c < MW_WIDE_COLUMNS; c++)
        CHECK(!some.wide[c] || memcmp(some.wide[c], all->wide[c], 8 * rows) == 0);
    for (unsigned c = 0; c < MW_NARROW_COLUMNS; c++)
        CHECK(!some.narrow[c] || memcmp(some.narrow[c], all->narrow[c], rows) == 0);
    for (unsigned c = 0; c < MW_HOT_COLUMNS; c++)
        CHECK(!some.refs[c] || memcmp(some.refs[c], all->refs[c], all->width * rows) == 0);
    free(out);
}

static void check_round(const mw_block_header *header, const unsigned char *raw)
{
    mw_block_buffer to = {0};
    mw_hot hot;
    uint32_t stored;
    if (mw_hot_decode(header, mw_slice_bytes(raw, header->hot_raw), &hot) != MW_OK)
        return;
    CHECK(mw_planes_pack(&zstd, &hot, raw, header->hot_raw, &to, &stored) == MW_OK);
    CHECK(stored == to.used);
    unsigned char *out = malloc(header->hot_raw);
    CHECK(mw_planes_unpack(&zstd, header, mw_slice_bytes(to.data, stored), out) == MW_OK);
    CHECK(memcmp(raw, out, header->hot_raw) == 0);
    free(out);
    for (mw_column_set set = header->hot_raw, i = 0; i < 4; i++, set = set * 2654435761u + 1)
        check_some(header, &hot, mw_slice_bytes(to.data, stored), set & set >> 7);
    mw_free(MW_MEM_INGEST, to.data);
}

static void try_planes(mw_block_header *header, unsigned char flag, const unsigned char *raw)
{
    size_t room = mw_zstd_room(header->hot_raw), packed = 0;
    unsigned char *stored = malloc(1 + room), *out = malloc(header->hot_raw + 1u);
    stored[0] = flag;
    CHECK(mw_zstd_pack(&zstd, 1, raw, header->hot_raw, stored + 1, &packed) == MW_OK);
    mw_err some = mw_planes_unpack_some(&zstd, header, mw_slice_bytes(stored, 1 + packed),
                                        (mw_column_set)header->hot_raw << 3, out);
    CHECK(some == MW_OK || some == MW_E_CORRUPT);
    mw_err err = mw_planes_unpack(&zstd, header, mw_slice_bytes(stored, 1 + packed), out);
    CHECK(err == MW_OK || err == MW_E_CORRUPT);
    if (err == MW_OK)
        check_round(header, out);
    free(stored);
    free(out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 4)
        return 0;
    mw_block_header header = {.signal = (mw_signal)(1 + (data[0] & 0x3f) % 3),
                              .many_commits = (data[0] & 0x40) != 0,
                              .item_count = 1u + data[1],
                              .hot_raw = (uint32_t)(size - 3)};
    unsigned char *raw = malloc(header.hot_raw);
    memcpy(raw, data + 3, header.hot_raw);
    if (data[0] & 0x80)
        try_planes(&header, data[2], raw);
    else
        check_round(&header, raw);
    free(raw);
    return 0;
}
