/* The decision: every combination of its inputs, and that it is a function of them alone. */
#include <string.h>

#include "tests/check.h"
#include "triage/decision/change.h"
#include "triage/decision/decision.h"

static void test_table(void **state)
{
    (void)state;
    static const struct {
        const char *action;
        bool known, unresolved;
        mw_verdict verdict;
        mw_reason_code code;
        bool names_investigation;
    } rows[] = {
        {"created", false, false, MW_VERDICT_PROCEED, MW_REASON_NEW_INCIDENT, false},
        {"created", true, true, MW_VERDICT_SKIPPED, MW_REASON_DUPLICATE, true},
        {"created", true, false, MW_VERDICT_PROCEED, MW_REASON_NEW_INCIDENT, false},
        {"updated", false, false, MW_VERDICT_SKIPPED, MW_REASON_UNKNOWN_INCIDENT, false},
        {"resolved", false, false, MW_VERDICT_SKIPPED, MW_REASON_UNKNOWN_INCIDENT, false},
        {"closed", false, false, MW_VERDICT_SKIPPED, MW_REASON_UNKNOWN_INCIDENT, false},
        {"updated", true, true, MW_VERDICT_SKIPPED, MW_REASON_DUPLICATE, true},
        {"closed", true, false, MW_VERDICT_SKIPPED, MW_REASON_DUPLICATE, true},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        mw_decision_input input = {.action = mw_slice_of(rows[i].action),
                                   .incident_id = MW_SLICE("inc"),
                                   .incident_known = rows[i].known,
                                   .incident_unresolved = rows[i].unresolved,
                                   .known_investigation_id = MW_SLICE("cafe")};
        mw_decision one, two;
        memset(&one, 0xaa, sizeof one);
        memset(&two, 0x55, sizeof two);
        mw_decide(&input, &one);
        mw_decide(&input, &two);
        assert_int_equal(one.verdict, rows[i].verdict);
        assert_int_equal(one.reason_code, rows[i].code);
        assert_slice(one.investigation_id, rows[i].names_investigation ? "cafe" : "");
        assert_true(strlen(one.reason) > 10);
        assert_string_equal(one.reason, two.reason);
        assert_memory_equal(one.reason, two.reason, sizeof one.reason);
        assert_int_equal(one.verdict, two.verdict);
        assert_int_equal(one.reason_code, two.reason_code);
    }
}

/* An alarm whose known predecessor has no investigation yet: skipped, named by nobody. */
static void test_duplicate_of_an_undecided_alarm(void **state)
{
    (void)state;
    mw_decision_input input = {
        .action = MW_SLICE("created"), .incident_known = true, .incident_unresolved = true};
    mw_decision out;
    mw_decide(&input, &out);
    assert_int_equal(out.verdict, MW_VERDICT_SKIPPED);
    assert_int_equal(out.investigation_id.len, 0);
}

static void test_first_and_repeated_incidents_read_differently(void **state)
{
    (void)state;
    mw_decision_input input = {.action = MW_SLICE("created")};
    mw_decision first, again;
    mw_decide(&input, &first);
    input.incident_known = true;
    mw_decide(&input, &again);
    assert_string_not_equal(first.reason, again.reason);
}

/* ---- weighing ------------------------------------------------------------------------------ */

static mw_candidate candidate(mw_relation relation, uint32_t distance, mw_cause cause)
{
    return (mw_candidate){.investigation_id = MW_SLICE("one"),
                          .relation = relation,
                          .distance = distance,
                          .service = MW_SLICE("cart"),
                          .cause = cause,
                          .cause_service = MW_SLICE("db"),
                          .region = MW_REGION_SAME,
                          .members = 1};
}

static mw_decision decide(const mw_candidate *candidates, size_t count)
{
    mw_decision out;
    mw_decision_input input = {.action = MW_SLICE("created"),
                               .service = MW_SLICE("shop"),
                               .suspect = MW_SLICE("db"),
                               .candidates = candidates,
                               .candidate_count = count};
    mw_decide(&input, &out);
    return out;
}

