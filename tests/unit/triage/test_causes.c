/* The ranking, a pure function: each kind of fault from the findings that show it, victims behind
 * causes, changes, what is ruled out, and an honest "not certain". */
#include "tests/check.h"
#include "triage/conclusion/report_int.h"

static mw_arena arena;
static mw_findings *found;
static mw_causes causes;

static int set_up(void **unused)
{
    (void)unused;
    mw_arena_init(&arena, MW_MEM_QUERY, 0);
    found = mw_findings_new(&arena);
    if (!found)
        return -1;
    return 0;
}

static int tear_down(void **unused)
{
    (void)unused;
    mw_arena_reset(&arena);
    return 0;
}

static void calls(const char *caller, const char *callee, double count)
{
    found->calls[found->call_count++] =
        (mw_call){mw_slice_of(caller), mw_slice_of(callee), count, false};
}

static mw_finding *add(mw_finding_kind kind, const char *service, const char *other,
                       double strength, double weight)
{
    mw_finding finding = {.kind = kind,
                          .service = mw_slice_of(service),
                          .other = mw_slice_of(other),
                          .strength = strength,
                          .weight = weight,
                          .first_ns = 1000 * (uint64_t)1000000000,
                          .text = MW_SLICE("as found")};
    assert_int_equal(mw_findings_add(found, &finding), MW_OK);
    return &found->items[found->count - 1];
}

static const mw_ranked_cause *first(void)
{
    assert_int_equal(mw_causes_rank(found, MW_SLICE("entry"), &causes), MW_OK);
    assert_true(causes.count > 0);
    return &causes.items[0];
}

/* Calls to one service are slow, those to others are not: it is that service. */
static void test_network(void **unused)
{
    (void)unused;
    calls("entry", "cart", 100);
    calls("entry", "ads", 400);
    calls("checkout", "cart", 20);
    calls("entry", "checkout", 20);
    add(MW_FOUND_WIRE, "entry", "cart", 50, 20000);
    add(MW_FOUND_WIRE, "checkout", "cart", 30, 4000);
    const mw_ranked_cause *cause = first();
    assert_slice(cause->service, "cart");
    assert_int_equal(cause->kind, MW_FAULT_NETWORK);
    assert_true(causes.probable);
    assert_true(causes.confidence > 0.7);
    assert_int_equal(causes.onset_ns, 1000 * (uint64_t)1000000000);
    assert_int_equal(cause->reason_count, 2);
    assert_true(causes.ruled_out_count > 0);
    assert_slice(causes.ruled_out[0].service, "entry");
}

/* Calls from one service are slow, whoever it calls: it is the caller. */
static void test_slow_caller(void **unused)
{
    (void)unused;
    const char *const callees[] = {"cart", "ads", "search"};
    for (size_t i = 0; i < 3; i++) {
        calls("entry", callees[i], 100);
        add(MW_FOUND_WIRE, "entry", callees[i], 40, 9000);
    }
    calls("batch", "cart", 50);
    assert_slice(first()->service, "entry");
    assert_int_equal(causes.items[0].kind, MW_FAULT_SLOW);
}

/* With one slow callee alone the callee is meant, also when the caller calls nobody else. */
static void test_one_callee(void **unused)
{
    (void)unused;
    calls("auth", "captcha", 40);
    calls("entry", "auth", 40);
    calls("entry", "captcha", 40);
    add(MW_FOUND_WIRE, "auth", "captcha", 40, 9000);
    add(MW_FOUND_WIRE, "entry", "captcha", 40, 9000);
    add(MW_FOUND_SELF, "auth", "login", 20, 5000);
    assert_slice(first()->service, "captcha");
}

static void test_processor(void **unused)
{
    (void)unused;
    calls("entry", "ranker", 100);
    calls("ranker", "catalog", 100);
    add(MW_FOUND_WIRE, "entry", "ranker", 50, 90000);
    add(MW_FOUND_WIRE, "ranker", "catalog", 20, 9000);
    add(MW_FOUND_SELF, "ranker", "rank", 60, 90000);
    add(MW_FOUND_METRIC, "ranker", "cpu.usage", 43, 0)->class_of = MW_CLASS_CPU;
    assert_slice(first()->service, "ranker");
    assert_int_equal(causes.items[0].kind, MW_FAULT_CPU);
}

