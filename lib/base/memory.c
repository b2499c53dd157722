/* The memory account. Relaxed atomics: readers want totals, not an order of events. */
#include <malloc.h>
#include <stdatomic.h>
#include <string.h>

#include "lib/base/memory.h"

static atomic_size_t limit_bytes; /* 0 = unlimited */
static atomic_size_t used_total;
static atomic_size_t used_peak;
static atomic_size_t used_by[MW_MEM_COMPONENTS];
static atomic_uint_fast64_t fail_countdown;
static atomic_size_t reserve_bytes;
/* What the request that has the reservation allocated less what it freed. Below 0 when it frees
 * what it had before. */
static atomic_llong reserve_used;
static _Thread_local bool in_reserve;

static const char *const names[MW_MEM_COMPONENTS] = {
    [MW_MEM_BASE] = "base",   [MW_MEM_NET] = "net",     [MW_MEM_NGHTTP2] = "nghttp2",
    [MW_MEM_TLS] = "tls",     [MW_MEM_EVENT] = "event", [MW_MEM_INGEST] = "ingest",
    [MW_MEM_STORE] = "store", [MW_MEM_MERGE] = "merge", [MW_MEM_ROLLUP] = "rollup",
    [MW_MEM_QUERY] = "query", [MW_MEM_STATE] = "state", [MW_MEM_SQLITE] = "sqlite",
    [MW_MEM_JSON] = "json",   [MW_MEM_CURL] = "curl",   [MW_MEM_CODEC] = "codec",
};

/* Request bodies of a few hundred KiB come and go all the time. With glibc's defaults each is
 * mapped or trimmed away and page-faulted anew; kept in the heap, a span costs 10 to 15 % less
 * CPU at the same peak RSS (tests/bench, 4 requests in flight, 512 spans of 742 bytes each). */
#define MMAP_THRESHOLD_BYTES (4 << 20)
#define TRIM_THRESHOLD_BYTES (16 << 20)

void mw_memory_init(size_t limit)
{
    atomic_store_explicit(&limit_bytes, limit, memory_order_relaxed);
    atomic_store_explicit(&reserve_bytes, 0, memory_order_relaxed);
    if (limit == 0)
        return;
    mallopt(M_MMAP_THRESHOLD, MMAP_THRESHOLD_BYTES);
    mallopt(M_TRIM_THRESHOLD, TRIM_THRESHOLD_BYTES);
}

static void account_add(mw_component component, size_t size)
{
    if (in_reserve)
        atomic_fetch_add_explicit(&reserve_used, (long long)size, memory_order_relaxed);
    atomic_fetch_add_explicit(&used_by[component], size, memory_order_relaxed);
    size_t now = atomic_fetch_add_explicit(&used_total, size, memory_order_relaxed) + size;
    size_t peak = atomic_load_explicit(&used_peak, memory_order_relaxed);
    while (now > peak && !atomic_compare_exchange_weak_explicit(
                             &used_peak, &peak, now, memory_order_relaxed, memory_order_relaxed))
        ;
}

static void account_remove(mw_component component, size_t size)
{
    if (in_reserve)
        atomic_fetch_sub_explicit(&reserve_used, (long long)size, memory_order_relaxed);
    atomic_fetch_sub_explicit(&used_by[component], size, memory_order_relaxed);
    atomic_fetch_sub_explicit(&used_total, size, memory_order_relaxed);
}

/* Questions together get this share of the ceiling: however many are asked, exports and alarms
 * keep the rest. */
#define QUERY_SHARE_DIVISOR 2

/* What of the reservation is not in use, and so is nobody's but its holder's. */
static size_t reserve_left(void)
{
    size_t whole = atomic_load_explicit(&reserve_bytes, memory_order_relaxed);
    long long used = atomic_load_explicit(&reserve_used, memory_order_relaxed);
    if (used <= 0)
        return whole;
    return (size_t)used < whole ? whole - (size_t)used : 0;
}

/* Two threads may both see room for the last bytes: the overshoot is at most one allocation a
 * thread, which DESIGN 3.3's 32 MiB of slack covers. */
static bool refused(mw_component component, size_t more)
{
    if (atomic_load_explicit(&fail_countdown, memory_order_relaxed) != 0 &&
        atomic_fetch_sub_explicit(&fail_countdown, 1, memory_order_relaxed) == 1)
        return true;
    size_t limit = mw_memory_limit();
    if (limit == 0)
        return false;
    if (component == MW_MEM_QUERY) {
        size_t share = mw_memory_component_used(component);
        size_t most = mw_memory_query_share();
        if (more > most || share > most - more)
            return true;
    }
    size_t most = in_reserve ? limit : limit - reserve_left();
    return more > most || mw_memory_used() > most - more;
}

