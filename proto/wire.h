/* The protobuf wire format, read one field at a time: bounds, varints, nothing else.
 *
 * Non-recursive and without state: a cursor goes in, the cursor behind the field comes out, NULL
 * when the bytes break the format. What is accepted here protobuf-c accepts as well: a tag has at
 * most 5 bytes and a field number of 1 or more, a length at most 5, a varint at most 10, groups
 * (wire types 3 and 4) are refused. Slices point into the input. Any thread.
 *
 *     | tag varint: number << 3 | type |  type 0: varint   1: 8 bytes LE   5: 4 bytes LE
 *                                         2: length varint, that many bytes
 * Source: the protobuf encoding guide; what protobuf-c 1.4.1 takes was measured.
 */
#ifndef MW_PROTO_WIRE_H
#define MW_PROTO_WIRE_H

#include <endian.h>
#include <stdint.h>

#include "lib/base/buffer.h"
#include "lib/base/slice.h"

enum { MW_WIRE_VARINT = 0, MW_WIRE_FIXED64 = 1, MW_WIRE_BYTES = 2, MW_WIRE_FIXED32 = 5 };

/* A whole tag, for `case` labels. */
#define MW_WIRE_TAG(number, type) ((uint32_t)(number) << 3 | (uint32_t)(type))

/* Which member is set follows from the tag's type. */
typedef struct mw_wire_field {
    uint32_t tag;
    uint64_t number; /* types 0, 1 and 5, raw bits */
    mw_slice bytes;  /* type 2 */
} mw_wire_field;

static inline uint32_t mw_wire_number(uint32_t tag)
{
    return tag >> 3;
}

/* The slow half: varints of two bytes and more, at most max_bytes long. */
const uint8_t *mw_wire_varint_long(const uint8_t *at, const uint8_t *end, unsigned max_bytes,
                                   uint64_t *value);

static inline const uint8_t *mw_wire_varint(const uint8_t *at, const uint8_t *end,
                                            unsigned max_bytes, uint64_t *value)
{
    /* Nearly all tags and lengths of telemetry are below 128. */
    if (__builtin_expect(at < end && *at < 0x80, 1)) {
        *value = *at;
        return at + 1;
    }
    return mw_wire_varint_long(at, end, max_bytes, value);
}

/* The payload of a field whose tag was read; of types 3, 4, 6 and 7 NULL. */
static inline const uint8_t *mw_wire_payload(const uint8_t *at, const uint8_t *end,
                                             mw_wire_field *field)
{
    uint64_t length;
    uint32_t half;
    switch (field->tag & 7) {
    case MW_WIRE_BYTES:
        at = mw_wire_varint(at, end, 5, &length);
        if (!at || length > (uint64_t)(end - at))
            return NULL;
        field->bytes = (mw_slice){(const char *)at, (size_t)length};
        return at + length;
    case MW_WIRE_VARINT: return mw_wire_varint(at, end, 10, &field->number);
    case MW_WIRE_FIXED64:
        if (end - at < 8)
            return NULL;
        memcpy(&field->number, at, 8);
        field->number = le64toh(field->number);
        return at + 8;
    case MW_WIRE_FIXED32:
        if (end - at < 4)
            return NULL;
        memcpy(&half, at, 4);
        field->number = le32toh(half);
        return at + 4;
    default: return NULL;
    }
}

/* The next field of a message; at < end. NULL = the format is broken there. */
static inline const uint8_t *mw_wire_next(const uint8_t *at, const uint8_t *end,
                                          mw_wire_field *field)
{
    uint64_t tag;
    at = mw_wire_varint(at, end, 5, &tag);
    if (!at || tag < 8 || tag > UINT32_MAX)
        return NULL;
    field->tag = (uint32_t)tag;
    return mw_wire_payload(at, end, field);
}

static inline const uint8_t *mw_wire_begin(mw_slice message)
{
    return (const uint8_t *)message.data;
}

static inline const uint8_t *mw_wire_end(mw_slice message)
{
    /* An empty slice may have no pointer at all. */
    return message.len ? (const uint8_t *)message.data + message.len : mw_wire_begin(message);
}

/* ---- writing: errors stick to the buffer ---------------------------------------------------- */

void mw_wire_append_varint(mw_buffer *out, uint64_t value);
/* A field of type 2. */
void mw_wire_append_bytes(mw_buffer *out, uint32_t number, mw_slice content);

#endif
