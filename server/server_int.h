/* server: what the parts of this room share. Private to the room.
 *
 * One mw_server lives on serve.c's stack from start to exit and is the ctx of every handler. Its
 * pointers are set before the ports open and stay; `net` alone appears while loops already run.
 */
#ifndef MW_SERVER_SERVER_INT_H
#define MW_SERVER_SERVER_INT_H

#include <stdatomic.h>

#include "collector/collector.h"
#include "lib/access/address.h"
#include "lib/base/buffer.h"
#include "lib/base/clock.h"
#include "lib/base/pool.h"
#include "lib/net/net.h"
#include "lib/net/sse.h"
#include "lib/state/state.h"
#include "lib/store/spaces.h"
#include "server/disk_use.h"
#include "server/gate.h"
#include "server/give_back.h"
#include "server/options.h"
#include "server/pacer.h"
#include "triage/triage.h"
#include "webhook/webhook.h"

/* Where alarms and investigations are, and telemetry that names no space. */
#define MW_DEFAULT_SPACE MW_SLICE(MW_SPACE_DEFAULT)

typedef struct mw_server {
    const mw_clock *clock;
    mw_server_settings settings;
    mw_spaces *spaces;
    mw_store *store; /* of the default space */
    mw_state *state;
    mw_pool *pool;         /* questions of the API about telemetry */
    mw_pool *pattern_pool; /* those with a pattern, which may be any work: nobody waits for them */
    mw_pool *desk_pool;    /* its other requests: status and state never wait for a scan */
    mw_pool *watch_pool;   /* decisions: a verdict never waits for a list */
    mw_pool *run_pool;     /* investigations */
    mw_triage *triage;
    mw_webhooks *webhooks;
    mw_tokens *tokens;
    mw_limiter *failures; /* of credentials, by address */
    mw_refusals *refusals;
    mw_collector *collector;
    mw_gate gate;
    mw_pace pace;                      /* of the log's bytes */
    mw_give_back give_back;            /* main thread */
    mw_stream_group followers;         /* of log records; woken by the store */
    mw_stream_group session_followers; /* woken by the pacer, which the store notes */
    mw_pacer session_pacer;
    atomic_size_t followers_hold; /* bytes of events that slow ones have begun to read */
    _Atomic(mw_net *) net;        /* NULL until mw_net_start has returned */
    atomic_bool ready;            /* endpoints.json is written */
    atomic_bool draining;
    int64_t started_ns; /* monotonic */
    int lock_fd;
} mw_server;

#define MW_JSON_TYPE MW_SLICE("application/json")

/* A body built in `text` becomes the answer's, memory and all; `text` is empty then. False when the
 * buffer had refused; the response is a 503 without a body then. */
bool mw_answer_body(mw_buffer *text, mw_response *response);

/* {"error":{"code","message","field","hint"}} into the response; NULL or empty is null. */
typedef struct mw_problem {
    unsigned status;
    const char *code;
    mw_slice message, field, hint;
} mw_problem;
void mw_answer_problem(const mw_problem *problem, mw_response *response);

/* Base of the links that are given out, without a slash at the end. False while net is not up
 * yet or it does not fit. */
bool mw_server_base_url(mw_server *server, char *out, size_t size);

#endif
