/* synchronous=FULL when the power fails: a run of alarms, refused writes, checkpoints and restarts
 * is recorded call by call through SQLite's VFS, and at every point of it the directory is opened
 * as a disk may show it then. It opens; every alarm whose job was told so is there, with its body;
 * the database is whole; and life goes on. Also while the files are made for the first time.
 *
 * POWER_LOSS_SEEDS in the environment is how many random runs are sampled (make soak: many).
 */
#include "tests/unit/lib-state/fixture.h"
#include "tests/unit/power_disk.h"

#include "lib/base/log.h"

enum { ALARMS_MAX = 64, GROUP = 4, LONG_BODY = 120000 };

/* Of every eighth alarm: the log reaches the size of a checkpoint again and again. */
static char long_body[LONG_BODY];
static char home[64];
static power_log recorded;
static bool refused[ALARMS_MAX];

static mw_slice body_of(unsigned n)
{
    return n % 8 == 7 ? mw_slice_bytes(long_body, sizeof long_body) : MW_SLICE("{\"raw\":1}");
}

static mw_alarm_row row_of(unsigned n)
{
    mw_alarm_row row = alarm_row(n, "inc", "created");
    row.body = body_of(n);
    return row;
}

/* Files of the state below `root`. */
static void place(const char *root)
{
    snprintf(directory, sizeof directory, "%s", root);
    snprintf(db_path, sizeof db_path, "%s/state.db", root);
    snprintf(key_path, sizeof key_path, "%s/key", root);
}

/* ---- the run --------------------------------------------------------------------------------- */

typedef struct sending {
    call call;
    mw_alarm_row row;
    unsigned number;
} sending;

/* On the writer's thread, which did the writing. */
static void sent(mw_state_job *job, mw_err err)
{
    sending *one = (sending *)(void *)job;
    if (err == MW_OK)
        power_mark(&recorded, one->number);
    done_call(job, err);
}

/* False when one of them was refused. */
static bool send_some(unsigned first, unsigned count)
{
    sending all[GROUP];
    bool whole = true;
    for (unsigned i = 0; i < count; i++) {
        all[i] = (sending){.call = {.job = {.run = run_call, .done = sent}},
                           .row = row_of(first + i),
                           .number = first + i};
        all[i].call.function = insert_alarm;
        all[i].call.argument = &all[i].row;
        assert_int_equal(mw_state_submit(the_state, &all[i].call.job), MW_OK);
    }
    for (unsigned i = 0; i < count; i++) {
        while (!__atomic_load_n(&all[i].call.done_count, __ATOMIC_ACQUIRE))
            usleep(20);
        refused[first + i] = all[i].call.done_err != MW_OK;
        whole = whole && !refused[first + i];
    }
    return whole;
}

static void reopen(void)
{
    mw_detail detail = {0};
    close_state();
    while (open_state(&detail) != MW_OK)
        assert_true(recorded.failures > 0);
}

static void record(uint64_t random, unsigned alarms, const power_faults *faults)
{
    mw_detail detail = {0};
    snprintf(home, sizeof home, "/tmp/midwatch-test-XXXXXX");
    assert_non_null(mkdtemp(home));
    char root[64];
    snprintf(root, sizeof root, "%.48s/state", home);
    assert_int_equal(mkdir(root, 0700), 0);
    place(root);
    power_record(&recorded, root);
    assert_int_equal(open_state(&detail), MW_OK);
    recorded.faults = *faults;
    for (unsigned i = 0; i < alarms;) {
        unsigned count = 1 + (unsigned)power_below(&random, GROUP);
        count = count < alarms - i ? count : alarms - i;
        send_some(i, count);
        i += count;
        if (power_below(&random, 8) == 0)
            reopen();
        mw_arena_reset(&arena);
    }
    close_state();
    power_stop();
}

/* ---- what is left ---------------------------------------------------------------------------- */

typedef struct losses {
    size_t events, images;
    bool acknowledged[ALARMS_MAX];
} losses;

static mw_err check_whole(mw_state_tx *tx, void *unused)
{
    static const char sql_check[] = "PRAGMA integrity_check";
    mw_sql sql = mw_sql_prepare(tx, sql_check);
    (void)unused;
    while (mw_sql_step(&sql))
        assert_true(mw_slice_equal(mw_sql_take_text(&sql, &arena), MW_SLICE("ok")));
    return mw_sql_end(&sql);
}

