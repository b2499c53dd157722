/* The tree of a trace: order, orphans, cycles, folding, the critical path, what is left out. */
#include <stdio.h>
#include <stdlib.h>

#include "server/api/trace_tree.h"
#include "tests/check.h"

/* What each row is, one behind the other: depth, item, "xN" when folded, "!N" failed, "+N" hidden
 * spans, "o" orphan, "c" cycle. */
static void describe(const mw_tree *tree, char *text, size_t size)
{
    size_t used = 0;
    text[0] = '\0';
    for (size_t i = 0; i < tree->count && used < size; i++) {
        const mw_tree_row *row = &tree->rows[i];
        used += (size_t)snprintf(text + used, size - used, "%s%u:%u", i ? " " : "", row->depth,
                                 row->first);
        if (row->count > 1)
            used += (size_t)snprintf(text + used, size - used, "x%u", row->count);
        if (row->errors)
            used += (size_t)snprintf(text + used, size - used, "!%u", row->errors);
        if (row->hidden.spans)
            used += (size_t)snprintf(text + used, size - used, "+%llu",
                                     (unsigned long long)row->hidden.spans);
        if (row->note)
            used += (size_t)snprintf(text + used, size - used, "%s",
                                     row->note & MW_TREE_CYCLE ? "c" : "o");
    }
}

static void expect(const mw_tree_item *items, size_t count, size_t limit, const char *wanted)
{
    mw_tree tree;
    char text[512];
    assert_int_equal(mw_tree_build(items, count, limit, true, &tree), MW_OK);
    describe(&tree, text, sizeof text);
    assert_string_equal(text, wanted);
    mw_tree_fini(&tree);
}

/* A span of signature `what` in [start, end). */
static mw_tree_item span(uint64_t id, uint64_t parent, uint64_t start, uint64_t end, uint64_t what)
{
    return (mw_tree_item){.id = id,
                          .parent_id = parent,
                          .start_ns = start,
                          .end_ns = end,
                          .signature = what,
                          .input_tokens = 1,
                          .output_tokens = -1};
}

static mw_tree_item record(uint64_t parent, uint64_t time, uint64_t what)
{
    mw_tree_item item = span(0, parent, time, time, what);
    item.input_tokens = -1;
    return item;
}

static void test_order(void **state)
{
    (void)state;
    const mw_tree_item items[] = {span(1, 0, 0, 9, 1), span(2, 1, 1, 5, 2), record(2, 2, 9),
                                  span(3, 2, 2, 3, 3), span(4, 3, 2, 3, 4), span(5, 1, 6, 8, 5),
                                  record(77, 7, 9)};
    expect(items, 7, 0, "0:0 1:1 2:2 2:3 3:4 1:5 0:6o");
    /* A child that stands before its parent, as clocks have it. */
    const mw_tree_item early[] = {span(3, 2, 0, 1, 1), span(2, 1, 1, 2, 2), span(1, 0, 2, 3, 3)};
    expect(early, 3, 0, "0:2 1:1 2:0");
    expect(NULL, 0, 0, "");
}

static void test_orphans_and_cycles(void **state)
{
    (void)state;
    const mw_tree_item orphan[] = {span(1, 9, 0, 1, 1), span(2, 1, 0, 1, 2), span(3, 0, 0, 1, 3)};
    expect(orphan, 3, 0, "0:0o 1:1 0:2");
    const mw_tree_item own[] = {span(1, 1, 0, 1, 1)};
    expect(own, 1, 0, "0:0c");
    /* t hangs on a, a and b and c on each other. */
    const mw_tree_item tail[] = {span(9, 1, 0, 1, 1), span(1, 2, 1, 2, 2), span(2, 3, 2, 3, 3),
                                 span(3, 1, 3, 4, 4), span(5, 0, 4, 5, 5)};
    expect(tail, 5, 0, "0:1c 1:0 1:3 2:2 0:4");
}

