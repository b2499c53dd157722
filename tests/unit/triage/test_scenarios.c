/* Scenarios: text files of telemetry and alarms in, verdicts and answers out, under a fake clock.
 *
 * tests/scenario/NAME.txt, one step a line, played in order against a real store, state and triage.
 * Times are minutes of one night ("21:04:30"); a word begins with a letter; # begins a comment.
 *
 *     calls FROM TO a>b>c N [ms S=MS]... [errors S=SHARE]... [slow S=MS]...
 *         N requests a minute from FROM until TO through a chain of services. Each service adds 20
 *         ms of its own (ms: another number). errors: that share of its calls fails, and with them
 *         those above. slow: it takes so much longer. A last one in brackets, a>(b), has no spans:
 *         it is the peer of a call of the one before.
 *     alarm ID TIME SERVICE [region R] [resource R] [title T] [incident I] [priority P] [action A]
 *         "-" is no service. The incident is ID unless it is named. The alarm is decided before the
 *         next step.
 *     event ID ACTION          updated, resolved or closed, for the incident ID
 *     look SECONDS             so much later decisions that are due are looked at again
 *     restart                  the daemon ends and starts
 *     imported a>b             calls that telemetry does not show
 *     link|unlink|proceed|skip ID [OTHER]      what a person does to an alarm; OTHER: an alarm of
 *     the merge|split|claim|close ID [OTHER]       incident that is meant; incidents likewise;
 *                                                   split: OTHER goes with it
 *     refused VERB ID [OTHER]  the same, and it must be refused as a conflict
 *
 *     expect ID VERDICT CODE           the decision as it is now
 *     first ID VERDICT CODE            as it was first
 *     with ID OTHER                    both are of one investigation
 *     apart ID OTHER                   and not
 *     open ID | ended ID               the incident of the alarm
 *     center ID SERVICE                what the incident is about
 *     suspect ID SERVICE               where its trouble ends
 *     journal ID WORD                  the word stands in the investigation's journal, as text or
 *                                      as the type of a record
 *     told ID OTHER                    both journals suggest that its incident joins the other's
 *     looked ID LOOK                   what came of the last look at it
 *     times ID N                       as often it was looked at and its telemetry differed
 *     cause ID SERVICE VERDICT         the first candidate of the investigation
 *     status ID STATUS
 *
 * After each file every decision is replayed, and must be the same. Behind all of them it is seen
 * that each rule (reason, cause, relation, region, label, second look) was played by one.
 */
#include <dirent.h>
#include <stdlib.h>

#include "lib/state/looks.h"
#include "tests/unit/triage/fixture.h"
#include "triage/decision/second_look.h"

#define NIGHT (INT64_C(1789948800) * MW_NS_PER_S) /* 2026-09-21T00:00:00Z */
#define WORDS_MAX 40
#define ALARMS_MAX 64
#define SERVICES_MAX 12

typedef struct named_alarm {
    char name[32], id[MW_ID_TEXT_SIZE], incident[64];
} named_alarm;

static named_alarm alarms[ALARMS_MAX];
static size_t alarm_count;
static char *words[WORDS_MAX];
static size_t word_count;
static const char *file_name;
static unsigned line_number;

#define WRONG(...)                                                                                 \
    do {                                                                                           \
        print_error("%s:%u: ", file_name, line_number);                                            \
        fail_msg(__VA_ARGS__);                                                                     \
    } while (0)

static int64_t time_of(const char *text)
{
    char *end;
    long hours = strtol(text, &end, 10), minutes, seconds = 0;
    if (*end != ':')
        WRONG("not a time: %s", text);
    minutes = strtol(end + 1, &end, 10);
    if (*end == ':')
        seconds = strtol(end + 1, NULL, 10);
    return NIGHT + (int64_t)(hours * 3600 + minutes * 60 + seconds) * MW_NS_PER_S;
}

