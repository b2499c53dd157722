/* Promise 1 under failing disks.
 *
 * What was acknowledged is found again, a file that failed is never written or synced again, power
 * loss at any byte loses nothing acknowledged, damage is reported.
 */
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>

#include "tests/unit/lib-store/store_test.h"

#include "lib/base/log.h"
#include "lib/store/segment/segment_walk.h"

/* ---- a disk that fails ----------------------------------------------------------------------- */

enum { OP_OPEN, OP_PWRITEV, OP_FDATASYNC, OP_FSYNC, OP_RENAME, OP_COUNT };

/* Written by the test while the writer is idle (nothing queued), read by the writer: the queue's
 * lock orders the two. */
static struct {
    unsigned calls[OP_COUNT];
    unsigned fail_from[OP_COUNT], fail_until[OP_COUNT]; /* call numbers, 0 = never */
    int error;
    bool partial;     /* a failing write leaves half of its bytes behind */
    ino_t failed[64]; /* files that must not be touched any more */
    size_t failed_count;
    bool touched_again;
    bool unsynced_data, unsynced_name; /* written or renamed, and not synced since */
    unsigned early;                    /* acknowledged in that state */
} disk;

static void disk_reset(void)
{
    memset(&disk, 0, sizeof disk);
    disk.error = EIO;
}

static bool fails(int op)
{
    unsigned call = ++disk.calls[op];
    if (disk.fail_from[op] == 0 || call < disk.fail_from[op] || call > disk.fail_until[op])
        return false;
    errno = disk.error;
    return true;
}

static ino_t inode(int fd)
{
    struct stat status;
    return fstat(fd, &status) == 0 ? status.st_ino : 0;
}

static void watch(int fd)
{
    for (size_t i = 0; i < disk.failed_count; i++)
        if (disk.failed[i] == inode(fd))
            disk.touched_again = true;
}

static void mark_failed(int fd)
{
    if (disk.failed_count < 64)
        disk.failed[disk.failed_count++] = inode(fd);
}

/* The catalogue is derived: a start does without. */
static int bad_open(const char *path, int flags, mode_t mode)
{
    if (strstr(path, "catalogue"))
        return mw_io_system()->open(path, flags, mode);
    return fails(OP_OPEN) ? -1 : mw_io_system()->open(path, flags, mode);
}

static ssize_t bad_pwritev(int fd, const struct iovec *iov, int count, off_t offset)
{
    watch(fd);
    disk.unsynced_data = true;
    if (!fails(OP_PWRITEV))
        return mw_io_system()->pwritev(fd, iov, count, offset);
    if (disk.partial) {
        struct iovec half = {iov[0].iov_base, iov[0].iov_len / 2};
        ssize_t ignored = mw_io_system()->pwritev(fd, &half, 1, offset);
        (void)ignored;
    }
    mark_failed(fd);
    errno = disk.error;
    return -1;
}

static int bad_fdatasync(int fd)
{
    watch(fd);
    if (!fails(OP_FDATASYNC)) {
        disk.unsynced_data = false;
        return 0;
    }
    mark_failed(fd);
    errno = disk.error;
    return -1;
}

static int bad_fsync(int fd)
{
    (void)fd;
    if (fails(OP_FSYNC))
        return -1;
    disk.unsynced_name = false;
    return 0;
}

static int bad_rename(const char *from, const char *to)
{
    if (fails(OP_RENAME))
        return -1;
    disk.unsynced_name = true;
    return mw_io_system()->rename(from, to);
}

/* Removing a name frees its inode for the next file. */
static int bad_unlink(const char *path)
{
    struct stat status;
    if (stat(path, &status) == 0)
        for (size_t i = 0; i < disk.failed_count; i++)
            if (disk.failed[i] == status.st_ino)
                disk.failed[i] = 0;
    return mw_io_system()->unlink(path);
}

static int no_sync(int fd)
{
    (void)fd;
    return 0;
}

/* A sync of the machine's own disk proves nothing here, since no power is lost, and hundreds of
 * them take a minute: both disks go without. */
