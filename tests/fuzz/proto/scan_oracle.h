/* What the fuzzers of the validating pass share: the scan with its memory, and the oracle for
 * everything above the items. What the pass accepts, protobuf-c unpacks. */
#ifndef MW_TESTS_SCAN_ORACLE_H
#define MW_TESTS_SCAN_ORACLE_H

#include <stdlib.h>

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

typedef mw_err (*scan_function)(mw_slice body, const mw_keyset *keys, const mw_scan_sink *sink,
                                mw_scan_result *result);

/* The first member of each fuzzer's own state, which is the sink's context. */
typedef struct scan_oracle {
    mw_arena merged; /* of the scan */
    mw_arena scratch;
    size_t budget;
    size_t before; /* memory in use before the scan */
    uint64_t kept; /* items that reached the sink */
} scan_oracle;

static inline mw_arena *scratch_of(scan_oracle *oracle)
{
    mw_arena_reset(&oracle->scratch);
    mw_arena_init(&oracle->scratch, MW_MEM_QUERY, oracle->budget);
    return &oracle->scratch;
}

static inline void check_found(const mw_found *found, size_t count)
{
    DEMAND(count <= MW_FOUND_MAX);
    for (size_t i = 0; i < count; i++)
        for (size_t j = 0; j < i; j++)
            DEMAND(found[i].key != found[j].key);
}

static inline mw_err on_resource(void *ctx, const mw_scan_resource *resource)
{
    mw_otlp_resource *unpacked;
    check_found(resource->found, resource->found_count);
    DEMAND(mw_unpack_resource(resource->bytes, scratch_of(ctx), &unpacked) == MW_OK);
    return MW_OK;
}

static inline mw_err on_scope(void *ctx, const mw_scan_scope *scope)
{
    mw_otlp_scope *unpacked;
    check_found(scope->found, scope->found_count);
    DEMAND(mw_unpack_scope(scope->bytes, scratch_of(ctx), &unpacked) == MW_OK);
    return MW_OK;
}

/* Scans; the result and the sums in it are consistent with each other and with the sink. */
static inline mw_err oracle_scan(scan_oracle *oracle, scan_function scan, mw_slice body,
                                 mw_scan_sink *sink, mw_scan_result *result)
{
    static const char *const names[] = {
        "session.id", "service.name", "gen_ai.agent.name", "gen_ai.usage.input_tokens", "n", "k"};
    static mw_keyset *keys;
    if (!keys)
        keys = mw_keyset_new(names, sizeof names / sizeof names[0]);
    oracle->before = mw_memory_used();
    oracle->budget = UNPACK_BUDGET(body.len);
    mw_arena_init(&oracle->merged, MW_MEM_INGEST, body.len * 2 + 65536);
    mw_arena_init(&oracle->scratch, MW_MEM_QUERY, oracle->budget);
    sink->ctx = oracle;
    sink->arena = &oracle->merged;
    sink->resource = on_resource;
    sink->scope = on_scope;
    mw_err err = scan(body, keys, sink, result);
    DEMAND(err == MW_OK || err == MW_E_SYNTAX || err == MW_E_LIMIT);
    uint64_t refused = 0;
    for (int i = 0; i < MW_REFUSE_COUNT; i++)
        refused += result->refused[i];
    DEMAND(refused == result->refused_total);
    DEMAND(result->items == refused + oracle->kept);
    DEMAND((result->first_path[0] != 0) == (refused != 0));
    DEMAND((result->first_refusal != MW_REFUSE_NONE) == (refused != 0));
    if (err == MW_E_SYNTAX)
        DEMAND(result->error_offset < body.len);
    DEMAND(result->too_deep || result->refused[MW_REFUSE_DEPTH] == 0);
    return err;
}

/* The whole body through protobuf-c; nothing in it may be too deep. */
static inline ProtobufCMessage *oracle_unpack(scan_oracle *oracle, mw_slice body,
                                              const ProtobufCMessageDescriptor *descriptor)
{
    ProtobufCMessage *message;
    DEMAND(mw_unpack_message(descriptor, body, scratch_of(oracle), &message) == MW_OK);
    DEMAND(oracle->scratch.used <= oracle->budget);
    return message;
}

/* The pass leaves no memory behind. */
static inline void oracle_fini(scan_oracle *oracle)
{
    mw_arena_reset(&oracle->scratch);
    mw_arena_reset(&oracle->merged);
    DEMAND(mw_memory_used() == oracle->before);
}

#endif
