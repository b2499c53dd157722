/* Followers of sessions. See session_follower.h for what they send, follower.h for how they live.
 */
#include <inttypes.h>
#include <xxhash.h>

#include "server/api/api.h"
#include "server/api/follower.h"
#include "server/api/session_follower.h"

/* Sessions that one step tells; what changes faster than that cannot be read anyway. */
#define STEP_SESSIONS 1000
/* Told sessions that are remembered: places by hash. A collision tells one twice. */
#define TOLD_PLACES 1024u
/* Sessions of one batch of events. */
#define BATCH_SESSIONS 256u
#define ID_SIZE 32

typedef struct told {
    uint32_t place;
    uint64_t digest; /* of what was told; 0 = nothing */
} told;

typedef struct session_follower {
    mw_follower base;
    mw_session_following at;
    bool text_ends; /* with a place: once it is sent, */
    uint64_t text_end;
    uint64_t told[TOLD_PLACES];
    told batch[BATCH_SESSIONS]; /* in the text that waits */
    size_t batch_count;
} session_follower;

/* ---- events -------------------------------------------------------------------------------- */

/* What was sent is remembered, what was forgotten is not. */
static mw_err flush(session_follower *follower)
{
    mw_err err = mw_follower_flush(&follower->base);
    for (size_t i = 0; !err && i < follower->batch_count; i++)
        follower->told[follower->batch[i].place] = follower->batch[i].digest;
    if (!err && follower->text_ends) {
        follower->at.after = follower->text_end;
        follower->at.resumes = true;
    }
    if (!follower->base.sent) {
        follower->batch_count = 0;
        follower->text_ends = false;
    }
    return err;
}

static void place_text(uint64_t place, char out[ID_SIZE])
{
    snprintf(out, ID_SIZE, "%" PRIu64, place);
}

static mw_err tell_place(session_follower *follower, uint64_t place)
{
    char id[ID_SIZE];
    place_text(place, id);
    mw_follower_event(&follower->base, id, "", MW_SLICE_NONE);
    follower->text_end = place;
    follower->text_ends = true;
    return flush(follower);
}

static mw_err tell_skipped(session_follower *follower)
{
    mw_follower_event(&follower->base, NULL, "skipped",
                      MW_SLICE("{\"reason\":\"more changed at once than is told; the newest "
                               "follow\"}"));
    return flush(follower);
}

static mw_err add_session(session_follower *follower, const mw_session_summary *session,
                          mw_buffer *text)
{
    mw_json json;
    told *added = &follower->batch[follower->batch_count];
    mw_buffer_clear(text);
    mw_json_init(&json, text);
    mw_json_object_begin(&json);
    mw_shape_session_members(&json, mw_slice_of(mw_space_name(follower->base.space)), session);
    mw_json_object_end(&json);
    if (text->err)
        return text->err;
    added->digest = XXH3_64bits(text->data, text->len);
    added->place =
        (uint32_t)(XXH3_64bits(session->session_id.data, session->session_id.len) % TOLD_PLACES);
    if (follower->told[added->place] == added->digest)
        return MW_OK;
    mw_follower_event(&follower->base, NULL, "session", mw_buffer_slice(text));
    follower->batch_count++;
    const mw_buffer *events = &follower->base.text;
    bool full = events->len >= MW_FOLLOWER_BATCH_BYTES || follower->batch_count == BATCH_SESSIONS;
    return full ? flush(follower) : events->err;
}

/* Lists have the newest first; who reads on wants it last. */
static mw_err add_sessions(session_follower *follower, const mw_session_list *list)
{
    mw_buffer text;
    mw_err err = MW_OK;
    mw_buffer_init(&text, MW_MEM_QUERY, MW_API_ANSWER_MAX);
    for (size_t i = list->count; i-- > 0 && !err;)
        err = add_session(follower, &list->items[i], &text);
    if (!err && follower->batch_count)
        err = flush(follower);
    mw_buffer_fini(&text);
    return err;
}

/* ---- a step -------------------------------------------------------------------------------- */

typedef struct answer {
    mw_session_list list;
    uint64_t seq; /* that the view saw */
    bool skipped;
} answer;

/* For mw_follower_ask. */
static mw_err ask_view(mw_follower *base, mw_store_view *view, mw_arena *arena, void *found)
{
    const mw_session_following *at = &((const session_follower *)base)->at;
    answer *out = found;
    mw_store_page page = {at->since_ns, 0, STEP_SESSIONS, MW_SLICE_NONE};
    bool behind = false;
    *out = (answer){.seq = mw_store_view_seq(view)};
    if (at->resumes) {
        mw_err err = mw_store_session_changes(view, at->after, &page, &at->filter, arena,
                                              &out->list, &behind);
        out->skipped = behind || out->list.next_cursor.len;
        if (err || !behind)
            return err;
    }
    page.limit = at->limit;
    return mw_store_session_list_where(view, &page, &at->filter, arena, &out->list);
}

static mw_err tell_what_changed(session_follower *follower)
{
    mw_arena arena;
    answer found;
    size_t damaged = 0;
    char id[ID_SIZE];
    place_text(follower->at.after, id);
    mw_arena_init(&arena, MW_MEM_QUERY, MW_API_ARENA_MAX);
    mw_err err = mw_follower_ask(&follower->base, &arena, ask_view, &found, &damaged);
    if (!err)
        err = mw_follower_losses(&follower->base, id);
    if (!err)
        err = mw_follower_damage(&follower->base, id, damaged);
    if (!err && found.skipped)
        err = tell_skipped(follower);
    if (!err)
        err = add_sessions(follower, &found.list);
    mw_arena_reset(&arena);
    if (!err && (found.seq != follower->at.after || !follower->at.resumes))
        err = tell_place(follower, found.seq);
    return err;
}

static mw_err step(mw_follower *base, bool *more)
{
    session_follower *follower = (session_follower *)base;
    mw_err err = base->sent ? flush(follower) : MW_OK;
    (void)more;
    if (!err)
        err = tell_what_changed(follower);
    if (err == MW_E_CORRUPT || err == MW_E_IO) {
        char id[ID_SIZE];
        place_text(follower->at.after, id);
        MW_LOG(MW_LOG_ERROR, "api", "a follower of sessions was ended", MW_KV_ERR(err));
        mw_follower_problem(base, id, "internal", mw_err_text(err), "see the daemon's log");
    }
    return err;
}

mw_err mw_session_follower_prepare(mw_api_call *call, const mw_session_following *following)
{
    session_follower *follower = mw_arena_zalloc(&call->request->arena, 1, sizeof *follower);
    if (!follower)
        return MW_E_NOMEM;
    follower->base.step = step;
    follower->at = *following;
    mw_follower_prepare(call, &follower->base, &call->server->session_followers,
                        call->server->pool);
    return MW_OK;
}

void mw_api_wake_session_followers(void *ctx)
{
    mw_server *server = ctx;
    mw_stream_group_wake(&server->session_followers);
}
