/* Log records as the API shows them. Pool threads. */
#include "server/api/shape_log.h"
#include "collector/facts.h"
#include "server/api/otlp_value.h"

void mw_record_writer_init(mw_record_writer *writer, mw_json *json)
{
    writer->json = json;
    mw_arena_init(&writer->scratch, MW_MEM_QUERY, MW_SHAPE_SCRATCH_MAX);
    mw_contexts_init(&writer->contexts);
}

void mw_record_writer_fini(mw_record_writer *writer)
{
    mw_arena_reset(&writer->scratch);
    mw_contexts_fini(&writer->contexts);
}

/* The row has an id only where it has the right length: else the record is of no span. */
static void write_id(mw_json *json, const char *key, const uint8_t *id, size_t size)
{
    mw_shape_id(json, key, mw_id_is_zero(id, size) ? MW_SLICE_NONE : mw_slice_bytes(id, size));
}

static void write_origin(mw_json *json, const mw_log_row *row)
{
    mw_json_kv_or_null(json, "service", row->service);
    mw_json_kv_or_null(json, "agent", row->agent);
    mw_json_kv_or_null(json, "session_id", row->session_id);
    write_id(json, "trace_id", row->trace_id, sizeof row->trace_id);
    write_id(json, "span_id", row->span_id, sizeof row->span_id);
    mw_json_kv_or_null(json, "log_group", mw_origin_member(row->origin, MW_ORIGIN_LOG_GROUP));
    mw_json_kv_or_null(json, "log_stream", mw_origin_member(row->origin, MW_ORIGIN_LOG_STREAM));
}

/* What the row has resolved. Severity 0 is OTLP's UNSPECIFIED and shown as the number it is. */
static void write_columns(mw_json *json, const mw_log_row *row, const mw_otlp_log *log)
{
    mw_json_kv_time(json, "time", row->time_ns);
    mw_json_kv_time(json, "observed_time", log->observed_time_unix_nano);
    mw_json_kv_i64(json, "severity", (int64_t)log->severity_number);
    mw_json_kv_or_null(json, "severity_text", mw_unpack_slice(log->severity_text));
    /* The row's stands in for the field: SDKs sent it as an attribute before it was one. */
    mw_slice event = mw_unpack_slice(log->event_name);
    mw_json_kv_or_null(json, "event_name", event.len ? event : row->event_name);
    write_origin(json, row);
}

/* Whose fault it was, as of spans. */
static void write_error(mw_record_writer *writer, const mw_log_record *record)
{
    mw_log_facts facts;
    mw_facts_of_log(record->bytes, &record->row, &writer->scratch, &facts);
    const char *class = mw_error_class_name(facts.error_class);
    mw_json_kv_or_null(writer->json, "error_class", class ? mw_slice_of(class) : MW_SLICE_NONE);
    mw_json_kv_or_null(writer->json, "error_type", facts.error_type);
}

static void write_members(mw_record_writer *writer, const mw_log_record *record,
                          const mw_otlp_log *log)
{
    mw_json *json = writer->json;
    mw_json_object_begin(json);
    write_columns(json, &record->row, log);
    write_error(writer, record);
    mw_json_key(json, MW_SLICE("body"));
    mw_json_any_value(json, log->body, &writer->scratch);
    mw_json_key(json, MW_SLICE("attributes"));
    mw_json_attributes(json, log->attributes, log->n_attributes, &writer->scratch);
    mw_json_kv_u64(json, "dropped_attributes_count", log->dropped_attributes_count);
    mw_json_kv_u64(json, "flags", log->flags);
    mw_json_kv_null(json, "oversized_bytes");
    mw_contexts_write(&writer->contexts, json);
    mw_json_object_end(json);
}

/* The columns alone. A severity that no row holds is unknown; an event's name may be cut. */
static void write_oversized(mw_record_writer *writer, const mw_log_row *row, size_t bytes)
{
    mw_json *json = writer->json;
    mw_json_object_begin(json);
    mw_json_kv_time(json, "time", row->time_ns);
    mw_json_kv_time(json, "observed_time", 0);
    if (row->severity == UINT8_MAX)
        mw_json_kv_null(json, "severity");
    else
        mw_json_kv_i64(json, "severity", row->severity);
    mw_json_kv_null(json, "severity_text");
    mw_json_kv_or_null(json, "event_name", row->event_name);
    write_origin(json, row);
    mw_json_kv_null(json, "error_class");
    mw_json_kv_null(json, "error_type");
    mw_json_kv_null(json, "body");
    mw_shape_empty_object(json, "attributes");
    mw_json_kv_null(json, "dropped_attributes_count");
    mw_json_kv_null(json, "flags");
    mw_shape_oversized(json, "oversized_bytes", bytes);
    mw_contexts_write(&writer->contexts, json);
    mw_json_object_end(json);
}

mw_err mw_record_write(mw_record_writer *writer, const mw_log_record *record)
{
    mw_otlp_log *log = NULL;
    mw_err err =
        mw_contexts_set(&writer->contexts, &record->resource, &record->scope, &writer->scratch);
    if (!err && !record->oversized)
        err = mw_stored_error(mw_unpack_log(record->bytes, &writer->scratch, &log));
    if (!err && record->oversized)
        write_oversized(writer, &record->row, record->oversized);
    else if (!err)
        write_members(writer, record, log);
    mw_arena_reset(&writer->scratch);
    return err ? err : writer->json->out->err;
}

/* Four numbers a level: WARN is 13, WARN4 is 16. */
bool mw_severity_parse(mw_slice text, uint8_t *out)
{
    static const char *const levels[] = {"TRACE", "DEBUG", "INFO", "WARN", "ERROR", "FATAL"};
    uint64_t number;
    if (mw_slice_u64(text, &number) == MW_OK) {
        *out = (uint8_t)number;
        return number <= 24;
    }
    size_t step = 0;
    if (text.len && text.data[text.len - 1] >= '2' && text.data[text.len - 1] <= '4')
        step = (size_t)(text.data[--text.len] - '1');
    for (size_t i = 0; i < sizeof levels / sizeof levels[0]; i++) {
        *out = (uint8_t)(4 * i + 1 + step);
        if (mw_slice_equal_nocase(text, mw_slice_of(levels[i])))
            return true;
    }
    return false;
}
