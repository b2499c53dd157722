/* One investigation, from PENDING_START to its committed end.
 *
 * claim (IN_PROGRESS committed) -> members are read -> telemetry of the window is read into tables
 * -> each provider is asked, its record committed at once -> causes, plan and end status in one
 * transaction. Each step is refused once somebody has canceled the run. A crash on the way leaves
 * IN_PROGRESS, and the next start runs it again from the beginning; the journal shows both. Runs on
 * a pool thread; the memory of a run is one arena beside the tables.
 */
#include "lib/base/counter.h"
#include "lib/base/log.h"
#include "lib/state/incidents.h"
#include "lib/state/plans.h"
#include "triage/conclusion/plan.h"
#include "triage/conclusion/report_int.h"
#include "triage/evidence/entries.h"
#include "triage/evidence/inquiry.h"
#include "triage/triage_int.h"

/* Names of services and operations, templates, findings, JSON: far below. Bounds what stored text
 * can make a run hold. */
#define RUN_MEMORY ((size_t)64 << 20)
/* Deployments that long before the window are still told. */
#define DEPLOYMENTS_BEFORE_NS (INT64_C(3600) * MW_NS_PER_S)
#define DEPLOYMENTS_MAX 100

typedef struct run {
    mw_state_job job;
    mw_triage *triage;
    mw_arena arena;
    mw_investigation_row row;
    mw_alarm_row *alarms;
    size_t alarm_count;
    mw_deployment_row *deployments;
    size_t deployment_count;
    mw_edge_row *edges; /* imported */
    size_t edge_count;
    int64_t deadline_mono_ns;
    mw_context context;
    mw_findings *findings;
    mw_causes causes;
    mw_plan plan;
    bool has_plan, failed, timed_out;
    bool refused; /* state could not commit a step: tried again, no fault of the telemetry */
    mw_journal_row record;
    char record_id[MW_ID_TEXT_SIZE];
} run;

/* ---- the journal ----------------------------------------------------------------------------- */

/* No cost in the queue's budget, as a decision: at most MW_TRIAGE_RUNNERS wait at a time. */
static mw_err commit(run *r, mw_err (*change)(mw_state_job *job, mw_state_tx *tx))
{
    r->job = (mw_state_job){.run = change};
    mw_err err = mw_state_submit_wait(r->triage->state, &r->job);
    r->refused = err != MW_OK && err != MW_E_CONFLICT;
    return err;
}

static mw_err run_record(mw_state_job *job, mw_state_tx *tx)
{
    run *r = (run *)(void *)job;
    return mw_state_journal_step(tx, r->row.id, &r->record);
}

static void fill_record(run *r, mw_slice type, mw_slice text, mw_slice evidence_json)
{
    mw_id_new(r->record_id);
    r->record = (mw_journal_row){.record_id = mw_slice_of(r->record_id),
                                 .time_ns = mw_clock_wall_ns(r->triage->clock),
                                 .type = type,
                                 .text = text,
                                 .evidence_json = evidence_json};
}

/* Committed before the next step begins. MW_E_CONFLICT: the run was canceled. */
static mw_err record(run *r, mw_slice type, mw_slice text, mw_slice evidence_json)
{
    if (!text.data)
        return MW_E_NOMEM;
    fill_record(r, type, text, evidence_json);
    return commit(r, run_record);
}

/* ---- start ----------------------------------------------------------------------------------- */

static mw_err run_claim(mw_state_job *job, mw_state_tx *tx)
{
    run *r = (run *)(void *)job;
    return mw_state_investigation_claim(tx, &r->arena, &r->row);
}

static mw_err claim(run *r)
{
    mw_state *state = r->triage->state;
    r->job = (mw_state_job){.run = run_claim};
    return mw_state_submit_wait(state, &r->job);
}

static int64_t at_of(const run *r)
{
    int64_t at = r->row.window_start_ns + MW_TRIAGE_WINDOW_BEFORE_NS;
    for (size_t i = 0; i < r->alarm_count; i++)
        if (i == 0 || r->alarms[i].started_ns < at)
            at = r->alarms[i].started_ns;
    return at;
}

