/* The room's life: start, wake, stop, and when which job runs. See triage_int.h for the design.
 *
 * Flags say that there may be work; state says what it is. Whoever adds work sets the flag before
 * it looks whether a job runs, and a job clears the flag before it looks for work, so that nothing
 * is missed between the two. All of it under one lock, never held while working.
 */
#include <signal.h>
#include <time.h>

#include "lib/base/log.h"
#include "triage/triage_int.h"

/* Batches of decisions per turn in the pool: each waits for a commit, so a turn is some tens of
 * milliseconds. */
#define BATCHES_PER_TURN 4

/* ---- putting jobs into the pool (lock held) ------------------------------------------------ */

static void ask_retry(mw_triage *triage)
{
    triage->retry = true;
    pthread_cond_broadcast(&triage->changed);
}

/* A refused job is no loss: the keeper comes back. */
static bool submit(mw_triage *triage, mw_pool *pool, mw_job *job)
{
    if (mw_pool_submit(pool, job) == MW_OK)
        return true;
    ask_retry(triage);
    return false;
}

static void start_deciding(mw_triage *triage)
{
    triage->alarms_waiting = true;
    if (!triage->deciding && !triage->stopping)
        triage->deciding = submit(triage, triage->pool, &triage->decide_job);
}

static void start_runs(mw_triage *triage)
{
    triage->runs_waiting = true;
    for (size_t i = 0; i < MW_TRIAGE_RUNNERS && !triage->stopping; i++) {
        mw_runner *runner = &triage->runners[i];
        if (!runner->active)
            runner->active = submit(triage, triage->runs, &runner->job);
    }
}

static void start_looks(mw_triage *triage)
{
    triage->looks_waiting = true;
    if (!triage->looking && !triage->stopping)
        triage->looking = submit(triage, triage->pool, &triage->look_job);
}

static bool is_failure(mw_err err)
{
    return err != MW_OK && err != MW_E_NOT_FOUND;
}

/* After a turn: is there more to do? `waiting` is the flag that new work sets. */
static bool goes_on(mw_triage *triage, mw_err err, bool waiting)
{
    if (is_failure(err))
        ask_retry(triage);
    return !triage->stopping && (err == MW_OK || (err == MW_E_NOT_FOUND && waiting));
}

/* ---- jobs ---------------------------------------------------------------------------------- */

static bool take_flag(mw_triage *triage, bool *flag)
{
    pthread_mutex_lock(&triage->lock);
    *flag = false;
    bool stopping = triage->stopping;
    pthread_mutex_unlock(&triage->lock);
    return !stopping;
}

static void log_failure(const char *what, mw_err err)
{
    mw_log_level level = err == MW_E_BUSY || err == MW_E_NOMEM ? MW_LOG_WARN : MW_LOG_ERROR;
    MW_LOG(level, "triage", what, MW_KV_ERR(err));
}

void mw_triage_note_decided(mw_triage *triage, bool wakes, bool unsettled)
{
    if (!wakes && !unsettled)
        return;
    pthread_mutex_lock(&triage->lock);
    if (wakes)
        start_runs(triage);
    bool first = unsettled && !triage->looks_waiting;
    triage->looks_waiting |= unsettled;
    pthread_mutex_unlock(&triage->lock);
    if (first)
        pthread_cond_broadcast(&triage->changed);
}

static mw_err decide_one(mw_triage *triage)
{
    mw_err err = mw_engine_decide_next(triage);
    if (is_failure(err))
        log_failure("decision failed, will be tried again", err);
    return err;
}

static void run_decisions(mw_job *job)
{
    mw_triage *triage = (mw_triage *)(void *)((char *)job - offsetof(mw_triage, decide_job));
    mw_err err = MW_OK;
    for (int i = 0; i < BATCHES_PER_TURN && err == MW_OK; i++) {
        if (!take_flag(triage, &triage->alarms_waiting))
            break;
        err = decide_one(triage);
    }
    pthread_mutex_lock(&triage->lock);
    triage->deciding =
        goes_on(triage, err, triage->alarms_waiting) && submit(triage, triage->pool, job);
    pthread_cond_broadcast(&triage->changed);
    pthread_mutex_unlock(&triage->lock);
}

