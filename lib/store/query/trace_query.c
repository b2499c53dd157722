/* Questions about traces: find by prefix, read one whole, list the newest.
 *
 * One thread each: the view's. Work memory is MW_MEM_QUERY and gone at the return; what is
 * returned lives in the caller's arena.
 */
#include "lib/store/query/list_few.h"
#include "lib/store/query/page.h"
#include "lib/store/query/row_fetch.h"
#include "lib/store/query/trace_summary.h"

/* ---- find ------------------------------------------------------------------------------------ */

/* All ids that begin with the prefix lie in [low, high]. */
typedef struct id_range {
    uint8_t low[MW_TRACE_ID_SIZE], high[MW_TRACE_ID_SIZE];
} id_range;

static mw_err range_of_prefix(mw_slice prefix, id_range *out)
{
    char low[2 * MW_TRACE_ID_SIZE], high[2 * MW_TRACE_ID_SIZE];

    if (prefix.len < MW_ID_PREFIX_MIN || prefix.len > sizeof low || !mw_is_hex(prefix))
        return MW_E_SYNTAX;
    memset(low, '0', sizeof low);
    memset(high, 'f', sizeof high);
    memcpy(low, prefix.data, prefix.len);
    memcpy(high, prefix.data, prefix.len);
    mw_err err = mw_hex_decode(mw_slice_bytes(low, sizeof low), out->low, sizeof out->low);
    if (err == MW_OK)
        err = mw_hex_decode(mw_slice_bytes(high, sizeof high), out->high, sizeof out->high);
    return err;
}

/* Looks through a block's ids. *found counts the distinct ids so far: 0, 1, or 2 for "several". */
static void find_in_block(const mw_hot *hot, const id_range *range, int *found, uint8_t *trace_id)
{
    for (uint32_t i = 0; i < hot->traces && *found < 2; i++) {
        const unsigned char *id = mw_hot_trace_id(hot, i);
        if (memcmp(id, range->low, MW_TRACE_ID_SIZE) < 0)
            continue;
        if (memcmp(id, range->high, MW_TRACE_ID_SIZE) > 0)
            return;
        if (*found == 0) {
            memcpy(trace_id, id, MW_TRACE_ID_SIZE);
            *found = 1;
        } else if (memcmp(trace_id, id, MW_TRACE_ID_SIZE) != 0) {
            *found = 2;
        }
    }
}

mw_err mw_store_trace_find(mw_store_view *view, mw_slice hex_prefix,
                           uint8_t trace_id[MW_TRACE_ID_SIZE])
{
    mw_block_set blocks;
    id_range range;
    uint8_t id[MW_TRACE_ID_SIZE];
    int found = 0;
    mw_err err = range_of_prefix(hex_prefix, &range);
    if (err != MW_OK)
        return err;
    err = mw_block_set_between(view, MW_KEYS_TRACES, mw_trace_key(range.low),
                               mw_trace_key(range.high), &blocks);
    for (size_t i = 0; err == MW_OK && i < mw_view_count(view) && found < 2; i++) {
        const mw_index_block *block = mw_view_block(view, i);
        mw_hot hot;
        if (!mw_block_holds(block, MW_SIGNAL_TRACES) || !mw_block_set_has(&blocks, i))
            continue;
        err = mw_view_hot(view, block, &hot);
        if (err == MW_OK)
            find_in_block(&hot, &range, &found, id);
    }
    mw_block_set_fini(&blocks);
    if (err != MW_OK)
        return err;
    if (found == 1)
        memcpy(trace_id, id, MW_TRACE_ID_SIZE);
    return found == 0 ? MW_E_NOT_FOUND : found == 1 ? MW_OK : MW_E_AMBIGUOUS;
}

/* ---- read ------------------------------------------------------------------------------------ */

/* What the join of the one trace tells, kept beyond it: index in join order, MW_JOIN_NONE. */
typedef struct trace_span_owners {
    uint32_t session, agent;
    int64_t counted_input, counted_output;
    bool model_call, tool_call;
} trace_span_owners;

