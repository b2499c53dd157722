/* One OTLP message, wire bytes to JSON, by the table that the reader has (json_schema.c).
 *
 * An object's members come field by field, whatever order they have on the wire: a first look at a
 * message notes which fields it has and which member of a choice counts, then each field's values
 * are gathered. Fields of one number mostly stand side by side, so that both looks are cheap; what
 * stands in between is passed over by its length. Messages below are put on an explicit stack,
 * which bounds nesting. A message that came in several parts is their concatenation (that is what
 * merging means), made in the caller's scratch memory. Any thread; pure but for the scratch.
 */
#include "proto/json_int.h"
#include "proto/scan.h"
#include "proto/wire.h"

/* A level of attribute nesting is a list, a KeyValue and an AnyValue; eight messages stand above
 * the first value. What is deeper was refused when it came in. */
#define FRAMES_MAX (8 + 3 * (MW_OTLP_DEPTH_MAX + 1))
/* Objects and lists that one frame may open before it is asked again. */
#define LEVELS_A_STEP 2

typedef struct frame {
    const mw_json_field *field; /* the next to be written, or whose list is open */
    const uint8_t *at;          /* of an open list of messages: its next element; NULL = none */
    const uint8_t *chosen;      /* where the member of the choice that counts came first */
    mw_slice bytes;
    uint32_t present; /* fields that came, by bit; of a choice the one that counts */
    uint32_t choice;
} frame;

typedef struct printer {
    mw_json *json;
    mw_arena *scratch;
    bool bare; /* the outermost message has no braces */
    size_t depth;
    frame frames[FRAMES_MAX];
} printer;

/* ---- the first look ------------------------------------------------------------------------ */

static mw_err survey(frame *open)
{
    const uint8_t *at = mw_wire_begin(open->bytes), *end = mw_wire_end(open->bytes);
    while (at < end) {
        mw_wire_field found;
        const uint8_t *begin = at;
        at = mw_wire_next(at, end, &found);
        if (!at)
            return MW_E_SYNTAX;
        uint32_t number = mw_wire_number(found.tag);
        if (number >= 32)
            continue;
        uint32_t bit = UINT32_C(1) << number;
        if (open->choice & bit && !(open->present & bit)) {
            open->present &= ~open->choice;
            open->chosen = begin;
        }
        open->present |= bit;
    }
    return MW_OK;
}

static mw_err push(printer *out, const mw_json_message *message, mw_slice bytes)
{
    if (out->depth == FRAMES_MAX || out->json->depth + LEVELS_A_STEP >= MW_JSON_DEPTH_MAX)
        return MW_E_INVALID;
    frame *open = &out->frames[out->depth++];
    *open = (frame){.field = message->fields, .bytes = bytes, .choice = message->choice};
    if (!out->bare || out->depth > 1)
        mw_json_object_begin(out->json);
    return survey(open);
}

/* ---- values -------------------------------------------------------------------------------- */

/* How a type stands on the wire. */
static unsigned wire_type_of(const mw_json_field *field)
{
    switch (field->type) {
    case MW_FIELD_MESSAGE:
    case MW_FIELD_STRING:
    case MW_FIELD_BYTES_BASE64:
    case MW_FIELD_ID16:
    case MW_FIELD_ID8: return MW_WIRE_BYTES;
    case MW_FIELD_FIXED64:
    case MW_FIELD_SFIXED64:
    case MW_FIELD_DOUBLE: return MW_WIRE_FIXED64;
    case MW_FIELD_FIXED32: return MW_WIRE_FIXED32;
    default: return MW_WIRE_VARINT;
    }
}

/* 64-bit integers are text in OTLP/JSON, whatever they are. */
static void write_long(mw_json *json, bool is_signed, uint64_t bits)
{
    char text[24];
    if (is_signed)
        snprintf(text, sizeof text, "%lld", (long long)(int64_t)bits);
    else
        snprintf(text, sizeof text, "%llu", (unsigned long long)bits);
    mw_json_string(json, mw_slice_of(text));
}

