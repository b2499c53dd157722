/* What test_net.c and test_net_http2.c share: a real server on loopback with a few routes, a
 * clock the test can push forward, handlers that answer at once or when the test says so, and a
 * blocking client socket. Include after cmocka.h. */
#ifndef MW_TESTS_NET_FIXTURE_H
#define MW_TESTS_NET_FIXTURE_H

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "lib/base/counter.h"
#include "lib/base/log.h"
#include "lib/net/net.h"

#define EXPORT_PATH "/opentelemetry.proto.collector.trace.v1.TraceService/Export"
#define BODY_LIMIT ((size_t)1 << 20)
#define BIG_SIZE ((size_t)6 << 20)
#define HELD_MAX 512

/* Nobody waits longer than this for anything. Far more than a busy machine needs: only a failure
 * takes so long, and what a test missed to push the clock for has come by itself by then. */
#define PATIENCE_MS 60000
/* How much slower than real time a slow clock goes. */
#define SLOWER 16

/* Threads that look at the clock: the loops, and the test's own. */
#define READERS_MAX 16

typedef struct fixture {
    mw_net *net;
    char directory[64];
    char socket_path[96];
    mw_clock clock;
    atomic_llong skew_ns;       /* added to the real monotonic clock */
    atomic_llong slow_since_ns; /* since then it goes slowly; 0 = as fast as real time */
    atomic_size_t readers;
    atomic_uint reads[READERS_MAX]; /* of the clock, by thread */
    pthread_mutex_t lock;
    mw_request *held[HELD_MAX];
    size_t held_count;
    atomic_int gate_calls;
    atomic_llong deadline_ns; /* of the last request, relative to its receipt */
} fixture;

static fixture fx;

static unsigned fx_generation; /* one a server; 0 = none yet */
static _Thread_local unsigned own_generation;
static _Thread_local size_t own_reader;

static inline void count_read(void)
{
    if (own_generation != fx_generation) {
        own_generation = fx_generation;
        own_reader = atomic_fetch_add(&fx.readers, 1);
        MW_ASSERT(own_reader < READERS_MAX);
    }
    atomic_fetch_add(&fx.reads[own_reader], 1);
}

static inline int64_t skewed_mono(void *ctx)
{
    (void)ctx;
    count_read();
    int64_t now_ns = mw_clock_mono_ns(mw_clock_system());
    int64_t since_ns = atomic_load(&fx.slow_since_ns);
    if (since_ns)
        now_ns = since_ns + (now_ns - since_ns) / SLOWER;
    return now_ns + atomic_load(&fx.skew_ns);
}

/* What must not happen before its time does not happen because this machine is slow. */
static inline void slow_clock(void)
{
    atomic_store(&fx.slow_since_ns, mw_clock_mono_ns(mw_clock_system()));
}

static inline void real_clock(void)
{
    atomic_store(&fx.slow_since_ns, 0);
}

static inline int64_t real_wall(void *ctx)
{
    (void)ctx;
    return mw_clock_wall_ns(mw_clock_system());
}

static inline void push_clock(int64_t seconds)
{
    atomic_fetch_add(&fx.skew_ns, seconds * MW_NS_PER_S);
}

/* ---- handlers -------------------------------------------------------------------------------- */

static inline void reply_text(mw_request *request, unsigned status, mw_slice body)
{
    mw_response response = {.status = status,
                            .content_type = MW_SLICE("text/plain"),
                            .body = mw_arena_copy(&request->arena, body)};
    mw_request_reply(request, &response);
}

static inline void echo(void *ctx, mw_request *request)
{
    (void)ctx;
    atomic_store(&fx.deadline_ns,
                 request->deadline_ns ? request->deadline_ns - request->received_ns : 0);
    reply_text(request, 200, request->body);
}

static inline void hello(void *ctx, mw_request *request)
{
    (void)ctx;
    const mw_peer *peer = request->peer;
    const char *text = mw_arena_printf(&request->arena, "hello %.*s from %s local=%d uid=%d v%u",
                                       MW_SLICE_FMT(request->params[0]), peer->address, peer->local,
                                       peer->local ? (int)peer->uid : -1, request->http_version);
    reply_text(request, 200, mw_slice_of(text));
}

static inline void hold(void *ctx, mw_request *request)
{
    (void)ctx;
    pthread_mutex_lock(&fx.lock);
    MW_ASSERT(fx.held_count < HELD_MAX);
    fx.held[fx.held_count++] = request;
    pthread_mutex_unlock(&fx.lock);
}

static inline void big(void *ctx, mw_request *request)
{
    (void)ctx;
    char *text = mw_arena_alloc(&request->arena, BIG_SIZE);
    MW_ASSERT(text);
    for (size_t i = 0; i < BIG_SIZE; i++)
        text[i] = (char)('a' + i % 23);
    mw_response response = {.status = 200, .body = {text, BIG_SIZE}};
    mw_request_reply(request, &response);
}

