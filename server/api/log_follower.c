/* Followers of log records. See log_follower.h for what they send, follower.h for how they live. */
#include "server/api/log_follower.h"
#include "server/api/api.h"
#include "server/api/follower.h"
#include "server/api/shape_log.h"

/* One step: what one follower may take of a reader before the next one has its turn. */
#define STEP_RECORDS 256
#define STEP_BYTES ((size_t)1 << 20)
/* Records that took this much together are asked for one by one. */
#define LARGE_STEP ((size_t)16 << 20)
/* Commits without a match until the client is told the place. */
#define TELL_COMMITS 1024

typedef struct mw_log_follower {
    mw_follower base;
    /* of who runs */
    mw_log_following at;
    mw_log_position told; /* the client has an id at or behind this */
    mw_log_position text_end;
} mw_log_follower;

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

/* `id` of them all is where `end` is. */
static void add_event(mw_log_follower *follower, mw_log_position end, const char *name,
                      mw_slice data)
{
    char id[MW_LOG_POSITION_SIZE];
    mw_log_position_text(end, id);
    mw_follower_event(&follower->base, id, name, data);
    follower->text_end = end;
}

static mw_err flush(mw_log_follower *follower)
{
    mw_err err = mw_follower_flush(&follower->base);
    if (!err)
        follower->at.after = follower->told = follower->text_end;
    return err;
}

static mw_err tell_place(mw_log_follower *follower)
{
    add_event(follower, follower->at.after, "", MW_SLICE_NONE);
    return flush(follower);
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
    const mw_buffer *events = &follower->base.text;
    return events->len >= MW_FOLLOWER_BATCH_BYTES ? flush(follower) : events->err;
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
    if (!err && follower->base.text.len)
        err = flush(follower);
    mw_record_writer_fini(&writer);
    mw_buffer_fini(&text);
    return err;
}

/* ---- a step -------------------------------------------------------------------------------- */

/* For mw_follower_ask. */
static mw_err ask_view(mw_follower *base, mw_store_view *view, mw_arena *arena, void *out)
{
    const mw_log_follower *follower = (const mw_log_follower *)base;
    mw_log_tail *tail = out;
    mw_log_follow follow = {follower->at.after, follower->at.since_ns, STEP_RECORDS, STEP_BYTES};
    mw_err err = mw_store_log_follow(view, &follow, &follower->at.query, arena, tail);
    if (err == MW_E_NOMEM && arena->used > LARGE_STEP) {
        mw_arena_reset(arena);
        follow.limit = 1;
        err = mw_store_log_follow(view, &follow, &follower->at.query, arena, tail);
    }
    return err;
}

static mw_err tell_damage(mw_log_follower *follower, size_t damaged)
{
    char id[MW_LOG_POSITION_SIZE];
    mw_log_position_text(follower->at.after, id);
    follower->text_end = follower->at.after;
    return mw_follower_damage(&follower->base, id, damaged);
}

static mw_err tell_losses(mw_log_follower *follower)
{
    char id[MW_LOG_POSITION_SIZE];
    mw_log_position_text(follower->at.after, id);
    follower->text_end = follower->at.after;
    return mw_follower_losses(&follower->base, id);
}

static void tell_problem(mw_log_follower *follower, const char *code, const char *message,
                         const char *hint)
{
    char id[MW_LOG_POSITION_SIZE];
    mw_log_position_text(follower->at.after, id);
    mw_follower_problem(&follower->base, id, code, message, hint);
}

static mw_err send_what_is_new(mw_log_follower *follower, bool *more)
{
    mw_arena arena;
    mw_log_tail tail = {.more = false};
    size_t damaged = 0;
    mw_arena_init(&arena, MW_MEM_QUERY, MW_API_ARENA_MAX);
    mw_err err = mw_follower_ask(&follower->base, &arena, ask_view, &tail, &damaged);
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

static mw_err step(mw_follower *base, bool *more)
{
    mw_log_follower *follower = (mw_log_follower *)base;
    mw_err err = base->sent ? flush(follower) : MW_OK;
    if (!err && !base->greeted)
        err = tell_place(follower);
    if (!err)
        err = tell_losses(follower);
    if (!err)
        err = send_what_is_new(follower, more);
    /* Also: more of the stored data cannot be read than is tolerated. */
    if (err == MW_E_CORRUPT || err == MW_E_IO) {
        MW_LOG(MW_LOG_ERROR, "api", "a follower of log records was ended", MW_KV_ERR(err));
        tell_problem(follower, "internal", mw_err_text(err), "see the daemon's log");
    }
    return err;
}

/* ---- life ---------------------------------------------------------------------------------- */

mw_err mw_log_follower_prepare(mw_api_call *call, const mw_log_following *following)
{
    mw_server *server = call->server;
    mw_log_follower *follower = mw_arena_zalloc(&call->request->arena, 1, sizeof *follower);
    if (!follower)
        return MW_E_NOMEM;
    follower->base.step = step;
    follower->at = *following;
    follower->told = following->after;
    mw_follower_prepare(call, &follower->base, &server->followers,
                        following->query.pattern.len ? server->pattern_pool : server->pool);
    return MW_OK;
}

/* On the store's writer. */
static void on_commit(void *ctx, uint64_t commit_seq, unsigned signals)
{
    mw_server *server = ctx;
    (void)commit_seq;
    if (signals & 1u << MW_SIGNAL_LOGS)
        mw_stream_group_wake(&server->followers);
    if (signals & (1u << MW_SIGNAL_LOGS | 1u << MW_SIGNAL_TRACES))
        mw_pacer_note(&server->session_pacer);
}

void mw_api_listen(void *ctx, mw_store *store)
{
    mw_store_listen(store, on_commit, ctx);
}

void mw_api_end_followers(void *ctx)
{
    mw_server *server = ctx;
    mw_stream_group_wake(&server->followers);
    mw_stream_group_wake(&server->session_followers);
}
