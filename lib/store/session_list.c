/* The newest sessions.
 *
 * Two steps. First, which: over the traces and log records that reach into the window, when was
 * each session last seen; the table of sessions is bounded like everything, so a store with very
 * many is gone through in parts by the hash of the session's id. Then, for the page's few, their
 * totals over all traces and log records.
 */
#include "lib/store/page.h"
#include "lib/store/session_total.h"

typedef struct seen_session {
    uint64_t key;
    bool resolved;    /* some span belongs to it, after repeats were removed, or a log record */
    mw_page_key page; /* its time is last_seen */
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
    uint64_t edge_ns;
    uint32_t part, parts; /* of the sessions */
    bool overflow;        /* a part exceeded the budget */
    seen_table seen;
    mw_top top;
    mw_session_totals totals;
    mw_text_requests requests;
    mw_session_list *out;
} session_listing;

#define SEEN_AT_FIRST 256u
#define SESSION_PARTS_MAX ((uint32_t)1 << 16)

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

/* Gathering meets a session id: remembers how it sorts. */
static mw_err note_session(void *ctx, uint64_t key, mw_slice session_id)
{
    session_listing *listing = ctx;
    seen_table *table = &listing->seen;

    if (((key >> 32) & (listing->parts - 1)) != listing->part || seen_find(table, key))
        return MW_OK;
    if (table->count == table->capacity) {
        size_t bytes = table->capacity * 2 * (sizeof *table->items + 2 * sizeof *table->slots);
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
    session->resolved = false;
    mw_page_key_set(&session->page, 0, session_id);
    table->slots[seen_slot(table, key)] = (uint32_t)++table->count;
    return MW_OK;
}

static void saw(seen_session *session, uint64_t time_ns)
{
    session->resolved = true;
    if (time_ns > session->page.time_ns)
        session->page.time_ns = time_ns;
}

/* Gathering hands over a trace: its spans and logs move the last_seen of their sessions. */
static mw_err note_trace(void *ctx, const uint8_t *trace_id, const mw_join *join)
{
    session_listing *listing = ctx;
    seen_session *session = NULL;
    uint64_t key = 0;

    (void)trace_id;
    for (size_t i = 0; i < join->count; i++) {
        const mw_join_span *span = join->spans[i];
        uint32_t owner = join->session_owner[i];
        if (owner == MW_JOIN_NONE)
            continue;
        if (join->spans[owner]->session != key) {
            key = join->spans[owner]->session;
            session = seen_find(&listing->seen, key);
        }
        if (!session)
            continue;
        saw(session, span->end_ns > span->start_ns ? span->end_ns : span->start_ns);
    }
    for (size_t i = 0; i < join->log_run_count; i++) {
        uint32_t owner = mw_join_log_owner(join, join->log_runs[i].span_id);
        if (owner == MW_JOIN_NONE)
            break; /* the trace has no session */
        session = seen_find(&listing->seen, join->spans[owner]->session);
        if (session)
            saw(session, join->log_runs[i].last_ns);
    }
    return MW_OK;
}

static mw_err note_own_log(void *ctx, const mw_own_session_log *log)
{
    session_listing *listing = ctx;
    mw_err err = note_session(ctx, log->session, log->session_id);
    seen_session *session = err == MW_OK ? seen_find(&listing->seen, log->session) : NULL;
    if (session)
        saw(session, log->time_ns);
    return err;
}

static void offer_seen(session_listing *listing)
{
    for (size_t i = 0; i < listing->seen.count; i++) {
        const seen_session *session = &listing->seen.items[i];
        if (session->resolved && session->page.time_ns >= listing->edge_ns &&
            mw_page_admits(&listing->bounds, &session->page))
            mw_top_offer(&listing->top, &session->page, session->key);
    }
}

/* Offers every session last seen within the window. */
static mw_err scan_window(session_listing *listing)
{
    mw_gather_question question = {.trace_spans_max = MW_GATHER_TRACE_SPANS_MAX,
                                   .logs = MW_GATHER_LOG_RUNS,
                                   .session = note_session,
                                   .trace = note_trace,
                                   .ctx = listing};
    mw_err err;
    do {
        err = MW_OK;
        listing->overflow = false;
        listing->top.count = 0;
        for (listing->part = 0; err == MW_OK && listing->part < listing->parts; listing->part++) {
            seen_fini(&listing->seen);
            err = mw_gather_since(listing->view, &question, listing->edge_ns);
            if (err == MW_OK)
                err = mw_each_own_session_log(listing->view, listing->edge_ns, NULL, 0,
                                              note_own_log, listing);
            if (err == MW_OK)
                offer_seen(listing);
        }
        if (listing->overflow)
            listing->parts *= 2;
    } while (listing->overflow);
    return err;
}

static mw_err find_page(session_listing *listing)
{
    mw_window window;
    bool complete = false;
    unsigned signals = MW_SIGNAL_BIT(MW_SIGNAL_TRACES) | MW_SIGNAL_BIT(MW_SIGNAL_LOGS);
    mw_err err = mw_window_init(&window, listing->view, signals, &listing->bounds);

    listing->parts = 1;
    while (err == MW_OK && !complete && listing->top.count < listing->top.capacity) {
        listing->edge_ns = mw_window_next(&window, &complete);
        err = scan_window(listing);
    }
    seen_fini(&listing->seen);
    mw_window_fini(&window);
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

/* Totals of the page's sessions over all of their traces and log records. */
static mw_err add_up_page(session_listing *listing, size_t count)
{
    mw_store_view *view = listing->view;
    uint64_t *keys = mw_alloc(MW_MEM_QUERY, count * sizeof *keys);
    if (!keys)
        return MW_E_NOMEM;
    for (size_t i = 0; i < count; i++)
        keys[i] = listing->top.items[i].value;
    qsort(keys, count, sizeof *keys, key_compare);
    mw_gather_question question = {.trace_spans_max = MW_GATHER_TRACE_SPANS_MAX,
                                   .logs = MW_GATHER_LOG_RUNS,
                                   .trace = add_trace,
                                   .ctx = listing};
    mw_err err = mw_session_totals_init(&listing->totals, keys, count);
    if (err == MW_OK)
        err = mw_gather_sessions(view, &question, keys, count);
    if (err == MW_OK)
        err = mw_session_totals_add_logs(view, &listing->totals);
    mw_free(MW_MEM_QUERY, keys);
    return err;
}

static mw_err show_page(session_listing *listing)
{
    mw_session_list *out = listing->out;
    bool more;
    size_t count = mw_top_finish(&listing->top, &more);

    if (count == 0)
        return MW_OK;
    mw_err err = add_up_page(listing, count);
    for (size_t i = 0; err == MW_OK && i < count; i++)
        err = mw_session_total_request(&listing->totals.items[i], &listing->requests);
    if (err == MW_OK)
        err = mw_text_fetch(listing->view, &listing->requests, listing->arena);
    out->items = mw_arena_zalloc(listing->arena, count, sizeof *out->items);
    if (err == MW_OK && !out->items)
        err = MW_E_NOMEM;
    for (size_t i = 0; err == MW_OK && i < count; i++) {
        const mw_session_total *total =
            mw_session_totals_find(&listing->totals, listing->top.items[i].value);
        out->items[i] = total->summary;
    }
    if (err == MW_OK && more)
        err = mw_page_cursor(listing->arena, listing->bounds.kind,
                             &listing->top.items[count - 1].key, &out->next_cursor);
    if (err == MW_OK)
        out->count = count;
    return err;
}

mw_err mw_store_session_list(mw_store_view *view, const mw_store_page *page, mw_arena *arena,
                             mw_session_list *out)
{
    session_listing listing = {.view = view, .arena = arena, .out = out};

    memset(out, 0, sizeof *out);
    mw_err err = mw_page_bounds_read(page, 's', &listing.bounds);
    if (err != MW_OK)
        return err;
    mw_text_requests_init(&listing.requests);
    err = mw_top_init(&listing.top, listing.bounds.limit);
    if (err == MW_OK)
        err = find_page(&listing);
    if (err == MW_OK)
        err = show_page(&listing);
    mw_top_fini(&listing.top);
    mw_session_totals_fini(&listing.totals);
    mw_text_requests_fini(&listing.requests);
    return err;
}
