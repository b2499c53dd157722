/* Options: precedence, types and bounds, and errors that name the option and the fix. */
#include <unistd.h>

#include "lib/base/io.h"
#include "lib/base/option.h"
#include "tests/check.h"

typedef struct settings {
    char name[16];
    uint64_t limit;
    int64_t period;
    bool loud;
    char hosts[64];
    uint64_t loops;
} settings;

static const mw_option table[] = {
    {"name", MW_OPTION_TEXT, offsetof(settings, name), 16, "x", 0, 0, false, "N", "a name"},
    {"limit", MW_OPTION_BYTES, offsetof(settings, limit), 0, "64MiB", 1024, 1 << 30, false, "N",
     "a size"},
    {"period", MW_OPTION_DURATION, offsetof(settings, period), 0, "20m", 0, 0, true, "D", "a time"},
    {"loud_log", MW_OPTION_BOOL, offsetof(settings, loud), 0, "false", 0, 0, true, NULL, "a flag"},
    {"hosts", MW_OPTION_LIST, offsetof(settings, hosts), 64, "", 0, 0, false, "H", "a list"},
    {"loops", MW_OPTION_COUNT, offsetof(settings, loops), 0, "2", 1, 8, false, "N", "a count"},
};
enum { COUNT = sizeof table / sizeof table[0] };

static settings now;
static mw_option_origin origins[COUNT];
static mw_detail detail;

static int setup(void **state)
{
    (void)state;
    memset(&now, 0, sizeof now);
    memset(&detail, 0, sizeof detail);
    mw_options_defaults(table, COUNT, &now, origins);
    return 0;
}

static mw_err set(const char *name, const char *value)
{
    return mw_options_set(table, COUNT, &now, origins, mw_slice_of(name), mw_slice_of(value),
                          MW_ORIGIN_FLAG, &detail);
}

static void test_types(void **state)
{
    (void)state;
    assert_true(now.limit == 64u << 20 && now.period == INT64_C(1200000000000) && !now.loud);
    assert_int_equal(set("limit", "512 KiB"), MW_OK);
    assert_true(now.limit == 512u << 10);
    assert_int_equal(set("limit", "4096"), MW_OK);
    assert_true(now.limit == 4096);
    assert_int_equal(set("loud-log", "Yes"), MW_OK);
    assert_true(now.loud);
    assert_int_equal(set("loops", "8"), MW_OK);
    assert_int_equal(origins[5], MW_ORIGIN_FLAG);
}

static void test_refusals(void **state)
{
    (void)state;
    assert_int_equal(set("limit", "12MB"), MW_E_INVALID);
    assert_string_equal(detail.field, "limit");
    assert_non_null(strstr(detail.hint, "MiB"));
    assert_int_equal(set("limit", "99999999TiB"), MW_E_LIMIT);
    assert_string_equal(detail.message, "'99999999TiB' is more than can be counted");
    assert_int_equal(set("period", "106752d"), MW_E_LIMIT);
    assert_string_equal(detail.message, "'106752d' is more than can be counted");
    assert_non_null(strstr(detail.hint, "106751d"));
    assert_int_equal(set("period", "106751d"), MW_OK);
    assert_int_equal(set("period", "99999999999999999999d"), MW_E_LIMIT);
    assert_int_equal(set("limit", "2GiB"), MW_E_LIMIT);
    assert_true(now.limit == 64u << 20); /* a refused value changes nothing */
    assert_int_equal(set("loops", "0"), MW_E_LIMIT);
    assert_int_equal(set("loud_log", "maybe"), MW_E_INVALID);
    assert_int_equal(set("name", "a name that is far too long"), MW_E_LIMIT);
    assert_int_equal(set("nmae", "x"), MW_E_NOT_FOUND);
    assert_non_null(strstr(detail.message, "nmae"));
}

static void test_number_texts(void **state)
{
    static const struct {
        mw_option_type type;
        uint64_t value;
        const char *text;
    } rows[] = {{MW_OPTION_DURATION, 90000000, "90ms"},
                {MW_OPTION_DURATION, 2100000000, "2100ms"},
                {MW_OPTION_DURATION, UINT64_C(300000000000), "5m"},
                {MW_OPTION_DURATION, UINT64_C(2592000000000000), "30d"},
                {MW_OPTION_DURATION, 0, "0"},
                {MW_OPTION_BYTES, 512u << 20, "512MiB"},
                {MW_OPTION_BYTES, 1000, "1000"},
                {MW_OPTION_COUNT, 1024, "1024"}};
    char text[32];
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        assert_string_equal(mw_option_number_text(rows[i].type, rows[i].value, text, sizeof text),
                            rows[i].text);
}