/* Of all alarms and of the person: any of them may be where a path to the cause begins. */
static mw_err set_begins(run *r)
{
    mw_context *context = &r->context;
    mw_slice *services = mw_arena_zalloc(&r->arena, r->alarm_count + 1, sizeof *services);
    if (!services)
        return MW_E_NOMEM;
    context->begins = services;
    if (context->entry.len)
        services[context->begin_count++] = context->entry;
    for (size_t i = 0; i < r->alarm_count; i++)
        if (r->alarms[i].service.len)
            services[context->begin_count++] = r->alarms[i].service;
    return MW_OK;
}

/* By a person, else of the oldest alarm that names one. */
static mw_slice entry_of(const run *r)
{
    if (r->row.service.len && !r->alarm_count)
        return r->row.service;
    const mw_alarm_row *first = NULL;
    for (size_t i = 0; i < r->alarm_count; i++)
        if (r->alarms[i].service.len && (!first || r->alarms[i].started_ns < first->started_ns))
            first = &r->alarms[i];
    return first ? first->service : r->row.service;
}

static mw_err read_rows(run *r, mw_state_tx *tx, const char *kept)
{
    mw_err err = MW_OK;
    if (!r->row.id.len)
        err = mw_state_investigation_get(tx, mw_slice_of(kept), &r->arena, &r->row);
    if (err == MW_OK)
        err =
            mw_state_alarm_of_investigation(tx, r->row.id, &r->arena, &r->alarms, &r->alarm_count);
    int64_t since = r->row.window_start_ns - DEPLOYMENTS_BEFORE_NS;
    if (err == MW_OK)
        err = mw_state_deployment_between(tx, r->row.space, since > 0 ? since : 0,
                                          r->row.window_end_ns, DEPLOYMENTS_MAX, &r->arena,
                                          &r->deployments, &r->deployment_count);
    return err == MW_OK ? mw_state_edges(tx, &r->arena, &r->edges, &r->edge_count) : err;
}

/* `kept`: IN_PROGRESS from an earlier try of this slot; its row is read again. */
static mw_err read_members(run *r, const char *kept)
{
    mw_state_tx *tx;
    mw_err err = mw_state_read_begin(r->triage->state, &tx);
    if (err != MW_OK)
        return err;
    err = read_rows(r, tx, kept);
    mw_state_read_end(tx);
    return err;
}

static mw_err begin(run *r, mw_store_view *view)
{
    char since[MW_TIME_TEXT_SIZE], until[MW_TIME_TEXT_SIZE];
    mw_context *context = &r->context;
    r->findings = mw_findings_new(&r->arena);
    if (!r->findings)
        return MW_E_NOMEM;
    *context = (mw_context){.arena = &r->arena,
                            .view = view,
                            .entry = entry_of(r),
                            .at_ns = (uint64_t)at_of(r),
                            .since_ns = (uint64_t)r->row.window_start_ns,
                            .until_ns = (uint64_t)r->row.window_end_ns + 1,
                            .imported = r->edges,
                            .imported_count = r->edge_count,
                            .deployments = r->deployments,
                            .deployment_count = r->deployment_count,
                            .findings = r->findings};
    for (size_t i = 0; i < r->alarm_count; i++)
        mw_inquiry_read_title(context, r->alarms[i].title);
    mw_err err = set_begins(r);
    if (err != MW_OK)
        return err;
    mw_time_format(context->since_ns, since);
    mw_time_format(context->until_ns, until);
    mw_slice entry = mw_shown(&r->arena, context->entry, 120);
    if (!entry.len)
        entry = MW_SLICE("an unnamed service");
    return record(r, MW_SLICE("PLANNING"),
                  mw_sentence(&r->arena, "alarms: %zu, the first of %.*s; window %.19sZ to %.19sZ",
                              r->alarm_count, MW_SLICE_FMT(entry), since, until),
                  MW_SLICE("[]"));
}

/* ---- telemetry ------------------------------------------------------------------------------- */

static bool is_over(void *ctx)
{
    const run *r = ctx;
    return mw_clock_mono_ns(r->triage->clock) > r->deadline_mono_ns;
}

static bool is_seen(const mw_context *c, mw_slice service)
{
    for (size_t i = 0; i < c->spans.service_count; i++)
        if (mw_slice_equal(c->spans.services[i], service))
            return true;
    for (size_t i = 0; i < c->points.series_count; i++)
        if (mw_slice_equal(c->points.series[i].service, service))
            return true;
    for (size_t i = 0; i < c->logs.count; i++)
        if (mw_slice_equal(c->logs.kinds[i].service, service))
            return true;
    bool sampled = c->plan.spans.period_ns || c->plan.logs.period_ns || c->plan.points.period_ns;
    return sampled && mw_store_window_names(c->view, &c->plan.spans, ~0u, service);
}

