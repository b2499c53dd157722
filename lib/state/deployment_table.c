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

static void take_deployment(mw_sql *sql, mw_arena *arena, mw_deployment_row *row)
{
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
    char id[MW_ID_TEXT_SIZE];
    mw_err err = mw_rows_find_id(tx, sql_find, id_prefix, id);
    if (err != MW_OK)
        return err;
    mw_sql sql = mw_sql_prepare(tx, sql_get);
    mw_sql_text(&sql, mw_slice_of(id));
    while (mw_sql_step(&sql))
        take_deployment(&sql, arena, out);
    return mw_sql_end(&sql);
}

static mw_err take_rows(mw_sql *sql, mw_arena *arena, mw_deployment_row **rows, size_t *count)
{
    void *array = NULL;
    size_t capacity = 0;
    *count = 0;
    while (mw_sql_step(sql)) {
        mw_deployment_row *row = mw_rows_add(arena, &array, count, &capacity, sizeof *row);
        if (row)
            take_deployment(sql, arena, row);
        else
            sql->err = MW_E_NOMEM;
    }
    *rows = array;
    return mw_sql_end(sql);
}

static mw_err count_rows(mw_state_tx *tx, const mw_page_bounds *bounds, mw_slice service,
                         uint64_t *total)
{
    mw_sql sql = mw_sql_prepare(tx, service.len ? sql_total_service : sql_total);
    mw_sql_i64(&sql, bounds->since_ns);
    mw_sql_i64(&sql, bounds->last_ns);
    if (service.len)
        mw_sql_text(&sql, service);
    while (mw_sql_step(&sql))
        *total = (uint64_t)mw_sql_take_i64(&sql);
    return mw_sql_end(&sql);
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
    mw_page_bind(&sql, &bounds);
    mw_sql_i64(&sql, (int64_t)bounds.limit + 1); /* one more: is there a next page? */
    if (service.len)
        mw_sql_text(&sql, service);
    err = take_rows(&sql, arena, rows, count);
    if (err == MW_OK && *count > bounds.limit) {
        const mw_deployment_row *last = &(*rows)[bounds.limit - 1];
        *count = bounds.limit;
        *next_cursor = mw_state_page_cursor(arena, last->time_ns, last->id);
        if (!next_cursor->data)
            return MW_E_NOMEM;
    }
    return err == MW_OK ? count_rows(tx, &bounds, service, total) : err;
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
