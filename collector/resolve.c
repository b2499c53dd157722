/* Resolution over the tables of resolve_table.c. Contract: resolve.h. */
#include <jansson.h>

#include "collector/resolve_int.h"
#include "proto/wire.h"

mw_keyset *mw_resolve_keyset_new(void)
{
    const char *names[256];
    MW_ASSERT(mw_resolve_key_count <= sizeof names / sizeof names[0]);
    for (size_t i = 0; i < mw_resolve_key_count; i++)
        names[i] = mw_resolve_keys[i].name;
    return mw_keyset_new(names, mw_resolve_key_count);
}

const char *mw_resolve_key_name(mw_resolve_field field, unsigned rank)
{
    for (size_t i = 0; i < mw_resolve_key_count; i++)
        if (mw_resolve_keys[i].field == field && mw_resolve_keys[i].rank == rank)
            return mw_resolve_keys[i].name;
    return NULL;
}

/* ---- values -------------------------------------------------------------------------------- */

/* The first element of an ArrayValue when it is a string: headers and log groups are lists. */
static mw_slice first_string(mw_slice array)
{
    const uint8_t *at = mw_wire_begin(array);
    mw_wire_field field;
    if (array.len == 0 || !mw_wire_next(at, mw_wire_end(array), &field) ||
        field.tag != MW_WIRE_TAG(1, MW_WIRE_BYTES) || field.bytes.len == 0)
        return MW_SLICE_NONE;
    mw_slice element = field.bytes;
    if (!mw_wire_next(mw_wire_begin(element), mw_wire_end(element), &field) ||
        field.tag != MW_WIRE_TAG(1, MW_WIRE_BYTES))
        return MW_SLICE_NONE;
    return field.bytes;
}

bool mw_resolve_usable_text(const mw_value *value, mw_value *out)
{
    if (value->type == MW_VALUE_INT) {
        *out = *value;
        return true;
    }
    mw_slice text = value->type == MW_VALUE_STRING  ? value->bytes
                    : value->type == MW_VALUE_ARRAY ? first_string(value->bytes)
                                                    : MW_SLICE_NONE;
    *out = (mw_value){.type = MW_VALUE_STRING, .bytes = mw_slice_trim(text)};
    return out->bytes.len > 0;
}

/* SDKs and agents fill these in when they know nothing. */
static bool is_placeholder(mw_resolve_field field, const mw_value *value)
{
    if (value->type != MW_VALUE_STRING)
        return false;
    if (field == MW_RESOLVE_SERVICE)
        return mw_slice_starts(value->bytes, MW_SLICE("unknown_service")) ||
               mw_slice_equal(value->bytes, MW_SLICE("UnknownService"));
    return field == MW_RESOLVE_PEER &&
           mw_slice_equal(value->bytes, MW_SLICE("UnknownRemoteService"));
}

bool mw_resolve_usable_count(const mw_value *value, mw_value *out)
{
    int64_t count = -1;
    if (value->type == MW_VALUE_INT)
        count = value->as.i;
    else if (value->type == MW_VALUE_DOUBLE && value->as.d >= 0 &&
             value->as.d <= (double)MW_TOKENS_MAX)
        count = (int64_t)value->as.d;
    else if (value->type == MW_VALUE_STRING &&
             mw_slice_i64(mw_slice_trim(value->bytes), &count) != MW_OK)
        return false;
    *out = (mw_value){.type = MW_VALUE_INT, .as.i = count};
    return count >= 0 && count <= MW_TOKENS_MAX;
}

static bool usable(mw_resolve_field field, const mw_value *value, mw_value *out)
{
    if (field >= MW_RESOLVE_INPUT)
        return mw_resolve_usable_count(value, out);
    return mw_resolve_usable_text(value, out) && !is_placeholder(field, out);
}

/* ---- operation kind ------------------------------------------------------------------------ */

static bool rule_matches(const mw_kind_rule *rule, mw_slice text)
{
    switch ((mw_kind_match)rule->match) {
    case MW_KIND_EQUALS: return mw_slice_equal_nocase(text, rule->value);
    case MW_KIND_STARTS: return mw_slice_starts(text, rule->value);
    case MW_KIND_ENDS: return mw_slice_ends(text, rule->value);
    case MW_KIND_CONTAINS: return mw_slice_contains(text, rule->value);
    case MW_KIND_PRESENT: return true;
    }
    return false;
}

