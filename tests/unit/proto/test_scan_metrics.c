/* The validating pass over metrics: real captures in both encodings, what a metric says about its
 * points, protobuf's freedoms. The rules about single points are in test_scan_points.c. */
#include "proto/json.h"
#include "tests/otlp_capture.h"
#include "tests/unit/proto/metric_seen.h"

static const mw_metric_kind kinds[] = {MW_METRIC_GAUGE, MW_METRIC_SUM, MW_METRIC_HISTOGRAM,
                                       MW_METRIC_EXPONENTIAL_HISTOGRAM, MW_METRIC_SUMMARY};
#define KIND_COUNT (sizeof kinds / sizeof kinds[0])

/* ---- captures ------------------------------------------------------------------------------- */

/* NULL when the key is not there. */
static const char *text_or_null(json_t *object, const char *key)
{
    return json_string_value(json_object_get(object, key));
}

static uint64_t u64_of(json_t *object, const char *key)
{
    const char *text = text_or_null(object, key);
    return text ? strtoull(text, NULL, 10) : 0;
}

static void check_double(bool has, double value, json_t *expected, const char *key)
{
    const char *text = text_or_null(expected, key);
    assert_int_equal(has, text != NULL);
    if (text)
        assert_true(value == strtod(text, NULL));
}

static void check_point(const mw_scan_point *point, json_t *expected)
{
    const char *as_int = text_or_null(expected, "as_int"),
               *as_double = text_or_null(expected, "as_double");
    assert_int_equal(point->time_ns, u64_of(expected, "time"));
    assert_int_equal(point->start_ns, u64_of(expected, "start"));
    assert_int_equal(point->flags, count_of(expected, "flags"));
    assert_int_equal(point->no_value, point->flags & 1);
    assert_int_equal(point->attribute_count,
                     json_array_size(json_object_get(expected, "attributes")));
    assert_int_equal(point->exemplar_count,
                     json_array_size(json_object_get(expected, "exemplars")));
    assert_int_equal(point->value.type, as_int      ? MW_VALUE_INT
                                        : as_double ? MW_VALUE_DOUBLE
                                                    : MW_VALUE_EMPTY);
    if (as_int)
        assert_true(point->value.as.i == strtoll(as_int, NULL, 10));
    if (as_double)
        assert_true(point->value.as.d == strtod(as_double, NULL));
    assert_false(point->bad_utf8);
    /* The expectation does not list what a summary says. */
    if (point->kind == MW_METRIC_SUMMARY)
        return;
    assert_int_equal(point->count, u64_of(expected, "count"));
    check_double(point->has_sum, point->sum, expected, "sum");
    check_double(point->has_min, point->min, expected, "min");
    check_double(point->has_max, point->max, expected, "max");
}

/* Checks the metric at `index` and its points from `first` on; returns how many it has. */
static int check_metric(int index, int first, json_t *expected)
{
    const mw_scan_metric *metric = &the_seen->metric[index];
    assert_slice(metric->name, text_or_null(expected, "name"));
    assert_slice(metric->unit, text_or_null(expected, "unit"));
    assert_slice(metric->description, text_or_null(expected, "description"));
    assert_string_equal(mw_metric_kind_name(metric->kind), text_or_null(expected, "type"));
    assert_int_equal(metric->temporality, count_of(expected, "temporality"));
    assert_int_equal(metric->monotonic, json_is_true(json_object_get(expected, "monotonic")));
    assert_true(metric->bytes.len > 0);
    assert_false(metric->bad_utf8);
    json_t *points = json_object_get(expected, "points");
    int count = (int)json_array_size(points);
    for (int i = 0; i < count; i++) {
        assert_int_equal(the_seen->metric_of[first + i], index);
        assert_int_equal(the_seen->point[first + i].kind, metric->kind);
        check_point(&the_seen->point[first + i], json_array_get(points, (size_t)i));
    }
    return count;
}

