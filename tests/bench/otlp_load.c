/* otlp_load: an OTLP client for tests and benchmarks, loopback only.
 *
 *   otlp_load send --transport http|grpc --port P --file F [--path P] [--content-type T]
 *                  [--encoding gzip] [--framed]
 *       sends one body and prints the answer as JSON (--framed: F holds the gRPC prefix already)
 *   otlp_load load --transport http|grpc --port P [--signal traces|metrics|logs] [--in-flight N]
 *                  [--requests N] [--seconds S] [--spans N] [--rate SPANS_PER_S] [--seed N]
 *                  [--templates N] [--split D] [--acked FILE]
 *       generates load and prints rate and acknowledgement times as JSON, in which "spans" are
 *       items of the signal; FILE gets one line "trace-id span-id" for every span of every
 *       acknowledged request; --split D (traces): every other request brings the callees of the
 *       calls of one D requests away, before or behind it in turns
 *   otlp_load body [--signal S] [--spans N] [--seed N]      one request's bytes on stdout
 *
 * One thread, poll(2). Over HTTP/1.1 a connection carries one request at a time; over gRPC at
 * most LOAD_CONNECTIONS connections share the requests in flight. A lost connection is not opened
 * again: what was in flight counts as an error. Bounded: without --requests or --seconds it ends
 * after 10 s. Exit 0 when an answer came (send) or a request was acknowledged (load).
 */
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

#define LOAD_CONNECTIONS 4u
#define LOAD_IN_FLIGHT_MAX 256u
/* As many as the measurements behind the bars had; 76 MiB. */
#define LOAD_TEMPLATES 200u
/* Longest wait for the network before the clock is looked at again. */
#define LOAD_TURN_MS 50
/* How long an answer may take before it counts as lost. */
#define LOAD_PATIENCE_NS INT64_C(30000000000)

/* By load_signal. */
static const char *const load_names[] = {"traces", "metrics", "logs"};
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
    bool grpc, framed;
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

/* ---- send ----------------------------------------------------------------------------------- */

static void load_print_text(const char *key, const char *text)
{
    printf(",\"%s\":\"", key);
    for (; *text; text++) {
        if (*text == '"' || *text == '\\')
            putchar('\\');
        if ((unsigned char)*text < 0x20)
            printf("\\u%04x", (unsigned)(unsigned char)*text);
        else
            putchar(*text);
    }
    putchar('"');
}

static void load_print_answer(const load_answer *answer, bool answered)
{
    printf("{\"answered\":%s,\"status\":%d,\"grpc_status\":%d", answered ? "true" : "false",
           answer->status, answer->grpc_status);
    load_print_text("grpc_message", answer->grpc_message);
    load_print_text("details", answer->details);
    load_print_text("content_type", answer->content_type);
    load_print_text("retry_after", answer->retry_after);
    load_print_text("allow", answer->allow);
    printf(",\"body_hex\":\"");
    for (size_t i = 0; i < answer->body.len; i++)
        printf("%02x", answer->body.data[i]);
    printf("\"}\n");
}

static void load_read_file(const char *path, load_bytes *out)
{
    uint8_t chunk[4096];
    FILE *file = fopen(path, "rb");
    if (!file)
        load_fail(path);
    for (size_t got; (got = fread(chunk, 1, sizeof chunk, file)) > 0;)
        load_put(out, chunk, got);
    fclose(file);
}

static void load_prefix(load_bytes *out, bool compressed, size_t len)
{
    uint8_t prefix[5] = {compressed, (uint8_t)(len >> 24), (uint8_t)(len >> 16),
                         (uint8_t)(len >> 8), (uint8_t)len};
    load_put(out, prefix, sizeof prefix);
}

static int load_send_one(load_options *options)
{
    load_connection connection;
    load_slot slot = {0};
    load_bytes body = {0};
    load_read_file(options->file, &body);
    if (!options->grpc)
        load_http_head(&slot.message, options, body.len);
    else if (!options->framed)
        load_prefix(&slot.message, options->encoding != NULL, body.len);
    load_put(&slot.message, body.data, body.len);
    free(body.data);
    options->in_flight = 1;
    load_open_all(&connection, &slot, 1, options);
    load_start(&slot, options);
    int64_t until = load_now() + LOAD_PATIENCE_NS;
    while (!slot.done && !connection.broken && load_now() < until)
        load_turn(&connection, 1, 100);
    load_print_answer(&slot.answer, slot.done);
    bool done = slot.done;
    load_close_all(&connection, 1, &slot, 1);
    return done ? 0 : 1;
}

