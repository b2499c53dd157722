/* Decisions: read what waits, look at the telemetry around it, decide and commit. Called by the
 * decision loop (triage.c) on one pool thread at a time.
 *
 * Most alarms are decided in the job that inserts them (mw_triage_decide_now): nothing older waits,
 * and the windows of telemetry are there. Then alarm and verdict are one commit. All others, and
 * those that a crash or a failure left, are decided in batches, in the order of their commit.
 * Windows are made on the pool's thread; everything else of a batch is one job on the state
 * writer's, so that many alarms share one commit, and what a decision reads is what all before it
 * wrote. The open incidents in memory belong to that thread; what fails leaves them to be made
 * again. A batch that fails is tried again one alarm at a time, so that what cannot be decided
 * costs itself alone.
 *
 * The memory of a batch is one arena, freed at the end; that of an alarm decided at once likewise.
 */
#include "lib/base/counter.h"
#include "lib/base/log.h"
#include "lib/state/looks.h"
#include "triage/deciding.h"
#include "triage/decision/second_look.h"

/* An alarm without its body is a few KiB; at worst 256 KiB of resource names, each byte escaped to
 * six, and 32 KiB of description. A batch that exceeds it is taken one by one. */
#define BATCH_MEMORY ((size_t)48 << 20)
/* Of one commit: some milliseconds of work, as long as its sync takes. */
#define BATCH_MAX 128

typedef struct batch {
    mw_state_job job;
    mw_triage *triage;
    mw_arena arena;
    mw_alarm_row *alarms;
    mw_window *windows[BATCH_MAX];
    mw_windows_held held;
    mw_outcome outcomes[BATCH_MAX];
    size_t count;
    int64_t begun_mono_ns;
} batch;

/* ---- the commit ------------------------------------------------------------------------------ */

static mw_err insert_decision(mw_deciding *d)
{
    const mw_decision *decision = &d->decision;
    int64_t took_ns = mw_clock_mono_ns(d->steps.triage->clock) - d->begun_mono_ns;
    mw_decision_row row = {.alarm_id = d->alarm->id,
                           .verdict = mw_slice_of(mw_verdict_name(decision->verdict)),
                           .reason_code = mw_slice_of(mw_reason_code_name(decision->reason_code)),
                           .reason = mw_slice_of(decision->reason),
                           .investigation_id = decision->investigation_id,
                           .score = decision->score,
                           .threshold = decision->threshold,
                           .scored = decision->scored,
                           .as_of = d->record.seen.as_of,
                           .decided_ns = d->steps.now_ns,
                           .decided_in_us = took_ns / 1000,
                           .prompt = d->fresh};
    mw_err err = mw_decision_write(&d->record, decision, d->steps.arena, &row.detail_json);
    return err == MW_OK ? mw_state_decision_insert(d->steps.tx, &row) : err;
}

/* Between its commit and its decision an alarm takes the events of its incident. When it turns
 * out to be a repeat they belong to the alarm that it repeats. */
static mw_err hand_over_events(mw_deciding *d)
{
    if (d->decision.verdict != MW_VERDICT_SKIPPED || !d->facts.known)
        return MW_OK;
    return mw_state_alarm_events_move(d->steps.tx, d->alarm->id, d->facts.newest_alarm_id);
}

static mw_err open_incident(mw_deciding *d)
{
    mw_err err = mw_steps_open(&d->steps, d->alarm, d->id);
    d->decision.investigation_id = mw_slice_of(d->id);
    d->wakes = true;
    if (err == MW_OK && d->record.input.is_suspect)
        err = mw_state_investigation_center(d->steps.tx, d->decision.investigation_id, d->service,
                                            MW_SLICE(""));
    return err;
}

static mw_err link(mw_deciding *d)
{
    mw_slice id = d->decision.investigation_id;
    bool repeat = d->decision.reason_code == MW_REASON_SAME_SERVICE && !d->decision.centers;
    mw_err err = mw_steps_join(&d->steps, d->alarm, id, repeat, &d->wakes);
    if (err == MW_OK)
        err = mw_candidates_add(d->steps.triage->open, id, &d->member);
    if (err == MW_OK && d->decision.centers)
        err = mw_deciding_center(d);
    if (err == MW_OK)
        err = mw_deciding_merge(d);
    d->wakes |= d->decision.join_count > 0;
    for (size_t i = 0; err == MW_OK && i < d->decision.propose_count; i++)
        err =
            mw_deciding_propose(d, d->record.candidates[d->decision.proposes[i]].investigation_id);
    return err;
}

