/* Fuzz target of the event writer: input is an event (id, name, data, split at bytes 0xff); what a
 * reader of the standard sees is compared with what was written. */
#include "tests/unit/lib-net/sse_reader.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define REQUIRE(condition)                                                                         \
    do {                                                                                           \
        if (!(condition))                                                                          \
            abort();                                                                               \
    } while (0)

static mw_slice cut(mw_slice *rest)
{
    size_t end = mw_slice_find_byte(*rest, (char)0xff);
    mw_slice part = mw_slice_first(*rest, end);
    *rest = mw_slice_from(*rest, end + 1);
    return part;
}

/* The data with every line end as a line feed. */
static size_t normalise(mw_slice in, char *out)
{
    size_t len = 0;
    for (size_t i = 0; i < in.len; i++) {
        bool pair = in.data[i] == '\r' && i + 1 < in.len && in.data[i + 1] == '\n';
        out[len++] = in.data[i] == '\r' ? '\n' : in.data[i];
        i += pair;
    }
    return len;
}

static bool breaks(mw_slice text, const char *bytes, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (mw_slice_find_byte(text, bytes[i]) != text.len)
            return true;
    return false;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static char expected[1 << 16];
    mw_buffer text;
    sse_reader reader;
    if (size > sizeof expected)
        return 0;
    mw_slice rest = mw_slice_bytes(data, size);
    mw_sse_event event = {.id = cut(&rest), .name = cut(&rest)};
    event.data = rest.data ? rest : MW_SLICE("");
    bool bad = breaks(event.id, "\r\n\0", 3) || breaks(event.name, "\r\n", 2);
    mw_buffer_init(&text, MW_MEM_NET, (size_t)1 << 22);
    mw_err err = mw_sse_append(&text, &event);
    REQUIRE(err == (bad ? MW_E_INVALID : MW_OK));
    sse_reader_init(&reader);
    sse_reader_feed(&reader, mw_buffer_slice(&text));
    REQUIRE(reader.count == (bad ? 0 : 1));
    if (!bad) {
        const sse_seen *seen = &reader.events[0];
        size_t len = normalise(event.data, expected);
        REQUIRE(seen->data_len == len && memcmp(seen->data, expected, len) == 0);
        REQUIRE(mw_slice_equal(mw_slice_of(seen->last_id), event.id));
    }
    sse_reader_fini(&reader);
    mw_buffer_fini(&text);
    return 0;
}
