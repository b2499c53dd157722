/* Questions about all signals while a thread appends them: each view is a consistent snapshot.
 *
 * Of round n a span, then a log record of it, then a point are stored, each after the answer to the
 * one before. So a view sees as many spans as logs or one more, and so on; what is derived from the
 * three must agree with it.
 */
#include "tests/unit/lib-store/store_test.h"

#define ROUNDS 150u
#define READERS 3

typedef struct shared {
    mw_store *store;
    _Atomic bool finished;
} shared;

static void append_round(mw_store *store, uint64_t round)
{
    test_batch batch;
    test_batch_init(&batch, 1);
    test_span(&batch, 0, 1 + round % 5, 1 + round, 0);
    batch.spans[0].session_id = MW_SLICE("the session");
    MW_ASSERT(append_wait(store, &batch.batch, NULL) == MW_OK);
    test_batch_fini(&batch);
    test_batch_init_of(&batch, MW_SIGNAL_LOGS, 1);
    test_log(&batch, 0, 1 + round % 5, round);
    put_id(batch.logs[0].span_id, 8, 1 + round);
    MW_ASSERT(append_wait(store, &batch.batch, NULL) == MW_OK);
    test_batch_fini(&batch);
    test_batch_init_of(&batch, MW_SIGNAL_METRICS, 1);
    test_point(&batch, 0, 1 + round % 3, round);
    MW_ASSERT(append_wait(store, &batch.batch, NULL) == MW_OK);
    test_batch_fini(&batch);
}

static void *append_all(void *ctx)
{
    shared *both = ctx;
    for (uint64_t round = 0; round < ROUNDS; round++)
        append_round(both->store, round);
    both->finished = true;
    return NULL;
}

/* Asked of one view; true when it held everything. */
static bool ask_all(mw_store_view *view, mw_arena *arena)
{
    const mw_store_page page = {.limit = 1000};
    const mw_log_query logs = {.session_id = MW_SLICE("the session")};
    const mw_metric_query metrics = {0};
    mw_log_list log_list;
    mw_metric_list metric_list;
    mw_session_list sessions;
    uint64_t seq = mw_store_view_seq(view);
    uint64_t spans = (seq + 2) / 3, records = (seq + 1) / 3, points = seq / 3;

    MW_ASSERT(mw_store_log_list(view, &page, &logs, arena, &log_list) == MW_OK);
    MW_ASSERT(log_list.count == records);
    for (size_t i = 0; i < log_list.count; i++)
        MW_ASSERT(mw_slice_equal(log_list.items[i].row.session_id, MW_SLICE("the session")));
    MW_ASSERT(mw_store_metric_list(view, &page, &metrics, arena, &metric_list) == MW_OK);
    MW_ASSERT(metric_list.count == (points > 0));
    MW_ASSERT(points == 0 || metric_list.items[0].points == points);
    MW_ASSERT(mw_store_session_list(view, &page, arena, &sessions) == MW_OK);
    MW_ASSERT(sessions.count == (spans > 0));
    MW_ASSERT(spans == 0 ||
              (sessions.items[0].spans == spans && sessions.items[0].logs == records));
    return points == ROUNDS;
}

static void *ask_always(void *ctx)
{
    shared *both = ctx;
    for (bool whole = false; !whole;) {
        bool finished = both->finished;
        mw_store_view *view;
        mw_arena arena;
        mw_arena_init(&arena, MW_MEM_QUERY, 0);
        MW_ASSERT(mw_store_view_open(both->store, &view) == MW_OK);
        view->query_budget = 8000;
        whole = ask_all(view, &arena);
        MW_ASSERT(whole || !finished);
        mw_store_view_close(view);
        mw_arena_reset(&arena);
    }
    return NULL;
}

static void test_snapshots(void **state)
{
    test_dir dir;
    shared both = {0};
    pthread_t writer, readers[READERS];
    (void)state;
    test_dir_init(&dir);
    both.store = open_with(dir.store, mw_clock_system(), MW_STORE_QUEUE_DEFAULT, 16 * 1024);
    for (int i = 0; i < READERS; i++)
        assert_int_equal(pthread_create(&readers[i], NULL, ask_always, &both), 0);
    assert_int_equal(pthread_create(&writer, NULL, append_all, &both), 0);
    pthread_join(writer, NULL);
    for (int i = 0; i < READERS; i++)
        pthread_join(readers[i], NULL);
    assert_true(both.finished);
    mw_store_close(both.store);
    test_dir_fini(&dir);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_snapshots)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
