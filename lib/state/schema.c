/* The schema of state.db and its migrations, forward only.
 *
 * A released migration is never edited: a change is a new entry at the end of the list. Each runs
 * in a transaction of its own together with its row in schema_version, so that a crash leaves
 * either version and nothing between. Runs at open, before the writer thread exists.
 *
 * Times are nanoseconds since 1970 UTC in columns named _ns. Ids are text of 32 hex digits.
 *
 *     webhook            endpoints; secrets are sealed (seal_int.h)
 *     token              bearers of the API and the OTLP ports: digests, never the tokens
 *     token_access       spaces whose tokens may read and operate
 *     replay             signatures seen, until they expire
 *     alarm              accepted deliveries that became alarms, in order of commit (seq)
 *     undecided          queue of alarms without a decision: a row goes when its decision comes
 *     incident_member    alarms that are not SKIPPED, by incident: keeps the question "what is
 *                        known of this incident" at one seek, however many repeats were skipped
 *     alarm_event        updates and closings; `position` is the newest alarm's seq at commit, so
 *                        that an alarm's decision sees exactly what was committed before it
 *     decision           one an alarm
 *     investigation, journal, audit
 *     deployment         what people and pipelines recorded
 *     plan               all plans of an investigation; the newest (seq) is the one that counts
 *     decision_step      what a decision was before and after each change, once there is one
 *     unsettled          decisions whose telemetry may still come, by looks taken
 *     decision_look      what a second look found when the telemetry differed
 *     call_edge          calls that were imported and not seen
 *     setting            key_check: a sealed constant that proves the key file is the right one
 */
#include "lib/state/rows_int.h"

/* "MWst": tells our file from other SQLite files. */
#define APPLICATION_ID 0x4d577374
#define STRINGIFY_(value) #value
#define STRINGIFY(value) STRINGIFY_(value)

static const char version_1[] =
    "CREATE TABLE setting("
    " key TEXT PRIMARY KEY,"
    " value BLOB NOT NULL) STRICT;"

    "CREATE TABLE webhook("
    " id TEXT PRIMARY KEY,"
    " space TEXT NOT NULL,"
    " name TEXT NOT NULL,"
    " source TEXT NOT NULL,"
    " secret_sealed BLOB NOT NULL,"
    " created_ns INTEGER NOT NULL,"
    " enabled INTEGER NOT NULL) STRICT;"

    "CREATE TABLE replay("
    " seq INTEGER PRIMARY KEY,"
    " webhook_id TEXT NOT NULL,"
    " digest BLOB NOT NULL,"
    " expires_ns INTEGER NOT NULL,"
    " UNIQUE(webhook_id, digest)) STRICT;"
    "CREATE INDEX replay_by_expiry ON replay(expires_ns);"

    "CREATE TABLE alarm("
    " seq INTEGER PRIMARY KEY AUTOINCREMENT,"
    " id TEXT NOT NULL UNIQUE,"
    " space TEXT NOT NULL,"
    " webhook_id TEXT NOT NULL,"
    " source TEXT NOT NULL,"
    " incident_id TEXT NOT NULL,"
    " action TEXT NOT NULL,"
    " priority TEXT NOT NULL,"
    " title TEXT NOT NULL,"
    " service TEXT NOT NULL,"
    " region TEXT NOT NULL,"
    " started_ns INTEGER NOT NULL,"
    " received_ns INTEGER NOT NULL,"
    " resources_json TEXT NOT NULL,"
    " description TEXT NOT NULL,"
    " body BLOB NOT NULL) STRICT;"
    "CREATE INDEX alarm_by_start ON alarm(started_ns, id);"

    "CREATE TABLE undecided("
    " alarm_seq INTEGER PRIMARY KEY REFERENCES alarm(seq)) STRICT;"

    "CREATE TABLE incident_member("
    " webhook_id TEXT NOT NULL,"
    " incident_id TEXT NOT NULL,"
    " alarm_seq INTEGER NOT NULL REFERENCES alarm(seq),"
    " PRIMARY KEY(webhook_id, incident_id, alarm_seq)) STRICT, WITHOUT ROWID;"

    "CREATE TABLE alarm_event("
    " seq INTEGER PRIMARY KEY,"
    " alarm_id TEXT NOT NULL REFERENCES alarm(id),"
    " position INTEGER NOT NULL,"
    " time_ns INTEGER NOT NULL,"
    " action TEXT NOT NULL) STRICT;"
    "CREATE INDEX alarm_event_by_alarm ON alarm_event(alarm_id, seq);"

    "CREATE TABLE investigation("
    " id TEXT PRIMARY KEY,"
    " space TEXT NOT NULL,"
    " title TEXT NOT NULL,"
    " status TEXT NOT NULL,"
    " incident_state TEXT NOT NULL,"
    " priority TEXT NOT NULL,"
    " created_ns INTEGER NOT NULL,"
    " closed_ns INTEGER NOT NULL,"
    " window_start_ns INTEGER NOT NULL,"
    " window_end_ns INTEGER NOT NULL,"
    " root_cause_json TEXT,"
    " plan_json TEXT) STRICT;"
    "CREATE INDEX investigation_by_creation ON investigation(created_ns, id);"
    "CREATE INDEX investigation_by_status ON investigation(status, created_ns, id);"

    "CREATE TABLE decision("
    " alarm_id TEXT PRIMARY KEY REFERENCES alarm(id),"
    " verdict TEXT NOT NULL,"
    " reason_code TEXT NOT NULL,"
    " reason TEXT NOT NULL,"
    " investigation_id TEXT REFERENCES investigation(id),"
    " score REAL,"
    " threshold REAL,"
    " as_of INTEGER NOT NULL,"
    " decided_ns INTEGER NOT NULL,"
    " decided_in_us INTEGER NOT NULL,"
    " detail_json TEXT NOT NULL) STRICT;"
    "CREATE INDEX decision_by_investigation ON decision(investigation_id)"
    " WHERE verdict <> 'SKIPPED';"

    "CREATE TABLE journal("
    " seq INTEGER PRIMARY KEY,"
    " investigation_id TEXT NOT NULL REFERENCES investigation(id),"
    " record_id TEXT NOT NULL UNIQUE,"
    " time_ns INTEGER NOT NULL,"
    " type TEXT NOT NULL,"
    " text TEXT NOT NULL,"
    " evidence_json TEXT NOT NULL) STRICT;"
    "CREATE INDEX journal_by_investigation ON journal(investigation_id, seq);"

    "CREATE TABLE audit("
    " seq INTEGER PRIMARY KEY AUTOINCREMENT,"
    " time_ns INTEGER NOT NULL,"
    " principal TEXT NOT NULL,"
    " source_address TEXT NOT NULL,"
    " action TEXT NOT NULL,"
    " subject TEXT NOT NULL,"
    " outcome TEXT NOT NULL,"
    " detail TEXT NOT NULL) STRICT;"
    "CREATE INDEX audit_by_time ON audit(time_ns, seq);";

