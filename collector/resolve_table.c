/* The tables of resolution: attribute keys and what they speak for. Rules: resolve.h.
 *
 * Left out on purpose: mcp.session.id (a transport's session) and langsmith.trace.session_id (a
 * tracing project) never name a session; reported token totals are never used.
 */
#include "collector/resolve_int.h"

#define SESSION(rank, name)                                                                        \
    {                                                                                              \
        name, MW_RESOLVE_SESSION, rank                                                             \
    }
#define AGENT(rank, name)                                                                          \
    {                                                                                              \
        name, MW_RESOLVE_AGENT, rank                                                               \
    }
#define USER(rank, name)                                                                           \
    {                                                                                              \
        name, MW_RESOLVE_USER, rank                                                                \
    }
#define MODEL(rank, name)                                                                          \
    {                                                                                              \
        name, MW_RESOLVE_MODEL, rank                                                               \
    }
#define SERVICE(rank, name)                                                                        \
    {                                                                                              \
        name, MW_RESOLVE_SERVICE, rank                                                             \
    }
#define PEER(rank, name)                                                                           \
    {                                                                                              \
        name, MW_RESOLVE_PEER, rank                                                                \
    }
#define INPUT(rank, name)                                                                          \
    {                                                                                              \
        name, MW_RESOLVE_INPUT, rank                                                               \
    }
#define OUTPUT(rank, name)                                                                         \
    {                                                                                              \
        name, MW_RESOLVE_OUTPUT, rank                                                              \
    }
#define CACHE_READ(rank, name)                                                                     \
    {                                                                                              \
        name, MW_RESOLVE_CACHE_READ, rank                                                          \
    }
#define CACHE_WRITE(rank, name)                                                                    \
    {                                                                                              \
        name, MW_RESOLVE_CACHE_WRITE, rank                                                         \
    }
#define KIND(rank, name)                                                                           \
    {                                                                                              \
        name, MW_RESOLVE_KIND, rank                                                                \
    }