/* The text a rule sees: some SDKs append a function id behind a blank. */
static mw_slice evidence_text(const mw_value *value)
{
    if (!value || value->type != MW_VALUE_STRING)
        return MW_SLICE_NONE;
    mw_slice text = mw_slice_trim(value->bytes);
    return mw_slice_first(text, mw_slice_find_byte(text, ' '));
}

static mw_operation_kind judge_kind(const mw_value *const evidence[MW_KIND_RANKS], unsigned present)
{
    for (; present; present &= present - 1) {
        int rank = __builtin_ctz(present);
        const mw_kind_rules *rules = &mw_kind_table[rank];
        mw_slice text = evidence_text(evidence[rank]);
        for (size_t i = 0; i < rules->count; i++)
            if (rule_matches(&rules->rules[i], text))
                return (mw_operation_kind)rules->rules[i].kind;
    }
    return MW_OP_OTHER;
}

/* GenAI spans are named "{operation} {model, agent or tool}" (semantic conventions 1.41). Asked
 * last, and only of a span that has GenAI attributes: "plan" alone means nothing. */
static mw_operation_kind kind_of_name(mw_slice name)
{
    const mw_kind_rules *rules = &mw_kind_table[MW_KIND_GEN_AI];
    mw_slice word = mw_slice_first(name, mw_slice_find_byte(name, ' '));
    for (size_t i = 0; i < rules->count; i++)
        if (rules->rules[i].match == MW_KIND_EQUALS && rule_matches(&rules->rules[i], word))
            return (mw_operation_kind)rules->rules[i].kind;
    return MW_OP_OTHER;
}

/* ---- one place ----------------------------------------------------------------------------- */

static void offer(mw_resolve_place *place, mw_resolve_field field, uint8_t rank,
                  const mw_value *value)
{
    mw_value taken;
    if (rank > place->rank[field] || !usable(field, value, &taken))
        return;
    place->rank[field] = rank;
    place->value[field] = taken;
}

static bool says(const mw_value *evidence, mw_slice word)
{
    return mw_slice_equal_nocase(evidence_text(evidence), word);
}

/* Some keys name all sorts of things and an agent only under a condition. */
static void offer_agents(mw_resolve_place *place, const mw_value *const agents[MW_AGENT_RANKS],
                         const mw_value *const evidence[MW_KIND_RANKS], bool root)
{
    const bool allowed[MW_AGENT_RANKS] = {
        [0] = true,
        [1] = true,
        [MW_AGENT_LANGCHAIN] = true,
        [MW_AGENT_FUNCTION] = true,
        [MW_AGENT_TRACELOOP] = says(evidence[MW_KIND_TRACELOOP], MW_SLICE("agent")),
        [MW_AGENT_LANGSMITH] = root && says(evidence[MW_KIND_LANGSMITH], MW_SLICE("chain")),
        [MW_AGENT_GRAPH_NODE] = says(evidence[MW_KIND_OPENINFERENCE], MW_SLICE("AGENT")),
    };
    for (unsigned rank = 0; rank < MW_AGENT_RANKS; rank++)
        if (agents[rank] && allowed[rank])
            offer(place, MW_RESOLVE_AGENT, (uint8_t)rank, agents[rank]);
}

