/* Offline verification of state.db, for `midwatch check`. One thread, a connection of its own;
 * reads only, and takes no lock that the daemon's writer would wait for (it is in WAL mode). */
#include <openssl/crypto.h>
#include <sqlite3.h>
#include <sys/stat.h>

#include "lib/base/buffer.h"
#include "lib/state/key_check_int.h"
#include "lib/state/webhooks.h"

static const char sql_integrity[] = "PRAGMA integrity_check(1)";
static const char sql_foreign_keys[] = "PRAGMA foreign_key_check";
/* Of files that this version has opened. */
static const char sql_is_current[] = "SELECT count(*) FROM sqlite_schema WHERE name = 'token'";
static const char sql_odd_digests[] = "SELECT count(*) FROM token WHERE length(digest) <> 32";

static bool is_there(const char *path, const char *suffix)
{
    char whole[4096];
    struct stat status;
    int len = snprintf(whole, sizeof whole, "%s%s", path, suffix);
    return len > 0 && (size_t)len < sizeof whole && stat(whole, &status) == 0;
}

/* The path as a URI: only unreserved characters and slashes stand for themselves. */
static bool append_uri(mw_buffer *out, const char *path, const char *query)
{
    mw_buffer_appendf(out, "file:");
    for (const char *c = path; *c; c++) {
        bool plain = (*c >= 'a' && *c <= 'z') || (*c >= 'A' && *c <= 'Z') ||
                     (*c >= '0' && *c <= '9') || (*c && strchr("/-._~", *c));
        if (plain)
            mw_buffer_append_byte(out, *c);
        else
            mw_buffer_appendf(out, "%%%02X", (unsigned char)*c);
    }
    mw_buffer_appendf(out, "%s", query);
    mw_buffer_append_byte(out, '\0');
    return out->err == MW_OK;
}

/* A daemon that runs, or was killed, has left a log beside the file: it is read as well. Without
 * one nobody writes, and `immutable` keeps SQLite from making files of its own here. */
static mw_err connect_to(const char *path, mw_state_tx *tx)
{
    mw_buffer uri;
    mw_buffer_init(&uri, MW_MEM_STATE, 16384);
    bool written =
        append_uri(&uri, path, is_there(path, "-wal") ? "?mode=ro" : "?mode=ro&immutable=1");
    int code = SQLITE_NOMEM;
    if (written)
        code = sqlite3_open_v2(uri.data, &tx->db,
                               SQLITE_OPEN_READONLY | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_URI, NULL);
    mw_buffer_fini(&uri);
    if (code != SQLITE_OK)
        return mw_sql_error(tx->db, code);
    sqlite3_db_config(tx->db, SQLITE_DBCONFIG_DEFENSIVE, 1, NULL);
    sqlite3_db_config(tx->db, SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0, NULL);
    sqlite3_limit(tx->db, SQLITE_LIMIT_ATTACHED, 0);
    sqlite3_extended_result_codes(tx->db, 1);
    return MW_OK;
}

static mw_err damaged(mw_detail *detail, const char *what)
{
    return mw_detail_set(detail, MW_E_CORRUPT, "state",
                         "stop the daemon, keep a copy of state.db and restore a backup", "%s",
                         what);
}

/* SQLite's own words about the first page or row that is no good. */
static mw_err check_pages(mw_state_tx *tx, mw_detail *detail)
{
    char words[160] = "the state file cannot be read to its end";
    mw_sql sql = mw_sql_prepare(tx, sql_integrity);
    bool whole = false;
    while (mw_sql_step(&sql)) {
        const void *text = sqlite3_column_blob(sql.statement, 0);
        size_t len = (size_t)sqlite3_column_bytes(sql.statement, 0);
        mw_slice said = mw_slice_bytes(text, len);
        whole = mw_slice_equal(said, MW_SLICE("ok"));
        mw_slice_to_cstr(said, words, sizeof words);
    }
    mw_err err = mw_sql_end(&sql);
    if (err == MW_E_CORRUPT || (err == MW_OK && !whole))
        return damaged(detail, words);
    return err;
}

