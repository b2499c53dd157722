/* One request and its answer. See exchange_int.h. */
#include "lib/net/cors_int.h"
#include "lib/net/exchange_int.h"
#include "lib/net/stream_int.h"
#include "lib/net/tls_int.h"
#include "lib/net/wait_list_int.h"

typedef struct mw_status_code_row {
    unsigned status;
    mw_rpc_code code;
} mw_status_code_row;

/* What a refusal by status is called on gRPC framing (facts: OTLP limits and errors). */
static const mw_status_code_row code_rows[] = {
    {400, MW_RPC_INVALID_ARGUMENT},   {401, MW_RPC_UNAUTHENTICATED},
    {403, MW_RPC_PERMISSION_DENIED},  {404, MW_RPC_UNIMPLEMENTED},
    {405, MW_RPC_UNIMPLEMENTED},      {408, MW_RPC_DEADLINE_EXCEEDED},
    {413, MW_RPC_RESOURCE_EXHAUSTED}, {415, MW_RPC_UNIMPLEMENTED},
    {431, MW_RPC_RESOURCE_EXHAUSTED}, {503, MW_RPC_UNAVAILABLE},
};

/* ---- life ------------------------------------------------------------------------------------ */

static bool admit(void *ctx, size_t more)
{
    return mw_admission_grow(ctx, more);
}

mw_exchange *mw_exchange_new(mw_wire *wire)
{
    mw_arena arena;
    mw_arena_init(&arena, MW_MEM_NET, 0);
    mw_exchange *exchange = mw_arena_zalloc(&arena, 1, sizeof *exchange);
    mw_peer *peer = exchange ? mw_arena_alloc(&arena, sizeof *peer) : NULL;
    if (!peer) {
        mw_arena_reset(&arena);
        return NULL;
    }
    *peer = wire->peer;
    exchange->request.arena = arena;
    exchange->request.port = wire->port;
    exchange->request.peer = peer;
    exchange->request.internal = exchange;
    exchange->wire = wire;
    exchange->front = wire->front;
    exchange->post = wire->post;
    exchange->post_later = wire->post_later ? wire->post_later : wire->post;
    exchange->post_ctx = wire->post_ctx;
    mw_body_init(&exchange->body, 0);
    exchange->may_defer = wire->wait != NULL;
    exchange->body.admit = admit;
    exchange->body.ctx = exchange;
    return exchange;
}

/* The largest part of a request goes first: an answer never points into the body, so it is freed
 * as soon as the handler has replied and not when the answer is written. */
static void drop_body(mw_exchange *exchange)
{
    mw_admission_enter(exchange);
    if (exchange->inflate)
        mw_inflate_fini(exchange->inflate);
    exchange->inflate = NULL;
    mw_body_fini(&exchange->body);
    mw_free(MW_MEM_NET, exchange->wait.held);
    exchange->wait.held = NULL;
    exchange->request.body = MW_SLICE_NONE;
    if (exchange->wire)
        exchange->wire->body_bytes -= exchange->body_bytes;
    exchange->body_bytes = 0;
    mw_admission_leave();
    mw_admission_end(exchange);
}

/* The exchange lies in its own arena: the arena is copied out before it is reset. */
void mw_exchange_free(mw_exchange *exchange)
{
    MW_ASSERT(exchange->state != MW_EXCHANGE_HANDLER);
    mw_wait_list_remove(exchange);
    if (exchange->stream)
        mw_stream_fini(exchange->stream);
    if (exchange->counted)
        atomic_fetch_sub(&exchange->front->in_flight, 1);
    drop_body(exchange);
    mw_free(exchange->response.given_component, exchange->response.given);
    mw_arena arena = exchange->request.arena;
    mw_arena_reset(&arena);
}

void mw_exchange_abandon(mw_exchange *exchange)
{
    if (exchange->state != MW_EXCHANGE_HANDLER) {
        mw_exchange_free(exchange);
        return;
    }
    MW_ASSERT(exchange->wire && exchange->wire->handed > 0);
    exchange->wire->handed--;
    exchange->wire->body_bytes -= exchange->body_bytes;
    exchange->body_bytes = 0;
    exchange->wire = NULL;
    atomic_store_explicit(&exchange->client, MW_CLIENT_GONE, memory_order_relaxed);
    if (exchange->stream)
        mw_stream_tell(exchange->stream, MW_STREAM_GONE);
}

