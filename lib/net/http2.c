/* One HTTP/2 connection. See http2_int.h.
 *
 * Reading order: list of exchanges, requests in (nghttp2's callbacks), set-up, the session's own
 * functions; answers out are in http2_answer.c. Callbacks run inside nghttp2_session_mem_recv and
 * _mem_send; handlers are called from there, their replies never come back inside (they wait in
 * the loop's list).
 */
#include <malloc.h>
#include <nghttp2/nghttp2.h>

#include "lib/net/admission_int.h"
#include "lib/net/http2_session_int.h"

struct mw_http2_setup {
    nghttp2_session_callbacks *callbacks;
    nghttp2_option *option;
};

/* ---- memory ---------------------------------------------------------------------------------- */

static bool over_share(size_t more)
{
    return mw_memory_component_used(MW_MEM_NGHTTP2) + more > MW_HTTP2_SHARE(mw_memory_ceiling());
}

static bool too_large(const mw_http2_session *session)
{
    return session->memory > MW_HTTP2_SESSION_MAX ||
           (session->memory > MW_HTTP2_SESSION_FAIR && over_share(0));
}

/* ---- exchanges ------------------------------------------------------------------------------- */

static void link_exchange(mw_http2_session *session, mw_exchange *exchange)
{
    exchange->next = session->exchanges;
    if (exchange->next)
        exchange->next->previous = exchange;
    session->exchanges = exchange;
}

static void unlink_exchange(mw_http2_session *session, mw_exchange *exchange)
{
    if (exchange->next)
        exchange->next->previous = exchange->previous;
    if (exchange->previous)
        exchange->previous->next = exchange->next;
    else
        session->exchanges = exchange->next;
    exchange->next = exchange->previous = NULL;
    if (!session->exchanges)
        session->since_ns = mw_wire_now(session->wire);
}

static mw_exchange *exchange_of(mw_http2_session *session, int32_t stream_id)
{
    return nghttp2_session_get_stream_user_data(session->nghttp2, stream_id);
}

void mw_http2_session_stream(mw_http2_session *session, mw_exchange *exchange)
{
    if (!exchange->gone) {
        if (exchange->stream->head_sent)
            mw_http2_resume_stream(session, exchange);
        else
            mw_http2_begin_stream(session, exchange);
    } else if (exchange->state == MW_EXCHANGE_ANSWER) {
        unlink_exchange(session, exchange);
        mw_exchange_free(exchange);
    }
}

void mw_http2_session_reply(mw_http2_session *session, mw_exchange *exchange)
{
    if (!exchange->gone) {
        mw_http2_send_answer(session, exchange);
        return;
    }
    unlink_exchange(session, exchange);
    mw_exchange_free(exchange);
}

/* ---- requests -------------------------------------------------------------------------------- */

static int on_begin_headers(nghttp2_session *nghttp2, const nghttp2_frame *frame, void *user_data)
{
    mw_http2_session *session = user_data;
    mw_wire *wire = session->wire;
    if (frame->hd.type != NGHTTP2_HEADERS || frame->headers.cat != NGHTTP2_HCAT_REQUEST)
        return 0;
    int32_t id = frame->hd.stream_id;
    bool room = wire->handed < MW_HTTP2_HANDED_MAX && mw_memory_admits(MW_HTTP2_STREAM_COST) &&
                !over_share(0);
    mw_exchange *exchange = room ? mw_exchange_new(wire) : NULL;
    if (!exchange) {
        /* "Nothing processed": clients may send it again at once. */
        mw_count(MW_COUNT_NET_REFUSED_MEMORY, 1);
        mw_http2_reset_stream(session, id, NGHTTP2_REFUSED_STREAM);
        return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
    }
    exchange->stream_id = id;
    exchange->request.http_version = 2;
    exchange->window_ns = mw_wire_now(wire);
    link_exchange(session, exchange);
    nghttp2_session_set_stream_user_data(nghttp2, id, exchange);
    return 0;
}

static bool store_pseudo(mw_request *request, mw_slice name, mw_slice value)
{
    if (mw_slice_equal(name, MW_SLICE(":method")))
        request->method = value;
    else if (mw_slice_equal(name, MW_SLICE(":path")))
        request->target = value;
    else if (mw_slice_equal(name, MW_SLICE(":authority")))
        request->authority = value;
    return mw_slice_starts(name, MW_SLICE(":"));
}

