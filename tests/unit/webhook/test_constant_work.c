/* Attack row 11, as far as it does not take a clock: whatever is wrong with a delivery, the same
 * number of bytes goes through HMAC and the same number of bytes is compared in constant time. Two
 * functions of OpenSSL are counted on their way to it, so a comparison by memcmp, and a return
 * before the work is done, are seen here; tests/soak/test_timing.py looks through the real port. */
#include <dlfcn.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <string.h>

#include "lib/base/clock.h"
#include "lib/base/id.h"
#include "tests/check.h"
#include "webhook/credential_int.h"
#include "webhook/signature_int.h"

#define NOW (INT64_C(1773480413) * MW_NS_PER_S)
#define TIME "2026-03-14T09:26:53.000Z"
#define SECRET MW_SLICE("mw-test-secret-000000000000000000000001")
#define OTHER MW_SLICE("mw-test-secret-000000000000000000000002")
#define BODY MW_SLICE("{\"eventType\":\"incident\",\"incidentId\":\"one\"}")

typedef struct work {
    unsigned compared, compared_bytes;
    size_t signed_bytes; /* that went through HMAC */
    size_t hashed_bytes; /* through SHA-256, of bearer tokens: HMAC has its own */
} work;

static work done;

/* In place of OpenSSL's, for everything in this program. */
int CRYPTO_memcmp(const void *in_a, const void *in_b, size_t len)
{
    volatile unsigned char difference = 0;
    done.compared++;
    done.compared_bytes += (unsigned)len;
    for (size_t i = 0; i < len; i++)
        difference |= ((const unsigned char *)in_a)[i] ^ ((const unsigned char *)in_b)[i];
    return difference;
}

int EVP_MAC_update(EVP_MAC_CTX *ctx, const unsigned char *data, size_t datalen)
{
    static int (*real)(EVP_MAC_CTX *, const unsigned char *, size_t);
    if (!real)
        *(void **)&real = dlsym(RTLD_NEXT, "EVP_MAC_update");
    done.signed_bytes += datalen;
    return real(ctx, data, datalen);
}

int EVP_DigestUpdate(EVP_MD_CTX *ctx, const void *data, size_t count)
{
    static int (*real)(EVP_MD_CTX *, const void *, size_t);
    if (!real)
        *(void **)&real = dlsym(RTLD_NEXT, "EVP_DigestUpdate");
    done.hashed_bytes += count;
    return real(ctx, data, count);
}

static mw_err deliver(unsigned auth, mw_slice previous, const mw_header *headers, size_t count)
{
    const char *reason;
    uint8_t key[32];
    mw_request request = {
        .headers = (mw_header *)(uintptr_t)headers, .header_count = count, .body = BODY};
    mw_delivery delivery = {.request = &request, .now_ns = NOW};
    mw_credential credential = {auth, SECRET, previous};
    done = (work){0};
    return mw_credential_check(&credential, &delivery, key, &reason);
}

static mw_err deliver_signed(mw_slice previous, const char *signature)
{
    const mw_header headers[] = {{MW_SLICE("x-amzn-event-timestamp"), MW_SLICE(TIME)},
                                 {MW_SLICE("x-amzn-event-signature"), mw_slice_of(signature)}};
    return deliver(MW_AUTH_HMAC, previous, headers, 2);
}

/* The right signature, with the byte at `at` of its 32 changed. */
static void wrong_at(size_t at, char out[MW_SIGNATURE_TEXT_SIZE])
{
    char right[MW_SIGNATURE_TEXT_SIZE];
    uint8_t raw[MW_SIGNATURE_SIZE];
    size_t len;
    assert_int_equal(mw_signature_make(SECRET, MW_SLICE(TIME), BODY, right), MW_OK);
    assert_int_equal(mw_base64_decode(mw_slice_of(right), raw, sizeof raw, &len), MW_OK);
    raw[at] ^= 0x80;
    mw_base64_encode(raw, sizeof raw, out);
}

static void assert_same(const work *wanted)
{
    assert_int_equal(done.compared, wanted->compared);
    assert_int_equal(done.compared_bytes, wanted->compared_bytes);
    assert_int_equal(done.signed_bytes, wanted->signed_bytes);
}

