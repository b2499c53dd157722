/* Investigations and their journals. Called inside a transaction; text goes to the caller's
 * arena. */
#include "lib/state/rows_int.h"

#define COLUMNS                                                                                    \
    "id, space, title, status, incident_state, priority, created_ns, closed_ns, window_start_ns,"  \
    " window_end_ns, coalesce(root_cause_json, ''), service"

static const char sql_insert[] =
    "INSERT INTO investigation(id, space, title, status, incident_state, priority, created_ns,"
    " closed_ns, window_start_ns, window_end_ns, root_cause_json, service)"
    " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)";
static const char sql_update[] =
    "UPDATE investigation SET status = CASE WHEN again = 1 AND"
    "  ?1 IN ('COMPLETED', 'FAILED', 'TIMED_OUT') THEN 'PENDING_START' ELSE ?1 END, again = 0,"
    " window_start_ns = min(window_start_ns, ?2), window_end_ns = max(window_end_ns, ?3),"
    " root_cause_json = ?4 WHERE id = ?5";
static const char sql_claim[] =
    "UPDATE investigation SET status = 'IN_PROGRESS', again = 0 WHERE id ="
    " (SELECT id FROM investigation WHERE status = 'PENDING_START'"
    " ORDER BY created_ns, id LIMIT 1) RETURNING " COLUMNS;
static const char sql_requeue[] =
    "UPDATE investigation SET status = 'PENDING_START' WHERE status = 'IN_PROGRESS'";
/* Closed when there is a member and each has a closing. */
static const char sql_settle[] =
    "UPDATE investigation SET incident_state = 'closed', closed_ns = ?1 WHERE id = ?2"
    " AND incident_state = 'open'"
    " AND EXISTS (SELECT 1 FROM decision WHERE investigation_id = ?2 AND verdict <> 'SKIPPED')"
    " AND NOT EXISTS (SELECT 1 FROM decision d WHERE d.investigation_id = ?2"
    "  AND d.verdict <> 'SKIPPED' AND NOT EXISTS (SELECT 1 FROM alarm_event e"
    "   WHERE e.alarm_id = d.alarm_id AND e.action IN ('resolved', 'closed')))";
static const char sql_find[] = "SELECT id FROM investigation WHERE id >= ? AND id < ? LIMIT 2";
static const char sql_get[] = "SELECT " COLUMNS " FROM investigation WHERE id = ?";
static const char sql_list[] =
    "SELECT " COLUMNS " FROM investigation WHERE created_ns BETWEEN ?1 AND ?2"
    " AND (created_ns, id) < (?3, ?4) ORDER BY created_ns DESC, id DESC LIMIT ?5";
static const char sql_total[] =
    "SELECT count(*) FROM investigation WHERE created_ns BETWEEN ?1 AND ?2";
static const char sql_list_status[] =
    "SELECT " COLUMNS " FROM investigation WHERE created_ns BETWEEN ?1 AND ?2"
    " AND (created_ns, id) < (?3, ?4) AND status = ?6"
    " ORDER BY created_ns DESC, id DESC LIMIT ?5";
static const char sql_total_status[] =
    "SELECT count(*) FROM investigation WHERE created_ns BETWEEN ?1 AND ?2 AND status = ?3";
static const char sql_journal_insert[] =
    "INSERT INTO journal(investigation_id, record_id, time_ns, type, text, evidence_json)"
    " VALUES (?, ?, ?, ?, ?, ?)";
static const char sql_journal_list[] =
    "SELECT record_id, time_ns, type, text, evidence_json FROM journal"
    " WHERE investigation_id = ? ORDER BY seq";

mw_err mw_state_investigation_insert(mw_state_tx *tx, const mw_investigation_row *row)
{
    mw_sql sql = mw_sql_prepare(tx, sql_insert);
    mw_sql_text(&sql, row->id);
    mw_sql_text(&sql, row->space);
    mw_sql_text(&sql, row->title);
    mw_sql_text(&sql, row->status);
    mw_sql_text(&sql, row->incident_state);
    mw_sql_text(&sql, row->priority);
    mw_sql_i64(&sql, row->created_ns);
    mw_sql_i64(&sql, row->closed_ns);
    mw_sql_i64(&sql, row->window_start_ns);
    mw_sql_i64(&sql, row->window_end_ns);
    mw_sql_text_or_null(&sql, row->root_cause_json);
    mw_sql_text(&sql, row->service);
    return mw_sql_run(&sql);
}

mw_err mw_state_investigation_update(mw_state_tx *tx, const mw_investigation_row *row)
{
    mw_sql sql = mw_sql_prepare(tx, sql_update);
    mw_sql_text(&sql, row->status);
    mw_sql_i64(&sql, row->window_start_ns);
    mw_sql_i64(&sql, row->window_end_ns);
    mw_sql_text_or_null(&sql, row->root_cause_json);
    mw_sql_text(&sql, row->id);
    return mw_sql_change(&sql, MW_E_NOT_FOUND);
}

