/* Questions about log records against a naive model (query_model.h).
 *
 * Random records and spans with a fixed seed; random filters, bounds and page sizes, cursors walked
 * to the end; with a large and a tiny query budget, so that a session's traces are taken in shares;
 * again after a restart.
 */
#include <fcntl.h>

#include "tests/unit/lib-store/log_model.h"
#include "tests/unit/lib-store/quick_disk.h"

/* ---- the model's answer ---------------------------------------------------------------------- */

static int newest_first(const void *left, const void *right)
{
    const model_log *a = *(const model_log *const *)left, *b = *(const model_log *const *)right;
    if (a->time != b->time)
        return a->time > b->time ? -1 : 1;
    if (a->seq != b->seq)
        return a->seq > b->seq ? -1 : 1;
    return a->row > b->row ? -1 : a->row < b->row;
}

static const model_log **matches_of(const sent_spans *all, const model_query *query, size_t *count)
{
    const model_log **matches = calloc(all->log_count + 1, sizeof *matches);
    *count = 0;
    for (size_t i = 0; i < all->log_count; i++)
        if (log_matches(&all->logs[i], query))
            matches[(*count)++] = &all->logs[i];
    qsort(matches, *count, sizeof *matches, newest_first);
    return matches;
}

/* Walks the pages to the end; returns how many records there were. */
static size_t check_query(mw_store_view *view, const sent_spans *all, const model_query *query)
{
    asked_texts texts;
    size_t count, at = 0;
    const model_log **matches = matches_of(all, query, &count);
    mw_store_page page = query->page;
    mw_arena arena;
    mw_log_query asked = asked_of(query, &texts);

    mw_arena_init(&arena, MW_MEM_QUERY, 0);
    for (bool more = true; more;) {
        mw_log_list list;
        assert_int_equal(mw_store_log_list(view, &page, &asked, &arena, &list), MW_OK);
        assert_true(list.count <= page.limit);
        assert_true(at + list.count <= count);
        for (size_t i = 0; i < list.count; i++, at++)
            assert_log(&list.items[i], matches[at]);
        more = list.next_cursor.len > 0;
        assert_true(!more || list.count == page.limit);
        page.cursor = list.next_cursor;
    }
    assert_int_equal(at, count);
    mw_arena_reset(&arena);
    free(matches);
    return count;
}

/* ---- the whole ------------------------------------------------------------------------------- */

static size_t check_logs(mw_store *store, const expected *model, size_t budget, uint64_t seed)
{
    test_random random = {seed};
    mw_store_view *view;
    size_t found = 0, before = mw_memory_component_used(MW_MEM_QUERY);
    assert_int_equal(mw_store_view_open(store, &view), MW_OK);
    view->query_budget = budget;
    for (size_t i = 0; i < 3; i++) {
        const model_query everything = {.page = {.limit = i == 0 ? 1000 : i == 1 ? 10 : 64}};
        assert_int_equal(check_query(view, &model->all, &everything), model->all.log_count);
    }
    /* Each session alone: those of one trace, of many, of logs alone, of none. */
    for (int session = 1; session <= (int)model->all.sessions; session += 1 + session / 20) {
        const model_query query = {.session = session, .page = {.limit = 5}};
        found += check_query(view, &model->all, &query);
    }
    assert_true(found > 20);
    for (size_t i = 0; i < 150; i++) {
        const model_query query = random_query(&random, &model->all);
        found += check_query(view, &model->all, &query);
    }
    mw_store_view_close(view);
    assert_int_equal(mw_memory_component_used(MW_MEM_QUERY), before);
    return found;
}

static void run_shape(const shape *form)
{
    check_life(form, check_logs, 500);
}

/* Merged by the program while it is appended to, and again once it is at rest. */
static void test_merging(void **state)
{
    (void)state;
    for (uint64_t seed = 51; seed <= 54; seed++) {
        const shape form = {seed, 50, 10, 30, 12, 10, 0, 40, 0, 24};
        test_dir dir;
        expected model;
        test_dir_init(&dir);
        mw_store *store = open_merging(dir.store, seed % 2 ? 8 * 1024 : MW_STORE_SEGMENT_DEFAULT);
        fill(store, &model.all, &form);
        expect(&model);
        merge_whole_model(store, &model);
        mw_store_close(store);
        /* Without the keeper, whose memory is not a question's. */
        store = open_store(dir.store);
        check_logs(store, &model, 6000, seed + 1);
        check_logs(store, &model, MW_QUERY_BUDGET, seed + 2);
        mw_store_close(store);
        forget(&model);
        test_dir_fini(&dir);
    }
}

/* Few ids and few moments: ties everywhere, several sessions in most traces. */
static void test_dense(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 4; seed++) {
        const shape form = {seed, 50, 10, 30, 12, 10, 0, 40, 0, 24};
        run_shape(&form);
    }
}

