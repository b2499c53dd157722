/* The keeper beside others: closed in the middle of merges, senders and questions meanwhile, and
 * when appends have to wait for it.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <sys/stat.h>

#include "tests/unit/lib-store/quick_disk.h"
#include "tests/unit/lib-store/store_test.h"

#include "lib/store/merge/merge.h"

/* Senders end, however slow the questions beside them are. */
enum { SEGMENT = 6 * 1024, SENT_MAX = 1500 };

static mw_store_stats stats_of(mw_store *store)
{
    mw_store_stats stats;
    mw_store_stats_read(store, &stats);
    return stats;
}

/* Closed in the middle, again and again, while somebody appends. */
static void test_stops(void **state)
{
    test_dir dir;
    uint64_t appended = 0;
    (void)state;
    test_dir_init(&dir);
    for (int round = 0; round < 25; round++) {
        mw_store *store = open_merging(dir.store, SEGMENT);
        assert_int_equal(stats_of(store).spans, 2 * appended);
        for (int i = 0; i < 40; i++, appended++)
            assert_int_equal(append_spans(store, appended, appended * 2 + 1, 2), MW_OK);
        mw_store_close(store);
        assert_int_equal(count_files(dir.store, ".tmp"), 0);
    }
    mw_store *store = open_merging(dir.store, SEGMENT);
    merge_to_rest(store);
    mw_store_stats stats = stats_of(store);
    assert_int_equal(stats.spans, 2 * appended);
    assert_int_equal(stats.repeats, 0);
    for (uint64_t i = 0; i < appended; i++)
        assert_int_equal(count_spans(store, i), 2);
    mw_store_close(store);
    assert_int_equal(mw_store_verify(dir.store, NULL, NULL, NULL), MW_OK);
    test_dir_fini(&dir);
}

typedef struct sender {
    mw_store *store;
    uint64_t from;
    atomic_bool stop;
    uint64_t sent;
} sender;

static void *send_spans(void *ctx)
{
    sender *self = ctx;
    while (!atomic_load(&self->stop) && self->sent < SENT_MAX) {
        assert_int_equal(append_spans(self->store, self->from + self->sent, 1, 3), MW_OK);
        self->sent++;
    }
    return NULL;
}

/* What is acknowledged is seen at once and stays, while merges go on under the questions. */
static void test_beside_senders(void **state)
{
    test_dir dir;
    pthread_t threads[3];
    sender senders[3];
    (void)state;
    test_dir_init(&dir);
    /* Not so small that there are more open segments than descriptors. */
    mw_store *store = open_merging(dir.store, (size_t)512 << 10);
    for (size_t i = 0; i < 3; i++) {
        senders[i] = (sender){.store = store, .from = i * 1000000};
        pthread_create(&threads[i], NULL, send_spans, &senders[i]);
    }
    for (uint64_t i = 0; i < 100; i++) {
        assert_int_equal(append_spans(store, 9000000 + i, 1, 2), MW_OK);
        for (uint64_t k = i > 20 ? i - 20 : 0; k <= i; k++)
            assert_int_equal(count_spans(store, 9000000 + k), 2);
    }
    uint64_t all = 100 * 2;
    for (size_t i = 0; i < 3; i++) {
        atomic_store(&senders[i].stop, true);
        pthread_join(threads[i], NULL);
        all += 3 * senders[i].sent;
    }
    merge_to_rest(store);
    assert_int_equal(stats_of(store).spans, all);
    assert_int_equal(stats_of(store).repeats, 0);
    assert_true(stats_of(store).merges > 1);
    mw_store_close(store);
    test_dir_fini(&dir);
}

/* Appends are refused while too much waits, but not by a store that cannot merge. */
static void test_backlog(void **state)
{
    test_dir dir;
    test_batch batch;
    (void)state;
    test_dir_init(&dir);
    mw_store *store = open_merging(dir.store, SEGMENT);
    test_batch_init(&batch, 1);
    test_span(&batch, 0, 1, 1, 0);
    assert_int_equal(append_wait(store, &batch.batch, NULL), MW_OK);
    atomic_fetch_add(&store->unmerged_bytes, MW_MERGE_BACKLOG_MAX + 1);
    assert_int_equal(mw_store_append(store, &batch.batch, NULL, NULL), MW_E_BUSY);
    atomic_store(&store->keeper.failing, true);
    assert_int_equal(append_wait(store, &batch.batch, NULL), MW_OK);
    atomic_store(&store->keeper.failing, false);
    atomic_fetch_sub(&store->unmerged_bytes, MW_MERGE_BACKLOG_MAX + 1);
    assert_int_equal(append_wait(store, &batch.batch, NULL), MW_OK);
    test_batch_fini(&batch);
    mw_store_close(store);
    test_dir_fini(&dir);
}

static bool no_names;
static pthread_t merger; /* without a keeper, who asks */

/* The writer's renames are left alone. */
static int rename_unless(const char *from, const char *to)
{
    if (!pthread_equal(pthread_self(), merger) || !no_names)
        return mw_io_system()->rename(from, to);
    errno = ENOSPC;
    return -1;
}

