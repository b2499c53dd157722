/* What is lost stays told until somebody accepts it, whatever becomes of the store meanwhile; what
 * nobody was promised is no loss; and files that are none of this store's cost nothing.
 */
#include <errno.h>
#include <sqlite3.h>
#include <unistd.h>

#include "tests/unit/lib-store/missing.h"

#define LOST_TRACE 4u

static mw_store_losses losses_of(mw_store *store)
{
    mw_store_stats stats;
    mw_store_stats_read(store, &stats);
    return stats.losses;
}

static void fill(test_dir *dir)
{
    test_dir_init(dir);
    mw_store *store = open_small(dir->store);
    append_all(store);
    mw_store_close(store);
}

static void rebuild(const char *directory, reports *done)
{
    mw_detail detail = {.message = ""};
    memset(done, 0, sizeof *done);
    assert_int_equal(mw_store_rebuild(directory, note, done, &detail), MW_OK);
}

static mw_store *open_bounded(const char *directory, uint64_t bytes)
{
    mw_store_config config = {.directory = directory,
                              .clock = mw_clock_system(),
                              .queue_budget_bytes = MW_STORE_QUEUE_DEFAULT,
                              .segment_max_bytes = SEGMENT,
                              .retention_bytes = bytes};
    mw_store *store = NULL;
    assert_int_equal(mw_store_open(&config, &store, NULL), MW_OK);
    return store;
}

static void assert_lost(const char *directory, const char *wanted)
{
    reports found;
    assert_int_equal(check(directory, &found), 1);
    if (!strstr(found.text, wanted))
        fail_msg("%s is not in %s", wanted, found.text);
}

/* ---- whole segments -------------------------------------------------------------------------- */

/* Starts, merges, retention: the loss is there after all of it, with the time of the first start,
 * and goes when it is accepted. */
static void test_stays(void **state)
{
    (void)state;
    test_dir dir;
    reports found;
    uint64_t first;
    size_t commits;
    char wanted[96];
    fill(&dir);
    remove_log(dir.store, 1, &first, &commits);
    snprintf(wanted, sizeof wanted, "commits %llu to %llu at least, %zu spans",
             (unsigned long long)first, (unsigned long long)(first + commits - 1),
             commits * PER_APPEND);
    mw_store *store = open_small(dir.store);
    mw_store_losses noticed = losses_of(store);
    assert_int_equal(noticed.count, 1);
    assert_int_equal(noticed.spans, commits * PER_APPEND);
    assert_true(noticed.noticed_ns > 0);
    mw_store_close(store);
    assert_lost(dir.store, wanted);
    store = open_small(dir.store);
    assert_int_equal(mw_store_merge_all(store, MERGE_TIME), MW_OK);
    mw_store_close(store);
    assert_lost(dir.store, wanted);
    store = open_bounded(dir.store, 1);
    assert_int_equal(append_spans(store, 77, 1, 1), MW_OK);
    assert_int_equal(mw_store_merge_all(store, MERGE_TIME), MW_OK);
    mw_store_losses later = losses_of(store);
    assert_memory_equal(&later, &noticed, sizeof later);
    mw_store_close(store);
    assert_lost(dir.store, wanted);
    rebuild(dir.store, &found);
    assert_non_null(strstr(found.text, "accepted as gone: commits"));
    assert_int_equal(check(dir.store, &found), 0);
    store = open_small(dir.store);
    assert_int_equal(losses_of(store).count, 0);
    mw_store_close(store);
    test_dir_fini(&dir);
}

/* Retention would have removed it by now: whoever did, it is no loss. */
static void test_was_due(void **state)
{
    (void)state;
    for (int due = 0; due < 2; due++) {
        test_dir dir;
        uint64_t first;
        size_t commits;
        mw_store *store = NULL;
        fill(&dir);
        remove_log(dir.store, 1, &first, &commits);
        usleep(2000);
        mw_store_config config = {.directory = dir.store,
                                  .clock = mw_clock_system(),
                                  .queue_budget_bytes = MW_STORE_QUEUE_DEFAULT,
                                  .segment_max_bytes = SEGMENT,
                                  .retention_age_ns = due ? 1000 : 3600 * MW_NS_PER_S};
        assert_int_equal(mw_store_open(&config, &store, NULL), MW_OK);
        assert_int_equal(losses_of(store).count, !due);
        mw_store_close(store);
        test_dir_fini(&dir);
    }
}

