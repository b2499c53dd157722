/* The whole way of an export with the n-th allocation failing, for every n: through net, collector
 * and store on loopback. The answer is 200 or 503, or the connection is closed; nothing leaks, and
 * the next export is stored. */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <unistd.h>

#include "collector/collector.h"
#include "lib/base/log.h"
#include "tests/check.h"
#include "tests/otlp_capture.h"

#define PATIENCE_S 60
/* Far beyond the allocations of one export. */
#define ALLOCATIONS_MAX 400u

static char directory[64];
static mw_store *store;
static mw_collector *collector;
static mw_net *net;
static mw_route routes[4];
static mw_slice body;
static otlp_capture capture;
static uint16_t port;

static int set_up(void **state)
{
    (void)state;
    mw_detail detail = {.message = ""};
    uint64_t number = 0;
    mw_log_init(MW_LOG_ERROR, MW_LOG_LOGFMT, STDERR_FILENO);
    snprintf(directory, sizeof directory, "/tmp/midwatch-test-XXXXXX");
    assert_non_null(mkdtemp(directory));
    mw_store_config config = {.directory = directory,
                              .clock = mw_clock_system(),
                              .queue_budget_bytes = (size_t)1 << 20,
                              .segment_max_bytes = (size_t)64 << 20};
    assert_int_equal(mw_store_open(&config, &store, &detail), MW_OK);
    assert_int_equal(mw_collector_new(store, mw_clock_system(), (size_t)1 << 20, &collector),
                     MW_OK);
    size_t count = mw_collector_routes(collector, 0, routes, 4);
    mw_net_config net_config = {.http_address = "127.0.0.1:0",
                                .loops = 1,
                                .routes = routes,
                                .route_count = count,
                                .format_refusal = NULL};
    assert_int_equal(mw_net_start(&net_config, &net, &detail), MW_OK);
    mw_slice text = mw_slice_of(mw_net_endpoint(net, MW_PORT_HTTP));
    assert_int_equal(mw_slice_u64(mw_slice_from(text, mw_slice_find_byte(text, ':') + 1), &number),
                     MW_OK);
    port = (uint16_t)number;
    capture = capture_load("trace-batch_200-http-protobuf-none");
    body = capture.message;
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    char command[128];
    mw_net_drain(net, 2000);
    mw_store_close(store);
    mw_collector_free(collector);
    mw_net_free(net);
    assert_int_equal(mw_memory_component_used(MW_MEM_NET), 0);
    assert_int_equal(mw_memory_component_used(MW_MEM_INGEST), 0);
    assert_int_equal(mw_memory_component_used(MW_MEM_STORE), 0);
    capture_free(&capture);
    snprintf(command, sizeof command, "rm -r %s", directory);
    return system(command);
}

static void send_all(int fd, mw_slice bytes)
{
    while (bytes.len) {
        ssize_t n = send(fd, bytes.data, bytes.len, MSG_NOSIGNAL);
        if (n <= 0)
            return; /* closed early */
        bytes = mw_slice_from(bytes, (size_t)n);
    }
}

/* The status, 0 when the connection was closed without one. */
static int export(unsigned tag)
{
    char text[1024];
    struct timeval patience = {.tv_sec = PATIENCE_S};
    struct sockaddr_in address = {
        .sin_family = AF_INET, .sin_port = htons(port), .sin_addr = {htonl(INADDR_LOOPBACK)}};
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    assert_int_equal(connect(fd, (struct sockaddr *)&address, sizeof address), 0);
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    int len = snprintf(text, sizeof text,
                       "POST /v1/traces HTTP/1.1\r\nHost: localhost\r\nContent-Type: "
                       "application/x-protobuf\r\nContent-Length: %zu\r\n\r\n",
                       body.len + 5);
    /* Other bytes each time, so that none is a repeat: an unknown field in front (15, fixed32). */
    text[len] = 0x7d;
    memcpy(text + len + 1, &tag, 4);
    send_all(fd, (mw_slice){text, (size_t)len + 5});
    send_all(fd, body);
    ssize_t n = recv(fd, text, sizeof text - 1, 0);
    close(fd);
    if (n < 12)
        return 0;
    text[n] = '\0';
    return (int)strtol(text + 9, NULL, 10);
}

static void test_every_allocation(void **state)
{
    (void)state;
    unsigned served = 0, refused = 0, tag = 1;
    assert_int_equal(export(tag++), 200);
    for (unsigned n = 1; n < ALLOCATIONS_MAX; n++) {
        mw_memory_fail_at(n);
        int status = export(tag++);
        mw_memory_fail_at(0);
        assert_true(status == 200 || status == 503 || status == 0);
        served += status == 200;
        refused += status != 200;
        if (n % 10 == 0)
            assert_int_equal(export(tag++), 200);
    }
    assert_true(served > ALLOCATIONS_MAX / 2);
    assert_true(refused > 0);
    assert_int_equal(export(tag++), 200);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_every_allocation, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
