/* lib/net, private: the peer's use of stream numbers, held against RFC 9113.
 *
 * nghttp2 forgets a stream as soon as it is closed (a kept one would cost 300 bytes, 256 of them a
 * connection) and therefore drops what comes on it afterwards. Most of that is honest: trailers on
 * their way when we reset the stream. What is not honest can be told from the frame headers
 * alone, in a hundred bytes: HEADERS behind the peer's own END_STREAM or RST_STREAM, and HEADERS on
 * a number that the peer has passed over. A peer that does this has lost track of its streams, and
 * its other requests are not to be trusted either. DATA on a closed stream is not reported by
 * nghttp2: it is counted in the connection's window and dropped, which RFC 9113 5.1 leaves open.
 *
 * One session's, embedded in it; no memory of its own.
 */
#ifndef MW_NET_HTTP2_GUARD_INT_H
#define MW_NET_HTTP2_GUARD_INT_H

#include <stdint.h>

/* Streams whose end is remembered, the newest. */
#define MW_HTTP2_GUARD_ENDED 16u

typedef struct mw_http2_guard {
    int32_t ended[MW_HTTP2_GUARD_ENDED]; /* a ring; 0 = free */
    unsigned next;
    int32_t newest;       /* highest stream the peer has begun */
    int32_t skipped_from; /* odd numbers that can never be begun any more: the newest gap */
    int32_t skipped_to;   /* exclusive; equal to skipped_from = none */
} mw_http2_guard;

/* Looks at the header of each frame that nghttp2 reports as begun. Returns an error code of RFC
 * 9113 7 that the connection is to be ended with; NGHTTP2_NO_ERROR = go on. */
uint32_t mw_http2_guard_frame(mw_http2_guard *guard, uint8_t type, uint8_t flags, int32_t stream);

#endif
