/* One accepted socket. See connection_int.h. */
#include <event2/event.h>

#include "lib/base/log.h"
#include "lib/net/admission_int.h"
#include "lib/net/connection_int.h"
#include "lib/net/loop_int.h"
#include "lib/net/tls_int.h"

/* Pieces of one sendmsg: a head and a body each for eight pipelined answers. */
#define IOV_MAX_PIECES 16

/* ---- input ----------------------------------------------------------------------------------- */

static size_t waiting(const mw_connection *connection)
{
    return connection->pending.len - connection->pending_taken;
}

static void keep(mw_connection *connection, mw_slice bytes)
{
    mw_buffer_append_slice(&connection->pending, bytes);
    if (connection->pending.err) {
        mw_count(MW_COUNT_NET_REFUSED_MEMORY, 1);
        connection->wire.broken = true;
    }
}

static void feed_http1(mw_connection *connection, mw_slice bytes)
{
    if (waiting(connection) == 0)
        bytes = mw_http1_session_receive(&connection->http1, bytes);
    if (bytes.len)
        keep(connection, bytes);
}

static void start_http1(mw_connection *connection)
{
    connection->protocol = MW_PROTOCOL_HTTP1;
    mw_http1_session_init(&connection->http1, &connection->wire);
    connection->http1.since_ns = connection->since_ns;
}

static void start_http2(mw_connection *connection)
{
    connection->protocol = MW_PROTOCOL_HTTP2;
    connection->http2 = mw_http2_session_new(&connection->wire);
    if (connection->http2)
        return;
    mw_count(MW_COUNT_NET_REFUSED_MEMORY, 1);
    connection->wire.broken = true;
}

static void feed_http2(mw_connection *connection, mw_slice bytes)
{
    if (waiting(connection) == 0 && connection->wire.waiting == 0)
        bytes = mw_http2_session_receive(connection->http2, bytes);
    if (connection->wire.waiting > 0)
        connection->paused = true;
    if (bytes.len)
        keep(connection, bytes);
}

static void feed_known(mw_connection *connection, mw_slice bytes)
{
    if (connection->wire.broken || bytes.len == 0)
        return;
    if (connection->protocol == MW_PROTOCOL_HTTP1)
        feed_http1(connection, bytes);
    else if (connection->protocol == MW_PROTOCOL_HTTP2)
        feed_http2(connection, bytes);
}

/* TLS without a certificate to answer with. */
static void refuse_tls(mw_connection *connection)
{
    mw_front *front = connection->wire.front;
    mw_count(MW_COUNT_NET_REFUSED_TLS, 1);
    connection->wire.broken = true;
    if (mw_front_log_due(&front->tls_log_ns, mw_wire_now(&connection->wire)))
        MW_LOG(MW_LOG_WARN, "net",
               "a client speaks TLS to a clear-text port: use http:// (OTLP exporters: insecure) "
               "or set tls_cert and tls_key",
               MW_KV_STR("peer", connection->wire.peer.address));
}

/* The h2 preface, or HTTP/1: decided as soon as a byte differs. What has matched so far need not
 * be kept: it is the preface's own text. */
static void sniff(mw_connection *connection, mw_slice bytes)
{
    static const mw_slice preface = MW_SLICE_INIT(MW_HTTP2_PREFACE);
    size_t seen = connection->preface;
    mw_alpn alpn = mw_transport_alpn(&connection->transport);
    if (!connection->transport.ssl && seen == 0 && bytes.data[0] == MW_TLS_HANDSHAKE_BYTE) {
        refuse_tls(connection);
        return;
    }
    if (alpn == MW_ALPN_HTTP1) {
        start_http1(connection);
        feed_known(connection, bytes);
        return;
    }
    mw_slice expected = mw_slice_from(preface, seen);
    size_t n = bytes.len < expected.len ? bytes.len : expected.len;
    bool same = mw_slice_equal(mw_slice_first(expected, n), mw_slice_first(bytes, n));
    if (same && n < expected.len) {
        connection->preface += n;
        return;
    }
    if (!same && alpn == MW_ALPN_HTTP2) {
        /* h2 was agreed on; anything else is a mistake or an attempt at confusion. */
        mw_count(MW_COUNT_NET_REFUSED_SYNTAX, 1);
        connection->wire.broken = true;
        return;
    }
    if (same)
        start_http2(connection);
    else
        start_http1(connection);
    feed_known(connection, mw_slice_first(preface, seen));
    feed_known(connection, bytes);
}

