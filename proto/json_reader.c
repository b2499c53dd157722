/* OTLP/JSON to wire bytes. Contract: json.h.
 *
 * One loop over tokens with a stack of open objects and lists. A message's length stands before
 * its content on the wire, so one byte is kept free for it and widened when the message ends;
 * messages nest about six deep, which bounds the moving. Values under keys that nobody knows are
 * skipped with one bit a level. An attribute nested deeper than the stack is cut there: what is
 * left is still deeper than MW_OTLP_DEPTH_MAX, so that the validating pass refuses its item.
 */
#include "lib/base/id.h"
#include "proto/json_int.h"
#include "proto/scan.h"
#include "proto/wire.h"

/* A level of attribute nesting opens at most four frames (list object, list, pair, value); twelve
 * stand above the first value. */
#define FRAMES_MAX (12 + 4 * (MW_OTLP_DEPTH_MAX + 3))
/* A known key has at most 24 characters; a longer one is unknown whatever its escapes say. */
#define KEY_MAX 64
#define NO_LENGTH SIZE_MAX

typedef struct frame {
    const mw_json_message *message; /* an open object */
    const mw_json_field *field;     /* the list's field; for an object, the key being read */
    size_t length_at;               /* where its length stands in `out`; NO_LENGTH */
    size_t tag_at;                  /* where its tag stands */
    uint32_t count;                 /* members or elements begun */
    uint32_t messages;              /* an open object: its members that are messages, by number */
    bool is_list;
    bool repeated_key; /* an object under a key that came before */
} frame;

typedef struct reader {
    mw_json_lexer lexer;
    mw_buffer *out;
    mw_json_notes *notes;
    mw_detail *detail;
    size_t depth;
    frame frames[FRAMES_MAX];
} reader;

/* ---- words for a person -------------------------------------------------------------------- */

static void write_path(const reader *in, char *path, size_t size)
{
    size_t at = 0;
    path[0] = '\0';
    for (size_t i = 0; i < in->depth && at < size - 1; i++) {
        const frame *open = &in->frames[i];
        int n = 0;
        if (open->is_list)
            n = snprintf(path + at, size - at, "[%u]", open->count ? open->count - 1 : 0);
        else if (open->field)
            n = snprintf(path + at, size - at, "%s%s", at ? "." : "", open->field->name);
        at += n > 0 ? (size_t)n : 0;
    }
}

static mw_err broken(reader *in, const char *problem)
{
    return mw_detail_set(in->detail, MW_E_SYNTAX, "", "send OTLP/JSON as RFC 8259 text",
                         "not JSON at byte %zu: %s", in->lexer.at, problem);
}

static mw_err unexpected(reader *in, mw_json_token token)
{
    return broken(in, token.type == MW_JSON_BAD   ? in->lexer.problem
                      : token.type == MW_JSON_END ? "the text ends too early"
                                                  : "unexpected token");
}

static mw_err misfit(reader *in, const char *expected)
{
    char path[96];
    write_path(in, path, sizeof path);
    return mw_detail_set(in->detail, MW_E_INVALID, path, "see OTLP's JSON encoding",
                         "%s: expected %s", path, expected);
}

static void note(reader *in, uint64_t *counter, mw_slice what)
{
    char path[64];
    if ((*counter)++ || in->notes->first[0])
        return;
    write_path(in, path, sizeof path);
    snprintf(in->notes->first, sizeof in->notes->first, "%s (%.*s)", path,
             (int)(what.len < 28 ? what.len : 28), what.data);
}

/* ---- wire output --------------------------------------------------------------------------- */

static void put_fixed(mw_buffer *out, uint64_t value, size_t size)
{
    value = htole64(value);
    mw_buffer_append(out, &value, size);
}

static void put_tag(mw_buffer *out, const mw_json_field *field, unsigned type)
{
    mw_wire_append_varint(out, MW_WIRE_TAG(field->number, type));
}

static size_t open_length(mw_buffer *out)
{
    mw_buffer_append_byte(out, 0);
    return out->len - 1;
}

static void close_length(mw_buffer *out, size_t at)
{
    if (at == NO_LENGTH || out->err != MW_OK)
        return;
    size_t content = out->len - at - 1, extra = 0;
    for (size_t rest = content >> 7; rest; rest >>= 7)
        extra++;
    if (extra) {
        if (!mw_buffer_reserve(out, extra))
            return;
        memmove(out->data + at + 1 + extra, out->data + at + 1, content);
        out->len += extra;
    }
    size_t left = content;
    for (size_t i = 0; i <= extra; i++, left >>= 7)
        out->data[at + i] = (char)((left & 0x7f) | (i < extra ? 0x80u : 0));
}

