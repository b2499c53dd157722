/* /healthz, /readyz and /metrics, on the web port and the socket. */
#ifndef MW_SERVER_HEALTH_H
#define MW_SERVER_HEALTH_H

#include "server/metrics.h"
#include "server/server_int.h"

#define MW_HEALTH_ROUTES 3
/* Fills MW_HEALTH_ROUTES routes with ctx = server. */
size_t mw_health_routes(mw_server *server, mw_route *routes);

/* Reads every gauge where it lives. Any thread. */
void mw_gauges_read(mw_server *server, mw_gauges *out);

#endif