const mw_resolve_key mw_resolve_keys[] = {
    SESSION(0, "session.id"),
    SESSION(1, "langfuse.session.id"),
    SESSION(2, "traceloop.association.properties.session_id"),
    SESSION(3, "traceloop.association.properties.conversation_id"),
    SESSION(4, "traceloop.association.properties.thread_id"),
    SESSION(5, "traceloop.association.properties.chat_id"),
    SESSION(6, "gcp.vertex.agent.session_id"),
    SESSION(7, "ai.telemetry.metadata.sessionId"),
    SESSION(8, "ai.telemetry.metadata.session_id"),
    SESSION(9, "ai.settings.context.sessionId"),
    SESSION(10, "ai.settings.context.session_id"),
    SESSION(11, "langsmith.metadata.session_id"),
    SESSION(12, "langsmith.metadata.thread_id"),
    SESSION(13, "langsmith.metadata.conversation_id"),
    SESSION(14, "langfuse.trace.metadata.langfuse_session_id"),
    SESSION(15, "langfuse.observation.metadata.langfuse_session_id"),
    SESSION(16, "microsoft.session.id"),
    SESSION(17, "gen_ai.conversation.id"),
    SESSION(18, "http.request.header.x-amzn-bedrock-agentcore-runtime-session-id"),
    SESSION(19, "session_id"),

    AGENT(0, "gen_ai.agent.name"),
    AGENT(1, "agent.name"),
    AGENT(MW_AGENT_TRACELOOP, "traceloop.entity.name"),
    AGENT(MW_AGENT_LANGSMITH, "langsmith.trace.name"),
    AGENT(MW_AGENT_GRAPH_NODE, "graph.node.name"),
    AGENT(MW_AGENT_LANGCHAIN, "traceloop.association.properties.lc_agent_name"),
    AGENT(MW_AGENT_LANGCHAIN, "langsmith.metadata.lc_agent_name"),
    AGENT(MW_AGENT_FUNCTION, "ai.telemetry.functionId"),
    {"metadata", MW_RESOLVE_METADATA_JSON, 0},
    {"aws.log.group.names", MW_RESOLVE_LOG_GROUP, 0},
    {"event.name", MW_RESOLVE_EVENT, 0},

    USER(0, "user.id"),
    USER(1, "langfuse.user.id"),
    USER(2, "enduser.id"),
    USER(3, "traceloop.association.properties.user_id"),
    USER(4, "ai.telemetry.metadata.userId"),
    USER(5, "ai.settings.context.userId"),

    MODEL(0, "gen_ai.response.model"),
    MODEL(1, "llm.response.model_name"),
    MODEL(2, "ai.response.model"),
    MODEL(3, "gen_ai.request.model"),
    MODEL(4, "llm.request.model_name"),
    MODEL(5, "llm.model_name"),
    MODEL(6, "ai.model.id"),
    MODEL(7, "embedding.model_name"),
    MODEL(8, "langfuse.observation.model.name"),
    MODEL(9, "model"),

    SERVICE(0, "service.name"),
    SERVICE(1, "aws.local.service"),
    SERVICE(2, "faas.name"),
    SERVICE(3, "aws.ecs.task.family"),

    PEER(0, "service.peer.name"),
    PEER(1, "peer.service"),
    PEER(2, "aws.remote.service"),
    PEER(MW_PEER_ADDRESS, "server.address"),

    INPUT(0, "gen_ai.usage.input_tokens"),
    INPUT(1, "gen_ai.usage.prompt_tokens"),
    INPUT(2, "llm.token_count.prompt"),
    INPUT(3, "llm.usage.prompt_tokens"),
    INPUT(4, "ai.usage.inputTokens"),
    INPUT(5, "ai.usage.promptTokens"),
    INPUT(6, "ai.usage.tokens"),
    INPUT(MW_INPUT_RAW, "input_tokens"),

    OUTPUT(0, "gen_ai.usage.output_tokens"),
    OUTPUT(1, "gen_ai.usage.completion_tokens"),
    OUTPUT(2, "llm.token_count.completion"),
    OUTPUT(3, "llm.usage.completion_tokens"),
    OUTPUT(4, "ai.usage.outputTokens"),
    OUTPUT(5, "ai.usage.completionTokens"),
    OUTPUT(7, "output_tokens"),
    {"langfuse.observation.usage_details", MW_RESOLVE_USAGE_JSON, 0},

    CACHE_READ(0, "gen_ai.usage.cache_read.input_tokens"),
    CACHE_READ(1, "gen_ai.usage.cache_read_input_tokens"),
    CACHE_READ(2, "llm.token_count.prompt_details.cache_read"),
    CACHE_READ(3, "ai.usage.cachedInputTokens"),
    CACHE_READ(4, "ai.usage.inputTokenDetails.cacheReadTokens"),
    CACHE_READ(5, "cache_read_tokens"),
    CACHE_WRITE(0, "gen_ai.usage.cache_write.input_tokens"),
    CACHE_WRITE(1, "gen_ai.usage.cache_creation.input_tokens"),
    CACHE_WRITE(2, "gen_ai.usage.cache_creation_input_tokens"),
    CACHE_WRITE(3, "gen_ai.usage.cache_write_input_tokens"),
    CACHE_WRITE(4, "llm.token_count.prompt_details.cache_write"),
    CACHE_WRITE(5, "ai.usage.inputTokenDetails.cacheWriteTokens"),
    CACHE_WRITE(6, "cache_creation_tokens"),

    KIND(MW_KIND_LANGFUSE, "langfuse.observation.type"),
    KIND(MW_KIND_OPENINFERENCE, "openinference.span.kind"),
    KIND(MW_KIND_GEN_AI, "gen_ai.operation.name"),
    KIND(MW_KIND_TRACELOOP, "traceloop.span.kind"),
    KIND(MW_KIND_LANGSMITH, "langsmith.span.kind"),
    KIND(MW_KIND_AI_OPERATION, "ai.operationId"),
    KIND(MW_KIND_OPERATION_NAME, "operation.name"),
    KIND(MW_KIND_SPAN_TYPE, "span.type"),
    KIND(MW_KIND_MCP, "mcp.method.name"),
    KIND(MW_KIND_AWS, "aws.operation.name"),
    KIND(MW_KIND_MEMORY, "memory.id"),
    KIND(MW_KIND_MEMORY, "gen_ai.memory.id"),
    KIND(MW_KIND_DB, "db.system.name"),
    KIND(MW_KIND_DB, "db.system"),
    KIND(MW_KIND_RPC, "rpc.system.name"),
    KIND(MW_KIND_RPC, "rpc.system"),
    KIND(MW_KIND_HTTP, "http.request.method"),
    KIND(MW_KIND_HTTP, "http.method"),
    KIND(MW_KIND_MESSAGING, "messaging.system"),
    KIND(MW_KIND_LANGGRAPH, "langgraph.node"),
    KIND(MW_KIND_TOOL_NAME, "gen_ai.tool.name"),
};
const size_t mw_resolve_key_count = sizeof mw_resolve_keys / sizeof mw_resolve_keys[0];

