/* The table of tokens: loading, publication, judgement. See tokens.h. */
#include <openssl/crypto.h>
#include <pthread.h>
#include <string.h>

#include "lib/access/address.h"
#include "lib/access/tokens.h"
#include "lib/base/log.h"
#include "lib/base/utf8.h"

/* Tokens whose rate is remembered: as many as all spaces may have is far more than are in use
 * within two seconds, after which one has paid for a whole burst. */
#define RATE_KEYS 1024

typedef struct entry {
    uint8_t digest[MW_TOKEN_DIGEST_SIZE];
    mw_slice id, name, space;
    unsigned scopes;
    bool on, revoked;
    int64_t expires_ns; /* 0 = never */
    mw_address_list allowed;
} entry;

typedef struct table {
    unsigned references; /* under mw_tokens.lock */
    mw_arena arena;
    entry *entries; /* sorted by digest */
    size_t count;
    bool any_on; /* in some space */
} table;

struct mw_tokens {
    mw_state *state;
    uint8_t pepper[MW_STATE_PEPPER_SIZE];
    mw_limiter *rates;
    pthread_mutex_t turn; /* of who loads */
    pthread_mutex_t lock;
    table *current; /* NULL: it could not be loaded */
};

const char *mw_token_refusal_name(mw_token_refusal refusal)
{
    static const char *const names[MW_TOKEN_REFUSALS] = {
        "good",    "switched_off",    "malformed",   "bad_checksum", "unknown",    "revoked",
        "expired", "foreign_address", "lacks_scope", "too_often",    "unavailable"};
    MW_ASSERT(refusal < MW_TOKEN_REFUSALS);
    return names[refusal];
}

/* ---- loading ------------------------------------------------------------------------------- */

static int compare_entries(const void *a, const void *b)
{
    return memcmp(((const entry *)a)->digest, ((const entry *)b)->digest, MW_TOKEN_DIGEST_SIZE);
}

static bool is_listed(const mw_slice *spaces, size_t count, mw_slice space)
{
    for (size_t i = 0; i < count; i++)
        if (mw_slice_equal(spaces[i], space))
            return true;
    return false;
}

/* False for a row that this version cannot hold to: it lets nobody in. */
static bool read_row(table *new_table, const mw_token_row *row, bool on, entry *out)
{
    mw_detail detail = {.message = ""};
    *out = (entry){.id = row->id,
                   .name = row->name,
                   .space = row->space,
                   .on = on,
                   .revoked = row->revoked_ns != 0,
                   .expires_ns = row->expires_ns};
    if (row->digest.len != MW_TOKEN_DIGEST_SIZE ||
        mw_token_scopes_parse(row->scopes, &out->scopes) != MW_OK ||
        mw_address_list_parse(row->allowed_addresses, "allowed_addresses", &new_table->arena,
                              &out->allowed, &detail) != MW_OK) {
        MW_LOG(MW_LOG_ERROR, "access", "a stored token cannot be read and is not good",
               MW_KV("token_id", row->id), MW_KV_STR("why", detail.message));
        return false;
    }
    memcpy(out->digest, row->digest.data, MW_TOKEN_DIGEST_SIZE);
    return true;
}

static mw_err fill(mw_state_tx *tx, table *new_table)
{
    mw_token_row *rows;
    mw_slice *spaces;
    size_t count, on_count;
    mw_err err = mw_state_token_all(tx, &new_table->arena, &rows, &count);
    if (err == MW_OK)
        err = mw_state_token_access_all(tx, &new_table->arena, &spaces, &on_count);
    if (err != MW_OK)
        return err;
    new_table->any_on = on_count > 0;
    new_table->entries = mw_arena_zalloc(&new_table->arena, count + 1, sizeof(entry));
    if (!new_table->entries)
        return MW_E_NOMEM;
    for (size_t i = 0; i < count; i++) {
        bool on = is_listed(spaces, on_count, rows[i].space);
        if (read_row(new_table, &rows[i], on, &new_table->entries[new_table->count]))
            new_table->count++;
    }
    if (new_table->count)
        qsort(new_table->entries, new_table->count, sizeof(entry), compare_entries);
    return MW_OK;
}

