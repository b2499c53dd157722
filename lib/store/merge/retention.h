/* Retention: which merged segments go, by age and by size. Pure.
 *
 * Whole segments, oldest arrival first. Time is that of arrival (DESIGN 4.5): telemetry of years
 * ago that came today is a day old tomorrow.
 */
#ifndef MW_STORE_RETENTION_H
#define MW_STORE_RETENTION_H

#include <stdbool.h>
#include <stddef.h>

#include "lib/base/clock.h"

typedef struct mw_retention_segment {
    uint64_t arrival_max_ns, bytes;
    bool merged; /* those of the log stay until they are merged */
} mw_retention_segment;

typedef struct mw_retention_limits {
    int64_t age_ns;      /* 0 = for ever */
    uint64_t size_bytes; /* of all segments; 0 = as the disk allows */
} mw_retention_limits;

/* Marks what goes; `segments` ascend by arrival. A segment goes when its latest arrival is more
 * than the age ago, or while all that stay are more than the size; what counts for the size but may
 * not go (the log) can keep the sum above it. An arrival ahead of now is no age. Returns how
 * many. */
size_t mw_retention_choose(const mw_retention_segment *segments, size_t count,
                           const mw_retention_limits *limits, uint64_t now_ns, bool *goes);

/* The wall clock as far as it can be believed: a jump ahead by more than MW_RETENTION_JUMP_NS
 * against the monotonic clock between two looks must not delete everything; ages are measured as if
 * it had not happened until MW_RETENTION_TRUST_NS have passed. A jump back is believed at once (it
 * makes everything younger) and takes back what was not believed before. */
#define MW_RETENTION_JUMP_NS (3600 * MW_NS_PER_S)
#define MW_RETENTION_TRUST_NS (24 * 3600 * MW_NS_PER_S)
typedef struct mw_retention_clock {
    int64_t wall_ns, mono_ns; /* of the look before; 0 = none */
    int64_t ahead_ns;         /* by how much wall is not believed */
    int64_t since_mono_ns;
} mw_retention_clock;
/* At start there is no look before, and the machine may have booted with a clock that is years off:
 * the newest arrival of what is stored (0 = nothing) stands for it. A daemon that was stopped for
 * more than MW_RETENTION_JUMP_NS so retires by age a day later, as measured by its own running. */
void mw_retention_clock_start(mw_retention_clock *clock, uint64_t newest_arrival_ns,
                              int64_t mono_ns);
int64_t mw_retention_now(mw_retention_clock *clock, int64_t wall_ns, int64_t mono_ns);

#endif
