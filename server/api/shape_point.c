/* Series and points as the API shows them. Pool threads. */
#include <math.h>

#include "proto/scan.h"
#include "server/api/otlp_value.h"
#include "server/api/shape_point.h"

#define METRIC(name) OPENTELEMETRY__PROTO__METRICS__V1__METRIC__DATA_##name
#define NUMBER(name) OPENTELEMETRY__PROTO__METRICS__V1__NUMBER_DATA_POINT__VALUE_##name
#define EXEMPLAR(name) OPENTELEMETRY__PROTO__METRICS__V1__EXEMPLAR__VALUE_##name

/* Any data point, unpacked; kind says which. */
typedef struct any_point {
    mw_metric_kind kind;
    union {
        mw_otlp_number_point *number;
        mw_otlp_histogram_point *histogram;
        mw_otlp_exponential_point *exponential;
        mw_otlp_summary_point *summary;
    } as;
    uint32_t flags;
    mw_otlp_key_value **attributes;
    size_t attribute_count;
    mw_otlp_exemplar **exemplars; /* a summary has none */
    size_t exemplar_count;
} any_point;

/* ---- unpacking ----------------------------------------------------------------------------- */

/* Members that the four messages have in common, under the same names. */
#define TAKE_COMMON(out, message)                                                                  \
    ((out)->flags = (message)->flags, (out)->attributes = (message)->attributes,                   \
     (out)->attribute_count = (message)->n_attributes)
#define TAKE_EXEMPLARS(out, message)                                                               \
    ((out)->exemplars = (message)->exemplars, (out)->exemplar_count = (message)->n_exemplars)

static mw_err unpack_number(mw_slice bytes, mw_arena *scratch, any_point *out)
{
    mw_err err = mw_unpack_number_point(bytes, scratch, &out->as.number);
    if (!err) {
        TAKE_COMMON(out, out->as.number);
        TAKE_EXEMPLARS(out, out->as.number);
    }
    return err;
}

static mw_err unpack_histogram(mw_slice bytes, mw_arena *scratch, any_point *out)
{
    mw_err err = mw_unpack_histogram_point(bytes, scratch, &out->as.histogram);
    if (!err) {
        TAKE_COMMON(out, out->as.histogram);
        TAKE_EXEMPLARS(out, out->as.histogram);
    }
    return err;
}

static mw_err unpack_exponential(mw_slice bytes, mw_arena *scratch, any_point *out)
{
    mw_err err = mw_unpack_exponential_point(bytes, scratch, &out->as.exponential);
    if (!err) {
        TAKE_COMMON(out, out->as.exponential);
        TAKE_EXEMPLARS(out, out->as.exponential);
    }
    return err;
}

static mw_err unpack_summary(mw_slice bytes, mw_arena *scratch, any_point *out)
{
    mw_err err = mw_unpack_summary_point(bytes, scratch, &out->as.summary);
    if (!err)
        TAKE_COMMON(out, out->as.summary);
    return err;
}

static mw_err unpack_point(const mw_series_point *point, mw_arena *scratch, any_point *out)
{
    *out = (any_point){.kind = (mw_metric_kind)point->row.kind};
    switch (out->kind) {
    case MW_METRIC_GAUGE:
    case MW_METRIC_SUM: return mw_stored_error(unpack_number(point->bytes, scratch, out));
    case MW_METRIC_HISTOGRAM: return mw_stored_error(unpack_histogram(point->bytes, scratch, out));
    case MW_METRIC_EXPONENTIAL_HISTOGRAM:
        return mw_stored_error(unpack_exponential(point->bytes, scratch, out));
    case MW_METRIC_SUMMARY: return mw_stored_error(unpack_summary(point->bytes, scratch, out));
    default: return MW_E_CORRUPT;
    }
}

/* ---- points -------------------------------------------------------------------------------- */

/* A value that is null unless it was sent: "no sum" is not 0. */
static void write_double(mw_json *json, const char *key, bool present, double value)
{
    if (present)
        mw_json_kv_double(json, key, value);
    else
        mw_json_kv_null(json, key);
}

static void write_count(mw_json *json, bool present, uint64_t count)
{
    if (present)
        mw_json_kv_u64(json, "count", count);
    else
        mw_json_kv_null(json, "count");
}