void mw_exchange_encoded(mw_exchange *exchange)
{
    if (exchange->counted)
        exchange->wire->unflushed++;
    exchange->counted = false;
}

/* ---- refusals -------------------------------------------------------------------------------- */

static mw_rpc_code code_of(unsigned status)
{
    for (size_t i = 0; i < sizeof code_rows / sizeof *code_rows; i++)
        if (code_rows[i].status == status)
            return code_rows[i].code;
    return MW_RPC_INTERNAL;
}

static void default_body(mw_exchange *exchange, const mw_net_refusal *refusal)
{
    mw_response *response = &exchange->response;
    response->content_type = MW_SLICE("text/plain; charset=utf-8");
    char *text =
        mw_arena_printf(&exchange->request.arena, "%.*s\n", MW_SLICE_FMT(refusal->message));
    response->body = mw_slice_of(text);
}

void mw_exchange_refuse(mw_exchange *exchange, mw_counter counter, const mw_net_refusal *refusal)
{
    MW_ASSERT(exchange->state == MW_EXCHANGE_HEAD || exchange->state == MW_EXCHANGE_BODY);
    const mw_net_config *config = &exchange->front->config;
    mw_response *response = &exchange->response;
    mw_count(counter, 1);
    mw_wait_list_remove(exchange);
    drop_body(exchange);
    exchange->state = MW_EXCHANGE_ANSWER;
    response->status = refusal->status;
    response->rpc_code = refusal->rpc_code;
    response->rpc_message = refusal->message;
    if (refusal->retry_after_s > 0) {
        char *text = mw_arena_printf(&exchange->request.arena, "%u", refusal->retry_after_s);
        if (text)
            mw_response_header(response, MW_SLICE("retry-after"), mw_slice_of(text));
    }
    if (config->format_refusal)
        config->format_refusal(config->format_ctx, &exchange->request, refusal, response);
    else
        default_body(exchange, refusal);
    mw_cors_decorate(exchange);
}

void mw_exchange_refuse_status(mw_exchange *exchange, mw_counter counter, unsigned status,
                               const char *message)
{
    mw_net_refusal refusal = {.status = status,
                              .rpc_code = code_of(status),
                              .message = mw_slice_of(message),
                              .retry_after_s = status == 503 ? 1 : 0};
    mw_exchange_refuse(exchange, counter, &refusal);
}

static bool refuse(mw_exchange *exchange, mw_counter counter, unsigned status, const char *message)
{
    mw_exchange_refuse_status(exchange, counter, status, message);
    return false;
}

static bool refuse_memory(mw_exchange *exchange)
{
    return refuse(exchange, MW_COUNT_NET_REFUSED_MEMORY, 503,
                  "The server is short of memory; try again.");
}

static bool refuse_code(mw_exchange *exchange, mw_counter counter, unsigned status,
                        mw_rpc_code code, const char *message)
{
    mw_net_refusal refusal = {.status = status, .rpc_code = code, .message = mw_slice_of(message)};
    mw_exchange_refuse(exchange, counter, &refusal);
    return false;
}

/* ---- begin ----------------------------------------------------------------------------------- */

static void classify(mw_exchange *exchange)
{
    mw_request *request = &exchange->request;
    mw_slice type = mw_request_header(request, MW_SLICE("content-type"), NULL);
    bool grpc = request->http_version == 2 && mw_grpc_content_type(type);
    request->framing = grpc ? MW_FRAMING_GRPC : MW_FRAMING_HTTP;
    if (grpc)
        mw_count(MW_COUNT_REQUESTS_GRPC, 1);
    else
        mw_count(request->http_version == 2 ? MW_COUNT_REQUESTS_HTTP2 : MW_COUNT_REQUESTS_HTTP1, 1);
}

static unsigned miss_status(mw_route_result result)
{
    switch (result) {
    case MW_ROUTE_METHOD: return 405;
    case MW_ROUTE_WANTS_GRPC: return 415;
    default: return 404;
    }
}

