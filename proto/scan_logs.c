/* The validating pass over an ExportLogsServiceRequest: log records. Contract: scan.h.
 *
 * A record that is well formed is kept whatever it says: ids that name no span only mean that it
 * belongs to none. Runs on the thread of the network loop; owns nothing. The levels above are
 * scan_common.c's, bodies and attributes scan_value.c's.
 */
#include "proto/scan_int.h"

/* Number 4 was removed from LogRecord: unknown. */
#define LOG_KNOWN 0x1fee

typedef struct log_reading {
    mw_scan_log log;
    mw_slice trace_id, span_id;
    uint8_t body_parts; /* mw_value_parts */
    bool body_too_deep;
} log_reading;

static mw_err read_body(mw_scanner *scan, const mw_cursor *cursor, mw_slice message,
                        log_reading *reading)
{
    bool member, before = scan->too_deep;
    mw_err err = mw_scan_value(scan, message, &reading->log.body, &member);
    if (err == MW_OK && !mw_scan_add_part(&reading->body_parts, member))
        return mw_scan_broken(scan, cursor);
    reading->log.has_body = true;
    reading->body_too_deep |= scan->too_deep && !before;
    return err;
}

/* The fields with content of their own; apart from read_log to keep both short. */
static mw_err read_log_part(mw_scanner *scan, const mw_cursor *cursor, const mw_wire_field *field,
                            log_reading *reading)
{
    mw_scan_log *log = &reading->log;
    switch (field->tag) {
    case MW_WIRE_TAG(3, MW_WIRE_BYTES):
        log->severity_text = field->bytes;
        mw_scan_text(scan, field->bytes);
        return MW_OK;
    case MW_WIRE_TAG(5, MW_WIRE_BYTES): return read_body(scan, cursor, field->bytes, reading);
    case MW_WIRE_TAG(6, MW_WIRE_BYTES):
        log->attribute_count++;
        return mw_scan_attribute(scan, field->bytes, &scan->found);
    case MW_WIRE_TAG(12, MW_WIRE_BYTES):
        log->event_name = field->bytes;
        mw_scan_text(scan, field->bytes);
        return MW_OK;
    default: return mw_scan_other(scan, cursor, field->tag, LOG_KNOWN);
    }
}

static mw_err read_log(mw_scanner *scan, log_reading *reading)
{
    mw_scan_log *log = &reading->log;
    mw_err err = mw_scan_spend(scan);
    mw_cursor cursor = mw_cursor_open(log->bytes);
    while (err == MW_OK && mw_cursor_more(&cursor)) {
        mw_wire_field field;
        if (!mw_cursor_take(&cursor, &field))
            return mw_scan_broken(scan, &cursor);
        switch (field.tag) {
        case MW_WIRE_TAG(1, MW_WIRE_FIXED64): log->time_ns = field.number; break;
        case MW_WIRE_TAG(2, MW_WIRE_VARINT): log->severity_number = (uint32_t)field.number; break;
        case MW_WIRE_TAG(7, MW_WIRE_VARINT): break;
        case MW_WIRE_TAG(8, MW_WIRE_FIXED32): log->flags = (uint32_t)field.number; break;
        case MW_WIRE_TAG(9, MW_WIRE_BYTES): reading->trace_id = field.bytes; break;
        case MW_WIRE_TAG(10, MW_WIRE_BYTES): reading->span_id = field.bytes; break;
        case MW_WIRE_TAG(11, MW_WIRE_FIXED64): log->observed_ns = field.number; break;
        default: err = read_log_part(scan, &cursor, &field, reading);
        }
    }
    return err;
}

static mw_err scan_log(mw_scanner *scan, mw_slice message)
{
    log_reading reading = {.log = {.bytes = message, .place = mw_scan_here(scan)}};
    mw_scan_log *log = &reading.log;
    mw_scan_reset(scan);
    mw_err err = read_log(scan, &reading);
    if (err != MW_OK)
        return err;
    scan->result->items++;
    if (scan->too_deep || mw_scan_context_too_deep(scan)) {
        mw_scan_refuse(scan, MW_REFUSE_DEPTH, reading.body_too_deep ? "body" : "attributes");
        return MW_OK;
    }
    log->has_trace_id = mw_scan_take_id(reading.trace_id, MW_TRACE_ID_SIZE, log->trace_id);
    log->has_span_id = mw_scan_take_id(reading.span_id, MW_SPAN_ID_SIZE, log->span_id);
    log->bad_utf8 = scan->bad_utf8 || scan->resource_bad_utf8 || scan->scope_bad_utf8;
    scan->result->bad_utf8 += log->bad_utf8;
    log->found = scan->found.items;
    log->found_count = scan->found.count;
    return scan->sink->log(scan->sink->ctx, log);
}

mw_err mw_scan_logs(mw_slice body, const mw_keyset *keys, const mw_scan_sink *sink,
                    mw_scan_result *result)
{
    static const mw_scan_signal signal = {scan_log, "resource_logs", "scope_logs", "log_records"};
    MW_ASSERT(sink->log);
    return mw_scan_request(&signal, body, keys, sink, result);
}
