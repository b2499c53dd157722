/* catalogue.db. See catalogue.h.
 *
 *   segment  one row a segment: its size, counts by signal, sequences and times, its kind and salt
 *   block    one row a block of a merged one, by its number in the file
 *   made     one row while it is not accepted that it was made anew: when, 0 before a start judged
 *            it; none in catalogues that were made before this table was
 *   loss     one row for each segment, or end of one, that is gone; until a rebuild
 *
 * All values are integers; times are unsigned nanoseconds of which SQLite sees the bits. Memory is
 * MW_MEM_STORE and SQLite's own.
 */
#include <errno.h>
#include <fcntl.h>
#include <sqlite3.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/base/log.h"
#include "lib/base/sqlite_vfs.h"
#include "lib/store/merge/catalogue_int.h"

/* "MWcg". Version 1 had no segments of the log, and is replaced; 2 had neither losses nor salts,
 * and gets them. */
#define APPLICATION_ID 1297572711
#define SCHEMA_FIRST 2
#define SCHEMA_VERSION 3
/* `midwatch check` reads beside the keeper, for milliseconds; a person with sqlite3 for longer, and
 * then the keeper goes on and comes back to it. `midwatch check` waits for longer: a commit takes
 * as long as a busy disk makes it. */
#define BUSY_TIMEOUT_MS 1000
#define READER_TIMEOUT_MS 10000

#define TEXT_OF_(value) #value
#define TEXT_OF(value) TEXT_OF_(value)

static const char schema[] =
    "BEGIN;"
    "PRAGMA application_id = " TEXT_OF(
        APPLICATION_ID) ";"
                        "PRAGMA user_version = " TEXT_OF(
                            SCHEMA_FIRST) ";"
                                          "CREATE TABLE segment("
                                          " id INTEGER PRIMARY KEY, bytes INTEGER NOT NULL, "
                                          "blocks INTEGER NOT NULL,"
                                          " spans INTEGER NOT NULL, points INTEGER NOT NULL, "
                                          "logs INTEGER NOT NULL,"
                                          " first_seq INTEGER NOT NULL, last_seq INTEGER NOT "
                                          "NULL,"
                                          " arrival_min_ns INTEGER NOT NULL, arrival_max_ns "
                                          "INTEGER NOT NULL,"
                                          " event_min_ns INTEGER NOT NULL, event_max_ns INTEGER "
                                          "NOT NULL, kind INTEGER NOT NULL) STRICT;"
                                          "CREATE TABLE block("
                                          " segment INTEGER NOT NULL, number INTEGER NOT NULL, "
                                          "file_offset INTEGER NOT NULL,"
                                          " bytes INTEGER NOT NULL, signal INTEGER NOT NULL, "
                                          "items INTEGER NOT NULL,"
                                          " first_seq INTEGER NOT NULL, arrival_min_ns INTEGER "
                                          "NOT NULL,"
                                          " event_min_ns INTEGER NOT NULL, event_max_ns INTEGER "
                                          "NOT NULL,"
                                          " PRIMARY KEY(segment, number)) STRICT, WITHOUT ROWID;"
                                          "CREATE TABLE made(at_ns INTEGER NOT NULL) STRICT;"
                                          "INSERT INTO made VALUES (0);"
                                          "COMMIT;";

/* From version 2, which a new file has for a moment. */
static const char upgrade[] =
    "BEGIN;"
    "ALTER TABLE segment ADD COLUMN salt INTEGER NOT NULL DEFAULT 0;"
    "CREATE TABLE loss("
    " segment INTEGER NOT NULL, part INTEGER NOT NULL, noticed_ns INTEGER NOT NULL,"
    " bytes INTEGER NOT NULL, blocks INTEGER NOT NULL,"
    " spans INTEGER NOT NULL, points INTEGER NOT NULL, logs INTEGER NOT NULL,"
    " first_seq INTEGER NOT NULL, last_seq INTEGER NOT NULL,"
    " arrival_min_ns INTEGER NOT NULL, arrival_max_ns INTEGER NOT NULL,"
    " event_min_ns INTEGER NOT NULL, event_max_ns INTEGER NOT NULL,"
    " kind INTEGER NOT NULL, salt INTEGER NOT NULL,"
    " PRIMARY KEY(segment, part, first_seq)) STRICT, WITHOUT ROWID;"
    "PRAGMA user_version = " TEXT_OF(SCHEMA_VERSION) ";"
                                                     "COMMIT;";

