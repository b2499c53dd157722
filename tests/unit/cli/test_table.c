/* Tables: alignment, cutting to a width, peer text made harmless, colour only when asked. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "cli/table.h"
#include "lib/base/utf8.h"

static const mw_column columns[] = {
    {"NAME", MW_COLUMN_SHRINK}, {"N", MW_COLUMN_RIGHT}, {"ID", MW_COLUMN_ID}};

static void fill(mw_table *table, const char *const rows[][3], size_t count)
{
    mw_table_init(table, columns, 3);
    for (size_t r = 0; r < count; r++)
        for (size_t c = 0; c < 3; c++)
            mw_table_cell(table, mw_slice_of(rows[r][c]));
}

static void expect(const char *const rows[][3], size_t count, size_t width, const char *wanted)
{
    mw_table table;
    mw_buffer out;
    mw_buffer_init(&out, MW_MEM_BASE, 65536);
    fill(&table, rows, count);
    mw_table_print(&table, width, false, 0, &out);
    mw_buffer_append_byte(&out, '\0');
    assert_string_equal(out.data, wanted);
    mw_table_fini(&table);
    mw_buffer_fini(&out);
}

static void test_alignment(void **state)
{
    (void)state;
    const char *const rows[][3] = {{"alpha", "1", "x"}, {"b", "1000", "yy"}};
    expect(rows, 2, 0,
           "NAME      N  ID\n"
           "alpha     1  x\n"
           "b      1000  yy\n");
}

static void test_cut_to_width(void **state)
{
    (void)state;
    const char *const rows[][3] = {{"a very long name of a span", "7", "0123456789abcdef"}};
    /* 26 + 2 + 1 + 2 + 16 = 47: the id gives way first, then the name. */
    expect(rows, 1, 45,
           "NAME                        N  ID\n"
           "a very long name of a span  7  0123456789abc\xe2\x80\xa6\n");
    expect(rows, 1, 30,
           "NAME          N  ID\n"
           "a very long\xe2\x80\xa6  7  0123456789ab\xe2\x80\xa6\n");
    /* The id is left out, and its room goes back to the name. */
    expect(rows, 1, 12,
           "NAME       N\n"
           "a very l\xe2\x80\xa6  7\n");
}

/* What one row comes to in that width. */
typedef struct at_width {
    size_t width;
    const char *wanted;
} at_width;

static void check_row(const mw_column *of, size_t count, const char *const *cells,
                      const at_width *wanted)
{
    mw_table table;
    mw_buffer out;
    mw_buffer_init(&out, MW_MEM_BASE, 65536);
    mw_table_init(&table, of, count);
    for (size_t i = 0; i < count; i++)
        mw_table_cell(&table, mw_slice_of(cells[i]));
    mw_table_print(&table, wanted->width, false, 0, &out);
    mw_buffer_append_byte(&out, '\0');
    assert_string_equal(out.data, wanted->wanted);
    mw_table_fini(&table);
    mw_buffer_fini(&out);
}

