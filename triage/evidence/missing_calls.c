/* Provider "missing calls": operations that no longer make the calls they always made.
 *
 * A function that throws, or returns early, leaves its trace in what does not happen: the spans it
 * would have caused. An operation is asked how often it has fewer children than nine of ten of its
 * spans had before. Pure; runs on a pool thread.
 */
#include <math.h>

#include "triage/evidence/last_called.h"
#include "triage/evidence/provider_int.h"

/* Of its spans before, so many in a hundred may have had fewer children. */
#define USUAL_PERCENT 10
#define SHOWN 24

/* A service that others called last before they left out the rest. */
typedef struct pointed {
    uint16_t service, by; /* by: one of them */
    bool several;         /* another service did so too */
    double strength;
} pointed;
#define POINTED_MAX 32
/* One caller alone may as well have failed by itself: no more than a hint, just below what is
 * sure. */
#define HINT_BELOW 0.1

typedef struct missing_work {
    pointed pointed[POINTED_MAX];
    size_t pointed_count;
    mw_context *context;
    mw_sample *samples; /* MW_MEM_QUERY; key = operation, value = children */
    size_t count;
    double *scratch;
    uint64_t onset_ns;
    double best;
    size_t found;
} missing_work;

typedef struct lack {
    size_t lacking_before, before, lacking_after, after;
    double usual, g;
} lack;

static lack lack_at(const mw_sample *group, size_t count, uint64_t at_ns, double *scratch)
{
    lack out = {.usual = 0};
    for (size_t i = 0; i < count; i++)
        if (group[i].at_ns < at_ns)
            scratch[out.before++] = group[i].value;
    out.after = count - out.before;
    if (out.before < MW_BEFORE_MIN || out.after < MW_AFTER_MIN)
        return out;
    out.usual = scratch[out.before * USUAL_PERCENT / 100];
    if (out.usual < 1)
        return out;
    for (size_t i = 0; i < count && group[i].value < out.usual; i++) {
        out.lacking_before += group[i].at_ns < at_ns;
        out.lacking_after += group[i].at_ns >= at_ns;
    }
    out.g = mw_share_change(out.lacking_before, out.before, out.lacking_after, out.after);
    return out;
}

static size_t group_end(const missing_work *work, size_t from)
{
    size_t end = from;
    while (end < work->count && work->samples[end].key == work->samples[from].key)
        end++;
    return end;
}

static void find_onset(missing_work *work)
{
    mw_moment moments[MW_MOMENTS_MAX];
    size_t count = mw_moments(work->context, moments);
    for (size_t m = 0; m < count; m++)
        for (size_t from = 0, end; from < work->count; from = end) {
            end = group_end(work, from);
            lack found = lack_at(&work->samples[from], end - from, moments[m].at_ns, work->scratch);
            if (found.g * moments[m].trust <= work->best)
                continue;
            work->best = found.g * moments[m].trust;
            work->onset_ns = moments[m].at_ns;
        }
}

static const mw_evidence *evidence_of(missing_work *work, uint32_t operation, double usual,
                                      mw_slice text)
{
    mw_context *context = work->context;
    const mw_span_table *table = &context->spans;
    const mw_span_fact *found = NULL;
    char trace_id[2 * MW_TRACE_ID_SIZE + 1];
    for (size_t i = 0; i < table->count && !found; i++)
        if (table->rows[i].operation == operation && table->rows[i].start_ns >= work->onset_ns &&
            table->rows[i].children < usual)
            found = &table->rows[i];
    if (!found)
        return NULL;
    mw_hex_encode(found->trace_id, MW_TRACE_ID_SIZE, trace_id);
    mw_evidence evidence = {.kind = "trace",
                            .text = text,
                            .service = table->services[found->service],
                            .start_ns = work->onset_ns,
                            .end_ns = context->until_ns,
                            .trace_id = mw_sentence(context->arena, "%s", trace_id),
                            .operation = table->operations[operation].name,
                            .query =
                                mw_sentence(context->arena, "midwatch trace show %s", trace_id)};
    return mw_evidence_new(context->arena, &evidence);
}

