/* Roll-ups of a store: whatever was merged, is still in the log, or came twice, a window says what
 * one table of all distinct spans says. And the shapes of the two questions.
 */
#include "tests/unit/lib-store/quick_disk.h"
#include "tests/unit/lib-store/store_test.h"

#include <fcntl.h>

#include "lib/store/rollup/rollup_int.h"
#include "lib/store/rollup/rollup_tail.h"
#include "lib/store/segment/segment_footer_int.h"

#define MINUTE(m) ((uint64_t)(m)*MW_MINUTE_NS)
#define BASE MINUTE(29000000)
#define TRACES 60
#define SPANS 12
#define WAIT_NS (60 * MW_NS_PER_S)
enum { INTERNAL = 1, SERVER, CLIENT, PRODUCER, CONSUMER };

static const char *const services[] = {"", "shop", "cart", "pay", "mail"};
static const char *const operations[] = {"", "GET /", "charge", "send"};

typedef struct known_span {
    bool stored;
    uint64_t parent, start, duration;
    const char *service, *operation, *peer;
    uint8_t kind, status;
} known_span;

typedef struct window_test {
    test_dir dir;
    mw_store *store;
    test_random random;
    known_span spans[TRACES][SPANS + 1]; /* by id; what was acknowledged first */
} window_test;

static mw_store *open_small(const char *directory)
{
    return open_with(directory, mw_clock_system(), MW_STORE_QUEUE_DEFAULT, 8192);
}

static mw_slice any_of(test_random *random, const char *const *texts, size_t count)
{
    return mw_slice_of(texts[random_below(random, count)]);
}

static const char *text_of(mw_slice text)
{
    return text.data; /* of a literal */
}

/* Ids repeat: then it is the first copy that counts, whatever the other one says. */
static void random_row(window_test *test, mw_span_row *row)
{
    test_random *random = &test->random;
    uint64_t trace = random_below(random, TRACES), id = 1 + random_below(random, SPANS);
    trace_id_of(row->trace_id, trace);
    put_id(row->span_id, 8, id);
    put_id(row->parent_span_id, 8, random_below(random, SPANS + 2));
    row->start_ns = BASE + random_below(random, 4) * MINUTE(1) / 2;
    row->end_ns =
        row->start_ns + (random_below(random, UINT64_C(5000000000)) >> random_below(random, 20));
    if (random_below(random, 30) == 0)
        row->end_ns = row->start_ns - 5;
    row->kind = (uint8_t)random_below(random, 6);
    row->status = (uint8_t)random_below(random, 3);
    row->service = any_of(random, services, 5);
    row->name = any_of(random, operations, 4);
    row->peer_service = any_of(random, services, 5);
    known_span *known = &test->spans[trace][id];
    if (known->stored)
        return;
    *known = (known_span){.stored = true,
                          .parent = be64toh(mw_get_u64(row->parent_span_id)),
                          .start = row->start_ns,
                          .duration = row->end_ns < row->start_ns ? 0 : row->end_ns - row->start_ns,
                          .service = text_of(row->service),
                          .operation = text_of(row->name),
                          .peer = text_of(row->peer_service),
                          .kind = row->kind,
                          .status = row->status};
}

static void append_random(window_test *test)
{
    test_batch batch;
    size_t count = 1 + random_below(&test->random, 20);
    test_batch_init(&batch, count);
    for (size_t i = 0; i < count; i++) {
        random_row(test, &batch.spans[i]);
        batch.items[i].bytes = test_format(&batch, "bytes ", random_next(&test->random));
    }
    assert_int_equal(append_wait(test->store, &batch.batch, NULL), MW_OK);
    test_batch_fini(&batch);
}

