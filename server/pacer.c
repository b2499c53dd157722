/* Many notes, few calls. See pacer.h. */
#include <errno.h>
#include <string.h>
#include <time.h>

#include "lib/base/clock.h"
#include "server/pacer.h"

/* Until the time is over, or it ends. Under the lock. */
static void rest(mw_pacer *pacer)
{
    struct timespec until;
    clock_gettime(CLOCK_MONOTONIC, &until);
    int64_t ns = until.tv_nsec + pacer->every_ns;
    until.tv_sec += (time_t)(ns / MW_NS_PER_S);
    until.tv_nsec = (long)(ns % MW_NS_PER_S);
    while (!pacer->stopping &&
           pthread_cond_timedwait(&pacer->changed, &pacer->lock, &until) != ETIMEDOUT)
        ;
}

static void *run(void *ctx)
{
    mw_pacer *pacer = ctx;
    pthread_mutex_lock(&pacer->lock);
    for (;;) {
        while (!pacer->noted && !pacer->stopping)
            pthread_cond_wait(&pacer->changed, &pacer->lock);
        if (pacer->stopping)
            break;
        pacer->noted = false;
        pthread_mutex_unlock(&pacer->lock);
        pacer->call(pacer->ctx);
        pthread_mutex_lock(&pacer->lock);
        rest(pacer);
    }
    pthread_mutex_unlock(&pacer->lock);
    return NULL;
}

mw_err mw_pacer_start(mw_pacer *pacer, int64_t every_ns, void (*call)(void *ctx), void *ctx)
{
    pthread_condattr_t monotonic;
    memset(pacer, 0, sizeof *pacer);
    pacer->every_ns = every_ns;
    pacer->call = call;
    pacer->ctx = ctx;
    pthread_mutex_init(&pacer->lock, NULL);
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_cond_init(&pacer->changed, &monotonic);
    pthread_condattr_destroy(&monotonic);
    pacer->running = pthread_create(&pacer->thread, NULL, run, pacer) == 0;
    return pacer->running ? MW_OK : MW_E_NOMEM;
}

void mw_pacer_note(mw_pacer *pacer)
{
    if (!pacer->running)
        return;
    pthread_mutex_lock(&pacer->lock);
    /* Who rests is not disturbed: it looks again by itself. */
    if (!pacer->noted)
        pthread_cond_signal(&pacer->changed);
    pacer->noted = true;
    pthread_mutex_unlock(&pacer->lock);
}

void mw_pacer_stop(mw_pacer *pacer)
{
    if (!pacer->running)
        return;
    pthread_mutex_lock(&pacer->lock);
    pacer->stopping = true;
    pthread_cond_signal(&pacer->changed);
    pthread_mutex_unlock(&pacer->lock);
    pthread_join(pacer->thread, NULL);
    pacer->running = false;
    pthread_cond_destroy(&pacer->changed);
    pthread_mutex_destroy(&pacer->lock);
}
