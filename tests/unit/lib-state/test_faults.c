/* A disk that fails under state.db: whichever call of SQLite's fails, what was acknowledged is
 * found, what was refused was refused retryably and can be tried again, reads go on, and the state
 * says that it cannot write until it can. */
#include "tests/unit/lib-state/fixture.h"
#include "tests/unit/power_disk.h"

#include "lib/base/log.h"

enum { ROUNDS = 12 };

static power_log disk;
static char long_body[60000];

/* Below `disk` from here on. */
static int set_up_disk(void **state)
{
    if (set_up(state) != 0)
        return -1;
    close_state();
    power_record(&disk, directory);
    must_open();
    return 0;
}

static int tear_down_disk(void **state)
{
    disk.faults = (power_faults){0};
    close_state();
    power_stop();
    power_log_fini(&disk);
    must_open();
    return tear_down(state);
}

static bool is_writable(void)
{
    mw_state_stats stats;
    mw_state_stats_read(the_state, &stats);
    return stats.writable;
}

static void check_alarms(const bool *acknowledged)
{
    for (unsigned n = 0; n < ROUNDS; n++)
        assert_int_equal(has_alarm(n), acknowledged[n]);
    mw_arena_reset(&arena);
}

static mw_err send_alarm(unsigned n)
{
    mw_alarm_row row = alarm_row(n, "inc", "created");
    row.body = mw_slice_bytes(long_body, sizeof long_body);
    return change(insert_alarm, &row);
}

/* From the n-th call of `kind` on, `times` calls fail. */
static void fail_calls(power_kind kind, unsigned nth, unsigned times, int error)
{
    disk.calls[kind] = 0;
    disk.faults = (power_faults){.error = error, .partial = times > 1};
    disk.faults.nth[kind] = nth;
    disk.faults.last[kind] = nth + times - 1;
}

static void run_with_failure(power_kind kind, unsigned nth, unsigned times, int error)
{
    bool acknowledged[ROUNDS] = {false};
    unsigned refused = 0;
    fail_calls(kind, nth, times, error);
    for (unsigned n = 0; n < ROUNDS; n++) {
        mw_err err = send_alarm(n);
        acknowledged[n] = err == MW_OK;
        assert_int_equal(is_writable(), acknowledged[n]);
        refused += !acknowledged[n];
        if (!acknowledged[n])
            assert_int_equal(err, error == ENOSPC ? MW_E_NO_SPACE : MW_E_IO);
        check_alarms(acknowledged);
    }
    bool hit = disk.calls[kind] >= nth;
    assert_true(hit || refused == 0);
    /* What came in the last call does not have to show. */
    assert_true(kind == POWER_OPEN || !hit || nth + 2 > disk.calls[kind] || refused > 0);
    disk.faults = (power_faults){0};
    for (unsigned n = 0; n < ROUNDS; n++)
        assert_int_equal(send_alarm(n), acknowledged[n] ? MW_E_CONFLICT : MW_OK);
    memset(acknowledged, true, sizeof acknowledged);
    check_alarms(acknowledged);
    close_state();
    must_open();
    check_alarms(acknowledged);
}

static void each_call_fails(power_kind kind, void **state)
{
    for (unsigned nth = 1; nth <= 14; nth++)
        for (unsigned times = 1; times <= 4; times += 3) {
            assert_int_equal(set_up_disk(state), 0);
            run_with_failure(kind, nth, times, times > 1 ? ENOSPC : EIO);
            assert_int_equal(tear_down_disk(state), 0);
        }
}

static void test_each_write_fails(void **state)
{
    each_call_fails(POWER_WRITE, state);
}

static void test_each_sync_fails(void **state)
{
    each_call_fails(POWER_SYNC, state);
}

/* The log's name, when it is made anew. */
static void test_each_sync_of_the_directory_fails(void **state)
{
    each_call_fails(POWER_SYNC_NAMES, state);
}

