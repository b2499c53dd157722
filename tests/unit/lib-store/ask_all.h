/* A store with something of every signal, and all that can be asked of it as one text: what has to
 * be the same before and after. */
#ifndef MW_TEST_ASK_ALL_H
#define MW_TEST_ASK_ALL_H

#include "proto/wire.h"
#include "tests/unit/lib-store/store_test.h"

#define MINUTE_NS (60 * (uint64_t)MW_NS_PER_S)
/* Of 2023; the store shows roll-ups by minutes of event time. */
#define EVENT_NS (UINT64_C(28333333) * MINUTE_NS)

/* ---- what is stored -------------------------------------------------------------------------- */

/* A message with one string attribute as its field `number`. */
static inline mw_slice attribute_item(test_batch *batch, uint32_t number, const char *value)
{
    mw_buffer any, pair, item;
    mw_buffer_init(&any, MW_MEM_BASE, 4096);
    mw_buffer_init(&pair, MW_MEM_BASE, 4096);
    mw_buffer_init(&item, MW_MEM_BASE, 4096);
    mw_wire_append_bytes(&any, 1, mw_slice_of(value));
    mw_wire_append_bytes(&pair, 1, MW_SLICE("customer"));
    mw_wire_append_bytes(&pair, 2, mw_buffer_slice(&any));
    mw_wire_append_bytes(&item, number, mw_buffer_slice(&pair));
    if (number == 6) /* of a log record, which gets a body, too */
        mw_wire_append_bytes(&item, 5, mw_buffer_slice(&any));
    mw_slice text = test_text(batch, item.data, item.len);
    mw_buffer_fini(&any);
    mw_buffer_fini(&pair);
    mw_buffer_fini(&item);
    return text;
}

/* Commit `n`: a trace of a client and a server span, each in a service of its own. */
static inline void append_trace(mw_store *store, uint64_t n)
{
    test_batch batch;
    char value[32];
    test_batch_init(&batch, 2);
    snprintf(value, sizeof value, "customer %llu", (unsigned long long)n);
    batch.contexts[0].bytes = MW_SLICE_NONE;
    batch.contexts[1].bytes = MW_SLICE_NONE;
    for (size_t i = 0; i < 2; i++) {
        test_span(&batch, i, n, 10 * n + i, i ? 10 * n : 0);
        mw_span_row *row = &batch.spans[i];
        row->start_ns = EVENT_NS + n * MINUTE_NS / 4;
        row->end_ns = row->start_ns + 1000000 * (1 + n % 7);
        row->service = i ? MW_SLICE("billing") : MW_SLICE("checkout");
        row->kind = i ? 2 : 3;
        row->status = n % 3 == 0 ? 2 : 0;
        row->session_id = test_format(&batch, "session ", n % 4);
        batch.items[i].bytes = attribute_item(&batch, 9, value);
    }
    assert_int_equal(append_wait(store, &batch.batch, NULL), MW_OK);
    test_batch_fini(&batch);
}

static inline void append_log(mw_store *store, uint64_t n)
{
    test_batch batch;
    char value[32];
    test_batch_init_of(&batch, MW_SIGNAL_LOGS, 2);
    batch.contexts[0].bytes = MW_SLICE_NONE;
    batch.contexts[1].bytes = MW_SLICE_NONE;
    for (size_t i = 0; i < 2; i++) {
        snprintf(value, sizeof value, "customer %llu", (unsigned long long)n);
        test_log(&batch, i, n, 10 * n + i);
        batch.logs[i].time_ns = EVENT_NS + n;
        batch.items[i].bytes = attribute_item(&batch, 6, value);
    }
    assert_int_equal(append_wait(store, &batch.batch, NULL), MW_OK);
    test_batch_fini(&batch);
}

static inline void append_points(mw_store *store, uint64_t n)
{
    test_batch batch;
    test_batch_init_of(&batch, MW_SIGNAL_METRICS, 2);
    for (size_t i = 0; i < 2; i++)
        test_point(&batch, i, 1 + i, n);
    assert_int_equal(append_wait(store, &batch.batch, NULL), MW_OK);
    test_batch_fini(&batch);
}