/* The journal keeps its room: on a full disk retention must be able to remove rows. */
static const char pragmas[] = "PRAGMA journal_mode = PERSIST;"
                              "PRAGMA synchronous = FULL;"
                              "PRAGMA temp_store = MEMORY;"
                              "PRAGMA cache_size = -256;";

#define SEGMENT_COLUMNS 14
#define SEGMENT_COLUMNS_FIRST 13 /* without the salt */
#define BLOCK_COLUMNS 10
#define LOSS_COLUMNS 16

static const char *const sql_texts[SQL_COUNT] = {
    [SQL_BEGIN] = "BEGIN IMMEDIATE",
    [SQL_COMMIT] = "COMMIT",
    [SQL_ROLLBACK] = "ROLLBACK",
    [SQL_PUT] = "INSERT OR REPLACE INTO segment VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
    [SQL_PUT_BLOCK] = "INSERT OR REPLACE INTO block VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
    /* What is told twice was first noticed when it was told first. */
    [SQL_PUT_LOSS] = ("INSERT OR IGNORE INTO loss VALUES"
                      " (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"),
    [SQL_REMOVE] = "DELETE FROM segment WHERE id = ?",
    [SQL_REMOVE_BLOCKS] = "DELETE FROM block WHERE segment = ?",
    [SQL_REMOVE_LOSS] = "DELETE FROM loss WHERE segment = ? AND part = ?",
    [SQL_PUT_MADE] = "INSERT INTO made VALUES (?)",
    [SQL_REMOVE_MADE] = "DELETE FROM made",
    [SQL_EACH] = "SELECT * FROM segment ORDER BY id",
    [SQL_EACH_LOSS] = ("SELECT segment, bytes, blocks, spans, points, logs, first_seq, last_seq,"
                       " arrival_min_ns, arrival_max_ns, event_min_ns, event_max_ns, kind, salt,"
                       " part, noticed_ns FROM loss ORDER BY segment, first_seq"),
};

/* ---- statements ------------------------------------------------------------------------------ */

static mw_err error_of(sqlite3 *db, int code)
{
    int reason = mw_sqlite_reason(db);
    switch (code & 0xff) {
    case SQLITE_FULL: return MW_E_NO_SPACE;
    /* A reader meets a change that a kill cut off: the next writer undoes it. */
    case SQLITE_READONLY: return code == SQLITE_READONLY_ROLLBACK ? MW_E_AGAIN : MW_E_NO_SPACE;
    case SQLITE_NOMEM: return MW_E_NOMEM;
    case SQLITE_BUSY:
    case SQLITE_LOCKED: return MW_E_BUSY;
    case SQLITE_IOERR:
    case SQLITE_CANTOPEN:
        return reason == ENOSPC || reason == EDQUOT || reason == EROFS ? MW_E_NO_SPACE : MW_E_IO;
    /* CORRUPT, NOTADB; and tables that are not as we make them: an error of the statement, a value
     * of another type. */
    default: return MW_E_CORRUPT;
    }
}

/* The statement with its parameters, ready to be stepped. */
static mw_err begin_statement(mw_catalogue *catalogue, sql_number number, const uint64_t *values,
                              int count, sqlite3_stmt **out)
{
    sqlite3_stmt **prepared = &catalogue->prepared[number];
    int code = SQLITE_OK;
    if (!*prepared)
        code = sqlite3_prepare_v3(catalogue->db, sql_texts[number], -1, SQLITE_PREPARE_PERSISTENT,
                                  prepared, NULL);
    for (int i = 0; code == SQLITE_OK && i < count; i++)
        code = sqlite3_bind_int64(*prepared, i + 1, (sqlite3_int64)values[i]);
    if (code != SQLITE_OK)
        return error_of(catalogue->db, code);
    *out = *prepared;
    return MW_OK;
}

