/* Series and data points as the API shows them: exact values, presence, all kinds. */
#include <jansson.h>
#include <math.h>
#include <stdio.h>

#include "proto/scan.h"
#include "server/api/shape_point.h"
#include "tests/check.h"
#include "tests/otlp_writer.h"

#define TIME UINT64_C(1700000060000000000)
#define START UINT64_C(1700000000000000000)

/* The text of one series of one point; freed by the caller. */
static char *write_series(const mw_series *series, mw_err *err)
{
    mw_buffer text;
    mw_json json;
    mw_series_writer writer;
    mw_buffer_init(&text, MW_MEM_QUERY, 1 << 20);
    mw_json_init(&json, &text);
    mw_series_writer_init(&writer, &json);
    *err = mw_series_write(&writer, series);
    mw_series_writer_fini(&writer);
    char *copy = *err ? NULL : strndup(text.data, text.len);
    mw_buffer_fini(&text);
    return copy;
}

static otlp_writer head_of(mw_metric_kind kind, uint32_t temporality, bool monotonic)
{
    otlp_writer data = {0}, head = {0};
    static const uint32_t numbers[] = {0, 5, 7, 9, 10, 11};
    put_text(&head, 1, "m");
    put_text(&head, 2, "what it is");
    put_text(&head, 3, "{call}");
    if (temporality)
        put_number(&data, 2, temporality);
    if (monotonic)
        put_number(&data, 3, 1);
    put_message(&head, numbers[kind], &data);
    put_text_attribute(&head, 12, "meta", "data");
    return head;
}

/* Writes the point (emptied) in a series of its own and looks for each text in the answer. */
static void expect_all(mw_metric_kind kind, otlp_writer point, const char *const *wanted)
{
    mw_err err;
    otlp_writer head = head_of(kind, kind == MW_METRIC_GAUGE || kind == MW_METRIC_SUMMARY ? 0 : 2,
                               kind == MW_METRIC_SUM);
    mw_series_point stored = {
        .row = {.time_ns = TIME, .start_ns = START, .kind = (uint8_t)kind, .name = MW_SLICE("m")},
        .bytes = written(&point)};
    mw_series series = {.head = written(&head), .points = &stored, .point_count = 1};
    char *text = write_series(&series, &err);
    assert_int_equal(err, MW_OK);
    json_t *root = json_loads(text, JSON_REJECT_DUPLICATES, NULL);
    assert_non_null(root);
    json_decref(root);
    for (; *wanted; wanted++)
        if (!strstr(text, *wanted))
            fail_msg("%s is not in %s", *wanted, text);
    free(text);
    free(head.data);
    free(point.data);
}
#define EXPECT(kind, point, ...) expect_all(kind, point, (const char *const[]){__VA_ARGS__, NULL})

static otlp_writer int_point(int64_t value)
{
    otlp_writer point = {0};
    put_fixed64(&point, 3, TIME);
    put_fixed64(&point, 6, (uint64_t)value);
    return point;
}

static otlp_writer double_point(double value)
{
    otlp_writer point = {0};
    put_fixed64(&point, 3, TIME);
    put_double(&point, 4, value);
    return point;
}

static void test_numbers(void **state)
{
    (void)state;
    EXPECT(MW_METRIC_SUM, int_point(INT64_MAX), "\"value\":\"9223372036854775807\"");
    EXPECT(MW_METRIC_SUM, int_point(INT64_MIN), "\"value\":\"-9223372036854775808\"");
    EXPECT(MW_METRIC_SUM, int_point(INT64_C(9007199254740992)), "\"value\":9007199254740992,");
    EXPECT(MW_METRIC_SUM, int_point(INT64_C(9007199254740993)), "\"value\":\"9007199254740993\"");
    EXPECT(MW_METRIC_GAUGE, int_point(5), "\"value\":5,");
    EXPECT(MW_METRIC_GAUGE, double_point(5), "\"value\":5.0,");
    EXPECT(MW_METRIC_GAUGE, double_point(-0.0), "\"value\":-0.0,");
    EXPECT(MW_METRIC_GAUGE, double_point(0.1), "\"value\":0.1,");
    EXPECT(MW_METRIC_GAUGE, double_point(0.1 + 0.2), "\"value\":0.30000000000000004,");
    EXPECT(MW_METRIC_GAUGE, double_point(1e300), "\"value\":1e+300,");
    EXPECT(MW_METRIC_GAUGE, double_point(5e-324), "\"value\":5e-324,");
    EXPECT(MW_METRIC_GAUGE, double_point(__builtin_nan("")), "\"value\":\"NaN\"");
    EXPECT(MW_METRIC_GAUGE, double_point(__builtin_inf()), "\"value\":\"Infinity\"");
    EXPECT(MW_METRIC_GAUGE, double_point(-__builtin_inf()), "\"value\":\"-Infinity\"");
}