/* The same, in memory of its own. */
static inline void give(void *ctx, mw_request *request)
{
    (void)ctx;
    mw_buffer text;
    mw_buffer_init(&text, MW_MEM_QUERY, 2 * BIG_SIZE);
    for (size_t i = 0; i < BIG_SIZE; i++)
        mw_buffer_append_byte(&text, (char)('a' + i % 23));
    MW_ASSERT(text.err == MW_OK);
    mw_response response = {.status = 200};
    mw_response_give(&response, &text);
    mw_request_reply(request, &response);
}

/* Line breaks in a header value must not reach the wire. */
static inline void injecting(void *ctx, mw_request *request)
{
    (void)ctx;
    mw_response response = {.status = 200, .body = MW_SLICE("ok")};
    mw_response_header(&response, MW_SLICE("x-note"), MW_SLICE("a\r\nx-evil: b"));
    mw_request_reply(request, &response);
}

static inline void fail_rpc(void *ctx, mw_request *request)
{
    (void)ctx;
    mw_response response = {.rpc_code = MW_RPC_INVALID_ARGUMENT,
                            .rpc_message = MW_SLICE("b\xc3\xa4"
                                                    "d %"),
                            .rpc_details = MW_SLICE("\x08\x03")};
    mw_request_reply(request, &response);
}

/* Does the client of a held request still wait? */
static inline mw_client_state held_client(size_t at)
{
    pthread_mutex_lock(&fx.lock);
    mw_client_state state = mw_request_client(fx.held[at]);
    pthread_mutex_unlock(&fx.lock);
    return state;
}

static inline size_t held_now(void)
{
    pthread_mutex_lock(&fx.lock);
    size_t count = fx.held_count;
    pthread_mutex_unlock(&fx.lock);
    return count;
}

static inline void *answer_all(void *arg)
{
    (void)arg;
    pthread_mutex_lock(&fx.lock);
    for (size_t i = 0; i < fx.held_count; i++)
        reply_text(fx.held[i], 200, fx.held[i]->body);
    fx.held_count = 0;
    pthread_mutex_unlock(&fx.lock);
    return NULL;
}

/* Answers what is held, from a thread of its own. */
static inline void release_held(void)
{
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, answer_all, NULL), 0);
    assert_int_equal(pthread_join(thread, NULL), 0);
}

static inline bool gate(void *ctx, const mw_request *request, mw_net_refusal *refusal)
{
    (void)ctx;
    atomic_fetch_add(&fx.gate_calls, 1);
    MW_ASSERT(request->route && request->peer);
    if (!mw_request_header(request, MW_SLICE("x-deny"), NULL).data)
        return true;
    *refusal = (mw_net_refusal){.status = 403,
                                .rpc_code = MW_RPC_PERMISSION_DENIED,
                                .message = MW_SLICE("denied"),
                                .retry_after_s = 2};
    return false;
}

#define WEB_PORTS (MW_PORT_WEB | MW_PORT_SOCKET)
static const mw_route fixture_routes[] = {
    {MW_PORT_GRPC, "POST", EXPORT_PATH, true, BODY_LIMIT, echo, NULL, 0, false},
    {MW_PORT_GRPC, "POST", "/test.Held/Call", true, BODY_LIMIT, hold, NULL, 0, false},
    {MW_PORT_GRPC, "POST", "/test.Failing/Call", true, BODY_LIMIT, fail_rpc, NULL, 0, false},
    {MW_PORT_HTTP, "POST", "/v1/traces", false, BODY_LIMIT, echo, NULL, 0, false},
    {WEB_PORTS, "GET", "/hello/{name}", false, 0, hello, NULL, 0, false},
    {WEB_PORTS, "POST", "/held", false, BODY_LIMIT, hold, NULL, 0, false},
    {WEB_PORTS, "GET", "/big", false, 0, big, NULL, 0, false},
    {WEB_PORTS, "GET", "/given", false, 0, give, NULL, 0, false},
    {WEB_PORTS, "GET", "/injecting", false, 0, injecting, NULL, 0, false},
};

/* What a test program serves instead, set before start_server. */
static const mw_route *fx_routes = fixture_routes;
static size_t fx_route_count = sizeof fixture_routes / sizeof *fixture_routes;
static mw_cors (*fx_cors)(void *ctx, const mw_request *request, mw_slice origin);

/* ---- the server ------------------------------------------------------------------------------ */

static inline void start_server(size_t max_connections)
{
    mw_detail detail = {{0}, {0}, {0}};
    mw_log_init(MW_LOG_ERROR, MW_LOG_LOGFMT, STDERR_FILENO);
    memset(&fx, 0, sizeof fx);
    fx_generation++;
    pthread_mutex_init(&fx.lock, NULL);
    fx.clock = (mw_clock){.wall_ns = real_wall, .mono_ns = skewed_mono};
    snprintf(fx.directory, sizeof fx.directory, "/tmp/midwatch-test-XXXXXX");
    assert_non_null(mkdtemp(fx.directory));
    snprintf(fx.socket_path, sizeof fx.socket_path, "%s/m.sock", fx.directory);
    mw_net_config config = {.grpc_address = "127.0.0.1:0",
                            .http_address = "127.0.0.1:0",
                            .web_address = "127.0.0.1:0",
                            .socket_path = fx.socket_path,
                            .loops = 2,
                            .clock = &fx.clock,
                            .routes = fx_routes,
                            .route_count = fx_route_count,
                            .gate = gate,
                            .cors = fx_cors,
                            .max_connections = max_connections};
    assert_int_equal(mw_net_start(&config, &fx.net, &detail), MW_OK);
}

