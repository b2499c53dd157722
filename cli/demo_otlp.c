/* What the demos share of OTLP/JSON. See demo_otlp.h. */
#include "cli/demo_otlp.h"
#include "lib/base/id.h"

#define SCOPE_NAME "midwatch.demo"

void mw_demo_kv_i64(mw_json *json, const char *key, int64_t value)
{
    char text[24];
    snprintf(text, sizeof text, "%lld", (long long)value);
    mw_json_kv(json, key, mw_slice_of(text));
}

void mw_demo_attribute(mw_json *json, mw_slice key, const char *kind, mw_slice text)
{
    mw_json_object_begin(json);
    mw_json_kv(json, "key", key);
    mw_json_key(json, MW_SLICE("value"));
    mw_json_object_begin(json);
    mw_json_kv(json, kind, text);
    mw_json_object_end(json);
    mw_json_object_end(json);
}

void mw_demo_list_begin(mw_json *json, const char *key)
{
    mw_json_key(json, mw_slice_of(key));
    mw_json_array_begin(json);
}

void mw_demo_kv_id(mw_json *json, const char *key, const void *id, size_t size)
{
    mw_json_key(json, mw_slice_of(key));
    mw_json_hex(json, id, size);
}

void mw_demo_kv_span_id(mw_json *json, const char *key, const uint8_t *first, uint8_t number)
{
    uint8_t id[MW_SPAN_ID_SIZE];
    memcpy(id, first, sizeof id);
    id[sizeof id - 1] ^= number;
    mw_demo_kv_id(json, key, id, sizeof id);
}

void mw_demo_request_begin(mw_json *json, mw_buffer *out, const char *const names[3])
{
    mw_json_init(json, out);
    mw_json_object_begin(json);
    mw_demo_list_begin(json, names[0]);
    mw_json_object_begin(json);
    mw_json_key(json, MW_SLICE("resource"));
    mw_json_object_begin(json);
    mw_demo_list_begin(json, "attributes");
}

void mw_demo_scope_begin(mw_json *json, const char *const names[3])
{
    mw_json_array_end(json);
    mw_json_object_end(json);
    mw_demo_list_begin(json, names[1]);
    mw_json_object_begin(json);
    mw_json_key(json, MW_SLICE("scope"));
    mw_json_object_begin(json);
    mw_json_kv(json, "name", MW_SLICE(SCOPE_NAME));
    mw_json_kv(json, "version", MW_SLICE(MW_VERSION));
    mw_json_object_end(json);
    mw_demo_list_begin(json, names[2]);
}

void mw_demo_request_end(mw_json *json)
{
    for (int level = 0; level < 3; level++) {
        mw_json_array_end(json);
        mw_json_object_end(json);
    }
}