/* Its id and its sequences are nobody's after the row has become a loss, either. */
static void test_names_are_kept(void **state)
{
    (void)state;
    test_dir dir;
    uint64_t first, seq;
    size_t commits;
    test_batch batch;
    fill(&dir);
    size_t files = count_files(dir.store, ".seg");
    remove_log(dir.store, files - 1, &first, &commits);
    for (int starts = 0; starts < 3; starts++)
        mw_store_close(open_small(dir.store));
    mw_store *store = open_small(dir.store);
    test_batch_init(&batch, 1);
    test_span(&batch, 0, 77, 1, 0);
    assert_int_equal(append_wait(store, &batch.batch, &seq), MW_OK);
    test_batch_fini(&batch);
    assert_int_equal(seq, APPENDS + 1);
    assert_true(store->writer.segment->header.id > files);
    mw_store_close(store);
    test_dir_fini(&dir);
}

/* Brought back, also after starts without it: it is read again, and no loss any more. */
static void test_comes_back(void **state)
{
    (void)state;
    test_dir dir;
    reports found;
    char away[160], own[160];
    fill(&dir);
    uint64_t files = count_files(dir.store, ".seg");
    for (uint64_t id = 1; id <= files; id++) {
        path_of(dir.store, id, own);
        snprintf(away, sizeof away, "%s/away", dir.root);
        assert_int_equal(rename(own, away), 0);
        mw_store *store = open_small(dir.store);
        assert_int_equal(losses_of(store).count, 1);
        assert_true(spans_of(store) < APPENDS * PER_APPEND);
        mw_store_close(store);
        assert_int_equal(rename(away, own), 0);
        if (check(dir.store, &found) != 0)
            fail_msg("%llu: %s", (unsigned long long)id, found.text);
        assert_int_equal(found.notes, 1);
        assert_non_null(strstr(found.text, "the next start takes it back"));
        store = open_small(dir.store);
        assert_int_equal(losses_of(store).count, 0);
        assert_int_equal(spans_of(store), APPENDS * PER_APPEND);
        mw_store_close(store);
        assert_int_equal(check(dir.store, &found), 0);
        assert_int_equal(found.notes, 0);
    }
    test_dir_fini(&dir);
}

/* ---- ends ------------------------------------------------------------------------------------ */

/* Of the last file its last commit is cut off: the stop had written down that it was there. */
static void test_end(void **state)
{
    (void)state;
    test_dir dir;
    reports found;
    mw_segment_files files;
    fill(&dir);
    assert_int_equal(mw_segment_files_load(dir.store, &files), MW_OK);
    const mw_segment_file *last = &files.items[files.count - 1];
    assert_int_equal(truncate(last->path, (off_t)last->size - 8), 0);
    mw_segment_files_fini(&files);
    mw_store *store = open_small(dir.store);
    mw_store_losses losses = losses_of(store);
    assert_int_equal(losses.count, 1);
    assert_int_equal(losses.spans, PER_APPEND);
    assert_int_equal(spans_of(store), (APPENDS - 1) * PER_APPEND);
    assert_int_equal(append_spans(store, 77, 1, 1), MW_OK);
    mw_store_close(store);
    for (int starts = 0; starts < 2; starts++) {
        store = open_small(dir.store);
        assert_int_equal(losses_of(store).count, 1);
        mw_store_close(store);
        assert_true(check(dir.store, &found) > 0);
        assert_non_null(strstr(found.text, "the end of a segment is gone"));
        assert_non_null(strstr(found.text, "commits 9 to 9 at least, 20 spans"));
    }
    test_dir_fini(&dir);
}

/* A byte of it: the block stays where it is, and its damage is told for as long. */
static void test_byte_of_the_end(void **state)
{
    (void)state;
    test_dir dir;
    reports found;
    mw_segment_files files;
    fill(&dir);
    assert_int_equal(mw_segment_files_load(dir.store, &files), MW_OK);
    const mw_segment_file *last = &files.items[files.count - 1];
    write_at(last->path, (off_t)last->size - 20, "damage");
    mw_segment_files_fini(&files);
    for (int starts = 0; starts < 2; starts++) {
        assert_int_equal(check(dir.store, &found), 1);
        assert_non_null(strstr(found.text, "items of a block"));
        mw_store *store = open_small(dir.store);
        assert_int_equal(losses_of(store).count, 0);
        assert_int_equal(mw_store_merge_all(store, MERGE_TIME), MW_OK);
        mw_store_close(store);
    }
    test_dir_fini(&dir);
}

