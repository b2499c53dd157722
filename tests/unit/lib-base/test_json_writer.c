/* The API's JSON rules: numbers, escapes, commas, times. */
#include <math.h>

#include "lib/base/id.h"
#include "lib/base/json_writer.h"
#include "tests/check.h"

typedef struct fixture {
    mw_buffer buffer;
    mw_json json;
} fixture;

static fixture start(void)
{
    fixture f;
    mw_buffer_init(&f.buffer, MW_MEM_QUERY, 1 << 20);
    return f;
}

#define CHECK_VALUE(call, expected)                                                                \
    do {                                                                                           \
        fixture f = start();                                                                       \
        mw_json_init(&f.json, &f.buffer);                                                          \
        mw_json *j = &f.json;                                                                      \
        call;                                                                                      \
        assert_int_equal(f.buffer.err, MW_OK);                                                     \
        assert_slice(mw_buffer_slice(&f.buffer), expected);                                        \
        mw_buffer_fini(&f.buffer);                                                                 \
    } while (0)

static void test_numbers(void **state)
{
    (void)state;
    CHECK_VALUE(mw_json_i64(j, 9007199254740992), "9007199254740992");
    CHECK_VALUE(mw_json_i64(j, 9007199254740993), "\"9007199254740993\"");
    CHECK_VALUE(mw_json_i64(j, INT64_MIN), "\"-9223372036854775808\"");
    CHECK_VALUE(mw_json_u64(j, UINT64_MAX), "\"18446744073709551615\"");
    CHECK_VALUE(mw_json_double(j, 5), "5.0");
    CHECK_VALUE(mw_json_double(j, -0.0), "-0.0");
    CHECK_VALUE(mw_json_double(j, 5e-324), "5e-324");
    CHECK_VALUE(mw_json_double(j, -1.25e-310), "-1.25e-310");
    CHECK_VALUE(mw_json_double(j, 2.2250738585072011e-308), "2.225073858507201e-308");
    CHECK_VALUE(mw_json_double(j, 0.1), "0.1");
    CHECK_VALUE(mw_json_double(j, 1e300), "1e+300");
    CHECK_VALUE(mw_json_double(j, 0.1 + 0.2), "0.30000000000000004");
    CHECK_VALUE(mw_json_double(j, NAN), "\"NaN\"");
    CHECK_VALUE(mw_json_double(j, INFINITY), "\"Infinity\"");
    CHECK_VALUE(mw_json_double(j, -INFINITY), "\"-Infinity\"");
}

static void test_strings(void **state)
{
    (void)state;
    CHECK_VALUE(mw_json_string(j, MW_SLICE("a\"b\\c\n\t\r")), "\"a\\\"b\\\\c\\n\\t\\r\"");
    CHECK_VALUE(mw_json_string(j, mw_slice_bytes("a\0b", 3)), "\"a\\u0000b\"");
    CHECK_VALUE(mw_json_string(j, MW_SLICE("\x1b[31m\x7f")), "\"\\u001b[31m\\u007f\"");
    CHECK_VALUE(mw_json_string(j, MW_SLICE("</script>&")), "\"\\u003c/script\\u003e\\u0026\"");
    /* Of those that turn the direction of text, the ends of each range and what lies beside it. */
    CHECK_VALUE(mw_json_string(j, MW_SLICE("\u202a\u202e\u2066\u2069\u200e\u200f\u061c\u2028")),
                "\"\\u202a\\u202e\\u2066\\u2069\\u200e\\u200f\\u061c\\u2028\"");
    CHECK_VALUE(mw_json_string(j, MW_SLICE("\u202f\u2065\u206a\u200d\u2010\U0001f600")),
                "\"\u202f\u2065\u206a\u200d\u2010\U0001f600\"");
    CHECK_VALUE(mw_json_string(j, MW_SLICE("\xff\xc3\xa9\xed\xa0\x80")),
                "\"\xef\xbf\xbd\xc3\xa9\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\"");
    CHECK_VALUE(mw_json_bytes_base64(j, MW_SLICE("fooba")), "\"Zm9vYmE=\"");
    CHECK_VALUE(mw_json_hex(j, "\x01\xff", 2), "\"01ff\"");
}

static void test_long_base64(void **state)
{
    (void)state;
    char bytes[500], text[700];
    for (size_t i = 0; i < sizeof bytes; i++)
        bytes[i] = (char)(i * 7);
    text[0] = '"';
    /* The reference: one call over everything. */
    mw_base64_encode(bytes, sizeof bytes, text + 1);
    size_t len = strlen(text);
    text[len] = '"';
    text[len + 1] = '\0';
    CHECK_VALUE(mw_json_bytes_base64(j, mw_slice_bytes(bytes, sizeof bytes)), text);
}

static void test_structure(void **state)
{
    (void)state;
    fixture f = start();
    mw_json_init(&f.json, &f.buffer);
    mw_json *j = &f.json;
    mw_json_object_begin(j);
    mw_json_kv(j, "a", MW_SLICE("x"));
    mw_json_key(j, MW_SLICE("list"));
    mw_json_array_begin(j);
    mw_json_i64(j, 1);
    mw_json_object_begin(j);
    mw_json_object_end(j);
    mw_json_null(j);
    mw_json_array_end(j);
    mw_json_kv_or_null(j, "b", MW_SLICE(""));
    mw_json_kv_bool(j, "c", true);
    mw_json_key(j, MW_SLICE("raw"));
    mw_json_raw(j, MW_SLICE("[1]"));
    mw_json_kv_time(j, "time", UINT64_C(1773480413000000000));
    mw_json_kv_time(j, "none", 0);
    mw_json_object_end(j);
    assert_slice(mw_buffer_slice(&f.buffer),
                 "{\"a\":\"x\",\"list\":[1,{},null],\"b\":null,\"c\":true,\"raw\":[1],"
                 "\"time\":\"2026-03-14T09:26:53.000000000Z\","
                 "\"time_unix_nano\":\"1773480413000000000\","
                 "\"none\":null,\"none_unix_nano\":null}");
    mw_buffer_fini(&f.buffer);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_numbers),
        cmocka_unit_test(test_strings),
        cmocka_unit_test(test_long_base64),
        cmocka_unit_test(test_structure),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
