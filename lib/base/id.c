/* Hex, base64, random bytes and new ids. */
#include <errno.h>
#include <sys/random.h>

#include "lib/base/id.h"

void mw_random_bytes(void *out, size_t len)
{
    char *at = out;
    while (len) {
        ssize_t got = getrandom(at, len, 0);
        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0)
            mw_bug(__FILE__, __LINE__, "getrandom failed");
        at += got;
        len -= (size_t)got;
    }
}

void mw_id_new(char out[MW_ID_TEXT_SIZE])
{
    uint8_t bytes[(MW_ID_TEXT_SIZE - 1) / 2];
    mw_random_bytes(bytes, sizeof bytes);
    mw_hex_encode(bytes, sizeof bytes, out);
}

void mw_hex_encode(const void *bytes, size_t len, char *out)
{
    static const char digits[] = "0123456789abcdef";
    const uint8_t *at = bytes;
    for (size_t i = 0; i < len; i++) {
        out[2 * i] = digits[at[i] >> 4];
        out[2 * i + 1] = digits[at[i] & 15];
    }
    out[2 * len] = '\0';
}

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    if (c >= 'A' && c <= 'F')
        return c - 'A' + 10;
    return -1;
}

mw_err mw_hex_decode(mw_slice text, void *out, size_t out_len)
{
    uint8_t *to = out;
    if (text.len != 2 * out_len)
        return MW_E_SYNTAX;
    for (size_t i = 0; i < out_len; i++) {
        int high = hex_digit(text.data[2 * i]);
        int low = hex_digit(text.data[2 * i + 1]);
        if (high < 0 || low < 0)
            return MW_E_SYNTAX;
        to[i] = (uint8_t)(high << 4 | low);
    }
    return MW_OK;
}

bool mw_id_is_zero(const void *bytes, size_t len)
{
    const uint8_t *at = bytes;
    uint64_t any = 0, word;
    for (; len >= sizeof word; at += sizeof word, len -= sizeof word) {
        memcpy(&word, at, sizeof word);
        any |= word;
    }
    while (len--)
        any |= *at++;
    return any == 0;
}

bool mw_is_hex(mw_slice text)
{
    for (size_t i = 0; i < text.len; i++)
        if (hex_digit(text.data[i]) < 0)
            return false;
    return text.len > 0;
}

static const char base64_digits[] =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

void mw_base64_encode(const void *bytes, size_t len, char *out)
{
    const uint8_t *in = bytes;
    for (size_t i = 0; i < len; i += 3) {
        size_t left = len - i;
        uint32_t group = (uint32_t)in[i] << 16 | (left > 1 ? (uint32_t)in[i + 1] << 8 : 0) |
                         (left > 2 ? in[i + 2] : 0);
        *out++ = base64_digits[group >> 18];
        *out++ = base64_digits[group >> 12 & 63];
        *out++ = left > 1 ? base64_digits[group >> 6 & 63] : '=';
        *out++ = left > 2 ? base64_digits[group & 63] : '=';
    }
    *out = '\0';
}

static int base64_digit(char c)
{
    if (c >= 'A' && c <= 'Z')
        return c - 'A';
    if (c >= 'a' && c <= 'z')
        return c - 'a' + 26;
    if (c >= '0' && c <= '9')
        return c - '0' + 52;
    return c == '+' ? 62 : c == '/' ? 63 : -1;
}

mw_err mw_base64_decode(mw_slice text, void *out, size_t out_size, size_t *out_len)
{
    size_t padding = mw_slice_ends(text, MW_SLICE("==")) ? 2 : mw_slice_ends(text, MW_SLICE("="));
    size_t digits = text.len - padding;
    size_t bytes = text.len / 4 * 3 - padding;
    if (text.len % 4 != 0 || (text.len == 0 && padding) || bytes > out_size)
        return MW_E_SYNTAX;
    uint8_t *to = out;
    uint32_t bits = 0;
    unsigned held = 0;
    for (size_t i = 0; i < digits; i++) {
        int digit = base64_digit(text.data[i]);
        if (digit < 0)
            return MW_E_SYNTAX;
        bits = bits << 6 | (uint32_t)digit;
        held += 6;
        if (held >= 8) {
            held -= 8;
            *to++ = (uint8_t)(bits >> held);
        }
    }
    /* Stray bits would give two texts for one value. */
    if (bits & ((1u << held) - 1))
        return MW_E_SYNTAX;
    *out_len = bytes;
    return MW_OK;
}