static void free_table(table *old)
{
    mw_arena_reset(&old->arena);
    mw_free(MW_MEM_STATE, old);
}

static mw_err load(mw_tokens *tokens, table **out)
{
    mw_state_tx *tx;
    table *new_table = mw_calloc(MW_MEM_STATE, 1, sizeof *new_table);
    if (!new_table)
        return MW_E_NOMEM;
    new_table->references = 1;
    mw_arena_init(&new_table->arena, MW_MEM_STATE, 0);
    mw_err err = mw_state_read_begin(tokens->state, &tx);
    if (err == MW_OK) {
        err = fill(tx, new_table);
        mw_state_read_end(tx);
    }
    if (err != MW_OK) {
        free_table(new_table);
        new_table = NULL;
    }
    *out = new_table;
    return err;
}

/* ---- publication --------------------------------------------------------------------------- */

static table *hold(mw_tokens *tokens)
{
    pthread_mutex_lock(&tokens->lock);
    table *held = tokens->current;
    if (held)
        held->references++;
    pthread_mutex_unlock(&tokens->lock);
    return held;
}

static void release(mw_tokens *tokens, table *held)
{
    pthread_mutex_lock(&tokens->lock);
    MW_ASSERT(held->references > 0);
    bool last = --held->references == 0;
    pthread_mutex_unlock(&tokens->lock);
    if (last)
        free_table(held);
}

/* Loads and swaps under no lock but the swap's: two that load at once would publish in any order,
 * and the older one might stay. So they take turns. */
mw_err mw_tokens_reload(mw_tokens *tokens)
{
    table *fresh = NULL;
    pthread_mutex_lock(&tokens->turn);
    mw_err err = load(tokens, &fresh);
    pthread_mutex_lock(&tokens->lock);
    table *old = tokens->current;
    tokens->current = fresh;
    pthread_mutex_unlock(&tokens->lock);
    pthread_mutex_unlock(&tokens->turn);
    if (old)
        release(tokens, old);
    if (err != MW_OK)
        MW_LOG(MW_LOG_ERROR, "access", "tokens cannot be read: none is good until they can",
               MW_KV_ERR(err));
    return err;
}

void mw_tokens_tick(mw_tokens *tokens)
{
    table *held = hold(tokens);
    if (held)
        release(tokens, held);
    else if (mw_tokens_reload(tokens) == MW_OK)
        MW_LOG(MW_LOG_INFO, "access", "tokens can be read again");
}

mw_err mw_tokens_start(mw_state *state, mw_tokens **out)
{
    mw_tokens *tokens = mw_calloc_or_die(MW_MEM_STATE, 1, sizeof *tokens);
    tokens->state = state;
    tokens->rates = mw_limiter_new(RATE_KEYS);
    mw_state_token_pepper(state, tokens->pepper);
    if (pthread_mutex_init(&tokens->lock, NULL) != 0 ||
        pthread_mutex_init(&tokens->turn, NULL) != 0)
        mw_bug(__FILE__, __LINE__, "pthread initialisation failed");
    mw_err err = mw_tokens_reload(tokens);
    if (err != MW_OK) {
        mw_tokens_free(tokens);
        return err;
    }
    *out = tokens;
    return MW_OK;
}

void mw_tokens_free(mw_tokens *tokens)
{
    if (!tokens)
        return;
    if (tokens->current) {
        MW_ASSERT(tokens->current->references == 1);
        free_table(tokens->current);
    }
    mw_limiter_free(tokens->rates);
    OPENSSL_cleanse(tokens->pepper, sizeof tokens->pepper);
    pthread_mutex_destroy(&tokens->lock);
    pthread_mutex_destroy(&tokens->turn);
    mw_free(MW_MEM_STATE, tokens);
}

