/* From the bytes of an export to the store's batch, for each signal, without store and sockets. */
#include <math.h>

#include "tests/unit/collector/export_fixture.h"

/* ---- spans ----------------------------------------------------------------------------------- */

static void test_batch_of_session(void **state)
{
    (void)state;
    otlp_capture capture = capture_load("trace-agent_session-http-protobuf-none");
    mw_export_batch batch;
    assert_int_equal(read_as(MW_SIGNAL_TRACES, capture.message, &batch), MW_OK);
    mw_store_batch view = mw_export_batch_view(&batch);
    assert_int_equal(view.item_count, 3);
    assert_int_equal(view.resource_count, 1);
    assert_int_equal(view.scope_count, 1);
    assert_slice(view.resources[0].schema_url, "https://opentelemetry.io/schemas/1.37.0");
    const mw_span_row *chat = &view.rows.spans[0], *tool = &view.rows.spans[1];
    const mw_span_row *agent = &view.rows.spans[2];
    assert_slice(chat->name, "chat model-x");
    assert_slice(chat->service, "triage-agent");
    assert_slice(chat->session_id, "sess-7f3a");
    assert_slice(chat->agent, "");
    assert_int_equal(chat->input_tokens, 1834);
    assert_int_equal(chat->output_tokens, 212);
    assert_int_equal(chat->kind, 3);
    assert_int_equal(tool->flags, MW_SPAN_EXCEPTION);
    assert_int_equal(tool->status, 2);
    assert_slice(tool->status_message, "upstream timed out");
    assert_memory_equal(tool->parent_span_id, agent->span_id, 8);
    assert_slice(agent->agent, "triage");
    assert_int_equal(agent->operation_kind, MW_OP_AGENT);
    assert_true(mw_id_is_zero(agent->parent_span_id, 8));
    assert_int_equal(agent->input_tokens, MW_TOKENS_UNKNOWN);
    for (size_t i = 0; i < 3; i++) {
        const mw_store_item *item = &view.items[i];
        assert_true(item->bytes.data >= capture.message.data);
        assert_true(item->bytes.data + item->bytes.len <=
                    capture.message.data + capture.message.len);
    }
    mw_export_batch_fini(&batch);
    capture_free(&capture);
}

static void test_batch_of_200(void **state)
{
    (void)state;
    otlp_capture capture = capture_load("trace-batch_200-grpc-none");
    mw_export_batch batch;
    assert_int_equal(read_as(MW_SIGNAL_TRACES, capture.message, &batch), MW_OK);
    assert_int_equal(batch.count, 200);
    assert_int_equal(batch.resources.count, 1);
    assert_int_equal(batch.scopes.count, 3);
    for (size_t i = 0; i < batch.count; i++)
        assert_in_range(batch.items[i].scope, 0, 2);
    assert_int_not_equal(batch.items[0].scope, batch.items[199].scope);
    mw_export_batch_fini(&batch);
    capture_free(&capture);
}

/* The same resource in many ResourceSpans is one; others stay apart. */
static void test_distinct_contexts(void **state)
{
    (void)state;
    otlp_writer request = {0};
    for (int i = 0; i < 300; i++) {
        otlp_writer resource = {0}, scope_spans = {0}, resource_spans = {0};
        otlp_writer span = plain_span(1, "s");
        put_int_attribute(&resource, 1, "n", i % 150);
        put_message(&scope_spans, 2, &span);
        put_message(&resource_spans, 1, &resource);
        put_message(&resource_spans, 2, &scope_spans);
        put_text(&resource_spans, 3, i % 3 ? "a" : "b");
        put_message(&request, 1, &resource_spans);
    }
    mw_export_batch batch;
    assert_int_equal(read_as(MW_SIGNAL_TRACES, written(&request), &batch), MW_OK);
    assert_int_equal(batch.count, 300);
    assert_int_equal(batch.resources.count, 150);
    assert_int_equal(batch.scopes.count, 1);
    for (size_t i = 0; i < 150; i++)
        assert_int_equal(batch.items[i].resource, batch.items[i + 150].resource);
    mw_export_batch_fini(&batch);
    free(request.data);
}

