/* lib/state: what must be transactional. This header and those beside it are the room's only doors.
 *
 * One SQLite file (WAL, synchronous=FULL), one writer thread. Changes are jobs: the writer runs
 * the jobs that wait inside one transaction, each in a savepoint of its own, commits once and
 * then completes them, so that many alarms share one sync and a failed job costs only itself.
 * Reads use a small set of read-only connections and see committed data. SQL text lives in this
 * room and in lib/store only; callers pass and get the structs below.
 */
#ifndef MW_STATE_STATE_H
#define MW_STATE_STATE_H

#include "lib/base/arena.h"
#include "lib/base/clock.h"
#include "lib/base/id.h"
#include "lib/base/queue.h"

typedef struct mw_state mw_state;

typedef struct mw_state_config {
    const char *path;     /* the database file; its directory exists, mode 0700 */
    const char *key_path; /* key file that seals secrets, mode 0600, made when absent */
    const mw_clock *clock;
    size_t queue_budget_bytes; /* jobs waiting for the writer */
    unsigned readers;          /* read connections; a read waits when all are out */
    unsigned log_pages;        /* from which on there is a checkpoint; 0 = 2,000 */
} mw_state_config;

/* Jobs are small (an alarm of at most 256 KiB): room for a storm of several thousand. */
#define MW_STATE_QUEUE_DEFAULT ((size_t)64 << 20)

/* Opens, migrates forward (schema_version), starts the writer. MW_E_IO, MW_E_NO_SPACE,
 * MW_E_CORRUPT, MW_E_UNSUPPORTED (a newer schema), MW_E_DENIED (key file readable by others). */
MW_MUST_USE mw_err mw_state_open(const mw_state_config *config, mw_state **out, mw_detail *detail);
/* Runs what waits, joins the writer, checkpoints, closes. */
void mw_state_close(mw_state *state);

/* Offline verification (`midwatch check`): every page and row, what refers to what, and whether the
 * key file is the one that opens the secrets. Reads only; beside a daemon it sees the last commit.
 * MW_E_NOT_FOUND (no such file), MW_E_CORRUPT (detail has the first thing that is wrong),
 * MW_E_UNSUPPORTED (a newer schema), MW_E_IO, MW_E_NOMEM. */
MW_MUST_USE mw_err mw_state_verify(const char *path, const char *key_path, mw_detail *detail);

/* A connection inside a transaction: the writer's, or a reader's. Never crosses threads. */
typedef struct mw_state_tx mw_state_tx;

/* Embedded in the submitter's own struct. item.cost_bytes is set by the submitter. `run` works
 * inside the transaction, on the writer's thread: an error rolls back what this job did. `done`
 * is called once after the commit with run's error, or the commit's (MW_E_IO, MW_E_NO_SPACE);
 * it must not block, and may free the job. */
typedef struct mw_state_job {
    mw_queue_item item;
    mw_err (*run)(struct mw_state_job *job, mw_state_tx *tx);
    void (*done)(struct mw_state_job *job, mw_err err);
    mw_err result; /* the room's own */
} mw_state_job;

/* MW_E_BUSY (queue budget) or MW_E_CLOSED: `done` is not called then. Any thread. */
MW_MUST_USE mw_err mw_state_submit(mw_state *state, mw_state_job *job);
/* Submits and waits; for start-up and for pool threads, never for a network loop nor inside a job.
 * `done` may be NULL; else it is called before the return, on the caller's thread. */
MW_MUST_USE mw_err mw_state_submit_wait(mw_state *state, mw_state_job *job);

/* Inside a job: what `run` changes is undone when it fails, and the job goes on; *result is what it
 * returned. An error: the transaction is lost. */
MW_MUST_USE mw_err mw_state_try(mw_state_tx *tx, mw_err (*run)(void *ctx, mw_state_tx *tx),
                                void *ctx, mw_err *result);
/* Inside a job: how many transactions were not committed so far, jobs and all. Who keeps in memory
 * what jobs wrote makes it anew when this has changed. */
uint64_t mw_state_undone(const mw_state_tx *tx);

/* A read transaction; blocks while all readers are out, so a thread holds one at a time. It sees
 * one snapshot, taken at its first question. Pool threads and start-up. MW_E_IO. */
MW_MUST_USE mw_err mw_state_read_begin(mw_state *state, mw_state_tx **out);
void mw_state_read_end(mw_state_tx *tx);

typedef struct mw_state_stats {
    size_t queue_bytes, queue_count;
    bool writable; /* false after a failed commit until one succeeds */
} mw_state_stats;
void mw_state_stats_read(mw_state *state, mw_state_stats *out);

/* Lists, newest first; bounds on the field named at the question; 0 = unbounded. cursor as
 * given by the page before, empty for the first. */
typedef struct mw_state_page {
    uint64_t since_ns, until_ns;
    size_t limit; /* 1 to 1000 */
    mw_slice cursor;
} mw_state_page;

