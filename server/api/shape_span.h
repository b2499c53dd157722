/* One span as JSON: hot columns from the row, facts and everything else from the stored bytes.
 *
 * One writer serves one answer on one thread.
 */
#ifndef MW_SERVER_API_SHAPE_SPAN_H
#define MW_SERVER_API_SHAPE_SPAN_H

#include "collector/facts.h"
#include "server/api/shape_context.h"

/* What a resource or scope says of its spans. Neighbours nearly always share theirs. */
typedef struct mw_context_facts {
    mw_slice bytes; /* which message they are of */
    bool valid;
    mw_facts_place place;
} mw_context_facts;

typedef struct mw_span_writer {
    mw_json *json;
    mw_arena scratch; /* reset after each span */
    mw_contexts contexts;
    mw_context_facts resource, scope;
    bool trace_ids; /* spans of many traces: each begins with the member trace_id */
} mw_span_writer;

void mw_span_writer_init(mw_span_writer *writer, mw_json *json);
void mw_span_writer_fini(mw_span_writer *writer);
/* MW_E_NOMEM; MW_E_CORRUPT when the stored bytes are not a span. */
MW_MUST_USE mw_err mw_span_write(mw_span_writer *writer, const mw_trace_span *span);

/* A span whose end lies before its start has a negative duration, not one of 500 years. */
static inline double mw_duration_ms(uint64_t start_ns, uint64_t end_ns)
{
    if (end_ns >= start_ns)
        return (double)(end_ns - start_ns) / 1e6;
    return -((double)(start_ns - end_ns) / 1e6);
}

#endif
