/* Second looks: decisions whose telemetry came after them (decision/second_look.h).
 *
 * What is due stands in state (lib/state/looks.h), so that a restart forgets none. The telemetry is
 * read on the pool's thread, with windows that are not those of the decision loop: no verdict waits
 * for a look. Only where it differs from what was seen before is the alarm decided again, in one
 * job on the state writer's thread: what is found, what it moves, and what the journals say of it
 * commit together. A job that fails leaves all of it due.
 *
 * The memory of a batch is one arena, freed at the end.
 */
#include "lib/state/looks.h"
#include "lib/base/log.h"
#include "lib/state/plans.h"
#include "triage/deciding.h"
#include "triage/decision/second_look.h"

/* Alarms of one step. Most differ in nothing: that takes a look at a window and no write. */
#define BATCH_MAX 256
/* Those that differ, of one commit: a decision waits for no more than some milliseconds of them. */
#define DIFFERENT_MAX 32
#define BATCH_MEMORY ((size_t)32 << 20)
/* An incident of more alarms is not taken apart again: what one of them shows is outweighed, and
 * making its incident anew costs all of them. */
#define MEMBERS_MAX 64

typedef struct batch {
    mw_state_job job;
    mw_triage *triage;
    mw_arena arena;
    mw_unsettled_row *rows;
    mw_window *windows[BATCH_MAX];
    mw_windows_held held;
    bool differs[BATCH_MAX];
    size_t count, different;
    unsigned looks; /* that they had so far */
    bool wakes;
} batch;

/* One alarm, on the writer's thread. */
typedef struct looking {
    mw_deciding d;
    mw_alarm_row alarm;
    const mw_telemetry_seen *before;
    mw_decision_row was; /* its decision as it is */
    mw_slice own;        /* the incident that it is in */
    uint64_t others;
    bool in_hand, judged; /* a person's; and its plan was judged */
    mw_looked done;
} looking;

int64_t mw_look_due_ns(int64_t now_ns)
{
    return now_ns < INT64_MAX - MW_LOOK_FIRST_NS ? now_ns + MW_LOOK_FIRST_NS : INT64_MAX;
}

/* ---- what differs (pool) --------------------------------------------------------------------- */

/* `d` is used again for each alarm. */
static mw_err compare(batch *b, size_t at, mw_deciding *d)
{
    const mw_unsettled_row *row = &b->rows[at];
    const mw_alarm_row alarm = {.service = row->service, .title = row->title};
    *d = (mw_deciding){.alarm = &alarm, .window = b->windows[at]};
    mw_err err = mw_deciding_see(d);
    d->alarm = NULL;
    b->differs[at] =
        err == MW_OK && d->record.seen.read && mw_look_print(&d->record.seen) != row->seen;
    b->different += b->differs[at];
    return err;
}

static mw_err read_due(batch *b, bool *waiting)
{
    mw_state_tx *tx;
    int64_t now_ns = mw_clock_wall_ns(b->triage->clock);
    mw_err err = mw_state_read_begin(b->triage->state, &tx);
    if (err != MW_OK)
        return err;
    err = mw_state_unsettled_due(tx, now_ns, BATCH_MAX, &b->arena, &b->rows, &b->count, &b->looks,
                                 waiting);
    mw_state_read_end(tx);
    return err == MW_OK && b->count == 0 ? MW_E_NOT_FOUND : err;
}

/* As many alarms as there are windows for, and not too many that differ. */
static mw_err read_telemetry(batch *b)
{
    mw_topology_cache *cache = &b->triage->look_windows;
    mw_deciding *d = mw_arena_zalloc(&b->arena, 1, sizeof *d);
    if (!d)
        return MW_E_NOMEM;
    mw_err err = MW_OK;
    for (size_t i = 0; err == MW_OK && i < b->count; i++) {
        err = mw_windows_hold(cache, &b->held, b->rows[i].started_ns, &b->windows[i]);
        if (err == MW_OK && (!b->windows[i] || b->different == DIFFERENT_MAX))
            b->count = i;
        else if (err == MW_OK)
            err = compare(b, i, d);
    }
    return err;
}

/* ---- one alarm (writer) ---------------------------------------------------------------------- */

