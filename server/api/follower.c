/* What all followers share. See follower.h. */
#include "server/api/follower.h"

#define EVENT_MAX (MW_API_ANSWER_MAX + MW_FOLLOWER_BATCH_BYTES + ((size_t)4 << 10))
/* Rests of large events that all followers together hold for slow clients; one always fits. */
#define HELD_MAX ((size_t)32 << 20)
#define RETRY_MS 1000
/* A job that waits keeps nothing alive that is not there anyway. */
#define JOB_COST 256

/* ---- events -------------------------------------------------------------------------------- */

void mw_follower_event(mw_follower *follower, const char *id, const char *name, mw_slice data)
{
    mw_sse_event event = {.name = mw_slice_of(name), .data = data};
    if (id)
        event.id = mw_slice_of(id);
    if (!follower->greeted)
        event.retry_ms = RETRY_MS;
    mw_err err = mw_sse_append(&follower->text, &event);
    MW_ASSERT(err != MW_E_INVALID); /* ids and names are ours */
}

static void hold(mw_follower *follower, size_t bytes)
{
    atomic_fetch_add(&follower->server->followers_hold, bytes);
    atomic_fetch_sub(&follower->server->followers_hold, follower->held);
    follower->held = bytes;
}

mw_err mw_follower_flush(mw_follower *follower)
{
    mw_buffer *text = &follower->text;
    mw_err err = text->err;
    if (!err)
        err = mw_sse_put(follower->stream, mw_buffer_slice(text), &follower->sent);
    if (err == MW_E_AGAIN && follower->sent > 0) {
        size_t others = atomic_load(&follower->server->followers_hold) - follower->held;
        if (others > 0 && others + text->len > HELD_MAX)
            return MW_E_BUSY;
        hold(follower, text->len);
        return err;
    }
    follower->greeted = follower->greeted || !err;
    hold(follower, 0);
    follower->sent = 0;
    mw_buffer_clear(text);
    return err;
}

/* Sticks when it is on its way: what was begun will end. */
static mw_err warn(mw_follower *follower, const char *id, const char *code, const char *text,
                   bool *told)
{
    char data[MW_DAMAGE_TEXT_SIZE + 64];
    snprintf(data, sizeof data, "{\"code\":\"%s\",\"message\":\"%s\"}", code, text);
    mw_follower_event(follower, id, "warning", mw_slice_of(data));
    mw_err err = mw_follower_flush(follower);
    *told = !err || follower->sent;
    return err;
}

mw_err mw_follower_damage(mw_follower *follower, const char *id, size_t damaged)
{
    char text[MW_DAMAGE_TEXT_SIZE];
    bool told;
    if (damaged <= follower->told_damaged)
        return MW_OK;
    mw_api_damage_text(damaged, text);
    mw_err err = warn(follower, id, "damaged_blocks", text, &told);
    if (told)
        follower->told_damaged = damaged;
    return err;
}

mw_err mw_follower_losses(mw_follower *follower, const char *id)
{
    char text[MW_DAMAGE_TEXT_SIZE];
    uint64_t lost = mw_store_losses_of(mw_space_store(follower->space)).count;
    if (lost == 0 || follower->told_losses)
        return MW_OK;
    mw_api_losses_text(lost, text);
    return warn(follower, id, "losses", text, &follower->told_losses);
}

void mw_follower_problem(mw_follower *follower, const char *id, const char *code,
                         const char *message, const char *hint)
{
    size_t sent = 0;
    char text[512];
    snprintf(text, sizeof text,
             "{\"error\":{\"code\":\"%s\",\"message\":\"%s\",\"field\":null,\"hint\":\"%s\"}}",
             code, message, hint);
    mw_buffer_clear(&follower->text);
    mw_follower_event(follower, id, "problem", mw_slice_of(text));
    if (!follower->text.err &&
        mw_sse_put(follower->stream, mw_buffer_slice(&follower->text), &sent) != MW_OK)
        MW_LOG(MW_LOG_WARN, "api", "its client could not be told");
}

/* ---- life ---------------------------------------------------------------------------------- */

/* For a view's stop: nobody works for a client that has gone, or for a space that goes. */
static bool is_over(void *ctx)
{
    mw_follower *follower = ctx;
    pthread_mutex_lock(&follower->lock);
    bool done = follower->done;
    pthread_mutex_unlock(&follower->lock);
    return done || mw_space_is_closing(follower->space);
}

mw_err mw_follower_ask(mw_follower *follower, mw_arena *arena,
                       mw_err (*question)(mw_follower *follower, mw_store_view *view,
                                          mw_arena *arena, void *out),
                       void *out, size_t *damaged)
{
    mw_store_view *view;
    mw_err err = mw_store_view_open(mw_space_store(follower->space), &view);
    if (err)
        return err;
    mw_store_view_stop(view, is_over, follower);
    (void)mw_store_view_tolerate(view);
    err = question(follower, view, arena, out);
    /* Each time finds one more, so there is an end to it (damage.h). */
    while ((err == MW_E_CORRUPT || err == MW_E_IO) && mw_store_view_tolerate(view)) {
        mw_arena_reset(arena);
        err = question(follower, view, arena, out);
    }
    *damaged = mw_store_view_left_out(view);
    mw_store_view_close(view);
    return err;
}