static inline void stop_server(void)
{
    release_held();
    real_clock();
    mw_net_drain(fx.net, 2000);
    assert_int_equal(mw_net_connections(fx.net), 0);
    assert_int_equal(mw_net_in_flight(fx.net), 0);
    mw_net_free(fx.net);
    pthread_mutex_destroy(&fx.lock);
    assert_int_equal(access(fx.socket_path, F_OK), -1);
    if (rmdir(fx.directory) != 0)
        fail_msg("%s: %s", fx.directory, strerror(errno));
    /* Nothing of a connection or request is left. */
    assert_int_equal(mw_memory_component_used(MW_MEM_NET), 0);
    assert_int_equal(mw_memory_component_used(MW_MEM_QUERY), 0);
    assert_int_equal(mw_memory_component_used(MW_MEM_NGHTTP2), 0);
    assert_int_equal(mw_memory_component_used(MW_MEM_CODEC), 0);
}

static inline int set_up(void **state)
{
    (void)state;
    start_server(0);
    return 0;
}

static inline int tear_down(void **state)
{
    (void)state;
    stop_server();
    return 0;
}

static inline void nap_ms(unsigned ms)
{
    const struct timespec pause = {.tv_sec = ms / 1000, .tv_nsec = (long)(ms % 1000) * 1000000};
    nanosleep(&pause, NULL);
}

#define WAIT_UNTIL(condition)                                                                      \
    do {                                                                                           \
        unsigned waited_ = 0;                                                                      \
        while (!(condition) && waited_ < PATIENCE_MS) {                                            \
            nap_ms(2);                                                                             \
            waited_ += 2;                                                                          \
        }                                                                                          \
        assert_true(condition);                                                                    \
    } while (0)

/* Until every loop has begun to look at the time after this, and is through with it: a tick or a
 * sweep reads the clock once and then acts. */
static inline void let_loops_look(void)
{
    unsigned before[READERS_MAX];
    size_t count = atomic_load(&fx.readers);
    for (size_t i = 0; i < count; i++)
        before[i] = atomic_load(&fx.reads[i]);
    for (size_t i = 0; i < count; i++)
        if (own_generation != fx_generation || i != own_reader)
            WAIT_UNTIL(atomic_load(&fx.reads[i]) - before[i] >= 3);
}

/* ---- the client ------------------------------------------------------------------------------ */

static inline int dial(mw_port port)
{
    struct timeval patience = {.tv_sec = PATIENCE_MS / 1000};
    const char *endpoint = mw_net_endpoint(fx.net, port);
    int fd = -1;
    if (port == MW_PORT_SOCKET) {
        struct sockaddr_un address = {.sun_family = AF_UNIX};
        snprintf(address.sun_path, sizeof address.sun_path, "%s", endpoint);
        fd = socket(AF_UNIX, SOCK_STREAM, 0);
        assert_int_equal(connect(fd, (struct sockaddr *)&address, sizeof address), 0);
    } else {
        uint64_t number = 0;
        mw_slice text = mw_slice_of(endpoint);
        mw_slice digits = mw_slice_from(text, mw_slice_find_byte(text, ':') + 1);
        assert_int_equal(mw_slice_u64(digits, &number), MW_OK);
        struct sockaddr_in address = {.sin_family = AF_INET,
                                      .sin_port = htons((uint16_t)number),
                                      .sin_addr = {htonl(INADDR_LOOPBACK)}};
        fd = socket(AF_INET, SOCK_STREAM, 0);
        assert_int_equal(connect(fd, (struct sockaddr *)&address, sizeof address), 0);
        assert_int_equal(setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &(int){1}, sizeof(int)), 0);
    }
    assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience), 0);
    return fd;
}

static inline void send_bytes(int fd, mw_slice bytes)
{
    while (bytes.len > 0) {
        ssize_t n = send(fd, bytes.data, bytes.len, MSG_NOSIGNAL);
        if (n <= 0)
            return; /* the server may answer and close early */
        bytes = mw_slice_from(bytes, (size_t)n);
    }
}

static inline void send_text(int fd, const char *text)
{
    send_bytes(fd, mw_slice_of(text));
}

/* True when the server closes (or has reset) within the patience. */
static inline bool closes(int fd)
{
    char byte[256];
    ssize_t n;
    while ((n = recv(fd, byte, sizeof byte, 0)) > 0)
        ;
    return n == 0 || (errno != EAGAIN && errno != EWOULDBLOCK);
}

static inline void reset_by_client(int fd)
{
    struct linger now = {.l_onoff = 1, .l_linger = 0};
    assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_LINGER, &now, sizeof now), 0);
    close(fd);
}

#endif
