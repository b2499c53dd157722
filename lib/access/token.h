/* lib/access: the form of a token, and what is kept of it. Pure but for the making; any thread.
 *
 *     mwat_ 30 letters and digits, random      6 letters and digits, CRC-32 of the 30
 *
 * 41 characters; a double click selects all of it. The checksum (alphabet 0-9A-Za-z, padded with
 * zeros on the left) lets scanners and typing errors be told from tokens without asking anybody. 30
 * characters of base 62 are 178 bits: a fast keyed hash is enough to keep (facts: security 3).
 */
#ifndef MW_ACCESS_TOKEN_H
#define MW_ACCESS_TOKEN_H

#include "lib/base/slice.h"

#define MW_TOKEN_PREFIX "mwat_"
/* Of a webhook's bearer secret: the same form. */
#define MW_TOKEN_HOOK_PREFIX "mwhk_"
#define MW_TOKEN_RANDOM 30
#define MW_TOKEN_CHECK 6
#define MW_TOKEN_LEN (5 + MW_TOKEN_RANDOM + MW_TOKEN_CHECK)
#define MW_TOKEN_DIGEST_SIZE 32

/* What a bearer may do; a token holds a set of them. OPERATE holds READ. */
enum { MW_TOKEN_INGEST = 1, MW_TOKEN_READ = 2, MW_TOKEN_OPERATE = 4 };

/* `prefix` is one of the two above; out is NUL-terminated. */
void mw_token_new(const char *prefix, char out[MW_TOKEN_LEN + 1]);
/* The six characters of 30; no NUL. */
void mw_token_checksum(const char random[MW_TOKEN_RANDOM], char out[MW_TOKEN_CHECK]);
/* MW_E_SYNTAX (no such form), MW_E_CORRUPT (the checksum is not its own). */
MW_MUST_USE mw_err mw_token_check(mw_slice text);
/* HMAC-SHA256(pepper, token). MW_E_NOMEM. */
MW_MUST_USE mw_err mw_token_digest(mw_slice pepper, mw_slice token,
                                   uint8_t out[MW_TOKEN_DIGEST_SIZE]);

/* "ingest,read" to a set: no name twice, none unknown, at least one. MW_E_INVALID. */
MW_MUST_USE mw_err mw_token_scopes_parse(mw_slice text, unsigned *out);
/* The other way, in the order ingest, read, operate. */
#define MW_TOKEN_SCOPES_SIZE 24
void mw_token_scopes_format(unsigned scopes, char out[MW_TOKEN_SCOPES_SIZE]);

#endif
