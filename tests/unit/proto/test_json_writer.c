/* Wire bytes as OTLP/JSON: every type of field, order and parts, levels, what is left out. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "proto/json_int.h"
#include "proto/wire.h"

static mw_arena arena;
static mw_buffer text;

static int setup(void **state)
{
    (void)state;
    mw_arena_init(&arena, MW_MEM_INGEST, 0);
    mw_buffer_init(&text, MW_MEM_INGEST, (size_t)64 << 20);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    mw_arena_reset(&arena);
    mw_buffer_fini(&text);
    return 0;
}

/* ---- wire bytes by hand -------------------------------------------------------------------- */

static mw_slice join(const mw_slice *parts, size_t count)
{
    size_t total = 0, used = 0;
    for (size_t i = 0; i < count; i++)
        total += parts[i].len;
    char *out = mw_arena_alloc(&arena, total + 1);
    for (size_t i = 0; i < count; used += parts[i++].len)
        if (parts[i].len)
            memcpy(out + used, parts[i].data, parts[i].len);
    return mw_slice_bytes(out, total);
}
#define JOIN(...)                                                                                  \
    join((const mw_slice[]){__VA_ARGS__},                                                          \
         sizeof((const mw_slice[]){__VA_ARGS__}) / sizeof(mw_slice))

static mw_slice keep(mw_buffer *out)
{
    mw_slice copy = mw_arena_copy(&arena, mw_buffer_slice(out));
    mw_buffer_fini(out);
    return copy;
}

static mw_slice bytes_field(uint32_t number, mw_slice content)
{
    mw_buffer out;
    mw_buffer_init(&out, MW_MEM_INGEST, (size_t)64 << 20);
    mw_wire_append_bytes(&out, number, content);
    return keep(&out);
}

static mw_slice text_field(uint32_t number, const char *content)
{
    return bytes_field(number, mw_slice_of(content));
}

static mw_slice number_field(uint32_t number, uint64_t value)
{
    mw_buffer out;
    mw_buffer_init(&out, MW_MEM_INGEST, 64);
    mw_wire_append_varint(&out, MW_WIRE_TAG(number, MW_WIRE_VARINT));
    mw_wire_append_varint(&out, value);
    return keep(&out);
}

static mw_slice fixed_field(uint32_t number, uint64_t value, size_t size)
{
    mw_buffer out;
    mw_buffer_init(&out, MW_MEM_INGEST, 64);
    mw_wire_append_varint(&out, MW_WIRE_TAG(number, size == 8 ? MW_WIRE_FIXED64 : MW_WIRE_FIXED32));
    value = htole64(value);
    mw_buffer_append(&out, &value, size);
    return keep(&out);
}

static mw_slice double_field(uint32_t number, double value)
{
    uint64_t bits;
    memcpy(&bits, &value, sizeof bits);
    return fixed_field(number, bits, 8);
}

static mw_slice pair(const char *key, mw_slice value)
{
    return JOIN(text_field(1, key), bytes_field(2, value));
}

/* ---- checks -------------------------------------------------------------------------------- */

static mw_err print(mw_json_part part, mw_slice wire)
{
    mw_json json;
    mw_buffer_clear(&text);
    mw_json_init(&json, &text);
    mw_err err = mw_json_print(&json, mw_json_message_of(part), wire, &arena);
    return err ? err : text.err;
}

static void expect_text(const char *expected)
{
    mw_slice wanted = mw_slice_of(expected), found = mw_buffer_slice(&text);
    if (!mw_slice_equal(wanted, found))
        fail_msg("%.*s\nis not\n%s", MW_SLICE_FMT(found), expected);
}

static void expect(mw_json_part part, mw_slice wire, const char *expected)
{
    mw_err err = print(part, wire);
    if (err)
        fail_msg("%s: %s", expected, mw_err_text(err));
    expect_text(expected);
}

