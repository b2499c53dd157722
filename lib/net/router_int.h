/* lib/net, private: the route table. Sans I/O; built at start, read by all loops.
 *
 * A path matches when every literal byte is the same and every {} takes one non-empty segment.
 * Literal routes win over routes with parameters, then the table's order decides. One trailing
 * slash is forgiven. A miss says as much as possible: the same path on another port, another
 * method, gRPC where plain HTTP was sent, a different case.
 */
#ifndef MW_NET_ROUTER_INT_H
#define MW_NET_ROUTER_INT_H

#include "lib/net/net.h"

#define MW_PORT_COUNT 4

typedef struct mw_pattern {
    mw_slice path;
    mw_slice method;
    bool has_params;
} mw_pattern;

typedef struct mw_router {
    const mw_route *routes; /* borrowed */
    size_t count;
    mw_pattern *patterns;
    const char *endpoints[MW_PORT_COUNT]; /* "host:port" by bit of mw_port, NULL = not bound */
} mw_router;

typedef enum mw_route_result {
    MW_ROUTE_FOUND,
    MW_ROUTE_METHOD,     /* the path exists here with other methods: 405 */
    MW_ROUTE_WANTS_GRPC, /* a gRPC method, asked without gRPC: 415 */
    MW_ROUTE_WANTS_HTTP, /* gRPC framing on a path that is plain HTTP here: UNIMPLEMENTED */
    MW_ROUTE_OTHER_PORT, /* `route` is served elsewhere: 404 or UNIMPLEMENTED */
    MW_ROUTE_SIMILAR,    /* `route` differs in case or slashes only: 404 */
    MW_ROUTE_NONE
} mw_route_result;

typedef struct mw_route_query {
    mw_port port;
    bool grpc;
    mw_slice method; /* HEAD finds GET */
    mw_slice path;   /* not decoded */
    bool tls;        /* how the client came: links are given out alike */
} mw_route_query;

typedef struct mw_route_match {
    mw_route_result result;
    const mw_route *route;                /* NULL for MW_ROUTE_NONE */
    mw_slice params[MW_ROUTE_PARAMS_MAX]; /* as sent */
    size_t param_count;
} mw_route_match;

/* Aborts without memory (start-up) and on a table that breaks the rules. */
void mw_router_init(mw_router *router, const mw_route *routes, size_t count);
void mw_router_fini(mw_router *router);
void mw_router_endpoint(mw_router *router, mw_port port, const char *endpoint);
/* 0 to MW_PORT_COUNT - 1. */
unsigned mw_port_index(mw_port port);
/* "OTLP/gRPC", "web", ...: for people. */
const char *mw_port_name(mw_port port);

mw_route_match mw_router_find(const mw_router *router, const mw_route_query *query);

/* Percent-decodes in place of a copy in the arena. MW_E_SYNTAX (bad escape), MW_E_INVALID (an
 * escaped slash or NUL), MW_E_NOMEM. */
MW_MUST_USE mw_err mw_router_decode(mw_arena *arena, mw_slice raw, bool counted, mw_slice *out);

/* A sentence or two with the fix, in the arena, never with text of the peer. Empty without memory.
 * See router_words.c. */
mw_slice mw_router_explain(const mw_router *router, const mw_route_query *query,
                           const mw_route_match *match, mw_arena *arena);
/* "GET, HEAD, POST": value of Allow for the path on that port. */
mw_slice mw_router_allow(const mw_router *router, const mw_route_query *query, mw_arena *arena);

#endif
