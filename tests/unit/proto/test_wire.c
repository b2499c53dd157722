/* The wire reader: varint lengths, bounds, tags, what is refused. */
#include "proto/wire.h"
#include "tests/check.h"

typedef struct sample {
    const char *bytes;
    size_t len;
    bool good;
    uint32_t tag;
    uint64_t number;
} sample;

#define SAMPLE(text, good, tag, number)                                                            \
    {                                                                                              \
        text, sizeof(text) - 1, good, tag, number                                                  \
    }

static const sample samples[] = {
    SAMPLE("\x08\x00", true, 8, 0),
    SAMPLE("\x08\x7f", true, 8, 127),
    SAMPLE("\x08\x80\x01", true, 8, 128),
    SAMPLE("\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", true, 8, UINT64_MAX),
    SAMPLE("\x08\x80\x80\x80\x80\x80\x80\x80\x80\x80\x00", true, 8, 0),
    SAMPLE("\x09\x01\x00\x00\x00\x00\x00\x00\x80", true, 9, UINT64_C(0x8000000000000001)),
    SAMPLE("\x0d\x02\x00\x00\x80", true, 13, 0x80000002),
    SAMPLE("\x0a\x00", true, 10, 0),
    SAMPLE("\x85\x01\x01\x00\x00\x00", true, 133, 1),
    SAMPLE("\x8a\x00\x00", true, 10, 0),                         /* a tag longer than need be */
    SAMPLE("\xf8\xff\xff\xff\x0f\x01", true, UINT32_MAX - 7, 1), /* the largest number */

    SAMPLE("\x08", false, 0, 0),
    SAMPLE("\x08\x80", false, 0, 0),
    SAMPLE("\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", false, 0, 0), /* eleven */
    SAMPLE("\x09\x01\x00\x00\x00\x00\x00\x00", false, 0, 0),
    SAMPLE("\x0d\x01\x00\x00", false, 0, 0),
    SAMPLE("\x0a\x01", false, 0, 0),
    SAMPLE("\x0a\xff\xff\xff\xff\x0f", false, 0, 0),
    SAMPLE("\x0a\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", false, 0, 0),
    SAMPLE("\x0a\x80\x80\x80\x80\x80\x00", false, 0, 0), /* six bytes of length */
    SAMPLE("\x00\x00", false, 0, 0),                     /* field number 0 */
    SAMPLE("\x80\x00\x00", false, 0, 0),
    SAMPLE("\x80\x80\x80\x80\x80\x01\x00", false, 0, 0), /* six bytes of tag */
    SAMPLE("\xf8\xff\xff\xff\x1f\x01", false, 0, 0),     /* over 32 bits */
    SAMPLE("\x0b\x0c", false, 0, 0),                     /* group */
    SAMPLE("\x0c", false, 0, 0),
    SAMPLE("\x0e\x00", false, 0, 0),
    SAMPLE("\x0f\x00", false, 0, 0),
};

static void test_samples(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof samples / sizeof samples[0]; i++) {
        const sample *s = &samples[i];
        /* The exact size on the heap, so that a sanitizer sees one byte too far. */
        uint8_t *copy = malloc(s->len);
        assert_non_null(copy);
        memcpy(copy, s->bytes, s->len);
        mw_wire_field field = {0};
        const uint8_t *at = mw_wire_next(copy, copy + s->len, &field);
        if ((at != NULL) != s->good)
            fail_msg("sample %zu: %s", i, at ? "accepted" : "refused");
        if (s->good) {
            assert_ptr_equal(at, copy + s->len);
            assert_int_equal(field.tag, s->tag);
            if ((field.tag & 7) != MW_WIRE_BYTES)
                assert_int_equal(field.number, s->number);
        }
        free(copy);
    }
}

static void test_bytes(void **state)
{
    (void)state;
    static const uint8_t text[] = "\x12\x03"
                                  "a\0b"
                                  "\x18\x05";
    mw_wire_field field;
    const uint8_t *at = mw_wire_next(text, text + 7, &field);
    assert_int_equal(field.tag, MW_WIRE_TAG(2, MW_WIRE_BYTES));
    assert_int_equal(field.bytes.len, 3);
    assert_memory_equal(field.bytes.data, "a\0b", 3);
    at = mw_wire_next(at, text + 7, &field);
    assert_int_equal(mw_wire_number(field.tag), 3);
    assert_int_equal(field.number, 5);
    assert_ptr_equal(at, text + 7);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_samples),
        cmocka_unit_test(test_bytes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
