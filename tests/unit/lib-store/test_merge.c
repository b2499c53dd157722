/* Merging real stores: rows, items and what comes with them are the same after, in their order;
 * repeats go; whatever fails or stops on the way, nothing is lost and nothing left behind.
 *
 * Questions over merged stores are in test_queries.c and its neighbours, power loss in
 * test_power_loss.c.
 */
#include <errno.h>
#include <fcntl.h>
#include <math.h>

#include <xxhash.h>

#include "tests/unit/lib-store/batch_random.h"

#include "lib/base/log.h"
#include "lib/store/merge/block_pack.h"
#include "lib/store/merge/merge.h"
#include "lib/store/segment/segment_footer.h"

enum { TRACES = 14, SEGMENT = 6 * 1024 };

/* ---- what a store holds ---------------------------------------------------------------------- */

/* A row with all that belongs to it, as numbers that can be compared. */
typedef struct stored_row {
    mw_signal signal;
    uint64_t seq;
    uint32_t index;
    uint8_t trace[16];
    uint64_t id, time, start; /* span id, or series */
    uint64_t hash;            /* of columns, item, resource, scope and head */
} stored_row;

typedef struct stored {
    stored_row *rows;
    size_t count;
} stored;

static uint64_t hash_slice(uint64_t hash, mw_slice text)
{
    return XXH3_64bits_withSeed(text.data ? text.data : "", text.len, hash + text.len);
}

static uint64_t hash_columns(const mw_hot *hot, uint32_t row)
{
    uint64_t hash = 1;
    const mw_hot_layout *layout = mw_hot_layout_of(hot->signal);
    for (size_t i = 0; i < layout->wide_count; i++) {
        uint64_t value = layout->wide[i] == MW_WIDE_TIME
                             ? mw_hot_time(hot, row)
                             : mw_hot_u64(hot, (mw_wide_column)layout->wide[i], row);
        hash = hash_slice(hash, mw_slice_bytes(&value, sizeof value));
    }
    for (size_t i = 0; i < layout->narrow_count; i++)
        hash = hash_slice(hash, mw_slice_bytes(hot->narrow[layout->narrow[i]] + row, 1));
    for (size_t i = 0; i < layout->ref_count; i++) {
        uint32_t ref = mw_hot_ref(hot, (mw_hot_column)layout->refs[i], row);
        hash = hash_slice(hash, layout->refs[i] == MW_HOT_TRACE
                                    ? mw_slice_bytes(mw_hot_trace_id(hot, ref), 16)
                                    : mw_hot_string(hot, ref));
    }
    return hash;
}

static uint64_t hash_item(uint64_t hash, const mw_items *items, uint32_t row)
{
    const mw_store_context *resource = &items->contexts[mw_items_resource(items, row)];
    const mw_store_context *scope = &items->contexts[items->resources + mw_items_scope(items, row)];
    hash = hash_slice(hash, items->items[row]);
    hash = hash_slice(hash_slice(hash, resource->bytes), resource->schema_url);
    hash = hash_slice(hash_slice(hash, scope->bytes), scope->schema_url);
    if (!items->metric_refs)
        return hash;
    uint32_t head = items->resources + items->scopes + mw_items_metric(items, row);
    return hash_slice(hash, items->contexts[head].bytes);
}

static stored_row row_of(const mw_hot *hot, const mw_items *items, uint32_t row)
{
    stored_row out;
    memset(&out, 0, sizeof out);
    out.signal = hot->signal;
    out.seq = mw_hot_seq(hot, row);
    out.index = mw_hot_index(hot, row);
    out.time = mw_hot_time(hot, row);
    out.hash = hash_item(hash_columns(hot, row), items, row);
    if (hot->signal == MW_SIGNAL_METRICS) {
        out.id = mw_hot_u64(hot, MW_WIDE_SERIES, row);
        out.start = mw_hot_u64(hot, MW_WIDE_START, row);
        return out;
    }
    memcpy(out.trace, mw_hot_trace_id(hot, mw_hot_ref(hot, MW_HOT_TRACE, row)), 16);
    out.id = mw_hot_u64(hot, MW_WIDE_SPAN_ID, row);
    return out;
}

