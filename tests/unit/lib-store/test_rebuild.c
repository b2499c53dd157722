/* Rebuilding: after kills at every step of a merge, and after damage to every part of a footer, the
 * store answers as before. */
#include <errno.h>
#include <fcntl.h>
#include <sqlite3.h>
#include <sys/stat.h>

#include "lib/base/log.h"
#include "lib/store/merge/catalogue.h"
#include "lib/store/segment/segment_walk.h"
#include "tests/unit/lib-store/ask_all.h"
#include "tests/unit/lib-store/quick_disk.h"

#define MERGE_TIME (60 * MW_NS_PER_S)
/* Where the disk is gone a merge is tried again until the time is up. */
#define FROZEN_TIME (100 * MW_NS_PER_MS)

/* ---- answers --------------------------------------------------------------------------------- */

static void assert_answers(const char *directory, const char *expected)
{
    char *now = ask_directory(directory);
    assert_string_equal(now, expected);
    free(now);
}

/* ---- reports --------------------------------------------------------------------------------- */

typedef struct reports {
    char text[8192];
    size_t len;
    int count;
} reports;

static void note(void *ctx, const mw_store_damage *what)
{
    reports *all = ctx;
    all->count += !what->note;
    all->len += (size_t)snprintf(all->text + all->len, sizeof all->text - all->len, "%s@%llu: %s\n",
                                 what->file, (unsigned long long)what->offset, what->what);
    assert_true(all->len < sizeof all->text);
}

static mw_err rebuild(const char *directory, reports *done)
{
    mw_detail detail = {.message = ""};
    memset(done, 0, sizeof *done);
    return mw_store_rebuild(directory, note, done, &detail);
}

static mw_err verify(const char *directory, reports *found)
{
    memset(found, 0, sizeof *found);
    return mw_store_verify(directory, note, found, NULL);
}

static mw_err verify_catalogue(const char *directory, reports *found)
{
    memset(found, 0, sizeof *found);
    return mw_store_verify_catalogue(directory, note, found);
}

/* ---- directories ----------------------------------------------------------------------------- */

static void copy_directory(const char *from, const char *to)
{
    char command[512];
    remove_tree(to);
    snprintf(command, sizeof command, "cp -a '%s' '%s'", from, to);
    assert_int_equal(system(command), 0);
}

/* The only merged segment there is. */
static void find_merged(const char *directory, mw_segment_files *files, mw_segment_file **out)
{
    *out = NULL;
    assert_int_equal(mw_segment_files_load(directory, files), MW_OK);
    for (size_t i = 0; i < files->count; i++)
        if (files->items[i].header.kind == MW_SEGMENT_MERGED) {
            assert_null(*out);
            *out = &files->items[i];
        }
    assert_non_null(*out);
}

static void flip_byte(const char *path, uint64_t at)
{
    unsigned char byte;
    int fd = open(path, O_RDWR);
    assert_true(fd >= 0);
    assert_int_equal(pread(fd, &byte, 1, (off_t)at), 1);
    byte ^= 0x5a;
    assert_int_equal(pwrite(fd, &byte, 1, (off_t)at), 1);
    close(fd);
}

/* A store that was merged and closed, and what it answers; the caller frees that. */
static char *make_merged(const test_dir *dir, uint64_t commits)
{
    mw_store *store = open_store(dir->store);
    fill(store, 1, 1 + commits);
    char *before = ask_all(store);
    assert_int_equal(mw_store_merge_all(store, MERGE_TIME), MW_OK);
    char *after = ask_all(store);
    assert_string_equal(after, before);
    mw_store_close(store);
    free(after);
    return before;
}

/* ---- whole stores ---------------------------------------------------------------------------- */

