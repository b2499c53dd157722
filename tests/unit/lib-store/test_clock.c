/* A wall clock that jumps: by a day back, by ten days ahead. What is stored stays and is found,
 * repeats are recognised, readiness comes back by the monotonic clock, and retention does not
 * believe a jump. */
#include <errno.h>
#include <fcntl.h>

#include "tests/unit/lib-store/store_test.h"

#include "lib/base/log.h"

#define HOUR (3600 * MW_NS_PER_S)
#define DAY (24 * HOUR)

static test_dir dir;
static mw_fake_clock fake;
static bool sync_fails;

static int failing_sync(int fd)
{
    if (!sync_fails)
        return mw_io_system()->fdatasync(fd);
    errno = EIO;
    return -1;
}

static int set_up(void **state)
{
    static mw_io io;
    (void)state;
    test_dir_init(&dir);
    mw_fake_clock_init(&fake, INT64_C(1773480413) * MW_NS_PER_S);
    io = *mw_io_system();
    io.fdatasync = failing_sync;
    sync_fails = false;
    mw_io_use(&io);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    mw_io_use(NULL);
    test_dir_fini(&dir);
    return 0;
}

static mw_store *open_aged(int64_t retention_age_ns)
{
    mw_store_config config = {.directory = dir.store,
                              .clock = &fake.clock,
                              .queue_budget_bytes = MW_STORE_QUEUE_DEFAULT,
                              .segment_max_bytes = 2048,
                              .retention_age_ns = retention_age_ns};
    mw_store *store = NULL;
    mw_detail detail = {0};
    assert_int_equal(mw_store_open(&config, &store, &detail), MW_OK);
    return store;
}

static void send_trace(mw_store *store, uint8_t n, bool repeat)
{
    test_batch batch;
    uint64_t seq = 99;
    test_batch_init(&batch, 2);
    test_span(&batch, 0, n, 1, 0);
    test_span(&batch, 1, n, 2, 1);
    memset(batch.batch.digest, n, sizeof batch.batch.digest);
    assert_int_equal(append_wait(store, &batch.batch, &seq), MW_OK);
    assert_int_equal(seq == 0, repeat);
    test_batch_fini(&batch);
}

static void check_traces(mw_store *store, uint8_t first, uint8_t last)
{
    mw_store_stats stats;
    for (uint8_t n = first; n <= last; n++)
        assert_int_equal(count_spans(store, n), 2);
    mw_store_stats_read(store, &stats);
    assert_int_equal(stats.spans, 2u * (unsigned)(last - first + 1));
}

/* Arrivals go backwards in the file, over a restart, and through a merge. */
static void test_backwards(void **state)
{
    (void)state;
    mw_store *store = open_aged(0);
    for (uint8_t n = 1; n <= 20; n++) {
        send_trace(store, n, false);
        fake.wall_ns += n % 5 == 0 ? -DAY : MW_NS_PER_S;
        fake.mono_ns += MW_NS_PER_S;
        /* What came just before the jump is still a repeat after it. */
        send_trace(store, n, true);
    }
    check_traces(store, 1, 20);
    for (int again = 0; again < 2; again++) {
        mw_store_close(store);
        store = open_aged(0);
        check_traces(store, 1, 20);
        send_trace(store, 20, true);
        assert_int_equal(mw_store_merge_all(store, 30 * MW_NS_PER_S), MW_OK);
        check_traces(store, 1, 20);
        send_trace(store, 20, true);
    }
    mw_store_close(store);
    assert_int_equal(mw_store_verify(dir.store, NULL, NULL, NULL), MW_OK);
}

/* The pause behind a failure is measured by the clock that does not jump. */
static void test_readiness(void **state)
{
    (void)state;
    const int64_t jumps[] = {-10 * DAY, 10 * DAY};
    for (size_t i = 0; i < 2; i++) {
        mw_store *store = open_aged(0);
        mw_store_stats stats;
        sync_fails = true;
        assert_int_not_equal(append_spans(store, 1, 1, 2), MW_OK);
        mw_fake_clock_advance(&fake, 2 * MW_NS_PER_S);
        assert_int_not_equal(append_spans(store, 1, 1, 2),
                             MW_OK); /* a new file fails, too: pause */
        sync_fails = false;
        fake.wall_ns += jumps[i];
        assert_int_not_equal(append_spans(store, 1, 1, 2), MW_OK);
        mw_store_stats_read(store, &stats);
        assert_false(stats.writable);
        mw_fake_clock_advance(&fake, 2 * MW_NS_PER_S);
        assert_int_equal(append_spans(store, 1, 1, 2), MW_OK);
        mw_store_close(store);
        remove_tree(dir.store);
    }
}

