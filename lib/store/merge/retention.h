/* Retention: which segments go, by age and by size. Pure.
 *
 * Whole segments, oldest arrival first. Time is that of arrival (DESIGN 4.5): telemetry of years
 * ago that came today is a day old tomorrow.
 *
 * The size bounds what is left when all is merged. What waits for that counts at what merges have
 * made of the log so far (packed_per_mille), or it would drive out merged telemetry for bytes that
 * are gone minutes later. Where the ratio was wrong, the next look after the merge puts it right.
 * Meanwhile the directory has more, within bounds: when everything, in full, exceeds the size by a
 * sixteenth, what is complete of the log is merged at once (mw_retention_presses); by an eighth,
 * the oldest goes all the same; and while merging fails all counts in full. By size also segments
 * of the log go, unmerged, when nothing older is left. What a file has that is used again (spare.h)
 * is taken off the size beforehand (mw_retention_less). Beyond that the directory has what a merge
 * under way has written, and what comes meanwhile. Segments and merges are therefore parts of the
 * size: see below. `du` shows half as much again at the most.
 *
 * Arrival is stamped with the wall clock, which can be wrong. What is known for certain is the
 * order of commits. So a segment is no older than what was committed before it: a clock that ran
 * slow for a while makes nothing older than the last that came before. A stamp ahead of now was
 * made by a clock that ran fast; it makes its own segment young until its time has come, and
 * nothing else. That leaves a store whose first stamps are slow, with nothing before them: there
 * the doubt about jumps helps (mw_retention_now), up to the second start after the clock was put
 * right. Nobody can tell then such a store from one whose program was off for as long.
 */
#ifndef MW_STORE_RETENTION_H
#define MW_STORE_RETENTION_H

#include <stdbool.h>
#include <stddef.h>

#include "lib/base/clock.h"

typedef struct mw_retention_segment {
    uint64_t arrival_max_ns, bytes;
    bool merged; /* goes by age, too, and counts in full; what is of the log is merged before it is
                  * old */
    bool left;   /* of the log, and complete: goes by size */
} mw_retention_segment;

typedef struct mw_retention_limits {
    int64_t age_ns;            /* 0 = for ever */
    uint64_t size_bytes;       /* of all segments; 0 = as the disk allows */
    unsigned packed_per_mille; /* what a byte of the log counts for; 0 = in full */
} mw_retention_limits;

/* The limits without so many bytes of the size, which something else has. */
mw_retention_limits mw_retention_less(const mw_retention_limits *limits, uint64_t bytes);

/* Does all there is, in full, exceed the size by so much that the log is to be merged now? */
bool mw_retention_presses(const mw_retention_limits *limits, uint64_t bytes);

/* A merge takes at most a quarter of the size, a segment of the log has an eighth, as far as a
 * single request fits; but merges and segments of some bytes are of no use. */
#define MW_RETENTION_SEGMENT_LEAST ((uint64_t)64 << 10)
uint64_t mw_retention_merge_max(const mw_retention_limits *limits, uint64_t bytes_max);
uint64_t mw_retention_segment_max(const mw_retention_limits *limits, uint64_t bytes_max);

/* Latest arrivals as they are to be believed; `segments` in the order of their commits. */
void mw_retention_settle(mw_retention_segment *segments, size_t count, uint64_t now_ns);
/* Marks what goes; `segments` ascend by arrival. A segment goes when its latest arrival is more
 * than the age ago, or while all that stay are more than the size (as counted) or than that and
 * an eighth (in full); what counts for the size but may not go can keep the sum above it. An
 * arrival ahead of now is no age. Returns how many. */
size_t mw_retention_choose(const mw_retention_segment *segments, size_t count,
                           const mw_retention_limits *limits, uint64_t now_ns, bool *goes);

/* The wall clock as far as it can be believed: a jump ahead by more than MW_RETENTION_JUMP_NS
 * against the monotonic clock between two looks must not delete everything; ages are measured as if
 * it had not happened until the age itself has passed, or MW_RETENTION_TRUST_NS where that is
 * longer. Whichever clock was right, before or after, what was stored before the jump has had its
 * time by then. A jump back is believed at once (it makes everything younger) and takes back what
 * was not believed before. */
#define MW_RETENTION_JUMP_NS (3600 * MW_NS_PER_S)
#define MW_RETENTION_TRUST_NS (24 * 3600 * MW_NS_PER_S)
typedef struct mw_retention_clock {
    int64_t wall_ns, mono_ns; /* of the look before; 0 = none */
    int64_t ahead_ns;         /* by how much wall is not believed */
    int64_t since_mono_ns;
    int64_t age_ns; /* the limit */
} mw_retention_clock;
/* At start there is no look before, and the machine may have booted with a clock that is years off:
 * the newest arrival of what is stored (0 = nothing) stands for it. A daemon that was stopped for
 * more than MW_RETENTION_JUMP_NS so keeps what it has for as long again. `age_ns` is the limit. */
void mw_retention_clock_start(mw_retention_clock *clock, int64_t age_ns, uint64_t newest_arrival_ns,
                              int64_t mono_ns);
int64_t mw_retention_now(mw_retention_clock *clock, int64_t wall_ns, int64_t mono_ns);

#endif