/* One batch, and again while there are more; what is not due yet waits for the keeper. */
static void run_looks(mw_job *job)
{
    mw_triage *triage = (mw_triage *)(void *)((char *)job - offsetof(mw_triage, look_job));
    bool wakes = false, waiting = false;
    mw_err err = MW_E_NOT_FOUND;
    if (take_flag(triage, &triage->looks_waiting))
        err = mw_looks_next(triage, &wakes, &waiting);
    if (is_failure(err))
        log_failure("second look failed, will be tried again", err);
    pthread_mutex_lock(&triage->lock);
    if (wakes)
        start_runs(triage);
    triage->looks_waiting |= waiting || is_failure(err);
    triage->looking = err == MW_OK && !triage->stopping && submit(triage, triage->pool, job);
    pthread_cond_broadcast(&triage->changed);
    pthread_mutex_unlock(&triage->lock);
}

static void run_investigation(mw_job *job)
{
    mw_runner *runner = (mw_runner *)(void *)((char *)job - offsetof(mw_runner, job));
    mw_triage *triage = runner->triage;
    mw_err err = MW_E_NOT_FOUND;
    if (take_flag(triage, &triage->runs_waiting))
        err = mw_investigation_run_next(runner);
    if (is_failure(err))
        log_failure("investigation failed, will be tried again", err);
    pthread_mutex_lock(&triage->lock);
    /* Alarms may have joined while it ran, and then it is to run again (incidents.h). */
    if (err == MW_OK)
        start_runs(triage);
    runner->active =
        goes_on(triage, err, triage->runs_waiting) && submit(triage, triage->runs, job);
    pthread_cond_broadcast(&triage->changed);
    pthread_mutex_unlock(&triage->lock);
}

/* ---- the keeper ---------------------------------------------------------------------------- */

static struct timespec in_a_while(int64_t ns)
{
    struct timespec until;
    clock_gettime(CLOCK_MONOTONIC, &until); /* a real pause, also under a fake clock */
    ns += until.tv_nsec;
    until.tv_sec += (time_t)(ns / MW_NS_PER_S);
    until.tv_nsec = (long)(ns % MW_NS_PER_S);
    return until;
}

static bool is_past(const struct timespec *time)
{
    struct timespec now = in_a_while(0);
    return now.tv_sec > time->tv_sec ||
           (now.tv_sec == time->tv_sec && now.tv_nsec >= time->tv_nsec);
}

static bool is_before(const struct timespec *a, const struct timespec *b)
{
    return a->tv_sec < b->tv_sec || (a->tv_sec == b->tv_sec && a->tv_nsec < b->tv_nsec);
}

/* Windows for alarms, and what failed once more. Lock held, but not while a window is made. */
static void *keep(void *arg)
{
    mw_triage *triage = arg;
    struct timespec warm = in_a_while(0), retry = warm, look = warm;
    bool retrying = false, looking = false;
    pthread_mutex_lock(&triage->lock);
    while (!triage->stopping) {
        if (triage->retry && !retrying)
            retry = in_a_while((int64_t)triage->retry_ms * MW_NS_PER_MS);
        retrying = triage->retry;
        if (triage->looks_waiting && !looking)
            look = in_a_while((int64_t)triage->look_ms * MW_NS_PER_MS);
        looking = triage->looks_waiting;
        if (retrying && is_past(&retry)) {
            triage->retry = retrying = false;
            start_deciding(triage);
            start_runs(triage);
        }
        if (looking && is_past(&look)) {
            looking = false;
            start_looks(triage);
        }
        if (is_past(&warm)) {
            pthread_mutex_unlock(&triage->lock);
            warm = in_a_while(mw_topology_cache_warm(&triage->windows));
            pthread_mutex_lock(&triage->lock);
            continue;
        }
        struct timespec next = warm;
        if (retrying && is_before(&retry, &next))
            next = retry;
        if (looking && is_before(&look, &next))
            next = look;
        pthread_cond_timedwait(&triage->changed, &triage->lock, &next);
    }
    pthread_mutex_unlock(&triage->lock);
    return NULL;
}

static void start_keeper(mw_triage *triage)
{
    sigset_t all, before;
    sigfillset(&all); /* signals belong to the main thread */
    pthread_sigmask(SIG_SETMASK, &all, &before);
    if (pthread_create(&triage->keeper, NULL, keep, triage) != 0)
        mw_bug(__FILE__, __LINE__, "cannot start the triage keeper");
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    pthread_setname_np(triage->keeper, "mw-triage");
}