/* Doubled in the arena; what is left behind is less than the array itself. */
static bool grow_headers(mw_exchange *exchange)
{
    mw_request *request = &exchange->request;
    if (request->header_count < exchange->header_capacity)
        return true;
    size_t capacity = exchange->header_capacity ? exchange->header_capacity * 2 : 16;
    mw_header *headers = mw_arena_alloc(&request->arena, capacity * sizeof *headers);
    if (!headers)
        return false;
    if (request->header_count)
        memcpy(headers, request->headers, request->header_count * sizeof *headers);
    request->headers = headers;
    exchange->header_capacity = capacity;
    return true;
}

/* False without memory. */
static bool store_field(mw_exchange *exchange, mw_slice name, mw_slice value)
{
    mw_request *request = &exchange->request;
    name = mw_arena_copy(&request->arena, name);
    value = mw_arena_copy(&request->arena, mw_slice_trim(value));
    if (!name.data || !value.data)
        return false;
    if (store_pseudo(request, name, value))
        return true;
    if (mw_slice_equal(name, MW_SLICE("host"))) {
        if (request->authority.len && !mw_slice_equal(request->authority, value))
            exchange->head_status = 400;
        request->authority = value;
    }
    if (!grow_headers(exchange))
        return false;
    /* grow_headers made the array; only the request's view of it is const. */
    ((mw_header *)(uintptr_t)request->headers)[request->header_count++] = (mw_header){name, value};
    return true;
}

static int on_header(nghttp2_session *nghttp2, const nghttp2_frame *frame, const uint8_t *name,
                     size_t name_len, const uint8_t *value, size_t value_len, uint8_t flags,
                     void *user_data)
{
    (void)nghttp2, (void)flags;
    mw_http2_session *session = user_data;
    mw_exchange *exchange = exchange_of(session, frame->hd.stream_id);
    if (!exchange || exchange->state != MW_EXCHANGE_HEAD || exchange->head_status)
        return 0; /* trailers, or a head that is refused already */
    /* The size HPACK counts (RFC 7541 4.1), which SETTINGS announced. */
    exchange->head_bytes += name_len + value_len + 32;
    if (exchange->head_bytes > MW_NET_HEAD_MAX ||
        exchange->request.header_count >= MW_NET_HEADERS_MAX) {
        exchange->head_status = 431;
        return 0;
    }
    if (store_field(exchange, mw_slice_bytes(name, name_len), mw_slice_bytes(value, value_len)))
        return 0;
    mw_count(MW_COUNT_NET_REFUSED_MEMORY, 1);
    mw_http2_reset_stream(session, exchange->stream_id, NGHTTP2_REFUSED_STREAM);
    return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
}

/* nghttp2 would drop the one header and go on: two readers could see two requests. */
static int on_invalid_header(nghttp2_session *nghttp2, const nghttp2_frame *frame,
                             const uint8_t *name, size_t name_len, const uint8_t *value,
                             size_t value_len, uint8_t flags, void *user_data)
{
    (void)nghttp2, (void)name, (void)name_len, (void)value, (void)value_len, (void)flags;
    mw_http2_session *session = user_data;
    mw_count(MW_COUNT_NET_REFUSED_SYNTAX, 1);
    mw_http2_reset_stream(session, frame->hd.stream_id, NGHTTP2_PROTOCOL_ERROR);
    return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
}

static bool head_is_good(mw_exchange *exchange)
{
    mw_request *request = &exchange->request;
    if (exchange->head_status == 431)
        mw_exchange_refuse_status(exchange, MW_COUNT_NET_REFUSED_SIZE, 431,
                                  "Headers are larger than 32 KiB or more than 128.");
    else if (exchange->head_status != 0)
        mw_exchange_refuse_status(exchange, MW_COUNT_NET_REFUSED_SYNTAX, exchange->head_status,
                                  "Host and :authority differ.");
    else if (!mw_request_set_target(request, request->target))
        mw_exchange_refuse_status(exchange, MW_COUNT_NET_REFUSED_SYNTAX, 400,
                                  "The request target is malformed.");
    else
        return true;
    return false;
}

