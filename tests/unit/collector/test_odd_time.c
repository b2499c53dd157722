/* Times that can hardly be meant: which are counted, of which the sender is told, and in which
 * words. */
#include "collector/odd_time.h"
#include "tests/unit/collector/export_fixture.h"

#define DAY_NS UINT64_C(86400000000000)

static mw_odd_times judged(mw_signal signal, otlp_writer *item)
{
    otlp_writer request = request_with(item);
    mw_export_batch batch;
    assert_int_equal(read_as(signal, written(&request), &batch), MW_OK);
    assert_int_equal(batch.count, 1); /* kept, however odd */
    mw_odd_times odd = batch.odd;
    mw_export_batch_fini(&batch);
    free(request.data);
    return odd;
}

static mw_odd_times odd_span(uint64_t start_ns, uint64_t end_ns)
{
    otlp_writer span = plain_span(1, "s");
    put_fixed64(&span, 7, start_ns); /* the last of equal fields wins */
    put_fixed64(&span, 8, end_ns);
    return judged(MW_SIGNAL_TRACES, &span);
}

#define SPAN "resource_spans[0].scope_spans[0].spans[0]."

typedef struct span_row {
    uint64_t start_ns, end_ns;
    bool counted;
    const char *path, *problem; /* NULL = the sender is not told */
} span_row;

static void test_spans(void **state)
{
    (void)state;
    static const uint64_t y2010 = UINT64_C(1262304000000000000);
    const span_row rows[] = {
        {GOOD_TIME, GOOD_TIME, false, NULL, NULL},
        {y2010, y2010 + 5, false, NULL, NULL}, /* old is not odd */
        {MW_TIME_OLDEST_NS, MW_TIME_OLDEST_NS, false, NULL, NULL},
        {RECEIVED_NS + DAY_NS, RECEIVED_NS + DAY_NS, false, NULL, NULL},
        {MW_TIME_OLDEST_NS - 1, GOOD_TIME, true, NULL, NULL},
        {GOOD_TIME, RECEIVED_NS + DAY_NS + 1, true, NULL, NULL},
        {UINT64_MAX, UINT64_MAX, true, SPAN "start_time_unix_nano", "lies beyond the year 2262"},
        {0, 0, true, SPAN "start_time_unix_nano", "is 0"},
        {0, GOOD_TIME, true, SPAN "start_time_unix_nano", "is 0"},
        {GOOD_TIME, 0, true, SPAN "end_time_unix_nano", "lies before the start"},
        {GOOD_TIME, GOOD_TIME - 1, true, SPAN "end_time_unix_nano", "lies before the start"},
        {UINT64_C(1795219200), UINT64_C(1795219201), true, SPAN "start_time_unix_nano",
         "is seconds, milliseconds or microseconds, not nanoseconds"},
        {UINT64_C(1795219200000), UINT64_C(1795219200001), true, SPAN "start_time_unix_nano",
         "is seconds, milliseconds or microseconds, not nanoseconds"},
        {UINT64_C(1795219200000000), UINT64_C(1795219200000001), true, SPAN "start_time_unix_nano",
         "is seconds, milliseconds or microseconds, not nanoseconds"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        mw_odd_times odd = odd_span(rows[i].start_ns, rows[i].end_ns);
        if (odd.count != rows[i].counted || odd.mistakes != (rows[i].path != NULL))
            fail_msg("row %zu: %d odd, %d mistakes", i, (int)odd.count, (int)odd.mistakes);
        assert_string_equal(odd.first_path, rows[i].path ? rows[i].path : "");
        if (rows[i].problem)
            assert_string_equal(odd.first_problem, rows[i].problem);
    }
}

static void test_logs(void **state)
{
    (void)state;
    static const char path[] = "resource_logs[0].scope_logs[0].log_records[0].";
    otlp_writer record = {0};
    put_text(&record, 3, "INFO"); /* no time at all is normal */
    assert_int_equal(judged(MW_SIGNAL_LOGS, &record).count, 0);
    put_fixed64(&record, 11, GOOD_TIME);
    assert_int_equal(judged(MW_SIGNAL_LOGS, &record).count, 0);
    put_fixed64(&record, 1, UINT64_C(1795219200000));
    put_fixed64(&record, 11, GOOD_TIME);
    mw_odd_times odd = judged(MW_SIGNAL_LOGS, &record);
    assert_int_equal(odd.mistakes, 1);
    assert_memory_equal(odd.first_path, path, sizeof path - 1);
    assert_string_equal(odd.first_path + sizeof path - 1, "time_unix_nano");
    put_fixed64(&record, 11, 5);
    odd = judged(MW_SIGNAL_LOGS, &record);
    assert_string_equal(odd.first_path + sizeof path - 1, "observed_time_unix_nano");
}

static void test_points(void **state)
{
    (void)state;
    static const struct {
        uint64_t start_ns, time_ns;
        const char *field; /* NULL = not odd */
    } rows[] = {{0, GOOD_TIME, NULL},
                {GOOD_TIME, GOOD_TIME, NULL},
                {GOOD_TIME + 1, GOOD_TIME, "time_unix_nano"},
                {5, GOOD_TIME, "start_time_unix_nano"},
                {0, 5, "time_unix_nano"}};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        otlp_writer point = int_point(rows[i].time_ns, 1);
        put_fixed64(&point, 2, rows[i].start_ns);
        otlp_writer metric = metric_of("m", 7, &point);
        mw_odd_times odd = judged(MW_SIGNAL_METRICS, &metric);
        char path[256] = "";
        if (rows[i].field)
            snprintf(path, sizeof path,
                     "resource_metrics[0].scope_metrics[0].metrics[0].sum.data_points[0].%s",
                     rows[i].field);
        assert_string_equal(odd.first_path, path);
        assert_int_equal(odd.count, rows[i].field != NULL);
    }
}

