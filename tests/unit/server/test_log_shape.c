/* Log records as the API shows them, made by hand: every member, what is absent, odd values. */
#include <jansson.h>
#include <stdio.h>

#include "server/api/shape_log.h"
#include "tests/check.h"
#include "tests/otlp_writer.h"

static json_t *write_record(const mw_log_record *record, mw_err *err)
{
    mw_buffer text;
    mw_json json;
    mw_record_writer writer;
    mw_buffer_init(&text, MW_MEM_QUERY, 1 << 20);
    mw_json_init(&json, &text);
    mw_record_writer_init(&writer, &json);
    *err = mw_record_write(&writer, record);
    mw_record_writer_fini(&writer);
    json_t *root =
        *err ? NULL
             : json_loadb(text.data, text.len, JSON_REJECT_DUPLICATES | JSON_ALLOW_NUL, NULL);
    mw_buffer_fini(&text);
    return root;
}

/* The member's value as JSON text. */
static void expect(const json_t *object, const char *key, const char *wanted)
{
    char *text = json_dumps(json_object_get(object, key), JSON_ENCODE_ANY | JSON_COMPACT);
    if (!text || strcmp(text, wanted) != 0)
        fail_msg("%s is %s, expected %s", key, text ? text : "absent", wanted);
    free(text);
}

static otlp_writer text_value(const char *text)
{
    otlp_writer value = {0};
    put_text(&value, 1, text);
    return value;
}

/* {"role":"assistant","parts":[1,{}],"none":null} as a kvlist. */
static otlp_writer structured_value(void)
{
    otlp_writer value = {0}, list = {0}, parts = {0}, array = {0}, one = {0}, map = {0}, none = {0};
    put_text_attribute(&list, 1, "role", "assistant");
    put_number(&one, 3, 1);
    put_message(&array, 1, &one);
    put_bytes(&map, 6, NULL, 0);
    put_message(&array, 1, &map);
    put_message(&parts, 5, &array);
    put_attribute(&list, 1, "parts", &parts);
    put_attribute(&list, 1, "none", &none);
    put_message(&value, 6, &list);
    return value;
}

static otlp_writer full_record(void)
{
    otlp_writer log = {0}, body = structured_value();
    static const uint8_t ids[16] = {0xaa, 1};
    put_fixed64(&log, 1, UINT64_C(1700000000000000001));
    put_number(&log, 2, 17);
    put_text(&log, 3, "Error");
    put_message(&log, 5, &body);
    put_text_attribute(&log, 6, "k", "first");
    put_text_attribute(&log, 6, "k", "last");
    put_int_attribute(&log, 6, "big", INT64_C(9007199254740993));
    put_number(&log, 7, 3);
    put_fixed32(&log, 8, 257);
    put_bytes(&log, 9, ids, 16);
    put_bytes(&log, 10, ids, 8);
    put_fixed64(&log, 11, UINT64_C(1700000000000000002));
    put_text(&log, 12, "gen_ai.choice");
    return log;
}

static void test_full_record(void **state)
{
    (void)state;
    mw_err err;
    otlp_writer log = full_record(), resource = {0}, scope = {0};
    put_text_attribute(&resource, 1, "service.name", "shop");
    put_text(&scope, 1, "tests");
    mw_log_record record = {
        .row = {.trace_id = {0xaa, 1},
                .span_id = {0xaa, 1},
                .time_ns = UINT64_C(1700000000000000001),
                .severity = 17,
                .service = MW_SLICE("shop"),
                .agent = MW_SLICE("clerk"),
                .session_id = MW_SLICE("inherited"),
                .origin = MW_SLICE("x-aws-log-group=/aws/a=b\nx-aws-log-stream=s")},
        .bytes = written(&log),
        .resource = {.bytes = written(&resource), .schema_url = MW_SLICE("https://r")},
        .scope = {.bytes = written(&scope)}};
    json_t *root = write_record(&record, &err);
    assert_non_null(root);
    expect(root, "time", "\"2023-11-14T22:13:20.000000001Z\"");
    expect(root, "time_unix_nano", "\"1700000000000000001\"");
    expect(root, "observed_time", "\"2023-11-14T22:13:20.000000002Z\"");
    expect(root, "observed_time_unix_nano", "\"1700000000000000002\"");
    expect(root, "severity", "17");
    expect(root, "severity_text", "\"Error\"");
    expect(root, "event_name", "\"gen_ai.choice\"");
    expect(root, "body", "{\"role\":\"assistant\",\"parts\":[1,{}],\"none\":null}");
    expect(root, "attributes", "{\"k\":\"last\",\"big\":\"9007199254740993\"}");
    expect(root, "dropped_attributes_count", "3");
    expect(root, "flags", "257");
    expect(root, "service", "\"shop\"");
    expect(root, "agent", "\"clerk\"");
    expect(root, "session_id", "\"inherited\"");
    expect(root, "trace_id", "\"aa010000000000000000000000000000\"");
    expect(root, "span_id", "\"aa01000000000000\"");
    expect(root, "log_group", "\"/aws/a=b\"");
    expect(root, "log_stream", "\"s\"");
    expect(root, "resource", "{\"service.name\":\"shop\"}");
    expect(root, "resource_schema_url", "\"https://r\"");
    expect(json_object_get(root, "scope"), "name", "\"tests\"");
    expect(json_object_get(root, "scope"), "attributes", "{}");
    json_decref(root);
    free(log.data);
    free(resource.data);
    free(scope.data);
}

