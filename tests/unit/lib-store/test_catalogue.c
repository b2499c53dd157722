/* The catalogue: rows in and out, against segments, damaged, foreign, read beside its writer. */
#include <fcntl.h>
#include <sqlite3.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "lib/base/log.h"
#include "lib/store/merge/catalogue.h"
#include "store_test.h"

#define BLOCKS 3

/* A merged segment as the index has it, without a file. */
typedef struct fake_segment {
    mw_segment segment;
    mw_footer footer;
    mw_index_block blocks[BLOCKS];
    uint64_t replaced[4];
} fake_segment;

static void fake_init(fake_segment *fake, uint64_t id)
{
    static const mw_signal signals[BLOCKS] = {MW_SIGNAL_TRACES, MW_SIGNAL_METRICS, MW_SIGNAL_LOGS};
    memset(fake, 0, sizeof *fake);
    fake->segment.header = (mw_segment_header){.id = id, .first_seq = id * 100};
    fake->segment.header.kind = MW_SEGMENT_MERGED;
    fake->segment.end = 1000 + id;
    fake->segment.footer = &fake->footer;
    fake->footer.last_seq = id * 100 + 50;
    fake->footer.arrival_max_ns = id * 1000 + 900;
    fake->footer.replaced.ids = fake->replaced;
    mw_index_block **tail = &fake->segment.blocks;
    for (uint32_t i = 0; i < BLOCKS; i++) {
        mw_index_block *block = &fake->blocks[i];
        block->offset = 80 + i * 200;
        block->header = (mw_block_header){.item_count = 10 + i,
                                          .seq = id * 100 + i,
                                          .event_min_ns = 500 - i,
                                          .event_max_ns = UINT64_MAX - 5 + i,
                                          .arrival_ns = id * 1000 + 10 - i,
                                          .signal = signals[i]};
        *tail = block;
        tail = &block->next_in_segment;
        fake->segment.block_count++;
    }
}

static void fake_replaces(fake_segment *fake, uint64_t id)
{
    fake->replaced[fake->footer.replaced.count++] = id;
}

static mw_catalogue *open_catalogue(const test_dir *dir)
{
    mw_catalogue *catalogue = NULL;
    assert_int_equal(mw_catalogue_open(dir->root, &catalogue), MW_OK);
    return catalogue;
}

typedef struct rows {
    mw_catalogue_segment items[16];
    size_t count;
} rows;

static mw_err collect(void *ctx, const mw_catalogue_segment *segment)
{
    rows *all = ctx;
    all->items[all->count++] = *segment;
    return MW_OK;
}

/* The ids of all rows as text, for short comparisons. */
static const char *ids_of(mw_catalogue *catalogue)
{
    static char text[128];
    rows all = {.count = 0};
    size_t len = 0;
    assert_int_equal(mw_catalogue_each(catalogue, collect, &all), MW_OK);
    text[0] = '\0';
    for (size_t i = 0; i < all.count; i++)
        len += (size_t)snprintf(text + len, sizeof text - len, "%llu ",
                                (unsigned long long)all.items[i].id);
    return text;
}

static void put(mw_catalogue *catalogue, uint64_t id)
{
    fake_segment fake;
    fake_init(&fake, id);
    assert_int_equal(mw_catalogue_put_segment(catalogue, &fake.segment), MW_OK);
}

static void catalogue_path(const test_dir *dir, char out[128])
{
    snprintf(out, 128, "%s/%s", dir->root, MW_CATALOGUE_NAME);
}

