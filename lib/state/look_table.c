/* Second looks at decisions: what waits for one, and what was found. See looks.h. Called inside a
 * transaction; text goes to the caller's arena.
 *
 * unsettled is in order of (looks taken, alarm): among alarms with as many looks, those decided
 * first are due first, so that the first one that is not due ends the question. */
#include "lib/state/looks.h"

#include "lib/state/rows_int.h"

#define LOOKS 2u

static const char sql_unsettled[] =
    "INSERT INTO unsettled(looks, alarm_seq, due_ns, seen) VALUES (0, ?, ?, ?)";
static const char sql_due[] =
    "SELECT u.alarm_seq, u.due_ns, u.seen, a.id, a.service, a.title, a.started_ns"
    " FROM unsettled u JOIN alarm a ON a.seq = u.alarm_seq WHERE u.looks = ?"
    " ORDER BY u.alarm_seq LIMIT ?";
static const char sql_seen[] = "UPDATE unsettled SET seen = ? WHERE looks = ? AND alarm_seq = ?";
static const char sql_next[] =
    "UPDATE unsettled SET looks = looks + 1, due_ns = due_ns + ? WHERE looks = ?"
    " AND alarm_seq <= ?";
static const char sql_settled[] = "DELETE FROM unsettled WHERE looks = ? AND alarm_seq <= ?";
static const char sql_insert[] =
    "INSERT INTO decision_look(alarm_id, time_ns, look, own_id, others, in_hand, into_id, verdict,"
    " reason_code, reason, score, threshold, as_of, detail_json)"
    " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)";
static const char sql_looks[] =
    "SELECT time_ns, look, own_id, others, in_hand, coalesce(into_id, ''), verdict, reason_code,"
    " reason, score, threshold, as_of, detail_json FROM decision_look WHERE alarm_id = ?"
    " ORDER BY seq";
static const char sql_members[] =
    "SELECT count(*) FROM decision WHERE investigation_id = ? AND verdict <> 'SKIPPED'";

/* ---- what waits ------------------------------------------------------------------------------ */

mw_err mw_state_unsettled_insert(mw_state_tx *tx, uint64_t alarm_seq, int64_t due_ns, uint64_t seen)
{
    mw_sql sql = mw_sql_prepare(tx, sql_unsettled);
    mw_sql_i64(&sql, (int64_t)alarm_seq);
    mw_sql_i64(&sql, due_ns);
    mw_sql_i64(&sql, (int64_t)seen);
    return mw_sql_run(&sql);
}

typedef struct due {
    mw_arena *arena;
    void *rows; /* of mw_unsettled_row */
    size_t count, capacity;
    bool waiting;
} due;

/* Of those with so many looks, up to the first that is not due. */
static mw_err take_due(mw_state_tx *tx, unsigned looks, int64_t now_ns, size_t limit, due *d)
{
    mw_sql sql = mw_sql_prepare(tx, sql_due);
    mw_sql_i64(&sql, looks);
    mw_sql_i64(&sql, (int64_t)limit);
    while (mw_sql_step(&sql)) {
        uint64_t seq = (uint64_t)mw_sql_take_i64(&sql);
        d->waiting = true;
        if (mw_sql_take_i64(&sql) > now_ns)
            break;
        mw_unsettled_row *row =
            mw_rows_add(d->arena, &d->rows, &d->count, &d->capacity, sizeof *row);
        if (!row) {
            sql.err = MW_E_NOMEM;
            break;
        }
        row->alarm_seq = seq;
        row->seen = (uint64_t)mw_sql_take_i64(&sql);
        row->alarm_id = mw_sql_take_text(&sql, d->arena);
        row->service = mw_sql_take_text(&sql, d->arena);
        row->title = mw_sql_take_text(&sql, d->arena);
        row->started_ns = mw_sql_take_i64(&sql);
    }
    return mw_sql_end(&sql);
}

mw_err mw_state_unsettled_due(mw_state_tx *tx, int64_t now_ns, size_t limit, mw_arena *arena,
                              mw_unsettled_row **rows, size_t *count, unsigned *looks,
                              bool *waiting)
{
    due d = {.arena = arena};
    mw_err err = MW_OK;
    for (*looks = 0; err == MW_OK && *looks < LOOKS; (*looks)++) {
        err = take_due(tx, *looks, now_ns, limit, &d);
        if (d.count)
            break;
    }
    *rows = d.rows;
    *count = d.count;
    *waiting = d.waiting;
    return err;
}

