/* OTLP/JSON to wire bytes: values that must arrive exactly, mistakes that must be named. */
#include <math.h>

#include "proto/json.h"
#include "proto/otlp_logs_service.pb-c.h"
#include "proto/otlp_metrics_service.pb-c.h"
#include "proto/otlp_trace_service.pb-c.h"
#include "proto/scan.h"
#include "proto/unpack.h"
#include "tests/check.h"

typedef Opentelemetry__Proto__Collector__Trace__V1__ExportTraceServiceRequest traces_request;

static mw_buffer wire;
static mw_arena arena;
static mw_json_notes notes;
static mw_detail detail;

static int setup(void **state)
{
    (void)state;
    mw_buffer_init(&wire, MW_MEM_INGEST, (size_t)64 << 20);
    mw_arena_init(&arena, MW_MEM_INGEST, 0);
    memset(&detail, 0, sizeof detail);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    mw_buffer_fini(&wire);
    mw_arena_reset(&arena);
    return 0;
}

static mw_err convert(mw_slice text, mw_json_kind kind)
{
    mw_buffer_clear(&wire);
    return mw_json_to_wire(text, kind, &wire, &notes, &detail);
}

static ProtobufCMessage *unpack(const ProtobufCMessageDescriptor *descriptor)
{
    ProtobufCMessage *message = NULL;
    assert_int_equal(mw_unpack_message(descriptor, mw_buffer_slice(&wire), &arena, &message),
                     MW_OK);
    return message;
}

/* `body` is what stands between the braces of one span. */
static mw_otlp_span *span_of(const char *body)
{
    char *text = mw_arena_printf(
        &arena, "{\"resourceSpans\":[{\"scopeSpans\":[{\"spans\":[{%s}]}]}]}", body);
    if (convert(mw_slice_of(text), MW_JSON_TRACES) != MW_OK)
        return NULL;
    traces_request *request = (traces_request *)unpack(
        &opentelemetry__proto__collector__trace__v1__export_trace_service_request__descriptor);
    return request->resource_spans[0]->scope_spans[0]->spans[0];
}

static mw_otlp_value *value_of(const char *value)
{
    char *body = mw_arena_printf(&arena, "\"attributes\":[{\"key\":\"k\",\"value\":%s}]", value);
    mw_otlp_span *span = span_of(body);
    return span ? span->attributes[0]->value : NULL;
}

static void test_span_fields(void **state)
{
    (void)state;
    mw_otlp_span *span =
        span_of("\"traceId\":\"5B8EFFF798038103D269B633813FC60C\",\"spanId\":\"eee19b7ec3c1b174\","
                "\"name\":\"a\\u00e9\\ud83d\\ude00\\n\",\"kind\":3,\"startTimeUnixNano\":"
                "\"1544712660000000001\",\"endTimeUnixNano\":1544712661000000000,\"flags\":257,"
                "\"unknownThing\":[{\"x\":[1,{},null]},\"y\"],\"events\":[],\"links\":null,"
                "\"status\":{\"code\":2,\"message\":\"no\"},\"parentSpanId\":\"\"");
    assert_non_null(span);
    assert_int_equal(span->trace_id.len, 16);
    assert_memory_equal(span->trace_id.data, "\x5b\x8e\xff\xf7", 4);
    assert_int_equal(span->span_id.len, 8);
    assert_int_equal(span->parent_span_id.len, 0);
    assert_slice(mw_unpack_slice(span->name), "a\xc3\xa9\xf0\x9f\x98\x80\n");
    assert_int_equal(span->kind, 3);
    assert_true(span->start_time_unix_nano == UINT64_C(1544712660000000001));
    assert_true(span->end_time_unix_nano == UINT64_C(1544712661000000000));
    assert_int_equal(span->flags, 257);
    assert_int_equal(span->status->code, 2);
    assert_int_equal(notes.enum_names + notes.snake_case_keys, 0);
}

static void test_bad_ids_are_the_items(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "5b8efff798038103d269b633813fc60", "0x5b8efff798038103",
        "W47/95gDgQPSabYzgT/GDA==", "zz8efff798038103d269b633813fc60c", "0123456789abcdef"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        mw_otlp_span *span = span_of(mw_arena_printf(&arena, "\"traceId\":\"%s\"", bad[i]));
        assert_non_null(span);
        assert_int_equal(span->trace_id.len, 1);
    }
}

