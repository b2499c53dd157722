/* Signatures of deliveries. See signature_int.h. Pure; any thread. */
#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>

#include "lib/base/clock.h"
#include "lib/base/id.h"
#include "webhook/signature_int.h"
#include "webhook/source.h"

/* 32 bytes in base64 with padding. */
#define SIGNATURE_TEXT 44
/* "2026-03-14T09:26:53": what stands before fraction and Z. */
#define SECONDS_TEXT 19

/* The shape, digit by digit: RFC 3339 would allow offsets and lower case, this header does not. */
static bool has_shape(mw_slice text)
{
    static const char shape[] = "dddd-dd-ddTdd:dd:dd";
    if (text.len < SECONDS_TEXT + 1 || text.data[text.len - 1] != 'Z')
        return false;
    for (size_t i = 0; i < SECONDS_TEXT; i++) {
        bool digit = text.data[i] >= '0' && text.data[i] <= '9';
        if (shape[i] == 'd' ? !digit : text.data[i] != shape[i])
            return false;
    }
    return text.data[0] == '2' && text.data[1] == '0';
}

mw_err mw_signature_time(mw_slice text, int64_t *ns)
{
    /* mw_time_parse checks the fraction (1 to 9 digits) and that the date exists. */
    return has_shape(text) && mw_time_parse(text, ns) == MW_OK ? MW_OK : MW_E_SYNTAX;
}

static bool within_window(int64_t sent_ns, int64_t now_ns)
{
    /* Years 2000 to 2099 on both sides of the subtraction: no overflow. */
    int64_t age = now_ns > sent_ns ? now_ns - sent_ns : sent_ns - now_ns;
    return age <= MW_WEBHOOK_WINDOW_NS;
}

static bool update(EVP_MAC_CTX *ctx, mw_slice part)
{
    return EVP_MAC_update(ctx, (const unsigned char *)(part.len ? part.data : ""), part.len) == 1;
}

static EVP_MAC_CTX *new_keyless(void)
{
    OSSL_PARAM params[] = {
        OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, (char[]){"SHA256"}, 0),
        OSSL_PARAM_construct_end(),
    };
    EVP_MAC *mac = EVP_MAC_fetch(NULL, "HMAC", NULL);
    EVP_MAC_CTX *ctx = mac ? EVP_MAC_CTX_new(mac) : NULL;
    EVP_MAC_free(mac);
    if (ctx && EVP_MAC_CTX_set_params(ctx, params) != 1) {
        EVP_MAC_CTX_free(ctx);
        ctx = NULL;
    }
    return ctx;
}

/* HMAC-SHA-256 without a key, made once and copied from then on: looking the two up by their names
 * takes OpenSSL longer than the signature of an alarm. NULL: no memory, asked for again. */
static const EVP_MAC_CTX *keyless(void)
{
    static EVP_MAC_CTX *kept; /* atomic */
    EVP_MAC_CTX *known = __atomic_load_n(&kept, __ATOMIC_ACQUIRE), *made;
    if (known)
        return known;
    made = new_keyless();
    if (made &&
        __atomic_compare_exchange_n(&kept, &known, made, false, __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE))
        return made;
    EVP_MAC_CTX_free(made);
    return known;
}

static bool compute(EVP_MAC_CTX *ctx, mw_slice secret, mw_slice timestamp, mw_slice body,
                    uint8_t out[MW_SIGNATURE_SIZE])
{
    /* A key must not be empty for OpenSSL; mw_signature_aws refuses the empty secret anyway. */
    mw_slice key = secret.len ? secret : MW_SLICE("-");
    size_t len = 0;
    return EVP_MAC_init(ctx, (const unsigned char *)key.data, key.len, NULL) == 1 &&
           update(ctx, timestamp) && update(ctx, MW_SLICE(":")) && update(ctx, body) &&
           EVP_MAC_final(ctx, out, &len, MW_SIGNATURE_SIZE) == 1 && len == MW_SIGNATURE_SIZE;
}

/* False when OpenSSL has no memory: then nobody is let in. */
static bool hmac_sha256(mw_slice secret, mw_slice timestamp, mw_slice body,
                        uint8_t out[MW_SIGNATURE_SIZE])
{
    const EVP_MAC_CTX *from = keyless();
    EVP_MAC_CTX *ctx = from ? EVP_MAC_CTX_dup(from) : NULL;
    bool done = ctx && compute(ctx, secret, timestamp, body, out);
    EVP_MAC_CTX_free(ctx);
    return done;
}

mw_err mw_signature_make(mw_slice secret, mw_slice timestamp, mw_slice body,
                         char out[MW_SIGNATURE_TEXT_SIZE])
{
    uint8_t digest[MW_SIGNATURE_SIZE];
    if (!hmac_sha256(secret, timestamp, body, digest))
        return MW_E_NOMEM;
    mw_base64_encode(digest, sizeof digest, out);
    return MW_OK;
}

static bool decode_signature(mw_slice text, uint8_t out[MW_SIGNATURE_SIZE])
{
    size_t len;
    uint8_t decoded[SIGNATURE_TEXT / 4 * 3];
    if (text.len != SIGNATURE_TEXT ||
        mw_base64_decode(text, decoded, sizeof decoded, &len) != MW_OK || len != MW_SIGNATURE_SIZE)
        return false;
    memcpy(out, decoded, MW_SIGNATURE_SIZE);
    return true;
}

mw_err mw_signature_aws(mw_slice secret, mw_slice timestamp, mw_slice body, mw_slice signature,
                        int64_t now_ns, uint8_t digest[MW_SIGNATURE_SIZE])
{
    uint8_t wanted[MW_SIGNATURE_SIZE] = {0}, given[MW_SIGNATURE_SIZE] = {0};
    int64_t sent_ns = 0;
    bool in_time =
        mw_signature_time(timestamp, &sent_ns) == MW_OK && within_window(sent_ns, now_ns);
    bool decoded = decode_signature(signature, given);
    bool computed = hmac_sha256(secret, timestamp, body, wanted);
    bool equal = CRYPTO_memcmp(wanted, given, sizeof wanted) == 0;
    if (!secret.len || !in_time || !decoded || !computed || !equal)
        return MW_E_UNAUTHENTICATED;
    memcpy(digest, given, MW_SIGNATURE_SIZE);
    return MW_OK;
}
