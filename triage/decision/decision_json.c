/* The record of a decision, to text and back. See decision_json.h. Any thread. */
#include "triage/decision/decision_json.h"

#include <jansson.h>

#include "lib/base/json_writer.h"

/* Eight candidates and suspects of a few names of at most 256 characters, every byte escaped to
 * six; a bound that a decision could exceed would stop all behind it. */
#define RECORD_MAX ((size_t)1 << 20)

#define MINUTE_NS (UINT64_C(60) * 1000000000)

static const char *const kinds[] = {"unknown", "usual", "errors", "slow"};

void mw_telemetry_see(const mw_topology *topology, const mw_standing *standing,
                      mw_telemetry_seen *out)
{
    const mw_suspect *newest[MW_SUSPECTS_MAX];
    if (!standing)
        return;
    out->known = standing->known;
    size_t count = mw_topology_newest(standing, newest);
    for (size_t i = 0; i < standing->suspect_count; i++) {
        const mw_suspect *s = &standing->suspects[i];
        mw_slice caller =
            s->caller == MW_MINUTES_ENTRY ? MW_SLICE("") : mw_topology_name(topology, s->caller);
        out->suspects[i] =
            (mw_seen_suspect){mw_topology_name(topology, s->node), caller, s->change};
        for (size_t k = 0; k < count; k++)
            out->newest[i] |= newest[k] == s;
    }
    out->suspect_count = standing->suspect_count;
}

/* ---- writing --------------------------------------------------------------------------------- */

static void write_parts(mw_json *json, const mw_parts *parts)
{
    mw_json_key(json, MW_SLICE("parts"));
    mw_json_object_begin(json);
    if (parts) {
        mw_json_kv_double(json, "component", parts->component);
        mw_json_kv_double(json, "cause", parts->cause);
        mw_json_kv_double(json, "time", parts->time);
        mw_json_kv_double(json, "region", parts->region);
        mw_json_kv_double(json, "labels", parts->labels);
    }
    mw_json_object_end(json);
}

static void write_candidate(mw_json *json, const mw_candidate *c, const mw_weighed *weighed)
{
    mw_json_object_begin(json);
    mw_json_kv(json, "investigation_id", c->investigation_id);
    mw_json_kv_double(json, "score", weighed->score);
    mw_json_kv_bool(json, "fits", weighed->fits);
    mw_json_kv(json, "relation", mw_slice_of(mw_relation_name(c->relation)));
    mw_json_kv_u64(json, "distance", c->distance);
    mw_json_kv_or_null(json, "service", c->service);
    mw_json_kv(json, "cause", mw_slice_of(mw_cause_name(c->cause)));
    mw_json_kv_or_null(json, "cause_service", c->cause_service);
    mw_json_kv_u64(json, "apart_ns", c->apart_ns);
    mw_json_kv(json, "region", mw_slice_of(mw_region_match_name(c->region)));
    mw_json_kv_bool(json, "shared_resource", c->shared_resource);
    mw_json_kv_bool(json, "same_title", c->same_title);
    mw_json_kv_u64(json, "members", c->members);
    write_parts(json, &weighed->parts);
    mw_json_object_end(json);
}

static void write_suspect(mw_json *json, const mw_seen_suspect *suspect, bool newest)
{
    const mw_change *change = &suspect->change;
    mw_json_object_begin(json);
    mw_json_kv(json, "service", suspect->service);
    mw_json_kv_or_null(json, "caller", suspect->caller);
    mw_json_kv(json, "change", mw_slice_of(kinds[change->state]));
    mw_json_kv_time(json, "onset", change->onset * MINUTE_NS);
    mw_json_kv_u64(json, "onset_minute", change->onset);
    mw_json_kv_bool(json, "newest", newest);
    mw_json_kv_u64(json, "calls", change->calls);
    mw_json_kv_u64(json, "errors", change->errors);
    mw_json_kv_double(json, "error_rate", change->error_rate);
    mw_json_kv_double(json, "usual_error_rate", change->usual_error_rate);
    mw_json_kv_double(json, "mean_ms", change->mean_ms);
    mw_json_kv_double(json, "usual_ms", change->usual_ms);
    mw_json_object_end(json);
}

static void write_seen(mw_json *json, const mw_telemetry_seen *seen)
{
    mw_json_key(json, MW_SLICE("telemetry"));
    mw_json_object_begin(json);
    mw_json_kv_bool(json, "read", seen->read);
    mw_json_kv_bool(json, "known", seen->known);
    mw_json_kv_u64(json, "as_of", seen->as_of);
    mw_json_kv_u64(json, "left_out", seen->left_out);
    mw_json_key(json, MW_SLICE("suspects"));
    mw_json_array_begin(json);
    for (size_t i = 0; i < seen->suspect_count; i++)
        write_suspect(json, &seen->suspects[i], seen->newest[i]);
    mw_json_array_end(json);
    mw_json_object_end(json);
}