static void test_what_links_and_what_does_not(void **state)
{
    (void)state;
    static const struct {
        mw_relation relation;
        uint32_t distance;
        mw_cause cause;
        mw_region_match region;
        uint64_t apart_s;
        bool resource;
        mw_reason_code code;
    } rows[] = {
        /* the look-back is inclusive, and the same service needs nothing else */
        {MW_RELATION_SAME, 0, MW_CAUSE_UNKNOWN, MW_REGION_UNKNOWN, 1200, false,
         MW_REASON_SAME_SERVICE},
        {MW_RELATION_SAME, 0, MW_CAUSE_OTHER, MW_REGION_SAME, 0, true, MW_REASON_OTHER_CAUSE},
        {MW_RELATION_SAME, 0, MW_CAUSE_SAME, MW_REGION_OTHER, 0, false, MW_REASON_OTHER_REGION},
        {MW_RELATION_SAME, 0, MW_CAUSE_SAME, MW_REGION_OTHER, 0, true, MW_REASON_SAME_SERVICE},
        {MW_RELATION_CALLEE, 1, MW_CAUSE_UNKNOWN, MW_REGION_SAME, 600, false, MW_REASON_CALL_PATH},
        {MW_RELATION_CALLER, 1, MW_CAUSE_UNKNOWN, MW_REGION_UNKNOWN, 1200, false,
         MW_REASON_NOT_ALIKE},
        {MW_RELATION_CALLER, 1, MW_CAUSE_UNAFFECTED, MW_REGION_SAME, 0, false, MW_REASON_NOT_ALIKE},
        {MW_RELATION_CALLER, 1, MW_CAUSE_QUIET, MW_REGION_SAME, 60, false, MW_REASON_CALL_PATH},
        {MW_RELATION_CALLER, 1, MW_CAUSE_QUIET, MW_REGION_SAME, 300, false, MW_REASON_NOT_ALIKE},
        {MW_RELATION_CALLEE, 6, MW_CAUSE_SAME, MW_REGION_SAME, 1200, false, MW_REASON_CALL_PATH},
        {MW_RELATION_CALLEE, 6, MW_CAUSE_UNKNOWN, MW_REGION_SAME, 0, false, MW_REASON_NOT_ALIKE},
        {MW_RELATION_SHARED, 6, MW_CAUSE_SAME, MW_REGION_SAME, 1200, false,
         MW_REASON_SHARED_DEPENDENCY},
        {MW_RELATION_SHARED, 1, MW_CAUSE_UNKNOWN, MW_REGION_SAME, 120, false, MW_REASON_NOT_ALIKE},
        {MW_RELATION_RESOURCE, 0, MW_CAUSE_UNKNOWN, MW_REGION_SAME, 1200, true,
         MW_REASON_SHARED_RESOURCE},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        mw_candidate c = candidate(rows[i].relation, rows[i].distance, rows[i].cause);
        c.region = rows[i].region;
        c.apart_ns = rows[i].apart_s * UINT64_C(1000000000);
        c.shared_resource = rows[i].resource;
        mw_decision out = decide(&c, 1);
        if (out.reason_code != rows[i].code)
            fail_msg("row %zu: %s, score %.3f", i, out.reason, out.score);
        assert_int_equal(out.verdict, mw_reason_verdict(rows[i].code));
        assert_slice(out.investigation_id, out.verdict == MW_VERDICT_LINKED ? "one" : "");
        assert_true(out.scored && out.threshold == mw_decision_threshold);
    }
}

/* Both have the cause: one incident, and the larger goes on. Near alone: somebody may say so. */
static void test_an_alarm_that_fits_two(void **state)
{
    (void)state;
    mw_candidate two[] = {candidate(MW_RELATION_SAME, 0, MW_CAUSE_SAME),
                          candidate(MW_RELATION_CALLER, 1, MW_CAUSE_RELATED)};
    two[1].investigation_id = MW_SLICE("two");
    two[1].members = 5;
    mw_decision out = decide(two, 2);
    assert_slice(out.investigation_id, "two");
    assert_int_equal(out.join_count, 1);
    assert_int_equal(out.joins[0], 0);
    two[1].cause = MW_CAUSE_UNKNOWN;
    out = decide(two, 2);
    assert_slice(out.investigation_id, "one");
    assert_int_equal(out.join_count, 0);
    assert_int_equal(out.propose_count, 1);
    assert_int_equal(out.proposes[0], 1);
}

static void test_every_weight_has_a_reason(void **state)
{
    (void)state;
    for (size_t i = 0; i < mw_weight_row_count; i++) {
        assert_true(strlen(mw_weight_rows[i].part) > 3 && strlen(mw_weight_rows[i].when) > 3);
        assert_true(strlen(mw_weight_rows[i].why) > 10);
        assert_true(mw_weight_rows[i].weight > -1.0 && mw_weight_rows[i].weight < 1.0);
    }
}

/* ---- what changed -------------------------------------------------------------------------- */

#define LAST UINT32_C(29558000)

static mw_change judge(uint64_t errors_before, uint64_t us_before, uint64_t calls, uint64_t errors,
                       uint64_t us, unsigned since)
{
    mw_series_minute minutes[MW_TOPOLOGY_MINUTES];
    for (unsigned i = 0; i < MW_TOPOLOGY_MINUTES; i++) {
        bool now = i >= MW_TOPOLOGY_MINUTES - since;
        /* a little unevenness, as there is */
        minutes[i] = (mw_series_minute){calls, now ? errors : errors_before,
                                        (now ? us : us_before) + i % 5 * us_before / 50};
    }
    return mw_change_judge(minutes, LAST);
}