static void check_wire(mw_slice message, json_t *expected, const char *name)
{
    json_t *list = json_object_get(expected, "metric_list");
    mw_err err = scan(message);
    if (err != MW_OK)
        fail_msg("%s: %s at %zu", name, mw_err_text(err), the_seen->result.error_offset);
    if (the_seen->result.refused_total)
        fail_msg("%s: %s", name, the_seen->result.first_path);
    assert_int_equal(the_seen->resources, count_of(expected, "resource_metrics"));
    assert_int_equal(the_seen->scopes, count_of(expected, "scope_metrics"));
    assert_int_equal(the_seen->metrics, count_of(expected, "metrics"));
    assert_int_equal(the_seen->points, count_of(expected, "data_points"));
    assert_int_equal(the_seen->result.items, count_of(expected, "data_points"));
    assert_int_equal(the_seen->result.bad_utf8, 0);
    assert_true(the_seen->service.len > 0);
    assert_int_equal(json_array_size(list), the_seen->metrics);
    int first = 0;
    for (int i = 0; i < the_seen->metrics; i++)
        first += check_metric(i, first, json_array_get(list, (size_t)i));
    assert_int_equal(first, the_seen->points);
}

static void check_capture(otlp_capture *capture)
{
    check_wire(capture->message, json_object_get(capture->about, "expected"), capture->name);
}

static void check_json_capture(otlp_capture *capture)
{
    mw_buffer wire;
    mw_json_notes notes;
    mw_detail detail;
    mw_buffer_init(&wire, MW_MEM_INGEST, 1 << 20);
    assert_int_equal(mw_json_to_wire(capture->message, MW_JSON_METRICS, &wire, &notes, &detail),
                     MW_OK);
    check_wire(mw_buffer_slice(&wire), json_object_get(capture->about, "expected"), capture->name);
    mw_buffer_fini(&wire);
}

static void test_captures(void **state)
{
    (void)state;
    assert_int_equal(capture_each("metrics-", check_capture), 7);
    assert_int_equal(capture_each_json("metrics-", check_json_capture), 3);
}

static void test_synthetic(void **state)
{
    (void)state;
    static const char *const names[] = {"synthetic/metrics-exemplars_all_types-protobuf",
                                        "synthetic/metrics-unpacked_repeated-protobuf"};
    for (int i = 0; i < 2; i++) {
        otlp_capture capture = capture_load(names[i]);
        check_capture(&capture);
        assert_int_equal(the_seen->metric[4].metadata_count, 1);
        assert_true(the_seen->point[3].has_sum);
        assert_true(the_seen->point[3].sum == 55.5);
        assert_int_equal(the_seen->point[3].count, 10);
        capture_free(&capture);
    }
    otlp_capture capture = capture_load("synthetic/metrics-exemplars_all_types-json");
    check_json_capture(&capture);
    capture_free(&capture);
}

static void refuse_capture(otlp_capture *capture)
{
    if (scan(capture->message) != MW_E_SYNTAX)
        fail_msg("%s was taken for metrics", capture->name);
}

static void test_other_signals(void **state)
{
    (void)state;
    assert_true(capture_each("trace-", refuse_capture) > 4);
    assert_true(capture_each("logs-", refuse_capture) > 4);
}

static void check_truncation(otlp_capture *capture)
{
    for (size_t len = 1; len < capture->message.len; len++) {
        char *copy = malloc(len);
        assert_non_null(copy);
        memcpy(copy, capture->message.data, len);
        mw_err err = scan((mw_slice){copy, len});
        free(copy);
        if (err != MW_E_SYNTAX)
            fail_msg("%s cut at %zu: %s", capture->name, len, mw_err_text(err));
        assert_true(the_seen->result.error_offset <= len);
    }
}

static void test_truncation(void **state)
{
    (void)state;
    capture_each("metrics-", check_truncation);
}

/* ---- the metric refuses its points ----------------------------------------------------------- */

/* Three points below one metric. */
static otlp_writer three_points(mw_metric_kind kind)
{
    otlp_writer points = {0};
    for (int i = 0; i < 3; i++) {
        otlp_writer point = good_point(kind);
        put_message(&points, 1, &point);
    }
    return points;
}

static void check_all_refused(mw_refusal refusal, const char *field)
{
    char path[160];
    snprintf(path, sizeof path, FIRST_METRIC ".%s", field);
    assert_int_equal(the_seen->result.items, 3);
    assert_int_equal(the_seen->result.refused[refusal], 3);
    assert_int_equal(the_seen->result.refused_total, 3);
    assert_int_equal(the_seen->result.first_refusal, refusal);
    assert_string_equal(the_seen->result.first_path, path);
    assert_int_equal(the_seen->metrics, 0);
    assert_int_equal(the_seen->points, 0);
}