static void test_every_byte_of_a_signature(void **state)
{
    (void)state;
    char text[MW_SIGNATURE_TEXT_SIZE];
    for (int grace = 0; grace < 2; grace++) {
        mw_slice previous = grace ? OTHER : MW_SLICE_NONE;
        assert_int_equal(mw_signature_make(SECRET, MW_SLICE(TIME), BODY, text), MW_OK);
        assert_int_equal(deliver_signed(previous, text), MW_OK);
        const work good = done;
        /* Both secrets, whole: the timestamp, a colon and the body, and 32 bytes compared. */
        assert_int_equal(good.compared, 2);
        assert_int_equal(good.compared_bytes, 2 * MW_SIGNATURE_SIZE);
        assert_int_equal(good.signed_bytes, 2 * (strlen(TIME) + 1 + BODY.len));
        for (size_t at = 0; at < MW_SIGNATURE_SIZE; at++) {
            wrong_at(at, text);
            assert_int_equal(deliver_signed(previous, text), MW_E_UNAUTHENTICATED);
            assert_same(&good);
        }
    }
}

static void test_whatever_else_is_wrong(void **state)
{
    (void)state;
    static const char *const signatures[] = {"", "x", "AAAA", "not base64 at all ???",
                                             "rzvIK4GfEG/gVhrr2HqoWDzOIeZu4Knmu5k/9rQO36A"};
    char text[MW_SIGNATURE_TEXT_SIZE];
    wrong_at(0, text);
    assert_int_equal(deliver_signed(MW_SLICE_NONE, text), MW_E_UNAUTHENTICATED);
    const work wrong = done;
    for (size_t i = 0; i < sizeof signatures / sizeof signatures[0]; i++) {
        assert_int_equal(deliver_signed(MW_SLICE_NONE, signatures[i]), MW_E_UNAUTHENTICATED);
        assert_same(&wrong);
    }
    /* Years away, and none at all: what is hashed is as long as what was sent. */
    const mw_header old[] = {
        {MW_SLICE("x-amzn-event-timestamp"), MW_SLICE("2016-03-14T09:26:53.000Z")},
        {MW_SLICE("x-amzn-event-signature"), mw_slice_of(text)}};
    assert_int_equal(deliver(MW_AUTH_HMAC, MW_SLICE_NONE, old, 2), MW_E_UNAUTHENTICATED);
    assert_same(&wrong);
    assert_int_equal(deliver(MW_AUTH_HMAC, MW_SLICE_NONE, NULL, 0), MW_E_UNAUTHENTICATED);
    assert_int_equal(done.compared_bytes, wrong.compared_bytes);
    assert_int_equal(done.signed_bytes, wrong.signed_bytes - 2 * strlen(TIME));
}

/* Digests are compared: neither the length of a bearer token nor how much of it is right tells. */
static void test_every_byte_of_a_bearer_token(void **state)
{
    (void)state;
    char token[64], value[96];
    assert_true(mw_slice_to_cstr(SECRET, token, sizeof token));
    size_t len = strlen(token);
    for (size_t at = 0; at <= len; at++) {
        assert_true(mw_slice_to_cstr(SECRET, token, sizeof token));
        if (at < len)
            token[at] ^= 1;
        snprintf(value, sizeof value, "Bearer %s", token);
        const mw_header header = {MW_SLICE("authorization"), mw_slice_of(value)};
        assert_int_equal(deliver(MW_AUTH_BEARER, MW_SLICE_NONE, &header, 1),
                         at < len ? MW_E_UNAUTHENTICATED : MW_OK);
        assert_int_equal(done.compared, 2);
        assert_int_equal(done.compared_bytes, 64);
        static size_t hashed;
        hashed = at ? hashed : done.hashed_bytes;
        assert_int_equal(done.hashed_bytes, hashed);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_byte_of_a_signature),
        cmocka_unit_test(test_whatever_else_is_wrong),
        cmocka_unit_test(test_every_byte_of_a_bearer_token),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
