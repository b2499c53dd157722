/* Shapes that are pure: a whole span, members cut out of JSON text, families of paths, quoting. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "proto/unpack.h"
#include "server/announce.h"
#include "server/api/api_int.h"

static void expect_member(const char *object, const char *name, const char *wanted)
{
    mw_slice found = mw_api_json_member(mw_slice_of(object), mw_slice_of(name));
    assert_int_equal(found.len, strlen(wanted));
    assert_true(mw_slice_equal(found, mw_slice_of(wanted)));
}

static void test_members(void **state)
{
    (void)state;
    const char *text =
        "{\"parts\":{\"a\":[1,{\"x\":\"}]\\\"\"}]}, \"candidates\" : [ ] ,\"n\":1.5}";
    expect_member(text, "parts", "{\"a\":[1,{\"x\":\"}]\\\"\"}]}");
    expect_member(text, "candidates", "[ ]");
    expect_member(text, "n", "1.5");
    expect_member(text, "a", "");
    static const char *const broken[] = {"",        "[]",        "{",          "{\"n\"",
                                         "{\"n\":", "{\"n\":1",  "{\"n\":\"x", "{\"n\\",
                                         "null",    "{\"n\":[1}"};
    for (size_t i = 0; i < sizeof broken / sizeof broken[0]; i++)
        (void)mw_api_json_member(mw_slice_of(broken[i]), MW_SLICE("n"));
    expect_member("{\"n\":1", "n", "");
}

static void test_family_of_path(void **state)
{
    (void)state;
    assert_int_equal(mw_gate_family_of_path(MW_SLICE("/v1/traces")), MW_FAMILY_OTLP);
    assert_int_equal(mw_gate_family_of_path(
                         MW_SLICE("/opentelemetry.proto.collector.trace.v1.TraceService/Export")),
                     MW_FAMILY_OTLP);
    assert_int_equal(mw_gate_family_of_path(MW_SLICE("/webhook/generic/x")), MW_FAMILY_WEBHOOK);
    assert_int_equal(mw_gate_family_of_path(MW_SLICE("/webhooks/x")), MW_FAMILY_WEBHOOK);
    assert_int_equal(mw_gate_family_of_path(MW_SLICE("/api/v1/webhooks")), MW_FAMILY_API);
    assert_int_equal(mw_gate_family_of_path(MW_SLICE("/")), MW_FAMILY_API);
}

static void test_shell_quote(void **state)
{
    (void)state;
    static const char *const cases[][2] = {{"/tmp/a-b_c.d", "/tmp/a-b_c.d"},
                                           {"", "''"},
                                           {"/a b", "'/a b'"},
                                           {"it's;$(x)", "'it'\\''s;$(x)'"}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        mw_buffer out;
        mw_buffer_init(&out, MW_MEM_BASE, 256);
        mw_shell_quote(&out, mw_slice_of(cases[i][0]));
        assert_true(mw_slice_equal(mw_buffer_slice(&out), mw_slice_of(cases[i][1])));
        mw_buffer_fini(&out);
    }
}

/* Packs a span as a client would have sent it. */
static mw_slice pack_span(uint8_t *out)
{
    static uint8_t id16[16] = {1, 2, 3}, id8[8] = {9};
    mw_otlp_span span = OPENTELEMETRY__PROTO__TRACE__V1__SPAN__INIT;
    mw_otlp_status status = OPENTELEMETRY__PROTO__TRACE__V1__STATUS__INIT;
    mw_otlp_event event = OPENTELEMETRY__PROTO__TRACE__V1__SPAN__EVENT__INIT;
    mw_otlp_link link = OPENTELEMETRY__PROTO__TRACE__V1__SPAN__LINK__INIT;
    mw_otlp_event *events[] = {&event};
    mw_otlp_link *links[] = {&link};
    span.trace_id = (ProtobufCBinaryData){16, id16};
    span.span_id = (ProtobufCBinaryData){8, id8};
    span.kind = OPENTELEMETRY__PROTO__TRACE__V1__SPAN__SPAN_KIND__SPAN_KIND_SERVER;
    span.flags = 257;
    span.dropped_links_count = 4;
    status.code = OPENTELEMETRY__PROTO__TRACE__V1__STATUS__STATUS_CODE__STATUS_CODE_ERROR;
    status.message = (ProtobufCBinaryData){4, (uint8_t *)(uintptr_t) "boom"};
    span.status = &status;
    event.time_unix_nano = 1700000000000000001u;
    event.name = (ProtobufCBinaryData){1, (uint8_t *)(uintptr_t) "e"};
    span.n_events = 1;
    span.events = events;
    link.trace_id = span.trace_id;
    link.span_id = span.span_id;
    span.n_links = 1;
    span.links = links;
    return mw_slice_bytes(out, opentelemetry__proto__trace__v1__span__pack(&span, out));
}

static json_t *write_span(const mw_trace_span *span, mw_err *err)
{
    mw_buffer text;
    mw_json json;
    mw_span_writer writer;
    mw_buffer_init(&text, MW_MEM_QUERY, 1 << 20);
    mw_json_init(&json, &text);
    mw_span_writer_init(&writer, &json);
    *err = mw_span_write(&writer, span);
    mw_span_writer_fini(&writer);
    json_t *root = *err ? NULL : json_loadb(text.data, text.len, JSON_REJECT_DUPLICATES, NULL);
    mw_buffer_fini(&text);
    return root;
}