/* Deployments, plans (investigation.plan_json is not used any more), investigations by hand. */
static const char version_of_plans[] =
    "ALTER TABLE investigation ADD COLUMN service TEXT NOT NULL DEFAULT '';"

    "CREATE TABLE deployment("
    " id TEXT PRIMARY KEY,"
    " space TEXT NOT NULL,"
    " service TEXT NOT NULL,"
    " version TEXT NOT NULL,"
    " region TEXT NOT NULL,"
    " commit_id TEXT NOT NULL,"
    " principal TEXT NOT NULL,"
    " time_ns INTEGER NOT NULL,"
    " recorded_ns INTEGER NOT NULL) STRICT;"
    "CREATE INDEX deployment_by_time ON deployment(time_ns, id);"
    "CREATE INDEX deployment_by_service ON deployment(space, service, region, time_ns, id);"

    "CREATE TABLE plan("
    " seq INTEGER PRIMARY KEY,"
    " investigation_id TEXT NOT NULL REFERENCES investigation(id),"
    " hash TEXT NOT NULL,"
    " status TEXT NOT NULL,"
    " phases_json TEXT NOT NULL,"
    " judged_by TEXT NOT NULL,"
    " comment TEXT NOT NULL,"
    " created_ns INTEGER NOT NULL,"
    " judged_ns INTEGER NOT NULL) STRICT;"
    "CREATE INDEX plan_by_investigation ON plan(investigation_id, seq);";

/* The life of incidents: what the telemetry of a run need not know. `again`: alarms joined while it
 * ran. Steps: what became of a decision after it was taken, appended and never changed. */
static const char version_incidents[] =
    "ALTER TABLE investigation ADD COLUMN again INTEGER NOT NULL DEFAULT 0;"
    "ALTER TABLE investigation ADD COLUMN center TEXT NOT NULL DEFAULT '';"
    "ALTER TABLE investigation ADD COLUMN owner TEXT NOT NULL DEFAULT '';"
    "ALTER TABLE investigation ADD COLUMN merged_into TEXT NOT NULL DEFAULT '';"
    "CREATE INDEX investigation_open ON investigation(id) WHERE incident_state = 'open';"

    "CREATE TABLE decision_step("
    " seq INTEGER PRIMARY KEY,"
    " alarm_id TEXT NOT NULL REFERENCES alarm(id),"
    " time_ns INTEGER NOT NULL,"
    " verdict TEXT NOT NULL,"
    " reason_code TEXT NOT NULL,"
    " reason TEXT NOT NULL,"
    " investigation_id TEXT REFERENCES investigation(id),"
    " who TEXT NOT NULL) STRICT;"
    "CREATE INDEX decision_step_by_alarm ON decision_step(alarm_id, seq);"

    "CREATE TABLE call_edge("
    " caller TEXT NOT NULL,"
    " callee TEXT NOT NULL,"
    " PRIMARY KEY(caller, callee)) STRICT, WITHOUT ROWID;";