static void test_changes(void **state)
{
    (void)state;
    assert_int_equal(judge(0, 10000, 50, 0, 10000, 3).state, MW_SIGNAL_USUAL);
    assert_int_equal(judge(0, 10000, 50, 10, 10000, 3).state, MW_SIGNAL_ERRORS);
    assert_int_equal(judge(10, 10000, 50, 12, 10000, 3).state, MW_SIGNAL_USUAL);
    assert_int_equal(judge(0, 10000, 50, 0, 40000, 3).state, MW_SIGNAL_SLOW);
    assert_int_equal(judge(0, 10000, 50, 0, 11000, 3).state, MW_SIGNAL_USUAL);
    assert_int_equal(judge(0, 10000, 50, 0, 40000, 1).state, MW_SIGNAL_SLOW);
    assert_int_equal(judge(0, 10000, 0, 0, 0, 3).state, MW_SIGNAL_UNKNOWN);
    assert_int_equal(judge(0, 10, 50, 0, 100, 3).state, MW_SIGNAL_USUAL); /* 90 us: nobody cares */
    /* A fault of fifteen minutes still shows, and since when. */
    mw_change change = judge(0, 10000, 50, 25, 10000, 15);
    assert_int_equal(change.state, MW_SIGNAL_ERRORS);
    assert_int_equal(change.onset, LAST - 14);
    assert_true(change.strong);
    assert_true(change.error_rate > 0.4);
}

/* ---- where the trouble ends ---------------------------------------------------------------- */

static void test_suspects(void **state)
{
    (void)state;
    /* shop calls cart and pay, cart calls db; db fails from five minutes ago on */
    static const struct {
        uint32_t caller, callee;
        bool fails;
    } series[] = {{0, 2, true}, {1, 2, true}, {3, 0, true}, {3, 4, false}};
    mw_slice names[] = {MW_SLICE_INIT("cart"), MW_SLICE_INIT("cron"), MW_SLICE_INIT("db"),
                        MW_SLICE_INIT("shop"), MW_SLICE_INIT("pay")};
    mw_minute_cell cells[4 * MW_TOPOLOGY_MINUTES];
    mw_minutes minutes = {.names = names, .name_count = 5, .cells = cells};
    mw_topology *t;
    mw_arena arena;
    uint32_t node;
    for (size_t i = 0; i < 4; i++)
        for (uint32_t m = 0; m < MW_TOPOLOGY_MINUTES; m++)
            cells[minutes.cell_count++] =
                (mw_minute_cell){.caller = series[i].caller,
                                 .callee = series[i].callee,
                                 .minute = LAST - MW_TOPOLOGY_MINUTES + 1 + m,
                                 .calls = 40,
                                 .errors = series[i].fails && m >= MW_TOPOLOGY_MINUTES - 5 ? 30 : 0,
                                 .mean_us = 1000};
    mw_arena_init(&arena, MW_MEM_STATE, 0);
    assert_int_equal(mw_topology_build(&minutes, NULL, 0, LAST, &arena, &t), MW_OK);
    assert_true(mw_topology_find(t, MW_SLICE("shop"), &node));
    const mw_standing *standing = mw_topology_standing(t, node);
    assert_int_equal(standing->suspect_count, 1);
    assert_slice(mw_topology_name(t, standing->suspects[0].node), "db");
    assert_int_equal(standing->suspects[0].onset, LAST - 4);
    assert_int_equal(standing->before_count, 3); /* cart, cron, shop */
    assert_int_equal(standing->near[0].node, node);
    assert_int_equal(standing->near[0].relation, MW_RELATION_SAME);
    assert_true(mw_topology_find(t, MW_SLICE("pay"), &node));
    standing = mw_topology_standing(t, node);
    assert_int_equal(standing->suspect_count, 0);
    assert_true(standing->known);
    assert_false(mw_topology_find(t, MW_SLICE("payment"), &node));
    mw_arena_reset(&arena);
}

static void test_names(void **state)
{
    (void)state;
    assert_string_equal(mw_verdict_name(MW_VERDICT_PROCEED), "PROCEED");
    assert_string_equal(mw_verdict_name(MW_VERDICT_LINKED), "LINKED");
    assert_string_equal(mw_verdict_name(MW_VERDICT_SKIPPED), "SKIPPED");
    assert_string_equal(mw_reason_code_name(MW_REASON_NEW_INCIDENT), "new_incident");
    assert_string_equal(mw_reason_code_name(MW_REASON_DUPLICATE), "duplicate");
    assert_string_equal(mw_reason_code_name(MW_REASON_UNKNOWN_INCIDENT), "unknown_incident");
    for (int i = 0; i < MW_REASON_COUNT; i++)
        assert_non_null(mw_reason_code_name((mw_reason_code)i));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_table),
        cmocka_unit_test(test_duplicate_of_an_undecided_alarm),
        cmocka_unit_test(test_first_and_repeated_incidents_read_differently),
        cmocka_unit_test(test_what_links_and_what_does_not),
        cmocka_unit_test(test_an_alarm_that_fits_two),
        cmocka_unit_test(test_every_weight_has_a_reason),
        cmocka_unit_test(test_changes),
        cmocka_unit_test(test_suspects),
        cmocka_unit_test(test_names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
