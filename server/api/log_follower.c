/* Followers of log records. See log_follower.h for what they send.
 *
 * A follower lies in the arena of its request. Work is one job of the pool at a time, a bounded
 * step of it; what happens meanwhile (a commit, room, the end) is noted under the lock by the
 * loop's callback and taken up when the job settles. Whoever sets `running` owns the rest of the
 * follower until he clears it, and the right to end the stream.
 */
#include "server/api/log_follower.h"
#include "server/api/api.h"
#include "server/api/shape_log.h"

/* One step: what one follower may take of a reader before the next one has its turn. */
#define STEP_RECORDS 256
#define STEP_BYTES ((size_t)1 << 20)
/* Events are put together up to here: a piece and a wake-up of the loop for each would cost more
 * than the records. */
#define BATCH_BYTES ((size_t)32 << 10)
#define EVENT_MAX (MW_API_ANSWER_MAX + BATCH_BYTES + ((size_t)4 << 10))
/* Records that took this much together are asked for one by one. */
#define LARGE_STEP ((size_t)16 << 20)
/* Commits without a match until the client is told the place. */
#define TELL_COMMITS 1024
/* Rests of large events that all followers together hold for slow clients; one always fits. */
#define HELD_MAX ((size_t)32 << 20)
#define RETRY_MS 1000
/* A job that waits keeps nothing alive that is not there anyway. */
#define JOB_COST 256

struct mw_log_follower {
    mw_job job;
    mw_server *server;
    const mw_request *request; /* whose token must stay good */
    mw_stream *stream;
    mw_space *space; /* held until the stream is ended */
    /* of who runs */
    mw_log_following at;
    mw_log_position told; /* the client has an id at or behind this */
    size_t told_damaged;  /* the client knows that so many blocks are left out */
    bool greeted;
    mw_buffer text; /* events on their way; between steps the rest of a large one, or nothing */
    size_t sent, held;
    mw_log_position text_end;
    /* under the lock */
    pthread_mutex_t lock;
    bool running, woken, room, blocked, done;
};

/* ---- positions ----------------------------------------------------------------------------- */

void mw_log_position_text(mw_log_position position, char out[MW_LOG_POSITION_SIZE])
{
    int len = snprintf(out, MW_LOG_POSITION_SIZE, "%llu", (unsigned long long)position.seq);
    if (position.index != UINT32_MAX)
        snprintf(out + len, MW_LOG_POSITION_SIZE - (size_t)len, ".%u", (unsigned)position.index);
}

mw_err mw_log_position_parse(mw_slice text, mw_log_position *out)
{
    uint64_t index = UINT32_MAX;
    size_t dot = mw_slice_find_byte(text, '.');
    *out = (mw_log_position){0, 0};
    if (mw_slice_u64(mw_slice_first(text, dot), &out->seq) != MW_OK)
        return MW_E_SYNTAX;
    if (dot < text.len &&
        (mw_slice_u64(mw_slice_from(text, dot + 1), &index) != MW_OK || index >= UINT32_MAX))
        return MW_E_SYNTAX;
    out->index = (uint32_t)index;
    return MW_OK;
}

/* ---- events -------------------------------------------------------------------------------- */

/* `id` of them all is where `end` is. Sticky errors are the buffer's. */
static void add_event(mw_log_follower *follower, mw_log_position end, const char *name,
                      mw_slice data)
{
    char id[MW_LOG_POSITION_SIZE];
    mw_log_position_text(end, id);
    mw_sse_event event = {.id = mw_slice_of(id), .name = mw_slice_of(name), .data = data};
    if (!follower->greeted)
        event.retry_ms = RETRY_MS;
    mw_err err = mw_sse_append(&follower->text, &event);
    MW_ASSERT(err != MW_E_INVALID); /* ids and names are ours */
    follower->text_end = end;
}

static void hold(mw_log_follower *follower, size_t bytes)
{
    atomic_fetch_add(&follower->server->followers_hold, bytes);
    atomic_fetch_sub(&follower->server->followers_hold, follower->held);
    follower->held = bytes;
}

/* MW_E_AGAIN: wait for room. What was not begun is forgotten: it is asked for again. What was
 * begun is kept, unless others keep too much: MW_E_BUSY. */
static mw_err flush(mw_log_follower *follower)
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
    if (!err)
        follower->at.after = follower->told = follower->text_end;
    hold(follower, 0);
    follower->sent = 0;
    mw_buffer_clear(text);
    return err;
}

static mw_err tell_place(mw_log_follower *follower)
{
    add_event(follower, follower->at.after, "", MW_SLICE_NONE);
    mw_err err = flush(follower);
    follower->greeted = follower->greeted || !err;
    return err;
}

static void add_reason(mw_log_follower *follower, mw_log_position end, mw_err err)
{
    char text[128];
    snprintf(text, sizeof text, "{\"reason\":\"%s\"}",
             err == MW_E_LIMIT ? "the record is too large to be shown" : mw_err_text(err));
    add_event(follower, end, "skipped", mw_slice_of(text));
}

