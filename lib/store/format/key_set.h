/* A set of 64-bit hashes, bounded in bytes.
 *
 * Open addressing. The hashes were made with a secret seed, so that no sender can choose where they
 * fall. MW_MEM_QUERY; one thread at a time.
 */
#ifndef MW_STORE_KEY_SET_H
#define MW_STORE_KEY_SET_H

#include "lib/store/store.h"

typedef struct mw_key_set {
    uint64_t *slots; /* 0 = free; half of them at most are taken */
    size_t count, capacity;
    size_t max_bytes;
    bool has_zero;
} mw_key_set;

void mw_key_set_init(mw_key_set *set, size_t max_bytes);
void mw_key_set_fini(mw_key_set *set);
/* Forgets the keys, keeps the memory. */
void mw_key_set_clear(mw_key_set *set);
/* *added tells whether it is new. MW_E_NOMEM, MW_E_LIMIT (max_bytes). */
MW_MUST_USE mw_err mw_key_set_add(mw_key_set *set, uint64_t key, bool *added);
bool mw_key_set_has(const mw_key_set *set, uint64_t key);

#endif
