/* An answer in pieces: for what has no end yet (a followed list) or is too large to hold.
 *
 * A handler that owns a request calls mw_stream_begin instead of mw_request_reply. From then on it
 * owns the stream and must call mw_stream_end exactly once, whatever happens: it is to a stream
 * what the reply is to a request. Begin, write, wake and end may be called from any thread and
 * never block; they take a lock for the time of a list operation and at most wake the loop. Pieces
 * leave in the order of the writes. On HTTP/1.1 they travel as chunks, to HTTP/1.0 clients until
 * the connection closes, on HTTP/2 as DATA frames. HEAD requests and statuses without a body (204,
 * 304) get the head alone; the stream is then GONE at once. gRPC is served as unary calls only.
 *
 * What happens to a stream is told through one callback on the loop's thread, which must not
 * block either: it may write, end, or hand work to a pool.
 *
 *     MW_STREAM_WAKE     the first event of every stream, so that all work can begin in one place;
 *                        later, somebody called mw_stream_wake (several calls may become one)
 *     MW_STREAM_ROOM     a write was refused with MW_E_AGAIN and there is room again
 *     MW_STREAM_ENDING   the connection is to end soon (drain, or its age): finish what you have,
 *                        then end. Who does not is cut off by the end of the drain.
 *     MW_STREAM_GONE     nobody reads any more: the client went, did not read for
 *                        MW_NET_WRITE_TIMEOUT_NS, or net closed the connection. Writes are
 *                        refused with MW_E_CLOSED, and neither WAKE nor ROOM follows; all that
 *                        is left to do is mw_stream_end.
 *     MW_STREAM_OVER     the last event, alone and exactly once, after mw_stream_end: the stream,
 *                        the request and its arena are freed when the callback returns.
 *
 * Events may come while begin has not returned yet and while another thread writes. After
 * mw_stream_end no event but OVER begins.
 *
 * A client that closes its sending side while a stream is open has left: nothing else would tell
 * that the reader of a quiet stream is gone.
 *
 * In short, a list that is followed, waiting for commits of a store:
 *
 *     route handler      mw_sse_begin(request, on_event, follower, &server->followers, &stream)
 *     commit callback    mw_stream_group_wake(&server->followers);      any thread, never blocks
 *     on_event           WAKE, ROOM: submit a job to the pool unless one runs
 *                        GONE, ENDING: end once no job runs;  OVER: free the follower
 *     job on the pool    ask what is new, mw_sse_send each; MW_E_AGAIN: remember where, wait
 *                        for ROOM
 */
#ifndef MW_NET_STREAM_H
#define MW_NET_STREAM_H

#include <pthread.h>

#include "lib/net/request.h"

typedef struct mw_stream mw_stream;

typedef enum mw_stream_event {
    MW_STREAM_WAKE = 1,
    MW_STREAM_ROOM = 2,
    MW_STREAM_ENDING = 4,
    MW_STREAM_GONE = 8,
    MW_STREAM_OVER = 16
} mw_stream_event;

/* Streams that wait for the same thing. A stream leaves its group by itself, before OVER, so that
 * nobody wakes what is freed. */
typedef struct mw_stream_group {
    pthread_mutex_t lock;
    mw_stream *first;
} mw_stream_group;

void mw_stream_group_init(mw_stream_group *group);
/* Empty: after mw_net_free. */
void mw_stream_group_fini(mw_stream_group *group);
/* Any thread; what a commit callback calls. */
void mw_stream_group_wake(mw_stream_group *group);

typedef struct mw_stream_options {
    /* `events` is a mask of mw_stream_event. */
    void (*on_event)(void *ctx, mw_stream *stream, unsigned events);
    void *ctx;
    mw_stream_group *group; /* joined before the first event; NULL: none */
    /* Sent whenever nothing was for MW_STREAM_KEEP_ALIVE_NS, so that no proxy takes a quiet stream
     * for a dead one and a lost client is found; a literal. Empty: nothing is sent. */
    mw_slice keep_alive;
    /* The stream has no end of its own: when the connection is to end, net ends it in order (the
     * client sees a complete answer) and tells ENDING | GONE. */
    bool follows;
} mw_stream_options;

/* One piece; and what may wait in a stream (pieces are taken whole or not at all). */
#define MW_STREAM_PIECE_MAX ((size_t)256 << 10)
/* Proxies and load balancers close at 30 to 60 s of silence; the HTML standard suggests 15. */
#define MW_STREAM_KEEP_ALIVE_NS (15 * MW_NS_PER_S)
/* Open at a time in the whole server: each holds a request, and up to its queue of memory. */
#define MW_STREAMS_MAX ((size_t)512)

/* Sends status, content type and headers of `head` (its body and length are not looked at) and
 * makes the request a stream, which is in *out before any event. The request's body is freed; all
 * else it points to lives until OVER. On failure nothing has happened and the request must be
 * answered: MW_E_UNSUPPORTED (gRPC framing), MW_E_LIMIT (MW_STREAMS_MAX are open), MW_E_NOMEM. */
MW_MUST_USE mw_err mw_stream_begin(mw_request *request, const mw_response *head,
                                   const mw_stream_options *options, mw_stream **out);
/* Copies the piece. One thread at a time where order matters. MW_E_AGAIN: nothing was taken, the
 * client is slower than you; ROOM will tell. MW_E_CLOSED: GONE. MW_E_LIMIT: over
 * MW_STREAM_PIECE_MAX. MW_E_NOMEM: as AGAIN, but nothing will tell. */
MW_MUST_USE mw_err mw_stream_write(mw_stream *stream, mw_slice piece);
/* The same, and the next piece belongs to it: no keep-alive comes between them. */
MW_MUST_USE mw_err mw_stream_write_part(mw_stream *stream, mw_slice piece);
/* Has WAKE told soon. A group does this for streams that may end meanwhile. */
void mw_stream_wake(mw_stream *stream);
/* Pieces that wait are still sent. The last call for a stream; only a callback that runs at that
 * time may still touch it (its writes are refused). */
void mw_stream_end(mw_stream *stream);
mw_request *mw_stream_request(mw_stream *stream);

#endif