static mw_rollup *model_of(const window_test *test)
{
    mw_rollup *model;
    assert_int_equal(mw_rollup_new(&model), MW_OK);
    for (size_t trace = 0; trace < TRACES; trace++) {
        mw_rollup_span in[SPANS];
        size_t count = 0;
        for (uint64_t id = 1; id <= SPANS; id++) {
            const known_span *known = &test->spans[trace][id];
            if (!known->stored)
                continue;
            in[count++] =
                (mw_rollup_span){.span_id = id,
                                 .parent_id = known->parent,
                                 .start_ns = known->start,
                                 .duration_ns = known->duration,
                                 .service = mw_rollup_text(model, mw_slice_of(known->service)),
                                 .operation = mw_rollup_text(model, mw_slice_of(known->operation)),
                                 .peer = mw_rollup_text(model, mw_slice_of(known->peer)),
                                 .kind = known->kind,
                                 .status = known->status};
        }
        if (count)
            assert_int_equal(mw_rollup_trace(model, in, count), MW_OK);
    }
    return model;
}

static void assert_same_bytes(const mw_rollup *a, const mw_rollup *b)
{
    char *left, *right;
    size_t left_len, right_len;
    assert_int_equal(mw_rollup_write(a, &left, &left_len), MW_OK);
    assert_int_equal(mw_rollup_write(b, &right, &right_len), MW_OK);
    assert_int_equal(left_len, right_len);
    if (left_len)
        assert_memory_equal(left, right, left_len);
    mw_free(MW_MEM_MERGE, left);
    mw_free(MW_MEM_MERGE, right);
}

static void check_window(const window_test *test)
{
    mw_rollup *model = model_of(test), *window, *part, *whole;
    mw_store_stats stats;
    uint64_t as_of = 0;
    assert_int_equal(mw_rollup_new(&window), MW_OK);
    assert_int_equal(mw_rollup_window(test->store, 0, 0, NULL, window, &as_of), MW_OK);
    assert_same_bytes(window, model);
    mw_store_stats_read(test->store, &stats);
    assert_int_equal(as_of, stats.commit_seq);
    /* A part of the time. */
    assert_int_equal(mw_rollup_new(&part), MW_OK);
    assert_int_equal(mw_rollup_new(&whole), MW_OK);
    assert_int_equal(
        mw_rollup_window(test->store, BASE + MINUTE(1), BASE + MINUTE(2), NULL, part, &as_of),
        MW_OK);
    assert_int_equal(mw_rollup_add(model, BASE + MINUTE(1), BASE + MINUTE(2), whole), MW_OK);
    assert_same_bytes(part, whole);
    mw_rollup_free(part);
    mw_rollup_free(whole);
    mw_rollup_free(model);
    mw_rollup_free(window);
}

static bool at_the_nth(void *ctx)
{
    size_t *left = ctx;
    return *left == 0 || --*left == 0;
}

/* A question that is stopped, early or late, or not at all. */
static void ask_stopped(window_test *test)
{
    size_t left = random_below(&test->random, 30);
    const mw_store_stop stop = {at_the_nth, &left};
    uint64_t as_of = 0, minute;
    mw_rollup *window;
    assert_int_equal(mw_rollup_new(&window), MW_OK);
    mw_err err = mw_rollup_window(test->store, 0, 0, &stop, window, &as_of);
    assert_true(err == MW_E_TIMEOUT || (err == MW_OK && left > 0));
    mw_rollup_free(window);
    left = 0;
    err = mw_store_newest_minute(test->store, UINT64_MAX, &stop, &minute);
    /* All may be counted, and nothing merged: then there was no need to ask. */
    assert_true(err == MW_E_TIMEOUT || err == MW_OK);
}

/* What a store may hold in memory; 0 = as the program does. */
typedef struct window_limits {
    size_t spans_kept, spans_step; /* of the tail */
    size_t merge_earlier;
} window_limits;

static void open_limited(window_test *test, const window_limits *limits)
{
    test->store = open_small(test->dir.store);
    mw_rollup_tail_limit(test->store->tail, limits->spans_kept, limits->spans_step);
    test->store->merge_earlier_max = limits->merge_earlier;
}

