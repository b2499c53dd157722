/* The n-th allocation fails, for every n, in whatever the store does: opening, appending, and each
 * question. Each says MW_E_NOMEM or gives the whole answer, nothing leaks, and the next attempt
 * works as if nothing had been. */
#include <fcntl.h>

#include "tests/unit/lib-store/store_test.h"

#include "lib/base/log.h"

/* Far beyond the allocations of one call here. */
enum { ALLOCATIONS_MAX = 4000, BATCHES = 24, ITEMS = 5, QUIET_END = 12 };

static test_dir dir;
static mw_fake_clock fake;

static mw_store *open_small(void)
{
    return open_with(dir.store, &fake.clock, MW_STORE_QUEUE_DEFAULT, 2048);
}

/* Spans with sessions, log records and points in turn. */
static void make_batch(test_batch *batch, uint64_t n)
{
    mw_signal signal = (mw_signal)(1 + n % 3);
    test_batch_init_of(batch, signal, ITEMS);
    memset(batch->batch.digest, 0x5a, sizeof batch->batch.digest);
    mw_put_u64(batch->batch.digest, n + 1);
    for (size_t i = 0; i < ITEMS; i++) {
        if (signal == MW_SIGNAL_TRACES) {
            test_span(batch, i, n + 1, n * ITEMS + i + 1, i ? n * ITEMS + i : 0);
            batch->spans[i].session_id = test_format(batch, "session ", n % 4);
        } else if (signal == MW_SIGNAL_METRICS) {
            test_point(batch, i, n % 5 + 1, n * ITEMS + i);
        } else {
            test_log(batch, i, n - 1, n * ITEMS + i);
        }
    }
}

static mw_err send_batch(mw_store *store, uint64_t n)
{
    test_batch batch;
    make_batch(&batch, n);
    mw_err err = append_wait(store, &batch.batch, NULL);
    test_batch_fini(&batch);
    return err;
}

static int set_up(void **state)
{
    (void)state;
    test_dir_init(&dir);
    mw_fake_clock_init(&fake, INT64_C(1773480413) * MW_NS_PER_S);
    mw_store *store = open_small();
    for (uint64_t n = 0; n < BATCHES; n++)
        assert_int_equal(send_batch(store, n), MW_OK);
    mw_store_close(store);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    mw_memory_fail_at(0);
    test_dir_fini(&dir);
    return 0;
}

/* ---- questions ------------------------------------------------------------------------------- */

/* What an answer says, in one number: enough to tell a part of it from the whole. */
typedef uint64_t summary;

static summary mix(summary so_far, uint64_t value)
{
    return (so_far ^ value) * UINT64_C(0x9e3779b97f4a7c15) + 1;
}

static const mw_store_page page_of_10 = {.limit = 10};

static mw_err ask_trace(mw_store_view *view, mw_arena *arena, summary *out)
{
    uint8_t id[MW_TRACE_ID_SIZE];
    mw_trace trace;
    trace_id_of(id, 1);
    mw_err err = mw_store_trace_read(view, id, arena, &trace);
    if (err != MW_OK)
        return err;
    for (size_t i = 0; i < trace.span_count; i++)
        *out = mix(mix(*out, trace.spans[i].row.start_ns), trace.spans[i].bytes.len);
    *out = mix(*out, trace.summary.logs);
    return err;
}

static mw_err ask_traces(mw_store_view *view, mw_arena *arena, summary *out)
{
    mw_trace_list list;
    mw_err err = mw_store_trace_list(view, &page_of_10, arena, &list);
    for (size_t i = 0; err == MW_OK && i < list.count; i++)
        *out = mix(mix(*out, list.items[i].start_ns), list.items[i].spans);
    return err;
}

static mw_err ask_prefix(mw_store_view *view, mw_arena *arena, summary *out)
{
    uint8_t id[MW_TRACE_ID_SIZE];
    char hex[33];
    trace_id_of(id, 4);
    (void)arena;
    mw_hex_encode(id, sizeof id, hex);
    mw_err err = mw_store_trace_find(view, mw_slice_bytes(hex, 12), id);
    *out = mix(*out, id[0]);
    return err;
}

static mw_err ask_sessions(mw_store_view *view, mw_arena *arena, summary *out)
{
    mw_session_list list;
    mw_err err = mw_store_session_list(view, &page_of_10, arena, &list);
    for (size_t i = 0; err == MW_OK && i < list.count; i++)
        *out = mix(mix(*out, list.items[i].spans), list.items[i].logs);
    return err;
}

