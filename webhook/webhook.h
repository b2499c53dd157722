/* webhook: the alarm door. POST /webhooks/{id} and /webhook/generic/{id} (DESIGN 4.1, 4.4).
 *
 * The endpoint table (id, source, secrets, limits) is read by every loop and replaced as a whole
 * when a webhook changes. The answer follows the commit of all alarms of a delivery.
 */
#ifndef MW_WEBHOOK_WEBHOOK_H
#define MW_WEBHOOK_WEBHOOK_H

#include "lib/access/refusals.h"
#include "lib/net/net.h"
#include "lib/state/webhooks.h"
#include "triage/triage.h"

/* A secret that was replaced may be good for so long (facts: webhooks 1.3). */
#define MW_WEBHOOK_GRACE_MAX_NS (24 * 3600 * MW_NS_PER_S)
/* Deliveries a minute that somebody may set; more is no limit. */
#define MW_WEBHOOK_RATE_MAX 60000

typedef struct mw_webhooks mw_webhooks;

typedef struct mw_webhooks_config {
    mw_state *state;
    mw_triage *triage;     /* woken after each commit */
    mw_refusals *refusals; /* NULL: refusals are counted and no more */
    const mw_clock *clock;
} mw_webhooks_config;

/* Loads the endpoint table. MW_E_NOMEM, MW_E_IO. */
MW_MUST_USE mw_err mw_webhooks_start(const mw_webhooks_config *config, mw_webhooks **out);
/* Reads the table again after a change. Any thread that may block. On an error the old one stays:
 * alarms go on. MW_E_NOMEM, MW_E_IO. */
MW_MUST_USE mw_err mw_webhooks_reload(mw_webhooks *webhooks);
/* Tries again when that failed: now and then, on a thread that may block. */
void mw_webhooks_tick(mw_webhooks *webhooks);
void mw_webhooks_free(mw_webhooks *webhooks);

/* Fills at most max routes (2 are needed); `tag` goes into each. */
size_t mw_webhooks_routes(mw_webhooks *webhooks, int tag, mw_route *routes, size_t max);

/* Body in the form of facts/webhooks 1.2 for refusals by net: {"error": ..., "field"?: ...}. */
void mw_webhook_format_refusal(mw_request *request, const mw_net_refusal *refusal,
                               mw_response *response);

/* What somebody wants an endpoint to be. */
typedef struct mw_webhook_wish {
    mw_slice space, name, source;
    mw_slice auth;              /* hmac, bearer; empty = the source's own */
    mw_slice allowed_addresses; /* empty = everybody */
    mw_slice mapping_json;      /* empty = none */
    uint64_t rate_limit;        /* a minute, 0 = unlimited */
} mw_webhook_wish;

/* A new endpoint with a fresh id and secret, as a row ready for mw_state_webhook_insert (the
 * caller's job), in the arena. MW_E_INVALID with a detail that names the member, MW_E_NOMEM. */
MW_MUST_USE mw_err mw_webhook_new(const mw_webhook_wish *wish, int64_t now_ns, mw_arena *arena,
                                  mw_webhook_row *out, mw_detail *detail);
/* A fresh secret for mw_state_webhook_rotate; the old one stays good for grace_ns. MW_E_NOMEM. */
MW_MUST_USE mw_err mw_webhook_renew(mw_webhook_row *row, int64_t grace_ns, int64_t now_ns,
                                    mw_arena *arena);
/* A name is shown in terminals and pages: 1 to 64 characters, no controls, no bidi overrides. */
bool mw_webhook_is_name(mw_slice name);

/* What became of a test. Texts in the arena. */
typedef struct mw_webhook_trial {
    mw_slice incident_id, action, priority, title;
    mw_slice alarm_id; /* empty unless it was stored */
} mw_webhook_trial;
/* Makes a test alarm of the endpoint's source, signs it with its secret, and takes it through
 * credentials and schema; `investigate`: and into the state, as a real one. A thread that may
 * block. MW_E_CONFLICT (disabled), MW_E_INVALID and others with detail, errors of the state. */
MW_MUST_USE mw_err mw_webhook_try(mw_webhooks *webhooks, mw_slice id, bool investigate,
                                  mw_arena *arena, mw_webhook_trial *out, mw_detail *detail);

#endif
