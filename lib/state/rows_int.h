/* Statements and rows: the thin layer between the table files and SQLite.
 *
 * A question reads straight down: prepare, bind the parameters in order, step, take the columns
 * in order, end. Errors stick, so that only the end is checked:
 *
 *     mw_sql sql = mw_sql_prepare(tx, sql_get);
 *     mw_sql_text(&sql, id);
 *     while (mw_sql_step(&sql))
 *         row->title = mw_sql_take_text(&sql, arena);
 *     return mw_sql_end(&sql);
 *
 * SQL texts are static arrays: their address is the key of the connection's statement cache.
 * Bound slices are borrowed until the end; taken text is copied into the arena.
 */
#ifndef MW_STATE_ROWS_INT_H
#define MW_STATE_ROWS_INT_H

#include "lib/state/state_int.h"

typedef struct mw_sql {
    mw_state_tx *tx;
    sqlite3_stmt *statement;
    int bound; /* parameters bound so far */
    int taken; /* columns of the row taken so far */
    mw_err err;
} mw_sql;

/* A constant's number in an SQL text. */
#define MW_SQL_CONSTANT_(value) #value
#define MW_SQL_CONSTANT(value) MW_SQL_CONSTANT_(value)

mw_sql mw_sql_prepare(mw_state_tx *tx, const char *text);
void mw_sql_text(mw_sql *sql, mw_slice text);
/* NULL for empty text. */
void mw_sql_text_or_null(mw_sql *sql, mw_slice text);
void mw_sql_blob(mw_sql *sql, mw_slice bytes);
void mw_sql_i64(mw_sql *sql, int64_t value);
/* NULL unless `known`. */
void mw_sql_double(mw_sql *sql, double value, bool known);
/* True when there is a row to take; false at the end and after an error. */
bool mw_sql_step(mw_sql *sql);
/* NULL columns give empty text, 0 and *known false. */
mw_slice mw_sql_take_text(mw_sql *sql, mw_arena *arena);
int64_t mw_sql_take_i64(mw_sql *sql);
double mw_sql_take_double(mw_sql *sql, bool *known);
/* Gives the statement back; the first error, or MW_OK. */
MW_MUST_USE mw_err mw_sql_end(mw_sql *sql);
/* For statements without rows: step to the end, then end. */
MW_MUST_USE mw_err mw_sql_run(mw_sql *sql);
/* The same, for a change of rows that must be there: `unchanged` when no row changed. */
MW_MUST_USE mw_err mw_sql_change(mw_sql *sql, mw_err unchanged);
/* The same in one, without parameters, and with one text. */
MW_MUST_USE mw_err mw_sql_simple(mw_state_tx *tx, const char *text);
MW_MUST_USE mw_err mw_sql_simple_with(mw_state_tx *tx, const char *text, mw_slice value);
/* The number that a bound statement selects, then ends it; *out stays as it is without a row. */
MW_MUST_USE mw_err mw_sql_number(mw_sql *sql, int64_t *out);
/* What a result code of SQLite means here: MW_E_NO_SPACE, MW_E_CONFLICT (unique key),
 * MW_E_NOT_FOUND (foreign key), MW_E_NOMEM, MW_E_LIMIT, MW_E_CORRUPT, else MW_E_IO. */
mw_err mw_sql_error(sqlite3 *db, int code);

/* Appends one zeroed element of `size` bytes to an array in the arena; NULL when it is full.
 * *capacity starts at 0. The old array stays behind in the arena: at most once its size. */
MW_MUST_USE void *mw_rows_add(mw_arena *arena, void **rows, size_t *count, size_t *capacity,
                              size_t size);

/* Takes the columns of the row at hand, all in order, into `row`, which is of its table's type. */
typedef void mw_row_take(mw_sql *sql, mw_arena *arena, void *row);
/* All rows of a bound statement, each of `size` bytes and zeroed before, in the arena; NULL when
 * there are none. The statement is still to be ended. */
void *mw_rows_take(mw_sql *sql, mw_arena *arena, mw_row_take *take, size_t size, size_t *count);
/* The one row of a bound statement, then ends it. MW_E_NOT_FOUND when there is none. */
MW_MUST_USE mw_err mw_rows_take_one(mw_sql *sql, mw_arena *arena, mw_row_take *take, void *row);

/* How a table's row is found by its id. `find` matches ids by prefix (parameters 1 and 2: from,
 * until), LIMIT 2; `get` selects the row of a whole id. */
typedef struct mw_rows_by_id {
    const char *find, *get;
    mw_row_take *take;
} mw_rows_by_id;
/* MW_E_NOT_FOUND, MW_E_AMBIGUOUS, MW_E_NOMEM, MW_E_IO. */
MW_MUST_USE mw_err mw_rows_get(mw_state_tx *tx, const mw_rows_by_id *table, mw_slice id_prefix,
                               mw_arena *arena, void *row);

/* Columns of an alarm `a`. The body stays last and is read by alarm_get alone: a list of a thousand
 * alarms must not hold a thousand bodies. */
#define MW_ALARM_COLUMNS                                                                           \
    "a.seq, a.id, a.space, a.webhook_id, a.source, a.incident_id, a.action, a.priority, a.title,"  \
    " a.service, a.region, a.started_ns, a.received_ns, a.resources_json, a.description,"          \
    " a.claimed_ns"
/* Takes all rows of a bound statement that selects MW_ALARM_COLUMNS, then ends it. */
MW_MUST_USE mw_err mw_rows_take_alarms(mw_sql *sql, mw_arena *arena, mw_alarm_row **rows,
                                       size_t *count);

/* A page's bounds as parameters. Lists sort by (time, id), newest first. */
typedef struct mw_page_bounds {
    int64_t since_ns, last_ns; /* both inclusive */
    int64_t before_ns;         /* rows below (before_ns, before_id) */
    char before_id[MW_ID_TEXT_SIZE];
    size_t limit;
} mw_page_bounds;

/* MW_E_SYNTAX (cursor). */
MW_MUST_USE mw_err mw_page_read(const mw_state_page *page, mw_page_bounds *out);
/* Binds since, last, before time. */
void mw_page_bind_times(mw_sql *sql, const mw_page_bounds *bounds);
/* The same, before id, one row more than the page shows, and the filter unless it is empty. */
void mw_page_bind(mw_sql *sql, const mw_page_bounds *bounds, mw_slice filter);
/* Takes the row more off again: true when there was one, so that a next page begins behind the row
 * rows[*count - 1]. */
bool mw_page_cut(const mw_page_bounds *bounds, size_t *count);
/* Of a statement with the parameters since, last, and the filter unless it is empty: how many rows
 * all pages have. */
MW_MUST_USE mw_err mw_page_total(mw_state_tx *tx, const char *text, const mw_page_bounds *bounds,
                                 mw_slice filter, uint64_t *total);
/* The cursor behind a row; data NULL when the arena is full. */
mw_slice mw_state_page_cursor(mw_arena *arena, int64_t time_ns, mw_slice id);

#endif
