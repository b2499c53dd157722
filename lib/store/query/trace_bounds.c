/* Sums over traces. See trace_bounds.h.
 *
 * A table of what is known of each trace so far, by a hash of its id: two that meet are added
 * together, which only lets both pass. What is asked for only grows, so a trace is taken at the row
 * that makes it enough, and the ids need not be kept.
 */
#include "lib/store/query/trace_bounds.h"

#include <xxhash.h>

/* More passes than this would take longer than the usual way. */
#define PARTS_MAX 64u
#define SLOTS_LEAST ((size_t)1 << 10)

typedef struct trace_sum {
    uint64_t key;       /* 0 = free */
    uint64_t low, high; /* first start and latest end; or 0 and tokens */
} trace_sum;

typedef struct summing {
    mw_store_view *view;
    const mw_list_filter *filter;
    uint64_t since_ns;
    size_t max_bytes;
    mw_trace_set *set;
    trace_sum *slots;
    size_t capacity, count; /* capacity: a power of two */
    uint32_t part, parts;   /* of the traces; powers of two */
    bool full;              /* more traces than the table may hold */
} summing;

bool mw_trace_bounds_asked(const mw_list_filter *filter)
{
    return filter->tokens_min || filter->duration_min_ns;
}

/* ---- the table ------------------------------------------------------------------------------- */

/* The slot of the key, perhaps a free one. Its low bits tell the part. */
static trace_sum *slot_of(const summing *work, uint64_t key)
{
    size_t mask = work->capacity - 1, at = (size_t)(key >> 8) & mask;
    while (work->slots[at].key && work->slots[at].key != key)
        at = (at + 1) & mask;
    return &work->slots[at];
}

/* NULL: the trace is of another part, or there is no room. */
static trace_sum *sum_of(summing *work, const uint8_t *id)
{
    uint64_t key = XXH3_64bits_withSeed(id, MW_TRACE_ID_SIZE, ~work->view->store->key_seed);
    if ((key & (work->parts - 1)) != work->part)
        return NULL;
    key += key ? 0 : work->parts;
    trace_sum *sum = slot_of(work, key);
    if (sum->key)
        return sum;
    if (work->count >= work->capacity / 8 * 7) {
        work->full = true;
        return NULL;
    }
    work->count++;
    *sum = (trace_sum){key, work->filter->tokens_min ? 0 : UINT64_MAX, 0};
    return sum;
}

/* ---- rows ------------------------------------------------------------------------------------ */

static uint64_t reported(const mw_hot *hot, mw_wide_column column, uint32_t row)
{
    uint64_t tokens = mw_hot_u64(hot, column, row);
    return tokens <= INT64_MAX ? tokens : 0; /* negative: not reported */
}

/* Those of other spans count nowhere (trace_join.h). */
static bool may_count(const mw_hot *hot, uint32_t row)
{
    uint8_t operation = hot->narrow[MW_NARROW_OPERATION][row];
    return operation == MW_OP_MODEL || operation == MW_OP_AGENT;
}

static void add_tokens(trace_sum *sum, uint64_t tokens)
{
    if (__builtin_add_overflow(sum->high, tokens, &sum->high))
        sum->high = UINT64_MAX;
}

/* A span that ends before it starts has no duration, whatever the column says. */
static void add_extent(trace_sum *sum, const mw_hot *hot, uint32_t row)
{
    uint64_t start = mw_hot_time(hot, row), end = start + mw_hot_u64(hot, MW_WIDE_DURATION, row);
    if (start < sum->low)
        sum->low = start;
    if (end < start)
        end = start;
    if (end > sum->high)
        sum->high = end;
}

/* Is it enough? */
static bool add_row(const summing *work, trace_sum *sum, const mw_hot *hot, uint32_t row)
{
    const mw_list_filter *filter = work->filter;
    if (filter->tokens_min) {
        if (!may_count(hot, row))
            return false;
        add_tokens(sum, reported(hot, MW_WIDE_INPUT_TOKENS, row));
        add_tokens(sum, reported(hot, MW_WIDE_OUTPUT_TOKENS, row));
        return sum->high >= filter->tokens_min;
    }
    add_extent(sum, hot, row);
    return sum->high - sum->low >= filter->duration_min_ns;
}

