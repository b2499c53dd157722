/* Tokens, the switch of each space, and refusals in the audit. Called inside a transaction; text
 * goes to the caller's arena. A token itself never comes here: its keyed digest does. */
#include <openssl/evp.h>
#include <openssl/hmac.h>

#include "lib/state/rows_int.h"
#include "lib/state/tokens.h"

#define COLUMNS                                                                                    \
    "id, space, name, scopes, digest, allowed_addresses, created_ns, rotated_ns, revoked_ns,"      \
    " expires_ns, days"
/* Says what the derived key is for, so that it is good for nothing else. */
#define PEPPER_PURPOSE "midwatch token pepper 1"

static const char sql_insert[] =
    "INSERT INTO token(" COLUMNS ") SELECT ?1, ?2, ?3, ?4, ?5, ?6, ?7, 0, 0, ?8, ?9"
    " WHERE (SELECT count(*) FROM token WHERE space = ?2 AND revoked_ns = 0)"
    " < " MW_SQL_CONSTANT(MW_TOKENS_OF_SPACE_MAX);
static const char sql_all[] = "SELECT " COLUMNS " FROM token ORDER BY created_ns, id";
static const char sql_find[] = "SELECT id FROM token WHERE id >= ? AND id < ? LIMIT 2";
static const char sql_get[] = "SELECT " COLUMNS " FROM token WHERE id = ?";
static const char sql_rotate[] =
    "UPDATE token SET digest = ?, rotated_ns = ?, expires_ns = ? WHERE id = ? AND revoked_ns = 0";
static const char sql_revoke[] = "UPDATE token SET revoked_ns = ? WHERE id = ? AND revoked_ns = 0";
static const char sql_prune[] =
    "DELETE FROM token WHERE id IN (SELECT t.id FROM token t WHERE t.revoked_ns > 0"
    " AND t.space = (SELECT space FROM token WHERE id = ?)"
    " ORDER BY t.revoked_ns DESC LIMIT -1 OFFSET " MW_SQL_CONSTANT(MW_TOKENS_OF_SPACE_MAX) ")";
static const char sql_known[] = "SELECT count(*) FROM token WHERE id = ?";
static const char sql_forget[] = "DELETE FROM token WHERE space = ?";
static const char sql_audit_forget[] =
    "UPDATE audit SET space = '' WHERE space = ? AND space <> ''";
static const char sql_access_all[] = "SELECT space FROM token_access ORDER BY space";
static const char sql_access_on[] =
    "INSERT INTO token_access(space, changed_ns) VALUES (?, ?) ON CONFLICT(space) DO NOTHING";
static const char sql_access_off[] = "DELETE FROM token_access WHERE space = ?";
static const char sql_refusals_prune[] =
    "DELETE FROM audit WHERE seq IN (SELECT seq FROM audit WHERE outcome = 'denied'"
    " ORDER BY seq DESC LIMIT -1 OFFSET " MW_SQL_CONSTANT(MW_AUDIT_REFUSALS_MAX) ")";

void mw_state_token_pepper(const mw_state *state, uint8_t out[MW_STATE_PEPPER_SIZE])
{
    unsigned len = 0;
    static const unsigned char purpose[] = PEPPER_PURPOSE;
    if (!HMAC(EVP_sha256(), state->key, (int)sizeof state->key, purpose, sizeof purpose - 1, out,
              &len) ||
        len != MW_STATE_PEPPER_SIZE)
        mw_bug(__FILE__, __LINE__, "no memory for a digest at start");
}

mw_err mw_state_token_insert(mw_state_tx *tx, const mw_token_row *row)
{
    mw_sql sql = mw_sql_prepare(tx, sql_insert);
    mw_sql_text(&sql, row->id);
    mw_sql_text(&sql, row->space);
    mw_sql_text(&sql, row->name);
    mw_sql_text(&sql, row->scopes);
    mw_sql_blob(&sql, row->digest);
    mw_sql_text(&sql, row->allowed_addresses);
    mw_sql_i64(&sql, row->created_ns);
    mw_sql_i64(&sql, row->expires_ns);
    mw_sql_i64(&sql, (int64_t)row->days);
    return mw_sql_change(&sql, MW_E_LIMIT);
}

