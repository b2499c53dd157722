/* Opening and closing state.db, its connections, and read transactions.
 *
 * The writer's connection and a fixed set of read-only ones are opened at start; readers are
 * handed out under a lock and come back after each question. A second SQLite file beside the
 * catalogue of telemetry: a verdict never waits for a telemetry commit. Neighbours: writer.c
 * (the thread), schema.c (tables), seal.c (key file).
 */
#include <errno.h>
#include <fcntl.h>
#include <openssl/crypto.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/base/io.h"
#include "lib/base/log.h"
#include "lib/base/sqlite_vfs.h"
#include "lib/state/key_check_int.h"
#include "lib/state/rows_int.h"

/* Somebody may look at the file with sqlite3; our own writer is alone. */
#define BUSY_TIMEOUT_MS 5000
/* The largest row is an alarm: a body of 256 KiB, its description again, and overhead; a root
 * cause or plan stays below a mebibyte. */
#define ROW_BYTES_MAX (4 << 20)
#define SQL_BYTES_MAX (64 << 10)
#define EXPRESSION_DEPTH_MAX 64

static const char sql_begin_read[] = "BEGIN";
static const char sql_end_read[] = "COMMIT";

/* What every connection gets. FULL: an acknowledged commit survives power loss. Caches are in KiB:
 * the writer's holds the pages that a storm of alarms touches again and again, ends of tables and
 * indexes by random ids. Checkpoints are checkpoint.c's. */
static const char pragmas[] = "PRAGMA foreign_keys = ON;"
                              "PRAGMA synchronous = FULL;"
                              "PRAGMA temp_store = MEMORY;";
static const char pragmas_writer[] = "PRAGMA journal_mode = WAL;"
                                     "PRAGMA journal_size_limit = 16777216;"
                                     "PRAGMA wal_autocheckpoint = 0;"
                                     "PRAGMA cache_size = -8192;";
static const char pragmas_reader[] = "PRAGMA query_only = ON;"
                                     "PRAGMA cache_size = -1024;";
static const char pragmas_checkpoints[] = "PRAGMA wal_autocheckpoint = 0;"
                                          "PRAGMA cache_size = -64;";

/* ---- one connection ------------------------------------------------------------------------ */

static mw_err open_failed(sqlite3 *db, int code, mw_detail *detail)
{
    return mw_detail_set(detail, mw_sql_error(db, code), "state", NULL,
                         "cannot open the state file: %s",
                         db ? sqlite3_errmsg(db) : sqlite3_errstr(code));
}

static void limit_connection(sqlite3 *db)
{
    sqlite3_db_config(db, SQLITE_DBCONFIG_DEFENSIVE, 1, NULL);
    sqlite3_db_config(db, SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0, NULL);
    sqlite3_db_config(db, SQLITE_DBCONFIG_ENABLE_LOAD_EXTENSION, 0, NULL);
    sqlite3_db_config(db, SQLITE_DBCONFIG_ENABLE_TRIGGER, 0, NULL);
    sqlite3_db_config(db, SQLITE_DBCONFIG_ENABLE_VIEW, 0, NULL);
    sqlite3_limit(db, SQLITE_LIMIT_LENGTH, ROW_BYTES_MAX);
    sqlite3_limit(db, SQLITE_LIMIT_SQL_LENGTH, SQL_BYTES_MAX);
    sqlite3_limit(db, SQLITE_LIMIT_EXPR_DEPTH, EXPRESSION_DEPTH_MAX);
    sqlite3_limit(db, SQLITE_LIMIT_ATTACHED, 0);
    sqlite3_busy_timeout(db, BUSY_TIMEOUT_MS);
    sqlite3_extended_result_codes(db, 1);
}

static mw_err open_connection(mw_state *state, const char *path, int flags, mw_state_tx *tx,
                              mw_detail *detail)
{
    tx->state = state;
    /* One thread at a time per connection, so SQLite's own mutex would be waste. */
    int code = sqlite3_open_v2(path, &tx->db, flags | SQLITE_OPEN_NOMUTEX, mw_sqlite_vfs());
    if (code != SQLITE_OK)
        return open_failed(tx->db, code, detail);
    limit_connection(tx->db);
    return MW_OK;
}

static mw_err apply(mw_state_tx *tx, const char *script, mw_detail *detail)
{
    int code = sqlite3_exec(tx->db, script, NULL, NULL, NULL);
    return code == SQLITE_OK ? MW_OK : open_failed(tx->db, code, detail);
}

