/* Footers of merged segments: what is written comes back, what is damaged is told. */
#include "lib/store/segment/segment_footer_int.h"
#include "tests/unit/lib-store/quick_disk.h"
#include "tests/unit/lib-store/test_merger.h"

/* A store of `batches` small batches of all signals in small segments. */
static mw_store *filled_store(const test_dir *dir, size_t batches, uint64_t seed)
{
    test_random random = {seed};
    mw_store *store = open_with(dir->store, mw_clock_system(), MW_STORE_QUEUE_DEFAULT, 16 * 1024);
    for (size_t i = 0; i < batches; i++) {
        test_batch batch;
        size_t count = 1 + random_below(&random, 20);
        mw_signal signal = (mw_signal)(1 + random_below(&random, 3));
        test_batch_init_of(&batch, signal, count);
        for (size_t k = 0; k < count; k++) {
            uint64_t number = random_below(&random, 5000);
            mw_slice session = random_below(&random, 3)
                                   ? test_format(&batch, "session-", random_below(&random, 400))
                                   : MW_SLICE_NONE;
            if (signal == MW_SIGNAL_TRACES) {
                test_span(&batch, k, random_below(&random, 900), number, 0);
                batch.spans[k].session_id = session;
            } else if (signal == MW_SIGNAL_LOGS) {
                test_log(&batch, k, random_below(&random, 900), number);
                batch.logs[k].session_id = session;
            } else {
                test_point(&batch, k, 1 + random_below(&random, 50), number);
                batch.points[k].session_id = session;
            }
        }
        batch.batch.digest[0] = (uint8_t)(i + 1);
        batch.batch.digest[1] = (uint8_t)((i + 1) >> 8);
        assert_int_equal(append_wait(store, &batch.batch, NULL), MW_OK);
        test_batch_fini(&batch);
    }
    mw_store_close(store);
    return open_with(dir->store, mw_clock_system(), MW_STORE_QUEUE_DEFAULT, 16 * 1024);
}

static mw_segment *merge_all(mw_store *store, size_t rows)
{
    test_merge merge = {
        .store = store, .rows_a_block = rows, .rollups = "the roll-ups", .filter = "a filter"};
    size_t count;
    mw_segment **list = segments_in_order(store, &count);
    merge_segments(&merge, list, count, false);
    free(list);
    list = segments_in_order(store, &count);
    assert_int_equal(count, 1);
    mw_segment *segment = list[0];
    free(list);
    return segment;
}

typedef struct found_blocks {
    uint64_t bits[64];
} found_blocks;

static void found_block(void *ctx, uint32_t block)
{
    found_blocks *found = ctx;
    assert_true(block < 64 * 64);
    found->bits[block / 64] |= UINT64_C(1) << (block % 64);
}

typedef struct key_walk {
    uint64_t last;
    size_t pairs;
    const mw_index_block **entries; /* made from the blocks */
    mw_key_kind kind;
} key_walk;

static mw_err seen_key(void *ctx, uint64_t key, uint32_t block)
{
    key_walk *walk = ctx;
    const mw_index_block *entry = walk->entries[block];
    assert_true(key >= walk->last);
    walk->last = key;
    walk->pairs++;
    assert_true(walk->kind == MW_KEYS_TRACES
                    ? mw_keys_contain(mw_index_traces(entry), entry->trace_count, key)
                    : mw_keys_contain(mw_index_sessions(entry), entry->session_count, key));
    return MW_OK;
}

static size_t distinct(const uint64_t *keys, size_t count)
{
    size_t out = 0;
    for (size_t i = 0; i < count; i++)
        out += i == 0 || keys[i] != keys[i - 1];
    return out;
}