static void run_random(uint64_t seed, const window_limits *limits)
{
    window_test *test = calloc(1, sizeof *test);
    test->random = (test_random){seed};
    test_dir_init(&test->dir);
    open_limited(test, limits);
    for (int step = 0; step < 60; step++) {
        append_random(test);
        switch (random_below(&test->random, 8)) {
        case 0: assert_int_equal(mw_store_merge_all(test->store, WAIT_NS), MW_OK); break;
        case 1: assert_int_equal(mw_rollup_tail_update(test->store->tail, NULL), MW_OK); break;
        case 2:
            mw_store_close(test->store);
            open_limited(test, limits);
            break;
        case 3: ask_stopped(test); break;
        default: break;
        }
        if (random_below(&test->random, 3) == 0)
            check_window(test);
    }
    check_window(test);
    assert_int_equal(mw_store_merge_all(test->store, WAIT_NS), MW_OK);
    check_window(test);
    mw_store_stats stats;
    mw_store_stats_read(test->store, &stats);
    assert_true(stats.merged_segments > 0);
    mw_store_close(test->store);
    test_dir_fini(&test->dir);
    free(test);
}

static void test_random_lives(void **state)
{
    (void)state;
    const window_limits limits = {MW_TAIL_SPANS_MAX, MW_TAIL_STEP, 0};
    for (uint64_t seed = 1; seed <= 15; seed++)
        run_random(seed, &limits);
    assert_int_equal(mw_memory_component_used(MW_MEM_ROLLUP), 0);
}

/* Spans that memory is not given for are found again. */
static void test_small_memory(void **state)
{
    (void)state;
    const window_limits limits = {40, 40, 0};
    for (uint64_t seed = 101; seed <= 115; seed++)
        run_random(seed, &limits);
    assert_int_equal(mw_memory_component_used(MW_MEM_ROLLUP), 0);
}

/* Merging overtakes a tail that only goes on step by step. */
static void test_small_steps(void **state)
{
    (void)state;
    const window_limits limits = {MW_TAIL_SPANS_MAX, 10, 0};
    for (uint64_t seed = 201; seed <= 215; seed++)
        run_random(seed, &limits);
    assert_int_equal(mw_memory_component_used(MW_MEM_ROLLUP), 0);
}

/* A merge has memory for the earlier spans of one or two traces: it reads them for these at a time,
 * and neither loses an edge nor keeps a repeat. */
static void test_few_earlier_spans(void **state)
{
    (void)state;
    const window_limits limits = {MW_TAIL_SPANS_MAX, MW_TAIL_STEP, 2 * SPANS};
    for (uint64_t seed = 301; seed <= 315; seed++)
        run_random(seed, &limits);
    assert_int_equal(mw_memory_component_used(MW_MEM_ROLLUP), 0);
    assert_int_equal(mw_memory_component_used(MW_MEM_MERGE), 0);
}

/* Nor for those of a single trace: they are read in parts. */
static void test_long_traces(void **state)
{
    (void)state;
    for (size_t most = 1; most <= 4; most++) {
        const window_limits limits = {MW_TAIL_SPANS_MAX, MW_TAIL_STEP, most};
        for (uint64_t seed = 400 * most; seed < 400 * most + 6; seed++)
            run_random(seed, &limits);
    }
    assert_int_equal(mw_memory_component_used(MW_MEM_ROLLUP), 0);
    assert_int_equal(mw_memory_component_used(MW_MEM_MERGE), 0);
}

/* ---- beside merges --------------------------------------------------------------------------- */

#define REQUESTS 400
#define SPANS_EACH 25

typedef struct beside_test {
    mw_store *store;
    _Atomic bool done;
} beside_test;

static void *append_all(void *argument)
{
    beside_test *test = argument;
    for (uint64_t i = 0; i < REQUESTS; i++) {
        assert_int_equal(append_spans(test->store, 1 + i / 3, 1 + i * SPANS_EACH, SPANS_EACH),
                         MW_OK);
        if (i % (REQUESTS / 4) == 0)
            assert_int_equal(mw_store_merge_all(test->store, WAIT_NS), MW_OK);
    }
    atomic_store(&test->done, true);
    return NULL;
}

