/* Log records as they were committed, oldest first, from a position on: what a follower asks.
 *
 * Segments stand in the index in order of their sequences, and so do the blocks of log records, in
 * merged segments too (those of other signals between them do not). So the segment is found by
 * halving, and what is asked costs what came since. A merged block holds many commits, and a commit
 * may end in another block than it began: what lies behind the position is told row by row. One
 * question looks at a bounded number of blocks and records, so that whoever is far behind takes
 * turns with others. One thread: the view's.
 */
#include "lib/store/query/log_scan.h"

/* Of log records, a question; those that the index passes over count too. Columns of a block are
 * read in tens to hundreds of microseconds, of a merged one of 8192 records in a millisecond. */
#define BLOCKS_MAX 64u
#define RECORDS_MAX (128u * 1024)

/* The first of the blocks whose segments begin behind that sequence. */
static size_t later_segments(const mw_store_view *view, uint64_t seq)
{
    size_t low = 0, high = mw_view_count(view);
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (mw_view_block(view, middle)->segment->header.first_seq <= seq)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

/* Of a segment of the log, whose blocks end before `end`: its first of that sequence or a later
 * one. */
static size_t first_in_log(const mw_store_view *view, uint64_t seq, size_t end)
{
    const mw_segment *segment = mw_view_block(view, end - 1)->segment;
    size_t low = 0, high = end;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        const mw_index_block *block = mw_view_block(view, middle);
        if (block->segment != segment || block->header.seq < seq)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

/* A block from which on all that is behind the position is found. */
static uint32_t first_block(const mw_store_view *view, uint64_t seq)
{
    size_t end = later_segments(view, seq);
    if (end == 0)
        return 0;
    const mw_segment *segment = mw_view_block(view, end - 1)->segment;
    if (segment->header.kind == MW_SEGMENT_LOG)
        return (uint32_t)first_in_log(view, seq, end);
    /* The last block of log records that begins before the sequence may hold the rest of it. */
    size_t first = end - segment->block_count, found = first;
    for (size_t i = first; i < end; i++) {
        const mw_block_header *header = &mw_view_block(view, i)->header;
        if (header->signal == MW_SIGNAL_LOGS && header->seq < seq)
            found = i;
    }
    return (uint32_t)found;
}

/* Right behind the last row of a block. */
static mw_err end_of_block(mw_store_view *view, const mw_index_block *block, mw_log_position *out)
{
    mw_hot hot;
    *out = (mw_log_position){block->header.seq, UINT32_MAX};
    if (!block->header.many_commits)
        return MW_OK;
    mw_err err = mw_view_hot(view, block, &hot);
    if (err == MW_OK)
        *out =
            (mw_log_position){mw_hot_seq(&hot, hot.count - 1), mw_hot_index(&hot, hot.count - 1)};
    return err;
}

static bool is_before(const mw_log_position *a, const mw_log_position *b)
{
    return a->seq != b->seq ? a->seq < b->seq : a->index < b->index;
}

/* Is there no room for one more block? Then the question ends behind the last one. */
static mw_err is_enough(mw_log_scan *scan, uint64_t records, mw_log_position *end, bool *enough)
{
    mw_newest *blocks = &scan->blocks;
    *enough = false;
    if (blocks->count == 0 || (blocks->count < BLOCKS_MAX && records <= RECORDS_MAX))
        return MW_OK;
    mw_log_position reached;
    uint32_t last = blocks->items[blocks->count - 1].block;
    mw_err err = end_of_block(scan->view, mw_view_block(scan->view, last), &reached);
    if (err != MW_OK)
        return err;
    *enough = is_before(&scan->after, &reached);
    if (*enough)
        *end = reached;
    else
        blocks->count = 0; /* all of it is behind us */
    return MW_OK;
}

/* The blocks to look at, and where the reader stands behind them. */
static mw_err choose_blocks(mw_log_scan *scan, mw_log_position *end, bool *more)
{
    mw_newest *blocks = &scan->blocks;
    uint64_t records = 0;
    mw_err err = MW_OK;

    *more = false;
    blocks->items = mw_alloc(MW_MEM_QUERY, BLOCKS_MAX * sizeof *blocks->items);
    if (!blocks->items)
        return MW_E_NOMEM;
    uint64_t seq = mw_store_view_seq(scan->view);
    *end = seq >= scan->after.seq ? (mw_log_position){seq, UINT32_MAX} : scan->after;
    for (uint32_t i = first_block(scan->view, scan->after.seq);
         err == MW_OK && i < mw_view_count(scan->view); i++) {
        const mw_index_block *block = mw_view_block(scan->view, i);
        const mw_block_header *header = &block->header;
        if (header->signal != MW_SIGNAL_LOGS || header->event_max_ns < scan->bounds.since_ns)
            continue;
        /* Nobody knows where it ends, so a question does not end with it. */
        if (mw_view_leaves_out(scan->view, block))
            continue;
        err = is_enough(scan, records + header->item_count, end, more);
        if (err != MW_OK || *more)
            break;
        records = blocks->count ? records + header->item_count : header->item_count;
        blocks->items[blocks->count++] = (mw_newest_block){header->event_max_ns, i};
    }
    return err;
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
    out->given_up = scan.search.given_up;
    mw_log_scan_fini(&scan);
    return err;
}