static mw_err add_finding(missing_work *work, uint32_t operation, const lack *found)
{
    mw_context *context = work->context;
    const mw_operation_name *name = &context->spans.operations[operation];
    mw_slice service = context->spans.services[name->service];
    mw_slice shown = mw_shown(context->arena, name->name, 120);
    mw_slice whose = mw_shown(context->arena, service, 80), sample = mw_sample_words(context);
    mw_finding finding = {
        .kind = MW_FOUND_MISSING,
        .service = service,
        .other = name->name,
        .before = (double)found->lacking_before / (double)found->before,
        .after = (double)found->lacking_after / (double)found->after,
        .strength = found->g,
        .weight = (double)found->lacking_after,
        .first_ns = work->onset_ns,
        .text = mw_sentence(context->arena,
                            "%.*s of %.*s makes fewer than its usual %.0f calls in %zu of %zu "
                            "cases, %zu of %zu before%.*s",
                            MW_SLICE_FMT(shown), MW_SLICE_FMT(whose), found->usual,
                            found->lacking_after, found->after, found->lacking_before,
                            found->before, MW_SLICE_FMT(sample))};
    if (!finding.text.data)
        return MW_E_NOMEM;
    if (work->found++ < SHOWN)
        finding.evidence = evidence_of(work, operation, found->usual, finding.text);
    return mw_findings_add(context->findings, &finding);
}

static void note_last_called(missing_work *work, uint32_t operation, const lack *found)
{
    const mw_span_table *table = &work->context->spans;
    uint16_t by = table->operations[operation].service;
    uint16_t service = mw_last_called(table, operation, found->usual, work->onset_ns);
    size_t at = 0;
    if (service == MW_NO_SERVICE || found->g < work->context->findings->thresholds->share_sure)
        return;
    while (at < work->pointed_count && work->pointed[at].service != service)
        at++;
    if (at == POINTED_MAX)
        return;
    if (at == work->pointed_count)
        work->pointed[work->pointed_count++] = (pointed){.service = service, .by = by};
    pointed *one = &work->pointed[at];
    one->several |= one->by != by;
    one->strength = found->g > one->strength ? found->g : one->strength;
}

/* Several that stop behind the same call have it in common. */
static mw_err add_pointed(missing_work *work, const pointed *one)
{
    mw_context *context = work->context;
    mw_slice service = context->spans.services[one->service];
    mw_slice by = mw_shown(context->arena, context->spans.services[one->by], 80);
    mw_slice whose = mw_shown(context->arena, service, 80);
    double hint = context->findings->thresholds->share_sure - HINT_BELOW;
    double strength = one->several ? one->strength : fmin(one->strength, hint);
    mw_finding finding = {
        .kind = MW_FOUND_MISSING,
        .service = service,
        .other = MW_SLICE(""),
        .strength = strength,
        .first_ns = work->onset_ns,
        .text = mw_sentence(
            context->arena, "%.*s is the last that %.*s%s call before they leave out the rest",
            MW_SLICE_FMT(whose), MW_SLICE_FMT(by), one->several ? " and others" : "'s requests")};
    return mw_findings_add(context->findings, &finding);
}

static mw_err look(missing_work *work)
{
    const mw_span_table *table = &work->context->spans;
    mw_err err = MW_OK;
    for (size_t i = 0; i < table->count; i++)
        work->samples[work->count++] = (mw_sample){
            table->rows[i].operation, (double)table->rows[i].children, table->rows[i].start_ns};
    mw_samples_sort(work->samples, work->count);
    find_onset(work);
    for (size_t from = 0, end; err == MW_OK && work->best > 0 && from < work->count; from = end) {
        end = group_end(work, from);
        lack found = lack_at(&work->samples[from], end - from, work->onset_ns, work->scratch);
        if (found.g < work->context->findings->thresholds->share_part)
            continue;
        note_last_called(work, work->samples[from].key, &found);
        err = add_finding(work, work->samples[from].key, &found);
    }
    for (size_t i = 0; err == MW_OK && i < work->pointed_count; i++)
        err = add_pointed(work, &work->pointed[i]);
    if (err == MW_OK)
        work->context->said =
            work->found ? mw_sentence(work->context->arena,
                                      "operations that make fewer of their calls: %zu", work->found)
                        : MW_SLICE("all operations make the calls they made before");
    return err;
}

static mw_err collect(mw_context *context)
{
    missing_work work = {.context = context};
    work.samples = mw_alloc(MW_MEM_QUERY, (context->spans.count + 1) * sizeof *work.samples);
    work.scratch = mw_alloc(MW_MEM_QUERY, (context->spans.count + 1) * sizeof *work.scratch);
    mw_err err = work.samples && work.scratch ? look(&work) : MW_E_NOMEM;
    mw_free(MW_MEM_QUERY, work.samples);
    mw_free(MW_MEM_QUERY, work.scratch);
    return err;
}

const mw_provider mw_provider_missing_calls = {.name = "missing_calls", .collect = collect};
