/* The order of spans: parents first, siblings as given, orphans and circles not lost. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "cli/tree.h"

/* Nodes as "id parent" words; wanted as "id:depth" words. */
static void expect(const char *const nodes[][2], size_t count, const char *wanted)
{
    mw_tree_node tree[16];
    size_t order[16];
    char text[256] = "";
    size_t used = 0;
    for (size_t i = 0; i < count; i++)
        tree[i] = (mw_tree_node){mw_slice_of(nodes[i][0]), mw_slice_of(nodes[i][1]), 99};
    mw_tree_order(tree, count, order);
    for (size_t i = 0; i < count; i++)
        used += (size_t)snprintf(text + used, sizeof text - used, "%s%.*s:%zu", i ? " " : "",
                                 MW_SLICE_FMT(tree[order[i]].id), tree[order[i]].depth);
    assert_string_equal(text, wanted);
}

static void test_tree(void **state)
{
    (void)state;
    const char *const nodes[][2] = {{"r", ""},  {"b", "r"}, {"a", "r"},
                                    {"c", "b"}, {"d", "c"}, {"e", "r"}};
    expect(nodes, 6, "r:0 b:1 c:2 d:3 a:1 e:1");
}

static void test_child_before_parent(void **state)
{
    (void)state;
    const char *const nodes[][2] = {{"c", "p"}, {"p", "r"}, {"r", ""}};
    expect(nodes, 3, "r:0 p:1 c:2");
}

static void test_orphans_are_roots(void **state)
{
    (void)state;
    const char *const nodes[][2] = {{"x", "gone"}, {"r", ""}, {"y", "x"}};
    expect(nodes, 3, "x:0 y:1 r:0");
}

static void test_circles(void **state)
{
    (void)state;
    const char *const own[][2] = {{"s", "s"}};
    expect(own, 1, "s:0");
    const char *const two[][2] = {{"a", "b"}, {"b", "a"}, {"r", ""}};
    expect(two, 3, "r:0 a:0 b:1");
    const char *const tail[][2] = {{"t", "a"}, {"a", "b"}, {"b", "c"}, {"c", "a"}};
    expect(tail, 4, "t:0 a:0 c:1 b:2");
}

static void test_long_chain(void **state)
{
    (void)state;
    enum { LENGTH = 20000 };
    static char ids[LENGTH][8];
    static mw_tree_node nodes[LENGTH];
    static size_t order[LENGTH];
    for (size_t i = 0; i < LENGTH; i++) {
        snprintf(ids[i], sizeof ids[i], "%05zu", i);
        nodes[i] =
            (mw_tree_node){mw_slice_of(ids[i]), i ? mw_slice_of(ids[i - 1]) : MW_SLICE_NONE, 0};
    }
    mw_tree_order(nodes, LENGTH, order);
    for (size_t i = 0; i < LENGTH; i++) {
        assert_int_equal(order[i], i);
        assert_int_equal(nodes[i].depth, i);
    }
    mw_tree_order(nodes, 0, order);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_tree),
        cmocka_unit_test(test_child_before_parent),
        cmocka_unit_test(test_orphans_are_roots),
        cmocka_unit_test(test_circles),
        cmocka_unit_test(test_long_chain),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