/* The path counts items as the wire does, refused ones too; an item counts once. */
static void test_path(void **state)
{
    (void)state;
    otlp_writer spans = {0};
    for (uint8_t i = 0; i < 5; i++) {
        otlp_writer span = plain_span(i, "s"); /* 0 is no span id */
        put_fixed64(&span, 7, i < 3 ? GOOD_TIME : 7);
        put_fixed64(&span, 8, i < 3 ? GOOD_TIME : 5);
        put_message(&spans, 2, &span);
    }
    otlp_writer request = request_of(&spans);
    mw_export_batch batch;
    assert_int_equal(read_as(MW_SIGNAL_TRACES, written(&request), &batch), MW_OK);
    assert_int_equal(batch.count, 4);
    assert_int_equal(batch.odd.count, 2);
    assert_int_equal(batch.odd.mistakes, 2);
    assert_string_equal(batch.odd.first_path,
                        "resource_spans[0].scope_spans[0].spans[3].start_time_unix_nano");
    mw_export_batch_fini(&batch);
    free(request.data);

    otlp_writer metrics = {0}, good = int_point(GOOD_TIME, 1), bad = {0};
    put_fixed64(&bad, 3, 9);
    put_fixed64(&bad, 6, 1);
    otlp_writer first = metric_of("first", 5, &good), data = {0}, second = {0};
    put_message(&metrics, 2, &first);
    otlp_writer refused = int_point(0, 1);
    put_message(&data, 1, &refused);
    put_message(&data, 1, &bad);
    put_text(&second, 1, "second");
    put_message(&second, 5, &data);
    put_message(&metrics, 2, &second);
    request = request_of(&metrics);
    assert_int_equal(read_as(MW_SIGNAL_METRICS, written(&request), &batch), MW_OK);
    assert_string_equal(
        batch.odd.first_path,
        "resource_metrics[0].scope_metrics[0].metrics[1].gauge.data_points[1].time_unix_nano");
    mw_export_batch_fini(&batch);
    free(request.data);
}

/* A receipt at the end of time does not wrap. */
static void test_end_of_time(void **state)
{
    (void)state;
    mw_odd_times odd;
    mw_odd_times_init(&odd, UINT64_MAX - 5);
    assert_true(odd.newest_ns == UINT64_MAX);
    assert_true(mw_times_fine(&odd, GOOD_TIME, UINT64_MAX));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_spans),       cmocka_unit_test(test_logs),
        cmocka_unit_test(test_points),      cmocka_unit_test(test_path),
        cmocka_unit_test(test_end_of_time),
    };
    return RUN_ALL(tests);
}
