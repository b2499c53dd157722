/* The codec "planes" of hot chunks: columns laid out so that zstd packs them well and fast.
 *
 * Drawn in segment_format.h. Numbers become the difference to the row above where rows in order
 * are near each other, then the first bytes of all rows stand together, the second ones, and so
 * on: the high ones are nearly always equal. A parent that stands in the block becomes the distance
 * to its row. Unpacking gives back exactly the bytes that were packed. Pure; any thread.
 */
#ifndef MW_STORE_HOT_PLANES_H
#define MW_STORE_HOT_PLANES_H

#include "lib/store/format/chunk.h"
#include "lib/store/format/zstd_frame.h"

/* Adds `raw`, the chunk that `hot` points into, to *to; at most MW_ZSTD_RAW_MAX bytes. What does
 * not shrink is added all the same. MW_E_NOMEM. */
MW_MUST_USE mw_err mw_planes_pack(mw_zstd *zstd, const mw_hot *hot, const unsigned char *raw,
                                  uint32_t raw_len, mw_block_buffer *to, uint32_t *stored);
/* `out` has room for header->hot_raw bytes. What comes out is as little believed as what went in:
 * mw_hot_decode. MW_E_CORRUPT, MW_E_NOMEM. */
MW_MUST_USE mw_err mw_planes_unpack(mw_zstd *zstd, const mw_block_header *header, mw_slice stored,
                                    void *out);
/* The same, but that columns which are not of the set need not be unpacked: what stands in their
 * places is nothing then. Frames that hold nothing else are passed over. */
MW_MUST_USE mw_err mw_planes_unpack_some(mw_zstd *zstd, const mw_block_header *header,
                                         mw_slice stored, mw_column_set columns, void *out);

#endif
