/* Agents over a window of time: what resolves to each by inheritance (trace_join.h), added up.
 *
 * The window is gone through in stretches of a few blocks, so that the traces of one fit memory: a
 * trace that reaches over several is joined for each, and a span counts in that of its start.
 * A span's own agent becomes a number when its row is gathered; the join tells whose it is. The
 * table of agents is bounded, and so is the set that tells sessions apart. One thread: the view's.
 */
#include "lib/store/format/key_set.h"
#include "lib/store/query/gather.h"
#include "lib/store/query/page.h"

/* An operator's names; a sender who makes up names gets no further. */
#define AGENTS_MAX 1000u
/* A power of two, four times as many. */
#define SLOTS 4096u
#define STATUS_ERROR 2u
/* Merged ones: so many rows as are joined within the memory of a question. */
#define BLOCKS_A_STRETCH 32u

typedef struct agent_listing {
    mw_arena *arena;
    mw_slice wanted; /* empty = all */
    uint64_t since_ns, until_ns, seed;
    uint64_t from_ns, to_ns;  /* the present stretch, both included */
    mw_agent_summary *agents; /* the arena's */
    uint64_t *keys;
    uint64_t *last_trace, *first_ns; /* of the present trace: its serial, the first span's start */
    uint32_t *touched;               /* agents of the present trace */
    size_t touched_count;
    size_t count;
    uint16_t *slots; /* 1 + index */
    mw_key_set sessions;
    bool sessions_full;
    uint64_t serial, left_out;
    uint32_t number; /* of the row before */
} agent_listing;

/* ---- rows ----------------------------------------------------------------------------------- */

static size_t slot_of(const agent_listing *listing, uint64_t key)
{
    size_t slot = key & (SLOTS - 1);
    while (listing->slots[slot] && listing->keys[listing->slots[slot] - 1] != key)
        slot = (slot + 1) & (SLOTS - 1);
    return slot;
}

/* 1 + index; 0 when there is no more room, or another agent is wanted. */
static mw_err number_agent(agent_listing *listing, mw_slice name, uint32_t *number)
{
    *number = 0;
    if (listing->wanted.len && !mw_slice_equal(name, listing->wanted))
        return MW_OK;
    uint64_t key = mw_text_key(listing->seed, name);
    size_t slot = slot_of(listing, key);
    *number = listing->slots[slot];
    if (*number || listing->count == AGENTS_MAX)
        return MW_OK;
    mw_agent_summary *agent = &listing->agents[listing->count];
    *agent = (mw_agent_summary){.name = mw_arena_copy(listing->arena, name),
                                .first_seen_ns = UINT64_MAX};
    if (!agent->name.data)
        return MW_E_NOMEM;
    listing->keys[listing->count++] = key;
    listing->slots[slot] = (uint16_t)listing->count;
    *number = (uint32_t)listing->count;
    return MW_OK;
}

static mw_err add_service(agent_listing *listing, mw_agent_summary *agent, mw_slice service)
{
    if (!service.len)
        return MW_OK;
    for (size_t i = 0; i < agent->service_count; i++)
        if (mw_slice_equal(agent->services[i], service))
            return MW_OK;
    if (agent->service_count == MW_AGENT_SERVICES_MAX)
        return MW_OK;
    agent->services[agent->service_count] = mw_arena_copy(listing->arena, service);
    return agent->services[agent->service_count++].data ? MW_OK : MW_E_NOMEM;
}

/* Rows of a block that name an agent mostly name the one before. */
static mw_err note_row(void *ctx, const mw_hot *hot, uint32_t row, uint32_t *number)
{
    agent_listing *listing = ctx;
    uint32_t ref = mw_hot_ref(hot, MW_HOT_AGENT, row);
    uint64_t start_ns = mw_hot_time(hot, row);
    mw_err err = MW_OK;
    *number = 0;
    if (ref == 0)
        return MW_OK;
    mw_slice name = mw_hot_string(hot, ref);
    if (!listing->number || !mw_slice_equal(name, listing->agents[listing->number - 1].name))
        err = number_agent(listing, name, &listing->number);
    if (err != MW_OK)
        return err;
    *number = listing->number;
    if (!*number || start_ns < listing->since_ns || start_ns >= listing->until_ns)
        return MW_OK;
    return add_service(listing, &listing->agents[*number - 1],
                       mw_hot_string(hot, mw_hot_ref(hot, MW_HOT_SERVICE, row)));
}

/* ---- traces --------------------------------------------------------------------------------- */

static mw_err add_session(agent_listing *listing, const mw_join *join, uint32_t at, uint32_t number)
{
    uint32_t owner = join->session_owner[at];
    bool added;
    if (owner == MW_JOIN_NONE || listing->sessions_full)
        return MW_OK;
    /* The keys are hashes with a secret seed: a product tells the agents apart. */
    uint64_t key = join->spans[owner]->session ^ (number * UINT64_C(0x9e3779b97f4a7c15));
    mw_err err = mw_key_set_add(&listing->sessions, key ? key : 1, &added);
    listing->sessions_full = err == MW_E_LIMIT;
    if (err == MW_OK && added)
        listing->agents[number - 1].sessions++;
    return err == MW_E_LIMIT ? MW_OK : err;
}