static void test_folding(void **state)
{
    (void)state;
    mw_tree_item items[16];
    size_t count = 0;
    items[count++] = span(1, 0, 0, 100, 1);
    for (uint64_t i = 0; i < 5; i++) {
        items[count++] = span(10 + i, 1, 10 * i, 10 * i + 2 + i, 7);
        items[count++] = span(20 + i, 10 + i, 10 * i, 10 * i + 1, 8);
    }
    items[count++] = span(30, 1, 90, 91, 9);
    items[7].failed = true; /* of the fourth */
    expect(items, count, 0, "0:0 1:1x5!1 2:2x5 1:11");
    mw_tree tree;
    assert_int_equal(mw_tree_build(items, count, 0, true, &tree), MW_OK);
    const mw_tree_row *row = &tree.rows[1];
    assert_int_equal(row->total_ns, 2 + 3 + 4 + 5 + 6);
    assert_int_equal(row->shortest_ns, 2);
    assert_int_equal(row->longest_ns, 6);
    assert_int_equal(row->longest, 9);
    assert_int_equal(row->end_ns, 46);
    assert_int_equal(row->failed_count, 1);
    assert_int_equal(row->failed[0], 7);
    assert_int_equal(row->input_tokens, 5);
    assert_int_equal(row->output_tokens, -1);
    mw_tree_fini(&tree);
    assert_int_equal(mw_tree_build(items, count, 0, false, &tree), MW_OK);
    assert_int_equal(tree.count, count);
    mw_tree_fini(&tree);
    /* One without its child is another shape; four are left. */
    items[10].parent_id = 1;
    items[10].signature = 10;
    expect(items, count, 0, "0:0 1:1x4!1 2:2x4 1:9 1:10 1:11");
}

/* Three are read one by one; records fold, but not with spans of their signature. */
static void test_what_does_not_fold(void **state)
{
    (void)state;
    const mw_tree_item three[] = {span(1, 0, 0, 9, 1), span(2, 1, 1, 2, 2), span(3, 1, 2, 3, 2),
                                  span(4, 1, 3, 4, 2)};
    expect(three, 4, 0, "0:0 1:1 1:2 1:3");
    const mw_tree_item mixed[] = {span(1, 0, 0, 9, 1), record(1, 1, 5), record(1, 2, 5),
                                  span(2, 1, 2, 3, 5), record(1, 3, 5), record(1, 4, 5)};
    expect(mixed, 6, 0, "0:0 1:1x4 1:3");
}

static void expect_critical(const mw_tree_item *items, size_t count, const uint64_t *wanted)
{
    mw_tree tree;
    uint64_t all = 0;
    assert_int_equal(mw_tree_build(items, count, 0, false, &tree), MW_OK);
    for (size_t i = 0; i < tree.count; i++) {
        assert_int_equal(tree.rows[i].critical_ns, wanted[tree.rows[i].first]);
        all += tree.rows[i].critical_ns;
    }
    assert_int_equal(tree.critical_ns, all);
    mw_tree_fini(&tree);
}

static void test_critical_path(void **state)
{
    (void)state;
    /* One after the other, with time between them. */
    const mw_tree_item serial[] = {span(1, 0, 0, 100, 1), span(2, 1, 10, 40, 2),
                                   span(3, 1, 50, 90, 3), record(1, 95, 9)};
    expect_critical(serial, 4, (const uint64_t[]){30, 30, 40, 0});
    /* Beside each other: who ended last; what began before it counts up to its start. */
    const mw_tree_item parallel[] = {span(1, 0, 0, 100, 1), span(2, 1, 0, 70, 2),
                                     span(3, 1, 60, 100, 3), span(4, 1, 65, 99, 4)};
    expect_critical(parallel, 4, (const uint64_t[]){0, 60, 40, 0});
    /* A child that outlives its parent is waited for by nobody. */
    const mw_tree_item late[] = {span(1, 0, 0, 100, 1), span(2, 1, 10, 50, 2),
                                 span(3, 2, 20, 90, 3)};
    expect_critical(late, 3, (const uint64_t[]){60, 10, 30});
    /* Unless it ends the trace. */
    const mw_tree_item last[] = {span(1, 0, 0, 100, 1), span(2, 1, 10, 50, 2),
                                 span(3, 2, 20, 130, 3), span(4, 2, 140, 150, 4)};
    expect_critical(last, 4, (const uint64_t[]){10, 10, 110, 10});
    /* Two roots with a gap between them, and a span that ends before it starts. */
    const mw_tree_item roots[] = {span(1, 0, 0, 10, 1), span(2, 0, 30, 50, 2),
                                  span(3, 2, 40, 35, 3)};
    expect_critical(roots, 3, (const uint64_t[]){10, 20, 0});
}