/* ---- scalars ------------------------------------------------------------------------------- */

/* The text of a number token, or of a string that stands for one. */
static bool numeric_text(mw_json_token token, mw_slice *text)
{
    *text = token.text;
    return token.type == MW_JSON_NUMBER || (token.type == MW_JSON_STRING && !token.has_escapes);
}

static mw_err whole_in(mw_json_token token, int64_t min, uint64_t max, uint64_t *bits)
{
    mw_slice text;
    bool negative;
    uint64_t magnitude;
    if (!numeric_text(token, &text) || mw_json_whole(text, &negative, &magnitude) != MW_OK)
        return MW_E_INVALID;
    if (negative && magnitude > (uint64_t)0 - (uint64_t)min)
        return MW_E_INVALID;
    if (!negative && magnitude > max)
        return MW_E_INVALID;
    *bits = negative ? 0 - magnitude : magnitude;
    return MW_OK;
}

static mw_err read_double(mw_json_token token, double *value)
{
    static const struct {
        mw_slice text;
        double value;
    } names[] = {{MW_SLICE_INIT("NaN"), __builtin_nan("")},
                 {MW_SLICE_INIT("Infinity"), __builtin_inf()},
                 {MW_SLICE_INIT("-Infinity"), -__builtin_inf()}};
    mw_slice text;
    if (!numeric_text(token, &text))
        return MW_E_INVALID;
    for (size_t i = 0; token.type == MW_JSON_STRING && i < sizeof names / sizeof names[0]; i++)
        if (mw_slice_equal(text, names[i].text)) {
            *value = names[i].value;
            return MW_OK;
        }
    return mw_json_real(text, value) == MW_OK ? MW_OK : MW_E_INVALID;
}

static mw_err read_enum(reader *in, const mw_json_field *field, mw_json_token token, uint64_t *bits)
{
    if (whole_in(token, INT32_MIN, INT32_MAX, bits) == MW_OK)
        return MW_OK;
    for (const mw_json_enum *known = field->names; token.type == MW_JSON_STRING && known->name;
         known++)
        if (mw_slice_equal(token.text, mw_slice_of(known->name))) {
            note(in, &in->notes->enum_names, token.text);
            *bits = known->value;
            return MW_OK;
        }
    return MW_E_INVALID;
}

typedef struct integer_rule {
    int64_t min;
    uint64_t max;
    unsigned wire;
    const char *expected;
} integer_rule;

static const integer_rule integer_rules[] = {
    [MW_FIELD_INT64] = {INT64_MIN, INT64_MAX, MW_WIRE_VARINT, "a 64-bit integer or its text"},
    [MW_FIELD_UINT64] = {0, UINT64_MAX, MW_WIRE_VARINT, "an unsigned 64-bit integer or its text"},
    [MW_FIELD_INT32] = {INT32_MIN, INT32_MAX, MW_WIRE_VARINT, "a 32-bit integer"},
    [MW_FIELD_UINT32] = {0, UINT32_MAX, MW_WIRE_VARINT, "an unsigned 32-bit integer"},
    [MW_FIELD_SINT32] = {INT32_MIN, INT32_MAX, MW_WIRE_VARINT, "a 32-bit integer"},
    [MW_FIELD_ENUM] = {0, 0, MW_WIRE_VARINT, "an enum's number"},
    [MW_FIELD_FIXED64] = {0, UINT64_MAX, MW_WIRE_FIXED64, "an unsigned 64-bit integer or its text"},
    [MW_FIELD_SFIXED64] = {INT64_MIN, INT64_MAX, MW_WIRE_FIXED64, "a 64-bit integer or its text"},
    [MW_FIELD_FIXED32] = {0, UINT32_MAX, MW_WIRE_FIXED32, "an unsigned 32-bit integer"},
    [MW_FIELD_DOUBLE] = {0, 0, MW_WIRE_FIXED64, "a number, \"NaN\", \"Infinity\" or \"-Infinity\""},
};

static bool is_number(const mw_json_field *field)
{
    return field->type >= MW_FIELD_INT64;
}