static void write_double(mw_json *json, uint64_t bits)
{
    double value;
    memcpy(&value, &bits, sizeof value);
    mw_json_double(json, value);
}

/* Zigzag. */
static int32_t unfold(uint32_t folded)
{
    return (int32_t)(folded >> 1 ^ (0 - (folded & 1)));
}

static void write_number(mw_json *json, const mw_json_field *field, uint64_t bits)
{
    switch (field->type) {
    case MW_FIELD_BOOL: mw_json_bool(json, bits != 0); break;
    case MW_FIELD_INT64:
    case MW_FIELD_SFIXED64: write_long(json, true, bits); break;
    case MW_FIELD_UINT64:
    case MW_FIELD_FIXED64: write_long(json, false, bits); break;
    case MW_FIELD_UINT32:
    case MW_FIELD_FIXED32: mw_json_u64(json, (uint32_t)bits); break;
    case MW_FIELD_SINT32: mw_json_i64(json, unfold((uint32_t)bits)); break;
    case MW_FIELD_DOUBLE: write_double(json, bits); break;
    default: mw_json_i64(json, (int32_t)(uint32_t)bits); break; /* INT32, ENUM */
    }
}

static void write_scalar(mw_json *json, const mw_json_field *field, const mw_wire_field *value)
{
    switch (field->type) {
    case MW_FIELD_STRING: mw_json_string(json, value->bytes); break;
    case MW_FIELD_BYTES_BASE64: mw_json_bytes_base64(json, value->bytes); break;
    case MW_FIELD_ID16:
    case MW_FIELD_ID8: mw_json_hex(json, value->bytes.data, value->bytes.len); break;
    default: write_number(json, field, value->number); break;
    }
}

/* Numbers of a list one behind the other, without tags. */
static mw_err write_packed(mw_json *json, const mw_json_field *field, mw_slice packed)
{
    const uint8_t *at = mw_wire_begin(packed), *end = mw_wire_end(packed);
    while (at < end) {
        mw_wire_field value = {.tag = MW_WIRE_TAG(field->number, wire_type_of(field))};
        at = mw_wire_payload(at, end, &value);
        if (!at)
            return MW_E_SYNTAX;
        write_number(json, field, value.number);
    }
    return MW_OK;
}

/* ---- fields -------------------------------------------------------------------------------- */

static const uint8_t *first_of(const frame *open)
{
    bool choice = open->choice >> open->field->number & 1;
    return choice ? open->chosen : mw_wire_begin(open->bytes);
}

/* The next value of the frame's field at or behind *at; false when there is none. The format was
 * looked at before, so only a wrong type can be wrong. */
static bool next_value(const frame *open, const uint8_t **at, mw_wire_field *found)
{
    const uint8_t *end = mw_wire_end(open->bytes);
    while (*at < end) {
        *at = mw_wire_next(*at, end, found);
        MW_ASSERT(*at);
        if (mw_wire_number(found->tag) == open->field->number)
            return true;
    }
    return false;
}

static bool fits(const mw_json_field *field, const mw_wire_field *value)
{
    return (value->tag & 7) == wire_type_of(field);
}

/* What can surely be had: blocks of an arena are larger than what is asked for. */
static size_t room_in(const mw_arena *scratch)
{
    return scratch->limit ? (scratch->limit - scratch->used) / 2 : SIZE_MAX;
}

/* A message's parts one behind the other; a single one as it lies there. */
static mw_err merge_parts(printer *out, const frame *open, mw_slice *merged)
{
    const uint8_t *at = first_of(open);
    mw_wire_field part;
    size_t count = 0, total = 0, used = 0;
    while (next_value(open, &at, &part)) {
        if (!fits(open->field, &part))
            return MW_E_SYNTAX;
        *merged = part.bytes;
        total += part.bytes.len;
        count++;
    }
    if (count < 2)
        return MW_OK;
    if (total > room_in(out->scratch))
        return MW_E_LIMIT;
    char *bytes = mw_arena_alloc(out->scratch, total + 1);
    if (!bytes)
        return MW_E_NOMEM;
    for (at = first_of(open); next_value(open, &at, &part); used += part.bytes.len)
        if (part.bytes.len)
            memcpy(bytes + used, part.bytes.data, part.bytes.len);
    *merged = mw_slice_bytes(bytes, total);
    return MW_OK;
}