/* Envelopes without kept spans make no contexts. */
static void test_nothing_kept(void **state)
{
    (void)state;
    otlp_writer span = {0}, spans = {0};
    put_text(&span, 5, "no ids");
    put_message(&spans, 2, &span);
    otlp_writer request = request_of(&spans);
    mw_export_batch batch;
    assert_int_equal(read_as(MW_SIGNAL_TRACES, written(&request), &batch), MW_OK);
    assert_int_equal(batch.count, 0);
    assert_int_equal(batch.resources.count, 0);
    assert_true(mw_export_all_refused(&batch.scan));
    mw_export_batch_fini(&batch);
    free(request.data);
}

static void test_beyond(void **state)
{
    (void)state;
    otlp_writer span = plain_span(1, "\xff"), status = {0}, spans = {0};
    put_number(&span, 6, 6);
    put_number(&status, 3, 77);
    put_message(&span, 15, &status);
    put_message(&spans, 2, &span);
    otlp_writer request = request_of(&spans);
    mw_export_batch batch;
    assert_int_equal(read_as(MW_SIGNAL_TRACES, written(&request), &batch), MW_OK);
    const mw_span_row *rows = batch.rows;
    assert_int_equal(rows[0].kind, 255);
    assert_int_equal(rows[0].status, 255);
    assert_int_equal(rows[0].flags, MW_ITEM_BAD_UTF8);
    mw_export_batch_fini(&batch);
    free(request.data);
}

static void test_digest(void **state)
{
    (void)state;
    otlp_capture capture = capture_load("trace-agent_session-http-protobuf-none");
    mw_export_batch one, two;
    assert_int_equal(read_as(MW_SIGNAL_TRACES, capture.message, &one), MW_OK);
    assert_int_equal(read_as(MW_SIGNAL_TRACES, capture.message, &two), MW_OK);
    assert_memory_equal(one.digest, two.digest, 16);
    assert_false(mw_id_is_zero(one.digest, 16));
    mw_export_batch_fini(&two);
    char *name = memmem(capture.data, capture.message.len, "upstream", 8);
    assert_non_null(name);
    name[0] = 'U';
    assert_int_equal(read_as(MW_SIGNAL_TRACES, capture.message, &two), MW_OK);
    assert_memory_not_equal(one.digest, two.digest, 16);
    mw_export_batch_fini(&one);
    mw_export_batch_fini(&two);
    capture_free(&capture);
}

/* ---- log records ----------------------------------------------------------------------------- */

static void test_logs_of_capture(void **state)
{
    (void)state;
    otlp_capture capture = capture_load("logs-basic-http-protobuf-none");
    mw_export_batch batch;
    assert_int_equal(read_as(MW_SIGNAL_LOGS, capture.message, &batch), MW_OK);
    mw_store_batch view = mw_export_batch_view(&batch);
    assert_int_equal(view.signal, MW_SIGNAL_LOGS);
    assert_int_equal(view.item_count, 4);
    assert_int_equal(view.metric_count, 0);
    const mw_log_row *rows = view.rows.logs;
    assert_int_equal(rows[0].time_ns, UINT64_C(1795242780805000000));
    assert_int_equal(rows[0].severity, 9);
    assert_slice(rows[0].service, "triage-agent");
    assert_slice(rows[0].session_id, "sess-7f3a");
    assert_slice(rows[0].agent, "");
    assert_true(mw_id_is_zero(rows[0].trace_id, 16));
    assert_int_equal(rows[1].trace_id[0], 0x0a);
    assert_int_equal(rows[1].span_id[7], 0x31);
    assert_slice(rows[1].session_id, ""); /* its span's: the store's business */
    assert_int_equal(rows[2].time_ns, UINT64_C(1700000000000000001));
    assert_int_equal(rows[3].severity, 0);
    for (size_t i = 0; i < 4; i++)
        assert_int_equal(view.items[i].metric, 0);
    assert_int_equal(batch.odd.count, 0);
    mw_export_batch_fini(&batch);
    capture_free(&capture);
    capture = capture_load("logs-event_structured-http-protobuf-none");
    assert_int_equal(read_as(MW_SIGNAL_LOGS, capture.message, &batch), MW_OK);
    rows = batch.rows;
    assert_slice(rows[0].event_name, "gen_ai.client.inference.operation.details");
    mw_export_batch_fini(&batch);
    capture_free(&capture);
}

