/* One investigation, from PENDING_START to its committed end.
 *
 * claim (IN_PROGRESS committed) -> members and telemetry are read -> each provider is asked ->
 * journal, root cause and end status in one transaction: a crash on the way leaves IN_PROGRESS
 * without a journal, and the next start runs it again from the beginning. Runs on a pool thread;
 * the memory of a run is one arena.
 */
#include <stdarg.h>

#include "lib/base/counter.h"
#include "lib/base/log.h"
#include "triage/report_int.h"
#include "triage/triage_int.h"

/* Members, 200 rows of hot columns a question, JSON: far below. Bounds what stored text can make
 * a run hold. */
#define RUN_MEMORY ((size_t)32 << 20)
#define GAP_TEXT_MAX 512

/* In the order of the journal. */
static const mw_provider *const providers[] = {&mw_provider_error_spans};
#define PROVIDERS (sizeof providers / sizeof providers[0])
/* Those of the providers, and two of the run itself. */
#define RUN_GAPS_MAX (PROVIDERS * MW_GAPS_MAX + 2)

typedef struct run {
    mw_state_job job;
    mw_triage *triage;
    mw_arena arena;
    mw_investigation_row row;
    mw_alarm_row *alarms;
    size_t alarm_count;
    int64_t deadline_mono_ns;

    mw_journal_row records[PROVIDERS];
    char record_ids[PROVIDERS][MW_ID_TEXT_SIZE];
    size_t record_count;
    mw_gap gaps[RUN_GAPS_MAX];
    size_t gap_count;
    bool failed, timed_out;
} run;

mw_err mw_findings_gap(mw_findings *findings, mw_gap_code code, const char *format, ...)
{
    char text[GAP_TEXT_MAX];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    MW_ASSERT(findings->gap_count < MW_GAPS_MAX);
    mw_slice copy = mw_arena_copy(findings->arena, mw_slice_of(text));
    if (!copy.data)
        return MW_E_NOMEM;
    findings->gaps[findings->gap_count++] = (mw_gap){code, copy};
    return MW_OK;
}

static void add_gap(run *r, mw_gap_code code, mw_slice text)
{
    MW_ASSERT(r->gap_count < RUN_GAPS_MAX);
    r->gaps[r->gap_count++] = (mw_gap){code, text};
}

/* ---- start --------------------------------------------------------------------------------- */

static mw_err run_claim(mw_state_job *job, mw_state_tx *tx)
{
    run *r = (run *)(void *)job;
    return mw_state_investigation_claim(tx, &r->arena, &r->row);
}

static mw_err claim(run *r)
{
    mw_state *state = r->triage->state;
    /* No cost in the queue's budget, as a decision: at most MW_TRIAGE_RUNNERS wait at a time. */
    r->job = (mw_state_job){.run = run_claim};
    return mw_state_submit_wait(state, &r->job);
}

/* `kept`: IN_PROGRESS from an earlier try of this slot; its row is read again. */
static mw_err read_members(run *r, const char *kept)
{
    mw_state_tx *tx;
    mw_err err = mw_state_read_begin(r->triage->state, &tx);
    if (err != MW_OK)
        return err;
    if (!r->row.id.len)
        err = mw_state_investigation_get(tx, mw_slice_of(kept), &r->arena, &r->row);
    if (err == MW_OK)
        err =
            mw_state_alarm_of_investigation(tx, r->row.id, &r->arena, &r->alarms, &r->alarm_count);
    mw_state_read_end(tx);
    return err;
}

/* ---- evidence ------------------------------------------------------------------------------ */

static mw_err add_record(run *r, const mw_findings *findings)
{
    mw_journal_row *record = &r->records[r->record_count];
    mw_slice text = findings->text;
    if (!text.len && findings->gap_count)
        text = findings->gaps[0].text;
    if (!text.len)
        return MW_OK;
    mw_err err = mw_report_evidence(findings, &record->evidence_json);
    if (err != MW_OK)
        return err;
    mw_id_new(r->record_ids[r->record_count]);
    record->record_id = mw_slice_of(r->record_ids[r->record_count]);
    record->time_ns = mw_clock_wall_ns(r->triage->clock);
    record->type = findings->evidence_count ? MW_SLICE("FINDING") : MW_SLICE("ANALYSIS");
    record->text = text;
    r->record_count++;
    return MW_OK;
}