/* ---- TLS ------------------------------------------------------------------------------------- */

static mw_err begin_tls(mw_connection *connection)
{
    SSL *ssl = mw_tls_begin(connection->wire.front->tls);
    mw_err err = ssl ? mw_transport_start_tls(&connection->transport, ssl) : MW_E_NOMEM;
    if (err != MW_OK)
        mw_count(MW_COUNT_NET_REFUSED_MEMORY, 1);
    return err;
}

/* The first byte decides between clear text and TLS. It is only looked at: OpenSSL wants to read
 * the record from its begin. Without a certificate sniff() says what is wrong. */
static mw_err look_at_first_byte(mw_connection *connection)
{
    const mw_tls *tls = connection->wire.front->tls;
    unsigned char first = 0;
    if (connection->wire.peer.local || !tls || !mw_tls_is_on(tls)) {
        connection->first_byte = true;
        return MW_OK;
    }
    mw_err err = mw_transport_peek(&connection->transport, &first);
    if (err != MW_OK)
        return err;
    connection->first_byte = true;
    return first == MW_TLS_HANDSHAKE_BYTE ? begin_tls(connection) : MW_OK;
}

/* OpenSSL has put its alert into the socket; lingering lets the peer read it. */
static void refuse_handshake(mw_connection *connection, const char *reason)
{
    mw_front *front = connection->wire.front;
    mw_count(MW_COUNT_NET_REFUSED_HANDSHAKE, 1);
    if (mw_front_log_due(&front->handshake_log_ns, mw_wire_now(&connection->wire)))
        MW_LOG(MW_LOG_WARN, "net", "a TLS handshake failed", MW_KV_STR("reason", reason),
               MW_KV_STR("peer", connection->wire.peer.address));
    mw_transport_stop_tls(&connection->transport);
    connection->wire.finished = true;
    connection->wire.linger = true;
}

static mw_err shake_hands(mw_connection *connection)
{
    const char *reason = "";
    mw_err err = mw_transport_handshake(&connection->transport, &reason);
    if (err == MW_OK) {
        connection->wire.peer.tls = true;
        connection->since_ns = mw_wire_now(&connection->wire);
    } else if (err != MW_E_AGAIN) {
        refuse_handshake(connection, reason);
    }
    return err;
}

/* MW_OK when bytes may be read; MW_E_AGAIN also when it is over, since all is said then. */
static mw_err secure(mw_connection *connection)
{
    mw_err err = connection->first_byte ? MW_OK : look_at_first_byte(connection);
    if (err != MW_OK || !connection->transport.handshaking)
        return err;
    err = shake_hands(connection);
    if (err == MW_E_CLOSED)
        return err;
    return err == MW_OK ? MW_OK : MW_E_AGAIN;
}

/* ---- events of the socket -------------------------------------------------------------------- */

static void take(mw_connection *connection, mw_slice bytes)
{
    if (connection->protocol == MW_PROTOCOL_UNKNOWN) {
        sniff(connection, bytes);
    } else if (connection->protocol == MW_PROTOCOL_LINGER) {
        connection->lingered += bytes.len;
        connection->wire.broken |= connection->lingered > MW_NET_LINGER_BYTES;
    } else {
        feed_known(connection, bytes);
    }
}

size_t mw_net_next_read(size_t room, size_t got, int64_t taken_ns)
{
    size_t next = room;
    if (taken_ns > MW_NET_TURN_NS)
        next = (size_t)((double)got * (double)MW_NET_TURN_NS / (double)taken_ns);
    else if (got == room)
        next = room * 2;
    next = next < room / 16 ? room / 16 : next; /* somebody else may have had the processor */
    if (next < MW_NET_READ_LEAST)
        return MW_NET_READ_LEAST;
    return next < MW_NET_READ_SIZE ? next : MW_NET_READ_SIZE;
}

