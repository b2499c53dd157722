/* The validating pass over an ExportTraceServiceRequest: spans. Contract: scan.h.
 *
 * Hot path of the program: every byte of every request is looked at here once, on the thread of
 * the network loop, before anything else happens to it. Owns nothing; the state is on the stack.
 * Messages are read by one loop each over mw_wire_next (wire.h). The levels above the spans are
 * scan_common.c's; nested attribute values go to scan_value.c, which has the explicit stack.
 */
#include "proto/scan_int.h"

/* The known numbers of each message as bits: a known number with another wire type is an error,
 * an unknown number is skipped. */
enum { SPAN_KNOWN = 0x1fffe, EVENT_KNOWN = 0x1e, LINK_KNOWN = 0x7e, STATUS_KNOWN = 0x0c };

/* ---- events, links, status ----------------------------------------------------------------- */

static mw_err scan_event(mw_scanner *scan, mw_slice message, mw_scan_span *span)
{
    mw_err err = mw_scan_spend(scan);
    mw_slice name = MW_SLICE_NONE;
    mw_cursor cursor = mw_cursor_open(message);
    while (err == MW_OK && mw_cursor_more(&cursor)) {
        mw_wire_field field;
        if (!mw_cursor_take(&cursor, &field))
            return mw_scan_broken(scan, &cursor);
        switch (field.tag) {
        case MW_WIRE_TAG(1, MW_WIRE_FIXED64):
        case MW_WIRE_TAG(4, MW_WIRE_VARINT): break;
        case MW_WIRE_TAG(2, MW_WIRE_BYTES):
            name = field.bytes;
            mw_scan_text(scan, name);
            break;
        case MW_WIRE_TAG(3, MW_WIRE_BYTES): err = mw_scan_attribute(scan, field.bytes, NULL); break;
        default: err = mw_scan_other(scan, &cursor, field.tag, EVENT_KNOWN);
        }
    }
    span->event_count++;
    span->has_exception_event |= mw_slice_equal(name, MW_SLICE("exception"));
    return err;
}

static mw_err scan_link(mw_scanner *scan, mw_slice message)
{
    mw_err err = mw_scan_spend(scan);
    mw_cursor cursor = mw_cursor_open(message);
    while (err == MW_OK && mw_cursor_more(&cursor)) {
        mw_wire_field field;
        if (!mw_cursor_take(&cursor, &field))
            return mw_scan_broken(scan, &cursor);
        switch (field.tag) {
        case MW_WIRE_TAG(1, MW_WIRE_BYTES):
        case MW_WIRE_TAG(2, MW_WIRE_BYTES):
        case MW_WIRE_TAG(5, MW_WIRE_VARINT):
        case MW_WIRE_TAG(6, MW_WIRE_FIXED32): break;
        case MW_WIRE_TAG(3, MW_WIRE_BYTES): mw_scan_text(scan, field.bytes); break;
        case MW_WIRE_TAG(4, MW_WIRE_BYTES): err = mw_scan_attribute(scan, field.bytes, NULL); break;
        default: err = mw_scan_other(scan, &cursor, field.tag, LINK_KNOWN);
        }
    }
    return err;
}

/* Called once for each part of a split status: members that come later win, which is merging. */
static mw_err scan_status(mw_scanner *scan, mw_slice message, mw_scan_span *span)
{
    mw_err err = MW_OK;
    mw_cursor cursor = mw_cursor_open(message);
    while (err == MW_OK && mw_cursor_more(&cursor)) {
        mw_wire_field field;
        if (!mw_cursor_take(&cursor, &field))
            return mw_scan_broken(scan, &cursor);
        switch (field.tag) {
        case MW_WIRE_TAG(2, MW_WIRE_BYTES):
            span->status_message = field.bytes;
            mw_scan_text(scan, field.bytes);
            break;
        case MW_WIRE_TAG(3, MW_WIRE_VARINT): span->status_code = (uint32_t)field.number; break;
        default: err = mw_scan_other(scan, &cursor, field.tag, STATUS_KNOWN);
        }
    }
    return err;
}

/* ---- spans --------------------------------------------------------------------------------- */

typedef struct span_ids {
    mw_slice trace_id, span_id, parent_span_id;
} span_ids;

