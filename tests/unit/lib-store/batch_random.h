/* Random batches of every signal, and the comparison of what comes back with what was sent.
 *
 * Texts are any bytes of any length, sometimes empty, sometimes those of the row before; numbers
 * reach the ends of their ranges. Used by test_block.c and test_signals.c.
 */
#ifndef MW_TEST_BATCH_RANDOM_H
#define MW_TEST_BATCH_RANDOM_H

#include "tests/unit/lib-store/store_test.h"

static const mw_signal all_signals[] = {MW_SIGNAL_TRACES, MW_SIGNAL_METRICS, MW_SIGNAL_LOGS};

/* ---- making ---------------------------------------------------------------------------------- */

static inline mw_slice random_text(test_batch *batch, test_random *random, mw_slice before)
{
    char bytes[64];
    size_t len = random_below(random, 20);
    if (random_below(random, 3) == 0)
        return before;
    if (random_below(random, 4) == 0)
        return MW_SLICE_NONE;
    for (size_t i = 0; i < len; i++)
        bytes[i] = (char)random_below(random, random_below(random, 2) ? 4 : 256);
    return test_text(batch, bytes, len);
}

static inline uint64_t random_time(test_random *random)
{
    return random_below(random, 8) ? random_next(random) >> random_below(random, 40) : 0;
}

static inline void random_span(test_batch *batch, test_random *random, size_t at)
{
    static const mw_span_row none;
    mw_span_row *row = &batch->spans[at];
    const mw_span_row *before = at ? row - 1 : &none;
    trace_id_of(row->trace_id, random_below(random, 1 + batch->batch.item_count / 4));
    put_id(row->span_id, 8, random_next(random));
    put_id(row->parent_span_id, 8, random_below(random, 3) ? random_next(random) : 0);
    row->start_ns = random_time(random);
    row->end_ns = random_below(random, 8) ? row->start_ns + random_below(random, 1000000) : 0;
    row->kind = (uint8_t)random_below(random, 256);
    row->status = (uint8_t)random_below(random, 4);
    row->operation_kind = (uint8_t)random_below(random, MW_OP_COUNT);
    row->flags = (uint8_t)random_below(random, 4);
    row->input_tokens = random_below(random, 2) ? -1 : (int64_t)random_next(random);
    row->output_tokens = random_below(random, 2) ? -1 : (int64_t)random_below(random, 5000);
    row->name = random_text(batch, random, before->name);
    row->service = random_text(batch, random, before->service);
    row->peer_service = random_text(batch, random, before->peer_service);
    row->session_id = random_text(batch, random, before->session_id);
    row->agent = random_text(batch, random, before->agent);
    row->user = random_text(batch, random, before->user);
    row->model = random_text(batch, random, before->model);
    row->status_message = random_text(batch, random, before->status_message);
    row->origin = random_text(batch, random, before->origin);
}

static inline void random_log(test_batch *batch, test_random *random, size_t at)
{
    static const mw_log_row none;
    mw_log_row *row = &batch->logs[at];
    const mw_log_row *before = at ? row - 1 : &none;
    if (random_below(random, 3)) {
        trace_id_of(row->trace_id, random_below(random, 1 + batch->batch.item_count / 4));
        put_id(row->span_id, 8, random_below(random, 4) ? random_next(random) : 0);
    }
    row->time_ns = random_time(random);
    row->severity = (uint8_t)(random_below(random, 10) ? random_below(random, 25) : 255);
    row->flags = (uint8_t)random_below(random, 2);
    row->service = random_text(batch, random, before->service);
    row->session_id = random_text(batch, random, before->session_id);
    row->agent = random_text(batch, random, before->agent);
    row->event_name = random_text(batch, random, before->event_name);
    row->origin = random_text(batch, random, before->origin);
}

static inline void random_point(test_batch *batch, test_random *random, size_t at)
{
    static const mw_point_row none;
    static const double odd_values[] = {0.0, -0.0, 1e308, -5e-324, INFINITY, -INFINITY, NAN};
    mw_point_row *row = &batch->points[at];
    const mw_point_row *before = at ? row - 1 : &none;
    row->series = random_below(random, 2) ? before->series : 0;
    if (!row->series)
        row->series = 1 + random_below(random, UINT64_MAX);
    row->time_ns = 1 + random_time(random) / 2;
    row->start_ns = random_below(random, 3) ? random_time(random) : 0;
    row->value = random_below(random, 4) ? (double)(int64_t)random_next(random) / 1024
                                         : odd_values[random_below(random, 7)];
    row->count = random_below(random, 2) ? 0 : random_next(random);
    row->kind = (uint8_t)random_below(random, 6);
    row->temporality = (uint8_t)(random_below(random, 9) ? random_below(random, 3) : 255);
    row->flags = (uint8_t)random_below(random, 16);
    row->name = random_text(batch, random, before->name);
    row->unit = random_text(batch, random, before->unit);
    row->service = random_text(batch, random, before->service);
    row->session_id = random_text(batch, random, before->session_id);
    row->origin = random_text(batch, random, before->origin);
    batch->items[at].metric = (uint32_t)random_below(random, batch->batch.metric_count);
}