mw_err mw_state_unsettled_seen(mw_state_tx *tx, unsigned looks, uint64_t alarm_seq, uint64_t seen)
{
    mw_sql sql = mw_sql_prepare(tx, sql_seen);
    mw_sql_i64(&sql, (int64_t)seen);
    mw_sql_i64(&sql, looks);
    mw_sql_i64(&sql, (int64_t)alarm_seq);
    return mw_sql_run(&sql);
}

mw_err mw_state_unsettled_done(mw_state_tx *tx, unsigned looks, uint64_t last_seq, int64_t gap_ns)
{
    bool last = looks + 1 >= LOOKS;
    mw_sql sql = mw_sql_prepare(tx, last ? sql_settled : sql_next);
    if (!last)
        mw_sql_i64(&sql, gap_ns);
    mw_sql_i64(&sql, looks);
    mw_sql_i64(&sql, (int64_t)last_seq);
    return mw_sql_run(&sql);
}

/* ---- what was found -------------------------------------------------------------------------- */

mw_err mw_state_look_insert(mw_state_tx *tx, const mw_look_row *row)
{
    mw_sql sql = mw_sql_prepare(tx, sql_insert);
    mw_sql_text(&sql, row->alarm_id);
    mw_sql_i64(&sql, row->time_ns);
    mw_sql_text(&sql, row->look);
    mw_sql_text(&sql, row->own_id);
    mw_sql_i64(&sql, (int64_t)row->others);
    mw_sql_i64(&sql, row->in_hand);
    mw_sql_text_or_null(&sql, row->into_id);
    mw_sql_text(&sql, row->verdict);
    mw_sql_text(&sql, row->reason_code);
    mw_sql_text(&sql, row->reason);
    mw_sql_double(&sql, row->score, row->scored);
    mw_sql_double(&sql, row->threshold, row->scored);
    mw_sql_i64(&sql, (int64_t)row->as_of);
    mw_sql_text(&sql, row->detail_json);
    return mw_sql_run(&sql);
}

static void take_look(mw_sql *sql, mw_arena *arena, mw_look_row *row)
{
    bool threshold_known;
    row->time_ns = mw_sql_take_i64(sql);
    row->look = mw_sql_take_text(sql, arena);
    row->own_id = mw_sql_take_text(sql, arena);
    row->others = (uint64_t)mw_sql_take_i64(sql);
    row->in_hand = mw_sql_take_i64(sql) != 0;
    row->into_id = mw_sql_take_text(sql, arena);
    row->verdict = mw_sql_take_text(sql, arena);
    row->reason_code = mw_sql_take_text(sql, arena);
    row->reason = mw_sql_take_text(sql, arena);
    row->score = mw_sql_take_double(sql, &row->scored);
    row->threshold = mw_sql_take_double(sql, &threshold_known);
    row->as_of = (uint64_t)mw_sql_take_i64(sql);
    row->detail_json = mw_sql_take_text(sql, arena);
}

mw_err mw_state_looks(mw_state_tx *tx, mw_slice alarm_id, mw_arena *arena, mw_look_row **rows,
                      size_t *count)
{
    void *array = NULL;
    size_t capacity = 0;
    *count = 0;
    mw_sql sql = mw_sql_prepare(tx, sql_looks);
    mw_sql_text(&sql, alarm_id);
    while (mw_sql_step(&sql)) {
        mw_look_row *row = mw_rows_add(arena, &array, count, &capacity, sizeof *row);
        if (!row) {
            sql.err = MW_E_NOMEM;
            break;
        }
        take_look(&sql, arena, row);
        row->alarm_id = mw_arena_copy(arena, alarm_id);
        if (!row->alarm_id.data)
            sql.err = MW_E_NOMEM;
    }
    *rows = array;
    return mw_sql_end(&sql);
}

mw_err mw_state_members_count(mw_state_tx *tx, mw_slice investigation_id, uint64_t *count)
{
    mw_sql sql = mw_sql_prepare(tx, sql_members);
    mw_sql_text(&sql, investigation_id);
    *count = 0;
    while (mw_sql_step(&sql))
        *count = (uint64_t)mw_sql_take_i64(&sql);
    return mw_sql_end(&sql);
}