static void test_empty_name(void **state)
{
    (void)state;
    for (size_t i = 0; i < KIND_COUNT; i++) {
        otlp_writer points = three_points(kinds[i]);
        otlp_writer metric = metric_of_points(kinds[i], &points, 2);
        put_text(&metric, 1, "");
        otlp_writer request = request_with(&metric);
        assert_int_equal(scan_written(&request), MW_OK);
        check_all_refused(MW_REFUSE_METRIC_NAME, "name");
    }
}

static void test_temporality(void **state)
{
    (void)state;
    static const uint32_t values[] = {0, 1, 2, 3, 99};
    for (size_t i = 0; i < 5 * KIND_COUNT; i++) {
        mw_metric_kind kind = kinds[i / 5];
        uint32_t temporality = values[i % 5];
        otlp_writer points = three_points(kind);
        otlp_writer metric = metric_of_points(kind, &points, temporality);
        otlp_writer request = request_with(&metric);
        assert_int_equal(scan_written(&request), MW_OK);
        if (temporality == 0 && kind_has_temporality(kind)) {
            char field[64];
            snprintf(field, sizeof field, "%s.aggregation_temporality", mw_metric_kind_name(kind));
            check_all_refused(MW_REFUSE_TEMPORALITY, field);
            continue;
        }
        assert_int_equal(the_seen->points, 3);
        assert_int_equal(the_seen->metric[0].temporality,
                         kind_has_temporality(kind) ? temporality : 0);
    }
}

/* Nothing to refuse and nothing to report. */
static void test_without_data(void **state)
{
    (void)state;
    otlp_writer metric = {0};
    put_text(&metric, 1, "m");
    otlp_writer request = request_with(&metric);
    assert_int_equal(scan_written(&request), MW_OK);
    assert_int_equal(the_seen->result.items, 0);
    assert_int_equal(the_seen->metrics, 0);
    assert_int_equal(the_seen->scopes, 1);
    otlp_writer points = {0};
    metric = metric_of_points(MW_METRIC_GAUGE, &points, 0);
    request = request_with(&metric);
    assert_int_equal(scan_written(&request), MW_OK);
    assert_int_equal(the_seen->result.items, 0);
    assert_int_equal(the_seen->metrics, 1);
}

static void test_deep_metadata(void **state)
{
    (void)state;
    otlp_writer points = three_points(MW_METRIC_SUM), value = nested_value(65);
    otlp_writer metric = metric_of_points(MW_METRIC_SUM, &points, 2);
    put_attribute(&metric, 12, "deep", &value);
    otlp_writer request = request_with(&metric);
    assert_int_equal(scan_written(&request), MW_OK);
    check_all_refused(MW_REFUSE_DEPTH, "metadata");
    assert_true(the_seen->result.too_deep);
    points = three_points(MW_METRIC_SUM);
    value = nested_value(64);
    metric = metric_of_points(MW_METRIC_SUM, &points, 2);
    put_attribute(&metric, 12, "deep", &value);
    request = request_with(&metric);
    assert_int_equal(scan_written(&request), MW_OK);
    assert_int_equal(the_seen->points, 3);
}

static void test_deep_context(void **state)
{
    (void)state;
    for (int in_scope = 0; in_scope < 2; in_scope++) {
        otlp_writer context = {0}, scope_metrics = {0}, resource_metrics = {0}, request = {0};
        otlp_writer value = nested_value(65), points = three_points(MW_METRIC_GAUGE);
        otlp_writer metric = metric_of_points(MW_METRIC_GAUGE, &points, 0);
        put_attribute(&context, in_scope ? 3 : 1, "deep", &value);
        put_message(in_scope ? &scope_metrics : &resource_metrics, 1, &context);
        put_message(&scope_metrics, 2, &metric);
        put_message(&resource_metrics, 2, &scope_metrics);
        put_message(&request, 1, &resource_metrics);
        assert_int_equal(scan_written(&request), MW_OK);
        assert_int_equal(the_seen->metrics, 0);
        assert_int_equal(the_seen->result.refused[MW_REFUSE_DEPTH], 3);
        assert_string_equal(the_seen->result.first_path,
                            in_scope ? "resource_metrics[0].scope_metrics[0].scope.attributes"
                                     : "resource_metrics[0].resource.attributes");
    }
}