/* While memory is short, little: what a body cannot take has to be kept. TLS wants room for a
 * record. */
static size_t read_size(const mw_connection *connection)
{
    bool tls = connection->transport.ssl != NULL;
    size_t least = tls ? MW_NET_READ_SHORT_TLS : MW_NET_READ_SHORT;
    size_t size = connection->read_room;
    if (mw_admission_is_short() && size > least)
        return least;
    return tls && size < least ? least : size;
}

static void hang_up(mw_connection *connection)
{
    connection->eof = true;
    if (connection->protocol == MW_PROTOCOL_HTTP1)
        mw_http1_session_hung_up(&connection->http1);
}

/* Where the next bytes go without a copy; NULL = through the loop's buffer. Not under TLS: of a
 * record, OpenSSL would keep what does not fit, and no socket tells of that. */
static char *body_room(const mw_connection *connection, size_t *size)
{
    if (connection->protocol != MW_PROTOCOL_HTTP1 || connection->transport.ssl ||
        waiting(connection) > 0 || connection->wire.broken)
        return NULL;
    return mw_http1_session_room(&connection->http1, size);
}

/* Reads once, has it taken, and notes what that took of the loop's time. */
static mw_err read_some(mw_connection *connection)
{
    size_t size = read_size(connection), room = 0, got = 0;
    char *body = body_room(connection, &room);
    char *to = body ? body : connection->loop->read_buffer;
    size_t most = body && room < size ? room : size;
    mw_err err = mw_transport_read(&connection->transport, to, most, &got);
    if (err != MW_OK)
        return err;
    int64_t begun_ns = mw_wire_now(&connection->wire);
    if (body)
        mw_http1_session_filled(&connection->http1, got);
    else
        take(connection, (mw_slice){to, got});
    connection->read_room = mw_net_next_read(size, got, mw_wire_now(&connection->wire) - begun_ns);
    return connection->transport.end;
}

/* One read an event: what is left in the socket is reported again, after the others' turn. */
static void on_read(evutil_socket_t fd, short what, void *arg)
{
    (void)fd, (void)what;
    mw_connection *connection = arg;
    mw_loop *loop = connection->loop;
    mw_transport *transport = &connection->transport;
    mw_err err = secure(connection);
    if (err == MW_OK)
        err = read_some(connection);
    if (err == MW_E_CLOSED)
        hang_up(connection);
    else if (err != MW_OK && err != MW_E_AGAIN)
        connection->wire.broken = true;
    else if (err == MW_E_AGAIN && !transport->ssl && !connection->wire.finished)
        return;
    mw_loop_mark_dirty(loop, connection);
    mw_loop_settle(loop);
}

static bool may_resume(const mw_connection *connection)
{
    if (connection->protocol == MW_PROTOCOL_HTTP1)
        return waiting(connection) > 0 && !mw_http1_session_blocked(&connection->http1);
    return connection->protocol == MW_PROTOCOL_HTTP2 && connection->paused &&
           connection->wire.waiting == 0 && !connection->wire.broken && !connection->wire.finished;
}

/* Input that waited for an answer to go out, or for memory. */
static void resume(mw_connection *connection)
{
    if (!may_resume(connection))
        return;
    mw_slice all = mw_slice_from(mw_buffer_slice(&connection->pending), connection->pending_taken);
    if (!all.data)
        all = MW_SLICE("");
    mw_slice rest = connection->protocol == MW_PROTOCOL_HTTP1
                        ? mw_http1_session_receive(&connection->http1, all)
                        : mw_http2_session_receive(connection->http2, all);
    connection->paused = connection->wire.waiting > 0;
    connection->pending_taken += all.len - rest.len;
    if (rest.len == 0) {
        mw_buffer_fini(&connection->pending);
        connection->pending_taken = 0;
    }
}

/* The peer's end counts once everything before it has been looked at. */
static void settle_eof(mw_connection *connection)
{
    bool streams =
        connection->protocol == MW_PROTOCOL_HTTP1 && mw_http1_session_streams(&connection->http1);
    if (!connection->eof || (waiting(connection) > 0 && !streams) || connection->wire.waiting > 0)
        return;
    if (connection->protocol == MW_PROTOCOL_HTTP1)
        mw_http1_session_eof(&connection->http1);
    else
        connection->wire.broken = true;
}

