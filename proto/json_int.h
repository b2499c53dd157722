/* Private to the JSON reader and writer: tokens (json_lexer.c), the schema tables (json_schema.c),
 * single messages as JSON (json_print.c). */
#ifndef MW_PROTO_JSON_INT_H
#define MW_PROTO_JSON_INT_H

#include "lib/base/buffer.h"
#include "lib/base/json_writer.h"
#include "proto/json.h"

/* ---- tokens -------------------------------------------------------------------------------- */

typedef enum mw_json_token_type {
    MW_JSON_END,
    MW_JSON_OBJECT_BEGIN,
    MW_JSON_OBJECT_END,
    MW_JSON_ARRAY_BEGIN,
    MW_JSON_ARRAY_END,
    MW_JSON_COLON,
    MW_JSON_COMMA,
    MW_JSON_STRING,
    MW_JSON_NUMBER,
    MW_JSON_TRUE,
    MW_JSON_FALSE,
    MW_JSON_NULL,
    MW_JSON_BAD /* lexer->problem says why */
} mw_json_token_type;

typedef struct mw_json_token {
    mw_json_token_type type;
    mw_slice text;    /* STRING: between the quotes, escapes as they are; NUMBER: its characters */
    bool has_escapes; /* STRING */
} mw_json_token;

typedef struct mw_json_lexer {
    mw_slice text;
    size_t at;
    const char *problem;
} mw_json_lexer;

/* RFC 8259, strict: bad UTF-8, raw control characters and lone surrogates are BAD. */
mw_json_token mw_json_next(mw_json_lexer *lexer);
/* Appends the string's value, escapes resolved. */
void mw_json_unescape(mw_slice raw, mw_buffer *out);
/* A JSON number or the same inside a string, when its value is a whole number: sign and magnitude.
 * "1.0" and "1e3" are whole. MW_E_SYNTAX, MW_E_INVALID (a fraction), MW_E_LIMIT. */
MW_MUST_USE mw_err mw_json_whole(mw_slice text, bool *negative, uint64_t *magnitude);
/* MW_E_SYNTAX, MW_E_LIMIT (beyond double's range). */
MW_MUST_USE mw_err mw_json_real(mw_slice text, double *value);

/* ---- schema -------------------------------------------------------------------------------- */

typedef enum mw_field_type {
    MW_FIELD_MESSAGE,
    MW_FIELD_STRING,
    MW_FIELD_BYTES_BASE64,
    MW_FIELD_ID16,
    MW_FIELD_ID8,
    MW_FIELD_BOOL,
    MW_FIELD_INT64,  /* varint, signed */
    MW_FIELD_UINT64, /* varint */
    MW_FIELD_INT32,  /* varint, signed */
    MW_FIELD_UINT32, /* varint */
    MW_FIELD_SINT32, /* varint, zigzag */
    MW_FIELD_ENUM,   /* varint; names taken too */
    MW_FIELD_FIXED64,
    MW_FIELD_SFIXED64,
    MW_FIELD_FIXED32,
    MW_FIELD_DOUBLE
} mw_field_type;

typedef struct mw_json_enum {
    const char *name;
    uint32_t value;
} mw_json_enum;

struct mw_json_message;

typedef struct mw_json_field {
    const char *name; /* lowerCamelCase */
    uint8_t number;
    uint8_t type;
    bool repeated;
    const struct mw_json_message *message; /* MW_FIELD_MESSAGE */
    const mw_json_enum *names;             /* MW_FIELD_ENUM; ends with a NULL name */
} mw_json_field;

typedef struct mw_json_message {
    const char *name;
    const mw_json_field *fields; /* ends with a NULL name */
    uint32_t choice; /* numbers of which the last that comes counts (a oneof of several), by bit */
} mw_json_message;

/* Messages that are written for themselves. */
typedef enum mw_json_part {
    MW_JSON_RESOURCE,
    MW_JSON_SCOPE,
    MW_JSON_SPAN,
    MW_JSON_LOG_RECORD,
    MW_JSON_METRIC,
} mw_json_part;

const mw_json_message *mw_json_request(mw_json_kind kind);
const mw_json_message *mw_json_message_of(mw_json_part part);
/* A metric's field for data of that kind, whose message begins with its list of points. */
const mw_json_field *mw_json_metric_data(mw_metric_kind kind);
/* NULL when the message has no such field. *snake says that it was the snake_case spelling. */
const mw_json_field *mw_json_field_find(const mw_json_message *message, mw_slice key, bool *snake);

/* ---- json_print.c: wire bytes as JSON -------------------------------------------------------- */

/* Writes the message as one object. What the table does not have is passed over, a field that came
 * in parts is merged in `scratch` (the caller's to reset). MW_E_SYNTAX: not the wire format of that
 * message; MW_E_INVALID: nested deeper than what is kept; MW_E_LIMIT: `scratch` is full;
 * MW_E_NOMEM. Errors of the buffer beneath `json` stay there. What was written before an error is
 * the caller's to take back. Pure; any thread. */
MW_MUST_USE mw_err mw_json_print(mw_json *json, const mw_json_message *message, mw_slice wire,
                                 mw_arena *scratch);
/* The same without the braces, for an object that goes on, and without the fields whose bits
 * `without` has. */
MW_MUST_USE mw_err mw_json_print_members(mw_json *json, const mw_json_message *message,
                                         mw_slice wire, uint32_t without, mw_arena *scratch);

#endif
