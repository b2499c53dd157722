/* lib/net, private: certificate files to an SSL_CTX, and the one that new connections get.
 *
 * A context is built and checked in full, then published under a mutex that is held for a pointer
 * and a reference count. Each connection holds the context it began with, so a reload changes new
 * connections only. Loading runs at start and on the reloading thread; mw_tls_begin on loops.
 */
#ifndef MW_NET_TLS_INT_H
#define MW_NET_TLS_INT_H

#include <openssl/ssl.h>
#include <pthread.h>
#include <stdatomic.h>

#include "lib/net/net.h"

/* A chain of 16 certificates has some 40 KB; a bundle of client CAs may be as long as a system's
 * (some 250 KB). */
#define MW_TLS_FILE_MAX ((size_t)1 << 20)
/* What a leaf needs above it; longer chains are mistakes. */
#define MW_TLS_CHAIN_MAX 16
#define MW_TLS_VERIFY_DEPTH 8
/* Certificates a client may send, in bytes: decoded before it is known to be anybody. */
#define MW_TLS_PEER_CHAIN_MAX ((long)32 << 10)
/* Said once at load when less than this is left. */
#define MW_TLS_EXPIRY_WARNING_S (INT64_C(14) * 86400)
/* What a handshake may come to hold; begun only when memory admits as much. */
#define MW_TLS_SESSION_COST ((size_t)64 << 10)

typedef struct mw_tls {
    pthread_mutex_t lock;
    SSL_CTX *current; /* NULL = clear text only */
    atomic_bool on;   /* current is there: asked without the lock */
} mw_tls;

void mw_tls_init(mw_tls *tls);
void mw_tls_fini(mw_tls *tls);
/* Paths empty or NULL: clear text only. On failure what was published stays. As
 * mw_net_tls_reload. */
MW_MUST_USE mw_err mw_tls_load(mw_tls *tls, const mw_net_tls *paths, const mw_clock *clock,
                               mw_detail *detail);
bool mw_tls_is_on(const mw_tls *tls);
/* A server's session on the newest context; NULL without memory, or when TLS is off by now. */
SSL *mw_tls_begin(mw_tls *tls);

#endif