void mw_resolve_place_read(mw_resolve_place *place, const mw_found *found, size_t count, bool root)
{
    const mw_value *evidence[MW_KIND_RANKS] = {NULL};
    const mw_value *agents[MW_AGENT_RANKS] = {NULL};
    unsigned present = 0;
    bool any_agent = false;
    memset(place->rank, MW_RESOLVE_NO_RANK, sizeof place->rank);
    place->gen_ai = false;
    for (size_t i = 0; i < count; i++) {
        const mw_resolve_key *key = &mw_resolve_keys[found[i].key];
        place->gen_ai = place->gen_ai || strncmp(key->name, "gen_ai.", 7) == 0;
        if (key->field == MW_RESOLVE_KIND) {
            evidence[key->rank] = &found[i].value;
            present |= 1u << key->rank;
        } else if (key->field == MW_RESOLVE_AGENT) {
            agents[key->rank] = &found[i].value;
            any_agent = true;
        } else {
            offer(place, (mw_resolve_field)key->field, key->rank, &found[i].value);
        }
    }
    if (any_agent)
        offer_agents(place, agents, evidence, root);
    place->kind = (uint8_t)judge_kind(evidence, present);
    place->no_tokens = says(evidence[MW_KIND_GEN_AI], MW_SLICE("fetch_response"));
    place->step = says(evidence[MW_KIND_GEN_AI], MW_SLICE("agent_step"));
}

/* ---- tokens -------------------------------------------------------------------------------- */

/* NULL unless the value is the text of a short JSON document. */
static json_t *load_object(const mw_value *text)
{
    if (text->type != MW_VALUE_STRING || text->bytes.len > MW_RESOLVED_JSON_MAX)
        return NULL;
    return json_loadb(text->bytes.data, text->bytes.len, 0, NULL);
}

static int64_t json_count(const json_t *object, const char *key)
{
    mw_value value = {.type = MW_VALUE_EMPTY}, taken;
    const json_t *member = json_object_get(object, key);
    if (json_is_integer(member))
        value = (mw_value){.type = MW_VALUE_INT, .as.i = json_integer_value(member)};
    else if (json_is_real(member))
        value = (mw_value){.type = MW_VALUE_DOUBLE, .as.d = json_real_value(member)};
    return mw_resolve_usable_count(&value, &taken) ? taken.as.i : MW_TOKENS_UNKNOWN;
}

/* Langfuse puts its counts into one attribute as JSON text: {"input":12,"output":3}. It stands in
 * both priority lists before the raw counts. */
static void read_usage_json(const mw_resolve_place *span, int64_t *input, int64_t *output,
                            bool *raw)
{
    const mw_value *text = &span->value[MW_RESOLVE_USAGE_JSON];
    json_t *usage = load_object(text);
    int64_t in = json_count(usage, "input");
    int64_t out = json_count(usage, "output");
    if (in >= 0 && span->rank[MW_RESOLVE_INPUT] > MW_INPUT_USAGE_JSON) {
        *input = in;
        *raw = false;
    }
    if (out >= 0 && span->rank[MW_RESOLVE_OUTPUT] > MW_OUTPUT_USAGE_JSON)
        *output = out;
    json_decref(usage);
}

static int64_t tokens_of(const mw_resolve_place *span, mw_resolve_field field, int64_t otherwise)
{
    return span->rank[field] == MW_RESOLVE_NO_RANK ? otherwise : span->value[field].as.i;
}

/* The input count is meant to include what came from and went to the cache. Raw provider counts
 * never do; and whoever reports more cached tokens than tokens has left them out as well. */
static int64_t with_cache(const mw_resolve_place *span, int64_t input, bool raw)
{
    int64_t cached =
        tokens_of(span, MW_RESOLVE_CACHE_READ, 0) + tokens_of(span, MW_RESOLVE_CACHE_WRITE, 0);
    return raw || cached > input ? input + cached : input;
}

static void resolve_tokens(const mw_resolve_place *span, mw_span_row *row)
{
    row->input_tokens = MW_TOKENS_UNKNOWN;
    row->output_tokens = MW_TOKENS_UNKNOWN;
    if (span->no_tokens)
        return;
    int64_t input = tokens_of(span, MW_RESOLVE_INPUT, MW_TOKENS_UNKNOWN);
    int64_t output = tokens_of(span, MW_RESOLVE_OUTPUT, MW_TOKENS_UNKNOWN);
    bool raw = span->rank[MW_RESOLVE_INPUT] == MW_INPUT_RAW;
    if (span->rank[MW_RESOLVE_USAGE_JSON] != MW_RESOLVE_NO_RANK)
        read_usage_json(span, &input, &output, &raw);
    row->input_tokens = input < 0 ? input : with_cache(span, input, raw);
    row->output_tokens = output;
}

