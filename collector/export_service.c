/* The three export services, between net and store: POST /v1/traces, /v1/metrics and /v1/logs, and
 * the Export methods of gRPC's TraceService, MetricsService and LogsService.
 *
 * One handler for all; what tells the signals apart is export_signal.c's. It runs on the network
 * loop that read the request: scan, resolve, append. The answer is sent from the store's
 * completion, on its writer thread, after the sync; from the append on, the request may be answered
 * and gone at any moment, so that nothing of it is touched after a successful append. What cannot
 * be taken now (queue full, no memory, others' turn) goes back to its loop and is tried again
 * (retry_later). The collector itself is read-only after _new, but for the tables of shares
 * (fair_share.h) and of senders (senders.h).
 */
#include <stdatomic.h>

#include "collector/collector.h"
#include "collector/export_int.h"
#include "collector/fair_share.h"
#include "collector/origin.h"
#include "collector/resolve.h"

/* What a route's handler is given: whose requests they are. */
typedef struct export_service {
    mw_collector *collector;
    const mw_export_signal *signal;
} export_service;

struct mw_collector {
    mw_store *store;
    mw_collector_spaces spaces; /* choose NULL = all goes to `store` */
    const mw_clock *clock;
    size_t max_request;
    mw_export_keys keys; /* of `store` */
    export_service services[MW_SIGNAL_END];
    mw_fair_share fair;
    mw_senders senders;
};

/* One export on its way through the store; in the request's arena. */
typedef struct pending_export {
    mw_collector *collector;
    mw_request *request;
    mw_answer_form form;
    mw_export_target target; /* of the try under way */
    unsigned tries;
    bool flow_known; /* from an earlier try: the question comes before the work */
    mw_flow flow;
    mw_slice origin;
    mw_slice space;       /* that was chosen */
    uint64_t received_ns; /* wall clock */
    atomic_uint parts;    /* batches that the store has not completed */
    _Atomic(mw_err) part_err;
    size_t measured; /* points of the batch that log records measure */
    mw_export_outcome outcome;
    mw_sender_tallies *tallies; /* NULL until the body was read once */
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

/* ---- where to ------------------------------------------------------------------------------ */

/* Chosen anew at each try: while a request waits, it holds up no deletion. */
static mw_err choose_target(pending_export *pending)
{
    mw_collector *collector = pending->collector;
    mw_detail detail = {.message = ""};
    pending->target = (mw_export_target){.store = collector->store};
    if (!collector->spaces.choose)
        return MW_OK;
    mw_err err = collector->spaces.choose(collector->spaces.ctx, pending->request, &pending->target,
                                          &detail);
    pending->space = pending->target.space;
    if (err == MW_OK || !detail.message[0])
        return err;
    const char *words = mw_arena_printf(&pending->request->arena, "%s%s%s", detail.message,
                                        detail.hint[0] ? "; " : "", detail.hint);
    pending->outcome.problem = words ? mw_slice_of(words) : MW_SLICE("there is no such space");
    pending->outcome.field = mw_arena_copy(&pending->request->arena, mw_slice_of(detail.field));
    return err;
}

/* While there is a target: it is the store that says so. */
static void note_disk(pending_export *pending, mw_err err)
{
    if (err == MW_E_NO_SPACE)
        pending->outcome.disk_free = mw_store_disk_free(pending->target.store);
}

/* Before the request is given away: the target is the request's. */
static void leave_target(pending_export *pending)
{
    void *held = pending->target.held;
    pending->target = (mw_export_target){.store = NULL};
    if (held)
        pending->collector->spaces.release(held);
}

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
    unsigned backlog = mw_store_backlog(pending->target.store);
    if (backlog >= 100)
        return MW_E_BUSY;
    if (!others_go_first(pending, backlog))
        return MW_OK;
    pending->outcome.problem = MW_SLICE("this service or session sends more than its share while "
                                        "the daemon is under load; try again");
    return MW_E_BUSY;
}

static void flow_names(const mw_export_batch *batch, size_t at, mw_slice *service,
                       mw_slice *session)
{
    switch (batch->signal->signal) {
    case MW_SIGNAL_METRICS: {
        const mw_point_row *points = batch->rows;
        *service = points[at].service;
        *session = points[at].session_id;
        return;
    }
    case MW_SIGNAL_LOGS: {
        const mw_log_row *logs = batch->rows;
        *service = logs[at].service;
        *session = logs[at].session_id;
        return;
    }
    default: {
        const mw_span_row *spans = batch->rows;
        *service = spans[at].service;
        *session = spans[at].session_id;
    }
    }
}

