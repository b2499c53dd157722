/* Is an unpacked message what a JSON text says? An oracle that shares nothing with our reader:
 * jansson's tree on one side, protobuf-c's unpacked message and its descriptor on the other.
 *
 * Judges what both sides can say: a text with equal keys twice, with both spellings of a key, with
 * two members of one oneof, or with numbers that jansson cannot hold is passed over. Recursive,
 * which is safe here: what our reader lets through is nested a few hundred deep at most.
 */
#ifndef MW_TESTS_FUZZ_JSON_ORACLE_H
#define MW_TESTS_FUZZ_JSON_ORACLE_H

#include <jansson.h>
#include <math.h>
#include <protobuf-c/protobuf-c.h>

#include "lib/base/error.h"
#include "lib/base/id.h"
#include "proto/scan.h"

/* Levels of objects and lists below which our reader cuts (its stack), less a few. */
#define ORACLE_DEPTH_MAX (2 * MW_OTLP_DEPTH_MAX)

/* "startTimeUnixNano" for "start_time_unix_nano". */
static inline void oracle_camel(const char *snake, char *out, size_t size)
{
    size_t n = 0;
    for (; *snake && n + 1 < size; snake++) {
        if (*snake == '_' && snake[1]) {
            snake++;
            out[n++] = (char)(*snake - 'a' + 'A');
        } else {
            out[n++] = *snake;
        }
    }
    out[n] = '\0';
}

/* The value under either spelling; NULL for absent and null. *unsure: both were there. */
static inline json_t *oracle_member(json_t *object, const char *snake, bool *unsure)
{
    char camel[64];
    oracle_camel(snake, camel, sizeof camel);
    json_t *a = json_object_get(object, camel), *b = json_object_get(object, snake);
    if (a && b && strcmp(camel, snake) != 0)
        *unsure = true;
    json_t *value = a ? a : b;
    return json_is_null(value) ? NULL : value;
}

/* ---- scalars ------------------------------------------------------------------------------- */

static inline bool oracle_plain_digits(const char *text)
{
    size_t n = strspn(text + (*text == '-'), "0123456789");
    return n > 0 && n < 20 && text[(*text == '-') + (int)n] == '\0';
}

/* True when `bits` is the whole number that the JSON value says, as far as that can be told. */
static inline bool oracle_whole(json_t *value, uint64_t bits)
{
    if (json_is_integer(value))
        return (uint64_t)json_integer_value(value) == bits;
    if (json_is_real(value)) {
        double real = json_real_value(value);
        return fabs(real) > 9007199254740992.0 || (double)(int64_t)bits == real;
    }
    if (!json_is_string(value) || !oracle_plain_digits(json_string_value(value)))
        return true;
    const char *text = json_string_value(value);
    return (*text == '-' ? (uint64_t)strtoll(text, NULL, 10) : strtoull(text, NULL, 10)) == bits;
}

static inline bool oracle_double(json_t *value, double found)
{
    double said = json_number_value(value);
    if (json_is_string(value)) {
        const char *text = json_string_value(value);
        if (strcmp(text, "NaN") == 0)
            return isnan(found);
        said = strtod(text, NULL); /* "Infinity" too */
    }
    return said == found;
}

static inline bool oracle_base64(json_t *value, const ProtobufCBinaryData *found)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    const char *text = json_string_value(value);
    size_t len = json_string_length(value);
    while (len && text[len - 1] == '=')
        len--;
    if (found->len != len * 3 / 4)
        return false;
    /* The last digit may hold bits that belong to no byte. */
    for (size_t i = 0; i + 1 < len; i++) {
        char c = text[i] == '-' ? '+' : text[i] == '_' ? '/' : text[i];
        const char *at = memchr(digits, c, 64);
        uint32_t six = at ? (uint32_t)(at - digits) : 64;
        size_t bit = i * 6, byte = bit / 8;
        uint32_t pair = (uint32_t)found->data[byte] << 8;
        pair |= byte + 1 < found->len ? found->data[byte + 1] : 0;
        if ((pair >> (10 - bit % 8) & 63) != six && byte + 1 < found->len)
            return false;
    }
    return true;
}

/* Text of an id: its bytes, nothing for an empty text, else the one zero byte that no rule lets
 * through. */
static inline bool oracle_id(json_t *value, size_t size, const ProtobufCBinaryData *found)
{
    uint8_t id[MW_TRACE_ID_SIZE];
    mw_slice text = mw_slice_bytes(json_string_value(value), json_string_length(value));
    if (text.len == 0)
        return found->len == 0;
    if (found->len == 1 && found->data[0] == 0)
        return true; /* refused by item; escapes may hide good digits */
    return mw_hex_decode(text, id, size) == MW_OK && found->len == size &&
           memcmp(found->data, id, size) == 0;
}

static inline bool oracle_bytes(const char *name, json_t *value, const ProtobufCBinaryData *found)
{
    if (strcmp(name, "bytes_value") == 0)
        return oracle_base64(value, found);
    if (strcmp(name, "trace_id") == 0)
        return oracle_id(value, MW_TRACE_ID_SIZE, found);
    if (strcmp(name, "span_id") == 0 || strcmp(name, "parent_span_id") == 0)
        return oracle_id(value, MW_SPAN_ID_SIZE, found);
    return found->len == json_string_length(value) &&
           (found->len == 0 || memcmp(found->data, json_string_value(value), found->len) == 0);
}

static bool oracle_message(json_t *object, const ProtobufCMessage *message, unsigned depth);