static void use_good_disk(void)
{
    static mw_io io;
    io = *mw_io_system();
    io.fdatasync = io.fsync = no_sync;
    mw_io_use(&io);
}

static void use_bad_disk(void)
{
    static mw_io io;
    disk_reset();
    io = *mw_io_system();
    io.open = bad_open;
    io.pwritev = bad_pwritev;
    io.fdatasync = bad_fdatasync;
    io.fsync = bad_fsync;
    io.rename = bad_rename;
    io.unlink = bad_unlink;
    mw_io_use(&io);
}

/* ---- the n-th call fails --------------------------------------------------------------------- */

enum { ROUNDS = 14, SPANS = 3 };

static void check_acknowledged(mw_store *store, const bool *acknowledged)
{
    for (uint64_t i = 0; i < ROUNDS; i++) {
        size_t found = count_spans(store, i);
        if (acknowledged[i])
            assert_int_equal(found, SPANS);
        else
            assert_true(found == 0 || found == SPANS); /* never half of a batch */
    }
}

/* Appends ROUNDS batches while the n-th call of `op` fails; time passes between them. */
static void run_with_failure(int op, unsigned nth, unsigned times, int error, bool partial)
{
    test_dir dir;
    mw_fake_clock clock;
    bool acknowledged[ROUNDS] = {false};
    unsigned refused = 0;

    test_dir_init(&dir);
    mw_fake_clock_init(&clock, 1000);
    mw_store_close(open_store(dir.store)); /* the directory and its key are there already */
    use_bad_disk();
    /* Small segments: creations fail too. */
    mw_store *store = open_with(dir.store, &clock.clock, MW_STORE_QUEUE_DEFAULT, 2048);
    memset(disk.calls, 0, sizeof disk.calls);
    disk.fail_from[op] = nth;
    disk.fail_until[op] = nth + times - 1;
    disk.error = error;
    disk.partial = partial;
    for (uint64_t i = 0; i < ROUNDS; i++) {
        mw_store_stats stats;
        mw_err err = append_spans(store, i, i * 10 + 1, SPANS);
        acknowledged[i] = err == MW_OK;
        mw_store_stats_read(store, &stats);
        assert_int_equal(stats.writable, err == MW_OK);
        assert_int_equal(stats.last_error, err);
        if (err != MW_OK) {
            refused++;
            assert_int_equal(err, error == ENOSPC && op != OP_FSYNC ? MW_E_NO_SPACE : MW_E_IO);
            assert_int_equal(count_spans(store, i), 0); /* no query sees an unsynced block */
        }
        mw_fake_clock_advance(&clock, 2 * MW_NS_PER_S);
    }
    bool hit = disk.calls[op] >= nth;
    assert_int_equal(refused > 0, hit);
    assert_true(!hit || acknowledged[ROUNDS - 1] || nth + times > disk.calls[op]);
    check_acknowledged(store, acknowledged);
    mw_store_close(store);
    assert_false(disk.touched_again);
    use_good_disk();
    store = open_store(dir.store);
    check_acknowledged(store, acknowledged);
    assert_int_equal(append_spans(store, 99, 1, 2), MW_OK);
    mw_store_close(store);
    store = open_store(dir.store);
    check_acknowledged(store, acknowledged);
    assert_int_equal(count_spans(store, 99), 2);
    mw_store_close(store);
    assert_int_equal(mw_store_verify(dir.store, NULL, NULL, NULL), MW_OK);
    test_dir_fini(&dir);
}

static void test_each_call_fails(void **state)
{
    (void)state;
    for (int op = 0; op < OP_COUNT; op++) {
        for (unsigned nth = 1; nth <= 12; nth++) {
            run_with_failure(op, nth, 1, EIO, false);
            run_with_failure(op, nth, 3, ENOSPC, true);
        }
    }
}

/* On the writer's thread, which did the writing. */
static void check_synced(void *ctx, mw_err err, uint64_t seq)
{
    disk.early += err == MW_OK && (disk.unsynced_data || disk.unsynced_name);
    ticket_done(ctx, err, seq);
}

