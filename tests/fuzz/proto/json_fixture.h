/* What the fuzzers of OTLP/JSON share: the validating pass over a whole request with a sink that
 * takes everything, and protobuf-c's reading of the same bytes held against jansson's of the text.
 */
#ifndef MW_TESTS_FUZZ_JSON_FIXTURE_H
#define MW_TESTS_FUZZ_JSON_FIXTURE_H

#include "proto/json.h"
#include "proto/otlp_logs_service.pb-c.h"
#include "proto/otlp_metrics_service.pb-c.h"
#include "proto/otlp_trace_service.pb-c.h"
#include "proto/scan.h"
#include "proto/unpack.h"
#include "tests/fuzz/proto/json_oracle.h"

static mw_err any_resource(void *ctx, const mw_scan_resource *resource)
{
    (void)ctx;
    (void)resource;
    return MW_OK;
}

static mw_err any_scope(void *ctx, const mw_scan_scope *scope)
{
    (void)ctx;
    (void)scope;
    return MW_OK;
}

static mw_err any_span(void *ctx, const mw_scan_span *span)
{
    (void)ctx;
    (void)span;
    return MW_OK;
}

static mw_err any_log(void *ctx, const mw_scan_log *log)
{
    (void)ctx;
    (void)log;
    return MW_OK;
}

static mw_err any_metric(void *ctx, const mw_scan_metric *metric)
{
    (void)ctx;
    (void)metric;
    return MW_OK;
}

static mw_err any_point(void *ctx, const mw_scan_point *point)
{
    (void)ctx;
    (void)point;
    return MW_OK;
}

static mw_err scan_any(mw_slice wire, mw_json_kind kind, mw_arena *arena, mw_scan_result *result)
{
    static mw_keyset *keys;
    static const char *const names[] = {"session.id"};
    mw_scan_sink sink = {.arena = arena,
                         .resource = any_resource,
                         .scope = any_scope,
                         .span = any_span,
                         .log = any_log,
                         .metric = any_metric,
                         .point = any_point};
    if (!keys)
        keys = mw_keyset_new(names, 1);
    if (kind == MW_JSON_TRACES)
        return mw_scan_traces(wire, keys, &sink, result);
    if (kind == MW_JSON_METRICS)
        return mw_scan_metrics(wire, keys, &sink, result);
    return mw_scan_logs(wire, keys, &sink, result);
}

/* The message that protobuf-c makes of the bytes is the record that jansson reads in the text. */
static void check_record(mw_slice text, mw_slice wire, mw_json_kind kind, mw_arena *arena)
{
    const ProtobufCMessageDescriptor *const descriptors[] = {
        &opentelemetry__proto__collector__trace__v1__export_trace_service_request__descriptor,
        &opentelemetry__proto__collector__metrics__v1__export_metrics_service_request__descriptor,
        &opentelemetry__proto__collector__logs__v1__export_logs_service_request__descriptor};
    ProtobufCMessage *message;
    /* The reader's stack bounds nesting, so that unpack's recursion is safe here too. */
    mw_err err = mw_unpack_message(descriptors[kind], wire, arena, &message);
    MW_ASSERT(err == MW_OK || err == MW_E_NOMEM);
    json_t *tree = err == MW_OK ? oracle_tree(text) : NULL;
    MW_ASSERT(!tree || oracle_message(tree, message, 0));
    json_decref(tree);
}

#endif
