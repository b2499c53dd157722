/* AnyValue as JSON: number rules, last key wins, nesting without recursion, bounds. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "server/api/otlp_value.h"

#define VALUE_CASE(name) OPENTELEMETRY__PROTO__COMMON__V1__ANY_VALUE__VALUE_##name

typedef Opentelemetry__Proto__Common__V1__ArrayValue array_value;
typedef Opentelemetry__Proto__Common__V1__KeyValueList kvlist_value;

static ProtobufCBinaryData data_of(const char *text)
{
    return (ProtobufCBinaryData){strlen(text), (uint8_t *)(uintptr_t)text};
}

static mw_otlp_value string_of(const char *text)
{
    mw_otlp_value value = OPENTELEMETRY__PROTO__COMMON__V1__ANY_VALUE__INIT;
    value.value_case = VALUE_CASE(STRING_VALUE);
    value.string_value = data_of(text);
    return value;
}

static mw_otlp_value int_of(int64_t number)
{
    mw_otlp_value value = OPENTELEMETRY__PROTO__COMMON__V1__ANY_VALUE__INIT;
    value.value_case = VALUE_CASE(INT_VALUE);
    value.int_value = number;
    return value;
}

static mw_otlp_value double_of(double number)
{
    mw_otlp_value value = OPENTELEMETRY__PROTO__COMMON__V1__ANY_VALUE__INIT;
    value.value_case = VALUE_CASE(DOUBLE_VALUE);
    value.double_value = number;
    return value;
}

static void expect(const mw_otlp_value *value, const char *wanted)
{
    mw_buffer text;
    mw_json json;
    mw_arena scratch;
    mw_buffer_init(&text, MW_MEM_QUERY, 65536);
    mw_arena_init(&scratch, MW_MEM_QUERY, 1 << 20);
    mw_json_init(&json, &text);
    mw_json_any_value(&json, value, &scratch);
    assert_int_equal(text.err, MW_OK);
    assert_int_equal(text.len, strlen(wanted));
    assert_memory_equal(text.data, wanted, text.len);
    mw_buffer_fini(&text);
    mw_arena_reset(&scratch);
}

static void test_scalars(void **state)
{
    (void)state;
    mw_otlp_value value = string_of("a\"b");
    expect(&value, "\"a\\\"b\"");
    value = int_of(-7);
    expect(&value, "-7");
    value = int_of(INT64_MAX);
    expect(&value, "\"9223372036854775807\"");
    value = double_of(5);
    expect(&value, "5.0");
    value = double_of(0.1);
    expect(&value, "0.1");
    value = double_of(NAN);
    expect(&value, "\"NaN\"");
    value = double_of(-INFINITY);
    expect(&value, "\"-Infinity\"");
    mw_otlp_value empty = OPENTELEMETRY__PROTO__COMMON__V1__ANY_VALUE__INIT;
    expect(&empty, "null");
    expect(NULL, "null");
    empty.value_case = VALUE_CASE(BOOL_VALUE);
    empty.bool_value = 1;
    expect(&empty, "true");
}

static void test_bytes_and_bad_text(void **state)
{
    (void)state;
    mw_otlp_value value = string_of("\xff|");
    expect(&value, "\"\xef\xbf\xbd|\"");
    value.value_case = VALUE_CASE(BYTES_VALUE);
    value.bytes_value = (ProtobufCBinaryData){3, (uint8_t *)(uintptr_t) "\x00\xff\x10"};
    expect(&value, "\"AP8Q\"");
}

static void test_nested(void **state)
{
    (void)state;
    mw_otlp_value one = int_of(1), two = string_of("two");
    mw_otlp_value empty = OPENTELEMETRY__PROTO__COMMON__V1__ANY_VALUE__INIT;
    mw_otlp_value *members[] = {&one, &two, &empty};
    array_value array = OPENTELEMETRY__PROTO__COMMON__V1__ARRAY_VALUE__INIT;
    array.n_values = 3;
    array.values = members;
    mw_otlp_value inner = OPENTELEMETRY__PROTO__COMMON__V1__ANY_VALUE__INIT;
    inner.value_case = VALUE_CASE(ARRAY_VALUE);
    inner.array_value = &array;
    mw_otlp_key_value pair = OPENTELEMETRY__PROTO__COMMON__V1__KEY_VALUE__INIT;
    pair.key = data_of("list");
    pair.value = &inner;
    mw_otlp_key_value none = OPENTELEMETRY__PROTO__COMMON__V1__KEY_VALUE__INIT;
    none.key = data_of("none");
    mw_otlp_key_value *pairs[] = {&pair, &none};
    kvlist_value list = OPENTELEMETRY__PROTO__COMMON__V1__KEY_VALUE_LIST__INIT;
    list.n_values = 2;
    list.values = pairs;
    mw_otlp_value outer = OPENTELEMETRY__PROTO__COMMON__V1__ANY_VALUE__INIT;
    outer.value_case = VALUE_CASE(KVLIST_VALUE);
    outer.kvlist_value = &list;
    expect(&outer, "{\"list\":[1,\"two\",null],\"none\":null}");
    array.n_values = 0;
    array.values = NULL;
    list.n_values = 1;
    expect(&outer, "{\"list\":[]}");
    list.n_values = 0;
    list.values = NULL;
    expect(&outer, "{}");
}

/* `count` attributes whose keys repeat every `period`. */
static void check_last_wins(size_t count, size_t period)
{
    static mw_otlp_value values[200];
    static mw_otlp_key_value pairs[200], *pointers[200];
    static char names[200][24];
    mw_buffer text, wanted;
    mw_json json;
    mw_arena scratch;
    mw_buffer_init(&text, MW_MEM_QUERY, 65536);
    mw_buffer_init(&wanted, MW_MEM_QUERY, 65536);
    mw_arena_init(&scratch, MW_MEM_QUERY, 1 << 20);
    mw_buffer_append_byte(&wanted, '{');
    for (size_t i = 0; i < count; i++) {
        snprintf(names[i], sizeof names[i], "k%zu", i % period);
        values[i] = int_of((int64_t)i);
        pairs[i] = (mw_otlp_key_value)OPENTELEMETRY__PROTO__COMMON__V1__KEY_VALUE__INIT;
        pairs[i].key = data_of(names[i]);
        pairs[i].value = &values[i];
        pointers[i] = &pairs[i];
        if (i + period >= count)
            mw_buffer_appendf(&wanted, "%s\"%s\":%zu", wanted.len > 1 ? "," : "", names[i], i);
    }
    mw_buffer_append_byte(&wanted, '}');
    mw_json_init(&json, &text);
    mw_json_attributes(&json, pointers, count, &scratch);
    assert_int_equal(text.err, MW_OK);
    assert_true(mw_slice_equal(mw_buffer_slice(&text), mw_buffer_slice(&wanted)));
    mw_buffer_fini(&text);
    mw_buffer_fini(&wanted);
    mw_arena_reset(&scratch);
}