static named_alarm *alarm_of(const char *name)
{
    for (size_t i = 0; i < alarm_count; i++)
        if (strcmp(alarms[i].name, name) == 0)
            return &alarms[i];
    WRONG("no alarm %s", name);
    return NULL;
}

static mw_slice id_of(const char *name)
{
    return mw_slice_of(alarm_of(name)->id);
}

static mw_slice incident_of(const char *name)
{
    return decided(id_of(name)).investigation_id;
}

/* ---- telemetry ------------------------------------------------------------------------------- */

typedef struct stage {
    char name[32];
    double ms, errors, slow;
    bool peer; /* without spans */
} stage;

static mw_span_row rows[SERVICES_MAX * 64];
static mw_store_item items[SERVICES_MAX * 64];

static void append_rows(size_t count)
{
    mw_store_context context = {.bytes = MW_SLICE("")};
    appended result = {0};
    for (size_t i = 0; i < count; i++)
        items[i] = (mw_store_item){.bytes = MW_SLICE("")};
    mw_store_batch batch = {.signal = MW_SIGNAL_TRACES,
                            .resources = &context,
                            .resource_count = 1,
                            .scopes = &context,
                            .scope_count = 1,
                            .items = items,
                            .rows.spans = rows,
                            .item_count = count};
    assert_int_equal(mw_store_append(store, &batch, on_appended, &result), MW_OK);
    for (int i = 0; i < 60000 && !__atomic_load_n(&result.done, __ATOMIC_ACQUIRE); i++)
        usleep(200);
    assert_int_equal(result.err, MW_OK);
}

/* One request; shares are met exactly, call by call. */
static void add_trace(stage *stages, size_t count, int64_t start_ns, unsigned number, size_t *at)
{
    static uint64_t trace;
    double ms[SERVICES_MAX] = {0};
    bool failed[SERVICES_MAX] = {false};
    trace++;
    for (size_t i = count; i-- > 0;) {
        const stage *s = &stages[i];
        ms[i] = s->ms + s->slow + (i + 1 < count ? ms[i + 1] : 0.0);
        failed[i] = (unsigned)((number + 1) * s->errors) > (unsigned)(number * s->errors) ||
                    (i + 1 < count && failed[i + 1]);
    }
    for (size_t i = 0; i < count; i++) {
        mw_span_row *row = &rows[(*at)++];
        *row = (mw_span_row){.start_ns = (uint64_t)start_ns + i * 1000,
                             .end_ns = (uint64_t)start_ns + i * 1000 + (uint64_t)(ms[i] * 1e6),
                             .kind = 2,
                             .status = failed[i] ? 2 : 1,
                             .input_tokens = MW_TOKENS_UNKNOWN,
                             .output_tokens = MW_TOKENS_UNKNOWN,
                             .name = MW_SLICE("handle"),
                             .service = mw_slice_of(stages[i].name)};
        if (stages[i].peer) {
            row->kind = 3; /* the caller's own, CLIENT */
            row->peer_service = row->service;
            row->service = mw_slice_of(stages[i - 1].name);
        }
        memcpy(row->trace_id, &trace, sizeof trace);
        row->trace_id[15] = 1;
        memcpy(row->span_id, &trace, 6);
        row->span_id[7] = (uint8_t)(i + 1);
        if (i) {
            memcpy(row->parent_span_id, row->span_id, sizeof row->span_id);
            row->parent_span_id[7] = (uint8_t)i;
        }
    }
}

static size_t read_chain(char *text, stage *stages)
{
    size_t count = 0;
    for (char *save, *name = strtok_r(text, ">", &save); name; name = strtok_r(NULL, ">", &save)) {
        assert_true(count < SERVICES_MAX);
        stages[count] = (stage){.ms = 20.0, .peer = *name == '('};
        assert_true(count || !stages[count].peer);
        name += stages[count].peer;
        snprintf(stages[count++].name, sizeof stages[0].name, "%.*s", (int)strcspn(name, ")"),
                 name);
    }
    return count;
}