/* Who fails and calls somebody who fails is behind him, however plain its failure is. */
static void test_victims_come_behind(void **unused)
{
    (void)unused;
    calls("entry", "preserve", 30);
    calls("preserve", "contacts", 30);
    add(MW_FOUND_MISSING, "preserve", "POST /preserve", 6, 10);
    add(MW_FOUND_LOGS, "contacts", "no such contact", 4.6, 12);
    assert_slice(first()->service, "contacts");
    assert_int_equal(causes.items[0].kind, MW_FAULT_ERRORS);
    assert_slice(causes.items[1].service, "preserve");
    assert_int_equal(causes.items[1].kind, MW_FAULT_MISSING);
    assert_true(causes.items[1].score < causes.items[0].score);
}

static void test_services_that_call_each_other(void **unused)
{
    (void)unused;
    calls("a", "b", 10);
    calls("b", "a", 10);
    add(MW_FOUND_ERRORS, "a", "x", 6, 10);
    add(MW_FOUND_ERRORS, "b", "y", 5, 10);
    assert_slice(first()->service, "a");
}

/* Edges tell the kind before shares do: slow calls make others give up. */
static void test_edges_before_shares(void **unused)
{
    (void)unused;
    calls("entry", "food", 50);
    add(MW_FOUND_WIRE, "entry", "food", 30, 5000);
    add(MW_FOUND_MISSING, "other", "op", 4.6, 3);
    assert_slice(first()->service, "food");
}

static void test_requests_by_metrics(void **unused)
{
    (void)unused;
    calls("entry", "search", 0);
    add(MW_FOUND_METRIC, "search", "availability", 100, 0.03)->class_of = MW_CLASS_SUCCESS;
    add(MW_FOUND_METRIC, "entry", "availability", 90, 0.0005)->class_of = MW_CLASS_SUCCESS;
    assert_slice(first()->service, "search");
    assert_int_equal(causes.items[0].kind, MW_FAULT_ERRORS);
}

/* A deployment shortly before moves its service up, and is told; elsewhere it is ruled out. */
static void test_changes(void **unused)
{
    (void)unused;
    const uint64_t minute = 60 * (uint64_t)1000000000;
    add(MW_FOUND_ERRORS, "orders", "x", 6.0, 10)->first_ns = 100 * minute;
    add(MW_FOUND_ERRORS, "payments", "y", 5.5, 10)->first_ns = 100 * minute;
    add(MW_FOUND_DEPLOYMENT, "payments", "2.4.0", 1, 0)->first_ns = 95 * minute;
    add(MW_FOUND_DEPLOYMENT, "orders", "1.0", 1, 0)->first_ns = 20 * minute;
    add(MW_FOUND_DEPLOYMENT, "search", "9", 1, 0)->first_ns = 99 * minute;
    assert_slice(first()->service, "payments");
    assert_non_null(causes.items[0].change);
    assert_slice(causes.items[0].change->other, "2.4.0");
    assert_null(causes.items[1].change); /* eighty minutes before */
    bool ruled_out = false;
    for (size_t i = 0; i < causes.ruled_out_count; i++)
        ruled_out |= mw_slice_equal(causes.ruled_out[i].service, MW_SLICE("search"));
    assert_true(ruled_out);
}

static void test_a_change_after_the_onset_is_none(void **unused)
{
    (void)unused;
    const uint64_t minute = 60 * (uint64_t)1000000000;
    add(MW_FOUND_ERRORS, "orders", "x", 6.0, 10)->first_ns = 100 * minute;
    add(MW_FOUND_VERSION, "orders", "2", 1, 0)->first_ns = 103 * minute;
    assert_null(first()->change);
}

static void test_hints_are_not_probable(void **unused)
{
    (void)unused;
    add(MW_FOUND_ERRORS, "agent", "search_logs", 1.0, 1);
    assert_slice(first()->service, "agent");
    assert_false(causes.probable);
}

static mw_finding *add_waiting(const char *service, const char *peer)
{
    mw_finding *waiting = add(MW_FOUND_SELF, service, "SELECT", 9, 4000);
    waiting->waits = true;
    waiting->peer = mw_slice_of(peer);
    return waiting;
}