/* In the order of the blocks. */
static stored read_all(mw_store *store)
{
    stored all = {NULL, 0};
    mw_store_view *view;
    mw_block_reader reader;
    mw_block_reader_init(&reader);
    assert_int_equal(mw_store_view_open(store, &view), MW_OK);
    for (size_t i = 0; i < mw_view_count(view); i++) {
        const mw_index_block *block = mw_view_block(view, i);
        mw_hot hot;
        mw_items items;
        assert_int_equal(mw_view_hot(view, block, &hot), MW_OK);
        assert_int_equal(
            mw_read_items(&reader, block->segment->fd, block->offset, &block->header, &hot, &items),
            MW_OK);
        all.rows = realloc(all.rows, (all.count + hot.count) * sizeof *all.rows);
        for (uint32_t row = 0; row < hot.count; row++)
            all.rows[all.count++] = row_of(&hot, &items, row);
        mw_items_fini(&items);
    }
    mw_store_view_close(view);
    mw_block_reader_fini(&reader);
    return all;
}

static int by_commit(const void *left, const void *right)
{
    const stored_row *a = left, *b = right;
    if (a->seq != b->seq)
        return a->seq < b->seq ? -1 : 1;
    return a->index < b->index ? -1 : a->index > b->index;
}

static bool is_same(const stored_row *a, const stored_row *b)
{
    if (a->signal != b->signal || a->signal == MW_SIGNAL_LOGS || a->id != b->id)
        return false;
    return a->signal == MW_SIGNAL_TRACES ? memcmp(a->trace, b->trace, 16) == 0
                                         : a->time == b->time && a->start == b->start;
}

/* Without what came before; `all` is in the order of commits. Returns how many went. */
static size_t drop_repeats(stored *all, mw_signal signal)
{
    size_t kept = 0, before = all->count;
    for (size_t i = 0; i < all->count; i++) {
        bool again = false;
        for (size_t k = 0; all->rows[i].signal == signal && k < kept && !again; k++)
            again = is_same(&all->rows[k], &all->rows[i]);
        if (!again)
            all->rows[kept++] = all->rows[i];
    }
    all->count = kept;
    return before - kept;
}

static void sort_by_commit(stored *all)
{
    qsort(all->rows, all->count, sizeof *all->rows, by_commit);
}

static void assert_rows(const stored *got, const stored *want)
{
    assert_int_equal(got->count, want->count);
    for (size_t i = 0; i < got->count; i++)
        assert_memory_equal(&got->rows[i], &want->rows[i], sizeof got->rows[i]);
}

/* Of the trace, repeats included. */
static uint64_t first_start(const stored *sent, const stored_row *row)
{
    uint64_t first = UINT64_MAX;
    for (size_t i = 0; i < sent->count; i++)
        if (sent->rows[i].signal == row->signal &&
            memcmp(sent->rows[i].trace, row->trace, 16) == 0 && sent->rows[i].time < first)
            first = sent->rows[i].time;
    return first;
}

/* Traces together, by their first start; series together, in order of time; logs as committed. */
static void assert_order(const stored *all, const stored *sent)
{
    uint64_t last_first = 0;
    for (size_t i = 1; i < all->count; i++) {
        const stored_row *a = &all->rows[i - 1], *b = &all->rows[i];
        if (a->signal != b->signal) {
            last_first = 0;
        } else if (a->signal == MW_SIGNAL_LOGS) {
            assert_true(by_commit(a, b) < 0);
        } else if (a->signal == MW_SIGNAL_METRICS) {
            assert_true(a->id < b->id || (a->id == b->id && a->time <= b->time));
        } else if (memcmp(a->trace, b->trace, 16) == 0) {
            assert_true(by_commit(a, b) < 0);
        } else {
            uint64_t first = first_start(sent, b);
            for (size_t k = 0; k < i; k++)
                assert_true(all->rows[k].signal != MW_SIGNAL_TRACES ||
                            memcmp(all->rows[k].trace, b->trace, 16) != 0);
            assert_true(first >= last_first);
            last_first = first;
        }
    }
}

/* ---- stores ---------------------------------------------------------------------------------- */

