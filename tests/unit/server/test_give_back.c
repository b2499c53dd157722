/* When memory is given back: what the pure rule says of a series of looks. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "server/give_back.h"

#define MIB ((size_t)1 << 20)

static void test_little_is_kept(void **unused)
{
    (void)unused;
    mw_give_back state = {0};
    assert_false(mw_give_back_due(&state, 0, 3 * MIB));
    assert_false(mw_give_back_due(&state, 100, 3 * MIB));
}

static void test_not_under_load(void **unused)
{
    (void)unused;
    mw_give_back state = {0};
    uint64_t received = 0;
    for (int i = 0; i < 10; i++) {
        received += MW_GIVE_BACK_QUIET_BYTES;
        assert_false(mw_give_back_due(&state, received, 40 * MIB));
    }
    assert_true(mw_give_back_due(&state, received + 1000, 40 * MIB));
}

static void test_what_stays_is_not_tried_again(void **unused)
{
    (void)unused;
    mw_give_back state = {.idle_bytes = 10 * MIB};
    assert_false(mw_give_back_due(&state, 0, 13 * MIB));
    assert_true(mw_give_back_due(&state, 0, 14 * MIB));
}

static void test_less_is_the_new_measure(void **unused)
{
    (void)unused;
    mw_give_back state = {.idle_bytes = 10 * MIB};
    assert_false(mw_give_back_due(&state, 0, 2 * MIB));
    assert_true(mw_give_back_due(&state, 0, 6 * MIB));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_little_is_kept),
        cmocka_unit_test(test_not_under_load),
        cmocka_unit_test(test_what_stays_is_not_tried_again),
        cmocka_unit_test(test_less_is_the_new_measure),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