static bool refuse_miss(mw_exchange *exchange, const mw_route_query *query,
                        const mw_route_match *match)
{
    const mw_router *router = &exchange->front->router;
    mw_arena *arena = &exchange->request.arena;
    mw_net_refusal refusal = {.status = miss_status(match->result),
                              .rpc_code = MW_RPC_UNIMPLEMENTED};
    refusal.message = mw_router_explain(router, query, match, arena);
    mw_slice foreign = mw_cors_explain(exchange);
    if (match->result == MW_ROUTE_METHOD) {
        if (foreign.len)
            refusal.message = foreign;
        /* The route family decides the form of the answer. */
        exchange->request.route = match->route;
        mw_response_header(&exchange->response, MW_SLICE("allow"),
                           mw_router_allow(router, query, arena));
    }
    mw_exchange_refuse(exchange, MW_COUNT_NET_REFUSED_ROUTE, &refusal);
    return false;
}

/* Only the parameters are decoded: a literal part of a path has one spelling here. */
static bool find_params(mw_exchange *exchange, const mw_route_match *match)
{
    mw_request *request = &exchange->request;
    for (size_t i = 0; i < match->param_count; i++) {
        mw_err err = mw_router_decode(&request->arena, match->params[i],
                                      match->route->counted_params, &request->params[i]);
        if (err == MW_E_NOMEM)
            return refuse_memory(exchange);
        if (err != MW_OK)
            return refuse(exchange, MW_COUNT_NET_REFUSED_SYNTAX, 400,
                          "A percent escape in the path is malformed or hides a NUL.");
    }
    return true;
}

static bool find_route(mw_exchange *exchange)
{
    mw_request *request = &exchange->request;
    mw_route_query query = {.port = request->port,
                            .grpc = request->framing == MW_FRAMING_GRPC,
                            .tls = request->peer->tls,
                            .method = request->method,
                            .path = request->path};
    mw_route_match match = mw_router_find(&exchange->front->router, &query);
    if (match.result != MW_ROUTE_FOUND)
        return refuse_miss(exchange, &query, &match);
    request->route = match.route;
    exchange->body.max = match.route->max_body;
    return find_params(exchange, &match);
}

static bool ask_gate(mw_exchange *exchange)
{
    const mw_net_config *config = &exchange->front->config;
    mw_net_refusal refusal = {.status = 403, .rpc_code = MW_RPC_PERMISSION_DENIED};
    if (!config->gate || config->gate(config->gate_ctx, &exchange->request, &refusal))
        return true;
    mw_exchange_refuse(exchange, MW_COUNT_NET_REFUSED_ACCESS, &refusal);
    return false;
}

static bool begin_grpc(mw_exchange *exchange)
{
    mw_request *request = &exchange->request;
    size_t count = 0;
    mw_slice timeout = mw_request_header(request, MW_SLICE("grpc-timeout"), NULL);
    mw_slice encoding = mw_request_header(request, MW_SLICE("grpc-encoding"), &count);
    int64_t ns = 0;
    if (timeout.data) {
        if (mw_grpc_timeout(timeout, &ns) != MW_OK)
            return refuse(exchange, MW_COUNT_NET_REFUSED_SYNTAX, 400, "grpc-timeout is malformed.");
        if (__builtin_add_overflow(request->received_ns, ns, &request->deadline_ns))
            request->deadline_ns = INT64_MAX;
    }
    mw_grpc_encoding known = count > 1 ? MW_GRPC_UNKNOWN_ENCODING : mw_grpc_encoding_of(encoding);
    if (known == MW_GRPC_UNKNOWN_ENCODING) {
        mw_response_header(&exchange->response, MW_SLICE("grpc-accept-encoding"),
                           MW_SLICE("identity,gzip"));
        return refuse(exchange, MW_COUNT_NET_REFUSED_ENCODING, 415,
                      "grpc-encoding is not understood; use identity or gzip.");
    }
    mw_grpc_reader_init(&exchange->grpc, known, request->route->max_body);
    return true;
}

static bool begin_http(mw_exchange *exchange, uint64_t length)
{
    size_t count = 0;
    mw_slice value = mw_request_header(&exchange->request, MW_SLICE("content-encoding"), &count);
    exchange->gzip = mw_slice_equal_nocase(value, MW_SLICE("gzip"));
    if (count > 1 ||
        (value.len > 0 && !exchange->gzip && !mw_slice_equal_nocase(value, MW_SLICE("identity")))) {
        mw_response_header(&exchange->response, MW_SLICE("accept-encoding"),
                           MW_SLICE("gzip, identity"));
        return refuse(exchange, MW_COUNT_NET_REFUSED_ENCODING, 415,
                      "Content-Encoding is not understood; use gzip or none.");
    }
    if (length != MW_LENGTH_UNKNOWN && length > exchange->body.max)
        return refuse(exchange, MW_COUNT_NET_REFUSED_SIZE, 413,
                      "The body is larger than the limit; send smaller batches.");
    if (length != MW_LENGTH_UNKNOWN && !exchange->gzip)
        exchange->body.expected = (size_t)length;
    return true;
}

