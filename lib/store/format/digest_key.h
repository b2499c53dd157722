/* The key of the digests: DIRECTORY/digest.key, 192 random bytes, mode 0600.
 *
 * Losing the file loses no item. Without it the digests in the blocks say nothing, so that requests
 * of before are not recognised when they come again; series of metrics begin anew; and what footers
 * of merged segments know by it is made of the blocks again, at each start until `midwatch check
 * --rebuild` writes it.
 */
#ifndef MW_STORE_DIGEST_KEY_H
#define MW_STORE_DIGEST_KEY_H

#include "lib/store/store.h"

#define MW_DIGEST_KEY_NAME "digest.key"

/* Reads the key, or makes a new one when the file is absent or of another size: *made says so.
 * MW_E_IO, MW_E_NO_SPACE, MW_E_NOMEM with detail. At open, before the writer starts. */
MW_MUST_USE mw_err mw_digest_key_load(const char *directory, uint8_t key[MW_DIGEST_KEY_SIZE],
                                      bool *made, mw_detail *detail);

/* The seed of mw_text_key, made of the key: texts have the same key in every process that opens the
 * store, as footers need. */
uint64_t mw_key_seed(const uint8_t key[MW_DIGEST_KEY_SIZE]);
/* What footers keep of the seed: by it is known whether their keys were made with this one. */
uint64_t mw_key_check(uint64_t key_seed);

#endif