/* A byte of the last but one commit of the last file: only that one is lost, since it is known that
 * what follows was promised, too. */
static void test_before_the_end(void **state)
{
    (void)state;
    test_dir dir;
    reports found;
    mw_segment_files files;
    mw_walk walk;
    test_dir_init(&dir);
    mw_store *store = open_store(dir.store);
    append_all(store);
    mw_store_close(store);
    assert_int_equal(mw_segment_files_load(dir.store, &files), MW_OK);
    assert_int_equal(mw_segment_walk(&files.items[0], &walk), MW_OK);
    assert_int_equal(walk.block_count, APPENDS);
    write_at(files.items[0].path, (off_t)walk.blocks[APPENDS - 2].offset + 20, "damage");
    mw_walk_fini(&walk);
    mw_segment_files_fini(&files);
    assert_int_equal(check(dir.store, &found), 1);
    store = open_store(dir.store);
    assert_int_equal(spans_of(store), (APPENDS - 1) * PER_APPEND);
    assert_int_equal(count_spans(store, APPENDS), PER_APPEND);
    mw_store_close(store);
    assert_int_equal(check(dir.store, &found), 1);
    test_dir_fini(&dir);
}

static void catalogue_path(const char *directory, char out[160])
{
    snprintf(out, 160, "%s/" MW_CATALOGUE_NAME, directory);
}

/* A start that could not read the catalogue carried the newest commits into another segment; by the
 * catalogue of before they are in the old one. They are not gone. */
static void test_carried(void **state)
{
    (void)state;
    test_dir dir;
    reports found;
    char killed[128], catalogue[160], away[160];
    test_dir_init(&dir);
    mw_store *store = open_small(dir.store);
    assert_int_equal(append_spans(store, 1, 1, PER_APPEND), MW_OK);
    mw_store_close(store);
    catalogue_path(dir.store, catalogue);
    snprintf(away, sizeof away, "%s/away", dir.root);
    assert_int_equal(rename(catalogue, away), 0);
    assert_int_equal(check(dir.store, &found), 0);
    assert_non_null(strstr(found.text, "there is no catalogue"));
    store = open_small(dir.store);
    assert_int_equal(count_files(dir.store, ".seg"), 2);
    snprintf(killed, sizeof killed, "%s/killed", dir.root);
    copy_directory(dir.store, killed);
    mw_store_close(store);
    catalogue_path(killed, catalogue);
    assert_int_equal(rename(away, catalogue), 0);
    store = open_small(killed);
    assert_int_equal(losses_of(store).count, 0);
    assert_int_equal(spans_of(store), PER_APPEND);
    mw_store_close(store);
    assert_int_equal(check(killed, &found), 0);
    test_dir_fini(&dir);
}

/* A write that was under way when the process was killed was promised to nobody. */
static void test_torn_is_no_loss(void **state)
{
    (void)state;
    test_dir dir;
    reports found;
    char killed[128];
    mw_segment_files files;
    test_dir_init(&dir);
    mw_store *store = open_store(dir.store);
    append_all(store);
    snprintf(killed, sizeof killed, "%s/killed", dir.root);
    copy_directory(dir.store, killed);
    mw_store_close(store);
    assert_int_equal(mw_segment_files_load(killed, &files), MW_OK);
    assert_int_equal(truncate(files.items[0].path, (off_t)files.items[0].size - 100), 0);
    mw_segment_files_fini(&files);
    assert_int_equal(check(killed, &found), 0);
    assert_int_equal(found.notes, 1);
    store = open_store(killed);
    assert_int_equal(losses_of(store).count, 0);
    assert_int_equal(spans_of(store), (APPENDS - 1) * PER_APPEND);
    mw_store_close(store);
    assert_int_equal(check(killed, &found), 0);
    test_dir_fini(&dir);
}

/* ---- files that are no segments of this store ------------------------------------------------ */

