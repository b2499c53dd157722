/* Audit records: appended, listed, never changed. Called inside a transaction; text goes to the
 * caller's arena. The cursor's id is the record's number, as 16 hex digits. */
#include "lib/state/rows_int.h"

static const char sql_insert[] =
    "INSERT INTO audit(time_ns, principal, source_address, action, subject, outcome, detail,"
    " space) VALUES (?, ?, ?, ?, ?, ?, ?, ?)";
#define COLUMNS "seq, time_ns, principal, source_address, action, subject, outcome, detail, space"
#define WITHIN_PAGE                                                                                \
    " time_ns BETWEEN ? AND ? AND (time_ns, seq) < (?, ?) ORDER BY time_ns DESC, seq DESC LIMIT ?"
static const char sql_list[] = "SELECT " COLUMNS " FROM audit WHERE" WITHIN_PAGE;
/* "<> ''" lets the index of records that are of a space do it. */
static const char sql_list_of_space[] =
    "SELECT " COLUMNS " FROM audit WHERE space = ? AND space <> '' AND" WITHIN_PAGE;

mw_err mw_state_audit_insert(mw_state_tx *tx, const mw_audit_row *row)
{
    mw_sql sql = mw_sql_prepare(tx, sql_insert);
    mw_sql_i64(&sql, row->time_ns);
    mw_sql_text(&sql, row->principal);
    mw_sql_text(&sql, row->source_address);
    mw_sql_text(&sql, row->action);
    mw_sql_text(&sql, row->subject);
    mw_sql_text(&sql, row->outcome);
    mw_sql_text(&sql, row->detail);
    mw_sql_text(&sql, row->space);
    return mw_sql_run(&sql);
}

/* The record number of a cursor; behind every number when there is no cursor. */
static mw_err read_number(const mw_state_page *page, const mw_page_bounds *bounds, int64_t *out)
{
    *out = INT64_MAX;
    if (!page->cursor.len)
        return MW_OK;
    uint8_t raw[8];
    if (mw_hex_decode(mw_slice_of(bounds->before_id), raw, sizeof raw) != MW_OK)
        return MW_E_SYNTAX;
    uint64_t number = 0;
    for (size_t i = 0; i < sizeof raw; i++)
        number = number << 8 | raw[i];
    if (number > INT64_MAX)
        return MW_E_SYNTAX;
    *out = (int64_t)number;
    return MW_OK;
}

static void take_record(mw_sql *sql, mw_arena *arena, mw_audit_row *row)
{
    row->time_ns = mw_sql_take_i64(sql);
    row->principal = mw_sql_take_text(sql, arena);
    row->source_address = mw_sql_take_text(sql, arena);
    row->action = mw_sql_take_text(sql, arena);
    row->subject = mw_sql_take_text(sql, arena);
    row->outcome = mw_sql_take_text(sql, arena);
    row->detail = mw_sql_take_text(sql, arena);
    row->space = mw_sql_take_text(sql, arena);
}

static mw_slice cursor_behind(mw_arena *arena, int64_t time_ns, int64_t number)
{
    char id[17];
    snprintf(id, sizeof id, "%016llx", (unsigned long long)number);
    return mw_state_page_cursor(arena, time_ns, mw_slice_of(id));
}

mw_err mw_state_audit_list(mw_state_tx *tx, const mw_state_page *page, mw_slice space,
                           mw_arena *arena, mw_audit_row **rows, size_t *count,
                           mw_slice *next_cursor)
{
    mw_page_bounds bounds;
    int64_t before_number, last_number = 0;
    void *array = NULL;
    size_t capacity = 0;
    *count = 0;
    mw_err err = mw_page_read(page, &bounds);
    if (err == MW_OK)
        err = read_number(page, &bounds, &before_number);
    *next_cursor = MW_SLICE(""); /* may be the page's own cursor: read before it is written */
    if (err != MW_OK)
        return err;
    mw_sql sql = mw_sql_prepare(tx, space.len ? sql_list_of_space : sql_list);
    if (space.len)
        mw_sql_text(&sql, space);
    mw_page_bind_times(&sql, &bounds);
    mw_sql_i64(&sql, before_number);
    mw_sql_i64(&sql, (int64_t)bounds.limit + 1);
    while (mw_sql_step(&sql)) {
        if (*count == bounds.limit) { /* there is a next page */
            MW_ASSERT(array);
            const mw_audit_row *last = (const mw_audit_row *)array + (*count - 1);
            *next_cursor = cursor_behind(arena, last->time_ns, last_number);
            if (!next_cursor->data)
                sql.err = MW_E_NOMEM;
            break;
        }
        last_number = mw_sql_take_i64(&sql);
        mw_audit_row *row = mw_rows_add(arena, &array, count, &capacity, sizeof *row);
        if (row)
            take_record(&sql, arena, row);
        else
            sql.err = MW_E_NOMEM;
    }
    *rows = array;
    return mw_sql_end(&sql);
}
