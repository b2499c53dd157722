/* Scans of log records. See log_scan.h. One thread: the view's. */
#include "lib/store/query/log_scan.h"
#include "lib/store/query/row_fetch.h"
#include "lib/store/query/trace_summary.h"

/* ---- order ----------------------------------------------------------------------------------- */

/* What counts down along the scan. As committed it is the sequence, which counts up. */
static uint64_t order_of(const mw_log_scan *scan, uint64_t time_ns, uint64_t seq)
{
    return scan->by_commit ? ~seq : time_ns;
}

static uint64_t order_of_block(const mw_log_scan *scan, const mw_newest_block *block)
{
    return order_of(scan, block->max_ns, mw_view_block(scan->view, block->block)->header.seq);
}

/* Newest first: of the same time the last committed comes first, so sequence and position count
 * down. */
static void key_of(const mw_log_scan *scan, mw_page_key *key, uint64_t time_ns, uint64_t seq,
                   uint32_t index)
{
    unsigned char tie[MW_LOG_TIE_SIZE];
    uint64_t high = htobe64(~seq);
    uint32_t low = htobe32(scan->by_commit ? index : ~index);
    memcpy(tie, &high, 8);
    memcpy(tie + 8, &low, 4);
    mw_page_key_set(key, order_of(scan, time_ns, seq), mw_slice_bytes(tie, sizeof tie));
}

static uint64_t place_value(uint32_t block, uint32_t row)
{
    return (uint64_t)block << 32 | row;
}

/* Is the top full, and everything of this order or later behind its end? */
static bool too_late(const mw_log_scan *scan, uint64_t order)
{
    return scan->top.count == scan->top.capacity && order < scan->top.items[0].key.time_ns;
}

/* ---- which ----------------------------------------------------------------------------------- */

/* A commit may begin in one merged block and end in another. */
static bool is_behind(const mw_log_position *after, const mw_hot *hot, uint32_t row)
{
    uint64_t seq = mw_hot_seq(hot, row);
    return seq > after->seq || (seq == after->seq && mw_hot_index(hot, row) > after->index);
}

/* Cheap tests first: most rows fail one. */
static bool may_fit(const mw_log_scan *scan, const mw_hot *hot, uint32_t row)
{
    uint64_t time_ns = mw_hot_time(hot, row);
    if (!mw_page_admits_time(&scan->bounds, time_ns) ||
        too_late(scan, order_of(scan, time_ns, mw_hot_seq(hot, row))))
        return false;
    if (scan->by_commit && !is_behind(&scan->after, hot, row))
        return false;
    return mw_log_filter_row(&scan->filter, row);
}

static mw_err offer_row(mw_log_scan *scan, const mw_hot *hot, uint32_t block, uint32_t row)
{
    mw_page_key key;
    bool fits;

    if (!may_fit(scan, hot, row))
        return MW_OK;
    key_of(scan, &key, mw_hot_time(hot, row), mw_hot_seq(hot, row), mw_hot_index(hot, row));
    if (!scan->by_commit && !mw_page_admits(&scan->bounds, &key))
        return MW_OK;
    mw_err err = mw_item_search_fits(&scan->search, hot, row, &fits);
    if (err == MW_OK && fits)
        mw_top_offer(&scan->top, &key, place_value(block, row));
    return err;
}

static mw_err scan_block(mw_log_scan *scan, uint32_t at)
{
    const mw_index_block *block = mw_view_block(scan->view, at);
    mw_hot hot;
    bool any = false;

    if (!mw_log_filter_block(&scan->filter, at))
        return MW_OK;
    mw_err err = mw_item_search_block(&scan->search, block, &any);
    if (err != MW_OK || !any)
        return err;
    err = mw_view_hot(scan->view, block, &hot);
    if (err == MW_OK)
        err = mw_log_filter_begin(&scan->filter, &hot, &any);
    for (uint32_t row = 0; err == MW_OK && any && row < hot.count; row++)
        err = offer_row(scan, &hot, at, row);
    mw_item_search_leave(&scan->search);
    return err;
}

