/* Metrics that arrive inside log records, in CloudWatch's embedded metric format (EMF).
 *
 * A record whose body is an object with a member `_aws` is a log record and stays one; what it
 * measures is also written as an OTLP metrics request, which then goes the way of any other. One
 * point for each metric of a directive, with all keys that its dimension sets name as attributes:
 * the sets are views of one measurement, and a point for each would count it several times.
 *
 *     number               unit Count: a delta sum; else a gauge
 *     array of numbers,    a delta histogram of count, sum, min and max, without buckets
 *     {Count, Sum, Min, Max}
 *
 * The time is `_aws.Timestamp`, sharpened by the record's own where that is in the same millisecond
 * (two documents of one series within it are two points). Nothing depends on when or how often the
 * request arrives: a retried one gives the same bytes. What a document has beyond the bounds below
 * is left out, as is a document that is none; neither is a fault of the record.
 *
 * The request is built as long as the body is read; on one thread, memory is the writer's.
 * Source: CloudWatch "Specification: Embedded metric format".
 */
#ifndef MW_COLLECTOR_EMF_H
#define MW_COLLECTOR_EMF_H

#include "lib/base/buffer.h"
#include "lib/store/store.h"
#include "proto/scan.h"

/* CloudWatch Logs takes events of 256 KiB; metrics, values and dimensions as the specification
 * has them. Several directives are for several namespaces: few. */
#define MW_EMF_DOCUMENT_MAX ((size_t)256 << 10)
#define MW_EMF_DIRECTIVES_MAX 16u
#define MW_EMF_METRICS_MAX 100u /* a document */
#define MW_EMF_VALUES_MAX 100u
#define MW_EMF_DIMENSIONS_MAX 30u
#define MW_EMF_NAME_MAX 1024u
/* Of a body that is an OTLP map; `_aws` needs five. */
#define MW_EMF_DEPTH_MAX 8u
/* Dimensions are written once for each metric: so many times the request, and no more. */
#define MW_EMF_GROWTH_MAX 8u

typedef struct mw_emf_writer {
    mw_buffer request; /* an ExportMetricsServiceRequest */
    mw_buffer metrics; /* Metric fields below the current scope */
    mw_buffer document, metric, data, point, part;
    size_t points;
} mw_emf_writer;

/* `body_len`: the length of the logs request, which bounds what is made of it. */
void mw_emf_init(mw_emf_writer *writer, size_t body_len);
void mw_emf_fini(mw_emf_writer *writer);

bool mw_emf_names_aws(const mw_value *body);

/* Quick, for most records are plain text: whether mw_emf_take is worth calling. */
static inline bool mw_emf_likely(const mw_value *body)
{
    if (body->type == MW_VALUE_STRING ? body->bytes.len == 0 || body->bytes.data[0] != '{'
                                      : body->type != MW_VALUE_KVLIST)
        return false;
    return mw_emf_names_aws(body);
}
/* What the record measures, if it does. MW_E_NOMEM. */
MW_MUST_USE mw_err mw_emf_take(mw_emf_writer *writer, const mw_value *body, uint64_t time_ns);
/* Behind the last record of a scope. MW_E_NOMEM. */
MW_MUST_USE mw_err mw_emf_close_scope(mw_emf_writer *writer, const mw_store_context *resource,
                                      const mw_store_context *scope);

#endif