static void write_counts(mw_json *json, const uint64_t *counts, size_t count)
{
    mw_json_key(json, MW_SLICE("bucket_counts"));
    mw_json_array_begin(json);
    for (size_t i = 0; i < count; i++)
        mw_json_u64(json, counts[i]);
    mw_json_array_end(json);
}

static void write_number(mw_json *json, const mw_otlp_number_point *point, bool has_value)
{
    if (has_value && point->value_case == NUMBER(AS_INT))
        mw_json_kv_i64(json, "value", point->as_int);
    else
        write_double(json, "value", has_value && point->value_case == NUMBER(AS_DOUBLE),
                     point->as_double);
}

static void write_histogram(mw_json *json, const mw_otlp_histogram_point *point, bool has_value)
{
    write_count(json, has_value, point->count);
    /* The case of each of these oneofs is the number of its one member, or 0. */
    write_double(json, "sum", has_value && point->optional_sum_case, point->sum);
    write_double(json, "min", has_value && point->optional_min_case, point->min);
    write_double(json, "max", has_value && point->optional_max_case, point->max);
    write_counts(json, point->bucket_counts, has_value ? point->n_bucket_counts : 0);
    mw_json_key(json, MW_SLICE("explicit_bounds"));
    mw_json_array_begin(json);
    for (size_t i = 0; has_value && i < point->n_explicit_bounds; i++)
        mw_json_double(json, point->explicit_bounds[i]);
    mw_json_array_end(json);
}

/* An absent side is one without buckets. */
static void write_buckets(mw_json *json, const char *key, const mw_otlp_buckets *buckets)
{
    mw_json_key(json, mw_slice_of(key));
    mw_json_object_begin(json);
    mw_json_kv_i64(json, "offset", buckets ? buckets->offset : 0);
    write_counts(json, buckets ? buckets->bucket_counts : NULL,
                 buckets ? buckets->n_bucket_counts : 0);
    mw_json_object_end(json);
}

static void write_exponential(mw_json *json, const mw_otlp_exponential_point *point, bool has_value)
{
    write_count(json, has_value, point->count);
    write_double(json, "sum", has_value && point->optional_sum_case, point->sum);
    write_double(json, "min", has_value && point->optional_min_case, point->min);
    write_double(json, "max", has_value && point->optional_max_case, point->max);
    if (has_value) {
        mw_json_kv_i64(json, "scale", point->scale);
        mw_json_kv_u64(json, "zero_count", point->zero_count);
    } else {
        mw_json_kv_null(json, "scale");
        mw_json_kv_null(json, "zero_count");
    }
    write_double(json, "zero_threshold", has_value, point->zero_threshold);
    write_buckets(json, "positive", has_value ? point->positive : NULL);
    write_buckets(json, "negative", has_value ? point->negative : NULL);
}

static void write_summary(mw_json *json, const mw_otlp_summary_point *point, bool has_value)
{
    write_count(json, has_value, point->count);
    write_double(json, "sum", has_value, point->sum);
    mw_json_key(json, MW_SLICE("quantiles"));
    mw_json_array_begin(json);
    for (size_t i = 0; has_value && i < point->n_quantile_values; i++) {
        mw_json_object_begin(json);
        mw_json_kv_double(json, "quantile", point->quantile_values[i]->quantile);
        mw_json_kv_double(json, "value", point->quantile_values[i]->value);
        mw_json_object_end(json);
    }
    mw_json_array_end(json);
}

static void write_exemplar(mw_json *json, const mw_otlp_exemplar *exemplar, mw_arena *scratch)
{
    mw_json_object_begin(json);
    mw_json_kv_time(json, "time", exemplar->time_unix_nano);
    if (exemplar->value_case == EXEMPLAR(AS_INT))
        mw_json_kv_i64(json, "value", exemplar->as_int);
    else
        write_double(json, "value", exemplar->value_case == EXEMPLAR(AS_DOUBLE),
                     exemplar->as_double);
    mw_shape_id(json, "trace_id", mw_unpack_slice(exemplar->trace_id));
    mw_shape_id(json, "span_id", mw_unpack_slice(exemplar->span_id));
    mw_json_key(json, MW_SLICE("attributes"));
    mw_json_attributes(json, exemplar->filtered_attributes, exemplar->n_filtered_attributes,
                       scratch);
    mw_json_object_end(json);
}

