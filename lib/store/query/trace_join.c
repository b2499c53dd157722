/* The join of one trace. See trace_join.h for the rules. */
#include "lib/store/query/trace_join.h"

enum { PLACED = 1, MODEL_BELOW = 2, COUNTS = 4, WITHIN_TOOL = 8, CALLS_BELOW = 16 };

#define INDEX_ARRAYS 9u

void mw_join_init(mw_join *join)
{
    memset(join, 0, sizeof *join);
}

void mw_join_fini(mw_join *join)
{
    mw_free(MW_MEM_QUERY, join->memory);
    memset(join, 0, sizeof *join);
}

static mw_err have_room(mw_join *join, size_t count)
{
    if (count >= MW_JOIN_NONE)
        return MW_E_LIMIT;
    if (count > join->capacity) {
        size_t capacity = count < 64 ? 64 : count + count / 4;
        mw_free(MW_MEM_QUERY, join->memory);
        join->capacity = 0;
        join->memory = mw_alloc(MW_MEM_QUERY, capacity * (INDEX_ARRAYS * sizeof(uint32_t) + 1));
        if (!join->memory)
            return MW_E_NOMEM;
        join->capacity = capacity;
    }
    uint32_t **arrays[INDEX_ARRAYS] = {
        &join->parent,      &join->depth,        &join->session_owner,
        &join->agent_owner, &join->sessions,     &join->order,
        &join->first_child, &join->next_sibling, &join->inherited};
    for (size_t i = 0; i < INDEX_ARRAYS; i++)
        *arrays[i] = join->memory + i * join->capacity;
    join->marks = (uint8_t *)(join->memory + INDEX_ARRAYS * join->capacity);
    memset(join->marks, 0, count);
    return MW_OK;
}

void mw_tokens_add(int64_t *total, int64_t tokens)
{
    if (tokens > 0 && __builtin_add_overflow(*total, tokens, total))
        *total = INT64_MAX;
}

/* ---- repeats and parents --------------------------------------------------------------------- */

static int span_compare(const void *left, const void *right)
{
    const mw_join_span *a = *(mw_join_span *const *)left, *b = *(mw_join_span *const *)right;
    if (a->span_id != b->span_id)
        return a->span_id < b->span_id ? -1 : 1;
    if (a->seq != b->seq)
        return a->seq < b->seq ? -1 : 1;
    if (a->block != b->block)
        return a->block < b->block ? -1 : 1;
    return a->row < b->row ? -1 : a->row > b->row;
}

static void remove_repeats(mw_join *join, mw_join_span **spans, size_t count)
{
    size_t kept = 0;
    if (count > 1)
        qsort(spans, count, sizeof *spans, span_compare);
    for (size_t i = 0; i < count; i++)
        if (kept == 0 || spans[kept - 1]->span_id != spans[i]->span_id)
            spans[kept++] = spans[i];
    join->spans = spans;
    join->count = kept;
}

static uint32_t find_span(const mw_join *join, uint64_t span_id)
{
    size_t low = 0, high = join->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (join->spans[middle]->span_id < span_id)
            low = middle + 1;
        else
            high = middle;
    }
    return low < join->count && join->spans[low]->span_id == span_id ? (uint32_t)low : MW_JOIN_NONE;
}

static void link_parents(mw_join *join)
{
    for (uint32_t i = 0; i < join->count; i++) {
        uint64_t parent_id = join->spans[i]->parent_id;
        uint32_t parent = parent_id ? find_span(join, parent_id) : MW_JOIN_NONE;
        join->parent[i] = parent == i ? MW_JOIN_NONE : parent;
        join->first_child[i] = MW_JOIN_NONE;
        join->depth[i] = parent_id ? 1 : 0;
    }
    for (uint32_t i = (uint32_t)join->count; i-- > 0;) {
        uint32_t parent = join->parent[i];
        join->next_sibling[i] = MW_JOIN_NONE;
        if (parent == MW_JOIN_NONE)
            continue;
        join->next_sibling[i] = join->first_child[parent];
        join->first_child[parent] = i;
    }
}