static void *merge_often(void *argument)
{
    beside_test *test = argument;
    while (!atomic_load(&test->done))
        assert_int_equal(mw_store_merge_all(test->store, WAIT_NS), MW_OK);
    return NULL;
}

/* Each commit brings as many spans: at every moment the window holds just those that as_of says. */
static void test_each_span_once_beside_merges(void **state)
{
    (void)state;
    test_dir dir;
    beside_test test = {.store = NULL};
    pthread_t writer, merger;
    uint64_t as_of = 0;
    unsigned asked = 0;
    test_dir_init(&dir);
    mw_store_config config = {.directory = dir.store,
                              .clock = mw_clock_system(),
                              .queue_budget_bytes = MW_STORE_QUEUE_DEFAULT,
                              .segment_max_bytes = 16384,
                              .merge = true};
    assert_int_equal(mw_store_open(&config, &test.store, NULL), MW_OK);
    pthread_create(&writer, NULL, append_all, &test);
    pthread_create(&merger, NULL, merge_often, &test);
    while (as_of < REQUESTS) {
        mw_arena arena;
        mw_red_list list;
        mw_red_query query = {.until_ns = MINUTE(1)};
        mw_arena_init(&arena, MW_MEM_QUERY, 0);
        assert_int_equal(mw_store_red(test.store, &query, &arena, &list), MW_OK);
        as_of = list.as_of;
        assert_int_equal(list.count, as_of ? 1 : 0);
        if (as_of)
            assert_int_equal(list.items[0].red.count, as_of * SPANS_EACH);
        mw_arena_reset(&arena);
        asked++;
    }
    pthread_join(writer, NULL);
    pthread_join(merger, NULL);
    mw_store_stats stats;
    mw_store_stats_read(test.store, &stats);
    assert_true(stats.merges > 1 && asked > 1);
    mw_store_close(test.store);
    test_dir_fini(&dir);
}

/* ---- the two questions ----------------------------------------------------------------------- */

typedef struct said_span {
    uint64_t trace, id, parent, start, duration_ms;
    const char *service, *operation, *peer;
    uint8_t kind, status;
} said_span;

static const said_span said[] = {
    {1, 1, 0, BASE, 100, "shop", "GET /", "", SERVER, 0},
    {1, 2, 1, BASE + 1, 80, "shop", "call", "", CLIENT, 0},
    {1, 3, 2, BASE + 2, 50, "cart", "add", "", SERVER, 2},
    {1, 4, 3, BASE + 3, 10, "cart", "INSERT", "postgres", CLIENT, 0},
    {2, 5, 0, BASE + MINUTE(1), 200, "shop", "GET /", "", SERVER, 0},
    {2, 6, 5, BASE + MINUTE(1), 9, "shop", "", "", INTERNAL, 0},
    {3, 7, 0, BASE + MINUTE(9), 1, "", "nobody", "", SERVER, 0},
};

static void append_said(mw_store *store, size_t from, size_t to)
{
    test_batch batch;
    test_batch_init(&batch, to - from);
    for (size_t i = from; i < to; i++) {
        mw_span_row *row = &batch.spans[i - from];
        trace_id_of(row->trace_id, said[i].trace);
        put_id(row->span_id, 8, said[i].id);
        put_id(row->parent_span_id, 8, said[i].parent);
        row->start_ns = said[i].start;
        row->end_ns = said[i].start + said[i].duration_ms * (uint64_t)MW_NS_PER_MS;
        row->service = mw_slice_of(said[i].service);
        row->name = mw_slice_of(said[i].operation);
        row->peer_service = mw_slice_of(said[i].peer);
        row->kind = said[i].kind;
        row->status = said[i].status;
        batch.items[i - from].bytes = test_format(&batch, "said ", i);
    }
    assert_int_equal(append_wait(store, &batch.batch, NULL), MW_OK);
    test_batch_fini(&batch);
}

