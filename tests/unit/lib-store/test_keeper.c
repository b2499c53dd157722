/* The keeper beside others: closed in the middle of merges, senders and questions meanwhile, and
 * when appends have to wait for it.
 */
#include <dirent.h>

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

static size_t temporary_files(const test_dir *dir)
{
    size_t count = 0;
    DIR *entries = opendir(dir->store);
    assert_non_null(entries);
    for (struct dirent *entry; (entry = readdir(entries)) != NULL;)
        count += strstr(entry->d_name, ".tmp") != NULL;
    closedir(entries);
    return count;
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
        assert_int_equal(temporary_files(&dir), 0);
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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_stops),
        cmocka_unit_test(test_beside_senders),
        cmocka_unit_test(test_backlog),
    };
    return cmocka_run_group_tests(tests, quick_disk_begin, quick_disk_end);
}
