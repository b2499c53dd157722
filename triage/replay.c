/* One decision again (promise 4). See triage.h. Reads only; pool threads.
 *
 * First from its stored inputs, which must give the same text: verdict, reason, score, parts and
 * candidates; and so each second look at it, with what came of it. Then the telemetry it saw is
 * asked of the store again. That tells of the same minutes as of now: what was committed later,
 * removed as a repeat or retired is a drift, and is named with the two commit sequences between
 * which it happened. */
#include "lib/state/looks.h"
#include "triage/decision/second_look.h"
#include "triage/steps.h"

/* Drifts of one decision: each suspect gone, come or changed, and two words about the whole. */
#define DRIFTS_MAX (2 * MW_SUSPECTS_MAX + 4)

typedef struct replay {
    mw_arena *arena;
    mw_alarm_row alarm;
    mw_decision_row decision;
    mw_decision_step first; /* the decision as it was taken */
    mw_decision_record record;
    mw_look_row *looks; /* second looks, oldest first */
    size_t look_count;
    mw_slice drifts[DRIFTS_MAX];
    size_t drift_count;
    mw_err err;
} replay;

/* ---- reading --------------------------------------------------------------------------------- */

static mw_err read_first(replay *r, mw_state_tx *tx)
{
    mw_decision_step *steps = NULL;
    size_t count = 0;
    mw_err err = mw_state_decision_steps(tx, r->alarm.id, r->arena, &steps, &count);
    if (err != MW_OK)
        return err;
    r->first = (mw_decision_step){.verdict = r->decision.verdict,
                                  .reason_code = r->decision.reason_code,
                                  .reason = r->decision.reason,
                                  .investigation_id = r->decision.investigation_id};
    if (count)
        r->first = steps[0];
    return MW_OK;
}

static mw_err read_all(replay *r, mw_state *state, mw_slice alarm_id, mw_detail *detail)
{
    mw_state_tx *tx;
    mw_err err = mw_state_read_begin(state, &tx);
    if (err != MW_OK)
        return err;
    err = mw_state_alarm_get(tx, alarm_id, r->arena, &r->alarm);
    if (err == MW_OK) {
        err = mw_state_decision_get(tx, r->alarm.id, r->arena, &r->decision);
        if (err == MW_E_NOT_FOUND)
            err = mw_detail_set(detail, MW_E_CONFLICT, "alarm", "try again in a moment",
                                "the alarm is not decided yet");
    }
    if (err == MW_OK)
        err = read_first(r, tx);
    if (err == MW_OK)
        err = mw_state_looks(tx, r->alarm.id, r->arena, &r->looks, &r->look_count);
    mw_state_read_end(tx);
    return err;
}

/* ---- from stored inputs ---------------------------------------------------------------------- */

static mw_slice differs(replay *r, const char *what, mw_slice stored, mw_slice again)
{
    char *text = mw_arena_printf(r->arena, "%s: stored \"%.*s\", again \"%.*s\"", what,
                                 MW_SLICE_FMT(stored), MW_SLICE_FMT(again));
    if (!text) {
        r->err = MW_E_NOMEM;
        return MW_SLICE("");
    }
    return mw_slice_of(text);
}

/* Bit for bit is what a replay promises (DESIGN 3, promise 4). */
static uint64_t bits_of(double value)
{
    uint64_t bits;
    memcpy(&bits, &value, sizeof bits);
    return bits;
}

