/* The account, the arena and the buffer: limits hold, everything is given back. */
#include "lib/base/arena.h"
#include "lib/base/buffer.h"
#include "tests/check.h"

static int reset_account(void **state)
{
    (void)state;
    mw_memory_init(0);
    mw_memory_fail_at(0);
    assert_int_equal(mw_memory_used(), 0);
    return 0;
}

static void test_account(void **state)
{
    (void)state;
    void *a = mw_alloc(MW_MEM_NET, 1000);
    void *b = mw_calloc(MW_MEM_STORE, 10, 100);
    assert_non_null(a);
    assert_non_null(b);
    assert_true(mw_memory_component_used(MW_MEM_NET) >= 1000);
    assert_true(mw_memory_used() >= 2000);
    a = mw_realloc(MW_MEM_NET, a, 5000);
    assert_true(mw_memory_component_used(MW_MEM_NET) >= 5000);
    mw_free(MW_MEM_NET, a);
    mw_free(MW_MEM_STORE, b);
    mw_free(MW_MEM_NET, NULL);
    assert_int_equal(mw_memory_used(), 0);
    assert_true(mw_memory_peak() >= 6000);
}

static void test_limit(void **state)
{
    (void)state;
    mw_memory_init(100000);
    void *a = mw_alloc(MW_MEM_NET, 60000);
    assert_non_null(a);
    assert_null(mw_alloc(MW_MEM_NET, 60000));
    assert_null(mw_calloc(MW_MEM_NET, SIZE_MAX / 2, 4)); /* would wrap */
    assert_null(mw_alloc(MW_MEM_NET, SIZE_MAX));
    void *grown = mw_realloc(MW_MEM_NET, a, 200000);
    assert_null(grown);                    /* and `a` is still ours */
    assert_false(mw_memory_admits(30000)); /* the eighth is kept back */
    assert_true(mw_memory_admits(10000));
    void *needed = mw_alloc_or_die(MW_MEM_BASE, 60000);
    mw_free(MW_MEM_BASE, needed);
    mw_free(MW_MEM_NET, a);
}

/* The reservation is its holder's alone, and what the holder leaves behind is everybody's. */
static void test_reservation(void **state)
{
    (void)state;
    mw_memory_init(1000000);
    mw_memory_reserve(900000); /* three quarters at most */
    assert_true(mw_memory_ceiling() == 250000);
    void *a = mw_alloc(MW_MEM_NET, 200000);
    assert_null(mw_alloc(MW_MEM_NET, 60000));
    assert_true(mw_memory_leaves(40000, 8000));
    assert_false(mw_memory_admits(40000));
    assert_true(mw_memory_reservation_free());
    mw_memory_reservation_use(true);
    void *b = mw_alloc(MW_MEM_NET, 600000);
    assert_non_null(b);
    assert_true(mw_memory_admits(1));
    mw_memory_reservation_use(false);
    assert_false(mw_memory_reservation_free());
    assert_null(mw_alloc(MW_MEM_NET, 60000)); /* the others have what they had */
    void *c = mw_alloc(MW_MEM_NET, 40000);
    assert_non_null(c);
    mw_memory_reservation_use(true);
    assert_null(mw_alloc(MW_MEM_NET, 300000)); /* the limit holds for everybody */
    mw_memory_reservation_end();
    assert_false(mw_memory_reservation_free()); /* not as long as it is full */
    mw_free(MW_MEM_NET, b);
    assert_true(mw_memory_reservation_free());
    /* Questions get half of the ceiling. */
    mw_free(MW_MEM_NET, a);
    assert_null(mw_alloc(MW_MEM_QUERY, 130000));
    void *d = mw_alloc(MW_MEM_QUERY, 120000);
    assert_non_null(d);
    mw_free(MW_MEM_QUERY, d);
    mw_free(MW_MEM_NET, c);
}

