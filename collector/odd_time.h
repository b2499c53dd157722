/* Times that can hardly be meant: kept as sent, and never kept in silence.
 *
 * A time is odd when it lies before 2000 or more than a day after its receipt, when it is 0 where
 * one is required, and when an end lies before its start. All are counted. The sender is told of
 * those that are wrong whatever its clock says: 0, numbers so small that they are seconds,
 * milliseconds or microseconds, numbers from 2262 on, and an end before the start. Old telemetry is
 * not odd (DESIGN 4.5).
 *
 * Pure; belongs to the batch being read.
 */
#ifndef MW_COLLECTOR_ODD_TIME_H
#define MW_COLLECTOR_ODD_TIME_H

#include <stdbool.h>
#include <stdint.h>

#include "proto/scan.h"

/* 2000-01-01: OpenTelemetry is younger than that, and clocks that were never set begin in 1970 or
 * 1980. */
#define MW_TIME_OLDEST_NS UINT64_C(946684800000000000)
/* Clocks that take local time for UTC are up to 14 hours ahead. */
#define MW_TIME_AHEAD_NS (UINT64_C(24) * 3600 * 1000000000)
/* 1973 in nanoseconds; read as microseconds, the year 5138. Below, no time of any use was meant in
 * nanoseconds, and every one in microseconds, milliseconds or seconds is below. */
#define MW_TIME_NANOSECONDS_MIN UINT64_C(100000000000000000)
/* 2262-04-11: signed nanoseconds end here, and so do the times of most who will read them. */
#define MW_TIME_NANOSECONDS_MAX ((uint64_t)INT64_MAX)

typedef struct mw_odd_times {
    uint64_t newest_ns;        /* receipt + MW_TIME_AHEAD_NS */
    uint64_t count;            /* items with an odd time */
    uint64_t mistakes;         /* of these, items whose sender is told */
    const char *first_problem; /* of the first mistake, in words; NULL = none */
    char first_path[MW_SCAN_PATH_SIZE];
} mw_odd_times;

void mw_odd_times_init(mw_odd_times *odd, uint64_t received_ns);

/* Where an item is: for the first mistake's path. */
typedef struct mw_timed_item {
    const char *const *levels; /* three fields: "resource_spans", "scope_spans", "spans" */
    mw_scan_place place;
    const char *kind; /* data points: the name of their metric's kind; else NULL */
} mw_timed_item;

/* One time of an item: 0 is none when it is not required. `start_ns` is the start it ends, 0 = it
 * has none. */
typedef struct mw_timed_field {
    const char *name; /* "end_time_unix_nano" */
    uint64_t ns, start_ns;
    bool required;
} mw_timed_field;

/* Judges the times of one item, which is counted once at most. */
void mw_odd_times_judge(mw_odd_times *odd, const mw_timed_item *item, const mw_timed_field *fields,
                        size_t count);

/* The test for nearly all items, before mw_odd_times_judge is asked: within bounds, in order. */
static inline bool mw_times_fine(const mw_odd_times *odd, uint64_t start_ns, uint64_t end_ns)
{
    return start_ns >= MW_TIME_OLDEST_NS && start_ns <= end_ns && end_ns <= odd->newest_ns;
}

#endif
