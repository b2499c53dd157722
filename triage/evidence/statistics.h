/* Was it like that before? Robust comparisons of two stretches of time. Pure.
 *
 * Samples of one group (an edge, an operation) are sorted by value once; each moment that may be
 * the onset is then one pass over them. Medians and ranks, because a few slow calls are no fault.
 */
#ifndef MW_TRIAGE_STATISTICS_H
#define MW_TRIAGE_STATISTICS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct mw_sample {
    uint32_t key; /* the group */
    double value;
    uint64_t at_ns;
} mw_sample;

/* By key, then value. */
void mw_samples_sort(mw_sample *samples, size_t count);

typedef struct mw_split {
    size_t before, after; /* samples */
    double median_before, median_after;
    double spread; /* of those before: 1.4826 times the median distance from the median */
    double z;      /* rank sum of those after, as a normal deviate: is it chance? */
} mw_split;

/* A group, sorted by value, at a moment. `scratch` has room for `count` values. */
mw_split mw_split_at(const mw_sample *group, size_t count, uint64_t at_ns, double *scratch);

/* Did a share change, `a` of `n` before to `b` of `m` after? The signed root of the likelihood
 * ratio (G), which is a normal deviate when nothing changed. 0 when either is empty. */
double mw_share_change(size_t a, size_t n, size_t b, size_t m);

/* Of sorted values: the middle, or the mean of the two. 0 of none. */
double mw_median(const double *sorted, size_t count);
/* Distance from `middle` that half of the sorted values keep, times 1.4826. */
double mw_spread(const double *sorted, size_t count, double middle);
void mw_doubles_sort(double *values, size_t count);

#endif
