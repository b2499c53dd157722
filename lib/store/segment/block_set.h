/* Which blocks of a view may hold given traces or sessions.
 *
 * Blocks of the log have their keys in memory, blocks of merged segments in the segment's footer.
 * Questions ask once for all keys that they want and then look blocks up here. One thread: the
 * view's; MW_MEM_QUERY.
 */
#ifndef MW_STORE_BLOCK_SET_H
#define MW_STORE_BLOCK_SET_H

#include "lib/store/format/trace_set.h"
#include "lib/store/segment/segment_footer.h"

typedef struct mw_block_set {
    uint64_t *bits; /* by number of the view's block; NULL = was not made */
    size_t count;
} mw_block_set;

/* Blocks that hold one of the ascending keys. MW_E_NOMEM, MW_E_IO, MW_E_CORRUPT. Cost: a search in
 * each block of the log, a page a key in each merged segment (or a pass over its directory). */
MW_MUST_USE mw_err mw_block_set_find(mw_store_view *view, mw_key_kind kind, const uint64_t *keys,
                                     size_t count, mw_block_set *out);
/* The same for the traces of a set. */
MW_MUST_USE mw_err mw_block_set_traces(mw_store_view *view, const mw_trace_set *traces,
                                       mw_block_set *out);
/* Blocks that hold a key from `low` to `high`. */
MW_MUST_USE mw_err mw_block_set_between(mw_store_view *view, mw_key_kind kind, uint64_t low,
                                        uint64_t high, mw_block_set *out);
size_t mw_block_set_size(const mw_block_set *set); /* of the blocks in it */
void mw_block_set_fini(mw_block_set *set);         /* zeroes are fine */

/* Do two ascending runs share a value? */
bool mw_keys_meet(const uint64_t *a, size_t a_count, const uint64_t *b, size_t b_count);

static inline bool mw_block_set_has(const mw_block_set *set, size_t block)
{
    return set->bits[block / 64] >> (block % 64) & 1;
}

#endif