/* A record that no answer could show is passed over, and the client told. */
static mw_err add_record(mw_log_follower *follower, mw_record_writer *writer,
                         const mw_log_record *record)
{
    const mw_log_position end = {record->commit_seq, record->index};
    mw_buffer *text = writer->json->out;
    mw_buffer_clear(text);
    mw_json_init(writer->json, text);
    mw_err err = mw_record_write(writer, record);
    if (err == MW_OK)
        add_event(follower, end, "log", mw_buffer_slice(text));
    else if (err == MW_E_LIMIT || err == MW_E_CORRUPT)
        add_reason(follower, end, err);
    else
        return err;
    return follower->text.len >= BATCH_BYTES ? flush(follower) : follower->text.err;
}

static mw_err add_records(mw_log_follower *follower, const mw_log_tail *tail)
{
    mw_buffer text;
    mw_json json;
    mw_record_writer writer;
    mw_err err = MW_OK;

    mw_buffer_init(&text, MW_MEM_QUERY, MW_API_ANSWER_MAX);
    mw_json_init(&json, &text);
    mw_record_writer_init(&writer, &json);
    for (size_t i = 0; i < tail->count && !err; i++)
        err = add_record(follower, &writer, &tail->items[i]);
    if (!err && follower->text.len)
        err = flush(follower);
    mw_record_writer_fini(&writer);
    mw_buffer_fini(&text);
    return err;
}

/* ---- a step -------------------------------------------------------------------------------- */

/* Nobody works for a client that has gone, or for a space that goes. */
static bool is_over(void *ctx)
{
    mw_log_follower *follower = ctx;
    pthread_mutex_lock(&follower->lock);
    bool done = follower->done;
    pthread_mutex_unlock(&follower->lock);
    return done || mw_space_is_closing(follower->space);
}

static mw_err ask_view(mw_log_follower *follower, mw_store_view *view, mw_arena *arena,
                       mw_log_tail *tail)
{
    mw_log_follow follow = {follower->at.after, follower->at.since_ns, STEP_RECORDS, STEP_BYTES};
    mw_err err = mw_store_log_follow(view, &follow, &follower->at.query, arena, tail);
    if (err == MW_E_NOMEM && arena->used > LARGE_STEP) {
        mw_arena_reset(arena);
        follow.limit = 1;
        err = mw_store_log_follow(view, &follow, &follower->at.query, arena, tail);
    }
    return err;
}

/* Without what is damaged, as lists are answered; *damaged: how many blocks that leaves out. */
static mw_err ask(mw_log_follower *follower, mw_arena *arena, mw_log_tail *tail, size_t *damaged)
{
    mw_store_view *view;
    mw_err err = mw_store_view_open(mw_space_store(follower->space), &view);
    if (err)
        return err;
    mw_store_view_stop(view, is_over, follower);
    (void)mw_store_view_tolerate(view);
    err = ask_view(follower, view, arena, tail);
    /* Each time finds one more, so there is an end to it (damage.h). */
    while ((err == MW_E_CORRUPT || err == MW_E_IO) && mw_store_view_tolerate(view)) {
        mw_arena_reset(arena);
        err = ask_view(follower, view, arena, tail);
    }
    *damaged = mw_store_view_left_out(view);
    mw_store_view_close(view);
    return err;
}

/* Before the first record behind which one may be missing. */
static mw_err tell_damage(mw_log_follower *follower, size_t damaged)
{
    char text[MW_DAMAGE_TEXT_SIZE], data[MW_DAMAGE_TEXT_SIZE + 64];
    if (damaged <= follower->told_damaged)
        return MW_OK;
    mw_api_damage_text(damaged, text);
    snprintf(data, sizeof data, "{\"code\":\"damaged_blocks\",\"message\":\"%s\"}", text);
    add_event(follower, follower->at.after, "warning", mw_slice_of(data));
    mw_err err = flush(follower);
    if (!err || follower->sent) /* what was begun will end */
        follower->told_damaged = damaged;
    return err;
}

/* What would only happen again when the client came back to its place. Goes out if there is room,
 * since it is the last that is said. The texts are ours. */
static void tell_problem(mw_log_follower *follower, const char *code, const char *message,
                         const char *hint)
{
    size_t sent = 0;
    char text[512];
    snprintf(text, sizeof text,
             "{\"error\":{\"code\":\"%s\",\"message\":\"%s\",\"field\":null,\"hint\":\"%s\"}}",
             code, message, hint);
    mw_buffer_clear(&follower->text);
    add_event(follower, follower->at.after, "problem", mw_slice_of(text));
    if (!follower->text.err &&
        mw_sse_put(follower->stream, mw_buffer_slice(&follower->text), &sent) != MW_OK)
        MW_LOG(MW_LOG_WARN, "api", "its client could not be told");
}