/* ---- load ----------------------------------------------------------------------------------- */

typedef struct load_run {
    const load_options *options;
    load_template *templates; /* options->templates; with --split the callees' behind them */
    load_connection connections[LOAD_IN_FLIGHT_MAX];
    load_slot slots[LOAD_IN_FLIGHT_MAX];
    unsigned connection_count;
    uint64_t started, acknowledged, refused, lost, items, items_sent;
    double *times_ms;
    size_t time_count, time_capacity;
    int64_t begin_ns, stop_ns; /* no request starts after stop_ns */
    FILE *acked;
} load_run;

/* What a request holds: a template, filled for request `number` of its kind. */
typedef struct load_part {
    const load_template *template;
    uint64_t number;
} load_part;

/* Made when first used: short runs need few. */
static load_part load_part_at(const load_run *run, bool callees, uint64_t number)
{
    const load_options *options = run->options;
    size_t at = number % options->templates;
    load_template *template = &run->templates[at + (callees ? options->templates : 0)];
    if (template->spans == 0)
        load_template_init(template, callees ? LOAD_CALLEES : options->signal, options->spans,
                           options->seed + at * options->spans);
    return (load_part){template, number};
}

/* With --split D, of 2 D requests the first half and the second half are the two sides of the same
 * calls; in every other pair the callees come first. */
static load_part load_part_of(const load_run *run, uint64_t number)
{
    const load_options *options = run->options;
    uint64_t distance = options->split;
    if (distance == 0)
        return load_part_at(run, false, number);
    uint64_t pair = number / (2 * distance) * distance + number % distance;
    return load_part_at(run, (number / distance + pair) % 2, pair);
}

static void load_record(load_run *run, const load_slot *slot)
{
    const load_answer *answer = &slot->answer;
    bool good = answer->status == 200 && (!run->options->grpc || answer->grpc_status == 0);
    if (!good) {
        run->refused++;
        return;
    }
    run->acknowledged++;
    run->items += load_part_of(run, slot->number).template->spans;
    if (run->time_count == run->time_capacity) {
        run->time_capacity = run->time_capacity * 2 + 1024;
        run->times_ms = realloc(run->times_ms, run->time_capacity * sizeof *run->times_ms);
        if (!run->times_ms)
            abort();
    }
    run->times_ms[run->time_count++] = (double)(load_now() - slot->due_ns) / 1e6;
    for (unsigned i = 0; run->acked && i < run->options->spans; i++) {
        uint8_t ids[24];
        load_trace_id(run->options->seed, slot->number, i / LOAD_SPANS_PER_TRACE, ids);
        load_span_id(ids, i % LOAD_SPANS_PER_TRACE, ids + 16);
        for (unsigned b = 0; b < sizeof ids; b++)
            fprintf(run->acked, b == 16 ? " %02x" : "%02x", ids[b]);
        fputc('\n', run->acked);
    }
}

/* The next request's time: now, or by the fixed rate. */
static int64_t load_next_due(const load_run *run)
{
    const load_options *options = run->options;
    if (options->rate <= 0)
        return 0;
    return run->begin_ns + (int64_t)((double)run->started * options->spans / options->rate * 1e9);
}

static void load_refill(load_run *run, load_slot *slot)
{
    const load_options *options = run->options;
    int64_t now = load_now(), due = load_next_due(run);
    bool more = now < run->stop_ns && (!options->requests || run->started < options->requests);
    if (slot->busy || slot->connection->broken || !more || due > now)
        return;
    slot->number = run->started++;
    slot->message.len = 0;
    load_part part = load_part_of(run, slot->number);
    if (options->grpc)
        load_prefix(&slot->message, false, part.template->body.len);
    else
        load_http_head(&slot->message, options, part.template->body.len);
    size_t head = slot->message.len;
    load_put(&slot->message, part.template->body.data, part.template->body.len);
    load_patch_body(part.template, slot->message.data + head, options->seed, part.number);
    run->items_sent += part.template->spans;
    /* At a fixed rate the wait for a free slot counts: what a client would see. */
    slot->due_ns = due ? due : load_now();
    load_start(slot, options);
}

