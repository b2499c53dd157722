/* Resource, scope and small members as the API shows them. Pool threads. */
#include "server/api/shape_context.h"
#include "server/api/otlp_value.h"

/* Text of one resource or scope: attributes of at most a maximal request, escaped. */
#define CONTEXT_TEXT_MAX ((size_t)64 << 20)

static void context_init(mw_context_text *context)
{
    *context = (mw_context_text){.valid = false};
    mw_buffer_init(&context->json, MW_MEM_QUERY, CONTEXT_TEXT_MAX);
}

void mw_contexts_init(mw_contexts *contexts)
{
    context_init(&contexts->resource);
    context_init(&contexts->scope);
}

void mw_contexts_fini(mw_contexts *contexts)
{
    mw_buffer_fini(&contexts->resource.json);
    mw_buffer_fini(&contexts->scope.json);
}

mw_err mw_stored_error(mw_err err)
{
    return err == MW_E_SYNTAX ? MW_E_CORRUPT : err;
}

/* Equal content gives equal text, wherever it lies. */
static bool context_fits(const mw_context_text *context, const mw_store_context *wanted)
{
    return context->valid && context->oversized == wanted->oversized &&
           mw_slice_equal(context->bytes, wanted->bytes) &&
           mw_slice_equal(context->schema_url, wanted->schema_url);
}

static void context_begin(mw_context_text *context, const mw_store_context *wanted, mw_json *json)
{
    mw_buffer_clear(&context->json);
    mw_json_init(json, &context->json);
    context->valid = false;
    context->bytes = wanted->bytes;
    context->schema_url = wanted->schema_url;
    context->oversized = wanted->oversized;
}

static mw_err render_resource(mw_context_text *context, const mw_store_context *wanted,
                              mw_arena *scratch)
{
    mw_otlp_resource *resource = NULL;
    mw_json json;
    if (context_fits(context, wanted)) {
        /* The older bytes may go with their item. */
        context->bytes = wanted->bytes;
        context->schema_url = wanted->schema_url;
        return MW_OK;
    }
    mw_err err = mw_unpack_resource(wanted->bytes, scratch, &resource);
    if (err)
        return mw_stored_error(err);
    context_begin(context, wanted, &json);
    mw_json_attributes(&json, resource->attributes, resource->n_attributes, scratch);
    context->valid = context->json.err == MW_OK;
    return context->json.err;
}

static mw_err render_scope(mw_context_text *context, const mw_store_context *wanted,
                           mw_arena *scratch)
{
    mw_otlp_scope *scope = NULL;
    mw_json json;
    if (context_fits(context, wanted)) {
        context->bytes = wanted->bytes;
        context->schema_url = wanted->schema_url;
        return MW_OK;
    }
    mw_err err = mw_unpack_scope(wanted->bytes, scratch, &scope);
    if (err)
        return mw_stored_error(err);
    context_begin(context, wanted, &json);
    mw_json_object_begin(&json);
    mw_json_kv_or_null(&json, "name", mw_unpack_slice(scope->name));
    mw_json_kv_or_null(&json, "version", mw_unpack_slice(scope->version));
    mw_json_key(&json, MW_SLICE("attributes"));
    mw_json_attributes(&json, scope->attributes, scope->n_attributes, scratch);
    mw_json_kv_u64(&json, "dropped_attributes_count", scope->dropped_attributes_count);
    mw_json_kv_or_null(&json, "schema_url", wanted->schema_url);
    mw_shape_oversized(&json, "oversized_bytes", wanted->oversized);
    mw_json_object_end(&json);
    context->valid = context->json.err == MW_OK;
    return context->json.err;
}

mw_err mw_contexts_set(mw_contexts *contexts, const mw_store_context *resource,
                       const mw_store_context *scope, mw_arena *scratch)
{
    mw_err err = render_resource(&contexts->resource, resource, scratch);
    if (!err)
        err = render_scope(&contexts->scope, scope, scratch);
    return err;
}

void mw_contexts_write(const mw_contexts *contexts, mw_json *json)
{
    MW_ASSERT(contexts->resource.valid && contexts->scope.valid);
    mw_json_key(json, MW_SLICE("resource"));
    mw_json_raw(json, mw_buffer_slice(&contexts->resource.json));
    mw_json_kv_or_null(json, "resource_schema_url", contexts->resource.schema_url);
    mw_shape_oversized(json, "resource_oversized_bytes", contexts->resource.oversized);
    mw_json_key(json, MW_SLICE("scope"));
    mw_json_raw(json, mw_buffer_slice(&contexts->scope.json));
}

void mw_shape_oversized(mw_json *json, const char *key, size_t bytes)
{
    if (bytes)
        mw_json_kv_u64(json, key, bytes);
    else
        mw_json_kv_null(json, key);
}

void mw_shape_empty_array(mw_json *json, const char *key)
{
    mw_json_key(json, mw_slice_of(key));
    mw_json_array_begin(json);
    mw_json_array_end(json);
}

void mw_shape_empty_object(mw_json *json, const char *key)
{
    mw_json_key(json, mw_slice_of(key));
    mw_json_object_begin(json);
    mw_json_object_end(json);
}

void mw_shape_id(mw_json *json, const char *key, mw_slice id)
{
    mw_json_key(json, mw_slice_of(key));
    if (id.len && id.len <= MW_TRACE_ID_SIZE)
        mw_json_hex(json, id.data, id.len);
    else
        mw_json_null(json);
}

void mw_shape_enum(mw_json *json, const char *key, const char *const *names, size_t count,
                   int64_t value)
{
    char number[24];
    if (value >= 0 && (uint64_t)value < count) {
        mw_json_kv(json, key, mw_slice_of(names[value]));
        return;
    }
    snprintf(number, sizeof number, "%lld", (long long)value);
    mw_json_kv(json, key, mw_slice_of(number));
}
