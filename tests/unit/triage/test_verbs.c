/* What people do, against everything that an alarm, an incident or a plan can be: every pair is
 * played, those that are refused with their error, and a refusal leaves all as it was. And two
 * people at once. */
#include "tests/unit/triage/fixture.h"

#include "lib/state/plans.h"

static mw_slice found; /* the investigation that an act named */

static mw_err act_as(const char *who, mw_verb verb, mw_slice subject, mw_slice other,
                     const mw_slice *alarms, size_t count, mw_slice version, mw_detail *detail)
{
    mw_acted done;
    mw_act act = {.verb = verb,
                  .subject = subject,
                  .other = other,
                  .alarms = alarms,
                  .alarm_count = count,
                  .text = MW_SLICE("so"),
                  .version = version,
                  .who = mw_slice_of(who),
                  .address = MW_SLICE("")};
    mw_err err = mw_triage_act(triage, &act, &arena, &done, detail);
    found = done.investigation_id;
    settle();
    return err;
}

static mw_err act(mw_verb verb, mw_slice subject, mw_slice other)
{
    mw_detail detail = {0};
    return act_as("local:a", verb, subject, other, NULL, 0, MW_SLICE(""), &detail);
}

/* ---- alarms ---------------------------------------------------------------------------------- */

typedef enum place {
    ALONE,     /* PROCEED, the only one of its incident */
    FIRST,     /* PROCEED, with another */
    LINKED,    /* LINKED to another's */
    REPEAT,    /* SKIPPED, since its incident is open */
    SET_ASIDE, /* SKIPPED by a person */
    ENDED,     /* of an incident that a person closed */
    UNDECIDED,
    ABSENT,
    PLACES
} place;

static const char *const place_names[PLACES] = {"alone",     "first", "linked",    "repeat",
                                                "set aside", "ended", "undecided", "absent"};

typedef enum deed { TO_OPEN, TO_ITS_OWN, TO_ENDED, TO_NOTHING, UNLINK, PROCEED, SKIP, DEEDS } deed;

#define YES MW_OK
#define NO MW_E_CONFLICT
#define NONE MW_E_NOT_FOUND
/* clang-format off */
static const mw_err alarm_table[PLACES][DEEDS] = {
    /*             an open one, its own, an ended, none,  unlink, proceed, skip */
    [ALONE]     = {YES,         NO,      NO,       NONE,  NO,     NO,      YES},
    [FIRST]     = {YES,         NO,      NO,       NONE,  YES,    NO,      YES},
    [LINKED]    = {YES,         NO,      NO,       NONE,  YES,    YES,     YES},
    [REPEAT]    = {YES,         YES,     NO,       NONE,  NO,     YES,     NO},
    [SET_ASIDE] = {YES,         NONE,    NO,       NONE,  NO,     YES,     NO},
    [ENDED]     = {YES,         NO,      NO,       NONE,  NO,     NO,      YES},
    [UNDECIDED] = {NO,          NO,      NO,       NO,    NO,     NO,      NO},
    [ABSENT]    = {NONE,        NONE,    NONE,     NONE,  NONE,   NONE,    NONE},
};
/* clang-format on */

static const char *const verdicts[DEEDS] = {[TO_OPEN] = "LINKED",
                                            [TO_ITS_OWN] = "LINKED",
                                            [UNLINK] = "PROCEED",
                                            [PROCEED] = "PROCEED",
                                            [SKIP] = "SKIPPED"};
static const char *const codes[DEEDS] = {[TO_OPEN] = "linked_by_person",
                                         [TO_ITS_OWN] = "linked_by_person",
                                         [UNLINK] = "proceeded_by_person",
                                         [PROCEED] = "proceeded_by_person",
                                         [SKIP] = "skipped_by_person"};

static unsigned number;

/* A service of its own each time, so that nothing is near anything else. */
static mw_slice alarm_of(const char *incident, const char *service)
{
    mw_slice id = arrive_at(incident, "created", service, T0);
    settle();
    return id;
}

static mw_slice undecided(const char *incident, const char *service)
{
    arrival a = {.job = {.run = run_arrival},
                 .incident = incident,
                 .action = "created",
                 .service = service,
                 .started_ns = T0};
    assert_int_equal(mw_state_submit_wait(state_db, &a.job), MW_OK);
    return mw_arena_copy(&arena, mw_slice_of(a.id));
}