/* ---- the row ------------------------------------------------------------------------------- */

typedef struct places {
    const mw_resolve_place *at[3]; /* item, resource, scope; NULL = absent */
} places;

static places places_of(const mw_resolve_place *item, const mw_resolve_around *around)
{
    return (places){{item, around->resource, around->scope}};
}

/* The value of the first place that has one. */
static const mw_value *pick(const places *all, mw_resolve_field field)
{
    for (size_t i = 0; i < 3; i++)
        if (all->at[i] && all->at[i]->rank[field] != MW_RESOLVE_NO_RANK)
            return &all->at[i]->value[field];
    return NULL;
}

/* The value of the best rank; of equal ranks the first place. */
static const mw_value *pick_by_rank(const places *all, mw_resolve_field field)
{
    const mw_value *best = NULL;
    uint8_t rank = MW_RESOLVE_NO_RANK;
    for (size_t i = 0; i < 3; i++) {
        if (all->at[i] && all->at[i]->rank[field] < rank) {
            rank = all->at[i]->rank[field];
            best = &all->at[i]->value[field];
        }
    }
    return best;
}

static mw_slice text_of(const mw_value *value, mw_arena *arena)
{
    if (!value)
        return MW_SLICE_NONE;
    if (value->type == MW_VALUE_STRING)
        return value->bytes;
    const char *digits = mw_arena_printf(arena, "%lld", (long long)value->as.i);
    return digits ? mw_slice_of(digits) : MW_SLICE_NONE;
}

mw_slice mw_resolve_bounded(mw_slice text)
{
    if (text.len <= MW_RESOLVED_TEXT_MAX)
        return text;
    size_t len = MW_RESOLVED_TEXT_MAX;
    while (len > 0 && ((unsigned char)text.data[len] & 0xc0) == 0x80)
        len--;
    return mw_slice_first(text, len);
}

static mw_slice last_path_part(mw_slice path)
{
    mw_slice part = path, head;
    while (mw_slice_split(&path, '/', &head))
        if (head.len > 0)
            part = head;
    return part;
}

/* The group's name ends in what runs there. Text alone: a number names nothing. */
static mw_slice agent_of_log_group(const places *all, const mw_resolve_around *around)
{
    const mw_value *group = pick(all, MW_RESOLVE_LOG_GROUP);
    if (group && group->type == MW_VALUE_STRING)
        return last_path_part(group->bytes);
    return last_path_part(around->log_group);
}

static mw_slice service_of(const places *all, mw_arena *arena)
{
    mw_slice service = mw_resolve_bounded(text_of(pick_by_rank(all, MW_RESOLVE_SERVICE), arena));
    return service.len ? service : MW_SLICE("unknown");
}

/* OpenInference has no attribute for the name that LangChain's agents get; it copies the run's
 * metadata as JSON. Most spans' metadata have none: looked at before it is parsed. */
static mw_slice agent_of_metadata(const mw_resolve_place *span, mw_arena *arena)
{
    static const char member[] = "lc_agent_name";
    const mw_value *text = &span->value[MW_RESOLVE_METADATA_JSON];
    if (span->rank[MW_RESOLVE_METADATA_JSON] == MW_RESOLVE_NO_RANK ||
        text->type != MW_VALUE_STRING || !mw_slice_contains(text->bytes, MW_SLICE("lc_agent_name")))
        return MW_SLICE_NONE;
    json_t *metadata = load_object(text);
    const json_t *name = json_object_get(metadata, member);
    mw_slice agent = MW_SLICE_NONE;
    if (json_is_string(name))
        agent = mw_arena_copy(arena, mw_slice_trim(mw_slice_bytes(json_string_value(name),
                                                                  json_string_length(name))));
    json_decref(metadata);
    return agent;
}

/* A span that names no agent inherits its nearest ancestor's (the store's business), so that the
 * weak names are for agent spans alone. */
