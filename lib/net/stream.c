/* An answer in pieces. See stream.h for the contract, stream_int.h for the two sides. */
#include "lib/net/stream_int.h"

/* ---- posting --------------------------------------------------------------------------------- */

/* With the lock held: true when the caller has to post once it has let go. */
static bool must_post(mw_stream *stream)
{
    bool due = !stream->posted;
    stream->posted = true;
    return due;
}

static void post(mw_stream *stream)
{
    mw_exchange *exchange = stream->exchange;
    exchange->post(exchange->post_ctx, exchange);
}

void mw_stream_tell(mw_stream *stream, unsigned events)
{
    bool due = false;
    pthread_mutex_lock(&stream->lock);
    if (events & MW_STREAM_GONE)
        stream->closed = true;
    /* Who has been told that nobody reads is not bothered with less. */
    if (stream->closed)
        events &= MW_STREAM_GONE | MW_STREAM_ENDING;
    if (!stream->ended && events) {
        stream->pending |= events;
        due = must_post(stream);
    }
    pthread_mutex_unlock(&stream->lock);
    if (due)
        post(stream);
}

/* ---- groups ---------------------------------------------------------------------------------- */

void mw_stream_group_init(mw_stream_group *group)
{
    group->first = NULL;
    pthread_mutex_init(&group->lock, NULL);
}

void mw_stream_group_fini(mw_stream_group *group)
{
    MW_ASSERT(!group->first);
    pthread_mutex_destroy(&group->lock);
}

static void join(mw_stream *stream, mw_stream_group *group)
{
    if (!group)
        return;
    pthread_mutex_lock(&group->lock);
    stream->next = group->first;
    if (stream->next)
        stream->next->previous = stream;
    group->first = stream;
    pthread_mutex_unlock(&group->lock);
}

static void leave(mw_stream *stream)
{
    mw_stream_group *group = stream->options.group;
    if (!group)
        return;
    pthread_mutex_lock(&group->lock);
    if (stream->next)
        stream->next->previous = stream->previous;
    if (stream->previous)
        stream->previous->next = stream->next;
    else
        group->first = stream->next;
    pthread_mutex_unlock(&group->lock);
}

/* The lock is held meanwhile: no stream of the group can be freed before it has left. */
void mw_stream_group_wake(mw_stream_group *group)
{
    pthread_mutex_lock(&group->lock);
    for (mw_stream *stream = group->first; stream; stream = stream->next)
        mw_stream_wake(stream);
    pthread_mutex_unlock(&group->lock);
}

/* ---- the writer's side ----------------------------------------------------------------------- */

static mw_err admit(mw_exchange *exchange)
{
    if (exchange->request.framing == MW_FRAMING_GRPC)
        return MW_E_UNSUPPORTED;
    if (atomic_fetch_add(&exchange->front->streams, 1) < MW_STREAMS_MAX)
        return MW_OK;
    atomic_fetch_sub(&exchange->front->streams, 1);
    return MW_E_LIMIT;
}

mw_err mw_stream_begin(mw_request *request, const mw_response *head,
                       const mw_stream_options *options, mw_stream **out)
{
    mw_exchange *exchange = request->internal;
    MW_ASSERT(exchange && &exchange->request == request && !exchange->offered);
    MW_ASSERT(head->status >= 200 && head->status <= 599 && options->on_event);
    *out = NULL;
    mw_err err = admit(exchange);
    if (err != MW_OK)
        return err;
    mw_stream *stream = mw_arena_zalloc(&request->arena, 1, sizeof *stream);
    if (!stream) {
        atomic_fetch_sub(&exchange->front->streams, 1);
        return MW_E_NOMEM;
    }
    stream->exchange = exchange;
    stream->options = *options;
    stream->posted = true;
    stream->pending = MW_STREAM_WAKE;
    pthread_mutex_init(&stream->lock, NULL);
    exchange->response = *head;
    exchange->response.body = MW_SLICE_NONE;
    exchange->offered = stream;
    *out = stream;
    join(stream, options->group);
    post(stream);
    return MW_OK;
}

