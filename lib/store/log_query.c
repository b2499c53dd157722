/* Log records, newest first.
 *
 * Blocks are taken by their newest record, from the top: once the page is full and the next block
 * is older than the page's last record, nothing behind can matter. Of each block that may hold a
 * match the columns are read, and the items only when a row passes every filter but the text.
 * For the page's few rows the items are fetched, and the sessions that they inherit are looked up
 * in their traces. One thread: the view's.
 */
#include "lib/store/log_filter.h"
#include "lib/store/log_text.h"
#include "lib/store/page.h"
#include "lib/store/row_fetch.h"
#include "lib/store/trace_summary.h"

#define CURSOR_KIND 'l'
#define TIE_SIZE 12u

typedef struct log_listing {
    mw_store_view *view;
    mw_arena *arena;
    mw_page_bounds bounds;
    mw_log_filter filter;
    mw_newest newest;
    mw_top top; /* values: place_value */
    char *item; /* one record while its body is searched; MW_MEM_QUERY */
    size_t item_size;
    mw_log_list *out;
} log_listing;

/* ---- order ----------------------------------------------------------------------------------- */

/* Of the same time the last committed comes first: sequence and row count down. */
static void key_of(mw_page_key *key, uint64_t time_ns, uint64_t seq, uint32_t row)
{
    unsigned char tie[TIE_SIZE];
    uint64_t high = htobe64(~seq);
    uint32_t low = htobe32(~row);
    memcpy(tie, &high, 8);
    memcpy(tie + 8, &low, 4);
    mw_page_key_set(key, time_ns, mw_slice_bytes(tie, sizeof tie));
}

static uint64_t place_value(uint32_t block, uint32_t row)
{
    return (uint64_t)block << 32 | row;
}

/* Is the page full, and everything of this time or earlier behind its end? */
static bool too_late(const log_listing *listing, uint64_t time_ns)
{
    return listing->top.count == listing->top.capacity &&
           time_ns < listing->top.items[0].key.time_ns;
}

/* ---- which ----------------------------------------------------------------------------------- */

/* The items of the present block, read from when the first text is needed. */
typedef struct block_items {
    const mw_index_block *block;
    mw_items_walk walk;
    bool read;
} block_items;

/* An oversized record is not searched: it would have to be held as a whole. */
static mw_err item_fits(log_listing *listing, mw_items_walk *walk, uint32_t row, bool *fits)
{
    uint32_t len = mw_items_walk_item_length(walk, row);
    *fits = false;
    if (mw_is_oversized(len))
        return MW_OK;
    if (!mw_block_reader_room(&listing->item, &listing->item_size, len))
        return MW_E_NOMEM;
    mw_err err = mw_items_walk_item(walk, row, listing->item);
    if (err == MW_OK)
        *fits =
            mw_log_body_contains(mw_slice_bytes(listing->item, len), listing->filter.query->text);
    return err;
}

static mw_err text_fits(log_listing *listing, block_items *texts, uint32_t row, bool *fits)
{
    *fits = true;
    if (listing->filter.query->text.len == 0)
        return MW_OK;
    if (!texts->read) {
        mw_err err = mw_view_items(listing->view, texts->block, &texts->walk);
        if (err != MW_OK)
            return err;
        texts->read = true;
    }
    return item_fits(listing, &texts->walk, row, fits);
}

static mw_err offer_row(log_listing *listing, const mw_hot *hot, uint32_t block, uint32_t row,
                        block_items *texts)
{
    uint64_t time_ns = mw_hot_time(hot, row);
    mw_page_key key;
    bool fits;

    if (!mw_page_admits_time(&listing->bounds, time_ns) || too_late(listing, time_ns) ||
        !mw_log_filter_row(&listing->filter, row))
        return MW_OK;
    key_of(&key, time_ns, hot->seq, row);
    if (!mw_page_admits(&listing->bounds, &key))
        return MW_OK;
    mw_err err = text_fits(listing, texts, row, &fits);
    if (err == MW_OK && fits)
        mw_top_offer(&listing->top, &key, place_value(block, row));
    return err;
}

