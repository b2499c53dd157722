/* Plans: four phases, the deployment to undo, names that are hostile to a shell, the hash. */
#include <jansson.h>

#include "tests/check.h"
#include "triage/conclusion/plan.h"

static mw_arena arena;

static mw_plan make(const mw_plan_input *input)
{
    mw_plan plan;
    assert_int_equal(mw_plan_make(input, &arena, &plan), MW_OK);
    return plan;
}

static json_t *phases_of(const mw_plan *plan)
{
    json_t *root = json_loadb(plan->phases_json.data, plan->phases_json.len, 0, NULL);
    assert_non_null(root);
    return root;
}

static mw_plan_input input_of(mw_fault_kind kind)
{
    return (mw_plan_input){.kind = kind,
                           .service = MW_SLICE("payments"),
                           .entry = MW_SLICE("storefront"),
                           .evidence = MW_SLICE("payments: it fails"),
                           .investigation_id = MW_SLICE("abc123")};
}

static void test_four_phases_for_each_kind(void **unused)
{
    (void)unused;
    static const char *const names[] = {"Prepare", "Pre-Validate", "Apply", "Post-Validate"};
    for (int kind = 0; kind < MW_FAULT_COUNT; kind++)
        for (int deployed = 0; deployed < 2; deployed++) {
            mw_plan_input input = input_of((mw_fault_kind)kind);
            input.version = deployed ? MW_SLICE("2.4.0") : MW_SLICE("");
            mw_plan plan = make(&input);
            json_t *phases = phases_of(&plan);
            assert_int_equal(json_array_size(phases), 4);
            for (size_t i = 0; i < 4; i++) {
                const json_t *phase = json_array_get(phases, i);
                const json_t *steps = json_object_get(phase, "steps");
                assert_string_equal(json_string_value(json_object_get(phase, "name")), names[i]);
                assert_true(json_array_size(steps) > 0);
                assert_true(json_is_string(json_object_get(json_array_get(steps, 0), "title")));
                assert_true(json_is_string(json_object_get(json_array_get(steps, 0), "expected")));
            }
            json_decref(phases);
        }
}

static void test_undo(void **unused)
{
    (void)unused;
    mw_plan_input input = input_of(MW_FAULT_ERRORS);
    input.version = MW_SLICE("2.4.0");
    input.previous = MW_SLICE("2.3.9");
    mw_plan plan = make(&input);
    assert_true(mw_slice_contains(plan.phases_json, MW_SLICE("2.4.0 to 2.3.9")));
    assert_true(
        mw_slice_contains(plan.phases_json, MW_SLICE("kubectl rollout undo deployment/payments")));
    input.previous = MW_SLICE("");
    plan = make(&input);
    assert_true(mw_slice_contains(plan.phases_json, MW_SLICE("2.4.0 to the version before")));
}

/* What telemetry calls itself never leaves its word in a command. */
static void test_hostile_names(void **unused)
{
    (void)unused;
    static const struct {
        const char *name, *word;
    } rows[] = {{"a; rm -rf /", "deployment/'a; rm -rf /'"},
                {"$(reboot)", "deployment/'$(reboot)'"},
                {"it's", "deployment/'it'\\''s'"},
                {"-rf", "deployment/'-rf'"},
                {"line\nbreak\x1b[2J", "deployment/'line?break?[2J'"},
                {"{version}", "deployment/'{version}'"}};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        mw_plan_input input = input_of(MW_FAULT_ERRORS);
        input.service = mw_slice_of(rows[i].name);
        mw_plan plan = make(&input);
        json_t *phases = phases_of(&plan);
        const json_t *steps = json_object_get(json_array_get(phases, 2), "steps");
        const char *command =
            json_string_value(json_object_get(json_array_get(steps, 0), "command"));
        if (!command || !strstr(command, rows[i].word))
            fail_msg("%s is not in %s", rows[i].word, command ? command : "nothing");
        json_decref(phases);
    }
}

static void test_hash(void **unused)
{
    (void)unused;
    mw_plan_input input = input_of(MW_FAULT_CPU);
    mw_plan plan = make(&input), again = make(&input);
    assert_int_equal(strlen(plan.hash), 64);
    assert_string_equal(plan.hash, again.hash);
    input.service = MW_SLICE("payments2");
    again = make(&input);
    assert_string_not_equal(plan.hash, again.hash);
}

static int tear_down(void **unused)
{
    (void)unused;
    mw_arena_reset(&arena);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_four_phases_for_each_kind),
        cmocka_unit_test(test_undo),
        cmocka_unit_test(test_hostile_names),
        cmocka_unit_test(test_hash),
    };
    mw_arena_init(&arena, MW_MEM_QUERY, 0);
    return cmocka_run_group_tests(tests, NULL, tear_down);
}