/* The answer follows the sync of the data, and of the name of the file that holds it. */
static void test_answer_follows_sync(void **state)
{
    test_dir dir;
    (void)state;
    test_dir_init(&dir);
    use_bad_disk();
    mw_store *store = open_with(dir.store, mw_clock_system(), MW_STORE_QUEUE_DEFAULT, 2048);
    for (uint64_t i = 1; i <= 20; i++) {
        test_batch batch;
        test_ticket ticket;
        unsigned syncs = disk.calls[OP_FDATASYNC];
        test_batch_init(&batch, 2);
        test_span(&batch, 0, i, 1, 0);
        test_span(&batch, 1, i, 2, 1);
        ticket_init(&ticket);
        assert_int_equal(mw_store_append(store, &batch.batch, check_synced, &ticket), MW_OK);
        assert_int_equal(ticket_wait(&ticket, NULL), MW_OK);
        assert_true(disk.calls[OP_FDATASYNC] > syncs);
        assert_int_equal(disk.early, 0);
        test_batch_fini(&batch);
    }
    mw_store_close(store);
    use_good_disk();
    test_dir_fini(&dir);
}

/* While the disk refuses, appends are refused at once and the disk is tried once a second. */
static void test_retry_once_a_second(void **state)
{
    test_dir dir;
    mw_fake_clock clock;
    (void)state;
    test_dir_init(&dir);
    mw_fake_clock_init(&clock, 1000);
    use_bad_disk();
    mw_store *store =
        open_with(dir.store, &clock.clock, MW_STORE_QUEUE_DEFAULT, MW_STORE_SEGMENT_DEFAULT);
    assert_int_equal(append_spans(store, 1, 1, 1), MW_OK);
    disk.error = ENOSPC;
    disk.fail_from[OP_PWRITEV] = disk.calls[OP_PWRITEV] + 1;
    disk.fail_until[OP_PWRITEV] = UINT32_MAX;
    assert_int_equal(append_spans(store, 2, 1, 1), MW_E_NO_SPACE);
    unsigned opens = disk.calls[OP_OPEN], writes = disk.calls[OP_PWRITEV];
    for (int i = 0; i < 5; i++)
        assert_int_equal(append_spans(store, 2, 1, 1), MW_E_NO_SPACE);
    assert_int_equal(disk.calls[OP_OPEN], opens);
    assert_int_equal(disk.calls[OP_PWRITEV], writes);
    for (unsigned i = 1; i <= 3; i++) {
        mw_fake_clock_advance(&clock, MW_NS_PER_S);
        for (int again = 0; again < 3; again++)
            assert_int_equal(append_spans(store, 2, 1, 1), MW_E_NO_SPACE);
        assert_int_equal(disk.calls[OP_OPEN], opens + i);
    }
    disk.fail_from[OP_PWRITEV] = 0;
    mw_fake_clock_advance(&clock, MW_NS_PER_S);
    assert_int_equal(append_spans(store, 2, 1, 1), MW_OK);
    mw_store_stats stats;
    mw_store_stats_read(store, &stats);
    assert_true(stats.writable);
    assert_int_equal(stats.segments, 2); /* attempts leave nothing behind */
    assert_int_equal(count_spans(store, 1), 1);
    assert_int_equal(count_spans(store, 2), 1);
    mw_store_close(store);
    use_good_disk();
    test_dir_fini(&dir);
}

/* ---- power loss ------------------------------------------------------------------------------ */

static char *read_file(const char *path, size_t *size)
{
    char *data = NULL;
    assert_int_equal(mw_io_read_file(path, 1 << 24, &data, size), MW_OK);
    return data;
}

static void write_file(const char *path, const char *data, size_t size)
{
    FILE *file = fopen(path, "wb");
    assert_non_null(file);
    assert_int_equal(fwrite(data, 1, size, file), size);
    fclose(file);
}