static void append_random(mw_store *store, test_random *random, size_t batches)
{
    for (size_t i = 0; i < batches; i++) {
        test_batch batch;
        mw_signal signal = (mw_signal)(1 + random_below(random, 3));
        random_batch(&batch, random, signal, 1 + random_below(random, 30));
        for (size_t k = 0; k < batch.batch.item_count; k++) {
            if (signal == MW_SIGNAL_TRACES) {
                trace_id_of(batch.spans[k].trace_id, random_below(random, TRACES));
                put_id(batch.spans[k].span_id, 8, 1 + random_below(random, 40));
                batch.spans[k].start_ns = 1000 + random_below(random, 500);
                batch.spans[k].end_ns = batch.spans[k].start_ns + random_below(random, 500);
            } else if (signal == MW_SIGNAL_METRICS) {
                batch.points[k].series = 1 + random_below(random, 10);
                batch.points[k].time_ns = 1000 + random_below(random, 30);
                batch.points[k].start_ns = random_below(random, 2);
            } else {
                batch.logs[k].time_ns = 1000 + random_below(random, 500);
            }
        }
        assert_int_equal(append_wait(store, &batch.batch, NULL), MW_OK);
        test_batch_fini(&batch);
    }
}

static mw_store *small_store(const test_dir *dir)
{
    return open_with(dir->store, mw_clock_system(), MW_STORE_QUEUE_DEFAULT, SEGMENT);
}

/* The writer, asked to leave its segment, may be making the next one still. */
static void expect_no_temporary_files(const test_dir *dir)
{
    for (int tries = 0; tries < 5000 && count_files(dir->store, ".tmp") > 0; tries++)
        usleep(2000);
    assert_int_equal(count_files(dir->store, ".tmp"), 0);
}

/* ---- the same after -------------------------------------------------------------------------- */

/* `earlier_max`: of spans of earlier segments in memory; 0 = as the program has it. */
static void run_random(uint64_t seed, size_t rounds, size_t earlier_max)
{
    test_random random = {seed};
    test_dir dir;
    mw_store_stats stats;
    uint64_t repeats = 0;
    stored want = {NULL, 0}, sent = {NULL, 0};

    test_dir_init(&dir);
    mw_store *store = small_store(&dir);
    for (size_t round = 0; round < rounds; round++) {
        store->merge_earlier_max = earlier_max;
        append_random(store, &random, 1 + random_below(&random, 40));
        free(want.rows);
        want = read_all(store);
        sort_by_commit(&want);
        free(sent.rows);
        sent = read_all(store);
        /* Points of merged segments are not looked at again by the merges of later ones. */
        repeats += drop_repeats(&want, MW_SIGNAL_TRACES);
        if (rounds == 1)
            repeats += drop_repeats(&want, MW_SIGNAL_METRICS);
        assert_int_equal(mw_store_merge_all(store, 60 * MW_NS_PER_S), MW_OK);
        assert_int_equal(count_files(dir.store, ".tmp"), 0);
        if (round % 3 == 2) {
            mw_store_close(store);
            store = small_store(&dir);
        }
    }
    stored got = read_all(store);
    if (rounds == 1) {
        assert_order(&got, &sent);
        mw_store_stats_read(store, &stats);
        assert_int_equal(stats.repeats, repeats);
        assert_int_equal(stats.merges, 1);
        sort_by_commit(&got);
        assert_rows(&got, &want);
    } else {
        sort_by_commit(&got);
        drop_repeats(&got, MW_SIGNAL_METRICS);
        drop_repeats(&want, MW_SIGNAL_METRICS);
        assert_rows(&got, &want);
    }
    assert_int_equal(mw_store_verify(dir.store, NULL, NULL, NULL), MW_OK);
    mw_store_close(store);
    free(got.rows);
    free(want.rows);
    free(sent.rows);
    test_dir_fini(&dir);
}

static void test_one_merge(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 8; seed++)
        run_random(seed, 1, 0);
}

/* Enough of them that small merged segments are merged again, twice. */
static void test_many_merges(void **state)
{
    (void)state;
    run_random(20, 30, 0);
    run_random(21, 80, 0);
}

/* Repeats of earlier segments go, however few of their spans fit in memory. */
static void test_few_earlier_spans(void **state)
{
    (void)state;
    run_random(22, 30, 1);
    run_random(23, 30, 50);
}

