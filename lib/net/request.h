/* One request and one response for every transport: HTTP/1.1, HTTP/2 and gRPC, TCP and unix.
 *
 * Life of a request: the connection's loop parses it and calls the route's handler on the loop's
 * thread. From that call on the handler owns the request; it must answer exactly once with
 * mw_request_reply, at once or later and from any thread, and not touch it afterwards; or make it
 * an answer in pieces (lib/net/stream.h, lib/net/sse.h) and end that exactly once. When the
 * client has gone meanwhile the answer is dropped and the request freed all the same. Everything
 * a slice in here points to lives until the reply. The request's memory is its arena.
 */
#ifndef MW_NET_REQUEST_H
#define MW_NET_REQUEST_H

#include <sys/types.h>

#include "lib/base/arena.h"
#include "lib/base/buffer.h"
#include "lib/base/clock.h"
#include "lib/base/slice.h"

/* Which listener took the connection; a bit mask in routes. */
typedef enum mw_port {
    MW_PORT_GRPC = 1,  /* 4317 */
    MW_PORT_HTTP = 2,  /* 4318 */
    MW_PORT_WEB = 4,   /* 4319 */
    MW_PORT_SOCKET = 8 /* DATA/midwatch.sock */
} mw_port;

typedef enum mw_framing {
    MW_FRAMING_HTTP,
    MW_FRAMING_GRPC /* body is the one message, its 5-byte prefix taken off */
} mw_framing;

typedef struct mw_header {
    mw_slice name; /* lower case */
    mw_slice value;
} mw_header;

typedef struct mw_peer {
    char address[64]; /* "127.0.0.1", "::1", "unix"; IPv4-mapped folded to IPv4 */
    uint16_t port;
    bool loopback; /* TCP from this machine's loopback */
    bool local;    /* unix socket: uid is valid (SO_PEERCRED) */
    bool tls;      /* through TLS; with client CAs configured, its certificate was verified */
    uid_t uid;
} mw_peer;

/* Path parameters a route may hold: /api/v1/investigations/{id}/journal/{record} needs 2. */
#define MW_ROUTE_PARAMS_MAX 4

typedef struct mw_request {
    mw_arena arena;
    mw_port port;
    mw_framing framing;
    unsigned http_version; /* 1 or 2 */
    mw_slice method;       /* as sent: "GET", "POST", ... */
    mw_slice target;       /* as sent */
    mw_slice path;         /* before '?', not decoded */
    mw_slice query;        /* after '?', not decoded; empty when absent */
    mw_slice authority;    /* Host or :authority */
    const mw_header *headers;
    size_t header_count;
    mw_slice params[MW_ROUTE_PARAMS_MAX]; /* percent-decoded */
    mw_slice body;
    const mw_peer *peer; /* copied into the arena */
    int64_t received_ns; /* monotonic, when the head was complete */
    int64_t deadline_ns; /* monotonic, from grpc-timeout; 0 = none */
    const struct mw_route *route;
    void *internal; /* the connection layer's own; nobody else's */
    void *own;      /* the handler's own, NULL before its first call (mw_request_defer) */
} mw_request;

/* google.rpc.Code, used on both framings. */
typedef enum mw_rpc_code {
    MW_RPC_OK = 0,
    MW_RPC_CANCELLED = 1,
    MW_RPC_UNKNOWN = 2,
    MW_RPC_INVALID_ARGUMENT = 3,
    MW_RPC_DEADLINE_EXCEEDED = 4,
    MW_RPC_NOT_FOUND = 5,
    MW_RPC_PERMISSION_DENIED = 7,
    MW_RPC_RESOURCE_EXHAUSTED = 8,
    MW_RPC_FAILED_PRECONDITION = 9,
    MW_RPC_UNIMPLEMENTED = 12,
    MW_RPC_INTERNAL = 13,
    MW_RPC_UNAVAILABLE = 14,
    MW_RPC_UNAUTHENTICATED = 16
} mw_rpc_code;

#define MW_RESPONSE_HEADERS_MAX 12
/* Behind those: what net itself adds (CORS). */
#define MW_RESPONSE_HEADERS_NET 4

/* All slices must live in the request's arena or be literals; the body may also be given
 * (mw_response_give). */
typedef struct mw_response {
    unsigned status;       /* HTTP status; on gRPC framing always sent as 200 */
    mw_rpc_code rpc_code;  /* gRPC framing: grpc-status */
    mw_slice rpc_message;  /* gRPC framing: grpc-message, plain UTF-8 (encoded by net) */
    mw_slice rpc_details;  /* gRPC framing: google.rpc.Status bytes, base64'd by net; or empty */
    mw_slice content_type; /* empty = no content-type header (HTTP framing) */
    mw_slice body;         /* HTTP: the body; gRPC with MW_RPC_OK: the message, 5 bytes added */
    mw_header headers[MW_RESPONSE_HEADERS_MAX + MW_RESPONSE_HEADERS_NET]; /* names lower case */
    size_t header_count;
    bool close; /* HTTP/1.1: close the connection after this answer */
    /* A body that was given, NULL = none: net frees it once it is written, or never will be. */
    void *given;
    mw_component given_component;
} mw_response;

/* First header of that (lower-case) name; data NULL when absent. *count, when given, says how
 * many there are: a credential sent twice is an error (facts: webhooks 1.3). */
mw_slice mw_request_header(const mw_request *request, mw_slice name, size_t *count);
/* Percent-decoded value of a query parameter, in the arena; data NULL when absent or the arena
 * is full. "+" is a space. */
mw_slice mw_request_query(mw_request *request, mw_slice name);
/* True when the query string holds only names of `allowed` (n of them); else *unknown is the
 * first other name. */
bool mw_request_query_known(const mw_request *request, const mw_slice *allowed, size_t n,
                            mw_slice *unknown);

/* Drops what is over MW_RESPONSE_HEADERS_MAX (a bug: asserts). */
void mw_response_header(mw_response *response, mw_slice name, mw_slice value);

/* Whether somebody still waits for the answer, as far as that can be told. HUNG_UP: the client has
 * closed its sending side, as one does that has gone, and as a few do that still wait. */
typedef enum mw_client_state { MW_CLIENT_WAITS, MW_CLIENT_HUNG_UP, MW_CLIENT_GONE } mw_client_state;
/* Any thread, while the request is the handler's: a long question may ask and give up. */
mw_client_state mw_request_client(const mw_request *request);

/* Makes what is in `buffer` the body, without a copy; the buffer is empty then. Until the last byte
 * is written it counts under the buffer's component: answers that wait for slow readers stay in the
 * share of what put them together. Once an answer, which must then be replied. */
void mw_response_give(mw_response *response, mw_buffer *buffer);

/* Answers and gives the request back. Any thread. `response` is copied; its slices must live as
 * said above. */
void mw_request_reply(mw_request *request, const mw_response *response);

/* A request may wait this long, from its receipt, for a handler that cannot take it, or half of
 * the client's deadline (DESIGN 3.3). */
#define MW_REQUEST_WAIT_NS (3 * MW_NS_PER_S)
/* The handler cannot take the request now. True: it is the loop's again, which calls the handler
 * again on its thread, in delay_ms or a little later; nothing of the request may be touched after
 * this call. False: the time for waiting is over, the handler must answer. `now_ns` is monotonic.
 * Any thread. When the client has gone meanwhile, or the net is closed, the request is freed and
 * the handler not called again: what belongs to it lives in the request's arena (see `own`). */
MW_MUST_USE bool mw_request_defer(mw_request *request, int64_t now_ns, unsigned delay_ms);

#endif