/* ---- order: parents before children ---------------------------------------------------------- */

/* Breadth first from what was placed at order[from..to); returns the new end. */
static size_t place_descendants(mw_join *join, size_t from, size_t to)
{
    for (; from < to; from++) {
        uint32_t at = join->order[from];
        for (uint32_t child = join->first_child[at]; child != MW_JOIN_NONE;
             child = join->next_sibling[child]) {
            if (join->marks[child] & PLACED)
                continue; /* where a cycle was cut */
            join->marks[child] |= PLACED;
            join->depth[child] = join->depth[at] + 1;
            join->order[to++] = child;
        }
    }
    return to;
}

static bool starts_before(const mw_join *join, uint32_t a, uint32_t b)
{
    const mw_join_span *left = join->spans[a], *right = join->spans[b];
    if (left->start_ns != right->start_ns)
        return left->start_ns < right->start_ns;
    return left->span_id < right->span_id;
}

/* `at` hangs on a cycle: walks up until it meets its own stamp, then picks the earliest member.
 * `stamps` holds, for each span, 1 + the start of the last walk that passed. */
static uint32_t cut_cycle(mw_join *join, uint32_t at, uint32_t *stamps)
{
    uint32_t stamp = at + 1, on_cycle = at;
    while (stamps[on_cycle] != stamp) {
        stamps[on_cycle] = stamp;
        on_cycle = join->parent[on_cycle];
    }
    uint32_t earliest = on_cycle;
    for (uint32_t i = join->parent[on_cycle]; i != on_cycle; i = join->parent[i])
        if (starts_before(join, i, earliest))
            earliest = i;
    join->parent[earliest] = MW_JOIN_NONE;
    return earliest;
}

static void put_in_order(mw_join *join)
{
    size_t placed = 0;
    for (uint32_t i = 0; i < join->count; i++) {
        if (join->parent[i] != MW_JOIN_NONE)
            continue;
        join->marks[i] |= PLACED;
        join->order[placed++] = i;
    }
    placed = place_descendants(join, 0, placed);
    if (placed == join->count)
        return;
    /* What no root reaches hangs on cycles; each walk places a whole component. */
    uint32_t *stamps = join->inherited;
    memset(stamps, 0, join->count * sizeof *stamps);
    for (uint32_t i = 0; i < join->count; i++) {
        if (join->marks[i] & PLACED)
            continue;
        uint32_t cut = cut_cycle(join, i, stamps);
        join->marks[cut] |= PLACED;
        join->depth[cut] = 1;
        join->order[placed] = cut;
        placed = place_descendants(join, placed, placed + 1);
    }
    MW_ASSERT(placed == join->count);
}

bool mw_join_before(const mw_join *join, uint32_t a, uint32_t b)
{
    if (join->depth[a] != join->depth[b])
        return join->depth[a] < join->depth[b];
    return starts_before(join, a, b);
}

/* ---- inheritance ----------------------------------------------------------------------------- */

static void resolve_sessions(mw_join *join)
{
    uint32_t fallback = MW_JOIN_NONE;
    for (size_t i = 0; i < join->count; i++) {
        uint32_t at = join->order[i], parent = join->parent[at];
        if (join->spans[at]->session) {
            join->session_owner[at] = at;
            if (fallback == MW_JOIN_NONE || mw_join_before(join, at, fallback))
                fallback = at;
        } else {
            join->session_owner[at] =
                parent == MW_JOIN_NONE ? MW_JOIN_NONE : join->session_owner[parent];
        }
    }
    for (size_t i = 0; i < join->count; i++)
        if (join->session_owner[i] == MW_JOIN_NONE)
            join->session_owner[i] = fallback;
}