static void make_file(const char *directory, uint64_t id, size_t size)
{
    char path[160], bytes[4096];
    path_of(directory, id, path);
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    assert_true(fd >= 0 && size <= sizeof bytes);
    mw_random_bytes(bytes, sizeof bytes);
    assert_int_equal(write(fd, bytes, size), size);
    close(fd);
}

static void assert_whole_after(const char *directory, size_t asides)
{
    reports found;
    mw_store *store = open_small(directory);
    assert_int_equal(spans_of(store), APPENDS * PER_APPEND);
    for (uint64_t i = 1; i <= APPENDS; i++)
        assert_int_equal(count_spans(store, i), PER_APPEND);
    assert_int_equal(losses_of(store).count, 0);
    assert_int_equal(append_spans(store, 77, 1, 1), MW_OK);
    assert_int_equal(mw_store_merge_all(store, MERGE_TIME), MW_OK);
    mw_store_close(store);
    assert_int_equal(count_files(directory, ".aside-"), asides);
    assert_int_equal(check(directory, &found), 0);
    assert_int_equal(found.notes, asides);
}

/* Empty or random, before and behind the others, in the place of none of them. */
static void test_no_segments(void **state)
{
    (void)state;
    test_dir dir;
    reports found;
    char copy[128];
    const uint64_t ids[] = {0, 99, 0xfffffffffffffffe, UINT64_MAX};
    fill(&dir);
    snprintf(copy, sizeof copy, "%s/copy", dir.root);
    for (size_t i = 0; i < sizeof ids / sizeof *ids; i++) {
        for (size_t size = 0; size <= 4096; size += 1024) {
            copy_directory(dir.store, copy);
            make_file(copy, ids[i], size);
            bool unborn = size == 0 && ids[i] > APPENDS;
            assert_int_equal(check(copy, &found), !unborn);
            assert_whole_after(copy, !unborn);
        }
    }
    test_dir_fini(&dir);
}

/* In the place of one: what that held is lost, and told. */
static void test_overwritten(void **state)
{
    (void)state;
    test_dir dir;
    char copy[128];
    fill(&dir);
    uint64_t files = count_files(dir.store, ".seg");
    snprintf(copy, sizeof copy, "%s/copy", dir.root);
    for (uint64_t id = 1; id <= files; id++) {
        for (size_t size = 0; size <= 4096; size += 4096) {
            copy_directory(dir.store, copy);
            make_file(copy, id, size);
            mw_store *store = open_small(copy);
            assert_int_equal(losses_of(store).count, 1);
            assert_int_equal(spans_of(store) + losses_of(store).spans, APPENDS * PER_APPEND);
            mw_store_close(store);
            assert_int_equal(count_files(copy, ".aside-"), 1);
            assert_lost(copy, "a segment is gone, which a start noticed");
        }
    }
    test_dir_fini(&dir);
}

/* Segments of another store, of the log and merged ones that name ours as replaced: nothing of ours
 * is hidden or removed by them. */
static void test_other_store(void **state)
{
    (void)state;
    test_dir dir, other;
    char copy[128], from[160], to[160];
    mw_segment_files files;
    fill(&dir);
    fill(&other);
    mw_store *store = open_small(other.store);
    for (uint64_t i = 0; i < 20; i++)
        assert_int_equal(append_spans(store, 100 + i, 1, PER_APPEND), MW_OK);
    assert_int_equal(mw_store_merge_all(store, MERGE_TIME), MW_OK);
    mw_store_close(store);
    snprintf(copy, sizeof copy, "%s/copy", dir.root);
    assert_int_equal(mw_segment_files_load(other.store, &files), MW_OK);
    size_t merged = 0;
    for (size_t i = 0; i < files.count; i++) {
        const mw_segment_file *file = &files.items[i];
        if (file->header.kind != MW_SEGMENT_MERGED)
            continue;
        merged++;
        copy_directory(dir.store, copy);
        path_of(copy, file->id, to);
        copy_file(file->path, to);
        reports done;
        rebuild(copy, &done); /* nor by that */
        assert_non_null(strstr(done.text, "left alone: a segment of another store"));
        copy_directory(dir.store, copy);
        copy_file(file->path, to);
        assert_whole_after(copy, 1);
    }
    assert_true(merged > 0);
    mw_segment_files_fini(&files);
    /* In the place of one of ours: that one is gone, and the other is not read for it. */
    test_dir third;
    reports found;
    fill(&third);
    copy_directory(dir.store, copy);
    path_of(third.store, 2, from);
    path_of(copy, 2, to);
    copy_file(from, to);
    assert_int_equal(check(copy, &found), 2);
    assert_non_null(strstr(found.text, "a segment of another store"));
    store = open_small(copy);
    assert_int_equal(losses_of(store).count, 1);
    assert_int_equal(spans_of(store) + losses_of(store).spans, APPENDS * PER_APPEND);
    mw_store_close(store);
    assert_int_equal(count_files(copy, ".aside-"), 1);
    test_dir_fini(&third);
    test_dir_fini(&other);
    test_dir_fini(&dir);
}

