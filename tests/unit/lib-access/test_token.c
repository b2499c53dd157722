/* The form of tokens and the rates that bound their use. */
#include <string.h>

#include "lib/access/limiter.h"
#include "lib/access/token.h"
#include "lib/base/id.h"
#include "tests/check.h"

static void test_checksums(void **state)
{
    (void)state;
    static const struct {
        const char *random, *check;
    } rows[] = {{"abcdefghijklmnopqrstuvwxyzABCD", "4dNndU"},
                {"000000000000000000000000000000", "2C8GjS"},
                {"Zz9Yy8Xx7Ww6Vv5Uu4Tt3Ss2Rr1Qq0", "2ZFgkD"}};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        char check[MW_TOKEN_CHECK];
        mw_token_checksum(rows[i].random, check);
        assert_memory_equal(check, rows[i].check, sizeof check);
    }
}

static void test_forms(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        mw_err expected;
    } rows[] = {
        {"mwat_abcdefghijklmnopqrstuvwxyzABCD4dNndU", MW_OK},
        {"mwat_0000000000000000000000000000002C8GjS", MW_OK},
        {"mwat_abcdefghijklmnopqrstuvwxyzABCD4dNndV", MW_E_CORRUPT},
        {"mwat_abcdefghijklmnopqrstuvwxyzABCE4dNndU", MW_E_CORRUPT},
        {"mwhk_abcdefghijklmnopqrstuvwxyzABCD4dNndU", MW_E_SYNTAX},
        {"MWAT_abcdefghijklmnopqrstuvwxyzABCD4dNndU", MW_E_SYNTAX},
        {"mwat_Zz9Yy8Xx7Ww6Vv5Uu4Tt3Ss2Rr1Qq02ZFgkD", MW_OK},
        {"mwat_Zz9Yy8Xx7Ww6Vv5Uu4Tt3Ss2Rr1Qq0P2ZFgkD", MW_E_SYNTAX}, /* one character more */
        {"mwat_abcdefghijklmnopqrstuvwxyzABC4dNndU", MW_E_SYNTAX},
        {"mwat_abcdefghijklmnopqrstuvwxyz-BCD4dNndU", MW_E_SYNTAX},
        {" mwat_abcdefghijklmnopqrstuvwxyzABCD4dNndU", MW_E_SYNTAX},
        {"mwat_", MW_E_SYNTAX},
        {"", MW_E_SYNTAX},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        if (mw_token_check(mw_slice_of(rows[i].text)) != rows[i].expected)
            fail_msg("row %zu: %s", i, rows[i].text);
}

static void test_new_tokens(void **state)
{
    (void)state;
    char one[MW_TOKEN_LEN + 1], two[MW_TOKEN_LEN + 1];
    bool seen[128] = {false};
    for (int i = 0; i < 1000; i++) {
        mw_token_new(MW_TOKEN_PREFIX, one);
        assert_int_equal(mw_token_check(mw_slice_of(one)), MW_OK);
        for (size_t at = 5; at < 35; at++)
            seen[(unsigned char)one[at] & 127] = true;
    }
    size_t distinct = 0;
    for (size_t i = 0; i < sizeof seen; i++)
        distinct += seen[i];
    assert_int_equal(distinct, 62);
    mw_token_new(MW_TOKEN_HOOK_PREFIX, two);
    assert_true(strncmp(two, "mwhk_", 5) == 0);
    assert_string_not_equal(one + 5, two + 5);
}

static void test_digest(void **state)
{
    (void)state;
    uint8_t digest[MW_TOKEN_DIGEST_SIZE];
    char text[2 * MW_TOKEN_DIGEST_SIZE + 1];
    assert_int_equal(mw_token_digest(MW_SLICE("midwatch-pepper-test"),
                                     MW_SLICE("mwat_abcdefghijklmnopqrstuvwxyzABCD4dNndU"), digest),
                     MW_OK);
    mw_hex_encode(digest, sizeof digest, text);
    assert_string_equal(text, "b17624bfacc28bb7aa57b2a02fc3cd5c7a4339ed74e58fe415d122e14e8555ee");
}