/* All members of an empty record are there; severity 0 is a number, all else null or empty. */
static void test_empty_record(void **state)
{
    (void)state;
    static const char *const nulls[] = {"observed_time",
                                        "observed_time_unix_nano",
                                        "severity_text",
                                        "event_name",
                                        "service",
                                        "agent",
                                        "session_id",
                                        "trace_id",
                                        "span_id",
                                        "log_group",
                                        "log_stream",
                                        "body",
                                        "resource_schema_url"};
    mw_err err;
    mw_log_record record = {.row = {.time_ns = 1}, .bytes = MW_SLICE("")};
    json_t *root = write_record(&record, &err);
    assert_non_null(root);
    for (size_t i = 0; i < sizeof nulls / sizeof nulls[0]; i++)
        expect(root, nulls[i], "null");
    expect(root, "time_unix_nano", "\"1\"");
    expect(root, "severity", "0");
    expect(root, "flags", "0");
    expect(root, "dropped_attributes_count", "0");
    expect(root, "attributes", "{}");
    expect(root, "resource", "{}");
    expect(json_object_get(root, "scope"), "name", "null");
    json_decref(root);
}

static void expect_body(otlp_writer body, const char *wanted)
{
    mw_err err;
    otlp_writer log = {0};
    put_message(&log, 5, &body);
    mw_log_record record = {.row = {.time_ns = 1}, .bytes = written(&log)};
    json_t *root = write_record(&record, &err);
    assert_non_null(root);
    expect(root, "body", wanted);
    json_decref(root);
    free(log.data);
}

static void test_bodies(void **state)
{
    (void)state;
    otlp_writer number = {0}, real = {0}, nan = {0}, bytes = {0}, empty = {0};
    put_number(&number, 3, (uint64_t)INT64_C(-9007199254740993));
    put_double(&real, 4, 5.0);
    put_double(&nan, 4, __builtin_nan(""));
    put_bytes(&bytes, 7, "\0\xff", 2);
    expect_body(text_value("plain \x1b[31m \xff text"), "\"plain \\u001B[31m \xef\xbf\xbd text\"");
    expect_body(text_value(""), "\"\"");
    expect_body(number, "\"-9007199254740993\"");
    expect_body(real, "5.0");
    expect_body(nan, "\"NaN\"");
    expect_body(bytes, "\"AP8=\"");
    expect_body(empty, "null");
    /* As deep as ingest lets it. */
    expect_body(nested_value(2), "{\"k\":[\"leaf\"]}");
    mw_err err;
    otlp_writer log = {0}, deep = nested_value(64);
    put_message(&log, 5, &deep);
    mw_log_record record = {.row = {.time_ns = 1}, .bytes = written(&log)};
    json_t *root = write_record(&record, &err);
    const json_t *at = json_object_get(root, "body");
    for (int i = 0; i < 64; i++)
        at = i % 2 ? json_array_get(at, 0) : json_object_get(at, "k");
    assert_string_equal(json_string_value(at), "leaf");
    json_decref(root);
    free(log.data);
}

