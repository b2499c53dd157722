/* Answers in pieces over real sockets: exact bytes on HTTP/1.1, 1.0 and HTTP/2, writers on other
 * threads, readers that are slow or gone, keep-alive, drain, and what stays behind: nothing. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "lib/net/sse.h"
#include "tests/unit/lib-net/h2_client.h"

#define FILL_SIZE ((size_t)8 << 20)
#define BLOCK_SIZE ((size_t)20000)
#define WRITERS_MAX 600

/* One stream and what its writer was told. */
typedef struct writer {
    mw_stream *stream;
    atomic_uint told; /* all events so far */
    atomic_uint wakes;
    atomic_uint rooms;
    atomic_bool over;
    atomic_size_t made; /* of FILL_SIZE */
    bool fills;
    atomic_bool ends_when_told; /* GONE and ENDING end it */
} writer;

static writer writers[WRITERS_MAX];
static atomic_size_t writer_count;
static mw_stream_group group;

static char pattern(size_t at)
{
    return (char)('a' + at / 7 % 26);
}

/* ---- handlers -------------------------------------------------------------------------------- */

static void fill(writer *w)
{
    static _Thread_local char block[BLOCK_SIZE];
    while (w->made < FILL_SIZE) {
        size_t len = FILL_SIZE - w->made < BLOCK_SIZE ? FILL_SIZE - w->made : BLOCK_SIZE;
        for (size_t i = 0; i < len; i++)
            block[i] = pattern(w->made + i);
        mw_err err = mw_stream_write(w->stream, (mw_slice){block, len});
        if (err != MW_OK) {
            assert_true(err == MW_E_AGAIN || err == MW_E_CLOSED);
            return;
        }
        w->made += len;
    }
    w->fills = false;
    w->ends_when_told = false;
    mw_stream_end(w->stream);
}

static void on_event(void *ctx, mw_stream *stream, unsigned events)
{
    writer *w = ctx;
    assert_false(atomic_load(&w->over));
    atomic_fetch_or(&w->told, events);
    atomic_fetch_add(&w->wakes, (events & MW_STREAM_WAKE) != 0);
    atomic_fetch_add(&w->rooms, (events & MW_STREAM_ROOM) != 0);
    if (events & MW_STREAM_OVER) {
        assert_int_equal(events, MW_STREAM_OVER);
        assert_true(mw_stream_request(stream)->path.len > 0);
        atomic_store(&w->over, true);
    } else if ((events & (MW_STREAM_GONE | MW_STREAM_ENDING)) && w->ends_when_told) {
        w->ends_when_told = false;
        mw_stream_end(stream);
    } else if (w->fills) {
        fill(w);
    }
}

static writer *new_writer(void)
{
    size_t at = atomic_fetch_add(&writer_count, 1);
    MW_ASSERT(at < WRITERS_MAX);
    writer *w = &writers[at];
    memset(w, 0, sizeof *w);
    return w;
}

static void refuse(mw_request *request, mw_err err)
{
    mw_response response = {.status = err == MW_E_UNSUPPORTED ? 501 : 503,
                            .rpc_code = MW_RPC_UNIMPLEMENTED,
                            .rpc_message = MW_SLICE("no streams")};
    mw_request_reply(request, &response);
}

/* ctx NULL: the test writes; otherwise the writer fills, or ends when it is told to. */
enum { BY_TEST, FILLS, ENDS };

static void serve_stream(void *ctx, mw_request *request)
{
    writer *w = new_writer();
    w->fills = (intptr_t)ctx == FILLS;
    w->ends_when_told = (intptr_t)ctx != BY_TEST;
    mw_response head = {.status = 200, .content_type = MW_SLICE("text/plain")};
    mw_stream_options options = {.on_event = on_event, .ctx = w};
    if (mw_request_query(request, MW_SLICE("empty")).data)
        head.status = 204;
    mw_err err = mw_stream_begin(request, &head, &options, &w->stream);
    if (err != MW_OK)
        refuse(request, err);
}

