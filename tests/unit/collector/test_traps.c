/* The traps of the GenAI conventions that one span can hold, by number. The others need requests:
 * tests/e2e/test_traps.py.
 */
#include "tests/unit/collector/facts_fixture.h"

static mw_keyset *keys;

/* The row of a root span of kind CLIENT with these attributes and its resource's (NULL = none). */
static mw_span_row row_with(const attribute *list, const attribute *resource)
{
    const attribute *lists[2] = {list, resource};
    mw_resolve_place places[2];
    for (size_t place = 0; place < 2; place++) {
        mw_found found[MW_FOUND_MAX];
        size_t n = 0;
        for (const attribute *at = lists[place]; at && at->key; at++) {
            found[n].key = mw_keyset_find(keys, mw_slice_of(at->key));
            found[n].value =
                at->text ? (mw_value){.type = MW_VALUE_STRING, .bytes = mw_slice_of(at->text)}
                         : (mw_value){.type = MW_VALUE_INT, .as.i = at->number};
            n += found[n].key >= 0;
        }
        mw_resolve_place_read(&places[place], found, n, place == 0);
    }
    const mw_resolve_around around = {.resource = &places[1], .arena = &arena};
    mw_span_row row = {.kind = 3};
    mw_resolve_span(&places[0], &around, &row);
    return row;
}

static mw_span_row row_of(const attribute *list)
{
    return row_with(list, NULL);
}

/* Strands writes both names of each count. */
static void test_trap_01_both_names_of_a_count(void **state)
{
    (void)state;
    mw_span_row row = row_of(
        LIST(NUMBER("gen_ai.usage.prompt_tokens", 10), NUMBER("gen_ai.usage.input_tokens", 10),
             NUMBER("gen_ai.usage.completion_tokens", 3), NUMBER("gen_ai.usage.output_tokens", 3),
             NUMBER("gen_ai.usage.total_tokens", 13)));
    assert_int_equal(row.input_tokens, 10);
    assert_int_equal(row.output_tokens, 3);
}

static void test_trap_03_cache_within_or_beside_the_input(void **state)
{
    (void)state;
    static const struct {
        const char *input, *read, *write;
        int64_t in, cache_read, cache_write, total;
    } rows[] = {
        {"gen_ai.usage.input_tokens", "gen_ai.usage.cache_read.input_tokens",
         "gen_ai.usage.cache_write.input_tokens", 100, 60, 40, 100},
        {"gen_ai.usage.input_tokens", "gen_ai.usage.cache_read_input_tokens",
         "gen_ai.usage.cache_creation.input_tokens", 50, 60, 5, 115},
        {"llm.token_count.prompt", "llm.token_count.prompt_details.cache_read",
         "llm.token_count.prompt_details.cache_write", 210, 60, 0, 210},
        {"ai.usage.inputTokens", "ai.usage.inputTokenDetails.cacheReadTokens",
         "ai.usage.inputTokenDetails.cacheWriteTokens", 10, 60, 5, 75},
        {"input_tokens", "cache_read_tokens", "cache_creation_tokens", 100, 60, 5, 165},
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        const attribute *list =
            LIST(NUMBER(rows[i].input, rows[i].in), NUMBER(rows[i].read, rows[i].cache_read),
                 NUMBER(rows[i].write, rows[i].cache_write));
        assert_int_equal(row_of(list).input_tokens, rows[i].total);
        mw_span_facts facts = facts_of(list);
        assert_int_equal(facts.cache_read_tokens, rows[i].cache_read);
        assert_int_equal(facts.cache_write_tokens, rows[i].cache_write);
    }
}

static void test_trap_07_a_framework_is_no_provider(void **state)
{
    (void)state;
    static const char *const frameworks[] = {"strands-agents", "LangChain", "langgraph", "crewai"};
    for (size_t i = 0; i < COUNT(frameworks); i++) {
        assert_slice(facts_of(LIST(TEXT("gen_ai.provider.name", frameworks[i]))).provider, "");
        assert_slice(facts_of(LIST(TEXT("gen_ai.provider.name", frameworks[i]),
                                   TEXT("gen_ai.system", "aws.bedrock")))
                         .provider,
                     "aws.bedrock");
    }
}

static void test_trap_08_booleans_as_text(void **state)
{
    (void)state;
    static const char *const yes[] = {"true", "True", " TRUE "}, *const no[] = {"false", "False"};
    for (size_t i = 0; i < COUNT(yes); i++)
        assert_int_equal(
            facts_of(LIST(TEXT("fault", yes[i]), TEXT("throttled", "false"))).error_class,
            MW_ERROR_SYSTEM);
    for (size_t i = 0; i < COUNT(no); i++)
        assert_int_equal(facts_of(LIST(TEXT("fault", no[i]), TEXT("error", no[i]))).error_class,
                         MW_ERROR_NONE);
    /* A text that is no boolean says nothing: Claude Code's `error` is a message. */
    assert_int_equal(facts_of(LIST(TEXT("error", "exit 1"))).error_class, MW_ERROR_NONE);
    otlp_writer span = {0}, value = {0};
    put_number(&value, 2, 1);
    put_attribute(&span, 9, "throttled", &value);
    mw_span_facts facts;
    const mw_span_row row = {0};
    mw_facts_of_span(written(&span), NULL, NULL, &row, &arena, &facts);
    assert_int_equal(facts.error_class, MW_ERROR_THROTTLE);
    free(span.data);
}

