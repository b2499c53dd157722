/* The decision itself. Pure: no clock, no store, no memory of its own; any thread. */
#include "triage/decision/decision.h"

#include <stdio.h>

/* ---- the one table --------------------------------------------------------------------------- */

/* In this order: every other table of this file refers to a row by its place. */
enum {
    W_SAME_SERVICE,
    W_NEXT,
    W_TWO_CALLS,
    W_THREE_CALLS,
    W_FAR,
    W_SHARED,
    W_RESOURCE,
    W_CAUSE_SAME,
    W_CAUSE_RELATED,
    W_CAUSE_OTHER,
    W_CAUSE_UNAFFECTED,
    W_CAUSE_QUIET,
    W_TIME,
    W_REGION_SAME,
    W_REGION_UNKNOWN,
    W_REGION_OTHER,
    W_LABEL_RESOURCE,
    W_LABEL_TITLE,
    W_ROWS
};

const double mw_decision_threshold = 0.40;

const mw_weight_row mw_weight_rows[] = {
    [W_SAME_SERVICE] = {"component", "the same service", 0.44,
                        "links by itself within the look-back, whatever else is unknown"},
    [W_NEXT] = {"component", "caller or callee", 0.34,
                "trouble goes from a callee to its callers; links with a region or a close time"},
    [W_TWO_CALLS] = {"component", "two calls away", 0.26, "links when it is minutes away"},
    [W_THREE_CALLS] = {"component", "three calls away", 0.20,
                       "in a dense graph most services are: needs the same cause"},
    [W_FAR] = {"component", "four to six calls away", 0.14, "the same, more so"},
    [W_SHARED] = {"component", "both call the same service", 0.22,
                  "siblings fail together when that service does, and else not"},
    [W_RESOURCE] = {"component", "no call known, the same resource", 0.40,
                    "one host, queue or table is one thing to repair"},
    [W_CAUSE_SAME] = {"cause", "the same suspect", 0.30,
                      "carries any distance: this is what an incident is"},
    [W_CAUSE_RELATED] = {"cause", "one suspect behind the other", 0.26,
                         "the deeper one was not seen yet when the first alarm was decided"},
    [W_CAUSE_OTHER] = {"cause", "another suspect, begun at another time", -0.50,
                       "outweighs the same service at the same time: two causes behind one entry"},
    [W_CAUSE_UNAFFECTED] = {"cause", "the alarm's service shows no change", -0.20,
                            "a neighbour that is well is no part of it; the same service may be"},
    [W_CAUSE_QUIET] = {"cause", "the incident's services showed no change", -0.11,
                       "nothing speaks for one cause: only neighbours within two minutes link"},
    [W_TIME] = {"time", "at the same moment; nothing at 20 minutes", 0.10,
                "alarms of one incident come in bursts; tells two incidents apart, no more"},
    [W_REGION_SAME] = {"region", "the same region", 0.08, "expected, so it says little"},
    [W_REGION_UNKNOWN] = {"region", "unknown of one of them", 0.04, "half of the same"},
    [W_REGION_OTHER] = {"region", "another region", -0.60,
                        "regions fail apart: the same service elsewhere is another incident"},
    [W_LABEL_RESOURCE] = {"labels", "a resource in common", 0.08,
                          "also lifts what another region takes away: one global thing"},
    [W_LABEL_TITLE] = {"labels", "the same title", 0.04, "one rule fires for many services"},
};
const size_t mw_weight_row_count = W_ROWS;
_Static_assert(sizeof mw_weight_rows / sizeof mw_weight_rows[0] == W_ROWS, "one row a weight");

/* ---- names ----------------------------------------------------------------------------------- */

static const char *const verdicts[] = {
    [MW_VERDICT_PROCEED] = "PROCEED",
    [MW_VERDICT_LINKED] = "LINKED",
    [MW_VERDICT_SKIPPED] = "SKIPPED",
};

static const struct {
    const char *name;
    mw_verdict verdict;
} reasons[MW_REASON_COUNT] = {
#define MW_REASON_ROW(name, code, verdict, text) {code, MW_VERDICT_##verdict},
    MW_REASONS(MW_REASON_ROW)
#undef MW_REASON_ROW
};

static const char *const causes[MW_CAUSE_COUNT] = {
    [MW_CAUSE_UNKNOWN] = "unknown", [MW_CAUSE_SAME] = "same",
    [MW_CAUSE_RELATED] = "related", [MW_CAUSE_TOGETHER] = "together",
    [MW_CAUSE_OTHER] = "other",     [MW_CAUSE_UNAFFECTED] = "unaffected",
    [MW_CAUSE_QUIET] = "quiet",
};

