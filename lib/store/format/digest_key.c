/* The key of the digests. See digest_key.h. */
#include <xxhash.h>

#include "lib/base/io.h"
#include "lib/base/memory.h"
#include "lib/store/format/digest_key.h"

static mw_err make_key(const char *path, uint8_t key[MW_DIGEST_KEY_SIZE])
{
    mw_random_bytes(key, MW_DIGEST_KEY_SIZE);
    return mw_io_replace_file(path, mw_slice_bytes(key, MW_DIGEST_KEY_SIZE), 0600);
}

mw_err mw_digest_key_load(const char *directory, uint8_t key[MW_DIGEST_KEY_SIZE], bool *made,
                          mw_detail *detail)
{
    char path[4096];
    char *data = NULL;
    size_t len = 0;
    int n = snprintf(path, sizeof path, "%s/" MW_DIGEST_KEY_NAME, directory);
    mw_err err = n > 0 && (size_t)n < sizeof path
                     ? mw_io_read_file(path, MW_DIGEST_KEY_SIZE, &data, &len)
                     : MW_E_IO;
    bool whole = err == MW_OK && len == MW_DIGEST_KEY_SIZE;
    *made = !whole && (err == MW_OK || err == MW_E_NOT_FOUND || err == MW_E_LIMIT);
    if (whole)
        memcpy(key, data, MW_DIGEST_KEY_SIZE);
    else if (*made)
        err = make_key(path, key);
    mw_free(MW_MEM_BASE, data);
    if (err != MW_OK)
        mw_detail_set(detail, err, "data", "make the directory writable", "cannot keep %s: %s",
                      path, mw_err_text(err));
    return err;
}

uint64_t mw_key_seed(const uint8_t key[MW_DIGEST_KEY_SIZE])
{
    static const char purpose[] = "text keys";
    uint64_t salt = XXH3_64bits(purpose, sizeof purpose);
    return XXH3_64bits_withSeed(key, MW_DIGEST_KEY_SIZE, salt);
}

uint64_t mw_key_check(uint64_t key_seed)
{
    static const char purpose[] = "key check";
    return XXH3_64bits_withSeed(purpose, sizeof purpose, key_seed);
}
