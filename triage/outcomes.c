/* What a decision means for incidents beyond the alarm's own place: what an incident is about,
 * which are one, and which may be. See deciding.h. On the state writer's thread. */
#include "lib/state/looks.h"
#include "lib/state/plans.h"
#include "triage/deciding.h"

/* The alarm's own service is where the trouble ends: the incident is about it from now on. */
mw_err mw_deciding_center(mw_deciding *d)
{
    mw_incident_row row;
    mw_slice id = d->decision.investigation_id;
    mw_err err = mw_state_incident_get(d->steps.tx, id, d->steps.arena, &row);
    if (err != MW_OK || mw_slice_equal(row.center, d->service))
        return err;
    char *text = mw_arena_printf(
        d->steps.arena,
        "centred on %.*s, the service of alarm %.*s: the trouble of the others ends there (before: "
        "%.*s)",
        MW_SLICE_FMT(d->service), MW_SLICE_FMT(d->alarm->id),
        MW_SLICE_FMT(row.center.len ? row.center : MW_SLICE("no service known as the cause")));
    if (!text)
        return MW_E_NOMEM;
    err = mw_state_investigation_center(d->steps.tx, id, d->service, d->alarm->title);
    return err == MW_OK ? mw_steps_journal(&d->steps, id, "ACTION", mw_slice_of(text)) : err;
}

mw_err mw_deciding_merge(mw_deciding *d)
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

/* A person's: claimed, or its plan was judged. */
static mw_err is_in_hand(mw_steps *s, mw_slice id, bool *out)
{
    mw_incident_row incident;
    mw_plan_row plan;
    mw_err err = mw_state_incident_get(s->tx, id, s->arena, &incident);
    if (err != MW_OK)
        return err;
    *out = incident.owner.len > 0;
    err = mw_state_plan_get(s->tx, id, s->arena, &plan);
    if (err == MW_E_NOT_FOUND)
        return MW_OK;
    *out |= err == MW_OK && plan.judged_ns != 0;
    return err;
}

typedef struct weight {
    bool in_hand;
    uint64_t members;
    mw_investigation_row row;
} weight;

static mw_err weigh(mw_steps *s, mw_slice id, weight *out)
{
    mw_err err = is_in_hand(s, id, &out->in_hand);
    if (err == MW_OK)
        err = mw_state_members_count(s->tx, id, &out->members);
    return err == MW_OK ? mw_state_investigation_get(s->tx, id, s->arena, &out->row) : err;
}

mw_err mw_deciding_order(mw_deciding *d, mw_slice one, mw_slice other, mw_slice *from,
                         mw_slice *into)
{
    weight a, b;
    mw_err err = weigh(&d->steps, one, &a);
    if (err == MW_OK)
        err = weigh(&d->steps, other, &b);
    if (err != MW_OK)
        return err;
    bool gives = b.row.created_ns <= a.row.created_ns;
    if (a.in_hand != b.in_hand)
        gives = b.in_hand;
    else if (a.members != b.members)
        gives = b.members > a.members;
    *from = gives ? one : other;
    *into = gives ? other : one;
    return MW_OK;
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

mw_err mw_deciding_propose(mw_deciding *d, mw_slice other)
{
    mw_slice from, into, id = d->decision.investigation_id;
    if (is_proposed(d->steps.triage, id, other))
        return MW_OK;
    mw_err err = mw_deciding_order(d, id, other, &from, &into);
    if (err != MW_OK)
        return err;
    char *text = mw_arena_printf(
        d->steps.arena,
        "alarm %.*s fits investigations %.*s and %.*s: if they are one incident, "
        "`midwatch investigation merge %.12s %.12s`",
        MW_SLICE_FMT(d->alarm->id), MW_SLICE_FMT(id), MW_SLICE_FMT(other), from.data, into.data);
    if (!text)
        return MW_E_NOMEM;
    err = mw_steps_journal(&d->steps, id, "SUGGESTION", mw_slice_of(text));
    return err == MW_OK ? mw_steps_journal(&d->steps, other, "SUGGESTION", mw_slice_of(text)) : err;
}
