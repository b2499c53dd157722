/* JSON and protobuf of the same data are the same to the store: rows, items, contexts.
 *
 * The captures of one scenario were made by two runs of a client: only times and ids differ, and
 * are left out of the comparison. The synthetic pair is equal in everything.
 */
#include "collector/export_int.h"
#include "proto/otlp_logs_service.pb-c.h"
#include "proto/otlp_metrics_service.pb-c.h"
#include "tests/unit/collector/export_fixture.h"

typedef struct pair {
    mw_export_batch protobuf, json;
    otlp_capture captures[2];
    mw_buffer wire;
    bool exact; /* times and ids too */
} pair;

static pair read_pair(mw_signal signal, const char *protobuf, const char *json, bool exact)
{
    pair both = {.exact = exact};
    both.captures[0] = capture_load(protobuf);
    both.captures[1] = capture_load(json);
    mw_export_outcome outcome = {.signal = mw_export_signal_of(signal)};
    assert_int_equal(
        mw_export_json(both.captures[1].message, 1 << 20, &arena, &both.wire, &outcome), MW_OK);
    assert_int_equal(outcome.json_warning.len, 0);
    assert_int_equal(read_as(signal, both.captures[0].message, &both.protobuf), MW_OK);
    assert_int_equal(read_as(signal, mw_buffer_slice(&both.wire), &both.json), MW_OK);
    assert_true(both.protobuf.count > 0);
    assert_int_equal(both.protobuf.count, both.json.count);
    assert_int_equal(both.protobuf.resources.count, both.json.resources.count);
    assert_int_equal(both.protobuf.scopes.count, both.json.scopes.count);
    assert_int_equal(both.protobuf.metrics.count, both.json.metrics.count);
    return both;
}

static void end_pair(pair *both)
{
    mw_export_batch_fini(&both->protobuf);
    mw_export_batch_fini(&both->json);
    mw_buffer_fini(&both->wire);
    capture_free(&both->captures[0]);
    capture_free(&both->captures[1]);
}

static void assert_same(mw_slice a, mw_slice b)
{
    if (!mw_slice_equal(a, b))
        fail_msg("\"%.*s\" and \"%.*s\"", MW_SLICE_FMT(a), MW_SLICE_FMT(b));
}

/* ---- items, in protobuf-c's own words -------------------------------------------------------- */

/* What protobuf-c writes after reading: one order of fields, no zeros. */
static mw_slice again(const ProtobufCMessage *message)
{
    size_t size = protobuf_c_message_get_packed_size(message);
    uint8_t *out = mw_arena_alloc(&arena, size + 1);
    assert_non_null(out);
    return (mw_slice){(const char *)out, protobuf_c_message_pack(message, out)};
}

static mw_slice log_again(mw_slice bytes, bool exact)
{
    Opentelemetry__Proto__Logs__V1__LogRecord *record =
        opentelemetry__proto__logs__v1__log_record__unpack(NULL, bytes.len,
                                                           (const uint8_t *)bytes.data);
    assert_non_null(record);
    ProtobufCBinaryData trace_id = record->trace_id, span_id = record->span_id;
    if (!exact) {
        record->time_unix_nano = record->observed_time_unix_nano = 0;
        record->trace_id.len = record->span_id.len = 0;
    }
    mw_slice packed = again(&record->base);
    record->trace_id = trace_id;
    record->span_id = span_id;
    opentelemetry__proto__logs__v1__log_record__free_unpacked(record, NULL);
    return packed;
}

static const ProtobufCMessageDescriptor *point_message(uint8_t kind)
{
    switch ((mw_metric_kind)kind) {
    case MW_METRIC_HISTOGRAM:
        return &opentelemetry__proto__metrics__v1__histogram_data_point__descriptor;
    case MW_METRIC_EXPONENTIAL_HISTOGRAM:
        return &opentelemetry__proto__metrics__v1__exponential_histogram_data_point__descriptor;
    case MW_METRIC_SUMMARY:
        return &opentelemetry__proto__metrics__v1__summary_data_point__descriptor;
    default: return &opentelemetry__proto__metrics__v1__number_data_point__descriptor;
    }
}

/* Sets a fixed64 field of a message of any kind. */
static void clear_number(ProtobufCMessage *message, const char *name)
{
    const ProtobufCFieldDescriptor *field =
        protobuf_c_message_descriptor_get_field_by_name(message->descriptor, name);
    assert_non_null(field);
    memset((char *)message + field->offset, 0, sizeof(uint64_t));
}

