/* Places in the order of commits as text: what is written is read again, and nothing else is. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "server/api/log_follower.h"

static void check(uint64_t seq, uint32_t index, const char *expected)
{
    char text[MW_LOG_POSITION_SIZE];
    mw_log_position again;
    mw_log_position_text((mw_log_position){seq, index}, text);
    assert_string_equal(text, expected);
    assert_int_equal(mw_log_position_parse(mw_slice_of(text), &again), MW_OK);
    assert_true(again.seq == seq && again.index == index);
}

static void test_round_trip(void **state)
{
    (void)state;
    check(0, 0, "0.0");
    check(42, 7, "42.7");
    check(42, UINT32_MAX, "42");
    check(UINT64_MAX, UINT32_MAX - 1, "18446744073709551615.4294967294");
    check(UINT64_MAX, UINT32_MAX, "18446744073709551615");
}

static void test_refused(void **state)
{
    static const char *const bad[] = {"",
                                      ".",
                                      "1.",
                                      ".1",
                                      "1.2.3",
                                      "-1",
                                      "+1",
                                      "1.-2",
                                      " 1",
                                      "1 ",
                                      "x",
                                      "0x1",
                                      "1.4294967295",
                                      "1,2",
                                      "1e3",
                                      "1.1x",
                                      "18446744073709551616"};
    mw_log_position position;
    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        assert_int_equal(mw_log_position_parse(mw_slice_of(bad[i]), &position), MW_E_SYNTAX);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_round_trip),
                                       cmocka_unit_test(test_refused)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
