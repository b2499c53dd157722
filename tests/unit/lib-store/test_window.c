/* Windows and moments of them: what is counted before reading, that a moment gives whole traces
 * whatever was merged, and that it gives the same ones each time. */
#include "lib/store/window.h"
#include "tests/unit/lib-store/store_test.h"

#define BASE (UINT64_C(1790000000) * MW_NS_PER_S)
#define MS UINT64_C(1000000)
#define TRACES 4000u
#define EVERY (25 * MS)
#define SPANS 3u
#define BATCH 100u

typedef struct window_test {
    test_dir dir;
    mw_store *store;
    mw_store_view *view;
    unsigned seen[TRACES]; /* spans of each that came */
    uint64_t rows, outside;
} window_test;

static uint64_t start_of(uint64_t trace)
{
    return BASE + trace * EVERY;
}

/* The last child of every third trace. */
static bool is_of_cart(uint64_t trace, uint64_t span)
{
    return span == 3 && trace % 3 == 0;
}

/* The root and its child, or the last child, which comes with the next batch. Every tenth trace has
 * one that begins long after. */
static void append_traces(window_test *test, uint64_t first, bool last)
{
    test_batch batch;
    size_t each = last ? 1 : 2;
    test_batch_init(&batch, BATCH * each);
    for (size_t i = 0; i < BATCH * each; i++) {
        uint64_t trace = first + i / each, span = last ? 3 : 1 + i % each;
        test_span(&batch, i, trace, span, span - 1);
        mw_span_row *row = &batch.spans[i];
        row->start_ns = start_of(trace) + (span - 1) * 100 * MS;
        if (last && trace % 10 == 0)
            row->start_ns += 20 * (uint64_t)MW_NS_PER_S;
        row->end_ns = row->start_ns + MS;
        row->service = is_of_cart(trace, span) ? MW_SLICE("cart") : MW_SLICE("checkout");
    }
    assert_int_equal(append_wait(test->store, &batch.batch, NULL), MW_OK);
    test_batch_fini(&batch);
}

static int set_up(void **state)
{
    window_test *test = calloc(1, sizeof *test);
    test_dir_init(&test->dir);
    test->store = open_store(test->dir.store);
    for (uint64_t first = 0; first < TRACES + BATCH; first += BATCH) {
        if (first < TRACES)
            append_traces(test, first, false);
        if (first)
            append_traces(test, first - BATCH, true);
    }
    assert_int_equal(mw_store_view_open(test->store, &test->view), MW_OK);
    *state = test;
    return 0;
}

static int tear_down(void **state)
{
    window_test *test = *state;
    mw_store_view_close(test->view);
    mw_store_close(test->store);
    test_dir_fini(&test->dir);
    free(test);
    return 0;
}

static void merge(window_test *test)
{
    mw_store_view_close(test->view);
    mw_store_close(test->store);
    test->store = open_merging(test->dir.store, MW_STORE_SEGMENT_DEFAULT);
    merge_to_rest(test->store);
    assert_int_equal(mw_store_view_open(test->store, &test->view), MW_OK);
}

static const mw_store_window whole = {.since_ns = BASE, .until_ns = BASE + 200 * MW_NS_PER_S};
static const mw_store_window moments = {.since_ns = BASE,
                                        .until_ns = BASE + 200 * MW_NS_PER_S,
                                        .period_ns = 5 * MW_NS_PER_S,
                                        .share_ns = 1 * MW_NS_PER_S};

static mw_err take(void *ctx, const mw_span_row *row)
{
    window_test *test = ctx;
    uint64_t trace = be64toh(mw_get_u64(row->trace_id + 8));
    assert_true(trace < TRACES);
    test->seen[trace]++;
    test->rows++;
    test->outside += !mw_store_window_holds(test->view, &moments, start_of(trace));
    return MW_OK;
}

static void read_spans(window_test *test, const mw_store_window *window)
{
    memset(test->seen, 0, sizeof test->seen);
    test->rows = test->outside = 0;
    assert_int_equal(mw_store_each_span(test->view, window, take, test), MW_OK);
}

