/* The route table. See router_int.h for the rules. Tables have some sixty rows: a linear walk that
 * compares lengths first costs a fraction of a microsecond, less than a tree would save. */
#include "lib/net/router_int.h"

unsigned mw_port_index(mw_port port)
{
    MW_ASSERT(port == MW_PORT_GRPC || port == MW_PORT_HTTP || port == MW_PORT_WEB ||
              port == MW_PORT_SOCKET);
    return (unsigned)__builtin_ctz((unsigned)port);
}

static void check_pattern(const mw_pattern *pattern)
{
    size_t params = 0;
    for (size_t i = 0; i < pattern->path.len; i++)
        if (pattern->path.data[i] == '{')
            params++;
    MW_ASSERT(pattern->path.len > 0 && pattern->path.data[0] == '/');
    MW_ASSERT(params <= MW_ROUTE_PARAMS_MAX);
}

void mw_router_init(mw_router *router, const mw_route *routes, size_t count)
{
    *router = (mw_router){.routes = routes, .count = count};
    router->patterns = mw_calloc_or_die(MW_MEM_NET, count, sizeof *router->patterns);
    for (size_t i = 0; i < count; i++) {
        mw_pattern *pattern = &router->patterns[i];
        pattern->path = mw_slice_of(routes[i].path);
        pattern->method = mw_slice_of(routes[i].method);
        pattern->has_params = mw_slice_find_byte(pattern->path, '{') < pattern->path.len;
        check_pattern(pattern);
    }
}

void mw_router_fini(mw_router *router)
{
    mw_free(MW_MEM_NET, router->patterns);
    *router = (mw_router){0};
}

void mw_router_endpoint(mw_router *router, mw_port port, const char *endpoint)
{
    router->endpoints[mw_port_index(port)] = endpoint;
}

/* ---- matching -------------------------------------------------------------------------------- */

static size_t segment_length(mw_slice path, size_t from)
{
    return mw_slice_find_byte(mw_slice_from(path, from), '/');
}

static bool match_params(const mw_pattern *pattern, mw_slice path, mw_route_match *match)
{
    mw_slice p = pattern->path;
    size_t at = 0;
    size_t count = 0;
    for (size_t i = 0; i < p.len; i++) {
        if (p.data[i] != '{') {
            if (at >= path.len || path.data[at] != p.data[i])
                return false;
            at++;
            continue;
        }
        size_t len = segment_length(path, at);
        if (len == 0)
            return false;
        match->params[count++] = (mw_slice){path.data + at, len};
        at += len;
        i += mw_slice_find_byte(mw_slice_from(p, i), '}');
    }
    match->param_count = count;
    return at == path.len;
}

static bool match_path(const mw_pattern *pattern, mw_slice path, mw_route_match *match)
{
    if (!pattern->has_params)
        return mw_slice_equal(pattern->path, path);
    return match_params(pattern, path, match);
}

static bool method_fits(const mw_pattern *pattern, mw_slice method)
{
    if (mw_slice_equal(pattern->method, method))
        return true;
    return mw_slice_equal(method, MW_SLICE("HEAD")) &&
           mw_slice_equal(pattern->method, MW_SLICE("GET"));
}

/* How near a route of the right path came; the smaller value is nearer. */
static mw_route_result judge(const mw_route *route, const mw_pattern *pattern,
                             const mw_route_query *query)
{
    if (!(route->ports & (unsigned)query->port))
        return MW_ROUTE_OTHER_PORT;
    if (query->grpc && !route->grpc)
        return MW_ROUTE_WANTS_HTTP;
    if (!method_fits(pattern, query->method))
        return MW_ROUTE_METHOD;
    return query->grpc || !route->grpc ? MW_ROUTE_FOUND : MW_ROUTE_WANTS_GRPC;
}

static mw_route_match find_exact(const mw_router *router, const mw_route_query *query,
                                 mw_slice path)
{
    mw_route_match best = {.result = MW_ROUTE_NONE};
    for (int with_params = 0; with_params < 2; with_params++) {
        for (size_t i = 0; i < router->count; i++) {
            const mw_pattern *pattern = &router->patterns[i];
            mw_route_match match = {.route = &router->routes[i]};
            if ((int)pattern->has_params != with_params || !match_path(pattern, path, &match))
                continue;
            match.result = judge(match.route, pattern, query);
            if (match.result == MW_ROUTE_FOUND)
                return match;
            if (match.result < best.result)
                best = match;
        }
    }
    return best;
}

