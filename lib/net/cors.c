/* Answers that a web page of another origin may read. See cors_int.h. */
#include "lib/net/cors_int.h"

#define MAY_READ MW_SLICE("access-control-allow-origin")
#define MAY_SEND_CREDENTIALS MW_SLICE("access-control-allow-credentials")

static mw_slice header(const mw_exchange *exchange, const char *name)
{
    return mw_request_header(&exchange->request, mw_slice_of(name), NULL);
}

void mw_cors_ask(mw_exchange *exchange)
{
    const mw_net_config *config = &exchange->front->config;
    size_t count = 0;
    mw_slice origin = mw_request_header(&exchange->request, MW_SLICE("origin"), &count);
    exchange->cors = MW_CORS_NONE;
    if (config->cors && origin.len > 0 && count == 1)
        exchange->cors = config->cors(config->cors_ctx, &exchange->request, origin);
}

/* Behind what the handler set: there is room for these always. */
static void add(mw_response *response, mw_slice name, mw_slice value)
{
    MW_ASSERT(response->header_count < MW_RESPONSE_HEADERS_MAX + MW_RESPONSE_HEADERS_NET);
    response->headers[response->header_count++] = (mw_header){name, value};
}

void mw_cors_decorate(mw_exchange *exchange)
{
    mw_response *response = &exchange->response;
    if (exchange->cors == MW_CORS_NONE)
        return;
    add(response, MAY_READ, header(exchange, "origin"));
    add(response, MW_SLICE("vary"), MW_SLICE("origin"));
    /* When to come back is the one thing an exporter must read beside status and body. */
    add(response, MW_SLICE("access-control-expose-headers"), MW_SLICE("retry-after"));
    if (exchange->cors == MW_CORS_CREDENTIALS)
        add(response, MAY_SEND_CREDENTIALS, MW_SLICE("true"));
}

/* Bytes of header names, commas and blanks between them (RFC 9110 5.6.2). */
static bool is_name_list(mw_slice names)
{
    static const mw_slice others = MW_SLICE_INIT("!#$%&'*+-.^_`|~, \t");
    for (size_t i = 0; i < names.len; i++) {
        char c = names.data[i];
        char lower = (char)(c | 0x20);
        bool plain = (c >= '0' && c <= '9') || (lower >= 'a' && lower <= 'z');
        if (!plain && mw_slice_find_byte(others, c) == others.len)
            return false;
    }
    return names.len > 0 && names.len <= MW_CORS_NAMES_MAX;
}

/* The page may send any header: which ones mean something is the handlers' business, users put
 * keys of proxies into OTEL_EXPORTER_OTLP_HEADERS, and with credentials "*" would be a name. */
static void answer_preflight(mw_exchange *exchange, mw_slice methods)
{
    mw_response *response = &exchange->response;
    mw_slice names = header(exchange, "access-control-request-headers");
    *response = (mw_response){.status = 204};
    add(response, MAY_READ, header(exchange, "origin"));
    add(response, MW_SLICE("vary"),
        MW_SLICE("origin, access-control-request-method, access-control-request-headers"));
    add(response, MW_SLICE("access-control-allow-methods"), methods);
    if (is_name_list(names))
        add(response, MW_SLICE("access-control-allow-headers"), names);
    add(response, MW_SLICE("access-control-max-age"), MW_SLICE(MW_CORS_MAX_AGE));
    if (exchange->cors == MW_CORS_CREDENTIALS)
        add(response, MAY_SEND_CREDENTIALS, MW_SLICE("true"));
    exchange->state = MW_EXCHANGE_ANSWER;
}

static bool asks_first(const mw_exchange *exchange)
{
    return mw_slice_equal(exchange->request.method, MW_SLICE("OPTIONS")) &&
           header(exchange, "access-control-request-method").data;
}

mw_slice mw_cors_explain(const mw_exchange *exchange)
{
    if (exchange->cors != MW_CORS_NONE || !asks_first(exchange) || !header(exchange, "origin").data)
        return MW_SLICE_NONE;
    return MW_SLICE("The scripts of this web page may not call midwatch; add its origin "
                    "(scheme://host:port) to the option allowed_origins.");
}

bool mw_cors_preflight(mw_exchange *exchange)
{
    mw_request *request = &exchange->request;
    if (exchange->cors == MW_CORS_NONE || !asks_first(exchange))
        return false;
    mw_route_query query = {.port = request->port,
                            .tls = request->peer->tls,
                            .method = request->method,
                            .path = request->path};
    mw_slice methods = mw_router_allow(&exchange->front->router, &query, &request->arena);
    /* Nothing here, or somewhere else: the 404 has the words. */
    if (methods.len == 0)
        return false;
    answer_preflight(exchange, methods);
    return true;
}