/* The row of one record in a request of its own; slices of it are gone. */
static mw_log_row log_row_of(otlp_writer *record)
{
    otlp_writer request = request_with(record);
    mw_export_batch batch;
    assert_int_equal(read_as(MW_SIGNAL_LOGS, written(&request), &batch), MW_OK);
    assert_int_equal(batch.count, 1);
    mw_log_row row = *(const mw_log_row *)batch.rows;
    mw_export_batch_fini(&batch);
    free(request.data);
    return row;
}

/* time_unix_nano, else observed, else the receipt. */
static void test_log_time(void **state)
{
    (void)state;
    otlp_writer record = {0};
    put_fixed64(&record, 1, GOOD_TIME);
    put_fixed64(&record, 11, GOOD_TIME + 5);
    assert_int_equal(log_row_of(&record).time_ns, GOOD_TIME);
    put_fixed64(&record, 1, 0);
    put_fixed64(&record, 11, GOOD_TIME + 5);
    assert_int_equal(log_row_of(&record).time_ns, GOOD_TIME + 5);
    put_text(&record, 3, "INFO");
    assert_int_equal(log_row_of(&record).time_ns, RECEIVED_NS);
}

static void test_log_beyond(void **state)
{
    (void)state;
    static const struct {
        uint64_t sent;
        int kept;
    } rows[] = {{0, 0}, {1, 1}, {24, 24}, {25, 255}, {300, 255}};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        otlp_writer record = {0};
        put_fixed64(&record, 1, GOOD_TIME);
        put_number(&record, 2, rows[i].sent);
        put_text(&record, 12, "\xff");
        mw_log_row row = log_row_of(&record);
        assert_int_equal(row.severity, rows[i].kept);
        assert_int_equal(row.flags, MW_ITEM_BAD_UTF8);
    }
}

/* A record with an id of the wrong length is kept without it. */
static void test_log_ids(void **state)
{
    (void)state;
    otlp_writer record = {0};
    put_bytes(&record, 9, "0123456789abcde", 15);
    put_bytes(&record, 10, "01234567", 8);
    mw_log_row row = log_row_of(&record);
    assert_true(mw_id_is_zero(row.trace_id, 16));
    assert_memory_equal(row.span_id, "01234567", 8);
}

/* ---- data points ----------------------------------------------------------------------------- */

static void test_points_of_capture(void **state)
{
    (void)state;
    otlp_capture capture = capture_load("metrics-counters_gauges-http-protobuf-none");
    mw_export_batch batch;
    assert_int_equal(read_as(MW_SIGNAL_METRICS, capture.message, &batch), MW_OK);
    mw_store_batch view = mw_export_batch_view(&batch);
    assert_int_equal(view.signal, MW_SIGNAL_METRICS);
    assert_int_equal(view.item_count, 8);
    assert_int_equal(view.metric_count, 6);
    const mw_point_row *rows = view.rows.points;
    assert_slice(rows[0].name, "agent.invocations");
    assert_slice(rows[0].unit, "{invocation}");
    assert_slice(rows[0].service, "triage-agent");
    assert_slice(rows[0].session_id, "");
    assert_int_equal(rows[0].kind, MW_METRIC_SUM);
    assert_int_equal(rows[0].temporality, 2);
    assert_int_equal(rows[0].flags, MW_POINT_INT | MW_POINT_MONOTONIC);
    assert_true(rows[0].value == 7);
    assert_int_equal(rows[0].count, 0);
    assert_int_equal(rows[0].time_ns, UINT64_C(1795242780687000000));
    assert_int_equal(rows[0].start_ns, UINT64_C(1795242780686000000));
    assert_int_equal(rows[1].flags, MW_POINT_MONOTONIC);
    assert_true(rows[1].value == 0.0125);
    assert_int_equal(rows[2].flags, MW_POINT_INT);
    assert_true(rows[2].value == -3);
    assert_int_equal(rows[3].kind, MW_METRIC_GAUGE);
    assert_int_equal(rows[3].temporality, 0);
    static const uint32_t metrics[] = {0, 1, 2, 3, 3, 4, 5, 5};
    for (size_t i = 0; i < 8; i++) {
        assert_int_equal(view.items[i].metric, metrics[i]);
        assert_true(rows[i].series != 0);
        for (size_t k = 0; k < i; k++)
            assert_true(rows[i].series != rows[k].series);
    }
    mw_export_batch_fini(&batch);
    capture_free(&capture);
}