static void test_values(void **state)
{
    (void)state;
    assert_true(value_of("{\"intValue\":\"-9223372036854775808\"}")->int_value == INT64_MIN);
    assert_true(value_of("{\"intValue\":9223372036854775807}")->int_value == INT64_MAX);
    assert_true(value_of("{\"intValue\":12e2}")->int_value == 1200);
    assert_true(value_of("{\"intValue\":\"5.0\"}")->int_value == 5);
    assert_true(value_of("{\"doubleValue\":0.1}")->double_value == 0.1);
    assert_true(value_of("{\"doubleValue\":7}")->double_value == 7);
    assert_true(isnan(value_of("{\"doubleValue\":\"NaN\"}")->double_value));
    assert_true(isinf(value_of("{\"doubleValue\":\"-Infinity\"}")->double_value));
    assert_true(value_of("{\"boolValue\":false}")->value_case ==
                OPENTELEMETRY__PROTO__COMMON__V1__ANY_VALUE__VALUE_BOOL_VALUE);
    assert_int_equal(value_of("{}")->value_case, 0);
    assert_int_equal(value_of("{\"doubleValue\":null}")->value_case, 0);
    mw_otlp_value *nul = value_of("{\"stringValue\":\"a\\u0000b\"}");
    assert_int_equal(nul->string_value.len, 3);
    assert_slice(mw_unpack_slice(value_of("{\"bytesValue\":\"Zm9v\"}")->bytes_value), "foo");
    assert_slice(mw_unpack_slice(value_of("{\"bytesValue\":\"Zm8\"}")->bytes_value), "fo");
    assert_slice(mw_unpack_slice(value_of("{\"bytesValue\":\"_-8=\"}")->bytes_value), "\xff\xef");
    mw_otlp_value *list =
        value_of("{\"arrayValue\":{\"values\":[{\"intValue\":1},null,{\"stringValue\":\"x\"}]}}");
    assert_int_equal(list->array_value->n_values, 3);
    assert_int_equal(list->array_value->values[1]->value_case, 0);
}

/* Objects under equal keys merge; empty ones add nothing, and the wire stays one that unpacks. */
static void test_equal_keys(void **state)
{
    (void)state;
    static const struct {
        const char *body;
        int value_case;
    } rows[] = {{"\"value\":{},\"value\":{}", 0},
                {"\"value\":{},\"value\":{\"x\":1},\"value\":{\"intValue\":null}", 0},
                {"\"value\":{\"intValue\":5},\"value\":{}", 3},
                {"\"value\":{},\"value\":{\"intValue\":5},\"value\":{}", 3},
                {"\"value\":{\"intValue\":5},\"value\":{\"boolValue\":true}", 2}};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        mw_otlp_span *span = span_of(mw_arena_printf(
            &arena, "\"attributes\":[{\"key\":\"k\",%s},{\"key\":\"l\"}],\"name\":\"n\"",
            rows[i].body));
        assert_non_null(span);
        assert_int_equal(span->n_attributes, 2);
        assert_non_null(span->attributes[0]->value);
        assert_int_equal(span->attributes[0]->value->value_case, rows[i].value_case);
        assert_slice(mw_unpack_slice(span->name), "n");
    }
}

static void test_long_strings_move(void **state)
{
    (void)state;
    /* Lengths on both sides of every varint boundary, inside nested messages. */
    static const size_t sizes[] = {0, 1, 120, 127, 128, 16380, 16383, 16384, 2100000};
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        char *filler = mw_arena_alloc(&arena, sizes[i] + 1);
        memset(filler, 'x', sizes[i]);
        filler[sizes[i]] = '\0';
        mw_otlp_value *value =
            value_of(mw_arena_printf(&arena, "{\"stringValue\":\"%s\"}", filler));
        assert_int_equal(value->string_value.len, sizes[i]);
    }
}

