/* The endpoint table: loaded from state, published as a whole, read by every network loop. Also
 * the life of mw_webhooks and the making of new endpoints.
 *
 * One writer at a time (start, reload); readers take a reference under the lock and look up
 * without it. Secrets are wiped before a table's memory is given back.
 */
#include <openssl/crypto.h>

#include "lib/base/id.h"
#include "lib/base/log.h"
#include "lib/base/utf8.h"
#include "webhook/webhook_int.h"

#define NAME_MAX_CHARACTERS 64
#define SECRET_BYTES 32
#define SECRET_PREFIX "whsec_"
/* 32 bytes in base64 and NUL. */
#define SECRET_TEXT (sizeof SECRET_PREFIX - 1 + 44 + 1)

static void wipe(mw_slice secret)
{
    if (secret.len)
        OPENSSL_cleanse((void *)(uintptr_t)secret.data, secret.len);
}

static void free_table(mw_endpoint_table *table)
{
    for (size_t i = 0; i < table->count; i++)
        wipe(table->endpoints[i].secret);
    mw_arena_reset(&table->arena);
    mw_free(MW_MEM_STATE, table);
}

static int compare_endpoints(const void *a, const void *b)
{
    return mw_slice_compare(((const mw_endpoint *)a)->id, ((const mw_endpoint *)b)->id);
}

/* Disabled endpoints and those of a source this version does not know answer like unknown ones. */
static void fill(mw_endpoint_table *table, const mw_webhook_row *rows, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        const mw_webhook_source *source = mw_webhook_source_find(rows[i].source);
        if (!source)
            MW_LOG(MW_LOG_WARN, "webhook", "endpoint of an unknown source is not served",
                   MW_KV("webhook_id", rows[i].id), MW_KV("source", rows[i].source));
        if (!source || !rows[i].enabled) {
            wipe(rows[i].secret);
            continue;
        }
        table->endpoints[table->count++] =
            (mw_endpoint){rows[i].id, rows[i].space, rows[i].secret, source};
    }
    if (table->count)
        qsort(table->endpoints, table->count, sizeof table->endpoints[0], compare_endpoints);
}

static mw_err load_rows(mw_webhooks *webhooks, mw_endpoint_table *table)
{
    mw_state_tx *tx;
    mw_webhook_row *rows;
    size_t count;
    mw_err err = mw_state_read_begin(webhooks->state, &tx);
    if (err != MW_OK)
        return err;
    err = mw_state_webhook_all(tx, &table->arena, &rows, &count);
    mw_state_read_end(tx);
    if (err != MW_OK)
        return err;
    table->endpoints = mw_arena_zalloc(&table->arena, count + 1, sizeof *table->endpoints);
    if (!table->endpoints)
        return MW_E_NOMEM;
    fill(table, rows, count);
    return MW_OK;
}

mw_err mw_webhooks_reload(mw_webhooks *webhooks)
{
    mw_endpoint_table *table = mw_calloc(MW_MEM_STATE, 1, sizeof *table);
    if (!table)
        return MW_E_NOMEM;
    table->references = 1;
    mw_arena_init(&table->arena, MW_MEM_STATE, 0);
    mw_err err = load_rows(webhooks, table);
    if (err != MW_OK) {
        free_table(table);
        return err;
    }
    pthread_mutex_lock(&webhooks->lock);
    mw_endpoint_table *old = webhooks->table;
    webhooks->table = table;
    pthread_mutex_unlock(&webhooks->lock);
    if (old)
        mw_endpoint_table_release(webhooks, old);
    return MW_OK;
}

mw_endpoint_table *mw_endpoint_table_hold(mw_webhooks *webhooks)
{
    pthread_mutex_lock(&webhooks->lock);
    mw_endpoint_table *table = webhooks->table;
    table->references++;
    pthread_mutex_unlock(&webhooks->lock);
    return table;
}

