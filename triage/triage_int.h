/* triage, inside: the engine's state and the steps it runs.
 *
 * Three kinds of work run on pools: the decision loop (at most one job at a time: decisions are
 * serial), second looks at decisions (one job as well, with windows of telemetry of its own) and
 * MW_TRIAGE_RUNNERS investigation slots. Each job does a bounded piece, then puts
 * itself behind what waits in the pool, so that a storm of alarms starves neither queries nor
 * investigations. A keeper thread keeps windows of telemetry ready for alarms, and when something
 * failed (disk full, a full queue) it starts the work again after a while; while decisions are
 * unsettled it asks every second whether a look is due. What is to be done stands in state, never
 * in memory alone.
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

/* Seconds after its decision an alarm is looked at again: exporters batch for five, collectors
 * in between for as many; and once more when a minute's spans are all there, slow requests
 * included. */
#define MW_LOOK_FIRST_NS (INT64_C(15) * MW_NS_PER_S)
#define MW_LOOK_LAST_NS (INT64_C(120) * MW_NS_PER_S)
/* How often it is seen whether a look is due. */
#define MW_LOOK_EVERY_MS 1000

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
    bool one_by_one; /* a batch failed */
    uint64_t
        passed_over; /* atomic: alarms up to this one that cannot be decided wait for a start */

    /* of the job of second looks: windows of its own, so that no verdict waits for it */
    mw_topology_cache look_windows;

    mw_job decide_job, look_job;
    mw_runner runners[MW_TRIAGE_RUNNERS];
    pthread_t keeper;

    pthread_mutex_t lock;
    pthread_cond_t changed;
    bool deciding;       /* decide_job is queued or running */
    bool alarms_waiting; /* an alarm may be undecided */
    bool runs_waiting;   /* an investigation may be PENDING_START */
    bool looking;        /* look_job is queued or running */
    bool looks_waiting;  /* a decision may be unsettled */
    bool retry;          /* for the keeper */
    unsigned retry_ms;   /* MW_TRIAGE_RETRY_MS; tests are less patient */
    unsigned look_ms;    /* MW_LOOK_EVERY_MS; tests ask themselves */
    bool stopping;
};

/* Tried again, it may go well. */
static inline bool mw_triage_may_pass(mw_err err)
{
    return err == MW_E_IO || err == MW_E_NO_SPACE || err == MW_E_NOMEM || err == MW_E_BUSY ||
           err == MW_E_CLOSED;
}

/* engine.c. The oldest undecided alarms, decided and committed together. *wakes is set when an
 * investigation has something to run. MW_E_NOT_FOUND when all are decided; else what state or store
 * return. */
MW_MUST_USE mw_err mw_engine_decide_next(mw_triage *triage);
/* triage.c. After a commit of decisions: what they set going. */
void mw_triage_note_decided(mw_triage *triage, bool wakes, bool unsettled);

/* looks.c. Second looks at the decisions that are due, a bounded number of them. *wakes as above;
 * *waiting: some are unsettled still. MW_E_NOT_FOUND when none is due. */
MW_MUST_USE mw_err mw_looks_next(mw_triage *triage, bool *wakes, bool *waiting);
/* When the first look at a decision of now is due. */
int64_t mw_look_due_ns(int64_t now_ns);
/* triage.c. Looks at what is due now, without waiting for the keeper. */
void mw_triage_wake_looks(mw_triage *triage);

/* investigation.c. Takes the oldest PENDING_START (or the one kept) and runs it to its committed
 * end. MW_E_NOT_FOUND when there is none; on another error `kept` names the run to be tried
 * again. A run that cannot be read MW_TRIAGE_TRIES times ends FAILED; one that cannot be
 * committed is kept until it can. */
MW_MUST_USE mw_err mw_investigation_run_next(mw_runner *runner);

#endif