/* One byte of a header is damaged: nothing is set aside for that, nothing is lost, and it is told
 * until it is put right. */
static void test_header_byte(void **state)
{
    (void)state;
    test_dir dir;
    reports found;
    char copy[128], path[160];
    fill(&dir);
    uint64_t files = count_files(dir.store, ".seg");
    snprintf(copy, sizeof copy, "%s/copy", dir.root);
    for (uint64_t id = 1; id <= files; id++) {
        copy_directory(dir.store, copy);
        path_of(copy, id, path);
        write_at(path, (off_t)(7 * id), "\xa5");
        assert_int_equal(check(copy, &found), 1);
        assert_non_null(strstr(found.text, "no item is lost"));
        mw_store *store = open_small(copy);
        assert_int_equal(spans_of(store), APPENDS * PER_APPEND);
        assert_int_equal(losses_of(store).count, 0);
        mw_store_close(store);
        assert_int_equal(count_files(copy, ".aside-"), 0);
        assert_int_equal(check(copy, &found), 1);
        rebuild(copy, &found);
        assert_non_null(strstr(found.text, "was put right"));
        assert_int_equal(check(copy, &found), 0);
        assert_whole_after(copy, 0);
    }
    test_dir_fini(&dir);
}

/* ---- the catalogue itself -------------------------------------------------------------------- */

static void run_sql(const char *directory, const char *text)
{
    char path[160], *why = NULL;
    sqlite3 *db;
    catalogue_path(directory, path);
    assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
    if (sqlite3_exec(db, text, NULL, NULL, &why) != SQLITE_OK)
        fail_msg("%s: %s", text, why);
    sqlite3_close(db);
}

/* As the version before had it: what it knows is not thrown away. */
static void test_older_catalogue(void **state)
{
    (void)state;
    test_dir dir;
    reports found;
    uint64_t first;
    size_t commits;
    fill(&dir);
    run_sql(dir.store, "DROP TABLE loss; ALTER TABLE segment DROP COLUMN salt;"
                       "PRAGMA user_version = 2");
    assert_int_equal(check(dir.store, &found), 0);
    assert_int_equal(found.notes, 0);
    remove_log(dir.store, 1, &first, &commits);
    assert_int_equal(check(dir.store, &found), 1);
    mw_store *store = open_small(dir.store);
    assert_int_equal(losses_of(store).count, 1);
    mw_store_close(store);
    assert_lost(dir.store, "a segment is gone, which a start noticed");
    test_dir_fini(&dir);
}

/* Damaged or not ours any more, it passes on the losses that can still be read in it. */
static void test_damaged_catalogue(void **state)
{
    (void)state;
    test_dir dir;
    reports found;
    uint64_t first;
    size_t commits;
    fill(&dir);
    remove_log(dir.store, 1, &first, &commits);
    mw_store_close(open_small(dir.store));
    run_sql(dir.store, "DROP TABLE segment");
    assert_int_equal(check(dir.store, &found), 1);
    assert_non_null(strstr(found.text, "the knowledge of which segments ought to be there"));
    mw_store *store = open_small(dir.store);
    assert_int_equal(losses_of(store).count, 1);
    mw_store_close(store);
    assert_lost(dir.store, "a segment is gone, which a start noticed");
    run_sql(dir.store, "INSERT INTO loss VALUES (0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0)");
    run_sql(dir.store, "PRAGMA application_id = 7");
    store = open_small(dir.store);
    assert_int_equal(losses_of(store).count, 1);
    mw_store_close(store);
    assert_lost(dir.store, "a segment is gone, which a start noticed");
    test_dir_fini(&dir);
}

