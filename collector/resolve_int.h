/* Room-private: the tables of resolution (resolve_table.c) as resolve.c reads them. Constant. */
#ifndef MW_COLLECTOR_RESOLVE_INT_H
#define MW_COLLECTOR_RESOLVE_INT_H

#include "collector/resolve.h"

/* What a key speaks for, and its place in that field's priority list. Two keys may share a rank:
 * the later one on the wire wins then. */
typedef struct mw_resolve_key {
    const char *name;
    uint8_t field;
    uint8_t rank;
} mw_resolve_key;

/* Position = key id in the keyset. */
extern const mw_resolve_key mw_resolve_keys[];
extern const size_t mw_resolve_key_count;

/* Text as it counts: trimmed, an array by its first element; an integer stays one. False when
 * there is nothing in it. */
bool mw_resolve_usable_text(const mw_value *value, mw_value *out);
/* Counts come as integers, doubles or decimal text; what is no count is absent. */
bool mw_resolve_usable_count(const mw_value *value, mw_value *out);

/* The text, cut at a character to MW_RESOLVED_TEXT_MAX: of keys and labels of lists a sender's
 * megabyte would be carried by every row. The span itself keeps what was sent. */
mw_slice mw_resolve_bounded(mw_slice text);

/* Ranks that rules refer to by name. */
enum {
    MW_AGENT_TRACELOOP = 2,  /* only when traceloop.span.kind is agent */
    MW_AGENT_LANGSMITH = 3,  /* only when langsmith.span.kind is chain, at the root */
    MW_AGENT_GRAPH_NODE = 4, /* only when openinference.span.kind is AGENT */
    MW_AGENT_LANGCHAIN = 5,  /* the name that LangChain's create_agent was given */
    MW_AGENT_FUNCTION = 6,   /* the AI SDK's word for who asks */
    MW_AGENT_RANKS = 7,
    MW_INPUT_USAGE_JSON = 7, /* where the JSON text stands in the two token lists */
    MW_OUTPUT_USAGE_JSON = 6,
    MW_INPUT_RAW = 8, /* the provider's raw count, cache always excluded */
    MW_PEER_ADDRESS = 3
};

/* Evidence of the operation kind, best first. */
typedef enum mw_kind_rank {
    MW_KIND_LANGFUSE,
    MW_KIND_OPENINFERENCE,
    MW_KIND_GEN_AI,
    MW_KIND_TRACELOOP,
    MW_KIND_LANGSMITH,
    MW_KIND_AI_OPERATION,
    MW_KIND_OPERATION_NAME,
    MW_KIND_SPAN_TYPE,
    MW_KIND_MCP,
    MW_KIND_AWS, /* the operation of an AgentCore resource */
    MW_KIND_MEMORY,
    MW_KIND_DB,
    MW_KIND_RPC,
    MW_KIND_HTTP,
    MW_KIND_MESSAGING,
    MW_KIND_LANGGRAPH, /* a node of a graph, where nothing says what it does */
    MW_KIND_TOOL_NAME, /* no evidence of its own: marks the span as GenAI's */
    MW_KIND_RANKS
} mw_kind_rank;

typedef enum mw_kind_match {
    MW_KIND_EQUALS, /* ASCII case ignored: OpenInference shouts, others do not */
    MW_KIND_STARTS,
    MW_KIND_ENDS,
    MW_KIND_CONTAINS,
    MW_KIND_PRESENT /* any value, of any type */
} mw_kind_match;

typedef struct mw_kind_rule {
    uint8_t match;
    uint8_t kind; /* mw_operation_kind */
    mw_slice value;
} mw_kind_rule;

/* First rule that matches; none = the next evidence is asked. */
typedef struct mw_kind_rules {
    const mw_kind_rule *rules;
    size_t count;
} mw_kind_rules;

extern const mw_kind_rules mw_kind_table[MW_KIND_RANKS];

/* ---- resolve_body.c ------------------------------------------------------------------------- */

/* The session that a log record's body names: its member "session_id", "sessionId" or
 * "session.id", else "session.id" of its member "attributes". Trimmed; empty when there is none, or
 * when its "resource_arn" is that of an AgentCore browser or code interpreter. */
mw_slice mw_resolve_body_session(const mw_value *body);

#endif
