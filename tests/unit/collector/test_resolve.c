/* Resolution: every field's priority, and the traps that concern one span. */
#include "collector/resolve.h"
#include "tests/check.h"
#include "tests/otlp_writer.h"

static mw_keyset *keys;
static mw_arena arena;

/* ---- places out of attributes ---------------------------------------------------------------- */

typedef struct attribute {
    const char *key;
    const char *text; /* NULL = number */
    int64_t number;
} attribute;

#define TEXT(key, text)                                                                            \
    {                                                                                              \
        key, text, 0                                                                               \
    }
#define NUMBER(key, number)                                                                        \
    {                                                                                              \
        key, NULL, number                                                                          \
    }
#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static mw_resolve_place place_of(const attribute *list, size_t count, bool root)
{
    mw_found found[MW_FOUND_MAX];
    size_t n = 0;
    for (size_t i = 0; i < count; i++) {
        int key = mw_keyset_find(keys, mw_slice_of(list[i].key));
        if (key < 0)
            continue;
        found[n].key = key;
        found[n].value =
            list[i].text ? (mw_value){.type = MW_VALUE_STRING, .bytes = mw_slice_of(list[i].text)}
                         : (mw_value){.type = MW_VALUE_INT, .as.i = list[i].number};
        n++;
    }
    mw_resolve_place place;
    mw_resolve_place_read(&place, found, n, root);
    return place;
}

static void resolve_span(const mw_resolve_place *span, const mw_resolve_place *resource,
                         const mw_resolve_place *scope, mw_span_row *row)
{
    const mw_resolve_around around = {.resource = resource, .scope = scope, .arena = &arena};
    mw_resolve_span(span, &around, row);
}

/* A root span of kind CLIENT with these attributes and nothing around it. */
static mw_span_row row_of(const attribute *list, size_t count)
{
    mw_span_row row = {.kind = 3};
    mw_resolve_place place = place_of(list, count, true);
    resolve_span(&place, NULL, NULL, &row);
    return row;
}

#define ROW(...) row_of((const attribute[]){__VA_ARGS__}, COUNT(((const attribute[]){__VA_ARGS__})))

/* Every list of keys, best first: with keys i and later present, i wins. */
static void check_priority(const char *const *list, size_t count, size_t offset)
{
    for (size_t first = 0; first < count; first++) {
        attribute attributes[32];
        char values[32][16];
        /* The worst comes first, so that position cannot help. */
        size_t n = 0;
        for (size_t i = count; i-- > first; n++) {
            snprintf(values[n], sizeof values[n], "value-%zu", i);
            attributes[n] = (attribute){list[i], values[n], 0};
        }
        mw_span_row row = row_of(attributes, n);
        mw_slice got = *(const mw_slice *)(const void *)((const char *)&row + offset);
        char expected[16];
        snprintf(expected, sizeof expected, "value-%zu", first);
        assert_slice(got, expected);
    }
}

static void test_session(void **state)
{
    (void)state;
    static const char *const list[] = {
        "session.id",
        "langfuse.session.id",
        "traceloop.association.properties.session_id",
        "traceloop.association.properties.conversation_id",
        "traceloop.association.properties.thread_id",
        "traceloop.association.properties.chat_id",
        "gcp.vertex.agent.session_id",
        "ai.telemetry.metadata.sessionId",
        "ai.telemetry.metadata.session_id",
        "ai.settings.context.sessionId",
        "ai.settings.context.session_id",
        "langsmith.metadata.session_id",
        "langsmith.metadata.thread_id",
        "langsmith.metadata.conversation_id",
        "langfuse.trace.metadata.langfuse_session_id",
        "langfuse.observation.metadata.langfuse_session_id",
        "microsoft.session.id",
        "gen_ai.conversation.id",
        "http.request.header.x-amzn-bedrock-agentcore-runtime-session-id",
        "session_id",
    };
    check_priority(list, COUNT(list), offsetof(mw_span_row, session_id));
}