static void read_twist(stage *stages, size_t count, const char *what, char *text)
{
    char *value = strchr(text, '=');
    if (!value)
        WRONG("%s is not SERVICE=NUMBER", text);
    *value++ = '\0';
    for (size_t i = 0; i < count; i++) {
        if (strcmp(stages[i].name, text) != 0)
            continue;
        double number = strtod(value, NULL);
        if (strcmp(what, "errors") == 0)
            stages[i].errors = number;
        else if (strcmp(what, "slow") == 0)
            stages[i].slow = number;
        else
            stages[i].ms = number;
        return;
    }
    WRONG("no service %s in the chain", text);
}

static void do_calls(void)
{
    stage stages[SERVICES_MAX];
    int64_t from = time_of(words[1]), to = time_of(words[2]);
    size_t count = read_chain(words[3], stages);
    unsigned each = (unsigned)strtoul(words[4], NULL, 10), number = 0;
    assert_true(each > 0 && each <= 64);
    for (size_t i = 5; i + 1 < word_count; i += 2)
        read_twist(stages, count, words[i], words[i + 1]);
    for (int64_t at = from; at < to; at += MINUTE) {
        size_t rows_made = 0;
        for (unsigned k = 0; k < each; k++)
            add_trace(stages, count, at + MINUTE / each * k, number++, &rows_made);
        append_rows(rows_made);
    }
}

/* ---- alarms ---------------------------------------------------------------------------------- */

static const char *option(const char *name, const char *otherwise)
{
    for (size_t i = 4; i + 1 < word_count; i += 2)
        if (strcmp(words[i], name) == 0)
            return words[i + 1];
    return otherwise;
}

typedef struct alarm_job {
    mw_state_job job;
    mw_alarm_row row;
} alarm_job;

static mw_err run_alarm(mw_state_job *job, mw_state_tx *tx)
{
    return mw_state_alarm_insert(tx, &((alarm_job *)(void *)job)->row);
}

static void do_alarm(void)
{
    char resources[80] = "[]";
    named_alarm *a = &alarms[alarm_count++];
    assert_true(alarm_count <= ALARMS_MAX);
    snprintf(a->name, sizeof a->name, "%s", words[1]);
    snprintf(a->incident, sizeof a->incident, "%s", option("incident", words[1]));
    if (*option("resource", ""))
        snprintf(resources, sizeof resources, "[\"%s\"]", option("resource", ""));
    mw_id_new(a->id);
    int64_t now_ns = time_of(words[2]) + 5 * MW_NS_PER_S;
    __atomic_store_n(&fake.wall_ns, now_ns, __ATOMIC_RELAXED);
    alarm_job job = {.job = {.run = run_alarm},
                     .row = {.id = mw_slice_of(a->id),
                             .space = MW_SLICE("default"),
                             .webhook_id = MW_SLICE("w1"),
                             .source = MW_SLICE("devops-agent"),
                             .incident_id = mw_slice_of(a->incident),
                             .action = mw_slice_of(option("action", "created")),
                             .priority = mw_slice_of(option("priority", "HIGH")),
                             .title = mw_slice_of(option("title", words[1])),
                             .service = mw_slice_of(*words[3] == '-' ? "" : words[3]),
                             .region = mw_slice_of(option("region", "")),
                             .resources_json = mw_slice_of(resources),
                             .started_ns = time_of(words[2]),
                             .received_ns = now_ns}};
    assert_int_equal(mw_state_submit_wait(state_db, &job.job), MW_OK);
    mw_triage_wake(triage);
    settle();
}

static void do_event(void)
{
    arrival a = {.job = {.run = run_arrival},
                 .incident = words[1],
                 .action = words[2],
                 .service = "",
                 .started_ns = fake.wall_ns};
    assert_int_equal(mw_state_submit_wait(state_db, &a.job), MW_OK);
    settle();
}

static void do_restart(void)
{
    close_all();
    open_all();
    start();
    settle();
}

static void do_look(void)
{
    mw_fake_clock_advance(&fake, (int64_t)strtoul(words[1], NULL, 10) * MW_NS_PER_S);
    mw_triage_wake_looks(triage);
    settle();
}

