/* The store as a whole: appending from many threads, reopening, views, rotation, budgets. */
#include <stdatomic.h>

#include "tests/unit/lib-store/store_test.h"

static mw_store_stats stats_of(mw_store *store)
{
    mw_store_stats stats;
    mw_store_stats_read(store, &stats);
    return stats;
}

static void test_empty(void **state)
{
    test_dir dir;
    mw_store_view *view;
    mw_arena arena;
    mw_trace_list traces;
    mw_session_list sessions;
    mw_span_list spans;
    mw_store_page page = {.limit = 10};
    mw_span_query query = {.limit = 10};
    uint8_t id[16] = {1};
    mw_trace trace;
    mw_session session;
    (void)state;
    test_dir_init(&dir);
    mw_store *store = open_store(dir.store);
    mw_arena_init(&arena, MW_MEM_QUERY, 0);
    assert_int_equal(mw_store_view_open(store, &view), MW_OK);
    assert_int_equal(mw_store_view_seq(view), 0);
    assert_int_equal(mw_store_trace_list(view, &page, &arena, &traces), MW_OK);
    assert_int_equal(traces.count, 0);
    assert_int_equal(mw_store_session_list(view, &page, &arena, &sessions), MW_OK);
    assert_int_equal(sessions.count, 0);
    assert_int_equal(mw_store_span_search(view, &query, &arena, &spans), MW_OK);
    assert_int_equal(spans.count, 0);
    assert_int_equal(mw_store_trace_read(view, id, &arena, &trace), MW_E_NOT_FOUND);
    assert_int_equal(mw_store_trace_find(view, MW_SLICE("010000"), id), MW_E_NOT_FOUND);
    assert_int_equal(mw_store_session_read(view, MW_SLICE("session"), &arena, &session),
                     MW_E_NOT_FOUND);
    mw_store_view_close(view);
    assert_true(stats_of(store).writable);
    mw_store_close(store);
    mw_store_verified whole;
    assert_int_equal(mw_store_verify(dir.store, NULL, NULL, &whole), MW_OK);
    assert_int_equal(mw_store_verify("/nonexistent", NULL, NULL, &whole), MW_E_NOT_FOUND);
    mw_arena_reset(&arena);
    test_dir_fini(&dir);
}

/* ---- one span, all of it --------------------------------------------------------------------- */

static void assert_text(mw_slice got, const char *expected)
{
    assert_int_equal(got.len, strlen(expected));
    assert_memory_equal(got.data, expected, got.len);
}

static void check_read(mw_store *store)
{
    mw_store_view *view;
    mw_arena arena;
    mw_trace trace;
    uint8_t id[16];
    mw_arena_init(&arena, MW_MEM_QUERY, 0);
    assert_int_equal(mw_store_view_open(store, &view), MW_OK);
    assert_int_equal(mw_store_view_seq(view), 2);
    trace_id_of(id, 1);
    assert_int_equal(mw_store_trace_read(view, id, &arena, &trace), MW_OK);
    assert_int_equal(trace.span_count, 2);
    const mw_trace_span *root = &trace.spans[0], *child = &trace.spans[1];
    assert_text(root->row.name, "invoke");
    assert_text(root->row.agent, "planner");
    assert_text(root->bytes, "item bytes of span 1");
    assert_text(root->resource.bytes, "resource");
    assert_text(root->scope.schema_url, "https://example.com/1");
    assert_int_equal(root->own_session_id.len, 0);
    assert_int_equal(root->commit_seq, 1);
    assert_text(root->row.session_id, "session-7");
    assert_text(child->own_session_id, "session-7");
    assert_text(child->row.agent, "planner");
    assert_int_equal(child->commit_seq, 2);
    assert_text(trace.summary.root_name, "invoke");
    assert_text(trace.summary.service, "checkout");
    assert_int_equal(trace.summary.session_count, 1);
    assert_text(trace.summary.session_ids[0], "session-7");
    assert_int_equal(trace.summary.spans, 2);
    assert_int_equal(trace.summary.input_tokens, 40);
    mw_store_view_close(view);
    mw_arena_reset(&arena);
}

