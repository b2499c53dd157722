/* Attributes of a stored or validated message, one after the other, read off the wire bytes.
 *
 * Nothing is copied or kept: keys and values are slices of the message. Of a member sent in parts
 * the last part is read. Bytes that are no message end the walk early, which only damage can do:
 * what is stored passed the validating pass. No recursion: arrays and maps stay bytes. Any thread.
 */
#ifndef MW_PROTO_ATTRIBUTE_WALK_H
#define MW_PROTO_ATTRIBUTE_WALK_H

#include "proto/scan.h"

typedef struct mw_attribute_walk {
    const uint8_t *at, *end;
    uint32_t tag; /* of the field that holds a KeyValue */
} mw_attribute_walk;

/* The field numbers of KeyValues, in the definitions of OTLP 1.11. */
enum {
    MW_ATTRIBUTES_OF_LIST = 1, /* KeyValueList */
    MW_ATTRIBUTES_OF_RESOURCE = 1,
    MW_ATTRIBUTES_OF_SCOPE = 3,
    MW_ATTRIBUTES_OF_LOG = 6,
    MW_ATTRIBUTES_OF_SPAN = 9,
    MW_ATTRIBUTES_OF_EVENT = 3
};

void mw_attribute_walk_init(mw_attribute_walk *walk, mw_slice message, uint32_t field);
/* False at the end. */
bool mw_attribute_next(mw_attribute_walk *walk, mw_slice *key, mw_value *value);

/* An AnyValue by itself, such as an element of an array. */
void mw_attribute_value(mw_slice message, mw_value *value);

#endif
