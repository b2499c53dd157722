/* The validating pass: one walk over the bytes of an OTLP request, before anything is unpacked.
 *
 * Non-recursive, depth-safe, allocates nothing but the few words it returns. It checks the wire
 * format of every message down to the last AnyValue, checks UTF-8, and calls the sink once per
 * resource, scope and item with slices into the body and the hot fields already read. A span
 * that breaks a rule is refused by item (facts/otlp-wire.md section 3); bytes that break the
 * wire format refuse the request. What passes here, protobuf-c unpacks (differential test).
 * Source of numbers and rules: OTLP 1.11 (opentelemetry-proto ac2c4b5d).
 */
#ifndef MW_PROTO_SCAN_H
#define MW_PROTO_SCAN_H

#include "lib/base/id.h"
#include "lib/base/slice.h"

/* Attribute nesting that is kept: SDKs limit themselves to 64 (specification PR 5186). */
#define MW_OTLP_DEPTH_MAX 64
/* Decode budget of one request (DESIGN 3.3): spans, events, links, attributes, array elements,
 * resources and scopes together. */
#define MW_OTLP_ITEMS_MAX 1000000u

/* A set of attribute keys whose values the caller wants to see; built once, read by all threads. */
typedef struct mw_keyset mw_keyset;
/* Key i of `keys` gets id i. Aborts on duplicates or more than 256 keys (start-up). */
mw_keyset *mw_keyset_new(const char *const *keys, size_t count);
void mw_keyset_free(mw_keyset *set);
/* -1 when not of the set. */
int mw_keyset_find(const mw_keyset *set, mw_slice key);

typedef enum mw_value_type {
    MW_VALUE_EMPTY,
    MW_VALUE_STRING,
    MW_VALUE_BOOL,
    MW_VALUE_INT,
    MW_VALUE_DOUBLE,
    MW_VALUE_ARRAY,
    MW_VALUE_KVLIST,
    MW_VALUE_BYTES
} mw_value_type;

typedef struct mw_value {
    mw_value_type type;
    mw_slice bytes; /* STRING, BYTES: content; ARRAY, KVLIST: the message's bytes */
    union {
        int64_t i;
        double d;
        bool b;
    } as;
} mw_value;

/* One attribute of the keyset that was found; the last of equal keys wins. */
typedef struct mw_found {
    int key; /* id in the keyset */
    mw_value value;
} mw_found;

/* Distinct keys kept per item; further ones are ignored for resolution (never for storage). */
#define MW_FOUND_MAX 64

typedef enum mw_refusal {
    MW_REFUSE_NONE,
    MW_REFUSE_TRACE_ID,  /* not 16 bytes, or all zero */
    MW_REFUSE_SPAN_ID,   /* not 8 bytes, or all zero */
    MW_REFUSE_PARENT_ID, /* neither empty nor 8 bytes */
    MW_REFUSE_DEPTH,     /* attribute nested deeper than MW_OTLP_DEPTH_MAX */
    MW_REFUSE_COUNT
} mw_refusal;
const char *mw_refusal_text(mw_refusal refusal);

typedef struct mw_scan_resource {
    mw_slice bytes;      /* the Resource message; empty when absent */
    mw_slice schema_url; /* of ResourceSpans */
    const mw_found *found;
    size_t found_count;
    bool bad_utf8;
} mw_scan_resource;

typedef struct mw_scan_scope {
    mw_slice bytes;      /* the InstrumentationScope message; empty when absent */
    mw_slice schema_url; /* of ScopeSpans */
    const mw_found *found;
    size_t found_count;
    bool bad_utf8;
} mw_scan_scope;

typedef struct mw_scan_span {
    mw_slice bytes; /* the Span message without tag and length */
    uint8_t trace_id[MW_TRACE_ID_SIZE];
    uint8_t span_id[MW_SPAN_ID_SIZE];
    uint8_t parent_span_id[MW_SPAN_ID_SIZE]; /* zero = root */
    uint64_t start_ns, end_ns;
    uint32_t kind; /* SpanKind as sent; unknown numbers are kept */
    uint32_t status_code;
    mw_slice name;
    mw_slice status_message;
    uint32_t event_count, link_count, attribute_count;
    const mw_found *found; /* valid during the call only */
    size_t found_count;
    bool bad_utf8;
    bool has_exception_event; /* an event named "exception" */
} mw_scan_span;

/* A sink's calls come in wire order: resource, then its scopes, each followed by its spans. Any
 * error it returns ends the scan with that error. */
typedef struct mw_scan_sink {
    void *ctx;
    mw_err (*resource)(void *ctx, const mw_scan_resource *resource);
    mw_err (*scope)(void *ctx, const mw_scan_scope *scope);
    mw_err (*span)(void *ctx, const mw_scan_span *span);
} mw_scan_sink;

typedef struct mw_scan_result {
    uint64_t items; /* spans seen, refused ones included */
    uint64_t refused[MW_REFUSE_COUNT];
    uint64_t refused_total;
    uint64_t bad_utf8; /* spans kept with bad text */
    mw_refusal first_refusal;
    /* "resource_spans[0].scope_spans[1].spans[7].trace_id"; empty when none */
    char first_path[128];
    size_t error_offset; /* of the body, with MW_E_SYNTAX */
} mw_scan_result;

/* `body` is an ExportTraceServiceRequest. MW_E_SYNTAX (wire format: the whole request is bad),
 * MW_E_LIMIT (decode budget), or what the sink returned. `resources_found` limits: the scan keeps
 * at most MW_FOUND_MAX values for each of resource, scope and span on its stack. */
MW_MUST_USE mw_err mw_scan_traces(mw_slice body, const mw_keyset *keys, const mw_scan_sink *sink,
                                  mw_scan_result *result);

#endif
