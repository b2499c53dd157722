/* lib/net, private: answers that a web page of another origin may read (Fetch standard, "CORS").
 *
 * net's config says which origins may (net.h, `cors`); without it nothing here does anything. Every
 * answer to a request of such an origin, refusals too, gets access-control-allow-origin with that
 * one origin and vary: origin. A preflight request is answered here, before any route's handler,
 * gate or body: what it asks is public to that origin, and it carries no credentials by its nature.
 * Loop's thread.
 */
#ifndef MW_NET_CORS_INT_H
#define MW_NET_CORS_INT_H

#include "lib/net/exchange_int.h"

/* How long a browser may remember a preflight's answer; the most that Chromium believes. */
#define MW_CORS_MAX_AGE "7200"
/* Header names that a preflight lists are given back up to here; more is no browser's. */
#define MW_CORS_NAMES_MAX ((size_t)1024)

/* The head is complete: fills exchange->cors. */
void mw_cors_ask(mw_exchange *exchange);
/* True when the request is a preflight of an allowed origin for a path of this port: the answer is
 * ready then, and the exchange's state is ANSWER. */
MW_MUST_USE bool mw_cors_preflight(mw_exchange *exchange);
/* What to say to a preflight that mw_cors_preflight did not answer because its origin may nothing:
 * empty for other requests. */
mw_slice mw_cors_explain(const mw_exchange *exchange);
/* Adds the headers of an actual answer. Once an answer. */
void mw_cors_decorate(mw_exchange *exchange);

#endif