static void do_imported(void)
{
    stage stages[SERVICES_MAX];
    size_t count = read_chain(words[1], stages);
    mw_call_edge edges[SERVICES_MAX];
    for (size_t i = 0; i + 1 < count; i++)
        edges[i] = (mw_call_edge){mw_slice_of(stages[i].name), mw_slice_of(stages[i + 1].name)};
    assert_int_equal(
        mw_triage_import(triage, edges, count - 1, MW_SLICE("local:test"), MW_SLICE("")), MW_OK);
}

/* ---- people ---------------------------------------------------------------------------------- */

static const char *const verbs[MW_VERB_COUNT] = {"link",  "unlink", "proceed", "skip", "merge",
                                                 "split", "claim",  "comment", "close"};

static bool find_verb(const char *word, mw_verb *out)
{
    for (unsigned i = 0; i < MW_VERB_COUNT; i++)
        if (strcmp(word, verbs[i]) == 0) {
            *out = (mw_verb)i;
            return true;
        }
    return false;
}

static mw_err do_verb(mw_verb verb, size_t at)
{
    mw_acted done;
    mw_detail detail = {0};
    bool about_alarm = verb <= MW_VERB_SKIP;
    mw_slice one = id_of(words[at]);
    mw_slice split[2] = {MW_SLICE_INIT(""), MW_SLICE_INIT("")};
    mw_act act = {.verb = verb,
                  .subject = about_alarm ? one : incident_of(words[at]),
                  .other = MW_SLICE(""),
                  .text = MW_SLICE("said so"),
                  .who = MW_SLICE("local:test"),
                  .address = MW_SLICE("")};
    if (word_count > at + 1)
        act.other = incident_of(words[at + 1]);
    if (verb == MW_VERB_SPLIT) {
        split[0] = one;
        act.alarms = split;
        act.alarm_count = 1;
        if (word_count > at + 1)
            split[act.alarm_count++] = id_of(words[at + 1]);
    }
    mw_err err = mw_triage_act(triage, &act, &arena, &done, &detail);
    settle();
    return err;
}

/* ---- expectations ---------------------------------------------------------------------------- */

static mw_incident_row incident_row(const char *name)
{
    mw_incident_row row;
    mw_state_tx *tx;
    assert_int_equal(mw_state_read_begin(state_db, &tx), MW_OK);
    assert_int_equal(mw_state_incident_get(tx, incident_of(name), &arena, &row), MW_OK);
    mw_state_read_end(tx);
    return row;
}

static void check_decision(mw_slice verdict, mw_slice code, mw_slice reason)
{
    if (!mw_slice_equal(verdict, mw_slice_of(words[2])) ||
        !mw_slice_equal(code, mw_slice_of(words[3])))
        WRONG("%s is %.*s %.*s: %.*s", words[1], MW_SLICE_FMT(verdict), MW_SLICE_FMT(code),
              MW_SLICE_FMT(reason));
}

static void check_expect(void)
{
    mw_decision_row row = decided(id_of(words[1]));
    check_decision(row.verdict, row.reason_code, row.reason);
}

static void check_first(void)
{
    mw_decision_step *steps;
    size_t count;
    mw_state_tx *tx;
    assert_int_equal(mw_state_read_begin(state_db, &tx), MW_OK);
    assert_int_equal(mw_state_decision_steps(tx, id_of(words[1]), &arena, &steps, &count), MW_OK);
    mw_state_read_end(tx);
    if (count < 2)
        WRONG("%s was never changed", words[1]);
    check_decision(steps[0].verdict, steps[0].reason_code, steps[0].reason);
}

static void check_together(bool wanted)
{
    mw_slice one = incident_of(words[1]), other = incident_of(words[2]);
    if (mw_slice_equal(one, other) != wanted)
        WRONG("%s is %s %s: %.*s", words[1], wanted ? "apart from" : "with", words[2],
              MW_SLICE_FMT(decided(id_of(words[1])).reason));
}

