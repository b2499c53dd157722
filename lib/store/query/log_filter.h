/* The filters of one question about log records: which blocks, which rows.
 *
 * A block is asked by its index entry, then its texts are looked up once, then rows are compared
 * by number and reference. The body is read last, and only of rows that everything else lets pass.
 */
#ifndef MW_STORE_LOG_FILTER_H
#define MW_STORE_LOG_FILTER_H

#include "lib/store/query/hot_filter.h"
#include "lib/store/query/log_session.h"

typedef struct mw_log_filter {
    const mw_log_query *query;
    uint64_t service_key, session_key, trace_key, span_key;
    bool by_trace, by_session;
    const mw_store_view *view;
    mw_block_set trace_blocks;   /* by trace: that hold it */
    mw_block_set session_blocks; /* by session: that name it */
    mw_block_set member_blocks;  /* and those that hold a trace of `members` */
    mw_log_members members;      /* by session: those of the present share */
    bool own_sessions;           /* and the records that name it: in the first share alone */
    mw_origin_filter origin;
    /* of the present block */
    const mw_hot *hot;
    uint32_t trace; /* index in the block's ids */
    uint32_t service, session, agent, event_name;
} mw_log_filter;

/* `query` must outlive it; to be ended in any case. MW_E_NOMEM, MW_E_IO, MW_E_CORRUPT. */
MW_MUST_USE mw_err mw_log_filter_init(mw_log_filter *filter, mw_store_view *view,
                                      const mw_log_query *query);
void mw_log_filter_fini(mw_log_filter *filter);
/* With a wanted session: before the blocks are gone through for a share of the traces. Errors as
 * mw_log_members_find. */
MW_MUST_USE mw_err mw_log_filter_share(mw_log_filter *filter, mw_store_view *view, uint32_t part,
                                       uint32_t parts);
/* May the view's block hold a match? */
bool mw_log_filter_block(const mw_log_filter *filter, uint32_t at);
/* By session: may it hold records of a trace of `members`? */
static inline bool mw_log_filter_has_members(const mw_log_filter *filter, uint32_t at)
{
    return mw_block_set_has(&filter->member_blocks, at);
}
/* Before the rows of a block; *any is false when none can match. MW_E_NOMEM. */
MW_MUST_USE mw_err mw_log_filter_begin(mw_log_filter *filter, const mw_hot *hot, bool *any);
/* All but the time and what is asked of the item (item_search.h). */
bool mw_log_filter_row(const mw_log_filter *filter, uint32_t row);

#endif
