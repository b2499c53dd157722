/* Hex, base64 and ids. */
#include "lib/base/id.h"
#include "tests/check.h"

static void test_hex(void **state)
{
    (void)state;
    uint8_t bytes[4] = {0x00, 0xff, 0x1a, 0xa1};
    char text[9];
    mw_hex_encode(bytes, 4, text);
    assert_string_equal(text, "00ff1aa1");
    uint8_t back[4];
    assert_int_equal(mw_hex_decode(MW_SLICE("00FF1aA1"), back, 4), MW_OK);
    assert_memory_equal(back, bytes, 4);
    assert_int_equal(mw_hex_decode(MW_SLICE("00FF1aA"), back, 4), MW_E_SYNTAX);
    assert_int_equal(mw_hex_decode(MW_SLICE("00FF1aG1"), back, 4), MW_E_SYNTAX);
    assert_true(mw_is_hex(MW_SLICE("0aF")));
    assert_false(mw_is_hex(MW_SLICE("")));
    assert_false(mw_is_hex(MW_SLICE("0x")));
    assert_true(mw_id_is_zero("\0\0\0", 3));
    assert_false(mw_id_is_zero("\0\0\1", 3));
}

static void test_base64(void **state)
{
    (void)state;
    /* RFC 4648 section 10. */
    static const char *const rows[][2] = {{"", ""},
                                          {"f", "Zg=="},
                                          {"fo", "Zm8="},
                                          {"foo", "Zm9v"},
                                          {"foob", "Zm9vYg=="},
                                          {"fooba", "Zm9vYmE="},
                                          {"foobar", "Zm9vYmFy"}};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        char text[16], back[16];
        size_t len;
        mw_base64_encode(rows[i][0], strlen(rows[i][0]), text);
        assert_string_equal(text, rows[i][1]);
        assert_int_equal(mw_base64_decode(mw_slice_of(text), back, sizeof back, &len), MW_OK);
        assert_int_equal(len, strlen(rows[i][0]));
        assert_memory_equal(back, rows[i][0], len);
    }
    static const char *const bad[] = {"Zg",   "Zg=", "Z===", "Zh==",     "Zm9=",    "Zm8-",
                                      "Zm 8", "=",   "====", "Zg==Zg==", "Zm9vYg=A"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        char back[16];
        size_t len;
        if (mw_base64_decode(mw_slice_of(bad[i]), back, sizeof back, &len) == MW_OK)
            fail_msg("accepted %s", bad[i]);
    }
    char small[2];
    size_t len;
    assert_int_equal(mw_base64_decode(MW_SLICE("Zm9v"), small, sizeof small, &len), MW_E_SYNTAX);
}

static void test_new(void **state)
{
    (void)state;
    char a[MW_ID_TEXT_SIZE], b[MW_ID_TEXT_SIZE];
    mw_id_new(a);
    mw_id_new(b);
    assert_int_equal(strlen(a), 32);
    assert_true(mw_is_hex(mw_slice_of(a)));
    assert_string_not_equal(a, b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_hex),
        cmocka_unit_test(test_base64),
        cmocka_unit_test(test_new),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
