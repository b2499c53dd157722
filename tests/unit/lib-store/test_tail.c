/* The roll-up of the tail under pressure: told to stop in the middle of its work, and with many
 * stores that share what memory there is for it.
 */
#include "lib/store/rollup/rollup_join.h"
#include "lib/store/rollup/rollup_tail.h"
#include "lib/store/segment/tail_share.h"
#include "lib/store/spaces.h"
#include "tests/unit/lib-store/quick_disk.h"
#include "tests/unit/lib-store/store_test.h"

#define WAIT_NS (60 * MW_NS_PER_S)

_Static_assert(MW_SHARE_PARTS == MW_SPACES_MAX, "a part each");

/* Spans that the roll-ups of the store count, in the minute of their start. */
static uint64_t counted(mw_store *store)
{
    mw_arena arena;
    mw_red_list list;
    const mw_red_query query = {.until_ns = MW_MINUTE_NS};
    mw_arena_init(&arena, MW_MEM_QUERY, 0);
    assert_int_equal(mw_store_red(store, &query, &arena, &list), MW_OK);
    uint64_t count = list.count ? list.items[0].red.count : 0;
    assert_int_equal(list.left_out, 0);
    mw_arena_reset(&arena);
    return count;
}

static bool at_the_nth(void *ctx)
{
    size_t *left = ctx;
    return *left == 0 || --*left == 0;
}

/* ---- stopping -------------------------------------------------------------------------------- */

enum { MERGES = 6, TRACES = 40 };

/* Traces that go on for MERGES merged segments, and then in one request of the log: to settle it,
 * each of these has to be read. */
static mw_store *make_long_traces(const test_dir *dir)
{
    test_batch batch;
    mw_store *store = open_store(dir->store);
    for (uint64_t merge = 0; merge <= MERGES; merge++) {
        test_batch_init(&batch, TRACES);
        for (uint64_t trace = 0; trace < TRACES; trace++)
            test_span(&batch, trace, trace, merge * TRACES + trace + 1, 0);
        assert_int_equal(append_wait(store, &batch.batch, NULL), MW_OK);
        test_batch_fini(&batch);
        /* Merged segments are not merged again while there are fewer than eight. */
        if (merge < MERGES)
            assert_int_equal(mw_store_merge_all(store, WAIT_NS), MW_OK);
    }
    mw_store_close(store);
    return open_store(dir->store);
}

/* Wherever the work is stopped, it ends there, and what was asked next is right. */
static void test_stopped_anywhere(void **state)
{
    (void)state;
    test_dir dir;
    size_t asked = 0;
    test_dir_init(&dir);
    mw_store *store = make_long_traces(&dir);
    mw_store_stats stats;
    mw_store_stats_read(store, &stats);
    assert_true(stats.merged_segments > 2);
    for (size_t nth = 1;; nth++) {
        size_t left = nth;
        const mw_store_stop stop = {at_the_nth, &left};
        mw_err err = mw_rollup_tail_update(store->tail, &stop);
        if (err == MW_OK)
            break;
        assert_int_equal(err, MW_E_TIMEOUT);
        assert_int_equal(left, 0);
        asked = nth;
        if (nth % 3 == 0)
            assert_int_equal(counted(store), (MERGES + 1) * TRACES);
        mw_rollup_tail_limit(store->tail, MW_TAIL_SPANS_MAX, MW_TAIL_STEP); /* from the beginning */
    }
    /* Before the block of the log, and before each merged one. */
    assert_true(asked > 2);
    assert_int_equal(counted(store), (MERGES + 1) * TRACES);
    mw_store_close(store);
    assert_int_equal(mw_memory_component_used(MW_MEM_ROLLUP), 0);
    test_dir_fini(&dir);
}

