/* /api/v1: the answers of DESIGN 4.3. This folder's only door for the rest of the room.
 *
 * Each request becomes one job of the pool: it asks the store and the state, writes JSON into an
 * accounted buffer and replies. One file a noun. Who follows a list becomes a stream
 * (follower.h).
 */
#ifndef MW_SERVER_API_API_H
#define MW_SERVER_API_API_H

#include "server/server_int.h"

/* Routes of all nouns together. */
#define MW_API_ROUTES_MAX 96
/* What a call that waits keeps alive beside its body: head, arena, connection. */
#define MW_API_CALL_COST 8192
/* Has followers woken by the commits of a store, before the first append; ctx is the mw_server. */
void mw_api_listen(void *ctx, mw_store *store);
/* Followers of sessions look at most so often: what a session adds up to is a join over its traces.
 */
#define MW_API_SESSION_FOLLOW_NS MW_NS_PER_S
/* Wakes them; ctx is the mw_server. For its pacer. */
void mw_api_wake_session_followers(void *ctx);
/* A space is being deleted, or a token is not good any more: followers find out. */
void mw_api_end_followers(void *ctx);
/* Fills the routes with ctx inside; `server` outlives them. */
size_t mw_api_routes(mw_server *server, mw_route *routes);

#endif