static const char *const regions[MW_REGION_COUNT] = {"unknown", "same", "other"};

static const char *const relations[] = {"none",   "same_service", "caller",
                                        "callee", "shared",       "resource"};

const char *mw_verdict_name(mw_verdict verdict)
{
    MW_ASSERT((unsigned)verdict < sizeof verdicts / sizeof verdicts[0]);
    return verdicts[verdict];
}

const char *mw_reason_code_name(mw_reason_code code)
{
    MW_ASSERT((unsigned)code < MW_REASON_COUNT);
    return reasons[code].name;
}

mw_verdict mw_reason_verdict(mw_reason_code code)
{
    MW_ASSERT((unsigned)code < MW_REASON_COUNT);
    return reasons[code].verdict;
}

const char *mw_cause_name(mw_cause cause)
{
    MW_ASSERT((unsigned)cause < MW_CAUSE_COUNT);
    return causes[cause];
}

const char *mw_region_match_name(mw_region_match match)
{
    MW_ASSERT((unsigned)match < MW_REGION_COUNT);
    return regions[match];
}

const char *mw_relation_name(mw_relation relation)
{
    MW_ASSERT((unsigned)relation < sizeof relations / sizeof relations[0]);
    return relations[relation];
}

/* ---- weighing -------------------------------------------------------------------------------- */

static double weight(size_t row)
{
    return mw_weight_rows[row].weight;
}

double mw_decision_component(mw_relation relation, uint32_t distance)
{
    static const size_t by_distance[] = {W_SAME_SERVICE, W_NEXT, W_TWO_CALLS, W_THREE_CALLS};
    switch (relation) {
    case MW_RELATION_SAME: return weight(W_SAME_SERVICE);
    case MW_RELATION_CALLER:
    case MW_RELATION_CALLEE: return weight(distance < 4 ? by_distance[distance] : W_FAR);
    case MW_RELATION_SHARED: return weight(W_SHARED);
    case MW_RELATION_RESOURCE: return weight(W_RESOURCE);
    case MW_RELATION_NONE: break;
    }
    return 0.0;
}

double mw_decision_rest(bool suspects, bool resources)
{
    return (suspects ? weight(W_CAUSE_SAME) : 0.0) + weight(W_TIME) + weight(W_REGION_SAME) +
           weight(resources ? W_LABEL_RESOURCE : W_LABEL_TITLE);
}

static double cause_of(const mw_candidate *c)
{
    switch (c->cause) {
    case MW_CAUSE_SAME: return weight(W_CAUSE_SAME);
    case MW_CAUSE_RELATED: return weight(W_CAUSE_RELATED);
    case MW_CAUSE_OTHER: return weight(W_CAUSE_OTHER);
    case MW_CAUSE_UNAFFECTED: return weight(W_CAUSE_UNAFFECTED);
    case MW_CAUSE_QUIET: return weight(W_CAUSE_QUIET);
    default: return 0.0;
    }
}

static double time_of(const mw_candidate *c)
{
    MW_ASSERT(c->apart_ns <= (uint64_t)MW_LOOK_BACK_NS);
    double left = (double)((uint64_t)MW_LOOK_BACK_NS - c->apart_ns);
    return weight(W_TIME) * (left / (double)MW_LOOK_BACK_NS);
}

/* A resource in common is the evidence that crosses regions. */
static double region_of(const mw_candidate *c)
{
    if (c->region == MW_REGION_OTHER)
        return c->shared_resource ? 0.0 : weight(W_REGION_OTHER);
    return weight(c->region == MW_REGION_SAME ? W_REGION_SAME : W_REGION_UNKNOWN);
}

static double labels_of(const mw_candidate *c)
{
    double sum = c->shared_resource ? weight(W_LABEL_RESOURCE) : 0.0;
    return c->same_title && sum == 0.0 ? weight(W_LABEL_TITLE) : sum;
}

mw_weighed mw_decision_weigh(const mw_candidate *candidate)
{
    mw_weighed out = {
        .parts = {.component = mw_decision_component(candidate->relation, candidate->distance),
                  .cause = cause_of(candidate),
                  .time = time_of(candidate),
                  .region = region_of(candidate),
                  .labels = labels_of(candidate)}};
    const mw_parts *p = &out.parts;
    out.score = (((p->component + p->cause) + p->time) + p->region) + p->labels;
    out.fits = out.score >= mw_decision_threshold && candidate->cause != MW_CAUSE_OTHER;
    return out;
}

int mw_candidate_compare(const mw_candidate *a, const mw_candidate *b)
{
    mw_weighed left = mw_decision_weigh(a), right = mw_decision_weigh(b);
    return mw_weighed_compare(a, &left, b, &right);
}

