/* Facts of a span over the table of facts_table.c. Contract: facts.h. */
#include "collector/facts_table.h"
#include "collector/resolve_int.h"
#include "proto/attribute_walk.h"
#include "proto/wire.h"

#define NO_RANK MW_RESOLVE_NO_RANK

/* ---- one place ------------------------------------------------------------------------------ */

static const mw_fact_key *find_key(mw_slice name)
{
    size_t low = 0, high = mw_fact_key_count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        int order = mw_slice_compare(name, mw_fact_keys[middle].name);
        if (order == 0)
            return &mw_fact_keys[middle];
        if (order < 0)
            high = middle;
        else
            low = middle + 1;
    }
    return NULL;
}

/* Some SDKs write booleans as text. */
static bool usable_switch(const mw_value *value, mw_value *out)
{
    *out = (mw_value){.type = MW_VALUE_BOOL, .as.b = value->type == MW_VALUE_BOOL && value->as.b};
    if (value->type == MW_VALUE_BOOL)
        return true;
    if (value->type != MW_VALUE_STRING)
        return false;
    mw_slice text = mw_slice_trim(value->bytes);
    out->as.b = mw_slice_equal_nocase(text, MW_SLICE("true"));
    return out->as.b || mw_slice_equal_nocase(text, MW_SLICE("false"));
}

/* Frameworks that name themselves where the model's provider belongs. */
static bool is_framework(mw_slice name)
{
    static const mw_slice frameworks[] = {MW_SLICE_INIT("strands-agents"),
                                          MW_SLICE_INIT("langchain"), MW_SLICE_INIT("langgraph"),
                                          MW_SLICE_INIT("crewai"), MW_SLICE_INIT("openai_agents")};
    for (size_t i = 0; i < sizeof frameworks / sizeof frameworks[0]; i++)
        if (mw_slice_equal_nocase(name, frameworks[i]))
            return true;
    return false;
}

/* Google's ADK calls the span around parallel calls by this name. */
static bool is_merged(mw_slice tool)
{
    return mw_slice_equal(tool, MW_SLICE("(merged tools)"));
}

static bool is_placeholder(mw_fact fact, const mw_value *value)
{
    if (value->type != MW_VALUE_STRING)
        return false;
    if (fact == MW_FACT_PROVIDER)
        return is_framework(value->bytes);
    if (fact == MW_FACT_ERROR_TYPE) /* AgentCore Identity's word for "none" */
        return mw_slice_equal(value->bytes, MW_SLICE("null"));
    return fact == MW_FACT_TOOL && is_merged(value->bytes);
}

static bool usable(mw_fact fact, const mw_value *value, mw_value *out)
{
    if (fact >= MW_FACT_HTTP_STATUS)
        return mw_resolve_usable_count(value, out);
    if (fact >= MW_FACT_THROTTLED)
        return usable_switch(value, out);
    return mw_resolve_usable_text(value, out) && !is_placeholder(fact, out);
}

void mw_facts_read(mw_facts_place *place, mw_slice message, uint32_t field)
{
    mw_attribute_walk walk;
    mw_slice name;
    mw_value value, taken;
    memset(place->rank, NO_RANK, sizeof place->rank);
    mw_attribute_walk_init(&walk, message, field);
    while (mw_attribute_next(&walk, &name, &value)) {
        const mw_fact_key *key = find_key(name);
        if (!key || key->rank > place->rank[key->fact] ||
            !usable((mw_fact)key->fact, &value, &taken))
            continue;
        place->rank[key->fact] = key->rank;
        place->value[key->fact] = taken;
    }
}

/* ---- several places ------------------------------------------------------------------------- */

typedef struct places {
    const mw_facts_place *at[3]; /* span, resource, scope; NULL = absent */
    mw_arena *arena;
} places;

static bool has(const mw_facts_place *place, mw_fact fact)
{
    return place && place->rank[fact] != NO_RANK;
}

static mw_slice text_in(const mw_facts_place *place, mw_fact fact, mw_arena *arena)
{
    if (!has(place, fact))
        return MW_SLICE_NONE;
    const mw_value *value = &place->value[fact];
    if (value->type == MW_VALUE_STRING)
        return value->bytes;
    const char *digits = mw_arena_printf(arena, "%lld", (long long)value->as.i);
    return digits ? mw_slice_of(digits) : MW_SLICE_NONE;
}

static mw_slice text_of(const places *all, mw_fact fact)
{
    mw_slice text = MW_SLICE_NONE;
    for (size_t i = 0; i < 3 && text.len == 0; i++)
        text = text_in(all->at[i], fact, all->arena);
    return text;
}

static int64_t count_of(const mw_facts_place *span, mw_fact fact, int64_t otherwise)
{
    return has(span, fact) ? span->value[fact].as.i : otherwise;
}