static void serve_events(void *ctx, mw_request *request)
{
    (void)ctx;
    writer *w = new_writer();
    w->ends_when_told = true;
    mw_sse_listener listener = {on_event, w, &group};
    mw_err err = mw_sse_begin(request, &listener, NULL, &w->stream);
    if (err != MW_OK)
        refuse(request, err);
}

static const mw_route routes[] = {
    {WEB_PORTS, "GET", "/stream", false, 0, serve_stream, (void *)BY_TEST, 0, false},
    {WEB_PORTS, "GET", "/fill", false, 0, serve_stream, (void *)FILLS, 0, false},
    {WEB_PORTS, "GET", "/ends", false, 0, serve_stream, (void *)ENDS, 0, false},
    {WEB_PORTS, "GET", "/events", false, 0, serve_events, NULL, 0, false},
    {WEB_PORTS, "GET", "/hello/{name}", false, 0, hello, NULL, 0, false},
    {MW_PORT_GRPC, "POST", EXPORT_PATH, true, BODY_LIMIT, serve_stream, (void *)ENDS, 0, false},
};

/* ---- fixture --------------------------------------------------------------------------------- */

static int begin(void **state)
{
    atomic_store(&writer_count, 0);
    mw_stream_group_init(&group);
    return set_up(state);
}

/* Every stream that began is over: nothing is left behind on either side. */
static int finish(void **state)
{
    tear_down(state);
    mw_stream_group_fini(&group);
    for (size_t i = 0; i < atomic_load(&writer_count); i++)
        assert_true(atomic_load(&writers[i].over) || !writers[i].stream);
    return 0;
}

static bool was_told(size_t at, unsigned events)
{
    return at < atomic_load(&writer_count) && (atomic_load(&writers[at].told) & events) == events;
}

static void wait_for_writer(size_t at)
{
    WAIT_UNTIL(was_told(at, MW_STREAM_WAKE));
}

/* The writer has been refused, and the socket takes no more. */
static void wait_for_standstill(size_t at)
{
    size_t before = 0;
    wait_for_writer(at);
    for (unsigned i = 0; i < 50 && atomic_load(&writers[at].made) != before; i++) {
        before = atomic_load(&writers[at].made);
        nap_ms(300);
    }
    assert_true(before > 0 && before < FILL_SIZE);
}

static void put(size_t at, const char *text)
{
    assert_int_equal(mw_stream_write(writers[at].stream, mw_slice_of(text)), MW_OK);
}

static void *end_thread(void *arg)
{
    mw_stream_end(((writer *)arg)->stream);
    return NULL;
}

static void end_elsewhere(size_t at)
{
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, end_thread, &writers[at]), 0);
    assert_int_equal(pthread_join(thread, NULL), 0);
}

/* Reads until `end` has come, or `size` is full, or the peer has closed. */
static size_t read_until(int fd, char *out, size_t size, const char *end)
{
    size_t len = 0;
    out[0] = '\0';
    while (len < size - 1 && !strstr(out, end)) {
        ssize_t n = recv(fd, out + len, 1, 0);
        if (n <= 0)
            break;
        len += (size_t)n;
        out[len] = '\0';
    }
    return len;
}

static void expect_bytes(int fd, const char *expected)
{
    char got[4096];
    size_t len = strlen(expected);
    assert_true(len < sizeof got);
    memset(got, 0, sizeof got);
    for (size_t have = 0; have < len;) {
        ssize_t n = recv(fd, got + have, len - have, 0);
        if (n <= 0)
            break;
        have += (size_t)n;
    }
    assert_string_equal(got, expected);
}

