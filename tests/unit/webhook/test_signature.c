/* The AWS signature scheme: the published vectors, and every way a header can be wrong. */
#include <jansson.h>
#include <string.h>

#include "lib/base/clock.h"
#include "lib/base/id.h"
#include "tests/check.h"
#include "webhook/signature_int.h"

#define NOW (INT64_C(1773480413) * MW_NS_PER_S) /* 2026-03-14T09:26:53Z, the vectors' clock */
#define SECRET MW_SLICE("mw-test-secret-000000000000000000000001")
#define TIME_T02 "2026-03-14T09:26:53.000Z"
#define SIGNATURE_T02 "rzvIK4GfEG/gVhrr2HqoWDzOIeZu4Knmu5k/9rQO360=" /* empty body */

static mw_slice text_of(const json_t *object, const char *name)
{
    const json_t *value = json_object_get(object, name);
    if (!json_is_string(value))
        fail_msg("vector without %s", name);
    return mw_slice_bytes(json_string_value(value), json_string_length(value));
}

static void test_vectors(void **state)
{
    (void)state;
    json_error_t error;
    json_t *vectors = json_load_file("tests/data/webhook-vectors.json", 0, &error);
    if (!vectors)
        fail_msg("tests/data/webhook-vectors.json: %s", error.text);
    assert_int_equal(json_array_size(vectors), 9);
    for (size_t i = 0; i < json_array_size(vectors); i++) {
        const json_t *vector = json_array_get(vectors, i);
        const json_t *headers = json_object_get(vector, "headers");
        uint8_t digest[MW_SIGNATURE_SIZE];
        mw_err err = mw_signature_aws(
            text_of(vector, "secret"), text_of(headers, "x-amzn-event-timestamp"),
            text_of(vector, "body"), text_of(headers, "x-amzn-event-signature"), NOW, digest);
        /* 400 comes after authentication. */
        bool refused = mw_slice_equal(text_of(vector, "expect"), MW_SLICE("reject-401"));
        if (err != (refused ? MW_E_UNAUTHENTICATED : MW_OK))
            fail_msg("%s: got %d", json_string_value(json_object_get(vector, "id")), err);
    }
    json_decref(vectors);
}

static mw_err check(mw_slice secret, const char *timestamp, mw_slice signature, int64_t now)
{
    uint8_t digest[MW_SIGNATURE_SIZE];
    return mw_signature_aws(secret, mw_slice_of(timestamp), MW_SLICE(""), signature, now, digest);
}

static void test_window(void **state)
{
    (void)state;
    static const struct {
        int64_t off_ns;
        mw_err expected;
    } rows[] = {
        {0, MW_OK},
        {300 * MW_NS_PER_S, MW_OK},
        {-300 * MW_NS_PER_S, MW_OK},
        {300 * MW_NS_PER_S + 1, MW_E_UNAUTHENTICATED},
        {-300 * MW_NS_PER_S - 1, MW_E_UNAUTHENTICATED},
        {301 * MW_NS_PER_S, MW_E_UNAUTHENTICATED},
        {-301 * MW_NS_PER_S, MW_E_UNAUTHENTICATED},
        {-NOW, MW_E_UNAUTHENTICATED},
        {INT64_MAX - NOW, MW_E_UNAUTHENTICATED},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        assert_int_equal(check(SECRET, TIME_T02, MW_SLICE(SIGNATURE_T02), NOW + rows[i].off_ns),
                         rows[i].expected);
}

static void test_signature_text(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "",
        " ",
        "rzvIK4GfEG/gVhrr2HqoWDzOIeZu4Knmu5k/9rQO360",   /* 43: no padding */
        "rzvIK4GfEG/gVhrr2HqoWDzOIeZu4Knmu5k/9rQO360==", /* 45 */
        "rzvIK4GfEG_gVhrr2HqoWDzOIeZu4Knmu5k_9rQO360=",  /* URL-safe */
        "rzvIK4GfEG/gVhrr2HqoWDzOIeZu4Knmu5k/9rQO361=",  /* stray bits in the last digit */
        " zvIK4GfEG/gVhrr2HqoWDzOIeZu4Knmu5k/9rQO360=",
        "rzvIK4GfEG/gVhrr2HqoWDzOIeZu4Knmu5k/9rQO360= ", /* the adapter strips, this does not */
        "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA==",  /* 31 bytes */
        "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",  /* 33 bytes */
        "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=",  /* zeros */
        "af3bc82b819f106fe0561aebd87aa8583cce21e66ee0a9e6bb993ff6b40edfad",
    };
    assert_int_equal(check(SECRET, TIME_T02, MW_SLICE(SIGNATURE_T02), NOW), MW_OK);
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        if (check(SECRET, TIME_T02, mw_slice_of(bad[i]), NOW) != MW_E_UNAUTHENTICATED)
            fail_msg("accepted \"%s\"", bad[i]);
    static char huge[1 << 20];
    memset(huge, 'A', sizeof huge);
    assert_int_equal(check(SECRET, TIME_T02, mw_slice_bytes(huge, sizeof huge), NOW),
                     MW_E_UNAUTHENTICATED);
}