int mw_weighed_compare(const mw_candidate *a, const mw_weighed *left, const mw_candidate *b,
                       const mw_weighed *right)
{
    if (left->fits != right->fits)
        return left->fits ? -1 : 1;
    if (left->score != right->score)
        return left->score > right->score ? -1 : 1;
    if (a->apart_ns != b->apart_ns)
        return a->apart_ns < b->apart_ns ? -1 : 1;
    return mw_slice_compare(a->investigation_id, b->investigation_id);
}

/* ---- reasons --------------------------------------------------------------------------------- */

/* Names of services are a sender's text: what printf would end at is cut there by the caller, and
 * a long one here. */
#define SHOWN 80
#define SHOWN_FMT(slice)                                                                           \
    (int)((slice).len < SHOWN ? (slice).len : SHOWN), (slice).data ? (slice).data : ""

static void settle(mw_decision *out, mw_reason_code code, mw_slice investigation_id)
{
    out->verdict = reasons[code].verdict;
    out->reason_code = code;
    out->investigation_id = investigation_id;
}

static mw_reason_code code_of(const mw_candidate *c)
{
    switch (c->relation) {
    case MW_RELATION_SAME: return MW_REASON_SAME_SERVICE;
    case MW_RELATION_CALLER:
    case MW_RELATION_CALLEE: return MW_REASON_CALL_PATH;
    case MW_RELATION_RESOURCE: return MW_REASON_SHARED_RESOURCE;
    default: return MW_REASON_SHARED_DEPENDENCY;
    }
}

/* "its service calls cart (2 calls away)". */
static void tell_relation(const mw_candidate *c, char *out, size_t size)
{
    char away[32] = "";
    if (c->distance > 1)
        snprintf(away, sizeof away, " over %u calls", (unsigned)c->distance);
    switch (c->relation) {
    case MW_RELATION_SAME:
        snprintf(out, size, "the incident has alarms of the same service");
        break;
    case MW_RELATION_CALLER:
        snprintf(out, size, "%.*s of the incident calls it%s", SHOWN_FMT(c->service), away);
        break;
    case MW_RELATION_CALLEE:
        snprintf(out, size, "it calls %.*s of the incident%s", SHOWN_FMT(c->service), away);
        break;
    case MW_RELATION_SHARED:
        if (c->cause == MW_CAUSE_SAME)
            snprintf(out, size, "both depend on the same service");
        else
            snprintf(out, size, "it and %.*s of the incident call the same service",
                     SHOWN_FMT(c->service));
        break;
    case MW_RELATION_RESOURCE: snprintf(out, size, "both name the same resource"); break;
    case MW_RELATION_NONE: snprintf(out, size, "no call between the two is known"); break;
    }
}

static void tell_cause(const mw_candidate *c, mw_slice suspect, char *out, size_t size)
{
    switch (c->cause) {
    case MW_CAUSE_SAME:
        snprintf(out, size, "the trouble of both ends at %.*s", SHOWN_FMT(c->cause_service));
        break;
    case MW_CAUSE_RELATED:
        snprintf(out, size, "its trouble ends at %.*s, on the same path as the incident's %.*s",
                 SHOWN_FMT(suspect), SHOWN_FMT(c->cause_service));
        break;
    case MW_CAUSE_TOGETHER:
        snprintf(out, size, "%.*s and the incident's %.*s began at the same time",
                 SHOWN_FMT(suspect), SHOWN_FMT(c->cause_service));
        break;
    case MW_CAUSE_OTHER:
        snprintf(out, size,
                 "its trouble ends at %.*s and began at another time than the "
                 "incident's at %.*s",
                 SHOWN_FMT(suspect), SHOWN_FMT(c->cause_service));
        break;
    case MW_CAUSE_UNAFFECTED:
        snprintf(out, size, "its own service shows no change, the incident's ends at %.*s",
                 SHOWN_FMT(c->cause_service));
        break;
    case MW_CAUSE_QUIET: snprintf(out, size, "the incident's services showed no change"); break;
    default: snprintf(out, size, "telemetry says too little of the cause"); break;
    }
}

static void tell(mw_decision *out, const char *what, const mw_decision_input *input,
                 const mw_candidate *c)
{
    char relation[160], cause[320];
    tell_relation(c, relation, sizeof relation);
    tell_cause(c, input->suspect, cause, sizeof cause);
    snprintf(out->reason, sizeof out->reason, "%s: %s; %s", what, relation, cause);
}

/* ---- the verdict ----------------------------------------------------------------------------- */

/* Others that fit as well. When the cause behind the alarm is behind both, they are one incident,
 * and the one with most members goes on; when only their places are near, a person may say so. */
