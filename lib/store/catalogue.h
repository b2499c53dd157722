/* The catalogue: one row a segment and one a block, in SQLite beside the segments (catalogue.db).
 *
 * Derived: segments are the truth, and a catalogue that is missing, damaged or behind is made again
 * from them at start or by `midwatch check --rebuild`. It answers what would need every file to be
 * opened: which segments there are, from when to when, how large, what they replaced; so a start
 * opens a merged segment when a question first needs it, and retention and `check` need none.
 * The keeper's thread alone writes it; SQL of this room is in catalogue.c alone. synchronous=OFF:
 * losing it loses nothing.
 */
#ifndef MW_STORE_CATALOGUE_H
#define MW_STORE_CATALOGUE_H

#include "lib/store/segment_footer.h"

typedef struct mw_catalogue mw_catalogue;

typedef struct mw_catalogue_segment {
    uint64_t id, bytes, blocks;
    uint64_t items[MW_SIGNAL_END];
    uint64_t first_seq, last_seq;
    uint64_t arrival_min_ns, arrival_max_ns, event_min_ns, event_max_ns;
} mw_catalogue_segment;

/* Opens or makes it; one that is not ours or damaged is replaced by an empty one. MW_E_IO,
 * MW_E_NOMEM. */
MW_MUST_USE mw_err mw_catalogue_open(const char *directory, mw_catalogue **out);
void mw_catalogue_close(mw_catalogue *catalogue);
/* One transaction: the merged segment with its blocks in, what it replaced out. */
MW_MUST_USE mw_err mw_catalogue_put(mw_catalogue *catalogue, const mw_catalogue_segment *segment,
                                    mw_index_block *const *blocks, size_t count,
                                    const uint64_t *replaced, size_t replaced_count);
MW_MUST_USE mw_err mw_catalogue_remove(mw_catalogue *catalogue, uint64_t id);
/* Ascending by id. MW_E_IO, MW_E_CORRUPT (make it again), or what the callback returned. */
MW_MUST_USE mw_err mw_catalogue_each(mw_catalogue *catalogue,
                                     mw_err (*segment)(void *ctx,
                                                       const mw_catalogue_segment *segment),
                                     void *ctx);

#endif
