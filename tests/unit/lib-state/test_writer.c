/* The writer: group commit, isolation of jobs, failed commits, the queue's budget, many threads. */
#include <pthread.h>
#include <signal.h>
#include <sqlite3.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include "tests/unit/lib-state/fixture.h"

/* ---- jobs ---------------------------------------------------------------------------------- */

/* Holds the writer until told, so that jobs queue up into one group. */
static pthread_mutex_t gate = PTHREAD_MUTEX_INITIALIZER;

static mw_err wait_at_gate(mw_state_tx *tx, void *unused)
{
    (void)tx;
    (void)unused;
    pthread_mutex_lock(&gate);
    pthread_mutex_unlock(&gate);
    return MW_OK;
}

static void submit(call *c, mw_err (*function)(mw_state_tx *, void *), void *argument)
{
    *c = (call){.job = {.item = {.cost_bytes = 100}, .run = run_call, .done = done_call},
                .function = function,
                .argument = argument};
    assert_int_equal(mw_state_submit(the_state, &c->job), MW_OK);
}

static void await(call *c)
{
    for (int i = 0; i < 60000 && !__atomic_load_n(&c->done_count, __ATOMIC_ACQUIRE); i++)
        usleep(1000);
    assert_int_equal(__atomic_load_n(&c->done_count, __ATOMIC_ACQUIRE), 1);
}

static int commits;
static int on_commit(void *unused)
{
    (void)unused;
    __atomic_add_fetch(&commits, 1, __ATOMIC_RELAXED);
    return 0;
}
static int refuse_commit(void *unused)
{
    (void)unused;
    return 1;
}

static mw_err count_commits(mw_state_tx *tx, void *unused)
{
    (void)unused;
    sqlite3_commit_hook(tx->db, on_commit, NULL);
    return MW_OK;
}
static mw_err allow_commits(mw_state_tx *tx, void *unused)
{
    (void)unused;
    sqlite3_commit_hook(tx->db, NULL, NULL);
    return MW_OK;
}
static mw_err refuse_commits(mw_state_tx *tx, void *unused)
{
    (void)unused;
    sqlite3_commit_hook(tx->db, refuse_commit, NULL);
    return MW_OK;
}

static mw_err insert_then_fail(mw_state_tx *tx, void *row)
{
    mw_err err = mw_state_alarm_insert(tx, row);
    return err == MW_OK ? MW_E_INVALID : err;
}

static void test_group_commit_and_isolation(void **state)
{
    (void)state;
    enum { JOBS = 20 };
    call hook, wait, calls[JOBS];
    mw_alarm_row rows[JOBS];
    pthread_mutex_lock(&gate);
    submit(&hook, count_commits, NULL);
    submit(&wait, wait_at_gate, NULL);
    usleep(50000); /* the writer is at the gate (or takes all in one group: one commit less) */
    for (unsigned i = 0; i < JOBS; i++) {
        rows[i] = alarm_row(i, "inc", "created");
        submit(&calls[i], i % 5 == 4 ? insert_then_fail : insert_alarm, &rows[i]);
    }
    mw_state_stats stats;
    mw_state_stats_read(the_state, &stats);
    assert_true(stats.queue_count >= JOBS);
    assert_true(stats.queue_bytes >= JOBS * 100);
    __atomic_store_n(&commits, 0, __ATOMIC_RELAXED);
    pthread_mutex_unlock(&gate);
    for (unsigned i = 0; i < JOBS; i++) {
        await(&calls[i]);
        assert_int_equal(calls[i].done_err, i % 5 == 4 ? MW_E_INVALID : MW_OK);
        assert_int_equal(has_alarm(i), i % 5 != 4); /* its neighbours kept theirs */
    }
    int seen = __atomic_load_n(&commits, __ATOMIC_RELAXED);
    assert_true(seen >= 1 && seen <= 2);
    mw_state_stats_read(the_state, &stats);
    assert_true(stats.writable); /* a job's own refusal says nothing about the disk */
}

static void test_conflict_with_a_job_of_the_same_group(void **state)
{
    (void)state;
    call wait, one, two;
    mw_alarm_row row = alarm_row(1, "inc", "created"), again = row;
    pthread_mutex_lock(&gate);
    submit(&wait, wait_at_gate, NULL);
    submit(&one, insert_alarm, &row);
    submit(&two, insert_alarm, &again);
    pthread_mutex_unlock(&gate);
    await(&one);
    await(&two);
    assert_int_equal(one.done_err, MW_OK);
    assert_int_equal(two.done_err, MW_E_CONFLICT);
}

/* When the commit fails nobody may believe anything, also not a job whose own answer was
 * CONFLICT: what it conflicted with is gone. */
