/* Spans as the API shows them. Pool threads. */
#include "server/api/shape_span.h"
#include "proto/attribute_walk.h"
#include "server/api/otlp_value.h"

void mw_span_writer_init(mw_span_writer *writer, mw_json *json)
{
    writer->json = json;
    writer->trace_ids = false;
    writer->resource.valid = false;
    writer->scope.valid = false;
    mw_arena_init(&writer->scratch, MW_MEM_QUERY, MW_SHAPE_SCRATCH_MAX);
    mw_contexts_init(&writer->contexts);
}

void mw_span_writer_fini(mw_span_writer *writer)
{
    mw_arena_reset(&writer->scratch);
    mw_contexts_fini(&writer->contexts);
}

static const char *const kinds[] = {"UNSPECIFIED", "INTERNAL", "SERVER",
                                    "CLIENT",      "PRODUCER", "CONSUMER"};
static const char *const codes[] = {"UNSET", "OK", "ERROR"};
#define KIND_COUNT (sizeof kinds / sizeof kinds[0])
#define CODE_COUNT (sizeof codes / sizeof codes[0])

/* The status code is the row's while it is one that rows hold: of a Status sent in two parts
 * protobuf-c 1.4 loses the first one's numbers. */
static void write_kind_and_status(mw_json *json, const mw_span_row *row, const mw_otlp_span *span)
{
    mw_shape_enum(json, "kind", kinds, KIND_COUNT, (int64_t)span->kind);
    mw_shape_enum(json, "status", codes, CODE_COUNT,
                  row->status == 255 && span->status ? (int64_t)span->status->code : row->status);
    mw_json_kv_or_null(json, "status_message",
                       span->status ? mw_unpack_slice(span->status->message) : MW_SLICE_NONE);
}

static void write_tokens(mw_json *json, const char *key, int64_t tokens)
{
    if (tokens == MW_TOKENS_UNKNOWN)
        mw_json_kv_null(json, key);
    else
        mw_json_kv_i64(json, key, tokens);
}

/* The name comes from the message: the row's is cut for lists. */
static void write_columns(const mw_span_writer *writer, const mw_span_row *row, mw_slice name)
{
    mw_json *json = writer->json;
    if (writer->trace_ids) {
        mw_json_key(json, MW_SLICE("trace_id"));
        mw_json_hex(json, row->trace_id, sizeof row->trace_id);
    }
    mw_json_key(json, MW_SLICE("span_id"));
    mw_json_hex(json, row->span_id, sizeof row->span_id);
    mw_json_key(json, MW_SLICE("parent_span_id"));
    if (mw_id_is_zero(row->parent_span_id, sizeof row->parent_span_id))
        mw_json_null(json);
    else
        mw_json_hex(json, row->parent_span_id, sizeof row->parent_span_id);
    mw_json_kv(json, "name", name);
    mw_json_kv(json, "operation_kind",
               mw_slice_of(mw_operation_kind_name((mw_operation_kind)row->operation_kind)));
    mw_json_kv_or_null(json, "service", row->service);
    mw_json_kv_or_null(json, "agent", row->agent);
    mw_json_kv_or_null(json, "session_id", row->session_id);
    mw_json_kv_or_null(json, "model", row->model);
    write_tokens(json, "input_tokens", row->input_tokens);
    write_tokens(json, "output_tokens", row->output_tokens);
    mw_json_kv_time(json, "start", row->start_ns);
    mw_json_kv_time(json, "end", row->end_ns);
    mw_json_kv_double(json, "duration_ms", mw_duration_ms(row->start_ns, row->end_ns));
}

/* ---- facts ---------------------------------------------------------------------------------- */

/* The bytes of all items live as long as the answer, so that the same place is the same content. */
static const mw_facts_place *context_facts(mw_context_facts *known, mw_slice bytes, uint32_t field)
{
    if (known->valid && known->bytes.data == bytes.data && known->bytes.len == bytes.len)
        return &known->place;
    mw_facts_read(&known->place, bytes, field);
    known->bytes = bytes;
    known->valid = true;
    return &known->place;
}

static void write_facts(mw_span_writer *writer, const mw_trace_span *span)
{
    mw_json *json = writer->json;
    mw_span_facts facts;
    const mw_facts_place *resource =
        context_facts(&writer->resource, span->resource.bytes, MW_ATTRIBUTES_OF_RESOURCE);
    const mw_facts_place *scope =
        context_facts(&writer->scope, span->scope.bytes, MW_ATTRIBUTES_OF_SCOPE);
    mw_facts_of_span(span->bytes, resource, scope, &span->row, &writer->scratch, &facts);
    const char *class = mw_error_class_name(facts.error_class);
    mw_json_kv_or_null(json, "user", span->row.user);
    mw_json_kv_or_null(json, "agent_id", facts.agent_id);
    mw_json_kv_or_null(json, "endpoint", facts.endpoint);
    mw_json_kv_or_null(json, "conversation_id", facts.conversation_id);
    mw_json_kv_or_null(json, "request_model", facts.request_model);
    mw_json_kv_or_null(json, "response_model", facts.response_model);
    mw_json_kv_or_null(json, "provider", facts.provider);
    mw_json_kv_or_null(json, "tool", facts.tool);
    mw_json_kv_or_null(json, "tool_call_id", facts.tool_call_id);
    mw_json_kv_or_null(json, "target", facts.target);
    write_tokens(json, "cache_read_tokens", facts.cache_read_tokens);
    write_tokens(json, "cache_write_tokens", facts.cache_write_tokens);
    write_tokens(json, "reasoning_tokens", facts.reasoning_tokens);
    mw_json_kv_or_null(json, "error_class", class ? mw_slice_of(class) : MW_SLICE_NONE);
    mw_json_kv_or_null(json, "error_type", facts.error_type);
    mw_json_kv_or_null(json, "environment", facts.environment);
    mw_json_kv_or_null(json, "region", facts.region);
}

