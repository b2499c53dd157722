/* lib/state: tokens, the switch of each space, and refusals in the audit. Beside state.h, whose
 * rules hold here. What a token means is lib/access's business; here are its rows.
 */
#ifndef MW_STATE_TOKENS_H
#define MW_STATE_TOKENS_H

#include "lib/state/state.h"

#define MW_STATE_PEPPER_SIZE 32
/* Tokens of a space that are not revoked (facts: security 3). Of revoked ones as many are kept for
 * the list; the oldest go. */
#define MW_TOKENS_OF_SPACE_MAX 100
/* Refusals that the audit holds; the oldest go when more come. Changes are never removed. */
#define MW_AUDIT_REFUSALS_MAX 10000

typedef struct mw_token_row {
    mw_slice id; /* 32 hex */
    mw_slice space, name;
    mw_slice scopes;            /* "read", "ingest,read", ... */
    mw_slice digest;            /* 32 bytes: keyed hash of the token, which is not kept */
    mw_slice allowed_addresses; /* address list as text, empty = everybody */
    int64_t created_ns, rotated_ns, revoked_ns; /* 0 = never */
    int64_t expires_ns;                         /* 0 = never */
    uint64_t days;                              /* it was made for; 0 = for ever */
} mw_token_row;

/* What token digests are keyed with: derived from the key file, which is not in the database. */
void mw_state_token_pepper(const mw_state *state, uint8_t out[MW_STATE_PEPPER_SIZE]);

/* MW_E_LIMIT also when the space has MW_TOKENS_OF_SPACE_MAX. */
MW_MUST_USE mw_err mw_state_token_insert(mw_state_tx *tx, const mw_token_row *row);
/* All of them, oldest first, revoked ones too. */
MW_MUST_USE mw_err mw_state_token_all(mw_state_tx *tx, mw_arena *arena, mw_token_row **rows,
                                      size_t *count);
MW_MUST_USE mw_err mw_state_token_get(mw_state_tx *tx, mw_slice id_prefix, mw_arena *arena,
                                      mw_token_row *out);
/* digest, rotated_ns and expires_ns become the row's. `id` is whole. MW_E_CONFLICT (it is revoked),
 * MW_E_NOT_FOUND. */
MW_MUST_USE mw_err mw_state_token_rotate(mw_state_tx *tx, const mw_token_row *row);
/* For ever. MW_E_CONFLICT (it is revoked), MW_E_NOT_FOUND. */
MW_MUST_USE mw_err mw_state_token_revoke(mw_state_tx *tx, mw_slice id, int64_t now_ns);
/* All tokens of a space that goes, and its switch: a later space of that name has none of them. Its
 * records stay in the audit, and are nobody's but the machine's. */
MW_MUST_USE mw_err mw_state_token_forget_space(mw_state_tx *tx, mw_slice space);

/* Spaces whose tokens may read and operate; off for those that are not listed. */
MW_MUST_USE mw_err mw_state_token_access_all(mw_state_tx *tx, mw_arena *arena, mw_slice **spaces,
                                             size_t *count);
MW_MUST_USE mw_err mw_state_token_access_set(mw_state_tx *tx, mw_slice space, bool on,
                                             int64_t now_ns);

/* As mw_state_audit_insert, for a row whose outcome is "denied": keeps MW_AUDIT_REFUSALS_MAX. */
MW_MUST_USE mw_err mw_state_audit_refusal(mw_state_tx *tx, const mw_audit_row *row);

#endif