static void test_no_recorded_value(void **state)
{
    (void)state;
    otlp_writer number = int_point(7), histogram = {0}, exponential = {0}, summary = {0};
    put_number(&number, 8, 1);
    EXPECT(MW_METRIC_SUM, number, "\"flags\":1,", "\"value\":null");
    /* Other flags say nothing about the value. */
    number = int_point(7);
    put_number(&number, 8, 2);
    EXPECT(MW_METRIC_SUM, number, "\"flags\":2,", "\"value\":7,");
    put_number(&histogram, 10, 1);
    EXPECT(MW_METRIC_HISTOGRAM, histogram,
           "\"flags\":1,\"count\":null,\"sum\":null,\"min\":null,"
           "\"max\":null,\"bucket_counts\":[],"
           "\"explicit_bounds\":[]");
    put_number(&exponential, 10, 1);
    EXPECT(MW_METRIC_EXPONENTIAL_HISTOGRAM, exponential, "\"count\":null", "\"scale\":null",
           "\"zero_count\":null", "\"positive\":{\"offset\":0,\"bucket_counts\":[]}");
    put_number(&summary, 8, 1);
    EXPECT(MW_METRIC_SUMMARY, summary, "\"count\":null,\"sum\":null,\"quantiles\":[]");
}

static void put_packed(otlp_writer *point, uint32_t number, const uint64_t *values, size_t count)
{
    put_bytes(point, number, values, count * sizeof values[0]);
}

static void test_histogram(void **state)
{
    (void)state;
    static const uint64_t counts[] = {1, UINT64_MAX, 2};
    const double bounds[] = {0.5, 1};
    otlp_writer point = {0}, bare = {0};
    put_fixed64(&point, 4, UINT64_MAX);
    put_double(&point, 5, 3.5);
    put_packed(&point, 6, counts, 3);
    put_bytes(&point, 7, bounds, sizeof bounds);
    put_double(&point, 11, 0);
    put_text_attribute(&point, 9, "k", "v");
    EXPECT(MW_METRIC_HISTOGRAM, point, "\"attributes\":{\"k\":\"v\"}",
           "\"count\":\"18446744073709551615\",\"sum\":3.5,\"min\":0.0,\"max\":null,"
           "\"bucket_counts\":[1,\"18446744073709551615\",2],\"explicit_bounds\":[0.5,1.0]",
           "\"exemplars\":[]", "\"temporality\":\"cumulative\"", "\"monotonic\":null");
    EXPECT(MW_METRIC_HISTOGRAM, bare, "\"count\":0,\"sum\":null,\"min\":null,\"max\":null");
}

static void test_exponential(void **state)
{
    (void)state;
    otlp_writer point = {0}, positive = {0}, negative = {0};
    put_fixed64(&point, 4, 7);
    put_double(&point, 5, -1.5);
    put_number(&point, 6, 5); /* zigzag: -3 */
    put_fixed64(&point, 7, 2);
    put_number(&positive, 1, 13); /* -7 */
    put_bytes(&positive, 2, "\1\0\2", 3);
    put_message(&point, 8, &positive);
    put_number(&negative, 1, 6); /* 3 */
    put_bytes(&negative, 2, "\2", 1);
    put_message(&point, 9, &negative);
    put_double(&point, 14, 0.25);
    EXPECT(MW_METRIC_EXPONENTIAL_HISTOGRAM, point,
           "\"count\":7,\"sum\":-1.5,\"min\":null,\"max\":null,\"scale\":-3,\"zero_count\":2,"
           "\"zero_threshold\":0.25,\"positive\":{\"offset\":-7,\"bucket_counts\":[1,0,2]},"
           "\"negative\":{\"offset\":3,\"bucket_counts\":[2]}");
}

static void test_summary(void **state)
{
    (void)state;
    otlp_writer point = {0}, quantile = {0};
    put_fixed64(&point, 4, 3);
    put_double(&quantile, 1, 0.99);
    put_double(&quantile, 2, 12);
    put_message(&point, 6, &quantile);
    EXPECT(MW_METRIC_SUMMARY, point,
           "\"count\":3,\"sum\":0.0,\"quantiles\":[{\"quantile\":0.99,\"value\":12.0}]",
           "\"temporality\":null", "\"exemplars\":[]");
}

