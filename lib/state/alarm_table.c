/* Alarms, their events, and what is known of an incident. Called inside a transaction; text goes
 * to the caller's arena. The tables are described in schema.c. */
#include "lib/state/rows_int.h"

static const char sql_insert[] =
    "INSERT INTO alarm(id, space, webhook_id, source, incident_id, action, priority, title,"
    " service, region, started_ns, received_ns, resources_json, description, body,"
    " claimed_ns) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)";
static const char sql_insert_undecided[] = "INSERT INTO undecided(alarm_seq) VALUES (?)";
static const char sql_insert_member[] =
    "INSERT INTO incident_member(webhook_id, incident_id, alarm_seq) VALUES (?, ?, ?)";
static const char sql_newest_member[] =
    "SELECT a.id, coalesce(d.investigation_id, ''), coalesce(i.incident_state, 'open') = 'open'"
    " FROM incident_member m JOIN alarm a ON a.seq = m.alarm_seq"
    " LEFT JOIN decision d ON d.alarm_id = a.id"
    " LEFT JOIN investigation i ON i.id = d.investigation_id"
    " WHERE m.webhook_id = ? AND m.incident_id = ? AND m.alarm_seq < ?"
    " ORDER BY m.alarm_seq DESC LIMIT 1";
static const char sql_closings[] =
    "SELECT count(*) FROM alarm_event WHERE alarm_id = ? AND position < ?"
    " AND action IN ('resolved', 'closed')";
static const char sql_event_insert[] =
    "INSERT INTO alarm_event(alarm_id, time_ns, action, position)"
    " VALUES (?, ?, ?, (SELECT coalesce(max(seq), 0) FROM alarm))";
static const char sql_events_move[] = "UPDATE alarm_event SET alarm_id = ? WHERE alarm_id = ?";
static const char sql_events[] =
    "SELECT time_ns, action FROM alarm_event WHERE alarm_id = ? ORDER BY seq";
static const char sql_undecided[] =
    "SELECT " MW_ALARM_COLUMNS " FROM undecided u JOIN alarm a ON a.seq = u.alarm_seq"
    " ORDER BY u.alarm_seq LIMIT 1";
static const char sql_find[] = "SELECT id FROM alarm WHERE id >= ? AND id < ? LIMIT 2";
static const char sql_get[] = "SELECT " MW_ALARM_COLUMNS ", a.body FROM alarm a WHERE a.id = ?";
static const char sql_list[] =
    "SELECT " MW_ALARM_COLUMNS " FROM alarm a WHERE a.started_ns BETWEEN ? AND ?"
    " AND (a.started_ns, a.id) < (?, ?) ORDER BY a.started_ns DESC, a.id DESC LIMIT ?";
static const char sql_total[] = "SELECT count(*) FROM alarm WHERE started_ns BETWEEN ? AND ?";
static const char sql_of_investigation[] =
    "SELECT " MW_ALARM_COLUMNS " FROM decision d JOIN alarm a ON a.id = d.alarm_id"
    " WHERE d.investigation_id = ? AND d.verdict <> 'SKIPPED' ORDER BY a.seq";

static const char sql_waits[] =
    "SELECT EXISTS(SELECT 1 FROM undecided WHERE alarm_seq > ? AND alarm_seq < ?)";

mw_err mw_state_alarm_wait(mw_state_tx *tx, uint64_t seq)
{
    mw_sql sql = mw_sql_prepare(tx, sql_insert_undecided);
    mw_sql_i64(&sql, (int64_t)seq);
    return mw_sql_run(&sql);
}

static mw_err insert_member(mw_state_tx *tx, const mw_alarm_row *row)
{
    mw_sql sql = mw_sql_prepare(tx, sql_insert_member);
    mw_sql_text(&sql, row->webhook_id);
    mw_sql_text(&sql, row->incident_id);
    mw_sql_i64(&sql, (int64_t)row->seq);
    return mw_sql_run(&sql);
}