static mw_err check_references(mw_state_tx *tx, mw_detail *detail)
{
    mw_sql sql = mw_sql_prepare(tx, sql_foreign_keys);
    bool dangling = false;
    while (mw_sql_step(&sql))
        dangling = true;
    mw_err err = mw_sql_end(&sql);
    if (err == MW_E_CORRUPT || (err == MW_OK && dangling))
        return damaged(detail, "a row of the state file refers to one that is not there");
    return err;
}

static mw_err count_of(mw_state_tx *tx, const char *text, int64_t *count)
{
    mw_sql sql = mw_sql_prepare(tx, text);
    *count = 0;
    while (mw_sql_step(&sql))
        *count = mw_sql_take_i64(&sql);
    return mw_sql_end(&sql);
}

static void wipe(const mw_webhook_row *rows, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        OPENSSL_cleanse((void *)(uintptr_t)rows[i].secret.data, rows[i].secret.len);
        OPENSSL_cleanse((void *)(uintptr_t)rows[i].previous_secret.data,
                        rows[i].previous_secret.len);
    }
}

/* Each sealed secret opens, and each token has a digest that a look-up could find. */
static mw_err check_secrets(mw_state_tx *tx, mw_arena *arena, mw_detail *detail)
{
    mw_webhook_row *rows = NULL;
    size_t count = 0;
    int64_t current = 0, odd = 0;
    mw_err err = count_of(tx, sql_is_current, &current);
    if (err != MW_OK || !current)
        return err;
    err = mw_state_webhook_all(tx, arena, &rows, &count);
    wipe(rows, count);
    if (err == MW_E_CORRUPT)
        return damaged(detail, "the secret of a webhook cannot be opened");
    if (err == MW_OK)
        err = count_of(tx, sql_odd_digests, &odd);
    return err == MW_OK && odd ? damaged(detail, "a token has no digest that could be found") : err;
}

static mw_err check_key(mw_state_tx *tx, const char *key_path, mw_detail *detail)
{
    mw_arena arena;
    mw_slice sealed;
    mw_arena_init(&arena, MW_MEM_STATE, 0);
    mw_err err = mw_key_check_read(tx, &arena, &sealed);
    if (err == MW_OK && sealed.len)
        err = mw_key_check_load(key_path, sealed, tx->state->key, detail);
    if (err == MW_OK && sealed.len)
        err = check_secrets(tx, &arena, detail);
    mw_arena_reset(&arena);
    return err;
}

/* A file that no start has filled yet has neither rows nor a key. */
static mw_err check_all(mw_state_tx *tx, const char *key_path, mw_detail *detail)
{
    bool filled = false;
    mw_err err = mw_schema_identify(tx, detail);
    if (err == MW_OK)
        err = mw_schema_known(tx, &filled, detail);
    if (err == MW_OK)
        err = check_pages(tx, detail);
    if (err == MW_OK)
        err = check_references(tx, detail);
    if (err == MW_OK && filled)
        err = check_key(tx, key_path, detail);
    return err;
}

mw_err mw_state_verify(const char *path, const char *key_path, mw_detail *detail)
{
    mw_state opened = {.clock = NULL}; /* for its key alone */
    mw_state_tx tx = {.state = &opened};
    if (!is_there(path, ""))
        return MW_E_NOT_FOUND;
    mw_err err = connect_to(path, &tx);
    if (err == MW_OK)
        err = check_all(&tx, key_path, detail);
    for (unsigned i = 0; i < tx.statement_count; i++)
        sqlite3_finalize(tx.statements[i].prepared);
    sqlite3_close(tx.db);
    OPENSSL_cleanse(opened.key, sizeof opened.key);
    if (err == MW_E_CORRUPT && detail && !detail->message[0])
        return damaged(detail, "the state file is damaged");
    if (err != MW_OK && detail && !detail->message[0])
        mw_detail_set(detail, err, "state", "", "cannot read the state file: %s", mw_err_text(err));
    return err;
}
