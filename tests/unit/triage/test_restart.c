/* Triage over restarts, refused writes, the ends of time and a pool of one thread. */
#include <fcntl.h>
#include <signal.h>
#include <sys/resource.h>

#include "lib/base/counter.h"
#include "tests/unit/triage/fixture.h"

/* ---- restart and failure ------------------------------------------------------------------- */

static void test_restart_takes_up_undecided(void **unused)
{
    (void)unused;
    mw_slice alarms[5];
    for (size_t i = 0; i < 5; i++) {
        char incident[16];
        snprintf(incident, sizeof incident, "inc-%zu", i);
        alarms[i] = arrive(incident, "created");
    }
    mw_decision_row row;
    assert_false(decision_of(alarms[0], &row));
    close_all();
    open_all();
    start(); /* nobody wakes it */
    settle();
    for (size_t i = 0; i < 5; i++)
        assert_slice(investigation(decided(alarms[i]).investigation_id).status, "COMPLETED");
}

static mw_slice planted_id;

static mw_err run_plant(mw_state_job *job, mw_state_tx *tx)
{
    (void)job;
    static const char *const states[] = {"IN_PROGRESS", "PENDING_START", "COMPLETED"};
    for (size_t i = 0; i < 3; i++) {
        char id[MW_ID_TEXT_SIZE];
        snprintf(id, sizeof id, "%032zx", i);
        mw_investigation_row row = {.id = mw_slice_of(id),
                                    .space = MW_SLICE("default"),
                                    .status = mw_slice_of(states[i]),
                                    .incident_state = MW_SLICE("open"),
                                    .window_end_ns = T0};
        mw_err err = mw_state_investigation_insert(tx, &row);
        if (err != MW_OK)
            return err;
    }
    return MW_OK;
}

/* Steps of a run that was cut off stay in the journal; an end is there once a run. */
static size_t summaries(mw_slice id)
{
    size_t count, found = 0;
    const mw_journal_row *records = journal(id, &count);
    for (size_t i = 0; i < count; i++)
        found += mw_slice_equal(records[i].type, MW_SLICE("SUMMARY"));
    return found;
}

static void test_restart_takes_up_investigations(void **unused)
{
    (void)unused;
    mw_state_job job = {.run = run_plant};
    assert_int_equal(mw_state_submit_wait(state_db, &job), MW_OK);
    start();
    settle();
    static const size_t records[] = {1, 1, 0}; /* what was COMPLETED is left alone */
    for (size_t i = 0; i < 3; i++) {
        char id[MW_ID_TEXT_SIZE];
        snprintf(id, sizeof id, "%032zx", i);
        planted_id = mw_slice_of(id);
        assert_slice(investigation(planted_id).status, "COMPLETED");
        assert_int_equal(summaries(planted_id), records[i]);
    }
}

static void test_stop_leaves_nothing_half_done(void **unused)
{
    (void)unused;
    mw_slice alarms[40];
    start();
    for (size_t i = 0; i < 40; i++) {
        char incident[16];
        snprintf(incident, sizeof incident, "inc-%zu", i);
        alarms[i] = arrive(incident, "created");
    }
    close_all();
    open_all();
    for (size_t i = 0; i < 40; i++) {
        mw_decision_row row;
        if (!decision_of(alarms[i], &row))
            continue;
        mw_slice status = investigation(row.investigation_id).status;
        assert_true(mw_slice_equal(status, MW_SLICE("COMPLETED")) ||
                    mw_slice_equal(status, MW_SLICE("PENDING_START")));
    }
    start();
    settle();
    for (size_t i = 0; i < 40; i++) {
        mw_slice id = decided(alarms[i]).investigation_id;
        assert_slice(investigation(id).status, "COMPLETED");
        assert_int_equal(summaries(id), 1); /* once, also when it was taken up again */
    }
}