static mw_err run(mw_catalogue *catalogue, sql_number number, const uint64_t *values, int count)
{
    sqlite3_stmt *statement = NULL;
    mw_err err = begin_statement(catalogue, number, values, count, &statement);
    if (err != MW_OK)
        return err;
    int code = sqlite3_step(statement);
    if (code != SQLITE_DONE)
        err = error_of(catalogue->db, code);
    sqlite3_reset(statement);
    return err;
}

mw_err mw_catalogue_begin(mw_catalogue *catalogue)
{
    return run(catalogue, SQL_BEGIN, NULL, 0);
}

mw_err mw_catalogue_settle(mw_catalogue *catalogue, mw_err err)
{
    if (err == MW_OK)
        err = run(catalogue, SQL_COMMIT, NULL, 0);
    if (err == MW_OK)
        return MW_OK;
    /* Some errors have rolled it back already. */
    if (!sqlite3_get_autocommit(catalogue->db) && run(catalogue, SQL_ROLLBACK, NULL, 0) != MW_OK)
        MW_LOG(MW_LOG_WARN, "store", "the catalogue's rollback failed",
               MW_KV_STR("file", catalogue->path));
    catalogue->behind = true;
    return err;
}

/* One number of a pragma or query; MW_E_CORRUPT when it gives none. */
static mw_err read_number(sqlite3 *db, const char *text, int64_t *out)
{
    sqlite3_stmt *statement = NULL;
    int code = sqlite3_prepare_v2(db, text, -1, &statement, NULL);
    if (code == SQLITE_OK)
        code = sqlite3_step(statement);
    if (code == SQLITE_ROW)
        *out = sqlite3_column_int64(statement, 0);
    sqlite3_finalize(statement);
    return code == SQLITE_ROW ? MW_OK : error_of(db, code);
}

/* ---- one connection -------------------------------------------------------------------------- */

static void disconnect(mw_catalogue *catalogue)
{
    for (size_t i = 0; i < SQL_COUNT; i++) {
        sqlite3_finalize(catalogue->prepared[i]);
        catalogue->prepared[i] = NULL;
    }
    if (sqlite3_close(catalogue->db) != SQLITE_OK)
        mw_bug(__FILE__, __LINE__, "a statement outlived its connection");
    catalogue->db = NULL;
}

static mw_err connect_to(mw_catalogue *catalogue, int flags)
{
    int code = sqlite3_open_v2(catalogue->path, &catalogue->db,
                               flags | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_NOFOLLOW, mw_sqlite_vfs());
    if (code != SQLITE_OK)
        return error_of(catalogue->db, code);
    /* Whoever could write the file must not reach further than its tables. */
    sqlite3_db_config(catalogue->db, SQLITE_DBCONFIG_DEFENSIVE, 1, NULL);
    sqlite3_db_config(catalogue->db, SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0, NULL);
    sqlite3_db_config(catalogue->db, SQLITE_DBCONFIG_ENABLE_TRIGGER, 0, NULL);
    sqlite3_db_config(catalogue->db, SQLITE_DBCONFIG_ENABLE_VIEW, 0, NULL);
    sqlite3_limit(catalogue->db, SQLITE_LIMIT_ATTACHED, 0);
    sqlite3_busy_timeout(catalogue->db,
                         flags & SQLITE_OPEN_READONLY ? READER_TIMEOUT_MS : BUSY_TIMEOUT_MS);
    sqlite3_extended_result_codes(catalogue->db, 1);
    return MW_OK;
}

