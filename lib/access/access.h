/* lib/access: who is asking and what they may do (DESIGN 4.1).
 *
 * Pure decisions over facts of the connection: no sockets, no SQL. In this step a principal comes
 * from the unix socket (its peer's user name: every scope) or from loopback TCP without a token
 * (ingest, signed webhooks and reads, with Host and Origin checked). Tokens come with the alarm
 * line; they will add one more way to a principal and nothing else.
 */
#ifndef MW_ACCESS_ACCESS_H
#define MW_ACCESS_ACCESS_H

#include <sys/types.h>

#include "lib/base/slice.h"

typedef enum mw_scope {
    MW_SCOPE_NONE, /* health and the like: always allowed */
    MW_SCOPE_INGEST,
    MW_SCOPE_WEBHOOK, /* carries its own signature */
    MW_SCOPE_READ,
    MW_SCOPE_OPERATE
} mw_scope;

typedef struct mw_access_facts {
    bool local;       /* unix socket */
    uid_t uid;        /* valid when local */
    bool loopback;    /* TCP from loopback */
    mw_slice address; /* peer's, for the principal and the audit */
    mw_slice host;    /* Host or :authority, with or without port; empty when absent */
    mw_slice origin;  /* Origin header; data NULL when absent */
} mw_access_facts;

typedef struct mw_principal {
    char name[64]; /* "local:alice", "loopback" */
} mw_principal;

typedef struct mw_access_policy {
    mw_slice allowed_hosts;   /* comma-separated, beside localhost and loopback addresses */
    mw_slice allowed_origins; /* see origin.h; beside the hosts that pass in Origin */
    bool insecure_listen;     /* the explicit switch: non-loopback peers act as loopback ones */
} mw_access_policy;

/* MW_OK with `who` filled; MW_E_DENIED with a detail whose message and hint name the option or
 * the way that would be allowed. */
MW_MUST_USE mw_err mw_access_check(const mw_access_policy *policy, const mw_access_facts *facts,
                                   mw_scope wanted, mw_principal *who, mw_detail *detail);

#endif
