/* The validating pass: one walk over the bytes of an OTLP request, before anything is unpacked.
 *
 * Non-recursive, depth-safe, allocates nothing but the few words it returns. It checks the wire
 * format of every message down to the last AnyValue, checks UTF-8, and calls the sink once per
 * resource, scope and item with slices into the body and the hot fields already read. A span
 * that breaks a rule is refused by item (facts/otlp-wire.md section 3); bytes that break the
 * wire format refuse the request. What the sink is given, protobuf-c unpacks (fuzz_scan).
 * Source of numbers and rules: OTLP 1.11 (opentelemetry-proto ac2c4b5d).
 */
#ifndef MW_PROTO_SCAN_H
#define MW_PROTO_SCAN_H

#include "lib/base/arena.h"
#include "lib/base/id.h"
#include "lib/base/slice.h"

/* Attribute nesting that is kept: SDKs limit themselves to 64 (specification PR 5186). Counted in
 * arrays and key-value lists: a scalar is level 0, an array of scalars level 1. */
#define MW_OTLP_DEPTH_MAX 64
/* Decode budget of one request (DESIGN 3.3): spans, events, links, attributes, array elements,
 * resources and scopes together. */
#define MW_OTLP_ITEMS_MAX 1000000u

/* A set of attribute keys whose values the caller wants to see; built once, read by all threads. */
typedef struct mw_keyset mw_keyset;
/* Key i of `keys` gets id i. Aborts on duplicates or more than 256 keys (start-up). The strings
 * are borrowed: literals. */
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
    /* An attribute nested deeper than MW_OTLP_DEPTH_MAX: of the span, or of its resource or scope,
     * which refuses every span below it. */
    MW_REFUSE_DEPTH,
    MW_REFUSE_COUNT
} mw_refusal;
/* A phrase that goes behind a count ("trace_id not 16 bytes or all zero"); never NULL. */
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
    bool bad_utf8;            /* in the span, its resource or its scope */
    bool has_exception_event; /* an event named "exception" */
} mw_scan_span;

/* A sink's calls come in wire order: resource, then its scopes, each followed by its spans, also
 * when the fields came in another order. Slices point into the body and live as long as it; found
 * lists are valid during the call only. A resource or scope that is nested too deep is not
 * reported, since its spans are refused. Any error the sink returns ends the scan with that
 * error; after any error what the sink has seen is void. */
typedef struct mw_scan_sink {
    void *ctx;
    /* A resource or scope that came in several parts is put together in here, as protobuf merges
     * (concatenation), at most the size of the body in all. NULL: such a request is
     * MW_E_UNSUPPORTED. */
    mw_arena *arena;
    mw_err (*resource)(void *ctx, const mw_scan_resource *resource);
    mw_err (*scope)(void *ctx, const mw_scan_scope *scope);
    mw_err (*span)(void *ctx, const mw_scan_span *span);
} mw_scan_sink;

typedef struct mw_scan_result {
    uint64_t items; /* spans seen, refused ones included */
    uint64_t refused[MW_REFUSE_COUNT];
    uint64_t refused_total;
    uint64_t bad_utf8; /* spans kept with bad text, their resource and scope included */
    mw_refusal first_refusal;
    /* "resource_spans[0].scope_spans[1].spans[7].trace_id"; empty when none */
    char first_path[128];
    size_t error_offset; /* of the body, with MW_E_SYNTAX: the broken field */
    /* With MW_E_SYNTAX: a known field has another wire type, which is what the body of another
     * signal looks like. */
    bool wrong_type;
    /* Something is nested too deep, if only a resource without spans: the request must never be
     * unpacked as a whole. */
    bool too_deep;
} mw_scan_result;

/* `body` is an ExportTraceServiceRequest; `keys` may be NULL. MW_E_SYNTAX (wire format: the whole
 * request is bad), MW_E_LIMIT (decode budget), MW_E_NOMEM and MW_E_UNSUPPORTED (see `arena`), or
 * what the sink returned. Any thread; about 8 KiB of stack. What lies inside an attribute below
 * the depth limit is checked by its outer length only; such a span is never kept. */
MW_MUST_USE mw_err mw_scan_traces(mw_slice body, const mw_keyset *keys, const mw_scan_sink *sink,
                                  mw_scan_result *result);

#endif