/* Joins the traces of the wanted session that the blocks newest[from..to) hold records of. */
static mw_err learn_sessions(mw_log_scan *scan, size_t from, size_t to)
{
    mw_log_members *members = &scan->filter.members;
    mw_trace_set needed;
    mw_err err = MW_OK;

    mw_trace_set_init(&needed, scan->view->store->key_seed);
    for (size_t i = from; err == MW_OK && i < to; i++) {
        uint32_t at = scan->blocks.items[i].block;
        mw_hot hot;
        if (!mw_log_filter_block(&scan->filter, at) ||
            !mw_log_filter_has_members(&scan->filter, at))
            continue;
        err = mw_view_hot(scan->view, mw_view_block(scan->view, at), &hot);
        if (err == MW_OK)
            err = mw_log_members_need(members, &hot, &needed);
    }
    if (err == MW_OK)
        err = mw_log_members_learn(members, scan->view, &needed);
    mw_trace_set_fini(&needed);
    return err;
}

/* A wanted session is learnt ahead of the scan, for more and more blocks at once. */
#define LEARN_AT_FIRST 16u
#define LEARN_GROWTH 8u

static mw_err scan_blocks(mw_log_scan *scan)
{
    const mw_newest *blocks = &scan->blocks;
    size_t width = LEARN_AT_FIRST, learnt = 0;
    mw_err err = MW_OK;

    for (size_t i = 0; err == MW_OK && i < blocks->count; i++) {
        if (too_late(scan, order_of_block(scan, &blocks->items[i])))
            break;
        if (scan->filter.by_session && i == learnt) {
            learnt = blocks->count - i < width ? blocks->count : i + width;
            width *= LEARN_GROWTH;
            err = learn_sessions(scan, i, learnt);
        }
        if (err == MW_OK)
            err = scan_block(scan, blocks->items[i].block);
    }
    return err;
}

/* With a wanted session, once for each share of its traces. */
mw_err mw_log_scan_find(mw_log_scan *scan)
{
    uint32_t parts = 1;
    mw_err err;

    if (!scan->filter.by_session)
        return scan_blocks(scan);
    do {
        err = MW_OK;
        scan->top.count = 0;
        scan->search.undecided = 0;
        for (uint32_t part = 0; err == MW_OK && part < parts; part++) {
            err = mw_log_filter_share(&scan->filter, scan->view, part, parts);
            if (err == MW_OK)
                err = scan_blocks(scan);
        }
        parts *= 2;
    } while (err == MW_E_LIMIT && parts <= MW_LOG_SHARES_MAX);
    mw_log_members_fini(&scan->filter.members);
    return err;
}

/* ---- rows ------------------------------------------------------------------------------------ */

static mw_err fill_record(void *ctx, size_t at, const mw_fetched_row *fetched)
{
    mw_log_scan *scan = ctx;
    mw_log_record *record = &scan->records[at];
    mw_log_row *row = &record->row;

    scan->filled_bytes += fetched->bytes.len;
    if (scan->max_bytes && at > 0 && scan->filled_bytes > scan->max_bytes)
        return MW_E_AGAIN;
    mw_hot_log(fetched->hot, fetched->row, row);
    if (!mw_text_copy(scan->arena, &row->service) || !mw_text_copy(scan->arena, &row->session_id) ||
        !mw_text_copy(scan->arena, &row->agent) || !mw_text_copy(scan->arena, &row->event_name) ||
        !mw_text_copy(scan->arena, &row->origin))
        return MW_E_NOMEM;
    record->bytes = fetched->bytes;
    record->oversized = fetched->oversized;
    record->resource = fetched->resource;
    record->scope = fetched->scope;
    record->commit_seq = mw_hot_seq(fetched->hot, fetched->row);
    record->index = mw_hot_index(fetched->hot, fetched->row);
    scan->record_count++;
    return MW_OK;
}

static mw_err fill_records(mw_log_scan *scan, size_t count)
{
    mw_row_place *places = mw_alloc(MW_MEM_QUERY, count * sizeof *places);
    scan->records = mw_arena_zalloc(scan->arena, count, sizeof *scan->records);
    mw_err err = places && scan->records ? MW_OK : MW_E_NOMEM;
    for (size_t i = 0; err == MW_OK && i < count; i++) {
        uint64_t value = scan->top.items[i].value;
        places[i] = (mw_row_place){(uint32_t)(value >> 32), (uint32_t)value};
    }
    if (err == MW_OK)
        err = mw_rows_fetch(scan->view, places, count, scan->arena, fill_record, scan);
    mw_free(MW_MEM_QUERY, places);
    /* Rows are fetched in order of commit: a bound in bytes is for scans in that order alone, so
     * that the first ones are there. */
    MW_ASSERT(err != MW_E_AGAIN || scan->by_commit);
    return err == MW_E_AGAIN ? MW_OK : err;
}