static mw_err ask_session(mw_store_view *view, mw_arena *arena, summary *out)
{
    mw_session session;
    mw_err err = mw_store_session_read(view, MW_SLICE("session 1"), arena, &session);
    if (err == MW_OK)
        *out = mix(mix(*out, session.trace_count), session.summary.spans);
    return err;
}

static mw_err ask_spans(mw_store_view *view, mw_arena *arena, summary *out)
{
    mw_span_query query = {.service = MW_SLICE("checkout"), .limit = 10};
    mw_span_list list;
    mw_err err = mw_store_span_search(view, &query, arena, &list);
    if (err == MW_OK)
        *out = mix(mix(*out, list.count), list.matched);
    return err;
}

static mw_err ask_logs_of(mw_store_view *view, const mw_log_query *query, mw_arena *arena,
                          summary *out)
{
    mw_log_list list;
    mw_err err = mw_store_log_list(view, &page_of_10, query, arena, &list);
    for (size_t i = 0; err == MW_OK && i < list.count; i++)
        *out = mix(mix(*out, list.items[i].row.time_ns), list.items[i].row.session_id.len);
    return err;
}

static mw_err ask_logs(mw_store_view *view, mw_arena *arena, summary *out)
{
    return ask_logs_of(view, &(mw_log_query){.severity_min = 1}, arena, out);
}

static mw_err ask_logs_of_session(mw_store_view *view, mw_arena *arena, summary *out)
{
    return ask_logs_of(view, &(mw_log_query){.session_id = MW_SLICE("session 1")}, arena, out);
}

static mw_err ask_text(mw_store_view *view, mw_arena *arena, summary *out)
{
    return ask_logs_of(view, &(mw_log_query){.text = MW_SLICE("log")}, arena, out);
}

static mw_err ask_follow(mw_store_view *view, mw_arena *arena, summary *out)
{
    mw_log_follow follow = {.limit = 20};
    mw_log_query query = {.session_id = MW_SLICE("session 1")};
    mw_log_tail tail;
    mw_err err = mw_store_log_follow(view, &follow, &query, arena, &tail);
    for (size_t i = 0; err == MW_OK && i < tail.count; i++)
        *out = mix(*out, tail.items[i].row.time_ns);
    return err;
}

static mw_err ask_metrics(mw_store_view *view, mw_arena *arena, summary *out)
{
    mw_metric_query query = {.service = MW_SLICE_NONE};
    mw_metric_list list;
    mw_err err = mw_store_metric_list(view, &page_of_10, &query, arena, &list);
    for (size_t i = 0; err == MW_OK && i < list.count; i++)
        *out = mix(mix(*out, list.items[i].points), list.items[i].series);
    return err;
}

static mw_err ask_metric(mw_store_view *view, mw_arena *arena, summary *out)
{
    mw_metric_query query = {.service = MW_SLICE_NONE};
    mw_metric metric;
    mw_err err =
        mw_store_metric_read(view, MW_SLICE("requests"), &page_of_10, &query, arena, &metric);
    for (size_t i = 0; err == MW_OK && i < metric.series_count; i++)
        *out = mix(mix(*out, metric.series[i].point_count), metric.series[i].series);
    return err;
}

static mw_err ask_span_list(mw_store_view *view, mw_arena *arena, summary *out)
{
    const mw_attribute_query wanted = {MW_SLICE("no.such.key"), MW_SLICE("value")};
    mw_span_filter filter = {.service = MW_SLICE("checkout")};
    mw_span_page page;
    mw_err err = mw_store_span_list(view, &page_of_10, &filter, arena, &page);
    for (size_t i = 0; err == MW_OK && i < page.count; i++)
        *out = mix(mix(*out, page.items[i].row.start_ns), page.items[i].bytes.len);
    filter.attributes = &wanted;
    filter.attribute_count = 1;
    if (err == MW_OK)
        err = mw_store_span_list(view, &page_of_10, &filter, arena, &page);
    return err;
}

static mw_err ask_red(mw_store_view *view, mw_arena *arena, summary *out)
{
    mw_red_query query = {.until_ns = 60 * (uint64_t)MW_NS_PER_S, .by_operation = true};
    mw_red_list list;
    mw_err err = mw_store_red(view->store, &query, arena, &list);
    for (size_t i = 0; err == MW_OK && i < list.count; i++)
        *out = mix(*out, list.items[i].red.count);
    return err;
}

