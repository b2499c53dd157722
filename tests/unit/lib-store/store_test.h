/* What the store's tests share: random batches, a directory of their own, appending and waiting.
 *
 * Everything is seeded and single-threaded unless a test says otherwise; memory of batches is the
 * C library's, so that the accounts of the program stay comparable.
 */
#ifndef MW_TEST_STORE_TEST_H
#define MW_TEST_STORE_TEST_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <pthread.h>
#include <unistd.h>

#include "lib/store/store.h"
#include "lib/store/store_int.h"
#include "tests/unit/trees.h"

typedef struct test_random {
    uint64_t state;
} test_random;

static inline uint64_t random_next(test_random *random)
{
    /* splitmix64 */
    uint64_t z = random->state += UINT64_C(0x9e3779b97f4a7c15);
    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return z ^ (z >> 31);
}

static inline uint64_t random_below(test_random *random, uint64_t bound)
{
    return random_next(random) % bound;
}

/* A batch that owns its memory. Of the rows, those of its signal alone are there. */
typedef struct test_batch {
    mw_store_batch batch;
    mw_store_item *items;
    mw_span_row *spans;
    mw_log_row *logs;
    mw_point_row *points;
    mw_slice *metrics;
    mw_store_context *contexts;
    char **texts;
    size_t text_count, text_capacity;
} test_batch;

static inline mw_slice test_text(test_batch *batch, const char *data, size_t len)
{
    if (batch->text_count == batch->text_capacity) {
        batch->text_capacity = batch->text_capacity ? batch->text_capacity * 2 : 64;
        batch->texts = realloc(batch->texts, batch->text_capacity * sizeof *batch->texts);
    }
    char *copy = malloc(len + 1);
    memcpy(copy, data, len);
    copy[len] = '\0';
    batch->texts[batch->text_count++] = copy;
    return mw_slice_bytes(copy, len);
}

static inline mw_slice test_format(test_batch *batch, const char *prefix, uint64_t number)
{
    char text[64];
    int len = snprintf(text, sizeof text, "%s%llu", prefix, (unsigned long long)number);
    return test_text(batch, text, (size_t)len);
}

static inline void test_batch_rows(test_batch *batch, mw_signal signal, size_t count)
{
    batch->batch.signal = signal;
    switch (signal) {
    case MW_SIGNAL_METRICS:
        batch->batch.rows.points = batch->points = calloc(count, sizeof *batch->points);
        break;
    case MW_SIGNAL_LOGS:
        batch->batch.rows.logs = batch->logs = calloc(count, sizeof *batch->logs);
        break;
    default:
        batch->batch.rows.spans = batch->spans = calloc(count, sizeof *batch->spans);
        for (size_t i = 0; i < count; i++)
            batch->spans[i].input_tokens = batch->spans[i].output_tokens = MW_TOKENS_UNKNOWN;
    }
}

/* `count` empty items, one resource, one scope, for metrics one head. */
static inline void test_batch_init_of(test_batch *batch, mw_signal signal, size_t count)
{
    memset(batch, 0, sizeof *batch);
    test_batch_rows(batch, signal, count);
    batch->items = calloc(count, sizeof *batch->items);
    batch->contexts = calloc(2, sizeof *batch->contexts);
    batch->contexts[0].bytes = test_text(batch, "resource", 8);
    batch->contexts[1].bytes = test_text(batch, "scope", 5);
    batch->contexts[1].schema_url = test_text(batch, "https://example.com/1", 21);
    batch->batch.resources = batch->contexts;
    batch->batch.resource_count = 1;
    batch->batch.scopes = batch->contexts + 1;
    batch->batch.scope_count = 1;
    batch->batch.items = batch->items;
    batch->batch.item_count = count;
    if (signal == MW_SIGNAL_METRICS) {
        batch->metrics = calloc(1, sizeof *batch->metrics);
        batch->metrics[0] = test_text(batch, "metric head", 11);
        batch->batch.metrics = batch->metrics;
        batch->batch.metric_count = 1;
    }
}