static mw_slice put_in(place where)
{
    char one[24], two[24], service[24];
    snprintf(one, sizeof one, "one-%u", ++number);
    snprintf(two, sizeof two, "two-%u", number);
    snprintf(service, sizeof service, "service-%u", number);
    if (where == UNDECIDED)
        return undecided(one, service);
    if (where == ABSENT)
        return MW_SLICE("00000000000000000000000000000000");
    mw_slice first = alarm_of(one, service);
    if (where == FIRST || where == LINKED) {
        mw_slice second = alarm_of(two, service);
        assert_slice(decided(second).verdict, "LINKED");
        return where == FIRST ? first : second;
    }
    if (where == REPEAT)
        return alarm_of(one, service);
    if (where == SET_ASIDE)
        assert_int_equal(act(MW_VERB_SKIP, first, MW_SLICE("")), MW_OK);
    if (where == ENDED)
        assert_int_equal(act(MW_VERB_CLOSE, decided(first).investigation_id, MW_SLICE("")), MW_OK);
    return first;
}

static mw_slice an_incident(bool open)
{
    mw_slice id = decided(put_in(open ? ALONE : ENDED)).investigation_id;
    assert_slice(investigation(id).incident_state, open ? "open" : "closed");
    return id;
}

static size_t steps_of(mw_slice alarm)
{
    mw_decision_step *steps;
    size_t count;
    mw_state_tx *tx;
    assert_int_equal(mw_state_read_begin(state_db, &tx), MW_OK);
    assert_int_equal(mw_state_decision_steps(tx, alarm, &arena, &steps, &count), MW_OK);
    mw_state_read_end(tx);
    return count;
}

static mw_slice target_of(deed what, mw_slice own)
{
    switch (what) {
    case TO_OPEN: return an_incident(true);
    case TO_ENDED: return an_incident(false);
    case TO_ITS_OWN:
        if (own.len)
            return own;
        /* fall through */
    default: return MW_SLICE("00000000000000000000000000000000");
    }
}

static void play_alarm(place where, deed what)
{
    static const mw_verb verbs[DEEDS] = {MW_VERB_LINK, MW_VERB_LINK,   MW_VERB_LINK,
                                         MW_VERB_LINK, MW_VERB_UNLINK, MW_VERB_PROCEED,
                                         MW_VERB_SKIP};
    mw_decision_row before = {.verdict = MW_SLICE("")};
    mw_slice alarm = put_in(where);
    bool known = where != ABSENT && decision_of(alarm, &before);
    mw_slice other = target_of(what, known ? before.investigation_id : MW_SLICE(""));
    if (where == UNDECIDED) /* those that were made for the target decided it as well */
        alarm = put_in(where);
    size_t steps = known ? steps_of(alarm) : 0;
    mw_err err = act(verbs[what], alarm, other);
    if (err != alarm_table[where][what])
        fail_msg("%s, deed %u: %s", place_names[where], (unsigned)what, mw_err_text(err));
    if (!known)
        return;
    mw_decision_row row = decided(alarm);
    if (err == MW_OK) {
        assert_slice(row.verdict, verdicts[what]);
        assert_slice(row.reason_code, codes[what]);
        assert_int_equal(steps_of(alarm), steps ? steps + 1 : 2);
        assert_true(mw_slice_equal(row.investigation_id, found));
    } else {
        assert_true(mw_slice_equal(row.verdict, before.verdict));
        assert_true(mw_slice_equal(row.investigation_id, before.investigation_id));
        assert_int_equal(steps_of(alarm), steps);
    }
}

static void test_every_verb_on_every_alarm(void **unused)
{
    (void)unused;
    start();
    for (unsigned where = 0; where < PLACES; where++)
        for (unsigned what = 0; what < DEEDS; what++)
            play_alarm((place)where, (deed)what);
}

/* ---- incidents ------------------------------------------------------------------------------- */

typedef enum life { ONE, TWO, CLOSED, MERGED, MISSING, LIVES } life;
typedef enum change {
    INTO_OPEN,
    INTO_ENDED,
    INTO_ITSELF,
    SPLIT_ONE,
    SPLIT_ALL,
    SPLIT_FOREIGN,
    CLAIM,
    COMMENT,
    CLOSE,
    CHANGES
} change;

