/* OTLP/JSON in, wire bytes out: the second encoding becomes the first, and everything behind it
 * (validating pass, resolution, store) knows one form only.
 *
 * Streaming over the text with an explicit stack: no tree, no recursion, exact 64-bit numbers.
 * A library was weighed: jansson's tree costs many times the body and loses integers above
 * 2^63-1; yajl, the SAX reader Debian has, replaces lone surrogates by '?' and gives no budget.
 * Rules: OTLP 1.11 "JSON Protobuf Encoding" and facts of real clients: ids are hex text, 64-bit
 * integers are strings or numbers, enums are numbers (known names are taken and noted), null is
 * absent, unknown keys are ignored, the last of equal keys wins. snake_case keys are taken and
 * noted, since dropping them would lose data in silence.
 */
#ifndef MW_PROTO_JSON_H
#define MW_PROTO_JSON_H

#include "lib/base/buffer.h"

typedef enum mw_json_kind { MW_JSON_TRACES, MW_JSON_METRICS, MW_JSON_LOGS } mw_json_kind;

/* What was accepted although a strict reader need not: told to the sender as a warning. */
typedef struct mw_json_notes {
    uint64_t snake_case_keys;
    uint64_t enum_names;
    char first[96]; /* the first such key or name with its path; empty when none */
} mw_json_notes;

/* Reads one Export*ServiceRequest of `kind` and appends its wire form to `out` (whose maximum
 * bounds it). MW_E_SYNTAX (not JSON: detail names the offset), MW_E_INVALID (a value that does
 * not fit its field: detail names the path), MW_E_LIMIT or MW_E_NOMEM (of `out`). Ids that are not
 * hex become one zero byte, which the validating pass refuses by item. Any thread; pure. */
MW_MUST_USE mw_err mw_json_to_wire(mw_slice text, mw_json_kind kind, mw_buffer *out,
                                   mw_json_notes *notes, mw_detail *detail);

#endif
