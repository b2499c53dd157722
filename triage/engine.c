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
#include "triage/steps.h"

/* An alarm without its body is a few KiB; at worst 256 KiB of resource names, each byte escaped to
 * six, and 32 KiB of description. A batch that exceeds it is taken one by one. */
#define BATCH_MEMORY ((size_t)48 << 20)
/* Of one commit: some milliseconds of work, as long as its sync takes. */
#define BATCH_MAX 128
/* Windows that a batch may hold while the cache has others in their places. */
#define BATCH_WINDOWS 8

typedef struct batch {
    mw_state_job job;
    mw_triage *triage;
    mw_arena arena;
    mw_alarm_row *alarms;
    mw_window *windows[BATCH_MAX];
    mw_window *held[BATCH_WINDOWS]; /* references */
    size_t held_count;
    mw_outcome outcomes[BATCH_MAX];
    size_t count;
    int64_t begun_mono_ns;
} batch;

/* One alarm under decision, on the writer's thread. */
typedef struct deciding {
    mw_steps steps;
    const mw_alarm_row *alarm;
    mw_window *window; /* NULL: telemetry is not asked */
    int64_t begun_mono_ns;
    bool fresh; /* nobody can have sent an event for it yet */
    bool wakes; /* an investigation has something to run */
    char id[MW_ID_TEXT_SIZE]; /* of the investigation that it opens */
    const mw_standing *standing; /* NULL: its service is not in the window */
    mw_slice service;            /* its own, or found in the title */
    mw_incident_facts facts;
    mw_member member;
    mw_decision_record record;
    mw_decision decision;
} deciding;

/* ---- what is known --------------------------------------------------------------------------- */

static bool is_word_byte(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
}

static bool names_service(mw_slice title, mw_slice name)
{
    for (size_t at = 0; name.len && at + name.len <= title.len; at++) {
        if (memcmp(title.data + at, name.data, name.len) != 0)
            continue;
        bool before = at == 0 || !is_word_byte(title.data[at - 1]);
        size_t end = at + name.len;
        if (before && (end == title.len || !is_word_byte(title.data[end])))
            return true;
    }
    return false;
}

/* DESIGN 4.4: a missing service is looked for in the title among known names; the longest. */
static mw_slice service_in_title(const mw_topology *topology, mw_slice title)
{
    mw_slice best = MW_SLICE("");
    for (size_t i = 0; i < mw_topology_nodes(topology); i++) {
        mw_slice name = mw_topology_name(topology, (uint32_t)i);
        if (name.len > best.len && names_service(title, name))
            best = name;
    }
    return best;
}

static mw_err look_at_telemetry(deciding *d)
{
    uint32_t node;
    mw_window *window = d->window;
    d->service = d->alarm->service;
    if (!window)
        return MW_OK;
    if (!d->service.len)
        d->service = service_in_title(window->topology, d->alarm->title);
    d->record.seen.read = window->read;
    d->record.seen.as_of = window->as_of;
    d->record.seen.left_out = window->left_out;
    if (!d->service.len || !mw_topology_find(window->topology, d->service, &node))
        return MW_OK;
    d->standing = mw_topology_standing(window->topology, node);
    if (!d->standing)
        return MW_E_NOMEM;
    mw_telemetry_see(window->topology, d->standing, &d->record.seen);
    return MW_OK;
}

static mw_err make_member(deciding *d)
{
    d->member = (mw_member){.service = d->service,
                            .region = d->alarm->region,
                            .title = d->alarm->title,
                            .started_ns = d->alarm->started_ns};
    return mw_steps_member(d->steps.arena, &d->record.seen, d->alarm->resources_json, &d->member);
}

/* Closings go past the set in memory: what they closed leaves it here. An incident is asked for
 * once after each. */
static mw_err drop_closed(deciding *d, size_t count, bool *dropped)
{
    uint64_t closings = mw_state_closings(d->steps.tx) + 1;
    *dropped = false;
    for (size_t i = 0; i < count; i++) {
        mw_incident_row row;
        mw_slice id = d->record.candidates[i].investigation_id;
        uint64_t *asked = mw_candidates_note(d->steps.triage->open, id);
        MW_ASSERT(asked);
        if (*asked == closings)
            continue;
        *asked = closings;
        mw_err err = mw_state_incident_get(d->steps.tx, id, d->steps.arena, &row);
        if (err != MW_OK)
            return err == MW_E_NOT_FOUND ? MW_E_CORRUPT : err;
        if (row.open)
            continue;
        *dropped = true;
        mw_candidates_remove(d->steps.triage->open, id);
    }
    return MW_OK;
}

