/* The validating pass over an ExportMetricsServiceRequest: metrics. Contract: scan.h.
 *
 * A metric has to reach the sink before its points although name and temporality may come behind
 * them, so that it is looked at twice, as the levels above are: once for the head, skipping the
 * points by their lengths, once for the points, which are scan_point.c's. Runs on the thread of the
 * network loop; owns nothing.
 *
 * The data of a metric is a oneof of messages. Two members of one kind are one message in two
 * parts; of two kinds the last is the metric's and what the other holds is refused by item, since
 * dropping it, as protobuf would, would lose points in silence.
 */
#include "proto/scan_int.h"

/* Numbers 4, 6 and 8 were removed from Metric: unknown. */
#define METRIC_KNOWN 0x1eae
#define DATA_POINTS_TAG MW_WIRE_TAG(1, MW_WIRE_BYTES)

/* The known numbers of Gauge, Sum and so on; number 1 is data_points in all of them. */
static const uint32_t data_known[MW_METRIC_KINDS] = {
    [MW_METRIC_GAUGE] = 0x02,     [MW_METRIC_SUM] = 0x0e,
    [MW_METRIC_HISTOGRAM] = 0x06, [MW_METRIC_EXPONENTIAL_HISTOGRAM] = 0x06,
    [MW_METRIC_SUMMARY] = 0x02,
};

/* The kind whose member of Metric has this tag; NONE for other fields. */
static mw_metric_kind kind_of(uint32_t tag)
{
    switch (tag) {
    case MW_WIRE_TAG(5, MW_WIRE_BYTES): return MW_METRIC_GAUGE;
    case MW_WIRE_TAG(7, MW_WIRE_BYTES): return MW_METRIC_SUM;
    case MW_WIRE_TAG(9, MW_WIRE_BYTES): return MW_METRIC_HISTOGRAM;
    case MW_WIRE_TAG(10, MW_WIRE_BYTES): return MW_METRIC_EXPONENTIAL_HISTOGRAM;
    case MW_WIRE_TAG(11, MW_WIRE_BYTES): return MW_METRIC_SUMMARY;
    default: return MW_METRIC_NONE;
    }
}

/* ---- the head ------------------------------------------------------------------------------ */

/* The first look at a Gauge, Sum and so on: what stands beside the points. */
static mw_err read_data_head(mw_scanner *scan, mw_slice data, mw_metric_kind kind,
                             mw_metric_head *head)
{
    mw_err err = MW_OK;
    mw_cursor cursor = mw_cursor_open(data);
    head->metric.kind = kind;
    while (err == MW_OK && mw_cursor_more(&cursor)) {
        mw_wire_field field;
        if (!mw_cursor_take(&cursor, &field))
            return mw_scan_broken(scan, &cursor);
        if (field.tag == DATA_POINTS_TAG)
            continue;
        bool known = data_known[kind] >> 2 & 1;
        if (known && field.tag == MW_WIRE_TAG(2, MW_WIRE_VARINT))
            head->temporality[kind] = (uint32_t)field.number;
        else if (kind == MW_METRIC_SUM && field.tag == MW_WIRE_TAG(3, MW_WIRE_VARINT))
            head->monotonic = field.number != 0;
        else
            err = mw_scan_other(scan, &cursor, field.tag, data_known[kind]);
    }
    return err;
}

static mw_err read_head_field(mw_scanner *scan, const mw_cursor *cursor, const mw_wire_field *field,
                              mw_metric_head *head)
{
    mw_scan_metric *metric = &head->metric;
    mw_slice *text = NULL;
    switch (field->tag) {
    case MW_WIRE_TAG(1, MW_WIRE_BYTES): text = &metric->name; break;
    case MW_WIRE_TAG(2, MW_WIRE_BYTES): text = &metric->description; break;
    case MW_WIRE_TAG(3, MW_WIRE_BYTES): text = &metric->unit; break;
    case MW_WIRE_TAG(12, MW_WIRE_BYTES):
        metric->metadata_count++;
        return mw_scan_attribute(scan, field->bytes, NULL);
    default: break;
    }
    if (text) {
        *text = field->bytes;
        mw_scan_text(scan, field->bytes);
        return MW_OK;
    }
    mw_metric_kind kind = kind_of(field->tag);
    if (kind == MW_METRIC_NONE)
        return mw_scan_other(scan, cursor, field->tag, METRIC_KNOWN);
    return read_data_head(scan, field->bytes, kind, head);
}

static mw_err read_metric_head(mw_scanner *scan, mw_slice message, mw_metric_head *head)
{
    mw_err err = mw_scan_spend(scan);
    mw_cursor cursor = mw_cursor_open(message);
    while (err == MW_OK && mw_cursor_more(&cursor)) {
        mw_wire_field field;
        if (!mw_cursor_take(&cursor, &field))
            return mw_scan_broken(scan, &cursor);
        err = read_head_field(scan, &cursor, &field, head);
    }
    head->too_deep = scan->too_deep;
    head->metric.temporality = head->temporality[head->metric.kind];
    head->metric.monotonic = head->monotonic && head->metric.kind == MW_METRIC_SUM;
    head->metric.bad_utf8 = scan->bad_utf8 || scan->resource_bad_utf8 || scan->scope_bad_utf8;
    return err;
}

/* ---- the points ---------------------------------------------------------------------------- */

/* The second look: the format of metric and data has passed the first. */
static mw_err read_data_points(mw_scanner *scan, mw_slice data, mw_metric_kind kind,
                               mw_metric_head *head)
{
    mw_err err = MW_OK;
    mw_cursor cursor = mw_cursor_open(data);
    while (err == MW_OK && mw_cursor_more(&cursor)) {
        mw_wire_field field;
        MW_ASSERT(mw_cursor_take(&cursor, &field));
        if (field.tag == DATA_POINTS_TAG)
            err = mw_scan_data_point(scan, head, kind, field.bytes);
    }
    return err;
}

/* False when all of its points are refused for the metric's sake. */
static bool metric_counts(const mw_scanner *scan, const mw_metric_head *head)
{
    const mw_scan_metric *metric = &head->metric;
    return metric->kind != MW_METRIC_NONE && metric->name.len > 0 &&
           !mw_metric_lacks_temporality(metric) && !head->too_deep &&
           !mw_scan_context_too_deep(scan);
}

static mw_err scan_metric(mw_scanner *scan, mw_slice message)
{
    mw_metric_head head = {.metric.bytes = message};
    mw_scan_reset(scan);
    mw_err err = read_metric_head(scan, message, &head);
    if (err == MW_OK && metric_counts(scan, &head))
        err = scan->sink->metric(scan->sink->ctx, &head.metric);
    mw_cursor cursor = mw_cursor_open(message);
    while (err == MW_OK && mw_cursor_more(&cursor)) {
        mw_wire_field field;
        MW_ASSERT(mw_cursor_take(&cursor, &field));
        mw_metric_kind kind = kind_of(field.tag);
        if (kind != MW_METRIC_NONE)
            err = read_data_points(scan, field.bytes, kind, &head);
    }
    return err;
}

mw_err mw_scan_metrics(mw_slice body, const mw_keyset *keys, const mw_scan_sink *sink,
                       mw_scan_result *result)
{
    static const mw_scan_signal signal = {scan_metric, "resource_metrics", "scope_metrics",
                                          "metrics"};
    MW_ASSERT(sink->metric && sink->point);
    return mw_scan_request(&signal, body, keys, sink, result);
}