static mw_err is_in_hand(looking *l, const mw_incident_row *incident)
{
    mw_decision_step *steps = NULL;
    size_t count = 0;
    mw_plan_row plan;
    mw_steps *s = &l->d.steps;
    mw_err err = mw_state_decision_steps(s->tx, l->d.alarm->id, s->arena, &steps, &count);
    l->in_hand = incident->owner.len > 0;
    for (size_t i = 0; err == MW_OK && i < count; i++)
        l->in_hand |= !mw_slice_equal(steps[i].who, s->who);
    if (err == MW_OK)
        err = mw_state_plan_get(s->tx, l->own, s->arena, &plan);
    if (err == MW_E_NOT_FOUND)
        return MW_OK;
    l->judged = err == MW_OK && plan.judged_ns != 0;
    l->in_hand |= l->judged;
    return err;
}

/* What the decision saw, or the last look at it. */
static mw_err read_before(looking *l)
{
    mw_look_row *looks = NULL;
    size_t count = 0;
    mw_steps *s = &l->d.steps;
    mw_decision_record *record = mw_arena_zalloc(s->arena, 1, sizeof *record);
    mw_err err = record ? mw_state_looks(s->tx, l->alarm.id, s->arena, &looks, &count) : MW_E_NOMEM;
    if (err != MW_OK)
        return err;
    l->before = &record->seen;
    return mw_decision_read(count ? looks[count - 1].detail_json : l->was.detail_json, s->arena,
                            record);
}

/* *goes_on false: it is SKIPPED, its incident has ended, or has too many alarms. */
static mw_err find_place(looking *l, bool *goes_on)
{
    mw_incident_row incident;
    mw_steps *s = &l->d.steps;
    *goes_on = false;
    l->d.alarm = &l->alarm;
    mw_err err = mw_state_decision_get(s->tx, l->alarm.id, s->arena, &l->was);
    l->own = l->was.investigation_id;
    if (err != MW_OK || !l->own.len || mw_slice_equal(l->was.verdict, MW_SLICE("SKIPPED")))
        return err;
    err = mw_state_incident_get(s->tx, l->own, s->arena, &incident);
    if (err == MW_OK)
        err = mw_state_members_count(s->tx, l->own, &l->others);
    if (err != MW_OK || !incident.open || l->others > MEMBERS_MAX || !l->others)
        return err;
    l->others--;
    *goes_on = true;
    err = is_in_hand(l, &incident);
    return err == MW_OK ? read_before(l) : err;
}

/* The incident as it would be without the alarm, and what would be decided then. */
static mw_err decide_again(looking *l)
{
    mw_deciding *d = &l->d;
    mw_err err = mw_steps_refresh_without(&d->steps, l->own, d->alarm->id);
    if (err == MW_OK)
        err = mw_deciding_gather(d);
    if (err != MW_OK)
        return err;
    mw_decide(&d->record.input, &d->decision);
    l->done = mw_look_conclude(&d->record.input, &d->decision, l->own, l->others, l->in_hand);
    return MW_OK;
}

static mw_err insert_look(looking *l)
{
    mw_deciding *d = &l->d;
    const mw_decision *again = &d->decision;
    mw_look_row row = {.alarm_id = d->alarm->id,
                       .time_ns = d->steps.now_ns,
                       .look = mw_slice_of(mw_look_name(l->done.look)),
                       .own_id = l->own,
                       .others = l->others,
                       .in_hand = l->in_hand,
                       .into_id = l->done.into,
                       .verdict = mw_slice_of(mw_verdict_name(again->verdict)),
                       .reason_code = mw_slice_of(mw_reason_code_name(again->reason_code)),
                       .reason = mw_slice_of(again->reason),
                       .score = again->score,
                       .threshold = again->threshold,
                       .scored = again->scored,
                       .as_of = d->record.seen.as_of};
    mw_err err = mw_decision_write(&d->record, again, d->steps.arena, &row.detail_json);
    return err == MW_OK ? mw_state_look_insert(d->steps.tx, &row) : err;
}

/* ---- what the journal says ------------------------------------------------------------------- */

static mw_slice ends_at(const mw_telemetry_seen *seen)
{
    for (size_t i = 0; i < seen->suspect_count; i++)
        if (seen->newest[i])
            return seen->suspects[i].service;
    return seen->known ? MW_SLICE("nowhere: all is as usual") : MW_SLICE("not known");
}

static mw_err tell_journal(looking *l)
{
    mw_deciding *d = &l->d;
    char *text = mw_arena_printf(
        d->steps.arena,
        "alarm %.*s was looked at again with telemetry that came after it. Where its trouble ends: "
        "%.*s (when it was decided: %.*s)",
        MW_SLICE_FMT(d->alarm->id), MW_SLICE_FMT(ends_at(&d->record.seen)),
        MW_SLICE_FMT(ends_at(l->before)));
    return text ? mw_steps_journal(&d->steps, l->own, "ANALYSIS", mw_slice_of(text)) : MW_E_NOMEM;
}