/* MW_E_NOT_FOUND: an empty file. MW_E_CORRUPT: not ours, or of another version. */
static mw_err identify(mw_catalogue *catalogue)
{
    int64_t application = 0, version = 0, tables = 0;
    mw_err err = read_number(catalogue->db, "SELECT count(*) FROM sqlite_schema", &tables);
    if (err == MW_OK)
        err = read_number(catalogue->db, "PRAGMA application_id", &application);
    if (err == MW_OK)
        err = read_number(catalogue->db, "PRAGMA user_version", &version);
    if (err != MW_OK)
        return err;
    if (tables == 0 && application == 0 && version == 0)
        return MW_E_NOT_FOUND;
    if (application != APPLICATION_ID || version < SCHEMA_FIRST || version > SCHEMA_VERSION)
        return MW_E_CORRUPT;
    catalogue->version = (int)version;
    return MW_OK;
}

static mw_err make_file(const char *path)
{
    int fd = mw_io_current()->open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0)
        return errno == ENOSPC || errno == EDQUOT || errno == EROFS ? MW_E_NO_SPACE : MW_E_IO;
    close(fd);
    return MW_OK;
}

static mw_err connect_and_prepare(mw_catalogue *catalogue)
{
    mw_err err = make_file(catalogue->path);
    if (err == MW_OK)
        err = connect_to(catalogue, SQLITE_OPEN_READWRITE);
    if (err != MW_OK)
        return err;
    err = identify(catalogue);
    bool empty = err == MW_E_NOT_FOUND;
    if (err != MW_OK && !empty)
        return err;
    int code = sqlite3_exec(catalogue->db, pragmas, NULL, NULL, NULL);
    if (code == SQLITE_OK && empty)
        code = sqlite3_exec(catalogue->db, schema, NULL, NULL, NULL);
    if (code == SQLITE_OK && (empty || catalogue->version < SCHEMA_VERSION))
        code = sqlite3_exec(catalogue->db, upgrade, NULL, NULL, NULL);
    if (code == SQLITE_OK)
        catalogue->version = SCHEMA_VERSION;
    return code == SQLITE_OK ? MW_OK : error_of(catalogue->db, code);
}

/* The file and what SQLite may have left beside it. */
void mw_catalogue_discard(const char *directory)
{
    static const char *const suffixes[] = {"-journal", "-wal", "-shm", ""};
    char path[4096];
    for (size_t i = 0; i < sizeof suffixes / sizeof suffixes[0]; i++) {
        int len = snprintf(path, sizeof path, "%s/" MW_CATALOGUE_NAME "%s", directory, suffixes[i]);
        if (len > 0 && (size_t)len < sizeof path)
            mw_io_current()->unlink(path);
    }
}

mw_err mw_catalogue_begin_anew(mw_catalogue *catalogue)
{
    mw_catalogue_keep_losses(catalogue);
    MW_LOG(MW_LOG_WARN, "store", "the catalogue is damaged or foreign: it is made again",
           MW_KV_STR("file", catalogue->path));
    disconnect(catalogue);
    mw_catalogue_discard(catalogue->directory);
    catalogue->behind = true;
    return connect_and_prepare(catalogue);
}

/* ---- life ------------------------------------------------------------------------------------ */

static mw_catalogue *new_catalogue(const char *directory)
{
    size_t len = strlen(directory) + 1, path_size = len + sizeof "/" MW_CATALOGUE_NAME;
    mw_catalogue *catalogue = mw_calloc(MW_MEM_STORE, 1, sizeof *catalogue);
    char *texts = mw_alloc(MW_MEM_STORE, len + path_size);
    if (!catalogue || !texts) {
        mw_free(MW_MEM_STORE, catalogue);
        mw_free(MW_MEM_STORE, texts);
        return NULL;
    }
    memcpy(texts, directory, len);
    snprintf(texts + len, path_size, "%s/%s", directory, MW_CATALOGUE_NAME);
    catalogue->directory = texts;
    catalogue->path = texts + len;
    return catalogue;
}

mw_err mw_catalogue_open(const char *directory, mw_catalogue **out)
{
    mw_catalogue *catalogue = new_catalogue(directory);
    if (!catalogue)
        return MW_E_NOMEM;
    mw_err err = connect_and_prepare(catalogue);
    if (err == MW_E_CORRUPT)
        err = mw_catalogue_begin_anew(catalogue);
    if (err != MW_OK) {
        mw_catalogue_close(catalogue);
        /* A file that cannot be replaced: to the caller it is one that cannot be written. */
        return err == MW_E_CORRUPT || err == MW_E_BUSY ? MW_E_IO : err;
    }
    *out = catalogue;
    return MW_OK;
}

