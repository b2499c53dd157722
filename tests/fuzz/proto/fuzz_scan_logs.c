/* Fuzzes the validating pass over log records. Oracle: what it accepts, protobuf-c unpacks.
 *
 * - Every record that is handed to the sink unpacks by itself, to the same times, severity, texts,
 *   flags, ids and counts; to the same body too when that is in one part (protobuf-c and the pass
 *   are known to differ about a scalar in two).
 * - A request that is accepted and holds nothing too deep unpacks as a whole, to as many records
 *   as the pass saw; no record of it was refused.
 * - Resources, scopes and memory: scan_oracle.h.
 */
#include "proto/otlp_logs_service.pb-c.h"
#include "proto/wire.h"
#include "tests/fuzz/proto/scan_oracle.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const ProtobufCMessageDescriptor *const request_descriptor =
    &opentelemetry__proto__collector__logs__v1__export_logs_service_request__descriptor;

typedef Opentelemetry__Proto__Logs__V1__LogRecord log_record;
typedef Opentelemetry__Proto__Collector__Logs__V1__ExportLogsServiceRequest logs_request;

static size_t body_parts(mw_slice record)
{
    size_t parts = 0;
    mw_wire_field field;
    const uint8_t *at = mw_wire_begin(record), *end = mw_wire_end(record);
    while (at < end) {
        at = mw_wire_next(at, end, &field);
        DEMAND(at);
        parts += field.tag == MW_WIRE_TAG(5, MW_WIRE_BYTES);
    }
    return parts;
}

static void check_id(ProtobufCBinaryData sent, size_t size, bool has, const uint8_t *id)
{
    bool valid = sent.len == size && !mw_id_is_zero(sent.data, size);
    DEMAND(has == valid);
    DEMAND(has ? memcmp(sent.data, id, size) == 0 : mw_id_is_zero(id, size));
}

static void check_body(const mw_value *body, const mw_otlp_value *sent)
{
    /* By case number, which is the member's: a table index is as good as empty. */
    static const mw_value_type types[] = {MW_VALUE_EMPTY,  MW_VALUE_STRING, MW_VALUE_BOOL,
                                          MW_VALUE_INT,    MW_VALUE_DOUBLE, MW_VALUE_ARRAY,
                                          MW_VALUE_KVLIST, MW_VALUE_BYTES,  MW_VALUE_EMPTY};
    DEMAND(body->type == types[sent->value_case]);
    if (body->type == MW_VALUE_STRING)
        DEMAND(mw_slice_equal(body->bytes, mw_unpack_slice(sent->string_value)));
    if (body->type == MW_VALUE_BYTES)
        DEMAND(mw_slice_equal(body->bytes, mw_unpack_slice(sent->bytes_value)));
    if (body->type == MW_VALUE_INT)
        DEMAND(body->as.i == sent->int_value);
    if (body->type == MW_VALUE_DOUBLE)
        DEMAND(memcmp(&body->as.d, &sent->double_value, sizeof body->as.d) == 0);
}

static mw_err on_log(void *ctx, const mw_scan_log *log)
{
    scan_oracle *oracle = ctx;
    ProtobufCMessage *message;
    check_found(log->found, log->found_count);
    DEMAND(mw_unpack_message(&opentelemetry__proto__logs__v1__log_record__descriptor, log->bytes,
                             scratch_of(oracle), &message) == MW_OK);
    const log_record *sent = (const log_record *)message;
    DEMAND(sent->time_unix_nano == log->time_ns);
    DEMAND(sent->observed_time_unix_nano == log->observed_ns);
    DEMAND((uint32_t)sent->severity_number == log->severity_number);
    DEMAND(sent->flags == log->flags);
    DEMAND(mw_slice_equal(mw_unpack_slice(sent->severity_text), log->severity_text));
    DEMAND(mw_slice_equal(mw_unpack_slice(sent->event_name), log->event_name));
    DEMAND(sent->n_attributes == log->attribute_count);
    check_id(sent->trace_id, MW_TRACE_ID_SIZE, log->has_trace_id, log->trace_id);
    check_id(sent->span_id, MW_SPAN_ID_SIZE, log->has_span_id, log->span_id);
    DEMAND((sent->body != NULL) == log->has_body);
    if (body_parts(log->bytes) == 1)
        check_body(&log->body, sent->body);
    oracle->kept++;
    return MW_OK;
}

static void compare_whole(const logs_request *request, const mw_scan_result *result)
{
    uint64_t count = 0;
    for (size_t r = 0; r < request->n_resource_logs; r++)
        for (size_t s = 0; s < request->resource_logs[r]->n_scope_logs; s++)
            count += request->resource_logs[r]->scope_logs[s]->n_log_records;
    DEMAND(count == result->items);
    DEMAND(result->refused_total == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    scan_oracle oracle = {.kept = 0};
    mw_slice body = {(const char *)data, size};
    mw_scan_sink sink = {.log = on_log};
    mw_scan_result result;
    mw_err err = oracle_scan(&oracle, mw_scan_logs, body, &sink, &result);
    DEMAND(result.refused_total == result.refused[MW_REFUSE_DEPTH]);
    if (err == MW_OK && !result.too_deep)
        compare_whole((const logs_request *)oracle_unpack(&oracle, body, request_descriptor),
                      &result);
    oracle_fini(&oracle);
    return 0;
}
