/* The life of incidents: steps of decisions, joining, merging, ending; imported calls. See
 * incidents.h. Called inside a transaction; text goes to the caller's arena. */
#include "lib/state/incidents.h"

#include "lib/state/rows_int.h"

static const char sql_undecided[] =
    "SELECT " MW_ALARM_COLUMNS " FROM undecided u JOIN alarm a ON a.seq = u.alarm_seq"
    " WHERE u.alarm_seq > ? ORDER BY u.alarm_seq LIMIT ?";
static const char sql_decided[] =
    "SELECT " MW_ALARM_COLUMNS " FROM alarm a JOIN decision d ON d.alarm_id = a.id"
    " WHERE a.seq > ? AND a.started_ns >= ? AND a.started_ns < ? ORDER BY a.seq LIMIT ?";

static const char sql_has_steps[] = "SELECT count(*) FROM decision_step WHERE alarm_id = ?";
static const char sql_first_step[] =
    "INSERT INTO decision_step(alarm_id, time_ns, verdict, reason_code, reason, investigation_id,"
    " who) SELECT alarm_id, decided_ns, verdict, reason_code, reason, investigation_id, 'midwatch'"
    " FROM decision WHERE alarm_id = ?";
static const char sql_step[] =
    "INSERT INTO decision_step(alarm_id, time_ns, verdict, reason_code, reason, investigation_id,"
    " who) VALUES (?, ?, ?, ?, ?, ?, ?)";
static const char sql_change[] =
    "UPDATE decision SET verdict = ?, reason_code = ?, reason = ?, investigation_id = ?"
    " WHERE alarm_id = ?";
static const char sql_leave[] =
    "DELETE FROM incident_member WHERE (webhook_id, incident_id, alarm_seq) ="
    " (SELECT webhook_id, incident_id, seq FROM alarm WHERE id = ?)";
static const char sql_enter[] =
    "INSERT OR IGNORE INTO incident_member(webhook_id, incident_id, alarm_seq)"
    " SELECT webhook_id, incident_id, seq FROM alarm WHERE id = ?";
static const char sql_steps[] =
    "SELECT time_ns, verdict, reason_code, reason, coalesce(investigation_id, ''), who"
    " FROM decision_step WHERE alarm_id = ? ORDER BY seq";

static const char sql_incident[] = "SELECT incident_state = 'open', status, center, owner,"
                                   " merged_into FROM investigation WHERE id = ?";
/* Priorities by their order in the list: instr grows with it. An unknown one counts least. */
#define URGENCY(text) "coalesce(instr('CRITICAL HIGH MEDIUM LOW MINIMAL', nullif(" text ", '')), 0)"
/* clang-format off */
static const char sql_join[] =
    "UPDATE investigation SET window_start_ns = min(window_start_ns, ?1),"
    " window_end_ns = max(window_end_ns, ?2),"
    " priority = CASE WHEN " URGENCY("?3") " > 0 AND (" URGENCY("priority") " = 0 OR "
    URGENCY("?3") " < " URGENCY("priority") ") THEN ?3 ELSE priority END,"
    " again = CASE WHEN status = 'IN_PROGRESS' THEN 1 ELSE again END,"
    " status = CASE WHEN status IN ('COMPLETED', 'FAILED', 'TIMED_OUT') THEN 'PENDING_START'"
    "  ELSE status END WHERE id = ?4"
    " AND (?5 = 0 OR ?5 NOT BETWEEN window_start_ns AND window_end_ns OR"
    "  (" URGENCY("?3") " > 0 AND " URGENCY("?3") " < " URGENCY("priority") "))";
/* clang-format on */
static const char sql_center[] =
    "UPDATE investigation SET center = ?1, title = CASE WHEN ?2 = '' THEN title ELSE ?2 END"
    " WHERE id = ?3";
static const char sql_claim_by[] = "UPDATE investigation SET owner = ? WHERE id = ?";
static const char sql_end[] =
    "UPDATE investigation SET incident_state = 'closed',"
    " closed_ns = CASE WHEN closed_ns = 0 THEN ?1 ELSE closed_ns END, merged_into = ?2, again = 0,"
    " status = CASE WHEN status IN ('PENDING_TRIAGE', 'PENDING_START') THEN 'CANCELED'"
    "  ELSE status END WHERE id = ?3";

#define MEMBER_COLUMNS                                                                             \
    "d.investigation_id, a.id, a.service, a.region, a.title, a.resources_json,"                    \
    " coalesce((SELECT l.detail_json FROM decision_look l WHERE l.alarm_id = a.id"                 \
    " ORDER BY l.seq DESC LIMIT 1), d.detail_json), a.started_ns"
static const char sql_open_members[] =
    "SELECT " MEMBER_COLUMNS " FROM investigation i JOIN decision d ON d.investigation_id = i.id"
    " AND d.verdict <> 'SKIPPED' JOIN alarm a ON a.id = d.alarm_id"
    " WHERE i.incident_state = 'open' ORDER BY a.seq";
