/* Following log records, against the naive model (log_model.h): whatever the filters, the limits
 * and the place to begin at, each record that matches comes once and in order of commit, also after
 * a restart. Then the listener, and a follower beside a thread that appends.
 */
#include "tests/unit/lib-store/log_model.h"
#include "tests/unit/lib-store/quick_disk.h"

/* ---- against the model ----------------------------------------------------------------------- */

static bool is_behind(const model_log *log, mw_log_position after)
{
    return log->seq > after.seq || (log->seq == after.seq && log->row > after.index);
}

/* Follows from `after` to the end of the view; how many records there were. */
static size_t check_follow(mw_store_view *view, const sent_spans *all, const model_query *query,
                           mw_log_follow follow)
{
    asked_texts texts;
    const mw_log_query asked = asked_of(query, &texts);
    size_t at = 0, found = 0;
    mw_log_tail tail = {.more = true};
    mw_arena arena;

    mw_arena_init(&arena, MW_MEM_QUERY, 0);
    follow.since_ns = query->page.since_ns;
    mw_log_position begin = follow.after;
    while (tail.more) {
        size_t bytes = 0;
        assert_int_equal(mw_store_log_follow(view, &follow, &asked, &arena, &tail), MW_OK);
        assert_true(tail.count <= follow.limit);
        for (size_t i = 0; i < tail.count; i++, at++) {
            while (at < all->log_count &&
                   (!is_behind(&all->logs[at], begin) || !log_matches(&all->logs[at], query)))
                at++;
            assert_true(at < all->log_count);
            assert_log(&tail.items[i], &all->logs[at]);
            assert_int_equal(tail.items[i].index, all->logs[at].row);
            bytes += tail.items[i].bytes.len;
        }
        found += tail.count;
        assert_true(!follow.max_bytes || bytes <= follow.max_bytes || tail.count == 1);
        assert_true(
            tail.position.seq > follow.after.seq ||
            (tail.position.seq == follow.after.seq && tail.position.index >= follow.after.index));
        follow.after = tail.position;
    }
    for (; at < all->log_count; at++)
        assert_false(is_behind(&all->logs[at], begin) && log_matches(&all->logs[at], query));
    assert_true(tail.position.seq >= mw_store_view_seq(view));
    assert_int_equal(mw_store_log_follow(view, &follow, &asked, &arena, &tail), MW_OK);
    assert_true(tail.count == 0 && !tail.more);
    mw_arena_reset(&arena);
    return found;
}

static mw_log_position random_place(test_random *random, const sent_spans *all)
{
    const model_log *log = &all->logs[random_below(random, all->log_count)];
    if (random_below(random, 2))
        return (mw_log_position){0, 0};
    return (mw_log_position){log->seq, random_below(random, 3) ? log->row : UINT32_MAX};
}

static size_t check_all(mw_store *store, const expected *model, size_t budget, uint64_t seed)
{
    static const size_t limits[] = {1, 3, 17, 1000}, bounds[] = {0, 1, 200, 100000};
    test_random random = {seed};
    mw_store_view *view;
    size_t found = 0, before = mw_memory_component_used(MW_MEM_QUERY);

    assert_int_equal(mw_store_view_open(store, &view), MW_OK);
    view->query_budget = budget;
    for (size_t i = 0; i < 4; i++) {
        const model_query everything = {.page = {.limit = 1}};
        const mw_log_follow follow = {.limit = limits[i], .max_bytes = bounds[i]};
        assert_int_equal(check_follow(view, &model->all, &everything, follow),
                         model->all.log_count);
    }
    for (size_t i = 0; i < 150; i++) {
        model_query query = random_query(&random, &model->all);
        const mw_log_follow follow = {.after = random_place(&random, &model->all),
                                      .limit = limits[random_below(&random, 4)],
                                      .max_bytes = bounds[random_below(&random, 4)]};
        query.page.until_ns = 0;
        found += check_follow(view, &model->all, &query, follow);
    }
    mw_store_view_close(view);
    assert_int_equal(mw_memory_component_used(MW_MEM_QUERY), before);
    return found;
}

static void run_shape(const shape *form)
{
    check_life(form, check_all, 300);
}

static void test_dense(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 3; seed++) {
        const shape form = {seed, 50, 10, 30, 12, 10, 0, 40, 0, 24};
        run_shape(&form);
    }
}

/* More blocks than one question looks at; one session in many traces. */
static void test_many_blocks(void **state)
{
    const shape over_time = {5, 200, 6, 120, 10, 60, 40, 100, 0, 16};
    const shape shares = {7, 150, 20, 400, 3, 2, 3, 100, 0, 10};
    (void)state;
    run_shape(&over_time);
    run_shape(&shares);
}

/* ---- edges ----------------------------------------------------------------------------------- */