/* clang-format off */
static const mw_err incident_table[LIVES][CHANGES] = {
    /*           into open, ended, itself, split one, all,  foreign, claim, comment, close */
    [ONE]     = {YES,       NO,    NO,     NO,        NO,   NO,      YES,   YES,     YES},
    [TWO]     = {YES,       NO,    NO,     YES,       NO,   NO,      YES,   YES,     YES},
    [CLOSED]  = {NO,        NO,    NO,     NO,        NO,   NO,      YES,   YES,     NO},
    [MERGED]  = {NO,        NO,    NO,     NO,        NO,   NO,      YES,   YES,     NO},
    [MISSING] = {NONE,      NONE,  NONE,   NONE,      NONE, NONE,    NONE,  NONE,    NONE},
};
/* clang-format on */

static mw_slice make_life(life which, mw_slice alarms[2])
{
    alarms[0] = alarms[1] = put_in(which == TWO ? FIRST : ALONE);
    mw_slice id = decided(alarms[0]).investigation_id;
    if (which == TWO) {
        mw_alarm_row *rows;
        size_t count;
        mw_state_tx *tx;
        assert_int_equal(mw_state_read_begin(state_db, &tx), MW_OK);
        assert_int_equal(mw_state_alarm_of_investigation(tx, id, &arena, &rows, &count), MW_OK);
        mw_state_read_end(tx);
        assert_int_equal(count, 2);
        alarms[1] = rows[1].id;
    }
    if (which == CLOSED)
        assert_int_equal(act(MW_VERB_CLOSE, id, MW_SLICE("")), MW_OK);
    if (which == MERGED)
        assert_int_equal(act(MW_VERB_MERGE, id, an_incident(true)), MW_OK);
    return which == MISSING ? MW_SLICE("00000000000000000000000000000000") : id;
}

static mw_err change_incident(mw_slice id, change what, const mw_slice alarms[2])
{
    mw_detail detail = {0};
    mw_slice foreign[] = {put_in(ALONE)};
    static const mw_verb verbs[CHANGES] = {MW_VERB_MERGE, MW_VERB_MERGE,   MW_VERB_MERGE,
                                           MW_VERB_SPLIT, MW_VERB_SPLIT,   MW_VERB_SPLIT,
                                           MW_VERB_CLAIM, MW_VERB_COMMENT, MW_VERB_CLOSE};
    mw_slice other = what == INTO_OPEN    ? an_incident(true)
                     : what == INTO_ENDED ? an_incident(false)
                                          : id;
    size_t count = what == SPLIT_ALL ? 2 : 1;
    return act_as("local:a", verbs[what], id, other, what == SPLIT_FOREIGN ? foreign : alarms,
                  count, MW_SLICE(""), &detail);
}

static void test_every_verb_on_every_incident(void **unused)
{
    (void)unused;
    start();
    for (unsigned which = 0; which < LIVES; which++)
        for (unsigned what = 0; what < CHANGES; what++) {
            mw_slice alarms[2];
            mw_slice id = make_life((life)which, alarms);
            mw_slice before = decided(alarms[0]).investigation_id;
            mw_err err = change_incident(id, (change)what, alarms);
            if (err != incident_table[which][what])
                fail_msg("incident %u, change %u: %s", which, what, mw_err_text(err));
            bool moves = err == MW_OK && (what == INTO_OPEN || what == SPLIT_ONE);
            assert_true(mw_slice_equal(before, decided(alarms[0]).investigation_id) != moves);
        }
}

/* ---- plans ----------------------------------------------------------------------------------- */

typedef struct plan_step {
    mw_state_job job;
    mw_slice id;
    unsigned what;
} plan_step;

typedef enum plan_event {
    MADE_SAME,
    MADE_OTHER,
    NO_PLAN,
    APPROVE,
    REJECT,
    APPROVE_OTHER,
    EVENTS
} plan_event;

static mw_err run_plan_step(mw_state_job *job, mw_state_tx *tx)
{
    const plan_step *s = (const plan_step *)(void *)job;
    mw_slice hash =
        s->what == MADE_OTHER || s->what == APPROVE_OTHER ? MW_SLICE("bbbb") : MW_SLICE("aaaa");
    mw_plan_judgement judgement = {.hash = hash,
                                   .status = s->what == REJECT ? MW_SLICE("REJECTED")
                                                               : MW_SLICE("APPROVED"),
                                   .judged_by = MW_SLICE("local:a"),
                                   .comment = MW_SLICE(""),
                                   .now_ns = T0};
    switch ((plan_event)s->what) {
    case MADE_SAME:
    case MADE_OTHER: return mw_state_plan_put(tx, s->id, hash, MW_SLICE("[]"), T0);
    case NO_PLAN: return mw_state_plan_supersede(tx, s->id);
    default: return mw_state_plan_judge(tx, s->id, &judgement);
    }
}

