/* Where the conventions keep what was said. See conversation.h. Pure but for memory. */
#include <string.h>

#include "server/api/conversation.h"
#include "server/api/messages.h"
#include "server/api/otlp_value.h"
#include "server/api/shape_context.h"

/* Attributes that may be messages with an index: each may ask for another one. SDKs keep 128. */
#define INDEXED_MAX 2048u
#define TEXT_MAX ((size_t)64 << 20)

/* An attribute, or a run of them with an index in the key, and what it tells. */
typedef struct said_key {
    const char *key;
    mw_speaker speaker;
    const char *role, *content; /* behind "KEY.N"; NULL = the attribute itself */
} said_key;

/* The best first: what names its messages stands before what may be anything. */
static const said_key span_keys[] = {
    {"gen_ai.input.messages", MW_SPEAKER_USER, NULL, NULL},
    {"gen_ai.output.messages", MW_SPEAKER_ASSISTANT, NULL, NULL},
    {"llm.input_messages", MW_SPEAKER_USER, ".message.role", ".message.content"},
    {"llm.output_messages", MW_SPEAKER_ASSISTANT, ".message.role", ".message.content"},
    {"gen_ai.prompt", MW_SPEAKER_USER, ".role", ".content"},
    {"gen_ai.completion", MW_SPEAKER_ASSISTANT, ".role", ".content"},
    {"gen_ai.prompt", MW_SPEAKER_USER, NULL, NULL},
    {"gen_ai.completion", MW_SPEAKER_ASSISTANT, NULL, NULL},
    {"ai.prompt.messages", MW_SPEAKER_USER, NULL, NULL},
    {"ai.prompt", MW_SPEAKER_USER, NULL, NULL},
    {"ai.response.text", MW_SPEAKER_ASSISTANT, NULL, NULL},
    {"langfuse.trace.input", MW_SPEAKER_USER, NULL, NULL},
    {"langfuse.trace.output", MW_SPEAKER_ASSISTANT, NULL, NULL},
    {"langfuse.observation.input", MW_SPEAKER_USER, NULL, NULL},
    {"langfuse.observation.output", MW_SPEAKER_ASSISTANT, NULL, NULL},
    {"gcp.vertex.agent.llm_request", MW_SPEAKER_USER, NULL, NULL},
    {"gcp.vertex.agent.llm_response", MW_SPEAKER_ASSISTANT, NULL, NULL},
    {"input.value", MW_SPEAKER_USER, NULL, NULL},
    {"output.value", MW_SPEAKER_ASSISTANT, NULL, NULL},
    {"traceloop.entity.input", MW_SPEAKER_USER, NULL, NULL},
    {"traceloop.entity.output", MW_SPEAKER_ASSISTANT, NULL, NULL},
    {"crewai.crew.result", MW_SPEAKER_ASSISTANT, NULL, NULL},
    /* Claude Code */
    {"user_prompt", MW_SPEAKER_USER, NULL, NULL},
};

/* Events of spans and log records by name; the attribute that holds the text, of a record else the
 * body. */
typedef struct said_event {
    const char *name;
    mw_speaker speaker;
    const char *key;
} said_event;

static const said_event events[] = {
    {"gen_ai.client.inference.operation.details", MW_SPEAKER_USER, "gen_ai.input.messages"},
    {"gen_ai.client.inference.operation.details", MW_SPEAKER_ASSISTANT, "gen_ai.output.messages"},
    {"gen_ai.user.message", MW_SPEAKER_USER, "content"},
    {"gen_ai.choice", MW_SPEAKER_ASSISTANT, "message"},
    {"gen_ai.content.prompt", MW_SPEAKER_USER, "gen_ai.prompt"},
    {"gen_ai.content.completion", MW_SPEAKER_ASSISTANT, "gen_ai.completion"},
    {"claude_code.user_prompt", MW_SPEAKER_USER, "prompt"},
    {"user_prompt", MW_SPEAKER_USER, "prompt"},
    {"claude_code.assistant_response", MW_SPEAKER_ASSISTANT, "response"},
};
#define KEY_COUNT (sizeof span_keys / sizeof span_keys[0])
#define EVENT_COUNT (sizeof events / sizeof events[0])
/* Ranks of one place: keys, then events. */
#define RANKS ((unsigned)(KEY_COUNT + EVENT_COUNT + 1))