/* All text the questions return lives in the arena given. Functions that change return MW_E_IO,
 * MW_E_NO_SPACE, MW_E_NOMEM, MW_E_LIMIT (a row over 4 MiB), MW_E_CONFLICT (the key exists) or
 * MW_E_NOT_FOUND (a row it names does not); those that ask MW_E_IO, MW_E_NOMEM, MW_E_SYNTAX
 * (cursor), and, where one row is asked for, MW_E_NOT_FOUND or MW_E_AMBIGUOUS (id prefix of 6 or
 * more). */

/* ---- alarms -------------------------------------------------------------------------------- */

/* How far the time of an alarm's body may lie behind its receipt: clocks that take local time for
 * UTC are up to 14 hours ahead. The collector calls spans' times odd by the same day. */
#define MW_ALARM_AHEAD_NS (INT64_C(24) * 3600 * 1000000000)

typedef struct mw_alarm_row {
    uint64_t seq; /* order of commit; set by insert */
    mw_slice id;  /* 32 hex */
    mw_slice space, webhook_id, source, incident_id;
    mw_slice action, priority, title, description, service, region;
    mw_slice resources_json; /* JSON array of strings */
    mw_slice body;           /* as received */
    int64_t started_ns;      /* event time (DESIGN 4.5) */
    int64_t received_ns;
    int64_t claimed_ns; /* the body's time, where that cannot be and received_ns counts; 0 = none */
} mw_alarm_row;

typedef struct mw_alarm_event_row {
    int64_t time_ns;
    mw_slice action;
} mw_alarm_event_row;

/* What the tables say of one incident, for the rules of DESIGN 4.4. */
typedef struct mw_incident_facts {
    bool known;                /* any alarm that is not SKIPPED */
    mw_slice newest_alarm_id;  /* newest alarm that is not SKIPPED; empty when none */
    mw_slice investigation_id; /* of that alarm's decision; empty while undecided or none */
    bool unresolved;           /* no resolved or closed event on that alarm */
    bool open; /* nor did a person close the investigation that it is in, as that is now */
} mw_incident_facts;

/* It waits for a decision from then on. */
MW_MUST_USE mw_err mw_state_alarm_insert(mw_state_tx *tx, mw_alarm_row *row);
/* In two steps, for an alarm that is decided in the same transaction and never waits. One that
 * neither waits nor is decided is lost. */
MW_MUST_USE mw_err mw_state_alarm_put(mw_state_tx *tx, mw_alarm_row *row);
MW_MUST_USE mw_err mw_state_alarm_wait(mw_state_tx *tx, uint64_t seq);
/* before_seq: only alarms and events committed earlier (0 = all). An undecided `created` counts
 * as not SKIPPED. */
MW_MUST_USE mw_err mw_state_incident_facts(mw_state_tx *tx, mw_slice webhook_id,
                                           mw_slice incident_id, uint64_t before_seq,
                                           mw_arena *arena, mw_incident_facts *out);
MW_MUST_USE mw_err mw_state_alarm_event_insert(mw_state_tx *tx, mw_slice alarm_id, int64_t time_ns,
                                               mw_slice action);
/* Events that reached `from` while it was undecided go to the alarm that swallowed it. */
MW_MUST_USE mw_err mw_state_alarm_events_move(mw_state_tx *tx, mw_slice from_alarm_id,
                                              mw_slice to_alarm_id);
/* The oldest alarm without a decision; MW_E_NOT_FOUND when all are decided. `body` is left empty
 * by all questions but alarm_get. */
MW_MUST_USE mw_err mw_state_alarm_undecided(mw_state_tx *tx, mw_arena *arena, mw_alarm_row *out);
/* Does any wait whose number lies between the two, both excluded? */
MW_MUST_USE mw_err mw_state_alarm_waits(mw_state_tx *tx, uint64_t after_seq, uint64_t before_seq,
                                        bool *waits);
MW_MUST_USE mw_err mw_state_alarm_get(mw_state_tx *tx, mw_slice id_prefix, mw_arena *arena,
                                      mw_alarm_row *out);
MW_MUST_USE mw_err mw_state_alarm_events(mw_state_tx *tx, mw_slice alarm_id, mw_arena *arena,
                                         mw_alarm_event_row **rows, size_t *count);
/* By started_at. */
MW_MUST_USE mw_err mw_state_alarm_list(mw_state_tx *tx, const mw_state_page *page, mw_arena *arena,
                                       mw_alarm_row **rows, size_t *count, mw_slice *next_cursor,
                                       uint64_t *total);
/* Alarms of one investigation that are not SKIPPED, oldest first. */
MW_MUST_USE mw_err mw_state_alarm_of_investigation(mw_state_tx *tx, mw_slice investigation_id,
                                                   mw_arena *arena, mw_alarm_row **rows,
                                                   size_t *count);

/* ---- decisions ----------------------------------------------------------------------------- */