static void test_refused(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        mw_err err;
        const char *says;
    } rows[] = {
        {"", MW_E_SYNTAX, "empty"},
        {"  \n", MW_E_SYNTAX, "empty"},
        {"[]", MW_E_SYNTAX, "must be a JSON object"},
        {"null", MW_E_SYNTAX, "must be a JSON object"},
        {"\xef\xbb\xbf{}", MW_E_SYNTAX, "byte 0"},
        {"{} x", MW_E_SYNTAX, "after the request"},
        {"{\"a\":1,}", MW_E_SYNTAX, "unexpected"},
        {"{\"a\":[1,]}", MW_E_SYNTAX, "unexpected"},
        {"{\"a\":{\"b\":}}", MW_E_SYNTAX, "unexpected"},
        {"{\"a\":[}]}", MW_E_SYNTAX, "unexpected"},
        {"{\"a\":[1 2]}", MW_E_SYNTAX, "unexpected"},
        {"{\"a\":{]}", MW_E_SYNTAX, "unexpected"},
        {"{\"a\" 1}", MW_E_SYNTAX, "unexpected"},
        {"{\"a\":01}", MW_E_SYNTAX, ""},
        {"{\"a\":1.}", MW_E_SYNTAX, ""},
        {"{\"a\":-}", MW_E_SYNTAX, "number"},
        {"{\"a\":NaN}", MW_E_SYNTAX, "NaN"},
        {"{\"a\":\"\\ud800\"}", MW_E_SYNTAX, "surrogate"},
        {"{\"a\":\"\\udc00\\ud800\"}", MW_E_SYNTAX, "surrogate"},
        {"{\"a\":\"\\x41\"}", MW_E_SYNTAX, "escape"},
        {"{\"a\":\"\xff\"}", MW_E_SYNTAX, "UTF-8"},
        {"{\"a\":\"\x01\"}", MW_E_SYNTAX, "control"},
        {"{\"a\":\"x", MW_E_SYNTAX, "end"},
        {"{\"a\":[[[", MW_E_SYNTAX, "early"},
        {"{\"resourceSpans\":{}}", MW_E_INVALID, "resourceSpans: expected an array"},
        {"{\"resourceSpans\":[7]}", MW_E_INVALID, "resourceSpans[0]: expected an object"},
        {"{\"resourceSpans\":[{},{\"scopeSpans\":[{\"spans\":[{\"kind\":\"x\"}]}]}]}", MW_E_INVALID,
         "resourceSpans[1].scopeSpans[0].spans[0].kind"},
        {"{\"resourceSpans\":[{\"scopeSpans\":[{\"spans\":[{\"startTimeUnixNano\":-1}]}]}]}",
         MW_E_INVALID, "startTimeUnixNano: expected an unsigned"},
        {"{\"resourceSpans\":[{\"scopeSpans\":[{\"spans\":[{\"startTimeUnixNano\":\"12abc\"}]}]}]}",
         MW_E_INVALID, "startTimeUnixNano"},
        {"{\"resourceSpans\":[{\"scopeSpans\":[{\"spans\":[{\"flags\":4294967296}]}]}]}",
         MW_E_INVALID, "flags"},
        {"{\"resourceSpans\":[{\"scopeSpans\":[{\"spans\":[{\"name\":5}]}]}]}", MW_E_INVALID,
         "name: expected a string"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        mw_err err = convert(mw_slice_of(rows[i].text), MW_JSON_TRACES);
        if (err != rows[i].err || !strstr(detail.message, rows[i].says))
            fail_msg("%s: error %d, %s", rows[i].text, (int)err, detail.message);
    }
    static const char *const values[] = {
        "{\"intValue\":1.5}",        "{\"intValue\":9223372036854775808}",
        "{\"intValue\":\"\"}",       "{\"intValue\":true}",
        "{\"doubleValue\":1e400}",   "{\"doubleValue\":\"nan\"}",
        "{\"boolValue\":1}",         "{\"bytesValue\":\"Z\"}",
        "{\"bytesValue\":\"Zm 9\"}", "{\"arrayValue\":[]}",
    };
    for (size_t i = 0; i < sizeof values / sizeof values[0]; i++)
        if (value_of(values[i]))
            fail_msg("accepted %s", values[i]);
}

static void test_notes(void **state)
{
    (void)state;
    mw_otlp_span *span = span_of("\"kind\":\"SPAN_KIND_SERVER\",\"start_time_unix_nano\":\"7\"");
    assert_int_equal(span->kind, 2);
    assert_true(span->start_time_unix_nano == 7);
    assert_int_equal(notes.enum_names, 1);
    assert_int_equal(notes.snake_case_keys, 1);
    assert_non_null(strstr(notes.first, "SPAN_KIND_SERVER"));
}

static char *nested(size_t depth, const char *open, const char *close)
{
    size_t unit = strlen(open), end = strlen(close);
    char *text = mw_arena_alloc(&arena, depth * (unit + end) + 16);
    char *at = text;
    for (size_t i = 0; i < depth; i++, at += unit)
        memcpy(at, open, unit);
    memcpy(at, "{}", 2);
    at += 2;
    for (size_t i = 0; i < depth; i++, at += end)
        memcpy(at, close, end);
    *at = '\0';
    return text;
}

