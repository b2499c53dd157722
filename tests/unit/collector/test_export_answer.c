/* The answers to exports of each signal in each form: a pure function of what became of them. */
#include "proto/otlp_logs_service.pb-c.h"
#include "proto/otlp_metrics_service.pb-c.h"
#include "proto/otlp_trace_service.pb-c.h"
#include "proto/rpc_status.pb-c.h"
#include "tests/unit/collector/export_fixture.h"

typedef Opentelemetry__Proto__Collector__Trace__V1__ExportTraceServiceResponse trace_response;
typedef Opentelemetry__Proto__Collector__Trace__V1__ExportTracePartialSuccess trace_partial;
typedef Opentelemetry__Proto__Collector__Metrics__V1__ExportMetricsServiceResponse metrics_response;
typedef Opentelemetry__Proto__Collector__Metrics__V1__ExportMetricsPartialSuccess metrics_partial;
typedef Opentelemetry__Proto__Collector__Logs__V1__ExportLogsServiceResponse logs_response;
typedef Opentelemetry__Proto__Collector__Logs__V1__ExportLogsPartialSuccess logs_partial;

static mw_export_outcome outcome_of(mw_signal signal)
{
    return (mw_export_outcome){.signal = mw_export_signal_of(signal)};
}

/* ---- spans ----------------------------------------------------------------------------------- */

static mw_response answer(const mw_export_outcome *outcome, mw_answer_form form)
{
    mw_response response;
    memset(&response, 0xee, sizeof response);
    mw_export_answer(outcome, form, &arena, &response);
    return response;
}

static mw_export_outcome partial_outcome(void)
{
    mw_export_outcome outcome = outcome_of(MW_SIGNAL_TRACES);
    outcome.scan.items = 9;
    outcome.scan.refused[MW_REFUSE_SPAN_ID] = 1;
    outcome.scan.refused[MW_REFUSE_DEPTH] = 2;
    outcome.scan.refused_total = 3;
    outcome.scan.bad_utf8 = 1;
    snprintf(outcome.scan.first_path, sizeof outcome.scan.first_path, "%s",
             "resource_spans[0].scope_spans[0].spans[4].span_id");
    return outcome;
}

static void check_partial(mw_slice body, int64_t rejected, const char *message)
{
    trace_response *response =
        opentelemetry__proto__collector__trace__v1__export_trace_service_response__unpack(
            NULL, body.len, (const uint8_t *)body.data);
    assert_non_null(response);
    assert_non_null(response->partial_success);
    assert_int_equal(response->partial_success->rejected_spans, rejected);
    mw_slice text = {(const char *)response->partial_success->error_message.data,
                     response->partial_success->error_message.len};
    assert_slice(text, message);
    opentelemetry__proto__collector__trace__v1__export_trace_service_response__free_unpacked(
        response, NULL);
}

static void test_success(void **state)
{
    (void)state;
    mw_export_outcome outcome = outcome_of(MW_SIGNAL_TRACES);
    for (int items = 0; items < 3; items++) {
        outcome.scan.items = (uint64_t)items;
        mw_response response = answer(&outcome, MW_FORM_PROTOBUF);
        assert_int_equal(response.status, 200);
        assert_slice(response.content_type, "application/x-protobuf");
        assert_int_equal(response.body.len, 0);
        response = answer(&outcome, MW_FORM_GRPC);
        assert_int_equal(response.rpc_code, MW_RPC_OK);
        assert_int_equal(response.body.len, 0);
        assert_int_equal(response.rpc_details.len, 0);
    }
}

static void test_partial(void **state)
{
    (void)state;
    mw_export_outcome outcome = partial_outcome();
    static const char *const text =
        "3 of 9 spans refused: 1 span_id not 8 bytes or all zero, 2 attribute nested deeper than "
        "64 levels; first: resource_spans[0].scope_spans[0].spans[4].span_id; 1 spans hold text "
        "that is not UTF-8; kept as sent";
    mw_response response = answer(&outcome, MW_FORM_PROTOBUF);
    assert_int_equal(response.status, 200);
    check_partial(response.body, 3, text);
    response = answer(&outcome, MW_FORM_GRPC);
    assert_int_equal(response.rpc_code, MW_RPC_OK);
    check_partial(response.body, 3, text);
}

