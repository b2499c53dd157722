/* gRPC framing of one unary call. See grpc_int.h. Source: gRPC's PROTOCOL-HTTP2 document. */
#include "lib/base/clock.h"
#include "lib/base/id.h"
#include "lib/net/grpc_int.h"

typedef struct mw_fault_row {
    mw_rpc_code code;
    const char *text;
} mw_fault_row;

static const mw_fault_row fault_rows[] = {
    [MW_GRPC_OK] = {MW_RPC_OK, ""},
    [MW_GRPC_BAD_FLAG] = {MW_RPC_INTERNAL, "The message's compression flag is neither 0 nor 1."},
    [MW_GRPC_NOT_ENCODED] = {MW_RPC_INTERNAL,
                             "The message is flagged as compressed, but grpc-encoding names no "
                             "encoding."},
    [MW_GRPC_TOO_LARGE] = {MW_RPC_RESOURCE_EXHAUSTED,
                           "The message is larger than the limit; send smaller batches."},
    [MW_GRPC_EXTRA] = {MW_RPC_INTERNAL, "A unary call holds one message; more bytes followed."},
    [MW_GRPC_SHORT] = {MW_RPC_INVALID_ARGUMENT, "The stream ended before the message did."},
};

void mw_grpc_reader_init(mw_grpc_reader *reader, mw_grpc_encoding encoding, size_t max)
{
    *reader = (mw_grpc_reader){.encoding = encoding, .max = max};
}

static mw_grpc_fault read_prefix(mw_grpc_reader *reader)
{
    const unsigned char *p = reader->prefix;
    if (p[0] > 1)
        return MW_GRPC_BAD_FLAG;
    reader->compressed = p[0] == 1;
    if (reader->compressed && reader->encoding != MW_GRPC_GZIP)
        return MW_GRPC_NOT_ENCODED;
    reader->length = (uint32_t)p[1] << 24 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 8 | p[4];
    reader->left = reader->length;
    return reader->length > reader->max ? MW_GRPC_TOO_LARGE : MW_GRPC_OK;
}

mw_grpc_fault mw_grpc_feed(mw_grpc_reader *reader, mw_slice in, mw_slice *message)
{
    *message = MW_SLICE_NONE;
    while (reader->have < MW_GRPC_PREFIX_SIZE && in.len > 0) {
        reader->prefix[reader->have++] = (unsigned char)in.data[0];
        in = mw_slice_from(in, 1);
        if (reader->have < MW_GRPC_PREFIX_SIZE)
            continue;
        mw_grpc_fault fault = read_prefix(reader);
        if (fault != MW_GRPC_OK)
            return fault;
    }
    if (in.len > reader->left)
        return MW_GRPC_EXTRA;
    *message = in;
    reader->left -= (uint32_t)in.len;
    return MW_GRPC_OK;
}

mw_grpc_fault mw_grpc_finish(const mw_grpc_reader *reader)
{
    return reader->have < MW_GRPC_PREFIX_SIZE || reader->left > 0 ? MW_GRPC_SHORT : MW_GRPC_OK;
}

mw_rpc_code mw_grpc_fault_code(mw_grpc_fault fault)
{
    return fault_rows[fault].code;
}

const char *mw_grpc_fault_text(mw_grpc_fault fault)
{
    return fault_rows[fault].text;
}

void mw_grpc_prefix(size_t length, unsigned char out[MW_GRPC_PREFIX_SIZE])
{
    MW_ASSERT(length <= UINT32_MAX);
    out[0] = 0;
    out[1] = (unsigned char)(length >> 24);
    out[2] = (unsigned char)(length >> 16 & 0xff);
    out[3] = (unsigned char)(length >> 8 & 0xff);
    out[4] = (unsigned char)(length & 0xff);
}

/* ---- headers --------------------------------------------------------------------------------- */

mw_grpc_encoding mw_grpc_encoding_of(mw_slice value)
{
    value = mw_slice_trim(value);
    if (value.len == 0 || mw_slice_equal_nocase(value, MW_SLICE("identity")))
        return MW_GRPC_IDENTITY;
    if (mw_slice_equal_nocase(value, MW_SLICE("gzip")))
        return MW_GRPC_GZIP;
    return MW_GRPC_UNKNOWN_ENCODING;
}

/* The media type is `type` itself, or goes on with a suffix or parameter. */
static bool media_type(mw_slice value, mw_slice type)
{
    if (!mw_slice_equal_nocase(mw_slice_first(value, type.len), type))
        return false;
    if (value.len == type.len)
        return true;
    char next = value.data[type.len];
    return next == '+' || next == ';' || next == ' ';
}

bool mw_grpc_content_type(mw_slice value)
{
    return media_type(value, MW_SLICE("application/grpc"));
}

bool mw_grpc_web_content_type(mw_slice value)
{
    return media_type(value, MW_SLICE("application/grpc-web")) ||
           media_type(value, MW_SLICE("application/grpc-web-text"));
}

mw_err mw_grpc_timeout(mw_slice value, int64_t *ns)
{
    static const struct {
        char unit;
        int64_t ns;
    } units[] = {{'H', 3600 * MW_NS_PER_S},
                 {'M', 60 * MW_NS_PER_S},
                 {'S', MW_NS_PER_S},
                 {'m', MW_NS_PER_MS},
                 {'u', 1000},
                 {'n', 1}};
    uint64_t number = 0;
    if (value.len < 2 || value.len > 9 ||
        mw_slice_u64(mw_slice_first(value, value.len - 1), &number) != MW_OK)
        return MW_E_SYNTAX;
    for (size_t i = 0; i < sizeof units / sizeof *units; i++) {
        if (units[i].unit != value.data[value.len - 1])
            continue;
        /* 99999999 hours do not fit: as good as for ever. */
        if (__builtin_mul_overflow((int64_t)number, units[i].ns, ns))
            *ns = INT64_MAX;
        return MW_OK;
    }
    return MW_E_SYNTAX;
}

mw_slice mw_grpc_encode_message(mw_arena *arena, mw_slice text)
{
    static const char digits[] = "0123456789ABCDEF";
    char *out = mw_arena_alloc(arena, MW_GRPC_MESSAGE_MAX);
    if (!out)
        return MW_SLICE_NONE;
    size_t len = 0;
    for (size_t i = 0; i < text.len && len + 3 <= MW_GRPC_MESSAGE_MAX; i++) {
        unsigned char c = (unsigned char)text.data[i];
        if (c >= 0x20 && c <= 0x7e && c != '%') {
            out[len++] = (char)c;
            continue;
        }
        out[len++] = '%';
        out[len++] = digits[c >> 4];
        out[len++] = digits[c & 15];
    }
    return (mw_slice){out, len};
}

mw_slice mw_grpc_encode_details(mw_arena *arena, mw_slice bytes)
{
    if (bytes.len == 0 || bytes.len > MW_GRPC_DETAILS_MAX)
        return MW_SLICE_NONE;
    char *out = mw_arena_alloc(arena, (bytes.len + 2) / 3 * 4 + 1);
    if (!out)
        return MW_SLICE_NONE;
    mw_base64_encode(bytes.data, bytes.len, out);
    mw_slice text = mw_slice_of(out);
    while (mw_slice_ends(text, MW_SLICE("=")))
        text.len--;
    return text;
}