static void assert_made(const char *directory, uint64_t notes)
{
    reports found;
    mw_store_stats stats;
    mw_store *store = open_small(directory);
    mw_store_stats_read(store, &stats);
    mw_store_close(store);
    assert_int_equal(stats.catalogue_made_ns > 0, notes > 0);
    assert_int_equal(check(directory, &found), 0);
    assert_int_equal(found.notes, notes);
    if (notes)
        assert_non_null(strstr(found.text, "vanished before cannot be told"));
}

/* Missing or damaged beside segments it is made anew, and says so; a kill before it is judged
 * leaves that to the next start. What nothing was stored beside was never missing. */
static void test_made_anew(void **state)
{
    (void)state;
    test_dir dir;
    char path[160];
    fill(&dir);
    assert_made(dir.store, 0);
    catalogue_path(dir.store, path);
    assert_int_equal(unlink(path), 0);
    assert_made(dir.store, 1);
    assert_made(dir.store, 1);
    run_sql(dir.store, "DELETE FROM made");
    assert_made(dir.store, 0);
    run_sql(dir.store, "INSERT INTO made VALUES (0)");
    assert_made(dir.store, 1);
    run_sql(dir.store, "DELETE FROM made; PRAGMA application_id = 7");
    assert_made(dir.store, 1);
    assert_int_equal(mw_store_rebuild(dir.store, NULL, NULL, NULL), MW_OK);
    assert_made(dir.store, 0);
    run_sql(dir.store, "DROP TABLE made"); /* of the program before */
    assert_made(dir.store, 0);
    test_dir_fini(&dir);
}

/* Removed together with a merged segment it cannot be told from what leaves the same gap, so that
 * it is no loss; but the commits that no segment holds are named beside. */
static void test_made_anew_with_a_gap(void **state)
{
    enum { PARTS = 4, GONE = 2 };
    (void)state;
    test_dir dir;
    reports found;
    char path[160], name[96], merged[PARTS][160];
    mw_segment_files files;
    test_dir_init(&dir);
    mw_store *store = open_small(dir.store);
    for (uint64_t part = 0; part < PARTS; part++) {
        for (uint64_t i = 1; i <= 3; i++)
            assert_int_equal(append_spans(store, part * 10 + i, 1, 5), MW_OK);
        assert_int_equal(mw_store_merge_all(store, MERGE_TIME), MW_OK);
    }
    mw_store_close(store);
    size_t count = 0;
    assert_int_equal(mw_segment_files_load(dir.store, &files), MW_OK);
    for (size_t i = 0; i < files.count; i++)
        if (files.items[i].header.kind == MW_SEGMENT_MERGED) {
            assert_true(count < PARTS);
            snprintf(merged[count++], sizeof merged[0], "%s", files.items[i].path);
        }
    mw_segment_files_fini(&files);
    assert_int_equal(count, PARTS);
    catalogue_path(dir.store, path);
    assert_int_equal(unlink(path), 0);
    assert_made(dir.store, 1);
    assert_int_equal(check(dir.store, &found), 0);
    assert_null(strstr(found.text, "no segment holds"));
    assert_int_equal(unlink(path), 0);
    assert_int_equal(unlink(merged[GONE]), 0);
    assert_made(dir.store, 1);
    assert_int_equal(check(dir.store, &found), 0);
    snprintf(name, sizeof name, "no segment holds commits %d to %d;", GONE * 3 + 1, GONE * 3 + 3);
    if (!strstr(found.text, name))
        fail_msg("%s is not in %s", name, found.text);
    assert_int_equal(mw_store_rebuild(dir.store, NULL, NULL, NULL), MW_OK);
    assert_made(dir.store, 0);
    test_dir_fini(&dir);
}

