/* lib/net: sockets to requests. This header, request.h, stream.h and sse.h are the room's only
 * doors.
 *
 * N loops (libevent), each a thread with its own connections; all loops accept from the shared
 * listening sockets. Every port understands HTTP/1.1, h2 with prior knowledge and gRPC by the
 * first bytes; with a certificate every TCP port takes TLS as well, and clear text from loopback
 * peers only. Bodies are read with plain read(2) into accounted buffers, bounded by the route's
 * limit. net answers by itself only what never reaches a handler: bad syntax, no such route,
 * wrong method, too large, too slow, refused by the gate.
 */
#ifndef MW_NET_NET_H
#define MW_NET_NET_H

#include "lib/base/clock.h"
#include "lib/net/request.h"

typedef void (*mw_handler)(void *ctx, mw_request *request);

typedef struct mw_route {
    unsigned ports;     /* mask of mw_port */
    const char *method; /* "GET", "POST", ...; gRPC methods are "POST" */
    const char *path;   /* "/api/v1/traces/{id}"; {} takes one non-empty segment */
    bool grpc;          /* content-type application/grpc only */
    size_t max_body;    /* 0 = no body allowed */
    mw_handler handler;
    void *ctx;
    int tag; /* free for the gate and the error formatter (which family) */
    /* The handler compares the path's parameters by their length: an escaped NUL is a byte of a
     * name like any other. Elsewhere it is refused, since it would cut the text short. */
    bool counted_params;
} mw_route;

/* Why net itself answers; `status` is the HTTP status that goes with it. */
typedef struct mw_net_refusal {
    unsigned status;
    mw_rpc_code rpc_code;
    mw_slice message;       /* one sentence with the fix */
    unsigned retry_after_s; /* 0 = none */
    /* The message's parts, where the gate tells them apart; brief empty = it does not. */
    mw_slice brief, field, hint;
} mw_net_refusal;

/* What a web page of another origin may have of an answer (CORS). */
typedef enum mw_cors {
    MW_CORS_NONE,
    MW_CORS_READ,        /* read it; its requests carry no cookies */
    MW_CORS_CREDENTIALS, /* ... or whatever the browser adds: what sendBeacon always asks for */
} mw_cors;

/* PEM files; borrowed for the call. NULL or empty: none. A certificate needs its key. */
typedef struct mw_net_tls {
    const char *certificate_path; /* the leaf, then its chain */
    const char *key_path;         /* without passphrase; nobody but its owner may open it */
    const char *client_ca_path;   /* given: clients need a certificate from one of these */
} mw_net_tls;

typedef struct mw_net_config {
    const char *grpc_address; /* "host:port,host:port"; port 0 = any, the same for all hosts */
    const char *http_address;
    const char *web_address;
    const char *socket_path; /* NULL = none; created with mode 0600 */
    mw_net_tls tls;          /* the unix socket never does TLS */
    unsigned loops;          /* 0 = number of processors, at most 8 */
    const mw_clock *clock;
    const mw_route *routes; /* borrowed, lives as long as net */
    size_t route_count;
    /* Asked on the loop's thread once the head is complete and the route known, before any body
     * is read. Returns false with *refusal filled to turn the request away. NULL admits all. */
    bool (*gate)(void *ctx, const mw_request *request, mw_net_refusal *refusal);
    void *gate_ctx;
    /* Writes the body of an answer net gives by itself, in the form of the route family: fills
     * content_type and body (in request->arena) and headers; status and codes are set already.
     * request->route is NULL when none was found. NULL = text/plain. */
    void (*format_refusal)(void *ctx, mw_request *request, const mw_net_refusal *refusal,
                           mw_response *response);
    void *format_ctx;
    /* Asked for requests with an Origin: decides whether net answers preflight requests and lets
     * the page read answers. It admits nobody: that is the gate's. NULL = MW_CORS_NONE. */
    mw_cors (*cors)(void *ctx, const mw_request *request, mw_slice origin);
    void *cors_ctx;
    /* All TCP ports together, 0 = 1024; beyond it the newest is closed and counted. The OTLP ports
     * leave 16 of them to the web port (an eighth of less than 128), the web port leaves them half,
     * and the unix socket has 16 of its own. */
    size_t max_connections;
} mw_net_config;

typedef struct mw_net mw_net;

/* Loads the certificate, binds and starts the loops. MW_E_INVALID (address), MW_E_CONFLICT (in
 * use), MW_E_DENIED, MW_E_IO, those of mw_net_tls_check, with detail. */
MW_MUST_USE mw_err mw_net_start(const mw_net_config *config, mw_net **out, mw_detail *detail);
/* The form of a list of addresses as in mw_net_config: MW_E_INVALID, with a detail that names
 * `field`. Nothing is looked up or bound. Pure. */
MW_MUST_USE mw_err mw_net_addresses_check(const char *text, const char *field, mw_detail *detail);
/* The first bound "host:port" of a port, for endpoints.json; lives as long as net. */
const char *mw_net_endpoint(const mw_net *net, mw_port port);
size_t mw_net_connections(const mw_net *net);
/* Requests that were handed to a handler and not yet answered on the wire. */
size_t mw_net_in_flight(const mw_net *net);
/* Reads, checks and publishes new files; new connections get them, open ones keep what they began
 * with. On failure all stays as it was. Empty paths end TLS for new connections. Any thread, one
 * at a time. Errors as mw_net_tls_check. */
MW_MUST_USE mw_err mw_net_tls_reload(mw_net *net, const mw_net_tls *paths, mw_detail *detail);
/* Any thread. */
bool mw_net_tls_on(const mw_net *net);
/* Reads and checks the files, and no more: form, dates, key and certificate a pair, the key's
 * mode. MW_E_INVALID, MW_E_DENIED, MW_E_NOT_FOUND, MW_E_LIMIT, MW_E_IO, MW_E_NOMEM, with a detail
 * that names option and file. */
MW_MUST_USE mw_err mw_net_tls_check(const mw_net_tls *paths, const mw_clock *clock,
                                    mw_detail *detail);
/* Stops accepting, sends GOAWAY / Connection: close, lets requests in flight finish, for at most
 * timeout_ms; then closes everything. Blocks. Every handler's reply must still be possible. */
void mw_net_drain(mw_net *net, unsigned timeout_ms);
/* After drain: joins the loops and frees. Late replies are a bug. */
void mw_net_free(mw_net *net);

#endif
