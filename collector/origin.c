/* AWS request headers. Contract: origin.h. */
#include "collector/origin.h"
#include "lib/base/buffer.h"
#include "lib/base/counter.h"

/* Three names of at most 24 characters with their values, or the warning about them. */
#define TEXT_MAX ((size_t)MW_ORIGIN_COUNT * (MW_ORIGIN_VALUE_MAX + 32) + 128)

/* Blanks are allowed inside: namespaces may have them. Net has trimmed the ends. */
static bool usable(mw_slice value, size_t times_sent)
{
    if (value.len > MW_ORIGIN_VALUE_MAX || times_sent > 1)
        return false;
    for (size_t i = 0; i < value.len; i++)
        if (value.data[i] < 0x20 || value.data[i] > 0x7e)
            return false;
    return true;
}

static mw_err keep(mw_buffer *text, mw_arena *arena, mw_slice *kept)
{
    mw_err err = text->err;
    *kept = MW_SLICE_NONE;
    if (err == MW_OK && text->len) {
        *kept = mw_arena_copy(arena, mw_buffer_slice(text));
        err = kept->data ? MW_OK : MW_E_NOMEM;
    }
    mw_buffer_fini(text);
    return err;
}

/* One header into the text, or its name into what was left out. */
static void take(mw_buffer *text, mw_buffer *left_out, const char *name, mw_slice value,
                 size_t times_sent)
{
    if (usable(value, times_sent)) {
        mw_buffer_appendf(text, "%s%s=", text->len ? "\n" : "", name);
        mw_buffer_append_slice(text, value);
        return;
    }
    mw_buffer_appendf(left_out, "%s%s", left_out->len ? ", " : "header left out: ", name);
    mw_count(MW_COUNT_EXPORT_HEADERS_IGNORED, 1);
}

mw_err mw_origin_read(mw_request *request, mw_slice *origin, mw_slice *warning)
{
    mw_buffer text, left_out;
    mw_buffer_init(&text, MW_MEM_INGEST, TEXT_MAX);
    mw_buffer_init(&left_out, MW_MEM_INGEST, TEXT_MAX);
    for (int i = 0; i < MW_ORIGIN_COUNT; i++) {
        const char *name = mw_origin_name((mw_origin)i);
        size_t times = 0;
        mw_slice value = mw_request_header(request, mw_slice_of(name), &times);
        if (value.len > 0 || times > 1)
            take(&text, &left_out, name, value, times);
    }
    if (left_out.len)
        mw_buffer_appendf(&left_out, " (sent twice, over %d bytes, or not printable ASCII)",
                          MW_ORIGIN_VALUE_MAX);
    mw_err err = keep(&text, &request->arena, origin);
    mw_err warning_err = keep(&left_out, &request->arena, warning);
    MW_ASSERT(err != MW_E_LIMIT && warning_err != MW_E_LIMIT);
    return err ? err : warning_err;
}
