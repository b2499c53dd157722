/* Address lists, free ports, the unix socket's file, who the peer is. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "lib/net/listener_int.h"

typedef struct row {
    const char *text;
    size_t count; /* 0 = refused */
    const char *host;
    unsigned port;
} row;

static const row rows[] = {
    {"127.0.0.1:4317", 1, "127.0.0.1", 4317},
    {"[::1]:4317", 1, "::1", 4317},
    {"[::]:0", 1, "::", 0},
    {" localhost:65535 ", 1, "localhost", 65535},
    {"127.0.0.1:1, [::1]:2", 2, "127.0.0.1", 1},
    {"", 0, NULL, 0},
    {" ", 0, NULL, 0},
    {"127.0.0.1", 0, NULL, 0},
    {"4317", 0, NULL, 0},
    {":4317", 0, NULL, 0},
    {"[]:4317", 0, NULL, 0},
    {"127.0.0.1:", 0, NULL, 0},
    {"127.0.0.1:65536", 0, NULL, 0},
    {"127.0.0.1:-1", 0, NULL, 0},
    {"127.0.0.1:http", 0, NULL, 0},
    {"::1:4317", 0, NULL, 0},
    {"[::1:4317", 0, NULL, 0},
    {"::1]:4317", 0, NULL, 0},
    {"[::1]", 0, NULL, 0},
    {"127.0.0.1:1,", 0, NULL, 0},
    {"127.0.0.1:1,,127.0.0.1:2", 0, NULL, 0},
    {"a:1,a:2,a:3,a:4,a:5,a:6,a:7,a:8,a:9", 0, NULL, 0},
};

static void test_parse(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        mw_address_list list;
        mw_detail detail = {{0}, {0}, {0}};
        mw_err err = mw_address_parse(rows[i].text, "grpc", &list, &detail);
        if ((err == MW_OK) != (rows[i].count > 0))
            print_error("address \"%s\"\n", rows[i].text);
        assert_int_equal(err, rows[i].count ? MW_OK : MW_E_INVALID);
        if (rows[i].count == 0) {
            assert_string_equal(detail.field, "grpc");
            assert_true(detail.message[0] && detail.hint[0]);
            continue;
        }
        assert_int_equal(list.count, rows[i].count);
        assert_string_equal(list.items[0].host, rows[i].host);
        assert_int_equal(list.items[0].port, rows[i].port);
    }
}

static uint16_t bound_port(int fd)
{
    struct sockaddr_storage address;
    socklen_t len = sizeof address;
    assert_int_equal(getsockname(fd, (struct sockaddr *)&address, &len), 0);
    return ntohs(address.ss_family == AF_INET6 ? ((struct sockaddr_in6 *)&address)->sin6_port
                                               : ((struct sockaddr_in *)&address)->sin_port);
}

static void test_free_port(void **state)
{
    (void)state;
    mw_listeners listeners;
    mw_detail detail;
    char expected[MW_ENDPOINT_SIZE];
    mw_listeners_init(&listeners);
    assert_int_equal(mw_listeners_tcp(&listeners, MW_PORT_GRPC, "grpc",
                                      "127.0.0.1:0,127.0.0.2:0,[::1]:0", &detail),
                     MW_OK);
    assert_true(listeners.count >= 2); /* a machine without IPv6 has two */
    uint16_t port = bound_port(listeners.items[0].fd);
    assert_true(port > 0);
    for (size_t i = 0; i < listeners.count; i++)
        assert_int_equal(bound_port(listeners.items[i].fd), port);
    snprintf(expected, sizeof expected, "127.0.0.1:%u", (unsigned)port);
    assert_string_equal(listeners.endpoints[0], expected);
    /* The same address again is in use, and leaves nothing behind. */
    size_t before = listeners.count;
    assert_int_equal(mw_listeners_tcp(&listeners, MW_PORT_HTTP, "http", expected, &detail),
                     MW_E_CONFLICT);
    assert_int_equal(listeners.count, before);
    assert_string_equal(detail.field, "http");
    mw_listeners_close(&listeners);
}

static void test_missing_ipv6(void **state)
{
    (void)state;
    /* 2001:db8::/32 is for documentation: no machine has it. */
    mw_listeners listeners;
    mw_detail detail;
    mw_listeners_init(&listeners);
    assert_int_equal(
        mw_listeners_tcp(&listeners, MW_PORT_WEB, "web", "[2001:db8::1]:0,127.0.0.1:0", &detail),
        MW_OK);
    assert_int_equal(listeners.count, 1);
    assert_true(strncmp(listeners.endpoints[2], "127.0.0.1:", 10) == 0);
    assert_int_equal(mw_listeners_tcp(&listeners, MW_PORT_HTTP, "http", "[2001:db8::1]:0", &detail),
                     MW_E_IO);
    mw_listeners_close(&listeners);
}