static void test_points_of_all_kinds(void **state)
{
    (void)state;
    otlp_capture capture = capture_load("synthetic/metrics-exemplars_all_types-protobuf");
    mw_export_batch batch;
    assert_int_equal(read_as(MW_SIGNAL_METRICS, capture.message, &batch), MW_OK);
    assert_int_equal(batch.count, 5);
    const mw_point_row *rows = batch.rows;
    assert_int_equal(rows[0].kind, MW_METRIC_HISTOGRAM);
    assert_true(rows[0].value == 3.5);
    assert_int_equal(rows[0].count, 4);
    /* The series went away: nothing it says counts. */
    assert_int_equal(rows[1].flags, MW_POINT_MONOTONIC | MW_POINT_NO_VALUE);
    assert_true(isnan(rows[1].value));
    assert_int_equal(rows[2].kind, MW_METRIC_EXPONENTIAL_HISTOGRAM);
    assert_int_equal(rows[2].temporality, 1);
    assert_true(rows[2].value == -1.5);
    assert_int_equal(rows[2].count, 7);
    assert_int_equal(rows[3].kind, MW_METRIC_SUMMARY);
    assert_true(rows[3].value == 55.5);
    assert_int_equal(rows[3].count, 10);
    assert_int_equal(rows[4].kind, MW_METRIC_GAUGE);
    assert_true(rows[4].value == 0);
    mw_export_batch_fini(&batch);
    capture_free(&capture);
}

/* Without a sum a histogram has no value; a temporality nobody knows is kept as "beyond". */
static void test_point_beyond(void **state)
{
    (void)state;
    otlp_writer point = {0}, data = {0}, metric = {0};
    put_fixed64(&point, 3, GOOD_TIME);
    put_fixed64(&point, 4, 0);
    put_message(&data, 1, &point);
    put_number(&data, 2, 9);
    put_text(&metric, 1, "caf\xe9");
    put_message(&metric, 9, &data);
    otlp_writer request = request_with(&metric);
    mw_export_batch batch;
    assert_int_equal(read_as(MW_SIGNAL_METRICS, written(&request), &batch), MW_OK);
    const mw_point_row *row = batch.rows;
    assert_true(isnan(row->value));
    assert_int_equal(row->temporality, 255);
    assert_int_equal(row->flags, MW_ITEM_BAD_UTF8);
    mw_export_batch_fini(&batch);
    free(request.data);
}

