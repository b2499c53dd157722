/* Streaming JSON output with the API's number rules (DESIGN 4.3).
 *
 * Integers beyond +-2^53 become strings; a double always shows a fraction or an exponent and is
 * the shortest text that reads back the same; NaN and infinities are the strings "NaN",
 * "Infinity", "-Infinity"; bad UTF-8 becomes U+FFFD; "<", ">" and "&" are written as \u escapes, so
 * that the text is safe inside HTML too. Commas and nesting are kept here (at most
 * MW_JSON_DEPTH_MAX levels, a bug beyond). Errors are the buffer's.
 */
#ifndef MW_BASE_JSON_WRITER_H
#define MW_BASE_JSON_WRITER_H

#include "lib/base/buffer.h"

/* API shapes need about 8 levels, OTLP/JSON 16; attributes at most 64 (the decode depth limit)
 * times four, which is what a list of pairs opens in OTLP/JSON. */
#define MW_JSON_DEPTH_MAX 288

typedef struct mw_json {
    mw_buffer *out;
    unsigned depth;
    bool after_key;
    bool need_comma[MW_JSON_DEPTH_MAX];
} mw_json;

void mw_json_init(mw_json *json, mw_buffer *out);
void mw_json_object_begin(mw_json *json);
void mw_json_object_end(mw_json *json);
void mw_json_array_begin(mw_json *json);
void mw_json_array_end(mw_json *json);
void mw_json_key(mw_json *json, mw_slice key);
void mw_json_string(mw_json *json, mw_slice text);
void mw_json_i64(mw_json *json, int64_t value);
void mw_json_u64(mw_json *json, uint64_t value);
void mw_json_double(mw_json *json, double value);
void mw_json_bool(mw_json *json, bool value);
void mw_json_null(mw_json *json);
void mw_json_bytes_base64(mw_json *json, mw_slice bytes);
void mw_json_hex(mw_json *json, const void *bytes, size_t len);
/* Already JSON: copied as it is. */
void mw_json_raw(mw_json *json, mw_slice json_text);

/* key and value in one; the key is a literal. */
void mw_json_kv(mw_json *json, const char *key, mw_slice text);
/* Empty text becomes null ("null when unknown"). */
void mw_json_kv_or_null(mw_json *json, const char *key, mw_slice text);
void mw_json_kv_i64(mw_json *json, const char *key, int64_t value);
void mw_json_kv_u64(mw_json *json, const char *key, uint64_t value);
void mw_json_kv_double(mw_json *json, const char *key, double value);
void mw_json_kv_bool(mw_json *json, const char *key, bool value);
void mw_json_kv_null(mw_json *json, const char *key);
/* Both forms of a time: `key` (RFC 3339) and `key`_unix_nano; both null for 0. */
void mw_json_kv_time(mw_json *json, const char *key, uint64_t unix_nano);

#endif
