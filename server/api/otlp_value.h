/* OTLP values as the API's JSON (DESIGN 4.3): attributes are objects in which the last key wins,
 * bytes are base64, an empty AnyValue is null, arrays and maps nest.
 *
 * Pure but for scratch memory. Values come unpacked by protobuf-c from stored bytes that passed
 * the validating pass, so nesting is bounded; an explicit stack holds it all the same.
 */
#ifndef MW_SERVER_API_OTLP_VALUE_H
#define MW_SERVER_API_OTLP_VALUE_H

#include "lib/base/arena.h"
#include "lib/base/json_writer.h"
#include "proto/unpack.h"

/* Levels written; ingest keeps 64 (MW_OTLP_DEPTH_MAX), deeper values are shown as null. */
#define MW_VALUE_LEVELS_MAX 72

/* Out of scratch memory becomes the buffer's sticky MW_E_NOMEM. */
void mw_json_attributes(mw_json *json, mw_otlp_key_value *const *items, size_t count,
                        mw_arena *scratch);
/* NULL is null. */
void mw_json_any_value(mw_json *json, const mw_otlp_value *value, mw_arena *scratch);

#endif
