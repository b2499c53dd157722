/* Provider "RED change": operations that are busy for longer themselves, and services that are
 * asked much more often.
 *
 * What an operation is busy with is its span less its children; a caller that waits inside a child
 * is no slower. Compared at the onset that the edges gave, else at the moment that is surest. Pure;
 * runs on a pool thread.
 */
#include <math.h>

#include "triage/evidence/provider_int.h"

#define NS_PER_MS 1e6
#define CLIENT 3
#define SHOWN 24
/* Three times as many requests a second, and no fewer than 20 of them: load, and no chance. */
#define TRAFFIC_TIMES 3.0
#define TRAFFIC_MIN 20

typedef struct red_work {
    mw_context *context;
    mw_sample *samples; /* MW_MEM_QUERY; key = operation, value = own ms */
    size_t count;
    double *scratch;
    uint64_t onset_ns;
    double best;
    size_t found;
} red_work;

static size_t group_end(const red_work *work, size_t from)
{
    size_t end = from;
    while (end < work->count && work->samples[end].key == work->samples[from].key)
        end++;
    return end;
}

static bool is_changed(const mw_split *split, double z, double effect)
{
    return split->before >= MW_BEFORE_MIN && split->after >= MW_AFTER_MIN && split->z >= z &&
           mw_latency_effect(split) >= effect;
}

static double strength_of(const mw_split *split)
{
    return split->z * log2(1 + mw_latency_effect(split));
}

static void find_onset(red_work *work)
{
    const mw_thresholds *sure = work->context->findings->thresholds;
    mw_moment moments[MW_MOMENTS_MAX];
    size_t count = mw_moments(work->context, moments);
    for (size_t m = 0; m < count; m++)
        for (size_t from = 0, end; from < work->count; from = end) {
            end = group_end(work, from);
            mw_split split =
                mw_split_at(&work->samples[from], end - from, moments[m].at_ns, work->scratch);
            if (!is_changed(&split, sure->z_sure, sure->effect_sure))
                continue;
            double strength = strength_of(&split) * moments[m].trust;
            if (strength <= work->best)
                continue;
            work->best = strength;
            work->onset_ns = moments[m].at_ns;
        }
}

static mw_slice query_of(mw_context *context, mw_slice service)
{
    char since[MW_TIME_TEXT_SIZE], until[MW_TIME_TEXT_SIZE];
    mw_slice word = mw_shell_quoted(context->arena, service);
    mw_time_format(context->since_ns, since);
    mw_time_format(context->until_ns, until);
    return mw_sentence(context->arena, "midwatch service show %.*s --since %s --until %s",
                       MW_SLICE_FMT(word), since, until);
}

/* Is it a call, and do most of them have no spans of whom they call? Of those since the onset. */
static bool is_waiting(const red_work *work, uint32_t operation, mw_slice *peer)
{
    const mw_span_table *table = &work->context->spans;
    size_t calls = 0, all = 0;
    *peer = MW_SLICE_NONE;
    for (size_t i = 0; i < table->count; i++) {
        const mw_span_fact *span = &table->rows[i];
        if (span->operation != operation || span->start_ns < work->onset_ns)
            continue;
        bool waits = span->kind == CLIENT && !span->children;
        all++;
        calls += waits;
        if (waits && !peer->len && span->peer != MW_NO_PEER)
            *peer = table->peers[span->peer];
    }
    return 2 * calls > all;
}

static mw_err add_self(red_work *work, uint32_t operation, const mw_split *split)
{
    mw_context *context = work->context;
    const mw_operation_name *name = &context->spans.operations[operation];
    mw_slice service = context->spans.services[name->service];
    mw_slice shown = mw_shown(context->arena, name->name, 120);
    mw_slice whose = mw_shown(context->arena, service, 80);
    mw_slice before = mw_ms_text(context->arena, split->median_before);
    mw_slice after = mw_ms_text(context->arena, split->median_after);
    mw_slice sample = mw_sample_words(context), peer;
    bool waits = is_waiting(work, operation, &peer);
    mw_finding finding = {
        .kind = MW_FOUND_SELF,
        .waits = waits,
        .peer = waits ? peer : MW_SLICE_NONE,
        .service = service,
        .other = name->name,
        .before = split->median_before,
        .after = split->median_after,
        .strength = strength_of(split),
        .weight = (split->median_after - split->median_before) * (double)split->after,
        .first_ns = work->onset_ns,
        .text = mw_sentence(context->arena, "%.*s of %.*s %s %.*s%s, %.*s before%.*s",
                            MW_SLICE_FMT(shown), MW_SLICE_FMT(whose),
                            waits ? "waits" : "is busy for", MW_SLICE_FMT(after),
                            waits ? " for an answer that no span tells of" : " itself",
                            MW_SLICE_FMT(before), MW_SLICE_FMT(sample))};
    if (!finding.text.data)
        return MW_E_NOMEM;
    mw_evidence evidence = {.kind = "red",
                            .text = finding.text,
                            .service = service,
                            .start_ns = work->onset_ns,
                            .end_ns = context->until_ns,
                            .operation = name->name,
                            .query = query_of(context, service)};
    if (work->found++ < SHOWN)
        finding.evidence = mw_evidence_new(context->arena, &evidence);
    mw_findings *findings = context->findings;
    if (finding.peer.len && findings->call_count < MW_CALLS_MAX)
        findings->calls[findings->call_count++] = (mw_call){service, finding.peer, 0, false};
    return mw_findings_add(findings, &finding);
}

