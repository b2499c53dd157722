/* triage: decisions and investigations. The room's door for webhook/ and server/.
 *
 * No sockets, no SQL; time comes from the clock given. Decisions are taken one at a time per
 * space in the order in which alarms were committed; those left undecided by a crash are taken up
 * at start, and so are investigations that were running. Work runs on the pools.
 */
#ifndef MW_TRIAGE_TRIAGE_H
#define MW_TRIAGE_TRIAGE_H

#include "lib/base/clock.h"
#include "lib/base/pool.h"
#include "lib/state/incidents.h"
#include "triage/decision/decision.h"

typedef struct mw_triage mw_triage;

typedef struct mw_triage_config {
    mw_store *store;
    mw_state *state;
    mw_pool *pool;
    const mw_clock *clock;
    unsigned look_ms; /* how often due looks are asked for; 0 = every second */
    mw_pool *runs;    /* of investigations, which may take long; NULL: the same */
} mw_triage_config;

/* Takes up what a former run left. MW_E_NOMEM, MW_E_IO. */
MW_MUST_USE mw_err mw_triage_start(const mw_triage_config *config, mw_triage **out);
/* An alarm was committed: wakes the engine. Any thread, does not block. */
void mw_triage_wake(mw_triage *triage);

/* What became of an alarm that was decided at once. */
typedef struct mw_outcome {
    mw_verdict verdict;
    mw_reason_code code;
    char alarm_id[MW_ID_TEXT_SIZE], investigation_id[MW_ID_TEXT_SIZE];
    bool wakes;     /* an investigation has something to run */
    bool unsettled; /* a second look is due later */
} mw_outcome;
/* More alarms of one delivery are decided later. */
#define MW_PROMPT_MAX 16

/* Decides alarms in the job that has just inserted them, so that they share its commit: when no
 * older one waits, none of them has an event yet, and the telemetry around them is at hand. All of
 * them or none; *decided false: they wait for mw_triage_wake. What fails in deciding is undone and
 * fails nothing else; an error is the transaction's. On the state writer's thread. */
MW_MUST_USE mw_err mw_triage_decide_now(mw_triage *triage, mw_state_tx *tx,
                                        const mw_alarm_row *alarms, size_t count,
                                        mw_outcome *outcomes, bool *decided);
/* Once that is committed: counts, tells and wakes. Any thread, does not block. */
void mw_triage_decided(mw_triage *triage, const mw_outcome *outcomes, size_t count);

/* An investigation may be PENDING_START. Any thread, does not block. */
void mw_triage_wake_runs(mw_triage *triage);
/* What an investigation of that moment looks at. Pure. */
void mw_investigation_window(int64_t at_ns, int64_t *start_ns, int64_t *end_ns);
/* Alarms and investigations under way now. */
size_t mw_triage_active(mw_triage *triage);
/* Waits until what runs has been committed (undecided alarms stay for the next start), frees. */
void mw_triage_stop(mw_triage *triage);

/* ---- what people do ------------------------------------------------------------------------ */

typedef enum mw_verb {
    MW_VERB_LINK,    /* an alarm, to the investigation `other` */
    MW_VERB_UNLINK,  /* an alarm, out of its incident, into one of its own */
    MW_VERB_PROCEED, /* an alarm that was skipped or linked gets an investigation */
    MW_VERB_SKIP,    /* an alarm is set aside */
    MW_VERB_MERGE,   /* an investigation, into `other` */
    MW_VERB_SPLIT,   /* `alarms` of an investigation, into a new one */
    MW_VERB_CLAIM,   /* an investigation is the person's; another's only with its version */
    MW_VERB_COMMENT, /* `text` goes into the journal */
    MW_VERB_CLOSE,   /* an incident is over, whatever its alarms say */
    MW_VERB_COUNT
} mw_verb;

typedef struct mw_act {
    mw_verb verb;
    mw_slice subject; /* id of an alarm or investigation, or a prefix */
    mw_slice other;   /* likewise */
    const mw_slice *alarms;
    size_t alarm_count;
    mw_slice text;         /* of a comment; else why, may be empty */
    mw_slice version;      /* of the subject as it was seen; empty = whatever it is */
    mw_slice who, address; /* for journal, history and audit */
} mw_act;

/* What a person saw of an alarm or of an incident, as a word that is another one once it has
 * changed in what acts are about: where the alarm is, which alarms the incident has, whose it is
 * and whether it is open. An act that carries it is refused when somebody else was first. Pure. */
#define MW_VERSION_SIZE 17 /* 16 hex digits and the end */
/* `changes`: steps of its decision. */
void mw_version_of_alarm(const mw_decision_row *decision, size_t changes,
                         char out[MW_VERSION_SIZE]);
void mw_version_of_incident(const mw_incident_row *incident, const mw_alarm_row *alarms,
                            size_t count, char out[MW_VERSION_SIZE]);

typedef struct mw_acted {
    mw_slice alarm_id;         /* empty when the verb is about none */
    mw_slice investigation_id; /* the one that it is about now; empty = none */
} mw_acted;

/* Commits the change with its journal and its audit record, and wakes what is to run.
 * MW_E_NOT_FOUND, MW_E_AMBIGUOUS, MW_E_CONFLICT and MW_E_INVALID with `detail`, else as a job of
 * state. Pool threads. */
MW_MUST_USE mw_err mw_triage_act(mw_triage *triage, const mw_act *act, mw_arena *arena,
                                 mw_acted *out, mw_detail *detail);
/* Imported calls take the place of those before. MW_E_CONFLICT (two alike), else as above. */
MW_MUST_USE mw_err mw_triage_import(mw_triage *triage, const mw_call_edge *edges, size_t count,
                                    mw_slice who, mw_slice address);

/* ---- replay -------------------------------------------------------------------------------- */

typedef struct mw_replayed {
    bool same;              /* the stored inputs give the stored decision again, bit for bit */
    mw_slice difference;    /* the first thing that differs; empty = none */
    const mw_slice *drifts; /* what the store tells of the same minutes now and did not then */
    size_t drift_count;
    uint64_t as_of_then, as_of_now;
} mw_replayed;

/* One decision again, from what it stored, and its telemetry from the store. MW_E_NOT_FOUND,
 * MW_E_AMBIGUOUS, MW_E_CONFLICT (undecided). Changes nothing. Pool threads. */
MW_MUST_USE mw_err mw_triage_replay(mw_triage *triage, mw_slice alarm_id, mw_arena *arena,
                                    mw_replayed *out, mw_detail *detail);

#endif