static mw_err write_number(reader *in, const mw_json_field *field, mw_json_token token, bool tagged)
{
    const integer_rule *rule = &integer_rules[field->type];
    uint64_t bits = 0;
    double real = 0;
    mw_err err;
    if (field->type == MW_FIELD_DOUBLE) {
        err = read_double(token, &real);
        memcpy(&bits, &real, sizeof bits);
    } else if (field->type == MW_FIELD_ENUM) {
        err = read_enum(in, field, token, &bits);
    } else {
        err = whole_in(token, rule->min, rule->max, &bits);
    }
    if (err != MW_OK)
        return misfit(in, rule->expected);
    if (field->type == MW_FIELD_SINT32)
        bits = (bits << 1) ^ (UINT64_C(0) - (bits >> 63));
    if (tagged)
        put_tag(in->out, field, rule->wire);
    if (rule->wire == MW_WIRE_VARINT)
        mw_wire_append_varint(in->out, bits);
    else
        put_fixed(in->out, bits, rule->wire == MW_WIRE_FIXED64 ? 8 : 4);
    return MW_OK;
}

/* Ids are hex text, never base64. What is no id becomes one zero byte: wrong for every id, so
 * that the item and not the request pays for it. An empty text is an absent id. */
static void write_id(reader *in, mw_json_token token, size_t size)
{
    uint8_t id[MW_TRACE_ID_SIZE];
    MW_ASSERT(size <= sizeof id);
    if (token.text.len == 0)
        return;
    if (token.has_escapes || mw_hex_decode(token.text, id, size) != MW_OK)
        mw_buffer_append_byte(in->out, 0);
    else
        mw_buffer_append(in->out, id, size);
}

/* Base64 as proto3 readers take it: either alphabet, padding optional. */
static mw_err write_base64(reader *in, mw_slice text)
{
    uint32_t bits = 0;
    unsigned held = 0;
    while (text.len && text.data[text.len - 1] == '=')
        text.len--;
    for (size_t i = 0; i < text.len; i++) {
        char c = text.data[i];
        uint32_t digit = c >= 'A' && c <= 'Z'   ? (uint32_t)(c - 'A')
                         : c >= 'a' && c <= 'z' ? (uint32_t)(c - 'a') + 26
                         : c >= '0' && c <= '9' ? (uint32_t)(c - '0') + 52
                         : c == '+' || c == '-' ? 62
                         : c == '/' || c == '_' ? 63
                                                : 64;
        if (digit == 64)
            return misfit(in, "base64 text");
        bits = bits << 6 | digit;
        held += 6;
        if (held >= 8) {
            held -= 8;
            mw_buffer_append_byte(in->out, (char)(bits >> held));
        }
    }
    return held == 6 ? misfit(in, "base64 text") : MW_OK;
}

static mw_err write_text(reader *in, const mw_json_field *field, mw_json_token token)
{
    mw_err err = MW_OK;
    if (token.type != MW_JSON_STRING)
        return misfit(in, "a string");
    put_tag(in->out, field, MW_WIRE_BYTES);
    size_t length_at = open_length(in->out);
    if (field->type == MW_FIELD_ID16 || field->type == MW_FIELD_ID8)
        write_id(in, token, field->type == MW_FIELD_ID16 ? MW_TRACE_ID_SIZE : MW_SPAN_ID_SIZE);
    else if (field->type == MW_FIELD_BYTES_BASE64)
        err = token.has_escapes ? misfit(in, "base64 text") : write_base64(in, token.text);
    else if (token.has_escapes)
        mw_json_unescape(token.text, in->out);
    else
        mw_buffer_append_slice(in->out, token.text);
    close_length(in->out, length_at);
    return err;
}

/* `tagged` is false inside a packed list. */
static mw_err write_scalar(reader *in, const mw_json_field *field, mw_json_token token, bool tagged)
{
    if (is_number(field))
        return write_number(in, field, token, tagged);
    if (field->type != MW_FIELD_BOOL)
        return write_text(in, field, token);
    if (token.type != MW_JSON_TRUE && token.type != MW_JSON_FALSE)
        return misfit(in, "true or false");
    put_tag(in->out, field, MW_WIRE_VARINT);
    mw_wire_append_varint(in->out, token.type == MW_JSON_TRUE);
    return MW_OK;
}

/* ---- values that nobody knows -------------------------------------------------------------- */

