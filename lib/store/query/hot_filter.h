/* Filters of rows by the texts of one block: a text is looked up once a block, then rows are
 * compared by reference.
 */
#ifndef MW_STORE_HOT_FILTER_H
#define MW_STORE_HOT_FILTER_H

#include "lib/store/store_int.h"

/* What a wanted text is in the present block: any text will do, no row can have it, or the
 * reference that rows must show. */
#define MW_REF_ANY 0u
#define MW_REF_ABSENT UINT32_MAX

/* The reference of `text`; MW_REF_ANY when it is empty. Looks through the block's strings. */
uint32_t mw_hot_find(const mw_hot *hot, mw_slice text);

static inline bool mw_ref_fits(const mw_hot *hot, mw_hot_column column, uint32_t row, uint32_t ref)
{
    return ref == MW_REF_ANY || mw_hot_ref(hot, column, row) == ref;
}

/* Members of the origin. Each distinct origin of a block is read once. */
typedef struct mw_origin_filter {
    const mw_slice *wanted; /* MW_ORIGIN_COUNT, the question's; empty = any */
    bool any;               /* nothing is wanted */
    uint8_t *verdicts;      /* by reference; MW_MEM_QUERY */
    size_t capacity;
} mw_origin_filter;

void mw_origin_filter_init(mw_origin_filter *filter, const mw_slice wanted[MW_ORIGIN_COUNT]);
void mw_origin_filter_fini(mw_origin_filter *filter);
/* Before the rows of each block. MW_E_NOMEM. */
MW_MUST_USE mw_err mw_origin_filter_begin(mw_origin_filter *filter, const mw_hot *hot);
bool mw_origin_filter_fits(const mw_origin_filter *filter, const mw_hot *hot, uint32_t row);

#endif
