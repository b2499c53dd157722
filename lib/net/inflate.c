/* gzip request bodies. See inflate_int.h. zlib's own memory is counted under MW_MEM_CODEC. */
#include "lib/net/inflate_int.h"

/* Window bits 15 and, by adding 16, the gzip wrapper only: neither zlib nor raw deflate. */
#define GZIP_WINDOW (15 + 16)
/* Output room asked for at a time; the body doubles behind it. */
#define ROOM ((size_t)16 << 10)

static voidpf zlib_alloc(voidpf opaque, uInt items, uInt size)
{
    (void)opaque;
    return mw_calloc(MW_MEM_CODEC, items, size);
}

static void zlib_free(voidpf opaque, voidpf pointer)
{
    (void)opaque;
    mw_free(MW_MEM_CODEC, pointer);
}

mw_err mw_inflate_init(mw_inflate *gzip)
{
    *gzip = (mw_inflate){.stream = {.zalloc = zlib_alloc, .zfree = zlib_free}};
    return inflateInit2(&gzip->stream, GZIP_WINDOW) == Z_OK ? MW_OK : MW_E_NOMEM;
}

void mw_inflate_fini(mw_inflate *gzip)
{
    inflateEnd(&gzip->stream);
}

/* Room for the next step: the rest of the body, or one byte beyond it that tells whether more
 * would come. */
static mw_err find_room(mw_inflate *gzip, mw_body *out, unsigned char *probe)
{
    size_t want = out->max - out->len < ROOM ? out->max - out->len : ROOM;
    if (want == 0) {
        gzip->stream.next_out = probe;
        gzip->stream.avail_out = 1;
        return MW_OK;
    }
    mw_err err = out->capacity - out->len >= want ? MW_OK : mw_body_reserve(out, want);
    if (err != MW_OK)
        return err;
    size_t room = out->capacity - out->len;
    gzip->stream.next_out = (Bytef *)out->data + out->len;
    gzip->stream.avail_out = room < UINT32_MAX ? (uInt)room : UINT32_MAX;
    return MW_OK;
}

static mw_err step(mw_inflate *gzip, mw_body *out, bool *made_nothing)
{
    unsigned char probe;
    mw_err err = find_room(gzip, out, &probe);
    if (err != MW_OK)
        return err;
    uInt room = gzip->stream.avail_out;
    bool probing = gzip->stream.next_out == &probe;
    int result = inflate(&gzip->stream, Z_NO_FLUSH);
    uInt made = room - gzip->stream.avail_out;
    *made_nothing = made == 0;
    if (probing && made > 0)
        return MW_E_LIMIT;
    if (!probing)
        out->len += made;
    if (result == Z_STREAM_END)
        gzip->in_member = false;
    if (result == Z_MEM_ERROR)
        return MW_E_NOMEM;
    /* No progress is only honest when the input is used up. */
    if (result == Z_BUF_ERROR && gzip->stream.avail_in == 0)
        return MW_OK;
    return result == Z_OK || result == Z_STREAM_END ? MW_OK : MW_E_SYNTAX;
}

mw_err mw_inflate_feed(mw_inflate *gzip, mw_slice in, mw_body *out)
{
    MW_ASSERT(in.len <= UINT32_MAX);
    /* zlib does not write through next_in, though its type does not say so. */
    gzip->stream.next_in = (Bytef *)(uintptr_t)in.data;
    gzip->stream.avail_in = (uInt)in.len;
    while (gzip->stream.avail_in > 0 || gzip->more) {
        if (!gzip->in_member && inflateReset(&gzip->stream) != Z_OK)
            return MW_E_SYNTAX;
        gzip->in_member = true;
        bool made_nothing = false;
        mw_err err = step(gzip, out, &made_nothing);
        if (err != MW_OK)
            return err;
        gzip->more = gzip->in_member && gzip->stream.avail_out == 0 && !made_nothing;
    }
    return MW_OK;
}

mw_err mw_inflate_finish(const mw_inflate *gzip)
{
    return gzip->in_member ? MW_E_SYNTAX : MW_OK;
}
