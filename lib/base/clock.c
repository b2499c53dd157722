/* Time: the system's clocks, a fake one, and RFC 3339 text. Everything but the first two
 * functions is pure. */
#include <time.h>

#include "lib/base/clock.h"

static int64_t read_clock(clockid_t which)
{
    struct timespec now;
    if (clock_gettime(which, &now) != 0)
        mw_bug(__FILE__, __LINE__, "clock_gettime failed");
    return (int64_t)now.tv_sec * MW_NS_PER_S + now.tv_nsec;
}

static int64_t system_wall(void *ctx)
{
    (void)ctx;
    return read_clock(CLOCK_REALTIME);
}

static int64_t system_mono(void *ctx)
{
    (void)ctx;
    return read_clock(CLOCK_MONOTONIC);
}

static int64_t system_thread_cpu(void *ctx)
{
    (void)ctx;
    return read_clock(CLOCK_THREAD_CPUTIME_ID);
}

const mw_clock *mw_clock_system(void)
{
    static const mw_clock clock = {
        .wall_ns = system_wall, .mono_ns = system_mono, .thread_cpu_ns = system_thread_cpu};
    return &clock;
}

int64_t mw_clock_wall_ns(const mw_clock *clock)
{
    return clock->wall_ns(clock->ctx);
}

int64_t mw_clock_mono_ns(const mw_clock *clock)
{
    return clock->mono_ns(clock->ctx);
}

int64_t mw_clock_thread_cpu_ns(const mw_clock *clock)
{
    return clock->thread_cpu_ns ? clock->thread_cpu_ns(clock->ctx) : clock->mono_ns(clock->ctx);
}

static int64_t fake_wall(void *ctx)
{
    return __atomic_load_n(&((mw_fake_clock *)ctx)->wall_ns, __ATOMIC_RELAXED);
}

static int64_t fake_mono(void *ctx)
{
    return __atomic_load_n(&((mw_fake_clock *)ctx)->mono_ns, __ATOMIC_RELAXED);
}

void mw_fake_clock_init(mw_fake_clock *fake, int64_t wall_ns)
{
    fake->clock = (mw_clock){.wall_ns = fake_wall, .mono_ns = fake_mono, .ctx = fake};
    fake->wall_ns = wall_ns;
    fake->mono_ns = MW_NS_PER_S; /* not 0, which often means "never" */
}

void mw_fake_clock_advance(mw_fake_clock *fake, int64_t ns)
{
    __atomic_add_fetch(&fake->wall_ns, ns, __ATOMIC_RELAXED);
    __atomic_add_fetch(&fake->mono_ns, ns, __ATOMIC_RELAXED);
}

/* Days since 1970-01-01 of a proleptic Gregorian date, and back, by 400-year eras that begin on
 * the first of March, so that the leap day ends a year. */
static int64_t days_from_date(int64_t year, unsigned month, unsigned day)
{
    year -= month <= 2;
    int64_t era = (year >= 0 ? year : year - 399) / 400;
    unsigned year_of_era = (unsigned)(year - era * 400);
    unsigned day_of_year = (153 * (month > 2 ? month - 3 : month + 9) + 2) / 5 + day - 1;
    unsigned day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    return era * 146097 + (int64_t)day_of_era - 719468;
}

static void date_from_days(int64_t days, int64_t *year, unsigned *month, unsigned *day)
{
    days += 719468;
    int64_t era = (days >= 0 ? days : days - 146096) / 146097;
    unsigned doe = (unsigned)(days - era * 146097);
    unsigned yoe = (doe - doe / 1460 + doe / 36524 - doe / 146096) / 365;
    unsigned doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
    unsigned shifted = (5 * doy + 2) / 153;
    *day = doy - (153 * shifted + 2) / 5 + 1;
    *month = shifted < 10 ? shifted + 3 : shifted - 9;
    *year = (int64_t)yoe + era * 400 + (*month <= 2);
}

void mw_time_format(uint64_t ns, char out[MW_TIME_TEXT_SIZE])
{
    uint64_t seconds = ns / (uint64_t)MW_NS_PER_S;
    unsigned fraction = (unsigned)(ns % (uint64_t)MW_NS_PER_S);
    unsigned of_day = (unsigned)(seconds % 86400);
    int64_t year;
    unsigned month, day;
    date_from_days((int64_t)(seconds / 86400), &year, &month, &day);
    /* fixed64 ends in the year 2554: four digits always do. */
    snprintf(out, MW_TIME_TEXT_SIZE, "%04u-%02u-%02uT%02u:%02u:%02u.%09uZ", (unsigned)year % 10000u,
             month % 100u, day % 100u, of_day / 3600, of_day / 60 % 60, of_day % 60,
             fraction % 1000000000u);
}

