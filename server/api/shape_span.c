/* Spans as the API shows them. Pool threads. */
#include "server/api/shape_span.h"
#include "server/api/otlp_value.h"

/* Text of one resource or scope: attributes of at most a maximal request, escaped. */
#define CONTEXT_TEXT_MAX ((size_t)64 << 20)

static void context_init(mw_context_text *context)
{
    *context = (mw_context_text){.valid = false};
    mw_buffer_init(&context->json, MW_MEM_QUERY, CONTEXT_TEXT_MAX);
}

void mw_span_writer_init(mw_span_writer *writer, mw_json *json)
{
    writer->json = json;
    mw_arena_init(&writer->scratch, MW_MEM_QUERY, MW_SPAN_SCRATCH_MAX);
    context_init(&writer->resource);
    context_init(&writer->scope);
}

void mw_span_writer_fini(mw_span_writer *writer)
{
    mw_arena_reset(&writer->scratch);
    mw_buffer_fini(&writer->resource.json);
    mw_buffer_fini(&writer->scope.json);
}

/* Bytes that protobuf-c refuses passed every check when they came in: the store is damaged. */
static mw_err stored(mw_err err)
{
    return err == MW_E_SYNTAX ? MW_E_CORRUPT : err;
}

/* Equal content gives equal text, wherever it lies. */
static bool context_fits(const mw_context_text *context, const mw_store_context *wanted)
{
    return context->valid && mw_slice_equal(context->bytes, wanted->bytes) &&
           mw_slice_equal(context->schema_url, wanted->schema_url);
}

static void context_begin(mw_context_text *context, const mw_store_context *wanted, mw_json *json)
{
    mw_buffer_clear(&context->json);
    mw_json_init(json, &context->json);
    context->valid = false;
    context->bytes = wanted->bytes;
    context->schema_url = wanted->schema_url;
}

static mw_err render_resource(mw_span_writer *writer, const mw_store_context *wanted)
{
    mw_otlp_resource *resource = NULL;
    mw_json json;
    if (context_fits(&writer->resource, wanted))
        return MW_OK;
    mw_err err = mw_unpack_resource(wanted->bytes, &writer->scratch, &resource);
    if (err)
        return stored(err);
    context_begin(&writer->resource, wanted, &json);
    mw_json_attributes(&json, resource->attributes, resource->n_attributes, &writer->scratch);
    writer->resource.valid = writer->resource.json.err == MW_OK;
    return writer->resource.json.err;
}

static mw_err render_scope(mw_span_writer *writer, const mw_store_context *wanted)
{
    mw_otlp_scope *scope = NULL;
    mw_json json;
    if (context_fits(&writer->scope, wanted))
        return MW_OK;
    mw_err err = mw_unpack_scope(wanted->bytes, &writer->scratch, &scope);
    if (err)
        return stored(err);
    context_begin(&writer->scope, wanted, &json);
    mw_json_object_begin(&json);
    mw_json_kv_or_null(&json, "name", mw_unpack_slice(scope->name));
    mw_json_kv_or_null(&json, "version", mw_unpack_slice(scope->version));
    mw_json_key(&json, MW_SLICE("attributes"));
    mw_json_attributes(&json, scope->attributes, scope->n_attributes, &writer->scratch);
    mw_json_kv_u64(&json, "dropped_attributes_count", scope->dropped_attributes_count);
    mw_json_kv_or_null(&json, "schema_url", wanted->schema_url);
    mw_json_object_end(&json);
    writer->scope.valid = writer->scope.json.err == MW_OK;
    return writer->scope.json.err;
}

/* A number this version has no name for is shown as the number it was sent as. */
static void write_enum(mw_json *json, const char *key, const char *const *names, size_t count,
                       int64_t value)
{
    char number[24];
    if (value >= 0 && (uint64_t)value < count) {
        mw_json_kv(json, key, mw_slice_of(names[value]));
        return;
    }
    snprintf(number, sizeof number, "%lld", (long long)value);
    mw_json_kv(json, key, mw_slice_of(number));
}

static void write_kind_and_status(mw_json *json, const mw_otlp_span *span)
{
    static const char *const kinds[] = {"UNSPECIFIED", "INTERNAL", "SERVER",
                                        "CLIENT",      "PRODUCER", "CONSUMER"};
    static const char *const codes[] = {"UNSET", "OK", "ERROR"};
    write_enum(json, "kind", kinds, sizeof kinds / sizeof kinds[0], (int64_t)span->kind);
    write_enum(json, "status", codes, sizeof codes / sizeof codes[0],
               span->status ? (int64_t)span->status->code : 0);
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
static void write_columns(mw_json *json, const mw_span_row *row, mw_slice name)
{
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

/* Link ids are kept as sent, so their length is the sender's. */
static void write_link_id(mw_json *json, const char *key, ProtobufCBinaryData id)
{
    mw_json_key(json, mw_slice_of(key));
    if (id.len && id.len <= MW_TRACE_ID_SIZE)
        mw_json_hex(json, id.data, id.len);
    else
        mw_json_null(json);
}

static void write_links(mw_span_writer *writer, const mw_otlp_span *span)
{
    mw_json *json = writer->json;
    mw_json_key(json, MW_SLICE("links"));
    mw_json_array_begin(json);
    for (size_t i = 0; i < span->n_links; i++) {
        const mw_otlp_link *link = span->links[i];
        mw_json_object_begin(json);
        write_link_id(json, "trace_id", link->trace_id);
        write_link_id(json, "span_id", link->span_id);
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
    write_columns(json, &stored_span->row, mw_unpack_slice(span->name));
    write_kind_and_status(json, span);
    mw_json_kv_or_null(json, "trace_state", mw_unpack_slice(span->trace_state));
    mw_json_kv_u64(json, "flags", span->flags);
    mw_json_kv_u64(json, "dropped_attributes_count", span->dropped_attributes_count);
    mw_json_kv_u64(json, "dropped_events_count", span->dropped_events_count);
    mw_json_kv_u64(json, "dropped_links_count", span->dropped_links_count);
    mw_json_key(json, MW_SLICE("attributes"));
    mw_json_attributes(json, span->attributes, span->n_attributes, &writer->scratch);
    write_events(writer, span);
    write_links(writer, span);
    mw_json_key(json, MW_SLICE("resource"));
    mw_json_raw(json, mw_buffer_slice(&writer->resource.json));
    mw_json_kv_or_null(json, "resource_schema_url", stored_span->resource.schema_url);
    mw_json_key(json, MW_SLICE("scope"));
    mw_json_raw(json, mw_buffer_slice(&writer->scope.json));
    mw_json_object_end(json);
}

mw_err mw_span_write(mw_span_writer *writer, const mw_trace_span *stored_span)
{
    mw_otlp_span *span = NULL;
    mw_err err = render_resource(writer, &stored_span->resource);
    if (!err)
        err = render_scope(writer, &stored_span->scope);
    if (!err)
        err = stored(mw_unpack_span(stored_span->bytes, &writer->scratch, &span));
    if (!err)
        write_members(writer, stored_span, span);
    mw_arena_reset(&writer->scratch);
    return err ? err : writer->json->out->err;
}
