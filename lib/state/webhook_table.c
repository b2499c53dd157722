/* Webhook endpoints and the replay cache. Secrets are sealed here on the way in and opened on the
 * way out, bound to the id of their row. Called inside a transaction; text goes to the caller's
 * arena. */
#include <openssl/crypto.h>

#include "lib/state/rows_int.h"
#include "lib/state/webhooks.h"

/* Expired replays removed per insert: more than come in, so that the table stays as small as the
 * window. */
#define REPLAY_PRUNE 16
#define COLUMNS                                                                                    \
    "id, space, name, source, auth, created_ns, rotated_ns, enabled, rate_limit,"                  \
    " allowed_addresses, mapping_json, previous_until_ns, secret_sealed, previous_sealed"

static const char sql_insert[] =
    "INSERT INTO webhook(id, space, name, source, auth, created_ns, enabled, rate_limit,"
    " allowed_addresses, mapping_json, secret_sealed)"
    " SELECT ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?"
    " WHERE (SELECT count(*) FROM webhook) < " MW_SQL_CONSTANT(MW_WEBHOOKS_MAX);
static const char sql_all[] = "SELECT " COLUMNS " FROM webhook ORDER BY created_ns, id";
static const char sql_find[] = "SELECT id FROM webhook WHERE id >= ? AND id < ? LIMIT 2";
static const char sql_get[] = "SELECT " COLUMNS " FROM webhook WHERE id = ?";
static const char sql_rotate[] =
    "UPDATE webhook SET secret_sealed = ?, previous_sealed = ?, previous_until_ns = ?,"
    " rotated_ns = ? WHERE id = ?";
static const char sql_enable[] = "UPDATE webhook SET enabled = ? WHERE id = ?";
static const char sql_delete[] = "DELETE FROM webhook WHERE id = ?";
static const char sql_forget[] = "DELETE FROM replay WHERE webhook_id = ?";
static const char sql_replay_prune[] =
    "DELETE FROM replay WHERE seq IN"
    " (SELECT seq FROM replay WHERE expires_ns <= ? ORDER BY expires_ns LIMIT " MW_SQL_CONSTANT(
        REPLAY_PRUNE) ")";
/* An expired row is taken over; a live one is left, and no row changes. */
static const char sql_replay_insert[] =
    "INSERT INTO replay(webhook_id, digest, expires_ns) VALUES (?1, ?2, ?3)"
    " ON CONFLICT(webhook_id, digest) DO UPDATE SET expires_ns = excluded.expires_ns"
    " WHERE expires_ns <= ?4";

/* A secret's sealed form, to be freed; empty for none. */
static mw_err seal_secret(mw_state_tx *tx, mw_slice id, mw_slice secret, mw_slice *out)
{
    *out = MW_SLICE_NONE;
    if (!secret.len)
        return MW_OK;
    if (secret.len > MW_SEAL_PLAIN_MAX)
        return MW_E_LIMIT;
    uint8_t *sealed = mw_alloc(MW_MEM_STATE, secret.len + MW_SEAL_OVERHEAD);
    if (!sealed)
        return MW_E_NOMEM;
    *out = mw_slice_bytes(sealed, secret.len + MW_SEAL_OVERHEAD);
    return mw_seal(tx->state->key, id, secret, sealed);
}

static void free_sealed(mw_slice sealed)
{
    mw_free(MW_MEM_STATE, (void *)(uintptr_t)sealed.data);
}

static mw_err insert_sealed(mw_state_tx *tx, const mw_webhook_row *row, mw_slice sealed)
{
    mw_sql sql = mw_sql_prepare(tx, sql_insert);
    mw_sql_text(&sql, row->id);
    mw_sql_text(&sql, row->space);
    mw_sql_text(&sql, row->name);
    mw_sql_text(&sql, row->source);
    mw_sql_text(&sql, row->auth);
    mw_sql_i64(&sql, row->created_ns);
    mw_sql_i64(&sql, row->enabled);
    mw_sql_i64(&sql, (int64_t)row->rate_limit);
    mw_sql_text(&sql, row->allowed_addresses);
    mw_sql_text(&sql, row->mapping_json);
    mw_sql_blob(&sql, sealed);
    return mw_sql_change(&sql, MW_E_LIMIT);
}

