/* Provider "error origin": operations whose spans fail more often than before, where the failure
 * begins.
 *
 * A failing span is an origin when none of its children has failed: those above it only pass the
 * failure on. Pure; runs on a pool thread.
 */
#include "triage/provider_int.h"

#define STATUS_UNSET 0
#define STATUS_ERROR 2
#define SHOWN 24

typedef struct tally {
    size_t failed_before, before, failed_after, after;
    double g;
} tally;

typedef struct error_work {
    mw_context *context;
    bool *passes_on; /* by row: a child of it failed */
    tally *tallies;  /* by operation */
    uint64_t onset_ns;
    double best;
    size_t found;
} error_work;

static bool is_origin(const error_work *work, size_t row)
{
    return work->context->spans.rows[row].status == STATUS_ERROR && !work->passes_on[row];
}

static void mark_victims(error_work *work)
{
    const mw_span_table *table = &work->context->spans;
    for (size_t i = 0; i < table->count; i++)
        if (table->rows[i].status == STATUS_ERROR && table->rows[i].parent_at != MW_NO_ROW)
            work->passes_on[table->rows[i].parent_at] = true;
}

static void count(error_work *work, uint64_t at_ns)
{
    const mw_span_table *table = &work->context->spans;
    memset(work->tallies, 0, table->operation_count * sizeof *work->tallies);
    for (size_t i = 0; i < table->count; i++) {
        tally *one = &work->tallies[table->rows[i].operation];
        bool before = table->rows[i].start_ns < at_ns;
        one->before += before;
        one->after += !before;
        if (!is_origin(work, i))
            continue;
        one->failed_before += before;
        one->failed_after += !before;
    }
    for (size_t k = 0; k < table->operation_count; k++) {
        tally *one = &work->tallies[k];
        if (one->before >= MW_AFTER_MIN && one->after >= MW_AFTER_MIN)
            one->g = mw_share_change(one->failed_before, one->before, one->failed_after,
                                     one->after);
    }
}

static void find_onset(error_work *work)
{
    mw_moment moments[MW_MOMENTS_MAX];
    size_t moment_count = mw_moments(work->context, moments);
    for (size_t m = 0; m < moment_count; m++) {
        count(work, moments[m].at_ns);
        for (size_t k = 0; k < work->context->spans.operation_count; k++) {
            double strength = work->tallies[k].g * moments[m].trust;
            if (strength <= work->best)
                continue;
            work->best = strength;
            work->onset_ns = moments[m].at_ns;
        }
    }
}

static const mw_evidence *evidence_of(error_work *work, uint32_t operation, mw_slice text)
{
    mw_context *context = work->context;
    const mw_span_table *table = &context->spans;
    char trace_id[2 * MW_TRACE_ID_SIZE + 1] = "", span_id[2 * MW_SPAN_ID_SIZE + 1] = "";
    for (size_t i = 0; i < table->count && !trace_id[0]; i++) {
        const mw_span_fact *span = &table->rows[i];
        if (span->operation != operation || span->start_ns < work->onset_ns || !is_origin(work, i))
            continue;
        mw_hex_encode(span->trace_id, MW_TRACE_ID_SIZE, trace_id);
        mw_hex_encode(&span->span, MW_SPAN_ID_SIZE, span_id);
    }
    mw_evidence evidence = {.kind = "span",
                            .text = text,
                            .service = table->services[table->operations[operation].service],
                            .start_ns = work->onset_ns,
                            .end_ns = context->until_ns,
                            .trace_id = mw_sentence(context->arena, "%s", trace_id),
                            .span_id = mw_sentence(context->arena, "%s", span_id),
                            .operation = table->operations[operation].name,
                            .query = mw_sentence(context->arena, "midwatch trace show %s",
                                                 trace_id)};
    return mw_evidence_new(context->arena, &evidence);
}

static mw_err add_finding(error_work *work, uint32_t operation)
{
    mw_context *context = work->context;
    const tally *one = &work->tallies[operation];
    const mw_operation_name *name = &context->spans.operations[operation];
    mw_slice service = context->spans.services[name->service];
    mw_slice shown = mw_shown(context->arena, name->name, 120);
    mw_slice whose = mw_shown(context->arena, service, 80);
    mw_finding finding = {
        .kind = MW_FOUND_ERRORS,
        .service = service,
        .other = name->name,
        .before = (double)one->failed_before / (double)one->before,
        .after = (double)one->failed_after / (double)one->after,
        .strength = one->g,
        .weight = (double)one->failed_after,
        .first_ns = work->onset_ns,
        .text = mw_sentence(context->arena,
                            "%.*s of %.*s fails by itself in %zu of %zu cases, %zu of %zu before",
                            MW_SLICE_FMT(shown), MW_SLICE_FMT(whose), one->failed_after, one->after,
                            one->failed_before, one->before)};
    if (!finding.text.data)
        return MW_E_NOMEM;
    if (work->found++ < SHOWN)
        finding.evidence = evidence_of(work, operation, finding.text);
    return mw_findings_add(context->findings, &finding);
}

static mw_err look(error_work *work)
{
    mw_context *context = work->context;
    mw_err err = MW_OK;
    mark_victims(work);
    find_onset(work);
    if (work->best > 0)
        count(work, work->onset_ns);
    for (uint32_t k = 0; err == MW_OK && work->best > 0 && k < context->spans.operation_count; k++)
        if (work->tallies[k].g >= MW_SHARE_SURE)
            err = add_finding(work, k);
    if (err == MW_OK)
        context->said = work->found ? mw_sentence(context->arena,
                                                  "%zu operations fail by themselves more often",
                                                  work->found)
                                    : MW_SLICE("no operation fails by itself more often");
    return err;
}

/* Senders that never set a status hide their failures from this. */
static bool has_status(const mw_span_table *table)
{
    for (size_t i = 0; i < table->count; i++)
        if (table->rows[i].status != STATUS_UNSET)
            return true;
    return false;
}

static mw_err collect(mw_context *context)
{
    error_work work = {.context = context};
    if (context->spans.count && !has_status(&context->spans))
        return mw_findings_gap(context->findings, MW_GAP_NO_STATUS,
                               "no span says whether it failed: failures show in log records and "
                               "missing calls alone");
    work.passes_on = mw_calloc(MW_MEM_QUERY, context->spans.count + 1, sizeof *work.passes_on);
    work.tallies =
        mw_arena_zalloc(context->arena, context->spans.operation_count + 1, sizeof *work.tallies);
    mw_err err = work.passes_on && work.tallies ? look(&work) : MW_E_NOMEM;
    mw_free(MW_MEM_QUERY, work.passes_on);
    return err;
}

const mw_provider mw_provider_error_origin = {.name = "error_origin", .collect = collect};
