/* The validating pass, what all signals share: levels, resources, scopes. Contract: scan.h.
 *
 * ResourceSpans, ResourceLogs and ResourceMetrics have the same numbers, and so have the three
 * Scope messages: one code reads them and calls the signal's reader for each item. Runs on the
 * thread of the network loop; owns nothing, the scanner is on the stack.
 *
 * Resource and scope have to reach the sink before their items although fields may come in any
 * order, so that each of these two levels is looked at twice: once for the head (skipping the
 * children by their lengths), once for the children.
 */
#include "proto/scan_int.h"

/* The known numbers of each message as bits: a known number with another wire type is an error,
 * an unknown number is skipped. */
enum {
    RESOURCE_KNOWN = 0x0e,
    SCOPE_KNOWN = 0x1e,
    ENTITY_KNOWN = 0x1e,
    LEVEL_KNOWN = 0x0e,
    REQUEST_KNOWN = 0x02
};

/* ---- refusals ------------------------------------------------------------------------------ */

static const char *const refusal_texts[MW_REFUSE_COUNT] = {
    [MW_REFUSE_NONE] = "not refused",
    [MW_REFUSE_TRACE_ID] = "trace_id not 16 bytes or all zero",
    [MW_REFUSE_SPAN_ID] = "span_id not 8 bytes or all zero",
    [MW_REFUSE_PARENT_ID] = "parent_span_id neither empty nor 8 bytes",
    [MW_REFUSE_DEPTH] = "attribute nested deeper than 64 levels",
    [MW_REFUSE_METRIC_NAME] = "metric without a name",
    [MW_REFUSE_METRIC_KIND] = "metric with data of two kinds",
    [MW_REFUSE_TEMPORALITY] = "aggregation_temporality unspecified",
    [MW_REFUSE_POINT_TIME] = "time_unix_nano 0",
    [MW_REFUSE_POINT_VALUE] = "data point without a value",
    [MW_REFUSE_BUCKETS] = "bucket_counts not one longer than explicit_bounds",
    [MW_REFUSE_BOUNDS] = "explicit_bounds not strictly increasing",
    [MW_REFUSE_BUCKET_SUM] = "count not the sum of the buckets",
    [MW_REFUSE_SCALE] = "exponential buckets beyond what a double holds",
    [MW_REFUSE_QUANTILE] = "quantile outside 0 to 1",
};

const char *mw_refusal_text(mw_refusal refusal)
{
    return refusal < MW_REFUSE_COUNT ? refusal_texts[refusal] : "unknown";
}

static const char *const kind_names[MW_METRIC_KINDS] = {
    [MW_METRIC_NONE] = "none",
    [MW_METRIC_GAUGE] = "gauge",
    [MW_METRIC_SUM] = "sum",
    [MW_METRIC_HISTOGRAM] = "histogram",
    [MW_METRIC_EXPONENTIAL_HISTOGRAM] = "exponential_histogram",
    [MW_METRIC_SUMMARY] = "summary",
};

const char *mw_metric_kind_name(mw_metric_kind kind)
{
    return kind < MW_METRIC_KINDS ? kind_names[kind] : "unknown";
}

static void write_first_path(const mw_scanner *scan, mw_refusal refusal, const char *field)
{
    const mw_scan_signal *signal = scan->signal;
    char *out = scan->result->first_path;
    size_t size = sizeof scan->result->first_path;
    if (refusal == MW_REFUSE_DEPTH && scan->resource_too_deep)
        snprintf(out, size, "%s[%u].resource.attributes", signal->resources, scan->resource_index);
    else if (refusal == MW_REFUSE_DEPTH && scan->scope_too_deep)
        snprintf(out, size, "%s[%u].%s[%u].scope.attributes", signal->resources,
                 scan->resource_index, signal->scopes, scan->scope_index);
    else
        snprintf(out, size, "%s[%u].%s[%u].%s[%u]%s%s", signal->resources, scan->resource_index,
                 signal->scopes, scan->scope_index, signal->items, scan->item_index,
                 *field ? "." : "", field);
}

void mw_scan_refuse(mw_scanner *scan, mw_refusal refusal, const char *field)
{
    mw_scan_result *result = scan->result;
    result->refused[refusal]++;
    if (result->refused_total++ == 0) {
        result->first_refusal = refusal;
        write_first_path(scan, refusal, field);
    }
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

/* ---- levels -------------------------------------------------------------------------------- */

#define CONTEXT_TAG MW_WIRE_TAG(1, MW_WIRE_BYTES)
#define CHILD_TAG MW_WIRE_TAG(2, MW_WIRE_BYTES)
#define SCHEMA_URL_TAG MW_WIRE_TAG(3, MW_WIRE_BYTES)

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

static mw_err read_head(mw_scanner *scan, mw_slice level, mw_scan_reader read_context,
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
static mw_err read_children(mw_scanner *scan, mw_slice level, mw_scan_reader read_child,
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

static mw_err scan_scope_level(mw_scanner *scan, mw_slice message)
{
    level_head head = {0};
    mw_scan_reset(scan);
    mw_err err = read_head(scan, message, scan_scope, &head);
    scan->scope_bad_utf8 = scan->bad_utf8;
    scan->scope_too_deep = scan->too_deep;
    if (err == MW_OK && !mw_scan_context_too_deep(scan)) {
        mw_scan_scope scope = {.bytes = head.bytes,
                               .schema_url = head.schema_url,
                               .found = scan->found.items,
                               .found_count = scan->found.count,
                               .bad_utf8 = scan->bad_utf8};
        err = scan->sink->scope(scan->sink->ctx, &scope);
    }
    if (err == MW_OK)
        err = read_children(scan, message, scan->signal->item, &scan->item_index);
    return err;
}

static mw_err scan_resource_level(mw_scanner *scan, mw_slice message)
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
        err = read_children(scan, message, scan_scope_level, &scan->scope_index);
    return err;
}

mw_err mw_scan_request(const mw_scan_signal *signal, mw_slice body, const mw_keyset *keys,
                       const mw_scan_sink *sink, mw_scan_result *result)
{
    mw_scanner scan = {.signal = signal, .keys = keys, .sink = sink, .result = result};
    mw_err err = MW_OK;
    MW_ASSERT(sink->resource && sink->scope);
    *result = (mw_scan_result){0};
    scan.body = mw_wire_begin(body);
    mw_cursor cursor = mw_cursor_open(body);
    while (err == MW_OK && mw_cursor_more(&cursor)) {
        mw_wire_field field;
        if (!mw_cursor_take(&cursor, &field))
            return mw_scan_broken(&scan, &cursor);
        if (field.tag == MW_WIRE_TAG(1, MW_WIRE_BYTES)) {
            err = scan_resource_level(&scan, field.bytes);
            scan.resource_index++;
        } else {
            err = mw_scan_other(&scan, &cursor, field.tag, REQUEST_KNOWN);
        }
    }
    return err;
}