/* Exactly `digits` digits off the front of *text. */
static mw_err take_number(mw_slice *text, size_t digits, unsigned *out)
{
    uint64_t value;
    if (text->len < digits || mw_slice_u64(mw_slice_first(*text, digits), &value) != MW_OK)
        return MW_E_SYNTAX;
    *text = mw_slice_from(*text, digits);
    *out = (unsigned)value;
    return MW_OK;
}

static mw_err take_byte(mw_slice *text, char byte)
{
    if (text->len == 0 || text->data[0] != byte)
        return MW_E_SYNTAX;
    *text = mw_slice_from(*text, 1);
    return MW_OK;
}

static mw_err take_fraction(mw_slice *text, int64_t *ns)
{
    *ns = 0;
    if (take_byte(text, '.') != MW_OK)
        return MW_OK;
    int64_t unit = MW_NS_PER_S / 10;
    size_t digits = 0;
    for (; text->len && text->data[0] >= '0' && text->data[0] <= '9'; digits++, unit /= 10) {
        if (digits == 9)
            return MW_E_SYNTAX;
        *ns += unit * (text->data[0] - '0');
        *text = mw_slice_from(*text, 1);
    }
    return digits ? MW_OK : MW_E_SYNTAX;
}

/* "Z" or "+hh:mm"; seconds east of UTC. */
static mw_err take_offset(mw_slice *text, int64_t *east_s)
{
    *east_s = 0;
    if (take_byte(text, 'Z') == MW_OK || take_byte(text, 'z') == MW_OK)
        return MW_OK;
    bool west = text->len && text->data[0] == '-';
    unsigned hours, minutes;
    if (take_byte(text, west ? '-' : '+') != MW_OK || take_number(text, 2, &hours) != MW_OK ||
        take_byte(text, ':') != MW_OK || take_number(text, 2, &minutes) != MW_OK)
        return MW_E_SYNTAX;
    if (hours > 23 || minutes > 59)
        return MW_E_INVALID;
    *east_s = (int64_t)(hours * 3600 + minutes * 60) * (west ? -1 : 1);
    return MW_OK;
}

static unsigned days_in_month(unsigned year, unsigned month)
{
    static const unsigned char days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    bool leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
    return days[month - 1] + (unsigned)(month == 2 && leap);
}

mw_err mw_time_parse(mw_slice text, int64_t *ns)
{
    unsigned year, month, day, hour, minute, second;
    int64_t fraction, east;
    if (take_number(&text, 4, &year) != MW_OK || take_byte(&text, '-') != MW_OK ||
        take_number(&text, 2, &month) != MW_OK || take_byte(&text, '-') != MW_OK ||
        take_number(&text, 2, &day) != MW_OK)
        return MW_E_SYNTAX;
    if (take_byte(&text, 'T') != MW_OK && take_byte(&text, 't') != MW_OK)
        return MW_E_SYNTAX;
    if (take_number(&text, 2, &hour) != MW_OK || take_byte(&text, ':') != MW_OK ||
        take_number(&text, 2, &minute) != MW_OK || take_byte(&text, ':') != MW_OK ||
        take_number(&text, 2, &second) != MW_OK || take_fraction(&text, &fraction) != MW_OK)
        return MW_E_SYNTAX;
    mw_err err = take_offset(&text, &east);
    if (err != MW_OK || text.len)
        return err != MW_OK ? err : MW_E_SYNTAX;
    if (year < 1970 || year > 2261 || month < 1 || month > 12 || day < 1 ||
        day > days_in_month(year, month) || hour > 23 || minute > 59 || second > 60)
        return MW_E_INVALID;
    if (second == 60) /* a leap second shares the second before it */
        second = 59;
    int64_t seconds =
        days_from_date(year, month, day) * 86400 + hour * 3600 + minute * 60 + second - east;
    if (seconds < 0)
        return MW_E_INVALID;
    *ns = seconds * MW_NS_PER_S + fraction;
    return MW_OK;
}