/* Makes dir.store with `whole` as segment 1 and nothing else. */
static void lay_out_one(test_dir *dir, const char *data, size_t size)
{
    char path[160];
    remove_tree(dir->store);
    mkdir(dir->store, 0700);
    snprintf(path, sizeof path, "%s/%016x.seg", dir->store, 1);
    write_file(path, data, size);
}

typedef struct crash_image {
    char *data;
    size_t size, synced; /* what had been acknowledged lies below `synced` */
} crash_image;

/* Traces 1 and 2 acknowledged; 3 and 4 written in further groups whose sync never happened. */
static void make_image(crash_image *image, bool acknowledge_all)
{
    test_dir dir;
    char path[160];
    struct stat status;

    test_dir_init(&dir);
    use_bad_disk();
    mw_store *store = open_store(dir.store);
    assert_int_equal(append_spans(store, 1, 1, SPANS), MW_OK);
    assert_int_equal(append_spans(store, 2, 10, SPANS), MW_OK);
    snprintf(path, sizeof path, "%s/%016x.seg", dir.store, 1);
    stat(path, &status);
    image->synced = (size_t)status.st_size;
    if (!acknowledge_all) {
        disk.fail_from[OP_FDATASYNC] = disk.calls[OP_FDATASYNC] + 1;
        disk.fail_until[OP_FDATASYNC] = UINT32_MAX;
    }
    append_spans(store, 3, 20, SPANS);
    image->data = read_file(path, &image->size);
    assert_true(image->size > image->synced);
    mw_store_close(store);
    use_good_disk();
    test_dir_fini(&dir);
}

static void check_after_loss(test_dir *dir, bool whole)
{
    mw_store_stats stats;
    mw_store *store = open_store(dir->store);
    assert_int_equal(count_spans(store, 1), SPANS);
    assert_int_equal(count_spans(store, 2), SPANS);
    size_t third = count_spans(store, 3);
    assert_int_equal(third, whole ? SPANS : 0);
    mw_store_stats_read(store, &stats);
    assert_int_equal(stats.spans, 2 * SPANS + third); /* nothing twice */
    mw_store_close(store);
}

static void test_power_loss_at_every_byte(void **state)
{
    crash_image image;
    test_dir dir;
    (void)state;
    make_image(&image, false);
    test_dir_init(&dir);
    for (size_t size = image.synced; size <= image.size; size++) {
        bool whole = size == image.size;
        lay_out_one(&dir, image.data, size);
        check_after_loss(&dir, whole);
        check_after_loss(&dir, whole);
        if (size % 16 != 0 && !whole)
            continue;
        /* Life goes on, and the old tail stays dead. */
        mw_store *store = open_store(dir.store);
        assert_int_equal(append_spans(store, 5, 50, SPANS), MW_OK);
        mw_store_close(store);
        store = open_store(dir.store);
        assert_int_equal(count_spans(store, 5), SPANS);
        assert_int_equal(count_spans(store, 2), SPANS);
        assert_int_equal(count_spans(store, 3), whole ? SPANS : 0);
        mw_store_close(store);
        assert_int_equal(mw_store_verify(dir.store, NULL, NULL, NULL), MW_OK);
    }
    mw_free(MW_MEM_BASE, image.data);
    test_dir_fini(&dir);
}

/* Un-synced pages may be lost in any order: a hole of zeros anywhere behind the sync. */
static void test_lost_pages(void **state)
{
    crash_image image;
    test_dir dir;
    (void)state;
    make_image(&image, false);
    test_dir_init(&dir);
    for (size_t at = image.synced; at < image.size; at += 8) {
        char *copy = malloc(image.size);
        size_t hole = image.size - at < 64 ? image.size - at : 64;
        memcpy(copy, image.data, image.size);
        memset(copy + at, 0, hole);
        bool whole = memcmp(copy, image.data, image.size) == 0;
        lay_out_one(&dir, copy, image.size);
        check_after_loss(&dir, whole);
        free(copy);
    }
    mw_free(MW_MEM_BASE, image.data);
    test_dir_fini(&dir);
}