/* At the n-th call of opening for the first time: it fails, and the next attempt opens. */
static void test_each_call_of_opening_fails(void **state)
{
    (void)state;
    static const power_kind kinds[] = {POWER_OPEN,       POWER_WRITE,  POWER_SYNC,
                                       POWER_SYNC_NAMES, POWER_RENAME, POWER_TRUNCATE};
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++)
        for (unsigned nth = 1; nth <= 12; nth++) {
            mw_detail detail = {0};
            assert_int_equal(set_up(NULL), 0);
            close_state();
            remove_files();
            power_record(&disk, directory);
            fail_calls(kinds[i], nth, 1, EIO);
            mw_err err = open_state(&detail);
            assert_true(err == MW_OK || detail.message[0]);
            disk.faults = (power_faults){0};
            if (err != MW_OK)
                must_open();
            assert_int_equal(send_alarm(1), MW_OK);
            close_state();
            must_open();
            assert_true(has_alarm(1));
            power_stop();
            power_log_fini(&disk);
            assert_int_equal(tear_down(NULL), 0);
        }
}

static mw_err look_at_nothing(mw_state_tx *tx, void *unused)
{
    (void)tx, (void)unused;
    return MW_OK;
}

/* Nothing is taken, all is read, nothing is lost; and when there is room again, the writer notices
 * by itself. */
static void test_full_and_back(void **state)
{
    bool acknowledged[ROUNDS] = {false};
    (void)state;
    for (unsigned n = 0; n < 4; n++)
        acknowledged[n] = send_alarm(n) == MW_OK;
    fail_calls(POWER_WRITE, 1, UINT32_MAX - 1, ENOSPC);
    for (unsigned n = 4; n < 8; n++)
        assert_int_equal(send_alarm(n), MW_E_NO_SPACE);
    assert_false(is_writable());
    /* What writes nothing succeeds, and says nothing about the disk. */
    assert_int_equal(change(look_at_nothing, NULL), MW_OK);
    assert_false(is_writable());
    check_alarms(acknowledged);
    usleep(1500000); /* an attempt of the writer's own */
    assert_false(is_writable());
    disk.faults = (power_faults){0};
    for (int i = 0; i < 400 && !is_writable(); i++)
        usleep(10000);
    assert_true(is_writable());
    for (unsigned n = 4; n < 8; n++)
        acknowledged[n] = send_alarm(n) == MW_OK;
    check_alarms(acknowledged);
    assert_true(has_alarm(7));
}

/* All of SQLite's writes go through the shim: nothing changes but what was logged. */
static void test_nothing_goes_around(void **state)
{
    (void)state;
    power_disk after;
    char image[96];
    power_content shown = {0}, real = {0};
    for (unsigned n = 0; n < ROUNDS; n++)
        assert_int_equal(send_alarm(n), MW_OK);
    close_state();
    snprintf(image, sizeof image, "%.60s-image", directory);
    power_disk_init(&after, &disk);
    while (power_disk_step(&after))
        continue;
    assert_true(power_disk_image(&after, 0, 0, image));
    for (int i = 0; i < 2; i++) {
        char path[128], *data = NULL;
        size_t len = 0;
        snprintf(path, sizeof path, "%s/state.db", i ? image : directory);
        assert_int_equal(mw_io_read_file(path, 1 << 24, &data, &len), MW_OK);
        power_put(i ? &shown : &real, 0, data, len);
        mw_free(MW_MEM_BASE, data);
    }
    assert_true(real.len > ROUNDS * sizeof long_body);
    assert_int_equal(real.len, shown.len);
    assert_memory_equal(real.data, shown.data, real.len);
    free(real.data);
    free(shown.data);
    power_disk_fini(&after);
    remove_tree(image);
    must_open();
}

#define WITH_DISK(test) cmocka_unit_test_setup_teardown(test, set_up_disk, tear_down_disk)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_each_write_fails),
        cmocka_unit_test(test_each_sync_fails),
        cmocka_unit_test(test_each_sync_of_the_directory_fails),
        cmocka_unit_test(test_each_call_of_opening_fails),
        WITH_DISK(test_full_and_back),
        WITH_DISK(test_nothing_goes_around),
    };
    memset(long_body, 'x', sizeof long_body);
    /* Hundreds of provoked failures would drown the output. */
    mw_log_init(MW_LOG_ERROR, MW_LOG_LOGFMT, open("/dev/null", O_WRONLY));
    return cmocka_run_group_tests(tests, NULL, NULL);
}