static mw_err take_any_resource(void *ctx, const mw_scan_resource *resource)
{
    (void)ctx;
    (void)resource;
    return MW_OK;
}

static mw_err take_any_scope(void *ctx, const mw_scan_scope *scope)
{
    (void)ctx;
    (void)scope;
    return MW_OK;
}

static mw_err count_span(void *ctx, const mw_scan_span *span)
{
    (void)span;
    ++*(int *)ctx;
    return MW_OK;
}

static void scan_wire(mw_scan_result *result, int *kept)
{
    static const char *const names[] = {"k"};
    mw_keyset *keys = mw_keyset_new(names, 1);
    *kept = 0;
    mw_scan_sink sink = {.ctx = kept,
                         .arena = &arena,
                         .resource = take_any_resource,
                         .scope = take_any_scope,
                         .span = count_span};
    assert_int_equal(mw_scan_traces(mw_buffer_slice(&wire), keys, &sink, result), MW_OK);
    mw_keyset_free(keys);
}

static void test_depth(void **state)
{
    (void)state;
    static const struct {
        size_t depth;
        mw_refusal refusal;
    } rows[] = {{64, MW_REFUSE_NONE},  {65, MW_REFUSE_DEPTH},   {66, MW_REFUSE_DEPTH},
                {67, MW_REFUSE_DEPTH}, {1000, MW_REFUSE_DEPTH}, {100000, MW_REFUSE_DEPTH}};
    static const char *const forms[][2] = {
        {"{\"arrayValue\":{\"values\":[", "]}}"},
        {"{\"kvlistValue\":{\"values\":[{\"key\":\"x\",\"value\":", "}]}}"}};
    for (size_t i = 0; i < 2 * sizeof rows / sizeof rows[0]; i++) {
        size_t depth = rows[i / 2].depth;
        char *value = nested(depth, forms[i % 2][0], forms[i % 2][1]);
        char *text = mw_arena_printf(
            &arena,
            "{\"resourceSpans\":[{\"scopeSpans\":[{\"spans\":[{\"traceId\":"
            "\"5b8efff798038103d269b633813fc60c\",\"spanId\":\"eee19b7ec3c1b174\","
            "\"attributes\":[{\"key\":\"k\",\"value\":%s}]},{\"traceId\":"
            "\"5b8efff798038103d269b633813fc60c\",\"spanId\":\"eee19b7ec3c1b175\"}]}]}]}",
            value);
        mw_err err = convert(mw_slice_of(text), MW_JSON_TRACES);
        if (err != MW_OK)
            fail_msg("depth %zu: %s", depth, detail.message);
        mw_scan_result result;
        int kept;
        scan_wire(&result, &kept);
        bool refused = rows[i / 2].refusal == MW_REFUSE_DEPTH;
        if (kept != (refused ? 1 : 2) || (refused && result.refused[MW_REFUSE_DEPTH] != 1))
            fail_msg("depth %zu form %zu: kept %d", depth, i % 2, kept);
    }
    /* Deep text under an unknown key is walked, not kept. */
    char *deep = nested(200000, "[", "]");
    assert_int_equal(
        convert(mw_slice_of(mw_arena_printf(&arena, "{\"x\":%s}", deep)), MW_JSON_TRACES), MW_OK);
    assert_int_equal(wire.len, 0);
}

static mw_slice read_capture(const char *name)
{
    char path[160];
    snprintf(path, sizeof path, "tests/data/otlp-captures/%s.bin", name);
    FILE *file = fopen(path, "rb");
    if (!file)
        fail_msg("cannot open %s", path);
    char *data = mw_arena_alloc(&arena, 1 << 20);
    size_t len = fread(data, 1, 1 << 20, file);
    fclose(file);
    return (mw_slice){data, len};
}

static mw_slice packed(const ProtobufCMessage *message)
{
    size_t len = protobuf_c_message_get_packed_size(message);
    char *out = mw_arena_alloc(&arena, len + 1);
    protobuf_c_message_pack(message, (uint8_t *)out);
    return (mw_slice){out, len};
}