static void test_exemplars(void **state)
{
    (void)state;
    static const uint8_t id[16] = {0x0a};
    otlp_writer point = int_point(1), exemplar = {0}, odd = {0};
    put_fixed64(&exemplar, 2, START + 4);
    put_fixed64(&exemplar, 6, (uint64_t)-5);
    put_bytes(&exemplar, 4, id, 8);
    put_bytes(&exemplar, 5, id, 16);
    put_int_attribute(&exemplar, 7, "attempt", 4);
    put_message(&point, 5, &exemplar);
    put_double(&odd, 3, 2);
    put_bytes(&odd, 5, "seventeen bytes..", 17);
    put_message(&point, 5, &odd);
    EXPECT(MW_METRIC_SUM, point,
           "\"exemplars\":[{\"time\":\"2023-11-14T22:13:20.000000004Z\","
           "\"time_unix_nano\":\"1700000000000000004\",\"value\":-5,"
           "\"trace_id\":\"0a000000000000000000000000000000\","
           "\"span_id\":\"0a00000000000000\",\"attributes\":{\"attempt\":4}},"
           "{\"time\":null,\"time_unix_nano\":null,\"value\":2.0,\"trace_id\":null,"
           "\"span_id\":null,\"attributes\":{}}]");
}

static void test_series(void **state)
{
    (void)state;
    mw_err err;
    otlp_writer head = head_of(MW_METRIC_SUM, 1, true), newest = int_point(2),
                oldest = int_point(1), resource = {0};
    put_text_attribute(&newest, 7, "b", "x");
    put_text_attribute(&resource, 1, "service.name", "shop");
    mw_series_point points[] = {
        {.row = {.time_ns = TIME + 1,
                 .kind = MW_METRIC_SUM,
                 .service = MW_SLICE("shop"),
                 .session_id = MW_SLICE("s"),
                 .origin = MW_SLICE("x-aws-metric-namespace=bedrock-agentcore")},
         .bytes = written(&newest)},
        {.row = {.time_ns = TIME, .start_ns = START, .kind = MW_METRIC_SUM},
         .bytes = written(&oldest)}};
    mw_series series = {.head = written(&head),
                        .resource = {.bytes = written(&resource)},
                        .points = points,
                        .point_count = 2};
    char *text = write_series(&series, &err);
    assert_non_null(text);
    static const char *const wanted[] = {
        "{\"attributes\":{\"b\":\"x\"},\"service\":\"shop\",\"session_id\":\"s\",\"kind\":\"sum\","
        "\"unit\":\"{call}\",\"description\":\"what it is\",\"temporality\":\"delta\","
        "\"monotonic\":true,\"metadata\":{\"meta\":\"data\"},"
        "\"metric_namespace\":\"bedrock-agentcore\",\"oversized_bytes\":null,"
        "\"resource\":{\"service.name\":\"shop\"}",
        ("\"time_unix_nano\":\"1700000060000000001\",\"start\":null,\"start_unix_nano\":null,"
         "\"flags\":0,\"value\":2,\"exemplars\":[],\"oversized_bytes\":null}"),
        "\"start_unix_nano\":\"1700000000000000000\",\"flags\":0,\"value\":1"};
    for (size_t i = 0; i < sizeof wanted / sizeof wanted[0]; i++)
        if (!strstr(text, wanted[i]))
            fail_msg("%s is not in %s", wanted[i], text);
    free(text);
    free(head.data);
    free(newest.data);
    free(oldest.data);
    free(resource.data);
}

/* A series of one point that was left out. */
static void expect_oversized(mw_point_row row, uint32_t head, const char *wanted)
{
    mw_err err;
    row.time_ns = TIME;
    mw_series_point point = {.row = row, .oversized = 60000000};
    mw_series series = {.head_oversized = head, .points = &point, .point_count = 1};
    char *text = write_series(&series, &err);
    assert_non_null(text);
    if (!strstr(text, wanted))
        fail_msg("%s is not in %s", wanted, text);
    free(text);
}