/* A row that is a block by itself, in pieces; and groups smaller than the whole. */
static void test_long_rows(void **state)
{
    test_dir dir;
    test_batch batch;
    test_random random = {3};
    (void)state;
    test_dir_init(&dir);
    mw_store *store = open_store(dir.store);
    char *text = malloc((size_t)9 << 20);
    for (size_t i = 0; i < (size_t)9 << 20; i++)
        text[i] = (char)(random_next(&random) % 61 + (i >> 12));
    for (size_t i = 0; i < 6; i++) {
        test_batch_init(&batch, 40);
        for (size_t k = 0; k < 40; k++) {
            test_span(&batch, k, 1 + (i * 7 + k) % 9, 1 + k + 40 * i, 0);
            batch.items[k].bytes =
                test_text(&batch, text + i, (k % 13 == i ? (size_t)7 << 20 : 20000) + k);
        }
        assert_int_equal(append_wait(store, &batch.batch, NULL), MW_OK);
        test_batch_fini(&batch);
    }
    free(text);
    stored want = read_all(store);
    mw_memory_init((size_t)150 << 20); /* groups of 19 MiB, of 190 MiB in all */
    assert_int_equal(mw_store_merge_all(store, 60 * MW_NS_PER_S), MW_OK);
    mw_memory_init(0);
    stored got = read_all(store);
    assert_order(&got, &want);
    sort_by_commit(&got);
    assert_rows(&got, &want);
    mw_store_stats stats;
    mw_store_stats_read(store, &stats);
    assert_true(stats.blocks > 18);
    mw_store_close(store);
    free(got.rows);
    free(want.rows);
    test_dir_fini(&dir);
}

/* ---- repeats --------------------------------------------------------------------------------- */

static void append_one(mw_store *store, uint64_t trace, uint64_t span, const char *bytes,
                       const char *name, uint8_t digest)
{
    test_batch batch;
    test_batch_init(&batch, 1);
    test_span(&batch, 0, trace, span, 0);
    batch.spans[0].name = mw_slice_of(name);
    batch.items[0].bytes = mw_slice_of(bytes);
    memset(batch.batch.digest, digest, sizeof batch.batch.digest);
    assert_int_equal(append_wait(store, &batch.batch, NULL), MW_OK);
    test_batch_fini(&batch);
}

static mw_store_stats stats_of(mw_store *store)
{
    mw_store_stats stats;
    mw_store_stats_read(store, &stats);
    return stats;
}

static void test_conflicts(void **state)
{
    test_dir dir;
    (void)state;
    test_dir_init(&dir);
    mw_store *store = open_store(dir.store);
    append_one(store, 1, 1, "one", "name", 1);
    append_one(store, 1, 1, "one", "name", 2);  /* the same */
    append_one(store, 1, 1, "eno", "name", 3);  /* as long, but other bytes */
    append_one(store, 1, 1, "ones", "name", 4); /* longer */
    append_one(store, 1, 2, "two", "name", 5);
    append_one(store, 2, 1, "one", "name", 6); /* of another trace */
    assert_int_equal(mw_store_merge_all(store, 10 * MW_NS_PER_S), MW_OK);
    mw_store_stats stats = stats_of(store);
    assert_int_equal(stats.repeats, 3);
    assert_int_equal(stats.conflicting, 2);
    assert_int_equal(stats.spans, 3);
    /* Again, when the first copy is merged already: columns are compared. */
    append_one(store, 1, 1, "other bytes", "name", 7);
    append_one(store, 1, 2, "two", "another name", 8);
    append_one(store, 3, 1, "new", "name", 9);
    assert_int_equal(mw_store_merge_all(store, 10 * MW_NS_PER_S), MW_OK);
    stats = stats_of(store);
    assert_int_equal(stats.repeats, 5);
    assert_int_equal(stats.conflicting, 3);
    assert_int_equal(stats.spans, 4);
    assert_int_equal(stats.merged_segments, 2);
    /* Nothing but repeats: no segment comes of it. */
    append_one(store, 1, 1, "one", "name", 10);
    assert_int_equal(mw_store_merge_all(store, 10 * MW_NS_PER_S), MW_OK);
    stats = stats_of(store);
    assert_int_equal(stats.merged_segments, 2);
    assert_int_equal(stats.segments, 3);
    assert_int_equal(stats.spans, 4);
    assert_int_equal(stats.repeats, 6);
    assert_int_equal(stats.unmerged_bytes, 0);
    mw_store_close(store);
    store = open_store(dir.store);
    assert_int_equal(stats_of(store).spans, 4);
    assert_int_equal(count_spans(store, 1), 2);
    mw_store_close(store);
    test_dir_fini(&dir);
}