/* ---- output ---------------------------------------------------------------------------------- */

static void write_out(mw_connection *connection)
{
    mw_out_queue *out = &connection->wire.out;
    struct iovec iov[IOV_MAX_PIECES];
    bool moved = false;
    mw_err err = MW_OK;
    while (out->bytes > 0 && err == MW_OK) {
        size_t put = 0;
        int count = mw_out_queue_peek(out, iov, IOV_MAX_PIECES);
        err = mw_transport_write(&connection->transport, iov, count, &put);
        if (err == MW_OK)
            mw_out_queue_consume(out, put);
        moved = moved || err == MW_OK;
    }
    if (err == MW_E_AGAIN && (moved || !connection->writing))
        connection->write_ns = mw_wire_now(&connection->wire);
    if ((err != MW_OK && err != MW_E_AGAIN) || out->failed)
        connection->wire.broken = true;
    if (out->bytes == 0)
        mw_wire_flushed(&connection->wire);
}

static void set_event(struct event *event, bool *added, bool wanted)
{
    if (*added == wanted)
        return;
    /* event_add can only fail for memory; the connection is then found by its time-outs. */
    if (wanted && event_add(event, NULL) == 0)
        *added = true;
    else if (!wanted && event_del(event) == 0)
        *added = false;
}

/* Two bounds, so that a connection at the edge does not flip its events with every write. */
static bool wants_input(const mw_connection *connection)
{
    size_t bound = connection->reading ? MW_NET_OUT_HIGH : MW_NET_OUT_LOW;
    if (connection->eof || connection->wire.finished || connection->transport.wants_write ||
        connection->wire.waiting > 0)
        return false;
    return connection->wire.out.bytes <= bound && waiting(connection) < MW_NET_PENDING_MAX;
}

/* The write event is only there while the socket is full: epoll would report it all the time. */
static void update_events(mw_connection *connection)
{
    bool full = connection->wire.out.bytes > 0 || connection->transport.wants_write;
    if (full && !connection->writing)
        connection->write_ns = mw_wire_now(&connection->wire);
    set_event(&connection->read_event, &connection->reading, wants_input(connection));
    set_event(&connection->write_event, &connection->writing, full);
}

static void on_write(evutil_socket_t fd, short what, void *arg)
{
    mw_connection *connection = arg;
    /* A read of TLS that had to write first goes on from here. */
    if (connection->transport.wants_write) {
        on_read(fd, what, arg);
        return;
    }
    mw_loop_mark_dirty(connection->loop, connection);
    mw_loop_settle(connection->loop);
}

/* ---- life ------------------------------------------------------------------------------------ */

static void leave(mw_loop *loop, mw_port port)
{
    atomic_fetch_sub(&loop->load, 1);
    mw_front_leave(loop->front, port);
}

static void unlink_connection(mw_connection *connection)
{
    mw_loop *loop = connection->loop;
    if (connection->next)
        connection->next->previous = connection->previous;
    if (connection->previous)
        connection->previous->next = connection->next;
    else
        loop->connections = connection->next;
}

static void link_connection(mw_connection *connection)
{
    mw_loop *loop = connection->loop;
    connection->next = loop->connections;
    if (connection->next)
        connection->next->previous = connection;
    loop->connections = connection;
}

