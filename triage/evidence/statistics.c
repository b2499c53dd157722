/* Robust comparisons. See statistics.h. */
#include <math.h>
#include <stdlib.h>

#include "lib/base/error.h"
#include "triage/evidence/statistics.h"

/* Makes the median distance of normal values their standard deviation. */
#define NORMAL_SPREAD 1.4826

static int by_key_value(const void *left, const void *right)
{
    const mw_sample *a = left, *b = right;
    if (a->key != b->key)
        return a->key < b->key ? -1 : 1;
    if (a->value < b->value)
        return -1;
    if (a->value > b->value)
        return 1;
    return a->at_ns < b->at_ns ? -1 : a->at_ns > b->at_ns;
}

void mw_samples_sort(mw_sample *samples, size_t count)
{
    if (count > 1)
        qsort(samples, count, sizeof *samples, by_key_value);
}

static int by_value(const void *left, const void *right)
{
    double a = *(const double *)left, b = *(const double *)right;
    return a < b ? -1 : a > b;
}

void mw_doubles_sort(double *values, size_t count)
{
    if (count > 1)
        qsort(values, count, sizeof *values, by_value);
}

double mw_median(const double *sorted, size_t count)
{
    if (count == 0)
        return 0;
    if (count % 2)
        return sorted[count / 2];
    return (sorted[count / 2 - 1] + sorted[count / 2]) / 2;
}

/* Distances grow to both sides of the middle: the next smallest is at one of two ends. */
double mw_spread(const double *sorted, size_t count, double middle)
{
    size_t right = 0, taken = 0;
    double last = 0, before = 0;
    if (count == 0)
        return 0;
    while (right < count && sorted[right] < middle)
        right++;
    for (size_t left = right; taken <= count / 2; taken++) {
        double up = right < count ? sorted[right] - middle : (double)INFINITY;
        double down = left > 0 ? middle - sorted[left - 1] : (double)INFINITY;
        before = last;
        last = up < down ? up : down;
        if (up < down)
            right++;
        else
            left--;
    }
    return NORMAL_SPREAD * (count % 2 ? last : (before + last) / 2);
}

/* The rank sum of those after, ties sharing their mean rank. */
static double rank_sum(const mw_sample *group, size_t count, uint64_t at_ns)
{
    double sum = 0;
    for (size_t i = 0; i < count;) {
        size_t end = i, after = 0;
        for (; end < count && group[end].value <= group[i].value; end++)
            after += group[end].at_ns >= at_ns;
        sum += (double)after * ((double)(i + end + 1) / 2);
        i = end;
    }
    return sum;
}

/* The middle of the samples on one side, in order of value. */
static double median_of(const mw_sample *group, size_t count, uint64_t at_ns, size_t side)
{
    double low = 0;
    size_t seen = 0;
    for (size_t i = 0; i < count; i++) {
        if (group[i].at_ns < at_ns)
            continue;
        if (seen == (side - 1) / 2)
            low = group[i].value;
        if (seen++ == side / 2)
            return (low + group[i].value) / 2;
    }
    return low;
}

mw_split mw_split_at(const mw_sample *group, size_t count, uint64_t at_ns, double *scratch)
{
    mw_split out = {.before = 0};
    for (size_t i = 0; i < count; i++)
        if (group[i].at_ns < at_ns)
            scratch[out.before++] = group[i].value;
    out.after = count - out.before;
    if (!out.before || !out.after)
        return out;
    double n = (double)out.before, m = (double)out.after;
    out.median_before = mw_median(scratch, out.before);
    out.median_after = median_of(group, count, at_ns, out.after);
    out.spread = mw_spread(scratch, out.before, out.median_before);
    double u = rank_sum(group, count, at_ns) - m * (m + 1) / 2;
    out.z = (u - n * m / 2) / sqrt(n * m * (n + m + 1) / 12);
    return out;
}

static double likelihood(double k, double n, double p)
{
    double sum = 0;
    if (k > 0)
        sum += k * log(k / n / p);
    if (n - k > 0 && p < 1)
        sum += (n - k) * log((n - k) / n / (1 - p));
    return sum;
}

double mw_share_change(size_t a, size_t n, size_t b, size_t m)
{
    if (!n || !m)
        return 0;
    double x = (double)(a < n ? a : n), y = (double)(b < m ? b : m);
    double p = (x + y) / (double)(n + m);
    double g = 2 * (likelihood(x, (double)n, p) + likelihood(y, (double)m, p));
    g = g > 0 ? sqrt(g) : 0;
    return y / (double)m < x / (double)n ? -g : g;
}
