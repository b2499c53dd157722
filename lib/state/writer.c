/* The writer: one thread, group commit.
 *
 * Takes what waits, runs each job in a savepoint of its own inside one transaction, commits once
 * and only then completes the jobs. A job's error rolls back that job. When the commit fails, or
 * SQLite gives the whole transaction up in the middle, every job of the group gets that error,
 * also those that had an error of their own: what they saw (a replay of a delivery in the same
 * group, say) was never made durable. Owns the writer's connection; jobs belong to submitters and
 * may be gone once `done` was called.
 */
#include <signal.h>

#include "lib/base/log.h"
#include "lib/state/rows_int.h"

/* Jobs of one commit, by their cost: about a thousand alarms, some 30 ms of work, so that the
 * first of a storm does not wait for all of it. */
#define GROUP_BYTES ((size_t)1 << 20)

/* Between attempts while the disk refuses. */
#define PROBE_MS 1000

static const char sql_begin[] = "BEGIN IMMEDIATE";
static const char sql_savepoint[] = "SAVEPOINT job";
static const char sql_release[] = "RELEASE job";
static const char sql_undo[] = "ROLLBACK TO job";
static const char sql_try[] = "SAVEPOINT attempt";
static const char sql_try_release[] = "RELEASE attempt";
static const char sql_try_undo[] = "ROLLBACK TO attempt";
static const char sql_commit[] = "COMMIT";
static const char sql_rollback[] = "ROLLBACK";
/* By a nanosecond: SQLite writes nothing for a row that stays as it is. */
static const char sql_probe[] = "UPDATE schema_version SET applied_ns = applied_ns + 1";

static mw_state_job *job_of(mw_queue_item *item)
{
    return (mw_state_job *)(void *)((char *)item - offsetof(mw_state_job, item));
}

static bool is_disk_error(mw_err err)
{
    return err == MW_E_IO || err == MW_E_NO_SPACE;
}

/* Returns the error that ends the whole group, not the job's own. */
static mw_err run_one(mw_state_tx *tx, mw_state_job *job)
{
    mw_err err = mw_sql_simple(tx, sql_savepoint);
    if (err != MW_OK)
        return err;
    job->result = job->run(job, tx);
    /* After some errors SQLite has rolled back the transaction and not the statement alone. */
    if (sqlite3_get_autocommit(tx->db))
        return job->result == MW_OK ? MW_E_IO : job->result;
    if (job->result != MW_OK) {
        err = mw_sql_simple(tx, sql_undo);
        if (err != MW_OK)
            return err;
    }
    return mw_sql_simple(tx, sql_release);
}

mw_err mw_state_try(mw_state_tx *tx, mw_err (*run)(void *ctx, mw_state_tx *tx), void *ctx,
                    mw_err *result)
{
    mw_err err = mw_sql_simple(tx, sql_try);
    if (err != MW_OK)
        return err;
    *result = run(ctx, tx);
    if (sqlite3_get_autocommit(tx->db)) /* see run_one */
        return *result == MW_OK ? MW_E_IO : *result;
    if (*result != MW_OK)
        err = mw_sql_simple(tx, sql_try_undo);
    return err == MW_OK ? mw_sql_simple(tx, sql_try_release) : err;
}

uint64_t mw_state_undone(const mw_state_tx *tx)
{
    return tx->state->undone;
}

static mw_err run_transaction(mw_state_tx *tx, mw_queue_item *items)
{
    mw_err err = mw_sql_simple(tx, sql_begin);
    for (mw_queue_item *item = items; item && err == MW_OK; item = item->next)
        err = run_one(tx, job_of(item));
    if (err == MW_OK)
        err = mw_sql_simple(tx, sql_commit);
    if (err != MW_OK && !sqlite3_get_autocommit(tx->db) && mw_sql_simple(tx, sql_rollback) != MW_OK)
        MW_LOG(MW_LOG_ERROR, "state", "rollback failed");
    return err;
}

static void note_writable(mw_state *state, bool writable, mw_err err)
{
    bool before = __atomic_exchange_n(&state->writable, writable, __ATOMIC_RELAXED);
    if (!before && writable)
        MW_LOG(MW_LOG_INFO, "state", "writing works again");
    else if (before && !writable)
        MW_LOG(MW_LOG_ERROR, "state", "writing failed", MW_KV_ERR(err));
}

/* By this connection, ever. */
static int pages_written(const mw_state *state)
{
    int now = 0, highest = 0;
    sqlite3_db_status(state->writer.db, SQLITE_DBSTATUS_CACHE_WRITE, &now, &highest, 0);
    return now;
}

