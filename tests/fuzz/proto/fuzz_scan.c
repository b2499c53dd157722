/* Fuzzes the validating pass. Oracle: what it accepts, protobuf-c unpacks.
 *
 * - Every resource, scope and span that is handed to the sink unpacks by itself, a span to the
 *   same ids, times, name and counts.
 * - A request that is accepted and holds nothing too deep unpacks as a whole, to as many
 *   spans as the pass saw, in the same order (the first two kept are compared). A request that
 *   holds deep values is not unpacked as a whole: protobuf-c recurses without limit.
 * - The pass leaves no memory behind and the unpacking stays within its budget.
 */
#include "proto/otlp_trace_service.pb-c.h"
#include "tests/fuzz/proto/scan_oracle.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const ProtobufCMessageDescriptor *const request_descriptor =
    &opentelemetry__proto__collector__trace__v1__export_trace_service_request__descriptor;

typedef Opentelemetry__Proto__Collector__Trace__V1__ExportTraceServiceRequest trace_request;

typedef struct observed_all {
    scan_oracle oracle;
    uint8_t ids[2][MW_TRACE_ID_SIZE];
} observed_all;

static mw_err on_span(void *ctx, const mw_scan_span *span)
{
    observed_all *all = ctx;
    mw_otlp_span *unpacked;
    check_found(span->found, span->found_count);
    DEMAND(mw_unpack_span(span->bytes, scratch_of(&all->oracle), &unpacked) == MW_OK);
    DEMAND(unpacked->trace_id.len == MW_TRACE_ID_SIZE);
    DEMAND(memcmp(unpacked->trace_id.data, span->trace_id, MW_TRACE_ID_SIZE) == 0);
    DEMAND(unpacked->span_id.len == MW_SPAN_ID_SIZE);
    DEMAND(memcmp(unpacked->span_id.data, span->span_id, MW_SPAN_ID_SIZE) == 0);
    DEMAND(!mw_id_is_zero(span->trace_id, MW_TRACE_ID_SIZE));
    DEMAND(!mw_id_is_zero(span->span_id, MW_SPAN_ID_SIZE));
    DEMAND(unpacked->start_time_unix_nano == span->start_ns);
    DEMAND(unpacked->end_time_unix_nano == span->end_ns);
    DEMAND((uint32_t)unpacked->kind == span->kind);
    DEMAND(mw_slice_equal(mw_unpack_slice(unpacked->name), span->name));
    DEMAND(unpacked->n_attributes == span->attribute_count);
    DEMAND(unpacked->n_events == span->event_count);
    DEMAND(unpacked->n_links == span->link_count);
    if (all->oracle.kept < 2)
        memcpy(all->ids[all->oracle.kept], span->trace_id, MW_TRACE_ID_SIZE);
    all->oracle.kept++;
    return MW_OK;
}

/* Counts spans and looks the first kept ones up in order. */
static void compare_whole(const trace_request *request, const observed_all *all,
                          const mw_scan_result *result)
{
    uint64_t count = 0, matched = 0, kept = all->oracle.kept;
    for (size_t r = 0; r < request->n_resource_spans; r++) {
        const Opentelemetry__Proto__Trace__V1__ResourceSpans *rs = request->resource_spans[r];
        for (size_t s = 0; s < rs->n_scope_spans; s++) {
            const Opentelemetry__Proto__Trace__V1__ScopeSpans *ss = rs->scope_spans[s];
            count += ss->n_spans;
            for (size_t i = 0; i < ss->n_spans && matched < 2 && matched < kept; i++) {
                ProtobufCBinaryData id = ss->spans[i]->trace_id;
                matched += id.len == MW_TRACE_ID_SIZE &&
                           memcmp(id.data, all->ids[matched], MW_TRACE_ID_SIZE) == 0;
            }
        }
    }
    DEMAND(count == result->items);
    DEMAND(matched == (kept < 2 ? kept : 2));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    observed_all all = {0};
    mw_slice body = {(const char *)data, size};
    mw_scan_sink sink = {.span = on_span};
    mw_scan_result result;
    mw_err err = oracle_scan(&all.oracle, mw_scan_traces, body, &sink, &result);
    if (err == MW_OK && !result.too_deep)
        compare_whole((const trace_request *)oracle_unpack(&all.oracle, body, request_descriptor),
                      &all, &result);
    oracle_fini(&all.oracle);
    return 0;
}