/* `count` empty spans. */
static inline void test_batch_init(test_batch *batch, size_t count)
{
    test_batch_init_of(batch, MW_SIGNAL_TRACES, count);
}

static inline void test_batch_fini(test_batch *batch)
{
    for (size_t i = 0; i < batch->text_count; i++)
        free(batch->texts[i]);
    free(batch->texts);
    free(batch->items);
    free(batch->spans);
    free(batch->logs);
    free(batch->points);
    free(batch->metrics);
    free(batch->contexts);
}

static inline void put_id(uint8_t *out, size_t size, uint64_t value)
{
    for (size_t i = 0; i < size; i++)
        out[size - 1 - i] = (uint8_t)(i < 8 ? (value >> (8 * i)) & 0xff : 0);
}

/* Spreads small numbers over the whole range, as real ids are. */
static inline void trace_id_of(uint8_t out[16], uint64_t number)
{
    test_random random = {number};
    put_id(out, 8, random_next(&random));
    put_id(out + 8, 8, number);
}

/* A span with distinguishable content. */
static inline void test_span(test_batch *batch, size_t at, uint64_t trace, uint64_t span,
                             uint64_t parent)
{
    mw_span_row *row = &batch->spans[at];
    trace_id_of(row->trace_id, trace);
    put_id(row->span_id, 8, span);
    put_id(row->parent_span_id, 8, parent);
    row->start_ns = 1000 + span;
    row->end_ns = 2000 + span;
    row->name = test_format(batch, "span ", span);
    row->service = MW_SLICE("checkout");
    batch->items[at].bytes = test_format(batch, "item bytes of span ", span);
}

/* A log record of that trace (0 = of none), at a time of its own. */
static inline void test_log(test_batch *batch, size_t at, uint64_t trace, uint64_t number)
{
    mw_log_row *row = &batch->logs[at];
    if (trace)
        trace_id_of(row->trace_id, trace);
    row->time_ns = 1500 + number;
    row->severity = (uint8_t)(1 + number % 24);
    row->service = MW_SLICE("checkout");
    batch->items[at].bytes = test_format(batch, "item bytes of log ", number);
}

/* A point of a series of that number. */
static inline void test_point(test_batch *batch, size_t at, uint64_t series, uint64_t number)
{
    mw_point_row *row = &batch->points[at];
    row->series = series;
    row->time_ns = 1700 + number;
    row->value = (double)number / 2;
    row->name = MW_SLICE("requests");
    row->service = MW_SLICE("checkout");
    batch->items[at].bytes = test_format(batch, "item bytes of point ", number);
}

/* ---- directories ----------------------------------------------------------------------------- */

typedef struct test_dir {
    char root[64];
    char store[96];
} test_dir;

static inline void test_dir_init(test_dir *dir)
{
    snprintf(dir->root, sizeof dir->root, "/tmp/midwatch-test-XXXXXX");
    assert_non_null(mkdtemp(dir->root));
    snprintf(dir->store, sizeof dir->store, "%s/store", dir->root);
}

static inline void test_dir_fini(test_dir *dir)
{
    remove_tree(dir->root);
}

/* ---- stores ---------------------------------------------------------------------------------- */

static inline mw_store *open_with(const char *directory, const mw_clock *clock, size_t queue,
                                  size_t segment)
{
    mw_store_config config = {.directory = directory,
                              .clock = clock,
                              .queue_budget_bytes = queue,
                              .segment_max_bytes = segment};
    mw_store *store = NULL;
    mw_detail detail = {0};
    mw_err err = mw_store_open(&config, &store, &detail);
    if (err != MW_OK)
        print_error("open: %s: %s\n", mw_err_text(err), detail.message);
    assert_int_equal(err, MW_OK);
    return store;
}