static void close_connection(mw_state_tx *tx)
{
    for (unsigned i = 0; i < tx->statement_count; i++)
        sqlite3_finalize(tx->statements[i].prepared);
    tx->statement_count = 0;
    if (sqlite3_close(tx->db) != SQLITE_OK)
        mw_bug(__FILE__, __LINE__, "a statement outlived its connection");
    tx->db = NULL;
}

/* ---- open ---------------------------------------------------------------------------------- */

/* SQLite gives its -wal and -shm files the mode of this one. */
static mw_err make_file(const char *path, mw_detail *detail)
{
    int fd = mw_io_current()->open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (fd < 0) {
        mw_err err = errno == ENOSPC || errno == EDQUOT || errno == EROFS ? MW_E_NO_SPACE : MW_E_IO;
        return mw_detail_set(detail, err, "state", NULL, "cannot open %s: %s", path,
                             strerrordesc_np(errno));
    }
    bool closed_to_others = fchmod(fd, 0600) == 0;
    close(fd);
    if (!closed_to_others)
        return mw_detail_set(detail, MW_E_IO, "state", NULL, "cannot set the mode of %s", path);
    if (mw_io_sync_parent(path) != MW_OK)
        return mw_detail_set(detail, MW_E_IO, "state", NULL, "cannot sync the directory of %s",
                             path);
    return MW_OK;
}

static mw_err open_writer(mw_state *state, const mw_state_config *config, mw_detail *detail)
{
    mw_state_tx *tx = &state->writer;
    mw_err err = make_file(config->path, detail);
    if (err == MW_OK)
        err = open_connection(state, config->path, SQLITE_OPEN_READWRITE, tx, detail);
    if (err == MW_OK)
        err = mw_schema_identify(tx, detail);
    if (err == MW_OK)
        err = apply(tx, pragmas_writer, detail);
    if (err == MW_OK)
        err = apply(tx, pragmas, detail);
    if (err == MW_OK)
        err = mw_schema_migrate(tx, mw_clock_wall_ns(state->clock), detail);
    return err;
}

static mw_err open_readers(mw_state *state, const mw_state_config *config, mw_detail *detail)
{
    unsigned wanted = config->readers ? config->readers : 1;
    state->readers = mw_calloc_or_die(MW_MEM_STATE, wanted, sizeof *state->readers);
    for (unsigned i = 0; i < wanted; i++) {
        mw_state_tx *tx = &state->readers[i];
        mw_err err = open_connection(state, config->path, SQLITE_OPEN_READONLY, tx, detail);
        state->reader_count++;
        if (err == MW_OK)
            err = apply(tx, pragmas, detail);
        if (err == MW_OK)
            err = apply(tx, pragmas_reader, detail);
        if (err != MW_OK)
            return err;
        tx->next_free = state->free_readers;
        state->free_readers = tx;
    }
    return MW_OK;
}

static mw_err open_checkpoints(mw_state *state, const mw_state_config *config, mw_detail *detail)
{
    mw_state_tx *tx = &state->checkpoints;
    mw_err err = open_connection(state, config->path, SQLITE_OPEN_READWRITE, tx, detail);
    if (err == MW_OK)
        err = apply(tx, pragmas, detail);
    return err == MW_OK ? apply(tx, pragmas_checkpoints, detail) : err;
}

/* ---- the key ------------------------------------------------------------------------------- */

/* For a fresh database only: for an old one it would silently make all its secrets unreadable. A
 * key file that is there already is taken. */
static mw_err fresh_key(mw_state *state, const mw_state_config *config, mw_detail *detail)
{
    mw_err err = mw_seal_key_load(config->key_path, state->key, detail);
    if (err == MW_E_NOT_FOUND) {
        err = mw_seal_key_create(config->key_path, detail);
        if (err == MW_OK)
            err = mw_seal_key_load(config->key_path, state->key, detail);
    }
    if (err != MW_OK)
        return err;
    err = mw_key_check_write(&state->writer, state->key);
    return err == MW_OK ? err
                        : mw_detail_set(detail, err, "state", NULL,
                                        "cannot write the state file: %s", mw_err_text(err));
}

