/* The decision itself. Pure: no clock, no store, no memory of its own; any thread. */
#include "triage/decision.h"

static const char *const verdicts[] = {
    [MW_VERDICT_PROCEED] = "PROCEED",
    [MW_VERDICT_LINKED] = "LINKED",
    [MW_VERDICT_SKIPPED] = "SKIPPED",
};

/* The closed table of reasons: each code has one verdict. */
static const struct {
    const char *name;
    mw_verdict verdict;
} reasons[MW_REASON_COUNT] = {
    [MW_REASON_NEW_INCIDENT] = {"new_incident", MW_VERDICT_PROCEED},
    [MW_REASON_DUPLICATE] = {"duplicate", MW_VERDICT_SKIPPED},
    [MW_REASON_UNKNOWN_INCIDENT] = {"unknown_incident", MW_VERDICT_SKIPPED},
};

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

static void settle(mw_decision *out, mw_reason_code code, mw_slice investigation_id)
{
    out->verdict = reasons[code].verdict;
    out->reason_code = code;
    out->investigation_id = investigation_id;
}

static void decide_created(const mw_decision_input *input, mw_decision *out)
{
    if (input->incident_known && input->incident_unresolved) {
        settle(out, MW_REASON_DUPLICATE, input->known_investigation_id);
        snprintf(out->reason, sizeof out->reason,
                 "this incident is open already: an earlier alarm reported it and it was neither "
                 "resolved nor closed");
        return;
    }
    settle(out, MW_REASON_NEW_INCIDENT, MW_SLICE(""));
    snprintf(out->reason, sizeof out->reason, "%s",
             input->incident_known ? "this incident had been resolved or closed and is reported "
                                     "again: it opens a new investigation"
                                   : "first alarm of this incident: it opens an investigation");
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
    *out = (mw_decision){0};
    if (mw_slice_equal(input->action, MW_SLICE("created")))
        decide_created(input, out);
    else
        decide_other(input, out);
}
