/* Summaries of traces and their texts. See trace_summary.h. */
#include "lib/store/query/trace_summary.h"

void mw_text_requests_init(mw_text_requests *requests)
{
    memset(requests, 0, sizeof *requests);
}

void mw_text_requests_fini(mw_text_requests *requests)
{
    mw_free(MW_MEM_QUERY, requests->items);
    memset(requests, 0, sizeof *requests);
}

mw_err mw_text_request_add(mw_text_requests *requests, uint32_t block, uint32_t row,
                           mw_hot_column column, mw_slice *target)
{
    *target = MW_SLICE_NONE;
    if (requests->count == requests->capacity) {
        size_t capacity = requests->capacity ? requests->capacity * 2 : 64;
        mw_text_request *items =
            mw_realloc(MW_MEM_QUERY, requests->items, capacity * sizeof *items);
        if (!items)
            return MW_E_NOMEM;
        requests->items = items;
        requests->capacity = capacity;
    }
    requests->items[requests->count++] = (mw_text_request){block, row, column, target};
    return MW_OK;
}

static int request_compare(const void *left, const void *right)
{
    const mw_text_request *a = left, *b = right;
    if (a->block != b->block)
        return a->block < b->block ? -1 : 1;
    return a->row < b->row ? -1 : a->row > b->row;
}

/* Of the requests of one block, the first of which is `at`. */
static mw_column_set columns_of(const mw_text_requests *requests, size_t at)
{
    uint32_t block = requests->items[at].block;
    mw_column_set columns = 0;
    for (; at < requests->count && requests->items[at].block == block; at++)
        columns |= mw_column_ref(requests->items[at].column);
    return columns;
}

mw_err mw_text_fetch(mw_store_view *view, mw_text_requests *requests, mw_arena *arena)
{
    mw_hot hot;
    if (requests->count > 1)
        qsort(requests->items, requests->count, sizeof *requests->items, request_compare);
    for (size_t i = 0; i < requests->count; i++) {
        const mw_text_request *request = &requests->items[i];
        if (i == 0 || request->block != requests->items[i - 1].block) {
            mw_err err = mw_view_columns(view, mw_view_block(view, request->block),
                                         columns_of(requests, i), &hot);
            if (err != MW_OK)
                return err;
        }
        mw_slice text = mw_hot_string(&hot, mw_hot_ref(&hot, request->column, request->row));
        if (text.len == 0)
            continue;
        *request->target = mw_arena_copy(arena, text);
        if (!request->target->data)
            return MW_E_NOMEM;
    }
    return MW_OK;
}

mw_err mw_trace_summary_numbers(const uint8_t *trace_id, const mw_join *join, mw_arena *arena,
                                mw_trace_summary *out)
{
    memset(out, 0, sizeof *out);
    memcpy(out->trace_id, trace_id, MW_TRACE_ID_SIZE);
    out->start_ns = join->start_ns;
    out->end_ns = join->end_ns;
    out->spans = join->count;
    out->logs = join->log_count;
    out->errors = join->errors;
    out->model_calls = join->model_calls;
    out->tool_calls = join->tool_calls;
    out->input_tokens = join->input_tokens;
    out->output_tokens = join->output_tokens;
    out->session_count = join->session_count;
    if (out->session_count == 0)
        return MW_OK;
    out->session_ids = mw_arena_zalloc(arena, out->session_count, sizeof *out->session_ids);
    return out->session_ids ? MW_OK : MW_E_NOMEM;
}

mw_err mw_trace_summary_request(const uint8_t *trace_id, const mw_join *join, mw_arena *arena,
                                mw_text_requests *requests, mw_trace_summary *out)
{
    const mw_join_span *root = join->spans[join->root];
    mw_err err = mw_trace_summary_numbers(trace_id, join, arena, out);
    if (err == MW_OK)
        err = mw_text_request_add(requests, root->block, root->row, MW_HOT_NAME, &out->root_name);
    if (err == MW_OK)
        err = mw_text_request_add(requests, root->block, root->row, MW_HOT_SERVICE, &out->service);
    for (size_t i = 0; err == MW_OK && i < join->session_count; i++) {
        const mw_join_span *owner = join->spans[join->sessions[i]];
        err = mw_text_request_add(requests, owner->block, owner->row, MW_HOT_SESSION,
                                  &out->session_ids[i]);
    }
    return err;
}