/* What was settled before the stop stays: a question that is stopped each time still gets there. */
static void test_stops_lose_nothing(void **state)
{
    (void)state;
    enum { REQUESTS = 40, EACH = 5 };
    test_dir dir;
    test_dir_init(&dir);
    mw_store *store = open_store(dir.store);
    mw_rollup_tail_limit(store->tail, MW_TAIL_SPANS_MAX, 2 * EACH);
    for (uint64_t i = 0; i < REQUESTS; i++)
        assert_int_equal(append_spans(store, i, 1 + i * EACH, EACH), MW_OK);
    int tries = 0;
    for (mw_err err = MW_E_TIMEOUT; err == MW_E_TIMEOUT; tries++) {
        size_t left = 9;
        const mw_store_stop stop = {at_the_nth, &left};
        mw_rollup *window;
        uint64_t as_of;
        assert_int_equal(mw_rollup_new(&window), MW_OK);
        err = mw_rollup_window(store, 0, 0, &stop, window, &as_of);
        mw_rollup_free(window);
        assert_true(err == MW_OK || err == MW_E_TIMEOUT);
        assert_true(tries < REQUESTS);
    }
    assert_true(tries > 2);
    assert_int_equal(counted(store), REQUESTS * EACH);
    mw_store_close(store);
    test_dir_fini(&dir);
}

/* Of one operation, so that tables stay small. */
static void append_same(mw_store *store, uint64_t trace, uint64_t first, size_t count)
{
    test_batch batch;
    test_batch_init(&batch, count);
    for (size_t i = 0; i < count; i++) {
        test_span(&batch, i, trace, first + i, 0);
        batch.spans[i].name = MW_SLICE("GET /");
    }
    assert_int_equal(append_wait(store, &batch.batch, NULL), MW_OK);
    test_batch_fini(&batch);
}

/* ---- one long trace -------------------------------------------------------------------------- */

/* A root of service "shop" whose `count` children are of service "checkout". */
static void append_children(mw_store *store, uint64_t first, size_t count, bool root)
{
    test_batch batch;
    test_batch_init(&batch, count);
    for (size_t i = 0; i < count; i++) {
        test_span(&batch, i, 5, first + i, 1);
        batch.spans[i].name = MW_SLICE("charge");
        batch.spans[i].start_ns = 1000;
        batch.spans[i].end_ns = 2000;
    }
    if (root) {
        put_id(batch.spans[0].span_id, 8, 1);
        put_id(batch.spans[0].parent_span_id, 8, 0);
        batch.spans[0].service = MW_SLICE("shop");
    }
    assert_int_equal(append_wait(store, &batch.batch, NULL), MW_OK);
    test_batch_fini(&batch);
}

static uint64_t calls_of(mw_store *store, uint64_t *left_out)
{
    mw_arena arena;
    mw_graph graph;
    mw_arena_init(&arena, MW_MEM_QUERY, 0);
    assert_int_equal(mw_store_graph(store, 0, MW_MINUTE_NS, NULL, &arena, &graph), MW_OK);
    uint64_t calls = graph.edge_count ? graph.edges[0].red.count : 0;
    *left_out = graph.left_out;
    mw_arena_reset(&arena);
    return calls;
}

/* The children came and were merged before their root. Of those for which the tail has no memory it
 * says how many are left out; the merge counts them, in however many parts. */
static void test_more_children_than_memory(void **state)
{
    (void)state;
    enum { CHILDREN = 5000, EARLIER = 800 };
    test_dir dir;
    uint64_t left_out;
    test_dir_init(&dir);
    mw_store *store = open_store(dir.store);
    store->merge_earlier_max = EARLIER;
    for (uint64_t i = 0; i < 5; i++) {
        append_children(store, 10 + i * CHILDREN / 5, CHILDREN / 5, false);
        assert_int_equal(mw_store_merge_all(store, WAIT_NS), MW_OK);
    }
    assert_int_equal(calls_of(store, &left_out), 0);
    append_children(store, 2, 1, true);
    mw_rollup_tail_limit(store->tail, MW_TAIL_SPANS_MAX, MW_TAIL_STEP); /* from the beginning */
    mw_rollup_tail_limit_earlier(store->tail, EARLIER);
    assert_int_equal(calls_of(store, &left_out), EARLIER);
    assert_int_equal(left_out, CHILDREN - EARLIER);
    assert_int_equal(mw_store_merge_all(store, WAIT_NS), MW_OK);
    assert_int_equal(calls_of(store, &left_out), CHILDREN);
    assert_int_equal(left_out, 0);
    mw_store_close(store);
    assert_int_equal(mw_memory_component_used(MW_MEM_ROLLUP), 0);
    test_dir_fini(&dir);
}

