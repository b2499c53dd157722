/* lib/net, private: one HTTP/2 connection on nghttp2's server session, sans I/O.
 *
 * Input goes in by slices (client preface included), frames come out into wire->out, time is the
 * wire's clock. nghttp2's memory is counted under MW_MEM_NGHTTP2 (see http2.c). Each stream with a
 * request is one mw_exchange; the session lists those it has not freed.
 */
#ifndef MW_NET_HTTP2_INT_H
#define MW_NET_HTTP2_INT_H

#include "lib/net/exchange_int.h"

/* The client preface decides the protocol of a connection (RFC 9113 3.4). */
#define MW_HTTP2_PREFACE "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
#define MW_HTTP2_PREFACE_SIZE (sizeof MW_HTTP2_PREFACE - 1)

/* Calls that one client may have in flight: several times what exporters queue, since one
 * connection often serves a whole gateway, and the protocol asks for 100 at least (RFC 9113
 * 6.5.2). What is beyond waits in the client. */
#define MW_HTTP2_STREAMS_MAX 256u
/* Windows are not what bounds memory here (limits of routes and admission are), so one export of
 * 10 MB is on its way at once, as over HTTP/1.1. With 1 MiB a stream it took 640 ms at a round trip
 * of 50 ms, with 16 MiB 165 ms, as HTTP/1.1 does; with the protocol's 64 KiB it would be 160 round
 * trips. */
#define MW_HTTP2_STREAM_WINDOW ((size_t)16 << 20)
#define MW_HTTP2_CONNECTION_WINDOW ((size_t)16 << 20)
/* Requests of one connection that handlers hold: reset streams do not count as open any more,
 * so that a client could open and reset without end. */
#define MW_HTTP2_HANDED_MAX ((size_t)512)
/* What a session and a stream may come to hold at once; begun only when memory admits as much.
 * HPACK tables and buffers; one head and nghttp2's own record of the stream. */
#define MW_HTTP2_SESSION_COST ((size_t)64 << 10)
#define MW_HTTP2_STREAM_COST ((size_t)16 << 10)
/* nghttp2's memory is counted and never refused (http2.c), so it is bounded by what it is given to
 * do, and a session that passes its bound is ended with ENHANCE_YOUR_CALM. Measured: 26 KB idle,
 * and with 256 streams whose answers the peer holds back 160 KB. */
#define MW_HTTP2_SESSION_MAX ((size_t)256 << 10)
/* All sessions together get this share of the memory ceiling: beyond it no session and no stream is
 * begun, and sessions above the smaller bound are ended. With it 1,024 sessions hold 48 MiB at most
 * beyond the share, and no more are begun than fit into it. */
#define MW_HTTP2_SHARE(ceiling) ((ceiling) / 2)
#define MW_HTTP2_SESSION_FAIR ((size_t)48 << 10)
/* RST_STREAM of the client: burst, and refill a second (nghttp2's defaults, made visible). */
#define MW_HTTP2_RESETS_BURST 1000
#define MW_HTTP2_RESETS_RATE 33
#define MW_HTTP2_SETTINGS_MAX ((size_t)32)
#define MW_HTTP2_CONTINUATIONS_MAX ((size_t)8)
/* Acknowledgements of PING and SETTINGS that may wait for a peer that does not read. */
#define MW_HTTP2_ACKS_MAX ((size_t)100)
/* PING, SETTINGS, PRIORITY, RST_STREAM, empty DATA and streams we had to reset, between two sweeps
 * (1 s); below the burst above, so that the peer is told what it did.
 * gRPC clients send a handful; above it is ENHANCE_YOUR_CALM. */
#define MW_HTTP2_CONTROL_MAX 1000u
/* Keep-alive of clients: a PING sooner than this after the last one, with no request or answer
 * between, is a strike, and one strike too many ends the connection with too_many_pings, as gRPC's
 * servers do. They ask for 5 minutes; users set 10 s, also with nothing in flight. */
#define MW_HTTP2_PING_INTERVAL_NS (10 * MW_NS_PER_S)
#define MW_HTTP2_PING_STRIKES_MAX 2u

typedef struct mw_http2_setup mw_http2_setup;
/* Callbacks and options, shared by all sessions. NULL without memory. */
mw_http2_setup *mw_http2_setup_new(void);
void mw_http2_setup_free(mw_http2_setup *setup);

typedef struct mw_http2_session mw_http2_session;

/* NULL without memory. */
mw_http2_session *mw_http2_session_new(mw_wire *wire);
/* The client is gone: what handlers own become orphans. */
void mw_http2_session_free(mw_http2_session *session);
/* Sets wire->finished or ->broken when the connection is to end. Takes all of it, unless a body has
 * to wait for memory (wire->waiting): the rest is returned, and is to come again, even if it is
 * empty, once nothing waits. */
MW_MUST_USE mw_slice mw_http2_session_receive(mw_http2_session *session, mw_slice in);
/* The body waited for memory and may go on. */
void mw_http2_session_resume_body(mw_http2_session *session, mw_exchange *exchange);
/* ... or is given up; also one that does not wait. In BODY. */
void mw_http2_session_refuse_body(mw_http2_session *session, mw_exchange *exchange);
/* The stalled body that has received least, NULL = none. */
mw_exchange *mw_http2_session_find_stalled(mw_http2_session *session, int64_t now_ns);
/* Moves frames into wire->out, as far as its bound allows. */
void mw_http2_session_pump(mw_http2_session *session);
/* The reply has come (mw_exchange_replied was true). */
void mw_http2_session_reply(mw_http2_session *session, mw_exchange *exchange);
/* The stream of one has news (mw_stream_delivered was true). */
void mw_http2_session_stream(mw_http2_session *session, mw_exchange *exchange);
/* Time-outs and flood budgets; about once a second. */
void mw_http2_session_sweep(mw_http2_session *session, int64_t now_ns);
/* GOAWAY that names no last stream, and the end of answers in pieces; `sweep` sends the final one
 * MW_NET_GOAWAY_NS later. */
void mw_http2_session_drain(mw_http2_session *session);

#endif
