/* Filters of data points. See point_filter.h. One thread: the view's. */
#include <xxhash.h>

#include "lib/store/query/point_filter.h"

mw_err mw_point_filter_init(mw_point_filter *filter, mw_store_view *view, const mw_store_page *page,
                            const mw_metric_query *query)
{
    uint64_t session = mw_text_key(view->store->key_seed, query->session_id);

    memset(filter, 0, sizeof *filter);
    filter->view = view;
    filter->query = query;
    filter->since_ns = page->since_ns;
    filter->until_ns = page->until_ns;
    filter->service_key = mw_text_key(view->store->key_seed, query->service);
    mw_origin_filter_init(&filter->origin, query->origin);
    if (query->session_id.len == 0)
        return MW_OK;
    return mw_block_set_find(view, MW_KEYS_SESSIONS, &session, 1, &filter->session_blocks);
}

void mw_point_filter_fini(mw_point_filter *filter)
{
    mw_origin_filter_fini(&filter->origin);
    mw_block_set_fini(&filter->session_blocks);
}

bool mw_point_filter_block(const mw_point_filter *filter, size_t at)
{
    const mw_index_block *block = mw_view_block(filter->view, at);
    const mw_metric_query *query = filter->query;
    if (!mw_block_holds(block, MW_SIGNAL_METRICS) || block->header.event_max_ns < filter->since_ns)
        return false;
    if (filter->until_ns && block->header.event_min_ns >= filter->until_ns)
        return false;
    if (query->service.len &&
        !mw_keys_contain(mw_index_services(block), block->service_count, filter->service_key))
        return false;
    return query->session_id.len == 0 || mw_block_set_has(&filter->session_blocks, at);
}

mw_err mw_point_filter_begin(mw_point_filter *filter, const mw_hot *hot, bool *any)
{
    filter->hot = hot;
    filter->service = mw_hot_find(hot, filter->query->service);
    filter->session = mw_hot_find(hot, filter->query->session_id);
    *any = filter->service != MW_REF_ABSENT && filter->session != MW_REF_ABSENT;
    return *any ? mw_origin_filter_begin(&filter->origin, hot) : MW_OK;
}

bool mw_point_filter_row(const mw_point_filter *filter, uint32_t row)
{
    uint64_t time_ns = mw_hot_time(filter->hot, row);
    if (time_ns < filter->since_ns || (filter->until_ns && time_ns >= filter->until_ns))
        return false;
    return mw_ref_fits(filter->hot, MW_HOT_SERVICE, row, filter->service) &&
           mw_ref_fits(filter->hot, MW_HOT_SESSION, row, filter->session) &&
           mw_origin_filter_fits(&filter->origin, filter->hot, row);
}

uint64_t mw_point_key(uint64_t seed, const mw_hot *hot, uint32_t row)
{
    const uint64_t identity[3] = {mw_hot_u64(hot, MW_WIDE_SERIES, row), mw_hot_time(hot, row),
                                  mw_hot_u64(hot, MW_WIDE_START, row)};
    return XXH3_64bits_withSeed(identity, sizeof identity, seed);
}