static void test_read_back(void **state)
{
    test_dir dir;
    uint64_t seq;
    (void)state;
    test_dir_init(&dir);
    mw_store *store = open_store(dir.store);
    test_batch first, second;
    test_batch_init(&first, 1);
    test_span(&first, 0, 1, 1, 0);
    first.spans[0].name = MW_SLICE("invoke");
    first.spans[0].agent = MW_SLICE("planner");
    first.spans[0].operation_kind = MW_OP_AGENT;
    assert_int_equal(append_wait(store, &first.batch, &seq), MW_OK);
    assert_int_equal(seq, 1);
    test_batch_init(&second, 1);
    test_span(&second, 0, 1, 2, 1);
    second.spans[0].session_id = MW_SLICE("session-7");
    second.spans[0].operation_kind = MW_OP_MODEL;
    second.spans[0].input_tokens = 40;
    assert_int_equal(append_wait(store, &second.batch, &seq), MW_OK);
    assert_int_equal(seq, 2);
    test_batch_fini(&first);
    test_batch_fini(&second);
    check_read(store);
    mw_store_close(store);
    /* The same after a restart, and the sequence goes on. */
    store = open_store(dir.store);
    check_read(store);
    assert_int_equal(append_spans(store, 5, 1, 3), MW_OK);
    assert_int_equal(stats_of(store).commit_seq, 3);
    mw_store_close(store);
    test_dir_fini(&dir);
}

/* ---- threads --------------------------------------------------------------------------------- */

enum { WRITERS = 4, BATCHES = 60, SPANS = 5 };

typedef struct hammer {
    mw_store *store;
    uint64_t trace;
    atomic_uint acknowledged;
    atomic_bool *stop;
    bool failed;
} hammer;

static void count_done(void *ctx, mw_err err, uint64_t seq)
{
    hammer *self = ctx;
    if (err == MW_OK && seq > 0)
        atomic_fetch_add(&self->acknowledged, 1);
}

static void *append_many(void *argument)
{
    hammer *self = argument;
    for (uint64_t round = 0; round < BATCHES; round++) {
        test_batch batch;
        test_batch_init(&batch, SPANS);
        for (uint64_t i = 0; i < SPANS; i++)
            test_span(&batch, i, self->trace, round * SPANS + i + 1, 0);
        if (mw_store_append(self->store, &batch.batch, count_done, self) != MW_OK)
            self->failed = true;
        test_batch_fini(&batch);
    }
    return NULL;
}

/* A view shows one state however often it is asked, and never less than an earlier view. */
static void *read_many(void *argument)
{
    hammer *self = argument;
    uint64_t last_seq = 0, last_spans = 0;
    do {
        mw_store_view *view;
        mw_span_list first, second;
        mw_span_query query = {.limit = 5};
        mw_arena arena;
        mw_arena_init(&arena, MW_MEM_QUERY, 0);
        if (mw_store_view_open(self->store, &view) != MW_OK ||
            mw_store_span_search(view, &query, &arena, &first) != MW_OK ||
            mw_store_span_search(view, &query, &arena, &second) != MW_OK) {
            self->failed = true;
            return NULL;
        }
        uint64_t seq = mw_store_view_seq(view);
        /* Sequences begin at 1 and each block has SPANS spans. */
        if (first.matched != second.matched || first.matched != seq * SPANS || seq < last_seq ||
            first.matched < last_spans)
            self->failed = true;
        last_seq = seq;
        last_spans = first.matched;
        mw_store_view_close(view);
        mw_arena_reset(&arena);
    } while (!atomic_load(self->stop));
    return NULL;
}

static void test_threads(void **state)
{
    test_dir dir;
    hammer writers[WRITERS], reader;
    pthread_t threads[WRITERS], reading;
    atomic_bool stop = false;
    (void)state;
    test_dir_init(&dir);
    mw_store *store = open_with(dir.store, mw_clock_system(), MW_STORE_QUEUE_DEFAULT, 16 * 1024);
    memset(&reader, 0, sizeof reader);
    reader.store = store;
    reader.stop = &stop;
    pthread_create(&reading, NULL, read_many, &reader);
    for (size_t i = 0; i < WRITERS; i++) {
        memset(&writers[i], 0, sizeof writers[i]);
        writers[i].store = store;
        writers[i].trace = 100 + i;
        pthread_create(&threads[i], NULL, append_many, &writers[i]);
    }
    for (size_t i = 0; i < WRITERS; i++)
        pthread_join(threads[i], NULL);
    atomic_store(&stop, true);
    pthread_join(reading, NULL);
    mw_store_close(store); /* finishes what waits */
    assert_false(reader.failed);
    store = open_store(dir.store);
    for (size_t i = 0; i < WRITERS; i++) {
        assert_false(writers[i].failed);
        assert_int_equal(atomic_load(&writers[i].acknowledged), BATCHES);
        assert_int_equal(count_spans(store, 100 + i), BATCHES * SPANS);
    }
    assert_int_equal(stats_of(store).spans, WRITERS * BATCHES * SPANS);
    assert_int_equal(stats_of(store).commit_seq, WRITERS * BATCHES);
    mw_store_close(store);
    test_dir_fini(&dir);
}

/* ---- views, rotation, budgets ---------------------------------------------------------------- */

