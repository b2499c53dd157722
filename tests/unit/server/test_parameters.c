/* Query parameters: pages, filters, what is unknown, given twice or empty. */
#include <stdio.h>

#include "lib/base/clock.h"
#include "server/api/api_int.h"
#include "tests/check.h"

#define NOW INT64_C(1700000000000000000)

static const char *const filters[] = {"service", "log_group", NULL};

typedef struct fixture {
    mw_fake_clock clock;
    mw_server server;
    mw_request request;
    mw_api_call call;
} fixture;

static const mw_api_entry of_state = {.what = "alarms"};
static const mw_api_entry of_telemetry = {.what = "traces", .scans = true};

static mw_api_call *begin(fixture *f, const char *query)
{
    memset(f, 0, sizeof *f);
    mw_fake_clock_init(&f->clock, NOW);
    f->server.clock = &f->clock.clock;
    mw_arena_init(&f->request.arena, MW_MEM_QUERY, 1 << 20);
    f->request.query = mw_slice_of(query);
    f->call.server = &f->server;
    f->call.request = &f->request;
    f->call.entry = &of_state;
    return &f->call;
}

static void end(fixture *f)
{
    mw_arena_reset(&f->request.arena);
}

static void test_page(void **state)
{
    (void)state;
    fixture f;
    mw_api_page page;
    mw_slice value;
    mw_api_call *call = begin(&f, "limit=7&cursor=a%2Fb&since=2023-11-01&until=2h&service=a+b");
    assert_int_equal(mw_api_page_read(call, filters, &page), MW_OK);
    assert_int_equal(page.limit, 7);
    assert_slice(page.cursor, "a/b");
    assert_int_equal(page.since_ns, UINT64_C(1698796800000000000));
    assert_int_equal(page.until_ns, (uint64_t)(NOW - 7200 * MW_NS_PER_S));
    assert_int_equal(mw_api_filter(call, "service", &value), MW_OK);
    assert_slice(value, "a b");
    assert_int_equal(mw_api_filter(call, "log_group", &value), MW_OK);
    assert_null(value.data);
    end(&f);
    /* A percent sign of its own, and bounds that meet. */
    call = begin(&f, "service=%2525%E2%82%ac&since=2h&until=2h");
    assert_int_equal(mw_api_page_read(call, filters, &page), MW_OK);
    assert_int_equal(mw_api_filter(call, "service", &value), MW_OK);
    assert_slice(value, "%25\xe2\x82\xac");
    end(&f);
    call = begin(&f, "");
    assert_int_equal(mw_api_page_read(call, NULL, &page), MW_OK);
    assert_int_equal(page.limit, MW_API_LIMIT_DEFAULT);
    assert_int_equal(page.since_ns, 0);
    end(&f);
}

/* Refused, with the field named. */
static void test_refusals(void **state)
{
    (void)state;
    static const char *const cases[][2] = {{"nope=1", "nope"},
                                           {"limit=1&limit=1", "limit"},
                                           {"limit=0", "limit"},
                                           {"limit=1001", "limit"},
                                           {"limit=", "limit"},
                                           {"since=1&since=2h", "since"},
                                           {"since=yesterday", "since"},
                                           {"until=2026-13-01", "until"},
                                           {"since=2026-02-30", "since"},
                                           {"since=2026/11/21", "since"},
                                           {"since=2026-1-21x", "since"},
                                           {"cursor=a&&cursor=b", "cursor"},
                                           {"service=a&service=a", "service"},
                                           {"log_group&log_group=x", "log_group"},
                                           {"service=%zz", "service"},
                                           {"service=%", "service"},
                                           {"limit=1&service=a%2", "service"},
                                           {"cursor=%4g", "cursor"},
                                           {"since=2026-11-22&until=2026-11-21", "since"},
                                           {"since=1h&until=2h", "since"},
                                           {"session=x", "session"}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        fixture f;
        mw_api_page page;
        mw_api_call *call = begin(&f, cases[i][0]);
        assert_int_equal(mw_api_page_read(call, filters, &page), MW_E_INVALID);
        assert_string_equal(call->detail.field, cases[i][1]);
        end(&f);
    }
    fixture f;
    mw_slice value;
    mw_api_call *call = begin(&f, "service=");
    assert_int_equal(mw_api_filter(call, "service", &value), MW_E_INVALID);
    assert_string_equal(call->detail.field, "service");
    end(&f);
    call = begin(&f, "limit=1");
    assert_int_equal(mw_api_no_parameters(call), MW_E_INVALID);
    assert_string_equal(call->detail.field, "limit");
    end(&f);
}

/* The hint names what the route takes. */
static void test_hint(void **state)
{
    (void)state;
    fixture f;
    mw_api_page page;
    mw_api_call *call = begin(&f, "serivce=x");
    assert_int_equal(mw_api_page_read(call, filters, &page), MW_E_INVALID);
    assert_string_equal(call->detail.hint,
                        "it takes limit, cursor, since, until, service, log_group");
}