static void test_warning(void **state)
{
    (void)state;
    mw_export_outcome outcome = outcome_of(MW_SIGNAL_TRACES);
    outcome.scan.items = 5;
    outcome.scan.bad_utf8 = 2;
    check_partial(answer(&outcome, MW_FORM_PROTOBUF).body, 0,
                  "2 spans hold text that is not UTF-8; kept as sent");
}

static Google__Rpc__Status *status_of(mw_slice bytes)
{
    Google__Rpc__Status *status =
        google__rpc__status__unpack(NULL, bytes.len, (const uint8_t *)bytes.data);
    assert_non_null(status);
    return status;
}

static void test_all_refused(void **state)
{
    (void)state;
    mw_export_outcome outcome = outcome_of(MW_SIGNAL_TRACES);
    outcome.scan.items = outcome.scan.refused_total = outcome.scan.refused[MW_REFUSE_TRACE_ID] = 2;
    snprintf(outcome.scan.first_path, sizeof outcome.scan.first_path, "resource_spans[0]");
    mw_response response = answer(&outcome, MW_FORM_PROTOBUF);
    assert_int_equal(response.status, 400);
    Google__Rpc__Status *status = status_of(response.body);
    assert_int_equal(status->code, MW_RPC_INVALID_ARGUMENT);
    assert_int_equal(status->n_details, 1);
    google__rpc__status__free_unpacked(status, NULL);
    response = answer(&outcome, MW_FORM_GRPC);
    assert_int_equal(response.rpc_code, MW_RPC_INVALID_ARGUMENT);
    assert_true(mw_slice_starts(response.rpc_message,
                                MW_SLICE("no valid span ids; is this a logs request?")));
    outcome.scan.refused[MW_REFUSE_TRACE_ID] = 1;
    outcome.scan.refused[MW_REFUSE_DEPTH] = 1;
    response = answer(&outcome, MW_FORM_GRPC);
    assert_false(mw_slice_contains(response.rpc_message, MW_SLICE("logs request")));
}

static void test_failures(void **state)
{
    (void)state;
    static const struct {
        mw_err err;
        unsigned http;
        mw_rpc_code rpc;
        const char *retry_after; /* NULL = not retryable */
        const char *words;
        mw_counter counter;
    } cases[] = {
        {MW_E_SYNTAX, 400, MW_RPC_INVALID_ARGUMENT, NULL, "at byte 77",
         MW_COUNT_EXPORTS_REFUSED_MALFORMED},
        {MW_E_LIMIT, 413, MW_RPC_RESOURCE_EXHAUSTED, NULL, "1000000",
         MW_COUNT_EXPORTS_REFUSED_BUDGET},
        {MW_E_NOMEM, 503, MW_RPC_UNAVAILABLE, "1", "memory", MW_COUNT_EXPORTS_REFUSED_OVERLOAD},
        {MW_E_BUSY, 503, MW_RPC_UNAVAILABLE, "1", "queue", MW_COUNT_EXPORTS_REFUSED_OVERLOAD},
        {MW_E_CLOSED, 503, MW_RPC_UNAVAILABLE, "1", "shutting", MW_COUNT_EXPORTS_REFUSED_OVERLOAD},
        {MW_E_TIMEOUT, 504, MW_RPC_DEADLINE_EXCEEDED, NULL, "deadline",
         MW_COUNT_EXPORTS_REFUSED_OVERLOAD},
        {MW_E_IO, 503, MW_RPC_UNAVAILABLE, "3", "written", MW_COUNT_EXPORTS_REFUSED_STORAGE},
        {MW_E_NO_SPACE, 503, MW_RPC_UNAVAILABLE, "3", "space", MW_COUNT_EXPORTS_REFUSED_STORAGE},
        {MW_E_CORRUPT, 503, MW_RPC_UNAVAILABLE, "3", "written", MW_COUNT_EXPORTS_REFUSED_STORAGE},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        mw_export_outcome outcome = outcome_of(MW_SIGNAL_TRACES);
        outcome.err = cases[i].err;
        outcome.scan.error_offset = 77;
        mw_response http = answer(&outcome, MW_FORM_PROTOBUF);
        mw_response grpc = answer(&outcome, MW_FORM_GRPC);
        assert_int_equal(http.status, cases[i].http);
        assert_int_equal(grpc.rpc_code, cases[i].rpc);
        assert_int_equal(http.header_count, cases[i].retry_after ? 1 : 0);
        if (cases[i].retry_after)
            assert_slice(http.headers[0].value, cases[i].retry_after);
        assert_true(mw_slice_contains(grpc.rpc_message, mw_slice_of(cases[i].words)));
        Google__Rpc__Status *status = status_of(grpc.rpc_details);
        assert_int_equal(status->code, cases[i].rpc);
        bool retry =
            status->n_details == 1 && memmem(status->details[0]->type_url.data,
                                             status->details[0]->type_url.len, "RetryInfo", 9);
        assert_int_equal(retry, cases[i].retry_after != NULL);
        google__rpc__status__free_unpacked(status, NULL);
        uint64_t before = mw_counter_value(cases[i].counter);
        mw_export_count(&outcome);
        assert_int_equal(mw_counter_value(cases[i].counter), before + 1);
    }
}

