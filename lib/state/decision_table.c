/* Decisions: one an alarm. Inserting one takes the alarm off the undecided queue, and off its
 * incident's members when it is SKIPPED. Called inside a transaction; text goes to the caller's
 * arena. */
#include "lib/state/rows_int.h"

static const char sql_insert[] =
    "INSERT INTO decision(alarm_id, verdict, reason_code, reason, investigation_id, score,"
    " threshold, as_of, decided_ns, decided_in_us, detail_json)"
    " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)";
static const char sql_decided[] =
    "DELETE FROM undecided WHERE alarm_seq = (SELECT seq FROM alarm WHERE id = ?)";
static const char sql_leave[] =
    "DELETE FROM incident_member WHERE (webhook_id, incident_id, alarm_seq) ="
    " (SELECT webhook_id, incident_id, seq FROM alarm WHERE id = ?)";
static const char sql_get[] =
    "SELECT verdict, reason_code, reason, coalesce(investigation_id, ''), score, threshold,"
    " as_of, decided_ns, decided_in_us, detail_json FROM decision WHERE alarm_id = ?";

mw_err mw_state_decision_insert(mw_state_tx *tx, const mw_decision_row *row)
{
    mw_sql sql = mw_sql_prepare(tx, sql_insert);
    mw_sql_text(&sql, row->alarm_id);
    mw_sql_text(&sql, row->verdict);
    mw_sql_text(&sql, row->reason_code);
    mw_sql_text(&sql, row->reason);
    mw_sql_text_or_null(&sql, row->investigation_id);
    mw_sql_double(&sql, row->score, row->scored);
    mw_sql_double(&sql, row->threshold, row->scored);
    mw_sql_i64(&sql, (int64_t)row->as_of);
    mw_sql_i64(&sql, row->decided_ns);
    mw_sql_i64(&sql, row->decided_in_us);
    mw_sql_text(&sql, row->detail_json);
    mw_err err = mw_sql_run(&sql);
    if (err == MW_OK && !row->prompt)
        err = mw_sql_simple_with(tx, sql_decided, row->alarm_id);
    if (err == MW_OK && mw_slice_equal(row->verdict, MW_SLICE("SKIPPED")))
        err = mw_sql_simple_with(tx, sql_leave, row->alarm_id);
    return err;
}

static void take_decision(mw_sql *sql, mw_arena *arena, void *out)
{
    bool threshold_known;
    mw_decision_row *row = out;
    row->verdict = mw_sql_take_text(sql, arena);
    row->reason_code = mw_sql_take_text(sql, arena);
    row->reason = mw_sql_take_text(sql, arena);
    row->investigation_id = mw_sql_take_text(sql, arena);
    row->score = mw_sql_take_double(sql, &row->scored);
    row->threshold = mw_sql_take_double(sql, &threshold_known);
    row->as_of = (uint64_t)mw_sql_take_i64(sql);
    row->decided_ns = mw_sql_take_i64(sql);
    row->decided_in_us = mw_sql_take_i64(sql);
    row->detail_json = mw_sql_take_text(sql, arena);
}

mw_err mw_state_decision_get(mw_state_tx *tx, mw_slice alarm_id, mw_arena *arena,
                             mw_decision_row *out)
{
    mw_sql sql = mw_sql_prepare(tx, sql_get);
    mw_sql_text(&sql, alarm_id);
    mw_err err = mw_rows_take_one(&sql, arena, take_decision, out);
    if (err != MW_OK)
        return err;
    out->alarm_id = mw_arena_copy(arena, alarm_id);
    return out->alarm_id.data ? MW_OK : MW_E_NOMEM;
}