static void test_session_traps(void **state)
{
    (void)state;
    /* A transport's session and a tracing project are no sessions. */
    assert_slice(
        ROW(TEXT("mcp.session.id", "m"), TEXT("langsmith.trace.session_id", "p")).session_id, "");
    assert_slice(ROW(TEXT("session.id", "  "), TEXT("gen_ai.conversation.id", " c ")).session_id,
                 "c");
    assert_slice(ROW(NUMBER("session.id", -42)).session_id, "-42");
    mw_found found = {mw_keyset_find(keys, MW_SLICE("session.id")), {.type = MW_VALUE_EMPTY}};
    mw_resolve_place place;
    mw_resolve_place_read(&place, &found, 1, true);
    assert_int_equal(place.rank[MW_RESOLVE_SESSION], MW_RESOLVE_NO_RANK);
}

/* Captured headers are lists: the first element counts. */
static void test_session_header(void **state)
{
    (void)state;
    otlp_writer element = {0}, array = {0};
    put_text(&element, 1, "runtime-session");
    put_message(&array, 1, &element);
    mw_found found = {
        mw_keyset_find(keys,
                       MW_SLICE("http.request.header.x-amzn-bedrock-agentcore-runtime-session-id")),
        {.type = MW_VALUE_ARRAY, .bytes = written(&array)}};
    mw_resolve_place place;
    mw_resolve_place_read(&place, &found, 1, true);
    mw_span_row row = {0};
    resolve_span(&place, NULL, NULL, &row);
    assert_slice(row.session_id, "runtime-session");
    found.value.bytes = MW_SLICE_NONE;
    mw_resolve_place_read(&place, &found, 1, true);
    assert_int_equal(place.rank[MW_RESOLVE_SESSION], MW_RESOLVE_NO_RANK);
    free(array.data);
}

static void test_model_and_user(void **state)
{
    (void)state;
    static const char *const models[] = {
        "gen_ai.response.model",
        "llm.response.model_name",
        "ai.response.model",
        "gen_ai.request.model",
        "llm.request.model_name",
        "llm.model_name",
        "ai.model.id",
        "embedding.model_name",
        "langfuse.observation.model.name",
        "model",
    };
    static const char *const users[] = {"user.id",
                                        "langfuse.user.id",
                                        "enduser.id",
                                        "traceloop.association.properties.user_id",
                                        "ai.telemetry.metadata.userId",
                                        "ai.settings.context.userId"};
    check_priority(models, COUNT(models), offsetof(mw_span_row, model));
    check_priority(users, COUNT(users), offsetof(mw_span_row, user));
}

/* ---- agent ----------------------------------------------------------------------------------- */

static void test_agent(void **state)
{
    (void)state;
    static const char *const list[] = {"gen_ai.agent.name", "agent.name",
                                       "traceloop.association.properties.lc_agent_name",
                                       "ai.telemetry.functionId"};
    check_priority(list, COUNT(list), offsetof(mw_span_row, agent));
    assert_slice(
        ROW(TEXT("traceloop.entity.name", "t"), TEXT("traceloop.span.kind", "agent")).agent, "t");
    assert_slice(ROW(TEXT("traceloop.entity.name", "t"), TEXT("traceloop.span.kind", "task")).agent,
                 "");
    assert_slice(ROW(TEXT("graph.node.name", "g"), TEXT("openinference.span.kind", "AGENT")).agent,
                 "g");
    assert_slice(ROW(TEXT("graph.node.name", "g"), TEXT("openinference.span.kind", "CHAIN")).agent,
                 "");
    const attribute chain[] = {TEXT("langsmith.trace.name", "l"),
                               TEXT("langsmith.span.kind", "chain")};
    assert_slice(row_of(chain, 2).agent, "l");
    mw_resolve_place child = place_of(chain, 2, false);
    mw_span_row row = {0};
    resolve_span(&child, NULL, NULL, &row);
    assert_slice(row.agent, "");
}

