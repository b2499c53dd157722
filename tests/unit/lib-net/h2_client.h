/* A hand-driven nghttp2 client over a blocking socket, one at a time (`c`), for tests of HTTP/2.
 * Include after cmocka.h. */
#ifndef MW_TESTS_H2_CLIENT_H
#define MW_TESTS_H2_CLIENT_H

#include <nghttp2/nghttp2.h>

#include "tests/unit/lib-net/net_fixture.h"

#define CALLS_MAX 2048

/* One stream as the client sees it. */
typedef struct call {
    int32_t id;
    const char *out; /* request body */
    size_t out_len;
    size_t out_sent;
    bool keep_open; /* END_STREAM is withheld */
    int status;     /* :status, -1 = none yet */
    int grpc;       /* grpc-status, -1 = none */
    char message[1024];
    char details[64];
    char accept[64];
    char type[64];
    char *in;
    size_t in_len;
    unsigned heads; /* HEADERS frames received */
    bool ended;     /* END_STREAM received */
    bool closed;
    uint32_t error; /* of the close */
} call;

typedef struct client {
    int fd;
    nghttp2_session *session;
    call calls[CALLS_MAX];
    size_t count;
    unsigned pongs;
    unsigned goaways;
    uint32_t goaway_error;
    char goaway_text[64];
    unsigned raw_goaways; /* on the wire: nghttp2 stops reading when its own session is over */
    unsigned char frame[9];
    size_t frame_have;
    size_t frame_left;
    bool eof;
} client;

static client *c; /* of the running test */

/* ---- the client ------------------------------------------------------------------------------ */

static inline call *call_of(int32_t id)
{
    return nghttp2_session_get_stream_user_data(c->session, id);
}

static inline ssize_t read_body(nghttp2_session *session, int32_t id, uint8_t *out, size_t room,
                                uint32_t *flags, nghttp2_data_source *source, void *user_data)
{
    (void)session, (void)id, (void)user_data;
    call *one = source->ptr;
    size_t n = one->out_len - one->out_sent < room ? one->out_len - one->out_sent : room;
    if (n == 0 && one->keep_open)
        return NGHTTP2_ERR_DEFERRED;
    memcpy(out, one->out + one->out_sent, n);
    one->out_sent += n;
    if (one->out_sent == one->out_len && !one->keep_open)
        *flags |= NGHTTP2_DATA_FLAG_EOF;
    return (ssize_t)n;
}

static inline int on_header(nghttp2_session *session, const nghttp2_frame *frame,
                            const uint8_t *name, size_t name_len, const uint8_t *value,
                            size_t value_len, uint8_t flags, void *user_data)
{
    (void)session, (void)name_len, (void)value_len, (void)flags, (void)user_data;
    call *one = call_of(frame->hd.stream_id);
    const char *text = (const char *)value;
    const struct {
        const char *name;
        char *out;
        size_t size;
    } rows[] = {{"grpc-message", one->message, sizeof one->message},
                {"grpc-status-details-bin", one->details, sizeof one->details},
                {"grpc-accept-encoding", one->accept, sizeof one->accept},
                {"content-type", one->type, sizeof one->type}};
    if (strcmp((const char *)name, ":status") == 0)
        one->status = (int)strtol(text, NULL, 10);
    if (strcmp((const char *)name, "grpc-status") == 0) {
        assert_int_equal(one->grpc, -1); /* exactly one answer */
        one->grpc = (int)strtol(text, NULL, 10);
    }
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        if (strcmp((const char *)name, rows[i].name) == 0)
            snprintf(rows[i].out, rows[i].size, "%s", text);
    return 0;
}

static inline int on_data(nghttp2_session *session, uint8_t flags, int32_t id, const uint8_t *data,
                          size_t len, void *user_data)
{
    (void)session, (void)flags, (void)user_data;
    call *one = call_of(id);
    one->in = realloc(one->in, one->in_len + len + 1);
    assert_non_null(one->in);
    memcpy(one->in + one->in_len, data, len);
    one->in_len += len;
    one->in[one->in_len] = '\0';
    return 0;
}

static inline int on_frame(nghttp2_session *session, const nghttp2_frame *frame, void *user_data)
{
    (void)session, (void)user_data;
    call *one = frame->hd.stream_id ? call_of(frame->hd.stream_id) : NULL;
    if (frame->hd.type == NGHTTP2_PING && (frame->hd.flags & NGHTTP2_FLAG_ACK))
        c->pongs++;
    if (frame->hd.type == NGHTTP2_GOAWAY) {
        c->goaways++;
        c->goaway_error = frame->goaway.error_code;
        snprintf(c->goaway_text, sizeof c->goaway_text, "%.*s", (int)frame->goaway.opaque_data_len,
                 (const char *)frame->goaway.opaque_data);
    }
    if (one && frame->hd.type == NGHTTP2_HEADERS)
        one->heads++;
    if (one && (frame->hd.type == NGHTTP2_HEADERS || frame->hd.type == NGHTTP2_DATA) &&
        (frame->hd.flags & NGHTTP2_FLAG_END_STREAM))
        one->ended = true;
    return 0;
}

