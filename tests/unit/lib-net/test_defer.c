/* mw_request_defer: a handler that cannot take a request now gets it again, on the loop's thread,
 * until its time is up; whatever becomes of the client or the server meanwhile. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "lib/net/exchange_int.h"
#include "lib/net/http2_int.h"
#include "tests/unit/lib-net/net_fixture.h"

static atomic_int calls, answered;
static atomic_int wanted; /* the call that answers; the others defer */
static atomic_int delay_ms;
static pthread_t loop_threads[2];
static atomic_bool from_thread;

static void answer(mw_request *request)
{
    atomic_fetch_add(&answered, 1);
    reply_text(request, 200, MW_SLICE("done"));
}

static void *defer_elsewhere(void *arg)
{
    mw_request *request = arg;
    if (!mw_request_defer(request, mw_clock_mono_ns(&fx.clock), (unsigned)atomic_load(&delay_ms)))
        answer(request);
    return NULL;
}

static void deferring(void *ctx, mw_request *request)
{
    (void)ctx;
    int call = atomic_fetch_add(&calls, 1) + 1;
    if (!request->own)
        loop_threads[0] = pthread_self();
    loop_threads[1] = pthread_self();
    request->own = mw_arena_alloc(&request->arena, 16);
    if (call >= atomic_load(&wanted)) {
        answer(request);
    } else if (atomic_load(&from_thread)) {
        pthread_t thread;
        assert_int_equal(pthread_create(&thread, NULL, defer_elsewhere, request), 0);
        assert_int_equal(pthread_detach(thread), 0);
    } else {
        (void)defer_elsewhere(request);
    }
}

static const mw_route routes[] = {
    {MW_PORT_WEB, "POST", "/deferring", false, BODY_LIMIT, deferring, NULL, 0, false},
    {MW_PORT_WEB, "GET", "/deferring", false, 0, deferring, NULL, 0, false},
};

static int set_up_defer(void **state)
{
    (void)state;
    mw_detail detail = {.message = ""};
    mw_log_init(MW_LOG_ERROR, MW_LOG_LOGFMT, STDERR_FILENO);
    memset(&fx, 0, sizeof fx);
    fx_generation++;
    pthread_mutex_init(&fx.lock, NULL);
    fx.clock = (mw_clock){.wall_ns = real_wall, .mono_ns = skewed_mono};
    atomic_store(&calls, 0);
    atomic_store(&answered, 0);
    atomic_store(&delay_ms, 20);
    atomic_store(&from_thread, false);
    mw_net_config config = {.web_address = "127.0.0.1:0",
                            .loops = 2,
                            .clock = &fx.clock,
                            .routes = routes,
                            .route_count = sizeof routes / sizeof *routes};
    assert_int_equal(mw_net_start(&config, &fx.net, &detail), MW_OK);
    return 0;
}

static int tear_down_defer(void **state)
{
    (void)state;
    real_clock();
    mw_net_drain(fx.net, 5000);
    mw_net_free(fx.net);
    pthread_mutex_destroy(&fx.lock);
    assert_int_equal(mw_memory_component_used(MW_MEM_NET), 0);
    assert_int_equal(mw_memory_component_used(MW_MEM_NGHTTP2), 0);
    return 0;
}

static int post(void)
{
    int fd = dial(MW_PORT_WEB);
    send_text(fd, "POST /deferring HTTP/1.1\r\nHost: localhost\r\nContent-Length: 4\r\n\r\nbody");
    return fd;
}

static void expect_done(int fd)
{
    char text[512];
    ssize_t n = recv(fd, text, sizeof text - 1, 0);
    assert_true(n > 12);
    text[n] = '\0';
    assert_int_equal(strtol(text + 9, NULL, 10), 200);
}

static void test_again(void **state)
{
    (void)state;
    atomic_store(&wanted, 4);
    int64_t begin = mw_clock_mono_ns(&fx.clock);
    int fd = post();
    expect_done(fd);
    assert_int_equal(atomic_load(&calls), 4);
    assert_true(mw_clock_mono_ns(&fx.clock) - begin >= 60 * MW_NS_PER_MS);
    assert_true(pthread_equal(loop_threads[0], loop_threads[1]));
    /* The connection is as good as before. */
    send_text(fd, "GET /deferring HTTP/1.1\r\nHost: localhost\r\n\r\n");
    expect_done(fd);
    close(fd);
}

