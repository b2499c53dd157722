/* A store that holds all three signals: whatever was acknowledged comes back byte for byte, of
 * each signal, over restarts, torn tails, failing disks and repeated requests. */
#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <sys/stat.h>

#include <xxhash.h>

#include "tests/unit/lib-store/batch_random.h"

#include "lib/base/log.h"

/* ---- a disk without waiting ------------------------------------------------------------------ */

/* Nothing here loses power, so syncs only cost time; every n-th may fail. */
static unsigned syncs, failing_every;

static int sync_at_once(int fd)
{
    (void)fd;
    if (failing_every == 0 || ++syncs % failing_every != 0)
        return 0;
    errno = EIO;
    return -1;
}

static int sync_name_at_once(int fd)
{
    (void)fd;
    return 0;
}

static int quick_disk(void **state)
{
    static mw_io io;
    (void)state;
    io = *mw_io_system();
    io.fdatasync = sync_at_once;
    io.fsync = sync_name_at_once;
    failing_every = 0;
    mw_io_use(&io);
    return 0;
}

static int usual_disk(void **state)
{
    (void)state;
    mw_io_use(NULL);
    return 0;
}

/* ---- what was sent --------------------------------------------------------------------------- */

enum { SENT_MAX = 128 };

typedef struct sent {
    test_batch batches[SENT_MAX];
    uint64_t seqs[SENT_MAX]; /* 0 = refused */
    size_t count;
} sent;

static mw_err send_one(mw_store *store, sent *all, test_random *random, mw_signal signal)
{
    assert_true(all->count < SENT_MAX);
    size_t at = all->count++;
    random_batch(&all->batches[at], random, signal, 1 + random_below(random, 12));
    all->seqs[at] = 0;
    return append_wait(store, &all->batches[at].batch, &all->seqs[at]);
}

static void sent_fini(sent *all)
{
    for (size_t i = 0; i < all->count; i++)
        test_batch_fini(&all->batches[i]);
    free(all);
}

static const mw_store_batch *batch_of_seq(const sent *all, uint64_t seq)
{
    for (size_t i = 0; i < all->count; i++)
        if (all->seqs[i] == seq)
            return &all->batches[i].batch;
    return NULL;
}

/* ---- what is there --------------------------------------------------------------------------- */

static void assert_block_is(mw_store_view *view, const mw_index_block *block,
                            const mw_store_batch *batch)
{
    mw_hot hot;
    mw_items items;
    assert_int_equal(block->header.signal, batch->signal);
    assert_memory_equal(block->header.digest, batch->digest, 16);
    assert_int_equal(mw_view_hot(view, block, &hot), MW_OK);
    assert_int_equal(hot.count, batch->item_count);
    for (uint32_t i = 0; i < hot.count; i++)
        assert_row_equal(batch, &hot, i);
    assert_int_equal(mw_read_items(&view->items_reader, block->segment->fd, block->offset,
                                   &block->header, &hot, &items),
                     MW_OK);
    assert_items_equal(batch, &items);
    mw_items_fini(&items);
}

/* Every block is one of the sent, as it was sent; returns how many there are. Blocks whose request
 * was refused may be there, too: those are counted apart. */
static size_t check_blocks(mw_store *store, const sent *all, size_t *refused)
{
    mw_store_view *view;
    mw_store_stats stats;
    uint64_t items[MW_SIGNAL_END] = {0};
    size_t known = 0;

    *refused = 0;
    assert_int_equal(mw_store_view_open(store, &view), MW_OK);
    for (size_t i = 0; i < mw_view_count(view); i++) {
        const mw_index_block *block = mw_view_block(view, i);
        const mw_store_batch *batch = batch_of_seq(all, block->header.seq);
        items[block->header.signal] += block->header.item_count;
        if (batch)
            assert_block_is(view, block, batch);
        known += batch != NULL;
        *refused += batch == NULL;
    }
    mw_store_stats_read(store, &stats);
    assert_int_equal(stats.blocks, mw_view_count(view));
    assert_int_equal(stats.spans, items[MW_SIGNAL_TRACES]);
    assert_int_equal(stats.points, items[MW_SIGNAL_METRICS]);
    assert_int_equal(stats.logs, items[MW_SIGNAL_LOGS]);
    mw_store_view_close(view);
    return known;
}

static void check_whole(const char *directory, const sent *all)
{
    mw_store_verified whole;
    uint64_t items[MW_SIGNAL_END] = {0};
    for (size_t i = 0; i < all->count; i++)
        items[all->batches[i].batch.signal] += all->batches[i].batch.item_count;
    assert_int_equal(mw_store_verify(directory, NULL, NULL, &whole), MW_OK);
    assert_int_equal(whole.blocks, all->count);
    assert_int_equal(whole.spans, items[MW_SIGNAL_TRACES]);
    assert_int_equal(whole.points, items[MW_SIGNAL_METRICS]);
    assert_int_equal(whole.logs, items[MW_SIGNAL_LOGS]);
}