/* With a small window: what the kernel would take by itself differs from machine to machine. */
static int ask_for(mw_port port, const char *request, char *head, size_t size)
{
    int fd = dial(port);
    assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &(int){64 << 10}, sizeof(int)), 0);
    send_text(fd, request);
    read_until(fd, head, size, "\r\n\r\n");
    return fd;
}

#define GET(path) "GET " path " HTTP/1.1\r\nHost: a\r\n\r\n"
#define HEAD_SIZE 2048

/* ---- HTTP/1 ---------------------------------------------------------------------------------- */

static void test_chunks(void **state)
{
    (void)state;
    char head[HEAD_SIZE];
    /* The second request waits for the end of the first answer. */
    int fd = ask_for(MW_PORT_WEB, GET("/stream") GET("/hello/x"), head, sizeof head);
    assert_non_null(strstr(head, "HTTP/1.1 200 OK\r\n"));
    assert_non_null(strstr(head, "transfer-encoding: chunked\r\n"));
    assert_non_null(strstr(head, "content-type: text/plain\r\n"));
    assert_null(strstr(head, "content-length"));
    wait_for_writer(0);
    assert_int_equal(mw_net_in_flight(fx.net), 1);
    put(0, "one");
    expect_bytes(fd, "3\r\none\r\n");
    put(0, "");
    put(0, "a longer piece");
    expect_bytes(fd, "e\r\na longer piece\r\n");
    assert_false(atomic_load(&writers[0].over));
    put(0, "last");
    end_elsewhere(0);
    expect_bytes(fd, "4\r\nlast\r\n0\r\n\r\nHTTP/1.1 200 OK\r\n");
    WAIT_UNTIL(atomic_load(&writers[0].over));
    assert_int_equal(atomic_load(&writers[0].told), MW_STREAM_WAKE | MW_STREAM_OVER);
    WAIT_UNTIL(mw_net_in_flight(fx.net) == 0);
    close(fd);
}

static void test_http10(void **state)
{
    (void)state;
    char head[HEAD_SIZE];
    int fd = ask_for(MW_PORT_WEB, "GET /stream HTTP/1.0\r\nConnection: keep-alive\r\n\r\n", head,
                     sizeof head);
    assert_null(strstr(head, "transfer-encoding"));
    assert_null(strstr(head, "content-length"));
    assert_non_null(strstr(head, "connection: close\r\n"));
    wait_for_writer(0);
    put(0, "one");
    put(0, "two");
    mw_stream_end(writers[0].stream);
    char rest[64];
    read_until(fd, rest, sizeof rest, "never");
    assert_string_equal(rest, "onetwo");
    close(fd);
}

/* The head is the whole answer, and the connection does not wait for the writer. */
static void test_without_body(void **state)
{
    (void)state;
    static const struct {
        const char *request;
        const char *in_head;
    } rows[] = {{"HEAD /stream HTTP/1.1\r\nHost: a\r\n\r\n", "transfer-encoding: chunked\r\n"},
                {GET("/stream?empty=1"), "HTTP/1.1 204 No Content\r\n"}};
    char head[HEAD_SIZE];
    for (size_t i = 0; i < 2; i++) {
        int fd = ask_for(MW_PORT_WEB, rows[i].request, head, sizeof head);
        assert_non_null(strstr(head, rows[i].in_head));
        WAIT_UNTIL(was_told(i, MW_STREAM_GONE));
        assert_int_equal(mw_stream_write(writers[i].stream, MW_SLICE("x")), MW_E_CLOSED);
        send_text(fd, GET("/hello/x"));
        expect_bytes(fd, "HTTP/1.1 200 OK\r\n");
        mw_stream_end(writers[i].stream);
        WAIT_UNTIL(atomic_load(&writers[i].over));
        close(fd);
    }
}

/* ---- amounts --------------------------------------------------------------------------------- */

typedef struct dechunker {
    size_t left; /* of the chunk */
    char line[16];
    size_t line_len;
    size_t total;
    bool ended;
} dechunker;