static void test_counts(void **state)
{
    window_test *test = *state;
    mw_store_window half = whole;
    for (int merged = 0; merged < 2; merged++) {
        if (merged)
            merge(test);
        mw_store_window_rows rows = mw_store_window_count(test->view, &whole, MW_SIGNAL_TRACES);
        assert_int_equal(rows.rows, TRACES * SPANS);
        assert_int_equal(rows.with_errors, 0);
        assert_int_equal(mw_store_window_count(test->view, &whole, MW_SIGNAL_LOGS).rows, 0);
        /* By blocks, which begin and end somewhere: to a quarter. */
        half.until_ns = start_of(TRACES / 2);
        rows = mw_store_window_count(test->view, &half, MW_SIGNAL_TRACES);
        assert_in_range(rows.rows, TRACES * SPANS * 3 / 8, TRACES * SPANS * 5 / 8);
        half = (mw_store_window){.since_ns = 1, .until_ns = BASE};
        assert_int_equal(mw_store_window_count(test->view, &half, MW_SIGNAL_TRACES).rows, 0);
        unsigned spans = 1u << MW_SIGNAL_TRACES;
        assert_true(mw_store_window_names(test->view, &whole, spans, MW_SLICE("checkout")));
        assert_true(mw_store_window_names(test->view, &whole, ~0u, MW_SLICE("cart")));
        assert_false(mw_store_window_names(test->view, &whole, ~spans, MW_SLICE("cart")));
        assert_false(mw_store_window_names(test->view, &whole, ~0u, MW_SLICE("ads")));
        assert_false(mw_store_window_names(test->view, &half, ~0u, MW_SLICE("checkout")));
        half = whole;
    }
}

static void test_whole(void **state)
{
    window_test *test = *state;
    for (int merged = 0; merged < 2; merged++) {
        if (merged)
            merge(test);
        read_spans(test, &whole);
        assert_int_equal(test->rows, TRACES * SPANS);
    }
}

/* Of all moments, a fifth; of each trace that begins in one, every span. */
static void test_moments_of_the_log(void **state)
{
    window_test *test = *state;
    unsigned held = 0;
    read_spans(test, &moments);
    for (uint64_t trace = 0; trace < TRACES; trace++) {
        if (!mw_store_window_holds(test->view, &moments, start_of(trace)))
            continue;
        held++;
        if (trace % 10) /* else the last child begins behind the margin */
            assert_int_equal(test->seen[trace], SPANS);
    }
    assert_in_range(held, TRACES / 5 * 9 / 10, TRACES / 5 * 11 / 10);
    assert_true(test->rows < TRACES * SPANS / 2);
}

static void test_moments_of_what_is_merged(void **state)
{
    window_test *test = *state;
    unsigned before = 0, after = 0;
    for (uint64_t trace = 0; trace < TRACES; trace++)
        before += mw_store_window_holds(test->view, &moments, start_of(trace));
    merge(test);
    read_spans(test, &moments);
    for (uint64_t trace = 0; trace < TRACES; trace++) {
        bool holds = mw_store_window_holds(test->view, &moments, start_of(trace));
        after += holds;
        assert_int_equal(test->seen[trace], holds ? SPANS : 0);
    }
    assert_int_equal(before, after);
    assert_int_equal(test->outside, 0);
}

/* A moment that is as long as the period leaves nothing out. */
static void test_a_full_moment(void **state)
{
    window_test *test = *state;
    mw_store_window full = moments;
    full.share_ns = full.period_ns;
    read_spans(test, &full);
    assert_int_equal(test->rows, TRACES * SPANS);
    merge(test);
    read_spans(test, &full);
    assert_int_equal(test->rows, TRACES * SPANS);
}

