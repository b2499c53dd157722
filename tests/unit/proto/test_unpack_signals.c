/* What the scan hands out of logs and metrics, protobuf-c unpacks by itself to the same values. */
#include "lib/base/buffer.h"
#include "proto/scan.h"
#include "proto/unpack.h"
#include "tests/check.h"
#include "tests/otlp_capture.h"

static mw_arena arena;
static int logs_compared, points_compared[MW_METRIC_KINDS];

static mw_err take_resource(void *ctx, const mw_scan_resource *resource)
{
    (void)ctx, (void)resource;
    return MW_OK;
}

static mw_err take_scope(void *ctx, const mw_scan_scope *scope)
{
    (void)ctx, (void)scope;
    return MW_OK;
}

static mw_err compare_log(void *ctx, const mw_scan_log *log)
{
    mw_otlp_log *unpacked;
    (void)ctx;
    assert_int_equal(mw_unpack_log(log->bytes, &arena, &unpacked), MW_OK);
    assert_int_equal(unpacked->time_unix_nano, log->time_ns);
    assert_int_equal(unpacked->observed_time_unix_nano, log->observed_ns);
    assert_int_equal(unpacked->severity_number, log->severity_number);
    assert_int_equal(unpacked->flags, log->flags);
    assert_int_equal(unpacked->n_attributes, log->attribute_count);
    assert_true(mw_slice_equal(mw_unpack_slice(unpacked->severity_text), log->severity_text));
    assert_true(mw_slice_equal(mw_unpack_slice(unpacked->event_name), log->event_name));
    assert_int_equal(unpacked->trace_id.len, log->has_trace_id ? 16 : 0);
    assert_int_equal(unpacked->body != NULL, log->has_body);
    logs_compared++;
    return MW_OK;
}

static mw_err compare_metric(void *ctx, const mw_scan_metric *metric)
{
    static const unsigned cases[MW_METRIC_KINDS] = {0, 5, 7, 9, 10, 11};
    mw_otlp_metric *unpacked;
    mw_buffer head;
    (void)ctx;
    mw_buffer_init(&head, MW_MEM_BASE, 1 << 20);
    mw_metric_write_head(metric, &head);
    assert_int_equal(mw_unpack_metric(mw_buffer_slice(&head), &arena, &unpacked), MW_OK);
    assert_true(mw_slice_equal(mw_unpack_slice(unpacked->name), metric->name));
    assert_true(mw_slice_equal(mw_unpack_slice(unpacked->unit), metric->unit));
    assert_true(mw_slice_equal(mw_unpack_slice(unpacked->description), metric->description));
    assert_int_equal(unpacked->data_case, cases[metric->kind]);
    assert_int_equal(unpacked->n_metadata, metric->metadata_count);
    if (metric->kind == MW_METRIC_SUM) {
        assert_int_equal(unpacked->sum->aggregation_temporality, metric->temporality);
        assert_int_equal(unpacked->sum->is_monotonic, metric->monotonic);
        assert_int_equal(unpacked->sum->n_data_points, 0);
    }
    mw_buffer_fini(&head);
    return MW_OK;
}

static void compare_number(const mw_scan_point *point)
{
    mw_otlp_number_point *unpacked;
    assert_int_equal(mw_unpack_number_point(point->bytes, &arena, &unpacked), MW_OK);
    assert_int_equal(unpacked->time_unix_nano, point->time_ns);
    assert_int_equal(unpacked->start_time_unix_nano, point->start_ns);
    assert_int_equal(unpacked->flags, point->flags);
    assert_int_equal(unpacked->n_attributes, point->attribute_count);
    assert_int_equal(unpacked->n_exemplars, point->exemplar_count);
    if (point->value.type == MW_VALUE_INT)
        assert_int_equal(unpacked->as_int, point->value.as.i);
    else
        assert_memory_equal(&unpacked->as_double, &point->value.as.d, sizeof(double));
}