/* Holds the writer inside a completion, so that what is appended meanwhile becomes one group. */
typedef struct gate {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    bool entered, open;
} gate;

static void wait_at_gate(void *ctx, mw_err err, uint64_t seq)
{
    gate *self = ctx;
    (void)err, (void)seq;
    pthread_mutex_lock(&self->lock);
    self->entered = true;
    pthread_cond_broadcast(&self->changed);
    while (!self->open)
        pthread_cond_wait(&self->changed, &self->lock);
    pthread_mutex_unlock(&self->lock);
}

static void append_without_waiting(mw_store *store, uint64_t trace, mw_store_done done, void *ctx)
{
    test_batch batch;
    test_batch_init(&batch, SPANS);
    for (size_t i = 0; i < SPANS; i++)
        test_span(&batch, i, trace, 10 * trace + i, 0);
    assert_int_equal(mw_store_append(store, &batch.batch, done, ctx), MW_OK);
    test_batch_fini(&batch);
}

/* Two blocks in one group; the first did not reach the disk, the second did. That is a torn tail
 * and no damage, and a block behind it does not count. */
static void test_lost_block_of_a_group(void **state)
{
    test_dir dir;
    gate self = {PTHREAD_MUTEX_INITIALIZER, PTHREAD_COND_INITIALIZER, false, false};
    char path[160];
    size_t size, after_first;
    struct stat status;
    mw_store_stats stats;
    (void)state;
    test_dir_init(&dir);
    use_bad_disk();
    mw_store *store = open_store(dir.store);
    append_without_waiting(store, 1, wait_at_gate, &self);
    pthread_mutex_lock(&self.lock);
    while (!self.entered)
        pthread_cond_wait(&self.changed, &self.lock);
    pthread_mutex_unlock(&self.lock);
    snprintf(path, sizeof path, "%s/%016x.seg", dir.store, 1);
    stat(path, &status);
    after_first = (size_t)status.st_size;
    append_without_waiting(store, 2, NULL, NULL);
    append_without_waiting(store, 3, NULL, NULL);
    pthread_mutex_lock(&self.lock);
    self.open = true;
    pthread_cond_broadcast(&self.changed);
    pthread_mutex_unlock(&self.lock);
    mw_store_close(store);
    use_good_disk();
    char *data = read_file(path, &size);
    memset(data + after_first, 0, MW_BLOCK_HEADER_SIZE);
    lay_out_one(&dir, data, size);
    store = open_store(dir.store);
    assert_int_equal(count_spans(store, 1), SPANS);
    assert_int_equal(count_spans(store, 2), 0);
    assert_int_equal(count_spans(store, 3), 0);
    mw_store_stats_read(store, &stats);
    assert_int_equal(stats.spans, SPANS);
    assert_int_equal(append_spans(store, 4, 1, SPANS), MW_OK);
    mw_store_close(store);
    assert_int_equal(mw_store_verify(dir.store, NULL, NULL, NULL), MW_OK);
    mw_free(MW_MEM_BASE, data);
    test_dir_fini(&dir);
}

/* A crash while recovery carries the tail over: whichever call fails, the next start finds all. */
static void test_crash_during_recovery(void **state)
{
    crash_image image;
    test_dir dir;
    (void)state;
    make_image(&image, true);
    test_dir_init(&dir);
    for (int op = 0; op < OP_COUNT; op++) {
        mw_store *store = NULL;
        mw_detail detail = {0};
        lay_out_one(&dir, image.data, image.size);
        use_bad_disk();
        disk.fail_from[op] = 1;
        disk.fail_until[op] = UINT32_MAX;
        mw_store_config config = {.directory = dir.store,
                                  .clock = mw_clock_system(),
                                  .queue_budget_bytes = MW_STORE_QUEUE_DEFAULT,
                                  .segment_max_bytes = MW_STORE_SEGMENT_DEFAULT};
        assert_int_equal(mw_store_open(&config, &store, &detail), MW_E_IO);
        assert_true(detail.message[0] != '\0');
        use_good_disk();
        check_after_loss(&dir, true);
    }
    mw_free(MW_MEM_BASE, image.data);
    test_dir_fini(&dir);
}

