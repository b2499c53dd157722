/* Which segments go. See retention.h. Pure: any thread; the keeper is its caller. */
#include "lib/store/merge/retention.h"

/* ---- what goes ------------------------------------------------------------------------------- */

static bool too_old(const mw_retention_segment *segment, const mw_retention_limits *limits,
                    uint64_t now_ns)
{
    if (limits->age_ns <= 0 || segment->arrival_max_ns >= now_ns)
        return false;
    return now_ns - segment->arrival_max_ns > (uint64_t)limits->age_ns;
}

/* What stays: as it counts, and in full. */
typedef struct weight {
    uint64_t counted, full;
} weight;

static weight weigh(const mw_retention_segment *segment, const mw_retention_limits *limits)
{
    uint64_t bytes = segment->bytes;
    unsigned packed = limits->packed_per_mille;
    if (segment->merged || packed == 0 || packed >= 1000)
        return (weight){bytes, bytes};
    return (weight){bytes / 1000 * packed + bytes % 1000 * packed / 1000, bytes};
}

/* The size and a part of it. */
static uint64_t size_and(const mw_retention_limits *limits, uint64_t parts)
{
    uint64_t size = limits->size_bytes;
    return size > UINT64_MAX - size / parts ? UINT64_MAX : size + size / parts;
}

static bool is_too_much(weight stays, const mw_retention_limits *limits)
{
    return limits->size_bytes &&
           (stays.counted > limits->size_bytes || stays.full > size_and(limits, 8));
}

mw_retention_limits mw_retention_less(const mw_retention_limits *limits, uint64_t bytes)
{
    mw_retention_limits less = *limits;
    if (less.size_bytes) /* 0 would be no bound */
        less.size_bytes = less.size_bytes > bytes ? less.size_bytes - bytes : 1;
    return less;
}

bool mw_retention_presses(const mw_retention_limits *limits, uint64_t bytes)
{
    return limits->size_bytes && bytes > size_and(limits, 16);
}

size_t mw_retention_choose(const mw_retention_segment *segments, size_t count,
                           const mw_retention_limits *limits, uint64_t now_ns, bool *goes)
{
    weight stays = {0, 0};
    size_t gone = 0;

    for (size_t i = 0; i < count; i++) {
        weight one = weigh(&segments[i], limits);
        goes[i] = segments[i].merged && too_old(&segments[i], limits, now_ns);
        gone += goes[i];
        stays.counted += goes[i] ? 0 : one.counted;
        stays.full += goes[i] ? 0 : one.full;
    }
    for (size_t i = 0; i < count && is_too_much(stays, limits); i++) {
        weight one = weigh(&segments[i], limits);
        if (goes[i] || !(segments[i].merged || segments[i].left))
            continue;
        goes[i] = true;
        gone++;
        stays.counted -= one.counted;
        stays.full -= one.full;
    }
    return gone;
}

void mw_retention_settle(mw_retention_segment *segments, size_t count, uint64_t now_ns)
{
    uint64_t latest_ns = 0;
    for (size_t i = 0; i < count; i++) {
        uint64_t *arrival_ns = &segments[i].arrival_max_ns;
        if (*arrival_ns > now_ns)
            continue;
        if (*arrival_ns < latest_ns)
            *arrival_ns = latest_ns;
        latest_ns = *arrival_ns;
    }
}

static uint64_t part_of_size(const mw_retention_limits *limits, uint64_t parts, uint64_t bytes_max)
{
    uint64_t part = limits->size_bytes / parts;
    if (limits->size_bytes == 0 || part >= bytes_max)
        return bytes_max;
    if (part >= MW_RETENTION_SEGMENT_LEAST)
        return part;
    return bytes_max < MW_RETENTION_SEGMENT_LEAST ? bytes_max : MW_RETENTION_SEGMENT_LEAST;
}

uint64_t mw_retention_merge_max(const mw_retention_limits *limits, uint64_t bytes_max)
{
    return part_of_size(limits, 4, bytes_max);
}

uint64_t mw_retention_segment_max(const mw_retention_limits *limits, uint64_t bytes_max)
{
    return part_of_size(limits, 8, bytes_max);
}

/* ---- what time it is ------------------------------------------------------------------------- */

void mw_retention_clock_start(mw_retention_clock *clock, int64_t age_ns, uint64_t newest_arrival_ns,
                              int64_t mono_ns)
{
    *clock = (mw_retention_clock){.mono_ns = mono_ns, .age_ns = age_ns};
    if (newest_arrival_ns <= INT64_MAX)
        clock->wall_ns = (int64_t)newest_arrival_ns;
}

/* By how much the wall clock went further than the monotonic one since the look before. */
static int64_t drift_of(const mw_retention_clock *clock, int64_t wall_ns, int64_t mono_ns)
{
    int64_t drift;
    if (clock->wall_ns == 0 || __builtin_sub_overflow(wall_ns, clock->wall_ns, &drift))
        return 0;
    return __builtin_sub_overflow(drift, mono_ns - clock->mono_ns, &drift) ? 0 : drift;
}

int64_t mw_retention_now(mw_retention_clock *clock, int64_t wall_ns, int64_t mono_ns)
{
    int64_t drift = drift_of(clock, wall_ns, mono_ns);
    int64_t trust_ns = MW_RETENTION_TRUST_NS;

    if (clock->age_ns > trust_ns)
        trust_ns = clock->age_ns;
    clock->wall_ns = wall_ns;
    clock->mono_ns = mono_ns;
    if (drift > MW_RETENTION_JUMP_NS) {
        clock->ahead_ns += drift;
        clock->since_mono_ns = mono_ns;
    } else if (drift < 0) {
        clock->ahead_ns = clock->ahead_ns + drift > 0 ? clock->ahead_ns + drift : 0;
    }
    if (clock->ahead_ns > 0 && mono_ns - clock->since_mono_ns >= trust_ns)
        clock->ahead_ns = 0;
    return wall_ns - clock->ahead_ns;
}