/* ---- restarts -------------------------------------------------------------------------------- */

static void test_restarts(void **state)
{
    test_dir dir;
    test_random random = {21};
    sent *all = calloc(1, sizeof *all);
    size_t refused;
    (void)state;
    test_dir_init(&dir);
    for (int life = 0; life < 6; life++) {
        mw_store *store = open_with(dir.store, mw_clock_system(), MW_STORE_QUEUE_DEFAULT, 6000);
        assert_int_equal(check_blocks(store, all, &refused), all->count);
        for (int i = 0; i < 20; i++)
            assert_int_equal(send_one(store, all, &random, all_signals[random_below(&random, 3)]),
                             MW_OK);
        assert_int_equal(check_blocks(store, all, &refused), all->count);
        assert_int_equal(refused, 0);
        mw_store_close(store);
    }
    check_whole(dir.store, all);
    sent_fini(all);
    test_dir_fini(&dir);
}

/* The file ends anywhere: the blocks in front of that are there and nothing else, whatever their
 * signals. */
static void test_torn_anywhere(void **state)
{
    test_dir dir;
    test_random random = {22};
    sent *all = calloc(1, sizeof *all);
    uint64_t ends[12];
    char path[160], *data = NULL;
    size_t size;
    (void)state;
    test_dir_init(&dir);
    mw_store *store = open_store(dir.store);
    for (size_t i = 0; i < 12; i++) {
        mw_store_stats stats;
        assert_int_equal(send_one(store, all, &random, all_signals[i % 3]), MW_OK);
        mw_store_stats_read(store, &stats);
        ends[i] = stats.bytes;
    }
    mw_store_close(store);
    snprintf(path, sizeof path, "%s/%016x.seg", dir.store, 1);
    assert_int_equal(mw_io_read_file(path, 1 << 24, &data, &size), MW_OK);
    for (size_t cut = MW_SEGMENT_HEADER_SIZE; cut <= size; cut++) {
        size_t left = 0, refused;
        while (left < 12 && ends[left] <= cut)
            left++;
        bool at_end = left == 12 || ends[left] - cut < 3 || (left && cut - ends[left - 1] < 3);
        if (!at_end && cut % 41 != 0)
            continue;
        remove_tree(dir.store);
        mkdir(dir.store, 0700);
        FILE *file = fopen(path, "wb");
        assert_int_equal(fwrite(data, 1, cut, file), cut);
        fclose(file);
        for (int again = 0; again < 2; again++) {
            store = open_store(dir.store);
            assert_int_equal(check_blocks(store, all, &refused), left);
            assert_int_equal(refused, 0);
            mw_store_close(store);
        }
    }
    mw_free(MW_MEM_BASE, data);
    sent_fini(all);
    test_dir_fini(&dir);
}

/* ---- failing disks --------------------------------------------------------------------------- */

static void run_with_failing_syncs(unsigned every)
{
    test_dir dir;
    mw_fake_clock clock;
    test_random random = {every};
    sent *all = calloc(1, sizeof *all);
    size_t acknowledged = 0, refused;

    test_dir_init(&dir);
    mw_fake_clock_init(&clock, 1000);
    mw_store *store = open_with(dir.store, &clock.clock, MW_STORE_QUEUE_DEFAULT, 6000);
    syncs = 0;
    failing_every = every;
    for (size_t i = 0; i < 60; i++) {
        acknowledged += send_one(store, all, &random, all_signals[i % 3]) == MW_OK;
        mw_fake_clock_advance(&clock, 2 * MW_NS_PER_S);
    }
    assert_true(acknowledged > 20 && acknowledged < 60);
    assert_int_equal(check_blocks(store, all, &refused), acknowledged);
    assert_int_equal(refused, 0); /* no view sees what was not acknowledged */
    mw_store_close(store);
    failing_every = 0;
    for (int again = 0; again < 2; again++) {
        store = open_store(dir.store);
        assert_int_equal(check_blocks(store, all, &refused), acknowledged);
        mw_store_close(store);
    }
    assert_int_equal(mw_store_verify(dir.store, NULL, NULL, NULL), MW_OK);
    sent_fini(all);
    test_dir_fini(&dir);
}

static void test_failing_syncs(void **state)
{
    (void)state;
    for (unsigned every = 3; every <= 7; every++)
        run_with_failing_syncs(every);
}

/* ---- repeats --------------------------------------------------------------------------------- */

