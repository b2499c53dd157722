/* A small store of several segments of the log, and what somebody does to its files. */
#ifndef TESTS_LIB_STORE_MISSING_H
#define TESTS_LIB_STORE_MISSING_H

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

static inline void note(void *ctx, const mw_store_damage *what)
{
    reports *all = ctx;
    all->count += !what->note;
    all->notes += what->note;
    all->len += (size_t)snprintf(all->text + all->len, sizeof all->text - all->len, "%s: %s\n",
                                 what->file, what->what);
    assert_true(all->len < sizeof all->text);
}

/* As `midwatch check`. */
static inline int check(const char *directory, reports *found)
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
static inline void append_all(mw_store *store)
{
    for (uint64_t i = 1; i <= APPENDS; i++)
        assert_int_equal(append_spans(store, i, i * 1000, PER_APPEND), MW_OK);
}

static inline mw_store *open_small(const char *directory)
{
    return open_with(directory, mw_clock_system(), MW_STORE_QUEUE_DEFAULT, SEGMENT);
}

static inline uint64_t spans_of(mw_store *store)
{
    mw_store_stats stats;
    mw_store_stats_read(store, &stats);
    return stats.spans;
}

/* What a process that is killed now would leave. */
static inline void copy_directory(const char *from, const char *to)
{
    char command[512];
    remove_tree(to);
    snprintf(command, sizeof command, "cp -a '%s' '%s'", from, to);
    assert_int_equal(system(command), 0);
}

/* Takes the file of that number in the order of ids away; its first commit and how many it has. */
static inline void remove_log(const char *directory, size_t number, uint64_t *first_seq,
                              size_t *commits)
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

/* The name of a segment: of that number in the order of ids, or of an id. */
static inline void path_of(const char *directory, uint64_t id, char out[160])
{
    snprintf(out, 160, "%s/%016llx.seg", directory, (unsigned long long)id);
}

static inline void copy_file(const char *from, const char *to)
{
    char command[400];
    snprintf(command, sizeof command, "cp '%s' '%s'", from, to);
    assert_int_equal(system(command), 0);
}

static inline void write_at(const char *path, off_t at, const char *text)
{
    int fd = open(path, O_WRONLY);
    assert_true(fd >= 0);
    assert_int_equal(pwrite(fd, text, strlen(text), at), strlen(text));
    close(fd);
}

#endif