/* Webhooks with two secrets, kinds of credentials and limits; tokens. */
static const char version_2[] =
    "ALTER TABLE webhook ADD COLUMN auth TEXT NOT NULL DEFAULT 'hmac';"
    "ALTER TABLE webhook ADD COLUMN previous_sealed BLOB;"
    "ALTER TABLE webhook ADD COLUMN previous_until_ns INTEGER NOT NULL DEFAULT 0;"
    "ALTER TABLE webhook ADD COLUMN rotated_ns INTEGER NOT NULL DEFAULT 0;"
    "ALTER TABLE webhook ADD COLUMN allowed_addresses TEXT NOT NULL DEFAULT '';"
    "ALTER TABLE webhook ADD COLUMN rate_limit INTEGER NOT NULL DEFAULT 0;"
    "ALTER TABLE webhook ADD COLUMN mapping_json TEXT NOT NULL DEFAULT '';"

    "CREATE TABLE token("
    " id TEXT PRIMARY KEY,"
    " space TEXT NOT NULL,"
    " name TEXT NOT NULL,"
    " scopes TEXT NOT NULL,"
    " digest BLOB NOT NULL UNIQUE,"
    " allowed_addresses TEXT NOT NULL,"
    " created_ns INTEGER NOT NULL,"
    " rotated_ns INTEGER NOT NULL,"
    " revoked_ns INTEGER NOT NULL,"
    " expires_ns INTEGER NOT NULL,"
    " days INTEGER NOT NULL) STRICT;"
    "CREATE INDEX token_by_space ON token(space, revoked_ns, id);"

    "CREATE TABLE token_access("
    " space TEXT PRIMARY KEY,"
    " changed_ns INTEGER NOT NULL) STRICT;"

    "CREATE INDEX audit_denied ON audit(seq) WHERE outcome = 'denied';";

/* Whose a record is: what a space's tokens may read of the audit; empty: the machine's alone. What
 * an alarm says of its time when that cannot be: more than a day (MW_ALARM_AHEAD_NS) after it
 * came. */
static const char version_doors[] =
    "ALTER TABLE audit ADD COLUMN space TEXT NOT NULL DEFAULT '';"
    "CREATE INDEX audit_by_space ON audit(space, time_ns, seq) WHERE space <> '';"

    "ALTER TABLE alarm ADD COLUMN claimed_ns INTEGER NOT NULL DEFAULT 0;"
    "UPDATE alarm SET claimed_ns = started_ns, started_ns = received_ns"
    " WHERE started_ns - received_ns > 86400000000000;";

/* Second looks, when telemetry comes later than its alarm. */
static const char version_of_looks[] =
    "CREATE TABLE unsettled("
    " looks INTEGER NOT NULL,"
    " alarm_seq INTEGER NOT NULL REFERENCES alarm(seq),"
    " due_ns INTEGER NOT NULL,"
    " seen INTEGER NOT NULL,"
    " PRIMARY KEY(looks, alarm_seq)) STRICT, WITHOUT ROWID;"

    "CREATE TABLE decision_look("
    " seq INTEGER PRIMARY KEY,"
    " alarm_id TEXT NOT NULL REFERENCES alarm(id),"
    " time_ns INTEGER NOT NULL,"
    " look TEXT NOT NULL,"
    " own_id TEXT NOT NULL REFERENCES investigation(id),"
    " others INTEGER NOT NULL,"
    " in_hand INTEGER NOT NULL,"
    " into_id TEXT REFERENCES investigation(id),"
    " verdict TEXT NOT NULL,"
    " reason_code TEXT NOT NULL,"
    " reason TEXT NOT NULL,"
    " score REAL,"
    " threshold REAL,"
    " as_of INTEGER NOT NULL,"
    " detail_json TEXT NOT NULL) STRICT;"
    "CREATE INDEX decision_look_by_alarm ON decision_look(alarm_id, seq);";

/* Entry n brings version n to n + 1. */
static const char *const migrations[] = {version_1,        version_2,     version_incidents,
                                         version_of_plans, version_doors, version_of_looks};
