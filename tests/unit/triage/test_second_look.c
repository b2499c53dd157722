/* What becomes of an alarm whose telemetry came later: every kind of second decision against every
 * place the alarm may be in. */
#include "tests/check.h"
#include "triage/decision/second_look.h"

#define OWN "11111111111111111111111111111111"
#define ELSE "22222222222222222222222222222222"

static mw_candidate of(const char *id, mw_relation relation, mw_cause cause, uint32_t members)
{
    return (mw_candidate){.investigation_id = mw_slice_of(id),
                          .relation = relation,
                          .distance = relation == MW_RELATION_SAME ? 0 : 1,
                          .service = MW_SLICE("shop"),
                          .cause = cause,
                          .cause_service = MW_SLICE("db"),
                          .region = MW_REGION_SAME,
                          .members = members};
}

static mw_looked look(const mw_candidate *candidates, size_t count, size_t others, bool in_hand)
{
    mw_decision again;
    mw_decision_input input = {
        .action = MW_SLICE("created"), .candidates = candidates, .candidate_count = count};
    mw_decide(&input, &again);
    return mw_look_conclude(&input, &again, MW_SLICE(OWN), others, in_hand);
}

typedef struct near {
    const char *id;
    mw_relation relation;
    mw_cause cause;
    uint32_t members;
} near;

#define SAME MW_RELATION_SAME
#define NEXT MW_RELATION_CALLER

/* clang-format off */
static const struct {
    const char *what;
    near near[2];
    size_t count, others;
    mw_look look;
    const char *into;
} rows[] = {
    {"alone, nothing near",
     {{0}}, 0, 0,
     MW_LOOK_STAYS, ""},
    {"alone, another fits",
     {{ELSE, NEXT, MW_CAUSE_SAME, 3}}, 1, 0,
     MW_LOOK_MERGES, ELSE},
    {"alone, it fits by its place",
     {{ELSE, SAME, MW_CAUSE_UNKNOWN, 1}}, 1, 0,
     MW_LOOK_MERGES, ELSE},
    {"alone, another does not fit",
     {{ELSE, NEXT, MW_CAUSE_OTHER, 1}}, 1, 0,
     MW_LOOK_STAYS, ""},
    {"its own fits",
     {{OWN, NEXT, MW_CAUSE_SAME, 1}}, 1, 1,
     MW_LOOK_STAYS, ""},
    {"its own has another cause, none fits",
     {{OWN, SAME, MW_CAUSE_OTHER, 1}}, 1, 1,
     MW_LOOK_LEAVES, ""},
    {"its own has another cause, one fits",
     {{ELSE, NEXT, MW_CAUSE_SAME, 1}, {OWN, SAME, MW_CAUSE_OTHER, 1}}, 2, 1,
     MW_LOOK_MOVES, ELSE},
    {"its own is too far by now, no cause says so",
     {{OWN, NEXT, MW_CAUSE_UNAFFECTED, 1}}, 1, 1,
     MW_LOOK_SUGGESTS, ""},
    {"its own does not fit, one does, no cause says so",
     {{ELSE, NEXT, MW_CAUSE_SAME, 1}, {OWN, NEXT, MW_CAUSE_UNAFFECTED, 1}}, 2, 1,
     MW_LOOK_SUGGESTS, ELSE},
    {"one cause behind both, the other is larger",
     {{OWN, NEXT, MW_CAUSE_SAME, 1}, {ELSE, NEXT, MW_CAUSE_RELATED, 5}}, 2, 1,
     MW_LOOK_MERGES, ELSE},
    {"one cause behind both, its own is larger",
     {{OWN, NEXT, MW_CAUSE_SAME, 5}, {ELSE, NEXT, MW_CAUSE_RELATED, 1}}, 2, 5,
     MW_LOOK_MERGES, ELSE},
    {"both are near, the cause is behind its own alone",
     {{OWN, NEXT, MW_CAUSE_SAME, 1}, {ELSE, SAME, MW_CAUSE_UNKNOWN, 1}}, 2, 1,
     MW_LOOK_SUGGESTS, ELSE},
    {"both are near, the cause is behind the other alone",
     {{ELSE, NEXT, MW_CAUSE_SAME, 1}, {OWN, SAME, MW_CAUSE_UNKNOWN, 1}}, 2, 1,
     MW_LOOK_SUGGESTS, ELSE},
    {"its own is not near any more",
     {{0}}, 0, 4,
     MW_LOOK_STAYS, ""},
};
/* clang-format on */