static void test_nothing_to_do(void **state)
{
    (void)state;
    test_dir dir;
    reports done;
    test_dir_init(&dir);
    assert_int_equal(rebuild(dir.store, &done), MW_E_NOT_FOUND);
    mw_store *store = open_store(dir.store);
    assert_int_equal(rebuild(dir.store, &done), MW_E_CONFLICT);
    mw_store_close(store);
    assert_int_equal(rebuild(dir.store, &done), MW_OK);
    assert_int_equal(done.count, 1); /* the catalogue */
    char *answer = make_merged(&dir, 5);
    assert_int_equal(verify(dir.store, &done), MW_OK);
    assert_int_equal(verify_catalogue(dir.store, &done), MW_OK);
    assert_int_equal(rebuild(dir.store, &done), MW_OK);
    assert_int_equal(done.count, 1);
    assert_non_null(strstr(done.text, "1 merged segments"));
    assert_int_equal(verify_catalogue(dir.store, &done), MW_OK);
    assert_answers(dir.store, answer);
    assert_int_equal(mw_store_rebuild(dir.store, NULL, NULL, NULL), MW_OK);
    free(answer);
    test_dir_fini(&dir);
}

static void test_replaced_segments_go(void **state)
{
    (void)state;
    test_dir dir;
    reports done;
    char copy[96], command[512];
    test_dir_init(&dir);
    mw_store *store = open_store(dir.store);
    fill(store, 1, 6);
    mw_store_close(store);
    snprintf(copy, sizeof copy, "%s/copy", dir.root);
    copy_directory(dir.store, copy);
    store = open_store(dir.store);
    char *answer = ask_all(store);
    assert_int_equal(mw_store_merge_all(store, MERGE_TIME), MW_OK);
    mw_store_close(store);
    /* A kill before they were removed: they are there again. */
    snprintf(command, sizeof command, "cp '%s'/*.seg '%s'/", copy, dir.store);
    assert_int_equal(system(command), 0);
    snprintf(command, sizeof command, "%s/00000000000000ff.tmp", dir.store);
    close(open(command, O_WRONLY | O_CREAT, 0600));
    assert_int_equal(rebuild(dir.store, &done), MW_OK);
    assert_non_null(strstr(done.text, "0000000000000001.seg@0: removed"));
    assert_int_equal(access(command, F_OK), -1);
    mw_segment_files files;
    assert_int_equal(mw_segment_files_load(dir.store, &files), MW_OK);
    for (size_t i = 0; i < files.count; i++)
        assert_false(files.items[i].superseded);
    mw_segment_files_fini(&files);
    assert_answers(dir.store, answer);
    free(answer);
    test_dir_fini(&dir);
}

/* ---- damaged footers ------------------------------------------------------------------------- */

typedef struct place {
    char name[64];
    uint64_t at;
} place;

/* A byte in the middle of each section that has any, and of the trailer. */
static size_t damage_places(const mw_segment_file *file, place *out)
{
    mw_footer *footer;
    mw_index_block **blocks;
    size_t block_count, count = 0;
    assert_int_equal(
        mw_footer_load(file->fd, file->size, &file->header, &footer, &blocks, &block_count), MW_OK);
    for (unsigned i = 0; i < MW_FOOTER_SECTIONS; i++) {
        const mw_footer_section *section = &footer->sections[i];
        if (section->length == 0)
            continue;
        snprintf(out[count].name, sizeof out[count].name, "%s", mw_footer_section_name(i));
        out[count++].at = section->offset + section->length / 2;
    }
    snprintf(out[count].name, sizeof out[count].name, "footer");
    out[count++].at = file->size - 8;
    mw_footer_free(footer);
    for (size_t i = 0; i < block_count; i++)
        mw_free(MW_MEM_STORE, blocks[i]);
    mw_free(MW_MEM_STORE, blocks);
    return count;
}

