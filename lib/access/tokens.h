/* lib/access: the tokens that are good now, as loops ask for them.
 *
 * A table of digests, loaded from lib/state and replaced as a whole when a token or a switch
 * changes: a change is published before its answer goes out, so that whoever knows of it meets no
 * older table. Readers hold a reference for the time of a look-up; the lock is held to take and
 * give it, so that no look-up waits for a load. When a table cannot be loaded there is none, and
 * nobody is let in by a token until the next load: never by an old one.
 *
 * The order of what is asked (facts: security 3): switch, form, checksum, known, revoked, expired,
 * address, scope, rate. The switch belongs to a space, and which one is known behind the look-up
 * alone: it is asked first where it is off in all of them, and again when the token is known.
 * Ingest does not ask for it, nor for the rate: agents' telemetry must not depend on who may read.
 */
#ifndef MW_ACCESS_TOKENS_H
#define MW_ACCESS_TOKENS_H

#include "lib/access/limiter.h"
#include "lib/access/token.h"
#include "lib/base/id.h"
#include "lib/state/tokens.h"

typedef struct mw_tokens mw_tokens;

/* Why one was turned away. Counted, and told to the audit alone, where the answers are alike. */
typedef enum mw_token_refusal {
    MW_TOKEN_GOOD,
    MW_TOKEN_SWITCHED_OFF,
    MW_TOKEN_MALFORMED,
    MW_TOKEN_BAD_CHECKSUM,
    MW_TOKEN_UNKNOWN,
    MW_TOKEN_REVOKED,
    MW_TOKEN_EXPIRED,
    MW_TOKEN_FOREIGN_ADDRESS,
    MW_TOKEN_LACKS_SCOPE,
    MW_TOKEN_TOO_OFTEN,
    MW_TOKEN_UNAVAILABLE, /* no table, or no memory for the digest: try again */
    MW_TOKEN_REFUSALS
} mw_token_refusal;
/* "bad_checksum". */
const char *mw_token_refusal_name(mw_token_refusal refusal);

typedef struct mw_token_question {
    mw_slice credentials; /* the header Authorization */
    mw_slice address;     /* the peer's */
    unsigned wanted;      /* any of these scopes is enough; 0 = no token has it */
    bool governed;        /* by switch and rate: all but ingest */
    bool again;           /* asked before for this request: not counted for the rate */
    int64_t wall_ns, mono_ns;
} mw_token_question;

/* Names of tokens, cut at a character, and of spaces; with NUL. */
#define MW_TOKEN_NAME_SIZE 128
#define MW_TOKEN_SPACE_SIZE 64

typedef struct mw_token_answer {
    mw_token_refusal refusal;
    unsigned retry_after_s; /* of TOO_OFTEN */
    /* Empty while the token is not known. */
    char id[MW_ID_TEXT_SIZE], name[MW_TOKEN_NAME_SIZE], space[MW_TOKEN_SPACE_SIZE];
} mw_token_answer;

/* Loads the table. MW_E_NOMEM, MW_E_IO. */
MW_MUST_USE mw_err mw_tokens_start(mw_state *state, mw_tokens **out);
void mw_tokens_free(mw_tokens *tokens);
/* Reads state again after a change. A thread that may block. On an error no token is good until
 * the next call that succeeds. MW_E_NOMEM, MW_E_IO. */
MW_MUST_USE mw_err mw_tokens_reload(mw_tokens *tokens);
/* Tries again when that failed: now and then, on a thread that may block. */
void mw_tokens_tick(mw_tokens *tokens);
/* Does not block. Any thread. */
void mw_tokens_judge(mw_tokens *tokens, const mw_token_question *question, mw_token_answer *out);
/* Digest of a token under this state's pepper. MW_E_NOMEM. */
MW_MUST_USE mw_err mw_tokens_digest(const mw_tokens *tokens, mw_slice token,
                                    uint8_t out[MW_TOKEN_DIGEST_SIZE]);
/* The token of "Bearer TOKEN"; data NULL when the header has another form. Pure. */
mw_slice mw_tokens_bearer(mw_slice credentials);

#endif