static void test_rows(void **state)
{
    (void)state;
    test_dir dir;
    char path[128];
    struct stat status;
    test_dir_init(&dir);
    catalogue_path(&dir, path);
    mw_catalogue *catalogue = open_catalogue(&dir);
    assert_int_equal(stat(path, &status), 0);
    assert_int_equal(status.st_mode & 0777, 0600);
    assert_string_equal(ids_of(catalogue), "");
    fake_segment fake;
    fake_init(&fake, 7);
    assert_int_equal(mw_catalogue_put_segment(catalogue, &fake.segment), MW_OK);
    put(catalogue, 3);
    put(catalogue, 3);
    assert_string_equal(ids_of(catalogue), "3 7 ");
    mw_catalogue_close(catalogue);

    catalogue = open_catalogue(&dir);
    rows all = {.count = 0};
    mw_catalogue_segment wanted;
    mw_catalogue_describe(&fake.segment, &wanted);
    assert_int_equal(wanted.items[MW_SIGNAL_TRACES], 10);
    assert_int_equal(wanted.items[MW_SIGNAL_METRICS], 11);
    assert_int_equal(wanted.items[MW_SIGNAL_LOGS], 12);
    assert_int_equal(wanted.arrival_min_ns, 7008);
    assert_int_equal(wanted.event_min_ns, 498);
    assert_true(wanted.event_max_ns == UINT64_MAX - 3);
    assert_int_equal(mw_catalogue_each(catalogue, collect, &all), MW_OK);
    assert_int_equal(all.count, 2);
    assert_memory_equal(&all.items[1], &wanted, sizeof wanted);
    assert_int_equal(mw_catalogue_verify(catalogue), MW_OK);
    assert_int_equal(mw_catalogue_remove(catalogue, 7), MW_OK);
    assert_int_equal(mw_catalogue_remove(catalogue, 7), MW_OK);
    assert_string_equal(ids_of(catalogue), "3 ");
    assert_int_equal(mw_catalogue_verify(catalogue), MW_OK);
    assert_false(mw_catalogue_is_behind(catalogue));
    mw_catalogue_close(catalogue);
    test_dir_fini(&dir);
}

static void test_replaced(void **state)
{
    (void)state;
    test_dir dir;
    test_dir_init(&dir);
    mw_catalogue *catalogue = open_catalogue(&dir);
    fake_segment fake;
    put(catalogue, 1);
    put(catalogue, 2);
    put(catalogue, 4);
    fake_init(&fake, 5);
    fake_replaces(&fake, 1);
    fake_replaces(&fake, 2);
    fake_replaces(&fake, 3); /* of the log: never had a row */
    assert_int_equal(mw_catalogue_put_segment(catalogue, &fake.segment), MW_OK);
    assert_string_equal(ids_of(catalogue), "4 5 ");
    assert_int_equal(mw_catalogue_verify(catalogue), MW_OK);
    mw_catalogue_close(catalogue);
    test_dir_fini(&dir);
}

static mw_err refuse(void *ctx, const mw_catalogue_segment *segment)
{
    (void)segment;
    ++*(int *)ctx;
    return MW_E_TIMEOUT;
}

static void test_callback_ends_it(void **state)
{
    (void)state;
    test_dir dir;
    int calls = 0;
    test_dir_init(&dir);
    mw_catalogue *catalogue = open_catalogue(&dir);
    put(catalogue, 1);
    put(catalogue, 2);
    assert_int_equal(mw_catalogue_each(catalogue, refuse, &calls), MW_E_TIMEOUT);
    assert_int_equal(calls, 1);
    assert_string_equal(ids_of(catalogue), "1 2 ");
    mw_catalogue_close(catalogue);
    test_dir_fini(&dir);
}

/* ---- files that are no good ------------------------------------------------------------------ */

static void write_file(const char *path, const char *data, size_t len, off_t at)
{
    int fd = open(path, O_RDWR | O_CREAT, 0600);
    assert_true(fd >= 0);
    assert_int_equal(pwrite(fd, data, len, at), (ssize_t)len);
    close(fd);
}

static void test_foreign(void **state)
{
    (void)state;
    test_dir dir;
    char path[128];
    static const char text[] = "this was never a database, however long it may be. ";
    test_dir_init(&dir);
    catalogue_path(&dir, path);
    for (off_t at = 0; at < 4096; at += (off_t)sizeof text)
        write_file(path, text, sizeof text, at);
    mw_catalogue *catalogue = NULL;
    assert_int_equal(mw_catalogue_open_reader(dir.root, &catalogue), MW_E_CORRUPT);
    catalogue = open_catalogue(&dir);
    assert_true(mw_catalogue_is_behind(catalogue));
    assert_string_equal(ids_of(catalogue), "");
    mw_catalogue_close(catalogue);

    /* Somebody else's database. */
    sqlite3 *db;
    assert_int_equal(unlink(path), 0);
    assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
    assert_int_equal(sqlite3_exec(db, "CREATE TABLE segment(x); INSERT INTO segment VALUES (1)",
                                  NULL, NULL, NULL),
                     SQLITE_OK);
    sqlite3_close(db);
    assert_int_equal(mw_catalogue_open_reader(dir.root, &catalogue), MW_E_CORRUPT);
    catalogue = open_catalogue(&dir);
    put(catalogue, 1);
    assert_string_equal(ids_of(catalogue), "1 ");
    mw_catalogue_close(catalogue);
    test_dir_fini(&dir);
}