static uint64_t announced_length(const mw_exchange *exchange, bool ended)
{
    uint64_t length = 0;
    mw_slice value = mw_request_header(&exchange->request, MW_SLICE("content-length"), NULL);
    if (ended)
        return 0;
    return mw_slice_u64(value, &length) == MW_OK ? length : MW_LENGTH_UNKNOWN;
}

static void request_ended(mw_http2_session *session, mw_exchange *exchange)
{
    if (exchange->state == MW_EXCHANGE_BODY && !mw_exchange_end(exchange))
        mw_http2_send_answer(session, exchange);
}

/* Refusals go out at once, while the body may still be coming: see on_frame_send. */
static void head_complete(mw_http2_session *session, mw_exchange *exchange, bool ended)
{
    if (!head_is_good(exchange) ||
        !mw_exchange_begin(exchange, announced_length(exchange, ended))) {
        mw_http2_send_answer(session, exchange);
        return;
    }
    if (ended) {
        request_ended(session, exchange);
        return;
    }
    mw_slice expect = mw_request_header(&exchange->request, MW_SLICE("expect"), NULL);
    if (mw_slice_equal_nocase(expect, MW_SLICE("100-continue")))
        mw_http2_send_continue(session, exchange);
}

/* Frames that cost us work and bring nothing: a peer that sends them without end is told off. */
static void count_control(mw_http2_session *session)
{
    if (++session->control == MW_HTTP2_CONTROL_MAX)
        nghttp2_session_terminate_session(session->nghttp2, NGHTTP2_ENHANCE_YOUR_CALM);
}

/* What is in flight is still answered; a client that goes on pinging meets count_control. */
static void count_ping(mw_http2_session *session)
{
    static const char why[] = "too_many_pings";
    nghttp2_session *nghttp2 = session->nghttp2;
    if (!mw_ping_guard_strikes_out(&session->pings, mw_wire_now(session->wire)) ||
        session->goaway_final)
        return;
    session->goaway_sent = session->goaway_final = session->told_off = true;
    mw_count(MW_COUNT_NET_REFUSED_SYNTAX, 1);
    if (nghttp2_submit_goaway(nghttp2, NGHTTP2_FLAG_NONE,
                              nghttp2_session_get_last_proc_stream_id(nghttp2),
                              NGHTTP2_ENHANCE_YOUR_CALM, (const uint8_t *)why, sizeof why - 1) != 0)
        session->wire->broken = true;
}

static bool is_control(const nghttp2_frame *frame)
{
    switch (frame->hd.type) {
    case NGHTTP2_PING:
    case NGHTTP2_SETTINGS: return (frame->hd.flags & NGHTTP2_FLAG_ACK) == 0;
    /* nghttp2 has a limit of its own for these, over minutes; its answer is INTERNAL_ERROR. */
    case NGHTTP2_RST_STREAM: return true;
    case NGHTTP2_DATA:
        return frame->hd.length == 0 && (frame->hd.flags & NGHTTP2_FLAG_END_STREAM) == 0;
    default: return false;
    }
}

/* Before nghttp2 has read the payload. PRIORITY is only ever seen here: what it says is
 * ignored (RFC 9113 5.3.2), so nghttp2 does not report it further. */
static int on_begin_frame(nghttp2_session *nghttp2, const nghttp2_frame_hd *head, void *user_data)
{
    mw_http2_session *session = user_data;
    uint32_t error =
        mw_http2_guard_frame(&session->guard, head->type, head->flags, head->stream_id);
    if (error == NGHTTP2_NO_ERROR) {
        if (head->type == NGHTTP2_PRIORITY)
            count_control(session);
        return 0;
    }
    mw_count(MW_COUNT_NET_REFUSED_SYNTAX, 1);
    return nghttp2_session_terminate_session(nghttp2, error);
}

