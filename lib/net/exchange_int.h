/* lib/net, private: one request and its answer, whatever the protocol; and the wire it came on.
 *
 * The protocol sessions (HTTP/1, HTTP/2) fill the request's head, then drive
 *
 *     begin   route, gate, encodings, limits, admission      head complete
 *     body    inflate, gRPC framing, limit                   bytes as they come
 *     end     checks what must be complete, calls the handler
 *
 * Each returns false when the request is refused: the answer is then ready in `response`, the
 * state is ANSWER, and the session sends it. After `end` returned true the handler owns the
 * request until its reply comes back through wire->post.
 *
 * Life: an exchange lives inside its own arena, so that one call frees all of it. States, on the
 * loop's thread only:
 *
 *     HEAD -> BODY -> HANDLER -> ANSWER -> freed
 *       \_______\_________________/ (refused)
 *
 * In BODY an exchange may have to wait for memory (wait.kind BODY): `body` has taken all bytes, the
 * session stops its input, and goes on after mw_exchange_resume. In HANDLER it may wait for the
 * handler's next try (wait.kind HANDLER): it is the loop's then.
 *
 * A client that goes away frees an exchange in any state but HANDLER; in HANDLER it becomes an
 * orphan (wire NULL), and the reply, or the next try, only frees it.
 */
#ifndef MW_NET_EXCHANGE_INT_H
#define MW_NET_EXCHANGE_INT_H

#include "lib/base/counter.h"
#include "lib/net/body_int.h"
#include "lib/net/grpc_int.h"
#include "lib/net/http1_int.h"
#include "lib/net/inflate_int.h"
#include "lib/net/net_int.h"
#include "lib/net/out_queue_int.h"

struct mw_exchange;

/* What a protocol session sees of its connection; no sockets in here. One loop's. */
typedef struct mw_wire {
    mw_front *front;
    mw_port port;
    mw_peer peer;
    mw_http_date *date; /* NULL = no Date header */
    /* Where replies go: called by mw_request_reply on any thread. */
    void (*post)(void *ctx, struct mw_exchange *exchange);
    /* The same, but never within the loop's present turn. */
    void (*post_later)(void *ctx, struct mw_exchange *exchange);
    void *post_ctx;
    void *owner; /* the connection */
    mw_out_queue out;
    size_t handed;              /* exchanges that handlers own */
    size_t unflushed;           /* answers to handed requests that wait in `out` */
    uint64_t body_received;     /* body bytes of all its requests */
    size_t body_bytes;          /* memory of their bodies */
    bool served;                /* a handler has answered on it */
    bool wasted;                /* it had the reservation since, and did not use it */
    struct mw_exchange *holder; /* the one of its requests that has the reservation, or NULL */
    unsigned waiting; /* bodies of its requests that wait for memory: nothing is read then */
    /* Where an exchange goes that has to wait (waiting.c); NULL = there is no waiting, it is
     * refused. */
    void (*wait)(void *ctx, struct mw_exchange *exchange);
    bool draining; /* no new requests after those that have begun */
    bool retiring; /* as old as a connection may get: the next answer is its last */
    bool finished; /* close when `out` is written */
    bool linger;   /* ... and the peer may still be sending */
    bool broken;   /* close now */
} mw_wire;

void mw_wire_init(mw_wire *wire, mw_front *front, mw_port port);
void mw_wire_fini(mw_wire *wire);
/* Everything in `out` is on the wire, or never will be: settles in_flight. */
void mw_wire_flushed(mw_wire *wire);
int64_t mw_wire_now(const mw_wire *wire);
/* Date for a response; empty without a clock text. */
mw_slice mw_wire_date(const mw_wire *wire);

typedef enum mw_exchange_state {
    MW_EXCHANGE_HEAD,
    MW_EXCHANGE_BODY,
    MW_EXCHANGE_HANDLER,
    MW_EXCHANGE_ANSWER
} mw_exchange_state;

#define MW_LENGTH_UNKNOWN UINT64_MAX

