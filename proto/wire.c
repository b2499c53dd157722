/* The wire format's slow path: varints of more than one byte, and writing. See wire.h. */
#include "proto/wire.h"

const uint8_t *mw_wire_varint_long(const uint8_t *at, const uint8_t *end, unsigned max_bytes,
                                   uint64_t *value)
{
    uint64_t result = 0;
    for (unsigned i = 0; i < max_bytes && at < end; i++) {
        uint8_t byte = *at++;
        /* The tenth byte has room for one bit; what is above falls off, as decoders do it. */
        result |= (uint64_t)(byte & 0x7f) << (7 * i);
        if (byte < 0x80) {
            *value = result;
            return at;
        }
    }
    return NULL;
}

void mw_wire_append_varint(mw_buffer *out, uint64_t value)
{
    while (value >= 0x80) {
        mw_buffer_append_byte(out, (char)(value | 0x80));
        value >>= 7;
    }
    mw_buffer_append_byte(out, (char)value);
}

void mw_wire_append_bytes(mw_buffer *out, uint32_t number, mw_slice content)
{
    mw_wire_append_varint(out, MW_WIRE_TAG(number, MW_WIRE_BYTES));
    mw_wire_append_varint(out, content.len);
    mw_buffer_append_slice(out, content);
}
