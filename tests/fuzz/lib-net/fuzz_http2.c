/* HTTP/2 frames into a session, without sockets. The client preface is put in front; the first
 * byte chooses the cuts, the second what handlers do. Oracle: every request a handler got is
 * answered and freed exactly once, whenever its stream, the session or the reply ends first;
 * memory and gauges are back at zero; a body never passes its route's limit. */
#include "lib/net/exchange_int.h"
#include "lib/net/http2_int.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define LIMIT ((size_t)4096)
#define HELD_MAX 1024

static mw_exchange *replies; /* posted, not delivered */
static mw_request *held[HELD_MAX];
static size_t held_count;
static unsigned answered;
static int64_t now_ns;

static int64_t fake_ns(void *ctx)
{
    (void)ctx;
    return now_ns;
}

static void post(void *ctx, mw_exchange *exchange)
{
    (void)ctx;
    exchange->next_reply = replies;
    replies = exchange;
}

static void answer(mw_request *request)
{
    mw_response response = {.status = 200 + answered % 5, .content_type = MW_SLICE("text/plain")};
    response.rpc_code = answered % 3 ? MW_RPC_OK : MW_RPC_INTERNAL;
    response.rpc_message = MW_SLICE("message");
    response.body = mw_arena_copy(&request->arena, mw_slice_first(request->body, 2000));
    answered++;
    mw_request_reply(request, &response);
}

static void handle(void *ctx, mw_request *request)
{
    (void)ctx;
    MW_ASSERT(request->body.len <= LIMIT);
    MW_ASSERT(request->header_count <= MW_NET_HEADERS_MAX);
    bool at_once = held_count == HELD_MAX || (answered + held_count) % 3 != 0;
    if (at_once)
        answer(request);
    else
        held[held_count++] = request;
}

static const mw_route routes[] = {
    {MW_PORT_GRPC, "POST", "/s/m", true, LIMIT, handle, NULL, 0, false},
    {MW_PORT_GRPC, "POST", "/p/{id}", false, LIMIT, handle, NULL, 0, false},
    {MW_PORT_GRPC, "GET", "/", false, 0, handle, NULL, 0, false},
};

static void release(void)
{
    while (held_count > 0)
        answer(held[--held_count]);
}

static void deliver(mw_http2_session *session)
{
    while (replies) {
        mw_exchange *exchange = replies;
        replies = exchange->next_reply;
        if (mw_exchange_replied(exchange)) {
            MW_ASSERT(session); /* an orphan otherwise */
            mw_http2_session_reply(session, exchange);
        }
    }
}

static void turn(mw_http2_session *session, mw_wire *wire, mw_slice part)
{
    /* Nothing waits for memory here: all of it is taken. */
    MW_ASSERT(mw_http2_session_receive(session, part).len == 0);
    deliver(session);
    mw_http2_session_pump(session);
    MW_ASSERT(wire->out.bytes <= MW_NET_OUT_HIGH + ((size_t)1 << 20));
    mw_out_queue_consume(&wire->out, wire->out.bytes);
    mw_wire_flushed(wire);
}

static void run(mw_front *front, mw_slice in, size_t step, unsigned mode)
{
    mw_wire wire;
    mw_wire_init(&wire, front, MW_PORT_GRPC);
    wire.post = post;
    mw_http2_session *session = mw_http2_session_new(&wire);
    MW_ASSERT(session);
    turn(session, &wire, MW_SLICE(MW_HTTP2_PREFACE));
    for (size_t at = 0; at < in.len && !wire.broken && !wire.finished; at += step) {
        turn(session, &wire, mw_slice_first(mw_slice_from(in, at), step));
        if (mode & 1)
            release();
        if (mode & 2) {
            now_ns += MW_NS_PER_S;
            mw_http2_session_sweep(session, now_ns);
        }
    }
    if (mode & 4) {
        mw_http2_session_drain(session);
        turn(session, &wire, MW_SLICE(""));
    }
    mw_http2_session_free(session);
    release(); /* late replies of orphans */
    deliver(NULL);
    mw_wire_fini(&wire);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const mw_clock clock = {.wall_ns = fake_ns, .mono_ns = fake_ns};
    if (size < 3)
        return 0;
    mw_front front = {.config = {.clock = &clock}};
    now_ns = MW_NS_PER_S;
    answered = 0;
    mw_router_init(&front.router, routes, sizeof routes / sizeof *routes);
    front.http2 = mw_http2_setup_new();
    MW_ASSERT(front.http2);
    run(&front, mw_slice_bytes(data + 2, size - 2), (size_t)data[0] * 4 + 1, data[1]);
    mw_http2_setup_free(front.http2);
    mw_router_fini(&front.router);
    MW_ASSERT(atomic_load(&front.in_flight) == 0 && atomic_load(&front.handed) == 0);
    MW_ASSERT(mw_memory_component_used(MW_MEM_NET) == 0);
    MW_ASSERT(mw_memory_component_used(MW_MEM_NGHTTP2) == 0);
    MW_ASSERT(mw_memory_component_used(MW_MEM_CODEC) == 0);
    return 0;
}
