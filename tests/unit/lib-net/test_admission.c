/* Who may take memory for a body, who waits, who is refused: a real server on loopback, a small
 * memory limit, and a clock the test pushes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "lib/net/exchange_int.h"
#include "tests/unit/lib-net/net_fixture.h"

#define KIB ((size_t)1 << 10)
#define MIB ((size_t)1 << 20)

static void *hog;

/* Ceiling: `room` bytes above what is in use now; reservation: `reserve`. */
static void limit_memory(size_t room, size_t reserve)
{
    mw_memory_init(mw_memory_used() + room + reserve);
    mw_memory_reserve(reserve);
    assert_int_equal(mw_memory_ceiling(), mw_memory_limit() - reserve);
}

/* Leaves `room` bytes below the ceiling; lanes are full when an eighth of it is left. */
static void fill_to(size_t room)
{
    hog = mw_alloc(MW_MEM_BASE, mw_memory_ceiling() - mw_memory_used() - room);
    assert_non_null(hog);
}

static void fill_lanes(void)
{
    fill_to(40 * KIB);
}

static void release_hog(void)
{
    mw_free(MW_MEM_BASE, hog);
    hog = NULL;
}

static int set_up_memory(void **state)
{
    (void)state;
    hog = NULL;
    start_server(0);
    /* A hog of its own keeps the fractions of the ceiling larger than what connections need. */
    limit_memory(4 * MIB, 8 * MIB);
    slow_clock();
    return 0;
}

static int tear_down_memory(void **state)
{
    (void)state;
    release_hog();
    mw_memory_init(0);
    stop_server();
    return 0;
}

/* ---- the client ------------------------------------------------------------------------------ */

/* The head is read when it is back. */
static int send_head(const char *head)
{
    uint64_t before = mw_counter_value(MW_COUNT_NET_BYTES_IN);
    int fd = dial(MW_PORT_WEB);
    send_text(fd, head);
    WAIT_UNTIL(mw_counter_value(MW_COUNT_NET_BYTES_IN) >= before + strlen(head));
    return fd;
}

static int begin_post(const char *path, size_t length)
{
    char head[256];
    snprintf(head, sizeof head,
             "POST %s HTTP/1.1\r\nHost: localhost\r\nContent-Length: %zu\r\n\r\n", path, length);
    return send_head(head);
}

static int begin_chunk(const char *path, size_t length)
{
    char head[256];
    snprintf(head, sizeof head,
             "POST %s HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n%zx\r\n",
             path, length);
    return send_head(head);
}

static void send_body(int fd, size_t length)
{
    static char bytes[MIB];
    memset(bytes, 'b', sizeof bytes);
    assert_true(length <= sizeof bytes);
    send_bytes(fd, (mw_slice){bytes, length});
}

/* Until the server's count of bytes read is there, and they are where they belong. */
static void wait_taken(uint64_t bytes)
{
    WAIT_UNTIL(mw_counter_value(MW_COUNT_NET_BYTES_IN) >= bytes);
    let_loops_look();
}

static bool answers_within(int fd, int ms)
{
    struct pollfd ready = {.fd = fd, .events = POLLIN};
    return poll(&ready, 1, ms) == 1;
}

/* The status of the next answer; its head is in `head`. */
static int status_of(int fd, char head[512])
{
    ssize_t n = recv(fd, head, 511, 0);
    assert_true(n > 12);
    head[n] = '\0';
    return (int)strtol(head + 9, NULL, 10);
}

static void expect_status(int fd, int status)
{
    char head[512];
    assert_int_equal(status_of(fd, head), status);
}

#define WAITED() mw_counter_value(MW_COUNT_NET_WAITED_BODY)

/* ---- bodies ---------------------------------------------------------------------------------- */

