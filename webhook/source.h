/* A source: what turns one vendor's delivery into alarm events. One small adapter a source.
 *
 * An adapter is pure: a body and a clock reading in, values out. Who sends is asked before, in the
 * same way for all of them (credential_int.h); the endpoint (endpoint.c) does the rest in the order
 * of facts: look-up, address, size, authentication, parse, replay, commit, answer. To add a source,
 * write one file with one mw_webhook_source and list it in source.c.
 */
#ifndef MW_WEBHOOK_SOURCE_H
#define MW_WEBHOOK_SOURCE_H

#include "lib/base/arena.h"
#include "lib/net/request.h"

/* Delivery window of the signature's time, both sides, inclusive (Standard Webhooks: 300 s). */
#define MW_WEBHOOK_WINDOW_NS (INT64_C(300) * 1000000000)
/* A replay is remembered for twice the window and a minute. */
#define MW_WEBHOOK_REPLAY_NS (INT64_C(660) * 1000000000)
/* Alerts come in groups, which senders bound only when they are told to (facts: webhooks 1.6). */
#define MW_ALERTS_BODY_MAX ((size_t)1 << 20)
/* Events of one delivery: one transaction, a tenth of a second of the writer's time. */
#define MW_DELIVERY_EVENTS_MAX 2000

/* How an endpoint knows its sender; a source lists those that its vendor can do. */
enum {
    MW_AUTH_HMAC = 1,  /* x-amzn-event-signature over "timestamp:body" */
    MW_AUTH_BEARER = 2 /* Authorization: Bearer mwhk_... */
};

struct mw_mapping;

typedef struct mw_delivery {
    const mw_request *request;        /* headers and body exactly as received */
    const struct mw_mapping *mapping; /* of the endpoint; NULL unless its source has one */
    int64_t now_ns;                   /* the real clock */
} mw_delivery;

/* Normalised; slices in the arena or in the body. */
typedef struct mw_alarm_event {
    mw_slice incident_id;
    mw_slice action;                              /* created, updated, resolved, closed */
    mw_slice priority;                            /* CRITICAL, HIGH, MEDIUM, LOW, MINIMAL */
    mw_slice title, description, service, region; /* empty = unknown */
    mw_slice resources_json;                      /* JSON array of strings, "[]" when none */
    mw_slice body;      /* this event's part of a delivery of several; empty = all of it */
    int64_t started_ns; /* body's time; 0 = not given */
} mw_alarm_event;

/* Of one delivery, in its order; at least one. All of them are committed, or none. */
typedef struct mw_alarm_events {
    mw_alarm_event *items;
    size_t count;
    uint64_t left_out; /* by the sender, which says so */
} mw_alarm_events;

/* What a test delivery says of itself. */
#define MW_TEST_TITLE "midwatch test alarm"
#define MW_TEST_WORDS "Sent by midwatch webhook test; nothing is wrong."
typedef struct mw_test_event {
    const char *incident_id; /* "midwatch-test-..." */
    int64_t now_ns;
    const struct mw_mapping *mapping;
} mw_test_event;

typedef struct mw_webhook_source {
    const char *name;         /* "devops-agent" */
    size_t max_body;          /* facts: webhooks 1.6 */
    unsigned auths;           /* MW_AUTH_* that it takes */
    unsigned auth;            /* the one an endpoint gets when nobody says which */
    unsigned overload_status; /* what its sender tries again on: facts webhooks 1.5 */
    bool repeats; /* sends again what is still so: what says nothing new makes nothing */
    bool mapped;  /* needs a mapping */
    /* MW_E_SYNTAX (not JSON), MW_E_INVALID (detail names the field), MW_E_UNSUPPORTED (content
     * type), MW_E_NOMEM. */
    mw_err (*parse)(const mw_delivery *delivery, mw_arena *arena, mw_alarm_events *out,
                    mw_detail *detail);
    /* A body of this source that parse takes, with MW_TEST_TITLE in it. MW_E_NOMEM, MW_E_INVALID (a
     * mapping whose places cannot all be filled in one body). */
    mw_err (*sample)(const mw_test_event *event, mw_arena *arena, mw_slice *body);
} mw_webhook_source;

/* NULL when there is no such source. */
const mw_webhook_source *mw_webhook_source_find(mw_slice name);
/* "devops-agent, ..." for messages and help. */
const char *mw_webhook_source_names(void);
/* "hmac", "bearer"; 0 for others. */
unsigned mw_webhook_auth_find(mw_slice name);
const char *mw_webhook_auth_name(unsigned auth);

#endif
