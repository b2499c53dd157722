/* New endpoints and new secrets: what may be wished, and what comes of it. */
#include <string.h>

#include "lib/base/id.h"
#include "tests/check.h"
#include "webhook/webhook.h"

#define T0 (INT64_C(1773480413) * MW_NS_PER_S)

static mw_arena arena;

static int set_up(void **unused)
{
    (void)unused;
    mw_arena_init(&arena, MW_MEM_STATE, 0);
    return 0;
}

static int tear_down(void **unused)
{
    (void)unused;
    mw_arena_reset(&arena);
    return 0;
}

static void test_new_endpoint(void **unused)
{
    (void)unused;
    mw_webhook_row one, two;
    mw_detail detail = {0};
    uint8_t raw[33];
    size_t len;
    mw_webhook_wish wish = {.space = MW_SLICE("default"),
                            .name = MW_SLICE(" prod ü "),
                            .source = MW_SLICE("devops-agent")};
    assert_int_equal(mw_webhook_new(&wish, T0, &arena, &one, &detail), MW_OK);
    wish.name = MW_SLICE("b");
    assert_int_equal(mw_webhook_new(&wish, T0, &arena, &two, &detail), MW_OK);
    assert_slice(one.auth, "hmac");
    assert_slice(one.name, "prod ü");
    assert_slice(one.space, "default");
    assert_slice(one.source, "devops-agent");
    assert_true(one.enabled);
    assert_int_equal(one.created_ns, T0);
    assert_true(one.id.len == 32 && mw_is_hex(one.id));
    assert_true(mw_slice_starts(one.secret, MW_SLICE("whsec_")));
    assert_int_equal(mw_base64_decode(mw_slice_from(one.secret, 6), raw, sizeof raw, &len), MW_OK);
    assert_int_equal(len, 32);
    assert_false(mw_slice_equal(one.id, two.id));
    assert_false(mw_slice_equal(one.secret, two.secret));
}

static void test_names_of_new_endpoints(void **unused)
{
    (void)unused;
    char full[65], more[66];
    memset(full, 'n', 64);
    full[64] = '\0';
    memset(more, 'n', 65);
    more[65] = '\0';
    const struct {
        const char *name, *source, *field;
    } rows[] = {
        {full, "devops-agent", NULL},
        {more, "devops-agent", "name"},
        {"", "devops-agent", "name"},
        {"   ", "devops-agent", "name"},
        {"a\nb", "devops-agent", "name"},
        {"a\x1b[31m", "devops-agent", "name"},
        {"a\x7f", "devops-agent", "name"},
        {"a\xc2\x85", "devops-agent", "name"},
        {"a\xe2\x80\xae", "devops-agent", "name"}, /* right-to-left override */
        {"a\xff", "devops-agent", "name"},
        {"ok", "nothing", "source"},
        {"ok", "", "source"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        mw_webhook_row row;
        mw_detail detail = {0};
        mw_webhook_wish wish = {.space = MW_SLICE("default"),
                                .name = mw_slice_of(rows[i].name),
                                .source = mw_slice_of(rows[i].source)};
        mw_err err = mw_webhook_new(&wish, T0, &arena, &row, &detail);
        if (err != (rows[i].field ? MW_E_INVALID : MW_OK))
            fail_msg("row %zu: %d", i, err);
        if (rows[i].field)
            assert_string_equal(detail.field, rows[i].field);
    }
}

static void test_a_new_secret(void **unused)
{
    (void)unused;
    mw_webhook_row row;
    mw_detail detail = {0};
    mw_webhook_wish wish = {.name = MW_SLICE("a"), .source = MW_SLICE("alertmanager")};
    assert_int_equal(mw_webhook_new(&wish, T0, &arena, &row, &detail), MW_OK);
    assert_slice(row.auth, "bearer");
    assert_true(mw_slice_starts(row.secret, MW_SLICE("mwhk_")) && row.secret.len == 41);
    mw_slice first = row.secret;
    assert_int_equal(mw_webhook_renew(&row, 60 * MW_NS_PER_S, T0, &arena), MW_OK);
    assert_true(mw_slice_equal(row.previous_secret, first));
    assert_false(mw_slice_equal(row.secret, first));
    assert_int_equal(row.previous_until_ns, T0 + 60 * MW_NS_PER_S);
    assert_int_equal(mw_webhook_renew(&row, 0, T0 + 1, &arena), MW_OK);
    assert_slice(row.previous_secret, "");
    assert_int_equal(row.previous_until_ns, 0);
    assert_int_equal(row.rotated_ns, T0 + 1);
}

#define WITH(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {WITH(test_new_endpoint), WITH(test_names_of_new_endpoints),
                                       WITH(test_a_new_secret)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
