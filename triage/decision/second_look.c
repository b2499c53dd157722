/* A second look at a decision. See second_look.h. Pure. */
#include "triage/decision/second_look.h"

#include <xxhash.h>

static const char *const names[MW_LOOK_COUNT] = {
    [MW_LOOK_STAYS] = "stays",   [MW_LOOK_MERGES] = "merges",     [MW_LOOK_MOVES] = "moves",
    [MW_LOOK_LEAVES] = "leaves", [MW_LOOK_SUGGESTS] = "suggests",
};

const char *mw_look_name(mw_look look)
{
    MW_ASSERT((unsigned)look < MW_LOOK_COUNT);
    return names[look];
}

/* ---- is there something new ------------------------------------------------------------------ */

/* Suspects are in order of their names. */
uint64_t mw_look_print(const mw_telemetry_seen *seen)
{
    uint64_t print = seen->known;
    for (size_t i = 0; i < seen->suspect_count; i++) {
        const mw_seen_suspect *suspect = &seen->suspects[i];
        if (seen->newest[i])
            print = XXH3_64bits_withSeed(suspect->service.data, suspect->service.len,
                                         print ^ (uint64_t)suspect->change.onset << 1);
    }
    return print;
}

bool mw_look_differs(const mw_telemetry_seen *before, const mw_telemetry_seen *now)
{
    /* When it cannot be read now nothing is known better than before. */
    return now->read && mw_look_print(before) != mw_look_print(now);
}

/* ---- what it means --------------------------------------------------------------------------- */

static size_t place_of(const mw_decision_input *input, mw_slice id)
{
    size_t at = 0;
    while (at < input->candidate_count &&
           !mw_slice_equal(input->candidates[at].investigation_id, id))
        at++;
    return at;
}

static bool is_among(const size_t *places, size_t count, size_t place)
{
    for (size_t i = 0; i < count; i++)
        if (places[i] == place)
            return true;
    return false;
}

/* It fits somewhere. `place` is its own incident's among the candidates. */
static mw_looked conclude_link(const mw_decision_input *input, const mw_decision *again,
                               size_t place)
{
    bool fits = again->weighed[place].fits;
    mw_slice into = again->investigation_id;
    bool here = mw_slice_equal(into, input->candidates[place].investigation_id);
    if (here && again->join_count)
        return (mw_looked){MW_LOOK_MERGES, input->candidates[again->joins[0]].investigation_id};
    if (here && again->propose_count)
        return (mw_looked){MW_LOOK_SUGGESTS,
                           input->candidates[again->proposes[0]].investigation_id};
    if (here)
        return (mw_looked){MW_LOOK_STAYS, MW_SLICE("")};
    if (fits && is_among(again->joins, again->join_count, place))
        return (mw_looked){MW_LOOK_MERGES, into};
    if (fits || input->candidates[place].cause != MW_CAUSE_OTHER)
        return (mw_looked){MW_LOOK_SUGGESTS, into};
    return (mw_looked){MW_LOOK_MOVES, into};
}

static mw_looked conclude(const mw_decision_input *input, const mw_decision *again, mw_slice own,
                          size_t others)
{
    size_t place = place_of(input, own);
    bool links = again->verdict == MW_VERDICT_LINKED;
    if (again->verdict == MW_VERDICT_SKIPPED)
        return (mw_looked){MW_LOOK_STAYS, MW_SLICE("")};
    if (!others)
        return links ? (mw_looked){MW_LOOK_MERGES, again->investigation_id}
                     : (mw_looked){MW_LOOK_STAYS, MW_SLICE("")};
    /* Too far from the others by now to be weighed at all: it was linked for another reason. */
    if (place == input->candidate_count)
        return (mw_looked){MW_LOOK_STAYS, MW_SLICE("")};
    if (links)
        return conclude_link(input, again, place);
    if (input->candidates[place].cause == MW_CAUSE_OTHER)
        return (mw_looked){MW_LOOK_LEAVES, MW_SLICE("")};
    return (mw_looked){MW_LOOK_SUGGESTS, MW_SLICE("")};
}

mw_looked mw_look_conclude(const mw_decision_input *input, const mw_decision *again, mw_slice own,
                           size_t others, bool in_hand)
{
    mw_looked out = conclude(input, again, own, others);
    if (in_hand && out.look != MW_LOOK_STAYS)
        out.look = MW_LOOK_SUGGESTS;
    return out;
}