mw_err mw_state_alarm_put(mw_state_tx *tx, mw_alarm_row *row)
{
    mw_sql sql = mw_sql_prepare(tx, sql_insert);
    mw_sql_text(&sql, row->id);
    mw_sql_text(&sql, row->space);
    mw_sql_text(&sql, row->webhook_id);
    mw_sql_text(&sql, row->source);
    mw_sql_text(&sql, row->incident_id);
    mw_sql_text(&sql, row->action);
    mw_sql_text(&sql, row->priority);
    mw_sql_text(&sql, row->title);
    mw_sql_text(&sql, row->service);
    mw_sql_text(&sql, row->region);
    mw_sql_i64(&sql, row->started_ns);
    mw_sql_i64(&sql, row->received_ns);
    mw_sql_text(&sql, row->resources_json);
    mw_sql_text(&sql, row->description);
    mw_sql_blob(&sql, row->body);
    mw_sql_i64(&sql, row->claimed_ns);
    mw_err err = mw_sql_run(&sql);
    if (err != MW_OK)
        return err;
    row->seq = (uint64_t)sqlite3_last_insert_rowid(tx->db);
    /* Anything else than `created` ends up SKIPPED (unknown_incident): never a member. */
    return mw_slice_equal(row->action, MW_SLICE("created")) ? insert_member(tx, row) : MW_OK;
}

mw_err mw_state_alarm_insert(mw_state_tx *tx, mw_alarm_row *row)
{
    mw_err err = mw_state_alarm_put(tx, row);
    return err == MW_OK ? mw_state_alarm_wait(tx, row->seq) : err;
}

static mw_err count_closings(mw_state_tx *tx, mw_slice alarm_id, int64_t before, bool *unresolved)
{
    int64_t closings = 0;
    mw_sql sql = mw_sql_prepare(tx, sql_closings);
    mw_sql_text(&sql, alarm_id);
    mw_sql_i64(&sql, before);
    mw_err err = mw_sql_number(&sql, &closings);
    *unresolved = err == MW_OK && closings == 0;
    return err;
}

mw_err mw_state_incident_facts(mw_state_tx *tx, mw_slice webhook_id, mw_slice incident_id,
                               uint64_t before_seq, mw_arena *arena, mw_incident_facts *out)
{
    *out = (mw_incident_facts){.newest_alarm_id = MW_SLICE(""), .investigation_id = MW_SLICE("")};
    int64_t before = before_seq && before_seq <= INT64_MAX ? (int64_t)before_seq : INT64_MAX;
    mw_sql sql = mw_sql_prepare(tx, sql_newest_member);
    mw_sql_text(&sql, webhook_id);
    mw_sql_text(&sql, incident_id);
    mw_sql_i64(&sql, before);
    while (mw_sql_step(&sql)) {
        out->known = true;
        out->newest_alarm_id = mw_sql_take_text(&sql, arena);
        out->investigation_id = mw_sql_take_text(&sql, arena);
        out->open = mw_sql_take_i64(&sql) != 0;
    }
    mw_err err = mw_sql_end(&sql);
    if (err == MW_OK && out->known)
        err = count_closings(tx, out->newest_alarm_id, before, &out->unresolved);
    out->open &= out->unresolved;
    return err;
}

mw_err mw_state_alarm_event_insert(mw_state_tx *tx, mw_slice alarm_id, int64_t time_ns,
                                   mw_slice action)
{
    mw_sql sql = mw_sql_prepare(tx, sql_event_insert);
    mw_sql_text(&sql, alarm_id);
    mw_sql_i64(&sql, time_ns);
    mw_sql_text(&sql, action);
    return mw_sql_run(&sql);
}

mw_err mw_state_alarm_events_move(mw_state_tx *tx, mw_slice from_alarm_id, mw_slice to_alarm_id)
{
    mw_sql sql = mw_sql_prepare(tx, sql_events_move);
    mw_sql_text(&sql, to_alarm_id);
    mw_sql_text(&sql, from_alarm_id);
    return mw_sql_run(&sql);
}

static void take_alarm(mw_sql *sql, mw_arena *arena, void *out)
{
    mw_alarm_row *row = out;
    row->seq = (uint64_t)mw_sql_take_i64(sql);
    row->id = mw_sql_take_text(sql, arena);
    row->space = mw_sql_take_text(sql, arena);
    row->webhook_id = mw_sql_take_text(sql, arena);
    row->source = mw_sql_take_text(sql, arena);
    row->incident_id = mw_sql_take_text(sql, arena);
    row->action = mw_sql_take_text(sql, arena);
    row->priority = mw_sql_take_text(sql, arena);
    row->title = mw_sql_take_text(sql, arena);
    row->service = mw_sql_take_text(sql, arena);
    row->region = mw_sql_take_text(sql, arena);
    row->started_ns = mw_sql_take_i64(sql);
    row->received_ns = mw_sql_take_i64(sql);
    row->resources_json = mw_sql_take_text(sql, arena);
    row->description = mw_sql_take_text(sql, arena);
    row->claimed_ns = mw_sql_take_i64(sql);
    row->body = MW_SLICE("");
}

