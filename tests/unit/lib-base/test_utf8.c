/* UTF-8: the boundaries of RFC 3629, and text made safe for a terminal. */
#include "lib/base/utf8.h"
#include "tests/check.h"

static void test_valid(void **state)
{
    (void)state;
    static const char *const good[] = {"",
                                       "plain ascii that is longer than eight bytes",
                                       "\xc2\x80",
                                       "\xdf\xbf",
                                       "\xe0\xa0\x80",
                                       "\xed\x9f\xbf",
                                       "\xee\x80\x80",
                                       "\xf0\x90\x80\x80",
                                       "\xf4\x8f\xbf\xbf",
                                       ("abcdefgh\xc3\xa9"
                                        "abcdefgh\xc3\xa9")};
    static const char *const bad[] = {"\x80",
                                      "\xc0\x80",
                                      "\xc1\xbf",
                                      "\xc2",
                                      "\xe0\x9f\xbf",
                                      "\xed\xa0\x80",
                                      "\xf0\x8f\xbf\xbf",
                                      "\xf4\x90\x80\x80",
                                      "\xf5\x80\x80\x80",
                                      "\xff",
                                      "abcdefgh\xe2\x82",
                                      "abcdefghabcdefg\xff"};
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++)
        if (!mw_utf8_valid(mw_slice_of(good[i])))
            fail_msg("refused good %zu", i);
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        if (mw_utf8_valid(mw_slice_of(bad[i])))
            fail_msg("accepted bad %zu", i);
    assert_true(mw_utf8_valid(mw_slice_bytes("a\0b", 3)));
}

/* Every code point, encoded by the table, is read back; every surrogate is refused. */
static void test_all_code_points(void **state)
{
    (void)state;
    for (uint32_t code = 0; code <= 0x10ffff; code++) {
        unsigned char bytes[4];
        size_t len = 0;
        if (code < 0x80) {
            bytes[len++] = (unsigned char)code;
        } else if (code < 0x800) {
            bytes[len++] = (unsigned char)(0xc0 | code >> 6);
            bytes[len++] = (unsigned char)(0x80 | (code & 63));
        } else if (code < 0x10000) {
            bytes[len++] = (unsigned char)(0xe0 | code >> 12);
            bytes[len++] = (unsigned char)(0x80 | (code >> 6 & 63));
            bytes[len++] = (unsigned char)(0x80 | (code & 63));
        } else {
            bytes[len++] = (unsigned char)(0xf0 | code >> 18);
            bytes[len++] = (unsigned char)(0x80 | (code >> 12 & 63));
            bytes[len++] = (unsigned char)(0x80 | (code >> 6 & 63));
            bytes[len++] = (unsigned char)(0x80 | (code & 63));
        }
        uint32_t back = 0;
        size_t got = mw_utf8_next(mw_slice_bytes(bytes, len), &back);
        bool surrogate = code >= 0xd800 && code <= 0xdfff;
        if (surrogate ? got != 0 : (got != len || back != code))
            fail_msg("code point %x", code);
    }
}

static void check_visible(const char *in, size_t len, bool keep, const char *expected)
{
    mw_buffer out;
    mw_buffer_init(&out, MW_MEM_BASE, 1000);
    mw_utf8_append_visible(&out, mw_slice_bytes(in, len), keep);
    assert_slice(mw_buffer_slice(&out), expected);
    mw_buffer_fini(&out);
}

static void test_visible(void **state)
{
    (void)state;
    check_visible("\x1b[2J", 4, false, "\\x1b[2J");
    check_visible("a\nb\tc", 5, false, "a\\x0ab\\x09c");
    check_visible("a\nb\tc", 5, true, "a\nb\tc");
    check_visible("\xc2\x9b", 2, true, "\\x9b");         /* C1 CSI */
    check_visible("\xe2\x80\xae", 3, true, "\\u{202e}"); /* right-to-left override */
    check_visible("\xff\xc3\xa9", 3, true, "\xef\xbf\xbd\xc3\xa9");
}

static void test_columns(void **state)
{
    (void)state;
    assert_int_equal(mw_utf8_columns(MW_SLICE("abc")), 3);
    assert_int_equal(mw_utf8_columns(MW_SLICE("\xe6\x97\xa5\xe6\x9c\xac")), 4);
    assert_int_equal(mw_utf8_columns(MW_SLICE("e\xcc\x81")), 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_valid),
        cmocka_unit_test(test_all_code_points),
        cmocka_unit_test(test_visible),
        cmocka_unit_test(test_columns),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