static void test_view_is_a_snapshot(void **state)
{
    test_dir dir;
    mw_store_view *before, *after;
    mw_arena arena;
    mw_trace trace;
    uint8_t id[16];
    (void)state;
    test_dir_init(&dir);
    mw_store *store = open_store(dir.store);
    assert_int_equal(append_spans(store, 1, 1, 2), MW_OK);
    assert_int_equal(mw_store_view_open(store, &before), MW_OK);
    /* Enough blocks that the index's table is replaced under the view. */
    for (uint64_t i = 0; i < 600; i++)
        assert_int_equal(append_spans(store, 1, 10 + i, 1), MW_OK);
    assert_int_equal(mw_store_view_open(store, &after), MW_OK);
    trace_id_of(id, 1);
    mw_arena_init(&arena, MW_MEM_QUERY, 0);
    assert_int_equal(mw_store_view_seq(before), 1);
    assert_int_equal(mw_store_trace_read(before, id, &arena, &trace), MW_OK);
    assert_int_equal(trace.span_count, 2);
    assert_int_equal(mw_store_view_seq(after), 601);
    assert_int_equal(mw_store_trace_read(after, id, &arena, &trace), MW_OK);
    assert_int_equal(trace.span_count, 602);
    mw_arena_reset(&arena);
    mw_store_view_close(before);
    mw_store_view_close(after);
    mw_store_close(store);
    test_dir_fini(&dir);
}

static void test_rotation(void **state)
{
    test_dir dir;
    mw_store_verified whole;
    (void)state;
    test_dir_init(&dir);
    mw_store *store = open_with(dir.store, mw_clock_system(), MW_STORE_QUEUE_DEFAULT, 4096);
    for (uint64_t i = 0; i < 100; i++)
        assert_int_equal(append_spans(store, i % 7, i * 10 + 1, 10), MW_OK);
    mw_store_stats stats = stats_of(store);
    assert_true(stats.segments > 5);
    assert_int_equal(stats.segments, count_files(dir.store, ".seg"));
    assert_int_equal(stats.blocks, 100);
    mw_store_close(store);
    assert_int_equal(mw_store_verify(dir.store, NULL, NULL, &whole), MW_OK);
    assert_int_equal(whole.blocks, 100);
    assert_int_equal(whole.spans, 1000);
    /* Leftovers of a creation that never finished are swept. */
    char leftover[160];
    snprintf(leftover, sizeof leftover, "%s/00000000000000ff.tmp", dir.store);
    fclose(fopen(leftover, "w"));
    store = open_store(dir.store);
    assert_int_equal(count_files(dir.store, ".tmp"), 0);
    assert_int_equal(stats_of(store).blocks, 100);
    assert_int_equal(stats_of(store).spans, 1000);
    for (uint64_t i = 0; i < 7; i++)
        assert_int_equal(count_spans(store, i), i < 2 ? 150 : 140);
    mw_store_close(store);
    test_dir_fini(&dir);
}

/* Restarts without appends must not pile up files, and nothing is read twice. */
static void test_many_restarts(void **state)
{
    test_dir dir;
    (void)state;
    test_dir_init(&dir);
    for (uint64_t round = 0; round < 5; round++) {
        mw_store *store = open_store(dir.store);
        assert_int_equal(append_spans(store, 1, round + 1, 1), MW_OK);
        mw_store_close(store);
    }
    size_t files = 0;
    for (int round = 0; round < 5; round++) {
        mw_store *store = open_store(dir.store);
        assert_int_equal(count_spans(store, 1), 5);
        assert_int_equal(stats_of(store).spans, 5);
        mw_store_close(store);
        if (round == 0)
            files = count_files(dir.store, ".seg");
        assert_int_equal(count_files(dir.store, ".seg"), files);
    }
    assert_int_equal(mw_store_verify(dir.store, NULL, NULL, NULL), MW_OK);
    test_dir_fini(&dir);
}

static void test_second_process_is_refused(void **state)
{
    test_dir dir;
    mw_store *second = NULL;
    mw_detail detail = {0};
    (void)state;
    test_dir_init(&dir);
    mw_store *store = open_store(dir.store);
    mw_store_config config = {.directory = dir.store,
                              .clock = mw_clock_system(),
                              .queue_budget_bytes = MW_STORE_QUEUE_DEFAULT,
                              .segment_max_bytes = MW_STORE_SEGMENT_DEFAULT};
    assert_int_equal(mw_store_open(&config, &second, &detail), MW_E_CONFLICT);
    assert_non_null(strstr(detail.message, dir.store));
    mw_store_close(store);
    test_dir_fini(&dir);
}