/* One number: what is free. A disk that has much free and takes nothing is not called full. */
static void test_no_space_says_what_is_free(void **state)
{
    (void)state;
    static const struct {
        uint64_t free_bytes;
        const char *words;
    } cases[] = {{0, "is full (0.0 MiB free)"},
                 {(uint64_t)100 << 20, "is full (100.0 MiB free)"},
                 {(uint64_t)1 << 30, "read-only or a quota"},
                 {UINT64_MAX, "read-only or a quota"}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        mw_export_outcome outcome = outcome_of(MW_SIGNAL_TRACES);
        outcome.err = MW_E_NO_SPACE;
        outcome.disk_free = cases[i].free_bytes;
        mw_response grpc = answer(&outcome, MW_FORM_GRPC);
        assert_true(mw_slice_contains(grpc.rpc_message, mw_slice_of(cases[i].words)));
    }
}

static void test_counters(void **state)
{
    (void)state;
    mw_export_outcome outcome = partial_outcome();
    uint64_t accepted = mw_counter_value(MW_COUNT_SPANS_ACCEPTED);
    uint64_t ids = mw_counter_value(MW_COUNT_SPANS_REFUSED_ID);
    uint64_t depth = mw_counter_value(MW_COUNT_SPANS_REFUSED_DEPTH);
    mw_export_count(&outcome);
    assert_int_equal(mw_counter_value(MW_COUNT_SPANS_ACCEPTED), accepted + 6);
    assert_int_equal(mw_counter_value(MW_COUNT_SPANS_REFUSED_ID), ids + 1);
    assert_int_equal(mw_counter_value(MW_COUNT_SPANS_REFUSED_DEPTH), depth + 2);
    /* What failed as a whole counts no items: the client comes again with them. */
    outcome.err = MW_E_IO;
    mw_export_count(&outcome);
    assert_int_equal(mw_counter_value(MW_COUNT_SPANS_ACCEPTED), accepted + 6);
    assert_int_equal(mw_counter_value(MW_COUNT_SPANS_REFUSED_ID), ids + 1);
}

/* ---- each signal ----------------------------------------------------------------------------- */

static ProtobufCBinaryData binary(const char *text)
{
    return (ProtobufCBinaryData){strlen(text), (uint8_t *)(uintptr_t)text};
}

