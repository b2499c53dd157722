/* triage, inside: the engine's state and the steps it runs.
 *
 * Two kinds of work run on pools: the decision loop (at most one job at a time: decisions are
 * serial) and MW_TRIAGE_RUNNERS investigation slots. Each job does a bounded piece, then puts
 * itself behind what waits in the pool, so that a storm of alarms starves neither queries nor
 * investigations. A keeper thread keeps windows of telemetry ready for alarms, and when something
 * failed (disk full, a full queue) it starts the work again after a while. What is to be done stands in state, never in memory alone.
 */
#ifndef MW_TRIAGE_TRIAGE_INT_H
#define MW_TRIAGE_TRIAGE_INT_H

#include <pthread.h>

#include "triage/decision/candidates.h"
#include "triage/decision/decision_json.h"
#include "triage/topology_cache.h"
#include "triage/triage.h"

/* Investigations at a time: two keep a disk and a processor busy and leave readers for people. */
#define MW_TRIAGE_RUNNERS 2

/* What an investigation reads before the alarm: the look-back of DESIGN 4.4, the span of time in
 * which alarms are taken for one incident. */
#define MW_TRIAGE_WINDOW_BEFORE_NS (INT64_C(20) * 60 * MW_NS_PER_S)
/* And after: alarms name the moment a rule fired, and the spans that made it fire may end and
 * arrive a few evaluation periods later. */
#define MW_TRIAGE_WINDOW_AFTER_NS (INT64_C(5) * 60 * MW_NS_PER_S)
/* A run beyond this is cut short with a gap that says so: an answer late is worth less than an
 * answer with a hole (DESIGN 6 asks for seconds). */
#define MW_TRIAGE_RUN_LIMIT_NS (INT64_C(60) * MW_NS_PER_S)
/* Reading may fail for want of memory, which passes; what does not pass must not hold a slot. */
#define MW_TRIAGE_TRIES 5
/* Before failed work is tried again: a full disk does not change in less. */
#define MW_TRIAGE_RETRY_MS 1000

/* Pairs of incidents whose merging was suggested, so that a storm does not say it again. */
#define MW_PROPOSALS_KEPT 64

typedef struct mw_runner {
    mw_job job;
    mw_triage *triage;
    bool active;                /* under the lock: queued or running */
    char kept[MW_ID_TEXT_SIZE]; /* IN_PROGRESS with us, result not yet committed; else empty */
    unsigned tries;             /* of the run kept */
} mw_runner;

struct mw_triage {
    mw_store *store;
    mw_state *state;
    mw_pool *pool, *runs;
    const mw_clock *clock;

    /* of the state writer's thread, inside jobs */
    mw_candidates *open;
    bool open_stale; /* atomic: to be made again from state */
    uint64_t undone; /* mw_state_undone when `open` was made */
    char proposed[MW_PROPOSALS_KEPT][2 * MW_ID_TEXT_SIZE];
    size_t proposed_next;

    mw_topology_cache windows;

    /* of the decision loop */
    bool one_by_one;      /* a batch failed */
    uint64_t passed_over; /* atomic: alarms up to this one that cannot be decided wait for a start */

    mw_job decide_job;
    mw_runner runners[MW_TRIAGE_RUNNERS];
    pthread_t keeper;

    pthread_mutex_t lock;
    pthread_cond_t changed;
    bool deciding;       /* decide_job is queued or running */
    bool alarms_waiting; /* an alarm may be undecided */
    bool runs_waiting;   /* an investigation may be PENDING_START */
    bool retry;          /* for the keeper */
    unsigned retry_ms;   /* MW_TRIAGE_RETRY_MS; tests are less patient */
    bool stopping;
};

/* engine.c. The oldest undecided alarms, decided and committed together. *wakes is set when an
 * investigation has something to run. MW_E_NOT_FOUND when all are decided; else what state or store
 * return. */
MW_MUST_USE mw_err mw_engine_decide_next(mw_triage *triage, bool *wakes);

/* investigation.c. Takes the oldest PENDING_START (or the one kept) and runs it to its committed
 * end. MW_E_NOT_FOUND when there is none; on another error `kept` names the run to be tried
 * again. A run that cannot be read MW_TRIAGE_TRIES times ends FAILED; one that cannot be
 * committed is kept until it can. */
MW_MUST_USE mw_err mw_investigation_run_next(mw_runner *runner);

#endif
