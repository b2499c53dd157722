/* At most so often: many notes become one call, at once after a quiet time, else when the time
 * since the last call is over.
 *
 * For what is asked of the store after commits, and costs more than a commit does. One thread of
 * its own between start and stop makes the calls; any thread notes. Owned by mw_server.
 */
#ifndef MW_SERVER_PACER_H
#define MW_SERVER_PACER_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include "lib/base/error.h"

typedef struct mw_pacer {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    pthread_t thread;
    bool running, noted, stopping;
    int64_t every_ns;
    void (*call)(void *ctx);
    void *ctx;
} mw_pacer;

/* MW_E_NOMEM: no thread. */
MW_MUST_USE mw_err mw_pacer_start(mw_pacer *pacer, int64_t every_ns, void (*call)(void *ctx),
                                  void *ctx);
/* Something has happened. Never blocks for long; nothing when it does not run. */
void mw_pacer_note(mw_pacer *pacer);
/* Ends the thread; a call that runs is waited for. Nothing when it does not run. Nobody may note at
 * that time or later. */
void mw_pacer_stop(mw_pacer *pacer);

#endif