/* OpenInference copies LangChain's metadata as JSON; the agent's name is in there. */
static void test_agent_of_metadata(void **state)
{
    (void)state;
    static const struct {
        const char *metadata, *agent;
    } rows[] = {
        {"{\"thread_id\": \"t\", \"lc_agent_name\": \" clerk \"}", "clerk"},
        {"{\"lc_agent_name\": \"c\\u00e9\"}", "c\xc3\xa9"},
        {"{\"lc_agent_name\": 5}", ""},
        {"{\"lc_agent_name\": \"clerk\"", ""},
        {"[\"lc_agent_name\"]", ""},
        {"lc_agent_name", ""},
        {"{\"inner\": {\"lc_agent_name\": \"clerk\"}}", ""},
        {"{}", ""},
    };
    for (size_t i = 0; i < COUNT(rows); i++)
        assert_slice(ROW(TEXT("metadata", rows[i].metadata)).agent, rows[i].agent);
    assert_slice(ROW(TEXT("metadata", rows[0].metadata), TEXT("gen_ai.agent.name", "other")).agent,
                 "other");
    static char large[MW_RESOLVED_JSON_MAX + 100];
    snprintf(large, sizeof large, "{\"lc_agent_name\": \"clerk\", \"x\": \"%0*d\"}",
             MW_RESOLVED_JSON_MAX, 0);
    assert_slice(ROW(TEXT("metadata", large)).agent, "");
}

/* A step of an agent has its parent's name, not the service's. */
static void test_agent_step(void **state)
{
    (void)state;
    assert_slice(
        ROW(TEXT("gen_ai.operation.name", "agent_step"), TEXT("service.name", "shop")).agent, "");
    assert_slice(
        ROW(TEXT("gen_ai.operation.name", "agent_step"), TEXT("gen_ai.agent.name", "a")).agent,
        "a");
}

/* The weak names are for agent spans; others inherit from their ancestors. */
static void test_agent_fallback(void **state)
{
    (void)state;
    const attribute of_resource[] = {
        TEXT("service.name", "shop"),
        TEXT("aws.log.group.names", "/aws/bedrock-agentcore/runtimes/triage-DEFAULT/")};
    const attribute agent[] = {TEXT("gen_ai.operation.name", "invoke_agent")};
    const attribute tool[] = {TEXT("gen_ai.operation.name", "execute_tool")};
    mw_resolve_place both = place_of(of_resource, 2, false);
    mw_resolve_place service = place_of(of_resource, 1, false);
    mw_resolve_place span = place_of(agent, 1, true);
    mw_span_row row = {0};
    resolve_span(&span, &both, NULL, &row);
    assert_slice(row.agent, "triage-DEFAULT");
    resolve_span(&span, &service, NULL, &row);
    assert_slice(row.agent, "shop");
    resolve_span(&span, NULL, NULL, &row);
    assert_slice(row.agent, "");
    span = place_of(tool, 1, false);
    resolve_span(&span, &both, NULL, &row);
    assert_slice(row.agent, "");
}

/* ---- tokens ---------------------------------------------------------------------------------- */

#define assert_tokens(row_, input_, output_)                                                       \
    do {                                                                                           \
        mw_span_row tokens_ = (row_);                                                              \
        assert_int_equal(tokens_.input_tokens, (input_));                                          \
        assert_int_equal(tokens_.output_tokens, (output_));                                        \
    } while (0)

static void test_token_lists(void **state)
{
    (void)state;
    static const char *const inputs[] = {"gen_ai.usage.input_tokens", "gen_ai.usage.prompt_tokens",
                                         "llm.token_count.prompt",    "llm.usage.prompt_tokens",
                                         "ai.usage.inputTokens",      "ai.usage.promptTokens",
                                         "ai.usage.tokens",           "input_tokens"};
    static const char *const outputs[] = {"gen_ai.usage.output_tokens",
                                          "gen_ai.usage.completion_tokens",
                                          "llm.token_count.completion",
                                          "llm.usage.completion_tokens",
                                          "ai.usage.outputTokens",
                                          "ai.usage.completionTokens",
                                          "output_tokens"};
    for (size_t i = 0; i < COUNT(inputs); i++)
        assert_tokens(ROW(NUMBER(inputs[i], 7)), 7, MW_TOKENS_UNKNOWN);
    for (size_t i = 0; i < COUNT(outputs); i++)
        assert_tokens(ROW(NUMBER(outputs[i], 7)), MW_TOKENS_UNKNOWN, 7);
    for (size_t i = 0; i + 1 < COUNT(inputs); i++)
        assert_tokens(ROW(NUMBER(inputs[i + 1], 2), NUMBER(inputs[i], 1)), 1, -1);
    for (size_t i = 0; i + 1 < COUNT(outputs); i++)
        assert_tokens(ROW(NUMBER(outputs[i + 1], 2), NUMBER(outputs[i], 1)), -1, 1);
}

