/* AnyValue, one member of its oneof at a time: the one place that knows which field is which value.
 *
 * Used by the validating pass, which looks further into what it took (scan_value.c), and by who
 * reads what has passed it (attribute_walk.h). Pure; the value's slices are of the message.
 */
#ifndef MW_PROTO_VALUE_H
#define MW_PROTO_VALUE_H

#include "proto/scan.h"
#include "proto/wire.h"

static inline double mw_value_double(uint64_t bits)
{
    double value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

/* The field of an AnyValue as the value it is; the last one that comes counts. False: it is no
 * member, and the value stays as it was. */
static inline bool mw_value_take(const mw_wire_field *field, mw_value *value)
{
    switch (field->tag) {
    case MW_WIRE_TAG(1, MW_WIRE_BYTES):
        *value = (mw_value){.type = MW_VALUE_STRING, .bytes = field->bytes};
        return true;
    case MW_WIRE_TAG(2, MW_WIRE_VARINT):
        *value = (mw_value){.type = MW_VALUE_BOOL, .as.b = field->number != 0};
        return true;
    case MW_WIRE_TAG(3, MW_WIRE_VARINT):
        *value = (mw_value){.type = MW_VALUE_INT, .as.i = (int64_t)field->number};
        return true;
    case MW_WIRE_TAG(4, MW_WIRE_FIXED64):
        *value = (mw_value){.type = MW_VALUE_DOUBLE, .as.d = mw_value_double(field->number)};
        return true;
    case MW_WIRE_TAG(5, MW_WIRE_BYTES):
        *value = (mw_value){.type = MW_VALUE_ARRAY, .bytes = field->bytes};
        return true;
    case MW_WIRE_TAG(6, MW_WIRE_BYTES):
        *value = (mw_value){.type = MW_VALUE_KVLIST, .bytes = field->bytes};
        return true;
    case MW_WIRE_TAG(7, MW_WIRE_BYTES):
        *value = (mw_value){.type = MW_VALUE_BYTES, .bytes = field->bytes};
        return true;
    case MW_WIRE_TAG(8, MW_WIRE_VARINT):
        /* An index into a table that only profiles have: as good as empty. */
        *value = (mw_value){.type = MW_VALUE_EMPTY};
        return true;
    default: return false;
    }
}

#endif
