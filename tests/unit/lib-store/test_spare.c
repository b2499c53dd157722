/* A merged file of the log becomes the next segment's: it is used again once nobody reads it, what
 * it held is never seen there, and its end is told from a torn tail, by a start and by
 * verification. test_power_loss.c cuts the power at every point of this. */
#include <errno.h>
#include <fcntl.h>

#include "tests/unit/lib-store/quick_disk.h"
#include "tests/unit/lib-store/store_test.h"

#include "lib/base/log.h"
#include "lib/store/store_int.h"

enum { SEGMENT = 16 << 10, BATCHES = 12, SPANS = 60 };

typedef struct house {
    test_dir dir;
    mw_store *store;
    uint64_t appended; /* traces of SPANS spans, numbered from 0 */
} house;

static void house_init(house *all)
{
    memset(all, 0, sizeof *all);
    test_dir_init(&all->dir);
    all->store = open_with(all->dir.store, mw_clock_system(), MW_STORE_QUEUE_DEFAULT, SEGMENT);
}

static void house_fini(house *all)
{
    mw_store_close(all->store);
    test_dir_fini(&all->dir);
}

static void append(house *all, size_t batches)
{
    for (size_t i = 0; i < batches; i++, all->appended++)
        assert_int_equal(append_spans(all->store, all->appended, all->appended * SPANS + 1, SPANS),
                         MW_OK);
}

static void check_spans(mw_store *store, uint64_t appended)
{
    mw_store_stats stats;
    mw_store_stats_read(store, &stats);
    assert_int_equal(stats.spans, appended * SPANS);
    for (uint64_t i = 0; i < appended; i++)
        assert_int_equal(count_spans(store, i), SPANS);
}

static uint64_t file_size(const char *path)
{
    struct stat status;
    assert_int_equal(stat(path, &status), 0);
    return (uint64_t)status.st_size;
}

/* Fills a segment and more, and merges what was left. */
static void make_spare(house *all)
{
    append(all, BATCHES);
    assert_int_equal(mw_store_merge_all(all->store, 10 * MW_NS_PER_S), MW_OK);
}

/* Appends until the spare file is in use; then its segment holds one batch or a few. */
static void use_spare(house *all)
{
    make_spare(all);
    assert_int_equal(count_files(all->dir.store, MW_SPARE_SUFFIX), 1);
    for (int tries = 0; count_files(all->dir.store, MW_SPARE_SUFFIX) > 0; tries++) {
        assert_true(tries < 1000);
        append(all, 1);
    }
    append(all, 1); /* the segment may have been begun before there was a batch for it */
    const mw_segment *segment = all->store->writer.segment;
    assert_true(segment->end > MW_SEGMENT_HEADER_SIZE && segment->end < segment->size);
    assert_int_equal(file_size(segment->path), segment->size);
}

