/* Sealing with AES-256-GCM and the key file. See seal_int.h for the format. No state, any thread;
 * only state.c (key) and webhook_table.c (secrets) come here. */
#include <errno.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/base/id.h"
#include "lib/base/io.h"
#include "lib/base/memory.h"
#include "lib/state/seal_int.h"

#define SEAL_VERSION 1
#define NONCE_SIZE 12
#define TAG_SIZE 16
#define KEY_HEX_SIZE (2 * MW_SEAL_KEY_SIZE)
/* The key, a line feed, and room to notice that there is more. */
#define KEY_FILE_MAX 128

static mw_err check_key_file(const char *path, mw_detail *detail)
{
    struct stat status;
    if (stat(path, &status) != 0) {
        if (errno == ENOENT || errno == ENOTDIR)
            return MW_E_NOT_FOUND;
        return mw_detail_set(detail, MW_E_IO, "key", NULL, "cannot look at the key file %s", path);
    }
    if (status.st_mode & (S_IRWXG | S_IRWXO))
        return mw_detail_set(detail, MW_E_DENIED, "key", "chmod 600 the file",
                             "the key file %s is open to group or others", path);
    if (status.st_uid != geteuid() && status.st_uid != 0)
        return mw_detail_set(detail, MW_E_DENIED, "key", "chown the file to the daemon's user",
                             "the key file %s belongs to another user", path);
    return MW_OK;
}

mw_err mw_seal_key_load(const char *path, uint8_t key[MW_SEAL_KEY_SIZE], mw_detail *detail)
{
    mw_err err = check_key_file(path, detail);
    if (err != MW_OK)
        return err;
    char *text;
    size_t len;
    err = mw_io_read_file(path, KEY_FILE_MAX, &text, &len);
    if (err != MW_OK && err != MW_E_LIMIT)
        return mw_detail_set(detail, err == MW_E_NOT_FOUND ? err : MW_E_IO, "key", NULL,
                             "cannot read the key file %s", path);
    bool good = false;
    if (err == MW_OK) {
        size_t digits = len && text[len - 1] == '\n' ? len - 1 : len;
        good = digits == KEY_HEX_SIZE &&
               mw_hex_decode(mw_slice_bytes(text, digits), key, MW_SEAL_KEY_SIZE) == MW_OK;
        OPENSSL_cleanse(text, len);
        mw_free(MW_MEM_BASE, text);
    }
    if (!good)
        return mw_detail_set(detail, MW_E_CORRUPT, "key", "restore it from a backup",
                             "the key file %s does not hold a key of 64 hex digits", path);
    return MW_OK;
}

mw_err mw_seal_key_create(const char *path, mw_detail *detail)
{
    uint8_t key[MW_SEAL_KEY_SIZE];
    char text[KEY_HEX_SIZE + 2];
    mw_random_bytes(key, sizeof key);
    mw_hex_encode(key, sizeof key, text);
    text[KEY_HEX_SIZE] = '\n';
    mw_err err = mw_io_replace_file(path, mw_slice_bytes(text, KEY_HEX_SIZE + 1), 0600);
    OPENSSL_cleanse(key, sizeof key);
    OPENSSL_cleanse(text, sizeof text);
    if (err != MW_OK)
        return mw_detail_set(detail, err, "key", NULL, "cannot write the key file %s: %s", path,
                             mw_err_text(err));
    return MW_OK;
}

static const unsigned char *bytes_of(mw_slice text)
{
    return (const unsigned char *)(text.len ? text.data : "");
}

static bool encrypt(EVP_CIPHER_CTX *ctx, const uint8_t *key, mw_slice context, mw_slice plain,
                    uint8_t *out)
{
    uint8_t *nonce = out + 1;
    uint8_t *cipher = nonce + NONCE_SIZE;
    int len;
    return EVP_EncryptInit_ex(ctx, EVP_aes_256_gcm(), NULL, key, nonce) == 1 &&
           EVP_EncryptUpdate(ctx, NULL, &len, bytes_of(context), (int)context.len) == 1 &&
           EVP_EncryptUpdate(ctx, cipher, &len, bytes_of(plain), (int)plain.len) == 1 &&
           EVP_EncryptFinal_ex(ctx, cipher + plain.len, &len) == 1 &&
           EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_GCM_GET_TAG, TAG_SIZE, cipher + plain.len) == 1;
}

mw_err mw_seal(const uint8_t key[MW_SEAL_KEY_SIZE], mw_slice context, mw_slice plain, uint8_t *out)
{
    if (plain.len > MW_SEAL_PLAIN_MAX || context.len > MW_SEAL_PLAIN_MAX)
        return MW_E_LIMIT;
    EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();
    if (!ctx)
        return MW_E_NOMEM;
    out[0] = SEAL_VERSION;
    mw_random_bytes(out + 1, NONCE_SIZE);
    bool done = encrypt(ctx, key, context, plain, out);
    EVP_CIPHER_CTX_free(ctx);
    return done ? MW_OK : MW_E_NOMEM;
}

static bool decrypt(EVP_CIPHER_CTX *ctx, const uint8_t *key, mw_slice context, mw_slice sealed,
                    uint8_t *out)
{
    const unsigned char *nonce = bytes_of(sealed) + 1;
    const unsigned char *cipher = nonce + NONCE_SIZE;
    size_t cipher_len = sealed.len - MW_SEAL_OVERHEAD;
    unsigned char tag[TAG_SIZE];
    memcpy(tag, cipher + cipher_len, TAG_SIZE);
    int len;
    return EVP_DecryptInit_ex(ctx, EVP_aes_256_gcm(), NULL, key, nonce) == 1 &&
           EVP_DecryptUpdate(ctx, NULL, &len, bytes_of(context), (int)context.len) == 1 &&
           EVP_DecryptUpdate(ctx, out, &len, cipher, (int)cipher_len) == 1 &&
           EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_GCM_SET_TAG, TAG_SIZE, tag) == 1 &&
           EVP_DecryptFinal_ex(ctx, out + cipher_len, &len) == 1;
}

mw_err mw_unseal(const uint8_t key[MW_SEAL_KEY_SIZE], mw_slice context, mw_slice sealed,
                 uint8_t *out, size_t *out_len)
{
    if (sealed.len < MW_SEAL_OVERHEAD || sealed.len > MW_SEAL_PLAIN_MAX + MW_SEAL_OVERHEAD ||
        context.len > MW_SEAL_PLAIN_MAX || bytes_of(sealed)[0] != SEAL_VERSION)
        return MW_E_CORRUPT;
    EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();
    if (!ctx)
        return MW_E_NOMEM;
    bool done = decrypt(ctx, key, context, sealed, out);
    EVP_CIPHER_CTX_free(ctx);
    *out_len = sealed.len - MW_SEAL_OVERHEAD;
    if (!done) /* what came out before the tag was checked must not be used */
        OPENSSL_cleanse(out, *out_len);
    return done ? MW_OK : MW_E_CORRUPT;
}
