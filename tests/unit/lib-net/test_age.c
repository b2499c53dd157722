/* Connections that are old, and clients that ask too often whether theirs is alive. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "lib/net/net_int.h"
#include "lib/net/ping_guard_int.h"
#include "tests/unit/lib-net/h2_client.h"

#define GRPC "application/grpc"
/* Nothing is old before 0.9 of the age, and all is after 1.1 of it. */
#define YOUNG_S (MW_NET_AGE_NS / MW_NS_PER_S * 9 / 10 - 60)
#define OLD_S (MW_NET_AGE_NS / MW_NS_PER_S * 11 / 10)

/* ---- age ------------------------------------------------------------------------------------- */

static void test_spread(void **state)
{
    (void)state;
    int64_t least = INT64_MAX;
    int64_t most = 0;
    for (int i = 0; i < 1000; i++) {
        int64_t age = mw_retire_age_ns();
        least = age < least ? age : least;
        most = age > most ? age : most;
    }
    assert_true(least >= MW_NET_AGE_NS / 10 * 9 && most <= MW_NET_AGE_NS / 10 * 11);
    assert_true(most - least > MW_NET_AGE_SPREAD_NS / 2);
}

/* Time passes, and every sweep sees it; the idle bound is kept away by requests between. */
static void grow_old(int64_t seconds, void (*keep_alive)(void))
{
    keep_alive(); /* it has been accepted, so its time runs */
    while (seconds > 0) {
        int64_t part = seconds < 280 ? seconds : 280;
        push_clock(part);
        seconds -= part;
        keep_alive();
    }
    nap_ms(1300);
}

static int h1_fd;
static char h1_head[1024];

static void ask_h1(void)
{
    size_t len = 0;
    send_text(h1_fd, "GET /hello/x HTTP/1.1\r\nHost: a\r\n\r\n");
    h1_head[0] = '\0';
    while (len < sizeof h1_head - 1 && !strstr(h1_head, " v1")) {
        ssize_t n = recv(h1_fd, h1_head + len, 1, 0);
        if (n <= 0)
            break;
        len += (size_t)n;
        h1_head[len] = '\0';
    }
}

static void test_http1(void **state)
{
    (void)state;
    h1_fd = dial(MW_PORT_WEB);
    grow_old(YOUNG_S, ask_h1);
    assert_non_null(strstr(h1_head, "HTTP/1.1 200 OK\r\n"));
    assert_null(strstr(h1_head, "connection: close"));
    push_clock(OLD_S - YOUNG_S - 200);
    ask_h1();
    push_clock(200);
    nap_ms(1300);
    /* Not closed while idle: the next answer says it. */
    char byte;
    assert_int_equal(recv(h1_fd, &byte, 1, MSG_DONTWAIT), -1);
    assert_true(errno == EAGAIN || errno == EWOULDBLOCK);
    ask_h1();
    /* A sweep may be late. */
    for (unsigned ms = 0; ms < PATIENCE_MS && !strstr(h1_head, "connection: close\r\n"); ms += 20) {
        assert_non_null(strstr(h1_head, "HTTP/1.1 200 OK\r\n"));
        nap_ms(20);
        ask_h1();
    }
    assert_non_null(strstr(h1_head, "HTTP/1.1 200 OK\r\n"));
    assert_non_null(strstr(h1_head, "connection: close\r\n"));
    assert_true(closes(h1_fd));
    close(h1_fd);
}

static void ask_h2(void)
{
    call *one = ask_and_wait(&(ask){.method = "GET", .path = "/hello/x"});
    assert_int_equal(one->status, 200);
}

static void test_http2(void **state)
{
    (void)state;
    open_client(MW_PORT_WEB);
    grow_old(YOUNG_S, ask_h2);
    step(20);
    assert_int_equal(c->goaways, 0);
    call *held = send_call(&(ask){.path = "/held", .body = MW_SLICE("x")});
    WAIT_UNTIL(held_now() == 1);
    push_clock(OLD_S - YOUNG_S);
    RUN_UNTIL(c->goaways == 2);
    assert_int_equal(c->goaway_error, NGHTTP2_NO_ERROR);
    assert_false(held->closed);
    release_held();
    RUN_UNTIL(held->closed);
    assert_int_equal(held->status, 200);
    run_to_end();
    close_client();
}

/* ---- PING ------------------------------------------------------------------------------------ */

#define S MW_NS_PER_S

static void test_guard(void **state)
{
    (void)state;
    mw_ping_guard guard = {0};
    int64_t now = 1000 * S;
    for (int i = 0; i < 100; i++, now += 10 * S)
        assert_false(mw_ping_guard_strikes_out(&guard, now));
    /* One, two, out; the first counts from the last good one. */
    assert_false(mw_ping_guard_strikes_out(&guard, now - 9 * S));
    assert_false(mw_ping_guard_strikes_out(&guard, now - 8 * S));
    assert_true(mw_ping_guard_strikes_out(&guard, now - 7 * S));
    mw_ping_guard_reset(&guard);
    for (int i = 0; i < 3; i++)
        assert_false(mw_ping_guard_strikes_out(&guard, now));
    assert_true(mw_ping_guard_strikes_out(&guard, now));
    /* What was kept forgives. */
    mw_ping_guard_reset(&guard);
    for (int i = 0; i < 50; i++) {
        now += 11 * S;
        assert_false(mw_ping_guard_strikes_out(&guard, now));
        assert_false(mw_ping_guard_strikes_out(&guard, now + S));
    }
}

static void send_ping(void)
{
    assert_int_equal(nghttp2_submit_ping(c->session, 0, NULL), 0);
    flush_client();
}

/* The server has looked at it before time goes on. */
static void ping(void)
{
    unsigned before = c->pongs;
    send_ping();
    RUN_UNTIL(c->pongs == before + 1);
}

/* With nothing in flight, every 10 s: the shortest that users set. */
static void test_lenient(void **state)
{
    (void)state;
    open_client(MW_PORT_GRPC);
    for (int i = 0; i < 20; i++) {
        ping();
        push_clock(10);
    }
    assert_int_equal(c->goaways, 0);
    assert_false(c->eof);
    /* Those that measure the line while they send are nobody's concern. */
    for (int i = 0; i < 20; i++) {
        ping();
        ask_and_wait(&(ask){.path = EXPORT_PATH, .type = GRPC, .body = MW_SLICE("\0\0\0\0\1x")});
    }
    assert_int_equal(c->goaways, 0);
    close_client();
}

static void test_too_many_pings(void **state)
{
    (void)state;
    open_client(MW_PORT_GRPC);
    call *held =
        send_call(&(ask){.path = "/test.Held/Call", .type = GRPC, .body = MW_SLICE("\0\0\0\0\1x")});
    WAIT_UNTIL(held_now() == 1);
    for (int i = 0; i < 3; i++)
        ping();
    assert_int_equal(c->goaways, 0);
    send_ping();
    RUN_UNTIL(c->goaways == 1);
    assert_int_equal(c->goaway_error, NGHTTP2_ENHANCE_YOUR_CALM);
    assert_string_equal(c->goaway_text, "too_many_pings");
    /* What was in flight is answered. */
    release_held();
    RUN_UNTIL(held->closed);
    assert_int_equal(held->grpc, 0);
    run_to_end();
    close_client();
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_spread), TEST(test_http1),   TEST(test_http2),
        cmocka_unit_test(test_guard),  TEST(test_lenient), TEST(test_too_many_pings),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
