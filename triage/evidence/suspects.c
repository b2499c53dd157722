/* Whose telemetry an answer can need. See suspects.h. Runs on a pool thread. */
#include "triage/evidence/suspects.h"

#include "triage/evidence/reach.h"

typedef struct search {
    const mw_context *context;
    const mw_graph *graph;
    mw_findings *calls; /* holds calls alone */
    mw_slice *seeds;
    size_t seed_count;
    mw_reach reach;
} search;

static uint64_t spans_of(const mw_graph *graph, mw_slice service)
{
    for (size_t i = 0; i < graph->service_count; i++)
        if (mw_slice_equal(graph->services[i].service, service))
            return graph->services[i].red.count;
    return 0;
}

static bool add_call(mw_findings *calls, mw_slice caller, mw_slice callee)
{
    if (calls->call_count == MW_CALLS_MAX)
        return false;
    calls->calls[calls->call_count++] = (mw_call){caller, callee, 0, false};
    return true;
}

/* False: there are more calls than can be followed. */
static bool add_calls(search *s)
{
    bool fits = true;
    for (size_t i = 0; fits && i < s->graph->edge_count; i++)
        fits = add_call(s->calls, s->graph->edges[i].caller, s->graph->edges[i].callee);
    for (size_t i = 0; fits && i < s->context->imported_count; i++)
        fits = add_call(s->calls, s->context->imported[i].caller, s->context->imported[i].callee);
    return fits;
}

/* What the alarms name; of what has no spans, who calls it (entries.h). */
static mw_err add_seeds(search *s)
{
    const mw_context *context = s->context;
    size_t most = context->begin_count + s->calls->call_count;
    s->seeds = mw_arena_zalloc(context->arena, most + 1, sizeof *s->seeds);
    if (!s->seeds)
        return MW_E_NOMEM;
    for (size_t i = 0; i < context->begin_count; i++)
        s->seeds[s->seed_count++] = context->begins[i];
    for (size_t i = 0; i < s->calls->call_count; i++)
        for (size_t k = 0; k < context->begin_count; k++)
            if (mw_slice_equal(s->calls->calls[i].callee, context->begins[k]) &&
                !spans_of(s->graph, context->begins[k])) {
                s->seeds[s->seed_count++] = s->calls->calls[i].caller;
                break;
            }
    return mw_reach_make(s->calls, s->seeds, s->seed_count, &s->reach);
}

static bool calls_reached(const search *s, mw_slice service)
{
    for (size_t i = 0; i < s->calls->call_count; i++)
        if (mw_slice_equal(s->calls->calls[i].caller, service) &&
            mw_reach_has(&s->reach, s->calls->calls[i].callee))
            return true;
    return false;
}

static mw_err list(const search *s, mw_suspects *out)
{
    mw_slice *services = mw_arena_zalloc(s->context->arena, s->reach.count + 1, sizeof *services);
    if (!services)
        return MW_E_NOMEM;
    for (size_t i = 0; i < s->reach.count; i++) {
        if (!s->reach.reached[i] && !calls_reached(s, s->reach.names[i]))
            continue;
        services[out->count++] = s->reach.names[i];
        out->spans += spans_of(s->graph, s->reach.names[i]);
    }
    out->services = services;
    return MW_OK;
}

mw_err mw_suspects_find(const mw_context *context, mw_store *store, const mw_store_stop *stop,
                        mw_suspects *out)
{
    mw_graph graph;
    search s = {.context = context, .graph = &graph};
    *out = (mw_suspects){.count = 0};
    if (!context->begin_count)
        return MW_OK;
    s.calls = mw_findings_new(context->arena);
    if (!s.calls)
        return MW_E_NOMEM;
    mw_err err =
        mw_store_graph(store, context->since_ns, context->until_ns, stop, context->arena, &graph);
    /* Roll-ups that are not whole would hide suspects: then everybody is one. */
    if (err != MW_OK || graph.left_out || graph.unread || !add_calls(&s))
        return err;
    err = add_seeds(&s);
    if (err == MW_OK)
        err = list(&s, out);
    if (err == MW_OK && !out->spans)
        *out = (mw_suspects){.count = 0}; /* nothing is known of them */
    return err;
}
