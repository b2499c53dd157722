/* Changes of incidents inside a transaction. See steps.h. */
#include "triage/steps.h"

/* Rows of one member at a time; a description of 32 KiB at most is left out by the question. */

void mw_steps_window(int64_t started_ns, int64_t *start_ns, int64_t *end_ns)
{
    *start_ns =
        started_ns > MW_TRIAGE_WINDOW_BEFORE_NS ? started_ns - MW_TRIAGE_WINDOW_BEFORE_NS : 0;
    *end_ns = started_ns < INT64_MAX - MW_TRIAGE_WINDOW_AFTER_NS
                  ? started_ns + MW_TRIAGE_WINDOW_AFTER_NS
                  : INT64_MAX - 1;
}

mw_err mw_steps_journal(mw_steps *steps, mw_slice investigation_id, const char *type, mw_slice text)
{
    char id[MW_ID_TEXT_SIZE];
    mw_id_new(id);
    mw_journal_row row = {.record_id = mw_slice_of(id),
                          .time_ns = steps->now_ns,
                          .type = mw_slice_of(type),
                          .text = text,
                          .evidence_json = MW_SLICE("[]")};
    return mw_state_journal_insert(steps->tx, investigation_id, &row);
}

mw_err mw_steps_open(mw_steps *steps, const mw_alarm_row *alarm, char id[MW_ID_TEXT_SIZE])
{
    mw_id_new(id);
    mw_investigation_row row = {.id = mw_slice_of(id),
                                .space = alarm->space,
                                .title = alarm->title,
                                .status = MW_SLICE("PENDING_START"),
                                .incident_state = MW_SLICE("open"),
                                .priority = alarm->priority,
                                .created_ns = steps->now_ns};
    mw_steps_window(alarm->started_ns, &row.window_start_ns, &row.window_end_ns);
    return mw_state_investigation_insert(steps->tx, &row);
}

mw_err mw_steps_join(mw_steps *steps, const mw_alarm_row *alarm, mw_slice investigation_id,
                     bool repeat, bool *changed)
{
    int64_t start_ns, end_ns;
    mw_steps_window(alarm->started_ns, &start_ns, &end_ns);
    return mw_state_investigation_join(steps->tx, investigation_id, start_ns, end_ns,
                                       alarm->priority, repeat ? alarm->started_ns : 0, changed);
}

mw_err mw_steps_change(mw_steps *steps, mw_slice alarm_id, mw_reason_code code, mw_slice reason,
                       mw_slice investigation_id)
{
    mw_decision_step step = {.time_ns = steps->now_ns,
                             .verdict = mw_slice_of(mw_verdict_name(mw_reason_verdict(code))),
                             .reason_code = mw_slice_of(mw_reason_code_name(code)),
                             .reason = reason,
                             .investigation_id = investigation_id,
                             .who = steps->who};
    return mw_state_decision_change(steps->tx, alarm_id, &step);
}

mw_err mw_steps_settle(mw_steps *steps, mw_slice investigation_id)
{
    return mw_state_investigation_settle(steps->tx, investigation_id, steps->now_ns);
}

/* ---- merging --------------------------------------------------------------------------------- */

static mw_err move_members(mw_steps *steps, mw_slice from, mw_slice into, mw_reason_code code,
                           mw_slice why)
{
    mw_alarm_row *alarms = NULL;
    size_t count = 0;
    mw_err err = mw_state_alarm_of_investigation(steps->tx, from, steps->arena, &alarms, &count);
    for (size_t i = 0; err == MW_OK && i < count; i++) {
        err = mw_steps_change(steps, alarms[i].id, code, why, into);
        if (err == MW_OK)
            err = mw_steps_join(steps, &alarms[i], into, false, NULL);
    }
    return err;
}

mw_err mw_steps_merge(mw_steps *steps, mw_slice from, mw_slice into, mw_reason_code code,
                      mw_slice why)
{
    char *gave = mw_arena_printf(steps->arena, "merged into investigation %.*s: %.*s",
                                 MW_SLICE_FMT(into), MW_SLICE_FMT(why));
    char *took = mw_arena_printf(steps->arena, "took in investigation %.*s with its alarms: %.*s",
                                 MW_SLICE_FMT(from), MW_SLICE_FMT(why));
    if (!gave || !took)
        return MW_E_NOMEM;
    mw_err err = move_members(steps, from, into, code, why);
    if (err == MW_OK)
        err = mw_state_investigation_end(steps->tx, from, into, steps->now_ns);
    if (err == MW_OK)
        err = mw_steps_journal(steps, from, "ACTION", mw_slice_of(gave));
    if (err == MW_OK)
        err = mw_steps_journal(steps, into, "ACTION", mw_slice_of(took));
    if (err == MW_OK)
        err = mw_steps_settle(steps, into);
    if (err == MW_OK)
        err = mw_steps_refresh(steps, from);
    return err == MW_OK ? mw_steps_refresh(steps, into) : err;
}

