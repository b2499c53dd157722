/* Provider "recorded deployments": what people and pipelines said they changed before the onset.
 *
 * Pure; runs on a pool thread.
 */
#include "triage/evidence/provider_int.h"

static mw_err add_finding(mw_context *context, const mw_deployment_row *row)
{
    char at[MW_TIME_TEXT_SIZE];
    mw_slice whose = mw_shown(context->arena, row->service, 80);
    mw_slice to = mw_shown(context->arena, row->version, 80);
    mw_slice from = mw_shown(context->arena, row->previous_version, 80);
    mw_time_format((uint64_t)row->time_ns, at);
    mw_finding finding = {
        .kind = MW_FOUND_DEPLOYMENT,
        .service = row->service,
        .other = row->version,
        .strength = 1,
        .first_ns = (uint64_t)row->time_ns,
        .text = from.len
                    ? mw_sentence(context->arena, "%.*s was deployed: %.*s at %.19sZ, after %.*s",
                                  MW_SLICE_FMT(whose), MW_SLICE_FMT(to), at, MW_SLICE_FMT(from))
                    : mw_sentence(context->arena, "%.*s was deployed: %.*s at %.19sZ",
                                  MW_SLICE_FMT(whose), MW_SLICE_FMT(to), at)};
    mw_evidence evidence = {.kind = "deployment",
                            .text = finding.text,
                            .service = row->service,
                            .start_ns = (uint64_t)row->time_ns,
                            .end_ns = (uint64_t)row->time_ns,
                            .deployment_id = row->id,
                            .query = mw_sentence(context->arena, "midwatch deployment show %.*s",
                                                 MW_SLICE_FMT(row->id))};
    if (finding.text.data)
        finding.evidence = mw_evidence_new(context->arena, &evidence);
    return mw_findings_add(context->findings, &finding);
}

static mw_err collect(mw_context *context)
{
    mw_err err = MW_OK;
    if (!context->deployment_count)
        return mw_findings_gap(context->findings, MW_GAP_NO_DEPLOYMENTS,
                               "no deployment was recorded in the window or the hour before: a "
                               "change that nobody told of cannot be named");
    for (size_t i = 0; err == MW_OK && i < context->deployment_count; i++)
        err = add_finding(context, &context->deployments[i]);
    if (err == MW_OK)
        context->said = mw_sentence(context->arena,
                                    "deployments recorded in the window or the hour before: %zu",
                                    context->deployment_count);
    return err;
}

const mw_provider mw_provider_deployments = {.name = "deployments", .collect = collect};
