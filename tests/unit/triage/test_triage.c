/* Triage: an alarm becomes a decision and a finished investigation with its evidence and gaps; the
 * life of an incident from first report to the next. */
#include <jansson.h>

#include "lib/base/counter.h"
#include "tests/unit/triage/fixture.h"

static json_t *load(mw_slice text)
{
    json_error_t error;
    json_t *root = json_loadb(text.data, text.len, JSON_REJECT_DUPLICATES, &error);
    if (!root)
        fail_msg("not JSON: %s: %.*s", error.text, MW_SLICE_FMT(text));
    return root;
}

static const char *string_at(const json_t *object, const char *name)
{
    const char *text = json_string_value(json_object_get(object, name));
    if (!text)
        fail_msg("no string %s", name);
    return text;
}

static bool has_gap(const json_t *root_cause, const char *code)
{
    const json_t *gaps = json_object_get(root_cause, "gaps");
    for (size_t i = 0; i < json_array_size(gaps); i++)
        if (strcmp(string_at(json_array_get(gaps, i), "code"), code) == 0)
            return strlen(string_at(json_array_get(gaps, i), "text")) > 10;
    return false;
}

/* ---- one alarm, one investigation ---------------------------------------------------------- */

static void check_inconclusive(mw_slice text)
{
    json_t *root = load(text);
    assert_string_equal(string_at(root, "verdict"), "INCONCLUSIVE");
    assert_true(strlen(string_at(root, "summary")) > 10);
    assert_null(strstr(string_at(root, "summary"), "1970")); /* no onset, no time */
    assert_true(json_is_real(json_object_get(root, "confidence")));
    assert_true(json_real_value(json_object_get(root, "confidence")) < 0.3);
    assert_true(json_is_array(json_object_get(root, "candidates")));
    assert_true(json_is_array(json_object_get(root, "ruled_out")));
    assert_true(has_gap(root, "no_logs") && has_gap(root, "no_metrics"));
    json_decref(root);
}

/* The first record of the journal that says so. */
static mw_journal_row record_of(mw_slice id, const char *words)
{
    size_t count;
    mw_journal_row *records = journal(id, &count);
    for (size_t i = 0; i < count; i++)
        if (mw_slice_contains(records[i].text, mw_slice_of(words)))
            return records[i];
    fail_msg("no record says %s", words);
    return records[0];
}

static void check_evidence(mw_slice text, size_t expected)
{
    json_t *array = load(text);
    assert_int_equal(json_array_size(array), expected);
    const json_t *first = json_array_get(array, 0);
    assert_int_equal(strlen(string_at(first, "evidence_id")), 32);
    assert_string_equal(string_at(first, "kind"), "span");
    assert_string_equal(string_at(first, "service"), "checkout");
    assert_non_null(strstr(string_at(first, "text"), "POST /pay"));
    assert_non_null(strstr(string_at(first, "text"), "card <refused>"));
    assert_non_null(strstr(string_at(first, "text"), "1.500 ms"));
    const json_t *ref = json_object_get(first, "ref");
    char query[128];
    assert_int_equal(strlen(string_at(ref, "trace_id")), 32);
    assert_int_equal(strlen(string_at(ref, "span_id")), 16);
    snprintf(query, sizeof query, "midwatch trace show %s", string_at(ref, "trace_id"));
    assert_string_equal(string_at(first, "query"), query);
    const json_t *window = json_object_get(first, "window");
    assert_string_equal(string_at(window, "start"), "2026-03-14T09:26:13.000000000Z");
    assert_string_equal(string_at(window, "start_unix_nano"), "1773480373000000000");
    assert_true(json_is_string(json_object_get(window, "end")));
    json_decref(array);
}