static void test_every_bit_counts(void **state)
{
    (void)state;
    uint8_t raw[33];
    size_t len;
    assert_int_equal(mw_base64_decode(MW_SLICE(SIGNATURE_T02), raw, sizeof raw, &len), MW_OK);
    assert_int_equal(len, 32);
    for (size_t bit = 0; bit < 256; bit++) {
        char text[45];
        raw[bit / 8] ^= (uint8_t)(1u << bit % 8);
        mw_base64_encode(raw, 32, text);
        assert_int_equal(check(SECRET, TIME_T02, mw_slice_of(text), NOW), MW_E_UNAUTHENTICATED);
        raw[bit / 8] ^= (uint8_t)(1u << bit % 8);
    }
    uint8_t digest[MW_SIGNATURE_SIZE];
    assert_int_equal(mw_signature_aws(SECRET, MW_SLICE(TIME_T02), MW_SLICE(""),
                                      MW_SLICE(SIGNATURE_T02), NOW, digest),
                     MW_OK);
    assert_memory_equal(digest, raw, 32);
}

/* An attacker who knows that a secret is unset could sign with the empty key. */
static void test_empty_secret_never_fits(void **state)
{
    (void)state;
    static const char *const guesses[] = {
        /* base64(HMAC-SHA256("", TIME_T02 ":")) and the same with the key "-" */
        "vsJX4FbhReFrp3RZsAAtpHGOtaQitRIVHdOynDNYzjw=",
        "fVKpJO64KfJNbegD1mnZVNt4uPbtNKdguIMzEYrynHI="};
    for (size_t i = 0; i < sizeof guesses / sizeof guesses[0]; i++)
        assert_int_equal(check(MW_SLICE(""), TIME_T02, mw_slice_of(guesses[i]), NOW),
                         MW_E_UNAUTHENTICATED);
}

static void test_time_syntax(void **state)
{
    (void)state;
    static const char *const good[] = {
        "2026-03-14T09:26:53Z", "2026-03-14T09:26:53.0Z", "2026-03-14T09:26:53.123456789Z",
        "2000-01-01T00:00:00Z", "2099-12-31T23:59:59Z",   "2024-02-29T00:00:00.5Z",
    };
    static const char *const bad[] = {
        "",
        "1773480413",
        "2026-03-14 09:26:53",
        "2026-03-14 09:26:53Z",
        "2026-03-14T09:26:53",
        "2026-03-14T09:26:53.Z",
        "2026-03-14T09:26:53.1234567890Z",
        "2026-03-14T09:26:53z",
        "2026-03-14t09:26:53Z",
        "2026-03-14T09:26:53+00:00",
        "2026-03-14T09:26:53.1+01:00Z",
        "1999-12-31T23:59:59Z",
        "2100-01-01T00:00:00Z",
        "2026-02-29T00:00:00Z",
        "2026-13-01T00:00:00Z",
        "2026-03-14T24:00:00Z",
        "2026-03-14T09:60:00Z",
        "2026-03-14T09:26:53ZZ",
        " 2026-03-14T09:26:53Z",
        "2026-03-14T09:26:5\xc2\xb2Z",
    };
    int64_t ns;
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++)
        if (mw_signature_time(mw_slice_of(good[i]), &ns) != MW_OK)
            fail_msg("refused \"%s\"", good[i]);
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        if (mw_signature_time(mw_slice_of(bad[i]), &ns) != MW_E_SYNTAX)
            fail_msg("accepted \"%s\"", bad[i]);
    assert_int_equal(mw_signature_time(MW_SLICE("2026-03-14T09:26:53.123Z"), &ns), MW_OK);
    assert_int_equal(ns, NOW + 123 * MW_NS_PER_MS);
    static char huge[10240];
    memset(huge, '2', sizeof huge);
    assert_int_equal(mw_signature_time(mw_slice_bytes(huge, sizeof huge), &ns), MW_E_SYNTAX);
}

/* The signed bytes are the header's as sent: another spelling of the same moment does not fit. */
static void test_timestamp_is_signed_as_sent(void **state)
{
    (void)state;
    static const char *const others[] = {"2026-03-14T09:26:53Z", "2026-03-14T09:26:53.0000Z"};
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++)
        assert_int_equal(check(SECRET, others[i], MW_SLICE(SIGNATURE_T02), NOW),
                         MW_E_UNAUTHENTICATED);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_vectors),
        cmocka_unit_test(test_window),
        cmocka_unit_test(test_signature_text),
        cmocka_unit_test(test_every_bit_counts),
        cmocka_unit_test(test_empty_secret_never_fits),
        cmocka_unit_test(test_time_syntax),
        cmocka_unit_test(test_timestamp_is_signed_as_sent),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
