/* Sums over traces asked for by many threads at once, of segments that have none yet: one list of
 * each is kept, all find the same, and what is kept goes with the store. */
#include "lib/store/query/list_bounds.h"
#include "lib/store/segment/tail_share.h"
#include "tests/unit/lib-store/query_model.h"

#define ASKERS 4

static mw_store *asked;

/* How many candidates there are. */
static void *find_all(void *ctx)
{
    size_t *count = ctx;
    const mw_list_filter filter = {.tokens_min = 1};
    mw_list_question question = {.filter = &filter, .to_ns = UINT64_MAX, .sessions = true};
    mw_list_candidates found;
    MW_ASSERT(mw_store_view_open(asked, &question.view) == MW_OK);
    MW_ASSERT(mw_list_bounds_find(&question, &found) == MW_OK);
    *count = found.count;
    mw_list_candidates_fini(&found);
    mw_store_view_close(question.view);
    return NULL;
}

static void test_at_once(void **state)
{
    const shape form = {44, 160, 8, 200, 10, 400, 40, 100, 150, 12};
    size_t counts[ASKERS], before = mw_share_held(MW_SHARE_PIECES);
    pthread_t threads[ASKERS];
    test_dir dir;
    expected model;
    (void)state;
    test_dir_init(&dir);
    asked = open_with(dir.store, mw_clock_system(), MW_STORE_QUEUE_DEFAULT, 8 * 1024);
    fill(asked, &model.all, &form);
    expect(&model);
    merge_model(asked, &model, form.seed, 4);
    for (size_t i = 0; i < ASKERS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, find_all, &counts[i]), 0);
    for (size_t i = 0; i < ASKERS; i++)
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    for (size_t i = 0; i < ASKERS; i++)
        assert_true(counts[i] > 0 && counts[i] == counts[0]);
    assert_true(mw_share_held(MW_SHARE_PIECES) > before);
    mw_store_close(asked);
    assert_int_equal(mw_share_held(MW_SHARE_PIECES), before);
    forget(&model);
    test_dir_fini(&dir);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_at_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
