/* Rate limits by key. See limiter.h. */
#include <pthread.h>
#include <string.h>

#include "lib/access/address.h"
#include "lib/access/limiter.h"
#include "lib/base/id.h"

#define WAYS 8

typedef struct cell {
    uint64_t hash; /* 0 = free */
    int64_t paid_ns;
} cell;

struct mw_limiter {
    pthread_mutex_t lock;
    uint64_t seed;
    size_t sets; /* a power of two */
    cell cells[];
};

mw_limiter *mw_limiter_new(size_t keys)
{
    size_t sets = 1;
    while (sets * WAYS < keys)
        sets *= 2;
    mw_limiter *limiter =
        mw_calloc_or_die(MW_MEM_BASE, 1, sizeof *limiter + sets * WAYS * sizeof(cell));
    limiter->sets = sets;
    mw_random_bytes(&limiter->seed, sizeof limiter->seed);
    if (pthread_mutex_init(&limiter->lock, NULL) != 0)
        mw_bug(__FILE__, __LINE__, "pthread initialisation failed");
    return limiter;
}

void mw_limiter_free(mw_limiter *limiter)
{
    if (!limiter)
        return;
    pthread_mutex_destroy(&limiter->lock);
    mw_free(MW_MEM_BASE, limiter);
}

/* FNV-1a with a random start and a last mixing: keys are ids and addresses, not long texts. */
static uint64_t hash_of(const mw_limiter *limiter, mw_slice key)
{
    uint64_t hash = limiter->seed ^ UINT64_C(0xcbf29ce484222325);
    for (size_t i = 0; i < key.len; i++)
        hash = (hash ^ (unsigned char)key.data[i]) * UINT64_C(0x100000001b3);
    hash = (hash ^ hash >> 31) * UINT64_C(0x9e3779b97f4a7c15);
    hash ^= hash >> 29;
    return hash ? hash : 1;
}

/* The key's own cell, else the one that has paid most. */
static cell *find_cell(mw_limiter *limiter, uint64_t hash)
{
    cell *set = limiter->cells + (hash & (limiter->sets - 1)) * WAYS, *found = set;
    for (size_t i = 0; i < WAYS; i++) {
        if (set[i].hash == hash)
            return &set[i];
        if (set[i].hash == 0 || (found->hash != 0 && set[i].paid_ns < found->paid_ns))
            found = &set[i];
    }
    *found = (cell){hash, 0};
    return found;
}

bool mw_limiter_take(mw_limiter *limiter, mw_slice key, mw_rate rate, int64_t now_ns,
                     unsigned *retry_after_s)
{
    MW_ASSERT(rate.interval_ns > 0 && rate.burst > 0);
    uint64_t hash = hash_of(limiter, key);
    pthread_mutex_lock(&limiter->lock);
    cell *own = find_cell(limiter, hash);
    int64_t paid_ns = own->paid_ns > now_ns ? own->paid_ns : now_ns;
    int64_t ahead_ns = paid_ns + rate.interval_ns - now_ns;
    int64_t excess_ns = ahead_ns - rate.interval_ns * (int64_t)rate.burst;
    if (excess_ns <= 0)
        own->paid_ns = paid_ns + rate.interval_ns;
    pthread_mutex_unlock(&limiter->lock);
    if (excess_ns <= 0)
        return true;
    *retry_after_s = (unsigned)((excess_ns + MW_NS_PER_S - 1) / MW_NS_PER_S);
    return false;
}

mw_slice mw_limiter_address(mw_slice peer, uint8_t out[16])
{
    mw_address address;
    if (mw_address_read(peer, &address) != MW_OK)
        return peer;
    memcpy(out, address.bytes, 16);
    return mw_slice_bytes(out, address.v6 ? 8 : 4);
}
