/* Deployments, plans, and the steps in the life of a run. */
#include "lib/state/deployments.h"
#include "lib/state/plans.h"
#include "tests/unit/lib-state/fixture.h"

/* ---- deployments ----------------------------------------------------------------------------- */

static mw_err insert_deployment(mw_state_tx *tx, void *row)
{
    return mw_state_deployment_insert(tx, row);
}

static mw_deployment_row add_deployment(unsigned n, const char *service, const char *version,
                                        int64_t time_ns)
{
    mw_deployment_row row = {.id = id_of(n),
                             .space = MW_SLICE("default"),
                             .service = mw_slice_of(service),
                             .version = mw_slice_of(version),
                             .region = MW_SLICE("eu"),
                             .commit = MW_SLICE("abc"),
                             .principal = MW_SLICE("local:x"),
                             .time_ns = time_ns,
                             .recorded_ns = 5};
    assert_int_equal(change(insert_deployment, &row), MW_OK);
    return row;
}

static void test_deployments(void **unused)
{
    (void)unused;
    mw_deployment_row *rows, one;
    size_t count;
    uint64_t total;
    mw_slice next;
    mw_deployment_row third = add_deployment(3, "pay", "3", 300); /* in any order */
    add_deployment(1, "pay", "1", 100);
    add_deployment(2, "pay", "2", 200);
    add_deployment(4, "cart", "9", 250);
    assert_int_equal(change(insert_deployment, &third), MW_E_CONFLICT);
    mw_state_tx *tx = begin();
    assert_int_equal(mw_state_deployment_get(tx, mw_slice_first(third.id, 8), &arena, &one), MW_OK);
    assert_slice(one.previous_version, "2");
    assert_slice(one.commit, "abc");
    mw_state_page page = {.limit = 2};
    assert_int_equal(
        mw_state_deployment_list(tx, &page, MW_SLICE("pay"), &arena, &rows, &count, &next, &total),
        MW_OK);
    assert_int_equal(count, 2);
    assert_int_equal(total, 3);
    assert_slice(rows[0].version, "3");
    page.cursor = next;
    assert_int_equal(
        mw_state_deployment_list(tx, &page, MW_SLICE("pay"), &arena, &rows, &count, &next, &total),
        MW_OK);
    assert_int_equal(count, 1);
    assert_slice(rows[0].previous_version, "");
    assert_int_equal(
        mw_state_deployment_between(tx, MW_SLICE("default"), 200, 250, 10, &arena, &rows, &count),
        MW_OK);
    assert_int_equal(count, 2); /* both ends count */
    assert_slice(rows[0].service, "cart");
    assert_int_equal(
        mw_state_deployment_between(tx, MW_SLICE("other"), 0, 999, 10, &arena, &rows, &count),
        MW_OK);
    assert_int_equal(count, 0);
    mw_state_read_end(tx);
}

/* ---- plans ----------------------------------------------------------------------------------- */

typedef struct put {
    mw_slice id, hash;
    int64_t now_ns;
} put;

static mw_err put_plan(mw_state_tx *tx, void *argument)
{
    const put *p = argument;
    return mw_state_plan_put(tx, p->id, p->hash, MW_SLICE("[]"), p->now_ns);
}

static mw_err supersede(mw_state_tx *tx, void *id)
{
    return mw_state_plan_supersede(tx, *(const mw_slice *)id);
}

typedef struct judging {
    mw_slice id;
    mw_plan_judgement judgement;
} judging;

static mw_err judge_plan(mw_state_tx *tx, void *argument)
{
    const judging *j = argument;
    return mw_state_plan_judge(tx, j->id, &j->judgement);
}

static mw_err judge(mw_slice id, const char *hash, const char *status)
{
    judging j = {
        id, {mw_slice_of(hash), mw_slice_of(status), MW_SLICE("local:x"), MW_SLICE("fine"), 77}};
    return change(judge_plan, &j);
}

static mw_plan_row newest(mw_slice id)
{
    mw_plan_row row;
    mw_state_tx *tx = begin();
    assert_int_equal(mw_state_plan_get(tx, id, &arena, &row), MW_OK);
    mw_state_read_end(tx);
    return row;
}

static void test_plans(void **unused)
{
    (void)unused;
    mw_slice id = add_investigation(1).id;
    put first = {id, MW_SLICE("aaaa"), 1}, second = {id, MW_SLICE("bbbb"), 2};
    assert_int_equal(judge(id, "aaaa", "APPROVED"), MW_E_NOT_FOUND);
    assert_int_equal(change(put_plan, &first), MW_OK);
    assert_slice(newest(id).status, "PROPOSED");
    assert_int_equal(judge(id, "cccc", "APPROVED"), MW_E_CONFLICT);
    assert_int_equal(judge(id, "aaaa", "APPROVED"), MW_OK);
    assert_int_equal(judge(id, "aaaa", "REJECTED"), MW_E_CONFLICT); /* once */
    assert_int_equal(change(put_plan, &first), MW_OK);              /* the same again */
    mw_plan_row row = newest(id);
    assert_slice(row.status, "APPROVED");
    assert_slice(row.judged_by, "local:x");
    assert_slice(row.comment, "fine");
    assert_int_equal(row.judged_ns, 77);
    assert_int_equal(row.created_ns, 1);
    assert_int_equal(change(put_plan, &second), MW_OK);
    assert_slice(newest(id).hash, "bbbb");
    assert_int_equal(count_rows("SELECT count(*) FROM plan WHERE status = 'SUPERSEDED'"), 1);
    assert_int_equal(judge(id, "aaaa", "APPROVED"), MW_E_CONFLICT);
    assert_int_equal(change(supersede, &id), MW_OK);
    assert_slice(newest(id).status, "SUPERSEDED");
    assert_int_equal(change(put_plan, &second), MW_OK); /* made again: proposed again */
    assert_slice(newest(id).status, "PROPOSED");
}

/* ---- runs ------------------------------------------------------------------------------------ */

static mw_err cancel(mw_state_tx *tx, void *id)
{
    return mw_state_investigation_cancel(tx, *(const mw_slice *)id);
}

static mw_err finish(mw_state_tx *tx, void *row)
{
    return mw_state_investigation_finish(tx, row);
}

static mw_err step(mw_state_tx *tx, void *id)
{
    mw_journal_row row = {.record_id = id_of(77),
                          .type = MW_SLICE("PLANNING"),
                          .text = MW_SLICE("t"),
                          .evidence_json = MW_SLICE("[]")};
    return mw_state_journal_step(tx, *(const mw_slice *)id, &row);
}

static void test_a_run_that_is_taken_away(void **unused)
{
    (void)unused;
    mw_investigation_row row = add_investigation(1);
    assert_int_equal(change(step, &row.id), MW_E_CONFLICT); /* nobody runs it yet */
    row.status = MW_SLICE("IN_PROGRESS");
    assert_int_equal(change(update_investigation, &row), MW_OK);
    assert_int_equal(change(step, &row.id), MW_OK);
    assert_int_equal(change(cancel, &row.id), MW_OK);
    assert_int_equal(change(cancel, &row.id), MW_E_CONFLICT);
    row.status = MW_SLICE("COMPLETED");
    assert_int_equal(change(finish, &row), MW_E_CONFLICT);
    assert_int_equal(count_rows("SELECT count(*) FROM investigation WHERE status = 'CANCELED'"), 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_STATE(test_deployments),
        WITH_STATE(test_plans),
        WITH_STATE(test_a_run_that_is_taken_away),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
