/* mw_pool: the readers, a few threads that run queries and investigations.
 *
 * Jobs are intrusive and run once, in order of arrival, on some worker. The queue has a byte
 * budget; a job's cost is what it keeps alive while waiting (its request).
 */
#ifndef MW_BASE_POOL_H
#define MW_BASE_POOL_H

#include "lib/base/queue.h"

typedef struct mw_job {
    mw_queue_item item; /* cost_bytes set by the submitter */
    void (*run)(struct mw_job *job);
} mw_job;

typedef struct mw_pool mw_pool;

/* Aborts when threads cannot be had (start-up). */
mw_pool *mw_pool_new(unsigned threads, size_t budget_bytes);
/* The same, of threads that step back when others of the process want the processor. */
mw_pool *mw_pool_new_background(unsigned threads, size_t budget_bytes);
/* MW_E_BUSY or MW_E_CLOSED: the job is still the caller's. Any thread, jobs included. */
MW_MUST_USE mw_err mw_pool_submit(mw_pool *pool, mw_job *job);
size_t mw_pool_waiting(mw_pool *pool);
size_t mw_pool_waiting_bytes(mw_pool *pool);
/* Runs what waits, joins the threads. */
void mw_pool_free(mw_pool *pool);

#endif