static inline int on_close(nghttp2_session *session, int32_t id, uint32_t error, void *user_data)
{
    (void)session, (void)user_data;
    call *one = call_of(id);
    if (one) {
        one->closed = true;
        one->error = error;
    }
    return 0;
}

static inline void flush_client(void)
{
    for (;;) {
        const uint8_t *data;
        ssize_t len = nghttp2_session_mem_send(c->session, &data);
        assert_true(len >= 0);
        if (len == 0)
            return;
        send_bytes(c->fd, (mw_slice){(const char *)data, (size_t)len});
    }
}

static inline void walk_frames(const char *bytes, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        if (c->frame_left > 0) {
            c->frame_left--;
            continue;
        }
        c->frame[c->frame_have++] = (unsigned char)bytes[i];
        if (c->frame_have < sizeof c->frame)
            continue;
        c->frame_have = 0;
        c->frame_left = (size_t)c->frame[0] << 16 | (size_t)c->frame[1] << 8 | c->frame[2];
        c->raw_goaways += c->frame[3] == NGHTTP2_GOAWAY;
    }
}

/* One round: what the server has to say within `ms`. */
static inline bool step(int ms)
{
    static char bytes[1 << 16];
    struct pollfd p = {.fd = c->fd, .events = POLLIN};
    flush_client();
    if (poll(&p, 1, ms) <= 0)
        return false;
    ssize_t n = recv(c->fd, bytes, sizeof bytes, MSG_DONTWAIT);
    if (n == 0 || (n < 0 && errno != EAGAIN))
        c->eof = true;
    if (n <= 0)
        return false;
    walk_frames(bytes, (size_t)n);
    /* A negative result is this client's own opinion of a session that is being torn down. */
    (void)nghttp2_session_mem_recv(c->session, (uint8_t *)bytes, (size_t)n);
    flush_client();
    return true;
}

#define RUN_UNTIL(condition)                                                                       \
    do {                                                                                           \
        for (unsigned waited_ = 0; !(condition) && !c->eof && waited_ < PATIENCE_MS;)              \
            waited_ += step(20) ? 0 : 20;                                                          \
        assert_true(condition);                                                                    \
    } while (0)

/* The server closes, whatever it says before. */
static inline void run_to_end(void)
{
    for (unsigned waited = 0; !c->eof && waited < PATIENCE_MS;)
        waited += step(20) ? 0 : 20;
    assert_true(c->eof);
}

static inline void open_client(mw_port port)
{
    nghttp2_session_callbacks *callbacks;
    nghttp2_option *option;
    c = calloc(1, sizeof *c);
    assert_non_null(c);
    c->fd = dial(port);
    assert_int_equal(nghttp2_session_callbacks_new(&callbacks), 0);
    assert_int_equal(nghttp2_option_new(&option), 0);
    nghttp2_option_set_peer_max_concurrent_streams(option, 256);
    nghttp2_session_callbacks_set_on_header_callback(callbacks, on_header);
    nghttp2_session_callbacks_set_on_data_chunk_recv_callback(callbacks, on_data);
    nghttp2_session_callbacks_set_on_frame_recv_callback(callbacks, on_frame);
    nghttp2_session_callbacks_set_on_stream_close_callback(callbacks, on_close);
    assert_int_equal(nghttp2_session_client_new2(&c->session, callbacks, NULL, option), 0);
    nghttp2_session_callbacks_del(callbacks);
    nghttp2_option_del(option);
    assert_int_equal(nghttp2_submit_settings(c->session, 0, NULL, 0), 0);
    flush_client();
}

static inline void close_client(void)
{
    nghttp2_session_del(c->session);
    close(c->fd);
    for (size_t i = 0; i < c->count; i++)
        free(c->calls[i].in);
    free(c);
    c = NULL;
}

typedef struct ask {
    const char *method, *path, *type;
    const char *name, *value; /* one more header */
    mw_slice body;
    bool keep_open;
} ask;

static inline nghttp2_nv pair(const char *name, const char *value)
{
    return (nghttp2_nv){(uint8_t *)(uintptr_t)name, (uint8_t *)(uintptr_t)value, strlen(name),
                        strlen(value), 0};
}

static inline call *send_call(const ask *a)
{
    assert_true(c->count < CALLS_MAX);
    call *one = &c->calls[c->count++];
    *one = (call){.status = -1,
                  .grpc = -1,
                  .out = a->body.data,
                  .out_len = a->body.len,
                  .keep_open = a->keep_open};
    nghttp2_nv fields[8] = {pair(":method", a->method ? a->method : "POST"),
                            pair(":scheme", "http"), pair(":authority", "a"),
                            pair(":path", a->path)};
    size_t count = 4;
    if (a->type)
        fields[count++] = pair("content-type", a->type);
    if (a->name)
        fields[count++] = pair(a->name, a->value);
    nghttp2_data_provider provider = {.source = {.ptr = one}, .read_callback = read_body};
    bool with_body = a->body.data || a->keep_open;
    one->id =
        nghttp2_submit_request(c->session, NULL, fields, count, with_body ? &provider : NULL, one);
    assert_true(one->id > 0);
    flush_client();
    return one;
}

static inline call *ask_and_wait(const ask *a)
{
    call *one = send_call(a);
    RUN_UNTIL(one->closed);
    return one;
}

#endif