static void take_token(mw_sql *sql, mw_arena *arena, void *out)
{
    mw_token_row *row = out;
    row->id = mw_sql_take_text(sql, arena);
    row->space = mw_sql_take_text(sql, arena);
    row->name = mw_sql_take_text(sql, arena);
    row->scopes = mw_sql_take_text(sql, arena);
    row->digest = mw_sql_take_text(sql, arena);
    row->allowed_addresses = mw_sql_take_text(sql, arena);
    row->created_ns = mw_sql_take_i64(sql);
    row->rotated_ns = mw_sql_take_i64(sql);
    row->revoked_ns = mw_sql_take_i64(sql);
    row->expires_ns = mw_sql_take_i64(sql);
    row->days = (uint64_t)mw_sql_take_i64(sql);
}

mw_err mw_state_token_all(mw_state_tx *tx, mw_arena *arena, mw_token_row **rows, size_t *count)
{
    mw_sql sql = mw_sql_prepare(tx, sql_all);
    *rows = mw_rows_take(&sql, arena, take_token, sizeof **rows, count);
    return mw_sql_end(&sql);
}

mw_err mw_state_token_get(mw_state_tx *tx, mw_slice id_prefix, mw_arena *arena, mw_token_row *out)
{
    static const mw_rows_by_id table = {sql_find, sql_get, take_token};
    return mw_rows_get(tx, &table, id_prefix, arena, out);
}

/* A change that left every row as it was: there is no such token, or it is revoked. */
static mw_err unchanged(mw_state_tx *tx, mw_slice id)
{
    int64_t known = 0;
    mw_sql sql = mw_sql_prepare(tx, sql_known);
    mw_sql_text(&sql, id);
    mw_err err = mw_sql_number(&sql, &known);
    return err != MW_OK ? err : known ? MW_E_CONFLICT : MW_E_NOT_FOUND;
}

mw_err mw_state_token_rotate(mw_state_tx *tx, const mw_token_row *row)
{
    mw_sql sql = mw_sql_prepare(tx, sql_rotate);
    mw_sql_blob(&sql, row->digest);
    mw_sql_i64(&sql, row->rotated_ns);
    mw_sql_i64(&sql, row->expires_ns);
    mw_sql_text(&sql, row->id);
    mw_err err = mw_sql_run(&sql);
    return err == MW_OK && sqlite3_changes(tx->db) == 0 ? unchanged(tx, row->id) : err;
}

mw_err mw_state_token_revoke(mw_state_tx *tx, mw_slice id, int64_t now_ns)
{
    mw_sql sql = mw_sql_prepare(tx, sql_revoke);
    mw_sql_i64(&sql, now_ns);
    mw_sql_text(&sql, id);
    mw_err err = mw_sql_run(&sql);
    if (err != MW_OK)
        return err;
    if (sqlite3_changes(tx->db) == 0)
        return unchanged(tx, id);
    return mw_sql_simple_with(tx, sql_prune, id);
}

mw_err mw_state_token_forget_space(mw_state_tx *tx, mw_slice space)
{
    mw_err err = mw_sql_simple_with(tx, sql_forget, space);
    if (err == MW_OK)
        err = mw_sql_simple_with(tx, sql_access_off, space);
    return err == MW_OK ? mw_sql_simple_with(tx, sql_audit_forget, space) : err;
}

static void take_space(mw_sql *sql, mw_arena *arena, void *out)
{
    mw_slice *space = out;
    *space = mw_sql_take_text(sql, arena);
}

mw_err mw_state_token_access_all(mw_state_tx *tx, mw_arena *arena, mw_slice **spaces, size_t *count)
{
    mw_sql sql = mw_sql_prepare(tx, sql_access_all);
    *spaces = mw_rows_take(&sql, arena, take_space, sizeof **spaces, count);
    return mw_sql_end(&sql);
}

mw_err mw_state_token_access_set(mw_state_tx *tx, mw_slice space, bool on, int64_t now_ns)
{
    if (!on)
        return mw_sql_simple_with(tx, sql_access_off, space);
    mw_sql sql = mw_sql_prepare(tx, sql_access_on);
    mw_sql_text(&sql, space);
    mw_sql_i64(&sql, now_ns);
    return mw_sql_run(&sql);
}

mw_err mw_state_audit_refusal(mw_state_tx *tx, const mw_audit_row *row)
{
    MW_ASSERT(mw_slice_equal(row->outcome, MW_SLICE("denied")));
    mw_err err = mw_state_audit_insert(tx, row);
    return err == MW_OK ? mw_sql_simple(tx, sql_refusals_prune) : err;
}