static bool is_on(const mw_facts_place *span, mw_fact fact)
{
    return has(span, fact) && span->value[fact].as.b;
}

/* ---- provider and tool ---------------------------------------------------------------------- */

/* The AI SDK appends which of the provider's interfaces it talks to. */
static mw_slice without_interface(mw_slice provider)
{
    static const mw_slice interfaces[] = {
        MW_SLICE_INIT(".chat"),      MW_SLICE_INIT(".responses"), MW_SLICE_INIT(".completion"),
        MW_SLICE_INIT(".embedding"), MW_SLICE_INIT(".messages"),  MW_SLICE_INIT(".generative-ai")};
    for (size_t i = 0; i < sizeof interfaces / sizeof interfaces[0]; i++)
        if (mw_slice_ends(provider, interfaces[i]))
            return mw_slice_first(provider, provider.len - interfaces[i].len);
    return provider;
}

/* One provider is written "Anthropic" and "anthropic". */
static mw_slice provider_of(const places *all)
{
    mw_slice provider = text_of(all, MW_FACT_PROVIDER);
    if (has(all->at[0], MW_FACT_PROVIDER) &&
        all->at[0]->rank[MW_FACT_PROVIDER] == MW_PROVIDER_AI_SDK)
        provider = mw_slice_first(provider, mw_slice_find_byte(provider, '.'));
    provider = without_interface(provider);
    char *lower = provider.len ? mw_arena_alloc(all->arena, provider.len) : NULL;
    if (!lower)
        return provider;
    for (size_t i = 0; i < provider.len; i++) {
        char c = provider.data[i];
        lower[i] = c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
    }
    return (mw_slice){lower, provider.len};
}

/* What stands behind `phrase` in a name; empty when it is not there. */
static mw_slice word_behind(mw_slice name, mw_slice phrase)
{
    for (size_t at = 0; at + phrase.len < name.len; at++) {
        mw_slice rest = mw_slice_from(name, at);
        bool word = at == 0 || name.data[at - 1] == ' ';
        if (word && mw_slice_starts(rest, phrase))
            return mw_slice_trim(mw_slice_from(rest, phrase.len));
    }
    return MW_SLICE_NONE;
}

/* AgentCore's spans of a browser or a code interpreter name it by its ARN alone:
 * "...:browser/aws.browser.v1", "...:code-interpreter-custom/id". */
static mw_slice built_in_tool(const mw_facts_place *span, mw_arena *arena)
{
    mw_slice arn = text_in(span, MW_FACT_CALLED_ARN, arena);
    if (!mw_slice_contains(arn, MW_SLICE(":bedrock-agentcore:")) ||
        !(mw_slice_contains(arn, MW_SLICE(":browser")) ||
          mw_slice_contains(arn, MW_SLICE(":code-interpreter"))))
        return MW_SLICE_NONE;
    size_t slash = mw_slice_find_byte(arn, '/');
    return slash < arn.len ? mw_slice_from(arn, slash + 1) : MW_SLICE_NONE;
}

static mw_slice tool_of(const places *all, const mw_span_row *row)
{
    const mw_facts_place *span = all->at[0];
    bool other =
        has(span, MW_FACT_TOOL) && span->rank[MW_FACT_TOOL] == MW_TOOL_TRACELOOP &&
        !mw_slice_equal_nocase(text_in(span, MW_FACT_TRACELOOP_KIND, all->arena), MW_SLICE("tool"));
    mw_slice tool = other ? MW_SLICE_NONE : text_in(span, MW_FACT_TOOL, all->arena);
    if (tool.len == 0)
        tool = built_in_tool(span, all->arena);
    if (tool.len || row->operation_kind != MW_OP_TOOL)
        return tool;
    tool = word_behind(row->name, MW_SLICE("execute_tool "));
    if (tool.len == 0)
        tool = word_behind(row->name, MW_SLICE("tools/call "));
    return is_merged(tool) ? MW_SLICE_NONE : tool;
}

/* A gateway's tools are called "target___tool". */
static mw_slice target_of(const places *all, mw_slice tool)
{
    mw_slice target = text_in(all->at[0], MW_FACT_TARGET, all->arena);
    for (size_t at = 1; target.len == 0 && at + 3 < tool.len; at++)
        if (mw_slice_starts(mw_slice_from(tool, at), MW_SLICE("___")))
            target = mw_slice_first(tool, at);
    return target;
}

/* ---- agent runtimes ------------------------------------------------------------------------- */

#define ENDPOINT_PART MW_SLICE("/runtime-endpoint/")

/* "" unless it is the ARN of an AgentCore runtime. */
static mw_slice runtime_of(const places *all)
{
    mw_slice id = text_of(all, MW_FACT_RESOURCE_ID);
    return mw_slice_starts(id, MW_SLICE("arn:")) &&
                   mw_slice_contains(id, MW_SLICE(":bedrock-agentcore:")) &&
                   mw_slice_contains(id, MW_SLICE(":runtime/"))
               ? id
               : MW_SLICE_NONE;
}

