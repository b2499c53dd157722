/* Time as text, both ways, over the whole range; durations; the fake clock. */
#include "lib/base/clock.h"
#include "tests/check.h"

static void check_format(uint64_t ns, const char *expected)
{
    char text[MW_TIME_TEXT_SIZE];
    mw_time_format(ns, text);
    assert_string_equal(text, expected);
}

static void test_format(void **state)
{
    (void)state;
    check_format(0, "1970-01-01T00:00:00.000000000Z");
    check_format(UINT64_C(1773480413000000000), "2026-03-14T09:26:53.000000000Z");
    check_format(UINT64_C(951782400000000001), "2000-02-29T00:00:00.000000001Z");
    check_format(UINT64_C(4107542399999999999), "2100-02-28T23:59:59.999999999Z");
    check_format(UINT64_C(4107542400000000000), "2100-03-01T00:00:00.000000000Z");
    check_format(UINT64_MAX, "2554-07-21T23:34:33.709551615Z");
}

static void test_round_trip(void **state)
{
    (void)state;
    /* A step that is no multiple of a day walks over every kind of date. */
    for (uint64_t ns = 1; ns < UINT64_C(9183110400000000000); ns += UINT64_C(12345678901234567)) {
        char text[MW_TIME_TEXT_SIZE];
        int64_t back;
        mw_time_format(ns, text);
        assert_int_equal(mw_time_parse(mw_slice_of(text), &back), MW_OK);
        assert_true((uint64_t)back == ns);
    }
}

static void test_parse(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        mw_err err;
        int64_t ns;
    } rows[] = {
        {"2026-03-14T09:26:53Z", MW_OK, INT64_C(1773480413000000000)},
        {"2026-03-14T09:26:53.5Z", MW_OK, INT64_C(1773480413500000000)},
        {"2026-03-14T10:26:53.123456789+01:00", MW_OK, INT64_C(1773480413123456789)},
        {"2026-03-14T04:26:53-05:00", MW_OK, INT64_C(1773480413000000000)},
        {"2016-12-31T23:59:60Z", MW_OK, INT64_C(1483228799000000000)},
        {"2026-03-14 09:26:53Z", MW_E_SYNTAX, 0},
        {"2026-03-14T09:26:53", MW_E_SYNTAX, 0},
        {"2026-03-14T09:26:53.Z", MW_E_SYNTAX, 0},
        {"2026-03-14T09:26:53.1234567890Z", MW_E_SYNTAX, 0},
        {"2026-03-14T09:26:53Zx", MW_E_SYNTAX, 0},
        {"2026-02-29T00:00:00Z", MW_E_INVALID, 0},
        {"2026-13-01T00:00:00Z", MW_E_INVALID, 0},
        {"2026-00-01T00:00:00Z", MW_E_INVALID, 0},
        {"2026-01-01T24:00:00Z", MW_E_INVALID, 0},
        {"2026-01-01T00:00:00+25:00", MW_E_INVALID, 0},
        {"1970-01-01T00:00:00+01:00", MW_E_INVALID, 0},
        {"1969-12-31T23:59:59Z", MW_E_INVALID, 0},
        {"2262-01-01T00:00:00Z", MW_E_INVALID, 0},
        {"", MW_E_SYNTAX, 0},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        int64_t ns = 0;
        mw_err err = mw_time_parse(mw_slice_of(rows[i].text), &ns);
        if (err != rows[i].err || (err == MW_OK && ns != rows[i].ns))
            fail_msg("%s: error %d, %lld", rows[i].text, (int)err, (long long)ns);
    }
}

static void test_durations(void **state)
{
    (void)state;
    int64_t ns;
    assert_int_equal(mw_duration_parse(MW_SLICE("20m"), &ns), MW_OK);
    assert_true(ns == 1200 * MW_NS_PER_S);
    assert_int_equal(mw_duration_parse(MW_SLICE("250ms"), &ns), MW_OK);
    assert_true(ns == 250 * MW_NS_PER_MS);
    assert_int_equal(mw_duration_parse(MW_SLICE("5"), &ns), MW_OK);
    assert_true(ns == 5 * MW_NS_PER_S);
    assert_int_equal(mw_duration_parse(MW_SLICE("5 m"), &ns), MW_E_SYNTAX);
    assert_int_equal(mw_duration_parse(MW_SLICE("m"), &ns), MW_E_SYNTAX);
    assert_int_equal(mw_duration_parse(MW_SLICE("9999999999999d"), &ns), MW_E_LIMIT);
}