static int on_frame_recv(nghttp2_session *nghttp2, const nghttp2_frame *frame, void *user_data)
{
    (void)nghttp2;
    mw_http2_session *session = user_data;
    if (is_control(frame))
        count_control(session);
    if (frame->hd.type == NGHTTP2_PING && is_control(frame))
        count_ping(session);
    if (frame->hd.type != NGHTTP2_HEADERS && frame->hd.type != NGHTTP2_DATA)
        return 0;
    mw_ping_guard_reset(&session->pings);
    mw_exchange *exchange = exchange_of(session, frame->hd.stream_id);
    bool ended = (frame->hd.flags & NGHTTP2_FLAG_END_STREAM) != 0;
    if (!exchange)
        return 0;
    if (exchange->state == MW_EXCHANGE_HEAD)
        head_complete(session, exchange, ended);
    else if (ended)
        request_ended(session, exchange);
    return 0;
}

/* Flow control is nghttp2's: windows are opened again as bytes are taken, and what is taken is
 * bounded by the routes' limits and by admission. */
static int on_data(nghttp2_session *nghttp2, uint8_t flags, int32_t stream_id, const uint8_t *data,
                   size_t len, void *user_data)
{
    (void)nghttp2, (void)flags;
    mw_http2_session *session = user_data;
    mw_exchange *exchange = exchange_of(session, stream_id);
    if (exchange && exchange->state == MW_EXCHANGE_BODY &&
        !mw_exchange_body(exchange, mw_slice_bytes(data, len)))
        mw_http2_send_answer(session, exchange);
    return session->wire->waiting > 0 ? NGHTTP2_ERR_PAUSE : 0;
}

/* The end of a stream, whoever ended it: by answer, reset or protocol error. */
static int on_stream_close(nghttp2_session *nghttp2, int32_t stream_id, uint32_t code,
                           void *user_data)
{
    (void)nghttp2, (void)code;
    mw_http2_session *session = user_data;
    mw_exchange *exchange = exchange_of(session, stream_id);
    if (!exchange)
        return 0;
    if (exchange->state == MW_EXCHANGE_HANDLER) {
        exchange->gone = true; /* freed when the reply comes, or the stream's end */
        if (exchange->stream)
            mw_stream_tell(exchange->stream, MW_STREAM_GONE);
        return 0;
    }
    unlink_exchange(session, exchange);
    mw_exchange_encoded(exchange);
    mw_exchange_free(exchange);
    return 0;
}

static int on_frame_send(nghttp2_session *nghttp2, const nghttp2_frame *frame, void *user_data)
{
    mw_http2_session *session = user_data;
    uint8_t type = frame->hd.type;
    if (type == NGHTTP2_RST_STREAM && frame->rst_stream.error_code != NGHTTP2_NO_ERROR)
        count_control(session);
    if (type == NGHTTP2_HEADERS || type == NGHTTP2_DATA)
        mw_ping_guard_reset(&session->pings);
    if ((type != NGHTTP2_HEADERS && type != NGHTTP2_DATA) ||
        (frame->hd.flags & NGHTTP2_FLAG_END_STREAM) == 0)
        return 0;
    /* The answer is complete and the request is not: the client may stop sending. */
    if (nghttp2_session_get_stream_remote_close(nghttp2, frame->hd.stream_id) == 0)
        mw_http2_reset_stream(session, frame->hd.stream_id, NGHTTP2_NO_ERROR);
    return 0;
}

/* ---- set-up ---------------------------------------------------------------------------------- */

static void set_callbacks(nghttp2_session_callbacks *callbacks)
{
    nghttp2_session_callbacks_set_on_begin_frame_callback(callbacks, on_begin_frame);
    nghttp2_session_callbacks_set_on_begin_headers_callback(callbacks, on_begin_headers);
    nghttp2_session_callbacks_set_on_header_callback(callbacks, on_header);
    nghttp2_session_callbacks_set_on_invalid_header_callback(callbacks, on_invalid_header);
    nghttp2_session_callbacks_set_on_frame_recv_callback(callbacks, on_frame_recv);
    nghttp2_session_callbacks_set_on_data_chunk_recv_callback(callbacks, on_data);
    nghttp2_session_callbacks_set_on_stream_close_callback(callbacks, on_stream_close);
    nghttp2_session_callbacks_set_on_frame_send_callback(callbacks, on_frame_send);
}