static mw_err scan_block(log_listing *listing, uint32_t at)
{
    block_items texts = {.block = mw_view_block(listing->view, at)};
    mw_hot hot;
    bool any = false;

    if (!mw_log_filter_block(&listing->filter, texts.block))
        return MW_OK;
    mw_err err = mw_view_hot(listing->view, texts.block, &hot);
    if (err == MW_OK)
        err = mw_log_filter_begin(&listing->filter, &hot, &any);
    for (uint32_t row = 0; err == MW_OK && any && row < hot.count; row++)
        err = offer_row(listing, &hot, at, row, &texts);
    if (texts.read)
        mw_items_walk_end(&texts.walk);
    return err;
}

/* Joins the traces of the wanted session that the blocks newest[from..to) hold records of. */
static mw_err learn_sessions(log_listing *listing, size_t from, size_t to)
{
    mw_log_members *members = &listing->filter.members;
    mw_trace_set needed;
    mw_err err = MW_OK;

    mw_trace_set_init(&needed, listing->view->store->key_seed);
    for (size_t i = from; err == MW_OK && i < to; i++) {
        const mw_index_block *block = mw_view_block(listing->view, listing->newest.items[i].block);
        mw_hot hot;
        if (!mw_log_filter_block(&listing->filter, block) ||
            !mw_block_meets_traces(block, &members->traces))
            continue;
        err = mw_view_hot(listing->view, block, &hot);
        if (err == MW_OK)
            err = mw_log_members_need(members, &hot, &needed);
    }
    if (err == MW_OK)
        err = mw_log_members_learn(members, listing->view, &needed);
    mw_trace_set_fini(&needed);
    return err;
}

/* A wanted session is learnt ahead of the scan, for more and more blocks at once. */
#define LEARN_AT_FIRST 16u
#define LEARN_GROWTH 8u

static mw_err scan_blocks(log_listing *listing)
{
    const mw_newest *newest = &listing->newest;
    size_t width = LEARN_AT_FIRST, learnt = 0;
    mw_err err = MW_OK;

    for (size_t i = 0; err == MW_OK && i < newest->count; i++) {
        if (too_late(listing, newest->items[i].max_ns))
            break;
        if (listing->filter.by_session && i == learnt) {
            learnt = newest->count - i < width ? newest->count : i + width;
            width *= LEARN_GROWTH;
            err = learn_sessions(listing, i, learnt);
        }
        if (err == MW_OK)
            err = scan_block(listing, newest->items[i].block);
    }
    return err;
}

/* With a wanted session, once for each share of its traces. */
static mw_err find_page(log_listing *listing)
{
    uint32_t parts = 1;
    mw_err err;

    if (!listing->filter.by_session)
        return scan_blocks(listing);
    do {
        err = MW_OK;
        listing->top.count = 0;
        for (uint32_t part = 0; err == MW_OK && part < parts; part++) {
            err = mw_log_filter_share(&listing->filter, listing->view, part, parts);
            if (err == MW_OK)
                err = scan_blocks(listing);
        }
        parts *= 2;
    } while (err == MW_E_LIMIT && parts <= MW_LOG_SHARES_MAX);
    mw_log_members_fini(&listing->filter.members);
    return err;
}

/* ---- rows ------------------------------------------------------------------------------------ */

static mw_err fill_record(void *ctx, size_t at, const mw_fetched_row *fetched)
{
    log_listing *listing = ctx;
    mw_log_record *record = &listing->out->items[at];
    mw_log_row *row = &record->row;

    mw_hot_log(fetched->hot, fetched->row, row);
    if (!mw_text_copy(listing->arena, &row->service) ||
        !mw_text_copy(listing->arena, &row->session_id) ||
        !mw_text_copy(listing->arena, &row->agent) ||
        !mw_text_copy(listing->arena, &row->event_name) ||
        !mw_text_copy(listing->arena, &row->origin))
        return MW_E_NOMEM;
    record->bytes = fetched->bytes;
    record->oversized = fetched->oversized;
    record->resource = fetched->resource;
    record->scope = fetched->scope;
    record->commit_seq = fetched->hot->seq;
    return MW_OK;
}

