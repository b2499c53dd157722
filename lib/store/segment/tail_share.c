/* A common budget of all stores. See tail_share.h. */
#include <stdatomic.h>

#include "lib/store/segment/tail_share.h"

static atomic_size_t held[MW_SHARES], limits[MW_SHARES];

static size_t budget_of(mw_share share, size_t most)
{
    size_t set = atomic_load_explicit(&limits[share], memory_order_relaxed);
    return set ? set : most;
}

void mw_share_note(mw_share share, size_t before, size_t now)
{
    /* Modulo 2^64: what is taken away was added before. */
    atomic_fetch_add_explicit(&held[share], now - before, memory_order_relaxed);
}

bool mw_share_admits(mw_share share, size_t own, size_t more, size_t most)
{
    size_t budget = budget_of(share, most);
    return own <= budget / MW_SHARE_PARTS || mw_share_held(share) + more <= budget;
}

bool mw_share_is_short(mw_share share, size_t most)
{
    size_t budget = budget_of(share, most);
    return mw_share_held(share) > budget - budget / 8;
}

size_t mw_share_held(mw_share share)
{
    return atomic_load_explicit(&held[share], memory_order_relaxed);
}

void mw_share_limit(mw_share share, size_t bytes)
{
    atomic_store_explicit(&limits[share], bytes, memory_order_relaxed);
}
