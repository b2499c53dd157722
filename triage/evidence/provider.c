/* What providers share. See provider_int.h. */
#include <math.h>

#include "triage/evidence/provider_int.h"

#define S ((uint64_t)MW_NS_PER_S)
/* Near: what an alarm takes to fire. */
#define NEAR_FROM (150 * S)
#define NEAR_TO (10 * S)
#define NEAR_STEP (5 * S)
#define FAR_STEP (30 * S)
/* Something must lie before. */
#define LEAD (30 * S)

static uint64_t first_time(const mw_context *context)
{
    uint64_t first = UINT64_MAX;
    for (size_t i = 0; i < context->spans.count; i++)
        if (context->spans.rows[i].start_ns < first)
            first = context->spans.rows[i].start_ns;
    return first;
}

size_t mw_moments(const mw_context *context, mw_moment out[MW_MOMENTS_MAX])
{
    uint64_t first = first_time(context), at = context->at_ns;
    size_t count = 0;
    if (first == UINT64_MAX)
        return 0;
    first += LEAD;
    for (uint64_t back = NEAR_FROM; back >= NEAR_TO; back -= NEAR_STEP)
        if (at > back && at - back > first)
            out[count++] = (mw_moment){at - back, 1.0};
    for (uint64_t back = NEAR_FROM + FAR_STEP; count < MW_MOMENTS_MAX; back += FAR_STEP) {
        if (at <= back || at - back <= first || at - back < context->since_ns)
            break;
        out[count++] = (mw_moment){at - back, context->findings->thresholds->far_trust};
    }
    return count;
}

double mw_latency_effect(const mw_split *split)
{
    double room = split->spread + 0.1 * fabs(split->median_before) + 0.5;
    return (split->median_after - split->median_before) / room;
}

mw_slice mw_sample_words(const mw_context *context)
{
    if (context->spans.one_in <= 1)
        return MW_SLICE("");
    return mw_sentence(context->arena, " (of a sample of one trace in %.0f)",
                       context->spans.one_in);
}

mw_slice mw_ms_text(mw_arena *arena, double ms)
{
    if (fabs(ms) >= 1000)
        return mw_sentence(arena, "%.2f s", ms / 1000);
    return mw_sentence(arena, fabs(ms) >= 100 ? "%.0f ms" : "%.1f ms", ms);
}
