/* A log record's body as JSON: text is parsed, a map is printed first. Contract: emf_body.h.
 *
 * Maps are walked with a stack of bounded depth and no recursion. On the network loop's thread.
 */
#include "collector/emf_body.h"
#include "collector/emf.h"
#include "lib/base/json_writer.h"
#include "proto/attribute_walk.h"
#include "proto/wire.h"

/* An open map or array. */
typedef struct level {
    mw_attribute_walk walk; /* of a map */
    const uint8_t *at, *end;
    bool map;
} level;

typedef struct printer {
    mw_json json;
    level levels[MW_EMF_DEPTH_MAX];
    unsigned depth;
} printer;

static bool open_level(printer *print, const mw_value *value)
{
    if (print->depth == MW_EMF_DEPTH_MAX)
        return false;
    level *top = &print->levels[print->depth++];
    top->map = value->type == MW_VALUE_KVLIST;
    top->at = mw_wire_begin(value->bytes);
    top->end = mw_wire_end(value->bytes);
    if (top->map) {
        mw_attribute_walk_init(&top->walk, value->bytes, MW_ATTRIBUTES_OF_LIST);
        mw_json_object_begin(&print->json);
    } else {
        mw_json_array_begin(&print->json);
    }
    return true;
}

static bool print_value(printer *print, const mw_value *value)
{
    switch (value->type) {
    case MW_VALUE_STRING: mw_json_string(&print->json, value->bytes); return true;
    case MW_VALUE_BOOL: mw_json_bool(&print->json, value->as.b); return true;
    case MW_VALUE_INT: mw_json_i64(&print->json, value->as.i); return true;
    case MW_VALUE_DOUBLE: mw_json_double(&print->json, value->as.d); return true;
    case MW_VALUE_ARRAY:
    case MW_VALUE_KVLIST: return open_level(print, value);
    default: mw_json_null(&print->json); return true;
    }
}

/* An element of an ArrayValue reads like the value of a pair without a key. */
static bool next_element(level *top, mw_value *value)
{
    mw_wire_field field;
    while (top->at && top->at < top->end) {
        top->at = mw_wire_next(top->at, top->end, &field);
        if (top->at && field.tag == MW_WIRE_TAG(1, MW_WIRE_BYTES)) {
            mw_attribute_value(field.bytes, value);
            return true;
        }
    }
    return false;
}

/* False when nested too deep. */
static bool print_next(printer *print)
{
    level *top = &print->levels[print->depth - 1];
    mw_slice key = MW_SLICE_NONE;
    mw_value value;
    if (top->map ? mw_attribute_next(&top->walk, &key, &value) : next_element(top, &value)) {
        if (top->map)
            mw_json_key(&print->json, key);
        return print_value(print, &value);
    }
    print->depth--;
    if (top->map)
        mw_json_object_end(&print->json);
    else
        mw_json_array_end(&print->json);
    return true;
}

static bool print_map(const mw_value *body, mw_buffer *text)
{
    printer print = {.depth = 0};
    mw_json_init(&print.json, text);
    bool fits = open_level(&print, body);
    while (fits && print.depth > 0 && text->err == MW_OK)
        fits = print_next(&print);
    return fits && text->err == MW_OK;
}

json_t *mw_emf_body_load(const mw_value *body, mw_buffer *text)
{
    mw_slice json = body->bytes;
    mw_buffer_clear(text);
    if (json.len > MW_EMF_DOCUMENT_MAX)
        return NULL;
    if (body->type == MW_VALUE_KVLIST) {
        if (!print_map(body, text))
            return NULL;
        json = mw_buffer_slice(text);
    }
    json_t *root = json_loadb(json.data, json.len, 0, NULL);
    if (json_is_object(root))
        return root;
    json_decref(root);
    return NULL;
}