static mw_log_tail ask(mw_store *store, mw_arena *arena, mw_log_position after)
{
    const mw_log_follow follow = {.after = after, .limit = 10};
    const mw_log_query all = {0};
    mw_store_view *view;
    mw_log_tail tail;
    assert_int_equal(mw_store_view_open(store, &view), MW_OK);
    assert_int_equal(mw_store_log_follow(view, &follow, &all, arena, &tail), MW_OK);
    mw_store_view_close(view);
    return tail;
}

static void append_logs(mw_store *store, uint64_t first, size_t count)
{
    test_batch batch;
    test_batch_init_of(&batch, MW_SIGNAL_LOGS, count);
    for (size_t i = 0; i < count; i++)
        test_log(&batch, i, 0, first + i);
    MW_ASSERT(append_wait(store, &batch.batch, NULL) == MW_OK);
    test_batch_fini(&batch);
}

static void test_edges(void **state)
{
    test_dir dir;
    mw_arena arena;
    (void)state;
    test_dir_init(&dir);
    mw_arena_init(&arena, MW_MEM_QUERY, 0);
    mw_store *store = open_store(dir.store);
    mw_log_tail tail = ask(store, &arena, (mw_log_position){0, 0});
    assert_true(tail.count == 0 && !tail.more && tail.position.seq == 0);
    /* Other signals move the position along. */
    assert_int_equal(append_spans(store, 1, 1, 5), MW_OK);
    tail = ask(store, &arena, tail.position);
    assert_true(tail.count == 0 && !tail.more && tail.position.seq == 1);
    append_logs(store, 1, 3);
    tail = ask(store, &arena, tail.position);
    assert_int_equal(tail.count, 3);
    assert_int_equal(tail.items[2].row.time_ns, 1503);
    assert_true(tail.position.seq == 2 && tail.position.index == UINT32_MAX);
    assert_int_equal(ask(store, &arena, tail.position).count, 0);
    /* The rest of the newest commit, and then nothing more of it. */
    tail = ask(store, &arena, (mw_log_position){2, 0});
    assert_int_equal(tail.count, 2);
    assert_true(tail.position.seq == 2 && tail.position.index == UINT32_MAX);
    /* A place that is still to come stays where it is. */
    tail = ask(store, &arena, (mw_log_position){99, 7});
    assert_true(tail.count == 0 && tail.position.seq == 99 && tail.position.index == 7);
    mw_arena_reset(&arena);
    mw_store_close(store);
    test_dir_fini(&dir);
}

/* More records in merged blocks than one question looks at, commits that end in another block than
 * they began, and spans between them. */
static void test_large_blocks(void **state)
{
    enum { COMMITS = 40, RECORDS = 5000 };
    test_dir dir;
    mw_arena arena;
    size_t count, steps = 0, seen = 0;
    (void)state;
    test_dir_init(&dir);
    mw_store *store = open_store(dir.store);
    for (uint64_t i = 0; i < COMMITS; i++) {
        append_logs(store, i * RECORDS, RECORDS);
        assert_int_equal(append_spans(store, 1 + i, 1, 5), MW_OK);
    }
    mw_store_close(store);
    store = open_store(dir.store);
    mw_segment **list = segments_in_order(store, &count);
    test_merge merge = {.store = store, .rows_a_block = 8192, .packed = 2};
    merge_segments(&merge, list, count, false);
    free(list);
    mw_arena_init(&arena, MW_MEM_QUERY, 0);
    for (mw_log_tail tail = {.more = true}; tail.more; steps++) {
        const mw_log_follow follow = {.after = tail.position, .limit = 1000000};
        const mw_log_query query = {.severity_min = 24}; /* few of them */
        mw_store_view *view;
        assert_int_equal(mw_store_view_open(store, &view), MW_OK);
        assert_int_equal(mw_store_log_follow(view, &follow, &query, &arena, &tail), MW_OK);
        mw_store_view_close(view);
        for (size_t i = 0; i < tail.count; i++, seen++) {
            while (1 + seen % 24 != 24)
                seen++;
            assert_int_equal(tail.items[i].row.time_ns, 1500 + seen);
        }
        mw_arena_reset(&arena);
    }
    assert_true(seen > COMMITS * RECORDS - 24);
    assert_int_equal(steps, 2);
    mw_store_close(store);
    test_dir_fini(&dir);
}

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
    for (int question = 0; question < 2; question++) {
        const mw_log_follow follow = {.limit = 9};
        const mw_log_query query = {.session_id =
                                        question ? MW_SLICE("s00001-session") : MW_SLICE_NONE};
        size_t before = mw_memory_used();
        bool done = false;
        for (uint64_t at = 1; !done; at++) {
            mw_store_view *view;
            mw_arena arena;
            mw_log_tail tail;
            mw_arena_init(&arena, MW_MEM_QUERY, 0);
            assert_int_equal(mw_store_view_open(store, &view), MW_OK);
            mw_memory_fail_at(at);
            mw_err err = mw_store_log_follow(view, &follow, &query, &arena, &tail);
            mw_memory_fail_at(0);
            done = err == MW_OK;
            assert_true(done ? tail.count > 0 : err == MW_E_NOMEM && tail.count == 0);
            mw_store_view_close(view);
            mw_arena_reset(&arena);
            assert_int_equal(mw_memory_used(), before);
        }
    }
    mw_store_close(store);
    forget_sent(&all);
    test_dir_fini(&dir);
}

