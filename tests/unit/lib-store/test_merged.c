/* A store with merged segments: starts, what they remove, what damage leaves.
 */
#include "lib/store/segment/segment_walk.h"
#include "tests/unit/lib-store/quick_disk.h"
#include "tests/unit/lib-store/test_merger.h"

#define SEGMENT_SIZE (4 * 1024)

static mw_store *small_store(const test_dir *dir)
{
    return open_with(dir->store, mw_clock_system(), MW_STORE_QUEUE_DEFAULT, SEGMENT_SIZE);
}

static mw_store *reopen(mw_store *store, const test_dir *dir)
{
    mw_store_close(store);
    return small_store(dir);
}

/* `count` spans, each in a request of its own, trace ids from `first` on. */
static void put_spans(mw_store *store, uint64_t first, size_t count)
{
    for (uint64_t i = 0; i < count; i++)
        assert_int_equal(append_spans(store, first + i, first + i, 1), MW_OK);
}

/* Spans in many segments of the log, none of them open. */
static mw_store *begin(test_dir *dir, size_t spans)
{
    test_dir_init(dir);
    mw_store *store = small_store(dir);
    put_spans(store, 1, spans);
    return reopen(store, dir);
}

static void end(mw_store *store, test_dir *dir)
{
    mw_store_close(store);
    test_dir_fini(dir);
}

static void expect_spans(mw_store *store, uint64_t first, size_t count)
{
    for (uint64_t i = 0; i < count; i++)
        assert_int_equal(count_spans(store, first + i), 1);
}

static void merge_run(mw_store *store, size_t from, size_t count, bool keep)
{
    test_merge merge = {.store = store, .rows_a_block = 16};
    size_t all;
    mw_segment **list = segments_in_order(store, &all);
    assert_true(from + count <= all);
    merge_segments(&merge, list + from, count, keep);
    free(list);
}

static size_t segment_count(mw_store *store)
{
    size_t count;
    free(segments_in_order(store, &count));
    return count;
}

static size_t files_in(const test_dir *dir)
{
    mw_segment_files files;
    assert_int_equal(mw_segment_files_load(dir->store, &files), MW_OK);
    size_t count = files.count;
    mw_segment_files_fini(&files);
    return count;
}

/* Numbers and order are the same after merges, after starts, and appending goes on. */
static void test_start(void **state)
{
    test_dir dir;
    mw_store_stats before, after;
    (void)state;
    mw_store *store = begin(&dir, 100);
    mw_store_stats_read(store, &before);
    size_t segments = segment_count(store);
    assert_true(segments > 6);
    merge_run(store, 1, 3, false);
    merge_run(store, 2, 2, false);
    assert_int_equal(segment_count(store), segments - 3);
    for (int round = 0; round < 2; round++) {
        mw_store_stats_read(store, &after);
        assert_int_equal(after.spans, before.spans);
        assert_int_equal(after.commit_seq, before.commit_seq);
        expect_spans(store, 1, 100);
        for (size_t i = 1; i < store->index.block_count; i++)
            assert_true(store->index.table->blocks[i - 1]->segment->header.first_seq <=
                        store->index.table->blocks[i]->segment->header.first_seq);
        store = reopen(store, &dir);
    }
    /* Everything merged: the next sequence and segment follow from the footers alone. */
    merge_run(store, 0, segment_count(store), false);
    assert_int_equal(segment_count(store), 1);
    store = reopen(store, &dir);
    uint64_t id = store->writer.next_segment_id;
    put_spans(store, 101, 10);
    mw_store_stats_read(store, &after);
    assert_int_equal(after.commit_seq, before.commit_seq + 10);
    assert_int_equal(after.spans, 110);
    assert_int_equal(store->writer.segment->header.id, id);
    store = reopen(store, &dir);
    expect_spans(store, 1, 110);
    end(store, &dir);
}

static uint64_t bytes_of(const mw_segment *segment)
{
    struct stat status;
    uint64_t bytes = MW_SEGMENT_HEADER_SIZE;
    if (segment->header.kind == MW_SEGMENT_MERGED) {
        assert_int_equal(fstat(segment->fd, &status), 0);
        return (uint64_t)status.st_size;
    }
    for (const mw_index_block *block = segment->blocks; block; block = block->next_in_segment)
        bytes += mw_block_size(&block->header);
    return bytes;
}

