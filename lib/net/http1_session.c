/* One HTTP/1 connection's requests. See http1_session_int.h. */
#include "lib/net/http1_session_int.h"
#include "lib/net/stream_int.h"

/* For the one case in which not even a refusal can be put together. */
static const mw_slice no_memory_answer =
    MW_SLICE_INIT("HTTP/1.1 503 Service Unavailable\r\nretry-after: 1\r\ncontent-length: 0\r\n"
                  "connection: close\r\n\r\n");

void mw_http1_session_init(mw_http1_session *session, mw_wire *wire)
{
    *session = (mw_http1_session){.wire = wire, .since_ns = mw_wire_now(wire)};
    mw_http1_init(&session->parser);
}

void mw_http1_session_fini(mw_http1_session *session)
{
    if (session->current)
        mw_exchange_abandon(session->current);
    session->current = NULL;
    mw_http1_fini(&session->parser);
}

bool mw_http1_session_blocked(const mw_http1_session *session)
{
    const mw_exchange *current = session->current;
    return (current && (current->state == MW_EXCHANGE_HANDLER || current->stream ||
                        mw_exchange_waits(current))) ||
           session->wire->finished || session->wire->out.bytes > MW_NET_OUT_HIGH;
}

/* ---- answers --------------------------------------------------------------------------------- */

static void release_exchange(void *exchange)
{
    mw_exchange_free(exchange);
}

static void finish(mw_http1_session *session, bool unread)
{
    session->wire->finished = true;
    session->wire->linger = unread;
}

static bool is_bodyless(const mw_exchange *exchange)
{
    unsigned status = exchange->response.status;
    return status == 204 || status == 304 ||
           mw_slice_equal(exchange->request.method, MW_SLICE("HEAD"));
}

static void send_head(mw_http1_session *session, mw_http1_framing framing)
{
    mw_wire *wire = session->wire;
    const mw_response *response = &session->current->response;
    mw_http1_answer answer = {.response = response,
                              .date = mw_wire_date(wire),
                              .framing = framing,
                              .close = session->close_after || response->close || wire->draining ||
                                       wire->retiring};
    session->close_after = answer.close;
    session->served = true;
    session->since_ns = mw_wire_now(wire);
    mw_http1_write_head(&wire->out, &answer);
}

/* Encodes the answer of `current` and lets go of it: the exchange is freed, or travels with a
 * large body through the queue and is freed when that is written. */
static void send_answer(mw_http1_session *session)
{
    mw_wire *wire = session->wire;
    mw_exchange *exchange = session->current;
    send_head(session, MW_HTTP1_LENGTH);
    session->current = NULL;
    mw_exchange_encoded(exchange);
    mw_slice body = is_bodyless(exchange) ? MW_SLICE_NONE : exchange->response.body;
    if (body.len >= MW_OUT_REFERENCE_MIN) {
        mw_out_queue_refer(&wire->out, body, release_exchange, exchange);
        return;
    }
    mw_out_queue_append(&wire->out, body);
    mw_exchange_free(exchange);
}

/* After a refusal with the body not (all) read. */
static void send_refusal(mw_http1_session *session)
{
    send_answer(session);
    session->discarding = !session->close_after;
    session->discarded = 0;
    if (session->close_after)
        finish(session, true);
}

void mw_http1_session_reply(mw_http1_session *session, mw_exchange *exchange)
{
    MW_ASSERT(exchange == session->current);
    send_answer(session);
    if (session->close_after)
        finish(session, false);
}

/* ---- answers in pieces ----------------------------------------------------------------------- */

/* The answer is complete. A writer that has not ended yet keeps the exchange as an orphan, in
 * flight until it does; it is told. */
static void close_stream(mw_http1_session *session)
{
    mw_exchange *exchange = session->current;
    session->current = NULL;
    session->since_ns = mw_wire_now(session->wire);
    if (exchange->state == MW_EXCHANGE_ANSWER)
        mw_exchange_encoded(exchange);
    mw_exchange_abandon(exchange);
    if (session->close_after || session->wire->draining || session->wire->retiring)
        finish(session, false);
}

static void free_piece(void *piece)
{
    mw_free(MW_STREAM_MEMORY, piece);
}

static void send_piece(mw_http1_session *session, mw_stream_piece *piece)
{
    mw_out_queue *out = &session->wire->out;
    mw_slice bytes = {piece->data, piece->len};
    if (!session->old)
        mw_http1_write_chunk_size(out, bytes.len);
    if (bytes.len >= MW_OUT_REFERENCE_MIN) {
        mw_out_queue_refer(out, bytes, free_piece, piece);
    } else {
        mw_out_queue_append(out, bytes);
        free_piece(piece);
    }
    if (!session->old)
        mw_out_queue_append(out, MW_SLICE("\r\n"));
}

