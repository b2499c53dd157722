/* OTLP/JSON reader. Oracle: what it accepts is wire format that the validating pass and protobuf-c
 * read; unpacked, it is the record that an independent reader of JSON sees, field by field. First
 * byte chooses the signal. */
#include "proto/json.h"
#include "proto/otlp_logs_service.pb-c.h"
#include "proto/otlp_metrics_service.pb-c.h"
#include "proto/otlp_trace_service.pb-c.h"
#include "proto/scan.h"
#include "proto/unpack.h"
#include "tests/fuzz/proto/json_oracle.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define BODY_MAX ((size_t)1 << 20)

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

static mw_keyset *keys_once(void)
{
    static const char *const names[] = {"session.id"};
    static mw_keyset *keys;
    if (!keys)
        keys = mw_keyset_new(names, 1);
    return keys;
}

static void check_scan(mw_slice wire, mw_json_kind kind, mw_arena *arena)
{
    mw_scan_sink sink = {.arena = arena,
                         .resource = any_resource,
                         .scope = any_scope,
                         .span = any_span,
                         .log = any_log,
                         .metric = any_metric,
                         .point = any_point};
    mw_scan_result result;
    mw_err err;
    if (kind == MW_JSON_TRACES)
        err = mw_scan_traces(wire, keys_once(), &sink, &result);
    else if (kind == MW_JSON_METRICS)
        err = mw_scan_metrics(wire, keys_once(), &sink, &result);
    else
        err = mw_scan_logs(wire, keys_once(), &sink, &result);
    MW_ASSERT(err == MW_OK || err == MW_E_LIMIT);
}

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

/* jansson refuses what it cannot hold (large integers, deep nesting): only a syntax error of its
 * own speaks against us. */
static void check_syntax(mw_slice text)
{
    json_error_t error;
    json_t *root =
        json_loadb(text.data, text.len, JSON_ALLOW_NUL | JSON_DECODE_INT_AS_REAL, &error);
    if (!root) {
        enum json_error_code code = json_error_code(&error);
        MW_ASSERT(code == json_error_numeric_overflow || code == json_error_stack_overflow ||
                  code == json_error_null_byte_in_key || code == json_error_out_of_memory);
    }
    json_decref(root);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0 || size > BODY_MAX)
        return 0;
    mw_json_kind kind = (mw_json_kind)(data[0] % 3);
    mw_slice text = mw_slice_bytes(data + 1, size - 1);
    mw_buffer wire;
    mw_json_notes notes;
    mw_detail detail = {.message = ""};
    mw_arena arena;
    mw_buffer_init(&wire, MW_MEM_INGEST, BODY_MAX);
    mw_arena_init(&arena, MW_MEM_INGEST, (size_t)256 << 20);
    mw_err err = mw_json_to_wire(text, kind, &wire, &notes, &detail);
    if (err == MW_OK) {
        check_scan(mw_buffer_slice(&wire), kind, &arena);
        check_record(text, mw_buffer_slice(&wire), kind, &arena);
        check_syntax(text);
    } else if (err != MW_E_LIMIT) {
        MW_ASSERT(detail.message[0] != '\0');
    }
    mw_buffer_fini(&wire);
    mw_arena_reset(&arena);
    return 0;
}