/* Every key of every block is found, and only there; in one pass and one by one. */
static void check_directory(const mw_segment *segment, const mw_index_block **entries,
                            mw_key_kind kind)
{
    key_walk walk = {.entries = entries, .kind = kind};
    size_t pairs = 0;
    for (size_t i = 0; i < segment->block_count; i++) {
        const uint64_t *keys =
            kind == MW_KEYS_TRACES ? mw_index_traces(entries[i]) : mw_index_sessions(entries[i]);
        size_t count = kind == MW_KEYS_TRACES ? entries[i]->trace_count : entries[i]->session_count;
        found_blocks found = {0};
        pairs += distinct(keys, count);
        if (count == 0)
            continue;
        assert_int_equal(
            mw_footer_find(segment->footer, segment->fd, kind, keys, count, found_block, &found),
            MW_OK);
        for (size_t k = 0; k < segment->block_count; k++) {
            bool meets = false;
            for (size_t j = 0; j < count && !meets; j++)
                meets = kind == MW_KEYS_TRACES
                            ? mw_keys_contain(mw_index_traces(entries[k]), entries[k]->trace_count,
                                              keys[j])
                            : mw_keys_contain(mw_index_sessions(entries[k]),
                                              entries[k]->session_count, keys[j]);
            assert_int_equal(found.bits[k / 64] >> (k % 64) & 1, meets);
        }
        memset(&found, 0, sizeof found);
        assert_int_equal(
            mw_footer_find(segment->footer, segment->fd, kind, keys, 1, found_block, &found),
            MW_OK);
        assert_true(found.bits[i / 64] >> (i % 64) & 1);
    }
    assert_int_equal(mw_footer_each_key(segment->footer, segment->fd, kind, seen_key, &walk),
                     MW_OK);
    assert_int_equal(walk.pairs, pairs);
}

static const mw_index_block **entries_of(const mw_store *store, const mw_segment *segment)
{
    const mw_index_block **entries = calloc(segment->block_count, sizeof(mw_index_block *));
    mw_block_reader reader;
    mw_block_reader_init(&reader);
    for (const mw_index_block *block = segment->blocks; block; block = block->next_in_segment) {
        mw_hot hot;
        assert_true(block->keys_in_footer && block->trace_count == 0 && block->session_count == 0);
        assert_int_equal(mw_read_hot(&reader, segment->fd, block->offset, &block->header, &hot),
                         MW_OK);
        mw_index_block *entry = mw_index_block_new(&hot, &block->header, store->key_seed);
        entries[block->number] = entry;
        assert_int_equal(entry->service_count, block->service_count);
        assert_int_equal(entry->name_count, block->name_count);
        assert_memory_equal(mw_index_services(entry), mw_index_services(block),
                            8 * (entry->service_count + entry->name_count));
        assert_int_equal(entry->session_count > 0, block->has_sessions);
    }
    mw_block_reader_fini(&reader);
    return entries;
}

static void free_entries(const mw_index_block **entries, size_t count)
{
    for (size_t i = 0; i < count; i++)
        mw_free(MW_MEM_STORE, (void *)(uintptr_t)entries[i]);
    free(entries);
}

static void count_text(void *ctx, mw_slice text)
{
    size_t *count = ctx;
    assert_true(mw_slice_starts(text, MW_SLICE("session-")));
    (*count)++;
}

static void check_texts(const mw_segment *segment)
{
    size_t all = 0, some = 0, none = 0, few = 0;
    assert_int_equal(mw_footer_session_texts(segment->footer, segment->fd, MW_SLICE("session-"),
                                             10000, count_text, &all),
                     MW_OK);
    assert_true(all > 300 && all <= 400);
    for (int digit = 0; digit < 10; digit++) {
        char prefix[24];
        snprintf(prefix, sizeof prefix, "session-%d", digit);
        assert_int_equal(mw_footer_session_texts(segment->footer, segment->fd, mw_slice_of(prefix),
                                                 10000, count_text, &some),
                         MW_OK);
    }
    assert_int_equal(some, all);
    assert_int_equal(mw_footer_session_texts(segment->footer, segment->fd, MW_SLICE("session-9z"),
                                             10000, count_text, &none),
                     MW_OK);
    assert_int_equal(mw_footer_session_texts(segment->footer, segment->fd, MW_SLICE("zzz"), 10000,
                                             count_text, &none),
                     MW_OK);
    assert_int_equal(none, 0);
    assert_int_equal(mw_footer_session_texts(segment->footer, segment->fd, MW_SLICE("session-"), 7,
                                             count_text, &few),
                     MW_OK);
    assert_int_equal(few, 7);
}

static void test_round_trip(void **state)
{
    (void)state;
    for (size_t rows = 8; rows <= 512; rows *= 8) {
        test_dir dir;
        char *data;
        size_t len;
        test_dir_init(&dir);
        mw_store *store = filled_store(&dir, 300, 5);
        mw_segment *segment = merge_all(store, rows);
        const mw_index_block **entries = entries_of(store, segment);
        check_directory(segment, entries, MW_KEYS_TRACES);
        check_directory(segment, entries, MW_KEYS_SESSIONS);
        check_texts(segment);
        assert_int_equal(mw_footer_rollups(segment->footer, segment->fd, &data, &len), MW_OK);
        assert_int_equal(len, strlen("the roll-ups"));
        assert_memory_equal(data, "the roll-ups", len);
        mw_free(MW_MEM_QUERY, data);
        for (uint32_t i = 0; i < segment->block_count; i++) {
            assert_int_equal(mw_footer_filter(segment->footer, segment->fd, i, &data, &len), MW_OK);
            assert_int_equal(len, strlen("a filter"));
            assert_memory_equal(data, "a filter", len);
            mw_free(MW_MEM_QUERY, data);
        }
        for (unsigned i = 0; i < MW_FOOTER_SECTIONS; i++)
            assert_int_equal(mw_footer_check_section(segment->footer, segment->fd, i), MW_OK);
        free_entries(entries, segment->block_count);
        mw_store_close(store);
        test_dir_fini(&dir);
    }
}