static const char sql_members_of[] =
    "SELECT " MEMBER_COLUMNS " FROM investigation i JOIN decision d ON d.investigation_id = i.id"
    " AND d.verdict <> 'SKIPPED' JOIN alarm a ON a.id = d.alarm_id"
    " WHERE i.id = ? AND i.incident_state = 'open' ORDER BY a.seq";

static const char sql_edges_clear[] = "DELETE FROM call_edge";
static const char sql_edge_insert[] = "INSERT INTO call_edge(caller, callee) VALUES (?, ?)";
static const char sql_edges[] = "SELECT caller, callee FROM call_edge ORDER BY caller, callee";

/* ---- alarms ---------------------------------------------------------------------------------- */

mw_err mw_state_alarms_undecided(mw_state_tx *tx, uint64_t after_seq, size_t limit, mw_arena *arena,
                                 mw_alarm_row **rows, size_t *count)
{
    mw_sql sql = mw_sql_prepare(tx, sql_undecided);
    mw_sql_i64(&sql, (int64_t)after_seq);
    mw_sql_i64(&sql, (int64_t)limit);
    return mw_rows_take_alarms(&sql, arena, rows, count);
}

mw_err mw_state_alarms_decided(mw_state_tx *tx, uint64_t after_seq, int64_t since_ns,
                               int64_t until_ns, size_t limit, mw_arena *arena, mw_alarm_row **rows,
                               size_t *count)
{
    mw_sql sql = mw_sql_prepare(tx, sql_decided);
    mw_sql_i64(&sql, (int64_t)after_seq);
    mw_sql_i64(&sql, since_ns);
    mw_sql_i64(&sql, until_ns ? until_ns : INT64_MAX);
    mw_sql_i64(&sql, (int64_t)limit);
    return mw_rows_take_alarms(&sql, arena, rows, count);
}

/* ---- steps ----------------------------------------------------------------------------------- */

static mw_err keep_first(mw_state_tx *tx, mw_slice alarm_id)
{
    int64_t steps = 0;
    mw_sql sql = mw_sql_prepare(tx, sql_has_steps);
    mw_sql_text(&sql, alarm_id);
    mw_err err = mw_sql_number(&sql, &steps);
    return err == MW_OK && steps == 0 ? mw_sql_simple_with(tx, sql_first_step, alarm_id) : err;
}

static mw_err append_step(mw_state_tx *tx, mw_slice alarm_id, const mw_decision_step *step)
{
    mw_sql sql = mw_sql_prepare(tx, sql_step);
    mw_sql_text(&sql, alarm_id);
    mw_sql_i64(&sql, step->time_ns);
    mw_sql_text(&sql, step->verdict);
    mw_sql_text(&sql, step->reason_code);
    mw_sql_text(&sql, step->reason);
    mw_sql_text_or_null(&sql, step->investigation_id);
    mw_sql_text(&sql, step->who);
    return mw_sql_run(&sql);
}

static mw_err change_row(mw_state_tx *tx, mw_slice alarm_id, const mw_decision_step *step)
{
    mw_sql sql = mw_sql_prepare(tx, sql_change);
    mw_sql_text(&sql, step->verdict);
    mw_sql_text(&sql, step->reason_code);
    mw_sql_text(&sql, step->reason);
    mw_sql_text_or_null(&sql, step->investigation_id);
    mw_sql_text(&sql, alarm_id);
    return mw_sql_change(&sql, MW_E_NOT_FOUND);
}

mw_err mw_state_decision_change(mw_state_tx *tx, mw_slice alarm_id, const mw_decision_step *step)
{
    bool skipped = mw_slice_equal(step->verdict, MW_SLICE("SKIPPED"));
    mw_err err = keep_first(tx, alarm_id);
    if (err == MW_OK)
        err = append_step(tx, alarm_id, step);
    if (err == MW_OK)
        err = change_row(tx, alarm_id, step);
    return err == MW_OK ? mw_sql_simple_with(tx, skipped ? sql_leave : sql_enter, alarm_id) : err;
}

static void take_step(mw_sql *sql, mw_arena *arena, void *out)
{
    mw_decision_step *row = out;
    row->time_ns = mw_sql_take_i64(sql);
    row->verdict = mw_sql_take_text(sql, arena);
    row->reason_code = mw_sql_take_text(sql, arena);
    row->reason = mw_sql_take_text(sql, arena);
    row->investigation_id = mw_sql_take_text(sql, arena);
    row->who = mw_sql_take_text(sql, arena);
}

mw_err mw_state_decision_steps(mw_state_tx *tx, mw_slice alarm_id, mw_arena *arena,
                               mw_decision_step **rows, size_t *count)
{
    mw_sql sql = mw_sql_prepare(tx, sql_steps);
    mw_sql_text(&sql, alarm_id);
    *rows = mw_rows_take(&sql, arena, take_step, sizeof **rows, count);
    return mw_sql_end(&sql);
}

/* ---- incidents ------------------------------------------------------------------------------- */