static void assert_near(uint64_t value, uint64_t ms)
{
    double truth = (double)ms * 1e6;
    assert_true((double)value > 0.909 * truth && (double)value < 1.091 * truth);
}

typedef struct said_test {
    test_dir dir;
    mw_store *store;
    mw_arena arena;
} said_test;

static int set_up(void **state)
{
    said_test *test = calloc(1, sizeof *test);
    test_dir_init(&test->dir);
    test->store = open_small(test->dir.store);
    mw_arena_init(&test->arena, MW_MEM_QUERY, 0);
    /* Parents first, children later, a merge between them. */
    append_said(test->store, 0, 2);
    append_said(test->store, 4, 7);
    assert_int_equal(mw_store_merge_all(test->store, WAIT_NS), MW_OK);
    append_said(test->store, 2, 4);
    *state = test;
    return 0;
}

static int tear_down(void **state)
{
    said_test *test = *state;
    mw_arena_reset(&test->arena);
    mw_store_close(test->store);
    test_dir_fini(&test->dir);
    free(test);
    return 0;
}

static void assert_text(mw_slice text, const char *wanted)
{
    assert_int_equal(text.len, strlen(wanted));
    if (text.len)
        assert_memory_equal(text.data, wanted, text.len);
}

static void test_red_services(void **state)
{
    said_test *test = *state;
    mw_red_list list;
    mw_red_query query = {.since_ns = BASE + 7, .until_ns = BASE + MINUTE(1) + 1};
    assert_int_equal(mw_store_red(test->store, &query, &test->arena, &list), MW_OK);
    assert_int_equal(list.since_ns, BASE);
    assert_int_equal(list.until_ns, BASE + MINUTE(2));
    assert_int_equal(list.as_of, 3);
    assert_int_equal(list.left_out, 0);
    assert_int_equal(list.count, 2);
    assert_text(list.items[0].service, "cart");
    assert_text(list.items[0].operation, "");
    assert_int_equal(list.items[0].red.count, 2);
    assert_int_equal(list.items[0].red.errors, 1);
    assert_int_equal(list.items[0].entry.count, 1);
    assert_int_equal(list.items[0].entry.errors, 1);
    assert_int_equal(list.items[0].red.mean_ns, 30 * MW_NS_PER_MS);
    assert_near(list.items[0].red.p50_ns, 10);
    assert_near(list.items[0].red.p90_ns, 50);
    assert_null(list.items[0].minutes);
    assert_text(list.items[1].service, "shop");
    assert_int_equal(list.items[1].red.count, 4);
    assert_int_equal(list.items[1].entry.count, 2);
    assert_near(list.items[1].entry.p50_ns, 100);
    assert_near(list.items[1].entry.p99_ns, 200);
}

static void test_red_operations_by_minute(void **state)
{
    said_test *test = *state;
    mw_red_list list;
    mw_red_query query = {.since_ns = BASE,
                          .until_ns = BASE + MINUTE(3),
                          .service = MW_SLICE("shop"),
                          .by_operation = true,
                          .by_minute = true};
    static const char *const names[] = {"", "(unnamed)", "GET /", "call"};
    static const unsigned counts[4][3] = {{2, 2, 0}, {0, 1, 0}, {1, 1, 0}, {1, 0, 0}};
    assert_int_equal(mw_store_red(test->store, &query, &test->arena, &list), MW_OK);
    assert_int_equal(list.count, 4);
    for (size_t i = 0; i < 4; i++) {
        assert_text(list.items[i].service, "shop");
        assert_text(list.items[i].operation, names[i]);
        assert_non_null(list.items[i].minutes);
        for (size_t minute = 0; minute < 3; minute++)
            assert_int_equal(list.items[i].minutes[minute].count, counts[i][minute]);
    }
    assert_near(list.items[2].minutes[1].p50_ns, 200);
    query.until_ns = query.since_ns + MINUTE(MW_RED_MINUTES_MAX) + 1;
    assert_int_equal(mw_store_red(test->store, &query, &test->arena, &list), MW_E_LIMIT);
    query.by_minute = false;
    query.service = MW_SLICE("nobody");
    assert_int_equal(mw_store_red(test->store, &query, &test->arena, &list), MW_OK);
    assert_int_equal(list.count, 0);
    /* Without bounds, all there is; a service that nobody named is one without a name. */
    query = (mw_red_query){.since_ns = 0};
    assert_int_equal(mw_store_red(test->store, &query, &test->arena, &list), MW_OK);
    assert_int_equal(list.count, 3);
    assert_text(list.items[0].service, "");
}