static mw_err ask_graph(mw_store_view *view, mw_arena *arena, summary *out)
{
    mw_graph graph;
    mw_err err = mw_store_graph(view->store, 0, 60 * (uint64_t)MW_NS_PER_S, NULL, arena, &graph);
    if (err == MW_OK)
        *out = mix(mix(*out, graph.edge_count), graph.service_count);
    return err;
}

typedef struct question {
    const char *name;
    mw_err (*ask)(mw_store_view *view, mw_arena *arena, summary *out);
} question;

static const question questions[] = {
    {"trace", ask_trace},         {"traces", ask_traces},
    {"prefix", ask_prefix},       {"sessions", ask_sessions},
    {"session", ask_session},     {"spans", ask_spans},
    {"logs", ask_logs},           {"logs of a session", ask_logs_of_session},
    {"text", ask_text},           {"follow", ask_follow},
    {"metrics", ask_metrics},     {"metric", ask_metric},
    {"span list", ask_span_list}, {"red", ask_red},
    {"graph", ask_graph},
};

/* Opens a view, asks, closes, with the n-th allocation failing (0 = none). */
static mw_err ask_once(mw_store *store, const question *what, uint64_t n, summary *out)
{
    mw_store_view *view;
    mw_arena arena;
    mw_arena_init(&arena, MW_MEM_QUERY, 0);
    *out = 7;
    mw_memory_fail_at(n);
    mw_err err = mw_store_view_open(store, &view);
    if (err == MW_OK) {
        err = what->ask(view, &arena, out);
        mw_store_view_close(view);
    }
    mw_memory_fail_at(0);
    mw_arena_reset(&arena);
    return err;
}

static void torture_question(mw_store *store, const question *what)
{
    summary whole, got;
    unsigned refused = 0, served = 0;
    assert_int_equal(ask_once(store, what, 0, &whole), MW_OK);
    size_t used = mw_memory_used();
    for (uint64_t n = 1; n < ALLOCATIONS_MAX && served < QUIET_END; n++) {
        mw_err err = ask_once(store, what, n, &got);
        if (err == MW_OK && got != whole)
            fail_msg("%s: a part of the answer with allocation %llu failing", what->name,
                     (unsigned long long)n);
        if (err != MW_OK && err != MW_E_NOMEM)
            fail_msg("%s: %s with allocation %llu failing", what->name, mw_err_text(err),
                     (unsigned long long)n);
        if (mw_memory_used() != used)
            fail_msg("%s: a leak with allocation %llu failing", what->name, (unsigned long long)n);
        refused += err != MW_OK;
        served = err == MW_OK ? served + 1 : 0;
    }
    print_message("%s: %u allocations\n", what->name, refused);
    assert_true(refused > 1);
    assert_int_equal(served, QUIET_END);
    assert_int_equal(ask_once(store, what, 0, &got), MW_OK);
    assert_int_equal(got, whole);
}

/* Of the log, and of merged segments. */
static void ask_all(bool merged)
{
    mw_store *store = open_small();
    if (merged)
        assert_int_equal(mw_store_merge_all(store, 30 * MW_NS_PER_S), MW_OK);
    for (size_t i = 0; i < sizeof questions / sizeof questions[0]; i++)
        torture_question(store, &questions[i]);
    mw_store_close(store);
}

static void test_questions(void **state)
{
    (void)state;
    ask_all(false);
}

static void test_questions_about_merged(void **state)
{
    (void)state;
    ask_all(true);
}

