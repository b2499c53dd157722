/* Traces that few conditions fit, behind so many blocks that they are looked for by themselves: by
 * filters of merged blocks, by columns of the log, by sums over traces. */
#include "tests/unit/lib-store/late_spans.h"
#include "tests/unit/lib-store/store_test.h"

#include "lib/store/store_int.h"

/* As many rows as a merged block has. Pages are small, so that the first stretches are one block
 * each and nearly all traces are behind them. */
#define ROWS 8192u
#define BATCHES 8u
#define SPANS 4u /* of a trace; the last comes with the next batch */
#define TRACES (ROWS / SPANS)
#define RARE_EACH 1500u
#define MS UINT64_C(1000000)
#define BASE (1000000 * MS)

static bool is_rare(uint64_t trace)
{
    return trace % RARE_EACH == 77;
}

/* A failed look for them must not be saved by what only all spans together have: both bounds are
 * reached by the first and the last span of a trace only. */
static void make_span(test_batch *batch, size_t at, uint64_t trace, uint64_t span)
{
    mw_span_row *row = &batch->spans[at];
    bool ends = span == 1 || span == SPANS, rare = is_rare(trace);
    test_span(batch, at, trace, span, 0);
    row->start_ns = BASE + trace * MS + span;
    row->end_ns = row->start_ns + (rare && span == SPANS ? 900 * MS : 1000);
    row->input_tokens = rare && ends ? 600 : 1;
    row->output_tokens = rare && ends ? 400 : -1;
    row->operation_kind = MW_OP_MODEL;
    if (!rare || span != 2)
        return;
    row->user = test_format(batch, "user-", trace);
    row->agent = test_format(batch, "agent-", trace);
    row->model = test_format(batch, "model-", trace);
    row->name = test_format(batch, "tools/call Tool-", trace);
    row->operation_kind = MW_OP_TOOL;
}

static void append_all(mw_store *store)
{
    const late_spans all = {BATCHES, TRACES, SPANS, make_span};
    append_late(store, &all);
}

/* In pages: exactly the rare ones from `first` down to `last`, newest first. */
static void check_question(mw_store_view *view, const mw_list_filter *filter, uint64_t first,
                           uint64_t last)
{
    mw_store_page page = {.limit = 2};
    mw_arena arena;
    uint64_t trace = first + 1;
    mw_arena_init(&arena, MW_MEM_QUERY, 0);
    for (bool more = true; more;) {
        mw_trace_list list;
        assert_int_equal(mw_store_trace_list_where(view, &page, filter, &arena, &list), MW_OK);
        for (size_t i = 0; i < list.count; i++) {
            uint8_t id[16];
            do
                trace--;
            while (!is_rare(trace));
            trace_id_of(id, trace);
            assert_memory_equal(list.items[i].trace_id, id, sizeof id);
        }
        more = list.next_cursor.len > 0;
        page.cursor = list.next_cursor;
    }
    assert_int_equal(trace, last);
    mw_arena_reset(&arena);
}

static mw_slice numbered(char *text, size_t size, const char *prefix, uint64_t number)
{
    snprintf(text, size, "%s%llu", prefix, (unsigned long long)number);
    return mw_slice_of(text);
}

static void check_names(mw_store_view *view, uint64_t trace)
{
    char text[48];
    mw_list_filter filter = {.user = numbered(text, sizeof text, "user-", trace)};
    check_question(view, &filter, trace, trace);
    filter = (mw_list_filter){.agent = numbered(text, sizeof text, "agent-", trace)};
    check_question(view, &filter, trace, trace);
    filter = (mw_list_filter){.model = numbered(text, sizeof text, "model-", trace)};
    check_question(view, &filter, trace, trace);
    filter = (mw_list_filter){.tool = numbered(text, sizeof text, "Tool-", trace)};
    check_question(view, &filter, trace, trace);
    filter = (mw_list_filter){.tool = numbered(text, sizeof text, "tools/call Tool-", trace)};
    check_question(view, &filter, trace, trace);
}

static void check_nothing(mw_store_view *view)
{
    const mw_list_filter filters[] = {
        {.user = MW_SLICE("user-78")},
        {.agent = MW_SLICE("user-77")},
        {.model = MW_SLICE("agent-77")},
        {.tool = MW_SLICE("tool-77")},
        {.text = MW_SLICE("tool-77x")},
        {.tokens_min = 2002},
        {.duration_min_ns = 900 * MS + 4},
        {.tokens_min = 2000, .duration_min_ns = 901 * MS},
        {.tokens_min = UINT64_MAX},
        {.duration_min_ns = UINT64_MAX},
        {.user = MW_SLICE("user-77"), .agent = MW_SLICE("agent-1577")}};
    for (size_t i = 0; i < sizeof filters / sizeof filters[0]; i++) {
        mw_store_page page = {.limit = 2};
        mw_trace_list list;
        mw_arena arena;
        mw_arena_init(&arena, MW_MEM_QUERY, 0);
        assert_int_equal(mw_store_trace_list_where(view, &page, &filters[i], &arena, &list), MW_OK);
        assert_int_equal(list.count, 0);
        mw_arena_reset(&arena);
    }
}

static void check_all(mw_store *store, size_t budget)
{
    const uint64_t all = TRACES * BATCHES - 1;
    const mw_list_filter filters[] = {
        {.tokens_min = 1500},
        {.tokens_min = 2001}, /* calls of models: two of 1000, one of 1 */
        {.duration_min_ns = 900 * MS},
        {.duration_min_ns = 900 * MS, .tokens_min = 2001},
        {.duration_min_ns = 900 * MS,
         .duration_max_ns = 900 * MS + 3,
         .text = MW_SLICE("L tool-")}};
    size_t before = mw_memory_component_used(MW_MEM_QUERY);
    mw_store_view *view;
    assert_int_equal(mw_store_view_open(store, &view), MW_OK);
    view->query_budget = budget;
    for (size_t i = 0; i < sizeof filters / sizeof filters[0]; i++)
        check_question(view, &filters[i], all, 77);
    for (uint64_t trace = 77; trace < all; trace += 3 * RARE_EACH)
        check_names(view, trace);
    check_nothing(view);
    mw_store_view_close(view);
    assert_int_equal(mw_memory_component_used(MW_MEM_QUERY), before);
}

static void test_rare(void **state)
{
    /* All traces in one table, and in parts. */
    const size_t budgets[] = {MW_QUERY_BUDGET, (size_t)512 << 10};
    test_dir dir;
    (void)state;
    test_dir_init(&dir);
    mw_store *store = open_store(dir.store);
    append_all(store);
    for (size_t i = 0; i < sizeof budgets / sizeof budgets[0]; i++)
        check_all(store, budgets[i]);
    assert_int_equal(mw_store_merge_all(store, 60 * MW_NS_PER_S), MW_OK);
    for (size_t i = 0; i < sizeof budgets / sizeof budgets[0]; i++)
        check_all(store, budgets[i]);
    mw_store_close(store);
    store = open_store(dir.store);
    check_all(store, MW_QUERY_BUDGET);
    mw_store_close(store);
    test_dir_fini(&dir);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_rare)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