/* Ten days ahead in one step delete nothing; ten days that pass do. */
static void test_retention(void **state)
{
    (void)state;
    mw_store *store = open_aged(5 * DAY);
    for (uint8_t n = 1; n <= 10; n++)
        send_trace(store, n, false);
    mw_fake_clock_advance(&fake, 2 * MW_NS_PER_S);
    assert_int_equal(mw_store_merge_all(store, 30 * MW_NS_PER_S), MW_OK);
    fake.wall_ns += 10 * DAY;
    for (int look = 0; look < 5; look++) {
        mw_fake_clock_advance(&fake, 2 * MW_NS_PER_S);
        assert_int_equal(mw_store_merge_all(store, 30 * MW_NS_PER_S), MW_OK);
        check_traces(store, 1, 10);
    }
    /* Nor does a start that finds the clock so far ahead of what is stored. */
    mw_store_close(store);
    store = open_aged(5 * DAY);
    mw_fake_clock_advance(&fake, 2 * MW_NS_PER_S);
    assert_int_equal(mw_store_merge_all(store, 30 * MW_NS_PER_S), MW_OK);
    check_traces(store, 1, 10);
    for (int day = 0; day < 12 * 24; day++) {
        mw_fake_clock_advance(&fake, HOUR / 2);
        assert_int_equal(mw_store_merge_all(store, 30 * MW_NS_PER_S), MW_OK);
    }
    assert_int_equal(count_spans(store, 1), 0);
    mw_store_close(store);
}

/* Merged by itself, so that it has an arrival of its own. */
static void send_alone(mw_store *store, uint8_t n)
{
    send_trace(store, n, false);
    mw_fake_clock_advance(&fake, 2 * MW_NS_PER_S);
    assert_int_equal(mw_store_merge_all(store, 30 * MW_NS_PER_S), MW_OK);
}

/* Some time a year slow, and right again, over a start: what came then is no older than what came
 * before it, and goes when that goes. */
static void test_year_slow(void **state)
{
    (void)state;
    mw_store *store = open_aged(30 * DAY);
    send_alone(store, 1);
    mw_store_close(store);
    fake.wall_ns -= 365 * DAY;
    store = open_aged(30 * DAY);
    send_alone(store, 2);
    send_alone(store, 3);
    mw_store_close(store);
    fake.wall_ns += 365 * DAY;
    store = open_aged(30 * DAY);
    send_alone(store, 4);
    check_traces(store, 1, 4);
    mw_store_close(store);
    store = open_aged(30 * DAY);
    for (int day = 0; day < 29; day++) {
        mw_fake_clock_advance(&fake, DAY);
        assert_int_equal(mw_store_merge_all(store, 30 * MW_NS_PER_S), MW_OK);
    }
    check_traces(store, 1, 4);
    mw_fake_clock_advance(&fake, 2 * DAY);
    assert_int_equal(mw_store_merge_all(store, 30 * MW_NS_PER_S), MW_OK);
    for (uint8_t n = 1; n <= 4; n++)
        assert_int_equal(count_spans(store, n), 0);
    mw_store_close(store);
}

/* A year fast, and right again: what came then stays until its stamp has its age, and does not keep
 * what came later. */
static void test_year_fast(void **state)
{
    (void)state;
    mw_store *store = open_aged(30 * DAY);
    send_alone(store, 1);
    fake.wall_ns += 365 * DAY;
    send_alone(store, 2);
    fake.wall_ns -= 365 * DAY;
    send_alone(store, 3);
    for (int day = 0; day < 31; day++) {
        mw_fake_clock_advance(&fake, DAY);
        assert_int_equal(mw_store_merge_all(store, 30 * MW_NS_PER_S), MW_OK);
    }
    assert_int_equal(count_spans(store, 1), 0);
    assert_int_equal(count_spans(store, 2), 2);
    assert_int_equal(count_spans(store, 3), 0);
    mw_store_close(store);
}

#define WITH_CLOCK(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_CLOCK(test_backwards), WITH_CLOCK(test_readiness), WITH_CLOCK(test_retention),
        WITH_CLOCK(test_year_slow), WITH_CLOCK(test_year_fast),
    };
    mw_log_init(MW_LOG_ERROR, MW_LOG_LOGFMT, open("/dev/null", O_WRONLY));
    return cmocka_run_group_tests(tests, NULL, NULL);
}