/* The bytes that protobuf-c writes for that answer, into `out`. */
static size_t packed_by_protobuf_c(mw_signal signal, int64_t rejected, const char *message,
                                   uint8_t *out)
{
    if (signal == MW_SIGNAL_TRACES) {
        trace_response response =
            OPENTELEMETRY__PROTO__COLLECTOR__TRACE__V1__EXPORT_TRACE_SERVICE_RESPONSE__INIT;
        trace_partial partial =
            OPENTELEMETRY__PROTO__COLLECTOR__TRACE__V1__EXPORT_TRACE_PARTIAL_SUCCESS__INIT;
        partial.rejected_spans = rejected;
        partial.error_message = binary(message);
        response.partial_success = &partial;
        return protobuf_c_message_pack(&response.base, out);
    }
    if (signal == MW_SIGNAL_METRICS) {
        metrics_response response =
            OPENTELEMETRY__PROTO__COLLECTOR__METRICS__V1__EXPORT_METRICS_SERVICE_RESPONSE__INIT;
        metrics_partial partial =
            OPENTELEMETRY__PROTO__COLLECTOR__METRICS__V1__EXPORT_METRICS_PARTIAL_SUCCESS__INIT;
        partial.rejected_data_points = rejected;
        partial.error_message = binary(message);
        response.partial_success = &partial;
        return protobuf_c_message_pack(&response.base, out);
    }
    logs_response response =
        OPENTELEMETRY__PROTO__COLLECTOR__LOGS__V1__EXPORT_LOGS_SERVICE_RESPONSE__INIT;
    logs_partial partial =
        OPENTELEMETRY__PROTO__COLLECTOR__LOGS__V1__EXPORT_LOGS_PARTIAL_SUCCESS__INIT;
    partial.rejected_log_records = rejected;
    partial.error_message = binary(message);
    response.partial_success = &partial;
    return protobuf_c_message_pack(&response.base, out);
}

typedef struct signal_words {
    mw_signal signal;
    const char *items, *json_name;
} signal_words;

static const signal_words words[] = {{MW_SIGNAL_TRACES, "spans", "rejectedSpans"},
                                     {MW_SIGNAL_METRICS, "data points", "rejectedDataPoints"},
                                     {MW_SIGNAL_LOGS, "log records", "rejectedLogRecords"}};

/* Byte for byte what protobuf-c writes; the names of JSON; a count is text there. */
static void test_partial_of_each(void **state)
{
    (void)state;
    for (size_t i = 0; i < 3; i++) {
        uint8_t expected[2048];
        char text[256], json[512];
        for (uint64_t rejected = 0; rejected < 400; rejected += 200) {
            mw_export_outcome outcome = outcome_of(words[i].signal);
            outcome.scan.items = 1000;
            outcome.scan.bad_utf8 = 2;
            outcome.scan.refused[MW_REFUSE_DEPTH] = outcome.scan.refused_total = rejected;
            snprintf(outcome.scan.first_path, sizeof outcome.scan.first_path, "there");
            int n = 0;
            if (rejected)
                n = snprintf(text, sizeof text,
                             "200 of 1000 %s refused: 200 attribute nested deeper than 64 levels; "
                             "first: there; ",
                             words[i].items);
            snprintf(text + n, sizeof text - (size_t)n,
                     "2 %s hold text that is not UTF-8; kept as sent", words[i].items);
            size_t len = packed_by_protobuf_c(words[i].signal, (int64_t)rejected, text, expected);
            mw_slice body = answer(&outcome, MW_FORM_GRPC).body;
            assert_int_equal(body.len, len);
            assert_memory_equal(body.data, expected, len);
            snprintf(json, sizeof json,
                     "{\"partialSuccess\":{\"%s\":\"%llu\",\"errorMessage\":\"%s\"}}",
                     words[i].json_name, (unsigned long long)rejected, text);
            assert_slice(answer(&outcome, MW_FORM_JSON).body, json);
        }
    }
}

/* Times that cannot be meant: a warning; odd ones alone say nothing and are counted. */
static void test_odd_times(void **state)
{
    (void)state;
    for (size_t i = 0; i < 3; i++) {
        mw_export_outcome outcome = outcome_of(words[i].signal);
        outcome.scan.items = 9;
        outcome.odd.count = 4;
        assert_int_equal(answer(&outcome, MW_FORM_PROTOBUF).body.len, 0);
        uint64_t before = mw_counter_value(outcome.signal->odd_time);
        mw_export_count(&outcome);
        assert_int_equal(mw_counter_value(outcome.signal->odd_time), before + 4);
        outcome.odd.mistakes = 3;
        outcome.odd.first_problem = "is 0";
        snprintf(outcome.odd.first_path, sizeof outcome.odd.first_path, "a[0].b");
        char text[256];
        snprintf(text, sizeof text,
                 "\"0\",\"errorMessage\":\"3 %s have times that cannot be meant; kept as sent; "
                 "first: a[0].b is 0\"",
                 words[i].items);
        assert_true(mw_slice_contains(answer(&outcome, MW_FORM_JSON).body, mw_slice_of(text)));
    }
}