static void check_text(mw_slice is, const char *wanted)
{
    if (!mw_slice_equal(is, mw_slice_of(wanted)))
        WRONG("it is \"%.*s\"", MW_SLICE_FMT(is));
}

static void check_suspect(void)
{
    mw_decision_record record;
    assert_int_equal(mw_decision_read(decided(id_of(words[1])).detail_json, &arena, &record),
                     MW_OK);
    for (size_t i = 0; i < record.seen.suspect_count; i++)
        if (mw_slice_equal(record.seen.suspects[i].service, mw_slice_of(words[2])))
            return;
    WRONG("%s is no suspect of %s", words[2], words[1]);
}

static void check_journal(void)
{
    size_t count;
    mw_journal_row *records = journal(incident_of(words[1]), &count);
    for (size_t i = 0; i < count; i++)
        if (mw_slice_contains(records[i].text, mw_slice_of(words[2])) ||
            mw_slice_equal(records[i].type, mw_slice_of(words[2])))
            return;
    WRONG("no record with %s", words[2]);
}

static void check_told(void)
{
    static char command[64];
    mw_slice from = incident_of(words[1]), into = incident_of(words[2]);
    snprintf(command, sizeof command, "merge %.12s %.12s`", from.data, into.data);
    char *pair[] = {words[1], words[2]};
    words[2] = command;
    for (size_t i = 0; i < 2; i++) {
        words[1] = pair[i];
        check_journal();
    }
}

static size_t looks_at(const char *name, mw_look_row **out)
{
    size_t count;
    mw_state_tx *tx;
    assert_int_equal(mw_state_read_begin(state_db, &tx), MW_OK);
    assert_int_equal(mw_state_looks(tx, id_of(name), &arena, out, &count), MW_OK);
    mw_state_read_end(tx);
    return count;
}

static void check_looked(void)
{
    mw_look_row *looks;
    size_t count = looks_at(words[1], &looks);
    if (!count)
        WRONG("%s was not looked at again", words[1]);
    if (!mw_slice_equal(looks[count - 1].look, mw_slice_of(words[2])))
        WRONG("it %.*s: %.*s", MW_SLICE_FMT(looks[count - 1].look),
              MW_SLICE_FMT(looks[count - 1].reason));
}

static void check_times(void)
{
    mw_look_row *looks;
    size_t count = looks_at(words[1], &looks);
    if (count != strtoul(words[2], NULL, 10))
        WRONG("it was %zu times", count);
}

/* {"candidates":[{"service":"NAME",... */
static void check_cause(void)
{
    char wanted[96];
    mw_slice text = investigation(incident_of(words[1])).root_cause_json;
    snprintf(wanted, sizeof wanted, "\"candidates\":[{\"service\":\"%s\"", words[2]);
    if (!mw_slice_contains(text, mw_slice_of(wanted)))
        WRONG("the cause is another: %.*s", MW_SLICE_FMT(text));
    snprintf(wanted, sizeof wanted, "\"verdict\":\"%s\"", words[3]);
    if (!mw_slice_contains(text, mw_slice_of(wanted)))
        WRONG("it is not %s: %.*s", words[3], MW_SLICE_FMT(text));
}

/* ---- which rules were played ----------------------------------------------------------------- */

static bool reasons_met[MW_REASON_COUNT], causes_met[MW_CAUSE_COUNT];
static bool regions_met[MW_REGION_COUNT], looks_met[MW_LOOK_COUNT];
static bool relations_met[MW_RELATION_RESOURCE + 1][MW_TOPOLOGY_FAR + 1];
static bool resource_met, title_met, across_met;

static void meet_reason(mw_slice code)
{
    for (unsigned i = 0; i < MW_REASON_COUNT; i++)
        reasons_met[i] |= mw_slice_equal(code, mw_slice_of(mw_reason_code_name((mw_reason_code)i)));
}

