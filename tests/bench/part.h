/* What the benchmarks of single parts share: this thread's CPU, ends with words, and which signal's
 * requests are made. Include it behind `#define PART "name"`. */
#ifndef MW_BENCH_PART_H
#define MW_BENCH_PART_H

#include "tests/bench/load_body.h"

#include "lib/store/store.h"

/* Of one request, and of the load's random numbers. */
#define ITEMS 512u
#define SEED 7u

typedef struct part_signal {
    load_signal load;
    mw_signal signal;
} part_signal;

static double cpu_us(void)
{
    struct timespec now;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return (double)now.tv_sec * 1e6 + (double)now.tv_nsec / 1e3;
}

static void must(bool ok, const char *what)
{
    if (ok)
        return;
    fprintf(stderr, PART ": %s failed\n", what);
    exit(1);
}

/* False: the word names no signal. */
static bool part_signal_of(const char *word, part_signal *out)
{
    static const part_signal signals[] = {{LOAD_TRACES, MW_SIGNAL_TRACES},
                                          {LOAD_METRICS, MW_SIGNAL_METRICS},
                                          {LOAD_LOGS, MW_SIGNAL_LOGS}};
    for (size_t i = 0; i < sizeof signals / sizeof signals[0]; i++) {
        if (strcmp(word, mw_signal_name(signals[i].signal)) != 0)
            continue;
        *out = signals[i];
        return true;
    }
    return false;
}

#endif
