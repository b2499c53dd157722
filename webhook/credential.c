/* HMAC and bearer credentials. See credential_int.h. No state; any thread. */
#include <openssl/crypto.h>
#include <openssl/evp.h>

#include "webhook/credential_int.h"
#include "webhook/signature_int.h"

#define HEADER_TIMESTAMP MW_SLICE("x-amzn-event-timestamp")
#define HEADER_SIGNATURE MW_SLICE("x-amzn-event-signature")
#define HEADER_AUTHORIZATION MW_SLICE("authorization")
/* Stands in for a second secret where there is none. */
#define NO_SECRET MW_SLICE("whsec_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=")

static mw_slice header(const mw_request *request, mw_slice name, size_t *count)
{
    return mw_slice_trim(mw_request_header(request, name, count));
}

/* False when OpenSSL has no memory. */
static bool digest_of(mw_slice first, mw_slice second, uint8_t out[32])
{
    unsigned len = 0;
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    bool done = ctx && EVP_DigestInit_ex(ctx, EVP_sha256(), NULL) == 1 &&
                EVP_DigestUpdate(ctx, first.data, first.len) == 1 &&
                EVP_DigestUpdate(ctx, "\n", 1) == 1 &&
                EVP_DigestUpdate(ctx, second.data, second.len) == 1 &&
                EVP_DigestFinal_ex(ctx, out, &len) == 1 && len == 32;
    EVP_MD_CTX_free(ctx);
    return done;
}

/* ---- HMAC ---------------------------------------------------------------------------------- */

/* A replay is the same signature again: the endpoint's id stands beside it in the cache. */
static mw_err replay_key_of(const uint8_t signature[MW_SIGNATURE_SIZE], uint8_t out[32])
{
    unsigned len = 0;
    if (EVP_Digest(signature, MW_SIGNATURE_SIZE, out, &len, EVP_sha256(), NULL) != 1)
        return MW_E_UNAUTHENTICATED;
    return MW_OK;
}

/* For the audit: the answer does not tell. */
static const char *why_not_signed(mw_slice timestamp, mw_slice signature, int64_t now_ns)
{
    int64_t sent_ns;
    if (!timestamp.data || !signature.data)
        return "no_signature";
    if (mw_signature_time(timestamp, &sent_ns) != MW_OK)
        return "bad_timestamp";
    int64_t age_ns = now_ns > sent_ns ? now_ns - sent_ns : sent_ns - now_ns;
    return age_ns > MW_WEBHOOK_WINDOW_NS ? "outside_window" : "bad_signature";
}

static mw_err check_hmac(const mw_credential *credential, const mw_delivery *delivery,
                         uint8_t replay_key[32], const char **reason)
{
    size_t timestamps, signatures;
    uint8_t digest[MW_SIGNATURE_SIZE], other[MW_SIGNATURE_SIZE];
    const mw_request *request = delivery->request;
    mw_slice timestamp = header(request, HEADER_TIMESTAMP, &timestamps);
    mw_slice signature = header(request, HEADER_SIGNATURE, &signatures);
    mw_err err = mw_signature_aws(credential->secret, timestamp, request->body, signature,
                                  delivery->now_ns, digest);
    mw_err second = mw_signature_aws(credential->previous.len ? credential->previous : NO_SECRET,
                                     timestamp, request->body, signature, delivery->now_ns, other);
    if (timestamps > 1 || signatures > 1) {
        *reason = "credentials_twice";
        return MW_E_INVALID;
    }
    if (err == MW_OK)
        return replay_key_of(digest, replay_key);
    if (second == MW_OK && credential->previous.len)
        return replay_key_of(other, replay_key);
    *reason = why_not_signed(timestamp, signature, delivery->now_ns);
    return MW_E_UNAUTHENTICATED;
}

/* ---- bearer -------------------------------------------------------------------------------- */

/* "Bearer TOKEN", the scheme in either case; data NULL otherwise. */
static mw_slice bearer_of(mw_slice value)
{
    static const mw_slice scheme = MW_SLICE_INIT("bearer ");
    if (!mw_slice_equal_nocase(mw_slice_first(value, scheme.len), scheme))
        return MW_SLICE_NONE;
    return mw_slice_trim(mw_slice_from(value, scheme.len));
}

/* Digests are compared, so that neither length nor place of a difference tells. */
static bool is_secret(mw_slice given, mw_slice secret)
{
    uint8_t a[32] = {0}, b[32] = {1};
    bool done = digest_of(MW_SLICE(""), given, a) && digest_of(MW_SLICE(""), secret, b);
    return CRYPTO_memcmp(a, b, sizeof a) == 0 && done && secret.len > 0 && given.len > 0;
}

static mw_err check_bearer(const mw_credential *credential, const mw_delivery *delivery,
                           uint8_t replay_key[32], const char **reason)
{
    size_t count, timestamps;
    const mw_request *request = delivery->request;
    mw_slice given = bearer_of(header(request, HEADER_AUTHORIZATION, &count));
    mw_slice timestamp = header(request, HEADER_TIMESTAMP, &timestamps);
    bool hashed = digest_of(timestamp, request->body, replay_key);
    bool current = is_secret(given, credential->secret);
    bool previous = is_secret(given, credential->previous.len ? credential->previous : NO_SECRET);
    if (count > 1) {
        *reason = "credentials_twice";
        return MW_E_INVALID;
    }
    if (hashed && (current || (previous && credential->previous.len)))
        return MW_OK;
    *reason = given.data ? "bad_token" : "no_token";
    return MW_E_UNAUTHENTICATED;
}

mw_err mw_credential_check(const mw_credential *credential, const mw_delivery *delivery,
                           uint8_t replay_key[32], const char **reason)
{
    MW_ASSERT(credential->auth == MW_AUTH_HMAC || credential->auth == MW_AUTH_BEARER);
    *reason = "";
    return credential->auth == MW_AUTH_HMAC
               ? check_hmac(credential, delivery, replay_key, reason)
               : check_bearer(credential, delivery, replay_key, reason);
}
