/* A request sent again is acknowledged and not stored again: at once, in one group, after a
 * restart; but never when the first copy was not acknowledged. */
#include <errno.h>
#include <unistd.h>

#include "lib/base/counter.h"
#include "lib/base/io.h"
#include "tests/unit/lib-store/store_test.h"

static mw_fake_clock fake;
static test_dir dir;
static atomic_bool sync_fails;

static int failing_sync(int fd)
{
    if (!sync_fails)
        return mw_io_system()->fdatasync(fd);
    errno = EIO;
    return -1;
}

static int setup(void **state)
{
    (void)state;
    test_dir_init(&dir);
    mw_fake_clock_init(&fake, INT64_C(1773480413000000000));
    sync_fails = false;
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    mw_io_use(NULL);
    test_dir_fini(&dir);
    return 0;
}

static mw_store *open_fake(void)
{
    return open_with(dir.store, &fake.clock, MW_STORE_QUEUE_DEFAULT, MW_STORE_SEGMENT_DEFAULT);
}

/* A batch of two spans of trace `n`, whose digest is `n` too. */
static void make_batch(test_batch *batch, uint8_t n)
{
    test_batch_init(batch, 2);
    test_span(batch, 0, n, 1, 0);
    test_span(batch, 1, n, 2, 1);
    memset(batch->batch.digest, n, sizeof batch->batch.digest);
}

static mw_err send_request(mw_store *store, uint8_t n, uint64_t *seq)
{
    test_batch batch;
    make_batch(&batch, n);
    mw_err err = append_wait(store, &batch.batch, seq);
    test_batch_fini(&batch);
    return err;
}

static void check_sent(mw_store *store, uint8_t n, uint64_t expected_seq)
{
    uint64_t seq = 99;
    assert_int_equal(send_request(store, n, &seq), MW_OK);
    assert_int_equal(seq, expected_seq);
}

static mw_store_stats stats_of_store(mw_store *store)
{
    mw_store_stats stats;
    mw_store_stats_read(store, &stats);
    return stats;
}

static void test_repeat(void **state)
{
    (void)state;
    uint64_t before = mw_counter_value(MW_COUNT_EXPORTS_RETRIED);
    mw_store *store = open_fake();
    check_sent(store, 1, 1);
    check_sent(store, 1, 0);
    check_sent(store, 2, 2);
    check_sent(store, 1, 0);
    assert_int_equal(stats_of_store(store).blocks, 2);
    assert_int_equal(stats_of_store(store).spans, 4);
    assert_int_equal(mw_counter_value(MW_COUNT_EXPORTS_RETRIED) - before, 2);
    assert_int_equal(stats_of_store(store).retry_digests, 2);
    mw_store_close(store);
    store = open_fake(); /* the window is in the blocks */
    check_sent(store, 2, 0);
    check_sent(store, 3, 3);
    mw_fake_clock_advance(&fake, 3601 * MW_NS_PER_S);
    check_sent(store, 1, 4);
    mw_store_close(store);
}

static void test_without_digest(void **state)
{
    (void)state;
    mw_store *store = open_fake();
    check_sent(store, 0, 1);
    check_sent(store, 0, 2);
    assert_int_equal(stats_of_store(store).blocks, 2);
    mw_store_close(store);
}

/* Two copies that meet in the queue: one is written, both are acknowledged. */
static void test_same_group(void **state)
{
    (void)state;
    enum { COPIES = 200 };
    static test_ticket tickets[COPIES];
    mw_store *store = open_fake();
    test_batch batch;
    make_batch(&batch, 5);
    for (int i = 0; i < COPIES; i++) {
        ticket_init(&tickets[i]);
        assert_int_equal(mw_store_append(store, &batch.batch, ticket_done, &tickets[i]), MW_OK);
    }
    int written = 0;
    for (int i = 0; i < COPIES; i++) {
        uint64_t seq;
        assert_int_equal(ticket_wait(&tickets[i], &seq), MW_OK);
        written += seq != 0;
    }
    assert_int_equal(written, 1);
    assert_int_equal(stats_of_store(store).blocks, 1);
    assert_int_equal(count_spans(store, 5), 2);
    test_batch_fini(&batch);
    mw_store_close(store);
}

/* What was not acknowledged is no first copy. */
static void test_failed_first(void **state)
{
    (void)state;
    mw_io broken = *mw_io_system();
    broken.fdatasync = failing_sync;
    mw_io_use(&broken);
    mw_store *store = open_fake();
    check_sent(store, 1, 1);
    sync_fails = true;
    assert_int_equal(send_request(store, 2, NULL), MW_E_IO);
    sync_fails = false;
    mw_fake_clock_advance(&fake, 2 * MW_NS_PER_S);
    uint64_t seq = 0;
    assert_int_equal(send_request(store, 2, &seq), MW_OK);
    assert_true(seq > 0);
    check_sent(store, 2, 0);
    check_sent(store, 1, 0);
    assert_int_equal(count_spans(store, 2), 2);
    mw_store_close(store);
}

/* Readiness comes back without traffic: nobody sends to a daemon that says it is not ready. */
static void test_recovers_alone(void **state)
{
    (void)state;
    mw_io broken = *mw_io_system();
    broken.fdatasync = failing_sync;
    mw_io_use(&broken);
    mw_store *store = open_fake();
    check_sent(store, 1, 1);
    sync_fails = true;
    assert_int_equal(send_request(store, 2, NULL), MW_E_IO);
    assert_false(stats_of_store(store).writable);
    sync_fails = false;
    mw_fake_clock_advance(&fake, 2 * MW_NS_PER_S);
    for (int i = 0; i < 600 && !stats_of_store(store).writable; i++)
        usleep(100000);
    assert_true(stats_of_store(store).writable);
    assert_int_equal(count_spans(store, 1), 2);
    mw_store_close(store);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_repeat, setup, teardown),
        cmocka_unit_test_setup_teardown(test_without_digest, setup, teardown),
        cmocka_unit_test_setup_teardown(test_same_group, setup, teardown),
        cmocka_unit_test_setup_teardown(test_failed_first, setup, teardown),
        cmocka_unit_test_setup_teardown(test_recovers_alone, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
