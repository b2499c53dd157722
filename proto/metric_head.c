/* A metric without its points, as a message of its own. Contract: mw_metric_write_head in scan.h.
 *
 * For whoever keeps points apart from what they share: the head is to them what Resource and Scope
 * are, bytes that compare. Fields are written in the order of their numbers and zero-valued ones
 * are left out, so that equal heads are equal bytes. Unknown fields are dropped. Any thread; pure.
 */
#include "proto/scan.h"
#include "proto/wire.h"

#define METADATA_NUMBER 12

static const uint32_t data_numbers[MW_METRIC_KINDS] = {
    [MW_METRIC_GAUGE] = 5,     [MW_METRIC_SUM] = 7,
    [MW_METRIC_HISTOGRAM] = 9, [MW_METRIC_EXPONENTIAL_HISTOGRAM] = 10,
    [MW_METRIC_SUMMARY] = 11,
};

static void write_text(mw_buffer *out, uint32_t number, mw_slice text)
{
    if (text.len)
        mw_wire_append_bytes(out, number, text);
}

static void write_data(const mw_scan_metric *metric, mw_buffer *out)
{
    /* A tag and a varint of 5 bytes at most, a tag and a 1. */
    char content[8];
    size_t len = 0;
    if (metric->temporality)
        content[len++] = MW_WIRE_TAG(2, MW_WIRE_VARINT);
    for (uint32_t rest = metric->temporality; rest; rest >>= 7)
        content[len++] = (char)((rest & 0x7f) | (rest > 0x7f ? 0x80 : 0));
    if (metric->monotonic) {
        content[len++] = MW_WIRE_TAG(3, MW_WIRE_VARINT);
        content[len++] = 1;
    }
    MW_ASSERT(len <= sizeof content);
    mw_wire_append_bytes(out, data_numbers[metric->kind], (mw_slice){content, len});
}

static void write_metadata(const mw_scan_metric *metric, mw_buffer *out)
{
    const uint8_t *at = mw_wire_begin(metric->bytes), *end = mw_wire_end(metric->bytes);
    for (uint32_t left = metric->metadata_count; left > 0;) {
        mw_wire_field field;
        at = mw_wire_next(at, end, &field);
        MW_ASSERT(at); /* the scan has been here */
        if (field.tag != MW_WIRE_TAG(METADATA_NUMBER, MW_WIRE_BYTES))
            continue;
        mw_wire_append_bytes(out, METADATA_NUMBER, field.bytes);
        left--;
    }
}

void mw_metric_write_head(const mw_scan_metric *metric, mw_buffer *out)
{
    MW_ASSERT(metric->kind > MW_METRIC_NONE && metric->kind < MW_METRIC_KINDS);
    write_text(out, 1, metric->name);
    write_text(out, 2, metric->description);
    write_text(out, 3, metric->unit);
    write_data(metric, out);
    write_metadata(metric, out);
}
