/* Which tool a span's name and attributes mean: the words of conventions, ranks of keys, traps. */
#include "lib/store/format/tool_name.h"
#include "tests/unit/lib-store/store_test.h"

static void check_name(const char *name, const char *tool, bool is_certain)
{
    bool certain;
    mw_slice found = mw_tool_of_name(mw_slice_of(name), &certain);
    assert_int_equal(found.len, strlen(tool));
    assert_memory_equal(found.len ? found.data : "", tool, found.len);
    assert_int_equal(certain, is_certain);
}

static void test_names(void **state)
{
    (void)state;
    check_name("execute_tool search", "search", true);
    check_name("tools/call search", "search", true);
    check_name("search.tool", "search", false); /* Claude Code's are all called so */
    check_name("search", "search", false);
    check_name("execute_tool ", "execute_tool ", false);
    check_name("execute_tool", "execute_tool", false);
    check_name(".tool", ".tool", false);
    check_name("", "", false);
    check_name("execute_tool (merged tools)", "", false);
    check_name("(merged tools)", "", false);
    assert_true(mw_names_tool(MW_SLICE("execute_tool a.tool"), MW_SLICE("a.tool")));
    assert_true(mw_names_tool(MW_SLICE("execute_tool a.tool"), MW_SLICE("execute_tool a")));
    assert_false(mw_names_tool(MW_SLICE("execute_tool a"), MW_SLICE("A")));
}

/* A message with one attribute behind the other: key, value, key, value, NULL. */
static mw_slice span_of(unsigned char *out, const char *const *pairs)
{
    size_t len = 0;
    for (; pairs[0]; pairs += 2) {
        size_t key = strlen(pairs[0]), value = strlen(pairs[1]);
        const unsigned char head[] = {9 << 3 | 2, (unsigned char)(key + value + 6), 1 << 3 | 2,
                                      (unsigned char)key};
        const unsigned char middle[] = {2 << 3 | 2, (unsigned char)(value + 2), 1 << 3 | 2,
                                        (unsigned char)value};
        memcpy(out + len, head, sizeof head);
        memcpy(out + len + 4, pairs[0], key);
        memcpy(out + len + 4 + key, middle, sizeof middle);
        memcpy(out + len + 8 + key, pairs[1], value);
        len += 8 + key + value;
    }
    return mw_slice_bytes(out, len);
}

#define CHECK(tool, ...)                                                                           \
    do {                                                                                           \
        unsigned char bytes[512];                                                                  \
        const char *const pairs[] = {__VA_ARGS__, NULL};                                           \
        assert_true(mw_slice_equal(mw_tool_of_attributes(span_of(bytes, pairs)), MW_SLICE(tool))); \
    } while (0)

static void test_attributes(void **state)
{
    (void)state;
    for (size_t i = 0; i < MW_TOOL_KEYS; i++) {
        char key[64];
        assert_true(mw_slice_to_cstr(mw_tool_keys[i], key, sizeof key));
        CHECK("x", "traceloop.span.kind", "tool", key, "x");
    }
    CHECK("first", "tool.name", "second", "gen_ai.tool.name", "first", "tool_name", "third");
    CHECK("last", "tool.name", "one", "tool.name", "last");
    CHECK("", "gen_ai.tool.names", "x", "name", "tool.name");
    CHECK("", "traceloop.entity.name", "x");
    CHECK("", "traceloop.entity.name", "x", "traceloop.span.kind", "task");
    CHECK("x", "traceloop.entity.name", "x", "traceloop.span.kind", "TOOL");
    CHECK("", "gen_ai.tool.name", "(merged tools)");
    CHECK("x", "gen_ai.tool.name", "(merged tools)", "tool_name", "x");
    CHECK("x", "gen_ai.tool.name", "", "tool_name", "x");
}

/* Bytes that end early, wherever that is, name nothing that is not there. */
static void test_broken(void **state)
{
    unsigned char bytes[512];
    const char *const pairs[] = {"note", "y", "gen_ai.tool.name", "x", NULL};
    (void)state;
    mw_slice span = span_of(bytes, pairs);
    for (size_t len = 0; len < span.len; len++)
        assert_int_equal(mw_tool_of_attributes(mw_slice_first(span, len)).len, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_names),
        cmocka_unit_test(test_attributes),
        cmocka_unit_test(test_broken),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