/* A merge that failed stays counted; whether merging still fails is told apart, and since when. */
static void test_failures_are_told(void **state)
{
    test_dir dir;
    static mw_io io;
    (void)state;
    io = *mw_io_current();
    io.rename = rename_unless;
    merger = pthread_self();
    const mw_io *before = mw_io_current();
    mw_io_use(&io);
    test_dir_init(&dir);
    mw_store *store = open_store(dir.store);
    assert_int_equal(append_spans(store, 1, 1, 2), MW_OK);
    assert_int_equal(stats_of(store).merge_failed_ns, 0);
    no_names = true;
    uint64_t begun_ns = (uint64_t)mw_clock_wall_ns(mw_clock_system());
    assert_int_not_equal(mw_store_merge_all(store, 10 * MW_NS_PER_S), MW_OK);
    mw_store_stats failed = stats_of(store);
    assert_true(failed.merging_fails);
    assert_true(failed.merge_failures > 0);
    assert_true(failed.merge_failed_ns >= begun_ns);
    no_names = false;
    assert_int_equal(mw_store_merge_all(store, 10 * MW_NS_PER_S), MW_OK);
    mw_store_stats mended = stats_of(store);
    assert_false(mended.merging_fails);
    assert_true(mended.merges > failed.merges);
    assert_int_equal(mended.merge_failures, failed.merge_failures);
    assert_int_equal(mended.merge_failed_ns, failed.merge_failed_ns);
    mw_store_close(store);
    test_dir_fini(&dir);
    mw_io_use(before);
}

/* ---- a bound on the size --------------------------------------------------------------------- */

static void append_bytes(mw_store *store, test_random *random, uint64_t trace, size_t bytes,
                         bool digits)
{
    test_batch batch;
    char *text = malloc(bytes);
    test_batch_init(&batch, 1);
    test_span(&batch, 0, trace, trace, 0);
    for (size_t i = 0; i < bytes; i++)
        text[i] = digits ? "0123456789abcdef"[random_next(random) % 16] : (char)random_next(random);
    batch.items[0].bytes = test_text(&batch, text, bytes);
    assert_int_equal(append_wait(store, &batch.batch, NULL), MW_OK);
    test_batch_fini(&batch);
    free(text);
}

/* A request of `bytes` that cannot be packed. */
static void append_random(mw_store *store, test_random *random, uint64_t trace, size_t bytes)
{
    append_bytes(store, random, trace, bytes, false);
}

static uint64_t bytes_in(const test_dir *dir)
{
    uint64_t bytes = 0;
    char path[512];
    struct stat status;
    DIR *entries = opendir(dir->store);
    assert_non_null(entries);
    for (struct dirent *entry; (entry = readdir(entries)) != NULL;) {
        snprintf(path, sizeof path, "%s/%s", dir->store, entry->d_name);
        if (strncmp(entry->d_name, "00", 2) == 0 && stat(path, &status) == 0)
            bytes += (uint64_t)status.st_size;
    }
    closedir(entries);
    return bytes;
}

/* Under load and with a merge due in an hour alone, the directory stays near its bound: by a merge
 * and a segment, and what comes meanwhile. The newest is never what goes. */
static void test_size_bounds_what_waits(void **state)
{
    enum { LIMIT = 1 << 20, REQUEST = 8 << 10, REQUESTS = 10 * LIMIT / REQUEST };
    test_dir dir;
    test_random random = {7};
    uint64_t most = 0;
    (void)state;
    test_dir_init(&dir);
    mw_store_config config = {.directory = dir.store,
                              .clock = mw_clock_system(),
                              .queue_budget_bytes = MW_STORE_QUEUE_DEFAULT,
                              .segment_max_bytes = MW_STORE_SEGMENT_DEFAULT,
                              .merge_after_ns = 3600 * MW_NS_PER_S,
                              .merge = true,
                              .retention_bytes = LIMIT};
    mw_store *store;
    assert_int_equal(mw_store_open(&config, &store, NULL), MW_OK);
    for (uint64_t i = 1; i <= REQUESTS; i++) {
        append_random(store, &random, i, REQUEST);
        while (stats_of(store).unmerged_bytes > LIMIT / 2) /* however slow merges are here */
            usleep(500);
        uint64_t now = bytes_in(&dir);
        most = now > most ? now : most;
    }
    print_message("a bound of %d bytes: %llu at most\n", LIMIT, (unsigned long long)most);
    assert_true(most > LIMIT / 2);
    assert_true(most < 2 * LIMIT);
    assert_int_equal(count_spans(store, REQUESTS), 1);
    assert_int_equal(count_spans(store, 1), 0);
    mw_store_stats stats = stats_of(store);
    assert_true(stats.merges > 0 && stats.retired_segments > 0);
    assert_int_equal(stats.spans + stats.retired_items, REQUESTS);
    mw_store_close(store);
    assert_int_equal(mw_store_verify(dir.store, NULL, NULL, NULL), MW_OK);
    assert_int_equal(mw_store_verify_catalogue(dir.store, NULL, NULL), MW_OK);
    test_dir_fini(&dir);
}