/* Texts leave by rank before the number and the id at the right do. */
static void test_ranks(void **state)
{
    (void)state;
    static const mw_column ranked[] = {{"NAME", MW_COLUMN_SHRINK | MW_COLUMN_LEAST(6)},
                                       {"KIND", MW_COLUMN_DROP(1)},
                                       {"MODEL", MW_COLUMN_SHRINK | MW_COLUMN_DROP(2)},
                                       {"TOKENS", MW_COLUMN_RIGHT},
                                       {"ID", 0}};
    static const char *const cells[] = {"invoke_agent", "agent", "model-name", "321", "00112233"};
    static const at_width cases[] = {
        {0, "NAME          KIND   MODEL       TOKENS  ID\n"
            "invoke_agent  agent  model-name     321  00112233\n"},
        {43, "NAME      KIND   MODEL     TOKENS  ID\n"
             "invoke_\xe2\x80\xa6  agent  model-n\xe2\x80\xa6     321  00112233\n"},
        {40, "NAME          KIND   TOKENS  ID\n"
             "invoke_agent  agent     321  00112233\n"},
        {30, "NAME          TOKENS  ID\n"
             "invoke_agent     321  00112233\n"},
        {24, "NAME    TOKENS  ID\n"
             "invok\xe2\x80\xa6     321  00112233\n"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        check_row(ranked, 5, cells, &cases[i]);
}

/* What a table is for outlives its wish for room, and a bounded column takes none of it. */
static void test_body_stays(void **state)
{
    (void)state;
    static const mw_column log[] = {
        {"TIME", 0},
        {"SEVERITY", MW_COLUMN_MOST(8)},
        {"SERVICE", MW_COLUMN_SHRINK | MW_COLUMN_DROP(1)},
        {"BODY", MW_COLUMN_SHRINK | MW_COLUMN_LEAST(24) | MW_COLUMN_LAST}};
    static const char *const cells[] = {"5m ago", "a severity of forty columns and no fewer",
                                        "shop", "the index gave no answer in time"};
    static const at_width cases[] = {
        {60, "TIME    SEVERITY  SERVICE  BODY\n"
             "5m ago  a sever\xe2\x80\xa6  shop     the index gave no answer in time\n"},
        {40, "TIME    SEVERITY  BODY\n"
             "5m ago  a sever\xe2\x80\xa6  the index gave no ans\xe2\x80\xa6\n"},
        {26, "TIME    SEVERITY  BODY\n"
             "5m ago  a sever\xe2\x80\xa6  the ind\xe2\x80\xa6\n"},
        {25, "TIME    BODY\n"
             "5m ago  the index gave n\xe2\x80\xa6\n"},
        {10, "BODY\n"
             "the index\xe2\x80\xa6\n"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        check_row(log, 4, cells, &cases[i]);
}

/* A name stays whole while columns of a rank can leave, and is cut before a number leaves. */
static void test_late(void **state)
{
    (void)state;
    static const mw_column named[] = {{"NAME", MW_COLUMN_LATE | MW_COLUMN_LEAST(12)},
                                      {"UNIT", MW_COLUMN_SHRINK | MW_COLUMN_DROP(1)},
                                      {"POINTS", MW_COLUMN_RIGHT}};
    static const char *const cells[] = {"http.server.duration", "milliseconds", "123456"};
    static const at_width cases[] = {
        {0, "NAME                  UNIT          POINTS\n"
            "http.server.duration  milliseconds  123456\n"},
        {38, "NAME                  UNIT      POINTS\n"
             "http.server.duration  millise\xe2\x80\xa6  123456\n"},
        {37, "NAME                  POINTS\n"
             "http.server.duration  123456\n"},
        {27, "NAME                 POINTS\n"
             "http.server.durati\xe2\x80\xa6  123456\n"},
        {20, "NAME          POINTS\n"
             "http.server\xe2\x80\xa6  123456\n"},
        {16, "NAME      POINTS\n"
             "http.se\xe2\x80\xa6  123456\n"},
        {15, "NAME\n"
             "http.server.du\xe2\x80\xa6\n"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        check_row(named, 3, cells, &cases[i]);
}

static void test_nothing_is_wider_than_the_terminal(void **state)
{
    (void)state;
    const char *const rows[][3] = {
        {"\xe6\x97\xa5\xe6\x9c\xac\xe8\xaa\x9e\xe6\x97\xa5\xe6\x9c\xac\xe8\xaa\x9e", "123456",
         "0123456789abcdef"},
        {"plain", "1", "ff"}};
    for (size_t width = 1; width < 60; width++) {
        mw_table table;
        mw_buffer out;
        mw_slice line;
        mw_buffer_init(&out, MW_MEM_BASE, 65536);
        fill(&table, rows, 2);
        mw_table_print(&table, width, false, 0, &out);
        mw_slice rest = mw_buffer_slice(&out);
        while (mw_slice_split(&rest, '\n', &line))
            assert_true(mw_utf8_columns(line) <= width);
        mw_table_fini(&table);
        mw_buffer_fini(&out);
    }
}

static void test_peer_text_is_harmless(void **state)
{
    (void)state;
    mw_table table;
    mw_buffer out;
    mw_buffer_init(&out, MW_MEM_BASE, 65536);
    mw_table_init(&table, columns, 3);
    mw_table_cell(&table, MW_SLICE("\x1b[31mred\nline\xff"));
    mw_table_cellf(&table, "%d", 1);
    mw_table_cell(&table, MW_SLICE("\xe2\x80\xae"
                                   "abc"));
    mw_table_print(&table, 0, false, 0, &out);
    size_t newlines = 0;
    for (size_t i = 0; i < out.len; i++) {
        assert_int_not_equal(out.data[i], '\x1b');
        newlines += out.data[i] == '\n';
    }
    assert_int_equal(newlines, 2);
    assert_false(mw_slice_contains(mw_buffer_slice(&out), MW_SLICE("\xe2\x80\xae")));
    assert_true(mw_utf8_valid(mw_buffer_slice(&out)));
    mw_table_fini(&table);
    mw_buffer_fini(&out);
}

static void test_colour(void **state)
{
    (void)state;
    for (int color = 0; color < 2; color++) {
        mw_table table;
        mw_buffer out;
        mw_buffer_init(&out, MW_MEM_BASE, 65536);
        mw_table_init(&table, columns, 3);
        mw_table_cell(&table, MW_SLICE("a"));
        mw_table_cell(&table, MW_SLICE("1"));
        mw_table_style(&table, MW_STYLE_RED);
        mw_table_cell(&table, MW_SLICE("x"));
        mw_table_print(&table, 0, color == 1, 2, &out);
        mw_buffer_append_byte(&out, '\0');
        assert_string_equal(out.data, color ? "  NAME  N  ID\n  a     \x1b[31m1\x1b[0m  x\n"
                                            : "  NAME  N  ID\n  a     1  x\n");
        mw_table_fini(&table);
        mw_buffer_fini(&out);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_alignment),
        cmocka_unit_test(test_cut_to_width),
        cmocka_unit_test(test_ranks),
        cmocka_unit_test(test_body_stays),
        cmocka_unit_test(test_late),
        cmocka_unit_test(test_nothing_is_wider_than_the_terminal),
        cmocka_unit_test(test_peer_text_is_harmless),
        cmocka_unit_test(test_colour),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
