/* The trace service: POST /v1/traces and gRPC TraceService/Export, between net and store.
 *
 * The handler runs on the network loop that read the request: scan, resolve, append. The answer is
 * sent from the store's completion, on its writer thread, after the sync; from the append on, the
 * request may be answered and gone at any moment, so that nothing of it is touched after a
 * successful append. The collector itself is read-only after _new.
 */
#include "collector/collector.h"
#include "collector/export_int.h"
#include "collector/resolve.h"

#define HTTP_PATH "/v1/traces"
#define GRPC_PATH "/opentelemetry.proto.collector.trace.v1.TraceService/Export"

struct mw_collector {
    mw_store *store;
    const mw_clock *clock;
    size_t max_request;
    mw_export_keys keys;
};

/* One export on its way through the store; in the request's arena. */
typedef struct pending_export {
    mw_request *request;
    mw_answer_form form;
    mw_export_outcome outcome;
} pending_export;

/* ---- answers ------------------------------------------------------------------------------- */

/* The request is gone afterwards, and `pending` with it. */
static void finish(pending_export *pending, mw_err err)
{
    mw_response response;
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
        err = mw_store_append(collector->store, &view, stored, pending);
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

static void handle_traces(void *ctx, mw_request *request)
{
    bool known;
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
    pending->request = request;
    pending->form = form;
    if (form == MW_FORM_JSON)
        export_json(ctx, pending);
    else
        export_message(ctx, request->body, pending);
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