static void test_order_is_that_of_commit(void **unused)
{
    (void)unused;
    mw_slice alarms[30];
    for (size_t i = 0; i < 30; i++)
        alarms[i] = arrive("inc-1", "created");
    start();
    settle();
    assert_slice(decided(alarms[0]).verdict, "PROCEED");
    for (size_t i = 1; i < 30; i++)
        assert_slice(decided(alarms[i]).reason_code, "duplicate");
}

static size_t wal_size(void)
{
    char path[128];
    struct stat status;
    snprintf(path, sizeof path, "%s-wal", state_path);
    assert_int_equal(stat(path, &status), 0);
    return (size_t)status.st_size;
}

static void limit_files(rlim_t bytes)
{
    struct rlimit limit;
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &limit), 0);
    limit.rlim_cur = bytes < limit.rlim_max ? bytes : limit.rlim_max;
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
}

static bool is_completed(mw_slice alarm)
{
    mw_decision_row row;
    return decision_of(alarm, &row) &&
           mw_slice_equal(investigation(row.investigation_id).status, MW_SLICE("COMPLETED"));
}

/* True when a write was refused, false when all went through before the limit was met. */
static bool await_refused_write(mw_slice alarm)
{
    for (int i = 0; i < 60000 && !is_completed(alarm); i++, usleep(1000)) {
        mw_state_stats stats;
        mw_state_stats_read(state_db, &stats);
        if (!stats.writable)
            return true;
    }
    return false;
}

static void await_completed(mw_slice alarm)
{
    for (int i = 0; i < 60000; i++, usleep(1000))
        if (is_completed(alarm))
            return;
    fail_msg("alarm %.*s was not taken up again", MW_SLICE_FMT(alarm));
}

/* Keeps the pool's threads busy until the gate opens. */
static pthread_mutex_t gate = PTHREAD_MUTEX_INITIALIZER;

static void wait_at_gate(mw_job *job)
{
    (void)job;
    pthread_mutex_lock(&gate);
    pthread_mutex_unlock(&gate);
}

static void start_behind_gate(mw_job blockers[2])
{
    pthread_mutex_lock(&gate);
    for (size_t i = 0; i < 2; i++) {
        blockers[i] = (mw_job){.run = wait_at_gate};
        assert_int_equal(mw_pool_submit(pool, &blockers[i]), MW_OK);
    }
    start();
    pthread_mutex_lock(&triage->lock);
    triage->retry_ms = 5;
    pthread_mutex_unlock(&triage->lock);
}

/* The disk refuses to grow at every point from the first write of a decision to the last of an
 * investigation; once it gives way all is done, and done once. */
static void test_failed_commits_are_tried_again(void **unused)
{
    (void)unused;
    void (*old)(int) = signal(SIGXFSZ, SIG_IGN);
    mw_log_init(MW_LOG_ERROR + 1, MW_LOG_LOGFMT, STDERR_FILENO); /* failures are expected */
    unsigned failed = 0;
    for (unsigned step = 0; step < 24; step++) {
        char incident[16];
        snprintf(incident, sizeof incident, "inc-%u", step);
        mw_slice alarm = arrive(incident, "created"); /* nobody decides yet */
        mw_job blockers[2];
        start_behind_gate(blockers);
        limit_files(wal_size() + (rlim_t)step * 4096);
        pthread_mutex_unlock(&gate);
        failed += await_refused_write(alarm);
        limit_files(RLIM_INFINITY);
        await_completed(alarm);
        assert_int_equal(summaries(decided(alarm).investigation_id), 1);
        mw_triage_stop(triage);
        triage = NULL;
    }
    assert_true(failed >= 5);
    signal(SIGXFSZ, old);
}

/* Very old and very new event times: the window stays within what a time can be. */
static void test_window_at_the_ends_of_time(void **unused)
{
    (void)unused;
    start();
    mw_slice early = arrive_at("inc-1", "created", "checkout", 1);
    mw_slice late = arrive_at("inc-2", "created", "checkout", INT64_MAX);
    settle();
    mw_investigation_row row = investigation(decided(early).investigation_id);
    assert_slice(row.status, "COMPLETED");
    assert_int_equal(row.window_start_ns, 0);
    row = investigation(decided(late).investigation_id);
    assert_slice(row.status, "COMPLETED");
    assert_true(row.window_end_ns > row.window_start_ns);
}