/* The same metric in many parts of a request has one head; none is kept without a point. */
static void test_distinct_metrics(void **state)
{
    (void)state;
    otlp_writer metrics = {0};
    for (int i = 0; i < 3000; i++) {
        char name[32];
        snprintf(name, sizeof name, "metric.%d", i % 1000);
        otlp_writer point = int_point(GOOD_TIME, i), metric = metric_of(name, 5, &point);
        put_message(&metrics, 2, &metric);
        otlp_writer bad = int_point(0, i), refused = metric_of("refused", 5, &bad);
        put_message(&metrics, 2, &refused);
    }
    otlp_writer request = request_of(&metrics);
    mw_export_batch batch;
    assert_int_equal(read_as(MW_SIGNAL_METRICS, written(&request), &batch), MW_OK);
    mw_store_batch view = mw_export_batch_view(&batch);
    assert_int_equal(view.item_count, 3000);
    assert_int_equal(view.metric_count, 1000);
    assert_int_equal(batch.scan.refused[MW_REFUSE_POINT_TIME], 3000);
    for (size_t i = 0; i < 3000; i++)
        assert_int_equal(view.items[i].metric, i % 1000);
    static const char head[] = "\x0a\x0ametric.999\x2a";
    assert_memory_equal(view.metrics[999].data, head, sizeof head);
    assert_int_equal(view.metrics[999].len, sizeof head);
    assert_true(view.metrics[0].data < written(&request).data ||
                view.metrics[0].data > written(&request).data + written(&request).len);
    mw_export_batch_fini(&batch);
    free(request.data);
}

/* ---- what all share -------------------------------------------------------------------------- */

/* The origin of the request is in each row and part of what makes requests the same. */
static void test_origin(void **state)
{
    (void)state;
    static const char *const captures[MW_SIGNAL_END] = {
        [MW_SIGNAL_TRACES] = "trace-agent_session-http-protobuf-none",
        [MW_SIGNAL_METRICS] = "metrics-histogram-http-protobuf-none",
        [MW_SIGNAL_LOGS] = "logs-basic-http-protobuf-none"};
    for (mw_signal signal = MW_SIGNAL_TRACES; signal < MW_SIGNAL_END; signal++) {
        otlp_capture capture = capture_load(captures[signal]);
        mw_export_batch plain, one, two;
        mw_slice origin = MW_SLICE("x-aws-log-group=/a/b"),
                 other = MW_SLICE("x-aws-log-group=/a/c");
        assert_int_equal(read_as(signal, capture.message, &plain), MW_OK);
        assert_int_equal(read_from(signal, capture.message, origin, &one), MW_OK);
        assert_int_equal(read_from(signal, capture.message, other, &two), MW_OK);
        assert_memory_not_equal(plain.digest, one.digest, 16);
        assert_memory_not_equal(one.digest, two.digest, 16);
        mw_store_batch view = mw_export_batch_view(&one);
        mw_slice found = signal == MW_SIGNAL_TRACES    ? view.rows.spans[1].origin
                         : signal == MW_SIGNAL_METRICS ? view.rows.points[1].origin
                                                       : view.rows.logs[1].origin;
        assert_slice(found, "x-aws-log-group=/a/b");
        if (signal == MW_SIGNAL_LOGS)
            assert_slice(view.rows.logs[0].agent, "b");
        mw_export_batch_fini(&plain);
        mw_export_batch_fini(&one);
        mw_export_batch_fini(&two);
        capture_free(&capture);
    }
}

/* Equal bytes of two signals are two requests. */
static void test_digest_of_signal(void **state)
{
    (void)state;
    mw_export_batch logs, metrics;
    assert_int_equal(read_as(MW_SIGNAL_LOGS, MW_SLICE_NONE, &logs), MW_OK);
    assert_int_equal(read_as(MW_SIGNAL_METRICS, MW_SLICE_NONE, &metrics), MW_OK);
    assert_memory_not_equal(logs.digest, metrics.digest, 16);
    mw_export_batch_fini(&logs);
    mw_export_batch_fini(&metrics);
}

/* More items than memory_limit can ever hold at once: too large, not "try again". */
static void test_too_many_for_memory(void **state)
{
    (void)state;
    static const char *const captures[MW_SIGNAL_END] = {
        [MW_SIGNAL_TRACES] = "trace-batch_200-grpc-none",
        [MW_SIGNAL_LOGS] = "logs-many_120-grpc-none"};
    for (mw_signal signal = MW_SIGNAL_TRACES; signal < MW_SIGNAL_END; signal++) {
        if (!captures[signal])
            continue;
        otlp_capture capture = capture_load(captures[signal]);
        size_t each = sizeof(mw_store_item) + mw_export_signal_of(signal)->row_size;
        mw_export_batch batch;
        mw_arena_reset(&arena);
        size_t limit = mw_memory_used() + capture.message.len + 90 * each;
        mw_memory_init(limit);
        assert_int_equal(read_as(signal, capture.message, &batch), MW_E_LIMIT);
        mw_memory_init(0);
        assert_true(batch.capacity * each <= limit);
        mw_export_batch_fini(&batch);
        capture_free(&capture);
    }
}