/* The body's bytes are compared as they come: nothing is kept. */
static void dechunk(dechunker *d, const char *bytes, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        if (d->left > 2) {
            assert_int_equal(bytes[i], pattern(d->total));
            d->total++;
            d->left--;
        } else if (d->left > 0) {
            assert_int_equal(bytes[i], d->left == 2 ? '\r' : '\n');
            d->left--;
        } else if (bytes[i] == '\n') {
            size_t size = strtoul(d->line, NULL, 16);
            d->ended = size == 0;
            d->left = size + 2;
            d->line_len = 0;
        } else if (bytes[i] != '\r') {
            assert_true(d->line_len < sizeof d->line - 1);
            d->line[d->line_len++] = bytes[i];
            d->line[d->line_len] = '\0';
        }
    }
}

static void test_fill_http1(void **state)
{
    (void)state;
    char head[HEAD_SIZE];
    static char bytes[1 << 16];
    dechunker d = {0};
    int fd = ask_for(MW_PORT_WEB, GET("/fill"), head, sizeof head);
    /* Nobody reads: the writer is held at its bound, whatever it would like to write. */
    wait_for_standstill(0);
    assert_false(atomic_load(&writers[0].over));
    assert_true(mw_memory_component_used(MW_MEM_NET) < ((size_t)2 << 20));
    while (!d.ended) {
        ssize_t n = recv(fd, bytes, sizeof bytes, 0);
        assert_true(n > 0);
        dechunk(&d, bytes, (size_t)n);
    }
    assert_int_equal(d.total, FILL_SIZE);
    assert_true(atomic_load(&writers[0].rooms) > 2);
    WAIT_UNTIL(atomic_load(&writers[0].over));
    close(fd);
}

static void test_fill_http2(void **state)
{
    (void)state;
    open_client(MW_PORT_WEB);
    call *one = send_call(&(ask){.method = "GET", .path = "/fill"});
    RUN_UNTIL(one->closed);
    assert_int_equal(one->status, 200);
    assert_true(one->ended);
    assert_int_equal(one->error, NGHTTP2_NO_ERROR);
    assert_int_equal(one->in_len, FILL_SIZE);
    for (size_t i = 0; i < FILL_SIZE; i++)
        if (one->in[i] != pattern(i))
            fail_msg("byte %zu differs", i);
    assert_true(atomic_load(&writers[0].rooms) > 2);
    close_client();
}

/* ---- HTTP/2 ---------------------------------------------------------------------------------- */

static void test_data_frames(void **state)
{
    (void)state;
    open_client(MW_PORT_WEB);
    call *one = send_call(&(ask){.method = "GET", .path = "/stream"});
    RUN_UNTIL(one->status == 200);
    wait_for_writer(0);
    put(0, "one");
    RUN_UNTIL(one->in_len == 3);
    assert_false(one->ended);
    /* Other streams of the connection go on meanwhile. */
    assert_int_equal(ask_and_wait(&(ask){.method = "GET", .path = "/hello/x"})->status, 200);
    put(0, "two");
    put(0, "three");
    end_elsewhere(0);
    RUN_UNTIL(one->closed);
    assert_true(one->ended);
    assert_string_equal(one->in, "onetwothree");
    call *head = ask_and_wait(&(ask){.method = "HEAD", .path = "/ends"});
    assert_int_equal(head->status, 200);
    assert_int_equal(head->in_len, 0);
    WAIT_UNTIL(was_told(1, MW_STREAM_GONE | MW_STREAM_OVER));
    close_client();
}

static void test_grpc_is_refused(void **state)
{
    (void)state;
    open_client(MW_PORT_GRPC);
    call *one = ask_and_wait(
        &(ask){.path = EXPORT_PATH, .type = "application/grpc", .body = MW_SLICE("\0\0\0\0\0")});
    assert_int_equal(one->grpc, MW_RPC_UNIMPLEMENTED);
    assert_null(writers[0].stream);
    close_client();
}

