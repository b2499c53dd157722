/* The keeper: one thread that merges, retires what is too old or too much, and keeps the roll-up of
 * the unmerged tail up to date. Never between a request and its answer.
 *
 * It wakes when the writer leaves a segment, and once a second. In order: the tail's roll-up
 * (rollup_tail.h), merges that are due, retention.
 */
#ifndef MW_STORE_KEEPER_H
#define MW_STORE_KEEPER_H

#include <pthread.h>

#include "lib/base/clock.h"

struct mw_store;

typedef struct mw_keeper {
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t wake;
    bool started, stopping, urgent;
} mw_keeper;

MW_MUST_USE mw_err mw_keeper_start(struct mw_store *store); /* MW_E_NOMEM */
/* Ends a merge under way between two blocks; nothing of it is left. */
void mw_keeper_stop(struct mw_store *store);
/* Any thread: there may be something to do. */
void mw_keeper_wake(struct mw_store *store);

#endif
