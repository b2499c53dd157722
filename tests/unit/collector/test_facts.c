/* Facts of spans: the table, every fact's rules, whose fault an error was. */
#include "collector/facts_table.h"
#include "tests/unit/collector/facts_fixture.h"

/* It is searched, so that a key out of its place is a key that is never found. */
static void test_table_is_in_order(void **state)
{
    (void)state;
    bool seen[MW_FACT_COUNT] = {false};
    for (size_t i = 0; i < mw_fact_key_count; i++) {
        seen[mw_fact_keys[i].fact] = true;
        if (i > 0)
            assert_true(mw_slice_compare(mw_fact_keys[i - 1].name, mw_fact_keys[i].name) < 0);
        for (size_t j = 0; j < i; j++) /* no two keys have one place */
            assert_false(mw_fact_keys[i].fact == mw_fact_keys[j].fact &&
                         mw_fact_keys[i].rank == mw_fact_keys[j].rank);
    }
    for (size_t i = 0; i < COUNT(seen); i++)
        assert_true(seen[i]);
}

/* Each key of a fact alone, and before the next worse one, whichever comes first. */
static void test_every_key_and_rank(void **state)
{
    (void)state;
    for (size_t i = 0; i < mw_fact_key_count; i++) {
        const mw_fact_key *key = &mw_fact_keys[i];
        for (size_t j = 0; j < mw_fact_key_count; j++) {
            const mw_fact_key *worse = &mw_fact_keys[j];
            if (worse->fact != key->fact || worse->rank < key->rank)
                continue;
            bool is_switch = key->fact >= MW_FACT_THROTTLED && key->fact < MW_FACT_HTTP_STATUS;
            const char *good = is_switch ? "true" : "41", *bad = is_switch ? "false" : "42";
            mw_facts_place place =
                place_of(9, LIST(TEXT(worse->name.data, worse == key ? good : bad),
                                 TEXT(key->name.data, good)));
            assert_int_equal(place.rank[key->fact], key->rank);
            const mw_value *value = &place.value[key->fact];
            if (is_switch)
                assert_true(value->as.b);
            else if (value->type == MW_VALUE_INT)
                assert_int_equal(value->as.i, 41);
        }
    }
}

static void test_models(void **state)
{
    (void)state;
    mw_span_facts facts = facts_of(
        LIST(TEXT("gen_ai.request.model", "asked"), TEXT("gen_ai.response.model", "served")));
    assert_slice(facts.request_model, "asked");
    assert_slice(facts.response_model, "served");
    facts = facts_of(LIST(TEXT("llm.model_name", "one")));
    assert_slice(facts.request_model, "");
    assert_slice(facts.response_model, "");
}

static void test_provider(void **state)
{
    (void)state;
    static const struct {
        const char *key, *sent, *shown;
    } rows[] = {
        {"gen_ai.provider.name", "aws.bedrock", "aws.bedrock"},
        {"gen_ai.system", "openai.chat", "openai"},
        {"gen_ai.system", "google.vertex.chat", "google.vertex"},
        {"ai.model.provider", "amazon-bedrock.anything", "amazon-bedrock"},
        {"llm.provider", "OpenAI", "openai"},
    };
    for (size_t i = 0; i < COUNT(rows); i++)
        assert_slice(facts_of(LIST(TEXT(rows[i].key, rows[i].sent))).provider, rows[i].shown);
}

