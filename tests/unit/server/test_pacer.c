/* A pacer: one call for many notes, at once after a quiet time, and none behind the stop. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "lib/base/clock.h"
#include "server/pacer.h"

static void count(void *ctx)
{
    atomic_fetch_add((atomic_uint *)ctx, 1);
}

static void wait_for(atomic_uint *calls, unsigned wanted)
{
    for (int i = 0; i < 2000 && atomic_load(calls) < wanted; i++)
        usleep(5000);
    assert_int_equal(atomic_load(calls), wanted);
}

static void test_many_notes(void **state)
{
    atomic_uint calls = 0;
    mw_pacer pacer;
    (void)state;
    assert_int_equal(mw_pacer_start(&pacer, 200 * MW_NS_PER_MS, count, &calls), MW_OK);
    usleep(20000);
    assert_int_equal(atomic_load(&calls), 0);
    int64_t begin = mw_clock_mono_ns(mw_clock_system());
    mw_pacer_note(&pacer);
    wait_for(&calls, 1);
    for (int i = 0; i < 1000; i++)
        mw_pacer_note(&pacer);
    wait_for(&calls, 2);
    assert_true(mw_clock_mono_ns(mw_clock_system()) - begin >= 200 * MW_NS_PER_MS);
    usleep(300000);
    assert_int_equal(atomic_load(&calls), 2);
    mw_pacer_stop(&pacer);
    mw_pacer_note(&pacer);
    mw_pacer_stop(&pacer);
    assert_int_equal(atomic_load(&calls), 2);
}

/* Not only when the time is over. */
static void test_stop(void **state)
{
    atomic_uint calls = 0;
    mw_pacer pacer = {.running = false};
    (void)state;
    mw_pacer_note(&pacer);
    mw_pacer_stop(&pacer);
    assert_int_equal(mw_pacer_start(&pacer, 3600 * MW_NS_PER_S, count, &calls), MW_OK);
    mw_pacer_note(&pacer);
    wait_for(&calls, 1);
    mw_pacer_note(&pacer);
    mw_pacer_stop(&pacer);
    assert_int_equal(atomic_load(&calls), 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_many_notes),
        cmocka_unit_test(test_stop),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