/* ---- clients that go or do not read ---------------------------------------------------------- */

static void expect_gone(size_t at)
{
    WAIT_UNTIL(was_told(at, MW_STREAM_GONE));
    assert_int_equal(mw_stream_write(writers[at].stream, MW_SLICE("x")), MW_E_CLOSED);
    assert_int_equal(mw_net_in_flight(fx.net), 1);
    mw_stream_wake(writers[at].stream);
    mw_stream_end(writers[at].stream);
    WAIT_UNTIL(atomic_load(&writers[at].over));
    WAIT_UNTIL(mw_net_in_flight(fx.net) == 0);
}

static void test_gone(void **state)
{
    (void)state;
    char head[HEAD_SIZE];
    int fd = ask_for(MW_PORT_WEB, GET("/stream"), head, sizeof head);
    wait_for_writer(0);
    close(fd);
    expect_gone(0);
    fd = ask_for(MW_PORT_WEB, GET("/stream"), head, sizeof head);
    wait_for_writer(1);
    reset_by_client(fd);
    expect_gone(1);
    /* With a request waiting behind, the end must still be seen. */
    fd = ask_for(MW_PORT_WEB, GET("/stream") GET("/hello/x"), head, sizeof head);
    wait_for_writer(2);
    shutdown(fd, SHUT_WR);
    expect_gone(2);
    close(fd);
    open_client(MW_PORT_WEB);
    call *one = send_call(&(ask){.method = "GET", .path = "/stream"});
    RUN_UNTIL(one->status == 200);
    nghttp2_submit_rst_stream(c->session, 0, one->id, NGHTTP2_CANCEL);
    flush_client();
    expect_gone(3);
    one = send_call(&(ask){.method = "GET", .path = "/stream"});
    RUN_UNTIL(one->status == 200);
    close_client();
    expect_gone(4);
}

static void test_not_reading(void **state)
{
    (void)state;
    char head[HEAD_SIZE];
    uint64_t before = mw_counter_value(MW_COUNT_NET_REFUSED_TIMEOUT);
    int fd = ask_for(MW_PORT_WEB, GET("/fill"), head, sizeof head);
    wait_for_standstill(0);
    push_clock(31);
    WAIT_UNTIL(was_told(0, MW_STREAM_GONE | MW_STREAM_OVER));
    close(fd);
    open_client(MW_PORT_WEB);
    const nghttp2_settings_entry none[] = {{NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, 0}};
    assert_int_equal(nghttp2_submit_settings(c->session, 0, none, 1), 0);
    call *one = send_call(&(ask){.method = "GET", .path = "/fill"});
    RUN_UNTIL(one->status == 200);
    let_loops_look(); /* a sweep sees the queue full */
    push_clock(31);
    RUN_UNTIL(one->closed);
    assert_int_equal(one->error, NGHTTP2_CANCEL);
    WAIT_UNTIL(was_told(1, MW_STREAM_GONE | MW_STREAM_OVER));
    assert_int_equal(mw_counter_value(MW_COUNT_NET_REFUSED_TIMEOUT), before + 2);
    close_client();
}

/* ---- quiet streams --------------------------------------------------------------------------- */

