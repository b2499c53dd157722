/* One trace export without store and sockets: from bytes to the batch, from outcome to answer. */
#include "collector/export_int.h"
#include "collector/resolve.h"
#include "lib/base/counter.h"
#include "proto/otlp_trace_service.pb-c.h"
#include "proto/rpc_status.pb-c.h"
#include "tests/check.h"
#include "tests/otlp_capture.h"
#include "tests/otlp_writer.h"

typedef Opentelemetry__Proto__Collector__Trace__V1__ExportTraceServiceResponse trace_response;

static uint8_t digest_key[MW_DIGEST_KEY_SIZE] = {7};
static mw_export_keys keys = {.digest = digest_key};
static mw_arena arena;

/* ---- batches --------------------------------------------------------------------------------- */

static void test_batch_of_session(void **state)
{
    (void)state;
    otlp_capture capture = capture_load("trace-agent_session-http-protobuf-none");
    mw_export_batch batch;
    assert_int_equal(mw_export_batch_read(&batch, capture.message, &keys, &arena), MW_OK);
    mw_store_batch view = mw_export_batch_view(&batch);
    assert_int_equal(view.item_count, 3);
    assert_int_equal(view.resource_count, 1);
    assert_int_equal(view.scope_count, 1);
    assert_slice(view.resources[0].schema_url, "https://opentelemetry.io/schemas/1.37.0");
    const mw_span_row *chat = &view.items[0].row, *tool = &view.items[1].row;
    const mw_span_row *agent = &view.items[2].row;
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
    assert_int_equal(mw_export_batch_read(&batch, capture.message, &keys, &arena), MW_OK);
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
    assert_int_equal(mw_export_batch_read(&batch, written(&request), &keys, &arena), MW_OK);
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
    assert_int_equal(mw_export_batch_read(&batch, written(&request), &keys, &arena), MW_OK);
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
    assert_int_equal(mw_export_batch_read(&batch, written(&request), &keys, &arena), MW_OK);
    assert_int_equal(batch.items[0].row.kind, 255);
    assert_int_equal(batch.items[0].row.status, 255);
    assert_int_equal(batch.items[0].row.flags, MW_SPAN_BAD_UTF8);
    mw_export_batch_fini(&batch);
    free(request.data);
}

static void test_digest(void **state)
{
    (void)state;
    otlp_capture capture = capture_load("trace-agent_session-http-protobuf-none");
    mw_export_batch one, two;
    assert_int_equal(mw_export_batch_read(&one, capture.message, &keys, &arena), MW_OK);
    assert_int_equal(mw_export_batch_read(&two, capture.message, &keys, &arena), MW_OK);
    assert_memory_equal(one.digest, two.digest, 16);
    assert_false(mw_id_is_zero(one.digest, 16));
    mw_export_batch_fini(&two);
    char *name = memmem(capture.data, capture.message.len, "upstream", 8);
    assert_non_null(name);
    name[0] = 'U';
    assert_int_equal(mw_export_batch_read(&two, capture.message, &keys, &arena), MW_OK);
    assert_memory_not_equal(one.digest, two.digest, 16);
    mw_export_batch_fini(&one);
    mw_export_batch_fini(&two);
    capture_free(&capture);
}

/* Each allocation fails once; nothing leaks and the error is the retryable one. */
static void test_no_memory(void **state)
{
    (void)state;
    otlp_capture capture = capture_load("trace-batch_200-grpc-none");
    mw_err err = MW_E_NOMEM;
    for (uint64_t n = 1; err != MW_OK; n++) {
        mw_export_batch batch;
        mw_memory_fail_at(n);
        err = mw_export_batch_read(&batch, capture.message, &keys, &arena);
        mw_memory_fail_at(0);
        mw_export_batch_fini(&batch);
        if (n == 1)
            assert_int_equal(err, MW_E_NOMEM);
        assert_true(err == MW_OK || err == MW_E_NOMEM);
        assert_true(n < 100);
    }
    capture_free(&capture);
}

/* ---- answers --------------------------------------------------------------------------------- */

static mw_response answer(const mw_export_outcome *outcome, mw_answer_form form)
{
    mw_response response;
    memset(&response, 0xee, sizeof response);
    mw_export_answer(outcome, form, &arena, &response);
    return response;
}