static void copy_file(const char *from, const char *to)
{
    char block[4096];
    int in = open(from, O_RDONLY | O_CLOEXEC);
    int out = open(to, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    assert_true(in >= 0 && out >= 0);
    for (ssize_t n; (n = read(in, block, sizeof block)) > 0;)
        assert_int_equal(write(out, block, (size_t)n), n);
    close(in);
    close(out);
}

/* The directory as kill -9 would leave it. */
static void copy_directory(const house *all, char to[128])
{
    char from[512], path[512];
    snprintf(to, 128, "%.90s-killed", all->dir.store);
    remove_tree(to);
    assert_int_equal(mkdir(to, 0700), 0);
    DIR *entries = opendir(all->dir.store);
    assert_non_null(entries);
    for (struct dirent *entry; (entry = readdir(entries)) != NULL;) {
        if (!strstr(entry->d_name, ".seg") && !strstr(entry->d_name, ".key") &&
            !strstr(entry->d_name, MW_SPARE_SUFFIX))
            continue;
        snprintf(from, sizeof from, "%s/%s", all->dir.store, entry->d_name);
        snprintf(path, sizeof path, "%s/%s", to, entry->d_name);
        copy_file(from, path);
    }
    closedir(entries);
}

typedef struct findings {
    size_t count;
    uint64_t offset;
    bool torn; /* the last one, which is no damage */
} findings;

static void note_finding(void *ctx, const mw_store_damage *damage)
{
    findings *found = ctx;
    found->count++;
    found->offset = damage->offset;
    found->torn = damage->note && strncmp(damage->what, "a torn tail", 11) == 0;
}

static findings verify(const char *directory)
{
    findings found = {0};
    mw_err err = mw_store_verify(directory, note_finding, &found, NULL);
    assert_int_equal(err, found.count && !found.torn ? MW_E_CORRUPT : MW_OK);
    return found;
}

static void check_killed(const house *all, uint64_t appended)
{
    char killed[128];
    copy_directory(all, killed);
    assert_int_equal(verify(killed).count, 0);
    mw_store *store = open_with(killed, mw_clock_system(), MW_STORE_QUEUE_DEFAULT, SEGMENT);
    assert_int_equal(count_files(killed, MW_SPARE_SUFFIX), 0);
    check_spans(store, appended);
    assert_int_equal(append_spans(store, 1u << 20, 1, SPANS), MW_OK);
    mw_store_close(store);
    assert_int_equal(verify(killed).count, 0);
}

/* ---- the tests ------------------------------------------------------------------------------- */

/* After each batch in the file that is used again, also over its old end. */
static void test_used_again(void **state)
{
    house all;
    (void)state;
    house_init(&all);
    use_spare(&all);
    uint64_t id = all.store->writer.segment->header.id;
    size_t killed = 0;
    for (; all.store->writer.segment->header.id == id; killed++) {
        check_spans(all.store, all.appended);
        check_killed(&all, all.appended);
        append(&all, 1);
    }
    assert_true(killed > 3);
    check_killed(&all, all.appended);
    assert_int_equal(mw_store_merge_all(all.store, 10 * MW_NS_PER_S), MW_OK);
    check_spans(all.store, all.appended);
    house_fini(&all);
}

/* A stop leaves neither a spare file nor old bytes behind the end. */
static void test_clean_stop(void **state)
{
    house all;
    char path[256];
    (void)state;
    house_init(&all);
    use_spare(&all);
    make_spare(&all);
    append(&all, 1);
    const mw_segment *segment = all.store->writer.segment;
    uint64_t end = segment->end;
    snprintf(path, sizeof path, "%s", segment->path);
    mw_store_close(all.store);
    assert_int_equal(file_size(path), end);
    assert_int_equal(count_files(all.dir.store, MW_SPARE_SUFFIX), 0);
    assert_int_equal(verify(all.dir.store).count, 0);
    all.store = open_with(all.dir.store, mw_clock_system(), MW_STORE_QUEUE_DEFAULT, SEGMENT);
    check_spans(all.store, all.appended);
    house_fini(&all);
}

/* What is old does not stay where nobody appends. */
static void test_nobody_appends(void **state)
{
    house all;
    (void)state;
    house_init(&all);
    use_spare(&all);
    atomic_store(&all.store->spare.keep_ns, 100 * MW_NS_PER_MS); /* seen with the next append */
    append(&all, 1);
    const mw_segment *segment = all.store->writer.segment;
    for (int tries = 0; file_size(segment->path) > segment->end; tries++) {
        assert_true(tries < 1000);
        usleep(10000);
    }
    append(&all, 1);
    check_killed(&all, all.appended);
    make_spare(&all);
    for (int tries = 0; count_files(all.dir.store, MW_SPARE_SUFFIX) > 0; tries++) {
        assert_true(tries < 1000);
        usleep(10000);
        mw_spare_expire(&all.store->spare);
    }
    append(&all, BATCHES);
    check_spans(all.store, all.appended);
    house_fini(&all);
}

/* Whoever has a view open reads what was there. */
static void test_not_while_it_is_read(void **state)
{
    house all;
    mw_store_view *view;
    mw_arena arena;
    (void)state;
    house_init(&all);
    append(&all, BATCHES);
    assert_int_equal(mw_store_view_open(all.store, &view), MW_OK);
    uint64_t seen = all.appended;
    assert_int_equal(mw_store_merge_all(all.store, 10 * MW_NS_PER_S), MW_OK);
    assert_int_equal(count_files(all.dir.store, MW_SPARE_SUFFIX), 1);
    append(&all, 3 * BATCHES);
    assert_int_equal(count_files(all.dir.store, MW_SPARE_SUFFIX), 1); /* still waits for the view */
    mw_arena_init(&arena, MW_MEM_QUERY, 0);
    for (uint64_t i = 0; i < seen; i++) {
        uint8_t id[MW_TRACE_ID_SIZE];
        mw_trace trace;
        trace_id_of(id, i);
        assert_int_equal(mw_store_trace_read(view, id, &arena, &trace), MW_OK);
        assert_int_equal(trace.span_count, SPANS);
    }
    mw_arena_reset(&arena);
    mw_store_view_close(view);
    for (int tries = 0; count_files(all.dir.store, MW_SPARE_SUFFIX) > 0; tries++) {
        assert_true(tries < 1000);
        append(&all, 1);
    }
    check_spans(all.store, all.appended);
    house_fini(&all);
}

/* Where the mark of the end is not whole, a write was cut off there, or a block is damaged. */
static void test_torn(void **state)
{
    house all;
    char killed[128], path[512];
    (void)state;
    house_init(&all);
    use_spare(&all);
    const mw_segment *segment = all.store->writer.segment;
    for (unsigned at = 0; at < MW_END_MARK_SIZE; at++) {
        copy_directory(&all, killed);
        snprintf(path, sizeof path, "%s/%s", killed, strrchr(segment->path, '/') + 1);
        int fd = open(path, O_WRONLY | O_CLOEXEC);
        assert_int_equal(pwrite(fd, "x", 1, (off_t)(segment->end + at)), 1);
        close(fd);
        findings found = verify(killed);
        assert_true(found.count == 1 && found.torn && found.offset == segment->end);
        mw_store *store = open_with(killed, mw_clock_system(), MW_STORE_QUEUE_DEFAULT, SEGMENT);
        check_spans(store, all.appended);
        mw_store_close(store);
    }
    house_fini(&all);
}

/* ---- disks that refuse ----------------------------------------------------------------------- */

static mw_io quick, broken;
static int fail_rename, fail_sync_names, fail_open, fail_sync;
static int renamed_away; /* the next sync of a directory is that of this */

static int rename_or_fail(const char *from, const char *to)
{
    if (fail_rename && strstr(to, MW_SPARE_SUFFIX)) {
        errno = EIO;
        return -1;
    }
    renamed_away = strstr(to, MW_SPARE_SUFFIX) != NULL;
    return quick.rename(from, to);
}

static int fsync_or_fail(int fd)
{
    if (fail_sync_names && renamed_away) {
        errno = EIO;
        return -1;
    }
    return quick.fsync(fd);
}

static int fdatasync_or_fail(int fd)
{
    if (fail_sync > 0 && --fail_sync == 0) {
        errno = EIO;
        return -1;
    }
    return quick.fdatasync(fd);
}

static int open_or_fail(const char *path, int flags, mode_t mode)
{
    if (fail_open && strstr(path, MW_SPARE_SUFFIX)) {
        errno = EIO;
        return -1;
    }
    return quick.open(path, flags, mode);
}

/* Then files are removed and made as without. */
static void test_refused(void **state)
{
    house all;
    (void)state;
    house_init(&all);
    quick = broken = *mw_io_current();
    broken.rename = rename_or_fail;
    broken.fsync = fsync_or_fail;
    broken.fdatasync = fdatasync_or_fail;
    broken.open = open_or_fail;
    mw_io_use(&broken);
    fail_rename = 1;
    make_spare(&all);
    assert_int_equal(count_files(all.dir.store, MW_SPARE_SUFFIX), 0);
    fail_rename = 0;
    fail_sync_names = 1;
    make_spare(&all);
    assert_int_equal(count_files(all.dir.store, MW_SPARE_SUFFIX), 0);
    fail_sync_names = 0;
    make_spare(&all);
    assert_int_equal(count_files(all.dir.store, MW_SPARE_SUFFIX), 1);
    fail_open = 1;
    append(&all, BATCHES);
    assert_int_equal(count_files(all.dir.store, MW_SPARE_SUFFIX), 0);
    fail_open = 0;
    check_spans(all.store, all.appended);
    mw_io_use(&quick);
    house_fini(&all);
}

/* A file in which a sync failed is not synced again, also under another name. */
static void test_failed_file(void **state)
{
    house all;
    (void)state;
    house_init(&all);
    quick = broken = *mw_io_current();
    broken.fdatasync = fdatasync_or_fail;
    mw_io_use(&broken);
    append(&all, BATCHES / 2);
    fail_sync = 1;
    assert_int_equal(append_spans(all.store, 1u << 20, 1, SPANS), MW_E_IO);
    append(&all, 1);
    assert_int_equal(mw_store_merge_all(all.store, 10 * MW_NS_PER_S), MW_OK);
    assert_int_equal(count_files(all.dir.store, MW_SPARE_SUFFIX), 0);
    check_spans(all.store, all.appended);
    mw_io_use(&quick);
    house_fini(&all);
}

/* Somebody's copy by a hard link, as of a nightly snapshot, stays what it was. */
static void test_hard_link(void **state)
{
    (void)state;
    house all;
    char spare[300] = "", copy[300], before[512], after[512];
    house_init(&all);
    make_spare(&all);
    DIR *entries = opendir(all.dir.store);
    assert_non_null(entries);
    for (struct dirent *entry; (entry = readdir(entries)) != NULL;)
        if (strstr(entry->d_name, MW_SPARE_SUFFIX))
            snprintf(spare, sizeof spare, "%.200s/%.40s", all.dir.store, entry->d_name);
    closedir(entries);
    assert_true(spare[0]);
    snprintf(copy, sizeof copy, "%.200s/copy", all.dir.root);
    assert_int_equal(link(spare, copy), 0);
    int fd = open(copy, O_RDONLY | O_CLOEXEC);
    assert_true(fd >= 0);
    assert_int_equal(pread(fd, before, sizeof before, 0), sizeof before);
    for (int tries = 0; access(spare, F_OK) == 0; tries++) {
        assert_true(tries < 1000);
        append(&all, 1);
    }
    append(&all, 2);
    assert_int_equal(pread(fd, after, sizeof after, 0), sizeof after);
    assert_memory_equal(before, after, sizeof before);
    close(fd);
    check_spans(all.store, all.appended);
    house_fini(&all);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_used_again),     cmocka_unit_test(test_clean_stop),
        cmocka_unit_test(test_nobody_appends), cmocka_unit_test(test_not_while_it_is_read),
        cmocka_unit_test(test_torn),           cmocka_unit_test(test_refused),
        cmocka_unit_test(test_failed_file),    cmocka_unit_test(test_hard_link),
    };
    mw_log_init(MW_LOG_ERROR, MW_LOG_LOGFMT, open("/dev/null", O_WRONLY));
    return cmocka_run_group_tests(tests, quick_disk_begin, quick_disk_end);
}
