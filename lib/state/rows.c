/* Statements, columns, id prefixes and cursors. See rows_int.h. A statement runs on the thread
 * that holds its connection; text from outside reaches SQLite as a bound parameter only. */
#include <errno.h>

#include "lib/base/log.h"
#include "lib/base/sqlite_vfs.h"
#include "lib/state/rows_int.h"

/* Behind every id, whose digits are 0-9a-f. */
#define ID_END 'g'
/* 16 hex digits of the time, then the id. */
#define CURSOR_TIME_DIGITS 16

mw_err mw_sql_error(sqlite3 *db, int code)
{
    switch (code & 0xff) {
    case SQLITE_FULL:
    case SQLITE_READONLY: return MW_E_NO_SPACE;
    case SQLITE_NOMEM: return MW_E_NOMEM;
    case SQLITE_TOOBIG: return MW_E_LIMIT;
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB: return MW_E_CORRUPT;
    default: break;
    }
    switch (code) {
    case SQLITE_CONSTRAINT_UNIQUE:
    case SQLITE_CONSTRAINT_PRIMARYKEY:
    case SQLITE_CONSTRAINT_ROWID: return MW_E_CONFLICT;
    case SQLITE_CONSTRAINT_FOREIGNKEY: return MW_E_NOT_FOUND;
    /* The index of the log could not be made longer; SQLite keeps no errno of that. */
    case SQLITE_IOERR_SHMSIZE: return MW_E_NO_SPACE;
    default: break;
    }
    /* SQLite tells ENOSPC of a write apart, but not of a sync, and neither a quota nor a disk gone
     * read-only. */
    int system_error = mw_sqlite_reason(db);
    if ((code & 0xff) == SQLITE_IOERR &&
        (system_error == ENOSPC || system_error == EDQUOT || system_error == EROFS))
        return MW_E_NO_SPACE;
    return MW_E_IO;
}

static void fail(mw_sql *sql, int code)
{
    mw_err err = mw_sql_error(sql->tx->db, code);
    if (err != MW_E_CONFLICT && err != MW_E_NOT_FOUND)
        MW_LOG(MW_LOG_ERROR, "state", "database refused a statement", MW_KV_ERR(err),
               MW_KV_STR("sqlite", sqlite3_errmsg(sql->tx->db)), MW_KV_I64("code", code));
    if (sql->err == MW_OK)
        sql->err = err;
}

static sqlite3_stmt *find_statement(mw_state_tx *tx, const char *text)
{
    for (unsigned i = 0; i < tx->statement_count; i++)
        if (tx->statements[i].sql == text)
            return tx->statements[i].prepared;
    return NULL;
}

mw_sql mw_sql_prepare(mw_state_tx *tx, const char *text)
{
    mw_sql sql = {.tx = tx, .statement = find_statement(tx, text)};
    if (sql.statement)
        return sql;
    MW_ASSERT(tx->statement_count < MW_STATE_STATEMENTS_MAX);
    int code =
        sqlite3_prepare_v3(tx->db, text, -1, SQLITE_PREPARE_PERSISTENT, &sql.statement, NULL);
    if (code != SQLITE_OK) {
        fail(&sql, sqlite3_extended_errcode(tx->db));
        return sql;
    }
    tx->statements[tx->statement_count++] = (mw_statement){text, sql.statement};
    return sql;
}

/* A wrong index is a bug; running out of memory is not. */
static void check_bind(mw_sql *sql, int code)
{
    MW_ASSERT(code != SQLITE_RANGE && code != SQLITE_MISUSE);
    if (code != SQLITE_OK)
        fail(sql, code);
}

void mw_sql_text(mw_sql *sql, mw_slice text)
{
    if (sql->err == MW_OK)
        check_bind(sql, sqlite3_bind_text64(sql->statement, ++sql->bound, text.len ? text.data : "",
                                            text.len, SQLITE_STATIC, SQLITE_UTF8));
}

void mw_sql_text_or_null(mw_sql *sql, mw_slice text)
{
    if (text.len)
        mw_sql_text(sql, text);
    else if (sql->err == MW_OK)
        check_bind(sql, sqlite3_bind_null(sql->statement, ++sql->bound));
}

void mw_sql_blob(mw_sql *sql, mw_slice bytes)
{
    if (sql->err == MW_OK)
        check_bind(sql, sqlite3_bind_blob64(sql->statement, ++sql->bound,
                                            bytes.len ? bytes.data : "", bytes.len, SQLITE_STATIC));
}

void mw_sql_i64(mw_sql *sql, int64_t value)
{
    if (sql->err == MW_OK)
        check_bind(sql, sqlite3_bind_int64(sql->statement, ++sql->bound, value));
}

void mw_sql_double(mw_sql *sql, double value, bool known)
{
    if (sql->err != MW_OK)
        return;
    check_bind(sql, known ? sqlite3_bind_double(sql->statement, ++sql->bound, value)
                          : sqlite3_bind_null(sql->statement, ++sql->bound));
}

