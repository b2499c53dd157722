/* Followers: lists that go on as server-sent events. What all of them share: how one waits, steps,
 * and ends; what it sends is its own (log_follower.c, session_follower.c).
 *
 * A follower begins with this structure and lies in the arena of its request. Work is one job of
 * the pool at a time, a bounded step of it; what happens meanwhile (a commit, room, the end) is
 * noted under the lock by the loop's callback and taken up when the job settles. Whoever sets
 * `running` owns the rest of the follower until he clears it, and the right to end the stream.
 */
#ifndef MW_SERVER_API_FOLLOWER_H
#define MW_SERVER_API_FOLLOWER_H

#include "server/api/api_int.h"

/* Events are put together up to here: a piece and a wake-up of the loop for each would cost more
 * than what they tell. */
#define MW_FOLLOWER_BATCH_BYTES ((size_t)32 << 10)

typedef struct mw_follower {
    mw_job job;
    mw_server *server;
    const mw_request *request; /* whose token must stay good */
    mw_stream *stream;
    mw_space *space; /* held until the stream is ended */
    mw_stream_group *group;
    mw_pool *pool;
    /* One bounded part of its work; *more: there is more that waits for nothing. MW_E_AGAIN: wait
     * for room. Any other error ends the stream; the client comes back with its place. */
    mw_err (*step)(struct mw_follower *follower, bool *more);
    /* of who runs */
    bool greeted;   /* the client knows when to come back */
    mw_buffer text; /* events on their way; between steps the rest of a large one, or nothing */
    size_t sent, held;
    size_t told_damaged; /* the client knows that so many blocks are left out */
    bool told_losses;    /* and that something is gone, if it is */
    /* under the lock */
    pthread_mutex_t lock;
    bool running, woken, room, blocked, done;
} mw_follower;

/* Makes the request a stream, woken with `group`, when the call's run returns MW_OK. Takes the
 * call's space. `follower` is zeroed but for what the list has behind it, and its step. */
void mw_follower_prepare(mw_api_call *call, mw_follower *follower, mw_stream_group *group,
                         mw_pool *pool);

/* Adds an event; data NULL: none, the id alone moves the client's place. Sticky errors are the
 * buffer's. */
void mw_follower_event(mw_follower *follower, const char *id, const char *name, mw_slice data);
/* Sends what was added. MW_E_AGAIN: wait for room. What was not begun is forgotten: it is to be
 * asked for again. What was begun (follower->sent) is kept, unless others keep too much: MW_E_BUSY.
 */
MW_MUST_USE mw_err mw_follower_flush(mw_follower *follower);
/* Before the first row behind which one may be missing: that so many blocks are left out. Adds
 * nothing when the client knows. */
mw_err mw_follower_damage(mw_follower *follower, const char *id, size_t damaged);
/* Once, before the first row: that stored segments are gone, if some are. */
mw_err mw_follower_losses(mw_follower *follower, const char *id);
/* What would only happen again when the client came back to its place. Goes out if there is room,
 * since it is the last that is said. The texts are ours. */
void mw_follower_problem(mw_follower *follower, const char *id, const char *code,
                         const char *message, const char *hint);
/* Asks a view of the follower's space, without what is damaged, as lists are answered; *damaged:
 * how many blocks that leaves out. The question may be put several times, each with an empty arena.
 * It ends (MW_E_TIMEOUT) when the client has gone, or the space goes. Errors of the question,
 * MW_E_NOMEM. */
MW_MUST_USE mw_err mw_follower_ask(mw_follower *follower, mw_arena *arena,
                                   mw_err (*question)(mw_follower *follower, mw_store_view *view,
                                                      mw_arena *arena, void *out),
                                   void *out, size_t *damaged);

/* The page parameters that a list which is followed has none of, in `names` (NULL behind the
 * last). MW_E_INVALID. */
MW_MUST_USE mw_err mw_follower_refuse(mw_api_call *call, const char *const *names);

#endif