static void test_scalars(void **state)
{
    (void)state;
    expect(MW_JSON_SPAN, MW_SLICE_NONE, "{}");
    expect(
        MW_JSON_SPAN,
        JOIN(bytes_field(1, MW_SLICE("\x00\x11\x22\x33\x44\x55\x66\x77\x88\x99\xaa\xbb\xcc\xdd\xee"
                                     "\xff")),
             bytes_field(2, MW_SLICE("\x01\x02")), text_field(5, "a\"b"), number_field(6, 3),
             fixed_field(7, UINT64_MAX, 8), number_field(10, UINT32_MAX), fixed_field(16, 0x101, 4),
             text_field(3, "")),
        "{\"traceId\":\"00112233445566778899aabbccddeeff\",\"spanId\":\"0102\","
        "\"traceState\":\"\",\"name\":\"a\\\"b\",\"kind\":3,"
        "\"startTimeUnixNano\":\"18446744073709551615\",\"droppedAttributesCount\":4294967295,"
        "\"flags\":257}");
    /* What is on the wire is there, also a zero; a negative enum is the number it is. */
    expect(MW_JSON_SPAN, JOIN(number_field(6, (uint64_t)-2), number_field(10, 0)),
           "{\"kind\":-2,\"droppedAttributesCount\":0}");
    /* An id of any length, and text that is not UTF-8. */
    char longer[300];
    memset(longer, 'x', sizeof longer);
    assert_int_equal(print(MW_JSON_SPAN, bytes_field(1, mw_slice_bytes(longer, sizeof longer))),
                     MW_OK);
    assert_int_equal(text.len, 600 + strlen("{\"traceId\":\"\"}"));
    expect(MW_JSON_SPAN, text_field(5, "\xff!"), "{\"name\":\"\xef\xbf\xbd!\"}");
}

static void test_values(void **state)
{
    (void)state;
    static const struct {
        const char *json;
    } expected[] = {{"{\"stringValue\":\"\"}"},
                    {"{\"boolValue\":false}"},
                    {"{\"intValue\":\"-9223372036854775808\"}"},
                    {"{\"doubleValue\":-0.0}"},
                    {"{\"doubleValue\":\"-Infinity\"}"},
                    {"{\"bytesValue\":\"AP8=\"}"},
                    {"{\"arrayValue\":{}}"},
                    {"{\"arrayValue\":{\"values\":[{},{\"intValue\":\"1\"}]}}"},
                    {"{\"kvlistValue\":{\"values\":[{\"key\":\"k\",\"value\":{}}]}}"},
                    {"{}"},
                    {"{}"}};
    const mw_slice values[] = {
        text_field(1, ""),
        number_field(2, 0),
        number_field(3, (uint64_t)INT64_MIN),
        double_field(4, -0.0),
        double_field(4, -__builtin_inf()),
        bytes_field(7, MW_SLICE("\x00\xff")),
        bytes_field(5, MW_SLICE_NONE),
        bytes_field(5, JOIN(bytes_field(1, MW_SLICE_NONE), bytes_field(1, number_field(3, 1)))),
        bytes_field(6, bytes_field(1, pair("k", MW_SLICE_NONE))),
        MW_SLICE_NONE,
        number_field(8, 7), /* an index that only profiles have */
    };
    for (size_t i = 0; i < sizeof values / sizeof values[0]; i++)
        expect(MW_JSON_LOG_RECORD, bytes_field(5, values[i]),
               mw_arena_printf(&arena, "{\"body\":%s}", expected[i].json));
}

/* The order on the wire is nobody's matter: lists gather, the last scalar and the last member of a
 * choice count, messages in parts merge. */
static void test_order_and_parts(void **state)
{
    (void)state;
    mw_slice one = bytes_field(1, pair("a", text_field(1, "x"))),
             two = bytes_field(1, pair("b", JOIN(text_field(1, "x"), number_field(3, 5))));
    expect(MW_JSON_RESOURCE,
           JOIN(one, number_field(2, 1), text_field(1000, "unknown"), two, number_field(2, 2)),
           "{\"attributes\":[{\"key\":\"a\",\"value\":{\"stringValue\":\"x\"}},{\"key\":\"b\","
           "\"value\":{\"intValue\":\"5\"}}],\"droppedAttributesCount\":2}");
    expect(MW_JSON_SPAN,
           JOIN(bytes_field(15, text_field(2, "why")), text_field(5, "n"),
                bytes_field(15, number_field(3, 2))),
           "{\"name\":\"n\",\"status\":{\"message\":\"why\",\"code\":2}}");
    mw_slice a = bytes_field(5, bytes_field(1, number_field(3, 1))),
             b = bytes_field(5, bytes_field(1, number_field(3, 2)));
    const char *both = "{\"body\":{\"arrayValue\":{\"values\":[{\"intValue\":\"1\"},"
                       "{\"intValue\":\"2\"}]}}}";
    expect(MW_JSON_LOG_RECORD, bytes_field(5, JOIN(a, b)), both);
    expect(MW_JSON_LOG_RECORD, JOIN(bytes_field(5, a), bytes_field(5, b)), both);
    /* Another member in between: what came before it is gone. */
    expect(MW_JSON_LOG_RECORD, bytes_field(5, JOIN(a, text_field(1, "x"), b)),
           "{\"body\":{\"arrayValue\":{\"values\":[{\"intValue\":\"2\"}]}}}");
}