static mw_stream_piece *new_piece(mw_slice bytes)
{
    /* Streams leave the reserve to exports: what is followed can be asked again. */
    if (!mw_memory_admits(sizeof(mw_stream_piece) + bytes.len))
        return NULL;
    mw_stream_piece *piece = mw_alloc(MW_STREAM_MEMORY, sizeof *piece + bytes.len);
    if (!piece)
        return NULL;
    *piece = (mw_stream_piece){.len = bytes.len};
    memcpy(piece->data, bytes.data, bytes.len);
    return piece;
}

/* With the lock held. */
static void append(mw_stream *stream, mw_stream_piece *piece)
{
    if (stream->last)
        stream->last->next = piece;
    else
        stream->first = piece;
    stream->last = piece;
    stream->queued += piece->len;
}

/* With the lock held. */
static mw_err judge(mw_stream *stream, size_t len)
{
    if (stream->closed)
        return MW_E_CLOSED;
    if (stream->queued + len <= MW_NET_OUT_HIGH)
        return MW_OK;
    stream->wants_room = true;
    return MW_E_AGAIN;
}

static mw_err write_piece(mw_stream *stream, mw_slice bytes, bool part)
{
    bool due = false;
    _Static_assert(MW_STREAM_PIECE_MAX <= MW_NET_OUT_HIGH, "one piece fits an empty queue");
    if (bytes.len > MW_STREAM_PIECE_MAX)
        return MW_E_LIMIT;
    mw_stream_piece *piece = bytes.len > 0 ? new_piece(bytes) : NULL;
    pthread_mutex_lock(&stream->lock);
    mw_err err = judge(stream, bytes.len);
    if (err == MW_OK && bytes.len > 0 && !piece)
        err = MW_E_NOMEM;
    if (err == MW_OK && piece) {
        append(stream, piece);
        due = must_post(stream);
        stream->within = part;
    }
    pthread_mutex_unlock(&stream->lock);
    if (err != MW_OK)
        mw_free(MW_STREAM_MEMORY, piece);
    if (due)
        post(stream);
    return err;
}

mw_err mw_stream_write(mw_stream *stream, mw_slice bytes)
{
    return write_piece(stream, bytes, false);
}

mw_err mw_stream_write_part(mw_stream *stream, mw_slice bytes)
{
    return write_piece(stream, bytes, true);
}

void mw_stream_wake(mw_stream *stream)
{
    mw_stream_tell(stream, MW_STREAM_WAKE);
}

/* The loop frees nothing before it has seen `ended` under the lock, and then this thread touches
 * the stream no more: a post that is due was not made yet, so the loop cannot have seen it. */
void mw_stream_end(mw_stream *stream)
{
    pthread_mutex_lock(&stream->lock);
    MW_ASSERT(!stream->ended);
    stream->ended = true;
    stream->closed = true;
    bool due = must_post(stream);
    pthread_mutex_unlock(&stream->lock);
    if (due)
        post(stream);
}

mw_request *mw_stream_request(mw_stream *stream)
{
    return &stream->exchange->request;
}

/* ---- the loop's side ------------------------------------------------------------------------- */

static void start(mw_exchange *exchange)
{
    mw_stream *stream = exchange->offered;
    exchange->stream = stream;
    stream->quiet_ns = mw_clock_mono_ns(exchange->front->config.clock);
    mw_exchange_prepare_answer(exchange);
    /* The client went between the handler's call and now. */
    if (!exchange->wire || exchange->gone)
        mw_stream_tell(stream, MW_STREAM_GONE);
}

bool mw_stream_delivered(mw_exchange *exchange)
{
    if (!exchange->stream)
        start(exchange);
    mw_stream *stream = exchange->stream;
    pthread_mutex_lock(&stream->lock);
    unsigned events = stream->pending;
    bool ended = stream->ended;
    stream->pending = 0;
    stream->posted = false;
    pthread_mutex_unlock(&stream->lock);
    if (ended)
        return mw_exchange_replied(exchange);
    if (events)
        stream->options.on_event(stream->options.ctx, stream, events);
    return exchange->wire != NULL;
}

