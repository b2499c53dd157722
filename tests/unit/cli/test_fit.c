/* Text that fits the terminal: cuts, wrapped lines, wide characters, colours, commands. */
#include <string.h>

#include "cli/fit.h"
#include "lib/base/utf8.h"
#include "tests/check.h"

#define CUT "\xe2\x80\xa6"
#define CJK "\xe6\x97\xa5"

static void expect_cut(const char *text, size_t columns, const char *wanted, size_t used)
{
    mw_buffer out;
    mw_buffer_init(&out, MW_MEM_BASE, 4096);
    assert_int_equal(mw_append_cut(&out, mw_slice_of(text), columns), used);
    mw_buffer_append_byte(&out, '\0');
    assert_string_equal(out.data, wanted);
    mw_buffer_fini(&out);
}

static void test_cut(void **state)
{
    (void)state;
    expect_cut("abc", 3, "abc", 3);
    expect_cut("abcd", 3, "ab" CUT, 3);
    expect_cut("abcd", 1, CUT, 1);
    expect_cut("abcd", 0, "", 0);
    expect_cut("", 5, "", 0);
    expect_cut(CJK CJK, 4, CJK CJK, 4);
    /* A wide character that does not fit whole leaves a column. */
    expect_cut(CJK CJK CJK, 5, CJK CJK CUT, 5);
    expect_cut(CJK CJK CJK, 4, CJK CUT, 3);
    /* What has no columns stays with what it stands on. */
    expect_cut("e\xcc\x81", 1, "e\xcc\x81", 1);
    expect_cut("\x1b[31mab\x1b[0m", 2, "\x1b[31mab\x1b[0m", 2);
}

static void expect_lines(const char *text, size_t width, const char *wanted)
{
    mw_buffer out;
    mw_buffer_init(&out, MW_MEM_BASE, 65536);
    mw_fit_lines(&out, mw_slice_of(text), width);
    mw_buffer_append_byte(&out, '\0');
    assert_string_equal(out.data, wanted);
    mw_buffer_fini(&out);
}

static void test_lines(void **state)
{
    (void)state;
    expect_lines("one two three\nfour\n\nfive", 0, "one two three\nfour\n\nfive");
    expect_lines("one two three\nfour\n\nfive", 13, "one two three\nfour\n\nfive");
    expect_lines("one two three\nfour\n", 12, "one two\n  three\nfour\n");
    /* A field goes on beneath its text, and without blanks anywhere. */
    expect_lines("  description   of some length\n", 26,
                 "  description   of some\n                length\n");
    expect_lines("  id            0123456789abcdef\n", 26,
                 "  id            0123456789\n                abcdef\n");
    expect_lines("  root          " CJK CJK CJK CJK CJK "\n", 24,
                 "  root          " CJK CJK CJK CJK "\n                " CJK "\n");
    /* Nothing but the indent would be left. */
    expect_lines("  id            0123456789abcdef\n", 20, "  id\n0123456789abcdef\n");
    expect_lines("  root          " CJK CJK CJK "\n", 5, "  roo\nt\n" CJK CJK "\n" CJK "\n");
    expect_lines("logs:\n  midwatch log list --trace 0123456789abcdef\n    $ midwatch x y z\n", 12,
                 "logs:\n  midwatch log list --trace 0123456789abcdef\n    $ midwatch x y z\n");
    expect_lines("\x1b[31mone two\x1b[0m\n", 7, "\x1b[31mone two\x1b[0m\n");
    expect_lines("\x1b[31mone two\x1b[0m\n", 5, "\x1b[31mone\ntwo\x1b[0m\n");
}

/* However long, however narrow: every line fits, and there are not too many. */
static void test_bounds(void **state)
{
    (void)state;
    char text[3000];
    for (size_t i = 0; i + 1 < sizeof text; i++)
        text[i] = i % 11 == 9 ? ' ' : 'x';
    memcpy(text, "  description   ", 16);
    text[sizeof text - 1] = '\0';
    for (size_t width = 1; width < 100; width++) {
        mw_buffer out;
        mw_slice rest, line, last = MW_SLICE_NONE;
        size_t lines = 0;
        mw_buffer_init(&out, MW_MEM_BASE, 65536);
        mw_fit_lines(&out, mw_slice_of(text), width);
        rest = mw_buffer_slice(&out);
        for (; mw_slice_split(&rest, '\n', &line); lines++, last = line)
            assert_true(mw_utf8_columns(line) <= width);
        assert_true(lines <= MW_FIT_LINES);
        if (width < 80) {
            assert_int_equal(lines, MW_FIT_LINES);
            assert_true(mw_slice_ends(last, MW_SLICE(CUT)));
        }
        mw_buffer_fini(&out);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_cut), cmocka_unit_test(test_lines),
                                       cmocka_unit_test(test_bounds)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