typedef struct trace_reading {
    mw_arena *arena;
    mw_trace *out;
    mw_row_place *places;      /* MW_MEM_QUERY, in join order like out->spans until the end */
    trace_span_owners *owners; /* likewise */
    uint32_t root;
    uint32_t *sessions; /* owners, in the arena */
    mw_span_row last;   /* the latest text of each kind */
} trace_reading;

static mw_err keep_join(void *ctx, const uint8_t *trace_id, const mw_join *join)
{
    trace_reading *reading = ctx;
    mw_trace *out = reading->out;

    mw_err err = mw_trace_summary_numbers(trace_id, join, reading->arena, &out->summary);
    if (err != MW_OK)
        return err;
    out->span_count = join->count;
    out->spans = mw_arena_zalloc(reading->arena, join->count, sizeof *out->spans);
    reading->places = mw_alloc(MW_MEM_QUERY, join->count * sizeof *reading->places);
    reading->owners = mw_alloc(MW_MEM_QUERY, join->count * sizeof *reading->owners);
    reading->sessions =
        mw_arena_alloc(reading->arena, (join->session_count + 1) * sizeof *reading->sessions);
    if (!out->spans || !reading->places || !reading->owners || !reading->sessions)
        return MW_E_NOMEM;
    for (size_t i = 0; i < join->count; i++) {
        const mw_join_span *span = join->spans[i];
        bool counts = mw_join_counts_tokens(join, i);
        reading->places[i] = (mw_row_place){span->block, span->row};
        reading->owners[i] = (trace_span_owners){
            join->session_owner[i],
            join->agent_owner[i],
            counts ? span->input_tokens : MW_TOKENS_UNKNOWN,
            counts ? span->output_tokens : MW_TOKENS_UNKNOWN,
            mw_join_is_model_call(join, i),
            mw_join_is_tool_call(join, i),
        };
    }
    for (size_t i = 0; i < join->session_count; i++)
        reading->sessions[i] = join->sessions[i];
    reading->root = join->root;
    return MW_OK;
}

static void fill_item(mw_trace_span *span, const mw_fetched_row *fetched)
{
    span->bytes = fetched->bytes;
    span->oversized = fetched->oversized;
    span->resource = fetched->resource;
    span->scope = fetched->scope;
}

/* Spans of a trace repeat each other's texts: what the row before has is not copied again. */
static bool copy_texts(trace_reading *reading, mw_span_row *row)
{
    mw_span_row *last = &reading->last;
    mw_slice *const texts[] = {&row->name,  &row->service, &row->peer_service,
                               &row->agent, &row->user,    &row->session_id,
                               &row->model, &row->origin,  &row->status_message};
    mw_slice *const before[] = {&last->name,  &last->service, &last->peer_service,
                                &last->agent, &last->user,    &last->session_id,
                                &last->model, &last->origin,  &last->status_message};
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        if (texts[i]->len && mw_slice_equal(*texts[i], *before[i]))
            *texts[i] = *before[i];
        else if (!mw_text_copy(reading->arena, texts[i]))
            return false;
        *before[i] = texts[i]->len ? *texts[i] : *before[i];
    }
    return true;
}

static mw_err fill_span(void *ctx, size_t at, const mw_fetched_row *fetched)
{
    trace_reading *reading = ctx;
    mw_trace_span *span = &reading->out->spans[at];

    mw_hot_span(fetched->hot, fetched->row, &span->row);
    if (!copy_texts(reading, &span->row))
        return MW_E_NOMEM;
    span->own_session_id = span->row.session_id;
    fill_item(span, fetched);
    span->commit_seq = mw_hot_seq(fetched->hot, fetched->row);
    span->index = mw_hot_index(fetched->hot, fetched->row);
    span->place = reading->places[at];
    span->counted_input = reading->owners[at].counted_input;
    span->counted_output = reading->owners[at].counted_output;
    span->model_call = reading->owners[at].model_call;
    span->tool_call = reading->owners[at].tool_call;
    return MW_OK;
}

