/* Files that somebody took away or put there: a segment of the log that is gone, and a copy of one
 * under another name, are told, and change nothing of what else is stored.
 */
#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>

#include "lib/base/counter.h"
#include "lib/base/log.h"
#include "lib/store/merge/catalogue.h"
#include "lib/store/segment/segment_walk.h"
#include "tests/unit/lib-store/quick_disk.h"
#include "tests/unit/lib-store/store_test.h"

/* Two appends of PER_APPEND spans to a segment. */
enum { SEGMENT = 2048, APPENDS = 9, PER_APPEND = 20 };
#define MERGE_TIME (60 * MW_NS_PER_S)

typedef struct reports {
    char text[16384];
    size_t len;
    int count; /* of damage */
    int notes;
} reports;

static void note(void *ctx, const mw_store_damage *what)
{
    reports *all = ctx;
    all->count += !what->note;
    all->notes += what->note;
    all->len += (size_t)snprintf(all->text + all->len, sizeof all->text - all->len, "%s: %s\n",
                                 what->file, what->what);
    assert_true(all->len < sizeof all->text);
}

/* As `midwatch check`. */
static int check(const char *directory, reports *found)
{
    memset(found, 0, sizeof *found);
    mw_err blocks = mw_store_verify(directory, note, found, NULL);
    mw_err rows = mw_store_verify_catalogue(directory, note, found);
    assert_true(blocks == MW_OK || blocks == MW_E_CORRUPT);
    assert_true(rows == MW_OK || rows == MW_E_CORRUPT || rows == MW_E_NOT_FOUND);
    assert_int_equal(found->count > 0, blocks == MW_E_CORRUPT || rows == MW_E_CORRUPT);
    return found->count;
}

/* Traces 1 to APPENDS of PER_APPEND spans, a commit each. */
static void append_all(mw_store *store)
{
    for (uint64_t i = 1; i <= APPENDS; i++)
        assert_int_equal(append_spans(store, i, i * 1000, PER_APPEND), MW_OK);
}

static mw_store *open_small(const char *directory)
{
    return open_with(directory, mw_clock_system(), MW_STORE_QUEUE_DEFAULT, SEGMENT);
}

static uint64_t spans_of(mw_store *store)
{
    mw_store_stats stats;
    mw_store_stats_read(store, &stats);
    return stats.spans;
}

/* What a process that is killed now would leave. */
static void copy_directory(const char *from, const char *to)
{
    char command[512];
    remove_tree(to);
    snprintf(command, sizeof command, "cp -a '%s' '%s'", from, to);
    assert_int_equal(system(command), 0);
}

/* Takes the file of that number in the order of ids away; its first commit and how many it has. */
static void remove_log(const char *directory, size_t number, uint64_t *first_seq, size_t *commits)
{
    mw_segment_files files;
    mw_walk walk;
    assert_int_equal(mw_segment_files_load(directory, &files), MW_OK);
    assert_true(number < files.count);
    assert_int_equal(files.items[number].header.kind, MW_SEGMENT_LOG);
    assert_int_equal(mw_segment_walk(&files.items[number], &walk), MW_OK);
    *first_seq = walk.block_count ? walk.blocks[0].header.seq : 0;
    *commits = walk.block_count;
    mw_walk_fini(&walk);
    assert_int_equal(unlink(files.items[number].path), 0);
    mw_segment_files_fini(&files);
}

static size_t count_files(const char *directory, const char *part)
{
    size_t count = 0;
    DIR *entries = opendir(directory);
    assert_non_null(entries);
    for (struct dirent *entry; (entry = readdir(entries)) != NULL;)
        count += strstr(entry->d_name, part) != NULL;
    closedir(entries);
    return count;
}

/* ---- gone ------------------------------------------------------------------------------------ */

