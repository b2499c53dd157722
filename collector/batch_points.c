/* Rows of data points, and the heads of their metrics. One of the three signals of batch_int.h;
 * runs on the network loop's thread.
 *
 * A metric enters its table with its first point that is kept. Its head goes to the batch's own
 * arena: it is put together from the metric and stands nowhere in the body.
 */
#include <math.h>

#include "collector/batch_int.h"
#include "collector/series.h"

mw_err mw_batch_take_metric(void *ctx, const mw_scan_metric *metric)
{
    mw_batch_reader *reader = ctx;
    reader->metric = *metric;
    reader->metric_index = MW_NO_INDEX;
    return MW_OK;
}

static mw_err place_head(mw_batch_reader *reader)
{
    mw_export_batch *batch = reader->batch;
    mw_buffer_clear(&reader->head);
    mw_metric_write_head(&reader->metric, &reader->head);
    if (reader->head.err != MW_OK)
        return MW_E_NOMEM;
    const mw_store_context head = {.bytes = mw_buffer_slice(&reader->head)};
    return mw_distinct_add(&batch->metrics, &head, reader->seed, &batch->heads,
                           &reader->metric_index);
}

static mw_err place_metric(mw_batch_reader *reader)
{
    const uint8_t *key = reader->input->keys->digest;
    if (reader->resource_series == 0)
        reader->resource_series = mw_series_of_context(&reader->resource, key);
    if (reader->scope_series == 0)
        reader->scope_series = mw_series_of_context(&reader->scope, key);
    reader->metric_series =
        mw_series_of_metric(&reader->metric, reader->resource_series, reader->scope_series, key);
    return place_head(reader);
}

/* A point's start is optional, and of old exporters 0. */
static void judge_times(mw_batch_reader *reader, const mw_scan_point *point)
{
    uint64_t start_ns = point->start_ns ? point->start_ns : point->time_ns;
    if (mw_times_fine(&reader->batch->odd, start_ns, point->time_ns))
        return;
    const mw_timed_item item = {reader->input->signal->levels, point->place,
                                mw_metric_kind_name(point->kind)};
    const mw_timed_field fields[] = {
        {"start_time_unix_nano", point->start_ns, 0, false},
        {"time_unix_nano", point->time_ns, point->start_ns, true},
    };
    mw_odd_times_judge(&reader->batch->odd, &item, fields, 2);
}

static double value_of(const mw_scan_point *point)
{
    if (point->no_value)
        return NAN;
    if (point->value.type == MW_VALUE_INT)
        return (double)point->value.as.i;
    if (point->value.type == MW_VALUE_DOUBLE)
        return point->value.as.d;
    return point->has_sum ? point->sum : NAN;
}

static uint8_t flags_of(const mw_scan_point *point, const mw_scan_metric *metric)
{
    bool is_int = !point->no_value && point->value.type == MW_VALUE_INT;
    return (uint8_t)((point->bad_utf8 ? MW_ITEM_BAD_UTF8 : 0) | (is_int ? MW_POINT_INT : 0) |
                     (metric->monotonic ? MW_POINT_MONOTONIC : 0) |
                     (point->no_value ? MW_POINT_NO_VALUE : 0));
}

static void fill_row(mw_point_row *row, const mw_scan_point *point, const mw_batch_reader *reader)
{
    const mw_scan_metric *metric = &reader->metric;
    const uint8_t *key = reader->input->keys->digest;
    *row = (mw_point_row){.series = mw_series_of_point(point, reader->metric_series, key),
                          .time_ns = point->time_ns,
                          .start_ns = point->start_ns,
                          .value = value_of(point),
                          .count = point->no_value ? 0 : point->count,
                          .kind = (uint8_t)point->kind,
                          .temporality = mw_byte_or_beyond(metric->temporality, 2),
                          .flags = flags_of(point, metric),
                          .name = metric->name,
                          .unit = metric->unit,
                          .origin = reader->input->origin};
}

mw_err mw_batch_take_point(void *ctx, const mw_scan_point *point)
{
    mw_batch_reader *reader = ctx;
    mw_store_item *item;
    void *row;
    mw_err err = MW_OK;
    if (reader->metric_index == MW_NO_INDEX)
        err = place_metric(reader);
    if (err == MW_OK)
        err = mw_batch_next(reader, point->bytes, &item, &row);
    if (err != MW_OK)
        return err;
    item->metric = reader->metric_index;
    mw_resolve_place place;
    mw_resolve_place_read(&place, point->found, point->found_count, false);
    fill_row(row, point, reader);
    mw_resolve_point(&place, &reader->around, row);
    const mw_point_row *done = row;
    mw_batch_understood(reader, &place, MW_UNDERSTOOD_SESSION, done->session_id.len > 0);
    judge_times(reader, point);
    return MW_OK;
}