static void check_alarms(unsigned alarms, const losses *all)
{
    mw_state_tx *tx = begin();
    for (unsigned n = 0; n < alarms; n++) {
        mw_alarm_row row;
        mw_err err = mw_state_alarm_get(tx, id_of(n), &arena, &row);
        if (err == MW_E_NOT_FOUND)
            assert_false(all->acknowledged[n]);
        else
            assert_true(err == MW_OK && mw_slice_equal(row.body, body_of(n)));
    }
    mw_state_read_end(tx);
}

static void check_image(unsigned alarms, const losses *all)
{
    mw_alarm_row row = alarm_row(1000, "inc", "created");
    must_open();
    check_alarms(alarms, all);
    assert_int_equal(change(check_whole, NULL), MW_OK);
    assert_int_equal(change(insert_alarm, &row), MW_OK);
    close_state();
    must_open();
    check_alarms(alarms, all);
    assert_int_equal(change(insert_alarm, &row), MW_E_CONFLICT);
    close_state();
    mw_arena_reset(&arena);
}

static void lose_power(unsigned alarms, size_t stride, size_t seeds, losses *all)
{
    power_disk disk;
    char image[64];
    uint64_t random = 77;
    memset(all, 0, sizeof *all);
    snprintf(image, sizeof image, "%.48s/image", home);
    place(image);
    power_disk_init(&disk, &recorded);
    power_unsynced();
    while (power_disk_step(&disk)) {
        const power_event *event = &recorded.events[disk.at - 1];
        if (event->kind == POWER_MARK)
            all->acknowledged[event->mark] = true;
        all->events++;
        if (stride > 1 && power_below(&random, stride) != 0)
            continue;
        for (size_t variant = 0; variant < POWER_VARIANTS; variant++)
            for (size_t seed = 0; seed < seeds; seed++)
                if (power_disk_image(&disk, variant, seed, image)) {
                    check_image(alarms, all);
                    all->images++;
                }
    }
    mw_io_use(NULL);
    power_disk_fini(&disk);
}

/* ---- the tests ------------------------------------------------------------------------------- */

static void run(const char *what, uint64_t random, unsigned alarms, const power_faults *faults,
                size_t stride)
{
    losses all;
    unsigned acknowledged = 0, told = 0;
    record(random, alarms, faults);
    lose_power(alarms, stride, 1, &all);
    for (unsigned n = 0; n < alarms; n++) {
        acknowledged += all.acknowledged[n];
        told += !refused[n];
    }
    print_message("%s: %zu events, %u failures, %u of %u alarms acknowledged, %zu images\n", what,
                  all.events, recorded.failures, acknowledged, alarms, all.images);
    assert_int_equal(acknowledged, told);
    assert_true(faults->one_in || acknowledged == alarms);
    power_log_fini(&recorded);
    remove_tree(home);
}

static void test_every_prefix(void **state)
{
    (void)state;
    run("every prefix", 1, 10, &(power_faults){0}, 1);
}

static void test_with_failures(void **state)
{
    (void)state;
    run("with failures", 2, 10, &(power_faults){.one_in = 12, .random = 3, .partial = true}, 1);
}

static void test_samples(void **state)
{
    const char *text = getenv("POWER_LOSS_SEEDS");
    unsigned long seeds = text ? strtoul(text, NULL, 10) : 3;
    (void)state;
    for (uint64_t seed = 1; seed <= seeds; seed++) {
        uint64_t random = seed;
        power_faults faults = {.random = power_random(&random), .partial = seed % 2 == 0};
        faults.one_in = seed % 3 == 0 ? 0 : 10 + (unsigned)power_below(&random, 60);
        faults.error = seed % 2 == 0 ? ENOSPC : EIO;
        run("sample", random, ALARMS_MAX, &faults, 30);
    }
}

int main(void)
{
    log_pages = 100; /* checkpoints, and a log that begins anew */
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_prefix),
        cmocka_unit_test(test_with_failures),
        cmocka_unit_test(test_samples),
    };
    for (size_t i = 0; i < sizeof long_body; i++)
        long_body[i] = (char)('a' + i % 23);
    mw_fake_clock_init(&fake, INT64_C(1773480413) * MW_NS_PER_S);
    mw_arena_init(&arena, MW_MEM_STATE, 0);
    /* Hundreds of provoked failures would drown the output. */
    mw_log_init(MW_LOG_ERROR, MW_LOG_LOGFMT, open("/dev/null", O_WRONLY));
    return cmocka_run_group_tests(tests, NULL, NULL);
}
