/* Provider "log templates": services that log more errors a request than before, and kinds of
 * messages that are new.
 *
 * Counted by request, since twice the traffic logs twice the errors. Which message it is comes from
 * templates that are mined from the window itself. Pure; runs on a pool thread.
 */
#include "triage/evidence/provider_int.h"

#define SHOWN 24

typedef struct share {
    size_t errors_before, requests_before, errors_after, requests_after;
    double g;
} share;

typedef struct log_work {
    mw_context *context;
    uint32_t *service_of_kind; /* in the span table's numbers; NONE = has no spans */
    uint64_t onset_ns;
    double best;
    size_t found;
} log_work;
#define NONE UINT32_MAX

static bool is_request(const mw_span_table *table, const mw_span_fact *span)
{
    return span->parent_at == MW_NO_ROW || table->rows[span->parent_at].service != span->service;
}

static uint32_t find_service(const mw_span_table *table, mw_slice name)
{
    for (uint32_t i = 0; i < table->service_count; i++)
        if (mw_slice_equal(table->services[i], name))
            return i;
    return NONE;
}

/* All services at one moment. */
static void count_shares(const log_work *work, uint64_t at_ns, share *shares)
{
    const mw_span_table *spans = &work->context->spans;
    const mw_log_table *logs = &work->context->logs;
    memset(shares, 0, spans->service_count * sizeof *shares);
    for (size_t i = 0; i < spans->count; i++) {
        const mw_span_fact *span = &spans->rows[i];
        if (!is_request(spans, span))
            continue;
        if (span->start_ns < at_ns)
            shares[span->service].requests_before++;
        else
            shares[span->service].requests_after++;
    }
    for (size_t i = 0; i < logs->error_count; i++) {
        uint32_t service = work->service_of_kind[logs->errors[i].kind];
        if (service == NONE)
            continue;
        if (logs->errors[i].at_ns < at_ns)
            shares[service].errors_before++;
        else
            shares[service].errors_after++;
    }
}

/* A request may log several errors: then each counts as a request of its own. Of requests and of
 * records not as large a share may have been looked at. */
static void judge(const log_work *work, share *one)
{
    double scale = work->context->spans.one_in / work->context->logs.one_in;
    one->requests_before = (size_t)((double)one->requests_before * scale + 0.5);
    one->requests_after = (size_t)((double)one->requests_after * scale + 0.5);
    if (one->requests_before < one->errors_before)
        one->requests_before = one->errors_before;
    if (one->requests_after < one->errors_after)
        one->requests_after = one->errors_after;
    one->g = 0;
    if (one->requests_before >= MW_AFTER_MIN && one->requests_after >= MW_AFTER_MIN)
        one->g = mw_share_change(one->errors_before, one->requests_before, one->errors_after,
                                 one->requests_after);
}

static void find_onset(log_work *work, share *shares)
{
    mw_moment moments[MW_MOMENTS_MAX];
    size_t count = mw_moments(work->context, moments);
    for (size_t m = 0; m < count; m++) {
        count_shares(work, moments[m].at_ns, shares);
        for (size_t s = 0; s < work->context->spans.service_count; s++) {
            judge(work, &shares[s]);
            if (shares[s].g * moments[m].trust <= work->best)
                continue;
            work->best = shares[s].g * moments[m].trust;
            work->onset_ns = moments[m].at_ns;
        }
    }
}

/* The message that grew most. */
static const mw_log_kind *loudest(const log_work *work, uint32_t service)
{
    const mw_log_table *logs = &work->context->logs;
    const mw_log_kind *found = NULL;
    double most = 0;
    for (size_t i = 0; i < logs->count; i++) {
        const mw_log_kind *kind = &logs->kinds[i];
        if (work->service_of_kind[i] != service || kind->severity != MW_SEVERITY_ERROR)
            continue;
        uint64_t after = mw_log_kind_count(logs, kind, work->onset_ns, UINT64_MAX);
        uint64_t before = mw_log_kind_count(logs, kind, 0, work->onset_ns);
        double grew = (double)after - (double)before / 2 + 1;
        if (!found || grew > most) {
            found = kind;
            most = grew;
        }
    }
    return found;
}