/* Trap 1: both names for the same count. Trap 3: cache in or out. */
static void test_token_traps(void **state)
{
    (void)state;
    assert_tokens(
        ROW(NUMBER("gen_ai.usage.prompt_tokens", 10), NUMBER("gen_ai.usage.input_tokens", 10),
            NUMBER("gen_ai.usage.output_tokens", 3), NUMBER("gen_ai.usage.completion_tokens", 3)),
        10, 3);
    assert_tokens(ROW(NUMBER("gen_ai.usage.input_tokens", 100),
                      NUMBER("gen_ai.usage.cache_read.input_tokens", 60),
                      NUMBER("gen_ai.usage.cache_creation.input_tokens", 40)),
                  100, -1);
    assert_tokens(ROW(NUMBER("gen_ai.usage.input_tokens", 99),
                      NUMBER("gen_ai.usage.cache_read.input_tokens", 60),
                      NUMBER("gen_ai.usage.cache_creation.input_tokens", 40)),
                  199, -1);
    /* The provider's raw count never holds the cache. */
    assert_tokens(ROW(NUMBER("input_tokens", 100), NUMBER("cache_read_tokens", 60),
                      NUMBER("cache_creation_tokens", 5), NUMBER("output_tokens", 9)),
                  165, 9);
    assert_tokens(ROW(NUMBER("cache_read_tokens", 60)), -1, -1);
    /* Repeats of what was counted elsewhere. */
    assert_tokens(ROW(TEXT("gen_ai.operation.name", "fetch_response"),
                      NUMBER("gen_ai.usage.input_tokens", 5)),
                  -1, -1);
}

static void test_token_types(void **state)
{
    (void)state;
    assert_tokens(
        ROW(TEXT("gen_ai.usage.input_tokens", " 12 "), TEXT("gen_ai.usage.output_tokens", "x")), 12,
        -1);
    assert_tokens(ROW(NUMBER("gen_ai.usage.input_tokens", -1),
                      NUMBER("gen_ai.usage.prompt_tokens", 4),
                      NUMBER("gen_ai.usage.output_tokens", INT64_MAX)),
                  4, -1);
    static const struct {
        double sent;
        int64_t expected;
    } doubles[] = {{12.0, 12}, {12.9, 12}, {-1.0, -1}, {1e300, -1}};
    int key = mw_keyset_find(keys, MW_SLICE("gen_ai.usage.input_tokens"));
    for (size_t i = 0; i < COUNT(doubles); i++) {
        mw_found found = {key, {.type = MW_VALUE_DOUBLE, .as.d = doubles[i].sent}};
        mw_resolve_place place;
        mw_span_row row = {0};
        mw_resolve_place_read(&place, &found, 1, true);
        resolve_span(&place, NULL, NULL, &row);
        assert_int_equal(row.input_tokens, doubles[i].expected);
    }
    static const char *const json = "langfuse.observation.usage_details";
    assert_tokens(ROW(TEXT(json, "{\"input\":11,\"output\":2.0,\"total\":99}")), 11, 2);
    assert_tokens(ROW(TEXT(json, "{\"input\":11"), NUMBER("output_tokens", 4)), -1, 4);
    assert_tokens(ROW(TEXT(json, "[1]")), -1, -1);
    assert_tokens(
        ROW(TEXT(json, "{\"input\":11}"), NUMBER("ai.usage.tokens", 5), NUMBER("input_tokens", 4)),
        5, -1);
    assert_tokens(ROW(TEXT(json, "{\"input\":11}"), NUMBER("input_tokens", 4),
                      NUMBER("cache_read_tokens", 3)),
                  11, -1);
}

/* ---- kind ------------------------------------------------------------------------------------ */