/* The keeper merges whatever there is, all the time. */
static inline mw_store *open_merging(const char *directory, size_t segment)
{
    mw_store_config config = {.directory = directory,
                              .clock = mw_clock_system(),
                              .queue_budget_bytes = MW_STORE_QUEUE_DEFAULT,
                              .segment_max_bytes = segment,
                              .merge_after_ns = 1,
                              .merge = true};
    mw_store *store = NULL;
    mw_detail detail = {0};
    mw_err err = mw_store_open(&config, &store, &detail);
    if (err != MW_OK)
        print_error("open: %s: %s\n", mw_err_text(err), detail.message);
    assert_int_equal(err, MW_OK);
    return store;
}

/* At rest: all is merged. */
static inline void merge_to_rest(mw_store *store)
{
    mw_store_stats stats;
    assert_int_equal(mw_store_merge_all(store, 120 * MW_NS_PER_S), MW_OK);
    mw_store_stats_read(store, &stats);
    assert_int_equal(stats.unmerged_bytes, 0);
    assert_int_equal(stats.merge_failures, 0);
}

static inline mw_store *open_store(const char *directory)
{
    return open_with(directory, mw_clock_system(), MW_STORE_QUEUE_DEFAULT,
                     MW_STORE_SEGMENT_DEFAULT);
}

typedef struct test_ticket {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    bool done;
    mw_err err;
    uint64_t seq;
} test_ticket;

static inline void ticket_done(void *ctx, mw_err err, uint64_t seq)
{
    test_ticket *ticket = ctx;
    pthread_mutex_lock(&ticket->lock);
    ticket->done = true;
    ticket->err = err;
    ticket->seq = seq;
    pthread_cond_signal(&ticket->changed);
    pthread_mutex_unlock(&ticket->lock);
}

static inline void ticket_init(test_ticket *ticket)
{
    memset(ticket, 0, sizeof *ticket);
    pthread_mutex_init(&ticket->lock, NULL);
    pthread_cond_init(&ticket->changed, NULL);
}

static inline mw_err ticket_wait(test_ticket *ticket, uint64_t *seq)
{
    pthread_mutex_lock(&ticket->lock);
    while (!ticket->done)
        pthread_cond_wait(&ticket->changed, &ticket->lock);
    pthread_mutex_unlock(&ticket->lock);
    if (seq)
        *seq = ticket->seq;
    return ticket->err;
}

/* Appends and waits for the answer. */
static inline mw_err append_wait(mw_store *store, const mw_store_batch *batch, uint64_t *seq)
{
    test_ticket ticket;
    ticket_init(&ticket);
    mw_err err = mw_store_append(store, batch, ticket_done, &ticket);
    if (err != MW_OK)
        return err;
    return ticket_wait(&ticket, seq);
}

/* One batch of `count` spans of one trace; span ids are first..first+count-1. */
static inline mw_err append_spans(mw_store *store, uint64_t trace, uint64_t first, size_t count)
{
    test_batch batch;
    test_batch_init(&batch, count);
    for (size_t i = 0; i < count; i++)
        test_span(&batch, i, trace, first + i, 0);
    mw_err err = append_wait(store, &batch.batch, NULL);
    test_batch_fini(&batch);
    return err;
}

/* Spans of a trace that the store shows; 0 when there is none. */
static inline size_t count_spans(mw_store *store, uint64_t trace)
{
    mw_store_view *view;
    mw_arena arena;
    mw_trace out;
    uint8_t id[MW_TRACE_ID_SIZE];

    trace_id_of(id, trace);
    mw_arena_init(&arena, MW_MEM_QUERY, 0);
    assert_int_equal(mw_store_view_open(store, &view), MW_OK);
    mw_err err = mw_store_trace_read(view, id, &arena, &out);
    assert_true(err == MW_OK || err == MW_E_NOT_FOUND);
    size_t count = err == MW_OK ? out.span_count : 0;
    mw_store_view_close(view);
    mw_arena_reset(&arena);
    return count;
}

#endif