bool mw_http1_session_streams(const mw_http1_session *session)
{
    return session->current && session->current->stream;
}

void mw_http1_session_pump(mw_http1_session *session)
{
    mw_out_queue *out = &session->wire->out;
    mw_stream_piece *piece = NULL;
    if (!mw_http1_session_streams(session) || !session->current->stream->head_sent)
        return;
    mw_stream *stream = session->current->stream;
    while (out->bytes < MW_NET_OUT_LOW && (piece = mw_stream_take(stream)))
        send_piece(session, piece);
    if (!mw_stream_is_complete(stream))
        return;
    if (!session->old)
        mw_out_queue_append(out, MW_SLICE("0\r\n\r\n"));
    close_stream(session);
}

/* Pieces follow when the connection is settled. */
void mw_http1_session_stream(mw_http1_session *session, mw_exchange *exchange)
{
    MW_ASSERT(exchange == session->current);
    mw_stream *stream = exchange->stream;
    if (stream->head_sent)
        return;
    stream->head_sent = true;
    bool bodyless = is_bodyless(exchange);
    session->close_after = session->close_after || (session->old && !bodyless);
    send_head(session, session->old ? MW_HTTP1_UNTIL_CLOSE : MW_HTTP1_CHUNKED);
    if (bodyless)
        close_stream(session);
}

/* The bytes are not HTTP: nothing behind them can be trusted. */
static void refuse_syntax(mw_http1_session *session)
{
    mw_wire *wire = session->wire;
    const mw_http1 *parser = &session->parser;
    session->close_after = true;
    if (session->discarding) {
        finish(session, true);
        return;
    }
    if (!session->current)
        session->current = mw_exchange_new(wire);
    if (!session->current) {
        mw_out_queue_append(&wire->out, no_memory_answer);
        finish(session, true);
        return;
    }
    bool size = parser->status == 431 || parser->status == 413;
    mw_counter counter = parser->status == 503 ? MW_COUNT_NET_REFUSED_MEMORY
                         : size                ? MW_COUNT_NET_REFUSED_SIZE
                                               : MW_COUNT_NET_REFUSED_SYNTAX;
    mw_exchange_refuse_status(session->current, counter, parser->status, parser->reason);
    send_refusal(session);
}

/* ---- requests -------------------------------------------------------------------------------- */

static bool fill_request(mw_exchange *exchange, const mw_http1_head *head)
{
    mw_request *request = &exchange->request;
    request->http_version = 1;
    request->method = head->method;
    request->authority = head->host;
    request->headers = head->headers;
    request->header_count = head->header_count;
    return mw_request_set_target(request, head->target);
}

static void begin_request(mw_http1_session *session, const mw_http1_head *head)
{
    mw_exchange *exchange = session->current;
    uint64_t length = head->chunked ? MW_LENGTH_UNKNOWN : head->length;
    session->close_after = !head->keep_alive;
    session->old = head->minor == 0;
    if (!fill_request(exchange, head)) {
        session->close_after = true;
        mw_exchange_refuse_status(exchange, MW_COUNT_NET_REFUSED_SYNTAX, 400,
                                  "The request target is malformed.");
        send_refusal(session);
        return;
    }
    if (!mw_exchange_begin(exchange, length)) {
        /* A client that waits for 100 may or may not send the body now: framing is lost. A long
         * body is not worth reading. */
        session->close_after = session->close_after || (head->expect_continue && length != 0) ||
                               (!head->chunked && length > MW_NET_DISCARD_MAX);
        send_refusal(session);
        return;
    }
    if (head->expect_continue && length != 0)
        mw_out_queue_append(&session->wire->out, MW_SLICE("HTTP/1.1 100 Continue\r\n\r\n"));
}

static void take_head(mw_http1_session *session, mw_slice text)
{
    mw_http1_head head;
    MW_ASSERT(!session->current);
    session->current = mw_exchange_new(session->wire);
    if (!session->current) {
        mw_out_queue_append(&session->wire->out, no_memory_answer);
        mw_count(MW_COUNT_NET_REFUSED_MEMORY, 1);
        finish(session, true);
        return;
    }
    mw_arena *arena = &session->current->request.arena;
    if (mw_http1_parse_head(&session->parser, text, arena, &head))
        begin_request(session, &head);
    else
        refuse_syntax(session);
}

/* A refused body is read on for a while: closing at once would cost every exporter that got a
 * 4xx its connection. */
static void take_data(mw_http1_session *session, mw_slice bytes)
{
    if (session->discarding) {
        session->discarded += bytes.len;
        if (session->discarded > MW_NET_DISCARD_MAX)
            finish(session, true);
        return;
    }
    if (!mw_exchange_body(session->current, bytes))
        send_refusal(session);
}