static mw_err fill_spans(mw_store_view *view, trace_reading *reading, bool items)
{
    size_t count = reading->out->span_count;
    if (!items)
        return mw_rows_columns(view, reading->places, count, fill_span, reading);
    return mw_rows_fetch(view, reading->places, count, reading->arena, fill_span, reading);
}

static int by_start(const void *left, const void *right)
{
    const mw_trace_span *a = left, *b = right;
    if (a->row.start_ns != b->row.start_ns)
        return a->row.start_ns < b->row.start_ns ? -1 : 1;
    return memcmp(a->row.span_id, b->row.span_id, MW_SPAN_ID_SIZE);
}

/* Sessions and agents by inheritance. Owners' own values are kept aside first: an owner's row may
 * come before or behind its heirs'. */
static mw_err inherit(trace_reading *reading)
{
    mw_trace *out = reading->out;
    mw_slice *agents = mw_alloc(MW_MEM_QUERY, out->span_count * sizeof *agents);
    if (!agents)
        return MW_E_NOMEM;
    for (size_t i = 0; i < out->span_count; i++)
        agents[i] = out->spans[i].row.agent;
    for (size_t i = 0; i < out->span_count; i++) {
        uint32_t session = reading->owners[i].session, agent = reading->owners[i].agent;
        mw_span_row *row = &out->spans[i].row;
        row->session_id =
            session == MW_JOIN_NONE ? MW_SLICE_NONE : out->spans[session].own_session_id;
        row->agent = agent == MW_JOIN_NONE ? MW_SLICE_NONE : agents[agent];
    }
    out->summary.root_name = out->spans[reading->root].row.name;
    out->summary.service = out->spans[reading->root].row.service;
    for (size_t i = 0; i < out->summary.session_count; i++)
        out->summary.session_ids[i] = out->spans[reading->sessions[i]].own_session_id;
    mw_free(MW_MEM_QUERY, agents);
    return MW_OK;
}

static mw_err read_trace(mw_store_view *view, const uint8_t trace_id[MW_TRACE_ID_SIZE], bool items,
                         mw_arena *arena, mw_trace *out)
{
    trace_reading reading = {.arena = arena, .out = out};
    mw_trace_set wanted;
    uint32_t number;

    memset(out, 0, sizeof *out);
    mw_trace_set_init(&wanted, view->store->key_seed);
    mw_err err = mw_trace_set_add(&wanted, trace_id, &number);
    mw_gather_question question = {
        .wanted = &wanted, .logs = MW_GATHER_LOG_COUNT, .trace = keep_join, .ctx = &reading};
    if (err == MW_OK)
        err = mw_gather(view, &question);
    mw_trace_set_fini(&wanted);
    if (err == MW_OK && out->span_count == 0)
        err = MW_E_NOT_FOUND;
    if (err == MW_OK)
        err = fill_spans(view, &reading, items);
    if (err == MW_OK)
        err = inherit(&reading);
    if (err == MW_OK && out->span_count > 1)
        qsort(out->spans, out->span_count, sizeof *out->spans, by_start);
    mw_free(MW_MEM_QUERY, reading.places);
    mw_free(MW_MEM_QUERY, reading.owners);
    return err;
}

mw_err mw_store_trace_read(mw_store_view *view, const uint8_t trace_id[MW_TRACE_ID_SIZE],
                           mw_arena *arena, mw_trace *out)
{
    return read_trace(view, trace_id, true, arena, out);
}

mw_err mw_store_trace_outline(mw_store_view *view, const uint8_t trace_id[MW_TRACE_ID_SIZE],
                              mw_arena *arena, mw_trace *out)
{
    return read_trace(view, trace_id, false, arena, out);
}

