/* Fuzzes the validating pass. Oracle: what it accepts, protobuf-c unpacks.
 *
 * - Every resource, scope and span that is handed to the sink unpacks by itself, a span to the
 *   same ids, times, name and counts.
 * - A request that is accepted and holds nothing too deep unpacks as a whole, to as many
 *   spans as the pass saw, in the same order (the first two kept are compared). A request that
 *   holds deep values is not unpacked as a whole: protobuf-c recurses without limit.
 * - The pass leaves no memory behind and the unpacking stays within its budget.
 */
#include <stdlib.h>

#include "proto/otlp_trace_service.pb-c.h"
#include "proto/scan.h"
#include "proto/unpack.h"

#define DEMAND(condition)                                                                          \
    do {                                                                                           \
        if (!(condition)) {                                                                        \
            fprintf(stderr, "oracle: %s (line %d)\n", #condition, __LINE__);                       \
            abort();                                                                               \
        }                                                                                          \
    } while (0)

/* 124 times the input was measured for the worst bodies; plus room for blocks. */
#define UNPACK_BUDGET(size) ((size)*256 + ((size_t)4 << 20))

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

typedef Opentelemetry__Proto__Collector__Trace__V1__ExportTraceServiceRequest trace_request;

typedef struct observed_all {
    mw_arena merged; /* of the scan */
    mw_arena scratch;
    size_t budget;
    uint64_t spans;
    uint8_t ids[2][MW_TRACE_ID_SIZE];
} observed_all;

static mw_arena *scratch_of(observed_all *all)
{
    mw_arena_reset(&all->scratch);
    mw_arena_init(&all->scratch, MW_MEM_QUERY, all->budget);
    return &all->scratch;
}

static void check_found(const mw_found *found, size_t count)
{
    DEMAND(count <= MW_FOUND_MAX);
    for (size_t i = 0; i < count; i++)
        for (size_t j = 0; j < i; j++)
            DEMAND(found[i].key != found[j].key);
}

static mw_err on_resource(void *ctx, const mw_scan_resource *resource)
{
    mw_otlp_resource *unpacked;
    check_found(resource->found, resource->found_count);
    DEMAND(mw_unpack_resource(resource->bytes, scratch_of(ctx), &unpacked) == MW_OK);
    return MW_OK;
}

static mw_err on_scope(void *ctx, const mw_scan_scope *scope)
{
    mw_otlp_scope *unpacked;
    check_found(scope->found, scope->found_count);
    DEMAND(mw_unpack_scope(scope->bytes, scratch_of(ctx), &unpacked) == MW_OK);
    return MW_OK;
}

static mw_err on_span(void *ctx, const mw_scan_span *span)
{
    observed_all *all = ctx;
    mw_otlp_span *unpacked;
    check_found(span->found, span->found_count);
    DEMAND(mw_unpack_span(span->bytes, scratch_of(all), &unpacked) == MW_OK);
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
    if (all->spans < 2)
        memcpy(all->ids[all->spans], span->trace_id, MW_TRACE_ID_SIZE);
    all->spans++;
    return MW_OK;
}

/* Counts spans and looks the first kept ones up in order. */
static void compare_whole(const trace_request *request, const observed_all *all,
                          const mw_scan_result *result)
{
    uint64_t count = 0, matched = 0;
    for (size_t r = 0; r < request->n_resource_spans; r++) {
        const Opentelemetry__Proto__Trace__V1__ResourceSpans *rs = request->resource_spans[r];
        for (size_t s = 0; s < rs->n_scope_spans; s++) {
            const Opentelemetry__Proto__Trace__V1__ScopeSpans *ss = rs->scope_spans[s];
            count += ss->n_spans;
            for (size_t i = 0; i < ss->n_spans && matched < 2 && matched < all->spans; i++) {
                ProtobufCBinaryData id = ss->spans[i]->trace_id;
                matched += id.len == MW_TRACE_ID_SIZE &&
                           memcmp(id.data, all->ids[matched], MW_TRACE_ID_SIZE) == 0;
            }
        }
    }
    DEMAND(count == result->items);
    DEMAND(matched == (all->spans < 2 ? all->spans : 2));
}

static void check_whole(mw_slice body, observed_all *all, const mw_scan_result *result)
{
    ProtobufCMessage *message;
    mw_err err = mw_unpack_message(
        &opentelemetry__proto__collector__trace__v1__export_trace_service_request__descriptor, body,
        scratch_of(all), &message);
    DEMAND(err == MW_OK);
    DEMAND(all->scratch.used <= all->budget);
    compare_whole((const trace_request *)message, all, result);
}

static const char *const key_names[] = {
    "session.id", "service.name", "gen_ai.agent.name", "gen_ai.usage.input_tokens", "n", "k"};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static mw_keyset *keys;
    if (!keys)
        keys = mw_keyset_new(key_names, sizeof key_names / sizeof key_names[0]);
    size_t before = mw_memory_used();
    observed_all all = {.budget = UNPACK_BUDGET(size)};
    mw_arena_init(&all.merged, MW_MEM_INGEST, size * 2 + 65536);
    mw_arena_init(&all.scratch, MW_MEM_QUERY, all.budget);
    mw_scan_sink sink = {&all, &all.merged, on_resource, on_scope, on_span};
    mw_slice body = {(const char *)data, size};
    mw_scan_result result;
    mw_err err = mw_scan_traces(body, keys, &sink, &result);
    DEMAND(err == MW_OK || err == MW_E_SYNTAX || err == MW_E_LIMIT);
    uint64_t refused = 0;
    for (int i = 0; i < MW_REFUSE_COUNT; i++)
        refused += result.refused[i];
    DEMAND(refused == result.refused_total);
    DEMAND(result.items == refused + all.spans);
    DEMAND((result.first_path[0] != 0) == (refused != 0));
    if (err == MW_E_SYNTAX)
        DEMAND(result.error_offset < size);
    DEMAND(result.too_deep || result.refused[MW_REFUSE_DEPTH] == 0);
    if (err == MW_OK && !result.too_deep)
        check_whole(body, &all, &result);
    mw_arena_reset(&all.scratch);
    mw_arena_reset(&all.merged);
    DEMAND(mw_memory_used() == before);
    return 0;
}
