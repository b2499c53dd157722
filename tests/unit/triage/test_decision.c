/* The decision: every combination of its inputs, and that it is a function of them alone. */
#include <string.h>

#include "tests/check.h"
#include "triage/decision.h"

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
        cmocka_unit_test(test_names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
