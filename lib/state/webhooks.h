/* lib/state: webhook endpoints and the replay cache. Beside state.h, whose rules hold here. */
#ifndef MW_STATE_WEBHOOKS_H
#define MW_STATE_WEBHOOKS_H

#include "lib/state/state.h"

/* Endpoints of a daemon: each costs a loop a comparison or two, and memory for its table. */
#define MW_WEBHOOKS_MAX 1000

typedef struct mw_webhook_row {
    mw_slice id; /* 32 hex */
    mw_slice space, name, source;
    mw_slice auth;            /* hmac, bearer */
    mw_slice secret;          /* plain; sealed at rest (AES-256-GCM under the key file) */
    mw_slice previous_secret; /* likewise; good until previous_until_ns, empty when there is none */
    mw_slice allowed_addresses;                        /* address list as text, empty = everybody */
    mw_slice mapping_json;                             /* of the source generic; empty for others */
    int64_t created_ns, rotated_ns, previous_until_ns; /* 0 = never */
    uint64_t rate_limit;                               /* deliveries a minute, 0 = unlimited */
    bool enabled;
} mw_webhook_row;

/* MW_E_LIMIT also when there are MW_WEBHOOKS_MAX. */
MW_MUST_USE mw_err mw_state_webhook_insert(mw_state_tx *tx, const mw_webhook_row *row);
/* All of them, oldest first, with secrets: for the endpoint table and (without) the list. */
MW_MUST_USE mw_err mw_state_webhook_all(mw_state_tx *tx, mw_arena *arena, mw_webhook_row **rows,
                                        size_t *count);
MW_MUST_USE mw_err mw_state_webhook_get(mw_state_tx *tx, mw_slice id_prefix, mw_arena *arena,
                                        mw_webhook_row *out);
/* Secrets, previous_until_ns and rotated_ns become the row's. `id` is whole. MW_E_NOT_FOUND. */
MW_MUST_USE mw_err mw_state_webhook_rotate(mw_state_tx *tx, const mw_webhook_row *row);
MW_MUST_USE mw_err mw_state_webhook_enable(mw_state_tx *tx, mw_slice id, bool enabled);
/* With what the replay cache knows of it; its alarms stay. */
MW_MUST_USE mw_err mw_state_webhook_delete(mw_state_tx *tx, mw_slice id);

/* Replay cache: MW_E_CONFLICT when (webhook, digest) was seen and has not expired at now_ns. */
MW_MUST_USE mw_err mw_state_replay_insert(mw_state_tx *tx, mw_slice webhook_id,
                                          const uint8_t digest[32], int64_t now_ns,
                                          int64_t expires_ns);

#endif
