/* Spans of given traces in earlier segments. See trace_earlier.h. */
#include "lib/store/rollup/trace_earlier.h"

typedef struct earlier_search {
    mw_store_view *view;
    const mw_trace_set *traces;
    uint64_t arrival_ns, before_seq;
    uint64_t *keys; /* of the traces: ascending, distinct */
    size_t key_count;
    uint64_t *narrowed; /* those that a segment may hold; as many places */
    uint64_t *bits;     /* blocks to read, by number of the view's */
    /* the segment that is searched: blocks [first, end) of the view, in the order of the file */
    size_t first, end;
    bool beyond;       /* a directory names a block that its segment does not have */
    uint32_t *numbers; /* of the block's traces in the set; reused */
    size_t number_capacity;
    mw_err (*block)(void *ctx, const mw_hot *hot, const uint32_t *numbers);
    void *ctx;
} earlier_search;

bool mw_block_is_earlier(const mw_index_block *block, uint64_t arrival_ns, uint64_t before_seq)
{
    const mw_footer *footer = block->segment->footer;
    uint64_t oldest_ns = arrival_ns > MW_EARLIER_NS ? arrival_ns - MW_EARLIER_NS : 0;
    return footer && footer->arrival_max_ns >= oldest_ns && block->header.seq < before_seq &&
           mw_block_holds(block, MW_SIGNAL_TRACES);
}

static int by_number(const void *left, const void *right)
{
    uint64_t a = *(const uint64_t *)left, b = *(const uint64_t *)right;
    return a < b ? -1 : a > b;
}

static mw_err prepare(earlier_search *search)
{
    size_t count = search->traces->count, kept = 0;
    search->keys = mw_alloc(MW_MEM_MERGE, (count + 1) * sizeof *search->keys);
    search->bits =
        mw_calloc(MW_MEM_MERGE, mw_view_count(search->view) / 64 + 1, sizeof *search->bits);
    search->narrowed = mw_alloc(MW_MEM_MERGE, (count + 1) * sizeof *search->narrowed);
    if (!search->keys || !search->bits || !search->narrowed)
        return MW_E_NOMEM;
    for (size_t i = 0; i < count; i++)
        search->keys[i] = mw_trace_key(search->traces->ids[i]);
    if (count > 1)
        qsort(search->keys, count, sizeof *search->keys, by_number);
    for (size_t i = 0; i < count; i++)
        if (kept == 0 || search->keys[kept - 1] != search->keys[i])
            search->keys[kept++] = search->keys[i];
    search->key_count = kept;
    return MW_OK;
}

static void mark_block(void *ctx, uint32_t number)
{
    earlier_search *search = ctx;
    size_t at = search->first + number;
    if (at >= search->end)
        search->beyond = true;
    else
        search->bits[at / 64] |= UINT64_C(1) << (at % 64);
}

/* Asks the directory of the segment whose blocks begin at `first`; *next is behind them. */
static mw_err search_segment(earlier_search *search, size_t first, size_t *next)
{
    const mw_segment *segment = mw_view_block(search->view, first)->segment;
    size_t count = mw_view_count(search->view);
    bool any = false;

    search->first = first;
    for (search->end = first; search->end < count; search->end++) {
        const mw_index_block *block = mw_view_block(search->view, search->end);
        if (block->segment != segment)
            break;
        any |= mw_block_is_earlier(block, search->arrival_ns, search->before_seq);
    }
    *next = search->end;
    if (!any)
        return MW_OK;
    size_t kept;
    mw_err err = mw_trace_filters_narrow(&search->view->store->trace_filters, segment, search->keys,
                                         search->key_count, search->narrowed, &kept);
    if (err == MW_OK)
        err = mw_footer_find(segment->footer, segment->fd, MW_KEYS_TRACES, search->narrowed, kept,
                             mark_block, search);
    return err == MW_OK && search->beyond ? MW_E_CORRUPT : err;
}

/* Which of the block's traces are wanted. */
static mw_err number_traces(earlier_search *search, const mw_hot *hot, bool *any)
{
    *any = false;
    if (hot->traces > search->number_capacity) {
        mw_free(MW_MEM_MERGE, search->numbers);
        search->number_capacity = 0;
        search->numbers = mw_alloc(MW_MEM_MERGE, hot->traces * sizeof *search->numbers);
        if (!search->numbers)
            return MW_E_NOMEM;
        search->number_capacity = hot->traces;
    }
    for (uint32_t i = 0; i < hot->traces; i++) {
        if (mw_trace_set_find(search->traces, mw_hot_trace_id(hot, i), &search->numbers[i]))
            *any = true;
        else
            search->numbers[i] = MW_EARLIER_NOT_WANTED;
    }
    return MW_OK;
}

static mw_err read_block(earlier_search *search, const mw_index_block *block)
{
    mw_hot hot;
    bool any = false;
    mw_err err = mw_view_hot(search->view, block, &hot);
    if (err == MW_OK)
        err = number_traces(search, &hot, &any);
    return err == MW_OK && any ? search->block(search->ctx, &hot, search->numbers) : err;
}

static mw_err run(earlier_search *search)
{
    size_t count = mw_view_count(search->view);
    mw_err err = prepare(search);
    for (size_t at = 0; err == MW_OK && at < count;)
        err = search_segment(search, at, &at);
    for (size_t at = 0; err == MW_OK && at < count; at++) {
        const mw_index_block *block = mw_view_block(search->view, at);
        if (search->bits[at / 64] >> (at % 64) & 1 &&
            mw_block_is_earlier(block, search->arrival_ns, search->before_seq))
            err = read_block(search, block);
    }
    return err;
}

mw_err mw_each_earlier_block(mw_store_view *view, const mw_trace_set *traces, uint64_t arrival_ns,
                             uint64_t before_seq,
                             mw_err (*block)(void *ctx, const mw_hot *hot, const uint32_t *numbers),
                             void *ctx)
{
    earlier_search search = {.view = view,
                             .traces = traces,
                             .arrival_ns = arrival_ns,
                             .before_seq = before_seq,
                             .block = block,
                             .ctx = ctx};
    mw_err err = traces->count ? run(&search) : MW_OK;
    mw_free(MW_MEM_MERGE, search.keys);
    mw_free(MW_MEM_MERGE, search.bits);
    mw_free(MW_MEM_MERGE, search.narrowed);
    mw_free(MW_MEM_MERGE, search.numbers);
    return err;
}

typedef struct row_call {
    mw_err (*span)(void *ctx, uint32_t trace, const mw_hot *hot, uint32_t row);
    void *ctx;
} row_call;

static mw_err each_row(void *ctx, const mw_hot *hot, const uint32_t *numbers)
{
    const row_call *call = ctx;
    mw_err err = MW_OK;
    for (uint32_t row = 0; err == MW_OK && row < hot->count; row++) {
        uint32_t trace = numbers[mw_hot_ref(hot, MW_HOT_TRACE, row)];
        if (trace != MW_EARLIER_NOT_WANTED)
            err = call->span(call->ctx, trace, hot, row);
    }
    return err;
}

mw_err mw_each_earlier_span(
    mw_store_view *view, const mw_trace_set *traces, uint64_t arrival_ns, uint64_t before_seq,
    mw_err (*span)(void *ctx, uint32_t trace, const mw_hot *hot, uint32_t row), void *ctx)
{
    row_call call = {span, ctx};
    return mw_each_earlier_block(view, traces, arrival_ns, before_seq, each_row, &call);
}