static void assert_told(const char *directory, size_t number)
{
    reports found;
    uint64_t first, before = mw_counter_value(MW_COUNT_STORE_DAMAGED);
    size_t commits;
    char wanted[96];
    assert_int_equal(check(directory, &found), 0);
    remove_log(directory, number, &first, &commits);
    assert_true(commits > 0);
    assert_int_equal(check(directory, &found), 1);
    snprintf(wanted, sizeof wanted, "commits %llu to %llu at least, %zu spans",
             (unsigned long long)first, (unsigned long long)(first + commits - 1),
             commits * PER_APPEND);
    if (!strstr(found.text, wanted))
        fail_msg("%s is not in %s", wanted, found.text);
    /* The start goes on without it, and says so. */
    mw_store *store = open_small(directory);
    assert_int_equal(mw_counter_value(MW_COUNT_STORE_DAMAGED) - before, 1);
    assert_int_equal(spans_of(store), (APPENDS - commits) * PER_APPEND);
    assert_int_equal(append_spans(store, 77, 1, 1), MW_OK);
    mw_store_close(store);
    assert_int_equal(mw_counter_value(MW_COUNT_STORE_DAMAGED) - before, 1);
    assert_int_equal(check(directory, &found), 0);
}

/* The oldest, one in the middle, the newest, of a store that was closed. */
static void test_log_segment_gone(void **state)
{
    (void)state;
    test_dir dir;
    char copy[128];
    test_dir_init(&dir);
    mw_store *store = open_small(dir.store);
    append_all(store);
    mw_store_close(store);
    size_t files = count_files(dir.store, ".seg");
    assert_true(files >= 4);
    snprintf(copy, sizeof copy, "%s/copy", dir.root);
    for (size_t number = 0; number < files; number++) {
        copy_directory(dir.store, copy);
        assert_told(copy, number);
    }
    test_dir_fini(&dir);
}

/* The keeper notes each segment when it has its first commits, so that a killed process is told of,
 * too. */
static void test_gone_after_kill(void **state)
{
    (void)state;
    test_dir dir;
    reports found;
    uint64_t first;
    size_t commits;
    char copy[128];
    test_dir_init(&dir);
    mw_store_config config = {.directory = dir.store,
                              .clock = mw_clock_system(),
                              .queue_budget_bytes = MW_STORE_QUEUE_DEFAULT,
                              .segment_max_bytes = MW_STORE_SEGMENT_DEFAULT,
                              .merge_after_ns = 3600 * MW_NS_PER_S,
                              .merge = true};
    mw_store *store;
    assert_int_equal(mw_store_open(&config, &store, NULL), MW_OK);
    assert_int_equal(append_spans(store, 1, 1, 5), MW_OK);
    snprintf(copy, sizeof copy, "%s/copy", dir.root);
    bool told = false;
    for (int tries = 0; tries < 100 && !told; tries++) {
        usleep(20000);
        copy_directory(dir.store, copy);
        remove_log(copy, 0, &first, &commits);
        assert_int_equal(commits, 1);
        /* A copy of a database that is written to may be torn. */
        told = check(copy, &found) == 1 && strstr(found.text, "commits 1 to 1 at least, 5 spans");
    }
    assert_true(told);
    mw_store_close(store);
    test_dir_fini(&dir);
}

/* What was merged, retired, or never held anything, is nobody's loss. */
static void test_gone_by_itself(void **state)
{
    (void)state;
    test_dir dir;
    reports found;
    uint64_t first, before = mw_counter_value(MW_COUNT_STORE_DAMAGED);
    size_t commits;
    test_dir_init(&dir);
    mw_store *store = open_small(dir.store);
    append_all(store);
    mw_store_close(store);
    store = open_small(dir.store); /* rows of all of the log are there now */
    assert_int_equal(mw_store_merge_all(store, MERGE_TIME), MW_OK);
    assert_int_equal(append_spans(store, 1, 1000, PER_APPEND), MW_OK);
    /* All of it was stored before: nothing is left of the segment. */
    assert_int_equal(mw_store_merge_all(store, MERGE_TIME), MW_OK);
    mw_store_close(store);
    assert_int_equal(check(dir.store, &found), 0);
    size_t files = count_files(dir.store, ".seg");
    assert_int_equal(files, 2); /* the merged one, and the newest of the log, which is empty */
    remove_log(dir.store, 1, &first, &commits);
    assert_int_equal(commits, 0);
    assert_int_equal(check(dir.store, &found), 0);
    mw_store_config config = {.directory = dir.store,
                              .clock = mw_clock_system(),
                              .queue_budget_bytes = MW_STORE_QUEUE_DEFAULT,
                              .segment_max_bytes = SEGMENT,
                              .retention_bytes = 1};
    assert_int_equal(mw_store_open(&config, &store, NULL), MW_OK);
    append_all(store);
    assert_int_equal(mw_store_merge_all(store, MERGE_TIME), MW_OK);
    mw_store_close(store);
    assert_int_equal(check(dir.store, &found), 0);
    mw_store_close(open_small(dir.store));
    assert_int_equal(mw_counter_value(MW_COUNT_STORE_DAMAGED) - before, 0);
    test_dir_fini(&dir);
}