/* ---- incidents in memory --------------------------------------------------------------------- */

mw_err mw_steps_member(mw_arena *arena, const mw_telemetry_seen *seen, mw_slice resources_json,
                       mw_member *out)
{
    mw_slice *resources;
    mw_member_suspect *suspects = mw_arena_zalloc(arena, MW_SUSPECTS_MAX, sizeof *suspects);
    if (!suspects)
        return MW_E_NOMEM;
    for (size_t i = 0; i < seen->suspect_count; i++)
        if (seen->newest[i])
            suspects[out->suspect_count++] =
                (mw_member_suspect){seen->suspects[i].service, seen->suspects[i].change.onset};
    out->suspects = suspects;
    out->known = seen->known;
    mw_err err = mw_texts_read(resources_json, arena, &resources, &out->resource_count);
    out->resources = resources;
    return err;
}

typedef struct taking {
    mw_candidates *set;
    mw_slice without; /* an alarm that is left out; empty = none */
} taking;

static mw_err take_member(void *ctx, const mw_open_member *row)
{
    const taking *t = ctx;
    mw_arena arena;
    if (t->without.len && mw_slice_equal(row->alarm_id, t->without))
        return MW_OK;
    mw_arena_init(&arena, MW_MEM_STATE, 0);
    mw_decision_record *record = mw_arena_zalloc(&arena, 1, sizeof *record);
    mw_member member = {.service = row->service,
                        .region = row->region,
                        .title = row->title,
                        .started_ns = row->started_ns};
    mw_err err = record ? mw_decision_read(row->detail_json, &arena, record) : MW_E_NOMEM;
    if (err == MW_E_CORRUPT) { /* of an old version: it had no telemetry to tell of */
        memset(record, 0, sizeof *record);
        err = MW_OK;
    }
    if (err == MW_OK && !member.service.len)
        member.service = record->input.service;
    if (err == MW_OK)
        err = mw_steps_member(&arena, &record->seen, row->resources_json, &member);
    if (err == MW_OK)
        err = mw_candidates_add(t->set, row->investigation_id, &member);
    mw_arena_reset(&arena);
    return err;
}

mw_err mw_steps_load(mw_steps *steps)
{
    mw_candidates *set = mw_candidates_new();
    if (!set)
        return MW_E_NOMEM;
    taking all = {set, MW_SLICE("")};
    mw_err err = mw_state_open_members(steps->tx, MW_SLICE(""), take_member, &all);
    if (err != MW_OK) {
        mw_candidates_free(set);
        return err;
    }
    mw_candidates_free(steps->triage->open);
    steps->triage->open = set;
    return MW_OK;
}

mw_err mw_steps_ready(mw_steps *steps)
{
    mw_triage *triage = steps->triage;
    uint64_t undone = mw_state_undone(steps->tx);
    bool stale = __atomic_exchange_n(&triage->open_stale, false, __ATOMIC_ACQ_REL);
    if (triage->open && !stale && triage->undone == undone)
        return MW_OK;
    mw_err err = mw_steps_load(steps);
    if (err == MW_OK)
        triage->undone = undone;
    else
        __atomic_store_n(&triage->open_stale, true, __ATOMIC_RELEASE);
    return err;
}

mw_err mw_steps_refresh_without(mw_steps *steps, mw_slice investigation_id, mw_slice alarm_id)
{
    taking all = {steps->triage->open, alarm_id};
    if (!all.set) /* made in full before the next decision */
        return MW_OK;
    mw_candidates_remove(all.set, investigation_id);
    return mw_state_open_members(steps->tx, investigation_id, take_member, &all);
}

mw_err mw_steps_refresh(mw_steps *steps, mw_slice investigation_id)
{
    return mw_steps_refresh_without(steps, investigation_id, MW_SLICE(""));
}
