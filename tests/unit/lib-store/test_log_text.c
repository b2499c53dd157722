/* Text search in bodies: which strings count, how deep, and what broken bytes do. */
#include "tests/unit/lib-store/store_test.h"

#include "lib/store/query/log_text.h"
#include "proto/wire.h"

typedef struct message {
    mw_buffer buffer;
} message;

static void begin(message *out)
{
    mw_buffer_init(&out->buffer, MW_MEM_BASE, 1 << 20);
}

static void put(message *out, uint32_t number, mw_slice content)
{
    mw_wire_append_bytes(&out->buffer, number, content);
}

static mw_slice bytes(const message *out)
{
    return mw_buffer_slice(&out->buffer);
}

/* Puts what is there into field `number` of a message of its own. */
static void wrap(message *out, uint32_t number)
{
    message outer;
    begin(&outer);
    put(&outer, number, bytes(out));
    mw_buffer_fini(&out->buffer);
    *out = outer;
}

static void end(message *out)
{
    mw_buffer_fini(&out->buffer);
}

static void test_contains(void **state)
{
    (void)state;
    assert_true(mw_text_contains(MW_SLICE("abc"), MW_SLICE("")));
    assert_true(mw_text_contains(MW_SLICE_NONE, MW_SLICE_NONE));
    assert_true(mw_text_contains(MW_SLICE("aAbB"), MW_SLICE("ABB")));
    assert_true(mw_text_contains(MW_SLICE("xyz[Z"), MW_SLICE("[z")));
    assert_false(mw_text_contains(MW_SLICE("x@y"), MW_SLICE("x`y"))); /* neighbours of letters */
    assert_false(mw_text_contains(MW_SLICE("x[y"), MW_SLICE("x{y")));
    assert_false(mw_text_contains(MW_SLICE("ab"), MW_SLICE("abc")));
    assert_true(mw_text_contains(MW_SLICE("aab"), MW_SLICE("ab")));
    assert_true(mw_text_contains(MW_SLICE("a\0b"), MW_SLICE("\0B")));
    /* Beyond ASCII bytes are themselves: É is not é. */
    assert_false(mw_text_contains(MW_SLICE("\xc3\x89"), MW_SLICE("\xc3\xa9")));
}

static void test_which_strings(void **state)
{
    message value, pair, record;
    (void)state;
    begin(&record);
    put(&record, 3, MW_SLICE("severity text"));
    begin(&value);
    put(&value, 1, MW_SLICE("of an attribute"));
    begin(&pair);
    put(&pair, 1, MW_SLICE("key of an attribute"));
    put(&pair, 2, bytes(&value));
    put(&record, 6, bytes(&pair));
    end(&value);
    end(&pair);
    begin(&value);
    put(&value, 1, MW_SLICE("The Message"));
    begin(&pair);
    put(&pair, 1, MW_SLICE("the.key"));
    put(&pair, 2, bytes(&value));
    wrap(&pair, 1); /* a list of it */
    wrap(&pair, 6); /* a value */
    wrap(&pair, 1); /* an array of it */
    wrap(&pair, 5); /* a value */
    put(&record, 5, bytes(&pair));
    put(&record, 12, MW_SLICE("event name"));
    assert_true(mw_log_body_contains(bytes(&record), MW_SLICE("the message")));
    assert_true(mw_log_body_contains(bytes(&record), MW_SLICE("THE.KEY")));
    assert_true(mw_log_body_contains(bytes(&record), MW_SLICE("")));
    assert_false(mw_log_body_contains(bytes(&record), MW_SLICE("severity")));
    assert_false(mw_log_body_contains(bytes(&record), MW_SLICE("attribute")));
    assert_false(mw_log_body_contains(bytes(&record), MW_SLICE("event name")));
    /* Not across two strings, nor with the wire's own bytes. */
    assert_false(mw_log_body_contains(bytes(&record), MW_SLICE("the.key\x12")));
    end(&value);
    end(&pair);
    end(&record);
    /* Bytes are no text. */
    begin(&record);
    put(&record, 7, MW_SLICE("raw bytes"));
    wrap(&record, 5);
    assert_false(mw_log_body_contains(bytes(&record), MW_SLICE("raw")));
    end(&record);
    assert_false(mw_log_body_contains(MW_SLICE_NONE, MW_SLICE("x")));
    assert_true(mw_log_body_contains(MW_SLICE_NONE, MW_SLICE("")));
}

/* `levels` arrays around a string, which a sibling of the innermost array follows. */
static bool found_at_depth(size_t levels, const char *needle)
{
    message value, outer;
    begin(&value);
    put(&value, 1, MW_SLICE("deep"));
    for (size_t i = 0; i < levels; i++) {
        wrap(&value, 1);
        wrap(&value, 5);
    }
    wrap(&value, 1);
    begin(&outer); /* ArrayValue: the nest, then a string */
    message last;
    begin(&last);
    put(&last, 1, MW_SLICE("behind"));
    mw_buffer_append_slice(&outer.buffer, bytes(&value));
    put(&outer, 1, bytes(&last));
    wrap(&outer, 5);
    wrap(&outer, 5);
    bool found = mw_log_body_contains(bytes(&outer), mw_slice_of(needle));
    end(&value);
    end(&last);
    end(&outer);
    return found;
}

static void test_depth(void **state)
{
    (void)state;
    assert_true(found_at_depth(1, "DEEP"));
    assert_true(found_at_depth(63, "deep")); /* the bound of what is stored */
    assert_false(found_at_depth(5000, "deep"));
    assert_true(found_at_depth(63, "behind"));
    assert_true(found_at_depth(5000, "behind"));
}

/* Every prefix and every flipped byte: no read outside, an answer of some kind. */
static void test_broken(void **state)
{
    message record;
    (void)state;
    begin(&record);
    put(&record, 1, MW_SLICE("needle"));
    wrap(&record, 2);
    wrap(&record, 1);
    wrap(&record, 6);
    wrap(&record, 5);
    for (size_t len = 0; len <= record.buffer.len; len++) {
        char *copy = malloc(len + !len);
        memcpy(copy, record.buffer.data, len);
        bool whole = len == record.buffer.len;
        assert_int_equal(mw_log_body_contains(mw_slice_bytes(copy, len), MW_SLICE("needle")),
                         whole);
        for (size_t i = 0; i < len; i++) {
            for (unsigned flip = 1; flip < 256; flip++) {
                copy[i] = (char)(copy[i] ^ (int)flip);
                (void)mw_log_body_contains(mw_slice_bytes(copy, len), MW_SLICE("e"));
                copy[i] = (char)(copy[i] ^ (int)flip);
            }
        }
        free(copy);
    }
    end(&record);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_contains),
        cmocka_unit_test(test_which_strings),
        cmocka_unit_test(test_depth),
        cmocka_unit_test(test_broken),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
