/* Who sends: signatures and bearer tokens against one or two secrets, replay keys, words for the
 * audit. */
#include <string.h>

#include "lib/base/clock.h"
#include "tests/check.h"
#include "webhook/credential_int.h"
#include "webhook/signature_int.h"

#define NOW (INT64_C(1773480413) * MW_NS_PER_S)
#define SECRET MW_SLICE("mw-test-secret-000000000000000000000001")
#define OTHER MW_SLICE("mw-test-secret-000000000000000000000002")

static mw_slice secret, previous;
static const char *reason;

static int set_up(void **state)
{
    (void)state;
    secret = SECRET;
    previous = MW_SLICE_NONE;
    reason = "?";
    return 0;
}

/* ---- HMAC ---------------------------------------------------------------------------------- */

typedef struct credentials {
    const char *timestamp, *signature;
    bool second_timestamp, second_signature;
} credentials;

static mw_err authenticate(const credentials *c, uint8_t key[32])
{
    mw_header headers[4];
    size_t count = 0;
    const mw_slice ts = MW_SLICE("x-amzn-event-timestamp"),
                   sig = MW_SLICE("x-amzn-event-signature");
    if (c->timestamp)
        headers[count++] = (mw_header){ts, mw_slice_of(c->timestamp)};
    if (c->signature)
        headers[count++] = (mw_header){sig, mw_slice_of(c->signature)};
    if (c->second_timestamp)
        headers[count++] = (mw_header){ts, mw_slice_of(c->timestamp)};
    if (c->second_signature)
        headers[count++] = (mw_header){sig, MW_SLICE("nonsense")};
    mw_request request = {.headers = headers, .header_count = count, .body = MW_SLICE("")};
    mw_delivery delivery = {.request = &request, .now_ns = NOW};
    mw_credential credential = {MW_AUTH_HMAC, secret, previous};
    return mw_credential_check(&credential, &delivery, key, &reason);
}

#define TIME "2026-03-14T09:26:53.000Z"
#define SIGNATURE "rzvIK4GfEG/gVhrr2HqoWDzOIeZu4Knmu5k/9rQO360="

static void test_authenticate(void **state)
{
    (void)state;
    static const struct {
        credentials given;
        mw_err expected;
    } rows[] = {
        {{TIME, SIGNATURE, false, false}, MW_OK},
        {{TIME, " " SIGNATURE "\t ", false, false}, MW_OK}, /* OWS is no part of a value */
        {{NULL, SIGNATURE, false, false}, MW_E_UNAUTHENTICATED},
        {{TIME, NULL, false, false}, MW_E_UNAUTHENTICATED},
        {{NULL, NULL, false, false}, MW_E_UNAUTHENTICATED},
        {{TIME, "", false, false}, MW_E_UNAUTHENTICATED},
        {{"", SIGNATURE, false, false}, MW_E_UNAUTHENTICATED},
        {{TIME, SIGNATURE, true, false}, MW_E_INVALID},
        {{TIME, SIGNATURE, false, true}, MW_E_INVALID},
        {{TIME, SIGNATURE, true, true}, MW_E_INVALID},
        {{NULL, "wrong", false, true}, MW_E_INVALID},
    };
    uint8_t key[32];
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        if (authenticate(&rows[i].given, key) != rows[i].expected)
            fail_msg("row %zu", i);
}

static void test_replay_key_is_of_the_signature(void **state)
{
    (void)state;
    uint8_t one[32] = {0}, two[32] = {1};
    credentials c = {TIME, SIGNATURE, false, false}, spaced = {TIME, SIGNATURE " ", false, false};
    assert_int_equal(authenticate(&c, one), MW_OK);
    assert_int_equal(authenticate(&spaced, two), MW_OK);
    assert_memory_equal(one, two, 32);
}

static void test_both_secrets_are_good(void **state)
{
    (void)state;
    uint8_t one[32] = {0}, two[32] = {1};
    credentials c = {TIME, SIGNATURE, false, false};
    assert_int_equal(authenticate(&c, one), MW_OK);
    secret = OTHER;
    assert_int_equal(authenticate(&c, two), MW_E_UNAUTHENTICATED);
    assert_string_equal(reason, "bad_signature");
    previous = SECRET;
    assert_int_equal(authenticate(&c, two), MW_OK);
    assert_memory_equal(one, two, 32); /* the same delivery before and after */
    secret = MW_SLICE("");
    previous = MW_SLICE("");
    assert_int_equal(authenticate(&c, two), MW_E_UNAUTHENTICATED);
}

/* What stands in for a second secret where there is none must open nothing. */
static void test_the_stand_in_is_no_secret(void **state)
{
    (void)state;
    uint8_t key[32];
    char signature[MW_SIGNATURE_TEXT_SIZE];
    assert_int_equal(
        mw_signature_make(MW_SLICE("whsec_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="),
                          MW_SLICE(TIME), MW_SLICE(""), signature),
        MW_OK);
    credentials c = {TIME, signature, false, false};
    assert_int_equal(authenticate(&c, key), MW_E_UNAUTHENTICATED);
}