static void write_at(const char *path, off_t at, const char *text)
{
    int fd = open(path, O_WRONLY);
    assert_true(fd >= 0);
    assert_int_equal(pwrite(fd, text, strlen(text), at), strlen(text));
    close(fd);
}

/* Cut short: what was acknowledged is told apart from a torn tail. */
static void test_log_segment_cut(void **state)
{
    (void)state;
    test_dir dir;
    reports found;
    mw_segment_files files;
    test_dir_init(&dir);
    mw_store *store = open_small(dir.store);
    append_all(store);
    mw_store_close(store);
    assert_int_equal(mw_segment_files_load(dir.store, &files), MW_OK);
    const mw_segment_file *last = &files.items[files.count - 1];
    assert_int_equal(truncate(last->path, (off_t)last->size + 4096), 0);
    assert_int_equal(check(dir.store, &found), 0); /* zeros are the end */
    write_at(last->path, (off_t)last->size, "torn");
    assert_int_equal(check(dir.store, &found), 1);
    assert_non_null(strstr(found.text, "a torn tail"));
    assert_int_equal(truncate(last->path, (off_t)last->size - 1), 0);
    assert_int_equal(check(dir.store, &found), 2);
    assert_non_null(strstr(found.text, "bytes that were acknowledged: commits up to 9 were in it"));
    mw_segment_files_fini(&files);
    test_dir_fini(&dir);
}

/* ---- copies ---------------------------------------------------------------------------------- */

/* The name of a segment: of that number in the order of ids, or of an id. */
static void path_of(const char *directory, uint64_t id, char out[160])
{
    snprintf(out, 160, "%s/%016llx.seg", directory, (unsigned long long)id);
}

static void copy_file(const char *from, const char *to)
{
    char command[400];
    snprintf(command, sizeof command, "cp '%s' '%s'", from, to);
    assert_int_equal(system(command), 0);
}

/* Nothing that is stored changes, whatever name the copy was given. */
static void assert_copy_is_harmless(const char *directory, uint64_t id, uint64_t as)
{
    reports found;
    char from[160], to[160], wanted[64];
    path_of(directory, id, from);
    path_of(directory, as, to);
    copy_file(from, to);
    assert_int_equal(check(directory, &found), 1);
    snprintf(wanted, sizeof wanted, "a copy of segment %016llx", (unsigned long long)id);
    assert_non_null(strstr(found.text, wanted));
    assert_non_null(strstr(found.text, to));
    mw_store *store = open_small(directory);
    assert_int_equal(spans_of(store), APPENDS * PER_APPEND);
    for (uint64_t i = 1; i <= APPENDS; i++)
        assert_int_equal(count_spans(store, i), PER_APPEND);
    /* It is kept, and not in the way of what is to come. */
    assert_int_equal(access(to, F_OK), -1);
    assert_int_equal(count_files(directory, ".aside-"), 1);
    assert_int_equal(append_spans(store, 77, 1, 1), MW_OK);
    assert_int_equal(mw_store_merge_all(store, MERGE_TIME), MW_OK);
    assert_int_equal(spans_of(store), APPENDS * PER_APPEND + 1);
    mw_store_close(store);
    assert_int_equal(check(directory, &found), 0);
}