static void test_alarm_to_finished_investigation(void **unused)
{
    (void)unused;
    static const span_spec spans[] = {
        {"checkout", "POST /pay", "card <refused>", T0 - 40 * MW_NS_PER_S, true},
        {"checkout", "POST /pay", "", T0 - 60 * MW_NS_PER_S, true},
        {"checkout", "GET /cart", "", T0 - 70 * MW_NS_PER_S, true},
        {"checkout", "GET /cart", "", T0 - 80 * MW_NS_PER_S, false},
        {"payment", "charge", "", T0 - 50 * MW_NS_PER_S, true},
        {"checkout", "old", "", T0 - 21 * MINUTE, true},
        {"checkout", "edge of the window", "", T0 - 20 * MINUTE, true},
        {"checkout", "late", "", T0 + 5 * MINUTE + 1, true},
    };
    append_spans(spans, sizeof spans / sizeof spans[0]);
    uint64_t completed = mw_counter_value(MW_COUNT_INVESTIGATIONS_COMPLETED);
    uint64_t proceeds = mw_counter_value(MW_COUNT_DECISIONS_PROCEED);
    start();
    mw_slice alarm = arrive_at("inc-1", "created", "checkout", T0);
    settle();

    mw_decision_row decision = decided(alarm);
    assert_slice(decision.verdict, "PROCEED");
    assert_slice(decision.reason_code, "new_incident");
    assert_int_equal(decision.decided_ns, T0);
    assert_true(decision.as_of > 0);
    assert_false(decision.scored);
    json_t *detail = load(decision.detail_json);
    const json_t *inputs = json_object_get(detail, "inputs");
    assert_string_equal(string_at(inputs, "action"), "created");
    assert_string_equal(string_at(inputs, "incident_id"), "inc-1");
    assert_true(json_is_false(json_object_get(inputs, "incident_known")));
    assert_true(json_is_false(json_object_get(inputs, "incident_unresolved")));
    assert_true(json_is_null(json_object_get(inputs, "known_investigation_id")));
    assert_true(json_is_object(json_object_get(detail, "parts")));
    assert_true(json_is_array(json_object_get(detail, "candidates")));
    json_decref(detail);

    mw_investigation_row row = investigation(decision.investigation_id);
    assert_slice(row.status, "COMPLETED");
    assert_slice(row.incident_state, "open");
    assert_slice(row.title, "checkout <5xx>");
    assert_slice(row.priority, "HIGH");
    assert_slice(row.space, "default");
    assert_int_equal(row.created_ns, T0);
    assert_int_equal(row.window_start_ns, T0 - 20 * MINUTE);
    assert_int_equal(row.window_end_ns, T0 + 5 * MINUTE);
    check_inconclusive(row.root_cause_json);

    mw_journal_row found = record_of(row.id, "error_origin");
    assert_slice(found.type, "FINDING");
    assert_true(mw_slice_contains(found.evidence_json, MW_SLICE("edge of the window")));
    assert_false(mw_slice_contains(found.evidence_json, MW_SLICE("late failed")));
    assert_false(mw_slice_contains(found.evidence_json, MW_SLICE("old failed")));
    check_evidence(found.evidence_json, 4);
    assert_int_equal(mw_counter_value(MW_COUNT_INVESTIGATIONS_COMPLETED), completed + 1);
    assert_int_equal(mw_counter_value(MW_COUNT_DECISIONS_PROCEED), proceeds + 1);
}

static void test_evidence_is_bounded(void **unused)
{
    (void)unused;
    span_spec spans[30];
    char names[30][24];
    for (size_t i = 0; i < 30; i++) {
        snprintf(names[i], sizeof names[i], "POST /pay/%zu", i);
        spans[i] = (span_spec){"checkout", names[i], "card <refused>",
                               T0 - (40 + (int64_t)i) * MW_NS_PER_S, true};
    }
    append_spans(spans, 30);
    start();
    mw_slice alarm = arrive_at("inc-1", "created", "checkout", T0);
    settle();
    mw_journal_row found = record_of(decided(alarm).investigation_id, "error_origin");
    check_evidence(found.evidence_json, 10);
}

static void check_gap(const char *incident, const char *service, const char *code)
{
    mw_slice alarm = arrive_at(incident, "created", service, T0);
    settle();
    mw_investigation_row row = investigation(decided(alarm).investigation_id);
    assert_slice(row.status, "COMPLETED");
    check_inconclusive(row.root_cause_json);
    json_t *root = load(row.root_cause_json);
    if (!has_gap(root, code))
        fail_msg("no gap %s in %.*s", code, MW_SLICE_FMT(row.root_cause_json));
    json_decref(root);
    assert_slice(record_of(row.id, "alarms: ").type, "PLANNING");
    assert_slice(record_of(row.id, "read ").type, "SEARCHING");
}

static void test_gaps(void **unused)
{
    (void)unused;
    static const span_spec span = {"healthy", "GET /", "", T0 - MINUTE, false};
    append_spans(&span, 1);
    start();
    check_gap("a", "", "no_service");
    check_gap("b", "unheard-of", "service_silent");
    check_gap("c", "healthy", "no_change");
}

/* ---- the life of an incident --------------------------------------------------------------- */