static void write_input(mw_json *json, const mw_decision_record *record)
{
    const mw_decision_input *input = &record->input;
    mw_json_key(json, MW_SLICE("inputs"));
    mw_json_object_begin(json);
    mw_json_kv(json, "action", input->action);
    mw_json_kv(json, "incident_id", input->incident_id);
    mw_json_kv_bool(json, "incident_known", input->incident_known);
    mw_json_kv_bool(json, "incident_unresolved", input->incident_unresolved);
    mw_json_kv_or_null(json, "known_alarm_id", record->known_alarm_id);
    mw_json_kv_or_null(json, "known_investigation_id", input->known_investigation_id);
    mw_json_kv_or_null(json, "service", input->service);
    mw_json_kv_or_null(json, "suspect", input->suspect);
    mw_json_kv_bool(json, "is_suspect", input->is_suspect);
    mw_json_object_end(json);
}

mw_err mw_decision_write(const mw_decision_record *record, const mw_decision *decision,
                         mw_arena *arena, mw_slice *out)
{
    mw_buffer buffer;
    mw_json json;
    mw_buffer_init(&buffer, MW_MEM_STATE, RECORD_MAX);
    mw_json_init(&json, &buffer);
    mw_json_object_begin(&json);
    write_parts(&json, decision->scored ? &decision->weighed[0].parts : NULL);
    mw_json_key(&json, MW_SLICE("candidates"));
    mw_json_array_begin(&json);
    for (size_t i = 0; decision->scored && i < record->input.candidate_count; i++)
        write_candidate(&json, &record->input.candidates[i], &decision->weighed[i]);
    mw_json_array_end(&json);
    write_seen(&json, &record->seen);
    write_input(&json, record);
    mw_json_object_end(&json);
    mw_err err = buffer.err;
    if (err == MW_OK) {
        *out = mw_arena_copy(arena, mw_buffer_slice(&buffer));
        err = out->data ? MW_OK : MW_E_NOMEM;
    }
    mw_buffer_fini(&buffer);
    return err;
}

/* ---- reading --------------------------------------------------------------------------------- */

typedef struct reader {
    mw_arena *arena;
    mw_err err;
} reader;

static mw_slice read_text(reader *r, const json_t *object, const char *key)
{
    const json_t *value = json_object_get(object, key);
    if (!json_is_string(value))
        return MW_SLICE("");
    mw_slice copy = mw_arena_copy(
        r->arena, mw_slice_bytes(json_string_value(value), json_string_length(value)));
    if (!copy.data)
        r->err = MW_E_NOMEM;
    return copy;
}

/* Integers beyond 2^53 are strings in our JSON. */
static uint64_t read_u64(reader *r, const json_t *object, const char *key)
{
    const json_t *value = json_object_get(object, key);
    uint64_t number = 0;
    if (json_is_integer(value) && json_integer_value(value) >= 0)
        return (uint64_t)json_integer_value(value);
    if (!json_is_string(value) ||
        mw_slice_u64(mw_slice_bytes(json_string_value(value), json_string_length(value)),
                     &number) != MW_OK)
        r->err = MW_E_CORRUPT;
    return number;
}

static bool read_bool(const json_t *object, const char *key)
{
    return json_is_true(json_object_get(object, key));
}

/* The place of a word in a closed table. */
static unsigned read_word(reader *r, const json_t *object, const char *key, unsigned count,
                          const char *(*name)(unsigned))
{
    const char *text = json_string_value(json_object_get(object, key));
    for (unsigned i = 0; text && i < count; i++)
        if (strcmp(name(i), text) == 0)
            return i;
    r->err = MW_E_CORRUPT;
    return 0;
}

static const char *relation_word(unsigned i)
{
    return mw_relation_name((mw_relation)i);
}

static const char *cause_word(unsigned i)
{
    return mw_cause_name((mw_cause)i);
}

static const char *region_word(unsigned i)
{
    return mw_region_match_name((mw_region_match)i);
}

static const char *kind_word(unsigned i)
{
    return kinds[i];
}

static void read_candidate(reader *r, const json_t *from, mw_candidate *out)
{
    *out = (mw_candidate){
        .investigation_id = read_text(r, from, "investigation_id"),
        .apart_ns = read_u64(r, from, "apart_ns"),
        .relation =
            (mw_relation)read_word(r, from, "relation", MW_RELATION_RESOURCE + 1, relation_word),
        .distance = (uint32_t)read_u64(r, from, "distance"),
        .service = read_text(r, from, "service"),
        .cause = (mw_cause)read_word(r, from, "cause", MW_CAUSE_COUNT, cause_word),
        .cause_service = read_text(r, from, "cause_service"),
        .region = (mw_region_match)read_word(r, from, "region", MW_REGION_COUNT, region_word),
        .shared_resource = read_bool(from, "shared_resource"),
        .same_title = read_bool(from, "same_title"),
        .members = (uint32_t)read_u64(r, from, "members")};
    if (out->apart_ns > (uint64_t)MW_LOOK_BACK_NS)
        r->err = MW_E_CORRUPT;
}