static void test_one_gets_through(void **state)
{
    (void)state;
    fill_lanes();
    int fd = begin_post("/held", 900 * KIB);
    send_body(fd, 900 * KIB);
    WAIT_UNTIL(held_now() == 1);
    assert_true(mw_memory_used() > mw_memory_ceiling()); /* it is in the reservation */
    assert_null(mw_alloc(MW_MEM_BASE, 100 * KIB));       /* which is nobody else's */
    release_held();
    expect_status(fd, 200);
    close(fd);
}

static void test_waits_then_goes(void **state)
{
    (void)state;
    uint64_t before = WAITED();
    fill_lanes();
    int first = begin_post("/held", 64 * KIB), second = begin_post("/held", 64 * KIB);
    send_body(first, 64 * KIB);
    WAIT_UNTIL(held_now() == 1);
    send_body(second, 64 * KIB);
    WAIT_UNTIL(WAITED() == before + 1);
    assert_false(answers_within(second, 100));
    assert_int_equal(held_now(), 1);
    release_held();
    expect_status(first, 200);
    WAIT_UNTIL(held_now() == 1);
    release_held();
    expect_status(second, 200);
    close(first), close(second);
}

static void test_refused_in_time(void **state)
{
    (void)state;
    char head[512];
    fill_lanes();
    int first = begin_post("/held", 64 * KIB), second = begin_post("/held", 64 * KIB);
    send_body(first, 64 * KIB);
    WAIT_UNTIL(held_now() == 1);
    uint64_t before = WAITED();
    send_body(second, 64 * KIB);
    WAIT_UNTIL(WAITED() == before + 1);
    push_clock(2);
    assert_false(answers_within(second, 100));
    push_clock(2);
    assert_int_equal(status_of(second, head), 503);
    assert_non_null(strstr(head, "retry-after: 1\r\n"));
    release_held();
    expect_status(first, 200);
    close(first), close(second);
}

/* Memory back below the ceiling lets those go on that wait, the reservation being taken. */
static void test_room_again(void **state)
{
    (void)state;
    fill_lanes();
    int first = begin_post("/held", 64 * KIB), second = begin_post("/held", 64 * KIB);
    send_body(first, 64 * KIB);
    WAIT_UNTIL(held_now() == 1);
    uint64_t before = WAITED();
    send_body(second, 64 * KIB);
    WAIT_UNTIL(WAITED() == before + 1);
    release_hog();
    WAIT_UNTIL(held_now() == 2);
    release_held();
    expect_status(first, 200);
    expect_status(second, 200);
    close(first), close(second);
}

/* The one that has received more goes first, whoever came first. */
static void test_order_of_progress(void **state)
{
    (void)state;
    int fds[2] = {begin_chunk("/held", 400 * KIB), begin_chunk("/held", 400 * KIB)};
    uint64_t read_before = mw_counter_value(MW_COUNT_NET_BYTES_IN);
    send_body(fds[0], 20 * KIB);
    send_body(fds[1], 100 * KIB);
    wait_taken(read_before + 120 * KIB); /* there is room yet */
    fill_lanes();
    int first = begin_post("/held", 64 * KIB);
    send_body(first, 64 * KIB);
    WAIT_UNTIL(held_now() == 1);
    uint64_t before = WAITED();
    send_body(fds[1], 300 * KIB);
    send_text(fds[1], "\r\n0\r\n\r\n");
    WAIT_UNTIL(WAITED() == before + 1);
    send_body(fds[0], 380 * KIB);
    send_text(fds[0], "\r\n0\r\n\r\n");
    WAIT_UNTIL(WAITED() == before + 2);
    let_loops_look(); /* at who is ready */
    release_held();
    expect_status(first, 200);
    WAIT_UNTIL(held_now() == 1);
    release_held();
    expect_status(fds[1], 200);
    WAIT_UNTIL(held_now() == 1);
    release_held();
    expect_status(fds[0], 200);
    close(first), close(fds[0]), close(fds[1]);
}

