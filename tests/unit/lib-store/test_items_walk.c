/* The walk over a block's items against their reading as a whole, and what questions make of items
 * that are too long for an answer. */
#include <fcntl.h>
#include <math.h>

#include "tests/unit/lib-store/batch_random.h"

#include "lib/base/log.h"
#include "tests/unit/lib-store/quick_disk.h"

/* Some pieces' worth of items, of which few are longer than a piece. Every third packs well. */
static void fill(test_batch *batch, test_random *random, mw_signal signal, size_t count)
{
    random_batch(batch, random, signal, count);
    for (size_t i = 0; i < count; i++) {
        size_t len =
            random_below(random, 9) ? random_below(random, 60000) : random_below(random, 3 << 20);
        char *bytes = malloc(len + 1);
        for (size_t at = 0; at < len; at++)
            bytes[at] = (char)(i % 3 ? random_next(random) >> 32 : at % 7);
        batch->items[i].bytes = test_text(batch, bytes, len);
        free(bytes);
    }
}

static void assert_part(mw_slice wanted, mw_slice url, const char *found)
{
    if (wanted.len)
        assert_memory_equal(found, wanted.data, wanted.len);
    if (url.len)
        assert_memory_equal(found + wanted.len, url.data, url.len);
}

/* Every part, or some of them: one in `step`. */
static void check_walk(mw_store_view *view, const mw_index_block *block, const mw_items *whole,
                       test_random *random, uint64_t step)
{
    mw_items_walk walk;
    mw_hot hot;
    char *room = malloc(4 << 20);
    assert_int_equal(mw_view_hot(view, block, &hot), MW_OK);
    assert_int_equal(mw_view_items(view, block, &hot, &walk), MW_OK);
    assert_int_equal(walk.count, whole->count);
    size_t contexts = (size_t)whole->resources + whole->scopes + whole->metrics;
    assert_int_equal(mw_items_walk_contexts(&walk), contexts);
    for (size_t i = 0; i < contexts; i++) {
        const mw_store_context *context = &whole->contexts[i];
        assert_int_equal(mw_items_walk_message_length(&walk, i), context->bytes.len);
        assert_int_equal(mw_items_walk_url_length(&walk, i), context->schema_url.len);
        if (random_below(random, step))
            continue;
        assert_int_equal(mw_items_walk_context(&walk, i, room), MW_OK);
        assert_part(context->bytes, context->schema_url, room);
    }
    for (uint32_t row = 0; row < whole->count; row++) {
        assert_int_equal(mw_items_walk_item_length(&walk, row), whole->items[row].len);
        assert_int_equal(mw_items_walk_resource(&walk, row), mw_items_resource(whole, row));
        assert_int_equal(mw_items_walk_scope(&walk, row), mw_items_scope(whole, row));
        if (whole->metric_refs)
            assert_int_equal(mw_items_walk_metric(&walk, row), mw_items_metric(whole, row));
        if (random_below(random, step))
            continue;
        assert_int_equal(mw_items_walk_item(&walk, row, room), MW_OK);
        assert_part(whole->items[row], MW_SLICE_NONE, room);
    }
    mw_items_walk_end(&walk);
    free(room);
}

static void test_any_parts(void **state)
{
    test_dir dir;
    test_random random = {7};
    mw_store_view *view;
    size_t pieces = 0;
    (void)state;
    test_dir_init(&dir);
    mw_store *store = open_store(dir.store);
    for (size_t i = 0; i < 12; i++) {
        test_batch batch;
        fill(&batch, &random, all_signals[i % 3], 1 + random_below(&random, 40));
        assert_int_equal(append_wait(store, &batch.batch, NULL), MW_OK);
        test_batch_fini(&batch);
    }
    assert_int_equal(mw_store_view_open(store, &view), MW_OK);
    assert_int_equal(mw_view_count(view), 12);
    for (size_t i = 0; i < mw_view_count(view); i++) {
        const mw_index_block *block = mw_view_block(view, i);
        mw_block_reader reader;
        mw_items whole;
        mw_hot hot;
        mw_block_reader_init(&reader);
        assert_int_equal(mw_view_hot(view, block, &hot), MW_OK);
        assert_int_equal(
            mw_read_items(&reader, block->segment->fd, block->offset, &block->header, &hot, &whole),
            MW_OK);
        for (uint64_t step = 1; step < 40; step *= 3)
            check_walk(view, block, &whole, &random, step);
        pieces += block->header.items_codec == MW_CODEC_PIECES;
        mw_items_fini(&whole);
        mw_block_reader_fini(&reader);
    }
    assert_in_range(pieces, 6, 12);
    /* However long the chunks are, no more than a piece stands unpacked, and one packed. */
    assert_true(view->items_reader.stored_size < 2 * MW_PIECE_SIZE);
    assert_true(view->items_reader.raw_size < 2 * MW_PIECE_SIZE);
    mw_store_view_close(view);
    mw_store_close(store);
    test_dir_fini(&dir);
}

