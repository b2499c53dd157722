/* Alarms that are decided in the job that inserts them: when that is so, when they wait instead,
 * and what a failure undoes. Windows of telemetry: which are found, made and made again. */
#include "tests/unit/triage/fixture.h"

typedef struct prompt_job {
    mw_state_job job;
    const char *incidents[MW_PROMPT_MAX + 1];
    size_t count;
    bool decided, then_fail;
    mw_outcome outcomes[MW_PROMPT_MAX + 1];
    char ids[MW_PROMPT_MAX + 1][MW_ID_TEXT_SIZE];
} prompt_job;

static mw_err run_prompt(mw_state_job *job, mw_state_tx *tx)
{
    prompt_job *j = (prompt_job *)(void *)job;
    mw_alarm_row rows[MW_PROMPT_MAX + 1];
    mw_err err = MW_OK;
    for (size_t i = 0; err == MW_OK && i < j->count; i++) {
        mw_id_new(j->ids[i]);
        rows[i] = (mw_alarm_row){.id = mw_slice_of(j->ids[i]),
                                 .space = MW_SLICE("default"),
                                 .webhook_id = MW_SLICE("w1"),
                                 .source = MW_SLICE("devops-agent"),
                                 .incident_id = mw_slice_of(j->incidents[i]),
                                 .action = MW_SLICE("created"),
                                 .priority = MW_SLICE("HIGH"),
                                 .title = MW_SLICE("slow"),
                                 .service = MW_SLICE("cart"),
                                 .resources_json = MW_SLICE("[]"),
                                 .started_ns = T0,
                                 .received_ns = T0};
        err = mw_state_alarm_put(tx, &rows[i]);
    }
    if (err == MW_OK)
        err = mw_triage_decide_now(triage, tx, rows, j->count, j->outcomes, &j->decided);
    for (size_t i = 0; err == MW_OK && !j->decided && i < j->count; i++)
        err = mw_state_alarm_wait(tx, rows[i].seq);
    return err == MW_OK && j->then_fail ? MW_E_CONFLICT : err;
}

static bool deliver(prompt_job *j)
{
    j->job = (mw_state_job){.run = run_prompt};
    assert_int_equal(mw_state_submit_wait(state_db, &j->job), j->then_fail ? MW_E_CONFLICT : MW_OK);
    if (j->decided && !j->then_fail)
        mw_triage_decided(triage, j->outcomes, j->count);
    else if (!j->then_fail)
        mw_triage_wake(triage);
    return j->decided;
}

/* The window of T0, held ready. */
static void warm(void)
{
    mw_window *window;
    assert_int_equal(mw_topology_cache_get(&triage->windows, T0, &window), MW_OK);
    mw_topology_cache_release(&triage->windows, window);
}

static void test_decided_with_the_alarm(void **state)
{
    (void)state;
    start();
    prompt_job cold = {.incidents = {"one"}, .count = 1};
    assert_false(deliver(&cold)); /* nobody has made the window */
    settle();
    assert_slice(decided(mw_slice_of(cold.ids[0])).verdict, "PROCEED");
    warm();
    prompt_job next = {.incidents = {"two"}, .count = 1}, same = {.incidents = {"two"}, .count = 1};
    assert_true(deliver(&next));
    assert_int_equal(next.outcomes[0].verdict, MW_VERDICT_LINKED);
    assert_true(deliver(&same));
    assert_int_equal(same.outcomes[0].code, MW_REASON_DUPLICATE);
    settle();
    assert_slice(decided(mw_slice_of(next.ids[0])).verdict, "LINKED");
    assert_slice(decided(mw_slice_of(same.ids[0])).reason_code, "duplicate");
}

static void test_all_of_a_delivery_or_none(void **state)
{
    (void)state;
    start();
    warm();
    prompt_job two = {.incidents = {"one", "two"}, .count = 2};
    assert_true(deliver(&two));
    assert_int_equal(two.outcomes[0].verdict, MW_VERDICT_PROCEED);
    assert_int_equal(two.outcomes[1].verdict, MW_VERDICT_LINKED);
    assert_string_equal(two.outcomes[0].investigation_id, two.outcomes[1].investigation_id);
    prompt_job many = {.count = MW_PROMPT_MAX + 1};
    char names[MW_PROMPT_MAX + 1][8];
    for (size_t i = 0; i < many.count; i++) {
        snprintf(names[i], sizeof names[i], "many-%zu", i);
        many.incidents[i] = names[i];
    }
    assert_false(deliver(&many));
    settle();
    for (size_t i = 0; i < many.count; i++)
        assert_slice(decided(mw_slice_of(many.ids[i])).verdict, "LINKED");
}

