/* The newest sessions.
 *
 * A session's time is that of its latest row, so the rows of a stretch of time name all sessions
 * that may have been seen last in it: by themselves, or by their traces. These candidates are added
 * up over all of their traces and log records, and then their last_seen is known. Stretches are
 * taken from the newest down until the page is full. The tables are bounded like everything, so a
 * stretch with very many sessions is gone through in parts by the hash of the session's id.
 */
#include "lib/store/format/key_set.h"
#include "lib/store/query/list_few.h"
#include "lib/store/query/page.h"
#include "lib/store/query/session_total.h"

typedef struct seen_session {
    uint64_t key;
    mw_page_key page; /* without the time */
} seen_session;

/* By key; slots hold 1 + index. The keys are hashes with a secret seed already. */
typedef struct seen_table {
    seen_session *items;
    size_t count, capacity;
    uint32_t *slots; /* twice the capacity */
} seen_table;

typedef struct session_listing {
    mw_store_view *view;
    mw_arena *arena;
    mw_page_bounds bounds;
    uint64_t from_ns, to_ns; /* the present stretch */
    uint32_t part, parts;    /* of the sessions */
    bool overflow;           /* a part exceeded the budget */
    seen_table seen;         /* candidates of the part */
    mw_session_totals totals;
    mw_key_set settled;      /* sessions of which it is known whether the page holds them */
    bool settled_full;       /* no longer kept */
    mw_top top;              /* values are places in `found` */
    mw_session_total *found; /* what was offered */
    size_t found_count, found_capacity;
    mw_text_requests requests;
    mw_span_match match;
    /* Traces that may have the wanted spans, or keys of sessions that may be as wanted, ascending;
     * both NULL: those of the stretch. */
    const mw_trace_set *rare;
    const uint64_t *named;
    size_t named_count;
    bool recent;           /* with `rare`: log records name sessions too, those behind */
    uint64_t recent_after; /* this commit */
    mw_session_list *out;
} session_listing;

#define SEEN_AT_FIRST 256u
#define SESSION_PARTS_MAX ((uint32_t)1 << 16)
/* A candidate in all tables. */
#define CANDIDATE_BYTES                                                                            \
    (2 * (sizeof(seen_session) + 2 * sizeof(uint32_t)) + sizeof(mw_session_total) +                \
     sizeof(uint64_t))

static void seen_fini(seen_table *table)
{
    mw_free(MW_MEM_QUERY, table->items);
    mw_free(MW_MEM_QUERY, table->slots);
    *table = (seen_table){0};
}

static size_t seen_slot(const seen_table *table, uint64_t key)
{
    size_t mask = table->capacity * 2 - 1;
    size_t slot = key & mask;
    while (table->slots[slot] && table->items[table->slots[slot] - 1].key != key)
        slot = (slot + 1) & mask;
    return slot;
}

static seen_session *seen_find(const seen_table *table, uint64_t key)
{
    if (table->capacity == 0)
        return NULL;
    uint32_t found = table->slots[seen_slot(table, key)];
    return found ? &table->items[found - 1] : NULL;
}

static bool seen_grow(seen_table *table)
{
    size_t capacity = table->capacity ? table->capacity * 2 : SEEN_AT_FIRST;
    seen_session *items = mw_realloc(MW_MEM_QUERY, table->items, capacity * sizeof *items);
    if (items)
        table->items = items;
    uint32_t *slots = mw_calloc(MW_MEM_QUERY, capacity * 2, sizeof *slots);
    if (!items || !slots) {
        mw_free(MW_MEM_QUERY, slots);
        return false;
    }
    mw_free(MW_MEM_QUERY, table->slots);
    table->slots = slots;
    table->capacity = capacity;
    for (size_t i = 0; i < table->count; i++)
        slots[seen_slot(table, items[i].key)] = (uint32_t)i + 1;
    return true;
}

/* A session id that a row of the stretch's traces has: remembers how it sorts. */
static mw_err note_session(void *ctx, uint64_t key, mw_slice session_id)
{
    session_listing *listing = ctx;
    seen_table *table = &listing->seen;

    if (((key >> 32) & (listing->parts - 1)) != listing->part || seen_find(table, key))
        return MW_OK;
    if (table->count == table->capacity) {
        size_t bytes = table->capacity * CANDIDATE_BYTES;
        if (bytes > listing->view->query_budget && listing->parts < SESSION_PARTS_MAX) {
            listing->overflow = true;
            return MW_E_LIMIT;
        }
        if (!seen_grow(table))
            return MW_E_NOMEM;
    }
    MW_ASSERT(table->items);
    seen_session *session = &table->items[table->count];
    session->key = key;
    mw_page_key_set(&session->page, 0, session_id);
    table->slots[seen_slot(table, key)] = (uint32_t)++table->count;
    return MW_OK;
}