static void look_at_others(const mw_decision_input *input, mw_decision *out)
{
    size_t largest = 0;
    bool known = input->candidates[0].cause == MW_CAUSE_SAME ||
                 input->candidates[0].cause == MW_CAUSE_RELATED;
    for (size_t i = 1; i < input->candidate_count; i++) {
        mw_cause cause = input->candidates[i].cause;
        if (!out->weighed[i].fits)
            continue;
        if (known && (cause == MW_CAUSE_SAME || cause == MW_CAUSE_RELATED))
            out->joins[out->join_count++] = i;
        else
            out->proposes[out->propose_count++] = i;
    }
    for (size_t i = 0; i < out->join_count; i++)
        if (input->candidates[out->joins[i]].members > input->candidates[largest].members)
            largest = out->joins[i];
    out->investigation_id = input->candidates[largest].investigation_id;
    for (size_t i = 0; i < out->join_count; i++)
        if (out->joins[i] == largest)
            out->joins[i] = 0;
}

static void decide_link(const mw_decision_input *input, mw_decision *out)
{
    const mw_candidate *best = &input->candidates[0];
    settle(out, code_of(best), best->investigation_id);
    out->centers =
        input->is_suspect && (best->cause == MW_CAUSE_SAME || best->cause == MW_CAUSE_RELATED);
    tell(out, "it joins an open incident", input, best);
    look_at_others(input, out);
}

/* Why nothing fits is told of the best candidate. */
static void decide_alone(const mw_decision_input *input, mw_decision *out)
{
    const mw_candidate *best = &input->candidates[0];
    const mw_candidate *other = NULL, *elsewhere = NULL;
    for (size_t i = 0; i < input->candidate_count; i++) {
        const mw_candidate *c = &input->candidates[i];
        if (!other && c->cause == MW_CAUSE_OTHER && c->region != MW_REGION_OTHER)
            other = c;
        if (!elsewhere && c->region == MW_REGION_OTHER && !c->shared_resource)
            elsewhere = c;
    }
    if (other) {
        settle(out, MW_REASON_OTHER_CAUSE, MW_SLICE(""));
        tell(out, "an incident is open nearby, but with another cause", input, other);
    } else if (elsewhere == best) {
        settle(out, MW_REASON_OTHER_REGION, MW_SLICE(""));
        tell(out, "an incident is open, but in another region", input, best);
    } else {
        settle(out, MW_REASON_NOT_ALIKE, MW_SLICE(""));
        tell(out, "incidents are open, but none is alike enough", input, best);
    }
}

static void decide_new(const mw_decision_input *input, mw_decision *out)
{
    out->threshold = mw_decision_threshold;
    out->scored = input->candidate_count > 0;
    for (size_t i = 0; i < input->candidate_count; i++)
        out->weighed[i] = mw_decision_weigh(&input->candidates[i]);
    if (!out->scored) {
        settle(out, MW_REASON_NEW_INCIDENT, MW_SLICE(""));
        snprintf(out->reason, sizeof out->reason, "%s",
                 input->incident_known
                     ? "this incident had been resolved or closed and is reported again, and no "
                       "open incident is near it: it opens a new investigation"
                     : "no open incident is near it: it opens an investigation");
        return;
    }
    out->score = out->weighed[0].score;
    if (out->weighed[0].fits)
        decide_link(input, out);
    else
        decide_alone(input, out);
}

static void decide_created(const mw_decision_input *input, mw_decision *out)
{
    if (!input->incident_known || !input->incident_unresolved) {
        decide_new(input, out);
        return;
    }
    settle(out, MW_REASON_DUPLICATE, input->known_investigation_id);
    snprintf(out->reason, sizeof out->reason,
             "this incident is open already: an earlier alarm reported it and it was neither "
             "resolved nor closed");
}

/* Updates and closings become alarms only when there is nothing they could belong to. */
static void decide_other(const mw_decision_input *input, mw_decision *out)
{
    if (input->incident_known) {
        settle(out, MW_REASON_DUPLICATE, input->known_investigation_id);
        snprintf(out->reason, sizeof out->reason,
                 "an update or closing of an incident that is known already");
        return;
    }
    settle(out, MW_REASON_UNKNOWN_INCIDENT, MW_SLICE(""));
    snprintf(out->reason, sizeof out->reason,
             "an update or closing of an incident that no alarm has opened");
}

void mw_decide(const mw_decision_input *input, mw_decision *out)
{
    MW_ASSERT(input->candidate_count <= MW_CANDIDATES_MAX);
    *out = (mw_decision){0};
    if (mw_slice_equal(input->action, MW_SLICE("created")))
        decide_created(input, out);
    else
        decide_other(input, out);
}