/* ---- many stores ----------------------------------------------------------------------------- */

enum { STORES = 12, REQUESTS_EACH = 20, SPANS_EACH = 2000 };

typedef struct many_stores {
    test_dir dir;
    mw_store *stores[STORES];
} many_stores;

static void open_many(many_stores *many)
{
    test_dir_init(&many->dir);
    for (size_t i = 0; i < STORES; i++) {
        char path[128];
        snprintf(path, sizeof path, "%s/%zu", many->dir.root, i);
        many->stores[i] = open_store(path);
    }
}

static void close_many(many_stores *many)
{
    for (size_t i = 0; i < STORES; i++)
        mw_store_close(many->stores[i]);
    test_dir_fini(&many->dir);
    assert_int_equal(mw_memory_component_used(MW_MEM_ROLLUP), 0);
    assert_int_equal(mw_share_held(MW_SHARE_TAILS), 0);
    assert_int_equal(mw_share_held(MW_SHARE_CACHES), 0);
    assert_int_equal(mw_share_held(MW_SHARE_FILTERS), 0);
}

/* The most that all held after a round of requests to each. */
static size_t run_many(many_stores *many)
{
    size_t most = 0;
    for (uint64_t request = 0; request < REQUESTS_EACH; request++) {
        for (size_t i = 0; i < STORES; i++) {
            append_same(many->stores[i], request / 2 + i * 1000, 1 + request * SPANS_EACH,
                        SPANS_EACH);
            assert_int_equal(mw_rollup_tail_update(many->stores[i]->tail, NULL), MW_OK);
            size_t used = mw_memory_component_used(MW_MEM_ROLLUP);
            most = used > most ? used : most;
        }
    }
    for (size_t i = 0; i < STORES; i++)
        assert_int_equal(counted(many->stores[i]), REQUESTS_EACH * SPANS_EACH);
    return most;
}

/* Together they stay near the budget of one, and say the same. */
static void test_one_budget(void **state)
{
    (void)state;
    enum { BUDGET = 8 << 20, ALL = STORES * REQUESTS_EACH * SPANS_EACH * sizeof(mw_join_node) };
    many_stores many;
    open_many(&many);
    size_t freely = run_many(&many);
    assert_true(freely > ALL);
    close_many(&many);

    mw_share_limit(MW_SHARE_TAILS, BUDGET);
    open_many(&many);
    size_t bounded = run_many(&many);
    print_message("%d stores: %zu bytes freely, %zu with a budget of %d\n", STORES, freely, bounded,
                  BUDGET);
    assert_true(freely > 2 * (size_t)BUDGET);
    /* Beside it: what is needed while a request is counted, and sets of traces. */
    assert_true(bounded < BUDGET + BUDGET / 2);
    assert_true(bounded > BUDGET / 2);
    close_many(&many);
    mw_share_limit(MW_SHARE_TAILS, 0);
}

