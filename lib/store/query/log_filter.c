/* Filters of log records. See log_filter.h. One thread: the view's. */
#include "lib/store/query/log_filter.h"

/* Severity from which a block's header counts (segment_format.h). */
#define SEVERITY_ERROR 17

mw_err mw_log_filter_init(mw_log_filter *filter, mw_store_view *view, const mw_log_query *query)
{
    uint64_t seed = view->store->key_seed;
    mw_err err = MW_OK;

    memset(filter, 0, sizeof *filter);
    filter->view = view;
    filter->query = query;
    filter->service_key = mw_text_key(seed, query->service);
    filter->session_key = mw_text_key(seed, query->session_id);
    filter->trace_key = mw_trace_key(query->trace_id);
    filter->span_key = mw_trace_key(query->span_id);
    filter->by_trace = !mw_id_is_zero(query->trace_id, MW_TRACE_ID_SIZE);
    filter->by_session = query->session_id.len > 0;
    filter->own_sessions = true;
    mw_log_members_init(&filter->members);
    mw_origin_filter_init(&filter->origin, query->origin);
    if (filter->by_trace)
        err = mw_block_set_find(view, MW_KEYS_TRACES, &filter->trace_key, 1, &filter->trace_blocks);
    if (err == MW_OK && filter->by_session)
        err = mw_block_set_find(view, MW_KEYS_SESSIONS, &filter->session_key, 1,
                                &filter->session_blocks);
    return err;
}

void mw_log_filter_fini(mw_log_filter *filter)
{
    mw_log_members_fini(&filter->members);
    mw_origin_filter_fini(&filter->origin);
    mw_block_set_fini(&filter->trace_blocks);
    mw_block_set_fini(&filter->session_blocks);
    mw_block_set_fini(&filter->member_blocks);
}

mw_err mw_log_filter_share(mw_log_filter *filter, mw_store_view *view, uint32_t part,
                           uint32_t parts)
{
    filter->own_sessions = part == 0;
    mw_block_set_fini(&filter->member_blocks);
    mw_err err = mw_log_members_find(&filter->members, view, filter->session_key, part, parts);
    if (err == MW_OK)
        err = mw_block_set_traces(view, &filter->members.traces, &filter->member_blocks);
    return err;
}

bool mw_log_filter_block(const mw_log_filter *filter, uint32_t at)
{
    const mw_index_block *block = mw_view_block(filter->view, at);
    const mw_log_query *query = filter->query;

    if (query->severity_min >= SEVERITY_ERROR && block->header.error_count == 0)
        return false;
    if (query->service.len &&
        !mw_keys_contain(mw_index_services(block), block->service_count, filter->service_key))
        return false;
    if (filter->by_trace && !mw_block_set_has(&filter->trace_blocks, at))
        return false;
    if (!filter->by_session)
        return true;
    return (filter->own_sessions && mw_block_set_has(&filter->session_blocks, at)) ||
           mw_log_filter_has_members(filter, at);
}

/* The index of the wanted trace in the block's ascending ids. */
static bool find_trace(const mw_hot *hot, const uint8_t *trace_id, uint32_t *at)
{
    uint32_t low = 0, high = hot->traces;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (memcmp(mw_hot_trace_id(hot, middle), trace_id, MW_TRACE_ID_SIZE) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    *at = low;
    return low < hot->traces && memcmp(mw_hot_trace_id(hot, low), trace_id, MW_TRACE_ID_SIZE) == 0;
}

mw_err mw_log_filter_begin(mw_log_filter *filter, const mw_hot *hot, bool *any)
{
    const mw_log_query *query = filter->query;

    filter->hot = hot;
    *any = false;
    if (filter->by_trace && !find_trace(hot, query->trace_id, &filter->trace))
        return MW_OK;
    filter->service = mw_hot_find(hot, query->service);
    filter->agent = mw_hot_find(hot, query->agent);
    filter->event_name = mw_hot_find(hot, query->event_name);
    if (filter->service == MW_REF_ABSENT || filter->agent == MW_REF_ABSENT ||
        filter->event_name == MW_REF_ABSENT)
        return MW_OK;
    /* Absent is fine here: records may inherit it. */
    filter->session = mw_hot_find(hot, query->session_id);
    *any = true;
    return mw_origin_filter_begin(&filter->origin, hot);
}

static bool session_fits(const mw_log_filter *filter, uint32_t row)
{
    const mw_hot *hot = filter->hot;
    uint32_t own = mw_hot_ref(hot, MW_HOT_SESSION, row);
    if (own)
        return filter->own_sessions && own == filter->session;
    return mw_log_members_has(&filter->members,
                              mw_hot_trace_id(hot, mw_hot_ref(hot, MW_HOT_TRACE, row)),
                              mw_trace_key(hot->wide[MW_WIDE_SPAN_ID] + 8 * (size_t)row));
}

bool mw_log_filter_row(const mw_log_filter *filter, uint32_t row)
{
    const mw_hot *hot = filter->hot;

    if (hot->narrow[MW_NARROW_SEVERITY][row] < filter->query->severity_min)
        return false;
    if (filter->by_trace && mw_hot_ref(hot, MW_HOT_TRACE, row) != filter->trace)
        return false;
    if (filter->span_key &&
        mw_trace_key(hot->wide[MW_WIDE_SPAN_ID] + 8 * (size_t)row) != filter->span_key)
        return false;
    return mw_ref_fits(hot, MW_HOT_SERVICE, row, filter->service) &&
           mw_ref_fits(hot, MW_HOT_AGENT, row, filter->agent) &&
           mw_ref_fits(hot, MW_HOT_NAME, row, filter->event_name) &&
           mw_origin_filter_fits(&filter->origin, hot, row) &&
           (!filter->by_session || session_fits(filter, row));
}