void mw_http1_session_resume_body(mw_http1_session *session)
{
    if (!mw_exchange_resume(session->current))
        send_refusal(session);
}

void mw_http1_session_refuse_body(mw_http1_session *session)
{
    mw_exchange_refuse_memory(session->current);
    send_refusal(session);
}

static void take_end(mw_http1_session *session)
{
    session->since_ns = mw_wire_now(session->wire);
    if (session->discarding) {
        session->discarding = false;
        return;
    }
    if (!mw_exchange_end(session->current)) {
        send_answer(session);
        if (session->close_after)
            finish(session, false);
    }
}

mw_slice mw_http1_session_receive(mw_http1_session *session, mw_slice in)
{
    mw_http1 *parser = &session->parser;
    mw_slice out;
    while (!mw_http1_session_blocked(session)) {
        if (in.len > 0 && mw_http1_idle(parser) && !session->current && !session->discarding)
            session->since_ns = mw_wire_now(session->wire);
        switch (mw_http1_next(parser, &in, &out)) {
        case MW_HTTP1_MORE: return in;
        case MW_HTTP1_HEAD: take_head(session, out); break;
        case MW_HTTP1_DATA: take_data(session, out); break;
        case MW_HTTP1_END: take_end(session); break;
        case MW_HTTP1_BAD: refuse_syntax(session); break;
        }
    }
    return in;
}

char *mw_http1_session_room(const mw_http1_session *session, size_t *size)
{
    uint64_t left = mw_http1_length_left(&session->parser);
    if (left == 0 || session->discarding || mw_http1_session_blocked(session))
        return NULL;
    char *at = mw_exchange_room(session->current, size);
    if (at && *size > left)
        *size = (size_t)left;
    return at;
}

void mw_http1_session_filled(mw_http1_session *session, size_t len)
{
    mw_http1_skip(&session->parser, len);
    mw_exchange_filled(session->current, len);
    mw_slice rest = mw_http1_session_receive(session, MW_SLICE(""));
    MW_ASSERT(rest.len == 0);
}

/* ---- events of the connection ---------------------------------------------------------------- */

void mw_http1_session_hung_up(mw_http1_session *session)
{
    if (session->current)
        atomic_store_explicit(&session->current->client, MW_CLIENT_HUNG_UP, memory_order_relaxed);
}

void mw_http1_session_eof(mw_http1_session *session)
{
    const mw_exchange *current = session->current;
    /* See stream.h: the reader of a stream without an end has no other way to say that it left. */
    if (mw_http1_session_streams(session) && current->state == MW_EXCHANGE_HANDLER)
        session->wire->broken = true;
    /* A client may shut down its sending side and still wait for the answer. */
    else if (current && (current->stream || current->state == MW_EXCHANGE_HANDLER ||
                         mw_exchange_waits(current)))
        session->close_after = true;
    else
        finish(session, false);
}

static void time_out(mw_http1_session *session, const char *message)
{
    session->close_after = true;
    mw_exchange_refuse_status(session->current, MW_COUNT_NET_REFUSED_TIMEOUT, 408, message);
    send_refusal(session);
}

/* Between requests: a new connection has the time of a head to say something, one that has been
 * served may rest much longer. */
static void sweep_idle(mw_http1_session *session, int64_t now_ns)
{
    bool idle = mw_http1_idle(&session->parser);
    int64_t bound = idle && session->served ? MW_NET_IDLE_TIMEOUT_NS : MW_NET_HEAD_TIMEOUT_NS;
    if (now_ns - session->since_ns < bound)
        return;
    if (!idle && !session->discarding)
        session->current = mw_exchange_new(session->wire);
    if (session->current)
        time_out(session, "The request's head did not come in time.");
    else
        finish(session, false);
}

/* What it puts into the queue leaves when the connection is settled. */
static void sweep_stream(const mw_http1_session *session, int64_t now_ns)
{
    mw_stream *stream = session->current->stream;
    if (session->wire->draining || session->wire->retiring)
        mw_stream_wind_up(stream);
    mw_stream_sweep(stream, now_ns);
}

void mw_http1_session_sweep(mw_http1_session *session, int64_t now_ns)
{
    mw_exchange *current = session->current;
    if (session->wire->finished)
        return;
    if (!current)
        sweep_idle(session, now_ns);
    else if (current->stream)
        sweep_stream(session, now_ns);
    else if (mw_exchange_is_slow(current, now_ns))
        time_out(session, "The request's body came too slowly.");
}

void mw_http1_session_drain(mw_http1_session *session)
{
    if (mw_http1_session_streams(session))
        mw_stream_wind_up(session->current->stream);
    if (!session->current && !session->discarding && mw_http1_idle(&session->parser))
        finish(session, false);
}