static void test_graph(void **state)
{
    said_test *test = *state;
    mw_graph graph;
    assert_int_equal(
        mw_store_graph(test->store, BASE, BASE + MINUTE(30), NULL, &test->arena, &graph), MW_OK);
    assert_int_equal(graph.as_of, 3);
    assert_int_equal(graph.edge_count, 2);
    assert_text(graph.edges[0].caller, "cart");
    assert_text(graph.edges[0].callee, "postgres");
    assert_int_equal(graph.edges[0].red.count, 1);
    assert_int_equal(graph.edges[0].wire.count, 0);
    assert_text(graph.edges[1].caller, "shop");
    assert_text(graph.edges[1].callee, "cart");
    assert_int_equal(graph.edges[1].red.count, 1);
    assert_int_equal(graph.edges[1].red.errors, 1);
    assert_near(graph.edges[1].red.p50_ns, 50);
    assert_int_equal(graph.edges[1].wire.count, 1);
    assert_near(graph.edges[1].wire.p50_ns, 30);
    /* Who only is called is there too; who has no name is not. */
    assert_int_equal(graph.service_count, 3);
    assert_text(graph.services[0].service, "cart");
    assert_text(graph.services[1].service, "postgres");
    assert_int_equal(graph.services[1].red.count, 0);
    assert_text(graph.services[2].service, "shop");
    assert_int_equal(graph.services[2].red.count, 4);
    assert_int_equal(
        mw_store_graph(test->store, BASE + MINUTE(2), BASE + MINUTE(5), NULL, &test->arena, &graph),
        MW_OK);
    assert_int_equal(graph.edge_count + graph.service_count, 0);
}

/* Time is up before the first block: nothing is said, and nothing is lost. */
static void test_stopped(void **state)
{
    said_test *test = *state;
    size_t left = 0;
    mw_graph graph;
    mw_red_list list;
    uint64_t minute;
    mw_red_query query = {.since_ns = BASE, .until_ns = BASE + MINUTE(30)};
    query.stop = (mw_store_stop){at_the_nth, &left};
    mw_store_close(test->store);
    test->store = open_small(test->dir.store);
    assert_int_equal(mw_store_red(test->store, &query, &test->arena, &list), MW_E_TIMEOUT);
    assert_int_equal(mw_store_merge_all(test->store, WAIT_NS), MW_OK);
    assert_int_equal(mw_store_red(test->store, &query, &test->arena, &list), MW_E_TIMEOUT);
    assert_int_equal(mw_store_graph(test->store, query.since_ns, query.until_ns, &query.stop,
                                    &test->arena, &graph),
                     MW_E_TIMEOUT);
    assert_int_equal(mw_store_newest_minute(test->store, UINT64_MAX, &query.stop, &minute),
                     MW_E_TIMEOUT);
    query.stop.ask = NULL;
    assert_int_equal(mw_store_red(test->store, &query, &test->arena, &list), MW_OK);
    assert_true(list.count > 0);
}