static void test_scopes(void **state)
{
    (void)state;
    static const struct {
        const char *text, *shown;
    } rows[] = {{"read", "read"},
                {"ingest", "ingest"},
                {"operate,ingest", "ingest,operate"},
                {" read , ingest,operate ", "ingest,read,operate"}};
    static const char *const bad[] = {"",      ",",     "Read",        "read,read",
                                      "read,", "admin", "read;operate"};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        unsigned scopes;
        char text[MW_TOKEN_SCOPES_SIZE];
        assert_int_equal(mw_token_scopes_parse(mw_slice_of(rows[i].text), &scopes), MW_OK);
        mw_token_scopes_format(scopes, text);
        assert_string_equal(text, rows[i].shown);
    }
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        unsigned scopes;
        if (mw_token_scopes_parse(mw_slice_of(bad[i]), &scopes) != MW_E_INVALID)
            fail_msg("accepted \"%s\"", bad[i]);
    }
}

/* ---- rates --------------------------------------------------------------------------------- */

static void test_rates(void **state)
{
    (void)state;
    unsigned wait = 0;
    int64_t now = 1000 * MW_NS_PER_S;
    const mw_slice a = MW_SLICE("a"), b = MW_SLICE("b");
    mw_limiter *limiter = mw_limiter_new(64);
    for (int i = 0; i < 10; i++)
        assert_true(mw_limiter_take(limiter, a, MW_RATE_FAILURES, now, &wait));
    for (int i = 0; i < 5; i++) {
        assert_false(mw_limiter_take(limiter, a, MW_RATE_FAILURES, now, &wait));
        assert_int_equal(wait, 6); /* asking again costs nothing */
    }
    assert_true(mw_limiter_take(limiter, b, MW_RATE_FAILURES, now, &wait));
    assert_false(mw_limiter_take(limiter, a, MW_RATE_FAILURES, now + 5 * MW_NS_PER_S, &wait));
    assert_int_equal(wait, 1);
    now += 6 * MW_NS_PER_S;
    assert_true(mw_limiter_take(limiter, a, MW_RATE_FAILURES, now, &wait));
    assert_false(mw_limiter_take(limiter, a, MW_RATE_FAILURES, now, &wait));
    now += 60 * MW_NS_PER_S;
    int taken = 0;
    while (mw_limiter_take(limiter, a, MW_RATE_FAILURES, now, &wait))
        taken++;
    assert_int_equal(taken, 10); /* never more than a burst is saved */
    mw_limiter_free(limiter);
}

/* Whoever fills the table displaces those who have paid, and keeps nobody from being counted. */
static void test_many_keys(void **state)
{
    (void)state;
    unsigned wait = 0;
    int64_t now = 1000 * MW_NS_PER_S;
    const mw_slice own = MW_SLICE("own");
    mw_limiter *limiter = mw_limiter_new(256);
    for (int i = 0; i < 100000; i++) {
        char key[16];
        int len = snprintf(key, sizeof key, "%d", i);
        assert_true(mw_limiter_take(limiter, mw_slice_bytes(key, (size_t)len), MW_RATE_FAILURES,
                                    now, &wait));
    }
    int taken = 0;
    while (taken < 100 && mw_limiter_take(limiter, own, MW_RATE_FAILURES, now, &wait))
        taken++;
    assert_int_equal(taken, 10);
    mw_limiter_free(limiter);
}

static void test_addresses_as_keys(void **state)
{
    (void)state;
    uint8_t a[16], b[16];
    static const struct {
        const char *one, *two;
        bool same;
    } rows[] = {{"192.0.2.1", "::ffff:192.0.2.1", true},
                {"192.0.2.1", "192.0.2.2", false},
                {"2001:db8::1", "2001:db8::ffff:1", true},
                {"2001:db8:0:1::1", "2001:db8:0:2::1", false},
                {"unix", "unix", true}};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        assert_int_equal(mw_slice_equal(mw_limiter_address(mw_slice_of(rows[i].one), a),
                                        mw_limiter_address(mw_slice_of(rows[i].two), b)),
                         rows[i].same);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_checksums),  cmocka_unit_test(test_forms),
        cmocka_unit_test(test_new_tokens), cmocka_unit_test(test_digest),
        cmocka_unit_test(test_scopes),     cmocka_unit_test(test_rates),
        cmocka_unit_test(test_many_keys),  cmocka_unit_test(test_addresses_as_keys),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