static mw_err note_own_log(void *ctx, const mw_own_session_log *log)
{
    const session_listing *listing = ctx;
    if (log->time_ns < listing->from_ns || log->time_ns > listing->to_ns)
        return MW_OK;
    return note_session(ctx, log->session, log->session_id);
}

/* Of a block of the log all rows are of one commit. */
static bool is_recent(const mw_index_block *block, uint64_t after)
{
    return !block->segment->footer && block->header.seq > after &&
           !mw_block_holds(block, MW_SIGNAL_METRICS);
}

static mw_err note_recent_logs(session_listing *listing)
{
    mw_store_view *view = listing->view;
    mw_err err = MW_OK;
    for (size_t i = 0; err == MW_OK && i < mw_view_count(view); i++) {
        const mw_index_block *block = mw_view_block(view, i);
        mw_hot hot;
        if (!is_recent(block, listing->recent_after) || !mw_block_holds(block, MW_SIGNAL_LOGS) ||
            !block->has_sessions)
            continue;
        err = mw_view_hot(view, block, &hot);
        for (uint32_t row = 0; err == MW_OK && row < hot.count; row++) {
            mw_slice id = mw_hot_string(&hot, mw_hot_ref(&hot, MW_HOT_SESSION, row));
            if (id.len)
                err = note_session(listing, mw_text_key(view->store->key_seed, id), id);
        }
    }
    return err;
}

/* Every session that was seen last in the stretch, and others. */
static mw_err find_candidates(session_listing *listing)
{
    mw_gather_question question = {
        .trace_spans_max = MW_GATHER_TRACE_SPANS_MAX, .session = note_session, .ctx = listing};
    seen_fini(&listing->seen);
    if (listing->named)
        return mw_each_session_text(listing->view, listing->named, listing->named_count,
                                    note_session, listing);
    if (listing->rare) {
        question.wanted = listing->rare;
        mw_err found = listing->rare->count ? mw_gather(listing->view, &question) : MW_OK;
        return found == MW_OK && listing->recent ? note_recent_logs(listing) : found;
    }
    mw_err err = mw_gather_between(listing->view, &question, MW_GATHER_LATEST, listing->from_ns,
                                   listing->to_ns);
    if (err == MW_OK)
        err = mw_each_own_session_log(listing->view, listing->from_ns, listing->to_ns, NULL, 0,
                                      note_own_log, listing);
    return err;
}

static int key_compare(const void *left, const void *right)
{
    uint64_t a, b;
    memcpy(&a, left, sizeof a);
    memcpy(&b, right, sizeof b);
    return a < b ? -1 : a > b;
}

static mw_err add_trace(void *ctx, const uint8_t *trace_id, const mw_join *join)
{
    session_listing *listing = ctx;
    (void)trace_id;
    mw_session_totals_add(&listing->totals, join);
    return MW_OK;
}

/* Totals of the candidates over all of their traces and log records. */
static mw_err add_up(session_listing *listing)
{
    mw_store_view *view = listing->view;
    size_t count = listing->seen.count;
    uint64_t *keys = mw_alloc(MW_MEM_QUERY, (count + 1) * sizeof *keys);
    if (!keys)
        return MW_E_NOMEM;
    for (size_t i = 0; i < count; i++)
        keys[i] = listing->seen.items[i].key;
    if (count > 1)
        qsort(keys, count, sizeof *keys, key_compare);
    const mw_gather_question question = {.trace_spans_max = MW_GATHER_TRACE_SPANS_MAX,
                                         .logs = MW_GATHER_LOG_RUNS,
                                         .match = listing->match.all ? &listing->match : NULL,
                                         .trace = add_trace,
                                         .ctx = listing};
    mw_session_totals_fini(&listing->totals);
    mw_err err = mw_session_totals_init(&listing->totals, keys, count);
    if (err == MW_OK && count > 0)
        err = mw_gather_sessions(view, &question, keys, count);
    if (err == MW_OK && count > 0)
        err = mw_session_totals_add_logs(view, &listing->totals);
    mw_free(MW_MEM_QUERY, keys);
    return err;
}