static mw_err load_key(mw_state *state, const mw_state_config *config, mw_detail *detail)
{
    mw_arena arena;
    mw_arena_init(&arena, MW_MEM_STATE, 0);
    mw_slice sealed;
    mw_err err = mw_key_check_read(&state->writer, &arena, &sealed);
    if (err != MW_OK)
        mw_detail_set(detail, err, "state", NULL, "cannot read the state file: %s",
                      mw_err_text(err));
    else if (sealed.len)
        err = mw_key_check_load(config->key_path, sealed, state->key, detail);
    else
        err = fresh_key(state, config, detail);
    mw_arena_reset(&arena);
    return err;
}

/* ---- life ---------------------------------------------------------------------------------- */

static void free_state(mw_state *state)
{
    for (unsigned i = 0; i < state->reader_count; i++)
        close_connection(&state->readers[i]);
    close_connection(&state->checkpoints);
    close_connection(&state->writer);
    mw_free(MW_MEM_STATE, state->readers);
    pthread_cond_destroy(&state->reader_returned);
    pthread_mutex_destroy(&state->readers_lock);
    mw_queue_fini(&state->queue);
    OPENSSL_cleanse(state->key, sizeof state->key);
    mw_free(MW_MEM_STATE, state);
}

mw_err mw_state_open(const mw_state_config *config, mw_state **out, mw_detail *detail)
{
    mw_state *state = mw_calloc_or_die(MW_MEM_STATE, 1, sizeof *state);
    state->clock = config->clock;
    state->writable = true;
    mw_queue_init(&state->queue, config->queue_budget_bytes);
    if (pthread_mutex_init(&state->readers_lock, NULL) != 0 ||
        pthread_cond_init(&state->reader_returned, NULL) != 0)
        mw_bug(__FILE__, __LINE__, "pthread initialisation failed");
    mw_err err = open_writer(state, config, detail);
    if (err == MW_OK)
        err = load_key(state, config, detail);
    if (err == MW_OK)
        err = open_readers(state, config, detail);
    if (err == MW_OK)
        err = open_checkpoints(state, config, detail);
    if (err != MW_OK) {
        free_state(state);
        return err;
    }
    mw_state_checkpoints_start(state, config->log_pages);
    mw_state_writer_start(state);
    *out = state;
    return MW_OK;
}

void mw_state_close(mw_state *state)
{
    if (!state)
        return;
    mw_state_writer_stop(state);
    mw_state_checkpoints_stop(state);
    MW_ASSERT(state->readers_out == 0);
    /* Clean files for whoever copies them; what fails here is done again at the next start. */
    int code =
        sqlite3_wal_checkpoint_v2(state->writer.db, NULL, SQLITE_CHECKPOINT_TRUNCATE, NULL, NULL);
    if (code != SQLITE_OK)
        MW_LOG(MW_LOG_WARN, "state", "checkpoint at close failed", MW_KV_I64("code", code));
    free_state(state);
}

/* ---- reading ------------------------------------------------------------------------------- */

static void return_reader(mw_state_tx *tx)
{
    mw_state *state = tx->state;
    pthread_mutex_lock(&state->readers_lock);
    tx->next_free = state->free_readers;
    state->free_readers = tx;
    state->readers_out--;
    pthread_cond_signal(&state->reader_returned);
    pthread_mutex_unlock(&state->readers_lock);
}

mw_err mw_state_read_begin(mw_state *state, mw_state_tx **out)
{
    pthread_mutex_lock(&state->readers_lock);
    while (!state->free_readers)
        pthread_cond_wait(&state->reader_returned, &state->readers_lock);
    mw_state_tx *tx = state->free_readers;
    state->free_readers = tx->next_free;
    state->readers_out++;
    pthread_mutex_unlock(&state->readers_lock);
    mw_err err = mw_sql_simple(tx, sql_begin_read);
    if (err != MW_OK) {
        return_reader(tx);
        return err;
    }
    *out = tx;
    return MW_OK;
}

void mw_state_read_end(mw_state_tx *tx)
{
    MW_ASSERT(tx != &tx->state->writer);
    if (mw_sql_simple(tx, sql_end_read) != MW_OK && !sqlite3_get_autocommit(tx->db))
        sqlite3_exec(tx->db, "ROLLBACK", NULL, NULL, NULL);
    return_reader(tx);
}

void mw_state_stats_read(mw_state *state, mw_state_stats *out)
{
    *out = (mw_state_stats){.queue_bytes = mw_queue_bytes(&state->queue),
                            .queue_count = mw_queue_count(&state->queue),
                            .writable = __atomic_load_n(&state->writable, __ATOMIC_RELAXED)};
}
