/* webhook: the alarm door. POST /webhooks/{id} and /webhook/generic/{id} (DESIGN 4.1, 4.4).
 *
 * The endpoint table (id, source, secret) is read by every loop and replaced as a whole when a
 * webhook changes. The answer follows the commit of the alarm.
 */
#ifndef MW_WEBHOOK_WEBHOOK_H
#define MW_WEBHOOK_WEBHOOK_H

#include "lib/net/net.h"
#include "lib/state/state.h"
#include "triage/triage.h"

typedef struct mw_webhooks mw_webhooks;

/* Loads the endpoint table. MW_E_NOMEM, MW_E_IO. `triage` is woken after each commit. */
MW_MUST_USE mw_err mw_webhooks_start(mw_state *state, mw_triage *triage, const mw_clock *clock,
                                     mw_webhooks **out);
/* Reads the table again after a change. Any thread that may block. MW_E_NOMEM, MW_E_IO. */
MW_MUST_USE mw_err mw_webhooks_reload(mw_webhooks *webhooks);
void mw_webhooks_free(mw_webhooks *webhooks);

/* Fills at most max routes (2 are needed); `tag` goes into each. */
size_t mw_webhooks_routes(mw_webhooks *webhooks, int tag, mw_route *routes, size_t max);

/* Body in the form of facts/webhooks 1.2 for refusals by net: {"error": ..., "field"?: ...}. */
void mw_webhook_format_refusal(mw_request *request, const mw_net_refusal *refusal,
                               mw_response *response);

/* A new endpoint with a fresh id and secret, as a row ready for mw_state_webhook_insert (the
 * caller's job), in the arena. MW_E_INVALID (name, source) with detail, MW_E_NOMEM. */
MW_MUST_USE mw_err mw_webhook_new(mw_slice space, mw_slice name, mw_slice source, int64_t now_ns,
                                  mw_arena *arena, mw_webhook_row *out, mw_detail *detail);

#endif
