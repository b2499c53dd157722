/* Traces and sessions by what they add up to: pages of lists under bounds of tokens and duration
 * against a model that joins everything, in the log and merged, with repeats, late spans and log
 * records, in little memory, after more came in. */
#include "lib/store/query/list_bounds.h"
#include "lib/store/segment/tail_share.h"
#include "tests/unit/lib-store/query_model.h"

static bool fits(const model_summary *sum, const mw_list_filter *filter)
{
    uint64_t length = sum->last - sum->first;
    return (uint64_t)sum->in + (uint64_t)sum->out >= filter->tokens_min &&
           length >= filter->duration_min_ns &&
           (!filter->duration_max_ns || length <= filter->duration_max_ns);
}

static bool within(uint64_t time, const mw_store_page *page)
{
    return time >= page->since_ns && (!page->until_ns || time < page->until_ns);
}

static void check_traces(mw_store_view *view, const expected *model, const mw_list_filter *filter,
                         mw_store_page page)
{
    size_t at = 0;
    mw_arena arena;
    mw_arena_init(&arena, MW_MEM_QUERY, 0);
    for (bool more = true; more;) {
        mw_trace_list list;
        assert_int_equal(mw_store_trace_list_where(view, &page, filter, &arena, &list), MW_OK);
        for (size_t i = 0; i < list.count; i++, at++) {
            uint8_t id[16];
            while (at < model->trace_count && !(within(model->trace_list[at].first, &page) &&
                                                fits(&model->trace_list[at], filter)))
                at++;
            assert_true(at < model->trace_count);
            trace_id_of(id, model->trace_list[at].id);
            assert_memory_equal(list.items[i].trace_id, id, sizeof id);
        }
        more = list.next_cursor.len > 0;
        page.cursor = list.next_cursor;
    }
    for (; at < model->trace_count; at++)
        assert_false(within(model->trace_list[at].first, &page) &&
                     fits(&model->trace_list[at], filter));
    mw_arena_reset(&arena);
}

static const model_summary *session_named(const expected *model, mw_slice id)
{
    for (size_t i = 0; i < model->session_count; i++) {
        char text[128];
        session_name(text, (int)model->session_list[i].id);
        if (mw_slice_equal(mw_slice_of(text), id))
            return &model->session_list[i];
    }
    fail_msg("a session that was never sent");
    return NULL;
}

static void check_sessions(mw_store_view *view, const expected *model, const mw_list_filter *filter,
                           mw_store_page page)
{
    uint64_t last = UINT64_MAX;
    char *seen = calloc(model->session_count + 1, 1);
    mw_arena arena;
    mw_arena_init(&arena, MW_MEM_QUERY, 0);
    for (bool more = true; more;) {
        mw_session_list list;
        assert_int_equal(mw_store_session_list_where(view, &page, filter, &arena, &list), MW_OK);
        for (size_t i = 0; i < list.count; i++) {
            const model_summary *want = session_named(model, list.items[i].session_id);
            assert_true(want->last <= last);
            last = want->last;
            assert_int_equal(list.items[i].last_seen_ns, want->last);
            assert_int_equal(list.items[i].input_tokens, want->in);
            assert_int_equal(list.items[i].spans, want->spans);
            assert_false(seen[want - model->session_list]);
            seen[want - model->session_list] = 1;
        }
        more = list.next_cursor.len > 0;
        assert_true(!more || list.count == page.limit);
        page.cursor = list.next_cursor;
    }
    for (size_t i = 0; i < model->session_count; i++) {
        const model_summary *sum = &model->session_list[i];
        assert_int_equal(seen[i], within(sum->last, &page) && fits(sum, filter));
    }
    free(seen);
    mw_arena_reset(&arena);
}

/* ---- thresholds that few, some and none reach ------------------------------------------------ */

static int by_number(const void *left, const void *right)
{
    uint64_t a, b;
    memcpy(&a, left, sizeof a);
    memcpy(&b, right, sizeof b);
    return a < b ? -1 : a > b;
}

/* The value that so many of a hundred are below. */
static uint64_t percentile(const model_summary *list, size_t count, bool tokens, size_t percent)
{
    uint64_t *values = calloc(count + 1, sizeof *values);
    for (size_t i = 0; i < count; i++)
        values[i] = tokens ? (uint64_t)(list[i].in + list[i].out) : list[i].last - list[i].first;
    qsort(values, count, sizeof *values, by_number);
    uint64_t value = values[percent * (count - 1) / 100];
    free(values);
    return value;
}

typedef void (*check_list)(mw_store_view *view, const expected *model, const mw_list_filter *filter,
                           mw_store_page page);