/* Everything at once, at its longest, still fits. */
static void test_longest(void **state)
{
    (void)state;
    mw_export_outcome outcome = outcome_of(MW_SIGNAL_METRICS);
    mw_scan_result *scan = &outcome.scan;
    for (int i = 1; i < MW_REFUSE_COUNT; i++)
        scan->refused_total += scan->refused[i] = UINT64_C(1) << 40;
    scan->items = scan->refused_total * 2;
    scan->bad_utf8 = outcome.odd.mistakes = UINT64_C(1) << 40;
    memset(scan->first_path, 'p', sizeof scan->first_path - 1);
    memset(outcome.odd.first_path, 'q', sizeof outcome.odd.first_path - 1);
    outcome.odd.first_problem = "is seconds, milliseconds or microseconds, not nanoseconds";
    char json[300], origin[160];
    memset(json, 'j', sizeof json);
    memset(origin, 'o', sizeof origin);
    outcome.json_warning = (mw_slice){json, sizeof json};
    outcome.origin_warning = (mw_slice){origin, sizeof origin};
    mw_response response = answer(&outcome, MW_FORM_JSON);
    assert_true(mw_slice_contains(response.body, MW_SLICE("quantile")));
    assert_true(mw_slice_ends(response.body, MW_SLICE("jjj\"}}")));
}

/* Each refusal a signal knows has its counter. */
static void test_refusal_counters(void **state)
{
    (void)state;
    for (size_t i = 0; i < 3; i++) {
        const mw_export_signal *signal = mw_export_signal_of(words[i].signal);
        for (int reason = 1; reason < MW_REFUSE_COUNT; reason++) {
            bool ids = reason<MW_REFUSE_DEPTH, points = reason> MW_REFUSE_DEPTH;
            bool known = words[i].signal == MW_SIGNAL_TRACES    ? !points
                         : words[i].signal == MW_SIGNAL_METRICS ? !ids
                                                                : !ids && !points;
            assert_int_equal(signal->refused[reason] != 0, known);
            if (!known)
                continue;
            const mw_counter_row *row = mw_counter_describe(signal->refused[reason]);
            assert_string_equal(row->metric, "midwatch_items_refused_total");
            assert_non_null(strstr(row->label, mw_signal_name(words[i].signal)));
            mw_export_outcome outcome = outcome_of(words[i].signal);
            outcome.scan.items = 3;
            outcome.scan.refused_total = outcome.scan.refused[reason] = 2;
            uint64_t before = mw_counter_value(signal->refused[reason]);
            uint64_t accepted = mw_counter_value(signal->accepted);
            mw_export_count(&outcome);
            assert_int_equal(mw_counter_value(signal->refused[reason]), before + 2);
            assert_int_equal(mw_counter_value(signal->accepted), accepted + 1);
        }
    }
}

/* ---- another signal's body ------------------------------------------------------------------- */

static mw_export_outcome outcome_of_body(mw_signal sent_as, mw_slice body)
{
    mw_export_outcome outcome = outcome_of(sent_as);
    mw_export_batch batch;
    outcome.err = read_as(sent_as, body, &batch);
    outcome.scan = batch.scan;
    mw_export_batch_fini(&batch);
    outcome.looks_like = mw_export_looks_like(sent_as, body);
    return outcome;
}