/* ---- protobuf's freedoms --------------------------------------------------------------------- */

/* Points before name and temporality: the sink has the metric whole before the first point. */
static void test_any_order(void **state)
{
    (void)state;
    otlp_writer point = good_point(MW_METRIC_SUM), data = {0}, metric = {0};
    put_message(&data, 1, &point);
    put_number(&data, 3, 1);
    put_number(&data, 2, 1);
    put_message(&metric, 7, &data);
    put_text(&metric, 3, "By");
    put_text(&metric, 2, "first");
    put_text(&metric, 2, "second");
    put_text(&metric, 1, "late");
    otlp_writer request = request_with(&metric);
    assert_int_equal(scan(written(&request)), MW_OK);
    assert_int_equal(the_seen->points, 1);
    assert_slice(the_seen->metric[0].name, "late");
    assert_slice(the_seen->metric[0].unit, "By");
    assert_slice(the_seen->metric[0].description, "second");
    assert_int_equal(the_seen->metric[0].temporality, 1);
    assert_true(the_seen->metric[0].monotonic);
    free(request.data);
}

/* One kind in two parts is one message: points of both, what the parts say together. */
static void test_data_in_parts(void **state)
{
    (void)state;
    otlp_writer first = three_points(MW_METRIC_SUM), second = {0}, bad = {0}, metric = {0};
    put_number(&first, 2, 2);
    put_fixed64(&bad, 6, 1); /* no time */
    put_message(&second, 1, &bad);
    put_number(&second, 3, 1);
    put_text(&metric, 1, "parts");
    put_message(&metric, 7, &first);
    put_message(&metric, 7, &second);
    otlp_writer request = request_with(&metric);
    assert_int_equal(scan_written(&request), MW_OK);
    assert_int_equal(the_seen->metrics, 1);
    assert_int_equal(the_seen->points, 3);
    assert_int_equal(the_seen->metric[0].temporality, 2);
    assert_true(the_seen->metric[0].monotonic);
    assert_string_equal(the_seen->result.first_path,
                        FIRST_METRIC ".sum.data_points[3].time_unix_nano");
}

/* Of two kinds the last is the metric's; the points of the other are refused, not forgotten. */
static void test_two_kinds(void **state)
{
    (void)state;
    for (size_t i = 0; i < KIND_COUNT; i++) {
        mw_metric_kind last = kinds[i], other = kinds[(i + 2) % KIND_COUNT];
        otlp_writer replaced = three_points(other), points = {0}, point = good_point(last);
        put_message(&points, 1, &point);
        if (kind_has_temporality(other))
            put_number(&replaced, 2, 1);
        otlp_writer metric = {0}, kept = metric_of_points(last, &points, 2);
        put_message(&metric, data_numbers[other], &replaced);
        put_raw(&metric, kept.data, kept.len);
        free(kept.data);
        otlp_writer request = request_with(&metric);
        assert_int_equal(scan_written(&request), MW_OK);
        assert_int_equal(the_seen->result.items, 4);
        assert_int_equal(the_seen->result.refused[MW_REFUSE_METRIC_KIND], 3);
        assert_int_equal(the_seen->metrics, 1);
        assert_int_equal(the_seen->metric[0].kind, last);
        assert_int_equal(the_seen->metric[0].temporality, kind_has_temporality(last) ? 2 : 0);
        assert_int_equal(the_seen->points, 1);
        assert_int_equal(the_seen->point[0].kind, last);
        char path[160];
        snprintf(path, sizeof path, FIRST_METRIC ".%s.data_points[0]", mw_metric_kind_name(other));
        assert_string_equal(the_seen->result.first_path, path);
    }
}

/* A monotonic flag of a sum that a gauge replaced is not the gauge's. */
static void test_replaced_head(void **state)
{
    (void)state;
    otlp_writer sum = {0}, gauge = {0}, point = good_point(MW_METRIC_GAUGE), metric = {0};
    put_number(&sum, 2, 2);
    put_number(&sum, 3, 1);
    put_message(&gauge, 1, &point);
    put_text(&metric, 1, "m");
    put_message(&metric, 7, &sum);
    put_message(&metric, 5, &gauge);
    otlp_writer request = request_with(&metric);
    assert_int_equal(scan_written(&request), MW_OK);
    assert_int_equal(the_seen->metric[0].kind, MW_METRIC_GAUGE);
    assert_int_equal(the_seen->metric[0].temporality, 0);
    assert_false(the_seen->metric[0].monotonic);
    assert_int_equal(the_seen->points, 1);
}