void mw_endpoint_table_release(mw_webhooks *webhooks, mw_endpoint_table *table)
{
    pthread_mutex_lock(&webhooks->lock);
    MW_ASSERT(table->references > 0);
    bool last = --table->references == 0;
    pthread_mutex_unlock(&webhooks->lock);
    if (last)
        free_table(table);
}

const mw_endpoint *mw_endpoint_find(const mw_endpoint_table *table, mw_slice id)
{
    const mw_endpoint key = {.id = id};
    if (!table->count)
        return NULL;
    return bsearch(&key, table->endpoints, table->count, sizeof key, compare_endpoints);
}

mw_err mw_webhooks_start(mw_state *state, mw_triage *triage, const mw_clock *clock,
                         mw_webhooks **out)
{
    mw_webhooks *webhooks = mw_calloc(MW_MEM_STATE, 1, sizeof *webhooks);
    if (!webhooks)
        return MW_E_NOMEM;
    webhooks->state = state;
    webhooks->triage = triage;
    webhooks->clock = clock;
    if (pthread_mutex_init(&webhooks->lock, NULL) != 0)
        mw_bug(__FILE__, __LINE__, "pthread initialisation failed");
    mw_err err = mw_webhooks_reload(webhooks);
    if (err != MW_OK) {
        mw_webhooks_free(webhooks);
        return err;
    }
    *out = webhooks;
    return MW_OK;
}

void mw_webhooks_free(mw_webhooks *webhooks)
{
    if (!webhooks)
        return;
    if (webhooks->table) {
        MW_ASSERT(webhooks->table->references == 1);
        free_table(webhooks->table);
    }
    pthread_mutex_destroy(&webhooks->lock);
    mw_free(MW_MEM_STATE, webhooks);
}

size_t mw_webhooks_routes(mw_webhooks *webhooks, int tag, mw_route *routes, size_t max)
{
    static const char *const paths[] = {"/webhooks/{id}", "/webhook/generic/{id}"};
    size_t count = 0;
    for (; count < sizeof paths / sizeof paths[0] && count < max; count++)
        routes[count] = (mw_route){.ports = MW_PORT_WEB | MW_PORT_SOCKET,
                                   .method = "POST",
                                   .path = paths[count],
                                   .max_body = (size_t)256 << 10, /* facts: webhooks 1.6 */
                                   .handler = mw_endpoint_handle,
                                   .ctx = webhooks,
                                   .tag = tag};
    return count;
}

/* ---- new endpoints ------------------------------------------------------------------------- */

/* A name is shown in terminals and pages: no controls, no bidi overrides, no bad UTF-8. */
static bool is_name(mw_slice name)
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

static mw_slice new_secret(mw_arena *arena)
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

mw_err mw_webhook_new(mw_slice space, mw_slice name, mw_slice source, int64_t now_ns,
                      mw_arena *arena, mw_webhook_row *out, mw_detail *detail)
{
    char id[MW_ID_TEXT_SIZE];
    if (!is_name(mw_slice_trim(name)))
        return mw_detail_set(detail, MW_E_INVALID, "name", NULL,
                             "name must be 1 to %d printable characters", NAME_MAX_CHARACTERS);
    if (!mw_webhook_source_find(source))
        return mw_detail_set(detail, MW_E_INVALID, "source", NULL, "source must be one of: %s",
                             mw_webhook_source_names());
    mw_id_new(id);
    *out = (mw_webhook_row){.id = mw_arena_copy(arena, mw_slice_of(id)),
                            .space = mw_arena_copy(arena, space),
                            .name = mw_arena_copy(arena, mw_slice_trim(name)),
                            .source = mw_arena_copy(arena, source),
                            .secret = new_secret(arena),
                            .created_ns = now_ns,
                            .enabled = true};
    if (!out->id.data || !out->space.data || !out->name.data || !out->source.data ||
        !out->secret.data)
        return MW_E_NOMEM;
    return MW_OK;
}