static void test_damaged_sections(void **state)
{
    (void)state;
    test_dir dir;
    reports found;
    char copy[96];
    place places[MW_FOOTER_SECTIONS + 1];
    mw_segment_files files;
    mw_segment_file *merged;
    test_dir_init(&dir);
    char *answer = make_merged(&dir, 12);
    snprintf(copy, sizeof copy, "%s/copy", dir.root);
    copy_directory(dir.store, copy);
    find_merged(dir.store, &files, &merged);
    size_t count = damage_places(merged, places);
    assert_true(count >= 12); /* all but the requests', if those are too old */
    for (size_t i = 0; i < count; i++) {
        copy_directory(copy, dir.store);
        flip_byte(merged->path, places[i].at);
        assert_int_equal(verify(dir.store, &found), MW_E_CORRUPT);
        if (!strstr(found.text, places[i].name) && !strstr(found.text, "the footer"))
            fail_msg("%s is not named: %s", places[i].name, found.text);
        assert_int_equal(rebuild(dir.store, &found), MW_OK);
        if (!strstr(found.text, "a new footer"))
            fail_msg("%s is not mended: %s", places[i].name, found.text);
        assert_null(strstr(found.text, "not known any more"));
        assert_int_equal(verify(dir.store, &found), MW_OK);
        assert_int_equal(verify_catalogue(dir.store, &found), MW_OK);
        assert_answers(dir.store, answer);
    }
    mw_segment_files_fini(&files);
    free(answer);
    test_dir_fini(&dir);
}

/* Also the latest arrival, of which the blocks know nothing, is that of before while there is a
 * catalogue that says it. */
static void test_arrival_is_kept(void **state)
{
    (void)state;
    for (int with_catalogue = 0; with_catalogue < 2; with_catalogue++) {
        test_dir dir;
        reports done;
        mw_segment_files files;
        mw_segment_file *merged;
        mw_segment *before, *after;
        char path[128];
        test_dir_init(&dir);
        free(make_merged(&dir, 4));
        find_merged(dir.store, &files, &merged);
        assert_int_equal(mw_segment_open_merged(merged->path, dup(merged->fd), &merged->header,
                                                merged->size, &before),
                         MW_OK);
        if (!with_catalogue)
            mw_catalogue_discard(dir.store);
        snprintf(path, sizeof path, "%s", merged->path);
        flip_byte(path, merged->size - 8);
        assert_int_equal(rebuild(dir.store, &done), MW_OK);
        mw_segment_files_fini(&files);
        find_merged(dir.store, &files, &merged);
        assert_int_equal(mw_segment_open_merged(merged->path, dup(merged->fd), &merged->header,
                                                merged->size, &after),
                         MW_OK);
        assert_int_equal(after->footer->arrival_max_ns, with_catalogue
                                                            ? before->footer->arrival_max_ns
                                                            : before->header.created_ns);
        assert_int_equal(after->footer->last_seq, before->footer->last_seq);
        assert_int_equal(after->footer->replaced.count, before->footer->replaced.count);
        assert_int_equal(after->footer->replaced.end_count, before->footer->replaced.end_count);
        mw_segment_unref(before);
        mw_segment_unref(after);
        mw_segment_files_fini(&files);
        test_dir_fini(&dir);
    }
}

/* Both lists of what was replaced are gone, or blocks themselves: what is lost is told. */
static void test_what_cannot_be_mended(void **state)
{
    (void)state;
    test_dir dir;
    reports done;
    mw_segment_files files;
    mw_segment_file *merged;
    mw_walk walk;
    place places[MW_FOOTER_SECTIONS + 1];
    test_dir_init(&dir);
    char *answer = make_merged(&dir, 6);
    find_merged(dir.store, &files, &merged);
    size_t count = damage_places(merged, places);
    for (size_t i = 0; i < count; i++)
        if (strstr(places[i].name, "replaced"))
            flip_byte(merged->path, places[i].at);
    assert_int_equal(rebuild(dir.store, &done), MW_OK);
    assert_non_null(strstr(done.text, "not known any more"));
    assert_int_equal(verify(dir.store, &done), MW_OK);
    assert_answers(dir.store, answer);
    mw_segment_files_fini(&files);
    find_merged(dir.store, &files, &merged);
    /* The items of a block: the block stays listed, its damage stays told. */
    assert_int_equal(mw_segment_walk(merged, &walk), MW_OK);
    assert_true(walk.block_count >= 3);
    uint64_t at = walk.blocks[0].offset + MW_BLOCK_HEADER_SIZE + walk.blocks[0].header.hot_stored;
    mw_walk_fini(&walk);
    flip_byte(merged->path, at + 3);
    flip_byte(merged->path, merged->size - 8);
    assert_int_equal(rebuild(dir.store, &done), MW_OK);
    assert_non_null(strstr(done.text, "1 of its blocks are damaged"));
    assert_int_equal(verify(dir.store, &done), MW_E_CORRUPT);
    assert_int_equal(done.count, 1);
    assert_non_null(strstr(done.text, "the items of a block"));
    mw_store *store = open_store(dir.store);
    mw_store_stats stats;
    mw_store_stats_read(store, &stats);
    assert_int_equal(stats.spans, 12);
    mw_store_close(store);
    mw_segment_files_fini(&files);
    free(answer);
    test_dir_fini(&dir);
}