static mw_err report(red_work *work)
{
    const mw_thresholds *part = work->context->findings->thresholds;
    mw_err err = MW_OK;
    for (size_t from = 0, end; err == MW_OK && from < work->count; from = end) {
        end = group_end(work, from);
        mw_split split =
            mw_split_at(&work->samples[from], end - from, work->onset_ns, work->scratch);
        if (is_changed(&split, part->z_part, part->effect_part))
            err = add_self(work, work->samples[from].key, &split);
    }
    return err;
}

/* ---- traffic --------------------------------------------------------------------------------- */

typedef struct rate {
    uint64_t before, after;
} rate;

static mw_err add_traffic(red_work *work, uint16_t service, double before, double after)
{
    mw_context *context = work->context;
    mw_slice name = context->spans.services[service];
    mw_slice whose = mw_shown(context->arena, name, 80), sample = mw_sample_words(context);
    mw_finding finding = {.kind = MW_FOUND_TRAFFIC,
                          .service = name,
                          .before = before,
                          .after = after,
                          .strength = after / (before > 0 ? before : 1),
                          .weight = after,
                          .first_ns = work->onset_ns,
                          .text = mw_sentence(context->arena,
                                              "%.*s takes %.1f requests a second from outside, "
                                              "%.1f before%.*s",
                                              MW_SLICE_FMT(whose), after, before,
                                              MW_SLICE_FMT(sample))};
    mw_evidence evidence = {.kind = "red",
                            .text = finding.text,
                            .service = name,
                            .start_ns = work->onset_ns,
                            .end_ns = context->until_ns,
                            .query = query_of(context, name)};
    if (finding.text.data)
        finding.evidence = mw_evidence_new(context->arena, &evidence);
    return mw_findings_add(context->findings, &finding);
}

/* Requests from outside: spans without a parent, a second, over the time in which there are any. */
static mw_err look_at_traffic(red_work *work)
{
    const mw_span_table *table = &work->context->spans;
    rate rates[MW_SPAN_TABLE_SERVICES] = {{0, 0}};
    uint64_t first = UINT64_MAX, last = 0;
    for (size_t i = 0; i < table->count; i++) {
        const mw_span_fact *span = &table->rows[i];
        first = span->start_ns < first ? span->start_ns : first;
        last = span->start_ns > last ? span->start_ns : last;
        if (span->parent)
            continue;
        rates[span->service].before += span->start_ns < work->onset_ns;
        rates[span->service].after += span->start_ns >= work->onset_ns;
    }
    mw_err err = MW_OK;
    if (first >= work->onset_ns || last <= work->onset_ns)
        return err;
    double lead = (double)(work->onset_ns - first) / 1e9;
    double rest = (double)(last - work->onset_ns) / 1e9;
    for (uint16_t s = 0; err == MW_OK && s < table->service_count; s++) {
        double before = table->one_in * (double)rates[s].before / lead;
        double after = table->one_in * (double)rates[s].after / rest;
        if (rates[s].before >= TRAFFIC_MIN && rates[s].after >= TRAFFIC_MIN &&
            after >= TRAFFIC_TIMES * before)
            err = add_traffic(work, s, before, after);
    }
    return err;
}

static mw_err look(red_work *work)
{
    mw_context *context = work->context;
    const mw_span_table *table = &context->spans;
    for (size_t i = 0; i < table->count; i++)
        work->samples[work->count++] =
            (mw_sample){table->rows[i].operation, (double)table->rows[i].self_ns / NS_PER_MS,
                        table->rows[i].start_ns};
    mw_samples_sort(work->samples, work->count);
    work->onset_ns = context->onset_ns;
    if (!work->onset_ns)
        find_onset(work);
    mw_err err = work->onset_ns ? report(work) : MW_OK;
    if (err == MW_OK && work->onset_ns)
        err = look_at_traffic(work);
    if (err == MW_OK)
        context->said =
            work->found ? mw_sentence(context->arena,
                                      "operations that are slower by themselves: %zu", work->found)
                        : MW_SLICE("no operation is slower by itself");
    return err;
}

static mw_err collect(mw_context *context)
{
    red_work work = {.context = context};
    work.samples = mw_alloc(MW_MEM_QUERY, (context->spans.count + 1) * sizeof *work.samples);
    work.scratch = mw_alloc(MW_MEM_QUERY, (context->spans.count + 1) * sizeof *work.scratch);
    mw_err err = work.samples && work.scratch ? look(&work) : MW_E_NOMEM;
    mw_free(MW_MEM_QUERY, work.samples);
    mw_free(MW_MEM_QUERY, work.scratch);
    return err;
}

const mw_provider mw_provider_red_change = {.name = "red_change", .collect = collect};
