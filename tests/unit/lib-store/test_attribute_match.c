/* Attributes against wanted ones: every type of value as text, and random messages against a model
 * that knows what was written. */
#include "tests/unit/lib-store/attribute_model.h"

#include "lib/store/format/attribute_match.h"

static mw_attribute_wanted want(const char *key, const char *value)
{
    mw_attribute_wanted wanted;
    mw_attribute_query query = {mw_slice_of(key), mw_slice_of(value)};
    assert_int_equal(mw_attribute_want(&query, &wanted), MW_OK);
    return wanted;
}

static bool holds(const otlp_writer *message, uint32_t number, const char *key, const char *value)
{
    mw_attribute_wanted wanted = want(key, value);
    return mw_attributes_held(mw_slice_bytes(message->data, message->len), number, &wanted, 1) == 1;
}

static void test_numbers_as_text(void **state)
{
    (void)state;
    assert_true(want("k", "5").is_integer);
    assert_false(want("k", "05").is_integer);
    assert_false(want("k", "-0").is_integer);
    assert_false(want("k", "+5").is_integer);
    assert_false(want("k", "5").is_double);
    assert_true(want("k", "5.0").is_double);
    assert_false(want("k", "5.00").is_double);
    assert_false(want("k", "0x1p3").is_double);
    assert_false(want("k", "nan").is_double);
    assert_false(want("k", " 5.5").is_double);
    assert_false(want("k", "5.5 ").is_double);
    assert_true(want("k", "NaN").is_double);
    assert_true(want("k", "-9223372036854775808").is_integer);
    assert_false(want("k", "9223372036854775808").is_integer);
}

static void test_text_with_nul(void **state)
{
    otlp_writer value = {0}, pair = {0}, message = {0};
    mw_attribute_wanted wanted;
    mw_attribute_query query = {MW_SLICE("k"), MW_SLICE("5\0x")};
    (void)state;
    put_bytes(&value, 1, "5\0x", 3);
    put_text(&pair, 1, "k");
    put_bytes(&pair, 2, value.data, value.len);
    put_bytes(&message, 9, pair.data, pair.len);
    assert_int_equal(mw_attribute_want(&query, &wanted), MW_OK);
    assert_false(wanted.is_integer);
    assert_int_equal(mw_attributes_held(mw_slice_bytes(message.data, message.len), 9, &wanted, 1),
                     1);
    assert_false(holds(&message, 9, "k", "5"));
    assert_false(holds(&message, 6, "k", "5")); /* another field */
    free(value.data), free(pair.data), free(message.data);
}

/* A value that is absent, and one that came empty, have no text: not even the empty one. */
static void test_no_value(void **state)
{
    otlp_writer pair = {0}, message = {0};
    (void)state;
    put_text(&pair, 1, "k");
    put_bytes(&message, 9, pair.data, pair.len);
    put_bytes(&pair, 2, "", 0);
    put_bytes(&message, 9, pair.data, pair.len);
    assert_false(holds(&message, 9, "k", ""));
    free(pair.data), free(message.data);
}

static void test_broken_bytes(void **state)
{
    otlp_writer message = {0};
    (void)state;
    put_text(&message, 9, "\x0a\x01k\x12\x7f"); /* a value longer than its message */
    assert_false(holds(&message, 9, "k", ""));
    put_text(&message, 9, "\x0a\x7fk");
    assert_false(holds(&message, 9, "k", ""));
    put_text(&message, 9, "\x0a\x01k\x12\x03\x0a\x01v");
    assert_true(holds(&message, 9, "k", "v"));
    put_raw(&message, "\xff", 1);
    assert_true(holds(&message, 9, "k", "v"));
    free(message.data);
}

/* The short way to a text says what the long one does, or nothing. */
static void test_usual_texts(void **state)
{
    static const struct {
        const char *bytes;
        size_t len;
        bool usual;
    } pairs[] = {
        {"\x0a\x01k\x12\x03\x0a\x01v", 8, true},
        {"\x0a\x00\x12\x02\x0a\x00", 6, true},
        {"\x0a\x01k\x12\x04\x0a\x81\x00v", 9, true},       /* a length of two bytes */
        {"\x12\x03\x0a\x01v\x0a\x01k", 8, false},          /* the value first */
        {"\x0a\x01k\x12\x02\x18\x05", 7, false},           /* a number */
        {"\x0a\x01k\x12\x05\x0a\x01v\x18\x05", 10, false}, /* a text, then a number */
        {"\x0a\x01k\x12\x03\x0a\x01v\x18\x01", 10, false}, /* more behind the value */
        {"\x0a\x01k\x12\x03\x0a\x02v", 8, false},          /* longer than its message */
        {"\x0a\x01k\x12\x7f\x0a\x01v", 8, false},
        {"\x0a\x01k\x12\x01\x0a", 6, false},
        {"\x0a\x01k\x12\x00", 5, false},
        {"\x0a\x01k", 3, false},
        {"", 0, false},
    };
    (void)state;
    for (size_t i = 0; i < sizeof pairs / sizeof *pairs; i++) {
        mw_slice pair = mw_slice_bytes(pairs[i].bytes, pairs[i].len), key, text, read_key;
        mw_value value;
        assert_int_equal(mw_attribute_text(pair, &key, &text), pairs[i].usual);
        if (!pairs[i].usual)
            continue;
        assert_true(mw_attribute_read(pair, &read_key, &value));
        assert_int_equal(value.type, MW_VALUE_STRING);
        assert_true(mw_slice_equal(key, read_key) && mw_slice_equal(text, value.bytes));
    }
}

#define ATTRIBUTES_MAX 20

/* The answer's bits, for several wanted at once, against the model. */
static void check_message(const otlp_writer *message, const model_attribute *all, size_t count,
                          test_random *random)
{
    mw_attribute_wanted wanted[MW_ATTRIBUTE_QUERIES_MAX];
    uint32_t expected = 0;
    for (size_t i = 0; i < MW_ATTRIBUTE_QUERIES_MAX; i++) {
        const char *key = model_keys[model_pick(random, sizeof model_keys / sizeof model_keys[0])];
        const char *text =
            model_texts[model_pick(random, sizeof model_texts / sizeof model_texts[0])];
        if (count && random_below(random, 2)) {
            const model_attribute *one = &all[random_below(random, count)];
            key = one->key;
            text = one->text;
        }
        wanted[i] = want(key, text);
        expected |= (uint32_t)model_holds(all, count, key, text) << i;
    }
    assert_int_equal(mw_attributes_held(mw_slice_bytes(message->data, message->len), 9, wanted,
                                        MW_ATTRIBUTE_QUERIES_MAX),
                     expected);
}

static void test_model(void **state)
{
    test_random random = {11};
    size_t hits = 0;
    (void)state;
    for (int round = 0; round < 3000; round++) {
        model_attribute all[ATTRIBUTES_MAX];
        otlp_writer message = {0};
        size_t count = random_below(&random, ATTRIBUTES_MAX);
        for (size_t i = 0; i < count; i++) {
            put_text(&message, 5, "a name between");
            model_attribute_put(&message, 9, &random, &all[i]);
        }
        for (size_t i = 0; i < count; i++)
            hits += model_holds(all, count, all[i].key, all[i].text);
        check_message(&message, all, count, &random);
        free(message.data);
    }
    assert_true(hits > 1000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_numbers_as_text), cmocka_unit_test(test_text_with_nul),
        cmocka_unit_test(test_no_value),        cmocka_unit_test(test_broken_bytes),
        cmocka_unit_test(test_usual_texts),     cmocka_unit_test(test_model),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