static void test_points(void **state)
{
    (void)state;
    int64_t now = INT64_C(1773480413000000000), ns;
    assert_int_equal(mw_time_point_parse(MW_SLICE("1h"), now, &ns), MW_OK);
    assert_true(ns == now - 3600 * MW_NS_PER_S);
    assert_int_equal(mw_time_point_parse(MW_SLICE("1773480413000000001"), now, &ns), MW_OK);
    assert_true(ns == now + 1);
    assert_int_equal(mw_time_point_parse(MW_SLICE("2026-03-14T09:26:53Z"), now, &ns), MW_OK);
    assert_true(ns == now);
    assert_int_equal(mw_time_point_parse(MW_SLICE("3600"), now, &ns), MW_E_SYNTAX);
    assert_int_equal(mw_time_point_parse(MW_SLICE("yesterday"), now, &ns), MW_E_SYNTAX);
    assert_int_equal(mw_time_point_parse(MW_SLICE("99999d"), now, &ns), MW_OK);
    assert_true(ns == 0);
}

/* Whose unit the length tells; all others are no time, whatever somebody may have meant. */
static void test_unix_points(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        int64_t ns;
    } good[] = {
        {"0", 0},
        {"1773480413", INT64_C(1773480413000000000)},
        {"1773480413.25", INT64_C(1773480413250000000)},
        {"1773480413.000000001", INT64_C(1773480413000000001)},
        {"999999999", INT64_C(999999999000000000)},
        {"1773480413001", INT64_C(1773480413001000000)},
        {"999999999999", INT64_C(999999999999000000)},
        {"1773480413000000001", INT64_C(1773480413000000001)},
        {"1000000000000000", INT64_C(1000000000000000)},
        {"0000086400000000000", INT64_C(86400000000000)},
        {"2026-03-14", INT64_C(1773446400000000000)},
    };
    static const struct {
        const char *text;
        mw_err err;
    } bad[] = {
        {"", MW_E_SYNTAX},
        {"00", MW_E_SYNTAX},
        {"9999", MW_E_SYNTAX},
        {"2026", MW_E_SYNTAX},
        {"20260314", MW_E_SYNTAX},
        {"17734804130", MW_E_SYNTAX},
        {"177348041300000", MW_E_SYNTAX},
        {"-1773480413", MW_E_SYNTAX},
        {"1773480413.", MW_E_SYNTAX},
        {"1773480413.1234567890", MW_E_SYNTAX},
        {"1773480413.5s", MW_E_SYNTAX},
        {"1.5", MW_E_SYNTAX},
        {"9999999999", MW_E_LIMIT},
        {"9999999999999", MW_E_LIMIT},
        {"9223372036854775808", MW_E_LIMIT},
        {"2026-02-30", MW_E_INVALID},
        {"2026-3-014", MW_E_SYNTAX},
    };
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
        int64_t ns = -1;
        assert_int_equal(mw_time_point_parse(mw_slice_of(good[i].text), 5, &ns), MW_OK);
        assert_true(ns == good[i].ns);
    }
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        int64_t ns;
        assert_int_equal(mw_time_point_parse(mw_slice_of(bad[i].text), 5, &ns), bad[i].err);
    }
}

static void test_clocks(void **state)
{
    (void)state;
    mw_fake_clock fake;
    mw_fake_clock_init(&fake, 1000);
    int64_t mono = mw_clock_mono_ns(&fake.clock);
    mw_fake_clock_advance(&fake, 5);
    assert_true(mw_clock_wall_ns(&fake.clock) == 1005);
    assert_true(mw_clock_mono_ns(&fake.clock) == mono + 5);
    int64_t a = mw_clock_mono_ns(mw_clock_system());
    assert_true(mw_clock_mono_ns(mw_clock_system()) >= a);
    assert_true(mw_clock_wall_ns(mw_clock_system()) > INT64_C(1700000000000000000));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_format), cmocka_unit_test(test_round_trip),
        cmocka_unit_test(test_parse),  cmocka_unit_test(test_durations),
        cmocka_unit_test(test_points), cmocka_unit_test(test_unix_points),
        cmocka_unit_test(test_clocks),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
