/* Slices: comparison, cutting, integers at their limits. */
#include "tests/check.h"

static void test_compare(void **state)
{
    (void)state;
    assert_true(mw_slice_equal(MW_SLICE("abc"), mw_slice_of("abc")));
    assert_false(mw_slice_equal(MW_SLICE("abc"), MW_SLICE("abd")));
    assert_true(mw_slice_equal(MW_SLICE_NONE, MW_SLICE("")));
    assert_true(mw_slice_equal_nocase(MW_SLICE("Content-TYPE"), MW_SLICE("content-type")));
    assert_false(mw_slice_equal_nocase(MW_SLICE("a["), MW_SLICE("A{")));
    assert_int_equal(mw_slice_compare(MW_SLICE("a"), MW_SLICE("ab")), -1);
    assert_int_equal(mw_slice_compare(MW_SLICE("b"), MW_SLICE("ab")), 1);
    assert_int_equal(mw_slice_compare(MW_SLICE_NONE, MW_SLICE("")), 0);
    /* Bytes, not chars: 0xff sorts behind 'a'. */
    assert_int_equal(mw_slice_compare(MW_SLICE("\xff"), MW_SLICE("a")), 1);
}

static void test_cut(void **state)
{
    (void)state;
    mw_slice text = MW_SLICE(" \tkey = v ");
    assert_slice(mw_slice_trim(text), "key = v");
    assert_slice(mw_slice_from(text, 100), "");
    assert_slice(mw_slice_first(MW_SLICE("abc"), 2), "ab");
    assert_true(mw_slice_starts(MW_SLICE("abc"), MW_SLICE("ab")));
    assert_true(mw_slice_ends(MW_SLICE("abc"), MW_SLICE("bc")));
    assert_false(mw_slice_ends(MW_SLICE("c"), MW_SLICE("bc")));
    assert_true(mw_slice_contains(MW_SLICE("abcabd"), MW_SLICE("abd")));
    assert_false(mw_slice_contains(MW_SLICE("ab"), MW_SLICE("abd")));
    mw_slice rest = MW_SLICE("a,,b"), head;
    assert_true(mw_slice_split(&rest, ',', &head));
    assert_slice(head, "a");
    assert_true(mw_slice_split(&rest, ',', &head));
    assert_slice(head, "");
    assert_true(mw_slice_split(&rest, ',', &head));
    assert_slice(head, "b");
    assert_false(mw_slice_split(&rest, ',', &head));
}

static void test_integers(void **state)
{
    (void)state;
    uint64_t u;
    int64_t i;
    assert_int_equal(mw_slice_u64(MW_SLICE("18446744073709551615"), &u), MW_OK);
    assert_true(u == UINT64_MAX);
    assert_int_equal(mw_slice_u64(MW_SLICE("18446744073709551616"), &u), MW_E_LIMIT);
    assert_int_equal(mw_slice_u64(MW_SLICE(""), &u), MW_E_SYNTAX);
    assert_int_equal(mw_slice_u64(MW_SLICE("+1"), &u), MW_E_SYNTAX);
    assert_int_equal(mw_slice_u64(MW_SLICE("1 "), &u), MW_E_SYNTAX);
    assert_int_equal(mw_slice_i64(MW_SLICE("-9223372036854775808"), &i), MW_OK);
    assert_true(i == INT64_MIN);
    assert_int_equal(mw_slice_i64(MW_SLICE("9223372036854775808"), &i), MW_E_LIMIT);
    assert_int_equal(mw_slice_i64(MW_SLICE("-"), &i), MW_E_SYNTAX);
}

static void test_to_cstr(void **state)
{
    (void)state;
    char out[4];
    assert_true(mw_slice_to_cstr(MW_SLICE("abc"), out, sizeof out));
    assert_string_equal(out, "abc");
    assert_false(mw_slice_to_cstr(MW_SLICE("abcd"), out, sizeof out));
    assert_string_equal(out, "abc");
    assert_false(mw_slice_to_cstr(mw_slice_bytes("a\0b", 3), out, sizeof out));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_compare),
        cmocka_unit_test(test_cut),
        cmocka_unit_test(test_integers),
        cmocka_unit_test(test_to_cstr),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
