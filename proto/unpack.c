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

mw_err mw_unpack_span(mw_slice bytes, mw_arena *arena, mw_otlp_span **out)
{
    ProtobufCMessage *message;
    mw_err err = mw_unpack_message(&opentelemetry__proto__trace__v1__span__descriptor, bytes, arena,
                                   &message);
    *out = (mw_otlp_span *)message;
    return err;
}

mw_err mw_unpack_resource(mw_slice bytes, mw_arena *arena, mw_otlp_resource **out)
{
    ProtobufCMessage *message;
    mw_err err = mw_unpack_message(&opentelemetry__proto__resource__v1__resource__descriptor, bytes,
                                   arena, &message);
    *out = (mw_otlp_resource *)message;
    return err;
}

mw_err mw_unpack_scope(mw_slice bytes, mw_arena *arena, mw_otlp_scope **out)
{
    ProtobufCMessage *message;
    mw_err err =
        mw_unpack_message(&opentelemetry__proto__common__v1__instrumentation_scope__descriptor,
                          bytes, arena, &message);
    *out = (mw_otlp_scope *)message;
    return err;
}