/* ---- kills ----------------------------------------------------------------------------------- */

/* From the n-th call on nothing reaches the disk any more, and the program finds out. */
static mw_io quick, frozen;
static int calls_left;

static bool is_frozen(void)
{
    if (calls_left > 0)
        calls_left--;
    errno = EIO;
    return calls_left == 0;
}

static int frozen_open(const char *path, int flags, mode_t mode)
{
    return is_frozen() ? -1 : quick.open(path, flags, mode);
}

/* Half of what is written when it happens. */
static ssize_t frozen_pwritev(int fd, const struct iovec *iov, int count, off_t offset)
{
    bool was_frozen = calls_left == 0;
    if (!is_frozen())
        return quick.pwritev(fd, iov, count, offset);
    struct iovec half = {iov[0].iov_base, iov[0].iov_len / 2};
    if (!was_frozen && quick.pwritev(fd, &half, 1, offset) < 0)
        fail_msg("half a write failed");
    errno = EIO;
    return -1;
}

static int frozen_fdatasync(int fd)
{
    return is_frozen() ? -1 : quick.fdatasync(fd);
}

static int frozen_fsync(int fd)
{
    return is_frozen() ? -1 : quick.fsync(fd);
}

static int frozen_ftruncate(int fd, off_t length)
{
    return is_frozen() ? -1 : quick.ftruncate(fd, length);
}

static int frozen_rename(const char *from, const char *to)
{
    return is_frozen() ? -1 : quick.rename(from, to);
}

static int frozen_unlink(const char *path)
{
    return is_frozen() ? -1 : quick.unlink(path);
}

static void freeze_after(int calls)
{
    quick = *mw_io_current();
    frozen = (mw_io){frozen_open,      frozen_pwritev, frozen_fdatasync, frozen_fsync,
                     frozen_ftruncate, frozen_rename,  frozen_unlink};
    calls_left = calls;
    mw_io_use(&frozen);
}

/* True when it had happened. */
static bool thaw(void)
{
    mw_io_use(NULL);
    quick_disk_begin(NULL);
    return calls_left == 0;
}

/* Two merges, so that one replaces what the other made. */
static void test_kill_in_every_step_of_a_merge(void **state)
{
    (void)state;
    test_dir dir;
    reports done;
    char copy[96];
    test_dir_init(&dir);
    free(make_merged(&dir, 4));
    mw_store *store = open_store(dir.store);
    fill(store, 5, 9);
    char *answer = ask_all(store);
    mw_store_close(store);
    snprintf(copy, sizeof copy, "%s/copy", dir.root);
    copy_directory(dir.store, copy);
    bool happened = true;
    int calls = 0;
    for (calls = 1; happened; calls++) {
        assert_true(calls < 1000);
        copy_directory(copy, dir.store);
        store = open_store(dir.store);
        freeze_after(calls);
        mw_err err = mw_store_merge_all(store, FROZEN_TIME);
        mw_store_close(store);
        happened = thaw();
        assert_true(happened || err == MW_OK);
        assert_int_equal(rebuild(dir.store, &done), MW_OK);
        assert_int_equal(verify_catalogue(dir.store, &done), MW_OK);
        if (calls % 3 == 0 || !happened)
            assert_answers(dir.store, answer);
        mw_store_verified whole;
        assert_int_equal(mw_store_verify(dir.store, NULL, NULL, &whole), MW_OK);
        assert_int_equal(whole.spans, 16);
        assert_int_equal(whole.logs, 16);
        assert_int_equal(whole.points, 16);
    }
    assert_true(calls > 8);
    free(answer);
    test_dir_fini(&dir);
}