/* ---- the head by itself ---------------------------------------------------------------------- */

static mw_slice head_of(int index, mw_buffer *out)
{
    mw_buffer_init(out, MW_MEM_INGEST, 4096);
    mw_metric_write_head(&the_seen->metric[index], out);
    assert_int_equal(out->err, MW_OK);
    return mw_buffer_slice(out);
}

/* Two metrics that are equal up to points, order, parts and unknown fields have equal heads. */
static void test_head(void **state)
{
    (void)state;
    otlp_writer points = three_points(MW_METRIC_SUM), data = {0}, one = {0}, other = {0};
    put_number(&points, 2, 300); /* an unknown number of two bytes is kept */
    put_number(&points, 3, 1);
    put_text(&one, 1, "m");
    put_text(&one, 3, "By");
    put_message(&one, 7, &points);
    put_text_attribute(&one, 12, "k", "v");
    put_text_attribute(&one, 12, "k", "w");
    put_text_attribute(&other, 12, "k", "v");
    put_number(&data, 3, 1);
    put_message(&other, 7, &data);
    put_number(&data, 2, 300);
    put_message(&other, 7, &data);
    put_number(&other, 99, 1);
    put_text(&other, 2, "");
    put_text_attribute(&other, 12, "k", "w");
    put_text(&other, 3, "By");
    put_text(&other, 1, "m");
    otlp_writer metrics = {0}, expected = {0};
    put_message(&metrics, 2, &one);
    put_message(&metrics, 2, &other);
    otlp_writer request = request_of(&metrics);
    assert_int_equal(scan(written(&request)), MW_OK);
    assert_int_equal(the_seen->metrics, 2);
    put_text(&expected, 1, "m");
    put_text(&expected, 3, "By");
    put_number(&data, 2, 300);
    put_number(&data, 3, 1);
    put_message(&expected, 7, &data);
    put_text_attribute(&expected, 12, "k", "v");
    put_text_attribute(&expected, 12, "k", "w");
    for (int i = 0; i < 2; i++) {
        mw_buffer head;
        assert_true(mw_slice_equal(head_of(i, &head), written(&expected)));
        mw_buffer_fini(&head);
    }
    free(expected.data);
    free(request.data);
}

/* Every kind's head is read again as the same metric, without points. */
static void test_head_again(void **state)
{
    (void)state;
    for (size_t i = 0; i < KIND_COUNT; i++) {
        otlp_writer points = three_points(kinds[i]);
        otlp_writer metric = metric_of_points(kinds[i], &points, UINT32_MAX);
        put_text(&metric, 2, "words");
        otlp_writer request = request_with(&metric), again = {0}, metrics = {0};
        assert_int_equal(scan(written(&request)), MW_OK);
        mw_buffer head;
        mw_slice bytes = head_of(0, &head);
        mw_scan_metric before = the_seen->metric[0];
        put_bytes(&metrics, 2, bytes.data, bytes.len);
        again = request_of(&metrics);
        assert_int_equal(scan(written(&again)), MW_OK);
        assert_int_equal(the_seen->metrics, 1);
        assert_int_equal(the_seen->result.items, 0);
        const mw_scan_metric *after = &the_seen->metric[0];
        assert_int_equal(after->kind, kinds[i]);
        assert_int_equal(after->temporality, before.temporality);
        assert_slice(after->name, "m");
        assert_slice(after->description, "words");
        mw_buffer_fini(&head);
        free(request.data);
        free(again.data);
    }
}

/* ---- paths ----------------------------------------------------------------------------------- */