/* The row of a loss cannot be written when it is noticed: it is when the catalogue catches up. */
static void test_written_later(void **state)
{
    (void)state;
    test_dir dir;
    reports found;
    uint64_t first;
    size_t commits;
    char path[160];
    sqlite3 *db;
    fill(&dir);
    remove_log(dir.store, 1, &first, &commits);
    catalogue_path(dir.store, path);
    assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
    assert_int_equal(sqlite3_exec(db, "BEGIN; SELECT * FROM segment", NULL, NULL, NULL), SQLITE_OK);
    mw_store *store = open_small(dir.store);
    assert_int_equal(losses_of(store).count, 1);
    sqlite3_close(db);
    assert_lost(dir.store, "a segment that the catalogue has is not there");
    store->keeper.retention_at_ns = 0;
    assert_int_equal(mw_store_merge_all(store, MERGE_TIME), MW_OK);
    assert_lost(dir.store, "a segment is gone, which a start noticed");
    mw_store_close(store);
    assert_int_equal(check(dir.store, &found), 1);
    test_dir_fini(&dir);
}

static bool refuses_rows;

static bool is_catalogue(int fd)
{
    char name[64], path[256];
    snprintf(name, sizeof name, "/proc/self/fd/%d", fd);
    ssize_t len = readlink(name, path, sizeof path - 1);
    path[len > 0 ? len : 0] = '\0';
    return strstr(path, MW_CATALOGUE_NAME) != NULL;
}

static ssize_t pwritev_but_rows(int fd, const struct iovec *iov, int count, off_t offset)
{
    if (!refuses_rows || !is_catalogue(fd))
        return mw_io_system()->pwritev(fd, iov, count, offset);
    errno = ENOSPC;
    return -1;
}

/* What retention would remove stays until its row can be removed: killed in between it is no loss,
 * and nothing is kept for good. */
static void test_rows_go_first(void **state)
{
    (void)state;
    test_dir dir;
    reports found;
    char copy[128];
    mw_io io = *mw_io_current();
    const mw_io *before = mw_io_current();
    fill(&dir);
    snprintf(copy, sizeof copy, "%s/copy", dir.root);
    mw_store *store = open_small(dir.store);
    assert_int_equal(mw_store_merge_all(store, MERGE_TIME), MW_OK);
    mw_store_close(store);
    io.pwritev = pwritev_but_rows;
    mw_io_use(&io);
    store = open_bounded(dir.store, 1);
    for (int round = 0; round < 3; round++) {
        refuses_rows = true;
        store->keeper.retention_at_ns = 0;
        assert_int_equal(mw_store_merge_all(store, MERGE_TIME), MW_OK);
        refuses_rows = false;
        assert_int_equal(spans_of(store), APPENDS * PER_APPEND);
        copy_directory(dir.store, copy);
        mw_store *killed = open_small(copy);
        assert_int_equal(losses_of(killed).count, 0);
        assert_int_equal(spans_of(killed), APPENDS * PER_APPEND);
        mw_store_close(killed);
    }
    store->keeper.retention_at_ns = 0;
    assert_int_equal(mw_store_merge_all(store, MERGE_TIME), MW_OK);
    assert_int_equal(spans_of(store), 0);
    mw_store_close(store);
    mw_io_use(before);
    assert_int_equal(check(dir.store, &found), 0);
    store = open_small(dir.store);
    assert_int_equal(losses_of(store).count, 0);
    mw_store_close(store);
    test_dir_fini(&dir);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_stays),
        cmocka_unit_test(test_names_are_kept),
        cmocka_unit_test(test_was_due),
        cmocka_unit_test(test_comes_back),
        cmocka_unit_test(test_end),
        cmocka_unit_test(test_byte_of_the_end),
        cmocka_unit_test(test_before_the_end),
        cmocka_unit_test(test_carried),
        cmocka_unit_test(test_torn_is_no_loss),
        cmocka_unit_test(test_no_segments),
        cmocka_unit_test(test_overwritten),
        cmocka_unit_test(test_other_store),
        cmocka_unit_test(test_header_byte),
        cmocka_unit_test(test_older_catalogue),
        cmocka_unit_test(test_damaged_catalogue),
        cmocka_unit_test(test_made_anew),
        cmocka_unit_test(test_made_anew_with_a_gap),
        cmocka_unit_test(test_written_later),
        cmocka_unit_test(test_rows_go_first),
    };
    mw_log_init(MW_LOG_ERROR, MW_LOG_LOGFMT, STDERR_FILENO);
    return cmocka_run_group_tests(tests, quick_disk_begin, quick_disk_end);
}