static void test_packed(void **state)
{
    (void)state;
    mw_slice counts = MW_SLICE("\x01\0\0\0\0\0\0\0\x02\0\0\0\0\0\0\0");
    mw_slice point = JOIN(bytes_field(6, counts), fixed_field(6, 3, 8), double_field(7, 0.5),
                          double_field(5, 0));
    mw_slice wire = JOIN(text_field(1, "m"), bytes_field(9, bytes_field(1, point)));
    expect(MW_JSON_METRIC, wire,
           "{\"name\":\"m\",\"histogram\":{\"dataPoints\":[{\"sum\":0.0,\"bucketCounts\":[\"1\","
           "\"2\",\"3\"],\"explicitBounds\":[0.5]}]}}");
    mw_slice buckets = JOIN(number_field(1, 3), bytes_field(2, MW_SLICE("\x01\x80\x01")));
    mw_slice exponential = bytes_field(1, JOIN(number_field(6, 1), bytes_field(8, buckets)));
    expect(MW_JSON_METRIC, bytes_field(10, exponential),
           "{\"exponentialHistogram\":{\"dataPoints\":[{\"scale\":-1,\"positive\":{\"offset\":-2,"
           "\"bucketCounts\":[\"1\",\"128\"]}}]}}");
}

static mw_slice nested(unsigned levels)
{
    mw_slice value = text_field(1, "deep");
    for (unsigned i = 0; i < levels; i++)
        value = bytes_field(6, bytes_field(1, pair("k", value)));
    return value;
}

static void test_broken(void **state)
{
    (void)state;
    assert_int_equal(print(MW_JSON_SPAN, MW_SLICE("\x0a")), MW_E_SYNTAX);
    assert_int_equal(print(MW_JSON_SPAN, number_field(5, 1)), MW_E_SYNTAX);
    assert_int_equal(print(MW_JSON_SPAN, number_field(9, 1)), MW_E_SYNTAX);
    assert_int_equal(print(MW_JSON_SPAN, number_field(15, 1)), MW_E_SYNTAX);
    assert_int_equal(print(MW_JSON_SPAN, bytes_field(9, MW_SLICE("\xff"))), MW_E_SYNTAX);
    assert_int_equal(
        print(MW_JSON_METRIC, bytes_field(9, bytes_field(1, bytes_field(6, MW_SLICE("\x01"))))),
        MW_E_SYNTAX);
    assert_int_equal(print(MW_JSON_LOG_RECORD, bytes_field(5, nested(MW_OTLP_DEPTH_MAX))), MW_OK);
    assert_int_equal(print(MW_JSON_LOG_RECORD, bytes_field(5, nested(5000))), MW_E_INVALID);
}

/* ---- requests ------------------------------------------------------------------------------ */

static mw_json_item span_item(const char *service, const char *scope, const char *name)
{
    return (mw_json_item){.resource = bytes_field(1, pair(service, MW_SLICE_NONE)),
                          .scope = text_field(1, scope),
                          .bytes = text_field(5, name)};
}

#define RESOURCE(name)                                                                             \
    "{\"resource\":{\"attributes\":[{\"key\":\"" name "\",\"value\":{}}]},\"scopeSpans\":["

static void test_levels(void **state)
{
    (void)state;
    mw_json_writer writer;
    mw_json_item items[] = {span_item("a", "s", "1"), span_item("a", "s", "2"),
                            span_item("a", "t", "3"), span_item("b", "t", "4")};
    items[3].scope_url = MW_SLICE("u");
    mw_json_writer_init(&writer, MW_JSON_TRACES, MW_MEM_QUERY, &text);
    for (size_t i = 0; i < 4; i++)
        assert_int_equal(mw_json_writer_item(&writer, &items[i]), MW_OK);
    assert_int_equal(mw_json_writer_end(&writer), MW_OK);
    expect_text("{\"resourceSpans\":[" RESOURCE(
        "a") "{\"scope\":{\"name\":\"s\"},\"spans\":[{\"name\":\"1\"},{\"name\":\"2\"}]},"
             "{\"scope\":{\"name\":\"t\"},\"spans\":[{\"name\":\"3\"}]}]}," RESOURCE(
                 "b") "{"
                      "\"scope\":{\"name\":\"t\"},\"schemaUrl\":\"u\",\"spans\":[{\"name\":\"4\"}]}"
                      "]}]}");
}

static void test_no_items(void **state)
{
    (void)state;
    mw_json_writer writer;
    mw_json_writer_init(&writer, MW_JSON_LOGS, MW_MEM_QUERY, &text);
    assert_int_equal(mw_json_writer_end(&writer), MW_OK);
    expect_text("{\"resourceLogs\":[]}");
}

