/* What a decision means for incidents beyond the alarm's own place: what an incident is about,
 * which are one, and which may be. See deciding.h. On the state writer's thread. */
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