typedef struct mw_exchange {
    mw_request request;             /* first: request->internal is the exchange */
    struct mw_exchange *next_reply; /* in a list of replies */
    struct mw_exchange *next;       /* in the h2 session's list */
    struct mw_exchange *previous;
    mw_wire *wire; /* NULL = orphan */
    mw_front *front;
    void (*post)(void *ctx, struct mw_exchange *exchange);
    void (*post_later)(void *ctx, struct mw_exchange *exchange);
    void *post_ctx;
    struct mw_stream *offered; /* the handler answers in pieces: for the delivery only */
    struct mw_stream *stream;  /* the same, once the loop knows */
    mw_exchange_state state;
    bool counted; /* in front->in_flight */
    /* mw_client_state: written on the loop's thread, read by whoever has the request. */
    atomic_int client;
    /* body */
    mw_body body;
    mw_inflate *inflate; /* NULL = bytes are taken as they are */
    bool gzip;           /* content-encoding or grpc-encoding says so */
    mw_cors cors;        /* what the request's Origin may have of the answer */
    mw_grpc_reader grpc;
    uint64_t received; /* body bytes off the wire */
    int64_t window_ns; /* progress: begin of the window, and the counts at that time */
    uint64_t window_received;
    uint64_t window_wire;
    unsigned slow_windows; /* in a row, while other streams made progress */
    /* memory (admission_int.h) */
    mw_wait wait;
    size_t body_bytes; /* of wire->body_bytes */
    int64_t rate_ns;   /* begin of a window in which its rate is looked at, and the count then */
    uint64_t rate_received;
    bool hold_proven; /* has the reservation, and has moved since */
    bool may_defer;   /* there is a list to wait in */
    bool deferred;    /* posted to wait for another try of its handler, not replied */
    /* h2 */
    int32_t stream_id;
    bool gone;            /* the stream is closed */
    unsigned head_status; /* what the head is to be refused with once it ends; 0 = nothing */
    size_t head_bytes;
    size_t header_capacity;
    size_t sent; /* of prefix and body */
    mw_response response;
} mw_exchange;

/* NULL without memory. */
mw_exchange *mw_exchange_new(mw_wire *wire);
/* Not in state HANDLER. */
void mw_exchange_free(mw_exchange *exchange);

/* The head is complete: method, target, authority, headers, http_version are set. `length` is
 * that of the body, 0 for none, MW_LENGTH_UNKNOWN. */
MW_MUST_USE bool mw_exchange_begin(mw_exchange *exchange, uint64_t length);
MW_MUST_USE bool mw_exchange_body(mw_exchange *exchange, mw_slice bytes);
/* Memory that the body has and has not filled, to read its next bytes into: *size bytes, at least
 * MW_NET_ROOM_MIN. NULL when there is less, or when bytes are unpacked first. _filled: so many of
 * the body's bytes were read there, which is as good as mw_exchange_body. In BODY. */
char *mw_exchange_room(const mw_exchange *exchange, size_t *size);
void mw_exchange_filled(mw_exchange *exchange, size_t len);
MW_MUST_USE bool mw_exchange_end(mw_exchange *exchange);
/* Takes what came before the body had to wait: true when it goes on, or waits again. */
MW_MUST_USE bool mw_exchange_resume(mw_exchange *exchange);
static inline bool mw_exchange_waits(const mw_exchange *exchange)
{
    return exchange->wait.kind == MW_WAIT_BODY;
}
/* The time is up, or its memory is needed: MW_WAIT_BODY, or any exchange in BODY. */
void mw_exchange_refuse_memory(mw_exchange *exchange);
/* Calls the handler, once more when it had deferred. */
void mw_exchange_call_handler(mw_exchange *exchange);
/* True when the body stayed below MW_NET_BODY_WINDOW_BYTES in a window; six windows are forgiven
 * while other streams of the wire move, since a slow link serves them in turn. */
bool mw_exchange_is_slow(mw_exchange *exchange, int64_t now_ns);

/* An answer of net's own. `message` lives in the arena or is a literal. */
void mw_exchange_refuse(mw_exchange *exchange, mw_counter counter, const mw_net_refusal *refusal);
/* The same by HTTP status alone; the gRPC code follows from it. */
void mw_exchange_refuse_status(mw_exchange *exchange, mw_counter counter, unsigned status,
                               const char *message);

/* The handler's answer begins: frees the body, cleans header values, adds those of CORS. */
void mw_exchange_prepare_answer(mw_exchange *exchange);
/* The reply is back on the loop's thread: HANDLER -> ANSWER. True when the client is still
 * there; otherwise the exchange has been freed. */
MW_MUST_USE bool mw_exchange_replied(mw_exchange *exchange);
/* The client has gone (h1 connection or whole h2 session): frees, or makes an orphan. */
void mw_exchange_abandon(mw_exchange *exchange);
/* The answer has been encoded into wire->out: in_flight will follow its flush. */
void mw_exchange_encoded(mw_exchange *exchange);

#endif