static mw_slice span_agent(const places *all, const mw_resolve_around *around,
                           const mw_span_row *row)
{
    const mw_value *named = pick(all, MW_RESOLVE_AGENT);
    mw_slice told =
        named ? text_of(named, around->arena) : agent_of_metadata(all->at[0], around->arena);
    if (told.len || row->operation_kind != MW_OP_AGENT || all->at[0]->step)
        return told;
    mw_slice group = agent_of_log_group(all, around);
    if (group.len)
        return group;
    return mw_slice_equal(row->service, MW_SLICE("unknown")) ? MW_SLICE_NONE : row->service;
}

/* A record inherits no agent, and a service that writes logs need not be one: its group at most. */
static mw_slice log_agent(const places *all, const mw_resolve_around *around)
{
    const mw_value *named = pick(all, MW_RESOLVE_AGENT);
    return named ? text_of(named, around->arena) : agent_of_log_group(all, around);
}

/* SpanKind: on these two server.address is the span's own address. */
enum { KIND_SERVER = 2, KIND_CONSUMER = 5 };

static mw_slice resolve_peer(const mw_resolve_place *span, mw_arena *arena, const mw_span_row *row)
{
    uint8_t rank = span->rank[MW_RESOLVE_PEER];
    if (rank == MW_RESOLVE_NO_RANK)
        return MW_SLICE_NONE;
    if (rank == MW_PEER_ADDRESS && (row->kind == KIND_SERVER || row->kind == KIND_CONSUMER))
        return MW_SLICE_NONE;
    return text_of(&span->value[MW_RESOLVE_PEER], arena);
}

/* ---- public -------------------------------------------------------------------------------- */

void mw_resolve_span(const mw_resolve_place *span, const mw_resolve_around *around,
                     mw_span_row *row)
{
    places all = places_of(span, around);
    mw_arena *arena = around->arena;
    row->operation_kind = span->kind;
    if (row->operation_kind == MW_OP_OTHER && span->gen_ai)
        row->operation_kind = (uint8_t)kind_of_name(row->name);
    row->session_id = mw_resolve_bounded(text_of(pick(&all, MW_RESOLVE_SESSION), arena));
    row->user = mw_resolve_bounded(text_of(pick(&all, MW_RESOLVE_USER), arena));
    row->model = mw_resolve_bounded(text_of(pick(&all, MW_RESOLVE_MODEL), arena));
    row->service = service_of(&all, arena);
    row->peer_service = mw_resolve_bounded(resolve_peer(span, arena, row));
    row->agent = mw_resolve_bounded(span_agent(&all, around, row));
    row->name = mw_resolve_bounded(row->name);
    row->status_message = mw_resolve_bounded(row->status_message);
    resolve_tokens(span, row);
}

/* The record's own word first, and its body is its own too. */
static mw_slice log_session(const places *all, const mw_value *body, mw_arena *arena)
{
    const mw_resolve_place *record = all->at[0];
    if (record->rank[MW_RESOLVE_SESSION] == MW_RESOLVE_NO_RANK && body->type == MW_VALUE_KVLIST) {
        mw_slice session = mw_resolve_body_session(body);
        if (session.len)
            return session;
    }
    return text_of(pick(all, MW_RESOLVE_SESSION), arena);
}

void mw_resolve_log(const mw_resolve_place *record, const mw_value *body,
                    const mw_resolve_around *around, mw_log_row *row)
{
    places all = places_of(record, around);
    row->service = service_of(&all, around->arena);
    row->session_id = mw_resolve_bounded(log_session(&all, body, around->arena));
    row->agent = mw_resolve_bounded(log_agent(&all, around));
    if (row->event_name.len == 0 && record->rank[MW_RESOLVE_EVENT] != MW_RESOLVE_NO_RANK)
        row->event_name = text_of(&record->value[MW_RESOLVE_EVENT], around->arena);
    row->event_name = mw_resolve_bounded(row->event_name);
}

void mw_resolve_point(const mw_resolve_place *point, const mw_resolve_around *around,
                      mw_point_row *row)
{
    places all = places_of(point, around);
    row->service = service_of(&all, around->arena);
    row->session_id = mw_resolve_bounded(text_of(pick(&all, MW_RESOLVE_SESSION), around->arena));
    row->name = mw_resolve_bounded(row->name);
    row->unit = mw_resolve_bounded(row->unit);
}
