/* webhook, inside: the endpoint table and what the handler needs. */
#ifndef MW_WEBHOOK_WEBHOOK_INT_H
#define MW_WEBHOOK_WEBHOOK_INT_H

#include <pthread.h>

#include "webhook/source.h"
#include "webhook/webhook.h"

typedef struct mw_endpoint {
    mw_slice id, space, secret;
    const mw_webhook_source *source;
} mw_endpoint;

/* A snapshot: never changed after its publication, freed when the last holder lets go. Requests
 * hold one only while they authenticate, so that a new table never waits for a client. */
typedef struct mw_endpoint_table {
    unsigned references; /* under mw_webhooks.lock */
    mw_arena arena;
    mw_endpoint *endpoints; /* sorted by id */
    size_t count;
} mw_endpoint_table;

struct mw_webhooks {
    mw_state *state;
    mw_triage *triage;
    const mw_clock *clock;
    pthread_mutex_t lock;
    mw_endpoint_table *table;
};

/* endpoint_table.c */
mw_endpoint_table *mw_endpoint_table_hold(mw_webhooks *webhooks);
void mw_endpoint_table_release(mw_webhooks *webhooks, mw_endpoint_table *table);
/* NULL when unknown. */
const mw_endpoint *mw_endpoint_find(const mw_endpoint_table *table, mw_slice id);

/* endpoint.c: the route's handler; ctx is the mw_webhooks. */
void mw_endpoint_handle(void *ctx, mw_request *request);

#endif
