/* What a 404 says: which mistake it was and what to do. See router_int.h. The words name this
 * server's own paths and addresses, never text of the peer.
 *
 * Reading order: pieces of sentences, one function a mistake, the choice among them.
 */
#include "lib/net/router_int.h"

/* How many paths a 404 lists. */
#define LISTED_MAX 4

static const char *const port_names[MW_PORT_COUNT] = {"OTLP/gRPC", "OTLP/HTTP", "web",
                                                      "local socket"};

const char *mw_port_name(mw_port port)
{
    return port_names[mw_port_index(port)];
}

/* "http://127.0.0.1:4319", as the client came; the socket and gRPC have no scheme. */
static const char *address_of(const mw_router *router, const mw_route_query *query, unsigned index,
                              mw_arena *arena)
{
    const char *web = query->tls ? "https://" : "http://";
    const char *scheme = index == 1 || index == 2 ? web : "";
    const char *text = NULL;
    if (router->endpoints[index])
        text = mw_arena_printf(arena, "%s%s", scheme, router->endpoints[index]);
    return text;
}

static mw_slice said(const char *text)
{
    return text ? mw_slice_of(text) : MW_SLICE_NONE;
}

/* The port a person would use for the route: the first bound one. */
static mw_slice explain_other_port(const mw_router *router, const mw_route_query *query,
                                   const mw_route *route, mw_arena *arena)
{
    const char *what = query->grpc ? "gRPC method" : "path";
    const char *here = port_names[mw_port_index(query->port)];
    for (unsigned i = 0; i < MW_PORT_COUNT; i++) {
        const char *address = address_of(router, query, i, arena);
        if ((route->ports & 1u << i) && address)
            return said(mw_arena_printf(
                arena, "This is the %s port; that %s is served on the %s port: send it to %s.",
                here, what, port_names[i], address));
    }
    return said(
        mw_arena_printf(arena, "This is the %s port; it does not serve that %s.", here, what));
}

/* ---- paths that nobody serves ---------------------------------------------------------------- */

/* OTEL_EXPORTER_OTLP_TRACES_ENDPOINT=http://host:4318 posts to "/": the variables for one signal
 * are not completed. Somebody with a browser wants another port. */
static mw_slice explain_root(const mw_router *router, const mw_route_query *query, mw_arena *arena)
{
    const char *web = address_of(router, query, mw_port_index(MW_PORT_WEB), arena);
    const char *own = address_of(router, query, mw_port_index(MW_PORT_HTTP), arena);
    bool looks = mw_slice_equal(query->method, MW_SLICE("GET")) ||
                 mw_slice_equal(query->method, MW_SLICE("HEAD"));
    if (!own || (looks && !web))
        return MW_SLICE_NONE;
    if (looks)
        return said(mw_arena_printf(
            arena, "This is the OTLP/HTTP port, for exporters; people use the web port: %s.", web));
    return said(mw_arena_printf(
        arena,
        "Nothing is served at /. OTEL_EXPORTER_OTLP_TRACES_ENDPOINT and its like for other signals "
        "are used as they are and need the full path: %s/v1/traces; OTEL_EXPORTER_OTLP_ENDPOINT "
        "takes the address alone.",
        own));
}

/* "/v1/traces/v1/traces", "/otlp/v1/logs": an endpoint with more than its address. */
static mw_slice explain_prefix(const mw_router *router, const mw_route_query *query,
                               mw_arena *arena)
{
    const char *own = address_of(router, query, mw_port_index(query->port), arena);
    for (size_t i = 0; i < router->count && own; i++) {
        const mw_pattern *pattern = &router->patterns[i];
        if (!(router->routes[i].ports & (unsigned)query->port) || pattern->has_params ||
            pattern->path.len < 2 || !mw_slice_ends(query->path, pattern->path))
            continue;
        return said(mw_arena_printf(
            arena,
            "No such path; %s is served here with nothing before it. If the exporter appends the "
            "path by itself, its endpoint (OTEL_EXPORTER_OTLP_ENDPOINT) is %s.",
            router->routes[i].path, own));
    }
    return MW_SLICE_NONE;
}

/* A port for gRPC alone. */
static mw_slice explain_grpc_port(const mw_router *router, const mw_route_query *query,
                                  mw_arena *arena)
{
    const char *http = address_of(router, query, mw_port_index(MW_PORT_HTTP), arena);
    const char *web = address_of(router, query, mw_port_index(MW_PORT_WEB), arena);
    if (!http || !web)
        return MW_SLICE_NONE;
    return said(mw_arena_printf(arena,
                                "This is the OTLP/gRPC port and takes gRPC only; OTLP over HTTP "
                                "goes to %s, all else to the web port: %s.",
                                http, web));
}

/* "/api" of "/api/v1/x". */
static mw_slice first_segment(mw_slice path)
{
    return mw_slice_first(path, 1 + mw_slice_find_byte(mw_slice_from(path, 1), '/'));
}