static void write_value(mw_json *json, const any_point *point)
{
    bool has_value = !(point->flags & MW_POINT_NO_RECORDED_VALUE);
    switch (point->kind) {
    case MW_METRIC_HISTOGRAM: write_histogram(json, point->as.histogram, has_value); break;
    case MW_METRIC_EXPONENTIAL_HISTOGRAM:
        write_exponential(json, point->as.exponential, has_value);
        break;
    case MW_METRIC_SUMMARY: write_summary(json, point->as.summary, has_value); break;
    default: write_number(json, point->as.number, has_value); break;
    }
}

static void write_oversized_histogram(mw_json *json, const mw_point_row *row, bool has_value)
{
    write_count(json, has_value, row->count);
    write_double(json, "sum", has_value && !isnan(row->value), row->value);
    if (row->kind == MW_METRIC_SUMMARY) {
        mw_shape_empty_array(json, "quantiles");
        return;
    }
    mw_json_kv_null(json, "min");
    mw_json_kv_null(json, "max");
    if (row->kind == MW_METRIC_HISTOGRAM) {
        mw_shape_empty_array(json, "bucket_counts");
        mw_shape_empty_array(json, "explicit_bounds");
        return;
    }
    mw_json_kv_null(json, "scale");
    mw_json_kv_null(json, "zero_count");
    mw_json_kv_null(json, "zero_threshold");
    write_buckets(json, "positive", NULL);
    write_buckets(json, "negative", NULL);
}

/* Integers beyond this are not what they were: the row's value is a double. */
#define EXACT_MAX 9007199254740992.0

/* The columns alone. */
static void write_oversized(mw_json *json, const mw_series_point *stored)
{
    const mw_point_row *row = &stored->row;
    bool has_value = !(row->flags & MW_POINT_NO_VALUE);
    bool is_int = (row->flags & MW_POINT_INT) && fabs(row->value) <= EXACT_MAX;
    mw_json_object_begin(json);
    mw_json_kv_time(json, "time", row->time_ns);
    mw_json_kv_time(json, "start", row->start_ns);
    mw_json_kv_null(json, "flags");
    if (row->kind != MW_METRIC_GAUGE && row->kind != MW_METRIC_SUM)
        write_oversized_histogram(json, row, has_value);
    else if (has_value && is_int)
        mw_json_kv_i64(json, "value", (int64_t)row->value);
    else
        write_double(json, "value", has_value, row->value);
    mw_shape_empty_array(json, "exemplars");
    mw_shape_oversized(json, "oversized_bytes", stored->oversized);
    mw_json_object_end(json);
}

static mw_err write_point(mw_series_writer *writer, const mw_series_point *stored)
{
    any_point point;
    mw_json *json = writer->json;
    if (stored->oversized) {
        write_oversized(json, stored);
        return MW_OK;
    }
    mw_err err = unpack_point(stored, &writer->scratch, &point);
    if (err)
        return err;
    mw_json_object_begin(json);
    mw_json_kv_time(json, "time", stored->row.time_ns);
    mw_json_kv_time(json, "start", stored->row.start_ns);
    mw_json_kv_u64(json, "flags", point.flags);
    write_value(json, &point);
    mw_json_key(json, MW_SLICE("exemplars"));
    mw_json_array_begin(json);
    for (size_t i = 0; i < point.exemplar_count; i++)
        write_exemplar(json, point.exemplars[i], &writer->scratch);
    mw_json_array_end(json);
    mw_json_kv_null(json, "oversized_bytes");
    mw_json_object_end(json);
    return MW_OK;
}

/* ---- series -------------------------------------------------------------------------------- */

void mw_series_writer_init(mw_series_writer *writer, mw_json *json)
{
    writer->json = json;
    mw_arena_init(&writer->scratch, MW_MEM_QUERY, MW_SHAPE_SCRATCH_MAX);
    mw_contexts_init(&writer->contexts);
}

void mw_series_writer_fini(mw_series_writer *writer)
{
    mw_arena_reset(&writer->scratch);
    mw_contexts_fini(&writer->contexts);
}

/* -1 for a kind that has none. */
static int64_t temporality_of(const mw_otlp_metric *head)
{
    switch (head->data_case) {
    case METRIC(SUM): return (int64_t)head->sum->aggregation_temporality;
    case METRIC(HISTOGRAM): return (int64_t)head->histogram->aggregation_temporality;
    case METRIC(EXPONENTIAL_HISTOGRAM):
        return (int64_t)head->exponential_histogram->aggregation_temporality;
    default: return -1;
    }
}