/* A trace's rows mostly lie together. */
static mw_err add_block(summing *work, const mw_hot *hot)
{
    uint32_t last = UINT32_MAX, taken = UINT32_MAX, number;
    trace_sum *sum = NULL;
    mw_err err = MW_OK;
    for (uint32_t row = 0; err == MW_OK && !work->full && row < hot->count; row++) {
        uint32_t trace = mw_hot_ref(hot, MW_HOT_TRACE, row);
        if (trace != last)
            sum = sum_of(work, mw_hot_trace_id(hot, trace));
        last = trace;
        if (!sum || !add_row(work, sum, hot, row) || taken == trace)
            continue;
        err = mw_trace_set_add(work->set, mw_hot_trace_id(hot, trace), &number);
        taken = trace;
    }
    return err;
}

/* ---- passes ---------------------------------------------------------------------------------- */

static bool is_asked(const summing *work, const mw_index_block *block)
{
    return mw_block_holds(block, MW_SIGNAL_TRACES) && block->header.event_max_ns >= work->since_ns;
}

/* One part of the traces. */
static mw_err pass(summing *work)
{
    mw_err err = MW_OK;
    memset(work->slots, 0, work->capacity * sizeof *work->slots);
    work->count = 0;
    for (size_t i = 0; err == MW_OK && !work->full && i < mw_view_count(work->view); i++) {
        const mw_index_block *block = mw_view_block(work->view, i);
        mw_hot hot;
        if (!is_asked(work, block))
            continue;
        err = mw_view_hot(work->view, block, &hot);
        if (err == MW_OK)
            err = add_block(work, &hot);
        if (err == MW_OK && mw_trace_set_bytes(work->set) > work->max_bytes)
            err = MW_E_LIMIT;
    }
    return err;
}

/* Room for all traces, or as many as the budget allows. */
static bool make_table(summing *work)
{
    uint64_t traces = 0;
    for (size_t i = 0; i < mw_view_count(work->view); i++)
        if (is_asked(work, mw_view_block(work->view, i)))
            traces += mw_view_block(work->view, i)->all_traces;
    work->capacity = SLOTS_LEAST;
    while (work->capacity / 8 * 7 < traces &&
           2 * work->capacity * sizeof *work->slots <= work->view->query_budget)
        work->capacity *= 2;
    work->parts = 1;
    while (work->parts < PARTS_MAX && work->capacity / 8 * 7 < traces / work->parts)
        work->parts *= 2;
    work->slots = mw_alloc(MW_MEM_QUERY, work->capacity * sizeof *work->slots);
    return work->slots != NULL;
}

/* Parts that are not alike may have too many traces: then all are halved. The set only gains. */
static mw_err collect(summing *work)
{
    mw_err err = MW_OK;
    while (err == MW_OK && work->part < work->parts) {
        work->full = false;
        err = pass(work);
        if (err == MW_OK && work->full && work->parts == PARTS_MAX)
            err = MW_E_LIMIT;
        work->part = work->full ? 0 : work->part + 1;
        work->parts *= work->full ? 2 : 1;
    }
    return err;
}

mw_err mw_trace_bounds_collect(mw_store_view *view, const mw_list_filter *filter, uint64_t since_ns,
                               size_t max_bytes, mw_trace_set *set)
{
    summing work = {
        .view = view, .filter = filter, .since_ns = since_ns, .max_bytes = max_bytes, .set = set};
    MW_ASSERT(mw_trace_bounds_asked(filter));
    mw_err err = make_table(&work) ? collect(&work) : MW_E_NOMEM;
    mw_free(MW_MEM_QUERY, work.slots);
    return err;
}
