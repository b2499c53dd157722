/* The retry window against a plain model: what is held, what expires, what is taken back. */
#include "lib/base/id.h"
#include "lib/base/memory.h"
#include "lib/store/segment/retry_window.h"
#include "tests/check.h"

static mw_retry_window window;

static int setup(void **state)
{
    (void)state;
    mw_retry_window_init(&window);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    mw_retry_window_fini(&window);
    assert_int_equal(mw_memory_component_used(MW_MEM_STORE), 0);
    return 0;
}

/* Digest n; the low bits are few on purpose, so that slots collide and wrap around. */
static void make_digest(uint8_t digest[16], uint32_t n)
{
    memset(digest, 0, 16);
    digest[0] = (uint8_t)(250 + n % 13);
    memcpy(digest + 8, &n, sizeof n);
    digest[15] = 1;
}

static bool has(uint32_t n, uint64_t now)
{
    uint8_t digest[16];
    make_digest(digest, n);
    return mw_retry_window_has(&window, digest, now);
}

static bool add(uint32_t n, uint64_t arrival)
{
    uint8_t digest[16];
    make_digest(digest, n);
    return mw_retry_window_add(&window, digest, arrival);
}

static void test_repeat(void **state)
{
    (void)state;
    static const uint8_t zero[16];
    assert_false(has(1, 100));
    assert_true(add(1, 100));
    assert_true(has(1, 100));
    assert_false(add(1, 200)); /* held: its time is the first arrival's */
    assert_false(has(2, 100));
    assert_false(mw_retry_window_add(&window, zero, 100));
    assert_false(mw_retry_window_has(&window, zero, 100));
}

static void test_expiry(void **state)
{
    (void)state;
    uint64_t hour = (uint64_t)MW_RETRY_WINDOW_NS;
    assert_true(add(1, 1000));
    assert_true(add(2, 2000));
    assert_true(has(1, 1000 + hour));
    assert_false(has(1, 1001 + hour));
    assert_true(has(2, 1001 + hour));
    assert_true(has(2, 5)); /* the clock was set back */
    assert_true(add(1, 1001 + hour));
}

/* Random additions, look-ups and undos beside a list that does the same slowly. */
static void test_model(void **state)
{
    (void)state;
    enum { KEYS = 400, MAX = 2048 };
    static uint64_t arrival[KEYS]; /* 0 = not held */
    static uint32_t order[100000];
    size_t first = 0, end = 0;
    uint64_t now = 1, random = 88172645463325252u;
    memset(arrival, 0, sizeof arrival);
    window.max = MAX;
    for (int round = 0; round < 60000; round++) {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        uint32_t key = (uint32_t)(random >> 20) % KEYS;
        now += random % ((uint64_t)MW_RETRY_WINDOW_NS / 150);
        while (first < end && now - arrival[order[first]] > (uint64_t)MW_RETRY_WINDOW_NS)
            arrival[order[first++]] = 0;
        if (has(key, now) != (arrival[key] != 0))
            fail_msg("round %d key %u", round, key);
        bool added = add(key, now);
        assert_int_equal(added, arrival[key] == 0);
        if (added) {
            arrival[key] = now;
            order[end++] = key;
        }
        if (added && random % 7 == 0) {
            mw_retry_window_undo(&window, 1);
            arrival[key] = 0;
            end--;
        }
        assert_int_equal(window.count, end - first);
    }
}

static void test_full_window_forgets_the_oldest(void **state)
{
    (void)state;
    window.max = 1024;
    for (uint32_t n = 0; n < 3000; n++)
        assert_true(add(n, 1000 + n));
    assert_int_equal(window.count, 1024);
    assert_false(has(3000 - 1025, 4000));
    for (uint32_t n = 3000 - 1024; n < 3000; n++)
        assert_true(has(n, 4000));
}

static void test_without_memory(void **state)
{
    (void)state;
    mw_memory_fail_at(1);
    assert_false(add(1, 100));
    for (uint32_t n = 0; n < 1024; n++)
        assert_true(add(n, 100));
    mw_memory_fail_at(1);
    assert_true(add(5000, 100)); /* in the oldest's place */
    assert_false(has(0, 100));
    assert_true(has(1, 100));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_repeat, setup, teardown),
        cmocka_unit_test_setup_teardown(test_expiry, setup, teardown),
        cmocka_unit_test_setup_teardown(test_model, setup, teardown),
        cmocka_unit_test_setup_teardown(test_full_window_forgets_the_oldest, setup, teardown),
        cmocka_unit_test_setup_teardown(test_without_memory, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
