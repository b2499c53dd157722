/* The validating pass over an ExportTraceServiceRequest. Contract: scan.h.
 *
 * Hot path of the program: every byte of every request is looked at here once, on the thread of
 * the network loop, before anything else happens to it. Owns nothing; the state is on the stack.
 * Messages are read by one loop each over mw_wire_next (wire.h); nested attribute values go to
 * scan_value.c, which has the explicit stack.
 *
 * Resource and scope have to reach the sink before their items although fields may come in any
 * order, so that each of these two levels is looked at twice: once for the head (skipping the
 * children by their lengths), once for the children.
 */
#include "proto/scan.h"
#include "proto/scan_int.h"
#include "proto/wire.h"

/* The known numbers of each message as bits: a known number with another wire type is an error,
 * an unknown number is skipped. */
enum {
    SPAN_KNOWN = 0x1fffe,
    EVENT_KNOWN = 0x1e,
    LINK_KNOWN = 0x7e,
    STATUS_KNOWN = 0x0c,
    RESOURCE_KNOWN = 0x0e,
    SCOPE_KNOWN = 0x1e,
    ENTITY_KNOWN = 0x1e,
    LEVEL_KNOWN = 0x0e,
    REQUEST_KNOWN = 0x02
};

static const char *const refusal_texts[MW_REFUSE_COUNT] = {
    [MW_REFUSE_NONE] = "not refused",
    [MW_REFUSE_TRACE_ID] = "trace_id not 16 bytes or all zero",
    [MW_REFUSE_SPAN_ID] = "span_id not 8 bytes or all zero",
    [MW_REFUSE_PARENT_ID] = "parent_span_id neither empty nor 8 bytes",
    [MW_REFUSE_DEPTH] = "attribute nested deeper than 64 levels",
};

const char *mw_refusal_text(mw_refusal refusal)
{
    return refusal < MW_REFUSE_COUNT ? refusal_texts[refusal] : "unknown";
}

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

/* True when `id` is `size` bytes and not all zero; copied then. */
static bool take_id(mw_slice id, size_t size, uint8_t *out)
{
    if (id.len != size || mw_id_is_zero(id.data, size))
        return false;
    memcpy(out, id.data, size);
    return true;
}

static mw_refusal judge_span(const mw_scanner *scan, const span_ids *ids, mw_scan_span *span)
{
    if (!take_id(ids->trace_id, MW_TRACE_ID_SIZE, span->trace_id))
        return MW_REFUSE_TRACE_ID;
    if (!take_id(ids->span_id, MW_SPAN_ID_SIZE, span->span_id))
        return MW_REFUSE_SPAN_ID;
    if (ids->parent_span_id.len == MW_SPAN_ID_SIZE)
        memcpy(span->parent_span_id, ids->parent_span_id.data, MW_SPAN_ID_SIZE);
    else if (ids->parent_span_id.len != 0)
        return MW_REFUSE_PARENT_ID;
    if (scan->too_deep || scan->resource_too_deep || scan->scope_too_deep)
        return MW_REFUSE_DEPTH;
    return MW_REFUSE_NONE;
}

static void write_first_path(const mw_scanner *scan, mw_refusal refusal)
{
    static const char *const fields[MW_REFUSE_COUNT] = {
        [MW_REFUSE_NONE] = "",
        [MW_REFUSE_TRACE_ID] = "trace_id",
        [MW_REFUSE_SPAN_ID] = "span_id",
        [MW_REFUSE_PARENT_ID] = "parent_span_id",
        [MW_REFUSE_DEPTH] = "attributes",
    };
    char *out = scan->result->first_path;
    size_t size = sizeof scan->result->first_path;
    if (refusal == MW_REFUSE_DEPTH && scan->resource_too_deep)
        snprintf(out, size, "resource_spans[%u].resource.attributes", scan->resource_index);
    else if (refusal == MW_REFUSE_DEPTH && scan->scope_too_deep)
        snprintf(out, size, "resource_spans[%u].scope_spans[%u].scope.attributes",
                 scan->resource_index, scan->scope_index);
    else
        snprintf(out, size, "resource_spans[%u].scope_spans[%u].spans[%u].%s", scan->resource_index,
                 scan->scope_index, scan->span_index, fields[refusal]);
}

static void refuse_span(mw_scanner *scan, mw_refusal refusal)
{
    mw_scan_result *result = scan->result;
    result->refused[refusal]++;
    if (result->refused_total++ == 0) {
        result->first_refusal = refusal;
        write_first_path(scan, refusal);
    }
}

