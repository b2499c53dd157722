/* protobuf-c on an arena. Contract: unpack.h.
 *
 * protobuf-c frees what it has built when a message turns out bad; with an arena that is nothing
 * to do. Its scratch memory for messages of many fields comes from the arena too and stays there
 * until the arena is reset.
 */
#include "proto/unpack.h"

typedef struct arena_allocator {
    ProtobufCAllocator calls;
    mw_arena *arena;
    bool refused; /* tells "no memory" from "bad bytes", which protobuf-c does not */
} arena_allocator;

static void *arena_calls_alloc(void *data, size_t size)
{
    arena_allocator *allocator = data;
    void *memory = mw_arena_alloc(allocator->arena, size);
    if (!memory)
        allocator->refused = true;
    return memory;
}

static void arena_calls_free(void *data, void *pointer)
{
    (void)data;
    (void)pointer;
}

mw_err mw_unpack_message(const ProtobufCMessageDescriptor *descriptor, mw_slice bytes,
                         mw_arena *arena, ProtobufCMessage **out)
{
    arena_allocator allocator = {{arena_calls_alloc, arena_calls_free, &allocator}, arena, false};
    *out = protobuf_c_message_unpack(descriptor, &allocator.calls, bytes.len,
                                     (const uint8_t *)bytes.data);
    if (*out)
        return MW_OK;
    return allocator.refused ? MW_E_NOMEM : MW_E_SYNTAX;
}

/* The typed forms differ in their descriptor alone. */
#define DEFINE_UNPACK(name, type, descriptor)                                                      \
    mw_err mw_unpack_##name(mw_slice bytes, mw_arena *arena, type **out)                           \
    {                                                                                              \
        ProtobufCMessage *message;                                                                 \
        mw_err err = mw_unpack_message(&opentelemetry__proto__##descriptor##__descriptor, bytes,   \
                                       arena, &message);                                           \
        *out = (type *)message;                                                                    \
        return err;                                                                                \
    }

DEFINE_UNPACK(span, mw_otlp_span, trace__v1__span)
DEFINE_UNPACK(resource, mw_otlp_resource, resource__v1__resource)
DEFINE_UNPACK(scope, mw_otlp_scope, common__v1__instrumentation_scope)
DEFINE_UNPACK(log, mw_otlp_log, logs__v1__log_record)
DEFINE_UNPACK(metric, mw_otlp_metric, metrics__v1__metric)
DEFINE_UNPACK(number_point, mw_otlp_number_point, metrics__v1__number_data_point)
DEFINE_UNPACK(histogram_point, mw_otlp_histogram_point, metrics__v1__histogram_data_point)
DEFINE_UNPACK(exponential_point, mw_otlp_exponential_point,
              metrics__v1__exponential_histogram_data_point)
DEFINE_UNPACK(summary_point, mw_otlp_summary_point, metrics__v1__summary_data_point)