/* A batch may hold several flows. It is charged to that of one item, chosen by its digest: each
 * flow pays in proportion to what it sends, for the price of one hash. */
static void find_flow(pending_export *pending, const mw_export_batch *batch)
{
    uint32_t draw;
    mw_slice service = MW_SLICE_NONE, session = MW_SLICE_NONE;
    memcpy(&draw, batch->digest, sizeof draw);
    flow_names(batch, draw % batch->count, &service, &session);
    pending->flow = mw_fair_share_flow(&pending->collector->fair, service, session);
    pending->flow_known = true;
}

/* ---- answers ------------------------------------------------------------------------------- */

static mw_slice header_of(const mw_request *request, mw_slice name)
{
    return mw_request_header(request, name, NULL);
}

static void note_sender(pending_export *pending)
{
    static const mw_sender_transport transports[] = {[MW_FORM_GRPC] = MW_SENDER_GRPC,
                                                     [MW_FORM_PROTOBUF] = MW_SENDER_HTTP_PROTOBUF,
                                                     [MW_FORM_JSON] = MW_SENDER_HTTP_JSON};
    const mw_request *request = pending->request;
    bool grpc = pending->form == MW_FORM_GRPC;
    const mw_sender_request facts = {
        .space = pending->space,
        .user_agent = header_of(request, MW_SLICE("user-agent")),
        .compression =
            header_of(request, grpc ? MW_SLICE("grpc-encoding") : MW_SLICE("content-encoding")),
        .transport = transports[pending->form],
        .signal = pending->outcome.signal->signal,
        .repeat = pending->outcome.repeat,
        .scan = &pending->outcome.scan,
        .now_ns = pending->received_ns,
    };
    mw_senders_note(&pending->collector->senders, pending->tallies, &facts);
}

/* Of what was not taken it is told how it was refused, of the rest what it held. */
static void note_answer(pending_export *pending, const mw_response *response)
{
    if (response->status != 200)
        mw_senders_note_refusal(&pending->collector->senders, pending->request, response->status,
                                response->rpc_message, pending->received_ns);
    else if (pending->tallies)
        note_sender(pending);
}

/* The request is gone afterwards, and `pending` with it. */
static void finish(pending_export *pending, mw_err err)
{
    mw_response response;
    pending->outcome.err = err;
    mw_export_answer(&pending->outcome, pending->form, &pending->request->arena, &response);
    mw_export_count(&pending->outcome);
    note_answer(pending, &response);
    mw_request_reply(pending->request, &response);
}

/* One batch of the export is done with; the last one answers. A request of which only a part was
 * stored is sent again as a whole, and the store knows the part. */
static void complete_part(pending_export *pending, mw_err err)
{
    if (err != MW_OK)
        atomic_store(&pending->part_err, err);
    if (atomic_fetch_sub(&pending->parts, 1) != 1)
        return;
    err = atomic_load(&pending->part_err);
    note_disk(pending, err);
    leave_target(pending);
    pending->outcome.at_store = true;
    pending->outcome.repeat = pending->outcome.repeat && err == MW_OK;
    if (!retry_later(pending, err))
        finish(pending, err);
}

/* The store's completion: after the sync, on the writer's thread. */
static void stored(void *ctx, mw_err err, uint64_t commit_seq)
{
    pending_export *pending = ctx;
    pending->outcome.repeat = commit_seq == 0;
    complete_part(pending, err);
}

/* The same of the points that log records measure. */
static void stored_points(void *ctx, mw_err err, uint64_t commit_seq)
{
    pending_export *pending = ctx;
    if (err == MW_OK && commit_seq != 0)
        mw_count(MW_COUNT_POINTS_EMF, pending->measured);
    complete_part(pending, err);
}

static void refuse_content_type(mw_collector *collector, mw_request *request)
{
    mw_status status = {
        .http_status = 415,
        .code = MW_RPC_INVALID_ARGUMENT,
        .message = MW_SLICE("content-type must be application/x-protobuf or application/json; set "
                            "OTEL_EXPORTER_OTLP_PROTOCOL=http/protobuf, http/json or grpc"),
    };
    mw_response response;
    mw_status_answer(&status, MW_FORM_JSON, &request->arena, &response);
    mw_senders_note_refusal(&collector->senders, request, status.http_status, status.message,
                            (uint64_t)mw_clock_wall_ns(collector->clock));
    mw_request_reply(request, &response);
}

