/* One decision: read what is known, decide, commit. Called by the decision loop (triage.c) on one
 * pool thread at a time, so that what was read still holds when it is committed: only decisions
 * change what the next decision reads, and events count up to the alarm's own position.
 *
 * The memory of one decision is one arena, freed at the end. The commit runs on the state
 * writer's thread while this one waits.
 */
#include "lib/base/counter.h"
#include "lib/base/json_writer.h"
#include "lib/base/log.h"
#include "triage/decision.h"
#include "triage/triage_int.h"

/* An alarm without its body is a few KiB; at worst 256 KiB of resource names, each byte escaped to
 * six. A bound that an alarm could exceed would stop all decisions behind it. */
#define DECISION_MEMORY ((size_t)8 << 20)
/* Inputs as JSON: an incident id of 256 characters, escaped, and fixed fields. */
#define DETAIL_MAX ((size_t)64 << 10)

typedef struct decision_job {
    mw_state_job job;
    const mw_clock *clock;
    mw_alarm_row alarm;
    mw_incident_facts facts;
    mw_decision_input input;
    mw_decision decision;
    uint64_t as_of;
    int64_t begun_mono_ns;
    mw_slice detail_json;
    char investigation_id[MW_ID_TEXT_SIZE]; /* of a new one */
} decision_job;

/* ---- reading ------------------------------------------------------------------------------- */

static mw_err read_alarm(mw_triage *triage, mw_arena *arena, decision_job *job)
{
    mw_state_tx *tx;
    mw_err err = mw_state_read_begin(triage->state, &tx);
    if (err != MW_OK)
        return err;
    err = mw_state_alarm_undecided(tx, arena, &job->alarm);
    if (err == MW_OK)
        err = mw_state_incident_facts(tx, job->alarm.webhook_id, job->alarm.incident_id,
                                      job->alarm.seq, arena, &job->facts);
    mw_state_read_end(tx);
    return err;
}

static mw_err read_as_of(mw_triage *triage, uint64_t *as_of)
{
    mw_store_view *view;
    mw_err err = mw_store_view_open(triage->store, &view);
    if (err != MW_OK)
        return err;
    *as_of = mw_store_view_seq(view);
    mw_store_view_close(view);
    return MW_OK;
}

/* Everything mw_decide reads, so that a replay from here is exact. */
static mw_err write_detail(mw_arena *arena, decision_job *job)
{
    mw_buffer buffer;
    mw_json json;
    const mw_decision_input *input = &job->input;
    mw_buffer_init(&buffer, MW_MEM_STATE, DETAIL_MAX);
    mw_json_init(&json, &buffer);
    mw_json_object_begin(&json);
    mw_json_key(&json, MW_SLICE("parts"));
    mw_json_object_begin(&json);
    mw_json_object_end(&json);
    mw_json_key(&json, MW_SLICE("candidates"));
    mw_json_array_begin(&json);
    mw_json_array_end(&json);
    mw_json_key(&json, MW_SLICE("inputs"));
    mw_json_object_begin(&json);
    mw_json_kv(&json, "action", input->action);
    mw_json_kv(&json, "incident_id", input->incident_id);
    mw_json_kv_bool(&json, "incident_known", input->incident_known);
    mw_json_kv_bool(&json, "incident_unresolved", input->incident_unresolved);
    mw_json_kv_or_null(&json, "known_alarm_id", job->facts.newest_alarm_id);
    mw_json_kv_or_null(&json, "known_investigation_id", input->known_investigation_id);
    mw_json_object_end(&json);
    mw_json_object_end(&json);
    mw_err err = buffer.err;
    if (err == MW_OK) {
        job->detail_json = mw_arena_copy(arena, mw_buffer_slice(&buffer));
        err = job->detail_json.data ? MW_OK : MW_E_NOMEM;
    }
    mw_buffer_fini(&buffer);
    return err;
}

/* ---- the commit ---------------------------------------------------------------------------- */

static mw_err insert_investigation(const decision_job *job, mw_state_tx *tx)
{
    const mw_alarm_row *alarm = &job->alarm;
    int64_t start = alarm->started_ns;
    int64_t end = start;
    start = start > MW_TRIAGE_WINDOW_BEFORE_NS ? start - MW_TRIAGE_WINDOW_BEFORE_NS : 0;
    end = end < INT64_MAX - MW_TRIAGE_WINDOW_AFTER_NS ? end + MW_TRIAGE_WINDOW_AFTER_NS
                                                      : INT64_MAX - 1;
    mw_investigation_row row = {.id = mw_slice_of(job->investigation_id),
                                .space = alarm->space,
                                .title = alarm->title,
                                .status = MW_SLICE("PENDING_START"),
                                .incident_state = MW_SLICE("open"),
                                .priority = alarm->priority,
                                .created_ns = mw_clock_wall_ns(job->clock),
                                .window_start_ns = start,
                                .window_end_ns = end};
    return mw_state_investigation_insert(tx, &row);
}