/* ---- operation kinds ----------------------------------------------------------------------- */

#define IS(kind, text)                                                                             \
    {                                                                                              \
        MW_KIND_EQUALS, kind, MW_SLICE_INIT(text)                                                  \
    }
#define RULE(match, kind, text)                                                                    \
    {                                                                                              \
        match, kind, MW_SLICE_INIT(text)                                                           \
    }
#define ANY_VALUE(kind)                                                                            \
    {                                                                                              \
        MW_KIND_PRESENT, kind,                                                                     \
        {                                                                                          \
            NULL, 0                                                                                \
        }                                                                                          \
    }

/* "span" and "event" say nothing and are not listed: the next evidence is asked. */
static const mw_kind_rule langfuse[] = {
    IS(MW_OP_MODEL, "generation"),    IS(MW_OP_EMBEDDING, "embedding"),
    IS(MW_OP_AGENT, "agent"),         IS(MW_OP_TOOL, "tool"),
    IS(MW_OP_WORKFLOW, "chain"),      IS(MW_OP_RETRIEVAL, "retriever"),
    IS(MW_OP_GUARDRAIL, "guardrail"), IS(MW_OP_EVAL, "evaluator"),
};

static const mw_kind_rule openinference[] = {
    IS(MW_OP_MODEL, "LLM"),           IS(MW_OP_EMBEDDING, "EMBEDDING"), IS(MW_OP_WORKFLOW, "CHAIN"),
    IS(MW_OP_RETRIEVAL, "RETRIEVER"), IS(MW_OP_RETRIEVAL, "RERANKER"),  IS(MW_OP_TOOL, "TOOL"),
    IS(MW_OP_AGENT, "AGENT"),         IS(MW_OP_GUARDRAIL, "GUARDRAIL"), IS(MW_OP_EVAL, "EVALUATOR"),
};

static const mw_kind_rule gen_ai[] = {
    IS(MW_OP_MODEL, "chat"),
    IS(MW_OP_TOOL, "execute_tool"),
    IS(MW_OP_AGENT, "invoke_agent"),
    IS(MW_OP_MODEL, "generate_content"),
    IS(MW_OP_MODEL, "text_completion"),
    IS(MW_OP_MODEL, "completion"),
    IS(MW_OP_MODEL, "generate"),
    IS(MW_OP_MODEL, "llm_request"),
    IS(MW_OP_EMBEDDING, "embeddings"),
    IS(MW_OP_AGENT, "create_agent"),
    IS(MW_OP_AGENT, "agent_step"),
    IS(MW_OP_WORKFLOW, "invoke_workflow"),
    IS(MW_OP_WORKFLOW, "plan"),
    IS(MW_OP_WORKFLOW, "execute_event_loop_cycle"),
    IS(MW_OP_WORKFLOW, "execute_task"),
    IS(MW_OP_RETRIEVAL, "retrieval"),
    IS(MW_OP_RETRIEVAL, "vector_db_retrieve"),
    /* search_memory, create_memory_store and their kin */
    RULE(MW_KIND_CONTAINS, MW_OP_MEMORY, "memory"),
};

static const mw_kind_rule traceloop[] = {
    IS(MW_OP_WORKFLOW, "workflow"),
    IS(MW_OP_WORKFLOW, "task"),
    IS(MW_OP_AGENT, "agent"),
    IS(MW_OP_TOOL, "tool"),
};

static const mw_kind_rule langsmith[] = {
    IS(MW_OP_MODEL, "llm"),           IS(MW_OP_WORKFLOW, "chain"),      IS(MW_OP_TOOL, "tool"),
    IS(MW_OP_RETRIEVAL, "retriever"), IS(MW_OP_EMBEDDING, "embedding"),
};