/* ---- one export ---------------------------------------------------------------------------- */

static bool deadline_passed(const mw_collector *collector, const mw_request *request)
{
    return request->deadline_ns != 0 && mw_clock_mono_ns(collector->clock) >= request->deadline_ns;
}

static mw_err read_batch(const mw_collector *collector, const mw_export_signal *signal,
                         mw_slice message, mw_export_batch *batch, const pending_export *pending)
{
    mw_export_keys keys = collector->keys;
    if (pending->target.store != collector->store)
        keys.digest = mw_store_digest_key(pending->target.store);
    const mw_export_input input = {.signal = signal,
                                   .body = message,
                                   .keys = &keys,
                                   .origin = pending->origin,
                                   .received_ns = pending->received_ns,
                                   .arena = &pending->request->arena};
    return mw_export_batch_read(batch, &input);
}

/* The message into `batch`. A body that is no good is looked at again: whose may it be? */
static mw_err read_message(const mw_collector *collector, mw_slice message, mw_export_batch *batch,
                           pending_export *pending)
{
    mw_export_outcome *outcome = &pending->outcome;
    mw_err err = read_batch(collector, outcome->signal, message, batch, pending);
    outcome->scan = batch->scan;
    outcome->odd = batch->odd;
    if (err == MW_OK && !pending->tallies)
        pending->tallies = mw_sender_tallies_keep(&batch->tallies, &pending->request->arena);
    if (err == MW_E_SYNTAX || (err == MW_OK && mw_export_all_refused(&batch->scan)))
        outcome->looks_like = mw_export_looks_like(outcome->signal->signal, message);
    return err;
}

/* Between the scan and the store: whether a batch that could be stored is taken on now. */
static mw_err admit(pending_export *pending, const mw_export_batch *batch)
{
    mw_err err = MW_OK;
    if (!pending->flow_known) {
        find_flow(pending, batch);
        err = check_turn(pending);
    }
    if (err == MW_OK && deadline_passed(pending->collector, pending->request))
        err = MW_E_TIMEOUT;
    return err;
}

/* Whoever gets here without the store's promise to call back: the one place where an export ends
 * that was not stored, for good or until the client tries again. */
static void settle(pending_export *pending, mw_err err)
{
    note_disk(pending, err);
    leave_target(pending);
    if (!retry_later(pending, err))
        finish(pending, err);
}

/* MW_OK: at least one part is the store's, which calls back for the whole export. */
static mw_err append_parts(pending_export *pending, const mw_export_batch *batch,
                           const mw_export_batch *points)
{
    mw_store *store = pending->target.store;
    mw_store_batch view = mw_export_batch_view(batch);
    bool two = points->count > 0;
    atomic_store(&pending->parts, two ? 2u : 1u);
    atomic_store(&pending->part_err, MW_OK);
    if (!two)
        return mw_store_append(store, &view, stored, pending);
    mw_store_batch measured = mw_export_batch_view(points);
    pending->measured = points->count;
    mw_err err = mw_store_append(store, &measured, stored_points, pending);
    if (err != MW_OK)
        return err;
    err = mw_store_append(store, &view, stored, pending);
    if (err != MW_OK)
        complete_part(pending, err);
    return MW_OK;
}

/* With what the records of `batch` measure. Points that exceed the decode budget are left out: the
 * records themselves are fine. */
static mw_err append_all(mw_collector *collector, pending_export *pending,
                         const mw_export_batch *batch)
{
    mw_export_batch points = {.count = 0};
    mw_slice request = mw_buffer_slice(&batch->emf.request);
    if (request.len == 0)
        return append_parts(pending, batch, &points);
    mw_err err =
        read_batch(collector, mw_export_signal_of(MW_SIGNAL_METRICS), request, &points, pending);
    if (err == MW_E_LIMIT)
        points.count = 0;
    if (err == MW_OK || err == MW_E_LIMIT)
        err = append_parts(pending, batch, &points);
    mw_export_batch_fini(&points);
    return err;
}

/* One export in wire form; answers, or leaves the answer to `stored`. */
static void export_message(mw_collector *collector, mw_slice message, pending_export *pending)
{
    mw_export_batch batch;
    mw_err err = read_message(collector, message, &batch, pending);
    bool append = false;
    if (err == MW_OK && batch.count > 0) {
        err = admit(pending, &batch);
        append = err == MW_OK;
    }
    if (append) {
        mw_flow flow = pending->flow;
        size_t bytes = message.len;
        err = append_all(collector, pending, &batch);
        if (err == MW_OK)
            mw_fair_share_use(&collector->fair, flow, bytes, mw_clock_mono_ns(collector->clock));
    }
    mw_export_batch_fini(&batch); /* its tables are no part of the request */
    if (append && err == MW_OK)
        return; /* `stored` answers, or has answered */
    pending->outcome.at_store = append;
    settle(pending, err);
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
        settle(pending, err);
    mw_buffer_fini(&wire); /* the store has its own copy */
}