/* ---- sessions that the rows inherit ---------------------------------------------------------- */

#define NO_RECORD UINT32_MAX

typedef struct heirs {
    mw_log_record *records;
    mw_trace_set traces; /* of records that may inherit */
    uint32_t *first;     /* by the trace's number: its first record, then by record the next */
    uint32_t *next;
    mw_text_requests requests;
} heirs;

static mw_err give_sessions(void *ctx, const uint8_t *trace_id, const mw_join *join)
{
    heirs *work = ctx;
    uint32_t number = 0;
    mw_err err = MW_OK;
    bool found = mw_trace_set_find(&work->traces, trace_id, &number);

    MW_ASSERT(found);
    for (uint32_t i = work->first[number]; err == MW_OK && i != NO_RECORD; i = work->next[i]) {
        mw_log_row *row = &work->records[i].row;
        uint32_t owner = mw_join_log_owner(join, mw_trace_key(row->span_id));
        if (owner == MW_JOIN_NONE)
            continue;
        err = mw_text_request_add(&work->requests, join->spans[owner]->block,
                                  join->spans[owner]->row, MW_HOT_SESSION, &row->session_id);
    }
    return err;
}

static mw_err add_heirs(heirs *work, size_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        const mw_log_row *row = &work->records[i].row;
        uint32_t number;
        if (row->session_id.len || mw_id_is_zero(row->trace_id, MW_TRACE_ID_SIZE))
            continue;
        size_t before = work->traces.count;
        mw_err err = mw_trace_set_add(&work->traces, row->trace_id, &number);
        if (err != MW_OK)
            return err;
        work->next[i] = work->traces.count > before ? NO_RECORD : work->first[number];
        work->first[number] = i;
    }
    return MW_OK;
}

static mw_err inherit_sessions(mw_log_scan *scan, size_t count)
{
    heirs work = {.records = scan->records};
    mw_gather_question question = {.wanted = &work.traces,
                                   .trace_spans_max = MW_GATHER_TRACE_SPANS_MAX,
                                   .trace = give_sessions,
                                   .ctx = &work};

    mw_trace_set_init(&work.traces, scan->view->store->key_seed);
    mw_text_requests_init(&work.requests);
    work.first = mw_alloc(MW_MEM_QUERY, count * sizeof *work.first);
    work.next = mw_alloc(MW_MEM_QUERY, count * sizeof *work.next);
    mw_err err = work.first && work.next ? add_heirs(&work, count) : MW_E_NOMEM;
    if (err == MW_OK && work.traces.count > 0)
        err = mw_gather(scan->view, &question);
    if (err == MW_OK)
        err = mw_text_fetch(scan->view, &work.requests, scan->arena);
    mw_trace_set_fini(&work.traces);
    mw_text_requests_fini(&work.requests);
    mw_free(MW_MEM_QUERY, work.first);
    mw_free(MW_MEM_QUERY, work.next);
    return err;
}

mw_err mw_log_scan_fill(mw_log_scan *scan, size_t count)
{
    if (count == 0)
        return MW_OK;
    mw_err err = fill_records(scan, count);
    if (err == MW_OK)
        err = inherit_sessions(scan, scan->record_count);
    return err;
}

/* ---- life ------------------------------------------------------------------------------------ */

mw_err mw_log_scan_init(mw_log_scan *scan, mw_store_view *view, const mw_log_query *query,
                        size_t limit, mw_arena *arena)
{
    memset(scan, 0, sizeof *scan);
    scan->view = view;
    scan->arena = arena;
    mw_item_search_init(&scan->search, view, MW_LOG_ATTRIBUTES);
    mw_err err = mw_log_filter_init(&scan->filter, view, query);
    if (err == MW_OK)
        err = mw_item_search_attributes(&scan->search, query->attributes, query->attribute_count);
    if (err == MW_OK)
        err = mw_item_search_bodies(&scan->search, query->text, query->pattern);
    return err == MW_OK ? mw_top_init(&scan->top, limit) : err;
}

void mw_log_scan_fini(mw_log_scan *scan)
{
    mw_item_search_fini(&scan->search);
    mw_newest_fini(&scan->blocks);
    mw_top_fini(&scan->top);
    mw_log_filter_fini(&scan->filter);
}