/* Paths count metrics and points of their own parents, and only the first is kept. */
static void test_paths(void **state)
{
    (void)state;
    otlp_writer metrics = {0};
    for (int i = 0; i < 3; i++) {
        otlp_writer points = three_points(MW_METRIC_GAUGE), bad = {0};
        if (i > 0) {
            put_fixed64(&bad, 3, GOOD_TIME);
            put_message(&points, 1, &bad);
        }
        otlp_writer metric = metric_of_points(MW_METRIC_GAUGE, &points, 0);
        put_message(&metrics, 2, &metric);
    }
    otlp_writer request = request_of(&metrics);
    assert_int_equal(scan_written(&request), MW_OK);
    assert_int_equal(the_seen->points, 9);
    assert_int_equal(the_seen->result.items, 11);
    assert_int_equal(the_seen->result.refused[MW_REFUSE_POINT_VALUE], 2);
    assert_string_equal(
        the_seen->result.first_path,
        "resource_metrics[0].scope_metrics[0].metrics[1].gauge.data_points[3].value");
}

/* ---- text ------------------------------------------------------------------------------------ */

static void test_utf8(void **state)
{
    (void)state;
    for (int place = 0; place < 6; place++) {
        otlp_writer good = three_points(MW_METRIC_GAUGE), points = {0};
        otlp_writer first = good_point(MW_METRIC_GAUGE), second = good_point(MW_METRIC_GAUGE);
        if (place == 4)
            put_text_attribute(&second, 7, "k", "\xff");
        put_message(&points, 1, &first);
        put_message(&points, 1, &second);
        otlp_writer metric = metric_of_points(MW_METRIC_GAUGE, &points, 0), metrics = {0};
        otlp_writer before = metric_of_points(MW_METRIC_GAUGE, &good, 0);
        if (place < 3)
            put_text(&metric, (uint32_t)place + 1, "bad \xc3");
        if (place == 3)
            put_text_attribute(&metric, 12, "k\xff", "v");
        put_message(&metrics, 2, &before);
        put_message(&metrics, 2, &metric);
        otlp_writer request = request_of(&metrics);
        static const uint64_t bad[] = {2, 2, 2, 2, 1, 0};
        assert_int_equal(scan_written(&request), MW_OK);
        assert_int_equal(the_seen->points, 5);
        assert_int_equal(the_seen->result.bad_utf8, bad[place]);
        assert_false(the_seen->metric[0].bad_utf8);
        assert_int_equal(the_seen->metric[1].bad_utf8, place < 4);
        assert_false(the_seen->point[2].bad_utf8);
        assert_int_equal(the_seen->point[3].bad_utf8, place < 4);
        assert_int_equal(the_seen->point[4].bad_utf8, place < 5);
    }
}

static void test_utf8_context(void **state)
{
    (void)state;
    for (int in_scope = 0; in_scope < 2; in_scope++) {
        otlp_writer context = {0}, scope_metrics = {0}, resource_metrics = {0}, request = {0};
        otlp_writer points = three_points(MW_METRIC_GAUGE);
        otlp_writer metric = metric_of_points(MW_METRIC_GAUGE, &points, 0);
        put_text_attribute(&context, in_scope ? 3 : 1, "k", "bad \xff");
        put_message(in_scope ? &scope_metrics : &resource_metrics, 1, &context);
        put_message(&scope_metrics, 2, &metric);
        put_message(&resource_metrics, 2, &scope_metrics);
        put_message(&request, 1, &resource_metrics);
        assert_int_equal(scan_written(&request), MW_OK);
        assert_int_equal(the_seen->result.bad_utf8, 3);
        assert_true(the_seen->metric[0].bad_utf8);
        assert_true(the_seen->point[2].bad_utf8);
    }
}

/* ---- wire format ----------------------------------------------------------------------------- */

static void test_wrong_types(void **state)
{
    (void)state;
    static const uint32_t metric_known = 0x1eae;
    for (uint32_t number = 1; number <= 13; number++) {
        otlp_writer metric = {0};
        put_fixed32(&metric, number, 0);
        otlp_writer request = request_with(&metric);
        bool known = metric_known >> number & 1;
        assert_int_equal(scan_written(&request), known ? MW_E_SYNTAX : MW_OK);
        assert_int_equal(the_seen->result.wrong_type, known);
    }
    static const uint32_t data_known[MW_METRIC_KINDS] = {0, 0x02, 0x0e, 0x06, 0x06, 0x02};
    for (size_t i = 0; i < 4 * KIND_COUNT; i++) {
        mw_metric_kind kind = kinds[i / 4];
        uint32_t number = (uint32_t)(i % 4 + 1);
        otlp_writer points = {0}, metric = {0};
        put_fixed32(&points, number, 0);
        put_message(&metric, data_numbers[kind], &points);
        otlp_writer request = request_with(&metric);
        bool known = data_known[kind] >> number & 1;
        assert_int_equal(scan_written(&request), known ? MW_E_SYNTAX : MW_OK);
    }
}

