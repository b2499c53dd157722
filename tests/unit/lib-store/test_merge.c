/* Merging real stores: what could be asked before is answered the same after. */
#include <math.h>

#include "tests/unit/lib-store/batch_random.h"
#include "tests/unit/lib-store/quick_disk.h"

static void test_smoke(void **state)
{
    test_dir dir;
    mw_store_stats stats;
    (void)state;
    test_dir_init(&dir);
    mw_store *store = open_store(dir.store);
    for (uint64_t i = 0; i < 20; i++)
        assert_int_equal(append_spans(store, 1 + i % 5, 1 + 3 * i, 3), MW_OK);
    assert_int_equal(mw_store_merge_all(store, 10 * MW_NS_PER_S), MW_OK);
    mw_store_stats_read(store, &stats);
    assert_int_equal(stats.merges, 1);
    assert_int_equal(stats.merged_segments, 1);
    assert_int_equal(stats.unmerged_bytes, 0);
    assert_int_equal(stats.spans, 60);
    for (uint64_t i = 0; i < 5; i++)
        assert_int_equal(count_spans(store, 1 + i), 12);
    mw_store_close(store);
    store = open_store(dir.store);
    for (uint64_t i = 0; i < 5; i++)
        assert_int_equal(count_spans(store, 1 + i), 12);
    mw_store_close(store);
    test_dir_fini(&dir);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_smoke),
    };
    return cmocka_run_group_tests(tests, quick_disk_begin, quick_disk_end);
}
