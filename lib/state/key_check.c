/* The key file and its database. See key_check_int.h. */
#include "lib/state/key_check_int.h"

#define KEY_CHECK MW_SLICE("key_check")

static const char sql_setting_get[] = "SELECT value FROM setting WHERE key = ?";
static const char sql_setting_put[] = "INSERT INTO setting(key, value) VALUES (?, ?)";

mw_err mw_key_check_read(mw_state_tx *tx, mw_arena *arena, mw_slice *sealed)
{
    mw_sql sql = mw_sql_prepare(tx, sql_setting_get);
    *sealed = MW_SLICE_NONE;
    mw_sql_text(&sql, KEY_CHECK);
    while (mw_sql_step(&sql))
        *sealed = mw_sql_take_text(&sql, arena);
    return mw_sql_end(&sql);
}

mw_err mw_key_check_write(mw_state_tx *tx, const uint8_t key[MW_SEAL_KEY_SIZE])
{
    uint8_t sealed[sizeof "key_check" + MW_SEAL_OVERHEAD];
    mw_err err = mw_seal(key, KEY_CHECK, KEY_CHECK, sealed);
    if (err != MW_OK)
        return err;
    mw_sql sql = mw_sql_prepare(tx, sql_setting_put);
    mw_sql_text(&sql, KEY_CHECK);
    mw_sql_blob(&sql, mw_slice_bytes(sealed, KEY_CHECK.len + MW_SEAL_OVERHEAD));
    return mw_sql_run(&sql);
}

static bool opens(const uint8_t key[MW_SEAL_KEY_SIZE], mw_slice sealed)
{
    uint8_t plain[64];
    size_t len;
    return sealed.len >= MW_SEAL_OVERHEAD && sealed.len - MW_SEAL_OVERHEAD <= sizeof plain &&
           mw_unseal(key, KEY_CHECK, sealed, plain, &len) == MW_OK;
}

mw_err mw_key_check_load(const char *key_path, mw_slice sealed, uint8_t key[MW_SEAL_KEY_SIZE],
                         mw_detail *detail)
{
    mw_err err = mw_seal_key_load(key_path, key, detail);
    if (err == MW_E_NOT_FOUND)
        return mw_detail_set(detail, MW_E_CORRUPT, "key", "restore it from a backup",
                             "the key file %s is missing; it opens the secrets of this database",
                             key_path);
    if (err == MW_OK && !opens(key, sealed))
        return mw_detail_set(detail, MW_E_CORRUPT, "key", "restore the key file of this database",
                             "the key file does not fit the state file");
    return err;
}
