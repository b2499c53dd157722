/* Which blocks questions have found damaged, so that others leave them out.
 *
 * A question that meets one ends (MW_E_CORRUPT): what it had counted so far may be wrong by that
 * block. Asked again on a view that tolerates, it leaves the block out from its beginning, and
 * everything else is answered. Merging never tolerates: it would remove what it had not read.
 * Kept until the store is closed; any thread.
 */
#ifndef MW_STORE_DAMAGE_H
#define MW_STORE_DAMAGE_H

#include <pthread.h>

#include "lib/store/format/block.h"

/* A disk with more of them than this is to be replaced: further ones end their questions. */
#define MW_DAMAGE_MAX 1024u

typedef struct mw_damaged_place {
    uint64_t segment_id, offset;
} mw_damaged_place;

typedef struct mw_damage {
    pthread_mutex_t lock;
    mw_damaged_place *places; /* MW_MEM_STORE */
    size_t count, capacity;
    size_t other_key; /* merged segments with footers of another digest.key; as the start found */
} mw_damage;

void mw_damage_init(mw_damage *damage);
void mw_damage_fini(mw_damage *damage);
/* Found once more, or for the first time: then it is counted, and true. */
bool mw_damage_note(mw_damage *damage, uint64_t segment_id, uint64_t offset);
/* A copy of all (MW_MEM_QUERY, NULL when there is none); the count. MW_E_NOMEM. */
MW_MUST_USE mw_err mw_damage_copy(mw_damage *damage, mw_damaged_place **places, size_t *count);

#endif
