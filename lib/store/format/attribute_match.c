/* Attributes of an item against wanted ones. See attribute_match.h.
 *
 * A question may look at millions of spans with a dozen attributes each, of which hardly any has
 * the key. So a KeyValue of the usual form, key then value and nothing else, is cut without a loop,
 * and most are turned away by the length of their key before that.
 */
#include <math.h>

#include "lib/store/format/attribute_match.h"

#include "lib/base/json_writer.h"
#include "proto/wire.h"

#define KEY MW_WIRE_TAG(1, MW_WIRE_BYTES)
#define VALUE MW_WIRE_TAG(2, MW_WIRE_BYTES)

/* ---- what is wanted -------------------------------------------------------------------------- */

/* No number's text is longer: a sign, 17 digits, a point, an exponent; "-9223372036854775808". */
#define NUMBER_TEXT_MAX 32u

uint64_t mw_double_bits(double value)
{
    uint64_t bits;
    double shown = isnan(value) ? (double)NAN : value;
    memcpy(&bits, &shown, sizeof bits);
    return bits;
}

/* Is that what the API shows of the number? "5" is no double, "05" no integer. */
static mw_err is_shown_as(double value, mw_slice text, bool *is)
{
    mw_buffer shown;
    mw_json json;
    mw_buffer_init(&shown, MW_MEM_QUERY, 64);
    mw_json_init(&json, &shown);
    mw_json_double(&json, value);
    mw_slice got = mw_buffer_slice(&shown);
    if (got.len > 2 && got.data[0] == '"')
        got = (mw_slice){got.data + 1, got.len - 2};
    mw_err err = shown.err;
    *is = err == MW_OK && mw_slice_equal(got, text);
    mw_buffer_fini(&shown);
    return err;
}

mw_err mw_attribute_want(const mw_attribute_query *query, mw_attribute_wanted *out)
{
    char text[NUMBER_TEXT_MAX], digits[NUMBER_TEXT_MAX];
    char *end;

    *out = (mw_attribute_wanted){.key = query->key, .value = query->value};
    if (query->value.len == 0 || !mw_slice_to_cstr(query->value, text, sizeof text))
        return MW_OK;
    if (mw_slice_i64(query->value, &out->integer) == MW_OK) {
        snprintf(digits, sizeof digits, "%lld", (long long)out->integer);
        out->is_integer = mw_slice_equal(mw_slice_of(digits), query->value);
        return MW_OK;
    }
    double value = strtod(text, &end);
    if (end == text || *end)
        return MW_OK;
    out->double_bits = mw_double_bits(value);
    return is_shown_as(value, query->value, &out->is_double);
}

/* ---- one attribute --------------------------------------------------------------------------- */

/* The members of an AnyValue; the last one counts. What has no text keeps its type alone. */
static bool read_value(mw_slice message, mw_value *value)
{
    const uint8_t *at = mw_wire_begin(message), *end = mw_wire_end(message);
    while (at && at < end) {
        mw_wire_field field;
        double number;
        at = mw_wire_next(at, end, &field);
        if (!at)
            return false;
        switch (field.tag) {
        case MW_WIRE_TAG(1, MW_WIRE_BYTES):
            *value = (mw_value){.type = MW_VALUE_STRING, .bytes = field.bytes};
            break;
        case MW_WIRE_TAG(2, MW_WIRE_VARINT):
            *value = (mw_value){.type = MW_VALUE_BOOL, .as.b = field.number != 0};
            break;
        case MW_WIRE_TAG(3, MW_WIRE_VARINT):
            *value = (mw_value){.type = MW_VALUE_INT, .as.i = (int64_t)field.number};
            break;
        case MW_WIRE_TAG(4, MW_WIRE_FIXED64):
            memcpy(&number, &field.number, sizeof number);
            *value = (mw_value){.type = MW_VALUE_DOUBLE, .as.d = number};
            break;
        case MW_WIRE_TAG(5, MW_WIRE_BYTES): *value = (mw_value){.type = MW_VALUE_ARRAY}; break;
        case MW_WIRE_TAG(6, MW_WIRE_BYTES): *value = (mw_value){.type = MW_VALUE_KVLIST}; break;
        case MW_WIRE_TAG(7, MW_WIRE_BYTES): *value = (mw_value){.type = MW_VALUE_BYTES}; break;
        case MW_WIRE_TAG(8, MW_WIRE_VARINT): *value = (mw_value){.type = MW_VALUE_EMPTY}; break;
        default: break;
        }
    }
    return true;
}

bool mw_attribute_read(mw_slice key_value, mw_slice *key, mw_value *value)
{
    const uint8_t *at = mw_wire_begin(key_value), *end = mw_wire_end(key_value);
    *key = MW_SLICE_NONE;
    *value = (mw_value){.type = MW_VALUE_EMPTY};
    while (at && at < end) {
        mw_wire_field field;
        at = mw_wire_next(at, end, &field);
        if (!at)
            return false;
        if (field.tag == KEY)
            *key = field.bytes;
        else if (field.tag == VALUE && !read_value(field.bytes, value))
            return false;
    }
    return true;
}