static inline void random_contexts(test_batch *batch, test_random *random)
{
    size_t resources = 1 + random_below(random, 3), scopes = 1 + random_below(random, 3);
    free(batch->contexts);
    batch->contexts = calloc(resources + scopes, sizeof *batch->contexts);
    for (size_t i = 0; i < resources + scopes; i++) {
        batch->contexts[i].bytes = random_text(batch, random, MW_SLICE_NONE);
        batch->contexts[i].schema_url = random_text(batch, random, MW_SLICE_NONE);
    }
    batch->batch.resources = batch->contexts;
    batch->batch.resource_count = resources;
    batch->batch.scopes = batch->contexts + resources;
    batch->batch.scope_count = scopes;
    if (batch->batch.signal != MW_SIGNAL_METRICS)
        return;
    free(batch->metrics);
    size_t heads = 1 + random_below(random, 4);
    batch->metrics = calloc(heads, sizeof *batch->metrics);
    for (size_t i = 0; i < heads; i++)
        batch->metrics[i] = random_text(batch, random, MW_SLICE_NONE);
    batch->batch.metrics = batch->metrics;
    batch->batch.metric_count = heads;
}

static inline void random_batch(test_batch *batch, test_random *random, mw_signal signal,
                                size_t count)
{
    test_batch_init_of(batch, signal, count);
    random_contexts(batch, random);
    for (size_t i = 0; i < sizeof batch->batch.digest; i++)
        batch->batch.digest[i] = (uint8_t)random_next(random);
    for (size_t i = 0; i < count; i++) {
        switch (signal) {
        case MW_SIGNAL_METRICS: random_point(batch, random, i); break;
        case MW_SIGNAL_LOGS: random_log(batch, random, i); break;
        default: random_span(batch, random, i);
        }
        batch->items[i].bytes = random_text(batch, random, MW_SLICE("item item item item"));
        batch->items[i].resource = (uint32_t)random_below(random, batch->batch.resource_count);
        batch->items[i].scope = (uint32_t)random_below(random, batch->batch.scope_count);
    }
}

/* ---- comparing ------------------------------------------------------------------------------- */

static inline void assert_slice_equal(mw_slice a, mw_slice b)
{
    assert_int_equal(a.len, b.len);
    if (a.len)
        assert_memory_equal(a.data, b.data, a.len);
}

static inline void assert_span_equal(const mw_span_row *a, const mw_span_row *b)
{
    assert_memory_equal(a->trace_id, b->trace_id, 16);
    assert_memory_equal(a->span_id, b->span_id, 8);
    assert_memory_equal(a->parent_span_id, b->parent_span_id, 8);
    assert_true(a->start_ns == b->start_ns && a->end_ns == b->end_ns);
    assert_int_equal(a->kind, b->kind);
    assert_int_equal(a->status, b->status);
    assert_int_equal(a->operation_kind, b->operation_kind);
    assert_int_equal(a->flags, b->flags);
    assert_true(a->input_tokens == b->input_tokens && a->output_tokens == b->output_tokens);
    assert_slice_equal(a->name, b->name);
    assert_slice_equal(a->service, b->service);
    assert_slice_equal(a->peer_service, b->peer_service);
    assert_slice_equal(a->session_id, b->session_id);
    assert_slice_equal(a->agent, b->agent);
    assert_slice_equal(a->user, b->user);
    assert_slice_equal(a->model, b->model);
    assert_slice_equal(a->status_message, b->status_message);
    assert_slice_equal(a->origin, b->origin);
}

static inline void assert_log_equal(const mw_log_row *a, const mw_log_row *b)
{
    assert_memory_equal(a->trace_id, b->trace_id, 16);
    assert_memory_equal(a->span_id, b->span_id, 8);
    assert_true(a->time_ns == b->time_ns);
    assert_int_equal(a->severity, b->severity);
    assert_int_equal(a->flags, b->flags);
    assert_slice_equal(a->service, b->service);
    assert_slice_equal(a->session_id, b->session_id);
    assert_slice_equal(a->agent, b->agent);
    assert_slice_equal(a->event_name, b->event_name);
    assert_slice_equal(a->origin, b->origin);
}

