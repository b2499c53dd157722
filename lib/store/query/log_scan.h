/* Finding log records and filling their rows: what the questions about them share.
 *
 * A scan goes through blocks in an order of its own, reads the columns of those that may hold a
 * match, and the items only when a row passes every filter of columns. Two orders exist: newest
 * first (lists) and as committed (who follows). For the few rows that were found the items are
 * fetched, and the sessions that they inherit are looked up in their traces. One thread: the
 * view's. Memory is MW_MEM_QUERY until _fini; rows are in the arena.
 */
#ifndef MW_STORE_LOG_SCAN_H
#define MW_STORE_LOG_SCAN_H

#include "lib/store/query/item_search.h"
#include "lib/store/query/log_filter.h"
#include "lib/store/query/page.h"

/* Sequence and row, behind the time, in the key of a record. */
#define MW_LOG_TIE_SIZE 12u

typedef struct mw_log_scan {
    mw_store_view *view;
    mw_arena *arena;
    mw_page_bounds bounds;
    mw_log_filter filter;
    mw_newest blocks; /* in the scan's order */
    mw_top top;
    bool by_commit;
    mw_log_position after; /* by commit: what lies behind it counts */
    size_t max_bytes;      /* of the records that are filled, at least one; 0 = unbounded */
    size_t filled_bytes;
    mw_item_search search; /* what is asked of the records themselves */
    mw_log_record *records;
    size_t record_count;
} mw_log_scan;

/* `query` must outlive it. Bounds, order and blocks are the caller's to set. MW_E_NOMEM,
 * MW_E_SYNTAX (the query's pattern). */
MW_MUST_USE mw_err mw_log_scan_init(mw_log_scan *scan, mw_store_view *view,
                                    const mw_log_query *query, size_t limit, mw_arena *arena);
void mw_log_scan_fini(mw_log_scan *scan);
/* The first limit + 1 matches of the scan's order, into scan->top. MW_E_NOMEM, MW_E_IO,
 * MW_E_CORRUPT. */
MW_MUST_USE mw_err mw_log_scan_find(mw_log_scan *scan);
/* scan->records from the first `count` of the finished top: as many as max_bytes lets be. */
MW_MUST_USE mw_err mw_log_scan_fill(mw_log_scan *scan, size_t count);

#endif
