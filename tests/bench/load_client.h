/* The client of the load: requests in flight over HTTP/1.1 or gRPC, and their answers.
 *
 * A slot is one request under way and what came back. Over HTTP/1.1 a connection has one slot; over
 * gRPC it shares its slots as streams. load_turn waits for the network once and moves what it can;
 * slots that got their answer are `done`, and those of a broken connection never will be.
 *
 * All memory is the caller's, and load_close_all frees it; one thread. Included by otlp_load.c
 * only.
 */
#ifndef MW_TESTS_BENCH_LOAD_CLIENT_H
#define MW_TESTS_BENCH_LOAD_CLIENT_H

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <nghttp2/nghttp2.h>
#include <poll.h>
#include <stdbool.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tests/bench/load_body.h"

#define LOAD_IN_FLIGHT_MAX 256u

/* By load_signal. */
static const char *const load_http_paths[] = {"/v1/traces", "/v1/metrics", "/v1/logs"};
static const char *const load_grpc_paths[] = {
    "/opentelemetry.proto.collector.trace.v1.TraceService/Export",
    "/opentelemetry.proto.collector.metrics.v1.MetricsService/Export",
    "/opentelemetry.proto.collector.logs.v1.LogsService/Export",
};

typedef struct load_answer {
    int status, grpc_status; /* -1 = none */
    char content_type[96], grpc_message[512], details[1024], retry_after[32], allow[64];
    load_bytes body;
} load_answer;

typedef struct load_slot {
    struct load_connection *connection;
    load_bytes message; /* head (HTTP) or prefix (gRPC), then the body */
    size_t sent;
    uint64_t number;
    int64_t due_ns;
    int32_t stream_id;
    bool busy, done;
    load_answer answer;
} load_slot;

typedef struct load_connection {
    int fd;
    bool grpc, broken;
    nghttp2_session *session;
    const uint8_t *out; /* what nghttp2 gave last and the socket has not taken yet */
    size_t out_len;
    load_bytes in; /* HTTP: bytes of the answer so far */
    load_slot *slots;
    unsigned slot_count;
} load_connection;

typedef struct load_options {
    bool grpc, framed, mixed;
    load_signal signal;
    unsigned port, in_flight, spans, templates, split;
    uint64_t requests, seed;
    double seconds, rate;
    const char *file, *path, *content_type, *encoding, *acked;
} load_options;

