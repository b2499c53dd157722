/* Deployments. Called inside a transaction; text goes to the caller's arena. The version before is
 * looked up when a row is asked for: deployments may be recorded in any order. */
#include "lib/state/deployments.h"
#include "lib/state/rows_int.h"

/* Same service and region, the newest before it. */
#define COLUMNS                                                                                    \
    "d.id, d.space, d.service, d.version, d.region, d.commit_id, d.principal, d.time_ns,"          \
    " d.recorded_ns, coalesce((SELECT p.version FROM deployment p WHERE p.space = d.space"         \
    " AND p.service = d.service AND p.region = d.region AND (p.time_ns, p.id) < (d.time_ns, d.id)" \
    " ORDER BY p.time_ns DESC, p.id DESC LIMIT 1), '')"

static const char sql_insert[] =
    "INSERT INTO deployment(id, space, service, version, region, commit_id, principal, time_ns,"
    " recorded_ns) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)";
static const char sql_find[] = "SELECT id FROM deployment WHERE id >= ? AND id < ? LIMIT 2";
static const char sql_get[] = "SELECT " COLUMNS " FROM deployment d WHERE d.id = ?";
static const char sql_list[] =
    "SELECT " COLUMNS " FROM deployment d WHERE d.time_ns BETWEEN ?1 AND ?2"
    " AND (d.time_ns, d.id) < (?3, ?4) ORDER BY d.time_ns DESC, d.id DESC LIMIT ?5";
static const char sql_total[] = "SELECT count(*) FROM deployment WHERE time_ns BETWEEN ?1 AND ?2";
static const char sql_list_service[] =
    "SELECT " COLUMNS " FROM deployment d WHERE d.time_ns BETWEEN ?1 AND ?2"
    " AND (d.time_ns, d.id) < (?3, ?4) AND d.service = ?6"
    " ORDER BY d.time_ns DESC, d.id DESC LIMIT ?5";
static const char sql_total_service[] =
    "SELECT count(*) FROM deployment WHERE time_ns BETWEEN ?1 AND ?2 AND service = ?3";
static const char sql_between[] =
    "SELECT " COLUMNS " FROM deployment d WHERE d.space = ? AND d.time_ns BETWEEN ? AND ?"
    " ORDER BY d.time_ns DESC, d.id DESC LIMIT ?";

mw_err mw_state_deployment_insert(mw_state_tx *tx, const mw_deployment_row *row)
{
    mw_sql sql = mw_sql_prepare(tx, sql_insert);
    mw_sql_text(&sql, row->id);
    mw_sql_text(&sql, row->space);
    mw_sql_text(&sql, row->service);
    mw_sql_text(&sql, row->version);
    mw_sql_text(&sql, row->region);
    mw_sql_text(&sql, row->commit);
    mw_sql_text(&sql, row->principal);
    mw_sql_i64(&sql, row->time_ns);
    mw_sql_i64(&sql, row->recorded_ns);
    return mw_sql_run(&sql);
}

static void take_deployment(mw_sql *sql, mw_arena *arena, void *out)
{
    mw_deployment_row *row = out;
    row->id = mw_sql_take_text(sql, arena);
    row->space = mw_sql_take_text(sql, arena);
    row->service = mw_sql_take_text(sql, arena);
    row->version = mw_sql_take_text(sql, arena);
    row->region = mw_sql_take_text(sql, arena);
    row->commit = mw_sql_take_text(sql, arena);
    row->principal = mw_sql_take_text(sql, arena);
    row->time_ns = mw_sql_take_i64(sql);
    row->recorded_ns = mw_sql_take_i64(sql);
    row->previous_version = mw_sql_take_text(sql, arena);
}

mw_err mw_state_deployment_get(mw_state_tx *tx, mw_slice id_prefix, mw_arena *arena,
                               mw_deployment_row *out)
{
    static const mw_rows_by_id table = {sql_find, sql_get, take_deployment};
    return mw_rows_get(tx, &table, id_prefix, arena, out);
}

static mw_err take_rows(mw_sql *sql, mw_arena *arena, mw_deployment_row **rows, size_t *count)
{
    *rows = mw_rows_take(sql, arena, take_deployment, sizeof **rows, count);
    return mw_sql_end(sql);
}

mw_err mw_state_deployment_list(mw_state_tx *tx, const mw_state_page *page, mw_slice service,
                                mw_arena *arena, mw_deployment_row **rows, size_t *count,
                                mw_slice *next_cursor, uint64_t *total)
{
    mw_page_bounds bounds;
    mw_err err = mw_page_read(page, &bounds);
    *next_cursor = MW_SLICE("");
    if (err != MW_OK)
        return err;
    mw_sql sql = mw_sql_prepare(tx, service.len ? sql_list_service : sql_list);
    mw_page_bind(&sql, &bounds, service);
    err = take_rows(&sql, arena, rows, count);
    if (err == MW_OK && mw_page_cut(&bounds, count)) {
        const mw_deployment_row *last = &(*rows)[*count - 1];
        *next_cursor = mw_state_page_cursor(arena, last->time_ns, last->id);
        if (!next_cursor->data)
            return MW_E_NOMEM;
    }
    return err == MW_OK ? mw_page_total(tx, service.len ? sql_total_service : sql_total, &bounds,
                                        service, total)
                        : err;
}

mw_err mw_state_deployment_between(mw_state_tx *tx, mw_slice space, int64_t since_ns,
                                   int64_t until_ns, size_t limit, mw_arena *arena,
                                   mw_deployment_row **rows, size_t *count)
{
    mw_sql sql = mw_sql_prepare(tx, sql_between);
    mw_sql_text(&sql, space);
    mw_sql_i64(&sql, since_ns);
    mw_sql_i64(&sql, until_ns);
    mw_sql_i64(&sql, (int64_t)limit);
    return take_rows(&sql, arena, rows, count);
}
