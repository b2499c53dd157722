/* Frames of zstd. See zstd_frame.h.
 *
 * Contexts with an allocator of ours are made by functions that zstd.h declares for static linking
 * only. They have been exported by every libzstd since 1.3 with the same signature, and without
 * them the memory would not be counted.
 */
#define ZSTD_STATIC_LINKING_ONLY
#include <zstd.h>
#include <zstd_errors.h>

#include "lib/store/format/zstd_frame.h"

static void *count_alloc(void *opaque, size_t size)
{
    (void)opaque;
    return mw_alloc(MW_MEM_CODEC, size);
}

static void count_free(void *opaque, void *pointer)
{
    (void)opaque;
    mw_free(MW_MEM_CODEC, pointer);
}

static const ZSTD_customMem counted = {count_alloc, count_free, NULL};

void mw_zstd_fini(mw_zstd *zstd)
{
    ZSTD_freeCCtx(zstd->packer);
    ZSTD_freeDCtx(zstd->unpacker);
    memset(zstd, 0, sizeof *zstd);
}

size_t mw_zstd_room(size_t len)
{
    return ZSTD_compressBound(len);
}

/* The tables of the level would be larger than a core's cache. With these an item's text took a
 * fifth less time and as many bytes. */
#define HASH_LOG_MAX 14
#define CHAIN_LOG_MAX 13

static bool set_parameter(ZSTD_CCtx *packer, ZSTD_cParameter which, int value)
{
    return !ZSTD_isError(ZSTD_CCtx_setParameter(packer, which, value));
}

/* The fastest level steps over whole blocks in its search, so that there is none; it would also
 * leave bytes as they are. */
static bool set_codes(ZSTD_CCtx *packer)
{
    return set_parameter(packer, ZSTD_c_compressionLevel, ZSTD_minCLevel()) &&
           set_parameter(packer, ZSTD_c_literalCompressionMode, ZSTD_lcm_huffman);
}

/* A frame begins with the same settings, whatever the one before had. False without memory. */
static bool set_level(ZSTD_CCtx *packer, int level, size_t len)
{
    if (ZSTD_isError(ZSTD_CCtx_reset(packer, ZSTD_reset_session_and_parameters)))
        return false;
    if (level == MW_ZSTD_CODES)
        return set_codes(packer);
    ZSTD_compressionParameters normal = ZSTD_getCParams(level, len, 0);
    bool set = set_parameter(packer, ZSTD_c_compressionLevel, level);
    if (set && normal.hashLog > HASH_LOG_MAX)
        set = set_parameter(packer, ZSTD_c_hashLog, HASH_LOG_MAX);
    if (set && normal.chainLog > CHAIN_LOG_MAX)
        set = set_parameter(packer, ZSTD_c_chainLog, CHAIN_LOG_MAX);
    return set;
}

mw_err mw_zstd_pack(mw_zstd *zstd, int level, const void *raw, size_t len, void *out,
                    size_t *packed)
{
    if (!zstd->packer)
        zstd->packer = ZSTD_createCCtx_advanced(counted);
    if (!zstd->packer || !set_level(zstd->packer, level, len))
        return MW_E_NOMEM;
    size_t made = ZSTD_compress2(zstd->packer, out, ZSTD_compressBound(len), raw, len);
    /* With room for the worst case, nothing but memory can fail. */
    if (ZSTD_isError(made))
        return MW_E_NOMEM;
    *packed = made;
    return MW_OK;
}

/* Where a frame of *stored ends, and what it unpacks to when it says so. Other kinds that a zstd
 * reader takes, skippable frames and those of versions before 1, were never written here. */
static mw_err measure_frame(mw_slice stored, size_t *len, unsigned long long *unpacked)
{
    static const unsigned char magic[4] = {0x28, 0xb5, 0x2f, 0xfd};
    if (stored.len < sizeof magic || memcmp(stored.data, magic, sizeof magic) != 0)
        return MW_E_CORRUPT;
    *len = ZSTD_findFrameCompressedSize(stored.data, stored.len);
    *unpacked = ZSTD_getFrameContentSize(stored.data, stored.len);
    return ZSTD_isError(*len) || *unpacked == ZSTD_CONTENTSIZE_ERROR ? MW_E_CORRUPT : MW_OK;
}

static mw_err unpack_frame(mw_zstd *zstd, mw_slice frame, unsigned char *out, size_t room,
                           size_t *got)
{
    *got = ZSTD_decompressDCtx(zstd->unpacker, out, room, frame.data, frame.len);
    if (ZSTD_isError(*got))
        return ZSTD_getErrorCode(*got) == ZSTD_error_memory_allocation ? MW_E_NOMEM : MW_E_CORRUPT;
    return MW_OK;
}

static bool all_wanted(void *ctx, size_t from, size_t to)
{
    (void)ctx;
    (void)from;
    (void)to;
    return true;
}

mw_err mw_zstd_unpack(mw_zstd *zstd, mw_slice stored, void *out, size_t raw_len)
{
    return mw_zstd_unpack_where(zstd, stored, out, raw_len, all_wanted, NULL);
}

mw_err mw_zstd_unpack_where(mw_zstd *zstd, mw_slice stored, void *out, size_t raw_len,
                            bool (*wanted)(void *ctx, size_t from, size_t to), void *ctx)
{
    size_t at = 0, len, got;
    unsigned long long unpacked;
    if (!zstd->unpacker)
        zstd->unpacker = ZSTD_createDCtx_advanced(counted);
    if (!zstd->unpacker)
        return MW_E_NOMEM;
    while (stored.len > 0) {
        mw_err err = measure_frame(stored, &len, &unpacked);
        if (err != MW_OK)
            return err;
        bool told = unpacked != ZSTD_CONTENTSIZE_UNKNOWN;
        if (told && unpacked > raw_len - at)
            return MW_E_CORRUPT;
        if (told && !wanted(ctx, at, at + (size_t)unpacked))
            got = (size_t)unpacked;
        else
            err = unpack_frame(zstd, mw_slice_first(stored, len), (unsigned char *)out + at,
                               raw_len - at, &got);
        if (err != MW_OK)
            return err;
        at += got;
        stored = mw_slice_from(stored, len);
    }
    return at == raw_len ? MW_OK : MW_E_CORRUPT;
}