static void meet_candidates(const mw_decision_record *record)
{
    for (size_t i = 0; i < record->input.candidate_count; i++) {
        const mw_candidate *c = &record->candidates[i];
        causes_met[c->cause] = true;
        regions_met[c->region] = true;
        relations_met[c->relation][c->distance] = true;
        resource_met |= c->shared_resource;
        title_met |= c->same_title;
        across_met |= c->region == MW_REGION_OTHER && c->shared_resource;
    }
}

static void meet_alarm(const char *name)
{
    mw_decision_record record;
    mw_decision_step *steps;
    mw_look_row *looks;
    size_t count;
    mw_state_tx *tx;
    mw_decision_row row = decided(id_of(name));
    assert_int_equal(mw_state_read_begin(state_db, &tx), MW_OK);
    assert_int_equal(mw_state_decision_steps(tx, id_of(name), &arena, &steps, &count), MW_OK);
    mw_state_read_end(tx);
    meet_reason(row.reason_code);
    for (size_t i = 0; i < count; i++)
        meet_reason(steps[i].reason_code);
    assert_int_equal(mw_decision_read(row.detail_json, &arena, &record), MW_OK);
    meet_candidates(&record);
    for (size_t i = looks_at(name, &looks); i-- > 0;)
        for (unsigned k = 0; k < MW_LOOK_COUNT; k++)
            looks_met[k] |= mw_slice_equal(looks[i].look, mw_slice_of(mw_look_name((mw_look)k)));
}

/* Played behind all files: a rule without a scenario is a finding. */
static void every_rule_was_played(void **state)
{
    (void)state;
    unsigned missing = 0;
#define NEED(met, ...)                                                                             \
    do {                                                                                           \
        if (!(met)) {                                                                              \
            print_error("no scenario plays: " __VA_ARGS__);                                        \
            print_error("\n");                                                                     \
            missing++;                                                                             \
        }                                                                                          \
    } while (0)
    for (unsigned i = 0; i < MW_REASON_COUNT; i++)
        NEED(reasons_met[i], "reason %s", mw_reason_code_name((mw_reason_code)i));
    for (unsigned i = 0; i < MW_CAUSE_COUNT; i++)
        NEED(causes_met[i], "cause %s", mw_cause_name((mw_cause)i));
    for (unsigned i = 0; i < MW_REGION_COUNT; i++)
        NEED(regions_met[i], "region %s", mw_region_match_name((mw_region_match)i));
    for (unsigned i = 0; i < MW_LOOK_COUNT; i++)
        NEED(looks_met[i], "second look %s", mw_look_name((mw_look)i));
    for (unsigned i = 1; i <= MW_TOPOLOGY_FAR; i++) {
        NEED(relations_met[MW_RELATION_CALLER][i], "caller over %u calls", i);
        NEED(relations_met[MW_RELATION_CALLEE][i], "callee over %u calls", i);
    }
    NEED(relations_met[MW_RELATION_SAME][0], "the same service");
    NEED(relations_met[MW_RELATION_RESOURCE][0], "the same resource alone");
    bool shared = false;
    for (unsigned i = 0; i <= MW_TOPOLOGY_FAR; i++)
        shared |= relations_met[MW_RELATION_SHARED][i];
    NEED(shared, "a shared dependency");
    NEED(resource_met, "a resource in common");
    NEED(across_met, "a resource in common across regions");
    NEED(title_met, "the same title");
    assert_int_equal(missing, 0);
}

static void check_replay(void)
{
    for (size_t i = 0; i < alarm_count; i++) {
        meet_alarm(alarms[i].name);
        mw_replayed done;
        mw_detail detail = {0};
        assert_int_equal(
            mw_triage_replay(triage, mw_slice_of(alarms[i].id), &arena, &done, &detail), MW_OK);
        if (!done.same)
            WRONG("%s differs when replayed: %.*s", alarms[i].name, MW_SLICE_FMT(done.difference));
    }
}

/* ---- files ----------------------------------------------------------------------------------- */