/* Bytes in the statistics: merged files whole, of the log what counts. */
static void test_bytes(void **state)
{
    test_dir dir;
    mw_store_stats stats;
    (void)state;
    mw_store *store = begin(&dir, 60);
    merge_run(store, 0, 2, false);
    for (int round = 0; round < 2; round++) {
        size_t count;
        uint64_t bytes = 0;
        mw_segment **list = segments_in_order(store, &count);
        mw_store_stats_read(store, &stats);
        for (size_t i = 0; i < count; i++)
            bytes += bytes_of(list[i]);
        free(list);
        assert_int_equal(stats.bytes, bytes);
        assert_int_equal(stats.segments, count);
        store = reopen(store, &dir);
    }
    end(store, &dir);
}

/* A view keeps what it saw, also when its files are gone. */
static void test_views_pin(void **state)
{
    test_dir dir;
    mw_store_view *view;
    mw_arena arena;
    (void)state;
    mw_arena_init(&arena, MW_MEM_QUERY, 0);
    mw_store *store = begin(&dir, 60);
    assert_int_equal(mw_store_view_open(store, &view), MW_OK);
    size_t blocks = mw_view_count(view);
    merge_run(store, 0, segment_count(store), false);
    merge_run(store, 0, 1, false);
    assert_int_equal(mw_view_count(view), blocks);
    for (uint64_t i = 1; i <= 60; i++) {
        uint8_t id[16];
        mw_trace trace;
        trace_id_of(id, i);
        assert_int_equal(mw_store_trace_read(view, id, &arena, &trace), MW_OK);
        assert_int_equal(trace.span_count, 1);
    }
    mw_store_view_close(view);
    mw_arena_reset(&arena);
    expect_spans(store, 1, 60);
    end(store, &dir);
}

/* Retention: segments go without another in their place. */
static void test_replaced_by_nothing(void **state)
{
    test_dir dir;
    size_t count;
    (void)state;
    mw_store *store = begin(&dir, 60);
    merge_run(store, 0, 2, false);
    mw_segment **list = segments_in_order(store, &count);
    uint64_t items = 0;
    for (const mw_index_block *block = list[0]->blocks; block; block = block->next_in_segment)
        items += block->header.item_count;
    assert_int_equal(unlink(list[0]->path), 0);
    assert_int_equal(mw_index_replace(&store->index, NULL, list, 1), MW_OK);
    free(list);
    mw_store_stats stats;
    mw_store_stats_read(store, &stats);
    assert_int_equal(stats.spans, 60 - items);
    assert_int_equal(count_spans(store, 1), 0);
    expect_spans(store, 1 + items, 60 - items);
    end(store, &dir);
}

/* Killed between a merge's name and the removal of its inputs, once and again. */
static void test_superseded_are_removed(void **state)
{
    test_dir dir;
    (void)state;
    mw_store *store = begin(&dir, 80);
    size_t segments = segment_count(store);
    merge_run(store, 0, 3, true);
    merge_run(store, 0, 2, true);
    assert_int_equal(files_in(&dir), segments + 2);
    store = reopen(store, &dir);
    assert_int_equal(files_in(&dir), segments - 3);
    expect_spans(store, 1, 80);
    mw_store_stats stats;
    mw_store_stats_read(store, &stats);
    assert_int_equal(stats.spans, 80);
    /* The newest of the log among them. */
    merge_run(store, 0, segment_count(store), true);
    store = reopen(store, &dir);
    assert_int_equal(files_in(&dir), 1);
    put_spans(store, 81, 5);
    store = reopen(store, &dir);
    expect_spans(store, 1, 85);
    end(store, &dir);
}

/* A segment of the log that stays, when the one whose header says where it ends was merged. */
static void test_left_aside(void **state)
{
    test_dir dir;
    (void)state;
    for (size_t aside = 0; aside < 3; aside++) {
        mw_store *store = begin(&dir, 80);
        size_t segments = segment_count(store);
        merge_run(store, aside + 1, segments - aside - 1, false);
        merge_run(store, aside + 1, 1, false); /* what is known of ends goes along */
        store = reopen(store, &dir);
        assert_int_equal(segment_count(store), aside + 2);
        expect_spans(store, 1, 80);
        put_spans(store, 81, 3);
        store = reopen(store, &dir);
        expect_spans(store, 1, 83);
        end(store, &dir);
    }
}

