/* The form of tokens. See token.h. No state; any thread. */
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <string.h>
#include <zlib.h>

#include "lib/access/token.h"
#include "lib/base/id.h"

#define PREFIX_LEN 5
#define BASE 62

static const char alphabet[] = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

static bool is_of_alphabet(mw_slice text)
{
    const mw_slice all = MW_SLICE("0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz");
    for (size_t i = 0; i < text.len; i++)
        if (mw_slice_find_byte(all, text.data[i]) == all.len)
            return false;
    return true;
}

void mw_token_checksum(const char random[MW_TOKEN_RANDOM], char out[MW_TOKEN_CHECK])
{
    unsigned long rest = crc32(0, (const unsigned char *)random, MW_TOKEN_RANDOM);
    for (size_t i = MW_TOKEN_CHECK; i-- > 0; rest /= BASE)
        out[i] = alphabet[rest % BASE];
}

/* 248 is the largest multiple of 62 that a byte holds: no character comes more often than
 * others. */
static char random_character(void)
{
    uint8_t byte;
    do {
        mw_random_bytes(&byte, sizeof byte);
    } while (byte >= 4 * BASE);
    return alphabet[byte % BASE];
}

void mw_token_new(const char *prefix, char out[MW_TOKEN_LEN + 1])
{
    MW_ASSERT(strlen(prefix) == PREFIX_LEN);
    memcpy(out, prefix, PREFIX_LEN);
    for (size_t i = 0; i < MW_TOKEN_RANDOM; i++)
        out[PREFIX_LEN + i] = random_character();
    mw_token_checksum(out + PREFIX_LEN, out + PREFIX_LEN + MW_TOKEN_RANDOM);
    out[MW_TOKEN_LEN] = '\0';
}

mw_err mw_token_check(mw_slice text)
{
    char wanted[MW_TOKEN_CHECK];
    if (text.len != MW_TOKEN_LEN || !mw_slice_starts(text, MW_SLICE(MW_TOKEN_PREFIX)) ||
        !is_of_alphabet(mw_slice_from(text, PREFIX_LEN)))
        return MW_E_SYNTAX;
    mw_token_checksum(text.data + PREFIX_LEN, wanted);
    bool equal = memcmp(wanted, text.data + PREFIX_LEN + MW_TOKEN_RANDOM, sizeof wanted) == 0;
    return equal ? MW_OK : MW_E_CORRUPT;
}

mw_err mw_token_digest(mw_slice pepper, mw_slice token, uint8_t out[MW_TOKEN_DIGEST_SIZE])
{
    unsigned len = 0;
    MW_ASSERT(pepper.len > 0 && pepper.len <= 1024 && token.len <= 1024);
    if (!HMAC(EVP_sha256(), pepper.data, (int)pepper.len,
              (const unsigned char *)(token.len ? token.data : ""), token.len, out, &len) ||
        len != MW_TOKEN_DIGEST_SIZE)
        return MW_E_NOMEM;
    return MW_OK;
}

/* ---- scopes -------------------------------------------------------------------------------- */

static const struct {
    const char *name;
    unsigned scope;
} names[] = {{"ingest", MW_TOKEN_INGEST}, {"read", MW_TOKEN_READ}, {"operate", MW_TOKEN_OPERATE}};
#define NAMES (sizeof names / sizeof names[0])

static unsigned scope_of(mw_slice name)
{
    for (size_t i = 0; i < NAMES; i++)
        if (mw_slice_equal(name, mw_slice_of(names[i].name)))
            return names[i].scope;
    return 0;
}

mw_err mw_token_scopes_parse(mw_slice text, unsigned *out)
{
    mw_slice name;
    bool ends_open = text.len && text.data[text.len - 1] == ',';
    *out = 0;
    if (ends_open)
        return MW_E_INVALID;
    while (mw_slice_split(&text, ',', &name)) {
        unsigned scope = scope_of(mw_slice_trim(name));
        if (!scope || *out & scope)
            return MW_E_INVALID;
        *out |= scope;
    }
    return *out ? MW_OK : MW_E_INVALID;
}

void mw_token_scopes_format(unsigned scopes, char out[MW_TOKEN_SCOPES_SIZE])
{
    size_t len = 0;
    out[0] = '\0';
    for (size_t i = 0; i < NAMES; i++)
        if (scopes & names[i].scope)
            len += (size_t)snprintf(out + len, MW_TOKEN_SCOPES_SIZE - len, "%s%s", len ? "," : "",
                                    names[i].name);
    MW_ASSERT(len < MW_TOKEN_SCOPES_SIZE);
}