/* The same data in both encodings gives the same record: packed again, the same bytes. */
static void test_same_record(void **state)
{
    (void)state;
    const ProtobufCMessageDescriptor *metrics =
        &opentelemetry__proto__collector__metrics__v1__export_metrics_service_request__descriptor;
    mw_slice json = read_capture("synthetic/metrics-exemplars_all_types-json");
    /* The one value that the writer of the JSON form lost: the sign of -0.0. */
    char *zero = memmem(json.data, json.len, "\"asDouble\":0,", 13);
    zero = zero ? zero : memmem(json.data, json.len, "\"asDouble\":0}", 13);
    assert_non_null(zero);
    size_t at = (size_t)(zero - json.data) + 11;
    json = mw_slice_of(mw_arena_printf(&arena, "%.*s-0.0%.*s", (int)at, json.data,
                                       (int)(json.len - at - 1), json.data + at + 1));
    assert_int_equal(convert(json, MW_JSON_METRICS), MW_OK);
    mw_slice from_json = packed(unpack(metrics));
    ProtobufCMessage *message;
    mw_slice binary = read_capture("synthetic/metrics-exemplars_all_types-protobuf");
    assert_int_equal(mw_unpack_message(metrics, binary, &arena, &message), MW_OK);
    mw_slice from_binary = packed(message);
    assert_int_equal(from_json.len, from_binary.len);
    assert_memory_equal(from_json.data, from_binary.data, from_json.len);
}

static void test_client_bodies(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        mw_json_kind kind;
        const ProtobufCMessageDescriptor *descriptor;
    } rows[] = {
        {"logs-basic-http-json-none", MW_JSON_LOGS,
         &opentelemetry__proto__collector__logs__v1__export_logs_service_request__descriptor},
        {"logs-event_structured-http-json-none", MW_JSON_LOGS,
         &opentelemetry__proto__collector__logs__v1__export_logs_service_request__descriptor},
        {"metrics-counters_gauges-http-json-none", MW_JSON_METRICS,
         &opentelemetry__proto__collector__metrics__v1__export_metrics_service_request__descriptor},
        {"metrics-exp_histogram-http-json-none", MW_JSON_METRICS,
         &opentelemetry__proto__collector__metrics__v1__export_metrics_service_request__descriptor},
        {"metrics-histogram-http-json-none", MW_JSON_METRICS,
         &opentelemetry__proto__collector__metrics__v1__export_metrics_service_request__descriptor},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        if (convert(read_capture(rows[i].name), rows[i].kind) != MW_OK)
            fail_msg("%s: %s", rows[i].name, detail.message);
        unpack(rows[i].descriptor);
    }
    static const struct {
        const char *name;
        int spans;
    } traces[] = {{"trace-agent_session-http-json-none", 3},
                  {"trace-batch_200-http-json-none", 200},
                  {"trace-limits-http-json-none", 1}};
    for (size_t i = 0; i < sizeof traces / sizeof traces[0]; i++) {
        mw_scan_result result;
        int kept;
        assert_int_equal(convert(read_capture(traces[i].name), MW_JSON_TRACES), MW_OK);
        scan_wire(&result, &kept);
        assert_int_equal(kept, traces[i].spans);
        assert_int_equal(result.refused_total, 0);
    }
}

static void test_bounded_output(void **state)
{
    (void)state;
    mw_buffer small;
    mw_buffer_init(&small, MW_MEM_INGEST, 64);
    char *filler = mw_arena_printf(&arena, "{\"resourceSpans\":[{\"schemaUrl\":\"%0100d\"}]}", 0);
    assert_int_equal(mw_json_to_wire(mw_slice_of(filler), MW_JSON_TRACES, &small, &notes, &detail),
                     MW_E_LIMIT);
    mw_buffer_fini(&small);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_span_fields, setup, teardown),
        cmocka_unit_test_setup_teardown(test_bad_ids_are_the_items, setup, teardown),
        cmocka_unit_test_setup_teardown(test_values, setup, teardown),
        cmocka_unit_test_setup_teardown(test_equal_keys, setup, teardown),
        cmocka_unit_test_setup_teardown(test_long_strings_move, setup, teardown),
        cmocka_unit_test_setup_teardown(test_refused, setup, teardown),
        cmocka_unit_test_setup_teardown(test_notes, setup, teardown),
        cmocka_unit_test_setup_teardown(test_depth, setup, teardown),
        cmocka_unit_test_setup_teardown(test_same_record, setup, teardown),
        cmocka_unit_test_setup_teardown(test_client_bodies, setup, teardown),
        cmocka_unit_test_setup_teardown(test_bounded_output, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