static void flip(const char *path, uint64_t offset)
{
    unsigned char byte;
    int fd = open(path, O_RDWR | O_CLOEXEC);
    assert_true(fd >= 0);
    assert_int_equal(pread(fd, &byte, 1, (off_t)offset), 1);
    byte ^= 0x10;
    assert_int_equal(pwrite(fd, &byte, 1, (off_t)offset), 1);
    close(fd);
}

static char *merged_path(mw_store *store, uint64_t *durable_end, uint64_t *end)
{
    size_t count;
    mw_segment **list = segments_in_order(store, &count);
    char *path = NULL;
    for (size_t i = 0; i < count && !path; i++) {
        if (list[i]->header.kind != MW_SEGMENT_MERGED)
            continue;
        path = strdup(list[i]->path);
        *durable_end = list[i]->header.durable_end;
        *end = list[i]->end;
    }
    assert_non_null(path);
    free(list);
    return path;
}

/* Without its footer a merged segment is opened by its blocks. */
static void test_damaged_footer(void **state)
{
    test_dir dir;
    uint64_t footer = 0, end = 0;
    (void)state;
    for (int cut = 0; cut < 2; cut++) {
        mw_store *store = begin(&dir, 80);
        size_t segments = segment_count(store);
        merge_run(store, 1, 3, true);
        char *path = merged_path(store, &footer, &end);
        mw_store_close(store);
        if (cut)
            assert_int_equal(truncate(path, (off_t)(end - 1)), 0);
        else
            flip(path, end - 100);
        store = small_store(&dir);
        expect_spans(store, 1, 80);
        assert_int_equal(files_in(&dir), segments - 2); /* the other copy of the list is whole */
        put_spans(store, 81, 5);
        store = reopen(store, &dir);
        expect_spans(store, 1, 85);
        mw_store_close(store);
        free(path);
        test_dir_fini(&dir);
    }
}

/* Requests that were merged are still known when they come again after a start. */
static void test_requests(void **state)
{
    test_dir dir;
    test_batch batches[40];
    uint64_t seq;
    (void)state;
    test_dir_init(&dir);
    mw_store *store = small_store(&dir);
    for (size_t i = 0; i < 40; i++) {
        test_batch_init(&batches[i], 1);
        test_span(&batches[i], 0, i + 1, i + 1, 0);
        memset(batches[i].batch.digest, (int)i + 1, 16);
        assert_int_equal(append_wait(store, &batches[i].batch, &seq), MW_OK);
        assert_int_equal(seq, i + 1);
    }
    store = reopen(store, &dir);
    assert_true(segment_count(store) > 3);
    merge_run(store, 1, 2, false);
    store = reopen(store, &dir);
    merge_run(store, 0, 2, false); /* the requests of a merged segment go along */
    store = reopen(store, &dir);
    assert_int_equal(store->writer.retries.count, 40);
    for (size_t i = 0; i < 40; i++) {
        assert_int_equal(append_wait(store, &batches[i].batch, &seq), MW_OK);
        assert_int_equal(seq, 0);
        test_batch_fini(&batches[i]);
    }
    end(store, &dir);
}

/* ---- verification ---------------------------------------------------------------------------- */

typedef struct damage_seen {
    size_t count;
    uint64_t offset;
    char what[256];
} damage_seen;

static void see_damage(void *ctx, const mw_store_damage *damage)
{
    damage_seen *seen = ctx;
    seen->count++;
    seen->offset = damage->offset;
    snprintf(seen->what, sizeof seen->what, "%s", damage->what);
}

static damage_seen verify(const test_dir *dir, mw_store_verified *whole)
{
    damage_seen seen = {0};
    mw_err err = mw_store_verify(dir->store, see_damage, &seen, whole);
    assert_int_equal(err, seen.count ? MW_E_CORRUPT : MW_OK);
    return seen;
}