static void test_repeats(void **state)
{
    test_dir dir;
    test_random random = {23};
    sent *all = calloc(1, sizeof *all);
    size_t refused;
    (void)state;
    test_dir_init(&dir);
    mw_store *store = open_store(dir.store);
    for (size_t i = 0; i < 9; i++)
        assert_int_equal(send_one(store, all, &random, all_signals[i % 3]), MW_OK);
    for (int life = 0; life < 2; life++) {
        for (size_t i = 0; i < 9; i++) {
            uint64_t seq = 99;
            assert_int_equal(append_wait(store, &all->batches[i].batch, &seq), MW_OK);
            assert_int_equal(seq, 0);
        }
        assert_int_equal(check_blocks(store, all, &refused), 9);
        assert_int_equal(refused, 0);
        mw_store_close(store);
        store = open_store(dir.store);
    }
    mw_store_close(store);
    sent_fini(all);
    test_dir_fini(&dir);
}

/* ---- questions ------------------------------------------------------------------------------- */

/* Questions about spans pass over the other signals' blocks, also where ids and times meet. */
static void test_spans_among_others(void **state)
{
    test_dir dir;
    test_batch logs, points;
    mw_store_view *view;
    mw_arena arena;
    mw_span_list spans;
    (void)state;
    test_dir_init(&dir);
    mw_store *store = open_store(dir.store);
    test_batch_init_of(&logs, MW_SIGNAL_LOGS, 5);
    test_batch_init_of(&points, MW_SIGNAL_METRICS, 5);
    for (size_t i = 0; i < 5; i++) {
        test_log(&logs, i, 1, i);
        test_point(&points, i, 1, i);
    }
    assert_int_equal(append_wait(store, &logs.batch, NULL), MW_OK);
    assert_int_equal(append_spans(store, 1, 1, 3), MW_OK);
    assert_int_equal(append_wait(store, &points.batch, NULL), MW_OK);
    assert_int_equal(count_spans(store, 1), 3);
    mw_arena_init(&arena, MW_MEM_QUERY, 0);
    mw_span_query query = {.service = MW_SLICE("checkout"), .limit = 100};
    assert_int_equal(mw_store_view_open(store, &view), MW_OK);
    assert_int_equal(mw_store_span_search(view, &query, &arena, &spans), MW_OK);
    assert_int_equal(spans.count, 3);
    assert_int_equal(spans.matched, 3);
    mw_store_view_close(view);
    mw_store_close(store);
    mw_arena_reset(&arena);
    test_batch_fini(&logs);
    test_batch_fini(&points);
    test_dir_fini(&dir);
}

/* ---- versions -------------------------------------------------------------------------------- */

static void keep_report(void *ctx, const mw_store_damage *damage)
{
    snprintf(ctx, 256, "%s: %s", damage->file, damage->what);
}

/* A segment of another version, older or newer, is whole and not ours: nothing is opened beside
 * it, and nothing is changed. */
static void test_other_versions(void **state)
{
    (void)state;
    for (uint32_t version = 1; version <= 5; version += 4) {
        test_dir dir;
        mw_detail detail = {0};
        unsigned char bytes[MW_SEGMENT_HEADER_SIZE];
        char path[160], report[256] = "";
        mw_segment_header header = {.id = 1, .durable_end = MW_SEGMENT_HEADER_SIZE, .first_seq = 1};
        mw_store *store = open_store((test_dir_init(&dir), dir.store));
        mw_store_close(store);
        mw_segment_header_write(&header, bytes);
        mw_put_u32(bytes + 8, version);
        mw_put_u64(bytes + 72, XXH3_64bits_withSeed(bytes, 72, header.id));
        snprintf(path, sizeof path, "%s/%016x.seg", dir.store, 1);
        FILE *file = fopen(path, "wb");
        assert_int_equal(fwrite(bytes, 1, sizeof bytes, file), sizeof bytes);
        fclose(file);
        mw_store_config config = {.directory = dir.store,
                                  .clock = mw_clock_system(),
                                  .queue_budget_bytes = MW_STORE_QUEUE_DEFAULT,
                                  .segment_max_bytes = MW_STORE_SEGMENT_DEFAULT};
        assert_int_equal(mw_store_open(&config, &store, &detail), MW_E_UNSUPPORTED);
        assert_non_null(strstr(detail.message, "0000000000000001.seg"));
        assert_non_null(strstr(detail.message, "version 4"));
        assert_non_null(strstr(detail.hint, "move"));
        assert_int_equal(mw_store_verify(dir.store, keep_report, report, NULL), MW_E_CORRUPT);
        assert_non_null(strstr(report, "another version"));
        assert_int_equal(access(path, F_OK), 0);
        test_dir_fini(&dir);
    }
}

