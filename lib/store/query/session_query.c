/* One session: found by id or prefix, its totals, and a summary of each of its traces.
 *
 * A session's traces are those with a span that carries its id: only through such a span can any
 * other span or log record of the trace resolve to it. Log records that carry the id themselves
 * belong to it as well, and may be all that there is. One thread: the view's.
 */
#include "lib/store/query/session_total.h"

/* Shortest prefix by which a session is found. */
#define SESSION_PREFIX_MIN MW_ID_PREFIX_MIN

/* ---- find ------------------------------------------------------------------------------------ */

/* Calls for each session text of the block's rows, neighbours of the same text once. */
typedef bool (*session_seen)(void *ctx, mw_slice text);

static void each_session(const mw_hot *hot, session_seen seen, void *ctx)
{
    uint32_t last = 0;
    for (uint32_t row = 0; row < hot->count; row++) {
        uint32_t ref = mw_hot_ref(hot, MW_HOT_SESSION, row);
        if (ref == 0 || ref == last)
            continue;
        last = ref;
        if (!seen(ctx, mw_hot_string(hot, ref)))
            return;
    }
}

typedef struct session_search {
    mw_slice text;
    uint64_t key_seed;
    bool exact;
    int found; /* distinct sessions: 0, 1, 2 = several */
    uint64_t key;
} session_search;

/* False ends the look through this block. */
static bool compare_session(void *ctx, mw_slice text)
{
    session_search *search = ctx;
    /* Longer ones are not in the footers: found whole only, merged or not. */
    bool fits = search->exact
                    ? mw_slice_equal(text, search->text)
                    : text.len <= MW_FOOTER_TEXT_MAX && mw_slice_starts(text, search->text);
    if (!fits)
        return true;
    uint64_t key = mw_text_key(search->key_seed, text);
    if (search->found == 0) {
        search->key = key;
        search->found = 1;
    } else if (search->key != key) {
        search->found = 2;
    }
    return !search->exact && search->found < 2;
}

/* Points carry session ids too, but make no session. */
static bool makes_sessions(const mw_index_block *block)
{
    return block->has_sessions &&
           (mw_block_holds(block, MW_SIGNAL_TRACES) || mw_block_holds(block, MW_SIGNAL_LOGS));
}

static mw_err find_exact(mw_store_view *view, session_search *search)
{
    uint64_t key = mw_text_key(view->store->key_seed, search->text);
    search->exact = true;
    mw_block_set blocks;
    mw_err err = mw_block_set_find(view, MW_KEYS_SESSIONS, &key, 1, &blocks);
    for (size_t i = 0; err == MW_OK && i < mw_view_count(view) && !search->found; i++) {
        const mw_index_block *block = mw_view_block(view, i);
        mw_hot hot;
        if (!makes_sessions(block) || !mw_block_set_has(&blocks, i))
            continue;
        err = mw_view_hot(view, block, &hot);
        if (err == MW_OK)
            each_session(&hot, compare_session, search);
    }
    mw_block_set_fini(&blocks);
    return err;
}

/* Are all sessions of the block in `known`? Adds them. The set is one of trace ids; a key with
 * zeros behind it is as good as any id. */
static mw_err learn_sessions(const mw_index_block *block, mw_trace_set *known, bool *news)
{
    const uint64_t *keys = mw_index_sessions(block);
    size_t before = known->count;
    for (uint32_t i = 0; i < block->session_count; i++) {
        mw_trace_id id = {0};
        uint32_t number;
        mw_put_u64(id, keys[i]);
        mw_err err = mw_trace_set_add(known, id, &number);
        if (err != MW_OK)
            return err;
    }
    *news = known->count > before;
    return MW_OK;
}

/* Of blocks of the log the texts are in the blocks; one whose sessions are all known from others is
 * not read. */
static mw_err find_in_block(mw_store_view *view, const mw_index_block *block, mw_trace_set *known,
                            session_search *search)
{
    mw_hot hot;
    bool news;
    if (!makes_sessions(block))
        return MW_OK;
    mw_err err = learn_sessions(block, known, &news);
    if (err != MW_OK || !news)
        return err;
    err = mw_view_hot(view, block, &hot);
    if (err == MW_OK)
        each_session(&hot, compare_session, search);
    return err;
}

static void seen_in_footer(void *ctx, mw_slice text)
{
    compare_session(ctx, text);
}