static void set_options(nghttp2_option *option)
{
    nghttp2_option_set_no_closed_streams(option, 1);
    nghttp2_option_set_max_settings(option, MW_HTTP2_SETTINGS_MAX);
    nghttp2_option_set_max_outbound_ack(option, MW_HTTP2_ACKS_MAX);
    nghttp2_option_set_max_continuations(option, MW_HTTP2_CONTINUATIONS_MAX);
    nghttp2_option_set_stream_reset_rate_limit(option, MW_HTTP2_RESETS_BURST, MW_HTTP2_RESETS_RATE);
    /* Blanks around a value are trimmed, as in HTTP/1: hand-written exporter headers have them. */
    nghttp2_option_set_no_rfc9113_leading_and_trailing_ws_validation(option, 1);
}

mw_http2_setup *mw_http2_setup_new(void)
{
    mw_http2_setup *setup = mw_calloc(MW_MEM_NGHTTP2, 1, sizeof *setup);
    if (!setup)
        return NULL;
    if (nghttp2_session_callbacks_new(&setup->callbacks) != 0 ||
        nghttp2_option_new(&setup->option) != 0) {
        mw_http2_setup_free(setup);
        return NULL;
    }
    set_callbacks(setup->callbacks);
    set_options(setup->option);
    return setup;
}

void mw_http2_setup_free(mw_http2_setup *setup)
{
    if (!setup)
        return;
    nghttp2_option_del(setup->option);
    nghttp2_session_callbacks_del(setup->callbacks);
    mw_free(MW_MEM_NGHTTP2, setup);
}

/* nghttp2 is counted but never refused: 1.52 keeps a pointer to a freed frame when the push of a
 * DATA item onto its queue fails for memory (nghttp2_submit_data; found by test_torture), so a
 * refusal here would be a use after free that a peer can bring about. What it holds is bounded by
 * the options above, new sessions and streams are only begun when memory admits them, and a session
 * that holds too much is ended (too_large). */
static void *memory_malloc(size_t size, void *user_data)
{
    mw_http2_session *session = user_data;
    void *pointer = mw_alloc_or_die(MW_MEM_NGHTTP2, size);
    session->memory += malloc_usable_size(pointer);
    return pointer;
}

static void memory_free(void *pointer, void *user_data)
{
    mw_http2_session *session = user_data;
    if (pointer)
        session->memory -= malloc_usable_size(pointer);
    mw_free(MW_MEM_NGHTTP2, pointer);
}

static void *memory_calloc(size_t count, size_t size, void *user_data)
{
    mw_http2_session *session = user_data;
    void *pointer = mw_calloc_or_die(MW_MEM_NGHTTP2, count, size);
    session->memory += malloc_usable_size(pointer);
    return pointer;
}

static void *memory_realloc(void *pointer, size_t size, void *user_data)
{
    size_t before = pointer ? malloc_usable_size(pointer) : 0;
    void *moved = memory_malloc(size, user_data);
    if (pointer)
        memcpy(moved, pointer, before < size ? before : size);
    memory_free(pointer, user_data);
    return moved;
}

/* ---- the session ----------------------------------------------------------------------------- */

static int announce(nghttp2_session *nghttp2)
{
    const nghttp2_settings_entry settings[] = {
        {NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS, MW_HTTP2_STREAMS_MAX},
        {NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, (uint32_t)MW_HTTP2_STREAM_WINDOW},
        {NGHTTP2_SETTINGS_MAX_HEADER_LIST_SIZE, (uint32_t)MW_NET_HEAD_MAX},
        {NGHTTP2_SETTINGS_NO_RFC7540_PRIORITIES, 1},
    };
    int result = nghttp2_submit_settings(nghttp2, NGHTTP2_FLAG_NONE, settings,
                                         sizeof settings / sizeof *settings);
    return result != 0 ? result
                       : nghttp2_session_set_local_window_size(nghttp2, NGHTTP2_FLAG_NONE, 0,
                                                               (int32_t)MW_HTTP2_CONNECTION_WINDOW);
}