static void test_tool(void **state)
{
    (void)state;
    static const struct {
        const char *name, *tool;
    } rows[] = {{"execute_tool search", "search"},
                {"tools/call search", "search"},
                {"MCP send tools/call search", "search"},
                {"mcp tools/call two words", "two words"},
                {"nontools/call search", ""},
                {"execute_tool ", ""},
                {"search", ""}};
    for (size_t i = 0; i < COUNT(rows); i++) {
        mw_span_row row = {.name = mw_slice_of(rows[i].name), .operation_kind = MW_OP_TOOL};
        assert_slice(facts_with(&row, NULL, NULL).tool, rows[i].tool);
        row.operation_kind = MW_OP_OTHER;
        assert_slice(facts_with(&row, NULL, NULL).tool, "");
    }
    assert_slice(
        facts_of(LIST(TEXT("traceloop.entity.name", "t"), TEXT("traceloop.span.kind", "tool")))
            .tool,
        "t");
    assert_slice(
        facts_of(LIST(TEXT("traceloop.entity.name", "t"), TEXT("traceloop.span.kind", "task")))
            .tool,
        "");
    assert_slice(facts_of(LIST(NUMBER("tool_use_id", 7))).tool_call_id, "7");
}

#define RUNTIME "arn:aws:bedrock-agentcore:eu-west-1:123456789012:runtime/clerk-abc"

static void test_agent_runtime(void **state)
{
    (void)state;
    const mw_span_row row = {0};
    mw_span_facts facts = facts_with(&row, NULL, LIST(TEXT("cloud.resource_id", RUNTIME)));
    assert_slice(facts.agent_id, RUNTIME);
    assert_slice(facts.endpoint, "DEFAULT");
    assert_slice(facts.region, "eu-west-1");
    facts = facts_with(&row, NULL,
                       LIST(TEXT("cloud.resource_id", RUNTIME "/runtime-endpoint/canary:7/x")));
    assert_slice(facts.agent_id, RUNTIME);
    assert_slice(facts.endpoint, "canary:7");
    facts = facts_with(
        &row,
        LIST(TEXT("aws.bedrock.agentcore.runtime.arn", RUNTIME),
             TEXT("aws.bedrock.agentcore.runtime_endpoint.arn", RUNTIME "/runtime-endpoint/blue")),
        NULL);
    assert_slice(facts.endpoint, "blue");
    /* Any other resource is no agent. */
    facts = facts_with(
        &row, NULL,
        LIST(TEXT("cloud.resource_id", "arn:aws:lambda:us-west-2:123456789012:function:clerk")));
    assert_slice(facts.agent_id, "");
    assert_slice(facts.endpoint, "");
    assert_slice(facts.region, "us-west-2");
}

/* What AgentCore's resources call themselves in their own spans. */
static void test_agent_core_resources(void **state)
{
    (void)state;
    mw_span_facts facts =
        facts_of(LIST(TEXT("aws.agent.id", "clerk-abc"), TEXT("aws.endpoint.name", "canary"),
                      TEXT("tool.name", "orders___find"), TEXT("error_type", "user")));
    assert_slice(facts.agent_id, "clerk-abc");
    assert_slice(facts.endpoint, "canary");
    assert_slice(facts.target, "orders");
    assert_int_equal(facts.error_class, MW_ERROR_USER);
    assert_slice(
        facts_of(LIST(TEXT("aws.gateway.target.id", "T1"), TEXT("tool.name", "a___b"))).target,
        "T1");
    assert_slice(facts_of(LIST(TEXT("tool.name", "___b"))).target, "");
    assert_slice(facts_of(LIST(TEXT("tool.name", "a___"))).target, "");
    assert_int_equal(facts_of(LIST(TEXT("error_type", "system"))).error_class, MW_ERROR_SYSTEM);
    facts = facts_of(LIST(TEXT("error_type", "null")));
    assert_int_equal(facts.error_class, MW_ERROR_NONE);
    static const struct {
        const char *arn, *tool;
    } rows[] = {
        {"arn:aws:bedrock-agentcore:eu-west-1:aws:browser/aws.browser.v1", "aws.browser.v1"},
        {"arn:aws:bedrock-agentcore:eu-west-1:1:code-interpreter-custom/sums", "sums"},
        {"arn:aws:bedrock-agentcore:eu-west-1:1:gateway/orders", ""},
        {"arn:aws:bedrock-agentcore:eu-west-1:1:browser", ""},
        {"arn:aws:other:eu-west-1:1:browser/b", ""},
    };
    for (size_t i = 0; i < COUNT(rows); i++)
        assert_slice(facts_of(LIST(TEXT("aws.resource.arn", rows[i].arn))).tool, rows[i].tool);
}

