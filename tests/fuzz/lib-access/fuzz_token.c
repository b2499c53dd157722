/* The form of tokens, the header they come in, and sets of scopes, against second readings. */
#include <string.h>
#include <zlib.h>

#include "lib/access/tokens.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(bool condition)
{
    if (!condition)
        abort();
}

static int digit_of(char c)
{
    static const char digits[] = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
    const char *at = c ? strchr(digits, c) : NULL;
    return at ? (int)(at - digits) : -1;
}

/* Reads the number instead of writing it. */
static mw_err reference_check(mw_slice text)
{
    uint64_t number = 0;
    if (text.len != 41 || memcmp(text.data, "mwat_", 5) != 0)
        return MW_E_SYNTAX;
    for (size_t i = 5; i < 41; i++)
        if (digit_of(text.data[i]) < 0)
            return MW_E_SYNTAX;
    for (size_t i = 35; i < 41; i++)
        number = number * 62 + (uint64_t)digit_of(text.data[i]);
    return number == crc32(0, (const unsigned char *)text.data + 5, 30) ? MW_OK : MW_E_CORRUPT;
}

static void check_scopes(mw_slice text)
{
    unsigned scopes, again;
    char shown[MW_TOKEN_SCOPES_SIZE];
    if (mw_token_scopes_parse(text, &scopes) != MW_OK)
        return;
    check(scopes >= 1 && scopes <= 7);
    mw_token_scopes_format(scopes, shown);
    check(mw_token_scopes_parse(mw_slice_of(shown), &again) == MW_OK && again == scopes);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    mw_slice text = mw_slice_bytes(data, size);
    char mended[41];
    check(mw_token_check(text) == reference_check(text));
    /* With the right checksum, so that the accepting path is reached. */
    if (size >= 41) {
        memcpy(mended, data, 41);
        memcpy(mended, "mwat_", 5);
        mw_token_checksum(mended + 5, mended + 35);
        check(mw_token_check(mw_slice_bytes(mended, 41)) ==
              reference_check(mw_slice_bytes(mended, 41)));
    }
    mw_slice token = mw_tokens_bearer(text);
    if (token.data) {
        check(token.len + 7 <= size);
        check(token.len == 0 || (token.data[0] != ' ' && token.data[token.len - 1] != ' '));
    }
    check_scopes(text);
    return 0;
}