/* grpc-web is a protocol of its own: 415, whatever the path (facts: bad inputs, row 28). */
static bool check_kind(mw_exchange *exchange)
{
    mw_request *request = &exchange->request;
    mw_slice type = mw_request_header(request, MW_SLICE("content-type"), NULL);
    if (mw_grpc_web_content_type(type))
        return refuse(exchange, MW_COUNT_NET_REFUSED_ROUTE, 415,
                      "gRPC-Web is not spoken here; use gRPC over HTTP/2 or plain HTTP.");
    return true;
}

/* Where TLS is to be had, clear text is for this machine only: what crosses a network unprotected
 * is refused even if somebody allowed that address. */
static bool check_clear_text(mw_exchange *exchange)
{
    const mw_tls *tls = exchange->front->tls;
    const mw_peer *peer = exchange->request.peer;
    if (peer->tls || peer->loopback || peer->local || !tls || !mw_tls_is_on(tls))
        return true;
    exchange->response.close = true;
    return refuse(exchange, MW_COUNT_NET_REFUSED_ACCESS, 403,
                  "Clear text is taken from this machine only; use https:// (TLS) here.");
}

/* The order matters: what costs least and tells strangers least comes first, and the gate is asked
 * before a byte of the body is taken. Memory is asked last, so that a request that would be
 * refused anyway is not told to come back. */
bool mw_exchange_begin(mw_exchange *exchange, uint64_t length)
{
    mw_request *request = &exchange->request;
    MW_ASSERT(exchange->state == MW_EXCHANGE_HEAD);
    request->received_ns = mw_wire_now(exchange->wire);
    exchange->window_ns = request->received_ns;
    exchange->window_wire = exchange->wire->body_received;
    classify(exchange);
    mw_cors_ask(exchange);
    if (!check_clear_text(exchange) || !check_kind(exchange) || mw_cors_preflight(exchange) ||
        !find_route(exchange) || !ask_gate(exchange))
        return false;
    bool ready =
        request->framing == MW_FRAMING_GRPC ? begin_grpc(exchange) : begin_http(exchange, length);
    if (!ready)
        return false;
    exchange->rate_ns = request->received_ns;
    exchange->state = MW_EXCHANGE_BODY;
    return true;
}

/* ---- body ------------------------------------------------------------------------------------ */

static bool refuse_body(mw_exchange *exchange, mw_err err)
{
    if (err == MW_E_NOMEM)
        return refuse_memory(exchange);
    if (err == MW_E_LIMIT)
        return refuse(exchange, MW_COUNT_NET_REFUSED_SIZE, 413,
                      exchange->gzip ? "The body is larger than the limit once it is decompressed."
                                     : "The body is larger than the limit; send smaller batches.");
    MW_ASSERT(err == MW_E_SYNTAX);
    return refuse_code(exchange, MW_COUNT_NET_REFUSED_ENCODING, 400, MW_RPC_INTERNAL,
                       "The gzip data is damaged, cut short or followed by other bytes.");
}

/* zlib's window costs 40 KB, so it is only set up when the first compressed byte is here. */
static bool start_inflate(mw_exchange *exchange)
{
    mw_inflate *inflate = mw_arena_alloc(&exchange->request.arena, sizeof *inflate);
    if (!inflate || mw_inflate_init(inflate) != MW_OK)
        return refuse_memory(exchange);
    exchange->inflate = inflate;
    return true;
}

/* The body may not grow now. What came is kept until it may; it is one read's at most, and reads
 * are small while memory is short. */