static void test_region(void **state)
{
    (void)state;
    assert_slice(facts_of(LIST(TEXT("cloud.availability_zone", "us-east-1a"))).region, "us-east-1");
    assert_slice(facts_of(LIST(TEXT("aws.region", "b"), TEXT("cloud.region", "a"))).region, "a");
    assert_slice(facts_of(LIST(TEXT("cloud.resource_id", "arn:aws"))).region, "");
    assert_slice(facts_of(LIST(TEXT("cloud.resource_id", "vm-17"))).region, "");
}

/* The call's own facts are not looked for around it; the others are. */
static void test_places(void **state)
{
    (void)state;
    const mw_span_row row = {.operation_kind = MW_OP_MODEL};
    mw_span_facts facts = facts_with(
        &row, LIST(TEXT("gen_ai.request.model", "m")),
        LIST(TEXT("gen_ai.system", "openai"), TEXT("gen_ai.tool.name", "t"),
             NUMBER("gen_ai.usage.reasoning_tokens", 3), TEXT("error.type", "Throttling")));
    assert_slice(facts.provider, "openai");
    assert_slice(facts.tool, "");
    assert_int_equal(facts.reasoning_tokens, MW_TOKENS_UNKNOWN);
    assert_int_equal(facts.error_class, MW_ERROR_NONE);
}

/* A sender's megabyte is not shown twice. */
static void test_long_texts(void **state)
{
    (void)state;
    static char text[1000];
    memset(text, 'X', sizeof text - 1);
    mw_span_facts facts = facts_of(
        LIST(TEXT("gen_ai.system", text), TEXT("tool.name", text), TEXT("error.type", text)));
    assert_int_equal(facts.provider.len, MW_RESOLVED_TEXT_MAX);
    assert_int_equal(facts.tool.len, MW_RESOLVED_TEXT_MAX);
    assert_int_equal(facts.error_type.len, MW_RESOLVED_TEXT_MAX);
}

/* Bytes that are no message give nothing, and no walk leaves them. */
static void test_damaged_bytes(void **state)
{
    (void)state;
    otlp_writer span =
        message_of(9, LIST(TEXT("gen_ai.tool.name", "search"), TEXT("error.type", "Throttling")));
    mw_span_row row = {.status = 2, .flags = MW_SPAN_EXCEPTION};
    for (size_t len = 0; len <= span.len; len++) {
        unsigned char *copy = malloc(len ? len : 1);
        memcpy(copy, span.data, len);
        mw_span_facts facts;
        mw_facts_of_span((mw_slice){(char *)copy, len}, NULL, NULL, &row, &arena, &facts);
        assert_true(facts.tool.len == 0 || facts.tool.len == 6);
        free(copy);
    }
    free(span.data);
}

/* ---- errors ---------------------------------------------------------------------------------- */

typedef struct error_row {
    attribute list[3];
    uint8_t status, kind;
    mw_error_class class;
} error_row;

#define ONE(key, text, class)                                                                      \
    {                                                                                              \
        {{key, text, 0}}, 0, 0, class                                                              \
    }
#define CODE(key, code, class)                                                                     \
    {                                                                                              \
        {{key, NULL, code}}, 0, 0, class                                                           \
    }