mw_err mw_connection_open(mw_loop *loop, int fd, mw_port port, const mw_peer *peer)
{
    mw_connection *connection = mw_calloc(MW_MEM_NET, 1, sizeof *connection);
    if (!connection) {
        mw_transport refused;
        mw_transport_init(&refused, fd);
        leave(loop, port);
        mw_transport_close(&refused);
        return MW_E_NOMEM;
    }
    connection->loop = loop;
    connection->read_room = MW_NET_READ_FIRST;
    mw_transport_init(&connection->transport, fd);
    mw_wire_init(&connection->wire, loop->front, port);
    connection->wire.peer = *peer;
    connection->wire.date = &loop->date;
    connection->wire.post = mw_loop_post;
    connection->wire.post_later = mw_loop_post_later;
    connection->wire.post_ctx = loop;
    connection->wire.wait = mw_loop_wait;
    connection->wire.owner = connection;
    connection->since_ns = mw_wire_now(&connection->wire);
    connection->retire_ns = connection->since_ns + mw_retire_age_ns();
    mw_buffer_init(&connection->pending, MW_MEM_NET, MW_NET_PENDING_MAX + MW_NET_READ_SIZE);
    link_connection(connection);
    if (event_assign(&connection->read_event, loop->base, fd, EV_READ | EV_PERSIST, on_read,
                     connection) != 0 ||
        event_assign(&connection->write_event, loop->base, fd, EV_WRITE | EV_PERSIST, on_write,
                     connection) != 0)
        mw_bug(__FILE__, __LINE__, "event_assign refused its arguments");
    update_events(connection);
    if (connection->reading)
        return MW_OK;
    mw_connection_close(connection);
    return MW_E_NOMEM;
}

/* Requests with handlers become orphans here; all else of the sessions is freed. */
static void close_sessions(mw_connection *connection)
{
    if (connection->protocol == MW_PROTOCOL_HTTP1)
        mw_http1_session_fini(&connection->http1);
    mw_http2_session_free(connection->http2);
    connection->http2 = NULL;
    mw_buffer_fini(&connection->pending);
    connection->pending_taken = 0;
}

void mw_connection_close(mw_connection *connection)
{
    MW_ASSERT(!connection->dirty);
    set_event(&connection->read_event, &connection->reading, false);
    set_event(&connection->write_event, &connection->writing, false);
    close_sessions(connection);
    mw_wire_fini(&connection->wire);
    unlink_connection(connection);
    leave(connection->loop, connection->wire.port);
    mw_transport_close(&connection->transport);
    mw_free(MW_MEM_NET, connection);
}

void mw_connection_resume_body(mw_connection *connection, mw_exchange *exchange)
{
    if (connection->protocol == MW_PROTOCOL_HTTP1)
        mw_http1_session_resume_body(&connection->http1);
    else
        mw_http2_session_resume_body(connection->http2, exchange);
    mw_loop_mark_dirty(connection->loop, connection);
}

void mw_connection_refuse_body(mw_connection *connection, mw_exchange *exchange)
{
    if (connection->protocol == MW_PROTOCOL_HTTP1)
        mw_http1_session_refuse_body(&connection->http1);
    else
        mw_http2_session_refuse_body(connection->http2, exchange);
    mw_loop_mark_dirty(connection->loop, connection);
}

size_t mw_connection_input_waits(const mw_connection *connection)
{
    return waiting(connection) + mw_transport_unread(&connection->transport);
}

mw_exchange *mw_connection_find_stalled(mw_connection *connection, int64_t now_ns)
{
    mw_exchange *current = connection->http1.current;
    if (connection->wire.broken || connection->wire.finished)
        return NULL;
    if (connection->protocol == MW_PROTOCOL_HTTP2)
        return mw_http2_session_find_stalled(connection->http2, now_ns);
    bool stalled = connection->protocol == MW_PROTOCOL_HTTP1 && current &&
                   mw_admission_is_stalled(current, now_ns);
    return stalled ? current : NULL;
}

void mw_connection_shed_output(mw_connection *connection, int64_t now_ns)
{
    if (!connection->writing || connection->wire.broken ||
        connection->wire.out.bytes < MW_NET_OUT_LOW ||
        now_ns - connection->write_ns < MW_ADMISSION_STALL_NS)
        return;
    mw_count(MW_COUNT_NET_SHED, 1);
    connection->wire.broken = true;
    mw_loop_mark_dirty(connection->loop, connection);
}

/* All is written. A peer in the middle of sending would get a reset, and lose the answer, if its
 * bytes met a closed socket. */
static void begin_linger(mw_connection *connection)
{
    mw_transport_shutdown(&connection->transport);
    close_sessions(connection);
    connection->protocol = MW_PROTOCOL_LINGER;
    connection->wire.finished = false;
    connection->since_ns = mw_wire_now(&connection->wire);
}

