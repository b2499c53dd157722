/* Answers of one HTTP/2 connection: heads as fields, bodies and pieces as DATA at nghttp2's pace,
 * gRPC's trailers. See http2_session_int.h; called by http2.c on the loop's thread. Nothing here
 * calls a handler or a writer back.
 */
#include "lib/net/http2_session_int.h"

void mw_http2_reset_stream(mw_http2_session *session, int32_t stream_id, uint32_t code)
{
    if (nghttp2_submit_rst_stream(session->nghttp2, NGHTTP2_FLAG_NONE, stream_id, code) != 0)
        session->wire->broken = true;
}

/* ---- answers --------------------------------------------------------------------------------- */

typedef struct mw_field_list {
    nghttp2_nv fields[MW_RESPONSE_HEADERS_MAX + MW_RESPONSE_HEADERS_NET + 6];
    size_t count;
} mw_field_list;

/* nghttp2 copies names and values. */
static void add_field(mw_field_list *list, mw_slice name, mw_slice value)
{
    MW_ASSERT(list->count < sizeof list->fields / sizeof *list->fields);
    list->fields[list->count++] =
        (nghttp2_nv){(uint8_t *)(uintptr_t)name.data, (uint8_t *)(uintptr_t)value.data, name.len,
                     value.len, NGHTTP2_NV_FLAG_NONE};
}

static void add_extra(mw_field_list *list, const mw_response *response)
{
    for (size_t i = 0; i < response->header_count; i++)
        add_field(list, response->headers[i].name, response->headers[i].value);
}

static bool is_grpc_success(const mw_exchange *exchange)
{
    return exchange->request.framing == MW_FRAMING_GRPC && exchange->response.rpc_code == MW_RPC_OK;
}

static size_t answer_size(const mw_exchange *exchange)
{
    return exchange->response.body.len + (is_grpc_success(exchange) ? MW_GRPC_PREFIX_SIZE : 0);
}

/* Copies the part of prefix and body that begins at exchange->sent. */
static size_t copy_answer(mw_exchange *exchange, uint8_t *out, size_t room)
{
    unsigned char prefix[MW_GRPC_PREFIX_SIZE] = {0};
    mw_slice body = exchange->response.body;
    size_t prefix_size = answer_size(exchange) - body.len;
    size_t made = 0;
    if (prefix_size)
        mw_grpc_prefix(body.len, prefix);
    while (exchange->sent < prefix_size && made < room)
        out[made++] = prefix[exchange->sent++];
    if (exchange->sent < prefix_size)
        return made;
    mw_slice rest = mw_slice_first(mw_slice_from(body, exchange->sent - prefix_size), room - made);
    if (rest.len)
        memcpy(out + made, rest.data, rest.len);
    exchange->sent += rest.len;
    return made + rest.len;
}

/* nghttp2 asks again once it is told that there is more. */
static ssize_t read_stream(mw_exchange *exchange, uint8_t *out, size_t room, uint32_t *flags)
{
    size_t made = mw_stream_read(exchange->stream, out, room);
    exchange->sent += made;
    if (mw_stream_is_complete(exchange->stream))
        *flags |= NGHTTP2_DATA_FLAG_EOF;
    else if (made == 0)
        return NGHTTP2_ERR_DEFERRED;
    return (ssize_t)made;
}

/* The body of an answer, at nghttp2's pace. A gRPC success ends with trailers, so its last DATA
 * frame does not end the stream. */
static ssize_t on_read_answer(nghttp2_session *nghttp2, int32_t stream_id, uint8_t *out,
                              size_t room, uint32_t *flags, nghttp2_data_source *source,
                              void *user_data)
{
    (void)user_data;
    mw_exchange *exchange = source->ptr;
    if (exchange->stream)
        return read_stream(exchange, out, room, flags);
    size_t made = copy_answer(exchange, out, room);
    if (exchange->sent < answer_size(exchange))
        return (ssize_t)made;
    *flags |= NGHTTP2_DATA_FLAG_EOF;
    if (!is_grpc_success(exchange))
        return (ssize_t)made;
    mw_field_list trailers = {.count = 0};
    add_field(&trailers, MW_SLICE("grpc-status"), MW_SLICE("0"));
    if (nghttp2_submit_trailer(nghttp2, stream_id, trailers.fields, trailers.count) != 0)
        return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
    *flags |= NGHTTP2_DATA_FLAG_NO_END_STREAM;
    return (ssize_t)made;
}

static int submit(mw_http2_session *session, mw_exchange *exchange, mw_field_list *list,
                  bool with_body)
{
    nghttp2_data_provider provider = {.source = {.ptr = exchange}, .read_callback = on_read_answer};
    return nghttp2_submit_response(session->nghttp2, exchange->stream_id, list->fields, list->count,
                                   with_body ? &provider : NULL);
}