static mw_err send_what_is_new(mw_log_follower *follower, bool *more)
{
    mw_arena arena;
    mw_log_tail tail = {.more = false};
    size_t damaged = 0;
    mw_arena_init(&arena, MW_MEM_QUERY, MW_API_ARENA_MAX);
    mw_err err = ask(follower, &arena, &tail, &damaged);
    if (err && tail.given_up)
        tell_problem(follower, "timeout", MW_API_PATTERN_GIVEN_UP, MW_API_PATTERN_HINT);
    if (!err)
        err = tell_damage(follower, damaged);
    if (!err)
        err = add_records(follower, &tail);
    mw_arena_reset(&arena);
    if (err)
        return err;
    follower->at.after = tail.position;
    *more = tail.more;
    if (follower->at.after.seq - follower->told.seq >= TELL_COMMITS)
        err = tell_place(follower);
    return err;
}

static mw_err step(mw_log_follower *follower, bool *more)
{
    mw_err err = follower->sent ? flush(follower) : MW_OK;
    if (!err && !follower->greeted)
        err = tell_place(follower);
    if (!err)
        err = send_what_is_new(follower, more);
    /* Also: more of the stored data cannot be read than is tolerated. */
    if (err == MW_E_CORRUPT || err == MW_E_IO) {
        MW_LOG(MW_LOG_ERROR, "api", "a follower of log records was ended", MW_KV_ERR(err));
        tell_problem(follower, "internal", mw_err_text(err), "see the daemon's log");
    }
    /* Who waits holds nothing but the rest of an event. */
    if (!follower->sent)
        mw_buffer_fini(&follower->text);
    return err;
}

/* ---- life ---------------------------------------------------------------------------------- */

/* By who runs. Short of memory, or with too many jobs waiting, it ends as well: the client comes
 * back with its place. */
static void finish(mw_log_follower *follower)
{
    hold(follower, 0);
    mw_buffer_fini(&follower->text);
    mw_space_release(follower->space);
    mw_stream_end(follower->stream);
}

static void start_or_finish(mw_log_follower *follower)
{
    mw_server *server = follower->server;
    mw_pool *pool = follower->at.query.pattern.len ? server->pattern_pool : server->pool;
    if (mw_pool_submit(pool, &follower->job) != MW_OK)
        finish(follower);
}

/* The end of a step. What came meanwhile is looked at in one go with giving up `running`. */
static void settle(mw_log_follower *follower, mw_err err, bool more)
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
static bool may_go_on(mw_log_follower *follower)
{
    mw_principal who;
    size_t credentials;
    mw_request_header(follower->request, MW_SLICE("authorization"), &credentials);
    if (credentials == 0 ||
        mw_gate_principal(&follower->server->gate, follower->request, &who) == MW_OK)
        return true;
    if (!follower->sent)
        tell_problem(follower, "not_allowed", "this token is not good any more",
                     "see midwatch token list");
    return false;
}

static void run_step(mw_job *job)
{
    mw_log_follower *follower = (mw_log_follower *)job;
    bool more = false;
    pthread_mutex_lock(&follower->lock);
    follower->woken = follower->room = false;
    follower->done |= mw_space_is_closing(follower->space);
    bool done = follower->done;
    pthread_mutex_unlock(&follower->lock);
    mw_err err = MW_OK;
    if (!done)
        err = may_go_on(follower) ? step(follower, &more) : MW_E_DENIED;
    settle(follower, err, more);
}

/* On the loop's thread. */
static void on_event(void *ctx, mw_stream *stream, unsigned events)
{
    mw_log_follower *follower = ctx;
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
    mw_log_follower *follower = call->follower;
    const mw_sse_listener listener = {on_event, follower, &follower->server->followers};
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

mw_err mw_log_follower_prepare(mw_api_call *call, const mw_log_following *following)
{
    mw_log_follower *follower = mw_arena_zalloc(&call->request->arena, 1, sizeof *follower);
    if (!follower)
        return MW_E_NOMEM;
    follower->job.run = run_step;
    follower->job.item.cost_bytes = JOB_COST;
    follower->server = call->server;
    follower->request = call->request;
    follower->space = call->space;
    call->space = NULL;
    follower->at = *following;
    follower->told = following->after;
    follower->running = true;
    mw_buffer_init(&follower->text, MW_MEM_QUERY, EVENT_MAX);
    pthread_mutex_init(&follower->lock, NULL);
    call->follower = follower;
    call->begin = begin;
    return MW_OK;
}

/* On the store's writer. */
static void on_commit(void *ctx, uint64_t commit_seq, unsigned signals)
{
    mw_server *server = ctx;
    (void)commit_seq;
    if (signals & 1u << MW_SIGNAL_LOGS)
        mw_stream_group_wake(&server->followers);
}

void mw_api_listen(void *ctx, mw_store *store)
{
    mw_store_listen(store, on_commit, ctx);
}

void mw_api_end_followers(void *ctx)
{
    mw_server *server = ctx;
    mw_stream_group_wake(&server->followers);
}