static void take_investigation(mw_sql *sql, mw_arena *arena, void *out)
{
    mw_investigation_row *row = out;
    row->id = mw_sql_take_text(sql, arena);
    row->space = mw_sql_take_text(sql, arena);
    row->title = mw_sql_take_text(sql, arena);
    row->status = mw_sql_take_text(sql, arena);
    row->incident_state = mw_sql_take_text(sql, arena);
    row->priority = mw_sql_take_text(sql, arena);
    row->created_ns = mw_sql_take_i64(sql);
    row->closed_ns = mw_sql_take_i64(sql);
    row->window_start_ns = mw_sql_take_i64(sql);
    row->window_end_ns = mw_sql_take_i64(sql);
    row->root_cause_json = mw_sql_take_text(sql, arena);
    row->service = mw_sql_take_text(sql, arena);
}

mw_err mw_state_investigation_claim(mw_state_tx *tx, mw_arena *arena, mw_investigation_row *out)
{
    mw_sql sql = mw_sql_prepare(tx, sql_claim);
    return mw_rows_take_one(&sql, arena, take_investigation, out);
}

mw_err mw_state_investigation_requeue(mw_state_tx *tx)
{
    return mw_sql_simple(tx, sql_requeue);
}

mw_err mw_state_investigation_settle(mw_state_tx *tx, mw_slice investigation_id, int64_t now_ns)
{
    mw_sql sql = mw_sql_prepare(tx, sql_settle);
    mw_sql_i64(&sql, now_ns);
    mw_sql_text(&sql, investigation_id);
    mw_err err = mw_sql_run(&sql);
    if (err == MW_OK && sqlite3_changes(tx->db) > 0)
        tx->state->closings++;
    return err;
}

uint64_t mw_state_closings(const mw_state_tx *tx)
{
    return tx->state->closings;
}

mw_err mw_state_investigation_get(mw_state_tx *tx, mw_slice id_prefix, mw_arena *arena,
                                  mw_investigation_row *out)
{
    static const mw_rows_by_id table = {sql_find, sql_get, take_investigation};
    return mw_rows_get(tx, &table, id_prefix, arena, out);
}

static mw_err list_rows(mw_state_tx *tx, const mw_page_bounds *bounds, mw_slice status,
                        mw_arena *arena, mw_investigation_row **rows, size_t *count)
{
    mw_sql sql = mw_sql_prepare(tx, status.len ? sql_list_status : sql_list);
    mw_page_bind(&sql, bounds, status);
    *rows = mw_rows_take(&sql, arena, take_investigation, sizeof **rows, count);
    return mw_sql_end(&sql);
}

mw_err mw_state_investigation_list(mw_state_tx *tx, const mw_state_page *page, mw_slice status,
                                   mw_arena *arena, mw_investigation_row **rows, size_t *count,
                                   mw_slice *next_cursor, uint64_t *total)
{
    mw_page_bounds bounds;
    mw_err err = mw_page_read(page, &bounds);
    *next_cursor = MW_SLICE(""); /* may be the page's own cursor: read before it is written */
    if (err == MW_OK)
        err = list_rows(tx, &bounds, status, arena, rows, count);
    if (err == MW_OK && mw_page_cut(&bounds, count)) {
        const mw_investigation_row *last = &(*rows)[*count - 1];
        *next_cursor = mw_state_page_cursor(arena, last->created_ns, last->id);
        if (!next_cursor->data)
            return MW_E_NOMEM;
    }
    return err == MW_OK ? mw_page_total(tx, status.len ? sql_total_status : sql_total, &bounds,
                                        status, total)
                        : err;
}

mw_err mw_state_journal_insert(mw_state_tx *tx, mw_slice investigation_id,
                               const mw_journal_row *row)
{
    mw_sql sql = mw_sql_prepare(tx, sql_journal_insert);
    mw_sql_text(&sql, investigation_id);
    mw_sql_text(&sql, row->record_id);
    mw_sql_i64(&sql, row->time_ns);
    mw_sql_text(&sql, row->type);
    mw_sql_text(&sql, row->text);
    mw_sql_text(&sql, row->evidence_json);
    return mw_sql_run(&sql);
}

static void take_record(mw_sql *sql, mw_arena *arena, void *out)
{
    mw_journal_row *row = out;
    row->record_id = mw_sql_take_text(sql, arena);
    row->time_ns = mw_sql_take_i64(sql);
    row->type = mw_sql_take_text(sql, arena);
    row->text = mw_sql_take_text(sql, arena);
    row->evidence_json = mw_sql_take_text(sql, arena);
}

mw_err mw_state_journal_list(mw_state_tx *tx, mw_slice investigation_id, mw_arena *arena,
                             mw_journal_row **rows, size_t *count)
{
    mw_sql sql = mw_sql_prepare(tx, sql_journal_list);
    mw_sql_text(&sql, investigation_id);
    *rows = mw_rows_take(&sql, arena, take_record, sizeof **rows, count);
    return mw_sql_end(&sql);
}
