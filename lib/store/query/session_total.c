/* Totals of sessions. See session_total.h. */
#include "lib/store/query/session_total.h"

mw_err mw_session_totals_init(mw_session_totals *totals, const uint64_t *keys, size_t count)
{
    *totals = (mw_session_totals){.count = count};
    totals->items = mw_calloc(MW_MEM_QUERY, count + 1, sizeof *totals->items);
    if (!totals->items)
        return MW_E_NOMEM;
    for (size_t i = 0; i < count; i++) {
        MW_ASSERT(i == 0 || keys[i - 1] < keys[i]);
        totals->items[i].key = keys[i];
        totals->items[i].summary.first_seen_ns = UINT64_MAX;
    }
    return MW_OK;
}

void mw_session_totals_fini(mw_session_totals *totals)
{
    mw_free(MW_MEM_QUERY, totals->items);
    *totals = (mw_session_totals){0};
}

mw_session_total *mw_session_totals_find(mw_session_totals *totals, uint64_t key)
{
    size_t low = 0, high = totals->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (totals->items[middle].key < key)
            low = middle + 1;
        else
            high = middle;
    }
    return low < totals->count && totals->items[low].key == key ? &totals->items[low] : NULL;
}

/* Keeps the candidate when it is nearer the root than what is kept: depth, start, span id. */
static void pick(mw_session_pick *kept, const mw_session_pick *candidate)
{
    if (kept->found) {
        if (candidate->depth != kept->depth) {
            if (candidate->depth > kept->depth)
                return;
        } else if (candidate->start_ns != kept->start_ns) {
            if (candidate->start_ns > kept->start_ns)
                return;
        } else if (candidate->span_id >= kept->span_id) {
            return;
        }
    }
    *kept = *candidate;
}

static void pick_span(mw_session_pick *kept, uint32_t depth, const mw_join_span *span,
                      const mw_join_span *text)
{
    pick(kept,
         &(mw_session_pick){true, depth, span->start_ns, span->span_id, text->block, text->row});
}

static void widen(mw_session_summary *summary, uint64_t first_ns, uint64_t last_ns)
{
    if (first_ns < summary->first_seen_ns)
        summary->first_seen_ns = first_ns;
    if (last_ns > summary->last_seen_ns)
        summary->last_seen_ns = last_ns;
}

static void add_span(mw_session_total *total, const mw_join *join, uint32_t at)
{
    const mw_join_span *span = join->spans[at];
    mw_session_summary *summary = &total->summary;
    uint64_t latest = span->end_ns > span->start_ns ? span->end_ns : span->start_ns;
    uint32_t depth = join->depth[at];

    widen(summary, span->start_ns, latest);
    summary->spans++;
    total->met |= span->met;
    summary->errors += span->status == 2;
    summary->model_calls += mw_join_is_model_call(join, at);
    summary->tool_calls += mw_join_is_tool_call(join, at);
    if (mw_join_counts_tokens(join, at)) {
        mw_tokens_add(&summary->input_tokens, span->input_tokens);
        mw_tokens_add(&summary->output_tokens, span->output_tokens);
    }
    pick_span(&total->id, depth, span, join->spans[join->session_owner[at]]);
    if (join->agent_owner[at] != MW_JOIN_NONE)
        pick_span(&total->agent, depth, span, join->spans[join->agent_owner[at]]);
    if (span->has_user)
        pick_span(&total->user, depth, span, span);
}

/* Log records that inherit: the owner is a span of the same session, counted before. */
static void add_log_runs(mw_session_totals *totals, const mw_join *join)
{
    for (size_t i = 0; i < join->log_run_count; i++) {
        const mw_join_log *run = &join->log_runs[i];
        uint32_t owner = mw_join_log_owner(join, run->span_id);
        if (owner == MW_JOIN_NONE)
            return; /* the trace has no session */
        mw_session_total *total = mw_session_totals_find(totals, join->spans[owner]->session);
        if (!total)
            continue;
        total->summary.logs += run->count;
        widen(&total->summary, run->first_ns, run->last_ns);
    }
}

bool mw_session_totals_add(mw_session_totals *totals, const mw_join *join)
{
    mw_session_total *total = NULL;
    uint64_t key = 0;
    bool any = false;

    totals->trace_serial++;
    for (uint32_t i = 0; i < join->count; i++) {
        uint32_t owner = join->session_owner[i];
        if (owner == MW_JOIN_NONE)
            continue;
        if (join->spans[owner]->session != key) {
            key = join->spans[owner]->session;
            total = mw_session_totals_find(totals, key);
        }
        if (!total)
            continue;
        any = true;
        if (total->last_trace != totals->trace_serial) {
            total->last_trace = totals->trace_serial;
            total->summary.traces++;
        }
        add_span(total, join, i);
    }
    add_log_runs(totals, join);
    return any;
}

static mw_err add_own_log(void *ctx, const mw_own_session_log *log)
{
    mw_session_total *total = mw_session_totals_find(ctx, log->session);
    if (!total)
        return MW_OK;
    total->summary.logs++;
    widen(&total->summary, log->time_ns, log->time_ns);
    /* Equal times: the first in order of commit stays. */
    const mw_session_pick place = {true,       UINT32_MAX, log->time_ns,
                                   UINT64_MAX, log->block, log->row};
    pick(&total->id, &place);
    if (log->has_agent)
        pick(&total->agent, &place);
    return MW_OK;
}

mw_err mw_session_totals_add_logs(mw_store_view *view, mw_session_totals *totals)
{
    uint64_t *keys = mw_alloc(MW_MEM_QUERY, (totals->count + 1) * sizeof *keys);
    if (!keys)
        return MW_E_NOMEM;
    for (size_t i = 0; i < totals->count; i++)
        keys[i] = totals->items[i].key;
    mw_err err =
        mw_each_own_session_log(view, 0, UINT64_MAX, keys, totals->count, add_own_log, totals);
    mw_free(MW_MEM_QUERY, keys);
    return err;
}

static mw_err request(const mw_session_pick *picked, mw_hot_column column,
                      mw_text_requests *requests, mw_slice *target)
{
    *target = MW_SLICE_NONE;
    if (!picked->found)
        return MW_OK;
    return mw_text_request_add(requests, picked->block, picked->row, column, target);
}

mw_err mw_session_total_request(mw_session_total *total, mw_text_requests *requests)
{
    mw_session_summary *summary = &total->summary;
    mw_err err = request(&total->id, MW_HOT_SESSION, requests, &summary->session_id);
    if (err == MW_OK)
        err = request(&total->agent, MW_HOT_AGENT, requests, &summary->agent);
    if (err == MW_OK)
        err = request(&total->user, MW_HOT_USER, requests, &summary->user);
    return err;
}
