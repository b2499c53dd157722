/* New endpoints and new secrets: rows ready for the state, in the caller's arena. Pool threads. */
#include <openssl/crypto.h>

#include "lib/access/address.h"
#include "lib/access/token.h"
#include "lib/base/id.h"
#include "lib/base/utf8.h"
#include "webhook/mapping_int.h"
#include "webhook/webhook.h"

#define NAME_MAX_CHARACTERS 64
#define SECRET_BYTES 32
#define SECRET_PREFIX "whsec_"
/* 32 bytes in base64 and NUL. */
#define SECRET_TEXT (sizeof SECRET_PREFIX - 1 + 44 + 1)

bool mw_webhook_is_name(mw_slice name)
{
    size_t characters = 0;
    for (; name.len; characters++) {
        uint32_t code;
        size_t len = mw_utf8_next(name, &code);
        if (!len || code < 0x20 || (code >= 0x7f && code <= 0x9f) ||
            (code >= 0x2028 && code <= 0x202e) || (code >= 0x2066 && code <= 0x2069))
            return false;
        name = mw_slice_from(name, len);
    }
    return characters >= 1 && characters <= NAME_MAX_CHARACTERS;
}

static mw_slice signing_secret(mw_arena *arena)
{
    uint8_t raw[SECRET_BYTES];
    char *text = mw_arena_alloc(arena, SECRET_TEXT);
    if (!text)
        return MW_SLICE_NONE;
    mw_random_bytes(raw, sizeof raw);
    memcpy(text, SECRET_PREFIX, sizeof SECRET_PREFIX - 1);
    mw_base64_encode(raw, sizeof raw, text + sizeof SECRET_PREFIX - 1);
    OPENSSL_cleanse(raw, sizeof raw);
    return mw_slice_bytes(text, SECRET_TEXT - 1);
}

/* Signing keys have the prefix of Standard Webhooks, bearers the form of a token. */
static mw_slice new_secret(unsigned auth, mw_arena *arena)
{
    char token[MW_TOKEN_LEN + 1];
    if (auth == MW_AUTH_HMAC)
        return signing_secret(arena);
    mw_token_new(MW_TOKEN_HOOK_PREFIX, token);
    mw_slice copy = mw_arena_copy(arena, mw_slice_of(token));
    OPENSSL_cleanse(token, sizeof token);
    return copy;
}

/* ---- what may be wished -------------------------------------------------------------------- */

static mw_err check_auth(const mw_webhook_source *source, mw_slice wished, unsigned *auth,
                         mw_detail *detail)
{
    *auth = wished.len ? mw_webhook_auth_find(wished) : source->auth;
    if (*auth & source->auths)
        return MW_OK;
    return mw_detail_set(detail, MW_E_INVALID, "auth", NULL, "auth of %s must be %s", source->name,
                         source->auths == MW_AUTH_BEARER ? "bearer" : "hmac or bearer");
}

static mw_err check_mapping(const mw_webhook_source *source, mw_slice mapping_json,
                            mw_detail *detail)
{
    mw_arena arena;
    mw_mapping mapping;
    if (!source->mapped && mapping_json.len)
        return mw_detail_set(detail, MW_E_INVALID, "mapping", NULL,
                             "%s has a form of its own and takes no mapping", source->name);
    if (!source->mapped)
        return MW_OK;
    if (!mapping_json.len)
        return mw_detail_set(detail, MW_E_INVALID, "mapping", "see docs/WEBHOOKS.md",
                             "%s needs a mapping of its fields", source->name);
    mw_arena_init(&arena, MW_MEM_JSON, 0);
    mw_err err = mw_mapping_parse(mapping_json, &arena, &mapping, detail);
    mw_arena_reset(&arena);
    return err == MW_E_SYNTAX || err == MW_E_LIMIT ? MW_E_INVALID : err;
}

static mw_err check_addresses(mw_slice text, mw_detail *detail)
{
    mw_arena arena;
    mw_address_list list;
    mw_arena_init(&arena, MW_MEM_JSON, 0);
    mw_err err = mw_address_list_parse(text, "allowed_addresses", &arena, &list, detail);
    mw_arena_reset(&arena);
    return err == MW_E_LIMIT ? MW_E_INVALID : err;
}

static mw_err check_wish(const mw_webhook_wish *wish, unsigned *auth, mw_detail *detail)
{
    const mw_webhook_source *source = mw_webhook_source_find(wish->source);
    if (!mw_webhook_is_name(mw_slice_trim(wish->name)))
        return mw_detail_set(detail, MW_E_INVALID, "name", NULL,
                             "name must be 1 to %d printable characters", NAME_MAX_CHARACTERS);
    if (!source)
        return mw_detail_set(detail, MW_E_INVALID, "source", NULL, "source must be one of: %s",
                             mw_webhook_source_names());
    if (wish->rate_limit > MW_WEBHOOK_RATE_MAX)
        return mw_detail_set(detail, MW_E_INVALID, "rate_limit", NULL,
                             "rate_limit must be 0 to %d a minute", MW_WEBHOOK_RATE_MAX);
    mw_err err = check_auth(source, wish->auth, auth, detail);
    if (err == MW_OK)
        err = check_mapping(source, wish->mapping_json, detail);
    if (err == MW_OK)
        err = check_addresses(wish->allowed_addresses, detail);
    return err;
}

mw_err mw_webhook_new(const mw_webhook_wish *wish, int64_t now_ns, mw_arena *arena,
                      mw_webhook_row *out, mw_detail *detail)
{
    char id[MW_ID_TEXT_SIZE];
    unsigned auth = 0;
    mw_err err = check_wish(wish, &auth, detail);
    if (err != MW_OK)
        return err;
    mw_id_new(id);
    *out = (mw_webhook_row){.id = mw_arena_copy(arena, mw_slice_of(id)),
                            .space = mw_arena_copy(arena, wish->space),
                            .name = mw_arena_copy(arena, mw_slice_trim(wish->name)),
                            .source = mw_arena_copy(arena, wish->source),
                            .auth = mw_slice_of(mw_webhook_auth_name(auth)),
                            .secret = new_secret(auth, arena),
                            .previous_secret = MW_SLICE(""),
                            .allowed_addresses = mw_arena_copy(arena, wish->allowed_addresses),
                            .mapping_json = mw_arena_copy(arena, wish->mapping_json),
                            .created_ns = now_ns,
                            .rate_limit = wish->rate_limit,
                            .enabled = true};
    if (!out->id.data || !out->space.data || !out->name.data || !out->source.data ||
        !out->secret.data || !out->allowed_addresses.data || !out->mapping_json.data)
        return MW_E_NOMEM;
    return MW_OK;
}

mw_err mw_webhook_renew(mw_webhook_row *row, int64_t grace_ns, int64_t now_ns, mw_arena *arena)
{
    MW_ASSERT(grace_ns >= 0 && grace_ns <= MW_WEBHOOK_GRACE_MAX_NS);
    mw_slice fresh = new_secret(mw_webhook_auth_find(row->auth), arena);
    if (!fresh.data)
        return MW_E_NOMEM;
    row->previous_secret = grace_ns ? row->secret : MW_SLICE("");
    row->previous_until_ns = grace_ns ? now_ns + grace_ns : 0;
    row->secret = fresh;
    row->rotated_ns = now_ns;
    return MW_OK;
}
