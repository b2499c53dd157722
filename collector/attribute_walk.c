/* Attributes off the wire. Contract: attribute_walk.h. */
#include "collector/attribute_walk.h"
#include "proto/wire.h"

void mw_attribute_walk_init(mw_attribute_walk *walk, mw_slice message, uint32_t field)
{
    walk->at = mw_wire_begin(message);
    walk->end = mw_wire_end(message);
    walk->tag = MW_WIRE_TAG(field, MW_WIRE_BYTES);
}

/* One member of AnyValue's oneof. */
static void read_member(const mw_wire_field *field, mw_value *out)
{
    switch (field->tag) {
    case MW_WIRE_TAG(1, MW_WIRE_BYTES):
        *out = (mw_value){.type = MW_VALUE_STRING, .bytes = field->bytes};
        break;
    case MW_WIRE_TAG(2, MW_WIRE_VARINT):
        *out = (mw_value){.type = MW_VALUE_BOOL, .as.b = field->number != 0};
        break;
    case MW_WIRE_TAG(3, MW_WIRE_VARINT):
        *out = (mw_value){.type = MW_VALUE_INT, .as.i = (int64_t)field->number};
        break;
    case MW_WIRE_TAG(4, MW_WIRE_FIXED64):
        *out = (mw_value){.type = MW_VALUE_DOUBLE};
        memcpy(&out->as.d, &field->number, sizeof out->as.d);
        break;
    case MW_WIRE_TAG(5, MW_WIRE_BYTES):
        *out = (mw_value){.type = MW_VALUE_ARRAY, .bytes = field->bytes};
        break;
    case MW_WIRE_TAG(6, MW_WIRE_BYTES):
        *out = (mw_value){.type = MW_VALUE_KVLIST, .bytes = field->bytes};
        break;
    case MW_WIRE_TAG(7, MW_WIRE_BYTES):
        *out = (mw_value){.type = MW_VALUE_BYTES, .bytes = field->bytes};
        break;
    default: break;
    }
}

void mw_attribute_value(mw_slice message, mw_value *out)
{
    mw_wire_field field;
    const uint8_t *end = mw_wire_end(message);
    *out = (mw_value){.type = MW_VALUE_EMPTY};
    for (const uint8_t *at = mw_wire_begin(message); at && at < end;) {
        at = mw_wire_next(at, end, &field);
        if (at)
            read_member(&field, out);
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
