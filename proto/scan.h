/* The validating pass: one walk over the bytes of an OTLP request, before anything is unpacked.
 *
 * Non-recursive, depth-safe, allocates nothing but the few words it returns. It checks the wire
 * format of every message down to the last AnyValue, checks UTF-8, and calls the sink once per
 * resource, scope and item with slices into the body and the hot fields already read. An item is
 * a span, a log record or a metric's data point. One that breaks a rule is refused by item
 * (OTLP 1.11, comments of the definitions); bytes that break the wire format refuse the request.
 * What the sink is given, protobuf-c unpacks (fuzz_scan, fuzz_scan_logs, fuzz_scan_metrics).
 * Source of numbers and rules: OTLP 1.11 (opentelemetry-proto ac2c4b5d) and the metrics data model.
 */
#ifndef MW_PROTO_SCAN_H
#define MW_PROTO_SCAN_H

#include "lib/base/arena.h"
#include "lib/base/buffer.h"
#include "lib/base/id.h"
#include "lib/base/slice.h"

/* Attribute nesting that is kept: SDKs limit themselves to 64 (specification PR 5186). Counted in
 * arrays and key-value lists: a scalar is level 0, an array of scalars level 1. */
#define MW_OTLP_DEPTH_MAX 64
/* Decode budget of one request (DESIGN 3.3): resources, scopes, spans, events, links, log records,
 * metrics, data points, exemplars, quantiles, attributes and array elements together. Bucket
 * counts and bounds are plain numbers, which the size of the body bounds. */
#define MW_OTLP_ITEMS_MAX 1000000u
/* Beyond this scale the base of an exponential histogram, 2^(2^-scale), is 1 as a double: its
 * buckets cannot be told apart. SDKs stop at 20. */
#define MW_OTLP_SCALE_MAX 52

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
    /* A value nested deeper than MW_OTLP_DEPTH_MAX: of the item, or of its metric, scope or
     * resource, which refuses every item below it. */
    MW_REFUSE_DEPTH,
    /* Data points, in the order they are judged, depth last. Name and temporality are the metric's
     * and refuse each of its points. */
    MW_REFUSE_METRIC_NAME, /* empty */
    MW_REFUSE_METRIC_KIND, /* of one kind of data, while data of another kind came later */
    MW_REFUSE_TEMPORALITY, /* 0, of a sum or a histogram */
    MW_REFUSE_POINT_TIME,  /* time_unix_nano is 0 */
    MW_REFUSE_POINT_VALUE, /* neither as_int nor as_double */
    MW_REFUSE_BUCKETS,     /* bucket_counts not one longer than explicit_bounds, nor both empty */
    MW_REFUSE_BOUNDS,      /* explicit_bounds not strictly increasing, or NaN */
    MW_REFUSE_BUCKET_SUM,  /* count is not the sum of the buckets */
    MW_REFUSE_SCALE,       /* scale above MW_OTLP_SCALE_MAX, or counts beyond any double */
    MW_REFUSE_QUANTILE,    /* outside 0 to 1 */
    MW_REFUSE_COUNT
} mw_refusal;
/* A phrase that goes behind a count ("trace_id not 16 bytes or all zero"); never NULL. */
const char *mw_refusal_text(mw_refusal refusal);

typedef struct mw_scan_resource {
    mw_slice bytes;      /* the Resource message; empty when absent */
    mw_slice schema_url; /* of ResourceSpans, ResourceLogs, ResourceMetrics */
    const mw_found *found;
    size_t found_count;
    bool bad_utf8;
} mw_scan_resource;

typedef struct mw_scan_scope {
    mw_slice bytes;      /* the InstrumentationScope message; empty when absent */
    mw_slice schema_url; /* of ScopeSpans, ScopeLogs, ScopeMetrics */
    const mw_found *found;
    size_t found_count;
    bool bad_utf8;
} mw_scan_scope;

/* Where an item stands on the wire: the index on each level, refused ones counted too. */
typedef struct mw_scan_place {
    uint32_t resource, scope, item; /* data points: the metric */
    uint32_t point;                 /* data points: in the metric's data of that kind; else 0 */
} mw_scan_place;