static void resolve_agents(mw_join *join)
{
    for (size_t i = 0; i < join->count; i++) {
        uint32_t at = join->order[i], parent = join->parent[at];
        uint32_t from = MW_JOIN_NONE;
        if (parent != MW_JOIN_NONE) {
            const mw_join_span *above = join->spans[parent];
            bool names = above->operation_kind == MW_OP_AGENT && above->has_agent;
            from = names ? parent : join->inherited[parent];
        }
        join->inherited[at] = from;
        join->agent_owner[at] = join->spans[at]->has_agent ? at : from;
    }
}

static int owner_compare(const void *left, const void *right, void *ctx)
{
    const mw_join *join = ctx;
    uint32_t a = *(const uint32_t *)left, b = *(const uint32_t *)right;
    uint64_t x = join->spans[a]->session, y = join->spans[b]->session;
    if (x != y)
        return x < y ? -1 : 1;
    return a == b ? 0 : mw_join_before(join, a, b) ? -1 : 1;
}

static int rank_compare(const void *left, const void *right, void *ctx)
{
    uint32_t a = *(const uint32_t *)left, b = *(const uint32_t *)right;
    return a == b ? 0 : mw_join_before(ctx, a, b) ? -1 : 1;
}

static void list_sessions(mw_join *join)
{
    size_t count = 0, kept = 0;
    for (uint32_t i = 0; i < join->count; i++)
        if (join->spans[i]->session)
            join->sessions[count++] = i;
    if (count > 1)
        qsort_r(join->sessions, count, sizeof *join->sessions, owner_compare, join);
    for (size_t i = 0; i < count; i++) {
        uint32_t at = join->sessions[i];
        if (kept && join->spans[join->sessions[kept - 1]]->session == join->spans[at]->session)
            continue;
        join->sessions[kept++] = at;
    }
    if (kept > 1)
        qsort_r(join->sessions, kept, sizeof *join->sessions, rank_compare, join);
    join->session_count = kept;
}

uint32_t mw_join_log_owner(const mw_join *join, uint64_t span_id)
{
    uint32_t span = span_id ? find_span(join, span_id) : MW_JOIN_NONE;
    if (span != MW_JOIN_NONE)
        return join->session_owner[span];
    return join->session_count ? join->sessions[0] : MW_JOIN_NONE;
}

/* ---- totals ---------------------------------------------------------------------------------- */

static bool reports_tokens(const mw_join_span *span)
{
    return span->input_tokens >= 0 || span->output_tokens >= 0;
}

static void mark_token_spans(mw_join *join)
{
    uint32_t outermost = MW_JOIN_NONE;
    bool any_leaf = false;

    for (size_t i = join->count; i-- > 0;) {
        uint32_t at = join->order[i], parent = join->parent[at];
        bool model = join->spans[at]->operation_kind == MW_OP_MODEL;
        bool below = join->marks[at] & MODEL_BELOW;
        if (model && !below) {
            join->marks[at] |= COUNTS;
            any_leaf = true;
        }
        if ((model || below) && parent != MW_JOIN_NONE) {
            uint8_t several = join->marks[parent] & MODEL_BELOW ? CALLS_BELOW : 0;
            several |= join->marks[at] & CALLS_BELOW;
            join->marks[parent] |= (uint8_t)(MODEL_BELOW | several);
        }
        if (join->spans[at]->operation_kind == MW_OP_AGENT && reports_tokens(join->spans[at]) &&
            (outermost == MW_JOIN_NONE || mw_join_before(join, at, outermost)))
            outermost = at;
    }
    if (!any_leaf && outermost != MW_JOIN_NONE)
        join->marks[outermost] |= COUNTS;
}

/* Of the spans that speak of one call the innermost counts, but it need not tell most: botocore's
 * leaves out what came from the cache, which the framework's above it includes; and nobody counts a
 * token that was not there. So it takes what a model above says, if that is no less of either
 * count, as long as it is the only call that stands below and nothing but what carries a call
 * stands between. Each model is looked at once: one with several calls ends the way up. */