/* Any byte of the footer that changes makes the load fail, or the read that needs it. */
static void test_damage(void **state)
{
    test_dir dir;
    struct stat status;
    (void)state;
    test_dir_init(&dir);
    mw_store *store = filled_store(&dir, 120, 9);
    mw_segment *segment = merge_all(store, 64);
    const mw_footer *whole = segment->footer;
    assert_int_equal(fstat(segment->fd, &status), 0);
    uint64_t size = (uint64_t)status.st_size, begin = segment->header.durable_end;
    size_t before = mw_memory_component_used(MW_MEM_STORE);
    for (uint64_t at = begin; at < size; at += 1 + (size - begin) / 3000) {
        unsigned char byte, changed;
        mw_footer *footer = NULL;
        mw_index_block **blocks = NULL;
        size_t count = 0, wrong = 0;
        assert_int_equal(pread(segment->fd, &byte, 1, (off_t)at), 1);
        changed = byte ^ 0x20;
        assert_int_equal(pwrite(segment->fd, &changed, 1, (off_t)at), 1);
        mw_err err = mw_footer_load(segment->fd, size, &segment->header, &footer, &blocks, &count);
        mw_footer_replaced replaced;
        assert_int_equal(mw_footer_read_replaced(segment->fd, size, &segment->header, &replaced),
                         MW_OK);
        assert_int_equal(replaced.count, whole->replaced.count);
        mw_footer_replaced_fini(&replaced);
        if (at >= whole->sections[MW_FOOTER_REPLACED].offset) {
            assert_int_equal(err, MW_E_CORRUPT);
        } else {
            assert_int_equal(err, MW_OK);
            for (unsigned i = 0; i < MW_FOOTER_SECTIONS; i++) {
                err = mw_footer_check_section(footer, segment->fd, i);
                assert_true(err == MW_OK || err == MW_E_CORRUPT);
                wrong += err != MW_OK;
            }
            assert_int_equal(wrong, 1);
            mw_footer_free(footer);
            for (size_t i = 0; i < count; i++)
                mw_free(MW_MEM_STORE, blocks[i]);
            mw_free(MW_MEM_STORE, blocks);
        }
        assert_int_equal(pwrite(segment->fd, &byte, 1, (off_t)at), 1);
    }
    assert_int_equal(mw_memory_component_used(MW_MEM_STORE), before);
    mw_store_close(store);
    test_dir_fini(&dir);
}

/* Loading without memory leaves nothing behind, wherever it ends. */
static void test_without_memory(void **state)
{
    test_dir dir;
    struct stat status;
    (void)state;
    test_dir_init(&dir);
    mw_store *store = filled_store(&dir, 60, 3);
    mw_segment *segment = merge_all(store, 64);
    assert_int_equal(fstat(segment->fd, &status), 0);
    size_t before = mw_memory_used();
    for (uint64_t at = 1;; at++) {
        mw_footer *footer = NULL;
        mw_index_block **blocks = NULL;
        size_t count = 0;
        mw_memory_fail_at(at);
        mw_err err = mw_footer_load(segment->fd, (uint64_t)status.st_size, &segment->header,
                                    &footer, &blocks, &count);
        mw_memory_fail_at(0);
        if (err == MW_OK) {
            mw_footer_free(footer);
            for (size_t i = 0; i < count; i++)
                mw_free(MW_MEM_STORE, blocks[i]);
            mw_free(MW_MEM_STORE, blocks);
            assert_true(at > 5);
            break;
        }
        assert_int_equal(err, MW_E_NOMEM);
        assert_int_equal(mw_memory_used(), before);
    }
    assert_int_equal(mw_memory_used(), before);
    mw_store_close(store);
    test_dir_fini(&dir);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_round_trip),
        cmocka_unit_test(test_damage),
        cmocka_unit_test(test_without_memory),
    };
    return cmocka_run_group_tests(tests, quick_disk_begin, quick_disk_end);
}