static void push_bit(mw_buffer *bits, size_t depth, bool is_list)
{
    if (depth / 8 >= bits->len)
        mw_buffer_append_byte(bits, 0);
    if (bits->err != MW_OK)
        return;
    unsigned char *byte = (unsigned char *)bits->data + depth / 8;
    *byte = (unsigned char)((*byte & ~(1u << depth % 8)) | (unsigned)is_list << depth % 8);
}

static bool is_scalar(mw_json_token token)
{
    return token.type >= MW_JSON_STRING && token.type <= MW_JSON_NULL;
}

static bool opens(mw_json_token token)
{
    return token.type == MW_JSON_OBJECT_BEGIN || token.type == MW_JSON_ARRAY_BEGIN;
}

/* The next token inside a value being skipped: commas, keys and colons are checked and eaten. */
static mw_err skip_step(reader *in, bool is_list, bool first, mw_json_token *token)
{
    mw_json_token_type closer = is_list ? MW_JSON_ARRAY_END : MW_JSON_OBJECT_END;
    *token = mw_json_next(&in->lexer);
    if (token->type == closer)
        return MW_OK;
    if (!first) {
        if (token->type != MW_JSON_COMMA)
            return unexpected(in, *token);
        *token = mw_json_next(&in->lexer);
    }
    if (!is_list) {
        if (token->type != MW_JSON_STRING || mw_json_next(&in->lexer).type != MW_JSON_COLON)
            return unexpected(in, *token);
        *token = mw_json_next(&in->lexer);
    }
    /* Only a value may stand here: a closer behind a comma or a colon ends nothing. */
    return is_scalar(*token) || opens(*token) ? MW_OK : unexpected(in, *token);
}

static mw_err skip_value(reader *in, mw_json_token token)
{
    mw_buffer bits; /* one a level: is it a list? */
    mw_buffer_init(&bits, MW_MEM_INGEST, in->lexer.text.len / 8 + 1);
    size_t depth = 0;
    mw_err err = MW_OK;
    for (bool first;;) {
        first = opens(token);
        if (first)
            push_bit(&bits, depth++, token.type == MW_JSON_ARRAY_BEGIN);
        else if (depth && (token.type == MW_JSON_OBJECT_END || token.type == MW_JSON_ARRAY_END))
            depth--;
        else if (!is_scalar(token))
            err = unexpected(in, token);
        if (err == MW_OK)
            err = bits.err;
        if (err != MW_OK || depth == 0)
            break;
        bool is_list = (unsigned char)bits.data[(depth - 1) / 8] >> (depth - 1) % 8 & 1;
        err = skip_step(in, is_list, first, &token);
        if (err != MW_OK)
            break;
    }
    mw_buffer_fini(&bits);
    return err;
}

/* ---- objects and lists --------------------------------------------------------------------- */

static frame *push(reader *in, const mw_json_message *message, const mw_json_field *list,
                   size_t length_at)
{
    MW_ASSERT(in->depth < FRAMES_MAX);
    frame *opened = &in->frames[in->depth++];
    *opened = (frame){
        .message = message, .field = list, .length_at = length_at, .is_list = message == NULL};
    return opened;
}

/* Notes that the innermost open object has this message; true when it had it before. */
static bool note_message(reader *in, const mw_json_field *field)
{
    frame *open = &in->frames[in->depth - 1];
    uint32_t bit = UINT32_C(1) << field->number;
    MW_ASSERT(field->number < 32 && !open->is_list);
    bool before = open->messages & bit;
    open->messages |= bit;
    return before;
}

/* The end of the innermost object or list. Objects under equal keys merge as messages in parts
 * do; an empty one adds nothing and is taken back, since two empty values side by side are the one
 * thing that does not unpack (scan_int.h). */
static void pop(reader *in)
{
    const frame *ended = &in->frames[--in->depth];
    if (ended->repeated_key && in->out->len == ended->length_at + 1)
        in->out->len = ended->tag_at;
    else
        close_length(in->out, ended->length_at);
}

