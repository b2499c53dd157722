/* The endpoint table: loaded from state, published as a whole, read by every network loop. Also
 * the life of mw_webhooks.
 *
 * One writer at a time (start, reload); readers take a reference under the lock and look up
 * without it. Secrets are wiped before a table's memory is given back.
 */
#include <openssl/crypto.h>

#include "lib/base/log.h"
#include "webhook/webhook_int.h"

/* Addresses whose failures are remembered, and endpoints whose rate is. */
#define FAILURE_KEYS 4096
#define DELIVERY_KEYS MW_WEBHOOKS_MAX

static void wipe(mw_slice secret)
{
    if (secret.len)
        OPENSSL_cleanse((void *)(uintptr_t)secret.data, secret.len);
}

static void wipe_both(mw_slice secret, mw_slice previous)
{
    wipe(secret);
    wipe(previous);
}

static void free_table(mw_endpoint_table *table)
{
    for (size_t i = 0; i < table->count; i++)
        wipe_both(table->endpoints[i].secret, table->endpoints[i].previous_secret);
    mw_arena_reset(&table->arena);
    mw_free(MW_MEM_STATE, table);
}

static int compare_endpoints(const void *a, const void *b)
{
    return mw_slice_compare(((const mw_endpoint *)a)->id, ((const mw_endpoint *)b)->id);
}

/* What a row holds was checked when it was made; one that cannot be read is not served. */
static mw_err read_row(mw_endpoint_table *table, const mw_webhook_row *row, mw_endpoint *out,
                       mw_detail *detail)
{
    *out = (mw_endpoint){.id = row->id,
                         .space = row->space,
                         .secret = row->secret,
                         .previous_secret = row->previous_secret,
                         .auth = mw_webhook_auth_find(row->auth),
                         .previous_until_ns = row->previous_until_ns,
                         .rate_limit = row->rate_limit,
                         .source = mw_webhook_source_find(row->source)};
    if (!out->source || !(out->auth & out->source->auths) || row->rate_limit > MW_WEBHOOK_RATE_MAX)
        return MW_E_UNSUPPORTED;
    mw_err err = mw_address_list_parse(row->allowed_addresses, "allowed_addresses", &table->arena,
                                       &out->allowed, detail);
    if (err != MW_OK || !out->source->mapped)
        return err;
    mw_mapping *mapping = mw_arena_zalloc(&table->arena, 1, sizeof *mapping);
    out->mapping = mapping;
    return mapping ? mw_mapping_parse(row->mapping_json, &table->arena, mapping, detail)
                   : MW_E_NOMEM;
}

/* Disabled endpoints and those that this version does not know answer like unknown ones. */
static mw_err fill(mw_endpoint_table *table, const mw_webhook_row *rows, size_t count)
{
    mw_err err = MW_OK;
    for (size_t i = 0; i < count; i++) {
        mw_detail detail = {.message = ""};
        mw_err read = err != MW_OK || !rows[i].enabled
                          ? MW_E_CLOSED
                          : read_row(table, &rows[i], &table->endpoints[table->count], &detail);
        if (read == MW_OK) {
            table->count++;
            continue;
        }
        wipe_both(rows[i].secret, rows[i].previous_secret);
        if (read == MW_E_NOMEM)
            err = read;
        else if (read != MW_E_CLOSED)
            MW_LOG(MW_LOG_WARN, "webhook", "endpoint cannot be read and is not served",
                   MW_KV("webhook_id", rows[i].id), MW_KV("source", rows[i].source),
                   MW_KV_STR("why", detail.message));
    }
    if (table->count)
        qsort(table->endpoints, table->count, sizeof table->endpoints[0], compare_endpoints);
    return err;
}

static mw_err load_rows(mw_webhooks *webhooks, mw_endpoint_table *table)
{
    mw_state_tx *tx;
    mw_webhook_row *rows;
    size_t count;
    mw_err err = mw_state_read_begin(webhooks->config.state, &tx);
    if (err != MW_OK)
        return err;
    err = mw_state_webhook_all(tx, &table->arena, &rows, &count);
    mw_state_read_end(tx);
    if (err != MW_OK)
        return err;
    table->endpoints = mw_arena_zalloc(&table->arena, count + 1, sizeof *table->endpoints);
    if (!table->endpoints)
        return MW_E_NOMEM;
    return fill(table, rows, count);
}

static mw_err load(mw_webhooks *webhooks, mw_endpoint_table **out)
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
    *out = table;
    return MW_OK;
}

/* Who loads has his turn until his table is published: of two at once the older must not stay. */
mw_err mw_webhooks_reload(mw_webhooks *webhooks)
{
    mw_endpoint_table *fresh = NULL, *old = NULL;
    pthread_mutex_lock(&webhooks->turn);
    mw_err err = load(webhooks, &fresh);
    pthread_mutex_lock(&webhooks->lock);
    webhooks->stale = err != MW_OK;
    if (err == MW_OK) {
        old = webhooks->table;
        webhooks->table = fresh;
    }
    pthread_mutex_unlock(&webhooks->lock);
    pthread_mutex_unlock(&webhooks->turn);
    if (old)
        mw_endpoint_table_release(webhooks, old);
    return err;
}

void mw_webhooks_tick(mw_webhooks *webhooks)
{
    pthread_mutex_lock(&webhooks->lock);
    bool stale = webhooks->stale;
    pthread_mutex_unlock(&webhooks->lock);
    if (stale && mw_webhooks_reload(webhooks) == MW_OK)
        MW_LOG(MW_LOG_INFO, "webhook", "endpoints can be read again");
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

mw_credential mw_endpoint_credential(const mw_endpoint *endpoint, int64_t now_ns)
{
    bool in_grace = now_ns < endpoint->previous_until_ns;
    return (mw_credential){endpoint->auth, endpoint->secret,
                           in_grace ? endpoint->previous_secret : MW_SLICE_NONE};
}

mw_err mw_webhooks_start(const mw_webhooks_config *config, mw_webhooks **out)
{
    mw_webhooks *webhooks = mw_calloc(MW_MEM_STATE, 1, sizeof *webhooks);
    if (!webhooks)
        return MW_E_NOMEM;
    webhooks->config = *config;
    webhooks->failures = mw_limiter_new(FAILURE_KEYS);
    webhooks->deliveries = mw_limiter_new(DELIVERY_KEYS);
    if (pthread_mutex_init(&webhooks->lock, NULL) != 0 ||
        pthread_mutex_init(&webhooks->turn, NULL) != 0)
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
    mw_limiter_free(webhooks->failures);
    mw_limiter_free(webhooks->deliveries);
    pthread_mutex_destroy(&webhooks->lock);
    pthread_mutex_destroy(&webhooks->turn);
    mw_free(MW_MEM_STATE, webhooks);
}