static mw_err scan_span(mw_scanner *scan, mw_slice message)
{
    mw_scan_span span = {.bytes = message};
    span_ids ids = {0};
    mw_scan_reset(scan);
    mw_err err = read_span(scan, &span, &ids);
    if (err != MW_OK)
        return err;
    scan->result->items++;
    mw_refusal refusal = judge_span(scan, &ids, &span);
    if (refusal != MW_REFUSE_NONE) {
        refuse_span(scan, refusal);
        return MW_OK;
    }
    span.bad_utf8 = scan->bad_utf8 || scan->resource_bad_utf8 || scan->scope_bad_utf8;
    scan->result->bad_utf8 += span.bad_utf8;
    span.found = scan->found.items;
    span.found_count = scan->found.count;
    return scan->sink->span(scan->sink->ctx, &span);
}

/* ---- resource and scope -------------------------------------------------------------------- */

static mw_err scan_entity_ref(mw_scanner *scan, mw_slice message)
{
    mw_err err = MW_OK;
    mw_cursor cursor = mw_cursor_open(message);
    while (err == MW_OK && mw_cursor_more(&cursor)) {
        mw_wire_field field;
        if (!mw_cursor_take(&cursor, &field))
            return mw_scan_broken(scan, &cursor);
        uint32_t number = mw_wire_number(field.tag);
        if (number > 4 || (field.tag & 7) != MW_WIRE_BYTES) {
            err = mw_scan_other(scan, &cursor, field.tag, ENTITY_KNOWN);
            continue;
        }
        mw_scan_text(scan, field.bytes);
        if (number >= 3)
            err = mw_scan_spend(scan); /* a repeated key name: one array element */
    }
    return err;
}

static mw_err scan_resource(mw_scanner *scan, mw_slice message)
{
    mw_err err = MW_OK;
    mw_cursor cursor = mw_cursor_open(message);
    while (err == MW_OK && mw_cursor_more(&cursor)) {
        mw_wire_field field;
        if (!mw_cursor_take(&cursor, &field))
            return mw_scan_broken(scan, &cursor);
        switch (field.tag) {
        case MW_WIRE_TAG(1, MW_WIRE_BYTES):
            err = mw_scan_attribute(scan, field.bytes, &scan->found);
            break;
        case MW_WIRE_TAG(2, MW_WIRE_VARINT): break;
        case MW_WIRE_TAG(3, MW_WIRE_BYTES):
            err = mw_scan_spend(scan);
            if (err == MW_OK)
                err = scan_entity_ref(scan, field.bytes);
            break;
        default: err = mw_scan_other(scan, &cursor, field.tag, RESOURCE_KNOWN);
        }
    }
    return err;
}

static mw_err scan_scope(mw_scanner *scan, mw_slice message)
{
    mw_err err = MW_OK;
    mw_cursor cursor = mw_cursor_open(message);
    while (err == MW_OK && mw_cursor_more(&cursor)) {
        mw_wire_field field;
        if (!mw_cursor_take(&cursor, &field))
            return mw_scan_broken(scan, &cursor);
        switch (field.tag) {
        case MW_WIRE_TAG(1, MW_WIRE_BYTES):
        case MW_WIRE_TAG(2, MW_WIRE_BYTES): mw_scan_text(scan, field.bytes); break;
        case MW_WIRE_TAG(3, MW_WIRE_BYTES):
            err = mw_scan_attribute(scan, field.bytes, &scan->found);
            break;
        case MW_WIRE_TAG(4, MW_WIRE_VARINT): break;
        default: err = mw_scan_other(scan, &cursor, field.tag, SCOPE_KNOWN);
        }
    }
    return err;
}

/* ---- levels: ResourceSpans and ScopeSpans have the same numbers ---------------------------- */

#define CONTEXT_TAG MW_WIRE_TAG(1, MW_WIRE_BYTES)
#define CHILD_TAG MW_WIRE_TAG(2, MW_WIRE_BYTES)
#define SCHEMA_URL_TAG MW_WIRE_TAG(3, MW_WIRE_BYTES)

typedef mw_err (*message_reader)(mw_scanner *scan, mw_slice message);

typedef struct level_head {
    mw_slice bytes; /* the Resource or InstrumentationScope */
    mw_slice schema_url;
} level_head;

/* A context in several parts: protobuf merges them, and the concatenation of messages is their
 * merger. No SDK does this, so it may cost another look and a copy. */
static mw_err merge_parts(mw_scanner *scan, mw_slice level, size_t total, mw_slice *out)
{
    if (!scan->sink->arena)
        return MW_E_UNSUPPORTED;
    char *joined = mw_arena_alloc(scan->sink->arena, total + 1);
    if (!joined)
        return MW_E_NOMEM;
    *out = (mw_slice){joined, total};
    mw_cursor cursor = mw_cursor_open(level);
    while (mw_cursor_more(&cursor)) {
        mw_wire_field field;
        MW_ASSERT(mw_cursor_take(&cursor, &field));
        if (field.tag != CONTEXT_TAG || field.bytes.len == 0)
            continue;
        memcpy(joined, field.bytes.data, field.bytes.len);
        joined += field.bytes.len;
    }
    return MW_OK;
}