static mw_err tell_move(looking *l, mw_slice investigation_id, const char *what, const char *why)
{
    char *text = mw_arena_printf(l->d.steps.arena, "%s alarm %.*s: %s", what,
                                 MW_SLICE_FMT(l->d.alarm->id), why);
    return text ? mw_steps_journal(&l->d.steps, investigation_id, "ACTION", mw_slice_of(text))
                : MW_E_NOMEM;
}

/* ---- what it moves --------------------------------------------------------------------------- */

static mw_err suggest(looking *l)
{
    mw_deciding *d = &l->d;
    d->decision.investigation_id = l->own;
    if (l->done.into.len)
        return mw_deciding_propose(d, l->done.into);
    char *text = mw_arena_printf(
        d->steps.arena, "alarm %.*s may be of another incident: %s. `midwatch alarm unlink %.12s`",
        MW_SLICE_FMT(d->alarm->id), d->decision.reason, d->alarm->id.data);
    return text ? mw_steps_journal(&d->steps, l->own, "SUGGESTION", mw_slice_of(text)) : MW_E_NOMEM;
}

static mw_err merge(looking *l, const char *why)
{
    mw_slice from, into;
    mw_err err = mw_deciding_order(&l->d, l->own, l->done.into, &from, &into);
    if (err != MW_OK)
        return err;
    l->d.decision.investigation_id = into;
    err = mw_steps_merge(&l->d.steps, from, into, MW_REASON_MERGED, mw_slice_of(why));
    return err == MW_OK && l->d.record.input.is_suspect ? mw_deciding_center(&l->d) : err;
}

/* What it leaves is looked into again, and so is what it joins. */
static mw_err move_to(looking *l, mw_slice into, const char *why)
{
    mw_deciding *d = &l->d;
    mw_alarm_row *left = NULL;
    size_t count = 0;
    mw_err err =
        mw_steps_change(&d->steps, d->alarm->id, d->decision.reason_code, mw_slice_of(why), into);
    if (err == MW_OK)
        err = mw_state_alarm_of_investigation(d->steps.tx, l->own, d->steps.arena, &left, &count);
    if (err == MW_OK)
        err = mw_steps_join(&d->steps, &left[0], l->own, false, NULL);
    if (err == MW_OK)
        err = mw_steps_join(&d->steps, d->alarm, into, false, NULL);
    if (err == MW_OK)
        err = tell_move(l, l->own, "gave away", why);
    if (err == MW_OK)
        err = tell_move(l, into, "took in", why);
    if (err == MW_OK)
        err = mw_steps_settle(&d->steps, l->own);
    if (err == MW_OK)
        err = mw_steps_settle(&d->steps, into);
    return err == MW_OK ? mw_steps_refresh(&d->steps, into) : err;
}

static mw_err leave(looking *l, const char *why)
{
    char *id = mw_arena_zalloc(l->d.steps.arena, 1, MW_ID_TEXT_SIZE);
    if (!id)
        return MW_E_NOMEM;
    mw_err err = mw_steps_open(&l->d.steps, l->d.alarm, id);
    return err == MW_OK ? move_to(l, mw_slice_of(id), why) : err;
}

/* The incident may turn out to be about the alarm's service, and is read again in any case, unless
 * a person has judged what was found. */
static mw_err stay(looking *l)
{
    mw_deciding *d = &l->d;
    mw_err err = MW_OK;
    if (l->done.look == MW_LOOK_SUGGESTS)
        err = suggest(l);
    else if (l->others && d->decision.centers)
        err = mw_deciding_center(d);
    else if (!l->others && d->record.input.is_suspect)
        err = mw_state_investigation_center(d->steps.tx, l->own, d->service, MW_SLICE(""));
    if (err == MW_OK && !l->judged)
        err = mw_steps_join(&d->steps, d->alarm, l->own, false, NULL);
    return err;
}

static mw_err carry_out(looking *l)
{
    const char *why =
        mw_arena_printf(l->d.steps.arena, "telemetry that came after the alarm %.*s: %s",
                        MW_SLICE_FMT(l->d.alarm->id), l->d.decision.reason);
    mw_err err = why ? MW_OK : MW_E_NOMEM;
    if (err != MW_OK)
        return err;
    switch (l->done.look) {
    case MW_LOOK_MERGES: return merge(l, why);
    case MW_LOOK_MOVES: err = move_to(l, l->done.into, why); break;
    case MW_LOOK_LEAVES: err = leave(l, why); break;
    default: err = stay(l);
    }
    return err == MW_OK ? mw_steps_refresh(&l->d.steps, l->own) : err;
}