/* The last of a scalar's values counts. */
static mw_err write_single(printer *out, const frame *open)
{
    const uint8_t *at = first_of(open);
    mw_wire_field value, last = {.tag = 0};
    while (next_value(open, &at, &value)) {
        if (!fits(open->field, &value))
            return MW_E_SYNTAX;
        last = value;
    }
    write_scalar(out->json, open->field, &last);
    return MW_OK;
}

static mw_err write_list(printer *out, const frame *open)
{
    const uint8_t *at = first_of(open);
    mw_wire_field value;
    bool packable = wire_type_of(open->field) != MW_WIRE_BYTES;
    mw_err err = MW_OK;
    mw_json_array_begin(out->json);
    while (!err && next_value(open, &at, &value)) {
        if (fits(open->field, &value))
            write_scalar(out->json, open->field, &value);
        else if (packable && (value.tag & 7) == MW_WIRE_BYTES)
            err = write_packed(out->json, open->field, value.bytes);
        else
            err = MW_E_SYNTAX;
    }
    mw_json_array_end(out->json);
    return err;
}

/* A list of messages stays open: its elements are frames of their own. */
static mw_err begin_field(printer *out, frame *open)
{
    const mw_json_field *field = open->field;
    mw_slice merged = MW_SLICE_NONE;
    mw_json_key(out->json, mw_slice_of(field->name));
    if (field->type == MW_FIELD_MESSAGE && field->repeated) {
        mw_json_array_begin(out->json);
        open->at = first_of(open);
        return MW_OK;
    }
    if (field->type != MW_FIELD_MESSAGE) {
        mw_err err = field->repeated ? write_list(out, open) : write_single(out, open);
        open->field++;
        return err;
    }
    mw_err err = merge_parts(out, open, &merged);
    open->field++;
    return err ? err : push(out, field->message, merged);
}

static mw_err next_element(printer *out, frame *open)
{
    mw_wire_field value;
    const mw_json_field *field = open->field;
    if (!next_value(open, &open->at, &value)) {
        mw_json_array_end(out->json);
        open->at = NULL;
        open->field++;
        return MW_OK;
    }
    return fits(field, &value) ? push(out, field->message, value.bytes) : MW_E_SYNTAX;
}

/* One field or element, or the end, of the innermost message. */
static mw_err step(printer *out)
{
    frame *open = &out->frames[out->depth - 1];
    if (open->at)
        return next_element(out, open);
    while (open->field->name && !(open->present >> open->field->number & 1))
        open->field++;
    if (open->field->name)
        return begin_field(out, open);
    if (!out->bare || out->depth > 1)
        mw_json_object_end(out->json);
    out->depth--;
    return MW_OK;
}

/* The frames are not cleared: they are most of it, and few are used. */
static void begin(printer *out, mw_json *json, mw_arena *scratch, bool bare)
{
    out->json = json;
    out->scratch = scratch;
    out->bare = bare;
    out->depth = 0;
}

static mw_err print(printer *out, const mw_json_message *message, mw_slice wire, uint32_t without)
{
    mw_err err = push(out, message, wire);
    if (!err)
        out->frames[0].present &= ~without;
    while (!err && out->depth && !out->json->out->err)
        err = step(out);
    return err;
}

mw_err mw_json_print(mw_json *json, const mw_json_message *message, mw_slice wire,
                     mw_arena *scratch)
{
    printer out;
    begin(&out, json, scratch, false);
    return print(&out, message, wire, 0);
}

mw_err mw_json_print_members(mw_json *json, const mw_json_message *message, mw_slice wire,
                             uint32_t without, mw_arena *scratch)
{
    printer out;
    begin(&out, json, scratch, true);
    return print(&out, message, wire, without);
}
