/* Resource and scope of an item as JSON, and the small members that all signals share.
 *
 * Neighbouring items nearly always share their resource and scope, so the last text of each is
 * kept and copied. One mw_contexts serves one answer on one thread.
 */
#ifndef MW_SERVER_API_SHAPE_CONTEXT_H
#define MW_SERVER_API_SHAPE_CONTEXT_H

#include "lib/base/json_writer.h"
#include "lib/store/store.h"

/* Unpacked messages of one item: the decode budget bounds them well below this. */
#define MW_SHAPE_SCRATCH_MAX ((size_t)256 << 20)

typedef struct mw_context_text {
    mw_slice bytes; /* which message it is the text of */
    mw_slice schema_url;
    uint32_t oversized;
    bool valid;
    mw_buffer json;
} mw_context_text;

typedef struct mw_contexts {
    mw_context_text resource, scope;
} mw_contexts;

void mw_contexts_init(mw_contexts *contexts);
void mw_contexts_fini(mw_contexts *contexts);
/* Makes the text of both, unless it is there already; `bytes` of both must live until the next
 * call. `scratch` is the caller's to reset. MW_E_NOMEM, MW_E_LIMIT, MW_E_CORRUPT. */
MW_MUST_USE mw_err mw_contexts_set(mw_contexts *contexts, const mw_store_context *resource,
                                   const mw_store_context *scope, mw_arena *scratch);
/* The members resource, resource_schema_url, resource_oversized_bytes and scope of what was set. */
void mw_contexts_write(const mw_contexts *contexts, mw_json *json);

/* Bytes that protobuf-c refuses passed every check when they came in: the store is damaged, and
 * MW_E_SYNTAX is MW_E_CORRUPT. Other errors pass. */
mw_err mw_stored_error(mw_err err);
/* How many bytes of an item were left out because no answer could hold them: then what only they
 * tell is null, [] or {}. Null when nothing was (0). */
void mw_shape_oversized(mw_json *json, const char *key, size_t bytes);
void mw_shape_empty_array(mw_json *json, const char *key);
void mw_shape_empty_object(mw_json *json, const char *key);
/* An id of a link or exemplar, which is kept as sent, so that its length is the sender's: null when
 * it is empty or longer than any id. */
void mw_shape_id(mw_json *json, const char *key, mw_slice id);
/* The name of an enum's value; one that this version has no name for is shown as the number it was
 * sent as, in text. */
void mw_shape_enum(mw_json *json, const char *key, const char *const *names, size_t count,
                   int64_t value);

#endif