mw_err mw_catalogue_open_reader(const char *directory, mw_catalogue **out)
{
    mw_catalogue *catalogue = new_catalogue(directory);
    if (!catalogue)
        return MW_E_NOMEM;
    mw_err err = access(catalogue->path, F_OK) == 0 ? MW_OK : MW_E_NOT_FOUND;
    if (err == MW_OK)
        err = connect_to(catalogue, SQLITE_OPEN_READONLY);
    if (err == MW_OK)
        err = identify(catalogue);
    if (err != MW_OK) {
        mw_catalogue_close(catalogue);
        return err;
    }
    *out = catalogue;
    return MW_OK;
}

void mw_catalogue_close(mw_catalogue *catalogue)
{
    if (!catalogue)
        return;
    disconnect(catalogue);
    mw_free(MW_MEM_STORE, catalogue->pending);
    mw_free(MW_MEM_STORE, catalogue->directory);
    mw_free(MW_MEM_STORE, catalogue);
}

mw_err mw_catalogue_made_at(mw_catalogue *catalogue, uint64_t *at_ns)
{
    int64_t tables = 0, at = -1;
    *at_ns = 0;
    if (!catalogue)
        return MW_OK;
    mw_err err = read_number(catalogue->db,
                             "SELECT count(*) FROM sqlite_schema WHERE name = 'made'", &tables);
    if (err == MW_OK && tables > 0)
        err = read_number(catalogue->db, "SELECT coalesce(max(at_ns), -1) FROM made", &at);
    if (err == MW_OK && at >= 0)
        *at_ns = at ? (uint64_t)at : MW_CATALOGUE_JUST_MADE;
    return err;
}

mw_err mw_catalogue_judge_made(mw_catalogue *catalogue, uint64_t at_ns)
{
    mw_err err = mw_catalogue_begin(catalogue);
    if (err == MW_OK)
        err = run(catalogue, SQL_REMOVE_MADE, NULL, 0);
    if (err == MW_OK && at_ns)
        err = run(catalogue, SQL_PUT_MADE, &at_ns, 1);
    return mw_catalogue_settle(catalogue, err);
}

bool mw_catalogue_is_behind(const mw_catalogue *catalogue)
{
    return catalogue && catalogue->behind;
}

/* ---- rows in --------------------------------------------------------------------------------- */

mw_err mw_catalogue_put_row(mw_catalogue *catalogue, const mw_catalogue_segment *segment)
{
    const uint64_t values[SEGMENT_COLUMNS] = {
        segment->id,
        segment->bytes,
        segment->blocks,
        segment->items[MW_SIGNAL_TRACES],
        segment->items[MW_SIGNAL_METRICS],
        segment->items[MW_SIGNAL_LOGS],
        segment->first_seq,
        segment->last_seq,
        segment->arrival_min_ns,
        segment->arrival_max_ns,
        segment->event_min_ns,
        segment->event_max_ns,
        segment->kind,
        segment->salt,
    };
    return run(catalogue, SQL_PUT, values, SEGMENT_COLUMNS);
}

mw_err mw_catalogue_put_loss(mw_catalogue *catalogue, const mw_catalogue_loss *loss)
{
    const mw_catalogue_segment *of = &loss->of;
    const uint64_t values[LOSS_COLUMNS] = {
        of->id,
        loss->part,
        loss->noticed_ns,
        of->bytes,
        of->blocks,
        of->items[MW_SIGNAL_TRACES],
        of->items[MW_SIGNAL_METRICS],
        of->items[MW_SIGNAL_LOGS],
        of->first_seq,
        of->last_seq,
        of->arrival_min_ns,
        of->arrival_max_ns,
        of->event_min_ns,
        of->event_max_ns,
        of->kind,
        of->salt,
    };
    return run(catalogue, SQL_PUT_LOSS, values, LOSS_COLUMNS);
}