static void test_oversized(void **state)
{
    (void)state;
    const mw_point_row whole = {.kind = MW_METRIC_GAUGE, .flags = MW_POINT_INT, .value = 7};
    const mw_point_row real = {.kind = MW_METRIC_SUM, .value = 7};
    const mw_point_row beyond = {.kind = MW_METRIC_SUM, .flags = MW_POINT_INT, .value = 1e18};
    const mw_point_row gone = {.kind = MW_METRIC_GAUGE, .flags = MW_POINT_NO_VALUE, .value = 7};
    const mw_point_row histogram = {.kind = MW_METRIC_HISTOGRAM, .count = 3, .value = 1.5};
    const mw_point_row exponential = {
        .kind = MW_METRIC_EXPONENTIAL_HISTOGRAM, .count = 3, .value = NAN};
    const mw_point_row summary = {.kind = MW_METRIC_SUMMARY, .count = 3, .value = 1.5};
    const mw_point_row sum = {.kind = MW_METRIC_SUM,
                              .flags = MW_POINT_MONOTONIC,
                              .temporality = 1,
                              .unit = MW_SLICE("s")};
    expect_oversized(whole, 0,
                     "\"flags\":null,\"value\":7,\"exemplars\":[],\"oversized_bytes\":60000000}");
    expect_oversized(real, 0, "\"value\":7.0,");
    expect_oversized(beyond, 0, "\"value\":1e+18,");
    expect_oversized(gone, 0, "\"value\":null,");
    expect_oversized(histogram, 0,
                     "\"count\":3,\"sum\":1.5,\"min\":null,\"max\":null,\"bucket_counts\":[],"
                     "\"explicit_bounds\":[],\"exemplars\":[]");
    expect_oversized(exponential, 0,
                     "\"count\":3,\"sum\":null,\"min\":null,\"max\":null,\"scale\":null,"
                     "\"zero_count\":null,\"zero_threshold\":null,\"positive\":{\"offset\":0,"
                     "\"bucket_counts\":[]},\"negative\":{\"offset\":0,\"bucket_counts\":[]}");
    expect_oversized(summary, 0, "\"count\":3,\"sum\":1.5,\"quantiles\":[],\"exemplars\":[]");
    expect_oversized(sum, 5000000,
                     "{\"attributes\":{},\"service\":null,\"session_id\":null,\"kind\":\"sum\","
                     "\"unit\":\"s\",\"description\":null,\"temporality\":\"delta\","
                     "\"monotonic\":true,\"metadata\":{},\"metric_namespace\":null,"
                     "\"oversized_bytes\":5000000,");
}

/* One point that was left out does not hide the attributes that its neighbours have. */
static void test_oversized_newest(void **state)
{
    (void)state;
    mw_err err;
    otlp_writer oldest = int_point(1);
    put_text_attribute(&oldest, 7, "b", "x");
    mw_series_point points[] = {
        {.row = {.time_ns = TIME + 1, .kind = MW_METRIC_SUM}, .oversized = 60000000},
        {.row = {.time_ns = TIME, .kind = MW_METRIC_SUM}, .bytes = written(&oldest)}};
    mw_series series = {.points = points, .point_count = 2};
    char *text = write_series(&series, &err);
    assert_non_null(text);
    assert_non_null(strstr(text, "{\"attributes\":{\"b\":\"x\"}"));
    free(text);
    free(oldest.data);
}

static void expect_corrupt(mw_metric_kind kind, mw_slice head, mw_slice point)
{
    mw_err err;
    mw_series_point stored = {.row = {.time_ns = TIME, .kind = (uint8_t)kind}, .bytes = point};
    mw_series series = {.head = head, .points = &stored, .point_count = 1};
    assert_null(write_series(&series, &err));
    assert_int_equal(err, MW_E_CORRUPT);
}

static void test_damage(void **state)
{
    (void)state;
    mw_slice broken = MW_SLICE("\xff\xff\xff"), good = MW_SLICE("");
    for (int kind = MW_METRIC_GAUGE; kind < MW_METRIC_KINDS; kind++)
        expect_corrupt((mw_metric_kind)kind, good, broken);
    expect_corrupt(MW_METRIC_GAUGE, broken, good);
    expect_corrupt(MW_METRIC_NONE, good, good);
    expect_corrupt(MW_METRIC_KINDS, good, good);
}

static void test_no_memory(void **state)
{
    (void)state;
    mw_err err = MW_E_NOMEM;
    otlp_writer head = head_of(MW_METRIC_SUM, 2, true), point = int_point(1);
    put_text_attribute(&point, 7, "k", "v");
    mw_series_point stored = {.row = {.time_ns = TIME, .kind = MW_METRIC_SUM},
                              .bytes = written(&point)};
    mw_series series = {.head = written(&head), .points = &stored, .point_count = 1};
    size_t used = mw_memory_used(), failed = 0;
    for (uint64_t n = 1; err; n++, failed += err != MW_OK) {
        mw_memory_fail_at(n);
        char *text = write_series(&series, &err);
        mw_memory_fail_at(0);
        assert_true(err == MW_OK || err == MW_E_NOMEM);
        free(text);
        assert_int_equal(mw_memory_used(), used);
    }
    assert_true(failed > 3);
    free(head.data);
    free(point.data);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_numbers),          cmocka_unit_test(test_no_recorded_value),
        cmocka_unit_test(test_histogram),        cmocka_unit_test(test_exponential),
        cmocka_unit_test(test_summary),          cmocka_unit_test(test_exemplars),
        cmocka_unit_test(test_series),           cmocka_unit_test(test_damage),
        cmocka_unit_test(test_no_memory),        cmocka_unit_test(test_oversized),
        cmocka_unit_test(test_oversized_newest),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
