/* Merged blocks: rows of many blocks in any order come back as they were sent, from the log and
 * from merged blocks; wherever memory ends, nothing is left behind. */
#include <math.h>

#include "tests/unit/lib-store/pack_model.h"

#include "lib/store/hot_layout.h"

#define SOURCES_MAX 8

typedef struct sources {
    test_batch batches[SOURCES_MAX];
    test_block blocks[SOURCES_MAX];
    uint32_t count;
    mw_signal signal;
} sources;

static void sources_init(sources *all, test_random *random, mw_signal signal, uint32_t count,
                         size_t rows_max)
{
    memset(all, 0, sizeof *all);
    all->count = count;
    all->signal = signal;
    for (uint32_t i = 0; i < count; i++) {
        random_sendable(&all->batches[i], random, signal, 1 + random_below(random, rows_max));
        all->blocks[i] = block_of_batch(&all->batches[i], 100 + i * 3, 5000 - i);
    }
}

static void sources_fini(sources *all)
{
    for (uint32_t i = 0; i < all->count; i++) {
        test_batch_fini(&all->batches[i]);
        close(all->blocks[i].fd);
    }
}

/* Rows of all sources in any order, at most `most`; the caller frees. */
static row_origin *choose(const sources *all, test_random *random, uint32_t most, uint32_t *count)
{
    row_origin *rows = NULL;
    *count = 0;
    for (uint32_t b = 0; b < all->count; b++) {
        uint32_t more = all->blocks[b].header.item_count;
        rows = realloc(rows, (*count + more) * sizeof *rows);
        for (uint32_t r = 0; r < more; r++)
            rows[(*count)++] = (row_origin){b, r};
    }
    for (uint32_t i = *count; i > 1; i--) {
        uint32_t other = (uint32_t)random_below(random, i);
        row_origin row = rows[i - 1];
        rows[i - 1] = rows[other];
        rows[other] = row;
    }
    *count = *count < most ? *count : most;
    return rows;
}

static void assert_context_equal(const mw_store_context *found, mw_slice bytes, mw_slice url)
{
    assert_slice_equal(found->bytes, bytes);
    assert_slice_equal(found->schema_url, url);
}

/* Row `at` of the packed block is row `row` of the batch. */
static void assert_row_is(const read_block *read, uint32_t at, const mw_store_batch *batch,
                          uint32_t row)
{
    const mw_items *items = &read->items;
    const mw_store_item *sent = &batch->items[row];
    mw_store_batch one = *batch;
    const mw_store_context *resource = &items->contexts[mw_items_resource(items, at)];
    const mw_store_context *scope = &items->contexts[items->resources + mw_items_scope(items, at)];
    /* Compare as if the batch had the packed block's numbering. */
    switch (batch->signal) {
    case MW_SIGNAL_METRICS: one.rows.points = batch->rows.points + row - at; break;
    case MW_SIGNAL_LOGS: one.rows.logs = batch->rows.logs + row - at; break;
    default: one.rows.spans = batch->rows.spans + row - at;
    }
    assert_row_equal(&one, &read->hot, at);
    assert_slice_equal(items->items[at], sent->bytes);
    assert_context_equal(resource, batch->resources[sent->resource].bytes,
                         batch->resources[sent->resource].schema_url);
    assert_context_equal(scope, batch->scopes[sent->scope].bytes,
                         batch->scopes[sent->scope].schema_url);
    if (batch->signal == MW_SIGNAL_METRICS)
        assert_context_equal(
            &items->contexts[items->resources + items->scopes + mw_items_metric(items, at)],
            batch->metrics[sent->metric], MW_SLICE_NONE);
}

static void assert_header_is(const sources *all, const mw_block_header *header,
                             const row_origin *origins, uint32_t count)
{
    static const uint8_t zero[16];
    uint64_t seq = UINT64_MAX, arrival = UINT64_MAX, first = UINT64_MAX, last = 0;
    uint32_t errors = 0;
    for (uint32_t i = 0; i < count; i++) {
        const test_block *block = &all->blocks[origins[i].block];
        row_facts facts = facts_of(&all->batches[origins[i].block].batch, origins[i].row);
        seq = block->header.seq < seq ? block->header.seq : seq;
        arrival = block->header.arrival_ns < arrival ? block->header.arrival_ns : arrival;
        first = facts.time_ns < first ? facts.time_ns : first;
        last = facts.latest_ns > last ? facts.latest_ns : last;
        errors += facts.error;
    }
    assert_true(header->many_commits && header->signal == all->signal);
    assert_int_equal(header->item_count, count);
    assert_true(header->seq == seq && header->arrival_ns == arrival);
    assert_true(header->event_min_ns == first && header->event_max_ns == last);
    assert_int_equal(header->error_count, errors);
    assert_memory_equal(header->digest, zero, sizeof zero);
}

static void assert_distinct_contexts(const mw_items *items, size_t from, size_t count)
{
    for (size_t i = from; i < from + count; i++)
        for (size_t k = from; k < i; k++)
            assert_false(
                mw_slice_equal(items->contexts[i].bytes, items->contexts[k].bytes) &&
                mw_slice_equal(items->contexts[i].schema_url, items->contexts[k].schema_url));
}

