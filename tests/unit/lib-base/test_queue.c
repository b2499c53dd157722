/* Queue and pool: order, budget, closing, many threads. */
#include <stdatomic.h>
#include <sys/resource.h>
#include <unistd.h>

#include "lib/base/memory.h"
#include "lib/base/pool.h"
#include "tests/check.h"

static void test_order_and_budget(void **state)
{
    (void)state;
    mw_queue queue;
    mw_queue_item items[4] = {{NULL, 40}, {NULL, 40}, {NULL, 40}, {NULL, 500}};
    mw_queue_init(&queue, 100);
    assert_null(mw_queue_take(&queue, 1000, 0));
    assert_int_equal(mw_queue_put(&queue, &items[0]), MW_OK);
    assert_int_equal(mw_queue_put(&queue, &items[1]), MW_OK);
    assert_int_equal(mw_queue_put(&queue, &items[2]), MW_E_BUSY);
    assert_int_equal(mw_queue_bytes(&queue), 80);
    assert_ptr_equal(mw_queue_take_one(&queue, 0), &items[0]);
    assert_int_equal(mw_queue_put(&queue, &items[2]), MW_OK);
    mw_queue_item *both = mw_queue_take(&queue, 1000, 0);
    assert_ptr_equal(both, &items[1]);
    assert_ptr_equal(both->next, &items[2]);
    assert_null(both->next->next);
    /* One item always fits an empty queue, whatever it costs. */
    assert_int_equal(mw_queue_put(&queue, &items[3]), MW_OK);
    assert_int_equal(mw_queue_put(&queue, &items[0]), MW_E_BUSY);
    assert_ptr_equal(mw_queue_take(&queue, 1, 0), &items[3]);
    mw_queue_close(&queue);
    assert_int_equal(mw_queue_put(&queue, &items[0]), MW_E_CLOSED);
    assert_null(mw_queue_take(&queue, 1, -1));
    mw_queue_fini(&queue);
}

static void test_take_by_bytes(void **state)
{
    (void)state;
    mw_queue queue;
    mw_queue_item items[3] = {{NULL, 40}, {NULL, 40}, {NULL, 40}};
    mw_queue_init(&queue, 1000);
    for (int i = 0; i < 3; i++)
        assert_int_equal(mw_queue_put(&queue, &items[i]), MW_OK);
    mw_queue_item *some = mw_queue_take(&queue, 80, 0);
    assert_ptr_equal(some->next, &items[1]);
    assert_null(some->next->next);
    assert_int_equal(mw_queue_count(&queue), 1);
    assert_ptr_equal(mw_queue_take(&queue, 1, 0), &items[2]);
    mw_queue_fini(&queue);
}

typedef struct counted_job {
    mw_job job;
    atomic_int *sum;
} counted_job;

static void run_counted(mw_job *job)
{
    counted_job *self = (counted_job *)(void *)job;
    atomic_fetch_add(self->sum, 1);
}

typedef struct producer {
    pthread_t thread;
    mw_pool *pool;
    counted_job *jobs;
    int count;
} producer;

static void *produce(void *arg)
{
    producer *self = arg;
    for (int i = 0; i < self->count; i++)
        while (mw_pool_submit(self->pool, &self->jobs[i].job) == MW_E_BUSY)
            usleep(50);
    return NULL;
}

static void test_pool(void **state)
{
    (void)state;
    enum { PRODUCERS = 4, EACH = 2000 };
    static counted_job jobs[PRODUCERS][EACH];
    atomic_int sum = 0;
    producer producers[PRODUCERS];
    mw_pool *pool = mw_pool_new(3, 1000);
    for (int p = 0; p < PRODUCERS; p++) {
        for (int i = 0; i < EACH; i++)
            jobs[p][i] =
                (counted_job){.job = {.item = {NULL, 10}, .run = run_counted}, .sum = &sum};
        producers[p] = (producer){.pool = pool, .jobs = jobs[p], .count = EACH};
        pthread_create(&producers[p].thread, NULL, produce, &producers[p]);
    }
    for (int p = 0; p < PRODUCERS; p++)
        pthread_join(producers[p].thread, NULL);
    mw_pool_free(pool); /* runs what still waits */
    assert_int_equal(atomic_load(&sum), PRODUCERS * EACH);
    assert_int_equal(mw_memory_used(), 0);
}

typedef struct nice_job {
    mw_job job;
    int nice;
} nice_job;

static void note_nice(mw_job *job)
{
    ((nice_job *)job)->nice = getpriority(PRIO_PROCESS, (id_t)gettid());
}

/* Threads in the background give way to the others, and only they. */
static void test_background(void **state)
{
    (void)state;
    int own = getpriority(PRIO_PROCESS, 0);
    nice_job back = {.job = {.item = {NULL, 10}, .run = note_nice}}, usual = back;
    mw_pool *pools[] = {mw_pool_new_background(1, 100), mw_pool_new(1, 100)};
    assert_int_equal(mw_pool_submit(pools[0], &back.job), MW_OK);
    assert_int_equal(mw_pool_submit(pools[1], &usual.job), MW_OK);
    mw_pool_free(pools[0]);
    mw_pool_free(pools[1]);
    assert_int_equal(usual.nice, own);
    assert_true(back.nice > own || own >= 19);
    assert_int_equal(getpriority(PRIO_PROCESS, 0), own);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_order_and_budget),
        cmocka_unit_test(test_take_by_bytes),
        cmocka_unit_test(test_pool),
        cmocka_unit_test(test_background),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