static void test_kind(void **state)
{
    (void)state;
    static const struct {
        const char *key, *value;
        mw_operation_kind kind;
    } cases[] = {
        {"langfuse.observation.type", "generation", MW_OP_MODEL},
        {"langfuse.observation.type", "span", MW_OP_OTHER},
        {"openinference.span.kind", "LLM", MW_OP_MODEL},
        {"openinference.span.kind", "llm", MW_OP_MODEL},
        {"openinference.span.kind", "RERANKER", MW_OP_RETRIEVAL},
        {"openinference.span.kind", "GUARDRAIL", MW_OP_GUARDRAIL},
        {"gen_ai.operation.name", "chat", MW_OP_MODEL},
        {"gen_ai.operation.name", "text_completion", MW_OP_MODEL},
        {"gen_ai.operation.name", "embeddings", MW_OP_EMBEDDING},
        {"gen_ai.operation.name", "create_agent", MW_OP_AGENT},
        {"gen_ai.operation.name", "plan", MW_OP_WORKFLOW},
        {"gen_ai.operation.name", "execute_tool", MW_OP_TOOL},
        {"gen_ai.operation.name", "search_memory", MW_OP_MEMORY},
        {"gen_ai.operation.name", "delete_memory_store", MW_OP_MEMORY},
        {"gen_ai.operation.name", "fetch_response", MW_OP_OTHER},
        {"traceloop.span.kind", "workflow", MW_OP_WORKFLOW},
        {"langsmith.span.kind", "retriever", MW_OP_RETRIEVAL},
        {"ai.operationId", "ai.streamText.doStream", MW_OP_MODEL},
        {"ai.operationId", "ai.streamText", MW_OP_WORKFLOW},
        {"ai.operationId", "ai.toolCall", MW_OP_TOOL},
        {"ai.operationId", "ai.embed.doEmbed", MW_OP_EMBEDDING},
        /* Trap 18: the function id behind a blank. */
        {"operation.name", "ai.generateText.doGenerate my-function", MW_OP_MODEL},
        {"operation.name", "flask.request", MW_OP_OTHER},
        {"span.type", "llm_request", MW_OP_MODEL},
        {"span.type", "web", MW_OP_OTHER},
        {"mcp.method.name", "tools/call", MW_OP_TOOL},
        {"mcp.method.name", "tools/list", MW_OP_OTHER},
        {"memory.id", "m-1", MW_OP_MEMORY},
        {"db.system", "postgresql", MW_OP_DB},
        {"db.system.name", "postgresql", MW_OP_DB},
        {"rpc.system", "grpc", MW_OP_RPC},
        {"http.request.method", "GET", MW_OP_HTTP},
        {"http.method", "GET", MW_OP_HTTP},
        {"messaging.system", "kafka", MW_OP_MESSAGING},
        {"langgraph.node", "model", MW_OP_WORKFLOW},
        {"some.key", "chat", MW_OP_OTHER},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        mw_span_row row = ROW(TEXT(cases[i].key, cases[i].value));
        if (row.operation_kind != cases[i].kind)
            fail_msg("%s=%s is %d, expected %d", cases[i].key, cases[i].value, row.operation_kind,
                     cases[i].kind);
    }
    assert_int_equal(ROW(TEXT("http.request.method", "POST"), TEXT("gen_ai.operation.name", "chat"))
                         .operation_kind,
                     MW_OP_MODEL);
    assert_int_equal(
        ROW(TEXT("langfuse.observation.type", "span"), TEXT("openinference.span.kind", "TOOL"))
            .operation_kind,
        MW_OP_TOOL);
    assert_int_equal(
        ROW(TEXT("rpc.system", "aws-api"), TEXT("db.system", "dynamodb")).operation_kind, MW_OP_DB);
}

/* ---- service, peer, places ------------------------------------------------------------------- */

