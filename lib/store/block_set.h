/* Which blocks of a view may hold given traces or sessions.
 *
 * Blocks of the log have their keys in memory, blocks of merged segments in the segment's footer.
 * Questions ask once for all keys that they want and then look blocks up here. One thread: the
 * view's; MW_MEM_QUERY.
 */
#ifndef MW_STORE_BLOCK_SET_H
#define MW_STORE_BLOCK_SET_H

#include "lib/store/segment_footer.h"
#include "lib/store/trace_set.h"

typedef struct mw_block_set {
    uint64_t *bits; /* by number of the view's block */
    size_t count;
} mw_block_set;

/* Blocks that hold one of the ascending keys. MW_E_NOMEM, MW_E_IO, MW_E_CORRUPT. Cost: a search in
 * each block of the log, a page a key in each merged segment (or a pass over its directory). */
MW_MUST_USE mw_err mw_block_set_find(mw_store_view *view, mw_key_kind kind, const uint64_t *keys,
                                     size_t count, mw_block_set *out);
/* The same for the traces of a set. */
MW_MUST_USE mw_err mw_block_set_traces(mw_store_view *view, const mw_trace_set *traces,
                                       mw_block_set *out);
void mw_block_set_fini(mw_block_set *set);

static inline bool mw_block_set_has(const mw_block_set *set, size_t block)
{
    return set->bits[block / 64] >> (block % 64) & 1;
}

#endif