mw_err mw_catalogue_remove_loss(mw_catalogue *catalogue, uint64_t id, mw_loss_part part)
{
    const uint64_t values[] = {id, part};
    return run(catalogue, SQL_REMOVE_LOSS, values, 2);
}

static mw_err put_block(mw_catalogue *catalogue, uint64_t segment_id, uint64_t number,
                        const mw_index_block *block)
{
    const mw_block_header *header = &block->header;
    const uint64_t values[BLOCK_COLUMNS] = {
        segment_id,           number,
        block->offset,        mw_block_size(header),
        header->signal,       header->item_count,
        header->seq,          header->arrival_ns,
        header->event_min_ns, header->event_max_ns,
    };
    return run(catalogue, SQL_PUT_BLOCK, values, BLOCK_COLUMNS);
}

mw_err mw_catalogue_remove_rows(mw_catalogue *catalogue, uint64_t id)
{
    mw_err err = run(catalogue, SQL_REMOVE_BLOCKS, &id, 1);
    return err == MW_OK ? run(catalogue, SQL_REMOVE, &id, 1) : err;
}

static mw_err put_rows(mw_catalogue *catalogue, const mw_catalogue_segment *segment,
                       mw_index_block *const *blocks, size_t count)
{
    mw_err err = mw_catalogue_remove_rows(catalogue, segment->id);
    if (err == MW_OK)
        err = mw_catalogue_put_row(catalogue, segment);
    for (size_t i = 0; err == MW_OK && i < count; i++)
        err = put_block(catalogue, segment->id, i, blocks[i]);
    return err;
}

mw_err mw_catalogue_put(mw_catalogue *catalogue, const mw_catalogue_segment *segment,
                        mw_index_block *const *blocks, size_t count, const uint64_t *replaced,
                        size_t replaced_count)
{
    mw_err err = mw_catalogue_begin(catalogue);
    for (size_t i = 0; err == MW_OK && i < replaced_count; i++)
        err = mw_catalogue_remove_rows(catalogue, replaced[i]);
    if (err == MW_OK)
        err = put_rows(catalogue, segment, blocks, count);
    return mw_catalogue_settle(catalogue, err);
}

mw_err mw_catalogue_put_logs(mw_catalogue *catalogue, const mw_catalogue_segment *rows,
                             size_t count)
{
    if (!catalogue || count == 0)
        return MW_OK;
    mw_err err = mw_catalogue_begin(catalogue);
    for (size_t i = 0; err == MW_OK && i < count; i++)
        err = mw_catalogue_put_row(catalogue, &rows[i]);
    return mw_catalogue_settle(catalogue, err);
}

mw_err mw_catalogue_remove(mw_catalogue *catalogue, uint64_t id)
{
    if (!catalogue)
        return MW_OK;
    mw_err err = mw_catalogue_begin(catalogue);
    if (err == MW_OK)
        err = mw_catalogue_remove_rows(catalogue, id);
    return mw_catalogue_settle(catalogue, err);
}

/* ---- of segments ----------------------------------------------------------------------------- */

/* Its blocks, which are linked in the order of the file. NULL without memory; the caller's to
 * free. */
static mw_index_block **blocks_of(const mw_segment *merged)
{
    mw_index_block **blocks =
        mw_alloc(MW_MEM_STORE, (merged->block_count + 1) * sizeof(mw_index_block *));
    size_t count = 0;
    for (mw_index_block *block = merged->blocks; blocks && block; block = block->next_in_segment) {
        MW_ASSERT(count < merged->block_count);
        blocks[count++] = block;
    }
    return blocks;
}

mw_err mw_catalogue_put_described(mw_catalogue *catalogue, const mw_segment *merged)
{
    mw_catalogue_segment row;
    mw_index_block **blocks = blocks_of(merged);
    if (!blocks)
        return MW_E_NOMEM;
    mw_catalogue_describe(merged, &row);
    mw_err err = put_rows(catalogue, &row, blocks, merged->block_count);
    mw_free(MW_MEM_STORE, blocks);
    return err;
}