static void check_under(mw_store_view *view, const expected *model, check_list check,
                        const model_summary *list, size_t count)
{
    const uint64_t newest = model->trace_list[0].first;
    uint64_t tokens[4], lengths[5];
    const size_t percents[] = {1, 50, 97, 100};
    for (size_t i = 0; i < 4; i++) {
        tokens[i] = percentile(list, count, true, percents[i]);
        lengths[i] = percentile(list, count, false, percents[i]);
    }
    lengths[4] = percentile(list, count, false, 4);
    const mw_list_filter filters[] = {
        {.tokens_min = tokens[1]},
        {.tokens_min = tokens[2]},
        {.tokens_min = tokens[3]},
        {.tokens_min = tokens[3] + 1},
        {.duration_min_ns = lengths[1]},
        {.duration_min_ns = lengths[2]},
        {.duration_min_ns = lengths[3]},
        {.duration_min_ns = lengths[3] + 1},
        {.duration_max_ns = lengths[0] + 1},
        {.duration_max_ns = lengths[4] + 1},
        {.duration_max_ns = lengths[1]},
        {.duration_min_ns = lengths[1], .duration_max_ns = lengths[2]},
        {.duration_min_ns = lengths[1], .tokens_min = tokens[1]},
        {.duration_max_ns = lengths[1] + 1, .tokens_min = tokens[2]},
    };
    for (size_t i = 0; i < sizeof filters / sizeof filters[0]; i++) {
        check(view, model, &filters[i], (mw_store_page){.limit = 1000});
        check(view, model, &filters[i], (mw_store_page){.limit = 3});
        check(view, model, &filters[i],
              (mw_store_page){.limit = 2,
                              .since_ns = 1000 + (newest - 1000) / 3,
                              .until_ns = 1000 + (newest - 1000) / 6 * 5});
    }
}

static void check_bounds(mw_store *store, const expected *model, size_t budget)
{
    mw_store_view *view;
    size_t before = mw_memory_component_used(MW_MEM_QUERY);
    assert_int_equal(mw_store_view_open(store, &view), MW_OK);
    view->query_budget = budget;
    check_under(view, model, check_traces, model->trace_list, model->trace_count);
    check_under(view, model, check_sessions, model->session_list, model->session_count);
    mw_store_view_close(view);
    assert_int_equal(mw_memory_component_used(MW_MEM_QUERY), before);
}

static void run_shape(const shape *form)
{
    test_dir dir;
    expected model;
    test_dir_init(&dir);
    mw_store *store = open_with(dir.store, mw_clock_system(), MW_STORE_QUEUE_DEFAULT, 8 * 1024);
    fill(store, &model.all, form);
    expect(&model);
    check_bounds(store, &model, MW_QUERY_BUDGET);
    check_bounds(store, &model, 20000);
    /* Merged in part, what was merged again, and a start between. */
    merge_model(store, &model, form->seed, 4);
    check_bounds(store, &model, MW_QUERY_BUDGET);
    check_bounds(store, &model, 200000);
    merge_model(store, &model, form->seed + 1, 9);
    check_bounds(store, &model, MW_QUERY_BUDGET);
    mw_store_close(store);
    store = open_store(dir.store);
    check_bounds(store, &model, 200000);
    mw_store_close(store);
    forget(&model);
    test_dir_fini(&dir);
}

/* Few ids and few moments: repeats, cycles, several sessions in one trace. */
static void test_dense(void **state)
{
    const shape form = {11, 80, 12, 40, 12, 14, 0, 60, 10, 20};
    (void)state;
    run_shape(&form);
}

static void test_over_time(void **state)
{
    (void)state;
    for (uint64_t seed = 51; seed < 53; seed++) {
        const shape form = {seed, 160, 8, 200, 10, 400, 40, 100, 150, 12};
        run_shape(&form);
    }
}

/* Without room for what segments keep the answers are the same. */
static void test_nothing_is_kept(void **state)
{
    const shape form = {13, 120, 8, 150, 6, 100, 40, 100, 100, 8};
    (void)state;
    size_t before = mw_share_held(MW_SHARE_PIECES);
    mw_share_limit(MW_SHARE_PIECES, 1);
    run_shape(&form);
    mw_share_limit(MW_SHARE_PIECES, 0);
    assert_int_equal(mw_share_held(MW_SHARE_PIECES), before);
}

/* Pages of few merged blocks do not come to it by themselves. */
static void find_all(mw_store *store)
{
    const mw_list_filter filter = {.tokens_min = 0};
    mw_list_question question = {.filter = &filter, .to_ns = UINT64_MAX, .sessions = true};
    mw_list_candidates found;
    assert_int_equal(mw_store_view_open(store, &question.view), MW_OK);
    assert_int_equal(mw_list_bounds_find(&question, &found), MW_OK);
    assert_true(found.count > 0);
    mw_list_candidates_fini(&found);
    mw_store_view_close(question.view);
}

/* Merged by the program while it is appended to; what segments keep goes with them. */
static void test_merging(void **state)
{
    const shape form = {44, 160, 8, 200, 10, 400, 40, 100, 150, 12};
    test_dir dir;
    expected model;
    (void)state;
    size_t before = mw_share_held(MW_SHARE_PIECES);
    test_dir_init(&dir);
    mw_store *store = open_merging(dir.store, 16 * 1024);
    fill(store, &model.all, &form);
    expect(&model);
    merge_whole_model(store, &model);
    mw_store_close(store);
    store = open_store(dir.store);
    check_bounds(store, &model, MW_QUERY_BUDGET);
    find_all(store);
    assert_true(mw_share_held(MW_SHARE_PIECES) > before);
    mw_store_close(store);
    assert_int_equal(mw_share_held(MW_SHARE_PIECES), before);
    forget(&model);
    test_dir_fini(&dir);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_dense),
        cmocka_unit_test(test_over_time),
        cmocka_unit_test(test_nothing_is_kept),
        cmocka_unit_test(test_merging),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