static size_t find_endpoint(mw_slice arn)
{
    size_t at = 0;
    while (at < arn.len && !mw_slice_starts(mw_slice_from(arn, at), ENDPOINT_PART))
        at++;
    return at;
}

static mw_slice endpoint_of(const places *all)
{
    mw_slice arn = text_of(all, MW_FACT_ENDPOINT);
    mw_slice runtime = runtime_of(all);
    mw_slice id = text_of(all, MW_FACT_AGENT_ID);
    if (arn.len && !mw_slice_starts(arn, MW_SLICE("arn:")))
        return arn;
    if (arn.len == 0)
        arn = runtime;
    size_t at = find_endpoint(arn);
    if (at < arn.len) {
        mw_slice rest = mw_slice_from(arn, at + ENDPOINT_PART.len);
        return mw_slice_first(rest, mw_slice_find_byte(rest, '/'));
    }
    bool agent_core = runtime.len || mw_slice_contains(id, MW_SLICE(":bedrock-agentcore:"));
    return agent_core ? MW_SLICE("DEFAULT") : MW_SLICE_NONE;
}

static mw_slice agent_id_of(const places *all)
{
    mw_slice id = text_of(all, MW_FACT_AGENT_ID);
    if (id.len)
        return id;
    mw_slice runtime = runtime_of(all);
    return mw_slice_first(runtime, find_endpoint(runtime));
}

/* arn:partition:service:region:account:what */
static mw_slice region_of_arn(mw_slice arn)
{
    mw_slice part = MW_SLICE_NONE;
    if (!mw_slice_starts(arn, MW_SLICE("arn:")))
        return part;
    for (int i = 0; i < 4; i++)
        if (!mw_slice_split(&arn, ':', &part))
            return MW_SLICE_NONE;
    return part;
}

static mw_slice region_of(const places *all)
{
    mw_slice region = text_of(all, MW_FACT_REGION);
    if (region.len == 0)
        region = region_of_arn(text_of(all, MW_FACT_RESOURCE_ID));
    mw_slice zone = text_of(all, MW_FACT_ZONE);
    if (region.len || zone.len == 0)
        return region;
    char last = zone.data[zone.len - 1];
    return last >= 'a' && last <= 'z' ? mw_slice_first(zone, zone.len - 1) : zone;
}

/* ---- errors --------------------------------------------------------------------------------- */

/* Of the last event that names one: instrumentations note what was retried as well. */
static mw_slice exception_of(mw_slice bytes, mw_arena *arena)
{
    enum { EVENTS = 11 };
    mw_slice type = MW_SLICE_NONE;
    mw_wire_field field;
    const uint8_t *end = mw_wire_end(bytes);
    for (const uint8_t *at = mw_wire_begin(bytes); at && at < end;) {
        mw_facts_place event;
        at = mw_wire_next(at, end, &field);
        if (!at || field.tag != MW_WIRE_TAG(EVENTS, MW_WIRE_BYTES))
            continue;
        mw_facts_read(&event, field.bytes, MW_ATTRIBUTES_OF_EVENT);
        mw_slice named = text_in(&event, MW_FACT_ERROR_TYPE, arena);
        type = named.len ? named : type;
    }
    return type;
}

/* SpanStatus ERROR. */
enum { STATUS_ERROR = 2 };

/* What attributes alone say. */
static mw_error_evidence evidence_in(const mw_facts_place *place, mw_arena *arena)
{
    return (mw_error_evidence){
        .throttled = is_on(place, MW_FACT_THROTTLED),
        .fault = is_on(place, MW_FACT_FAULT),
        .error = is_on(place, MW_FACT_ERROR),
        .has_fault = has(place, MW_FACT_FAULT),
        .type = text_in(place, MW_FACT_ERROR_TYPE, arena),
        .http_status = count_of(place, MW_FACT_HTTP_STATUS, MW_NO_CODE),
        .rpc_status = text_in(place, MW_FACT_RPC_STATUS, arena),
        .unsuccessful = has(place, MW_FACT_SUCCESS) && !is_on(place, MW_FACT_SUCCESS),
    };
}

static void judge_error(mw_slice bytes, const places *all, const mw_span_row *row,
                        mw_span_facts *out)
{
    mw_error_evidence evidence = evidence_in(all->at[0], all->arena);
    evidence.message = row->status_message;
    evidence.failed = row->status == STATUS_ERROR;
    evidence.tool = row->operation_kind == MW_OP_TOOL;
    /* An exception that the span survived is no failure of it. */
    if (evidence.type.len == 0 && evidence.failed && (row->flags & MW_SPAN_EXCEPTION))
        evidence.type = exception_of(bytes, all->arena);
    out->error_class = mw_error_judge(&evidence);
    if (out->error_class != MW_ERROR_NONE)
        out->error_type = evidence.type;
}

