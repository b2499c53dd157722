/* The keeper: one thread that merges, retires what is too old or too much, and keeps the roll-up of
 * the unmerged tail up to date. Never between a request and its answer.
 *
 * It wakes when the writer leaves a segment, and once a second. In order: the tail's roll-up
 * (rollup_tail.h), merges that are due (merge_policy.h), retention. The newest segment of the log
 * is never merged: when it is due, the writer is asked to leave it, which makes its successor
 * first. So there is always a file whose header knows where the one before ended and which sequence
 * comes next, even when all else was merged and retired.
 *
 * Without the thread (mw_store_config.merge false) mw_store_merge_all does the same on its caller's
 * thread; one at a time then.
 *
 * A merge that fails is tried again after a pause that grows from MW_KEEPER_PAUSE_MIN_NS to
 * MW_KEEPER_PAUSE_MAX_NS, counted, and logged the first time. Meanwhile appends go on, whatever the
 * backlog: a store that cannot merge takes data until the disk is full.
 *
 * A full disk: merging frees more than it takes, once it has room to begin. So where the disk is
 * nearly full (merge_room.h) segments are merged one by one and at once, no file is kept for the
 * writer, and of a merge that takes most of what is free nobody takes the room: appends wait
 * for that long. Where no segment of the log fits any more, the reserve of the configuration is
 * given up, if one fits with it. What does not fit even so waits for retention, or for a person.
 */
#ifndef MW_STORE_KEEPER_H
#define MW_STORE_KEEPER_H

#include <pthread.h>
#include <stdatomic.h>

#include "lib/store/merge/merge_room.h"
#include "lib/store/merge/retention.h"

struct mw_store;

#define MW_KEEPER_PAUSE_MIN_NS (2 * MW_NS_PER_S)
#define MW_KEEPER_PAUSE_MAX_NS (60 * MW_NS_PER_S)
/* How long the room of a reserve that was given up is kept for the merge that it is for: the writer
 * has to leave its segment first. */
#define MW_KEEPER_RESERVE_NS (5 * MW_NS_PER_S)

typedef struct mw_keeper {
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t wake;     /* for the keeper */
    pthread_cond_t answer;   /* for who asked for all to be merged */
    bool started;            /* the thread runs */
    bool urgent;             /* there may be something to do; under the lock, as the next */
    uint64_t asked, at_rest; /* calls of _merge_all, and how many of them are answered */
    uint64_t target_seq;     /* what was committed at the last of those calls */
    mw_err rest_err;
    atomic_bool stopping, failing;
    _Atomic int64_t room_kept_until_ns; /* for a merge; monotonic, 0 = for none */
    /* The keeper's thread alone. */
    uint64_t leaves_id; /* the segment that the writer was asked to leave, 0 = none */
    int64_t leaves_at_ns;
    int64_t pause_ns, retry_at_ns, retention_at_ns; /* the latter two monotonic */
    mw_retention_clock clock;
    mw_merge_room room;
} mw_keeper;

/* With the store, before and after its writer; the thread comes with _start. */
void mw_keeper_init(struct mw_store *store);
void mw_keeper_fini(struct mw_store *store);
MW_MUST_USE mw_err mw_keeper_start(struct mw_store *store); /* MW_E_NOMEM */
/* Ends a merge under way between two blocks; nothing of it is left. */
void mw_keeper_stop(struct mw_store *store);
/* Any thread: there may be something to do. */
void mw_keeper_wake(struct mw_store *store);
/* Must appends wait for merges? Any thread, cheap. */
bool mw_keeper_is_behind(struct mw_store *store);
/* What appends are refused with while what is free on a full disk is a merge's: MW_E_BUSY, since it
 * passes by itself, MW_E_NO_SPACE while merging fails. MW_OK: it is theirs. Any thread, cheap. */
mw_err mw_keeper_refusal(struct mw_store *store);

#endif