static void test_metric_levels(void **state)
{
    (void)state;
    mw_json_writer writer;
    mw_json_item item = {.kind = MW_METRIC_SUM,
                         .metric =
                             JOIN(text_field(1, "m"), text_field(3, "s"),
                                  bytes_field(7, JOIN(number_field(2, 2), number_field(3, 1))),
                                  bytes_field(12, pair("k", MW_SLICE_NONE))),
                         .bytes = fixed_field(6, 7, 8)};
    mw_json_writer_init(&writer, MW_JSON_METRICS, MW_MEM_QUERY, &text);
    assert_int_equal(mw_json_writer_item(&writer, &item), MW_OK);
    item.bytes = double_field(4, 1.5);
    assert_int_equal(mw_json_writer_item(&writer, &item), MW_OK);
    item.kind = MW_METRIC_GAUGE;
    item.metric = JOIN(text_field(1, "g"), bytes_field(5, MW_SLICE_NONE));
    assert_int_equal(mw_json_writer_item(&writer, &item), MW_OK);
    assert_int_equal(mw_json_writer_end(&writer), MW_OK);
    expect_text(
        "{\"resourceMetrics\":[{\"resource\":{},\"scopeMetrics\":[{\"scope\":{},"
        "\"metrics\":[{\"name\":\"m\",\"unit\":\"s\",\"metadata\":[{\"key\":\"k\","
        "\"value\":{}}],\"sum\":{\"aggregationTemporality\":2,\"isMonotonic\":true,"
        "\"dataPoints\":[{\"asInt\":\"7\"},{\"asDouble\":1.5}]}},{\"name\":\"g\",\"gauge\":{"
        "\"dataPoints\":[{\"asDouble\":1.5}]}}]}]}]}");
}

/* Parts whose copies exceed the bound: that item alone is left out. */
static void test_left_out(void **state)
{
    (void)state;
    mw_json_writer writer;
    char *large = mw_arena_zalloc(&arena, 1, MW_JSON_SCRATCH_MAX / 2);
    mw_slice half = bytes_field(2, mw_slice_bytes(large, MW_JSON_SCRATCH_MAX / 2));
    mw_json_item items[] = {span_item("a", "s", "1"), span_item("b", "s", "2"),
                            span_item("a", "s", "3")};
    items[1].bytes = JOIN(bytes_field(15, half), bytes_field(15, half));
    mw_json_writer_init(&writer, MW_JSON_TRACES, MW_MEM_QUERY, &text);
    assert_int_equal(mw_json_writer_item(&writer, &items[0]), MW_OK);
    assert_int_equal(mw_json_writer_item(&writer, &items[1]), MW_E_LIMIT);
    assert_int_equal(mw_json_writer_item(&writer, &items[2]), MW_OK);
    assert_int_equal(mw_json_writer_end(&writer), MW_OK);
    expect_text("{\"resourceSpans\":[" RESOURCE(
        "a") "{\"scope\":{\"name\":\"s\"},\"spans\":[{\"name\":\"1\"},{\"name\":\"3\"}]}]}]}");
}

static void test_full_buffer(void **state)
{
    (void)state;
    mw_json_writer writer;
    mw_buffer small;
    mw_json_item item = span_item("a", "s", "1");
    mw_buffer_init(&small, MW_MEM_QUERY, 64);
    mw_json_writer_init(&writer, MW_JSON_TRACES, MW_MEM_QUERY, &small);
    assert_int_equal(mw_json_writer_item(&writer, &item), MW_E_LIMIT);
    assert_int_equal(small.err, MW_E_LIMIT);
    mw_json_writer_abandon(&writer);
    mw_buffer_fini(&small);
}

int main(void)
{
    mw_memory_init(0);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_scalars, setup, teardown),
        cmocka_unit_test_setup_teardown(test_values, setup, teardown),
        cmocka_unit_test_setup_teardown(test_order_and_parts, setup, teardown),
        cmocka_unit_test_setup_teardown(test_packed, setup, teardown),
        cmocka_unit_test_setup_teardown(test_broken, setup, teardown),
        cmocka_unit_test_setup_teardown(test_levels, setup, teardown),
        cmocka_unit_test_setup_teardown(test_no_items, setup, teardown),
        cmocka_unit_test_setup_teardown(test_metric_levels, setup, teardown),
        cmocka_unit_test_setup_teardown(test_left_out, setup, teardown),
        cmocka_unit_test_setup_teardown(test_full_buffer, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
