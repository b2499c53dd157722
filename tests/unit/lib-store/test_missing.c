/* Files that somebody took away or put there: a segment of the log that is gone, and a copy of one
 * under another name, are told, and change nothing of what else is stored.
 */
#include "tests/unit/lib-store/missing.h"

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
    /* And it is not forgotten by that, nor told as new by the next. */
    mw_store_close(open_small(directory));
    assert_int_equal(mw_counter_value(MW_COUNT_STORE_DAMAGED) - before, 1);
    assert_int_equal(check(directory, &found), 1);
    assert_non_null(strstr(found.text, wanted));
    assert_non_null(strstr(found.text, "a start noticed at 20"));
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
    assert_int_equal(found.notes, 0);
    write_at(last->path, (off_t)last->size, "torn");
    assert_int_equal(check(dir.store, &found), 0);
    assert_int_equal(found.notes, 1);
    assert_non_null(strstr(found.text, "a torn tail"));
    assert_int_equal(truncate(last->path, (off_t)last->size - 1), 0);
    assert_int_equal(check(dir.store, &found), 2);
    assert_non_null(strstr(found.text, "the items in it are lost"));
    assert_non_null(strstr(found.text, "bytes that were acknowledged: commits up to 9 were in it"));
    mw_segment_files_fini(&files);
    test_dir_fini(&dir);
}

/* ---- copies ---------------------------------------------------------------------------------- */

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
    assert_int_equal(found.notes, 1);
    assert_non_null(strstr(found.text, "set aside by a start"));
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

/* The only copy, under another name, over another segment: the next start gives it its own again,
 * and what it was put over is gone. */
static void test_renamed(void **state)
{
    (void)state;
    test_dir dir;
    reports found;
    char own[160], other[160];
    uint64_t seq;
    test_batch batch;
    test_dir_init(&dir);
    mw_store *store = open_small(dir.store);
    append_all(store);
    mw_store_close(store);
    uint64_t last = count_files(dir.store, ".seg");
    path_of(dir.store, last, own);
    path_of(dir.store, 3, other);
    assert_int_equal(rename(own, other), 0);
    assert_int_equal(check(dir.store, &found), 2); /* the name, and the one beneath it */
    assert_non_null(strstr(found.text, "the next start gives it its own name again"));
    store = open_small(dir.store);
    assert_int_equal(count_spans(store, APPENDS), PER_APPEND);
    assert_int_equal(access(own, F_OK), 0);
    assert_int_equal(access(other, F_OK), -1);
    assert_int_equal(count_files(dir.store, ".aside"), 0);
    test_batch_init(&batch, 1);
    test_span(&batch, 0, 77, 1, 0);
    assert_int_equal(append_wait(store, &batch.batch, &seq), MW_OK);
    test_batch_fini(&batch);
    assert_int_equal(seq, APPENDS + 1);
    mw_store_close(store);
    assert_int_equal(check(dir.store, &found), 1);
    assert_non_null(strstr(found.text, "0000000000000003.seg: a segment is gone"));
    test_dir_fini(&dir);
}

/* Moved within the directory and nothing else: after a start nothing is missing, whichever it was,
 * and whatever the others call it. */
static void test_renamed_alone(void **state)
{
    (void)state;
    test_dir dir;
    reports found;
    char copy[128], from[160], to[160];
    test_dir_init(&dir);
    mw_store *store = open_small(dir.store);
    append_all(store);
    mw_store_close(store);
    uint64_t files = count_files(dir.store, ".seg");
    snprintf(copy, sizeof copy, "%s/copy", dir.root);
    for (uint64_t id = 1; id <= files; id++) {
        copy_directory(dir.store, copy);
        path_of(copy, id, from);
        path_of(copy, id == 1 ? 0x99 : 0, to);
        assert_int_equal(rename(from, to), 0);
        assert_int_equal(check(copy, &found), 1); /* nothing is lost */
        store = open_small(copy);
        assert_int_equal(spans_of(store), APPENDS * PER_APPEND);
        mw_store_close(store);
        assert_int_equal(check(copy, &found), 0);
        assert_int_equal(found.notes, 0);
    }
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
        cmocka_unit_test(test_renamed_alone),    cmocka_unit_test(test_copy_stays),
    };
    mw_log_init(MW_LOG_ERROR, MW_LOG_LOGFMT, STDERR_FILENO);
    return cmocka_run_group_tests(tests, quick_disk_begin, quick_disk_end);
}
