/* Traces of a merge across segments, and into the roll-up. See merge_int.h. */
#include "lib/store/merge_int.h"
#include "lib/store/trace_earlier.h"

/* ---- spans of earlier segments --------------------------------------------------------------- */

typedef struct search {
    mw_merging *merging;
    mw_merge_plan *plan;
} search;

/* Few rows of many blocks: a table of each block's texts (mw_rollup_rows) would cost more. */
static bool rollup_span(const search *work, const mw_hot *hot, uint32_t row, mw_rollup_span *out)
{
    static const mw_hot_column columns[] = {MW_HOT_SERVICE, MW_HOT_NAME, MW_HOT_PEER_SERVICE};
    uint32_t texts[3];
    for (size_t i = 0; i < 3; i++) {
        mw_slice text = mw_hot_string(hot, mw_hot_ref(hot, columns[i], row));
        texts[i] = mw_rollup_text(work->merging->rollup, text);
        if (texts[i] == UINT32_MAX)
            return false;
    }
    *out = (mw_rollup_span){
        .span_id = mw_trace_key(hot->wide[MW_WIDE_SPAN_ID] + MW_SPAN_ID_SIZE * (size_t)row),
        .parent_id = mw_trace_key(hot->wide[MW_WIDE_PARENT] + MW_SPAN_ID_SIZE * (size_t)row),
        .start_ns = mw_hot_time(hot, row),
        .duration_ns = mw_rollup_duration(mw_hot_u64(hot, MW_WIDE_DURATION, row)),
        .service = texts[0],
        .operation = texts[1],
        .peer = texts[2],
        .kind = hot->narrow[MW_NARROW_KIND][row],
        .status = hot->narrow[MW_NARROW_STATUS][row],
        .earlier = true,
    };
    return true;
}

static mw_err have_earlier(mw_merging *merging)
{
    if (merging->earlier_count < merging->earlier_capacity)
        return MW_OK;
    size_t capacity = merging->earlier_capacity ? 2 * merging->earlier_capacity : 256;
    mw_merge_earlier_span *grown =
        mw_realloc(MW_MEM_MERGE, merging->earlier, capacity * sizeof *grown);
    if (!grown)
        return MW_E_NOMEM;
    merging->earlier = grown;
    merging->earlier_capacity = capacity;
    return MW_OK;
}

static mw_err take_earlier(void *ctx, uint32_t trace, const mw_hot *hot, uint32_t row)
{
    search *work = ctx;
    mw_merging *merging = work->merging;
    uint64_t span_id;

    if (merging->earlier_count == MW_MERGE_EARLIER_MAX)
        return MW_E_LIMIT;
    mw_err err = have_earlier(merging);
    if (err != MW_OK)
        return err;
    mw_merge_earlier_span *earlier = &merging->earlier[merging->earlier_count];
    earlier->trace = trace;
    earlier->columns = mw_span_columns(hot, row);
    if (!rollup_span(work, hot, row, &earlier->span))
        return MW_E_NOMEM;
    memcpy(&span_id, hot->wide[MW_WIDE_SPAN_ID] + MW_SPAN_ID_SIZE * (size_t)row, sizeof span_id);
    err = mw_merge_plan_earlier(work->plan, trace, span_id);
    merging->earlier_count += err == MW_OK;
    return err;
}

mw_err mw_merge_find_earlier(mw_merging *merging, mw_merge_plan *plan)
{
    search work = {.merging = merging, .plan = plan};
    mw_err err = mw_each_earlier_span(merging->job->view, &plan->traces, merging->arrival_min_ns,
                                      merging->first_seq, take_earlier, &work);
    /* Damage there is no input's: what can be known of earlier spans is known. */
    return err == MW_E_LIMIT || err == MW_E_CORRUPT ? MW_OK : err;
}

/* ---- traces to the roll-up ------------------------------------------------------------------- */

static int by_trace_and_span(const void *left, const void *right)
{
    const mw_merge_earlier_span *a = left, *b = right;
    if (a->trace != b->trace)
        return a->trace < b->trace ? -1 : 1;
    return a->span.span_id < b->span.span_id ? -1 : a->span.span_id > b->span.span_id;
}

void mw_merge_traces_init(mw_merge_traces *traces, mw_merging *merging, const mw_merge_plan *plan)
{
    *traces = (mw_merge_traces){.merging = merging, .plan = plan};
    /* Their numbers, which the plan knows them by, are of no more use. */
    if (merging->earlier_count > 1)
        qsort(merging->earlier, merging->earlier_count, sizeof *merging->earlier,
              by_trace_and_span);
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

static mw_err end_trace(mw_merge_traces *traces)
{
    mw_merging *merging = traces->merging;
    size_t count = 0, distinct = 0;
    if (merging->earlier_count) {
        const mw_merge_earlier_span *earlier =
            earlier_of(merging, traces->plan->group_order[traces->order], &count);
        mw_err err = have_spans(traces, traces->have + count);
        if (err != MW_OK)
            return err;
        mw_rollup_span *to = traces->spans + traces->have;
        /* The same one may lie in several segments: the roll-up wants distinct ones. */
        for (size_t i = 0; i < count; i++)
            if (i == 0 || earlier[i - 1].span.span_id != earlier[i].span.span_id)
                to[distinct++] = earlier[i].span;
    }
    mw_err err = mw_rollup_trace(merging->rollup, traces->spans, traces->have + distinct);
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