static mw_err find_prefix(mw_store_view *view, session_search *search)
{
    mw_trace_set known;
    mw_err err = MW_OK;

    search->exact = false;
    mw_trace_set_init(&known, view->store->key_seed);
    for (size_t i = 0; err == MW_OK && i < mw_view_count(view) && search->found < 2;) {
        const mw_index_block *block = mw_view_block(view, i);
        const mw_segment *segment = block->segment;
        if (block->keys_in_footer) {
            /* Two tell that there are several. */
            err = mw_footer_session_texts(segment->footer, segment->fd, search->text, 2,
                                          seen_in_footer, search);
            i += segment->footer->block_count;
        } else {
            err = find_in_block(view, block, &known, search);
            i++;
        }
    }
    mw_trace_set_fini(&known);
    return err;
}

static mw_err find_session(mw_store_view *view, mw_slice text, uint64_t *key)
{
    session_search search = {.text = text, .key_seed = view->store->key_seed};
    if (text.len == 0)
        return MW_E_NOT_FOUND;
    mw_err err = find_exact(view, &search);
    if (err == MW_OK && !search.found && text.len >= SESSION_PREFIX_MIN)
        err = find_prefix(view, &search);
    if (err != MW_OK)
        return err;
    *key = search.key;
    return search.found == 0 ? MW_E_NOT_FOUND : search.found == 1 ? MW_OK : MW_E_AMBIGUOUS;
}

/* ---- read ------------------------------------------------------------------------------------ */

/* Texts are fetched into these places, so they must not move while they grow in number. */
typedef struct trace_node {
    struct trace_node *next;
    mw_trace_summary summary;
} trace_node;

typedef struct session_reading {
    mw_arena *arena;
    mw_session_totals totals;
    mw_text_requests requests;
    trace_node *traces;
    size_t trace_count;
} session_reading;

static mw_err add_trace(void *ctx, const uint8_t *trace_id, const mw_join *join)
{
    session_reading *reading = ctx;
    if (!mw_session_totals_add(&reading->totals, join))
        return MW_OK;
    trace_node *node = mw_arena_alloc(reading->arena, sizeof *node);
    if (!node)
        return MW_E_NOMEM;
    node->next = reading->traces;
    reading->traces = node;
    reading->trace_count++;
    return mw_trace_summary_request(trace_id, join, reading->arena, &reading->requests,
                                    &node->summary);
}

static int newest_first(const void *left, const void *right)
{
    const mw_trace_summary *a = left, *b = right;
    if (a->start_ns != b->start_ns)
        return a->start_ns > b->start_ns ? -1 : 1;
    return memcmp(a->trace_id, b->trace_id, MW_TRACE_ID_SIZE);
}

static mw_err read_traces(mw_store_view *view, session_reading *reading, uint64_t key)
{
    mw_gather_question question = {.trace_spans_max = MW_GATHER_TRACE_SPANS_MAX,
                                   .logs = MW_GATHER_LOG_RUNS,
                                   .trace = add_trace,
                                   .ctx = reading};
    mw_err err = mw_session_totals_init(&reading->totals, &key, 1);
    if (err == MW_OK)
        err = mw_gather_sessions(view, &question, &key, 1);
    if (err == MW_OK)
        err = mw_session_totals_add_logs(view, &reading->totals);
    /* Carried by later copies of other spans only: nothing resolves to it. */
    if (err == MW_OK && reading->trace_count == 0 && reading->totals.items[0].summary.logs == 0)
        err = MW_E_NOT_FOUND;
    if (err == MW_OK)
        err = mw_session_total_request(&reading->totals.items[0], &reading->requests);
    if (err == MW_OK)
        err = mw_text_fetch(view, &reading->requests, reading->arena);
    return err;
}

mw_err mw_store_session_read(mw_store_view *view, mw_slice session_id, mw_arena *arena,
                             mw_session *out)
{
    session_reading reading = {.arena = arena};
    uint64_t key = 0;

    memset(out, 0, sizeof *out);
    mw_err err = find_session(view, session_id, &key);
    if (err != MW_OK)
        return err;
    mw_text_requests_init(&reading.requests);
    err = read_traces(view, &reading, key);
    if (err == MW_OK) {
        out->traces = mw_arena_alloc(arena, (reading.trace_count + 1) * sizeof *out->traces);
        err = out->traces ? MW_OK : MW_E_NOMEM;
    }
    if (err == MW_OK) {
        for (trace_node *node = reading.traces; node; node = node->next)
            out->traces[out->trace_count++] = node->summary;
        if (out->trace_count > 1)
            qsort(out->traces, out->trace_count, sizeof *out->traces, newest_first);
        out->summary = reading.totals.items[0].summary;
    }
    mw_session_totals_fini(&reading.totals);
    mw_text_requests_fini(&reading.requests);
    return err;
}
