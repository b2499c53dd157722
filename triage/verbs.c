/* What people do to alarms and incidents (triage.h). Each act is one job of the state writer's:
 * what it changes, what the journals and the decision's history say of it, and its audit record
 * commit together. The open incidents in memory are brought in step in the same job, on the thread
 * that owns them; when the commit fails they are made again.
 */
#include "lib/store/spaces.h"
#include "triage/steps.h"

#define TEXT_MAX 4096

typedef struct act_job {
    mw_state_job job;
    const mw_act *act;
    mw_steps steps;
    mw_acted *out;
    mw_detail *detail;
    mw_alarm_row alarm;
    mw_decision_row decision;
    mw_investigation_row subject, other;
    char id[MW_ID_TEXT_SIZE]; /* of a new investigation */
    mw_slice why;
} act_job;

static mw_err refuse(act_job *j, const char *field, const char *hint, const char *message)
{
    return mw_detail_set(j->detail, MW_E_CONFLICT, field, hint, "%s", message);
}

/* ---- what it is about ------------------------------------------------------------------------ */

static mw_err find_alarm(act_job *j, mw_slice id)
{
    mw_err err = mw_state_alarm_get(j->steps.tx, id, j->steps.arena, &j->alarm);
    if (err == MW_E_NOT_FOUND)
        return mw_detail_set(j->detail, err, "alarm", "midwatch alarm list",
                             "no alarm has that id");
    if (err != MW_OK)
        return err;
    err = mw_state_decision_get(j->steps.tx, j->alarm.id, j->steps.arena, &j->decision);
    return err == MW_E_NOT_FOUND
               ? refuse(j, "alarm", "try again in a moment", "the alarm is not decided yet")
               : err;
}

static mw_err find_investigation(act_job *j, mw_slice id, mw_investigation_row *out)
{
    mw_err err = mw_state_investigation_get(j->steps.tx, id, j->steps.arena, out);
    if (err == MW_E_NOT_FOUND)
        return mw_detail_set(j->detail, err, "investigation", "midwatch investigation list",
                             "no investigation has that id");
    return err;
}

static mw_err find_open(act_job *j, mw_slice id, mw_investigation_row *out)
{
    mw_err err = find_investigation(j, id, out);
    if (err == MW_OK && !mw_slice_equal(out->incident_state, MW_SLICE("open")))
        return refuse(j, "investigation", "take one whose incident is open",
                      "its incident is closed");
    return err;
}

static bool is_verdict(const act_job *j, const char *verdict)
{
    return mw_slice_equal(j->decision.verdict, mw_slice_of(verdict));
}

/* ---- pieces ---------------------------------------------------------------------------------- */

static mw_err journal(act_job *j, mw_slice investigation_id, const char *what, mw_slice about)
{
    char *text = mw_arena_printf(j->steps.arena, "%.*s %s %.*s%s%.*s", MW_SLICE_FMT(j->steps.who),
                                 what, MW_SLICE_FMT(about), j->act->text.len ? ": " : "",
                                 MW_SLICE_FMT(j->act->text));
    return text ? mw_steps_journal(&j->steps, investigation_id, "ACTION", mw_slice_of(text))
                : MW_E_NOMEM;
}

/* An incident that lost a member: without any it is over; else it is looked into again. */
static mw_err after_leaving(act_job *j, mw_slice investigation_id, mw_slice into)
{
    mw_alarm_row *left = NULL;
    size_t count = 0;
    mw_err err = mw_state_alarm_of_investigation(j->steps.tx, investigation_id, j->steps.arena,
                                                 &left, &count);
    if (err == MW_OK && count == 0)
        err = mw_state_investigation_end(j->steps.tx, investigation_id, into, j->steps.now_ns);
    else if (err == MW_OK)
        err = mw_steps_join(&j->steps, &left[0], investigation_id, false, NULL);
    if (err == MW_OK)
        err = mw_steps_settle(&j->steps, investigation_id);
    return err == MW_OK ? mw_steps_refresh(&j->steps, investigation_id) : err;
}

/* The alarm goes from where it is to `into`, as `code`. */
static mw_err move(act_job *j, mw_reason_code code, mw_slice into)
{
    bool member = !is_verdict(j, "SKIPPED");
    mw_slice from = member ? j->decision.investigation_id : MW_SLICE("");
    mw_err err = mw_steps_change(&j->steps, j->alarm.id, code, j->why, into);
    if (err == MW_OK && from.len)
        err = journal(j, from, "took out alarm", j->alarm.id);
    if (err == MW_OK && from.len)
        err = after_leaving(j, from, code == MW_REASON_BY_PERSON_SKIPPED ? MW_SLICE("") : into);
    if (err == MW_OK && into.len && code != MW_REASON_BY_PERSON_SKIPPED) {
        err = mw_steps_join(&j->steps, &j->alarm, into, false, NULL);
        if (err == MW_OK)
            err = journal(j, into, "put in alarm", j->alarm.id);
        if (err == MW_OK)
            err = mw_steps_settle(&j->steps, into);
        if (err == MW_OK)
            err = mw_steps_refresh(&j->steps, into);
    }
    j->out->alarm_id = j->alarm.id;
    j->out->investigation_id = into;
    return err;
}

