/* Did a series of minutes change for the worse? See change.h. Pure; any thread.
 *
 * What is usual is the better quarter of the minutes before the current ones. Errors are compared
 * as shares with the spread that so many calls would have by chance; durations as means of a minute
 * with the spread that those minutes showed. A single minute must be plainer than three together,
 * since three single ones are looked at.
 */
#include "triage/decision/change.h"

#define BEFORE (MW_TOPOLOGY_MINUTES - MW_TOPOLOGY_CURRENT)
/* Fewer calls than this say nothing. */
#define CALLS_MIN 3
/* One or two failed calls happen. */
#define ERRORS_MIN 3
/* A share that rises by less is no reason to wake somebody. */
#define ERROR_RISE_MIN 0.02
/* The spread of an error rate that was never seen to be above 0 is taken as that of this one. */
#define ERROR_RATE_FLOOR 0.005
/* Chance spreads: five of them are one false change in millions of minutes. */
#define ERROR_SPREADS 5.0
/* Without any minute before, this share of failed calls is a change. */
#define ERROR_RATE_BARE 0.2
/* Times the usual duration, and spreads above it: of the current minutes together, of a single one,
 * and of one where less than MINUTES_FEW were seen before. */
#define SLOW_TOGETHER 1.5
#define SLOW_SINGLE 2.0
#define SLOW_FEW 2.0
#define SPREADS_TOGETHER 4.0
#define SPREADS_SINGLE 7.0
#define MINUTES_FEW 5u
/* The spread of means is not taken as less than this part of them: five minutes may agree by
 * chance. */
#define SPREAD_FLOOR 0.05
/* From the 10th to the 25th of a hundred is 0.61 of a standard deviation. */
#define SPREAD_OF_QUANTILES 1.64
/* Half a millisecond more is not what anybody is alarmed by. */
#define SLOW_RISE_MIN_US 500.0
/* A minute belongs to the change when it shows a third of its rise. */
#define ONSET_SHARE (1.0 / 3.0)

typedef struct usual {
    size_t minutes; /* with calls */
    double error_rate;
    double mean_us, spread_us;
} usual;

static double rate_of(const mw_series_minute *minute)
{
    return minute->calls ? (double)minute->errors / (double)minute->calls : 0.0;
}

static int by_value(const void *left, const void *right)
{
    double a = *(const double *)left, b = *(const double *)right;
    return (a > b) - (a < b);
}

/* Half of the share of all minutes is a floor: with few calls a minute the better quarter has no
 * failed one, however many there are. */
static usual usual_of(const mw_series_minute *minutes)
{
    double rates[BEFORE], means[BEFORE];
    uint64_t calls = 0, errors = 0;
    usual out = {.minutes = 0};
    for (size_t i = 0; i < BEFORE; i++) {
        if (!minutes[i].calls)
            continue;
        rates[out.minutes] = rate_of(&minutes[i]);
        means[out.minutes++] = (double)minutes[i].mean_us;
        calls += minutes[i].calls;
        errors += minutes[i].errors;
    }
    if (!out.minutes)
        return out;
    qsort(rates, out.minutes, sizeof rates[0], by_value);
    qsort(means, out.minutes, sizeof means[0], by_value);
    double pooled = (double)errors / (double)calls / 2.0;
    out.error_rate = rates[out.minutes / 4];
    if (pooled > out.error_rate)
        out.error_rate = pooled;
    out.mean_us = means[out.minutes / 4];
    out.spread_us = (out.mean_us - means[out.minutes / 10]) * SPREAD_OF_QUANTILES;
    if (out.spread_us < out.mean_us * SPREAD_FLOOR)
        out.spread_us = out.mean_us * SPREAD_FLOOR;
    return out;
}

/* Rises are compared squared: no root is needed. */
static bool fails_more(const mw_series_minute *now, const usual *before)
{
    double rate = rate_of(now), calls = (double)now->calls;
    if (now->calls < CALLS_MIN || now->errors < ERRORS_MIN)
        return false;
    if (!before->minutes)
        return rate >= ERROR_RATE_BARE;
    double usual_rate =
        before->error_rate > ERROR_RATE_FLOOR ? before->error_rate : ERROR_RATE_FLOOR;
    double over = (double)now->errors - calls * before->error_rate;
    double spread = calls * usual_rate * (1.0 - usual_rate);
    return rate - before->error_rate >= ERROR_RISE_MIN &&
           over * over >= ERROR_SPREADS * ERROR_SPREADS * spread;
}

