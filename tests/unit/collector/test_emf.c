/* Metrics inside log records: values, dimensions, units, times, and documents that are none. */
#include "tests/unit/collector/export_fixture.h"

/* ---- from a document to points --------------------------------------------------------------- */

/* What the points of the last document are; freed by the next. */
static mw_export_batch records, points;

static int drop(void **state)
{
    mw_export_batch_fini(&points);
    mw_export_batch_fini(&records);
    mw_arena_reset(&arena);
    (void)state;
    return 0;
}

/* Records of these documents, at GOOD_TIME; the rows of what they measure. */
static size_t read_documents(const char *const *documents, size_t count)
{
    static otlp_writer request;
    otlp_writer items = {0};
    drop(NULL);
    free(request.data);
    for (size_t i = 0; i < count; i++) {
        otlp_writer record = {0}, body = {0};
        put_fixed64(&record, 1, GOOD_TIME);
        put_text(&body, 1, documents[i]);
        put_message(&record, 5, &body);
        put_message(&items, 2, &record);
    }
    request = request_of(&items);
    assert_int_equal(read_as(MW_SIGNAL_LOGS, written(&request), &records), MW_OK);
    assert_int_equal(records.count, count);
    mw_slice measured = mw_buffer_slice(&records.emf.request);
    assert_int_equal(read_as(MW_SIGNAL_METRICS, measured, &points), MW_OK);
    assert_int_equal(points.scan.refused_total, 0);
    return points.count;
}

static size_t read_document(const char *document)
{
    return read_documents(&document, 1);
}

static const mw_point_row *row(size_t at)
{
    assert_true(at < points.count);
    return &((const mw_point_row *)points.rows)[at];
}

#define AWS(directives)                                                                            \
    "{\"_aws\":{\"Timestamp\":1700000060000,\"CloudWatchMetrics\":[" directives "]},"
#define ONE(metric) AWS("{\"Namespace\":\"n\",\"Metrics\":[" metric "]}")

/* ---- tests ----------------------------------------------------------------------------------- */

static void test_values(void **state)
{
    (void)state;
    static const struct {
        const char *document;
        mw_metric_kind kind;
        uint8_t temporality;
        double value;
        uint64_t count;
        const char *unit;
    } rows[] = {
        {ONE("{\"Name\":\"m\",\"Unit\":\"Count\"}") "\"m\":3}", MW_METRIC_SUM, 1, 3, 0, "1"},
        {ONE("{\"Name\":\"m\",\"Unit\":\"Seconds\"}") "\"m\":0.5}", MW_METRIC_GAUGE, 0, 0.5, 0,
         "s"},
        {ONE("{\"Name\":\"m\"}") "\"m\":-1}", MW_METRIC_GAUGE, 0, -1, 0, ""},
        {ONE("{\"Name\":\"m\",\"Unit\":\"None\"}") "\"m\":1}", MW_METRIC_GAUGE, 0, 1, 0, ""},
        {ONE("{\"Name\":\"m\",\"Unit\":\"Odd/Week\"}") "\"m\":1}", MW_METRIC_GAUGE, 0, 1, 0,
         "Odd/Week"},
        {ONE("{\"Name\":\"m\",\"Unit\":\"Milliseconds\"}") "\"m\":[1,2.5,4]}", MW_METRIC_HISTOGRAM,
         1, 7.5, 3, "ms"},
        {ONE("{\"Name\":\"m\"}") "\"m\":{\"Count\":4,\"Sum\":9,\"Min\":1,\"Max\":3}}",
         MW_METRIC_HISTOGRAM, 1, 9, 4, ""},
        {ONE("{\"Name\":\"m\"}") "\"m\":{\"Count\":4.0,\"Sum\":9}}", MW_METRIC_HISTOGRAM, 1, 9, 4,
         ""},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        assert_int_equal(read_document(rows[i].document), 1);
        assert_int_equal(row(0)->kind, rows[i].kind);
        assert_int_equal(row(0)->temporality, rows[i].temporality);
        assert_true(row(0)->value == rows[i].value);
        assert_int_equal(row(0)->count, rows[i].count);
        assert_slice(row(0)->unit, rows[i].unit);
        assert_slice(row(0)->name, "m");
    }
}

static void test_no_values(void **state)
{
    (void)state;
    static const char *const documents[] = {
        "{\"_aws\":{}}",
        "{\"_aws\":",
        "{\"_aws\":[1]}",
        "_aws",
        ONE("{\"Name\":\"m\"}") "\"n\":1}",
        ONE("{\"Name\":\"m\"}") "\"m\":\"1\"}",
        ONE("{\"Name\":\"m\"}") "\"m\":null}",
        ONE("{\"Name\":\"m\"}") "\"m\":[]}",
        ONE("{\"Name\":\"m\"}") "\"m\":[1,\"2\"]}",
        ONE("{\"Name\":\"m\"}") "\"m\":{\"Count\":0,\"Sum\":0}}",
        ONE("{\"Name\":\"m\"}") "\"m\":{\"Count\":-1,\"Sum\":0}}",
        ONE("{\"Name\":\"m\"}") "\"m\":{\"Count\":1e300,\"Sum\":0}}",
        ONE("{\"Name\":\"\"}") "\"\":1}",
        ONE("7") "\"m\":1}",
        AWS("7") "\"m\":1}",
        "{\"_aws\":{\"Timestamp\":0,\"CloudWatchMetrics\":[{\"Metrics\":[{\"Name\":\"m\"}]}]},"
        "\"m\":1}",
        "{\"_aws\":{\"Timestamp\":1e30,\"CloudWatchMetrics\":[{\"Metrics\":[{\"Name\":\"m\"}]}]},"
        "\"m\":1}",
        "{\"_aws\":{\"CloudWatchMetrics\":[{\"Metrics\":[{\"Name\":\"m\"}]}]},\"m\":1}",
    };
    for (size_t i = 0; i < sizeof documents / sizeof documents[0]; i++)
        assert_int_equal(read_document(documents[i]), 0);
}