mw_http2_session *mw_http2_session_new(mw_wire *wire)
{
    const mw_http2_setup *setup = wire->front->http2;
    bool room = mw_memory_admits(MW_HTTP2_SESSION_COST) && !over_share(MW_HTTP2_SESSION_FAIR);
    mw_http2_session *session = room ? mw_calloc(MW_MEM_NET, 1, sizeof *session) : NULL;
    if (!session)
        return NULL;
    session->wire = wire;
    session->since_ns = mw_wire_now(wire);
    nghttp2_mem accounted = {session, memory_malloc, memory_free, memory_calloc, memory_realloc};
    if (nghttp2_session_server_new3(&session->nghttp2, setup->callbacks, session, setup->option,
                                    &accounted) != 0) {
        mw_free(MW_MEM_NET, session);
        return NULL;
    }
    if (announce(session->nghttp2) != 0) {
        mw_http2_session_free(session);
        return NULL;
    }
    return session;
}

/* nghttp2 goes first: it calls nothing back, and no stream points at an exchange after it. */
void mw_http2_session_free(mw_http2_session *session)
{
    if (!session)
        return;
    nghttp2_session_del(session->nghttp2);
    for (mw_exchange *exchange = session->exchanges; exchange;) {
        mw_exchange *next = exchange->next;
        exchange->next = exchange->previous = NULL;
        mw_exchange_abandon(exchange);
        exchange = next;
    }
    mw_free(MW_MEM_NET, session);
}

static void end_session(mw_http2_session *session)
{
    session->wire->finished = true;
    /* After an orderly GOAWAY there is nothing left for the peer to read or to say. */
    session->wire->linger = !session->goaway_final || session->told_off;
}

static const mw_slice nothing = MW_SLICE_INIT("");

mw_slice mw_http2_session_receive(mw_http2_session *session, mw_slice in)
{
    ssize_t taken = nghttp2_session_mem_recv(session->nghttp2, (const uint8_t *)in.data, in.len);
    if (taken >= 0)
        return mw_slice_from(in, (size_t)taken);
    mw_count(MW_COUNT_NET_REFUSED_SYNTAX, 1);
    bool flooded = taken == NGHTTP2_ERR_FLOODED || taken == NGHTTP2_ERR_TOO_MANY_CONTINUATIONS;
    uint32_t code = flooded ? NGHTTP2_ENHANCE_YOUR_CALM : NGHTTP2_INTERNAL_ERROR;
    if (taken == NGHTTP2_ERR_NOMEM ||
        nghttp2_session_terminate_session(session->nghttp2, code) != 0)
        session->wire->broken = true;
    mw_http2_session_pump(session);
    end_session(session);
    return nothing;
}

void mw_http2_session_resume_body(mw_http2_session *session, mw_exchange *exchange)
{
    if (!mw_exchange_resume(exchange))
        mw_http2_send_answer(session, exchange);
}

void mw_http2_session_refuse_body(mw_http2_session *session, mw_exchange *exchange)
{
    mw_exchange_refuse_memory(exchange);
    mw_http2_send_answer(session, exchange);
}

mw_exchange *mw_http2_session_find_stalled(mw_http2_session *session, int64_t now_ns)
{
    mw_exchange *least = NULL;
    for (mw_exchange *at = session->exchanges; at; at = at->next)
        if (mw_admission_is_stalled(at, now_ns) && (!least || at->received < least->received))
            least = at;
    return least;
}

static void wind_up(mw_http2_session *session, mw_exchange *exchange)
{
    mw_stream_wind_up(exchange->stream);
    mw_http2_resume_stream(session, exchange);
}

static void move_frames(mw_http2_session *session)
{
    mw_wire *wire = session->wire;
    while (wire->out.bytes < MW_NET_OUT_HIGH && !wire->broken) {
        const uint8_t *data = NULL;
        ssize_t len = nghttp2_session_mem_send(session->nghttp2, &data);
        if (len < 0)
            wire->broken = true;
        if (len <= 0)
            break;
        mw_out_queue_append(&wire->out, mw_slice_bytes(data, (size_t)len));
    }
}

/* What it holds once all that can be sent is sent is there because of the peer. */
static void end_if_too_large(mw_http2_session *session)
{
    mw_wire *wire = session->wire;
    if (!too_large(session) || wire->finished)
        return;
    mw_count(MW_COUNT_NET_REFUSED_MEMORY, 1);
    /* The session is freed once all is written: not with a peer that does not read. */
    if (wire->out.bytes > MW_NET_OUT_LOW)
        wire->broken = true;
    if (nghttp2_session_terminate_session(session->nghttp2, NGHTTP2_ENHANCE_YOUR_CALM) != 0)
        wire->broken = true;
    move_frames(session);
    end_session(session);
}

