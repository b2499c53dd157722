/* The trace service: POST /v1/traces and gRPC TraceService/Export, between net and store.
 *
 * The handler runs on the network loop that read the request: scan, resolve, append. The answer is
 * sent from the store's completion, on its writer thread, after the sync; from the append on, the
 * request may be answered and gone at any moment, so that nothing of it is touched after a
 * successful append. What cannot be taken now (queue full, no memory, others' turn) goes back to
 * its loop and is tried again (retry_later). The collector itself is read-only after _new, but for
 * the table of shares (fair_share.h).
 */
#include "collector/collector.h"
#include "collector/export_int.h"
#include "collector/fair_share.h"
#include "collector/resolve.h"

#define HTTP_PATH "/v1/traces"
#define GRPC_PATH "/opentelemetry.proto.collector.trace.v1.TraceService/Export"

struct mw_collector {
    mw_store *store;
    const mw_clock *clock;
    size_t max_request;
    mw_export_keys keys;
    mw_fair_share fair;
};

/* One export on its way through the store; in the request's arena. */
typedef struct pending_export {
    mw_collector *collector;
    mw_request *request;
    mw_answer_form form;
    unsigned tries;
    bool flow_known; /* from an earlier try: the question comes before the work */
    mw_flow flow;
    mw_export_outcome outcome;
} pending_export;

/* Beyond these, exports of flows that have used more than their share wait. Half a queue is some
 * syncs ahead of the disk: they wait until their time is up. Memory may be short for other reasons
 * than exports (connections, bodies that never end): there they let others go first for some 70 ms,
 * and only if they have sent really much. */
#define PRESSURE_BACKLOG_PERCENT 50
#define PRESSURE_MEMORY_LEFT(ceiling) ((ceiling) / 4)
#define PRESSURE_MEMORY_FLOOR(ceiling) ((ceiling) / 2)
#define PRESSURE_MEMORY_TRIES 3u
/* The first try again; doubled up to the fifth. A sync takes some milliseconds. */
#define RETRY_FIRST_MS 10u
#define RETRY_DOUBLINGS 4u

/* ---- waiting ------------------------------------------------------------------------------- */

/* What passes by itself is waited for, as long as the client has time: exporters of gRPC that never
 * retry would lose the batch. True: the request is the loop's again. */
static bool retry_later(pending_export *pending, mw_err err)
{
    unsigned doublings = pending->tries < RETRY_DOUBLINGS ? pending->tries : RETRY_DOUBLINGS;
    if (err != MW_E_BUSY && err != MW_E_NOMEM)
        return false;
    pending->tries++;
    return mw_request_defer(pending->request, mw_clock_mono_ns(pending->collector->clock),
                            RETRY_FIRST_MS << doublings);
}

static bool others_go_first(pending_export *pending, unsigned backlog)
{
    mw_collector *collector = pending->collector;
    size_t ceiling = mw_memory_ceiling();
    uint64_t floor_bytes = 0;
    if (!pending->flow_known)
        return false;
    if (backlog < PRESSURE_BACKLOG_PERCENT) {
        if (pending->tries >= PRESSURE_MEMORY_TRIES ||
            mw_memory_leaves(0, PRESSURE_MEMORY_LEFT(ceiling)))
            return false;
        floor_bytes = PRESSURE_MEMORY_FLOOR(ceiling);
    }
    return mw_fair_share_waits(&collector->fair, pending->flow, floor_bytes,
                               mw_clock_mono_ns(collector->clock));
}

/* MW_E_BUSY while others go first, or nobody can. */
static mw_err check_turn(pending_export *pending)
{
    unsigned backlog = mw_store_backlog(pending->collector->store);
    if (backlog >= 100)
        return MW_E_BUSY;
    if (!others_go_first(pending, backlog))
        return MW_OK;
    pending->outcome.problem = MW_SLICE("this service or session sends more than its share while "
                                        "the daemon is under load; try again");
    return MW_E_BUSY;
}

/* A batch may hold several flows. It is charged to that of one item, chosen by its digest: each
 * flow pays in proportion to what it sends, for the price of one hash. */
static void find_flow(pending_export *pending, const mw_export_batch *batch)
{
    uint32_t draw;
    memcpy(&draw, batch->digest, sizeof draw);
    const mw_span_row *row = &batch->items[draw % batch->count].row;
    pending->flow = mw_fair_share_flow(&pending->collector->fair, row->service, row->session_id);
    pending->flow_known = true;
}

/* ---- answers ------------------------------------------------------------------------------- */

/* The request is gone afterwards, and `pending` with it. */
static void finish(pending_export *pending, mw_err err)
{
    mw_response response;
    if (retry_later(pending, err))
        return;
    pending->outcome.err = err;
    mw_export_answer(&pending->outcome, pending->form, &pending->request->arena, &response);
    mw_export_count(&pending->outcome);
    mw_request_reply(pending->request, &response);
}

/* The store's completion: after the sync, on the writer's thread. */
static void stored(void *ctx, mw_err err, uint64_t commit_seq)
{
    pending_export *pending = ctx;
    pending->outcome.at_store = true;
    pending->outcome.repeat = err == MW_OK && commit_seq == 0;
    finish(pending, err);
}

static void refuse_content_type(mw_request *request)
{
    mw_status status = {
        .http_status = 415,
        .code = MW_RPC_INVALID_ARGUMENT,
        .message = MW_SLICE("content-type must be application/x-protobuf or application/json; set "
                            "OTEL_EXPORTER_OTLP_PROTOCOL=http/protobuf, http/json or grpc"),
    };
    mw_response response;
    mw_status_answer(&status, MW_FORM_JSON, &request->arena, &response);
    mw_request_reply(request, &response);
}