static void take_incident(mw_sql *sql, mw_arena *arena, void *out)
{
    mw_incident_row *row = out;
    row->open = mw_sql_take_i64(sql) != 0;
    row->status = mw_sql_take_text(sql, arena);
    row->center = mw_sql_take_text(sql, arena);
    row->owner = mw_sql_take_text(sql, arena);
    row->merged_into = mw_sql_take_text(sql, arena);
}

mw_err mw_state_incident_get(mw_state_tx *tx, mw_slice investigation_id, mw_arena *arena,
                             mw_incident_row *out)
{
    mw_sql sql = mw_sql_prepare(tx, sql_incident);
    mw_sql_text(&sql, investigation_id);
    return mw_rows_take_one(&sql, arena, take_incident, out);
}

mw_err mw_state_investigation_join(mw_state_tx *tx, mw_slice investigation_id, int64_t start_ns,
                                   int64_t end_ns, mw_slice priority, int64_t repeat_ns,
                                   bool *changed)
{
    mw_sql sql = mw_sql_prepare(tx, sql_join);
    mw_sql_i64(&sql, start_ns);
    mw_sql_i64(&sql, end_ns);
    mw_sql_text(&sql, priority);
    mw_sql_text(&sql, investigation_id);
    mw_sql_i64(&sql, repeat_ns);
    mw_err err = mw_sql_run(&sql);
    bool any = err == MW_OK && sqlite3_changes(tx->db) > 0;
    if (changed)
        *changed = any;
    return err == MW_OK && !any && !repeat_ns ? MW_E_NOT_FOUND : err;
}

mw_err mw_state_investigation_center(mw_state_tx *tx, mw_slice investigation_id, mw_slice service,
                                     mw_slice title)
{
    mw_sql sql = mw_sql_prepare(tx, sql_center);
    mw_sql_text(&sql, service);
    mw_sql_text(&sql, title);
    mw_sql_text(&sql, investigation_id);
    return mw_sql_change(&sql, MW_E_NOT_FOUND);
}

mw_err mw_state_investigation_claim_by(mw_state_tx *tx, mw_slice investigation_id, mw_slice owner)
{
    mw_sql sql = mw_sql_prepare(tx, sql_claim_by);
    mw_sql_text(&sql, owner);
    mw_sql_text(&sql, investigation_id);
    return mw_sql_change(&sql, MW_E_NOT_FOUND);
}

mw_err mw_state_investigation_end(mw_state_tx *tx, mw_slice investigation_id, mw_slice merged_into,
                                  int64_t now_ns)
{
    mw_sql sql = mw_sql_prepare(tx, sql_end);
    mw_sql_i64(&sql, now_ns);
    mw_sql_text(&sql, merged_into);
    mw_sql_text(&sql, investigation_id);
    tx->state->closings++;
    return mw_sql_change(&sql, MW_E_NOT_FOUND);
}

mw_err mw_state_open_members(mw_state_tx *tx, mw_slice investigation_id,
                             mw_err (*take)(void *ctx, const mw_open_member *member), void *ctx)
{
    mw_arena arena; /* of one row: there may be a hundred thousand */
    mw_arena_init(&arena, MW_MEM_STATE, 0);
    mw_sql sql = mw_sql_prepare(tx, investigation_id.len ? sql_members_of : sql_open_members);
    if (investigation_id.len)
        mw_sql_text(&sql, investigation_id);
    while (mw_sql_step(&sql)) {
        mw_open_member member = {.investigation_id = mw_sql_take_text(&sql, &arena)};
        member.alarm_id = mw_sql_take_text(&sql, &arena);
        member.service = mw_sql_take_text(&sql, &arena);
        member.region = mw_sql_take_text(&sql, &arena);
        member.title = mw_sql_take_text(&sql, &arena);
        member.resources_json = mw_sql_take_text(&sql, &arena);
        member.detail_json = mw_sql_take_text(&sql, &arena);
        member.started_ns = mw_sql_take_i64(&sql);
        if (sql.err == MW_OK)
            sql.err = take(ctx, &member);
        mw_arena_reset(&arena);
    }
    return mw_sql_end(&sql);
}

/* ---- imported calls -------------------------------------------------------------------------- */

mw_err mw_state_edges_replace(mw_state_tx *tx, const mw_edge_row *rows, size_t count)
{
    mw_err err = mw_sql_simple(tx, sql_edges_clear);
    for (size_t i = 0; err == MW_OK && i < count; i++) {
        mw_sql sql = mw_sql_prepare(tx, sql_edge_insert);
        mw_sql_text(&sql, rows[i].caller);
        mw_sql_text(&sql, rows[i].callee);
        err = mw_sql_run(&sql);
    }
    return err;
}

static void take_edge(mw_sql *sql, mw_arena *arena, void *out)
{
    mw_edge_row *row = out;
    row->caller = mw_sql_take_text(sql, arena);
    row->callee = mw_sql_take_text(sql, arena);
}

mw_err mw_state_edges(mw_state_tx *tx, mw_arena *arena, mw_edge_row **rows, size_t *count)
{
    mw_sql sql = mw_sql_prepare(tx, sql_edges);
    *rows = mw_rows_take(&sql, arena, take_edge, sizeof **rows, count);
    return mw_sql_end(&sql);
}