static void test_conclusions(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        mw_candidate candidates[2] = {{.relation = MW_RELATION_NONE}};
        for (size_t k = 0; k < rows[i].count; k++) {
            const near *n = &rows[i].near[k];
            candidates[k] = of(n->id, n->relation, n->cause, n->members);
        }
        mw_looked done = look(candidates, rows[i].count, rows[i].others, false);
        if (done.look != rows[i].look || !mw_slice_equal(done.into, mw_slice_of(rows[i].into)))
            fail_msg("%s: %s %.*s", rows[i].what, mw_look_name(done.look), MW_SLICE_FMT(done.into));
        /* In a person's hands nothing moves; people are told what would. */
        mw_looked held = look(candidates, rows[i].count, rows[i].others, true);
        assert_int_equal(held.look,
                         rows[i].look == MW_LOOK_STAYS ? MW_LOOK_STAYS : MW_LOOK_SUGGESTS);
        assert_true(mw_slice_equal(held.into, done.into));
    }
}

static void test_a_repeat_stays(void **state)
{
    (void)state;
    mw_decision again;
    mw_decision_input input = {
        .action = MW_SLICE("created"), .incident_known = true, .incident_unresolved = true};
    mw_decide(&input, &again);
    assert_int_equal(again.verdict, MW_VERDICT_SKIPPED);
    assert_int_equal(mw_look_conclude(&input, &again, MW_SLICE(OWN), 0, false).look, MW_LOOK_STAYS);
}

static mw_telemetry_seen seen(bool known, const char *service, uint32_t onset, bool newest)
{
    mw_telemetry_seen out = {.read = true, .known = known};
    if (service)
        out.suspects[out.suspect_count++] = (mw_seen_suspect){
            .service = mw_slice_of(service), .change = {.onset = onset, .calls = onset}};
    out.newest[0] = newest;
    return out;
}

static void test_what_differs(void **state)
{
    (void)state;
    mw_telemetry_seen none = seen(false, NULL, 0, false), well = seen(true, NULL, 0, false);
    mw_telemetry_seen db = seen(true, "db", 10, true), later = seen(true, "db", 11, true);
    mw_telemetry_seen cache = seen(true, "cache", 10, true), old = seen(true, "db", 10, false);
    mw_telemetry_seen unread = {.read = false};
    assert_true(mw_look_differs(&none, &well));
    assert_true(mw_look_differs(&none, &db));
    assert_true(mw_look_differs(&well, &db));
    assert_true(mw_look_differs(&db, &well));
    assert_true(mw_look_differs(&db, &cache));
    assert_true(mw_look_differs(&db, &later));
    assert_true(mw_look_differs(&db, &old)); /* an older trouble is none of now */
    assert_false(mw_look_differs(&well, &old));
    assert_false(mw_look_differs(&db, &unread)); /* what cannot be read says nothing new */
    mw_telemetry_seen more = db;
    more.suspects[0].change.calls = 999; /* more of the same */
    assert_false(mw_look_differs(&db, &more));
    mw_telemetry_seen both = db;
    both.suspects[both.suspect_count++] = cache.suspects[0];
    both.newest[1] = true;
    assert_true(mw_look_differs(&db, &both));
    assert_true(mw_look_differs(&both, &db));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_conclusions),
        cmocka_unit_test(test_a_repeat_stays),
        cmocka_unit_test(test_what_differs),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