/* Many blocks over time. */
static void test_over_time(void **state)
{
    (void)state;
    for (uint64_t seed = 5; seed <= 6; seed++) {
        const shape form = {seed, 200, 6, 120, 10, 60, 40, 100, 0, 16};
        run_shape(&form);
    }
}

/* One session in very many traces, each with a second one: with a tiny budget in shares. */
static void test_many_shares(void **state)
{
    const shape form = {7, 150, 20, 400, 3, 2, 3, 100, 0, 10};
    (void)state;
    run_shape(&form);
}

/* ---- edges ----------------------------------------------------------------------------------- */

static void append_logs(mw_store *store, uint64_t first, size_t count)
{
    test_batch batch;
    test_batch_init_of(&batch, MW_SIGNAL_LOGS, count);
    for (size_t i = 0; i < count; i++)
        test_log(&batch, i, 0, first + i);
    assert_int_equal(append_wait(store, &batch.batch, NULL), MW_OK);
    test_batch_fini(&batch);
}

static void test_empty_and_cursors(void **state)
{
    static const char *const bad[] = {"x",  "l",   "l00",
                                      "t0", "lzz", "m0000000000000000000000000000"};
    test_dir dir;
    mw_store_view *view;
    mw_arena arena;
    mw_log_list list;
    mw_log_query all = {0};
    mw_store_page page = {.limit = 2};
    (void)state;
    test_dir_init(&dir);
    mw_store *store = open_store(dir.store);
    mw_arena_init(&arena, MW_MEM_QUERY, 0);
    assert_int_equal(mw_store_view_open(store, &view), MW_OK);
    assert_int_equal(mw_store_log_list(view, &page, &all, &arena, &list), MW_OK);
    assert_int_equal(list.count, 0);
    mw_store_view_close(view);
    /* Spans alone have no logs. */
    assert_int_equal(append_spans(store, 1, 1, 5), MW_OK);
    assert_int_equal(mw_store_view_open(store, &view), MW_OK);
    assert_int_equal(mw_store_log_list(view, &page, &all, &arena, &list), MW_OK);
    assert_int_equal(list.count, 0);
    mw_store_view_close(view);
    append_logs(store, 1, 3);
    assert_int_equal(mw_store_view_open(store, &view), MW_OK);
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        mw_store_page wrong = {.limit = 2, .cursor = mw_slice_of(bad[i])};
        assert_int_equal(mw_store_log_list(view, &wrong, &all, &arena, &list), MW_E_SYNTAX);
    }
    /* Pages neither repeat nor skip what was there when newer records arrive in between. */
    assert_int_equal(mw_store_log_list(view, &page, &all, &arena, &list), MW_OK);
    assert_int_equal(list.count, 2);
    assert_int_equal(list.items[0].row.time_ns, 1503);
    mw_store_view_close(view);
    append_logs(store, 2, 3);
    assert_int_equal(mw_store_view_open(store, &view), MW_OK);
    page.cursor = list.next_cursor;
    assert_int_equal(mw_store_log_list(view, &page, &all, &arena, &list), MW_OK);
    assert_int_equal(list.count, 1);
    assert_int_equal(list.items[0].row.time_ns, 1501);
    assert_int_equal(list.next_cursor.len, 0);
    mw_store_view_close(view);
    mw_arena_reset(&arena);
    mw_store_close(store);
    test_dir_fini(&dir);
}

/* The newest page costs the newest blocks: what is behind may even be damaged. */
static void test_reads_few_blocks(void **state)
{
    test_dir dir;
    mw_store_view *view;
    mw_arena arena;
    mw_log_list list;
    mw_log_query query = {0};
    mw_store_page page = {.limit = 4};
    (void)state;
    test_dir_init(&dir);
    mw_store *store = open_store(dir.store);
    for (uint64_t i = 0; i < 20; i++)
        append_logs(store, 10 * i, 5);
    mw_arena_init(&arena, MW_MEM_QUERY, 0);
    assert_int_equal(mw_store_view_open(store, &view), MW_OK);
    /* Overwrites the columns of the oldest block. */
    const mw_index_block *oldest = mw_view_block(view, 0);
    int fd = open(oldest->segment->path, O_RDWR);
    assert_true(fd >= 0);
    assert_int_equal(pwrite(fd, "damaged!", 8, (off_t)oldest->offset + MW_BLOCK_HEADER_SIZE), 8);
    close(fd);
    assert_int_equal(mw_store_log_list(view, &page, &query, &arena, &list), MW_OK);
    assert_int_equal(list.count, 4);
    assert_int_equal(list.items[0].row.time_ns, 1500 + 194);
    page.limit = 1000;
    assert_int_equal(mw_store_log_list(view, &page, &query, &arena, &list), MW_E_CORRUPT);
    page.since_ns = 1510;
    assert_int_equal(mw_store_log_list(view, &page, &query, &arena, &list), MW_OK);
    assert_int_equal(list.count, 95);
    /* Nor is a block read that the index rules out. */
    page.since_ns = 0;
    query.service = MW_SLICE("nobody");
    assert_int_equal(mw_store_log_list(view, &page, &query, &arena, &list), MW_OK);
    assert_int_equal(list.count, 0);
    query.service = MW_SLICE_NONE;
    query.session_id = MW_SLICE("no session");
    assert_int_equal(mw_store_log_list(view, &page, &query, &arena, &list), MW_OK);
    query.session_id = MW_SLICE_NONE;
    query.trace_id[3] = 1;
    assert_int_equal(mw_store_log_list(view, &page, &query, &arena, &list), MW_OK);
    assert_int_equal(list.count, 0);
    mw_store_view_close(view);
    mw_arena_reset(&arena);
    mw_store_close(store);
    test_dir_fini(&dir);
}