/* The bounds on idle connections and bodies pass them by; followers are kept alive. */
static void test_quiet(void **state)
{
    (void)state;
    char head[HEAD_SIZE];
    int plain = ask_for(MW_PORT_WEB, GET("/stream"), head, sizeof head);
    wait_for_writer(0);
    int events = ask_for(MW_PORT_WEB, GET("/events"), head, sizeof head);
    assert_non_null(strstr(head, "content-type: text/event-stream\r\n"));
    assert_non_null(strstr(head, "cache-control: no-store\r\n"));
    assert_non_null(strstr(head, "x-accel-buffering: no\r\n"));
    wait_for_writer(1);
    open_client(MW_PORT_WEB);
    call *one = send_call(&(ask){.method = "GET", .path = "/events"});
    RUN_UNTIL(one->status == 200);
    wait_for_writer(2);
    push_clock(16);
    expect_bytes(events, "e\r\n: still here\n\n\r\n");
    RUN_UNTIL(one->in_len == 14);
    assert_string_equal(one->in, ": still here\n\n");
    nap_ms(1200); /* once, not with every sweep */
    assert_int_equal(recv(events, head, sizeof head, MSG_DONTWAIT), -1);
    push_clock(400);
    expect_bytes(events, "e\r\n: still here\n\n\r\n");
    RUN_UNTIL(one->in_len == 28);
    put(0, "x");
    expect_bytes(plain, "1\r\nx\r\n");
    assert_int_equal(
        mw_sse_send(writers[1].stream, &(mw_sse_event){.id = MW_SLICE("1"), .data = MW_SLICE("d")}),
        MW_OK);
    expect_bytes(events, "f\r\nid: 1\ndata: d\n\n\r\n");
    mw_stream_end(writers[0].stream);
    expect_bytes(plain, "0\r\n\r\n");
    close(plain);
    close(events);
    close_client();
}

/* What belongs together is not cut by a keep-alive, however long its writer takes. */
static void test_parts(void **state)
{
    (void)state;
    static char large[(size_t)1 << 20], got[(size_t)2 << 20];
    char head[HEAD_SIZE];
    size_t sent = 0, have = 0;
    int fd = ask_for(MW_PORT_WEB, GET("/events"), head, sizeof head);
    wait_for_writer(0);
    assert_int_equal(mw_stream_write_part(writers[0].stream, MW_SLICE("data: a")), MW_OK);
    expect_bytes(fd, "7\r\ndata: a\r\n");
    push_clock(16);
    nap_ms(1200);
    assert_int_equal(recv(fd, head, sizeof head, MSG_DONTWAIT), -1);
    put(0, "b\n\n");
    expect_bytes(fd, "3\r\nb\n\n\r\n");
    push_clock(16);
    expect_bytes(fd, "e\r\n: still here\n\n\r\n");
    /* Far more than the queue holds, and the reader is slow. */
    memset(large, 'x', sizeof large);
    memcpy(large + sizeof large - 2, "\n\n", 2);
    for (mw_err err = MW_E_AGAIN; err != MW_OK || !strstr(got, "\n\n");) {
        err = mw_sse_put(writers[0].stream, (mw_slice){large, sizeof large}, &sent);
        assert_true(err == MW_OK || err == MW_E_AGAIN);
        ssize_t n = recv(fd, got + have, 3000, 0);
        assert_true(n > 0);
        have += (size_t)n;
    }
    assert_int_equal(sent, sizeof large);
    size_t seen = 0;
    for (size_t i = 0; i < have; i++)
        seen += got[i] == 'x';
    assert_int_equal(seen, sizeof large - 2);
    close(fd);
}

/* ---- waking ---------------------------------------------------------------------------------- */

static atomic_bool waking;

static void *wake_all_the_time(void *arg)
{
    (void)arg;
    /* More often than any store commits, and the loops get their turn on one processor too. */
    while (atomic_load(&waking)) {
        mw_stream_group_wake(&group);
        sched_yield();
    }
    return NULL;
}

/* Streams come and go while two threads wake their group, as commits of a store would. */
static void test_group(void **state)
{
    (void)state;
    char head[HEAD_SIZE];
    pthread_t threads[2];
    int stays = ask_for(MW_PORT_WEB, GET("/events"), head, sizeof head);
    wait_for_writer(0);
    unsigned before = atomic_load(&writers[0].wakes);
    mw_stream_group_wake(&group);
    WAIT_UNTIL(atomic_load(&writers[0].wakes) == before + 1);
    atomic_store(&waking, true);
    for (size_t i = 0; i < 2; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, wake_all_the_time, NULL), 0);
    for (int i = 0; i < 100; i++)
        close(ask_for(MW_PORT_WEB, GET("/events"), head, sizeof head));
    WAIT_UNTIL(mw_net_in_flight(fx.net) == 1);
    atomic_store(&waking, false);
    for (size_t i = 0; i < 2; i++)
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    assert_int_equal(atomic_load(&writer_count), 101);
    assert_false(atomic_load(&writers[0].over));
    close(stays);
}