/* One value of a field, at `at` in the message's struct or list. */
static inline bool oracle_value(const ProtobufCFieldDescriptor *field, json_t *value,
                                const void *at, unsigned depth)
{
    switch (field->type) {
    case PROTOBUF_C_TYPE_MESSAGE:
        return oracle_message(value, *(ProtobufCMessage *const *)at, depth + 1);
    case PROTOBUF_C_TYPE_BYTES: return oracle_bytes(field->name, value, at);
    case PROTOBUF_C_TYPE_DOUBLE: return oracle_double(value, *(const double *)at);
    case PROTOBUF_C_TYPE_BOOL: return json_is_true(value) == (*(const protobuf_c_boolean *)at != 0);
    case PROTOBUF_C_TYPE_ENUM:
        return (json_is_string(value) && !oracle_plain_digits(json_string_value(value))) ||
               oracle_whole(value, (uint64_t) * (const int32_t *)at);
    case PROTOBUF_C_TYPE_INT32:
    case PROTOBUF_C_TYPE_SINT32: return oracle_whole(value, (uint64_t) * (const int32_t *)at);
    case PROTOBUF_C_TYPE_UINT32:
    case PROTOBUF_C_TYPE_FIXED32: return oracle_whole(value, *(const uint32_t *)at);
    default: return oracle_whole(value, *(const uint64_t *)at);
    }
}

static inline size_t oracle_element_size(const ProtobufCFieldDescriptor *field)
{
    switch (field->type) {
    case PROTOBUF_C_TYPE_MESSAGE: return sizeof(ProtobufCMessage *);
    case PROTOBUF_C_TYPE_BYTES: return sizeof(ProtobufCBinaryData);
    case PROTOBUF_C_TYPE_BOOL: return sizeof(protobuf_c_boolean);
    case PROTOBUF_C_TYPE_ENUM:
    case PROTOBUF_C_TYPE_INT32:
    case PROTOBUF_C_TYPE_SINT32:
    case PROTOBUF_C_TYPE_UINT32:
    case PROTOBUF_C_TYPE_FIXED32: return 4;
    default: return 8;
    }
}

static inline bool oracle_list(const ProtobufCFieldDescriptor *field, json_t *list,
                               const char *message, unsigned depth)
{
    size_t count, said = json_array_size(list);
    memcpy(&count, message + field->quantifier_offset, sizeof count);
    const char *items = *(char *const *)(message + field->offset);
    for (size_t i = 0; i < said; i++)
        if (json_is_null(json_array_get(list, i)))
            return true; /* what null stands for in a list is nobody's rule */
    if (count != said)
        return false;
    for (size_t i = 0; i < count; i++)
        if (!oracle_value(field, json_array_get(list, i), items + i * oracle_element_size(field),
                          depth))
            return false;
    return true;
}

/* A field that the text does not give: zero, empty, not there. */
static inline bool oracle_absent(const ProtobufCFieldDescriptor *field, const char *message)
{
    static const char zero[16];
    if (field->label == PROTOBUF_C_LABEL_REPEATED)
        return memcmp(message + field->quantifier_offset, zero, sizeof(size_t)) == 0;
    if (field->flags & PROTOBUF_C_FIELD_FLAG_ONEOF) {
        uint32_t member;
        memcpy(&member, message + field->quantifier_offset, sizeof member);
        return member != field->id;
    }
    if (field->type == PROTOBUF_C_TYPE_BYTES)
        return ((const ProtobufCBinaryData *)(message + field->offset))->len == 0;
    return memcmp(message + field->offset, zero, oracle_element_size(field)) == 0;
}

static inline bool oracle_present(const ProtobufCFieldDescriptor *field, json_t *value,
                                  const char *message, unsigned depth)
{
    if (field->label == PROTOBUF_C_LABEL_REPEATED)
        return oracle_list(field, value, message, depth);
    if (field->flags & PROTOBUF_C_FIELD_FLAG_ONEOF) {
        uint32_t member;
        memcpy(&member, message + field->quantifier_offset, sizeof member);
        if (member != field->id)
            return member != 0; /* another member came later */
    }
    return oracle_value(field, value, message + field->offset, depth);
}

/* An index into a string table, which only profiles have: no part of our JSON. */
static inline bool oracle_is_index(const char *name)
{
    return strstr(name, "_strindex") != NULL;
}

/* False when the message is not what the object says. */
static bool oracle_message(json_t *object, const ProtobufCMessage *message, unsigned depth)
{
    if (depth > ORACLE_DEPTH_MAX)
        return true;
    if (!message || !json_is_object(object))
        return false;
    const ProtobufCMessageDescriptor *descriptor = message->descriptor;
    for (unsigned i = 0; i < descriptor->n_fields; i++) {
        const ProtobufCFieldDescriptor *field = &descriptor->fields[i];
        bool unsure = false;
        if (oracle_is_index(field->name))
            continue;
        json_t *value = oracle_member(object, field->name, &unsure);
        if (unsure)
            continue;
        bool same = value ? oracle_present(field, value, (const char *)message, depth)
                          : oracle_absent(field, (const char *)message);
        if (!same)
            return false;
    }
    return true;
}

/* The text as jansson reads it, or NULL when it cannot be judged. The caller's to decref. */
static inline json_t *oracle_tree(mw_slice text)
{
    return json_loadb(text.data, text.len, JSON_ALLOW_NUL | JSON_REJECT_DUPLICATES, NULL);
}

#endif