static mw_err plan_happens(mw_slice id, unsigned what)
{
    plan_step s = {.job = {.run = run_plan_step}, .id = id, .what = what};
    return mw_state_submit_wait(state_db, &s.job);
}

static void test_every_event_of_every_plan(void **unused)
{
    (void)unused;
    static const struct {
        const char *status;
        int before[2];            /* events that lead there, behind MADE_SAME; -1 = none */
        const char *next[EVENTS]; /* "" = refused */
    } rows[] = {
        {"PROPOSED", {-1, -1}, {"PROPOSED", "PROPOSED", "SUPERSEDED", "APPROVED", "REJECTED", ""}},
        {"APPROVED", {APPROVE, -1}, {"APPROVED", "PROPOSED", "SUPERSEDED", "", "", ""}},
        {"REJECTED", {REJECT, -1}, {"REJECTED", "PROPOSED", "SUPERSEDED", "", "", ""}},
        {"SUPERSEDED", {NO_PLAN, -1}, {"PROPOSED", "PROPOSED", "SUPERSEDED", "", "", ""}},
        {"SUPERSEDED", {APPROVE, NO_PLAN}, {"PROPOSED", "PROPOSED", "SUPERSEDED", "", "", ""}},
    };
    start();
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        for (unsigned e = 0; e < EVENTS; e++) {
            mw_state_tx *tx;
            mw_plan_row row;
            mw_slice id = an_incident(true);
            assert_int_equal(plan_happens(id, MADE_SAME), MW_OK);
            for (int k = 0; k < 2 && rows[i].before[k] >= 0; k++)
                assert_int_equal(plan_happens(id, (unsigned)rows[i].before[k]), MW_OK);
            mw_err err = plan_happens(id, e);
            assert_int_equal(err, *rows[i].next[e] ? MW_OK : MW_E_CONFLICT);
            assert_int_equal(mw_state_read_begin(state_db, &tx), MW_OK);
            assert_int_equal(mw_state_plan_get(tx, id, &arena, &row), MW_OK);
            mw_state_read_end(tx);
            assert_slice(row.status, *rows[i].next[e] ? rows[i].next[e] : rows[i].status);
        }
}

/* ---- two people ------------------------------------------------------------------------------ */

static mw_slice version_of(mw_slice alarm)
{
    char text[MW_VERSION_SIZE];
    mw_decision_row row = decided(alarm);
    mw_version_of_alarm(&row, steps_of(alarm), text);
    return mw_arena_copy(&arena, mw_slice_of(text));
}

static mw_slice incident_version(mw_slice id)
{
    char text[MW_VERSION_SIZE];
    mw_incident_row incident;
    mw_alarm_row *rows;
    size_t count;
    mw_state_tx *tx;
    assert_int_equal(mw_state_read_begin(state_db, &tx), MW_OK);
    assert_int_equal(mw_state_incident_get(tx, id, &arena, &incident), MW_OK);
    assert_int_equal(mw_state_alarm_of_investigation(tx, id, &arena, &rows, &count), MW_OK);
    mw_state_read_end(tx);
    mw_version_of_incident(&incident, rows, count, text);
    return mw_arena_copy(&arena, mw_slice_of(text));
}

static void test_two_people_and_one_alarm(void **unused)
{
    (void)unused;
    mw_detail detail = {0};
    start();
    mw_slice alarm = put_in(LINKED), seen = version_of(alarm), target = an_incident(true);
    assert_int_equal(act_as("local:a", MW_VERB_UNLINK, alarm, MW_SLICE(""), NULL, 0, seen, &detail),
                     MW_OK);
    mw_slice own = decided(alarm).investigation_id;
    assert_int_equal(act_as("local:b", MW_VERB_LINK, alarm, target, NULL, 0, seen, &detail),
                     MW_E_CONFLICT);
    assert_true(strstr(detail.message, "changed") != NULL);
    assert_true(mw_slice_equal(decided(alarm).investigation_id, own));
    assert_int_equal(
        act_as("local:b", MW_VERB_LINK, alarm, target, NULL, 0, version_of(alarm), &detail), MW_OK);
    /* Away and back again is a change as well. */
    mw_slice other = put_in(LINKED), was = version_of(other);
    mw_slice home = decided(other).investigation_id;
    assert_int_equal(act(MW_VERB_UNLINK, other, MW_SLICE("")), MW_OK);
    assert_int_equal(act(MW_VERB_LINK, other, home), MW_OK);
    assert_int_equal(act_as("local:b", MW_VERB_SKIP, other, MW_SLICE(""), NULL, 0, was, &detail),
                     MW_E_CONFLICT);
}