/* Equal but for letter case and repeated slashes: only to word a 404, never to serve. */
static bool nearly(mw_slice pattern, mw_slice path)
{
    size_t at = 0;
    for (size_t i = 0; i < pattern.len; i++) {
        while (at + 1 < path.len && path.data[at] == '/' && path.data[at + 1] == '/')
            at++;
        if (at >= path.len)
            return false;
        if (!mw_slice_equal_nocase((mw_slice){pattern.data + i, 1}, (mw_slice){path.data + at, 1}))
            return false;
        at++;
    }
    return at == path.len;
}

static mw_route_match find_similar(const mw_router *router, const mw_route_query *query)
{
    for (size_t i = 0; i < router->count; i++) {
        const mw_route *route = &router->routes[i];
        if ((route->ports & (unsigned)query->port) && route->grpc == query->grpc &&
            nearly(router->patterns[i].path, query->path))
            return (mw_route_match){.result = MW_ROUTE_SIMILAR, .route = route};
    }
    return (mw_route_match){.result = MW_ROUTE_NONE};
}

mw_route_match mw_router_find(const mw_router *router, const mw_route_query *query)
{
    mw_route_match match = find_exact(router, query, query->path);
    if (match.result == MW_ROUTE_NONE && query->path.len > 1 &&
        mw_slice_ends(query->path, MW_SLICE("/")))
        match = find_exact(router, query, mw_slice_first(query->path, query->path.len - 1));
    if (match.result == MW_ROUTE_NONE)
        match = find_similar(router, query);
    return match;
}

/* ---- parameters ------------------------------------------------------------------------------ */

static int hex_value(char digit)
{
    if (digit >= '0' && digit <= '9')
        return digit - '0';
    char lower = (char)(digit | 0x20);
    return lower >= 'a' && lower <= 'f' ? lower - 'a' + 10 : -1;
}

mw_err mw_router_decode(mw_arena *arena, mw_slice raw, bool counted, mw_slice *out)
{
    /* Most parameters are hex ids: nothing to decode, nothing to copy. */
    if (mw_slice_find_byte(raw, '%') == raw.len) {
        *out = raw;
        return MW_OK;
    }
    char *text = mw_arena_alloc(arena, raw.len + 1);
    if (!text)
        return MW_E_NOMEM;
    size_t len = 0;
    for (size_t i = 0; i < raw.len; i++) {
        if (raw.data[i] != '%') {
            text[len++] = raw.data[i];
            continue;
        }
        int high = i + 2 < raw.len ? hex_value(raw.data[i + 1]) : -1;
        int low = i + 2 < raw.len ? hex_value(raw.data[i + 2]) : -1;
        if (high < 0 || low < 0)
            return MW_E_SYNTAX;
        char byte = (char)(high << 4 | low);
        /* An escaped slash is part of the name: segments were told apart before. NUL would cut
         * names short downstream, but where they are counted. */
        if (byte == '\0' && !counted)
            return MW_E_INVALID;
        text[len++] = byte;
        i += 2;
    }
    text[len] = '\0';
    *out = (mw_slice){text, len};
    return MW_OK;
}

/* ---- methods --------------------------------------------------------------------------------- */

mw_slice mw_router_allow(const mw_router *router, const mw_route_query *query, mw_arena *arena)
{
    /* Fixed order, each method once. */
    static const char *const methods[] = {"GET",   "HEAD",   "POST",   "PUT",
                                          "PATCH", "DELETE", "OPTIONS"};
    const char *text = "";
    for (size_t m = 0; m < sizeof methods / sizeof *methods; m++) {
        mw_route_query probe = *query;
        probe.method = mw_slice_of(methods[m]);
        mw_route_match match = mw_router_find(router, &probe);
        if (match.result == MW_ROUTE_FOUND || match.result == MW_ROUTE_WANTS_GRPC)
            text = mw_arena_printf(arena, "%s%s%s", text, *text ? ", " : "", methods[m]);
        if (!text)
            return MW_SLICE_NONE;
    }
    return mw_slice_of(text);
}