/* A path below a place that another port serves. */
static mw_slice explain_place(const mw_router *router, const mw_route_query *query, mw_arena *arena)
{
    mw_slice place = first_segment(query->path);
    const mw_route *elsewhere = NULL;
    for (size_t i = 0; i < router->count && place.len > 1; i++) {
        const mw_route *route = &router->routes[i];
        if (route->grpc || !mw_slice_equal(first_segment(router->patterns[i].path), place))
            continue;
        if (route->ports & (unsigned)query->port)
            return MW_SLICE_NONE;
        elsewhere = elsewhere ? elsewhere : route;
    }
    for (unsigned i = 0; i < MW_PORT_COUNT && elsewhere; i++) {
        const char *address = address_of(router, query, i, arena);
        if ((elsewhere->ports & 1u << i) && address)
            /* The place is equal to one of a route's, so it is no text of the peer. */
            return said(mw_arena_printf(
                arena, "No such path; what is below %.*s is served on the %s port: %s.",
                MW_SLICE_FMT(place), port_names[i], address));
    }
    return MW_SLICE_NONE;
}

static mw_slice explain_list(const mw_router *router, const mw_route_query *query, mw_arena *arena)
{
    const char *paths[LISTED_MAX] = {"", "", "", ""};
    size_t count = 0;
    bool more = false;
    for (size_t i = 0; i < router->count && !more; i++) {
        const mw_route *route = &router->routes[i];
        if (!(route->ports & (unsigned)query->port) || route->grpc != query->grpc ||
            router->patterns[i].has_params)
            continue;
        if (count && strcmp(paths[count - 1], route->path) == 0)
            continue;
        more = count == LISTED_MAX;
        if (!more)
            paths[count++] = route->path;
    }
    const char *what = query->grpc ? "Unknown gRPC service or method" : "No such path";
    const char *port = port_names[mw_port_index(query->port)];
    if (count == 0)
        return mw_slice_of(mw_arena_printf(arena, "%s on the %s port.", what, port));
    return mw_slice_of(mw_arena_printf(arena, "%s; the %s port serves %s%s%s%s%s%s%s%s.", what,
                                       port, paths[0], count > 1 ? ", " : "", paths[1],
                                       count > 2 ? ", " : "", paths[2], count > 3 ? ", " : "",
                                       paths[3], more ? " and others" : ""));
}

/* "/" is the web port's, but on an exporters' port nobody means that one; data NULL elsewhere. */
static mw_slice explain_bare(const mw_router *router, const mw_route_query *query, mw_arena *arena)
{
    if (query->grpc || !mw_slice_equal(query->path, MW_SLICE("/")))
        return MW_SLICE_NONE;
    if (query->port == MW_PORT_HTTP)
        return explain_root(router, query, arena);
    return query->port == MW_PORT_GRPC ? explain_grpc_port(router, query, arena) : MW_SLICE_NONE;
}

/* The most particular words that fit. */
static mw_slice explain_none(const mw_router *router, const mw_route_query *query, mw_arena *arena)
{
    mw_slice words = MW_SLICE_NONE;
    if (query->grpc)
        return explain_list(router, query, arena);
    if (query->port == MW_PORT_GRPC)
        words = explain_grpc_port(router, query, arena);
    else if (query->port == MW_PORT_HTTP)
        words = explain_prefix(router, query, arena);
    if (!words.data)
        words = explain_place(router, query, arena);
    return words.data ? words : explain_list(router, query, arena);
}

mw_slice mw_router_explain(const mw_router *router, const mw_route_query *query,
                           const mw_route_match *match, mw_arena *arena)
{
    mw_slice bare = MW_SLICE_NONE;
    if (match->result == MW_ROUTE_NONE || match->result == MW_ROUTE_OTHER_PORT)
        bare = explain_bare(router, query, arena);
    if (bare.data)
        return bare;
    switch (match->result) {
    case MW_ROUTE_METHOD: return MW_SLICE("This path takes other methods; see the Allow header.");
    case MW_ROUTE_WANTS_GRPC:
        return MW_SLICE("This is a gRPC method: send it over HTTP/2 with content-type "
                        "application/grpc.");
    case MW_ROUTE_WANTS_HTTP:
        return MW_SLICE("This path takes plain HTTP, not gRPC: drop the content-type "
                        "application/grpc.");
    case MW_ROUTE_OTHER_PORT: return explain_other_port(router, query, match->route, arena);
    case MW_ROUTE_SIMILAR:
        return mw_slice_of(mw_arena_printf(
            arena, "No such path; paths are case-sensitive with single slashes: did you mean %s?",
            match->route->path));
    case MW_ROUTE_NONE: return explain_none(router, query, arena);
    case MW_ROUTE_FOUND: break;
    }
    return MW_SLICE_NONE;
}
