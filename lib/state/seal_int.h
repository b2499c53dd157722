/* Sealing: secrets at rest (DESIGN 3.7). AES-256-GCM under a key that lives in a file of its own,
 * outside the database, so that a copied database gives no secret away.
 *
 * Sealed form:
 *
 *     offset  size  what
 *     0       1     version, 1
 *     1       12    nonce, random for each sealing
 *     13      n     ciphertext
 *     13+n    16    tag
 *
 * The `context` (the row's id) is authenticated but not stored: a sealed value moved to another
 * row does not open. Random 96-bit nonces are safe for far more secrets than a person creates.
 * Stateless; any thread. The caller owns and wipes key and plain text.
 */
#ifndef MW_STATE_SEAL_INT_H
#define MW_STATE_SEAL_INT_H

#include "lib/base/slice.h"

#define MW_SEAL_KEY_SIZE 32
#define MW_SEAL_OVERHEAD (1 + 12 + 16)
/* Far above any secret; keeps lengths within int for OpenSSL. */
#define MW_SEAL_PLAIN_MAX 65536

/* Reads the key file: 64 hex digits and a line feed. MW_E_NOT_FOUND, MW_E_DENIED (readable by
 * group or others, or owned by somebody else), MW_E_CORRUPT (not a key), MW_E_IO. */
MW_MUST_USE mw_err mw_seal_key_load(const char *path, uint8_t key[MW_SEAL_KEY_SIZE],
                                    mw_detail *detail);
/* Writes a fresh key, mode 0600, synced with its directory. MW_E_IO, MW_E_NO_SPACE. */
MW_MUST_USE mw_err mw_seal_key_create(const char *path, mw_detail *detail);

/* out: plain.len + MW_SEAL_OVERHEAD bytes. MW_E_LIMIT, MW_E_NOMEM (OpenSSL). */
MW_MUST_USE mw_err mw_seal(const uint8_t key[MW_SEAL_KEY_SIZE], mw_slice context, mw_slice plain,
                           uint8_t *out);
/* out: sealed.len - MW_SEAL_OVERHEAD bytes. MW_E_CORRUPT (changed, other key or context),
 * MW_E_NOMEM. */
MW_MUST_USE mw_err mw_unseal(const uint8_t key[MW_SEAL_KEY_SIZE], mw_slice context, mw_slice sealed,
                             uint8_t *out, size_t *out_len);

#endif
