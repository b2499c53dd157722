/* mw_queue: many producers, one or more consumers, bounded by bytes.
 *
 * Items are intrusive links, so that putting never allocates. Each item states its cost; a put
 * that would exceed the budget is refused (MW_E_BUSY), which the caller turns into a counted,
 * retryable refusal. One item always fits an empty queue.
 */
#ifndef MW_BASE_QUEUE_H
#define MW_BASE_QUEUE_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/base/error.h"

typedef struct mw_queue_item {
    struct mw_queue_item *next;
    size_t cost_bytes;
} mw_queue_item;

typedef struct mw_queue {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    mw_queue_item *head;
    mw_queue_item **tail;
    size_t bytes;
    size_t count;
    size_t budget_bytes;
    bool closed;
    unsigned signalling; /* atomic: puts that are done but for waking a consumer */
} mw_queue;

void mw_queue_init(mw_queue *queue, size_t budget_bytes);
void mw_queue_fini(mw_queue *queue); /* must be empty */
/* MW_E_BUSY (over budget) or MW_E_CLOSED; the item stays the caller's then. Any thread. */
MW_MUST_USE mw_err mw_queue_put(mw_queue *queue, mw_queue_item *item);
/* Takes everything that waits, oldest first, up to max_bytes (at least one item). Blocks until
 * there is something, or timeout_ms (-1 = for ever) passes; NULL then, or when closed and empty. */
mw_queue_item *mw_queue_take(mw_queue *queue, size_t max_bytes, int timeout_ms);
/* Exactly one item, same rules: for pools of workers. */
mw_queue_item *mw_queue_take_one(mw_queue *queue, int timeout_ms);
/* Puts are refused from now on; consumers drain what is left. */
void mw_queue_close(mw_queue *queue);
/* Tells a consumer whose take came back empty whether it was the time or the end. */
bool mw_queue_is_closed(mw_queue *queue);
size_t mw_queue_bytes(mw_queue *queue);
size_t mw_queue_count(mw_queue *queue);

#endif