/* Decisions are taken in the order of the alarms' commits. */
static void test_nothing_overtakes(void **state)
{
    (void)state;
    start();
    warm();
    mw_triage *kept = triage;
    triage = NULL; /* nobody is woken */
    mw_slice older = arrive_at("older", "created", "cart", T0);
    triage = kept;
    prompt_job next = {.incidents = {"next"}, .count = 1};
    assert_false(deliver(&next));
    settle();
    assert_slice(decided(older).verdict, "PROCEED");
    assert_slice(decided(mw_slice_of(next.ids[0])).verdict, "LINKED");
}

/* The incident that a lost transaction opened is not known to the next alarm. */
static void test_what_is_undone_is_forgotten(void **state)
{
    (void)state;
    start();
    warm();
    prompt_job lost = {.incidents = {"lost"}, .count = 1, .then_fail = true};
    assert_true(deliver(&lost));
    __atomic_store_n(&triage->open_stale, true, __ATOMIC_RELEASE); /* as the webhook's job does */
    prompt_job next = {.incidents = {"next"}, .count = 1};
    assert_true(deliver(&next));
    assert_int_equal(next.outcomes[0].verdict, MW_VERDICT_PROCEED);
    settle();
}

static void test_windows(void **state)
{
    (void)state;
    mw_window *one, *two;
    start();
    mw_topology_cache *cache = &triage->windows;
    assert_null(mw_topology_cache_find(cache, T0));
    assert_int_equal(mw_topology_cache_get(cache, T0, &one), MW_OK);
    assert_ptr_equal(mw_topology_cache_find(cache, T0 + 1), one);
    assert_null(mw_topology_cache_find(cache, T0 + MINUTE));
    append_spans((span_spec[]){{"cart", "get", "", T0, false}}, 1);
    assert_null(mw_topology_cache_find(cache, T0)); /* the store has gone on */
    assert_int_equal(mw_topology_cache_get(cache, T0, &two), MW_OK);
    assert_true(two->as_of > one->as_of);
    mw_topology_cache_forget(cache);
    assert_null(mw_topology_cache_find(cache, T0));
    assert_int_equal(one->minute, two->minute); /* whoever holds them keeps them */
    mw_topology_cache_release(cache, one);
    mw_topology_cache_release(cache, one);
    mw_topology_cache_release(cache, two);
    for (int i = 0; i < 3 * MW_WINDOWS_MAX; i++) {
        assert_int_equal(mw_topology_cache_get(cache, T0 + i * MINUTE, &one), MW_OK);
        mw_topology_cache_release(cache, one);
    }
    assert_null(mw_topology_cache_find(cache, T0));
}

/* A window that took long to make is made again before it is too old, and the next minute's before
 * it begins; no others are. */
static void test_windows_are_kept_warm(void **state)
{
    (void)state;
    mw_window *window;
    mw_topology_cache cache;
    mw_topology_cache_init(&cache, store, state_db, &fake.clock);
    assert_int_equal(mw_topology_cache_get(&cache, T0, &window), MW_OK);
    mw_topology_cache_release(&cache, window);
    assert_int_equal(mw_topology_cache_warm(&cache), MW_NS_PER_S); /* it took no time */
    window->took_ns = 20 * MW_NS_PER_MS;
    append_spans((span_spec[]){{"cart", "get", "", T0, false}}, 1);
    mw_fake_clock_advance(&fake, 100 * MW_NS_PER_MS);
    assert_int_equal(mw_topology_cache_warm(&cache), 650 * MW_NS_PER_MS);
    mw_fake_clock_advance(&fake, 650 * MW_NS_PER_MS);
    uint64_t before = window->as_of;
    assert_int_equal(mw_topology_cache_warm(&cache), 0);
    window = mw_topology_cache_find(&cache, T0);
    assert_non_null(window);
    assert_true(window->as_of > before);
    window->took_ns = 20 * MW_NS_PER_MS;
    mw_topology_cache_release(&cache, window);
    int64_t left = MINUTE - (fake.wall_ns % MINUTE);
    mw_fake_clock_advance(&fake, left - MW_NS_PER_S);
    while (mw_topology_cache_warm(&cache) == 0)
        continue;
    window = mw_topology_cache_find(&cache, fake.wall_ns + MW_NS_PER_S);
    assert_non_null(window);
    mw_topology_cache_release(&cache, window);
    mw_topology_cache_fini(&cache);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_TRIAGE(test_decided_with_the_alarm),
        WITH_TRIAGE(test_all_of_a_delivery_or_none),
        WITH_TRIAGE(test_nothing_overtakes),
        WITH_TRIAGE(test_what_is_undone_is_forgotten),
        WITH_TRIAGE(test_windows),
        WITH_TRIAGE(test_windows_are_kept_warm),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
