/* gzip bodies. Oracle: cut or whole, the result and the output are the same; the output stays
 * within the limit; what zlib packs comes back. First byte: cut; second: limit in 256 bytes. */
#include "lib/net/inflate_int.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static mw_err unpack(mw_slice in, size_t step, mw_body *body)
{
    mw_inflate gzip;
    MW_ASSERT(mw_inflate_init(&gzip) == MW_OK);
    mw_err err = MW_OK;
    for (size_t at = 0; at < in.len && err == MW_OK; at += step)
        err = mw_inflate_feed(&gzip, mw_slice_first(mw_slice_from(in, at), step), body);
    if (err == MW_OK)
        err = mw_inflate_finish(&gzip);
    mw_inflate_fini(&gzip);
    MW_ASSERT(body->len <= body->max && body->capacity <= body->max);
    return err;
}

static void check_cuts(mw_slice in, size_t step, size_t max)
{
    mw_body whole;
    mw_body cut;
    mw_body_init(&whole, max);
    mw_body_init(&cut, max);
    mw_err first = unpack(in, in.len, &whole);
    mw_err second = unpack(in, step, &cut);
    MW_ASSERT(first == second);
    MW_ASSERT(first == MW_OK || first == MW_E_SYNTAX || first == MW_E_LIMIT);
    if (first == MW_OK)
        MW_ASSERT(mw_slice_equal((mw_slice){whole.data, whole.len}, (mw_slice){cut.data, cut.len}));
    mw_body_fini(&whole);
    mw_body_fini(&cut);
}

static void check_round_trip(mw_slice plain, size_t step)
{
    z_stream z = {0};
    MW_ASSERT(deflateInit2(&z, 1, Z_DEFLATED, 31, 8, Z_DEFAULT_STRATEGY) == Z_OK);
    size_t room = deflateBound(&z, plain.len);
    char *packed = malloc(room);
    MW_ASSERT(packed);
    z.next_in = (Bytef *)(uintptr_t)plain.data;
    z.avail_in = (uInt)plain.len;
    z.next_out = (Bytef *)packed;
    z.avail_out = (uInt)room;
    MW_ASSERT(deflate(&z, Z_FINISH) == Z_STREAM_END);
    mw_body body;
    mw_body_init(&body, plain.len);
    MW_ASSERT(unpack((mw_slice){packed, z.total_out}, step, &body) == MW_OK);
    MW_ASSERT(mw_slice_equal((mw_slice){body.data, body.len}, plain));
    mw_body_fini(&body);
    if (plain.len > 0) {
        mw_body_init(&body, plain.len - 1);
        MW_ASSERT(unpack((mw_slice){packed, z.total_out}, step, &body) == MW_E_LIMIT);
        mw_body_fini(&body);
    }
    deflateEnd(&z);
    free(packed);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 3)
        return 0;
    mw_slice in = mw_slice_bytes(data + 2, size - 2);
    size_t step = (size_t)data[0] + 1;
    check_cuts(in, step, (size_t)data[1] * 256);
    check_round_trip(in, step);
    MW_ASSERT(mw_memory_component_used(MW_MEM_NET) == 0);
    MW_ASSERT(mw_memory_component_used(MW_MEM_CODEC) == 0);
    return 0;
}