static bool has_no_content(const mw_exchange *exchange)
{
    return exchange->response.status == 204 || exchange->response.status == 304;
}

static bool is_head_only(const mw_exchange *exchange)
{
    return has_no_content(exchange) || mw_slice_equal(exchange->request.method, MW_SLICE("HEAD"));
}

/* `length` is empty where the body has none that is known, or there is no body. */
static int submit_http(mw_http2_session *session, mw_exchange *exchange, mw_slice length,
                       bool with_body)
{
    const mw_response *response = &exchange->response;
    char status[16];
    mw_field_list list = {.count = 0};
    snprintf(status, sizeof status, "%u", response->status);
    mw_slice date = mw_wire_date(session->wire);
    add_field(&list, MW_SLICE(":status"), mw_slice_of(status));
    if (date.len)
        add_field(&list, MW_SLICE("date"), date);
    if (response->content_type.len)
        add_field(&list, MW_SLICE("content-type"), response->content_type);
    if (length.len)
        add_field(&list, MW_SLICE("content-length"), length);
    add_extra(&list, response);
    return submit(session, exchange, &list, with_body);
}

static int submit_whole(mw_http2_session *session, mw_exchange *exchange)
{
    char length[32];
    snprintf(length, sizeof length, "%zu", exchange->response.body.len);
    return submit_http(session, exchange,
                       has_no_content(exchange) ? MW_SLICE_NONE : mw_slice_of(length),
                       exchange->response.body.len > 0 && !is_head_only(exchange));
}

/* An error is trailers alone: one HEADERS frame that ends the stream. */
static int submit_grpc(mw_http2_session *session, mw_exchange *exchange)
{
    mw_response *response = &exchange->response;
    mw_arena *arena = &exchange->request.arena;
    char code[16];
    mw_field_list list = {.count = 0};
    add_field(&list, MW_SLICE(":status"), MW_SLICE("200"));
    add_field(&list, MW_SLICE("content-type"), MW_SLICE("application/grpc"));
    add_extra(&list, response);
    if (is_grpc_success(exchange))
        return submit(session, exchange, &list, true);
    response->body = MW_SLICE_NONE;
    snprintf(code, sizeof code, "%d", (int)response->rpc_code);
    /* nghttp2 copies them, once for each stream: a session that holds much already does without. */
    bool lean = session->memory > MW_HTTP2_SESSION_FAIR;
    mw_slice none = MW_SLICE_NONE;
    mw_slice message = lean ? none : mw_grpc_encode_message(arena, response->rpc_message);
    mw_slice details = lean ? none : mw_grpc_encode_details(arena, response->rpc_details);
    add_field(&list, MW_SLICE("grpc-status"), mw_slice_of(code));
    if (message.len)
        add_field(&list, MW_SLICE("grpc-message"), message);
    if (details.len)
        add_field(&list, MW_SLICE("grpc-status-details-bin"), details);
    return submit(session, exchange, &list, false);
}

void mw_http2_send_answer(mw_http2_session *session, mw_exchange *exchange)
{
    MW_ASSERT(exchange->state == MW_EXCHANGE_ANSWER && !exchange->gone);
    bool grpc = exchange->request.framing == MW_FRAMING_GRPC;
    exchange->window_ns = mw_wire_now(session->wire);
    exchange->window_received = exchange->sent = 0;
    int result = grpc ? submit_grpc(session, exchange) : submit_whole(session, exchange);
    if (result != 0)
        mw_http2_reset_stream(session, exchange->stream_id, NGHTTP2_INTERNAL_ERROR);
}

void mw_http2_send_continue(mw_http2_session *session, const mw_exchange *exchange)
{
    mw_field_list list = {.count = 0};
    add_field(&list, MW_SLICE(":status"), MW_SLICE("100"));
    if (nghttp2_submit_headers(session->nghttp2, NGHTTP2_FLAG_NONE, exchange->stream_id, NULL,
                               list.fields, list.count, NULL) < 0)
        session->wire->broken = true;
}

/* ---- answers in pieces ----------------------------------------------------------------------- */

/* Fails when nothing was deferred: nghttp2 still has the last piece. */
void mw_http2_resume_stream(mw_http2_session *session, const mw_exchange *exchange)
{
    (void)nghttp2_session_resume_data(session->nghttp2, exchange->stream_id);
}

void mw_http2_begin_stream(mw_http2_session *session, mw_exchange *exchange)
{
    mw_stream *stream = exchange->stream;
    bool head_only = is_head_only(exchange);
    stream->head_sent = true;
    exchange->window_ns = mw_wire_now(session->wire);
    exchange->window_received = exchange->sent = 0;
    if (head_only)
        mw_stream_cut(stream);
    if (submit_http(session, exchange, MW_SLICE_NONE, !head_only) != 0)
        mw_http2_reset_stream(session, exchange->stream_id, NGHTTP2_INTERNAL_ERROR);
}