static mw_err fill_named(void *ctx, size_t at, const mw_fetched_row *fetched)
{
    mw_trace_span *const *spans = ctx;
    fill_item(spans[at], fetched);
    return MW_OK;
}

mw_err mw_store_trace_items(mw_store_view *view, mw_trace_span *const *spans, size_t count,
                            mw_arena *arena)
{
    mw_row_place *places = mw_alloc(MW_MEM_QUERY, (count + 1) * sizeof *places);
    if (!places)
        return MW_E_NOMEM;
    for (size_t i = 0; i < count; i++)
        places[i] = spans[i]->place;
    mw_err err = mw_rows_fetch(view, places, count, arena, fill_named, (void *)(uintptr_t)spans);
    mw_free(MW_MEM_QUERY, places);
    return err;
}

/* ---- list ------------------------------------------------------------------------------------ */

typedef struct trace_listing {
    mw_store_view *view;
    mw_gather_question question; /* that offers traces */
    mw_arena *arena;
    mw_page_bounds bounds;
    uint64_t from_ns, to_ns; /* the present stretch: traces that start in it are seen */
    mw_top top;
    mw_trace_set page;
    mw_text_requests requests;
    mw_span_match match;
    mw_trace_list *out;
} trace_listing;

static mw_err offer_trace(void *ctx, const uint8_t *trace_id, const mw_join *join)
{
    trace_listing *listing = ctx;
    mw_page_key key;
    mw_page_key_set(&key, join->start_ns, mw_slice_bytes(trace_id, MW_TRACE_ID_SIZE));
    if (join->start_ns >= listing->from_ns && join->start_ns <= listing->to_ns &&
        mw_page_admits(&listing->bounds, &key) &&
        mw_span_match_fits(&listing->match, join->met, join->end_ns - join->start_ns,
                           join->input_tokens, join->output_tokens))
        mw_top_offer(&listing->top, &key, 0);
    return MW_OK;
}

static mw_err offer_set(void *ctx, const mw_trace_set *set)
{
    trace_listing *listing = ctx;
    mw_gather_question asked = listing->question;
    asked.wanted = set;
    return set->count ? mw_gather(listing->view, &asked) : MW_OK;
}

static mw_err offer_candidates(void *ctx, const mw_list_candidate *items, size_t count)
{
    trace_listing *listing = ctx;
    mw_trace_set set;
    uint32_t number;
    mw_err err = MW_OK;
    mw_trace_set_init(&set, listing->view->store->key_seed);
    for (size_t i = 0; err == MW_OK && i < count; i++)
        err = mw_trace_set_add(&set, items[i].trace, &number);
    if (err == MW_OK)
        err = offer_set(listing, &set);
    mw_trace_set_fini(&set);
    return err;
}

/* All that is left of the list, from `to_ns` down. */
static mw_err offer_rest(trace_listing *listing, uint64_t to_ns, bool *done)
{
    const mw_list_few few = {.view = listing->view,
                             .match = &listing->match,
                             .top = &listing->top,
                             .since_ns = listing->bounds.since_ns,
                             .to_ns = to_ns,
                             .take_set = offer_set,
                             .take = offer_candidates,
                             .ctx = listing};
    uint64_t from_ns = listing->from_ns, stretch_ns = listing->to_ns;
    listing->from_ns = few.since_ns;
    listing->to_ns = to_ns;
    mw_err err = mw_list_few_take(&few, done);
    listing->from_ns = from_ns;
    listing->to_ns = stretch_ns;
    return err;
}