static bool takes_longer(const mw_series_minute *now, const usual *before, bool single)
{
    double mean = (double)now->mean_us, rise = mean - before->mean_us;
    double times = single ? SLOW_SINGLE : SLOW_TOGETHER;
    if (now->calls < CALLS_MIN || !before->minutes || rise < SLOW_RISE_MIN_US)
        return false;
    if (before->minutes < MINUTES_FEW && times < SLOW_FEW)
        times = SLOW_FEW;
    return mean >= before->mean_us * times &&
           rise >= before->spread_us * (single ? SPREADS_SINGLE : SPREADS_TOGETHER);
}

static mw_signal_state judge(const mw_series_minute *now, const usual *before, bool single)
{
    if (fails_more(now, before))
        return MW_SIGNAL_ERRORS;
    return takes_longer(now, before, single) ? MW_SIGNAL_SLOW : MW_SIGNAL_USUAL;
}

static mw_series_minute sum_of(const mw_series_minute *minutes, size_t count)
{
    mw_series_minute sum = {0};
    double us = 0.0;
    for (size_t i = 0; i < count; i++) {
        sum.calls += minutes[i].calls;
        sum.errors += minutes[i].errors;
        us += (double)minutes[i].mean_us * (double)minutes[i].calls;
    }
    sum.mean_us = sum.calls ? (uint64_t)(us / (double)sum.calls) : 0;
    return sum;
}

/* Does a minute show its part of the rise that `worst` has? */
static bool shows(const mw_series_minute *minute, const mw_series_minute *worst,
                  const usual *before, mw_signal_state state)
{
    if (!minute->calls)
        return false;
    if (state == MW_SIGNAL_ERRORS)
        return rate_of(minute) >=
               before->error_rate + (rate_of(worst) - before->error_rate) * ONSET_SHARE;
    return (double)minute->mean_us >=
           before->mean_us + ((double)worst->mean_us - before->mean_us) * ONSET_SHARE;
}

/* The worst of the current minutes, by what changed. */
static size_t worst_of(const mw_series_minute *minutes, mw_signal_state state)
{
    size_t worst = BEFORE;
    for (size_t i = BEFORE; i < MW_TOPOLOGY_MINUTES; i++) {
        bool worse = state == MW_SIGNAL_ERRORS ? rate_of(&minutes[i]) > rate_of(&minutes[worst])
                                               : minutes[i].mean_us > minutes[worst].mean_us;
        if (minutes[i].calls && (worse || !minutes[worst].calls))
            worst = i;
    }
    return worst;
}

/* Back from the worst minute as long as minutes show it; one that does not is passed over, since a
 * minute of few calls may be a lucky one. */
static size_t onset_of(const mw_series_minute *minutes, const usual *before, mw_signal_state state)
{
    size_t worst = worst_of(minutes, state), onset = worst;
    for (size_t i = worst; i-- > 0;) {
        if (shows(&minutes[i], &minutes[worst], before, state))
            onset = i;
        else if (onset > i + 1)
            break;
    }
    return onset;
}

mw_change mw_change_judge(const mw_series_minute *minutes, uint32_t last)
{
    const mw_series_minute *current = minutes + BEFORE;
    mw_series_minute now = sum_of(current, MW_TOPOLOGY_CURRENT);
    usual before = usual_of(minutes);
    mw_change out = {.calls = now.calls,
                     .errors = now.errors,
                     .error_rate = rate_of(&now),
                     .usual_error_rate = before.error_rate,
                     .mean_ms = (double)now.mean_us / 1000.0,
                     .usual_ms = before.mean_us / 1000.0};
    for (size_t i = 0; i < MW_TOPOLOGY_CURRENT; i++) {
        mw_signal_state single = judge(&current[i], &before, true);
        bool worse = single == MW_SIGNAL_ERRORS || out.state != MW_SIGNAL_ERRORS;
        if (worse && (single == MW_SIGNAL_ERRORS || single > out.state))
            out.state = single;
        out.strong |= single > MW_SIGNAL_USUAL;
    }
    if (out.state <= MW_SIGNAL_USUAL)
        out.state = judge(&now, &before, false);
    if (out.state == MW_SIGNAL_USUAL && (now.calls < CALLS_MIN || !before.minutes))
        out.state = MW_SIGNAL_UNKNOWN;
    if (out.state > MW_SIGNAL_USUAL)
        out.onset =
            last + 1 - MW_TOPOLOGY_MINUTES + (uint32_t)onset_of(minutes, &before, out.state);
    return out;
}
