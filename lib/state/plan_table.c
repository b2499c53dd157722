/* Plans, and the steps in the life of a run. Called inside a transaction; text goes to the caller's
 * arena. The newest plan of an investigation is the one with the largest seq. */
#include "lib/state/plans.h"
#include "lib/state/rows_int.h"

#define NEWEST "(SELECT max(seq) FROM plan WHERE investigation_id = ?1)"

static const char sql_insert[] =
    "INSERT INTO plan(investigation_id, hash, status, phases_json, judged_by, comment,"
    " created_ns, judged_ns) VALUES (?, ?, 'PROPOSED', ?, '', '', ?, 0)";
static const char sql_supersede[] = "UPDATE plan SET status = 'SUPERSEDED' WHERE seq = " NEWEST;
static const char sql_get[] =
    "SELECT hash, status, phases_json, judged_by, comment, created_ns, judged_ns FROM plan"
    " WHERE seq = " NEWEST;
static const char sql_is[] =
    "SELECT 1 FROM plan WHERE seq = " NEWEST " AND hash = ?2 AND status <> 'SUPERSEDED'";
static const char sql_judge[] =
    "UPDATE plan SET status = ?3, judged_by = ?4, comment = ?5, judged_ns = ?6 WHERE seq = " NEWEST
    " AND hash = ?2 AND status = 'PROPOSED'";
static const char sql_any[] = "SELECT 1 FROM plan WHERE investigation_id = ? LIMIT 1";

static const char sql_cancel[] = "UPDATE investigation SET status = 'CANCELED' WHERE id = ?"
                                 " AND status IN ('PENDING_START', 'IN_PROGRESS')";
static const char sql_is_running[] =
    "SELECT 1 FROM investigation WHERE id = ? AND status = 'IN_PROGRESS'";

static bool has_row(mw_sql *sql, mw_err *err)
{
    bool found = false;
    while (mw_sql_step(sql))
        found = true;
    *err = mw_sql_end(sql);
    return found;
}

mw_err mw_state_plan_supersede(mw_state_tx *tx, mw_slice investigation_id)
{
    return mw_sql_simple_with(tx, sql_supersede, investigation_id);
}

mw_err mw_state_plan_put(mw_state_tx *tx, mw_slice investigation_id, mw_slice hash,
                         mw_slice phases_json, int64_t now_ns)
{
    mw_err err;
    mw_sql sql = mw_sql_prepare(tx, sql_is);
    mw_sql_text(&sql, investigation_id);
    mw_sql_text(&sql, hash);
    if (has_row(&sql, &err) || err != MW_OK)
        return err;
    err = mw_state_plan_supersede(tx, investigation_id);
    if (err != MW_OK)
        return err;
    sql = mw_sql_prepare(tx, sql_insert);
    mw_sql_text(&sql, investigation_id);
    mw_sql_text(&sql, hash);
    mw_sql_text(&sql, phases_json);
    mw_sql_i64(&sql, now_ns);
    return mw_sql_run(&sql);
}

static void take_plan(mw_sql *sql, mw_arena *arena, void *out)
{
    mw_plan_row *row = out;
    row->hash = mw_sql_take_text(sql, arena);
    row->status = mw_sql_take_text(sql, arena);
    row->phases_json = mw_sql_take_text(sql, arena);
    row->judged_by = mw_sql_take_text(sql, arena);
    row->comment = mw_sql_take_text(sql, arena);
    row->created_ns = mw_sql_take_i64(sql);
    row->judged_ns = mw_sql_take_i64(sql);
}

mw_err mw_state_plan_get(mw_state_tx *tx, mw_slice investigation_id, mw_arena *arena,
                         mw_plan_row *out)
{
    mw_sql sql = mw_sql_prepare(tx, sql_get);
    mw_sql_text(&sql, investigation_id);
    return mw_rows_take_one(&sql, arena, take_plan, out);
}

mw_err mw_state_plan_judge(mw_state_tx *tx, mw_slice investigation_id,
                           const mw_plan_judgement *judgement)
{
    mw_sql sql = mw_sql_prepare(tx, sql_judge);
    mw_sql_text(&sql, investigation_id);
    mw_sql_text(&sql, judgement->hash);
    mw_sql_text(&sql, judgement->status);
    mw_sql_text(&sql, judgement->judged_by);
    mw_sql_text(&sql, judgement->comment);
    mw_sql_i64(&sql, judgement->now_ns);
    mw_err err = mw_sql_run(&sql);
    if (err != MW_OK || sqlite3_changes(tx->db) > 0)
        return err;
    sql = mw_sql_prepare(tx, sql_any);
    mw_sql_text(&sql, investigation_id);
    bool any = has_row(&sql, &err);
    if (err != MW_OK)
        return err;
    return any ? MW_E_CONFLICT : MW_E_NOT_FOUND;
}

/* ---- runs ------------------------------------------------------------------------------------ */

mw_err mw_state_investigation_cancel(mw_state_tx *tx, mw_slice id)
{
    mw_sql sql = mw_sql_prepare(tx, sql_cancel);
    mw_sql_text(&sql, id);
    return mw_sql_change(&sql, MW_E_CONFLICT);
}

static mw_err check_running(mw_state_tx *tx, mw_slice id)
{
    mw_err err;
    mw_sql sql = mw_sql_prepare(tx, sql_is_running);
    mw_sql_text(&sql, id);
    bool running = has_row(&sql, &err);
    return err == MW_OK && !running ? MW_E_CONFLICT : err;
}

mw_err mw_state_investigation_finish(mw_state_tx *tx, const mw_investigation_row *row)
{
    mw_err err = check_running(tx, row->id);
    return err == MW_OK ? mw_state_investigation_update(tx, row) : err;
}

mw_err mw_state_journal_step(mw_state_tx *tx, mw_slice investigation_id, const mw_journal_row *row)
{
    mw_err err = check_running(tx, investigation_id);
    return err == MW_OK ? mw_state_journal_insert(tx, investigation_id, row) : err;
}
