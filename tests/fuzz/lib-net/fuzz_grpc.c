/* gRPC de-framing. Oracle: a second, whole-buffer reading of the same bytes agrees with the
 * streaming one, wherever it is cut. First byte: cut; second: encoding; third: limit. */
#include "lib/net/grpc_int.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Faults that do not depend on how far the reader got, in the order it meets them. */
static mw_grpc_fault reference(const uint8_t *in, size_t len, bool gzip, size_t max)
{
    if (len < 5)
        return MW_GRPC_SHORT;
    uint64_t length = (uint64_t)in[1] * 16777216 + in[2] * 65536u + in[3] * 256u + in[4];
    if (in[0] > 1)
        return MW_GRPC_BAD_FLAG;
    if (in[0] == 1 && !gzip)
        return MW_GRPC_NOT_ENCODED;
    if (length > max)
        return MW_GRPC_TOO_LARGE;
    if (len - 5 > length)
        return MW_GRPC_EXTRA;
    return len - 5 < length ? MW_GRPC_SHORT : MW_GRPC_OK;
}

static mw_grpc_fault stream(const uint8_t *in, size_t len, size_t step, mw_grpc_reader *reader)
{
    size_t taken = 0;
    for (size_t at = 0; at < len; at += step) {
        mw_slice part = mw_slice_first(mw_slice_bytes(in + at, len - at), step);
        mw_slice message;
        mw_grpc_fault fault = mw_grpc_feed(reader, part, &message);
        if (fault != MW_GRPC_OK)
            return fault;
        /* The message is the input less its first five bytes, in order, nothing twice. */
        MW_ASSERT(message.len == 0 || message.data == (const char *)in + 5 + taken);
        taken += message.len;
    }
    mw_grpc_fault fault = mw_grpc_finish(reader);
    MW_ASSERT(fault != MW_GRPC_OK || taken == len - 5);
    return fault;
}

static void check_texts(mw_slice text)
{
    int64_t ns = 0;
    mw_arena arena;
    mw_arena_init(&arena, MW_MEM_NET, 0);
    MW_ASSERT(mw_grpc_timeout(text, &ns) != MW_OK || ns >= 0);
    (void)mw_grpc_content_type(text);
    (void)mw_grpc_encoding_of(text);
    mw_slice message = mw_grpc_encode_message(&arena, text);
    MW_ASSERT(message.len <= MW_GRPC_MESSAGE_MAX);
    for (size_t i = 0; i < message.len; i++)
        MW_ASSERT(message.data[i] >= 0x20 && message.data[i] <= 0x7e);
    mw_slice details = mw_grpc_encode_details(&arena, text);
    MW_ASSERT(mw_slice_find_byte(details, '=') == details.len);
    mw_arena_reset(&arena);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 3)
        return 0;
    mw_grpc_reader reader;
    bool gzip = data[1] & 1;
    size_t max = (size_t)data[2] * 16;
    mw_grpc_reader_init(&reader, gzip ? MW_GRPC_GZIP : MW_GRPC_IDENTITY, max);
    mw_grpc_fault fault = stream(data + 3, size - 3, (size_t)data[0] + 1, &reader);
    MW_ASSERT(fault == reference(data + 3, size - 3, gzip, max));
    MW_ASSERT(fault == MW_GRPC_OK || mw_grpc_fault_code(fault) != MW_RPC_OK);
    check_texts(mw_slice_bytes(data + 3, size - 3));
    return 0;
}