/* By who runs. Short of memory, or with too many jobs waiting, it ends as well: the client comes
 * back with its place. */
static void finish(mw_follower *follower)
{
    hold(follower, 0);
    mw_buffer_fini(&follower->text);
    mw_space_release(follower->space);
    mw_stream_end(follower->stream);
}

static void start_or_finish(mw_follower *follower)
{
    if (mw_pool_submit(follower->pool, &follower->job) != MW_OK)
        finish(follower);
}

/* The end of a step. What came meanwhile is looked at in one go with giving up `running`. */
static void settle(mw_follower *follower, mw_err err, bool more)
{
    pthread_mutex_lock(&follower->lock);
    bool end = follower->done || (err && err != MW_E_AGAIN);
    follower->blocked = err == MW_E_AGAIN;
    bool go = !end && (follower->blocked ? follower->room : more || follower->woken);
    follower->running = end || go;
    pthread_mutex_unlock(&follower->lock);
    if (end)
        finish(follower);
    else if (go)
        start_or_finish(follower);
}

/* A token that was revoked, switched off or has expired ends what it began. */
static bool may_go_on(mw_follower *follower)
{
    mw_principal who;
    size_t credentials;
    mw_request_header(follower->request, MW_SLICE("authorization"), &credentials);
    if (credentials == 0 ||
        mw_gate_principal(&follower->server->gate, follower->request, &who) == MW_OK)
        return true;
    if (!follower->sent)
        mw_follower_problem(follower, NULL, "not_allowed", "this token is not good any more",
                            "see midwatch token list");
    return false;
}

static void run_step(mw_job *job)
{
    mw_follower *follower = (mw_follower *)job;
    bool more = false;
    pthread_mutex_lock(&follower->lock);
    follower->woken = follower->room = false;
    follower->done |= mw_space_is_closing(follower->space);
    bool done = follower->done;
    pthread_mutex_unlock(&follower->lock);
    mw_err err = MW_OK;
    if (!done)
        err = may_go_on(follower) ? follower->step(follower, &more) : MW_E_DENIED;
    /* Who waits holds nothing but the rest of an event. */
    if (!follower->sent)
        mw_buffer_fini(&follower->text);
    settle(follower, err, more);
}

/* On the loop's thread. */
static void on_event(void *ctx, mw_stream *stream, unsigned events)
{
    mw_follower *follower = ctx;
    (void)stream;
    if (events & MW_STREAM_OVER) {
        pthread_mutex_destroy(&follower->lock);
        return;
    }
    pthread_mutex_lock(&follower->lock);
    follower->done |= (events & (MW_STREAM_GONE | MW_STREAM_ENDING)) != 0;
    follower->woken |= (events & MW_STREAM_WAKE) != 0;
    follower->room |= (events & MW_STREAM_ROOM) != 0;
    bool done = follower->done;
    bool start =
        !follower->running && (done || (follower->blocked ? follower->room : follower->woken));
    follower->running |= start;
    pthread_mutex_unlock(&follower->lock);
    if (start && done)
        finish(follower);
    else if (start)
        start_or_finish(follower);
}

static mw_err begin(mw_api_call *call)
{
    mw_follower *follower = call->follower;
    const mw_sse_listener listener = {on_event, follower, follower->group};
    mw_err err = mw_sse_begin(call->request, &listener, NULL, &follower->stream);
    if (err) {
        mw_space_release(follower->space);
        pthread_mutex_destroy(&follower->lock);
        if (err == MW_E_LIMIT)
            return mw_detail_set(&call->detail, MW_E_BUSY, "follow", "close some, or try later",
                                 "%zu streams are open, which is all there may be", MW_STREAMS_MAX);
        return err;
    }
    /* Nobody else has begun anything: `running` is set since it was made. */
    settle(follower, MW_OK, true);
    return MW_OK;
}

void mw_follower_prepare(mw_api_call *call, mw_follower *follower, mw_stream_group *group,
                         mw_pool *pool)
{
    follower->job.run = run_step;
    follower->job.item.cost_bytes = JOB_COST;
    follower->server = call->server;
    follower->request = call->request;
    follower->space = call->space;
    call->space = NULL;
    follower->group = group;
    follower->pool = pool;
    follower->running = true;
    mw_buffer_init(&follower->text, MW_MEM_QUERY, EVENT_MAX);
    pthread_mutex_init(&follower->lock, NULL);
    call->follower = follower;
    call->begin = begin;
}

mw_err mw_follower_refuse(mw_api_call *call, const char *const *names)
{
    for (size_t i = 0; names[i]; i++)
        if (mw_request_query(call->request, mw_slice_of(names[i])).data)
            return mw_detail_set(&call->detail, MW_E_INVALID, names[i], "leave it out",
                                 "a list that is followed has no pages, no end and one format");
    return MW_OK;
}
