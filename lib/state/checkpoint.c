/* Checkpoints: what the log holds goes into the database file, beside the writer and not in it.
 *
 * SQLite's own would run inside the commit that finds the log long enough: two syncs and hundreds
 * of writes that some verdict waits for. Here a thread with a connection of its own does that when
 * the writer says so, and the writer appends meanwhile. The log begins anew once all of it was
 * taken over, which would never be under a load without a pause; so the writer takes over what was
 * appended meanwhile itself, a few pages. A log that is never begun anew grows, and costs more with
 * every page: its index is searched in pieces of 4,096.
 *
 * While somebody reads an old snapshot it grows all the same; what fails is tried again after the
 * next commit, and the log keeps everything until then.
 */
#include <signal.h>

#include "lib/base/log.h"
#include "lib/state/state_int.h"

/* 8 MiB: some hundred commits of one alarm each. */
#define LOG_PAGES 2000u
/* 64 MiB: the thread does not get on, or a reader stays. */
#define LOG_PAGES_MAX 16000

static void checkpoint(sqlite3 *db)
{
    int code = sqlite3_wal_checkpoint_v2(db, NULL, SQLITE_CHECKPOINT_PASSIVE, NULL, NULL);
    if (code != SQLITE_OK && code != SQLITE_BUSY)
        MW_LOG(MW_LOG_WARN, "state", "checkpoint failed, will be tried again",
               MW_KV_I64("code", code));
}

/* After each commit of the writer, with the length of the log. */
static int note_commit(void *ctx, sqlite3 *db, const char *name, int pages)
{
    mw_state *state = ctx;
    (void)name;
    pthread_mutex_lock(&state->checkpoint_lock);
    bool ours = state->checkpoint_done && pages >= state->log_pages;
    state->checkpoint_done = false;
    if (pages >= state->log_pages && !ours && !state->checkpoint_due) {
        state->checkpoint_due = true;
        pthread_cond_signal(&state->checkpoint_wanted);
    }
    pthread_mutex_unlock(&state->checkpoint_lock);
    if (ours || pages >= LOG_PAGES_MAX)
        checkpoint(db);
    return SQLITE_OK;
}

static void *run_checkpoints(void *arg)
{
    mw_state *state = arg;
    pthread_mutex_lock(&state->checkpoint_lock);
    while (!state->checkpoint_end) {
        if (!state->checkpoint_due) {
            pthread_cond_wait(&state->checkpoint_wanted, &state->checkpoint_lock);
            continue;
        }
        pthread_mutex_unlock(&state->checkpoint_lock);
        checkpoint(state->checkpoints.db);
        pthread_mutex_lock(&state->checkpoint_lock);
        state->checkpoint_due = false;
        state->checkpoint_done = true;
    }
    pthread_mutex_unlock(&state->checkpoint_lock);
    return NULL;
}

void mw_state_checkpoints_start(mw_state *state, unsigned log_pages)
{
    sigset_t all, before;
    if (pthread_mutex_init(&state->checkpoint_lock, NULL) != 0 ||
        pthread_cond_init(&state->checkpoint_wanted, NULL) != 0)
        mw_bug(__FILE__, __LINE__, "pthread initialisation failed");
    state->log_pages = (int)(log_pages ? log_pages : LOG_PAGES);
    sqlite3_wal_hook(state->writer.db, note_commit, state);
    sigfillset(&all); /* signals belong to the main thread */
    pthread_sigmask(SIG_SETMASK, &all, &before);
    if (pthread_create(&state->checkpoint_thread, NULL, run_checkpoints, state) != 0)
        mw_bug(__FILE__, __LINE__, "cannot start the checkpoint thread");
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    pthread_setname_np(state->checkpoint_thread, "mw-checkpoint");
}

void mw_state_checkpoints_stop(mw_state *state)
{
    pthread_mutex_lock(&state->checkpoint_lock);
    state->checkpoint_end = true;
    pthread_cond_signal(&state->checkpoint_wanted);
    pthread_mutex_unlock(&state->checkpoint_lock);
    pthread_join(state->checkpoint_thread, NULL);
    sqlite3_wal_hook(state->writer.db, NULL, NULL);
    pthread_cond_destroy(&state->checkpoint_wanted);
    pthread_mutex_destroy(&state->checkpoint_lock);
}
