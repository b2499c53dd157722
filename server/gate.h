/* The gate: who may pass before a body is read, and how refusals look to each family of routes.
 * What it refuses is counted and goes to the audit (lib/access/refusals.h).
 *
 * Runs on network loops. The policy is read-mostly: one writer (the main thread, at start and on
 * SIGHUP) publishes a new version by an atomic pointer; old versions are kept until exit, since a
 * loop may still look at one and a reload is a rare act of a person.
 */
#ifndef MW_SERVER_GATE_H
#define MW_SERVER_GATE_H

#include <stdatomic.h>

#include "lib/access/access.h"
#include "lib/access/refusals.h"
#include "lib/net/net.h"

/* Which form a refusal has. */
typedef enum mw_family { MW_FAMILY_API, MW_FAMILY_OTLP, MW_FAMILY_WEBHOOK } mw_family;

/* A route's tag carries its family and the scope it asks for. */
#define MW_TAG(family, scope) (((int)(family) << 8) | (int)(scope))
#define MW_TAG_FAMILY(tag) ((mw_family)((tag) >> 8))
#define MW_TAG_SCOPE(tag) ((mw_scope)((tag)&0xff))

struct mw_gate_version;

typedef struct mw_gate {
    _Atomic(struct mw_gate_version *) current;
    /* Set before the ports open. */
    const mw_clock *clock;
    mw_refusals *refusals;
} mw_gate;

/* Copies what the policy points to. Also the first call; main thread only. */
void mw_gate_publish(mw_gate *gate, const mw_access_policy *policy);
/* After net is freed. */
void mw_gate_fini(mw_gate *gate);

/* For mw_net_config.gate; ctx is the mw_gate. */
bool mw_gate_admit(void *ctx, const mw_request *request, mw_net_refusal *refusal);
/* For mw_net_config.cors: origins of the option allowed_origins, on every port. Only the OTLP/HTTP
 * port lets them bring cookies along (exporters that use sendBeacon cannot do without); it has no
 * use for any. */
mw_cors mw_gate_cors(void *ctx, const mw_request *request, mw_slice origin);
/* For mw_net_config.format_refusal; ctx is the mw_server, whose collector keeps count of refused
 * exports. */
void mw_gate_format(void *ctx, mw_request *request, const mw_net_refusal *refusal,
                    mw_response *response);
/* Who asks, for the audit and for the space: the same check again, as of now. A token that has been
 * revoked since is refused. */
MW_MUST_USE mw_err mw_gate_principal(mw_gate *gate, const mw_request *request, mw_principal *who);

/* Puts into the audit that the request's token asked for what is not of its space: known only
 * behind the gate, where the request is read. Any thread; does not block. */
void mw_gate_note_outside(mw_gate *gate, const mw_request *request);

/* Family of a path that no route took: "/v1/..." and gRPC's "/opentelemetry..." are exporters',
 * "/webhook..." senders', the rest people's. Pure. */
mw_family mw_gate_family_of_path(mw_slice path);
/* The same for a request: a POST to a port of exporters is an exporter's, whatever its path. */
mw_family mw_gate_family(const mw_request *request);
/* The API's error code for an HTTP status. Pure. */
const char *mw_problem_code(unsigned status);

#endif
