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
    bool all; /* whatever there is of the log is due */
} mw_policy_limits;

typedef struct mw_policy_choice {
    size_t first, count; /* count 0: nothing is due */
} mw_policy_choice;

/* `segments` in the order of their sequences. */
mw_policy_choice mw_merge_policy(const mw_policy_segment *segments, size_t count,
                                 const mw_policy_limits *limits);

/* Shall the writer leave the segment that it appends to, so that it can be merged? */
bool mw_merge_policy_leave(const mw_policy_segment *segment, const mw_policy_limits *limits);

#endif