/* Cuts a KeyValue of the usual form. False for any other, which is then read field by field. */
static bool cut(mw_slice key_value, mw_slice *key, mw_slice *value)
{
    const uint8_t *at = mw_wire_begin(key_value), *end = mw_wire_end(key_value);
    uint64_t len;

    if (key_value.len < 2 || at[0] != KEY || at[1] >= 0x80 || (size_t)at[1] + 3 > key_value.len)
        return false;
    *key = mw_slice_bytes(at + 2, at[1]);
    at += 2 + (size_t)at[1];
    if (*at++ != VALUE)
        return false;
    at = mw_wire_varint(at, end, 5, &len);
    if (!at || len != (uint64_t)(end - at))
        return false;
    *value = mw_slice_bytes(at, (size_t)len);
    return true;
}

bool mw_attribute_text(mw_slice key_value, mw_slice *key, mw_slice *text)
{
    mw_slice value;
    uint64_t len;
    if (!cut(key_value, key, &value) || value.len < 2 ||
        value.data[0] != MW_WIRE_TAG(1, MW_WIRE_BYTES))
        return false;
    const uint8_t *end = mw_wire_end(value);
    const uint8_t *at = mw_wire_varint(mw_wire_begin(value) + 1, end, 5, &len);
    if (!at || len != (uint64_t)(end - at))
        return false;
    *text = mw_slice_bytes(at, (size_t)len);
    return true;
}

static bool equals(const mw_value *value, const mw_attribute_wanted *wanted)
{
    switch (value->type) {
    case MW_VALUE_STRING: return mw_slice_equal(value->bytes, wanted->value);
    case MW_VALUE_BOOL:
        return mw_slice_equal(value->as.b ? MW_SLICE("true") : MW_SLICE("false"), wanted->value);
    case MW_VALUE_INT: return wanted->is_integer && value->as.i == wanted->integer;
    case MW_VALUE_DOUBLE:
        return wanted->is_double && mw_double_bits(value->as.d) == wanted->double_bits;
    default: return false;
    }
}

/* ---- a message ------------------------------------------------------------------------------- */

static uint32_t judge(mw_slice key_value, const mw_attribute_wanted *wanted, size_t count,
                      uint32_t held)
{
    mw_slice key, content = MW_SLICE_NONE;
    mw_value value = {.type = MW_VALUE_EMPTY};
    bool usual = cut(key_value, &key, &content), read = false;

    if (!usual && !mw_attribute_read(key_value, &key, &value))
        return held;
    for (size_t i = 0; i < count; i++) {
        if (key.len != wanted[i].key.len || !mw_slice_equal(key, wanted[i].key))
            continue;
        if (usual && !read && !read_value(content, &value))
            return held;
        read = true;
        held &= ~(UINT32_C(1) << i);
        held |= (uint32_t)equals(&value, &wanted[i]) << i;
    }
    return held;
}

/* Lengths of keys as bits; those of 63 and more share one. */
static uint64_t length_bit(size_t len)
{
    return UINT64_C(1) << (len < 63 ? len : 63);
}

/* Is it of the usual form with a short value, and its key of another length than any wanted one?
 * False says nothing. */
static bool is_other(mw_slice key_value, uint64_t lengths)
{
    const unsigned char *at = (const unsigned char *)key_value.data;
    if (key_value.len < 4 || at[0] != KEY || (length_bit(at[1]) & lengths))
        return false;
    size_t value = 2 + (size_t)at[1]; /* a key of 128 bytes or more is longer than what follows */
    return value + 2 <= key_value.len && at[1] < 0x80 && at[value] == VALUE &&
           at[value + 1] < 0x80 && value + 2 + at[value + 1] == key_value.len;
}

/* Cuts one field of type 2 with a tag of one byte off the front; most are such. */
static inline const uint8_t *next_bytes(const uint8_t *at, const uint8_t *end, mw_slice *bytes)
{
    if (end - at < 2 || at[1] >= 0x80 || at[1] > end - at - 2)
        return NULL;
    *bytes = mw_slice_bytes(at + 2, at[1]);
    return at + 2 + at[1];
}

uint32_t mw_attributes_held(mw_slice message, uint32_t number, const mw_attribute_wanted *wanted,
                            size_t count)
{
    const uint8_t *at = mw_wire_begin(message), *end = mw_wire_end(message);
    const uint32_t tag = MW_WIRE_TAG(number, MW_WIRE_BYTES);
    uint64_t lengths = 0;
    uint32_t held = 0;

    MW_ASSERT(count <= 32 && tag < 0x80);
    for (size_t i = 0; i < count; i++)
        lengths |= length_bit(wanted[i].key.len);
    while (at && at < end) {
        mw_wire_field field = {.tag = *at};
        const uint8_t *next = *at == tag ? next_bytes(at, end, &field.bytes) : NULL;
        if (!next)
            next = mw_wire_next(at, end, &field);
        if (next && field.tag == tag && !is_other(field.bytes, lengths))
            held = judge(field.bytes, wanted, count, held);
        at = next;
    }
    return held;
}