static const char *text_of(const json_t *object, const char *key)
{
    return json_string_value(json_object_get(object, key));
}

static void test_span(void **state)
{
    (void)state;
    static const char *const keys[] = {"span_id",
                                       "parent_span_id",
                                       "name",
                                       "kind",
                                       "operation_kind",
                                       "service",
                                       "agent",
                                       "session_id",
                                       "model",
                                       "input_tokens",
                                       "output_tokens",
                                       "start",
                                       "start_unix_nano",
                                       "end",
                                       "end_unix_nano",
                                       "duration_ms",
                                       "status",
                                       "status_message",
                                       "trace_state",
                                       "flags",
                                       "dropped_attributes_count",
                                       "dropped_events_count",
                                       "dropped_links_count",
                                       "attributes",
                                       "events",
                                       "links",
                                       "resource",
                                       "scope"};
    uint8_t bytes[512];
    mw_err err;
    mw_trace_span span = {.row = {.span_id = {9},
                                  .status = 2,
                                  .start_ns = 1700000000000000000u,
                                  .end_ns = 1700000000002500000u,
                                  .operation_kind = MW_OP_MODEL,
                                  .input_tokens = 12,
                                  .output_tokens = MW_TOKENS_UNKNOWN,
                                  .name = MW_SLICE("chat"),
                                  .service = MW_SLICE("shop")},
                          .bytes = pack_span(bytes)};
    json_t *root = write_span(&span, &err);
    assert_non_null(root);
    for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++)
        assert_non_null(json_object_get(root, keys[i]));
    assert_string_equal(text_of(root, "span_id"), "0900000000000000");
    assert_true(json_is_null(json_object_get(root, "parent_span_id")));
    assert_string_equal(text_of(root, "kind"), "SERVER");
    assert_string_equal(text_of(root, "operation_kind"), "model");
    assert_string_equal(text_of(root, "status"), "ERROR");
    assert_string_equal(text_of(root, "status_message"), "boom");
    assert_string_equal(text_of(root, "start_unix_nano"), "1700000000000000000");
    assert_true(json_real_value(json_object_get(root, "duration_ms")) == 2.5);
    assert_int_equal(json_integer_value(json_object_get(root, "input_tokens")), 12);
    assert_true(json_is_null(json_object_get(root, "output_tokens")));
    assert_int_equal(json_integer_value(json_object_get(root, "flags")), 257);
    assert_int_equal(json_object_size(json_object_get(root, "resource")), 0);
    const json_t *event = json_array_get(json_object_get(root, "events"), 0);
    assert_string_equal(text_of(event, "time_unix_nano"), "1700000000000000001");
    const json_t *link = json_array_get(json_object_get(root, "links"), 0);
    assert_string_equal(text_of(link, "trace_id"), "01020300000000000000000000000000");
    json_decref(root);
}

/* What is too long is shown from its columns; each member is there all the same. */
static void test_oversized_span(void **state)
{
    (void)state;
    mw_err err;
    uint8_t bytes[512];
    mw_trace_span large = {.row = {.name = MW_SLICE("cut name"),
                                   .kind = 2,
                                   .status = 2,
                                   .status_message = MW_SLICE("boom"),
                                   .service = MW_SLICE("shop")},
                           .oversized = 60000000};
    mw_trace_span small = {.bytes = pack_span(bytes)};
    json_t *root = write_span(&large, &err), *other = write_span(&small, &err);
    assert_non_null(root);
    assert_non_null(other);
    assert_string_equal(text_of(root, "name"), "cut name");
    assert_string_equal(text_of(root, "kind"), "SERVER");
    assert_string_equal(text_of(root, "status"), "ERROR");
    assert_string_equal(text_of(root, "status_message"), "boom");
    assert_int_equal(json_object_size(json_object_get(root, "attributes")), 0);
    assert_true(json_is_array(json_object_get(root, "events")));
    assert_true(json_is_array(json_object_get(root, "links")));
    assert_true(json_is_null(json_object_get(root, "flags")));
    assert_int_equal(json_integer_value(json_object_get(root, "oversized_bytes")), 60000000);
    assert_true(json_is_null(json_object_get(other, "oversized_bytes")));
    const char *key;
    json_t *value;
    json_object_foreach(other, key, value) assert_non_null(json_object_get(root, key));
    assert_int_equal(json_object_size(root), json_object_size(other));
    json_decref(root);
    json_decref(other);
    large.row.kind = large.row.status = 255;
    root = write_span(&large, &err);
    assert_true(json_is_null(json_object_get(root, "kind")));
    assert_true(json_is_null(json_object_get(root, "status")));
    json_decref(root);
}

static void test_damaged_span(void **state)
{
    (void)state;
    mw_err err;
    mw_trace_span span = {.bytes = MW_SLICE("\xff\xff\xff")};
    assert_null(write_span(&span, &err));
    assert_int_equal(err, MW_E_CORRUPT);
}

static void test_durations(void **state)
{
    (void)state;
    assert_true(mw_duration_ms(1000000, 3500000) == 2.5);
    assert_true(mw_duration_ms(3500000, 1000000) == -2.5);
    assert_true(mw_duration_ms(0, 0) == 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_members),      cmocka_unit_test(test_family_of_path),
        cmocka_unit_test(test_shell_quote),  cmocka_unit_test(test_span),
        cmocka_unit_test(test_damaged_span), cmocka_unit_test(test_oversized_span),
        cmocka_unit_test(test_durations),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
