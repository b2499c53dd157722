/* webhook, inside: the endpoint table and what the handler needs. */
#ifndef MW_WEBHOOK_WEBHOOK_INT_H
#define MW_WEBHOOK_WEBHOOK_INT_H

#include <pthread.h>

#include "lib/access/address.h"
#include "lib/access/limiter.h"
#include "webhook/credential_int.h"
#include "webhook/mapping_int.h"
#include "webhook/source.h"
#include "webhook/webhook.h"

typedef struct mw_endpoint {
    mw_slice id, space, secret, previous_secret;
    unsigned auth;
    int64_t previous_until_ns;
    uint64_t rate_limit; /* a minute; 0 = unlimited */
    mw_address_list allowed;
    const mw_mapping *mapping; /* NULL unless the source has one */
    const mw_webhook_source *source;
} mw_endpoint;

/* A snapshot: never changed after its publication, freed when the last holder lets go. Requests
 * hold one only while they are looked at, so that a new table never waits for a client. */
typedef struct mw_endpoint_table {
    unsigned references; /* under mw_webhooks.lock */
    mw_arena arena;
    mw_endpoint *endpoints; /* sorted by id */
    size_t count;
} mw_endpoint_table;

struct mw_webhooks {
    mw_webhooks_config config;
    mw_limiter *failures;   /* by address */
    mw_limiter *deliveries; /* by endpoint */
    pthread_mutex_t turn;   /* of who loads */
    pthread_mutex_t lock;
    mw_endpoint_table *table;
    bool stale; /* under the lock: the table is not what the state has */
};

/* endpoint_table.c */
mw_endpoint_table *mw_endpoint_table_hold(mw_webhooks *webhooks);
void mw_endpoint_table_release(mw_webhooks *webhooks, mw_endpoint_table *table);
/* NULL when unknown. */
const mw_endpoint *mw_endpoint_find(const mw_endpoint_table *table, mw_slice id);
/* The secrets that are good at now_ns. */
mw_credential mw_endpoint_credential(const mw_endpoint *endpoint, int64_t now_ns);

#endif