static mw_err ask(run *r, mw_store_view *view, const mw_provider *provider)
{
    mw_question question = {.investigation = &r->row,
                            .alarms = r->alarms,
                            .alarm_count = r->alarm_count,
                            .clock = r->triage->clock,
                            .deadline_mono_ns = r->deadline_mono_ns};
    mw_findings *findings = mw_arena_zalloc(&r->arena, 1, sizeof *findings);
    if (!findings)
        return MW_E_NOMEM;
    findings->arena = &r->arena;
    mw_err err = provider->collect(view, &question, findings);
    /* What is damaged is left out; everything else may still say what happened. */
    while ((err == MW_E_CORRUPT || err == MW_E_IO) && mw_store_view_tolerate(view)) {
        memset(findings, 0, sizeof *findings);
        findings->arena = &r->arena;
        err = provider->collect(view, &question, findings);
    }
    if (err == MW_OK)
        err = add_record(r, findings);
    for (size_t i = 0; err == MW_OK && i < findings->gap_count; i++)
        add_gap(r, findings->gaps[i].code, findings->gaps[i].text);
    return err;
}

/* A provider that fails costs the run its answer, but the run still ends: with what the others
 * said, FAILED, and a gap. */
static void ask_all(run *r, mw_store_view *view)
{
    for (size_t i = 0; i < PROVIDERS; i++) {
        if (mw_clock_mono_ns(r->triage->clock) > r->deadline_mono_ns) {
            r->timed_out = true;
            break;
        }
        mw_err err = ask(r, view, providers[i]);
        if (err == MW_OK)
            continue;
        MW_LOG(MW_LOG_ERROR, "triage", "evidence could not be collected",
               MW_KV("investigation_id", r->row.id), MW_KV_STR("provider", providers[i]->name),
               MW_KV_ERR(err));
        r->failed = true;
    }
    if (mw_store_view_left_out(view) > 0)
        add_gap(r, MW_GAP_TELEMETRY_DAMAGED,
                MW_SLICE("stored telemetry is damaged and was left out: run `midwatch check`"));
    if (r->failed)
        add_gap(r, MW_GAP_PROVIDER_FAILED, MW_SLICE("telemetry could not be read"));
    else if (r->timed_out)
        add_gap(r, MW_GAP_TIME_LIMIT, MW_SLICE("the run reached its time limit"));
    add_gap(r, MW_GAP_RANKING_UNAVAILABLE,
            MW_SLICE("this version reads error spans only and does not rank causes"));
}

/* ---- end ----------------------------------------------------------------------------------- */

static mw_slice end_status(const run *r)
{
    if (r->failed)
        return MW_SLICE("FAILED");
    return r->timed_out ? MW_SLICE("TIMED_OUT") : MW_SLICE("COMPLETED");
}

static mw_err conclude(run *r)
{
    mw_slice found = MW_SLICE("nothing was found");
    if (r->failed)
        found = MW_SLICE("the investigation could not be completed");
    else if (r->record_count)
        found = r->records[0].text;
    char *summary = mw_arena_printf(&r->arena, "No cause is named: %.*s.", MW_SLICE_FMT(found));
    if (!summary)
        return MW_E_NOMEM;
    r->row.status = end_status(r);
    return mw_report_root_cause(&r->arena, mw_slice_of(summary), r->gaps, r->gap_count,
                                &r->row.root_cause_json);
}

static mw_err run_finish(mw_state_job *job, mw_state_tx *tx)
{
    run *r = (run *)(void *)job;
    mw_err err = MW_OK;
    for (size_t i = 0; err == MW_OK && i < r->record_count; i++)
        err = mw_state_journal_insert(tx, r->row.id, &r->records[i]);
    return err == MW_OK ? mw_state_investigation_update(tx, &r->row) : err;
}

static mw_err finish(run *r)
{
    mw_state *state = r->triage->state;
    mw_err err = conclude(r);
    if (err != MW_OK)
        return err;
    r->job = (mw_state_job){.run = run_finish};
    err = mw_state_submit_wait(state, &r->job);
    if (err != MW_OK)
        return err;
    bool completed = !r->failed && !r->timed_out;
    mw_count(completed ? MW_COUNT_INVESTIGATIONS_COMPLETED : MW_COUNT_INVESTIGATIONS_FAILED, 1);
    MW_LOG(MW_LOG_INFO, "triage", "investigation ended", MW_KV("investigation_id", r->row.id),
           MW_KV("status", r->row.status));
    return MW_OK;
}

/* Members and a view of the telemetry, or what is wrong. */
static mw_err prepare(run *r, const char *kept, mw_store_view **view)
{
    mw_err err = read_members(r, kept);
    return err == MW_OK ? mw_store_view_open(r->triage->store, view) : err;
}

static mw_err investigate(run *r, mw_runner *runner)
{
    mw_store_view *view;
    mw_err err = prepare(r, runner->kept, &view);
    if (err == MW_OK) {
        ask_all(r, view);
        mw_store_view_close(view);
        return finish(r);
    }
    if (++runner->tries < MW_TRIAGE_TRIES || !r->row.id.len)
        return err;
    r->failed = true;
    add_gap(r, MW_GAP_PROVIDER_FAILED, MW_SLICE("the investigation's own records cannot be read"));
    return finish(r);
}

/* Between claim and finish NOT_FOUND is damage, not the end of the queue. */
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
    if (err == MW_OK)
        runner->kept[0] = '\0';
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