static inline void assert_point_equal(const mw_point_row *a, const mw_point_row *b)
{
    assert_true(a->series == b->series && a->time_ns == b->time_ns && a->start_ns == b->start_ns);
    assert_memory_equal(&a->value, &b->value, sizeof a->value); /* NaN's bits, and -0 */
    assert_true(a->count == b->count);
    assert_int_equal(a->kind, b->kind);
    assert_int_equal(a->temporality, b->temporality);
    assert_int_equal(a->flags, b->flags);
    assert_slice_equal(a->name, b->name);
    assert_slice_equal(a->unit, b->unit);
    assert_slice_equal(a->service, b->service);
    assert_slice_equal(a->session_id, b->session_id);
    assert_slice_equal(a->origin, b->origin);
}

/* A row of the columns against the row that was sent. The place is filled with rubbish first:
 * every field must be written. */
static inline void assert_row_equal(const mw_store_batch *batch, const mw_hot *hot, uint32_t at)
{
    union {
        mw_span_row span;
        mw_log_row log;
        mw_point_row point;
    } row;
    memset(&row, 0xa5, sizeof row);
    assert_int_equal(hot->signal, batch->signal);
    switch (batch->signal) {
    case MW_SIGNAL_METRICS:
        mw_hot_point(hot, at, &row.point);
        assert_point_equal(&batch->rows.points[at], &row.point);
        break;
    case MW_SIGNAL_LOGS:
        mw_hot_log(hot, at, &row.log);
        assert_log_equal(&batch->rows.logs[at], &row.log);
        break;
    default: mw_hot_span(hot, at, &row.span); assert_span_equal(&batch->rows.spans[at], &row.span);
    }
}

static inline void assert_items_equal(const mw_store_batch *batch, const mw_items *items)
{
    bool metrics = batch->signal == MW_SIGNAL_METRICS;
    const mw_store_context *context = items->contexts;
    assert_int_equal(items->count, batch->item_count);
    assert_int_equal(items->resources, batch->resource_count);
    assert_int_equal(items->scopes, batch->scope_count);
    assert_int_equal(items->metrics, metrics ? batch->metric_count : 0);
    for (size_t i = 0; i < batch->resource_count; i++, context++) {
        assert_slice_equal(context->bytes, batch->resources[i].bytes);
        assert_slice_equal(context->schema_url, batch->resources[i].schema_url);
    }
    for (size_t i = 0; i < batch->scope_count; i++, context++) {
        assert_slice_equal(context->bytes, batch->scopes[i].bytes);
        assert_slice_equal(context->schema_url, batch->scopes[i].schema_url);
    }
    for (size_t i = 0; i < items->metrics; i++, context++) {
        assert_slice_equal(context->bytes, batch->metrics[i]);
        assert_int_equal(context->schema_url.len, 0);
    }
    assert_true(metrics == (items->metric_refs != NULL));
    for (uint32_t i = 0; i < batch->item_count; i++) {
        assert_slice_equal(items->items[i], batch->items[i].bytes);
        assert_int_equal(mw_items_resource(items, i), batch->items[i].resource);
        assert_int_equal(mw_items_scope(items, i), batch->items[i].scope);
        if (metrics)
            assert_int_equal(mw_items_metric(items, i), batch->items[i].metric);
    }
}

/* What the index and the header are made of, of any signal. */
typedef struct row_facts {
    const uint8_t *trace_id; /* NULL for points */
    uint64_t time_ns, latest_ns;
    bool error;
    mw_slice session_id, service, name; /* name: of points alone */
} row_facts;

static inline row_facts facts_of(const mw_store_batch *batch, size_t at)
{
    const mw_span_row *span = &batch->rows.spans[at];
    const mw_log_row *log = &batch->rows.logs[at];
    const mw_point_row *point = &batch->rows.points[at];
    switch (batch->signal) {
    case MW_SIGNAL_METRICS:
        return (row_facts){NULL,           point->time_ns, point->time_ns, false, point->session_id,
                           point->service, point->name};
    case MW_SIGNAL_LOGS:
        return (row_facts){log->trace_id,   log->time_ns, log->time_ns, log->severity >= 17,
                           log->session_id, log->service, MW_SLICE_NONE};
    default:
        return (row_facts){span->trace_id,
                           span->start_ns,
                           span->end_ns > span->start_ns ? span->end_ns : span->start_ns,
                           span->status == 2,
                           span->session_id,
                           span->service,
                           MW_SLICE_NONE};
    }
}

#endif