/* What is told when one byte of a section, a block or the trailer differs. */
static void test_verify(void **state)
{
    test_dir dir;
    mw_store_verified whole;
    (void)state;
    mw_store *store = begin(&dir, 80);
    size_t count;
    mw_segment **list = segments_in_order(store, &count);
    test_merge merge = {
        .store = store, .rows_a_block = 16, .packed = 2, .rollups = "rolled", .filter = "filtered"};
    merge_segments(&merge, list, count, true); /* the inputs stay: counted once */
    free(list);
    list = segments_in_order(store, &count);
    char *path = strdup(list[0]->path);
    uint64_t footer = list[0]->header.durable_end, end = list[0]->end;
    mw_footer_section sections[MW_FOOTER_SECTIONS];
    memcpy(sections, list[0]->footer->sections, sizeof sections);
    free(list);
    mw_store_close(store);
    assert_int_equal(verify(&dir, &whole).count, 0);
    assert_int_equal(whole.spans, 80);
    for (unsigned i = 0; i < MW_FOOTER_SECTIONS; i++) {
        if (sections[i].length == 0)
            continue;
        flip(path, sections[i].offset + sections[i].length / 2);
        damage_seen seen = verify(&dir, &whole);
        assert_int_equal(seen.count, 1);
        assert_int_equal(whole.spans, 80);
        assert_non_null(strstr(seen.what, "no item is lost"));
        assert_true(seen.offset == sections[i].offset || seen.offset == footer);
        flip(path, sections[i].offset + sections[i].length / 2);
    }
    flip(path, end - 20);
    assert_non_null(strstr(verify(&dir, &whole).what, "the footer of a merged segment"));
    flip(path, end - 20);
    flip(path, MW_SEGMENT_HEADER_SIZE + MW_BLOCK_HEADER_SIZE + 10);
    assert_non_null(strstr(verify(&dir, &whole).what, "the columns of a block"));
    assert_true(whole.spans < 80);
    flip(path, MW_SEGMENT_HEADER_SIZE + MW_BLOCK_HEADER_SIZE + 10);
    assert_int_equal(verify(&dir, &whole).count, 0);
    free(path);
    test_dir_fini(&dir);
}

/* A footer that is whole and not that of its blocks. */
static void test_verify_against_blocks(void **state)
{
    test_dir dir;
    struct stat status;
    mw_block_reader reader;
    mw_footer_writer *writer;
    mw_slice bytes;
    mw_hot hot;
    size_t count;
    (void)state;
    mw_store *store = begin(&dir, 40);
    merge_run(store, 0, segment_count(store), false);
    mw_segment **list = segments_in_order(store, &count);
    mw_segment *segment = list[0];
    free(list);
    /* The keys of the first block for all. */
    mw_block_reader_init(&reader);
    assert_int_equal(mw_footer_writer_new(&writer), MW_OK);
    assert_int_equal(
        mw_read_hot(&reader, segment->fd, segment->blocks->offset, &segment->blocks->header, &hot),
        MW_OK);
    for (const mw_index_block *block = segment->blocks; block; block = block->next_in_segment) {
        mw_index_block *entry = mw_index_block_new(&hot, &segment->blocks->header, store->key_seed);
        mw_hot shown = hot;
        shown.count = block->header.item_count; /* the last block has fewer */
        assert_true(shown.count <= hot.count);
        entry->header = block->header;
        entry->offset = block->offset;
        assert_int_equal(mw_footer_writer_block(writer, entry, &shown, MW_SLICE_NONE), MW_OK);
        mw_free(MW_MEM_STORE, entry);
    }
    mw_block_reader_fini(&reader);
    const mw_footer_facts facts = {
        .last_seq = 1000, .arrival_max_ns = 1, .key_check = mw_key_check(store->key_seed)};
    assert_int_equal(mw_footer_writer_finish(writer, &segment->header, segment->header.durable_end,
                                             &facts, &bytes),
                     MW_OK);
    int fd = open(segment->path, O_RDWR | O_CLOEXEC);
    assert_int_equal(ftruncate(fd, (off_t)segment->header.durable_end), 0);
    assert_int_equal(pwrite(fd, bytes.data, bytes.len, (off_t)segment->header.durable_end),
                     bytes.len);
    assert_int_equal(fstat(fd, &status), 0);
    close(fd);
    mw_footer_writer_free(writer);
    mw_store_close(store);
    damage_seen seen = verify(&dir, NULL);
    if (!strstr(seen.what, "does not fit the blocks"))
        fail_msg("%s", seen.what);
    test_dir_fini(&dir);
}