static inline void fill(mw_store *store, uint64_t from, uint64_t until)
{
    for (uint64_t n = from; n < until; n++) {
        append_trace(store, n);
        append_log(store, n);
        append_points(store, n);
    }
}

/* ---- what is answered ------------------------------------------------------------------------ */

typedef struct answers {
    mw_buffer text;
    mw_arena arena;
    mw_store_view *view;
} answers;

static inline void say_traces(answers *out)
{
    mw_trace_list list;
    mw_store_page page = {.limit = 1000};
    assert_int_equal(mw_store_trace_list(out->view, &page, &out->arena, &list), MW_OK);
    for (size_t i = 0; i < list.count; i++) {
        const mw_trace_summary *of = &list.items[i];
        mw_trace trace;
        mw_buffer_appendf(&out->text, "trace %llu spans %llu logs %llu errors %llu sessions %zu:",
                          (unsigned long long)of->start_ns, (unsigned long long)of->spans,
                          (unsigned long long)of->logs, (unsigned long long)of->errors,
                          of->session_count);
        assert_int_equal(mw_store_trace_read(out->view, of->trace_id, &out->arena, &trace), MW_OK);
        for (size_t k = 0; k < trace.span_count; k++)
            mw_buffer_appendf(&out->text, " %.*s/%.*s@%llu", MW_SLICE_FMT(trace.spans[k].row.name),
                              MW_SLICE_FMT(trace.spans[k].row.service),
                              (unsigned long long)trace.spans[k].commit_seq);
        mw_buffer_appendf(&out->text, "\n");
    }
}

static inline void say_sessions(answers *out)
{
    mw_session_list list;
    mw_store_page page = {.limit = 1000};
    assert_int_equal(mw_store_session_list(out->view, &page, &out->arena, &list), MW_OK);
    for (size_t i = 0; i < list.count; i++) {
        mw_session session;
        assert_int_equal(
            mw_store_session_read(out->view, list.items[i].session_id, &out->arena, &session),
            MW_OK);
        mw_buffer_appendf(&out->text, "%.*s: %llu spans, %llu logs, %zu traces\n",
                          MW_SLICE_FMT(list.items[i].session_id),
                          (unsigned long long)session.summary.spans,
                          (unsigned long long)session.summary.logs, session.trace_count);
    }
    /* By a prefix, which the texts of the footer answer. */
    mw_session none;
    assert_int_equal(mw_store_session_read(out->view, MW_SLICE("session"), &out->arena, &none),
                     list.count > 1 ? MW_E_AMBIGUOUS
                     : list.count   ? MW_OK
                                    : MW_E_NOT_FOUND);
}

static inline void say_logs(answers *out, const mw_log_query *query, const char *what)
{
    mw_log_list list;
    mw_store_page page = {.limit = 1000};
    assert_int_equal(mw_store_log_list(out->view, &page, query, &out->arena, &list), MW_OK);
    mw_buffer_appendf(&out->text, "%s:", what);
    for (size_t i = 0; i < list.count; i++)
        mw_buffer_appendf(&out->text, " %llu.%u", (unsigned long long)list.items[i].commit_seq,
                          (unsigned)list.items[i].index);
    mw_buffer_appendf(&out->text, "\n");
}

/* What filters decide: an attribute of spans and logs, a word of a body. */
static inline void say_searches(answers *out)
{
    const mw_attribute_query wanted = {MW_SLICE("customer"), MW_SLICE("customer 3")};
    mw_span_filter filter = {.attributes = &wanted, .attribute_count = 1};
    mw_log_query by_attribute = {.attributes = &wanted, .attribute_count = 1};
    mw_log_query by_text = {.text = MW_SLICE("MER 4")};
    mw_store_page page = {.limit = 1000};
    mw_span_page spans;
    assert_int_equal(mw_store_span_list(out->view, &page, &filter, &out->arena, &spans), MW_OK);
    mw_buffer_appendf(&out->text, "spans of customer 3:");
    for (size_t i = 0; i < spans.count; i++)
        mw_buffer_appendf(&out->text, " %.*s", MW_SLICE_FMT(spans.items[i].row.name));
    mw_buffer_appendf(&out->text, "\n");
    say_logs(out, &by_attribute, "logs of customer 3");
    say_logs(out, &by_text, "logs that say 4");
    say_logs(out, &(mw_log_query){.severity_min = 0}, "all logs");
}