static mw_err read_head(mw_scanner *scan, mw_slice level, message_reader read_context,
                        level_head *head)
{
    size_t parts = 0, total = 0;
    mw_err err = mw_scan_spend(scan);
    mw_cursor cursor = mw_cursor_open(level);
    while (err == MW_OK && mw_cursor_more(&cursor)) {
        mw_wire_field field;
        if (!mw_cursor_take(&cursor, &field))
            return mw_scan_broken(scan, &cursor);
        switch (field.tag) {
        case CONTEXT_TAG:
            head->bytes = field.bytes;
            parts++;
            total += field.bytes.len;
            err = read_context(scan, field.bytes);
            break;
        case CHILD_TAG: break;
        case SCHEMA_URL_TAG:
            head->schema_url = field.bytes;
            mw_scan_text(scan, field.bytes);
            break;
        default: err = mw_scan_other(scan, &cursor, field.tag, LEVEL_KNOWN);
        }
    }
    if (err == MW_OK && parts > 1)
        err = merge_parts(scan, level, total, &head->bytes);
    return err;
}

/* The second look: the level's format has passed the first. */
static mw_err read_children(mw_scanner *scan, mw_slice level, message_reader read_child,
                            uint32_t *index)
{
    mw_err err = MW_OK;
    mw_cursor cursor = mw_cursor_open(level);
    *index = 0;
    while (err == MW_OK && mw_cursor_more(&cursor)) {
        mw_wire_field field;
        MW_ASSERT(mw_cursor_take(&cursor, &field));
        if (field.tag != CHILD_TAG)
            continue;
        err = read_child(scan, field.bytes);
        ++*index;
    }
    return err;
}

static mw_err scan_scope_spans(mw_scanner *scan, mw_slice message)
{
    level_head head = {0};
    mw_scan_reset(scan);
    mw_err err = read_head(scan, message, scan_scope, &head);
    scan->scope_bad_utf8 = scan->bad_utf8;
    scan->scope_too_deep = scan->too_deep;
    if (err == MW_OK && !scan->scope_too_deep && !scan->resource_too_deep) {
        mw_scan_scope scope = {.bytes = head.bytes,
                               .schema_url = head.schema_url,
                               .found = scan->found.items,
                               .found_count = scan->found.count,
                               .bad_utf8 = scan->bad_utf8};
        err = scan->sink->scope(scan->sink->ctx, &scope);
    }
    if (err == MW_OK)
        err = read_children(scan, message, scan_span, &scan->span_index);
    return err;
}

static mw_err scan_resource_spans(mw_scanner *scan, mw_slice message)
{
    level_head head = {0};
    mw_scan_reset(scan);
    mw_err err = read_head(scan, message, scan_resource, &head);
    scan->resource_bad_utf8 = scan->bad_utf8;
    scan->resource_too_deep = scan->too_deep;
    if (err == MW_OK && !scan->resource_too_deep) {
        mw_scan_resource resource = {.bytes = head.bytes,
                                     .schema_url = head.schema_url,
                                     .found = scan->found.items,
                                     .found_count = scan->found.count,
                                     .bad_utf8 = scan->bad_utf8};
        err = scan->sink->resource(scan->sink->ctx, &resource);
    }
    if (err == MW_OK)
        err = read_children(scan, message, scan_scope_spans, &scan->scope_index);
    return err;
}

mw_err mw_scan_traces(mw_slice body, const mw_keyset *keys, const mw_scan_sink *sink,
                      mw_scan_result *result)
{
    mw_scanner scan = {.keys = keys, .sink = sink, .result = result};
    mw_err err = MW_OK;
    *result = (mw_scan_result){0};
    scan.body = mw_wire_begin(body);
    mw_cursor cursor = mw_cursor_open(body);
    while (err == MW_OK && mw_cursor_more(&cursor)) {
        mw_wire_field field;
        if (!mw_cursor_take(&cursor, &field))
            return mw_scan_broken(&scan, &cursor);
        if (field.tag == MW_WIRE_TAG(1, MW_WIRE_BYTES)) {
            err = scan_resource_spans(&scan, field.bytes);
            scan.resource_index++;
        } else {
            err = mw_scan_other(&scan, &cursor, field.tag, REQUEST_KNOWN);
        }
    }
    return err;
}