#define NEWEST ((int64_t)(sizeof migrations / sizeof migrations[0]))

static const char sql_application_id[] = "PRAGMA application_id";
static const char sql_tables[] = "SELECT count(*) FROM sqlite_schema";
static const char sql_version[] = "SELECT coalesce(max(version), 0) FROM schema_version";
static const char sql_record[] = "INSERT INTO schema_version(version, applied_ns) VALUES (?, ?)";
static const char sql_begin[] = "BEGIN IMMEDIATE";
static const char sql_commit[] = "COMMIT";
static const char sql_prologue[] = "PRAGMA application_id = " STRINGIFY(
    APPLICATION_ID) ";"
                    "CREATE TABLE IF NOT EXISTS schema_version("
                    " version INTEGER PRIMARY KEY,"
                    " applied_ns INTEGER NOT NULL) STRICT;";

static mw_err read_number(mw_state_tx *tx, const char *text, int64_t *out)
{
    mw_sql sql = mw_sql_prepare(tx, text);
    *out = 0;
    while (mw_sql_step(&sql))
        *out = mw_sql_take_i64(&sql);
    return mw_sql_end(&sql);
}

/* The scripts of this file only: no text from outside ever comes here. */
static mw_err run_script(mw_state_tx *tx, const char *script)
{
    int code = sqlite3_exec(tx->db, script, NULL, NULL, NULL);
    return code == SQLITE_OK ? MW_OK : mw_sql_error(tx->db, sqlite3_extended_errcode(tx->db));
}

mw_err mw_schema_identify(mw_state_tx *tx, mw_detail *detail)
{
    int64_t application, tables = 0;
    mw_err err = read_number(tx, sql_application_id, &application);
    if (err == MW_OK)
        err = read_number(tx, sql_tables, &tables);
    if (err == MW_OK && application != APPLICATION_ID && (application != 0 || tables != 0))
        err = MW_E_CORRUPT;
    if (err == MW_E_CORRUPT)
        return mw_detail_set(detail, err, "state", "move the file away or restore a backup",
                             "the state file is not a midwatch database or is damaged");
    if (err != MW_OK)
        return mw_detail_set(detail, err, "state", NULL, "cannot read the state file: %s",
                             sqlite3_errmsg(tx->db));
    return MW_OK;
}

static mw_err refuse_newer(int64_t version, mw_detail *detail)
{
    return mw_detail_set(detail, MW_E_UNSUPPORTED, "state",
                         "run the midwatch that wrote it, or a newer one",
                         "the state file has schema version %lld, this program knows %lld",
                         (long long)version, (long long)NEWEST);
}

mw_err mw_schema_known(mw_state_tx *tx, bool *filled, mw_detail *detail)
{
    int64_t tables = 0, version = 0;
    mw_err err = read_number(tx, sql_tables, &tables);
    *filled = tables > 0;
    if (err != MW_OK || tables == 0)
        return err; /* a daemon that was killed at its first start: an empty file */
    err = read_number(tx, sql_version, &version);
    return err == MW_OK && version > NEWEST ? refuse_newer(version, detail) : err;
}

static mw_err migrate_one(mw_state_tx *tx, int64_t version, int64_t now_ns)
{
    mw_err err = run_script(tx, migrations[version]);
    if (err != MW_OK)
        return err;
    mw_sql sql = mw_sql_prepare(tx, sql_record);
    mw_sql_i64(&sql, version + 1);
    mw_sql_i64(&sql, now_ns);
    return mw_sql_run(&sql);
}

/* One step; *version is what the file has afterwards. */
static mw_err migrate_step(mw_state_tx *tx, int64_t now_ns, int64_t *version)
{
    mw_err err = mw_sql_simple(tx, sql_begin);
    if (err != MW_OK)
        return err;
    err = run_script(tx, sql_prologue);
    if (err == MW_OK)
        err = read_number(tx, sql_version, version);
    if (err == MW_OK && *version < NEWEST)
        err = migrate_one(tx, (*version)++, now_ns);
    if (err == MW_OK)
        err = mw_sql_simple(tx, sql_commit);
    if (err != MW_OK)
        sqlite3_exec(tx->db, "ROLLBACK", NULL, NULL, NULL);
    return err;
}

mw_err mw_schema_migrate(mw_state_tx *tx, int64_t now_ns, mw_detail *detail)
{
    int64_t version = 0;
    mw_err err;
    do {
        err = migrate_step(tx, now_ns, &version);
    } while (err == MW_OK && version < NEWEST);
    if (err != MW_OK)
        return mw_detail_set(detail, err, "state", NULL, "cannot set up the state file: %s",
                             mw_err_text(err));
    return version > NEWEST ? refuse_newer(version, detail) : MW_OK;
}