mw_err mw_catalogue_put_segment(mw_catalogue *catalogue, const mw_segment *merged)
{
    const mw_footer *footer = merged->footer;
    if (!catalogue)
        return MW_OK;
    mw_err err = mw_catalogue_begin(catalogue);
    for (size_t i = 0; err == MW_OK && footer && i < footer->replaced.count; i++)
        err = mw_catalogue_remove_rows(catalogue, footer->replaced.ids[i]);
    if (err == MW_OK)
        err = mw_catalogue_put_described(catalogue, merged);
    return mw_catalogue_settle(catalogue, err);
}

/* ---- rows out -------------------------------------------------------------------------------- */

static void take_row(sqlite3_stmt *statement, mw_catalogue_segment *out)
{
    uint64_t values[SEGMENT_COLUMNS] = {0};
    int count = sqlite3_column_count(statement);
    for (int i = 0; i < SEGMENT_COLUMNS && i < count; i++)
        values[i] = (uint64_t)sqlite3_column_int64(statement, i);
    *out = (mw_catalogue_segment){
        .id = values[0],
        .bytes = values[1],
        .blocks = values[2],
        .items = {[MW_SIGNAL_TRACES] = values[3],
                  [MW_SIGNAL_METRICS] = values[4],
                  [MW_SIGNAL_LOGS] = values[5]},
        .first_seq = values[6],
        .last_seq = values[7],
        .arrival_min_ns = values[8],
        .arrival_max_ns = values[9],
        .event_min_ns = values[10],
        .event_max_ns = values[11],
        .kind = values[12],
        .salt = values[13],
    };
}

/* What a statement gives, a row each: to `segment` or, with what stands behind it, to `loss`. */
typedef struct row_reader {
    mw_err (*segment)(void *ctx, const mw_catalogue_segment *segment);
    mw_err (*loss)(void *ctx, const mw_catalogue_loss *loss);
    void *ctx;
    bool passes_over; /* losses that cannot be true */
} row_reader;

/* A page that was never written reads as a row of zeros. */
static bool is_sound(const mw_catalogue_loss *loss)
{
    const mw_catalogue_segment *of = &loss->of;
    return of->id > 0 && of->id < INT64_MAX && of->kind <= MW_SEGMENT_MERGED && of->blocks > 0 &&
           of->first_seq > 0 && of->first_seq <= of->last_seq && of->last_seq < INT64_MAX &&
           loss->noticed_ns > 0;
}

static mw_err give_row(sqlite3_stmt *statement, const row_reader *reader)
{
    mw_catalogue_loss row = {.part = MW_LOSS_WHOLE};
    take_row(statement, &row.of);
    if (reader->segment)
        return reader->segment(reader->ctx, &row.of);
    if (sqlite3_column_int64(statement, SEGMENT_COLUMNS) == MW_LOSS_END)
        row.part = MW_LOSS_END;
    row.noticed_ns = (uint64_t)sqlite3_column_int64(statement, SEGMENT_COLUMNS + 1);
    if (!is_sound(&row))
        return reader->passes_over ? MW_OK : MW_E_CORRUPT;
    return reader->loss(reader->ctx, &row);
}

static mw_err read_rows(mw_catalogue *catalogue, sql_number number, const row_reader *reader)
{
    sqlite3_stmt *statement = NULL;
    mw_err err = begin_statement(catalogue, number, NULL, 0, &statement);
    if (err == MW_OK && sqlite3_column_count(statement) < SEGMENT_COLUMNS_FIRST)
        err = MW_E_CORRUPT;
    while (err == MW_OK) {
        int code = sqlite3_step(statement);
        if (code == SQLITE_DONE)
            break;
        err = code == SQLITE_ROW ? give_row(statement, reader) : error_of(catalogue->db, code);
    }
    sqlite3_reset(catalogue->prepared[number]);
    return err;
}