static void check_line(void)
{
    const char *word = words[0];
    if (strcmp(word, "expect") == 0)
        check_expect();
    else if (strcmp(word, "first") == 0)
        check_first();
    else if (strcmp(word, "with") == 0 || strcmp(word, "apart") == 0)
        check_together(word[0] == 'w');
    else if (strcmp(word, "open") == 0 || strcmp(word, "ended") == 0)
        check_text(incident_row(words[1]).open ? MW_SLICE("open") : MW_SLICE("ended"), word);
    else if (strcmp(word, "center") == 0)
        check_text(incident_row(words[1]).center, words[2]);
    else if (strcmp(word, "suspect") == 0)
        check_suspect();
    else if (strcmp(word, "journal") == 0)
        check_journal();
    else if (strcmp(word, "told") == 0)
        check_told();
    else if (strcmp(word, "looked") == 0)
        check_looked();
    else if (strcmp(word, "times") == 0)
        check_times();
    else if (strcmp(word, "cause") == 0)
        check_cause();
    else if (strcmp(word, "status") == 0)
        check_text(incident_row(words[1]).status, words[2]);
    else
        WRONG("no such step: %s", word);
}

static void do_line(void)
{
    mw_verb verb;
    if (strcmp(words[0], "calls") == 0)
        do_calls();
    else if (strcmp(words[0], "alarm") == 0)
        do_alarm();
    else if (strcmp(words[0], "event") == 0)
        do_event();
    else if (strcmp(words[0], "look") == 0)
        do_look();
    else if (strcmp(words[0], "restart") == 0)
        do_restart();
    else if (strcmp(words[0], "imported") == 0)
        do_imported();
    else if (find_verb(words[0], &verb))
        assert_int_equal(do_verb(verb, 1), MW_OK);
    else if (strcmp(words[0], "refused") == 0 && find_verb(words[1], &verb))
        assert_int_equal(do_verb(verb, 2), MW_E_CONFLICT);
    else
        check_line();
}

static void read_words(char *line)
{
    char *save;
    line[strcspn(line, "#\n")] = '\0';
    word_count = 0;
    for (char *word = strtok_r(line, " \t", &save); word; word = strtok_r(NULL, " \t", &save)) {
        assert_true(word_count < WORDS_MAX);
        words[word_count++] = word;
    }
    for (size_t i = word_count; i < WORDS_MAX; i++)
        words[i] = (char *)(uintptr_t) "";
}

static void play(void **state)
{
    char path[256], line[512];
    (void)state;
    snprintf(path, sizeof path, "tests/scenario/%s", file_name);
    FILE *file = fopen(path, "r");
    assert_non_null(file);
    alarm_count = 0;
    line_number = 0;
    fake.wall_ns = NIGHT;
    start();
    while (fgets(line, sizeof line, file)) {
        line_number++;
        read_words(line);
        if (word_count)
            do_line();
    }
    fclose(file);
    check_replay();
}

static char names[64][256];

static int open_scenario(void **state)
{
    file_name = *state;
    return set_up(NULL);
}

int main(int argc, char **argv)
{
    struct CMUnitTest tests[65];
    size_t count = 0;
    DIR *folder = opendir("tests/scenario");
    if (!folder)
        return 1;
    for (struct dirent *entry; (entry = readdir(folder)) && count < 64;) {
        if (!strstr(entry->d_name, ".txt") || (argc > 1 && !strstr(entry->d_name, argv[1])))
            continue;
        snprintf(names[count], sizeof names[0], "%s", entry->d_name);
        tests[count] = (struct CMUnitTest){.name = names[count],
                                           .test_func = play,
                                           .setup_func = open_scenario,
                                           .teardown_func = tear_down,
                                           .initial_state = names[count]};
        count++;
    }
    closedir(folder);
    if (argc < 2)
        tests[count++] = (struct CMUnitTest)cmocka_unit_test(every_rule_was_played);
    return count ? _cmocka_run_group_tests("scenarios", tests, count, NULL, NULL) : 1;
}