static void add_span(agent_listing *listing, const mw_join *join, uint32_t at, uint32_t number)
{
    mw_agent_summary *agent = &listing->agents[number - 1];
    const mw_join_span *span = join->spans[at];
    uint64_t latest = span->end_ns > span->start_ns ? span->end_ns : span->start_ns;
    agent->spans++;
    agent->errors += span->status == STATUS_ERROR;
    agent->own_spans += span->has_agent;
    agent->own_errors += span->has_agent && span->status == STATUS_ERROR;
    agent->model_calls += mw_join_is_model_call(join, at);
    agent->tool_calls += mw_join_is_tool_call(join, at);
    if (mw_join_counts_tokens(join, at)) {
        mw_tokens_add(&agent->input_tokens, span->input_tokens);
        mw_tokens_add(&agent->output_tokens, span->output_tokens);
    }
    agent->first_seen_ns =
        span->start_ns < agent->first_seen_ns ? span->start_ns : agent->first_seen_ns;
    agent->last_seen_ns = latest > agent->last_seen_ns ? latest : agent->last_seen_ns;
}

/* A trace counts where its first span of the agent is. */
static void note_first(agent_listing *listing, uint32_t number, uint64_t start_ns)
{
    uint32_t at = number - 1;
    if (listing->last_trace[at] != listing->serial) {
        listing->last_trace[at] = listing->serial;
        listing->first_ns[at] = start_ns;
        listing->touched[listing->touched_count++] = at;
    } else if (start_ns < listing->first_ns[at]) {
        listing->first_ns[at] = start_ns;
    }
}

static bool in_stretch(const agent_listing *listing, uint64_t start_ns)
{
    return start_ns >= listing->from_ns && start_ns <= listing->to_ns;
}

static void count_traces(agent_listing *listing)
{
    for (size_t i = 0; i < listing->touched_count; i++) {
        uint32_t at = listing->touched[i];
        listing->agents[at].traces += in_stretch(listing, listing->first_ns[at]);
    }
}

static mw_err add_trace(void *ctx, const uint8_t *trace_id, const mw_join *join)
{
    agent_listing *listing = ctx;
    mw_err err = MW_OK;
    (void)trace_id;
    listing->serial++;
    listing->touched_count = 0;
    for (uint32_t i = 0; err == MW_OK && i < join->count; i++) {
        const mw_join_span *span = join->spans[i];
        uint32_t owner = join->agent_owner[i];
        if (owner == MW_JOIN_NONE || span->start_ns < listing->since_ns ||
            span->start_ns >= listing->until_ns)
            continue;
        uint32_t number = join->spans[owner]->met;
        if (number)
            note_first(listing, number, span->start_ns);
        if (!in_stretch(listing, span->start_ns))
            continue;
        if (!number) {
            listing->left_out += !listing->wanted.len;
            continue;
        }
        add_span(listing, join, i, number);
        err = add_session(listing, join, i, number);
    }
    count_traces(listing);
    return err;
}

/* ---- the list ------------------------------------------------------------------------------- */

static int newest_first(const void *left, const void *right)
{
    const mw_agent_summary *a = left, *b = right;
    if (a->last_seen_ns != b->last_seen_ns)
        return a->last_seen_ns > b->last_seen_ns ? -1 : 1;
    return mw_slice_compare(a->name, b->name);
}

/* Agents that only spans outside of the window name are none of it. */
static void finish(agent_listing *listing, mw_agent_list *out)
{
    size_t kept = 0;
    for (size_t i = 0; i < listing->count; i++)
        if (listing->agents[i].spans)
            listing->agents[kept++] = listing->agents[i];
    if (kept > 1)
        qsort(listing->agents, kept, sizeof *listing->agents, newest_first);
    out->items = listing->agents;
    out->count = kept;
    out->left_out = listing->left_out;
    out->sessions_known = !listing->sessions_full;
}

static mw_err go_through(mw_store_view *view, agent_listing *listing)
{
    const mw_gather_question question = {.trace_spans_max = MW_GATHER_TRACE_SPANS_MAX,
                                         .row = note_row,
                                         .trace = add_trace,
                                         .ctx = listing};
    const mw_page_bounds bounds = {
        .since_ns = listing->since_ns, .until_ns = listing->until_ns, .limit = 1};
    mw_window window;
    mw_err err = mw_window_init(&window, view, MW_WINDOW_TRACES, &bounds);
    while (err == MW_OK) {
        window.more_blocks = BLOCKS_A_STRETCH;
        window.more_items = SIZE_MAX / 8;
        if (!mw_window_next(&window, &listing->from_ns, &listing->to_ns))
            break;
        err =
            mw_gather_between(view, &question, MW_GATHER_STARTS, listing->from_ns, listing->to_ns);
    }
    mw_window_fini(&window);
    return err;
}

mw_err mw_store_agent_list(mw_store_view *view, const mw_agent_query *query, mw_arena *arena,
                           mw_agent_list *out)
{
    agent_listing listing = {.arena = arena,
                             .wanted = query->name,
                             .since_ns = query->since_ns,
                             .until_ns = query->until_ns ? query->until_ns : UINT64_MAX,
                             .seed = view->store->key_seed};
    memset(out, 0, sizeof *out);
    listing.agents = mw_arena_alloc(arena, AGENTS_MAX * sizeof *listing.agents);
    listing.keys = mw_arena_alloc(arena, AGENTS_MAX * sizeof *listing.keys);
    listing.last_trace = mw_arena_zalloc(arena, AGENTS_MAX, sizeof *listing.last_trace);
    listing.first_ns = mw_arena_alloc(arena, AGENTS_MAX * sizeof *listing.first_ns);
    listing.touched = mw_arena_alloc(arena, AGENTS_MAX * sizeof *listing.touched);
    listing.slots = mw_arena_zalloc(arena, SLOTS, sizeof *listing.slots);
    if (!listing.agents || !listing.keys || !listing.last_trace || !listing.first_ns ||
        !listing.touched || !listing.slots)
        return MW_E_NOMEM;
    mw_key_set_init(&listing.sessions, view->query_budget / 4);
    mw_err err = go_through(view, &listing);
    if (err == MW_OK)
        finish(&listing, out);
    mw_key_set_fini(&listing.sessions);
    return err;
}