mw_err mw_duration_parse(mw_slice text, int64_t *ns)
{
    static const struct {
        mw_slice suffix;
        int64_t unit;
    } units[] = {
        {MW_SLICE_INIT("ms"), MW_NS_PER_MS},       {MW_SLICE_INIT("s"), MW_NS_PER_S},
        {MW_SLICE_INIT("m"), 60 * MW_NS_PER_S},    {MW_SLICE_INIT("h"), 3600 * MW_NS_PER_S},
        {MW_SLICE_INIT("d"), 86400 * MW_NS_PER_S}, {MW_SLICE_INIT(""), MW_NS_PER_S},
    };
    size_t digits = 0;
    while (digits < text.len && text.data[digits] >= '0' && text.data[digits] <= '9')
        digits++;
    int64_t count;
    mw_err err = mw_slice_i64(mw_slice_first(text, digits), &count);
    if (err != MW_OK)
        return err;
    mw_slice suffix = mw_slice_from(text, digits);
    for (size_t i = 0; i < sizeof units / sizeof units[0]; i++)
        if (mw_slice_equal(suffix, units[i].suffix))
            return __builtin_mul_overflow(count, units[i].unit, ns) ? MW_E_LIMIT : MW_OK;
    return MW_E_SYNTAX;
}

/* A unix time tells its unit by how long it is: of each, so many digits are the years from 1973
 * to 2262 (seconds, milliseconds), or anything (nanoseconds). */
static mw_err parse_unix(mw_slice digits, int64_t *ns)
{
    int64_t unit = digits.len >= 16                       ? 1
                   : digits.len == 12 || digits.len == 13 ? MW_NS_PER_MS
                   : digits.len == 9 || digits.len == 10  ? MW_NS_PER_S
                                                          : 0;
    int64_t value;
    mw_err err = mw_slice_i64(digits, &value);
    if (err != MW_OK)
        return err;
    if (!unit && (value != 0 || digits.len > 1))
        return MW_E_SYNTAX;
    return __builtin_mul_overflow(value, unit, ns) ? MW_E_LIMIT : MW_OK;
}

/* "1773480413.25", as clocks of scripts say it. */
static mw_err parse_unix_fraction(mw_slice text, size_t digits, int64_t *ns)
{
    int64_t fraction;
    mw_slice rest = mw_slice_from(text, digits);
    if (digits != 9 && digits != 10)
        return MW_E_SYNTAX;
    mw_err err = take_fraction(&rest, &fraction);
    if (err == MW_OK && rest.len)
        err = MW_E_SYNTAX;
    if (err == MW_OK)
        err = parse_unix(mw_slice_first(text, digits), ns);
    return err == MW_OK && __builtin_add_overflow(*ns, fraction, ns) ? MW_E_LIMIT : err;
}

/* "2026-11-21": the first instant of that day, UTC. */
static mw_err parse_date(mw_slice text, int64_t *ns)
{
    static const char midnight[] = "T00:00:00Z";
    char instant[10 + sizeof midnight];
    memcpy(instant, text.data, 10);
    memcpy(instant + 10, midnight, sizeof midnight);
    return mw_time_parse(mw_slice_of(instant), ns);
}

static mw_err parse_age(mw_slice text, int64_t now_ns, int64_t *ns)
{
    int64_t age;
    /* Bare seconds would be mistaken for a time: an age needs its unit. */
    if (text.len == 0 || (text.data[text.len - 1] >= '0' && text.data[text.len - 1] <= '9'))
        return MW_E_SYNTAX;
    mw_err err = mw_duration_parse(text, &age);
    if (err != MW_OK)
        return err;
    *ns = age > now_ns ? 0 : now_ns - age;
    return MW_OK;
}

mw_err mw_time_point_parse(mw_slice text, int64_t now_ns, int64_t *ns)
{
    size_t digits = 0;
    while (digits < text.len && text.data[digits] >= '0' && text.data[digits] <= '9')
        digits++;
    if (digits && digits == text.len)
        return parse_unix(text, ns);
    if (digits < text.len && text.data[digits] == '.')
        return parse_unix_fraction(text, digits, ns);
    if (text.len == 10 && text.data[4] == '-' && text.data[7] == '-')
        return parse_date(text, ns);
    if (mw_time_parse(text, ns) == MW_OK)
        return MW_OK;
    return parse_age(text, now_ns, ns);
}