static void test_flags(void **state)
{
    (void)state;
    char *argv[] = {(char[]){"--limit"}, (char[]){"1MiB"}, (char[]){"--loud-log"},
                    (char[]){"--name=abc"}, (char[]){"--no-loud-log"}};
    assert_int_equal(mw_options_flags(table, COUNT, &now, origins, 5, argv, &detail), MW_OK);
    assert_true(now.limit == 1u << 20 && !now.loud);
    assert_string_equal(now.name, "abc");
    char *missing[] = {(char[]){"--limit"}};
    assert_int_equal(mw_options_flags(table, COUNT, &now, origins, 1, missing, &detail),
                     MW_E_INVALID);
    char *unknown[] = {(char[]){"--nope"}};
    assert_int_equal(mw_options_flags(table, COUNT, &now, origins, 1, unknown, &detail),
                     MW_E_NOT_FOUND);
    assert_non_null(strstr(detail.message, "no option 'nope'"));
    char *stray[] = {(char[]){"limit"}};
    assert_int_equal(mw_options_flags(table, COUNT, &now, origins, 1, stray, &detail),
                     MW_E_INVALID);
}

static void test_environment(void **state)
{
    (void)state;
    setenv("MIDWATCH_LIMIT", "2MiB", 1);
    setenv("MIDWATCH_LOUD_LOG", "1", 1);
    assert_int_equal(mw_options_environment(table, COUNT, &now, origins, &detail), MW_OK);
    assert_true(now.limit == 2u << 20 && now.loud);
    assert_int_equal(origins[1], MW_ORIGIN_ENVIRONMENT);
    unsetenv("MIDWATCH_LIMIT");
    unsetenv("MIDWATCH_LOUD_LOG");
    char path[] = "/tmp/midwatch-test-XXXXXX";
    int fd = mkstemp(path);
    assert_int_equal(write(fd, "from-file\n", 10), 10);
    close(fd);
    setenv("MIDWATCH_NAME_FILE", path, 1);
    assert_int_equal(mw_options_environment(table, COUNT, &now, origins, &detail), MW_OK);
    assert_string_equal(now.name, "from-file");
    unsetenv("MIDWATCH_NAME_FILE");
    unlink(path);
}

static mw_err read_yaml(const char *text)
{
    char path[] = "/tmp/midwatch-test-XXXXXX";
    int fd = mkstemp(path);
    assert_int_equal(write(fd, text, strlen(text)), (ssize_t)strlen(text));
    close(fd);
    mw_err err = mw_options_file(table, COUNT, &now, origins, path, &detail);
    unlink(path);
    return err;
}

static void test_file(void **state)
{
    (void)state;
    assert_int_equal(read_yaml("# comment\nlimit: 8MiB\nhosts: [a.example, 'b.example']\n"
                               "loud_log: true\nperiod: 5m\n"),
                     MW_OK);
    assert_true(now.limit == 8u << 20 && now.loud);
    assert_string_equal(now.hosts, "a.example,b.example");
    assert_int_equal(origins[1], MW_ORIGIN_FILE);
    assert_int_equal(read_yaml(""), MW_OK);
    assert_int_equal(read_yaml("limit: {a: 1}\n"), MW_E_SYNTAX);
    assert_int_equal(read_yaml("- limit\n"), MW_E_SYNTAX);
    assert_int_equal(read_yaml("limit: [1, [2]]\n"), MW_E_SYNTAX);
    assert_int_equal(read_yaml("a: 'unclosed\n"), MW_E_SYNTAX);
    assert_int_equal(read_yaml("unknown: 1\n"), MW_E_NOT_FOUND);
    assert_int_equal(mw_options_file(table, COUNT, &now, origins, "/tmp/midwatch-none", &detail),
                     MW_E_INVALID);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_types, setup),
        cmocka_unit_test_setup(test_refusals, setup),
        cmocka_unit_test(test_number_texts),
        cmocka_unit_test_setup(test_flags, setup),
        cmocka_unit_test_setup(test_environment, setup),
        cmocka_unit_test_setup(test_file, setup),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