void mw_stream_cut(mw_stream *stream)
{
    stream->cut = true;
    mw_stream_tell(stream, MW_STREAM_GONE);
}

void mw_stream_wind_up(mw_stream *stream)
{
    if (stream->ending_told)
        return;
    stream->ending_told = true;
    stream->cut = stream->cut || stream->options.follows;
    mw_stream_tell(stream, MW_STREAM_ENDING | (stream->options.follows ? MW_STREAM_GONE : 0u));
}

bool mw_stream_is_waiting(mw_stream *stream)
{
    pthread_mutex_lock(&stream->lock);
    bool waiting = stream->first != NULL || stream->current != NULL;
    pthread_mutex_unlock(&stream->lock);
    return waiting;
}

bool mw_stream_is_complete(mw_stream *stream)
{
    bool no_more = stream->cut || stream->exchange->state == MW_EXCHANGE_ANSWER;
    return no_more && !mw_stream_is_waiting(stream);
}

mw_stream_piece *mw_stream_take(mw_stream *stream)
{
    bool room = false;
    pthread_mutex_lock(&stream->lock);
    mw_stream_piece *piece = stream->first;
    if (piece) {
        stream->first = piece->next;
        if (!stream->first)
            stream->last = NULL;
        stream->queued -= piece->len;
        room = stream->wants_room && stream->queued <= MW_NET_OUT_LOW && !stream->closed;
    }
    if (room) {
        stream->wants_room = false;
        stream->pending |= MW_STREAM_ROOM;
        room = must_post(stream);
    }
    pthread_mutex_unlock(&stream->lock);
    if (piece)
        stream->quiet_ns = mw_clock_mono_ns(stream->exchange->front->config.clock);
    /* Not within this turn of the loop: a writer that fills the queue from the callback would keep
     * the loop to itself for as long as its client reads. */
    if (room)
        stream->exchange->post_later(stream->exchange->post_ctx, stream->exchange);
    return piece;
}

size_t mw_stream_read(mw_stream *stream, void *out, size_t room)
{
    size_t made = 0;
    while (made < room) {
        if (!stream->current) {
            stream->current = mw_stream_take(stream);
            stream->offset = 0;
        }
        if (!stream->current)
            break;
        mw_slice all = {stream->current->data, stream->current->len};
        mw_slice part = mw_slice_first(mw_slice_from(all, stream->offset), room - made);
        memcpy((char *)out + made, part.data, part.len);
        made += part.len;
        stream->offset += part.len;
        if (stream->offset == all.len) {
            mw_free(MW_STREAM_MEMORY, stream->current);
            stream->current = NULL;
        }
    }
    return made;
}

bool mw_stream_sweep(mw_stream *stream, int64_t now_ns)
{
    mw_slice text = stream->options.keep_alive;
    bool due = text.len > 0 && stream->head_sent && !stream->cut &&
               now_ns - stream->quiet_ns >= MW_STREAM_KEEP_ALIVE_NS &&
               !mw_stream_is_waiting(stream);
    mw_stream_piece *piece = due ? new_piece(text) : NULL;
    if (!piece)
        return false;
    pthread_mutex_lock(&stream->lock);
    bool open = !stream->closed && !stream->within;
    if (open)
        append(stream, piece);
    pthread_mutex_unlock(&stream->lock);
    if (!open)
        mw_free(MW_STREAM_MEMORY, piece);
    return open;
}

void mw_stream_fini(mw_stream *stream)
{
    leave(stream);
    stream->options.on_event(stream->options.ctx, stream, MW_STREAM_OVER);
    mw_free(MW_STREAM_MEMORY, stream->current);
    while (stream->first) {
        mw_stream_piece *piece = stream->first;
        stream->first = piece->next;
        mw_free(MW_STREAM_MEMORY, piece);
    }
    pthread_mutex_destroy(&stream->lock);
    atomic_fetch_sub(&stream->exchange->front->streams, 1);
}
