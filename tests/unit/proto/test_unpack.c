/* What the scan accepts, protobuf-c unpacks to the same values; memory and bad bytes are told
 * apart. */
#include "proto/otlp_trace_service.pb-c.h"
#include "proto/scan.h"
#include "proto/unpack.h"
#include "tests/check.h"
#include "tests/otlp_capture.h"
#include "tests/otlp_writer.h"

static mw_arena arena;
static int spans_compared;

static mw_err compare_resource(void *ctx, const mw_scan_resource *resource)
{
    mw_otlp_resource *unpacked;
    (void)ctx;
    assert_int_equal(mw_unpack_resource(resource->bytes, &arena, &unpacked), MW_OK);
    return MW_OK;
}

static mw_err compare_scope(void *ctx, const mw_scan_scope *scope)
{
    mw_otlp_scope *unpacked;
    (void)ctx;
    assert_int_equal(mw_unpack_scope(scope->bytes, &arena, &unpacked), MW_OK);
    return MW_OK;
}

static mw_err compare_span(void *ctx, const mw_scan_span *span)
{
    mw_otlp_span *unpacked;
    (void)ctx;
    assert_int_equal(mw_unpack_span(span->bytes, &arena, &unpacked), MW_OK);
    assert_int_equal(unpacked->trace_id.len, 16);
    assert_memory_equal(unpacked->trace_id.data, span->trace_id, 16);
    assert_memory_equal(unpacked->span_id.data, span->span_id, 8);
    assert_int_equal(unpacked->start_time_unix_nano, span->start_ns);
    assert_int_equal(unpacked->end_time_unix_nano, span->end_ns);
    assert_int_equal(unpacked->kind, span->kind);
    assert_true(mw_slice_equal(mw_unpack_slice(unpacked->name), span->name));
    assert_int_equal(unpacked->n_attributes, span->attribute_count);
    assert_int_equal(unpacked->n_events, span->event_count);
    assert_int_equal(unpacked->n_links, span->link_count);
    uint32_t code = unpacked->status ? (uint32_t)unpacked->status->code : 0;
    assert_int_equal(code, span->status_code);
    if (unpacked->status)
        assert_true(
            mw_slice_equal(mw_unpack_slice(unpacked->status->message), span->status_message));
    spans_compared++;
    return MW_OK;
}

static const mw_scan_sink sink = {
    .arena = &arena, .resource = compare_resource, .scope = compare_scope, .span = compare_span};

static void compare(otlp_capture *capture)
{
    mw_scan_result result;
    assert_int_equal(mw_scan_traces(capture->message, NULL, &sink, &result), MW_OK);
    ProtobufCMessage *whole;
    assert_int_equal(
        mw_unpack_message(
            &opentelemetry__proto__collector__trace__v1__export_trace_service_request__descriptor,
            capture->message, &arena, &whole),
        MW_OK);
    mw_arena_reset(&arena);
}

static void test_captures(void **state)
{
    (void)state;
    spans_compared = 0;
    assert_int_equal(capture_each("trace-", compare), 7);
    assert_int_equal(spans_compared, 2 * (3 + 200 + 1) + 2);
    otlp_capture capture = capture_load("synthetic/trace-unknown_fields-protobuf");
    compare(&capture);
    capture_free(&capture);
}

/* At the depth limit, with the freedoms of the wire format used. */
static void test_handmade(void **state)
{
    (void)state;
    otlp_writer span = plain_span(1, "nul\xc3\xa9"), value = nested_value(64), status = {0};
    put_attribute(&span, 9, "deep", &value);
    put_bytes(&span, 5, "a\0b", 3);
    /* protobuf-c merges a split message by its pointers only: a number of the first part would be
     * lost. */
    put_text(&status, 2, "split");
    put_message(&span, 15, &status);
    put_number(&status, 3, 2);
    put_message(&span, 15, &status);
    put_number(&span, 1000, 5);
    otlp_writer spans = {0};
    put_message(&spans, 2, &span);
    otlp_writer request = request_of(&spans);
    mw_scan_result result;
    spans_compared = 0;
    assert_int_equal(mw_scan_traces(written(&request), NULL, &sink, &result), MW_OK);
    assert_int_equal(spans_compared, 1);
    mw_arena_reset(&arena);
    free(request.data);
}

static void test_errors(void **state)
{
    (void)state;
    otlp_writer span = plain_span(1, "a");
    for (int i = 0; i < 100; i++)
        put_text_attribute(&span, 9, "key", "value");
    mw_otlp_span *unpacked;
    mw_arena small;
    mw_arena_init(&small, MW_MEM_QUERY, 5000);
    assert_int_equal(mw_unpack_span(written(&span), &small, &unpacked), MW_E_NOMEM);
    assert_null(unpacked);
    mw_arena_reset(&small);
    assert_int_equal(mw_unpack_span(MW_SLICE("\x0a\x7f"), &arena, &unpacked), MW_E_SYNTAX);
    assert_int_equal(mw_unpack_span(written(&span), &arena, &unpacked), MW_OK);
    assert_int_equal(unpacked->n_attributes, 100);
    assert_slice(mw_unpack_slice(unpacked->attributes[99]->key), "key");
    assert_slice(mw_unpack_slice(unpacked->attributes[99]->value->string_value), "value");
    free(span.data);
    mw_arena_reset(&arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_captures),
        cmocka_unit_test(test_handmade),
        cmocka_unit_test(test_errors),
    };
    mw_arena_init(&arena, MW_MEM_QUERY, 0);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
