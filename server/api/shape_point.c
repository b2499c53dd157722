/* Series and points as the API shows them. Pool threads. */
#include "server/api/shape_point.h"
#include "proto/scan.h"
#include "server/api/otlp_value.h"

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

static mw_err write_point(mw_series_writer *writer, const mw_series_point *stored)
{
    any_point point;
    mw_json *json = writer->json;
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

static void write_head(mw_series_writer *writer, const mw_otlp_metric *head, mw_metric_kind kind)
{
    static const char *const temporalities[] = {"unspecified", "delta", "cumulative"};
    mw_json *json = writer->json;
    int64_t temporality = temporality_of(head);
    mw_json_kv(json, "kind", mw_slice_of(mw_metric_kind_name(kind)));
    mw_json_kv_or_null(json, "unit", mw_unpack_slice(head->unit));
    mw_json_kv_or_null(json, "description", mw_unpack_slice(head->description));
    if (temporality < 0)
        mw_json_kv_null(json, "temporality");
    else
        mw_shape_enum(json, "temporality", temporalities, 3, temporality);
    if (head->data_case == METRIC(SUM))
        mw_json_kv_bool(json, "monotonic", head->sum->is_monotonic != 0);
    else
        mw_json_kv_null(json, "monotonic");
    mw_json_key(json, MW_SLICE("metadata"));
    mw_json_attributes(json, head->metadata, head->n_metadata, &writer->scratch);
}

/* What all points of the series share. Attributes are part of its identity, so those of the newest
 * point are those of all; session and namespace may change, and are the newest's. */
static mw_err write_shared(mw_series_writer *writer, const mw_series *series)
{
    mw_json *json = writer->json;
    mw_otlp_metric *head = NULL;
    any_point newest;
    const mw_point_row *row = &series->points[0].row;
    mw_err err =
        mw_contexts_set(&writer->contexts, &series->resource, &series->scope, &writer->scratch);
    if (!err)
        err = mw_stored_error(mw_unpack_metric(series->head, &writer->scratch, &head));
    if (!err)
        err = unpack_point(&series->points[0], &writer->scratch, &newest);
    if (err)
        return err;
    mw_json_key(json, MW_SLICE("attributes"));
    mw_json_attributes(json, newest.attributes, newest.attribute_count, &writer->scratch);
    mw_json_kv_or_null(json, "service", row->service);
    mw_json_kv_or_null(json, "session_id", row->session_id);
    write_head(writer, head, newest.kind);
    mw_json_kv_or_null(json, "metric_namespace",
                       mw_origin_member(row->origin, MW_ORIGIN_METRIC_NAMESPACE));
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