/* ---- the page -------------------------------------------------------------------------------- */

/* Totals of sessions that fell off the page make room for others. */
static mw_err have_place(session_listing *listing)
{
    size_t count = 0;
    if (listing->found_count < listing->found_capacity)
        return MW_OK;
    size_t capacity = 2 * listing->top.capacity;
    mw_session_total *kept = mw_alloc(MW_MEM_QUERY, capacity * sizeof *kept);
    if (!kept)
        return MW_E_NOMEM;
    for (; count < listing->top.count; count++) {
        kept[count] = listing->found[listing->top.items[count].value];
        listing->top.items[count].value = count;
    }
    mw_free(MW_MEM_QUERY, listing->found);
    listing->found = kept;
    listing->found_count = count;
    listing->found_capacity = capacity;
    return MW_OK;
}

static bool fits(const session_listing *listing, const mw_session_total *total)
{
    const mw_session_summary *summary = &total->summary;
    return mw_span_match_fits(&listing->match, total->met,
                              summary->last_seen_ns - summary->first_seen_ns, summary->input_tokens,
                              summary->output_tokens);
}

static mw_err offer(session_listing *listing, const mw_session_total *total)
{
    const seen_session *session = seen_find(&listing->seen, total->key);
    MW_ASSERT(session);
    mw_page_key key = session->page;
    key.time_ns = total->summary.last_seen_ns;
    if (key.time_ns < listing->from_ns || key.time_ns > listing->to_ns ||
        !mw_page_admits(&listing->bounds, &key) || !fits(listing, total))
        return MW_OK;
    mw_err err = have_place(listing);
    if (err != MW_OK)
        return err;
    listing->found[listing->found_count] = *total;
    mw_top_offer(&listing->top, &key, listing->found_count++);
    return MW_OK;
}

/* Later stretches have nothing new to say of it. */
static mw_err settle(session_listing *listing, const mw_session_total *total)
{
    bool added;
    bool exists = total->summary.spans + total->summary.logs > 0;
    if (listing->settled_full || (exists && total->summary.last_seen_ns < listing->from_ns))
        return MW_OK;
    mw_err err = mw_key_set_add(&listing->settled, total->key, &added);
    if (err != MW_E_LIMIT)
        return err;
    listing->settled_full = true;
    return MW_OK;
}

static mw_err take_part(session_listing *listing)
{
    mw_err err = find_candidates(listing);
    if (err == MW_OK)
        err = add_up(listing);
    for (size_t i = 0; err == MW_OK && i < listing->totals.count; i++) {
        const mw_session_total *total = &listing->totals.items[i];
        /* Carried by later copies of spans only: nothing resolves to it. */
        if (total->summary.spans + total->summary.logs > 0)
            err = offer(listing, total);
        if (err == MW_OK)
            err = settle(listing, total);
    }
    return err;
}

/* Offers every session that was seen last in the stretch. A part with too many candidates is split
 * in two, as a gathering's is: depth first, so that the stack has at most one entry a bit and
 * one. */
static mw_err take_stretch(session_listing *listing)
{
    struct {
        uint32_t part, parts;
    } stack[32] = {{0, 1}};
    size_t depth = 1;
    mw_err err = MW_OK;

    while (err == MW_OK && depth > 0) {
        depth--;
        listing->part = stack[depth].part;
        listing->parts = stack[depth].parts;
        listing->overflow = false;
        err = take_part(listing);
        if (!listing->overflow)
            continue;
        err = MW_OK;
        MW_ASSERT(depth + 2 <= sizeof stack / sizeof *stack);
        stack[depth].part = listing->part + listing->parts;
        stack[depth++].parts = listing->parts * 2;
        stack[depth].part = listing->part;
        stack[depth++].parts = listing->parts * 2;
    }
    return err;
}

/* ---- when there are no more than that -------------------------------------------------------- */

typedef struct settled_search {
    const session_listing *listing;
    size_t base; /* of the segment's first block in the view */
} settled_search;

/* Points name sessions, but make none. */
static mw_err is_settled(void *ctx, uint64_t key, uint32_t block)
{
    const settled_search *search = ctx;
    const mw_index_block *named = mw_view_block(search->listing->view, search->base + block);
    return mw_block_holds(named, MW_SIGNAL_METRICS) ||
                   mw_key_set_has(&search->listing->settled, key)
               ? MW_OK
               : MW_E_NOT_FOUND;
}