static bool wait_for_memory(mw_exchange *exchange, mw_slice rest)
{
    mw_wire *wire = exchange->wire;
    int64_t now_ns = mw_wire_now(wire);
    int64_t until_ns = mw_admission_until(exchange, now_ns);
    bool may = wire->wait && until_ns > now_ns && mw_admission_may_wait(exchange);
    char *held = may ? mw_alloc(MW_MEM_NET, rest.len + 1) : NULL;
    if (!held)
        return refuse_memory(exchange);
    if (rest.len)
        memcpy(held, rest.data, rest.len);
    exchange->wait.kind = MW_WAIT_BODY;
    exchange->wait.held = held;
    exchange->wait.held_len = rest.len;
    exchange->wait.since_ns = now_ns;
    exchange->wait.until_ns = until_ns;
    wire->waiting++;
    wire->wait(wire->post_ctx, exchange);
    return true;
}

static bool nothing_to_take(const mw_exchange *exchange, mw_slice bytes)
{
    return bytes.len == 0 && !(exchange->inflate && exchange->inflate->more);
}

static bool take_bytes(mw_exchange *exchange, mw_slice bytes)
{
    if (nothing_to_take(exchange, bytes))
        return true;
    if (exchange->gzip && !exchange->inflate && !start_inflate(exchange))
        return false;
    mw_inflate *inflate = exchange->inflate;
    mw_admission_enter(exchange);
    mw_err err = inflate ? mw_inflate_feed(inflate, bytes, &exchange->body)
                         : mw_body_append(&exchange->body, bytes);
    mw_admission_leave();
    if (err == MW_E_AGAIN)
        return wait_for_memory(
            exchange, inflate ? mw_slice_from(bytes, bytes.len - inflate->stream.avail_in) : bytes);
    return err == MW_OK || refuse_body(exchange, err);
}

bool mw_exchange_resume(mw_exchange *exchange)
{
    mw_wait *wait = &exchange->wait;
    MW_ASSERT(exchange->state == MW_EXCHANGE_BODY && wait->kind == MW_WAIT_NONE);
    char *held = wait->held;
    wait->held = NULL;
    bool good = take_bytes(exchange, (mw_slice){held, wait->held_len});
    mw_free(MW_MEM_NET, held);
    return good;
}

void mw_exchange_refuse_memory(mw_exchange *exchange)
{
    (void)refuse_memory(exchange);
}

static bool refuse_fault(mw_exchange *exchange, mw_grpc_fault fault)
{
    mw_counter counter =
        fault == MW_GRPC_TOO_LARGE ? MW_COUNT_NET_REFUSED_SIZE : MW_COUNT_NET_REFUSED_SYNTAX;
    return refuse_code(exchange, counter, 400, mw_grpc_fault_code(fault),
                       mw_grpc_fault_text(fault));
}

static bool take_grpc(mw_exchange *exchange, mw_slice bytes)
{
    mw_slice message;
    mw_grpc_fault fault = mw_grpc_feed(&exchange->grpc, bytes, &message);
    if (fault != MW_GRPC_OK)
        return refuse_fault(exchange, fault);
    exchange->gzip = exchange->grpc.compressed;
    if (!exchange->gzip)
        exchange->body.expected = exchange->grpc.length;
    return take_bytes(exchange, message);
}

bool mw_exchange_body(mw_exchange *exchange, mw_slice bytes)
{
    MW_ASSERT(exchange->state == MW_EXCHANGE_BODY);
    MW_ASSERT(!mw_exchange_waits(exchange));
    exchange->received += bytes.len;
    exchange->wire->body_received += bytes.len;
    if (exchange->request.framing == MW_FRAMING_GRPC)
        return take_grpc(exchange, bytes);
    /* The limit holds before decompression too (OTLP/HTTP 1.11). */
    if (exchange->received > exchange->body.max)
        return refuse_body(exchange, MW_E_LIMIT);
    return take_bytes(exchange, bytes);
}

char *mw_exchange_room(const mw_exchange *exchange, size_t *size)
{
    const mw_body *body = &exchange->body;
    MW_ASSERT(exchange->state == MW_EXCHANGE_BODY);
    *size = body->capacity - body->len;
    if (*size < MW_NET_ROOM_MIN || exchange->gzip || exchange->request.framing != MW_FRAMING_HTTP)
        return NULL;
    return body->data + body->len;
}

void mw_exchange_filled(mw_exchange *exchange, size_t len)
{
    MW_ASSERT(exchange->state == MW_EXCHANGE_BODY);
    MW_ASSERT(len <= exchange->body.capacity - exchange->body.len);
    exchange->received += len;
    exchange->wire->body_received += len;
    exchange->body.len += len;
}

