/* lib/net, private: an HTTP/2 session as http2.c (the session, requests in) and http2_answer.c
 * (answers out) share it. Nobody else includes this. One loop's.
 */
#ifndef MW_NET_HTTP2_SESSION_INT_H
#define MW_NET_HTTP2_SESSION_INT_H

#include <nghttp2/nghttp2.h>

#include "lib/net/http2_guard_int.h"
#include "lib/net/http2_int.h"
#include "lib/net/ping_guard_int.h"
#include "lib/net/stream_int.h"

struct mw_http2_session {
    nghttp2_session *nghttp2;
    mw_wire *wire;
    mw_exchange *exchanges; /* not yet freed */
    size_t memory;          /* what nghttp2 holds for it */
    mw_http2_guard guard;
    unsigned control; /* control frames since the last sweep */
    mw_ping_guard pings;
    int64_t since_ns;  /* last time there was no exchange */
    int64_t goaway_ns; /* when the first GOAWAY was sent */
    bool goaway_sent;  /* the first, that names no last stream */
    bool goaway_final;
    bool told_off; /* for its PINGs: it is to read why */
};

void mw_http2_reset_stream(mw_http2_session *session, int32_t stream_id, uint32_t code);
/* The answer of an exchange in state ANSWER, stream open. */
void mw_http2_send_answer(mw_http2_session *session, mw_exchange *exchange);
void mw_http2_send_continue(mw_http2_session *session, const mw_exchange *exchange);
/* The head of an answer in pieces; they follow at nghttp2's pace. */
void mw_http2_begin_stream(mw_http2_session *session, mw_exchange *exchange);
/* There may be more pieces, or the end. */
void mw_http2_resume_stream(mw_http2_session *session, const mw_exchange *exchange);

#endif