static char directory[64];
static char path[96];

static int make_directory(void **state)
{
    (void)state;
    snprintf(directory, sizeof directory, "/tmp/midwatch-test-XXXXXX");
    assert_non_null(mkdtemp(directory));
    snprintf(path, sizeof path, "%s/m.sock", directory);
    return 0;
}

static int remove_directory(void **state)
{
    (void)state;
    unlink(path);
    return rmdir(directory);
}

static void test_socket_file(void **state)
{
    (void)state;
    mw_listeners first;
    mw_listeners second;
    mw_detail detail;
    struct stat status;
    mode_t before = umask(0);
    mw_listeners_init(&first);
    mw_listeners_init(&second);
    assert_int_equal(mw_listeners_unix(&first, path, &detail), MW_OK);
    umask(before);
    assert_int_equal(lstat(path, &status), 0);
    assert_true(S_ISSOCK(status.st_mode));
    assert_int_equal(status.st_mode & 07777, 0600);
    /* Alive: not taken over. */
    assert_int_equal(mw_listeners_unix(&second, path, &detail), MW_E_CONFLICT);
    assert_int_equal(lstat(path, &status), 0);
    /* Dead: the file of a process that was killed is replaced. */
    close(first.items[0].fd);
    first.count = 0;
    assert_int_equal(mw_listeners_unix(&second, path, &detail), MW_OK);
    mw_listeners_close(&second);
    assert_int_not_equal(lstat(path, &status), 0);
    /* A file that was removed by hand and made again by another: not ours to remove. */
    mw_listeners_init(&first);
    assert_int_equal(mw_listeners_unix(&first, path, &detail), MW_OK);
    assert_int_equal(unlink(path), 0);
    assert_int_equal(mw_listeners_unix(&second, path, &detail), MW_OK);
    mw_listeners_close(&first);
    assert_int_equal(lstat(path, &status), 0);
    mw_listeners_close(&second);
}

static void test_socket_errors(void **state)
{
    (void)state;
    char long_path[200];
    mw_listeners listeners;
    mw_detail detail;
    mw_listeners_init(&listeners);
    memset(long_path, 'x', sizeof long_path);
    long_path[sizeof long_path - 1] = '\0';
    assert_int_equal(mw_listeners_unix(&listeners, long_path, &detail), MW_E_INVALID);
    int fd = open(path, O_CREAT | O_WRONLY, 0600);
    assert_true(fd >= 0);
    close(fd);
    assert_int_equal(mw_listeners_unix(&listeners, path, &detail), MW_E_CONFLICT);
    assert_int_equal(access(path, F_OK), 0);
    assert_string_equal(detail.field, "socket");
    unlink(path);
    assert_int_equal(listeners.count, 0);
}

static void check_peer(const char *text, const char *shown, bool loopback)
{
    struct sockaddr_storage address = {0};
    struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)&address;
    struct sockaddr_in *v4 = (struct sockaddr_in *)&address;
    mw_peer peer;
    if (inet_pton(AF_INET6, text, &v6->sin6_addr) == 1) {
        v6->sin6_family = AF_INET6;
        v6->sin6_port = htons(77);
    } else {
        assert_int_equal(inet_pton(AF_INET, text, &v4->sin_addr), 1);
        v4->sin_family = AF_INET;
        v4->sin_port = htons(77);
    }
    assert_int_equal(mw_peer_of(-1, &address, MW_PORT_WEB, &peer), MW_OK);
    assert_string_equal(peer.address, shown);
    assert_int_equal(peer.loopback, loopback);
    assert_false(peer.local);
    assert_int_equal(peer.port, 77);
}

static void test_peers(void **state)
{
    (void)state;
    check_peer("127.0.0.1", "127.0.0.1", true);
    check_peer("127.9.9.9", "127.9.9.9", true);
    check_peer("10.0.0.1", "10.0.0.1", false);
    check_peer("::1", "::1", true);
    check_peer("2001:db8::1", "2001:db8::1", false);
    check_peer("::ffff:127.0.0.1", "127.0.0.1", true);
    check_peer("::ffff:10.1.2.3", "10.1.2.3", false);
    int pair[2];
    mw_peer peer;
    struct sockaddr_storage none = {0};
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
    assert_int_equal(mw_peer_of(pair[0], &none, MW_PORT_SOCKET, &peer), MW_OK);
    assert_string_equal(peer.address, "unix");
    assert_true(peer.local && !peer.loopback);
    assert_int_equal(peer.uid, getuid());
    close(pair[0]);
    close(pair[1]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_parse),
        cmocka_unit_test(test_free_port),
        cmocka_unit_test(test_missing_ipv6),
        cmocka_unit_test_setup_teardown(test_socket_file, make_directory, remove_directory),
        cmocka_unit_test_setup_teardown(test_socket_errors, make_directory, remove_directory),
        cmocka_unit_test(test_peers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