/* A merge that finds no memory leaves all as it was, and is made later. */
static void test_merging(void **state)
{
    (void)state;
    summary whole[32], got;
    unsigned refused = 0, served = 0;
    const size_t count = sizeof questions / sizeof questions[0];
    for (uint64_t n = 1; n < ALLOCATIONS_MAX && served < 3 * QUIET_END; n++) {
        mw_store *store = open_small();
        for (size_t i = 0; i < count; i++)
            assert_int_equal(ask_once(store, &questions[i], 0, &whole[i]), MW_OK);
        mw_memory_fail_at(n);
        /* A writer that could not open the next segment tries again in a second of this clock. */
        mw_err err = mw_store_merge_all(store, MW_NS_PER_S / 2);
        mw_memory_fail_at(0);
        assert_true(err == MW_OK || err == MW_E_NOMEM || err == MW_E_TIMEOUT);
        for (size_t i = 0; i < count; i++) {
            assert_int_equal(ask_once(store, &questions[i], 0, &got), MW_OK);
            if (got != whole[i])
                fail_msg("%s: another answer with allocation %llu of a merge failing",
                         questions[i].name, (unsigned long long)n);
        }
        mw_store_close(store);
        assert_int_equal(mw_memory_component_used(MW_MEM_MERGE), 0);
        assert_int_equal(mw_memory_component_used(MW_MEM_STORE), 0);
        refused += err != MW_OK;
        served = err == MW_OK ? served + 1 : 0;
        if (err == MW_OK) { /* from the beginning again */
            assert_int_equal(tear_down(NULL), 0);
            assert_int_equal(set_up(NULL), 0);
        }
    }
    print_message("merging: refused %u times\n", refused);
    assert_true(refused > 20);
}

/* ---- opening and appending ------------------------------------------------------------------- */

static mw_err try_open(uint64_t n, mw_store **out)
{
    mw_store_config config = {.directory = dir.store,
                              .clock = &fake.clock,
                              .queue_budget_bytes = MW_STORE_QUEUE_DEFAULT,
                              .segment_max_bytes = 2048};
    mw_detail detail = {0};
    mw_memory_fail_at(n);
    mw_err err = mw_store_open(&config, out, &detail);
    mw_memory_fail_at(0);
    if (err != MW_OK)
        assert_true(detail.message[0] != '\0');
    return err;
}

static void check_all(mw_store *store, uint64_t batches)
{
    mw_store_stats stats;
    mw_store_stats_read(store, &stats);
    assert_int_equal(stats.spans + stats.logs + stats.points, batches * ITEMS);
    for (uint64_t n = 0; n < batches; n += 3)
        assert_int_equal(count_spans(store, n + 1), ITEMS);
}

static void test_opening(void **state)
{
    (void)state;
    unsigned refused = 0, served = 0;
    size_t used = mw_memory_used();
    for (uint64_t n = 1; n < ALLOCATIONS_MAX && served < QUIET_END; n++) {
        mw_store *store = NULL;
        mw_err err = try_open(n, &store);
        assert_true(err == MW_OK || err == MW_E_NOMEM);
        if (err == MW_OK) {
            check_all(store, BATCHES);
            mw_store_close(store);
        }
        assert_int_equal(mw_memory_used(), used);
        refused += err != MW_OK;
        served = err == MW_OK ? served + 1 : 0;
    }
    print_message("opening: %u allocations\n", refused);
    assert_true(refused > 10);
    assert_int_equal(served, QUIET_END);
    assert_int_equal(mw_store_verify(dir.store, NULL, NULL, NULL), MW_OK);
}

/* Refused or stored, and the same batch can be sent again. */
static void test_appending(void **state)
{
    (void)state;
    mw_store *store = open_small();
    unsigned refused = 0;
    uint64_t batches = BATCHES;
    for (uint64_t n = 1; n <= 60; n++) {
        mw_memory_fail_at(n);
        mw_err err = send_batch(store, batches);
        mw_memory_fail_at(0);
        assert_true(err == MW_OK || err == MW_E_NOMEM);
        mw_fake_clock_advance(&fake, 2 * MW_NS_PER_S);
        if (err != MW_OK)
            assert_int_equal(send_batch(store, batches), MW_OK);
        refused += err != MW_OK;
        batches++;
    }
    assert_true(refused > 5);
    print_message("appending: %u allocations\n", refused);
    check_all(store, batches);
    mw_store_close(store);
    store = open_small();
    check_all(store, batches);
    mw_store_close(store);
    assert_int_equal(mw_memory_component_used(MW_MEM_STORE), 0);
    assert_int_equal(mw_memory_component_used(MW_MEM_INGEST), 0);
}

#define WITH_STORE(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_STORE(test_questions), WITH_STORE(test_questions_about_merged),
        WITH_STORE(test_merging),   WITH_STORE(test_opening),
        WITH_STORE(test_appending),
    };
    mw_log_init(MW_LOG_ERROR, MW_LOG_LOGFMT, open("/dev/null", O_WRONLY));
    return cmocka_run_group_tests(tests, NULL, NULL);
}