/* A byte that changed anywhere in the chunk is found before anything is believed. */
static void test_damage(void **state)
{
    test_dir dir;
    test_random random = {11};
    test_batch batch;
    mw_store_view *view;
    (void)state;
    test_dir_init(&dir);
    mw_store *store = open_store(dir.store);
    fill(&batch, &random, MW_SIGNAL_LOGS, 30);
    assert_int_equal(append_wait(store, &batch.batch, NULL), MW_OK);
    assert_int_equal(mw_store_view_open(store, &view), MW_OK);
    const mw_index_block *block = mw_view_block(view, 0);
    mw_hot hot;
    assert_int_equal(mw_view_hot(view, block, &hot), MW_OK);
    uint64_t begin = block->offset + MW_BLOCK_HEADER_SIZE + block->header.hot_stored;
    int fd = open(block->segment->path, O_RDWR);
    for (int i = 0; i < 50; i++) {
        off_t at = (off_t)(begin + random_below(&random, block->header.items_stored));
        unsigned char byte, changed;
        mw_items_walk walk;
        assert_int_equal(pread(fd, &byte, 1, at), 1);
        changed = (unsigned char)(byte ^ (1u << random_below(&random, 8)));
        assert_int_equal(pwrite(fd, &changed, 1, at), 1);
        assert_int_equal(mw_view_items(view, block, &hot, &walk), MW_E_CORRUPT);
        assert_int_equal(pwrite(fd, &byte, 1, at), 1);
        assert_int_equal(mw_view_items(view, block, &hot, &walk), MW_OK);
        mw_items_walk_end(&walk);
    }
    close(fd);
    mw_store_view_close(view);
    mw_store_close(store);
    test_batch_fini(&batch);
    test_dir_fini(&dir);
}

/* ---- what is too long ------------------------------------------------------------------------ */

enum { SHORT_ROW, LONG_ROW, LAST_ROW, ROWS };

/* A record too long between two that are not; a body that holds "needle" in each. */
static void append_long(mw_store *store, size_t item, size_t resource)
{
    test_batch batch;
    char *bytes = calloc(1, item + resource + 1);
    test_batch_init_of(&batch, MW_SIGNAL_LOGS, ROWS);
    for (size_t i = 0; i < ROWS; i++) {
        test_log(&batch, i, 0, i);
        batch.items[i].bytes = MW_SLICE("\x2a\x08\x0a\x06needle");
    }
    memcpy(bytes, "\x2a\x08\x0a\x06needle", 10);
    batch.items[LONG_ROW].bytes = test_text(&batch, bytes, item);
    batch.contexts[0].bytes = test_text(&batch, bytes, resource);
    assert_int_equal(append_wait(store, &batch.batch, NULL), MW_OK);
    test_batch_fini(&batch);
    free(bytes);
}

static void list_of(mw_store *store, const char *text, mw_arena *arena, mw_log_list *list)
{
    mw_store_view *view;
    mw_store_page page = {.limit = 10};
    mw_log_query query = {.text = mw_slice_of(text)};
    assert_int_equal(mw_store_view_open(store, &view), MW_OK);
    assert_int_equal(mw_store_log_list(view, &page, &query, arena, list), MW_OK);
    mw_store_view_close(view);
}

static void test_long_record(void **state)
{
    test_dir dir;
    mw_arena arena;
    mw_log_list list;
    (void)state;
    test_dir_init(&dir);
    mw_arena_init(&arena, MW_MEM_QUERY, 0);
    mw_store *store = open_store(dir.store);
    append_long(store, MW_STORE_SHOWN_MAX + 1, MW_STORE_SHOWN_MAX);
    list_of(store, "", &arena, &list);
    assert_int_equal(list.count, ROWS);
    const mw_log_record *last = &list.items[0], *first = &list.items[2];
    const mw_log_record *large = &list.items[1];
    assert_int_equal(large->oversized, MW_STORE_SHOWN_MAX + 1);
    assert_int_equal(large->bytes.len, 0);
    assert_int_equal(large->row.time_ns, 1501);
    assert_true(mw_slice_equal(large->row.service, MW_SLICE("checkout")));
    for (size_t i = 0; i < ROWS; i++) {
        assert_int_equal(list.items[i].resource.oversized, 0);
        assert_int_equal(list.items[i].resource.bytes.len, MW_STORE_SHOWN_MAX);
        assert_true(mw_slice_equal(list.items[i].scope.bytes, MW_SLICE("scope")));
    }
    assert_int_equal(last->oversized + first->oversized, 0);
    assert_int_equal(first->bytes.len, 10);
    /* It is not searched. */
    list_of(store, "needle", &arena, &list);
    assert_int_equal(list.count, 2);
    mw_store_close(store);
    mw_arena_reset(&arena);
    test_dir_fini(&dir);
}