static void test_kill_in_every_step_of_a_rebuild(void **state)
{
    (void)state;
    test_dir dir;
    reports done;
    char copy[96];
    mw_segment_files files;
    mw_segment_file *merged;
    test_dir_init(&dir);
    char *answer = make_merged(&dir, 6);
    find_merged(dir.store, &files, &merged);
    flip_byte(merged->path, merged->size - 8);
    mw_segment_files_fini(&files);
    snprintf(copy, sizeof copy, "%s/copy", dir.root);
    copy_directory(dir.store, copy);
    bool happened = true;
    int calls;
    for (calls = 1; happened; calls++) {
        assert_true(calls < 1000);
        copy_directory(copy, dir.store);
        freeze_after(calls);
        mw_err err = rebuild(dir.store, &done);
        happened = thaw();
        assert_true(happened || err == MW_OK);
        assert_answers(dir.store, answer); /* a start takes it as it is */
        assert_int_equal(rebuild(dir.store, &done), MW_OK);
        assert_int_equal(verify(dir.store, &done), MW_OK);
        assert_answers(dir.store, answer);
    }
    assert_true(calls > 6);
    free(answer);
    test_dir_fini(&dir);
}

static void test_rebuild_without_memory(void **state)
{
    (void)state;
    test_dir dir;
    reports done;
    char copy[96];
    mw_segment_files files;
    mw_segment_file *merged;
    size_t used = mw_memory_used();
    test_dir_init(&dir);
    char *answer = make_merged(&dir, 3);
    find_merged(dir.store, &files, &merged);
    flip_byte(merged->path, merged->size - 8);
    mw_segment_files_fini(&files);
    snprintf(copy, sizeof copy, "%s/copy", dir.root);
    copy_directory(dir.store, copy);
    mw_err err = MW_E_NOMEM;
    uint64_t n;
    for (n = 1; err == MW_E_NOMEM; n += 1 + n / 16) {
        copy_directory(copy, dir.store);
        mw_memory_fail_at(n);
        err = rebuild(dir.store, &done);
        mw_memory_fail_at(0);
        assert_true(err == MW_E_NOMEM || err == MW_OK);
        assert_int_equal(mw_memory_used(), used);
    }
    assert_true(n > 10);
    assert_answers(dir.store, answer);
    free(answer);
    test_dir_fini(&dir);
}

/* ---- the catalogue --------------------------------------------------------------------------- */

