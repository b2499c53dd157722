/* Server-sent events over a stream (HTML standard, "Server-sent events"; see stream.h).
 *
 * The first half is a pure writer: events as text into a buffer. The second puts it on a stream
 * whose head and keep-alive are right for events. One event is one piece, or several that belong
 * together, so a comment that keeps the line alive never cuts an event in two. When the server
 * stops or the connection is old, net ends such a stream in order; a browser's EventSource comes
 * back by itself and says in Last-Event-ID which event was the last it saw.
 *
 * Each field of an event is one line, "name: value"; a blank line ends the event:
 *
 *     id: 42              remembered by the client; empty forgets
 *     event: log          the type; "message" when absent
 *     retry: 5000         milliseconds until the client comes back
 *     data: first line    lines of data are joined by line feeds
 *     data: second line
 *     (blank line)
 */
#ifndef MW_NET_SSE_H
#define MW_NET_SSE_H

#include "lib/base/buffer.h"
#include "lib/net/stream.h"

/* What one event may come to as text when it is sent as one piece. */
#define MW_SSE_EVENT_MAX MW_STREAM_PIECE_MAX

typedef struct mw_sse_event {
    mw_slice id;       /* data NULL: no line. Without NUL, CR, LF */
    mw_slice name;     /* empty: no line. Without CR, LF */
    mw_slice data;     /* data NULL: no line, and the client's code sees no event */
    uint32_t retry_ms; /* 0: no line */
} mw_sse_event;

/* Appends the event. CR LF, CR and LF in the data all begin a new line; clients see LF.
 * MW_E_INVALID (id or name would break their line; nothing was appended), or the buffer's error. */
MW_MUST_USE mw_err mw_sse_append(mw_buffer *out, const mw_sse_event *event);
/* Appends a comment, which clients drop, a line each. Errors are the buffer's. */
MW_MUST_USE mw_err mw_sse_append_comment(mw_buffer *out, mw_slice text);

/* The id of the last event that the client saw; data NULL when it says nothing. */
mw_slice mw_sse_last_event_id(const mw_request *request);

typedef struct mw_sse_listener {
    void (*on_event)(void *ctx, mw_stream *stream, unsigned events); /* mw_stream_event */
    void *ctx;
    mw_stream_group *group; /* NULL: none */
} mw_sse_listener;

/* 200, text/event-stream, never stored, unbuffered by proxies; a comment every
 * MW_STREAM_KEEP_ALIVE_NS of silence. `extra` adds headers; NULL: none. As mw_stream_begin. */
MW_MUST_USE mw_err mw_sse_begin(mw_request *request, const mw_sse_listener *listener,
                                const mw_response *extra, mw_stream **out);
/* As mw_stream_write, and MW_E_INVALID as mw_sse_append. */
MW_MUST_USE mw_err mw_sse_send(mw_stream *stream, const mw_sse_event *event);

/* Puts text that _append wrote, whole events of any length, from *sent on; counts *sent up. MW_OK
 * when all is taken. Errors as mw_stream_write; after MW_E_AGAIN, or MW_E_NOMEM, call again with
 * the same text and *sent, unless *sent is 0, when nothing of it was taken. Only one that ends the
 * stream may give up in the middle: the client drops an event without its end. */
MW_MUST_USE mw_err mw_sse_put(mw_stream *stream, mw_slice text, size_t *sent);

#endif
