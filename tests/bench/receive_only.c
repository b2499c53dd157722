/* receive_only: our network layer and the validating pass with nothing behind them.
 *
 *   receive_only [discard|validate]        (validate)
 *       listens on free loopback ports, prints one line of JSON {"http":P,"grpc":P,"web":P}, takes
 *       exports of all three signals and answers each with an empty success. Ends with its
 *       standard input.
 *
 * What is left of the program's cost per span when decoding into columns, compression and the disk
 * are taken away: the figure that stands beside the bounds of receive + scan. `discard` drops the
 * body unread, so that the difference is the pass alone. Handlers run on the loops and keep
 * nothing.
 */
#include <string.h>
#include <unistd.h>

#include "lib/base/memory.h"
#include "lib/net/net.h"
#include "proto/scan.h"

#define BODY_MAX ((size_t)64 << 20)

typedef mw_err (*receive_scan)(mw_slice body, const mw_keyset *keys, const mw_scan_sink *sink,
                               mw_scan_result *result);

/* Some of those that resolution asks for: each is looked up in every attribute all the same. */
static const char *const receive_names[] = {
    "session.id",           "service.name",         "user.id",
    "gen_ai.agent.name",    "gen_ai.request.model", "gen_ai.operation.name",
    "gen_ai.provider.name", "gen_ai.tool.name",     "gen_ai.usage.input_tokens",
    "server.address",       "http.request.method",  "gen_ai.usage.output_tokens",
};
static mw_keyset *receive_keys; /* NULL = discard */

/* A sink that looks at what it is given, so that nothing of the pass can be left out. */
static mw_err receive_resource(void *ctx, const mw_scan_resource *resource)
{
    *(uint64_t *)ctx += resource->found_count;
    return MW_OK;
}

static mw_err receive_scope(void *ctx, const mw_scan_scope *scope)
{
    *(uint64_t *)ctx += scope->found_count;
    return MW_OK;
}

static mw_err receive_span(void *ctx, const mw_scan_span *span)
{
    *(uint64_t *)ctx += span->found_count + span->start_ns;
    return MW_OK;
}

static mw_err receive_log(void *ctx, const mw_scan_log *log)
{
    *(uint64_t *)ctx += log->found_count + log->time_ns;
    return MW_OK;
}

static mw_err receive_metric(void *ctx, const mw_scan_metric *metric)
{
    *(uint64_t *)ctx += metric->name.len;
    return MW_OK;
}

static mw_err receive_point(void *ctx, const mw_scan_point *point)
{
    *(uint64_t *)ctx += point->found_count + point->time_ns;
    return MW_OK;
}

static bool receive_valid(receive_scan scan, mw_request *request)
{
    uint64_t seen = 0;
    mw_scan_result result;
    mw_scan_sink sink = {.ctx = &seen,
                         .arena = &request->arena,
                         .resource = receive_resource,
                         .scope = receive_scope,
                         .span = receive_span,
                         .log = receive_log,
                         .metric = receive_metric,
                         .point = receive_point};
    return scan(request->body, receive_keys, &sink, &result) == MW_OK && result.refused_total == 0;
}

static void receive_export(receive_scan scan, mw_request *request)
{
    bool good = !receive_keys || receive_valid(scan, request);
    mw_response response = {.status = good ? 200 : 400,
                            .rpc_code = good ? MW_RPC_OK : MW_RPC_INVALID_ARGUMENT};
    if (request->framing == MW_FRAMING_HTTP)
        response.content_type = MW_SLICE("application/x-protobuf");
    mw_request_reply(request, &response);
}

static void receive_traces(void *ctx, mw_request *request)
{
    (void)ctx;
    receive_export(mw_scan_traces, request);
}

static void receive_metrics(void *ctx, mw_request *request)
{
    (void)ctx;
    receive_export(mw_scan_metrics, request);
}

static void receive_logs(void *ctx, mw_request *request)
{
    (void)ctx;
    receive_export(mw_scan_logs, request);
}

#define RECEIVE_SERVICE "/opentelemetry.proto.collector."
static const mw_route receive_routes[] = {
    {MW_PORT_HTTP, "POST", "/v1/traces", false, BODY_MAX, receive_traces, NULL, 0, false},
    {MW_PORT_HTTP, "POST", "/v1/metrics", false, BODY_MAX, receive_metrics, NULL, 0, false},
    {MW_PORT_HTTP, "POST", "/v1/logs", false, BODY_MAX, receive_logs, NULL, 0, false},
    {MW_PORT_GRPC, "POST", RECEIVE_SERVICE "trace.v1.TraceService/Export", true, BODY_MAX,
     receive_traces, NULL, 0, false},
    {MW_PORT_GRPC, "POST", RECEIVE_SERVICE "metrics.v1.MetricsService/Export", true, BODY_MAX,
     receive_metrics, NULL, 0, false},
    {MW_PORT_GRPC, "POST", RECEIVE_SERVICE "logs.v1.LogsService/Export", true, BODY_MAX,
     receive_logs, NULL, 0, false},
};

static const char *receive_port(const mw_net *net, mw_port port)
{
    const char *colon = strrchr(mw_net_endpoint(net, port), ':');
    return colon ? colon + 1 : "0";
}

int main(int argc, char **argv)
{
    mw_net_config config = {.grpc_address = "127.0.0.1:0",
                            .http_address = "127.0.0.1:0",
                            .web_address = "127.0.0.1:0",
                            .clock = mw_clock_system(),
                            .routes = receive_routes,
                            .route_count = sizeof receive_routes / sizeof *receive_routes};
    mw_net *net = NULL;
    mw_detail detail = {.message = ""};
    mw_memory_init(0);
    if (argc < 2 || strcmp(argv[1], "discard") != 0)
        receive_keys = mw_keyset_new(receive_names, sizeof receive_names / sizeof *receive_names);
    if (mw_net_start(&config, &net, &detail) != MW_OK) {
        fprintf(stderr, "receive_only: %s\n", detail.message);
        return 1;
    }
    printf("{\"http\":%s,\"grpc\":%s,\"web\":%s}\n", receive_port(net, MW_PORT_HTTP),
           receive_port(net, MW_PORT_GRPC), receive_port(net, MW_PORT_WEB));
    fflush(stdout);
    char byte;
    while (read(STDIN_FILENO, &byte, 1) > 0)
        ;
    mw_net_drain(net, 1000);
    mw_net_free(net);
    mw_keyset_free(receive_keys);
    return 0;
}