static void test_catalogue_tells_what_vanished(void **state)
{
    (void)state;
    test_dir dir;
    reports found;
    mw_segment_files files;
    mw_segment_file *merged;
    test_dir_init(&dir);
    assert_int_equal(verify_catalogue(dir.store, &found), MW_E_NOT_FOUND);
    free(make_merged(&dir, 4));
    assert_int_equal(verify_catalogue(dir.store, &found), MW_OK);
    find_merged(dir.store, &files, &merged);
    assert_int_equal(truncate(merged->path, (off_t)merged->size - 100), 0);
    assert_int_equal(verify_catalogue(dir.store, &found), MW_E_CORRUPT);
    assert_non_null(strstr(found.text, "that the catalogue says"));
    assert_int_equal(unlink(merged->path), 0);
    assert_int_equal(verify(dir.store, &found), MW_OK); /* what is not there is not damaged */
    assert_int_equal(verify_catalogue(dir.store, &found), MW_E_CORRUPT);
    assert_int_equal(found.count, 1);
    assert_non_null(strstr(found.text, "8 spans, 8 logs and 8 points are lost"));
    mw_segment_files_fini(&files);
    /* A start takes note, which stays; a rebuild says it for the last time. */
    for (int starts = 0; starts < 2; starts++) {
        mw_store_close(open_store(dir.store));
        assert_int_equal(verify_catalogue(dir.store, &found), MW_E_CORRUPT);
        assert_int_equal(found.count, 1);
        assert_non_null(strstr(found.text, "8 spans, 8 logs and 8 points are lost"));
    }
    assert_int_equal(rebuild(dir.store, &found), MW_OK);
    assert_non_null(strstr(found.text, "accepted as gone: commits 1 to "));
    assert_int_equal(verify_catalogue(dir.store, &found), MW_OK);
    char path[128];
    snprintf(path, sizeof path, "%s/%s", dir.store, MW_CATALOGUE_NAME);
    flip_byte(path, 20);
    assert_int_equal(verify_catalogue(dir.store, &found), MW_E_CORRUPT);
    assert_non_null(strstr(found.text, "no item is lost by that"));
    assert_int_equal(rebuild(dir.store, &found), MW_OK);
    assert_int_equal(verify_catalogue(dir.store, &found), MW_OK);
    test_dir_fini(&dir);
}

static mw_err count_row(void *ctx, const mw_catalogue_segment *row)
{
    (void)row;
    ++*(int *)ctx;
    return MW_OK;
}

static int count_rows(const char *directory)
{
    mw_catalogue *catalogue;
    int rows = 0;
    assert_int_equal(mw_catalogue_open_reader(directory, &catalogue), MW_OK);
    assert_int_equal(mw_catalogue_each(catalogue, count_row, &rows), MW_OK);
    mw_catalogue_close(catalogue);
    return rows;
}

/* While somebody reads it, merging goes on; the rows come when he has gone. */
static void test_catalogue_catches_up(void **state)
{
    (void)state;
    test_dir dir;
    sqlite3 *db;
    char path[128];
    test_dir_init(&dir);
    mw_store_config config = {.directory = dir.store,
                              .clock = mw_clock_system(),
                              .queue_budget_bytes = MW_STORE_QUEUE_DEFAULT,
                              .segment_max_bytes = MW_STORE_SEGMENT_DEFAULT,
                              .merge = true};
    mw_store *store;
    assert_int_equal(mw_store_open(&config, &store, NULL), MW_OK);
    snprintf(path, sizeof path, "%s/%s", dir.store, MW_CATALOGUE_NAME);
    assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
    assert_int_equal(sqlite3_exec(db, "BEGIN; SELECT * FROM segment", NULL, NULL, NULL), SQLITE_OK);
    fill(store, 1, 4);
    assert_int_equal(mw_store_merge_all(store, MERGE_TIME), MW_OK);
    assert_int_equal(count_rows(dir.store), 0);
    sqlite3_close(db);
    for (int tries = 0; tries < 1000 && count_rows(dir.store) == 0; tries++)
        usleep(10000);
    assert_int_equal(count_rows(dir.store), 1);
    mw_store_close(store);
    test_dir_fini(&dir);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_nothing_to_do),
        cmocka_unit_test(test_replaced_segments_go),
        cmocka_unit_test(test_damaged_sections),
        cmocka_unit_test(test_arrival_is_kept),
        cmocka_unit_test(test_what_cannot_be_mended),
        cmocka_unit_test(test_kill_in_every_step_of_a_merge),
        cmocka_unit_test(test_kill_in_every_step_of_a_rebuild),
        cmocka_unit_test(test_rebuild_without_memory),
        cmocka_unit_test(test_catalogue_tells_what_vanished),
        cmocka_unit_test(test_catalogue_catches_up),
    };
    mw_log_init(MW_LOG_ERROR, MW_LOG_LOGFMT, open("/dev/null", O_WRONLY));
    return cmocka_run_group_tests(tests, quick_disk_begin, quick_disk_end);
}