mw_err mw_state_webhook_insert(mw_state_tx *tx, const mw_webhook_row *row)
{
    mw_slice sealed;
    mw_err err = seal_secret(tx, row->id, row->secret, &sealed);
    if (err == MW_OK)
        err = insert_sealed(tx, row, sealed);
    free_sealed(sealed);
    return err;
}

static mw_err open_secret(mw_state_tx *tx, mw_slice id, mw_slice sealed, mw_arena *arena,
                          mw_slice *out)
{
    *out = MW_SLICE("");
    if (!sealed.len)
        return MW_OK;
    uint8_t *plain = mw_arena_alloc(arena, sealed.len + 1);
    if (!plain)
        return MW_E_NOMEM;
    size_t len;
    mw_err err = mw_unseal(tx->state->key, id, sealed, plain, &len);
    if (err == MW_OK)
        *out = mw_slice_bytes(plain, len);
    return err;
}

static void take_webhook(mw_sql *sql, mw_arena *arena, void *out)
{
    mw_webhook_row *row = out;
    row->id = mw_sql_take_text(sql, arena);
    row->space = mw_sql_take_text(sql, arena);
    row->name = mw_sql_take_text(sql, arena);
    row->source = mw_sql_take_text(sql, arena);
    row->auth = mw_sql_take_text(sql, arena);
    row->created_ns = mw_sql_take_i64(sql);
    row->rotated_ns = mw_sql_take_i64(sql);
    row->enabled = mw_sql_take_i64(sql) != 0;
    row->rate_limit = (uint64_t)mw_sql_take_i64(sql);
    row->allowed_addresses = mw_sql_take_text(sql, arena);
    row->mapping_json = mw_sql_take_text(sql, arena);
    row->previous_until_ns = mw_sql_take_i64(sql);
    mw_slice sealed = mw_sql_take_text(sql, arena), previous = mw_sql_take_text(sql, arena);
    if (sql->err == MW_OK)
        sql->err = open_secret(sql->tx, row->id, sealed, arena, &row->secret);
    if (sql->err == MW_OK)
        sql->err = open_secret(sql->tx, row->id, previous, arena, &row->previous_secret);
}

mw_err mw_state_webhook_all(mw_state_tx *tx, mw_arena *arena, mw_webhook_row **rows, size_t *count)
{
    mw_sql sql = mw_sql_prepare(tx, sql_all);
    *rows = mw_rows_take(&sql, arena, take_webhook, sizeof **rows, count);
    return mw_sql_end(&sql);
}

mw_err mw_state_webhook_get(mw_state_tx *tx, mw_slice id_prefix, mw_arena *arena,
                            mw_webhook_row *out)
{
    static const mw_rows_by_id table = {sql_find, sql_get, take_webhook};
    return mw_rows_get(tx, &table, id_prefix, arena, out);
}

mw_err mw_state_webhook_rotate(mw_state_tx *tx, const mw_webhook_row *row)
{
    mw_slice sealed, previous = MW_SLICE_NONE;
    mw_err err = seal_secret(tx, row->id, row->secret, &sealed);
    if (err == MW_OK)
        err = seal_secret(tx, row->id, row->previous_secret, &previous);
    if (err == MW_OK) {
        mw_sql sql = mw_sql_prepare(tx, sql_rotate);
        mw_sql_blob(&sql, sealed);
        mw_sql_blob(&sql, previous);
        mw_sql_i64(&sql, row->previous_until_ns);
        mw_sql_i64(&sql, row->rotated_ns);
        mw_sql_text(&sql, row->id);
        err = mw_sql_change(&sql, MW_E_NOT_FOUND);
    }
    free_sealed(sealed);
    free_sealed(previous);
    return err;
}

mw_err mw_state_webhook_enable(mw_state_tx *tx, mw_slice id, bool enabled)
{
    mw_sql sql = mw_sql_prepare(tx, sql_enable);
    mw_sql_i64(&sql, enabled);
    mw_sql_text(&sql, id);
    return mw_sql_change(&sql, MW_E_NOT_FOUND);
}

mw_err mw_state_webhook_delete(mw_state_tx *tx, mw_slice id)
{
    mw_sql sql = mw_sql_prepare(tx, sql_delete);
    mw_sql_text(&sql, id);
    mw_err err = mw_sql_change(&sql, MW_E_NOT_FOUND);
    return err == MW_OK ? mw_sql_simple_with(tx, sql_forget, id) : err;
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
    return mw_sql_change(&sql, MW_E_CONFLICT);
}