/* ---- verbs ----------------------------------------------------------------------------------- */

static mw_err do_link(act_job *j)
{
    mw_err err = find_alarm(j, j->act->subject);
    if (err == MW_OK)
        err = find_open(j, j->act->other, &j->other);
    if (err != MW_OK)
        return err;
    if (!is_verdict(j, "SKIPPED") && mw_slice_equal(j->decision.investigation_id, j->other.id))
        return refuse(j, "investigation", "", "the alarm belongs to it already");
    return move(j, MW_REASON_BY_PERSON_LINKED, j->other.id);
}

static mw_err do_proceed(act_job *j)
{
    mw_err err = find_alarm(j, j->act->subject);
    if (err != MW_OK)
        return err;
    if (is_verdict(j, "PROCEED"))
        return refuse(j, "alarm", "", "the alarm has an investigation already");
    err = mw_steps_open(&j->steps, &j->alarm, j->id);
    return err == MW_OK ? move(j, MW_REASON_BY_PERSON_PROCEED, mw_slice_of(j->id)) : err;
}

static mw_err do_unlink(act_job *j)
{
    mw_alarm_row *members = NULL;
    size_t count = 0;
    mw_err err = find_alarm(j, j->act->subject);
    if (err != MW_OK)
        return err;
    if (is_verdict(j, "SKIPPED"))
        return refuse(j, "alarm", "midwatch alarm proceed ID gives it an investigation",
                      "the alarm is skipped and belongs to no incident");
    err = mw_state_alarm_of_investigation(j->steps.tx, j->decision.investigation_id, j->steps.arena,
                                          &members, &count);
    if (err == MW_OK && count < 2)
        return refuse(j, "alarm", "", "the alarm is the only one of its incident");
    if (err == MW_OK)
        err = mw_steps_open(&j->steps, &j->alarm, j->id);
    return err == MW_OK ? move(j, MW_REASON_BY_PERSON_PROCEED, mw_slice_of(j->id)) : err;
}

static mw_err do_skip(act_job *j)
{
    mw_err err = find_alarm(j, j->act->subject);
    if (err != MW_OK)
        return err;
    if (is_verdict(j, "SKIPPED"))
        return refuse(j, "alarm", "", "the alarm is skipped already");
    return move(j, MW_REASON_BY_PERSON_SKIPPED, MW_SLICE(""));
}

static mw_err do_merge(act_job *j)
{
    mw_err err = find_open(j, j->act->subject, &j->subject);
    if (err == MW_OK)
        err = find_open(j, j->act->other, &j->other);
    if (err != MW_OK)
        return err;
    if (mw_slice_equal(j->subject.id, j->other.id))
        return refuse(j, "into", "", "an investigation cannot be merged with itself");
    j->out->investigation_id = j->other.id;
    return mw_steps_merge(&j->steps, j->subject.id, j->other.id, MW_REASON_BY_PERSON_MERGED,
                          j->why);
}

/* The first alarm opens the new investigation, the others follow it. */
static mw_err split_one(act_job *j, size_t at)
{
    mw_err err = find_alarm(j, j->act->alarms[at]);
    if (err != MW_OK)
        return err;
    if (is_verdict(j, "SKIPPED") || !mw_slice_equal(j->decision.investigation_id, j->subject.id))
        return refuse(j, "alarms", "midwatch investigation show ID lists them",
                      "an alarm is not of this investigation");
    if (at == 0)
        err = mw_steps_open(&j->steps, &j->alarm, j->id);
    if (err != MW_OK)
        return err;
    return move(j, at ? MW_REASON_BY_PERSON_SPLIT : MW_REASON_BY_PERSON_PROCEED,
                mw_slice_of(j->id));
}

static mw_err do_split(act_job *j)
{
    mw_alarm_row *members = NULL;
    size_t count = 0;
    mw_err err = find_open(j, j->act->subject, &j->subject);
    if (err == MW_OK)
        err = mw_state_alarm_of_investigation(j->steps.tx, j->subject.id, j->steps.arena, &members,
                                              &count);
    if (err != MW_OK)
        return err;
    if (!j->act->alarm_count || j->act->alarm_count >= count)
        return refuse(j, "alarms", "name some of its alarms, and not all",
                      "a split needs alarms on both sides");
    for (size_t i = 0; err == MW_OK && i < j->act->alarm_count; i++)
        err = split_one(j, i);
    j->out->alarm_id = MW_SLICE("");
    j->out->investigation_id = mw_slice_of(j->id);
    return err;
}