/* A server's 404 is its caller's fault, and the server's status does not say that it failed. */
static void test_trap_09_not_found_on_a_server_is_unset(void **state)
{
    (void)state;
    const mw_span_row row = {.kind = 2, .status = 0};
    assert_int_equal(
        facts_with(&row, LIST(NUMBER("http.response.status_code", 404)), NULL).error_class,
        MW_ERROR_USER);
    assert_int_equal(facts_with(&row, LIST(NUMBER("http.status_code", 404)), NULL).error_class,
                     MW_ERROR_USER);
    assert_int_equal(facts_with(&row, LIST(TEXT("http.status_code", "404")), NULL).error_class,
                     MW_ERROR_USER);
}

static void test_trap_11_unknown_service_is_no_service(void **state)
{
    (void)state;
    const attribute *unnamed = LIST(TEXT("service.name", "unknown_service:python"));
    assert_slice(row_with(NULL, unnamed).service, "unknown");
    assert_slice(row_with(LIST(TEXT("aws.local.service", "orders")), unnamed).service, "orders");
    /* Nor does it name an agent. */
    assert_slice(row_with(LIST(TEXT("gen_ai.operation.name", "invoke_agent")), unnamed).agent, "");
}

static void test_trap_14_merged_tools_is_no_tool(void **state)
{
    (void)state;
    const mw_span_row row = {.name = MW_SLICE("execute_tool (merged tools)"),
                             .operation_kind = MW_OP_TOOL};
    assert_slice(facts_with(&row, LIST(TEXT("gen_ai.tool.name", "(merged tools)")), NULL).tool, "");
    assert_slice(
        facts_of(LIST(TEXT("gen_ai.tool.name", "(merged tools)"), TEXT("tool.name", "search")))
            .tool,
        "search");
}

static void test_trap_15_case_of_the_provider(void **state)
{
    (void)state;
    assert_slice(facts_of(LIST(TEXT("gen_ai.system", "Anthropic"))).provider, "anthropic");
    assert_slice(facts_of(LIST(TEXT("gen_ai.provider.name", "AWS.Bedrock"))).provider,
                 "aws.bedrock");
}

static void test_trap_16_both_spellings_of_the_environment(void **state)
{
    (void)state;
    const mw_span_row row = {0};
    const attribute *old = LIST(TEXT("deployment.environment", "staging"));
    const attribute *both = LIST(TEXT("deployment.environment", "staging"),
                                 TEXT("deployment.environment.name", "production"));
    assert_slice(facts_with(&row, NULL, old).environment, "staging");
    assert_slice(facts_with(&row, NULL, both).environment, "production");
    assert_slice(facts_with(&row, NULL, NULL).environment, "");
}

/* The AI SDK of before version 7 appends the function's id. */
static void test_trap_18_function_id_behind_the_operation(void **state)
{
    (void)state;
    static const struct {
        const char *operation;
        mw_operation_kind kind;
    } rows[] = {{"ai.generateText.doGenerate my-function", MW_OP_MODEL},
                {"ai.generateText my-function", MW_OP_WORKFLOW},
                {"ai.toolCall my-function", MW_OP_TOOL}};
    for (size_t i = 0; i < COUNT(rows); i++)
        assert_int_equal(row_of(LIST(TEXT("operation.name", rows[i].operation))).operation_kind,
                         rows[i].kind);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_trap_01_both_names_of_a_count),
        cmocka_unit_test(test_trap_03_cache_within_or_beside_the_input),
        cmocka_unit_test(test_trap_07_a_framework_is_no_provider),
        cmocka_unit_test(test_trap_08_booleans_as_text),
        cmocka_unit_test(test_trap_09_not_found_on_a_server_is_unset),
        cmocka_unit_test(test_trap_11_unknown_service_is_no_service),
        cmocka_unit_test(test_trap_14_merged_tools_is_no_tool),
        cmocka_unit_test(test_trap_15_case_of_the_provider),
        cmocka_unit_test(test_trap_16_both_spellings_of_the_environment),
        cmocka_unit_test(test_trap_18_function_id_behind_the_operation),
    };
    keys = mw_resolve_keyset_new();
    mw_arena_init(&arena, MW_MEM_INGEST, 0);
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    mw_arena_reset(&arena);
    mw_keyset_free(keys);
    return failed;
}