/* A request that was merged is known after a start, and after merged ones were merged again. */
static void test_requests_stay_known(void **state)
{
    test_dir dir;
    (void)state;
    test_dir_init(&dir);
    mw_store *store = open_store(dir.store);
    for (uint8_t i = 1; i <= 40; i++) {
        append_one(store, i, 1, "item", "name", i);
        if (i % 3 == 0)
            assert_int_equal(mw_store_merge_all(store, 10 * MW_NS_PER_S), MW_OK);
        if (i % 10 == 0) {
            mw_store_close(store);
            store = open_store(dir.store);
            assert_int_equal(stats_of(store).retry_digests, i);
        }
    }
    assert_true(stats_of(store).merged_segments < 10);
    for (uint8_t i = 1; i <= 40; i++) {
        test_batch batch;
        uint64_t seq = 99;
        test_batch_init(&batch, 1);
        test_span(&batch, 0, i, 1, 0);
        memset(batch.batch.digest, i, sizeof batch.batch.digest);
        assert_int_equal(append_wait(store, &batch.batch, &seq), MW_OK);
        assert_int_equal(seq, 0);
        test_batch_fini(&batch);
    }
    assert_int_equal(stats_of(store).spans, 40);
    mw_store_close(store);
    test_dir_fini(&dir);
}

/* Sequences go on behind all that was ever acknowledged, also when nothing of it is left. */
static void test_sequences_go_on(void **state)
{
    test_dir dir;
    mw_fake_clock clock;
    uint64_t seq = 0;
    mw_detail detail;
    mw_store *store;
    (void)state;
    test_dir_init(&dir);
    mw_fake_clock_init(&clock, 1000 * MW_NS_PER_S);
    mw_store_config config = {.directory = dir.store,
                              .clock = &clock.clock,
                              .queue_budget_bytes = MW_STORE_QUEUE_DEFAULT,
                              .segment_max_bytes = SEGMENT,
                              .retention_age_ns = 10 * MW_NS_PER_S};
    assert_int_equal(mw_store_open(&config, &store, &detail), MW_OK);
    for (uint64_t i = 1; i <= 20; i++)
        assert_int_equal(append_spans(store, i, i, 2), MW_OK);
    assert_int_equal(mw_store_merge_all(store, 10 * MW_NS_PER_S), MW_OK);
    assert_int_equal(stats_of(store).spans, 40);
    mw_fake_clock_advance(&clock, 100 * MW_NS_PER_S);
    assert_int_equal(mw_store_merge_all(store, 10 * MW_NS_PER_S), MW_OK);
    mw_store_stats stats = stats_of(store);
    assert_int_equal(stats.spans, 0);
    assert_int_equal(stats.retired_items, 40);
    assert_int_equal(stats.retired_segments, 1);
    assert_int_equal(stats.segments, 1);
    assert_int_equal(stats.oldest_arrival_ns, 0);
    mw_store_close(store);
    assert_int_equal(mw_store_open(&config, &store, &detail), MW_OK);
    test_batch batch;
    test_batch_init(&batch, 1);
    test_span(&batch, 0, 1, 1, 0);
    assert_int_equal(append_wait(store, &batch.batch, &seq), MW_OK);
    assert_int_equal(seq, 21);
    test_batch_fini(&batch);
    mw_store_close(store);
    test_dir_fini(&dir);
}

/* ---- what fails ------------------------------------------------------------------------------ */

enum { OP_OPEN, OP_PWRITEV, OP_FDATASYNC, OP_FSYNC, OP_RENAME, OP_UNLINK, OP_COUNT };

static struct {
    atomic_uint calls[OP_COUNT], fail_at[OP_COUNT]; /* 0 = never; that call and the next */
    int error;
} disk;

static bool fails(int op)
{
    unsigned call = atomic_fetch_add(&disk.calls[op], 1) + 1, at = disk.fail_at[op];
    if (at == 0 || call < at || call > at + 1)
        return false;
    errno = disk.error;
    return true;
}

static int bad_open(const char *path, int flags, mode_t mode)
{
    if (strstr(path, "catalogue"))
        return mw_io_system()->open(path, flags, mode);
    return fails(OP_OPEN) ? -1 : mw_io_system()->open(path, flags, mode);
}