/* ---- damage ---------------------------------------------------------------------------------- */

static void count_report(void *ctx, const mw_store_damage *damage)
{
    assert_non_null(damage->file);
    assert_non_null(damage->what);
    ++*(int *)ctx;
}

/* Every byte of a store of two segments, one bit each: verification reports it, and a start either
 * refuses or shows the rest. */
static void test_bit_flips(void **state)
{
    test_dir dir;
    char paths[2][160];
    (void)state;
    test_dir_init(&dir);
    mw_store *store = open_with(dir.store, mw_clock_system(), MW_STORE_QUEUE_DEFAULT, 700);
    for (uint64_t i = 1; i <= 3; i++)
        assert_int_equal(append_spans(store, i, 10 * i, SPANS), MW_OK);
    mw_store_close(store);
    for (int file = 0; file < 2; file++) {
        size_t size;
        snprintf(paths[file], sizeof paths[file], "%s/%016x.seg", dir.store, file + 1);
        char *data = read_file(paths[file], &size);
        for (size_t at = 0; at < size; at++) {
            int reports = 0;
            data[at] ^= (char)(1 << at % 8);
            write_file(paths[file], data, size);
            assert_int_equal(mw_store_verify(dir.store, count_report, &reports, NULL),
                             MW_E_CORRUPT);
            assert_true(reports > 0);
            data[at] ^= (char)(1 << at % 8);
        }
        write_file(paths[file], data, size);
        assert_int_equal(mw_store_verify(dir.store, NULL, NULL, NULL), MW_OK);
        mw_free(MW_MEM_BASE, data);
    }
    test_dir_fini(&dir);
}

/* Of three batches, one a signal: how many can be read? What meets damage is asked again. */
static unsigned readable_batches(mw_store *store)
{
    mw_store_page page = {.limit = 10};
    mw_log_query logs = {.severity_min = 0};
    mw_metric_query points = {.service = MW_SLICE_NONE};
    mw_trace_list traces = {.count = 0};
    mw_log_list records = {.count = 0};
    mw_metric_list metrics = {.count = 0};
    mw_store_view *view;
    mw_arena arena;
    mw_arena_init(&arena, MW_MEM_QUERY, 0);
    assert_int_equal(mw_store_view_open(store, &view), MW_OK);
    mw_err err[3];
    do {
        err[0] = mw_store_trace_list(view, &page, &arena, &traces);
        err[1] = mw_store_log_list(view, &page, &logs, &arena, &records);
        err[2] = mw_store_metric_list(view, &page, &points, &arena, &metrics);
    } while (mw_store_view_tolerate(view));
    for (int i = 0; i < 3; i++)
        assert_true(err[i] == MW_OK || err[i] == MW_E_CORRUPT);
    unsigned whole = 0;
    whole += err[0] == MW_OK && traces.count == 1 && traces.items[0].spans == SPANS;
    whole += err[1] == MW_OK && records.count == SPANS;
    whole += err[2] == MW_OK && metrics.count == 1 && metrics.items[0].points == SPANS;
    mw_store_view_close(view);
    mw_arena_reset(&arena);
    return whole;
}

static void append_one_of_each(mw_store *store)
{
    for (int signal = MW_SIGNAL_TRACES; signal < MW_SIGNAL_END; signal++) {
        test_batch batch;
        test_batch_init_of(&batch, (mw_signal)signal, SPANS);
        for (size_t i = 0; i < SPANS; i++) {
            if (signal == MW_SIGNAL_TRACES)
                test_span(&batch, i, 1, i + 1, 0);
            else if (signal == MW_SIGNAL_METRICS)
                test_point(&batch, i, 1, i);
            else
                test_log(&batch, i, 0, i);
        }
        assert_int_equal(append_wait(store, &batch.batch, NULL), MW_OK);
        test_batch_fini(&batch);
    }
}