/* ---- bounds ---------------------------------------------------------------------------------- */

static mw_err scan_empty_metrics(size_t count)
{
    otlp_writer scope_metrics = {0}, resource_metrics = {0}, request = {0};
    for (size_t i = 0; i < count; i++)
        put_raw(&scope_metrics, "\x12\x00", 2);
    put_message(&resource_metrics, 2, &scope_metrics);
    put_message(&request, 1, &resource_metrics);
    return scan_written(&request);
}

static mw_err scan_empty_points(size_t count)
{
    otlp_writer points = {0};
    for (size_t i = 0; i < count; i++)
        put_raw(&points, "\x0a\x00", 2);
    otlp_writer metric = metric_of_points(MW_METRIC_GAUGE, &points, 0);
    otlp_writer request = request_with(&metric);
    return scan_written(&request);
}

static void test_budget(void **state)
{
    (void)state;
    assert_int_equal(scan_empty_metrics(MW_OTLP_ITEMS_MAX - 2), MW_OK);
    assert_int_equal(the_seen->result.items, 0);
    assert_int_equal(scan_empty_metrics(MW_OTLP_ITEMS_MAX - 1), MW_E_LIMIT);
    /* Besides the points: the resource with its attribute, the scope, the metric. */
    assert_int_equal(scan_empty_points(MW_OTLP_ITEMS_MAX - 4), MW_OK);
    assert_int_equal(the_seen->result.refused[MW_REFUSE_POINT_TIME], MW_OTLP_ITEMS_MAX - 4);
    assert_int_equal(scan_empty_points(MW_OTLP_ITEMS_MAX - 3), MW_E_LIMIT);
}

static void test_sink_error(void **state)
{
    (void)state;
    for (int of_point = 0; of_point < 2; of_point++) {
        otlp_writer points = three_points(MW_METRIC_GAUGE);
        otlp_writer metric = metric_of_points(MW_METRIC_GAUGE, &points, 0);
        otlp_writer request = request_with(&metric);
        *(of_point ? &the_seen->point_answer : &the_seen->metric_answer) = MW_E_NOMEM;
        assert_int_equal(scan_written(&request), MW_E_NOMEM);
        assert_int_equal(the_seen->metrics, 1);
        assert_int_equal(the_seen->points, of_point);
        the_seen->point_answer = the_seen->metric_answer = MW_OK;
    }
}

static void test_texts(void **state)
{
    (void)state;
    for (int i = 0; i < MW_REFUSE_COUNT; i++)
        assert_non_null(mw_refusal_text((mw_refusal)i));
    assert_string_equal(mw_refusal_text(MW_REFUSE_COUNT), "unknown");
    assert_string_equal(mw_metric_kind_name(MW_METRIC_NONE), "none");
    assert_string_equal(mw_metric_kind_name(MW_METRIC_KINDS), "unknown");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_captures),      cmocka_unit_test(test_synthetic),
        cmocka_unit_test(test_other_signals), cmocka_unit_test(test_truncation),
        cmocka_unit_test(test_empty_name),    cmocka_unit_test(test_temporality),
        cmocka_unit_test(test_without_data),  cmocka_unit_test(test_deep_metadata),
        cmocka_unit_test(test_deep_context),  cmocka_unit_test(test_any_order),
        cmocka_unit_test(test_data_in_parts), cmocka_unit_test(test_two_kinds),
        cmocka_unit_test(test_replaced_head), cmocka_unit_test(test_paths),
        cmocka_unit_test(test_head),          cmocka_unit_test(test_head_again),
        cmocka_unit_test(test_utf8),          cmocka_unit_test(test_utf8_context),
        cmocka_unit_test(test_wrong_types),   cmocka_unit_test(test_budget),
        cmocka_unit_test(test_sink_error),    cmocka_unit_test(test_texts),
    };
    return cmocka_run_group_tests(tests, seen_setup, seen_teardown);
}
