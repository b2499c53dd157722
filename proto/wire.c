/* The wire format's slow path: varints of more than one byte. See wire.h. */
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