static void test_service(void **state)
{
    (void)state;
    assert_slice(ROW(TEXT("some.key", "x")).service, "unknown");
    assert_slice(ROW(TEXT("service.name", "unknown_service:python")).service, "unknown");
    assert_slice(
        ROW(TEXT("service.name", "unknown_service"), TEXT("aws.local.service", "orders")).service,
        "orders");
    assert_slice(ROW(TEXT("aws.local.service", "UnknownService")).service, "unknown");
    /* service.name of the resource beats a weaker key of the span. */
    const attribute of_span[] = {TEXT("aws.local.service", "local")};
    const attribute of_resource[] = {TEXT("service.name", "shop")};
    mw_resolve_place span = place_of(of_span, 1, true);
    mw_resolve_place resource = place_of(of_resource, 1, false);
    mw_span_row row = {0};
    resolve_span(&span, &resource, NULL, &row);
    assert_slice(row.service, "shop");
}

static void test_peer(void **state)
{
    (void)state;
    static const char *const list[] = {"service.peer.name", "peer.service", "aws.remote.service",
                                       "server.address"};
    check_priority(list, COUNT(list), offsetof(mw_span_row, peer_service));
    assert_slice(ROW(TEXT("aws.remote.service", "UnknownRemoteService"),
                     TEXT("server.address", "db.internal"))
                     .peer_service,
                 "db.internal");
    /* On a server, server.address is its own. */
    const attribute address[] = {TEXT("server.address", "me")};
    mw_resolve_place place = place_of(address, 1, true);
    mw_span_row row = {.kind = 2};
    resolve_span(&place, NULL, NULL, &row);
    assert_slice(row.peer_service, "");
    /* Nor is a resource's address a peer. */
    mw_resolve_place empty = place_of(NULL, 0, true);
    row.kind = 3;
    resolve_span(&empty, &place, NULL, &row);
    assert_slice(row.peer_service, "");
}

static void test_places(void **state)
{
    (void)state;
    const attribute of_span[] = {TEXT("gen_ai.conversation.id", "span")};
    const attribute of_resource[] = {TEXT("session.id", "resource"), TEXT("user.id", "u"),
                                     NUMBER("gen_ai.usage.input_tokens", 5),
                                     TEXT("gen_ai.operation.name", "chat")};
    const attribute of_scope[] = {TEXT("user.id", "scope"), TEXT("gen_ai.agent.name", "a")};
    mw_resolve_place span = place_of(of_span, 1, true);
    mw_resolve_place resource = place_of(of_resource, 4, false);
    mw_resolve_place scope = place_of(of_scope, 2, false);
    mw_span_row row = {0};
    resolve_span(&span, &resource, &scope, &row);
    assert_slice(row.session_id, "span");
    assert_slice(row.user, "u");
    assert_slice(row.agent, "a");
    assert_int_equal(row.input_tokens, MW_TOKENS_UNKNOWN);
    assert_int_equal(row.operation_kind, MW_OP_OTHER);
}

/* What lists carry is bounded; a character is never cut in two. */
static void test_long_texts(void **state)
{
    (void)state;
    static char text[1000];
    memset(text, 'x', 255);
    memcpy(text + 255, "\xc3\xa9", 2);
    memset(text + 257, 'y', 500);
    const attribute list[] = {TEXT("session.id", text)};
    mw_span_row row = {.kind = 3, .name = mw_slice_of(text)};
    mw_resolve_place place = place_of(list, 1, true);
    resolve_span(&place, NULL, NULL, &row);
    assert_int_equal(row.session_id.len, 255);
    assert_int_equal(row.name.len, 255);
    assert_true(row.service.len > 0);
}

/* ---- log records and data points ------------------------------------------------------------- */

static mw_log_row log_row(const mw_resolve_place *record, const mw_value *body,
                          const mw_resolve_around *around)
{
    static const mw_value nothing = {.type = MW_VALUE_EMPTY};
    mw_log_row row = {0};
    mw_resolve_log(record, body ? body : &nothing, around, &row);
    return row;
}

