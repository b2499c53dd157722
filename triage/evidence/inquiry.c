/* What an investigation asks. See inquiry.h. */
#include "triage/evidence/inquiry.h"

#include "triage/evidence/suspects.h"

const mw_provider *const mw_providers[] = {&mw_provider_call_edges,     &mw_provider_red_change,
                                           &mw_provider_missing_calls,  &mw_provider_error_origin,
                                           &mw_provider_log_templates,  &mw_provider_metric_changes,
                                           &mw_provider_version_change, &mw_provider_deployments};
const size_t mw_provider_count = sizeof mw_providers / sizeof mw_providers[0];

static bool says(mw_slice title, const char *const *words, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (mw_slice_contains(title, mw_slice_of(words[i])))
            return true;
    return false;
}

void mw_inquiry_read_title(mw_context *context, mw_slice title)
{
    static const char *const latency[] = {"latency", "Latency", "slow", "duration", "p99", "p95"};
    static const char *const errors[] = {"availability", "Availability", "error", "Error",
                                         "success",      "fail",         "5xx"};
    context->says_latency |= says(title, latency, sizeof latency / sizeof latency[0]);
    context->says_errors |= says(title, errors, sizeof errors / sizeof errors[0]);
}

mw_err mw_inquiry_read(mw_context *context, mw_store *store, const mw_store_stop *stop)
{
    mw_suspects suspects = {.count = 0};
    mw_err err = MW_OK;
    mw_inquiry_fini(context);
    if (mw_read_plan_is_large(context->view, context->since_ns, context->until_ns))
        err = mw_suspects_find(context, store, stop, &suspects);
    if (err != MW_OK)
        return err;
    context->plan =
        mw_read_plan_make(context->view, context->since_ns, context->until_ns, &suspects);
    err = mw_span_table_read(context->view, &context->plan.spans, context->arena, &context->spans);
    if (err == MW_OK)
        err = mw_point_table_read(context->view, &context->plan.points, context->arena,
                                  &context->points);
    if (err == MW_OK)
        err = mw_log_table_read(context->view, &context->plan.logs, context->arena, &context->logs);
    return err;
}

void mw_inquiry_fini(mw_context *context)
{
    mw_span_table_fini(&context->spans);
    mw_point_table_fini(&context->points);
}

/* Where no edge told the onset, the surest failure does. */
static void set_onset(mw_context *context)
{
    const mw_findings *findings = context->findings;
    const mw_finding *surest = NULL;
    for (size_t i = 0; i < findings->count; i++)
        if (findings->items[i].strength > (surest ? surest->strength : 0))
            surest = &findings->items[i];
    if (surest && !context->onset_ns)
        context->onset_ns = surest->first_ns;
}

/* Calls that somebody knows of and telemetry need not show: they come behind those that it does,
 * and are not measured. */
static void add_imported(mw_context *context)
{
    mw_findings *f = context->findings;
    for (size_t i = 0; i < context->imported_count && f->call_count < MW_CALLS_MAX; i++)
        f->calls[f->call_count++] =
            (mw_call){context->imported[i].caller, context->imported[i].callee, 0, false};
}

mw_err mw_inquiry_ask(mw_context *context, const mw_provider *provider)
{
    size_t before = context->findings->count;
    context->said = MW_SLICE_NONE;
    if (provider == &mw_provider_metric_changes) {
        set_onset(context);
        add_imported(context);
    }
    mw_err err = provider->collect(context);
    while ((err == MW_E_CORRUPT || err == MW_E_IO) && mw_store_view_tolerate(context->view)) {
        context->findings->count = before;
        err = provider->collect(context);
    }
    return err;
}