/* Of what is merged, all of the traces that a service has part in; else what is its own. */
static void test_services(void **state)
{
    window_test *test = *state;
    const mw_slice wanted[] = {MW_SLICE_INIT("ads"), MW_SLICE_INIT("cart")};
    mw_store_window some = whole;
    some.services = wanted;
    some.service_count = 2;
    read_spans(test, &some);
    for (uint64_t trace = 0; trace < TRACES; trace++)
        assert_int_equal(test->seen[trace], trace % 3 ? 0 : 1);
    /* Each batch of last children has some. */
    assert_int_equal(mw_store_window_count(test->view, &some, MW_SIGNAL_TRACES).rows, TRACES);
    merge(test);
    read_spans(test, &some);
    for (uint64_t trace = 0; trace < TRACES; trace++)
        assert_int_equal(test->seen[trace], trace % 3 ? 0 : SPANS);
    some.service_count = 1;
    assert_int_equal(mw_store_window_count(test->view, &some, MW_SIGNAL_TRACES).rows, 0);
    read_spans(test, &some);
    assert_int_equal(test->rows, 0);
}

/* ---- records and points ---------------------------------------------------------------------- */

static mw_err count_record(void *ctx, const mw_log_row *row, mw_slice text)
{
    window_test *test = ctx;
    (void)text;
    test->rows++;
    test->outside += !mw_store_window_holds(test->view, &moments, row->time_ns);
    return MW_OK;
}

static void append_records(window_test *test, uint64_t first, uint8_t severity)
{
    test_batch batch;
    test_batch_init_of(&batch, MW_SIGNAL_LOGS, BATCH);
    for (size_t i = 0; i < BATCH; i++) {
        test_log(&batch, i, 0, i);
        batch.logs[i].time_ns = start_of(first + i);
        batch.logs[i].severity = i ? 9 : severity;
    }
    assert_int_equal(append_wait(test->store, &batch.batch, NULL), MW_OK);
    test_batch_fini(&batch);
}

static void test_records(void **state)
{
    window_test *test = *state;
    for (uint64_t first = 0; first < TRACES; first += BATCH)
        append_records(test, first, first % (2 * BATCH) ? 17 : 9);
    mw_store_view_close(test->view);
    assert_int_equal(mw_store_view_open(test->store, &test->view), MW_OK);
    mw_store_window_rows rows = mw_store_window_count(test->view, &whole, MW_SIGNAL_LOGS);
    assert_int_equal(rows.rows, TRACES);
    assert_int_equal(rows.with_errors, TRACES / 2);
    assert_int_equal(mw_store_each_log(test->view, &whole, count_record, test), MW_OK);
    assert_int_equal(test->rows, TRACES);
    test->rows = test->outside = 0;
    assert_int_equal(mw_store_each_log(test->view, &moments, count_record, test), MW_OK);
    assert_int_equal(test->outside, 0);
    assert_in_range(test->rows, 1, TRACES / 2 / 5 * 2);
}

static mw_err count_point(void *ctx, const mw_point_row *row)
{
    (void)row;
    ((window_test *)ctx)->rows++;
    return MW_OK;
}

static void test_points(void **state)
{
    window_test *test = *state;
    for (uint64_t first = 0; first < TRACES; first += BATCH) {
        test_batch batch;
        test_batch_init_of(&batch, MW_SIGNAL_METRICS, BATCH);
        for (size_t i = 0; i < BATCH; i++) {
            test_point(&batch, i, 1 + i, first);
            batch.points[i].time_ns = start_of(first + i);
        }
        assert_int_equal(append_wait(test->store, &batch.batch, NULL), MW_OK);
        test_batch_fini(&batch);
    }
    mw_store_view_close(test->view);
    assert_int_equal(mw_store_view_open(test->store, &test->view), MW_OK);
    assert_int_equal(mw_store_each_point(test->view, &whole, count_point, test), MW_OK);
    assert_int_equal(test->rows, TRACES);
    test->rows = 0;
    assert_int_equal(mw_store_each_point(test->view, &moments, count_point, test), MW_OK);
    assert_true(test->rows < TRACES / 2 && test->rows % BATCH == 0); /* blocks, each as a whole */
    uint64_t drawn = test->rows;
    test->rows = 0;
    assert_int_equal(mw_store_each_point(test->view, &moments, count_point, test), MW_OK);
    assert_int_equal(test->rows, drawn);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {TEST(test_counts),
                                       TEST(test_whole),
                                       TEST(test_moments_of_the_log),
                                       TEST(test_moments_of_what_is_merged),
                                       TEST(test_a_full_moment),
                                       TEST(test_services),
                                       TEST(test_records),
                                       TEST(test_points)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
