/* Provider "call edges": what a call takes beyond what the called service is busy with.
 *
 * The caller's span of a call less the callee's is the time between the two: network, queues,
 * connections, a processor that others hold. It is compared per edge, before and after each moment
 * that may be the onset; the moment at which some edge is surest to have changed is the onset as
 * edges see it. Also notes who calls whom. Pure; runs on a pool thread.
 */
#include <math.h>

#include "triage/evidence/provider_int.h"

#define CLIENT 3
#define PRODUCER 4
#define CONSUMER 5
#define NS_PER_MS 1e6
/* In a key: the edge is there, but what its calls take cannot be told. Services have ten bits. */
#define KNOWN_ALONE (UINT32_C(1) << 31)
/* And this one: a message. */
#define KNOWN_MESSAGE (UINT32_C(1) << 15)
_Static_assert(MW_SPAN_TABLE_SERVICES <= 1 << 15, "the bits are free");
/* Findings that a person can still look through. */
#define EDGES_SHOWN 64

typedef struct edge_work {
    mw_context *context;
    mw_sample *samples; /* MW_MEM_QUERY; key = caller, callee */
    size_t count;
    double *scratch;
    uint64_t onset_ns;
    double best;
    size_t found;
} edge_work;

static uint32_t key_of(uint16_t caller, uint16_t callee)
{
    return (uint32_t)caller << 16 | callee;
}

static double duration_ms(const mw_span_fact *span)
{
    return (double)span->duration_ns / NS_PER_MS;
}

static bool crosses(const mw_span_table *table, const mw_span_fact *span)
{
    return span->parent_at != MW_NO_ROW && table->rows[span->parent_at].service != span->service;
}

/* A message waits in its queue for as long as it likes. */
static bool is_call(const mw_span_table *table, const mw_span_fact *span)
{
    return crosses(table, span) && span->kind != CONSUMER &&
           table->rows[span->parent_at].kind != PRODUCER;
}

/* The caller's span is of that call alone: else it holds what the caller does besides. */
static bool is_of_one_call(const mw_span_fact *caller)
{
    return caller->kind == CLIENT || caller->children == 1;
}

static void take_samples(edge_work *work)
{
    const mw_span_table *table = &work->context->spans;
    for (size_t i = 0; i < table->count; i++) {
        const mw_span_fact *span = &table->rows[i];
        if (!crosses(table, span))
            continue;
        const mw_span_fact *caller = &table->rows[span->parent_at];
        uint32_t key = key_of(caller->service, span->service);
        if (!is_call(table, span))
            key |= KNOWN_ALONE | KNOWN_MESSAGE;
        else if (!is_of_one_call(caller))
            key |= KNOWN_ALONE;
        work->samples[work->count++] =
            (mw_sample){key, duration_ms(caller) - duration_ms(span), span->start_ns};
    }
    mw_samples_sort(work->samples, work->count);
}

static size_t group_end(const edge_work *work, size_t from)
{
    size_t end = from;
    while (end < work->count && work->samples[end].key == work->samples[from].key)
        end++;
    return end;
}

static bool is_measured(const mw_split *split)
{
    return split->before >= MW_BEFORE_MIN && split->after >= MW_AFTER_MIN;
}

static double strength_of(const mw_split *split)
{
    double effect = mw_latency_effect(split);
    return effect > 0 && split->z > 0 ? split->z * log2(1 + effect) : 0;
}

static bool is_beyond(const mw_split *split, double z, double effect)
{
    return is_measured(split) && split->z >= z && mw_latency_effect(split) >= effect;
}

/* The surest edge at each moment; the surest moment wins. */
static void find_onset(edge_work *work)
{
    const mw_thresholds *at = work->context->findings->thresholds;
    mw_moment moments[MW_MOMENTS_MAX];
    size_t count = mw_moments(work->context, moments);
    for (size_t m = 0; m < count; m++)
        for (size_t from = 0, end; from < work->count; from = end) {
            end = group_end(work, from);
            if (work->samples[from].key & KNOWN_ALONE)
                continue;
            mw_split split =
                mw_split_at(&work->samples[from], end - from, moments[m].at_ns, work->scratch);
            bool sure = is_beyond(&split, at->z_sure, at->effect_sure);
            double strength = sure ? strength_of(&split) * moments[m].trust : 0;
            if (strength <= work->best)
                continue;
            work->best = strength;
            work->onset_ns = moments[m].at_ns;
        }
}

/* ---- findings -------------------------------------------------------------------------------- */