/* Somebody's file under a segment's name: the start goes on without it and keeps it. */
static void test_foreign_header(void **state)
{
    test_dir dir;
    char path[160], aside[192];
    mw_store *store = open_store((test_dir_init(&dir), dir.store));
    (void)state;
    mw_store_close(store);
    snprintf(path, sizeof path, "%s/0000000000000009.seg", dir.store);
    snprintf(aside, sizeof aside, "%s.aside-1", path);
    FILE *file = fopen(path, "w");
    fputs("these are 80 bytes or more of something else, that somebody put here by mistake, alas",
          file);
    fclose(file);
    assert_int_equal(mw_store_verify(dir.store, NULL, NULL, NULL), MW_E_CORRUPT);
    store = open_store(dir.store);
    assert_int_equal(append_spans(store, 1, 1, SPANS), MW_OK);
    mw_store_close(store);
    assert_int_equal(access(path, F_OK), -1);
    assert_int_equal(access(aside, F_OK), 0);
    assert_int_equal(mw_store_verify(dir.store, NULL, NULL, NULL), MW_OK);
    test_dir_fini(&dir);
}

/* The writer stands still inside a completion; then the queue's budget is what refuses. */
typedef struct gate {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    bool entered, open;
    unsigned done;
} gate;

static void wait_at_gate(void *ctx, mw_err err, uint64_t seq)
{
    gate *self = ctx;
    (void)err, (void)seq;
    pthread_mutex_lock(&self->lock);
    self->entered = true;
    self->done++;
    pthread_cond_broadcast(&self->changed);
    while (!self->open)
        pthread_cond_wait(&self->changed, &self->lock);
    pthread_mutex_unlock(&self->lock);
}

static void test_queue_budget(void **state)
{
    test_dir dir;
    gate self = {PTHREAD_MUTEX_INITIALIZER, PTHREAD_COND_INITIALIZER, false, false, 0};
    test_batch batch;
    (void)state;
    test_dir_init(&dir);
    mw_store *store = open_with(dir.store, mw_clock_system(), 4096, MW_STORE_SEGMENT_DEFAULT);
    test_batch_init(&batch, 8);
    for (uint64_t i = 0; i < 8; i++)
        test_span(&batch, i, 1, i + 1, 0);
    assert_int_equal(mw_store_append(store, &batch.batch, wait_at_gate, &self), MW_OK);
    pthread_mutex_lock(&self.lock);
    while (!self.entered)
        pthread_cond_wait(&self.changed, &self.lock);
    pthread_mutex_unlock(&self.lock);
    unsigned taken = 0;
    size_t ingest = 0;
    mw_err err;
    while ((err = mw_store_append(store, &batch.batch, wait_at_gate, &self)) == MW_OK) {
        taken++;
        assert_true(taken < 1000);
        ingest = mw_memory_component_used(MW_MEM_INGEST);
    }
    assert_int_equal(err, MW_E_BUSY);
    assert_true(taken >= 1);
    assert_true(stats_of(store).queue_bytes <= 4096);
    assert_int_equal(stats_of(store).queue_count, taken);
    /* A refused append leaves nothing behind. */
    assert_int_equal(mw_memory_component_used(MW_MEM_INGEST), ingest);
    pthread_mutex_lock(&self.lock);
    self.open = true;
    pthread_cond_broadcast(&self.changed);
    pthread_mutex_unlock(&self.lock);
    mw_store_close(store);
    assert_int_equal(self.done, taken + 1);
    test_batch_fini(&batch);
    test_dir_fini(&dir);
}

static void test_closing_leaves_no_memory(void **state)
{
    test_dir dir;
    (void)state;
    test_dir_init(&dir);
    size_t before = mw_memory_used();
    mw_store *store = open_with(dir.store, mw_clock_system(), MW_STORE_QUEUE_DEFAULT, 4096);
    for (uint64_t i = 0; i < 20; i++)
        assert_int_equal(append_spans(store, i, 1, 20), MW_OK);
    assert_true(mw_memory_component_used(MW_MEM_STORE) > 0);
    assert_int_equal(count_spans(store, 3), 20);
    mw_store_close(store);
    assert_int_equal(mw_memory_used(), before);
    test_dir_fini(&dir);
}

static void test_kind_names(void **state)
{
    (void)state;
    assert_string_equal(mw_operation_kind_name(MW_OP_MODEL), "model");
    assert_string_equal(mw_operation_kind_name(MW_OP_MESSAGING), "messaging");
    assert_string_equal(mw_operation_kind_name((mw_operation_kind)200), "other");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_empty),
        cmocka_unit_test(test_read_back),
        cmocka_unit_test(test_threads),
        cmocka_unit_test(test_view_is_a_snapshot),
        cmocka_unit_test(test_rotation),
        cmocka_unit_test(test_many_restarts),
        cmocka_unit_test(test_second_process_is_refused),
        cmocka_unit_test(test_foreign_header),
        cmocka_unit_test(test_queue_budget),
        cmocka_unit_test(test_closing_leaves_no_memory),
        cmocka_unit_test(test_kind_names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