/* The same for a merged segment, a block a signal and a footer: verification names every byte, a
 * start refuses a broken header alone, and a flip costs the items of one block at the most, or the
 * answers that need the footer where it is broken. */
static void test_bit_flips_of_merged(void **state)
{
    test_dir dir;
    mw_segment_files files;
    char path[160];
    size_t size;
    unsigned lost[4] = {0};
    (void)state;
    test_dir_init(&dir);
    mw_store *store = open_store(dir.store);
    append_one_of_each(store);
    assert_int_equal(mw_store_merge_all(store, 30 * MW_NS_PER_S), MW_OK);
    assert_int_equal(readable_batches(store), 3);
    mw_store_close(store);
    assert_int_equal(mw_segment_files_load(dir.store, &files), MW_OK);
    for (size_t i = 0; i < files.count; i++)
        if (files.items[i].header.kind == MW_SEGMENT_MERGED)
            snprintf(path, sizeof path, "%s", files.items[i].path);
    mw_segment_files_fini(&files);
    char *data = read_file(path, &size);
    for (size_t at = 0; at < size; at++) {
        int reports = 0;
        data[at] ^= (char)(1 << at % 8);
        write_file(path, data, size);
        assert_int_equal(mw_store_verify(dir.store, count_report, &reports, NULL), MW_E_CORRUPT);
        assert_true(reports > 0);
        if (at >= MW_SEGMENT_HEADER_SIZE && at % 3 == 0) {
            store = open_store(dir.store);
            lost[3 - readable_batches(store)]++;
            mw_store_close(store);
        }
        data[at] ^= (char)(1 << at % 8);
    }
    print_message("merged, %zu bytes: a flip costs nothing %u times, one batch %u, more %u\n", size,
                  lost[0], lost[1], lost[2] + lost[3]);
    assert_int_equal(lost[2] + lost[3], 0);
    assert_true(lost[1] > 0);
    mw_free(MW_MEM_BASE, data);
    test_dir_fini(&dir);
}

/* A damaged block in the middle costs its own spans and nobody else's, also in the newest file. */
static void test_damage_in_the_middle(void **state)
{
    crash_image image;
    test_dir dir;
    (void)state;
    make_image(&image, true);
    test_dir_init(&dir);
    for (size_t at = MW_SEGMENT_HEADER_SIZE; at < MW_SEGMENT_HEADER_SIZE + 200; at++) {
        lay_out_one(&dir, image.data, image.size);
        char path[160];
        snprintf(path, sizeof path, "%s/%016x.seg", dir.store, 1);
        char *copy = malloc(image.size);
        memcpy(copy, image.data, image.size);
        copy[at] = (char)(copy[at] ^ 0x10);
        write_file(path, copy, image.size);
        mw_store *store = open_store(dir.store);
        assert_int_equal(count_spans(store, 2), SPANS);
        assert_int_equal(count_spans(store, 3), SPANS);
        mw_store_close(store);
        assert_int_equal(mw_store_verify(dir.store, NULL, NULL, NULL), MW_E_CORRUPT);
        free(copy);
    }
    mw_free(MW_MEM_BASE, image.data);
    test_dir_fini(&dir);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_each_call_fails),
        cmocka_unit_test(test_answer_follows_sync),
        cmocka_unit_test(test_retry_once_a_second),
        cmocka_unit_test(test_power_loss_at_every_byte),
        cmocka_unit_test(test_lost_pages),
        cmocka_unit_test(test_lost_block_of_a_group),
        cmocka_unit_test(test_crash_during_recovery),
        cmocka_unit_test(test_bit_flips),
        cmocka_unit_test(test_bit_flips_of_merged),
        cmocka_unit_test(test_damage_in_the_middle),
    };
    /* Hundreds of provoked failures would drown the output. */
    mw_log_init(MW_LOG_ERROR, MW_LOG_LOGFMT, open("/dev/null", O_WRONLY));
    use_good_disk();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
