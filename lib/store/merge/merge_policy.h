/* Which segments are merged next. Pure: segments in, a choice out.
 *
 * Segments of the log, oldest first, as many side by side as fit one merge: when more are there
 * than fit, or when the oldest has waited long enough. Merged segments that are still small are
 * merged again, or slow traffic would leave a file for each time that merging was due: when eight
 * or more lie side by side and become one that is of the next size, sizes being powers of eight. So
 * an item is written again once for each factor of eight by which its segment grows, and never once
 * that has a quarter of the target. Retention removes whole segments, by their latest arrival;
 * segments that arrived more than MW_MERGE_SPAN_NS apart are therefore not put together, so that
 * nothing outlives its time by more than a day. Tried on paper and dropped: to merge a new segment
 * into a small one before it. It writes the same items again each time.
 *
 * A merge needs room for its output beside its inputs. Where the disk is nearly full (`tight`) the
 * steps are the smallest there are: one segment of the log, the oldest whose output fits, however
 * young it is, since what it leaves is room for the next; the newest is left once it is worth one.
 * Merged ones are put together only where half of the room is enough: that frees hardly anything.
 */
#ifndef MW_STORE_MERGE_POLICY_H
#define MW_STORE_MERGE_POLICY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/base/clock.h"

/* Small merged segments of one size that are worth a merge; also the factor between sizes. */
#define MW_MERGE_TIER 8u
#define MW_MERGE_SPAN_NS (24 * 3600 * MW_NS_PER_S)
/* Where the disk is nearly full: the least segment of the log that the writer is asked to leave, so
 * that no file is made for each few requests. */
#define MW_MERGE_TIGHT_LEAST ((uint64_t)1 << 20)
/* What a merge writes beside what its items become: header, directory, footer of a small one. */
#define MW_MERGE_OVERHEAD ((uint64_t)64 << 10)
/* Segments that one merge takes at most: each is an open file, and a name in the footer. */
#define MW_MERGE_SEGMENTS_MAX 64u

typedef struct mw_policy_segment {
    uint64_t items, bytes;
    uint64_t arrival_min_ns, arrival_max_ns; /* without items: when it was made */
    bool merged;
    bool current; /* the newest of the log: taken when the writer has left it for another */
    bool aside;   /* has damage */
} mw_policy_segment;

typedef struct mw_policy_limits {
    uint64_t items_max, bytes_max;
    uint64_t merge_after_ns;
    uint64_t now_ns;
    bool all;                  /* whatever there is of the log is due */
    bool closed;               /* what the writer has left of it is */
    bool tight;                /* `room` is short */
    uint64_t room;             /* bytes that may be written */
    unsigned packed_per_mille; /* what a byte of the log becomes */
} mw_policy_limits;

typedef struct mw_policy_choice {
    size_t first, count; /* count 0: nothing is due */
} mw_policy_choice;

/* `segments` in the order of their sequences. */
mw_policy_choice mw_merge_policy(const mw_policy_segment *segments, size_t count,
                                 const mw_policy_limits *limits);

/* Bytes that merging so many of the log, and so many that are merged, may need: what merges have
 * made of them so far, and a quarter more. */
uint64_t mw_merge_policy_needs(uint64_t log_bytes, uint64_t merged_bytes,
                               unsigned packed_per_mille);

/* Shall the writer leave the segment that it appends to, so that it can be merged? */
bool mw_merge_policy_leave(const mw_policy_segment *segment, const mw_policy_limits *limits);

#endif
