/* Who may do what: one table over facts of a connection. */
#include <pwd.h>
#include <string.h>
#include <unistd.h>

#include "lib/access/access.h"
#include "tests/check.h"

enum { LOOPBACK, REMOTE };

typedef struct row {
    int from;
    const char *host, *origin;
    mw_scope wanted;
    const char *allowed_hosts;
    bool insecure;
    mw_err expected;
    const char *named; /* what message or hint must name */
} row;

#define OK MW_OK
#define NO MW_E_DENIED

static const row rows[] = {
    /* Hosts that mean this machine. */
    {LOOPBACK, "localhost", NULL, MW_SCOPE_READ, "", false, OK, ""},
    {LOOPBACK, "localhost:4319", NULL, MW_SCOPE_READ, "", false, OK, ""},
    {LOOPBACK, "LocalHost:4319", NULL, MW_SCOPE_READ, "", false, OK, ""},
    {LOOPBACK, "127.0.0.1", NULL, MW_SCOPE_READ, "", false, OK, ""},
    {LOOPBACK, "127.0.0.1:4317", NULL, MW_SCOPE_INGEST, "", false, OK, ""},
    {LOOPBACK, "127.255.255.254:1", NULL, MW_SCOPE_WEBHOOK, "", false, OK, ""},
    {LOOPBACK, "[::1]", NULL, MW_SCOPE_READ, "", false, OK, ""},
    {LOOPBACK, "[::1]:4319", NULL, MW_SCOPE_READ, "", false, OK, ""},
    {LOOPBACK, "[0:0:0:0:0:0:0:1]:4319", NULL, MW_SCOPE_READ, "", false, OK, ""},
    /* Others, also those that only look alike. */
    {LOOPBACK, "evil.example", NULL, MW_SCOPE_READ, "", false, NO, "allowed_hosts"},
    {LOOPBACK, "evil.example:4319", NULL, MW_SCOPE_INGEST, "", false, NO, "allowed_hosts"},
    {LOOPBACK, "evil.example:4319", NULL, MW_SCOPE_WEBHOOK, "", false, NO, "allowed_hosts"},
    {LOOPBACK, "localhost.evil.example", NULL, MW_SCOPE_READ, "", false, NO, "allowed_hosts"},
    {LOOPBACK, "127.0.0.1.evil.example", NULL, MW_SCOPE_READ, "", false, NO, "allowed_hosts"},
    {LOOPBACK, "128.0.0.1", NULL, MW_SCOPE_READ, "", false, NO, "allowed_hosts"},
    {LOOPBACK, "127.1", NULL, MW_SCOPE_READ, "", false, NO, "allowed_hosts"},
    {LOOPBACK, "0x7f000001", NULL, MW_SCOPE_READ, "", false, NO, "allowed_hosts"},
    {LOOPBACK, "[::2]", NULL, MW_SCOPE_READ, "", false, NO, "allowed_hosts"},
    {LOOPBACK, "[::1", NULL, MW_SCOPE_READ, "", false, NO, "allowed_hosts"},
    {LOOPBACK, "::1", NULL, MW_SCOPE_READ, "", false, NO, "allowed_hosts"},
    {LOOPBACK, "[::1]x", NULL, MW_SCOPE_READ, "", false, NO, "allowed_hosts"},
    {LOOPBACK, "localhost:", NULL, MW_SCOPE_READ, "", false, NO, "allowed_hosts"},
    {LOOPBACK, "localhost:4319:1", NULL, MW_SCOPE_READ, "", false, NO, "allowed_hosts"},
    {LOOPBACK, "localhost:65536", NULL, MW_SCOPE_READ, "", false, NO, "allowed_hosts"},
    {LOOPBACK, "localhost@evil.example", NULL, MW_SCOPE_READ, "", false, NO, "allowed_hosts"},
    {LOOPBACK, "", NULL, MW_SCOPE_READ, "", false, NO, "allowed_hosts"},
    {LOOPBACK, ":4319", NULL, MW_SCOPE_READ, "", false, NO, "allowed_hosts"},
    /* allowed_hosts. */
    {LOOPBACK, "watch.example:4319", NULL, MW_SCOPE_READ, "a, watch.example ,b", false, OK, ""},
    {LOOPBACK, "WATCH.example", NULL, MW_SCOPE_READ, "watch.example", false, OK, ""},
    {LOOPBACK, "watch.example:4319", NULL, MW_SCOPE_READ, "watch.example:4319", false, OK, ""},
    {LOOPBACK, "watch.example:4320", NULL, MW_SCOPE_READ, "watch.example:4319", false, NO,
     "allowed_hosts"},
    {LOOPBACK, "atch.example", NULL, MW_SCOPE_READ, "watch.example", false, NO, "allowed_hosts"},
    {LOOPBACK, "[2001:db8::1]:4319", NULL, MW_SCOPE_READ, "[2001:db8::1]", false, OK, ""},
    {LOOPBACK, "", NULL, MW_SCOPE_READ, ",,", false, NO, "allowed_hosts"},
    /* Origin. */
    {LOOPBACK, "localhost:4319", "http://localhost:4319", MW_SCOPE_READ, "", false, OK, ""},
    {LOOPBACK, "localhost:4319", "https://127.0.0.1", MW_SCOPE_READ, "", false, OK, ""},
    {LOOPBACK, "localhost:4319", "http://[::1]:3000", MW_SCOPE_READ, "", false, OK, ""},
    {LOOPBACK, "localhost", "https://watch.example", MW_SCOPE_READ, "watch.example", false, OK, ""},
    {LOOPBACK, "localhost", "https://evil.example", MW_SCOPE_READ, "", false, NO, "Origin"},
    {LOOPBACK, "localhost", "https://evil.example", MW_SCOPE_READ, "", false, NO, "allowed_hosts"},
    {LOOPBACK, "localhost", "https://evil.example", MW_SCOPE_INGEST, "", false, NO, "Origin"},
    {LOOPBACK, "localhost", "null", MW_SCOPE_READ, "", false, NO, "Origin"},
    {LOOPBACK, "localhost", "", MW_SCOPE_READ, "", false, NO, "Origin"},
    {LOOPBACK, "localhost", "localhost", MW_SCOPE_READ, "", false, NO, "Origin"},
    {LOOPBACK, "localhost", "ftp://localhost", MW_SCOPE_READ, "", false, NO, "Origin"},
    {LOOPBACK, "localhost", "http://localhost/x", MW_SCOPE_READ, "", false, NO, "Origin"},
    {LOOPBACK, "localhost", "http://localhost@evil.example", MW_SCOPE_READ, "", false, NO,
     "Origin"},
    /* Scopes. */
    {LOOPBACK, "localhost", NULL, MW_SCOPE_OPERATE, "", false, NO, "MIDWATCH_TOKEN"},
    {LOOPBACK, "localhost", NULL, MW_SCOPE_OPERATE, "", false, NO, "unix socket"},
    {LOOPBACK, "evil.example", "null", MW_SCOPE_NONE, "", false, OK, ""},
    /* Other machines. */
    {REMOTE, "localhost", NULL, MW_SCOPE_READ, "", false, NO, "insecure_listen"},
    {REMOTE, "localhost", NULL, MW_SCOPE_INGEST, "", false, NO, "insecure_listen"},
    {REMOTE, "localhost", NULL, MW_SCOPE_NONE, "", false, OK, ""},
    {REMOTE, "watch.example:4319", NULL, MW_SCOPE_READ, "watch.example", true, OK, ""},
    {REMOTE, "watch.example:4319", NULL, MW_SCOPE_READ, "", true, NO, "allowed_hosts"},
    {REMOTE, "localhost", NULL, MW_SCOPE_OPERATE, "", true, NO, "MIDWATCH_TOKEN"},
};

