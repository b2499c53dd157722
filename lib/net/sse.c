/* Server-sent events. See sse.h. The writer has no state; the rest belongs to the stream. */
#include "lib/net/sse.h"

/* Length of the line end at `at`: "\r\n", "\r" or "\n"; 0 = none. */
static size_t line_end(mw_slice text, size_t at)
{
    if (text.data[at] == '\n')
        return 1;
    if (text.data[at] != '\r')
        return 0;
    return at + 1 < text.len && text.data[at + 1] == '\n' ? 2 : 1;
}

/* Every line of `text` behind `prefix`; a text without any is one empty line. */
static void append_lines(mw_buffer *out, mw_slice prefix, mw_slice text)
{
    size_t start = 0;
    for (size_t at = 0; at < text.len;) {
        size_t end = line_end(text, at);
        if (end == 0) {
            at++;
            continue;
        }
        mw_buffer_append_slice(out, prefix);
        mw_buffer_append(out, text.data + start, at - start);
        mw_buffer_append_byte(out, '\n');
        at += end;
        start = at;
    }
    mw_buffer_append_slice(out, prefix);
    mw_buffer_append_slice(out, mw_slice_from(text, start));
    mw_buffer_append_byte(out, '\n');
}

static bool is_one_line(mw_slice text)
{
    return mw_slice_find_byte(text, '\n') == text.len && mw_slice_find_byte(text, '\r') == text.len;
}

mw_err mw_sse_append(mw_buffer *out, const mw_sse_event *event)
{
    /* A client ignores an id with NUL, and would then come back to an older event. */
    if (!is_one_line(event->id) || !is_one_line(event->name) ||
        mw_slice_find_byte(event->id, '\0') != event->id.len)
        return MW_E_INVALID;
    if (event->id.data)
        append_lines(out, MW_SLICE("id: "), event->id);
    if (event->name.len)
        append_lines(out, MW_SLICE("event: "), event->name);
    if (event->retry_ms)
        mw_buffer_appendf(out, "retry: %u\n", (unsigned)event->retry_ms);
    if (event->data.data)
        append_lines(out, MW_SLICE("data: "), event->data);
    mw_buffer_append_byte(out, '\n');
    return out->err;
}

mw_err mw_sse_append_comment(mw_buffer *out, mw_slice text)
{
    append_lines(out, MW_SLICE(": "), text);
    mw_buffer_append_byte(out, '\n');
    return out->err;
}

mw_slice mw_sse_last_event_id(const mw_request *request)
{
    return mw_request_header(request, MW_SLICE("last-event-id"), NULL);
}

mw_err mw_sse_begin(mw_request *request, const mw_sse_listener *listener, const mw_response *extra,
                    mw_stream **out)
{
    mw_response head = extra ? *extra : (mw_response){.status = 200};
    head.status = 200;
    head.content_type = MW_SLICE("text/event-stream");
    mw_response_header(&head, MW_SLICE("cache-control"), MW_SLICE("no-store"));
    /* nginx would hold events back until its buffer is full. */
    mw_response_header(&head, MW_SLICE("x-accel-buffering"), MW_SLICE("no"));
    mw_stream_options options = {.on_event = listener->on_event,
                                 .ctx = listener->ctx,
                                 .group = listener->group,
                                 .keep_alive = MW_SLICE(": still here\n\n"),
                                 .follows = true};
    return mw_stream_begin(request, &head, &options, out);
}

mw_err mw_sse_send(mw_stream *stream, const mw_sse_event *event)
{
    mw_buffer text;
    mw_buffer_init(&text, MW_MEM_NET, MW_SSE_EVENT_MAX);
    mw_err err = mw_sse_append(&text, event);
    if (err == MW_OK)
        err = mw_stream_write(stream, mw_buffer_slice(&text));
    mw_buffer_fini(&text);
    return err;
}

/* Of a text that is too large for one piece: several fit the queue, so that it never runs dry. */
#define PART_SIZE ((size_t)64 << 10)

mw_err mw_sse_put(mw_stream *stream, mw_slice text, size_t *sent)
{
    size_t most = text.len <= MW_STREAM_PIECE_MAX ? MW_STREAM_PIECE_MAX : PART_SIZE;
    mw_err err = MW_OK;
    while (err == MW_OK && *sent < text.len) {
        mw_slice rest = mw_slice_from(text, *sent);
        mw_slice piece = mw_slice_first(rest, most);
        err = piece.len < rest.len ? mw_stream_write_part(stream, piece)
                                   : mw_stream_write(stream, piece);
        if (err == MW_OK)
            *sent += piece.len;
    }
    return err;
}