static ssize_t bad_pwritev(int fd, const struct iovec *iov, int count, off_t offset)
{
    return fails(OP_PWRITEV) ? -1 : mw_io_system()->pwritev(fd, iov, count, offset);
}

static int bad_fdatasync(int fd)
{
    (void)fd;
    return fails(OP_FDATASYNC) ? -1 : 0;
}

static int bad_fsync(int fd)
{
    (void)fd;
    return fails(OP_FSYNC) ? -1 : 0;
}

static int bad_rename(const char *from, const char *to)
{
    return fails(OP_RENAME) ? -1 : mw_io_system()->rename(from, to);
}

static int bad_unlink(const char *path)
{
    return fails(OP_UNLINK) ? -1 : mw_io_system()->unlink(path);
}

static void use_bad_disk(void)
{
    static mw_io io;
    memset(&disk, 0, sizeof disk);
    disk.error = ENOSPC;
    io = *mw_io_system();
    io.open = bad_open;
    io.pwritev = bad_pwritev;
    io.fdatasync = bad_fdatasync;
    io.fsync = bad_fsync;
    io.rename = bad_rename;
    io.unlink = bad_unlink;
    mw_io_use(&io);
}

/* Merging while the n-th call of a kind fails. Returns whether that call was reached. */
static bool run_with_failure(int op, unsigned nth)
{
    test_random random = {31};
    test_dir dir;
    test_dir_init(&dir);
    mw_store *store = small_store(&dir);
    append_random(store, &random, 40);
    stored want = read_all(store);
    drop_repeats(&want, MW_SIGNAL_TRACES);
    drop_repeats(&want, MW_SIGNAL_METRICS);
    for (int i = 0; i < OP_COUNT; i++)
        disk.calls[i] = 0;
    disk.fail_at[op] = nth;
    mw_err err = mw_store_merge_all(store, 10 * MW_NS_PER_S);
    bool reached = disk.calls[op] >= nth;
    /* The writer, whose segment fails, tries again; a file that stays is removed at a start. */
    assert_true(err == MW_OK || reached);
    assert_true(err == MW_OK || err == MW_E_NO_SPACE || err == MW_E_IO || err == MW_E_TIMEOUT);
    disk.fail_at[op] = 0;
    if (op != OP_UNLINK)
        expect_no_temporary_files(&dir);
    stored got = read_all(store);
    sort_by_commit(&got);
    drop_repeats(&got, MW_SIGNAL_TRACES);
    drop_repeats(&got, MW_SIGNAL_METRICS);
    assert_rows(&got, &want);
    free(got.rows);
    mw_store_close(store);
    store = small_store(&dir);
    assert_int_equal(count_files(dir.store, ".tmp"), 0);
    assert_int_equal(mw_store_merge_all(store, 10 * MW_NS_PER_S), MW_OK);
    got = read_all(store);
    sort_by_commit(&got);
    assert_rows(&got, &want);
    assert_int_equal(stats_of(store).unmerged_bytes, 0);
    mw_store_close(store);
    assert_int_equal(mw_store_verify(dir.store, NULL, NULL, NULL), MW_OK);
    free(got.rows);
    free(want.rows);
    test_dir_fini(&dir);
    return reached;
}

static void test_each_call_fails(void **state)
{
    (void)state;
    mw_log_init(MW_LOG_ERROR + 1, MW_LOG_LOGFMT, 2); /* quiet */
    for (int op = 0; op < OP_COUNT; op++) {
        unsigned nth = 1;
        while (nth < 60 && run_with_failure(op, nth))
            nth++;
        assert_true(nth > 1 && nth < 60);
    }
    mw_log_init(MW_LOG_INFO, MW_LOG_LOGFMT, 2);
}

/* Without memory at some moment: the store stays as it was and can be merged later. */
static void run_without_memory(uint64_t nth)
{
    test_random random = {32};
    test_dir dir;
    test_dir_init(&dir);
    mw_store *store = small_store(&dir);
    append_random(store, &random, 12);
    stored want = read_all(store);
    drop_repeats(&want, MW_SIGNAL_TRACES);
    drop_repeats(&want, MW_SIGNAL_METRICS);
    mw_memory_fail_at(nth);
    mw_err err = mw_store_merge_all(store, 10 * MW_NS_PER_S);
    mw_memory_fail_at(0);
    assert_true(err == MW_OK || err == MW_E_NOMEM);
    expect_no_temporary_files(&dir);
    assert_int_equal(mw_store_merge_all(store, 10 * MW_NS_PER_S), MW_OK);
    stored got = read_all(store);
    sort_by_commit(&got);
    assert_rows(&got, &want);
    assert_int_equal(stats_of(store).unmerged_bytes, 0);
    free(got.rows);
    free(want.rows);
    mw_store_close(store);
    test_dir_fini(&dir);
}