mw_err mw_state_alarm_undecided(mw_state_tx *tx, mw_arena *arena, mw_alarm_row *out)
{
    mw_sql sql = mw_sql_prepare(tx, sql_undecided);
    return mw_rows_take_one(&sql, arena, take_alarm, out);
}

static void take_whole_alarm(mw_sql *sql, mw_arena *arena, void *out)
{
    mw_alarm_row *row = out;
    take_alarm(sql, arena, row);
    row->body = mw_sql_take_text(sql, arena);
}

mw_err mw_state_alarm_waits(mw_state_tx *tx, uint64_t after_seq, uint64_t before_seq, bool *waits)
{
    mw_sql sql = mw_sql_prepare(tx, sql_waits);
    mw_sql_i64(&sql, (int64_t)after_seq);
    mw_sql_i64(&sql, (int64_t)before_seq);
    while (mw_sql_step(&sql))
        *waits = mw_sql_take_i64(&sql) != 0;
    return mw_sql_end(&sql);
}

mw_err mw_state_alarm_get(mw_state_tx *tx, mw_slice id_prefix, mw_arena *arena, mw_alarm_row *out)
{
    static const mw_rows_by_id table = {sql_find, sql_get, take_whole_alarm};
    return mw_rows_get(tx, &table, id_prefix, arena, out);
}

static void take_event(mw_sql *sql, mw_arena *arena, void *out)
{
    mw_alarm_event_row *row = out;
    row->time_ns = mw_sql_take_i64(sql);
    row->action = mw_sql_take_text(sql, arena);
}

mw_err mw_state_alarm_events(mw_state_tx *tx, mw_slice alarm_id, mw_arena *arena,
                             mw_alarm_event_row **rows, size_t *count)
{
    mw_sql sql = mw_sql_prepare(tx, sql_events);
    mw_sql_text(&sql, alarm_id);
    *rows = mw_rows_take(&sql, arena, take_event, sizeof **rows, count);
    return mw_sql_end(&sql);
}

mw_err mw_rows_take_alarms(mw_sql *sql, mw_arena *arena, mw_alarm_row **rows, size_t *count)
{
    *rows = mw_rows_take(sql, arena, take_alarm, sizeof **rows, count);
    return mw_sql_end(sql);
}

mw_err mw_state_alarm_list(mw_state_tx *tx, const mw_state_page *page, mw_arena *arena,
                           mw_alarm_row **rows, size_t *count, mw_slice *next_cursor,
                           uint64_t *total)
{
    mw_page_bounds bounds;
    mw_err err = mw_page_read(page, &bounds);
    if (err != MW_OK)
        return err;
    *next_cursor = MW_SLICE(""); /* may be the page's own cursor: read before it is written */
    mw_sql sql = mw_sql_prepare(tx, sql_list);
    mw_page_bind(&sql, &bounds, MW_SLICE_NONE);
    err = mw_rows_take_alarms(&sql, arena, rows, count);
    if (err == MW_OK && mw_page_cut(&bounds, count)) {
        const mw_alarm_row *last = &(*rows)[*count - 1];
        *next_cursor = mw_state_page_cursor(arena, last->started_ns, last->id);
        if (!next_cursor->data)
            return MW_E_NOMEM;
    }
    return err == MW_OK ? mw_page_total(tx, sql_total, &bounds, MW_SLICE_NONE, total) : err;
}

mw_err mw_state_alarm_of_investigation(mw_state_tx *tx, mw_slice investigation_id, mw_arena *arena,
                                       mw_alarm_row **rows, size_t *count)
{
    mw_sql sql = mw_sql_prepare(tx, sql_of_investigation);
    mw_sql_text(&sql, investigation_id);
    return mw_rows_take_alarms(&sql, arena, rows, count);
}