/* Takes answers off and fills idle slots; the number of requests under way. */
static unsigned load_service(load_run *run)
{
    unsigned busy = 0;
    for (unsigned i = 0; i < run->options->in_flight; i++) {
        load_slot *slot = &run->slots[i];
        if (slot->busy && slot->done) {
            load_record(run, slot);
            slot->busy = false;
        } else if (slot->busy && slot->connection->broken) {
            run->lost++;
            slot->busy = false;
        }
        load_refill(run, slot);
        busy += slot->busy;
    }
    return busy;
}

static int load_compare(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double load_quantile(const load_run *run, double q)
{
    if (run->time_count == 0)
        return 0;
    return run->times_ms[(size_t)(q * (double)(run->time_count - 1))];
}

static void load_print_run(load_run *run, double seconds)
{
    double spans = (double)run->items;
    if (run->time_count > 0)
        qsort(run->times_ms, run->time_count, sizeof *run->times_ms, load_compare);
    printf("{\"requests\":%llu,\"acknowledged\":%llu,\"refused\":%llu,\"lost\":%llu,"
           "\"spans_sent\":%llu,\"spans_acknowledged\":%.0f,\"seconds\":%.3f,"
           "\"spans_per_s\":%.0f,\"bytes_per_span\":%.1f,\"p50_ms\":%.3f,\"p99_ms\":%.3f,"
           "\"max_ms\":%.3f}\n",
           (unsigned long long)run->started, (unsigned long long)run->acknowledged,
           (unsigned long long)run->refused, (unsigned long long)run->lost,
           (unsigned long long)run->items_sent, spans, seconds, spans / seconds,
           (double)run->templates[0].body.len / run->templates[0].spans, load_quantile(run, 0.5),
           load_quantile(run, 0.99), load_quantile(run, 1));
}

static bool load_all_broken(const load_run *run)
{
    for (unsigned i = 0; i < run->connection_count; i++)
        if (!run->connections[i].broken)
            return false;
    return true;
}

static int load_generate(const load_options *options)
{
    static load_run run;
    run.options = options;
    run.connection_count = options->in_flight;
    if (options->grpc && run.connection_count > LOAD_CONNECTIONS)
        run.connection_count = LOAD_CONNECTIONS;
    if (options->acked && !(run.acked = fopen(options->acked, "w")))
        load_fail(options->acked);
    run.templates = calloc(2 * (size_t)options->templates, sizeof *run.templates);
    if (!run.templates)
        abort();
    load_open_all(run.connections, run.slots, run.connection_count, options);
    run.begin_ns = load_now();
    run.stop_ns = run.begin_ns + (int64_t)(options->seconds * 1e9);
    while (!load_all_broken(&run)) {
        unsigned busy = load_service(&run);
        int64_t now = load_now(), due = load_next_due(&run);
        bool ended = now >= run.stop_ns || (options->requests && run.started >= options->requests);
        if ((ended && busy == 0) || now > run.stop_ns + LOAD_PATIENCE_NS)
            break;
        int64_t wait_ms = LOAD_TURN_MS;
        if (!ended && busy < options->in_flight)
            wait_ms = due > now ? (due - now) / 1000000 : 1;
        load_turn(run.connections, run.connection_count,
                  (int)(wait_ms < LOAD_TURN_MS ? wait_ms : LOAD_TURN_MS));
    }
    load_service(&run);
    load_print_run(&run, (double)(load_now() - run.begin_ns) / 1e9);
    if (run.acked && fclose(run.acked) != 0)
        load_fail(options->acked);
    load_close_all(run.connections, run.connection_count, run.slots, options->in_flight);
    for (size_t i = 0; i < 2 * (size_t)options->templates; i++)
        load_template_fini(&run.templates[i]);
    free(run.templates);
    free(run.times_ms);
    return run.acknowledged > 0 ? 0 : 1;
}

/* ---- command line --------------------------------------------------------------------------- */

static int load_print_body(const load_options *options)
{
    load_template template;
    load_template_init(&template, options->signal, options->spans, options->seed);
    load_patch_body(&template, template.body.data, options->seed, 0);
    bool good = fwrite(template.body.data, 1, template.body.len, stdout) == template.body.len;
    load_template_fini(&template);
    return good ? 0 : 1;
}

static int load_usage(void)
{
    fprintf(stderr,
            "usage: otlp_load send|load|body --transport http|grpc --port P ...\n"
            "       --spans is a multiple of %d\n",
            LOAD_RESOURCES * LOAD_SPANS_PER_TRACE);
    return 2;
}

static bool load_set_signal(load_options *options, const char *value)
{
    for (unsigned i = 0; i < sizeof load_names / sizeof *load_names; i++)
        if (strcmp(value, load_names[i]) == 0) {
            options->signal = (load_signal)i;
            return true;
        }
    return false;
}

static bool load_set(load_options *options, const char *name, const char *value)
{
    struct {
        const char *name;
        const char **out;
    } const texts[] = {{"--file", &options->file},
                       {"--path", &options->path},
                       {"--content-type", &options->content_type},
                       {"--encoding", &options->encoding},
                       {"--acked", &options->acked}};
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
        if (strcmp(name, texts[i].name) == 0) {
            *texts[i].out = value;
            return true;
        }
    if (strcmp(name, "--signal") == 0)
        return load_set_signal(options, value);
    if (strcmp(name, "--transport") == 0)
        options->grpc = strcmp(value, "grpc") == 0;
    else if (strcmp(name, "--port") == 0)
        options->port = (unsigned)strtoul(value, NULL, 10);
    else if (strcmp(name, "--in-flight") == 0)
        options->in_flight = (unsigned)strtoul(value, NULL, 10);
    else if (strcmp(name, "--spans") == 0)
        options->spans = (unsigned)strtoul(value, NULL, 10);
    else if (strcmp(name, "--templates") == 0)
        options->templates = (unsigned)strtoul(value, NULL, 10);
    else if (strcmp(name, "--split") == 0)
        options->split = (unsigned)strtoul(value, NULL, 10);
    else if (strcmp(name, "--requests") == 0)
        options->requests = strtoull(value, NULL, 10);
    else if (strcmp(name, "--seed") == 0)
        options->seed = strtoull(value, NULL, 10);
    else if (strcmp(name, "--seconds") == 0)
        options->seconds = strtod(value, NULL);
    else if (strcmp(name, "--rate") == 0)
        options->rate = strtod(value, NULL);
    else
        return false;
    return true;
}

int main(int argc, char **argv)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    load_options options = {
        .in_flight = 1, .spans = 512, .templates = LOAD_TEMPLATES, .seconds = 10};
    options.seed =
        load_mix((uint64_t)now.tv_nsec ^ (uint64_t)now.tv_sec << 30 ^ (uint64_t)getpid());
    if (argc < 2)
        return load_usage();
    for (int i = 2; i < argc; i++) {
        if (strcmp(argv[i], "--framed") == 0)
            options.framed = true;
        else if (i + 1 >= argc || !load_set(&options, argv[i], argv[i + 1]))
            return load_usage();
        else
            i++;
    }
    unsigned unit = LOAD_RESOURCES * LOAD_SPANS_PER_TRACE;
    if (options.spans == 0 || options.spans % unit || options.in_flight == 0 ||
        options.in_flight > LOAD_IN_FLIGHT_MAX || options.templates == 0 ||
        (options.split && options.signal != LOAD_TRACES))
        return load_usage();
    if (options.requests && options.seconds <= 10)
        options.seconds = 60;
    if (strcmp(argv[1], "body") == 0)
        return load_print_body(&options);
    if (strcmp(argv[1], "load") == 0 && options.port)
        return load_generate(&options);
    if (strcmp(argv[1], "send") == 0 && options.port && options.file)
        return load_send_one(&options);
    return load_usage();
}