/* What another person has is taken over by who has seen that it is theirs, and says so. */
static mw_err do_claim(act_job *j)
{
    mw_incident_row incident;
    mw_err err = find_investigation(j, j->act->subject, &j->subject);
    if (err == MW_OK)
        err = mw_state_incident_get(j->steps.tx, j->subject.id, j->steps.arena, &incident);
    if (err != MW_OK)
        return err;
    if (incident.owner.len && !mw_slice_equal(incident.owner, j->steps.who) && !j->act->version.len)
        return mw_detail_set(j->detail, MW_E_CONFLICT, "investigation",
                             "name the version that you have seen to take it over",
                             "%.*s has claimed it", MW_SLICE_FMT(incident.owner));
    err = mw_state_investigation_claim_by(j->steps.tx, j->subject.id, j->steps.who);
    j->out->investigation_id = j->subject.id;
    return err == MW_OK ? journal(j, j->subject.id, "claimed", MW_SLICE("it")) : err;
}

static mw_err do_comment(act_job *j)
{
    mw_err err = find_investigation(j, j->act->subject, &j->subject);
    if (err != MW_OK)
        return err;
    char *text = mw_arena_printf(j->steps.arena, "%.*s: %.*s", MW_SLICE_FMT(j->steps.who),
                                 MW_SLICE_FMT(j->act->text));
    j->out->investigation_id = j->subject.id;
    return text ? mw_steps_journal(&j->steps, j->subject.id, "COMMENT", mw_slice_of(text))
                : MW_E_NOMEM;
}

static mw_err do_close(act_job *j)
{
    mw_err err = find_open(j, j->act->subject, &j->subject);
    if (err == MW_OK)
        err = mw_state_investigation_end(j->steps.tx, j->subject.id, MW_SLICE(""), j->steps.now_ns);
    if (err == MW_OK)
        err = journal(j, j->subject.id, "closed", MW_SLICE("it"));
    j->out->investigation_id = j->subject.id;
    return err == MW_OK ? mw_steps_refresh(&j->steps, j->subject.id) : err;
}

static const struct {
    mw_err (*run)(act_job *j);
    const char *audit, *why;
} verbs[MW_VERB_COUNT] = {
    [MW_VERB_LINK] = {do_link, "alarm.link", "linked by"},
    [MW_VERB_UNLINK] = {do_unlink, "alarm.unlink", "taken out of its incident by"},
    [MW_VERB_PROCEED] = {do_proceed, "alarm.proceed", "given an investigation by"},
    [MW_VERB_SKIP] = {do_skip, "alarm.skip", "set aside by"},
    [MW_VERB_MERGE] = {do_merge, "investigation.merge", "merged by"},
    [MW_VERB_SPLIT] = {do_split, "investigation.split", "split off by"},
    [MW_VERB_CLAIM] = {do_claim, "investigation.claim", "claimed by"},
    [MW_VERB_COMMENT] = {do_comment, "investigation.comment", "commented by"},
    [MW_VERB_CLOSE] = {do_close, "investigation.close", "closed by"},
};

/* ---- the job --------------------------------------------------------------------------------- */

static mw_err audit(act_job *j)
{
    const mw_act *act = j->act;
    bool alarm = j->out->alarm_id.len > 0;
    mw_slice subject = alarm               ? j->out->alarm_id
                       : j->subject.id.len ? j->subject.id
                                           : j->out->investigation_id;
    mw_audit_row row = {.time_ns = j->steps.now_ns,
                        .principal = act->who,
                        .source_address = act->address,
                        .action = mw_slice_of(verbs[act->verb].audit),
                        .subject = subject,
                        .outcome = MW_SLICE("ok"),
                        .detail = mw_slice_equal(subject, j->out->investigation_id)
                                      ? act->text
                                      : j->out->investigation_id,
                        .space = MW_SLICE(MW_SPACE_DEFAULT)};
    return mw_state_audit_insert(j->steps.tx, &row);
}

static mw_err alarm_version(act_job *j, char out[MW_VERSION_SIZE])
{
    mw_decision_step *steps = NULL;
    size_t count = 0;
    mw_err err = find_alarm(j, j->act->subject);
    if (err == MW_OK)
        err = mw_state_decision_steps(j->steps.tx, j->alarm.id, j->steps.arena, &steps, &count);
    if (err == MW_OK)
        mw_version_of_alarm(&j->decision, count, out);
    return err;
}