bool mw_sql_step(mw_sql *sql)
{
    if (sql->err != MW_OK)
        return false;
    sql->taken = 0;
    int code = sqlite3_step(sql->statement);
    if (code == SQLITE_ROW)
        return true;
    if (code != SQLITE_DONE)
        fail(sql, sqlite3_extended_errcode(sql->tx->db));
    return false;
}

mw_slice mw_sql_take_text(mw_sql *sql, mw_arena *arena)
{
    int column = sql->taken++;
    MW_ASSERT(column < sqlite3_column_count(sql->statement));
    const char *data = sqlite3_column_blob(sql->statement, column);
    size_t len = (size_t)sqlite3_column_bytes(sql->statement, column);
    if (!data || sql->err != MW_OK)
        return MW_SLICE("");
    mw_slice copy = mw_arena_copy(arena, mw_slice_bytes(data, len));
    if (!copy.data) {
        sql->err = MW_E_NOMEM;
        return MW_SLICE("");
    }
    return copy;
}

int64_t mw_sql_take_i64(mw_sql *sql)
{
    MW_ASSERT(sql->taken < sqlite3_column_count(sql->statement));
    return sqlite3_column_int64(sql->statement, sql->taken++);
}

double mw_sql_take_double(mw_sql *sql, bool *known)
{
    MW_ASSERT(sql->taken < sqlite3_column_count(sql->statement));
    *known = sqlite3_column_type(sql->statement, sql->taken) != SQLITE_NULL;
    return sqlite3_column_double(sql->statement, sql->taken++);
}

mw_err mw_sql_end(mw_sql *sql)
{
    if (sql->statement) {
        sqlite3_reset(sql->statement); /* repeats the error of step, which is known already */
        sqlite3_clear_bindings(sql->statement);
    }
    return sql->err;
}

mw_err mw_sql_run(mw_sql *sql)
{
    while (mw_sql_step(sql))
        continue;
    return mw_sql_end(sql);
}

mw_err mw_sql_change(mw_sql *sql, mw_err unchanged)
{
    mw_err err = mw_sql_run(sql);
    return err == MW_OK && sqlite3_changes(sql->tx->db) == 0 ? unchanged : err;
}

mw_err mw_sql_simple(mw_state_tx *tx, const char *text)
{
    mw_sql sql = mw_sql_prepare(tx, text);
    return mw_sql_run(&sql);
}

mw_err mw_sql_simple_with(mw_state_tx *tx, const char *text, mw_slice value)
{
    mw_sql sql = mw_sql_prepare(tx, text);
    mw_sql_text(&sql, value);
    return mw_sql_run(&sql);
}

mw_err mw_sql_number(mw_sql *sql, int64_t *out)
{
    while (mw_sql_step(sql))
        *out = mw_sql_take_i64(sql);
    return mw_sql_end(sql);
}

void *mw_rows_add(mw_arena *arena, void **rows, size_t *count, size_t *capacity, size_t size)
{
    if (*count == *capacity) {
        size_t grown = *capacity ? *capacity * 2 : 8;
        void *bigger = mw_arena_zalloc(arena, grown, size);
        if (!bigger)
            return NULL;
        if (*count)
            memcpy(bigger, *rows, *count * size);
        *rows = bigger;
        *capacity = grown;
    }
    return (char *)*rows + (*count)++ * size;
}

void *mw_rows_take(mw_sql *sql, mw_arena *arena, mw_row_take *take, size_t size, size_t *count)
{
    void *rows = NULL;
    size_t capacity = 0;
    *count = 0;
    while (mw_sql_step(sql)) {
        void *row = mw_rows_add(arena, &rows, count, &capacity, size);
        if (row)
            take(sql, arena, row);
        else
            sql->err = MW_E_NOMEM;
    }
    return rows;
}

mw_err mw_rows_take_one(mw_sql *sql, mw_arena *arena, mw_row_take *take, void *row)
{
    bool found = false;
    while (mw_sql_step(sql)) {
        take(sql, arena, row);
        found = true;
    }
    mw_err err = mw_sql_end(sql);
    return err == MW_OK && !found ? MW_E_NOT_FOUND : err;
}

/* Lower-case copy of an id or prefix of one; false when it cannot be one. */
static bool read_prefix(mw_slice prefix, char out[MW_ID_TEXT_SIZE])
{
    if (prefix.len < MW_ID_PREFIX_MIN || prefix.len >= MW_ID_TEXT_SIZE || !mw_is_hex(prefix))
        return false;
    for (size_t i = 0; i < prefix.len; i++) {
        char c = prefix.data[i];
        out[i] = c >= 'A' && c <= 'F' ? (char)(c - 'A' + 'a') : c;
    }
    out[prefix.len] = '\0';
    return true;
}