static void test_two_people_and_one_incident(void **unused)
{
    (void)unused;
    mw_detail detail = {0};
    start();
    mw_slice alarm = put_in(ALONE), id = decided(alarm).investigation_id;
    mw_slice seen = incident_version(id);
    assert_int_equal(
        act_as("local:a", MW_VERB_CLAIM, id, MW_SLICE(""), NULL, 0, MW_SLICE(""), &detail), MW_OK);
    assert_int_equal(
        act_as("local:a", MW_VERB_CLAIM, id, MW_SLICE(""), NULL, 0, MW_SLICE(""), &detail), MW_OK);
    assert_int_equal(
        act_as("local:b", MW_VERB_CLAIM, id, MW_SLICE(""), NULL, 0, MW_SLICE(""), &detail),
        MW_E_CONFLICT);
    assert_true(strstr(detail.message, "local:a has claimed it") != NULL);
    assert_int_equal(act_as("local:b", MW_VERB_CLAIM, id, MW_SLICE(""), NULL, 0, seen, &detail),
                     MW_E_CONFLICT);
    assert_int_equal(
        act_as("local:b", MW_VERB_CLAIM, id, MW_SLICE(""), NULL, 0, incident_version(id), &detail),
        MW_OK);
    /* Who closes what has grown meanwhile has not seen all of it. */
    seen = incident_version(id);
    mw_decision_row row = decided(alarm);
    assert_true(row.investigation_id.len > 0);
    char service[24];
    snprintf(service, sizeof service, "service-%u", number);
    mw_slice more = alarm_of("more", service);
    assert_true(mw_slice_equal(decided(more).investigation_id, id));
    assert_int_equal(act_as("local:b", MW_VERB_CLOSE, id, MW_SLICE(""), NULL, 0, seen, &detail),
                     MW_E_CONFLICT);
    assert_slice(investigation(id).incident_state, "open");
    assert_int_equal(
        act_as("local:b", MW_VERB_CLOSE, id, MW_SLICE(""), NULL, 0, incident_version(id), &detail),
        MW_OK);
}

/* Both at the very same time: one is first, the other is told, nothing is lost between. */
typedef struct person {
    pthread_t thread;
    const char *who;
    mw_slice alarm, version;
    mw_err err;
} person;

static void *unlink_it(void *arg)
{
    person *p = arg;
    mw_arena own;
    mw_acted done;
    mw_detail detail = {0};
    mw_arena_init(&own, MW_MEM_STATE, 0);
    mw_act wanted = {.verb = MW_VERB_UNLINK,
                     .subject = p->alarm,
                     .other = MW_SLICE(""),
                     .text = MW_SLICE(""),
                     .version = p->version,
                     .who = mw_slice_of(p->who),
                     .address = MW_SLICE("")};
    p->err = mw_triage_act(triage, &wanted, &own, &done, &detail);
    mw_arena_reset(&own);
    return NULL;
}

static void test_the_very_same_moment(void **unused)
{
    (void)unused;
    start();
    for (int round = 0; round < 20; round++) {
        mw_slice alarm = put_in(LINKED), seen = version_of(alarm);
        person people[4] = {
            {.who = "local:a"}, {.who = "local:b"}, {.who = "local:c"}, {.who = "local:d"}};
        unsigned done = 0, told = 0;
        for (size_t i = 0; i < 4; i++) {
            people[i].alarm = alarm;
            people[i].version = seen;
            assert_int_equal(pthread_create(&people[i].thread, NULL, unlink_it, &people[i]), 0);
        }
        for (size_t i = 0; i < 4; i++) {
            pthread_join(people[i].thread, NULL);
            done += people[i].err == MW_OK;
            told += people[i].err == MW_E_CONFLICT;
        }
        settle();
        assert_int_equal(done, 1);
        assert_int_equal(told, 3);
        assert_int_equal(steps_of(alarm), 2);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_TRIAGE(test_every_verb_on_every_alarm),
        WITH_TRIAGE(test_every_verb_on_every_incident),
        WITH_TRIAGE(test_every_event_of_every_plan),
        WITH_TRIAGE(test_two_people_and_one_alarm),
        WITH_TRIAGE(test_two_people_and_one_incident),
        WITH_TRIAGE(test_the_very_same_moment),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