/* ---- log records ---------------------------------------------------------------------------- */

/* SeverityNumbers; what is beyond FATAL4 is none. */
enum { SEVERITY_WARN = 13, SEVERITY_ERROR = 17, SEVERITY_MAX = 24 };

/* Of several parts the last: what sends in parts sends one. */
static mw_value body_of(mw_slice bytes)
{
    enum { BODY = 5 };
    mw_value body = {.type = MW_VALUE_EMPTY};
    mw_wire_field field;
    const uint8_t *end = mw_wire_end(bytes);
    for (const uint8_t *at = mw_wire_begin(bytes); at && at < end;) {
        at = mw_wire_next(at, end, &field);
        if (at && field.tag == MW_WIRE_TAG(BODY, MW_WIRE_BYTES))
            mw_attribute_value(field.bytes, &body);
    }
    return body;
}

static void take_missing(mw_facts_place *to, const mw_facts_place *from)
{
    for (size_t i = 0; i < MW_FACT_COUNT; i++) {
        if (to->rank[i] != NO_RANK || from->rank[i] == NO_RANK)
            continue;
        to->rank[i] = from->rank[i];
        to->value[i] = from->value[i];
    }
}

/* Claude Code's event of a tool's end, and records that name their tool. */
static bool is_of_tool(const mw_facts_place *record, const mw_log_row *row)
{
    return has(record, MW_FACT_TOOL) || mw_slice_ends(row->event_name, MW_SLICE("tool_result"));
}

void mw_facts_of_log(mw_slice bytes, const mw_log_row *row, mw_arena *arena, mw_log_facts *out)
{
    mw_facts_place record, object;
    mw_value body = body_of(bytes);
    mw_facts_read(&record, bytes, MW_ATTRIBUTES_OF_LOG);
    if (body.type == MW_VALUE_KVLIST) {
        mw_facts_read(&object, body.bytes, MW_ATTRIBUTES_OF_LIST);
        take_missing(&record, &object);
    }
    mw_error_evidence evidence = evidence_in(&record, arena);
    if (row->severity && row->severity < SEVERITY_WARN)
        evidence.type = MW_SLICE_NONE;
    if (body.type == MW_VALUE_STRING)
        evidence.message = body.bytes;
    evidence.failed = row->severity >= SEVERITY_ERROR && row->severity <= SEVERITY_MAX;
    evidence.tool = is_of_tool(&record, row);
    *out = (mw_log_facts){.error_class = mw_error_judge(&evidence)};
    if (out->error_class != MW_ERROR_NONE)
        out->error_type = mw_resolve_bounded(evidence.type);
}

/* ---- all ------------------------------------------------------------------------------------ */

void mw_facts_of_span(mw_slice bytes, const mw_facts_place *resource, const mw_facts_place *scope,
                      const mw_span_row *row, mw_arena *arena, mw_span_facts *out)
{
    mw_facts_place span;
    mw_facts_read(&span, bytes, MW_ATTRIBUTES_OF_SPAN);
    const places all = {{&span, resource, scope}, arena};
    *out = (mw_span_facts){
        .provider = provider_of(&all),
        .request_model = text_of(&all, MW_FACT_REQUEST_MODEL),
        .response_model = text_of(&all, MW_FACT_RESPONSE_MODEL),
        .conversation_id = text_of(&all, MW_FACT_CONVERSATION),
        .agent_id = agent_id_of(&all),
        .endpoint = endpoint_of(&all),
        .environment = text_of(&all, MW_FACT_ENVIRONMENT),
        .region = region_of(&all),
        .tool = tool_of(&all, row),
        .tool_call_id = text_in(&span, MW_FACT_TOOL_CALL, arena),
        .cache_read_tokens = count_of(&span, MW_FACT_CACHE_READ, MW_TOKENS_UNKNOWN),
        .cache_write_tokens = count_of(&span, MW_FACT_CACHE_WRITE, MW_TOKENS_UNKNOWN),
        .reasoning_tokens = count_of(&span, MW_FACT_REASONING, MW_TOKENS_UNKNOWN),
    };
    out->target = target_of(&all, out->tool);
    judge_error(bytes, &all, row, out);
    mw_slice *const texts[] = {&out->provider,        &out->request_model, &out->response_model,
                               &out->conversation_id, &out->agent_id,      &out->endpoint,
                               &out->environment,     &out->region,        &out->tool,
                               &out->tool_call_id,    &out->target,        &out->error_type};
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++)
        *texts[i] = mw_resolve_bounded(*texts[i]);
}