static mw_err fill_records(log_listing *listing, size_t count)
{
    mw_row_place *places = mw_alloc(MW_MEM_QUERY, count * sizeof *places);
    listing->out->items = mw_arena_zalloc(listing->arena, count, sizeof *listing->out->items);
    mw_err err = places && listing->out->items ? MW_OK : MW_E_NOMEM;
    for (size_t i = 0; err == MW_OK && i < count; i++) {
        uint64_t value = listing->top.items[i].value;
        places[i] = (mw_row_place){(uint32_t)(value >> 32), (uint32_t)value};
    }
    if (err == MW_OK)
        err = mw_rows_fetch(listing->view, places, count, listing->arena, fill_record, listing);
    mw_free(MW_MEM_QUERY, places);
    return err;
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

static mw_err inherit_sessions(log_listing *listing, size_t count)
{
    heirs work = {.records = listing->out->items};
    mw_gather_question question = {.wanted = &work.traces,
                                   .trace_spans_max = MW_GATHER_TRACE_SPANS_MAX,
                                   .trace = give_sessions,
                                   .ctx = &work};

    mw_trace_set_init(&work.traces, listing->view->store->key_seed);
    mw_text_requests_init(&work.requests);
    work.first = mw_alloc(MW_MEM_QUERY, count * sizeof *work.first);
    work.next = mw_alloc(MW_MEM_QUERY, count * sizeof *work.next);
    mw_err err = work.first && work.next ? add_heirs(&work, count) : MW_E_NOMEM;
    if (err == MW_OK && work.traces.count > 0)
        err = mw_gather(listing->view, &question);
    if (err == MW_OK)
        err = mw_text_fetch(listing->view, &work.requests, listing->arena);
    mw_trace_set_fini(&work.traces);
    mw_text_requests_fini(&work.requests);
    mw_free(MW_MEM_QUERY, work.first);
    mw_free(MW_MEM_QUERY, work.next);
    return err;
}

static mw_err show_page(log_listing *listing)
{
    bool more;
    size_t count = mw_top_finish(&listing->top, &more);

    if (count == 0)
        return MW_OK;
    mw_err err = fill_records(listing, count);
    if (err == MW_OK)
        err = inherit_sessions(listing, count);
    if (err == MW_OK && more)
        err = mw_page_cursor(listing->arena, CURSOR_KIND, &listing->top.items[count - 1].key,
                             &listing->out->next_cursor);
    if (err == MW_OK)
        listing->out->count = count;
    return err;
}

mw_err mw_store_log_list(mw_store_view *view, const mw_store_page *page, const mw_log_query *query,
                         mw_arena *arena, mw_log_list *out)
{
    log_listing listing = {.view = view, .arena = arena, .out = out};

    memset(out, 0, sizeof *out);
    mw_err err = mw_page_bounds_read(page, CURSOR_KIND, &listing.bounds);
    if (err == MW_OK && listing.bounds.has_cursor && listing.bounds.cursor.id_len != TIE_SIZE)
        err = MW_E_SYNTAX;
    if (err != MW_OK)
        return err;
    mw_log_filter_init(&listing.filter, view, query);
    err = mw_top_init(&listing.top, listing.bounds.limit);
    if (err == MW_OK)
        err = mw_newest_init(&listing.newest, view, MW_SIGNAL_LOGS, &listing.bounds);
    if (err == MW_OK)
        err = find_page(&listing);
    if (err == MW_OK)
        err = show_page(&listing);
    mw_free(MW_MEM_QUERY, listing.item);
    mw_newest_fini(&listing.newest);
    mw_top_fini(&listing.top);
    mw_log_filter_fini(&listing.filter);
    return err;
}