static mw_err find_page(trace_listing *listing)
{
    mw_window window;
    bool all = false;
    bool selects = listing->match.all || mw_list_bounds_asked(listing->match.filter);
    listing->question = (mw_gather_question){.trace_spans_max = MW_GATHER_TRACE_SPANS_MAX,
                                             .match = listing->match.all ? &listing->match : NULL,
                                             .trace = offer_trace,
                                             .ctx = listing};
    mw_err err = mw_window_init(&window, listing->view, MW_WINDOW_TRACES, &listing->bounds);

    for (size_t taken = 0; err == MW_OK && !all && listing->top.count < listing->top.capacity;
         taken++) {
        uint64_t to_ns = window.next_to_ns;
        if (!mw_window_next(&window, &listing->from_ns, &listing->to_ns))
            break;
        if (taken == MW_WINDOWS_BEFORE_MATCH && selects)
            err = offer_rest(listing, to_ns, &all);
        if (err == MW_OK && !all)
            err = mw_gather_between(listing->view, &listing->question, MW_GATHER_STARTS,
                                    listing->from_ns, listing->to_ns);
    }
    mw_window_fini(&window);
    return err;
}

static mw_err show_trace(void *ctx, const uint8_t *trace_id, const mw_join *join)
{
    trace_listing *listing = ctx;
    uint32_t number = 0;
    bool found = mw_trace_set_find(&listing->page, trace_id, &number);
    MW_ASSERT(found);
    return mw_trace_summary_request(trace_id, join, listing->arena, &listing->requests,
                                    &listing->out->items[number]);
}

static mw_err show_page(trace_listing *listing)
{
    mw_trace_list *out = listing->out;
    bool more;
    size_t count = mw_top_finish(&listing->top, &more);
    mw_err err = MW_OK;

    if (count == 0)
        return MW_OK;
    for (size_t i = 0; err == MW_OK && i < count; i++) {
        uint32_t number;
        err = mw_trace_set_add(&listing->page, listing->top.items[i].key.id, &number);
    }
    out->items = mw_arena_zalloc(listing->arena, count, sizeof *out->items);
    if (err == MW_OK && !out->items)
        err = MW_E_NOMEM;
    mw_gather_question question = {.wanted = &listing->page,
                                   .trace_spans_max = MW_GATHER_TRACE_SPANS_MAX,
                                   .logs = MW_GATHER_LOG_COUNT,
                                   .trace = show_trace,
                                   .ctx = listing};
    if (err == MW_OK)
        err = mw_gather(listing->view, &question);
    if (err == MW_OK)
        err = mw_text_fetch(listing->view, &listing->requests, listing->arena);
    if (err == MW_OK && more)
        err = mw_page_cursor(listing->arena, listing->bounds.kind,
                             &listing->top.items[count - 1].key, &out->next_cursor);
    if (err == MW_OK)
        out->count = count;
    return err;
}

mw_err mw_store_trace_list(mw_store_view *view, const mw_store_page *page, mw_arena *arena,
                           mw_trace_list *out)
{
    return mw_store_trace_list_where(view, page, NULL, arena, out);
}

mw_err mw_store_trace_list_where(mw_store_view *view, const mw_store_page *page,
                                 const mw_list_filter *filter, mw_arena *arena, mw_trace_list *out)
{
    trace_listing listing = {.view = view, .arena = arena, .out = out};

    memset(out, 0, sizeof *out);
    mw_err err = mw_page_bounds_read(page, 't', &listing.bounds);
    if (err == MW_OK && listing.bounds.has_cursor &&
        listing.bounds.cursor.id_len != MW_TRACE_ID_SIZE)
        err = MW_E_SYNTAX;
    if (err != MW_OK)
        return err;
    mw_trace_set_init(&listing.page, view->store->key_seed);
    mw_text_requests_init(&listing.requests);
    err = mw_top_init(&listing.top, listing.bounds.limit);
    if (err == MW_OK)
        err = mw_span_match_init(&listing.match, view, filter);
    if (err == MW_OK)
        err = find_page(&listing);
    if (err == MW_OK)
        err = show_page(&listing);
    mw_top_fini(&listing.top);
    mw_span_match_fini(&listing.match);
    mw_trace_set_fini(&listing.page);
    mw_text_requests_fini(&listing.requests);
    return err;
}