typedef mw_otlp_key_value *const *attributes;

void mw_said_init(mw_said *said, mw_arena *arena)
{
    *said =
        (mw_said){.asked = {.rank = UINT32_MAX}, .answered = {.rank = UINT32_MAX}, .arena = arena};
}

/* ---- values --------------------------------------------------------------------------------- */

static bool is_text(const mw_otlp_value *value)
{
    return value->value_case == OPENTELEMETRY__PROTO__COMMON__V1__ANY_VALUE__VALUE_STRING_VALUE;
}

/* Structured values as JSON, which is then read like JSON that came as text. */
static mw_err append_said(const mw_otlp_value *value, mw_speaker speaker, mw_buffer *out)
{
    mw_arena scratch;
    mw_buffer text;
    mw_json json;
    if (is_text(value)) {
        mw_message_text(mw_unpack_slice(value->string_value), speaker, out);
        return out->err;
    }
    mw_arena_init(&scratch, MW_MEM_QUERY, MW_SHAPE_SCRATCH_MAX);
    mw_buffer_init(&text, MW_MEM_QUERY, TEXT_MAX);
    mw_json_init(&json, &text);
    mw_json_any_value(&json, value, &scratch);
    if (!text.err)
        mw_message_text(mw_buffer_slice(&text), speaker, out);
    mw_err err = text.err ? text.err : out->err;
    mw_buffer_fini(&text);
    mw_arena_reset(&scratch);
    return err;
}

static mw_slice first_bytes(mw_slice text, size_t max)
{
    if (text.len <= max)
        return text;
    while (max > 0 && ((unsigned char)text.data[max] & 0xc0) == 0x80)
        max--;
    return mw_slice_first(text, max);
}

static bool is_better(const mw_said_text *kept, mw_speaker speaker, unsigned rank, uint64_t time_ns)
{
    if (rank != kept->rank)
        return rank < kept->rank;
    return speaker == MW_SPEAKER_USER ? time_ns < kept->time_ns : time_ns > kept->time_ns;
}

static mw_err offer(mw_said *said, mw_speaker speaker, unsigned rank, uint64_t time_ns,
                    const mw_otlp_value *value)
{
    mw_said_text *kept = speaker == MW_SPEAKER_USER ? &said->asked : &said->answered;
    mw_buffer text;
    if (!value || !is_better(kept, speaker, rank, time_ns))
        return MW_OK;
    mw_buffer_init(&text, MW_MEM_QUERY, TEXT_MAX);
    mw_err err = append_said(value, speaker, &text);
    mw_slice whole = mw_slice_trim(mw_buffer_slice(&text));
    mw_slice shown = first_bytes(whole, MW_SAID_MAX);
    if (!err && shown.len) {
        *kept =
            (mw_said_text){mw_arena_copy(said->arena, shown), shown.len < whole.len, rank, time_ns};
        err = kept->text.data ? MW_OK : MW_E_NOMEM;
    }
    mw_buffer_fini(&text);
    /* What is longer than any answer says nothing. */
    return err == MW_E_LIMIT ? MW_OK : err;
}

/* ---- attributes ----------------------------------------------------------------------------- */

/* The last of equal keys counts. */
static const mw_otlp_value *find(attributes items, size_t count, mw_slice key)
{
    while (count-- > 0)
        if (mw_slice_equal(mw_unpack_slice(items[count]->key), key))
            return items[count]->value;
    return NULL;
}

/* The number between "KEY." and `content`; false when the key is another. */
static bool index_of(mw_slice key, const said_key *wanted, uint64_t *index)
{
    mw_slice prefix = mw_slice_of(wanted->key), suffix = mw_slice_of(wanted->content);
    if (key.len < prefix.len + suffix.len + 2 || !mw_slice_starts(key, prefix) ||
        key.data[prefix.len] != '.' || !mw_slice_ends(key, suffix))
        return false;
    mw_slice number = mw_slice_from(key, prefix.len + 1);
    return mw_slice_u64(mw_slice_first(number, number.len - suffix.len), index) == MW_OK;
}