static mw_err carry_out(mw_deciding *d)
{
    mw_err err = MW_OK;
    if (d->decision.verdict == MW_VERDICT_PROCEED)
        err = open_incident(d);
    if (err == MW_OK)
        err = insert_decision(d);
    if (err == MW_OK && d->decision.verdict != MW_VERDICT_SKIPPED)
        err = mw_state_unsettled_insert(d->steps.tx, d->alarm->seq, mw_look_due_ns(d->steps.now_ns),
                                        mw_look_print(&d->record.seen));
    if (err == MW_OK && !d->fresh)
        err = hand_over_events(d);
    if (err == MW_OK && d->decision.verdict == MW_VERDICT_PROCEED)
        err = mw_candidates_add(d->steps.triage->open, d->decision.investigation_id, &d->member);
    if (err == MW_OK && d->decision.verdict == MW_VERDICT_LINKED)
        err = link(d);
    /* An incident that an open alarm has joined is not over. */
    bool opens = d->fresh && d->decision.verdict != MW_VERDICT_SKIPPED;
    if (err == MW_OK && d->decision.investigation_id.len && !opens)
        err = mw_steps_settle(&d->steps, d->decision.investigation_id);
    return err;
}

static mw_err decide_one(mw_deciding *d, mw_outcome *out)
{
    d->steps.who = MW_SLICE("midwatch");
    d->steps.now_ns = mw_clock_wall_ns(d->steps.triage->clock);
    mw_err err = mw_deciding_gather(d);
    if (err != MW_OK)
        return err;
    mw_decide(&d->record.input, &d->decision);
    err = carry_out(d);
    *out = (mw_outcome){.verdict = d->decision.verdict,
                        .code = d->decision.reason_code,
                        .wakes = d->wakes,
                        .unsettled = d->decision.verdict != MW_VERDICT_SKIPPED};
    mw_slice_to_cstr(d->alarm->id, out->alarm_id, sizeof out->alarm_id);
    mw_slice_to_cstr(d->decision.investigation_id, out->investigation_id,
                     sizeof out->investigation_id);
    return err;
}

static void report(const mw_outcome *o)
{
    static const mw_counter counters[] = {
        [MW_VERDICT_PROCEED] = MW_COUNT_DECISIONS_PROCEED,
        [MW_VERDICT_LINKED] = MW_COUNT_DECISIONS_LINKED,
        [MW_VERDICT_SKIPPED] = MW_COUNT_DECISIONS_SKIPPED,
    };
    mw_count(counters[o->verdict], 1);
    MW_LOG(MW_LOG_INFO, "triage", "alarm decided", MW_KV_STR("alarm_id", o->alarm_id),
           MW_KV_STR("verdict", mw_verdict_name(o->verdict)),
           MW_KV_STR("reason_code", mw_reason_code_name(o->code)),
           MW_KV_STR("investigation_id", o->investigation_id));
}

/* ---- at once --------------------------------------------------------------------------------- */

typedef struct prompt {
    mw_triage *triage;
    const mw_alarm_row *alarms;
    size_t count;
    mw_window *windows[MW_PROMPT_MAX];
    mw_outcome *outcomes;
    int64_t begun_mono_ns;
} prompt;

static mw_err decide_prompt(prompt *p, size_t at, mw_state_tx *tx)
{
    mw_arena arena;
    mw_arena_init(&arena, MW_MEM_STATE, BATCH_MEMORY);
    mw_steps steps = {.triage = p->triage, .tx = tx, .arena = &arena};
    mw_err err = mw_steps_ready(&steps);
    mw_deciding *d = err == MW_OK ? mw_arena_zalloc(&arena, 1, sizeof *d) : NULL;
    if (d) {
        d->steps = steps;
        d->alarm = &p->alarms[at];
        d->window = p->windows[at];
        d->fresh = true;
        d->begun_mono_ns = p->begun_mono_ns;
        err = decide_one(d, &p->outcomes[at]);
    } else if (err == MW_OK) {
        err = MW_E_NOMEM;
    }
    mw_arena_reset(&arena);
    return err;
}

static mw_err decide_prompts(void *ctx, mw_state_tx *tx)
{
    prompt *p = ctx;
    mw_err err = MW_OK;
    for (size_t i = 0; err == MW_OK && i < p->count; i++)
        err = decide_prompt(p, i, tx);
    return err;
}

/* All of them are decided, or none is: their order stays. */
static mw_err decide_held(prompt *p, mw_state_tx *tx, bool *decided)
{
    mw_err result = MW_OK;
    mw_err err = mw_state_try(tx, decide_prompts, p, &result);
    *decided = err == MW_OK && result == MW_OK;
    if (!*decided) /* what it changed in memory is rolled back in state */
        __atomic_store_n(&p->triage->open_stale, true, __ATOMIC_RELEASE);
    if (result != MW_OK)
        MW_LOG(MW_LOG_WARN, "triage", "an alarm is decided later", MW_KV_ERR(result));
    return err;
}

mw_err mw_triage_decide_now(mw_triage *triage, mw_state_tx *tx, const mw_alarm_row *alarms,
                            size_t count, mw_outcome *outcomes, bool *decided)
{
    bool waiting = true;
    size_t held = 0;
    prompt p = {.triage = triage,
                .alarms = alarms,
                .count = count,
                .outcomes = outcomes,
                .begun_mono_ns = mw_clock_mono_ns(triage->clock)};
    *decided = false;
    if (count == 0 || count > MW_PROMPT_MAX)
        return MW_OK;
    uint64_t passed_over = __atomic_load_n(&triage->passed_over, __ATOMIC_RELAXED);
    mw_err err = mw_state_alarm_waits(tx, passed_over, alarms[0].seq, &waiting);
    if (err != MW_OK || waiting)
        return err;
    for (; held < count; held++) {
        p.windows[held] = mw_topology_cache_find(&triage->windows, alarms[held].started_ns);
        if (!p.windows[held])
            break;
    }
    if (held == count)
        err = decide_held(&p, tx, decided);
    for (size_t i = 0; i < held; i++)
        mw_topology_cache_release(&triage->windows, p.windows[i]);
    return err;
}

