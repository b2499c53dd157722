/* Health and metrics. Answered on the loop's thread: nothing here waits or asks the store a
 * question, so that a busy pool cannot make the process look dead. */
#include "server/health.h"
#include "lib/base/json_writer.h"
#include "server/space_of.h"

#define HEALTH_MAX_BYTES 2048

void mw_gauges_read(mw_server *server, mw_gauges *out)
{
    mw_space_totals totals;
    mw_state_stats state;
    mw_net *net = atomic_load(&server->net);
    mw_space_totals_read(server, &totals);
    const mw_store_stats store = totals.stats;
    mw_state_stats_read(server->state, &state);
    int64_t up_ns = mw_clock_mono_ns(server->clock) - server->started_ns;
    *out = (mw_gauges){
        .uptime_seconds = (double)up_ns / (double)MW_NS_PER_S,
        .connections = net ? mw_net_connections(net) : 0,
        .in_flight = net ? mw_net_in_flight(net) : 0,
        .investigating = mw_triage_active(server->triage),
        .store_queue_bytes = store.queue_bytes,
        .state_queue_bytes = state.queue_bytes,
        .reader_queue_bytes =
            mw_pool_waiting_bytes(server->pool) + mw_pool_waiting_bytes(server->pattern_pool),
        .reader_queue_jobs = mw_pool_waiting(server->pool) + mw_pool_waiting(server->pattern_pool),
        .stored_spans = store.spans,
        .stored_logs = store.logs,
        .stored_points = store.points,
        .stored_bytes = store.bytes,
        .segments = store.segments,
        .blocks = store.blocks,
        .commit_seq = store.commit_seq,
        .losses = store.losses.count,
        .lost_spans = store.losses.spans,
        .lost_logs = store.losses.logs,
        .lost_points = store.losses.points,
        .merged_segments = store.merged_segments,
        .merged_bytes = store.merged_bytes,
        .unmerged_bytes = store.unmerged_bytes,
        .oldest_arrival_seconds = (double)store.oldest_arrival_ns / (double)MW_NS_PER_S,
        .merges = store.merges,
        .merge_failures = store.merge_failures,
        .repeats = store.repeats,
        .conflicting = store.conflicting,
        .retired_segments = store.retired_segments,
        .retired_items = store.retired_items,
        .store_writable = store.writable,
        .state_writable = state.writable,
    };
    out->ready = out->store_writable && out->state_writable && atomic_load(&server->ready) &&
                 !atomic_load(&server->draining);
}

static void answer_alive(void *ctx, mw_request *request)
{
    (void)ctx;
    mw_response response = {
        .status = 200, .content_type = MW_JSON_TYPE, .body = MW_SLICE("{\"status\":\"alive\"}\n")};
    mw_request_reply(request, &response);
}

static void reason(mw_json *json, const char *check, mw_slice message)
{
    mw_json_object_begin(json);
    mw_json_kv(json, "check", mw_slice_of(check));
    mw_json_kv(json, "message", message);
    mw_json_object_end(json);
}

static void write_reasons(mw_json *json, mw_server *server, const mw_gauges *gauges)
{
    mw_space_totals totals;
    mw_space_totals_read(server, &totals);
    mw_json_array_begin(json);
    if (!gauges->store_writable)
        reason(json, "store", mw_slice_of(mw_err_text(totals.stats.last_error)));
    if (!gauges->state_writable)
        reason(json, "state", MW_SLICE("the last commit failed; see the log"));
    if (!atomic_load(&server->ready))
        reason(json, "start", MW_SLICE("still starting"));
    if (atomic_load(&server->draining))
        reason(json, "drain", MW_SLICE("shutting down"));
    mw_json_array_end(json);
}

void mw_ports_write(mw_json *json, mw_net *net)
{
    mw_json_key(json, MW_SLICE("endpoints"));
    if (!net) {
        mw_json_null(json);
        return;
    }
    mw_json_object_begin(json);
    mw_json_kv(json, "grpc", mw_slice_of(mw_net_endpoint(net, MW_PORT_GRPC)));
    mw_json_kv(json, "http", mw_slice_of(mw_net_endpoint(net, MW_PORT_HTTP)));
    mw_json_kv(json, "web", mw_slice_of(mw_net_endpoint(net, MW_PORT_WEB)));
    mw_json_object_end(json);
}

/* The ports are told to everybody, as they are to whoever asks the wrong one: who may export and
 * nothing else has to find the one to export to. */
static void answer_ready(void *ctx, mw_request *request)
{
    mw_server *server = ctx;
    mw_gauges gauges;
    mw_buffer text;
    mw_json json;
    mw_gauges_read(server, &gauges);
    mw_buffer_init(&text, MW_MEM_NET, HEALTH_MAX_BYTES);
    mw_json_init(&json, &text);
    mw_json_object_begin(&json);
    mw_json_kv_bool(&json, "ready", gauges.ready);
    mw_json_key(&json, MW_SLICE("reasons"));
    write_reasons(&json, server, &gauges);
    mw_ports_write(&json, atomic_load(&server->net));
    mw_json_object_end(&json);
    mw_buffer_append_byte(&text, '\n');
    mw_response response = {.status = gauges.ready ? 200 : 503, .content_type = MW_JSON_TYPE};
    mw_answer_body(&text, &response);
    mw_request_reply(request, &response);
}

static void answer_metrics(void *ctx, mw_request *request)
{
    mw_gauges gauges;
    mw_buffer text;
    mw_gauges_read(ctx, &gauges);
    mw_buffer_init(&text, MW_MEM_NET, MW_METRICS_MAX_BYTES);
    mw_metrics_render(&text, &gauges);
    mw_response response = {.status = 200,
                            .content_type = MW_SLICE("text/plain; version=0.0.4; charset=utf-8")};
    mw_answer_body(&text, &response);
    mw_request_reply(request, &response);
}

size_t mw_health_routes(mw_server *server, mw_route *routes)
{
    static const struct {
        const char *path;
        mw_handler handler;
        mw_scope scope;
    } table[MW_HEALTH_ROUTES] = {{"/healthz", answer_alive, MW_SCOPE_NONE},
                                 {"/readyz", answer_ready, MW_SCOPE_NONE},
                                 {"/metrics", answer_metrics, MW_SCOPE_READ}};
    for (size_t i = 0; i < MW_HEALTH_ROUTES; i++)
        routes[i] = (mw_route){.ports = MW_PORT_WEB | MW_PORT_SOCKET,
                               .method = "GET",
                               .path = table[i].path,
                               .handler = table[i].handler,
                               .ctx = server,
                               .tag = MW_TAG(MW_FAMILY_API, table[i].scope)};
    return MW_HEALTH_ROUTES;
}
