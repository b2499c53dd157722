/* collector: OTLP in. Checks, resolution of session, agent, model and tokens, ingest.
 *
 * The way of one export of traces, metrics or logs: net hands over the message (HTTP or gRPC
 * framing, the same bytes); the validating pass walks it once; every item is resolved from its
 * attributes, its resource and its scope; the batch goes to the store; the answer is sent from the
 * writer's completion, after the sync. Answers follow OTLP 1.11: partial_success with counts and
 * the first offender's path, google.rpc.Status in the request's own encoding.
 */
#ifndef MW_COLLECTOR_COLLECTOR_H
#define MW_COLLECTOR_COLLECTOR_H

#include "collector/senders.h"
#include "lib/net/net.h"
#include "lib/store/store.h"

typedef struct mw_collector mw_collector;

/* What one request of `max_request` bytes needs at its peak, from its body to the block: the body,
 * its rows and columns, and what is packed, which for bytes that do not shrink is as much again.
 * Measured at 30 MiB: 1.6 times for spans of 742 bytes, 2.6 times when nothing compresses. The
 * reservation of lib/base/memory.h. */
static inline size_t mw_collector_request_cost(size_t max_request)
{
    return max_request / 4 * 11;
}

/* `max_request` bounds a body, min(64 MiB, memory_limit / 4) (DESIGN 3.3). */
MW_MUST_USE mw_err mw_collector_new(mw_store *store, const mw_clock *clock, size_t max_request,
                                    mw_collector **out);
void mw_collector_free(mw_collector *collector);

/* Where an export goes. `held` is given back (release) when the store has answered, NULL = nothing
 * is held. */
typedef struct mw_export_target {
    mw_store *store;
    void *held;
    mw_slice space; /* its name, which lives as long as the request; empty = the default space */
} mw_export_target;

typedef struct mw_collector_spaces {
    /* Chooses by what the request's head says, on its loop. MW_E_NOT_FOUND (there is no such
     * space), MW_E_INVALID, with detail; MW_E_NOMEM. */
    mw_err (*choose)(void *ctx, const mw_request *request, mw_export_target *out,
                     mw_detail *detail);
    void (*release)(void *held); /* any thread, also a store's writer */
    void *ctx;
} mw_collector_spaces;

/* Before the ports open; without it all exports go to the store of _new. */
void mw_collector_use_spaces(mw_collector *collector, const mw_collector_spaces *spaces);

/* Fills at most max routes, of the 6 there are: HTTP and gRPC for each signal; `tag` goes into
 * each. They live as long as the collector. */
size_t mw_collector_routes(mw_collector *collector, int tag, mw_route *routes, size_t max);

/* Who has sent, and who was refused (senders.h). Any thread; to be freed; NULL: no memory. */
mw_senders_view *mw_collector_senders(mw_collector *collector);
/* Notes a refusal by net of a request that was meant for an OTLP path. */
void mw_collector_note_refusal(mw_collector *collector, const mw_request *request,
                               const mw_net_refusal *refusal);

/* google.rpc.Status in the encoding the request's content-type asks for (JSON when it is neither
 * protobuf nor JSON), for refusals by net on OTLP paths. */
void mw_collector_format_refusal(mw_request *request, const mw_net_refusal *refusal,
                                 mw_response *response);

#endif