static void test_duplicates(void **unused)
{
    (void)unused;
    start();
    mw_slice first = arrive("inc-1", "created"), second = arrive("inc-1", "created");
    settle();
    mw_slice third = arrive("inc-1", "created"), other = arrive("inc-2", "created");
    settle();
    assert_slice(decided(first).verdict, "PROCEED");
    mw_slice repeats[] = {second, third};
    for (size_t i = 0; i < 2; i++) {
        mw_decision_row row = decided(repeats[i]);
        assert_slice(row.verdict, "SKIPPED");
        assert_slice(row.reason_code, "duplicate");
        assert_true(mw_slice_equal(row.investigation_id, decided(first).investigation_id));
    }
    assert_slice(decided(other).verdict, "PROCEED");
    assert_false(mw_slice_equal(decided(other).investigation_id, decided(first).investigation_id));
}

static void check_reopens(const char *incident, const char *closing)
{
    mw_slice first = arrive(incident, "created");
    settle();
    mw_slice taken = arrive(incident, closing);
    settle();
    assert_true(mw_slice_equal(taken, first)); /* an event, no alarm of its own */
    mw_slice again = arrive(incident, "created");
    settle();
    mw_decision_row one = decided(first), two = decided(again);
    assert_slice(two.verdict, "PROCEED");
    assert_slice(two.reason_code, "new_incident");
    assert_false(mw_slice_equal(one.investigation_id, two.investigation_id));
    assert_slice(investigation(one.investigation_id).incident_state, "closed");
    assert_slice(investigation(two.investigation_id).incident_state, "open");
}

static void test_resolved_or_closed_then_created_is_new(void **unused)
{
    (void)unused;
    start();
    check_reopens("inc-1", "resolved");
    check_reopens("inc-2", "closed");
}

static void test_updated_does_not_reopen(void **unused)
{
    (void)unused;
    start();
    mw_slice first = arrive("inc-1", "created");
    assert_true(mw_slice_equal(arrive("inc-1", "updated"), first));
    mw_slice again = arrive("inc-1", "created");
    settle();
    assert_slice(decided(again).reason_code, "duplicate");
    assert_slice(investigation(decided(first).investigation_id).incident_state, "open");
}

static void test_unknown_incidents(void **unused)
{
    (void)unused;
    static const char *const actions[] = {"updated", "resolved", "closed"};
    start();
    for (size_t i = 0; i < 3; i++) {
        mw_slice alarm = arrive("inc-1", actions[i]);
        settle();
        mw_decision_row row = decided(alarm);
        assert_slice(row.verdict, "SKIPPED");
        assert_slice(row.reason_code, "unknown_incident");
        assert_int_equal(row.investigation_id.len, 0);
    }
    /* None of them counts: the first `created` is new. */
    mw_slice created = arrive("inc-1", "created");
    settle();
    assert_slice(decided(created).verdict, "PROCEED");
}

/* A closing that comes between a repeat's commit and its decision belongs to the incident, not
 * to the repeat that is skipped a moment later. */
static void test_closing_of_an_undecided_repeat(void **unused)
{
    (void)unused;
    mw_slice first = arrive("inc-1", "created"), repeat = arrive("inc-1", "created");
    assert_true(mw_slice_equal(arrive("inc-1", "resolved"), repeat));
    mw_slice later = arrive("inc-1", "created");
    start(); /* all three are decided now, in order */
    settle();
    assert_slice(decided(first).verdict, "PROCEED");
    assert_slice(decided(repeat).reason_code, "duplicate");
    assert_slice(decided(later).verdict, "PROCEED");
    assert_slice(investigation(decided(first).investigation_id).incident_state, "closed");
    assert_slice(investigation(decided(later).investigation_id).incident_state, "open");
}

static void test_closing_of_an_undecided_alarm(void **unused)
{
    (void)unused;
    mw_slice first = arrive("inc-1", "created");
    arrive("inc-1", "closed");
    start();
    settle();
    mw_investigation_row row = investigation(decided(first).investigation_id);
    assert_slice(row.incident_state, "closed");
    assert_slice(row.status, "COMPLETED"); /* it is looked into all the same */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_TRIAGE(test_alarm_to_finished_investigation),
        WITH_TRIAGE(test_evidence_is_bounded),
        WITH_TRIAGE(test_gaps),
        WITH_TRIAGE(test_duplicates),
        WITH_TRIAGE(test_resolved_or_closed_then_created_is_new),
        WITH_TRIAGE(test_updated_does_not_reopen),
        WITH_TRIAGE(test_unknown_incidents),
        WITH_TRIAGE(test_closing_of_an_undecided_repeat),
        WITH_TRIAGE(test_closing_of_an_undecided_alarm),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