/* Of a head that was left out: 0 is that of kinds that have none, or was not given. */
static int64_t row_temporality(const mw_point_row *row)
{
    return row->temporality == 0 || row->temporality == UINT8_MAX ? -1 : row->temporality;
}

static void write_head(mw_series_writer *writer, const mw_series *series,
                       const mw_otlp_metric *head)
{
    static const char *const temporalities[] = {"unspecified", "delta", "cumulative"};
    mw_json *json = writer->json;
    const mw_point_row *row = &series->points[0].row;
    bool whole = series->head_oversized == 0;
    int64_t temporality = whole ? temporality_of(head) : row_temporality(row);
    mw_slice unit = whole ? mw_unpack_slice(head->unit) : row->unit;
    mw_json_kv(json, "kind", mw_slice_of(mw_metric_kind_name((mw_metric_kind)row->kind)));
    mw_json_kv_or_null(json, "unit", unit);
    mw_json_kv_or_null(json, "description", mw_unpack_slice(head->description));
    if (temporality < 0)
        mw_json_kv_null(json, "temporality");
    else
        mw_shape_enum(json, "temporality", temporalities, 3, temporality);
    if (!whole && row->kind == MW_METRIC_SUM)
        mw_json_kv_bool(json, "monotonic", (row->flags & MW_POINT_MONOTONIC) != 0);
    else if (head->data_case == METRIC(SUM))
        mw_json_kv_bool(json, "monotonic", head->sum->is_monotonic != 0);
    else
        mw_json_kv_null(json, "monotonic");
    mw_json_key(json, MW_SLICE("metadata"));
    mw_json_attributes(json, head->metadata, head->n_metadata, &writer->scratch);
}

/* Attributes are part of the series' identity, so those of one point are those of all; of points
 * that were left out, nobody's are known. */
static mw_err write_attributes(mw_series_writer *writer, const mw_series *series)
{
    any_point point = {.attributes = NULL};
    mw_err err = MW_OK;
    size_t at = 0;
    while (at + 1 < series->point_count && series->points[at].oversized)
        at++;
    if (!series->points[at].oversized)
        err = unpack_point(&series->points[at], &writer->scratch, &point);
    if (err)
        return err;
    mw_json_key(writer->json, MW_SLICE("attributes"));
    mw_json_attributes(writer->json, point.attributes, point.attribute_count, &writer->scratch);
    return MW_OK;
}

/* What all points of the series share; session and namespace may change, and are the newest's. */
static mw_err write_shared(mw_series_writer *writer, const mw_series *series)
{
    mw_json *json = writer->json;
    mw_otlp_metric *head = NULL;
    const mw_point_row *row = &series->points[0].row;
    mw_err err =
        mw_contexts_set(&writer->contexts, &series->resource, &series->scope, &writer->scratch);
    if (!err)
        err = mw_stored_error(mw_unpack_metric(series->head, &writer->scratch, &head));
    if (!err)
        err = write_attributes(writer, series);
    if (err)
        return err;
    mw_json_kv_or_null(json, "service", row->service);
    mw_json_kv_or_null(json, "session_id", row->session_id);
    write_head(writer, series, head);
    mw_json_kv_or_null(json, "metric_namespace",
                       mw_origin_member(row->origin, MW_ORIGIN_METRIC_NAMESPACE));
    mw_shape_oversized(json, "oversized_bytes", series->head_oversized);
    mw_contexts_write(&writer->contexts, json);
    return MW_OK;
}

mw_err mw_series_write(mw_series_writer *writer, const mw_series *series)
{
    mw_json *json = writer->json;
    MW_ASSERT(series->point_count > 0);
    mw_json_object_begin(json);
    mw_err err = write_shared(writer, series);
    mw_arena_reset(&writer->scratch);
    if (err)
        return err;
    mw_json_key(json, MW_SLICE("points"));
    mw_json_array_begin(json);
    for (size_t i = 0; i < series->point_count && !err; i++) {
        err = write_point(writer, &series->points[i]);
        mw_arena_reset(&writer->scratch);
    }
    if (err)
        return err;
    mw_json_array_end(json);
    mw_json_object_end(json);
    return json->out->err;
}