/* Are all sessions that any block names settled? Mostly the first key that is looked at is not. */
static mw_err all_settled(session_listing *listing, bool *all)
{
    mw_store_view *view = listing->view;
    mw_err err = listing->settled_full ? MW_E_NOT_FOUND : MW_OK;
    for (size_t i = 0; err == MW_OK && i < mw_view_count(view);) {
        settled_search search = {listing, i};
        const mw_index_block *block = mw_view_block(view, i);
        const mw_segment *segment = block->segment;
        if (block->keys_in_footer) {
            err = mw_footer_each_key(segment->footer, segment->fd, MW_KEYS_SESSIONS, is_settled,
                                     &search);
            i += segment->footer->block_count;
            continue;
        }
        const uint64_t *keys = mw_index_sessions(block);
        for (uint32_t k = 0; err == MW_OK && k < block->session_count; k++)
            err = is_settled(&search, keys[k], 0);
        i++;
    }
    *all = err == MW_OK;
    return err == MW_E_NOT_FOUND ? MW_OK : err;
}

static mw_err take_candidates(void *ctx, const mw_list_candidate *items, size_t count)
{
    session_listing *listing = ctx;
    uint64_t *keys = mw_alloc(MW_MEM_QUERY, count * sizeof *keys);
    if (!keys)
        return MW_E_NOMEM;
    for (size_t i = 0; i < count; i++)
        keys[i] = items[i].session;
    qsort(keys, count, sizeof *keys, key_compare);
    listing->named = keys;
    listing->named_count = count;
    mw_err err = take_stretch(listing);
    listing->named = NULL;
    mw_free(MW_MEM_QUERY, keys);
    return err;
}

static mw_err take_set(void *ctx, const mw_trace_set *set)
{
    session_listing *listing = ctx;
    listing->rare = set;
    mw_err err = set->count ? take_stretch(listing) : MW_OK;
    listing->rare = NULL;
    return err;
}

/* All that is left of the list, from `to_ns` down. */
static mw_err take_rest(session_listing *listing, uint64_t to_ns, bool *done)
{
    const mw_list_few few = {.view = listing->view,
                             .match = &listing->match,
                             .top = &listing->top,
                             .sessions = true,
                             .since_ns = listing->bounds.since_ns,
                             .to_ns = to_ns,
                             .take_set = take_set,
                             .take = take_candidates,
                             .ctx = listing};
    uint64_t from_ns = listing->from_ns, stretch_ns = listing->to_ns;
    listing->from_ns = few.since_ns;
    listing->to_ns = to_ns;
    mw_err err = mw_list_few_take(&few, done);
    listing->from_ns = from_ns;
    listing->to_ns = stretch_ns;
    return err;
}

static mw_err find_page(session_listing *listing)
{
    mw_window window;
    bool all = false;
    bool selects = listing->match.all || mw_list_bounds_asked(listing->match.filter);
    size_t taken = 0;
    mw_err err = mw_window_init(&window, listing->view, MW_WINDOW_SESSIONS, &listing->bounds);

    while (err == MW_OK && !all && listing->top.count < listing->top.capacity) {
        uint64_t to_ns = window.next_to_ns;
        if (!mw_window_next(&window, &listing->from_ns, &listing->to_ns))
            break;
        if (taken++ == MW_WINDOWS_BEFORE_MATCH && selects)
            err = take_rest(listing, to_ns, &all);
        if (err != MW_OK || all)
            break;
        err = take_stretch(listing);
        if (err == MW_OK && listing->top.count < listing->top.capacity)
            err = all_settled(listing, &all);
    }
    mw_window_fini(&window);
    return err;
}

static mw_err show_page(session_listing *listing)
{
    mw_session_list *out = listing->out;
    mw_err err = MW_OK;
    bool more;
    size_t count = mw_top_finish(&listing->top, &more);

    if (count == 0)
        return MW_OK;
    for (size_t i = 0; err == MW_OK && i < count; i++)
        err = mw_session_total_request(&listing->found[listing->top.items[i].value],
                                       &listing->requests);
    if (err == MW_OK)
        err = mw_text_fetch(listing->view, &listing->requests, listing->arena);
    out->items = mw_arena_zalloc(listing->arena, count, sizeof *out->items);
    if (err == MW_OK && !out->items)
        err = MW_E_NOMEM;
    for (size_t i = 0; err == MW_OK && i < count; i++)
        out->items[i] = listing->found[listing->top.items[i].value].summary;
    if (err == MW_OK && more)
        err = mw_page_cursor(listing->arena, listing->bounds.kind,
                             &listing->top.items[count - 1].key, &out->next_cursor);
    if (err == MW_OK)
        out->count = count;
    return err;
}