static void test_failed_commit_fails_the_whole_group(void **state)
{
    (void)state;
    call wait, refuse, one, two;
    mw_alarm_row row = alarm_row(1, "inc", "created"), again = row;
    pthread_mutex_lock(&gate);
    submit(&wait, wait_at_gate, NULL);
    usleep(50000);
    submit(&refuse, refuse_commits, NULL);
    submit(&one, insert_alarm, &row);
    submit(&two, insert_alarm, &again);
    pthread_mutex_unlock(&gate);
    await(&one);
    await(&two);
    assert_int_equal(one.done_err, MW_E_IO);
    assert_int_equal(two.done_err, MW_E_IO);
    assert_false(has_alarm(1));
    mw_state_stats stats;
    mw_state_stats_read(the_state, &stats);
    assert_false(stats.writable);
    assert_int_equal(change(allow_commits, NULL), MW_OK);
    mw_state_stats_read(the_state, &stats);
    assert_false(stats.writable); /* that commit wrote nothing */
    assert_int_equal(change(insert_alarm, &row), MW_OK);
    assert_true(has_alarm(1));
    mw_state_stats_read(the_state, &stats);
    assert_true(stats.writable);
}

static mw_err limit_pages(mw_state_tx *tx, void *pages)
{
    char text[64];
    snprintf(text, sizeof text, "PRAGMA max_page_count = %d", *(int *)pages);
    return sqlite3_exec(tx->db, text, NULL, NULL, NULL) == SQLITE_OK ? MW_OK : MW_E_IO;
}

static mw_err fill_up(mw_state_tx *tx, void *body)
{
    mw_err err = MW_OK;
    for (unsigned i = 1000; i < 1100 && err == MW_OK; i++) {
        mw_alarm_row row = alarm_row(i, "inc", "created");
        row.body = mw_slice_bytes(body, 100000);
        err = mw_state_alarm_insert(tx, &row);
    }
    return err;
}

static void test_full_disk(void **state)
{
    (void)state;
    static char body[100000];
    int few = 1, many = 1 << 20; /* never below what the file has */
    mw_state_stats stats;
    assert_int_equal(change(limit_pages, &few), MW_OK);
    assert_int_equal(change(fill_up, body), MW_E_NO_SPACE);
    mw_state_stats_read(the_state, &stats);
    assert_false(stats.writable);
    assert_false(has_alarm(1000));
    assert_int_equal(change(limit_pages, &many), MW_OK);
    assert_int_equal(change(fill_up, body), MW_OK);
    assert_true(has_alarm(1099));
    mw_state_stats_read(the_state, &stats);
    assert_true(stats.writable);
}

/* A write that the system refuses at the commit itself: the log may not grow. */
static void test_write_refused_by_the_system(void **state)
{
    (void)state;
    struct rlimit before, small;
    static char body[100000];
    void (*old)(int) = signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
    small = before;
    small.rlim_cur = 200000;
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
    mw_err err = change(fill_up, body);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
    assert_true(err == MW_E_IO || err == MW_E_NO_SPACE);
    assert_false(has_alarm(1000));
    assert_int_equal(change(fill_up, body), MW_OK);
    close_state();
    must_open();
    assert_true(has_alarm(1099));
    signal(SIGXFSZ, old);
}

static bool is_writable(void)
{
    mw_state_stats stats;
    mw_state_stats_read(the_state, &stats);
    return stats.writable;
}

/* Readiness comes back without a job: nobody sends to a daemon that says it is not ready. And not
 * before the disk takes writes again. */
static void test_recovers_alone(void **state)
{
    (void)state;
    struct rlimit before, none;
    mw_alarm_row row = alarm_row(1, "inc", "created");
    void (*old)(int) = signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
    none = before;
    none.rlim_cur = 1;
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &none), 0);
    mw_err err = change(insert_alarm, &row);
    usleep(2500000); /* two attempts of the writer */
    bool too_early = is_writable();
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
    assert_true(err == MW_E_IO || err == MW_E_NO_SPACE);
    assert_false(too_early);
    for (int i = 0; i < 600 && !is_writable(); i++)
        usleep(100000);
    assert_true(is_writable());
    assert_int_equal(change(insert_alarm, &row), MW_OK);
    assert_true(has_alarm(1));
    signal(SIGXFSZ, old);
}

static void test_queue_budget(void **state)
{
    (void)state;
    call wait, first, large, second;
    pthread_mutex_lock(&gate);
    submit(&wait, wait_at_gate, NULL);
    usleep(50000);
    submit(&first, allow_commits, NULL);
    large = (call){.job = {.item = {.cost_bytes = 1 << 20}, .run = run_call, .done = done_call}};
    assert_int_equal(mw_state_submit(the_state, &large.job), MW_E_BUSY);
    submit(&second, allow_commits, NULL);
    pthread_mutex_unlock(&gate);
    await(&first);
    await(&second);
    await(&wait);
    assert_int_equal(large.done_count, 0);
}