static mw_err note_sample(run *r)
{
    const mw_context *c = &r->context;
    mw_err err = MW_OK;
    if (c->spans.one_in > 1)
        err = mw_findings_gap(r->findings, MW_GAP_SAMPLED,
                              "of %llu spans in the window, those of one trace in %.0f were looked "
                              "at",
                              (unsigned long long)c->plan.span_count.rows, c->spans.one_in);
    if (err == MW_OK && c->points.sampled)
        err = mw_findings_gap(r->findings, MW_GAP_SAMPLED, "one of %u series was looked at",
                              1u << c->points.sampled);
    return err == MW_OK ? mw_read_plan_tell(&c->plan, r->findings) : err;
}

/* By its callers. */
static bool told_silent(const run *r)
{
    for (size_t i = 0; i < r->findings->gap_count; i++)
        if (r->findings->gaps[i].code == MW_GAP_SERVICE_SILENT)
            return true;
    return false;
}

static mw_err note_missing(run *r)
{
    const mw_context *c = &r->context;
    mw_err err = MW_OK;
    if (!c->entry.len)
        err = mw_findings_gap(r->findings, MW_GAP_NO_SERVICE,
                              "no alarm names a service: where the trouble was noticed is not "
                              "known, and no cause is more than half sure");
    if (err == MW_OK && !c->spans.count && !c->points.count && !c->logs.records)
        err = mw_findings_gap(r->findings, MW_GAP_NO_TELEMETRY,
                              "no telemetry of any service lies in the window");
    if (err == MW_OK && !c->spans.count)
        err = mw_findings_gap(r->findings, MW_GAP_NO_SPANS,
                              "no span lies in the window: calls and failures of single requests "
                              "are not known");
    if (err == MW_OK && !c->spans.count && !r->edge_count)
        err = mw_findings_gap(r->findings, MW_GAP_NO_TOPOLOGY,
                              "who calls whom is known neither from spans nor by import");
    if (err == MW_OK && c->entry.len && !told_silent(r) && !is_seen(c, c->entry)) {
        mw_slice entry = mw_shown(&r->arena, c->entry, 120);
        err = mw_findings_gap(r->findings, MW_GAP_SERVICE_SILENT,
                              "nothing of %.*s lies in the window", MW_SLICE_FMT(entry));
    }
    return err == MW_OK ? note_sample(r) : err;
}

static mw_err read_telemetry(run *r)
{
    const mw_context *c = &r->context;
    const mw_store_stop stop = {is_over, r};
    mw_err err = mw_inquiry_read(&r->context, r->triage->store, &stop);
    /* What is damaged is left out; everything else may still say what happened. */
    while ((err == MW_E_CORRUPT || err == MW_E_IO) && mw_store_view_tolerate(c->view))
        err = mw_inquiry_read(&r->context, r->triage->store, &stop);
    if (err == MW_OK)
        err = mw_entries_add_callers(&r->context, r->triage->store, &stop);
    if (err == MW_OK)
        err = note_missing(r);
    if (err != MW_OK)
        return err;
    return record(
        r, MW_SLICE("SEARCHING"),
        mw_sentence(&r->arena,
                    "read %llu spans of %zu services, %llu log records, %zu series of metrics",
                    (unsigned long long)c->spans.seen, c->spans.service_count,
                    (unsigned long long)c->logs.records, c->points.series_count),
        MW_SLICE("[]"));
}

/* ---- evidence -------------------------------------------------------------------------------- */

static mw_err ask(run *r, const mw_provider *provider)
{
    size_t before = r->findings->count, gaps = r->findings->gap_count;
    mw_slice evidence;
    mw_err err = mw_inquiry_ask(&r->context, provider);
    if (err == MW_OK)
        err = mw_report_evidence(r->findings, before, &evidence);
    if (err != MW_OK)
        return err;
    mw_slice text = r->context.said;
    if (!text.len && r->findings->gap_count > gaps)
        text = r->findings->gaps[gaps].text;
    if (!text.len)
        return MW_OK;
    return record(r, r->findings->count > before ? MW_SLICE("FINDING") : MW_SLICE("ANALYSIS"),
                  mw_sentence(&r->arena, "%s: %.*s", provider->name, MW_SLICE_FMT(text)), evidence);
}