static void test_newest(void **state)
{
    said_test *test = *state;
    uint64_t minute;
    assert_int_equal(mw_store_newest_minute(test->store, UINT64_MAX, NULL, &minute), MW_OK);
    assert_int_equal(minute, BASE + MINUTE(9));
    assert_int_equal(mw_store_newest_minute(test->store, BASE + MINUTE(8), NULL, &minute), MW_OK);
    assert_int_equal(minute, BASE + MINUTE(1));
    assert_int_equal(mw_store_newest_minute(test->store, BASE - 1, NULL, &minute), MW_E_NOT_FOUND);
    assert_int_equal(mw_store_merge_all(test->store, WAIT_NS), MW_OK);
    assert_int_equal(mw_store_newest_minute(test->store, UINT64_MAX, NULL, &minute), MW_OK);
    assert_int_equal(minute, BASE + MINUTE(9));
}

/* A callee that arrives up to 20 minutes behind its merged caller finds it. */
static void test_how_late(void **state)
{
    (void)state;
    static const struct {
        int64_t late_ns;
        size_t edges;
    } cases[] = {{19 * 60 * MW_NS_PER_S, 1}, {21 * 60 * MW_NS_PER_S, 0}};
    for (size_t i = 0; i < 2; i++) {
        test_dir dir;
        mw_fake_clock clock;
        mw_arena arena;
        mw_graph graph;
        test_dir_init(&dir);
        mw_arena_init(&arena, MW_MEM_QUERY, 0);
        mw_fake_clock_init(&clock, INT64_C(1700000000) * MW_NS_PER_S);
        mw_store *store = open_with(dir.store, &clock.clock, MW_STORE_QUEUE_DEFAULT, 8192);
        append_said(store, 0, 2);
        assert_int_equal(mw_store_merge_all(store, WAIT_NS), MW_OK);
        mw_fake_clock_advance(&clock, cases[i].late_ns);
        append_said(store, 2, 3);
        for (int merged = 0; merged < 2; merged++) {
            assert_int_equal(mw_store_graph(store, BASE, BASE + MINUTE(1), NULL, &arena, &graph),
                             MW_OK);
            assert_int_equal(graph.edge_count, cases[i].edges);
            assert_int_equal(mw_store_merge_all(store, WAIT_NS), MW_OK);
        }
        mw_arena_reset(&arena);
        mw_store_close(store);
        test_dir_fini(&dir);
    }
}

/* A segment whose figures are damaged is left out, and said to be: the others still answer. */
static void test_damaged_figures(void **state)
{
    said_test *test = *state;
    mw_store_view *view;
    mw_graph graph;
    char byte;
    assert_int_equal(mw_store_view_open(test->store, &view), MW_OK);
    const mw_segment *segment = mw_view_block(view, 0)->segment;
    assert_non_null(segment->footer);
    off_t at = (off_t)segment->footer->sections[MW_FOOTER_ROLLUPS].offset;
    int fd = open(segment->path, O_RDWR);
    assert_true(fd >= 0);
    assert_int_equal(pread(fd, &byte, 1, at), 1);
    byte = (char)(byte ^ 1);
    assert_int_equal(pwrite(fd, &byte, 1, at), 1);
    close(fd);
    mw_store_view_close(view);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(
            mw_store_graph(test->store, BASE, BASE + MINUTE(30), NULL, &test->arena, &graph),
            MW_OK);
        assert_int_equal(graph.unread, 1);
        /* What the log holds, in step with its callers, which are merged. */
        assert_int_equal(graph.edge_count, 2);
        assert_int_equal(graph.service_count, 3);
        assert_int_equal(graph.services[2].red.count, 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_random_lives),
        cmocka_unit_test(test_small_memory),
        cmocka_unit_test(test_small_steps),
        cmocka_unit_test(test_few_earlier_spans),
        cmocka_unit_test(test_long_traces),
        cmocka_unit_test(test_each_span_once_beside_merges),
        cmocka_unit_test_setup_teardown(test_red_services, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_red_operations_by_minute, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_graph, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_stopped, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_newest, set_up, tear_down),
        cmocka_unit_test(test_how_late),
        cmocka_unit_test_setup_teardown(test_damaged_figures, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, quick_disk_begin, quick_disk_end);
}