static void test_close_runs_what_waits(void **state)
{
    (void)state;
    enum { JOBS = 50 };
    static call calls[JOBS];
    static mw_alarm_row rows[JOBS];
    for (unsigned i = 0; i < JOBS; i++) {
        rows[i] = alarm_row(i, "inc", "created");
        submit(&calls[i], insert_alarm, &rows[i]);
    }
    close_state();
    for (unsigned i = 0; i < JOBS; i++) {
        assert_int_equal(calls[i].done_count, 1);
        assert_int_equal(calls[i].done_err, MW_OK);
    }
    must_open();
    for (unsigned i = 0; i < JOBS; i++)
        assert_true(has_alarm(i));
}

/* ---- threads ------------------------------------------------------------------------------- */

enum { THREADS = 4, PER_THREAD = 100 };

typedef struct worker {
    pthread_t thread;
    unsigned number;
    unsigned failures;
} worker;

static void *work(void *arg)
{
    worker *w = arg;
    mw_arena own;
    mw_arena_init(&own, MW_MEM_STATE, 0);
    for (unsigned i = 0; i < PER_THREAD; i++) {
        char id[MW_ID_TEXT_SIZE];
        mw_alarm_row row = {.action = MW_SLICE("created"), .webhook_id = MW_SLICE("w1")}, out;
        mw_id_new(id);
        row.id = mw_slice_of(id);
        call c = {.job = {.run = run_call}, .function = insert_alarm, .argument = &row};
        w->failures += mw_state_submit_wait(the_state, &c.job) != MW_OK;
        mw_state_tx *tx;
        if (mw_state_read_begin(the_state, &tx) != MW_OK) {
            w->failures++;
            continue;
        }
        /* Committed means readable, at once and by any reader. */
        w->failures += mw_state_alarm_get(tx, row.id, &own, &out) != MW_OK;
        mw_state_read_end(tx);
        mw_arena_reset(&own);
    }
    return NULL;
}

static void test_threads(void **state)
{
    (void)state;
    static const char sql_count[] = "SELECT count(*) FROM alarm";
    worker workers[THREADS] = {0};
    for (unsigned i = 0; i < THREADS; i++) {
        workers[i].number = i;
        assert_int_equal(pthread_create(&workers[i].thread, NULL, work, &workers[i]), 0);
    }
    for (unsigned i = 0; i < THREADS; i++) {
        pthread_join(workers[i].thread, NULL);
        assert_int_equal(workers[i].failures, 0);
    }
    assert_int_equal(count_rows(sql_count), THREADS * PER_THREAD);
}

/* ---- attempts and checkpoints -------------------------------------------------------------- */

static mw_err insert_and_fail(void *ctx, mw_state_tx *tx)
{
    mw_alarm_row row = alarm_row(2, "inc", "created");
    mw_err err = mw_state_alarm_insert(tx, &row);
    *(bool *)ctx = err == MW_OK;
    return MW_E_LIMIT;
}

static mw_err attempt(mw_state_tx *tx, void *argument)
{
    mw_err result = MW_OK;
    mw_alarm_row row = alarm_row(1, "inc", "created");
    mw_err err = mw_state_alarm_insert(tx, &row);
    if (err == MW_OK)
        err = mw_state_try(tx, insert_and_fail, argument, &result);
    assert_int_equal(result, MW_E_LIMIT);
    return err;
}

static void test_what_was_tried_is_undone_alone(void **state)
{
    (void)state;
    bool tried = false;
    assert_int_equal(change(attempt, &tried), MW_OK);
    assert_true(tried);
    assert_int_equal(count_rows("SELECT count(*) FROM alarm"), 1);
}

/* The log is taken over again and again, and begins anew: it stays a few times what a checkpoint
 * waits for, however much is written. */
static void test_the_log_stays_short(void **state)
{
    (void)state;
    char path[128];
    struct stat file;
    for (unsigned i = 0; i < 1000; i++) {
        add_alarm(i, "inc", "created");
        if (i % 50 == 0)
            usleep(5000);
    }
    snprintf(path, sizeof path, "%s-wal", db_path);
    assert_int_equal(stat(path, &file), 0);
    assert_in_range(file.st_size, 1, 2000 * 4096); /* 1,000 commits of some ten pages each */
    assert_int_equal(count_rows("SELECT count(*) FROM alarm"), 1000);
}

int main(void)
{
    log_pages = 100;
    const struct CMUnitTest tests[] = {
        WITH_STATE(test_group_commit_and_isolation),
        WITH_STATE(test_conflict_with_a_job_of_the_same_group),
        WITH_STATE(test_failed_commit_fails_the_whole_group),
        WITH_STATE(test_full_disk),
        WITH_STATE(test_write_refused_by_the_system),
        WITH_STATE(test_recovers_alone),
        WITH_STATE(test_queue_budget),
        WITH_STATE(test_close_runs_what_waits),
        WITH_STATE(test_threads),
        WITH_STATE(test_what_was_tried_is_undone_alone),
        WITH_STATE(test_the_log_stays_short),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