/* The engine starves nobody and needs only one thread. */
static void test_one_pool_thread(void **unused)
{
    (void)unused;
    mw_pool_free(pool);
    pool = mw_pool_new(1, 1 << 20);
    start();
    mw_slice alarms[20];
    for (size_t i = 0; i < 20; i++) {
        char incident[16];
        snprintf(incident, sizeof incident, "inc-%zu", i);
        alarms[i] = arrive(incident, "created");
    }
    settle();
    for (size_t i = 0; i < 20; i++)
        assert_slice(investigation(decided(alarms[i]).investigation_id).status, "COMPLETED");
}

static int damage_file(const char *path, const struct stat *status, int type, struct FTW *ftw)
{
    (void)ftw;
    if (type != FTW_F)
        return 0;
    int fd = open(path, O_WRONLY);
    char noise[64];
    memset(noise, 0x5a, sizeof noise);
    for (off_t at = 64; fd >= 0 && at < status->st_size; at += (off_t)sizeof noise)
        if (pwrite(fd, noise, sizeof noise, at) < 0)
            break;
    return close(fd);
}

static mw_investigation_row ended(const char *status, const char *gap)
{
    mw_slice alarm = arrive_at("inc-1", "created", "checkout", T0);
    settle();
    mw_investigation_row row = investigation(decided(alarm).investigation_id);
    assert_slice(row.status, status);
    assert_true(mw_slice_contains(row.root_cause_json, MW_SLICE("INCONCLUSIVE")));
    assert_true(mw_slice_contains(row.root_cause_json, mw_slice_of(gap)));
    return row;
}

/* Telemetry that cannot be read is said, not passed over. */
static void test_unreadable_telemetry_is_a_gap(void **unused)
{
    (void)unused;
    static const span_spec span = {"checkout", "POST /pay", "", T0 - MINUTE, true};
    append_spans(&span, 1);
    assert_int_equal(nftw(store_path, damage_file, 8, FTW_PHYS), 0);
    mw_log_init(MW_LOG_ERROR + 1, MW_LOG_LOGFMT, STDERR_FILENO);
    start();
    ended("COMPLETED", "telemetry_damaged");
}

/* Monotonic time in leaps: each look at the clock is a minute later. */
static int64_t leaping_mono(void *ctx)
{
    (void)ctx;
    static int64_t now;
    return __atomic_add_fetch(&now, MW_TRIAGE_RUN_LIMIT_NS + 1, __ATOMIC_RELAXED);
}

static int64_t still_wall(void *ctx)
{
    (void)ctx;
    return T0;
}

static void test_time_limit_of_a_run(void **unused)
{
    (void)unused;
    static const mw_clock leaping = {.wall_ns = still_wall, .mono_ns = leaping_mono};
    mw_triage_config config = {store, state_db, pool, &leaping, 0, NULL};
    assert_int_equal(mw_triage_start(&config, &triage), MW_OK);
    mw_investigation_row row = ended("TIMED_OUT", "time_limit");
    assert_int_equal(summaries(row.id), 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_TRIAGE(test_restart_takes_up_undecided),
        WITH_TRIAGE(test_restart_takes_up_investigations),
        WITH_TRIAGE(test_stop_leaves_nothing_half_done),
        WITH_TRIAGE(test_order_is_that_of_commit),
        WITH_TRIAGE(test_failed_commits_are_tried_again),
        WITH_TRIAGE(test_window_at_the_ends_of_time),
        WITH_TRIAGE(test_one_pool_thread),
        WITH_TRIAGE(test_unreadable_telemetry_is_a_gap),
        WITH_TRIAGE(test_time_limit_of_a_run),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