/* A new investigation's name is chance and no part of the decision. */
static mw_slice compare(replay *r, const mw_decision *again, mw_slice text)
{
    mw_slice verdict = mw_slice_of(mw_verdict_name(again->verdict));
    mw_slice code = mw_slice_of(mw_reason_code_name(again->reason_code));
    if (!mw_slice_equal(r->first.verdict, verdict))
        return differs(r, "verdict", r->first.verdict, verdict);
    if (!mw_slice_equal(r->first.reason_code, code))
        return differs(r, "reason_code", r->first.reason_code, code);
    if (!mw_slice_equal(r->first.reason, mw_slice_of(again->reason)))
        return differs(r, "reason", r->first.reason, mw_slice_of(again->reason));
    if (again->verdict != MW_VERDICT_PROCEED &&
        !mw_slice_equal(r->first.investigation_id, again->investigation_id))
        return differs(r, "investigation", r->first.investigation_id, again->investigation_id);
    if (r->decision.scored != again->scored ||
        (again->scored && (bits_of(r->decision.score) != bits_of(again->score) ||
                           bits_of(r->decision.threshold) != bits_of(again->threshold))))
        return MW_SLICE("score or threshold");
    if (!mw_slice_equal(r->decision.detail_json, text))
        return MW_SLICE("parts or candidates");
    return MW_SLICE("");
}

static mw_err decide_again(replay *r, mw_slice *difference)
{
    mw_decision again;
    mw_slice text;
    mw_err err = mw_decision_read(r->decision.detail_json, r->arena, &r->record);
    if (err == MW_E_CORRUPT) {
        *difference = MW_SLICE("the stored inputs cannot be read: they are of another version");
        return MW_OK;
    }
    if (err != MW_OK)
        return err;
    mw_decide(&r->record.input, &again);
    err = mw_decision_write(&r->record, &again, r->arena, &text);
    if (err == MW_OK)
        *difference = compare(r, &again, text);
    return err == MW_OK ? r->err : err;
}

static mw_slice compare_look(replay *r, const mw_look_row *look, const mw_decision_record *record,
                             const mw_decision *again, mw_slice text)
{
    mw_looked done =
        mw_look_conclude(&record->input, again, look->own_id, (size_t)look->others, look->in_hand);
    mw_slice code = mw_slice_of(mw_reason_code_name(again->reason_code));
    mw_slice name = mw_slice_of(mw_look_name(done.look));
    if (!mw_slice_equal(look->reason_code, code))
        return differs(r, "second look, reason_code", look->reason_code, code);
    if (!mw_slice_equal(look->reason, mw_slice_of(again->reason)))
        return differs(r, "second look, reason", look->reason, mw_slice_of(again->reason));
    if (!mw_slice_equal(look->look, name))
        return differs(r, "second look", look->look, name);
    if (!mw_slice_equal(look->into_id, done.into))
        return differs(r, "second look, investigation", look->into_id, done.into);
    if (again->scored && bits_of(look->score) != bits_of(again->score))
        return MW_SLICE("score of a second look");
    if (!mw_slice_equal(look->detail_json, text))
        return MW_SLICE("parts or candidates of a second look");
    return MW_SLICE("");
}

static mw_err look_once_more(replay *r, const mw_look_row *look, mw_slice *difference)
{
    mw_decision again;
    mw_slice text;
    mw_decision_record *record = mw_arena_zalloc(r->arena, 1, sizeof *record);
    mw_err err = record ? mw_decision_read(look->detail_json, r->arena, record) : MW_E_NOMEM;
    if (err == MW_E_CORRUPT) {
        *difference = MW_SLICE("the stored inputs of a second look cannot be read");
        return MW_OK;
    }
    if (err != MW_OK)
        return err;
    mw_decide(&record->input, &again);
    err = mw_decision_write(record, &again, r->arena, &text);
    if (err == MW_OK)
        *difference = compare_look(r, look, record, &again, text);
    return err == MW_OK ? r->err : err;
}

/* ---- from the store -------------------------------------------------------------------------- */

static void add_drift(replay *r, const char *text)
{
    if (!text)
        r->err = MW_E_NOMEM;
    else if (r->drift_count < DRIFTS_MAX)
        r->drifts[r->drift_count++] = mw_slice_of(text);
}