/* ---- one export ---------------------------------------------------------------------------- */

static bool deadline_passed(const mw_collector *collector, const mw_request *request)
{
    return request->deadline_ns != 0 && mw_clock_mono_ns(collector->clock) >= request->deadline_ns;
}

/* Reads the message into `batch` and says what is to be done: MW_E_AGAIN = append it, anything
 * else is the outcome. */
static mw_err read_message(const mw_collector *collector, mw_slice message, mw_export_batch *batch,
                           pending_export *pending)
{
    mw_request *request = pending->request;
    mw_err err = mw_export_batch_read(batch, message, &collector->keys, &request->arena);
    pending->outcome.scan = batch->scan;
    if (err != MW_OK || batch->count == 0)
        return err;
    if (!pending->flow_known) {
        find_flow(pending, batch);
        err = check_turn(pending);
        if (err != MW_OK)
            return err;
    }
    return deadline_passed(collector, request) ? MW_E_TIMEOUT : MW_E_AGAIN;
}

/* One export in wire form; answers, or leaves the answer to `stored`. */
static void export_message(mw_collector *collector, mw_slice message, pending_export *pending)
{
    mw_export_batch batch;
    mw_err err = read_message(collector, message, &batch, pending);
    bool append = err == MW_E_AGAIN;
    if (append) {
        mw_store_batch view = mw_export_batch_view(&batch);
        mw_flow flow = pending->flow;
        size_t bytes = message.len;
        err = mw_store_append(collector->store, &view, stored, pending);
        if (err == MW_OK)
            mw_fair_share_use(&collector->fair, flow, bytes, mw_clock_mono_ns(collector->clock));
    }
    mw_export_batch_fini(&batch); /* its tables are no part of the request */
    if (append && err == MW_OK)
        return; /* `stored` answers, or has answered */
    pending->outcome.at_store = append;
    finish(pending, err);
}

static void export_json(mw_collector *collector, pending_export *pending)
{
    mw_request *request = pending->request;
    mw_buffer wire;
    mw_err err = mw_export_json(request->body, collector->max_request, &request->arena, &wire,
                                &pending->outcome);
    if (err == MW_OK)
        export_message(collector, mw_buffer_slice(&wire), pending);
    else
        finish(pending, err);
    mw_buffer_fini(&wire); /* the store has its own copy */
}

static void refuse_for_memory(mw_request *request, mw_answer_form form)
{
    mw_export_outcome outcome = {.err = MW_E_NOMEM};
    mw_response response;
    mw_export_answer(&outcome, form, &request->arena, &response);
    mw_export_count(&outcome);
    mw_request_reply(request, &response);
}

/* One try; the first, or one after retry_later. */
static void try_export(pending_export *pending)
{
    mw_request *request = pending->request;
    pending->outcome = (mw_export_outcome){.err = MW_OK};
    mw_err err = check_turn(pending);
    if (err != MW_OK)
        finish(pending, err);
    else if (pending->form == MW_FORM_JSON)
        export_json(pending->collector, pending);
    else
        export_message(pending->collector, request->body, pending);
}

static void handle_traces(void *ctx, mw_request *request)
{
    bool known;
    if (request->own) {
        try_export(request->own);
        return;
    }
    mw_answer_form form = mw_answer_form_of(request, &known);
    if (!known) {
        refuse_content_type(request);
        return;
    }
    pending_export *pending = mw_arena_zalloc(&request->arena, 1, sizeof *pending);
    if (!pending) {
        refuse_for_memory(request, form);
        return;
    }
    *pending = (pending_export){.collector = ctx, .request = request, .form = form};
    request->own = pending;
    try_export(pending);
}

/* ---- public -------------------------------------------------------------------------------- */

mw_err mw_collector_new(mw_store *store, const mw_clock *clock, size_t max_request,
                        mw_collector **out)
{
    mw_collector *collector = mw_calloc(MW_MEM_INGEST, 1, sizeof *collector);
    *out = collector;
    if (!collector)
        return MW_E_NOMEM;
    collector->store = store;
    collector->clock = clock;
    collector->max_request = max_request;
    uint64_t seed;
    mw_random_bytes(&seed, sizeof seed);
    mw_fair_share_init(&collector->fair, seed);
    collector->keys.attributes = mw_resolve_keyset_new();
    collector->keys.digest = mw_store_digest_key(store);
    return MW_OK;
}

void mw_collector_free(mw_collector *collector)
{
    if (!collector)
        return;
    mw_keyset_free(collector->keys.attributes);
    mw_free(MW_MEM_INGEST, collector);
}

size_t mw_collector_routes(mw_collector *collector, int tag, mw_route *routes, size_t max)
{
    const mw_route served[] = {
        {.ports = MW_PORT_HTTP, .method = "POST", .path = HTTP_PATH},
        {.ports = MW_PORT_GRPC, .method = "POST", .path = GRPC_PATH, .grpc = true},
    };
    size_t count = sizeof served / sizeof served[0];
    count = count < max ? count : max;
    for (size_t i = 0; i < count; i++) {
        routes[i] = served[i];
        routes[i].max_body = collector->max_request;
        routes[i].handler = handle_traces;
        routes[i].ctx = collector;
        routes[i].tag = tag;
    }
    return count;
}
