/* OTLP/JSON as both stories of `midwatch demo` write it: one resource and one scope a request.
 * Private to the room. */
#ifndef MW_CLI_DEMO_OTLP_H
#define MW_CLI_DEMO_OTLP_H

#include "lib/base/json_writer.h"

/* A number of 64 bits is text. */
void mw_demo_kv_i64(mw_json *json, const char *key, int64_t value);
/* {"key": key, "value": {kind: text}}; kind is stringValue or intValue. */
void mw_demo_attribute(mw_json *json, mw_slice key, const char *kind, mw_slice text);
void mw_demo_list_begin(mw_json *json, const char *key);
void mw_demo_kv_id(mw_json *json, const char *key, const void *id, size_t size);
/* Of a trace whose spans' ids differ from `first` by their own number. */
void mw_demo_kv_span_id(mw_json *json, const char *key, const uint8_t *first, uint8_t number);

/* A request: up to the attributes of its resource, from there to the items of its scope, and the
 * end. `names` are those of the three lists: resourceSpans, scopeSpans, spans. */
void mw_demo_request_begin(mw_json *json, mw_buffer *out, const char *const names[3]);
void mw_demo_scope_begin(mw_json *json, const char *const names[3]);
void mw_demo_request_end(mw_json *json);

#endif