void mw_triage_decided(mw_triage *triage, const mw_outcome *outcomes, size_t count)
{
    bool wakes = false, unsettled = false;
    for (size_t i = 0; i < count; i++) {
        report(&outcomes[i]);
        wakes |= outcomes[i].wakes;
        unsettled |= outcomes[i].unsettled;
    }
    mw_triage_note_decided(triage, wakes, unsettled);
}

/* ---- a batch --------------------------------------------------------------------------------- */

static mw_err run_batch(mw_state_job *job, mw_state_tx *tx)
{
    batch *b = (batch *)(void *)job;
    mw_steps steps = {.triage = b->triage, .tx = tx, .arena = &b->arena};
    mw_err err = mw_steps_ready(&steps);
    for (size_t i = 0; err == MW_OK && i < b->count; i++) {
        mw_deciding *d = mw_arena_zalloc(&b->arena, 1, sizeof *d);
        if (!d) {
            err = MW_E_NOMEM;
            break;
        }
        d->steps = steps;
        d->alarm = &b->alarms[i];
        d->window = b->windows[i];
        d->begun_mono_ns = b->begun_mono_ns;
        err = decide_one(d, &b->outcomes[i]);
    }
    if (err != MW_OK)
        __atomic_store_n(&b->triage->open_stale, true, __ATOMIC_RELEASE);
    return err;
}

/* ---- the step -------------------------------------------------------------------------------- */

static mw_err read_alarms(batch *b)
{
    mw_state_tx *tx;
    mw_triage *triage = b->triage;
    mw_err err = mw_state_read_begin(triage->state, &tx);
    if (err != MW_OK)
        return err;
    err = mw_state_alarms_undecided(tx, triage->passed_over, triage->one_by_one ? 1 : BATCH_MAX,
                                    &b->arena, &b->alarms, &b->count);
    mw_state_read_end(tx);
    return err == MW_OK && b->count == 0 ? MW_E_NOT_FOUND : err;
}

/* As many alarms as there are windows for. */
static mw_err find_windows(batch *b)
{
    for (size_t i = 0; i < b->count; i++) {
        mw_err err =
            mw_windows_hold(&b->triage->windows, &b->held, b->alarms[i].started_ns, &b->windows[i]);
        if (err != MW_OK)
            return err;
        if (!b->windows[i])
            b->count = i;
    }
    MW_ASSERT(b->count > 0);
    return MW_OK;
}

/* What was decided in memory was not committed. An alarm that fails alone, and for a reason that
 * does not pass, waits for the next start. */
static mw_err give_up(batch *b, mw_err err)
{
    mw_triage *triage = b->triage;
    __atomic_store_n(&triage->open_stale, true, __ATOMIC_RELEASE);
    if (triage->one_by_one && !mw_triage_may_pass(err)) {
        MW_LOG(MW_LOG_ERROR, "triage", "an alarm cannot be decided and waits for the next start",
               MW_KV("alarm_id", b->alarms[0].id), MW_KV_ERR(err));
        __atomic_store_n(&triage->passed_over, b->alarms[0].seq, __ATOMIC_RELAXED);
    }
    triage->one_by_one = true;
    /* NOT_FOUND means "nothing to decide" to the caller; a vanished row is damage. */
    return err == MW_E_NOT_FOUND ? MW_E_CORRUPT : err;
}

static mw_err decide_batch(batch *b)
{
    mw_err err = read_alarms(b);
    if (err == MW_E_NOT_FOUND)
        return err;
    if (err == MW_OK)
        err = find_windows(b);
    if (err != MW_OK) {
        b->triage->one_by_one = true;
        return err;
    }
    /* Costs nothing in the queue's budget: there is one at a time, and a storm of alarms that fills
     * the queue must not keep the engine from deciding them. */
    b->job.run = run_batch;
    err = mw_state_submit_wait(b->triage->state, &b->job);
    if (err != MW_OK)
        return give_up(b, err);
    b->triage->one_by_one = false;
    mw_triage_decided(b->triage, b->outcomes, b->count);
    return MW_OK;
}

mw_err mw_engine_decide_next(mw_triage *triage)
{
    batch *b = mw_calloc(MW_MEM_STATE, 1, sizeof *b);
    if (!b)
        return MW_E_NOMEM;
    b->triage = triage;
    b->begun_mono_ns = mw_clock_mono_ns(triage->clock);
    mw_arena_init(&b->arena, MW_MEM_STATE, BATCH_MEMORY);
    mw_err err = decide_batch(b);
    mw_windows_release(&triage->windows, &b->held);
    mw_arena_reset(&b->arena);
    mw_free(MW_MEM_STATE, b);
    return err;
}
