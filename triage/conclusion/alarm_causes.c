/* The causes of an alarm: what its services reach by calls first, all else behind and never with
 * confidence. See causes.h. Pure; runs on a pool thread.
 *
 * Both parts are ranked by themselves: a fault that has nothing to do with the alarm must not
 * choose the signal by which the alarm's own services are compared.
 */
#include <math.h>

#include "triage/conclusion/causes.h"
#include "triage/evidence/reach.h"

/* Below what is PROBABLE (causes.c): something is wrong, but why would this alarm be of it? */
#define UNTIED_CONFIDENCE 0.25
/* Of the last that is tied: behind all of them. */
#define UNTIED_SHARE 0.1
/* What stands out of everything may be what an alarm without a service is of, or not. */
#define UNNAMED_CONFIDENCE 0.5
/* In the sentence of a gap; all are among the candidates. */
#define NAMED_MAX 3

/* Does one that is reached wait for somebody that nobody names? That may be any that sends no
 * spans, since the calls to it are not seen. */
static bool waits_for_unseen(const mw_findings *findings, const mw_reach *reach)
{
    for (size_t i = 0; i < findings->count; i++)
        if (findings->items[i].waits && !findings->items[i].peer.len &&
            mw_reach_has(reach, findings->items[i].service))
            return true;
    return false;
}

/* The findings of services that are reached, or of the others. The copy is as large as the
 * original, which an investigation has once. */
static mw_findings *part_of(const mw_findings *findings, const mw_reach *reach, bool reached)
{
    mw_findings *part = mw_arena_alloc(findings->arena, sizeof *part);
    bool unseen = waits_for_unseen(findings, reach);
    if (!part)
        return NULL;
    *part = *findings;
    part->count = 0;
    for (size_t i = 0; i < findings->count; i++)
        if ((mw_reach_has(reach, findings->items[i].service) ||
             (unseen && findings->items[i].silent)) == reached)
            part->items[part->count++] = findings->items[i];
    return part;
}

static void append(mw_causes *out, const mw_causes *untied)
{
    double scale = 1;
    if (out->count)
        scale = UNTIED_SHARE * out->items[out->count - 1].score;
    if (out->count && untied->count)
        scale /= untied->items[0].score;
    if (!out->count) {
        out->onset_ns = untied->onset_ns;
        out->confidence = fmin(untied->confidence, UNTIED_CONFIDENCE);
    }
    for (size_t i = 0; i < untied->count && out->count < MW_CAUSES_MAX; i++) {
        mw_ranked_cause *cause = &out->items[out->count++];
        *cause = untied->items[i];
        cause->score *= scale;
        cause->untied = true;
    }
    for (size_t i = 0; i < untied->ruled_out_count && out->ruled_out_count < MW_RULED_OUT_MAX; i++)
        out->ruled_out[out->ruled_out_count++] = untied->ruled_out[i];
}

static mw_err rank_unnamed(const mw_findings *findings, mw_causes *out)
{
    mw_err err = mw_causes_rank(findings, MW_SLICE(""), out);
    out->confidence = fmin(out->confidence, UNNAMED_CONFIDENCE);
    return err;
}

mw_err mw_causes_of_alarm(const mw_findings *findings, const mw_alarmed *alarmed, mw_causes *out)
{
    mw_causes untied;
    mw_reach reach;
    if (!alarmed->count)
        return rank_unnamed(findings, out);
    mw_err err = mw_reach_make(findings, alarmed->services, alarmed->count, &reach);
    if (err != MW_OK)
        return err;
    const mw_findings *near = part_of(findings, &reach, true);
    const mw_findings *far = part_of(findings, &reach, false);
    if (!near || !far)
        return MW_E_NOMEM;
    err = mw_causes_rank(near, alarmed->entry, out);
    if (err == MW_OK)
        err = mw_causes_rank(far, MW_SLICE(""), &untied);
    if (err == MW_OK)
        append(out, &untied);
    return err;
}

mw_err mw_causes_tell_untied(mw_findings *findings, mw_slice entry, const mw_causes *causes)
{
    mw_arena *arena = findings->arena;
    mw_slice names = MW_SLICE(""), from = mw_shown(arena, entry, 120);
    size_t named = 0;
    if (causes->probable)
        return MW_OK;
    for (size_t i = 0; i < causes->count && named < NAMED_MAX; i++) {
        if (!causes->items[i].untied)
            continue;
        mw_slice one = mw_shown(arena, causes->items[i].service, 80);
        names = mw_sentence(arena, "%.*s%s%.*s", MW_SLICE_FMT(names), named++ ? ", " : "",
                            MW_SLICE_FMT(one));
        if (!names.data)
            return MW_E_NOMEM;
    }
    if (!named)
        return MW_OK;
    return mw_findings_gap(findings, MW_GAP_NO_PATH,
                           "no known call leads from %.*s to what else is wrong: %.*s",
                           MW_SLICE_FMT(from), MW_SLICE_FMT(names));
}