/* Who is idle gives way to those who are not. */
static void test_idle_gives_way(void **state)
{
    (void)state;
    many_stores many;
    open_many(&many);
    mw_share_limit(MW_SHARE_TAILS, 4 << 20);
    for (uint64_t i = 0; i < 32; i++)
        append_same(many.stores[0], i, 1 + i * SPANS_EACH, SPANS_EACH);
    assert_int_equal(mw_rollup_tail_update(many.stores[0]->tail, NULL), MW_OK);
    size_t alone = mw_share_held(MW_SHARE_TAILS);
    assert_true(alone > (4 << 20) * 7 / 8);
    assert_int_equal(mw_rollup_tail_update(many.stores[0]->tail, NULL), MW_OK);
    print_message("idle: %zu, then %zu\n", alone, mw_share_held(MW_SHARE_TAILS));
    assert_true(mw_share_held(MW_SHARE_TAILS) < alone / 4);
    assert_int_equal(counted(many.stores[0]), 32 * SPANS_EACH);
    close_many(&many);
    mw_share_limit(MW_SHARE_TAILS, 0);
}

/* After a rush, memory is given back even when nobody else wants it, and nothing is miscounted. */
static void test_idle_forgets(void **state)
{
    (void)state;
    test_dir dir;
    mw_fake_clock clock;
    test_dir_init(&dir);
    mw_fake_clock_init(&clock, 1000);
    mw_store *store =
        open_with(dir.store, &clock.clock, MW_STORE_QUEUE_DEFAULT, MW_STORE_SEGMENT_DEFAULT);
    append_same(store, 1, 1, SPANS_EACH);
    assert_int_equal(counted(store), SPANS_EACH);
    assert_int_equal(mw_rollup_tail_update(store->tail, NULL), MW_OK);
    size_t known = mw_share_held(MW_SHARE_TAILS);
    assert_true(known > SPANS_EACH * sizeof(mw_join_node));
    mw_fake_clock_advance(&clock, MW_TAIL_IDLE_NS - 1);
    assert_int_equal(mw_rollup_tail_update(store->tail, NULL), MW_OK);
    assert_int_equal(mw_share_held(MW_SHARE_TAILS), known);
    mw_fake_clock_advance(&clock, 1);
    assert_int_equal(mw_rollup_tail_update(store->tail, NULL), MW_OK);
    assert_true(mw_share_held(MW_SHARE_TAILS) < known / 4);
    append_same(store, 1, 1 + SPANS_EACH, SPANS_EACH);
    assert_int_equal(counted(store), 2 * SPANS_EACH);
    mw_store_close(store);
    test_dir_fini(&dir);
}

/* Filters and roll-ups of merged segments likewise: without room they are read each time. */
static void test_budget_of_merged(void **state)
{
    (void)state;
    many_stores many;
    mw_share_limit(MW_SHARE_CACHES, 2048);
    mw_share_limit(MW_SHARE_FILTERS, 8192);
    open_many(&many);
    for (int round = 0; round < 3; round++) {
        for (size_t i = 0; i < STORES; i++) {
            for (uint64_t trace = 0; trace < 40; trace++)
                append_same(many.stores[i], trace, 1 + (uint64_t)round * 1000 + trace * 3, 3);
            assert_int_equal(counted(many.stores[i]), 120 * (uint64_t)(round + 1));
            assert_int_equal(mw_store_merge_all(many.stores[i], WAIT_NS), MW_OK);
            assert_int_equal(counted(many.stores[i]), 120 * (uint64_t)(round + 1));
            assert_true(mw_share_held(MW_SHARE_CACHES) < 2 * 2048);
            assert_true(mw_share_held(MW_SHARE_FILTERS) <= 2 * 8192);
        }
    }
    assert_true(mw_share_held(MW_SHARE_CACHES) > 0);
    close_many(&many);
    mw_share_limit(MW_SHARE_CACHES, 0);
    mw_share_limit(MW_SHARE_FILTERS, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_stopped_anywhere),
        cmocka_unit_test(test_stops_lose_nothing),
        cmocka_unit_test(test_more_children_than_memory),
        cmocka_unit_test(test_one_budget),
        cmocka_unit_test(test_idle_gives_way),
        cmocka_unit_test(test_idle_forgets),
        cmocka_unit_test(test_budget_of_merged),
    };
    return cmocka_run_group_tests(tests, quick_disk_begin, quick_disk_end);
}