static void read_suspects(reader *r, const json_t *list, mw_telemetry_seen *out)
{
    size_t count = json_array_size(list);
    out->suspect_count = count < MW_SUSPECTS_MAX ? count : MW_SUSPECTS_MAX;
    for (size_t i = 0; i < out->suspect_count; i++) {
        const json_t *from = json_array_get(list, i);
        mw_seen_suspect *suspect = &out->suspects[i];
        suspect->service = read_text(r, from, "service");
        suspect->caller = read_text(r, from, "caller");
        suspect->change = (mw_change){
            .state = (mw_signal_state)read_word(r, from, "change", 4, kind_word),
            .onset = (uint32_t)read_u64(r, from, "onset_minute"),
            .calls = read_u64(r, from, "calls"),
            .errors = read_u64(r, from, "errors"),
            .error_rate = json_number_value(json_object_get(from, "error_rate")),
            .usual_error_rate = json_number_value(json_object_get(from, "usual_error_rate")),
            .mean_ms = json_number_value(json_object_get(from, "mean_ms")),
            .usual_ms = json_number_value(json_object_get(from, "usual_ms"))};
        out->newest[i] = read_bool(from, "newest");
    }
}

static void read_record(reader *r, const json_t *root, mw_decision_record *out)
{
    const json_t *inputs = json_object_get(root, "inputs");
    const json_t *candidates = json_object_get(root, "candidates");
    const json_t *telemetry = json_object_get(root, "telemetry");
    out->input = (mw_decision_input){
        .action = read_text(r, inputs, "action"),
        .incident_id = read_text(r, inputs, "incident_id"),
        .incident_known = read_bool(inputs, "incident_known"),
        .incident_unresolved = read_bool(inputs, "incident_unresolved"),
        .known_investigation_id = read_text(r, inputs, "known_investigation_id"),
        .service = read_text(r, inputs, "service"),
        .suspect = read_text(r, inputs, "suspect"),
        .is_suspect = read_bool(inputs, "is_suspect"),
        .candidates = out->candidates,
        .candidate_count = json_array_size(candidates)};
    out->known_alarm_id = read_text(r, inputs, "known_alarm_id");
    if (!json_is_object(inputs) || out->input.candidate_count > MW_CANDIDATES_MAX) {
        r->err = MW_E_CORRUPT;
        return;
    }
    for (size_t i = 0; i < out->input.candidate_count; i++)
        read_candidate(r, json_array_get(candidates, i), &out->candidates[i]);
    if (!telemetry) /* of a version that looked at none */
        return;
    out->seen.read = read_bool(telemetry, "read");
    out->seen.known = read_bool(telemetry, "known");
    out->seen.as_of = read_u64(r, telemetry, "as_of");
    out->seen.left_out = read_u64(r, telemetry, "left_out");
    read_suspects(r, json_object_get(telemetry, "suspects"), &out->seen);
}

mw_err mw_decision_read(mw_slice text, mw_arena *arena, mw_decision_record *out)
{
    reader r = {.arena = arena};
    memset(out, 0, sizeof *out);
    json_t *root = json_loadb(text.data, text.len, JSON_ALLOW_NUL, NULL);
    if (!json_is_object(root))
        r.err = MW_E_CORRUPT;
    else
        read_record(&r, root, out);
    json_decref(root);
    return r.err;
}

mw_err mw_texts_read(mw_slice text, mw_arena *arena, mw_slice **out, size_t *count)
{
    reader r = {.arena = arena};
    *count = 0;
    *out = NULL;
    if (text.len <= 2) /* "[]" */
        return MW_OK;
    json_t *root = json_loadb(text.data, text.len, JSON_ALLOW_NUL, NULL);
    size_t size = json_array_size(root);
    *out = mw_arena_zalloc(arena, size + 1, sizeof **out);
    for (size_t i = 0; *out && i < size; i++) {
        const json_t *value = json_array_get(root, i);
        if (!json_is_string(value))
            continue;
        mw_slice copy = mw_arena_copy(
            arena, mw_slice_bytes(json_string_value(value), json_string_length(value)));
        if (!copy.data)
            r.err = MW_E_NOMEM;
        (*out)[(*count)++] = copy;
    }
    if (!*out)
        r.err = MW_E_NOMEM;
    json_decref(root);
    return r.err;
}