static bool at_the_nth(void *ctx)
{
    unsigned *left = ctx;
    return *left == 0 || --*left == 0;
}

/* A question that is told to stop does, before whichever block that is, and leaves nothing. */
static void test_stops(void **state)
{
    test_dir dir;
    mw_log_query query = {.text = MW_SLICE("nothing like it")};
    mw_store_page page = {.limit = 1000};
    mw_err err = MW_E_TIMEOUT;
    (void)state;
    test_dir_init(&dir);
    mw_store *store = open_store(dir.store);
    for (uint64_t i = 0; i < 20; i++)
        append_logs(store, 10 * i, 5);
    size_t used = mw_memory_used();
    unsigned stopped = 0;
    for (unsigned n = 1; err == MW_E_TIMEOUT; n++) {
        mw_store_view *view;
        mw_arena arena;
        mw_log_list list;
        unsigned left = n;
        mw_arena_init(&arena, MW_MEM_QUERY, 0);
        assert_int_equal(mw_store_view_open(store, &view), MW_OK);
        mw_store_view_stop(view, at_the_nth, &left);
        err = mw_store_log_list(view, &page, &query, &arena, &list);
        assert_true(err == MW_OK || err == MW_E_TIMEOUT);
        stopped += err == MW_E_TIMEOUT;
        mw_store_view_close(view);
        mw_arena_reset(&arena);
        assert_int_equal(mw_memory_used(), used);
    }
    assert_true(stopped >= 20);
    mw_store_close(store);
    test_dir_fini(&dir);
}

/* Without memory a question fails cleanly, wherever it runs out. */
static void test_without_memory(void **state)
{
    const shape form = {13, 20, 8, 12, 10, 5, 30, 50, 0, 8};
    test_dir dir;
    sent_spans all;
    (void)state;
    test_dir_init(&dir);
    mw_store *store = open_with(dir.store, mw_clock_system(), MW_STORE_QUEUE_DEFAULT, 4 * 1024);
    fill(store, &all, &form);
    store = half_merged(store, dir.store);
    for (int question = 0; question < 3; question++) {
        size_t before = mw_memory_used();
        bool done = false;
        for (uint64_t at = 1; !done; at++) {
            mw_store_page page = {.limit = 9};
            mw_log_query query = {0};
            mw_store_view *view;
            mw_arena arena;
            mw_log_list list;
            if (question == 1)
                query.session_id = MW_SLICE("s00001-session");
            if (question == 2) {
                query.text = MW_SLICE("alpha");
                query.origin[MW_ORIGIN_LOG_GROUP] = MW_SLICE("group-1");
            }
            mw_arena_init(&arena, MW_MEM_QUERY, 0);
            assert_int_equal(mw_store_view_open(store, &view), MW_OK);
            mw_memory_fail_at(at);
            mw_err err = mw_store_log_list(view, &page, &query, &arena, &list);
            mw_memory_fail_at(0);
            done = err == MW_OK;
            assert_true(done || err == MW_E_NOMEM);
            assert_true(done ? list.count > 0 : list.count == 0);
            mw_store_view_close(view);
            mw_arena_reset(&arena);
            assert_int_equal(mw_memory_used(), before);
        }
    }
    mw_store_close(store);
    forget_sent(&all);
    test_dir_fini(&dir);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_dense),
        cmocka_unit_test(test_merging),
        cmocka_unit_test(test_over_time),
        cmocka_unit_test(test_many_shares),
        cmocka_unit_test(test_empty_and_cursors),
        cmocka_unit_test(test_reads_few_blocks),
        cmocka_unit_test(test_stops),
        cmocka_unit_test(test_without_memory),
    };
    return cmocka_run_group_tests(tests, quick_disk_begin, quick_disk_end);
}
