/* The in-memory index: which blocks are published, and what each may hold.
 *
 * One writer appends, any number of views read. Blocks stand in an append-only table; a snapshot
 * is a reference to the table and the count at that moment. What lies below the count never
 * changes, so readers take the lock only to open and close. A full table is replaced by a larger
 * copy; the old one lives as long as a snapshot holds it. A table holds a reference on each of its
 * segments: that is how a view pins what it reads, and how merging and retention drop segments by
 * publishing a table without them. Blocks stand by the first sequences of their segments: those of
 * the log as committed, those of a merged segment together and in the order of its file.
 * Tried on paper and dropped: a lock-free list of chunks. The lock is held for nanoseconds, and for
 * a copy of the table when segments are replaced: a millisecond for a hundred thousand blocks.
 */
#ifndef MW_STORE_INDEX_H
#define MW_STORE_INDEX_H

#include <pthread.h>

#include "lib/store/segment/segment.h"

typedef struct mw_index_table {
    size_t refs; /* under the lock */
    size_t block_capacity;
    size_t segment_count, segment_capacity;
    mw_segment **segments;
    mw_index_block *blocks[];
} mw_index_table;

typedef struct mw_index {
    pthread_mutex_t lock;
    mw_index_table *table;
    size_t block_count;
    size_t reserved;               /* places promised to blocks on their way to the disk */
    uint64_t seq;                  /* the newest published */
    uint64_t items[MW_SIGNAL_END]; /* by signal */
    uint64_t bytes;                /* of the segments, headers included */
} mw_index;

typedef struct mw_index_snapshot {
    mw_index_table *table;
    size_t block_count;
    uint64_t seq;
} mw_index_snapshot;

MW_MUST_USE mw_err mw_index_init(mw_index *index); /* MW_E_NOMEM */
void mw_index_fini(mw_index *index);               /* no snapshot may be left */

/* A place for one block, so that publishing after the sync cannot fail. MW_E_NOMEM. */
MW_MUST_USE mw_err mw_index_reserve(mw_index *index);
void mw_index_unreserve(mw_index *index);
/* Takes a reference of its own. MW_E_NOMEM. */
MW_MUST_USE mw_err mw_index_add_segment(mw_index *index, mw_segment *segment);
/* Forgets a segment that holds no block: a file that failed before its first append. */
void mw_index_remove_segment(mw_index *index, mw_segment *segment);
/* At start: a merged segment whose first sequence is not below that of any segment before; `seq` is
 * the highest of its items. Takes a reference of its own. MW_E_NOMEM. */
MW_MUST_USE mw_err mw_index_add_merged(mw_index *index, mw_segment *merged, uint64_t seq);
/* One step: `merged` (whose blocks are its own, in the order of the file) takes the place of
 * `replaced`, segments of the table, in every snapshot taken from now on. `merged` may be NULL
 * (retention). Takes a reference on it; gives up the table's on the others. Blocks stand by their
 * segments' first sequence. MW_E_NOMEM: nothing has changed. */
MW_MUST_USE mw_err mw_index_replace(mw_index *index, mw_segment *merged,
                                    mw_segment *const *replaced, size_t count);
/* Publishes a group in one step; each block was reserved, has its segment and header set, and
 * becomes the segment's. `seq` is the newest of them. */
void mw_index_publish(mw_index *index, mw_index_block *const *blocks, size_t count, uint64_t seq);

/* The newest commit that is published. */
uint64_t mw_index_seq(mw_index *index);
void mw_index_snapshot_take(mw_index *index, mw_index_snapshot *out);
void mw_index_snapshot_drop(mw_index *index, mw_index_snapshot *snapshot);

#endif