static void test_fail_at(void **state)
{
    (void)state;
    mw_memory_fail_at(2);
    void *a = mw_alloc(MW_MEM_NET, 1);
    assert_non_null(a);
    assert_null(mw_alloc(MW_MEM_NET, 1));
    void *b = mw_alloc(MW_MEM_NET, 1);
    assert_non_null(b);
    mw_free(MW_MEM_NET, a);
    mw_free(MW_MEM_NET, b);
}

static void test_arena(void **state)
{
    (void)state;
    mw_arena arena;
    mw_arena_init(&arena, MW_MEM_QUERY, 0);
    for (size_t i = 0; i < 2000; i++) {
        char *p = mw_arena_alloc(&arena, i);
        assert_non_null(p);
        assert_int_equal((uintptr_t)p % 16, 0);
        memset(p, (int)i, i);
    }
    mw_slice copy = mw_arena_copy(&arena, mw_slice_bytes("a\0b", 3));
    assert_int_equal(copy.len, 3);
    assert_memory_equal(copy.data, "a\0b\0", 4);
    assert_string_equal(mw_arena_printf(&arena, "%d-%s", 7, "x"), "7-x");
    /* A big one does not retire the block in use. */
    char *before = mw_arena_alloc(&arena, 16);
    assert_non_null(mw_arena_alloc(&arena, (size_t)3 << 20));
    char *after = mw_arena_alloc(&arena, 16);
    assert_true(after == before + 16);
    assert_null(mw_arena_alloc(&arena, SIZE_MAX - 8));
    assert_null(mw_arena_zalloc(&arena, SIZE_MAX / 2, 4));
    mw_arena_reset(&arena);
    assert_int_equal(mw_memory_used(), 0);
}

static void test_arena_limit(void **state)
{
    (void)state;
    mw_arena arena;
    mw_arena_init(&arena, MW_MEM_QUERY, 1024);
    assert_non_null(mw_arena_alloc(&arena, 1000));
    assert_null(mw_arena_alloc(&arena, 100));
    mw_arena_reset(&arena);
    assert_non_null(mw_arena_alloc(&arena, 1024));
    mw_memory_fail_at(1);
    mw_arena_reset(&arena);
    assert_null(mw_arena_alloc(&arena, 10));
    mw_arena_reset(&arena);
}

static void test_buffer(void **state)
{
    (void)state;
    mw_buffer buffer;
    mw_buffer_init(&buffer, MW_MEM_NET, 1000);
    mw_buffer_append(&buffer, "hello", 5);
    mw_buffer_append_byte(&buffer, ' ');
    mw_buffer_appendf(&buffer, "%05d", 42);
    assert_slice(mw_buffer_slice(&buffer), "hello 00042");
    mw_buffer_consume(&buffer, 6);
    assert_slice(mw_buffer_slice(&buffer), "00042");
    for (int i = 0; i < 300; i++)
        mw_buffer_append(&buffer, "abcd", 4);
    assert_int_equal(buffer.err, MW_E_LIMIT);
    assert_true(buffer.len <= 1000);
    mw_buffer_append_byte(&buffer, 'x'); /* sticky: nothing happens */
    assert_int_equal(buffer.err, MW_E_LIMIT);
    mw_buffer_clear(&buffer);
    mw_buffer_append_byte(&buffer, 'x');
    assert_slice(mw_buffer_slice(&buffer), "x");
    size_t len;
    char *data = mw_buffer_take(&buffer, &len);
    assert_int_equal(len, 1);
    assert_int_equal(buffer.len, 0);
    mw_free(MW_MEM_NET, data);
    mw_buffer_fini(&buffer);
    assert_int_equal(mw_memory_used(), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_account, reset_account),
        cmocka_unit_test_setup(test_limit, reset_account),
        cmocka_unit_test_setup(test_reservation, reset_account),
        cmocka_unit_test_setup(test_fail_at, reset_account),
        cmocka_unit_test_setup(test_arena, reset_account),
        cmocka_unit_test_setup(test_arena_limit, reset_account),
        cmocka_unit_test_setup(test_buffer, reset_account),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