/* Of all spans, those of one signature together; rows or not. */
static void test_critical_top(void **state)
{
    (void)state;
    mw_tree_item items[64];
    mw_tree tree;
    size_t count = 0;
    /* A chain in which each waits a little, and the last one works; two are alike. */
    for (uint64_t i = 0; i < 30; i++)
        items[count++] = span(i + 1, i, i, 1000 - i, i == 5 ? 4 : i);
    for (size_t limit = 0; limit < 8; limit += 7) {
        assert_int_equal(mw_tree_build(items, count, limit, true, &tree), MW_OK);
        assert_int_equal(tree.critical_ns, 1000);
        assert_int_equal(tree.top_count, MW_TREE_TOP_MAX);
        assert_int_equal(tree.top[0].most, 29);
        assert_int_equal(tree.top[0].count, 1);
        assert_int_equal(tree.top[0].critical_ns, 1000 - 58);
        assert_int_equal(tree.top[1].most, 4);
        assert_int_equal(tree.top[1].count, 2);
        assert_int_equal(tree.top[1].critical_ns, 4);
        for (size_t i = 2; i < MW_TREE_TOP_MAX; i++)
            assert_int_equal(tree.top[i].most, i < 6 ? i - 2 : i);
        mw_tree_fini(&tree);
    }
    assert_int_equal(mw_tree_build(NULL, 0, 0, true, &tree), MW_OK);
    assert_int_equal(tree.top_count, 0);
    mw_tree_fini(&tree);
}

/* Failures first, then the critical path; parents always, and the numbers of the rest. */
static void test_limit(void **state)
{
    (void)state;
    mw_tree_item items[24];
    size_t count = 0;
    items[count++] = span(1, 0, 0, 1000, 1);
    for (uint64_t i = 0; i < 20; i++)
        items[count++] = span(10 + i, 1, i * 10, i * 10 + 5, 100 + i);
    items[count++] = span(50, 25, 150, 153, 50);
    items[21].failed = true;
    expect(items, count, 4, "0:0+18 1:1 1:16 2:21!1");
    expect(items, count, 1, "0:0+21");
    mw_tree tree;
    assert_int_equal(mw_tree_build(items, count, 1, true, &tree), MW_OK);
    assert_int_equal(tree.rows[0].hidden.errors, 1);
    mw_tree_fini(&tree);
    /* At the top. */
    assert_int_equal(mw_tree_build(items + 1, 3, 1, true, &tree), MW_OK);
    assert_int_equal(tree.hidden.spans, 2);
    mw_tree_fini(&tree);
}

/* Long chains, many cycles, many sisters: no recursion, and nothing that grows with the square. */
static void test_large(void **state)
{
    (void)state;
    enum { COUNT = 200000 };
    mw_tree_item *items = calloc(COUNT, sizeof *items);
    mw_tree tree;
    assert_non_null(items);
    for (uint64_t i = 0; i < COUNT; i++)
        items[i] = span(i + 1, i, i, COUNT + 1, i % 7);
    assert_int_equal(mw_tree_build(items, COUNT, 1000, true, &tree), MW_OK);
    assert_int_equal(tree.count, 1000);
    assert_int_equal(tree.rows[999].depth, 999);
    assert_int_equal(tree.rows[999].hidden.spans, COUNT - 1000);
    mw_tree_fini(&tree);
    for (uint64_t i = 0; i < COUNT; i++)
        items[i].parent_id = (i ^ 1) + 1;
    assert_int_equal(mw_tree_build(items, COUNT, 10, false, &tree), MW_OK);
    assert_int_equal(tree.rows[0].note, MW_TREE_CYCLE);
    assert_int_equal(tree.count, 10);
    mw_tree_fini(&tree);
    for (uint64_t i = 1; i < COUNT; i++)
        items[i].parent_id = 1;
    items[0].parent_id = 0;
    assert_int_equal(mw_tree_build(items, COUNT, 0, true, &tree), MW_OK);
    assert_int_equal(tree.count, 8);
    mw_tree_fini(&tree);
    free(items);
}

/* Every allocation that fails is told, and nothing is left behind. */
static void test_no_memory(void **state)
{
    (void)state;
    const mw_tree_item items[] = {span(1, 0, 0, 9, 1), span(2, 1, 1, 2, 2), span(3, 4, 1, 2, 2),
                                  span(4, 3, 1, 2, 2)};
    size_t before = mw_memory_component_used(MW_MEM_QUERY);
    mw_err err = MW_E_NOMEM;
    for (uint64_t n = 1; err == MW_E_NOMEM; n++) {
        mw_tree tree;
        mw_memory_fail_at(n);
        err = mw_tree_build(items, 4, 0, true, &tree);
        mw_memory_fail_at(0);
        mw_tree_fini(&tree);
        assert_int_equal(mw_memory_component_used(MW_MEM_QUERY), before);
        assert_true(n < 100);
    }
    assert_int_equal(err, MW_OK);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_order),         cmocka_unit_test(test_orphans_and_cycles),
        cmocka_unit_test(test_folding),       cmocka_unit_test(test_what_does_not_fold),
        cmocka_unit_test(test_critical_path), cmocka_unit_test(test_critical_top),
        cmocka_unit_test(test_limit),         cmocka_unit_test(test_large),
        cmocka_unit_test(test_no_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
