/* Numbers sorted by 64-bit keys: what merging needs instead of qsort.
 *
 * Least significant digit first, digits of 11 bits, of which those that all keys share cost
 * nothing: keys of one merge are mostly close together. Stable, so that what comes first in the
 * order of commits stays first among equals. Any thread; the scratch is its owner's, MW_MEM_MERGE.
 */
#ifndef MW_STORE_NUMBER_SORT_H
#define MW_STORE_NUMBER_SORT_H

#include "lib/base/memory.h"

typedef struct mw_sort_pair {
    uint64_t key;
    uint32_t number;
} mw_sort_pair;

/* Two arrays between which passes go; grows to the largest sort and is kept. */
typedef struct mw_sort_scratch {
    mw_sort_pair *from, *to;
    size_t capacity;
} mw_sort_scratch;

void mw_sort_scratch_fini(mw_sort_scratch *scratch);

/* Orders `numbers` by keys[number], equal ones as they stood. MW_E_NOMEM: they stand as before. */
MW_MUST_USE mw_err mw_number_sort(mw_sort_scratch *scratch, uint32_t *numbers, size_t count,
                                  const uint64_t *keys);

#endif