void mw_http2_session_pump(mw_http2_session *session)
{
    move_frames(session);
    end_if_too_large(session);
    /* Between the two GOAWAYs nghttp2 is content to end, but a request may be on its way. */
    bool between = session->goaway_sent && !session->goaway_final;
    if (!between && !nghttp2_session_want_read(session->nghttp2) &&
        !nghttp2_session_want_write(session->nghttp2))
        end_session(session);
}

void mw_http2_session_drain(mw_http2_session *session)
{
    for (mw_exchange *at = session->exchanges; at; at = at->next)
        if (at->stream)
            wind_up(session, at);
    if (session->goaway_sent)
        return;
    session->goaway_sent = true;
    session->goaway_ns = mw_wire_now(session->wire);
    if (nghttp2_submit_shutdown_notice(session->nghttp2) != 0)
        session->wire->broken = true;
}

static void final_goaway(mw_http2_session *session)
{
    nghttp2_session *nghttp2 = session->nghttp2;
    session->goaway_final = true;
    if (nghttp2_submit_goaway(nghttp2, NGHTTP2_FLAG_NONE,
                              nghttp2_session_get_last_proc_stream_id(nghttp2), NGHTTP2_NO_ERROR,
                              NULL, 0) != 0)
        session->wire->broken = true;
}

/* An answer that the peer's window holds back. */
static bool is_stalled(mw_exchange *exchange, int64_t now_ns)
{
    bool answering = exchange->state == MW_EXCHANGE_ANSWER || exchange->stream;
    if (!answering || exchange->gone || now_ns - exchange->window_ns < MW_NET_WRITE_TIMEOUT_NS)
        return false;
    bool stalled = exchange->sent == exchange->window_received;
    exchange->window_ns = now_ns;
    exchange->window_received = exchange->sent;
    return stalled;
}

/* Quiet is not stalled. */
static void sweep_stream(mw_http2_session *session, mw_exchange *exchange, int64_t now_ns)
{
    if (mw_stream_is_waiting(exchange->stream))
        return;
    exchange->window_ns = now_ns;
    exchange->window_received = exchange->sent;
    if (mw_stream_sweep(exchange->stream, now_ns))
        mw_http2_resume_stream(session, exchange);
}

static void sweep_exchange(mw_http2_session *session, mw_exchange *exchange, int64_t now_ns)
{
    if (exchange->stream)
        sweep_stream(session, exchange, now_ns);
    if (exchange->state == MW_EXCHANGE_HEAD) {
        /* CONTINUATION is missing, and until it comes no other frame may. */
        if (now_ns - exchange->window_ns < MW_NET_HEAD_TIMEOUT_NS)
            return;
        mw_count(MW_COUNT_NET_REFUSED_TIMEOUT, 1);
        end_session(session);
    } else if (mw_exchange_is_slow(exchange, now_ns)) {
        mw_exchange_refuse_status(exchange, MW_COUNT_NET_REFUSED_TIMEOUT, 408,
                                  "The request's body came too slowly.");
        mw_http2_send_answer(session, exchange);
    } else if (is_stalled(exchange, now_ns)) {
        mw_count(MW_COUNT_NET_REFUSED_TIMEOUT, 1);
        mw_http2_reset_stream(session, exchange->stream_id, NGHTTP2_CANCEL);
    }
}

void mw_http2_session_sweep(mw_http2_session *session, int64_t now_ns)
{
    session->control = 0;
    /* Nothing in here frees an exchange: nghttp2 closes streams when it sends. */
    for (mw_exchange *exchange = session->exchanges; exchange; exchange = exchange->next)
        sweep_exchange(session, exchange, now_ns);
    if (!session->exchanges && now_ns - session->since_ns >= MW_NET_IDLE_TIMEOUT_NS)
        mw_http2_session_drain(session);
    if (session->goaway_sent && !session->goaway_final &&
        now_ns - session->goaway_ns >= MW_NET_GOAWAY_NS)
        final_goaway(session);
}