static const error_row error_rows[] = {
    {{{NULL, NULL, 0}}, 0, 0, MW_ERROR_NONE},
    {{{NULL, NULL, 0}}, 1, 0, MW_ERROR_NONE},
    {{{NULL, NULL, 0}}, 2, 0, MW_ERROR_SYSTEM},
    ONE("error.type", "InvocationError.Validation", MW_ERROR_USER),
    ONE("error.type", "InvocationError.ResourceNotFound", MW_ERROR_USER),
    ONE("error.type", "InvocationError.AccessDenied", MW_ERROR_USER),
    ONE("error.type", "InvocationError.Conflict", MW_ERROR_USER),
    ONE("error.type", "InvocationError.Internal", MW_ERROR_SYSTEM),
    ONE("error.type", "InvocationError.Throttling", MW_ERROR_THROTTLE),
    ONE("error.type", "InvocationError.ServiceQuota", MW_ERROR_THROTTLE),
    ONE("error.type", "ThrottlingException", MW_ERROR_THROTTLE),
    ONE("exception.type", "openai.RateLimitError", MW_ERROR_THROTTLE),
    ONE("error_type", "overloaded_error", MW_ERROR_THROTTLE),
    ONE("error.type", "TimeoutError", MW_ERROR_SYSTEM),
    ONE("error.type", "ECONNRESET", MW_ERROR_SYSTEM),
    ONE("error.type", "tool_error", MW_ERROR_USER),
    ONE("error.type", "404", MW_ERROR_USER),
    ONE("error.type", "503", MW_ERROR_SYSTEM),
    ONE("error.type", "-32602", MW_ERROR_USER),
    ONE("error.type", "UNAVAILABLE", MW_ERROR_SYSTEM),
    ONE("error.type", "KeyError", MW_ERROR_SYSTEM),
    CODE("http.response.status_code", 200, MW_ERROR_NONE),
    CODE("http.response.status_code", 302, MW_ERROR_NONE),
    CODE("http.response.status_code", 402, MW_ERROR_USER),
    CODE("http.response.status_code", 429, MW_ERROR_THROTTLE),
    CODE("http.status_code", 500, MW_ERROR_SYSTEM),
    CODE("status_code", 529, MW_ERROR_THROTTLE),
    CODE("rpc.grpc.status_code", 0, MW_ERROR_NONE),
    CODE("rpc.grpc.status_code", 5, MW_ERROR_USER),
    CODE("rpc.grpc.status_code", 8, MW_ERROR_THROTTLE),
    CODE("rpc.grpc.status_code", 14, MW_ERROR_SYSTEM),
    CODE("rpc.grpc.status_code", 17, MW_ERROR_NONE),
    ONE("rpc.status_code", "NOT_FOUND", MW_ERROR_USER),
    ONE("rpc.response.status_code", "-32601", MW_ERROR_USER),
    ONE("rpc.response.status_code", "-32603", MW_ERROR_SYSTEM),
    ONE("rpc.response.status_code", "-32050", MW_ERROR_SYSTEM),
    ONE("rpc.response.status_code", "-1", MW_ERROR_NONE),
    /* AgentCore's three switches come together; the old `error` alone names nobody. */
    {{{"throttled", "true", 0}, {"fault", "false", 0}}, 0, 0, MW_ERROR_THROTTLE},
    {{{"error", "true", 0}, {"fault", "true", 0}}, 0, 0, MW_ERROR_SYSTEM},
    {{{"error", "true", 0}, {"fault", "false", 0}}, 0, 0, MW_ERROR_USER},
    {{{"error", "true", 0}}, 0, 0, MW_ERROR_SYSTEM},
    {{{"error", "true", 0}, {"http.status_code", NULL, 404}}, 2, 0, MW_ERROR_USER},
    /* What the type says comes before the code. */
    {{{"error.type", "Throttling", 0}, {"http.status_code", NULL, 400}}, 2, 0, MW_ERROR_THROTTLE},
    {{{"success", "false", 0}}, 0, MW_OP_TOOL, MW_ERROR_USER},
    {{{"success", "false", 0}}, 0, MW_OP_MODEL, MW_ERROR_SYSTEM},
    {{{"success", "true", 0}}, 0, MW_OP_TOOL, MW_ERROR_NONE},
    {{{"success", "false", 0}, {"status_code", NULL, 429}}, 0, MW_OP_MODEL, MW_ERROR_THROTTLE},
};