static const mw_seen_suspect *find_suspect(const mw_telemetry_seen *seen, mw_slice service)
{
    for (size_t i = 0; i < seen->suspect_count; i++)
        if (mw_slice_equal(seen->suspects[i].service, service))
            return &seen->suspects[i];
    return NULL;
}

static void compare_suspect(replay *r, const mw_seen_suspect *then, const mw_seen_suspect *now)
{
    const mw_change *a = &then->change, *b = &now->change;
    if (a->calls != b->calls || a->errors != b->errors)
        add_drift(r, mw_arena_printf(r->arena,
                                     "%.*s: %llu calls and %llu errors then, %llu and %llu now",
                                     MW_SLICE_FMT(then->service), (unsigned long long)a->calls,
                                     (unsigned long long)a->errors, (unsigned long long)b->calls,
                                     (unsigned long long)b->errors));
    else if (a->onset != b->onset || a->state != b->state)
        add_drift(r, mw_arena_printf(r->arena, "%.*s: its trouble began at another minute",
                                     MW_SLICE_FMT(then->service)));
}

static void compare_seen(replay *r, const mw_telemetry_seen *now)
{
    const mw_telemetry_seen *then = &r->record.seen;
    if (then->read != now->read)
        add_drift(r, now->read ? "the telemetry can be read now" : "it cannot be read any more");
    else if (then->known != now->known)
        add_drift(r, now->known ? "there is telemetry of the service now"
                                : "there is no telemetry of the service any more (retired?)");
    for (size_t i = 0; i < then->suspect_count; i++) {
        const mw_seen_suspect *other = find_suspect(now, then->suspects[i].service);
        if (other)
            compare_suspect(r, &then->suspects[i], other);
        else
            add_drift(r, mw_arena_printf(r->arena, "%.*s is no suspect any more",
                                         MW_SLICE_FMT(then->suspects[i].service)));
    }
    for (size_t i = 0; i < now->suspect_count; i++)
        if (!find_suspect(then, now->suspects[i].service))
            add_drift(r, mw_arena_printf(r->arena, "%.*s is a suspect now",
                                         MW_SLICE_FMT(now->suspects[i].service)));
}

static mw_err look_again(replay *r, mw_triage *triage, uint64_t *as_of)
{
    mw_window window = {.read = false};
    mw_telemetry_seen now = {.read = false};
    uint32_t node;
    mw_arena_init(&window.arena, MW_MEM_QUERY, MW_WINDOW_BYTES_MAX);
    mw_err err = mw_window_make(triage->store, triage->state, r->alarm.started_ns, &window);
    if (err == MW_OK) {
        mw_slice service = r->record.input.service;
        now.read = window.read;
        *as_of = window.as_of;
        if (service.len && mw_topology_find(window.topology, service, &node))
            mw_telemetry_see(window.topology, mw_topology_standing(window.topology, node), &now);
        compare_seen(r, &now);
    }
    mw_arena_reset(&window.arena);
    return err == MW_OK ? r->err : err;
}

mw_err mw_triage_replay(mw_triage *triage, mw_slice alarm_id, mw_arena *arena, mw_replayed *out,
                        mw_detail *detail)
{
    replay *r = mw_arena_zalloc(arena, 1, sizeof *r);
    if (!r)
        return MW_E_NOMEM;
    r->arena = arena;
    *out = (mw_replayed){.difference = MW_SLICE("")};
    mw_err err = read_all(r, triage->state, alarm_id, detail);
    if (err == MW_OK)
        err = decide_again(r, &out->difference);
    for (size_t i = 0; err == MW_OK && !out->difference.len && i < r->look_count; i++)
        err = look_once_more(r, &r->looks[i], &out->difference);
    if (err == MW_OK)
        err = look_again(r, triage, &out->as_of_now);
    out->same = out->difference.len == 0;
    out->drifts = r->drifts;
    out->drift_count = r->drift_count;
    out->as_of_then = r->decision.as_of;
    return err;
}
