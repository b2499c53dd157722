/* One stored OTLP message to protobuf-c's structs, in an arena.
 *
 * For answers that show whole items; the hot path never unpacks. protobuf-c checks neither depth
 * nor memory: only bytes that the validating pass (scan.h) has accepted may come in here, which
 * bounds the recursion to MW_OTLP_DEPTH_MAX levels, and the arena's limit bounds the memory.
 * One difference to the scan is known: of a sub-message that came in two parts, protobuf-c loses
 * the numbers of the first when the second has none (no client splits messages).
 * Everything returned lives in the arena; nothing is to be freed. Any thread with its own arena.
 * MW_E_NOMEM (arena or account), MW_E_SYNTAX (bytes that never passed the scan: a damaged store).
 */
#ifndef MW_PROTO_UNPACK_H
#define MW_PROTO_UNPACK_H

#include "lib/base/arena.h"
#include "proto/otlp_logs.pb-c.h"
#include "proto/otlp_metrics.pb-c.h"
#include "proto/otlp_trace.pb-c.h"

typedef Opentelemetry__Proto__Trace__V1__Span mw_otlp_span;
typedef Opentelemetry__Proto__Trace__V1__Span__Event mw_otlp_event;
typedef Opentelemetry__Proto__Trace__V1__Span__Link mw_otlp_link;
typedef Opentelemetry__Proto__Trace__V1__Status mw_otlp_status;
typedef Opentelemetry__Proto__Resource__V1__Resource mw_otlp_resource;
typedef Opentelemetry__Proto__Common__V1__InstrumentationScope mw_otlp_scope;
typedef Opentelemetry__Proto__Common__V1__KeyValue mw_otlp_key_value;
typedef Opentelemetry__Proto__Common__V1__AnyValue mw_otlp_value;
typedef Opentelemetry__Proto__Logs__V1__LogRecord mw_otlp_log;
typedef Opentelemetry__Proto__Metrics__V1__Metric mw_otlp_metric;
typedef Opentelemetry__Proto__Metrics__V1__NumberDataPoint mw_otlp_number_point;
typedef Opentelemetry__Proto__Metrics__V1__HistogramDataPoint mw_otlp_histogram_point;
typedef Opentelemetry__Proto__Metrics__V1__ExponentialHistogramDataPoint mw_otlp_exponential_point;
typedef Opentelemetry__Proto__Metrics__V1__ExponentialHistogramDataPoint__Buckets mw_otlp_buckets;
typedef Opentelemetry__Proto__Metrics__V1__SummaryDataPoint mw_otlp_summary_point;
typedef Opentelemetry__Proto__Metrics__V1__Exemplar mw_otlp_exemplar;

MW_MUST_USE mw_err mw_unpack_span(mw_slice bytes, mw_arena *arena, mw_otlp_span **out);
MW_MUST_USE mw_err mw_unpack_resource(mw_slice bytes, mw_arena *arena, mw_otlp_resource **out);
MW_MUST_USE mw_err mw_unpack_scope(mw_slice bytes, mw_arena *arena, mw_otlp_scope **out);
MW_MUST_USE mw_err mw_unpack_log(mw_slice bytes, mw_arena *arena, mw_otlp_log **out);
/* A head as mw_metric_write_head makes it, never a Metric as received: the points of one may have
 * been refused. */
MW_MUST_USE mw_err mw_unpack_metric(mw_slice head, mw_arena *arena, mw_otlp_metric **out);
/* Data points: gauges and sums, and one for each other kind of metric. */
MW_MUST_USE mw_err mw_unpack_number_point(mw_slice bytes, mw_arena *arena,
                                          mw_otlp_number_point **out);
MW_MUST_USE mw_err mw_unpack_histogram_point(mw_slice bytes, mw_arena *arena,
                                             mw_otlp_histogram_point **out);
MW_MUST_USE mw_err mw_unpack_exponential_point(mw_slice bytes, mw_arena *arena,
                                               mw_otlp_exponential_point **out);
MW_MUST_USE mw_err mw_unpack_summary_point(mw_slice bytes, mw_arena *arena,
                                           mw_otlp_summary_point **out);
/* Any message of the room's .proto files. */
MW_MUST_USE mw_err mw_unpack_message(const ProtobufCMessageDescriptor *descriptor, mw_slice bytes,
                                     mw_arena *arena, ProtobufCMessage **out);

/* A `bytes` field as a slice. */
static inline mw_slice mw_unpack_slice(ProtobufCBinaryData data)
{
    return (mw_slice){(const char *)data.data, data.len};
}

#endif