/* Bodies that bring nothing are given up, the least progressed first, when others wait. */
static void test_stalled_are_shed(void **state)
{
    (void)state;
    uint64_t before = WAITED();
    int stalled = begin_post("/held", 512 * KIB), holder = begin_post("/held", 64 * KIB);
    uint64_t read_before = mw_counter_value(MW_COUNT_NET_BYTES_IN);
    send_body(stalled, 200 * KIB);
    wait_taken(read_before + 200 * KIB);
    fill_to(mw_memory_ceiling() / 8 - 32 * KIB);
    send_body(holder, 64 * KIB);
    WAIT_UNTIL(held_now() == 1);
    int waiter = begin_post("/held", 64 * KIB);
    send_body(waiter, 64 * KIB);
    WAIT_UNTIL(WAITED() == before + 1);
    push_clock(1);
    let_loops_look(); /* its rate is good: 200 KiB came in its first window */
    push_clock(1);
    expect_status(stalled, 503);
    WAIT_UNTIL(held_now() == 2);
    release_held();
    expect_status(holder, 200);
    expect_status(waiter, 200);
    close(stalled), close(holder), close(waiter);
}

/* A holder that brings nothing loses the reservation to one that can use it. */
static void test_slow_holder(void **state)
{
    (void)state;
    uint64_t before = WAITED();
    fill_lanes();
    int slow = begin_post("/held", 512 * KIB);
    send_body(slow, 40 * KIB);
    WAIT_UNTIL(mw_memory_used() > mw_memory_ceiling());
    int waiter = begin_post("/held", 64 * KIB);
    send_body(waiter, 64 * KIB);
    WAIT_UNTIL(WAITED() == before + 1);
    push_clock(1);
    expect_status(slow, 503);
    WAIT_UNTIL(held_now() == 1);
    release_held();
    expect_status(waiter, 200);
    close(slow), close(waiter);
}

/* The client leaves while its body waits; nothing is left of it, and the others go on. */
static void test_gone_while_waiting(void **state)
{
    (void)state;
    uint64_t before = WAITED();
    fill_lanes();
    int first = begin_post("/held", 64 * KIB), second = begin_post("/held", 64 * KIB);
    send_body(first, 64 * KIB);
    WAIT_UNTIL(held_now() == 1);
    send_body(second, 10 * KIB);
    WAIT_UNTIL(WAITED() == before + 1);
    close(second);
    push_clock(4);
    WAIT_UNTIL(mw_net_connections(fx.net) == 1);
    release_held();
    expect_status(first, 200);
    close(first);
}

/* ---- lanes, without sockets ------------------------------------------------------------------ */

typedef struct lane_case {
    mw_front front;
    mw_wire wire;
    mw_exchange *exchange;
    mw_fake_clock clock;
} lane_case;

static void no_wait(void *ctx, mw_exchange *exchange)
{
    (void)ctx, (void)exchange;
}

static void open_case(lane_case *c)
{
    memset(c, 0, sizeof *c);
    mw_fake_clock_init(&c->clock, 1);
    c->front.config.clock = &c->clock.clock;
    mw_wire_init(&c->wire, &c->front, MW_PORT_GRPC);
    c->wire.wait = no_wait;
    c->exchange = mw_exchange_new(&c->wire);
    assert_non_null(c->exchange);
    mw_memory_init(mw_memory_used() + 64 * MIB);
    mw_memory_reserve(32 * MIB);
}

static void close_case(lane_case *c)
{
    mw_memory_reservation_use(false);
    mw_exchange_free(c->exchange);
    mw_wire_fini(&c->wire);
    mw_memory_init(0);
}

static bool grows(lane_case *c, size_t bytes)
{
    bool taken = mw_admission_grow(c->exchange, bytes);
    bool seat = mw_admission_holds(c->exchange);
    c->exchange->body_bytes = c->wire.body_bytes = 0;
    mw_admission_leave();
    mw_admission_end(c->exchange);
    return taken && !seat;
}