static const mw_evidence *evidence_of(log_work *work, const mw_log_kind *kind, mw_slice text)
{
    mw_context *context = work->context;
    char since[MW_TIME_TEXT_SIZE];
    mw_slice word = mw_shell_quoted(context->arena, kind->service);
    mw_time_format(work->onset_ns, since);
    mw_evidence evidence = {.kind = "log",
                            .text = text,
                            .service = kind->service,
                            .start_ns = work->onset_ns,
                            .end_ns = context->until_ns,
                            .query = mw_sentence(context->arena,
                                                 "midwatch log list --service %.*s --severity "
                                                 "ERROR --since %s",
                                                 MW_SLICE_FMT(word), since)};
    return mw_evidence_new(context->arena, &evidence);
}

static mw_err add_finding(log_work *work, uint32_t service, const share *one)
{
    mw_context *context = work->context;
    mw_slice name = context->spans.services[service];
    const mw_log_kind *kind = loudest(work, service);
    if (!kind)
        return MW_OK;
    mw_slice whose = mw_shown(context->arena, name, 80);
    mw_slice shown = mw_shown(context->arena, kind->text, MW_TEMPLATE_MAX);
    mw_slice sample = mw_sample_words(context);
    bool is_new = kind->first_ns >= work->onset_ns;
    mw_finding finding = {
        .kind = MW_FOUND_LOGS,
        .service = name,
        .other = kind->text,
        .before = (double)one->errors_before / (double)one->requests_before,
        .after = (double)one->errors_after / (double)one->requests_after,
        .strength = one->g,
        .weight = (double)one->errors_after,
        .first_ns = work->onset_ns,
        .text =
            mw_sentence(context->arena,
                        "%.*s logs errors in %zu of %zu requests, %zu of %zu before%.*s; %s: %.*s",
                        MW_SLICE_FMT(whose), one->errors_after, one->requests_after,
                        one->errors_before, one->requests_before, MW_SLICE_FMT(sample),
                        is_new ? "new is" : "mostly", MW_SLICE_FMT(shown))};
    if (!finding.text.data)
        return MW_E_NOMEM;
    if (work->found++ < SHOWN)
        finding.evidence = evidence_of(work, kind, finding.text);
    return mw_findings_add(context->findings, &finding);
}

static mw_err look(log_work *work, share *shares)
{
    mw_context *context = work->context;
    mw_err err = MW_OK;
    for (size_t i = 0; i < context->logs.count; i++)
        work->service_of_kind[i] = find_service(&context->spans, context->logs.kinds[i].service);
    find_onset(work, shares);
    if (work->best > 0)
        count_shares(work, work->onset_ns, shares);
    for (uint32_t s = 0; err == MW_OK && work->best > 0 && s < context->spans.service_count; s++) {
        judge(work, &shares[s]);
        if (shares[s].g >= context->findings->thresholds->share_part)
            err = add_finding(work, s, &shares[s]);
    }
    if (err == MW_OK)
        context->said =
            work->found ? mw_sentence(context->arena,
                                      "services that log more errors a request: %zu", work->found)
                        : MW_SLICE("no service logs more errors a request");
    return err;
}

static mw_err collect(mw_context *context)
{
    log_work work = {.context = context};
    if (!context->logs.records)
        return mw_findings_gap(context->findings, MW_GAP_NO_LOGS,
                               "no log record lies in the window");
    work.service_of_kind =
        mw_arena_alloc(context->arena, (context->logs.count + 1) * sizeof *work.service_of_kind);
    share *shares =
        mw_arena_zalloc(context->arena, context->spans.service_count + 1, sizeof *shares);
    return work.service_of_kind && shares ? look(&work, shares) : MW_E_NOMEM;
}

const mw_provider mw_provider_log_templates = {.name = "log_templates", .collect = collect};