/* Bytes over every part of the file: opened and reconciled, the rows are right again. */
static void test_damage_anywhere(void **state)
{
    (void)state;
    test_dir dir;
    char path[128];
    struct stat status;
    fake_segment fakes[3];
    const mw_segment *segments[3];
    unsigned detected = 0;
    test_dir_init(&dir);
    catalogue_path(&dir, path);
    for (uint64_t i = 0; i < 3; i++) {
        fake_init(&fakes[i], i + 1);
        segments[i] = &fakes[i].segment;
    }
    mw_catalogue *catalogue = open_catalogue(&dir);
    assert_int_equal(mw_catalogue_reconcile(catalogue, segments, 3, NULL, NULL, NULL), MW_OK);
    mw_catalogue_close(catalogue);
    assert_int_equal(stat(path, &status), 0);
    for (off_t at = 0; at < status.st_size; at += 512) {
        static const char junk[512] = {"\377\376\375\374"};
        write_file(path, junk, sizeof junk, at);
        mw_err seen = mw_catalogue_open_reader(dir.root, &catalogue);
        if (seen == MW_OK) {
            seen = mw_catalogue_verify(catalogue);
            mw_catalogue_close(catalogue);
        }
        detected += seen == MW_E_CORRUPT;
        catalogue = open_catalogue(&dir);
        assert_int_equal(mw_catalogue_reconcile(catalogue, segments, 3, NULL, NULL, NULL), MW_OK);
        assert_false(mw_catalogue_is_behind(catalogue));
        assert_string_equal(ids_of(catalogue), "1 2 3 ");
        mw_catalogue_close(catalogue);
        /* Whatever the rows of blocks may still hold, the next round begins with a whole file. */
        unlink(path);
        catalogue = open_catalogue(&dir);
        assert_int_equal(mw_catalogue_reconcile(catalogue, segments, 3, NULL, NULL, NULL), MW_OK);
        assert_int_equal(mw_catalogue_verify(catalogue), MW_OK);
        mw_catalogue_close(catalogue);
    }
    assert_true(detected >= 4); /* pages have free space that nobody misses */
    test_dir_fini(&dir);
}

/* ---- against the segments -------------------------------------------------------------------- */

#define NOTICED 1234567u

static uint64_t note_missing(void *ctx, const mw_catalogue_loss *loss)
{
    uint64_t *sum = ctx;
    *sum = *sum * 10 + loss->of.id;
    assert_int_equal(loss->part, MW_LOSS_WHOLE);
    return NOTICED;
}

static void test_reconcile(void **state)
{
    (void)state;
    test_dir dir;
    fake_segment fakes[3];
    const mw_segment *segments[3];
    mw_catalogue_changes changes;
    uint64_t missing = 0;
    test_dir_init(&dir);
    mw_catalogue *catalogue = open_catalogue(&dir);
    put(catalogue, 1);       /* gone, nobody says why */
    put(catalogue, 2);       /* replaced by 9 */
    put(catalogue, 5);       /* as it is */
    put(catalogue, 6);       /* is of another size */
    put(catalogue, 8);       /* gone, too */
    fake_init(&fakes[0], 9); /* new */
    fake_replaces(&fakes[0], 2);
    fake_init(&fakes[1], 6);
    fakes[1].segment.end++;
    fake_init(&fakes[2], 5);
    for (size_t i = 0; i < 3; i++)
        segments[i] = &fakes[i].segment;
    assert_int_equal(
        mw_catalogue_reconcile(catalogue, segments, 3, note_missing, &missing, &changes), MW_OK);
    assert_int_equal(missing, 18);
    assert_int_equal(changes.kept, 1);
    assert_int_equal(changes.added, 2);
    assert_int_equal(changes.removed, 3);
    assert_int_equal(changes.missing, 2);
    assert_string_equal(ids_of(catalogue), "5 6 9 ");
    assert_int_equal(mw_catalogue_verify(catalogue), MW_OK);
    rows all = {.count = 0};
    assert_int_equal(mw_catalogue_each(catalogue, collect, &all), MW_OK);
    assert_int_equal(all.items[1].bytes, fakes[1].segment.end);

    /* Nothing to do, and nothing at all. */
    assert_int_equal(
        mw_catalogue_reconcile(catalogue, segments, 3, note_missing, &missing, &changes), MW_OK);
    assert_int_equal(changes.kept, 3);
    assert_int_equal(changes.added + changes.removed + changes.missing, 0);
    assert_int_equal(mw_catalogue_reconcile(catalogue, NULL, 0, NULL, NULL, &changes), MW_OK);
    assert_int_equal(changes.missing, 3);
    assert_string_equal(ids_of(catalogue), "");
    mw_catalogue_close(catalogue);
    test_dir_fini(&dir);
}

