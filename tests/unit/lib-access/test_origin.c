/* The list of allowed web origins: what may stand in it, and what it lets through. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "lib/access/access.h"
#include "lib/access/origin.h"

static void test_check(void **state)
{
    (void)state;
    static const struct {
        const char *list;
        const char *words; /* NULL: good */
    } rows[] = {
        {"", NULL},
        {"https://shop.example", NULL},
        {"http://localhost:3000, https://shop.example:8443", NULL},
        {"http://[::1]:8080", NULL},
        {"app://obsidian.md", NULL},
        {"*", "every web page"},
        {"https://a.example,*", "every web page"},
        {"null", "sandboxed"},
        {"shop.example", "no scheme"},
        {"https:shop.example", "no scheme"},
        {"https://", "more than scheme, host and port"},
        {"https://shop.example/", "more than scheme, host and port"},
        {"https://shop.example/page", "more than scheme, host and port"},
        {"https://*.example", "pattern"},
        {"https://a.example https://b.example", "more than scheme"},
        {"https://:443", "more than scheme"},
        {"https://shop.example:443", "own port"},
        {"http://shop.example:80", "own port"},
        {"http://shop.example:443", NULL},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        mw_detail detail = {.message = ""};
        mw_err err = mw_origins_check(mw_slice_of(rows[i].list), &detail);
        if ((err == MW_OK) != !rows[i].words)
            fail_msg("%s: %s", rows[i].list, detail.message);
        if (!rows[i].words)
            continue;
        assert_int_equal(err, MW_E_INVALID);
        assert_string_equal(detail.field, "allowed_origins");
        assert_true(detail.hint[0] != '\0');
        if (!strstr(detail.message, rows[i].words))
            fail_msg("%s: %s", rows[i].list, detail.message);
    }
}

static void test_hold(void **state)
{
    (void)state;
    mw_slice list = MW_SLICE("http://localhost:3000 , https://Shop.example");
    assert_true(mw_origins_hold(list, MW_SLICE("http://localhost:3000")));
    assert_true(mw_origins_hold(list, MW_SLICE("https://shop.example")));
    const char *const strangers[] = {"",
                                     "null",
                                     "http://shop.example",
                                     "https://shop.example:8443",
                                     "https://shop.example.evil.example",
                                     "https://x.shop.example",
                                     "http://localhost",
                                     "http://localhost:30001",
                                     "http://localhost:3000 , https://Shop.example"};
    for (size_t i = 0; i < sizeof strangers / sizeof *strangers; i++)
        assert_false(mw_origins_hold(list, mw_slice_of(strangers[i])));
    assert_false(mw_origins_hold(MW_SLICE(""), MW_SLICE("")));
    assert_false(mw_origins_hold(MW_SLICE(" , "), MW_SLICE("")));
}

/* A listed origin passes the Origin check, and Host is looked at as before. */
static void test_passes(void **state)
{
    (void)state;
    mw_principal who;
    mw_detail detail = {.message = ""};
    mw_access_policy policy = {.allowed_origins = MW_SLICE("https://shop.example")};
    mw_access_facts facts = {.loopback = true,
                             .address = MW_SLICE("127.0.0.1"),
                             .host = MW_SLICE("localhost:4318"),
                             .origin = MW_SLICE("https://shop.example")};
    assert_int_equal(mw_access_check(&policy, &facts, MW_SCOPE_INGEST, &who, &detail), MW_OK);
    facts.origin = MW_SLICE("https://other.example");
    assert_int_equal(mw_access_check(&policy, &facts, MW_SCOPE_INGEST, &who, &detail), MW_E_DENIED);
    assert_non_null(strstr(detail.hint, "allowed_origins"));
    facts.origin = MW_SLICE("https://shop.example");
    facts.host = MW_SLICE("shop.example");
    assert_int_equal(mw_access_check(&policy, &facts, MW_SCOPE_INGEST, &who, &detail), MW_E_DENIED);
    assert_non_null(strstr(detail.hint, "allowed_hosts"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_check),
        cmocka_unit_test(test_hold),
        cmocka_unit_test(test_passes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
