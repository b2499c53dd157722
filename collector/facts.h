/* Facts of a span or log record beyond its columns: models asked and served, provider, tool, error
 * class, ...
 *
 * The store's rows hold what lists and triage ask for. The rest is found when a span is shown, in
 * the bytes that were sent, with tables of the same form as resolution's (facts_table.c): the
 * present, non-empty key of the best rank wins, of the span's attributes first, then the
 * resource's, then the scope's. What concerns one call (tool, tokens, errors) is the span's alone.
 *
 * Slices of the result point into the bytes, to literals or into the arena; they are as long as
 * resolved texts may be (MW_RESOLVED_TEXT_MAX). Pure; any thread.
 */
#ifndef MW_COLLECTOR_FACTS_H
#define MW_COLLECTOR_FACTS_H

#include "collector/error_class.h"
#include "lib/base/arena.h"
#include "lib/store/store.h"
#include "proto/scan.h"

typedef enum mw_fact {
    MW_FACT_PROVIDER,
    MW_FACT_REQUEST_MODEL,
    MW_FACT_RESPONSE_MODEL,
    MW_FACT_CONVERSATION,
    MW_FACT_AGENT_ID,
    MW_FACT_ENDPOINT, /* an ARN, or the name itself */
    MW_FACT_ENVIRONMENT,
    MW_FACT_REGION,
    MW_FACT_ZONE,
    MW_FACT_RESOURCE_ID, /* an ARN, of a runtime or of anything else */
    MW_FACT_CALLED_ARN,  /* what an AWS service was asked for, e.g. a browser */
    MW_FACT_TOOL,
    MW_FACT_TARGET,
    MW_FACT_TOOL_CALL,
    MW_FACT_TRACELOOP_KIND,
    MW_FACT_ERROR_TYPE,
    MW_FACT_RPC_STATUS,
    MW_FACT_THROTTLED, /* switches: a bool, or its name as text */
    MW_FACT_FAULT,
    MW_FACT_ERROR,
    MW_FACT_SUCCESS,
    MW_FACT_HTTP_STATUS, /* counts from here on */
    MW_FACT_CACHE_READ,
    MW_FACT_CACHE_WRITE,
    MW_FACT_REASONING,
    MW_FACT_COUNT
} mw_fact;

/* What one place says: a span, a resource or a scope. */
typedef struct mw_facts_place {
    uint8_t rank[MW_FACT_COUNT];
    mw_value value[MW_FACT_COUNT]; /* STRING, trimmed, INT or BOOL */
} mw_facts_place;

/* Everything that `message` says; `field` is one of attribute_walk.h's MW_ATTRIBUTES_OF_*. */
void mw_facts_read(mw_facts_place *place, mw_slice message, uint32_t field);

typedef struct mw_span_facts {
    mw_slice provider; /* in lower case; empty text here and below = unknown */
    mw_slice request_model, response_model;
    mw_slice conversation_id;
    mw_slice agent_id;
    mw_slice endpoint; /* of an agent runtime */
    mw_slice environment, region;
    mw_slice tool, tool_call_id;
    mw_slice target; /* what an AgentCore gateway passed the call on to */
    mw_slice error_type;
    mw_error_class error_class;
    int64_t cache_read_tokens, cache_write_tokens, reasoning_tokens; /* parts of the totals */
} mw_span_facts;

typedef struct mw_log_facts {
    mw_error_class error_class;
    mw_slice error_type; /* empty = unknown; MW_ERROR_NONE has none */
} mw_log_facts;

/* `bytes`: the stored LogRecord message. Its attributes say what went wrong, else the members of
 * its body where that is an object, as AgentCore's are. A type of error counts from WARN on, and
 * without a severity: below, it is what somebody coped with. ERROR and FATAL alone say that
 * something failed. */
void mw_facts_of_log(mw_slice bytes, const mw_log_row *row, mw_arena *arena, mw_log_facts *out);

/* `bytes`: the stored Span message, also its events' place. `resource` and `scope` may be NULL. */
void mw_facts_of_span(mw_slice bytes, const mw_facts_place *resource, const mw_facts_place *scope,
                      const mw_span_row *row, mw_arena *arena, mw_span_facts *out);

#endif
