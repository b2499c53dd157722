/* lib/net, private: one HTTP/1 connection's requests, one at a time, sans I/O.
 *
 * Input goes in by slices, answers go to wire->out, time is the wire's clock. While a handler
 * owns the request nothing more is taken from the input (pipelining waits with the connection).
 */
#ifndef MW_NET_HTTP1_SESSION_INT_H
#define MW_NET_HTTP1_SESSION_INT_H

#include "lib/net/exchange_int.h"

typedef struct mw_http1_session {
    mw_wire *wire;
    mw_http1 parser;
    mw_exchange *current; /* being read, or with its handler */
    bool close_after;     /* the client asked for it, or framing demands it */
    bool old;             /* the request is HTTP/1.0 */
    bool discarding;      /* the answer is out; the rest of the body is dropped */
    uint64_t discarded;
    int64_t since_ns; /* begin of the state the time-outs look at */
    bool served;      /* a request has been answered */
} mw_http1_session;

void mw_http1_session_init(mw_http1_session *session, mw_wire *wire);
/* The client is gone: what a handler owns becomes an orphan. */
void mw_http1_session_fini(mw_http1_session *session);
/* Takes what it can; the rest of `in` is returned and waits for the answer. */
MW_MUST_USE mw_slice mw_http1_session_receive(mw_http1_session *session, mw_slice in);
/* Room for the next bytes of the connection where the body of `current` goes on, so that they need
 * no copy: up to *size bytes, all of them the body's. NULL = they come through _receive, as all
 * that makes a body grow does. */
char *mw_http1_session_room(const mw_http1_session *session, size_t *size);
/* So many bytes were read there. */
void mw_http1_session_filled(mw_http1_session *session, size_t len);
/* True while input has to wait. */
bool mw_http1_session_blocked(const mw_http1_session *session);
/* The reply of `current` has come (mw_exchange_replied was true). */
void mw_http1_session_reply(mw_http1_session *session, mw_exchange *exchange);
/* The body of `current` waited for memory and may go on. */
void mw_http1_session_resume_body(mw_http1_session *session);
/* ... or is given up. `current` is in BODY. */
void mw_http1_session_refuse_body(mw_http1_session *session);
/* The stream of `current` has news (mw_stream_delivered was true). */
void mw_http1_session_stream(mw_http1_session *session, mw_exchange *exchange);
/* Moves pieces of a stream into wire->out, as far as its bound allows. */
void mw_http1_session_pump(mw_http1_session *session);
/* True while an answer in pieces is open: the client's end is not to wait for input behind it. */
bool mw_http1_session_streams(const mw_http1_session *session);
/* The client will send nothing more; told at once, also while a handler owns `current`. */
void mw_http1_session_hung_up(mw_http1_session *session);
/* ... and all that it sent has been looked at. */
void mw_http1_session_eof(mw_http1_session *session);
/* Time-outs; about once a second. */
void mw_http1_session_sweep(mw_http1_session *session, int64_t now_ns);
/* wire->draining was set. */
void mw_http1_session_drain(mw_http1_session *session);

#endif