static void compare_histogram(const mw_scan_point *point)
{
    mw_otlp_histogram_point *unpacked;
    assert_int_equal(mw_unpack_histogram_point(point->bytes, &arena, &unpacked), MW_OK);
    assert_int_equal(unpacked->time_unix_nano, point->time_ns);
    assert_int_equal(unpacked->count, point->count);
    assert_int_equal(unpacked->optional_sum_case != 0, point->has_sum);
    assert_int_equal(unpacked->optional_min_case != 0, point->has_min);
    assert_int_equal(unpacked->optional_max_case != 0, point->has_max);
    assert_true(!point->has_sum || unpacked->sum == point->sum);
    assert_int_equal(unpacked->n_exemplars, point->exemplar_count);
    /* Packed or not. */
    assert_int_equal(unpacked->n_bucket_counts, unpacked->n_explicit_bounds + 1);
}

static void compare_exponential(const mw_scan_point *point)
{
    mw_otlp_exponential_point *unpacked;
    assert_int_equal(mw_unpack_exponential_point(point->bytes, &arena, &unpacked), MW_OK);
    assert_int_equal(unpacked->time_unix_nano, point->time_ns);
    assert_int_equal(unpacked->count, point->count);
    assert_int_equal(unpacked->optional_sum_case != 0, point->has_sum);
    assert_int_equal(unpacked->n_attributes, point->attribute_count);
}

static void compare_summary(const mw_scan_point *point)
{
    mw_otlp_summary_point *unpacked;
    assert_int_equal(mw_unpack_summary_point(point->bytes, &arena, &unpacked), MW_OK);
    assert_int_equal(unpacked->time_unix_nano, point->time_ns);
    assert_int_equal(unpacked->count, point->count);
    assert_true(unpacked->sum == point->sum);
}

static mw_err compare_point(void *ctx, const mw_scan_point *point)
{
    static void (*const compare[MW_METRIC_KINDS])(const mw_scan_point *) = {
        NULL,           compare_number, compare_number, compare_histogram, compare_exponential,
        compare_summary};
    (void)ctx;
    compare[point->kind](point);
    points_compared[point->kind]++;
    return MW_OK;
}

static const mw_scan_sink sink = {.arena = &arena,
                                  .resource = take_resource,
                                  .scope = take_scope,
                                  .log = compare_log,
                                  .metric = compare_metric,
                                  .point = compare_point};

static void scan_logs(otlp_capture *capture)
{
    mw_scan_result result;
    assert_int_equal(mw_scan_logs(capture->message, NULL, &sink, &result), MW_OK);
    mw_arena_reset(&arena);
}

static void scan_metrics(otlp_capture *capture)
{
    mw_scan_result result;
    assert_int_equal(mw_scan_metrics(capture->message, NULL, &sink, &result), MW_OK);
    mw_arena_reset(&arena);
}

static void test_logs(void **state)
{
    (void)state;
    assert_true(capture_each("logs-", scan_logs) > 0);
    assert_true(logs_compared > 100);
}

static void test_metrics(void **state)
{
    (void)state;
    assert_true(capture_each("metrics-", scan_metrics) > 0);
    otlp_capture synthetic = capture_load("synthetic/metrics-unpacked_repeated-protobuf");
    scan_metrics(&synthetic);
    capture_free(&synthetic);
    for (int kind = MW_METRIC_GAUGE; kind < MW_METRIC_KINDS; kind++)
        assert_true(points_compared[kind] > 0);
}

static void test_bad_bytes(void **state)
{
    (void)state;
    mw_slice broken = MW_SLICE("\xff\xff\xff");
    mw_otlp_log *log;
    mw_otlp_metric *metric;
    mw_otlp_number_point *number;
    mw_otlp_histogram_point *histogram;
    mw_otlp_exponential_point *exponential;
    mw_otlp_summary_point *summary;
    assert_int_equal(mw_unpack_log(broken, &arena, &log), MW_E_SYNTAX);
    assert_int_equal(mw_unpack_metric(broken, &arena, &metric), MW_E_SYNTAX);
    assert_int_equal(mw_unpack_number_point(broken, &arena, &number), MW_E_SYNTAX);
    assert_int_equal(mw_unpack_histogram_point(broken, &arena, &histogram), MW_E_SYNTAX);
    assert_int_equal(mw_unpack_exponential_point(broken, &arena, &exponential), MW_E_SYNTAX);
    assert_int_equal(mw_unpack_summary_point(broken, &arena, &summary), MW_E_SYNTAX);
    mw_arena_reset(&arena);
}

int main(void)
{
    mw_arena_init(&arena, MW_MEM_QUERY, 16 << 20);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_logs),
        cmocka_unit_test(test_metrics),
        cmocka_unit_test(test_bad_bytes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