/* All six confusions, with bodies of a client: refused whole, told whose it is and where to go. */
static void test_confusions(void **state)
{
    (void)state;
    static const char *const captures[MW_SIGNAL_END] = {
        [MW_SIGNAL_TRACES] = "trace-agent_session-http-protobuf-none",
        [MW_SIGNAL_METRICS] = "metrics-counters_gauges-http-protobuf-none",
        [MW_SIGNAL_LOGS] = "logs-basic-http-protobuf-none"};
    for (mw_signal is = MW_SIGNAL_TRACES; is < MW_SIGNAL_END; is++) {
        otlp_capture capture = capture_load(captures[is]);
        for (mw_signal sent_as = MW_SIGNAL_TRACES; sent_as < MW_SIGNAL_END; sent_as++) {
            if (sent_as == is)
                continue;
            mw_export_outcome outcome = outcome_of_body(sent_as, capture.message);
            assert_int_equal(outcome.looks_like, is);
            char question[64];
            snprintf(question, sizeof question, "is this a %s request?", mw_signal_name(is));
            mw_response grpc = answer(&outcome, MW_FORM_GRPC);
            assert_int_equal(grpc.rpc_code, MW_RPC_INVALID_ARGUMENT);
            assert_true(mw_slice_contains(grpc.rpc_message, mw_slice_of(question)));
            assert_true(mw_slice_contains(grpc.rpc_message,
                                          mw_slice_of(mw_export_signal_of(is)->grpc_path)));
            mw_response http = answer(&outcome, MW_FORM_JSON);
            assert_int_equal(http.status, 400);
            assert_true(
                mw_slice_contains(http.body, mw_slice_of(mw_export_signal_of(is)->http_path)));
            assert_true(sent_as != MW_SIGNAL_TRACES ||
                        mw_slice_contains(http.body, MW_SLICE("no valid span ids; is this a")));
        }
        capture_free(&capture);
    }
}

/* What is nobody's request is not guessed at. */
static void test_no_guess(void **state)
{
    (void)state;
    assert_int_equal(mw_export_looks_like(MW_SIGNAL_LOGS, MW_SLICE("\x0f rubbish")), 0);
    assert_int_equal(mw_export_looks_like(MW_SIGNAL_TRACES, MW_SLICE_NONE), 0);
    mw_export_outcome outcome = outcome_of_body(MW_SIGNAL_LOGS, MW_SLICE("\x08\x05"));
    assert_int_equal(outcome.err, MW_E_SYNTAX);
    assert_slice(answer(&outcome, MW_FORM_GRPC).rpc_message,
                 "malformed ExportLogsServiceRequest: field of another wire type at byte 0");
    /* Points that are all refused are still points. */
    otlp_writer point = int_point(0, 1), metric = metric_of("m", 5, &point);
    otlp_writer request = request_with(&metric);
    outcome = outcome_of_body(MW_SIGNAL_METRICS, written(&request));
    assert_int_equal(outcome.looks_like, 0);
    assert_slice(answer(&outcome, MW_FORM_GRPC).rpc_message,
                 "1 of 1 data points refused: 1 time_unix_nano 0; first: resource_metrics[0]."
                 "scope_metrics[0].metrics[0].gauge.data_points[0].time_unix_nano");
    free(request.data);
}

static void test_over_budget(void **state)
{
    (void)state;
    static const char *const things[MW_SIGNAL_END] = {[MW_SIGNAL_TRACES] = "spans, events",
                                                      [MW_SIGNAL_METRICS] =
                                                          "data points, exemplars",
                                                      [MW_SIGNAL_LOGS] = "log records and"};
    for (mw_signal signal = MW_SIGNAL_TRACES; signal < MW_SIGNAL_END; signal++) {
        mw_export_outcome outcome = outcome_of(signal);
        outcome.err = MW_E_LIMIT;
        mw_response response = answer(&outcome, MW_FORM_GRPC);
        assert_int_equal(response.rpc_code, MW_RPC_RESOURCE_EXHAUSTED);
        assert_true(mw_slice_contains(response.rpc_message, mw_slice_of(things[signal])));
        outcome.at_store = true;
        assert_true(
            mw_slice_contains(answer(&outcome, MW_FORM_GRPC).rpc_message, MW_SLICE("one block")));
    }
}

/* ---- JSON ------------------------------------------------------------------------------------ */