static void run_group(mw_state *state, mw_queue_item *items)
{
    int written_before = pages_written(state);
    mw_err group = run_transaction(&state->writer, items);
    bool writable = group == MW_OK;
    state->undone += group != MW_OK;
    for (mw_queue_item *item = items; item; item = item->next) {
        mw_state_job *job = job_of(item);
        if (group != MW_OK)
            job->result = group;
        writable = writable && !is_disk_error(job->result);
    }
    /* A transaction that changed nothing succeeds on every disk, and proves nothing. */
    if (!writable || pages_written(state) != written_before)
        note_writable(state, writable, group);
    for (mw_queue_item *item = items, *next; item; item = next) {
        mw_state_job *job = job_of(item);
        next = item->next; /* done may free the job */
        job->done(job, job->result);
    }
}

static mw_err run_probe(mw_state_job *job, mw_state_tx *tx)
{
    (void)job;
    return mw_sql_simple(tx, sql_probe);
}

static void probe_done(mw_state_job *job, mw_err err)
{
    (void)job;
    (void)err; /* run_group has noted it */
}

/* The disk was full or refused: is it still? Nobody may write while readiness is off, so the
 * writer asks by itself, with a job that changes what nobody reads. */
static void probe(mw_state *state)
{
    mw_state_job job = {.run = run_probe, .done = probe_done};
    run_group(state, &job.item);
}

static void *writer_main(void *arg)
{
    mw_state *state = arg;
    for (;;) {
        bool writable = __atomic_load_n(&state->writable, __ATOMIC_RELAXED);
        mw_queue_item *items = mw_queue_take(&state->queue, GROUP_BYTES, writable ? -1 : PROBE_MS);
        if (items)
            run_group(state, items);
        else if (mw_queue_is_closed(&state->queue))
            return NULL;
        else
            probe(state);
    }
}

void mw_state_writer_start(mw_state *state)
{
    sigset_t all, before;
    sigfillset(&all); /* signals belong to the main thread */
    pthread_sigmask(SIG_SETMASK, &all, &before);
    if (pthread_create(&state->writer_thread, NULL, writer_main, state) != 0)
        mw_bug(__FILE__, __LINE__, "cannot start the state writer");
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    pthread_setname_np(state->writer_thread, "mw-state");
}

void mw_state_writer_stop(mw_state *state)
{
    mw_queue_close(&state->queue);
    pthread_join(state->writer_thread, NULL);
}

mw_err mw_state_submit(mw_state *state, mw_state_job *job)
{
    MW_ASSERT(job->run && job->done);
    return mw_queue_put(&state->queue, &job->item);
}

/* A job around the caller's, because the caller's has no room for a condition. */
typedef struct waiting_job {
    mw_state_job job;
    mw_state_job *inner;
    pthread_mutex_t lock;
    pthread_cond_t finished;
    bool is_finished;
} waiting_job;

static mw_err run_waiting(mw_state_job *job, mw_state_tx *tx)
{
    mw_state_job *inner = ((waiting_job *)(void *)job)->inner;
    return inner->run(inner, tx);
}

static void done_waiting(mw_state_job *job, mw_err err)
{
    waiting_job *waiting = (waiting_job *)(void *)job;
    pthread_mutex_lock(&waiting->lock);
    waiting->job.result = err;
    waiting->is_finished = true;
    pthread_cond_signal(&waiting->finished);
    pthread_mutex_unlock(&waiting->lock);
}

mw_err mw_state_submit_wait(mw_state *state, mw_state_job *job)
{
    MW_ASSERT(!pthread_equal(pthread_self(), state->writer_thread));
    waiting_job waiting = {.inner = job};
    waiting.job.item.cost_bytes = job->item.cost_bytes;
    waiting.job.run = run_waiting;
    waiting.job.done = done_waiting;
    if (pthread_mutex_init(&waiting.lock, NULL) != 0 ||
        pthread_cond_init(&waiting.finished, NULL) != 0)
        mw_bug(__FILE__, __LINE__, "pthread initialisation failed");
    mw_err err = mw_state_submit(state, &waiting.job);
    if (err == MW_OK) {
        pthread_mutex_lock(&waiting.lock);
        while (!waiting.is_finished)
            pthread_cond_wait(&waiting.finished, &waiting.lock);
        pthread_mutex_unlock(&waiting.lock);
        err = waiting.job.result;
        if (job->done)
            job->done(job, err);
    }
    pthread_cond_destroy(&waiting.finished);
    pthread_mutex_destroy(&waiting.lock);
    return err;
}