static void test_no_catalogue(void **state)
{
    (void)state;
    fake_segment fake;
    const mw_segment *segment = &fake.segment;
    mw_catalogue_changes changes = {.kept = 9};
    mw_catalogue *catalogue = NULL;
    fake_init(&fake, 1);
    assert_int_equal(mw_catalogue_open("/tmp/midwatch-test-none/none", &catalogue), MW_E_IO);
    assert_int_equal(mw_catalogue_open_reader("/tmp/midwatch-test-none/none", &catalogue),
                     MW_E_NOT_FOUND);
    assert_int_equal(mw_catalogue_put_segment(NULL, segment), MW_OK);
    assert_int_equal(mw_catalogue_remove(NULL, 1), MW_OK);
    assert_int_equal(mw_catalogue_reconcile(NULL, &segment, 1, NULL, NULL, &changes), MW_OK);
    assert_int_equal(changes.kept, 0);
    assert_false(mw_catalogue_is_behind(NULL));
    mw_catalogue_close(NULL);
}

/* ---- beside others --------------------------------------------------------------------------- */

static void test_reader_beside_writer(void **state)
{
    (void)state;
    test_dir dir;
    mw_catalogue *reader = NULL;
    test_dir_init(&dir);
    assert_int_equal(mw_catalogue_open_reader(dir.root, &reader), MW_E_NOT_FOUND);
    mw_catalogue *catalogue = open_catalogue(&dir);
    put(catalogue, 1);
    assert_int_equal(mw_catalogue_open_reader(dir.root, &reader), MW_OK);
    assert_string_equal(ids_of(reader), "1 ");
    put(catalogue, 2);
    assert_string_equal(ids_of(reader), "1 2 ");
    mw_catalogue_close(reader);
    mw_catalogue_close(catalogue);
    test_dir_fini(&dir);
}

static int calls_left;

static void die_in_time(void)
{
    if (--calls_left == 0)
        _exit(0);
}

static ssize_t pwritev_or_die(int fd, const struct iovec *iov, int count, off_t offset)
{
    die_in_time();
    return mw_io_system()->pwritev(fd, iov, count, offset);
}

static int ftruncate_or_die(int fd, off_t len)
{
    die_in_time();
    return mw_io_system()->ftruncate(fd, len);
}

/* In a process of its own: dies at the n-th write of adding a row. */
static void add_and_die(const test_dir *dir, int n)
{
    static mw_io io;
    pid_t child = fork();
    assert_true(child >= 0);
    if (child > 0) {
        assert_int_equal(waitpid(child, NULL, 0), child);
        return;
    }
    mw_catalogue *catalogue = open_catalogue(dir);
    io = *mw_io_system();
    io.pwritev = pwritev_or_die;
    io.ftruncate = ftruncate_or_die;
    calls_left = n;
    mw_io_use(&io);
    put(catalogue, 2);
    _exit(0);
}

/* kill -9 at any point of a change: whoever verifies finds nothing wrong, and the next writer goes
 * on from before it or from behind it. */