/* A listing with all it needs, to be ended in any case. */
static mw_err begin(session_listing *listing, const mw_store_page *page,
                    const mw_list_filter *filter)
{
    memset(listing->out, 0, sizeof *listing->out);
    mw_text_requests_init(&listing->requests);
    mw_key_set_init(&listing->settled, listing->view->query_budget / 4);
    mw_err err = mw_page_bounds_read(page, 's', &listing->bounds);
    if (err == MW_OK)
        err = mw_top_init(&listing->top, listing->bounds.limit);
    if (err == MW_OK)
        err = mw_span_match_init(&listing->match, listing->view, filter);
    return err;
}

static void end(session_listing *listing)
{
    seen_fini(&listing->seen);
    mw_session_totals_fini(&listing->totals);
    mw_top_fini(&listing->top);
    mw_span_match_fini(&listing->match);
    mw_key_set_fini(&listing->settled);
    mw_free(MW_MEM_QUERY, listing->found);
    mw_text_requests_fini(&listing->requests);
}

mw_err mw_store_session_list(mw_store_view *view, const mw_store_page *page, mw_arena *arena,
                             mw_session_list *out)
{
    return mw_store_session_list_where(view, page, NULL, arena, out);
}

mw_err mw_store_session_list_where(mw_store_view *view, const mw_store_page *page,
                                   const mw_list_filter *filter, mw_arena *arena,
                                   mw_session_list *out)
{
    session_listing listing = {.view = view, .arena = arena, .out = out};
    mw_err err = begin(&listing, page, filter);
    if (err == MW_OK)
        err = find_page(&listing);
    if (err == MW_OK)
        err = show_page(&listing);
    end(&listing);
    return err;
}

/* ---- what has changed ------------------------------------------------------------------------ */

/* Some seconds of a busy sender; a trace an entry at worst. */
#define CHANGED_ROWS_MAX 65536u

/* Is what came behind the commit all in the log, and little enough? */
static bool is_near(const mw_store_view *view, uint64_t after)
{
    uint64_t rows = 0;
    for (size_t i = 0; i < mw_view_count(view); i++) {
        const mw_index_block *block = mw_view_block(view, i);
        const mw_footer *footer = block->segment->footer;
        if (footer && footer->last_seq > after)
            return false;
        rows += is_recent(block, after) ? block->header.item_count : 0;
    }
    return rows <= CHANGED_ROWS_MAX;
}

static mw_err collect_recent(mw_store_view *view, uint64_t after, mw_trace_set *set)
{
    mw_err err = MW_OK;
    for (size_t i = 0; err == MW_OK && i < mw_view_count(view); i++) {
        const mw_index_block *block = mw_view_block(view, i);
        mw_hot hot;
        uint32_t number;
        if (!is_recent(block, after))
            continue;
        err = mw_view_hot(view, block, &hot);
        for (uint32_t t = 0; err == MW_OK && t < hot.traces; t++)
            err = mw_trace_set_add(set, mw_hot_trace_id(&hot, t), &number);
    }
    return err;
}

mw_err mw_store_session_changes(mw_store_view *view, uint64_t after, const mw_store_page *page,
                                const mw_list_filter *filter, mw_arena *arena, mw_session_list *out,
                                bool *behind)
{
    session_listing listing = {
        .view = view, .arena = arena, .out = out, .recent = true, .recent_after = after};
    mw_trace_set set;
    mw_trace_set_init(&set, view->store->key_seed);
    mw_err err = begin(&listing, page, filter);
    *behind = !is_near(view, after);
    if (err == MW_OK && !*behind)
        err = collect_recent(view, after, &set);
    listing.rare = &set;
    listing.from_ns = listing.bounds.since_ns;
    listing.to_ns = UINT64_MAX;
    if (err == MW_OK && !*behind)
        err = take_stretch(&listing);
    if (err == MW_OK)
        err = show_page(&listing);
    end(&listing);
    mw_trace_set_fini(&set);
    return err;
}