static void refuse_for_memory(mw_request *request, const mw_export_signal *signal,
                              mw_answer_form form)
{
    mw_export_outcome outcome = {.signal = signal, .err = MW_E_NOMEM};
    mw_response response;
    mw_export_answer(&outcome, form, &request->arena, &response);
    mw_export_count(&outcome);
    mw_request_reply(request, &response);
}

/* One try; the first, or one after retry_later. */
static void try_export(pending_export *pending)
{
    mw_err err = choose_target(pending);
    if (err == MW_OK)
        err = check_turn(pending);
    if (err != MW_OK)
        settle(pending, err);
    else if (pending->form == MW_FORM_JSON)
        export_json(pending->collector, pending);
    else
        export_message(pending->collector, pending->request->body, pending);
}

/* What an earlier try found out is found out again; what the request's head said stays. */
static void try_again(pending_export *pending)
{
    mw_export_outcome *outcome = &pending->outcome;
    *outcome =
        (mw_export_outcome){.signal = outcome->signal, .origin_warning = outcome->origin_warning};
    try_export(pending);
}

static void handle_export(void *ctx, mw_request *request)
{
    export_service *service = ctx;
    mw_collector *collector = service->collector;
    bool known;
    if (request->own) {
        try_again(request->own);
        return;
    }
    mw_answer_form form = mw_answer_form_of(request, &known);
    if (!known) {
        refuse_content_type(collector, request);
        return;
    }
    pending_export *pending = mw_arena_zalloc(&request->arena, 1, sizeof *pending);
    if (!pending) {
        refuse_for_memory(request, service->signal, form);
        return;
    }
    request->own = pending;
    pending->collector = collector;
    pending->request = request;
    pending->form = form;
    pending->received_ns = (uint64_t)mw_clock_wall_ns(collector->clock);
    pending->outcome.signal = service->signal;
    mw_err err = mw_origin_read(request, &pending->origin, &pending->outcome.origin_warning);
    if (err != MW_OK)
        finish(pending, err);
    else
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
    mw_senders_init(&collector->senders, seed);
    collector->keys.attributes = mw_resolve_keyset_new();
    collector->keys.digest = mw_store_digest_key(store);
    for (mw_signal signal = MW_SIGNAL_TRACES; signal < MW_SIGNAL_END; signal++)
        collector->services[signal] = (export_service){collector, mw_export_signal_of(signal)};
    return MW_OK;
}

void mw_collector_use_spaces(mw_collector *collector, const mw_collector_spaces *spaces)
{
    collector->spaces = *spaces;
}

void mw_collector_free(mw_collector *collector)
{
    if (!collector)
        return;
    mw_keyset_free(collector->keys.attributes);
    mw_senders_fini(&collector->senders);
    mw_free(MW_MEM_INGEST, collector);
}

mw_senders_view *mw_collector_senders(mw_collector *collector)
{
    return mw_senders_read(&collector->senders);
}

void mw_collector_note_refusal(mw_collector *collector, const mw_request *request,
                               const mw_net_refusal *refusal)
{
    mw_senders_note_refusal(&collector->senders, request, refusal->status, refusal->message,
                            (uint64_t)mw_clock_wall_ns(collector->clock));
}

size_t mw_collector_routes(mw_collector *collector, int tag, mw_route *routes, size_t max)
{
    size_t count = 0;
    for (mw_signal signal = MW_SIGNAL_TRACES; signal < MW_SIGNAL_END; signal++) {
        export_service *service = &collector->services[signal];
        mw_route common = {.method = "POST",
                           .max_body = collector->max_request,
                           .handler = handle_export,
                           .ctx = service,
                           .tag = tag};
        mw_route http = common, grpc = common;
        http.ports = MW_PORT_HTTP;
        http.path = service->signal->http_path;
        grpc.ports = MW_PORT_GRPC;
        grpc.path = service->signal->grpc_path;
        grpc.grpc = true;
        if (count < max)
            routes[count++] = http;
        if (count < max)
            routes[count++] = grpc;
    }
    return count;
}