/* ---- judgement ----------------------------------------------------------------------------- */

mw_slice mw_tokens_bearer(mw_slice credentials)
{
    static const mw_slice scheme = MW_SLICE_INIT("bearer ");
    mw_slice text = mw_slice_trim(credentials);
    if (!mw_slice_equal_nocase(mw_slice_first(text, scheme.len), scheme))
        return MW_SLICE_NONE;
    return mw_slice_trim(mw_slice_from(text, scheme.len));
}

mw_err mw_tokens_digest(const mw_tokens *tokens, mw_slice token, uint8_t out[MW_TOKEN_DIGEST_SIZE])
{
    return mw_token_digest(mw_slice_bytes(tokens->pepper, sizeof tokens->pepper), token, out);
}

/* The place of a keyed digest tells nothing about the token; the last look is at all bytes alike
 * all the same. */
static const entry *find(const table *held, const uint8_t digest[MW_TOKEN_DIGEST_SIZE])
{
    entry key = {0};
    if (!held->count)
        return NULL;
    memcpy(key.digest, digest, sizeof key.digest);
    const entry *found = bsearch(&key, held->entries, held->count, sizeof key, compare_entries);
    return found && CRYPTO_memcmp(found->digest, digest, sizeof key.digest) == 0 ? found : NULL;
}

static void copy_text(mw_slice text, char *out, size_t size)
{
    mw_slice cut = mw_slice_first(text, size - 1);
    while (cut.len < text.len && cut.len > 0 && !mw_utf8_valid(cut))
        cut.len--;
    memcpy(out, cut.data, cut.len);
    out[cut.len] = '\0';
}

static mw_token_refusal judge_entry(mw_tokens *tokens, const entry *found,
                                    const mw_token_question *question, mw_token_answer *out)
{
    copy_text(found->id, out->id, sizeof out->id);
    copy_text(found->name, out->name, sizeof out->name);
    copy_text(found->space, out->space, sizeof out->space);
    if (question->governed && !found->on)
        return MW_TOKEN_SWITCHED_OFF;
    if (found->revoked)
        return MW_TOKEN_REVOKED;
    if (found->expires_ns && question->wall_ns >= found->expires_ns)
        return MW_TOKEN_EXPIRED;
    if (!mw_address_list_holds(&found->allowed, question->address))
        return MW_TOKEN_FOREIGN_ADDRESS;
    if (!(found->scopes & question->wanted))
        return MW_TOKEN_LACKS_SCOPE;
    if (question->governed && !question->again &&
        !mw_limiter_take(tokens->rates, found->id, MW_RATE_TOKEN, question->mono_ns,
                         &out->retry_after_s))
        return MW_TOKEN_TOO_OFTEN;
    return MW_TOKEN_GOOD;
}

static mw_token_refusal judge(mw_tokens *tokens, const table *held,
                              const mw_token_question *question, mw_token_answer *out)
{
    uint8_t digest[MW_TOKEN_DIGEST_SIZE];
    mw_slice token = mw_tokens_bearer(question->credentials);
    if (question->governed && !held->any_on)
        return MW_TOKEN_SWITCHED_OFF;
    mw_err form = mw_token_check(token);
    if (form != MW_OK)
        return form == MW_E_CORRUPT ? MW_TOKEN_BAD_CHECKSUM : MW_TOKEN_MALFORMED;
    if (mw_tokens_digest(tokens, token, digest) != MW_OK)
        return MW_TOKEN_UNAVAILABLE;
    const entry *found = find(held, digest);
    return found ? judge_entry(tokens, found, question, out) : MW_TOKEN_UNKNOWN;
}

void mw_tokens_judge(mw_tokens *tokens, const mw_token_question *question, mw_token_answer *out)
{
    table *held = hold(tokens);
    *out = (mw_token_answer){.refusal = MW_TOKEN_UNAVAILABLE};
    if (!held)
        return;
    out->refusal = judge(tokens, held, question, out);
    release(tokens, held);
}
