/* Where known calls lead. See reach.h. Pure; runs on a pool thread. */
#include "triage/evidence/reach.h"

#include <stdlib.h>

typedef struct step {
    size_t from, to;
} step;

static int by_text(const void *left, const void *right)
{
    return mw_slice_compare(*(const mw_slice *)left, *(const mw_slice *)right);
}

static const mw_slice *find(const mw_reach *reach, mw_slice service)
{
    if (!reach->count)
        return NULL;
    return bsearch(&service, reach->names, reach->count, sizeof *reach->names, by_text);
}

static size_t place_of(const mw_reach *reach, mw_slice service)
{
    const mw_slice *found = find(reach, service);
    MW_ASSERT(found);
    return (size_t)(found - reach->names);
}

static void sort_names(mw_reach *reach)
{
    size_t kept = 0;
    if (reach->count > 1)
        qsort(reach->names, reach->count, sizeof *reach->names, by_text);
    for (size_t i = 0; i < reach->count; i++)
        if (!kept || !mw_slice_equal(reach->names[kept - 1], reach->names[i]))
            reach->names[kept++] = reach->names[i];
    reach->count = kept;
}

/* A pass more for each call of depth, bounded by the services. */
static void follow(mw_reach *reach, const mw_findings *findings, const step *steps)
{
    bool changed = true;
    for (size_t pass = 0; changed && pass < reach->count; pass++) {
        changed = false;
        for (size_t i = 0; i < findings->call_count; i++) {
            bool *from = &reach->reached[steps[i].from], *to = &reach->reached[steps[i].to];
            if (*from && !*to)
                *to = changed = true;
            if (findings->calls[i].message && *to && !*from)
                *from = changed = true;
        }
    }
}

mw_err mw_reach_make(const mw_findings *findings, const mw_slice *from, size_t count, mw_reach *out)
{
    mw_arena *arena = findings->arena;
    size_t calls = findings->call_count;
    *out = (mw_reach){.names = mw_arena_zalloc(arena, count + 2 * calls + 1, sizeof *out->names),
                      .reached = mw_arena_zalloc(arena, count + 2 * calls + 1, sizeof(bool))};
    step *steps = mw_arena_zalloc(arena, calls + 1, sizeof *steps);
    if (!out->names || !out->reached || !steps)
        return MW_E_NOMEM;
    for (size_t i = 0; i < count; i++)
        out->names[out->count++] = from[i];
    for (size_t i = 0; i < calls; i++) {
        out->names[out->count++] = findings->calls[i].caller;
        out->names[out->count++] = findings->calls[i].callee;
    }
    sort_names(out);
    for (size_t i = 0; i < calls; i++)
        steps[i] = (step){place_of(out, findings->calls[i].caller),
                          place_of(out, findings->calls[i].callee)};
    for (size_t i = 0; i < count; i++)
        out->reached[place_of(out, from[i])] = from[i].len > 0;
    follow(out, findings, steps);
    return MW_OK;
}

bool mw_reach_has(const mw_reach *reach, mw_slice service)
{
    const mw_slice *found = find(reach, service);
    return found && reach->reached[found - reach->names];
}