/* Whoever waits for an answer is not busy; whom it calls is, if anybody names it. */
static void test_the_peer_that_is_waited_for(void **unused)
{
    (void)unused;
    add_waiting("orders", "orders-db");
    add(MW_FOUND_SELF, "orders", "handle", 8, 100);
    assert_slice(first()->service, "orders-db");
    assert_int_equal(causes.items[0].kind, MW_FAULT_SLOW);
    assert_int_equal(causes.items[0].reason_count, 1);
    assert_true(causes.probable);
}

static void test_nobody_known_is_waited_for(void **unused)
{
    (void)unused;
    add_waiting("orders", "");
    assert_slice(first()->service, "orders");
    assert_false(causes.probable);
}

/* It sends no spans, so that the calls to it are not seen; its processor says what it does. */
static void test_a_silent_one_is_waited_for(void **unused)
{
    (void)unused;
    const mw_slice from[] = {MW_SLICE_INIT("entry")};
    const mw_alarmed alarmed = {from[0], from, 1};
    calls("entry", "orders", 100);
    add_waiting("orders", "");
    mw_finding *starved = add(MW_FOUND_METRIC, "cart", "cpu", 12, 0);
    starved->class_of = MW_CLASS_CPU;
    assert_int_equal(mw_causes_of_alarm(found, &alarmed, &causes), MW_OK);
    assert_slice(causes.items[0].service, "orders"); /* cart sends spans, and none is called */
    starved->silent = true;
    assert_int_equal(mw_causes_of_alarm(found, &alarmed, &causes), MW_OK);
    assert_slice(causes.items[0].service, "cart");
    assert_int_equal(causes.items[0].kind, MW_FAULT_CPU);
    assert_false(causes.items[0].untied || causes.probable);
}

static void test_nothing(void **unused)
{
    (void)unused;
    calls("entry", "cart", 100);
    assert_int_equal(mw_causes_rank(found, MW_SLICE("entry"), &causes), MW_OK);
    assert_int_equal(causes.count, 0);
    assert_false(causes.probable);
    assert_int_equal(causes.onset_ns, 0);
}

/* ---- what has nothing to do with the alarm -------------------------------------------------- */

static void rank_for(const char *entry, const char *also)
{
    const mw_slice services[] = {mw_slice_of(entry), mw_slice_of(also)};
    mw_alarmed alarmed = {.entry = services[0], .services = services, .count = *also ? 2 : 1};
    assert_int_equal(mw_causes_of_alarm(found, &alarmed, &causes), MW_OK);
    assert_int_equal(mw_causes_tell_untied(found, services[0], &causes), MW_OK);
}

static bool summary_has(const char *entry, const char *words)
{
    mw_slice text = mw_report_summary(found, &causes, mw_slice_of(entry));
    return mw_slice_contains(text, mw_slice_of(words));
}

/* storefront -> orders -> payments, which fails; nobody else calls it. */
static void payments_fails(void)
{
    calls("storefront", "orders", 50);
    calls("orders", "payments", 50);
    calls("support", "tools", 50);
    add(MW_FOUND_ERRORS, "payments", "charge", 40, 50);
    add(MW_FOUND_DEPLOYMENT, "payments", "2.4.0", 1, 0);
}

static void test_no_path_is_not_probable(void **unused)
{
    (void)unused;
    payments_fails();
    rank_for("support", "");
    assert_false(causes.probable);
    assert_true(causes.confidence < 0.3);
    assert_int_equal(causes.count, 1); /* told nevertheless */
    assert_true(causes.items[0].untied);
    assert_int_equal(causes.ruled_out_count, 0);
    assert_int_equal(found->gap_count, 1);
    assert_int_equal(found->gaps[0].code, MW_GAP_NO_PATH);
    assert_slice(found->gaps[0].text,
                 "no known call leads from support to what else is wrong: payments");
    assert_true(summary_has("support", "no known call leads from support"));
    assert_false(summary_has("support", "only suffers"));
}

static void test_a_path_of_calls_ties(void **unused)
{
    (void)unused;
    payments_fails();
    rank_for("storefront", "");
    assert_true(causes.probable);
    assert_true(causes.entry_leads);
    assert_int_equal(found->gap_count, 0);
    assert_true(summary_has("storefront", "storefront only suffers from it"));
}