/* What merging halves counts for half while it waits: the bound is full of what is merged, and
 * holds when all is. Of the bound, a quarter is what waits here (half of it, halved), and a quarter
 * at most is the segment that went last (mw_retention_merge_max); counted in full, what waits would
 * leave a quarter. */
static void test_size_counts_what_stays(void **state)
{
    enum { LIMIT = 2 << 20, REQUEST = 8 << 10, REQUESTS = 8 * LIMIT / REQUEST };
    test_dir dir;
    test_random random = {5};
    uint64_t most = 0, least_merged = UINT64_MAX;
    (void)state;
    test_dir_init(&dir);
    mw_store_config config = {.directory = dir.store,
                              .clock = mw_clock_system(),
                              .queue_budget_bytes = MW_STORE_QUEUE_DEFAULT,
                              .segment_max_bytes = MW_STORE_SEGMENT_DEFAULT,
                              .merge_after_ns = 3600 * MW_NS_PER_S,
                              .merge = true,
                              .retention_bytes = LIMIT};
    mw_store *store;
    assert_int_equal(mw_store_open(&config, &store, NULL), MW_OK);
    for (uint64_t i = 1; i <= REQUESTS; i++) {
        append_bytes(store, &random, i, REQUEST, true);
        while (stats_of(store).unmerged_bytes > LIMIT / 2) /* however slow merges are here */
            usleep(500);
        uint64_t now = bytes_in(&dir), merged = stats_of(store).merged_bytes;
        most = now > most ? now : most;
        if (i > REQUESTS / 2)
            least_merged = merged < least_merged ? merged : least_merged;
    }
    print_message("a bound of %d bytes: %llu at most, %llu merged at least\n", LIMIT,
                  (unsigned long long)most, (unsigned long long)least_merged);
    assert_true(most < LIMIT + 3 * (uint64_t)LIMIT / 4);
    assert_true(least_merged > (uint64_t)LIMIT / 2);
    merge_to_rest(store);
    assert_true(bytes_in(&dir) > 3 * (uint64_t)LIMIT / 4);
    for (int tries = 0; bytes_in(&dir) > LIMIT; tries++) {
        assert_true(tries < 300); /* the next look at the size */
        usleep(10000);
    }
    mw_store_close(store);
    test_dir_fini(&dir);
}

static int no_merged_segment(const char *from, const char *to)
{
    char magic[12] = {0};
    int fd = open(from, O_RDONLY);
    bool merged = fd >= 0 && pread(fd, magic, sizeof magic, 0) == sizeof magic && magic[10] == 1;
    if (fd >= 0)
        close(fd);
    errno = EIO;
    return merged ? -1 : mw_io_system()->rename(from, to);
}

/* A store that cannot merge keeps to its size all the same: the oldest of the log goes. */
static void test_size_without_merges(void **state)
{
    enum { LIMIT = 1 << 20, REQUEST = 8 << 10, REQUESTS = 4 * LIMIT / REQUEST };
    test_dir dir;
    test_random random = {9};
    mw_io io = *mw_io_current();
    const mw_io *before = mw_io_current();
    (void)state;
    test_dir_init(&dir);
    io.rename = no_merged_segment;
    mw_io_use(&io);
    mw_store_config config = {.directory = dir.store,
                              .clock = mw_clock_system(),
                              .queue_budget_bytes = MW_STORE_QUEUE_DEFAULT,
                              .segment_max_bytes = MW_STORE_SEGMENT_DEFAULT,
                              .retention_bytes = LIMIT};
    mw_store *store;
    assert_int_equal(mw_store_open(&config, &store, NULL), MW_OK);
    for (uint64_t i = 1; i <= REQUESTS; i++)
        append_random(store, &random, i, REQUEST);
    assert_int_equal(mw_store_merge_all(store, 5 * MW_NS_PER_S), MW_E_IO);
    assert_true(bytes_in(&dir) <= LIMIT);
    assert_true(bytes_in(&dir) > LIMIT / 2);
    mw_store_stats stats = stats_of(store);
    assert_int_equal(stats.merges, 0);
    assert_true(stats.unmerged_bytes <= LIMIT);
    assert_int_equal(stats.spans + stats.retired_items, REQUESTS);
    uint64_t left = stats.spans;
    mw_store_close(store);
    mw_io_use(before);
    assert_int_equal(mw_store_verify_catalogue(dir.store, NULL, NULL), MW_OK);
    store = open_store(dir.store);
    assert_int_equal(stats_of(store).spans, left);
    assert_int_equal(count_spans(store, REQUESTS), 1);
    merge_to_rest(store);
    mw_store_close(store);
    test_dir_fini(&dir);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_stops),
        cmocka_unit_test(test_beside_senders),
        cmocka_unit_test(test_backlog),
        cmocka_unit_test(test_failures_are_told),
        cmocka_unit_test(test_size_bounds_what_waits),
        cmocka_unit_test(test_size_counts_what_stays),
        cmocka_unit_test(test_size_without_merges),
    };
    return cmocka_run_group_tests(tests, quick_disk_begin, quick_disk_end);
}