static void test_log(void **state)
{
    (void)state;
    const attribute of_record[] = {TEXT("gen_ai.conversation.id", "conv"),
                                   TEXT("event.name", "gen_ai.choice")};
    const attribute of_resource[] = {TEXT("session.id", "resource"), TEXT("service.name", "shop"),
                                     TEXT("gen_ai.agent.name", "clerk")};
    mw_resolve_place record = place_of(of_record, 2, false);
    mw_resolve_place resource = place_of(of_resource, 3, false);
    mw_resolve_place empty = place_of(NULL, 0, false);
    const mw_resolve_around around = {.resource = &resource, .arena = &arena};
    mw_log_row row = log_row(&record, NULL, &around);
    assert_slice(row.session_id, "conv");
    assert_slice(row.service, "shop");
    assert_slice(row.agent, "clerk");
    assert_slice(row.event_name, "gen_ai.choice");
    assert_slice(log_row(&empty, NULL, &around).session_id, "resource");
    /* The field wins over the attribute that came before it. */
    row = (mw_log_row){.event_name = MW_SLICE("field")};
    mw_value body = {.type = MW_VALUE_EMPTY};
    mw_resolve_log(&record, &body, &around, &row);
    assert_slice(row.event_name, "field");
    const mw_resolve_around nothing = {.arena = &arena};
    row = log_row(&empty, NULL, &nothing);
    assert_slice(row.service, "unknown");
    assert_slice(row.agent, "");
    assert_slice(row.session_id, "");
    assert_slice(row.event_name, "");
}

/* A KeyValueList with one text member. */
static otlp_writer list_of(const char *key, const char *text)
{
    otlp_writer list = {0};
    put_int_attribute(&list, 1, "n", 5);
    put_text_attribute(&list, 1, key, text);
    return list;
}

static mw_slice body_session(const otlp_writer *list)
{
    mw_resolve_place empty = place_of(NULL, 0, false);
    const attribute of_resource[] = {TEXT("session.id", "resource")};
    mw_resolve_place resource = place_of(of_resource, 1, false);
    const mw_resolve_around around = {.resource = &resource, .arena = &arena};
    mw_value body = {.type = MW_VALUE_KVLIST, .bytes = written(list)};
    return log_row(&empty, &body, &around).session_id;
}

/* Records without attributes name their session in the body: before the resource's word. */
static void test_log_body_session(void **state)
{
    (void)state;
    static const struct {
        const char *key, *text, *session;
    } rows[] = {{"session_id", " s-1 ", "s-1"},
                {"sessionId", "s-2", "s-2"},
                {"session_id", "", "resource"},
                {"session", "s-3", "resource"}};
    for (size_t i = 0; i < COUNT(rows); i++) {
        otlp_writer list = list_of(rows[i].key, rows[i].text);
        assert_slice(body_session(&list), rows[i].session);
        free(list.data);
    }
    otlp_writer inner = list_of("session.id", "s-4"), value = {0}, outer = {0};
    put_message(&value, 6, &inner);
    put_attribute(&outer, 1, "attributes", &value);
    assert_slice(body_session(&outer), "s-4");
    put_text_attribute(&outer, 1, "sessionId", "s-5");
    assert_slice(body_session(&outer), "s-5");
    /* An attribute of the record is asked first. */
    const attribute of_record[] = {TEXT("session_id", "own")};
    mw_resolve_place record = place_of(of_record, 1, false);
    const mw_resolve_around around = {.arena = &arena};
    mw_value body = {.type = MW_VALUE_KVLIST, .bytes = written(&outer)};
    assert_slice(log_row(&record, &body, &around).session_id, "own");
    free(outer.data);
}

/* The log group names an agent where no attribute does: the attribute first, then the header. */
static void test_log_group(void **state)
{
    (void)state;
    const attribute of_resource[] = {TEXT("aws.log.group.names", "/aws/x/by-attribute")};
    const attribute named[] = {TEXT("gen_ai.agent.name", "by-name")};
    const attribute agent[] = {TEXT("gen_ai.operation.name", "invoke_agent"),
                               TEXT("service.name", "by-service")};
    const attribute tool[] = {TEXT("gen_ai.operation.name", "execute_tool")};
    mw_resolve_place resource = place_of(of_resource, 1, false);
    mw_resolve_place empty = place_of(NULL, 0, false);
    mw_resolve_place with_name = place_of(named, 1, false);
    mw_resolve_around around = {.log_group = MW_SLICE("/aws/x/by-header"), .arena = &arena};
    assert_slice(log_row(&empty, NULL, &around).agent, "by-header");
    mw_span_row row = {0};
    mw_resolve_place span = place_of(agent, 2, true);
    mw_resolve_span(&span, &around, &row);
    assert_slice(row.agent, "by-header");
    span = place_of(tool, 1, true);
    mw_resolve_span(&span, &around, &row);
    assert_slice(row.agent, "");
    around.resource = &resource;
    assert_slice(log_row(&empty, NULL, &around).agent, "by-attribute");
    assert_slice(log_row(&with_name, NULL, &around).agent, "by-name");
    span = place_of(agent, 2, true);
    mw_resolve_span(&span, &around, &row);
    assert_slice(row.agent, "by-attribute");
}