static void check_packed(const sources *all, const test_block *packed, const row_origin *origins,
                         uint32_t count)
{
    read_block read;
    read_block_init(&read, packed);
    assert_header_is(all, &packed->header, origins, count);
    for (uint32_t i = 0; i < count; i++) {
        assert_row_is(&read, i, &all->batches[origins[i].block].batch, origins[i].row);
        assert_int_equal(mw_hot_seq(&read.hot, i), all->blocks[origins[i].block].header.seq);
        assert_int_equal(mw_hot_index(&read.hot, i), origins[i].row);
    }
    assert_distinct_contexts(&read.items, 0, read.items.resources);
    assert_distinct_contexts(&read.items, read.items.resources, read.items.scopes);
    read_block_fini(&read);
}

/* Some rows and contexts alone. */
static void check_walk(const test_block *packed, test_random *random)
{
    read_block read;
    mw_items_walk walk;
    mw_block_reader reader;
    char *room = malloc(1 << 20);
    read_block_init(&read, packed);
    mw_block_reader_init(&reader);
    assert_int_equal(mw_items_walk_begin(&walk, &reader, packed->fd, 0, &packed->header, &read.hot),
                     MW_OK);
    for (size_t i = 0; i < mw_items_walk_contexts(&walk); i++) {
        const mw_store_context *context = &read.items.contexts[i];
        assert_int_equal(mw_items_walk_message_length(&walk, i), context->bytes.len);
        assert_int_equal(mw_items_walk_url_length(&walk, i), context->schema_url.len);
        if (random_below(random, 2))
            continue;
        assert_int_equal(mw_items_walk_context(&walk, i, room), MW_OK);
        assert_slice_equal(mw_slice_bytes(room, context->bytes.len), context->bytes);
    }
    for (uint32_t row = 0; row < walk.count; row++) {
        mw_slice item = read.items.items[row];
        assert_int_equal(mw_items_walk_item_length(&walk, row), item.len);
        assert_int_equal(mw_items_walk_resource(&walk, row), mw_items_resource(&read.items, row));
        if (random_below(random, 4))
            continue;
        assert_int_equal(mw_items_walk_item(&walk, row, room), MW_OK);
        assert_slice_equal(mw_slice_bytes(room, item.len), item);
    }
    mw_items_walk_end(&walk);
    mw_block_reader_fini(&reader);
    read_block_fini(&read);
    free(room);
}

/* Packs what was packed, together with blocks of the log, in any order again. */
static void pack_again(const sources *all, const test_block *packed, const row_origin *origins,
                       uint32_t count, test_random *random)
{
    test_block half[2];
    mw_encoded_block encoded;
    uint32_t first = count / 2 ? count / 2 : 1;
    row_origin *order = malloc(count * sizeof *order), *from = malloc(count * sizeof *from);

    assert_int_equal(pack_rows(all->signal, all->blocks, all->count, origins, first, &encoded),
                     MW_OK);
    half[0] = block_of(&encoded, encoded.header.seq);
    half[1] = *packed;
    for (uint32_t i = 0; i < count; i++) {
        bool second = i >= first;
        order[i] = (row_origin){second, i};
        from[i] = origins[i];
    }
    for (uint32_t i = count; i > 1; i--) {
        uint32_t other = (uint32_t)random_below(random, i);
        row_origin a = order[i - 1], b = from[i - 1];
        order[i - 1] = order[other], from[i - 1] = from[other];
        order[other] = a, from[other] = b;
    }
    assert_int_equal(pack_rows(all->signal, half, 2, order, count, &encoded), MW_OK);
    test_block again = block_of(&encoded, encoded.header.seq);
    check_packed(all, &again, from, count);
    close(again.fd);
    close(half[0].fd);
    free(order);
    free(from);
}

static void run(test_random *random, mw_signal signal, uint32_t count, size_t rows_max)
{
    sources all;
    mw_encoded_block encoded;
    uint32_t rows;

    sources_init(&all, random, signal, count, rows_max);
    row_origin *origins = choose(&all, random, random_below(random, 2) ? UINT32_MAX : 100, &rows);
    assert_int_equal(pack_rows(signal, all.blocks, count, origins, rows, &encoded), MW_OK);
    test_block packed = block_of(&encoded, encoded.header.seq);
    check_packed(&all, &packed, origins, rows);
    check_walk(&packed, random);
    pack_again(&all, &packed, origins, rows, random);
    close(packed.fd);
    free(origins);
    sources_fini(&all);
    assert_int_equal(mw_memory_used(), 0);
}

static void test_any_rows(void **state)
{
    test_random random = {3};
    (void)state;
    for (int i = 0; i < 120; i++)
        run(&random, all_signals[i % 3], 1 + (uint32_t)random_below(&random, SOURCES_MAX),
            i % 4 ? 30 : 700);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_any_rows),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
