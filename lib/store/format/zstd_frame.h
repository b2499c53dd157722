/* zstd frames, with contexts that are made once and used again.
 *
 * A packed chunk is one or more frames, one behind the other: what is alike stands in a frame of
 * its own, because a frame's blocks share one table of codes. Contexts are large (a packer up to
 * some MiB) and slow to make, so whoever packs or reads many blocks keeps one. Their memory is
 * MW_MEM_CODEC. One thread at a time.
 */
#ifndef MW_STORE_ZSTD_FRAME_H
#define MW_STORE_ZSTD_FRAME_H

#include <limits.h>

#include "lib/base/memory.h"
#include "lib/base/slice.h"

/* A zstd frame may unpack to thousands of times its length, so the claim of a header is no bound:
 * chunks that unpack to more than this are not packed with zstd. Far above a merged block's. */
#define MW_ZSTD_RAW_MAX ((uint32_t)16 << 20)

struct ZSTD_CCtx_s;
struct ZSTD_DCtx_s;

/* Begins zeroed; contexts are made when they are first needed. */
typedef struct mw_zstd {
    struct ZSTD_CCtx_s *packer;
    struct ZSTD_DCtx_s *unpacker;
} mw_zstd;

void mw_zstd_fini(mw_zstd *zstd);

/* A level beside zstd's own: bytes get codes by how often they come, and what repeats is not looked
 * for. */
#define MW_ZSTD_CODES INT_MIN

/* Room for a frame of `len` bytes in the worst case. */
size_t mw_zstd_room(size_t len);
/* One frame at `out`, which has mw_zstd_room(len). MW_E_NOMEM. */
MW_MUST_USE mw_err mw_zstd_pack(mw_zstd *zstd, int level, const void *raw, size_t len, void *out,
                                size_t *packed);
/* All frames of `stored`, which must unpack to exactly `raw_len` bytes. MW_E_CORRUPT,
 * MW_E_NOMEM. */
MW_MUST_USE mw_err mw_zstd_unpack(mw_zstd *zstd, mw_slice stored, void *out, size_t raw_len);
/* The same, but a frame whose bytes from..to of `out` are not wanted may be passed over: they are
 * then left as they were. `wanted` is asked in their order, when all before them that are wanted
 * are there. */
MW_MUST_USE mw_err mw_zstd_unpack_where(mw_zstd *zstd, mw_slice stored, void *out, size_t raw_len,
                                        bool (*wanted)(void *ctx, size_t from, size_t to),
                                        void *ctx);

#endif