mw_err mw_catalogue_each(mw_catalogue *catalogue,
                         mw_err (*segment)(void *ctx, const mw_catalogue_segment *segment),
                         void *ctx)
{
    const row_reader reader = {.segment = segment, .ctx = ctx};
    return read_rows(catalogue, SQL_EACH, &reader);
}

mw_err mw_catalogue_read_losses(mw_catalogue *catalogue,
                                mw_err (*loss)(void *ctx, const mw_catalogue_loss *loss), void *ctx)
{
    const row_reader reader = {.loss = loss, .ctx = ctx};
    return read_rows(catalogue, SQL_EACH_LOSS, &reader);
}

static mw_err keep_loss(void *ctx, const mw_catalogue_loss *loss)
{
    return mw_catalogue_note_loss(ctx, loss);
}

void mw_catalogue_keep_losses(mw_catalogue *catalogue)
{
    const row_reader reader = {.loss = keep_loss, .ctx = catalogue, .passes_over = true};
    mw_err partly = catalogue->db ? read_rows(catalogue, SQL_EACH_LOSS, &reader) : MW_OK;
    (void)partly; /* it is damaged: what it gives is all there is */
}

mw_err mw_catalogue_each_loss(mw_catalogue *catalogue,
                              mw_err (*loss)(void *ctx, const mw_catalogue_loss *loss), void *ctx)
{
    mw_err err = MW_OK;
    if (!catalogue)
        return MW_OK;
    if (catalogue->version >= SCHEMA_VERSION)
        err = mw_catalogue_read_losses(catalogue, loss, ctx);
    for (size_t i = 0; err == MW_OK && i < catalogue->pending_count; i++)
        err = loss(ctx, &catalogue->pending[i]);
    return err;
}

mw_err mw_catalogue_verify(mw_catalogue *catalogue)
{
    sqlite3_stmt *statement = NULL;
    int64_t strays = 0;
    int code = sqlite3_prepare_v2(catalogue->db, "PRAGMA integrity_check(1)", -1, &statement, NULL);
    if (code == SQLITE_OK)
        code = sqlite3_step(statement);
    bool whole =
        code == SQLITE_ROW && strcmp((const char *)sqlite3_column_text(statement, 0), "ok") == 0;
    sqlite3_finalize(statement);
    if (code != SQLITE_ROW)
        return error_of(catalogue->db, code);
    mw_err err = read_number(catalogue->db,
                             "SELECT count(*) FROM segment WHERE blocks * kind <>"
                             " (SELECT count(*) FROM block WHERE block.segment = segment.id)",
                             &strays);
    return err != MW_OK ? err : whole && strays == 0 ? MW_OK : MW_E_CORRUPT;
}

/* ---- what is remembered ---------------------------------------------------------------------- */

static mw_err remember(mw_known_segments *out, const mw_catalogue_segment *row, bool lost)
{
    const mw_known_segment known = {.id = row->id,
                                    .kind = row->kind,
                                    .bytes = row->bytes,
                                    .blocks = row->blocks,
                                    .first_seq = row->first_seq,
                                    .last_seq = row->last_seq,
                                    .arrival_min_ns = row->arrival_min_ns,
                                    .arrival_max_ns = row->arrival_max_ns,
                                    .event_min_ns = row->event_min_ns,
                                    .event_max_ns = row->event_max_ns,
                                    .salt = row->salt,
                                    .lost = lost};
    return mw_known_add(out, &known);
}

static mw_err remember_row(void *ctx, const mw_catalogue_segment *row)
{
    return remember(ctx, row, false);
}

static mw_err remember_loss(void *ctx, const mw_catalogue_loss *loss)
{
    return loss->part == MW_LOSS_WHOLE ? remember(ctx, &loss->of, true) : MW_OK;
}

mw_err mw_catalogue_remember(mw_catalogue *catalogue, mw_known_segments *out)
{
    mw_err err = catalogue ? mw_catalogue_each(catalogue, remember_row, out) : MW_OK;
    return err == MW_OK ? mw_catalogue_each_loss(catalogue, remember_loss, out) : err;
}