static void take_call_tokens(mw_join *join, uint32_t leaf)
{
    mw_join_span *span = join->spans[leaf];
    for (uint32_t at = join->parent[leaf]; at != MW_JOIN_NONE && !(join->marks[at] & CALLS_BELOW);
         at = join->parent[at]) {
        const mw_join_span *above = join->spans[at];
        switch (above->operation_kind) {
        case MW_OP_AGENT:
        case MW_OP_WORKFLOW:
        case MW_OP_TOOL: return;
        case MW_OP_MODEL:
            if (above->input_tokens < span->input_tokens ||
                above->output_tokens < span->output_tokens)
                break;
            span->input_tokens = above->input_tokens;
            span->output_tokens = above->output_tokens;
            break;
        default: break;
        }
    }
}

static void join_call_tokens(mw_join *join)
{
    for (uint32_t i = 0; i < join->count; i++)
        if (mw_join_is_model_call(join, i))
            take_call_tokens(join, i);
}

/* Whether a span stands within a tool's call: an agent or model below a tool begins anew, what only
 * carries the call (HTTP, RPC) does not. Parents come first. */
static void mark_tool_calls(mw_join *join)
{
    for (size_t i = 0; i < join->count; i++) {
        uint32_t at = join->order[i], parent = join->parent[at];
        if (parent == MW_JOIN_NONE)
            continue;
        switch (join->spans[parent]->operation_kind) {
        case MW_OP_TOOL: join->marks[at] |= WITHIN_TOOL; break;
        case MW_OP_AGENT:
        case MW_OP_WORKFLOW:
        case MW_OP_MODEL: break;
        default: join->marks[at] |= join->marks[parent] & WITHIN_TOOL; break;
        }
    }
}

bool mw_join_is_model_call(const mw_join *join, size_t at)
{
    return join->spans[at]->operation_kind == MW_OP_MODEL && !(join->marks[at] & MODEL_BELOW);
}

bool mw_join_is_tool_call(const mw_join *join, size_t at)
{
    return join->spans[at]->operation_kind == MW_OP_TOOL && !(join->marks[at] & WITHIN_TOOL);
}

bool mw_join_counts_tokens(const mw_join *join, size_t at)
{
    return join->marks[at] & COUNTS;
}

static void add_up(mw_join *join)
{
    join->start_ns = UINT64_MAX;
    join->end_ns = 0;
    join->errors = join->model_calls = join->tool_calls = 0;
    join->met = 0;
    join->input_tokens = join->output_tokens = 0;
    join->root = 0;
    for (uint32_t i = 0; i < join->count; i++) {
        const mw_join_span *span = join->spans[i];
        uint64_t latest = span->end_ns > span->start_ns ? span->end_ns : span->start_ns;
        join->met |= span->met;
        if (span->start_ns < join->start_ns)
            join->start_ns = span->start_ns;
        if (latest > join->end_ns)
            join->end_ns = latest;
        join->errors += span->status == 2;
        join->model_calls += mw_join_is_model_call(join, i);
        join->tool_calls += mw_join_is_tool_call(join, i);
        if (mw_join_counts_tokens(join, i)) {
            mw_tokens_add(&join->input_tokens, span->input_tokens);
            mw_tokens_add(&join->output_tokens, span->output_tokens);
        }
        if (mw_join_before(join, i, join->root))
            join->root = i;
    }
}

mw_err mw_join_run(mw_join *join, mw_join_span **spans, size_t count)
{
    MW_ASSERT(count > 0);
    mw_err err = have_room(join, count);
    if (err != MW_OK)
        return err;
    join->log_count = 0;
    join->log_runs = NULL;
    join->log_run_count = 0;
    remove_repeats(join, spans, count);
    link_parents(join);
    put_in_order(join);
    resolve_sessions(join);
    resolve_agents(join);
    list_sessions(join);
    mark_token_spans(join);
    join_call_tokens(join);
    mark_tool_calls(join);
    add_up(join);
    return MW_OK;
}
