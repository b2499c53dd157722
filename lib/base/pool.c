/* Worker threads over one queue. */
#include <pthread.h>
#include <signal.h>
#include <sys/resource.h>
#include <unistd.h>

#include "lib/base/memory.h"
#include "lib/base/pool.h"

/* A tenth of what a thread of the usual priority gets where both want all. */
#define BACKGROUND_NICE 10

struct mw_pool {
    mw_queue queue;
    bool background;
    unsigned thread_count;
    pthread_t threads[];
};

static void *work(void *arg)
{
    mw_pool *pool = arg;
    /* Linux has a priority a thread. Where it may not be given up, work goes on as usual. */
    if (pool->background)
        (void)setpriority(PRIO_PROCESS, (id_t)gettid(), BACKGROUND_NICE);
    for (;;) {
        mw_queue_item *item = mw_queue_take_one(&pool->queue, -1);
        if (!item)
            return NULL;
        mw_job *job = (mw_job *)(void *)((char *)item - offsetof(mw_job, item));
        job->run(job);
    }
}

static mw_pool *start_pool(unsigned threads, size_t budget_bytes, bool background)
{
    MW_ASSERT(threads > 0);
    mw_pool *pool =
        mw_calloc_or_die(MW_MEM_BASE, 1, sizeof *pool + threads * sizeof pool->threads[0]);
    mw_queue_init(&pool->queue, budget_bytes);
    pool->thread_count = threads;
    pool->background = background;
    /* Signals belong to the main thread. */
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    for (unsigned i = 0; i < threads; i++) {
        if (pthread_create(&pool->threads[i], NULL, work, pool) != 0)
            mw_bug(__FILE__, __LINE__, "cannot start a worker thread");
        pthread_setname_np(pool->threads[i], "mw-pool");
    }
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return pool;
}

mw_pool *mw_pool_new(unsigned threads, size_t budget_bytes)
{
    return start_pool(threads, budget_bytes, false);
}

mw_pool *mw_pool_new_background(unsigned threads, size_t budget_bytes)
{
    return start_pool(threads, budget_bytes, true);
}

mw_err mw_pool_submit(mw_pool *pool, mw_job *job)
{
    return mw_queue_put(&pool->queue, &job->item);
}

size_t mw_pool_waiting(mw_pool *pool)
{
    return mw_queue_count(&pool->queue);
}

size_t mw_pool_waiting_bytes(mw_pool *pool)
{
    return mw_queue_bytes(&pool->queue);
}

void mw_pool_free(mw_pool *pool)
{
    mw_queue_close(&pool->queue);
    for (unsigned i = 0; i < pool->thread_count; i++)
        pthread_join(pool->threads[i], NULL);
    mw_queue_fini(&pool->queue);
    mw_free(MW_MEM_BASE, pool);
}
