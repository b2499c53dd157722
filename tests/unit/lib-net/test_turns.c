/* How much a connection may read in a turn: what its turns took decides. */
#include "lib/net/net_int.h"
#include "tests/check.h"

#define US INT64_C(1000)

/* After `turns` turns that read all they may, at so many nanoseconds a byte. */
static size_t after(size_t room, unsigned turns, double ns_a_byte)
{
    for (unsigned i = 0; i < turns; i++)
        room = mw_net_next_read(room, room, (int64_t)((double)room * ns_a_byte));
    return room;
}

static void test_grows(void **state)
{
    (void)state;
    assert_int_equal(after(MW_NET_READ_FIRST, 4, 1), MW_NET_READ_SIZE);
    assert_int_equal(after(MW_NET_READ_SIZE, 10, 1), MW_NET_READ_SIZE);
    /* Only who fills its turns needs more. */
    assert_int_equal(mw_net_next_read(MW_NET_READ_FIRST, 100, 5 * US), MW_NET_READ_FIRST);
}

/* A packed body that grows a thousandfold, header blocks: down to what takes a millisecond. */
static void test_shrinks(void **state)
{
    (void)state;
    assert_int_equal(after(MW_NET_READ_SIZE, 3, 5000), MW_NET_READ_LEAST);
    assert_int_equal(after(MW_NET_READ_FIRST, 1, 5000), MW_NET_READ_LEAST);
    size_t room = after(MW_NET_READ_SIZE, 6, 50);
    assert_in_range(room, 19000, 41000); /* 20,000 bytes a millisecond */
}

/* One long turn, of a large request or since somebody else had the processor, is soon forgotten. */
static void test_recovers(void **state)
{
    (void)state;
    size_t room = mw_net_next_read(MW_NET_READ_SIZE, MW_NET_READ_SIZE, 80 * 1000 * US);
    assert_int_equal(room, MW_NET_READ_SIZE / 16);
    assert_int_equal(after(room, 4, 1), MW_NET_READ_SIZE);
    assert_int_equal(mw_net_next_read(MW_NET_READ_LEAST, 0, INT64_MAX), MW_NET_READ_LEAST);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_grows),
        cmocka_unit_test(test_shrinks),
        cmocka_unit_test(test_recovers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