/* OTLP/JSON: the same answers in JSON, and the reader's words in them. */
static void test_json(void **state)
{
    (void)state;
    mw_export_outcome outcome = outcome_of(MW_SIGNAL_TRACES);
    mw_buffer wire;
    assert_int_equal(
        mw_export_json(MW_SLICE("{\"resourceSpans\":[]}"), 1000, &arena, &wire, &outcome), MW_OK);
    mw_buffer_fini(&wire);
    mw_response response = answer(&outcome, MW_FORM_JSON);
    assert_int_equal(response.status, 200);
    assert_slice(response.body, "{}");
    assert_slice(response.content_type, "application/json");

    assert_int_equal(
        mw_export_json(MW_SLICE("{\"resource_spans\":[]}"), 1000, &arena, &wire, &outcome), MW_OK);
    mw_buffer_fini(&wire);
    outcome.scan.items = 2;
    outcome.scan.refused_total = 1;
    outcome.scan.refused[MW_REFUSE_SPAN_ID] = 1;
    response = answer(&outcome, MW_FORM_JSON);
    assert_true(
        mw_slice_starts(response.body, MW_SLICE("{\"partialSuccess\":{\"rejectedSpans\":\"1\",")));
    assert_true(mw_slice_contains(response.body, MW_SLICE("snake_case")));
    assert_true(mw_slice_contains(response.body, MW_SLICE("resource_spans")));

    outcome = outcome_of(MW_SIGNAL_TRACES);
    outcome.err = mw_export_json(MW_SLICE("{\"resourceSpans\":7}"), 1000, &arena, &wire, &outcome);
    mw_buffer_fini(&wire);
    assert_int_equal(outcome.err, MW_E_INVALID);
    response = answer(&outcome, MW_FORM_JSON);
    assert_int_equal(response.status, 400);
    assert_true(mw_slice_contains(response.body, MW_SLICE("expected an array")));
    assert_true(mw_slice_contains(response.body, MW_SLICE("\"resourceSpans\"")));

    outcome = outcome_of(MW_SIGNAL_TRACES);
    outcome.err = mw_export_json(MW_SLICE("{\"resourceSpans\":[{\"schemaUrl\":\"0123456789\"}]}"),
                                 8, &arena, &wire, &outcome);
    mw_buffer_fini(&wire);
    assert_int_equal(outcome.err, MW_E_LIMIT);
    assert_int_equal(answer(&outcome, MW_FORM_JSON).status, 413);
}

/* Unknown keys are ignored, so that another signal's body would be accepted and lost. */
static void test_json_of_another_signal(void **state)
{
    (void)state;
    static const struct {
        mw_signal sent_as;
        const char *body, *words; /* NULL = accepted as empty */
    } rows[] = {
        {MW_SIGNAL_TRACES, "{\"resourceLogs\":[{\"scopeLogs\":[{\"logRecords\":[{}]}]}]}",
         "no spans in the request; is this a logs request? logs go to /v1/logs"},
        {MW_SIGNAL_LOGS, "{\"resourceMetrics\":[{}]}",
         "no log records in the request; is this a metrics request? metrics go to /v1/metrics"},
        {MW_SIGNAL_METRICS, "{\"resourceSpans\":[{}]}",
         "no data points in the request; is this a traces request? traces go to /v1/traces"},
        {MW_SIGNAL_TRACES, "{}", NULL},
        {MW_SIGNAL_LOGS, "{\"resourceLogs\":[]}", NULL},
        {MW_SIGNAL_METRICS, "{\"other\":{\"resourceLogs\":[{}]}}", NULL},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        mw_export_outcome outcome = outcome_of(rows[i].sent_as);
        mw_buffer wire;
        mw_err err = mw_export_json(mw_slice_of(rows[i].body), 1000, &arena, &wire, &outcome);
        mw_buffer_fini(&wire);
        assert_int_equal(err, rows[i].words ? MW_E_INVALID : MW_OK);
        if (rows[i].words)
            assert_slice(outcome.problem, rows[i].words);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_success),
        cmocka_unit_test(test_partial),
        cmocka_unit_test(test_warning),
        cmocka_unit_test(test_all_refused),
        cmocka_unit_test(test_failures),
        cmocka_unit_test(test_no_space_says_what_is_free),
        cmocka_unit_test(test_counters),
        cmocka_unit_test(test_partial_of_each),
        cmocka_unit_test(test_odd_times),
        cmocka_unit_test(test_longest),
        cmocka_unit_test(test_refusal_counters),
        cmocka_unit_test(test_confusions),
        cmocka_unit_test(test_no_guess),
        cmocka_unit_test(test_over_budget),
        cmocka_unit_test(test_json),
        cmocka_unit_test(test_json_of_another_signal),
    };
    return RUN_ALL(tests);
}
