/* Which segments are merged next. See merge_policy.h. */
#include "lib/store/merge/merge_policy.h"

/* Sizes of small segments: powers of eight below a quarter of the target. */
_Static_assert(MW_MERGE_TIER == 8, "a level is three bits");
#define LEVELS 20u

static bool is_old(const mw_policy_segment *segment, const mw_policy_limits *limits)
{
    /* A clock that was set back makes nothing older; one that ran ahead does no harm here. */
    return limits->all || (segment->arrival_min_ns <= limits->now_ns &&
                           limits->now_ns - segment->arrival_min_ns >= limits->merge_after_ns);
}

uint64_t mw_merge_policy_needs(uint64_t log_bytes, uint64_t merged_bytes, unsigned packed_per_mille)
{
    uint64_t packed = log_bytes / 1000 * packed_per_mille + log_bytes % 1000 + merged_bytes;
    return packed + packed / 4 + MW_MERGE_OVERHEAD;
}

static bool fits(const mw_policy_segment *segment, const mw_policy_limits *limits)
{
    return mw_merge_policy_needs(segment->bytes, 0, limits->packed_per_mille) <= limits->room;
}

bool mw_merge_policy_leave(const mw_policy_segment *segment, const mw_policy_limits *limits)
{
    if (segment->items == 0 || is_old(segment, limits))
        return segment->items > 0;
    return limits->tight && segment->bytes >= MW_MERGE_TIGHT_LEAST &&
           segment->bytes >= limits->room / 4 && fits(segment, limits);
}

/* ---- the log --------------------------------------------------------------------------------- */

static bool is_log(const mw_policy_segment *segment)
{
    return !segment->merged && !segment->current && !segment->aside;
}

/* Side by side from `first`, as many as fit; *more tells that another one follows, which does not.
 * */
static size_t fitting_logs(const mw_policy_segment *segments, size_t count, size_t first,
                           const mw_policy_limits *limits, bool *more)
{
    uint64_t items = 0, bytes = 0;
    size_t taken = 0;
    for (size_t i = first; i < count && is_log(&segments[i]); i++) {
        items += segments[i].items;
        bytes += segments[i].bytes;
        *more = taken > 0 && (items > limits->items_max || bytes > limits->bytes_max ||
                              taken == MW_MERGE_SEGMENTS_MAX);
        if (*more)
            break;
        taken++;
    }
    /* Exactly full counts as more: nothing could be added. */
    *more = *more || items >= limits->items_max || bytes >= limits->bytes_max;
    return taken;
}

static mw_policy_choice choose_log(const mw_policy_segment *segments, size_t count,
                                   const mw_policy_limits *limits)
{
    for (size_t first = 0; first < count; first++) {
        bool more = false, due = false;
        if (!is_log(&segments[first]))
            continue;
        size_t taken = fitting_logs(segments, count, first, limits, &more);
        due = limits->closed;
        for (size_t i = first; i < first + taken; i++)
            due = due || is_old(&segments[i], limits);
        if (due || more)
            return (mw_policy_choice){first, taken};
        while (first + 1 < count && is_log(&segments[first + 1]))
            first++;
    }
    return (mw_policy_choice){0, 0};
}

/* The oldest that fits, alone. */
static mw_policy_choice choose_tight(const mw_policy_segment *segments, size_t count,
                                     const mw_policy_limits *limits)
{
    for (size_t i = 0; i < count; i++)
        if (is_log(&segments[i]) && fits(&segments[i], limits))
            return (mw_policy_choice){i, 1};
    return (mw_policy_choice){0, 0};
}

/* ---- small merged segments ------------------------------------------------------------------- */

/* How large a segment is, as a share of the target: items, or bytes where items are long. */
static uint64_t weight(const mw_policy_segment *segment, const mw_policy_limits *limits)
{
    /* Merged bytes are about half of what they were in the log. */
    uint64_t item_bytes = limits->bytes_max / 2 / limits->items_max;
    uint64_t by_bytes = segment->bytes / (item_bytes ? item_bytes : 1);
    return segment->items > by_bytes ? segment->items : by_bytes;
}

/* The level of a size; LEVELS for what is large enough. */
static unsigned level_of(const mw_policy_segment *segment, const mw_policy_limits *limits)
{
    uint64_t left = weight(segment, limits);
    unsigned level = 0;
    if (!segment->merged || segment->aside || left >= limits->items_max / 4)
        return LEVELS;
    for (; left >= MW_MERGE_TIER; left /= MW_MERGE_TIER)
        level++;
    return level;
}

/* The longest stretch from `first` of segments up to `level` that one merge may take; 0 when it is
 * not worth one. */
static size_t fitting_merged(const mw_policy_segment *segments, size_t count, size_t first,
                             unsigned level, const mw_policy_limits *limits)
{
    uint64_t items = 0, bytes = 0, sum = 0, earliest = UINT64_MAX, latest = 0;
    uint64_t most = limits->bytes_max;
    size_t taken = 0;
    if (limits->tight && limits->room / 2 < most)
        most = limits->room / 2;
    for (size_t i = first; i < count && taken < MW_MERGE_SEGMENTS_MAX; i++, taken++) {
        const mw_policy_segment *segment = &segments[i];
        items += segment->items;
        bytes += segment->bytes;
        earliest = segment->arrival_min_ns < earliest ? segment->arrival_min_ns : earliest;
        latest = segment->arrival_max_ns > latest ? segment->arrival_max_ns : latest;
        if (level_of(segment, limits) > level || items > limits->items_max || bytes > most ||
            latest - earliest > (uint64_t)MW_MERGE_SPAN_NS)
            break;
        sum += weight(segment, limits);
    }
    return taken >= MW_MERGE_TIER && sum >= UINT64_C(1) << (3 * (level + 1)) ? taken : 0;
}

static mw_policy_choice choose_merged(const mw_policy_segment *segments, size_t count,
                                      const mw_policy_limits *limits)
{
    for (unsigned level = 0; level < LEVELS; level++) {
        bool larger = false;
        for (size_t first = 0; first < count; first++) {
            size_t taken = fitting_merged(segments, count, first, level, limits);
            if (taken)
                return (mw_policy_choice){first, taken};
            unsigned own = level_of(&segments[first], limits);
            larger = larger || (own > level && own < LEVELS);
        }
        if (!larger)
            break;
    }
    return (mw_policy_choice){0, 0};
}

mw_policy_choice mw_merge_policy(const mw_policy_segment *segments, size_t count,
                                 const mw_policy_limits *limits)
{
    mw_policy_choice choice =
        limits->tight ? choose_tight(segments, count, limits) : choose_log(segments, count, limits);
    return choice.count ? choice : choose_merged(segments, count, limits);
}