/* Only the inner call is the model's: its parent repeats the tokens. */
static const mw_kind_rule ai_sdk[] = {
    RULE(MW_KIND_ENDS, MW_OP_MODEL, ".doGenerate"),  RULE(MW_KIND_ENDS, MW_OP_MODEL, ".doStream"),
    RULE(MW_KIND_ENDS, MW_OP_EMBEDDING, ".doEmbed"), IS(MW_OP_TOOL, "ai.toolCall"),
    RULE(MW_KIND_STARTS, MW_OP_WORKFLOW, "ai."),
};

/* Parts of a tool's run (waiting for a person, execution) are not tool calls of their own. */
static const mw_kind_rule span_type[] = {
    IS(MW_OP_MODEL, "llm_request"),
    IS(MW_OP_TOOL, "tool"),
    IS(MW_OP_AGENT, "interaction"),
};

static const mw_kind_rule mcp[] = {IS(MW_OP_TOOL, "tools/call")};

/* AgentCore's own spans. A gateway says "Call Tool", "Search Tools", "List Tools", seen up to the
 * blank. Starting, stopping and expiry of a tool's session are no calls of the tool. */
static const mw_kind_rule aws[] = {
    IS(MW_OP_AGENT, "InvokeAgentRuntime"),
    IS(MW_OP_TOOL, "Call"),
    IS(MW_OP_TOOL, "CallTool"),
    IS(MW_OP_TOOL, "InvokeTool"),
    IS(MW_OP_TOOL, "Search"),
    IS(MW_OP_TOOL, "SearchTools"),
    IS(MW_OP_RPC, "List"),
    IS(MW_OP_RPC, "ListTools"),
    IS(MW_OP_TOOL, "InvokeCodeInterpreter"),
    IS(MW_OP_TOOL, "ConnectBrowserAutomationStream"),
    RULE(MW_KIND_CONTAINS, MW_OP_RPC, "CodeInterpreterSession"),
    RULE(MW_KIND_CONTAINS, MW_OP_RPC, "BrowserSession"),
    RULE(MW_KIND_STARTS, MW_OP_RPC, "GetWorkloadAccessToken"),
    RULE(MW_KIND_STARTS, MW_OP_RPC, "GetResource"),
};
static const mw_kind_rule memory[] = {ANY_VALUE(MW_OP_MEMORY)};
static const mw_kind_rule db[] = {ANY_VALUE(MW_OP_DB)};
static const mw_kind_rule rpc[] = {ANY_VALUE(MW_OP_RPC)};
static const mw_kind_rule http[] = {ANY_VALUE(MW_OP_HTTP)};
static const mw_kind_rule messaging[] = {ANY_VALUE(MW_OP_MESSAGING)};
static const mw_kind_rule langgraph[] = {ANY_VALUE(MW_OP_WORKFLOW)};

#define RULES(array)                                                                               \
    {                                                                                              \
        array, sizeof array / sizeof array[0]                                                      \
    }

const mw_kind_rules mw_kind_table[MW_KIND_RANKS] = {
    [MW_KIND_LANGFUSE] = RULES(langfuse),
    [MW_KIND_OPENINFERENCE] = RULES(openinference),
    [MW_KIND_GEN_AI] = RULES(gen_ai),
    [MW_KIND_TRACELOOP] = RULES(traceloop),
    [MW_KIND_LANGSMITH] = RULES(langsmith),
    [MW_KIND_AI_OPERATION] = RULES(ai_sdk),
    [MW_KIND_OPERATION_NAME] = RULES(ai_sdk),
    [MW_KIND_SPAN_TYPE] = RULES(span_type),
    [MW_KIND_MCP] = RULES(mcp),
    [MW_KIND_AWS] = RULES(aws),
    [MW_KIND_MEMORY] = RULES(memory),
    [MW_KIND_DB] = RULES(db),
    [MW_KIND_RPC] = RULES(rpc),
    [MW_KIND_HTTP] = RULES(http),
    [MW_KIND_MESSAGING] = RULES(messaging),
    [MW_KIND_LANGGRAPH] = RULES(langgraph),
};
