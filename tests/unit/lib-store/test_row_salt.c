/* A damaged salt in the catalogue, which tells a segment of this store from another's: the segment
 * is the truth, and nothing is thrown out for its row alone.
 */
#include <sqlite3.h>
#include <unistd.h>

#include "tests/unit/lib-store/missing.h"

static void fill(test_dir *dir)
{
    test_dir_init(dir);
    mw_store *store = open_small(dir->store);
    append_all(store);
    mw_store_close(store);
}

static void damage_salt(const char *directory, const char *what, uint64_t id)
{
    char path[160], text[192], *why = NULL;
    sqlite3 *db;
    snprintf(path, sizeof path, "%s/" MW_CATALOGUE_NAME, directory);
    snprintf(text, sizeof text, "UPDATE %s = %llu", what, (unsigned long long)id);
    assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
    if (sqlite3_exec(db, text, NULL, NULL, &why) != SQLITE_OK)
        fail_msg("%s: %s", text, why);
    assert_int_equal(sqlite3_changes(db), 1);
    sqlite3_close(db);
}

static uint64_t lost_in(mw_store *store)
{
    mw_store_stats stats;
    mw_store_stats_read(store, &stats);
    return stats.losses.count;
}

static void assert_taken(const char *directory, bool damaged)
{
    reports found;
    if (check(directory, &found) != (damaged ? 1 : 0))
        fail_msg("%s", found.text);
    assert_non_null(strstr(found.text, damaged ? "is damaged: no item is lost"
                                               : "the next start takes it back"));
    mw_store *store = open_small(directory);
    assert_int_equal(spans_of(store), APPENDS * PER_APPEND);
    assert_int_equal(lost_in(store), 0);
    mw_store_close(store);
    assert_int_equal(count_files(directory, ".aside-"), 0);
    if (check(directory, &found) != 0 || found.notes != 0)
        fail_msg("%s", found.text);
}

static bool has_blocks(const mw_segment_file *file)
{
    mw_walk walk;
    assert_int_equal(mw_segment_walk(file, &walk), MW_OK);
    bool any = walk.block_count > 0;
    mw_walk_fini(&walk);
    return any;
}

/* The row is damaged, and the segment is taken. */
static void salt_of_row(const char *from, const char *copy, uint64_t id)
{
    reports found;
    copy_directory(from, copy);
    damage_salt(copy, "segment SET salt = salt + 65536 WHERE id", id);
    assert_taken(copy, true);
    damage_salt(copy, "segment SET salt = salt + 65536 WHERE id", id);
    assert_int_equal(mw_store_rebuild(copy, NULL, NULL, NULL), MW_OK);
    assert_int_equal(check(copy, &found), 0);
}

/* Lost by a start, put back, and it is what is lost. */
static void salt_of_loss(const char *from, const char *copy, uint64_t id)
{
    char own[160], away[200];
    copy_directory(from, copy);
    path_of(copy, id, own);
    snprintf(away, sizeof away, "%s.away", copy);
    assert_int_equal(rename(own, away), 0);
    mw_store_close(open_small(copy));
    assert_int_equal(rename(away, own), 0);
    damage_salt(copy, "loss SET salt = salt + 65536 WHERE segment", id);
    assert_taken(copy, false);
}

/* With another column damaged as well nobody can tell it from another store's. */
static void salt_and_more(const char *from, const char *copy, uint64_t id)
{
    reports found;
    copy_directory(from, copy);
    damage_salt(
        copy, "segment SET salt = salt + 65536, arrival_min_ns = arrival_min_ns - 1 WHERE id", id);
    assert_int_equal(check(copy, &found), 2);
    assert_non_null(strstr(found.text, "a segment of another store"));
}

/* Each segment that has a row; of that kind there is one. */
static void damage_each(const char *directory, const char *copy, mw_segment_kind kind)
{
    mw_segment_files files;
    size_t seen = 0;
    assert_int_equal(mw_segment_files_load(directory, &files), MW_OK);
    for (size_t i = 0; i < files.count; i++) {
        if (files.items[i].header.kind != kind || !has_blocks(&files.items[i]))
            continue;
        seen++;
        salt_of_row(directory, copy, files.items[i].id);
        salt_of_loss(directory, copy, files.items[i].id);
        salt_and_more(directory, copy, files.items[i].id);
    }
    mw_segment_files_fini(&files);
    assert_true(seen > 0);
}

static void test_salt_of_log(void **state)
{
    (void)state;
    test_dir dir;
    char copy[128];
    fill(&dir);
    snprintf(copy, sizeof copy, "%s/copy", dir.root);
    damage_each(dir.store, copy, MW_SEGMENT_LOG);
    test_dir_fini(&dir);
}

static void test_salt_of_merged(void **state)
{
    (void)state;
    test_dir dir;
    char copy[128];
    fill(&dir);
    snprintf(copy, sizeof copy, "%s/copy", dir.root);
    mw_store *store = open_small(dir.store);
    assert_int_equal(mw_store_merge_all(store, MERGE_TIME), MW_OK);
    mw_store_close(store);
    damage_each(dir.store, copy, MW_SEGMENT_MERGED);
    test_dir_fini(&dir);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_salt_of_log),
        cmocka_unit_test(test_salt_of_merged),
    };
    mw_log_init(MW_LOG_ERROR, MW_LOG_LOGFMT, STDERR_FILENO);
    return cmocka_run_group_tests(tests, quick_disk_begin, quick_disk_end);
}