void *mw_alloc(mw_component component, size_t size)
{
    if (refused(component, size))
        return NULL;
    void *pointer = malloc(size ? size : 1);
    if (pointer)
        account_add(component, malloc_usable_size(pointer));
    return pointer;
}

void *mw_calloc(mw_component component, size_t count, size_t size)
{
    size_t bytes;
    if (__builtin_mul_overflow(count, size, &bytes) || refused(component, bytes))
        return NULL;
    void *pointer = calloc(1, bytes ? bytes : 1);
    if (pointer)
        account_add(component, malloc_usable_size(pointer));
    return pointer;
}

void *mw_realloc(mw_component component, void *pointer, size_t size)
{
    size_t before = pointer ? malloc_usable_size(pointer) : 0;
    if (size > before && refused(component, size - before))
        return NULL;
    void *moved = realloc(pointer, size ? size : 1);
    if (!moved)
        return NULL;
    account_remove(component, before);
    account_add(component, malloc_usable_size(moved));
    return moved;
}

void mw_free(mw_component component, void *pointer)
{
    if (!pointer)
        return;
    account_remove(component, malloc_usable_size(pointer));
    free(pointer);
}

bool mw_have_room(mw_component component, void *array, size_t *capacity, size_t count, size_t size)
{
    void *old, *grown;
    if (count <= *capacity)
        return true;
    size_t wanted = count + count / 2 + 16;
    memcpy(&old, array, sizeof old);
    grown = mw_realloc(component, old, wanted * size);
    if (!grown)
        return false;
    memcpy(array, &grown, sizeof grown);
    *capacity = wanted;
    return true;
}

void *mw_alloc_or_die(mw_component component, size_t size)
{
    void *pointer = malloc(size ? size : 1);
    if (!pointer)
        mw_bug(__FILE__, __LINE__, "the system has no memory");
    account_add(component, malloc_usable_size(pointer));
    return pointer;
}

void *mw_calloc_or_die(mw_component component, size_t count, size_t size)
{
    void *pointer = calloc(count ? count : 1, size ? size : 1);
    if (!pointer)
        mw_bug(__FILE__, __LINE__, "the system has no memory");
    account_add(component, malloc_usable_size(pointer));
    return pointer;
}

size_t mw_memory_limit(void)
{
    return atomic_load_explicit(&limit_bytes, memory_order_relaxed);
}

size_t mw_memory_used(void)
{
    return atomic_load_explicit(&used_total, memory_order_relaxed);
}

size_t mw_memory_peak(void)
{
    return atomic_load_explicit(&used_peak, memory_order_relaxed);
}

size_t mw_memory_component_used(mw_component component)
{
    MW_ASSERT(component < MW_MEM_COMPONENTS);
    return atomic_load_explicit(&used_by[component], memory_order_relaxed);
}

const char *mw_component_name(mw_component component)
{
    MW_ASSERT(component < MW_MEM_COMPONENTS);
    return names[component];
}

size_t mw_memory_ceiling(void)
{
    size_t limit = mw_memory_limit();
    return limit ? limit - atomic_load_explicit(&reserve_bytes, memory_order_relaxed) : SIZE_MAX;
}

size_t mw_memory_query_share(void)
{
    size_t ceiling = mw_memory_ceiling();
    return ceiling == SIZE_MAX ? ceiling : ceiling / QUERY_SHARE_DIVISOR;
}

bool mw_memory_leaves(size_t size, size_t left)
{
    size_t limit = mw_memory_limit();
    if (limit == 0 || in_reserve)
        return true;
    size_t most = limit - reserve_left();
    if (left > most || size > most - left)
        return false;
    return mw_memory_used() <= most - left - size;
}

bool mw_memory_admits(size_t size)
{
    return mw_memory_leaves(size, mw_memory_ceiling() / 8);
}

/* ---- the reservation --------------------------------------------------------------------------*/

void mw_memory_reserve(size_t bytes)
{
    size_t most = mw_memory_limit() / 4 * 3;
    atomic_store_explicit(&reserve_bytes, bytes < most ? bytes : most, memory_order_relaxed);
}

bool mw_memory_reservation_free(void)
{
    return atomic_load_explicit(&reserve_used, memory_order_relaxed) <= 0 &&
           mw_memory_used() <= mw_memory_ceiling();
}

void mw_memory_reservation_use(bool on)
{
    in_reserve = on;
}

void mw_memory_reservation_end(void)
{
    in_reserve = false;
    atomic_store_explicit(&reserve_used, 0, memory_order_relaxed);
}

void mw_memory_fail_at(uint64_t countdown)
{
    atomic_store_explicit(&fail_countdown, countdown, memory_order_relaxed);
}