/* MW_OK also for what costs the run its whole answer, but not its end: FAILED or TIMED_OUT, with
 * what was found and a gap that says so. MW_E_CONFLICT: canceled. */
static mw_err note_failure(run *r, const char *what, mw_err err)
{
    if (err == MW_OK || err == MW_E_CONFLICT || r->refused)
        return err;
    if (err == MW_E_TIMEOUT) {
        r->timed_out = true;
        return mw_findings_gap(r->findings, MW_GAP_TIME_LIMIT, "the run reached its time limit");
    }
    MW_LOG(MW_LOG_ERROR, "triage", "evidence could not be collected",
           MW_KV("investigation_id", r->row.id), MW_KV_STR("provider", what), MW_KV_ERR(err));
    r->failed = true;
    return mw_findings_gap(r->findings, MW_GAP_PROVIDER_FAILED, "telemetry could not be read");
}

static mw_err ask_all(run *r)
{
    mw_err err = note_failure(r, "telemetry", read_telemetry(r));
    for (size_t i = 0; err == MW_OK && i < mw_provider_count && !r->failed && !r->timed_out; i++) {
        bool late = is_over(r);
        err = note_failure(r, mw_providers[i]->name, late ? MW_E_TIMEOUT : ask(r, mw_providers[i]));
    }
    if (err == MW_OK && mw_store_view_left_out(r->context.view) > 0)
        err = mw_findings_gap(r->findings, MW_GAP_TELEMETRY_DAMAGED,
                              "stored telemetry is damaged and was left out: run `midwatch check`");
    return err;
}

/* ---- end ------------------------------------------------------------------------------------- */

static mw_slice end_status(const run *r)
{
    if (r->failed)
        return MW_SLICE("FAILED");
    return r->timed_out ? MW_SLICE("TIMED_OUT") : MW_SLICE("COMPLETED");
}

/* Of a recorded deployment the version before is known, if one was. */
static mw_slice previous_of(const run *r, const mw_finding *change)
{
    for (size_t i = 0; i < r->deployment_count; i++)
        if (mw_slice_equal(r->deployments[i].service, change->service) &&
            mw_slice_equal(r->deployments[i].version, change->other))
            return r->deployments[i].previous_version;
    return MW_SLICE("");
}

static mw_err make_plan(run *r)
{
    const mw_ranked_cause *first = &r->causes.items[0];
    if (!r->causes.probable)
        return MW_OK;
    mw_plan_input input = {.kind = first->kind,
                           .service = first->service,
                           .entry = r->causes.entry_leads ? r->context.entry : MW_SLICE_NONE,
                           .investigation_id = r->row.id};
    if (first->change) {
        input.version = first->change->other;
        input.previous = previous_of(r, first->change);
    }
    mw_slice service = mw_shown(&r->arena, first->service, 120);
    input.evidence =
        mw_sentence(&r->arena, "%.*s: %s", MW_SLICE_FMT(service), mw_fault_kind_words(first->kind));
    mw_err err = mw_plan_make(&input, &r->arena, &r->plan);
    r->has_plan = err == MW_OK;
    return err;
}

static mw_err conclude(run *r)
{
    const mw_context *c = &r->context;
    const mw_alarmed alarmed = {c->entry, c->begins, c->begin_count};
    mw_err err = mw_causes_of_alarm(r->findings, &alarmed, &r->causes);
    if (err == MW_OK)
        err = mw_causes_tell_untied(r->findings, c->entry, &r->causes);
    if (err == MW_OK && !r->causes.count && !r->failed && !r->timed_out)
        err = mw_findings_gap(r->findings, MW_GAP_NO_CHANGE,
                              "nothing that was looked at differs enough from before");
    if (err == MW_OK)
        err = make_plan(r);
    if (err != MW_OK)
        return err;
    mw_slice summary = mw_report_summary(r->findings, &r->causes, r->context.entry);
    err = mw_report_root_cause(r->findings, &r->causes, summary, &r->row.root_cause_json);
    if (!summary.data)
        return MW_E_NOMEM;
    fill_record(r, MW_SLICE("SUMMARY"), summary, MW_SLICE("[]"));
    r->row.status = end_status(r);
    return err;
}