/* ---- members -------------------------------------------------------------------------------- */

static void write_events(mw_span_writer *writer, const mw_otlp_span *span)
{
    mw_json *json = writer->json;
    mw_json_key(json, MW_SLICE("events"));
    mw_json_array_begin(json);
    for (size_t i = 0; i < span->n_events; i++) {
        const mw_otlp_event *event = span->events[i];
        mw_json_object_begin(json);
        mw_json_kv_time(json, "time", event->time_unix_nano);
        mw_json_kv(json, "name", mw_unpack_slice(event->name));
        mw_json_key(json, MW_SLICE("attributes"));
        mw_json_attributes(json, event->attributes, event->n_attributes, &writer->scratch);
        mw_json_kv_u64(json, "dropped_attributes_count", event->dropped_attributes_count);
        mw_json_object_end(json);
    }
    mw_json_array_end(json);
}

static void write_links(mw_span_writer *writer, const mw_otlp_span *span)
{
    mw_json *json = writer->json;
    mw_json_key(json, MW_SLICE("links"));
    mw_json_array_begin(json);
    for (size_t i = 0; i < span->n_links; i++) {
        const mw_otlp_link *link = span->links[i];
        mw_json_object_begin(json);
        mw_shape_id(json, "trace_id", mw_unpack_slice(link->trace_id));
        mw_shape_id(json, "span_id", mw_unpack_slice(link->span_id));
        mw_json_kv_or_null(json, "trace_state", mw_unpack_slice(link->trace_state));
        mw_json_kv_u64(json, "flags", link->flags);
        mw_json_key(json, MW_SLICE("attributes"));
        mw_json_attributes(json, link->attributes, link->n_attributes, &writer->scratch);
        mw_json_kv_u64(json, "dropped_attributes_count", link->dropped_attributes_count);
        mw_json_object_end(json);
    }
    mw_json_array_end(json);
}

static void write_members(mw_span_writer *writer, const mw_trace_span *stored_span,
                          const mw_otlp_span *span)
{
    mw_json *json = writer->json;
    mw_json_object_begin(json);
    write_columns(writer, &stored_span->row, mw_unpack_slice(span->name));
    write_facts(writer, stored_span);
    write_kind_and_status(json, &stored_span->row, span);
    mw_json_kv_or_null(json, "trace_state", mw_unpack_slice(span->trace_state));
    mw_json_kv_u64(json, "flags", span->flags);
    mw_json_kv_u64(json, "dropped_attributes_count", span->dropped_attributes_count);
    mw_json_kv_u64(json, "dropped_events_count", span->dropped_events_count);
    mw_json_kv_u64(json, "dropped_links_count", span->dropped_links_count);
    mw_json_key(json, MW_SLICE("attributes"));
    mw_json_attributes(json, span->attributes, span->n_attributes, &writer->scratch);
    write_events(writer, span);
    write_links(writer, span);
    mw_json_kv_null(json, "oversized_bytes");
    mw_contexts_write(&writer->contexts, json);
    mw_json_object_end(json);
}

/* The columns alone. A kind or status that no row holds is unknown; texts may be cut. */
static void write_oversized(mw_span_writer *writer, const mw_trace_span *stored_span)
{
    mw_json *json = writer->json;
    const mw_span_row *row = &stored_span->row;
    mw_json_object_begin(json);
    write_columns(writer, row, row->name);
    write_facts(writer, stored_span);
    if (row->kind == UINT8_MAX)
        mw_json_kv_null(json, "kind");
    else
        mw_shape_enum(json, "kind", kinds, KIND_COUNT, row->kind);
    if (row->status == UINT8_MAX)
        mw_json_kv_null(json, "status");
    else
        mw_shape_enum(json, "status", codes, CODE_COUNT, row->status);
    mw_json_kv_or_null(json, "status_message", row->status_message);
    mw_json_kv_null(json, "trace_state");
    mw_json_kv_null(json, "flags");
    mw_json_kv_null(json, "dropped_attributes_count");
    mw_json_kv_null(json, "dropped_events_count");
    mw_json_kv_null(json, "dropped_links_count");
    mw_shape_empty_object(json, "attributes");
    mw_shape_empty_array(json, "events");
    mw_shape_empty_array(json, "links");
    mw_shape_oversized(json, "oversized_bytes", stored_span->oversized);
    mw_contexts_write(&writer->contexts, json);
    mw_json_object_end(json);
}

mw_err mw_span_write(mw_span_writer *writer, const mw_trace_span *stored_span)
{
    mw_otlp_span *span = NULL;
    mw_err err = mw_contexts_set(&writer->contexts, &stored_span->resource, &stored_span->scope,
                                 &writer->scratch);
    if (!err && !stored_span->oversized)
        err = mw_stored_error(mw_unpack_span(stored_span->bytes, &writer->scratch, &span));
    if (!err && stored_span->oversized)
        write_oversized(writer, stored_span);
    else if (!err)
        write_members(writer, stored_span, span);
    mw_arena_reset(&writer->scratch);
    return err ? err : writer->json->out->err;
}