bool mw_exchange_is_slow(mw_exchange *exchange, int64_t now_ns)
{
    if (exchange->state != MW_EXCHANGE_BODY)
        return false;
    if (exchange->wire->waiting > 0) {
        exchange->window_ns = now_ns; /* it is us who do not read */
        return false;
    }
    if (now_ns - exchange->window_ns < MW_NET_BODY_WINDOW_NS)
        return false;
    uint64_t own = exchange->received - exchange->window_received;
    uint64_t all = exchange->wire->body_received - exchange->window_wire;
    exchange->window_ns = now_ns;
    exchange->window_received = exchange->received;
    exchange->window_wire = exchange->wire->body_received;
    if (own >= MW_NET_BODY_WINDOW_BYTES) {
        exchange->slow_windows = 0;
        return false;
    }
    bool others_move = all - own >= MW_NET_BODY_WINDOW_BYTES;
    return !others_move ||
           ++exchange->slow_windows >= MW_NET_STREAM_STALL_NS / MW_NET_BODY_WINDOW_NS;
}

bool mw_exchange_end(mw_exchange *exchange)
{
    mw_request *request = &exchange->request;
    MW_ASSERT(exchange->state == MW_EXCHANGE_BODY);
    if (request->framing == MW_FRAMING_GRPC) {
        mw_grpc_fault fault = mw_grpc_finish(&exchange->grpc);
        if (fault != MW_GRPC_OK)
            return refuse_fault(exchange, fault);
    }
    if (exchange->inflate) {
        mw_err err = mw_inflate_finish(exchange->inflate);
        if (err != MW_OK)
            return refuse_body(exchange, err);
        mw_inflate_fini(exchange->inflate);
        exchange->inflate = NULL;
    }
    request->body = (mw_slice){exchange->body.data ? exchange->body.data : "", exchange->body.len};
    exchange->state = MW_EXCHANGE_HANDLER;
    exchange->counted = true;
    exchange->wire->handed++;
    atomic_fetch_add(&exchange->front->in_flight, 1);
    atomic_fetch_add(&exchange->front->handed, 1);
    mw_exchange_call_handler(exchange);
    return true;
}

/* From here on the request is the handler's: it may be answered, on another thread, before this
 * call returns. It is only freed by this thread, later. */
void mw_exchange_call_handler(mw_exchange *exchange)
{
    mw_request *request = &exchange->request;
    MW_ASSERT(exchange->state == MW_EXCHANGE_HANDLER && exchange->wait.kind == MW_WAIT_NONE);
    mw_admission_enter(exchange);
    request->route->handler(request->route->ctx, request);
    mw_admission_leave();
}

/* ---- reply ----------------------------------------------------------------------------------- */

static bool is_clean(mw_slice value)
{
    for (size_t i = 0; i < value.len; i++) {
        unsigned char c = (unsigned char)value.data[i];
        if (c < 0x20 || c == 0x7f)
            return false;
    }
    return true;
}

/* A header value with a line break would let its author write headers of his own. */
static void clean_value(mw_arena *arena, mw_slice *value)
{
    if (is_clean(*value))
        return;
    mw_slice copy = mw_arena_copy(arena, *value);
    char *text = (char *)(uintptr_t)copy.data;
    for (size_t i = 0; i < copy.len; i++) {
        unsigned char c = (unsigned char)text[i];
        if (c < 0x20 || c == 0x7f)
            text[i] = ' ';
    }
    *value = copy;
}

void mw_exchange_prepare_answer(mw_exchange *exchange)
{
    mw_response *response = &exchange->response;
    drop_body(exchange);
    clean_value(&exchange->request.arena, &response->content_type);
    for (size_t i = 0; i < response->header_count; i++)
        clean_value(&exchange->request.arena, &response->headers[i].value);
    mw_cors_decorate(exchange);
}

bool mw_exchange_replied(mw_exchange *exchange)
{
    MW_ASSERT(exchange->state == MW_EXCHANGE_HANDLER);
    exchange->state = MW_EXCHANGE_ANSWER;
    atomic_fetch_sub(&exchange->front->handed, 1);
    if (!exchange->wire) {
        mw_exchange_free(exchange);
        return false;
    }
    exchange->wire->handed--;
    exchange->wire->served = true;
    exchange->wire->wasted = false;
    if (!exchange->stream)
        mw_exchange_prepare_answer(exchange);
    return true;
}