static void test_last_key_wins(void **state)
{
    (void)state;
    check_last_wins(3, 1);
    check_last_wins(10, 7);
    check_last_wins(24, 5);
    check_last_wins(25, 5); /* sorted from here on */
    check_last_wins(200, 3);
    check_last_wins(200, 200);
}

/* Deeper than any valid input: cut with null, still well formed. */
static void test_depth_is_bounded(void **state)
{
    (void)state;
    enum { LEVELS = 500 };
    static mw_otlp_value values[LEVELS + 1], *pointers[LEVELS + 1];
    static array_value arrays[LEVELS];
    char wanted[2 * MW_VALUE_LEVELS_MAX + 5];
    values[LEVELS] = int_of(1);
    for (size_t i = LEVELS; i-- > 0;) {
        pointers[i + 1] = &values[i + 1];
        arrays[i] = (array_value)OPENTELEMETRY__PROTO__COMMON__V1__ARRAY_VALUE__INIT;
        arrays[i].n_values = 1;
        arrays[i].values = &pointers[i + 1];
        values[i] = (mw_otlp_value)OPENTELEMETRY__PROTO__COMMON__V1__ANY_VALUE__INIT;
        values[i].value_case = VALUE_CASE(ARRAY_VALUE);
        values[i].array_value = &arrays[i];
    }
    memset(wanted, '[', MW_VALUE_LEVELS_MAX);
    memcpy(wanted + MW_VALUE_LEVELS_MAX, "null", 4);
    memset(wanted + MW_VALUE_LEVELS_MAX + 4, ']', MW_VALUE_LEVELS_MAX);
    wanted[2 * MW_VALUE_LEVELS_MAX + 4] = '\0';
    expect(&values[0], wanted);
}

static void test_no_scratch_memory(void **state)
{
    (void)state;
    mw_otlp_value value = int_of(1);
    mw_otlp_key_value pair = OPENTELEMETRY__PROTO__COMMON__V1__KEY_VALUE__INIT;
    mw_otlp_key_value *pairs[] = {&pair, &pair};
    mw_buffer text;
    mw_json json;
    mw_arena scratch;
    pair.key = data_of("k");
    pair.value = &value;
    mw_buffer_init(&text, MW_MEM_QUERY, 65536);
    mw_arena_init(&scratch, MW_MEM_QUERY, 1);
    mw_json_init(&json, &text);
    mw_json_attributes(&json, pairs, 2, &scratch);
    assert_int_equal(text.err, MW_E_NOMEM);
    mw_buffer_fini(&text);
    mw_arena_reset(&scratch);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_scalars),          cmocka_unit_test(test_bytes_and_bad_text),
        cmocka_unit_test(test_nested),           cmocka_unit_test(test_last_key_wins),
        cmocka_unit_test(test_depth_is_bounded), cmocka_unit_test(test_no_scratch_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