/* The sets of one metric, in one directive or several, are views: one point. */
static void test_once(void **state)
{
    (void)state;
    assert_int_equal(
        read_document(AWS("{\"Namespace\":\"n\",\"Dimensions\":[[\"a\"],[\"a\",\"b\"],[]],"
                          "\"Metrics\":[{\"Name\":\"m\"},{\"Name\":\"m\"}]},"
                          "{\"Namespace\":\"n\",\"Metrics\":[{\"Name\":\"m\"}]}") "\"a\":\"1\","
                                                                                  "\"b\":2,"
                                                                                  "\"m\":5}"),
        1);
    assert_int_equal(
        read_document(AWS("{\"Namespace\":\"n\",\"Metrics\":[{\"Name\":\"m\"}]},"
                          "{\"Namespace\":\"o\",\"Metrics\":[{\"Name\":\"m\"}]}") "\"m\":5}"),
        2);
    assert_int_not_equal(row(0)->series, row(1)->series);
}

static void test_session_is_a_dimension(void **state)
{
    (void)state;
    assert_int_equal(
        read_document(AWS("{\"Dimensions\":[[\"session.id\",\"gone\"]],\"Metrics\":[{\"Name\":"
                          "\"m\"}]}") "\"session.id\":\"s-1\",\"m\":5}"),
        1);
    assert_slice(row(0)->session_id, "s-1");
    assert_int_equal(row(0)->time_ns, GOOD_TIME);
}

/* The same request gives the same points and the same digest; many records, one request. */
static void test_again(void **state)
{
    (void)state;
    const char *documents[] = {ONE("{\"Name\":\"m\"}") "\"m\":1}", "no document",
                               ONE("{\"Name\":\"o\"}") "\"o\":1}"};
    uint8_t digest[16];
    assert_int_equal(read_documents(documents, 3), 2);
    memcpy(digest, points.digest, sizeof digest);
    uint64_t series = row(1)->series;
    assert_int_equal(read_documents(documents, 3), 2);
    assert_memory_equal(points.digest, digest, sizeof digest);
    assert_int_equal(row(1)->series, series);
    assert_memory_not_equal(points.digest, records.digest, sizeof digest);
}

/* Many metrics with long dimensions: bounded, whatever the document asks for. */
static void test_bounds(void **state)
{
    (void)state;
    static char text[200 << 10];
    size_t len = 0;
#define ADD(...) (len += (size_t)snprintf(text + len, sizeof text - len, __VA_ARGS__))
    ADD("{\"_aws\":{\"Timestamp\":1700000060000,\"CloudWatchMetrics\":[{\"Dimensions\":[[");
    for (int i = 0; i < 60; i++)
        ADD("%s\"d%d\"", i ? "," : "", i);
    ADD("]],\"Metrics\":[");
    for (int i = 0; i < 300; i++)
        ADD("%s{\"Name\":\"m%d\"}", i ? "," : "", i);
    ADD("]}]}");
    for (int i = 0; i < 300; i++)
        ADD(",\"m%d\":1", i);
    for (int i = 0; i < 60; i++)
        ADD(",\"d%d\":\"%01000d\"", i, i);
    ADD("}");
    assert_true(len < sizeof text);
    size_t count = read_document(text);
    assert_true(count > 0 && count <= MW_EMF_METRICS_MAX);
    assert_true(records.emf.request.len <= MW_EMF_GROWTH_MAX * len);
    /* Longer than any event may be: not looked at. */
    static char longer[MW_EMF_DOCUMENT_MAX + 100];
    memset(longer, ' ', sizeof longer - 1);
    memcpy(longer, ONE("{\"Name\":\"m\"}") "\"m\":1", strlen(ONE("{\"Name\":\"m\"}") "\"m\":1"));
    longer[sizeof longer - 2] = '}';
    assert_int_equal(read_document(longer), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(test_values, drop),
        cmocka_unit_test_teardown(test_no_values, drop),
        cmocka_unit_test_teardown(test_once, drop),
        cmocka_unit_test_teardown(test_session_is_a_dimension, drop),
        cmocka_unit_test_teardown(test_again, drop),
        cmocka_unit_test_teardown(test_bounds, drop),
    };
    return RUN_ALL(tests);
}