/* The set gives slices into itself: a decision's are its own. */
static mw_err keep_texts(deciding *d, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        mw_candidate *c = &d->record.candidates[i];
        c->investigation_id = mw_arena_copy(d->steps.arena, c->investigation_id);
        c->service = mw_arena_copy(d->steps.arena, c->service);
        c->cause_service = mw_arena_copy(d->steps.arena, c->cause_service);
        if (!c->investigation_id.data || !c->service.data || !c->cause_service.data)
            return MW_E_NOMEM;
    }
    return MW_OK;
}

static mw_err find_candidates(deciding *d)
{
    size_t count;
    bool dropped;
    mw_err err;
    do {
        count = mw_candidates_find(d->steps.triage->open, &d->member,
                                   d->window ? d->window->topology : NULL, d->standing,
                                   d->record.candidates, MW_CANDIDATES_MAX);
        err = drop_closed(d, count, &dropped);
    } while (err == MW_OK && dropped);
    d->record.input.candidates = d->record.candidates;
    d->record.input.candidate_count = count;
    return err == MW_OK ? keep_texts(d, count) : err;
}

static mw_err gather(deciding *d)
{
    const mw_alarm_row *alarm = d->alarm;
    mw_err err = mw_state_incident_facts(d->steps.tx, alarm->webhook_id, alarm->incident_id,
                                         alarm->seq, d->steps.arena, &d->facts);
    if (err == MW_OK)
        err = look_at_telemetry(d);
    if (err == MW_OK)
        err = make_member(d);
    if (err != MW_OK)
        return err;
    mw_slice suspect = d->member.suspect_count ? d->member.suspects[0].service : MW_SLICE("");
    bool is_suspect = false;
    for (size_t i = 0; i < d->member.suspect_count; i++)
        is_suspect |= mw_slice_equal(d->member.suspects[i].service, d->service);
    d->record.known_alarm_id = d->facts.newest_alarm_id;
    d->record.input = (mw_decision_input){.action = alarm->action,
                                          .incident_id = alarm->incident_id,
                                          .incident_known = d->facts.known,
                                          .incident_unresolved = d->facts.unresolved,
                                          .known_investigation_id = d->facts.investigation_id,
                                          .service = d->service,
                                          .suspect = is_suspect ? d->service : suspect,
                                          .is_suspect = is_suspect};
    bool created = mw_slice_equal(alarm->action, MW_SLICE("created"));
    bool repeat = d->facts.known && d->facts.unresolved;
    return created && !repeat ? find_candidates(d) : MW_OK;
}

/* ---- the commit ------------------------------------------------------------------------------ */

static mw_err insert_decision(deciding *d)
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
static mw_err hand_over_events(deciding *d)
{
    if (d->decision.verdict != MW_VERDICT_SKIPPED || !d->facts.known)
        return MW_OK;
    return mw_state_alarm_events_move(d->steps.tx, d->alarm->id, d->facts.newest_alarm_id);
}

/* The alarm's own service is where the trouble ends: the incident is about it from now on. */
static mw_err center(deciding *d)
{
    mw_incident_row row;
    mw_slice id = d->decision.investigation_id;
    mw_err err = mw_state_incident_get(d->steps.tx, id, d->steps.arena, &row);
    if (err != MW_OK || mw_slice_equal(row.center, d->service))
        return err;
    char *text = mw_arena_printf(
        d->steps.arena,
        "centred on %.*s: alarm %.*s came later than those of its callers, but the trouble of all "
        "of them ends at this service (before: %.*s)",
        MW_SLICE_FMT(d->service), MW_SLICE_FMT(d->alarm->id),
        MW_SLICE_FMT(row.center.len ? row.center : MW_SLICE("no service known as the cause")));
    if (!text)
        return MW_E_NOMEM;
    err = mw_state_investigation_center(d->steps.tx, id, d->service, d->alarm->title);
    return err == MW_OK ? mw_steps_journal(&d->steps, id, "ACTION", mw_slice_of(text)) : err;
}

