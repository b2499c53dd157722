/* lib/net, private: the bounds of the room and what all its loops share.
 *
 * Everything a peer can size is bounded by a constant of this file. `mw_front` is written before
 * the threads start and only read afterwards, its gauges and the TLS context excepted.
 */
#ifndef MW_NET_NET_INT_H
#define MW_NET_NET_INT_H

#include <pthread.h>
#include <stdatomic.h>

#include "lib/net/admission_int.h"
#include "lib/net/net.h"
#include "lib/net/router_int.h"

/* One read takes at most this: large enough that a 380 KB export needs few system calls, small
 * enough to stay in the second-level cache. One buffer a loop, shared by its connections. */
#define MW_NET_READ_SIZE ((size_t)128 << 10)
/* What a turn may read follows what turns took: packed bodies and header blocks make a thousand
 * bytes out of one, and others of the loop wait meanwhile. It begins small, since the first read
 * may be the worst, and doubles while turns that read all they may are short. */
#define MW_NET_READ_FIRST ((size_t)8 << 10)
#define MW_NET_READ_LEAST ((size_t)512)
#define MW_NET_TURN_NS MW_NS_PER_MS
/* Room in a body from which a read goes straight into it: below, two reads would cost more than the
 * copy that one of them saves. */
#define MW_NET_ROOM_MIN ((size_t)16 << 10)
/* The same while memory is short (TLS: a record): a thousand bodies that wait hold little. */
#define MW_NET_READ_SHORT ((size_t)4 << 10)
#define MW_NET_READ_SHORT_TLS ((size_t)16 << 10)
/* Above HIGH unsent bytes a connection is not read and no further answer is encoded for it;
 * below LOW it goes on. A peer that does not read holds at most this, plus one answer. */
#define MW_NET_OUT_HIGH ((size_t)256 << 10)
#define MW_NET_OUT_LOW ((size_t)64 << 10)
/* Request line and headers together. Tokens, cookies and trace state fit many times over. */
#define MW_NET_HEAD_MAX ((size_t)32 << 10)
#define MW_NET_HEADERS_MAX ((size_t)128)
/* Bytes that arrive behind a request that a handler still owns (pipelining). */
#define MW_NET_PENDING_MAX MW_NET_READ_SIZE
/* A refused body up to this size is read and dropped, so that the connection stays usable. */
#define MW_NET_DISCARD_MAX ((uint64_t)256 << 10)

/* The first request's head, or the h2 preface, must be complete after this. */
#define MW_NET_HEAD_TIMEOUT_NS (10 * MW_NS_PER_S)
/* Between two requests. Exporters send every 1 to 60 s and keep their connections. */
#define MW_NET_IDLE_TIMEOUT_NS (300 * MW_NS_PER_S)
/* A body brings at least this many bytes in each window, or its end. */
#define MW_NET_BODY_WINDOW_NS (5 * MW_NS_PER_S)
#define MW_NET_BODY_WINDOW_BYTES ((size_t)1024)
/* A stream whose connection is busy with others may wait this long for its next bytes. */
#define MW_NET_STREAM_STALL_NS (30 * MW_NS_PER_S)
/* Unsent bytes that do not move for this long end the connection (or the h2 stream). */
#define MW_NET_WRITE_TIMEOUT_NS (30 * MW_NS_PER_S)
/* After a refusal in the middle of a body the peer's bytes are dropped for this long, so that it
 * reads the answer instead of a reset. */
#define MW_NET_LINGER_NS (2 * MW_NS_PER_S)
/* And so many of them: more than sockets hold between two machines, so that who stops at the answer
 * reads it; who does not would have a loop read at full speed for all of that time. */
#define MW_NET_LINGER_BYTES ((size_t)16 << 20)
/* How long peers have to see the first GOAWAY before the one that fixes the last stream. */
#define MW_NET_GOAWAY_NS (100 * MW_NS_PER_MS)
/* A connection's age, 10 % up or down: balancers spread clients anew, and renewed certificates and
 * client CAs reach everybody within about an hour; apart, so that what began together does not
 * come back together. */
#define MW_NET_AGE_NS (3600 * MW_NS_PER_S)
#define MW_NET_AGE_SPREAD_NS (MW_NET_AGE_NS / 5)
/* One line in the log a cause in this time. */
#define MW_NET_LOG_EVERY_NS (10 * MW_NS_PER_S)

#define MW_NET_LOOPS_MAX 8u
#define MW_NET_CONNECTIONS_DEFAULT ((size_t)1024)
/* Of max_connections the OTLP ports leave so many to the web port: whoever floods them does not
 * close the door to those who ask what is going on. A thousand exporters still fit the default. */
#define MW_NET_WEB_RESERVE(max) ((max) / 8 < 16 ? (max) / 8 : (size_t)16)
/* ... and the web port takes no more than this: readers do not keep telemetry out. */
#define MW_NET_WEB_MAX(max) ((max) / 2)
/* The unix socket has these beyond max_connections, whatever the others hold: the administrator of
 * this machine, a few commands and a dashboard at a time. */
#define MW_NET_SOCKET_RESERVE ((size_t)16)
/* DESIGN: fixed, so that the bound on nesting depth and the stack belong together. */
#define MW_NET_STACK_SIZE ((size_t)1 << 20)

struct mw_http2_setup;
struct mw_tls;

typedef struct mw_front {
    mw_net_config config;
    mw_router router;
    struct mw_http2_setup *http2;
    struct mw_tls *tls; /* NULL in tests without it: clear text only */
    mw_seats seats;
    pthread_mutex_t door; /* held while a connection is counted in; all zeros is one that is open */
    atomic_size_t
        connections[MW_PORT_COUNT]; /* by bit of mw_port, those on their way to a loop too */
    atomic_size_t in_flight;        /* handed to a handler, not yet on the wire */
    atomic_size_t handed;           /* handed to a handler, not yet replied */
    atomic_size_t streams;          /* open answers in pieces */
    atomic_int_fast64_t tls_log_ns; /* last lines of their kind, for the rate limit */
    atomic_int_fast64_t handshake_log_ns;
    atomic_int_fast64_t full_log_ns;
    atomic_int_fast64_t accept_log_ns;
} mw_front;

/* Counts a new connection in when there is room for it; one that is refused is not counted. Every
 * connection that came in is counted out once, before its socket is closed: who sees the end finds
 * the place free. Any thread. */
MW_MUST_USE bool mw_front_enter(mw_front *front, mw_port port);
void mw_front_leave(mw_front *front, mw_port port);
size_t mw_front_connections(const mw_front *front);

/* MW_NET_AGE_NS with its spread, from lib/base's randomness. */
int64_t mw_retire_age_ns(void);
/* True when a line of that kind is due; remembers that it was written. */
bool mw_front_log_due(atomic_int_fast64_t *last_ns, int64_t now_ns);

/* How much the next turn of a connection may read, behind one that read `got` of at most `room`
 * bytes and took that long. Pure. */
size_t mw_net_next_read(size_t room, size_t got, int64_t taken_ns);

#endif