void mw_connection_reply(mw_connection *connection, mw_exchange *exchange)
{
    if (connection->protocol == MW_PROTOCOL_HTTP1)
        mw_http1_session_reply(&connection->http1, exchange);
    else
        mw_http2_session_reply(connection->http2, exchange);
    mw_loop_mark_dirty(connection->loop, connection);
}

void mw_connection_stream(mw_connection *connection, mw_exchange *exchange)
{
    if (connection->protocol == MW_PROTOCOL_HTTP1)
        mw_http1_session_stream(&connection->http1, exchange);
    else
        mw_http2_session_stream(connection->http2, exchange);
    mw_loop_mark_dirty(connection->loop, connection);
}

/* More output, as far as the bound on unsent bytes allows. */
static void pump(mw_connection *connection)
{
    if (connection->wire.broken)
        return;
    if (connection->http2)
        mw_http2_session_pump(connection->http2);
    else if (connection->protocol == MW_PROTOCOL_HTTP1)
        mw_http1_session_pump(&connection->http1);
}

void mw_connection_settle(mw_connection *connection)
{
    mw_wire *wire = &connection->wire;
    size_t queued = 0;
    do {
        resume(connection);
        settle_eof(connection);
        pump(connection);
        queued = wire->out.bytes;
        if (!wire->broken)
            write_out(connection);
        /* Once all is out there may be more: answers held back by the bound. */
    } while (!wire->broken && queued > 0 && wire->out.bytes == 0);
    bool over = wire->finished && wire->out.bytes == 0;
    if (over && wire->linger && !connection->eof && !wire->broken) {
        begin_linger(connection);
        over = false;
    }
    if (over && !wire->broken)
        mw_transport_farewell(&connection->transport);
    if (over || wire->broken) {
        mw_connection_close(connection);
        return;
    }
    update_events(connection);
    /* A stream that ended while its body waited has nobody else to set the input going again. */
    if (connection->protocol == MW_PROTOCOL_HTTP2 && may_resume(connection))
        mw_loop_mark_dirty(connection->loop, connection);
}

void mw_connection_drain(mw_connection *connection)
{
    connection->wire.draining = true;
    switch (connection->protocol) {
    case MW_PROTOCOL_UNKNOWN: connection->wire.broken = true; break;
    case MW_PROTOCOL_HTTP1: mw_http1_session_drain(&connection->http1); break;
    case MW_PROTOCOL_HTTP2: mw_http2_session_drain(connection->http2); break;
    case MW_PROTOCOL_LINGER: break;
    }
    mw_loop_mark_dirty(connection->loop, connection);
}

static void time_out(mw_connection *connection)
{
    mw_count(MW_COUNT_NET_REFUSED_TIMEOUT, 1);
    connection->wire.broken = true;
}

/* At a certain age: no request is lost, since the client is told before it sends the next (h2), or
 * with an answer (HTTP/1). A quiet HTTP/1 connection has the time between two requests as its end;
 * to close it now could cross a request. */
static void retire(mw_connection *connection)
{
    connection->wire.retiring = true;
    if (connection->protocol == MW_PROTOCOL_HTTP2)
        mw_http2_session_drain(connection->http2);
}

void mw_connection_sweep(mw_connection *connection, int64_t now_ns)
{
    int64_t age = now_ns - connection->since_ns;
    if (now_ns >= connection->retire_ns)
        retire(connection);
    switch (connection->protocol) {
    case MW_PROTOCOL_UNKNOWN:
        if (age >= MW_NET_HEAD_TIMEOUT_NS)
            time_out(connection);
        break;
    case MW_PROTOCOL_HTTP1: mw_http1_session_sweep(&connection->http1, now_ns); break;
    case MW_PROTOCOL_HTTP2: mw_http2_session_sweep(connection->http2, now_ns); break;
    case MW_PROTOCOL_LINGER: connection->wire.broken = age >= MW_NET_LINGER_NS; break;
    }
    if (connection->writing && now_ns - connection->write_ns >= MW_NET_WRITE_TIMEOUT_NS)
        time_out(connection);
    if (connection->wire.draining)
        mw_connection_drain(connection);
    mw_loop_mark_dirty(connection->loop, connection);
}