static void fail_each_allocation(mw_signal signal, const char *name)
{
    otlp_capture capture = capture_load(name);
    mw_err err = MW_E_NOMEM;
    for (uint64_t n = 1; err != MW_OK; n++) {
        mw_export_batch batch;
        mw_memory_fail_at(n);
        err = read_as(signal, capture.message, &batch);
        mw_memory_fail_at(0);
        mw_export_batch_fini(&batch);
        if (n == 1)
            assert_int_equal(err, MW_E_NOMEM);
        assert_true(err == MW_OK || err == MW_E_NOMEM);
        assert_true(n < 100);
    }
    capture_free(&capture);
}

/* Each allocation fails once; nothing leaks and the error is the retryable one. */
static void test_no_memory(void **state)
{
    (void)state;
    fail_each_allocation(MW_SIGNAL_TRACES, "trace-batch_200-grpc-none");
    fail_each_allocation(MW_SIGNAL_METRICS, "metrics-counters_gauges-grpc-none");
    fail_each_allocation(MW_SIGNAL_LOGS, "logs-many_120-grpc-none");
}

/* Every capture of a client is read whole, without a word of complaint. */
static int captures_seen;

static void check_capture(otlp_capture *capture)
{
    const char *name = json_string_value(json_object_get(capture->about, "signal"));
    mw_signal signal = strcmp(name, "logs") == 0      ? MW_SIGNAL_LOGS
                       : strcmp(name, "metrics") == 0 ? MW_SIGNAL_METRICS
                                                      : MW_SIGNAL_TRACES;
    static const char *const counts[MW_SIGNAL_END] = {[MW_SIGNAL_TRACES] = "spans",
                                                      [MW_SIGNAL_METRICS] = "data_points",
                                                      [MW_SIGNAL_LOGS] = "log_records"};
    json_t *expected = json_object_get(capture->about, "expected");
    mw_export_batch batch;
    assert_int_equal(read_as(signal, capture->message, &batch), MW_OK);
    assert_int_equal(batch.count, json_integer_value(json_object_get(expected, counts[signal])));
    assert_int_equal(batch.scan.refused_total, 0);
    assert_int_equal(batch.odd.count, 0);
    mw_export_batch_fini(&batch);
    captures_seen++;
}

static void test_captures(void **state)
{
    (void)state;
    static const char *const starts[] = {"trace-", "metrics-", "logs-"};
    for (size_t i = 0; i < 3; i++)
        capture_each(starts[i], check_capture);
    assert_true(captures_seen > 15);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_batch_of_session),
        cmocka_unit_test(test_batch_of_200),
        cmocka_unit_test(test_distinct_contexts),
        cmocka_unit_test(test_nothing_kept),
        cmocka_unit_test(test_beyond),
        cmocka_unit_test(test_digest),
        cmocka_unit_test(test_logs_of_capture),
        cmocka_unit_test(test_log_time),
        cmocka_unit_test(test_log_beyond),
        cmocka_unit_test(test_log_ids),
        cmocka_unit_test(test_points_of_capture),
        cmocka_unit_test(test_points_of_all_kinds),
        cmocka_unit_test(test_point_beyond),
        cmocka_unit_test(test_distinct_metrics),
        cmocka_unit_test(test_origin),
        cmocka_unit_test(test_digest_of_signal),
        cmocka_unit_test(test_too_many_for_memory),
        cmocka_unit_test(test_no_memory),
        cmocka_unit_test(test_captures),
    };
    return RUN_ALL(tests);
}
