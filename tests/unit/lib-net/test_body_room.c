/* Bodies that are read straight into their place (HTTP/1, a known length): of every size around the
 * bounds, in pieces of every size, with the next request right behind. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tests/unit/lib-net/net_fixture.h"

#include "lib/net/body_int.h"
#include "lib/net/net_int.h"

/* A body, and the bytes that a loop takes at most at once. */
static char body[BODY_LIMIT], back[BODY_LIMIT];

static void fill_body(size_t len)
{
    for (size_t i = 0; i < len; i++)
        body[i] = (char)((i * 31 + i / 251 + len) & 0x7f);
}

static void read_exactly(int fd, char *to, size_t len)
{
    while (len > 0) {
        ssize_t n = recv(fd, to, len, 0);
        assert_true(n > 0);
        to += n;
        len -= (size_t)n;
    }
}

static void expect_echo(int fd, const char *expected, size_t len)
{
    char head[1024];
    size_t used = 0;
    while (used < 4 || memcmp(head + used - 4, "\r\n\r\n", 4) != 0) {
        assert_true(used < sizeof head - 1);
        read_exactly(fd, head + used++, 1);
    }
    head[used] = '\0';
    assert_true(strncmp(head, "HTTP/1.1 200 ", 13) == 0);
    const char *length = strcasestr(head, "content-length: ");
    assert_non_null(length);
    assert_int_equal(strtoul(length + 16, NULL, 10), len);
    read_exactly(fd, back, len);
    assert_memory_equal(back, expected, len);
}

typedef struct sending {
    int fd;
    size_t len, piece;
} sending;

/* From a thread of its own: the answer may not fit into what sockets hold. */
static void *send_all(void *arg)
{
    const sending *what = arg;
    char head[128];
    snprintf(head, sizeof head,
             "POST /v1/traces HTTP/1.1\r\nHost: a\r\nContent-Length: %zu\r\n\r\n", what->len);
    send_text(what->fd, head);
    for (size_t at = 0; at < what->len; at += what->piece) {
        size_t left = what->len - at;
        send_bytes(what->fd, (mw_slice){body + at, left < what->piece ? left : what->piece});
        if (what->piece < what->len && what->len / what->piece < 64)
            nap_ms(1); /* so that pieces are read by themselves */
    }
    /* In the same breath as the last piece. */
    send_text(what->fd, "POST /v1/traces HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\nnext");
    return NULL;
}

static void one_body(size_t len, size_t piece)
{
    pthread_t thread;
    sending what = {dial(MW_PORT_HTTP), len, piece};
    fill_body(len);
    assert_int_equal(pthread_create(&thread, NULL, send_all, &what), 0);
    expect_echo(what.fd, body, len);
    expect_echo(what.fd, "next", 4);
    assert_int_equal(pthread_join(thread, NULL), 0);
    close(what.fd);
}

static void test_sizes(void **state)
{
    (void)state;
    static const size_t sizes[] = {MW_NET_ROOM_MIN - 1,  MW_NET_ROOM_MIN,
                                   MW_NET_ROOM_MIN + 1,  MW_NET_READ_SIZE - 1,
                                   MW_NET_READ_SIZE,     MW_NET_READ_SIZE + 1,
                                   3 * MW_NET_READ_SIZE, MW_BODY_TRUST - 1,
                                   MW_BODY_TRUST + 1,    BODY_LIMIT};
    static const size_t pieces[] = {MW_NET_ROOM_MIN - 1, 40000, MW_NET_READ_SIZE, BODY_LIMIT};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++)
        for (size_t j = 0; j < sizeof pieces / sizeof *pieces; j++)
            one_body(sizes[i], pieces[j]);
}

/* While reads are small, and while a body may not grow as it likes. */
static void test_small_memory(void **state)
{
    (void)state;
    mw_memory_init(mw_memory_used() + 3 * BODY_LIMIT);
    one_body(MW_BODY_TRUST - 1, BODY_LIMIT);
    one_body(MW_BODY_TRUST - 1, 40000);
    mw_memory_init(0);
}

static void test_gone(void **state)
{
    (void)state;
    for (int i = 0; i < 20; i++) {
        int fd = dial(MW_PORT_HTTP);
        send_text(fd, "POST /v1/traces HTTP/1.1\r\nHost: a\r\nContent-Length: 400000\r\n\r\n");
        fill_body(300000);
        send_bytes(fd, (mw_slice){body, 100000});
        nap_ms((unsigned)i % 4);
        send_bytes(fd, (mw_slice){body + 100000, 200000});
        if (i % 2)
            reset_by_client(fd);
        else
            close(fd);
    }
    WAIT_UNTIL(mw_net_connections(fx.net) == 0);
    one_body(1000, 1000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_sizes, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_small_memory, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_gone, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