typedef struct mw_decision_row {
    mw_slice alarm_id;
    mw_slice verdict;     /* PROCEED, LINKED, SKIPPED */
    mw_slice reason_code; /* docs/decision.md's table */
    mw_slice reason;
    mw_slice investigation_id; /* empty = null */
    double score, threshold;
    bool scored;          /* false: score and threshold are null */
    mw_slice detail_json; /* {"parts":{},"candidates":[],"inputs":{}}: replay reads this */
    uint64_t as_of;       /* the store's commit sequence it saw */
    int64_t decided_ns;
    int64_t decided_in_us;
    bool prompt; /* not stored: the alarm never waited */
} mw_decision_row;

/* Takes the alarm off the undecided. The investigation it names exists already. */
MW_MUST_USE mw_err mw_state_decision_insert(mw_state_tx *tx, const mw_decision_row *row);
MW_MUST_USE mw_err mw_state_decision_get(mw_state_tx *tx, mw_slice alarm_id, mw_arena *arena,
                                         mw_decision_row *out);

/* ---- investigations ------------------------------------------------------------------------ */

typedef struct mw_investigation_row {
    mw_slice id; /* 32 hex */
    mw_slice space, title;
    mw_slice status;         /* DESIGN 4.3's eight */
    mw_slice incident_state; /* open, closed */
    mw_slice priority;
    mw_slice service;              /* asked about by hand; empty = that of its alarms */
    int64_t created_ns, closed_ns; /* closed_ns 0 = null */
    int64_t window_start_ns, window_end_ns;
    mw_slice root_cause_json; /* empty = null */
} mw_investigation_row;

typedef struct mw_journal_row {
    mw_slice record_id; /* 32 hex */
    int64_t time_ns;
    mw_slice type; /* PLANNING, SEARCHING, ANALYSIS, FINDING, ACTION, SUMMARY, ... */
    mw_slice text;
    mw_slice evidence_json; /* JSON array */
} mw_journal_row;

MW_MUST_USE mw_err mw_state_investigation_insert(mw_state_tx *tx, const mw_investigation_row *row);
/* Status and root cause are replaced by the row's; the window grows to hold the row's. When
 * alarms joined while it ran (incidents.h), a run that ends is PENDING_START again.
 * MW_E_NOT_FOUND. */
MW_MUST_USE mw_err mw_state_investigation_update(mw_state_tx *tx, const mw_investigation_row *row);
/* Sets the oldest PENDING_START to IN_PROGRESS and returns it; MW_E_NOT_FOUND when there is none.
 * In a job: two runs never get the same one. */
MW_MUST_USE mw_err mw_state_investigation_claim(mw_state_tx *tx, mw_arena *arena,
                                                mw_investigation_row *out);
/* At start: what was IN_PROGRESS when the process ended is PENDING_START again. */
MW_MUST_USE mw_err mw_state_investigation_requeue(mw_state_tx *tx);
/* Closes the incident (incident_state, closed_ns) when every alarm of the investigation that is
 * not SKIPPED has a resolved or closed event; else changes nothing. Called after each closing and
 * each decision. */
MW_MUST_USE mw_err mw_state_investigation_settle(mw_state_tx *tx, mw_slice investigation_id,
                                                 int64_t now_ns);
/* Inside a job: how many incidents were closed so far, since start; some of them may have been
 * undone. As long as it stays, what was open is open. */
uint64_t mw_state_closings(const mw_state_tx *tx);
MW_MUST_USE mw_err mw_state_investigation_get(mw_state_tx *tx, mw_slice id_prefix, mw_arena *arena,
                                              mw_investigation_row *out);
/* By created_at. `status` empty = all. */
MW_MUST_USE mw_err mw_state_investigation_list(mw_state_tx *tx, const mw_state_page *page,
                                               mw_slice status, mw_arena *arena,
                                               mw_investigation_row **rows, size_t *count,
                                               mw_slice *next_cursor, uint64_t *total);
MW_MUST_USE mw_err mw_state_journal_insert(mw_state_tx *tx, mw_slice investigation_id,
                                           const mw_journal_row *row);
/* In order of insertion. */
MW_MUST_USE mw_err mw_state_journal_list(mw_state_tx *tx, mw_slice investigation_id,
                                         mw_arena *arena, mw_journal_row **rows, size_t *count);

/* ---- audit --------------------------------------------------------------------------------- */

typedef struct mw_audit_row {
    int64_t time_ns;
    mw_slice principal; /* "local:alice", "loopback" */
    mw_slice source_address;
    mw_slice action;  /* "webhook.create" */
    mw_slice subject; /* id of the thing */
    mw_slice outcome; /* ok, denied, failed */
    mw_slice detail;
    mw_slice space; /* whose it is; empty = of no space */
} mw_audit_row;

MW_MUST_USE mw_err mw_state_audit_insert(mw_state_tx *tx, const mw_audit_row *row);
/* Those of one space; all when `space` is empty. */
MW_MUST_USE mw_err mw_state_audit_list(mw_state_tx *tx, const mw_state_page *page, mw_slice space,
                                       mw_arena *arena, mw_audit_row **rows, size_t *count,
                                       mw_slice *next_cursor);

#endif