/* The slowest call after the onset between the two: something to look at. */
static const mw_evidence *evidence_of(edge_work *work, uint32_t key, mw_slice text)
{
    mw_context *context = work->context;
    const mw_span_table *table = &context->spans;
    const mw_span_fact *worst = NULL;
    double most = 0;
    char trace_id[2 * MW_TRACE_ID_SIZE + 1], span_id[2 * MW_SPAN_ID_SIZE + 1];
    for (size_t i = 0; i < table->count; i++) {
        const mw_span_fact *span = &table->rows[i];
        if (!is_call(table, span) || span->start_ns < work->onset_ns ||
            key_of(table->rows[span->parent_at].service, span->service) != key)
            continue;
        double wire = duration_ms(&table->rows[span->parent_at]) - duration_ms(span);
        if (!worst || wire > most) {
            worst = span;
            most = wire;
        }
    }
    if (!worst)
        return NULL;
    mw_hex_encode(worst->trace_id, MW_TRACE_ID_SIZE, trace_id);
    mw_hex_encode(&worst->span, MW_SPAN_ID_SIZE, span_id);
    mw_evidence evidence = {.kind = "edge",
                            .text = text,
                            .service = table->services[key & 0xffff],
                            .start_ns = work->onset_ns,
                            .end_ns = context->until_ns,
                            .trace_id = mw_sentence(context->arena, "%s", trace_id),
                            .span_id = mw_sentence(context->arena, "%s", span_id),
                            .caller = table->services[key >> 16],
                            .callee = table->services[key & 0xffff],
                            .query =
                                mw_sentence(context->arena, "midwatch trace show %s", trace_id)};
    return mw_evidence_new(context->arena, &evidence);
}

static mw_err add_finding(edge_work *work, uint32_t key, const mw_split *split)
{
    mw_context *context = work->context;
    const mw_span_table *table = &context->spans;
    mw_slice caller = table->services[key >> 16], callee = table->services[key & 0xffff];
    mw_slice before = mw_ms_text(context->arena, split->median_before);
    mw_slice after = mw_ms_text(context->arena, split->median_after);
    mw_slice from = mw_shown(context->arena, caller, 80), to = mw_shown(context->arena, callee, 80);
    mw_slice sample = mw_sample_words(context);
    mw_finding finding = {
        .kind = MW_FOUND_WIRE,
        .service = caller,
        .other = callee,
        .before = split->median_before,
        .after = split->median_after,
        .strength = strength_of(split),
        .weight = (split->median_after - split->median_before) * (double)split->after,
        .first_ns = work->onset_ns,
        .text =
            mw_sentence(context->arena,
                        "calls from %.*s to %.*s spend %.*s on the way, %.*s before (%zu "
                        "calls since, %zu before)%.*s",
                        MW_SLICE_FMT(from), MW_SLICE_FMT(to), MW_SLICE_FMT(after),
                        MW_SLICE_FMT(before), split->after, split->before, MW_SLICE_FMT(sample))};
    if (!finding.text.data)
        return MW_E_NOMEM;
    if (work->found++ < EDGES_SHOWN)
        finding.evidence = evidence_of(work, key, finding.text);
    return mw_findings_add(context->findings, &finding);
}

static void add_call(edge_work *work, uint32_t key, const mw_split *split)
{
    mw_findings *findings = work->context->findings;
    const mw_span_table *table = &work->context->spans;
    bool message = key & KNOWN_MESSAGE;
    key &= ~(KNOWN_ALONE | KNOWN_MESSAGE);
    if (findings->call_count == MW_CALLS_MAX)
        return;
    findings->calls[findings->call_count++] =
        (mw_call){table->services[key >> 16], table->services[key & 0xffff],
                  is_measured(split) ? (double)split->after : 0, message};
}

static mw_err report(edge_work *work)
{
    const mw_thresholds *at = work->context->findings->thresholds;
    mw_err err = MW_OK;
    for (size_t from = 0, end; err == MW_OK && from < work->count; from = end) {
        end = group_end(work, from);
        uint32_t key = work->samples[from].key;
        mw_split split = {.before = 0};
        if (!(key & KNOWN_ALONE))
            split = mw_split_at(&work->samples[from], end - from, work->onset_ns, work->scratch);
        add_call(work, key, &split);
        if (work->best > 0 && is_beyond(&split, at->z_part, at->effect_part))
            err = add_finding(work, key, &split);
    }
    return err;
}

static mw_err look(edge_work *work)
{
    mw_context *context = work->context;
    take_samples(work);
    find_onset(work);
    if (work->best > 0)
        context->onset_ns = work->onset_ns;
    else
        work->onset_ns = context->at_ns > 60 * (uint64_t)MW_NS_PER_S
                             ? context->at_ns - 60 * (uint64_t)MW_NS_PER_S
                             : 0;
    mw_err err = report(work);
    if (err == MW_OK && work->found)
        context->said = mw_sentence(context->arena, "edges that take longer on the way: %zu of %zu",
                                    work->found, context->findings->call_count);
    else if (err == MW_OK)
        context->said = mw_sentence(context->arena, "none of %zu edges takes longer on the way",
                                    context->findings->call_count);
    return err;
}

static mw_err collect(mw_context *context)
{
    edge_work work = {.context = context};
    work.samples = mw_alloc(MW_MEM_QUERY, (context->spans.count + 1) * sizeof *work.samples);
    work.scratch = mw_alloc(MW_MEM_QUERY, (context->spans.count + 1) * sizeof *work.scratch);
    mw_err err = work.samples && work.scratch ? look(&work) : MW_E_NOMEM;
    mw_free(MW_MEM_QUERY, work.samples);
    mw_free(MW_MEM_QUERY, work.scratch);
    return err;
}

const mw_provider mw_provider_call_edges = {.name = "call_edges", .collect = collect};
