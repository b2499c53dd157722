/* Webhook endpoints and the replay cache. Secrets are sealed here on the way in and opened on the
 * way out, bound to the id of their row. Called inside a transaction; text goes to the caller's
 * arena. */
#include <openssl/crypto.h>

#include "lib/state/rows_int.h"

/* Expired replays removed per insert: more than come in, so that the table stays as small as the
 * window. */
#define REPLAY_PRUNE 16
#define TEXT_(value) #value
#define TEXT(value) TEXT_(value)

static const char sql_insert[] =
    "INSERT INTO webhook(id, space, name, source, secret_sealed, created_ns, enabled)"
    " VALUES (?, ?, ?, ?, ?, ?, ?)";
static const char sql_all[] =
    "SELECT id, space, name, source, created_ns, enabled, secret_sealed FROM webhook"
    " ORDER BY created_ns, id";
static const char sql_replay_prune[] =
    "DELETE FROM replay WHERE seq IN"
    " (SELECT seq FROM replay WHERE expires_ns <= ? ORDER BY expires_ns LIMIT " TEXT(
        REPLAY_PRUNE) ")";
/* An expired row is taken over; a live one is left, and no row changes. */
static const char sql_replay_insert[] =
    "INSERT INTO replay(webhook_id, digest, expires_ns) VALUES (?1, ?2, ?3)"
    " ON CONFLICT(webhook_id, digest) DO UPDATE SET expires_ns = excluded.expires_ns"
    " WHERE expires_ns <= ?4";

mw_err mw_state_webhook_insert(mw_state_tx *tx, const mw_webhook_row *row)
{
    if (row->secret.len > MW_SEAL_PLAIN_MAX)
        return MW_E_LIMIT;
    size_t sealed_len = row->secret.len + MW_SEAL_OVERHEAD;
    uint8_t *sealed = mw_alloc(MW_MEM_STATE, sealed_len);
    if (!sealed)
        return MW_E_NOMEM;
    mw_err err = mw_seal(tx->state->key, row->id, row->secret, sealed);
    if (err == MW_OK) {
        mw_sql sql = mw_sql_prepare(tx, sql_insert);
        mw_sql_text(&sql, row->id);
        mw_sql_text(&sql, row->space);
        mw_sql_text(&sql, row->name);
        mw_sql_text(&sql, row->source);
        mw_sql_blob(&sql, mw_slice_bytes(sealed, sealed_len));
        mw_sql_i64(&sql, row->created_ns);
        mw_sql_i64(&sql, row->enabled);
        err = mw_sql_run(&sql);
    }
    mw_free(MW_MEM_STATE, sealed);
    return err;
}

static mw_err open_secret(mw_state_tx *tx, mw_slice sealed, mw_arena *arena, mw_webhook_row *row)
{
    uint8_t *plain = mw_arena_alloc(arena, sealed.len + 1);
    if (!plain)
        return MW_E_NOMEM;
    size_t len;
    mw_err err = mw_unseal(tx->state->key, row->id, sealed, plain, &len);
    if (err == MW_OK)
        row->secret = mw_slice_bytes(plain, len);
    return err;
}

static void take_webhook(mw_sql *sql, mw_arena *arena, mw_webhook_row *row)
{
    row->id = mw_sql_take_text(sql, arena);
    row->space = mw_sql_take_text(sql, arena);
    row->name = mw_sql_take_text(sql, arena);
    row->source = mw_sql_take_text(sql, arena);
    row->created_ns = mw_sql_take_i64(sql);
    row->enabled = mw_sql_take_i64(sql) != 0;
    mw_slice sealed = mw_sql_take_text(sql, arena);
    if (sql->err == MW_OK)
        sql->err = open_secret(sql->tx, sealed, arena, row);
}

mw_err mw_state_webhook_all(mw_state_tx *tx, mw_arena *arena, mw_webhook_row **rows, size_t *count)
{
    void *array = NULL;
    size_t capacity = 0;
    *count = 0;
    mw_sql sql = mw_sql_prepare(tx, sql_all);
    while (mw_sql_step(&sql)) {
        mw_webhook_row *row = mw_rows_add(arena, &array, count, &capacity, sizeof *row);
        if (row)
            take_webhook(&sql, arena, row);
        else
            sql.err = MW_E_NOMEM;
    }
    *rows = array;
    return mw_sql_end(&sql);
}

mw_err mw_state_replay_insert(mw_state_tx *tx, mw_slice webhook_id, const uint8_t digest[32],
                              int64_t now_ns, int64_t expires_ns)
{
    mw_sql prune = mw_sql_prepare(tx, sql_replay_prune);
    mw_sql_i64(&prune, now_ns);
    mw_err err = mw_sql_run(&prune);
    if (err != MW_OK)
        return err;
    mw_sql sql = mw_sql_prepare(tx, sql_replay_insert);
    mw_sql_text(&sql, webhook_id);
    mw_sql_blob(&sql, mw_slice_bytes(digest, 32));
    mw_sql_i64(&sql, expires_ns);
    mw_sql_i64(&sql, now_ns);
    err = mw_sql_run(&sql);
    if (err == MW_OK && sqlite3_changes(tx->db) == 0)
        return MW_E_CONFLICT;
    return err;
}