static void *write_events(void *arg)
{
    writer *w = arg;
    for (unsigned i = 0; i < 2000;) {
        char text[16];
        snprintf(text, sizeof text, "%u", i);
        mw_err err = mw_sse_send(w->stream, &(mw_sse_event){.data = mw_slice_of(text)});
        assert_true(err == MW_OK || err == MW_E_AGAIN);
        if (err == MW_OK)
            i++;
    }
    w->ends_when_told = false;
    mw_stream_end(w->stream);
    return NULL;
}

/* Pieces of a thread leave in its order, whatever the loop does meanwhile. */
static void test_order(void **state)
{
    (void)state;
    pthread_t thread;
    char line[64];
    open_client(MW_PORT_WEB);
    call *one = send_call(&(ask){.method = "GET", .path = "/events"});
    wait_for_writer(0);
    assert_int_equal(pthread_create(&thread, NULL, write_events, &writers[0]), 0);
    RUN_UNTIL(one->closed);
    assert_int_equal(pthread_join(thread, NULL), 0);
    const char *at = one->in;
    for (unsigned i = 0; i < 2000; i++) {
        int len = snprintf(line, sizeof line, "data: %u\n\n", i);
        assert_memory_equal(at, line, (size_t)len);
        at += len;
    }
    assert_string_equal(at, "");
    close_client();
}

/* ---- bounds ---------------------------------------------------------------------------------- */

static void test_bounds(void **state)
{
    (void)state;
    static char large[MW_STREAM_PIECE_MAX + 1];
    char head[HEAD_SIZE];
    int fd = ask_for(MW_PORT_WEB, GET("/stream"), head, sizeof head);
    wait_for_writer(0);
    memset(large, 'x', sizeof large);
    assert_int_equal(mw_stream_write(writers[0].stream, (mw_slice){large, sizeof large}),
                     MW_E_LIMIT);
    assert_int_equal(mw_stream_write(writers[0].stream, (mw_slice){large, sizeof large - 1}),
                     MW_OK);
    mw_stream_end(writers[0].stream);
    expect_bytes(fd, "40000\r\nx");
    close(fd);
    WAIT_UNTIL(atomic_load(&writers[0].over));
    /* As many as may be open, then one more. */
    open_client(MW_PORT_WEB);
    client *first = c;
    for (size_t i = 0; i < 256; i++)
        send_call(&(ask){.method = "GET", .path = "/ends"});
    RUN_UNTIL(c->calls[255].status == 200);
    open_client(MW_PORT_WEB);
    for (size_t i = 0; i < 256; i++)
        send_call(&(ask){.method = "GET", .path = "/ends"});
    RUN_UNTIL(c->calls[255].status == 200);
    fd = ask_for(MW_PORT_WEB, GET("/stream"), head, sizeof head);
    assert_non_null(strstr(head, "HTTP/1.1 503 "));
    close(fd);
    close_client();
    WAIT_UNTIL(mw_net_in_flight(fx.net) == 256);
    fd = ask_for(MW_PORT_WEB, GET("/ends"), head, sizeof head);
    assert_non_null(strstr(head, "HTTP/1.1 200 "));
    close(fd);
    c = first;
    close_client();
}

/* ---- the end --------------------------------------------------------------------------------- */

static void *drain(void *arg)
{
    mw_net_drain(fx.net, *(const unsigned *)arg);
    return NULL;
}