/* ---- life ---------------------------------------------------------------------------------- */

static void init_lock(mw_triage *triage)
{
    pthread_condattr_t attributes;
    if (pthread_mutex_init(&triage->lock, NULL) != 0 || pthread_condattr_init(&attributes) != 0 ||
        pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC) != 0 ||
        pthread_cond_init(&triage->changed, &attributes) != 0)
        mw_bug(__FILE__, __LINE__, "pthread initialisation failed");
    pthread_condattr_destroy(&attributes);
}

static void free_triage(mw_triage *triage)
{
    pthread_cond_destroy(&triage->changed);
    pthread_mutex_destroy(&triage->lock);
    mw_topology_cache_fini(&triage->windows);
    mw_topology_cache_fini(&triage->look_windows);
    mw_candidates_free(triage->open);
    mw_free(MW_MEM_STATE, triage);
}

static mw_err run_requeue(mw_state_job *job, mw_state_tx *tx)
{
    (void)job;
    return mw_state_investigation_requeue(tx);
}

mw_err mw_triage_start(const mw_triage_config *config, mw_triage **out)
{
    mw_state_job requeue = {.run = run_requeue};
    mw_err err = mw_state_submit_wait(config->state, &requeue);
    if (err != MW_OK)
        return err == MW_E_NOMEM ? err : MW_E_IO;
    mw_triage *triage = mw_calloc(MW_MEM_STATE, 1, sizeof *triage);
    if (!triage)
        return MW_E_NOMEM;
    triage->store = config->store;
    triage->state = config->state;
    triage->pool = config->pool;
    triage->runs = config->runs ? config->runs : config->pool;
    triage->clock = config->clock;
    triage->retry_ms = MW_TRIAGE_RETRY_MS;
    triage->look_ms = config->look_ms ? config->look_ms : MW_LOOK_EVERY_MS;
    mw_topology_cache_init(&triage->windows, config->store, config->state, config->clock);
    mw_topology_cache_init(&triage->look_windows, config->store, config->state, config->clock);
    triage->decide_job.run = run_decisions;
    triage->look_job.run = run_looks;
    for (size_t i = 0; i < MW_TRIAGE_RUNNERS; i++) {
        triage->runners[i].triage = triage;
        triage->runners[i].job.run = run_investigation;
    }
    init_lock(triage);
    start_keeper(triage);
    pthread_mutex_lock(&triage->lock);
    start_deciding(triage);
    start_runs(triage);
    start_looks(triage);
    pthread_mutex_unlock(&triage->lock);
    *out = triage;
    return MW_OK;
}

void mw_triage_wake(mw_triage *triage)
{
    pthread_mutex_lock(&triage->lock);
    start_deciding(triage);
    pthread_mutex_unlock(&triage->lock);
}

void mw_triage_wake_runs(mw_triage *triage)
{
    pthread_mutex_lock(&triage->lock);
    start_runs(triage);
    pthread_mutex_unlock(&triage->lock);
}

void mw_triage_wake_looks(mw_triage *triage)
{
    pthread_mutex_lock(&triage->lock);
    start_looks(triage);
    pthread_mutex_unlock(&triage->lock);
}

static size_t count_active(const mw_triage *triage)
{
    size_t active = (size_t)triage->deciding + triage->looking;
    for (size_t i = 0; i < MW_TRIAGE_RUNNERS; i++)
        active += triage->runners[i].active;
    return active;
}

size_t mw_triage_active(mw_triage *triage)
{
    pthread_mutex_lock(&triage->lock);
    size_t active = count_active(triage);
    pthread_mutex_unlock(&triage->lock);
    return active;
}

void mw_triage_stop(mw_triage *triage)
{
    if (!triage)
        return;
    pthread_mutex_lock(&triage->lock);
    triage->stopping = true;
    pthread_cond_broadcast(&triage->changed);
    while (count_active(triage))
        pthread_cond_wait(&triage->changed, &triage->lock);
    pthread_mutex_unlock(&triage->lock);
    pthread_join(triage->keeper, NULL);
    free_triage(triage);
}
