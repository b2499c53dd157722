/* The webhook verifier: a delivery is accepted exactly when a second implementation agrees.
 *
 * Input: mode byte, then secret, timestamp, signature and body, each but the last ended by NUL.
 * With an odd mode byte the signature is replaced by the right one, so that the accepting path is
 * reached; the clock stands at 2026-03-14T09:26:53Z. The reference uses OpenSSL's one-shot HMAC
 * over a joined copy, compares base64 text instead of bytes, and reads the time with strptime.
 */
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <string.h>
#include <time.h>

#include "lib/base/slice.h"
#include "webhook/signature_int.h"

#define NOW_S INT64_C(1773480413)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void reference_signature(mw_slice secret, mw_slice timestamp, mw_slice body, char out[45])
{
    unsigned char digest[EVP_MAX_MD_SIZE];
    unsigned len = 0;
    size_t total = timestamp.len + 1 + body.len;
    unsigned char *joined = malloc(total);
    if (!joined)
        abort();
    memcpy(joined, timestamp.data, timestamp.len);
    joined[timestamp.len] = ':';
    if (body.len)
        memcpy(joined + timestamp.len + 1, body.data, body.len);
    if (!HMAC(EVP_sha256(), secret.data, (int)secret.len, joined, total, digest, &len) || len != 32)
        abort();
    EVP_EncodeBlock((unsigned char *)out, digest, 32);
    free(joined);
}

/* Seconds and whether a rest of nanoseconds follows; false when the text is no such time. */
static bool reference_time(mw_slice text, int64_t *seconds, bool *fraction)
{
    char copy[64];
    struct tm parts = {0};
    if (text.len < 20 || text.len > 30 || memchr(text.data, '\0', text.len))
        return false;
    memcpy(copy, text.data, text.len);
    copy[text.len] = '\0';
    static const char shape[] = "2099-19-39T29:59:69";
    for (size_t i = 0; i < 19; i++) {
        bool digit = shape[i] >= '0' && shape[i] <= '9';
        if (digit ? copy[i] < '0' || copy[i] > '9' : copy[i] != shape[i])
            return false;
    }
    if (copy[0] != '2' || copy[1] != '0')
        return false;
    const char *rest = copy + 19;
    *fraction = false;
    if (*rest == '.') {
        size_t digits = strspn(rest + 1, "0123456789");
        if (digits < 1 || digits > 9)
            return false;
        *fraction = strspn(rest + 1, "0") < digits;
        rest += 1 + digits;
    }
    if (strcmp(rest, "Z") != 0)
        return false;
    copy[19] = '\0';
    const char *end = strptime(copy, "%Y-%m-%dT%H:%M:%S", &parts);
    if (!end || *end || parts.tm_sec > 60)
        return false;
    int day = parts.tm_mday, leap = parts.tm_sec == 60;
    parts.tm_sec -= leap; /* shares the second before it */
    *seconds = timegm(&parts);
    return parts.tm_mday == day; /* timegm turns the 31st of February into March */
}

static bool reference_accepts(mw_slice secret, mw_slice timestamp, mw_slice body,
                              mw_slice signature)
{
    char expected[45];
    int64_t seconds;
    bool fraction;
    reference_signature(secret, timestamp, body, expected);
    if (!secret.len || signature.len != 44 || memcmp(signature.data, expected, 44) != 0)
        return false;
    if (!reference_time(timestamp, &seconds, &fraction))
        return false;
    return seconds >= NOW_S - 300 &&
           (seconds < NOW_S + 300 || (seconds == NOW_S + 300 && !fraction));
}

static mw_slice cut(mw_slice *rest)
{
    size_t len = mw_slice_find_byte(*rest, '\0');
    mw_slice head = mw_slice_first(*rest, len);
    *rest = mw_slice_from(*rest, len + 1);
    return head;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 1)
        return 0;
    mw_slice rest = mw_slice_bytes(data + 1, size - 1);
    mw_slice secret = cut(&rest), timestamp = cut(&rest), signature = cut(&rest);
    char right[45];
    uint8_t digest[MW_SIGNATURE_SIZE];
    if (data[0] & 1) {
        reference_signature(secret, timestamp, rest, right);
        signature = mw_slice_bytes(right, 44);
    }
    mw_err err = mw_signature_aws(secret, timestamp, rest, signature, NOW_S * 1000000000, digest);
    if (err != MW_OK && err != MW_E_UNAUTHENTICATED)
        abort();
    if ((err == MW_OK) != reference_accepts(secret, timestamp, rest, signature))
        abort();
    return 0;
}
