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

#include "lib/base/arena.h"
#include "lib/base/buffer.h"
#include "lib/base/json_writer.h"
#include "proto/scan.h"

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

/* ---- the way back --------------------------------------------------------------------------- */

/* One item as it is stored, with what it stood under. */
typedef struct mw_json_item {
    mw_slice resource, resource_url; /* Resource message; schema_url of its level */
    mw_slice scope, scope_url;
    mw_slice metric;     /* METRICS: the head (mw_metric_write_head) */
    mw_metric_kind kind; /* METRICS: of the head and the point */
    mw_slice bytes;      /* Span, LogRecord or data point message */
} mw_json_item;

/* Items in, one Export*ServiceRequest as OTLP/JSON out, in one pass: neighbours that share their
 * resource share its object, likewise scope and metric. It says what was sent: a field is there
 * when it was on the wire, also with its default; int64 are text, ids hex, enums numbers. Unknown
 * fields are left out, bad UTF-8 is replaced. One writer serves one answer on one thread. */
typedef struct mw_json_writer {
    mw_json json;
    mw_arena scratch; /* merges of fields that came in parts */
    mw_json_kind kind;
    unsigned open; /* levels below the request: resource, scope, metric */
    mw_json_item last;
} mw_json_writer;

/* Begins the request in `out`; scratch counts under `component` and is bounded by
 * MW_JSON_SCRATCH_MAX. */
void mw_json_writer_init(mw_json_writer *writer, mw_json_kind kind, mw_component component,
                         mw_buffer *out);
/* Slices of `item` live until the next call. MW_E_SYNTAX (stored bytes that are not what they were
 * when they came in) ends the answer. MW_E_LIMIT: its parts are more than scratch holds, the item
 * is left out whole and others may follow. MW_E_NOMEM; also the errors of `out`. */
MW_MUST_USE mw_err mw_json_writer_item(mw_json_writer *writer, const mw_json_item *item);
/* Ends the request and gives scratch back; the error of `out`, which is asked here too. */
MW_MUST_USE mw_err mw_json_writer_end(mw_json_writer *writer);
/* Gives scratch back without an end, behind an error. */
void mw_json_writer_abandon(mw_json_writer *writer);

/* Fields in parts are what no client sends: copies of them, one a level, are bounded by some times
 * the largest item that is shown. */
#define MW_JSON_SCRATCH_MAX ((size_t)32 << 20)

#endif