static void test_point(void **state)
{
    (void)state;
    const attribute of_point[] = {TEXT("session.id", "s"), NUMBER("input_tokens", 5)};
    const attribute of_resource[] = {TEXT("service.name", "shop"), TEXT("session.id", "other")};
    mw_resolve_place point = place_of(of_point, 2, false);
    mw_resolve_place resource = place_of(of_resource, 2, false);
    mw_resolve_place empty = place_of(NULL, 0, false);
    char text[300];
    memset(text, 'x', sizeof text);
    mw_resolve_around around = {.resource = &resource, .arena = &arena};
    mw_point_row row = {.name = {text, 300}, .unit = {text, 300}};
    mw_resolve_point(&point, &around, &row);
    assert_slice(row.session_id, "s");
    assert_slice(row.service, "shop");
    assert_int_equal(row.name.len, MW_RESOLVED_TEXT_MAX);
    assert_int_equal(row.unit.len, MW_RESOLVED_TEXT_MAX);
    mw_resolve_point(&empty, &around, &row);
    assert_slice(row.session_id, "other");
    around.resource = NULL;
    mw_resolve_point(&empty, &around, &row);
    assert_slice(row.session_id, "");
    assert_slice(row.service, "unknown");
}

/* The convention's span name stands in for a missing gen_ai.operation.name, of GenAI spans only. */
static void test_kind_by_name(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        const char *key;
        mw_operation_kind kind;
    } rows[] = {
        {"chat model-x", "gen_ai.usage.input_tokens", MW_OP_MODEL},
        {"execute_tool search_logs", "gen_ai.tool.name", MW_OP_TOOL},
        {"invoke_agent triage", "gen_ai.agent.name", MW_OP_AGENT},
        {"chat", "gen_ai.response.model", MW_OP_MODEL},
        {"chat room list", "service.name", MW_OP_OTHER},
        {"search_memory x", "gen_ai.agent.name", MW_OP_OTHER}, /* whole words only */
        {"chat model-x", "http.request.method", MW_OP_HTTP},
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        const attribute list[] = {TEXT(rows[i].key, "7")};
        mw_span_row row = {.kind = 3, .name = mw_slice_of(rows[i].name)};
        mw_resolve_place place = place_of(list, 1, true);
        resolve_span(&place, NULL, NULL, &row);
        if (row.operation_kind != rows[i].kind)
            fail_msg("%s: kind %d", rows[i].name, row.operation_kind);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_log),
        cmocka_unit_test(test_log_body_session),
        cmocka_unit_test(test_log_group),
        cmocka_unit_test(test_point),
        cmocka_unit_test(test_kind_by_name),
        cmocka_unit_test(test_long_texts),
        cmocka_unit_test(test_session),
        cmocka_unit_test(test_session_traps),
        cmocka_unit_test(test_session_header),
        cmocka_unit_test(test_model_and_user),
        cmocka_unit_test(test_agent),
        cmocka_unit_test(test_agent_fallback),
        cmocka_unit_test(test_agent_of_metadata),
        cmocka_unit_test(test_agent_step),
        cmocka_unit_test(test_token_lists),
        cmocka_unit_test(test_token_traps),
        cmocka_unit_test(test_token_types),
        cmocka_unit_test(test_kind),
        cmocka_unit_test(test_service),
        cmocka_unit_test(test_peer),
        cmocka_unit_test(test_places),
    };
    keys = mw_resolve_keyset_new();
    mw_arena_init(&arena, MW_MEM_INGEST, 0);
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    mw_arena_reset(&arena);
    mw_keyset_free(keys);
    return failed;
}