static void test_reasons(void **state)
{
    (void)state;
    static const struct {
        credentials given;
        const char *reason;
    } rows[] = {
        {{NULL, SIGNATURE, false, false}, "no_signature"},
        {{TIME, NULL, false, false}, "no_signature"},
        {{"1773480413", SIGNATURE, false, false}, "bad_timestamp"},
        {{"2026-03-14T09:21:52Z", SIGNATURE, false, false}, "outside_window"},
        {{"2026-03-14T09:31:54Z", SIGNATURE, false, false}, "outside_window"},
        {{"2026-03-14T09:26:54Z", SIGNATURE, false, false}, "bad_signature"},
        {{TIME, SIGNATURE, false, true}, "credentials_twice"},
    };
    uint8_t key[32];
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        assert_true(authenticate(&rows[i].given, key) != MW_OK);
        assert_string_equal(reason, rows[i].reason);
    }
}

/* ---- bearer -------------------------------------------------------------------------------- */

static mw_err bear(const char *header, const char *second, const char *body, uint8_t key[32])
{
    const mw_slice name = MW_SLICE("authorization");
    mw_header headers[2] = {{name, mw_slice_of(header ? header : "")},
                            {name, mw_slice_of(second ? second : "")}};
    mw_request request = {.headers = headers,
                          .header_count = second   ? 2
                                          : header ? 1
                                                   : 0,
                          .body = mw_slice_of(body)};
    mw_delivery delivery = {.request = &request, .now_ns = NOW};
    mw_credential credential = {MW_AUTH_BEARER, secret, previous};
    return mw_credential_check(&credential, &delivery, key, &reason);
}

static void test_bearer(void **state)
{
    (void)state;
    static const struct {
        const char *header;
        mw_err expected;
        const char *reason;
    } rows[] = {
        {"Bearer mwhk_plain_bearer_for_tests", MW_OK, ""}, /* T24 */
        {"bearer mwhk_plain_bearer_for_tests", MW_OK, ""},
        {"BEARER  mwhk_plain_bearer_for_tests ", MW_OK, ""},
        {"Bearer mwhk_plain_bearer_for_test", MW_E_UNAUTHENTICATED, "bad_token"},
        {"Bearer mwhk_plain_bearer_for_tests2", MW_E_UNAUTHENTICATED, "bad_token"},
        {"Bearer MWHK_plain_bearer_for_tests", MW_E_UNAUTHENTICATED, "bad_token"},
        {"Bearer ", MW_E_UNAUTHENTICATED, "no_token"},
        {"Bearer", MW_E_UNAUTHENTICATED, "no_token"},
        {"mwhk_plain_bearer_for_tests", MW_E_UNAUTHENTICATED, "no_token"},
        {"Basic bXdoa19wbGFpbl9iZWFyZXJfZm9yX3Rlc3Rz", MW_E_UNAUTHENTICATED, "no_token"},
        {"", MW_E_UNAUTHENTICATED, "no_token"},
        {NULL, MW_E_UNAUTHENTICATED, "no_token"},
    };
    uint8_t key[32];
    secret = MW_SLICE("mwhk_plain_bearer_for_tests");
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        if (bear(rows[i].header, NULL, "{}", key) != rows[i].expected)
            fail_msg("row %zu", i);
        assert_string_equal(reason, rows[i].reason);
    }
    assert_int_equal(
        bear("Bearer mwhk_plain_bearer_for_tests", "Bearer mwhk_plain_bearer_for_tests", "{}", key),
        MW_E_INVALID);
    secret = MW_SLICE("");
    assert_int_equal(bear("Bearer ", NULL, "{}", key), MW_E_UNAUTHENTICATED);
    secret = OTHER;
    previous = MW_SLICE("mwhk_plain_bearer_for_tests");
    assert_int_equal(bear("Bearer mwhk_plain_bearer_for_tests", NULL, "{}", key), MW_OK);
}

static void test_replay_key_of_a_bearer_is_of_its_body(void **state)
{
    (void)state;
    uint8_t one[32], two[32], three[32];
    secret = MW_SLICE("mwhk_plain_bearer_for_tests");
    assert_int_equal(bear("Bearer mwhk_plain_bearer_for_tests", NULL, "{}", one), MW_OK);
    assert_int_equal(bear("bearer mwhk_plain_bearer_for_tests", NULL, "{}", two), MW_OK);
    assert_int_equal(bear("Bearer mwhk_plain_bearer_for_tests", NULL, "{ }", three), MW_OK);
    assert_memory_equal(one, two, 32);
    assert_memory_not_equal(one, three, 32);
}

#define WITH(test) cmocka_unit_test_setup(test, set_up)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH(test_authenticate),
        WITH(test_replay_key_is_of_the_signature),
        WITH(test_both_secrets_are_good),
        WITH(test_the_stand_in_is_no_secret),
        WITH(test_reasons),
        WITH(test_bearer),
        WITH(test_replay_key_of_a_bearer_is_of_its_body),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
