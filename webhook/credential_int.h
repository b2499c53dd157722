/* Who sends: the credentials of a delivery against those of its endpoint. Private to the room.
 *
 * Pure; any thread. All active secrets are tried, without an early end, and as many are tried for
 * an endpoint that has one, or does not exist: the work does not tell.
 */
#ifndef MW_WEBHOOK_CREDENTIAL_INT_H
#define MW_WEBHOOK_CREDENTIAL_INT_H

#include "webhook/source.h"

typedef struct mw_credential {
    unsigned auth; /* one of MW_AUTH_* */
    mw_slice secret;
    mw_slice previous; /* empty: none, or its time is over */
} mw_credential;

/* MW_OK with the 32-byte replay key: of the signature, or, where there is none, of timestamp header
 * and body. MW_E_UNAUTHENTICATED (every reason alike; *reason is one word for the audit),
 * MW_E_INVALID (a credential header sent twice). */
MW_MUST_USE mw_err mw_credential_check(const mw_credential *credential, const mw_delivery *delivery,
                                       uint8_t replay_key[32], const char **reason);

#endif