/* The one full id that begins with `prefix`. */
static mw_err find_id(mw_state_tx *tx, const char *text, mw_slice prefix, char out[MW_ID_TEXT_SIZE])
{
    char from[MW_ID_TEXT_SIZE], until[MW_ID_TEXT_SIZE + 1];
    if (!read_prefix(prefix, from))
        return MW_E_NOT_FOUND;
    memcpy(until, from, prefix.len);
    until[prefix.len] = ID_END;
    mw_sql sql = mw_sql_prepare(tx, text);
    mw_sql_text(&sql, mw_slice_bytes(from, prefix.len));
    mw_sql_text(&sql, mw_slice_bytes(until, prefix.len + 1));
    unsigned found = 0;
    while (mw_sql_step(&sql)) {
        const void *id = sqlite3_column_blob(sql.statement, 0);
        size_t len = (size_t)sqlite3_column_bytes(sql.statement, 0);
        if (!mw_slice_to_cstr(mw_slice_bytes(id, len), out, MW_ID_TEXT_SIZE))
            sql.err = MW_E_CORRUPT;
        found++;
    }
    mw_err err = mw_sql_end(&sql);
    if (err != MW_OK)
        return err;
    return found == 1 ? MW_OK : found ? MW_E_AMBIGUOUS : MW_E_NOT_FOUND;
}

mw_err mw_rows_get(mw_state_tx *tx, const mw_rows_by_id *table, mw_slice id_prefix, mw_arena *arena,
                   void *row)
{
    char id[MW_ID_TEXT_SIZE];
    mw_err err = find_id(tx, table->find, id_prefix, id);
    if (err != MW_OK)
        return err;
    mw_sql sql = mw_sql_prepare(tx, table->get);
    mw_sql_text(&sql, mw_slice_of(id));
    return mw_rows_take_one(&sql, arena, table->take, row);
}

static int64_t clamp_ns(uint64_t ns)
{
    return ns > INT64_MAX ? INT64_MAX : (int64_t)ns;
}

static mw_err read_cursor(mw_slice cursor, mw_page_bounds *out)
{
    uint8_t raw[8];
    uint64_t time = 0;
    if (cursor.len <= CURSOR_TIME_DIGITS || !mw_is_hex(cursor) ||
        mw_hex_decode(mw_slice_first(cursor, CURSOR_TIME_DIGITS), raw, sizeof raw) != MW_OK)
        return MW_E_SYNTAX;
    for (size_t i = 0; i < sizeof raw; i++)
        time = time << 8 | raw[i];
    mw_slice id = mw_slice_from(cursor, CURSOR_TIME_DIGITS);
    if (time > INT64_MAX || !mw_slice_to_cstr(id, out->before_id, sizeof out->before_id))
        return MW_E_SYNTAX;
    out->before_ns = (int64_t)time;
    return MW_OK;
}

mw_err mw_page_read(const mw_state_page *page, mw_page_bounds *out)
{
    *out = (mw_page_bounds){.since_ns = clamp_ns(page->since_ns),
                            .last_ns = page->until_ns ? clamp_ns(page->until_ns - 1) : INT64_MAX,
                            .before_ns = INT64_MAX,
                            .before_id = {ID_END}};
    out->limit = page->limit < 1 ? 1 : page->limit > 1000 ? 1000 : page->limit;
    return page->cursor.len ? read_cursor(page->cursor, out) : MW_OK;
}

void mw_page_bind_times(mw_sql *sql, const mw_page_bounds *bounds)
{
    /* The cursor bounds the range as well: a late page starts where the one before ended, and
     * does not walk over all that it showed. */
    bool cursor_first = bounds->before_ns < bounds->last_ns;
    mw_sql_i64(sql, bounds->since_ns);
    mw_sql_i64(sql, cursor_first ? bounds->before_ns : bounds->last_ns);
    mw_sql_i64(sql, bounds->before_ns);
}

void mw_page_bind(mw_sql *sql, const mw_page_bounds *bounds, mw_slice filter)
{
    mw_page_bind_times(sql, bounds);
    mw_sql_text(sql, mw_slice_of(bounds->before_id));
    mw_sql_i64(sql, (int64_t)bounds->limit + 1);
    if (filter.len)
        mw_sql_text(sql, filter);
}

bool mw_page_cut(const mw_page_bounds *bounds, size_t *count)
{
    if (*count <= bounds->limit)
        return false;
    *count = bounds->limit;
    return true;
}

mw_err mw_page_total(mw_state_tx *tx, const char *text, const mw_page_bounds *bounds,
                     mw_slice filter, uint64_t *total)
{
    int64_t rows = 0;
    mw_sql sql = mw_sql_prepare(tx, text);
    mw_sql_i64(&sql, bounds->since_ns);
    mw_sql_i64(&sql, bounds->last_ns);
    if (filter.len)
        mw_sql_text(&sql, filter);
    mw_err err = mw_sql_number(&sql, &rows);
    *total = (uint64_t)rows;
    return err;
}

mw_slice mw_state_page_cursor(mw_arena *arena, int64_t time_ns, mw_slice id)
{
    char *text =
        mw_arena_printf(arena, "%016llx%.*s", (unsigned long long)time_ns, MW_SLICE_FMT(id));
    return text ? mw_slice_of(text) : MW_SLICE_NONE;
}