/* ---- threads --------------------------------------------------------------------------------- */

#define THREAD_SPANS 1500u

typedef struct busy_store {
    mw_store *store;
    _Atomic uint64_t appended; /* traces 1 to this are there */
} busy_store;

static void *append_all(void *ctx)
{
    busy_store *busy = ctx;
    for (uint64_t i = 1; i <= THREAD_SPANS; i++) {
        MW_ASSERT(append_spans(busy->store, i, i, 1) == MW_OK);
        atomic_store(&busy->appended, i);
    }
    return NULL;
}

static void *ask_all(void *ctx)
{
    busy_store *busy = ctx;
    test_random random = {77};
    mw_arena arena;
    mw_arena_init(&arena, MW_MEM_QUERY, 0);
    while (atomic_load(&busy->appended) < THREAD_SPANS) {
        uint64_t there = atomic_load(&busy->appended);
        mw_store_view *view;
        mw_trace trace;
        mw_trace_list list;
        const mw_store_page page = {.limit = 5};
        uint8_t id[16];
        if (there == 0)
            continue;
        trace_id_of(id, 1 + random_below(&random, there));
        MW_ASSERT(mw_store_view_open(busy->store, &view) == MW_OK);
        MW_ASSERT(mw_store_trace_read(view, id, &arena, &trace) == MW_OK);
        MW_ASSERT(mw_store_trace_list(view, &page, &arena, &list) == MW_OK && list.count > 0);
        MW_ASSERT(list.items[0].start_ns >= 1000 + there);
        mw_store_view_close(view);
        mw_arena_reset(&arena);
    }
    return NULL;
}

/* Segments of a snapshot, without the last one, which is appended to. */
static size_t finished_segments(mw_store_view *view, mw_segment **list, size_t max)
{
    size_t count = 0;
    for (size_t i = 0; i < mw_view_count(view) && count < max; i++) {
        mw_segment *segment = mw_view_block(view, i)->segment;
        if (count == 0 || list[count - 1] != segment)
            list[count++] = segment;
    }
    return count ? count - 1 : 0;
}

/* One appends, one asks, one merges what is complete. */
static void test_beside_appends(void **state)
{
    test_dir dir;
    busy_store busy = {0};
    pthread_t appender, asker;
    mw_segment *list[512];
    size_t merges = 0;
    (void)state;
    test_dir_init(&dir);
    busy.store = small_store(&dir);
    assert_int_equal(pthread_create(&appender, NULL, append_all, &busy), 0);
    assert_int_equal(pthread_create(&asker, NULL, ask_all, &busy), 0);
    while (atomic_load(&busy.appended) < THREAD_SPANS) {
        test_merge merge = {.store = busy.store, .rows_a_block = 64, .packed = 4};
        mw_store_view *view;
        assert_int_equal(mw_store_view_open(busy.store, &view), MW_OK);
        size_t count = finished_segments(view, list, 512);
        size_t from = count > 6 ? count - 6 : 0;
        if (count - from > 2) {
            merge_segments(&merge, list + from, count - from, false);
            merges++;
        }
        mw_store_view_close(view);
    }
    pthread_join(appender, NULL);
    pthread_join(asker, NULL);
    assert_true(merges > 2);
    expect_spans(busy.store, 1, THREAD_SPANS);
    busy.store = reopen(busy.store, &dir);
    expect_spans(busy.store, 1, THREAD_SPANS);
    mw_store_close(busy.store);
    test_dir_fini(&dir);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_start),
        cmocka_unit_test(test_bytes),
        cmocka_unit_test(test_views_pin),
        cmocka_unit_test(test_replaced_by_nothing),
        cmocka_unit_test(test_superseded_are_removed),
        cmocka_unit_test(test_left_aside),
        cmocka_unit_test(test_damaged_footer),
        cmocka_unit_test(test_requests),
        cmocka_unit_test(test_verify),
        cmocka_unit_test(test_verify_against_blocks),
        cmocka_unit_test(test_beside_appends),
    };
    return cmocka_run_group_tests(tests, quick_disk_begin, quick_disk_end);
}
