/* lib/net, private: what loops and protocol sessions do with a stream. See stream.h.
 *
 * A stream lies in the arena of its exchange. Two sides share it: the writer, on any thread,
 * reaches the fields under `lock` only; the loop owns the rest. The writer's news travel as replies
 * do: the exchange is posted to its loop, once however much there is to tell (`posted`).
 *
 *     begin ── post ──> started ──> head sent ──> pieces ... ──> last piece ──> freed
 *     (exchange HANDLER ............................. end: ANSWER)
 *
 * While the writer has not ended, the exchange stays in state HANDLER, so a client that goes makes
 * it an orphan, as with requests. Nothing posts after `ended` but the end itself: that is what
 * makes it safe to free the exchange in state ANSWER. Callbacks are called from
 * mw_stream_delivered, between events of the loop; OVER alone from mw_stream_fini, wherever an
 * exchange is freed.
 */
#ifndef MW_NET_STREAM_INT_H
#define MW_NET_STREAM_INT_H

#include "lib/net/exchange_int.h"
#include "lib/net/stream.h"

/* Pieces that wait are answers to questions, and have their share of memory: who does not read
 * takes none from exports. */
#define MW_STREAM_MEMORY MW_MEM_QUERY

typedef struct mw_stream_piece {
    struct mw_stream_piece *next;
    size_t len;
    char data[];
} mw_stream_piece;

struct mw_stream {
    mw_exchange *exchange;
    mw_stream_options options;
    /* both sides, under lock */
    pthread_mutex_t lock;
    mw_stream_piece *first;
    mw_stream_piece *last;
    size_t queued;    /* bytes in the list */
    unsigned pending; /* events to tell */
    bool posted;      /* on its way to the loop */
    bool wants_room;
    bool within; /* what was written last is not whole yet */
    bool closed; /* no more pieces are taken */
    bool ended;  /* by the writer */
    /* under the group's lock */
    mw_stream *next;
    mw_stream *previous;
    /* the loop's */
    bool head_sent;
    bool cut; /* net ends it after what is queued: HEAD, 204, drain */
    bool ending_told;
    mw_stream_piece *current; /* HTTP/2: a piece that is being read */
    size_t offset;
    int64_t quiet_ns; /* last time a piece was taken */
};

/* The loop got the exchange from a writer's post. Calls back; true when the session has something
 * to do: exchange->wire is there. Otherwise the exchange may have been freed. */
MW_MUST_USE bool mw_stream_delivered(mw_exchange *exchange);
/* Events from the loop's side. GONE closes. Loop's thread, or the one that ends net. */
void mw_stream_tell(mw_stream *stream, unsigned events);
/* The connection is to end: tells once, and ends a stream that follows. */
void mw_stream_wind_up(mw_stream *stream);
/* The answer has no body: whatever is written is not sent. */
void mw_stream_cut(mw_stream *stream);
/* Nothing is left to send, and nothing will come. */
bool mw_stream_is_complete(mw_stream *stream);
/* True while pieces wait (those that wire->out already holds do not count). */
bool mw_stream_is_waiting(mw_stream *stream);
/* The next whole piece, the caller's to mw_free (MW_STREAM_MEMORY), or NULL. */
mw_stream_piece *mw_stream_take(mw_stream *stream);
/* Copies at most `room` bytes; their number. */
size_t mw_stream_read(mw_stream *stream, void *out, size_t room);
/* Keep-alive; true when it put something into the queue. */
bool mw_stream_sweep(mw_stream *stream, int64_t now_ns);
/* Leaves the group, tells OVER, frees the pieces. Called by mw_exchange_free. */
void mw_stream_fini(mw_stream *stream);

#endif