static mw_err insert_decision(const decision_job *job, mw_state_tx *tx)
{
    const mw_decision *decision = &job->decision;
    int64_t took_ns = mw_clock_mono_ns(job->clock) - job->begun_mono_ns;
    mw_decision_row row = {.alarm_id = job->alarm.id,
                           .verdict = mw_slice_of(mw_verdict_name(decision->verdict)),
                           .reason_code = mw_slice_of(mw_reason_code_name(decision->reason_code)),
                           .reason = mw_slice_of(decision->reason),
                           .investigation_id = decision->investigation_id,
                           .detail_json = job->detail_json,
                           .as_of = job->as_of,
                           .decided_ns = mw_clock_wall_ns(job->clock),
                           .decided_in_us = took_ns / 1000};
    return mw_state_decision_insert(tx, &row);
}

/* Between its commit and its decision an alarm takes the events of its incident. When it turns
 * out to be a repeat they belong to the alarm that it repeats. */
static mw_err hand_over_events(const decision_job *job, mw_state_tx *tx)
{
    if (job->decision.verdict != MW_VERDICT_SKIPPED || !job->facts.known)
        return MW_OK;
    return mw_state_alarm_events_move(tx, job->alarm.id, job->facts.newest_alarm_id);
}

static mw_err run_decision(mw_state_job *state_job, mw_state_tx *tx)
{
    decision_job *job = (decision_job *)(void *)state_job;
    mw_err err = MW_OK;
    if (job->decision.verdict == MW_VERDICT_PROCEED)
        err = insert_investigation(job, tx);
    if (err == MW_OK)
        err = insert_decision(job, tx);
    if (err == MW_OK)
        err = hand_over_events(job, tx);
    if (err == MW_OK && job->decision.investigation_id.len)
        err = mw_state_investigation_settle(tx, job->decision.investigation_id,
                                            mw_clock_wall_ns(job->clock));
    return err;
}

/* ---- the step ------------------------------------------------------------------------------ */

static void decide(decision_job *job)
{
    job->input = (mw_decision_input){.action = job->alarm.action,
                                     .incident_id = job->alarm.incident_id,
                                     .incident_known = job->facts.known,
                                     .incident_unresolved = job->facts.unresolved,
                                     .known_investigation_id = job->facts.investigation_id};
    mw_decide(&job->input, &job->decision);
    if (job->decision.verdict == MW_VERDICT_PROCEED) {
        mw_id_new(job->investigation_id);
        job->decision.investigation_id = mw_slice_of(job->investigation_id);
    }
}

static void report(const decision_job *job)
{
    static const mw_counter counters[] = {
        [MW_VERDICT_PROCEED] = MW_COUNT_DECISIONS_PROCEED,
        [MW_VERDICT_LINKED] = MW_COUNT_DECISIONS_LINKED,
        [MW_VERDICT_SKIPPED] = MW_COUNT_DECISIONS_SKIPPED,
    };
    const mw_decision *decision = &job->decision;
    mw_count(counters[decision->verdict], 1);
    MW_LOG(MW_LOG_INFO, "triage", "alarm decided", MW_KV("alarm_id", job->alarm.id),
           MW_KV_STR("verdict", mw_verdict_name(decision->verdict)),
           MW_KV_STR("reason_code", mw_reason_code_name(decision->reason_code)),
           MW_KV("investigation_id", decision->investigation_id));
}

static mw_err decide_with(mw_triage *triage, mw_arena *arena, decision_job *job)
{
    mw_err err = read_alarm(triage, arena, job);
    if (err == MW_OK)
        err = read_as_of(triage, &job->as_of);
    if (err != MW_OK)
        return err;
    decide(job);
    err = write_detail(arena, job);
    if (err != MW_OK)
        return err;
    /* Costs nothing in the queue's budget: there is one at a time, and a storm of alarms that fills
     * the queue must not keep the engine from deciding them. */
    job->job.run = run_decision;
    err = mw_state_submit_wait(triage->state, &job->job);
    /* NOT_FOUND means "nothing to decide" to the caller; a vanished row is damage. */
    return err == MW_E_NOT_FOUND ? MW_E_CORRUPT : err;
}

mw_err mw_engine_decide_next(mw_triage *triage, bool *proceeds)
{
    mw_arena arena;
    decision_job job = {.clock = triage->clock, .begun_mono_ns = mw_clock_mono_ns(triage->clock)};
    mw_arena_init(&arena, MW_MEM_STATE, DECISION_MEMORY);
    mw_err err = decide_with(triage, &arena, &job);
    if (err == MW_OK) {
        report(&job);
        *proceeds = job.decision.verdict == MW_VERDICT_PROCEED;
    }
    mw_arena_reset(&arena);
    return err;
}