static void test_lanes(void **state)
{
    (void)state;
    lane_case c;
    open_case(&c);
    assert_true(grows(&c, 512 * KIB));
    assert_true(grows(&c, 8 * MIB));
    assert_false(grows(&c, 9 * MIB)); /* a quarter of the ceiling for one connection */
    void *half = mw_alloc(MW_MEM_BASE, 16 * MIB);
    assert_false(grows(&c, MIB)); /* large ones leave half of it */
    assert_true(grows(&c, 512 * KIB));
    c.exchange->body.expected = 20 * MIB; /* what is announced to be large is large */
    assert_false(grows(&c, 512 * KIB));
    c.exchange->body.expected = 0;
    c.wire.body_bytes = MIB; /* other streams of the connection weigh as well */
    assert_false(grows(&c, 1));
    void *more = mw_alloc(MW_MEM_BASE, 12 * MIB - 256 * KIB);
    assert_false(grows(&c, 512 * KIB)); /* small ones leave an eighth ... */
    c.wire.served = true;
    assert_true(grows(&c, 512 * KIB)); /* ... and those known to end a sixteenth */
    mw_free(MW_MEM_BASE, more);
    mw_free(MW_MEM_BASE, half);
    close_case(&c);
}

/* One exchange of the process; siblings of its connection go along, within a bound. */
static void test_one_holder(void **state)
{
    (void)state;
    lane_case c;
    open_case(&c);
    mw_exchange *sibling = mw_exchange_new(&c.wire);
    mw_wire other_wire;
    mw_wire_init(&other_wire, &c.front, MW_PORT_GRPC);
    mw_exchange *other = mw_exchange_new(&other_wire);
    void *most = mw_alloc(MW_MEM_BASE, 31 * MIB);
    assert_true(mw_admission_grow(c.exchange, 4 * MIB));
    mw_admission_leave();
    assert_true(mw_admission_holds(c.exchange));
    assert_false(mw_admission_grow(other, KIB));
    assert_true(mw_admission_may_wait(other));
    assert_true(mw_admission_grow(sibling, MIB));
    mw_admission_leave();
    assert_false(mw_admission_grow(sibling, 2 * MIB));
    assert_false(mw_admission_may_wait(sibling)); /* it would stop the holder */
    mw_exchange_free(c.exchange);
    c.exchange = sibling;
    assert_true(mw_admission_grow(other, KIB));
    assert_true(mw_admission_holds(other));
    mw_admission_leave();
    mw_exchange_free(other);
    mw_wire_fini(&other_wire);
    mw_free(MW_MEM_BASE, most);
    close_case(&c);
}

static void test_until(void **state)
{
    (void)state;
    lane_case c;
    open_case(&c);
    mw_request *request = &c.exchange->request;
    request->received_ns = 100;
    assert_true(mw_admission_until(c.exchange, 200) == 200 + MW_ADMISSION_WAIT_NS);
    c.exchange->wait.spent_ns = MW_NS_PER_S;
    assert_true(mw_admission_until(c.exchange, 200) == 200 + MW_ADMISSION_WAIT_NS - MW_NS_PER_S);
    request->deadline_ns = 100 + MW_NS_PER_S;
    assert_true(mw_admission_until(c.exchange, 200) == 100 + MW_NS_PER_S / 2);
    request->deadline_ns = INT64_MAX;
    assert_true(mw_admission_until(c.exchange, 200) == 200 + MW_ADMISSION_WAIT_NS - MW_NS_PER_S);
    close_case(&c);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up_memory, tear_down_memory)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_one_gets_through),  TEST(test_waits_then_goes),
        TEST(test_refused_in_time),   TEST(test_room_again),
        TEST(test_order_of_progress), TEST(test_stalled_are_shed),
        TEST(test_slow_holder),       TEST(test_gone_while_waiting),
        cmocka_unit_test(test_lanes), cmocka_unit_test(test_one_holder),
        cmocka_unit_test(test_until),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
