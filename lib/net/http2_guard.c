/* The peer's use of stream numbers. See http2_guard_int.h. */
#include <nghttp2/nghttp2.h>
#include <stdbool.h>

#include "lib/net/http2_guard_int.h"

static bool has_ended(const mw_http2_guard *guard, int32_t stream)
{
    for (unsigned i = 0; i < MW_HTTP2_GUARD_ENDED; i++)
        if (guard->ended[i] == stream)
            return true;
    return false;
}

static void remember_end(mw_http2_guard *guard, int32_t stream)
{
    if (has_ended(guard, stream))
        return; /* a second RST_STREAM would push another's out */
    guard->ended[guard->next] = stream;
    guard->next = (guard->next + 1) % MW_HTTP2_GUARD_ENDED;
}

/* Beginning a stream closes all lower ones that were never begun (RFC 9113 5.1.1). */
static void begin_stream(mw_http2_guard *guard, int32_t stream)
{
    int32_t expected = guard->newest ? guard->newest + 2 : 1;
    if (stream > expected) {
        guard->skipped_from = expected;
        guard->skipped_to = stream;
    }
    guard->newest = stream;
}

/* The client's streams have odd numbers; the rest is nghttp2's to judge. */
static uint32_t check_headers(mw_http2_guard *guard, int32_t stream)
{
    if (stream <= 0 || stream % 2 == 0)
        return NGHTTP2_NO_ERROR;
    if (has_ended(guard, stream))
        return NGHTTP2_STREAM_CLOSED;
    if (stream > guard->newest)
        begin_stream(guard, stream);
    else if (stream >= guard->skipped_from && stream < guard->skipped_to)
        return NGHTTP2_PROTOCOL_ERROR;
    return NGHTTP2_NO_ERROR;
}

uint32_t mw_http2_guard_frame(mw_http2_guard *guard, uint8_t type, uint8_t flags, int32_t stream)
{
    bool message = type == NGHTTP2_HEADERS || type == NGHTTP2_DATA;
    if (type == NGHTTP2_PRIORITY && stream == 0)
        return NGHTTP2_PROTOCOL_ERROR;
    uint32_t error =
        type == NGHTTP2_HEADERS ? check_headers(guard, stream) : (uint32_t)NGHTTP2_NO_ERROR;
    if (error == NGHTTP2_NO_ERROR &&
        (type == NGHTTP2_RST_STREAM || (message && (flags & NGHTTP2_FLAG_END_STREAM))))
        remember_end(guard, stream);
    return error;
}