static mw_err run_finish(mw_state_job *job, mw_state_tx *tx)
{
    run *r = (run *)(void *)job;
    mw_err err = mw_state_journal_step(tx, r->row.id, &r->record);
    if (err == MW_OK)
        err = mw_state_investigation_finish(tx, &r->row);
    if (err == MW_OK && r->has_plan)
        err = mw_state_plan_put(tx, r->row.id, mw_slice_of(r->plan.hash), r->plan.phases_json,
                                mw_clock_wall_ns(r->triage->clock));
    else if (err == MW_OK)
        err = mw_state_plan_supersede(tx, r->row.id);
    return err;
}

static mw_err finish(run *r)
{
    mw_err err = conclude(r);
    if (err != MW_OK)
        return err;
    err = commit(r, run_finish);
    if (err != MW_OK)
        return err;
    bool completed = !r->failed && !r->timed_out;
    mw_count(completed ? MW_COUNT_INVESTIGATIONS_COMPLETED : MW_COUNT_INVESTIGATIONS_FAILED, 1);
    MW_LOG(MW_LOG_INFO, "triage", "investigation ended", MW_KV("investigation_id", r->row.id),
           MW_KV("status", r->row.status));
    return MW_OK;
}

static mw_err investigate_with(run *r, mw_store_view *view)
{
    mw_store_view_stop(view, is_over, r);
    mw_err err = begin(r, view);
    if (err == MW_OK)
        err = ask_all(r);
    if (err == MW_OK)
        err = finish(r);
    mw_inquiry_fini(&r->context);
    return err;
}

/* A run that cannot be made ends FAILED, and says so. */
static mw_err give_up(run *r)
{
    r->failed = true;
    r->findings = mw_findings_new(&r->arena);
    if (!r->findings)
        return MW_E_NOMEM;
    mw_err err = mw_findings_gap(r->findings, MW_GAP_PROVIDER_FAILED,
                                 "the investigation's own records cannot be read");
    return err == MW_OK ? finish(r) : err;
}

static mw_err investigate(run *r, mw_runner *runner)
{
    mw_store_view *view;
    mw_err err = read_members(r, runner->kept);
    if (err == MW_OK)
        err = mw_store_view_open(r->triage->store, &view);
    if (err == MW_OK) {
        err = investigate_with(r, view);
        mw_store_view_close(view);
    }
    bool passes = err == MW_OK || err == MW_E_CONFLICT || r->refused;
    if (passes || ++runner->tries < MW_TRIAGE_TRIES || !r->row.id.len)
        return err;
    return give_up(r);
}

/* Between claim and finish NOT_FOUND is damage, not the end of the queue. A canceled run has ended
 * for somebody else. */
static mw_err run_one(run *r, mw_runner *runner)
{
    if (!runner->kept[0]) {
        mw_err err = claim(r);
        if (err != MW_OK)
            return err;
        runner->tries = 0;
        if (!mw_slice_to_cstr(r->row.id, runner->kept, sizeof runner->kept))
            return MW_E_CORRUPT;
    }
    mw_err err = investigate(r, runner);
    if (err == MW_OK || err == MW_E_CONFLICT)
        runner->kept[0] = '\0';
    if (err == MW_E_CONFLICT)
        return MW_OK;
    return err == MW_E_NOT_FOUND ? MW_E_CORRUPT : err;
}

mw_err mw_investigation_run_next(mw_runner *runner)
{
    mw_triage *triage = runner->triage;
    run *r = mw_calloc(MW_MEM_QUERY, 1, sizeof *r);
    if (!r)
        return MW_E_NOMEM;
    r->triage = triage;
    r->deadline_mono_ns = mw_clock_mono_ns(triage->clock) + MW_TRIAGE_RUN_LIMIT_NS;
    mw_arena_init(&r->arena, MW_MEM_QUERY, RUN_MEMORY);
    mw_err err = run_one(r, runner);
    mw_arena_reset(&r->arena);
    mw_free(MW_MEM_QUERY, r);
    return err;
}

void mw_investigation_window(int64_t at_ns, int64_t *start_ns, int64_t *end_ns)
{
    *start_ns = at_ns > MW_TRIAGE_WINDOW_BEFORE_NS ? at_ns - MW_TRIAGE_WINDOW_BEFORE_NS : 0;
    *end_ns = at_ns < INT64_MAX - MW_TRIAGE_WINDOW_AFTER_NS ? at_ns + MW_TRIAGE_WINDOW_AFTER_NS
                                                            : INT64_MAX - 1;
}