static void test_no_memory(void **state)
{
    (void)state;
    mw_log_init(MW_LOG_ERROR + 1, MW_LOG_LOGFMT, 2);
    for (uint64_t nth = 1; nth < 3000; nth += 1 + nth / 12)
        run_without_memory(nth);
    mw_log_init(MW_LOG_INFO, MW_LOG_LOGFMT, 2);
}

/* ---- damage ---------------------------------------------------------------------------------- */

static void flip_byte(const char *path, off_t offset)
{
    int fd = open(path, O_RDWR);
    char byte;
    assert_true(fd >= 0);
    assert_int_equal(pread(fd, &byte, 1, offset), 1);
    byte = (char)(byte ^ 0x40);
    assert_int_equal(pwrite(fd, &byte, 1, offset), 1);
    close(fd);
}

/* A segment with damage stays as it is, the others are merged around it; its end is still known
 * when all that came after it was merged. */
static void test_damage_is_set_aside(void **state)
{
    test_dir dir;
    char path[160];
    (void)state;
    test_dir_init(&dir);
    mw_store *store = small_store(&dir);
    for (uint64_t i = 0; i < 300; i++)
        assert_int_equal(append_spans(store, i, i + 1, 2), MW_OK);
    size_t segments = stats_of(store).segments;
    assert_true(segments > 6);
    snprintf(path, sizeof path, "%s/%016x.seg", dir.store, 3);
    /* Inside the items of its first block. */
    const mw_index_block *block = NULL;
    for (size_t i = 0; i < store->index.block_count && !block; i++)
        if (store->index.table->blocks[i]->segment->header.id == 3)
            block = store->index.table->blocks[i];
    assert_non_null(block);
    flip_byte(path, (off_t)(block->offset + MW_BLOCK_HEADER_SIZE + block->header.hot_stored + 9));
    mw_log_init(MW_LOG_ERROR + 1, MW_LOG_LOGFMT, 2); /* quiet */
    assert_int_equal(mw_store_merge_all(store, 10 * MW_NS_PER_S), MW_OK);
    mw_store_stats stats = stats_of(store);
    assert_int_equal(stats.spans, 600);
    assert_int_equal(stats.merged_segments, 2);
    assert_int_equal(stats.segments, 4); /* the damaged one, and the writer's */
    assert_int_equal(stats.unmerged_bytes, 0);
    assert_int_equal(stats.merge_failures, 0);
    for (uint64_t start = 0; start < 3; start++) {
        mw_store_close(store);
        store = small_store(&dir);
        assert_int_equal(stats_of(store).spans, 600 + start);
        assert_int_equal(append_spans(store, 1000 + start, 1, 1), MW_OK);
        assert_int_equal(mw_store_merge_all(store, 10 * MW_NS_PER_S), MW_OK);
        assert_int_equal(stats_of(store).spans, 601 + start);
        assert_int_equal(stats_of(store).unmerged_bytes, 0);
    }
    mw_log_init(MW_LOG_INFO, MW_LOG_LOGFMT, 2);
    mw_store_close(store);
    test_dir_fini(&dir);
}

static int begin(void **state)
{
    (void)state;
    use_bad_disk();
    return 0;
}

static int end(void **state)
{
    (void)state;
    mw_io_use(NULL);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_one_merge),         cmocka_unit_test(test_many_merges),
        cmocka_unit_test(test_few_earlier_spans), cmocka_unit_test(test_long_rows),
        cmocka_unit_test(test_conflicts),         cmocka_unit_test(test_requests_stay_known),
        cmocka_unit_test(test_sequences_go_on),   cmocka_unit_test(test_each_call_fails),
        cmocka_unit_test(test_no_memory),         cmocka_unit_test(test_damage_is_set_aside),
    };
    return cmocka_run_group_tests(tests, begin, end);
}