static inline void say_metrics(answers *out)
{
    mw_metric_list list;
    mw_metric metric;
    mw_store_page page = {.limit = 1000};
    const mw_metric_query all = {.service = MW_SLICE_NONE};
    assert_int_equal(mw_store_metric_list(out->view, &page, &all, &out->arena, &list), MW_OK);
    for (size_t i = 0; i < list.count; i++) {
        mw_buffer_appendf(
            &out->text, "%.*s: %llu series, %llu points, first %llu last %llu\n",
            MW_SLICE_FMT(list.items[i].name), (unsigned long long)list.items[i].series,
            (unsigned long long)list.items[i].points, (unsigned long long)list.items[i].first_ns,
            (unsigned long long)list.items[i].last_ns);
        assert_int_equal(
            mw_store_metric_read(out->view, list.items[i].name, &page, &all, &out->arena, &metric),
            MW_OK);
        for (size_t s = 0; s < metric.series_count; s++)
            for (size_t p = 0; p < metric.series[s].point_count; p++)
                mw_buffer_appendf(&out->text, " %g", metric.series[s].points[p].row.value);
        mw_buffer_appendf(&out->text, "\n");
    }
}

static inline void say_rollups(answers *out, mw_store *store)
{
    mw_red_list red;
    mw_graph graph;
    const mw_red_query query = {.since_ns = EVENT_NS,
                                .until_ns = EVENT_NS + 1000 * MINUTE_NS,
                                .by_operation = true,
                                .by_minute = true};
    assert_int_equal(mw_store_red(store, &query, &out->arena, &red), MW_OK);
    for (size_t i = 0; i < red.count; i++)
        mw_buffer_appendf(&out->text, "%.*s %.*s: %llu spans %llu errors p99 %llu\n",
                          MW_SLICE_FMT(red.items[i].service), MW_SLICE_FMT(red.items[i].operation),
                          (unsigned long long)red.items[i].red.count,
                          (unsigned long long)red.items[i].red.errors,
                          (unsigned long long)red.items[i].red.p99_ns);
    assert_int_equal(
        mw_store_graph(store, query.since_ns, query.until_ns, NULL, &out->arena, &graph), MW_OK);
    for (size_t i = 0; i < graph.edge_count; i++)
        mw_buffer_appendf(&out->text, "%.*s -> %.*s: %llu\n", MW_SLICE_FMT(graph.edges[i].caller),
                          MW_SLICE_FMT(graph.edges[i].callee),
                          (unsigned long long)graph.edges[i].red.count);
}

/* All that can be asked, as text; the caller frees. */
static inline char *ask_all(mw_store *store)
{
    answers out;
    mw_buffer_init(&out.text, MW_MEM_BASE, (size_t)16 << 20);
    mw_arena_init(&out.arena, MW_MEM_QUERY, 0);
    assert_int_equal(mw_store_view_open(store, &out.view), MW_OK);
    say_traces(&out);
    say_sessions(&out);
    say_searches(&out);
    say_metrics(&out);
    mw_store_view_close(out.view);
    say_rollups(&out, store);
    mw_arena_reset(&out.arena);
    mw_buffer_append_byte(&out.text, '\0');
    assert_int_equal(out.text.err, MW_OK);
    char *text = strdup(out.text.data);
    mw_buffer_fini(&out.text);
    return text;
}

static inline char *ask_directory(const char *directory)
{
    mw_store *store = open_store(directory);
    char *text = ask_all(store);
    mw_store_close(store);
    return text;
}

#endif