static mw_export_outcome partial_outcome(void)
{
    mw_export_outcome outcome = {.err = MW_OK};
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
    mw_export_outcome outcome = {.err = MW_OK};
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
    mw_export_outcome outcome = {.err = MW_OK};
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
    mw_export_outcome outcome = {.err = MW_OK};
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
        mw_export_outcome outcome = {.err = cases[i].err};
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

/* A body of another signal is told so. */
static void test_logs_body(void **state)
{
    (void)state;
    otlp_capture capture = capture_load("logs-basic-http-protobuf-none");
    mw_export_batch batch;
    mw_export_outcome outcome = {.err = MW_OK};
    outcome.err = mw_export_batch_read(&batch, capture.message, &keys, &arena);
    outcome.scan = batch.scan;
    mw_export_batch_fini(&batch);
    mw_response response = answer(&outcome, MW_FORM_GRPC);
    assert_int_equal(response.rpc_code, MW_RPC_INVALID_ARGUMENT);
    assert_int_equal(response.status, 400);
    assert_true(mw_slice_contains(response.rpc_message,
                                  MW_SLICE("no valid span ids; is this a logs request?")));
    capture_free(&capture);
}

/* More spans than memory_limit can ever hold at once: too large, not "try again". */
static void test_too_many_for_memory(void **state)
{
    (void)state;
    otlp_capture capture = capture_load("trace-batch_200-grpc-none");
    mw_export_batch batch;
    mw_arena_reset(&arena);
    mw_memory_init(mw_memory_used() + 150 * sizeof(mw_store_item));
    mw_export_outcome outcome = {.err = MW_OK};
    outcome.err = mw_export_batch_read(&batch, capture.message, &keys, &arena);
    mw_memory_init(0);
    mw_export_batch_fini(&batch);
    assert_int_equal(outcome.err, MW_E_LIMIT);
    assert_int_equal(answer(&outcome, MW_FORM_PROTOBUF).status, 413);
    assert_int_equal(answer(&outcome, MW_FORM_GRPC).rpc_code, MW_RPC_RESOURCE_EXHAUSTED);
    capture_free(&capture);
}

/* OTLP/JSON: the same answers in JSON, and the reader's words in them. */
static void test_json(void **state)
{
    (void)state;
    mw_export_outcome outcome = {.err = MW_OK};
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

    outcome = (mw_export_outcome){.err = MW_OK};
    outcome.err = mw_export_json(MW_SLICE("{\"resourceSpans\":7}"), 1000, &arena, &wire, &outcome);
    mw_buffer_fini(&wire);
    assert_int_equal(outcome.err, MW_E_INVALID);
    response = answer(&outcome, MW_FORM_JSON);
    assert_int_equal(response.status, 400);
    assert_true(mw_slice_contains(response.body, MW_SLICE("expected an array")));
    assert_true(mw_slice_contains(response.body, MW_SLICE("\"resourceSpans\"")));

    outcome = (mw_export_outcome){.err = MW_OK};
    outcome.err = mw_export_json(MW_SLICE("{\"resourceSpans\":[{\"schemaUrl\":\"0123456789\"}]}"),
                                 8, &arena, &wire, &outcome);
    mw_buffer_fini(&wire);
    assert_int_equal(outcome.err, MW_E_LIMIT);
    assert_int_equal(answer(&outcome, MW_FORM_JSON).status, 413);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_json),
        cmocka_unit_test(test_too_many_for_memory),
        cmocka_unit_test(test_batch_of_session),
        cmocka_unit_test(test_batch_of_200),
        cmocka_unit_test(test_distinct_contexts),
        cmocka_unit_test(test_nothing_kept),
        cmocka_unit_test(test_beyond),
        cmocka_unit_test(test_digest),
        cmocka_unit_test(test_no_memory),
        cmocka_unit_test(test_success),
        cmocka_unit_test(test_partial),
        cmocka_unit_test(test_warning),
        cmocka_unit_test(test_all_refused),
        cmocka_unit_test(test_failures),
        cmocka_unit_test(test_counters),
        cmocka_unit_test(test_logs_body),
    };
    keys.attributes = mw_resolve_keyset_new();
    mw_arena_init(&arena, MW_MEM_INGEST, 0);
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    mw_arena_reset(&arena);
    mw_keyset_free(keys.attributes);
    return failed;
}