/* The fields below 16 but for ids and times; apart from read_span to keep both short. */
static mw_err read_span_part(mw_scanner *scan, const mw_cursor *cursor, const mw_wire_field *field,
                             mw_scan_span *span)
{
    switch (field->tag) {
    case MW_WIRE_TAG(3, MW_WIRE_BYTES): mw_scan_text(scan, field->bytes); return MW_OK;
    case MW_WIRE_TAG(10, MW_WIRE_VARINT):
    case MW_WIRE_TAG(12, MW_WIRE_VARINT):
    case MW_WIRE_TAG(14, MW_WIRE_VARINT):
    case MW_WIRE_TAG(16, MW_WIRE_FIXED32): return MW_OK;
    case MW_WIRE_TAG(11, MW_WIRE_BYTES): return scan_event(scan, field->bytes, span);
    case MW_WIRE_TAG(13, MW_WIRE_BYTES): span->link_count++; return scan_link(scan, field->bytes);
    case MW_WIRE_TAG(15, MW_WIRE_BYTES): return scan_status(scan, field->bytes, span);
    default: return mw_scan_other(scan, cursor, field->tag, SPAN_KNOWN);
    }
}

static mw_err read_span(mw_scanner *scan, mw_scan_span *span, span_ids *ids)
{
    mw_err err = mw_scan_spend(scan);
    mw_cursor cursor = mw_cursor_open(span->bytes);
    while (err == MW_OK && mw_cursor_more(&cursor)) {
        mw_wire_field field;
        if (!mw_cursor_take(&cursor, &field))
            return mw_scan_broken(scan, &cursor);
        switch (field.tag) {
        case MW_WIRE_TAG(1, MW_WIRE_BYTES): ids->trace_id = field.bytes; break;
        case MW_WIRE_TAG(2, MW_WIRE_BYTES): ids->span_id = field.bytes; break;
        case MW_WIRE_TAG(4, MW_WIRE_BYTES): ids->parent_span_id = field.bytes; break;
        case MW_WIRE_TAG(5, MW_WIRE_BYTES):
            span->name = field.bytes;
            mw_scan_text(scan, field.bytes);
            break;
        case MW_WIRE_TAG(6, MW_WIRE_VARINT): span->kind = (uint32_t)field.number; break;
        case MW_WIRE_TAG(7, MW_WIRE_FIXED64): span->start_ns = field.number; break;
        case MW_WIRE_TAG(8, MW_WIRE_FIXED64): span->end_ns = field.number; break;
        case MW_WIRE_TAG(9, MW_WIRE_BYTES):
            span->attribute_count++;
            err = mw_scan_attribute(scan, field.bytes, &scan->found);
            break;
        default: err = read_span_part(scan, &cursor, &field, span);
        }
    }
    return err;
}

static mw_refusal judge_span(const mw_scanner *scan, const span_ids *ids, mw_scan_span *span)
{
    if (!mw_scan_take_id(ids->trace_id, MW_TRACE_ID_SIZE, span->trace_id))
        return MW_REFUSE_TRACE_ID;
    if (!mw_scan_take_id(ids->span_id, MW_SPAN_ID_SIZE, span->span_id))
        return MW_REFUSE_SPAN_ID;
    if (ids->parent_span_id.len == MW_SPAN_ID_SIZE)
        memcpy(span->parent_span_id, ids->parent_span_id.data, MW_SPAN_ID_SIZE);
    else if (ids->parent_span_id.len != 0)
        return MW_REFUSE_PARENT_ID;
    if (scan->too_deep || mw_scan_context_too_deep(scan))
        return MW_REFUSE_DEPTH;
    return MW_REFUSE_NONE;
}

static const char *const refused_fields[MW_REFUSE_COUNT] = {
    [MW_REFUSE_TRACE_ID] = "trace_id",
    [MW_REFUSE_SPAN_ID] = "span_id",
    [MW_REFUSE_PARENT_ID] = "parent_span_id",
    [MW_REFUSE_DEPTH] = "attributes",
};

static mw_err scan_span(mw_scanner *scan, mw_slice message)
{
    mw_scan_span span = {.bytes = message, .place = mw_scan_here(scan)};
    span_ids ids = {0};
    mw_scan_reset(scan);
    mw_err err = read_span(scan, &span, &ids);
    if (err != MW_OK)
        return err;
    scan->result->items++;
    mw_refusal refusal = judge_span(scan, &ids, &span);
    if (refusal != MW_REFUSE_NONE) {
        mw_scan_refuse(scan, refusal, refused_fields[refusal]);
        return MW_OK;
    }
    span.bad_utf8 = scan->bad_utf8 || scan->resource_bad_utf8 || scan->scope_bad_utf8;
    scan->result->bad_utf8 += span.bad_utf8;
    span.found = scan->found.items;
    span.found_count = scan->found.count;
    return scan->sink->span(scan->sink->ctx, &span);
}

mw_err mw_scan_traces(mw_slice body, const mw_keyset *keys, const mw_scan_sink *sink,
                      mw_scan_result *result)
{
    static const mw_scan_signal signal = {scan_span, "resource_spans", "scope_spans", "spans"};
    MW_ASSERT(sink->span);
    return mw_scan_request(&signal, body, keys, sink, result);
}