static mw_err incident_version(act_job *j, char out[MW_VERSION_SIZE])
{
    mw_incident_row incident;
    mw_alarm_row *alarms = NULL;
    size_t count = 0;
    mw_err err = find_investigation(j, j->act->subject, &j->subject);
    if (err == MW_OK)
        err = mw_state_incident_get(j->steps.tx, j->subject.id, j->steps.arena, &incident);
    if (err == MW_OK)
        err = mw_state_alarm_of_investigation(j->steps.tx, j->subject.id, j->steps.arena, &alarms,
                                              &count);
    if (err == MW_OK)
        mw_version_of_incident(&incident, alarms, count, out);
    return err;
}

/* Two people at once: the second is told, if it said what it had seen. */
static mw_err check_version(act_job *j)
{
    char now[MW_VERSION_SIZE];
    bool alarm = j->act->verb <= MW_VERB_SKIP;
    if (!j->act->version.len)
        return MW_OK;
    mw_err err = alarm ? alarm_version(j, now) : incident_version(j, now);
    if (err != MW_OK || mw_slice_equal(j->act->version, mw_slice_of(now)))
        return err;
    return refuse(j, "version", "look at it again", "it has changed since it was that version");
}

static mw_err run_act(mw_state_job *job, mw_state_tx *tx)
{
    act_job *j = (act_job *)(void *)job;
    j->steps.tx = tx;
    mw_err err = check_version(j);
    if (err == MW_OK)
        err = verbs[j->act->verb].run(j);
    if (err == MW_OK)
        err = audit(j);
    if (err != MW_OK) /* what it changed in memory is rolled back in state */
        __atomic_store_n(&j->steps.triage->open_stale, true, __ATOMIC_RELEASE);
    return err;
}

mw_err mw_triage_act(mw_triage *triage, const mw_act *act, mw_arena *arena, mw_acted *out,
                     mw_detail *detail)
{
    MW_ASSERT((unsigned)act->verb < MW_VERB_COUNT);
    *out = (mw_acted){MW_SLICE(""), MW_SLICE("")};
    if (act->text.len > TEXT_MAX)
        return mw_detail_set(detail, MW_E_INVALID, "text", "", "longer than %d bytes", TEXT_MAX);
    act_job *j = mw_arena_zalloc(arena, 1, sizeof *j);
    if (!j)
        return MW_E_NOMEM;
    char *why =
        mw_arena_printf(arena, "%s %.*s%s%.*s", verbs[act->verb].why, MW_SLICE_FMT(act->who),
                        act->text.len ? ": " : "", MW_SLICE_FMT(act->text));
    if (!why)
        return MW_E_NOMEM;
    j->job = (mw_state_job){.run = run_act};
    j->job.item.cost_bytes = sizeof *j;
    j->act = act;
    j->out = out;
    j->detail = detail;
    j->why = mw_slice_of(why);
    j->steps = (mw_steps){.triage = triage,
                          .arena = arena,
                          .who = act->who,
                          .now_ns = mw_clock_wall_ns(triage->clock)};
    mw_err err = mw_state_submit_wait(triage->state, &j->job);
    if (err != MW_OK)
        __atomic_store_n(&triage->open_stale, true, __ATOMIC_RELEASE);
    else
        mw_triage_wake_runs(triage);
    return err;
}

/* ---- imported calls -------------------------------------------------------------------------- */

typedef struct import_job {
    mw_state_job job;
    const mw_call_edge *edges;
    size_t count;
    mw_audit_row audit;
} import_job;

static mw_err run_import(mw_state_job *job, mw_state_tx *tx)
{
    const import_job *j = (const import_job *)(void *)job;
    _Static_assert(sizeof(mw_edge_row) == sizeof(mw_call_edge), "both are two slices");
    mw_err err = mw_state_edges_replace(tx, (const mw_edge_row *)(const void *)j->edges, j->count);
    return err == MW_OK ? mw_state_audit_insert(tx, &j->audit) : err;
}

mw_err mw_triage_import(mw_triage *triage, const mw_call_edge *edges, size_t count, mw_slice who,
                        mw_slice address)
{
    char detail[48];
    snprintf(detail, sizeof detail, "%zu calls", count);
    import_job j = {.job = {.run = run_import},
                    .edges = edges,
                    .count = count,
                    .audit = {.time_ns = mw_clock_wall_ns(triage->clock),
                              .principal = who,
                              .source_address = address,
                              .action = MW_SLICE("topology.import"),
                              .subject = MW_SLICE("topology"),
                              .outcome = MW_SLICE("ok"),
                              .detail = mw_slice_of(detail),
                              .space = MW_SLICE(MW_SPACE_DEFAULT)}};
    j.job.item.cost_bytes = sizeof j + count * sizeof *edges;
    mw_err err = mw_state_submit_wait(triage->state, &j.job);
    if (err == MW_OK) {
        mw_topology_cache_forget(&triage->windows);
        mw_topology_cache_forget(&triage->look_windows);
    }
    return err;
}