static bool has_role(attributes items, size_t count, const said_key *wanted, uint64_t index)
{
    char key[96];
    int len = snprintf(key, sizeof key, "%s.%llu%s", wanted->key, (unsigned long long)index,
                       wanted->role);
    const mw_otlp_value *role =
        len > 0 && (size_t)len < sizeof key ? find(items, count, mw_slice_of(key)) : NULL;
    /* Completions need not say whose they are. */
    if (!role)
        return wanted->speaker == MW_SPEAKER_ASSISTANT;
    return is_text(role) && mw_role_is(mw_unpack_slice(role->string_value), wanted->speaker);
}

/* The message of the highest index that is the speaker's. Each attribute is looked at once, and of
 * those whose index is higher than any before the role. */
static const mw_otlp_value *find_indexed(attributes items, size_t count, const said_key *wanted)
{
    const mw_otlp_value *found = NULL;
    uint64_t highest = 0, index;
    count = count < INDEXED_MAX ? count : INDEXED_MAX;
    for (size_t i = 0; i < count; i++) {
        if (!index_of(mw_unpack_slice(items[i]->key), wanted, &index) ||
            (found && index <= highest) || !has_role(items, count, wanted, index))
            continue;
        found = items[i]->value;
        highest = index;
    }
    return found;
}

static mw_err by_attributes(mw_said *said, unsigned place, uint64_t time_ns, attributes items,
                            size_t count)
{
    mw_err err = MW_OK;
    for (unsigned i = 0; !err && i < KEY_COUNT; i++) {
        const said_key *wanted = &span_keys[i];
        err = offer(said, wanted->speaker, place * RANKS + i, time_ns,
                    wanted->content ? find_indexed(items, count, wanted)
                                    : find(items, count, mw_slice_of(wanted->key)));
    }
    return err;
}

/* `body` may be NULL. */
static mw_err by_event(mw_said *said, unsigned place, uint64_t time_ns, mw_slice name,
                       attributes items, size_t count, const mw_otlp_value *body)
{
    mw_err err = MW_OK;
    for (unsigned i = 0; !err && i < EVENT_COUNT; i++) {
        if (!mw_slice_equal(name, mw_slice_of(events[i].name)))
            continue;
        const mw_otlp_value *value = find(items, count, mw_slice_of(events[i].key));
        err = offer(said, events[i].speaker, place * RANKS + (unsigned)KEY_COUNT + i, time_ns,
                    value ? value : body);
    }
    return err;
}

mw_err mw_said_by_span(mw_said *said, unsigned place, const mw_otlp_span *span)
{
    mw_err err = by_attributes(said, place, span->start_time_unix_nano, span->attributes,
                               span->n_attributes);
    for (size_t i = 0; !err && i < span->n_events; i++) {
        const mw_otlp_event *event = span->events[i];
        err = by_event(said, place, event->time_unix_nano, mw_unpack_slice(event->name),
                       event->attributes, event->n_attributes, NULL);
    }
    return err;
}

/* ---- log records ---------------------------------------------------------------------------- */

static const mw_otlp_value *member(const mw_otlp_value *value, mw_slice key)
{
    if (!value ||
        value->value_case != OPENTELEMETRY__PROTO__COMMON__V1__ANY_VALUE__VALUE_KVLIST_VALUE)
        return NULL;
    return find(value->kvlist_value->values, value->kvlist_value->n_values, key);
}

/* AWS's distribution moves large content off spans: {"input":{"messages":[...]},"output":{}}. */
static mw_err by_moved_content(mw_said *said, unsigned place, uint64_t time_ns,
                               const mw_otlp_value *body)
{
    unsigned rank = place * RANKS + RANKS - 1;
    mw_err err = offer(said, MW_SPEAKER_USER, rank, time_ns,
                       member(member(body, MW_SLICE("input")), MW_SLICE("messages")));
    if (!err)
        err = offer(said, MW_SPEAKER_ASSISTANT, rank, time_ns,
                    member(member(body, MW_SLICE("output")), MW_SLICE("messages")));
    return err;
}

mw_err mw_said_by_log(mw_said *said, unsigned place, mw_slice event_name, uint64_t time_ns,
                      const mw_otlp_log *log)
{
    mw_err err =
        by_event(said, place, time_ns, event_name, log->attributes, log->n_attributes, log->body);
    return err ? err : by_moved_content(said, place, time_ns, log->body);
}