static void test_other_thread(void **state)
{
    (void)state;
    atomic_store(&from_thread, true);
    atomic_store(&wanted, 5);
    int fd = post();
    expect_done(fd);
    assert_int_equal(atomic_load(&calls), 5);
    assert_true(pthread_equal(loop_threads[0], loop_threads[1]));
    close(fd);
}

/* After 3 s the handler is called for the last time: it must answer. */
static void test_time_is_up(void **state)
{
    (void)state;
    atomic_store(&wanted, 1000000);
    atomic_store(&delay_ms, 60000); /* asked for later than allowed: cut to the bound */
    slow_clock();
    int fd = post();
    WAIT_UNTIL(atomic_load(&calls) == 1);
    nap_ms(50);
    push_clock(2);
    nap_ms(100);
    assert_int_equal(atomic_load(&calls), 1);
    push_clock(1);
    expect_done(fd);
    assert_int_equal(atomic_load(&calls), 2);
    close(fd);
}

static void test_client_gone(void **state)
{
    (void)state;
    atomic_store(&wanted, 1000000);
    int fd = post();
    WAIT_UNTIL(atomic_load(&calls) >= 2);
    reset_by_client(fd);
    WAIT_UNTIL(mw_net_in_flight(fx.net) == 0);
    WAIT_UNTIL(mw_net_connections(fx.net) == 0);
    int seen = atomic_load(&calls);
    nap_ms(100);
    assert_int_equal(atomic_load(&calls), seen);
    assert_int_equal(atomic_load(&answered), 0);
}

static void test_drain(void **state)
{
    (void)state;
    atomic_store(&wanted, 10);
    int fd = post();
    WAIT_UNTIL(atomic_load(&calls) >= 1);
    mw_net_drain(fx.net, 5000);
    assert_int_equal(atomic_load(&answered), 1);
    expect_done(fd);
    close(fd);
}

/* The drain is cut short: the request is freed, nobody is called. */
static void test_close(void **state)
{
    (void)state;
    atomic_store(&wanted, 1000000);
    atomic_store(&delay_ms, 60000);
    int fd = post();
    WAIT_UNTIL(atomic_load(&calls) == 1);
    nap_ms(30);
    mw_net_drain(fx.net, 0);
    assert_int_equal(atomic_load(&answered), 0);
    close(fd);
}

/* h2 without sockets: half of a deadline, and a stream that ends while its request waits. */
static mw_exchange *posted;

static void take_post(void *ctx, mw_exchange *exchange)
{
    (void)ctx;
    posted = exchange;
}

static void no_wait(void *ctx, mw_exchange *exchange)
{
    (void)ctx, (void)exchange;
}

static void test_deadline(void **state)
{
    (void)state;
    mw_front front;
    mw_wire wire;
    memset(&front, 0, sizeof front);
    mw_wire_init(&wire, &front, MW_PORT_GRPC);
    wire.post = take_post;
    wire.wait = no_wait;
    mw_exchange *exchange = mw_exchange_new(&wire);
    mw_request *request = &exchange->request;
    request->received_ns = 1000;
    assert_true(mw_request_defer(request, 1000, 500));
    assert_ptr_equal(posted, exchange);
    assert_true(exchange->deferred);
    assert_true(exchange->wait.due_ns == 1000 + 500 * MW_NS_PER_MS);
    assert_true(exchange->wait.until_ns == 1000 + MW_REQUEST_WAIT_NS);
    request->deadline_ns = 1000 + MW_NS_PER_S;
    assert_true(mw_request_defer(request, 1000, 700));
    assert_true(exchange->wait.due_ns == 1000 + MW_NS_PER_S / 2);
    assert_false(mw_request_defer(request, 1000 + MW_NS_PER_S / 2, 1));
    wire.wait = NULL;
    mw_exchange_free(exchange);
    exchange = mw_exchange_new(&wire);
    assert_false(mw_request_defer(&exchange->request, 0, 1)); /* nowhere to wait */
    mw_exchange_free(exchange);
    mw_wire_fini(&wire);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up_defer, tear_down_defer)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_again),
        TEST(test_other_thread),
        TEST(test_time_is_up),
        TEST(test_client_gone),
        TEST(test_drain),
        TEST(test_close),
        cmocka_unit_test(test_deadline),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