static void test_damaged_record(void **state)
{
    (void)state;
    mw_err err;
    mw_log_record record = {.bytes = MW_SLICE("\xff\xff\xff")};
    assert_null(write_record(&record, &err));
    assert_int_equal(err, MW_E_CORRUPT);
}

/* Wherever memory ends, the answer is an error and nothing is lost. */
static void test_no_memory(void **state)
{
    (void)state;
    mw_err err = MW_E_NOMEM;
    otlp_writer log = full_record();
    mw_log_record record = {.row = {.time_ns = 1}, .bytes = written(&log)};
    size_t used = mw_memory_used(), failed = 0;
    for (uint64_t n = 1; err; n++, failed += err != MW_OK) {
        mw_memory_fail_at(n);
        json_t *root = write_record(&record, &err);
        mw_memory_fail_at(0);
        assert_true(err == MW_OK || err == MW_E_NOMEM);
        json_decref(root);
        assert_int_equal(mw_memory_used(), used);
    }
    assert_true(failed > 3);
    free(log.data);
}

/* What is too long is shown from its columns; each member is there all the same. */
static void test_oversized(void **state)
{
    (void)state;
    static const char *const nulls[] = {"observed_time", "severity_text", "body",
                                        "dropped_attributes_count", "flags"};
    mw_err err;
    otlp_writer log = full_record();
    mw_log_record record = {.row = {.time_ns = 1,
                                    .severity = 17,
                                    .trace_id = {0xaa, 1},
                                    .service = MW_SLICE("shop"),
                                    .session_id = MW_SLICE("s"),
                                    .event_name = MW_SLICE("dump")},
                            .oversized = 60000000,
                            .resource = {.oversized = 5000000},
                            .scope = {.oversized = 7000000}};
    mw_log_record whole = {.row = {.time_ns = 1}, .bytes = written(&log)};
    json_t *root = write_record(&record, &err), *other = write_record(&whole, &err);
    assert_non_null(root);
    assert_non_null(other);
    for (size_t i = 0; i < sizeof nulls / sizeof nulls[0]; i++)
        expect(root, nulls[i], "null");
    expect(root, "oversized_bytes", "60000000");
    expect(root, "resource_oversized_bytes", "5000000");
    expect(json_object_get(root, "scope"), "oversized_bytes", "7000000");
    expect(root, "resource", "{}");
    expect(root, "attributes", "{}");
    expect(root, "severity", "17");
    expect(root, "event_name", "\"dump\"");
    expect(root, "service", "\"shop\"");
    expect(root, "session_id", "\"s\"");
    expect(root, "trace_id", "\"aa010000000000000000000000000000\"");
    expect(other, "oversized_bytes", "null");
    expect(other, "resource_oversized_bytes", "null");
    expect(json_object_get(other, "scope"), "oversized_bytes", "null");
    const char *key;
    json_t *value;
    json_object_foreach(other, key, value) assert_non_null(json_object_get(root, key));
    assert_int_equal(json_object_size(root), json_object_size(other));
    json_decref(root);
    json_decref(other);
    record.row.severity = 255;
    root = write_record(&record, &err);
    expect(root, "severity", "null");
    json_decref(root);
    free(log.data);
}

static void test_severities(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        int number; /* -1 = refused */
    } cases[] = {{"0", 0},        {"24", 24},    {"25", -1},     {"256", -1},    {"-1", -1},
                 {"TRACE", 1},    {"debug", 5},  {"Info", 9},    {"WARN", 13},   {"warn4", 16},
                 {"ERROR2", 18},  {"FATAL", 21}, {"FATAL4", 24}, {"ERROR1", -1}, {"ERROR5", -1},
                 {"WARNING", -1}, {"", -1},      {"2", 2},       {"ERROR22", -1}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        uint8_t number = 99;
        bool known = mw_severity_parse(mw_slice_of(cases[i].text), &number);
        assert_int_equal(known, cases[i].number >= 0);
        if (known)
            assert_int_equal(number, cases[i].number);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_full_record), cmocka_unit_test(test_empty_record),
        cmocka_unit_test(test_bodies),      cmocka_unit_test(test_damaged_record),
        cmocka_unit_test(test_severities),  cmocka_unit_test(test_no_memory),
        cmocka_unit_test(test_oversized),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