static mw_slice point_again(mw_slice bytes, uint8_t kind, bool exact)
{
    ProtobufCMessage *point = protobuf_c_message_unpack(point_message(kind), NULL, bytes.len,
                                                        (const uint8_t *)bytes.data);
    assert_non_null(point);
    if (!exact) {
        clear_number(point, "time_unix_nano");
        clear_number(point, "start_time_unix_nano");
    }
    mw_slice packed = again(point);
    protobuf_c_message_free_unpacked(point, NULL);
    return packed;
}

/* ---- rows ------------------------------------------------------------------------------------ */

static void compare_logs(const pair *both, size_t i)
{
    const mw_log_row *a = (const mw_log_row *)both->protobuf.rows + i;
    const mw_log_row *b = (const mw_log_row *)both->json.rows + i;
    assert_int_equal(a->severity, b->severity);
    assert_int_equal(a->flags, b->flags);
    assert_same(a->service, b->service);
    assert_same(a->session_id, b->session_id);
    assert_same(a->agent, b->agent);
    assert_same(a->event_name, b->event_name);
    assert_int_equal(mw_id_is_zero(a->trace_id, 16), mw_id_is_zero(b->trace_id, 16));
    assert_same(log_again(both->protobuf.items[i].bytes, both->exact),
                log_again(both->json.items[i].bytes, both->exact));
}

static void compare_points(const pair *both, size_t i)
{
    const mw_point_row *a = (const mw_point_row *)both->protobuf.rows + i;
    const mw_point_row *b = (const mw_point_row *)both->json.rows + i;
    assert_true(a->series == b->series);
    assert_true(a->value == b->value || (a->value != a->value && b->value != b->value));
    assert_int_equal(a->count, b->count);
    assert_int_equal(a->kind, b->kind);
    assert_int_equal(a->temporality, b->temporality);
    assert_int_equal(a->flags, b->flags);
    assert_same(a->name, b->name);
    assert_same(a->unit, b->unit);
    assert_same(a->service, b->service);
    assert_same(a->session_id, b->session_id);
    uint32_t metric = both->protobuf.items[i].metric;
    assert_int_equal(metric, both->json.items[i].metric);
    assert_same(both->protobuf.metric_heads[metric], both->json.metric_heads[metric]);
    assert_same(point_again(both->protobuf.items[i].bytes, a->kind, both->exact),
                point_again(both->json.items[i].bytes, b->kind, both->exact));
    if (both->exact) {
        assert_int_equal(a->time_ns, b->time_ns);
        assert_int_equal(a->start_ns, b->start_ns);
    }
}

static void compare_scenario(mw_signal signal, const char *scenario,
                             void (*compare)(const pair *both, size_t i))
{
    char protobuf[96], json[96];
    snprintf(protobuf, sizeof protobuf, "%s-http-protobuf-none", scenario);
    snprintf(json, sizeof json, "%s-http-json-none", scenario);
    pair both = read_pair(signal, protobuf, json, false);
    for (size_t i = 0; i < both.protobuf.count; i++)
        compare(&both, i);
    end_pair(&both);
}

static void test_logs(void **state)
{
    (void)state;
    static const char *const scenarios[] = {"logs-basic", "logs-many_120", "logs-event_structured"};
    for (size_t i = 0; i < 3; i++)
        compare_scenario(MW_SIGNAL_LOGS, scenarios[i], compare_logs);
}

static void test_points(void **state)
{
    (void)state;
    static const char *const scenarios[] = {"metrics-counters_gauges", "metrics-histogram",
                                            "metrics-exp_histogram"};
    for (size_t i = 0; i < 3; i++)
        compare_scenario(MW_SIGNAL_METRICS, scenarios[i], compare_points);
}

/* Its JSON writer lost the sign of -0.0, which only the item's bytes show. */
static void test_synthetic(void **state)
{
    (void)state;
    pair both = read_pair(MW_SIGNAL_METRICS, "synthetic/metrics-exemplars_all_types-protobuf",
                          "synthetic/metrics-exemplars_all_types-json", true);
    assert_int_equal(both.protobuf.count, 5);
    for (size_t i = 0; i < 4; i++)
        compare_points(&both, i);
    end_pair(&both);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_logs),
        cmocka_unit_test(test_points),
        cmocka_unit_test(test_synthetic),
    };
    return RUN_ALL(tests);
}
