/* Log records as they were committed, oldest first, from a position on: what a follower asks.
 *
 * Blocks stand in the index in order of their sequence, so the position is found by halving, and
 * what is asked costs what came since. One question looks at a bounded number of blocks, so that
 * whoever is far behind takes turns with others. One thread: the view's.
 */
#include "lib/store/log_scan.h"

/* Of log records, a question; those that the index passes over count too. Columns of a block are
 * read in tens to hundreds of microseconds. */
#define BLOCKS_MAX 64u

/* The first block of that sequence or a later one. */
static uint32_t first_block(const mw_store_view *view, uint64_t seq)
{
    size_t low = 0, high = mw_view_count(view);
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (mw_view_block(view, middle)->header.seq < seq)
            low = middle + 1;
        else
            high = middle;
    }
    return (uint32_t)low;
}

/* The blocks to look at, and where the reader stands behind them. */
static mw_err choose_blocks(mw_log_scan *scan, mw_log_position *end, bool *more)
{
    mw_newest *blocks = &scan->blocks;
    uint32_t looked = 0;

    *more = false;
    blocks->items = mw_alloc(MW_MEM_QUERY, BLOCKS_MAX * sizeof *blocks->items);
    if (!blocks->items)
        return MW_E_NOMEM;
    uint64_t seq = mw_store_view_seq(scan->view);
    *end = seq >= scan->after.seq ? (mw_log_position){seq, UINT32_MAX} : scan->after;
    for (uint32_t i = first_block(scan->view, scan->after.seq); i < mw_view_count(scan->view);
         i++) {
        const mw_block_header *header = &mw_view_block(scan->view, i)->header;
        if (header->signal != MW_SIGNAL_LOGS || header->event_max_ns < scan->bounds.since_ns)
            continue;
        if (looked++ == BLOCKS_MAX) {
            *more = true;
            return MW_OK;
        }
        blocks->items[blocks->count++] = (mw_newest_block){header->event_max_ns, i};
        if (looked == BLOCKS_MAX)
            *end = (mw_log_position){header->seq, UINT32_MAX};
    }
    return MW_OK;
}

static mw_err answer(mw_log_scan *scan, mw_log_tail *out)
{
    bool beyond;
    size_t count = mw_top_finish(&scan->top, &beyond);
    mw_err err = mw_log_scan_fill(scan, count);

    if (err != MW_OK)
        return err;
    out->items = scan->records;
    out->count = scan->record_count;
    if (!beyond && out->count == count)
        return MW_OK;
    const mw_log_record *last = &out->items[out->count - 1];
    out->position = (mw_log_position){last->commit_seq, last->index};
    out->more = true;
    return MW_OK;
}

mw_err mw_store_log_follow(mw_store_view *view, const mw_log_follow *follow,
                           const mw_log_query *query, mw_arena *arena, mw_log_tail *out)
{
    mw_log_scan scan;

    MW_ASSERT(follow->limit > 0);
    memset(out, 0, sizeof *out);
    mw_err err = mw_log_scan_init(&scan, view, query, follow->limit, arena);
    scan.by_commit = true;
    scan.after = follow->after;
    scan.max_bytes = follow->max_bytes;
    scan.bounds.since_ns = follow->since_ns;
    if (err == MW_OK)
        err = choose_blocks(&scan, &out->position, &out->more);
    /* A wanted session costs a look at the spans that name it: not for nothing. */
    if (err == MW_OK && scan.blocks.count > 0)
        err = mw_log_scan_find(&scan);
    if (err == MW_OK)
        err = answer(&scan, out);
    mw_log_scan_fini(&scan);
    return err;
}
