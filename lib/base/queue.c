/* A byte-bounded queue of intrusive items: one mutex, one condition. */
#include <errno.h>
#include <sched.h>
#include <time.h>

#include "lib/base/queue.h"

void mw_queue_init(mw_queue *queue, size_t budget_bytes)
{
    pthread_condattr_t attributes;
    *queue = (mw_queue){.budget_bytes = budget_bytes};
    queue->tail = &queue->head;
    /* Monotonic, so that a jump of the wall clock stalls no consumer. */
    if (pthread_mutex_init(&queue->lock, NULL) != 0 || pthread_condattr_init(&attributes) != 0 ||
        pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC) != 0 ||
        pthread_cond_init(&queue->changed, &attributes) != 0)
        mw_bug(__FILE__, __LINE__, "pthread initialisation failed");
    pthread_condattr_destroy(&attributes);
}

void mw_queue_fini(mw_queue *queue)
{
    MW_ASSERT(queue->head == NULL);
    while (__atomic_load_n(&queue->signalling, __ATOMIC_ACQUIRE))
        sched_yield(); /* between its two last steps: microseconds */
    pthread_cond_destroy(&queue->changed);
    pthread_mutex_destroy(&queue->lock);
}

mw_err mw_queue_put(mw_queue *queue, mw_queue_item *item)
{
    mw_err err = MW_OK;
    pthread_mutex_lock(&queue->lock);
    if (queue->closed) {
        err = MW_E_CLOSED;
    } else if (queue->count && (item->cost_bytes > queue->budget_bytes ||
                                queue->bytes > queue->budget_bytes - item->cost_bytes)) {
        err = MW_E_BUSY;
    } else {
        item->next = NULL;
        *queue->tail = item;
        queue->tail = &item->next;
        queue->bytes += item->cost_bytes;
        queue->count++;
        __atomic_add_fetch(&queue->signalling, 1, __ATOMIC_RELAXED);
    }
    pthread_mutex_unlock(&queue->lock);
    if (err == MW_OK) {
        /* Not under the lock, which the woken consumer wants first of all: if the scheduler lets it
         * run at once, it would wait for us to have our turn again. */
        pthread_cond_signal(&queue->changed);
        __atomic_sub_fetch(&queue->signalling, 1, __ATOMIC_RELEASE);
    }
    return err;
}

/* Waits with the lock held until there is an item, the queue closes or the time is up. */
static void wait_for_item(mw_queue *queue, int timeout_ms)
{
    struct timespec until;
    if (timeout_ms >= 0) {
        clock_gettime(CLOCK_MONOTONIC, &until);
        until.tv_sec += timeout_ms / 1000;
        until.tv_nsec += (long)(timeout_ms % 1000) * 1000000;
        if (until.tv_nsec >= 1000000000) {
            until.tv_sec++;
            until.tv_nsec -= 1000000000;
        }
    }
    while (!queue->head && !queue->closed) {
        int result = timeout_ms < 0 ? pthread_cond_wait(&queue->changed, &queue->lock)
                                    : pthread_cond_timedwait(&queue->changed, &queue->lock, &until);
        if (result == ETIMEDOUT)
            return;
    }
}

/* Cuts up to max_items or max_bytes (at least one) off the front. */
static mw_queue_item *cut(mw_queue *queue, size_t max_items, size_t max_bytes)
{
    mw_queue_item *first = queue->head;
    mw_queue_item *last = NULL;
    size_t bytes = 0, count = 0;
    for (mw_queue_item *item = first; item && count < max_items; item = item->next) {
        if (count && (item->cost_bytes > max_bytes || bytes > max_bytes - item->cost_bytes))
            break;
        bytes += item->cost_bytes;
        count++;
        last = item;
    }
    if (!last)
        return NULL;
    queue->head = last->next;
    if (!queue->head)
        queue->tail = &queue->head;
    last->next = NULL;
    queue->bytes -= bytes;
    queue->count -= count;
    return first;
}

static mw_queue_item *take(mw_queue *queue, size_t max_items, size_t max_bytes, int timeout_ms)
{
    pthread_mutex_lock(&queue->lock);
    wait_for_item(queue, timeout_ms);
    mw_queue_item *items = cut(queue, max_items, max_bytes);
    pthread_mutex_unlock(&queue->lock);
    return items;
}

mw_queue_item *mw_queue_take(mw_queue *queue, size_t max_bytes, int timeout_ms)
{
    return take(queue, SIZE_MAX, max_bytes, timeout_ms);
}

mw_queue_item *mw_queue_take_one(mw_queue *queue, int timeout_ms)
{
    return take(queue, 1, SIZE_MAX, timeout_ms);
}

void mw_queue_close(mw_queue *queue)
{
    pthread_mutex_lock(&queue->lock);
    queue->closed = true;
    pthread_cond_broadcast(&queue->changed);
    pthread_mutex_unlock(&queue->lock);
}

bool mw_queue_is_closed(mw_queue *queue)
{
    pthread_mutex_lock(&queue->lock);
    bool closed = queue->closed;
    pthread_mutex_unlock(&queue->lock);
    return closed;
}

size_t mw_queue_bytes(mw_queue *queue)
{
    pthread_mutex_lock(&queue->lock);
    size_t bytes = queue->bytes;
    pthread_mutex_unlock(&queue->lock);
    return bytes;
}

size_t mw_queue_count(mw_queue *queue)
{
    pthread_mutex_lock(&queue->lock);
    size_t count = queue->count;
    pthread_mutex_unlock(&queue->lock);
    return count;
}