static int64_t load_now(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

static void load_fail(const char *what)
{
    fprintf(stderr, "otlp_load: %s: %s\n", what, strerror(errno));
    exit(1);
}

static void load_copy_text(char *out, size_t size, const void *text, size_t len)
{
    if (len >= size)
        len = size - 1;
    memcpy(out, text, len);
    out[len] = '\0';
}

static void load_answer_reset(load_answer *answer)
{
    load_bytes body = answer->body;
    body.len = 0;
    *answer = (load_answer){.status = -1, .grpc_status = -1, .body = body};
}

static void load_answer_header(load_answer *answer, const char *name, size_t name_len,
                               const char *value, size_t len)
{
    struct {
        const char *name;
        char *out;
        size_t size;
    } const wanted[] = {
        {"content-type", answer->content_type, sizeof answer->content_type},
        {"grpc-message", answer->grpc_message, sizeof answer->grpc_message},
        {"grpc-status-details-bin", answer->details, sizeof answer->details},
        {"retry-after", answer->retry_after, sizeof answer->retry_after},
        {"allow", answer->allow, sizeof answer->allow},
    };
    char number[16];
    load_copy_text(number, sizeof number, value, len);
    if (name_len == 7 && memcmp(name, ":status", 7) == 0)
        answer->status = (int)strtol(number, NULL, 10);
    if (name_len == 11 && memcmp(name, "grpc-status", 11) == 0)
        answer->grpc_status = (int)strtol(number, NULL, 10);
    for (size_t i = 0; i < sizeof wanted / sizeof *wanted; i++)
        if (strlen(wanted[i].name) == name_len && strncasecmp(name, wanted[i].name, name_len) == 0)
            load_copy_text(wanted[i].out, wanted[i].size, value, len);
}

/* ---- gRPC ---------------------------------------------------------------------------------- */

static ssize_t load_read_body(nghttp2_session *session, int32_t stream_id, uint8_t *buffer,
                              size_t length, uint32_t *flags, nghttp2_data_source *source,
                              void *context)
{
    load_slot *slot = source->ptr;
    size_t left = slot->message.len - slot->sent;
    (void)session;
    (void)stream_id;
    (void)context;
    if (length > left)
        length = left;
    memcpy(buffer, slot->message.data + slot->sent, length);
    slot->sent += length;
    if (slot->sent == slot->message.len)
        *flags |= NGHTTP2_DATA_FLAG_EOF;
    return (ssize_t)length;
}

static int load_on_header(nghttp2_session *session, const nghttp2_frame *frame, const uint8_t *name,
                          size_t name_len, const uint8_t *value, size_t value_len, uint8_t flags,
                          void *context)
{
    load_slot *slot = nghttp2_session_get_stream_user_data(session, frame->hd.stream_id);
    (void)flags;
    (void)context;
    if (slot)
        load_answer_header(&slot->answer, (const char *)name, name_len, (const char *)value,
                           value_len);
    return 0;
}

static int load_on_data(nghttp2_session *session, uint8_t flags, int32_t stream_id,
                        const uint8_t *data, size_t len, void *context)
{
    load_slot *slot = nghttp2_session_get_stream_user_data(session, stream_id);
    (void)flags;
    (void)context;
    if (slot)
        load_put(&slot->answer.body, data, len);
    return 0;
}

static int load_on_close(nghttp2_session *session, int32_t stream_id, uint32_t code, void *context)
{
    load_slot *slot = nghttp2_session_get_stream_user_data(session, stream_id);
    (void)code;
    (void)context;
    if (slot)
        slot->done = true;
    return 0;
}

static void load_grpc_open(load_connection *connection)
{
    nghttp2_session_callbacks *callbacks;
    nghttp2_settings_entry settings[] = {{NGHTTP2_SETTINGS_ENABLE_PUSH, 0}};
    if (nghttp2_session_callbacks_new(&callbacks) != 0)
        abort();
    nghttp2_session_callbacks_set_on_header_callback(callbacks, load_on_header);
    nghttp2_session_callbacks_set_on_data_chunk_recv_callback(callbacks, load_on_data);
    nghttp2_session_callbacks_set_on_stream_close_callback(callbacks, load_on_close);
    if (nghttp2_session_client_new(&connection->session, callbacks, connection) != 0)
        abort();
    nghttp2_session_callbacks_del(callbacks);
    nghttp2_submit_settings(connection->session, NGHTTP2_FLAG_NONE, settings, 1);
}

static nghttp2_nv load_nv(const char *name, const char *value)
{
    return (nghttp2_nv){(uint8_t *)(uintptr_t)name, (uint8_t *)(uintptr_t)value, strlen(name),
                        strlen(value), NGHTTP2_NV_FLAG_NONE};
}

static void load_grpc_submit(load_slot *slot, const load_options *options)
{
    char authority[32];
    nghttp2_nv headers[8];
    size_t count = 0;
    snprintf(authority, sizeof authority, "127.0.0.1:%u", options->port);
    headers[count++] = load_nv(":method", "POST");
    headers[count++] = load_nv(":scheme", "http");
    headers[count++] =
        load_nv(":path", options->path ? options->path : load_grpc_paths[options->signal]);
    headers[count++] = load_nv(":authority", authority);
    headers[count++] =
        load_nv("content-type", options->content_type ? options->content_type : "application/grpc");
    headers[count++] = load_nv("te", "trailers");
    if (options->encoding)
        headers[count++] = load_nv("grpc-encoding", options->encoding);
    nghttp2_data_provider provider = {{.ptr = slot}, load_read_body};
    slot->stream_id =
        nghttp2_submit_request(slot->connection->session, NULL, headers, count, &provider, slot);
    if (slot->stream_id < 0)
        slot->done = true;
}

/* True while the socket takes bytes. */
static bool load_grpc_write(load_connection *connection)
{
    if (connection->out_len == 0) {
        ssize_t got = nghttp2_session_mem_send(connection->session, &connection->out);
        if (got <= 0)
            return false;
        connection->out_len = (size_t)got;
    }
    ssize_t sent = send(connection->fd, connection->out, connection->out_len, MSG_NOSIGNAL);
    if (sent < 0) {
        connection->broken = errno != EAGAIN && errno != EINTR;
        return false;
    }
    connection->out += sent;
    connection->out_len -= (size_t)sent;
    return true;
}

/* ---- HTTP/1.1 ------------------------------------------------------------------------------ */

static void load_http_head(load_bytes *out, const load_options *options, size_t body_len)
{
    char head[512];
    int len = snprintf(
        head, sizeof head,
        "POST %s HTTP/1.1\r\nhost: 127.0.0.1:%u\r\ncontent-type: %s\r\n"
        "%s%s%scontent-length: %zu\r\n\r\n",
        options->path ? options->path : load_http_paths[options->signal], options->port,
        options->content_type ? options->content_type : "application/x-protobuf",
        options->encoding ? "content-encoding: " : "", options->encoding ? options->encoding : "",
        options->encoding ? "\r\n" : "", body_len);
    load_put(out, head, (size_t)len);
}

static bool load_http_write(load_connection *connection)
{
    load_slot *slot = connection->slots;
    if (!slot->busy || slot->sent == slot->message.len)
        return false;
    ssize_t sent = send(connection->fd, slot->message.data + slot->sent,
                        slot->message.len - slot->sent, MSG_NOSIGNAL);
    if (sent < 0) {
        connection->broken = errno != EAGAIN && errno != EINTR;
        return false;
    }
    slot->sent += (size_t)sent;
    return true;
}

/* Reads one complete answer off connection->in, when it is there. */
static void load_http_parse(load_connection *connection)
{
    load_slot *slot = connection->slots;
    load_bytes *in = &connection->in;
    uint8_t *end = memmem(in->data, in->len, "\r\n\r\n", 4);
    size_t content_length = 0;
    if (!slot->busy || !end || in->len < 12)
        return;
    size_t head_len = (size_t)(end - in->data) + 4;
    load_answer_reset(&slot->answer);
    slot->answer.status = (int)strtol((const char *)in->data + 9, NULL, 10);
    for (const char *line = memmem(in->data, head_len, "\r\n", 2);;) {
        line += 2;
        const char *next = memmem(line, (size_t)((const char *)end + 2 - line), "\r\n", 2);
        const char *colon = next ? memchr(line, ':', (size_t)(next - line)) : NULL;
        if (!next || next == line)
            break;
        if (colon) {
            const char *value = colon + 1 + (colon[1] == ' ');
            if (colon - line == 14 && strncasecmp(line, "content-length", 14) == 0)
                content_length = strtoul(value, NULL, 10);
            load_answer_header(&slot->answer, line, (size_t)(colon - line), value,
                               (size_t)(next - value));
        }
        line = next;
    }
    if (in->len < head_len + content_length)
        return;
    load_put(&slot->answer.body, in->data + head_len, content_length);
    in->len -= head_len + content_length;
    memmove(in->data, in->data + head_len + content_length, in->len);
    slot->done = true;
}

/* ---- connections --------------------------------------------------------------------------- */

static void load_connect(load_connection *connection, const load_options *options)
{
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_port = htons((uint16_t)options->port),
                                  .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int on = 1;
    connection->grpc = options->grpc;
    connection->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (connection->fd < 0 ||
        connect(connection->fd, (struct sockaddr *)&address, sizeof address) != 0)
        load_fail("connect");
    setsockopt(connection->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    fcntl(connection->fd, F_SETFL, fcntl(connection->fd, F_GETFL) | O_NONBLOCK);
    if (options->grpc)
        load_grpc_open(connection);
}

static void load_receive(load_connection *connection)
{
    static uint8_t chunk[1 << 16];
    ssize_t got = recv(connection->fd, chunk, sizeof chunk, 0);
    if (got == 0 || (got < 0 && errno != EAGAIN && errno != EINTR)) {
        connection->broken = true;
        return;
    }
    if (got < 0)
        return;
    if (connection->grpc) {
        if (nghttp2_session_mem_recv(connection->session, chunk, (size_t)got) < 0)
            connection->broken = true;
        return;
    }
    load_put(&connection->in, chunk, (size_t)got);
    load_http_parse(connection);
}

static void load_flush(load_connection *connection)
{
    while (!connection->broken &&
           (connection->grpc ? load_grpc_write(connection) : load_http_write(connection)))
        ;
}

static bool load_wants_write(const load_connection *connection)
{
    if (connection->grpc)
        return connection->out_len > 0 || nghttp2_session_want_write(connection->session);
    return connection->slots->busy && connection->slots->sent < connection->slots->message.len;
}

/* Waits for the network once, then reads and writes what is possible. */
static void load_turn(load_connection *connections, unsigned count, int timeout_ms)
{
    struct pollfd polls[LOAD_IN_FLIGHT_MAX];
    for (unsigned i = 0; i < count; i++) {
        load_connection *c = &connections[i];
        polls[i] = (struct pollfd){.fd = c->broken ? -1 : c->fd, .events = POLLIN};
        if (!c->broken && load_wants_write(c))
            polls[i].events |= POLLOUT;
    }
    if (poll(polls, count, timeout_ms) < 0 && errno != EINTR)
        load_fail("poll");
    for (unsigned i = 0; i < count; i++) {
        if (polls[i].revents & (POLLIN | POLLHUP | POLLERR))
            load_receive(&connections[i]);
        if (polls[i].revents && !connections[i].broken)
            load_flush(&connections[i]);
    }
}

static void load_start(load_slot *slot, const load_options *options)
{
    slot->busy = true;
    slot->done = false;
    slot->sent = 0;
    load_answer_reset(&slot->answer);
    if (options->grpc)
        load_grpc_submit(slot, options);
    load_flush(slot->connection);
}

static void load_open_all(load_connection *connections, load_slot *slots, unsigned count,
                          const load_options *options)
{
    unsigned next = 0;
    for (unsigned i = 0; i < count; i++) {
        unsigned share = options->in_flight / count + (i < options->in_flight % count);
        connections[i] = (load_connection){.slots = slots + next, .slot_count = share};
        for (unsigned s = 0; s < share; s++)
            slots[next + s].connection = &connections[i];
        next += share;
        load_connect(&connections[i], options);
    }
}

static void load_close_all(load_connection *connections, unsigned count, load_slot *slots,
                           unsigned slot_count)
{
    for (unsigned i = 0; i < count; i++) {
        nghttp2_session_del(connections[i].session);
        close(connections[i].fd);
        free(connections[i].in.data);
    }
    for (unsigned i = 0; i < slot_count; i++) {
        free(slots[i].message.data);
        free(slots[i].answer.body.data);
    }
}

#endif
