/* Time is passed in: no module but this one asks the system for it.
 *
 * Wall time is nanoseconds since 1970 UTC, for records; monotonic nanoseconds are for time-outs.
 * Tests pass a fake. Text is RFC 3339 with nanoseconds, UTC.
 */
#ifndef MW_BASE_CLOCK_H
#define MW_BASE_CLOCK_H

#include <stdint.h>

#include "lib/base/slice.h"

#define MW_NS_PER_MS INT64_C(1000000)
#define MW_NS_PER_S INT64_C(1000000000)

typedef struct mw_clock {
    int64_t (*wall_ns)(void *ctx);
    int64_t (*mono_ns)(void *ctx);
    void *ctx;
    int64_t (*thread_cpu_ns)(void *ctx); /* NULL: as mono_ns, as if nobody else ran */
} mw_clock;

/* The real one; lives for ever. */
const mw_clock *mw_clock_system(void);
int64_t mw_clock_wall_ns(const mw_clock *clock);
int64_t mw_clock_mono_ns(const mw_clock *clock);
/* What the calling thread has worked so far, others of the machine left out. A system call, a
 * microsecond: for looks now and then. */
int64_t mw_clock_thread_cpu_ns(const mw_clock *clock);

/* A clock that tests set. */
typedef struct mw_fake_clock {
    mw_clock clock;
    int64_t wall_ns;
    int64_t mono_ns;
} mw_fake_clock;
void mw_fake_clock_init(mw_fake_clock *fake, int64_t wall_ns);
void mw_fake_clock_advance(mw_fake_clock *fake, int64_t ns);

/* "2026-03-14T09:26:53.000000000Z": 30 characters and NUL. */
#define MW_TIME_TEXT_SIZE 31
/* Writes the text of `ns` (unsigned: OTLP's fixed64, up to year 2554). */
void mw_time_format(uint64_t ns, char out[MW_TIME_TEXT_SIZE]);
/* RFC 3339 with Z or an offset, 0 to 9 fraction digits, years 1970-2262; a leap second is read
 * as :59. MW_E_SYNTAX or MW_E_INVALID. */
MW_MUST_USE mw_err mw_time_parse(mw_slice text, int64_t *ns);
/* "90s", "20m", "1h", "7d", "250ms", or bare seconds. */
MW_MUST_USE mw_err mw_duration_parse(mw_slice text, int64_t *ns);
/* What --since and --until take, and the API's parameters of these names: RFC 3339; a date (its
 * first instant, UTC); an age ("1h" = one hour before now_ns); unix time in nanoseconds (16 digits
 * and more), milliseconds (12 or 13) or seconds (9 or 10, a fraction may follow); 0, the beginning
 * of 1970. A number of another length is a year, a bare count of seconds, a slip: not guessed.
 * MW_E_SYNTAX, MW_E_INVALID, MW_E_LIMIT. */
MW_MUST_USE mw_err mw_time_point_parse(mw_slice text, int64_t now_ns, int64_t *ns);

#endif