/* Followers are ended by net, at once and in order. */
static void test_drain_followers(void **state)
{
    (void)state;
    pthread_t thread;
    char head[HEAD_SIZE];
    unsigned limit = PATIENCE_MS;
    int fd = ask_for(MW_PORT_WEB, GET("/events"), head, sizeof head);
    wait_for_writer(0);
    open_client(MW_PORT_WEB);
    call *one = send_call(&(ask){.method = "GET", .path = "/events"});
    RUN_UNTIL(one->status == 200);
    wait_for_writer(1);
    int64_t begun = mw_clock_mono_ns(mw_clock_system());
    assert_int_equal(pthread_create(&thread, NULL, drain, &limit), 0);
    expect_bytes(fd, "0\r\n\r\n");
    assert_true(closes(fd));
    RUN_UNTIL(one->closed);
    assert_true(one->ended);
    assert_int_equal(one->error, NGHTTP2_NO_ERROR);
    run_to_end();
    assert_int_equal(pthread_join(thread, NULL), 0);
    /* They were not waited for until the limit. */
    assert_true(mw_clock_mono_ns(mw_clock_system()) - begun < limit / 2 * MW_NS_PER_MS);
    assert_true(was_told(0, MW_STREAM_ENDING | MW_STREAM_GONE | MW_STREAM_OVER));
    assert_int_equal(mw_net_in_flight(fx.net), 0);
    close(fd);
    close_client();
}

/* Others are told, may say good-bye, and are not cut before the limit. */
static void test_drain_others(void **state)
{
    (void)state;
    pthread_t thread;
    char head[HEAD_SIZE];
    unsigned limit = PATIENCE_MS;
    int fd = ask_for(MW_PORT_WEB, GET("/stream"), head, sizeof head);
    wait_for_writer(0);
    assert_int_equal(pthread_create(&thread, NULL, drain, &limit), 0);
    WAIT_UNTIL(was_told(0, MW_STREAM_ENDING));
    nap_ms(100);
    assert_false(was_told(0, MW_STREAM_GONE));
    put(0, "bye");
    mw_stream_end(writers[0].stream);
    expect_bytes(fd, "3\r\nbye\r\n0\r\n\r\n");
    assert_true(closes(fd));
    assert_int_equal(pthread_join(thread, NULL), 0);
    close(fd);
}

/* The answer is not complete then, and must not look as if it were. */
static void test_drain_cuts(void **state)
{
    (void)state;
    pthread_t thread;
    char head[HEAD_SIZE];
    char rest[64];
    unsigned limit = 200;
    int fd = ask_for(MW_PORT_WEB, GET("/stream"), head, sizeof head);
    wait_for_writer(0);
    put(0, "x");
    assert_int_equal(pthread_create(&thread, NULL, drain, &limit), 0);
    read_until(fd, rest, sizeof rest, "0\r\n\r\n");
    assert_string_equal(rest, "1\r\nx\r\n");
    assert_int_equal(pthread_join(thread, NULL), 0);
    WAIT_UNTIL(was_told(0, MW_STREAM_GONE));
    assert_int_equal(mw_net_in_flight(fx.net), 1);
    mw_stream_end(writers[0].stream);
    WAIT_UNTIL(mw_net_in_flight(fx.net) == 0);
    close(fd);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, finish)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_chunks),          TEST(test_http10),
        TEST(test_without_body),    TEST(test_fill_http1),
        TEST(test_fill_http2),      TEST(test_data_frames),
        TEST(test_grpc_is_refused), TEST(test_gone),
        TEST(test_not_reading),     TEST(test_quiet),
        TEST(test_group),           TEST(test_order),
        TEST(test_bounds),          TEST(test_drain_followers),
        TEST(test_drain_others),    TEST(test_drain_cuts),
        TEST(test_parts),
    };
    fx_routes = routes;
    fx_route_count = sizeof routes / sizeof *routes;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
