/* Traces of a merge, whole, into the roll-up. See merge_int.h. */
#include "lib/store/merge/merge_int.h"

/* ---- traces to the roll-up ------------------------------------------------------------------- */

void mw_merge_traces_init(mw_merge_traces *traces, mw_merging *merging, mw_merge_plan *plan)
{
    *traces = (mw_merge_traces){.merging = merging, .plan = plan};
}

void mw_merge_traces_fini(mw_merge_traces *traces)
{
    mw_free(MW_MEM_MERGE, traces->spans);
    traces->spans = NULL;
}

static mw_err have_spans(mw_merge_traces *traces, size_t count)
{
    if (count <= traces->capacity)
        return MW_OK;
    size_t capacity = count + count / 2 + 64;
    mw_rollup_span *grown = mw_realloc(MW_MEM_MERGE, traces->spans, capacity * sizeof *grown);
    if (!grown)
        return MW_E_NOMEM;
    traces->spans = grown;
    traces->capacity = capacity;
    return MW_OK;
}

/* The first of the trace's earlier spans; how many there are through *count. */
static const mw_merge_earlier_span *earlier_of(const mw_merging *merging, uint32_t trace,
                                               size_t *count)
{
    size_t low = 0, high = merging->earlier_count;
    *count = 0;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (merging->earlier[middle].trace < trace)
            low = middle + 1;
        else
            high = middle;
    }
    while (low + *count < merging->earlier_count && merging->earlier[low + *count].trace == trace)
        ++*count;
    return merging->earlier + low;
}

/* Puts the trace's earlier spans behind its own. The same one may lie in several segments: the
 * roll-up wants distinct ones. */
static mw_err add_earlier(mw_merge_traces *traces, uint32_t trace, size_t *distinct)
{
    size_t count;
    const mw_merge_earlier_span *earlier = earlier_of(traces->merging, trace, &count);
    mw_err err = have_spans(traces, traces->have + count);
    if (err != MW_OK)
        return err;
    mw_rollup_span *to = traces->spans + traces->have;
    for (size_t i = 0; i < count; i++)
        if (i == 0 || earlier[i - 1].span.span_id != earlier[i].span.span_id)
            to[(*distinct)++] = earlier[i].span;
    return MW_OK;
}

static mw_err count_trace(mw_merge_traces *traces)
{
    mw_merging *merging = traces->merging;
    uint32_t trace = traces->plan->group_order[traces->order];
    size_t distinct = 0;
    mw_err err = MW_OK;
    if (mw_merge_is_long(merging, trace))
        return mw_merge_long_trace(merging, traces->plan, trace, traces->spans, traces->have);
    if (merging->earlier_total && traces->order >= merging->earlier_end)
        err = mw_merge_more_earlier(merging, traces->plan, traces->order);
    if (err == MW_OK && merging->earlier_count)
        err = add_earlier(traces, trace, &distinct);
    return err == MW_OK ? mw_rollup_trace(merging->rollup, traces->spans, traces->have + distinct)
                        : err;
}

static mw_err end_trace(mw_merge_traces *traces)
{
    mw_err err = count_trace(traces);
    traces->have = 0;
    traces->order++;
    return err;
}

mw_err mw_merge_traces_block(mw_merge_traces *traces, const mw_hot *hot)
{
    const mw_merge_plan *plan = traces->plan;
    mw_rollup_rows *rows = &traces->merging->rollup_rows;
    mw_err err = mw_rollup_rows_begin(rows, hot);
    for (uint32_t row = 0; err == MW_OK && row < hot->count; row++) {
        while (plan->group_rows[plan->group_order[traces->order]] == 0)
            traces->order++;
        err = have_spans(traces, (size_t)traces->have + 1);
        if (err == MW_OK)
            err = mw_rollup_rows_span(rows, row, &traces->spans[traces->have]);
        traces->have += err == MW_OK;
        if (err == MW_OK && traces->have == plan->group_rows[plan->group_order[traces->order]])
            err = end_trace(traces);
    }
    return err;
}