/* An element of a list, or the one value of a field. */
static mw_err read_single(reader *in, const mw_json_field *field, mw_json_token token, bool in_list)
{
    if (field->type != MW_FIELD_MESSAGE)
        return write_scalar(in, field, token, !(in_list && is_number(field)));
    if (token.type != MW_JSON_OBJECT_BEGIN && !(in_list && token.type == MW_JSON_NULL))
        return misfit(in, "an object");
    bool repeated_key = !in_list && note_message(in, field);
    size_t tag_at = in->out->len;
    put_tag(in->out, field, MW_WIRE_BYTES);
    size_t length_at = open_length(in->out);
    /* null in a list keeps its place as an empty message. */
    if (token.type == MW_JSON_NULL)
        return MW_OK;
    if (in->depth == FRAMES_MAX)
        return skip_value(in, token);
    frame *opened = push(in, field->message, NULL, length_at);
    opened->tag_at = tag_at;
    opened->repeated_key = repeated_key;
    return MW_OK;
}

static mw_err read_value(reader *in, const mw_json_field *field, mw_json_token token)
{
    if (token.type == MW_JSON_BAD)
        return unexpected(in, token);
    if (!field)
        return skip_value(in, token);
    if (token.type == MW_JSON_NULL)
        return MW_OK;
    if (!field->repeated)
        return read_single(in, field, token, false);
    if (token.type != MW_JSON_ARRAY_BEGIN)
        return misfit(in, "an array");
    if (in->depth == FRAMES_MAX)
        return skip_value(in, token);
    size_t length_at = NO_LENGTH;
    if (is_number(field)) {
        put_tag(in->out, field, MW_WIRE_BYTES);
        length_at = open_length(in->out);
    }
    push(in, NULL, field, length_at);
    return MW_OK;
}

static const mw_json_field *find_key(reader *in, const frame *open, mw_json_token key)
{
    char resolved[KEY_MAX];
    mw_slice name = key.text;
    bool snake;
    if (key.has_escapes) {
        mw_buffer text;
        mw_buffer_init(&text, MW_MEM_INGEST, sizeof resolved);
        mw_json_unescape(key.text, &text);
        name = (mw_slice){resolved, text.err == MW_OK ? text.len : 0};
        if (name.len)
            memcpy(resolved, text.data, name.len);
        mw_buffer_fini(&text);
    }
    const mw_json_field *field = mw_json_field_find(open->message, name, &snake);
    if (snake)
        note(in, &in->notes->snake_case_keys, name);
    return field;
}

static mw_err read_member(reader *in, frame *open, mw_json_token key)
{
    if (key.type != MW_JSON_STRING)
        return unexpected(in, key);
    open->field = NULL; /* a note about the key itself is about this object */
    open->field = find_key(in, open, key);
    mw_json_token colon = mw_json_next(&in->lexer);
    if (colon.type != MW_JSON_COLON)
        return unexpected(in, colon);
    return read_value(in, open->field, mw_json_next(&in->lexer));
}

/* One member or element, or the end, of the innermost open object or list. */
static mw_err step(reader *in)
{
    frame *open = &in->frames[in->depth - 1];
    mw_json_token token = mw_json_next(&in->lexer);
    if (token.type == (open->is_list ? MW_JSON_ARRAY_END : MW_JSON_OBJECT_END)) {
        pop(in);
        return MW_OK;
    }
    if (open->count++ > 0) {
        if (token.type != MW_JSON_COMMA)
            return unexpected(in, token);
        token = mw_json_next(&in->lexer);
    }
    if (open->is_list && token.type == MW_JSON_BAD)
        return unexpected(in, token);
    return open->is_list ? read_single(in, open->field, token, true) : read_member(in, open, token);
}

mw_err mw_json_to_wire(mw_slice text, mw_json_kind kind, mw_buffer *out, mw_json_notes *notes,
                       mw_detail *detail)
{
    reader in = {.lexer = {.text = text}, .out = out, .notes = notes, .detail = detail};
    *notes = (mw_json_notes){0};
    mw_json_token token = mw_json_next(&in.lexer);
    if (token.type == MW_JSON_END)
        return broken(&in, "the body is empty; an empty request is {}");
    if (token.type != MW_JSON_OBJECT_BEGIN)
        return token.type == MW_JSON_BAD
                   ? unexpected(&in, token)
                   : mw_detail_set(detail, MW_E_SYNTAX, "", "an empty request is {}",
                                   "the request must be a JSON object");
    push(&in, mw_json_request(kind), NULL, NO_LENGTH);
    while (in.depth) {
        mw_err err = step(&in);
        if (err == MW_OK)
            err = out->err;
        if (err != MW_OK)
            return err;
    }
    token = mw_json_next(&in.lexer);
    return token.type == MW_JSON_END ? MW_OK : broken(&in, "text after the request");
}
