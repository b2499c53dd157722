/* Where the paths to a cause begin. See entries.h. Runs on a pool thread. */
#include "triage/evidence/entries.h"

#include "lib/store/minutes.h"

/* In the sentence of a gap. */
#define CALLERS_NAMED 3

typedef struct search {
    mw_context *context;
    mw_slice *begins;
    size_t named, count;
} search;

static bool has_spans(const mw_context *context, mw_slice service)
{
    for (size_t i = 0; i < context->spans.service_count; i++)
        if (mw_slice_equal(context->spans.services[i], service))
            return true;
    return context->plan.spans.period_ns &&
           mw_store_window_names(context->view, &context->plan.spans, 1u << MW_SIGNAL_TRACES,
                                 service);
}

static bool is_silent(const search *s, mw_slice service)
{
    for (size_t i = 0; i < s->named; i++)
        if (mw_slice_equal(s->begins[i], service))
            return !has_spans(s->context, service);
    return false;
}

static bool is_known(const search *s, mw_slice service)
{
    for (size_t i = 0; i < s->count; i++)
        if (mw_slice_equal(s->begins[i], service))
            return true;
    return false;
}

static mw_err note_call(search *s, mw_slice caller, mw_slice callee)
{
    mw_findings *findings = s->context->findings;
    if (s->count == s->named + MW_ENTRY_CALLERS_MAX || !is_silent(s, callee) || is_known(s, caller))
        return MW_OK;
    mw_slice *to = &s->begins[s->count];
    *to = mw_arena_copy(s->context->arena, caller);
    callee = mw_arena_copy(s->context->arena, callee);
    if (!to->data || !callee.data)
        return MW_E_NOMEM;
    s->count++;
    if (findings->call_count < MW_CALLS_MAX)
        findings->calls[findings->call_count++] = (mw_call){*to, callee, 0, false};
    return MW_OK;
}

static mw_err note_seen(search *s, mw_store *store, const mw_store_stop *stop)
{
    const mw_context *context = s->context;
    mw_minutes minutes;
    mw_err err = mw_store_minutes(store, context->since_ns, context->until_ns, stop,
                                  s->context->arena, &minutes);
    for (size_t i = 0; err == MW_OK && i < minutes.cell_count; i++) {
        const mw_minute_cell *cell = &minutes.cells[i];
        if (cell->caller != MW_MINUTES_ENTRY)
            err = note_call(s, minutes.names[cell->caller], minutes.names[cell->callee]);
    }
    return err;
}

static mw_err tell(const search *s)
{
    mw_context *context = s->context;
    mw_slice names = MW_SLICE("");
    for (size_t i = s->named; i < s->count && i < s->named + CALLERS_NAMED; i++) {
        mw_slice one = mw_shown(context->arena, s->begins[i], 80);
        names = mw_sentence(context->arena, "%.*s%s%.*s", MW_SLICE_FMT(names),
                            i > s->named ? ", " : "", MW_SLICE_FMT(one));
        if (!names.data)
            return MW_E_NOMEM;
    }
    return mw_findings_gap(context->findings, MW_GAP_SERVICE_SILENT,
                           "an alarm is of a service without spans of its own: paths begin at "
                           "those that call it: %.*s%s",
                           MW_SLICE_FMT(names), s->count > s->named + CALLERS_NAMED ? "..." : "");
}

mw_err mw_entries_add_callers(mw_context *context, mw_store *store, const mw_store_stop *stop)
{
    search s = {.context = context, .named = context->begin_count, .count = context->begin_count};
    bool silent = false;
    mw_err err = MW_OK;
    for (size_t i = 0; i < s.named; i++)
        silent |= !has_spans(context, context->begins[i]);
    if (!silent || !context->spans.count)
        return MW_OK;
    s.begins = mw_arena_zalloc(context->arena, s.named + MW_ENTRY_CALLERS_MAX, sizeof *s.begins);
    if (!s.begins)
        return MW_E_NOMEM;
    memcpy(s.begins, context->begins, s.named * sizeof *s.begins);
    err = note_seen(&s, store, stop);
    for (size_t i = 0; err == MW_OK && i < context->imported_count; i++)
        err = note_call(&s, context->imported[i].caller, context->imported[i].callee);
    if (err != MW_OK || s.count == s.named)
        return err;
    context->begins = s.begins;
    context->begin_count = s.count;
    return tell(&s);
}