/* Its caller is not what it suffers from. */
static void test_calls_are_followed_one_way(void **unused)
{
    (void)unused;
    payments_fails();
    calls("payments", "ledger", 50);
    rank_for("ledger", "");
    assert_false(causes.probable);
}

static void test_an_import_and_a_message_tie(void **unused)
{
    (void)unused;
    payments_fails();
    calls("billing", "payments", 0);
    rank_for("billing", "");
    assert_true(causes.probable);
    calls("payments", "mailer", 0);
    found->calls[found->call_count - 1].message = true;
    rank_for("mailer", "");
    assert_true(causes.probable);
}

static void test_any_alarm_of_the_incident_ties(void **unused)
{
    (void)unused;
    payments_fails();
    rank_for("balancer", "storefront");
    assert_true(causes.probable);
    assert_false(causes.entry_leads);
    assert_int_equal(causes.ruled_out_count, 0);
    assert_false(summary_has("balancer", "only suffers"));
}

/* However plain another fault is, and in another signal: the alarm's own comes first. */
static void test_the_tied_comes_before_the_plainer(void **unused)
{
    (void)unused;
    payments_fails();
    add(MW_FOUND_WIRE, "orders", "payments", 50, 20000);
    add(MW_FOUND_ERRORS, "tools", "find", 6, 10);
    rank_for("support", "");
    assert_slice(causes.items[0].service, "tools");
    assert_true(causes.probable);
    assert_true(causes.count > 1);
    for (size_t i = 1; i < causes.count; i++) {
        assert_true(causes.items[i].untied);
        assert_true(causes.items[i].score < causes.items[i - 1].score);
    }
    assert_int_equal(found->gap_count, 0);
}

static void test_without_a_service_half_sure(void **unused)
{
    (void)unused;
    payments_fails();
    const mw_alarmed nobody = {.count = 0};
    assert_int_equal(mw_causes_of_alarm(found, &nobody, &causes), MW_OK);
    assert_slice(causes.items[0].service, "payments");
    assert_true(causes.probable);
    assert_true(causes.confidence <= 0.5);
    assert_true(summary_has("", "No alarm names a service"));
}

/* The order in which findings come changes nothing. */
static void test_order_does_not_matter(void **unused)
{
    (void)unused;
    const char *const names[] = {"d", "b", "a", "c"};
    for (size_t i = 0; i < 4; i++)
        add(MW_FOUND_ERRORS, names[i], "x", 5, 1);
    first();
    for (size_t i = 0; i < 4; i++)
        assert_int_equal(causes.items[i].service.data[0], 'a' + (int)i);
}

#define WITH_FINDINGS(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_FINDINGS(test_network),
        WITH_FINDINGS(test_slow_caller),
        WITH_FINDINGS(test_one_callee),
        WITH_FINDINGS(test_processor),
        WITH_FINDINGS(test_victims_come_behind),
        WITH_FINDINGS(test_services_that_call_each_other),
        WITH_FINDINGS(test_edges_before_shares),
        WITH_FINDINGS(test_requests_by_metrics),
        WITH_FINDINGS(test_changes),
        WITH_FINDINGS(test_a_change_after_the_onset_is_none),
        WITH_FINDINGS(test_hints_are_not_probable),
        WITH_FINDINGS(test_the_peer_that_is_waited_for),
        WITH_FINDINGS(test_nobody_known_is_waited_for),
        WITH_FINDINGS(test_a_silent_one_is_waited_for),
        WITH_FINDINGS(test_nothing),
        WITH_FINDINGS(test_no_path_is_not_probable),
        WITH_FINDINGS(test_a_path_of_calls_ties),
        WITH_FINDINGS(test_calls_are_followed_one_way),
        WITH_FINDINGS(test_an_import_and_a_message_tie),
        WITH_FINDINGS(test_any_alarm_of_the_incident_ties),
        WITH_FINDINGS(test_the_tied_comes_before_the_plainer),
        WITH_FINDINGS(test_without_a_service_half_sure),
        WITH_FINDINGS(test_order_does_not_matter),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