static mw_err merge_others(deciding *d)
{
    char *why =
        mw_arena_printf(d->steps.arena, "alarm %.*s shows that both have the same cause, %.*s",
                        MW_SLICE_FMT(d->alarm->id), MW_SLICE_FMT(d->record.input.suspect));
    mw_err err = why ? MW_OK : MW_E_NOMEM;
    for (size_t i = 0; err == MW_OK && i < d->decision.join_count; i++)
        err = mw_steps_merge(&d->steps, d->record.candidates[d->decision.joins[i]].investigation_id,
                             d->decision.investigation_id, MW_REASON_MERGED, mw_slice_of(why));
    return err;
}

/* Said once a pair: a storm would say it with every alarm. */
static bool is_proposed(mw_triage *triage, mw_slice one, mw_slice other)
{
    char pair[2 * MW_ID_TEXT_SIZE];
    bool ordered = mw_slice_compare(one, other) < 0;
    snprintf(pair, sizeof pair, "%.*s%.*s", MW_SLICE_FMT(ordered ? one : other),
             MW_SLICE_FMT(ordered ? other : one));
    for (size_t i = 0; i < MW_PROPOSALS_KEPT; i++)
        if (strcmp(triage->proposed[i], pair) == 0)
            return true;
    memcpy(triage->proposed[triage->proposed_next++ % MW_PROPOSALS_KEPT], pair, sizeof pair);
    return false;
}

static mw_err propose(deciding *d, mw_slice other)
{
    mw_slice id = d->decision.investigation_id;
    if (is_proposed(d->steps.triage, id, other))
        return MW_OK;
    char *text = mw_arena_printf(
        d->steps.arena,
        "alarm %.*s fits investigations %.*s and %.*s: if they are one incident, "
        "`midwatch investigation merge %.12s %.12s`",
        MW_SLICE_FMT(d->alarm->id), MW_SLICE_FMT(id), MW_SLICE_FMT(other), other.data, id.data);
    if (!text)
        return MW_E_NOMEM;
    mw_err err = mw_steps_journal(&d->steps, id, "SUGGESTION", mw_slice_of(text));
    return err == MW_OK ? mw_steps_journal(&d->steps, other, "SUGGESTION", mw_slice_of(text)) : err;
}

static mw_err open_incident(deciding *d)
{
    mw_err err = mw_steps_open(&d->steps, d->alarm, d->id);
    d->decision.investigation_id = mw_slice_of(d->id);
    d->wakes = true;
    if (err == MW_OK && d->record.input.is_suspect)
        err = mw_state_investigation_center(d->steps.tx, d->decision.investigation_id, d->service,
                                            MW_SLICE(""));
    return err;
}

static mw_err link(deciding *d)
{
    mw_slice id = d->decision.investigation_id;
    bool repeat = d->decision.reason_code == MW_REASON_SAME_SERVICE && !d->decision.centers;
    mw_err err = mw_steps_join(&d->steps, d->alarm, id, repeat, &d->wakes);
    if (err == MW_OK)
        err = mw_candidates_add(d->steps.triage->open, id, &d->member);
    if (err == MW_OK && d->decision.centers)
        err = center(d);
    if (err == MW_OK)
        err = merge_others(d);
    d->wakes |= d->decision.join_count > 0;
    for (size_t i = 0; err == MW_OK && i < d->decision.propose_count; i++)
        err = propose(d, d->record.candidates[d->decision.proposes[i]].investigation_id);
    return err;
}

