/* Shares of recent bytes. See fair_share.h. */
#include <xxhash.h>

#include "collector/fair_share.h"

/* A cell: 24 bits of epoch, 40 bits of bytes (1 TiB in one epoch is beyond any network). */
#define BYTES_BITS 40
#define BYTES_MASK ((UINT64_C(1) << BYTES_BITS) - 1)
#define EPOCH_MASK UINT64_C(0xffffff)

/* A flow waits when it has used more than 5/4 of its share: equals do not take turns to wait. */
#define OVER_NUMERATOR 5
#define OVER_DENOMINATOR 4

typedef struct level {
    uint64_t own, total;
    uint64_t active; /* flows that have sent lately */
} level;

static uint64_t epoch_of(int64_t now_ns)
{
    return (uint64_t)(now_ns / MW_FAIR_EPOCH_NS) & EPOCH_MASK;
}

/* Bytes of a cell as they count in `epoch`. A writer may be one epoch ahead of a reader. */
static uint64_t decayed(uint64_t cell, uint64_t epoch)
{
    uint64_t age = (epoch - (cell >> BYTES_BITS)) & EPOCH_MASK;
    if (age == EPOCH_MASK)
        age = 0;
    return age < BYTES_BITS ? (cell & BYTES_MASK) >> age : 0;
}

static void add(atomic_uint_fast64_t *cell, uint64_t bytes, uint64_t epoch)
{
    uint_fast64_t old = atomic_load_explicit(cell, memory_order_relaxed);
    uint64_t fresh;
    do {
        uint64_t sum = decayed(old, epoch) + bytes;
        fresh = epoch << BYTES_BITS | (sum < BYTES_MASK ? sum : BYTES_MASK);
    } while (!atomic_compare_exchange_weak_explicit(cell, &old, fresh, memory_order_relaxed,
                                                    memory_order_relaxed));
}

static level read_level(atomic_uint_fast64_t *cells, size_t count, uint32_t own, uint64_t epoch)
{
    level sum = {0};
    for (size_t i = 0; i < count; i++) {
        uint64_t cell = atomic_load_explicit(&cells[i], memory_order_relaxed);
        uint64_t bytes = cell ? decayed(cell, epoch) : 0;
        sum.total += bytes;
        sum.active += bytes >= MW_FAIR_ACTIVE_BYTES;
        if (i == own)
            sum.own = bytes;
    }
    return sum;
}

static bool is_heavy(const level *sum)
{
    return sum->active > 1 &&
           sum->own * sum->active > sum->total / OVER_DENOMINATOR * OVER_NUMERATOR;
}

static bool is_light(const level *sum)
{
    return sum->own * sum->active <= sum->total;
}

void mw_fair_share_init(mw_fair_share *fair, uint64_t seed)
{
    memset(fair, 0, sizeof *fair);
    fair->seed = seed;
}

mw_flow mw_fair_share_flow(const mw_fair_share *fair, mw_slice service, mw_slice session)
{
    uint64_t hash = XXH3_64bits_withSeed(service.data, service.len, fair->seed);
    uint64_t inner = XXH3_64bits_withSeed(session.data, session.len, hash);
    return (mw_flow){.service = (uint32_t)(hash % MW_FAIR_SERVICES),
                     .session = (uint32_t)(inner % MW_FAIR_SESSIONS)};
}

void mw_fair_share_use(mw_fair_share *fair, mw_flow flow, uint64_t bytes, int64_t now_ns)
{
    uint64_t epoch = epoch_of(now_ns);
    add(&fair->services[flow.service], bytes, epoch);
    add(&fair->sessions[flow.session], bytes, epoch);
}

bool mw_fair_share_waits(mw_fair_share *fair, mw_flow flow, uint64_t floor_bytes, int64_t now_ns)
{
    uint64_t epoch = epoch_of(now_ns);
    level services = read_level(fair->services, MW_FAIR_SERVICES, flow.service, epoch);
    if (services.own < floor_bytes || (services.active > 1 && !is_heavy(&services)))
        return false;
    level sessions = read_level(fair->sessions, MW_FAIR_SESSIONS, flow.session, epoch);
    return services.active > 1 ? !is_light(&sessions) : is_heavy(&sessions);
}
