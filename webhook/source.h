/* A source: what turns one vendor's delivery into alarm events. One small adapter a source.
 *
 * An adapter is pure: headers, body, secret and a clock reading in, values out. The endpoint
 * (endpoint.c) does the rest in the order of facts: look-up, size, authentication, replay, parse,
 * commit, answer. To add a source, write one file with one mw_webhook_source and list it in
 * source.c.
 */
#ifndef MW_WEBHOOK_SOURCE_H
#define MW_WEBHOOK_SOURCE_H

#include "lib/base/arena.h"
#include "lib/net/request.h"

/* Delivery window of the signature's time, both sides, inclusive (Standard Webhooks: 300 s). */
#define MW_WEBHOOK_WINDOW_NS (INT64_C(300) * 1000000000)
/* A replay is remembered for twice the window and a minute. */
#define MW_WEBHOOK_REPLAY_NS (INT64_C(660) * 1000000000)

typedef struct mw_delivery {
    const mw_request *request; /* headers and body exactly as received */
    mw_slice secret;
    int64_t now_ns; /* the real clock */
} mw_delivery;

/* Normalised; slices in the arena or in the body. */
typedef struct mw_alarm_event {
    mw_slice incident_id;
    mw_slice action;                              /* created, updated, resolved, closed */
    mw_slice priority;                            /* CRITICAL, HIGH, MEDIUM, LOW, MINIMAL */
    mw_slice title, description, service, region; /* empty = unknown */
    mw_slice resources_json;                      /* JSON array of strings, "[]" when none */
    int64_t started_ns;                           /* body's time; 0 = not given */
} mw_alarm_event;

typedef struct mw_webhook_source {
    const char *name; /* "devops-agent" */
    size_t max_body;  /* facts: webhooks 1.6 */
    /* MW_OK with the 32-byte replay key, MW_E_UNAUTHENTICATED (every reason alike), MW_E_INVALID
     * (a credential header sent twice). Constant time in the secret. */
    mw_err (*authenticate)(const mw_delivery *delivery, uint8_t replay_key[32]);
    /* MW_E_SYNTAX (not JSON), MW_E_INVALID (detail names the field), MW_E_UNSUPPORTED (content
     * type), MW_E_NOMEM. */
    mw_err (*parse)(const mw_delivery *delivery, mw_arena *arena, mw_alarm_event *out,
                    mw_detail *detail);
} mw_webhook_source;

/* NULL when there is no such source. */
const mw_webhook_source *mw_webhook_source_find(mw_slice name);
/* "devops-agent, ..." for messages and help. */
const char *mw_webhook_source_names(void);

#endif
