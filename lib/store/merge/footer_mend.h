/* A footer made again: what a merged segment's blocks say of themselves.
 *
 * The file is copied under a temporary name, blocks byte for byte, with a new footer behind them,
 * synced and renamed over the old one: a kill leaves one of the two whole. (Appending in place
 * would have to cut off the old footer first, and with it the two copies of the list of what the
 * segment replaced, which the blocks do not know.) One thread, offline; MW_MEM_MERGE.
 *
 * What blocks do not hold is lost: digests of requests (a retried export of the last hour may be
 * stored again), edges to spans of earlier segments (its roll-ups are made of its own spans), and
 * the latest arrival, for which the caller gives what it knows.
 */
#ifndef MW_STORE_FOOTER_MEND_H
#define MW_STORE_FOOTER_MEND_H

#include "lib/store/segment/segment_walk.h"

typedef struct mw_footer_mended {
    size_t blocks;   /* that the new footer has */
    size_t unread;   /* whose columns are damaged: not in it */
    size_t unfilled; /* whose items are damaged: without a filter */
} mw_footer_mended;

/* `file` is as mw_segment_files_load left it, merged, its header whole. MW_E_NOMEM, MW_E_IO,
 * MW_E_NO_SPACE, MW_E_LIMIT, MW_E_NOT_FOUND (none of its blocks can be read); nothing has changed
 * then. */
MW_MUST_USE mw_err mw_footer_mend(const mw_segment_file *file, const char *directory,
                                  uint64_t key_seed, uint64_t arrival_max_ns,
                                  mw_footer_mended *out);

#endif