/* ---- listening ------------------------------------------------------------------------------- */

#define ROUNDS 300u

typedef struct heard {
    mw_store *store;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    uint64_t seq;
    unsigned signals, calls;
} heard;

static void hear(void *ctx, uint64_t commit_seq, unsigned signals)
{
    heard *ear = ctx;
    pthread_mutex_lock(&ear->lock);
    MW_ASSERT(commit_seq > ear->seq);
    ear->seq = commit_seq;
    ear->signals |= signals;
    ear->calls++;
    pthread_cond_signal(&ear->changed);
    pthread_mutex_unlock(&ear->lock);
}

/* Until a commit behind `seq` was heard of. */
static void wait_for(heard *ear, uint64_t seq)
{
    pthread_mutex_lock(&ear->lock);
    while (ear->seq <= seq)
        pthread_cond_wait(&ear->changed, &ear->lock);
    pthread_mutex_unlock(&ear->lock);
}

static void heard_init(heard *ear)
{
    memset(ear, 0, sizeof *ear);
    pthread_mutex_init(&ear->lock, NULL);
    pthread_cond_init(&ear->changed, NULL);
}

static void test_listener(void **state)
{
    test_dir dir;
    test_batch batch;
    heard first, second;
    (void)state;
    test_dir_init(&dir);
    mw_store *store = open_store(dir.store);
    heard_init(&first);
    heard_init(&second);
    mw_store_listen(store, hear, &first);
    mw_store_listen(store, hear, &second);
    append_logs(store, 1, 3);
    wait_for(&first, 0);
    assert_int_equal(first.signals, 1u << MW_SIGNAL_LOGS);
    assert_int_equal(append_spans(store, 1, 1, 5), MW_OK);
    wait_for(&first, 1);
    wait_for(&second, 1);
    assert_int_equal(first.signals, 1u << MW_SIGNAL_LOGS | 1u << MW_SIGNAL_TRACES);
    /* A repeat stores nothing, and nobody is told. */
    test_batch_init_of(&batch, MW_SIGNAL_LOGS, 1);
    test_log(&batch, 0, 0, 9);
    memset(batch.batch.digest, 7, sizeof batch.batch.digest);
    assert_int_equal(append_wait(store, &batch.batch, NULL), MW_OK);
    assert_int_equal(append_wait(store, &batch.batch, NULL), MW_OK);
    test_batch_fini(&batch);
    append_logs(store, 20, 1);
    wait_for(&first, 3);
    mw_store_close(store);
    assert_int_equal(first.calls, 4);
    assert_int_equal(second.calls, 4);
    assert_int_equal(first.seq, 4);
    test_dir_fini(&dir);
}

static void *append_rounds(void *ctx)
{
    heard *ear = ctx;
    for (uint64_t round = 0; round < ROUNDS; round++)
        append_logs(ear->store, 10 * round, 1 + round % 4);
    return NULL;
}

/* One that is woken by the listener sees every record once, whatever else is appended. */
static void test_follower_thread(void **state)
{
    test_dir dir;
    heard ear;
    pthread_t writer;
    mw_arena arena;
    uint64_t round = 0;
    mw_log_position after = {0, 0};
    (void)state;
    test_dir_init(&dir);
    heard_init(&ear);
    ear.store = open_with(dir.store, mw_clock_system(), MW_STORE_QUEUE_DEFAULT, 16 * 1024);
    mw_store_listen(ear.store, hear, &ear);
    assert_int_equal(pthread_create(&writer, NULL, append_rounds, &ear), 0);
    mw_arena_init(&arena, MW_MEM_QUERY, 0);
    for (uint64_t within = 0; round < ROUNDS;) {
        mw_log_tail tail = ask(ear.store, &arena, after);
        for (size_t i = 0; i < tail.count; i++) {
            assert_int_equal(tail.items[i].row.time_ns, 1500 + 10 * round + within);
            within = within == round % 4 ? 0 : within + 1;
            round += within == 0;
        }
        after = tail.position;
        mw_arena_reset(&arena);
        if (!tail.more && round < ROUNDS)
            wait_for(&ear, after.seq);
    }
    pthread_join(writer, NULL);
    assert_int_equal(ask(ear.store, &arena, after).count, 0);
    mw_arena_reset(&arena);
    mw_store_close(ear.store);
    test_dir_fini(&dir);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_dense),           cmocka_unit_test(test_many_blocks),
        cmocka_unit_test(test_edges),           cmocka_unit_test(test_large_blocks),
        cmocka_unit_test(test_without_memory),  cmocka_unit_test(test_listener),
        cmocka_unit_test(test_follower_thread),
    };
    return cmocka_run_group_tests(tests, quick_disk_begin, quick_disk_end);
}
