/* Address lists: what is read, what is refused, who is inside. */
#include "lib/access/address.h"
#include "tests/check.h"

static mw_arena arena;

static int set_up(void **state)
{
    (void)state;
    mw_arena_init(&arena, MW_MEM_BASE, 0);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    mw_arena_reset(&arena);
    return 0;
}

static mw_err parse(const char *text, mw_address_list *out)
{
    mw_detail detail = {.message = ""};
    mw_err err = mw_address_list_parse(mw_slice_of(text), "allow", &arena, out, &detail);
    if (err)
        assert_string_equal(detail.field, "allow");
    return err;
}

static void test_who_is_inside(void **state)
{
    (void)state;
    static const struct {
        const char *list, *peer;
        bool inside;
    } rows[] = {
        {"", "192.0.2.1", true},
        {"  ", "unix", true},
        {"192.0.2.0/24", "192.0.2.0", true},
        {"192.0.2.0/24", "192.0.2.255", true},
        {"192.0.2.0/24", "192.0.3.0", false},
        {"192.0.2.0/24", "::ffff:192.0.2.9", true},
        {"::ffff:192.0.2.0/120", "192.0.2.9", true},
        {"::ffff:192.0.2.7", "192.0.2.7", true},
        {"::ffff:192.0.2.7", "192.0.2.8", false},
        {"192.0.2.128/25", "192.0.2.127", false},
        {"192.0.2.128/25", "192.0.2.128", true},
        {"192.0.2.7/32", "192.0.2.7", true},
        {"192.0.2.7", "192.0.2.6", false},
        {"128.0.0.0/1", "255.255.255.255", true},
        {"128.0.0.0/1", "127.255.255.255", false},
        {"2001:db8::/32", "2001:db8:ffff::1", true},
        {"2001:db8::/32", "2001:db9::1", false},
        {"2001:db8::/33", "2001:db8:8000::", false},
        {"::1", "::1", true},
        {"::1", "0:0:0:0:0:0:0:1", true},
        {"::1/128", "::2", false},
        {"10.0.0.0/8, 2001:db8::/32 ,192.0.2.7", "192.0.2.7", true},
        {"10.0.0.0/8,2001:db8::/32", "a00::", false}, /* 10.0.0.0 read as IPv6 */
        {"10.0.0.0/8", "unix", false},
        {"10.0.0.0/8", "", false},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        mw_address_list list;
        assert_int_equal(parse(rows[i].list, &list), MW_OK);
        if (mw_address_list_holds(&list, mw_slice_of(rows[i].peer)) != rows[i].inside)
            fail_msg("row %zu: %s in %s", i, rows[i].peer, rows[i].list);
    }
}

static void test_what_is_refused(void **state)
{
    (void)state;
    static const char *const lists[] = {
        "0.0.0.0/0",
        "::/0",
        "::ffff:0.0.0.0/96",
        "::ffff:0:0/64",
        "192.0.2.1/24",
        "2001:db8::1/32",
        "192.0.2.0/33",
        "::1/129",
        "192.0.2.0/",
        "192.0.2.0/-1",
        "192.0.2.0/08",
        "192.0.2.0/+8",
        "192.0.2.0/8 8",
        "/8",
        "192.0.2",
        "192.0.2.1.1",
        "192.0.02.1",
        "0300.0.2.1",
        "0xc0.0.2.1",
        "3221225985",
        "192.0.2.256",
        "fe80::1%eth0",
        "[::1]",
        ":::1",
        "1:2:3:4:5:6:7:8:9",
        "localhost",
        "192.0.2.1,",
        ",192.0.2.1",
        "192.0.2.1,,192.0.2.2",
        "192.0.2.1;192.0.2.2",
        "\xff",
    };
    for (size_t i = 0; i < sizeof lists / sizeof lists[0]; i++) {
        mw_address_list list;
        if (parse(lists[i], &list) != MW_E_INVALID)
            fail_msg("accepted %s", lists[i]);
    }
}

static void test_how_many(void **state)
{
    (void)state;
    char text[1024];
    size_t len = 0;
    mw_address_list list;
    for (int i = 0; i < MW_ADDRESS_LIST_MAX; i++)
        len += (size_t)snprintf(text + len, sizeof text - len, "%s10.0.0.%d", i ? "," : "", i);
    assert_int_equal(parse(text, &list), MW_OK);
    assert_int_equal(list.count, MW_ADDRESS_LIST_MAX);
    snprintf(text + len, sizeof text - len, ",10.0.1.0");
    assert_int_equal(parse(text, &list), MW_E_LIMIT);
}

#define WITH(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {WITH(test_who_is_inside), WITH(test_what_is_refused),
                                       WITH(test_how_many)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
