/* /healthz, /readyz and /metrics, on the web port and the socket. */
#ifndef MW_SERVER_HEALTH_H
#define MW_SERVER_HEALTH_H

#include "lib/base/json_writer.h"
#include "server/metrics.h"
#include "server/server_int.h"

#define MW_HEALTH_ROUTES 3
/* Fills MW_HEALTH_ROUTES routes with ctx = server. */
size_t mw_health_routes(mw_server *server, mw_route *routes);

/* "endpoints":{"grpc","http","web"}, each "host:port"; null while `net` is NULL. */
void mw_ports_write(mw_json *json, mw_net *net);
/* Reads every gauge where it lives. Any thread. */
void mw_gauges_read(mw_server *server, mw_gauges *out);

#endif
