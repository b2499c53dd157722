/* Provider "error origin": operations whose spans fail more often than before, where the failure
 * begins.
 *
 * A failing span is an origin when none of its children has failed: those above it only pass the
 * failure on. Pure; runs on a pool thread.
 */
#include "triage/evidence/provider_int.h"
#include "triage/evidence/reach.h"

#define STATUS_UNSET 0
#define STATUS_ERROR 2
#define SHOWN 24
#define FEW_SHOWN 10
/* Bytes of a status message in a sentence. */
#define MESSAGE_SHOWN 160

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
            one->g =
                mw_share_change(one->failed_before, one->before, one->failed_after, one->after);
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

/* The newest failure that began there, at or after the onset if there is one. */
static const mw_span_fact *newest_origin(const error_work *work, uint32_t operation)
{
    const mw_span_table *table = &work->context->spans;
    const mw_span_fact *found = NULL;
    for (size_t i = 0; i < table->count; i++) {
        const mw_span_fact *span = &table->rows[i];
        if (span->operation == operation && is_origin(work, i) &&
            (!found || span->start_ns > found->start_ns))
            found = span;
    }
    return found;
}

/* What the span says of its failure; without it, an empty text. */
static mw_slice message_of(mw_context *context, const mw_span_fact *span)
{
    mw_trace trace;
    if (mw_store_trace_outline(context->view, span->trace_id, context->arena, &trace) != MW_OK)
        return MW_SLICE("");
    for (size_t i = 0; i < trace.span_count; i++)
        if (memcmp(trace.spans[i].row.span_id, &span->span, MW_SPAN_ID_SIZE) == 0)
            return mw_shown(context->arena, trace.spans[i].row.status_message, MESSAGE_SHOWN);
    return MW_SLICE("");
}

static const mw_evidence *evidence_of(error_work *work, uint32_t operation)
{
    mw_context *context = work->context;
    const mw_span_fact *span = newest_origin(work, operation);
    char trace_id[2 * MW_TRACE_ID_SIZE + 1], span_id[2 * MW_SPAN_ID_SIZE + 1];
    if (!span)
        return NULL;
    const mw_operation_name *name = &context->spans.operations[operation];
    mw_slice shown = mw_shown(context->arena, name->name, 120);
    mw_slice message = message_of(context, span);
    mw_hex_encode(span->trace_id, MW_TRACE_ID_SIZE, trace_id);
    mw_hex_encode(&span->span, MW_SPAN_ID_SIZE, span_id);
    mw_evidence evidence = {
        .kind = "span",
        .text = mw_sentence(context->arena, "%.*s failed after %.3f ms%s%.*s", MW_SLICE_FMT(shown),
                            (double)span->duration_ns / 1e6, message.len ? ": " : "",
                            MW_SLICE_FMT(message)),
        .service = context->spans.services[name->service],
        .start_ns = span->start_ns,
        .end_ns = span->start_ns + span->duration_ns,
        .trace_id = mw_sentence(context->arena, "%s", trace_id),
        .span_id = mw_sentence(context->arena, "%s", span_id),
        .operation = name->name,
        .query = mw_sentence(context->arena, "midwatch trace show %s", trace_id)};
    return mw_evidence_new(context->arena, &evidence);
}

static mw_err add_finding(error_work *work, uint32_t operation, double strength)
{
    mw_context *context = work->context;
    const tally *one = &work->tallies[operation];
    const mw_operation_name *name = &context->spans.operations[operation];
    mw_slice service = context->spans.services[name->service];
    mw_slice shown = mw_shown(context->arena, name->name, 120);
    mw_slice whose = mw_shown(context->arena, service, 80), sample = mw_sample_words(context);
    mw_finding finding = {
        .kind = MW_FOUND_ERRORS,
        .service = service,
        .other = name->name,
        .before = one->before ? (double)one->failed_before / (double)one->before : 0,
        .after = one->after ? (double)one->failed_after / (double)one->after : 0,
        .strength = strength,
        .weight = (double)one->failed_after,
        .first_ns = work->onset_ns,
        .text = mw_sentence(context->arena,
                            "%.*s of %.*s fails by itself in %zu of %zu cases, %zu of %zu "
                            "before%.*s",
                            MW_SLICE_FMT(shown), MW_SLICE_FMT(whose), one->failed_after, one->after,
                            one->failed_before, one->before, MW_SLICE_FMT(sample))};
    if (!finding.text.data)
        return MW_E_NOMEM;
    if (work->found++ < SHOWN)
        finding.evidence = evidence_of(work, operation);
    return mw_findings_add(context->findings, &finding);
}

/* Surely more often than before. */
static mw_err report_sure(error_work *work)
{
    mw_err err = MW_OK;
    for (uint32_t k = 0; err == MW_OK && work->best > 0 && k < work->context->spans.operation_count;
         k++)
        if (work->tallies[k].g >= work->context->findings->thresholds->share_part)
            err = add_finding(work, k, work->tallies[k].g);
    return err;
}

/* An agent that runs once an hour has no "before": its failures are told all the same, those of the
 * alarm's service first, and never make a cause PROBABLE by themselves. `reach`: of these services
 * alone; NULL = of all. */
static mw_err report_few(error_work *work, const mw_reach *reach)
{
    const mw_context *context = work->context;
    mw_err err = MW_OK;
    size_t shown = 0;
    for (int own = 1; own >= 0; own--)
        for (uint32_t k = 0; err == MW_OK && k < context->spans.operation_count; k++) {
            const tally *one = &work->tallies[k];
            mw_slice service = context->spans.services[context->spans.operations[k].service];
            size_t failed = one->failed_before + one->failed_after;
            if (!failed || shown == FEW_SHOWN || (reach && !mw_reach_has(reach, service)) ||
                mw_slice_equal(service, context->entry) != (bool)own)
                continue;
            shown++;
            err = add_finding(work, k, (double)failed / (double)(one->before + one->after));
        }
    return err;
}

/* What surely fails more often may be nothing that the alarm's service calls: then its own few
 * failures are told as if there were no other. */
static mw_err report_few_of_entry(error_work *work)
{
    const mw_context *context = work->context;
    const mw_findings *findings = context->findings;
    mw_reach reach;
    if (!context->entry.len)
        return MW_OK;
    mw_err err = mw_reach_make(findings, context->begins, context->begin_count, &reach);
    if (err != MW_OK)
        return err;
    for (size_t i = 0; i < findings->count; i++)
        if (findings->items[i].kind == MW_FOUND_ERRORS &&
            mw_reach_has(&reach, findings->items[i].service))
            return MW_OK;
    work->onset_ns = 0; /* the others' */
    count(work, 0);
    return report_few(work, &reach);
}

static mw_err look(error_work *work)
{
    mw_context *context = work->context;
    mark_victims(work);
    find_onset(work);
    if (work->best <= 0)
        work->onset_ns = 0;
    count(work, work->onset_ns);
    mw_err err = report_sure(work);
    size_t surely = work->found;
    bool sure = surely > 0;
    if (err == MW_OK)
        err = sure ? report_few_of_entry(work) : report_few(work, NULL);
    if (err == MW_OK)
        context->said =
            !work->found ? MW_SLICE("no operation fails by itself more often")
            : sure
                ? mw_sentence(context->arena, "operations that fail by themselves more often: %zu",
                              surely)
                : mw_sentence(context->arena,
                              "operations that fail, no more often than before: %zu", work->found);
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