static void test_killed_writer(void **state)
{
    size_t cut_off = 0;
    (void)state;
    for (int n = 1; n <= 24; n++) {
        test_dir dir;
        mw_catalogue *catalogue = NULL;
        test_dir_init(&dir);
        mw_catalogue *made = open_catalogue(&dir);
        mw_catalogue_close(made);
        add_and_die(&dir, n);
        mw_err err = mw_catalogue_open_reader(dir.root, &catalogue);
        assert_true(err == MW_OK || err == MW_E_AGAIN);
        if (err == MW_OK)
            mw_catalogue_close(catalogue);
        else
            assert_int_equal(mw_store_verify_catalogue(dir.root, NULL, NULL), MW_OK);
        cut_off += err == MW_E_AGAIN;
        catalogue = open_catalogue(&dir);
        const char *ids = ids_of(catalogue);
        assert_true(strstr(ids, "2") || ids[0] == '\0');
        mw_catalogue_close(catalogue);
        test_dir_fini(&dir);
    }
    assert_true(cut_off > 0);
}

/* Somebody holds a read lock for longer than the keeper waits: the row comes later. */
static void test_busy(void **state)
{
    (void)state;
    test_dir dir;
    char path[128];
    sqlite3 *db;
    fake_segment fake;
    const mw_segment *segment = &fake.segment;
    test_dir_init(&dir);
    catalogue_path(&dir, path);
    mw_catalogue *catalogue = open_catalogue(&dir);
    assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
    assert_int_equal(sqlite3_exec(db, "BEGIN; SELECT * FROM segment", NULL, NULL, NULL), SQLITE_OK);
    fake_init(&fake, 1);
    assert_int_equal(mw_catalogue_put_segment(catalogue, segment), MW_E_BUSY);
    assert_true(mw_catalogue_is_behind(catalogue));
    sqlite3_close(db);
    assert_int_equal(mw_catalogue_reconcile(catalogue, &segment, 1, NULL, NULL, NULL), MW_OK);
    assert_false(mw_catalogue_is_behind(catalogue));
    assert_string_equal(ids_of(catalogue), "1 ");
    mw_catalogue_close(catalogue);
    test_dir_fini(&dir);
}

static void test_without_memory(void **state)
{
    (void)state;
    test_dir dir;
    fake_segment fake;
    const mw_segment *segment = &fake.segment;
    test_dir_init(&dir);
    mw_catalogue *catalogue = NULL;
    fake_init(&fake, 1);
    for (uint64_t n = 1; n <= 2; n++) {
        mw_memory_fail_at(n);
        assert_int_equal(mw_catalogue_open(dir.root, &catalogue), MW_E_NOMEM);
    }
    mw_memory_fail_at(0);
    catalogue = open_catalogue(&dir);
    mw_memory_fail_at(1);
    assert_int_equal(mw_catalogue_put_segment(catalogue, segment), MW_E_NOMEM);
    assert_true(mw_catalogue_is_behind(catalogue));
    for (uint64_t n = 1; n <= 3; n++) {
        mw_memory_fail_at(n);
        assert_int_equal(mw_catalogue_reconcile(catalogue, &segment, 1, NULL, NULL, NULL),
                         MW_E_NOMEM);
        assert_string_equal(ids_of(catalogue), "");
    }
    mw_memory_fail_at(0);
    assert_int_equal(mw_catalogue_reconcile(catalogue, &segment, 1, NULL, NULL, NULL), MW_OK);
    assert_string_equal(ids_of(catalogue), "1 ");
    mw_catalogue_close(catalogue);
    assert_int_equal(mw_memory_component_used(MW_MEM_STORE), 0);
    test_dir_fini(&dir);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rows),
        cmocka_unit_test(test_replaced),
        cmocka_unit_test(test_callback_ends_it),
        cmocka_unit_test(test_foreign),
        cmocka_unit_test(test_damage_anywhere),
        cmocka_unit_test(test_reconcile),
        cmocka_unit_test(test_no_catalogue),
        cmocka_unit_test(test_reader_beside_writer),
        cmocka_unit_test(test_killed_writer),
        cmocka_unit_test(test_busy),
        cmocka_unit_test(test_without_memory),
    };
    mw_log_init(MW_LOG_ERROR, MW_LOG_LOGFMT, STDERR_FILENO);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