static void test_table(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        const row *r = &rows[i];
        mw_access_policy policy = {.allowed_hosts = mw_slice_of(r->allowed_hosts),
                                   .insecure_listen = r->insecure};
        mw_access_facts facts = {.loopback = r->from == LOOPBACK,
                                 .address = MW_SLICE("192.0.2.7"),
                                 .host = mw_slice_of(r->host),
                                 .origin = r->origin ? mw_slice_of(r->origin) : MW_SLICE_NONE};
        mw_principal who = {.name = "?"};
        mw_detail detail = {0};
        mw_err err = mw_access_check(&policy, &facts, r->wanted, &who, &detail);
        if (err != r->expected)
            fail_msg("row %zu (host %s): got %d, expected %d", i, r->host, err, r->expected);
        if (!strstr(detail.message, r->named) && !strstr(detail.hint, r->named))
            fail_msg("row %zu: \"%s\" / \"%s\" does not name %s", i, detail.message, detail.hint,
                     r->named);
        assert_string_equal(who.name, r->from == LOOPBACK ? "loopback" : "peer:192.0.2.7");
    }
}

static void test_host_refusal_names_the_option_in_its_message(void **state)
{
    (void)state;
    mw_access_policy policy = {0};
    mw_access_facts facts = {.loopback = true, .host = MW_SLICE("evil.example")};
    mw_principal who;
    mw_detail detail = {0};
    assert_int_equal(mw_access_check(&policy, &facts, MW_SCOPE_READ, &who, &detail), MW_E_DENIED);
    assert_non_null(strstr(detail.message, "allowed_hosts"));
    assert_null(strstr(detail.message, "evil"));
}

static void test_socket_has_every_scope(void **state)
{
    (void)state;
    mw_access_policy policy = {0};
    mw_access_facts facts = {.local = true, .uid = geteuid()};
    struct passwd *entry = getpwuid(geteuid());
    char expected[64];
    if (entry)
        snprintf(expected, sizeof expected, "local:%s", entry->pw_name);
    else
        snprintf(expected, sizeof expected, "local:%lu", (unsigned long)geteuid());
    for (mw_scope wanted = MW_SCOPE_NONE; wanted <= MW_SCOPE_OPERATE; wanted++) {
        mw_principal who = {.name = ""};
        mw_detail detail;
        assert_int_equal(mw_access_check(&policy, &facts, wanted, &who, &detail), MW_OK);
        assert_string_equal(who.name, expected);
    }
}

static void test_unknown_user_is_a_number(void **state)
{
    (void)state;
    mw_access_policy policy = {0};
    mw_access_facts facts = {.local = true, .uid = 3999999999u};
    mw_principal who;
    mw_detail detail;
    assert_int_equal(mw_access_check(&policy, &facts, MW_SCOPE_OPERATE, &who, &detail), MW_OK);
    assert_string_equal(who.name, "local:3999999999");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_table),
        cmocka_unit_test(test_host_refusal_names_the_option_in_its_message),
        cmocka_unit_test(test_socket_has_every_scope),
        cmocka_unit_test(test_unknown_user_is_a_number),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