static void test_copies(void **state)
{
    (void)state;
    test_dir dir;
    char copy[128];
    test_dir_init(&dir);
    mw_store *store = open_small(dir.store);
    append_all(store);
    mw_store_close(store);
    size_t files = count_files(dir.store, ".seg");
    snprintf(copy, sizeof copy, "%s/copy", dir.root);
    for (uint64_t id = 1; id <= files; id++) {
        copy_directory(dir.store, copy);
        assert_copy_is_harmless(copy, id, 99);
        copy_directory(dir.store, copy);
        assert_copy_is_harmless(copy, id, UINT64_MAX);
    }
    /* Of a merged one, also under the name of one that it replaced. */
    store = open_small(dir.store);
    assert_int_equal(mw_store_merge_all(store, MERGE_TIME), MW_OK);
    mw_store_close(store);
    mw_segment_files left;
    assert_int_equal(mw_segment_files_load(dir.store, &left), MW_OK);
    for (size_t i = 0; i < left.count; i++) {
        copy_directory(dir.store, copy);
        assert_copy_is_harmless(copy, left.items[i].id, 1);
        copy_directory(dir.store, copy);
        assert_copy_is_harmless(copy, left.items[i].id, 99);
    }
    mw_segment_files_fini(&left);
    test_dir_fini(&dir);
}

/* The only copy, under another name: it is told as gone and as a copy, and back under its own name
 * it is read. */
static void test_renamed(void **state)
{
    (void)state;
    test_dir dir;
    reports found;
    char own[160], other[160], copy[128];
    test_dir_init(&dir);
    mw_store *store = open_small(dir.store);
    append_all(store);
    mw_store_close(store);
    uint64_t last = count_files(dir.store, ".seg");
    path_of(dir.store, last, own);
    path_of(dir.store, 3, other);
    assert_int_equal(unlink(other), 0);
    assert_int_equal(rename(own, other), 0);
    assert_int_equal(check(dir.store, &found), 3); /* the copy, and two that are gone */
    /* A start neither needs it nor gives its id and sequences away. */
    snprintf(copy, sizeof copy, "%s/copy", dir.root);
    copy_directory(dir.store, copy);
    store = open_small(copy);
    uint64_t seq;
    test_batch batch;
    test_batch_init(&batch, 1);
    test_span(&batch, 0, 77, 1, 0);
    assert_int_equal(append_wait(store, &batch.batch, &seq), MW_OK);
    test_batch_fini(&batch);
    assert_int_equal(seq, APPENDS + 1);
    assert_true(store->writer.segment->header.id > last);
    assert_int_equal(count_spans(store, APPENDS), 0);
    mw_store_close(store);
    /* Its own name gives it back. */
    assert_int_equal(rename(other, own), 0);
    assert_int_equal(check(dir.store, &found), 1);
    store = open_small(dir.store);
    assert_int_equal(count_spans(store, APPENDS), PER_APPEND);
    mw_store_close(store);
    assert_int_equal(check(dir.store, &found), 0);
    test_dir_fini(&dir);
}

/* A rebuild leaves copies alone; one that cannot be renamed is passed over all the same. */
static int no_aside(const char *from, const char *to)
{
    return strstr(to, ".aside") ? -1 : mw_io_system()->rename(from, to);
}

static void test_copy_stays(void **state)
{
    (void)state;
    test_dir dir;
    reports found;
    char from[160], to[160];
    mw_io io = *mw_io_current();
    const mw_io *before = mw_io_current();
    mw_detail detail = {.message = ""};
    test_dir_init(&dir);
    mw_store *store = open_small(dir.store);
    append_all(store);
    mw_store_close(store);
    path_of(dir.store, 1, from);
    path_of(dir.store, 0x99, to);
    copy_file(from, to);
    memset(&found, 0, sizeof found);
    assert_int_equal(mw_store_rebuild(dir.store, note, &found, &detail), MW_OK);
    assert_non_null(strstr(found.text, "left alone: a copy of another segment"));
    io.rename = no_aside;
    mw_io_use(&io);
    store = open_small(dir.store);
    mw_io_use(before);
    assert_int_equal(spans_of(store), APPENDS * PER_APPEND);
    assert_true(store->writer.next_segment_id > 0x99);
    mw_store_close(store);
    assert_int_equal(access(to, F_OK), 0);
    test_dir_fini(&dir);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_log_segment_gone), cmocka_unit_test(test_gone_after_kill),
        cmocka_unit_test(test_gone_by_itself),   cmocka_unit_test(test_log_segment_cut),
        cmocka_unit_test(test_copies),           cmocka_unit_test(test_renamed),
        cmocka_unit_test(test_copy_stays),
    };
    mw_log_init(MW_LOG_ERROR, MW_LOG_LOGFMT, STDERR_FILENO);
    return cmocka_run_group_tests(tests, quick_disk_begin, quick_disk_end);
}
