/* lib/net, private: one accepted socket: reads, finds out the protocol, writes, times out.
 *
 * Belongs to one loop and is touched by its thread only. Events never act on the spot: they feed
 * input, mark the connection dirty, and the loop then settles all dirty connections (resume
 * input that waited, encode, write, close). So no handler and no callback ever finds its
 * connection freed under it.
 */
#ifndef MW_NET_CONNECTION_INT_H
#define MW_NET_CONNECTION_INT_H

#include <event2/event_struct.h>

#include "lib/net/exchange_int.h"
#include "lib/net/http1_session_int.h"
#include "lib/net/http2_int.h"
#include "lib/net/transport_int.h"

struct mw_loop;

typedef enum mw_protocol {
    MW_PROTOCOL_UNKNOWN, /* the first bytes will tell */
    MW_PROTOCOL_HTTP1,
    MW_PROTOCOL_HTTP2,
    MW_PROTOCOL_LINGER /* the last answer is out; what the peer sends is dropped */
} mw_protocol;

typedef struct mw_connection {
    struct mw_connection *next; /* in the loop's list */
    struct mw_connection *previous;
    struct mw_connection *next_dirty;
    struct mw_loop *loop;
    mw_transport transport;
    struct event read_event;
    struct event write_event;
    mw_wire wire;
    mw_protocol protocol;
    mw_http1_session http1;
    mw_http2_session *http2;
    size_t read_room;     /* what its next turn may read; see mw_net_next_read */
    bool first_byte;      /* looked at: clear text or TLS is decided */
    size_t preface;       /* bytes of the h2 preface seen so far */
    mw_buffer pending;    /* input that waits: pipelined requests, behind a waiting body */
    size_t pending_taken; /* of `pending`, from the front */
    int64_t since_ns;     /* accepted, or the handshake's end; or lingering since */
    size_t lingered;      /* bytes dropped since */
    int64_t write_ns;     /* last time unsent bytes moved */
    bool paused;          /* h2: input stopped at a body that had to wait, and goes on from there */
    int64_t retire_ns;    /* its age is over then */
    bool dirty;
    bool reading; /* read_event is added */
    bool writing; /* write_event is added */
    bool eof;     /* the peer sends nothing more */
} mw_connection;

/* Takes fd over, also on failure (closed then; MW_E_NOMEM, MW_E_IO). Links itself to the loop. */
MW_MUST_USE mw_err mw_connection_open(struct mw_loop *loop, int fd, mw_port port,
                                      const mw_peer *peer);
/* Frees it; requests with handlers become orphans. From the loop's settling only. */
void mw_connection_close(mw_connection *connection);
/* One of its requests is answered in pieces, and there is news. */
void mw_connection_stream(mw_connection *connection, mw_exchange *exchange);
/* The reply to one of its requests is here. */
void mw_connection_reply(mw_connection *connection, mw_exchange *exchange);
/* Resumes, encodes, writes, closes when it is over: the pointer may be dead afterwards. */
void mw_connection_settle(mw_connection *connection);
/* A body of this connection waited for memory and may go on; or is given up, waiting or not. */
void mw_connection_resume_body(mw_connection *connection, mw_exchange *exchange);
void mw_connection_refuse_body(mw_connection *connection, mw_exchange *exchange);
/* Bytes that have come and were not taken, here and in the socket. */
size_t mw_connection_input_waits(const mw_connection *connection);
/* The stalled body that has received least, NULL = none. */
mw_exchange *mw_connection_find_stalled(mw_connection *connection, int64_t now_ns);
/* While others wait for memory: gives the connection up when its answers are not read. */
void mw_connection_shed_output(mw_connection *connection, int64_t now_ns);
void mw_connection_sweep(mw_connection *connection, int64_t now_ns);
void mw_connection_drain(mw_connection *connection);

#endif
