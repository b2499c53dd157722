/* Signature schemes, sans I/O: header values, body, secret and a clock reading in, yes or no out.
 *
 * Pure; any thread. Every refusal looks alike to the caller, and the work done does not depend on
 * the reason: the HMAC is computed even when the timestamp is bad already.
 */
#ifndef MW_WEBHOOK_SIGNATURE_INT_H
#define MW_WEBHOOK_SIGNATURE_INT_H

#include "lib/base/slice.h"

#define MW_SIGNATURE_SIZE 32 /* SHA-256 */

/* The AWS DevOps Agent scheme (facts: webhooks 2.2): signature = base64(HMAC-SHA256(secret,
 * timestamp ':' body)), the secret as the literal string, base64 strict with padding (44
 * characters), the timestamp's bytes as sent, its time within the window on both sides. On MW_OK
 * `digest` holds the 32 bytes of the signature. MW_E_UNAUTHENTICATED for everything else, an empty
 * secret included. */
MW_MUST_USE mw_err mw_signature_aws(mw_slice secret, mw_slice timestamp, mw_slice body,
                                    mw_slice signature, int64_t now_ns,
                                    uint8_t digest[MW_SIGNATURE_SIZE]);

/* What a sender does: the signature's text and NUL. MW_E_NOMEM (OpenSSL). */
#define MW_SIGNATURE_TEXT_SIZE 45
MW_MUST_USE mw_err mw_signature_make(mw_slice secret, mw_slice timestamp, mw_slice body,
                                     char out[MW_SIGNATURE_TEXT_SIZE]);

/* YYYY-MM-DDTHH:MM:SS(.d{1,9})?Z, a real date, years 2000 to 2099. MW_E_SYNTAX. */
MW_MUST_USE mw_err mw_signature_time(mw_slice text, int64_t *ns);

#endif
