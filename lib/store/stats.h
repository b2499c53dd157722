/* lib/store: what a store holds and how it does, in numbers. A part of store.h, which includes it.
 *
 * Read at any time by any thread; no number is older than the last commit.
 */
#ifndef MW_STORE_STATS_H
#define MW_STORE_STATS_H

#include "lib/base/error.h"

typedef struct mw_store mw_store;

/* What is known to be gone and nobody has accepted yet (mw_store_rebuild), earlier losses too. */
typedef struct mw_store_losses {
    uint64_t count;               /* segments, and ends of segments */
    uint64_t spans, logs, points; /* in them, at least; repeats included */
    uint64_t noticed_ns;          /* the last one; 0 = none */
} mw_store_losses;

typedef struct mw_store_stats {
    uint64_t commit_seq, segments, blocks, bytes;
    /* Stored. A span that came twice counts twice until the later one is merged, a point until both
     * are merged together; log records have no identity. */
    uint64_t spans, logs, points;
    size_t queue_bytes, queue_count;
    size_t retry_digests; /* requests that would be recognised when sent again */
    bool writable;        /* false after a failed write until one succeeds */
    mw_err last_error;
    uint64_t merged_segments, merged_bytes;
    uint64_t unmerged_bytes;       /* of the log; beyond MW_MERGE_BACKLOG_MAX appends wait */
    uint64_t repeats, conflicting; /* removed by merges since the start; the latter differed */
    uint64_t retired_segments, retired_items; /* since the start */
    uint64_t merges, merge_failures;
    uint64_t merge_failed_ns;   /* when it last was; 0 = never */
    bool merging_fails;         /* and none has succeeded since */
    uint64_t oldest_arrival_ns; /* of what is stored; 0 = nothing */
    mw_store_losses losses;
    /* The catalogue was missing or unreadable, and made anew then: which segments vanished before
     * cannot be told. 0 = no, or a rebuild has accepted it. */
    uint64_t catalogue_made_ns;
    /* digest.key was missing beside segments, and this start made another; merged segments whose
     * footers were made with another one (MW_E_CORRUPT of a verification, until a rebuild). */
    bool key_made;
    uint64_t other_key_segments;
    uint64_t spare_bytes;      /* of the file that is kept for the next segment */
    unsigned packed_per_mille; /* what merging makes of a byte of the log, as far as it was seen */
} mw_store_stats;
void mw_store_stats_read(mw_store *store, mw_store_stats *out);
/* The same losses alone. Any thread, cheap. */
mw_store_losses mw_store_losses_of(const mw_store *store);
/* Bytes free on the store's disk, as of a second ago or of the last write that failed; UINT64_MAX =
 * not known. Any thread, cheap. */
uint64_t mw_store_disk_free(const mw_store *store);

#endif