static void test_error_classes(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(error_rows); i++) {
        const error_row *row = &error_rows[i];
        attribute list[4] = {{NULL, NULL, 0}};
        memcpy(list, row->list, sizeof row->list);
        mw_span_row span = {.status = row->status, .operation_kind = row->kind};
        mw_error_class got = facts_with(&span, list, NULL).error_class;
        if (got != row->class)
            fail_msg("row %zu, %s: %d", i, list[0].key ? list[0].key : "none", got);
    }
    assert_string_equal(mw_error_class_name(MW_ERROR_THROTTLE), "throttle");
    assert_null(mw_error_class_name(MW_ERROR_NONE));
}

/* 402 is "payment required", unless the message speaks of a quota. */
static void test_quota(void **state)
{
    (void)state;
    mw_span_row row = {.status = 2, .status_message = MW_SLICE("Service QUOTA exceeded")};
    assert_int_equal(facts_with(&row, LIST(NUMBER("status_code", 402)), NULL).error_class,
                     MW_ERROR_THROTTLE);
}

static void test_exception_event(void **state)
{
    (void)state;
    static const char *const types[] = {"ValueError", "botocore.errorfactory.ThrottlingException"};
    otlp_writer span = {0};
    for (size_t i = 0; i < COUNT(types); i++) {
        otlp_writer event = {0};
        put_text(&event, 2, "exception");
        put_text_attribute(&event, 3, "exception.type", types[i]);
        put_message(&span, 11, &event);
    }
    mw_span_row row = {.status = 2, .flags = MW_SPAN_EXCEPTION};
    mw_span_facts facts;
    mw_facts_of_span(written(&span), NULL, NULL, &row, &arena, &facts);
    assert_int_equal(facts.error_class, MW_ERROR_THROTTLE);
    assert_slice(facts.error_type, types[1]);
    /* What the span survived is no failure of it. */
    row.status = 1;
    mw_facts_of_span(written(&span), NULL, NULL, &row, &arena, &facts);
    assert_int_equal(facts.error_class, MW_ERROR_NONE);
    assert_slice(facts.error_type, "");
    free(span.data);
}

/* ---- log records ---------------------------------------------------------------------------- */

typedef struct log_case {
    const char *name;
    uint8_t severity;
    const char *event;
    const attribute *attributes;
    const attribute *members; /* of the body; NULL = a text */
    mw_error_class class;
    const char *type;
} log_case;

static void check_log(const log_case *row)
{
    enum { BODY = 5, KVLIST = 6, STRING = 1 };
    mw_log_facts facts;
    const mw_log_row columns = {.severity = row->severity, .event_name = mw_slice_of(row->event)};
    otlp_writer record = message_of(MW_ATTRIBUTES_OF_LOG, row->attributes), body = {0};
    otlp_writer list = message_of(MW_ATTRIBUTES_OF_LIST, row->members);
    if (row->members)
        put_message(&body, KVLIST, &list);
    else
        put_text(&body, STRING, "your quota is used up");
    put_message(&record, BODY, &body);
    mw_facts_of_log(written(&record), &columns, &arena, &facts);
    if (facts.error_class != row->class ||
        !mw_slice_equal(facts.error_type, mw_slice_of(row->type)))
        fail_msg("%s: %d %.*s", row->name, (int)facts.error_class, MW_SLICE_FMT(facts.error_type));
    free(record.data);
}