static mw_err carry_out(deciding *d)
{
    mw_err err = MW_OK;
    if (d->decision.verdict == MW_VERDICT_PROCEED)
        err = open_incident(d);
    if (err == MW_OK)
        err = insert_decision(d);
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

/* On the state writer's thread. The incidents in memory are those that are committed, or about to
 * be with this transaction. */
static mw_err hold_open(mw_triage *triage, mw_state_tx *tx, mw_arena *arena)
{
    uint64_t undone = mw_state_undone(tx);
    bool stale = __atomic_exchange_n(&triage->open_stale, false, __ATOMIC_ACQ_REL);
    if (triage->open && !stale && triage->undone == undone)
        return MW_OK;
    mw_steps steps = {.triage = triage, .tx = tx, .arena = arena};
    mw_err err = mw_steps_load(&steps);
    triage->undone = undone;
    return err;
}

static mw_err decide_one(deciding *d, mw_outcome *out)
{
    d->steps.who = MW_SLICE("midwatch");
    d->steps.now_ns = mw_clock_wall_ns(d->steps.triage->clock);
    mw_err err = gather(d);
    if (err != MW_OK)
        return err;
    mw_decide(&d->record.input, &d->decision);
    err = carry_out(d);
    *out = (mw_outcome){.verdict = d->decision.verdict,
                        .code = d->decision.reason_code,
                        .wakes = d->wakes};
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
    mw_err err = hold_open(p->triage, tx, &arena);
    deciding *d = err == MW_OK ? mw_arena_zalloc(&arena, 1, sizeof *d) : NULL;
    if (d) {
        d->steps = (mw_steps){.triage = p->triage, .tx = tx, .arena = &arena};
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
    bool wakes = false;
    for (size_t i = 0; i < count; i++) {
        report(&outcomes[i]);
        wakes |= outcomes[i].wakes;
    }
    if (wakes)
        mw_triage_wake_runs(triage);
}

/* ---- a batch --------------------------------------------------------------------------------- */

static mw_err run_batch(mw_state_job *job, mw_state_tx *tx)
{
    batch *b = (batch *)(void *)job;
    mw_err err = hold_open(b->triage, tx, &b->arena);
    for (size_t i = 0; err == MW_OK && i < b->count; i++) {
        deciding *d = mw_arena_zalloc(&b->arena, 1, sizeof *d);
        if (!d) {
            err = MW_E_NOMEM;
            break;
        }
        d->steps = (mw_steps){.triage = b->triage, .tx = tx, .arena = &b->arena};
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

/* The window of an earlier alarm of the same minute, so that a batch sees one of each. */
static mw_window *held_window(const batch *b, size_t count, int64_t time_ns)
{
    uint32_t minute = mw_window_minute(time_ns);
    for (size_t i = count; i-- > 0;)
        if (b->windows[i]->minute == minute)
            return b->windows[i];
    return NULL;
}

/* As many alarms as there are windows for. Each window is held once, by its first alarm. */
static mw_err find_windows(batch *b)
{
    mw_topology_cache *cache = &b->triage->windows;
    for (size_t i = 0; i < b->count; i++) {
        int64_t time_ns = b->alarms[i].started_ns;
        b->windows[i] = held_window(b, i, time_ns);
        if (b->windows[i])
            continue;
        if (b->held_count == BATCH_WINDOWS) {
            b->count = i;
            break;
        }
        mw_err err = mw_topology_cache_get(cache, time_ns, &b->windows[i]);
        if (err != MW_OK)
            return err;
        b->held[b->held_count++] = b->windows[i];
    }
    MW_ASSERT(b->count > 0);
    return MW_OK;
}

static bool may_pass(mw_err err)
{
    return err == MW_E_IO || err == MW_E_NO_SPACE || err == MW_E_NOMEM || err == MW_E_BUSY ||
           err == MW_E_CLOSED;
}

/* What was decided in memory was not committed. An alarm that fails alone, and for a reason that
 * does not pass, waits for the next start. */
static mw_err give_up(batch *b, mw_err err)
{
    mw_triage *triage = b->triage;
    __atomic_store_n(&triage->open_stale, true, __ATOMIC_RELEASE);
    if (triage->one_by_one && !may_pass(err)) {
        MW_LOG(MW_LOG_ERROR, "triage", "an alarm cannot be decided and waits for the next start",
               MW_KV("alarm_id", b->alarms[0].id), MW_KV_ERR(err));
        __atomic_store_n(&triage->passed_over, b->alarms[0].seq, __ATOMIC_RELAXED);
    }
    triage->one_by_one = true;
    /* NOT_FOUND means "nothing to decide" to the caller; a vanished row is damage. */
    return err == MW_E_NOT_FOUND ? MW_E_CORRUPT : err;
}

static mw_err decide_batch(batch *b, bool *wakes)
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
    for (size_t i = 0; i < b->count; i++) {
        report(&b->outcomes[i]);
        *wakes |= b->outcomes[i].wakes;
    }
    return MW_OK;
}

mw_err mw_engine_decide_next(mw_triage *triage, bool *wakes)
{
    batch *b = mw_calloc(MW_MEM_STATE, 1, sizeof *b);
    if (!b)
        return MW_E_NOMEM;
    b->triage = triage;
    b->begun_mono_ns = mw_clock_mono_ns(triage->clock);
    mw_arena_init(&b->arena, MW_MEM_STATE, BATCH_MEMORY);
    mw_err err = decide_batch(b, wakes);
    for (size_t i = 0; i < b->held_count; i++)
        mw_topology_cache_release(&triage->windows, b->held[i]);
    mw_arena_reset(&b->arena);
    mw_free(MW_MEM_STATE, b);
    return err;
}