/* Questions about telemetry are asked of a space; others have none. */
static void test_space(void **state)
{
    (void)state;
    fixture f;
    mw_api_page page;
    mw_slice value;
    mw_api_call *call = begin(&f, "space=team-a&limit=1");
    assert_int_equal(mw_api_page_read(call, filters, &page), MW_E_INVALID);
    assert_string_equal(call->detail.field, "space");
    assert_int_equal(mw_api_no_parameters(call), MW_E_INVALID);
    call->entry = &of_telemetry;
    assert_int_equal(mw_api_page_read(call, filters, &page), MW_OK);
    assert_int_equal(mw_api_filter(call, "space", &value), MW_OK);
    assert_slice(value, "team-a");
    end(&f);
    call = begin(&f, "space=team-a");
    call->entry = &of_telemetry;
    assert_int_equal(mw_api_no_parameters(call), MW_OK);
    end(&f);
    call = begin(&f, "space=a&space=b");
    call->entry = &of_telemetry;
    assert_int_equal(mw_api_no_parameters(call), MW_E_INVALID);
    assert_string_equal(call->detail.field, "space");
    end(&f);
}

static const char *const repeated[] = {"attribute", "errors", NULL};

/* All of its values count, in their order; what surrounds them is untouched. */
static void test_attributes(void **state)
{
    (void)state;
    fixture f;
    mw_api_page page;
    const mw_attribute_query *found;
    size_t count;
    mw_slice query = MW_SLICE("attribute=a%3D=b%26c=&limit=3&attribute=k%20=v+w&&attribute=e=");
    mw_api_call *call = begin(&f, query.data);
    assert_int_equal(mw_api_page_read(call, repeated, &page), MW_OK);
    assert_int_equal(page.limit, 3);
    assert_int_equal(mw_api_attributes(call, &found, &count), MW_OK);
    assert_int_equal(count, 3);
    assert_slice(found[0].key, "a");
    assert_slice(found[0].value, "=b&c=");
    assert_slice(found[1].key, "k ");
    assert_slice(found[1].value, "v w");
    assert_slice(found[2].key, "e");
    assert_int_equal(found[2].value.len, 0);
    assert_true(mw_slice_equal(f.request.query, query));
    end(&f);
    call = begin(&f, "limit=3");
    assert_int_equal(mw_api_attributes(call, &found, &count), MW_OK);
    assert_int_equal(count, 0);
    end(&f);
    static const char *const bad[] = {"attribute=",
                                      "attribute",
                                      "attribute=a",
                                      "attribute==b",
                                      "attribute=a=b&attribute=c",
                                      "attribute=1=&attribute=2=&attribute=3=&attribute=4=&"
                                      "attribute=5=&attribute=6=&attribute=7=&attribute=8=&"
                                      "attribute=9="};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        call = begin(&f, bad[i]);
        assert_int_equal(mw_api_attributes(call, &found, &count), MW_E_INVALID);
        assert_string_equal(call->detail.field, "attribute");
        end(&f);
    }
    for (uint64_t at = 1; at <= 2; at++) {
        call = begin(&f, "attribute=a=b");
        f.request.arena.limit = at == 1 ? 16 : 0;
        mw_memory_fail_at(at == 1 ? 0 : 1);
        assert_int_equal(mw_api_attributes(call, &found, &count), MW_E_NOMEM);
        mw_memory_fail_at(0);
        end(&f);
    }
}

static void test_switch(void **state)
{
    (void)state;
    static const struct {
        const char *query;
        mw_err err;
        bool on;
    } rows[] = {{"errors=true", MW_OK, true},      {"errors=false", MW_OK, false},
                {"limit=1", MW_OK, false},         {"errors=", MW_E_INVALID, false},
                {"errors=1", MW_E_INVALID, false}, {"errors=TRUE", MW_E_INVALID, false}};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        fixture f;
        bool on = true;
        mw_api_call *call = begin(&f, rows[i].query);
        assert_int_equal(mw_api_switch(call, "errors", &on), rows[i].err);
        assert_int_equal(on, rows[i].on);
        end(&f);
    }
}

/* A filter that cannot be read is not one that is absent. */
static void test_no_memory(void **state)
{
    (void)state;
    fixture f;
    mw_slice value;
    mw_api_call *call = begin(&f, "service=shop");
    mw_memory_fail_at(1);
    assert_int_equal(mw_api_filter(call, "service", &value), MW_E_NOMEM);
    mw_memory_fail_at(0);
    end(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_page),      cmocka_unit_test(test_refusals),
        cmocka_unit_test(test_hint),      cmocka_unit_test(test_space),
        cmocka_unit_test(test_no_memory), cmocka_unit_test(test_attributes),
        cmocka_unit_test(test_switch),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