/* The bound is a part of what questions may hold; a context has it as well. */
static void test_small_memory(void **state)
{
    test_dir dir;
    mw_arena arena;
    mw_log_list list;
    (void)state;
    test_dir_init(&dir);
    mw_arena_init(&arena, MW_MEM_QUERY, 0);
    mw_store *store = open_store(dir.store);
    append_long(store, (1 << 20) - 1, (1 << 20) + 1);
    assert_int_equal(mw_store_shown_max(), MW_STORE_SHOWN_MAX);
    mw_memory_init((size_t)32 << 20);
    assert_int_equal(mw_store_shown_max(), 1 << 20);
    list_of(store, "", &arena, &list);
    assert_int_equal(list.items[1].oversized, 0);
    assert_int_equal(list.items[1].bytes.len, (1 << 20) - 1);
    assert_int_equal(list.items[1].resource.oversized, (1 << 20) + 1);
    assert_int_equal(list.items[1].resource.bytes.len, 0);
    assert_int_equal(list.items[1].scope.oversized, 0);
    mw_memory_init(0);
    mw_store_close(store);
    mw_arena_reset(&arena);
    test_dir_fini(&dir);
}

/* A store whose chunks are longer than all that may be held opens and answers. */
static void test_start_in_small_memory(void **state)
{
    test_dir dir;
    mw_arena arena;
    mw_log_list list;
    (void)state;
    test_dir_init(&dir);
    mw_arena_init(&arena, MW_MEM_QUERY, 0);
    mw_store *store = open_store(dir.store);
    append_long(store, (size_t)20 << 20, 1);
    mw_store_close(store);
    mw_memory_init((size_t)16 << 20);
    store = open_store(dir.store);
    list_of(store, "", &arena, &list);
    assert_int_equal(list.count, ROWS);
    assert_int_equal(list.items[1].oversized, 20 << 20);
    mw_store_close(store);
    mw_arena_reset(&arena);
    mw_memory_init(0);
    test_dir_fini(&dir);
}

/* Wherever memory ends, nothing is lost. */
static void test_without_memory(void **state)
{
    test_dir dir;
    size_t failed = 0;
    (void)state;
    test_dir_init(&dir);
    mw_store *store = open_store(dir.store);
    append_long(store, MW_STORE_SHOWN_MAX + 1, 100000);
    size_t used = mw_memory_used();
    mw_err err = MW_E_NOMEM;
    for (uint64_t n = 1; err; n++, failed += err != MW_OK) {
        mw_store_view *view;
        mw_arena arena;
        mw_log_list list;
        mw_store_page page = {.limit = 10};
        mw_log_query query = {.text = n % 2 ? MW_SLICE("needle") : MW_SLICE_NONE};
        mw_arena_init(&arena, MW_MEM_QUERY, 0);
        assert_int_equal(mw_store_view_open(store, &view), MW_OK);
        mw_memory_fail_at(n);
        err = mw_store_log_list(view, &page, &query, &arena, &list);
        mw_memory_fail_at(0);
        assert_true(err == MW_OK || err == MW_E_NOMEM);
        mw_store_view_close(view);
        mw_arena_reset(&arena);
        assert_int_equal(mw_memory_used(), used);
    }
    assert_true(failed > 8);
    mw_store_close(store);
    test_dir_fini(&dir);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_any_parts),
        cmocka_unit_test(test_damage),
        cmocka_unit_test(test_long_record),
        cmocka_unit_test(test_small_memory),
        cmocka_unit_test(test_start_in_small_memory),
        cmocka_unit_test(test_without_memory),
    };
    /* Provoked damage would drown the output. */
    mw_log_init(MW_LOG_ERROR, MW_LOG_LOGFMT, open("/dev/null", O_WRONLY));
    return cmocka_run_group_tests(tests, quick_disk_begin, quick_disk_end);
}
