/* lib/access: who is asking and what they may do (DESIGN 4.1).
 *
 * Decisions over facts of the connection and the table of tokens: no sockets, no SQL. A principal
 * comes from the unix socket (its peer's user name: every scope), from a token (its scopes, in its
 * space, from anywhere that its addresses allow), or from loopback TCP without one (ingest, signed
 * webhooks and reads, with Host and Origin checked). A token that is shown is judged, also where
 * none is needed: whoever shows a stale one hears of it. Other machines need TLS and a token, or
 * the switch insecure_listen.
 */
#ifndef MW_ACCESS_ACCESS_H
#define MW_ACCESS_ACCESS_H

#include <sys/types.h>

#include "lib/access/tokens.h"

typedef enum mw_scope {
    MW_SCOPE_NONE, /* health and the like: always allowed */
    MW_SCOPE_INGEST,
    MW_SCOPE_WEBHOOK, /* carries its own signature */
    MW_SCOPE_READ,
    MW_SCOPE_OPERATE,
    MW_SCOPE_ADMINISTER /* spaces, tokens and their switch: the unix socket alone, so that no token
                           makes another that outlives it, or deletes what others keep */
} mw_scope;

typedef struct mw_access_facts {
    bool local;               /* unix socket */
    uid_t uid;                /* valid when local */
    bool loopback;            /* TCP from loopback */
    mw_slice address;         /* peer's, for the principal and the audit */
    mw_slice host;            /* Host or :authority, with or without port; empty when absent */
    mw_slice origin;          /* Origin header; data NULL when absent */
    bool tls;                 /* the connection's */
    mw_slice query;           /* as sent: no place for a token */
    mw_slice credentials;     /* Authorization header; data NULL when absent */
    size_t credentials_count; /* how many there were */
    bool again;               /* asked before for this request */
    int64_t wall_ns, mono_ns;
} mw_access_facts;

typedef struct mw_principal {
    char name[192]; /* "local:alice", "loopback", "peer:192.0.2.7", "token:0f3a... night" */
    char token_id[MW_ID_TEXT_SIZE];  /* empty: no token */
    char space[MW_TOKEN_SPACE_SIZE]; /* that a token is bound to; empty: any */
    /* Of a refusal. */
    const char *reason; /* one word for the audit, "expired": not for the answer; a literal */
    unsigned retry_after_s;
} mw_principal;

typedef struct mw_access_policy {
    mw_slice allowed_hosts;   /* comma-separated, beside localhost and loopback addresses */
    mw_slice allowed_origins; /* see origin.h; beside the hosts that pass in Origin */
    bool insecure_listen;     /* the explicit switch: non-loopback peers act as loopback ones */
    mw_tokens *tokens;        /* NULL: none is good */
    mw_limiter *failures;     /* of credentials, by address; NULL: not counted */
} mw_access_policy;

/* MW_OK with `who` filled, which is filled as far as it is known also when refused. MW_E_DENIED
 * with a detail whose message and hint name the option or the way that would be allowed;
 * MW_E_UNAUTHENTICATED (one text for every reason), MW_E_INVALID (credentials sent twice),
 * MW_E_BUSY (too often: retry_after_s), MW_E_CLOSED (tokens cannot be looked up now). */
MW_MUST_USE mw_err mw_access_check(const mw_access_policy *policy, const mw_access_facts *facts,
                                   mw_scope wanted, mw_principal *who, mw_detail *detail);

#endif
