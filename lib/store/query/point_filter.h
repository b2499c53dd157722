/* The filters of one question about data points: time, service, session, origin.
 *
 * A point that came more than once is filtered copy by copy: its origin may differ, what makes its
 * identity cannot.
 */
#ifndef MW_STORE_POINT_FILTER_H
#define MW_STORE_POINT_FILTER_H

#include "lib/store/query/hot_filter.h"
#include "lib/store/segment/block_set.h"

typedef struct mw_point_filter {
    const mw_metric_query *query;
    uint64_t since_ns, until_ns; /* until 0 = unbounded */
    const mw_store_view *view;
    uint64_t service_key;
    mw_block_set session_blocks; /* that name the wanted session */
    mw_origin_filter origin;
    const mw_hot *hot;         /* of the present block */
    uint32_t service, session; /* likewise */
} mw_point_filter;

/* `query` must outlive it; to be ended in any case. MW_E_NOMEM, MW_E_IO, MW_E_CORRUPT. */
MW_MUST_USE mw_err mw_point_filter_init(mw_point_filter *filter, mw_store_view *view,
                                        const mw_store_page *page, const mw_metric_query *query);
void mw_point_filter_fini(mw_point_filter *filter);
/* May the view's block hold a match? False for blocks of other signals. */
bool mw_point_filter_block(const mw_point_filter *filter, size_t at);
/* Before the rows of a block; *any is false when none can match. MW_E_NOMEM. */
MW_MUST_USE mw_err mw_point_filter_begin(mw_point_filter *filter, const mw_hot *hot, bool *any);
bool mw_point_filter_row(const mw_point_filter *filter, uint32_t row);

/* A point is (series, time, start); as 64 bits, hashed with `seed`. */
uint64_t mw_point_key(uint64_t seed, const mw_hot *hot, uint32_t row);

#endif