typedef struct mw_scan_span {
    mw_slice bytes; /* the Span message without tag and length */
    mw_scan_place place;
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

typedef struct mw_scan_log {
    mw_slice bytes; /* the LogRecord message without tag and length */
    mw_scan_place place;
    uint64_t time_ns;         /* 0 = unknown */
    uint64_t observed_ns;     /* 0 = unknown */
    uint32_t severity_number; /* as sent; 0 = not given, unknown numbers are kept */
    uint32_t flags;           /* as sent: the trace flags are the low 8 bits */
    mw_slice severity_text;
    mw_slice event_name; /* not empty: the record is an event */
    mw_value body;       /* EMPTY also when absent */
    bool has_body;       /* present, if only as an empty value */
    /* An id of another length or all zero means "not associated", which is no fault: zero here. */
    bool has_trace_id, has_span_id;
    uint8_t trace_id[MW_TRACE_ID_SIZE];
    uint8_t span_id[MW_SPAN_ID_SIZE];
    uint32_t attribute_count;
    const mw_found *found; /* valid during the call only */
    size_t found_count;
    bool bad_utf8; /* in the record, its resource or its scope */
} mw_scan_log;

typedef enum mw_metric_kind {
    MW_METRIC_NONE, /* no data: never given to a sink */
    MW_METRIC_GAUGE,
    MW_METRIC_SUM,
    MW_METRIC_HISTOGRAM,
    MW_METRIC_EXPONENTIAL_HISTOGRAM,
    MW_METRIC_SUMMARY,
    MW_METRIC_KINDS
} mw_metric_kind;
/* As OTLP spells the member of Metric ("exponential_histogram"); never NULL. */
const char *mw_metric_kind_name(mw_metric_kind kind);

typedef struct mw_scan_metric {
    /* The Metric message, its points included: those are checked only after this call, and refused
     * ones stay in here. Nothing may unpack it; see mw_metric_write_head. */
    mw_slice bytes;
    mw_slice name, unit, description;
    mw_metric_kind kind;
    uint32_t temporality; /* 1 delta, 2 cumulative, unknown numbers as sent; 0 without one */
    bool monotonic;       /* sums */
    uint32_t metadata_count;
    bool bad_utf8; /* in the metric, its resource or its scope */
} mw_scan_metric;

/* Appends the metric without its points: a Metric message that holds name, description, unit,
 * metadata, and data of its kind with temporality and monotonic alone. Equal for metrics that are
 * equal up to their points, whatever the order of fields on the wire; safe to keep and to unpack.
 * `metric` as a sink was given it; errors stick to the buffer. */
void mw_metric_write_head(const mw_scan_metric *metric, mw_buffer *out);

/* DataPointFlags: the series went away. */
#define MW_POINT_NO_RECORDED_VALUE 1u

typedef struct mw_scan_point {
    mw_slice bytes; /* the data point's message: which one follows from `kind` */
    mw_scan_place place;
    mw_metric_kind kind; /* of its metric */
    uint64_t time_ns;    /* never 0 */
    uint64_t start_ns;   /* 0 = unknown */
    uint32_t flags;      /* as sent */
    /* The flag MW_POINT_NO_RECORDED_VALUE: what the point says but for its times and attributes
     * is to be ignored, and no rule about values was asked of it. */
    bool no_value;
    mw_value value; /* gauge, sum: INT or DOUBLE (EMPTY only with no_value); else EMPTY */
    uint64_t count; /* histograms, summary */
    /* Presence matters: "no sum" is not "sum 0". A summary always has a sum, never min and max. */
    bool has_sum, has_min, has_max;
    double sum, min, max;
    uint32_t attribute_count, exemplar_count;
    const mw_found *found; /* valid during the call only */
    size_t found_count;
    bool bad_utf8; /* in the point, its metric, its resource or its scope */
} mw_scan_point;

/* A sink's calls come in wire order: resource, then its scopes, each followed by its items, also
 * when the fields came in another order; a metric comes before its points in the same way. Slices
 * point into the body and live as long as it; found lists are valid during the call only. A
 * resource, scope or metric that refuses all items below it (nested too deep; a metric without
 * name or temporality) is not reported, nor is a metric without data. Any error the sink returns
 * ends the scan with that error; after any error what the sink has seen is void. */
typedef struct mw_scan_sink {
    void *ctx;
    /* A resource or scope that came in several parts is put together in here, as protobuf merges
     * (concatenation), at most the size of the body in all. NULL: such a request is
     * MW_E_UNSUPPORTED. */
    mw_arena *arena;
    mw_err (*resource)(void *ctx, const mw_scan_resource *resource);
    mw_err (*scope)(void *ctx, const mw_scan_scope *scope);
    /* Only what belongs to the signal is called; the others may be NULL. */
    mw_err (*span)(void *ctx, const mw_scan_span *span);
    mw_err (*log)(void *ctx, const mw_scan_log *log);
    mw_err (*metric)(void *ctx, const mw_scan_metric *metric);
    mw_err (*point)(void *ctx, const mw_scan_point *point);
} mw_scan_sink;

/* "resource_metrics[999999].scope_metrics[999999].metrics[999999].exponential_histogram.
 * data_points[999999].time_unix_nano" has 119 characters; the budget bounds the numbers. */
#define MW_SCAN_PATH_SIZE 128

typedef struct mw_scan_result {
    uint64_t items; /* spans, log records or data points seen, refused ones included */
    uint64_t refused[MW_REFUSE_COUNT];
    uint64_t refused_total;
    uint64_t bad_utf8; /* items kept with bad text, their metric, resource and scope included */
    mw_refusal first_refusal;
    /* "resource_spans[0].scope_spans[1].spans[7].trace_id"; empty when none */
    char first_path[MW_SCAN_PATH_SIZE];
    size_t error_offset; /* of the body, with MW_E_SYNTAX: the broken field */
    /* With MW_E_SYNTAX: a known field has another wire type, which is what the body of another
     * signal looks like. */
    bool wrong_type;
    /* Something is nested too deep, if only a resource without items: the request must never be
     * unpacked as a whole. */
    bool too_deep;
} mw_scan_result;

/* `body` is an ExportTraceServiceRequest, ExportLogsServiceRequest or ExportMetricsServiceRequest;
 * `keys` may be NULL. MW_E_SYNTAX (wire format: the whole request is bad), MW_E_LIMIT (decode
 * budget), MW_E_NOMEM and MW_E_UNSUPPORTED (see `arena`), or what the sink returned. Any thread;
 * about 8 KiB of stack. What lies inside an attribute below the depth limit is checked by its
 * outer length only; such an item is never kept. */
MW_MUST_USE mw_err mw_scan_traces(mw_slice body, const mw_keyset *keys, const mw_scan_sink *sink,
                                  mw_scan_result *result);
/* No rule but depth refuses a log record. */
MW_MUST_USE mw_err mw_scan_logs(mw_slice body, const mw_keyset *keys, const mw_scan_sink *sink,
                                mw_scan_result *result);
/* A metric's data in several parts: the last part names the kind; points in parts of another kind
 * are refused, those of all parts of that kind belong to the metric. */
MW_MUST_USE mw_err mw_scan_metrics(mw_slice body, const mw_keyset *keys, const mw_scan_sink *sink,
                                   mw_scan_result *result);

#endif