/* As the program before this one wrote it. */
static void make_older(const char *directory, uint64_t id, uint16_t version)
{
    unsigned char bytes[MW_SEGMENT_HEADER_SIZE];
    char path[160];
    snprintf(path, sizeof path, "%s/%016llx.seg", directory, (unsigned long long)id);
    FILE *file = fopen(path, "r+b");
    assert_non_null(file);
    assert_int_equal(fread(bytes, 1, sizeof bytes, file), sizeof bytes);
    assert_int_equal(mw_get_u16(bytes + 8), MW_SEGMENT_VERSION);
    mw_put_u16(bytes + 8, version);
    mw_put_u64(bytes + 72, XXH3_64bits_withSeed(bytes, 72, id));
    rewind(file);
    assert_int_equal(fwrite(bytes, 1, sizeof bytes, file), sizeof bytes);
    fclose(file);
}

/* What older versions wrote is read, and appended to in a segment of the present one. */
static void test_older_versions(void **state)
{
    (void)state;
    for (uint16_t version = 2; version <= 3; version++) {
        test_dir dir;
        mw_store_stats stats;
        test_batch few, many;
        test_random random = {version};
        mw_store *store = open_store((test_dir_init(&dir), dir.store));
        random_batch(&few, &random, MW_SIGNAL_LOGS, 9);
        assert_int_equal(append_wait(store, &few.batch, NULL), MW_OK);
        mw_store_close(store);
        make_older(dir.store, 1, version);
        store = open_store(dir.store);
        random_batch(&many, &random, MW_SIGNAL_LOGS, 200);
        assert_int_equal(append_wait(store, &many.batch, NULL), MW_OK);
        mw_store_stats_read(store, &stats);
        assert_int_equal(stats.logs, 209);
        mw_store_close(store);
        assert_int_equal(mw_store_verify(dir.store, NULL, NULL, NULL), MW_OK);
        test_batch_fini(&few);
        test_batch_fini(&many);
        test_dir_fini(&dir);
    }
}

/* ---- names and origins ----------------------------------------------------------------------- */

static void test_names(void **state)
{
    (void)state;
    assert_string_equal(mw_signal_name(MW_SIGNAL_TRACES), "traces");
    assert_string_equal(mw_signal_name(MW_SIGNAL_METRICS), "metrics");
    assert_string_equal(mw_signal_name(MW_SIGNAL_LOGS), "logs");
    assert_string_equal(mw_signal_name((mw_signal)0), "unknown");
    assert_string_equal(mw_signal_name(MW_SIGNAL_END), "unknown");
    assert_string_equal(mw_origin_name(MW_ORIGIN_LOG_GROUP), "x-aws-log-group");
    assert_string_equal(mw_origin_name(MW_ORIGIN_LOG_STREAM), "x-aws-log-stream");
    assert_string_equal(mw_origin_name(MW_ORIGIN_METRIC_NAMESPACE), "x-aws-metric-namespace");
}

static void test_origin_members(void **state)
{
    static const struct {
        const char *origin, *group, *stream, *space;
    } rows[] = {
        {"", "", "", ""},
        {"x-aws-log-group=/aws/a", "/aws/a", "", ""},
        {"x-aws-log-stream=default", "", "default", ""},
        {"x-aws-log-group=a=b\nx-aws-metric-namespace=n s", "a=b", "", "n s"},
        {"x-aws-log-group=g\nx-aws-log-stream=s\nx-aws-metric-namespace=m\n", "g", "s", "m"},
        {"x-aws-log-group=\nx-aws-log-stream", "", "", ""},
        {"x-aws-log-groups=other\n\nx-aws-log-stream=s", "", "s", ""},
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        mw_slice origin = mw_slice_of(rows[i].origin);
        assert_slice_equal(mw_origin_member(origin, MW_ORIGIN_LOG_GROUP),
                           mw_slice_of(rows[i].group));
        assert_slice_equal(mw_origin_member(origin, MW_ORIGIN_LOG_STREAM),
                           mw_slice_of(rows[i].stream));
        assert_slice_equal(mw_origin_member(origin, MW_ORIGIN_METRIC_NAMESPACE),
                           mw_slice_of(rows[i].space));
    }
    assert_slice_equal(mw_origin_member(MW_SLICE_NONE, MW_ORIGIN_LOG_GROUP), MW_SLICE_NONE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_restarts, quick_disk, usual_disk),
        cmocka_unit_test_setup_teardown(test_torn_anywhere, quick_disk, usual_disk),
        cmocka_unit_test_setup_teardown(test_failing_syncs, quick_disk, usual_disk),
        cmocka_unit_test(test_repeats),
        cmocka_unit_test(test_spans_among_others),
        cmocka_unit_test(test_other_versions),
        cmocka_unit_test(test_older_versions),
        cmocka_unit_test(test_names),
        cmocka_unit_test(test_origin_members),
    };
    /* Provoked failures would drown the output. */
    mw_log_init(MW_LOG_ERROR, MW_LOG_LOGFMT, open("/dev/null", O_WRONLY));
    return cmocka_run_group_tests(tests, NULL, NULL);
}
