/* Attributes off the wire. Contract: attribute_walk.h. */
#include "proto/attribute_walk.h"
#include "proto/value.h"

void mw_attribute_walk_init(mw_attribute_walk *walk, mw_slice message, uint32_t field)
{
    walk->at = mw_wire_begin(message);
    walk->end = mw_wire_end(message);
    walk->tag = MW_WIRE_TAG(field, MW_WIRE_BYTES);
}

void mw_attribute_value(mw_slice message, mw_value *out)
{
    mw_wire_field field;
    const uint8_t *end = mw_wire_end(message);
    *out = (mw_value){.type = MW_VALUE_EMPTY};
    for (const uint8_t *at = mw_wire_begin(message); at && at < end;) {
        at = mw_wire_next(at, end, &field);
        if (at)
            mw_value_take(&field, out);
    }
}

static void read_pair(mw_slice message, mw_slice *key, mw_value *value)
{
    mw_wire_field field;
    const uint8_t *end = mw_wire_end(message);
    *key = MW_SLICE_NONE;
    *value = (mw_value){.type = MW_VALUE_EMPTY};
    for (const uint8_t *at = mw_wire_begin(message); at && at < end;) {
        at = mw_wire_next(at, end, &field);
        if (at && field.tag == MW_WIRE_TAG(1, MW_WIRE_BYTES))
            *key = field.bytes;
        else if (at && field.tag == MW_WIRE_TAG(2, MW_WIRE_BYTES))
            mw_attribute_value(field.bytes, value);
    }
}

bool mw_attribute_next(mw_attribute_walk *walk, mw_slice *key, mw_value *value)
{
    mw_wire_field field;
    while (walk->at && walk->at < walk->end) {
        field.bytes = MW_SLICE_NONE; /* only fields of bytes set it */
        walk->at = mw_wire_next(walk->at, walk->end, &field);
        if (walk->at && field.tag == walk->tag) {
            read_pair(field.bytes, key, value);
            return true;
        }
    }
    return false;
}