/* As instrumentations, AgentCore's services and Claude Code send them. */
static void test_log_records(void **state)
{
    (void)state;
    enum { NONE, INFO = 9, WARN = 13, ERROR = 17, FATAL4 = 24 };
    const log_case cases[] = {
        {"nothing said", INFO, "", NULL, NULL, MW_ERROR_NONE, ""},
        {"no severity, nothing said", NONE, "", NULL, NULL, MW_ERROR_NONE, ""},
        {"an error and no more", ERROR, "", NULL, NULL, MW_ERROR_SYSTEM, ""},
        {"the last severity", FATAL4, "", NULL, NULL, MW_ERROR_SYSTEM, ""},
        {"no severity of OTLP's", 255, "", NULL, NULL, MW_ERROR_NONE, ""},
        {"logger.exception", ERROR, "", LIST(TEXT("exception.type", "ValidationError")), NULL,
         MW_ERROR_USER, "ValidationError"},
        {"the conventions' event", WARN, "gen_ai.client.operation.exception",
         LIST(TEXT("exception.type", "openai.RateLimitError")), NULL, MW_ERROR_THROTTLE,
         "openai.RateLimitError"},
        {"somebody coped", INFO, "", LIST(TEXT("exception.type", "TimeoutError")), NULL,
         MW_ERROR_NONE, ""},
        {"an unknown type", NONE, "", LIST(TEXT("exception.type", "Oops")), NULL, MW_ERROR_SYSTEM,
         "Oops"},
        {"an access log", INFO, "", LIST(NUMBER("http.response.status_code", 404)), NULL,
         MW_ERROR_USER, ""},
        {"an access log that is fine", INFO, "", LIST(NUMBER("http.response.status_code", 200)),
         NULL, MW_ERROR_NONE, ""},
        {"too many", INFO, "", LIST(NUMBER("http.status_code", 429)), NULL, MW_ERROR_THROTTLE, ""},
        {"quota, as the body says", WARN, "", LIST(NUMBER("http.status_code", 402)), NULL,
         MW_ERROR_THROTTLE, ""},
        {"gRPC", INFO, "", LIST(NUMBER("rpc.grpc.status_code", 14)), NULL, MW_ERROR_SYSTEM, ""},
        {"AgentCore memory", INFO, "Extraction", NULL, LIST(TEXT("isError", "true")),
         MW_ERROR_SYSTEM, ""},
        {"AgentCore memory in order", INFO, "Extraction", NULL, LIST(TEXT("isError", "false")),
         MW_ERROR_NONE, ""},
        {"AgentCore runtime", ERROR, "", NULL,
         LIST(TEXT("errorType", "ThrottlingException"), TEXT("sessionId", "s")), MW_ERROR_THROTTLE,
         "ThrottlingException"},
        {"attributes before the body", ERROR, "", LIST(TEXT("error.type", "AccessDenied")),
         LIST(TEXT("errorType", "ThrottlingException")), MW_ERROR_USER, "AccessDenied"},
        {"Claude Code's tool", NONE, "claude_code.tool_result", LIST(TEXT("success", "false")),
         NULL, MW_ERROR_USER, ""},
        {"Claude Code's API", NONE, "claude_code.api_error", LIST(NUMBER("status_code", 529)), NULL,
         MW_ERROR_THROTTLE, ""},
        {"Claude Code's tool in order", NONE, "claude_code.tool_result",
         LIST(TEXT("success", "true")), NULL, MW_ERROR_NONE, ""},
    };
    for (size_t i = 0; i < COUNT(cases); i++)
        check_log(&cases[i]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_table_is_in_order),
        cmocka_unit_test(test_every_key_and_rank),
        cmocka_unit_test(test_models),
        cmocka_unit_test(test_provider),
        cmocka_unit_test(test_tool),
        cmocka_unit_test(test_agent_runtime),
        cmocka_unit_test(test_agent_core_resources),
        cmocka_unit_test(test_region),
        cmocka_unit_test(test_places),
        cmocka_unit_test(test_long_texts),
        cmocka_unit_test(test_damaged_bytes),
        cmocka_unit_test(test_error_classes),
        cmocka_unit_test(test_quota),
        cmocka_unit_test(test_exception_event),
        cmocka_unit_test(test_log_records),
    };
    mw_arena_init(&arena, MW_MEM_QUERY, 0);
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    mw_arena_reset(&arena);
    return failed;
}
