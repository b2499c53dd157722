/* Does the key file fit the database? A constant sealed with the key lies in the database: setting
 * "key_check". Used when the state is opened, and by its verification.
 */
#ifndef MW_STATE_KEY_CHECK_INT_H
#define MW_STATE_KEY_CHECK_INT_H

#include "lib/base/arena.h"
#include "lib/state/rows_int.h"
#include "lib/state/seal_int.h"

/* *sealed is in the arena; empty in a fresh database. Errors of SQL. */
MW_MUST_USE mw_err mw_key_check_read(mw_state_tx *tx, mw_arena *arena, mw_slice *sealed);
/* Seals it with this key. Errors of SQL; MW_E_NOMEM. */
MW_MUST_USE mw_err mw_key_check_write(mw_state_tx *tx, const uint8_t key[MW_SEAL_KEY_SIZE]);
/* Loads the key file of a database that has been sealed with it. MW_E_CORRUPT (missing, no key, of
 * another database) and the errors of mw_seal_key_load, with detail. */
MW_MUST_USE mw_err mw_key_check_load(const char *key_path, mw_slice sealed,
                                     uint8_t key[MW_SEAL_KEY_SIZE], mw_detail *detail);

#endif