static mw_err look_one(batch *b, size_t at, mw_state_tx *tx)
{
    bool goes_on;
    looking *l = mw_arena_zalloc(&b->arena, 1, sizeof *l);
    if (!l)
        return MW_E_NOMEM;
    l->d.steps = (mw_steps){.triage = b->triage,
                            .tx = tx,
                            .arena = &b->arena,
                            .who = MW_SLICE("midwatch"),
                            .now_ns = mw_clock_wall_ns(b->triage->clock)};
    l->d.window = b->windows[at];
    mw_err err = mw_state_alarm_get(tx, b->rows[at].alarm_id, &b->arena, &l->alarm);
    if (err == MW_OK)
        err = find_place(l, &goes_on);
    if (err != MW_OK || !goes_on)
        return err;
    b->wakes = true;
    err = decide_again(l);
    if (err == MW_OK)
        err = mw_state_unsettled_seen(tx, b->looks, b->rows[at].alarm_seq,
                                      mw_look_print(&l->d.record.seen));
    if (err == MW_OK)
        err = insert_look(l);
    if (err == MW_OK)
        err = tell_journal(l);
    if (err != MW_OK)
        return err;
    MW_LOG(MW_LOG_INFO, "triage", "alarm looked at again", MW_KV("alarm_id", l->d.alarm->id),
           MW_KV_STR("look", mw_look_name(l->done.look)), MW_KV("investigation_id", l->own));
    return carry_out(l);
}

static mw_err run_batch(mw_state_job *job, mw_state_tx *tx)
{
    batch *b = (batch *)(void *)job;
    mw_steps steps = {.triage = b->triage, .tx = tx, .arena = &b->arena};
    mw_err err = b->different ? mw_steps_ready(&steps) : MW_OK;
    for (size_t i = 0; err == MW_OK && i < b->count; i++)
        if (b->differs[i])
            err = look_one(b, i, tx);
    if (err == MW_OK)
        err = mw_state_unsettled_done(tx, b->looks, b->rows[b->count - 1].alarm_seq,
                                      MW_LOOK_LAST_NS - MW_LOOK_FIRST_NS);
    if (err != MW_OK) /* what it changed in memory is rolled back in state */
        __atomic_store_n(&b->triage->open_stale, true, __ATOMIC_RELEASE);
    return err;
}

/* ---- the step -------------------------------------------------------------------------------- */

static mw_err commit(batch *b)
{
    mw_triage *triage = b->triage;
    b->job = (mw_state_job){.run = run_batch};
    mw_err err = mw_state_submit_wait(triage->state, &b->job);
    if (err != MW_OK)
        __atomic_store_n(&triage->open_stale, true, __ATOMIC_RELEASE);
    return err;
}

/* A look that cannot be taken leaves its alarm as it was decided, and must not hold up the rest: of
 * a batch that fails the first alarm is passed over, until what is wrong is behind. */
static mw_err look_at_batch(batch *b, bool *waiting)
{
    mw_err err = read_due(b, waiting);
    if (err == MW_OK)
        err = read_telemetry(b);
    if (err != MW_OK)
        return err;
    err = commit(b);
    if (err != MW_OK && !mw_triage_may_pass(err)) {
        MW_LOG(MW_LOG_ERROR, "triage", "an alarm cannot be looked at again and stays as it is",
               MW_KV("alarm_id", b->rows[0].alarm_id), MW_KV_ERR(err));
        b->count = 1;
        b->differs[0] = false;
        b->different = 0;
        b->wakes = false;
        err = commit(b);
    }
    /* NOT_FOUND means "none is due" to the caller; a vanished row is damage. */
    return err == MW_E_NOT_FOUND ? MW_E_CORRUPT : err;
}

mw_err mw_looks_next(mw_triage *triage, bool *wakes, bool *waiting)
{
    batch *b = mw_calloc(MW_MEM_STATE, 1, sizeof *b);
    if (!b)
        return MW_E_NOMEM;
    b->triage = triage;
    mw_arena_init(&b->arena, MW_MEM_STATE, BATCH_MEMORY);
    mw_err err = look_at_batch(b, waiting);
    *wakes = err == MW_OK && b->wakes;
    mw_windows_release(&triage->look_windows, &b->held);
    mw_arena_reset(&b->arena);
    mw_free(MW_MEM_STATE, b);
    return err;
}
